"""The stationary bootstrap: resamples of dates in blocks of random length."""

import numpy as np

from skfactor._typing import FloatArray, IntArray


def stationary_bootstrap(
    rng: np.random.Generator, n_dates: int, n_resamples: int, block_length: float
) -> IntArray:
    """Draw dates in blocks whose length is geometric, wrapping around at the end.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    n_dates : int
        Dates to draw from, and to draw.
    n_resamples : int
        The number of resamples.
    block_length : float
        The mean length of a block, at least 1; with 1 dates are drawn one by one.

    Returns
    -------
    ndarray of shape (n_resamples, n_dates)
        Positions of dates.
    """
    shape = (n_resamples, n_dates)
    starts = rng.integers(n_dates, size=shape)
    begins = rng.random(shape) < 1.0 / block_length
    begins[:, 0] = True
    place = np.arange(n_dates)
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    drawn: IntArray = (np.take_along_axis(starts, first, axis=1) + place - first) % n_dates
    return drawn


def count_draws(drawn: IntArray) -> FloatArray:
    """Return how often each resample holds each date; the shape of ``drawn``."""
    n_resamples, n_dates = drawn.shape
    cells = drawn + n_dates * np.arange(n_resamples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=drawn.size)
    return counts.reshape(drawn.shape).astype(np.float64)


def block_length_of(series: FloatArray) -> FloatArray:
    """Return the mean block length that suits the mean of each series.

    The rule of Politis and White (2004), corrected by Patton, Politis and White (2009).

    Parameters
    ----------
    series : ndarray of shape (n_dates, n_series)
        Without gaps.

    Returns
    -------
    ndarray of shape (n_series,)
        At least 1; 1 for a series that does not vary.
    """
    n_dates = len(series)
    patience = max(5, int(np.sqrt(np.log10(n_dates)))) if n_dates > 1 else 5
    furthest = min(int(np.ceil(np.sqrt(n_dates))) + patience, n_dates - 1)
    if furthest < 1:
        return np.ones(series.shape[1])
    longest = np.ceil(min(3.0 * np.sqrt(n_dates), n_dates / 3.0))
    centred = series - series.mean(axis=0)
    autocovariance = np.stack(
        [
            np.einsum("tn,tn->n", centred[lag:], centred[: n_dates - lag]) / n_dates
            for lag in range(furthest + 1)
        ]
    )
    level = autocovariance[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        negligible = np.abs(autocovariance[1:] / level) < 2.0 * np.sqrt(np.log10(n_dates) / n_dates)
    last = np.array([_last_lag(column, patience) for column in negligible.T], dtype=np.intp)
    width = np.minimum(2 * np.maximum(last, 1), furthest)
    lag = np.arange(1, furthest + 1)[:, None]
    # Flat up to half the width, then falling to zero.
    weight = np.clip(2.0 * (1.0 - lag / width), 0.0, 1.0)
    slope = 2.0 * (weight * lag * autocovariance[1:]).sum(axis=0)
    spectrum = level + 2.0 * (weight * autocovariance[1:]).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        best = (slope**2 / spectrum**2) ** (1.0 / 3.0) * n_dates ** (1.0 / 3.0)
    best = np.where((level > 0) & np.isfinite(best), best, 1.0)
    return np.clip(best, 1.0, max(longest, 1.0))


def _last_lag(negligible: np.ndarray, patience: int) -> int:
    """Return the lag after which ``patience`` autocorrelations in a row are negligible."""
    runs = 0
    for lag, small in enumerate(negligible, start=1):
        runs = runs + 1 if small else 0
        if runs == patience:
            return lag - patience
    large = np.flatnonzero(~negligible)
    return int(large[-1]) + 1 if len(large) else 0
