"""Mean residuals by asset and jointly, and how often noise is taken for mispricing."""

import numpy as np
import pandas as pd
import pytest
from _simple_model import make_panel
from scipy import stats

from skfactor._kernels._means import mean_squared_t
from skfactor._kernels._resampling import count_draws, stationary_bootstrap
from skfactor.inference import HypothesisTest, pricing_error


@pytest.fixture(scope="module")
def residuals():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(80, 1))
    values = 0.02 * (0.7 * common + rng.standard_t(6, size=(80, 12)))
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def test_each_asset_has_its_t_test(residuals):
    errors = pricing_error(residuals)
    for j in range(12):
        own = residuals[~np.isnan(residuals[:, j]), j]
        test = stats.ttest_1samp(own, 0.0)
        row = errors.table.loc[j]
        assert row["mean"] == pytest.approx(own.mean())
        assert row["t_value"] == pytest.approx(test.statistic)
        assert row["p_value"] == pytest.approx(test.pvalue)
        assert row["n_dates"] == len(own)
    assert errors.root_mean_square == pytest.approx(np.sqrt((errors.table["mean"] ** 2).mean()))
    assert errors.mean_absolute == pytest.approx(errors.table["mean"].abs().mean())


def test_the_joint_statistic_is_that_of_a_loop(residuals):
    drawn = stationary_bootstrap(np.random.default_rng(1), 80, 20, 4.0)
    statistic, resampled = mean_squared_t(residuals, count_draws(drawn))

    def slow(values):
        squares = []
        for column in values.T:
            own = column[~np.isnan(column)]
            squares.append(own.mean() ** 2 * len(own) / own.var(ddof=1))
        return np.mean(squares)

    assert statistic == pytest.approx(slow(residuals))
    centred = residuals - np.nanmean(residuals, axis=0)
    np.testing.assert_allclose(resampled, [slow(centred[rows]) for rows in drawn])


def test_the_joint_test_says_its_null_and_is_reproducible(residuals):
    errors = pricing_error(residuals, n_resamples=199, block_length=1, random_state=3)
    assert isinstance(errors.joint, HypothesisTest)
    assert errors.joint.null == "The mean residuals of all 12 assets are zero."
    assert (200 * errors.joint.p_value) == pytest.approx(round(200 * errors.joint.p_value))
    assert "The mean residuals of all 12 assets are zero." in repr(errors)
    again = pricing_error(residuals, n_resamples=199, block_length=1, random_state=3)
    assert again.joint == errors.joint
    one = pricing_error(residuals[:, :1])
    assert one.joint.null == "The mean residual of the asset is zero."
    # Of one asset the test is that of its own mean.
    assert one.joint.p_value == pytest.approx(one.table["p_value"].iloc[0], abs=0.05)


def test_mispricing_is_found(residuals):
    wrong = residuals.copy()
    wrong[:, 3] += 0.02
    errors = pricing_error(wrong)
    assert errors.joint.p_value < 0.01 < pricing_error(residuals).joint.p_value
    assert errors.n_large == 1
    assert errors.table["t_value"].idxmax() == 3


def test_a_long_panel_is_a_wide_table():
    X, y = make_panel(30, 8, missing=0.1)
    fit = 0.02 * X["c0"]
    long = pricing_error(y, fit, n_resamples=99)
    wide = pricing_error(y.unstack(), fit.unstack(), n_resamples=99)
    pd.testing.assert_frame_equal(long.table, wide.table)
    assert long.joint == wide.joint
    assert long.table.index.to_list() == [f"A{i:03d}" for i in range(8)]
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = pricing_error(y.iloc[order], fit.iloc[order], n_resamples=99)
    pd.testing.assert_frame_equal(shuffled.table, long.table)
    mixed = y.unstack().iloc[::-1]
    assert pricing_error(mixed, fit.unstack().iloc[::-1], n_resamples=99).joint == wide.joint
    dates, assets = (y.index.get_level_values(k) for k in (0, 1))
    arrays = pricing_error(y.to_numpy(), fit.to_numpy(), dates=dates, assets=assets, n_resamples=99)
    assert arrays.joint == wide.joint


def test_residuals_may_be_given_instead_of_fits():
    X, y = make_panel(30, 8)
    fit = 0.02 * X["c0"]
    both, one = pricing_error(y, fit, n_resamples=99), pricing_error(y - fit, n_resamples=99)
    pd.testing.assert_frame_equal(both.table, one.table)


def test_lags_widen_errors_of_residuals_that_persist():
    noise = np.random.default_rng(0).normal(size=(204, 3))
    smooth = np.stack([noise[t : t + 5].mean(axis=0) for t in range(200)])
    plain, robust = pricing_error(smooth), pricing_error(smooth, maxlags=8)
    assert (robust.table["std_error"] > 1.5 * plain.table["std_error"]).all()
    assert robust.maxlags == 8
    assert pricing_error(smooth, maxlags=None).maxlags == 4


def test_assets_with_few_or_constant_residuals_are_not_judged(residuals):
    values = residuals.copy()
    values[11:, 0] = np.nan
    values[:, 1] = 0.5
    errors = pricing_error(values)
    assert errors.table["t_value"].isna().to_list()[:3] == [True, True, False]
    assert errors.table["n_dates"].iloc[0] <= 11
    assert errors.joint.null == "The mean residuals of all 10 assets are zero."


def test_bad_input_is_refused(residuals):
    with pytest.raises(ValueError, match=r"At least one asset must have 12 residuals .* got 5"):
        pricing_error(residuals[:5])
    with pytest.raises(ValueError, match="`min_obs` must be an int of at least 3; got 2"):
        pricing_error(residuals, min_obs=2)
    with pytest.raises(ValueError, match="`block_length` must be None or at least 1; got 0"):
        pricing_error(residuals, block_length=0)
    with pytest.raises(ValueError, match="`dates` and `assets` are for a long panel"):
        pricing_error(residuals, dates=np.arange(80))
    with pytest.raises(ValueError, match="Each row must have its asset; got dates alone"):
        pricing_error(residuals[:, 0], dates=np.arange(80) + 2000)
    with pytest.raises(ValueError, match="Nothing says on which date"):
        pricing_error(residuals[:, 0])


def _rejections(n_draws, n_dates, n_assets, *, persistence=0.0, gaps=0.0, seed=0):
    rng = np.random.default_rng(seed)
    rejected = 0
    for _ in range(n_draws):
        noise = rng.standard_t(5, size=(n_dates + 20, n_assets))
        noise += rng.normal(0.5, 0.3, n_assets) * rng.normal(size=(n_dates + 20, 1))
        for t in range(1, len(noise)):
            noise[t] += persistence * noise[t - 1]
        sample = noise[20:]
        sample[rng.random(sample.shape) < gaps] = np.nan
        rejected += (
            pricing_error(sample, n_resamples=199, random_state=rng.integers(2**31)).joint.p_value
            <= 0.05
        )
    return rejected / n_draws


def test_noise_is_rarely_called_mispricing():
    # Of 200 draws at 5 % between 1 % and 10 % with a probability of 99.9 %.
    assert 0.01 <= _rejections(200, 60, 15) <= 0.10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_dates", "n_assets", "kwargs", "most"),
    [
        (60, 20, {}, 0.065),
        (60, 100, {}, 0.065),
        (120, 20, {"gaps": 0.3}, 0.065),
        (240, 20, {"persistence": 0.3}, 0.13),
    ],
)
def test_size_in_2000_draws(n_dates, n_assets, kwargs, most):
    assert 0.02 <= _rejections(2000, n_dates, n_assets, **kwargs) <= most
