"""R², information coefficients and Sharpe ratios of factor models."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _simple_model import make_panel
from scipy import stats
from sklearn.exceptions import UndefinedMetricWarning

from skfactor._kernels._means import means_and_errors
from skfactor._kernels._resampling import block_length_of, count_draws, stationary_bootstrap
from skfactor.metrics import (
    information_coefficient,
    predictive_r2_score,
    sharpe_ratio,
    total_r2_score,
)
from skfactor.metrics._information_coefficient import ranks_by_date


def _slow_r2(true, fit, base=0.0, weight=1.0):
    missed = total = 0.0
    true, fit, base, weight = np.broadcast_arrays(true, fit, base, weight)
    for r, f, b, w in zip(*(a.ravel() for a in (true, fit, base, weight)), strict=True):
        if not np.isnan(r):
            missed += w * (r - f) ** 2
            total += w * (r - b) ** 2
    return 1.0 - missed / total


class TestR2:
    def test_by_hand(self):
        # 0.01² of 0.02² + 0.01² = 1 - 1/5.
        assert total_r2_score([0.02, 0.01], [0.01, 0.01]) == pytest.approx(0.8)
        assert predictive_r2_score([0.02, 0.01], [0.01, 0.01]) == pytest.approx(0.8)

    def test_is_the_slow_sum(self):
        rng = np.random.default_rng(0)
        true, fit, base = rng.normal(size=(3, 50))
        weight = rng.random(50)
        true[::7] = np.nan
        fit[::7] = np.nan
        score = total_r2_score(true, fit, baseline=base, sample_weight=weight)
        assert score == pytest.approx(_slow_r2(true, fit, base, weight))

    def test_zero_fit_scores_zero_and_the_returns_score_one(self):
        y = np.random.default_rng(0).normal(size=20)
        assert total_r2_score(y, np.zeros(20)) == 0.0
        assert total_r2_score(y, y) == 1.0

    def test_a_wide_table_is_pooled(self):
        rng = np.random.default_rng(1)
        true, fit = rng.normal(size=(2, 6, 3))
        assert total_r2_score(true, fit) == pytest.approx(_slow_r2(true, fit))

    def test_a_baseline_by_date_is_looked_up_by_month(self):
        _, y = make_panel(4, 5)
        market = y.groupby("date").mean()
        expected = _slow_r2(y.to_numpy(), 0.5 * y.to_numpy(), np.repeat(market.to_numpy(), 5))
        months = market.set_axis(pd.PeriodIndex(market.index, freq="M"))
        frame = pl.DataFrame({"date": market.index.to_numpy(), "mkt": market.to_numpy()})
        for baseline in (market, months, months[::-1], frame, market.to_frame()):
            assert total_r2_score(y, 0.5 * y, baseline=baseline) == pytest.approx(expected)
        wide, half = y.unstack(), 0.5 * y.unstack()
        assert total_r2_score(wide, half, baseline=market) == pytest.approx(expected)

    def test_rows_in_another_order_have_their_own_baseline(self):
        _, y = make_panel(4, 5)
        market = y.groupby("date").mean()
        shuffled = y.sample(frac=1.0, random_state=0)
        assert total_r2_score(shuffled, 0.5 * shuffled, baseline=market) == pytest.approx(
            total_r2_score(y, 0.5 * y, baseline=market)
        )

    def test_a_baseline_that_lacks_a_date_is_refused(self):
        _, y = make_panel(4, 5)
        market = y.groupby("date").mean()
        with pytest.raises(ValueError, match="`baseline` must cover every date of X; got 1 of 4"):
            total_r2_score(y, y, baseline=market.iloc[:-1])

    def test_indexes_that_differ_are_refused(self):
        _, y = make_panel(2, 3)
        with pytest.raises(ValueError, match=r"rows of `y_true` and `y_fit` must be the same.*6"):
            total_r2_score(y, y[::-1])
        with pytest.raises(ValueError, match="columns of `y_true` and `y_pred` must be the same"):
            predictive_r2_score(y.unstack(), y.unstack()[["A000", "A002", "A001"]])

    @pytest.mark.parametrize(
        ("true", "fit", "message"),
        [
            ([0.1, 0.2], [0.1], r"must have one shape; got \(2,\) and \(1,\)"),
            ([np.nan], [0.1], "`y_true` must have at least one value; got none but NaN"),
            ([0.1, 0.2], [np.nan, 0.1], "`y_fit` must have a value wherever .* got 1 gaps"),
            ([np.inf], [0.1], "`y_true` must be finite or NaN; got infinity, first in row 0"),
            (["a"], [0.1], "`y_true` must hold numbers; got list"),
            ([], [], r"not be empty; got shape \(0,\)"),
        ],
    )
    def test_bad_input_is_refused(self, true, fit, message):
        with pytest.raises(ValueError, match=message):
            total_r2_score(true, fit)

    def test_bad_baselines_and_weights_are_refused(self):
        with pytest.raises(ValueError, match="`baseline` must be None, a number"):
            total_r2_score([0.1, 0.2], [0.1, 0.2], baseline=[1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match="`baseline` must have a value wherever"):
            total_r2_score([0.1, 0.2], [0.1, 0.2], baseline=[1.0, np.nan])
        with pytest.raises(ValueError, match="`sample_weight` must have a weight of at least 0"):
            total_r2_score([0.1, 0.2], [0.1, 0.2], sample_weight=[1.0, -1.0])

    @pytest.mark.parametrize("score", [total_r2_score, predictive_r2_score])
    def test_weights_of_rows_in_another_order_are_refused(self, score):
        true = pd.Series([0.1, 0.2, -0.1], list("abc"))
        weight = pd.Series([1.0, 2.0, 4.0], true.index)
        for other in (weight, weight.to_numpy(), weight.to_list(), weight.reset_index(drop=True)):
            assert score(true, 0.5 * true, sample_weight=other) == pytest.approx(0.75)
        message = "rows of `y_true` and `sample_weight` must be the same.*got 2 that differ: 'a'"
        with pytest.raises(ValueError, match=message):
            score(true, 0.5 * true, sample_weight=weight[::-1])
        with pytest.raises(ValueError, match="rows of `y_.*` and `sample_weight` must be the same"):
            score(true.to_numpy(), 0.5 * true, sample_weight=weight[::-1])
        wide = pd.DataFrame({"a": [0.1, 0.2], "b": [0.0, 0.1]})
        with pytest.raises(ValueError, match=r"columns of.*sample_weight.reindex\(columns=y_true"):
            score(wide, 0.5 * wide, sample_weight=wide[["b", "a"]])

    def test_returns_equal_to_the_baseline_have_no_r2(self):
        with pytest.warns(UndefinedMetricWarning, match="no return with a weight differs"):
            assert np.isnan(total_r2_score([0.1, 0.1], [0.0, 0.1], baseline=0.1))


class TestInformationCoefficient:
    @pytest.mark.parametrize("method", ["spearman", "pearson"])
    def test_is_scipy_s_correlation_of_each_date(self, method):
        rng = np.random.default_rng(0)
        dates = np.repeat([202401, 202402, 202403], [30, 17, 25])
        true, pred = rng.normal(size=(2, 72)).round(1)
        true[::9] = np.nan
        ic = information_coefficient(true, pred, dates=dates, method=method)
        function = {"spearman": stats.spearmanr, "pearson": stats.pearsonr}[method]
        for date in np.unique(dates):
            rows = (dates == date) & ~np.isnan(true)
            expected = function(true[rows], pred[rows]).statistic
            assert ic.by_date[date] == pytest.approx(expected)

    def test_ranks_are_scipy_s(self):
        rng = np.random.default_rng(0)
        codes = rng.integers(0, 5, 100)
        values = rng.integers(0, 6, 100).astype(float)
        ranks = ranks_by_date(values, codes)
        for code in range(5):
            np.testing.assert_allclose(ranks[codes == code], stats.rankdata(values[codes == code]))

    def test_summary_is_that_of_the_series(self):
        X, y = make_panel(30, 20, seed=3)
        ic = information_coefficient(y, X["c0"])
        test = stats.ttest_1samp(ic.by_date, 0.0)
        assert ic.mean == float(ic) == pytest.approx(ic.by_date.mean())
        assert (ic.t_value, ic.p_value) == pytest.approx((test.statistic, test.pvalue))
        assert ic.icir == pytest.approx(ic.by_date.mean() / ic.by_date.std())
        assert ic.positive_share == (ic.by_date > 0).mean()
        assert ic.n_dates == 30
        assert f"{ic.mean:.4f}" in repr(ic)

    def test_lags_widen_the_error_of_correlations_that_persist(self):
        rng = np.random.default_rng(0)
        level = np.repeat(np.sign(np.sin(np.arange(60) / 5)), 50)
        pred = rng.normal(size=3000)
        dates = np.repeat(np.arange(60) + 2000, 50)
        true = 0.3 * level * pred + rng.normal(size=3000) + 0.1 * pred
        plain = information_coefficient(true, pred, dates=dates)
        robust = information_coefficient(true, pred, dates=dates, maxlags=6)
        assert robust.mean == plain.mean
        assert abs(robust.t_value) < abs(plain.t_value)
        assert robust.maxlags == 6

    def test_a_date_with_few_or_equal_values_is_left_out(self):
        dates = [1, 1, 1, 2, 2, 3, 3, 3]
        true = [0.1, 0.2, 0.3, 0.1, 0.2, 0.1, 0.2, 0.3]
        pred = [1.0, 2.0, 3.0, 1.0, 2.0, 5.0, 5.0, 5.0]
        ic = information_coefficient(true, pred, dates=dates)
        assert ic.by_date.isna().to_list() == [False, True, True]
        assert ic.n_dates == 1

    def test_bad_input_is_refused(self):
        with pytest.raises(ValueError, match="`method` must be 'spearman' or 'pearson'; got 'k'"):
            information_coefficient([0.1], [0.1], dates=[1], method="k")
        with pytest.raises(ValueError, match="`min_assets` must be an int of at least 2; got 1"):
            information_coefficient([0.1], [0.1], dates=[1], min_assets=1)
        with pytest.raises(ValueError, match="At least one date must have 3 assets"):
            information_coefficient([0.1, 0.2], [0.1, 0.2], dates=[1, 1])
        with pytest.raises(ValueError, match="must have one row for each"):
            information_coefficient(np.ones((2, 2)), np.ones((2, 2)), dates=[1, 1])


@pytest.fixture(scope="module")
def returns():
    return 0.01 + 0.03 * np.random.default_rng(0).standard_t(5, 150)


class TestSharpeRatio:
    def test_by_hand(self, returns):
        sharpe = sharpe_ratio(returns, method="normal")
        ratio = returns.mean() / returns.std(ddof=1)
        error = np.sqrt((1 + ratio**2 / 2) / 149)
        assert sharpe.value == float(sharpe) == pytest.approx(ratio * np.sqrt(12))
        assert sharpe.std_error == pytest.approx(error * np.sqrt(12))
        z = stats.norm.ppf(0.975)
        assert sharpe.low == pytest.approx((ratio - z * error) * np.sqrt(12))
        assert sharpe.high == pytest.approx((ratio + z * error) * np.sqrt(12))

    def test_mertens_takes_skewness_and_kurtosis(self, returns):
        s = returns.mean() / returns.std(ddof=1)
        skew, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
        expected = np.sqrt((1 + (kurtosis - 1) / 4 * s**2 - skew * s) / 149)
        found = sharpe_ratio(returns, periods_per_year=1)
        assert found.std_error == pytest.approx(expected)

    def test_hac_without_lags_is_mertens(self, returns):
        plain = sharpe_ratio(returns)
        hac = sharpe_ratio(returns, method="hac", maxlags=0)
        assert hac.std_error == pytest.approx(plain.std_error, rel=1e-3)

    def test_dependence_over_time_widens_the_interval(self):
        noise = np.random.default_rng(0).normal(size=400)
        smooth = 0.2 + np.convolve(noise, np.ones(5) / 5, mode="valid")
        plain = sharpe_ratio(smooth)
        for method in ("hac", "bootstrap"):
            wide = sharpe_ratio(smooth, method=method)
            assert wide.high - wide.low > 1.3 * (plain.high - plain.low)

    def test_the_bootstrap_agrees_with_theory_and_with_itself(self, returns):
        kwargs = {"method": "bootstrap", "block_length": 1}
        boot = sharpe_ratio(returns, random_state=3, **kwargs)
        plain = sharpe_ratio(returns)
        assert boot.std_error == pytest.approx(plain.std_error, rel=0.15)
        assert boot == sharpe_ratio(returns, random_state=3, **kwargs)
        assert boot != sharpe_ratio(returns, random_state=4, **kwargs)
        state = np.random.get_state()[1].copy()
        sharpe_ratio(returns, random_state=None, **kwargs)
        np.testing.assert_array_equal(np.random.get_state()[1], state)

    def test_missing_returns_are_left_out_and_columns_are_series(self, returns):
        gappy = np.insert(returns, 10, np.nan)
        assert sharpe_ratio(gappy) == sharpe_ratio(returns) == sharpe_ratio(returns[:, None])

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"confidence": 1.0}, "`confidence` must be between 0 and 1; got 1.0"),
            ({"periods_per_year": 0}, "`periods_per_year` must be between 0 and inf; got 0"),
            ({"method": "lo"}, "`method` must be one of 'normal', 'mertens', 'hac'"),
            ({"maxlags": -1}, "`maxlags` must be an int of at least 0; got -1"),
            ({"block_length": 0.5}, "`block_length` must be None or at least 1; got 0.5"),
            ({"n_resamples": 0}, "`n_resamples` must be an int of at least 1; got 0"),
        ],
    )
    def test_bad_parameters_are_refused(self, returns, kwargs, message):
        with pytest.raises(ValueError, match=message):
            sharpe_ratio(returns, **kwargs)

    def test_bad_returns_are_refused(self):
        with pytest.raises(ValueError, match="`returns` must have at least 3 values; got 2"):
            sharpe_ratio([0.1, np.nan, 0.2])
        with pytest.raises(ValueError, match="`returns` must vary"):
            sharpe_ratio([0.01] * 10)
        with pytest.raises(ValueError, match=r"must be one series; got shape \(5, 2\)"):
            sharpe_ratio(np.ones((5, 2)))

    @pytest.mark.slow
    @pytest.mark.parametrize("method", ["mertens", "hac", "bootstrap"])
    def test_intervals_hold_the_true_ratio_as_often_as_they_say(self, method):
        rng = np.random.default_rng(0)
        held = 0
        for _ in range(1000):
            sample = 0.3 + 1.0 - rng.exponential(size=240)  # skewed to losses
            found = sharpe_ratio(sample, periods_per_year=1, method=method, n_resamples=500)
            held += found.low <= 0.3 <= found.high
        assert 0.92 <= held / 1000 <= 0.97


class TestResampling:
    def test_blocks_follow_the_calendar_and_wrap_around(self):
        drawn = stationary_bootstrap(np.random.default_rng(0), 50, 200, 10.0)
        follows = drawn[:, 1:] == (drawn[:, :-1] + 1) % 50
        # A new block begins with probability 1/10, and may happen to follow.
        assert follows.mean() == pytest.approx(0.9 + 0.1 / 50, abs=0.01)
        assert np.bincount(drawn.ravel(), minlength=50).std() < 40

    def test_counts_are_those_of_a_loop(self):
        drawn = stationary_bootstrap(np.random.default_rng(0), 7, 5, 2.0)
        expected = [[np.sum(row == t) for t in range(7)] for row in drawn]
        np.testing.assert_array_equal(count_draws(drawn), expected)

    def test_blocks_grow_with_dependence(self):
        rng = np.random.default_rng(0)
        noise = rng.normal(size=(600, 3))
        series = noise.copy()
        for t in range(1, 600):
            series[t] += np.array([0.0, 0.5, 0.9]) * series[t - 1]
        lengths = block_length_of(series)
        assert lengths[0] < 3 < lengths[1] < lengths[2] <= np.ceil(3 * np.sqrt(600))
        assert block_length_of(np.ones((50, 1)))[0] == 1.0
        assert block_length_of(np.ones((1, 2))).tolist() == [1.0, 1.0]

    def test_block_length_is_that_of_the_published_rule_by_hand(self):
        # One large autocorrelation: the flat top of the window takes it whole, twice its lag
        # nothing is left.
        x = np.random.default_rng(5).normal(size=400)
        x = (x[1:] + 0.8 * x[:-1])[:, None]
        n, c = len(x), x - x.mean()
        cov = [float(c[k:, 0] @ c[: n - k, 0]) / n for k in range(3)]
        slope, spectrum = 2 * cov[1], cov[0] + 2 * cov[1]
        expected = (slope**2 / spectrum**2) ** (1 / 3) * n ** (1 / 3)
        assert block_length_of(x)[0] == pytest.approx(expected)

    def test_means_and_errors_are_those_of_a_loop(self):
        rng = np.random.default_rng(0)
        values = rng.normal(size=(40, 3))
        values[5:9, 1] = np.nan
        means, errors, counts = means_and_errors(values, lags=3)
        for j in range(3):
            seen = ~np.isnan(values[:, j])
            mean, n = values[seen, j].mean(), seen.sum()
            total = 0.0
            for s in range(40):
                for t in range(40):
                    if abs(s - t) <= 3 and seen[s] and seen[t]:
                        weight = 1 - abs(s - t) / 4
                        total += weight * (values[s, j] - mean) * (values[t, j] - mean)
            assert means[j] == pytest.approx(mean)
            assert errors[j] == pytest.approx(np.sqrt(total / (n * (n - 1))))
            assert counts[j] == n
