import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfactor._validation import InvalidParameterError
from skfactor.datasets import StockUniverse, make_stock_universe
from skfactor.datasets._market import compound
from skfactor.datasets._positions import draw_clusters, draw_levels, draw_positions

FRAMES = (
    "fundamentals",
    "extension",
    "prices",
    "returns",
    "risk_free",
    "factors",
    "factors_daily",
    "betas",
    "premia",
    "exposures",
    "clusters",
    "sectors",
)


@pytest.fixture(scope="module")
def universe():
    return make_stock_universe(random_state=0)


@pytest.fixture(scope="module")
def small():
    return make_stock_universe(n_assets=40, n_years=2, random_state=3)


@pytest.fixture(scope="module")
def reports(universe):
    return pd.concat([universe.fundamentals, universe.extension], axis=1)


def signed_log(X):
    return np.sign(X) * np.log1p(np.abs(X))


def clean(X):
    return make_pipeline(
        FunctionTransformer(signed_log), StandardScaler(), SimpleImputer(strategy="median")
    ).fit_transform(X)


def kmeans(Z, k):
    return KMeans(k, n_init=10, random_state=0).fit_predict(Z)


def same_margins_and_correlations(Z, seed):
    """Gaussian copula: no clusters beyond what margins and correlations imply."""
    rng = np.random.default_rng(seed)
    scores = stats.norm.ppf((stats.rankdata(Z, axis=0) - 0.5) / len(Z))
    draws = rng.multivariate_normal(
        np.zeros(Z.shape[1]), np.corrcoef(scores.T), size=len(Z), method="eigh"
    )
    return np.take_along_axis(np.sort(Z, axis=0), draws.argsort(axis=0).argsort(axis=0), axis=0)


def silhouette_lift(Z, k):
    def score(data):
        return silhouette_score(data, kmeans(data, k))

    return score(Z) - np.mean([score(same_margins_and_correlations(Z, s)) for s in range(3)])


# Shape and form -----------------------------------------------------------------------------


def test_tables_have_the_documented_shapes_and_axes(universe):
    assert universe.fundamentals.shape[1] == 8
    assert universe.extension.shape[1] == 24
    assert universe.extension.index.equals(universe.fundamentals.index)
    assert universe.fundamentals.index.names == ["date", "ticker"]
    assert not universe.fundamentals.index.has_duplicates
    assert universe.prices.shape[1] == universe.returns.shape[1] == 300
    assert len(universe.returns) == len(universe.factors) == len(universe.risk_free) == 60
    assert len(universe.factors_daily) == len(universe.prices) - 1
    assert list(universe.factors) == ["Mkt-RF", "SMB", "HML", "LIQ", "LEV", "OE", "RF"]
    assert list(universe.betas) == list(universe.premia.index) == list(universe.factors)[:-1]
    assert list(universe.exposures) == ["size", "value", "liquidity", "leverage", "efficiency"]
    tickers = universe.prices.columns
    for name in ("betas", "exposures", "clusters", "sectors"):
        assert getattr(universe, name).index.equals(tickers)
    assert universe.prices.index.is_monotonic_increasing
    assert universe.prices.index.day_of_week.max() == 4
    assert universe.prices.index[0] == pd.Timestamp("2014-12-31")
    assert_array_equal(universe.returns.index, pd.date_range("2015-01-31", periods=60, freq="ME"))


def test_the_universe_is_frozen_and_its_repr_is_one_line(universe):
    assert repr(universe) == "StockUniverse(300 stocks, 4 clusters, 2014-12-31 to 2019-12-31)"
    with pytest.raises(AttributeError):
        universe.clusters = None


@pytest.mark.parametrize("kind", [int, np.random.RandomState])
def test_the_same_seed_draws_the_same_universe(small, kind):
    again = make_stock_universe(n_assets=40, n_years=2, random_state=kind(3))
    for name in FRAMES:
        assert getattr(small, name).equals(getattr(again, name)), name


def test_another_seed_draws_another_universe(small):
    other = make_stock_universe(n_assets=40, n_years=2, random_state=4)
    assert not small.returns.equals(other.returns)
    assert not small.clusters.equals(other.clusters)


def test_global_random_state_is_untouched():
    before = np.random.get_state()[1].copy()
    make_stock_universe(n_assets=10, n_years=1, random_state=0)
    assert_array_equal(np.random.get_state()[1], before)


