"""Readers for real files that the user has: parquet or CSV in, tidy frames out."""

from dataclasses import dataclass
from numbers import Integral
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from skfactor._validation import Interval, join, validate_params
from skfactor.datasets._french import as_days

TICKER, PERIOD, SECTOR, INDUSTRY = (
    "Ticker Symbol",
    "Period Ending",
    "GICS Sector",
    "GICS Sub Industry",
)

ORIGINAL_COLUMNS = {
    "Total Revenue": "sales",
    "Net Income": "net_income",
    "Total Assets": "total_assets",
    "Total Equity": "total_equity",
    "Total Liabilities": "total_liabilities",
    "Operating Income": "operating_income",
    "Net Cash Flow-Operating": "operating_cash_flow",
    "Gross Profit": "gross_profit",
}

EXTENSION_COLUMNS = {
    "Total Current Assets": "current_assets",
    "Accounts Payable": "accounts_payable",
    "Long-Term Debt": "long_term_debt",
    "Total Current Liabilities": "current_liabilities",
    "Cost of Revenue": "cost_of_goods_sold",
    "Depreciation": "depreciation_and_amortization",
    "Capital Expenditures": "capital_expenditures",
    "Inventory": "inventory",
    "Net Receivables": "receivables",
    "Cash and Cash Equivalents": "cash",
    "Fixed Assets": "fixed_assets",
    "Goodwill": "goodwill",
    "Intangible Assets": "intangible_assets",
    "Retained Earnings": "retained_earnings",
    "Sales, General and Admin.": "selling_and_administrative",
    "Research and Development": "research_and_development",
    "Interest Expense": "interest_and_expense",
    "Income Tax": "income_taxes",
    "Short-Term Debt / Current Portion of Long-Term Debt": "short_term_debt",
    "Short-Term Investments": "short_term_investments",
    "Other Current Assets": "other_current_assets",
    "Other Current Liabilities": "other_current_liabilities",
    "Net Cash Flows-Investing": "investing_cash_flow",
    "Net Cash Flows-Financing": "financing_cash_flow",
    "Net Borrowings": "net_borrowings",
    "Other Assets": "other_assets",
    "Other Liabilities": "other_liabilities",
}

PRICE_COLUMNS = tuple(
    f"ret_{horizon}_{moment}" for horizon in "dwmqs" for moment in ("mean", "std")
)

SP500_STUDY_COLUMNS = MappingProxyType(
    {
        "market_cap": None,
        "eps": None,
        "per": None,
        "roe": None,
        "volatility": "ret_d_std",
        "net_cash_flow": None,
        "nonoperating_income": None,
        "equity_in_net_loss": None,
        "inventory_decrease": None,
        "short_term_investments_change": None,
        "current_assets": "current_assets",
        "accounts_payable": "accounts_payable",
        "long_term_debt": "long_term_debt",
        "current_liabilities": "current_liabilities",
        "cost_of_goods_sold": "cost_of_goods_sold",
        "operating_income": "operating_income",
        "net_income": "net_income",
        "sales": "sales",
        "income_taxes": "income_taxes",
        "interest_and_expense": "interest_and_expense",
        "depreciation_and_amortization": "depreciation_and_amortization",
        "capital_expenditures": "capital_expenditures",
    }
)
"""Where :func:`read_clustering_cross_section` puts each column of the source study.

A column of the study maps to a column of ``original``, ``extension`` or ``price``, or to
``None`` where the file has nothing for it.

Examples
--------
>>> from skfactor.datasets import SP500_STUDY_COLUMNS
>>> SP500_STUDY_COLUMNS["volatility"]
'ret_d_std'
>>> [name for name, column in SP500_STUDY_COLUMNS.items() if column is None][:3]
['market_cap', 'eps', 'per']
"""


