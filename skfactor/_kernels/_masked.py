"""Regressions of assets with missing returns in any pattern, many at a time."""

import numpy as np

from skfactor._kernels._covariance import Covariance, LagProducts, score_variances, weighted_lags
from skfactor._kernels._design import COLLINEAR, Design
from skfactor._kernels._shared import (
    CANCELLED,
    DEGENERATE,
    TOO_FEW,
    Estimates,
    flatten,
)
from skfactor._kernels._triangles import invert_factors, pack_index, unpack
from skfactor._typing import FloatArray, IntArray

OWN_SHARE = 1e-3
"""Below this share, moments lose digits that an orthogonal basis keeps."""

_CHUNK_VALUES = 2**16


class MaskedTools:
    """A design with the products of its basis, computed once for all blocks of assets."""

    def __init__(self, design: Design, covariance: Covariance, min_obs: int) -> None:
        self.design = design
        self.covariance = covariance
        self.min_obs = min_obs
        self.basis_rows = np.ascontiguousarray(design.basis.T)
        rows, columns = pack_index(design.n_params)
        self.products = LagProducts(design.basis, rows, columns)
        first = np.zeros(1, dtype=np.intp)
        self.sums = LagProducts(design.factor_sum[:, None], first, first)
        # A symmetric pair stands once in a packed matrix.
        self.multiplicity = np.where(rows == columns, 1.0, 2.0)


def estimate_masked(returns: FloatArray, tools: MaskedTools) -> Estimates:
    """Return the estimates of assets, each from the dates on which it has a return.

    The regressors of all assets share one orthonormal basis. Its moments over each asset's
    dates are one matrix product with the mask; what is left is a small triangular system an
    asset. Assets over whose dates the basis is far from orthogonal get a basis of their own.

    Parameters
    ----------
    returns : ndarray of shape (n_dates, n_assets)
        Excess returns, ``NaN`` where missing.
    tools : MaskedTools
        Of the design.

    Returns
    -------
    Estimates
        Of these assets.
    """
    design, covariance = tools.design, tools.covariance
    p = design.n_params
    missing = np.isnan(returns)
    filled = np.where(missing, 0.0, returns)
    observed = np.logical_not(missing, out=missing)
    mask = observed.astype(np.float64)
    out = Estimates.unfitted(p, returns.shape[1])
    nobs = np.count_nonzero(observed, axis=0).astype(np.intp)
    out.nobs[:] = nobs
    out.centered[:] = design.has_constant

    inverse, own_share = invert_factors(unpack(tools.products(0) @ mask, p))
    projected = np.einsum("kjn,jn->kn", inverse, tools.basis_rows @ filled)
    weights = np.einsum("jkn,jn->kn", inverse, projected)
    np.matmul(design.to_params, weights, out=out.params)
    squares = np.einsum("tn,tn->n", filled, filled)
    few = nobs < tools.min_obs
    poor = ~few & (own_share < OWN_SHARE)
    plain = ~few & ~poor

    out.tss[:] = squares
    if design.has_constant:
        mean = filled.sum(axis=0) / np.maximum(nobs, 1)
        out.tss -= nobs * mean**2
        cancelled = np.flatnonzero(out.tss < CANCELLED * squares)
        centered = (filled[:, cancelled] - mean[cancelled]) * mask[:, cancelled]
        # The mean of what is left corrects the rounding of the first one.
        shift = centered.sum(axis=0) / np.maximum(nobs[cancelled], 1)
        out.tss[cancelled] = np.einsum("tn,tn->n", centered, centered) - nobs[cancelled] * shift**2

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # rows of (to_params W') squared sum to the diagonal of the inverse moments
        half = np.tensordot(design.to_params, inverse, axes=(1, 1))
        if covariance.kind == "nonrobust":
            rss = squares - np.einsum("kn,kn->n", projected, projected)
            cancelled = np.flatnonzero(plain & (rss < CANCELLED * squares))
            residuals = filled[:, cancelled] - design.basis @ weights[:, cancelled]
            residuals *= mask[:, cancelled]
            rss[cancelled] = np.einsum("tn,tn->n", residuals, residuals)
            variances = np.einsum("kjn,kjn->kn", half, half) * (rss / (nobs - p))
        else:
            residuals = design.basis @ weights
            np.subtract(filled, residuals, out=residuals)
            residuals *= mask
            rss = np.einsum("tn,tn->n", residuals, residuals)
            bread = np.einsum("kjn,jan->kan", half, inverse)
            variances = _sandwich(residuals, observed, inverse, bread, nobs, out, tools)
            variances *= covariance.scale(nobs, p)
        out.rss[:] = rss
        np.sqrt(variances, out=out.bse)
    for chunk in _chunks(np.flatnonzero(poor), returns.shape[0] * p):
        out.store(chunk, estimate_own(filled[:, chunk].T, observed[:, chunk].T, design, covariance))
    flatten(out, squares)
    out.blank(few, TOO_FEW)
    return out


