"""Rows of factors, of returns and of the risk-free return on the same dates."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor._validation import check_array
from skfactor.panel._calendar import common_keys, dates_of, some_dates
from skfactor.panel._index import show_date, stacklevel_of_user


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where the dates of a regression stand in the factors and in the returns.

    Parameters
    ----------
    factor_rows : ndarray of int or None
        Rows of the factors in the order of time; None for all of them as they are.
    return_rows : ndarray of int or None
        The row of the returns on each of these dates, -1 for none; None as above.
    """

    factor_rows: IntArray | None = None
    return_rows: IntArray | None = None


def align(X: Any, y: Any, n_rows: int, n_returns: int) -> Alignment:
    """Return which rows of ``X`` and ``y`` belong together.

    Parameters
    ----------
    X, y : as the user handed them in
        Factors and returns, for their indexes.
    n_rows, n_returns : int
        Their numbers of rows.

    Returns
    -------
    Alignment
        By date where both carry dates, otherwise row by row.

    Raises
    ------
    ValueError
        For repeated dates, dates that cannot be compared, dates of ``y`` that are missing
        between those of ``X``, and without dates for numbers of rows that differ.

    Warns
    -----
    UserWarning
        For dates of ``y`` before the first or after the last one of ``X``.
    """
    ours, theirs = dates_of(X), dates_of(y)
    if ours is None or theirs is None:
        if n_rows != n_returns:
            raise ValueError(
                f"X and y must have the same rows; got {n_rows} in X and {n_returns} in y "
                "(inconsistent numbers of samples). Give both a date index to align them."
            )
        order = None if ours is None else _time_order(ours, "X")
        return Alignment(order, order)
    keys, other = common_keys(ours, theirs, "X", "y")
    places = pd.Index(keys).get_indexer(pd.Index(other))
    inside = (other >= keys.min()) & (other <= keys.max())
    absent = np.flatnonzero((places < 0) & inside)
    if len(absent) or not inside.any():
        absent = absent if len(absent) else np.arange(len(other))
        raise ValueError(
            f"Every date of y between the first and the last of X must be in X; got {len(absent)} "
            f"of {len(other)} that are not: {some_dates(theirs, absent)}. X goes from "
            f"{show_date(ours.min())} to {show_date(ours.max())}."
        )
    if not inside.all():
        outside = np.flatnonzero(~inside)
        warnings.warn(
            f"{len(outside)} of {len(other)} dates of y are left out, "
            f"{some_dates(theirs, outside)}: X goes from {show_date(ours.min())} to "
            f"{show_date(ours.max())}.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )
    order = np.argsort(keys, kind="stable")
    row_of = np.full(len(keys), -1, dtype=np.intp)
    row_of[places[inside]] = np.flatnonzero(inside)
    row_of = row_of[order]
    # Dates before the first return and after the last one say nothing; those between them
    # are gaps.
    covered = np.flatnonzero(row_of >= 0)
    span = slice(covered[0], covered[-1] + 1)
    factor_rows, return_rows = order[span], row_of[span]
    if len(keys) == len(other) and (factor_rows == np.arange(len(keys))).all():
        return Alignment(None, None if (return_rows == factor_rows).all() else return_rows)
    return Alignment(factor_rows.astype(np.intp), return_rows)


def risk_free_on(risk_free: Any, X: Any, n_rows: int) -> FloatArray:
    """Return a risk-free series on the rows of ``X``.

    Parameters
    ----------
    risk_free : Series, one-column DataFrame or array-like of shape (n_rows,)
        Looked up by date where both carry dates.
    X : as the user handed it in
        The factors.
    n_rows : int
        The number of rows of ``X``.

    Returns
    -------
    ndarray of shape (n_rows,)
        The risk-free return of each row.

    Raises
    ------
    ValueError
        For dates that are missing and for lengths that differ.
    """
    values = np.asarray(
        check_array(risk_free, ensure_2d=False, dtype=np.float64, input_name="risk_free")
    )
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"`risk_free` must be one series; got shape {values.shape}.")
    ours, theirs = dates_of(X), dates_of(risk_free)
    if ours is not None and theirs is not None:
        keys, other = common_keys(ours, theirs, "X", "`risk_free`", unique=(False, True))
        places = pd.Index(other).get_indexer(pd.Index(keys))
        absent = np.flatnonzero(places < 0)
        if len(absent):
            raise ValueError(
                f"`risk_free` must have every date of X; got {len(absent)} of {len(keys)} dates "
                f"without: {some_dates(ours, absent)}."
            )
        return values[places]
    if len(values) != n_rows:
        raise ValueError(
            f"`risk_free` must have one entry for each of the {n_rows} rows of X; got "
            f"{len(values)}. In cross-validation use the name of a column of X, or a series "
            "with a date index beside an X with one."
        )
    return values


def _time_order(dates: pd.Index, name: str) -> IntArray | None:
    """Return the order of time, None if rows are in it."""
    if not dates.is_unique:
        common_keys(dates, dates, name, name)  # raises
    return None if dates.is_monotonic_increasing else np.argsort(dates, kind="stable")
