"""What is said of returns does not depend on the units of a characteristic or a factor."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import LinAlgWarning
from sklearn.base import clone

from skfactor.factor_models import (
    CrossSectionalFactorModel,
    InstrumentedPCA,
    PCAFactorModel,
)
from skfactor.factor_models._factor_sides import managed_inputs, own_leverage
from skfactor.inference import (
    grs_test,
    joint_alpha_test,
    linear_pricing_test,
)
from skfactor.linear_model import FamaFrenchRegressor, FamaMacBeth, RollingFamaFrenchRegressor
from skfactor.panel import managed_portfolios
from skfactor.panel._panel import validate_panel
from skfactor.portfolios import (
    hedging_effectiveness,
    tangency_portfolio,
)

DATES = pd.period_range("2015-01", periods=60, freq="M")
UNITS = np.array([(1e-9, 1, 1), (1, 1e9, 1), (1, 1e-9, 1), (1e9, 1, 1)])
units_of_a_column = pytest.mark.parametrize("units", UNITS, ids=str)


def draw_panel():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([DATES, range(40)], names=["date", "asset"])
    X = pd.DataFrame(rng.normal([0, 2, 0], 1.0, (2400, 3)), index, list("abc"))
    f = rng.normal(0.01, 0.05, (60, 2))[index.codes[0]]
    y = (X[["a", "b"]] * f).sum(axis=1) + rng.normal(0, 0.05, 2400)
    return X, y


def draw_series():
    rng = np.random.default_rng(0)
    factors = pd.DataFrame(rng.normal(0.01, 0.05, (60, 3)), DATES, list("MSH"))
    betas = rng.normal(size=(8, 3)) * 0.5 + [1, 0, 0]
    returns = factors.to_numpy() @ betas.T + rng.normal(0, 0.03, (60, 8))
    return factors, pd.DataFrame(returns, DATES, [f"P{i}" for i in range(8)])


@units_of_a_column
@pytest.mark.parametrize(
    "model",
    [
        CrossSectionalFactorModel(),
        CrossSectionalFactorModel(fit_intercept=True),
        InstrumentedPCA(2, tol=1e-9),
        InstrumentedPCA(1, intercept=True, tol=1e-9),
        InstrumentedPCA(1, factors=draw_series()[0], tol=1e-9),
        InstrumentedPCA(0, factors=draw_series()[0], intercept=True, tol=1e-9),
        PCAFactorModel(2),
    ],
)
def test_fits_of_a_model(model, units):
    X, y = draw_panel()
    y = y.mask(np.random.default_rng(1).random(len(y)) < 0.1)
    model = clone(model).fit(X, y)
    scaled = X * units
    other = clone(model).fit(scaled, y)
    # Orthonormal loadings on such columns hold fewer digits.
    atol = 1e-6 if isinstance(model, InstrumentedPCA) else 1e-12
    np.testing.assert_allclose(other.reconstruct(scaled, y), model.reconstruct(X, y), atol=atol)
    assert other.score(scaled, y) == pytest.approx(model.score(X, y), rel=1e-7)
    last = X.index[-40:]
    np.testing.assert_allclose(
        other.covariance(scaled.loc[last]), model.covariance(X.loc[last]), rtol=1e-5, atol=1e-8
    )


def test_dollars_and_billions_beside_an_intercept():
    X, y = draw_panel()
    size = np.exp(X["a"])
    exposures = pd.DataFrame({"avg_me": size, "be_me": X["b"]})
    scores = [
        CrossSectionalFactorModel(fit_intercept=True).fit(table, y).score(table, y)
        for table in (exposures, exposures.assign(avg_me=1e9 * size))
    ]
    assert scores[1] == pytest.approx(scores[0], rel=1e-9)


@units_of_a_column
def test_a_ridge_and_collinear_columns_of_instrumented_pca(units):
    X, y = draw_panel()
    X["both"] = X["a"] + X["c"]
    units = np.append(units, units[0] if units[0] != 1 else 3.0)
    with pytest.warns(LinAlgWarning, match="'both'"):
        model = InstrumentedPCA(2, tol=1e-9).fit(X, y)
    with pytest.warns(LinAlgWarning, match="'both'"):
        other = InstrumentedPCA(2, tol=1e-9).fit(X * units, y)
    np.testing.assert_allclose(other.reconstruct(X * units, y), model.reconstruct(X, y), atol=1e-6)
    gamma = other.gamma_
    np.testing.assert_allclose(gamma.T @ gamma, np.eye(2), atol=1e-9)


def test_columns_too_unlike_for_orthonormal_loadings_are_named():
    X, y = draw_panel()
    with pytest.warns(LinAlgWarning) as caught:
        InstrumentedPCA(2).fit(X * np.array([1e9, 1e-9, 1]), y)
    said = [str(w.message) for w in caught]
    assert any(
        "column 'b', of root mean square 2.2e-09, and column 'a', of 1e+09. Bring" in message
        for message in said
    )


@units_of_a_column
def test_managed_portfolios_and_leverage_on_them(units):
    X, y = draw_panel()
    np.testing.assert_allclose(
        managed_portfolios(X * units, y) * units, managed_portfolios(X, y), rtol=1e-9
    )
    leverage = []
    for scale in (np.ones(3), units):
        panel = validate_panel(PCAFactorModel(), X * scale, y, reset=True)
        weights = np.append(1.0, scale)[:, None]
        leverage.append(
            own_leverage(panel, np.ones((panel.n_rows, 1)), weights, managed_inputs(panel))
        )
    np.testing.assert_allclose(leverage[1], leverage[0], rtol=1e-7, atol=1e-12)


@units_of_a_column
def test_fama_macbeth(units):
    X, y = draw_panel()
    model, other = FamaMacBeth().fit(X, y), FamaMacBeth().fit(X * units, y)
    np.testing.assert_allclose(other.tvalues_, model.tvalues_, rtol=1e-9)
    np.testing.assert_allclose(other.rsquared_, model.rsquared_, rtol=1e-9)


@units_of_a_column
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC3", "HAC"])
def test_regressions_on_factors(units, cov_type):
    factors, returns = draw_series()
    returns = returns.mask(np.random.default_rng(1).random(returns.shape) < 0.1)
    model = FamaFrenchRegressor(cov_type=cov_type).fit(factors, returns)
    other = FamaFrenchRegressor(cov_type=cov_type).fit(factors * units, returns)
    np.testing.assert_allclose(other.tvalues_, model.tvalues_, rtol=1e-9)
    rolling = RollingFamaFrenchRegressor(window=24)
    before, after = (clone(rolling).fit(table, returns) for table in (factors, factors * units))
    np.testing.assert_allclose(after.rsquared_, before.rsquared_, rtol=1e-9)


@units_of_a_column
@pytest.mark.parametrize("test", [grs_test, joint_alpha_test, linear_pricing_test])
def test_tests_of_pricing(test, units):
    factors, returns = draw_series()
    assert test(factors * units, returns).statistic == pytest.approx(
        test(factors, returns).statistic, rel=1e-8
    )


@units_of_a_column
def test_efficient_portfolios_and_hedges(units):
    factors, returns = draw_series()
    np.testing.assert_allclose(
        tangency_portfolio(factors * units).returns, tangency_portfolio(factors).returns, rtol=1e-8
    )
    np.testing.assert_allclose(
        hedging_effectiveness(returns, factors * units).summary,
        hedging_effectiveness(returns, factors).summary,
        rtol=1e-8,
    )


def test_a_factor_that_does_not_vary_has_no_weight_however_small_the_others():
    factors = draw_series()[0].assign(still=0.1)
    found = tangency_portfolio(factors * np.array([1e-9, 1, 1, 1]))
    assert (found.weights["still"].dropna() == 0).all()
    np.testing.assert_allclose(
        found.returns, tangency_portfolio(factors[["M", "S", "H"]]).returns, rtol=1e-8
    )
