"""A test that all alphas are zero which takes any number of assets."""

import numpy as np
from scipy import special

from skfactor._typing import ArrayLike, FloatArray
from skfactor.inference._regression import fitted_model, sample_of
from skfactor.inference._result import HypothesisTest
from skfactor.linear_model._fama_french import FamaFrenchRegressor
from skfactor.panel._index import show_asset

_WIDTH = 256


def joint_alpha_test(factors: ArrayLike, returns: ArrayLike | None = None) -> HypothesisTest:
    r"""Test that all alphas are zero, with more assets than dates if need be.

    The test of Pesaran and Yamagata (2024) adds up squared t statistics of alphas and scales
    the sum by how correlated residuals are; no covariance matrix is inverted. Assets may miss
    returns in any pattern.

    Parameters
    ----------
    factors : FamaFrenchRegressor or array-like of shape (n_dates, n_factors)
        A fitted model with its data, or factor returns that are traded.
    returns : array-like of shape (n_dates, n_assets), default=None
        Excess returns of the assets, ``NaN`` where there is none. None beside a fitted model.

    Returns
    -------
    HypothesisTest
        The standardised sum; large values speak against the null. Its p-value is approximate.

    Raises
    ------
    ValueError
        For fewer than two assets, and for an asset with fewer than five returns more than
        there are coefficients.

    See Also
    --------
    grs_test : Exact, for fewer assets than dates.

    Notes
    -----
    With :math:`t_i` the t statistic of alpha under the classical covariance, :math:`v_i` its
    degrees of freedom, and :math:`\hat\rho_{ij}` the correlation of two residuals,

    .. math::

        J = \frac{1}{\sqrt{N (1 + (N - 1) \tilde\rho^2)}} \sum_i
        \frac{t_i^2 - \frac{v_i}{v_i - 2}}
        {\frac{v_i}{v_i - 2} \sqrt{\frac{2 (v_i - 1)}{v_i - 4}}}, \qquad
        \tilde\rho^2 = \frac{2}{N (N - 1)} \sum_{i < j} \hat\rho_{ij}^2
        \, 1\{v_{ij} \hat\rho_{ij}^2 \ge \theta_N\},

    where :math:`\sqrt{\theta_N} = \Phi^{-1}(1 - 0.05 / (2 (N - 1)))`: correlations that could
    be chance count as zero. The terms have mean 0 and variance 1 for normal residuals.

    J is normal as the number of assets grows; for few it is skewed, as a sum of squares is,
    and the normal law rejects too often. The p-value is that of a chi-square law of the same
    mean and variance, which tends to the normal one: with
    :math:`m = N / (1 + (N - 1) \tilde\rho^2)`,
    :math:`P(\chi^2_m \ge m + \sqrt{2 m} J)`.

    Residuals are to be independent over time and only weakly correlated across assets: a
    common factor that the model lacks makes the test reject too often. Of a model with a
    robust covariance the classical t statistics are taken.

    References
    ----------
    .. [1] M. H. Pesaran and T. Yamagata, "Testing for alpha in linear factor pricing models with
       a large number of securities", Journal of Financial Econometrics 22, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import joint_alpha_test
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.005, 0.04, (60, 3))
    >>> returns = factors @ rng.normal(size=(3, 200)) + rng.normal(0, 0.03, (60, 200))
    >>> test = joint_alpha_test(factors, returns)
    >>> bool(test.p_value > 0.05)
    True
    """
    model = fitted_model(factors, returns)
    notes: tuple[str, ...] = ()
    used, excess = sample_of(model)
    if model.cov_type != "nonrobust":
        notes = (
            f"The model has cov_type={model.cov_type!r}; classical t statistics are taken instead.",
        )
        model = FamaFrenchRegressor(min_obs=model.min_obs).fit(used, excess)
    n_assets = excess.shape[1]
    if n_assets < 2:
        raise ValueError("The test needs at least 2 assets; got 1. Use grs_test.")
    df = model.df_resid_.astype(np.float64)
    few = np.flatnonzero((df <= 4) | np.isnan(model.bse_[:, 0]))
    if len(few):
        raise ValueError(
            f"Every asset must have at least {used.shape[1] + 6} returns that vary; got "
            f"{model.nobs_[few[0]]} of {show_asset(model.asset_names_[few[0]])} ({len(few)} "
            "assets have fewer). Leave them out."
        )
    residuals = excess - (used @ model.coef_[:, model._training.kept].T + model.intercept_)
    statistic, p_value, assets = _j_alpha(
        model.tvalues_[:, 0] ** 2, df, residuals, used.shape[1] + 1
    )
    return HypothesisTest(
        "Joint alpha (Pesaran and Yamagata)",
        f"The alphas of all {n_assets} assets are zero.",
        statistic,
        p_value,
        "standardised chi2",
        (round(assets, 3),),
        False,
        notes,
    )


def _j_alpha(
    squared_t: FloatArray, df: FloatArray, residuals: FloatArray, n_params: int
) -> tuple[float, float, float]:
    """Return J, its p-value, and the number of uncorrelated assets that these are worth."""
    n_assets = len(squared_t)
    mean = df / (df - 2)
    score = (squared_t - mean) / (mean * np.sqrt(2 * (df - 1) / (df - 4)))
    worth = n_assets / (1.0 + correlated_share(residuals, n_params) / n_assets)
    statistic = float(score.sum() / n_assets * np.sqrt(worth))
    p_value = float(special.chdtrc(worth, max(worth + np.sqrt(2 * worth) * statistic, 0.0)))
    return statistic, p_value, float(worth)


def correlated_share(residuals: FloatArray, n_params: int) -> float:
    """Return the sum over ordered pairs of assets of the squared correlations that count.

    Parameters
    ----------
    residuals : ndarray of shape (n_dates, n_assets)
        ``NaN`` where there is none.
    n_params : int
        Coefficients of an asset.

    Returns
    -------
    float
        Over the dates that two assets share.
    """
    n_assets = residuals.shape[1]
    threshold = special.ndtri(1.0 - 0.05 / (2.0 * (n_assets - 1))) ** 2
    missing = np.isnan(residuals)
    complete = not missing.any()
    seen = None if complete else (~missing).astype(np.float64)
    values = np.where(missing, 0.0, residuals) / np.nanstd(residuals, axis=0)
    squares = values**2
    total = 0.0
    for start in range(0, n_assets, _WIDTH):
        own = slice(start, start + _WIDTH)
        cross = values[:, own].T @ values
        if seen is None:
            shared = np.full(cross.shape, float(len(values)))
            product = np.outer(squares[:, own].sum(axis=0), squares.sum(axis=0))
        else:
            shared = seen[:, own].T @ seen
            product = (squares[:, own].T @ seen) * (seen[:, own].T @ squares)
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(product > 0, cross**2 / product, 0.0)
        r2[np.arange(len(r2)), np.arange(start, start + len(r2))] = 0.0
        df = shared - n_params
        total += float(r2[(df > 0) & (df * r2 >= threshold)].sum())
    return total
