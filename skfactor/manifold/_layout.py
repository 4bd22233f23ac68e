"""The computations of t-SNE on plain arrays, for the estimator to call.

openTSNE supplies the optimiser and the calibration of the Gaussians. Its ``TSNE`` class is
left aside: it searches neighbours by an index whose answers depend on the number of threads,
moves fitted places in place when it maps new rows, and reports by log lines only.
"""

from collections.abc import Callable, Iterator
from math import gcd

import numpy as np
from openTSNE.affinity import PrecomputedAffinities, joint_probabilities_nn
from openTSNE.tsne import PartialTSNEEmbedding, TSNEEmbedding
from scipy import sparse
from scipy.sparse.linalg import eigsh
from scipy.spatial import KDTree
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from skfactor._typing import FloatArray, IntArray

# Cosine and correlation distances are half the squared Euclidean distance of directions.
SEARCH_METRIC = {
    "euclidean": "euclidean",
    "cosine": "euclidean",
    "correlation": "euclidean",
    "manhattan": "manhattan",
    "chebyshev": "chebyshev",
}
TOLERANCE = 1e-6
LEAST_RANGE, LARGEST_RANGE = 1e-100, 1e100
START_SCALE = 1e-4
EARLY_EXAGGERATION = 12.0
# Barnes-Hut treats a cell as one point if it looks smaller than this. The coarse angle moves
# points as well as the fine one until they come to rest; there it keeps them from settling.
COARSE, FINE = 0.5, 0.3
LONGEST_POLISH = 150
REPORT_EVERY = 50
FFT_FROM = 10_000
PLACEMENT_START = 10
PLACEMENT_STEPS = 100

Report = Callable[[int, float], None]


