"""Small symmetric systems of many assets at once: matrices of shape (p, p, n_assets).

With the assets along the last axis each step of the factorisation is one operation on long
vectors, and a singular matrix spoils its own asset alone.
"""

import numpy as np

from skfactor._typing import FloatArray


def invert_factors(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the inverse Cholesky factors of many matrices, and how near each is to singular.

    Parameters
    ----------
    gram : ndarray of shape (p, p, n)
        Symmetric matrices; the lower triangles are read.

    Returns
    -------
    inverse : ndarray of shape (p, p, n)
        Lower triangular ``W`` with ``W' W`` the inverse of each matrix. Meaningless where the
        second array is not well above rounding.
    own_share : ndarray of shape (n,)
        The least share of a diagonal entry that remains beside the columns before it; 1 for a
        diagonal matrix, 0 for a singular one.
    """
    p, _, n = gram.shape
    factor = np.zeros_like(gram)
    inverse = np.zeros_like(gram)
    own_share = np.ones(n)
    for k in range(p):
        row = factor[k, :k]
        pivot = gram[k, k] - np.einsum("jn,jn->n", row, row)
        size = np.where(gram[k, k] > 0, gram[k, k], 1.0)
        np.minimum(own_share, pivot / size, out=own_share)
        diagonal = np.sqrt(np.where(pivot > 0, pivot, size))
        factor[k, k] = diagonal
        if k + 1 < p:
            below = gram[k + 1 :, k] - np.einsum("rjn,jn->rn", factor[k + 1 :, :k], row)
            factor[k + 1 :, k] = below / diagonal
        inverse[k, k] = 1.0 / diagonal
        if k:
            inverse[k, :k] = -np.einsum("jn,jcn->cn", row, inverse[:k, :k]) * inverse[k, k]
    return inverse, own_share


def pack_index(p: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of the lower triangle, in the order of :func:`unpack`."""
    return np.tril_indices(p)


def unpack(packed: FloatArray, p: int) -> FloatArray:
    """Return symmetric matrices of shape (p, p, n) from their lower triangles (m, n)."""
    rows, columns = pack_index(p)
    full = np.empty((p, p, packed.shape[1]))
    full[rows, columns] = packed
    full[columns, rows] = packed
    return full
