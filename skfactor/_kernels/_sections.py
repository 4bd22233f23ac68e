"""One small least-squares problem a date: returns on betas."""

import itertools

import numpy as np

from skfactor._kernels._pseudo_inverses import pseudo_inverses
from skfactor._typing import FloatArray, IntArray


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

    over the observed returns, by minimum norm where betas are collinear. Whether they are does
    not depend on their units.

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
    if ridge:
        penalty = ridge * np.trace(gram, axis1=1, axis2=2) / max(n_factors, 1)
        gram += penalty[:, None, None] * np.eye(n_factors)
    inverse = pseudo_inverses(gram)
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
