"""Principal components: eigenvectors without gaps, slow likelihood with them, limits."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from skfactor.exceptions import FitInterrupted, MissingDatesWarning
from skfactor.factor_models import PCAFactorModel, _pca_core
from skfactor.factor_models._align import procrustes
from skfactor.factor_models._pca_core import components_with_gaps, principal_components


def draw_returns(n_dates=40, n_assets=15, n_factors=2, gaps=0.0, seed=0, noise=0.05):
    """Dates in rows, assets in columns."""
    rng = np.random.default_rng(seed)
    f = rng.normal(0.02, 0.05, (n_dates, n_factors)) * np.linspace(1.5, 0.8, n_factors)
    returns = f @ rng.normal(1.0, 0.7, (n_factors, n_assets))
    returns += rng.normal(0, noise, returns.shape)
    returns[rng.random(returns.shape) < gaps] = np.nan
    return returns


def as_panel(returns):
    """Return any X, and y in long form without the gaps."""
    dates = pd.period_range("2000-01", periods=len(returns), freq="M", name="date")
    assets = pd.Index([f"A{i:02d}" for i in range(returns.shape[1])], name="asset")
    y = pd.DataFrame(returns, dates, assets).stack().dropna()
    return pd.DataFrame({"any": 0.0 * y + 1.0}), y


def test_gaps_in_characteristics_that_are_not_looked_at_do_not_matter():
    X, y = as_panel(draw_returns(gaps=0.1))
    gappy = X.mask(np.random.default_rng(0).random(X.shape) < 0.3)
    model, other = PCAFactorModel(2).fit(X, y), PCAFactorModel(2).fit(gappy, y)
    np.testing.assert_array_equal(other.betas_, model.betas_)
    np.testing.assert_array_equal(other.predict(gappy), model.predict(X))
    assert other.score(gappy, y) == model.score(X, y)
    with pytest.raises(ValueError, match="infinities in column 'any'"):
        PCAFactorModel().fit(X.assign(any=np.inf), y)


def slow_rp_pca(returns, n_factors, gamma):
    """The definition: eigenvectors of the second moment plus gamma mean mean'."""
    n_dates, n_assets = returns.shape
    mean = returns.mean(axis=0)
    matrix = returns.T @ returns / n_dates + gamma * np.outer(mean, mean)
    vectors = np.linalg.eigh(matrix)[1][:, ::-1][:, :n_factors]
    betas = np.sqrt(n_assets) * vectors
    factors = returns @ betas / n_assets
    sign = np.sign(factors.mean(axis=0))
    return betas * sign, factors * sign


def precision(n, gamma):
    """The precision of the errors of one asset, in units of the noise."""
    return np.eye(n) + gamma / n


def slow_step(returns, factors, noise, gamma):
    """Expectation and maximisation, one asset at a time and all factor returns at once."""
    n_factors = factors.shape[1]
    seen = [np.flatnonzero(~np.isnan(column)) for column in returns.T]
    system = np.zeros((*factors.shape, *factors.shape))
    target, left = np.zeros(factors.shape), 0.0
    for own, column in zip(seen, returns.T, strict=True):
        F, r, W = factors[own], column[own], precision(len(own), gamma)
        spread = np.linalg.inv(F.T @ W @ F / noise + np.eye(n_factors))
        beta = spread @ F.T @ W @ r / noise
        moment = np.outer(beta, beta) + spread
        e = r - F @ beta
        left += e @ W @ e + np.trace(F.T @ W @ F @ spread)
        for row, t in enumerate(own):
            for other, s in enumerate(own):
                system[t, :, s, :] += W[row, other] * moment
        target[own] += np.outer(W @ r, beta)
    matrix = system.reshape(factors.size, factors.size)
    solved = np.linalg.lstsq(matrix, target.ravel(), rcond=None)[0]
    return solved.reshape(factors.shape), left / sum(map(len, seen))


def minus_twice_log_likelihood(returns, factors, noise, gamma):
    """Of normal returns, an asset at a time, but for a constant."""
    total = 0.0
    for column in returns.T:
        seen = ~np.isnan(column)
        errors = noise * np.linalg.inv(precision(seen.sum(), gamma))
        covariance = factors[seen] @ factors[seen].T + errors
        total -= 2 * multivariate_normal.logpdf(column[seen], cov=covariance)
    return total