@dataclass(frozen=True, eq=False, repr=False)
class ClusteringCrossSection:
    """One fiscal year of real firms, one row a firm, ready to merge and cluster.

    Made by :func:`read_clustering_cross_section`. Every table is indexed by ``ticker``, in the
    same order.

    Parameters
    ----------
    original : DataFrame of shape (n_firms, 8)
        The file's core fundamentals, in dollars.
    extension : DataFrame of shape (n_firms, 27)
        Its other fundamentals, in dollars.
    price : DataFrame of shape (n_firms, 10)
        Mean and standard deviation of log returns over days (``ret_d_mean``, ``ret_d_std``),
        weeks (``w``), months (``m``), three months (``q``) and six months (``s``), from the
        five years up to the period's end. ``NaN`` for a firm with too short a history.
    sectors : Series of shape (n_firms,)
        GICS sector.
    industries : Series of shape (n_firms,)
        GICS sub-industry.
    period_ends : Series of shape (n_firms,)
        Day on which each firm's fiscal year ended.
    fiscal_year : int
        The fiscal year.

    See Also
    --------
    read_clustering_cross_section : Read one from a file.
    StockUniverse : A synthetic counterpart.

    Examples
    --------
    >>> from skfactor.datasets import read_clustering_cross_section
    >>> stocks = read_clustering_cross_section("clustering_sp500.parquet")  # doctest: +SKIP
    >>> stocks.sectors["AAPL"]  # doctest: +SKIP
    'Information Technology'
    """

    original: pd.DataFrame
    extension: pd.DataFrame
    price: pd.DataFrame
    sectors: pd.Series
    industries: pd.Series
    period_ends: pd.Series
    fiscal_year: int

    def __repr__(self) -> str:
        counts = (self.original.shape[1], self.extension.shape[1], self.price.shape[1])
        return (
            f"{type(self).__name__}({len(self.original)} firms, fiscal year {self.fiscal_year}, "
            f"{' + '.join(map(str, counts))} features)"
        )


@validate_params(
    {
        "path": [str, PathLike],
        "fiscal_year": [Interval(Integral, 1900, 2200, closed="both"), None],
    },
    prefer_skip_nested_validation=True,
)
def read_clustering_cross_section(
    path: str | PathLike[str], fiscal_year: int | None = None
) -> ClusteringCrossSection:
    """Read one fiscal year of S&P 500 firms with their fundamentals and price features.

    The file has one row a firm and fiscal year, as the public New York Stock Exchange
    fundamentals do, with price features joined to it: the columns ``Ticker Symbol``,
    ``Period Ending``, ``GICS Sector``, ``GICS Sub Industry``, eight core and 27 further
    fundamentals in dollars, and ``ret_d_mean`` to ``ret_s_std``.

    Parameters
    ----------
    path : str or path-like
        A parquet file.
    fiscal_year : int, default=None
        Which fiscal year. ``None`` takes the one with the most firms, the latest of several.

    Returns
    -------
    ClusteringCrossSection
        The tables by ticker, with columns named in snake_case.

    Raises
    ------
    FileNotFoundError
        If there is no file at ``path``.
    ImportError
        If pandas has no parquet engine.
    ValueError
        If the file is no such table, or the fiscal year is not in it.

    See Also
    --------
    make_stock_universe : A synthetic market with the columns of the study.
    ClusteringCrossSection : What is returned.

    Notes
    -----
    A fiscal year that ends in January to May counts for the calendar year before it. A firm
    with two reports in a fiscal year keeps the later one.

    ``SP500_STUDY_COLUMNS`` says where each column of the source study [1]_ is found. Most of
    its accounting columns are there under the same name. The file has no **market
    capitalisation**, **EPS** and **PER** (it holds neither shares nor price levels), and no
    column that takes their place. **ROE** is not a column, but is
    ``original["net_income"] / original["total_equity"]``. **Volatility** is ``ret_d_std`` in
    ``price``, a day and not a year. The change in cash, non-operating income, equity in net
    loss, the decrease in inventory and the change in short-term investments are missing. So
    ``original`` is not the study's set of eight, but the file's core: sales, income, assets,
    equity, liabilities and cash flow.

    In these data a zero can also mean "not reported": banks, for one, report no current
    assets.

    References
    ----------
    .. [1] B. Koo, K. Lee, S. Sin, B. Park, "Power of Autoencoder and t-SNE in Stock Deep
       Clustering and its Application to Fama-French Factor Model".

    Examples
    --------
    >>> from skfactor.datasets import read_clustering_cross_section
    >>> stocks = read_clustering_cross_section("clustering_sp500.parquet")  # doctest: +SKIP
    >>> stocks  # doctest: +SKIP
    ClusteringCrossSection(447 firms, fiscal year 2015, 8 + 27 + 10 features)
    """
    table = _read_parquet(path)
    names = {**ORIGINAL_COLUMNS, **EXTENSION_COLUMNS}
    _require(table, [TICKER, PERIOD, SECTOR, INDUSTRY, *names, *PRICE_COLUMNS], path)
    _require_numbers(table, [*names, *PRICE_COLUMNS], path)
    table[PERIOD] = pd.to_datetime(table[PERIOD])
    unknown = int(table[[TICKER, PERIOD]].isna().any(axis=1).sum())
    if unknown:
        raise ValueError(
            f"Every row of {fspath(path)!r} must have a {TICKER!r} and a {PERIOD!r}; {unknown} "
            "have not. Drop them from the file."
        )

    years = (table[PERIOD] - pd.DateOffset(months=5)).dt.year
    firms = table.groupby(years)[TICKER].nunique()
    if fiscal_year is None:
        fiscal_year = int(firms.index[firms == firms.max()].max())
    elif fiscal_year not in firms.index:
        known = ", ".join(f"{year} ({count} firms)" for year, count in firms.items())
        raise ValueError(f"`fiscal_year` must be one of {known}; got {fiscal_year}.")

    chosen = table[years == fiscal_year].sort_values([TICKER, PERIOD])
    chosen = chosen.drop_duplicates(TICKER, keep="last").set_index(TICKER).rename_axis("ticker")
    return ClusteringCrossSection(
        original=chosen[list(ORIGINAL_COLUMNS)].rename(columns=ORIGINAL_COLUMNS).astype(float),
        extension=chosen[list(EXTENSION_COLUMNS)].rename(columns=EXTENSION_COLUMNS).astype(float),
        price=chosen[list(PRICE_COLUMNS)].astype(float),
        sectors=chosen[SECTOR].astype(str).rename("sector"),
        industries=chosen[INDUSTRY].astype(str).rename("industry"),
        period_ends=chosen[PERIOD].rename("period_end"),
        fiscal_year=int(fiscal_year),
    )


