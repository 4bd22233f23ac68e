"""Principal components: eigenvectors without gaps, a slow filling of gaps with them, limits."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from skfactor.exceptions import FitInterrupted, MissingDatesWarning
from skfactor.factor_models import PCAFactorModel, _pca_core
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


def slow_em(returns, n_factors, n_iter=3000):
    """Fill gaps by the fit of the components, and take components anew."""
    gaps = np.isnan(returns)
    filled = np.where(gaps, 0.0, returns)
    for _ in range(n_iter):
        betas, factors = slow_rp_pca(filled, n_factors, 0.0)
        filled[gaps] = (factors @ betas.T)[gaps]
    return betas, factors


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
def test_with_gaps_the_fit_is_that_of_slow_filling(gaps):
    returns = draw_returns(60, 30, gaps=gaps, noise=0.03)
    betas, factors = slow_em(returns, 2, 600)
    found = components_with_gaps(returns, 2, 0.0, max_iter=500, tol=1e-9)
    assert found.converged
    np.testing.assert_allclose(found.betas, betas, atol=1e-5)
    np.testing.assert_allclose(found.factors, factors, atol=1e-6)


@pytest.mark.parametrize("gamma", [5.0, -1.0])
def test_betas_with_gaps_minimise_errors_and_mean_errors(gamma):
    returns = draw_returns(n_dates=25, n_assets=8, gaps=0.3)
    found = components_with_gaps(returns, 2, gamma, max_iter=500, tol=1e-10)

    def lost(betas, factors):
        errors = returns - factors @ betas.T
        counts = (~np.isnan(returns)).sum(axis=0)
        return np.nansum(errors**2) + gamma * (counts * np.nanmean(errors, axis=0) ** 2).sum()

    def best(betas):
        """The least that is lost with given betas, by one regression for all factors."""
        dates, assets = np.nonzero(~np.isnan(returns))
        design = np.zeros((len(dates), returns.shape[0] * 2))
        for row, (t, i) in enumerate(zip(dates, assets, strict=True)):
            design[row, 2 * t : 2 * t + 2] = betas[i]
        target = returns[dates, assets]
        stretch = np.eye(len(dates))
        for i in range(returns.shape[1]):
            own = np.flatnonzero(assets == i)
            stretch[np.ix_(own, own)] += (np.sqrt(1 + gamma) - 1) / len(own)
        factors = np.linalg.lstsq(stretch @ design, stretch @ target, rcond=None)[0]
        return lost(betas, factors.reshape(-1, 2))

    least = best(found.betas)
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert best(found.betas + 0.01 * rng.normal(size=found.betas.shape)) > least
    # The factor returns that are shown are regressions of each date on betas.
    for t in range(0, 25, 6):
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


def test_long_histories_with_late_entries_and_exits_converge():
    rng = np.random.default_rng(0)
    returns = draw_returns(120, 60, 3, noise=0.1)
    first = rng.integers(0, 60, 60)
    last = first + rng.integers(20, 60, 60)
    date = np.arange(120)[:, None]
    returns[(date < first) | (date >= last)] = np.nan
    returns = returns[~np.isnan(returns).all(axis=1)]
    for gamma in (0.0, 10.0, -1.0):
        found = components_with_gaps(returns, 3, gamma, max_iter=1000, tol=1e-6)
        assert found.converged, gamma


def test_a_saddle_is_left_behind():
    returns = draw_returns(gaps=0.3)  # steps alone take thousands
    assert components_with_gaps(returns, 2, 10.0, max_iter=800, tol=1e-6).converged


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
    original = _pca_core.solve_many

    def interrupted(gram, target):
        calls.append(0)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return original(gram, target)

    monkeypatch.setattr(_pca_core, "solve_many", interrupted)
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
