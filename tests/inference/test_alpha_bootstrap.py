"""The bootstrap of luck against skill: a loop over resamples, sizes, seeds, refusals."""

import pickle

import numpy as np
import pandas as pd
import pytest

from skfactor._kernels._bootstrap import AlphaResampler
from skfactor.inference import alpha_bootstrap
from skfactor.inference._alpha_bootstrap import _percentiles_of_draws
from skfactor.linear_model import FamaFrenchRegressor


def draw(n_dates=60, n_assets=12, n_factors=2, seed=3, share=0.0, df=None):
    rng = np.random.default_rng(seed)
    factors = rng.normal(0.005, 0.04, (n_dates, n_factors))
    shape = (n_dates, n_assets)
    noise = rng.standard_normal(shape) if df is None else rng.standard_t(df, shape)
    returns = factors @ rng.normal(1.0, 0.5, (n_factors, n_assets)) + 0.03 * noise
    returns[rng.random(shape) < share] = np.nan
    return factors, returns


def slow_alpha_t(factors, series):
    """The t statistic of one intercept, from the rows with a return and centred factors."""
    seen = ~np.isnan(series)
    mean = factors[seen].mean(axis=0)
    X = factors[seen] - mean
    inverse = np.linalg.inv(X.T @ X)
    y = series[seen] - series[seen].mean()
    betas = inverse @ X.T @ y
    s2 = np.sum((y - X @ betas) ** 2) / (len(X) - X.shape[1] - 1)
    alpha = series[seen].mean() - mean @ betas
    return alpha / np.sqrt(s2 * (1 / len(X) + mean @ inverse @ mean))


def slow_bootstrap(factors, returns, samples, min_obs, alphas=None):
    """Resample rows, asset by asset, with each asset's own alpha taken off."""
    n_params = factors.shape[1] + 1
    out = np.full((len(samples), returns.shape[1]), np.nan)
    for i, series in enumerate(returns.T):
        seen = ~np.isnan(series)
        mean = factors[seen].mean(axis=0)
        betas = np.linalg.lstsq(factors[seen] - mean, series[seen], rcond=None)[0]
        alpha = series[seen].mean() - mean @ betas
        for b, dates in enumerate(samples):
            true = 0.0 if alphas is None else alphas[b, i]
            resampled = series[dates] - alpha + true
            known = dates[~np.isnan(resampled)]
            if len(known) >= min_obs and len(np.unique(known)) > n_params:
                out[b, i] = slow_alpha_t(factors[dates], resampled)
    return out


def residuals_of(factors, returns):
    model = FamaFrenchRegressor().fit(factors, returns)
    return returns - factors @ model.coef_.T - model.intercept_


@pytest.mark.parametrize("with_alphas", [False, True])
@pytest.mark.parametrize(("share", "mean"), [(0.0, 0.0), (0.4, 0.0), (0.0, 1e5)])
def test_counts_of_dates_give_what_resampled_rows_give(share, mean, with_alphas):
    factors, returns = draw(share=share)
    returns[:, 0] = np.where(np.isnan(returns[:, 0]), 0.01, returns[:, 0])
    rng = np.random.default_rng(0)
    samples = rng.integers(0, len(factors), (40, len(factors)))
    counts = np.stack([np.bincount(s, minlength=len(factors)) for s in samples]).astype(float)
    alphas = 0.01 * rng.standard_normal((40, returns.shape[1])) if with_alphas else None
    factors = factors + mean
    t = AlphaResampler(residuals_of(factors, returns), factors, 8).tvalues(counts, alphas)
    expected = slow_bootstrap(factors, returns, samples, 8, alphas)
    np.testing.assert_allclose(t, expected, rtol=1e-6 if mean else 1e-9, atol=1e-10)


def test_assets_in_many_blocks_agree_with_one(monkeypatch):
    factors, returns = draw(n_assets=40, share=0.1)
    returns[:, :15] = draw(n_assets=15)[1]
    counts = np.random.default_rng(0).multinomial(60, np.ones(60) / 60, size=9).astype(float)
    whole = AlphaResampler(residuals_of(factors, returns), factors, 8).tvalues(counts)
    monkeypatch.setattr("skfactor._kernels._bootstrap._COMPLETE_WIDTH", 4)
    monkeypatch.setattr("skfactor._kernels._bootstrap._MASKED_WIDTH", 7)
    monkeypatch.setattr("skfactor._kernels._bootstrap._SOLVED_TOGETHER", 10)
    parts = AlphaResampler(residuals_of(factors, returns), factors, 8).tvalues(counts)
    np.testing.assert_allclose(parts, whole, rtol=1e-10)


