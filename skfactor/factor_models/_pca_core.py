"""Principal components of returns, with or without gaps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, cg

from skfactor._kernels._threads import one_blas_thread
from skfactor._kernels._triangles import invert_factors, pack_index, unpack
from skfactor._typing import FloatArray
from skfactor.factor_models._align import canonical_rotation, procrustes
from skfactor.factor_models._alternating import DEPENDENT, Step, alternate, solve_many

_CG_TOLERANCE = 1e-10
_CG_STEPS = 20
# Of the mean square of returns.
_LEAST_NOISE = 1e-10


@dataclass(frozen=True, eq=False)
class Components:
    """Betas and factor returns, identified.

    Parameters
    ----------
    betas : ndarray of shape (n_assets, n_factors)
        Orthogonal columns with a mean square of 1.
    factors : ndarray of shape (n_dates, n_factors)
        Factor returns, the one with the largest second moment (mean returns stretched as the
        fit stretches them) first, with means that are not negative.
    n_iter : int
        The number of steps; 1 for a panel without gaps.
    converged : bool
        Whether the last step was below the tolerance.
    interrupted : bool
        Whether the user stopped it.
    """

    betas: FloatArray
    factors: FloatArray
    n_iter: int = 1
    converged: bool = True
    interrupted: bool = False


def principal_components(returns: FloatArray, n_factors: int, gamma: float) -> Components:
    r"""Return the components of a panel without gaps.

    Betas are the leading eigenvectors of :math:`R'R / T + \gamma \bar r \bar r'`, and factor
    returns are the projections of returns on them.

    Parameters
    ----------
    returns : ndarray of shape (n_dates, n_assets)
        Returns.
    n_factors : int
        The number of factors.
    gamma : float
        The weight of mean returns, at least -1.

    Returns
    -------
    Components
        Columns of zeros where returns have fewer dimensions than there are factors.
    """
    n_dates, n_assets = returns.shape
    # The eigenvectors are those of the second moment of returns whose means are stretched.
    stretched = _stretch(returns, gamma)
    wide = n_dates < n_assets
    product = stretched @ stretched.T if wide else stretched.T @ stretched
    last = len(product) - 1
    values, vectors = linalg.eigh(product, subset_by_index=[last - n_factors + 1, last])
    values, vectors = values[::-1], vectors[:, ::-1]
    if wide:
        vectors = stretched.T @ vectors
    size = np.linalg.norm(vectors, axis=0)
    seen = (values > DEPENDENT * max(values[0], 0.0)) & (size > 0)
    betas = np.sqrt(n_assets) * np.divide(vectors, size, out=np.zeros_like(vectors), where=seen)
    factors = returns @ betas / n_assets
    sign = np.where(factors.mean(axis=0) < 0, -1.0, 1.0)
    return Components(betas * sign, factors * sign)


@one_blas_thread
def components_with_gaps(
    returns: FloatArray,
    n_factors: int,
    gamma: float,
    *,
    max_iter: int,
    tol: float,
    report: Callable[[int, float], None] | None = None,
) -> Components:
    r"""Return the components of a panel with gaps, by expectation and maximisation.

    Betas are taken for draws, :math:`\beta_i \sim N(0, I)`, and errors for noise of one
    variance :math:`\sigma^2`, with a precision of :math:`W_i = I + \gamma 11' / n_i` (in units
    of :math:`\sigma^{-2}`) over the :math:`n_i` observed returns of an asset. Factor returns
    :math:`F` and :math:`\sigma^2` maximise the likelihood of what is observed, and betas are
    their means given it,

    .. math::
        \beta_i = (F_i' W_i F_i + \sigma^2 I)^{-1} F_i' W_i r_i .

    Without gaps these are the principal components but for the length of the betas, which is
    fixed afterwards. With gaps, the betas of an asset count for as much as its history tells:
    least squares would lose themselves in the assets with the shortest one.

    Parameters
    ----------
    returns : ndarray of shape (n_dates, n_assets)
        ``NaN`` where missing; every date and every asset has a return.
    n_factors : int
        The number of factors.
    gamma : float
        The weight of mean returns, at least -1.
    max_iter : int
        The most steps.
    tol : float
        The root mean square change of factor returns, as a share of their own root mean
        square, at which to stop.
    report : callable, default=None
        Called with the number and the change of each step.

    Returns
    -------
    Components
        The last ones; factor returns are the regressions of each date on the betas.
    """
    observed = ~np.isnan(returns)
    if observed.all():
        return principal_components(returns, n_factors, gamma)
    gaps = _Gaps(returns, observed, n_factors, gamma)
    on_date = gaps.values.sum(axis=1) / gaps.mask.sum(axis=1)
    start = principal_components(np.where(observed, returns, on_date[:, None]), n_factors, gamma)
    errors = gaps.values - gaps.mask * (start.factors @ start.betas.T)
    noise = max(float((errors**2).sum() / gaps.counts.sum()), gaps.floor)
    end = alternate(
        gaps.step,
        gaps.identify,
        np.vstack([start.factors, np.full(n_factors, np.log(noise))]),
        max_iter=max_iter,
        tol=tol,
        report=report,
    )
    betas = gaps.expected(end.loadings).betas.T
    n_assets = len(betas)
    betas = np.sqrt(n_assets) * np.linalg.qr(betas)[0]
    factors = solve_many(gaps.date_moments(gaps.pairs(betas.T)), (gaps.values @ betas).T).T
    rotation = canonical_rotation(betas.T @ betas / n_assets, _stretch(factors, gamma))
    factors = np.linalg.solve(rotation, factors.T).T
    betas = betas @ rotation
    sign = np.where(factors.mean(axis=0) < 0, -1.0, 1.0)
    return Components(betas * sign, factors * sign, end.n_iter, end.converged, end.interrupted)


@dataclass(frozen=True, eq=False)
class _Expected:
    """Betas given factor returns: their means, their second moments and what is left of returns.

    Parameters
    ----------
    betas : ndarray of shape (n_factors, n_assets)
        Means.
    moments : ndarray of shape (n_pairs, n_assets)
        Second moments, the lower triangles.
    noise : float
        The mean square that is left, expected.
    lost : float
        Minus twice the log-likelihood of the factor returns, but for a constant.
    """

    betas: FloatArray
    moments: FloatArray
    noise: float
    lost: float


class _Gaps:
    """Expectation and maximisation over the observed returns.

    What is estimated is one array of shape (n_dates + 1, n_factors): factor returns, and below
    them the logarithm of the variance of the noise.
    """

    def __init__(
        self, returns: FloatArray, observed: np.ndarray, n_factors: int, gamma: float
    ) -> None:
        self.mask = observed.astype(np.float64)
        self.values = np.where(observed, returns, 0.0)
        self.gamma = gamma
        self.n_factors = n_factors
        self.counts = self.mask.sum(axis=0)
        self.means = self.values.sum(axis=0) / self.counts
        self.rows, self.columns = pack_index(n_factors)
        squares = (self.values**2).sum(axis=0)
        self.squares = squares + gamma * self.counts * self.means**2
        # Returns that factors explain to the last digit leave no noise to divide by.
        self.floor = _LEAST_NOISE * float(squares.sum() / self.counts.sum())

    def pairs(self, columns: FloatArray) -> FloatArray:
        """Return the products of the rows of an array, the lower triangle."""
        return columns[self.rows] * columns[self.columns]

    def date_moments(self, moments: FloatArray) -> FloatArray:
        """Return the sum of second moments over the assets of each date."""
        return unpack((self.mask @ moments.T).T, self.n_factors)

    def expected(self, estimates: FloatArray) -> _Expected:
        """Return what is expected of betas."""
        factors, noise = estimates[:-1], float(np.exp(estimates[-1, 0]))
        K = self.n_factors
        gram = self.pairs(factors.T) @ self.mask
        target = factors.T @ self.values
        if self.gamma:
            sums = factors.T @ self.mask
            gram += self.gamma / self.counts * self.pairs(sums)
            target += self.gamma * sums * self.means
        precision = unpack(gram, K)
        precision[np.arange(K), np.arange(K)] += noise
        half, _ = invert_factors(precision)
        inner = np.einsum("kli,li->ki", half, target)
        betas = np.einsum("kli,ki->li", half, inner)
        spread = noise * np.einsum("kpi,kpi->pi", half[:, self.rows], half[:, self.columns])
        moments = self.pairs(betas) + spread
        twice = np.where(self.rows == self.columns, 1.0, 2.0)
        left = self.squares - 2.0 * np.einsum("ki,ki->i", target, betas)
        left += twice @ (gram * moments)
        logs = -2.0 * np.log(half[np.arange(K), np.arange(K)]).sum(axis=0)
        lost = (self.counts - K) * np.log(noise) + logs
        lost += (self.squares - (inner**2).sum(axis=0)) / noise
        mean = max(float(left.sum() / self.counts.sum()), self.floor)
        return _Expected(betas, moments, mean, float(lost.sum()))

    def factors_of(self, known: _Expected, before: FloatArray) -> FloatArray:
        """Return factor returns that are likelier than those before for what betas are expected.

        They are the likeliest where means count for no more than anything else. Where they do,
        the dates hang together, and a few steps of conjugate gradients lead on.
        """
        gram = self.date_moments(known.moments)
        target = self.values @ known.betas.T
        if not self.gamma:
            alone: FloatArray = solve_many(gram, target.T).T
            return alone
        moments = unpack(known.moments, self.n_factors)

        def multiply(flat: FloatArray) -> FloatArray:
            factors = flat.reshape(target.shape)
            pulled = np.einsum("kli,li->ki", moments, factors.T @ self.mask) / self.counts
            pulled = self.gamma * (self.mask @ pulled.T)
            return (np.einsum("klt,tl->tk", gram, factors) + pulled).ravel()

        def precondition(flat: FloatArray) -> FloatArray:
            return solve_many(gram, flat.reshape(target.shape).T).T.ravel()

        size = (target.size, target.size)
        pulled = target + self.gamma * (self.mask @ (self.means * known.betas).T)
        solved, _ = cg(
            LinearOperator(size, multiply, dtype=np.float64),
            pulled.ravel(),
            before.ravel(),
            rtol=_CG_TOLERANCE,
            maxiter=_CG_STEPS,
            M=LinearOperator(size, precondition, dtype=np.float64),
        )
        factors: FloatArray = solved.reshape(target.shape)
        return factors

    def step(self, before: FloatArray) -> Step:
        """Take one step of expectation and maximisation."""
        known = self.expected(before)
        after = np.vstack(
            [self.factors_of(known, before[:-1]), np.full(self.n_factors, np.log(known.noise))]
        )
        after = self.identify(after, before)
        moved = float(np.mean((after[:-1] - before[:-1]) ** 2))
        size = float(np.mean(after[:-1] ** 2))
        return Step(known.lost, after, np.sqrt(moved / size) if size else 0.0)

    def identify(self, estimates: FloatArray, like: FloatArray) -> FloatArray:
        """Return estimates whose factors are turned to be nearest to others."""
        turn = procrustes(estimates[:-1], like[:-1])
        least = np.log(self.floor)
        # An extrapolation must not lead out of what can be computed.
        noise = np.clip(estimates[-1], least, least - np.log(_LEAST_NOISE) + 1.0)
        return np.vstack([estimates[:-1] @ turn, noise])


def _stretch(values: FloatArray, gamma: float) -> FloatArray:
    """Return series with their means stretched so that these weigh ``1 + gamma`` in products."""
    stretched: FloatArray = values + (np.sqrt(1.0 + gamma) - 1.0) * values.mean(axis=0)
    return stretched
