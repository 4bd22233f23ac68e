"""The deep characteristics factor model."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skfactor._nn._training import TensorNet
from skfactor.exceptions import FitInterrupted
from skfactor.factor_models import DeepCharacteristicFactorModel as Deep
from skfactor.inspection import characteristic_importance
from skfactor.metrics import total_r2_score, total_r2_scorer
from skfactor.model_selection import PanelSplit

QUICK = {
    "n_factors": 1,
    "hidden_layer_sizes": (8, 4),
    "beta_layer_sizes": (6,),
    "n_members": 1,
    "n_restarts": 1,
    "max_epochs": 40,
    "device": "cpu",
    "random_state": 0,
}


def make_panel(n_dates=40, n_assets=50, seed=0, hidden=True, noise=0.02):
    """A market with betas near 1, and a hidden factor with betas that are not linear."""
    rng = np.random.default_rng(seed)
    dates = pd.period_range("2015-01", periods=n_dates, freq="M")
    index = pd.MultiIndex.from_product([dates, range(n_assets)], names=["date", "asset"])
    index = index[rng.random(len(index)) > 0.1]
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), 4)), index, ["a", "b", "c", "d"])
    market = pd.Series(rng.normal(0.01, 0.04, n_dates), dates, name="market")
    secret = pd.Series(rng.normal(0.01, 0.04, n_dates), dates)
    at = index.get_level_values("date")
    y = (1 + 0.2 * X["b"]) * market.loc[at].to_numpy()
    if hidden:
        y = y + np.tanh(3 * X["a"]) * secret.loc[at].to_numpy()
    return X, (y + rng.normal(0, noise, len(index))).rename("excess"), market, secret


@pytest.fixture(scope="module")
def panel():
    return make_panel()


@pytest.fixture(scope="module")
def fitted(panel):
    X, y, market, _ = panel
    return Deep(**QUICK, benchmark=market).fit(first(X), first(y))


def first(data):
    return data[data.index.get_level_values("date") < "2017-05"]


def last(data):
    return data[data.index.get_level_values("date") >= "2017-05"]


def test_the_hidden_factor_is_found_beside_the_benchmark(panel, fitted):
    X, y, _, secret = panel
    gain = fitted.score(last(X), last(y)) - fitted.benchmark_model_.score(last(X), last(y))
    at = last(X).index.get_level_values("date")
    truth = np.tanh(3 * last(X)["a"]) * secret.loc[at].to_numpy()
    possible = (truth**2).sum() / (last(y) ** 2).sum()
    assert gain > 0.8 * possible
    found = fitted.factor_returns(last(X), last(y))["factor1"]
    assert np.corrcoef(found, secret.loc[found.index])[0, 1] > 0.97


def test_nothing_is_claimed_where_there_is_nothing():
    X, y, market, _ = make_panel(60, hidden=False)
    at = X.index.get_level_values("date")
    early, late = at < "2018-05", at >= "2018-05"
    model = Deep(**{**QUICK, "n_restarts": 2}, benchmark=market).fit(X[early], y[early])
    gain = model.score(X[late], y[late]) - model.benchmark_model_.score(X[late], y[late])
    assert abs(gain) < 0.01


def test_the_network_of_the_study_has_3227_parameters():
    rng = np.random.default_rng(0)
    dates = pd.period_range("2020-01", periods=4, freq="M")
    benchmark = pd.DataFrame(rng.normal(size=(4, 3)), dates, ["Mkt-RF", "SMB", "HML"])
    model = Deep(benchmark=benchmark, max_epochs=1, start="random", n_members=1, n_restarts=1)
    model.fit(rng.normal(size=(40, 50)), rng.normal(size=40), dates=np.repeat(dates, 10))
    assert model.n_parameters_ == 3227
    assert model.benchmark_model_.n_parameters_ == 459


def test_benchmark_r2_is_that_of_the_same_model_without_deep_factors(panel, fitted):
    X, y, market, _ = panel
    alone = Deep(**{**QUICK, "n_factors": 0}, benchmark=market).fit(first(X), first(y))
    assert fitted.benchmark_r2_ == pytest.approx(alone.score(first(X), first(y)))
    assert fitted.benchmark_model_.factor_names_ == ["market"]
    assert alone.benchmark_model_ is None
    assert alone.benchmark_r2_ == 0


def test_without_a_benchmark_the_model_is_latent(panel):
    X, y, _, _ = panel
    model = Deep(**{**QUICK, "max_epochs": 3}).fit(first(X), first(y))
    assert model.factor_names_ == ["factor1"]
    assert model.benchmark_model_ is None
    assert model.benchmark_r2_ == 0


def test_deep_factors_are_holdings_times_returns(panel, fitted):
    X, y, _, _ = panel
    held = fitted.weights(X)
    assert held.index.equals(X.index)
    assert list(held.columns) == ["factor1"]
    earned = (held["factor1"] * y).groupby(level="date").sum()
    np.testing.assert_allclose(fitted.factor_returns(X, y)["factor1"], earned, atol=1e-12)


@pytest.mark.parametrize("weighting", ["rank", "zscore"])
def test_sides_of_a_factor_sum_to_one_and_its_mean_is_positive(panel, weighting):
    X, y, market, _ = panel
    model = Deep(**QUICK, benchmark=market, weighting=weighting).fit(first(X), first(y))
    held = model.weights(X)["factor1"]
    np.testing.assert_allclose(held.clip(lower=0).groupby(level="date").sum(), 1.0)
    np.testing.assert_allclose(held.clip(upper=0).groupby(level="date").sum(), -1.0)
    assert model.factor_returns_["factor1"].mean() > 0
    assert model.score(last(X), last(y)) > model.benchmark_model_.score(last(X), last(y)) + 0.1


def test_an_asset_without_a_return_is_held_and_earns_nothing(panel, fitted):
    X, y, _, _ = panel
    gone = y.copy()
    place = fitted.weights(X)["factor1"].abs().argmax()
    gone.iloc[place] = np.nan
    date = X.index[place][0]
    own = fitted.weights(X)["factor1"].iloc[place] * y.iloc[place]
    before = fitted.factor_returns(X, y).loc[date, "factor1"]
    assert fitted.factor_returns(X, gone).loc[date, "factor1"] == pytest.approx(before - own)


def test_fits_are_betas_on_both_sorts_of_factors(panel, fitted):
    X, y, market, _ = panel
    betas, factors = fitted.transform(X), fitted.factor_returns(X, y)
    np.testing.assert_allclose(factors["market"], market.loc[factors.index])
    at = X.index.get_level_values("date")
    expected = (betas * factors.loc[at].to_numpy()).sum(axis=1)
    np.testing.assert_allclose(fitted.reconstruct(X, y), expected)


def test_members_are_averaged_in_one_rotation(panel):
    X, y, market, _ = panel
    settings = {**QUICK, "n_factors": 2, "n_members": 3, "max_epochs": 5, "start": "random"}
    model = Deep(**settings, benchmark=market).fit(first(X), first(y))
    fits = []
    for member in model.members_:
        betas = member.betas(X.to_numpy())
        starts = np.concatenate([[0], X.groupby(level="date").size().cumsum()])
        held = member.weights(X.to_numpy(), starts)
        deep = pd.DataFrame(held * y.to_numpy()[:, None], X.index).groupby(level="date").sum()
        factors = np.column_stack([deep, market.loc[deep.index]])
        rows = deep.index.get_indexer(X.index.get_level_values("date"))
        fits.append((betas * factors[rows]).sum(axis=1))
    np.testing.assert_allclose(model.reconstruct(X, y), np.mean(fits, axis=0), atol=1e-10)
    assert (model.factor_returns_[["factor1", "factor2"]].mean() >= 0).all()
    assert len(model.restart_losses_) == 3
    assert (model.beta_dispersion(X) > 0).all(axis=None)
    earned = (model.weights(X)["factor2"] * y).groupby(level="date").sum()
    np.testing.assert_allclose(model.factor_returns(X, y)["factor2"], earned, atol=1e-12)


def test_restarts_are_kept_by_their_loss_on_the_last_dates(panel):
    X, y, market, _ = panel
    settings = {**QUICK, "n_restarts": 3, "start": "random", "dropout": 0.0}
    model = Deep(**settings, benchmark=market).fit(first(X), first(y))
    assert model.restart_losses_.shape == (3,)
    history = model.history_[0]["valid_loss"]
    assert history.min() == pytest.approx(model.restart_losses_.min())


def test_importance_is_the_mean_absolute_gradient_and_finds_the_characteristic(panel, fitted):
    X, _, _, _ = panel
    sorting = fitted.members_[0].sorting
    Z, step = first(X).to_numpy(), 1e-6
    for j, name in enumerate(X.columns):
        up, down = Z.copy(), Z.copy()
        up[:, j] += step
        down[:, j] -= step
        slope = np.abs(sorting(up) - sorting(down)).mean() / (2 * step)
        assert fitted.importance_[name] == pytest.approx(slope, rel=1e-5)
    assert fitted.importance_.idxmax() == "a"


def test_importance_is_told_for_each_epoch(panel):
    X, y, market, _ = panel
    settings = {**QUICK, "start": "random", "patience": None, "max_epochs": 5}
    model = Deep(**settings, benchmark=market).fit(first(X), first(y))
    path = model.importance_history(first(X))
    assert path.shape == (5, 4)
    assert path.index.name == "epoch"
    np.testing.assert_allclose(path.iloc[-1], model.importance_)


def test_zeroing_the_characteristic_that_matters_loses_r2(panel, fitted):
    X, y, _, _ = panel
    lost = characteristic_importance(fitted, last(X), last(y))["r2_lost"]
    assert lost.idxmax() == "a"
    assert lost["a"] > 0.1


def test_dropout_is_off_outside_training(panel, fitted):
    X, y, _, _ = panel
    assert fitted.dropout > 0
    pd.testing.assert_frame_equal(fitted.weights(X), fitted.weights(X))
    pd.testing.assert_frame_equal(fitted.factor_returns(X, y), fitted.factor_returns(X, y))


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("alpha_penalty", ["date", "asset"])
def test_every_loss_and_penalty_learns(panel, loss, alpha_penalty):
    X, y, market, _ = panel
    settings = {**QUICK, "loss": loss, "alpha_penalty": alpha_penalty, "lambda_alpha": 1e-3}
    model = Deep(**settings, benchmark=market, start="random", dropout=0.0, patience=10)
    history = model.fit(first(X), first(y)).history_[0]["train_loss"]
    assert history[-1] < 0.8 * history[0]


def test_strong_penalties_shrink_the_weights(panel):
    X, y, market, _ = panel
    settings = {**QUICK, "start": "random", "patience": None, "max_epochs": 30}

    def size(net, **more):
        model = Deep(**settings, **more, benchmark=market).fit(first(X), first(y))
        return np.abs(model.members_[0].state[f"{net}.layers.0.weight"]).sum()

    assert size("sorting", lambda_l1=0.1) < 0.7 * size("sorting")
    assert size("deep_betas", lambda_l2=1.0) < 0.7 * size("deep_betas")


def test_no_patience_runs_all_epochs_and_keeps_the_last_weights(panel):
    X, y, market, _ = panel
    model = Deep(**{**QUICK, "patience": None, "max_epochs": 4}, benchmark=market)
    model.fit(first(X), first(y))
    assert len(model.history_[0]["train_loss"]) == 4
    assert model.members_[0].best_epoch == 4


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_held_out_dates_do_not_move_the_weights(panel, loss):
    X, y, market, _ = panel
    settings = {**QUICK, "start": "random", "loss": loss, "patience": None, "max_epochs": 3}
    early = first(X).index.get_level_values("date") <= "2016-10"  # 22 of 28 dates
    changed = first(y).copy()
    changed[~early] = 0.5
    one = Deep(**settings, benchmark=market).fit(first(X), first(y))
    two = Deep(**settings, benchmark=market).fit(first(X), changed)
    for name, values in one.members_[0].state.items():
        np.testing.assert_array_equal(two.members_[0].state[name], values)


def test_two_fits_with_one_seed_are_equal_and_jobs_change_nothing(panel, fitted):
    X, y, _, _ = panel
    model = clone(fitted).set_params(max_epochs=3, n_members=2)
    once = clone(model).fit(first(X), first(y)).transform(X)
    pd.testing.assert_frame_equal(clone(model).fit(first(X), first(y)).transform(X), once)
    model.set_params(n_jobs=2).fit(first(X), first(y))
    pd.testing.assert_frame_equal(model.transform(X), once)


def test_a_pickle_says_the_same(panel, fitted):
    X, y, _, _ = panel
    copy = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(copy.factor_returns(X, y), fitted.factor_returns(X, y))
    pd.testing.assert_series_equal(copy.importance_, fitted.importance_)


def test_a_polars_benchmark_and_other_month_ends_mean_the_same(panel, fitted):
    X, y, market, _ = panel
    days = market.index.to_timestamp() + pd.offsets.BMonthEnd()
    frame = pl.DataFrame({"date": days.to_list(), "market": market.to_numpy()})
    same = pickle.loads(pickle.dumps(fitted)).set_params(benchmark=frame)
    pd.testing.assert_frame_equal(same.factor_returns(X, y), fitted.factor_returns(X, y))


def test_benchmark_dates_that_are_missing_are_named(panel):
    X, y, market, _ = panel
    short = market.drop([market.index[3], market.index[5]])
    with pytest.raises(ValueError, match=r"`benchmark` must cover every date of X; got 2 of 40"):
        Deep(**QUICK, benchmark=short).fit(X, y)


def test_later_benchmark_dates_that_are_missing_are_named_when_they_are_needed(panel, fitted):
    X, y, market, _ = panel
    model = pickle.loads(pickle.dumps(fitted)).set_params(benchmark=market[:"2017-06"])
    for call in (model.factor_returns, model.reconstruct, model.score, model.update):
        with pytest.raises(ValueError, match=r"`benchmark` must cover every date of X; got 10 of"):
            call(last(X), last(y))


def test_betas_and_expected_returns_come_before_the_benchmark_is_known(panel, fitted):
    X, _, market, _ = panel
    model = pickle.loads(pickle.dumps(fitted)).set_params(benchmark=market[:"2017-04"])
    pd.testing.assert_series_equal(model.predict(last(X)), fitted.predict(last(X)))
    pd.testing.assert_frame_equal(model.transform(last(X)), fitted.transform(last(X)))
    pd.testing.assert_frame_equal(model.weights(last(X)), fitted.weights(last(X)))


@pytest.mark.parametrize("start", ["random", "least_squares"])
def test_what_comes_after_the_dates_of_fit_is_never_looked_at(panel, start):
    X, y, market, _ = panel
    settings = {**QUICK, "max_epochs": 3, "start": start}
    changed = market.copy()
    changed["2017-05":] = 0.5
    one = Deep(**settings, benchmark=market).fit(first(X), first(y))
    two = Deep(**settings, benchmark=changed).fit(first(X), first(y))
    for name, values in one.members_[0].state.items():
        np.testing.assert_array_equal(two.members_[0].state[name], values)
    late = last(X).index.get_level_values("date") > "2017-08"
    other_X, other_y = last(X).copy(), last(y).copy()
    other_X[late], other_y[late] = -other_X[late], 0.5
    changed = market.copy()
    changed["2017-09":] = 0.5
    two.set_params(benchmark=changed).update(other_X, other_y)
    one.update(last(X), last(y))
    early = last(X)[~late]
    pd.testing.assert_series_equal(two.predict(early), one.predict(early))
    pd.testing.assert_frame_equal(two.weights(other_X)[~late], one.weights(last(X))[~late])
    fits = one.reconstruct(last(X), last(y))
    pd.testing.assert_series_equal(two.reconstruct(other_X, other_y)[~late], fits[~late])
    assert not np.allclose(two.reconstruct(other_X, other_y)[late], fits[late])


@pytest.mark.parametrize("alpha_penalty", ["date", "asset"])
def test_row_order_does_not_matter(panel, alpha_penalty):
    X, y, market, _ = panel
    settings = {**QUICK, "max_epochs": 3, "alpha_penalty": alpha_penalty, "lambda_alpha": 0.1}
    model = Deep(**settings, benchmark=market).fit(first(X), first(y))
    order = np.random.default_rng(0).permutation(len(X))
    mixed_X, mixed_y = X.iloc[order], y.iloc[order]
    other = clone(model).fit(first(mixed_X), first(mixed_y))
    np.testing.assert_allclose(other.predict(mixed_X), model.predict(X).iloc[order], atol=1e-9)
    np.testing.assert_allclose(other.weights(mixed_X), model.weights(X).iloc[order], atol=1e-9)
    np.testing.assert_allclose(other.factor_returns_, model.factor_returns_, atol=1e-9)
    assert other.score(mixed_X, mixed_y) == pytest.approx(model.score(X, y))


def test_an_asset_away_for_a_year_comes_back(panel):
    X, y, market, _ = panel
    away = (X.index.get_level_values("asset") == 7) & (
        X.index.get_level_values("date").year == 2016
    )
    model = Deep(**{**QUICK, "max_epochs": 3}, benchmark=market)
    model.fit(first(X[~away]), first(y[~away]))
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.reconstruct(X[~away], y[~away])).all()
    whole = model.weights(X)["factor1"]
    held = model.weights(X[~away])["factor1"]
    other = held.index.get_level_values("date").year != 2016
    pd.testing.assert_series_equal(held[other], whole.loc[held.index[other]])
    np.testing.assert_allclose(held.clip(lower=0).groupby(level="date").sum(), 1.0)


def test_a_benchmark_needs_dates():
    rng = np.random.default_rng(0)
    market = pd.Series(0.0, pd.period_range("2020-01", periods=3, freq="M"))
    with (
        pytest.warns(UserWarning, match="one cross-section"),
        pytest.raises(ValueError, match="`benchmark` must meet rows with dates"),
    ):
        Deep(**QUICK, benchmark=market).fit(rng.normal(size=(9, 2)), rng.normal(size=9))


def test_a_benchmark_with_other_columns_is_refused(panel, fitted):
    X, y, market, _ = panel
    model = pickle.loads(pickle.dumps(fitted)).set_params(benchmark=market.rename("other"))
    with pytest.raises(ValueError, match=r"must have the columns of fit, \['market'\]; got"):
        model.factor_returns(X, y)


def test_no_factors_at_all_are_refused(panel):
    X, y, _, _ = panel
    with pytest.raises(ValueError, match="`n_factors` must be at least 1 without a benchmark"):
        Deep(0).fit(X, y)


def test_alphas_of_assets_need_assets(panel):
    X, y, _, _ = panel
    dates = X.index.get_level_values("date")
    with pytest.raises(ValueError, match="must know the asset of each row"):
        Deep(**QUICK, alpha_penalty="asset").fit(X.to_numpy(), y.to_numpy(), dates=dates)


@pytest.mark.parametrize(
    ("name", "value"),
    [("weighting", "equal"), ("loss", "hinge"), ("alpha_penalty", "all"), ("start", "warm")],
)
def test_choices_that_do_not_exist_are_refused(panel, name, value):
    X, y, _, _ = panel
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        Deep(**{**QUICK, name: value}).fit(X, y)


def test_depth_loss_and_penalty_are_searched_over(panel):
    X, y, market, _ = panel
    grid = {
        "hidden_layer_sizes": [(4,), (8, 4)],
        "loss": ["mse", "huber"],
        "lambda_l1": [1e-6, 1e-4],
    }
    model = Deep(**{**QUICK, "max_epochs": 2, "start": "random"}, benchmark=market)
    search = GridSearchCV(
        model, grid, cv=PanelSplit(n_splits=2), scoring=total_r2_scorer, n_jobs=2
    ).fit(first(X), first(y))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 8


def test_one_date_with_one_asset_among_others_does_no_harm(panel):
    X, y, market, _ = panel
    dates = X.index.get_level_values("date")
    alone = (dates == "2016-03") & (X.index.get_level_values("asset") != 7)
    settings = {**QUICK, "max_epochs": 3}
    model = Deep(**settings, benchmark=market).fit(first(X[~alone]), first(y[~alone]))
    assert model.factor_returns_.loc["2016-03", "factor1"] == 0
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("stage", [1, 3])
@pytest.mark.parametrize("start", ["random", "least_squares"])
def test_an_interrupt_keeps_the_best_state_so_far(panel, monkeypatch, stage, start):
    X, y, market, _ = panel
    epochs = []
    whole = TensorNet.run_single_epoch

    def interrupted(net, iterator, training, **kwargs):
        epochs.append(training)
        if sum(epochs) > stage:
            raise KeyboardInterrupt
        return whole(net, iterator, training, **kwargs)

    monkeypatch.setattr(TensorNet, "run_single_epoch", interrupted)
    model = Deep(**{**QUICK, "start": start}, benchmark=market)
    with pytest.raises(KeyboardInterrupt) as stop:
        model.fit(first(X), first(y))
    if start == "random":
        assert stop.type is FitInterrupted
        assert np.isfinite(model.transform(X)).all(axis=None)


def test_scores_are_total_r2_of_fits_without_the_own_return(panel, fitted):
    X, y, _, _ = panel
    fits = fitted.reconstruct(X, y, leave_one_out=True)
    assert fitted.score(X, y) == pytest.approx(total_r2_score(y, fits))
    assert total_r2_scorer(fitted, X, y) == pytest.approx(fitted.score(X, y))
