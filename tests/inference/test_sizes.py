"""How often every test rejects a true null at 5 %, by simulation through the public functions."""

import numpy as np
import pytest

from skfactor.inference import compare_models, grs_test, joint_alpha_test, spanning_test
from skfactor.linear_model import FamaFrenchRegressor, FamaMacBeth

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("df", [None, 5])]

DRAWS = 2000


def noise(rng, shape, df):
    if df is None:
        return rng.standard_normal(shape)
    return rng.standard_t(df, shape) / np.sqrt(df / (df - 2))


def market(seed, n_dates, n_assets, df, n_factors=3):
    rng = np.random.default_rng(seed)
    factors = 0.005 + 0.04 * noise(rng, (n_dates, n_factors), df)
    betas = rng.normal(1.0, 0.5, (n_factors, n_assets))
    risk = rng.uniform(0.02, 0.08, n_assets)
    return factors, factors @ betas + risk * noise(rng, (n_dates, n_assets), df)


def share(p_values):
    return np.mean(np.asarray(p_values) < 0.05, axis=0)


@pytest.mark.parametrize(("n_dates", "n_assets"), [(120, 10), (120, 60), (360, 25)])
def test_grs(df, n_dates, n_assets):
    size = share(
        [grs_test(*market(seed, n_dates, n_assets, df)).p_value for seed in range(2 * DRAWS)]
    )
    print(f"GRS, T={n_dates}, N={n_assets}, df={df}: {size:.4f}")
    assert 0.04 <= size <= 0.06


@pytest.mark.parametrize(("n_dates", "n_assets"), [(120, 10), (120, 60), (360, 100), (60, 200)])
def test_joint_alpha(df, n_dates, n_assets):
    size = share(
        [joint_alpha_test(*market(seed, n_dates, n_assets, df)).p_value for seed in range(DRAWS)]
    )
    print(f"joint alpha, T={n_dates}, N={n_assets}, df={df}: {size:.4f}")
    assert 0.035 <= size <= 0.065


@pytest.mark.parametrize("n_assets", [1, 5])
def test_spanning_and_its_steps(df, n_assets):
    p_values = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        old = 0.01 + 0.05 * noise(rng, (60, 3), df)
        weights = rng.dirichlet(np.ones(3), n_assets).T
        test = spanning_test(old, old @ weights + 0.02 * noise(rng, (60, n_assets), df))
        p_values.append([test.p_value, *(part.p_value for part in test.parts)])
    size = share(p_values)
    print(f"spanning, N={n_assets}, df={df}: {size}")
    assert (np.abs(size - 0.05) <= 0.015).all()


def test_more_factors_of_a_nested_model(df):
    p_values = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        base = 0.006 + 0.04 * noise(rng, (120, 1), df)
        more = base @ rng.normal(0, 0.3, (1, 2)) + 0.03 * noise(rng, (120, 2), df)
        factors = np.column_stack([base, more])
        models = {"one": [0], "three": [0, 1, 2]}
        compared = compare_models(factors, 0.05 * noise(rng, (120, 3), df), models)
        p_values.append(compared.nested["p_value"].iloc[0])
    size = share(p_values)
    print(f"nested models, df={df}: {size:.4f}")
    assert 0.035 <= size <= 0.065


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC3", "HAC"])
def test_t_statistic_of_alpha(df, cov_type):
    factors, returns = market(0, 240, DRAWS * 2, df)
    model = FamaFrenchRegressor(cov_type=cov_type, use_t=True).fit(factors, returns)
    size = share(model.pvalues_[:, 0])
    print(f"alpha, {cov_type}, df={df}: {size:.4f}")
    assert abs(size - 0.05) <= (0.02 if cov_type == "HAC" else 0.012)


def test_premia_of_given_betas(df):
    rejected = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60 * 50, 2))
        y = 0.05 * noise(rng, len(X), df)
        dates = np.repeat(np.arange(200001, 200061), 50)
        dates = 200001 + 100 * ((dates - 200001) // 12) + (dates - 200001) % 12
        model = FamaMacBeth(maxlags=0).fit(X, y, dates=dates)
        rejected.append(model.pvalues_[1:])
    size = share(rejected)
    print(f"Fama-MacBeth, df={df}: {size}")
    assert (np.abs(size - 0.05) <= 0.015).all()


def test_premia_of_estimated_betas_with_shanken_s_correction(df):
    """The null is the true premium: a factor's mean, here a third of its volatility a period."""
    corrected, plain = [], []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        factor = 0.4 + 1.0 * noise(rng, (240, 1), df)
        betas = rng.uniform(0.2, 1.8, (1, 60))
        returns = factor @ betas + 1.5 * noise(rng, (240, 60), df)
        for found, shanken in ((corrected, True), (plain, False)):
            model = FamaMacBeth(maxlags=0, fit_intercept=False, shanken=shanken)
            model.fit_two_pass(factor, returns)
            found.append(abs(model.coef_[0] - 0.4) / model.bse_[0] > 1.97)
    size, uncorrected = np.mean(corrected), np.mean(plain)
    print(f"Shanken, df={df}: {size:.4f}, without correction {uncorrected:.4f}")
    assert 0.035 <= size <= 0.065
    assert uncorrected >= size
