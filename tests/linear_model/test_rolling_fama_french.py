"""RollingFamaFrenchRegressor against one least-squares problem a window."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import LinAlgWarning
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from statsmodels.regression.rolling import RollingOLS

from skfactor.linear_model import FamaFrenchRegressor, RollingFamaFrenchRegressor

N_DATES = 90
NAMES = ["Mkt-RF", "SMB"]
DATES = pd.period_range("2001-01", periods=N_DATES, freq="M", name="date")


def make_market(n_assets=5, missing=0.0, mean=0.0, seed=0):
    rng = np.random.default_rng(seed)
    factors = pd.DataFrame(rng.normal(0.005, 0.04, (N_DATES, 2)), DATES, NAMES)
    betas = rng.normal([[1], [0.3]], 0.4, (2, n_assets))
    noise = rng.normal(size=(N_DATES, n_assets)) * 0.05
    returns = pd.DataFrame(
        0.01 + factors.to_numpy() @ betas + noise, DATES, [f"A{i}" for i in range(n_assets)]
    )
    factors["SMB"] += mean
    return factors, returns.mask(rng.random(returns.shape) < missing)


def by_loop(factors, returns, window, min_obs, expanding=False, fit_intercept=True):
    """Solve one problem for each date and asset."""
    n_dates, n_assets = returns.shape
    F, Y = factors.to_numpy(), returns.to_numpy()
    p = F.shape[1] + fit_intercept
    params, bse = np.full((2, n_dates, n_assets, p), np.nan)
    rsquared = np.full((n_dates, n_assets), np.nan)
    nobs = np.zeros((n_dates, n_assets))
    for t in range(n_dates):
        start = 0 if expanding else max(0, t - window + 1)
        for i in range(n_assets):
            y = Y[start : t + 1, i]
            seen = ~np.isnan(y)
            nobs[t, i] = seen.sum()
            if nobs[t, i] < min_obs:
                continue
            y, X = y[seen], F[start : t + 1][seen]
            center = X.mean(axis=0) * fit_intercept
            X = X - center
            if fit_intercept:
                X = np.column_stack([np.ones(len(X)), X])
            beta = np.linalg.lstsq(X, y, rcond=None)[0]
            rss = ((y - X @ beta) ** 2).sum()
            back = np.eye(p)
            if fit_intercept:
                back[0, 1:] = -center
            cov = back @ np.linalg.inv(X.T @ X) @ back.T * rss / (len(y) - p)
            params[t, i] = back @ beta
            bse[t, i] = np.sqrt(np.diag(cov))
            tss = ((y - y.mean() * fit_intercept) ** 2).sum()
            rsquared[t, i] = 1 - rss / tss if tss > 1e-20 else np.nan
    return params, bse, rsquared, nobs


def cube(frame, n_assets=5):
    """Return a frame of coefficients as dates, assets, terms."""
    return frame.to_numpy().reshape(len(frame), -1, n_assets).transpose(0, 2, 1)


def check(model, expected, rtol=1e-9, atol=1e-13):
    params, bse, rsquared, nobs = expected
    n_assets = nobs.shape[1]
    assert_allclose(cube(model.params_, n_assets), params, rtol=rtol, atol=atol)
    assert_allclose(cube(model.bse_, n_assets), bse, rtol=rtol)
    assert_allclose(model.rsquared_, rsquared, rtol=rtol)
    assert_array_equal(model.nobs_, nobs)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("expanding", [True, False])
@pytest.mark.parametrize("min_obs", [None, 8, 20])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_every_window_agrees_with_a_fit_of_its_own(missing, min_obs, expanding, fit_intercept):
    factors, returns = make_market(missing=missing)
    if missing:
        returns["A0"] = make_market()[1]["A0"]
        returns.loc[DATES[30] :, "A1"] = np.nan
        returns.loc[: DATES[40], "A2"] = np.nan
    model = RollingFamaFrenchRegressor(
        window=24, min_obs=min_obs, expanding=expanding, fit_intercept=fit_intercept
    ).fit(factors, returns)
    expected = by_loop(factors, returns, 24, min_obs or 24, expanding, fit_intercept)
    check(model, expected)
    assert_allclose(
        model.tvalues_.to_numpy(), model.params_.to_numpy() / model.bse_.to_numpy(), rtol=1e-14
    )


@pytest.mark.parametrize("window", [3 + 1, 12, 89, 90, 91, 300])
def test_windows_of_any_length_agree(window):
    factors, returns = make_market(missing=0.1)
    model = RollingFamaFrenchRegressor(window=window, min_obs=4).fit(factors, returns)
    check(model, by_loop(factors, returns, window, 4), rtol=1e-7)


def test_complete_windows_agree_with_statsmodels():
    factors, returns = make_market()
    model = RollingFamaFrenchRegressor(window=36).fit(factors, returns)
    X = np.column_stack([np.ones(N_DATES), factors])
    for i, asset in enumerate(returns):
        theirs = RollingOLS(returns[asset].to_numpy(), X, window=36).fit()
        assert_allclose(cube(model.params_)[:, i], theirs.params, rtol=1e-8, atol=1e-12)
        assert_allclose(cube(model.bse_)[:, i], theirs.bse, rtol=1e-9)
        assert_allclose(model.rsquared_[asset], theirs.rsquared, rtol=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_an_absurd_return_leaves_with_its_window(missing):
    factors, returns = make_market(missing=missing)
    expected = RollingFamaFrenchRegressor(window=24, min_obs=12).fit(factors, returns)
    spoiled = returns.copy()
    spoiled.iloc[20] = 1e8
    model = RollingFamaFrenchRegressor(window=24, min_obs=12).fit(factors, spoiled)
    untouched = np.r_[0:20, 44:N_DATES]
    for name in ("params_", "bse_", "rsquared_"):
        ours, theirs = (getattr(m, name).iloc[untouched] for m in (model, expected))
        assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    assert (model.params_.iloc[20:44].abs() > 10).any(axis=None)
    betas_only = RollingFamaFrenchRegressor(window=24, min_obs=12, standard_errors=False)
    ours = betas_only.fit(factors, spoiled).params_.iloc[untouched]
    assert_allclose(ours, expected.params_.iloc[untouched], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("expanding", [True, False])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_factor_with_a_mean_of_1e5_costs_no_digits(missing, expanding):
    factors, returns = make_market(missing=missing, mean=1e5)
    model = RollingFamaFrenchRegressor(window=24, min_obs=12, expanding=expanding)
    model.fit(factors, returns)
    expected = by_loop(factors, returns, 24, 12, expanding)
    assert_allclose(cube(model.params_)[:, :, 1:], expected[0][:, :, 1:], rtol=1e-8, atol=1e-12)
    assert_allclose(cube(model.bse_)[:, :, 1:], expected[1][:, :, 1:], rtol=1e-9)
    assert_allclose(model.rsquared_, expected[2], rtol=1e-9)


def test_betas_alone_are_the_same_betas():
    factors, returns = make_market(missing=0.1)
    for expanding in (True, False):
        both = [
            RollingFamaFrenchRegressor(
                window=24, min_obs=10, expanding=expanding, standard_errors=errors
            ).fit(factors, returns)
            for errors in (True, False)
        ]
        assert_allclose(both[1].params_, both[0].params_, rtol=1e-9, atol=1e-13)
        assert not hasattr(both[1], "bse_")
        assert not hasattr(both[1], "tvalues_")
    refitted = both[0].set_params(standard_errors=False).fit(factors, returns)
    assert not hasattr(refitted, "rsquared_")


def test_many_assets_in_many_blocks_agree(monkeypatch):
    factors, returns = make_market(60)
    returns.iloc[10:20, 33:36] = np.nan
    expected = by_loop(factors, returns, 24, 15)
    monkeypatch.setattr("skfactor._kernels._rolling._GAPPY_ASSETS", 7)
    monkeypatch.setattr("skfactor._kernels._rolling._COMPLETE_ASSETS", 20)
    monkeypatch.setattr("skfactor._kernels._rolling._PAIRS_AT_ONCE", 5)
    monkeypatch.setattr("skfactor._kernels._expanding._ASSETS_AT_ONCE", 9)
    check(RollingFamaFrenchRegressor(window=24, min_obs=15).fit(factors, returns), expected)
    expected = by_loop(factors, returns, 24, 15, expanding=True)
    model = RollingFamaFrenchRegressor(window=24, min_obs=15, expanding=True)
    check(model.fit(factors, returns), expected)


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("expanding", [True, False])
def test_returns_that_the_factors_explain_or_that_never_vary_keep_their_digits(missing, expanding):
    factors, returns = make_market(missing=missing)
    seen = returns.notna()
    rng = np.random.default_rng(3)
    exact = factors["SMB"] + 1e-8 * rng.normal(size=N_DATES)
    returns["A0"] = exact.where(seen["A0"])
    returns["A1"] = (0.0 * exact + 0.01).where(seen["A1"])
    returns["A2"] = (0.0 * exact + 1e4 + 0.01 * rng.normal(size=N_DATES)).where(seen["A2"])
    model = RollingFamaFrenchRegressor(window=24, min_obs=12, expanding=expanding)
    model.fit(factors, returns)
    params, bse, rsquared, _ = by_loop(factors, returns, 24, 12, expanding)
    assert_allclose(model.params_["A0"], params[:, 0], rtol=1e-6, atol=1e-8)
    assert_allclose(model.bse_["A0"], bse[:, 0], rtol=1e-5)
    assert_allclose(1 - model.rsquared_["A0"], 1 - rsquared[:, 0], rtol=1e-4)
    assert_allclose(model.rsquared_["A2"], rsquared[:, 2], rtol=1e-5)
    assert model.bse_["A1"].isna().all(axis=None)
    assert model.rsquared_["A1"].isna().all()
    assert_allclose(model.params_[("A1", "alpha")].dropna(), 0.01, rtol=1e-12)


@pytest.mark.parametrize("expanding", [True, False])
def test_windows_whose_factors_do_not_vary_are_nan(expanding):
    factors, returns = make_market(missing=0.1)
    factors["crisis"] = (np.arange(N_DATES) < 30).astype(float)
    returns["A4"] = make_market()[1]["A4"]
    model = RollingFamaFrenchRegressor(window=24, min_obs=12, expanding=expanding)
    model.fit(factors, returns)
    some = model.params_[["A0", "A4"]].notna().all(axis=1)
    never = np.arange(N_DATES) >= 30 + 23
    assert not some[:30].any()
    assert some[35:45].all()
    assert some[never].all() if expanding else not some[never].any()
    assert (model.bse_[["A0", "A4"]].notna().all(axis=1) == some).all()


def test_nearly_dependent_factors_within_a_window_keep_their_digits():
    factors, returns = make_market(missing=0.2)
    rng = np.random.default_rng(5)
    half = np.arange(N_DATES) % 2 == 0
    factors.loc[half, "SMB"] = factors["Mkt-RF"][half] + 1e-6 * rng.normal(size=half.sum())
    returns.loc[~half, "A1"] = np.nan
    model = RollingFamaFrenchRegressor(window=40, min_obs=10).fit(factors, returns)
    check(model, by_loop(factors, returns, 40, 10), rtol=1e-6, atol=1e-6)


def test_shift_moves_rows_so_that_a_window_ends_before_its_date():
    factors, returns = make_market(missing=0.1)
    plain = RollingFamaFrenchRegressor(window=24, min_obs=12).fit(factors, returns)
    moved = RollingFamaFrenchRegressor(window=24, min_obs=12, lag=2).fit(factors, returns)
    for name in ("params_", "bse_", "tvalues_", "rsquared_"):
        expected = getattr(plain, name).shift(2)
        pd.testing.assert_frame_equal(getattr(moved, name), expected)
    assert_array_equal(moved.nobs_, plain.nobs_.shift(2, fill_value=0))
    assert_array_equal(moved.coef_, plain.coef_)
    far = RollingFamaFrenchRegressor(window=24, lag=500).fit(factors, returns)
    assert far.params_.isna().all(axis=None)


@pytest.mark.parametrize("expanding", [True, False])
def test_later_returns_move_no_earlier_estimate(expanding):
    factors, returns = make_market(missing=0.1)
    model = RollingFamaFrenchRegressor(window=24, min_obs=12, expanding=expanding)
    before = model.fit(factors, returns).params_
    before = before.copy()
    factors.iloc[50:] += 0.1
    returns.iloc[50:] *= -3
    after = model.fit(factors, returns).params_
    assert_allclose(after[:50], before[:50], rtol=1e-11, atol=1e-14)
    assert not np.allclose(after[50:], before[50:])


def test_columns_are_asset_and_factor():
    factors, returns = make_market()
    model = RollingFamaFrenchRegressor("capm", window=24).fit(factors, returns)
    assert model.params_.columns.names == ["asset", "factor"]
    assert list(model.params_["A3"].columns) == ["alpha", "Mkt-RF"]
    assert list(model.params_.xs("alpha", axis=1, level="factor").columns) == list(returns)
    assert_array_equal(model.params_.index, DATES)
    assert list(model.rsquared_.columns) == list(returns)
    arrays = RollingFamaFrenchRegressor(window=24).fit(factors.to_numpy(), returns.to_numpy())
    assert_array_equal(arrays.params_.index, np.arange(N_DATES))
    assert arrays.params_.columns[-1] == (4, "x1")


def test_prediction_uses_the_last_window():
    factors, returns = make_market()
    rate = pd.Series(0.002 + 0.001 * np.sin(np.arange(N_DATES)), DATES)
    model = RollingFamaFrenchRegressor(window=24, risk_free=rate, lag=1).fit(factors, returns)
    last = FamaFrenchRegressor(risk_free=rate).fit(factors[-24:], returns[-24:])
    assert_allclose(model.coef_, last.coef_, rtol=1e-10)
    assert_allclose(model.predict(factors), last.predict(factors), rtol=1e-9)
    assert_allclose(model.score(factors, returns), last.score(factors, returns))
    series = RollingFamaFrenchRegressor(window=24).fit(factors, returns["A0"])
    assert series.predict(factors).shape == (N_DATES,)
    no_alpha = RollingFamaFrenchRegressor(window=24, fit_intercept=False).fit(factors, returns)
    assert_array_equal(no_alpha.intercept_, np.zeros(5))


def test_dates_without_returns_count_in_the_window():
    factors, returns = make_market()
    gapped = returns.copy()
    gapped.iloc[3::7] = np.nan
    expected = RollingFamaFrenchRegressor(window=24, min_obs=10).fit(factors, gapped)
    model = RollingFamaFrenchRegressor(window=24, min_obs=10).fit(
        factors.sample(frac=1, random_state=0), returns[np.arange(N_DATES) % 7 != 3]
    )
    pd.testing.assert_frame_equal(model.params_, expected.params_, check_index_type=False)


def test_factors_left_out_have_beta_zero_throughout():
    factors, returns = make_market()
    wide = factors.assign(twice=2 * factors["SMB"])
    with pytest.warns(LinAlgWarning, match=r"'twice' \(made up of 'SMB'\)"):
        model = RollingFamaFrenchRegressor(window=24).fit(wide, returns)
    expected = RollingFamaFrenchRegressor(window=24).fit(factors, returns)
    by_factor = model.params_.swaplevel(axis=1)
    assert_allclose(by_factor["SMB"], expected.params_.swaplevel(axis=1)["SMB"])
    assert (by_factor["twice"] == 0).all(axis=None)
    assert model.bse_.swaplevel(axis=1)["twice"].isna().all(axis=None)
    assert_allclose(model.predict(wide), expected.predict(factors))


def test_bad_windows_are_refused():
    factors, returns = make_market()
    cases = (
        ({"window": 3}, "`window` must be more than the number of coefficients, 3; got 3"),
        ({"window": 24, "min_obs": 3}, "`min_obs` must be more than the number of coeff.*; got 3"),
        ({"window": 24, "min_obs": 25}, "`min_obs` must be at most the window, 24 dates; got 25"),
    )
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            RollingFamaFrenchRegressor(**options).fit(factors, returns)
    model = RollingFamaFrenchRegressor(window=24, min_obs=40, expanding=True)
    assert model.fit(factors, returns).params_.notna().all(axis=1).sum() == N_DATES - 39
    with pytest.raises(ValueError, match="at least one return that is not NaN; got none"):
        RollingFamaFrenchRegressor(window=24).fit(factors, returns * np.nan)


def test_too_few_dates_give_no_estimates():
    factors, returns = make_market()
    for expanding in (True, False):
        model = RollingFamaFrenchRegressor(expanding=expanding, window=100).fit(factors, returns)
        assert model.params_.isna().all(axis=None)
        assert np.isnan(model.predict(factors)).all()


def test_a_model_pickles_and_tunes_without_its_data():
    factors, returns = make_market(missing=0.1)
    model = RollingFamaFrenchRegressor(window=24, min_obs=12).fit(factors, returns)
    restored = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(restored.tvalues_, model.tvalues_)
    search = GridSearchCV(model, {"window": [12, 15]}, cv=TimeSeriesSplit(3), error_score="raise")
    assert np.isfinite(search.fit(factors, returns).best_score_)


def test_the_returns_are_left_as_they_are():
    factors, returns = make_market(missing=0.2)
    kept = returns.copy()
    for expanding in (True, False):
        RollingFamaFrenchRegressor(window=24, min_obs=12, expanding=expanding, lag=1).fit(
            factors, returns
        )
    pd.testing.assert_frame_equal(returns, kept)
