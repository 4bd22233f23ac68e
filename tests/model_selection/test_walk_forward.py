"""Refits on a schedule, stitched."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.factor_models import InstrumentedPCA
from skfactor.factor_models._base import FactorModel
from skfactor.metrics import predictive_r2_score, total_r2_score
from skfactor.model_selection import PanelSplit, WalkForward
from skfactor.portfolios import PortfolioSort
from skfactor.preprocessing import CrossSectionalScaler, PanelImputer


class TurnedModel(FactorModel):
    """Betas are the first characteristics, in a rotation that changes with the training rows."""

    _parameter_constraints = {}

    def __init__(self, n_factors=2, premia="expanding", horizon=0):
        self.n_factors = n_factors
        self.premia = premia
        self.horizon = horizon

    def _fit_panel(self, panel):
        seed = int(panel.n_rows)
        square = np.random.default_rng(seed).normal(size=(self.n_factors, self.n_factors))
        self.turn_ = np.linalg.qr(square)[0]
        return False

    def _member_betas(self, panel, member):
        return panel.X[:, : self.n_factors].astype(float) @ self.turn_

    def _member_factors(self, panel, betas, member):
        factors, leverage = np.empty((panel.n_dates, self.n_factors)), np.zeros(panel.n_rows)
        for t, rows in enumerate(panel.sections()):
            seen = np.flatnonzero(~np.isnan(panel.returns[rows]))
            B, r = betas[rows][seen], panel.returns[rows][seen]
            inverse = np.linalg.pinv(B.T @ B)
            factors[t] = inverse @ B.T @ r
            leverage[rows.start + seen] = np.einsum("nk,kl,nl->n", B, inverse, B)
        return factors, leverage


def random_panel(n_dates=24, n_assets=30, seed=0, missing=0.05):
    """Return an unbalanced panel with two priced characteristics, rows in random order."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2010-01-31", periods=n_dates, freq="ME")
    assets = [f"s{i:02d}" for i in range(n_assets)]
    index = pd.MultiIndex.from_product([dates, assets], names=["date", "asset"])
    X = pd.DataFrame(rng.normal(size=(len(index), 3)), index, columns=["a", "b", "c"])
    factors = rng.normal([0.03, 0.01], 0.03, (n_dates, 2)).repeat(n_assets, axis=0)
    y = (X[["a", "b"]] * factors).sum(axis=1) + 0.02 * rng.normal(size=len(index))
    y[rng.random(len(y)) < missing] = np.nan
    rows = rng.permutation(len(index))[: int(0.9 * len(index))]
    return X.iloc[rows], y.iloc[rows].rename("ret")


CV = PanelSplit(3, test_size=4, gap=1)


@pytest.fixture(scope="module")
def panel():
    return random_panel()


@pytest.fixture(scope="module")
def walk(panel):
    """A walk that tests must not change."""
    return WalkForward(TurnedModel(), CV, n_quantiles=4).fit(*panel)


def reference(X, y, cv, model):
    """Walk by hand: refit, then predict each date after an update on the dates before it."""
    dates = X.index.get_level_values("date")
    fits, predictions, plain = {}, {}, {}
    for train, test in cv.split(X):
        fitted = clone(model).fit(X.iloc[train], y.iloc[train])
        end = dates[train].max()
        for date in dates[test].unique():
            before = (dates > end) & (dates < date)
            known = copy.deepcopy(fitted)
            if before.any():
                known.update(X[before], y[before])
            here = dates == date
            predictions.update(known.predict(X[here]).items())
            plain.update(fitted.reconstruct(X[here], y[here]).items())
            fits.update(fitted.reconstruct(X[here], y[here], leave_one_out=True).items())
    return pd.Series(plain), pd.Series(fits), pd.Series(predictions)


def test_equals_a_walk_by_hand(panel, walk):
    X, y = panel
    plain, fits, predictions = reference(X, y, CV, TurnedModel())
    for ours, theirs in (
        (walk.fits_, plain),
        (walk.fits_leave_one_out_, fits),
        (walk.predictions_, predictions),
    ):
        theirs = theirs.reindex(ours.index)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert len(walk.fits_) == len(plain)


