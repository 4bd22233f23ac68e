"""t statistics of alphas in samples with resampled dates, from how often each date was drawn."""

import numpy as np

from skfactor._kernels._design import COLLINEAR, make_design
from skfactor._kernels._threads import one_blas_thread
from skfactor._kernels._triangles import invert_factors, pack_index, unpack
from skfactor._typing import FloatArray

DRAWS = 32
"""Draws that share a matrix product; measured, more of them gain nothing."""

PERFECT = 1e-12
"""Below this share of the sum of squares a regression leaves nothing but rounding."""

_MASKED_WIDTH = 1024
_SOLVED_TOGETHER = 4096
_COMPLETE_WIDTH = 4096


class AlphaResampler:
    """Regressions of many assets on resampled dates, of which only alphas are asked for.

    A date that is drawn three times counts three times in every moment, so that no sample is
    ever copied: moments of all assets are products of the counts with the data. The t
    statistic of an intercept does not change when factors times their betas are added to the
    returns, so residuals serve as well as returns without their alphas.

    Parameters
    ----------
    residuals : ndarray of shape (n_dates, n_assets)
        Residuals of the assets, ``NaN`` where there is no return.
    factors : ndarray of shape (n_dates, n_factors)
        Finite float64 factors whose columns are independent.
    min_obs : int
        The fewest draws with a return that an asset needs, more than there are coefficients.
    """

    def __init__(self, residuals: FloatArray, factors: FloatArray, min_obs: int) -> None:
        design = make_design(factors, fit_intercept=True)
        if design is None:
            raise ValueError("`factors` must have independent columns.")
        self.n_dates, self.n_assets = residuals.shape
        self.min_obs = min_obs
        self.basis = design.basis
        # Of coefficients on the basis, this sum is the intercept.
        self.to_alpha = design.to_params[0]
        rows, columns = pack_index(design.n_params)
        self.products = design.basis[:, rows] * design.basis[:, columns]
        missing = np.isnan(residuals)
        gappy = missing.any(axis=0)
        self.complete = np.flatnonzero(~gappy)
        self.gappy = np.flatnonzero(gappy)
        values = np.where(missing, 0.0, residuals)
        # Unit lengths, so that sums of squares are of one size.
        self.scale = np.sqrt(np.einsum("tn,tn->n", values, values))
        self.scale[self.scale == 0] = 1.0
        values /= self.scale
        self.mask = np.logical_not(missing[:, self.gappy])
        self.filled = values[:, self.gappy]
        self.values = values[:, self.complete] if gappy.any() else values
        self.squares = np.square(self.values)

    @one_blas_thread
    def tvalues(self, counts: FloatArray, alphas: FloatArray | None = None) -> FloatArray:
        """Return the t statistic of every alpha in each of some samples.

        Parameters
        ----------
        counts : ndarray of shape (n_resamples, n_dates)
            How often each sample holds each date.
        alphas : ndarray of shape (n_resamples, n_assets) or None
            True alphas to add to the returns; None for zeros.

        Returns
        -------
        ndarray of shape (n_resamples, n_assets)
            ``NaN`` where an asset has too few returns in a sample, or too few different ones.
        """
        out = np.full((len(counts), self.n_assets), np.nan)
        added = None if alphas is None else alphas / self.scale
        moments = unpack((counts @ self.products).T, self.basis.shape[1])
        if len(self.complete):
            self._complete(counts, moments, added, out)
        for start in range(0, len(self.gappy), _MASKED_WIDTH):
            self._gappy(counts, slice(start, start + _MASKED_WIDTH), added, out)
        return out

    def _complete(
        self,
        counts: FloatArray,
        moments: FloatArray,
        added: FloatArray | None,
        out: FloatArray,
    ) -> None:
        """Fill in the assets with a return on every date: one small system a draw."""
        p = self.basis.shape[1]
        df = float(self.n_dates - p)
        inverse, own_share = invert_factors(moments)
        usable = (own_share > COLLINEAR) & (self.n_dates >= self.min_obs)
        inverse = inverse.transpose(2, 0, 1)
        direction = inverse @ self.to_alpha
        length = np.linalg.norm(direction, axis=1)
        # A reflection that makes the first of the p weights the one of alpha; the sum of their
        # squares stays what it is.
        mirror = direction / length[:, None]
        sign = np.where(mirror[:, 0] > 0, -1.0, 1.0)
        mirror[:, 0] -= sign
        squares = np.einsum("bk,bk->b", mirror, mirror)
        reflect = np.eye(p) - 2.0 * mirror[:, :, None] * (mirror / squares[:, None])[:, None, :]
        rows = (reflect @ inverse) @ self.basis.T
        rows *= counts[:, None, :]
        rows = rows.reshape(-1, self.n_dates)
        for start in range(0, len(self.complete), _COMPLETE_WIDTH):
            own = slice(start, start + _COMPLETE_WIDTH)
            weights = (rows @ self.values[:, own]).reshape(len(counts), p, -1)
            total = counts @ self.squares[:, own]
            rss = total - np.einsum("bkn,bkn->bn", weights, weights)
            with np.errstate(invalid="ignore", divide="ignore"):
                error = np.sqrt(rss / df)
                t = weights[:, 0] * sign[:, None]
                if added is not None:
                    t = t + added[:, self.complete[own]] / length[:, None]
                t /= error
            t[~usable] = np.nan
            t[rss <= PERFECT * total] = np.nan
            out[:, self.complete[own]] = t

    def _gappy(
        self, counts: FloatArray, own: slice, added: FloatArray | None, out: FloatArray
    ) -> None:
        """Fill in some assets that miss returns: a small system for each draw and asset."""
        p = self.basis.shape[1]
        k, n = len(counts), len(self.gappy[own])
        mask, values = self.mask[:, own].astype(np.float64), self.filled[:, own]
        nobs = (counts @ mask).ravel()
        total = (counts @ np.square(values)).ravel()

        def moments(columns: FloatArray, data: FloatArray) -> FloatArray:
            rows = columns.T[:, None, :] * counts
            return (rows.reshape(-1, self.n_dates) @ data).reshape(-1, k * n)

        packed, weights = moments(self.products, mask), moments(self.basis, values)
        solved = np.empty((4, k * n))
        for start in range(0, k * n, _SOLVED_TOGETHER):
            few = slice(start, start + _SOLVED_TOGETHER)
            solved[:, few] = _forward(packed[:, few], weights[:, few], self.to_alpha)
        alpha, length2, explained, own_share = solved
        rss = total - explained
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(length2 * rss / (nobs - p))
            if added is not None:
                alpha = alpha + added[:, self.gappy[own]].ravel()
            t = alpha / error
        bad = (nobs < self.min_obs) | (own_share <= COLLINEAR) | (rss <= PERFECT * total)
        t[bad] = np.nan
        out[:, self.gappy[own]] = t.reshape(k, n)


