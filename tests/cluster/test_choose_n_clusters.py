"""How many clusters, by lift and stability, beside the elbow."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.cluster import InductiveClusterer, choose_n_clusters
from skfactor.cluster._choice import choose, elbow_of, joint_p_values
from skfactor.metrics import make_clustering_scorer, silhouette_scorer
from skfactor.model_selection import FullSample

X, _ = make_blobs(n_samples=80, n_features=4, centers=4, center_box=(-8, 8), random_state=5)
CLOUD = np.random.default_rng(1).normal(size=(80, 3))
KMEANS = KMeans(n_init=1, random_state=0)
QUICK = {"n_resamples": 3, "random_state": 0}


class CountingScaler(TransformerMixin, BaseEstimator):
    """Count every fit in a list shared by all clones."""

    fits: list[int] = []

    def fit(self, X, y=None):
        self.fits.append(len(X))
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.asarray(X)


def joint_p_values_by_hand(observed, null):
    columns = [[observed[k], *null[:, k]] for k in range(len(observed))]
    z = np.array([[(v - np.mean(c)) / np.std(c, ddof=1) for v in c] for c in columns]).T
    return [
        (1 + sum(max(z[b]) >= z[0][k] for b in range(1, len(z)))) / len(z)
        for k in range(len(observed))
    ]


def elbow_by_hand(numbers, inertia):
    """Greatest distance of a point to the line through the ends, both axes scaled to one."""
    x = (numbers - numbers[0]) / (numbers[-1] - numbers[0])
    y = (inertia - inertia[-1]) / (inertia[0] - inertia[-1])
    distances = []
    for a, b in zip(x, y, strict=True):
        toward, across = np.array([1.0, -1.0]), np.array([a, b - 1.0])
        distances.append(abs(toward[0] * across[1] - toward[1] * across[0]) / np.sqrt(2))
    return numbers[int(np.argmax(distances))]


def test_joint_p_values_compare_with_the_best_number_of_each_draw():
    rng = np.random.default_rng(0)
    null = rng.normal(size=(19, 4)) * [1.0, 2.0, 3.0, 4.0]
    observed = np.array([0.5, 7.0, 1.0, -2.0])
    np.testing.assert_allclose(
        joint_p_values(observed, null), joint_p_values_by_hand(observed, null)
    )


def test_joint_p_values_know_scores_that_are_missing():
    null = np.random.default_rng(0).normal(size=(19, 2))
    null[3] = np.nan
    p_values = joint_p_values(np.array([9.0, np.nan]), null)
    assert p_values[0] == 0.05
    assert np.isnan(p_values[1])


def test_joint_p_values_keep_their_level_over_all_numbers():
    rng = np.random.default_rng(0)
    called = [
        (joint_p_values(rng.normal(size=6), rng.normal(size=(19, 6))) <= 0.05).any()
        for _ in range(600)
    ]
    assert 0.025 < np.mean(called) < 0.08


def test_the_elbow_is_the_point_farthest_from_the_chord():
    numbers = np.array([1, 2, 3, 4, 5, 6, 7])
    inertia = np.array([100.0, 60.0, 20.0, 17.0, 15.0, 14.0, 13.0])
    assert elbow_of(numbers, inertia) == elbow_by_hand(numbers, inertia) == 3
    assert elbow_of(numbers, np.array([100.0, 20, 18, 16, 15, 14, 13])) == 2
    assert elbow_of(numbers, np.full(7, np.nan)) is None
    assert elbow_of(numbers[:2], inertia[:2]) is None


def test_the_rule_takes_the_greatest_product_among_the_significant():
    table = pd.DataFrame(
        {
            "n_clusters": [2, 3, 4, 5],
            "lift": [0.20, 0.18, 0.30, 0.10],
            "p_value": [0.05, 0.05, 0.40, 0.05],
            "stability": [0.50, 0.90, 1.00, 0.99],
        }
    )
    assert choose(table, 0.05) == 3
    assert choose(table.assign(p_value=0.1), 0.05) == 1


def test_clear_groups_are_counted_and_the_table_is_tidy():
    choice = choose_n_clusters(KMEANS, X, range(2, 7), **QUICK)
    assert choice.n_clusters == 4
    assert choice.elbow in (3, 4)
    assert choice.score == "silhouette"
    assert list(choice.table) == [
        "n_clusters",
        "inertia",
        "silhouette",
        "davies_bouldin",
        "null_mean",
        "null_std",
        "lift",
        "p_value",
        "stability",
    ]
    row = choice.table.set_index("n_clusters").loc[4]
    fitted = KMeans(4, n_init=1, random_state=0).fit(X)
    assert row["silhouette"] == silhouette_scorer(fitted, X)
    assert row["inertia"] == pytest.approx(fitted.inertia_)
    assert row["lift"] == pytest.approx(row["silhouette"] - row["null_mean"])
    assert row["p_value"] == 0.05
    assert row["stability"] > 0.9
    assert list(choice.null["score"].unique()) == ["silhouette", "davies_bouldin"]
    first = choice.null[choice.null["score"] == "silhouette"]
    np.testing.assert_array_equal(first["lift"], choice.table["lift"])


def test_a_cloud_has_no_clusters_and_the_result_says_so():
    choice = choose_n_clusters(KMEANS, CLOUD, range(2, 6), **QUICK)
    assert choice.n_clusters == 1
    text = " ".join(repr(choice).split())
    assert text.startswith("No clusters: for none of the 4 numbers tried (2 to 5)")
    assert "The elbow of the inertia is at" in text
    assert "Null: one cloud" in text


def test_the_result_says_what_was_chosen_and_why():
    text = repr(choose_n_clusters(KMEANS, X, [3, 4], **QUICK))
    assert all(len(line) <= 88 for line in text[: text.index(" n_clusters")].splitlines())
    assert text.startswith("4 clusters: silhouette")
    assert "p = 0.050" in text
    assert "n_clusters" in text.splitlines()[-3]


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), AgglomerativeClustering()),
        GaussianMixture(random_state=0),
        make_pipeline(StandardScaler(), InductiveClusterer(AgglomerativeClustering())),
        InductiveClusterer(make_pipeline(StandardScaler(), AgglomerativeClustering())),
    ],
    ids=["agglomerative", "mixture", "inductive", "inductive pipeline"],
)
def test_the_number_is_set_on_the_last_step_whatever_its_name(estimator):
    choice = choose_n_clusters(estimator, X, [2, 4], scoring=silhouette_scorer, **QUICK)
    assert choice.n_clusters == 4
    assert np.isfinite(choice.table["inertia"]).all()


def test_the_steps_before_the_clusterer_are_fitted_once_a_data_set():
    CountingScaler.fits.clear()
    pipeline = make_pipeline(CountingScaler(), KMEANS)
    choose_n_clusters(pipeline, X, range(2, 7), n_draws=19, n_resamples=3, random_state=0)
    assert CountingScaler.fits == [80] * 20 + [64] * 3


def test_the_first_scorer_decides_and_all_are_in_the_table():
    scoring = {
        "map": make_clustering_scorer("silhouette", space="embedding"),
        "raw": silhouette_scorer,
    }
    choice = choose_n_clusters(
        make_pipeline(StandardScaler(), KMEANS), X, [3, 4], scoring=scoring, **QUICK
    )
    assert choice.score == "map"
    np.testing.assert_allclose(
        choice.table["lift"], choice.table["map"] - choice.table["null_mean"]
    )
    assert "raw" in choice.table


def test_the_seed_rules_and_frames_give_what_arrays_give():
    before = np.random.get_state()[1].copy()
    first = choose_n_clusters(KMEANS, X, [2, 4], **QUICK).table
    assert np.array_equal(before, np.random.get_state()[1])
    frame = pd.DataFrame(X, columns=list("abcd"))
    pd.testing.assert_frame_equal(first, choose_n_clusters(KMEANS, frame, [4, 2], **QUICK).table)
    other = choose_n_clusters(KMEANS, X, [2, 4], n_resamples=3, random_state=1).table
    assert not first["null_mean"].equals(other["null_mean"])


def test_a_number_whose_stability_is_unknown_is_chosen_last():
    table = pd.DataFrame(
        {
            "n_clusters": [2, 3],
            "p_value": [0.05, 0.05],
            "lift": [0.9, 0.1],
            "stability": [np.nan, 0.5],
        }
    )
    assert choose(table, 0.05) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": [1, 2]}, r"`n_clusters` must hold different integers.*got \[1, 2\]"),
        ({"n_clusters": [2, 2]}, "`n_clusters` must hold different integers"),
        ({"n_clusters": []}, "`n_clusters` must hold different integers"),
        ({"n_clusters": [2.5]}, "`n_clusters` must hold different integers"),
        ({"estimator": DBSCAN()}, "got DBSCAN as 'dbscan', which chooses the number itself"),
        (
            {"estimator": InductiveClusterer(DBSCAN())},
            "got InductiveClusterer as 'inductiveclusterer', which chooses the number itself",
        ),
        ({"estimator": InductiveClusterer()}, "with its default clusterer, whose number is fixed"),
        ({"n_draws": 9}, "`n_draws` must be at least 19 with alpha=0.05"),
        ({"alpha": 0.0}, "The 'alpha' parameter of choose_n_clusters"),
        ({"X": X[:3]}, "`X` must have at least 4 rows; got 3"),
        (
            {"X": X[:8], "n_clusters": [2, 6, 8]},
            r"`n_clusters` must be at most 6, the rows of a subsample \(0.8 of 8, .*; got 8\.",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_n_clusters(**{"estimator": KMEANS, "X": X, **arguments})


def test_a_pipeline_with_memory_reuses_its_embedding_across_numbers_in_a_search(tmp_path):
    search = {"kmeans__n_clusters": [2, 3, 4, 5]}
    steps = [("scale", CountingScaler()), ("kmeans", KMEANS)]
    fits = {}
    for memory in (None, str(tmp_path)):
        CountingScaler.fits.clear()
        found = GridSearchCV(
            Pipeline(steps, memory=memory),
            search,
            scoring=silhouette_scorer,
            cv=FullSample(),
        ).fit(X)
        assert found.best_params_ == {"kmeans__n_clusters": 4}
        fits[memory] = len(CountingScaler.fits)
    # Four candidates and the refit; with memory, one fit serves them all.
    assert fits == {None: 5, str(tmp_path): 1}
