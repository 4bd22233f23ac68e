"""One small least-squares problem a date: returns on betas."""

import itertools

import numpy as np

from skfactor._typing import FloatArray, IntArray

# Directions of betas whose second moment is below this share of the largest are not told
# apart from rounding.
_RANK_TOLERANCE = 1e-12


def section_least_squares(
    betas: FloatArray,
    returns: FloatArray,
    starts: IntArray,
    ridge: float = 0.0,
    weights: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    r"""Regress the returns of each date on the betas of that date.

    .. math::
        f_t = (B_t' W_t B_t + \rho \, \mathrm{tr}(B_t' W_t B_t) / K \cdot I)^{+} B_t' W_t r_t

    over the observed returns, by minimum norm where betas are collinear.

    Parameters
    ----------
    betas : ndarray of shape (n_rows, n_factors)
        Betas, sorted by date; computed with in double precision, a date at a time.
    returns : ndarray of shape (n_rows,)
        Returns; ``NaN`` where missing.
    starts : ndarray of shape (n_dates + 1,)
        Where each date begins.
    ridge : float, default=0.0
        The penalty :math:`\rho`, relative to the mean second moment of the betas.
    weights : ndarray of shape (n_rows,), default=None
        The diagonal of :math:`W_t`; ones if None.

    Returns
    -------
    factors : ndarray of shape (n_dates, n_factors)
        Zeros on a date without returns.
    leverage : ndarray of shape (n_rows,)
        The derivative of each row's fit with respect to its own return; 0 where that is
        missing.
    """
    n_dates, n_factors = len(starts) - 1, betas.shape[1]
    observed = ~np.isnan(returns)
    plain = weights is None and bool(observed.all())
    weight, weighted = None, returns
    if not plain:
        weight = np.where(observed, 1.0 if weights is None else weights, 0.0)
        weighted = np.where(observed, returns, 0.0)
        weighted *= weight
    gram = np.empty((n_dates, n_factors, n_factors))
    cross = np.empty((n_dates, n_factors))
    for t, (start, stop) in enumerate(itertools.pairwise(starts)):
        B = betas[start:stop].astype(np.float64, copy=False)
        gram[t] = B.T @ (B if weight is None else B * weight[start:stop, None])
        cross[t] = weighted[start:stop] @ B
    inverse = _inverse(gram, ridge)
    factors = np.einsum("tkl,tl->tk", inverse, cross)
    leverage = np.empty(len(betas))
    for t, (start, stop) in enumerate(itertools.pairwise(starts)):
        B = betas[start:stop].astype(np.float64, copy=False)
        leverage[start:stop] = np.einsum("nk,nk->n", B @ inverse[t], B)
    if weight is not None:
        leverage *= weight
    return factors, leverage


def section_fits(betas: FloatArray, factors: FloatArray, starts: IntArray) -> FloatArray:
    """Return the betas of each row times the factor returns of its date.

    Parameters
    ----------
    betas : ndarray of shape (n_rows, n_factors)
        Betas, sorted by date.
    factors : ndarray of shape (n_dates, n_factors)
        Factor returns.
    starts : ndarray of shape (n_dates + 1,)
        Where each date begins.

    Returns
    -------
    ndarray of shape (n_rows,)
        Fits, in double precision.
    """
    fits = np.empty(len(betas))
    for t, (start, stop) in enumerate(itertools.pairwise(starts)):
        np.matmul(betas[start:stop], factors[t], out=fits[start:stop])
    return fits


def _inverse(gram: FloatArray, ridge: float) -> FloatArray:
    """Return the pseudo-inverse of each symmetric matrix, its diagonal raised by the ridge."""
    values, vectors = np.linalg.eigh(gram)
    if ridge:
        values = values + ridge * values.clip(0).mean(axis=1, keepdims=True)
    kept = values > _RANK_TOLERANCE * values[:, -1:]
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=kept & (values > 0))
    result: FloatArray = np.einsum("tik,tk,tjk->tij", vectors, inverse, vectors)
    return result
