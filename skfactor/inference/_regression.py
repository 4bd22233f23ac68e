"""From a fitted regression, or from arrays, to what tests of alphas need."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_is_fitted
from skfactor.linear_model._fama_french import FamaFrenchRegressor
from skfactor.linear_model._inputs import Sample
from skfactor.panel._index import show_asset


@dataclass(frozen=True, eq=False)
class Alphas:
    """Alphas of assets that are observed on the same dates, and what their errors are.

    Parameters
    ----------
    alpha : ndarray of shape (n_assets,)
        Intercepts.
    residuals : ndarray of shape (n_dates, n_assets)
        Of the regressions.
    unscaled : float
        The variance of an alpha is this times the variance of a residual.
    sharpe2 : float
        The squared Sharpe ratio of the best portfolio of the factors, a period, with
        variances divided by the number of dates.
    n_factors : int
        The number of factors.
    """

    alpha: FloatArray
    residuals: FloatArray
    unscaled: float
    sharpe2: float
    n_factors: int


def fitted_model(factors: ArrayLike, returns: ArrayLike | None) -> FamaFrenchRegressor:
    """Return the model handed in, or fit one to arrays.

    Raises
    ------
    ValueError
        For a model without data or without intercept, and for missing or superfluous returns.
    """
    if not isinstance(factors, FamaFrenchRegressor):
        if returns is None:
            raise ValueError(
                "`returns` must be given beside an array of factors; got None. Or pass a fitted "
                "FamaFrenchRegressor."
            )
        return FamaFrenchRegressor().fit(factors, returns)
    if returns is not None:
        raise ValueError(
            "`returns` must be None beside a fitted FamaFrenchRegressor, whose own are used; got "
            f"{type(returns).__name__}. Leave it out."
        )
    check_is_fitted(factors)
    if not factors._has_alpha:
        raise ValueError(
            "The model must have alphas; got fit_intercept=False. Fit it with an intercept."
        )
    if not hasattr(factors, "_training"):
        raise ValueError(
            "A model that was pickled or copied has left its data behind; fit it again, or pass "
            "factors and returns."
        )
    return factors


def sample_of(model: FamaFrenchRegressor) -> tuple[FloatArray, FloatArray]:
    """Return factors and excess returns on the dates of a fitted model."""
    sample: Sample = model._training
    return sample.factors[:, sample.kept], sample.returns.take(slice(None))


def complete_dates(
    factors: FloatArray, returns: FloatArray, names: Any
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Return the dates on which every asset has a return, and a note if some have not.

    Raises
    ------
    ValueError
        For an asset without any return.
    """
    missing = np.isnan(returns)
    if not missing.any():
        return factors, returns, ()
    empty = np.flatnonzero(missing.all(axis=0))
    if len(empty):
        raise ValueError(
            f"Every asset must have returns; got none of {show_asset(names[empty[0]])} "
            f"({len(empty)} assets). Leave them out."
        )
    complete = ~missing.any(axis=1)
    note = (
        f"{len(returns) - complete.sum()} of {len(returns)} dates are left out, on which an "
        "asset has no return; that returns are missing must have nothing to do with what they "
        "would have been."
    )
    return factors[complete], returns[complete], (note,)


def estimate_alphas(factors: FloatArray, returns: FloatArray) -> Alphas:
    """Regress returns without gaps on independent factors."""
    n_dates = len(factors)
    mean = factors.mean(axis=0)
    basis, triangle = np.linalg.qr(factors - mean)
    centred = returns - returns.mean(axis=0)
    weights = basis.T @ centred
    # The best Sharpe ratio is the length of the mean in the metric of the factors.
    loaded = np.linalg.solve(triangle.T, mean)
    residuals = centred - basis @ weights
    alpha = returns.mean(axis=0) - loaded @ weights
    sharpe2 = n_dates * float(loaded @ loaded)
    return Alphas(alpha, residuals, (1.0 + sharpe2) / n_dates, sharpe2, factors.shape[1])


def quadratic_form(residuals: FloatArray, alpha: FloatArray) -> float:
    """Return alpha' (E'E)^-1 alpha.

    Raises
    ------
    ValueError
        If the residuals are not independent.
    """
    scale = np.linalg.norm(residuals, axis=0)
    triangle = np.asarray(np.linalg.qr(residuals / np.where(scale > 0, scale, 1.0), mode="r"))
    own = np.abs(np.diag(triangle))
    if (own <= 1e-10).any() or (scale == 0).any():
        place = int(np.argmin(np.where(scale > 0, own, 0.0)))
        raise ValueError(
            "The residuals of the assets must be linearly independent; got asset number "
            f"{place}, which the factors and the assets before it make up. Leave it out."
        )
    z = np.linalg.solve(triangle.T, alpha / scale)
    return float(z @ z)
