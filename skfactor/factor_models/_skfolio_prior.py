"""A prior estimator of skfolio; the only module that imports it."""

from typing import Any, Self

import numpy as np
import pandas as pd
from skfolio.prior import BasePrior, FactorModel, ReturnDistribution

from skfactor._typing import FloatArray
from skfactor.factor_models._risk import RiskModel


class FactorModelPrior(BasePrior):
    """Expected returns and covariance of a fitted factor model.

    Parameters
    ----------
    model : estimator
        A fitted factor model.
    X : DataFrame of shape (n_assets, n_features)
        Characteristics of the assets on one date, with a (date, asset) index.
    """

    def __init__(self, model: Any = None, X: Any = None) -> None:
        self.model = model
        self.X = X

    def __sklearn_clone__(self) -> Self:
        """Keep the fitted model, which an optimiser's clone would take the fit from."""
        return type(self)(self.model, self.X)

    def fit(self, X: Any, y: None = None, **fit_params: Any) -> Self:
        """Look the assets up.

        Parameters
        ----------
        X : DataFrame of shape (n_observations, n_assets)
            Past returns of the assets.
        y : None
            Ignored.
        **fit_params : dict
            Ignored.

        Returns
        -------
        FactorModelPrior
            With ``return_distribution_``.
        """
        risk = self.model.risk_model(self.X)
        known = risk.loadings.index
        assets = pd.Index(X.columns) if isinstance(X, pd.DataFrame) else known
        returns = np.asarray(X, dtype=np.float64)
        absent = assets.difference(known)
        if len(absent):
            raise ValueError(
                f"The model's X must have every asset of the returns; got {len(absent)} that it "
                f"lacks, such as {absent[0]!r}."
            )
        if len(assets) != returns.shape[1]:
            raise ValueError(
                f"Returns must have a column for each of the {len(assets)} assets of X; got "
                f"{returns.shape[1]}. Pass a DataFrame with the assets as columns."
            )
        at = known.get_indexer(assets)
        mean = np.asarray(self.model.predict(self.X), dtype=np.float64)[at]
        covariance = risk.covariance().to_numpy()[np.ix_(at, at)]
        names, loadings, spread, premia = distinct_factors(risk, self.model.risk_premia_)
        observations = X.index if isinstance(X, pd.DataFrame) else np.arange(len(returns))
        self.return_distribution_ = ReturnDistribution(
            mu=mean,
            covariance=covariance,
            returns=returns,
            factor_model=FactorModel(
                observations=np.asarray(observations),
                asset_names=np.asarray(assets),
                factor_names=np.asarray(names),
                factor_families=None,
                loading_matrix=loadings[at],
                exposures=None,
                factor_covariance=spread,
                factor_mu=premia,
                factor_returns=None,
                idio_covariance=risk.specific_variance.to_numpy()[at],
                idio_mu=mean - loadings[at] @ premia,
                idio_returns=None,
                idio_variances=None,
            ),
        )
        return self


def distinct_factors(
    risk: RiskModel, premia: pd.Series
) -> tuple[list[str], FloatArray, FloatArray, FloatArray]:
    """Put factors together that are the same in every member of an ensemble.

    A benchmark has one return, however many members there are: twice in a covariance it would
    make that singular.

    Parameters
    ----------
    risk : RiskModel
        Its loadings are those of all members, side by side.
    premia : Series of shape (n_factors,)
        Expected returns of the factors.

    Returns
    -------
    names : list of str
        Of the distinct factors.
    loadings, covariance, premia : ndarray
        As in ``risk``, of the distinct factors.
    """
    n_factors = len(premia)
    n_members = risk.loadings.shape[1] // n_factors
    B = risk.loadings.to_numpy().reshape(-1, n_members, n_factors)
    full = risk.factor_covariance.to_numpy()
    names, loadings, kept = [], [], []
    for k, name in enumerate(premia.index):
        places = np.arange(n_members) * n_factors + k
        variances = full[np.ix_(places, places)]
        if np.ptp(variances) <= 1e-9 * variances.max():
            names.append(str(name))
            loadings.append(B[:, :, k].sum(axis=1))
            kept.append(places[0])
            continue
        names.extend(f"{name} of member {member}" for member in range(n_members))
        loadings.extend(B[:, :, k].T)
        kept.extend(places)
    values = premia.to_numpy(dtype=np.float64)[np.asarray(kept) % n_factors]
    return names, np.column_stack(loadings), full[np.ix_(kept, kept)], values
