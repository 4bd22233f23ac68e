import copy
import pickle
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor._nn import _members
from skfactor._nn._training import TensorNet
from skfactor.exceptions import FitInterrupted
from skfactor.factor_models import ConditionalAutoencoderFactorModel as CAE
from skfactor.inspection import scorecard
from skfactor.metrics import make_factor_scorer, total_r2_scorer
from skfactor.model_selection import PanelSplit, WalkForward

N_DATES, N_ASSETS = 24, 30
QUICK = {
    "n_factors": 1,
    "hidden_layer_sizes": (8,),
    "n_members": 2,
    "max_epochs": 40,
    "device": "cpu",
    "random_state": 0,
}


def make_panel(n_dates=N_DATES, n_assets=N_ASSETS, seed=0, noise=0.01):
    """Returns whose betas are the square of one characteristic."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [pd.period_range("2020-01", periods=n_dates, freq="M"), range(n_assets)],
        names=["date", "asset"],
    )
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), 3)), index, columns=["a", "b", "c"])
    factor = pd.Series(rng.normal(0.02, 0.05, n_dates), index.levels[0])
    y = X["a"] ** 2 * factor.loc[index.get_level_values(0)].to_numpy()
    return X, (y + rng.normal(0, noise, len(index))).rename("excess"), factor


@pytest.fixture(scope="module")
def panel():
    return make_panel()


@pytest.fixture(scope="module")
def fitted(panel):
    X, y, _ = panel
    return CAE(**QUICK).fit(X, y)


def at(panel, first, last):
    dates = panel.index.get_level_values("date")
    unique = dates.unique()
    return panel[(dates >= unique[first]) & (dates <= unique[last])]


def test_betas_that_are_not_linear_are_found():
    X, y, factor = make_panel(36, 60)
    model = CAE(**{**QUICK, "max_epochs": 120}).fit(at(X, 0, 23), at(y, 0, 23))
    X_test, y_test = at(X, 24, 35), at(y, 24, 35)
    truth = X_test["a"] ** 2 * factor.loc[X_test.index.get_level_values(0)].to_numpy()
    oracle = 1 - ((y_test - truth) ** 2).sum() / (y_test**2).sum()
    assert model.score(X_test, y_test) > oracle - 0.05
    found = model.factor_returns(X_test, y_test)["factor1"]
    assert np.corrcoef(found, factor.iloc[24:])[0, 1] > 0.98


def test_betas_equal_a_loop_over_rows_and_layers(panel, fitted):
    X, _, _ = panel
    member = fitted.members_[0]
    rows = X.to_numpy()[:5]
    expected = []
    for row in rows:
        values = row
        for weight, bias in zip(
            member.network.weights[:-1], member.network.biases[:-1], strict=True
        ):
            values = np.array([max(values @ weight[:, j] + bias[j], 0) for j in range(len(bias))])
        expected.append(values @ member.network.weights[-1] + member.network.biases[-1])
    np.testing.assert_allclose(member.network(rows), expected, rtol=1e-12)


@pytest.mark.parametrize("K", [1, 2])
def test_fits_equal_a_loop_over_members_and_dates(panel, K):
    X, y, _ = panel
    y = y.copy()
    y.iloc[[3, 40, 41]] = np.nan
    model = CAE(**{**QUICK, "n_factors": K, "max_epochs": 5}).fit(X, y)
    plain, without = [], []
    for member in model.members_:
        betas = member.network(X.to_numpy())
        fits, others = np.empty(len(X)), np.empty(len(X))
        for date in X.index.levels[0]:
            here = np.flatnonzero(X.index.get_level_values(0) == date)
            known = here[~np.isnan(y.to_numpy()[here])]
            B, r = betas[known], y.to_numpy()[known]
            strength = model.ridge * np.trace(B.T @ B) / K * np.eye(K)
            fits[here] = betas[here] @ np.linalg.solve(B.T @ B + strength, B.T @ r)
            for i in here:
                rest = known[known != i]
                B, r = betas[rest], y.to_numpy()[rest]
                others[i] = betas[i] @ np.linalg.solve(B.T @ B + strength, B.T @ r)
        plain.append(fits)
        without.append(others)
    np.testing.assert_allclose(model.reconstruct(X, y), np.mean(plain, axis=0), rtol=1e-8)
    left_out = model.reconstruct(X, y, leave_one_out=True)
    np.testing.assert_allclose(left_out, np.mean(without, axis=0), rtol=1e-7, atol=1e-12)
    seen = y.notna()
    error = ((y - left_out)[seen] ** 2).sum() / (y[seen] ** 2).sum()
    assert model.score(X, y) == pytest.approx(1 - error)


def assert_nearly_the_best(fits, best, y):
    """Assert that fits reach the least squares of a closed form, to what descent can reach."""
    total = (y**2).sum()
    assert ((y - fits) ** 2).sum() / total == pytest.approx(
        ((y - best) ** 2).sum() / total, abs=1e-3
    )
    assert ((fits - best) ** 2).sum() / total < 1e-3


def test_a_linear_network_on_the_returns_of_a_balanced_panel_is_pca():
    rng = np.random.default_rng(0)
    n_dates, n_assets, K = 40, 6, 2
    R = rng.normal(size=(n_dates, K)) @ rng.normal(size=(K, n_assets))
    R += 0.3 * rng.normal(size=R.shape)
    index = pd.MultiIndex.from_product(
        [pd.period_range("2020-01", periods=n_dates, freq="M"), range(n_assets)],
        names=["date", "asset"],
    )
    X = pd.DataFrame(np.tile(np.eye(n_assets), (n_dates, 1)), index)
    y = pd.Series(R.ravel(), index)
    U, s, Vt = np.linalg.svd(R, full_matrices=False)
    components = (U[:, :K] * s[:K]) @ Vt[:K]
    for side in ("returns", "least_squares"):
        model = CAE(
            K,
            hidden_layer_sizes=(),
            factor_side=side,
            l1=0,
            ridge=1e-6,
            validation_fraction=0,
            patience=None,
            max_epochs=400,
            batch_size=n_dates,
            learning_rate=0.03,
            n_members=1,
            random_state=0,
        ).fit(X, y)
        assert_nearly_the_best(model.reconstruct(X, y), components.ravel(), y)


@pytest.mark.parametrize("side", ["managed", "least_squares"])
def test_a_linear_network_is_instrumented_pca_where_characteristics_have_constant_moments(side):
    rng = np.random.default_rng(0)
    n_dates, n_assets, n_features, K = 40, 12, 4, 2
    ones = np.ones((n_assets, 1))
    Z = np.stack(
        [
            np.linalg.qr(np.hstack([ones, rng.normal(size=(n_assets, n_features))]))[0]
            for _ in range(n_dates)
        ]
    ) * np.sqrt(n_assets)
    gamma, f = rng.normal(size=(n_features + 1, K)), rng.normal(size=(n_dates, K))
    R = np.einsum("tnp,pk,tk->tn", Z, gamma, f) + 0.5 * rng.normal(size=(n_dates, n_assets))
    # With Z'Z = N I, the loadings are the principal components of the managed portfolios.
    portfolios = np.einsum("tnp,tn->tp", Z, R) / n_assets
    _, vectors = np.linalg.eigh(portfolios.T @ portfolios)
    loadings = vectors[:, -K:]
    expected = np.einsum("tnp,tp->tn", Z, portfolios @ loadings @ loadings.T)
    index = pd.MultiIndex.from_product(
        [pd.period_range("2020-01", periods=n_dates, freq="M"), range(n_assets)],
        names=["date", "asset"],
    )
    # The constant column is the network's bias.
    X, y = pd.DataFrame(Z[:, :, 1:].reshape(-1, n_features), index), pd.Series(R.ravel(), index)
    model = CAE(
        K,
        hidden_layer_sizes=(),
        factor_side=side,
        l1=0,
        ridge=1e-6,
        validation_fraction=0,
        patience=None,
        max_epochs=400,
        batch_size=n_dates,
        learning_rate=0.03,
        n_members=1,
        random_state=0,
    ).fit(X, y)
    assert_nearly_the_best(model.reconstruct(X, y), expected.ravel(), y)


@pytest.mark.parametrize("side", ["least_squares", "managed", "returns"])
def test_nothing_is_explained_of_pure_noise(side):
    rng = np.random.default_rng(0)
    X, y, _ = make_panel(60, 50)
    y[:] = rng.normal(size=len(y))
    params = {**QUICK, "n_factors": 3, "factor_side": side}
    model = CAE(**params).fit(at(X, 0, 29), at(y, 0, 29))
    X_test, y_test = at(X, 30, 59), at(y, 30, 59)
    assert model.score(X_test, y_test) < 0.005
    if side == "least_squares":  # the plain fit takes each return for a part of itself
        plain = model.reconstruct(X_test, y_test)
        assert 1 - ((y_test - plain) ** 2).sum() / (y_test**2).sum() > 0.02


@pytest.mark.parametrize(
    "changes",
    [
        {"factor_side": "managed"},
        {"factor_side": "returns"},
        {"factor_side": "external"},
        {"batch_norm": "after", "hidden_layer_sizes": (8, 6)},
        {"batch_norm": None, "dropout": 0.1},
        {"n_factors": 2},
        {"hidden_layer_sizes": 8, "patience": None, "max_epochs": 10},
        {"validation_fraction": 0},
    ],
)
def test_two_fits_with_one_seed_are_equal_whatever_the_order_of_rows(panel, changes):
    X, y, factor = panel
    params = {**QUICK, "max_epochs": 8, **changes}
    if params.get("factor_side") == "external":
        params["portfolios"] = pd.DataFrame({"one": factor, "two": -factor + 0.01})
    model = CAE(**params).fit(X, y)
    mixed = np.random.default_rng(1).permutation(len(X))
    again = CAE(**params).fit(X.iloc[mixed], y.iloc[mixed])
    # To rounding: another order of rows is another layout in memory.
    np.testing.assert_allclose(
        model.predict(X).iloc[mixed], again.predict(X.iloc[mixed]), rtol=1e-6, atol=1e-9
    )
    pd.testing.assert_frame_equal(model.factor_returns_, again.factor_returns_)
    twin = CAE(**params).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))
    assert np.isfinite(model.score(X, y))


def test_slopes_of_collinear_characteristics_do_not_drown_the_market():
    rng = np.random.default_rng(0)
    X, _, factor = make_panel(60, 60)
    X["c"] = X["b"] + 0.001 * rng.normal(size=len(X))  # slopes a hundred times the market's size
    market = factor.loc[X.index.get_level_values(0)].to_numpy()
    y = (1 + 0.5 * X["a"]) * market + rng.normal(0, 0.03, len(X))
    model = CAE(**{**QUICK, "factor_side": "managed"}).fit(X, y)
    assert model.score(X, y) > 0.9 * (1 - 0.03**2 / np.mean(y**2))


def test_factors_linear_in_portfolios_are_the_portfolios_times_weights(panel):
    X, y, factor = panel
    frame = pd.DataFrame({"one": factor, "two": np.random.default_rng(0).normal(size=N_DATES)})
    params = {**QUICK, "max_epochs": 5, "n_members": 1, "factor_side": "external"}
    model = CAE(**params, portfolios=100 * frame).fit(X, y)
    member = model.members_[0]
    raw = 100 * frame.to_numpy() @ member.factor_weights
    fits = np.einsum("nk,nk->n", member.network(X.to_numpy()), np.repeat(raw, N_ASSETS, axis=0))
    np.testing.assert_allclose(model.reconstruct(X, y), fits, rtol=1e-8, atol=1e-12)
    # The unit of the portfolios does not matter to what is learnt.
    other = CAE(**params, portfolios=frame).fit(X, y)
    np.testing.assert_allclose(model.reconstruct(X, y), other.reconstruct(X, y), rtol=1e-3)


def test_managed_factors_earn_nothing_on_a_missing_return(panel):
    X, y, _ = panel
    y = y.copy()
    y.iloc[::7] = np.nan
    model = CAE(**{**QUICK, "max_epochs": 5, "n_members": 1, "factor_side": "managed"}).fit(X, y)
    member = model.members_[0]
    fits, own = np.empty(len(X)), np.empty(len(X))
    for date in X.index.levels[0]:
        here = np.flatnonzero(X.index.get_level_values(0) == date)
        Z = np.column_stack([np.ones(len(here)), X.to_numpy()[here]])
        r = np.nan_to_num(y.to_numpy()[here])
        betas = member.network(X.to_numpy()[here])
        fits[here] = betas @ (np.linalg.solve(Z.T @ Z, Z.T @ r) @ member.factor_weights)
        hat = betas @ member.factor_weights.T @ np.linalg.inv(Z.T @ Z) @ Z.T
        own[here] = np.where(y.isna().to_numpy()[here], 0.0, np.diag(hat))
    np.testing.assert_allclose(model.reconstruct(X, y), fits, rtol=1e-6, atol=1e-10)
    left_out = (fits - own * np.nan_to_num(y)) / (1 - own)
    np.testing.assert_allclose(
        model.reconstruct(X, y, leave_one_out=True), left_out, rtol=1e-6, atol=1e-10
    )


def test_observed_factors_stand_beside_latent_ones():
    X, y, factor = make_panel(36, 40)
    market = pd.Series(np.random.default_rng(2).normal(0.01, 0.04, 36), factor.index, name="mkt")
    y = y + X["b"] * market.loc[X.index.get_level_values(0)].to_numpy()
    params = {**QUICK, "max_epochs": 150, "n_members": 1}
    model = CAE(**params, factors=100 * market.to_frame()).fit(X, y)
    assert model.factor_names_ == ["factor1", "mkt"]
    np.testing.assert_allclose(model.factor_returns_["mkt"], 100 * market)
    betas = model.transform(X)
    assert np.corrcoef(betas["mkt"], X["b"])[0, 1] > 0.9
    assert (100 * betas["mkt"]).std() == pytest.approx(X["b"].std(), rel=0.3)
    assert model.score(X, y) > CAE(**params).fit(X, y).score(X, y) + 0.05


def test_betas_on_observed_factors_alone_need_no_latent_one(panel):
    X, y, factor = panel
    model = CAE(**{**QUICK, "n_factors": 0}, factors=factor.to_frame("given")).fit(X, y)
    assert model.factor_names_ == ["given"]
    assert model.score(X, y) > 0.5


def test_realised_returns_may_be_a_polars_frame_with_dates_first(panel):
    X, y, _ = panel
    X, y = (data.rename(str, level="asset") for data in (X, y))
    ahead = y.groupby("asset").shift(-1)
    params = {**QUICK, "max_epochs": 2, "horizon": 1}
    wide = y.unstack("asset")
    table = pl.DataFrame({"date": wide.index.to_timestamp(), **wide})
    model = CAE(**params, returns=wide).fit(X, ahead)
    other = CAE(**params, returns=table).fit(X, ahead)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    np.testing.assert_array_equal(other.factor_returns(X, ahead), model.factor_returns(X, ahead))


def test_a_forward_target_takes_its_factors_from_realised_returns(panel):
    X, y, _ = panel
    ahead = y.groupby("asset").shift(-1)
    params = {**QUICK, "max_epochs": 5, "horizon": 1}
    model = CAE(**params, returns=y).fit(X, ahead)
    wide = CAE(**params, returns=y.unstack("asset")).fit(X, ahead)
    np.testing.assert_array_equal(model.predict(X), wide.predict(X))
    later = y.copy()
    later.loc[y.index.levels[0][5]] = 0.0
    moved = CAE(**params, returns=y).fit(X, ahead)
    moved.returns = later
    changed = model.factor_returns(X, ahead) != moved.factor_returns(X, ahead)
    assert changed.index[changed.any(axis=1)].tolist() == [y.index.levels[0][5]]
    # The fit of a forward target does not use it, so that nothing is left out of it.
    np.testing.assert_array_equal(
        model.reconstruct(X, ahead), model.reconstruct(X, ahead, leave_one_out=True)
    )


def test_targets_that_reach_into_the_dates_to_score_are_refused(panel):
    X, y, _ = panel
    ahead = y.groupby("asset").shift(-1)
    months = X.index.levels[0]
    model = CAE(**{**QUICK, "max_epochs": 2, "horizon": 1}, returns=y)
    model.fit(X.loc[: months[15]], ahead.loc[: months[15]])
    message = "more than the horizon of 1 after the last of fit.* got 0 between .*gap=1"
    for score in (model.score, lambda *late: total_r2_scorer(model, *late)):
        with pytest.raises(ValueError, match=message):
            score(X.loc[months[16] :], ahead.loc[months[16] :])
        assert np.isfinite(score(X.loc[months[17] :], ahead.loc[months[17] :]))
    assert np.isfinite(model.score(X.loc[: months[15]], ahead.loc[: months[15]]))
    with pytest.raises(ValueError, match=message):
        scorecard(model, X.loc[months[16] :], ahead.loc[months[16] :])
    split = PanelSplit(2, test_size=6, gap=0)
    with pytest.raises(ValueError, match=message):
        cross_validate(model, X, ahead, cv=split, error_score="raise")
    search = GridSearchCV(model, {"n_factors": [1]}, cv=split)
    with pytest.raises(ValueError, match=r"got gap=0 and embargo=0 in the cv of GridSearchCV"):
        WalkForward(search, PanelSplit(2, test_size=6, gap=1)).fit(X, ahead)


@pytest.mark.parametrize("side", ["least_squares", "managed", "returns", "external"])
@pytest.mark.parametrize("horizon", [0, 1])
def test_all_that_factors_are_made_of_may_be_taken_in_parts(panel, monkeypatch, side, horizon):
    X, y, factor = panel
    params = {**QUICK, "max_epochs": 3, "factor_side": side, "horizon": horizon}
    if side == "external":
        params["portfolios"] = pd.DataFrame({"one": factor, "two": 0.01 - factor})
    target = y
    if horizon:
        params["returns"], target = y, y.groupby("asset").shift(-1)
    observed = pd.Series(np.sin(np.arange(N_DATES)), factor.index, name="market")
    model = CAE(**params, factors=observed.to_frame()).fit(X, target)
    expected = model.reconstruct(X, target, leave_one_out=True), model.factor_returns(X, target)
    for n_dates in (1, 5):
        monkeypatch.setattr("skfactor.factor_models._parts._MOST_ROWS", n_dates * N_ASSETS)
        model.fit(X, target)
        found = model.reconstruct(X, target, leave_one_out=True), model.factor_returns(X, target)
        for values, reference in zip(found, expected, strict=True):
            np.testing.assert_allclose(values, reference, rtol=1e-9, atol=1e-12)


def test_a_date_without_realised_returns_says_nothing_of_premia(panel):
    X, y, _ = panel
    ahead = y.groupby("asset").shift(-1)
    first, known = X.index.levels[0][3], y.copy()
    known.loc[first] = np.nan
    quick = {**QUICK, "max_epochs": 2, "horizon": 1}
    for side in ("least_squares", "managed"):
        model = CAE(**quick, factor_side=side, returns=known).fit(X, ahead)
        assert first not in model.factor_returns_.index
        np.testing.assert_allclose(model.risk_premia_, model.factor_returns_.mean())
        assert model.factor_returns(X, ahead).loc[first].isna().all()


def test_targets_not_known_yet_do_not_stop_an_update(panel):
    X, y, _ = panel
    ahead = y.groupby("asset").shift(-1)
    before, last = X.index.levels[0][22], X.index.levels[0][23]
    model = CAE(**{**QUICK, "max_epochs": 2, "horizon": 1}, returns=y)
    model.fit(X.loc[:before], ahead.loc[:before])
    assert ahead.loc[[last]].isna().all()
    model.update(X.loc[[last]], ahead.loc[[last]])
    assert last in model.factor_returns_.index


def test_realised_returns_are_for_targets_that_lie_ahead(panel):
    X, y, _ = panel
    with pytest.raises(ValueError, match=r"`returns` must be None where horizon=0"):
        CAE(**QUICK, returns=y).fit(X, y)


def test_a_scorecard_of_a_model_that_needs_every_return_leaves_no_halves_out(panel):
    X, y, _ = panel
    model = CAE(**{**QUICK, "max_epochs": 2}, factor_side="returns").fit(X, y)
    r2 = scorecard(model, X, y).r2
    assert r2["total"].notna().all()
    assert r2["total_left_out"].isna().tolist() == [False, True, True]
    with pytest.raises(ValueError, match="Pass leave_one_out=False for the plain fit"):
        make_factor_scorer("total_r2", on="managed")(model, X, y)


def test_targets_that_overlap_the_dates_held_out_are_not_learnt_from(panel):
    X, y, _ = panel
    params = {**QUICK, "max_epochs": 6, "horizon": 2, "validation_fraction": 0.25, "returns": y}
    dates = X.index.get_level_values(0)
    months = dates.unique()
    target = y.copy()
    model = CAE(**params).fit(X, target)
    target[dates.isin(months[16:18])] = 5.0  # 24 dates, 6 held out, 2 between
    gap = CAE(**params).fit(X, target)
    np.testing.assert_array_equal(model.predict(X), gap.predict(X))
    target[dates == months[15]] = 5.0
    assert (CAE(**params).fit(X, target).predict(X) != model.predict(X)).any()


def test_dates_held_out_are_the_last_and_only_watched(panel):
    X, y, _ = panel
    model = CAE(**QUICK).fit(X, y)
    other = y.copy()
    other.loc[X.index.levels[0][-7:]] *= -3.0  # 8 of 24 dates are held out
    moved = CAE(**QUICK).fit(X, other)
    both = zip(model.history_, moved.history_, strict=True)
    for left, right in both:
        n = min(len(left["train_loss"]), len(right["train_loss"]))
        np.testing.assert_array_equal(left["train_loss"][:n], right["train_loss"][:n])
        assert left["valid_loss"][0] != right["valid_loss"][0]


def test_history_and_counts_describe_the_members(fitted):
    assert len(fitted.members_) == len(fitted.history_) == 2
    for member, history in zip(fitted.members_, fitted.history_, strict=True):
        assert set(history) == {"train_loss", "valid_loss"}
        assert member.best_epoch == history["valid_loss"].argmin() + 1
        assert len(history["train_loss"]) == len(history["valid_loss"]) <= 40
        assert history["valid_loss"].min() < 0.7
    # 3 x 8 weights, scale and shift of 8 units, 8 + 1 for the betas.
    assert fitted.n_parameters_ == 24 + 16 + 9


def test_without_dates_held_out_the_training_loss_is_watched(panel):
    X, y, _ = panel
    model = CAE(**{**QUICK, "validation_fraction": 0}).fit(X, y)
    for member, history in zip(model.members_, model.history_, strict=True):
        assert set(history) == {"train_loss"}
        assert member.best_epoch == history["train_loss"].argmin() + 1


def test_without_patience_the_last_weights_are_kept(panel):
    X, y, _ = panel
    model = CAE(**{**QUICK, "patience": None, "max_epochs": 7}).fit(X, y)
    assert [member.best_epoch for member in model.members_] == [7, 7]


def test_a_panel_of_any_shape_is_fitted():
    X, y, _ = make_panel(16, 12)
    rng = np.random.default_rng(3)
    keep = rng.random(len(X)) > 0.3
    dates, assets = X.index.get_level_values(0), X.index.get_level_values(1)
    months = dates.unique()
    keep[(dates == months[2]) & (assets > 0)] = False  # one asset
    keep[dates == months[2]] |= assets[dates == months[2]] == 0
    keep[(dates == months[4]) & (assets > 1)] = False  # fewer assets than factors
    keep[(assets == 5) & (dates > months[3])] = False  # gone for good
    y = y.copy()
    y[dates == months[6]] = np.nan  # no return at all
    y[(dates == months[7]) & (assets > 1)] = np.nan
    X = X.copy()
    X.loc[dates == months[8], "b"] = 0.5  # constant on a date
    X, y = X[keep], y[keep]
    for side in ("least_squares", "managed"):
        model = CAE(**{**QUICK, "n_factors": 3, "max_epochs": 5, "factor_side": side}).fit(X, y)
        assert np.isfinite(model.predict(X)).all()
        assert np.isfinite(model.reconstruct(X, y)).all()
        assert np.isfinite(model.reconstruct(X, y, leave_one_out=True)).all()
        assert np.isfinite(model.score(X, y))
        assert months[6] not in model.factor_returns_.index


def test_later_dates_do_not_move_earlier_output(panel):
    X, y, _ = panel
    model = CAE(**{**QUICK, "max_epochs": 5}).fit(at(X, 0, 11), at(y, 0, 11))
    updated = copy.deepcopy(model).update(X, y)
    other_X, other_y = X.copy(), y.copy()
    later = X.index.get_level_values(0) > X.index.levels[0][17]
    other_X[later], other_y[later] = 0.0, 9.0
    perturbed = copy.deepcopy(model).update(other_X, other_y)
    known = ~later
    np.testing.assert_array_equal(updated.predict(X)[known], perturbed.predict(other_X)[known])
    np.testing.assert_array_equal(
        updated.reconstruct(X, y)[known], perturbed.reconstruct(other_X, other_y)[known]
    )


def test_numpy_and_polars_with_dates_give_what_pandas_gives(panel):
    X, y, _ = panel
    params = {**QUICK, "max_epochs": 4}
    expected = CAE(**params).fit(X, y)
    dates, assets = X.index.get_level_values(0), X.index.get_level_values(1)
    from_numpy = CAE(**params).fit(X.to_numpy(), y.to_numpy(), dates=dates, assets=assets)
    np.testing.assert_array_equal(from_numpy.transform(X.to_numpy()), expected.transform(X))
    frame = pl.from_pandas(X.reset_index(drop=True))
    from_polars = CAE(**params).fit(frame, pl.Series(y.to_numpy()), dates=dates, assets=assets)
    np.testing.assert_array_equal(from_polars.predict(frame, dates=dates), expected.predict(X))


def test_dates_survive_a_pipeline(panel):
    X, y, _ = panel
    model = CAE(**{**QUICK, "max_epochs": 4})
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    assert len(pipeline[-1].dates_) == N_DATES
    kept = make_pipeline(StandardScaler(), clone(model)).set_output(transform="pandas").fit(X, y)
    assert kept.predict(X).index.equals(X.index)
    assert pipeline.score(X, y) == pytest.approx(kept.score(X, y))


def test_a_grid_search_over_whole_dates_finds_the_better_network():
    X, y, _ = make_panel(36, 40)
    places = X.index.get_level_values(0).factorize()[0]
    folds = [(np.flatnonzero(places < 24), np.flatnonzero(places >= 24))]
    grid = {"hidden_layer_sizes": [(), (8,)]}
    search = GridSearchCV(CAE(**{**QUICK, "max_epochs": 80}), grid, cv=folds).fit(X, y)
    assert search.best_params_ == {"hidden_layer_sizes": (8,)}
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[1] > scores[0] + 0.1


@pytest.mark.slow
def test_members_in_processes_are_the_members_in_turn(panel, monkeypatch):
    X, y, _ = panel
    monkeypatch.setattr(_members, "_SIDE_BY_SIDE", 1)
    params = {**QUICK, "max_epochs": 3}
    one, two = CAE(**params).fit(X, y), CAE(**params, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


def test_copies_predict_what_the_model_predicts(panel, fitted, tmp_path):
    X, _, _ = panel
    joblib.dump(fitted, tmp_path / "model.joblib")
    for model in (
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
        joblib.load(tmp_path / "model.joblib"),
    ):
        np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    with pytest.raises(NotFittedError):
        clone(fitted).predict(X)


def test_a_fitted_model_needs_no_torch(fitted, panel, tmp_path):
    X, _, _ = panel
    joblib.dump((fitted, X), tmp_path / "model.joblib")
    code = f"""
        import sys, joblib
        model, X = joblib.load({str(tmp_path / "model.joblib")!r})
        model.predict(X), model.covariance(X.iloc[:{N_ASSETS}])
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_a_warm_start_goes_on_from_the_last_weights(panel, fitted):
    X, y, _ = panel
    cold = CAE(**{**QUICK, "max_epochs": 1}).fit(X, y)
    warm = copy.deepcopy(fitted).set_params(warm_start=True, max_epochs=1).fit(X, y)
    for first, later in zip(cold.history_, warm.history_, strict=True):
        assert later["train_loss"][0] < first["train_loss"][0]
    more = warm.set_params(n_members=3).fit(X, y)
    assert len(more.members_) == 3
    with pytest.raises(ValueError, match=r"network of the last fit.*hidden\.0.*warm_start=False"):
        warm.set_params(hidden_layer_sizes=(4,)).fit(X, y)
    assert len(warm.members_) == 3


