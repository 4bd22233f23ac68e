"""Join accounts to the dates on which they were known."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import ArrayLike
from skfactor.panel._calendar import time_span
from skfactor.panel._index import (
    as_dates,
    factorize,
    has_panel_index,
    read_index,
    refuse_duplicates,
    show_date,
)
from skfactor.portfolios._periods import previous, stamps
from skfactor.preprocessing._frames import (
    check_frame,
    column_or_index,
    take_or_missing,
)


def join_asof(
    filings: ArrayLike,
    dates: ArrayLike,
    *,
    lag: Any = None,
    published: str | None = None,
    max_age: Any = None,
    periods: int = 1,
    on: str = "ticker",
    date: str = "date",
) -> pd.DataFrame:
    """Give each row of a panel the accounts that were known before its return began.

    Row (t, asset) gets the last filing that was public at the end of t−1, so that the
    result can stand beside the return of t. Nothing comes from a later filing or another firm.

    Parameters
    ----------
    filings : DataFrame
        One row a firm and fiscal period, pandas or polars, any order: firm and end of the
        fiscal period as columns, or as the two-level index of a pandas frame.
    dates : MultiIndex, DataFrame, Series or array-like of dates
        The rows wanted: a (date, asset) index or a pandas object that has one, or dates
        alone, for every firm on each of them.
    lag : int, str, timedelta or DateOffset, default=None
        When filings are public: so long after the end of the fiscal period. Days, or text such
        as ``"6 months"``. Needed unless ``published`` is given.
    published : str, default=None
        Column with the date on which each filing was published. With ``lag`` as well, the
        filing is known that long after. Filings without this date are never known.
    max_age : int, str, timedelta or DateOffset, default=None
        Leave the row missing if the fiscal period ended longer ago than this. ``None`` keeps
        the last filing for ever.
    periods : int, default=1
        How many dates of the panel lie between what is known and the row: 0 gives what was
        known on the row's own date, which must not be sorted against the return of that date.
    on : str, default="ticker"
        Column of the firm, where there is no two-level index.
    date : str, default="date"
        Column of the end of the fiscal period, where there is no two-level index.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        In the order of the rows wanted (dates alone: by date, then firm), with a (date,
        asset) index. Besides the columns of ``filings``, less the keys, there is
        ``"fiscal_end"``, the fiscal period that a row comes from. A filing is taken whole: what
        is missing in it stays missing.

    Raises
    ------
    TypeError
        If ``filings`` is not a DataFrame.
    ValueError
        If neither ``lag`` nor ``published`` is given, if dates or firms are not found or
        missing, and if two filings of a firm have the same fiscal period and publication date.

    See Also
    --------
    skfactor.preprocessing.latest_values : One row a firm, on one date.
    skfactor.preprocessing.PanelImputer : Fill what is missing from earlier filings.

    Notes
    -----
    A filing published on the date t−1 itself counts as known at its end. The date before the
    first one is taken to be the longest step between two dates earlier. Where a firm publishes
    an amendment to an old fiscal period, or several periods at once, the latest fiscal period
    among what is public counts, in its last version.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.portfolios import join_asof
    >>> filings = pd.DataFrame(
    ...     {
    ...         "ticker": ["A", "A"],
    ...         "date": pd.to_datetime(["2022-12-31", "2023-12-31"]),
    ...         "sales": [1.0, 2.0],
    ...     }
    ... )
    >>> dates = pd.date_range("2024-05-31", periods=3, freq="ME")
    >>> join_asof(filings, dates, lag="6 months")["sales"].to_list()
    [1.0, 1.0, 2.0]
    """
    check_frame(filings, "`filings`")
    if lag is None and published is None:
        raise ValueError(
            "`lag` or `published` must say when filings become known; got neither. "
            "Without publication dates, lag='6 months' is customary for yearly accounts."
        )
    if not isinstance(periods, (int, np.integer)) or isinstance(periods, bool) or periods < 0:
        raise ValueError(f"`periods` must be an int of at least 0; got {periods!r}.")
    table, keys = _filings(filings, on, date, published, lag)
    index, wanted = _wanted(dates, keys["firm"])

    day_codes, days = factorize(wanted["day"])
    known_at = previous(days, int(periods))
    left = pd.DataFrame({"firm": wanted["firm"], "known": known_at[day_codes]})
    left["row"] = np.arange(len(left))
    left = left[left["known"].notna()].sort_values("known", kind="stable")
    joined = pd.merge_asof(left, keys, on="known", by="firm").set_index("row")
    filing = joined["filing"].fillna(-1).astype(np.intp)
    if max_age is not None:
        oldest = joined["known"] - time_span(max_age, "max_age")
        filing = filing.where(joined["fiscal_end"] >= oldest, -1)
    at = filing.reindex(range(len(index)), fill_value=-1).to_numpy()
    taken = {name: take_or_missing(table[name], at) for name in table.columns}
    return pd.DataFrame(taken, index=index, columns=list(table.columns))


def _filings(
    filings: Any, on: str, date: str, published: str | None, lag: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the values, and for each filing that counts when, whose and which it is."""
    indexed = read_index(filings, "`filings`")
    if indexed is not None and indexed[1] is not None:
        ends, firms = indexed[0], indexed[1]
    elif date in filings.columns:
        ends = as_dates(filings[date], f"column {date!r}")
        firms = column_or_index(filings, on, "`filings`")
    else:
        raise ValueError(
            f"`filings` must have its dates as the column {date!r} or in its index; got the "
            f"columns {list(filings.columns)[:5]}. Say which column it is by `date=`."
        )
    ends = stamps(ends, "The dates of `filings`")
    if published is None:
        known = ends
    else:
        if published not in filings.columns:
            raise ValueError(
                f"`published` must name a column of `filings`; got {published!r} and the columns "
                f"{list(filings.columns)[:5]}."
            )
        known = pd.DatetimeIndex(pd.to_datetime(np.asarray(filings[published].to_numpy()))).as_unit(
            "us"
        )
        early = np.flatnonzero(known < ends)
        if len(early):
            worst = int(early[0])
            raise ValueError(
                f"A filing must be published after its fiscal period ends; got {len(early)} that "
                f"are not, first of {firms[worst]!r}, published {show_date(known[worst])} for "
                f"{show_date(ends[worst])}. Swap the columns, or drop those rows."
            )
    if lag is not None:
        known = pd.DatetimeIndex(known + time_span(lag, "lag")).as_unit("us")

    keys = pd.DataFrame({"known": known, "fiscal_end": ends, "firm": firms})
    keys["filing"] = np.arange(len(keys))
    keys = keys[keys["known"].notna()]
    keys = keys.sort_values(["known", "fiscal_end"], kind="stable")
    again = keys.duplicated(["firm", "known", "fiscal_end"])
    if again.any():
        first = keys[again].iloc[0]
        raise ValueError(
            f"A firm must file a fiscal period once a date; got {int(again.sum())} repeated, first "
            f"{first['firm']!r} for {show_date(first['fiscal_end'])}. Keep one of each."
        )
    newest = keys.groupby("firm", sort=False)["fiscal_end"].cummax()
    keys = keys[keys["fiscal_end"] >= newest]
    dropped = [column for column in (on, date, published) if column in filings.columns]
    table = filings.to_pandas() if is_polars(filings) else filings
    table = table.drop(columns=dropped).assign(fiscal_end=ends)
    return table, keys


def _wanted(dates: Any, firms: pd.Series) -> tuple[pd.MultiIndex, dict[str, pd.Index]]:
    """Return the rows wanted, as an index and as days and firms."""
    if isinstance(dates, pd.MultiIndex):
        dates = pd.Series(0, dates)
    if has_panel_index(dates):
        found = read_index(dates, "`dates`")
        if found is None or found[1] is None:
            raise ValueError("`dates` must be a (date, asset) index or dates; got neither.")
        codes, unique = factorize(found[0])
        asset_codes, assets = factorize(found[1])
        refuse_duplicates(codes, unique, asset_codes, assets)
        return dates.index, {"day": stamps(found[0]), "firm": found[1]}
    given = getattr(dates, "index", None) if hasattr(dates, "iloc") else dates
    _, unique = factorize(as_dates(given))
    index: pd.MultiIndex = pd.MultiIndex.from_product(
        [list(unique), sorted(firms.unique())], names=["date", "asset"]
    )
    return index, {
        "day": stamps(pd.Index(index.get_level_values(0))),
        "firm": pd.Index(index.get_level_values(1)),
    }
