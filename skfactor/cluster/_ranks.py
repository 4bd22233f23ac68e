"""Statistics of ranks by group: effect sizes, and positions in a distribution."""

import numpy as np
from scipy import stats

from skfactor._typing import FloatArray


def rank_effect_sizes(
    X: FloatArray, member: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the share of the variance of ranks between groups, by column.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Values; NaN is left out.
    member : ndarray of shape (n_rows, n_groups)
        Membership as zeros and ones.

    Returns
    -------
    effect, n_values, n_groups : ndarray of shape (n_features,)
        The effect sizes, the number of values used and of groups that have any. NaN with fewer
        than two groups, 0 for a constant column.
    """
    present = ~np.isnan(X)
    n_values = present.sum(axis=0)
    ranks = stats.rankdata(X, axis=0, nan_policy="omit") if len(X) else X
    centred = np.where(present, ranks - (n_values + 1) / 2, 0.0)
    counts = member.T @ present
    sums = member.T @ centred
    between = np.divide(sums**2, counts, out=np.zeros_like(sums), where=counts > 0).sum(axis=0)
    total = (centred**2).sum(axis=0)
    effect = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    n_groups = (counts > 0).sum(axis=0)
    effect[n_groups < 2] = np.nan
    return effect, n_values.astype(float), n_groups.astype(float)


def positions_of(X: FloatArray, points: FloatArray) -> FloatArray:
    """Return the share of each column of `X` below each of `points`, ties counted half."""
    ordered = np.sort(X, axis=0)  # NaN goes to the end
    out = np.full(points.shape, np.nan)
    for j in range(X.shape[1]):
        column = ordered[: np.count_nonzero(~np.isnan(X[:, j])), j]
        known = ~np.isnan(points[:, j])
        if len(column):
            below = np.searchsorted(column, points[known, j], side="left")
            upto = np.searchsorted(column, points[known, j], side="right")
            out[known, j] = (below + upto) / (2 * len(column))
    return out
