"""The one door to scikit-learn's validation tools, some of which are private there.

Every other module imports these names from here, so that a change upstream is met in one
file.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
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
    "Hidden",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_array",
    "check_consistent_length",
    "check_is_fitted",
    "check_layer_sizes",
    "check_sample_weight",
    "column_label",
    "column_or_1d",
    "draw_seed",
    "fit_method",
    "join",
    "validate_data",
    "validate_params",
    "validate_table",
]

_LARGEST_SEED = 2**31 - 1
_SHOWN = 5

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
    # Some libraries would turn dates into nanoseconds without a word.
    _refuse(_of_dates(X))
    try:
        table: FloatArray = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            **check_params,
        )
    except (TypeError, ValueError) as error:
        _refuse(_of_text(X), error)
        raise
    names = getattr(X, "columns", None)
    refuse_infinities(table, names)
    if not allow_nan:
        refuse_missing(table, names, type(estimator).__name__)
    return table


def refuse_infinities(table: FloatArray, names: Any = None) -> None:
    """Raise a ``ValueError`` that names the columns holding infinities."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(table.sum()):  # one pass without a copy, where all is well
            return
    infinite = np.isinf(table)
    if not infinite.any():
        return
    where = [
        f"{column_label(j, names)} (first in row {int(infinite[:, j].argmax())})"
        for j in np.flatnonzero(infinite.any(axis=0))
    ]
    raise ValueError(
        f"Input X contains infinity: values must be finite or NaN; got infinities in "
        f"{join(where)}. Replace them, for instance by NaN."
    )


def refuse_missing(table: FloatArray, names: Any, who: str) -> None:
    """Raise a ``ValueError`` that names the columns with missing values."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(table.sum()) or not np.isnan(table).any():  # as above
            return
    counts = np.isnan(table).sum(axis=0)
    where = [f"{column_label(j, names)} ({counts[j]} missing)" for j in np.flatnonzero(counts)]
    raise ValueError(
        f"Input X contains NaN: {who} needs every value; got gaps in {join(where)}. "
        "Fill them first (PanelImputer, CrossSectionalScaler) or drop those rows."
    )


def column_label(position: int | np.intp, names: Any = None) -> str:
    """Return how an error speaks of a column: by its name, else by its position."""
    return f"column {position}" if names is None else f"column {str(names[position])!r}"


def join(items: Sequence[str]) -> str:
    """Return the first few of a list in words, with how many more there are."""
    rest = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _refuse(columns: list[str], cause: Exception | None = None) -> None:
    if columns:
        raise ValueError(
            f"Every column of X must hold numbers; got {join(columns)}. "
            "Drop or encode them, or make identifiers and dates the index."
        ) from cause


def _of_dates(X: Any) -> list[str]:
    """Describe the columns of a pandas or polars frame that hold dates or times."""
    return [
        f"{column_label(j, X.columns)} of dtype {dtype}"
        for j, dtype in enumerate(_dtypes(X))
        if str(dtype).lower().startswith(("date", "time", "duration", "period"))
    ]


def _of_text(X: Any) -> list[str]:
    """Describe the columns of a pandas or polars frame that cannot become floats."""
    bad = []
    for j, dtype in enumerate(_dtypes(X)):
        column = X.iloc[:, j] if hasattr(X, "iloc") else X[X.columns[j]]
        try:
            np.asarray(column.to_numpy(), dtype=np.float64)
        except (TypeError, ValueError):
            bad.append(f"{column_label(j, X.columns)} of dtype {dtype}")
    return bad


def _dtypes(X: Any) -> Any:
    return X.dtypes if hasattr(X, "columns") and hasattr(X, "dtypes") else ()
