"""Scorers of clusterings: what they measure, where, and what they refuse."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import (
    DBSCAN,
    HDBSCAN,
    OPTICS,
    AgglomerativeClustering,
    KMeans,
    SpectralClustering,
)
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.metrics import (
    calinski_harabasz_score,
    davies_bouldin_score,
    pairwise_distances,
    silhouette_score,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfactor.cluster import InductiveClusterer
from skfactor.exceptions import ClusteringScoreWarning
from skfactor.metrics import (
    coverage_scorer,
    davies_bouldin_scorer,
    make_clustering_scorer,
    silhouette_scorer,
)
from skfactor.model_selection import FullSample

X, TRUTH = make_blobs(
    n_samples=90, n_features=4, centers=3, cluster_std=1.0, center_box=(-8, 8), random_state=3
)
SCORERS = {
    "silhouette": silhouette_scorer,
    "davies_bouldin": davies_bouldin_scorer,
    "coverage": coverage_scorer,
}
TRANSDUCTIVE = {
    "spectral": SpectralClustering(3, affinity="nearest_neighbors", n_neighbors=40, random_state=0),
    "spectral_rbf": SpectralClustering(3, gamma=0.02, random_state=0),
    "agglomerative": AgglomerativeClustering(3),
    "dbscan": DBSCAN(eps=3.0),
    "hdbscan": HDBSCAN(min_cluster_size=10, copy=True),
    "optics": OPTICS(min_samples=10, cluster_method="dbscan", eps=3.0),
}
INDUCTIVE = {
    "kmeans": KMeans(3, n_init=2, random_state=0),
    "mixture": GaussianMixture(3, random_state=0),
    "inductive": InductiveClusterer(AgglomerativeClustering(3)),
}


def silhouette_by_hand(Z, labels):
    """Mean of (b - a) / max(a, b), one row at a time."""
    values = []
    for i in range(len(Z)):
        distances = [np.sqrt(((Z[i] - Z[j]) ** 2).sum()) for j in range(len(Z))]
        mean = {}
        for c in set(labels):
            members = [j for j in range(len(Z)) if labels[j] == c and j != i]
            mean[c] = np.mean([distances[j] for j in members]) if members else None
        a = mean.pop(labels[i])
        b = min(mean.values())
        values.append(0.0 if a is None else (b - a) / max(a, b))
    return np.mean(values)


def davies_bouldin_by_hand(Z, labels):
    """Mean over clusters of the worst (s_i + s_j) / d_ij."""
    clusters = sorted(set(labels))
    centers = {c: Z[labels == c].mean(axis=0) for c in clusters}
    within = {
        c: np.mean([np.linalg.norm(z - centers[c]) for z in Z[labels == c]]) for c in clusters
    }
    worst = [
        max(
            (within[c] + within[d]) / np.linalg.norm(centers[c] - centers[d])
            for d in clusters
            if d != c
        )
        for c in clusters
    ]
    return np.mean(worst)


def test_the_ready_made_scorers_equal_the_definitions():
    model = KMeans(3, n_init=2, random_state=0).fit(X)
    labels = model.predict(X)
    assert silhouette_scorer(model, X) == pytest.approx(silhouette_by_hand(X, labels))
    assert davies_bouldin_scorer(model, X) == pytest.approx(-davies_bouldin_by_hand(X, labels))


def test_each_space_is_the_one_its_name_says():
    model = make_pipeline(
        StandardScaler(), PCA(2, random_state=0), KMeans(3, n_init=2, random_state=0)
    )
    wild = X * [1.0, 100.0, 0.01, 1.0]
    model.fit(wild)
    labels = model.predict(wild)
    scaled = model[:1].transform(wild)
    expected = {
        "input": wild,
        "standardscaler": scaled,
        "pca": model[:2].transform(wild),
        "embedding": model[:2].transform(wild),
    }
    values = {
        space: make_clustering_scorer("silhouette", space=space)(model, wild) for space in expected
    }
    for space, Z in expected.items():
        assert values[space] == pytest.approx(silhouette_score(Z, labels))
    assert len(set(np.round(list(values.values()), 6))) == 3


def test_the_spaces_of_an_inductive_clusterer_are_those_of_the_pipeline_inside():
    inner = make_pipeline(StandardScaler(), AgglomerativeClustering(3))
    model = InductiveClusterer(inner).fit(X)
    scorer = make_clustering_scorer("silhouette", space="standardscaler")
    expected = silhouette_score(StandardScaler().fit_transform(X), model.predict(X))
    assert scorer(model, X) == pytest.approx(expected)
    assert make_clustering_scorer("silhouette", space="embedding")(model, X) == scorer(model, X)


def test_a_clusterer_alone_has_its_input_as_embedding():
    model = KMeans(3, n_init=2, random_state=0).fit(X)
    assert make_clustering_scorer("silhouette", space="embedding")(model, X) == silhouette_scorer(
        model, X
    )


def test_an_unknown_space_is_an_error_that_lists_the_known_ones():
    model = make_pipeline(StandardScaler(), KMeans(3, n_init=2, random_state=0)).fit(X)
    with pytest.raises(ValueError, match="'input', 'embedding', 'standardscaler'.*got 'tsne'"):
        make_clustering_scorer("silhouette", space="tsne")(model, X)


def test_a_step_named_like_a_fixed_word_is_refused_where_it_means_another_space():
    model = Pipeline(
        [
            ("embedding", StandardScaler()),
            ("pca", PCA(2)),
            ("kmeans", KMeans(3, n_init=2, random_state=0)),
        ]
    ).fit(X)
    with pytest.raises(ValueError, match="fixed word of the scorers"):
        make_clustering_scorer("silhouette", space="embedding")(model, X)


def test_a_callable_metric_is_called_with_points_and_labels_and_signed():
    def n_points(Z, labels):
        return float(len(Z))

    model = KMeans(3, n_init=2, random_state=0).fit(X)
    assert make_clustering_scorer(n_points)(model, X) == 90.0
    assert make_clustering_scorer(n_points, greater_is_better=False)(model, X) == -90.0


def test_calinski_harabasz_goes_by_name():
    model = KMeans(3, n_init=2, random_state=0).fit(X)
    expected = calinski_harabasz_score(X, model.labels_)
    assert make_clustering_scorer("calinski_harabasz")(model, X) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "dunn"}, "`metric` must be a callable or one of '.*', '.*'; got 'dunn'."),
        ({"metric": 3}, "`metric` must be a callable or one of .*; got 3."),
        (
            {"metric": "davies_bouldin", "greater_is_better": True},
            "`greater_is_better` must be False or None with metric='davies_bouldin'",
        ),
        ({"metric": "silhouette", "sample_size": 1}, "`sample_size` must be .*; got 1."),
        ({"metric": "silhouette", "space": 2}, "`space` must be .*; got 2."),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_clustering_scorer(**arguments)


def test_the_scorer_says_how_it_was_made_and_survives_pickle_and_clone():
    scorer = make_clustering_scorer("silhouette", space="pca", sample_size=50, random_state=0)
    text = "make_clustering_scorer('silhouette', space='pca', sample_size=50, random_state=0)"
    assert repr(scorer) == text
    assert repr(pickle.loads(pickle.dumps(scorer))) == text
    search = GridSearchCV(KMeans(), {"n_clusters": [2]}, scoring=scorer)
    assert repr(clone(search).scoring) == text
    assert repr(make_clustering_scorer(silhouette_score)) == (
        "make_clustering_scorer(silhouette_score, space='input', greater_is_better=True)"
    )


def test_a_sample_is_drawn_from_the_seed_and_leaves_the_global_state_alone():
    model = KMeans(3, n_init=2, random_state=0).fit(X)
    scorer = make_clustering_scorer("silhouette", sample_size=30, random_state=5)
    before = np.random.get_state()[1].copy()
    first, second = scorer(model, X), scorer(model, X)
    assert np.array_equal(before, np.random.get_state()[1])
    assert first == second
    other = make_clustering_scorer("silhouette", sample_size=30, random_state=6)
    assert other(model, X) != first
    assert abs(first - silhouette_scorer(model, X)) < 0.1
    everything = make_clustering_scorer("silhouette", sample_size=10**6)
    assert everything(model, X) == silhouette_scorer(model, X)


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_labels_without_predict_are_scored_on_the_rows_they_were_fitted_on(name):
    model = make_pipeline(StandardScaler(with_std=False), TRANSDUCTIVE[name]).fit(X)
    labels = model[-1].labels_
    kept = labels >= 0
    assert silhouette_scorer(model, X) == pytest.approx(silhouette_score(X[kept], labels[kept]))
    assert coverage_scorer(model, X) == pytest.approx(kept.mean())


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_labels_without_predict_are_never_paired_with_other_rows(name):
    even, odd = X[::2], X[1::2]
    model = clone(TRANSDUCTIVE[name]).fit(even)
    with pytest.warns(ClusteringScoreWarning, match=r"FullSample\(\).*InductiveClusterer\("):
        assert np.isnan(silhouette_scorer(model, odd))
    with pytest.warns(ClusteringScoreWarning, match="fitted on 45 rows, not on the 44"):
        assert np.isnan(silhouette_scorer(model, odd[1:]))


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_other_rows_are_told_even_if_their_partition_is_the_same(name):
    # Sorted by group, even and odd rows have the same labels in the same order.
    ordered = X[np.argsort(TRUTH, kind="stable")]
    model = clone(TRANSDUCTIVE[name]).fit(ordered[::2])
    with pytest.warns(ClusteringScoreWarning, match="not the rows it was fitted on"):
        assert np.isnan(silhouette_scorer(model, ordered[1::2]))


def test_shuffled_rows_are_other_rows():
    model = AgglomerativeClustering(3).fit(X)
    with pytest.warns(ClusteringScoreWarning, match="not the rows it was fitted on"):
        assert np.isnan(silhouette_scorer(model, X[::-1]))


def test_the_reason_names_random_state_for_a_clusterer_that_cannot_repeat_itself():
    cloud = np.random.default_rng(0).normal(size=(80, 3))
    model = SpectralClustering(6, random_state=None).fit(cloud)
    model.labels_ = np.random.default_rng(1).permutation(model.labels_)
    with pytest.warns(ClusteringScoreWarning, match="integer `random_state`"):
        assert np.isnan(silhouette_scorer(model, cloud))


@pytest.mark.parametrize("name", [*TRANSDUCTIVE, *INDUCTIVE])
def test_every_kind_of_clusterer_is_searched_under_full_sample(name):
    last = {**TRANSDUCTIVE, **INDUCTIVE}[name]
    pipeline = Pipeline([("scale", StandardScaler(with_std=False)), ("last", last)])
    search = GridSearchCV(
        pipeline,
        {"scale__with_mean": [True, False]},
        scoring=SCORERS,
        refit="silhouette",
        cv=FullSample(),
        error_score="raise",
    ).fit(X)
    results = search.cv_results_
    assert (results["mean_test_silhouette"] > 0.5).all()
    assert (results["mean_test_davies_bouldin"] < 0).all()
    assert (results["mean_test_coverage"] > 0.7).all()


@pytest.mark.parametrize("name", INDUCTIVE)
def test_what_has_predict_is_scored_on_rows_held_out(name):
    result = cross_validate(
        INDUCTIVE[name],
        X,
        scoring=SCORERS,
        cv=KFold(3, shuffle=True, random_state=0),
        error_score="raise",
    )
    assert (result["test_silhouette"] > 0.5).all()


def test_a_search_in_two_processes_gives_the_scores_of_one():
    pipeline = make_pipeline(StandardScaler(), KMeans(n_init=2, random_state=0))

    def scores(n_jobs):
        search = GridSearchCV(
            pipeline,
            {"kmeans__n_clusters": [2, 3, 4]},
            scoring={"silhouette": silhouette_scorer, "davies_bouldin": davies_bouldin_scorer},
            refit="silhouette",
            cv=KFold(3, shuffle=True, random_state=0),
            n_jobs=n_jobs,
        ).fit(X)
        assert search.best_params_ == {"kmeans__n_clusters": 3}
        return search.cv_results_["mean_test_silhouette"]

    np.testing.assert_array_equal(scores(1), scores(2))


def test_a_fitted_search_is_scored_as_the_estimator_it_chose():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), KMeans(n_init=2, random_state=0)),
        {"kmeans__n_clusters": [2, 3]},
        scoring=silhouette_scorer,
    ).fit(X)
    scorer = make_clustering_scorer("silhouette", space="standardscaler")
    assert scorer(search, X) == scorer(search.best_estimator_, X)


def test_a_nan_score_is_ranked_last():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(
            DBSCAN(),
            {"eps": [1e-6, 1e6, 3.0]},
            scoring=silhouette_scorer,
            cv=FullSample(),
        ).fit(X)
    assert search.best_params_ == {"eps": 3.0}
    assert list(np.isnan(search.cv_results_["mean_test_score"])) == [True, True, False]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (DBSCAN(eps=1e6), "all 90 rows fell into one cluster"),
        (DBSCAN(eps=1e-9), "every row is noise"),
        (KMeans(90, n_init=1, random_state=0), "each of the 90 rows is a cluster of its own"),
    ],
)
def test_a_partition_without_contrast_scores_nan_with_a_reason(model, reason):
    with pytest.warns(ClusteringScoreWarning, match=f"The silhouette score is NaN: {reason}"):
        assert np.isnan(silhouette_scorer(model.fit(X), X))


def test_missing_values_in_the_space_score_nan_and_name_columns_and_steps():
    frame = pd.DataFrame(X.copy(), columns=["cap", "eps", "per", "roe"])
    frame.loc[3, "per"] = np.nan
    frame.loc[5, "roe"] = np.nan
    model = make_pipeline(SimpleImputer(), KMeans(3, n_init=2, random_state=0)).fit(frame)
    message = r"2 missing or infinite values in 2 of 4 columns \('per', 'roe'\).*'simpleimputer'"
    with pytest.warns(ClusteringScoreWarning, match=message):
        assert np.isnan(silhouette_scorer(model, frame))
    assert make_clustering_scorer("silhouette", space="simpleimputer")(model, frame) > 0.5


def test_a_space_that_blows_up_scores_nan():
    blow_up = FunctionTransformer(lambda Z: np.full((len(Z), 1), np.inf))
    repair = FunctionTransformer(lambda Z: X)
    kmeans = KMeans(3, n_init=2, random_state=0)
    fitted = Pipeline([("bad", blow_up), ("repair", repair), ("kmeans", kmeans)]).fit(X)
    with pytest.warns(ClusteringScoreWarning, match="the space 'bad' holds 90 missing"):
        assert np.isnan(make_clustering_scorer("silhouette", space="bad")(fitted, X))


def test_text_in_the_space_scores_nan_and_says_so():
    frame = pd.DataFrame({"sector": ["a", "b"] * 45, "cap": X[:, 0]})
    numbers = FunctionTransformer(lambda Z: Z[["cap"]].to_numpy())
    model = make_pipeline(numbers, KMeans(3, n_init=2, random_state=0)).fit(frame)
    with pytest.warns(ClusteringScoreWarning, match="'input' is not a table of numbers"):
        assert np.isnan(silhouette_scorer(model, frame))


def test_a_metric_that_gives_no_number_scores_nan():
    model = KMeans(3, n_init=2, random_state=0).fit(X)
    with pytest.warns(ClusteringScoreWarning, match="the metric itself gave inf"):
        assert np.isnan(make_clustering_scorer(lambda Z, labels: np.inf)(model, X))


def test_a_precomputed_matrix_is_not_taken_for_points():
    distances = pairwise_distances(X)
    model = AgglomerativeClustering(3, metric="precomputed", linkage="average").fit(distances)
    with pytest.warns(ClusteringScoreWarning, match="rows are not points"):
        assert np.isnan(silhouette_scorer(model, distances))

    def from_distances(D, labels):
        return silhouette_score(D, labels, metric="precomputed")

    assert make_clustering_scorer(from_distances)(model, distances) > 0.5
    piped = make_pipeline(FunctionTransformer(pairwise_distances), clone(model)).fit(X)
    assert silhouette_scorer(piped, X) > 0.5
    with pytest.warns(ClusteringScoreWarning, match="'embedding' is that matrix"):
        assert np.isnan(make_clustering_scorer("silhouette", space="embedding")(piped, X))


def test_noise_is_left_out_of_the_score_and_counted_by_the_coverage():
    outliers = np.array([[50.0, 50.0, 50.0, 50.0], [-50.0, 50.0, -50.0, 50.0]])
    rows = np.vstack([X, outliers])
    model = DBSCAN(eps=4.0).fit(rows)
    assert list(model.labels_[-2:]) == [-1, -1]
    kept = model.labels_ >= 0
    assert silhouette_scorer(model, rows) == silhouette_score(rows[kept], model.labels_[kept])
    assert davies_bouldin_scorer(model, rows) == -davies_bouldin_score(
        rows[kept], model.labels_[kept]
    )
    assert coverage_scorer(model, rows) == kept.mean()
    with pytest.warns(ClusteringScoreWarning, match="The coverage is NaN"):
        assert np.isnan(coverage_scorer(model, X))


def test_frames_and_sparse_rows_are_scored_like_arrays():
    model = KMeans(3, n_init=2, random_state=0).fit(X)
    assert silhouette_scorer(model, sparse.csr_array(X)) == pytest.approx(
        silhouette_scorer(model, X)
    )
    frame = pd.DataFrame(X, columns=list("abcd"))
    named = clone(model).fit(frame)
    assert silhouette_scorer(named, frame) == silhouette_scorer(model, X)


def test_an_estimator_that_is_no_clusterer_is_an_error():
    with pytest.raises(TypeError, match="got StandardScaler, which has neither"):
        silhouette_scorer(StandardScaler().fit(X), X)


def test_labels_can_be_scored_without_an_estimator():
    assert silhouette_scorer.score_labels(X, TRUTH) == pytest.approx(silhouette_score(X, TRUTH))
    with pytest.warns(ClusteringScoreWarning, match="one cluster"):
        assert np.isnan(silhouette_scorer.score_labels(X, np.zeros(90)))
