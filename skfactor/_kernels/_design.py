"""Regressors shared by every asset, in an orthonormal basis."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from skfactor._typing import FloatArray, IntArray

COLLINEAR = 1e-10
"""A column counts as collinear if less than this share of its length is its own."""

CONSTANT = 64 * float(np.finfo(np.float64).eps)
"""A column counts as constant if it varies by less than this share of its size."""

SPANNED = 1e-8
"""A constant counts as spanned by the factors if no date departs from it by more."""


@dataclass(frozen=True, eq=False)
class Design:
    """Regressors as an orthonormal basis and the way back to their coefficients.

    Parameters
    ----------
    basis : ndarray of shape (n_dates, n_params)
        Orthonormal columns that span the intercept and the factors.
    to_params : ndarray of shape (n_params, n_params)
        Turns coefficients on the basis into those on the intercept and the factors.
    has_constant : bool
        Whether a constant lies in the span, so that R² is centred.
    constant : ndarray of shape (n_params,)
        The sum of each column of the basis.
    factor_sum : ndarray of shape (n_dates,)
        The sum of the factors on each date, which the choice of lags looks at.
    """

    basis: FloatArray
    to_params: FloatArray
    has_constant: bool
    constant: FloatArray
    factor_sum: FloatArray

    @property
    def n_params(self) -> int:
        """The number of coefficients of one asset."""
        return self.basis.shape[1]


def make_design(factors: FloatArray, fit_intercept: bool) -> Design | None:
    """Return the design of float64 factors, None where their columns are not independent.

    Factors are centred first where there is an intercept: differences from a mean of 1e5 are
    exact, products with it are not.
    """
    center = factors.mean(axis=0) if fit_intercept else np.zeros(factors.shape[1])
    columns = factors - center
    if fit_intercept:
        columns = np.column_stack([np.ones(len(factors)), columns])
    if len(columns) < columns.shape[1]:
        return None
    basis, triangle = np.linalg.qr(columns)
    lengths = np.linalg.norm(columns, axis=0)
    if (np.abs(np.diag(triangle)) <= COLLINEAR * lengths).any():
        return None
    to_params = solve_triangular(triangle, np.eye(len(triangle)))
    if fit_intercept:
        to_params[0] -= center @ to_params[1:]
    constant = basis.sum(axis=0)
    unexplained = 1.0 - basis @ constant
    has_constant = fit_intercept or bool(np.abs(unexplained).max() <= SPANNED)
    return Design(basis, to_params, has_constant, constant, factors.sum(axis=1))


def constant_columns(factors: FloatArray) -> np.ndarray:
    """Return which columns do not vary."""
    spread = np.ptp(factors, axis=0)
    return spread <= CONSTANT * np.abs(factors).max(axis=0)


def collinear_columns(factors: FloatArray, fit_intercept: bool) -> tuple[int, IntArray] | None:
    """Return the first column that others make up, and those others; None if there is none."""
    columns = factors - factors.mean(axis=0) if fit_intercept else factors
    lengths = np.linalg.norm(columns, axis=0)
    lengths[lengths == 0] = 1.0
    triangle = np.asarray(np.linalg.qr(columns / lengths, mode="r"))
    own = np.abs(np.diag(triangle))
    dependent = np.flatnonzero(own <= COLLINEAR)
    if not len(dependent):
        return None
    last = int(dependent[0])
    weights = solve_triangular(triangle[:last, :last], triangle[:last, last])
    return last, np.flatnonzero(np.abs(weights) > np.sqrt(COLLINEAR)).astype(np.intp)
