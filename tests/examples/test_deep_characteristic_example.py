"""The example of deep characteristics: its data road on small tables, the script among the slow."""

import numpy as np
import pandas as pd
import pytest
from _example_script import definitions_of, run_script

from skfactor.datasets import make_stock_universe

EXAMPLE = "plot_deep_characteristic_factors.py"


@pytest.fixture(scope="module")
def example():
    with definitions_of(EXAMPLE, {"ITEMS"}) as module:
        yield module


@pytest.fixture(scope="module")
def universe():
    return make_stock_universe(n_assets=40, n_years=5, random_state=0)


def road(example, universe, prices, filings):
    shares = pd.DataFrame(100.0, prices.index, prices.columns)
    return example.panel_of(
        prices,
        None,
        filings,
        universe.risk_free,
        shares=shares,
        filings_per_year=1,
        lag="6 months",
        n_assets=30,
    )


def filings_of(universe):
    return universe.fundamentals.join(universe.extension).drop(columns="market_cap")


def test_rows_are_the_largest_stocks_with_accounts_and_their_excess_returns(example, universe):
    X, y = road(example, universe, universe.prices, filings_of(universe))
    assert X.index.equals(y.index)
    assert X.groupby(level="date").size().max() == 30
    assert {"momentum_12m", "size", "leverage", "earnings_to_price"} <= set(X.columns)
    date = y.dropna().index.get_level_values("date").max()
    assert date == universe.returns.index[-1]
    earned = y.loc[date].dropna()
    expected = universe.returns.loc[date, earned.index] - universe.risk_free.loc[date]
    np.testing.assert_allclose(earned, expected, atol=1e-9)


def test_later_prices_and_filings_do_not_move_earlier_characteristics(example, universe):
    X, _ = road(example, universe, universe.prices, filings_of(universe))
    prices, filings = universe.prices.copy(), filings_of(universe)
    day = prices.index[len(prices) * 2 // 3]
    prices.loc[prices.index > day] = prices[prices.index > day] * 1.5
    late = filings.index.get_level_values("date") > day
    filings.loc[late] = filings[late].to_numpy()[::-1]
    other, _ = road(example, universe, prices, filings)
    dates = X.index.get_level_values("date")
    early = dates[dates <= day].unique()
    pd.testing.assert_frame_equal(other.loc[early], X.loc[early])
    assert not np.allclose(other.loc[dates.max()].iloc[:5], X.loc[dates.max()].iloc[:5])


def test_portfolios_and_correlations_are_told_in_a_line(example):
    values = pd.Series([0.513, -0.2], ["Banks", "Oil"])
    assert example.told(values) == "Banks 0.51, Oil -0.20"


def test_tables_are_written_only_where_a_folder_is_named(example, tmp_path):
    table = pd.DataFrame({"gain": [0.5]}, index=["test"])
    vars(example).update(output="", name="made")
    example.save(table, "total_r2")
    vars(example).update(output=str(tmp_path / "new"))
    example.save(table, "total_r2")
    assert [path.name for path in tmp_path.rglob("*.csv")] == ["made_total_r2.csv"]


@pytest.mark.parametrize(
    ("name", "n_dates", "n_features"), [("sp500_monthly_chars", 48, 58), ("sp500_daily", 60, 49)]
)
def test_real_files_make_a_market(example, real_data, name, n_dates, n_features):
    market = example.real_market(real_data, name)
    assert market.X.shape[1] == n_features
    assert market.X.index.is_unique
    dates = market.X.index.get_level_values("date").unique()
    assert len(dates) == n_dates
    assert market.y.abs().max() < 2
    assert market.benchmark.reindex(dates).notna().all(axis=None)
    assert market.tests.shape[1] == 49


@pytest.mark.slow
def test_the_script_finds_more_than_the_benchmark(tmp_path):
    run_script(EXAMPLE, tmp_path)
    fits = pd.read_csv(tmp_path / "simulated_total_r2.csv", index_col=0)
    assert fits.loc["test", "gain"] > 0.03
    # The market has three factors beside the benchmark, all from accounts.
    known = pd.read_csv(tmp_path / "simulated_known_factors.csv", index_col=0)
    assert (known["R²"] > 0.6).all()
    assert (known[["LIQ", "LEV", "OE"]].abs().max(axis=1) > 0.5).all()
    assert len(list(tmp_path.glob("*.png"))) == 3