def batches(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Cut ``n_rows`` into slices whose (rows, n_columns) array stays near 32 MiB."""
    size = max(1, 2**22 // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def comparable_rows(X: FloatArray, metric: str) -> FloatArray:
    """Return rows whose plain distances order neighbours as ``metric`` does."""
    rows = np.asarray(X, dtype=np.float64)
    if metric not in ("cosine", "correlation"):
        return rows
    size = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(size > 0, size, 1.0)
    if metric == "correlation":
        rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    # Rounding leaves a constant row with a tiny mean error instead of zeros.
    undirected = np.flatnonzero(norm[:, 0] <= 1e-13)
    if undirected.size:
        kind = "zero" if metric == "cosine" else "constant"
        raise ValueError(
            f"Every row must have a direction when metric={metric!r}; got {undirected.size} "
            f"{kind} row(s), the first at position(s) {undirected[:5].tolist()}. Drop them or "
            "use metric='euclidean'."
        )
    return rows / norm


def all_rows_equal(rows: FloatArray) -> bool:
    """Tell whether no column varies beyond rounding."""
    rounding = 4 * np.finfo(np.float64).eps * np.abs(rows).max(axis=0)
    return bool((np.ptp(rows, axis=0) <= rounding).all())


def usable_perplexity(perplexity: float, n_rows: int) -> float:
    """Return the perplexity, at most a third of the other rows and at least one."""
    return min(float(perplexity), max(1.0, (n_rows - 1) / 3))


def neighbour_affinities(
    rows: FloatArray, metric: str, perplexity: float, n_jobs: int
) -> sparse.csr_matrix:
    """Return the symmetric affinities of t-SNE over the exact nearest neighbours."""
    n_neighbors = min(len(rows) - 1, max(2, int(3 * perplexity)))
    index = NearestNeighbors(
        n_neighbors=n_neighbors, metric=SEARCH_METRIC[metric], n_jobs=n_jobs
    ).fit(rows)
    distances, neighbours = index.kneighbors()
    if metric in ("cosine", "correlation"):
        distances = distances**2 / 2
    return joint_probabilities_nn(neighbours, distances, [perplexity], n_jobs=n_jobs)


def start_layout(
    rows: FloatArray,
    affinities: sparse.csr_matrix,
    n_components: int,
    init: str | FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Return first places, so close together that the early phase can order them."""
    shape = (len(rows), n_components)
    if isinstance(init, str) and init == "random":
        return rng.normal(scale=START_SCALE, size=shape)
    layout = np.zeros(shape)
    if not isinstance(init, str):
        layout += init
    elif init == "spectral":
        layout += _spectral_layout(affinities, n_components, rng)
    else:
        n_axes = min(n_components, *rows.shape)
        seed = int(rng.integers(np.iinfo(np.int32).max))
        layout[:, :n_axes] = PCA(n_axes, random_state=seed).fit_transform(rows)
    layout *= START_SCALE / layout.std(axis=0).max()
    # Equal rows would never part, and a missing axis never open, without a little noise.
    return layout + rng.normal(scale=0.01 * START_SCALE, size=shape)


def _spectral_layout(
    affinities: sparse.csr_matrix, n_components: int, rng: np.random.Generator
) -> FloatArray:
    """Return the diffusion map of the random walk on the affinities."""
    n_rows = affinities.shape[0]
    root = np.sqrt(np.asarray(affinities.sum(axis=1)).ravel())
    walk = sparse.diags(1 / root) @ affinities @ sparse.diags(1 / root)
    if n_rows <= 100:
        values, vectors = np.linalg.eigh(walk.toarray())
    else:
        values, vectors = eigsh(
            walk, k=n_components + 1, which="LA", tol=1e-4, v0=rng.uniform(-1, 1, n_rows)
        )
    leading = np.argsort(values)[::-1][1 : n_components + 1]
    layout = np.zeros((n_rows, n_components))
    layout[:, : leading.size] = values[leading] * vectors[:, leading] / root[:, None]
    return layout


def optimise_layout(
    layout: FloatArray,
    affinities: sparse.csr_matrix,
    *,
    learning_rate: float | str,
    max_iter: int,
    n_jobs: int,
    report: Report | None,
) -> tuple[FloatArray, float]:
    """Descend on the divergence, early exaggeration first; return places and divergence."""
    n_rows, n_components = layout.shape
    by_fft = n_rows >= FFT_FROM and n_components < 3
    embedding = TSNEEmbedding(
        layout,
        PrecomputedAffinities(affinities, normalize=False),
        negative_gradient_method="fft" if by_fft else "bh",
        learning_rate=learning_rate,
        momentum=0.8,
        n_jobs=n_jobs,
    )
    n_early = min(250, max_iter // 3)
    n_polish = min(LONGEST_POLISH, (max_iter - n_early) // 5) // REPORT_EVERY * REPORT_EVERY
    phases = (
        (n_early, EARLY_EXAGGERATION, COARSE),
        (max_iter - n_early - n_polish, None, COARSE),
        (n_polish, None, FINE),
    )
    done, said = 0, 0

    def follow(iteration: int, divergence: float, _: FloatArray) -> None:
        # The optimiser counts anew in each phase; what is reported is the count of all.
        nonlocal said
        if report is not None and (done + iteration) % REPORT_EVERY == 0:
            said = done + iteration
            report(said, divergence)

    for n_iter, exaggeration, theta in phases:
        embedding.optimize(
            n_iter=n_iter,
            exaggeration=exaggeration,
            theta=theta,
            inplace=True,
            callbacks=None if report is None else [follow],
            callbacks_every_iters=gcd(REPORT_EVERY, done),
        )
        done += n_iter
    divergence = float(embedding.kl_divergence)
    if report is not None and said < max_iter:
        report(max_iter, divergence)
    return np.array(embedding), divergence


def share_places(layout: FloatArray, rows: FloatArray) -> FloatArray:
    """Give equal rows their mean place; return ``layout`` itself when there are none."""
    distinct, group, count = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    if len(distinct) == len(rows):
        return layout
    group = group.reshape(-1)
    total = np.zeros((len(distinct), layout.shape[1]))
    np.add.at(total, group, layout)
    return (total / count[:, None])[group]


def find_rows(new: FloatArray, known: FloatArray) -> IntArray:
    """Return for each row of ``new`` its position in ``known``, or -1.

    A row is found when no column differs by more than about a millionth of the column's
    range among the known rows. Steps are powers of two, so that dividing by them rounds
    nothing and an equal row is nearer than any other.
    """
    spread = np.ptp(known, axis=0)
    spread = np.where(spread > 0, spread, np.abs(known[0]))
    step = np.ldexp(1.0, np.frexp(np.where(spread > 0, spread, 1.0))[1])
    bound = np.finfo(np.float64).max ** 0.5
    with np.errstate(over="ignore"):
        known, new = (np.clip(rows / step, -bound, bound) for rows in (known, new))
    tree = KDTree(known, balanced_tree=False, compact_nodes=False)
    distance, position = tree.query(new, p=np.inf, distance_upper_bound=TOLERANCE)
    return np.where(np.isfinite(distance), position, -1)


def place_rows(
    new: FloatArray,
    rows: FloatArray,
    layout: FloatArray,
    metric: str,
    perplexity: float,
    n_jobs: int,
) -> FloatArray:
    """Place new rows in a layout that stays as it is, each by itself.

    A row starts at the median place of its nearest neighbours and descends on its own
    divergence. A start from all of them would fall between the groups they belong to.
    """
    n_neighbors = min(len(rows), max(2, int(3 * perplexity)))
    neighbours, distances = _row_neighbours(new, rows, metric, n_neighbors, n_jobs)
    affinities = joint_probabilities_nn(
        neighbours,
        distances,
        [perplexity],
        symmetrize=False,
        normalization="point-wise",
        n_reference_samples=len(rows),
        n_jobs=n_jobs,
    )
    unused = sparse.csr_matrix((len(rows), len(rows)))
    places = PartialTSNEEmbedding(
        np.median(layout[neighbours[:, :PLACEMENT_START]], axis=1),
        TSNEEmbedding(layout, PrecomputedAffinities(unused, normalize=False)),
        affinities,
        # The grid of the FFT method would stop the descent of rows inside it.
        negative_gradient_method="bh",
        n_jobs=n_jobs,
    )
    places.optimize(
        n_iter=PLACEMENT_STEPS,
        learning_rate=0.1,
        momentum=0.8,
        max_grad_norm=0.25,
        max_step_norm=None,
        inplace=True,
    )
    return np.array(places)


def _row_neighbours(
    new: FloatArray, rows: FloatArray, metric: str, n_neighbors: int, n_jobs: int
) -> tuple[IntArray, FloatArray]:
    """Return neighbours and distances that do not depend on the other new rows.

    The search multiplies matrices, whose last bits change with the number of new rows: so
    take a few neighbours too many, measure again row by row, and keep the nearest.
    """
    index = NearestNeighbors(metric=SEARCH_METRIC[metric], n_jobs=n_jobs).fit(rows)
    n_candidates = min(len(rows), n_neighbors + 8)
    candidates = index.kneighbors(new, n_candidates, return_distance=False)
    candidates.sort(axis=1)
    distances = np.empty(candidates.shape)
    for part in batches(len(new), n_candidates * rows.shape[1]):
        distances[part] = _lengths(rows[candidates[part]] - new[part, None, :], metric)
    order = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(distances, order, 1)


def _lengths(gaps: FloatArray, metric: str) -> FloatArray:
    """Return the length of each difference of rows; infinite where it overflows."""
    if metric == "manhattan":
        return np.abs(gaps).sum(axis=2)
    if metric == "chebyshev":
        return np.abs(gaps).max(axis=2)
    with np.errstate(over="ignore"):
        squared = (gaps**2).sum(axis=2)
    return np.sqrt(squared) if metric == "euclidean" else squared / 2


def trustworthiness_score(
    rows: FloatArray, places: FloatArray, metric: str, n_neighbors: int, sample: IntArray
) -> float:
    """Return the trustworthiness of ``places``, its sum taken over the ``sample`` of rows."""
    n_rows = len(rows)
    penalty = 0.0
    for part in batches(len(sample), n_rows):
        chosen = sample[part]
        here = np.arange(len(chosen))
        in_map = pairwise_distances(places[chosen], places)
        in_data = pairwise_distances(rows[chosen], rows, metric=SEARCH_METRIC[metric])
        in_map[here, chosen] = in_data[here, chosen] = np.inf
        near = np.argpartition(in_map, n_neighbors - 1, axis=1)[:, :n_neighbors]
        for column in near.T:
            rank = 1 + (in_data < in_data[here, column][:, None]).sum(axis=1)
            penalty += float(np.maximum(rank - n_neighbors, 0).sum())
    worst = len(sample) * n_neighbors * (2 * n_rows - 3 * n_neighbors - 1) / 2
    return 1.0 - penalty / worst
