"""What was known before the return of a date began to be earned."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._validation import check_count
from skfactor.panel._index import date_kind


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


def check_window(window: Any, min_obs: Any) -> None:
    """Raise unless a window and the dates needed within it are None or agree."""
    for name, number in (("window", window), ("min_obs", min_obs)):
        if number is not None:
            check_count(number, name, 2)
    if window is not None and min_obs is not None and min_obs > window:
        raise ValueError(f"`min_obs` must be at most `window`, {window}; got {min_obs}.")


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
