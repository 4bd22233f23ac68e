"""Means of many series over dates, their errors, and whether all of them could be zero."""

import numpy as np

from skfactor._kernels._lags import lag_weights, rule_of_thumb
from skfactor._typing import FloatArray, IntArray

_AT_ONCE = 2_000_000


def lags_or_rule(maxlags: int | None, n_dates: int) -> int:
    """Return the lags asked for, or those of the rule of thumb, below the number of dates."""
    wanted = int(rule_of_thumb(np.array([n_dates]))[0]) if maxlags is None else maxlags
    return max(min(wanted, n_dates - 1), 0)


def means_and_errors(values: FloatArray, lags: int = 0) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the mean of each column and its standard error.

    Parameters
    ----------
    values : ndarray of shape (n_dates, n_series)
        ``NaN`` where missing. Lags count dates, whether or not a value is there.
    lags : int, default=0
        Autocovariances that the error takes in, with Bartlett weights.

    Returns
    -------
    means, errors : ndarray of shape (n_series,)
        ``NaN`` for the mean of nothing and for the error of fewer than two values.
    counts : ndarray of shape (n_series,)
        Values behind them.
    """
    seen = ~np.isnan(values)
    counts = seen.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(seen, values, 0.0).sum(axis=0) / counts
    centred = np.where(seen, values - means, 0.0)
    total = np.einsum("tn,tn->n", centred, centred)
    for lag in range(1, min(lags, len(values) - 1) + 1):
        weight = float(lag_weights("bartlett", lag, np.array(float(lags))))
        total += 2.0 * weight * np.einsum("tn,tn->n", centred[lag:], centred[: len(values) - lag])
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(np.maximum(total, 0.0) / (counts * (counts - 1.0)))
    errors[counts < 2] = np.nan
    return means, errors, counts


def mean_squared_t(values: FloatArray, draws: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean over series of squared t statistics, and its values under the null.

    Parameters
    ----------
    values : ndarray of shape (n_dates, n_series)
        ``NaN`` where missing; every series with two different values at least.
    draws : ndarray of shape (n_resamples, n_dates)
        How often each resample holds each date.

    Returns
    -------
    statistic : float
        Of the values.
    resampled : ndarray of shape (n_resamples,)
        Of the values less their means, which have mean zero.
    """
    seen = ~np.isnan(values)
    count = seen.sum(axis=0)
    centred = np.where(seen, values, 0.0)
    mean = centred.sum(axis=0) / count
    centred -= np.where(seen, mean, 0.0)
    squares = centred**2
    sum_squares = squares.sum(axis=0)
    statistic = float(np.mean(mean**2 * count * (count - 1) / sum_squares))
    # A resample of an asset that is missing on many dates can be nearly constant: then its
    # t statistic says nothing.
    least = 1e-12 * sum_squares
    complete = bool(seen.all())
    mask = None if complete else seen.astype(np.float64)
    resampled = np.empty(len(draws))
    width = max(_AT_ONCE // max(values.shape[1], 1), 1)
    for start in range(0, len(draws), width):
        block = draws[start : start + width]
        n = block.sum(axis=1, keepdims=True) if mask is None else block @ mask
        sums = block @ centred
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = block @ squares - sums**2 / n
            t_squared = np.where(
                (n > 1) & (spread > least), sums**2 * (n - 1) / (n * spread), np.nan
            )
        valid = ~np.isnan(t_squared)
        resampled[start : start + width] = np.where(valid, t_squared, 0.0).sum(axis=1) / np.maximum(
            valid.sum(axis=1), 1
        )
    return statistic, resampled