def interrupt_after(monkeypatch, n_steps):
    steps = []
    train_step = TensorNet.train_step

    def step(net, batch, **kwargs):
        steps.append(1)
        if len(steps) > n_steps:
            raise KeyboardInterrupt
        return train_step(net, batch, **kwargs)

    monkeypatch.setattr(TensorNet, "train_step", step)


@pytest.mark.parametrize("side_by_side", [True, False])
def test_an_interrupted_fit_keeps_the_best_weights(panel, monkeypatch, side_by_side):
    X, y, _ = panel
    if not side_by_side:
        monkeypatch.setattr(_members, "_SIDE_BY_SIDE", 1)
    interrupt_after(monkeypatch, 9)  # in the fifth epoch of two batches
    model = CAE(**QUICK)
    with pytest.raises(FitInterrupted):
        model.fit(X, y)
    assert len(model.members_) == (2 if side_by_side else 1)
    assert len(model.history_[0]["train_loss"]) == 4
    assert np.isfinite(model.predict(X)).all()


def test_an_interrupt_in_the_first_epoch_leaves_what_was_fitted(panel, fitted, monkeypatch):
    X, y, _ = panel
    model = copy.deepcopy(fitted)
    interrupt_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt) as raised:
        model.fit(-X, y)
    assert not isinstance(raised.value, FitInterrupted)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))


