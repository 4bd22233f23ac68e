"""The exact test that all alphas are zero."""

from scipy import special

from skfactor._typing import ArrayLike, FloatArray
from skfactor.inference._regression import (
    complete_dates,
    estimate_alphas,
    fitted_model,
    quadratic_form,
    sample_of,
)
from skfactor.inference._result import HypothesisTest


def grs_test(
    factors: ArrayLike, returns: ArrayLike | None = None, *, generated_factors: bool = False
) -> HypothesisTest:
    r"""Test that all alphas are zero, exactly for normal residuals.

    The test of Gibbons, Ross and Shanken (1989). It needs more dates than assets; where there
    are as many assets as dates or more, use :func:`joint_alpha_test`.

    Parameters
    ----------
    factors : FamaFrenchRegressor or array-like of shape (n_dates, n_factors)
        A fitted model with its data, or factor returns that are traded: excess returns of
        portfolios.
    returns : array-like of shape (n_dates, n_assets), default=None
        Excess returns of the assets, aligned with the factors by date where both carry dates.
        None beside a fitted model.
    generated_factors : bool, default=False
        State that factors were estimated from data, as components and latent factors are; the
        result then says that it is not exact.

    Returns
    -------
    HypothesisTest
        The F statistic and its p-value.

    Raises
    ------
    ValueError
        For fewer dates than ``n_assets + n_factors + 1``, and for assets that others and the
        factors make up.

    See Also
    --------
    joint_alpha_test : For any number of assets.
    linear_pricing_test : For factors that are not traded.

    Notes
    -----
    With T dates, N assets, K factors, :math:`\hat\Sigma` the covariance of residuals divided by
    T, and :math:`\bar f' \hat\Omega^{-1} \bar f` the squared Sharpe ratio of the factors,
    their covariance divided by T as well,

    .. math::

        F = \frac{T - N - K}{N} \,
        \frac{\hat\alpha' \hat\Sigma^{-1} \hat\alpha}{1 + \bar f' \hat\Omega^{-1} \bar f}
        \sim F(N, T - N - K).

    The law is exact if residuals are normal and independent over time, given factors. The
    alphas of assets on a factor that is not traded, such as inflation, need not be zero even if
    it prices them: see :func:`linear_pricing_test`. Returns that are missing cost the
    dates on which they are missing.

    References
    ----------
    .. [1] M. R. Gibbons, S. A. Ross and J. Shanken, "A test of the efficiency of a given
       portfolio", Econometrica 57, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import grs_test
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.005, 0.04, (240, 3))
    >>> returns = factors @ rng.normal(size=(3, 10)) + rng.normal(0, 0.03, (240, 10))
    >>> grs_test(factors, returns)
    GRS: F(10, 227) = 0.869, p = 0.563 (exact)
    Null: The alphas of all 10 assets are zero.
    """
    model = fitted_model(factors, returns)
    used, excess = sample_of(model)
    used, excess, notes = complete_dates(used, excess, model.asset_names_)
    statistic, p_value, df = grs_statistic(used, excess)
    exact = not notes
    if model.cov_type != "nonrobust":
        exact = False
        notes += (
            f"The model has cov_type={model.cov_type!r}; this test takes residuals as independent "
            "over time and of one variance.",
        )
    if generated_factors:
        exact = False
        notes += ("Factors that were estimated are taken as known.",)
    n_assets = excess.shape[1]
    null = f"The alphas of all {n_assets} assets are zero."
    if n_assets == 1:
        null = "The alpha of the asset is zero."
    return HypothesisTest("GRS", null, statistic, p_value, "F", df, exact, notes)


def grs_statistic(
    factors: FloatArray, returns: FloatArray
) -> tuple[float, float, tuple[float, float]]:
    """Return the statistic, its p-value and its degrees of freedom.

    Raises
    ------
    ValueError
        For too many assets.
    """
    (n_dates, n_assets), n_factors = returns.shape, factors.shape[1]
    if n_assets > n_dates - n_factors - 1:
        raise ValueError(
            f"The GRS test needs at most {max(n_dates - n_factors - 1, 0)} assets, one fewer than "
            f"dates ({n_dates} on which all assets have returns) less factors ({n_factors}); got "
            f"{n_assets}. Use joint_alpha_test, which takes any number of assets."
        )
    found = estimate_alphas(factors, returns)
    df = (n_assets, n_dates - n_assets - n_factors)
    form = quadratic_form(found.residuals, found.alpha) / found.unscaled
    statistic = form * df[1] / df[0]
    return statistic, float(special.fdtrc(*df, statistic)), df
