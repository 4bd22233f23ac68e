"""The one door to scikit-learn's validation tools, some of which are private there.

Every other module imports these names from here, so that a change upstream is met in one
file.
"""

import functools
import reprlib
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import (
    _check_sample_weight as check_sample_weight,
)
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skfactor._blocks import in_one_block
from skfactor._typing import FloatArray, RandomState
from skfactor.exceptions import FitInterrupted

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand in for the mixin of later versions: nothing is reported."""

        def _init_callback_context(self, **_: Any) -> None:
            return None


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_array",
    "check_consistent_length",
    "check_count",
    "check_is_fitted",
    "check_layer_sizes",
    "check_random_state",
    "check_sample_weight",
    "check_table",
    "column_label",
    "column_or_1d",
    "draw_seed",
    "fit_method",
    "how_to_see_names",
    "join",
    "validate_data",
    "validate_params",
    "validate_table",
]

_LARGEST_SEED = 2**31 - 1

P = ParamSpec("P")
R = TypeVar("R")


def fit_method(fit: Callable[P, R]) -> Callable[P, R]:
    """Check the constructor's parameters, then run ``fit`` as a transaction.

    A ``fit`` that raises leaves the estimator as it was, with whatever had been fitted
    before. The exception is :class:`~skfactor.exceptions.FitInterrupted`, which a long fit
    raises after it has stored its best state so far: that state is kept.

    The snapshot is shallow: ``fit`` must replace fitted attributes, never change them in
    place.
    """
    checked = _fit_context(prefer_skip_nested_validation=True)(fit)

    @functools.wraps(fit)
    def transaction(*args: P.args, **kwargs: P.kwargs) -> R:
        estimator = args[0]
        before = dict(vars(estimator))
        try:
            return cast("R", checked(*args, **kwargs))
        except FitInterrupted:
            raise
        except BaseException:
            state: dict[str, Any] = vars(estimator)
            state.clear()
            state.update(before)
            raise

    return transaction


def draw_seed(random_state: RandomState) -> int:
    """Draw one seed from scikit-learn's ``random_state``, never from the global generator.

    ``None`` takes fresh entropy: NumPy's global state is neither read nor moved.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(_LARGEST_SEED))
    return int(check_random_state(random_state).randint(_LARGEST_SEED))