@pytest.mark.parametrize("gamma", [0.0, 10.0, -1.0])
@pytest.mark.parametrize("shape", [(40, 15), (12, 30)])
def test_without_gaps_betas_are_eigenvectors(gamma, shape):
    returns = draw_returns(*shape)
    betas, factors = slow_rp_pca(returns, 2, gamma)
    found = components_with_gaps(returns, 2, gamma, max_iter=10, tol=1e-6)
    np.testing.assert_allclose(found.betas, betas, atol=1e-9)
    np.testing.assert_allclose(found.factors, factors, atol=1e-9)
    model = PCAFactorModel(2, gamma=gamma).fit(*as_panel(returns))
    np.testing.assert_allclose(model.betas_, betas, atol=1e-9)
    np.testing.assert_allclose(model.factor_returns_, factors, atol=1e-9)
    assert model.n_iter_ == 1


def test_minus_one_is_the_pca_of_the_covariance():
    returns = draw_returns()
    vectors = np.linalg.eigh(np.cov(returns.T))[1][:, ::-1][:, :2]
    found = principal_components(returns, 2, -1.0).betas / np.sqrt(15)
    np.testing.assert_allclose(np.abs(np.diag(found.T @ vectors)), 1.0, atol=1e-10)


@pytest.mark.parametrize("gaps", [0.1, 0.5])
@pytest.mark.parametrize("gamma", [0.0, 5.0, -0.9])
def test_a_step_with_gaps_is_one_of_slow_expectation_and_maximisation(monkeypatch, gaps, gamma):
    monkeypatch.setattr(_pca_core, "_CG_STEPS", 500)  # to the end
    returns = draw_returns(20, 15, gaps=gaps)
    rng = np.random.default_rng(0)
    here = np.vstack([rng.normal(0, 0.05, (20, 2)), np.full(2, np.log(0.01))])
    factors, noise = slow_step(returns, here[:-1], 0.01, gamma)
    after = _pca_core._Gaps(returns, ~np.isnan(returns), 2, gamma).step(here).after
    turn = procrustes(factors, here[:-1])
    np.testing.assert_allclose(after[:-1], factors @ turn, atol=1e-8)
    np.testing.assert_allclose(np.exp(after[-1]), noise, rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 5.0, -1.0])
def test_betas_with_gaps_are_expected_ones_where_steps_stand_still(gamma):
    returns = draw_returns(30, 20, gaps=0.3)
    found = components_with_gaps(returns, 2, gamma, max_iter=1000, tol=1e-9)
    assert found.converged
    # Any rotation and length of the betas leads to the same place.
    factors, noise = found.factors, 0.05**2
    for _ in range(40):
        factors, noise = slow_step(returns, factors, noise, gamma)
    betas = []
    for column in returns.T:
        own = ~np.isnan(column)
        F, W = factors[own], precision(own.sum(), gamma)
        betas.append(np.linalg.solve(F.T @ W @ F + noise * np.eye(2), F.T @ W @ column[own]))
    fit = np.array(betas) @ np.linalg.lstsq(np.array(betas), found.betas, rcond=None)[0]
    np.testing.assert_allclose(fit, found.betas, atol=1e-3)


@pytest.mark.parametrize("gamma", [0.0, 5.0, -0.5])
def test_what_steps_lose_is_the_likelihood_and_they_lose_none(gamma):
    returns = draw_returns(n_dates=15, n_assets=12, gaps=0.3)
    gaps = _pca_core._Gaps(returns, ~np.isnan(returns), 2, gamma)
    rng = np.random.default_rng(0)
    here = np.vstack([rng.normal(0, 0.05, (15, 2)), np.full(2, np.log(0.01))])
    constant, before = None, np.inf
    for _ in range(30):
        step = gaps.step(here)
        exact = minus_twice_log_likelihood(returns, here[:-1], np.exp(here[-1, 0]), gamma)
        constant = exact - step.lost if constant is None else constant
        np.testing.assert_allclose(step.lost + constant, exact, rtol=1e-9)
        assert step.lost < before
        before, here = step.lost, step.after


@pytest.mark.parametrize("gamma", [0.0, 5.0])
def test_few_gaps_change_little(gamma):
    returns = draw_returns(60, 30, noise=0.03)
    whole = components_with_gaps(returns, 2, gamma, max_iter=10, tol=1e-9)
    returns[3, 4] = np.nan
    found = components_with_gaps(returns, 2, gamma, max_iter=500, tol=1e-9)
    np.testing.assert_allclose(found.betas, whole.betas, atol=0.05)
    np.testing.assert_allclose(found.factors, whole.factors, atol=0.005)