@validate_params({"path": [str, PathLike]}, prefer_skip_nested_validation=True)
def read_prices_wide(path: str | PathLike[str]) -> pd.DataFrame:
    """Read daily prices, one column a stock.

    Parameters
    ----------
    path : str or path-like
        A parquet file with dates in its index, or in a column named ``date`` in any case, and
        numeric columns otherwise; or a CSV file with such a column, or dates in its first one.

    Returns
    -------
    DataFrame of shape (n_days, n_assets)
        Prices in float64 with dates ascending in the index ``date``, the columns named
        ``ticker``. Missing prices stay ``NaN``.

    Raises
    ------
    FileNotFoundError
        If there is no file at ``path``.
    ImportError
        If pandas has no parquet engine.
    ValueError
        If the file has no dates, a date twice, or columns that are not numbers.

    See Also
    --------
    read_factors : Factor returns from a file.
    make_stock_universe : Synthetic prices.

    Examples
    --------
    >>> from skfactor.datasets import read_prices_wide
    >>> prices = read_prices_wide("sp500_daily_adjclose_wide.parquet")  # doctest: +SKIP
    >>> prices.shape  # doctest: +SKIP
    (3239, 494)
    """
    return _by_date(path).rename_axis(columns="ticker")


@validate_params(
    {"path": [str, PathLike], "percent": ["boolean"]}, prefer_skip_nested_validation=True
)
def read_factors(path: str | PathLike[str], percent: bool = True) -> pd.DataFrame:
    """Read factor returns as decimals.

    Parameters
    ----------
    path : str or path-like
        A parquet file with dates in its index, or in a column named ``date`` in any case, and
        one column a factor, such as ``Mkt-RF``, ``SMB``, ``HML``, ``RF``; or a CSV file with such
        a column, or dates in its first one. Dates in a CSV file are ISO text, or numbers such as
        202401 (its last day) and 20240131.
    percent : bool, default=True
        Whether the file holds percent, as Kenneth French's do. ``False`` for decimals.

    Returns
    -------
    DataFrame of shape (n_dates, n_factors)
        Returns a period in decimals, float64, dates ascending in the index ``date``. The codes
        of Kenneth French's files for a missing value, -99.99 and -999, become ``NaN``.

    Raises
    ------
    FileNotFoundError
        If there is no file at ``path``.
    ImportError
        If pandas has no parquet engine.
    ValueError
        If the file has no dates, a date twice, or columns that are not numbers.

    See Also
    --------
    read_french : Kenneth French's files as they come from his site.
    read_prices_wide : Daily prices from a file.
    make_stock_universe : Synthetic factors.

    Examples
    --------
    >>> from skfactor.datasets import read_factors
    >>> factors = read_factors("ff_factors_monthly.parquet")  # doctest: +SKIP
    >>> factors.loc["1963-07-31", "RF"]  # doctest: +SKIP
    0.0027
    """
    factors = _by_date(path)
    if percent:
        codes = np.isclose(factors, -99.99) | np.isclose(factors, -999)
        factors = factors.mask(codes) / 100
    return factors