def _forward(
    packed: FloatArray, moments: FloatArray, functional: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Solve many small systems by Cholesky's factors, for one linear function of each solution.

    Parameters
    ----------
    packed : ndarray of shape (p (p + 1) / 2, n)
        Lower triangles of the matrices, row by row; changed in place.
    moments : ndarray of shape (p, n)
        Right-hand sides; changed in place.
    functional : ndarray of shape (p,)
        Weights of the function.

    Returns
    -------
    tuple of ndarray of shape (n,)
        The function of each solution, its variance for residuals of variance 1, the sum of
        squares that the solution explains, and the least share of a diagonal entry that
        remains beside the columns before it.
    """
    p, n = moments.shape
    own_share = np.ones(n)
    value, variance, explained = np.zeros(n), np.zeros(n), np.zeros(n)
    places = [k * (k + 1) // 2 for k in range(p + 1)]
    solved: list[FloatArray] = []
    scratch = np.empty(n)
    for k in range(p):
        row = packed[places[k] : places[k] + k + 1]
        size = row[k].copy()
        direction = np.full(n, functional[k])
        for j in range(k):
            before = packed[places[j] : places[j] + j + 1]
            for i in range(j):
                np.multiply(row[i], before[i], out=scratch)
                row[j] -= scratch
            row[j] *= before[j]  # holds the inverse of its pivot
            np.multiply(row[j], row[j], out=scratch)
            row[k] -= scratch
            np.multiply(row[j], moments[j], out=scratch)
            moments[k] -= scratch
            np.multiply(row[j], solved[j], out=scratch)
            direction -= scratch
        share = np.divide(row[k], size, out=np.zeros(n), where=size > 0)
        np.minimum(own_share, share, out=own_share)
        pivot = np.where(row[k] > 0, row[k], 1.0)
        np.divide(1.0, np.sqrt(pivot), out=row[k])
        moments[k] *= row[k]
        direction *= row[k]
        solved.append(direction)
        value += direction * moments[k]
        variance += direction * direction
        explained += moments[k] * moments[k]
    return value, variance, explained, own_share
