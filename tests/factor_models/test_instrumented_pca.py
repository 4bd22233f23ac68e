"""Instrumented PCA: loops of its formulas, frozen numbers of another implementation, limits."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skfactor._kernels._moments import moments_by_date
from skfactor.exceptions import FitInterrupted, MissingDatesWarning
from skfactor.factor_models import InstrumentedPCA, PCAFactorModel, _ipca_core
from skfactor.factor_models._alternating import solve_symmetric
from skfactor.factor_models._ipca_core import AlternatingLeastSquares
from skfactor.factor_models._rank import dependent_columns, independent_span

# Loadings and total R² that the package ipca 0.6.7 finds on `draw_panel()` with a tolerance of
# 1e-11; alphas and loadings on observed factors stand in the last column.
FROZEN = {
    "two": (
        [
            [-0.298182796, 0.229059518],
            [0.114531266, 0.457166665],
            [-0.813644723, -0.139363274],
            [-0.121724201, 0.847914005],
            [0.470250032, 0.012251339],
        ],
        0.829845570989,
    ),
    "three": (
        [
            [-0.299148621, 0.251347391, 0.193249085],
            [0.11296455, 0.416480914, -0.854414295],
            [-0.812671893, -0.169519772, -0.339759638],
            [-0.122130417, 0.857042001, 0.28907995],
            [0.471590573, -0.010497264, -0.183377139],
        ],
        0.840193704270,
    ),
    "alpha": (
        [
            [-0.324694383, 0.115910984, 0.019595476],
            [0.13198344, 0.540661314, -0.013267132],
            [-0.797214558, -0.083064181, -0.011808632],
            [-0.133092526, 0.828776701, 0.004768033],
            [0.473169375, 0.021897689, -0.001407195],
        ],
        0.832319695448,
    ),
    "observed": (
        [
            [-0.302206298, 0.223739629, 0.070490986],
            [0.090119295, 0.430763885, 0.406449153],
            [-0.815076187, -0.140732123, 0.014798626],
            [-0.106900379, 0.862786077, -0.217928608],
            [0.474102294, 0.013330761, -0.056023215],
        ],
        0.832121113227,
    ),
}


def draw_panel(seed=0, n_dates=40, n_assets=60, n_features=5):
    """An unbalanced panel with three factors, an observed one and alphas."""
    rng = np.random.default_rng(seed)
    dates, assets = np.nonzero(rng.random((n_dates, n_assets)) < 0.8)
    X = rng.uniform(-1, 1, (len(dates), n_features))
    X[:, -1] = 1.0
    gamma = rng.normal(size=(n_features, 3))
    f = 0.02 + 0.05 * rng.normal(size=(n_dates, 3)) * [1.5, 1.0, 0.7]
    g = 0.01 + 0.04 * rng.normal(size=n_dates)
    y = np.einsum("nk,nk->n", X @ gamma, f[dates]) + 0.5 * X[:, 1] * g[dates] + 0.02 * X[:, 0]
    y += 0.1 * rng.normal(size=len(X))
    months = pd.period_range("2000-01", periods=n_dates, freq="M", name="date")
    index = pd.MultiIndex.from_arrays([months[dates], assets], names=["date", "asset"])
    names = [f"c{j}" for j in range(n_features)]
    return pd.DataFrame(X, index, names), pd.Series(y, index), pd.Series(g, months, name="g")


def plain_r2(model, X, y):
    return 1 - ((y - model.reconstruct(X, y)) ** 2).sum() / (y**2).sum()


def slow_als(X, y, n_latent, observed=None, n_iter=400):
    """Alternate regressions of every date on betas and of all rows on loadings."""
    dates = X.index.get_level_values(0)
    unique = dates.unique().sort_values()
    Z, r = X.to_numpy(), y.to_numpy()
    code = unique.get_indexer(dates)
    L = Z.shape[1]
    G = np.zeros((len(unique), 0)) if observed is None else np.asarray(observed)
    gamma = np.linalg.qr(np.random.default_rng(1).normal(size=(L, n_latent)))[0]
    delta = np.zeros((L, G.shape[1]))
    for _ in range(n_iter):
        F = np.empty((len(unique), n_latent))
        for t in range(len(unique)):
            rows = code == t
            rest = r[rows] - Z[rows] @ delta @ G[t]
            F[t] = np.linalg.lstsq(Z[rows] @ gamma, rest, rcond=None)[0]
        everything = np.hstack([F, G])[code]
        design = (Z[:, :, None] * everything[:, None, :]).reshape(len(r), -1)
        both = np.linalg.lstsq(design, r, rcond=None)[0].reshape(L, -1)
        gamma, delta = np.linalg.qr(both[:, :n_latent])[0], both[:, n_latent:]
    return gamma, delta - gamma @ gamma.T @ delta


def span_of(gamma):
    return gamma @ np.linalg.pinv(gamma)


@pytest.mark.parametrize("case", FROZEN)
def test_loadings_and_fit_equal_the_frozen_ones(case):
    X, y, g = draw_panel()
    options = {
        "two": {"n_factors": 2},
        "three": {"n_factors": 3},
        "alpha": {"n_factors": 2, "intercept": True},
        "observed": {"n_factors": 2, "factors": g},
    }[case]
    model = InstrumentedPCA(**options, tol=1e-10).fit(X, y)
    gamma, rsquared = np.array(FROZEN[case][0]), FROZEN[case][1]
    K = options["n_factors"]
    np.testing.assert_allclose(span_of(model.gamma_[:, :K]), span_of(gamma[:, :K]), atol=1e-7)
    if gamma.shape[1] == K:  # without other loadings the rotation is the same too
        np.testing.assert_allclose(model.gamma_, gamma, atol=1e-7)
    if case == "alpha":
        np.testing.assert_allclose(model.alpha_, gamma[:, -1], atol=1e-7)
    if case == "observed":
        np.testing.assert_allclose(model.gamma_[:, -1], gamma[:, -1], atol=1e-7)
    assert plain_r2(model, X, y) == pytest.approx(rsquared, abs=1e-9)
    loose = clone(model).set_params(tol=1e-6).fit(X, y)
    assert plain_r2(loose, X, y) == pytest.approx(rsquared, abs=1e-9)


@pytest.mark.parametrize(
    ("n_factors", "intercept", "with_observed"),
    [(2, False, False), (1, True, False), (1, True, True), (0, True, True)],
)
def test_loadings_equal_a_loop_over_dates(n_factors, intercept, with_observed):
    X, y, g = draw_panel(seed=3, n_dates=20, n_assets=25)
    observed = [g.to_numpy()[:, None]] * with_observed + [np.ones((20, 1))] * intercept
    gamma, delta = slow_als(X, y, n_factors, np.hstack(observed) if observed else None)
    model = InstrumentedPCA(
        n_factors, intercept=intercept, factors=g if with_observed else None, tol=1e-10
    ).fit(X, y)
    np.testing.assert_allclose(span_of(model.gamma_[:, :n_factors]), span_of(gamma), atol=1e-6)
    if with_observed:
        np.testing.assert_allclose(model.gamma_[:, -1], delta[:, 0], atol=1e-6)
    if intercept:
        np.testing.assert_allclose(model.alpha_, delta[:, -1], atol=1e-6)


def test_factor_returns_equal_a_loop_over_dates():
    X, y, g = draw_panel()
    model = InstrumentedPCA(2, factors=g, intercept=True).fit(X, y)
    assert model.factor_names_ == ["factor1", "factor2", "g"]
    for date in model.dates_[::7]:
        Z, r = X.loc[date].to_numpy(), y.loc[date].to_numpy()
        rest = r - Z @ model.alpha_ - Z @ model.gamma_[:, 2] * g[date]
        f = np.linalg.lstsq(Z @ model.gamma_[:, :2], rest, rcond=None)[0]
        np.testing.assert_allclose(model.factor_returns_.loc[date], [*f, g[date]], atol=1e-10)
        fit = Z @ model.alpha_ + Z @ model.gamma_ @ [*f, g[date]]
        np.testing.assert_allclose(model.reconstruct(X, y).loc[date], fit, atol=1e-12)


def test_factors_and_loadings_are_identified():
    X, y, g = draw_panel()
    model = InstrumentedPCA(2, factors=g, intercept=True).fit(X, y)
    latent = model.gamma_[:, :2]
    np.testing.assert_allclose(latent.T @ latent, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(latent.T @ np.c_[model.gamma_[:, 2], model.alpha_], 0, atol=1e-12)
    factors = model.factor_returns_.to_numpy()[:, :2]
    moments = factors.T @ factors
    assert abs(moments[0, 1]) < 1e-9 * moments[0, 0]
    assert moments[0, 0] > moments[1, 1]
    assert (factors.mean(axis=0) >= 0).all()


def test_known_loadings_are_found():
    rng = np.random.default_rng(0)
    X, _, _ = draw_panel(n_dates=60, n_assets=80)
    gamma = np.linalg.qr(rng.normal(size=(5, 2)))[0]
    f = rng.normal(0.01, 0.05, (60, 2))[X.index.codes[0]]
    y = pd.Series(np.einsum("nk,nk->n", X.to_numpy() @ gamma, f), X.index)
    model = InstrumentedPCA(2).fit(X, y)
    np.testing.assert_allclose(span_of(model.gamma_), span_of(gamma), atol=1e-8)
    assert model.score(X, y) == pytest.approx(1.0)


def test_with_dummies_of_assets_it_is_pca():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [pd.period_range("2000-01", periods=30, freq="M"), range(6)], names=["date", "asset"]
    )
    y = pd.Series(rng.normal(0.02, 0.1, len(index)), index)
    dummies = pd.DataFrame(np.tile(np.eye(6), (30, 1)), index, list("abcdef"))
    ours = InstrumentedPCA(2, tol=1e-10).fit(dummies, y)
    components = PCAFactorModel(2).fit(dummies, y)
    np.testing.assert_allclose(ours.gamma_, components.betas_ / np.sqrt(6), atol=1e-7)


def test_one_step_is_enough_where_moments_do_not_change():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(40, 4))
    index = pd.MultiIndex.from_product(
        [pd.period_range("2000-01", periods=30, freq="M"), range(40)], names=["date", "asset"]
    )
    X = pd.DataFrame(np.tile(Z, (30, 1)), index, list("abcd"))
    y = pd.Series(rng.normal(size=1200), index)
    assert InstrumentedPCA(2).fit(X, y).n_iter_ == 1


def test_the_scale_of_returns_and_of_a_column_does_not_matter():
    X, y, _ = draw_panel()
    model = InstrumentedPCA(2, intercept=True).fit(X, y)
    percent = clone(model).fit(X, 100 * y)
    assert percent.n_iter_ == model.n_iter_
    np.testing.assert_allclose(percent.gamma_, model.gamma_, atol=1e-9)
    np.testing.assert_allclose(percent.alpha_, 100 * model.alpha_, atol=1e-9)
    rescaled = X.assign(c0=100 * X["c0"])
    other = clone(model).set_params(tol=1e-9).fit(rescaled, y)
    np.testing.assert_allclose(other.reconstruct(rescaled, y), model.reconstruct(X, y), atol=1e-5)


def test_missing_returns_are_left_out_of_all_sums():
    X, y, g = draw_panel()
    y.iloc[::9] = np.nan
    options = {"n_factors": 2, "intercept": True, "factors": g}
    model = InstrumentedPCA(**options).fit(X, y)
    seen = y.notna()
    dropped = InstrumentedPCA(**options).fit(X[seen], y[seen])
    np.testing.assert_allclose(model.gamma_, dropped.gamma_, atol=1e-12)
    assert model.score(X, y) == pytest.approx(dropped.score(X[seen], y[seen]))


def test_a_date_without_returns_has_no_factor_returns():
    X, y, _ = draw_panel()
    y = y.copy()
    date = X.index[0][0]
    y.loc[date] = np.nan
    model = InstrumentedPCA(2).fit(X, y)
    assert date not in model.factor_returns_.index
    assert len(model.factor_returns_) == X.index.get_level_values("date").nunique() - 1


def test_a_date_with_fewer_assets_than_factors_takes_least_norm():
    X, y, _ = draw_panel()
    date = X.index[0][0]
    keep = (X.index.get_level_values("date") != date) | (np.arange(len(X)) == 0)
    model = InstrumentedPCA(3).fit(X[keep], y[keep])
    beta = X.iloc[0].to_numpy() @ model.gamma_
    np.testing.assert_allclose(model.factor_returns_.loc[date], beta * y.iloc[0] / (beta @ beta))


def test_observed_factors_alone_are_a_regression_on_products():
    X, y, g = draw_panel()
    model = InstrumentedPCA(0, factors=g).fit(X, y)
    design = X.to_numpy() * g.reindex(X.index.get_level_values("date")).to_numpy()[:, None]
    expected = np.linalg.lstsq(design, y.to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(model.gamma_[:, 0], expected, atol=1e-10)
    assert model.factor_names_ == ["g"]
    assert model.score(X, y) == pytest.approx(plain_r2(model, X, y))


def test_observed_factors_may_be_polars_and_of_other_days_of_the_month():
    X, y, g = draw_panel()
    model = InstrumentedPCA(1, factors=g).fit(X, y)
    ends = g.set_axis(g.index.to_timestamp(how="end").normalize())
    np.testing.assert_allclose(InstrumentedPCA(1, factors=ends).fit(X, y).gamma_, model.gamma_)
    frame = pl.DataFrame({"date": ends.index.to_list(), "g": g.to_numpy()})
    np.testing.assert_allclose(InstrumentedPCA(1, factors=frame).fit(X, y).gamma_, model.gamma_)


def test_observed_factors_must_cover_the_dates():
    X, y, g = draw_panel()
    message = re.escape("`factors` must cover every date of X; got 2 of 40 dates that it lacks: ")
    with pytest.raises(ValueError, match=message + r"2003-03, 2003-04\. It goes from 2000-01"):
        InstrumentedPCA(1, factors=g[:-2]).fit(X, y)
    model = InstrumentedPCA(1, factors=g[:-2])
    early = X.index.get_level_values("date") < X.index[-1][0] - 1
    model.fit(X[early], y[early])
    assert np.isfinite(model.predict(X)).all()  # which needs no factors of those dates
    with pytest.raises(ValueError, match=message):
        model.update(X, y)


def test_observed_factors_need_dates():
    X, y, g = draw_panel()
    with (
        pytest.warns(MissingDatesWarning),
        pytest.raises(ValueError, match="`factors` must meet rows with dates; got rows without"),
    ):
        InstrumentedPCA(1, factors=g).fit(X.to_numpy(), y.to_numpy())


def test_alphas_are_part_of_what_is_expected():
    X, y, _ = draw_panel()
    model = InstrumentedPCA(1, intercept=True).fit(X, y)
    alphas = X @ model.alpha_
    np.testing.assert_allclose(model.alphas(X), alphas)
    last = X.loc[[model.dates_[-1]]]
    later = last.set_axis(last.index.set_levels(last.index.levels[0] + 12, level=0))
    expected = last @ model.alpha_ + last @ model.gamma_ @ model.risk_premia_.to_numpy()
    np.testing.assert_allclose(model.predict(later), expected)
    residuals = y - model.reconstruct(X, y)
    variance = model.risk_model(last).specific_variance
    assert variance.mean() == pytest.approx(residuals.var(), rel=0.1)
    assert not InstrumentedPCA(1).fit(X, y).alphas(X).any()


@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_specific_variance_is_that_of_residuals_less_their_leverage(ridge):
    X, y, g = draw_panel()
    y.iloc[::11] = np.nan
    model = InstrumentedPCA(2, intercept=True, factors=g, ridge=ridge).fit(X, y)
    fits = model.reconstruct(X, y)
    free = (y - fits) / (y - model.reconstruct(X, y, leave_one_out=True))
    today = X.loc[[model.dates_[-1]]]
    found = model.risk_model(today).specific_variance
    for asset in found.index[::9]:
        own = y.index.get_level_values("asset") == asset
        expected = ((y - fits)[own] ** 2).sum() / free[own].sum()
        assert found[asset] == pytest.approx(expected)


def test_a_ridge_shrinks_as_rows_with_one_characteristic_each_would():
    X, y, _ = draw_panel()
    model = InstrumentedPCA(2, ridge=0.3, tol=1e-9).fit(X, y)
    extra_X, extra_y = [X], [y]
    for date, Z in X.groupby(level="date"):
        size = np.sqrt(0.3 * (Z.to_numpy() ** 2).sum() / 5)
        index = pd.MultiIndex.from_product([[date], range(1000, 1005)], names=X.index.names)
        extra_X.append(pd.DataFrame(size * np.eye(5), index, X.columns))
        extra_y.append(pd.Series(0.0, index))
    expected = InstrumentedPCA(2, tol=1e-9).fit(pd.concat(extra_X), pd.concat(extra_y))
    np.testing.assert_allclose(model.gamma_, expected.gamma_, atol=1e-7)
    np.testing.assert_allclose(model.factor_returns_, expected.factor_returns_, atol=1e-7)
    assert model.score(X, y) < InstrumentedPCA(2).fit(X, y).score(X, y)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_collinear_columns_are_named_and_change_no_fit(ridge):
    X, y, _ = draw_panel()
    model = InstrumentedPCA(2, ridge=0.0).fit(X, y)
    wide = X.assign(copy=X["c1"], zero=0.0, mix=X["c0"] - 3 * X["c4"])
    message = re.escape(
        "The columns of X must be linearly independent; got column 'copy', column 'zero', column "
        "'mix', zero or made up of the columns before."
    )
    with pytest.warns(LinAlgWarning, match=message):
        other = InstrumentedPCA(2, ridge=ridge).fit(wide, y)
    np.testing.assert_allclose(other.gamma_.T @ other.gamma_, np.eye(2), atol=1e-10)
    null = np.array([[0, 1, 0, 0, 0, -1, 0, 0], [0] * 6 + [1, 0], [1, 0, 0, 0, -3, 0, 0, -1]])
    np.testing.assert_allclose(null @ other.gamma_, 0, atol=1e-9)
    if not ridge:
        np.testing.assert_allclose(other.reconstruct(wide, y), model.reconstruct(X, y), atol=1e-6)


def test_a_factor_on_a_column_that_begins_late_is_named():
    X, y, _ = draw_panel()
    dates = X.index.get_level_values("date")
    early = dates < dates.unique()[10]
    X["c1"] = X["c1"].where(~early, 0.0)
    f = pd.Series(np.random.default_rng(3).normal(size=dates.nunique()), dates.unique())
    y = y + 2.0 * X["c1"] * f.loc[dates].to_numpy()
    first, last = dates.unique()[[0, 9]]
    message = (
        f"On 10 of {dates.nunique()} dates, from {first} to {last}, characteristics hardly tell "
        "the latent factors apart: factor returns of those dates are poorly determined and can be "
        "huge, and so can premia that average them. The columns at fault are column 'c1'. Leave"
    )
    with pytest.warns(LinAlgWarning, match=re.escape(message)):
        InstrumentedPCA(3).fit(X, y)
    InstrumentedPCA(3, ridge=1e-2).fit(X, y)
    InstrumentedPCA(3).fit(X.drop(columns="c1"), y)


def test_factors_that_no_date_tells_apart_name_the_columns_they_are_made_of():
    X, y, _ = draw_panel()
    rng = np.random.default_rng(4)
    X["twin"] = X["c1"] + 1e-4 * rng.normal(size=len(X))
    y = y + 1e5 * (X["twin"] - X["c1"]) * rng.normal(size=200)[X.index.codes[0]]
    with pytest.warns(LinAlgWarning, match="at fault are column 'c1', column 'twin'. Leave"):
        InstrumentedPCA(3).fit(X, y)


def test_too_many_factors_are_refused():
    X, y, _ = draw_panel()
    message = "`n_factors` must be at most 5, the number of columns of X; got 12 (n_features=5)."
    with pytest.raises(ValueError, match=re.escape(message)):
        InstrumentedPCA(12).fit(X, y)
    message = "`n_factors` must be at most 4, one fewer than columns of X beside other loadings;"
    with pytest.raises(ValueError, match=re.escape(message)):
        InstrumentedPCA(5, intercept=True).fit(X, y)
    two = X.index.get_level_values("date") < X.index[0][0] + 2
    message = "`n_factors` must be at most 2, the number of dates; got 3."
    with pytest.raises(ValueError, match=re.escape(message)):
        InstrumentedPCA(3).fit(X[two], y[two])
    with pytest.raises(ValueError, match="`n_factors` must be at least 1 unless there are obs"):
        InstrumentedPCA(0).fit(X, y)
    same = pd.DataFrame({"a": X["c0"], "b": X["c0"]})
    message = "X must have at least 2 linearly independent columns for `n_factors` = 2; got 1"
    with pytest.raises(ValueError, match=message):
        InstrumentedPCA(2).fit(same, y)


def test_as_many_factors_as_columns_are_regressions_of_each_date():
    X, y, _ = draw_panel()
    model = InstrumentedPCA(5).fit(X, y)
    date = model.dates_[3]
    slopes = np.linalg.lstsq(X.loc[date].to_numpy(), y.loc[date].to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(model.gamma_ @ model.factor_returns_.loc[date], slopes, atol=1e-10)


def test_steps_that_do_not_suffice_are_told():
    X, y, _ = draw_panel()
    with pytest.warns(ConvergenceWarning, match=r"stopped after `max_iter` = 2 steps, before"):
        model = InstrumentedPCA(3, max_iter=2, tol=1e-12).fit(X, y)
    assert model.n_iter_ == 2


def test_verbose_prints_every_step(capsys):
    X, y, _ = draw_panel()
    model = InstrumentedPCA(2, verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_
    assert re.fullmatch(r"step +1: change \d\.\d\de-\d\d, R² 0\.8\d{5}", lines[0])


def test_an_interrupt_keeps_the_loadings_reached(monkeypatch):
    X, y, _ = draw_panel()
    calls = []
    original = AlternatingLeastSquares._loadings

    def interrupted(self, factors, cross):
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, factors, cross)

    monkeypatch.setattr(AlternatingLeastSquares, "_loadings", interrupted)
    model = InstrumentedPCA(3, tol=0.0)
    with pytest.raises(FitInterrupted):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert model.score(X, y) > 0.7


def test_weak_factors_end_no_worse_than_many_plain_steps():
    rng = np.random.default_rng(2)
    X, y, _ = draw_panel(n_dates=30, n_assets=30)
    y = pd.Series(rng.normal(size=len(y)), y.index)  # noise: the hardest to fit
    model = InstrumentedPCA(3).fit(X, y)
    gamma, _ = slow_als(X, y, 3, n_iter=60)
    slow = 0.0
    for date in model.dates_:
        betas, r = X.loc[date].to_numpy() @ gamma, y.loc[date].to_numpy()
        slow += ((r - betas @ np.linalg.lstsq(betas, r, rcond=None)[0]) ** 2).sum()
    assert plain_r2(model, X, y) >= 1 - slow / (y**2).sum() - 1e-9


def test_moments_are_all_that_is_used():
    X, y, _ = draw_panel()
    starts = np.r_[0, np.cumsum(y.groupby(level="date").size())]
    moments = moments_by_date(X.to_numpy(), y.to_numpy(), starts)
    found = AlternatingLeastSquares(moments, np.empty((40, 0)), 2).fit(max_iter=100, tol=1e-8)
    model = InstrumentedPCA(2, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(found.latent, model.gamma_, atol=1e-9)
    np.testing.assert_allclose(found.factors, model.factor_returns_, atol=1e-9)


def test_characteristics_in_single_precision_are_never_copied_whole(monkeypatch):
    X, y, _ = draw_panel()
    monkeypatch.setattr(_ipca_core, "_BLOCK_ROWS", 100)
    model = InstrumentedPCA(2).fit(X.astype(np.float32), y)
    betas = model.transform(X.astype(np.float32))
    np.testing.assert_allclose(betas, X.to_numpy(np.float32).astype(float) @ model.gamma_)


def test_dependent_columns_and_their_span():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(50, 4))
    assert independent_span(Z.T @ Z) is None
    assert len(dependent_columns(Z.T @ Z)) == 0
    table = np.c_[Z[:, 0], 1e5 * Z[:, 0], Z[:, 1], np.zeros(50), Z[:, 1] + 1e-3 * Z[:, 2]]
    np.testing.assert_array_equal(dependent_columns(table.T @ table), [1, 3])
    span, null = independent_span(table.T @ table)
    assert span.shape == (5, 3)
    np.testing.assert_allclose(span.T @ span, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(span.T @ [1, -1, 0, 0, 0], 0, atol=1e-9)
    np.testing.assert_allclose(null.T @ null, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(table @ null, 0, atol=1e-9)


def test_singular_systems_are_solved_by_least_norm():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 3))
    matrix = root @ root.T
    target = matrix @ rng.normal(size=5)
    np.testing.assert_allclose(
        solve_symmetric(matrix, target), np.linalg.pinv(matrix) @ target, atol=1e-10
    )
    full = matrix + np.eye(5)
    np.testing.assert_allclose(solve_symmetric(full, target), np.linalg.solve(full, target))
