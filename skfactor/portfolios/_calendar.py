"""When portfolios are formed anew, and which rows they are formed from."""

import calendar

import numpy as np
import pandas as pd

from skfactor._typing import IntArray
from skfactor.panel._index import date_kind

MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
CALENDARS = ("every", "monthly", *MONTHS)


def sources(dates: pd.Index, rebalance: str, lag: int) -> IntArray:
    """Return, for each date, the position of the date whose rows its portfolios come from.

    -1 where no portfolios have been formed yet.
    """
    position = np.arange(len(dates))
    if rebalance == "every":
        formed = position
    else:
        month = _months(dates)
        anew = np.r_[True, np.diff(month) > 0]
        if rebalance != "monthly":
            anew &= month % 12 + 1 == MONTHS[rebalance]
            if not anew.any():
                raise ValueError(
                    f"`rebalance` must be a month that the dates contain; got {rebalance!r}, "
                    f"and dates from {dates[0]} to {dates[-1]}."
                )
        formed = np.maximum.accumulate(np.where(anew, position, -1))
    return np.where(formed >= lag, formed - lag, -1)


def _months(dates: pd.Index) -> IntArray:
    """Count months since year 0."""
    if isinstance(dates, (pd.DatetimeIndex, pd.PeriodIndex)):
        return np.asarray(dates.year * 12 + dates.month - 1, dtype=np.intp)
    values = dates.to_numpy(dtype=np.int64)
    yyyymm = values // 100 if (values > 9_999_99).all() else values
    year, month = yyyymm // 100, yyyymm % 100
    if ((year < 1000) | (month < 1) | (month > 12)).any():
        raise ValueError(
            "`rebalance` by month needs dates that are datetimes, periods, yyyymm or yyyymmdd; "
            f"got {date_kind(dates)} such as {values[0]}. Convert them, or use 'every'."
        )
    return (year * 12 + month - 1).astype(np.intp)
