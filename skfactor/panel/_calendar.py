"""Dates that mean the same day or month, however they are written, and spans of time."""

import re
from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import FloatArray, IntArray
from skfactor.panel._index import as_dates, date_kind, show_date

_SHOWN = 3
_ISO_DATE = re.compile(r"\d{4}-?\d{2}")
_MONTHS = re.compile(r"\s*(\d+)\s*months?\s*")


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


def align_to_dates(frame: Any, dates: pd.Index, name: str) -> tuple[FloatArray, list[str]]:
    """Return the rows of a date-indexed frame on the given dates.

    Parameters
    ----------
    frame : pandas Series or DataFrame of shape (n_rows, n_columns), or polars DataFrame
        Numbers with dates in the index; a polars frame has them in its first column.
    dates : pandas.Index of shape (n_dates,)
        The dates wanted. Dates of one month are the same if neither side has two of them.
    name : str
        What errors call the frame.

    Returns
    -------
    values : ndarray of shape (n_dates, n_columns)
        Its rows on these dates, as float64.
    columns : list of str
        The names of its columns.

    Raises
    ------
    TypeError
        For anything but a frame with dates.
    ValueError
        For dates that are not in the frame, and for values that are not finite there.
    """
    frame = from_polars(frame, name)
    theirs = dates_of(frame) if isinstance(frame, (pd.Series, pd.DataFrame)) else None
    if theirs is None:
        raise TypeError(
            f"{name} must be a pandas object with dates in its index, or a polars frame with "
            f"dates in its first column; got {type(frame).__name__} without dates."
        )
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(name="factor" if frame.name is None else frame.name)
    keys, other = common_keys(dates, theirs, "X", name)
    places = pd.Index(other).get_indexer(pd.Index(keys))
    absent = np.flatnonzero(places < 0)
    if len(absent):
        raise ValueError(
            f"{name} must cover every date of X; got {len(absent)} of {len(dates)} dates that "
            f"it lacks: {some_dates(dates, absent)}. It goes from {show_date(theirs.min())} to "
            f"{show_date(theirs.max())}."
        )
    values = frame.iloc[places].to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        raise ValueError(
            f"{name} must be finite on every date of X; got {len(bad)} dates with gaps or "
            f"infinities: {some_dates(dates, bad)}."
        )
    return values, [str(column) for column in frame.columns]


def from_polars(frame: Any, name: str) -> Any:
    """Return a polars frame as a pandas one whose index is its first column, dates."""
    if not is_polars(frame) or not hasattr(frame, "to_dict"):
        return frame
    first = frame.columns[0]
    index = as_dates(frame[first], f"the column {first!r} of {name}")
    return pd.DataFrame({c: frame[c].to_numpy() for c in frame.columns[1:]}, index=index)


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
                f"repeated: {some_dates(index, again)}."
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


def some_dates(dates: pd.Index, places: IntArray) -> str:
    """Return the first few dates in words."""
    shown = ", ".join(show_date(dates[i]) for i in places[:_SHOWN])
    return shown + (", ..." if len(places) > _SHOWN else "")


def time_span(value: Any, name: str) -> Any:
    """Return a span of time that can be added to dates.

    Whole numbers are days; text is ``"6 months"`` or what ``pandas.Timedelta`` reads.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        span: Any = pd.Timedelta(int(value), unit="D")
    elif isinstance(value, str):
        months = _MONTHS.fullmatch(value)
        try:
            span = pd.DateOffset(months=int(months[1])) if months else pd.Timedelta(value)
        except ValueError as error:
            raise ValueError(_not_a_span(value, name)) from error
    elif isinstance(value, (pd.DateOffset, pd.offsets.BaseOffset)):
        span = value
    else:
        try:
            span = pd.Timedelta(value)
        except (TypeError, ValueError) as error:
            raise ValueError(_not_a_span(value, name)) from error
    day = pd.Timestamp("2000-01-31")
    if pd.isna(span) or day + span < day:
        raise ValueError(_not_a_span(value, name))
    return span


def _not_a_span(value: Any, name: str) -> str:
    return (
        f"`{name}` must be a span of time that is not negative: a number of days, text such as "
        f"'6 months' or '90D', a timedelta or a DateOffset; got {value!r}."
    )
