"""Statistics by column that pass over missing values, silently and in few passes."""

from collections.abc import Sequence

import numpy as np

from skfactor._typing import FloatArray


def nan_quantiles(X: FloatArray, probabilities: Sequence[float]) -> FloatArray:
    """Return linearly interpolated quantiles of every column, missing values left out.

    Unlike :func:`numpy.nanquantile` it sorts all columns at once, and an all-missing column
    gives ``NaN`` without a warning.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Values, ``NaN`` where missing.
    probabilities : sequence of float
        Between 0 and 1.

    Returns
    -------
    ndarray of shape (len(probabilities), n_features)
        In float64.
    """
    ordered = np.sort(X, axis=0)  # NaN goes last
    last = np.maximum((~np.isnan(ordered)).sum(axis=0) - 1, 0)
    columns = np.arange(X.shape[1])
    result = np.empty((len(probabilities), X.shape[1]))
    for i, probability in enumerate(probabilities):
        position = probability * last
        low = position.astype(np.intp)
        below = ordered[low, columns].astype(np.float64)
        above = ordered[np.minimum(low + 1, last), columns]
        result[i] = below + (position - low) * (above - below)
    return result


def nan_mean(X: FloatArray) -> FloatArray:
    """Return the mean of every column, missing values left out; ``NaN`` for an empty one."""
    missing = np.isnan(X)
    count = X.shape[0] - missing.sum(axis=0)
    total = np.where(missing, 0, X).sum(axis=0, dtype=np.float64)
    return np.divide(total, count, out=np.full(X.shape[1], np.nan), where=count > 0)


def nan_mean_std(X: FloatArray, ddof: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation of every column, missing values left out.

    A constant column has its value as mean, to the last bit, and a deviation of exactly 0,
    which sums of rounded numbers would not give.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Values, ``NaN`` where missing.
    ddof : int, default=0
        The deviation divides by the number of values less this; ``NaN`` where that is not
        positive.

    Returns
    -------
    mean, std : ndarray of shape (n_features,)
        In float64; ``NaN`` for an all-missing column.
    """
    missing = np.isnan(X)
    count = X.shape[0] - missing.sum(axis=0)
    gaps = bool(missing.any())
    # Starting from NaN, a column without values ends there, even in a table without rows.
    low = np.fmin.reduce(X, axis=0, initial=np.nan)
    constant = low == np.fmax.reduce(X, axis=0, initial=np.nan)

    total = (np.where(missing, 0, X) if gaps else X).sum(axis=0, dtype=np.float64)
    mean = np.divide(total, count, out=np.full(X.shape[1], np.nan), where=count > 0)
    mean[constant] = low[constant]
    centred = X - mean
    if gaps:
        centred[missing] = 0
    squares = np.einsum("ij,ij->j", centred, centred)
    variance = np.divide(squares, count - ddof, out=np.full(X.shape[1], np.nan), where=count > ddof)
    return mean, np.sqrt(variance)
