"""Principal components of returns, with or without gaps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, cg

from skfactor._kernels._threads import one_blas_thread
from skfactor._kernels._triangles import pack_index, unpack
from skfactor._typing import FloatArray
from skfactor.factor_models._align import canonical_rotation
from skfactor.factor_models._alternating import (
    DEPENDENT,
    Step,
    alternate,
    nearest_rotation,
    solve_many,
)

_CG_TOLERANCE = 1e-10
_CG_STEPS = 100


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
    r"""Return the components of a panel whose gaps the components themselves would fill.

    Betas minimise, over the :math:`n_i` observed returns of each asset,

    .. math::
        \sum_i \left[ \sum_t (r_{i,t} - \beta_i' f_t)^2
        + \gamma \, n_i \Big( \frac{1}{n_i} \sum_t (r_{i,t} - \beta_i' f_t) \Big)^2 \right],

    and factor returns are the regressions of each date on them: the principal components where
    there are no gaps. Filling gaps by betas times factors and taking components anew stands
    still there too (for :math:`\gamma = 0`); regressions over the observed returns, of dates
    and of assets in turn, arrive sooner.

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
        The root mean square change of betas, whose mean square is 1, at which to stop.
    report : callable, default=None
        Called with the number and the change of each step.

    Returns
    -------
    Components
        The last ones.
    """
    observed = ~np.isnan(returns)
    if observed.all():
        return principal_components(returns, n_factors, gamma)
    mask = observed.astype(np.float64)
    values = np.where(observed, returns, 0.0)
    n_assets = returns.shape[1]
    on_date = values.sum(axis=1) / mask.sum(axis=1)
    counts = mask.sum(axis=0)
    means = values.sum(axis=0) / counts
    first, second = pack_index(n_factors)

    def date_moments(betas: FloatArray) -> FloatArray:
        return unpack((mask @ (betas[:, first] * betas[:, second])).T, n_factors)

    def factors_of(betas: FloatArray) -> FloatArray:
        return solve_many(date_moments(betas), (values @ betas).T).T

    def pulled_factors_of(betas: FloatArray) -> FloatArray:
        gram = date_moments(betas)
        target = values @ betas
        alone = solve_many(gram, target.T).T
        if not gamma:
            return alone

        def moments(flat: FloatArray) -> FloatArray:
            factors = flat.reshape(target.shape)
            fitted = np.einsum("ik,ik->i", mask.T @ factors, betas) / counts
            pulled = gamma * (mask @ (fitted[:, None] * betas))
            return (np.einsum("klt,tl->tk", gram, factors) + pulled).ravel()

        def precondition(flat: FloatArray) -> FloatArray:
            return solve_many(gram, flat.reshape(target.shape).T).T.ravel()

        size = (target.size, target.size)
        pulled = target + gamma * (mask @ (means[:, None] * betas))
        solved, _ = cg(
            LinearOperator(size, moments, dtype=np.float64),
            pulled.ravel(),
            alone.ravel(),
            rtol=_CG_TOLERANCE,
            maxiter=_CG_STEPS,
            M=LinearOperator(size, precondition, dtype=np.float64),
        )
        return solved.reshape(target.shape)

    def betas_of(factors: FloatArray) -> FloatArray:
        gram = unpack((factors[:, first] * factors[:, second]).T @ mask, n_factors)
        target = factors.T @ values
        if gamma:
            sums = factors.T @ mask
            gram += gamma / counts * sums[:, None] * sums[None]
            target += gamma * sums * means
        return solve_many(gram, target).T

    def identify(betas: FloatArray, like: FloatArray) -> FloatArray:
        return np.sqrt(n_assets) * nearest_rotation(np.linalg.qr(betas)[0], like)

    def step(before: FloatArray) -> Step:
        factors = pulled_factors_of(before)
        residuals = values - mask * (factors @ before.T)
        lost = np.einsum("ti,ti->", residuals, residuals)
        lost += gamma * ((residuals.sum(axis=0) ** 2) / counts).sum()
        after = identify(betas_of(factors), before)
        moved = after - before @ (before.T @ after) / n_assets
        return Step(float(lost), after, float(np.sqrt(np.mean(moved**2))))

    start = principal_components(np.where(observed, returns, on_date[:, None]), n_factors, gamma)
    begin = identify(start.betas, start.betas)
    end = alternate(step, identify, begin, max_iter=max_iter, tol=tol, report=report)
    betas = end.loadings
    factors = factors_of(betas)
    rotation = canonical_rotation(betas.T @ betas / n_assets, _stretch(factors, gamma))
    factors = np.linalg.solve(rotation, factors.T).T
    betas = betas @ rotation
    sign = np.where(factors.mean(axis=0) < 0, -1.0, 1.0)
    return Components(betas * sign, factors * sign, end.n_iter, end.converged, end.interrupted)


def _stretch(values: FloatArray, gamma: float) -> FloatArray:
    """Return series with their means stretched so that these weigh ``1 + gamma`` in products."""
    stretched: FloatArray = values + (np.sqrt(1.0 + gamma) - 1.0) * values.mean(axis=0)
    return stretched
