"""Variances of coefficients under several assumptions on the errors, for many assets."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from skfactor._kernels._design import Design
from skfactor._kernels._lags import (
    lag_weights,
    plug_in_bandwidth,
    preliminary_lag,
    rule_of_thumb,
)
from skfactor._typing import FloatArray, IntArray

_CACHED_LAGS = 64


@dataclass(frozen=True)
class Covariance:
    """What is assumed of the errors, and what follows from it.

    Parameters
    ----------
    kind : {"nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC"}
        The estimator.
    lags : int, "newey-west" or None
        Lags of HAC: a number, the plug-in choice for each asset, or the rule of thumb.
    kernel : {"bartlett", "parzen", "quadratic_spectral"}
        Weights of HAC.
    gaps : {"calendar", "closed"}
        Whether a lag of HAC counts dates or an asset's own observations.
    correction : bool
        Whether HAC is multiplied by ``n / (n - n_params)``.
    """

    kind: str = "nonrobust"
    lags: int | Literal["newey-west"] | None = None
    kernel: str = "bartlett"
    gaps: str = "calendar"
    correction: bool = False

    @property
    def leverage_power(self) -> int:
        """The power of ``1 - leverage`` that squared residuals are divided by."""
        return {"HC2": 1, "HC3": 2}.get(self.kind, 0)

    def scale(self, nobs: IntArray, n_params: int) -> FloatArray:
        """Return the small-sample factor of each asset."""
        corrected = self.kind == "HC1" or (self.kind == "HAC" and self.correction)
        return nobs / np.maximum(nobs - n_params, 1) if corrected else np.ones(len(nobs))

    def known_bandwidth(self, nobs: IntArray) -> FloatArray | None:
        """Return the bandwidth of each asset, None if it depends on the residuals."""
        if self.lags is None:
            return np.minimum(rule_of_thumb(nobs), np.maximum(nobs - 1, 0))
        if self.lags == "newey-west":
            return None
        return np.full(len(nobs), float(self.lags))

    def last_lag(self, bandwidth: FloatArray, n_dates: int) -> int:
        """Return the last lag that has a weight for any asset."""
        if self.kernel == "quadratic_spectral":
            return n_dates - 1 if (bandwidth > 0).any() else 0
        return min(int(bandwidth.max(initial=0)), n_dates - 1)


class LagProducts:
    """Products of the columns of a matrix on dates some lags apart, kept for reuse.

    Parameters
    ----------
    series : ndarray of shape (n_dates, n_series)
        The columns.
    first, second : ndarray of shape (n_products,)
        Which columns are multiplied; each product is symmetrised in time.
    """

    def __init__(self, series: FloatArray, first: IntArray, second: IntArray) -> None:
        self.series, self.first, self.second = series, first, second
        self._kept: dict[int, FloatArray] = {}

    def __call__(self, lag: int) -> FloatArray:
        """Return the products as rows, of shape (n_products, n_dates - lag)."""
        if lag in self._kept:
            return self._kept[lag]
        late, early = self.series[lag:], self.series[: len(self.series) - lag]
        products = late[:, self.first] * early[:, self.second]
        if lag:
            products += early[:, self.first] * late[:, self.second]
        rows = np.ascontiguousarray(products.T)
        if lag < _CACHED_LAGS:
            self._kept[lag] = rows
        return rows


def weighted_lags(
    residuals: FloatArray,
    products: LagProducts,
    sums: LagProducts,
    covariance: Covariance,
    nobs: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the long-run sums of products of scores, and the bandwidth used.

    The score of an asset is a shared series times its residual, so each lag is one matrix
    product of shared products with products of residuals.

    Parameters
    ----------
    residuals : ndarray of shape (n_dates, n_assets)
        Zero where an asset has no return.
    products : LagProducts
        Of the shared series.
    sums : LagProducts
        Of the sum of the factors, for the choice of lags.
    covariance : Covariance
        Kernel and lags.
    nobs : ndarray of shape (n_assets,)
        Observations of each asset.

    Returns
    -------
    total : ndarray of shape (n_products, n_assets)
        Sums over lags.
    bandwidth : ndarray of shape (n_assets,)
        Bandwidth of each asset.
    """
    n_dates = len(residuals)
    work = np.empty_like(residuals, order="C")

    def lagged(lag: int) -> FloatArray:
        kept = work[: n_dates - lag]
        return np.multiply(residuals[lag:], residuals[: n_dates - lag], out=kept)

    bandwidth = covariance.known_bandwidth(nobs)
    if bandwidth is None:
        considered = preliminary_lag(covariance.kernel, nobs)
        lags = range(int(considered.max(initial=0)) + 1)
        # A product at a positive lag is there twice, once for each order in time.
        moments = np.vstack([(sums(lag) @ lagged(lag)) * (0.5 if lag else 1.0) for lag in lags])
        bandwidth = plug_in_bandwidth(covariance.kernel, moments, considered, nobs)
    total = products(0) @ lagged(0)
    same = bool((bandwidth == bandwidth[:1]).all())
    for lag in range(1, covariance.last_lag(bandwidth, n_dates) + 1):
        weight = lag_weights(covariance.kernel, lag, bandwidth[:1] if same else bandwidth)
        total += weight * (products(lag) @ lagged(lag))
    return total, bandwidth


def score_variances(
    influence: FloatArray,
    residuals: FloatArray,
    observed: np.ndarray,
    design: Design,
    covariance: Covariance,
) -> tuple[FloatArray, FloatArray | None]:
    """Return robust variances where every asset has its own influence of dates.

    Parameters
    ----------
    influence : ndarray of shape (n_assets, n_params, n_dates)
        What an error on each date adds to each coefficient; zero where not observed.
    residuals : ndarray of shape (n_assets, n_dates)
        Zero where not observed, already divided by leverage where that is asked for.
    observed : ndarray of bool, shape (n_assets, n_dates)
        Which returns there are.
    design : Design
        For the sum of the factors.
    covariance : Covariance
        Anything but ``"nonrobust"``.

    Returns
    -------
    variances : ndarray of shape (n_assets, n_params)
        Without the small-sample factor.
    bandwidth : ndarray of shape (n_assets,) or None
        For HAC, the bandwidth used.
    """
    scores = influence * residuals[:, None]
    if covariance.kind != "HAC":
        return np.einsum("npt,npt->np", scores, scores), None
    nobs = observed.sum(axis=1)
    pooled = residuals * design.factor_sum
    if covariance.gaps == "closed":
        order = np.argsort(~observed, axis=1, kind="stable")
        pooled = np.take_along_axis(pooled, order, axis=1)
        scores = np.take_along_axis(scores, order[:, None], axis=2)
    n_dates = scores.shape[2]

    bandwidth = covariance.known_bandwidth(nobs)
    if bandwidth is None:
        considered = preliminary_lag(covariance.kernel, nobs)
        moments = np.stack(
            [
                np.einsum("nt,nt->n", pooled[:, lag:], pooled[:, : n_dates - lag])
                for lag in range(int(considered.max(initial=0)) + 1)
            ]
        )
        bandwidth = plug_in_bandwidth(covariance.kernel, moments, considered, nobs)
    total = np.einsum("npt,npt->np", scores, scores)
    for lag in range(1, covariance.last_lag(bandwidth, n_dates) + 1):
        products = np.einsum("npt,npt->np", scores[:, :, lag:], scores[:, :, : n_dates - lag])
        total += 2.0 * lag_weights(covariance.kernel, lag, bandwidth)[:, None] * products
    return total, bandwidth
