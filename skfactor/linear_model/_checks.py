"""Signs that the data are not in the form that a regression of excess returns expects."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import LinAlgWarning

from skfactor._kernels._design import collinear_columns, constant_columns
from skfactor._kernels._returns import Returns
from skfactor._kernels._shared import TOO_FEW
from skfactor._typing import FloatArray, IntArray
from skfactor.linear_model._models import is_factor_return
from skfactor.panel._index import show_asset, show_date, stacklevel_of_user

_SHOWN = 3
_SAMPLED = 128
_PERCENT_RATIO = 15.0
_DECIMAL_RETURN = 0.5


def independent_factors(
    factors: FloatArray, names: Sequence[str], dates: Any, fit_intercept: bool
) -> IntArray:
    """Return which factors are no combination of those to their left, and warn of the others.

    Parameters
    ----------
    factors : ndarray of shape (n_dates, n_factors)
        The factors that are used.
    names : sequence of str
        Their names.
    dates : pandas.Index or None
        The dates of the rows.
    fit_intercept : bool
        Whether a constant stands beside them.

    Returns
    -------
    ndarray of int
        Positions of the factors that are kept.

    Raises
    ------
    ValueError
        For missing values, and for fewer dates than coefficients.
    """
    check_no_missing(factors, names, dates)
    n_dates, n_factors = factors.shape
    n_params = n_factors + fit_intercept
    if n_dates < n_params:
        raise ValueError(
            f"X must have at least as many dates as there are coefficients, {n_params} for "
            f"n_features={n_factors} factors; got n_samples = {n_dates}."
        )
    kept = np.arange(n_factors)
    reasons = []
    constant = constant_columns(factors) if fit_intercept else np.zeros(n_factors, dtype=bool)
    if constant.any():
        kept = kept[~constant]
        reasons.append(f"{_named(names, np.flatnonzero(constant))} (constant, as the intercept is)")
    while (dependent := collinear_columns(factors[:, kept], fit_intercept)) is not None:
        column, others = dependent
        made_of = f"made up of {_named(names, kept[others])}" if len(others) else "zero"
        reasons.append(f"{names[kept[column]]!r} ({made_of})")
        kept = np.delete(kept, column)
    if reasons:
        warnings.warn(
            "The factors must be linearly independent; left out over these "
            f"{n_dates} dates: {', '.join(reasons)}. Their betas are 0 and their standard errors "
            "NaN. Drop them from the factors.",
            LinAlgWarning,
            stacklevel=stacklevel_of_user(),
        )
    if len(kept) + fit_intercept == 0:
        raise ValueError("X must have a factor that is not zero; got none.")
    return kept


def least_observations(min_obs: int | None, n_params: int, n_dates: int) -> int:
    """Return the fewest returns that an asset is fitted from.

    Raises
    ------
    ValueError
        If ``min_obs`` is not more than the number of coefficients.
    """
    if min_obs is None:
        # As many dates as coefficients determine these, and nothing else.
        return min(n_params + 1, max(n_dates, n_params))
    if min_obs <= n_params:
        raise ValueError(
            f"`min_obs` must be more than the number of coefficients, {n_params}; got {min_obs}."
        )
    return min_obs


def check_no_missing(factors: FloatArray, names: Sequence[str], dates: Any) -> None:
    """Raise if a factor is missing on a date, naming both."""
    missing = np.isnan(factors)
    if not missing.any():
        return
    columns = np.flatnonzero(missing.any(axis=0))
    rows = np.flatnonzero(missing.any(axis=1))
    where = [show_date(dates[i]) if dates is not None else f"row {i}" for i in rows[:_SHOWN]]
    more = ", ..." if len(rows) > _SHOWN else ""
    raise ValueError(
        f"X must have every factor on every date; got NaN in {_named(names, columns)} on "
        f"{len(rows)} dates: {', '.join(where)}{more}. Drop those dates, for instance by "
        "X.dropna()."
    )


def warn_unfitted(status: IntArray, nobs: IntArray, assets: Sequence[Any], min_obs: int) -> None:
    """Warn of assets that have no coefficients, with their names and the reason."""
    few = np.flatnonzero(status == TOO_FEW)
    degenerate = np.flatnonzero(status > TOO_FEW)
    for places, reason in (
        (few, f"fewer than {min_obs} returns"),
        (degenerate, "factors that are not linearly independent on the dates of their returns"),
    ):
        if len(places):
            shown = ", ".join(f"{show_asset(assets[i])} (n={nobs[i]})" for i in places[:_SHOWN])
            more = ", ..." if len(places) > _SHOWN else ""
            warnings.warn(
                f"{len(places)} of {len(status)} assets have {reason}; their coefficients are "
                f"NaN: {shown}{more}.",
                UserWarning,
                stacklevel=stacklevel_of_user(),
            )


def warn_units(
    returns: Returns, factors: FloatArray, names: Sequence[str], risk_free: FloatArray | None
) -> bool:
    """Warn if returns, factors and risk-free return do not look to be in one unit.

    Parameters
    ----------
    returns : Returns
        Before the risk-free return is taken off.
    factors : ndarray of shape (n_dates, n_factors)
        The factors that are used.
    names : sequence of str
        Their names.
    risk_free : ndarray of shape (n_dates,) or None
        The risk-free return.

    Returns
    -------
    bool
        Whether there was a warning.
    """
    sample = _sample(returns)
    sizes = np.abs(sample[np.isfinite(sample) & (sample != 0)])
    if not len(sizes):
        return False
    # A median, which an absurd price does not move, in the place of a standard deviation.
    typical = 1.48 * float(np.median(sizes))
    known = np.array([is_factor_return(name) for name in names])
    scale = factors.std(axis=0)
    # A standardised column is an index, not a return.
    standardised = np.abs(factors.mean(axis=0)) < 1e-8 * scale
    judged = known if known.any() else ~standardised
    message = None
    if judged.any():
        ratio = float(np.median(scale[judged])) / typical
        factors_large = float(np.median(scale[judged])) > _DECIMAL_RETURN
        if ratio > _PERCENT_RATIO and factors_large and typical < _DECIMAL_RETURN:
            message = (
                "The factors look to be in percent and the returns in decimals: the typical "
                f"size is {ratio * typical:.3g} for factors and {typical:.3g} for "
                "returns. Divide the factors by 100, or every beta is a hundredth of what it "
                "should be."
            )
        elif known.any() and ratio < 1 / (5 * _PERCENT_RATIO) and typical > _DECIMAL_RETURN:
            message = (
                "The returns look to be in percent and the factors in decimals: the typical "
                f"size is {typical:.3g} for returns and {ratio * typical:.3g} for "
                "factors. Divide the returns by 100, or every beta is a hundred times what it "
                "should be."
            )
    if message is None and risk_free is not None and typical < _DECIMAL_RETURN:
        level = float(np.mean(risk_free))
        if level > max(0.6 * typical, 0.015):
            message = (
                "The risk-free return looks to be in percent and the returns in decimals: its "
                f"mean is {level:.3g}, the typical size of a return {typical:.3g}. "
                "Divide it by 100."
            )
    if message is not None:
        warnings.warn(message, UserWarning, stacklevel=stacklevel_of_user())
    return message is not None


def warn_excess(returns: Returns, factors: FloatArray, risk_free: FloatArray) -> None:
    """Warn if the risk-free return looks to have been taken off the returns already.

    Total returns move one for one with the risk-free return beside the factors, excess returns
    do not move with it. The warning needs an estimate that is near 0 and far from 1.

    Parameters
    ----------
    returns : Returns
        Before the risk-free return is taken off.
    factors : ndarray of shape (n_dates, n_factors)
        The factors that are used.
    risk_free : ndarray of shape (n_dates,)
        The risk-free return.
    """
    sample = _sample(returns)
    seen = np.isfinite(sample).any(axis=1)
    n_dates, n_columns = int(seen.sum()), factors.shape[1] + 2
    if n_dates < 2 * n_columns or np.ptp(risk_free[seen]) == 0:
        return
    average = np.nanmean(sample[seen], axis=1)
    others = np.column_stack([np.ones(n_dates), factors[seen] - factors[seen].mean(axis=0)])
    others /= np.maximum(np.linalg.norm(others, axis=0), np.finfo(np.float64).tiny)
    both = np.column_stack([risk_free[seen], average])
    # What is left of both beside the factors is a regression on one variable.
    rate, response = (both - others @ np.linalg.lstsq(others, both, rcond=None)[0]).T
    variation = rate @ rate
    if variation <= 1e-12 * (risk_free[seen] @ risk_free[seen]):
        return
    slope = rate @ response / variation
    residuals = response - slope * rate
    error = np.sqrt(residuals @ residuals / (n_dates - n_columns) / variation)
    if abs(slope) < 3 * error and abs(slope) < 0.5 and 1 - slope > 4 * error:
        warnings.warn(
            "The returns look to be in excess of the risk-free return already, and `risk_free` "
            "is subtracted from them once more: beside the factors, their average moves by "
            f"{slope:.2f} (standard error {error:.2f}) when the risk-free return moves by 1; for "
            "total returns it moves by about 1. Set `risk_free=None` if they are.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )


def _sample(returns: Returns) -> FloatArray:
    """Return total returns of assets spread evenly over the columns."""
    count = min(returns.n_assets, _SAMPLED)
    chosen = np.linspace(0, returns.n_assets - 1, count).astype(np.intp)
    return Returns(returns.values, returns.rows).take(chosen)


def _named(names: Sequence[str], places: IntArray) -> str:
    return ", ".join(repr(names[i]) for i in places)
