"""Pricing errors of factors that need not be traded: values, sizes, refusals."""

import numpy as np
import pytest
from scipy import stats

from skfactor.inference import grs_test, linear_pricing_test
from skfactor.linear_model import FamaFrenchRegressor


def draw(seed=0, n_dates=120, n_assets=12, zero_beta=0.0, error=0.0, df=None):
    """Returns that pay 0.5 a unit of beta on a factor whose mean is 2."""
    rng = np.random.default_rng(seed)
    noise = (
        rng.standard_normal((n_dates, n_assets))
        if df is None
        else rng.standard_t(df, (n_dates, n_assets)) * np.sqrt((df - 2) / df)
    )
    factors = 2.0 + rng.standard_normal((n_dates, 1))
    betas = rng.uniform(0.0, 2.0, (1, n_assets))
    mean = zero_beta + 0.5 * betas + error * rng.standard_normal((1, n_assets))
    return factors, mean + (factors - 2.0) @ betas + noise @ np.diag(rng.uniform(1, 2, n_assets))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_statistic_is_the_textbook_s(fit_intercept):
    factors, returns = draw()
    T, N = returns.shape
    Z = np.column_stack([np.ones(T), factors])
    params = np.linalg.inv(Z.T @ Z) @ Z.T @ returns
    E = returns - Z @ params
    sigma = E.T @ E / (T - 2)
    X = params[1:].T
    if fit_intercept:
        X = np.column_stack([np.ones(N), X])
    W = np.linalg.inv(sigma)
    premia = np.linalg.inv(X.T @ W @ X) @ X.T @ W @ returns.mean(axis=0)
    e = returns.mean(axis=0) - X @ premia
    c = premia[-1] ** 2 / factors.var(ddof=1)
    p = X.shape[1]
    df = (N - p, T - 1 - N + p)
    expected = T * (e @ W @ e) / (1 + c) * df[1] / df[0] / (T - 2)
    found = linear_pricing_test(factors, returns, fit_intercept=fit_intercept)
    assert found.statistic == pytest.approx(expected, rel=1e-9)
    assert found.df == df
    assert found.p_value == pytest.approx(stats.f.sf(expected, *df), rel=1e-9)
    assert found.null == "The mean returns of all 12 assets are linear in their betas."
    assert not found.exact
    model = FamaFrenchRegressor().fit(factors, returns)
    assert linear_pricing_test(model, fit_intercept=fit_intercept) == found


def test_a_factor_that_is_not_traded_fails_the_grs_test_and_not_this_one():
    data = draw(n_dates=600)
    assert grs_test(*data).p_value < 1e-6
    assert linear_pricing_test(*data, fit_intercept=False).p_value > 0.01


def test_errors_are_found_and_a_zero_beta_rate_is_one_where_there_may_be_none():
    assert linear_pricing_test(*draw(n_dates=600, error=0.3)).p_value < 1e-3
    data = draw(n_dates=600, zero_beta=0.5)
    assert linear_pricing_test(*data).p_value > 0.01
    assert linear_pricing_test(*data, fit_intercept=False).p_value < 1e-3


def test_missing_returns_and_robust_models_are_said():
    factors, returns = draw()
    returns[:4, 0] = np.nan
    found = linear_pricing_test(FamaFrenchRegressor(cov_type="HC1").fit(factors, returns))
    assert found.notes[0] == "Betas are estimated, and premia from them."
    assert found.notes[1].startswith("4 of 120 dates are left out")
    assert "cov_type='HC1'" in found.notes[2]
    assert found.statistic == pytest.approx(linear_pricing_test(factors[4:], returns[4:]).statistic)


def test_too_few_and_too_many_assets_are_refused():
    factors, returns = draw(n_dates=12)
    with pytest.raises(ValueError, match="more than 2 assets, one for each premium, .* got 2"):
        linear_pricing_test(factors, returns[:, :2])
    with pytest.raises(ValueError, match="at most 9, for the 9 dates .* got 12"):
        linear_pricing_test(factors[:9], returns[:9], fit_intercept=True)
    factors, returns = draw()
    twice = np.column_stack([returns, returns[:, 0]])
    with pytest.raises(ValueError, match="linearly independent; got asset number 12"):
        linear_pricing_test(factors, twice)


@pytest.mark.slow
@pytest.mark.parametrize("df", [None, 5])
@pytest.mark.parametrize("n_assets", [5, 40])
def test_linear_pricing_is_rejected_as_often_as_the_test_says(df, n_assets):
    p_values = [
        linear_pricing_test(*draw(seed, 120, n_assets, df=df)).p_value for seed in range(2000)
    ]
    size = np.mean(np.array(p_values) < 0.05)
    print(f"linear pricing, N={n_assets}, df={df}: {size:.4f}")
    assert 0.03 <= size <= 0.065