def test_rows_come_back_in_the_order_of_the_input_with_their_returns(panel, walk):
    X, y = panel
    dates = X.index.get_level_values("date")
    tested = dates >= dates.unique().sort_values()[12]
    assert walk.fits_.index.equals(X.index[tested])
    pd.testing.assert_series_equal(walk.returns_, y[tested], check_names=False)
    assert walk.betas_.index.equals(X.index[tested])
    # A row without a return has a fit and a prediction.
    assert walk.returns_.isna().any()
    assert walk.fits_.notna().all()
    assert walk.predictions_.notna().all()


def test_schedule_says_what_each_refit_was_fitted_on(panel, walk):
    dates = panel[0].index.get_level_values("date").unique().sort_values()
    assert list(walk.schedule_["train_end"]) == list(dates[[10, 14, 18]])
    assert list(walk.schedule_["test_start"]) == list(dates[[12, 16, 20]])
    assert list(walk.schedule_["test_end"]) == list(dates[[15, 19, 23]])
    assert (walk.schedule_["train_start"] == dates[0]).all()
    assert [model.dates_.max() for model in walk.estimators_] == list(dates[[10, 14, 18]])


def test_factors_of_refits_are_turned_onto_each_other_and_fits_are_not_touched(walk):
    # TurnedModel has betas that differ by a rotation alone, so that aligned they agree.
    assert not np.allclose(walk.estimators_[0].turn_, walk.estimators_[1].turn_, atol=0.1)
    history = walk.factor_returns_
    refits = history.index.unique("refit")
    assert list(refits) == list(walk.schedule_.index)
    first, last = history.loc[refits[0]], history.loc[refits[-1]]
    assert len(first) == 16
    assert len(last) == 24
    np.testing.assert_allclose(first, last.loc[first.index], atol=1e-12)
    tested = walk.betas_.index.get_level_values("date")
    factors = last.reindex(tested).to_numpy()
    np.testing.assert_allclose((walk.betas_ * factors).sum(axis=1), walk.fits_, atol=1e-12)
    expected = [first.iloc[:n].mean() for n in (11,)]
    np.testing.assert_allclose(walk.risk_premia_.iloc[0], expected[0], atol=1e-12)


def test_past_output_does_not_move_when_the_future_is_perturbed(panel):
    X, y = panel
    dates = X.index.get_level_values("date")
    later = dates >= dates.unique().sort_values()[18]
    X_changed, y_changed = X.copy(), y.copy()
    rng = np.random.default_rng(7)
    X_changed[later] = rng.normal(5, 9, size=(later.sum(), 3))
    y_changed[later] = rng.normal(0.3, 0.5, size=later.sum())
    for model in (TurnedModel(), make_pipeline(CrossSectionalScaler(), TurnedModel())):
        before = WalkForward(model, CV, n_quantiles=4).fit(X, y)
        after = WalkForward(model, CV, n_quantiles=4).fit(X_changed, y_changed)
        past = ~pd.MultiIndex.from_tuples(before.fits_.index).isin(X.index[later])
        for name in ("fits_", "fits_leave_one_out_", "predictions_", "betas_"):
            ours, theirs = getattr(before, name), getattr(after, name)
            np.testing.assert_allclose(ours[past], theirs[past], atol=1e-12)
            assert not np.allclose(ours[~past], theirs[~past])
        early = before.portfolio_returns_.index < dates[later].min()
        np.testing.assert_allclose(
            before.portfolio_returns_[early], after.portfolio_returns_[early], atol=1e-12
        )


@pytest.mark.parametrize("cut", [17, 18, 19])
def test_no_test_date_turns_the_betas_of_another(panel, cut):
    X, y = panel
    y = y.fillna(0.0)
    dates = X.index.get_level_values("date")
    later = dates >= dates.unique().sort_values()[cut]
    changed = X.copy()
    changed[later] = np.random.default_rng(3).normal(5, 9, size=(later.sum(), 3))
    walks = [WalkForward(InstrumentedPCA(n_factors=2), CV).fit(Z, y) for Z in (X, changed)]
    before, after = (walk.betas_[walk.betas_.index.isin(X.index[~later])] for walk in walks)
    np.testing.assert_allclose(before, after, atol=1e-12)


