"""Regressions over all dates so far, of many assets, one date after another.

The triangular factor of the regressors is carried along and takes in each date by plane
rotations, which neither square the regressors nor subtract sums. Assets that have every return
share one factor; each of the others has its own, along the last axis.
"""

import numpy as np

from skfactor._kernels._design import COLLINEAR
from skfactor._kernels._paths import Paths, share_explained
from skfactor._kernels._returns import Returns
from skfactor._kernels._shared import FLAT
from skfactor._typing import FloatArray, IntArray

_ASSETS_AT_ONCE = 2048


def expand(
    returns: Returns, factors: FloatArray, *, fit_intercept: bool, min_obs: int, errors: bool
) -> Paths:
    """Regress every asset on the factors over the dates so far, as of each date.

    Parameters
    ----------
    returns : Returns
        Excess returns of ``n_assets`` on ``n_dates``.
    factors : ndarray of shape (n_dates, n_factors)
        Finite float64 factors.
    fit_intercept : bool
        Whether there is an alpha, first among the coefficients.
    min_obs : int
        The fewest observations, more than there are coefficients.
    errors : bool
        Whether to return standard errors and R² beside the coefficients.

    Returns
    -------
    Paths
        As of each date.
    """
    p = factors.shape[1] + fit_intercept
    paths = Paths.empty(returns.n_dates, p, returns.n_assets, errors)
    complete = np.empty(returns.n_assets, dtype=bool)
    for assets in returns.blocks():
        block = returns.take(assets)
        missing = np.isnan(block)
        complete[assets] = ~missing.any(axis=0)
        paths.nobs[:, assets] = np.cumsum(~missing, axis=0, dtype=np.int32)
    paths.blank(slice(0, min(min_obs - 1, returns.n_dates)))
    for chosen, shared in ((np.flatnonzero(complete), True), (np.flatnonzero(~complete), False)):
        for start in range(0, len(chosen), _ASSETS_AT_ONCE):
            places = chosen[start : start + _ASSETS_AT_ONCE]
            _fill(returns, factors, places, shared, fit_intercept, min_obs, paths)
    return paths


def _fill(
    returns: Returns,
    factors: FloatArray,
    places: IntArray,
    shared: bool,
    fit_intercept: bool,
    min_obs: int,
    paths: Paths,
) -> None:
    """Write the paths of some assets."""
    n_dates, p = len(factors), factors.shape[1] + fit_intercept
    # The mean of dates that every estimate has seen: centring must not look ahead.
    center = factors[:min_obs].mean(axis=0) if fit_intercept else np.zeros(factors.shape[1])
    columns = factors - center
    if fit_intercept:
        columns = np.column_stack([np.ones(n_dates), columns])
    width = 1 if shared else len(places)
    triangle = np.zeros((p, p, width))
    lengths = np.zeros((p, width))
    weights = np.zeros((p, len(places)))
    rss = np.zeros(len(places))
    for date in range(n_dates):
        everything = returns.window(slice(date, date + 1), slice(0, returns.n_assets))
        response = everything[0, places]
        seen = ~np.isnan(response)
        response = np.where(seen, response, 0.0)
        row = columns[date][:, None] * (np.ones((1, 1)) if shared else seen[None, :])
        lengths += row**2
        rss += _rotate(triangle, row, weights, response) ** 2
        if date + 1 >= min_obs:
            _store(date, places, triangle, lengths, weights, rss, center, min_obs, paths)


def _rotate(
    triangle: FloatArray, row: FloatArray, weights: FloatArray, response: FloatArray
) -> FloatArray:
    """Take one row into the triangular factor; return what it does not explain."""
    for k in range(len(triangle)):
        size = np.hypot(triangle[k, k], row[k])
        safe = np.where(size > 0, size, 1.0)
        cosine = np.where(size > 0, triangle[k, k] / safe, 1.0)
        sine = row[k] / safe
        upper = triangle[k, k:].copy()
        triangle[k, k:] = cosine * upper + sine * row[k:]
        row[k:] = cosine * row[k:] - sine * upper
        kept = weights[k].copy()
        weights[k] = cosine * kept + sine * response
        response = cosine * response - sine * kept
    return response


def _store(
    date: int,
    places: IntArray,
    triangle: FloatArray,
    lengths: FloatArray,
    weights: FloatArray,
    rss: FloatArray,
    center: FloatArray,
    min_obs: int,
    paths: Paths,
) -> None:
    """Solve for the coefficients as of one date."""
    p = len(triangle)
    fit_intercept = p > len(center)
    diagonal = np.abs(triangle[np.arange(p), np.arange(p)])
    independent = (diagonal > COLLINEAR * np.sqrt(lengths)).all(axis=0)
    nobs = paths.nobs[date, places]
    fitted = independent & (nobs >= min_obs)
    inverse = np.zeros_like(triangle)
    with np.errstate(divide="ignore", invalid="ignore"):
        for k in range(p - 1, -1, -1):
            inverse[k, k] = 1.0 / triangle[k, k]
            for j in range(k + 1, p):
                products = np.einsum(
                    "in,in->n", triangle[k, k + 1 : j + 1], inverse[k + 1 : j + 1, j]
                )
                inverse[k, j] = -products * inverse[k, k]
        if fit_intercept:
            inverse[0] -= np.einsum("f,fjn->jn", center, inverse[1:])
        params = np.einsum(
            "kjn,jm->km" if inverse.shape[2] == 1 else "kjm,jm->km", inverse, weights
        )
        paths.params[date][:, places] = np.where(fitted, params, np.nan)
        if paths.bse is None or paths.rsquared is None:
            return
        unscaled = np.einsum("kjn,kjn->kn", inverse, inverse)
        bse = np.sqrt(unscaled * (rss / np.maximum(nobs - p, 1)))
    explained = np.einsum("kn,kn->n", weights[int(fit_intercept) :], weights[int(fit_intercept) :])
    squares = rss + np.einsum("kn,kn->n", weights, weights)
    tss = rss + explained
    bse = np.where(fitted & (tss > FLAT * squares), bse, np.nan)
    paths.bse[date][:, places] = bse
    paths.rsquared[date, places] = np.where(fitted, share_explained(rss, tss, squares), np.nan)
