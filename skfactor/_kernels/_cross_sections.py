"""A cross-sectional regression on every date at once, and the mean of what they find."""

from dataclasses import dataclass

import numpy as np

from skfactor._kernels._design import COLLINEAR
from skfactor._kernels._lags import lag_weights
from skfactor._kernels._threads import one_blas_thread
from skfactor._typing import FloatArray, IntArray

_BLOCK_BYTES = 4 * 2**20

_CONDITION = 1e-4
"""With a correlation matrix whose least eigenvalue is below, columns are solved by QR."""


@dataclass(frozen=True, eq=False)
class CrossSections:
    """Regressions of the dates of a panel; a date that was not fitted is NaN.

    Parameters
    ----------
    slopes : ndarray of shape (n_dates, n_params)
        Coefficients, the intercept first if there is one.
    rsquared : ndarray of shape (n_dates,)
        The share of the variance over assets that is explained.
    nobs : ndarray of shape (n_dates,)
        The number of rows.
    """

    slopes: FloatArray
    rsquared: FloatArray
    nobs: IntArray


@one_blas_thread
def regress_by_date(
    table: FloatArray,
    target: FloatArray,
    codes: IntArray,
    n_dates: int,
    *,
    fit_intercept: bool,
    min_obs: int,
) -> CrossSections:
    """Regress the rows of each date on their columns.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_features)
        Regressors.
    target : ndarray of shape (n_rows,)
        What they explain.
    codes : ndarray of shape (n_rows,)
        The date of each row, from 0.
    n_dates : int
        The number of dates.
    fit_intercept : bool
        Whether each date has an intercept.
    min_obs : int
        The fewest rows a date is fitted from, at least the number of coefficients.

    Returns
    -------
    CrossSections
        NaN for dates with too few rows or with columns that are not independent.
    """
    n_params = table.shape[1] + fit_intercept
    order = None
    if (codes[1:] < codes[:-1]).any():
        order = np.argsort(codes, kind="stable")
    nobs = np.bincount(codes, minlength=n_dates).astype(np.intp)
    starts = np.concatenate([[0], np.cumsum(nobs)])
    slopes = np.full((n_dates, n_params), np.nan)
    rsquared = np.full(n_dates, np.nan)
    # Dates of about one size share a block: rows of zeros, which change no regression, fill
    # it up.
    fitted = np.flatnonzero(nobs >= max(min_obs, n_params, 1))
    fitted = fitted[np.argsort(nobs[fitted], kind="stable")]
    first = 0
    while first < len(fitted):
        least = nobs[fitted[first]]
        most = max(1, _BLOCK_BYTES // (8 * int(1.25 * least + 8) * (n_params + 1)))
        last = first + np.searchsorted(nobs[fitted[first : first + most]], 1.25 * least + 8)
        block = fitted[first : max(last, first + 1)]
        places = np.arange(nobs[block[-1]])
        inside = places < nobs[block][:, None]
        # A column of one date lies in one piece: sums over assets run along memory.
        shape = (len(block), table.shape[1], inside.shape[1])
        columns = np.empty((shape[0], shape[1] + 1, shape[2]))
        together = order is None and block[-1] - block[0] + 1 == len(block) and inside.all()
        if together and (np.diff(block) == 1).all():
            rows_together = slice(starts[block[0]], starts[block[-1] + 1])
            part = table[rows_together].T.reshape(shape[1], shape[0], shape[2])
            columns[:, :-1] = part.transpose(1, 0, 2)
            columns[:, -1] = target[rows_together].reshape(inside.shape)
        else:
            rows = np.where(inside, starts[block][:, None] + places, starts[block][:, None])
            rows = rows if order is None else order[rows]
            columns[:, :-1] = table[rows].transpose(0, 2, 1)
            columns[:, -1] = target[rows]
        slopes[block], rsquared[block] = _solve(columns, inside, fit_intercept)
        first += len(block)
    return CrossSections(slopes, rsquared, nobs)


def _solve(
    columns: FloatArray, inside: np.ndarray, fit_intercept: bool
) -> tuple[FloatArray, FloatArray]:
    """Return coefficients and R² of regressions on all columns but the last, which is explained.

    Parameters
    ----------
    columns : ndarray of shape (n_dates, n_features + 1, n_rows)
        Changed in place.
    inside : ndarray of bool, shape (n_dates, n_rows)
        Which rows are there; the others are to be left out.
    fit_intercept : bool
        Whether each date has an intercept.

    Returns
    -------
    tuple of ndarray
        NaN for dates whose columns are not independent.
    """
    outside = None if inside.all() else ~inside
    if outside is not None:
        columns *= inside[:, None, :]
    count = inside.sum(axis=1)
    floor = np.zeros(columns.shape[:2])
    center = np.zeros_like(floor)
    if fit_intercept:
        # Differences from a mean of 1e5 are exact, products with it are not.
        center = columns.sum(axis=2) / count[:, None]
        columns -= center[:, :, None]
        if outside is not None:
            columns *= inside[:, None, :]
        floor = 64 * np.finfo(np.float64).eps * count[:, None] * np.abs(center)
    products = columns @ columns.transpose(0, 2, 1)
    lengths = np.sqrt(np.diagonal(products, axis1=1, axis2=2))
    varies = (lengths > floor)[:, :-1].all(axis=1)
    total = products[:, -1, -1]
    slopes = np.full((len(columns), columns.shape[1] - 1), np.nan)
    rsquared = np.full(len(columns), np.nan)

    chosen = np.flatnonzero(varies)
    scale = lengths[chosen, :-1]
    gram = products[chosen, :-1, :-1] / (scale[:, :, None] * scale[:, None, :])
    moments = products[chosen, :-1, -1] / scale
    good = np.linalg.eigvalsh(gram)[:, :1].min(axis=1, initial=1.0) > _CONDITION
    solution = np.linalg.solve(gram[good], moments[good][:, :, None])[:, :, 0]
    explained = np.einsum("tk,tk->t", solution, moments[good])
    slopes[chosen[good]] = solution / scale[good]
    with np.errstate(divide="ignore", invalid="ignore"):
        rsquared[chosen[good]] = explained / total[chosen[good]]
    for date in chosen[~good]:
        slopes[date], rsquared[date] = _solve_with_care(columns[date].T, lengths[date, :-1])
    # A sum of squares that vanishes beside the mean is rounding.
    rsquared[lengths[:, -1] <= floor[:, -1]] = np.nan
    if not fit_intercept:
        return slopes, rsquared
    intercept = center[:, -1] - np.einsum("tk,tk->t", center[:, :-1], slopes)
    return np.column_stack([intercept, slopes]), rsquared


def _solve_with_care(columns: FloatArray, lengths: FloatArray) -> tuple[FloatArray, float]:
    """Return slopes and R² of one regression on columns that are nearly dependent, by QR."""
    n_features = len(lengths)
    if len(columns) < n_features:
        return np.full(n_features, np.nan), float("nan")
    basis, triangle = np.linalg.qr(columns[:, :-1] / lengths)
    if (np.abs(np.diag(triangle)) <= COLLINEAR).any():
        return np.full(n_features, np.nan), float("nan")
    target = columns[:, -1]
    weights = basis.T @ target
    residual = target - basis @ weights
    with np.errstate(divide="ignore", invalid="ignore"):
        rsquared = 1.0 - (residual @ residual) / (target @ target)
    return np.linalg.solve(triangle, weights) / lengths, float(rsquared)


def long_run_covariance(series: FloatArray, lags: int, kernel: str, *, correct: bool) -> FloatArray:
    """Return the covariance of the mean of each of several series, robust to autocorrelation.

    Parameters
    ----------
    series : ndarray of shape (n_dates, n_series)
        Rows that are NaN are gaps: they count as dates, and add nothing.
    lags : int
        The last lag; the bandwidth of the quadratic spectral kernel.
    kernel : {"bartlett", "parzen", "quadratic_spectral"}
        The weights of the lags.
    correct : bool
        Divide by one less than the number of rows.

    Returns
    -------
    ndarray of shape (n_series, n_series)
        NaN if there are fewer than two rows.
    """
    known = np.asarray(~np.isnan(series).any(axis=1))
    count = int(known.sum())
    if count < 2:
        return np.full((series.shape[1], series.shape[1]), np.nan)
    deviations = np.where(known[:, None], series - series[known].mean(axis=0), 0.0)
    total = deviations.T @ deviations
    reach = len(series) - 1 if kernel == "quadratic_spectral" else min(lags, len(series) - 1)
    weights = lag_weights(kernel, np.arange(1, reach + 1), np.array(float(lags)))
    for lag, weight in enumerate(weights, start=1):
        if weight:
            product = deviations[lag:].T @ deviations[:-lag]
            total += weight * (product + product.T)
    return np.asarray(total / (count * (count - correct)))
