"""Weights on the lags of a long-run variance, and how many lags to take."""

import numpy as np

from skfactor._typing import FloatArray, IntArray

KERNELS = ("bartlett", "parzen", "quadratic_spectral")

# Order q, the constant of the plug-in rule and the exponent of its preliminary lag, from
# Newey and West (1994), table II.
_PLUG_IN = {
    "bartlett": (1, 1.1447, 2 / 9),
    "parzen": (2, 2.6614, 4 / 25),
    "quadratic_spectral": (2, 1.3221, 2 / 25),
}


def lag_weights(kernel: str, lag: int | IntArray, bandwidth: FloatArray) -> FloatArray:
    """Return the weight of each lag, one for lag 0.

    Parameters
    ----------
    kernel : {"bartlett", "parzen", "quadratic_spectral"}
        The shape. The first two are zero from the lag ``bandwidth + 1`` on; the last one
        weighs every lag.
    lag, bandwidth : int, ndarray
        Broadcast against each other.

    Returns
    -------
    ndarray
        Weights of the broadcast shape.
    """
    lag, bandwidth = np.broadcast_arrays(np.asarray(lag, float), np.asarray(bandwidth, float))
    if kernel == "quadratic_spectral":
        x = 1.2 * np.pi * lag / np.where(bandwidth > 0, bandwidth, 1.0)
        near = np.abs(x) < 1e-2
        safe = np.where(near, 1.0, x)
        weights = 3.0 / safe**2 * (np.sin(safe) / safe - np.cos(safe))
        # The closed form cancels near zero.
        weights = np.where(near, 1.0 - x**2 / 10.0 + x**4 / 280.0, weights)
        return np.where(lag == 0, 1.0, np.where(bandwidth > 0, weights, 0.0))
    x = lag / (bandwidth + 1.0)
    if kernel == "bartlett":
        return np.maximum(1.0 - x, 0.0)
    inner = 1.0 - 6.0 * x**2 * (1.0 - x)
    return np.where(x <= 0.5, inner, 2.0 * np.maximum(1.0 - x, 0.0) ** 3)


def rule_of_thumb(nobs: IntArray) -> FloatArray:
    """Return the largest whole number up to ``4 (n / 100)^(2/9)``."""
    return np.floor(4.0 * (nobs / 100.0) ** (2.0 / 9.0))


def preliminary_lag(kernel: str, nobs: IntArray) -> IntArray:
    """Return the number of autocovariances that the plug-in rule looks at."""
    exponent = _PLUG_IN[kernel][2]
    lag = np.floor(4.0 * (nobs / 100.0) ** exponent).astype(np.intp)
    return np.minimum(lag, np.maximum(nobs - 1, 0)).astype(np.intp)


def plug_in_bandwidth(
    kernel: str, autocovariances: FloatArray, considered: IntArray, nobs: IntArray
) -> FloatArray:
    """Return the bandwidth that Newey and West (1994) choose from autocovariances.

    Parameters
    ----------
    kernel : {"bartlett", "parzen", "quadratic_spectral"}
        The shape of the weights.
    autocovariances : ndarray of shape (n_lags + 1, n_assets)
        Of the sum of the scores, from lag 0 on; their scale does not matter.
    considered : ndarray of shape (n_assets,)
        The last lag to look at for each asset.
    nobs : ndarray of shape (n_assets,)
        The number of observations.

    Returns
    -------
    ndarray of shape (n_assets,)
        A whole number of lags, at most ``nobs - 1``; for the quadratic spectral kernel any
        number of that range.
    """
    order, constant, _ = _PLUG_IN[kernel]
    lag = np.arange(len(autocovariances))[:, None]
    used = np.where(lag <= considered, autocovariances, 0.0)
    level = used[0] + 2.0 * used[1:].sum(axis=0)
    slope = 2.0 * (lag[1:] ** order * used[1:]).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(slope / level)
        bandwidth = constant * ratio ** (2.0 / (2 * order + 1)) * nobs ** (1.0 / (2 * order + 1))
    bandwidth = np.minimum(np.nan_to_num(bandwidth, posinf=np.inf), np.maximum(nobs - 1, 0))
    return bandwidth if kernel == "quadratic_spectral" else np.floor(bandwidth)
