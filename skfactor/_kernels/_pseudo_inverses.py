"""Inverses of moments whose rank does not depend on the units of the columns."""

import numpy as np

from skfactor._typing import FloatArray

# Directions of columns of length one whose second moment is below this share of the largest are
# not told apart from rounding.
_RANK_TOLERANCE = 1e-12
# What is left of a null direction's elements that should be zero.
_ROUNDING = 1e-10


def pseudo_inverses(gram: FloatArray) -> FloatArray:
    """Return the pseudo-inverse of each matrix of products of columns.

    The rank is that of columns of length one; solutions have least norm in the units that the
    columns come in.

    Parameters
    ----------
    gram : ndarray of shape (n, p, p)
        Symmetric and positive semi-definite.

    Returns
    -------
    ndarray of shape (n, p, p)
        Zeros in the rows and columns of a column of zeros.
    """
    size, inverse_size = _sizes(gram)
    values, vectors = np.linalg.eigh(gram * (inverse_size[:, :, None] * inverse_size[:, None]))
    kept = values > _RANK_TOLERANCE * np.maximum(values[:, -1:], 0.0)
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=kept)
    scaled = vectors * inverse_size[:, :, None]
    result: FloatArray = np.matmul(scaled * inverse[:, None], scaled.transpose(0, 2, 1))
    missing = (~kept).sum(axis=1)
    # A column of zeros is out already.
    collinear = missing > (inverse_size == 0).sum(axis=1)
    for m in np.unique(missing[collinear]):
        some = np.flatnonzero(collinear & (missing == m))
        null = null_basis(vectors[some][:, :, :m], size[some])
        found, turned = result[some], null.transpose(0, 2, 1)
        found -= null @ (turned @ found)
        found -= (found @ null) @ turned
        result[some] = found
    return result


def inverse_roots(gram: FloatArray) -> FloatArray:
    """Return ``R`` of each matrix, with ``R R'`` an inverse of it on what its columns span.

    Parameters
    ----------
    gram : ndarray of shape (n, p, p)
        Symmetric and positive semi-definite.

    Returns
    -------
    ndarray of shape (n, p, p)
        Of all columns of units whatever; not of least norm where they are collinear.
    """
    _, inverse_size = _sizes(gram)
    values, vectors = np.linalg.eigh(gram * (inverse_size[:, :, None] * inverse_size[:, None]))
    kept = values > _RANK_TOLERANCE * np.maximum(values[:, -1:], 0.0)
    root = np.sqrt(np.divide(1.0, values, out=np.zeros_like(values), where=kept))
    result: FloatArray = vectors * inverse_size[:, :, None] * root[:, None]
    return result


def null_basis(vectors: FloatArray, size: FloatArray) -> FloatArray:
    """Return orthonormal bases of what changes nothing, in the units of the columns.

    Parameters
    ----------
    vectors : ndarray of shape (n, p, m)
        Independent null directions of columns of length one.
    size : ndarray of shape (n, p)
        The length of each column.

    Returns
    -------
    ndarray of shape (n, p, m)
        Orthonormal columns.
    """
    basis = vectors.copy()
    n, _, m = basis.shape
    places = np.arange(n)
    # With a one and zeros on as many rows, no direction mixes groups of columns that have
    # nothing to do with each other: rounding of one would be large in the units of the next.
    for k in range(m):
        pivot = np.abs(basis[:, :, k]).argmax(axis=1)
        basis[:, :, k] /= basis[places, pivot, k][:, None]
        row = basis[places, pivot]
        row[:, k] = 0.0
        basis -= basis[:, :, k : k + 1] * row[:, None]
    basis[np.abs(basis) < _ROUNDING] = 0.0
    basis /= size[:, :, None]
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    return np.asarray(np.linalg.qr(basis)[0])


def _sizes(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the length of each column, 1 for a column of zeros, and its inverse or 0."""
    size = np.sqrt(np.maximum(np.einsum("tkk->tk", gram), 0.0))
    zero = size <= np.finfo(np.float64).tiny
    size[zero] = 1.0
    return size, np.where(zero, 0.0, 1.0 / size)
