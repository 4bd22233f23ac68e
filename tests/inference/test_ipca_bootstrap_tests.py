"""The bootstrap tests of instrumented PCA: a slow bootstrap, size and power, refusals."""

import re

import numpy as np
import pandas as pd
import pytest

from skfactor.factor_models import InstrumentedPCA, PCAFactorModel
from skfactor.inference import ipca_alpha_test, ipca_characteristic_test
from skfactor.inference._ipca_tests import _square_roots


def draw_panel(seed=0, alpha=0.0, n_dates=30, n_assets=25, gappy=True):
    """Betas on the first two characteristics, alphas on the third."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [pd.period_range("2000-01", periods=n_dates, freq="M"), range(n_assets)],
        names=["date", "asset"],
    )
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), 4)), index, list("abcd"))
    f = rng.normal(0.01, 0.05, n_dates)[index.codes[0]]
    y = (X["a"] + 0.5 * X["b"]) * f + alpha * X["c"] + rng.normal(0, 0.05, len(index))
    if gappy:
        kept = rng.random(len(index)) < 0.8
        return X[kept], y[kept]
    return X, y


def slow_draws(model, X, y, null, n_resamples, seed, row=None):
    """Refit whole panels that have the managed returns of each sample."""
    dates = model.dates_
    gamma = np.column_stack([model.gamma_, model.alpha_])
    F = np.column_stack([model.factor_returns_, np.ones(len(dates))])
    # In these units of the characteristics square roots are taken.
    sizes = np.sqrt((X**2).mean().to_numpy())
    X, gamma, null = X / sizes, gamma * sizes[:, None], null * sizes[:, None]
    Z = [X.loc[d].to_numpy() for d in dates]
    roots, inverses, residuals = [], [], []
    for t, d in enumerate(dates):
        values, vectors = np.linalg.eigh(Z[t].T @ Z[t])
        roots.append(vectors @ np.diag(np.sqrt(values)) @ vectors.T)
        inverses.append(np.linalg.inv(roots[-1]))
        residuals.append(inverses[-1] @ (Z[t].T @ (y.loc[d] - Z[t] @ gamma @ F[t])))
    state = np.random.RandomState(seed)  # as random_state=seed draws its seed
    rng = np.random.default_rng(state.randint(2**31 - 1))
    out = []
    for _ in range(n_resamples):
        q = rng.standard_t(5, len(dates)) / np.sqrt(5 / 3)
        s = rng.integers(len(dates), size=len(dates))
        returns = []
        for t in range(len(dates)):
            shock = roots[t] @ (q[t] * residuals[s[t]])
            # Returns whose products with the characteristics are the sample's.
            slopes = null @ F[t] + np.linalg.solve(Z[t].T @ Z[t], shock)
            returns.append(Z[t] @ slopes)
        refit = InstrumentedPCA(model.n_factors, intercept=model.intercept, tol=1e-9)
        refit.fit(X * sizes, pd.Series(np.concatenate(returns), X.index))
        out.append(refit.alpha_ @ refit.alpha_ if row is None else (refit.gamma_[row] ** 2).sum())
    return np.array(out)


def test_alpha_test_equals_refitting_whole_panels():
    X, y = draw_panel(alpha=0.003)
    model = InstrumentedPCA(1, intercept=True).fit(X, y)
    null = np.column_stack([model.gamma_, np.zeros(4)])
    draws = slow_draws(model, X, y, null, 19, seed=3)
    test = ipca_alpha_test(model, X, y, n_resamples=19, random_state=3)
    assert test.statistic == pytest.approx(model.alpha_ @ model.alpha_)
    assert test.p_value == (1 + (draws >= test.statistic).sum()) / 20
    assert f"are below {np.quantile(draws, 0.95):.2g}"[:-1] in test.notes[0]
    assert test.null == "Characteristics earn no alphas: Gamma_alpha is zero."
    assert test.df == (19,)


@pytest.mark.parametrize("intercept", [False, True])
def test_characteristic_test_equals_refitting_whole_panels(intercept):
    X, y = draw_panel()
    model = InstrumentedPCA(1, intercept=intercept).fit(X, y)
    null = np.column_stack([model.gamma_, model.alpha_])
    null[3, 0] = 0.0
    draws = slow_draws(model, X, y, null, 19, seed=5, row=3)
    test = ipca_characteristic_test(model, X, y, "d", n_resamples=19, random_state=5)
    assert test.statistic == pytest.approx((model.gamma_[3] ** 2).sum())
    assert test.p_value == (1 + (draws >= test.statistic).sum()) / 20
    assert "The characteristic 'd' moves no beta" in test.null


def test_what_is_there_is_found_and_what_is_not_is_not():
    X, y = draw_panel(alpha=0.04)
    model = InstrumentedPCA(1, intercept=True).fit(X, y)
    assert ipca_alpha_test(model, X, y, n_resamples=99, random_state=0).p_value == 0.01
    X, y = draw_panel()
    model = InstrumentedPCA(1).fit(X, y)
    found = [
        ipca_characteristic_test(model, X, y, j, n_resamples=49, random_state=0).p_value
        for j in range(4)
    ]
    assert max(found[:2]) <= 0.05
    assert min(found[2:]) > 0.1


def test_p_values_are_even_under_the_null():
    found = []
    for seed in range(25):
        X, y = draw_panel(seed, n_dates=20, n_assets=12)
        model = InstrumentedPCA(1, intercept=True, tol=1e-4).fit(X, y)
        found.append(ipca_alpha_test(model, X, y, n_resamples=19, random_state=seed).p_value)
    assert 0.35 < np.mean(found) < 0.65
    assert np.mean(np.array(found) <= 0.25) < 0.45


def test_dates_with_few_assets_do_not_upset_the_samples():
    X, y = draw_panel(n_dates=30)
    first = X.index.get_level_values("date") < X.index[0][0] + 6
    kept = ~first | (X.groupby("date").cumcount() < 2)
    X, y = X[kept], y[kept]
    model = InstrumentedPCA(1, intercept=True).fit(X, y)
    test = ipca_alpha_test(model, X, y, n_resamples=49, random_state=0)
    assert test.p_value > 0.05
    assert len(test.notes) == 1  # every draw converged


def test_observed_factors_and_arrays_are_taken():
    X, y = draw_panel()
    rng = np.random.default_rng(0)
    dates = X.index.levels[0]
    g = pd.DataFrame({"g": rng.normal(0, 0.05, len(dates))}, dates)
    model = InstrumentedPCA(1, factors=g, intercept=True)
    names = {"dates": X.index.get_level_values(0), "assets": X.index.get_level_values(1)}
    model.fit(X.to_numpy(), y.to_numpy(), **names)
    call = {**names, "n_resamples": 19, "random_state": 0}
    by_place = ipca_characteristic_test(model, X.to_numpy(), y.to_numpy(), 3, **call)
    assert by_place.statistic == pytest.approx((model.gamma_[3] ** 2).sum())
    assert "The characteristic in column 3 moves no beta" in by_place.null
    assert 0 < ipca_alpha_test(model, X.to_numpy(), y.to_numpy(), **call).p_value <= 1


def test_seeds_decide_and_the_global_state_is_left_alone():
    X, y = draw_panel()
    model = InstrumentedPCA(1, intercept=True).fit(X, y)
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    one, two = (ipca_alpha_test(model, X, y, n_resamples=9, random_state=7) for _ in range(2))
    assert one == two
    assert ipca_alpha_test(model, X, y, n_resamples=9, random_state=8) != one
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_without_a_seed_a_report_says_the_same_again():
    X, y = draw_panel()
    model = InstrumentedPCA(1, intercept=True).fit(X, y)
    one, two = (ipca_alpha_test(model, X, y, n_resamples=9) for _ in range(2))
    assert one == two
    one, two = (ipca_characteristic_test(model, X, y, "a", n_resamples=9) for _ in range(2))
    assert one == two


def test_fitted_premia_updated_later_do_not_matter():
    X, y = draw_panel()
    early = X.index.get_level_values("date") < X.index[0][0] + 20
    model = InstrumentedPCA(1, intercept=True).fit(X[early], y[early])
    before = ipca_alpha_test(model, X[early], y[early], n_resamples=9, random_state=0)
    model.update(X, y)
    assert ipca_alpha_test(model, X[early], y[early], n_resamples=9, random_state=0) == before


def test_dates_without_returns_are_left_out():
    X, y = draw_panel()
    dark = X.index.levels[0][[0, 12]]
    y.loc[dark] = np.nan
    lit = ~X.index.get_level_values(0).isin(dark)
    for n_factors in (0, 1):
        found = []
        for rows in (slice(None), lit):
            model = InstrumentedPCA(n_factors, intercept=True).fit(X[rows], y[rows])
            test = ipca_alpha_test(model, X[rows], y[rows], n_resamples=19, random_state=0)
            found.append((test.statistic, test.p_value))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-4)
    found = [
        ipca_characteristic_test(
            InstrumentedPCA().fit(X[rows], y[rows]), X[rows], y[rows], "a", n_resamples=9
        ).statistic
        for rows in (slice(None), lit)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_samples_do_not_depend_on_the_units_of_a_column():
    X, y = draw_panel()
    found = []
    for unit in (1.0, 1e9):
        scaled = X.assign(d=unit * X["d"])
        model = InstrumentedPCA(tol=1e-9).fit(scaled, y)
        test = ipca_characteristic_test(model, scaled, y, "d", n_resamples=49, random_state=0)
        found.append(test.p_value)
    assert found[1] == pytest.approx(found[0], abs=0.05)


def test_other_data_are_refused():
    X, y = draw_panel()
    model = InstrumentedPCA(1, intercept=True).fit(X, y)
    with pytest.raises(ValueError, match="that the model was fitted on; got other factor returns"):
        ipca_alpha_test(model, X, 2 * y)
    early = X.index.get_level_values("date") < X.index[0][0] + 20
    with pytest.raises(ValueError, match="that the model was fitted on; got other dates"):
        ipca_alpha_test(model, X[early], y[early])


def test_models_that_have_nothing_to_test_are_refused():
    X, y = draw_panel()
    model = InstrumentedPCA(1).fit(X, y)
    with pytest.raises(ValueError, match="must be fitted with `intercept=True`, for there to be"):
        ipca_alpha_test(model, X, y)
    with pytest.raises(ValueError, match=r"got 'e' \('a', 'b', 'c', 'd'\)"):
        ipca_characteristic_test(model, X, y, "e")
    with pytest.raises(ValueError, match=r"position of a column of X, below 4; got 4"):
        ipca_characteristic_test(model, X, y, 4)
    with pytest.raises(ValueError, match="'model' parameter of ipca_alpha_test must be an inst"):
        ipca_alpha_test(PCAFactorModel().fit(X, y), X, y)
    wide = X.assign(e=X["d"])
    with pytest.warns(match="linearly independent"):
        model.fit(wide, y)
    message = re.escape("The loadings of a characteristic must be determined; got 'd', which is")
    with pytest.raises(ValueError, match=message):
        ipca_characteristic_test(model, wide, y, "d")
    assert ipca_characteristic_test(model, wide, y, "a", n_resamples=9).p_value == 0.1


def test_square_roots_and_their_inverses():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 4, 2))
    gram = root @ root.transpose(0, 2, 1)
    half, inverse = _square_roots(gram)
    np.testing.assert_allclose(half @ half, gram, atol=1e-12)
    np.testing.assert_allclose(inverse @ inverse, np.linalg.pinv(gram), atol=1e-8)
