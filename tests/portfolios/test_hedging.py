"""Variance left after hedging."""

import numpy as np
import pandas as pd
import pytest

from skfactor.portfolios import hedging_effectiveness


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    dates = pd.period_range("2005-01", periods=180, freq="M")
    factors = pd.DataFrame(rng.normal(0.0, 0.04, (180, 3)), dates, ["market", "deep1", "deep2"])
    betas = np.array([[1.0, 0.8, 0.0], [1.2, 0.0, 1.0], [0.9, 0.0, 0.0]])
    noise = rng.normal(0, 0.01, (180, 3))
    portfolios = pd.DataFrame(factors.to_numpy() @ betas.T + noise, dates, ["a", "b", "c"])
    return portfolios, factors, betas


def test_hedged_returns_are_those_of_regressions_on_earlier_dates(world):
    portfolios, factors, _ = world
    result = hedging_effectiveness(portfolios, factors, min_obs=24)
    for t in (24, 100, 179):
        X = np.column_stack([np.ones(t), factors.iloc[:t]])
        betas = np.linalg.lstsq(X, portfolios["a"].iloc[:t], rcond=None)[0]
        expected = portfolios["a"].iloc[t] - factors.iloc[t] @ betas[1:]
        assert result.hedged["a"].iloc[t] == pytest.approx(expected)
    assert result.hedged.iloc[:24].isna().all(axis=None)


def slow_hedge(portfolios, factors, window, least):
    """Regress one portfolio on the dates before one date at a time."""
    left = np.full(portfolios.shape, np.nan)
    design = np.column_stack([np.ones(len(factors)), factors])
    returns = portfolios.to_numpy()
    for t, column in np.ndindex(returns.shape):
        before = np.arange(max(t - window, 0) if window else 0, t)
        before = before[~np.isnan(returns[before, column])]
        if len(before) >= least:
            betas = np.linalg.lstsq(design[before], returns[before, column], rcond=None)[0]
            left[t, column] = returns[t, column] - factors[t] @ betas[1:]
    return left


@pytest.mark.parametrize(("window", "least"), [(None, 24), (None, 2), (40, 24), (30, 30), (500, 9)])
def test_hedged_returns_are_those_of_a_slow_loop(world, window, least):
    portfolios, factors, _ = world
    gappy = portfolios.mask(np.random.default_rng(1).random(portfolios.shape) < 0.1)
    gappy.iloc[60:90, 1] = np.nan
    gappy["d"] = portfolios["c"]
    result = hedging_effectiveness(gappy, factors, window=window, min_obs=least)
    expected = slow_hedge(gappy, factors.to_numpy(), window, max(least, 5))
    np.testing.assert_allclose(result.hedged, expected, atol=1e-12)


@pytest.mark.parametrize("window", [None, 40])
def test_factors_that_depend_on_one_another_hedge_together(world, window):
    portfolios, factors, _ = world
    plain = hedging_effectiveness(portfolios, factors, window=window).hedged
    twice = factors.assign(again=factors["market"], both=factors["deep1"] - factors["deep2"])
    found = hedging_effectiveness(portfolios, twice, window=window).hedged
    np.testing.assert_allclose(found, plain, atol=1e-12)
    late = factors.assign(flat=0.0)
    late.iloc[100:, 3] = 0.01 * np.arange(80)
    found = hedging_effectiveness(portfolios, late, window=window).hedged
    np.testing.assert_allclose(found.iloc[:101], plain.iloc[:101], atol=1e-12)


def test_a_window_counts_dates_and_not_returns(world):
    portfolios, factors, _ = world
    gappy = portfolios.copy()
    gappy.iloc[100:120, 0] = np.nan
    hedged = hedging_effectiveness(gappy, factors, window=40, min_obs=30).hedged
    assert hedged["a"].iloc[100:150].isna().all()
    assert hedged["a"].iloc[150:].notna().all()
    assert hedged["b"].iloc[30:].notna().all()


