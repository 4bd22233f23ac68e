"""Characteristics of stocks from filings, on the dates on which they were known."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_count, join
from skfactor.panel._index import has_panel_index
from skfactor.portfolios._asof import join_asof
from skfactor.portfolios._filing_ratios import ITEMS, RATIOS, VALUATIONS, FirmHistory, ratio
from skfactor.portfolios._periods import stamps
from skfactor.preprocessing._frames import check_frame, column_or_index

_AMOUNT = "amount of "


def fundamental_characteristics(
    filings: ArrayLike,
    dates: ArrayLike,
    *,
    market_cap: ArrayLike = None,
    lag: Any = None,
    published: str | None = None,
    max_age: Any = "18 months",
    filings_per_year: int = 4,
    on: str = "ticker",
    date: str = "date",
) -> pd.DataFrame:
    r"""Compute characteristics from quarterly or yearly filings, as a long panel.

    The row of a stock on date t holds what was known at the end of t−1, so that it can stand
    beside the return of t.

    Parameters
    ----------
    filings : DataFrame of shape (n_filings, n_items)
        One row a firm and fiscal period, pandas or polars, any order. Of the items in Notes
        those that are there are used; flows are those of the period, not since the start of
        the year.
    dates : MultiIndex, DataFrame, Series or array-like of dates
        The rows wanted: a (date, asset) index or a pandas object that has one, such as the
        result of ``price_characteristics``, or dates alone, for every firm on each of them.
    market_cap : Series of shape (n_rows,), default=None
        Market capitalisation at the end of t−1, in the unit of money of the filings, with
        the (date, asset) index of the rows wanted; rows that it lacks are missing. None leaves
        out what needs it.
    lag : int, str, timedelta or DateOffset, default=None
        When filings are public: so long after the end of the fiscal period. Days, or text such
        as ``"4 months"``. Needed unless ``published`` is given.
    published : str, default=None
        Column with the date on which each filing was published. With ``lag`` as well, the
        filing is known that long after.
    max_age : int, str, timedelta or DateOffset, default='18 months'
        Leave a row missing if the fiscal period ended longer ago than this. None keeps the
        last filing for ever.
    filings_per_year : int, default=4
        4 for quarters, 1 for years.
    on : str, default="ticker"
        Column of the firm, where there is no two-level index.
    date : str, default="date"
        Column of the end of the fiscal period, where there is no two-level index.

    Returns
    -------
    DataFrame of shape (n_rows, n_characteristics)
        In the order of the rows wanted, with a (date, asset) index; besides the
        characteristics ``"fiscal_end"``, the fiscal period that a row comes from. ``NaN``
        where an item is missing or a divisor is not positive.

    Raises
    ------
    TypeError
        If ``filings`` is not a DataFrame, or ``market_cap`` no Series.
    ValueError
        If no item is found, neither ``lag`` nor ``published`` is given, a firm has two filings
        of one fiscal period, or dates and firms are not found.

    See Also
    --------
    join_asof : What brings filings to dates.
    skfactor.preprocessing.price_characteristics : The same from prices and volumes.
    skfactor.preprocessing.PanelImputer : Fills what is missing.

    Notes
    -----
    Items: ``total_equity``, ``capital_expenditures``, ``cash``, ``cost_of_goods_sold``,
    ``current_assets``, ``current_liabilities``, ``dividends``, ``eps``, ``inventory``,
    ``long_term_debt``, ``net_income``, ``operating_cash_flow``, ``operating_income``,
    ``property_plant_equipment``, ``receivables``, ``research_and_development``, ``sales``,
    ``shares``, ``total_assets``, ``total_liabilities``.

    Flows :math:`F` are summed over the last year and divided by the mean of a level now and a
    year ago; growth is over a year. Standardised unexpected earnings are [1]_

    .. math::
        \mathrm{SUE}_q = \frac{E_q - E_{q-4}}{\sigma(E - E_{-4})}

    with the standard deviation of the last eight such changes, four at least; of yearly
    filings the last five, three at least. Earlier filings
    of the firm count as a year back only if they are a year back, by 45 days: after a gap
    what needs them is missing.

    ``earnings_surprise``, ``revenue_surprise``, ``return_on_equity``, ``return_on_assets``,
    ``operating_profitability``, ``gross_profitability``, ``profit_margin``,
    ``operating_margin``, ``asset_turnover``, ``cash_flow_to_assets``, ``accruals``,
    ``leverage``, ``debt_to_equity``, ``current_ratio``, ``quick_ratio``, ``cash_to_assets``,
    ``tangibility``, ``book_value_per_share``, ``asset_growth``, ``equity_growth``,
    ``share_issuance``, ``sales_growth``, ``earnings_change``, ``inventory_change``,
    ``receivables_change``, ``investment``, ``research_to_sales``, ``research_to_assets``,
    ``payout``; with ``market_cap`` also ``book_to_market``, ``earnings_to_price``,
    ``sales_to_price``, ``cash_flow_to_price``, ``dividend_yield`` and ``debt_to_market``.

    A filing that amends an older fiscal period would change the history that later filings
    are compared with: give the first version of each fiscal period.

    References
    ----------
    .. [1] G. Foster, C. Olsen and T. Shevlin, "Earnings releases, anomalies, and the behavior
       of security returns", Accounting Review 59, 574–603, 1984.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.portfolios import fundamental_characteristics
    >>> filings = pd.DataFrame(
    ...     {
    ...         "ticker": "A",
    ...         "date": pd.date_range("2022-03-31", periods=8, freq="QE"),
    ...         "net_income": 5.0,
    ...         "total_equity": 100.0,
    ...     }
    ... )
    >>> dates = pd.date_range("2024-01-31", periods=2, freq="ME")
    >>> fundamental_characteristics(filings, dates, lag="4 months")["return_on_equity"]
    date        asset
    2024-01-31  A        0.2
    2024-02-29  A        0.2
    Name: return_on_equity, dtype: float64
    """
    check_count(filings_per_year, "filings_per_year", 1)
    table, extra = _table(filings, on, date, published)
    history = _history(table, filings_per_year)
    columns = {
        name: formula(history)
        for name, (needs, formula) in RATIOS.items()
        if all(item in history for item in needs)
    }
    if market_cap is not None:
        for item, of_a_year in VALUATIONS.values():
            if item in history:
                values = history.year(item) if of_a_year else history.items[item]
                columns[_AMOUNT + item] = values
    if not columns:
        raise ValueError(
            "`filings` must have items that characteristics are made of; got the columns "
            f"{join([repr(c) for c in table.columns])}. Rename your own to these: "
            f"{', '.join(ITEMS)}."
        )
    ready = pd.DataFrame({"ticker": table["ticker"], "date": table["date"], **columns})
    for name in extra:
        ready[name] = table[name]
    joined = join_asof(ready, dates, lag=lag, published=published, max_age=max_age)
    found = joined.drop(columns=[name for name in extra if name in joined])
    return _with_valuations(found, market_cap)


def _table(
    filings: Any, on: str, date: str, published: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the items with firm and fiscal end as columns, sorted by them."""
    check_frame(filings, "`filings`")
    if is_polars(filings):
        frame = pd.DataFrame({c: filings[c].to_numpy() for c in filings.columns})
    elif has_panel_index(filings):
        frame = filings.reset_index(names=[date, on] if _date_first(filings) else [on, date])
    else:
        frame = filings.reset_index() if on not in filings.columns else filings
    keys = {
        "ticker": column_or_index(frame, on, "`filings`"),
        "date": stamps(pd.DatetimeIndex(column_or_index(frame, date, "`filings`"))),
    }
    extra = [published] if published is not None and published in frame.columns else []
    table = pd.DataFrame({name: np.asarray(key) for name, key in keys.items()})
    for name in [*ITEMS, *extra]:
        if name in frame.columns:
            table[name] = frame[name].to_numpy()
    table = table.sort_values(["ticker", "date"], kind="stable", ignore_index=True)
    twice = np.flatnonzero(table.duplicated(["ticker", "date"]))
    if len(twice):
        firm, end = table.loc[twice[0], ["ticker", "date"]]
        raise ValueError(
            "Each firm must have one filing a fiscal period; got "
            f"{len(twice)} more, such as of {firm!r} for {end:%Y-%m-%d}. Keep the first version."
        )
    return table, extra