def test_global_random_state_is_left_alone(panel):
    X, y, _ = panel
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.random()
    torch.manual_seed(0)
    np.random.seed(0)
    CAE(**{**QUICK, "max_epochs": 2, "dropout": 0.2}).fit(X, y)
    assert (torch.rand(1), np.random.random()) == expected


def test_progress_is_printed_when_asked_for(panel, capsys):
    X, y, _ = panel
    CAE(**{**QUICK, "max_epochs": 2, "verbose": 1}).fit(X, y)
    assert "valid_loss" in capsys.readouterr().out
    CAE(**{**QUICK, "max_epochs": 2}).fit(X, y)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "hidden", "side"),
    [
        ("CA0", (), "managed"),
        ("CA3", (32, 16, 8), "managed"),
        ("eight_units", (8,), "returns"),
    ],
)
def test_a_preset_is_the_model_of_a_publication(name, hidden, side):
    model = CAE.preset(name, n_factors=5, n_members=2)
    assert model.hidden_layer_sizes == hidden
    assert (model.factor_side, model.n_factors, model.n_members) == (side, 5, 2)
    assert (model.batch_norm == "after") == (name == "eight_units")


def without_an_asset(X, y, factor):
    return {"factor_side": "returns"}, X.iloc[1:], y.iloc[1:]


