"""How well clusters survive the loss of some rows."""

from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import comb
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.manifold import SpectralEmbedding
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.cluster import ClusterStability, InductiveClusterer, cluster_stability
from skfactor.cluster._stability import jaccard_by_cluster, mean_agreement, pairwise_agreement
from skfactor.exceptions import ClusteringScoreWarning

X, TRUTH = make_blobs(n_samples=90, n_features=3, centers=3, center_box=(-9, 9), random_state=3)
CLOUD = np.random.default_rng(0).normal(size=(90, 3))
KMEANS = KMeans(3, n_init=1, random_state=0)


def rand_index_by_hand(a, b):
    """Adjusted Rand index from the table of counts."""
    table = np.array([[np.sum((a == i) & (b == j)) for j in set(b)] for i in set(a)])
    both = sum(comb(n, 2) for n in table.ravel())
    rows = sum(comb(n, 2) for n in table.sum(axis=1))
    columns = sum(comb(n, 2) for n in table.sum(axis=0))
    expected = rows * columns / comb(len(a), 2)
    return (both - expected) / ((rows + columns) / 2 - expected)


def random_draws(n_resamples=4, n_rows=40, size=30):
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(n_resamples):
        rows = np.sort(rng.choice(n_rows, size, replace=False))
        draws.append((rows, rng.integers(-1, 3, size=size)))
    return draws


def test_the_agreement_of_each_pair_is_the_rand_index_on_common_rows():
    draws = random_draws()
    expected = []
    for (rows_a, a), (rows_b, b) in combinations(draws, 2):
        common = [r for r in rows_a if r in rows_b]
        left = np.array([a[list(rows_a).index(r)] for r in common])
        right = np.array([b[list(rows_b).index(r)] for r in common])
        expected.append(rand_index_by_hand(left, right))
    np.testing.assert_allclose(pairwise_agreement(draws), expected)


def test_the_similarity_of_each_cluster_is_its_best_match_in_sets():
    draws = random_draws()
    whole = np.random.default_rng(2).integers(-1, 4, size=40)
    expected = {}
    for c in sorted(set(whole[whole >= 0])):
        best = []
        for rows, labels in draws:
            old = {r for r in rows if whole[r] == c}
            found = [
                {r for r, label in zip(rows, labels, strict=True) if label == d}
                for d in set(labels)
                if d >= 0
            ]
            best.append(max(len(old & new) / len(old | new) for new in found))
        expected[c] = np.mean(best)
    assert jaccard_by_cluster(whole, draws).to_dict() == pytest.approx(expected)


def test_a_cluster_that_no_drawn_row_belongs_to_is_not_held_against_it():
    whole = np.array([0, 0, 0, 1, 1, 1, 2])
    rows = np.arange(6)
    similarity = jaccard_by_cluster(whole, [(rows, whole[:6]), (np.arange(7), whole)])
    assert similarity.to_dict() == {0: 1.0, 1: 1.0, 2: 1.0}


def test_clear_groups_are_stable_and_a_cloud_is_not():
    groups = cluster_stability(KMEANS, X, n_resamples=8, random_state=0)
    cloud = cluster_stability(KMEANS.set_params(n_clusters=3), CLOUD, n_resamples=8, random_state=0)
    assert groups.mean > 0.95
    assert (groups.jaccard > 0.95).all()
    assert list(groups.jaccard.index) == [0, 1, 2]
    assert cloud.mean < 0.6
    assert groups.values.shape == (28,)
    assert groups.mean == groups.values.mean()


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), AgglomerativeClustering(3)),
        make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0)),
        DBSCAN(eps=3.0),
        InductiveClusterer(AgglomerativeClustering(3)),
        make_pipeline("passthrough", KMEANS),
    ],
    ids=["agglomerative", "mixture", "dbscan", "inductive", "passthrough"],
)
def test_every_kind_of_clusterer_will_do(estimator):
    assert cluster_stability(estimator, X, n_resamples=4, random_state=0).mean > 0.9


def test_a_map_that_cannot_take_new_rows_will_do():
    # Its agreement is that of maps made anew from each subsample.
    embedding = SpectralEmbedding(2, affinity="rbf", gamma=0.01, random_state=0)
    result = cluster_stability(make_pipeline(embedding, KMEANS), X, n_resamples=3, random_state=0)
    assert result.mean > 0.9


