"""Handing a factor model over to skfolio's portfolio optimisers."""

from typing import Any


def skfolio_prior(model: Any, X: Any) -> Any:
    r"""Return a prior for skfolio's optimisers that speaks for a fitted factor model.

    skfolio is an optional dependency: ``pip install "skfolio>=1.0"``.

    Parameters
    ----------
    model : estimator
        A fitted factor model.
    X : DataFrame of shape (n_assets, n_features)
        Characteristics of the assets on one date, as a rule the one after the last known
        returns, with a (date, asset) index.

    Returns
    -------
    skfolio.prior.BasePrior
        What optimisers such as ``skfolio.optimization.MeanRisk`` take as ``prior_estimator``.
        Its ``fit(R)`` takes the past returns of the assets, a frame with some or all of the
        assets of ``X`` as columns, in any order; expected returns and covariance do not depend
        on them.

    Raises
    ------
    ImportError
        Without skfolio, or with a release before 1.0.
    ValueError
        In ``fit``, for assets that ``X`` lacks.

    See Also
    --------
    RiskModel : The parts handed over.
    skfactor.portfolios.tangency_portfolio : Portfolios of factors, without an optimiser.

    Notes
    -----
    The expected returns are those of ``model.predict(X)`` and the covariance is
    :math:`B \Sigma_f B' + D` of ``model.risk_model(X)``. The loadings, the factor covariance and
    the specific variances go along as skfolio's ``FactorModel``, by which its optimisers work
    with smaller matrices and risk is split into systematic and specific. A factor that differs
    between the members of an ensemble is handed over once for each of them.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfolio.optimization import MeanRisk
    >>> from skfactor.factor_models import InstrumentedPCA, skfolio_prior
    >>> rng = np.random.default_rng(0)
    >>> months = pd.period_range("2018-01", periods=48, freq="M")
    >>> index = pd.MultiIndex.from_product([months, list("ABCDE")], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (240, 2)), index, columns=["size", "value"])
    >>> y = X["value"] * np.repeat(rng.normal(0.01, 0.04, 48), 5) + rng.normal(0, 0.05, 240)
    >>> model = InstrumentedPCA(1).fit(X, y)
    >>> prior = skfolio_prior(model, X.loc[["2021-12"]])
    >>> returns = y.unstack("asset")
    >>> optimiser = MeanRisk(prior_estimator=prior, max_weights=0.3).fit(returns)
    >>> float(optimiser.weights_.sum().round(6))
    1.0
    >>> told = optimiser.prior_estimator_.return_distribution_
    >>> bool(np.allclose(told.covariance, model.covariance(X.loc[["2021-12"]])))
    True
    """
    try:
        from skfactor.factor_models._skfolio_prior import FactorModelPrior
    except ImportError as error:
        raise ImportError(
            "`skfolio_prior` must have skfolio 1.0 or later; got "
            f"{error.msg!r}. Run `pip install 'skfolio>=1.0'`."
        ) from error
    return FactorModelPrior(model, X)
