"""LIQ, LEV and OE: their definitions, and what they recover from a market that is known."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.datasets import make_stock_universe
from skfactor.portfolios import (
    PortfolioSort,
    fundamental_factors,
    leverage,
    liquidity,
    operational_efficiency,
)

AXES = {"LIQ": "liquidity", "LEV": "leverage", "OE": "efficiency"}
ITEMS = {
    liquidity: ("current_assets", "current_liabilities", 1.5),
    leverage: ("total_liabilities", "total_assets", 1.5),
    operational_efficiency: ("cost_of_goods_sold", "sales", -0.5),
}


@pytest.fixture(scope="module")
def market():
    universe = make_stock_universe(150, 6, random_state=0)
    filings = pd.concat([universe.fundamentals, universe.extension], axis=1)
    month_ends = universe.prices.groupby(universe.prices.index + pd.offsets.MonthEnd(0)).last()
    shares = (filings["market_cap"].unstack() / month_ends.reindex(filings.index.levels[0])).mean()
    return universe, filings, month_ends * shares


@pytest.mark.parametrize("define", ITEMS)
def test_definition_and_its_missing_values(define):
    above, below, expected = ITEMS[define]
    frame = pd.DataFrame({above: [3.0, 3.0, np.nan, 3.0, 3.0], below: [2.0, 0.0, 2.0, -1.0, 2.0]})
    found = define(frame, financial=[False, False, False, False, True])
    np.testing.assert_array_equal(found, [expected, np.nan, np.nan, np.nan, np.nan])
    assert found.name == define.__name__
    polars = define(pl.from_pandas(frame))
    assert isinstance(polars, pl.Series)
    assert polars.to_list() == [expected, None, None, None, expected]


@pytest.mark.parametrize("define", ITEMS)
def test_definition_refuses_what_it_cannot_use(define):
    above, below, _ = ITEMS[define]
    frame = pd.DataFrame({above: [3.0], below: [2.0]})
    with pytest.raises(ValueError, match=f"got none named '{below}'. Rename your own"):
        define(frame[[above]])
    with pytest.raises(ValueError, match="`financial` must be booleans, one for each of the 1 row"):
        define(frame, financial=[True, False])
    with pytest.raises(ValueError, match=f"column '{below}' of `fundamentals` must hold numbers"):
        define(frame.assign(**{below: "much"}))
    with pytest.raises(TypeError, match="`fundamentals` must be a pandas or polars DataFrame"):
        define([1.0])


def _oracle(universe):
    rows = pd.MultiIndex.from_product(
        [universe.returns.index, universe.returns.columns], names=["date", "asset"]
    )
    X = universe.exposures.loc[rows.get_level_values("asset")].set_index(rows)
    y = universe.returns.to_numpy().ravel()
    return pd.DataFrame(
        {n: PortfolioSort(a, (0.3, 0.7)).sort(X, y).spreads[a] for n, a in AXES.items()}
    )


def test_factors_find_what_a_sort_on_the_truth_finds(market):
    universe, filings, _ = market
    factors = fundamental_factors(filings, universe.returns)
    oracle = _oracle(universe)
    for name in AXES:
        truth = universe.factors[name]
        assert factors[name].corr(oracle[name]) > 0.95
        assert factors[name].corr(truth) > 0.85 * oracle[name].corr(truth)
        assert factors[name].corr(truth) > 0.5


def test_each_factor_loads_on_its_own_planted_factor_given_the_others(market):
    universe, filings, caps = market
    planted = universe.factors.drop(columns="RF")
    for arguments in ({}, {"market_cap": caps, "method": "dependent"}):
        factors = fundamental_factors(filings, universe.returns, **arguments).dropna()
        A = np.column_stack([np.ones(len(factors)), planted.loc[factors.index]])
        coef, rss, _, _ = np.linalg.lstsq(A, factors.to_numpy(), rcond=None)
        variance = rss / (len(A) - A.shape[1])
        se = np.sqrt(np.outer(np.diag(np.linalg.inv(A.T @ A)), variance))
        for k, name in enumerate(factors.columns):
            own = 1 + list(planted.columns).index(name)
            assert coef[own, k] > 0.4
            assert coef[own, k] / se[own, k] > 5
            assert abs(coef[0, k] / se[0, k]) < 3.5  # no alpha was planted


def test_accounts_are_used_six_months_after_the_fiscal_year(market):
    universe, filings, _ = market
    factors = fundamental_factors(filings, universe.returns)
    assert factors.dropna().index[0] == pd.Timestamp("2016-07-31")
    sooner = fundamental_factors(filings, universe.returns, lag="3 months")
    assert sooner.dropna().index[0] == pd.Timestamp("2016-04-30")


def test_later_accounts_and_prices_do_not_move_earlier_factors(market):
    universe, filings, caps = market
    changed = filings.copy()
    changed.loc[changed.index.get_level_values("date") >= "2018-12-31"] *= 7.0
    changed["sales"] *= np.where(changed.index.get_level_values("date") >= "2018-12-31", -1, 1)
    more = caps.copy()
    more.loc["2019-06-30":] *= np.linspace(1, 9, more.shape[1])
    before = fundamental_factors(filings, universe.returns, market_cap=caps)
    after = fundamental_factors(changed, universe.returns, market_cap=more)
    pd.testing.assert_frame_equal(before.loc[:"2019-06-30"], after.loc[:"2019-06-30"])
    assert not before.loc["2019-07-31":].equals(after.loc["2019-07-31":])


def test_financial_firms_are_left_out(market):
    universe, filings, _ = market
    banks = universe.returns.columns[:40]
    marked = filings.assign(bank=filings.index.get_level_values("ticker").isin(banks))
    found = fundamental_factors(marked, universe.returns, financial="bank")
    rest = fundamental_factors(filings, universe.returns.drop(columns=banks))
    pd.testing.assert_frame_equal(found, rest)
    with pytest.raises(ValueError, match="must name a column of `filings`; got 'banks'"):
        fundamental_factors(filings, universe.returns, financial="banks")


def test_returns_must_be_a_frame_with_dates(market):
    universe, filings, _ = market
    with pytest.raises(TypeError, match="`returns` must be a pandas DataFrame with dates in rows"):
        fundamental_factors(filings, universe.returns.to_numpy())
    long = universe.returns.stack()
    pd.testing.assert_frame_equal(
        fundamental_factors(filings, long), fundamental_factors(filings, universe.returns)
    )
