"""Factor portfolios and long–short portfolios know at t what was known at t − 1."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _simple_model import make_panel

from skfactor.portfolios import (
    EfficientPortfolio,
    PortfolioSort,
    minimum_variance_portfolio,
    quantile_long_short,
    tangency_portfolio,
)


@pytest.fixture(scope="module")
def factors():
    rng = np.random.default_rng(0)
    dates = pd.date_range("2010-01-31", periods=60, freq="ME", name="date")
    values = rng.normal([0.01, 0.004, 0.0], 0.03, (60, 3)) @ np.triu(np.ones((3, 3)))
    return pd.DataFrame(values, dates, ["a", "b", "c"])


class TestEfficient:
    @pytest.mark.parametrize("window", [None, 30])
    def test_weights_are_those_of_a_loop(self, factors, window):
        found = tangency_portfolio(factors, window=window, min_obs=20)
        lowest = minimum_variance_portfolio(factors, window=window, min_obs=20)
        for t in range(60):
            past = factors.iloc[max(t - window, 0) if window else 0 : t]
            if t < 20:
                assert found.weights.iloc[t].isna().all()
                continue
            covariance = past.cov().to_numpy()
            w = np.linalg.solve(covariance, past.mean())
            w *= 0.01 / np.sqrt(w @ covariance @ w)
            np.testing.assert_allclose(found.weights.iloc[t], w)
            assert found.returns.iloc[t] == pytest.approx(w @ factors.iloc[t])
            v = np.linalg.solve(covariance, np.ones(3))
            np.testing.assert_allclose(lowest.weights.iloc[t], v / v.sum())

    def test_the_future_changes_nothing(self, factors):
        changed = factors.copy()
        changed.iloc[40:] *= -5.0
        for make in (tangency_portfolio, minimum_variance_portfolio):
            was, now = make(factors), make(changed)
            pd.testing.assert_frame_equal(now.weights.iloc[:41], was.weights.iloc[:41])
            pd.testing.assert_series_equal(now.returns.iloc[:40], was.returns.iloc[:40])
            assert not np.allclose(now.weights.iloc[41:], was.weights.iloc[41:])

    def test_tangency_does_not_depend_on_scale_sign_or_rotation(self, factors):
        turn = np.random.default_rng(1).normal(size=(3, 3))
        turned = tangency_portfolio(factors @ turn)
        plain = tangency_portfolio(factors)
        np.testing.assert_allclose(turned.returns, plain.returns)

    def test_no_target_scales_absolute_weights(self, factors):
        weights = tangency_portfolio(factors, target_volatility=None).weights.dropna()
        np.testing.assert_allclose(weights.abs().sum(axis=1), 1.0)
        risky = minimum_variance_portfolio(factors, target_volatility=0.02).weights.iloc[-1]
        assert np.sqrt(risky @ factors.iloc[:-1].cov() @ risky) == pytest.approx(0.02)

    def test_a_copied_factor_gets_half_and_a_ridge_shrinks(self, factors):
        twice = factors[["a"]].assign(again=factors["a"])
        weights = tangency_portfolio(twice).weights.dropna()
        np.testing.assert_allclose(weights["a"], weights["again"])
        strong = tangency_portfolio(factors, ridge=1e6, min_obs=20).weights.iloc[-1]
        mean = factors.iloc[:-1].mean()
        np.testing.assert_allclose(strong / strong.iloc[0], mean / mean.iloc[0], rtol=1e-4)

    def test_a_missing_factor_is_left_out_of_moments(self, factors):
        gappy = factors.copy()
        gappy.iloc[10, 1] = np.nan
        found = tangency_portfolio(gappy, min_obs=20)
        without = tangency_portfolio(factors.drop(factors.index[10]), min_obs=20)
        np.testing.assert_allclose(found.weights.iloc[30:], without.weights.iloc[29:])
        assert np.isnan(tangency_portfolio(gappy, min_obs=5).returns.iloc[10])

    def test_dates_are_sorted_and_defaults_wait(self, factors):
        shuffled = factors.sample(frac=1.0, random_state=0)
        pd.testing.assert_frame_equal(
            tangency_portfolio(shuffled).weights,
            tangency_portfolio(factors).weights,
            check_freq=False,
        )
        assert tangency_portfolio(factors).returns.notna().sum() == 60 - 12
        assert tangency_portfolio(factors, window=8).returns.notna().sum() == 60 - 8

    def test_prints_what_it_earned_and_its_latest_weights(self, factors):
        found = tangency_portfolio(factors)
        earned, latest = repr(found).splitlines()
        assert earned == (
            f"EfficientPortfolio: 3 factors, 48 of 60 dates; mean {found.returns.mean():.4f}, "
            f"sd {found.returns.std():.4f} a period"
        )
        assert latest.startswith(
            f"Latest weights: {factors.columns[0]} {found.weights.iloc[-1, 0]:.2f}, "
        )

    def test_trading_costs_what_is_traded(self, factors):
        found = tangency_portfolio(factors)
        first = found.returns.first_valid_index()
        changes = found.weights.diff().abs().sum(axis=1)
        paid = found.returns - found.net_returns(0.01)
        assert paid[first] == pytest.approx(0.01 * found.weights.loc[first].abs().sum())
        later = found.returns.index > first
        np.testing.assert_allclose(paid[later], 0.01 * changes[later])
        np.testing.assert_allclose(found.turnover[later], 0.5 * changes[later])

    def test_turnover_is_one_way_as_that_of_a_long_short_portfolio(self):
        index = pd.MultiIndex.from_product([[202001, 202002], list("ab")], names=["date", "asset"])
        expected = pd.Series([0.0, 1.0, 1.0, 0.0], index)
        long_short = quantile_long_short(expected, 0.0 * expected, n_quantiles=2)
        weights = pd.DataFrame([[-1.0, 1.0], [1.0, -1.0]], long_short.returns.index)
        held = EfficientPortfolio(long_short.returns, weights)
        np.testing.assert_array_equal(long_short.turnover, [np.nan, 2.0])
        np.testing.assert_array_equal(held.turnover, long_short.turnover)
        net = held.net_returns(0.01)
        np.testing.assert_allclose(net, [-0.02, -0.04])
        np.testing.assert_allclose(net, long_short.net_returns(0.01))

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"window": 1}, "`window` must be an int of at least 2; got 1"),
            ({"window": 5, "min_obs": 9}, "`min_obs` must be at most `window`, 5; got 9"),
            ({"min_obs": 90}, "must have at least 90 complete dates .* got 60"),
            ({"target_volatility": 0}, "`target_volatility` must be None or positive; got 0"),
            ({"ridge": -1}, "`ridge` must be at least 0; got -1"),
        ],
    )
    def test_bad_parameters_are_refused(self, factors, kwargs, message):
        with pytest.raises(ValueError, match=message):
            tangency_portfolio(factors, **kwargs)

    def test_bad_factors_are_refused(self, factors):
        with pytest.raises(ValueError, match="must appear once; got .* more than once. Drop"):
            tangency_portfolio(pd.concat([factors, factors.iloc[:1]]))
        with pytest.raises(ValueError, match="must be finite or NaN; got infinity"):
            tangency_portfolio(np.full((20, 1), np.inf))
        with pytest.raises(ValueError, match="must hold numbers; got columns .* Convert"):
            tangency_portfolio(factors.astype(str).replace("0", "x") + "x")
        with pytest.raises(ValueError, match=r"must not be empty; got shape \(0, 3\)"):
            tangency_portfolio(factors.iloc[:0])
        with pytest.raises(ValueError, match="must have dates in rows"):
            tangency_portfolio(np.ones((2, 2, 2)))
        with pytest.raises(TypeError, match="got a polars frame"):
            tangency_portfolio(pl.DataFrame({"a": [0.1]}))


class TestLongShort:
    @pytest.fixture(scope="class")
    @staticmethod
    def panel():
        X, y = make_panel(12, 50, missing=0.1)
        rng = np.random.default_rng(1)
        expected = X["c0"] + 0.1 * rng.normal(size=len(X))
        weights = pd.Series(rng.lognormal(size=len(X)), X.index)
        return expected, y, weights

    @pytest.mark.parametrize("weighted", [False, True])
    def test_is_a_slow_loop_over_dates(self, panel, weighted):
        expected, y, weights = panel
        found = quantile_long_short(
            expected, y, n_quantiles=5, weights=weights if weighted else None
        )
        size = weights if weighted else weights * 0.0 + 1.0
        for date in expected.index.unique("date"):
            mu, r, w = expected[date], y[date], size[date]
            low, high = np.quantile(mu, [0.2, 0.8])
            legs = []
            for members in (mu >= high, mu < low):
                kept = members & r.notna()
                legs.append((w[kept] * r[kept]).sum() / w[kept].sum())
            assert found.returns[date] == pytest.approx(legs[0] - legs[1])
            assert found.counts.loc[date, "long"] == (mu >= high).sum()
            assert found.counts.loc[date, "short"] == (mu < low).sum()

    def test_who_is_in_a_leg_does_not_depend_on_who_has_a_return(self, panel):
        expected, y, _ = panel
        full = quantile_long_short(expected, y.fillna(0.0), n_quantiles=5)
        gappy = quantile_long_short(expected, y, n_quantiles=5)
        pd.testing.assert_series_equal(full.portfolios.assignments, gappy.portfolios.assignments)
        pd.testing.assert_series_equal(full.portfolios.weights, gappy.portfolios.weights)

    def test_a_missing_return_is_no_trade(self):
        index = pd.MultiIndex.from_product([[202401, 202402], list("abcd")], names=["date", "id"])
        expected = pd.Series([1.0, 2.0, 3.0, 4.0] * 2, index)
        y = pd.Series([0.02, 0.02, 0.03, np.nan, 0.01, 0.02, np.nan, 0.04], index)
        found = quantile_long_short(expected, y, n_quantiles=2)
        np.testing.assert_allclose(found.turnover, [np.nan, 0.0], atol=1e-15)
        np.testing.assert_allclose(found.returns, [0.01, 0.025])
        np.testing.assert_allclose(found.net_returns(0.001), [0.008, 0.025])

    def test_costs_by_hand(self):
        index = pd.MultiIndex.from_product([[202401, 202402, 202403], list("abcd")])
        index = index.set_names(["date", "id"])
        expected = pd.Series([1.0, 2, 3, 4, 1, 2, 3, 4, 4, 3, 2, 1], index)
        y = pd.Series(0.0, index)
        found = quantile_long_short(expected, y, n_quantiles=2)
        # Nothing changes, then everything does.
        np.testing.assert_allclose(found.turnover, [np.nan, 0.0, 2.0])
        np.testing.assert_allclose(-found.net_returns(0.001), [0.002, 0.0, 0.004])

    def test_is_the_sort_it_says(self, panel):
        expected, y, _ = panel
        sort = PortfolioSort("mu", 10).sort(expected.to_frame("mu"), y)
        found = quantile_long_short(expected, y)
        pd.testing.assert_frame_equal(
            found.portfolios.returns,
            sort.returns.set_axis(found.portfolios.returns.columns, axis=1),
        )
        lines = repr(found).splitlines()
        assert lines[0].startswith("QuantileLongShort: 10 quantiles, 12 dates, turnover ")
        assert len(lines) == 2 + 10 + 1
        assert lines[-1].split()[:2] == ["long-short", f"{found.returns.mean():.4f}"]

    def test_arrays_with_dates_and_assets_and_row_order(self, panel):
        expected, y, _ = panel
        plain = quantile_long_short(expected, y).returns
        dates, assets = (y.index.get_level_values(k) for k in (0, 1))
        arrays = quantile_long_short(expected.to_numpy(), y.to_numpy(), dates=dates, assets=assets)
        pd.testing.assert_series_equal(arrays.returns, plain, check_index_type=False)
        indexed = quantile_long_short(expected.to_numpy(), y)
        pd.testing.assert_series_equal(indexed.returns, plain)
        order = np.random.default_rng(0).permutation(len(y))
        mixed = quantile_long_short(expected.iloc[order], y.iloc[order])
        pd.testing.assert_series_equal(mixed.returns, plain)

    def test_weights_of_rows_in_another_order_are_refused(self, panel):
        expected, y, weights = panel
        for ours, name in ((expected, "expected_returns"), (expected.to_numpy(), "y")):
            message = f"The rows of `{name}` and `weights` must be the same, in the same order"
            with pytest.raises(ValueError, match=message):
                quantile_long_short(ours, y, weights=weights[::-1])
        pd.testing.assert_series_equal(
            quantile_long_short(expected, y, weights=weights.to_list()).returns,
            quantile_long_short(expected, y, weights=weights).returns,
        )

    def test_equal_predictions_make_no_portfolio(self, panel):
        expected, y, _ = panel
        flat = expected.copy()
        first = flat.index.get_level_values("date")[0]
        flat[first] = 0.0
        found = quantile_long_short(flat, y)
        assert np.isnan(found.returns.iloc[0])
        assert found.returns.iloc[1:].notna().all()

    def test_bad_input_is_refused(self, panel):
        expected, y, weights = panel
        with pytest.raises(ValueError, match="`n_quantiles` must be an int of at least 2; got 1"):
            quantile_long_short(expected, y, n_quantiles=1)
        with pytest.raises(ValueError, match="The indexes of X and y must agree"):
            quantile_long_short(expected, y[::-1])
        with pytest.raises(ValueError, match="`weights` must have one value for each of the 600"):
            quantile_long_short(expected, y, weights=weights[:5])
        with pytest.raises(ValueError, match="`weights` must not be negative; got -"):
            quantile_long_short(expected, y, weights=-weights)
        with pytest.raises(ValueError, match="must be finite or NaN; got infinity"):
            quantile_long_short(expected * np.inf, y)