def test_the_last_dates_may_have_no_returns_yet(panel):
    X, y = panel
    dates = X.index.get_level_values("date")
    live = dates >= dates.unique().sort_values()[20]
    walk = WalkForward(InstrumentedPCA(n_factors=1), CV).fit(X, y.mask(live))
    assert walk.predictions_.notna().all()
    assert walk.returns_[walk.returns_.index.isin(X.index[live])].isna().all()
    assert walk.scores().notna().all()


def test_order_of_rows_does_not_matter(panel, walk):
    X, y = panel
    again = WalkForward(TurnedModel(), CV, n_quantiles=4).fit(X.sort_index(), y.sort_index())
    for name in ("fits_", "predictions_"):
        ours, theirs = getattr(walk, name), getattr(again, name)
        np.testing.assert_allclose(ours, theirs.loc[ours.index], atol=1e-12)
    np.testing.assert_allclose(walk.portfolio_returns_, again.portfolio_returns_, atol=1e-12)


def test_portfolio_returns_equal_sorts_and_tangency_by_hand(walk):
    frame = walk.predictions_.to_frame("p")
    spread = PortfolioSort("p", 4).sort(frame, walk.returns_).spreads["p"]
    np.testing.assert_allclose(walk.portfolio_returns_["long_short"], spread)
    assert len(spread) == 12
    expected = []
    for refit in walk.schedule_.itertuples():
        history = walk.factor_returns_.loc[refit.Index]
        for date in history.index[history.index >= refit.test_start]:
            past = history[history.index < date]
            weights = np.linalg.solve(np.cov(past.T), past.mean())
            weights *= 0.01 / np.sqrt(weights @ np.cov(past.T) @ weights)
            expected.append(weights @ history.loc[date])
    np.testing.assert_allclose(walk.portfolio_returns_["tangency"], expected)


def test_a_model_of_alphas_alone_has_no_factors_to_hold(panel):
    X, y = panel
    model = InstrumentedPCA(0, intercept=True)
    walk = WalkForward(model, PanelSplit(2, test_size=4), n_quantiles=4).fit(X, y)
    assert walk.predictions_.notna().any()
    assert walk.portfolio_returns_["tangency"].isna().all()
    assert walk.portfolio_returns_["long_short"].notna().any()
    assert walk.factor_returns_.shape[1] == walk.betas_.shape[1] == 0
    assert np.isfinite(walk.scores()).all()


def test_scores_are_those_of_the_metrics(walk):
    scores = walk.scores()
    assert scores["total_r2"] == total_r2_score(walk.returns_, walk.fits_)
    assert scores["predictive_r2"] == predictive_r2_score(walk.returns_, walk.predictions_)
    assert scores["total_r2"] > scores["total_r2_leave_one_out"] > scores["predictive_r2"] > 0
    with pytest.raises(AttributeError, match=re.escape("Call fit(X, y) first")):
        WalkForward(TurnedModel()).scores()


def test_a_pipeline_is_walked_with_all_its_steps(panel):
    X, y = panel
    gaps = X.mask(np.random.default_rng(1).random(X.shape) < 0.1)
    pipeline = make_pipeline(PanelImputer("zero"), CrossSectionalScaler(), TurnedModel())
    walk = WalkForward(pipeline, CV).fit(gaps, y)
    splits = list(CV.split(gaps))
    for (train, _), fitted in zip(splits, walk.estimators_, strict=True):
        np.testing.assert_allclose(
            fitted[-1].turn_, clone(pipeline).fit(gaps.iloc[train], y.iloc[train])[-1].turn_
        )
    train, test = splits[-1]
    steps = walk.estimators_[-1]
    dates = gaps.index.get_level_values("date")
    last = gaps[dates > dates[train].max()]
    Z = steps[:-1].transform(last).loc[gaps.index[test]]
    np.testing.assert_allclose(
        walk.fits_.loc[Z.index], steps[-1].reconstruct(Z, y.loc[Z.index]), atol=1e-12
    )


