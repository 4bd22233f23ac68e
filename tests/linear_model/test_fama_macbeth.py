"""Fama-MacBeth: against loops, against linearmodels, and two passes with Shanken's correction."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy import stats
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.exceptions import MissingDatesWarning
from skfactor.linear_model import FamaFrenchRegressor, FamaMacBeth


def panel(share=0.8, seed=7, n_dates=24, n_assets=15):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [range(n_assets), pd.date_range("2000-01-31", periods=n_dates, freq="ME")],
        names=["asset", "date"],
    )
    X = pd.DataFrame(rng.normal(size=(len(index), 2)), index, ["a", "b"])
    y = 0.01 + 0.02 * X["a"] + rng.normal(0, 0.1, len(index))
    keep = rng.random(len(index)) < share
    return X[keep], y[keep]


def slow_macbeth(X, y, lags, fit_intercept=True):
    """A loop over dates, then one over lags."""
    dates = X.index.get_level_values("date")
    slopes, r2 = [], []
    for date in sorted(set(dates)):
        Z, r = X[dates == date].to_numpy(), y[dates == date].to_numpy()
        if fit_intercept:
            Z = np.column_stack([np.ones(len(Z)), Z])
        b = np.linalg.lstsq(Z, r, rcond=None)[0]
        slopes.append(b)
        center = r.mean() if fit_intercept else 0.0
        r2.append(1 - ((r - Z @ b) ** 2).sum() / ((r - center) ** 2).sum())
    slopes = np.array(slopes)
    return slopes, slow_covariance(slopes, lags), np.mean(r2)


def slow_covariance(slopes, lags):
    n = len(slopes)
    e = slopes - slopes.mean(axis=0)
    total = np.zeros((slopes.shape[1],) * 2)
    for s in range(n):
        for t in range(n):
            if abs(s - t) <= lags:
                total += (1 - abs(s - t) / (lags + 1)) * np.outer(e[s], e[t])
    return total / (n * (n - 1))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("share", [1.0, 0.8])
@pytest.mark.parametrize("lags", [0, 3])
def test_agrees_with_a_loop_over_dates(share, lags, fit_intercept):
    X, y = panel(share)
    model = FamaMacBeth(maxlags=lags, fit_intercept=fit_intercept).fit(X, y)
    slopes, covariance, r2 = slow_macbeth(X, y, lags, fit_intercept)
    np.testing.assert_allclose(model.slopes_, slopes, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(model.covariance_, covariance, rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(model.coef_, slopes.mean(axis=0)[int(fit_intercept) :], rtol=1e-9)
    assert model.rsquared_ == pytest.approx(r2, rel=1e-10)
    expected = 2 * stats.t.sf(np.abs(slopes.mean(axis=0) / np.sqrt(np.diag(covariance))), 23)
    np.testing.assert_allclose(model.pvalues_, expected, rtol=1e-8)
    assert model.nobs_.sum() == len(X)


# from linearmodels import FamaMacBeth as Peer  # 7.1
# X, y = panel(); Z = X.assign(const=1.0)[["const", "a", "b"]]; Peer(y, Z).fit(**options)
PARAMS = [0.009994276127393705, 0.02093792830554918, 0.004328286764054783]
PEER = {
    # cov_type="unadjusted"
    ("bartlett", 0, True): (
        [0.005180492498752333, 0.009242909000279187, 0.005735466003208055],
        [0.06613249273719304, 0.03322276290771436, 0.45811520645076903],
    ),
    # cov_type="kernel", bandwidth=3
    ("bartlett", 3, True): (
        [0.0034618608129354175, 0.005967940830690184, 0.0034188452268442524],
        [0.008319757231710277, 0.001888974245344759, 0.21818363391436232],
    ),
    # cov_type="kernel", kernel="parzen", bandwidth=4, debiased=False
    ("parzen", 4, False): (
        [0.003396101783433666, 0.0057369888086747835, 0.003504956133201369],
        [0.0032518801008864073, 0.0002626108525156998, 0.2168659781014216],
    ),
}


@pytest.mark.parametrize(("kernel", "lags", "debiased"), PEER)
def test_agrees_with_linearmodels(kernel, lags, debiased):
    errors, p_values = PEER[kernel, lags, debiased]
    model = FamaMacBeth(maxlags=lags, kernel=kernel, use_correction=debiased, use_t=debiased).fit(
        *panel()
    )
    np.testing.assert_allclose([model.intercept_, *model.coef_], PARAMS, rtol=1e-8)
    np.testing.assert_allclose(model.bse_, errors, rtol=1e-8)
    np.testing.assert_allclose(model.pvalues_, p_values, rtol=1e-8)
    assert model.rsquared_ == pytest.approx(0.25023424590547205, rel=1e-8)


def test_rows_may_come_in_any_order_and_dates_in_any_form():
    X, y = panel()
    expected = FamaMacBeth().fit(X, y)
    order = np.random.default_rng(0).permutation(len(X))
    dates = X.index.get_level_values("date")
    others = [
        FamaMacBeth().fit(X.iloc[order], y.iloc[order]),
        FamaMacBeth().fit(X.swaplevel(), y.swaplevel()),
        FamaMacBeth().fit(X.to_numpy(), y.to_numpy(), dates=dates),
        FamaMacBeth().fit(X.to_numpy(), y),
        FamaMacBeth().fit(pl.DataFrame(X.to_numpy(), schema=["a", "b"]), y.to_numpy(), dates=dates),
    ]
    for model in others:
        np.testing.assert_allclose(model.slopes_, expected.slopes_, rtol=1e-10, atol=1e-15)
        assert model.dates_.equals(expected.dates_)


def test_without_dates_there_is_one_cross_section_and_no_standard_error():
    X, y = panel()
    with pytest.warns(MissingDatesWarning):
        model = FamaMacBeth().fit(X.to_numpy(), y.to_numpy())
    Z = np.column_stack([np.ones(len(X)), X])
    expected = np.linalg.lstsq(Z, y.to_numpy(), rcond=None)[0]
    np.testing.assert_allclose([model.intercept_, *model.coef_], expected)
    assert np.isnan(model.bse_).all()
    assert model.dates_ is None


def test_a_column_with_a_large_mean_costs_no_digits():
    X, y = panel()
    plain = FamaMacBeth().fit(X, y)
    shifted = FamaMacBeth().fit(X.assign(a=X["a"] + 1e5), y)
    np.testing.assert_allclose(shifted.coef_, plain.coef_, rtol=1e-8)
    np.testing.assert_allclose(shifted.bse_[1:], plain.bse_[1:], rtol=1e-8)


def test_nearly_dependent_columns_are_solved_with_care():
    X, y = panel(1.0)
    close = X.assign(c=X["a"] + 1e-6 * np.random.default_rng(0).normal(size=len(X)))
    slopes, _, r2 = slow_macbeth(close, y, 0)
    model = FamaMacBeth().fit(close, y)
    np.testing.assert_allclose(model.slopes_, slopes, rtol=1e-6)
    assert model.rsquared_ == pytest.approx(r2, rel=1e-8)


def test_a_date_that_cannot_be_fitted_is_left_out_by_name():
    X, y = panel(1.0)
    dates = X.index.get_level_values("date")
    flat = X.copy()
    flat.loc[dates == "2000-03-31", "b"] = 1.0
    few = ~((dates == "2001-01-31") & (X.index.get_level_values("asset") > 2))
    with pytest.warns(UserWarning, match=r"2 of 24 dates.*2000-03-31 \(n=15\), 2001-01-31 \(n=3\)"):
        model = FamaMacBeth(maxlags=2).fit(flat[few], y[few])
    gone = np.isnan(model.slopes_).any(axis=1)
    assert np.flatnonzero(gone).tolist() == [2, 12]
    rest = ~np.isin(dates, pd.to_datetime(["2000-03-31", "2001-01-31"]))
    slopes = slow_macbeth(X[rest], y[rest], 0)[0]
    np.testing.assert_allclose(model.coef_, slopes.mean(axis=0)[1:])
    # Lags count dates, those left out among them.
    e = np.zeros((24, 3))
    e[~gone] = slopes - slopes.mean(axis=0)
    total = e.T @ e
    for lag in (1, 2):
        product = e[lag:].T @ e[:-lag]
        total += (1 - lag / 3) * (product + product.T)
    np.testing.assert_allclose(model.covariance_, total / (22 * 21), rtol=1e-9, atol=1e-18)


def test_a_column_that_others_make_up_is_left_out_by_name():
    X, y = panel()
    dates = X.index.get_level_values("date")
    more = X.assign(copy=2 * X["a"], year=dates.year.to_numpy(dtype=float))
    with pytest.warns(LinAlgWarning, match="left out: column 'copy', column 'year'"):
        model = FamaMacBeth(maxlags=1).fit(more, y)
    plain = FamaMacBeth(maxlags=1).fit(X, y)
    np.testing.assert_allclose(model.coef_, [*plain.coef_, 0.0, 0.0])
    np.testing.assert_allclose(model.bse_, [*plain.bse_, np.nan, np.nan])


def test_a_constant_that_is_no_binary_fraction_is_found_among_many_assets():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=60_000), np.full(60_000, 0.1)])
    dates = np.repeat([200001, 200002, 200003], 20_000)
    with pytest.warns(LinAlgWarning, match="left out: column 1"):
        model = FamaMacBeth().fit(X, rng.normal(size=60_000), dates=dates)
    assert model.coef_[1] == 0


def test_bad_input_is_refused_and_a_failed_fit_keeps_what_was_fitted():
    X, y = panel()
    model = FamaMacBeth().fit(X, y)
    before = model.coef_
    with pytest.raises(ValueError, match="at least the number of coefficients, 3; got 2"):
        model.set_params(min_obs=2).fit(X, y)
    with pytest.raises(ValueError, match="below the number of dates that are fitted, 24; got 24"):
        model.set_params(min_obs=None, maxlags=24).fit(X, y)
    with pytest.raises(ValueError, match="contains NaN"):
        model.set_params(maxlags=0).fit(X.where(X > -2), y)
    with pytest.raises(ValueError, match="must agree"):
        model.fit(X, y[::-1])
    with pytest.raises(ValueError, match="varies over the assets of a date"):
        model.fit(X * 0.0 + 1.0, y)
    with pytest.raises(ValueError, match="must appear once"):
        model.fit(pd.concat([X, X]), pd.concat([y, y]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[["b", "a"]])
    assert model.coef_ is before


def test_predictions_keep_the_index():
    X, y = panel()
    model = FamaMacBeth().fit(X, y)
    expected = model.intercept_ + X.to_numpy() @ model.coef_
    assert model.predict(X).index.equals(X.index)
    np.testing.assert_allclose(model.predict(X), expected)
    assert model.score(X, y) > 0
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(clone(model).fit(X, y).slopes_, model.slopes_)


def test_dates_pass_through_a_pipeline():
    X, y = panel()
    dates = X.index.get_level_values("date")
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), FamaMacBeth())
        pipe.fit(X.to_numpy(), y.to_numpy(), dates=dates)
    assert len(pipe[-1].dates_) == 24
    np.testing.assert_allclose(pipe[-1].tvalues_[1:], FamaMacBeth().fit(X, y).tvalues_[1:])


def test_summary_has_a_row_for_each_coefficient():
    model = FamaMacBeth().fit(*panel())
    table = model.summary()
    assert table.index.to_list() == ["intercept", "a", "b"]
    np.testing.assert_array_equal(table["std_error"], model.bse_)
    assert FamaMacBeth(fit_intercept=False).fit(*panel()).summary().index.to_list() == ["a", "b"]


def market(seed=0, n_dates=120, n_assets=30, mean=0.01, noise=0.03):
    rng = np.random.default_rng(seed)
    factors = rng.normal(mean, 0.04, (n_dates, 2))
    betas = np.random.default_rng(99).normal(0, 1, (2, n_assets))
    return factors, factors @ betas + noise * rng.standard_normal((n_dates, n_assets))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_two_passes_agree_with_shanken_s_formula_in_matrix_form(fit_intercept):
    factors, returns = market()
    n_dates = len(factors)
    model = FamaMacBeth(maxlags=0, fit_intercept=fit_intercept).fit_two_pass(factors, returns)
    Z = np.column_stack([np.ones(n_dates), factors])
    params = np.linalg.lstsq(Z, returns, rcond=None)[0]
    sigma = (returns - Z @ params).T @ (returns - Z @ params) / (n_dates - 1)
    X = params[1:].T
    if fit_intercept:
        X = np.column_stack([np.ones(len(X)), X])
    A = np.linalg.inv(X.T @ X) @ X.T
    premia = A @ returns.mean(axis=0)
    omega = np.zeros((X.shape[1],) * 2)
    start = int(fit_intercept)
    omega[start:, start:] = np.cov(factors.T)
    c = premia[start:] @ np.linalg.inv(omega[start:, start:]) @ premia[start:]
    covariance = ((1 + c) * A @ sigma @ A.T + omega) / n_dates
    np.testing.assert_allclose(model.coef_, premia[start:], rtol=1e-9)
    np.testing.assert_allclose(model.covariance_, covariance, rtol=1e-8, atol=1e-15)
    assert model.shanken_ == pytest.approx(c, rel=1e-9)
    np.testing.assert_allclose(model.betas_, params[1:].T, rtol=1e-8, atol=1e-12)
    plain = FamaMacBeth(maxlags=0, fit_intercept=fit_intercept, shanken=False)
    plain.fit_two_pass(factors, returns)
    np.testing.assert_allclose(plain.covariance_, (A @ sigma @ A.T + omega) / n_dates, rtol=1e-8)
    assert plain.shanken_ == 0


# from linearmodels.asset_pricing import LinearFactorModel  # 7.1
# factors, returns = market(0, n_dates, 12, mean, 0.05)
# LinearFactorModel(returns, factors, risk_free=fit_intercept).fit(cov_type="robust")
LINEAR_FACTOR_MODEL = {
    (120, 0.01, False): [0.0014875255984851455, 0.011803719015685518],
    (120, 0.01, True): [9.401460524642404e-05, 0.0014859361142789303, 0.011752829360810084],
    (4000, 0.02, False): [0.01935930695845255, 0.01973294738619087],
    (4000, 0.02, True): [-3.3714205510990295e-05, 0.019359039095750548, 0.019754605449814448],
}
ITS_ERRORS = {
    False: [0.0006993866202017825, 0.0008061157892008039],
    True: [0.00029870775407236737, 0.0006993882990534059, 0.0008271701553202918],
}


@pytest.mark.parametrize(("n_dates", "mean", "fit_intercept"), LINEAR_FACTOR_MODEL)
def test_two_passes_have_the_premia_of_linearmodels(n_dates, mean, fit_intercept):
    model = FamaMacBeth(maxlags=0, fit_intercept=fit_intercept)
    model.fit_two_pass(*market(0, n_dates, 12, mean, 0.05))
    params = [model.intercept_, *model.coef_] if fit_intercept else model.coef_
    frozen = LINEAR_FACTOR_MODEL[n_dates, mean, fit_intercept]
    np.testing.assert_allclose(params, frozen, rtol=1e-8)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_shanken_s_errors_are_those_of_linearmodels_in_a_large_sample(fit_intercept):
    # linearmodels has errors by the method of moments, robust to heteroskedasticity, of which
    # Shanken's are the case without any: the two meet as the sample grows.
    data = market(0, 4000, 12, 0.02, 0.05)
    model = FamaMacBeth(maxlags=0, fit_intercept=fit_intercept).fit_two_pass(*data)
    np.testing.assert_allclose(model.bse_, ITS_ERRORS[fit_intercept], rtol=0.01)
    plain = FamaMacBeth(maxlags=0, fit_intercept=fit_intercept, shanken=False)
    plain.fit_two_pass(*data)
    assert (plain.bse_[-1:] < 0.95 * np.array(ITS_ERRORS[fit_intercept])[-1:]).all()


def test_given_betas_are_not_corrected():
    factors, returns = market()
    betas = FamaFrenchRegressor().fit(factors, returns).coef_
    dates = np.repeat(np.arange(120), 30)
    given = FamaMacBeth(maxlags=0).fit(np.tile(betas, (120, 1)), returns.ravel(), dates=dates)
    two = FamaMacBeth(maxlags=0, shanken=False).fit_two_pass(factors, returns)
    np.testing.assert_allclose(given.coef_, two.coef_, rtol=1e-10)
    np.testing.assert_allclose(given.bse_, two.bse_, rtol=1e-10)
    assert given.shanken_ == 0
    assert given.betas_ is None


def test_the_correction_is_needed_where_premia_are_large():
    truth = 0.04
    plain, corrected = [], []
    for seed in range(300):
        factors, returns = market(seed, mean=truth, noise=0.08)
        for store, shanken in ((plain, False), (corrected, True)):
            model = FamaMacBeth(maxlags=0, shanken=shanken).fit_two_pass(factors, returns)
            # About the premium in the sample, so that the spread of factors does not hide it.
            error = np.sqrt(model.covariance_[0, 0])
            store.append(abs(model.intercept_) / error > 1.98)
    assert np.mean(corrected) < np.mean(plain)
    assert 0.02 <= np.mean(corrected) <= 0.09
    assert np.mean(plain) > 0.15


def test_two_passes_take_missing_returns_and_dates():
    factors, returns = market()
    returns[:40, :5] = np.nan
    months = pd.period_range("2000-01", periods=120, freq="M")
    model = FamaMacBeth(maxlags=0, shanken=False).fit_two_pass(
        pd.DataFrame(factors, months, ["f", "g"]), pd.DataFrame(returns, months)[::-1]
    )
    assert model.nobs_[0] == 25
    assert model.nobs_[-1] == 30
    assert model.dates_[0] == months[0]
    assert model.summary().index.to_list() == ["intercept", "f", "g"]
    betas = FamaFrenchRegressor().fit(factors, returns).coef_
    X = np.column_stack([np.ones(30), betas])
    first = np.linalg.lstsq(X[5:], returns[0, 5:], rcond=None)[0]
    np.testing.assert_allclose(model.slopes_[0], first, rtol=1e-9)


def test_two_passes_refuse_factors_that_are_not_independent():
    factors, returns = market()
    twice = pd.DataFrame(factors, columns=["f", "g"]).assign(h=factors[:, 0])
    with (
        pytest.warns(LinAlgWarning),
        pytest.raises(ValueError, match="got 'h' made up of the others"),
    ):
        FamaMacBeth().fit_two_pass(twice, returns)
