"""The computations of t-SNE against slow, obvious references."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from sklearn.datasets import make_blobs
from sklearn.metrics import pairwise_distances

from skfactor.manifold import TSNEEmbedder, _layout

METRICS = ["euclidean", "cosine", "correlation", "manhattan", "chebyshev"]


def blobs(n_rows, centers=3):
    return make_blobs(n_rows, 5, centers=centers, random_state=0)


def quick(n_components=2, max_iter=150):
    return TSNEEmbedder(n_components, perplexity=10, max_iter=max_iter, random_state=0)


def dense_affinities(rows, metric, perplexity):
    """Calibrate each Gaussian by root finding over all the other rows."""
    distances = pairwise_distances(rows, metric=metric)
    n = len(rows)
    conditional = np.zeros((n, n))
    for i in range(n):
        others = np.arange(n) != i
        squared = distances[i, others] ** 2
        squared = squared / squared.mean()

        def pick(log_precision, squared=squared):
            weight = np.exp(-np.exp(log_precision) * (squared - squared.min()))
            return weight / weight.sum()

        def excess(log_precision, pick=pick):
            p = pick(log_precision)
            return -(p[p > 0] * np.log(p[p > 0])).sum() - np.log(perplexity)

        conditional[i, others] = pick(brentq(excess, -20, 20))
    return (conditional + conditional.T) / (2 * n)


def dense_divergence(layout, affinities):
    n = len(layout)
    kernel = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                kernel[i, j] = 1 / (1 + ((layout[i] - layout[j]) ** 2).sum())
    q = kernel / kernel.sum()
    seen = affinities > 0
    return (affinities[seen] * np.log(affinities[seen] / q[seen])).sum()


@pytest.mark.parametrize("metric", METRICS)
def test_affinities_equal_gaussians_calibrated_row_by_row(metric):
    X, _ = blobs(31)
    # With a third of the other rows as perplexity, every other row is a neighbour.
    rows = _layout.comparable_rows(X, metric)
    affinities = _layout.neighbour_affinities(rows, metric, 10.0, 1).toarray()
    np.testing.assert_allclose(affinities, dense_affinities(X, metric, 10.0), atol=1e-6)
    assert affinities.sum() == pytest.approx(1)


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_reported_divergence_is_that_of_the_map(n_components):
    X, _ = blobs(40)
    embedder = TSNEEmbedder(n_components, perplexity=10, random_state=0).fit(X)
    affinities = _layout.neighbour_affinities(X, "euclidean", 10.0, 1).toarray()
    exact = dense_divergence(embedder.embedding_, affinities)
    assert embedder.kl_divergence_ == pytest.approx(exact, rel=0.05, abs=0.005)


def test_map_is_near_a_minimum_of_the_divergence():
    X, _ = blobs(25)
    embedder = TSNEEmbedder(perplexity=8, max_iter=1500, random_state=0).fit(X)
    affinities = _layout.neighbour_affinities(X, "euclidean", 8.0, 1).toarray()
    seen = affinities > 0

    def divergence(flat):
        kernel = 1 / (1 + pairwise_distances(flat.reshape(25, 2)) ** 2)
        np.fill_diagonal(kernel, 0)
        return (affinities[seen] * np.log(affinities[seen] * kernel.sum() / kernel[seen])).sum()

    here = divergence(embedder.embedding_.ravel())
    best = minimize(divergence, embedder.embedding_.ravel(), options={"maxiter": 30}).fun
    assert here - best < 0.01


def test_fft_descent_agrees_with_the_tree(monkeypatch):
    X, _ = blobs(200)
    by_tree = quick(max_iter=40).fit(X)
    monkeypatch.setattr(_layout, "FFT_FROM", 200)
    by_fft = quick(max_iter=40).fit(X)
    assert not np.array_equal(by_fft.embedding_, by_tree.embedding_)
    assert by_fft.kl_divergence_ == pytest.approx(by_tree.kl_divergence_, rel=0.1)
    assert quick(3, max_iter=6).fit(X).embedding_.shape == (200, 3)


def test_unseen_row_is_near_a_minimum_of_its_own_divergence():
    X, _ = blobs(101)
    X, new = X[:100], X[100]
    embedder = quick().fit(X)
    neighbours = np.argsort(np.linalg.norm(X - new, axis=1))[:30]
    squared = ((X[neighbours] - new) ** 2).sum(axis=1)

    def pick(precision):
        weight = np.exp(-precision * (squared - squared.min()))
        return weight / weight.sum()

    def perplexity(precision):
        p = pick(precision)
        return np.exp(-(p[p > 0] * np.log(p[p > 0])).sum())

    p = pick(brentq(lambda precision: perplexity(precision) - 10, 1e-6, 1e3))

    def divergence(place):
        kernel = 1 / (1 + ((embedder.embedding_ - place) ** 2).sum(axis=1))
        return (p * np.log(p * kernel.sum() / kernel[neighbours])).sum()

    place = embedder.transform([new])[0]
    start = np.median(embedder.embedding_[neighbours[:10]], axis=0)
    best = minimize(divergence, place).fun
    assert divergence(place) - best < 0.02
    assert divergence(place) <= divergence(start)


def test_find_rows_looks_within_a_millionth_of_the_columns_range():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(50, 3)) * [1e-6, 1, 1e6]
    known[:, 1] = 7.0
    near = 4e-7 * np.array([np.ptp(known[:, 0]), 7, np.ptp(known[:, 2])])
    assert _layout.find_rows(known[::-1] + near, known).tolist() == list(range(49, -1, -1))
    for column in range(3):
        assert (_layout.find_rows(known + 6 * np.eye(3)[column] * near, known) == -1).all()
    assert _layout.find_rows(np.array([[1e300, -1e300, 0.0]]), known).tolist() == [-1]


def test_find_rows_prefers_the_equal_row_to_one_that_differs_in_the_last_bit():
    known = np.array([[1.0, 0.0], [np.nextafter(1.0, 2.0), 0.0], [0.0, 3.0]])
    assert _layout.find_rows(known, known).tolist() == [0, 1, 2]


def test_share_places_gives_equal_rows_their_mean_place():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [0.0, 0.0], [1.0, 2.0]])
    layout = np.arange(10.0).reshape(5, 2)
    shared = _layout.share_places(layout, rows)
    for i, row in enumerate(rows):
        same = [j for j in range(5) if (rows[j] == row).all()]
        np.testing.assert_allclose(shared[i], np.mean([layout[j] for j in same], axis=0))


def slow_trustworthiness(rows, places, k, sample, metric="euclidean"):
    n = len(rows)
    in_data = pairwise_distances(rows, metric=metric)
    in_map = pairwise_distances(places)
    penalty = 0
    for i in sample:
        by_rows = [j for j in np.argsort(in_data[i]) if j != i]
        by_map = [j for j in np.argsort(in_map[i]) if j != i]
        penalty += sum(max(0, by_rows.index(j) + 1 - k) for j in by_map[:k])
    return 1 - 2 * penalty / (len(sample) * k * (2 * n - 3 * k - 1))


@pytest.mark.parametrize("metric", METRICS)
def test_trustworthiness_equals_a_plain_loop_over_the_sample(metric):
    X, _ = blobs(60)
    places = np.random.default_rng(1).normal(size=(60, 2))
    sample = np.array([3, 50, 7])
    rows = _layout.comparable_rows(X, metric)
    assert _layout.trustworthiness_score(rows, places, metric, 4, sample) == pytest.approx(
        slow_trustworthiness(X, places, 4, sample, metric)
    )


@pytest.mark.parametrize("n_rows", [60, 150])
def test_spectral_start_is_an_eigenvector_of_the_walk(n_rows):
    X, _ = blobs(n_rows, centers=1)
    affinities = _layout.neighbour_affinities(X, "euclidean", 10.0, 1)
    layout = _layout._spectral_layout(affinities, 2, np.random.default_rng(0))
    walk = affinities.toarray() / affinities.toarray().sum(axis=1, keepdims=True)
    for axis in layout.T:
        # An eigenvector of the walk is only stretched by one more step.
        stepped = walk @ axis
        assert abs(np.corrcoef(stepped, axis)[0, 1]) > 0.999