@pytest.mark.parametrize("gamma", [0.0, 10.0])
def test_factor_returns_with_gaps_are_regressions_of_each_date_on_betas(gamma):
    returns = draw_returns(n_dates=25, n_assets=8, gaps=0.3)
    found = components_with_gaps(returns, 2, gamma, max_iter=500, tol=1e-8)
    for t in range(25):
        seen = ~np.isnan(returns[t])
        f = np.linalg.lstsq(found.betas[seen], returns[t, seen], rcond=None)[0]
        np.testing.assert_allclose(found.factors[t], f, atol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 10.0, -1.0])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_betas_and_factors_are_identified(gamma, gaps):
    returns = draw_returns(gaps=gaps, seed=1)
    found = components_with_gaps(returns, 2, gamma, max_iter=2000, tol=1e-8)
    np.testing.assert_allclose(found.betas.T @ found.betas / 15, np.eye(2), atol=1e-9)
    mean = found.factors.mean(axis=0)
    moments = found.factors.T @ found.factors / 40 + gamma * np.outer(mean, mean)
    assert (np.diff(np.diag(moments)) < 0).all()
    np.testing.assert_allclose(moments - np.diag(np.diag(moments)), 0, atol=1e-8)
    assert (mean >= 0).all()


def draw_lives(n_dates, n_assets, shortest, seed=0):
    """Returns of assets that enter late and leave early, three factors, and their betas."""
    rng = np.random.default_rng(seed)
    f = rng.normal(0.005, 0.05, (n_dates, 3)) * [1.0, 0.6, 0.4]
    betas = rng.normal([1.0, 0.0, 0.0], 0.5, (n_assets, 3))
    returns = f @ betas.T + rng.normal(0, 0.1, (n_dates, n_assets))
    first = rng.integers(0, n_dates - shortest, n_assets)
    last = first + rng.integers(shortest, n_dates // 2, n_assets)
    date = np.arange(n_dates)[:, None]
    returns[(date < first) | (date >= last)] = np.nan
    return returns[~np.isnan(returns).all(axis=1)]


@pytest.mark.parametrize(("n_factors", "gamma"), [(3, 0.0), (6, 0.0), (3, 10.0), (3, -1.0)])
def test_late_entries_and_early_exits_converge_to_factors_of_usual_size(n_factors, gamma):
    returns = draw_lives(120, 60, 12)
    found = components_with_gaps(returns, n_factors, gamma, max_iter=1000, tol=1e-5)
    assert found.converged
    # Least squares would give factors hundreds of times as volatile as any return here.
    assert found.factors.std(axis=0).max() < 0.2
    assert np.abs(found.betas).max() < 6


def test_premia_of_assets_that_come_and_go_predict_no_absurd_returns():
    returns = draw_lives(160, 400, 12, seed=1)
    X, y = as_panel(returns)
    past = X.index.get_level_values("date") < pd.Period("2010-01")
    model = PCAFactorModel(6).fit(X[past], y[past])
    assert model.predict(X[~past]).abs().max() < 0.1
    assert model.score(X[~past], y[~past]) > 0.03


def test_risk_premium_pca_finds_a_weak_factor_with_a_premium():
    rng = np.random.default_rng(0)
    n_dates, n_assets = 400, 60
    weak_betas = rng.normal(size=n_assets)
    strong = rng.normal(0.0, 0.06, n_dates)
    weak = rng.normal(0.02, 0.01, n_dates)
    returns = np.outer(strong, rng.normal(size=n_assets)) + np.outer(weak, weak_betas)
    returns += rng.normal(0, 0.3, returns.shape)

    def correlation(gamma):
        betas = principal_components(returns, 2, gamma).betas
        fit = betas @ np.linalg.lstsq(betas, weak_betas, rcond=None)[0]
        return np.corrcoef(fit, weak_betas)[0, 1]

    assert correlation(20.0) > correlation(0.0) + 0.15


def test_an_asset_seen_too_rarely_has_the_mean_betas():
    returns = draw_returns(gaps=0.2)
    returns[:, 3] = np.nan
    returns[:5, 3] = 0.01 * np.arange(5)
    X, y = as_panel(returns)
    model = PCAFactorModel(2).fit(X, y)
    assert "A03" not in model.betas_.index
    assert len(model.betas_) == 14
    np.testing.assert_allclose(model.mean_beta_, model.betas_.mean())
    rare = X.index.get_level_values("asset") == "A03"
    np.testing.assert_allclose(model.transform(X[rare]), np.tile(model.mean_beta_, (rare.sum(), 1)))
    # It takes no part in factor returns, unless it is alone.
    other = y.copy()
    other[rare] = 3.0
    np.testing.assert_allclose(model.factor_returns(X, other), model.factor_returns(X, y))
    alone = model.factor_returns(X[rare], y[rare])
    b = model.mean_beta_
    np.testing.assert_allclose(alone, np.outer(y[rare], b / (b @ b)))
    assert "A03" in PCAFactorModel(2, min_obs=3).fit(X, y).betas_.index


def test_assets_are_found_by_name_not_by_place():
    X, y = as_panel(draw_returns())
    model = PCAFactorModel(2).fit(X, y)
    some = X[X.index.get_level_values("asset").isin(["A07", "A02"])]
    betas = model.transform(some)
    for (_, asset), row in betas.iterrows():
        np.testing.assert_array_equal(row, model.betas_.loc[asset])


def test_characteristics_change_nothing():
    X, y = as_panel(draw_returns(gaps=0.1))
    noise = X + np.random.default_rng(0).normal(size=X.shape)
    ours, other = PCAFactorModel(2).fit(X, y), PCAFactorModel(2).fit(noise, y)
    pd.testing.assert_frame_equal(ours.betas_, other.betas_)


def test_a_date_without_returns_is_left_out_of_the_betas():
    returns = draw_returns()
    X, y = as_panel(returns)
    y = y.copy()
    y.loc[y.index[0][0]] = np.nan
    model = PCAFactorModel(2).fit(X, y)
    np.testing.assert_allclose(model.betas_, slow_rp_pca(returns[1:], 2, 0.0)[0], atol=1e-9)
    assert len(model.factor_returns_) == len(returns) - 1


def test_rows_without_dates_have_the_mean_return():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(0.01, 0.05, 30)
    with pytest.warns(MissingDatesWarning):
        model = PCAFactorModel(3).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y.mean())
    assert len(model.betas_) == 0


