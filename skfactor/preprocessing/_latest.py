"""From a history of accounts to one row a firm, as known on a date."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import IntArray
from skfactor.panel._calendar import time_span
from skfactor.panel._index import (
    as_assets,
    as_dates,
    date_kind,
    factorize,
    read_index,
    refuse_duplicates,
    show_date,
)
from skfactor.preprocessing._frames import check_frame, column_or_index, take_or_missing


def latest_values(
    history: Any,
    known_on: Any = None,
    *,
    max_age: Any = None,
    on: str = "ticker",
    date: str = "date",
) -> Any:
    """Return one row a firm: the last known value of each column on a date.

    Within the history of a firm the last value is carried forward, column by column, so a
    row of the result may hold values of several dates. Nothing is taken from another firm
    or from a later date.

    Parameters
    ----------
    history : DataFrame
        Values by firm and date, pandas or polars, in any order of rows: as columns, or as
        the two-level index of a pandas frame. The date should be that on which the values
        became public.
    known_on : date-like, default=None
        The date on which the values are known; rows dated after it are not used. ``None``
        means the last date of the history.
    max_age : int, str, timedelta, DateOffset or None, default=None
        The most by which a value may be older than ``known_on``: a number of days, text such
        as ``"18 months"`` or ``"540D"``, a timedelta or an offset. Needs dates that are
        datetimes.
    on : str, default="ticker"
        The column that names the firm, where there is no two-level index.
    date : str, default="date"
        The column that holds the dates, where there is no two-level index.

    Returns
    -------
    DataFrame
        One row for each firm with a row that is neither after ``known_on`` nor too old, sorted
        by firm; missing where the firm had no such value. A pandas frame is indexed by firm, a
        polars frame has it as first column.

    Raises
    ------
    TypeError
        If ``history`` is not a DataFrame.
    ValueError
        If firm or date are not found or missing, if a (date, firm) pair appears twice, if
        ``max_age`` is no span of time, and if no row is left.

    See Also
    --------
    merge_tables : Join the result to other tables.
    PanelImputer : The same along a whole panel, as an estimator.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.preprocessing import latest_values
    >>> history = pd.DataFrame(
    ...     {
    ...         "ticker": ["AAA", "AAA", "BBB", "BBB"],
    ...         "date": pd.to_datetime(["2022-12-31", "2023-12-31", "2022-12-31", "2024-12-31"]),
    ...         "sales": [1.0, 2.0, 5.0, 6.0],
    ...         "inventory": [0.5, np.nan, 0.7, 0.8],
    ...     }
    ... )
    >>> latest_values(history, "2024-06-30")
            sales  inventory
    ticker
    AAA       2.0        0.5
    BBB       5.0        0.7
    """
    check_frame(history, "`history`")
    row_dates, firms, name = _dates_and_firms(history, on, date)
    date_codes, unique_dates = factorize(row_dates)
    firm_codes, unique_firms = factorize(firms)
    refuse_duplicates(date_codes, unique_dates, firm_codes, unique_firms)

    known = _known_rows(row_dates, known_on, max_age)
    order = np.lexsort((date_codes, firm_codes))
    order = order[known[order]]
    kept, firm_of_row = np.unique(firm_codes[order], return_inverse=True)

    values = [c for c in history.columns if c not in (on, date)]
    rows = {
        column: _last_present(_present(history[column])[order], order, firm_of_row, len(kept))
        for column in values
    }
    return _gather(history, rows, unique_firms[kept].rename(name))


def _dates_and_firms(history: Any, on: str, date: str) -> tuple[pd.Index, pd.Index, str]:
    """Return dates and firms of the rows, and what the firms are called."""
    indexed = read_index(history, "`history`")
    if indexed is not None and indexed[1] is not None:
        return indexed[0], indexed[1], str(indexed[1].name or on)
    if date in history.columns:
        row_dates = as_dates(history[date], f"column {date!r}")
    elif indexed is not None:
        row_dates = indexed[0]
    else:
        raise ValueError(
            f"`history` must have its dates as the column {date!r} or in its index; got the "
            f"columns {list(history.columns)[:5]}. Say which column it is by `date=`."
        )
    return row_dates, as_assets(column_or_index(history, on, "`history`")), on


def _known_rows(row_dates: pd.Index, known_on: Any, max_age: Any) -> np.ndarray:
    """Return which rows are dated neither after ``known_on`` nor too long before it."""
    if not len(row_dates):
        raise ValueError("`history` must have at least one row; got none.")
    at = row_dates.max() if known_on is None else _one_date(known_on, row_dates)
    known = np.asarray(row_dates <= at)
    if max_age is not None:
        if not isinstance(row_dates, pd.DatetimeIndex):
            raise ValueError(
                f"`max_age` needs dates that are datetimes; got {date_kind(row_dates)}. "
                "Convert the dates by pandas.to_datetime."
            )
        known &= np.asarray(row_dates >= at - time_span(max_age, "max_age"))
    if not known.any():
        limit = "" if max_age is None else f" and no older than {max_age!r}"
        raise ValueError(
            f"`history` must have a row dated up to {show_date(at)}{limit}; got dates from "
            f"{show_date(row_dates.min())} to {show_date(row_dates.max())}."
        )
    return known


def _one_date(known_on: Any, row_dates: pd.Index) -> Any:
    if isinstance(row_dates, pd.PeriodIndex):
        return pd.Period(known_on, freq=row_dates.freqstr)
    index = as_dates([known_on], "`known_on`")
    if isinstance(row_dates, pd.DatetimeIndex) and isinstance(index, pd.DatetimeIndex):
        # A plain date means that date where the history has it.
        index = index.tz_localize(row_dates.tz) if index.tz is None else index
    if date_kind(index) != date_kind(row_dates):
        raise ValueError(
            "`known_on` must be of the same kind as the dates of `history`, "
            f"{date_kind(row_dates)}; got {known_on!r}."
        )
    return index[0]


def _present(column: Any) -> np.ndarray:
    """Return where a pandas or polars column has a value."""
    if isinstance(column, pd.Series):
        return column.notna().to_numpy()
    present = column.is_not_null()
    if column.dtype.is_float():
        present &= column.is_not_nan().fill_null(False)
    return np.asarray(present)


def _last_present(
    present: np.ndarray, order: IntArray, firm_of_row: IntArray, n_firms: int
) -> IntArray:
    """Return the row of each firm's last present value, -1 for none.

    ``present``, ``order`` and ``firm_of_row`` run by firm and, within a firm, by date.
    """
    last = np.full(n_firms, -1, dtype=np.intp)
    np.maximum.at(last, firm_of_row[present], np.flatnonzero(present))
    return np.where(last >= 0, order[last], -1)


def _gather(history: Any, rows: dict[Any, IntArray], firms: pd.Index) -> Any:
    """Return the values at the given rows, column by column, missing for -1."""
    if is_polars(history):
        import polars as pl

        columns = [
            history[name][at.clip(min=0)].zip_with(
                pl.Series(at >= 0), pl.Series(name, [None] * len(at), dtype=history[name].dtype)
            )
            for name, at in rows.items()
        ]
        return pl.DataFrame([pl.Series(firms.name, firms.to_list()), *columns])
    taken = {name: take_or_missing(history[name], at) for name, at in rows.items()}
    return pd.DataFrame(taken, index=firms, columns=list(rows))