def test_pickle_keeps_every_table(small):
    copy = pickle.loads(pickle.dumps(small))
    assert isinstance(copy, StockUniverse)
    for name in FRAMES:
        assert getattr(copy, name).equals(getattr(small, name)), name


def test_the_smallest_universe_works():
    tiny = make_stock_universe(1, 1, 1, random_state=0)
    assert repr(tiny) == "StockUniverse(1 stocks, 1 cluster, 2014-12-31 to 2015-12-31)"
    assert tiny.returns.shape == (12, 1)
    assert tiny.cross_section().shape == (1, 32)
    assert tiny.returns.notna().all(axis=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_assets", 0),
        ("n_assets", 2.5),
        ("n_years", 0),
        ("n_clusters", 0),
        ("cluster_separation", -1.0),
        ("missing_rate", 1.0),
        ("late_listing_rate", 1.5),
        ("delisting_rate", -0.1),
        ("start_year", "2015"),
        ("random_state", "seed"),
    ],
)
def test_a_parameter_out_of_range_is_an_error(name, value):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        make_stock_universe(**{name: value})


def test_fewer_stocks_than_clusters_is_an_error():
    with pytest.raises(ValueError, match=r"`n_assets` must be at least `n_clusters`, 4; got 3"):
        make_stock_universe(n_assets=3)


# Fundamentals -------------------------------------------------------------------------------


def test_accounting_identities_hold(reports):
    def holds(left, right):
        both = left.notna() & right.notna()
        assert both.mean() > 0.8
        assert_allclose(left[both], right[both], rtol=1e-9)

    r = reports
    profit = r.net_income > 0
    holds(r.total_assets, r.total_liabilities + r.total_equity)
    holds(r.per[profit], (r.market_cap / r.net_income)[profit])
    holds(r.roe, r.net_income / r.total_equity)
    holds(r.pbr, r.market_cap / r.total_equity)
    holds(
        r.operating_income,
        r.sales
        - r.cost_of_goods_sold
        - r.selling_and_administrative
        - r.research_and_development
        - r.depreciation_and_amortization,
    )
    holds(
        r.net_income,
        r.operating_income
        + r.nonoperating_income
        - r.interest_and_expense
        - r.income_taxes
        - r.equity_in_net_loss,
    )


def test_parts_stay_below_their_totals(reports):
    def below(part, total):
        both = part.notna() & total.notna()
        assert (part[both] <= total[both] * (1 + 1e-12)).all()

    r = reports
    below(r.current_assets, r.total_assets)
    below(r.cash + r.inventory + r.receivables, r.current_assets)
    below(r.long_term_debt + r.current_liabilities, r.total_liabilities)
    below(r.accounts_payable, r.current_liabilities)
    both = r.sales.notna() & r.cost_of_goods_sold.notna()
    assert (r.sales >= r.cost_of_goods_sold)[both].mean() > 0.95


@pytest.mark.parametrize(
    ("stock", "flow", "sign"),
    [("cash", "net_cash_flow", 1), ("inventory", "inventory_decrease", -1)],
)
def test_items_that_are_changes_are_differences_of_balance_sheets(reports, stock, flow, sign):
    change = sign * reports[stock].groupby(level="ticker").diff()
    reported = reports[flow]
    known = change.notna() & reported.notna()
    assert known.mean() > 0.7
    assert_allclose(change[known], reported[known], rtol=1e-6, atol=1e-6)


def test_market_cap_and_earnings_a_share_follow_prices(universe, reports):
    year_ends = universe.prices.groupby(universe.prices.index.year).last()
    price = [year_ends.loc[date.year, ticker] for date, ticker in reports.index]
    shares = reports.market_cap / price
    spread = shares.groupby(level="ticker").agg(lambda s: s.max() / s.min())
    assert_allclose(spread, 1.0, rtol=1e-9)
    known = reports.eps.notna() & reports.net_income.notna()
    assert_allclose((reports.eps * shares)[known], reports.net_income[known], rtol=1e-9)


def test_volatility_is_that_of_the_year_s_daily_returns(universe, reports):
    daily = universe.prices.pct_change(fill_method=None).loc["2018"]
    expected = daily.std() * np.sqrt(252)
    expected = expected[daily.notna().sum() >= 20]
    got = reports.volatility.xs("2018-12-31").dropna()
    assert set(got.index) <= set(expected.index)
    assert len(got) > 250
    assert_allclose(got, expected[got.index], rtol=1e-9)


