"""The factors LIQ, LEV and OE from accounts and returns."""

from typing import Any, Literal

import pandas as pd

from skfactor._typing import ArrayLike
from skfactor.portfolios._asof import join_asof
from skfactor.portfolios._definitions import leverage, liquidity, operational_efficiency
from skfactor.portfolios._periods import previous
from skfactor.portfolios._sort import PortfolioSort
from skfactor.portfolios._wide import of_date_before, wide_frame

_DEFINITIONS = {"LIQ": liquidity, "LEV": leverage, "OE": operational_efficiency}


def fundamental_factors(
    filings: ArrayLike,
    returns: ArrayLike,
    *,
    market_cap: ArrayLike = None,
    financial: str | None = None,
    lag: Any = "6 months",
    published: str | None = None,
    max_age: Any = None,
    rebalance: str = "every",
    method: Literal["independent", "dependent"] = "independent",
    on: str = "ticker",
    date: str = "date",
) -> pd.DataFrame:
    r"""Compute LIQ, LEV and OE: liquid, levered and efficient firms minus the others.

    Parameters
    ----------
    filings : DataFrame
        One row a firm and fiscal period, as for :func:`join_asof`, with the columns that
        :func:`liquidity`, :func:`leverage` and :func:`operational_efficiency` need.
    returns : DataFrame of shape (n_dates, n_assets)
        Returns in decimals, ``NaN`` where missing; or a Series with a (date, asset) index.
    market_cap : DataFrame of shape (n_dates, n_assets), default=None
        Market capitalisation at the end of each date. The return of t is sorted and weighted
        by the last value dated at t−1 or before. ``None`` sorts on the characteristic alone and
        weights equally.
    financial : str, default=None
        Column of ``filings``, booleans, that marks financial firms; they are left out.
        ``None`` keeps all firms.
    lag : int, str, timedelta or DateOffset, default="6 months"
        How long after the fiscal period (with ``published``: after publication) accounts are
        known.
    published : str, default=None
        Column of ``filings`` with the date of publication.
    max_age : int, str, timedelta or DateOffset, default=None
        Accounts of fiscal periods that ended longer ago are not used.
    rebalance : str, default="every"
        When portfolios are formed anew, as in :class:`PortfolioSort`.
    method : {"independent", "dependent"}, default="independent"
        How size and characteristic are sorted, if ``market_cap`` is given. The dependent sort
        has firms in every portfolio even where the two go together.
    on : str, default="ticker"
        Column of the firm, where ``filings`` has no two-level index.
    date : str, default="date"
        Column of the end of the fiscal period, where there is no two-level index.

    Returns
    -------
    DataFrame of shape (n_dates, 3)
        Factor returns ``LIQ``, ``LEV`` and ``OE``, ``NaN`` before accounts are known and
        where a portfolio is empty.

    Raises
    ------
    TypeError
        If ``filings`` is not a DataFrame, or ``returns`` is not one of pandas.
    ValueError
        As :func:`join_asof` and :class:`PortfolioSort` do.

    See Also
    --------
    PortfolioSort : Sorts on anything else.
    skfactor.linear_model.FamaFrenchRegressor : Regressions on the factors.

    Notes
    -----
    With market values and the breakpoints of [1]_, the median of size (S, B) and the 30 % and
    70 % quantiles of the characteristic (L, N, H), portfolios weighted by value:

    .. math:: f_t = \tfrac12 (SH_t + BH_t) - \tfrac12 (SL_t + BL_t).

    Without, :math:`f_t = H_t - L_t`, weighted equally. A sort on one characteristic also picks
    up what goes together with it: regress the factors on each other before reading premia. The
    three characteristics are those that [2]_ proposes.

    References
    ----------
    .. [1] E. F. Fama and K. R. French, "Common risk factors in the returns on stocks and
       bonds", Journal of Financial Economics 33, 3–56, 1993.
    .. [2] B. Koo, K. Lee, S. Sin, B. Park, "Power of Autoencoder and t-SNE in Stock Deep
       Clustering and its Application to Fama-French Factor Model".

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.datasets import make_stock_universe
    >>> from skfactor.portfolios import fundamental_factors
    >>> universe = make_stock_universe(n_assets=60, n_years=3, random_state=0)
    >>> filings = pd.concat([universe.fundamentals, universe.extension], axis=1)
    >>> factors = fundamental_factors(filings, universe.returns)
    >>> factors.columns.to_list()
    ['LIQ', 'LEV', 'OE']
    >>> factors.first_valid_index()
    Timestamp('2016-07-31 00:00:00')
    """
    wide = wide_frame(returns, "`returns`")
    rows = pd.MultiIndex.from_product([wide.index, wide.columns], names=["date", "asset"])
    accounts = join_asof(
        filings, rows, lag=lag, published=published, max_age=max_age, on=on, date=date
    )
    marks = None
    if financial is not None:
        if financial not in accounts.columns:
            raise ValueError(
                f"`financial` must name a column of `filings`; got {financial!r} and the columns "
                f"{list(accounts.columns)[:5]}."
            )
        marks = accounts[financial].eq(True).to_numpy()
    X = pd.DataFrame(
        {name: define(accounts, financial=marks) for name, define in _DEFINITIONS.items()}
    )
    if market_cap is not None:
        caps = wide_frame(market_cap, "`market_cap`")
        X["size"] = of_date_before(caps, wide, previous(wide.index)).ravel()
    factors = {}
    for name in _DEFINITIONS:
        recipe = PortfolioSort(
            name if market_cap is None else ["size", name],
            (0.3, 0.7) if market_cap is None else [2, (0.3, 0.7)],
            method=method,
            weights=None if market_cap is None else "size",
            rebalance=rebalance,
        )
        factors[name] = recipe.sort(X, wide.to_numpy().ravel()).spreads[name]
    return pd.DataFrame(factors)
