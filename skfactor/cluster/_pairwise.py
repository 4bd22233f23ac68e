"""Mean pairwise correlations between groups of columns, without a loop over pairs."""

import numpy as np
import numpy.typing as npt

from skfactor._typing import FloatArray

BLOCK_ELEMENTS = 1_000_000
"""Largest block of the correlation matrix held at once, in numbers: 8 MB for each of ten."""

CONSTANT = 1e-12
"""Variance, relative to the column's own, below which a column counts as constant."""


def mean_correlations(
    returns: FloatArray, member: FloatArray, min_obs: int
) -> tuple[FloatArray, FloatArray]:
    """Return the mean correlation between the columns of each two groups, self-pairs left out.

    Parameters
    ----------
    returns : ndarray of shape (n_dates, n_assets)
        One column an asset; NaN where it has no return.
    member : ndarray of shape (n_assets, n_groups)
        Membership as zeros and ones.
    min_obs : int
        Dates that a pair must share to be counted.

    Returns
    -------
    means, n_pairs : ndarray of shape (n_groups, n_groups)
        Mean correlation (NaN without a pair) and the number of unordered pairs behind it.
    """
    scaled, present = _standardise(returns)
    if present.all():
        sums, counts = _sums_complete(scaled, member)
    else:
        sums, counts = _sums_by_blocks(scaled, present, member, min_obs)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    # Within a group every pair was met twice, once in each order.
    n_pairs = counts.copy()
    n_pairs[np.diag_indices_from(n_pairs)] /= 2
    return means, n_pairs


def _standardise(returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centre and scale columns over their own dates, with 0 where a value is missing."""
    present = ~np.isnan(returns)
    n = np.maximum(present.sum(axis=0), 1)
    filled = np.where(present, returns, 0.0)
    mean = filled.sum(axis=0) / n
    centred = np.where(present, returns - mean, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / n)
    # A column that does not move has no correlation: relative to its size, so that rounding
    # in the mean is not taken for movement.
    moves = scale > 1e-13 * np.abs(mean)
    scaled = np.divide(centred, scale, out=np.zeros_like(centred), where=moves)
    return scaled, present


def _sums_complete(scaled: FloatArray, member: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum over pairs when nothing is missing: the groups' summed columns are all it takes."""
    moves = (scaled != 0.0).any(axis=0)
    member = member * moves[:, None]
    totals = scaled @ member
    size = member.sum(axis=0)
    # The sum over all pairs, the asset with itself included, is a product of two sums; each
    # self-pair adds exactly one.
    sums = totals.T @ totals / len(scaled) - np.diag(size)
    counts = np.outer(size, size) - np.diag(size)
    return np.where(counts > 0, sums, 0.0), counts


def _sums_by_blocks(
    scaled: FloatArray, present: FloatArray, member: FloatArray, min_obs: int
) -> tuple[FloatArray, FloatArray]:
    """Sum over pairs, each over the dates that both assets have, a block of rows at a time."""
    n_assets, n_groups = member.shape
    mask = present.astype(float)
    squared = scaled**2
    sums = np.zeros((n_groups, n_groups))
    counts = np.zeros((n_groups, n_groups))
    step = max(1, BLOCK_ELEMENTS // n_assets)
    for start in range(0, n_assets, step):
        # The matrix is symmetric: a block of rows meets the columns from its own on, and what
        # lies right of the block stands for its mirror image too.
        stop = min(start + step, n_assets)
        correlation, valid = _correlations(
            *(a[:, start:stop] for a in (scaled, squared, mask)),
            *(a[:, start:] for a in (scaled, squared, mask)),
            min_obs=min_obs,
        )
        own = np.arange(stop - start)
        correlation[own, own], valid[own, own] = 0.0, False
        rows = member[start:stop]
        for total, part in ((sums, correlation), (counts, valid.astype(float))):
            total += rows.T @ part[:, : stop - start] @ rows
            beyond = rows.T @ part[:, stop - start :] @ member[stop:]
            total += beyond + beyond.T
    return sums, counts


def _correlations(
    x: FloatArray,
    xx: FloatArray,
    has_x: FloatArray,
    y: FloatArray,
    yy: FloatArray,
    has_y: FloatArray,
    *,
    min_obs: int,
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Correlate columns of `x` and `y` over shared dates; missing values must be 0 in both."""
    shared = has_x.T @ has_y
    n = np.maximum(shared, 1.0)
    mean_x, mean_y = x.T @ has_y / n, has_x.T @ y / n
    variance_x = xx.T @ has_y / n - mean_x**2
    variance_y = has_x.T @ yy / n - mean_y**2
    valid = (shared >= min_obs) & (variance_x > CONSTANT) & (variance_y > CONSTANT)
    scale = np.sqrt(np.where(valid, variance_x * variance_y, 1.0))
    correlation = (x.T @ y / n - mean_x * mean_y) / scale
    return np.where(valid, np.clip(correlation, -1.0, 1.0), 0.0), valid
