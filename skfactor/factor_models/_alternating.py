"""Alternating least squares, extrapolated where that helps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from skfactor._kernels._pseudo_inverses import pseudo_inverses
from skfactor._kernels._triangles import invert_factors
from skfactor._typing import FloatArray

DEPENDENT = 1e-10
"""Below this share of its own size a column, or a direction of betas, is made up of others."""

# Steps that an extrapolation looks back on; more of them were measured to be less stable.
_MEMORY = 5
_FIRST_STRIDE = 2.0


@dataclass(frozen=True, eq=False)
class Step:
    """One step of alternating least squares.

    Parameters
    ----------
    lost : float
        The sum of squares that is left before the step, or what falls with it.
    after : ndarray
        Loadings after the step, in the rotation nearest to those before.
    change : float
        How far they have moved.
    """

    lost: float
    after: FloatArray
    change: float


@dataclass(frozen=True, eq=False)
class Standstill:
    """Where the steps have led.

    Parameters
    ----------
    loadings : ndarray
        The last loadings that were reached by a plain step.
    n_iter : int
        The number of steps.
    converged : bool
        Whether the last change was below the tolerance.
    interrupted : bool
        Whether the user stopped it.
    """

    loadings: FloatArray
    n_iter: int
    converged: bool
    interrupted: bool


def alternate(
    step: Callable[[FloatArray], Step],
    identify: Callable[[FloatArray, FloatArray], FloatArray],
    start: FloatArray,
    *,
    max_iter: int,
    tol: float,
    report: Callable[[int, float], None] | None = None,
) -> Standstill:
    """Repeat steps until loadings stand still.

    An extrapolation from the last steps (Anderson's acceleration) is tried after each; where
    it has not lowered what is lost, the plain step is taken instead. Since that happens near a
    saddle, towards which it leads back, strides along the last step are tried next, each twice
    as long as the one before until one does not help.

    Parameters
    ----------
    step : callable
        Takes loadings to a :class:`Step`.
    identify : callable
        Takes any loadings, and others beside which they are to be read, to loadings that a
        step may start from.
    start : ndarray
        Loadings to start from.
    max_iter : int
        The most steps.
    tol : float
        The change at which to stop.
    report : callable, default=None
        Called with the number and the change of each step.

    Returns
    -------
    Standstill
        The best loadings.
    """
    here, plain, lost = start, start, np.inf
    history: list[tuple[FloatArray, FloatArray]] = []
    n_iter, stride, converged, interrupted = 0, 0.0, False, False
    try:
        while n_iter < max_iter and not converged:
            taken = step(here)
            if here is not plain:
                if taken.lost > lost:
                    stride = 0.0 if stride else _FIRST_STRIDE
                    here, history = plain, []
                    taken = step(here)
                else:
                    stride *= 2.0
            lost, plain = taken.lost, taken.after
            n_iter += 1
            converged = taken.change <= tol
            if report is not None:
                report(n_iter, taken.change)
            history = [*history[-_MEMORY:], (here, plain)]
            before, here = here, plain
            if converged:
                break
            if stride:
                here = identify(plain + stride * (plain - before), plain)
            elif len(history) > 1:
                here = identify(_extrapolate(history), plain)
    except KeyboardInterrupt:
        interrupted = True
    return Standstill(plain, n_iter, converged, interrupted)


def _extrapolate(history: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """Return where the last steps lead to if a step is linear."""
    results = np.stack([after.ravel() for _, after in history])
    residuals = results - np.stack([before.ravel() for before, _ in history])
    weights = np.linalg.lstsq(np.diff(residuals, axis=0).T, residuals[-1], rcond=1e-10)[0]
    best: FloatArray = results[-1] - weights @ np.diff(results, axis=0)
    return best.reshape(history[-1][1].shape)


def solve_many(gram: FloatArray, target: FloatArray) -> FloatArray:
    """Solve many small positive semi-definite systems, by minimum norm where singular.

    Parameters
    ----------
    gram : ndarray of shape (p, p, n)
        The matrices.
    target : ndarray of shape (p, n)
        The right-hand sides.

    Returns
    -------
    ndarray of shape (p, n)
        The solutions.
    """
    inverse, own_share = invert_factors(gram)
    half = np.einsum("klt,lt->kt", inverse, target)
    solved: FloatArray = np.einsum("klt,kt->lt", inverse, half)
    weak = np.flatnonzero(own_share <= DEPENDENT)
    if len(weak):
        matrices = gram[:, :, weak].transpose(2, 0, 1)
        solved[:, weak] = np.einsum("tkl,lt->kt", pseudo_inverses(matrices), target[:, weak])
    return solved


def solve_symmetric(matrix: FloatArray, target: FloatArray) -> FloatArray:
    """Solve one positive semi-definite system, by minimum norm where it is singular."""
    try:
        factor = linalg.cho_factor(matrix, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        factor = None
    if factor is not None:
        pivots = np.diag(factor[0]) ** 2
        if (pivots > DEPENDENT * np.diag(matrix)).all():
            solved: FloatArray = linalg.cho_solve(factor, target, check_finite=False)
            return solved
    found: FloatArray = pseudo_inverses(matrix[None])[0] @ target
    return found