def test_fundamentals_have_the_flaws_of_real_ones(reports):
    assert np.log10(reports.market_cap.max() / reports.market_cap.min()) > 4
    assert stats.skew(reports.market_cap) > 2
    assert 0.01 < (reports.net_income < 0).mean() < 0.15
    assert (reports.eps < 0).any()
    assert (reports.roe < 0).any()
    assert reports.per.isna().sum() > (reports.net_income < 0).sum() / 2
    assert not (reports.per < 0).any()
    for column in ("long_term_debt", "inventory", "research_and_development"):
        assert (reports[column] == 0).any(), column
    for column in ("net_cash_flow", "nonoperating_income", "inventory_decrease"):
        assert (reports[column] < 0).any(), column
    assert not np.isinf(reports).any(axis=None)


def test_missing_rate_is_the_share_that_is_missing():
    gappy = make_stock_universe(n_assets=200, n_years=2, missing_rate=0.3, random_state=0)
    assert gappy.extension.isna().mean().between(0.2, 0.4).all()
    assert gappy.fundamentals.market_cap.notna().all()
    full = make_stock_universe(n_assets=50, n_years=2, missing_rate=0.0, random_state=0)
    assert full.extension.notna().all(axis=None)


# Prices and returns -------------------------------------------------------------------------


def test_monthly_returns_are_what_daily_prices_compound_to(small):
    prices = small.prices
    for month in small.returns.index[[0, 7, 23]]:
        inside = prices[prices.index.to_period("M") == month.to_period("M")]
        before = prices[prices.index < inside.index[0]].iloc[-1]
        growth = 1.0
        for today, yesterday in zip(inside.values, [before.values, *inside.values], strict=False):
            growth = growth * today / yesterday
        assert_allclose(small.returns.loc[month], growth - 1, rtol=1e-9)


def test_late_and_dead_stocks_have_no_prices_outside_their_lives():
    u = make_stock_universe(200, 4, late_listing_rate=0.3, delisting_rate=0.3, random_state=0)
    listed = u.prices.notna().to_numpy()
    assert (np.abs(np.diff(listed, axis=0)).sum(axis=0) <= 2).all()
    assert 0.2 < (~listed[0]).mean() < 0.4
    assert 0.2 < (~listed[-1]).mean() < 0.4
    assert set(u.fundamentals.index.get_level_values("ticker")) == set(u.prices.columns)
    for date, rows in u.fundamentals.groupby(level="date"):
        alive = u.prices.loc[:date].iloc[-1].dropna().index
        assert list(rows.index.get_level_values("ticker")) == list(alive)


def test_rates_of_zero_give_a_full_history():
    u = make_stock_universe(20, 2, late_listing_rate=0, delisting_rate=0, random_state=0)
    assert u.prices.notna().all(axis=None)
    assert u.returns.notna().all(axis=None)
    assert len(u.fundamentals) == 40


def test_the_linear_model_holds_every_month_with_the_true_betas(universe):
    explained = universe.factors[universe.betas.columns] @ universe.betas.T
    noise = universe.returns.sub(universe.risk_free, axis=0) - explained
    # No alpha: the mean of the noise is small against its standard error.
    t = noise.mean() / (noise.std() / np.sqrt(noise.count()))
    assert abs(t.mean()) < 0.2
    assert 0.8 < t.std() < 1.2
    # Nothing left in common: residuals of different stocks are uncorrelated.
    full = noise.dropna(axis=1)
    C = np.corrcoef(full.T)
    off = C[~np.eye(len(C), dtype=bool)]
    assert abs(off.mean()) < 0.01
    assert off.std() < 1.1 / np.sqrt(len(full))


def test_least_squares_finds_the_true_betas():
    u = make_stock_universe(60, 20, late_listing_rate=0, delisting_rate=0, random_state=0)
    F = u.factors[u.betas.columns].to_numpy()
    X = np.column_stack([np.ones(len(F)), F])
    for ticker in u.betas.index[:10]:
        y = (u.returns[ticker] - u.risk_free).to_numpy()
        coef, (rss,), *_ = np.linalg.lstsq(X, y, rcond=None)
        se = np.sqrt(np.diag(np.linalg.inv(X.T @ X)) * rss / (len(y) - X.shape[1]))
        assert (np.abs(coef[1:] - u.betas.loc[ticker]) < 4 * se[1:]).all()
        assert abs(coef[0]) < 4 * se[0]


