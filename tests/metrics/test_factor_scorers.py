"""Scorers of factor models go where scikit-learn takes scoring=."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from _simple_model import SimpleModel, make_panel, noise_panel
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skfactor
from skfactor.metrics import (
    make_factor_scorer,
    predictive_r2_scorer,
    total_r2_score,
    total_r2_scorer,
)
from skfactor.metrics._model_output import model_rows
from skfactor.panel import managed_portfolios

N_DATES, N_ASSETS = 24, 40


@pytest.fixture(scope="module")
def panel():
    return make_panel(N_DATES, N_ASSETS)


@pytest.fixture(scope="module")
def model(panel):
    X, y = panel
    half = N_DATES // 2 * N_ASSETS
    return SimpleModel(2).fit(X[:half], y[:half])


@pytest.fixture(scope="module")
def later(panel):
    half = N_DATES // 2 * N_ASSETS
    return panel[0][half:], panel[1][half:]


def date_splits(X):
    codes = pd.factorize(X.index.get_level_values("date"))[0]
    return [
        (np.flatnonzero(codes < first), np.flatnonzero((codes >= first) & (codes < first + 6)))
        for first in (12, 18)
    ]


class TestValues:
    def test_total_leaves_a_models_own_returns_out(self, model, later):
        X, y = later
        expected = total_r2_score(y, model.reconstruct(X, y, leave_one_out=True))
        assert total_r2_scorer(model, X, y) == pytest.approx(expected)
        assert total_r2_scorer(model, X, y) == pytest.approx(model.score(X, y))
        plain = make_factor_scorer("total_r2", leave_one_out=False)
        assert plain(model, X, y) == pytest.approx(total_r2_score(y, model.reconstruct(X, y)))
        assert plain(model, X, y) > total_r2_scorer(model, X, y)

    def test_predictions_of_a_date_take_factor_returns_before_it(self, model, later):
        X, y = later
        slow = y.copy() * 0.0
        for date in X.index.unique("date"):
            before = X.index.get_level_values("date") < date
            known = copy.deepcopy(model)
            if before.any():
                known.update(X[before], y[before])
            slow.loc[date] = known.predict(X.loc[[date]]).to_numpy()
        expected = total_r2_score(y, slow)
        assert predictive_r2_scorer(model, X, y) == pytest.approx(expected)

    def test_scoring_leaves_the_model_as_it_was(self, model, later):
        before = model.factor_returns_.copy()
        predictive_r2_scorer(model, *later)
        pd.testing.assert_frame_equal(model.factor_returns_, before)

    @pytest.mark.parametrize("kind", ["regression", "mean"])
    def test_managed_portfolios_are_of_returns_and_fits(self, model, later, kind):
        X, y = later
        y = y.copy()
        y.iloc[::11] = np.nan
        fits = model.reconstruct(X, y).where(y.notna())
        expected = total_r2_score(
            managed_portfolios(X, y, kind=kind), managed_portfolios(X, fits, kind=kind)
        )
        scorer = make_factor_scorer("total_r2", on="managed", kind=kind, leave_one_out=False)
        assert scorer(model, X, y) == pytest.approx(expected)
        predicted = copy.deepcopy(model).update(X, y).predict(X).where(y.notna())
        expected = total_r2_score(
            managed_portfolios(X, y, kind=kind), managed_portfolios(X, predicted, kind=kind)
        )
        scorer = make_factor_scorer("predictive_r2", on="managed", kind=kind)
        assert scorer(model, X, y) == pytest.approx(expected)

    def test_portfolios_of_one_half_are_fitted_by_the_other(self, model, later):
        X, y = later
        place = X.groupby("date").cumcount().to_numpy()
        true, fit = [], []
        for half in (place % 2 == 0, place % 2 == 1):
            others = y.mask(half)
            fits = model.reconstruct(X, others)
            true.append(managed_portfolios(X, y.where(half), kind="mean"))
            fit.append(managed_portfolios(X, fits.where(half), kind="mean"))
        expected = total_r2_score(np.vstack(true), np.vstack(fit))
        scorer = make_factor_scorer("total_r2", on="managed", kind="mean")
        assert scorer(model, X, y) == pytest.approx(expected)
        order = np.random.default_rng(0).permutation(len(X))
        assert scorer(model, X.iloc[order], y.iloc[order]) == pytest.approx(expected)

    def test_information_coefficient_and_callables(self, model, later):
        X, y = later
        ic = make_factor_scorer("information_coefficient")
        assert 0 < ic(model, X, y) < 1
        error = make_factor_scorer(
            lambda true, found: np.mean(np.abs(true - found)),
            response="fit",
            leave_one_out=False,
            greater_is_better=False,
        )
        assert error(model, X, y) == pytest.approx(-np.abs(y - model.reconstruct(X, y)).mean())

    def test_a_baseline_by_date_and_weights_reach_the_metric(self, model, later):
        X, y = later
        market = y.groupby("date").mean()
        weight = np.random.default_rng(0).random(len(y))
        fits = model.reconstruct(X, y)
        scorer = make_factor_scorer("total_r2", leave_one_out=False, baseline=market)
        expected = total_r2_score(y, fits, baseline=market, sample_weight=weight)
        assert scorer(model, X, y, weight) == pytest.approx(expected)
        weight = pd.Series(weight, y.index)
        assert scorer(model, X, y, weight) == pytest.approx(expected)
        with pytest.raises(ValueError, match="The rows of `X` and `sample_weight` must be the"):
            scorer(model, X, y, weight[::-1])

    def test_a_models_own_factors_are_needed_for_leaving_out(self, later, panel):
        given = SimpleModel(1, own=False).fit(*panel)
        plain = make_factor_scorer("total_r2", leave_one_out=False)
        assert total_r2_scorer(given, *later) == plain(given, *later)

    def test_a_regression_is_scored_by_its_predictions(self, panel, later):
        forest = RandomForestRegressor(5, random_state=0).fit(*panel)
        X, y = later
        expected = total_r2_score(y, forest.predict(X))
        assert predictive_r2_scorer(forest, X, y) == pytest.approx(expected)
        with pytest.raises(TypeError, match="needs a factor model with `reconstruct`; got Random"):
            total_r2_scorer(forest, X, y)


@pytest.fixture(scope="module")
def scores():
    kinds = {
        "plain": {"leave_one_out": False},
        "assets": {},
        "regression": {"on": "managed"},
        "mean": {"on": "managed", "kind": "mean"},
        "managed plain": {"on": "managed", "leave_one_out": False},
    }
    found = {name: [] for name in kinds}
    for seed in range(5):
        X, y = noise_panel(seed=10 * seed)
        model = SimpleModel(2, n_members=2, noise=0.1).fit(X[:1500], y[:1500])
        for name, kwargs in kinds.items():
            found[name].append(make_factor_scorer("total_r2", **kwargs)(model, X, y))
        found.setdefault("predictive", []).append(predictive_r2_scorer(model, X, y))
    return pd.DataFrame(found).mean()


class TestNoise:
    def test_noise_has_no_r2_where_own_returns_are_left_out(self, scores):
        assert (scores[["assets", "regression", "mean", "predictive"]] < 0.005).all()

    def test_the_plain_measure_rewards_noise(self, scores):
        # Two factors of 50 assets, and of three portfolios.
        assert scores["plain"] > 0.02
        assert scores["managed plain"] > 0.3


class LosesIndex(TransformerMixin, BaseEstimator):
    """Returns an array, and takes dates."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X, dates=None):
        self.saw_dates_ = dates is not None
        return np.asarray(X)


