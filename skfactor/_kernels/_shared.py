"""Regressions of assets that are observed on the same dates: one basis for all."""

from dataclasses import dataclass

import numpy as np

from skfactor._kernels._covariance import Covariance, LagProducts, weighted_lags
from skfactor._kernels._design import Design
from skfactor._typing import FloatArray, IntArray

CANCELLED = 1e-4
"""Below this share of the sum of squares, a sum of squared residuals is not a difference."""

FLAT = 1e-28
"""Below this share of the sum of squares, returns are constant up to rounding."""

FITTED, TOO_FEW, DEGENERATE = 0, 1, 2
"""What became of an asset: coefficients, too few observations, factors that do not vary
independently while the asset lives."""


@dataclass(eq=False)
class Estimates:
    """Coefficients of many assets; everything about an asset that was not fitted is NaN.

    Parameters
    ----------
    params, bse : ndarray of shape (n_params, n_assets)
        Coefficients and their standard errors.
    rss, tss : ndarray of shape (n_assets,)
        Sums of squares: of residuals, and of returns about their mean (about zero where no
        constant is among the regressors).
    nobs : ndarray of shape (n_assets,)
        Observations.
    bandwidth : ndarray of shape (n_assets,)
        Lags of HAC; NaN for other covariances.
    status : ndarray of shape (n_assets,)
        ``FITTED``, ``TOO_FEW`` or ``DEGENERATE``.
    centered : ndarray of bool, shape (n_assets,)
        Whether a constant is among the regressors.
    """

    params: FloatArray
    bse: FloatArray
    rss: FloatArray
    tss: FloatArray
    nobs: IntArray
    bandwidth: FloatArray
    status: IntArray
    centered: np.ndarray

    @classmethod
    def unfitted(cls, n_params: int, n_assets: int) -> "Estimates":
        """Return estimates that are NaN throughout."""
        return cls(
            np.full((n_params, n_assets), np.nan),
            np.full((n_params, n_assets), np.nan),
            np.full(n_assets, np.nan),
            np.full(n_assets, np.nan),
            np.zeros(n_assets, dtype=np.intp),
            np.full(n_assets, np.nan),
            np.zeros(n_assets, dtype=np.intp),
            np.zeros(n_assets, dtype=bool),
        )

    def store(self, assets: slice | IntArray, part: "Estimates") -> None:
        """Write the estimates of some assets into their places."""
        for name in vars(self):
            getattr(self, name)[..., assets] = getattr(part, name)

    def blank(self, assets: np.ndarray, status: int) -> None:
        """Mark assets as not fitted."""
        for values in (self.params, self.bse, self.rss, self.tss, self.bandwidth):
            values[..., assets] = np.nan
        self.status[assets] = status


class SharedTools:
    """A design with what covariances need of it, computed once for all blocks of assets."""

    def __init__(self, design: Design, covariance: Covariance) -> None:
        self.design = design
        self.covariance = covariance
        self.basis_rows = np.ascontiguousarray(design.basis.T)
        self.unscaled = np.einsum("ij,ij->i", design.to_params, design.to_params)
        self.influence = design.basis @ design.to_params.T
        every = np.arange(design.n_params)
        self.products = LagProducts(self.influence, every, every)
        self.sums = LagProducts(design.factor_sum[:, None], every[:1], every[:1])
        if covariance.kind.startswith("HC"):
            leverage = np.einsum("tk,tk->t", design.basis, design.basis)
            with np.errstate(divide="ignore"):
                shares = (1.0 - leverage) ** -float(covariance.leverage_power)
            self.squared_influence = (self.influence**2 * shares[:, None]).T


def estimate_shared(returns: FloatArray, squares: FloatArray, tools: SharedTools) -> Estimates:
    """Return the estimates of assets without missing returns on the dates of the design.

    Parameters
    ----------
    returns : ndarray of shape (n_dates, n_assets)
        Excess returns.
    squares : ndarray of shape (n_assets,)
        Their sums of squares.
    tools : SharedTools
        Of the design.

    Returns
    -------
    Estimates
        Of these assets.
    """
    design, covariance = tools.design, tools.covariance
    n_dates, n_assets = returns.shape
    nobs = np.full(n_assets, n_dates, dtype=np.intp)
    weights = tools.basis_rows @ returns
    out = Estimates.unfitted(design.n_params, n_assets)
    out.nobs[:] = n_dates
    out.centered[:] = design.has_constant
    np.matmul(design.to_params, weights, out=out.params)

    explained = np.einsum("kn,kn->n", weights, weights)
    rss = squares - explained
    out.tss[:] = squares
    if design.has_constant:
        mean = (design.constant @ weights) / n_dates
        out.tss -= n_dates * mean**2
        cancelled = np.flatnonzero(out.tss < CANCELLED * squares)
        if len(cancelled):
            centered = returns[:, cancelled]
            centered = centered - centered.mean(axis=0)
            out.tss[cancelled] = np.einsum("tn,tn->n", centered, centered)

    if covariance.kind == "nonrobust":
        cancelled = np.flatnonzero(rss < CANCELLED * squares)
        if len(cancelled):
            residuals = returns[:, cancelled] - design.basis @ weights[:, cancelled]
            rss[cancelled] = np.einsum("tn,tn->n", residuals, residuals)
        variances = tools.unscaled[:, None] * (rss / max(n_dates - design.n_params, 1))
    else:
        residuals = design.basis @ weights
        np.subtract(returns, residuals, out=residuals)
        rss = np.einsum("tn,tn->n", residuals, residuals)
        if covariance.kind == "HAC":
            variances, out.bandwidth[:] = weighted_lags(
                residuals, tools.products, tools.sums, covariance, nobs
            )
        else:
            variances = tools.squared_influence @ np.square(residuals, out=residuals)
        variances *= covariance.scale(nobs, design.n_params)
    out.rss[:] = rss
    with np.errstate(invalid="ignore"):
        np.sqrt(variances, out=out.bse)
    if n_dates == design.n_params:  # nothing is left to estimate an error from
        out.bse[:] = np.nan
    flatten(out, squares)
    return out


def flatten(estimates: Estimates, squares: FloatArray) -> None:
    """Leave returns that do not vary without inference: their residuals are rounding."""
    flat = estimates.tss <= FLAT * squares
    estimates.tss[flat] = 0.0
    estimates.bse[:, flat] = np.nan
