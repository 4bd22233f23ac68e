"""Where firms stand: clusters, and true positions on five axes (pure NumPy)."""

import numpy as np

from skfactor._typing import FloatArray, IntArray

AXES = ("size", "value", "liquidity", "leverage", "efficiency")

# Within a cluster the axes are mildly related: large firms are efficient, value firms are
# levered, liquid firms carry less debt.
WITHIN_CORRELATION = np.array(
    [
        [1.00, -0.10, -0.10, 0.15, 0.20],
        [-0.10, 1.00, -0.05, 0.20, -0.15],
        [-0.10, -0.05, 1.00, -0.25, 0.05],
        [0.15, 0.20, -0.25, 1.00, -0.10],
        [0.20, -0.15, 0.05, -0.10, 1.00],
    ]
)

SECTORS = (
    "Communication Services",
    "Consumer Discretionary",
    "Consumer Staples",
    "Energy",
    "Financials",
    "Health Care",
    "Industrials",
    "Information Technology",
    "Materials",
    "Real Estate",
    "Utilities",
)


def draw_clusters(rng: np.random.Generator, n_assets: int, n_clusters: int) -> IntArray:
    """Draw a label per stock; clusters differ in size, and none is empty."""
    weights = rng.uniform(0.7, 1.3, n_clusters)
    extra = rng.choice(n_clusters, n_assets - n_clusters, p=weights / weights.sum())
    labels = np.concatenate([np.arange(n_clusters), extra]).astype(np.intp)
    return rng.permutation(labels)


def draw_levels(rng: np.random.Generator, n_clusters: int, n_draws: int = 200) -> FloatArray:
    """Place the clusters on the axes, one unit apart on each axis.

    On every axis the clusters take the levels 0, 1, 2, ... in some order (centred): in the
    order of their labels for size, and on the other axes in the orders, of ``n_draws``
    random ones, that keep the closest pair of clusters farthest apart.
    """
    levels = np.arange(n_clusters) - (n_clusters - 1) / 2
    if n_clusters == 1:
        return np.zeros((1, len(AXES)))
    best, widest = np.empty(0), -1.0
    for _ in range(n_draws):
        others = rng.permuted(np.tile(levels, (len(AXES) - 1, 1)), axis=1)
        candidate = np.column_stack([levels, others.T])
        gaps = ((candidate[:, None] - candidate[None]) ** 2).sum(axis=2)
        closest = gaps[~np.eye(n_clusters, dtype=bool)].min()
        if closest > widest:
            best, widest = candidate, closest
    return best


def draw_positions(rng: np.random.Generator, labels: IntArray, separation: float) -> FloatArray:
    """Draw the firms' positions: mean 0 and standard deviation 1 on every axis.

    Around its cluster's level, in units of the spread within a cluster, a firm's position is
    Gaussian. With ``separation=0`` all firms come from one Gaussian.
    """
    levels = draw_levels(rng, int(labels.max()) + 1)
    noise = rng.multivariate_normal(np.zeros(len(AXES)), WITHIN_CORRELATION, size=len(labels))
    positions = separation * levels[labels] + noise
    positions -= positions.mean(axis=0)
    spread = positions.std(axis=0)
    return positions / np.where(spread > 0, spread, 1.0)


def draw_sectors(rng: np.random.Generator, labels: IntArray, fidelity: float = 0.5) -> IntArray:
    """Draw a sector per stock: a share ``fidelity`` comes from the cluster's own few sectors."""
    n_clusters = int(labels.max()) + 1
    owner = rng.permutation(np.arange(len(SECTORS)) % n_clusters)
    # A cluster beyond the number of sectors owns none and shares them all.
    favoured = (owner == np.arange(n_clusters)[:, None]).astype(float)
    favoured[favoured.sum(axis=1) == 0] = 1.0
    favoured /= favoured.sum(axis=1, keepdims=True)
    odds = fidelity * favoured + (1 - fidelity) / len(SECTORS)
    draws = rng.random(len(labels))[:, None]
    return (draws > odds.cumsum(axis=1)[labels][:, :-1]).sum(axis=1).astype(np.intp)