def test_daily_factors_compound_to_monthly_ones(small):
    daily = small.factors_daily
    months = daily.index.to_period("M")
    for name in ("SMB", "OE", "RF"):
        expected = (1 + daily[name]).groupby(months).prod() - 1
        assert_allclose(small.factors[name], expected, rtol=1e-9, atol=1e-15)
    market = (1 + daily["Mkt-RF"] + daily["RF"]).groupby(months).prod() - 1
    assert_allclose(small.factors["Mkt-RF"] + small.factors["RF"], market, rtol=1e-9, atol=1e-15)
    assert small.risk_free.equals(small.factors["RF"])


def test_compound_matches_a_loop():
    returns = np.random.default_rng(0).normal(0, 0.02, (10, 3))
    expected = []
    for start, stop in ((0, 4), (4, 5), (5, 10)):
        growth = np.ones(3)
        for row in returns[start:stop]:
            growth = growth * (1 + row)
        expected.append(growth - 1)
    assert_allclose(compound(returns, np.array([0, 4, 5])), expected)


def test_mean_factor_returns_approach_the_premia():
    u = make_stock_universe(2, 200, 1, start_year=1950, random_state=0)
    factors = u.factors[u.premia.index]
    error = (factors.mean() - u.premia) / (factors.std() / np.sqrt(len(factors)))
    assert (error.abs() < 3.5).all()
    assert (u.premia.abs() > 0.002).all()


def test_betas_follow_the_positions(universe):
    pairs = {"SMB": "size", "HML": "value", "LIQ": "liquidity", "LEV": "leverage"}
    for factor, axis in {**pairs, "OE": "efficiency"}.items():
        correlation = universe.betas[factor].corr(universe.exposures[axis])
        assert (-correlation if factor == "SMB" else correlation) > 0.95


def test_sorting_on_reported_ratios_recovers_the_planted_factors(universe):
    X = universe.cross_section("2016-12-30")
    ratios = {
        "SMB": -np.log(X.market_cap),
        "HML": -np.log(X.pbr),
        "LIQ": X.current_assets / X.current_liabilities,
        "LEV": X.long_term_debt / X.total_assets,
        "OE": -X.cost_of_goods_sold / X.sales,
    }
    later = universe.returns.loc["2017":]
    for factor, ratio in ratios.items():
        rank = ratio.dropna().rank(pct=True)
        spread = later[rank[rank > 0.7].index].mean(axis=1) - later[rank[rank < 0.3].index].mean(
            axis=1
        )
        # Each cluster has levels on every axis, so other factors come with the sort.
        B = universe.factors.loc["2017":, universe.betas.columns]
        coef = np.linalg.lstsq(B.assign(one=1.0), spread, rcond=None)[0]
        assert coef[B.columns.get_loc(factor)] > 0.5, factor


# Clusters -----------------------------------------------------------------------------------


def test_exposures_are_standardised(universe):
    assert_allclose(universe.exposures.mean(), 0, atol=1e-12)
    assert_allclose(universe.exposures.std(ddof=0), 1)


def test_clusters_are_numbered_by_size_and_none_is_empty():
    for seed in range(3):
        u = make_stock_universe(30, 1, 6, random_state=seed)
        assert sorted(u.clusters.unique()) == list(range(6))
        assert u.exposures["size"].groupby(u.clusters).mean().is_monotonic_increasing


def test_draw_clusters_gives_one_each_when_there_are_no_more_stocks():
    labels = draw_clusters(np.random.default_rng(0), 5, 5)
    assert sorted(labels) == [0, 1, 2, 3, 4]


def test_levels_are_one_apart_on_every_axis():
    levels = draw_levels(np.random.default_rng(0), 5)
    assert_array_equal(np.sort(levels, axis=0), np.tile(np.arange(-2.0, 3.0)[:, None], 5))
    assert_array_equal(levels[:, 0], np.arange(-2.0, 3.0))
    gaps = [np.sum((a - b) ** 2) for i, a in enumerate(levels) for b in levels[:i]]
    assert min(gaps) > 5  # neighbours in size differ by more than one level elsewhere


