"""Forecasts of premia, and one rotation for all members."""

import numpy as np
import pytest
import statsmodels.api as sm

from skfactor.factor_models._align import (
    canonical_rotation,
    common_bases,
    mutual_rotations,
    procrustes,
)
from skfactor.factor_models._premia import PremiaForecast, as_forecast


@pytest.fixture
def factors():
    return np.random.default_rng(0).normal(0.01, 0.05, size=(40, 2)).cumsum(axis=0) * 0.3 + 1


def weighted_mean(past, halflife):
    weights = 0.5 ** (np.arange(len(past))[::-1] / halflife)
    return weights @ past / weights.sum()


SLOW = {
    "expanding": lambda past: past.mean(axis=0),
    "rolling": lambda past: past[-7:].mean(axis=0),
    "ewma": lambda past: weighted_mean(past, 5),
}


@pytest.mark.parametrize("method", SLOW)
def test_a_forecast_is_a_mean_of_what_came_before(factors, method):
    path = PremiaForecast(method, window=7, halflife=5).path(factors)
    expected = [SLOW[method](factors[:s]) for s in range(1, len(factors) + 1)]
    np.testing.assert_allclose(path[1:], expected, rtol=1e-10)
    np.testing.assert_array_equal(path[0], 0)


def test_an_autoregression_is_the_one_of_statsmodels(factors):
    path = PremiaForecast("ar1").path(factors)
    for s in (13, 20, 40):
        for k in range(2):
            past = factors[:s, k]
            fit = sm.OLS(past[1:], sm.add_constant(past[:-1])).fit()
            expected = fit.params @ [1.0, past[-1]]
            np.testing.assert_allclose(path[s, k], expected, rtol=1e-8)
    np.testing.assert_allclose(path[12], factors[:12].mean(axis=0))


@pytest.mark.parametrize("method", ["expanding", "rolling", "ewma", "ar1"])
def test_a_forecast_does_not_see_the_future(factors, method):
    changed = factors.copy()
    changed[25:] += 9.0
    forecast = PremiaForecast(method, window=7)
    np.testing.assert_array_equal(forecast.path(changed)[:26], forecast.path(factors)[:26])


def test_a_constant_factor_is_forecast_by_itself():
    np.testing.assert_allclose(PremiaForecast("ar1").path(np.full((20, 1), 0.3))[1:], 0.3)


def test_a_wrong_forecast_is_refused():
    with pytest.raises(ValueError, match="`method` must be one of 'expanding'.*got 'garch'"):
        PremiaForecast("garch")
    with pytest.raises(ValueError, match="must be a whole number of dates, at least 1; got 0"):
        PremiaForecast("rolling", window=0)
    with pytest.raises(ValueError, match="`halflife` must be a positive number; got 0"):
        PremiaForecast("ewma", halflife=0)
    with pytest.raises(ValueError, match="`premia` must be one of .* or a PremiaForecast; got 3"):
        as_forecast(3)


def test_a_canonical_basis_has_unit_betas_and_ordered_factors():
    rng = np.random.default_rng(1)
    betas, factors = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3)), rng.normal(size=(50, 3))
    A = canonical_rotation(betas.T @ betas / 300, factors)
    new_betas, new_factors = betas @ A, np.linalg.solve(A, factors.T).T
    np.testing.assert_allclose(new_betas @ new_factors.T, betas @ factors.T, atol=1e-10)
    np.testing.assert_allclose(new_betas.T @ new_betas / 300, np.eye(3), atol=1e-10)
    moment = new_factors.T @ new_factors
    np.testing.assert_allclose(moment, np.diag(np.diag(moment)), atol=1e-8)
    assert (np.diff(np.diag(moment)) < 0).all()
    assert (new_factors.mean(axis=0) >= 0).all()


def test_one_date_is_enough_for_a_basis():
    A = canonical_rotation(np.eye(3), np.array([[1.0, 2.0, 2.0]]))
    np.testing.assert_allclose(np.linalg.solve(A, [1.0, 2.0, 2.0]), [3, 0, 0], atol=1e-12)


def test_members_that_differ_by_a_rotation_become_one():
    rng = np.random.default_rng(2)
    betas = rng.normal(size=(100, 3))
    members = np.stack([betas @ np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(4)])
    turned = np.matmul(members, mutual_rotations(members))
    np.testing.assert_allclose(turned, np.broadcast_to(turned[0], turned.shape), atol=1e-10)
    R = procrustes(members[1], members[0])
    np.testing.assert_allclose(members[1] @ R, members[0], atol=1e-10)


def test_common_bases_align_members_and_leave_fits_and_observed_factors_alone():
    rng = np.random.default_rng(0)
    base_betas, base_factors = rng.normal(size=(50, 3)), rng.normal(0.3, 1.0, size=(40, 3))
    betas, factors = [], []
    for _ in range(3):  # the same model, its two latent factors turned and stretched
        turn = np.eye(3)
        turn[:2, :2] = rng.normal(size=(2, 2))
        betas.append(base_betas @ turn)
        factors.append(np.linalg.solve(turn, base_factors.T).T)
    bases = common_bases(np.stack(betas), np.stack(factors), 2)
    for own, returns, basis in zip(betas, factors, bases, strict=True):
        found, moved = own @ basis, np.linalg.solve(basis, returns.T).T
        np.testing.assert_allclose(found @ moved.T, base_betas @ base_factors.T, atol=1e-10)
        np.testing.assert_allclose(found, betas[0] @ bases[0], atol=1e-8)
        np.testing.assert_allclose(found[:, 2], base_betas[:, 2])
        np.testing.assert_allclose(found[:, :2].T @ found[:, :2] / 50, np.eye(2), atol=1e-10)
        assert (moved.mean(axis=0)[:2] >= 0).all()