def with_a_gap(X, y, factor):
    y = y.copy()
    y.iloc[4] = np.nan
    return {"factor_side": "returns"}, X, y


def undated(X, y, factor):
    return {"factors": factor.to_frame()}, X.to_numpy(), y.to_numpy()


def params(**changes):
    def case(X, y, factor):
        return changes, X, y

    return case


def portfolios_too_short(X, y, factor):
    return {"factor_side": "external", "portfolios": factor.iloc[:5].to_frame()}, X, y


def returns_too_short(X, y, factor):
    return {"horizon": 1, "returns": y.iloc[: 3 * N_ASSETS]}, X, y


def returns_of_others(X, y, factor):
    wide = y.unstack("asset")
    return {"horizon": 1, "returns": wide.rename(columns="asset{}".format)}, X, y


def named_like_a_latent_factor(X, y, factor):
    return {"factors": factor.to_frame("factor1")}, X, y


def too_large(X, y, factor):
    X = X.copy()
    X.iloc[0, 1] = 1e200
    return {}, X, y


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (params(n_factors=9), r"at most 8, the units of the last hidden layer; got 9"),
        (params(hidden_layer_sizes=(), n_factors=4), r"at most 3, .*got 4 \(n_features=3\)"),
        (params(n_factors=0), r"at least 1 where `factors` is None; got 0"),
        (params(hidden_layer_sizes=(8, 0)), r"must be positive integers"),
        (params(premia="median"), r"`premia` must be one of"),
        (params(device="abacus"), r"`device` must name a device"),
        (params(factor_side="external"), r"must have portfolios; got `portfolios=None`"),
        (portfolios_too_short, r"`portfolios` must cover every date of X; got 19 of 24"),
        (undated, r"`factors` must meet rows with dates"),
        (without_an_asset, r"every asset and its return.*assets that come and go"),
        (with_a_gap, r"every asset and its return.*1 missing returns"),
        (params(horizon=1), r"`returns` must hold realised returns.*horizon=1"),
        (returns_too_short, r"`returns` must cover every date of X; got 21 of 24"),
        (returns_of_others, r"must have the assets of X; got none.*'asset0', that of X 0"),
        (named_like_a_latent_factor, r"may be called as latent factors are; got \['factor1'\]"),
        (too_large, r"single precision.*column 'b'"),
    ],
)
@pytest.mark.filterwarnings("ignore::skfactor.exceptions.MissingDatesWarning")
def test_bad_input_is_an_error_that_leaves_what_was_fitted(panel, fitted, case, message):
    changes, X, y = case(*panel)
    model = copy.deepcopy(fitted).set_params(**changes)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert model.history_[0]["train_loss"].tolist() == fitted.history_[0]["train_loss"].tolist()
    assert model.factor_names_ == ["factor1"]


