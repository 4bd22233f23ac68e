"""GRS, the joint test for many assets, and spanning: values, sizes, refusals."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfactor.inference import HypothesisTest, grs_test, joint_alpha_test, spanning_test
from skfactor.inference._grs import grs_statistic
from skfactor.inference._joint_alpha import _j_alpha
from skfactor.inference._spanning import _log_determinants
from skfactor.linear_model import FamaFrenchRegressor


def draw(n_dates=80, n_assets=6, n_factors=2, seed=11, alpha=0.0, df=None):
    rng = np.random.default_rng(seed)
    factors = rng.normal(0.005, 0.04, (n_dates, n_factors))
    noise = (
        rng.standard_normal((n_dates, n_assets))
        if df is None
        else rng.standard_t(df, (n_dates, n_assets)) / np.sqrt(df / (df - 2))
    )
    betas = rng.normal(1.0, 0.5, (n_factors, n_assets))
    return factors, alpha + factors @ betas + 0.03 * noise


def slow_regression(factors, returns):
    """One asset at a time, by the normal equations."""
    X = np.column_stack([np.ones(len(factors)), factors])
    inverse = np.linalg.inv(X.T @ X)
    params = np.column_stack([inverse @ X.T @ y for y in returns.T])
    return X, inverse, params, returns - X @ params


def slow_grs(factors, returns):
    n_dates, n_assets = returns.shape
    n_factors = factors.shape[1]
    _, _, params, residuals = slow_regression(factors, returns)
    sigma = residuals.T @ residuals / n_dates
    mean = factors.mean(axis=0)
    omega = (factors - mean).T @ (factors - mean) / n_dates
    ratio = params[0] @ np.linalg.inv(sigma) @ params[0]
    ratio /= 1 + mean @ np.linalg.inv(omega) @ mean
    df = (n_assets, n_dates - n_assets - n_factors)
    statistic = df[1] / df[0] * ratio
    return statistic, stats.f.sf(statistic, *df)


def slow_joint(factors, returns):
    n_assets = returns.shape[1]
    squares, residuals, dfs = [], np.full_like(returns, np.nan), []
    for i in range(n_assets):
        seen = ~np.isnan(returns[:, i])
        _, inverse, params, rest = slow_regression(factors[seen], returns[seen, i : i + 1])
        v = seen.sum() - factors.shape[1] - 1
        squares.append(params[0, 0] ** 2 / (inverse[0, 0] * (rest**2).sum() / v))
        residuals[seen, i] = rest[:, 0]
        dfs.append(v)
    threshold = stats.norm.ppf(1 - 0.05 / (2 * (n_assets - 1))) ** 2
    total = 0.0
    for i in range(n_assets):
        for j in range(i):
            both = ~np.isnan(residuals[:, i] * residuals[:, j])
            a, b = residuals[both, i], residuals[both, j]
            r2 = (a @ b) ** 2 / (a @ a * (b @ b))
            v = both.sum() - factors.shape[1] - 1
            total += r2 * (v * r2 >= threshold)
    average = 2 * total / (n_assets * (n_assets - 1))
    statistic = sum(
        (t2 - v / (v - 2)) / (v / (v - 2) * np.sqrt(2 * (v - 1) / (v - 4)))
        for t2, v in zip(squares, dfs, strict=True)
    )
    return statistic / np.sqrt(n_assets * (1 + (n_assets - 1) * average))


def test_grs_agrees_with_the_textbook_formula():
    factors, returns = draw()
    found = grs_test(factors, returns)
    statistic, p_value = slow_grs(factors, returns)
    assert found.statistic == pytest.approx(statistic, rel=1e-10)
    assert found.p_value == pytest.approx(p_value, rel=1e-10)
    assert found.df == (6, 72)
    assert found.distribution == "F"
    assert found.exact
    assert not found.notes


def test_grs_of_one_asset_is_the_square_of_its_t_statistic():
    factors, returns = draw(n_assets=1)
    model = FamaFrenchRegressor().fit(factors, returns)
    found = grs_test(model)
    assert found.statistic == pytest.approx(model.tvalues_[0, 0] ** 2, rel=1e-10)
    assert found.p_value == pytest.approx(model.pvalues_[0, 0], rel=1e-9)
    assert found.null == "The alpha of the asset is zero."


def test_alphas_agree_with_linearmodels():
    # from linearmodels.asset_pricing import TradedFactorModel  # 7.1
    # factors, returns = draw(seed=5); TradedFactorModel(returns, factors).fit().alphas
    factors, returns = draw(seed=5)
    frozen = [
        -0.002023709240655858,
        0.0011154797761926626,
        -0.003227311705536855,
        0.00047435546450761654,
        0.004915511347912456,
        0.0028569807405708506,
    ]
    _, _, params, _ = slow_regression(factors, returns)
    np.testing.assert_allclose(params[0], frozen, rtol=1e-8)
    model = FamaFrenchRegressor().fit(factors, returns)
    np.testing.assert_allclose(model.intercept_, frozen, rtol=1e-8)
    assert grs_test(model) == grs_test(factors, returns)


def test_grs_does_not_change_with_portfolios_of_the_factors():
    factors, returns = draw()
    shifted = factors.copy()
    # Adding a multiple of a factor to another leaves the span, and so the test, as it was.
    shifted[:, 1] += 5 * shifted[:, 0]
    assert grs_test(shifted, returns).statistic == pytest.approx(
        grs_test(factors, returns).statistic, rel=1e-8
    )


def test_grs_does_not_change_with_portfolios_of_the_assets():
    factors, returns = draw()
    mix = np.random.default_rng(0).normal(size=(6, 6))
    assert grs_test(factors, returns @ mix).statistic == pytest.approx(
        grs_test(factors, returns).statistic, rel=1e-8
    )


@pytest.mark.parametrize("df", [None, 5])
def test_grs_rejects_a_true_null_as_often_as_it_says(df):
    p_values = [
        grs_statistic(*draw(n_dates=60, n_assets=20, seed=seed, df=df))[1] for seed in range(3000)
    ]
    assert 0.04 <= np.mean(np.array(p_values) < 0.05) <= 0.06
    if df is None:
        assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_grs_finds_alphas():
    assert grs_test(*draw(alpha=0.02)).p_value < 1e-3


@pytest.mark.parametrize(
    ("n_dates", "n_assets", "df"), [(120, 10, None), (60, 90, None), (60, 90, 5)]
)
def test_joint_alpha_test_keeps_its_size_with_more_assets_than_dates(n_dates, n_assets, df):
    rejected = 0
    for seed in range(2000):
        factors, returns = draw(n_dates, n_assets, seed=seed, df=df)
        X = np.column_stack([np.ones(n_dates), factors])
        inverse = np.linalg.inv(X.T @ X)
        params = inverse @ (X.T @ returns)
        residuals = returns - X @ params
        v = n_dates - 3
        squares = params[0] ** 2 / (inverse[0, 0] * (residuals**2).sum(axis=0) / v)
        rejected += _j_alpha(squares, np.full(n_assets, float(v)), residuals, 3)[1] < 0.05
    assert 0.035 <= rejected / 2000 <= 0.065


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_joint_alpha_test_agrees_with_loops_over_assets_and_pairs(gaps):
    rng = np.random.default_rng(4)
    factors, returns = draw(n_dates=40, n_assets=70, seed=4)
    returns += 0.03 * rng.standard_normal((40, 1)) * (np.arange(70) < 20)  # some correlated
    returns[rng.random(returns.shape) < gaps] = np.nan
    found = joint_alpha_test(factors, returns)
    assert found.statistic == pytest.approx(slow_joint(factors, returns), rel=1e-9)
    assert found.df[0] < 70
    worth = joint_alpha_test(factors, returns).df[0]
    expected = stats.chi2.sf(worth + np.sqrt(2 * worth) * found.statistic, worth)
    assert found.p_value == pytest.approx(expected, rel=1e-3)
    assert not found.exact


def test_joint_alpha_test_takes_blocks_of_assets():
    factors, returns = draw(n_dates=30, n_assets=300)
    assert joint_alpha_test(factors, returns).statistic == pytest.approx(
        slow_joint(factors, returns), rel=1e-9
    )


def test_joint_alpha_test_finds_alphas():
    assert joint_alpha_test(*draw(n_dates=60, n_assets=200, alpha=0.01)).p_value < 1e-6


def test_joint_alpha_test_of_a_robust_model_says_what_it_takes():
    factors, returns = draw()
    model = FamaFrenchRegressor(cov_type="HC1").fit(factors, returns)
    found = joint_alpha_test(model)
    assert found.statistic == pytest.approx(joint_alpha_test(factors, returns).statistic)
    assert "classical t statistics" in found.notes[0]


def test_joint_alpha_test_refuses_an_asset_with_few_returns_by_name():
    factors, returns = draw(n_dates=20)
    frame = pd.DataFrame(returns, columns=list("ABCDEF"))
    frame.loc[7:, "C"] = np.nan
    message = r"at least 8 returns that vary; got 7 of 'C' \(1 assets have fewer\)"
    with pytest.raises(ValueError, match=message):
        joint_alpha_test(factors, frame)
    with pytest.raises(ValueError, match="at least 2 assets; got 1. Use grs_test"):
        joint_alpha_test(factors, returns[:, 0])


def test_grs_refuses_too_many_assets_and_says_what_to_use():
    factors, returns = draw(n_dates=20, n_assets=18)
    with pytest.raises(ValueError, match=r"at most 17 assets.*got 18. Use joint_alpha_test"):
        grs_test(factors, returns)
    assert grs_test(factors, returns[:, :17]).df == (17, 1)


def test_grs_says_when_it_is_not_exact():
    factors, returns = draw()
    robust = FamaFrenchRegressor(cov_type="HAC", maxlags=3).fit(factors, returns)
    assert not grs_test(robust).exact
    assert "cov_type='HAC'" in grs_test(robust).notes[0]
    generated = grs_test(factors, returns, generated_factors=True)
    assert not generated.exact
    assert generated.notes == ("Factors that were estimated are taken as known.",)
    returns[:5, 2] = np.nan
    gappy = grs_test(factors, returns)
    assert not gappy.exact
    assert gappy.notes[0].startswith("5 of 80 dates are left out")
    assert gappy.statistic == pytest.approx(slow_grs(factors[5:], returns[5:])[0], rel=1e-10)


def test_grs_refuses_what_it_cannot_use():
    factors, returns = draw()
    model = FamaFrenchRegressor().fit(factors, returns)
    with pytest.raises(ValueError, match="`returns` must be given beside an array of factors"):
        grs_test(factors)
    with pytest.raises(ValueError, match="`returns` must be None beside a fitted"):
        grs_test(model, returns)
    with pytest.raises(ValueError, match="left its data behind"):
        grs_test(pickle.loads(pickle.dumps(model)))
    with pytest.raises(ValueError, match="must have alphas; got fit_intercept=False"):
        grs_test(FamaFrenchRegressor(fit_intercept=False).fit(factors, returns))
    twice = np.column_stack([returns, returns[:, 0] + returns[:, 1]])
    with pytest.raises(ValueError, match="linearly independent; got asset number 6"):
        grs_test(factors, twice)


def test_grs_aligns_by_date_and_takes_the_risk_free_return_of_the_model():
    factors, returns = draw()
    months = pd.period_range("2000-01", periods=80, freq="M")
    frame = pd.DataFrame(factors, months, ["Mkt-RF", "SMB"]).assign(RF=0.002)
    total = pd.DataFrame(returns + 0.002, months)[::-1]
    model = FamaFrenchRegressor(["Mkt-RF", "SMB"], risk_free="RF").fit(frame, total)
    assert grs_test(model).statistic == pytest.approx(slow_grs(factors, returns)[0], rel=1e-9)


def slow_spanning(old, new):
    """The three statistics from coefficients and constraints in matrix form."""
    n_dates, n_assets = new.shape
    n_old = old.shape[1]
    _, inverse, params, residuals = slow_regression(old, new)
    free = residuals.T @ residuals
    A1 = np.r_[1.0, np.zeros(n_old)][None]
    A2 = np.vstack([A1, np.r_[0.0, -np.ones(n_old)]])
    found = []
    for A, C in (
        (A1, np.zeros((1, n_assets))),
        (A2, np.r_[[np.zeros(n_assets)], [np.ones(n_assets)]]),
    ):
        theta = A @ params + C
        excess = theta.T @ np.linalg.inv(A @ inverse @ A.T) @ theta
        found.append(free + excess)
    d0, d1, d2 = (np.linalg.det(m) for m in (free, *found))
    rest = n_dates - n_old - n_assets
    both = (d2 / d0 - 1) * rest / 2 if n_assets == 1 else (np.sqrt(d2 / d0) - 1) * rest / n_assets
    return both, (d1 / d0 - 1) * rest / n_assets, (d2 / d1 - 1) * (rest + 1) / n_assets


@pytest.mark.parametrize("n_assets", [1, 3])
@pytest.mark.parametrize("n_old", [1, 3])
def test_spanning_agrees_with_the_constraints_in_matrix_form(n_assets, n_old):
    old, new = draw(n_assets=n_assets, n_factors=n_old)
    found = spanning_test(old, new)
    expected = slow_spanning(old, new)
    got = (found.statistic, *(part.statistic for part in found.parts))
    np.testing.assert_allclose(got, expected, rtol=1e-8)
    assert found.exact
    rest = 80 - n_old - n_assets
    assert found.df == ((2, rest) if n_assets == 1 else (2 * n_assets, 2 * rest))
    assert found.parts[1].df == (n_assets, rest + 1)
    for part in (found, *found.parts):
        assert part.p_value == pytest.approx(stats.f.sf(part.statistic, *part.df), rel=1e-8)


def test_first_step_of_spanning_is_the_grs_test():
    old, new = draw(n_assets=3)
    assert spanning_test(old, new).parts[0].statistic == pytest.approx(
        grs_test(old, new).statistic, rel=1e-9
    )


@pytest.mark.parametrize("df", [None, 5])
def test_spanning_rejects_a_true_null_as_often_as_it_says(df):
    p_values = []
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        old = rng.normal(0.01, 0.05, (40, 2))
        noise = rng.standard_normal((40, 3)) if df is None else rng.standard_t(df, (40, 3))
        new = old @ [[0.3, 0.5, 1.2], [0.7, 0.5, -0.2]] + 0.02 * noise
        free, no_alpha, neither = _log_determinants(old, new)
        both = np.expm1((neither - free) / 2) * 35 / 3
        steps = np.expm1([no_alpha - free, neither - no_alpha]) * [35 / 3, 36 / 3]
        p_values.append(
            [stats.f.sf(both, 6, 70), stats.f.sf(steps[0], 3, 35), stats.f.sf(steps[1], 3, 36)]
        )
    sizes = (np.array(p_values) < 0.05).mean(axis=0)
    assert (sizes >= 0.035).all()
    assert (sizes <= 0.065).all()


def test_spanning_tells_alphas_from_betas_that_do_not_add_up():
    rng = np.random.default_rng(0)
    old = rng.normal(0.0, 0.05, (400, 2))
    half = old @ [[0.2], [0.3]] + rng.normal(0, 0.02, (400, 1))
    alpha, delta = spanning_test(old, half).parts
    assert alpha.p_value > 0.01
    assert delta.p_value < 1e-10


def test_spanning_refuses_too_many_assets_and_repeated_ones():
    old, new = draw(n_dates=12, n_assets=10)
    with pytest.raises(ValueError, match="at most 9 assets.*got 10"):
        spanning_test(old, new)
    with pytest.raises(ValueError, match="made up of each other and the benchmark"):
        spanning_test(old, new[:, [0, 0]])


def test_result_reads_as_sentences_and_cannot_be_changed():
    old, new = draw(n_assets=1)
    found = spanning_test(old, new)
    lines = repr(found).splitlines()
    assert lines[0].startswith("Spanning (Huberman and Kandel): F(2, 77) = ")
    assert lines[0].endswith("(exact)")
    assert lines[1].startswith("Null: The benchmark spans the frontier")
    assert lines[2].startswith("  Alpha: F(1, 77) = ")
    with pytest.raises(AttributeError):
        found.p_value = 1.0
    assert pickle.loads(pickle.dumps(found)) == found
    tiny = HypothesisTest("A", "B.", 30.0, 1e-9, "normal", notes=("C.",))
    assert repr(tiny) == "A: normal = 30.000, p = 1e-09 (approximate)\nNull: B.\nNote: C."


@pytest.mark.parametrize(
    ("statistic", "shown"),
    [
        (1.4, "1.400"),
        (-0.117, "-0.117"),
        (0.0999, "0.0999"),
        (0.00123, "0.00123"),
        (0.000473847, "4.74e-04"),
        (-1.2e-7, "-1.20e-07"),
        (0.0, "0.000"),
        (np.nan, "nan"),
        (np.inf, "inf"),
    ],
)
def test_a_small_statistic_is_not_shown_as_zero(statistic, shown):
    assert f"F = {shown}, p = 0.500" in repr(HypothesisTest("A", "B.", statistic, 0.5, "F"))


def test_a_p_value_that_no_number_can_hold_is_not_shown_as_zero():
    assert "F = 9.000, p < 1e-300" in repr(HypothesisTest("A", "B.", 9.0, 0.0, "F"))