def test_steps_that_lose_the_index_do_not_lose_the_dates(panel):
    X, y = panel
    bare = WalkForward(make_pipeline(StandardScaler(), TurnedModel()), CV).fit(X, y)
    framed = make_pipeline(StandardScaler(), TurnedModel()).set_output(transform="pandas")
    kept = WalkForward(framed, CV).fit(X, y)
    pd.testing.assert_series_equal(bare.predictions_, kept.predictions_)
    assert bare.factor_returns_.index.nlevels == 2


def test_refits_at_once_equal_refits_in_turn(panel):
    model = make_pipeline(CrossSectionalScaler(), InstrumentedPCA(n_factors=2))
    one = WalkForward(model, CV).fit(*panel)
    two = WalkForward(model, CV, n_jobs=2).fit(*panel)
    pd.testing.assert_series_equal(one.predictions_, two.predictions_)
    pd.testing.assert_frame_equal(one.factor_returns_, two.factor_returns_)
    assert one.scores()["total_r2_leave_one_out"] > 0.3


def test_a_walk_pickles_and_clones_its_estimator(panel):
    walk = WalkForward(InstrumentedPCA(n_factors=1), CV).fit(*panel)
    again = pickle.loads(pickle.dumps(walk))
    pd.testing.assert_series_equal(again.fits_, walk.fits_)


def test_refits_with_different_numbers_of_factors_stand_side_by_side(panel):
    X = panel[0][["a", "b"]]
    dates = X.index.get_level_values("date")
    noise = 0.02 * np.random.default_rng(3).normal(size=len(X))
    target = 0.05 * X["a"] + 0.3 * X["b"] * (dates > "2011-03-01") + noise
    search = GridSearchCV(TurnedModel(), {"n_factors": [1, 2]}, cv=PanelSplit(2))
    walk = WalkForward(search, PanelSplit(2, test_size=5)).fit(X, target)
    assert [fitted.best_params_["n_factors"] for fitted in walk.estimators_] == [1, 2]
    second = walk.schedule_.index[1]
    np.testing.assert_array_equal(
        walk.betas_["factor2"].notna(), walk.betas_.index.get_level_values("date") >= second
    )
    assert list(walk.factor_returns_.loc[second]) == ["factor1", "factor2"]
    assert walk.fits_.notna().all()


def test_a_search_is_refitted_within_each_training_window(panel):
    X, y = panel
    search = GridSearchCV(TurnedModel(), {"n_factors": [1, 2]}, cv=PanelSplit(2))
    walk = WalkForward(search, PanelSplit(2, test_size=4)).fit(X, y)
    assert [fitted.best_params_["n_factors"] for fitted in walk.estimators_] == [2, 2]
    assert walk.scores()["total_r2"] > 0.3


@pytest.mark.parametrize("library", ["numpy", "polars"])
def test_arrays_and_polars_with_dates_and_assets_equal_the_indexed_frame(panel, walk, library):
    X, y = panel
    dates, assets = (X.index.get_level_values(level) for level in ("date", "asset"))
    data, target = X.to_numpy(), y.to_numpy()
    if library == "polars":
        data = pl.DataFrame({name: X[name].to_numpy() for name in X})
        dates, assets = pl.Series(dates.to_numpy()), pl.Series(list(assets))
        target = pl.Series(target)
    again = WalkForward(TurnedModel(), CV, n_quantiles=4).fit(
        data, target, dates=dates, assets=assets
    )
    np.testing.assert_allclose(again.fits_, walk.fits_, atol=1e-12)
    assert again.fits_.index.names == ["date", "asset"]
    assert list(again.fits_.index) == list(walk.fits_.index)
    np.testing.assert_allclose(again.portfolio_returns_, walk.portfolio_returns_, atol=1e-12)