def test_samples_with_too_few_different_dates_do_not_count():
    factors, returns = draw(n_dates=20, n_assets=3)
    returns[4:, 1] = np.nan
    counts = np.zeros((3, 20))
    counts[0, :3] = [8, 8, 4]  # three dates, three coefficients: a perfect fit
    counts[1, :4] = 5  # four dates
    counts[2, 10:] = 2  # none of the second asset's
    t = AlphaResampler(residuals_of(factors[:], np.nan_to_num(returns)), factors, 8).tvalues(counts)
    assert np.isnan(t[0]).all()
    residuals = np.where(np.isnan(returns), np.nan, np.nan_to_num(returns) - 0.5)
    t = AlphaResampler(residuals, factors, 8).tvalues(counts)
    assert np.isnan(t[0]).all()
    assert not np.isnan(t[1]).any()
    np.testing.assert_array_equal(np.isnan(t[2]), [False, True, False])


def test_table_agrees_with_percentiles_of_the_loop():
    factors, returns = draw(share=0.2)
    found = alpha_bootstrap(
        factors, returns, n_resamples=70, percentiles=(5, 50, 95), random_state=7
    )
    model = FamaFrenchRegressor().fit(factors, returns)
    np.testing.assert_allclose(found.t_values, model.tvalues_[:, 0])
    np.testing.assert_allclose(
        found.table["actual"], np.percentile(model.tvalues_[:, 0], [5, 50, 95]), rtol=1e-10
    )
    # The draws are those of the first of two streams of the seed.
    seed = np.random.RandomState(7).randint(2**31 - 1)
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(2)[0])
    samples = np.concatenate([rng.integers(0, 60, (n, 60)) for n in (32, 32, 6)])
    expected = np.nanpercentile(slow_bootstrap(factors, returns, samples, 8), [5, 50, 95], axis=1).T
    np.testing.assert_allclose(found.draws, expected, rtol=1e-9)
    np.testing.assert_allclose(found.table["simulated"], expected.mean(axis=0), rtol=1e-9)
    below = (expected < found.table["actual"].to_numpy()).mean(axis=0)
    np.testing.assert_allclose(found.table["below"], below)
    low, high = np.quantile(expected, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(found.table["low"], low, rtol=1e-9)
    np.testing.assert_allclose(found.table["high"], high, rtol=1e-9)


def test_equal_seeds_give_equal_draws_and_leave_the_global_state_alone():
    factors, returns = draw()
    before = np.random.get_state()[1].copy()
    first, again, other = (
        alpha_bootstrap(factors, returns, n_resamples=40, random_state=seed).draws
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    pd.testing.assert_frame_equal(alpha_bootstrap(factors, returns, n_resamples=40).draws, first)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    longer = alpha_bootstrap(factors, returns, n_resamples=64, random_state=0).draws
    pd.testing.assert_frame_equal(longer.iloc[:32], first.iloc[:32])


def test_skill_is_found_and_its_size_bounded():
    factors, returns = draw(n_dates=120, n_assets=200)
    lucky = alpha_bootstrap(factors, returns, n_resamples=300, random_state=0).table["below"]
    assert 0.05 < lucky[99] < 0.95
    returns += 0.01 * np.random.default_rng(1).standard_normal(200)  # risk 0.03, t of about 3.6
    none = alpha_bootstrap(factors, returns, n_resamples=300, random_state=0)
    assert none.table["below"][95] > 0.99
    assert none.table["below"][5] < 0.01
    as_much = alpha_bootstrap(factors, returns, n_resamples=300, alpha_std=0.01, random_state=0)
    assert 0.02 < as_much.table["below"][95] < 0.98
    too_much = alpha_bootstrap(factors, returns, n_resamples=300, alpha_std=0.02, random_state=0)
    assert too_much.table["below"][95] < 0.01
    assert "standard deviation of 0.02 a period" in too_much.null


def test_what_assets_have_in_common_stays_in_common():
    rng = np.random.default_rng(0)
    factors, returns = draw(n_dates=120, n_assets=100)
    apart = alpha_bootstrap(factors, returns, n_resamples=200, random_state=0).draws[50.0].std()
    shared = returns + 0.06 * rng.standard_normal((120, 1))  # a factor the model lacks
    together = alpha_bootstrap(factors, shared, n_resamples=200, random_state=0).draws[50.0].std()
    assert together > 4 * apart


def test_assets_with_few_returns_are_left_out_and_counted():
    factors, returns = draw()
    returns[7:, 3] = np.nan
    found = alpha_bootstrap(factors, returns, n_resamples=20, random_state=0)
    assert np.flatnonzero(found.t_values.isna()).tolist() == [3]
    assert found.n_assets == 11
    assert found.notes == ("1 of 12 assets are left out, with fewer than 8 returns.",)
    assert found.null.startswith("The true alphas of all 11 assets are zero")
    whole = alpha_bootstrap(factors, np.delete(returns, 3, 1), n_resamples=20, random_state=0)
    pd.testing.assert_frame_equal(found.draws, whole.draws)
    lower = alpha_bootstrap(factors, returns, n_resamples=20, min_obs=6, random_state=0)
    assert lower.n_assets == 12


def test_models_and_frames_say_the_same_as_arrays():
    factors, returns = draw()
    plain = alpha_bootstrap(factors, returns, n_resamples=20, random_state=0)
    months = pd.period_range("2000-01", periods=60, freq="M")
    names = [f"A{i}" for i in range(12)]
    X = pd.DataFrame(factors, months, ["Mkt-RF", "SMB"]).assign(RF=0.002)
    y = pd.DataFrame(returns + 0.002, months, names)[::-1]
    model = FamaFrenchRegressor(["Mkt-RF", "SMB"], risk_free="RF", cov_type="HC1").fit(X, y)
    found = alpha_bootstrap(model, n_resamples=20, random_state=0)
    np.testing.assert_allclose(found.draws, plain.draws, rtol=1e-9)
    assert found.t_values.index.to_list() == names
    assert found.notes[0].startswith("The model has cov_type='HC1'; classical t statistics")


def test_result_reads_as_its_null_and_a_table():
    factors, returns = draw()
    found = alpha_bootstrap(factors, returns, n_resamples=20, percentiles=[50], random_state=0)
    lines = repr(found).splitlines()
    assert lines[0] == "t statistics of 12 alphas over 60 dates, and of 20 draws under the null"
    assert lines[1].startswith("Null: The true alphas of all 12 assets are zero")
    assert lines[2].split() == ["actual", "simulated", "low", "high", "below"]
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(again.table, found.table)


def test_progress_is_drawn_only_when_asked_for(capsys):
    factors, returns = draw()
    alpha_bootstrap(factors, returns, n_resamples=64, random_state=0)
    assert capsys.readouterr() == ("", "")
    alpha_bootstrap(factors, returns, n_resamples=64, random_state=0, verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("100 % of 64 draws, 0 s left \n")
    assert err.count("\r") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"percentiles": [50, 101]}, "between 0 and 100; got"),
        ({"percentiles": []}, "one or more numbers between 0 and 100"),
        ({"min_obs": 3}, "more than the number of coefficients, 3; got 3"),
        ({"min_obs": 61}, "At least 2 assets must have 61 returns that vary; got 0 of 12"),
        ({"n_resamples": 0}, "'n_resamples' parameter of alpha_bootstrap must be an int"),
        ({"alpha_std": -1.0}, "'alpha_std' parameter of alpha_bootstrap must be a float"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        alpha_bootstrap(*draw(), **{"n_resamples": 2, **arguments})
    with pytest.raises(ValueError, match="`factors` must have independent columns"):
        AlphaResampler(np.ones((5, 2)), np.ones((5, 1)), 3)


@pytest.mark.slow
@pytest.mark.parametrize("df", [None, 5])
def test_percentiles_lie_above_those_of_chance_as_often_as_chance_has_it(df):
    below = []
    for seed in range(2000):
        factors, returns = draw(n_dates=120, n_assets=40, seed=seed, df=df)
        resampler = AlphaResampler(residuals_of(factors, returns), factors, 8)
        levels = np.array([0.05, 0.5, 0.95])
        draws = _percentiles_of_draws(resampler, np.zeros(40), 199, levels, seed, 0)
        t = FamaFrenchRegressor().fit(factors, returns).tvalues_[:, 0]
        below.append((draws < np.quantile(t, levels)).mean(axis=0))
    values = np.array(below)
    above = (values > 0.95).mean(axis=0)
    under = (values < 0.05).mean(axis=0)
    print(f"df={df}: above {above}, under {under}")
    assert (np.abs(np.r_[above, under] - 0.05) <= 0.02).all()
