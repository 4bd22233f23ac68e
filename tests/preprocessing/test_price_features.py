"""PriceFeatures: windows counted back from the last day, gaps, short histories."""

import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from skfactor.preprocessing import PriceFeatures

NAMES = [
    f"{horizon}_{kind}"
    for horizon in ("daily", "weekly", "monthly", "three_month", "six_month")
    for kind in ("mean", "std")
]


def random_prices(n_assets=6, n_days=300, missing=0.05, seed=0):
    rng = np.random.default_rng(seed)
    prices = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (n_assets, n_days)), axis=1))
    prices[rng.random(prices.shape) < missing] = np.nan
    return prices


def price_at(prices, day, oldest):
    """Return the last valid price from ``day`` back to ``oldest``."""
    for back in range(day, max(oldest, 0) - 1, -1):
        if prices[back] > 0:
            return prices[back]
    return math.nan


def reference(prices, horizons, *, log_returns=False, min_obs=2, max_gap=4):
    """Walk back from the last day, one window after another."""
    rows = []
    for asset in prices:
        row = []
        for days in horizons:
            returns = []
            end = len(asset) - 1
            while end - days >= 0:
                gap = min(max_gap, days - 1)
                p1 = price_at(asset, end, end - gap)
                p0 = price_at(asset, end - days, end - days - gap)
                if not (math.isnan(p0) or math.isnan(p1)):
                    returns.append(math.log(p1 / p0) if log_returns else p1 / p0 - 1)
                end -= days
            enough = len(returns) >= min_obs
            row.append(np.mean(returns) if enough else math.nan)
            row.append(np.std(returns, ddof=1) if enough and len(returns) > 1 else math.nan)
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("log_returns", [False, True])
@pytest.mark.parametrize("max_gap", [0, 2, 4, 50])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_equals_a_walk_back_from_the_last_day(log_returns, max_gap, missing):
    prices = random_prices(missing=missing)
    got = PriceFeatures(log_returns=log_returns, max_gap=max_gap).fit_transform(prices)
    expected = reference(prices, (1, 5, 21, 63, 126), log_returns=log_returns, max_gap=max_gap)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_constant_growth_gives_its_compounded_return_and_no_risk():
    prices = 7 * 1.001 ** np.arange(253.0)[None, :]
    row = PriceFeatures().fit_transform(prices)[0]
    np.testing.assert_allclose(row[::2], 1.001 ** np.array([1, 5, 21, 63, 126]) - 1)
    np.testing.assert_allclose(row[1::2], 0, atol=1e-12)


def test_last_window_ends_on_the_last_day():
    prices = np.full((1, 12), 10.0)
    prices[0, -1] = 20.0
    row = PriceFeatures(horizons=[5]).fit_transform(prices)[0]
    np.testing.assert_allclose(row, [0.5, math.sqrt(0.5)])


def test_names_of_the_columns():
    features = PriceFeatures().fit(random_prices())
    assert list(features.get_feature_names_out()) == NAMES
    features = PriceFeatures(horizons={"yearly": 252, "fortnight": 10}).fit(random_prices())
    assert list(features.get_feature_names_out())[::2] == ["yearly_mean", "fortnight_mean"]
    features = PriceFeatures(horizons=["weekly", 10, 21]).fit(random_prices())
    assert list(features.horizons_.items()) == [("weekly", 5), ("10day", 10), ("monthly", 21)]


def test_set_output_keeps_the_tickers():
    days = pd.bdate_range("2020-01-01", periods=300)
    prices = pd.DataFrame(random_prices().T, index=days, columns=list("ABCDEF"))
    out = PriceFeatures().set_output(transform="pandas").fit_transform(prices.T)
    assert list(out.index) == list("ABCDEF")
    assert list(out.columns) == NAMES
    np.testing.assert_array_equal(out, PriceFeatures().fit_transform(random_prices()))


def test_polars_in_and_out():
    prices = random_prices()
    frame = pl.DataFrame(prices, schema=[f"day{i}" for i in range(300)])
    out = PriceFeatures().set_output(transform="polars").fit_transform(frame)
    assert isinstance(out, pl.DataFrame)
    np.testing.assert_array_equal(out.to_numpy(), PriceFeatures().fit_transform(prices))


