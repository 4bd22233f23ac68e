"""FamaFrenchRegressor: figures of statsmodels, all assets at once."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfactor.linear_model import FamaFrenchRegressor

N_DATES = 150
NAMES = ["Mkt-RF", "SMB", "HML"]
DATES = pd.date_range("2001-01-31", periods=N_DATES, freq="ME", name="date")


def make_market(n_assets=6, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    factors = pd.DataFrame(rng.normal(0.005, 0.04, (N_DATES, 3)), DATES, NAMES)
    noise = rng.standard_t(5, (N_DATES, n_assets)) * rng.uniform(0.02, 0.08, n_assets)
    noise[1:] += 0.2 * noise[:-1]
    betas = rng.normal([[1], [0.3], [0.2]], 0.4, (3, n_assets))
    assets = [f"A{i}" for i in range(n_assets)]
    returns = pd.DataFrame(factors.to_numpy() @ betas + noise, DATES, assets)
    return factors, returns.mask(rng.random(returns.shape) < missing)


def by_statsmodels(factors, series, fit_intercept=True, **options):
    seen = series.notna().to_numpy()
    X = factors.to_numpy()[seen]
    X = sm.add_constant(X) if fit_intercept else X
    return sm.OLS(series.to_numpy()[seen], X).fit(**options)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("use_t", [None, True, False])
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC"])
def test_every_figure_agrees_with_statsmodels(cov_type, use_t, missing, fit_intercept):
    factors, returns = make_market(missing=missing)
    hac = cov_type == "HAC"
    model = FamaFrenchRegressor(
        cov_type=cov_type,
        maxlags=5 if hac else None,
        gaps="closed",
        use_t=use_t,
        use_correction=True,
        fit_intercept=fit_intercept,
    ).fit(factors, returns)
    kwds = {"maxlags": 5, "use_correction": True} if hac else None
    bounds = model.conf_int(0.1)
    for i, asset in enumerate(returns):
        theirs = by_statsmodels(
            factors,
            returns[asset],
            fit_intercept,
            cov_type=cov_type,
            cov_kwds=kwds,
            use_t=use_t,
        )
        ours = [model.intercept_[i], *model.coef_[i]] if fit_intercept else model.coef_[i]
        assert_allclose(ours, theirs.params, rtol=1e-10, atol=1e-15)
        assert_allclose(model.bse_[i], theirs.bse, rtol=1e-11)
        assert_allclose(model.tvalues_[i], theirs.tvalues, rtol=1e-9)
        assert_allclose(model.pvalues_[i], theirs.pvalues, rtol=1e-9)
        assert_allclose(bounds[i], theirs.conf_int(0.1), rtol=1e-9, atol=1e-14)
        assert_allclose(model.rsquared_[i], theirs.rsquared, rtol=1e-11)
        assert_allclose(model.rsquared_adj_[i], theirs.rsquared_adj, rtol=1e-9)
        assert model.nobs_[i] == theirs.nobs
        assert model.df_resid_[i] == theirs.df_resid
    assert model.bse_.shape == (6, 3 + fit_intercept)
    assert (model.maxlags_ == 5).all() if hac else np.isnan(model.maxlags_).all()


def test_an_asset_in_statsmodels_has_our_figures_and_names():
    factors, returns = make_market(missing=0.3)
    rate = pd.Series(np.linspace(0, 0.004, N_DATES), DATES)
    for options in (
        {},
        {"cov_type": "HC3", "use_t": True, "fit_intercept": False},
        {"cov_type": "HAC", "maxlags": 4, "gaps": "closed", "use_correction": True},
        {"cov_type": "HAC", "kernel": "parzen", "gaps": "closed"},
        {"cov_type": "HAC", "kernel": "quadratic_spectral", "maxlags": 3, "gaps": "closed"},
        {"cov_type": "HAC", "maxlags": "newey-west", "gaps": "closed"},
    ):
        model = FamaFrenchRegressor(risk_free=rate, **options).fit(factors, returns)
        results = model.to_statsmodels("A2")
        assert_allclose(results.bse, model.bse_[2], rtol=1e-9)
        assert_allclose(results.pvalues, model.pvalues_[2], rtol=1e-8)
        assert_allclose(results.rsquared, model.rsquared_[2], rtol=1e-9)
    assert list(results.params.index) == ["alpha", *NAMES]
    assert results.model.endog_names == "A2"
    assert_array_equal(results.resid.index, DATES[returns["A2"].notna()])
    assert_allclose(model.to_statsmodels(1).bse, model.bse_[1], rtol=1e-9)
    assert "A2" in str(results.summary())


def test_statsmodels_needs_a_known_and_fitted_asset_and_the_data():
    factors, returns = make_market()
    returns["A1"] = np.nan
    with pytest.warns(UserWarning, match="A1"):
        model = FamaFrenchRegressor().fit(factors, returns)
    with pytest.raises(ValueError, match=r"one of the assets seen in fit; got 'B'. They are 'A0'"):
        model.to_statsmodels("B")
    with pytest.raises(ValueError, match="'A1' was not fitted: it has 0 returns"):
        model.to_statsmodels("A1")
    restored = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match="left its data behind; fit it again"):
        restored.to_statsmodels("A0")
    assert_array_equal(restored.predict(factors), model.predict(factors))
    assert len(pickle.dumps(model)) < returns.size * 8


def test_statsmodels_is_imported_only_when_asked_for():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from skfactor.linear_model import FamaFrenchRegressor as F;"
        "x = np.random.default_rng(0).normal(size=(20, 2)); F().fit(x, x @ x.T).pvalues_;"
        "sys.exit('statsmodels' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_summary_is_tidy():
    factors, returns = make_market(missing=0.2)
    model = FamaFrenchRegressor().fit(factors, returns)
    summary = model.summary()
    assert summary.index.names == ["asset", "term"]
    assert list(summary.loc["A3"].index) == ["alpha", *NAMES]
    assert list(summary.columns) == [
        "coef",
        "std_error",
        "t_value",
        "p_value",
        "low",
        "high",
        "rsquared",
        "rsquared_adj",
        "nobs",
    ]
    assert summary.loc[("A3", "SMB"), "coef"] == model.coef_[3, 1]
    assert summary.loc[("A3", "alpha"), "p_value"] == model.pvalues_[3, 0]
    assert summary.loc[("A3", "HML"), "nobs"] == model.nobs_[3]
    assert_allclose(summary["high"] + summary["low"], 2 * summary["coef"])
    narrow = model.summary(alpha=0.5)
    assert (narrow["high"] < summary["high"]).all()


def test_bounds_need_a_level_between_0_and_1():
    model = FamaFrenchRegressor().fit(*make_market())
    with pytest.raises(ValueError, match=r"`alpha` must be between 0 and 1; got 5."):
        model.conf_int(5)


def test_derived_figures_are_computed_when_asked_for_and_follow_the_fit():
    factors, returns = make_market()
    model = FamaFrenchRegressor()
    with pytest.raises(NotFittedError):
        _ = model.pvalues_
    assert not hasattr(model, "tvalues_")
    model.fit(factors, returns)
    assert "pvalues_" not in vars(model)
    first = model.pvalues_
    assert model.pvalues_ is first
    model.set_params(use_t=False)
    assert_array_equal(pickle.loads(pickle.dumps(model)).pvalues_, first)
    model.fit(factors, returns)
    assert (model.pvalues_ < first).all()


def test_one_series_and_one_column_and_all_columns_agree():
    factors, returns = make_market()
    together = FamaFrenchRegressor().fit(factors, returns)
    series = FamaFrenchRegressor().fit(factors, returns["A1"])
    column = FamaFrenchRegressor().fit(factors, returns[["A1"]])
    plain = FamaFrenchRegressor().fit(factors.to_numpy(), returns["A1"].to_numpy())
    for model in (series, column, plain):
        assert model.coef_.shape == (1, 3)
        assert_allclose(model.coef_[0], together.coef_[1], rtol=1e-12)
        assert_allclose(model.pvalues_[0], together.pvalues_[1], rtol=1e-9)
    assert series.predict(factors).shape == (N_DATES,)
    assert column.predict(factors).shape == (N_DATES, 1)
    assert_array_equal(series.asset_names_, ["A1"])
    assert_array_equal(plain.asset_names_, [0])
    assert_array_equal(plain.factor_names_, ["x0", "x1", "x2"])


def test_polars_frames_carry_their_names():
    factors, returns = make_market(missing=0.2)
    expected = FamaFrenchRegressor(["SMB"]).fit(factors, returns)
    model = FamaFrenchRegressor(["SMB"]).fit(
        pl.from_pandas(factors), pl.from_pandas(returns, nan_to_null=False)
    )
    assert_allclose(model.coef_, expected.coef_)
    assert_array_equal(model.asset_names_, returns.columns)


def test_names_of_assets_can_be_tuples():
    factors, returns = make_market(2)
    returns.columns = pd.MultiIndex.from_tuples([("US", "A"), ("UK", "A")])
    model = FamaFrenchRegressor().fit(factors, returns)
    assert model.asset_names_[1] == ("UK", "A")
    assert len(model.summary()) == 8
    assert_allclose(model.to_statsmodels(("UK", "A")).bse, model.bse_[1])


def test_prediction_is_alpha_plus_betas_plus_the_risk_free_return():
    factors, returns = make_market()
    factors["RF"] = np.linspace(0.001, 0.004, N_DATES)
    total = returns.add(factors["RF"], axis=0)
    model = FamaFrenchRegressor("ff3", risk_free="RF").fit(factors, total)
    excess = FamaFrenchRegressor().fit(factors[NAMES], returns)
    assert_allclose(model.coef_, excess.coef_, rtol=1e-10)
    assert_allclose(model.rsquared_, excess.rsquared_, rtol=1e-10)
    expected = excess.predict(factors[NAMES]) + factors[["RF"]].to_numpy()
    assert_allclose(model.predict(factors), expected, rtol=1e-12)
    assert_allclose(model.score(factors, total), model.rsquared_.mean())


def test_every_form_of_the_risk_free_return_is_the_same():
    factors, returns = make_market()
    rate = pd.Series(np.linspace(0.001, 0.004, N_DATES), DATES, name="RF")
    total = returns.add(rate, axis=0)
    wide = factors.assign(RF=rate)
    expected = FamaFrenchRegressor().fit(factors, returns)
    by_month = rate.set_axis(rate.index.to_period("M")).iloc[::-1]
    for X, risk_free in (
        (wide, "RF"),
        (wide, "rf"),
        (wide, 3),
        (wide.to_numpy(), -1),
        (factors, rate),
        (factors, by_month),
        (factors, rate.to_frame()),
        (factors.to_numpy(), rate.to_numpy()),
        (factors, list(rate)),
    ):
        model = FamaFrenchRegressor(risk_free=risk_free).fit(X, total)
        assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
        assert_allclose(model.intercept_, expected.intercept_, rtol=1e-8, atol=1e-14)
        assert clone(model).fit(X, total).coef_.tobytes() == model.coef_.tobytes()


def test_a_risk_free_return_that_does_not_fit_is_refused():
    factors, returns = make_market()
    rate = pd.Series(0.001, DATES)
    cases = (
        ("RF", "`risk_free` must name a column of X; got 'RF', X has Mkt-RF, SMB, HML"),
        (7, "`risk_free` must be a position below 3, the number of columns of X; got 7."),
        (rate.iloc[5:], r"must have every date of X; got 5 of 150 dates without: 2001-01-31, "),
        (rate.to_numpy()[1:], "one entry for each of the 150 rows of X; got 149"),
        (np.ones((150, 2)), r"`risk_free` must be one series; got shape \(150, 2\)"),
    )
    for risk_free, message in cases:
        with pytest.raises(ValueError, match=message):
            FamaFrenchRegressor(risk_free=risk_free).fit(factors, returns)
    factors["RF"] = rate
    factors.iloc[3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN in 1 rows, the first is row 3"):
        FamaFrenchRegressor("ff3", risk_free="RF").fit(factors, returns)


def make_rates():
    rng = np.random.default_rng(4)
    return pd.Series(0.004 + 0.003 * np.sin(np.arange(N_DATES) / 20), DATES) + rng.normal(
        0, 1e-4, N_DATES
    )


def test_returns_that_are_in_excess_already_draw_a_warning():
    factors, returns = make_market(60, missing=0.1)
    returns = returns * 0.3
    rate = make_rates()
    message = "in excess of the risk-free return already.*moves by -?0.[0-9]+ .*`risk_free=None`"
    with pytest.warns(UserWarning, match=message):
        FamaFrenchRegressor(risk_free=rate).fit(factors, returns)
    FamaFrenchRegressor(risk_free=rate).fit(factors, returns.add(rate, axis=0))  # no warning
    FamaFrenchRegressor(risk_free=pd.Series(0.002, DATES)).fit(factors, returns)


def test_factors_in_percent_beside_decimals_draw_a_warning():
    factors, returns = make_market()
    with pytest.warns(UserWarning, match="factors look to be in percent and the returns in deci"):
        FamaFrenchRegressor().fit(100 * factors, returns)
    with pytest.warns(UserWarning, match="Divide the factors by 100"):
        FamaFrenchRegressor().fit(100 * factors.to_numpy(), returns)
    with pytest.warns(UserWarning, match="returns look to be in percent and the factors in deci"):
        FamaFrenchRegressor().fit(factors, 100 * returns)
    with pytest.warns(UserWarning, match="risk-free return looks to be in percent"):
        FamaFrenchRegressor(risk_free=100 * make_rates()).fit(factors, returns)
    FamaFrenchRegressor().fit(100 * factors, 100 * returns)  # no warning
    standardised = (factors - factors.mean()) / factors.std()
    FamaFrenchRegressor().fit(standardised.to_numpy(), returns)


def test_a_risk_free_column_taken_for_a_factor_draws_a_warning():
    factors, returns = make_market()
    factors["RF"] = make_rates()
    with pytest.warns(UserWarning, match="column 'RF' of X is used as a factor.*risk_free='RF'"):
        FamaFrenchRegressor().fit(factors, returns)
    FamaFrenchRegressor("ff3").fit(factors, returns)


def test_an_asset_with_too_few_returns_is_nan_alone_and_named():
    factors, returns = make_market()
    expected = FamaFrenchRegressor().fit(factors, returns)
    short = returns.copy()
    short.loc[DATES[4:], "A2"] = np.nan
    short["A4"] = np.nan
    message = r"2 of 6 assets have fewer than 5 returns; .* NaN: 'A2' \(n=4\), 'A4' \(n=0\)\.$"
    with pytest.warns(UserWarning, match=message):
        model = FamaFrenchRegressor().fit(factors, short)
    assert_array_equal(model.nobs_, [150, 150, 4, 150, 0, 150])
    for name in ("coef_", "intercept_", "bse_", "tvalues_", "pvalues_", "rsquared_"):
        values = getattr(model, name)
        assert np.isnan(values[[2, 4]]).all()
        assert_allclose(values[[0, 1, 3, 5]], getattr(expected, name)[[0, 1, 3, 5]], rtol=1e-9)
    assert np.isnan(model.predict(factors)[:, [2, 4]]).all()
    returns.iloc[0, 0] = np.nan
    with pytest.warns(UserWarning, match=r"fewer than 150 returns; .*: 'A0' \(n=149\)"):
        FamaFrenchRegressor(min_obs=150).fit(factors, returns)


def test_an_asset_whose_factors_do_not_vary_is_nan_alone_and_named():
    factors, returns = make_market()
    factors["crisis"] = (np.arange(N_DATES) < 30).astype(float)
    returns.loc[DATES[:40], "A1"] = np.nan
    with pytest.warns(UserWarning, match=r"not linearly independent on the dates .*: 'A1' \(n=110"):
        model = FamaFrenchRegressor().fit(factors, returns)
    assert np.isnan(model.coef_[1]).all()
    assert np.isfinite(model.bse_[[0, 2, 3, 4, 5]]).all()


def test_nothing_to_fit_is_an_error():
    factors, returns = make_market()
    with pytest.raises(ValueError, match=r"needs 5 returns .* got 6 assets with at most 0 returns"):
        FamaFrenchRegressor().fit(factors, returns * np.nan)
    with pytest.raises(ValueError, match="at least as many dates .*, 4 for n_features=3 fact"):
        FamaFrenchRegressor().fit(factors[:3], returns[:3])


def test_min_obs_below_what_is_identified_is_refused():
    factors, returns = make_market()
    with pytest.raises(ValueError, match="more than the number of coefficients, 4; got 4"):
        FamaFrenchRegressor(min_obs=4).fit(factors, returns)


def test_collinear_and_constant_factors_are_left_out_with_a_warning_that_names_them():
    factors, returns = make_market(missing=0.2)
    expected = FamaFrenchRegressor().fit(factors, returns)
    wide = factors.assign(
        one=1.0, twice=2 * factors["SMB"] - factors["HML"], MOM=factors["Mkt-RF"] ** 2
    )
    message = (
        r"left out over these 150 dates: 'one' \(constant.*\), 'twice' \(made up of 'SMB', 'HML'"
    )
    with pytest.warns(LinAlgWarning, match=message):
        model = FamaFrenchRegressor().fit(wide, returns)
    smaller = FamaFrenchRegressor().fit(wide.drop(columns=["one", "twice"]), returns)
    assert_array_equal(model.coef_[:, 3:5], 0.0)
    assert np.isnan(model.bse_[:, 4:6]).all()
    assert_allclose(model.coef_[:, [0, 1, 2, 5]], smaller.coef_)
    assert_allclose(model.bse_[:, [0, 1, 2, 3, 6]], smaller.bse_)
    assert_allclose(model.rsquared_adj_, smaller.rsquared_adj_)
    assert_allclose(model.predict(wide), smaller.predict(wide.drop(columns=["one", "twice"])))
    assert_allclose(model.to_statsmodels("A0").rsquared, model.rsquared_[0])
    assert not np.allclose(expected.coef_, smaller.coef_[:, :3])


def test_a_constant_among_the_factors_is_an_intercept_where_there_is_none():
    factors, returns = make_market(missing=0.2)
    wide = factors.assign(one=1.0)
    model = FamaFrenchRegressor(fit_intercept=False).fit(wide, returns)
    expected = FamaFrenchRegressor().fit(factors, returns)
    assert_allclose(model.coef_[:, 3], expected.intercept_, rtol=1e-9, atol=1e-14)
    assert_allclose(model.rsquared_adj_, expected.rsquared_adj_, rtol=1e-9)


def test_missing_factor_values_are_an_error_only_where_they_are_used():
    factors, returns = make_market()
    factors["RMW"] = np.where(np.arange(N_DATES) < 5, np.nan, 0.01 * np.arange(N_DATES) % 0.03)
    message = r"got NaN in 'RMW' on 5 dates: 2001-01-31, 2001-02-28, 2001-03-31, \.\.\.\. Drop"
    with pytest.raises(ValueError, match=message):
        FamaFrenchRegressor().fit(factors, returns)
    FamaFrenchRegressor("ff3").fit(factors, returns)
    FamaFrenchRegressor().fit(factors, returns[5:])
    with pytest.raises(ValueError, match="NaN in 'RMW' on 5 dates"):
        FamaFrenchRegressor().fit(factors, returns[5:]).predict(factors)


def test_text_infinities_and_panels_are_refused():
    factors, returns = make_market()
    with pytest.raises(ValueError, match="could not convert string to float"):
        FamaFrenchRegressor().fit(factors.assign(x="a"), returns)
    with pytest.raises(ValueError, match="Input y contains infinity"):
        FamaFrenchRegressor().fit(factors, returns.replace(returns.iloc[3, 3], np.inf))
    with pytest.raises(ValueError, match=r"A row must be a date.*y.unstack\(\)"):
        FamaFrenchRegressor().fit(factors, returns.stack())
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        FamaFrenchRegressor().fit(factors, None)


def test_prediction_needs_the_columns_of_fit():
    factors, returns = make_market()
    model = FamaFrenchRegressor().fit(factors, returns)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(factors[["SMB", "Mkt-RF", "HML"]])


def test_a_failed_fit_keeps_what_was_fitted():
    factors, returns = make_market()
    model = FamaFrenchRegressor().fit(factors, returns)
    before = model.predict(factors)
    p = model.pvalues_
    with pytest.raises(ValueError):
        model.fit(factors.iloc[:, :2], returns * np.nan)
    assert_array_equal(model.predict(factors), before)
    assert model.pvalues_ is p


def test_score_is_the_mean_of_r_squared_over_assets():
    factors, returns = make_market()
    model = FamaFrenchRegressor().fit(factors[:100], returns[:100])
    for rows in (slice(0, 100), slice(100, None)):
        predicted = model.predict(factors[rows])
        expected = r2_score(returns[rows], predicted)
        assert_allclose(model.score(factors[rows], returns[rows]), expected)
        weight = np.linspace(0, 1, len(predicted))
        expected = r2_score(returns[rows], predicted, sample_weight=weight)
        assert_allclose(model.score(factors[rows], returns[rows], weight), expected)
        weight = pd.Series(weight, returns[rows].index)
        assert_allclose(model.score(factors[rows], returns[rows], weight), expected)
        with pytest.raises(ValueError, match="rows of `y` and `sample_weight` must be the same"):
            model.score(factors[rows], returns[rows], weight[::-1])


def test_score_leaves_missing_returns_out():
    factors, returns = make_market(missing=0.4)
    returns["A5"] = np.nan
    with pytest.warns(UserWarning, match="A5"):
        model = FamaFrenchRegressor().fit(factors, returns)
    predicted = pd.DataFrame(model.predict(factors), DATES, returns.columns)
    expected = [
        r2_score(returns[a].dropna(), predicted[a][returns[a].notna()]) for a in returns.columns[:5]
    ]
    assert_allclose(model.score(factors, returns), np.mean(expected))
    assert np.isnan(model.score(factors, returns * np.nan))
    shuffled = returns.sample(frac=1, random_state=0)
    assert_allclose(
        model.score(factors, shuffled[shuffled.index > DATES[20]]),
        model.score(factors[21:], returns[21:]),
    )


def test_score_of_returns_that_never_vary_is_scikit_learn_s():
    factors, returns = make_market(1)
    model = FamaFrenchRegressor().fit(factors, returns)
    assert model.score(factors, returns * 0) == r2_score(returns * 0, model.predict(factors)) == 0
    zero = FamaFrenchRegressor().fit(factors, returns * 0)
    assert zero.score(factors, returns * 0) == 1
    assert np.isnan(zero.bse_).all()
    assert np.isnan(zero.rsquared_).all()


def test_score_needs_the_assets_of_fit():
    factors, returns = make_market()
    model = FamaFrenchRegressor().fit(factors, returns)
    with pytest.raises(ValueError, match="6 assets seen in fit; got 5"):
        model.score(factors, returns.iloc[:, 1:])
    with pytest.raises(ValueError, match=r"got 'A5' in column 0 in place of 'A0' \(6 columns"):
        model.score(factors, returns.iloc[:, ::-1])


def test_grid_search_and_cross_validation_run_over_time():
    factors, returns = make_market(missing=0.2)
    factors["RF"] = make_rates()
    returns = returns.add(factors["RF"], axis=0)
    split = TimeSeriesSplit(4)
    model = FamaFrenchRegressor("ff3", risk_free="RF")
    scores = cross_val_score(model, factors, returns, cv=split)
    assert np.isfinite(scores).all()
    search = GridSearchCV(model, {"factors": ["capm", "ff3", [1]]}, cv=split, error_score="raise")
    search.fit(factors, returns)
    assert search.best_params_["factors"] in ("capm", "ff3")
    assert_allclose(search.cv_results_["mean_test_score"][1], scores.mean())
    by_series = FamaFrenchRegressor("ff3", risk_free=factors["RF"])
    assert_allclose(cross_val_score(by_series, factors, returns, cv=split), scores)
    steps = make_pipeline(FunctionTransformer(), model)
    assert_allclose(cross_val_score(steps, factors, returns, cv=split), scores)


def test_real_precision_of_float32_returns_is_kept():
    factors, returns = make_market(missing=0.2)
    single = returns.to_numpy(np.float32)
    model = FamaFrenchRegressor().fit(factors, single)
    expected = FamaFrenchRegressor().fit(factors, single.astype(float))
    assert_allclose(model.coef_, expected.coef_, rtol=1e-12)
    assert model.coef_.dtype == np.float64


def test_the_returns_are_neither_copied_nor_changed():
    import tracemalloc

    rng = np.random.default_rng(0)
    factors, returns = rng.normal(size=(360, 5)), rng.normal(size=(360, 5000))
    returns[rng.random(returns.shape) < 0.3] = np.nan
    kept = returns.copy()
    FamaFrenchRegressor().fit(factors, returns[:, :10])  # one-time costs
    tracemalloc.start()
    model = FamaFrenchRegressor(cov_type="HAC", maxlags=6).fit(factors, returns)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    results = sum(v.nbytes for v in vars(model).values() if isinstance(v, np.ndarray))
    assert peak - results < returns.nbytes / 4
    assert_array_equal(returns, kept)


def test_a_good_fit_is_silent():
    factors, returns = make_market(missing=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FamaFrenchRegressor(cov_type="HAC").fit(factors, returns).summary()