def _date_first(filings: pd.DataFrame) -> bool:
    levels: Any = filings.index
    return isinstance(levels.levels[0], (pd.DatetimeIndex, pd.PeriodIndex))


def _history(table: pd.DataFrame, per_year: int) -> FirmHistory:
    firm = pd.factorize(table["ticker"])[0]
    day = table["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    items: dict[str, FloatArray] = {}
    for name in ITEMS:
        if name in table:
            values = pd.to_numeric(table[name], errors="raise").to_numpy(np.float64)
            items[name] = np.where(np.isfinite(values), values, np.nan)
    return FirmHistory(firm, day, items, per_year)


def _with_valuations(found: pd.DataFrame, market_cap: Any) -> pd.DataFrame:
    """Divide amounts by market value."""
    amounts = [name for name in found if str(name).startswith(_AMOUNT)]
    if market_cap is None:
        return found
    if not isinstance(market_cap, pd.Series) or not has_panel_index(market_cap):
        raise TypeError(
            "`market_cap` must be a pandas Series with a (date, asset) index; got "
            f"{type(market_cap).__name__}."
        )
    worth = market_cap.reindex(found.index).to_numpy(np.float64)
    for name, (item, _) in VALUATIONS.items():
        if _AMOUNT + item in found:
            found[name] = ratio(found[_AMOUNT + item].to_numpy(np.float64), worth)
    found = found.drop(columns=amounts)
    return found[[*(c for c in found if c != "fiscal_end"), "fiscal_end"]]
