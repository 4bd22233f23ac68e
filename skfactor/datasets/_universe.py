"""A synthetic stock market in which everything that an estimator should find is known."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

import numpy as np
import pandas as pd

from skfactor._typing import RandomState
from skfactor._validation import Interval, StrOptions, draw_seed, validate_params
from skfactor.datasets._market import (
    ANNUAL_PREMIA,
    FACTORS,
    draw_idiosyncratic_volatility,
    draw_lifetimes,
    simulate_market,
    yearly_volatility,
)
from skfactor.datasets._positions import (
    AXES,
    SECTORS,
    draw_clusters,
    draw_positions,
    draw_sectors,
)
from skfactor.datasets._statements import EXTENSION, ORIGINAL, simulate_statements
from skfactor.preprocessing._latest import latest_values

FeatureSet = Literal["all", "original", "extension"]

MARKET_DATA = ("market_cap", "volatility")  # never missing: they come from prices


@dataclass(frozen=True, eq=False, repr=False)
class StockUniverse:
    """A synthetic stock market and the truth underneath it.

    Made by :func:`make_stock_universe`. Money is in millions of dollars, except prices and
    ``eps``, in dollars; returns are simple, in decimals and a period, not annualised. Stocks
    are named by ``ticker`` everywhere.

    Parameters
    ----------
    fundamentals : DataFrame of shape (n_rows, 8)
        The "original" features, one row a stock and fiscal year in which it was listed at the
        year's end; the index has the levels ``date`` (31 December) and ``ticker``.
    extension : DataFrame of shape (n_rows, 24)
        The "extension" features on the same index.
    prices : DataFrame of shape (n_days, n_assets)
        Daily prices on business days, adjusted for splits and dividends. ``NaN`` before a
        stock is listed and after it is delisted. The first row is the eve of the first year.
    returns : DataFrame of shape (n_months, n_assets)
        Monthly returns, dated at calendar month ends: what the daily prices compound to.
        ``NaN`` in months through which a stock was not listed from end to end.
    risk_free : Series of shape (n_months,)
        Monthly return of the riskless asset.
    factors : DataFrame of shape (n_months, 7)
        Monthly factor returns ``Mkt-RF``, ``SMB``, ``HML``, ``LIQ``, ``LEV``, ``OE``, and
        ``RF``, the riskless return.
    factors_daily : DataFrame of shape (n_days - 1, 7)
        The same by day.
    betas : DataFrame of shape (n_assets, 6)
        True betas: ``returns - RF = factors @ betas.T + noise``, with no alpha.
    premia : Series of shape (6,)
        True expected return of each factor, a month.
    exposures : DataFrame of shape (n_assets, 5)
        True positions of the stocks on ``size``, ``value``, ``liquidity``, ``leverage`` and
        ``efficiency``, with mean 0 and standard deviation 1 across stocks.
    clusters : Series of shape (n_assets,)
        True cluster of each stock, ``0`` (the smallest firms) to ``n_clusters - 1`` (the
        largest).
    sectors : Series of shape (n_assets,)
        Sector labels: related to the clusters, not equal to them.

    See Also
    --------
    make_stock_universe : Draw such a market.
    read_clustering_cross_section : The same tables from a real file.

    Examples
    --------
    >>> from skfactor.datasets import make_stock_universe
    >>> universe = make_stock_universe(n_assets=50, n_years=2, random_state=0)
    >>> universe
    StockUniverse(50 stocks, 4 clusters, 2014-12-31 to 2016-12-30)
    >>> universe.factors.columns.to_list()
    ['Mkt-RF', 'SMB', 'HML', 'LIQ', 'LEV', 'OE', 'RF']
    """

    fundamentals: pd.DataFrame
    extension: pd.DataFrame
    prices: pd.DataFrame
    returns: pd.DataFrame
    risk_free: pd.Series
    factors: pd.DataFrame
    factors_daily: pd.DataFrame
    betas: pd.DataFrame
    premia: pd.Series
    exposures: pd.DataFrame
    clusters: pd.Series
    sectors: pd.Series

    def __repr__(self) -> str:
        first, last = self.prices.index[0], self.prices.index[-1]
        n_clusters = self.clusters.nunique()
        return (
            f"{type(self).__name__}({len(self.clusters)} stocks, {n_clusters} "
            f"cluster{'s' if n_clusters != 1 else ''}, {first:%Y-%m-%d} to {last:%Y-%m-%d})"
        )

    @validate_params(
        {"features": [StrOptions({"all", "original", "extension"})]},
        prefer_skip_nested_validation=True,
    )
    def cross_section(
        self, date: str | pd.Timestamp | None = None, features: FeatureSet = "all"
    ) -> pd.DataFrame:
        """Return one row a stock: the last value of every feature known at a date.

        Parameters
        ----------
        date : str or Timestamp, default=None
            Fiscal years that end later are not used. ``None`` is the last day of the prices.
            Reports come out months after a fiscal year ends: for features that an investor
            could have had, pass a date some months before the decision.
        features : {"all", "original", "extension"}, default="all"
            Which features: the original ones, the extension, or both.

        Returns
        -------
        DataFrame of shape (n_listed, n_features)
            The stocks listed on ``date`` that have at least one fiscal year behind them,
            indexed by ticker. Missing values are filled with the stock's own last known
            value; a value never known stays ``NaN``.

        Raises
        ------
        ValueError
            If no fiscal year has ended by ``date``.

        Examples
        --------
        >>> from skfactor.datasets import make_stock_universe
        >>> universe = make_stock_universe(n_assets=50, n_years=2, random_state=0)
        >>> universe.cross_section("2016-06-30", features="original").shape
        (50, 8)
        """
        tables = {"original": [self.fundamentals], "extension": [self.extension]}
        tables["all"] = [self.fundamentals, self.extension]
        day = self.prices.index[-1] if date is None else pd.Timestamp(date)
        known = latest_values(pd.concat(tables[features], axis=1), self._end_of_month(day))
        listed = self.prices.loc[:day].iloc[-1].notna()
        return known[listed[known.index].to_numpy()]

    @staticmethod
    def _end_of_month(date: pd.Timestamp) -> pd.Timestamp:
        """Take the last business day of a month for its last day, and leave other dates."""
        if date.normalize() == date.normalize() + pd.offsets.BMonthEnd(0):
            return date.normalize() + pd.offsets.MonthEnd(0)
        return date


@validate_params(
    {
        "n_assets": [Interval(Integral, 1, None, closed="left")],
        "n_years": [Interval(Integral, 1, None, closed="left")],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "cluster_separation": [Interval(Real, 0, None, closed="left")],
        "missing_rate": [Interval(Real, 0, 1, closed="left")],
        "late_listing_rate": [Interval(Real, 0, 1, closed="both")],
        "delisting_rate": [Interval(Real, 0, 1, closed="both")],
        "start_year": [Interval(Integral, 1900, 2200, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_stock_universe(
    n_assets: int = 300,
    n_years: int = 5,
    n_clusters: int = 4,
    *,
    cluster_separation: float = 7.0,
    missing_rate: float = 0.02,
    late_listing_rate: float = 0.1,
    delisting_rate: float = 0.05,
    start_year: int = 2015,
    random_state: RandomState = None,
) -> StockUniverse:
    r"""Draw a synthetic stock market with known clusters, betas and factor premia.

    One market serves every flow of the library: fundamentals and prices to cluster, returns
    and factors to regress, characteristics to sort on. Its fundamentals have the columns of
    [1]_ and the flaws of real ones: heavy tails, zeros, losses, missing values.

    Parameters
    ----------
    n_assets : int, default=300
        Number of stocks.
    n_years : int, default=5
        Number of calendar years of prices, returns and fiscal years.
    n_clusters : int, default=4
        Number of clusters. A cluster is a business model: a joint level of size, value,
        liquidity, leverage and efficiency.
    cluster_separation : float, default=7.0
        Distance between the levels of neighbouring clusters on each axis, in standard
        deviations within a cluster. With 0 the clusters are labels that shape nothing: the
        stocks come from one Gaussian cloud of positions, and no method can find them.
    missing_rate : float, default=0.02
        Share of reported values that are missing, at random. Market capitalisation and
        volatility come from prices and are never removed.
    late_listing_rate : float, default=0.1
        Share of stocks whose prices start only within the first half of the sample.
    delisting_rate : float, default=0.05
        Share of stocks whose prices end early. Every stock is listed at one fiscal year end at
        least, so that with ``n_years=1`` none ends early.
    start_year : int, default=2015
        First calendar year.
    random_state : int, RandomState instance or None, default=None
        Seed. Two draws with the same integer are equal.

    Returns
    -------
    StockUniverse
        The tables, and the truth behind them.

    Raises
    ------
    ValueError
        If there are fewer stocks than clusters.

    See Also
    --------
    StockUniverse : What each table holds.
    read_clustering_cross_section : The same tables from a real file.

    Notes
    -----
    A stock :math:`i` of cluster :math:`c` has the positions

    .. math:: p_i \propto s\,\ell_c + \eta_i, \qquad \eta_i \sim N(0, \Sigma),

    standardised across stocks, with :math:`s` the separation and :math:`\ell_c` the cluster's
    levels. Its statements are log-linear in :math:`p_i` (shares of a total: logistic), and keep
    the identities between their columns: ``total_assets = total_liabilities + total_equity``,
    ``per = market_cap / net_income``, ``roe = net_income / total_equity``, and so on. ``per``
    is missing in a year of losses. Firms are as large as those of the S&P 500; small ones
    report fewer items and have more bad years. Its monthly returns are exactly

    .. math:: r_{it} = r_{f,t} + \beta_i' f_t + \epsilon_{it},
        \qquad \beta_i = b + B\,p_i + u_i,

    where :math:`\epsilon` compounds independent daily draws of a Student's t with 5 degrees of
    freedom. Beside the market, SMB (small minus big) and HML (value), the market pays for LIQ
    (liquid minus illiquid; the premium is negative), LEV (levered minus not) and OE (efficient
    minus not), the factors that [1]_ proposes.

    The eight original features are those that [1]_ places there by name (market
    capitalisation, EPS, PER, ROE, long-term debt, current liabilities), its volatility and
    its current assets. Ten columns of the extension are not in its tables, ``pbr``,
    ``total_assets`` and later ones.

    References
    ----------
    .. [1] B. Koo, K. Lee, S. Sin, B. Park, "Power of Autoencoder and t-SNE in Stock Deep
       Clustering and its Application to Fama-French Factor Model".

    Examples
    --------
    >>> from skfactor.datasets import make_stock_universe
    >>> universe = make_stock_universe(n_assets=60, n_years=3, random_state=0)
    >>> X = universe.cross_section()
    >>> X.shape
    (56, 32)
    >>> universe.clusters.loc[X.index].value_counts().sort_index().to_list()
    [14, 14, 13, 15]
    """
    if n_assets < n_clusters:
        raise ValueError(
            f"`n_assets` must be at least `n_clusters`, {n_clusters}; got {n_assets}. "
            "Ask for fewer clusters or for more stocks."
        )
    rng = np.random.default_rng(draw_seed(random_state))

    labels = draw_clusters(rng, n_assets, n_clusters)
    positions = draw_positions(rng, labels, cluster_separation)
    sectors = draw_sectors(rng, labels)

    days = _business_days(start_year, n_years)
    month_of_day = (days.year * 12 + days.month).to_numpy().astype(np.intp)[1:]
    year_of_day = (days.year - start_year).to_numpy().astype(np.intp)
    market = simulate_market(
        rng, positions, month_of_day, draw_idiosyncratic_volatility(rng, positions)
    )

    paths = np.empty((len(days), n_assets))
    paths[0] = np.exp(np.log(35.0) + 0.4 * positions[:, 0] + 0.4 * rng.standard_normal(n_assets))
    np.cumprod(1.0 + market.stocks_daily, axis=0, out=paths[1:])
    paths[1:] *= paths[0]
    first, last = draw_lifetimes(rng, year_of_day, n_assets, late_listing_rate, delisting_rate)
    day = np.arange(len(days))[:, None]
    listed = (first <= day) & (day <= last)

    # Positions of the last days of the years, the eve of the first year included.
    year_ends = np.flatnonzero(np.r_[np.diff(year_of_day) > 0, True])
    volatility = yearly_volatility(market.stocks_daily, listed[:-1] & listed[1:], year_ends)
    statements = simulate_statements(rng, positions, paths[year_ends].T, volatility)
    for name, values in statements.items():
        if name not in MARKET_DATA:
            values[rng.random(values.shape) < missing_rate] = np.nan

    tickers = pd.Index(
        [f"S{number:0{len(str(n_assets))}d}" for number in range(1, n_assets + 1)], name="ticker"
    )
    months = pd.date_range(
        f"{start_year}-01-31", periods=12 * n_years, freq=pd.offsets.MonthEnd(), name="date"
    )
    years = pd.DatetimeIndex([f"{start_year + year}-12-31" for year in range(n_years)])
    rows = pd.MultiIndex.from_product([years, tickers], names=["date", "ticker"])
    reported = listed[year_ends[1:]].ravel()

    def table(columns: tuple[str, ...]) -> pd.DataFrame:
        values = np.column_stack([statements[name].T.ravel() for name in columns])
        values += 0.0  # no negative zeros
        return pd.DataFrame(values[reported], index=rows[reported], columns=list(columns))

    paths[~listed] = np.nan
    prices = pd.DataFrame(paths, index=days, columns=tickers)
    month_ends = paths[np.r_[0, np.flatnonzero(np.diff(month_of_day)) + 1, len(days) - 1]]
    factor_names = [*FACTORS, "RF"]
    risk_free = pd.Series(market.risk_free, index=months, name="RF")
    return StockUniverse(
        fundamentals=table(ORIGINAL),
        extension=table(EXTENSION),
        prices=prices,
        returns=pd.DataFrame(month_ends[1:] / month_ends[:-1] - 1.0, index=months, columns=tickers),
        risk_free=risk_free,
        factors=pd.DataFrame(
            np.column_stack([market.factors, market.risk_free]), index=months, columns=factor_names
        ),
        factors_daily=pd.DataFrame(
            np.column_stack([market.factors_daily, market.risk_free_daily]),
            index=days[1:],
            columns=factor_names,
        ),
        betas=pd.DataFrame(market.betas, index=tickers, columns=list(FACTORS)),
        premia=pd.Series(ANNUAL_PREMIA / 12, index=list(FACTORS), name="premium"),
        exposures=pd.DataFrame(positions, index=tickers, columns=list(AXES)),
        clusters=pd.Series(labels, index=tickers, name="cluster"),
        sectors=pd.Series([SECTORS[code] for code in sectors], index=tickers, name="sector"),
    )


def _business_days(start_year: int, n_years: int) -> pd.DatetimeIndex:
    """List the business days of the years, and before them the last one of the year before."""
    eve = pd.Timestamp(start_year, 1, 1) - pd.offsets.BDay(1)
    return pd.bdate_range(eve, pd.Timestamp(start_year + n_years - 1, 12, 31), name="date")
