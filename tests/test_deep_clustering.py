"""The whole road: raw fundamentals to clusters, as one pipeline."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skfactor import AutoencoderReducer, LogStandardizer, TSNEEmbedder, make_clustering_scorer
from skfactor.cluster import null_reference
from skfactor.datasets import make_stock_universe
from skfactor.model_selection import FullSample
from skfactor.preprocessing import PanelImputer

pytestmark = pytest.mark.filterwarnings("ignore::skfactor.exceptions.PerplexityWarning")


def make_pipeline(n_clusters=4, **encoder):
    """The flow of the source study."""
    return Pipeline(
        [
            ("scale", LogStandardizer(winsorize=0.01)),
            ("encode", AutoencoderReducer(8, random_state=0, **encoder)),
            ("embed", TSNEEmbedder(random_state=0, max_iter=500)),
            ("cluster", KMeans(n_clusters, n_init=5, random_state=0)),
        ]
    )


def complete(universe):
    """One row a stock without gaps."""
    imputer = PanelImputer(cross_section=True).set_output(transform="pandas")
    return imputer.fit_transform(universe.cross_section())


def quick_pipeline():
    return make_pipeline(max_epochs=10).set_params(embed__max_iter=250)


@pytest.fixture(scope="module")
def universe():
    return make_stock_universe(random_state=0)


@pytest.fixture(scope="module")
def X(universe):
    return complete(universe)


@pytest.fixture(scope="module")
def small(X):
    return X.iloc[:90]


@pytest.fixture(scope="module")
def fitted(small):
    """A fitted pipeline; tests must not fit it again."""
    return quick_pipeline().fit(small)


@pytest.mark.parametrize("seed", [0, 1])
def test_clear_clusters_are_found(seed):
    universe = make_stock_universe(random_state=seed)
    X = complete(universe)
    labels = make_pipeline().fit_predict(X)
    assert adjusted_rand_score(universe.clusters.loc[X.index], labels) >= 0.9


def test_new_stocks_join_the_clusters(universe, X):
    train, new = X.iloc[::2], X.iloc[1::2]
    pipeline = make_pipeline().fit(train)
    labels = pipeline.predict(new)
    assert adjusted_rand_score(universe.clusters.loc[new.index], labels) >= 0.85


def test_predicting_the_training_rows_gives_their_labels(fitted, small):
    np.testing.assert_array_equal(fitted.predict(small), fitted["cluster"].labels_)


def lift_of(separation, seed):
    """Return the lift of the silhouette among standardised features, and its p-value."""
    universe = make_stock_universe(160, 2, cluster_separation=separation, random_state=seed)
    scorer = make_clustering_scorer("silhouette", space="scale")
    reference = null_reference(
        quick_pipeline(), complete(universe), scoring=scorer, n_draws=19, random_state=0
    )
    return reference.lift.iloc[0], reference.p_value.iloc[0]


def test_clear_clusters_have_a_lift():
    lift, p_value = lift_of(7.0, seed=0)
    assert lift > 0.1
    assert p_value == 0.05  # the lowest that 19 draws can give


def test_structureless_markets_have_none():
    lifts, p_values = zip(*(lift_of(0.0, seed) for seed in range(4)), strict=True)
    assert abs(np.mean(lifts)) < 0.03
    # At the 5 % level two or more of four are significant once in seventy times.
    assert sum(p <= 0.05 for p in p_values) <= 1


def test_two_fits_with_one_seed_are_equal(fitted, small):
    np.testing.assert_array_equal(clone(fitted).fit(small).predict(small), fitted.predict(small))


def test_global_random_states_are_left_alone(small):
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    quick_pipeline().fit(small)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_pickle_and_joblib_keep_the_pipeline(fitted, small, tmp_path):
    labels = fitted.predict(small)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(small), labels)
    joblib.dump(fitted, tmp_path / "flow.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "flow.joblib").predict(small), labels)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_set_output_reaches_every_step(small, kind):
    rows = small if kind == "pandas" else pl.from_pandas(small)
    steps = quick_pipeline()[:-1].set_output(transform=kind)
    places = steps.fit_transform(rows)
    assert isinstance(places, pd.DataFrame if kind == "pandas" else pl.DataFrame)
    assert list(places.columns) == ["tsneembedder0", "tsneembedder1"]
    if kind == "pandas":
        assert places.index.equals(small.index)
    np.testing.assert_allclose(
        places.to_numpy(), quick_pipeline()[:-1].fit_transform(small), atol=1e-9
    )


def test_grid_search_over_the_whole_flow(small):
    search = GridSearchCV(
        quick_pipeline(),
        {"encode__n_components": [2, 4], "cluster__n_clusters": [2, 4]},
        scoring={
            "silhouette": make_clustering_scorer("silhouette", space="scale"),
            "davies_bouldin": make_clustering_scorer("davies_bouldin", space="scale"),
        },
        refit="silhouette",
        cv=FullSample(),
        n_jobs=2,
        error_score="raise",
    ).fit(small)
    results = search.cv_results_
    assert np.isfinite(results["mean_test_silhouette"]).all()
    assert (results["mean_test_davies_bouldin"] < 0).all()
    assert search.best_score_ == results["mean_test_silhouette"].max()
    assert len(search.predict(small)) == len(small)
