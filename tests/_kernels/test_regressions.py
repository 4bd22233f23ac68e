"""Every covariance against one regression an asset, by plain formulas and by statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import toeplitz

from skfactor._kernels._covariance import Covariance
from skfactor._kernels._design import collinear_columns, constant_columns, make_design
from skfactor._kernels._lags import KERNELS, lag_weights
from skfactor._kernels._regressions import LEAST_GROUP, regress
from skfactor._kernels._returns import Returns
from skfactor._kernels._shared import DEGENERATE, FITTED, TOO_FEW

N_DATES, N_FACTORS = 120, 3


def make_data(n_assets=14, pattern="complete", seed=0, mean=0.0):
    rng = np.random.default_rng(seed)
    factors = 0.04 * rng.normal(size=(N_DATES, N_FACTORS)) + 0.005
    factors[:, 1] += mean
    noise = rng.standard_t(5, size=(N_DATES, n_assets)) * rng.uniform(0.02, 0.1, n_assets)
    noise[1:] += 0.3 * noise[:-1]
    returns = (factors - factors.mean(0)) @ rng.normal(1, 0.5, (N_FACTORS, n_assets)) + noise
    if pattern in ("interval", "gaps"):
        first = rng.integers(0, 40, n_assets)
        last = rng.integers(70, N_DATES, n_assets)
        time = np.arange(N_DATES)[:, None]
        returns[(time < first) | (time > last)] = np.nan
    if pattern == "gaps":
        returns[rng.random(returns.shape) < 0.1] = np.nan
    if pattern == "arbitrary":
        returns[rng.random(returns.shape) < 0.4] = np.nan
    return factors, returns


def fit(factors, returns, covariance=None, fit_intercept=True, **options):
    n_params = factors.shape[1] + fit_intercept
    return regress(
        Returns(returns, **options),
        factors,
        fit_intercept=fit_intercept,
        covariance=covariance or Covariance(),
        min_obs=n_params + 1,
    )


def design_matrix(factors, fit_intercept):
    return sm.add_constant(factors, has_constant="add") if fit_intercept else factors


def by_statsmodels(factors, returns, cov_type, fit_intercept=True, **cov_kwds):
    X = design_matrix(factors, fit_intercept)
    found = []
    for series in returns.T:
        seen = ~np.isnan(series)
        found.append(
            sm.OLS(series[seen], X[seen]).fit(cov_type=cov_type, cov_kwds=cov_kwds or None)
        )
    return found


def by_calendar(factors, returns, weight_of, lags_of):
    """Weigh the products of scores on every pair of dates by the dates between them."""
    X = design_matrix(factors, True)
    errors, chosen = [], []
    for series in returns.T:
        seen = np.flatnonzero(~np.isnan(series))
        residuals = np.zeros(len(series))
        beta = np.linalg.lstsq(X[seen], series[seen], rcond=None)[0]
        residuals[seen] = series[seen] - X[seen] @ beta
        bandwidth = lags_of(residuals, len(seen))
        scores = X * residuals[:, None]
        weights = np.array([weight_of(lag, bandwidth) for lag in range(len(series))])
        meat = scores.T @ toeplitz(weights) @ scores
        bread = np.linalg.inv(X[seen].T @ X[seen])
        errors.append(np.sqrt(np.diag(bread @ meat @ bread)))
        chosen.append(bandwidth)
    return np.array(errors).T, np.array(chosen)


def bartlett(lag, bandwidth):
    return max(1 - lag / (bandwidth + 1), 0)


def parzen(lag, bandwidth):
    x = lag / (bandwidth + 1)
    if x <= 0.5:
        return 1 - 6 * x**2 + 6 * x**3
    return 2 * (1 - x) ** 3 if x <= 1 else 0


def quadratic_spectral(lag, bandwidth):
    if lag == 0 or bandwidth == 0:
        return float(lag == 0)
    d = 6 * np.pi * lag / bandwidth / 5
    return 3 / d**2 * (np.sin(d) / d - np.cos(d))


WEIGHTS = {"bartlett": bartlett, "parzen": parzen, "quadratic_spectral": quadratic_spectral}
PATTERNS = ("complete", "interval", "gaps", "arbitrary")


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_covariance_agrees_with_statsmodels(pattern, cov_type, fit_intercept):
    factors, returns = make_data(pattern=pattern)
    lags = 4 if cov_type == "HAC" else None
    ours = fit(factors, returns, Covariance(cov_type, lags, gaps="closed"), fit_intercept)
    options = {"maxlags": lags} if lags else {}
    theirs = by_statsmodels(factors, returns, cov_type, fit_intercept, **options)
    assert_allclose(ours.params, np.array([r.params for r in theirs]).T, rtol=1e-10, atol=1e-14)
    assert_allclose(ours.bse, np.array([r.bse for r in theirs]).T, rtol=1e-11)
    assert_allclose(1 - ours.rss / ours.tss, [r.rsquared for r in theirs], rtol=1e-11)
    assert_array_equal(ours.nobs, [r.nobs for r in theirs])
    assert (ours.status == FITTED).all()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_corrected_hac_agrees_with_statsmodels(pattern):
    factors, returns = make_data(pattern=pattern)
    ours = fit(factors, returns, Covariance("HAC", 3, gaps="closed", correction=True))
    theirs = by_statsmodels(factors, returns, "HAC", maxlags=3, use_correction=True)
    assert_allclose(ours.bse, np.array([r.bse for r in theirs]).T, rtol=1e-11)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_calendar_lags_agree_with_a_sum_over_pairs_of_dates(pattern, kernel):
    factors, returns = make_data(5, pattern)
    ours = fit(factors, returns, Covariance("HAC", 5, kernel))
    errors, _ = by_calendar(factors, returns, WEIGHTS[kernel], lambda *_: 5)
    assert_allclose(ours.bse, errors, rtol=1e-10)
    assert_array_equal(ours.bandwidth, np.full(5, 5.0))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_lags_of_newey_and_west_agree_with_their_formula(pattern, kernel):
    factors, returns = make_data(5, pattern)
    order, constant, exponent = {
        "bartlett": (1, 1.1447, 2 / 9),
        "parzen": (2, 2.6614, 4 / 25),
        "quadratic_spectral": (2, 1.3221, 2 / 25),
    }[kernel]

    def choose(residuals, n):
        pooled = residuals * factors.sum(axis=1)
        last = int(4 * (n / 100) ** exponent)
        sigma = [sum(pooled[j:] * pooled[: N_DATES - j]) for j in range(last + 1)]
        level = sigma[0] + 2 * sum(sigma[1:])
        slope = 2 * sum(j**order * sigma[j] for j in range(1, last + 1))
        power = 1 / (2 * order + 1)
        width = constant * ((slope / level) ** 2) ** power * n**power
        return width if kernel == "quadratic_spectral" else np.floor(width)

    ours = fit(factors, returns, Covariance("HAC", "newey-west", kernel))
    errors, chosen = by_calendar(factors, returns, WEIGHTS[kernel], choose)
    assert_allclose(ours.bandwidth, chosen, rtol=1e-9)
    assert_allclose(ours.bse, errors, rtol=1e-9)
    assert len(set(chosen)) > 1, "the data must let assets differ"


def test_the_rule_of_thumb_looks_at_each_asset_s_observations():
    factors, returns = make_data(pattern="gaps")
    returns[:100, 0] = np.nan
    ours = fit(factors, returns, Covariance("HAC", gaps="closed"))
    assert_array_equal(ours.bandwidth, np.floor(4 * (ours.nobs / 100) ** (2 / 9)))
    assert len(set(ours.bandwidth)) > 1
    for i in (0, 1, 2):
        lags = int(ours.bandwidth[i])
        (theirs,) = by_statsmodels(factors, returns[:, [i]], "HAC", maxlags=lags)
        assert_allclose(ours.bse[:, i], theirs.bse, rtol=1e-11)


def test_closed_gaps_take_lags_of_newey_and_west_from_the_closed_series():
    factors, returns = make_data(pattern="arbitrary")
    ours = fit(factors, returns, Covariance("HAC", "newey-west", gaps="closed"))
    for i in range(4):
        seen = ~np.isnan(returns[:, i])
        alone = fit(factors[seen], returns[seen][:, [i]], Covariance("HAC", "newey-west"))
        assert alone.bandwidth[0] == ours.bandwidth[i]
        assert_allclose(ours.bse[:, i], alone.bse[:, 0], rtol=1e-11)


def test_calendar_and_closed_differ_only_across_gaps():
    factors, returns = make_data(pattern="interval")
    calendar, closed = (
        fit(factors, returns, Covariance("HAC", 4, gaps=gaps)) for gaps in ("calendar", "closed")
    )
    assert_allclose(calendar.bse, closed.bse, rtol=1e-12)
    returns[60] = np.nan
    calendar, closed = (
        fit(factors, returns, Covariance("HAC", 4, gaps=gaps)) for gaps in ("calendar", "closed")
    )
    assert (np.abs(calendar.bse / closed.bse - 1) > 1e-6).all()


@pytest.mark.parametrize(
    "covariance",
    [
        Covariance(),
        Covariance("HC2"),
        Covariance("HAC", 3),
        Covariance("HAC", 3, gaps="closed"),
        Covariance("HAC", "newey-west"),
    ],
)
def test_assets_that_share_their_dates_agree_with_assets_alone(covariance):
    factors, returns = make_data(3 * LEAST_GROUP, "complete")
    returns[:20, : 2 * LEAST_GROUP] = np.nan
    returns[50:55, LEAST_GROUP : 2 * LEAST_GROUP] = np.nan
    together = fit(factors, returns, covariance)
    for i in (0, LEAST_GROUP, 2 * LEAST_GROUP):
        alone = fit(factors, returns[:, [i]], covariance)
        for name in ("params", "bse", "rss", "tss", "bandwidth"):
            ours, single = getattr(together, name)[..., i], getattr(alone, name)[..., 0]
            assert_allclose(ours, single, rtol=1e-10, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC3", "HAC"])
def test_a_factor_with_a_mean_of_1e5_costs_no_digits(pattern, cov_type):
    factors, returns = make_data(pattern=pattern, mean=1e5)
    lags = 4 if cov_type == "HAC" else None
    ours = fit(factors, returns, Covariance(cov_type, lags, gaps="closed"))
    # The same line about another origin: slopes and fit do not move, and subtracting the
    # nearest whole number is exact.
    shifted = factors - np.array([0.0, 1e5, 0.0])
    theirs = by_statsmodels(shifted, returns, cov_type, **({"maxlags": lags} if lags else {}))
    assert_allclose(ours.params[1:], np.array([r.params for r in theirs]).T[1:], rtol=1e-9)
    assert_allclose(ours.bse[1:], np.array([r.bse for r in theirs]).T[1:], rtol=1e-9)
    assert_allclose(1 - ours.rss / ours.tss, [r.rsquared for r in theirs], rtol=1e-9)


@pytest.mark.parametrize("covariance", [Covariance(), Covariance("HC3"), Covariance("HAC", 3)])
def test_an_asset_over_whose_life_factors_are_nearly_dependent_keeps_its_digits(covariance):
    rng = np.random.default_rng(3)
    factors, returns = make_data(6, "complete")
    factors[60:, 2] = factors[60:, 0] + 1e-6 * rng.normal(size=60)
    returns[:60, 2] = np.nan
    returns[:60:2, 3] = np.nan
    ours = fit(factors, returns, covariance)
    assert (ours.status == FITTED).all()
    alone = fit(factors[60:], returns[60:, [2]], covariance)
    # A condition number of 1e5 leaves 1e-11 of the coefficients.
    assert_allclose(ours.params[:, 2], alone.params[:, 0], rtol=1e-8)
    assert_allclose(ours.bse[:, 2], alone.bse[:, 0], rtol=1e-8)
    assert_allclose(ours.rss[2], alone.rss[0], rtol=1e-10)


@pytest.mark.parametrize("covariance", [Covariance(), Covariance("HC1"), Covariance("HAC", 3)])
def test_an_asset_that_cannot_be_fitted_is_nan_and_alone(covariance):
    factors, returns = make_data(6, "gaps")
    before = fit(factors, returns, covariance)
    factors_then = factors.copy()
    factors_then[:30, 2] = 0.0
    expected = fit(factors_then, returns, covariance)
    returns = returns.copy()
    returns[:, 1] = np.nan
    returns[:4, 1] = 0.01
    returns[:, 3] = np.nan
    returns[:30, 4] = 0.01 * np.arange(30) ** 2
    returns[30:, 4] = np.nan
    ours = fit(factors_then, returns, covariance)
    assert_array_equal(ours.status, [FITTED, TOO_FEW, FITTED, TOO_FEW, DEGENERATE, FITTED])
    assert_array_equal(ours.nobs[[1, 3, 4]], [4, 0, 30])
    for name in ("params", "bse", "rss", "tss"):
        values = getattr(ours, name)
        assert np.isnan(values[..., [1, 3, 4]]).all()
        assert_allclose(values[..., [0, 2, 5]], getattr(expected, name)[..., [0, 2, 5]], rtol=1e-9)
    assert (before.status == FITTED).all()


def test_returns_that_never_vary_have_coefficients_without_inference():
    factors, returns = make_data(5, "arbitrary")
    returns[:, 0] = 0.0
    returns[:, 1] = 0.01
    returns[:, 2] = np.where(np.isnan(returns[:, 2]), np.nan, 0.01)
    ours = fit(factors, returns)
    assert_allclose(ours.params[0, :3], [0, 0.01, 0.01], atol=1e-15)
    assert_allclose(ours.params[1:, :3], 0, atol=1e-13)
    assert np.isnan(ours.bse[:, :3]).all()
    assert_array_equal(ours.tss[:3], 0.0)
    assert np.isfinite(ours.bse[:, 3:]).all()


@pytest.mark.parametrize("pattern", ["complete", "arbitrary"])
def test_tiny_residuals_and_far_means_keep_their_digits(pattern):
    factors, returns = make_data(3, pattern)
    noise = np.random.default_rng(5).normal(size=N_DATES)
    seen = ~np.isnan(returns)
    returns[:, 0] = np.where(seen[:, 0], factors.sum(1) + 1e-9 * noise, np.nan)
    returns[:, 1] = np.where(seen[:, 1], 1e4 + 0.01 * noise, np.nan)
    ours = fit(factors, returns)
    X = design_matrix(factors, True)
    for i in (0, 1):
        y, Z = returns[seen[:, i], i] - (1e4 if i else 0), X[seen[:, i]]
        residuals = y - Z @ np.linalg.lstsq(Z, y, rcond=None)[0]
        assert_allclose(ours.rss[i], residuals @ residuals, rtol=1e-6)
        assert_allclose(ours.tss[i], ((y - y.mean()) ** 2).sum(), rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_precision_and_layout_of_the_returns_do_not_matter(dtype, order):
    factors, returns = make_data(pattern="arbitrary")
    returns = np.asarray(returns, dtype=dtype, order=order)
    kept = returns.copy()
    ours = fit(factors, returns)
    expected = fit(factors, returns.astype(np.float64, order="C"))
    assert_allclose(ours.params, expected.params, rtol=1e-12)
    assert_array_equal(returns, kept)


def test_rows_and_risk_free_are_applied_without_touching_the_returns():
    factors, returns = make_data(pattern="arbitrary")
    rng = np.random.default_rng(8)
    rate = rng.uniform(0, 0.01, N_DATES)
    order = rng.permutation(N_DATES)
    shuffled = returns[order]
    rows = np.argsort(order)
    expected_returns = returns - rate[:, None]
    rows[7] = -1
    expected_returns[7] = np.nan
    ours = fit(factors, shuffled, rows=rows, risk_free=rate)
    expected = fit(factors, expected_returns)
    assert_allclose(ours.params, expected.params, rtol=1e-12)
    assert_array_equal(shuffled, returns[order])


def test_many_blocks_agree_with_one(monkeypatch):
    factors, returns = make_data(70, "gaps")
    whole = fit(factors, returns)
    monkeypatch.setattr(
        "skfactor._kernels._returns.Returns.blocks",
        lambda self: (slice(i, min(i + 9, 70)) for i in range(0, 70, 9)),
    )
    assert_allclose(fit(factors, returns).bse, whole.bse, rtol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_weights_agree_with_their_definitions(kernel):
    for bandwidth in (0, 1, 4, 7.0):
        lags = np.arange(30)
        ours = lag_weights(kernel, lags, np.array(bandwidth))
        assert_allclose(ours, [WEIGHTS[kernel](j, bandwidth) for j in lags], atol=1e-14)


def test_a_weight_of_a_wide_quadratic_spectral_kernel_does_not_cancel():
    ours = lag_weights("quadratic_spectral", np.array([1]), np.array([1e6]))
    assert_allclose(ours, 1 - (1.2 * np.pi * 1e-6) ** 2 / 10, rtol=1e-15)


def test_dependent_and_constant_columns_are_found():
    factors, _ = make_data()
    twice = np.column_stack([factors, factors[:, 0] - 2 * factors[:, 2] + 1])
    assert make_design(twice, True) is None
    column, others = collinear_columns(twice, True)
    assert (column, list(others)) == (3, [0, 2])
    assert make_design(twice, False) is not None
    assert collinear_columns(twice, False) is None
    assert collinear_columns(factors, True) is None
    assert_array_equal(
        constant_columns(np.column_stack([factors, np.full(N_DATES, 0.1)])), [0, 0, 0, 1]
    )
    with pytest.raises(ValueError, match="independent columns"):
        fit(twice, factors)
    assert make_design(factors[:3], True) is None


def test_a_constant_spanned_by_the_factors_centres_r_squared_as_in_statsmodels():
    _, returns = make_data(pattern="arbitrary")
    month = np.arange(N_DATES) % 4
    dummies = (month[:, None] == np.arange(4)).astype(float)
    ours = fit(dummies, returns, fit_intercept=False)
    theirs = by_statsmodels(dummies, returns, "nonrobust", fit_intercept=False)
    assert_allclose(1 - ours.rss / ours.tss, [r.rsquared for r in theirs], rtol=1e-9)
    assert_allclose(ours.bse, np.array([r.bse for r in theirs]).T, rtol=1e-11)