def _read_parquet(path: str | PathLike[str]) -> pd.DataFrame:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"`path` must name a parquet file; there is none at {fspath(path)!r}."
        )
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise ImportError(
            "Reading parquet files needs pyarrow, which is not installed. "
            "Run `pip install skfactor[parquet]`."
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{fspath(path)!r} must be a parquet file: {error}") from error


def _is_csv(path: str | PathLike[str]) -> bool:
    return ".csv" in Path(path).suffixes[-2:]


def _read_csv(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a CSV file whose dates are a column named date, or the first one."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"`path` must name a file; there is none at {fspath(path)!r}.")
    table = pd.read_csv(path, skipinitialspace=True)
    named = [name for name in table.columns if str(name).lower() == "date"]
    column = named[0] if len(named) == 1 else table.columns[0]
    dates = pd.Index(table[column])
    try:
        if pd.api.types.is_integer_dtype(dates):
            days = as_days(dates)
        else:
            days = pd.DatetimeIndex(pd.to_datetime(dates.astype(str), format="ISO8601")).as_unit(
                "us"
            )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{fspath(path)!r} must have dates in a column named 'date' or in the first one, ISO "
            f"text or numbers such as 202401; got {dates[0]} in the column {column!r}."
        ) from error
    return table.drop(columns=column).set_axis(days)


def _require(table: pd.DataFrame, columns: list[str], path: str | PathLike[str]) -> None:
    missing = [repr(name) for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"{fspath(path)!r} must have the columns {join(missing)}, which it lacks; it "
            f"has {table.shape[1]} columns, {join(map(repr, table.columns))}."
        )


def _require_numbers(table: pd.DataFrame, columns: list[str], path: str | PathLike[str]) -> None:
    text = [
        repr(name)
        for name in columns
        if not pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_bool_dtype(table[name])
    ]
    if text:
        raise ValueError(
            f"{fspath(path)!r} must hold numbers; these columns hold something else: {join(text)}."
        )


def _by_date(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a table of numbers whose rows are dates."""
    table = _read_csv(path) if _is_csv(path) else _read_parquet(path)
    if not isinstance(table.index, pd.DatetimeIndex):
        named = [name for name in table.columns if str(name).lower() == "date"]
        if len(named) != 1 or not pd.api.types.is_datetime64_any_dtype(table[named[0]]):
            raise ValueError(
                f"{fspath(path)!r} must have dates in its index or in a column named 'date'; its "
                f"index is a {type(table.index).__name__} of {table.index.dtype}. Write it with "
                "the dates as its index."
            )
        table = table.set_index(named[0])
    twice = table.index[table.index.duplicated()]
    if len(twice):
        raise ValueError(
            f"{fspath(path)!r} must hold every date once; {twice[0]:%Y-%m-%d} comes twice "
            f"({len(twice)} repeated in all)."
        )
    _require_numbers(table, list(table.columns), path)
    return table.astype(float).sort_index().rename_axis(index="date", columns=None)
