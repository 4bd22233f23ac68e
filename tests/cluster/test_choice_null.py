"""Every score of a choice beside its null."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import davies_bouldin_score, silhouette_score

from skfactor.cluster import choose_n_clusters
from skfactor.cluster._copula import fit_null
from skfactor.cluster._runs import draw_seeds

NUMBERS, N_DRAWS, N_RESAMPLES = (2, 3), 4, 2
MEASURES = {
    "silhouette": silhouette_score,
    "davies_bouldin": lambda X, labels: -davies_bouldin_score(X, labels),
}


@pytest.fixture(scope="module")
def X():
    return make_blobs(n_samples=60, centers=3, random_state=3)[0]


@pytest.fixture(scope="module")
def kmeans():
    return KMeans(n_init=2, random_state=0)


@pytest.fixture(scope="module")
def choice(X, kmeans):
    return choose_n_clusters(
        kmeans, X, NUMBERS, n_draws=N_DRAWS, n_resamples=N_RESAMPLES, alpha=0.2, random_state=0
    )


def by_hand(X, kmeans, measure):
    """Scores of the data and of each draw, of shape (1 + n_draws, n_numbers), and their table."""
    model = fit_null(X, "unimodal")
    seeds = draw_seeds(0, N_DRAWS + N_RESAMPLES)[:N_DRAWS]
    scores = np.array(
        [
            [measure(data, kmeans.set_params(n_clusters=k).fit_predict(data)) for k in NUMBERS]
            for data in [X, *(model.draw(seed) for seed in seeds)]
        ]
    )
    z = (scores - scores.mean(axis=0)) / scores.std(axis=0, ddof=1)
    rows = []
    for i, k in enumerate(NUMBERS):
        reached = sum(max(z[b]) >= z[0, i] for b in range(1, N_DRAWS + 1))
        rows.append(
            {
                "n_clusters": k,
                "observed": scores[0, i],
                "null_mean": np.mean(scores[1:, i]),
                "null_std": np.std(scores[1:, i], ddof=1),
                "lift": scores[0, i] - np.mean(scores[1:, i]),
                "p_value": (1 + reached) / (N_DRAWS + 1),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("score", list(MEASURES))
def test_each_score_stands_beside_its_own_null(choice, X, kmeans, score):
    found = choice.null[choice.null["score"] == score].drop(columns="score")
    pd.testing.assert_frame_equal(
        found.reset_index(drop=True), by_hand(X, kmeans, MEASURES[score]), check_dtype=False
    )


def test_the_table_repeats_the_null_of_the_score_that_decides(choice):
    columns = ["n_clusters", "null_mean", "null_std", "lift", "p_value"]
    decisive = choice.null[choice.null["score"] == choice.score]
    pd.testing.assert_frame_equal(choice.table[columns], decisive[columns])


def test_the_null_has_one_row_for_each_score_and_number(choice):
    assert choice.null[["score", "n_clusters"]].to_numpy().tolist() == [
        ["silhouette", 2],
        ["silhouette", 3],
        ["davies_bouldin", 2],
        ["davies_bouldin", 3],
    ]


def test_the_repr_does_not_spell_the_null_out(choice):
    assert "observed" not in repr(choice)