def test_assets_may_be_unknown_for_a_model_but_not_for_a_pipeline(panel, walk):
    X, y = panel
    dates = X.index.get_level_values("date")
    again = WalkForward(TurnedModel(), CV, n_quantiles=4).fit(
        X.to_numpy(), y.to_numpy(), dates=dates
    )
    np.testing.assert_allclose(again.predictions_, walk.predictions_, atol=1e-12)
    np.testing.assert_allclose(again.portfolio_returns_, walk.portfolio_returns_, atol=1e-12)
    assert again.fits_.index.names == ["date", "row"]
    pipeline = make_pipeline(StandardScaler(), TurnedModel())
    with pytest.raises(ValueError, match="must have its asset where the estimator is a pipeline"):
        WalkForward(pipeline, CV).fit(X.to_numpy(), y.to_numpy(), dates=dates)


def test_index_of_y_serves_where_X_has_none(panel, walk):
    X, y = panel
    again = WalkForward(TurnedModel(), CV, n_quantiles=4).fit(X.to_numpy(), y)
    # The unit of dates depends on the version of pandas.
    pd.testing.assert_series_equal(again.fits_, walk.fits_, check_index_type=False)


def test_validation_dates_left_out_of_training_still_update_the_premia(panel):
    X, y = panel
    cv = PanelSplit(2, test_size=4, validation_size=3, validation="exclude")
    walk = WalkForward(TurnedModel(), cv).fit(X, y)
    _, _, predictions = reference(X, y, cv, TurnedModel())
    np.testing.assert_allclose(walk.predictions_, predictions.loc[walk.predictions_.index])
    dates = X.index.get_level_values("date").unique().sort_values()
    assert list(walk.schedule_["train_end"]) == list(dates[[12, 16]])


def test_a_gap_shorter_than_the_horizon_is_refused(panel):
    model = TurnedModel(horizon=2)
    message = "`gap` must be at least the estimator's horizon of 2 dates"
    for estimator in (model, make_pipeline(StandardScaler(), model)):
        with pytest.raises(ValueError, match=message):
            WalkForward(estimator, PanelSplit(3, gap=1)).fit(*panel)
    search = GridSearchCV(model, {"n_factors": [1]}, cv=PanelSplit(2, gap=2))
    with pytest.raises(ValueError, match=message):
        WalkForward(search, PanelSplit(3)).fit(*panel)
    WalkForward(model, PanelSplit(2, gap=2)).fit(*panel)
    WalkForward(model, PanelSplit(2, gap=1, embargo=1)).fit(*panel)


def test_what_is_no_factor_model_and_bad_input_are_refused(panel):
    X, y = panel
    with pytest.raises(TypeError, match="LinearRegression, which has none"):
        WalkForward(LinearRegression(), CV).fit(X, y.fillna(0))
    with pytest.raises(ValueError, match="Nothing says on which date"):
        WalkForward(TurnedModel(), CV).fit(X.to_numpy(), y.to_numpy())
    with pytest.raises(ValueError, match="The indexes of X and y must agree"):
        WalkForward(TurnedModel(), CV).fit(X, y.iloc[::-1])
    with pytest.raises(ValueError, match="must have one return for each of the"):
        WalkForward(TurnedModel(), CV).fit(X, y.to_numpy()[:-1])
    with pytest.raises(ValueError, match="`n_quantiles` must be an int of at least 2; got 1"):
        WalkForward(TurnedModel(), CV, n_quantiles=1).fit(X, y)
    with pytest.raises(ValueError, match="needs at least"):
        WalkForward(TurnedModel(), PanelSplit(3, test_size=9)).fit(X, y)


def test_a_failed_fit_keeps_what_was_there_and_the_input_is_left_alone(panel):
    X, y = panel
    before = X.copy(), y.copy()
    walk = WalkForward(TurnedModel(), CV).fit(X, y)
    fits = walk.fits_
    bad = X.copy()
    bad.iloc[5, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        walk.fit(bad, y)
    assert walk.fits_ is fits
    pd.testing.assert_frame_equal(X, before[0])
    pd.testing.assert_series_equal(y, before[1])


def test_the_estimator_handed_in_is_not_fitted_and_the_default_schedule_is_panel_split(panel):
    model = TurnedModel()
    walk = WalkForward(model).fit(*panel)
    assert not hasattr(model, "factor_returns_")
    assert len(walk.estimators_) == 5
    assert repr(WalkForward(model)) == "WalkForward(TurnedModel(), None)"
