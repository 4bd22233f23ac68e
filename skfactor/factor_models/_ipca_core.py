"""Alternating least squares of instrumented PCA, on the moments of each date alone."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from skfactor._kernels._moments import Moments
from skfactor._kernels._pseudo_inverses import inverse_roots
from skfactor._kernels._sections import section_least_squares
from skfactor._kernels._threads import one_blas_thread
from skfactor._kernels._triangles import pack_index, unpack
from skfactor._typing import FloatArray, IntArray
from skfactor.factor_models._align import procrustes
from skfactor.factor_models._alternating import (
    DEPENDENT,
    Step,
    alternate,
    solve_many,
    solve_symmetric,
)
from skfactor.factor_models._rank import independent_span

_BLOCK_ROWS = 2**14
# Below this ratio of the least to the largest second moment of a date's betas, the least known
# factor return has a hundred times the standard error of the best known.
_WEAK = 1e-4


@dataclass(frozen=True, eq=False)
class Loadings:
    """What alternating least squares found, identified.

    Parameters
    ----------
    latent : ndarray of shape (n_features, n_latent)
        Orthonormal columns, those of the factor with the largest second moment first.
    observed : ndarray of shape (n_features, n_observed)
        Loadings on observed factors, orthogonal to the latent ones.
    factors : ndarray of shape (n_dates, n_latent)
        Orthogonal factor returns with means that are not negative.
    n_iter : int
        The number of steps taken.
    converged : bool
        Whether the last step was below the tolerance.
    interrupted : bool
        Whether the user stopped it.
    lost : float
        The R² lost to rounding when loadings were brought to the units of the columns.
    """

    latent: FloatArray
    observed: FloatArray
    factors: FloatArray
    n_iter: int
    converged: bool
    interrupted: bool
    lost: float


class AlternatingLeastSquares:
    r"""Least squares of returns on :math:`z_{it}' (\Gamma_\beta f_t + \Gamma_\delta g_t)`.

    Observed factors :math:`g_t` may include a constant, whose loadings are alphas. The moments
    :math:`Z_t' Z_t` are kept as lower triangles, so that each half of a step is one matrix
    product: for all dates with given loadings, for all loadings with given factors.

    Inside, columns have a mean square of 1, and so have returns and observed factors: neither
    rounding nor steps and their extrapolation depend on units.

    Parameters
    ----------
    moments : Moments
        Of characteristics and returns.
    observed : ndarray of shape (n_dates, n_observed)
        Observed factor returns.
    n_latent : int
        The number of latent factors.
    ridge : float
        What is added to the diagonal of :math:`Z_t' Z_t`, as a share of its mean.
    """

    def __init__(
        self, moments: Moments, observed: FloatArray, n_latent: int, ridge: float = 0.0
    ) -> None:
        self.n_latent = n_latent
        self.counts = moments.counts
        self.scale = _size(moments.squares.sum() / max(self.counts.sum(), 1.0))
        sizes = _size(np.mean(observed**2, axis=0))
        self.observed = observed / sizes
        self.units = np.concatenate([np.ones(n_latent), self.scale / sizes])
        gram = moments.gram
        self.squares = np.einsum("tll->tl", gram).copy()
        total = gram.sum(axis=0)
        self.sizes = _size(np.diag(total) / max(self.counts.sum(), 1.0))
        found = independent_span(total)
        # What takes loadings inside, and those inside to the ones of least norm outside.
        self.span: FloatArray | None = None
        self.inward, self.outward = np.diag(self.sizes), np.diag(1.0 / self.sizes)
        if found is not None:
            span, null = found
            self.span = span
            self.inward = span.T * self.sizes
            self.outward = span / self.sizes[:, None]
            self.outward -= null @ (null.T @ self.outward)
            gram = np.matmul(span.T, (gram / np.outer(self.sizes, self.sizes)) @ span)
        self.n_columns = self.outward.shape[1]
        self.rows, self.columns = pack_index(self.n_columns)
        self.packed = np.ascontiguousarray(gram[:, self.rows, self.columns].T)
        if found is None:
            self.packed /= (self.sizes[self.rows] * self.sizes[self.columns])[:, None]
        self.cross = self._cross_inside(moments.cross)
        self.mean_gram = unpack(self.packed.sum(axis=1, keepdims=True), self.n_columns)[:, :, 0]
        self.mean_gram /= max(self.counts.sum(), 1.0)
        if ridge:
            # The penalty is on the sum of squared loadings times factors outside.
            mean = np.trace(moments.gram, axis1=1, axis2=2) / moments.gram.shape[1]
            penalty = (self.outward.T @ self.outward)[self.rows, self.columns]
            self.packed += np.outer(penalty, ridge * mean)
        self.factor_pairs = pack_index(n_latent + observed.shape[1])
        # Where each element of the equations for all loadings stands among sums of triangles.
        pairs = _triangle_places(self.n_factors)
        blocks = len(self.factor_pairs[0]) * _triangle_places(self.n_columns)
        together = blocks[:, None, :, None] + pairs[None, :, None, :]
        self.places = together.reshape((self.n_columns * self.n_factors,) * 2)

    @property
    def n_factors(self) -> int:
        """The number of latent and observed factors."""
        return self.n_latent + self.observed.shape[1]

    @one_blas_thread
    def fit(
        self,
        cross: FloatArray | None = None,
        start: FloatArray | None = None,
        *,
        max_iter: int,
        tol: float,
        report: Callable[[int, float, float], None] | None = None,
    ) -> Loadings:
        """Alternate until loadings stand still.

        Parameters
        ----------
        cross : ndarray of shape (n_dates, n_features), default=None
            Sums of characteristics times returns, in place of those of the panel.
        start : ndarray of shape (n_features, n_factors), default=None
            Loadings to start from; the solution for moments that do not vary over dates if
            None.
        max_iter : int
            The most steps.
        tol : float
            The largest sine of an angle between the latent loadings before and after a step,
            and the largest relative change of observed loadings, at which it stops.
        report : callable, default=None
            Called with the number, the change and the R² of each step.

        Returns
        -------
        Loadings
            The best loadings found.
        """
        cross = self.cross if cross is None else self._cross_inside(cross)
        gamma = self._start(cross) if start is None else self._orthogonal(self._inside(start))
        n_returns = max(self.counts.sum(), 1.0)
        gained = 0.0

        def step(before: FloatArray) -> Step:
            nonlocal gained
            factors, gained = self._factors(before, cross)
            after = self._aligned(self._loadings(factors, cross), before)
            return Step(-gained, after, self._change(before, after))

        def tell(n_iter: int, change: float) -> None:
            if report is not None:
                report(n_iter, change, gained / n_returns)

        end = alternate(step, self._aligned, gamma, max_iter=max_iter, tol=tol, report=tell)
        _, best = self._factors(end.loadings, cross)
        latent, observed, factors, explained = self._identified(end.loadings, cross)
        return Loadings(
            latent,
            observed,
            factors,
            end.n_iter,
            end.converged,
            end.interrupted,
            (best - explained) / n_returns,
        )

    def factors_of(self, loadings: FloatArray) -> FloatArray:
        """Return the latent factors of given loadings on latent and observed factors."""
        return self.scale * self._factors(self._inside(loadings), self.cross)[0]

    def roots_of(self, latent: FloatArray) -> FloatArray:
        """Return ``R`` of each date with ``R R'`` the inverse of the second moment of its betas.

        Parameters
        ----------
        latent : ndarray of shape (n_features, n_latent)
            Loadings on latent factors.

        Returns
        -------
        ndarray of shape (n_dates, n_latent, n_latent)
            Where there are fewer assets than factors, of an inverse on what their betas span.
        """
        return inverse_roots(self._second_moments(self.inward @ latent))

    def weak_dates(self, latent: FloatArray) -> tuple[IntArray, IntArray]:
        """Return dates whose betas do not tell the factors apart, and the columns to blame.

        Parameters
        ----------
        latent : ndarray of shape (n_features, n_latent)
            Loadings on latent factors.

        Returns
        -------
        dates : ndarray of int
            Those with as many assets as factors, or more.
        columns : ndarray of int
            Columns that are almost zero on those dates and not on others; without such columns,
            those that make up the combination of factors that is hardly seen.
        """
        K = latent.shape[1]
        if not K:
            return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        # Of loadings that are orthonormal inside, for units not to tell factors apart.
        inside = np.linalg.qr(self.inward @ latent)[0]
        values, vectors = np.linalg.eigh(self._second_moments(inside))
        dates = np.flatnonzero((values[:, 0] < _WEAK * values[:, -1]) & (self.counts >= K))
        if not len(dates):
            return dates, dates
        weak = self.squares[dates].sum(axis=0) / self.counts[dates].sum()
        idle = np.flatnonzero(weak < _WEAK * self.squares.sum(axis=0) / self.counts.sum())
        if len(idle):
            return dates, idle
        unseen = inside @ vectors[dates[0], :, 0]
        unseen = np.abs(unseen if self.span is None else self.span @ unseen)
        return dates, np.flatnonzero(unseen > unseen.max() / 2)

    def _second_moments(self, latent: FloatArray) -> FloatArray:
        """Return the second moments of each date's latent betas, of loadings inside."""
        first, second = pack_index(latent.shape[1])
        packed = self._products(latent, first, second).T @ self.packed
        return unpack(packed, latent.shape[1]).transpose(2, 0, 1)

    def _products(self, gamma: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
        """Return what turns the triangles of all dates into those of betas' second moments."""
        lower, upper = gamma[self.rows], gamma[self.columns]
        mirrored = np.where((self.rows == self.columns)[:, None], 0.0, upper)
        products: FloatArray = lower[:, first] * upper[:, second]
        products += mirrored[:, first] * lower[:, second]
        return products

    def _inside(self, loadings: FloatArray) -> FloatArray:
        """Return loadings on the basis and in the units of the inside."""
        inside: FloatArray = self.inward @ loadings / self.units
        return inside

    def _cross_inside(self, cross: FloatArray) -> FloatArray:
        """Return sums of characteristics times returns on the basis and in the units inside."""
        cross = cross / self.sizes
        return (cross if self.span is None else cross @ self.span) / self.scale

    def _start(self, cross: FloatArray) -> FloatArray:
        """Return the solution for moments of every date that are proportional to their mean."""
        values, vectors = linalg.eigh(self.mean_gram)
        root = vectors / np.sqrt(np.maximum(values, values[-1] * DEPENDENT)) @ vectors.T
        size = np.sqrt(self.counts)[:, None]
        whitened = np.divide(cross, size, out=np.zeros_like(cross), where=size > 0) @ root
        known = self.observed * size
        on_known = np.linalg.lstsq(known, whitened, rcond=None)[0]
        rest = whitened - known @ on_known
        _, directions = linalg.eigh(rest.T @ rest)
        latent = directions[:, ::-1][:, : self.n_latent]
        return self._orthogonal(root @ np.hstack([latent, on_known.T]))

    def _orthogonal(self, gamma: FloatArray) -> FloatArray:
        """Return loadings of the same fit whose latent ones are orthonormal, observed ones beside.

        What observed loadings share with latent ones is left to the latent factors.
        """
        latent, observed = gamma[:, : self.n_latent], gamma[:, self.n_latent :]
        basis = np.linalg.qr(latent)[0]
        return np.hstack([basis, observed - basis @ (basis.T @ observed)])

    def _aligned(self, gamma: FloatArray, like: FloatArray) -> FloatArray:
        """Return orthonormal loadings in the rotation nearest to others'."""
        gamma = self._orthogonal(gamma)
        K = self.n_latent
        gamma[:, :K] = gamma[:, :K] @ procrustes(gamma[:, :K], like[:, :K])
        return gamma

    def _change(self, before: FloatArray, after: FloatArray) -> float:
        """Return how far loadings have moved, whatever their rotation and scale."""
        old, new = before[:, : self.n_latent], after[:, : self.n_latent]
        moved = float(np.linalg.norm(new - old @ (old.T @ new)))
        old, new = before[:, self.n_latent :], after[:, self.n_latent :]
        size = np.linalg.norm(new, axis=0)
        shift = np.linalg.norm(new - old, axis=0)
        relative = np.divide(shift, size, out=np.zeros_like(size), where=size > 0)
        return max(moved, float(relative.max(initial=0.0)))

    def _factors(self, gamma: FloatArray, cross: FloatArray) -> tuple[FloatArray, float]:
        """Return the latent factors of given loadings, and the sum of squares they explain."""
        K, n_dates = self.n_latent, len(cross)
        first, second = self.factor_pairs
        moments = unpack(self._products(gamma, first, second).T @ self.packed, self.n_factors)
        target = (cross @ gamma).T
        known = self.observed.T
        gain = 2.0 * np.einsum("mt,mt->", target[K:], known)
        gain -= np.einsum("lt,lmt,mt->", known, moments[K:, K:], known)
        if not K:
            return np.empty((n_dates, 0)), float(gain)
        rest = target[:K] - np.einsum("kmt,mt->kt", moments[:K, K:], known)
        factors = solve_many(moments[:K, :K], rest)
        gain += np.einsum("kt,kt->", factors, rest)
        return factors.T, float(gain)

    def _loadings(self, factors: FloatArray, cross: FloatArray) -> FloatArray:
        """Return the loadings of given factors."""
        factors = np.hstack([factors, self.observed])
        L, K = self.n_columns, factors.shape[1]
        first, second = self.factor_pairs
        sums = self.packed @ (factors[:, first] * factors[:, second])
        matrix = sums.ravel().take(self.places)
        target = (cross.T @ factors).ravel()
        return solve_symmetric(matrix, target).reshape(L, K)

    def _identified(
        self, gamma: FloatArray, cross: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """Return loadings outside, and orthogonal factors in falling order, means not negative.

        Beside them stands the sum of squares that they explain.
        """
        K = self.n_latent
        gamma = self._orthogonal(self.outward @ gamma)
        factors, explained = self._factors(self.inward @ gamma, cross)
        if K:
            _, _, Vt = np.linalg.svd(factors, full_matrices=len(factors) < K)
            rotation = Vt.T * np.where((factors @ Vt.T).mean(axis=0) < 0, -1.0, 1.0)
            gamma = np.hstack([gamma[:, :K] @ rotation, gamma[:, K:]])
            # Not the old ones turned: those of a column in small units would lose their digits.
            factors, explained = self._factors(self.inward @ gamma, cross)
        gamma = gamma * self.units
        return gamma[:, :K], gamma[:, K:], self.scale * factors, explained


def _size(mean_squares: Any) -> Any:
    """Return root mean squares, 1 where they are zero."""
    root = np.sqrt(mean_squares)
    return np.where(root > 0, root, 1.0)


def _triangle_places(p: int) -> IntArray:
    """Return where each element of a symmetric matrix stands in its lower triangle."""
    rows, columns = pack_index(p)
    places = np.empty((p, p), dtype=np.intp)
    places[rows, columns] = places[columns, rows] = np.arange(len(rows))
    return places


def row_products(X: FloatArray, gamma: FloatArray) -> FloatArray:
    """Return rows times loadings, in float64 without a copy of the rows in it.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Characteristics, float32 or float64.
    gamma : ndarray of shape (n_features, n_columns)
        Loadings.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
    """
    if X.dtype == np.float64:
        return X @ gamma
    out = np.empty((len(X), gamma.shape[1]))
    for start in range(0, len(X), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        out[rows] = X[rows].astype(np.float64) @ gamma
    return out


def fits_by_date(
    X: FloatArray, gamma: FloatArray, factors: FloatArray, roots: FloatArray, starts: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return the fit of each row, and its leverage, in one pass over the rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Characteristics, sorted by date.
    gamma : ndarray of shape (n_features, n_factors)
        Loadings, latent ones first.
    factors : ndarray of shape (n_dates, n_factors)
        What they are multiplied with.
    roots : ndarray of shape (n_dates, n_latent, n_latent)
        As :meth:`AlternatingLeastSquares.roots_of` returns them.
    starts : ndarray of shape (n_dates + 1,)
        Where each date begins.

    Returns
    -------
    fit, leverage : ndarray of shape (n_rows,)
        Leverage is that of the latent factors' regression.
    """
    fit, leverage = np.empty(len(X)), np.empty(len(X))
    K = roots.shape[1]
    for t, (start, stop) in enumerate(itertools.pairwise(starts)):
        # Rows are multiplied once, by what stands right of them in both.
        columns = np.column_stack([gamma[:, :K] @ roots[t], gamma @ factors[t]])
        products = X[start:stop].astype(np.float64, copy=False) @ columns
        fit[start:stop] = products[:, K]
        scores = products[:, :K]
        leverage[start:stop] = np.einsum("nk,nk->n", scores, scores)
    return fit, leverage


def factors_of_betas(
    betas: FloatArray, returns: FloatArray, X: FloatArray, starts: IntArray, ridge: float
) -> tuple[FloatArray, FloatArray]:
    """Return the factors of each date as a fit has them, and the leverage of each row.

    Parameters
    ----------
    betas : ndarray of shape (n_rows, n_latent)
        Betas, sorted by date.
    returns : ndarray of shape (n_rows,)
        What they are to explain; ``NaN`` where missing.
    X : ndarray of shape (n_rows, n_features)
        Characteristics.
    starts : ndarray of shape (n_dates + 1,)
        Where each date begins.
    ridge : float
        As in the fit, a share of the mean diagonal of :math:`Z_t' Z_t`.

    Returns
    -------
    factors : ndarray of shape (n_dates, n_latent)
        Factor returns.
    leverage : ndarray of shape (n_rows,)
        The derivative of each fit with respect to its own return.
    """
    if not ridge:
        return section_least_squares(betas, returns, starts)
    # The penalty is that of rows with one beta each and a return of zero.
    n_dates, K = len(starts) - 1, betas.shape[1]
    seen = (~np.isnan(returns)).astype(np.float64)
    squares = np.einsum("nl,nl->n", X, X, dtype=np.float64) * seen
    size = np.array([squares[i:j].sum() for i, j in itertools.pairwise(starts)]) / X.shape[1]
    places = np.arange(len(betas)) + K * np.repeat(np.arange(n_dates), np.diff(starts))
    extended = np.zeros((len(betas) + K * n_dates, K))
    target = np.zeros(len(extended))
    extended[places], target[places] = betas, returns
    ends = starts + K * np.arange(n_dates + 1)
    for k in range(K):
        extended[ends[1:] - K + k, k] = np.sqrt(ridge * size)
    factors, leverage = section_least_squares(extended, target, ends)
    return factors, leverage[places]
