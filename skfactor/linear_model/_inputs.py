"""From what users hand in to the arrays of a regression."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._kernels._returns import Returns
from skfactor._typing import FloatArray, IntArray
from skfactor._validation import check_array
from skfactor.linear_model._alignment import align, risk_free_on
from skfactor.linear_model._models import find_column, is_risk_free, select_factors
from skfactor.panel._calendar import dates_of
from skfactor.panel._index import show_asset


@dataclass(frozen=True, eq=False)
class Columns:
    """Which columns of ``X`` are factors, and which one is the risk-free return.

    Parameters
    ----------
    factors : ndarray of int of shape (n_factors,)
        Positions of the factors.
    names : ndarray of str of shape (n_factors,)
        Their names; ``x0``, ``x1``, ... where ``X`` has none.
    risk_free : int or None
        Position of the risk-free return, None if it is not a column.
    """

    factors: IntArray
    names: Any
    risk_free: int | None


def choose_columns(
    factors: Any, risk_free: Any, feature_names: Any, n_columns: int
) -> tuple[Columns, str | None]:
    """Return the columns in use, and a doubt about them in words.

    Raises
    ------
    ValueError
        For columns that are missing or ambiguous.
    """
    names = None if feature_names is None else [str(name) for name in feature_names]
    rate: int | None = None
    if isinstance(risk_free, str):
        rate = find_column(risk_free, names or [])
        if rate is None:
            shown = "no names" if names is None else ", ".join(names[:12])
            raise ValueError(
                f"`risk_free` must name a column of X; got {risk_free!r}, X has {shown}. For an "
                "array give the position of the column."
            )
    elif isinstance(risk_free, (int, np.integer)):
        if not -n_columns <= risk_free < n_columns:
            raise ValueError(
                f"`risk_free` must be a position below {n_columns}, the number of columns of X; "
                f"got {risk_free}."
            )
        rate = int(risk_free) % n_columns
    chosen = select_factors(factors, names, n_columns)
    doubt = None
    if chosen is None:
        chosen = np.array([i for i in range(n_columns) if i != rate], dtype=np.intp)
        if not len(chosen):
            raise ValueError("X must have a factor beside the risk-free return; got none.")
        if names is not None and rate is None:
            suspects = [name for name in names if is_risk_free(name)]
            if suspects:
                doubt = (
                    f"The column {suspects[0]!r} of X is used as a factor. If it is the risk-free "
                    f"return, pass `risk_free={suspects[0]!r}` to subtract it from the returns, "
                    "or name the factors by `factors=`."
                )
    labels = names or [f"x{i}" for i in range(n_columns)]
    return Columns(chosen, np.array([labels[i] for i in chosen], dtype=object), rate), doubt


@dataclass(frozen=True, eq=False)
class Sample:
    """Factors and returns on the same dates, in the order of time where dates are known.

    Parameters
    ----------
    factors : ndarray of shape (n_dates, n_factors)
        The factors in use.
    returns : Returns
        With the risk-free return to be taken off.
    dates : pandas.Index or None
        The dates.
    kept : ndarray of int
        Positions of the factors that are linearly independent.
    """

    factors: FloatArray
    returns: Returns
    dates: pd.Index | None
    kept: IntArray


def make_sample(
    X: Any, y: Any, table: FloatArray, values: FloatArray, columns: Columns, risk_free: Any
) -> Sample:
    """Return what a regression needs, aligned.

    Parameters
    ----------
    X, y : as the user handed them in
        For their indexes.
    table : ndarray of shape (n_rows, n_columns)
        ``X`` after validation.
    values : ndarray of shape (n_rows, n_assets)
        ``y`` after validation.
    columns : Columns
        The columns in use.
    risk_free : str, int, series or None
        The parameter of the estimator.

    Returns
    -------
    Sample
        Without a copy of the returns; all factors count as kept.
    """
    alignment = align(X, y, len(table), len(values))
    rate = risk_free_of(X, table, columns, risk_free)
    dates = dates_of(X)
    factors = table[:, columns.factors]
    if alignment.factor_rows is not None:
        factors = factors[alignment.factor_rows]
        rate = None if rate is None else rate[alignment.factor_rows]
        dates = None if dates is None else dates[alignment.factor_rows]
    every = np.arange(factors.shape[1])
    return Sample(factors, Returns(values, alignment.return_rows, rate), dates, every)


def spread_columns(
    values: FloatArray, sample: Sample, has_alpha: bool, left_out: float
) -> FloatArray:
    """Return values of all coefficients from those of the factors that were kept.

    Parameters
    ----------
    values : ndarray of shape (has_alpha + n_kept, ...)
        A row for each coefficient that was estimated.
    sample : Sample
        Which factors were kept.
    has_alpha : bool
        Whether the first row is the intercept.
    left_out : float
        What stands for the others.

    Returns
    -------
    ndarray of shape (has_alpha + n_factors, ...)
        ``values`` itself if every factor was kept.
    """
    n_factors = sample.factors.shape[1]
    if len(sample.kept) == n_factors:
        return values
    full = np.full((has_alpha + n_factors, *values.shape[1:]), left_out)
    full[: int(has_alpha)] = values[: int(has_alpha)]
    full[sample.kept + int(has_alpha)] = values[int(has_alpha) :]
    return full


def check_returns(y: Any) -> tuple[FloatArray, bool]:
    """Return returns as a table of floats, ``NaN`` allowed, and whether they were one series.

    Raises
    ------
    ValueError
        For infinities, text and no returns at all.
    """
    if y is None:
        raise ValueError(
            "The regression requires y to be passed, but the target y is None. Give the returns, "
            "a column for each asset."
        )
    values = check_array(
        y,
        dtype=[np.float64, np.float32],
        ensure_2d=False,
        ensure_all_finite="allow-nan",
        input_name="y",
    )
    return (values[:, None], True) if values.ndim == 1 else (values, False)


def risk_free_of(X: Any, table: FloatArray, columns: Columns, risk_free: Any) -> FloatArray | None:
    """Return the risk-free return on every row of ``X``, None if none is subtracted.

    Raises
    ------
    ValueError
        If it is missing on a row.
    """
    if risk_free is None:
        return None
    if columns.risk_free is None:
        return risk_free_on(risk_free, X, len(table))
    rate = table[:, columns.risk_free]
    missing = np.flatnonzero(np.isnan(rate))
    if len(missing):
        raise ValueError(
            f"`risk_free` must be known on every row of X; got NaN in {len(missing)} rows, the "
            f"first is row {missing[0]}."
        )
    return rate


def asset_names(y: Any, n_assets: int) -> Any:
    """Return the names of the assets: of columns, of a series, or their positions."""
    names: list[Any] = list(range(n_assets))
    if hasattr(y, "columns"):
        names = list(y.columns)
    elif getattr(y, "name", None) is not None:
        names = [y.name]
    out = np.empty(n_assets, dtype=object)
    for position, name in enumerate(names):  # a name can be a tuple
        out[position] = name
    return out


def find_asset(asset: Any, names: Any) -> int:
    """Return the position of an asset given by name, or by position where no name is equal.

    Raises
    ------
    ValueError
        For an asset that is not there.
    """
    for position, name in enumerate(names):
        if name == asset:
            return position
    if isinstance(asset, (int, np.integer)) and -len(names) <= asset < len(names):
        return int(asset) % len(names)
    shown = ", ".join(show_asset(name) for name in names[:5])
    more = ", ..." if len(names) > 5 else ""
    raise ValueError(
        f"`asset` must be one of the assets seen in fit; got {asset!r}. They are {shown}{more}."
    )