def _sandwich(
    residuals: FloatArray,
    observed: np.ndarray,
    inverse: FloatArray,
    bread: FloatArray,
    nobs: IntArray,
    out: Estimates,
    tools: MaskedTools,
) -> FloatArray:
    """Return robust variances (n_params, n_assets); store the bandwidth of HAC in ``out``."""
    design, covariance = tools.design, tools.covariance
    p = design.n_params
    if covariance.kind == "HAC":
        packed, out.bandwidth[:] = weighted_lags(
            residuals, tools.products, tools.sums, covariance, nobs
        )
        # The products of a positive lag hold both orders in time, as a matrix needs.
    else:
        squared = residuals * residuals
        if covariance.leverage_power:
            moments = np.einsum("jan,jbn->abn", inverse, inverse)[pack_index(p)]
            moments *= tools.multiplicity[:, None]
            leverage = tools.products(0).T @ moments
            squared /= (1.0 - leverage) ** covariance.leverage_power
        packed = tools.products(0) @ squared
    meat = unpack(packed, p)
    variances = np.einsum("kan,kan->kn", np.einsum("kbn,ban->kan", bread, meat), bread)
    if covariance.kind == "HAC" and covariance.gaps == "closed":
        gapped = np.flatnonzero(_has_gap(observed, nobs))
        for chunk in _chunks(gapped, residuals.shape[0] * p):
            influence = np.matmul(bread[:, :, chunk].transpose(2, 0, 1), tools.basis_rows)
            part, bandwidth = score_variances(
                influence, residuals[:, chunk].T, observed[:, chunk].T, design, covariance
            )
            variances[:, chunk] = part.T
            out.bandwidth[chunk] = bandwidth
    return variances


def estimate_own(
    filled: FloatArray, observed: np.ndarray, design: Design, covariance: Covariance
) -> Estimates:
    """Return estimates from an orthonormal basis for each asset's own dates.

    Parameters
    ----------
    filled : ndarray of shape (n_assets, n_dates)
        Excess returns, zero where missing.
    observed : ndarray of bool, shape (n_assets, n_dates)
        Which returns there are.
    design : Design
        Regressors on these dates, independent over all of them.
    covariance : Covariance
        Which standard errors.

    Returns
    -------
    Estimates
        Of these assets, marked ``DEGENERATE`` where the regressors are not independent.
    """
    p = design.n_params
    nobs = observed.sum(axis=1)
    columns = np.where(observed[:, :, None], design.basis, 0.0)
    lengths = np.sqrt(np.einsum("ntk,ntk->nk", columns, columns))
    basis, triangle = np.linalg.qr(columns)
    diagonal = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
    degenerate = (diagonal <= COLLINEAR * lengths).any(axis=1)
    triangle[degenerate] = np.eye(p)
    to_params = design.to_params @ np.linalg.inv(triangle)

    weights = np.einsum("ntk,nt->nk", basis, filled)
    residuals = np.where(observed, filled - np.einsum("ntk,nk->nt", basis, weights), 0.0)
    rss = np.einsum("nt,nt->n", residuals, residuals)
    bandwidth: FloatArray | None = None
    with np.errstate(invalid="ignore", divide="ignore"):
        if covariance.kind == "nonrobust":
            variances = np.einsum("nij,nij->ni", to_params, to_params)
            variances *= (rss / (nobs - p))[:, None]
        else:
            scaled = residuals
            if covariance.leverage_power:
                leverage = np.einsum("ntk,ntk->nt", basis, basis)
                scaled = residuals / (1.0 - leverage) ** (0.5 * covariance.leverage_power)
            influence = np.matmul(to_params, basis.transpose(0, 2, 1))
            variances, bandwidth = score_variances(influence, scaled, observed, design, covariance)
            variances *= covariance.scale(nobs, p)[:, None]
        bse = np.sqrt(variances).T
    tss = np.einsum("nt,nt->n", filled, filled)
    if design.has_constant:
        mean = filled.sum(axis=1) / nobs
        centered = np.where(observed, filled - mean[:, None], 0.0)
        tss = np.einsum("nt,nt->n", centered, centered)
    out = Estimates.unfitted(p, len(filled))
    out.params[:] = np.einsum("nij,nj->in", to_params, weights)
    out.bse[:], out.rss[:], out.tss[:], out.nobs[:] = bse, rss, tss, nobs
    out.centered[:] = design.has_constant
    if bandwidth is not None:
        out.bandwidth[:] = bandwidth
    out.blank(degenerate, DEGENERATE)
    return out


def _has_gap(observed: np.ndarray, nobs: IntArray) -> np.ndarray:
    """Return which assets miss a date between their first and their last."""
    first = observed.argmax(axis=0)
    last = len(observed) - 1 - observed[::-1].argmax(axis=0)
    return nobs < last - first + 1


def _chunks(assets: IntArray, values_each: int) -> list[IntArray]:
    """Cut a list of assets so that each piece has a bounded number of values."""
    width = max(1, _CHUNK_VALUES // max(values_each, 1))
    return [assets[start : start + width] for start in range(0, len(assets), width)]
