"""Whether expected returns are linear in betas, for factors that need not be traded."""

import numpy as np
from scipy import special

from skfactor._typing import ArrayLike, FloatArray
from skfactor.inference._regression import complete_dates, fitted_model, sample_of
from skfactor.inference._result import HypothesisTest


def linear_pricing_test(
    factors: ArrayLike, returns: ArrayLike | None = None, *, fit_intercept: bool = True
) -> HypothesisTest:
    r"""Test that mean returns are linear in betas, whether factors are traded or not.

    The alpha of a factor model is a pricing error only if its factors are excess returns of
    portfolios: then the premium of a factor is its mean, and :func:`grs_test` is the test. The
    mean of a factor that is not traded, such as inflation, is no premium. Here premia are
    estimated across assets, and what they leave is tested (Shanken 1985).

    Parameters
    ----------
    factors : FamaFrenchRegressor or array-like of shape (n_dates, n_factors)
        A fitted model with its data, or factors, traded or not.
    returns : array-like of shape (n_dates, n_assets), default=None
        Excess returns of the assets, aligned with the factors by date where both carry dates.
        None beside a fitted model.
    fit_intercept : bool, default=True
        Whether an asset without betas may have a mean return other than zero.

    Returns
    -------
    HypothesisTest
        An F statistic; its p-value is approximate, since betas are estimated.

    Raises
    ------
    ValueError
        For no more assets than premia, for too few dates, and for assets that others make up.

    See Also
    --------
    grs_test : Exact, for traded factors.
    skfactor.linear_model.FamaMacBeth.fit_two_pass : The premia.

    Notes
    -----
    With T dates, N assets, K factors, :math:`X = [1, \hat B]` with p columns,
    :math:`\hat\Sigma` the covariance of residuals with T − K − 1 degrees of freedom, and
    :math:`e = \bar r - X \hat\lambda` the errors of generalised least squares across assets,

    .. math::

        F = \frac{T - K - N + p}{(N - p)(T - K - 1)} \,
        \frac{T \, e' \hat\Sigma^{-1} e}{1 + \hat\lambda_f' \hat\Sigma_f^{-1} \hat\lambda_f}
        \approx F(N - p, T - K - N + p).

    Residuals are to be normal and independent over time, given factors. If betas hardly differ
    over assets, premia are not determined and the test says little.

    References
    ----------
    .. [1] J. Shanken, "Multivariate tests of the zero-beta CAPM", Journal of Financial Economics
       14, 1985.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import grs_test, linear_pricing_test
    >>> rng = np.random.default_rng(0)
    >>> inflation = rng.normal(0.002, 0.004, (360, 1))
    >>> betas = rng.uniform(0.5, 3, (1, 10))
    >>> returns = 0.004 * betas + (inflation - 0.002) @ betas + rng.normal(0, 0.01, (360, 10))
    >>> bool(linear_pricing_test(inflation, returns).p_value > 0.05)
    True
    >>> bool(grs_test(inflation, returns).p_value < 0.05)  # takes the mean for the premium
    True
    """
    model = fitted_model(factors, returns)
    used, excess = sample_of(model)
    used, excess, notes = complete_dates(used, excess, model.asset_names_)
    (n_dates, n_assets), n_factors = excess.shape, used.shape[1]
    n_premia = n_factors + bool(fit_intercept)
    df = (n_assets - n_premia, n_dates - n_factors - n_assets + n_premia)
    if df[0] < 1 or df[1] < 1:
        raise ValueError(
            f"The test needs more than {n_premia} assets, one for each premium, and at most "
            f"{max(n_dates - n_factors + n_premia - 1, 0)}, for the {n_dates} dates on which all "
            f"have returns; got {n_assets}."
        )
    form, inflation = _errors(used, excess, bool(fit_intercept))
    statistic = n_dates * form / (1.0 + inflation) * df[1] / df[0]
    if model.cov_type != "nonrobust":
        notes += (
            f"The model has cov_type={model.cov_type!r}; this test takes residuals as independent "
            "over time and of one variance.",
        )
    return HypothesisTest(
        "Linear pricing (Shanken)",
        f"The mean returns of all {n_assets} assets are linear in their betas.",
        float(statistic),
        float(special.fdtrc(*df, statistic)),
        "F",
        df,
        False,
        ("Betas are estimated, and premia from them.", *notes),
    )


def _errors(factors: FloatArray, returns: FloatArray, fit_intercept: bool) -> tuple[float, float]:
    """Return e' (E'E)^-1 e of the errors across assets, and by what estimated betas inflate it."""
    centred = factors - factors.mean(axis=0)
    # Neither result depends on the units of factors, but rounding does.
    size = np.linalg.norm(centred, axis=0)
    centred /= np.where(size > 0, size, 1.0)
    betas = np.linalg.lstsq(centred, returns - returns.mean(axis=0), rcond=None)[0]
    residuals = returns - returns.mean(axis=0) - centred @ betas
    scale = np.linalg.norm(residuals, axis=0)
    triangle = np.asarray(np.linalg.qr(residuals / np.where(scale > 0, scale, 1.0), mode="r"))
    own = np.where(scale > 0, np.abs(np.diag(triangle)), 0.0)
    if (own <= 1e-10).any():
        raise ValueError(
            "The residuals of the assets must be linearly independent; got asset number "
            f"{int(np.argmin(own))}, which the factors and the assets before it make up. Leave it "
            "out."
        )
    columns = betas.T
    if fit_intercept:
        columns = np.column_stack([np.ones(len(columns)), columns])
    # In units in which residuals are uncorrelated, generalised least squares are ordinary ones.
    whitened = np.linalg.solve(
        triangle.T, np.column_stack([columns, returns.mean(axis=0)]) / scale[:, None]
    )
    length = np.linalg.norm(whitened[:, :-1], axis=0)
    length[length == 0] = 1.0
    premia = np.linalg.lstsq(whitened[:, :-1] / length, whitened[:, -1], rcond=None)[0] / length
    errors = whitened[:, -1] - whitened[:, :-1] @ premia
    paid = premia[int(fit_intercept) :]
    spread = centred.T @ centred / (len(factors) - 1)
    return float(errors @ errors), float(paid @ np.linalg.solve(spread, paid))
