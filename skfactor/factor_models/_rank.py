"""Which columns are made up of others, from the sums of their products."""

import numpy as np
from scipy import linalg

from skfactor._kernels._pseudo_inverses import null_basis
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


def independent_span(gram: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return what rows can tell apart of loadings, and what they cannot.

    Parameters
    ----------
    gram : ndarray of shape (n_features, n_features)
        Sums of products of columns.

    Returns
    -------
    span : ndarray of shape (n_features, rank)
        An orthonormal basis of the loadings on columns of length one that rows tell apart.
    null : ndarray of shape (n_features, n_features - rank)
        An orthonormal basis of the loadings on the columns as they are that change no row;
        loadings of least norm are orthogonal to it. None in place of both if the columns are
        independent.
    """
    scaled, size = _correlations(gram)
    values, vectors = linalg.eigh(scaled)
    unseen = values <= DEPENDENT * max(values[-1], 1.0)
    if not unseen.any():
        return None
    null = null_basis(vectors[None][:, :, unseen], size[None])[0]
    return vectors[:, ~unseen], null


def _correlations(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the products of columns of unit length, zeros for a column of zeros."""
    size = np.sqrt(np.diag(gram))
    nonzero = size > np.finfo(float).tiny
    size = np.where(nonzero, size, 1.0)
    scaled = gram / np.outer(size, size)
    scaled[~nonzero] = 0.0
    scaled[:, ~nonzero] = 0.0
    return scaled, size