@pytest.mark.parametrize("bad", [0.0, -3.5])
def test_prices_that_are_not_positive_count_as_missing(bad):
    prices = random_prices(missing=0.2)
    expected = PriceFeatures().fit_transform(prices)
    np.testing.assert_array_equal(
        PriceFeatures().fit_transform(np.nan_to_num(prices, nan=bad)), expected
    )


def test_a_daily_return_never_spans_a_gap():
    prices = np.array([[10.0, 11.0, np.nan, 22.0, 24.2]])
    row = PriceFeatures(horizons=["daily"]).fit_transform(prices)[0]
    np.testing.assert_allclose(row, [0.1, 0.0], atol=1e-12)


def test_a_delisted_stock_has_no_returns_after_its_last_day():
    prices = random_prices(n_assets=1, n_days=400, missing=0)
    prices[0, 200:] = np.nan
    features = PriceFeatures(horizons=["daily", "weekly"]).fit(prices)
    expected = reference(prices, (1, 5))
    np.testing.assert_allclose(features.transform(prices), expected)
    assert (expected[0, 1::2] > 0).all()


def test_too_few_windows_give_missing_features():
    prices = random_prices(n_days=64, missing=0)
    row = PriceFeatures().fit_transform(prices)
    assert np.isfinite(row[:, :6]).all()
    assert np.isnan(row[:, 6:]).all()
    single = PriceFeatures(min_obs=1).fit_transform(prices)
    assert np.isfinite(single[:, 6]).all()
    assert np.isnan(single[:, 7:]).all()


def test_one_day_one_asset_and_an_asset_without_prices_give_missing_features():
    assert np.isnan(PriceFeatures().fit_transform([[5.0]])).all()
    prices = random_prices()
    prices[2] = np.nan
    out = PriceFeatures().fit_transform(prices)
    assert np.isnan(out[2]).all()
    np.testing.assert_array_equal(
        out[[0, 1, 3, 4, 5]], PriceFeatures().fit_transform(prices[[0, 1, 3, 4, 5]])
    )


def test_float32_stays_float32():
    prices = random_prices()
    out = PriceFeatures().fit_transform(prices.astype(np.float32))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, PriceFeatures().fit_transform(prices), atol=1e-5)


def test_dates_in_rows_are_refused():
    prices = pd.DataFrame(
        random_prices().T, index=pd.bdate_range("2020-01-01", periods=300), columns=list("ABCDEF")
    )
    with pytest.raises(ValueError, match=r"index holds dates. Pass X.T"):
        PriceFeatures().fit(prices)


@pytest.mark.parametrize(
    ("horizons", "message"),
    [
        (["yearly"], "one of 'daily', 'weekly', 'monthly', 'three_month', 'six_month' or a number"),
        ([0], "at least 1; got 0 for '0day'"),
        ([1.5], "whole number of days, at least 1; got 1.5"),
        ({"a": True}, "got True for 'a'"),
        ([5, "weekly"], "got 'weekly' twice"),
        ([], "at least one horizon; got none"),
    ],
)
def test_bad_horizons_are_refused(horizons, message):
    with pytest.raises(ValueError, match=message):
        PriceFeatures(horizons=horizons).fit(random_prices())


def test_infinities_and_other_numbers_of_days_are_refused():
    prices = random_prices()
    features = PriceFeatures().fit(prices)
    with pytest.raises(ValueError, match="expecting 300 features"):
        features.transform(prices[:, 1:])
    prices[0, 3] = np.inf
    with pytest.raises(ValueError, match="column 3 "):
        features.fit(prices)
    assert features.n_features_in_ == 300


def test_input_is_left_as_it_was_and_the_estimator_clones_and_pickles():
    prices = random_prices()
    prices[0, :5] = -1
    before = prices.copy()
    features = PriceFeatures(horizons={"daily": 1}, max_gap=0).fit(prices)
    out = features.transform(prices)
    np.testing.assert_array_equal(prices, before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(prices), out)
    assert clone(features).get_params() == features.get_params()


def test_days_newest_first_are_refused():
    frame = pd.DataFrame(random_prices(), columns=pd.bdate_range("2020-01-01", periods=300))
    features = PriceFeatures().fit(frame)
    with pytest.raises(ValueError, match="Dates of the columns of X must rise"):
        features.transform(frame.iloc[:, ::-1])
