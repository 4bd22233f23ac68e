"""Regressions over a window that moves along the dates, of many assets.

Every window has an orthonormal basis of its own, shared by all assets. The bases of some
consecutive windows, laid side by side in a band, meet the returns in one matrix product. Nothing
is carried from window to window: a return that has left the window has left the figures.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skfactor._kernels._covariance import Covariance
from skfactor._kernels._design import COLLINEAR, Design
from skfactor._kernels._masked import OWN_SHARE, estimate_own
from skfactor._kernels._paths import Paths, share_explained
from skfactor._kernels._returns import Returns
from skfactor._kernels._shared import CANCELLED, FLAT
from skfactor._kernels._threads import one_blas_thread
from skfactor._kernels._triangles import invert_factors, pack_index, unpack
from skfactor._typing import FloatArray, IntArray

WINDOWS_AT_ONCE = 12
_COMPLETE_ASSETS = 1024
_GAPPY_ASSETS = 128
_PAIRS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Windows:
    """Some consecutive windows.

    Parameters
    ----------
    last : ndarray of shape (k,)
        The date at which each ends.
    first : ndarray of shape (k,)
        The date at which its basis begins.
    length : int
        The dates of a basis; a window at the very start ends before its basis does.
    basis : ndarray of shape (k, length, n_params)
        Orthonormal columns, the intercept first.
    to_params : ndarray of shape (k, n_params, n_params)
        Turns coefficients on the basis into those on the factors.
    usable : ndarray of bool, shape (k,)
        Whether the columns are independent.
    """

    last: IntArray
    first: IntArray
    length: int
    basis: FloatArray
    to_params: FloatArray
    usable: np.ndarray

    @cached_property
    def dates(self) -> slice:
        """The dates that any of the windows covers."""
        return slice(int(self.first[0]), int(self.last[-1]) + 1)

    def band(self, rows: FloatArray) -> FloatArray:
        """Lay rows of shape (k, m, length) along the dates, as (k m, n_dates)."""
        k, m, _ = rows.shape
        out = np.zeros((k, m, self.dates.stop - self.dates.start))
        for j in range(k):
            start = int(self.first[j]) - self.dates.start
            covered = int(self.last[j] - self.first[j]) + 1
            out[j, :, start : start + covered] = rows[j, :, :covered]
        return out.reshape(k * m, -1)


@one_blas_thread
def roll(
    returns: Returns,
    factors: FloatArray,
    *,
    window: int,
    fit_intercept: bool,
    min_obs: int,
    errors: bool,
) -> Paths:
    """Regress every asset on the factors over the last ``window`` dates, as of each date.

    Parameters
    ----------
    returns : Returns
        Excess returns of ``n_assets`` on ``n_dates``.
    factors : ndarray of shape (n_dates, n_factors)
        Finite float64 factors.
    window : int
        Dates of a window.
    fit_intercept : bool
        Whether there is an alpha, first among the coefficients.
    min_obs : int
        The fewest observations in a window, more than there are coefficients.
    errors : bool
        Whether to return standard errors and R² beside the coefficients.

    Returns
    -------
    Paths
        As of each date.
    """
    n_dates, n_assets = returns.n_dates, returns.n_assets
    p = factors.shape[1] + fit_intercept
    out = Paths.empty(n_dates, p, n_assets, errors)
    complete = np.empty(n_assets, dtype=bool)
    for assets in returns.blocks():
        block = returns.take(assets)
        complete[assets] = ~np.isnan(np.einsum("tn,tn->n", block, block))
        if complete[assets].all():
            out.nobs[:, assets] = np.minimum(np.arange(1, n_dates + 1), window)[:, None]
            continue
        seen = np.cumsum(~np.isnan(block), axis=0, dtype=np.int32)
        out.nobs[:, assets] = seen
        out.nobs[window:, assets] -= seen[:-window]
    begin = min(min_obs, n_dates + 1) - 1
    out.blank(slice(0, begin))
    blocks = _blocks(complete)
    for start in range(begin, n_dates, WINDOWS_AT_ONCE):
        last = np.arange(start, min(start + WINDOWS_AT_ONCE, n_dates))
        windows = _make_windows(factors, last, min(window, n_dates), fit_intercept)
        filler = _Filler(windows, out, fit_intercept, min_obs)
        for assets, gappy in blocks:
            values = returns.window(windows.dates, assets)
            if gappy:
                filler.fill_gappy(values, assets)
            else:
                filler.fill_complete(values, assets)
    return out


def _make_windows(factors: FloatArray, last: IntArray, length: int, fit_intercept: bool) -> Windows:
    """Return the bases of the windows that end at ``last``."""
    first = np.maximum(last - length + 1, 0)
    views = sliding_window_view(factors[first[0] : first[-1] + length], length, axis=0)
    columns = views[first - first[0]].transpose(0, 2, 1)
    k, _, n_factors = columns.shape
    center = np.zeros((k, n_factors))
    if fit_intercept:
        center = columns.mean(axis=1)
        columns = np.concatenate([np.ones((k, length, 1)), columns - center[:, None, :]], axis=2)
    basis, triangle = np.linalg.qr(columns)
    lengths = np.sqrt(np.einsum("ktp,ktp->kp", columns, columns))
    diagonal = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
    usable = (diagonal > COLLINEAR * lengths).all(axis=1)
    triangle[~usable] = np.eye(triangle.shape[1])
    to_params = np.linalg.inv(triangle)
    if fit_intercept:
        to_params[:, 0] -= np.einsum("kf,kfp->kp", center, to_params[:, 1:])
    return Windows(last, first, length, basis, to_params, usable)


class _Filler:
    """Estimates of one set of windows, written into the paths block by block."""

    def __init__(self, windows: Windows, paths: Paths, fit_intercept: bool, min_obs: int) -> None:
        self.windows, self.paths, self.min_obs = windows, paths, min_obs
        self.fit_intercept = fit_intercept
        self.rows = slice(int(windows.last[0]), int(windows.last[-1]) + 1)
        k, _, p = windows.basis.shape
        self.k, self.p = k, p
        self._transposed = windows.basis.transpose(0, 2, 1)

    @cached_property
    def basis_band(self) -> FloatArray:
        """The columns of each basis, laid along the dates."""
        return self.windows.band(self._transposed)

    @cached_property
    def direct_band(self) -> FloatArray:
        """What each date adds to each coefficient, laid along the dates."""
        return self.windows.band(self.windows.to_params @ self._transposed)

    @cached_property
    def packed_band(self) -> FloatArray:
        """The products of the columns of each basis, laid along the dates."""
        first, second = pack_index(self.p)
        return self.windows.band(self._transposed[:, first] * self._transposed[:, second])

    @cached_property
    def ones_band(self) -> FloatArray:
        """Ones on the dates of each window."""
        return self.windows.band(np.ones((self.k, 1, self.windows.length)))

    @cached_property
    def unscaled(self) -> FloatArray:
        """The variances of the coefficients over that of the errors, (k, n_params)."""
        to_params = self.windows.to_params
        return np.einsum("kij,kij->ki", to_params, to_params)

    def fill_complete(self, values: FloatArray, assets: slice) -> None:
        """Estimate assets without missing returns."""
        paths, k, p = self.paths, self.k, self.p
        whole = self.windows.last - self.windows.first + 1 == self.windows.length
        if not whole.all():
            # Windows at the very start end before their basis does.
            self.fill_gappy(values, assets)
            return
        params = paths.params[self.rows, :, assets]
        if paths.bse is None or paths.rsquared is None:
            flat = paths.params.reshape(-1, paths.params.shape[2])
            dates = slice(self.rows.start * p, self.rows.stop * p)
            np.matmul(self.direct_band, values, out=flat[dates, assets])
        else:
            weights = (self.basis_band @ values).reshape(k, p, -1)
            params[:] = self.windows.to_params @ weights
            squares = self.ones_band @ (values * values)
            explained = np.einsum("kpn,kpn->kn", weights, weights)
            first = weights[:, 0] ** 2 if self.fit_intercept else np.zeros_like(squares)
            nobs = np.full(squares.shape, self.windows.length)
            self._store_errors(
                values, params, squares, explained, first, nobs, self.unscaled[:, :, None], assets
            )
        self._blank_unusable(assets)

    def fill_gappy(self, values: FloatArray, assets: slice) -> None:
        """Estimate assets with missing returns: windows by their own moments."""
        paths, windows, k, p = self.paths, self.windows, self.k, self.p
        mask = (~np.isnan(values)).astype(np.float64)
        filled = np.where(mask > 0, values, 0.0)
        nobs = paths.nobs[self.rows, assets]
        weights = (self.basis_band @ filled).reshape(k, p, -1)
        n_assets = weights.shape[2]
        flat = weights.transpose(1, 0, 2).reshape(p, -1)
        moments = (self.packed_band @ mask).reshape(k, -1, n_assets)
        gram = unpack(moments.transpose(1, 0, 2).reshape(moments.shape[1], -1), p)
        inverse, own_share = invert_factors(gram)
        projected = np.einsum("ijn,jn->in", inverse, flat)
        solved = np.einsum("jin,jn->in", inverse, projected).reshape(p, k, n_assets)
        params = paths.params[self.rows, :, assets]
        params[:] = windows.to_params @ solved.transpose(1, 0, 2)
        enough = nobs >= self.min_obs
        if paths.bse is not None and paths.rsquared is not None:
            squares = self.ones_band @ (filled * filled)
            projected = projected.reshape(p, k, n_assets)
            explained = np.einsum("pkn,pkn->kn", projected, projected)
            first = projected[0] ** 2 if self.fit_intercept else np.zeros_like(squares)
            half = np.einsum(
                "kab,cbkn->kacn", windows.to_params, inverse.reshape(p, p, k, n_assets)
            )
            unscaled = np.einsum("kacn,kacn->kan", half, half)
            with np.errstate(divide="ignore", invalid="ignore"):
                self._store_errors(
                    values, params, squares, explained, first, nobs, unscaled, assets
                )
        poor = enough & (own_share.reshape(k, n_assets) < OWN_SHARE)
        for j in np.flatnonzero(poor.any(axis=1) & windows.usable):
            self._fill_own(int(j), np.flatnonzero(poor[j]), filled, mask, assets)
        for stored in (paths.params, paths.bse):
            if stored is not None:
                stored[self.rows, :, assets].transpose(0, 2, 1)[~enough] = np.nan
        if paths.rsquared is not None:
            paths.rsquared[self.rows, assets][~enough] = np.nan
        self._blank_unusable(assets)

    def _store_errors(
        self,
        values: FloatArray,
        params: FloatArray,
        squares: FloatArray,
        explained: FloatArray,
        first: FloatArray,
        nobs: np.ndarray,
        unscaled: FloatArray,
        assets: slice,
    ) -> None:
        """Write standard errors and R² of all windows of some assets."""
        bse, rsquared = self.paths.bse, self.paths.rsquared
        assert bse is not None
        assert rsquared is not None
        rss, tss = squares - explained, squares - first
        cancelled = ((rss < CANCELLED * squares) | (tss < CANCELLED * squares)) & (squares > 0)
        pairs = np.argwhere(cancelled & (nobs >= self.min_obs))
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            j, i = pairs[start : start + _PAIRS_AT_ONCE].T
            rss[j, i], tss[j, i] = self._sums_of_squares(j, i, values, params[j, :, i])
        scaled = rss / np.maximum(nobs - self.p, 1)
        errors = np.sqrt(unscaled * scaled[:, None, :])
        errors.transpose(0, 2, 1)[tss <= FLAT * squares] = np.nan
        bse[self.rows, :, assets] = errors
        rsquared[self.rows, assets] = share_explained(rss, tss, squares)

    def _sums_of_squares(
        self, j: IntArray, i: IntArray, values: FloatArray, params: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return sums of squares of some (window, asset) pairs, from residuals."""
        windows = self.windows
        offsets = np.arange(windows.length)
        rows = windows.first[j][:, None] - windows.dates.start + offsets
        inside = rows <= (windows.last[j] - windows.dates.start)[:, None]
        picked = values[np.where(inside, rows, 0), i[:, None]]
        seen = inside & ~np.isnan(picked)
        picked = np.where(seen, picked, 0.0)
        # Coefficients on the basis keep digits that those on far-off factors lose.
        on_basis = np.linalg.solve(windows.to_params[j], params[:, :, None])
        residuals = np.where(seen, picked - (windows.basis[j] @ on_basis)[:, :, 0], 0.0)
        centered = picked
        if self.fit_intercept:
            mean = picked.sum(axis=1) / seen.sum(axis=1)
            centered = np.where(seen, picked - mean[:, None], 0.0)
            shift = centered.sum(axis=1) / seen.sum(axis=1)
            centered = np.where(seen, centered - shift[:, None], 0.0)
        return (
            np.einsum("nt,nt->n", residuals, residuals),
            np.einsum("nt,nt->n", centered, centered),
        )

    def _fill_own(
        self, j: int, chosen: IntArray, filled: FloatArray, mask: FloatArray, assets: slice
    ) -> None:
        """Estimate some assets over one window from bases of their own."""
        windows, paths = self.windows, self.paths
        first = int(windows.first[j]) - windows.dates.start
        dates = slice(first, int(windows.last[j]) - windows.dates.start + 1)
        design = Design(
            windows.basis[j, : dates.stop - dates.start],
            windows.to_params[j],
            self.fit_intercept,
            np.empty(0),
            np.empty(0),
        )
        found = estimate_own(
            filled[dates, chosen].T, mask[dates, chosen].T > 0, design, Covariance()
        )
        row, places = int(windows.last[j]), chosen + assets.start
        paths.params[row][:, places] = found.params
        if paths.bse is not None and paths.rsquared is not None:
            paths.bse[row][:, places] = found.bse
            squares = np.einsum("tn,tn->n", filled[dates, chosen], filled[dates, chosen])
            paths.rsquared[row, places] = share_explained(found.rss, found.tss, squares)

    def _blank_unusable(self, assets: slice) -> None:
        for j in np.flatnonzero(~self.windows.usable):
            row = int(self.windows.last[j])
            self.paths.params[row, :, assets] = np.nan
            if self.paths.bse is not None and self.paths.rsquared is not None:
                self.paths.bse[row, :, assets] = np.nan
                self.paths.rsquared[row, assets] = np.nan


def _blocks(complete: np.ndarray) -> list[tuple[slice, bool]]:
    """Cut the assets into wide slices without missing returns and narrow ones with some."""
    cuts: list[tuple[slice, bool]] = []
    for start in range(0, len(complete), _GAPPY_ASSETS):
        stop = min(start + _GAPPY_ASSETS, len(complete))
        gappy = not complete[start:stop].all()
        if cuts and not gappy and not cuts[-1][1]:
            before = cuts[-1][0]
            if stop - before.start <= _COMPLETE_ASSETS:
                cuts[-1] = (slice(before.start, stop), False)
                continue
        cuts.append((slice(start, stop), gappy))
    return cuts
