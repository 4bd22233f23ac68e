"""What was known before the return of a date began to be earned."""

import re
from typing import Any

import numpy as np
import pandas as pd

from skfactor.panel._index import date_kind

_MONTHS = re.compile(r"\s*(\d+)\s*months?\s*")


def previous(dates: pd.Index, periods: int = 1) -> pd.Index:
    """Return the date so many places before each of the sorted unique dates.

    Before the first date stands the first date less the longest step between two dates,
    which cannot be later than the true one in a regular calendar. With a single date there is
    none: ``NaT``, as for what is further back.
    """
    timeline = stamps(dates)
    if not periods:
        return timeline.as_unit("us")
    before: list[Any] = [pd.NaT] * periods
    if len(timeline) > 1:
        before[-1] = timeline[0] - np.diff(timeline).max()
    return pd.DatetimeIndex([*before, *timeline])[: len(timeline)].as_unit("us")


def stamps(dates: pd.Index, what: str = "Dates") -> pd.DatetimeIndex:
    """Return dates as days: the last day of a period, the days themselves otherwise."""
    if isinstance(dates, pd.PeriodIndex):
        return dates.to_timestamp(how="end").normalize().as_unit("us")
    if isinstance(dates, pd.DatetimeIndex):
        return dates
    raise ValueError(
        f"{what} must be datetimes or periods; got {date_kind(dates)} such as {dates[0]}. "
        "Convert them, for instance by pandas.to_datetime(dates, format='%Y%m')."
    )


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