def test_without_separation_positions_do_not_depend_on_the_cluster():
    labels = np.arange(4000) % 4
    positions = draw_positions(np.random.default_rng(0), labels, 0.0)
    for axis in positions.T:
        assert stats.f_oneway(*(axis[labels == k] for k in range(4))).pvalue > 1e-3
        assert stats.normaltest(axis).pvalue > 1e-3


def test_sectors_are_related_to_clusters_but_not_equal(universe):
    table = pd.crosstab(universe.clusters, universe.sectors)
    assert stats.chi2_contingency(table).pvalue < 1e-6
    purity = table.max(axis=0).sum() / table.to_numpy().sum()
    assert 0.4 < purity < 0.85
    assert len(table.columns) > 8


def test_returns_move_together_more_within_clusters(universe):
    C = universe.returns.corr().to_numpy()
    labels = universe.clusters.to_numpy()
    same = labels[:, None] == labels
    off = ~np.eye(len(C), dtype=bool)
    assert np.nanmean(C[same & off]) > np.nanmean(C[~same]) + 0.1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kmeans_on_log_fundamentals_finds_clear_clusters(seed):
    u = make_stock_universe(random_state=seed)
    X = u.cross_section()
    assert adjusted_rand_score(u.clusters[X.index], kmeans(clean(X), 4)) >= 0.95


def test_price_features_alone_tell_something_of_the_clusters(universe):
    X = universe.cross_section(features="original")[["volatility"]]
    labels = universe.clusters[X.index]
    groups = [X.volatility[labels == k].dropna() for k in range(4)]
    assert stats.f_oneway(*groups).pvalue < 1e-10


def test_without_separation_nothing_finds_the_labels():
    u = make_stock_universe(cluster_separation=0, random_state=0)
    X = u.cross_section()
    assert abs(adjusted_rand_score(u.clusters[X.index], kmeans(clean(X), 4))) < 0.03


def test_without_separation_there_is_no_lift_over_a_null_reference():
    for seed in (0, 1):
        nothing = make_stock_universe(cluster_separation=0, random_state=seed)
        clear = make_stock_universe(random_state=seed)
        lift = silhouette_lift(clean(nothing.cross_section()), 4)
        assert abs(lift) < 0.05
        assert silhouette_lift(clean(clear.cross_section()), 4) > 0.12


# One row a firm -----------------------------------------------------------------------------


def test_cross_section_holds_the_last_known_values(universe, reports):
    date = pd.Timestamp("2018-06-29")
    X = universe.cross_section(date)
    alive = universe.prices.loc[date].dropna().index
    expected = {}
    for ticker in alive:
        history = reports.xs(ticker, level="ticker").loc[:date]
        if len(history):
            expected[ticker] = history.ffill().iloc[-1]
    expected = pd.DataFrame(expected).T
    assert list(X.index) == list(expected.index)
    assert_allclose(X, expected)


def test_cross_section_ignores_the_future(universe):
    date = "2017-06-30"
    shocked = StockUniverse(**{name: getattr(universe, name).copy() for name in FRAMES})
    later = shocked.fundamentals.index.get_level_values("date") > date
    shocked.fundamentals.loc[later] = -1.0
    shocked.extension.loc[later] = -1.0
    shocked.prices.loc[shocked.prices.index > date] = np.nan
    assert shocked.cross_section(date).equals(universe.cross_section(date))


def test_a_year_s_last_business_day_knows_the_year(universe):
    year = universe.fundamentals.xs("2016-12-31").market_cap
    for date in ("2016-12-30", "2016-12-31"):
        X = universe.cross_section(date)
        assert X.market_cap.equals(year[X.index])
    assert not universe.cross_section("2016-12-29").market_cap.equals(year[X.index])


def test_cross_section_picks_the_features_asked_for(small):
    both = small.cross_section()
    assert list(both) == [*small.fundamentals, *small.extension]
    for features, table in (("original", small.fundamentals), ("extension", small.extension)):
        assert small.cross_section(features=features).equals(both[list(table)])
    with pytest.raises(InvalidParameterError, match="The 'features' parameter"):
        small.cross_section(features="price")


def test_cross_section_before_any_report_is_an_error(small):
    with pytest.raises(ValueError, match=r"dated up to 2015-06-30.*from 2015-12-31"):
        small.cross_section("2015-06-30")