def test_dates_without_assets_are_refused():
    X, y = as_panel(draw_returns())
    with pytest.raises(ValueError, match="PCAFactorModel must know which asset each row is, bec"):
        PCAFactorModel().fit(X.to_numpy(), y.to_numpy(), dates=y.index.get_level_values(0))


def test_too_many_factors_are_refused():
    returns = draw_returns()
    message = "`n_factors` must be at most 15, the number of assets with at least 17 returns; "
    with pytest.raises(ValueError, match=re.escape(message + "got 16.")):
        PCAFactorModel(16).fit(*as_panel(returns))
    message = "`n_factors` must be at most 5, the number of dates on which these have returns; "
    with pytest.raises(ValueError, match=re.escape(message + "got 6.")):
        PCAFactorModel(6).fit(*as_panel(returns[:5]))
    message = "`n_factors` must be at most 0, the number of assets with at least 50 returns; got 1"
    with pytest.raises(ValueError, match=re.escape(message)):
        PCAFactorModel(min_obs=50).fit(*as_panel(returns))


def test_steps_that_do_not_suffice_are_told():
    X, y = as_panel(draw_returns(gaps=0.5))
    with pytest.warns(ConvergenceWarning, match="stopped after `max_iter` = 2 steps, before a s"):
        model = PCAFactorModel(3, max_iter=2, tol=1e-12).fit(X, y)
    assert model.n_iter_ == 2


def test_verbose_prints_every_step(capsys):
    X, y = as_panel(draw_returns(gaps=0.3))
    model = PCAFactorModel(2, verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_
    assert re.fullmatch(r"step +1: change \d\.\d\de-\d\d", lines[0])


def test_an_interrupt_keeps_the_betas_reached(monkeypatch):
    calls = []
    original = _pca_core._Gaps.factors_of

    def interrupted(gaps, *known):
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(gaps, *known)

    monkeypatch.setattr(_pca_core._Gaps, "factors_of", interrupted)
    model = PCAFactorModel(2, tol=0.0)
    X, y = as_panel(draw_returns(gaps=0.3))
    with pytest.raises(FitInterrupted):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert model.score(X, y) > 0.3


def test_returns_of_fewer_dimensions_than_factors_leave_betas_of_zero():
    returns = np.outer(np.arange(1.0, 11.0), np.ones(12))
    for values in (returns, returns.T.copy().T):
        found = principal_components(values, 3, 0.0)
        np.testing.assert_allclose(found.betas[:, 0], 1.0)
        np.testing.assert_allclose(found.factors @ found.betas.T, returns)