def test_factors_beyond_the_benchmark_hedge_what_they_are_in(world):
    portfolios, factors, _ = world
    result = hedging_effectiveness(portfolios, factors, factors[["market"]])
    summary = result.summary
    assert (summary["gain"][["a", "b"]] > 0.3).all()
    assert abs(summary.loc["c", "gain"]) < 0.02
    assert summary["left"].between(0.01, 0.1).all()
    assert (summary["n_dates"] == 144).all()
    shares = result.hedged.iloc[36:].var() / portfolios.iloc[36:].var()
    np.testing.assert_allclose(summary["left"], shares)


def test_later_returns_change_nothing_before_them(world):
    portfolios, factors, _ = world
    changed = portfolios.copy()
    changed.iloc[100:] *= 7
    kept = hedging_effectiveness(portfolios, factors).hedged.iloc[:100]
    pd.testing.assert_frame_equal(hedging_effectiveness(changed, factors).hedged.iloc[:100], kept)


def test_known_betas_are_used_as_they_are(world):
    portfolios, factors, betas = world
    known = {"a": pd.DataFrame(np.tile(betas[0], (180, 1)), factors.index)}
    result = hedging_effectiveness(portfolios, factors, betas=known)
    np.testing.assert_allclose(result.hedged["a"], portfolios["a"] - factors @ betas[0])
    plain = hedging_effectiveness(portfolios, factors)
    pd.testing.assert_series_equal(result.hedged["b"], plain.hedged["b"])


def test_a_window_forgets(world):
    portfolios, factors, _ = world
    changed = portfolios.copy()
    changed.iloc[:50] *= 7
    late = slice(100, None)
    pd.testing.assert_frame_equal(
        hedging_effectiveness(changed, factors, window=40).hedged.iloc[late],
        hedging_effectiveness(portfolios, factors, window=40).hedged.iloc[late],
    )


def test_missing_returns_are_left_out(world):
    portfolios, factors, _ = world
    gappy = portfolios.copy()
    gappy.iloc[50:60, 0] = np.nan
    result = hedging_effectiveness(gappy, factors)
    assert result.hedged["a"].iloc[50:60].isna().all()
    assert result.summary.loc["a", "n_dates"] == 134
    assert result.summary.loc["b", "n_dates"] == 144


def test_dates_are_aligned(world):
    portfolios, factors, _ = world
    days = factors.set_axis(factors.index.to_timestamp() + pd.offsets.BMonthEnd())
    pd.testing.assert_frame_equal(
        hedging_effectiveness(portfolios, days.iloc[::-1]).hedged,
        hedging_effectiveness(portfolios, factors).hedged,
    )
    with pytest.raises(ValueError, match="`factors` must cover every date"):
        hedging_effectiveness(portfolios, factors.iloc[3:])


def test_bad_input_is_refused(world):
    portfolios, factors, _ = world
    with pytest.raises(ValueError, match="each of the 180 dates of the portfolios; got 10"):
        hedging_effectiveness(portfolios.to_numpy(), factors.to_numpy()[:10])
    with pytest.raises(ValueError, match="must be finite on every date"):
        hedging_effectiveness(portfolios.to_numpy(), factors.to_numpy() * np.nan)
    with pytest.raises(ValueError, match="must be hedged on at least 2 dates; 'a' is not"):
        hedging_effectiveness(portfolios, factors, min_obs=179)
    with pytest.raises(ValueError, match="`betas` must name portfolios; got 'z'"):
        hedging_effectiveness(portfolios, factors, betas={"z": factors})
    with pytest.raises(ValueError, match="`betas` of 'a' must have a column for each of the 3"):
        hedging_effectiveness(portfolios, factors, betas={"a": factors[["market"]]})
    with pytest.raises(ValueError, match="`window` must be an int of at least 2"):
        hedging_effectiveness(portfolios, factors, window=1)
    with pytest.raises(ValueError, match="`min_obs` must be at most `window`, 24; got 36"):
        hedging_effectiveness(portfolios, factors, window=24)
    with pytest.raises(ValueError, match="`window` must be at least 5, two more than there are"):
        hedging_effectiveness(portfolios, factors, window=4, min_obs=3)
    with pytest.raises(ValueError, match="`portfolios` must be finite or NaN; got infinity"):
        hedging_effectiveness(portfolios * np.inf, factors)
