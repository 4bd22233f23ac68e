"""Rows of factors, of returns and of the risk-free return on the same dates."""

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor._validation import check_array
from skfactor.panel._index import as_dates, date_kind, show_date, stacklevel_of_user

_SHOWN = 3
_ISO_DATE = re.compile(r"\d{4}-?\d{2}")


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


def dates_of(data: Any) -> pd.Index | None:
    """Return the dates in the index of a pandas object, None if it holds none.

    Datetimes, periods, whole numbers such as 202401 or 20240131, and ISO text are dates.

    Raises
    ------
    ValueError
        For an index of two levels: rows must be dates.
    """
    index = getattr(data, "index", None)
    if not isinstance(index, pd.Index) or isinstance(index, pd.RangeIndex) or not len(index):
        return None
    if isinstance(index, pd.MultiIndex):
        raise ValueError(
            "A row must be a date and a column an asset or a factor; got an index of "
            f"{index.nlevels} levels. Unstack the assets into columns, for instance by "
            "y.unstack()."
        )
    kind = pd.api.types.infer_dtype(index, skipna=True)
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)) or kind in (
        "datetime",
        "datetime64",
        "date",
        "period",
    ):
        return as_dates(index, "the index")
    if kind == "integer":
        return _calendar_numbers(index)
    if kind == "string" and all(_ISO_DATE.match(str(text)) for text in index):
        try:
            return as_dates(index, "the index")
        except ValueError:
            return None
    return None


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
            f"of {len(other)} that are not: {_some(theirs, absent)}. X goes from "
            f"{show_date(ours.min())} to {show_date(ours.max())}."
        )
    if not inside.all():
        outside = np.flatnonzero(~inside)
        warnings.warn(
            f"{len(outside)} of {len(other)} dates of y are left out, {_some(theirs, outside)}: X "
            f"goes from {show_date(ours.min())} to {show_date(ours.max())}.",
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
                f"without: {_some(ours, absent)}."
            )
        return values[places]
    if len(values) != n_rows:
        raise ValueError(
            f"`risk_free` must have one entry for each of the {n_rows} rows of X; got "
            f"{len(values)}. In cross-validation use the name of a column of X, or a series "
            "with a date index beside an X with one."
        )
    return values


def common_keys(
    ours: pd.Index,
    theirs: pd.Index,
    our_name: str,
    their_name: str,
    unique: tuple[bool, bool] = (True, True),
) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of dates as numbers that are equal where the dates are the same.

    Dates are the same by month if neither side has two dates in one month: the last day, the
    last business day and the period of a month are one date then. Otherwise they are the same
    by day, or by instant if a side has two in a day.

    Raises
    ------
    ValueError
        For repeated dates and for monthly periods beside several dates a month.
    """
    for index, name, once in ((ours, our_name, unique[0]), (theirs, their_name, unique[1])):
        if once and not index.is_unique:
            again = np.flatnonzero(index.duplicated())
            raise ValueError(
                f"Each date must appear once in the index of {name}; got {len(again)} "
                f"repeated: {_some(index, again)}."
            )
    days = [_stamps(ours), _stamps(theirs)]
    months = [12 * stamps.year.to_numpy() + stamps.month.to_numpy() for stamps in days]
    if all(len(np.unique(m)) == i.nunique() for m, i in zip(months, (ours, theirs), strict=True)):
        return months[0], months[1]
    for index, other in ((ours, theirs), (theirs, ours)):
        if _is_monthly(index) and not _is_monthly(other):
            raise ValueError(
                f"The dates of {our_name} and {their_name} must have one frequency; got "
                f"{date_kind(ours)} in {our_name} and {date_kind(theirs)} in {their_name}, with "
                "several dates in a month on one side only."
            )
    whole = [stamps.normalize() for stamps in days]
    if all(len(w.unique()) == i.nunique() for w, i in zip(whole, (ours, theirs), strict=True)):
        days = [pd.DatetimeIndex(stamps) for stamps in whole]
    return days[0].asi8, days[1].asi8


def _stamps(dates: pd.Index) -> pd.DatetimeIndex:
    """Return dates as instants without a time zone, periods at their end."""
    if isinstance(dates, pd.PeriodIndex):
        dates = dates.to_timestamp(how="end").normalize()
    elif not isinstance(dates, pd.DatetimeIndex):
        numbers = dates.to_numpy(dtype=np.int64)
        monthly = (numbers < 10_000_00).all()
        text = pd.Index(numbers * 100 + 1 if monthly else numbers).astype(str)
        dates = pd.to_datetime(text, format="%Y%m%d")
    stamps = pd.DatetimeIndex(dates)
    return stamps.tz_localize(None).as_unit("us")


def _is_monthly(dates: pd.Index) -> bool:
    """Return whether a date can only stand for a month or longer."""
    if isinstance(dates, pd.PeriodIndex):
        return dates.freqstr.partition("-")[0] in ("M", "Q", "Y", "A")
    is_number = not isinstance(dates, pd.DatetimeIndex)
    return is_number and bool((dates.to_numpy(dtype=np.int64) < 10_000_00).all())


def _calendar_numbers(index: pd.Index) -> pd.Index | None:
    """Return whole numbers that all read as yyyymm or yyyymmdd, None for others."""
    values = index.to_numpy(dtype=np.int64)
    monthly = bool((values < 10_000_00).all())
    months = values if monthly else values // 100
    years, month = months // 100, months % 100
    valid = (years >= 1800) & (years <= 2200) & (month >= 1) & (month <= 12)
    if not monthly:
        valid &= (values % 100 >= 1) & (values % 100 <= 31)
    return as_dates(index) if valid.all() else None


def _time_order(dates: pd.Index, name: str) -> IntArray | None:
    """Return the order of time, None if rows are in it."""
    if not dates.is_unique:
        common_keys(dates, dates, name, name)  # raises
    return None if dates.is_monotonic_increasing else np.argsort(dates, kind="stable")


def _some(dates: pd.Index, places: IntArray) -> str:
    shown = ", ".join(show_date(dates[i]) for i in places[:_SHOWN])
    return shown + (", ..." if len(places) > _SHOWN else "")
