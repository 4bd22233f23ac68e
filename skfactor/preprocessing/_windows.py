"""Many training rows from one price table."""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor._validation import Interval, join, validate_params
from skfactor.panel._index import as_dates, show_date
from skfactor.preprocessing._cumulative_returns import last_known
from skfactor.preprocessing._frames import check_frame, check_rising


@validate_params(
    {
        "window": [Interval(Integral, 1, None, closed="left")],
        "step": [Interval(Integral, 1, None, closed="left")],
        "max_gap": [Interval(Integral, 0, None, closed="left")],
        "date": [str],
    },
    prefer_skip_nested_validation=True,
)
def rolling_windows(
    prices: Any,
    window: int = 256,
    step: int = 21,
    *,
    start_from: Any = None,
    end_before: Any = None,
    max_gap: int = 0,
    date: str = "date",
) -> pd.DataFrame:
    """Cut a table of dates by tickers into rows of consecutive days.

    A net that is to learn the shapes of price paths needs thousands of them, more than the few
    hundred stocks of one day. Windows overlap if ``step < window``: a test set must then come
    from other dates, which `start_from` and `end_before` see to.

    Parameters
    ----------
    prices : DataFrame of shape (n_dates, n_tickers)
        Prices, pandas or polars, a column for each ticker, dates rising; ``NaN`` is a missing
        price. Any other daily values, such as returns, do as well.
    window : int, default=256
        Days in a row.
    step : int, default=21
        Days from the end of one window to that of the next.
    start_from : date-like, default=None
        Windows start on this date or later: no earlier value is in them. ``None`` is the first
        date.
    end_before : date-like, default=None
        Windows end before this date: neither its value nor a later one is in them. ``None``
        takes the last date in.
    max_gap : int, default=0
        The most consecutive days over which a missing price is replaced by the last one before
        it in the same window. A window with a longer gap, or without a price on its first day,
        is left out.
    date : str, default="date"
        The column that holds the dates, where they are not the index.

    Returns
    -------
    DataFrame of shape (n_windows, window)
        One row for each complete window, a pandas frame with the index levels ``"date"``, the
        last day of the window, and ``"ticker"``, sorted by date. The columns are the days,
        ``"t-255"`` to ``"t-0"`` for a window of 256.

    Raises
    ------
    TypeError
        If ``prices`` is not a DataFrame.
    ValueError
        If the dates do not rise, a ticker appears twice, a column does not hold numbers, there
        are fewer dates than a window has days, or no window is complete.

    See Also
    --------
    CumulativeReturns : Turns the rows into scaled paths.

    Notes
    -----
    The last window ends on the last date that is allowed; the others are counted back from it.
    Within the rows of one date tickers have the order of the columns.

    Only stocks with a price on every day of the window are in it, so that those delisted within
    it are left out: paths of survivors, as in an index's list of members today.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.preprocessing import rolling_windows
    >>> days = pd.bdate_range("2024-01-01", periods=5)
    >>> prices = pd.DataFrame(
    ...     {"AAA": [1.0, 2.0, 3.0, 4.0, 5.0], "BBB": [None, 7.0, 7.5, 8.0, 8.5]}, index=days
    ... )
    >>> rolling_windows(prices, window=3, step=2)
                       t-2  t-1  t-0
    date       ticker
    2024-01-03 AAA     1.0  2.0  3.0
    2024-01-05 AAA     3.0  4.0  5.0
               BBB     7.5  8.0  8.5
    >>> train = rolling_windows(prices, 2, 1, end_before="2024-01-03")
    >>> test = rolling_windows(prices, 2, 1, start_from="2024-01-03")
    >>> train.index.get_level_values("date").max() < test.index.get_level_values("date").min()
    True
    """
    check_frame(prices, "`prices`")
    dates = _dates(prices, date)
    check_rising(dates, "`prices`")
    tickers = [column for column in prices.columns if column != date]
    _refuse_repeated(tickers)
    values = _values(prices, tickers)

    first = 0 if start_from is None else int(dates.searchsorted(_bound(dates, start_from)))
    end = len(dates) if end_before is None else int(dates.searchsorted(_bound(dates, end_before)))
    if end - first < window:
        span = f", {show_date(dates[first])} to {show_date(dates[end - 1])}" if end > first else ""
        raise ValueError(
            f"`window` must be at most {max(end - first, 0)}, the number of dates to cut{span}; "
            f"got {window}. Use a shorter window or more dates."
        )
    ends = np.arange(first + window - 1 + (end - first - window) % step, end, step)
    blocks = [complete_rows(values[i - window + 1 : i + 1].T, max_gap) for i in ends]
    counts = [len(kept) for _, kept in blocks]
    if not sum(counts):
        raise ValueError(
            f"No window of {window} days is complete for any ticker. Use a shorter window or "
            "raise `max_gap`."
        )
    index = pd.MultiIndex.from_arrays(
        [
            dates[np.repeat(ends, counts)],
            pd.Index(tickers)[np.concatenate([kept for _, kept in blocks])],
        ],
        names=["date", "ticker"],
    )
    columns = [f"t-{back}" for back in range(window - 1, -1, -1)]
    return pd.DataFrame(np.concatenate([rows for rows, _ in blocks]), index, columns)