class TestWhereItGoes:
    def test_search_and_cross_validation(self, panel):
        X, y = panel
        scoring = {"total": total_r2_scorer, "predictive": predictive_r2_scorer}
        cv = date_splits(X)
        search = GridSearchCV(
            SimpleModel(), {"n_factors": [1, 2]}, scoring=scoring, refit="total", cv=cv, n_jobs=2
        ).fit(X, y)
        assert search.best_params_ == {"n_factors": 1}
        by_hand = [
            total_r2_scorer(SimpleModel(1).fit(X.iloc[a], y.iloc[a]), X.iloc[b], y.iloc[b])
            for a, b in cv
        ]
        assert search.cv_results_["mean_test_total"][0] == pytest.approx(np.mean(by_hand))
        assert total_r2_scorer(search, X, y) == total_r2_scorer(search.best_estimator_, X, y)

    def test_dates_lost_in_a_pipeline_are_put_back(self, panel):
        X, y = panel
        alone = SimpleModel(2).fit(X, y)
        lost = make_pipeline(LosesIndex(), SimpleModel(2)).fit(X, y)
        assert total_r2_scorer(lost, X, y) == pytest.approx(total_r2_scorer(alone, X, y))
        assert predictive_r2_scorer(lost, X, y) == pytest.approx(predictive_r2_scorer(alone, X, y))
        managed = make_factor_scorer("total_r2", on="managed")
        assert managed(lost, X, y) == pytest.approx(managed(alone, X, y))

    def test_steps_are_passed_through(self, panel):
        X, y = panel
        scaler = StandardScaler().set_output(transform="pandas")
        pipe = make_pipeline("passthrough", scaler, SimpleModel(1)).fit(X, y)
        rows = model_rows(pipe, X, y)
        pd.testing.assert_frame_equal(rows.X, scaler.fit_transform(X))
        assert total_r2_scorer(pipe, X, y) == pytest.approx(pipe.score(X, y))

    def test_arrays_with_dates(self, panel):
        X, y = panel
        dates = X.index.get_level_values("date")
        model = SimpleModel(2).fit(X.to_numpy(), y.to_numpy(), dates=dates)
        kept = SimpleModel(2).fit(X, y)
        for scorer in (total_r2_scorer, predictive_r2_scorer):
            with_dates = scorer(model, X.to_numpy(), y.to_numpy(), dates=dates)
            assert with_dates == pytest.approx(scorer(kept, X, y))
        managed = make_factor_scorer("total_r2", on="managed", leave_one_out=False)
        assert managed(model, X.to_numpy(), y.to_numpy(), dates=dates) == pytest.approx(
            managed(kept, X, y)
        )

    def test_dates_are_routed_without_being_asked_for(self, panel):
        X, y = panel
        dates = X.index.get_level_values("date").to_numpy()
        with sklearn.config_context(enable_metadata_routing=True):
            found = cross_validate(
                make_pipeline(FunctionTransformer(), SimpleModel(1)),
                X.to_numpy(),
                y.to_numpy(),
                params={"dates": dates},
                scoring={"total": total_r2_scorer, "predictive": predictive_r2_scorer},
                cv=date_splits(X),
                error_score="raise",
            )
        plain = cross_validate(
            SimpleModel(1), X, y, scoring=total_r2_scorer, cv=date_splits(X), error_score="raise"
        )
        np.testing.assert_allclose(found["test_total"], plain["test_score"])

    def test_a_step_that_takes_dates_gets_them(self, panel):
        X, y = panel
        pipe = make_pipeline(LosesIndex(), SimpleModel(1)).fit(X, y)
        dates = X.index.get_level_values("date")
        total_r2_scorer(pipe, X.to_numpy(), y.to_numpy(), dates=dates)
        assert pipe[0].saw_dates_

    def test_scorers_are_pickled_and_named(self, model, later):
        assert skfactor.total_r2_scorer is total_r2_scorer
        for scorer in (total_r2_scorer, make_factor_scorer("total_r2", on="managed")):
            again = pickle.loads(pickle.dumps(scorer))
            assert again(model, *later) == scorer(model, *later)
        assert repr(total_r2_scorer) == "make_factor_scorer('total_r2')"
        assert total_r2_scorer.name == "total_r2"


class TestRefusals:
    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"metric": "r2"}, "`metric` must be one of 'total_r2'"),
            ({"metric": "total_r2", "on": "x"}, "`on` must be 'assets' or 'managed'; got 'x'"),
            ({"metric": "total_r2", "kind": "x"}, "`kind` must be 'regression' or 'mean'"),
            ({"metric": "total_r2", "response": "prediction"}, "`response` of 'total_r2' is 'fit'"),
            ({"metric": print}, "`response` must be 'fit' or 'prediction' for a callable"),
            ({"metric": "total_r2", "greater_is_better": False}, "is for a callable"),
            (
                {"metric": "information_coefficient", "on": "managed"},
                "orders assets and has no baseline",
            ),
        ],
    )
    def test_parameters(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            make_factor_scorer(**kwargs)

    def test_weights_of_portfolios(self, model, later):
        scorer = make_factor_scorer("total_r2", on="managed")
        with pytest.raises(ValueError, match="`sample_weight` weighs assets"):
            scorer(model, *later, np.ones(len(later[1])))