def test_other_portfolios_or_assets_than_those_of_fit_are_refused(panel):
    X, y, factor = panel
    quick = {**QUICK, "max_epochs": 2}
    given = CAE(**quick, factors=factor.to_frame("one")).fit(X, y)
    given.factors = factor.to_frame("two")
    with pytest.raises(ValueError, match=r"columns of fit, \['one'\]; got \['two'\]"):
        given.score(X, y)
    outside = CAE(**quick, factor_side="external", portfolios=factor.to_frame("one")).fit(X, y)
    outside.portfolios = factor.to_frame("two")
    with pytest.raises(ValueError, match=r"`portfolios` must have the columns of fit"):
        outside.score(X, y)
    balanced = CAE(**quick, factor_side="returns").fit(X, y)
    fewer = X.index.get_level_values("asset") > 0
    with pytest.raises(ValueError, match=r"assets of fit on every date; got 29 assets for 30.*0"):
        balanced.score(X[fewer], y[fewer])


def test_realised_returns_must_have_dates(panel):
    X, y, _ = panel
    with pytest.raises(TypeError, match=r"`returns` must be a pandas Series.*got ndarray"):
        CAE(**QUICK, horizon=1, returns=y.to_numpy()).fit(X, y)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match=r"must be one of 'CA0', .*; got 'CA9'"):
        CAE.preset("CA9")


def test_a_divergent_fit_says_what_to_do(panel):
    X, y, _ = panel
    wild = {"batch_norm": None, "factor_side": "managed", "learning_rate": 1e30}
    with pytest.raises(ValueError, match=r"loss must stay finite.*lower `learning_rate`"):
        CAE(**{**QUICK, **wild}).fit(X, y)
