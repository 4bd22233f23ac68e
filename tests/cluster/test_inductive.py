"""Labels for new rows from clusterers that only know the rows they were fitted on."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone, is_clusterer
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.datasets import make_blobs
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from skfactor.cluster import InductiveClusterer
from skfactor.metrics import silhouette_scorer

X, TRUTH = make_blobs(n_samples=120, n_features=4, centers=3, center_box=(-8, 8), random_state=3)
NEW = slice(90, None)


def nearest_five_by_hand(rows, labels, new):
    """Vote of the five nearest rows, one new row at a time."""
    voted = []
    for row in new:
        nearest = np.argsort(((rows - row) ** 2).sum(axis=1), kind="stable")[:5]
        values, counts = np.unique(labels[nearest], return_counts=True)
        voted.append(values[counts.argmax()])
    return np.array(voted)


def test_new_rows_get_the_cluster_of_their_neighbours():
    model = InductiveClusterer(AgglomerativeClustering(3)).fit(X[:90])
    expected = AgglomerativeClustering(3).fit_predict(X[:90])
    np.testing.assert_array_equal(model.labels_, expected)
    by_hand = nearest_five_by_hand(X[:90], expected, X[NEW])
    np.testing.assert_array_equal(model.predict(X[NEW]), by_hand)
    assert adjusted_rand_score(TRUTH[NEW], model.predict(X[NEW])) == 1.0


@pytest.mark.parametrize(
    "clusterer",
    [DBSCAN(eps=0.5), KMeans(2, n_init=1, random_state=0), SpectralClustering(2, random_state=0)],
    ids=["noise", "inductive", "spectral"],
)
def test_every_check_of_scikit_learn_passes_with_other_clusterers(clusterer):
    check_estimator(InductiveClusterer(clusterer))


def test_rows_can_be_held_out_in_a_search():
    search = GridSearchCV(
        make_pipeline(
            StandardScaler(),
            InductiveClusterer(SpectralClustering(gamma=0.1, random_state=0)),
        ),
        {"inductiveclusterer__clusterer__n_clusters": [2, 3]},
        scoring=silhouette_scorer,
        cv=KFold(2, shuffle=True, random_state=0),
        error_score="raise",
    )
    search.fit(X)
    assert search.best_params_ == {"inductiveclusterer__clusterer__n_clusters": 3}
    assert (search.cv_results_["mean_test_score"] > 0.4).all()


def test_noise_is_kept_in_the_labels_but_never_learnt():
    rows = np.vstack([X, [[40.0, 40.0, 40.0, 40.0], [-40.0, 40.0, -40.0, 40.0]]])
    model = InductiveClusterer(DBSCAN(eps=4.0)).fit(rows)
    assert list(model.labels_[-2:]) == [-1, -1]
    assert set(model.classifier_.classes_) == set(model.labels_[model.labels_ >= 0])
    assert (model.predict(rows) >= 0).all()


def test_nothing_but_noise_predicts_noise():
    model = InductiveClusterer(DBSCAN(eps=1e-9)).fit(X)
    assert (model.labels_ == -1).all()
    assert (model.predict(X[:5]) == -1).all()


@pytest.mark.parametrize("classifier", [None, LogisticRegression()])
def test_a_single_cluster_is_predicted_everywhere(classifier):
    model = InductiveClusterer(DBSCAN(eps=1e6), classifier).fit(X)
    assert (model.predict(X) == 0).all()


def test_fewer_rows_than_neighbours_use_the_rows_there_are():
    model = InductiveClusterer().fit(X[:3])
    assert model.classifier_.n_neighbors == 3


def test_a_clusterer_that_has_predict_but_no_labels_will_do():
    model = InductiveClusterer(GaussianMixture(3, random_state=0)).fit(X)
    assert adjusted_rand_score(TRUTH, model.labels_) == 1.0


def test_the_parts_are_cloned_and_the_parameters_untouched():
    clusterer, classifier = AgglomerativeClustering(3), KNeighborsClassifier(1)
    model = InductiveClusterer(clusterer, classifier).fit(X)
    assert model.clusterer is clusterer
    assert model.clusterer_ is not clusterer
    assert not hasattr(clusterer, "labels_")
    assert model.classifier_ is not classifier
    # One neighbour: a fitted row is its own nearest one.
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    fresh = clone(model)
    assert not hasattr(fresh, "labels_")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert is_clusterer(model)


def test_frames_and_sparse_rows_come_in_as_they_are():
    expected = InductiveClusterer(DBSCAN(eps=1.4)).fit(X[:90])
    assert (expected.labels_ < 0).any()
    columns = list("abcd")
    for make in (
        lambda Z: pd.DataFrame(Z, columns=columns),
        lambda Z: pl.DataFrame(Z, schema=columns),
        sparse.coo_array,
        lambda Z: Z.tolist(),
    ):
        model = InductiveClusterer(DBSCAN(eps=1.4)).fit(make(X[:90]))
        np.testing.assert_array_equal(model.labels_, expected.labels_)
        np.testing.assert_array_equal(model.predict(make(X[NEW])), expected.predict(X[NEW]))
    named = InductiveClusterer().fit(pd.DataFrame(X, columns=columns))
    assert list(named.feature_names_in_) == columns


def test_columns_in_another_order_are_an_error():
    model = InductiveClusterer().fit(pd.DataFrame(X, columns=list("abcd")))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(pd.DataFrame(X, columns=list("dcba")))
    with pytest.raises(ValueError, match="X has 3 features, but InductiveClusterer is expecting 4"):
        InductiveClusterer().fit(X).predict(X[:, :3])


def test_missing_values_pass_if_both_parts_take_them():
    holed = X.copy()
    holed[0, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        InductiveClusterer().fit(holed)
    both = InductiveClusterer(
        make_pipeline(SimpleImputer(), AgglomerativeClustering(3)),
        make_pipeline(SimpleImputer(), KNeighborsClassifier()),
    )
    assert both.fit(holed).predict(holed).shape == (120,)


def test_the_tags_say_what_both_parts_take():
    both = InductiveClusterer(HDBSCAN(copy=True), HistGradientBoostingClassifier())
    assert get_tags(both).input_tags.allow_nan
    assert not get_tags(InductiveClusterer(HDBSCAN(copy=True))).input_tags.allow_nan
    assert get_tags(InductiveClusterer(DBSCAN())).input_tags.sparse
    assert not get_tags(InductiveClusterer()).input_tags.sparse


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((5, 2), np.inf), "infinity"),
        (np.empty((0, 2)), "0 sample"),
        (X[:1], "1 sample|minimum of 2"),
        (X[0], "Reshape your data"),
        (pd.DataFrame({"a": ["x", "y", "z"]}), "could not convert string"),
    ],
    ids=["infinite", "empty", "one row", "one dimension", "text"],
)
def test_bad_rows_are_errors_and_leave_what_was_fitted(bad, message):
    model = InductiveClusterer(AgglomerativeClustering(3)).fit(X)
    before = model.predict(X)
    with pytest.raises(ValueError, match=message):
        model.fit(bad)
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize(
    "clusterer",
    [
        AgglomerativeClustering(3, metric="precomputed", linkage="average"),
        DBSCAN(metric="precomputed"),
        SpectralClustering(3, affinity="precomputed"),
        InductiveClusterer(DBSCAN(metric="precomputed")),
    ],
    ids=["agglomerative", "dbscan", "spectral", "nested"],
)
def test_a_precomputed_matrix_is_refused(clusterer):
    distances = np.abs(np.subtract.outer(np.arange(9.0), np.arange(9.0)))
    with pytest.raises(ValueError, match="must cluster points; got one that takes a precomputed"):
        InductiveClusterer(clusterer).fit(distances)


def test_predict_before_fit_and_wrong_parts_are_errors():
    with pytest.raises(NotFittedError):
        InductiveClusterer().predict(X)
    with pytest.raises(ValueError, match="The 'clusterer' parameter of InductiveClusterer"):
        InductiveClusterer(clusterer=StandardScaler()).fit(X)
    with pytest.raises(ValueError, match="The 'classifier' parameter of InductiveClusterer"):
        InductiveClusterer(classifier="knn").fit(X)