def complete_rows(rows: FloatArray, max_gap: int) -> tuple[FloatArray, IntArray]:
    """Return the rows without gaps once short ones are filled, and their positions."""
    missing = np.isnan(rows)
    if not missing.any():
        return rows, np.arange(len(rows))
    last, age = last_known(rows)
    kept = np.flatnonzero(((age <= max_gap) & (last >= 0)).all(axis=1))
    return np.take_along_axis(rows[kept], last[kept], axis=1), kept


def _dates(prices: Any, date: str) -> pd.Index:
    """Return the dates: the column `date`, else the index of a pandas frame."""
    if date in prices.columns:
        return as_dates(prices[date], f"column {date!r} of `prices`")
    index = getattr(prices, "index", None)
    if index is None or isinstance(index, pd.RangeIndex | pd.MultiIndex):
        raise ValueError(
            f"`prices` must have dates as its index, or as the column {date!r}; got neither. "
            "Name the column of dates by `date=`, or use pivot for a long table."
        )
    return as_dates(index, "the index of `prices`")


def _bound(dates: pd.Index, date: Any) -> Any:
    """Read a date of the same kind as the table's; text is read as the table's dates are."""
    kind = as_dates([date], "`start_from` and `end_before`")
    if isinstance(kind, pd.DatetimeIndex) and isinstance(date, str):
        if isinstance(dates, pd.PeriodIndex):
            kind = kind.to_period(dates.freqstr)
        elif isinstance(dates, pd.DatetimeIndex) and kind.tz is None:
            kind = kind.tz_localize(dates.tz)
    alike = type(kind) is type(dates) and kind.dtype.kind == dates.dtype.kind
    if not alike or getattr(kind, "tz", None) != getattr(dates, "tz", None):
        raise ValueError(
            f"`start_from` and `end_before` must be dates like those of `prices`, such as "
            f"{dates[0]!r}; got {date!r}."
        )
    return kind[0]


def _refuse_repeated(tickers: list[Any]) -> None:
    repeated = pd.Index(tickers)[pd.Index(tickers).duplicated()].unique()
    if len(repeated):
        raise ValueError(
            f"Each ticker must be one column of `prices`; got several of "
            f"{join([repr(name) for name in repeated])}. Drop or rename the others."
        )


def _values(prices: Any, tickers: list[Any]) -> FloatArray:
    """Return the prices as floats, of the precision they have."""
    columns, text = [], []
    for name in tickers:
        try:
            column = prices[name].to_numpy()
            if column.dtype.kind in "mM":
                raise TypeError
            columns.append(column.astype(np.float64 if column.dtype != np.float32 else np.float32))
        except (TypeError, ValueError):
            text.append(repr(name))
    if text or not tickers:
        raise ValueError(
            f"Every column of `prices` must hold numbers, one column a ticker; got "
            f"{join(text) or 'no column'}. Drop them, or name the column of dates by `date=`."
        )
    values = np.column_stack(columns)
    infinite = np.flatnonzero(np.isinf(values).any(axis=0))
    if len(infinite):
        raise ValueError(
            f"`prices` must be finite or NaN; got infinities in "
            f"{join([repr(tickers[j]) for j in infinite])}. Make them NaN."
        )
    return values
