"""Least squares of many assets on shared factors, whatever returns are missing."""

import numpy as np

from skfactor._kernels._covariance import Covariance
from skfactor._kernels._design import make_design
from skfactor._kernels._masked import MaskedTools, estimate_masked
from skfactor._kernels._returns import Returns
from skfactor._kernels._shared import Estimates, SharedTools, estimate_shared
from skfactor._kernels._threads import one_blas_thread
from skfactor._typing import FloatArray, IntArray

LEAST_GROUP = 48
"""Assets that share their missing dates get a design of their own from this many on."""


@one_blas_thread
def regress(
    returns: Returns,
    factors: FloatArray,
    *,
    fit_intercept: bool,
    covariance: Covariance,
    min_obs: int,
) -> Estimates:
    """Regress every asset on the factors.

    Parameters
    ----------
    returns : Returns
        Excess returns of ``n_assets`` on ``n_dates``.
    factors : ndarray of shape (n_dates, n_factors)
        Finite float64 factors whose columns are independent.
    fit_intercept : bool
        Whether there is an alpha, first among the coefficients.
    covariance : Covariance
        Which standard errors.
    min_obs : int
        The fewest observations an asset is fitted from, more than there are coefficients.

    Returns
    -------
    Estimates
        Of all assets.

    Raises
    ------
    ValueError
        If the columns of ``factors`` are not independent.
    """
    design = make_design(factors, fit_intercept)
    if design is None:
        raise ValueError("`factors` must have independent columns.")
    whole = SharedTools(design, covariance)
    masked = MaskedTools(design, covariance, min_obs)
    known: dict[bytes, SharedTools | None] = {}
    out = Estimates.unfitted(design.n_params, returns.n_assets)
    for assets in returns.blocks():
        block = returns.take(assets)
        squares = np.einsum("tn,tn->n", block, block)
        # A missing return shows in the sum of squares, which is needed anyway.
        gappy = np.isnan(squares)
        if not gappy.any() and len(block) >= min_obs:
            out.store(assets, estimate_shared(block, squares, whole))
            continue
        left = np.ones(len(squares), dtype=bool)
        for group, rows in _groups(block, gappy, min_obs, covariance):
            tools = whole if rows is None else _tools_of(rows, factors, fit_intercept, whole, known)
            if tools is not None:
                part = block[:, group] if rows is None else block[np.ix_(rows, group)]
                squared = np.einsum("tn,tn->n", part, part)
                out.store(group + assets.start, estimate_shared(part, squared, tools))
                left[group] = False
        rest = np.flatnonzero(left)
        if len(rest):
            part = block if len(rest) == len(left) else block[:, rest]
            out.store(rest + assets.start, estimate_masked(part, masked))
    return out


def _groups(
    block: FloatArray, gappy: np.ndarray, min_obs: int, covariance: Covariance
) -> list[tuple[IntArray, IntArray | None]]:
    """Return sets of assets that share their dates, and those dates (None for all)."""
    groups: list[tuple[IntArray, IntArray | None]] = []
    complete = np.flatnonzero(~gappy)
    if len(complete) and len(block) >= min_obs:
        groups.append((complete, None))
    candidates = np.flatnonzero(gappy)
    if len(candidates) < LEAST_GROUP:
        return groups
    observed = ~np.isnan(block[:, candidates])
    counts = np.count_nonzero(observed, axis=0)
    # Equal numbers of dates are cheap to find; only they can be equal dates.
    if np.bincount(counts).max() < LEAST_GROUP:
        return groups
    bits = np.ascontiguousarray(np.packbits(observed, axis=0).T)
    keys = bits.view(np.dtype((np.void, bits.shape[1]))).ravel()
    _, codes, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    for code in np.flatnonzero(sizes >= LEAST_GROUP):
        members = np.flatnonzero(codes == code)
        rows = np.flatnonzero(observed[:, members[0]])
        # Lags that count dates need the dates of a gap in their place.
        dated = covariance.kind == "HAC" and covariance.gaps == "calendar"
        broken = len(rows) and rows[-1] - rows[0] + 1 > len(rows)
        if len(rows) >= min_obs and not (dated and broken):
            groups.append((candidates[members], rows))
    return groups


def _tools_of(
    rows: IntArray,
    factors: FloatArray,
    fit_intercept: bool,
    whole: SharedTools,
    known: dict[bytes, SharedTools | None],
) -> SharedTools | None:
    """Return the tools of a design on some dates, None where its columns are dependent."""
    key = rows.tobytes()
    if key not in known:
        design = make_design(factors[rows], fit_intercept)
        known[key] = None if design is None else SharedTools(design, whole.covariance)
    return known[key]