class CountingScaler(TransformerMixin, BaseEstimator):
    """Count the rows of every fit in a list shared by all clones."""

    fits: list[int] = []

    def fit(self, X, y=None):
        self.fits.append(len(X))
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize("estimator", [DBSCAN(eps=1e-9), KMeans(1)], ids=["noise", "one cluster"])
def test_one_group_in_every_subsample_has_no_stability(estimator):
    with pytest.warns(ClusteringScoreWarning, match="The stability is NaN: every subsample has"):
        result = cluster_stability(estimator, X, n_resamples=3, random_state=0)
    assert np.isnan(result.values).all()
    assert np.isnan(result.mean)
    assert repr(result).startswith("Stability NaN: in none of 3 pairs of 3 subsamples of 80%")


def test_pairs_of_one_group_each_are_left_out_of_the_mean():
    rows = np.arange(6)
    halves, whole = np.repeat([0, 1], 3), np.zeros(6, dtype=int)
    draws = [(rows, halves), (rows, halves), (rows, whole), (rows, whole)]
    values = pairwise_agreement(draws)
    np.testing.assert_array_equal(values, [1.0, 0.0, 0.0, 0.0, 0.0, np.nan])
    assert mean_agreement(values) == 0.2


def test_every_step_is_fitted_on_each_subsample():
    CountingScaler.fits.clear()
    cluster_stability(
        make_pipeline(CountingScaler(), KMEANS), X, n_resamples=3, subsample=0.7, random_state=0
    )
    assert CountingScaler.fits == [90, 63, 63, 63]


def test_frames_give_what_arrays_give():
    expected = cluster_stability(KMEANS, X, n_resamples=3, random_state=0).values
    for frame in (pd.DataFrame(X).add_prefix("c"), pl.DataFrame(X), X.tolist()):
        result = cluster_stability(KMEANS, frame, n_resamples=3, random_state=0)
        np.testing.assert_allclose(result.values, expected)


def test_the_seed_rules_and_the_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    first = cluster_stability(KMEANS, CLOUD, n_resamples=4, random_state=1)
    again = cluster_stability(KMEANS, CLOUD, n_resamples=4, random_state=1)
    other = cluster_stability(KMEANS, CLOUD, n_resamples=4, random_state=2)
    assert np.array_equal(before, np.random.get_state()[1])
    np.testing.assert_array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)


def test_the_result_says_in_words_what_it_is():
    text = repr(cluster_stability(KMEANS, X, n_resamples=3, random_state=0))
    assert text.startswith("Stability 1.000: mean adjusted Rand index of 3 pairs of 3 subsamples")
    assert "80% of the" in text
    assert "0: 1.00, 1: 1.00, 2: 1.00" in text
    nothing = ClusterStability(np.array([0.5]), pd.Series(dtype=float), 2, 0.8)
    assert repr(nothing).endswith("by cluster: none.")
    many = ClusterStability(np.ones(3), pd.Series(1.0, range(12)), n_resamples=3, subsample=0.8)
    assert all(len(line) <= 88 for line in repr(many).splitlines())
    assert not any(line.endswith(":") for line in repr(many).splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subsample": 0.5}, "`subsample` must leave out at least one row"),
        ({"subsample": 0.999}, "`subsample` must leave out at least one row"),
        ({"subsample": 1.5}, "The 'subsample' parameter of cluster_stability"),
        ({"n_resamples": 1}, "The 'n_resamples' parameter of cluster_stability"),
        ({"estimator": "kmeans"}, "The 'estimator' parameter of cluster_stability"),
        ({"X": X[:3]}, "`X` must have at least 4 rows; got 3"),
        (
            {"estimator": make_pipeline(StandardScaler(), KMeans(8)), "X": X[:8]},
            r"ask for at most 6 clusters, the rows of a subsample \(0.8 of 8.*; got n_clusters=8",
        ),
        (
            {"estimator": InductiveClusterer(KMeans(8)), "X": X[:8]},
            r"ask for at most 6 clusters.*; got clusterer__n_clusters=8",
        ),
        (
            {"estimator": AgglomerativeClustering(metric="precomputed", linkage="single")},
            "takes a precomputed matrix",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        cluster_stability(**{"estimator": KMEANS, "X": X, **arguments})


def test_a_pipeline_without_a_clusterer_is_an_error():
    with pytest.raises(TypeError, match="must be a clusterer or a pipeline that ends in one"):
        cluster_stability(make_pipeline(StandardScaler(), "passthrough"), X)