def check_count(value: Any, name: str, least: int, why: str = "") -> None:
    """Raise a ``ValueError`` unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(
            f"`{name}` must be an int of at least {least}; got {value!r}. {why}".strip()
        )


def check_layer_sizes(sizes: object, name: str) -> tuple[int, ...]:
    """Return the units of hidden layers as a tuple; a single number is one layer."""
    values = np.atleast_1d(np.asarray(sizes))
    if values.size == 0:
        return ()
    if values.ndim != 1 or values.dtype.kind not in "iu" or (values < 1).any():
        raise ValueError(f"`{name}` must be positive integers, one a layer; got {sizes!r}.")
    return tuple(int(value) for value in values)


def validate_table(
    estimator: Any, X: Any, *, reset: bool, allow_nan: bool = False, **check_params: Any
) -> FloatArray:
    """Validate ``X`` as a table of float32 or float64, with errors that name the columns.

    Parameters
    ----------
    estimator : estimator
        Receives or holds ``n_features_in_`` and ``feature_names_in_``.
    X : array-like of shape (n_samples, n_features)
        The table; ``NaN`` is a missing value.
    reset : bool
        True in ``fit``, False afterwards.
    allow_nan : bool, default=False
        Whether values may be missing.
    **check_params : dict
        More of scikit-learn's ``check_array`` parameters, such as ``ensure_min_samples``.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        The values, not copied where that can be avoided.

    Raises
    ------
    ValueError
        For columns that are not numbers, for infinities, and for missing values unless
        they are allowed.
    """
    who = type(estimator).__name__
    table, finite = _read_table(
        X, functools.partial(validate_data, estimator, reset=reset), who=who, **check_params
    )
    if not (allow_nan or finite):
        _refuse_missing(table, _names(X), who)
    return table


def check_table(X: Any, *, what: str = "X", **check_params: Any) -> FloatArray:
    """Check a table that a function is given as :func:`validate_table` does an estimator's.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The table; ``NaN`` is a missing value.
    what : str, default="X"
        What errors call it.
    **check_params : dict
        More of scikit-learn's ``check_array`` parameters, such as ``ensure_min_samples``.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        The values as float32 or float64, not copied where that can be avoided.

    Raises
    ------
    ValueError
        For columns that are not numbers, and for infinities.
    """
    read = functools.partial(check_array, input_name=what)
    return _read_table(X, read, what, **check_params)[0]


def _read_table(
    X: Any, read: Callable[..., FloatArray], what: str = "X", who: str = "", **check_params: Any
) -> tuple[FloatArray, bool]:
    """Return the values, and whether all are known to be there; infinities are refused."""
    names = _names(X)
    if names is not None and not len(names):  # which check_array cannot read
        raise ValueError(
            f"Found array with 0 feature(s) (shape={tuple(X.shape)}) while a minimum of 1 is "
            f"required{who and ' by ' + who}. Give {what} a column."
        )
    # Some libraries would turn dates into nanoseconds and digits into numbers without a word.
    _refuse(_of_dates_or_text(X), what)
    try:
        block = in_one_block(X)[0]
        table = read(block, dtype=[np.float64, np.float32], ensure_all_finite=False, **check_params)
    except (TypeError, ValueError) as error:
        if names is not None:
            _refuse(_of_objects(X), what, error)
        raise
    with np.errstate(over="ignore", invalid="ignore"):
        finite = bool(np.isfinite(table.sum()))  # one pass without a copy, where all is well
    if not finite:
        _refuse_infinities(table, names, what)
    return table, finite


def _refuse_infinities(table: FloatArray, names: Any, what: str) -> None:
    """Raise a ``ValueError`` that names the columns holding infinities."""
    infinite = np.isinf(table)
    if not infinite.any():
        return
    where = [
        f"{column_label(j, names)} (first in row {int(infinite[:, j].argmax())})"
        for j in np.flatnonzero(infinite.any(axis=0))
    ]
    raise ValueError(
        f"Input {what} contains infinity: values must be finite or NaN; got infinities in "
        f"{join(where)}. Replace them, for instance by NaN."
    )


def _refuse_missing(table: FloatArray, names: Any, who: str) -> None:
    """Raise a ``ValueError`` that names the columns with missing values."""
    counts = np.isnan(table).sum(axis=0)
    if not counts.any():  # a sum of finite values may overflow
        return
    labels = {int(j): column_label(j, names) for j in np.flatnonzero(counts)}
    where = join([f"{label} ({counts[j]} missing)" for j, label in labels.items()])
    # A single row does not tell gaps from columns without a value.
    void = [label for j, label in labels.items() if counts[j] == len(table) > 1]
    repair = ""
    if void:
        repair = (
            f"Every value of {join(void)} is missing, and PanelImputer learns nothing from such a "
            f"column: drop it before the first step. {how_to_see_names(names)}"
        )
    if len(void) < len(labels):
        repair += (
            f"Fill {'the others' if void else 'them'} first (PanelImputer, CrossSectionalScaler) "
            "or drop those rows."
        )
    raise ValueError(
        f"Input X contains NaN: {who} needs every value; got gaps in {where}. {repair.strip()}"
    )


def column_label(position: int | np.intp, names: Any = None) -> str:
    """Return how an error speaks of a column: by its name, else by its position."""
    return f"column {position}" if names is None else f"column {str(names[position])!r}"


def how_to_see_names(names: Any) -> str:
    """Return what a message adds where columns have no names, a sentence and a space."""
    if names is not None:
        return ""
    return 'Columns count from 0; a pipeline keeps names with `set_output(transform="pandas")`. '


def join(items: Iterable[object], first: int = 5) -> str:
    """Return the first few of a list in words, with how many more there are."""
    items = list(items)
    rest = len(items) - first
    return ", ".join(map(str, items[:first])) + (f" and {rest} more" if rest > 0 else "")


def listed(allowed: Iterable[object]) -> str:
    """Return the values that a parameter may have, as messages list them."""
    return ", ".join(map(repr, allowed))


def _refuse(columns: list[str], what: str, cause: Exception | None = None) -> None:
    if columns:
        raise ValueError(
            f"Every column of {what} must hold numbers; got {join(columns)}. "
            "Convert, encode or drop them, or make identifiers and dates the index."
        ) from cause


def _of_dates_or_text(X: Any) -> list[str]:
    """Describe the columns that hold dates, times or text, though it be text of digits."""
    cells = _cells(X) if isinstance(X, list | tuple) else X
    # Objects lie in memory by row: a pass over all of them is much faster than one by column.
    clean = isinstance(cells, np.ndarray) and _first_text(cells.ravel("K")) is None
    bad = []
    for j, dtype in enumerate(_dtypes(cells)):
        if getattr(dtype, "kind", "O") in "biufc":
            continue
        label = f"{column_label(j, _names(X))} of dtype {dtype}"
        if str(dtype).lower().startswith(("date", "time", "duration", "period")):
            bad.append(label)
        elif not clean:
            column = _column(cells, j)
            row = _first_text(column)
            if row is not None:
                text = reprlib.repr(column[row : row + 1].tolist()[0])
                bad.append(f"{label} (first in row {row}: {text})")
    return bad


def _of_objects(X: Any) -> list[str]:
    """Describe the columns of a frame that cannot become floats."""
    bad = []
    for j, dtype in enumerate(_dtypes(X)):
        try:
            np.asarray(_column(X, j), dtype=np.float64)
        except (TypeError, ValueError):
            bad.append(f"{column_label(j, _names(X))} of dtype {dtype}")
    return bad


def _first_text(column: Any) -> int | None:
    """Return the first row that holds text."""
    if column.dtype.kind in "SUT":
        return 0 if len(column) else None
    if column.dtype.kind != "O":
        return None
    values = column.tolist()
    # Which types occur is known much faster than where.
    if not any(issubclass(kind, str | bytes) for kind in set(map(type, values))):
        return None
    return next(i for i, value in enumerate(values) if isinstance(value, str | bytes))


def _names(X: Any) -> Any:
    """Return the names of the columns of a pandas or polars frame or an arrow table."""
    return X.column_names if hasattr(X, "column_names") else getattr(X, "columns", None)


def _dtypes(X: Any) -> Any:
    """Return the type of each column of a frame, an arrow table or a matrix."""
    if hasattr(X, "column_names"):
        return X.schema.types
    if hasattr(X, "columns"):
        return getattr(X, "dtypes", ())
    return (X.dtype,) * X.shape[1] if isinstance(X, np.ndarray) and X.ndim == 2 else ()


def _column(X: Any, j: int) -> Any:
    """Return a column of the same as an array."""
    if isinstance(X, np.ndarray):
        return X[:, j]
    if hasattr(X, "iloc"):
        return X.iloc[:, j].to_numpy()
    return X[_names(X)[j]].to_numpy()


def _cells(rows: Any) -> Any:
    """Return a list of rows as an array in which every value keeps its type."""
    try:
        return np.array(rows, dtype=object)
    except ValueError:  # ragged, for scikit-learn to refuse
        return None
