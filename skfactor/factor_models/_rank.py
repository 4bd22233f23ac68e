"""Which columns are made up of others, from the sums of their products."""

import numpy as np
from scipy import linalg

from skfactor._typing import FloatArray, IntArray
from skfactor.factor_models._alternating import DEPENDENT


def dependent_columns(gram: FloatArray) -> IntArray:
    """Return the columns that are zero or made up of columns before them.

    Parameters
    ----------
    gram : ndarray of shape (n_features, n_features)
        Sums of products of columns.

    Returns
    -------
    ndarray of int
        Their positions.
    """
    scaled, _ = _correlations(gram)
    kept: list[int] = []
    factor = np.zeros((0, 0))
    for j in range(len(scaled)):
        row = linalg.solve_triangular(factor, scaled[kept, j], lower=True) if kept else np.zeros(0)
        own = scaled[j, j] - row @ row
        if own > DEPENDENT:
            factor = np.block([[factor, np.zeros((len(kept), 1))], [row, np.sqrt(own)]])
            kept.append(j)
    return np.setdiff1d(np.arange(len(scaled)), kept)


def independent_span(gram: FloatArray) -> FloatArray | None:
    """Return an orthonormal basis of the loadings that rows can tell apart.

    Parameters
    ----------
    gram : ndarray of shape (n_features, n_features)
        Sums of products of columns.

    Returns
    -------
    ndarray of shape (n_features, rank) or None
        None if the columns are independent.
    """
    scaled, size = _correlations(gram)
    values, vectors = linalg.eigh(scaled)
    null = values <= DEPENDENT * max(values[-1], 1.0)
    if not null.any():
        return None
    # What changes no row, in the units of the columns; loadings of least norm are
    # orthogonal to it.
    unseen = vectors[:, null] / size[:, None]
    basis = np.linalg.qr(unseen / np.linalg.norm(unseen, axis=0), mode="complete")[0]
    span: FloatArray = basis[:, int(null.sum()) :]
    return span


def _correlations(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the products of columns of unit length, zeros for a column of zeros."""
    size = np.sqrt(np.diag(gram))
    nonzero = size > np.finfo(float).tiny
    size = np.where(nonzero, size, 1.0)
    scaled = gram / np.outer(size, size)
    scaled[~nonzero] = 0.0
    scaled[:, ~nonzero] = 0.0
    return scaled, size
