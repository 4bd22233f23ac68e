"""One asset's regression as statsmodels runs it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skfactor._kernels._lags import lag_weights
from skfactor._typing import FloatArray
from skfactor.linear_model._inputs import Sample


def fit_statsmodels(
    sample: Sample,
    position: int,
    name: str,
    terms: Sequence[str],
    parameters: dict[str, Any],
    maxlags: float | None,
) -> Any:
    """Return the results of statsmodels for one asset.

    Parameters
    ----------
    sample : Sample
        The data of ``fit``.
    position : int
        Which asset.
    name : str
        What to call it.
    terms : sequence of str
        The names of the coefficients that were estimated.
    parameters : dict
        Those of the estimator.
    maxlags : float or None
        The lags of HAC.

    Returns
    -------
    statsmodels.regression.linear_model.RegressionResults
        The fitted regression.
    """
    from statsmodels.regression.linear_model import OLS

    excess = sample.returns.take(np.array([position]))[:, 0]
    seen = ~np.isnan(excess)
    columns = sample.factors[np.ix_(seen, sample.kept)]
    if parameters["fit_intercept"]:
        columns = np.column_stack([np.ones(len(columns)), columns])
    index = None if sample.dates is None else sample.dates[seen]
    options: dict[str, Any] = {}
    if parameters["cov_type"] == "HAC":
        assert maxlags is not None
        smooth = parameters["kernel"] == "quadratic_spectral"
        options = {
            "maxlags": len(columns) - 1 if smooth else int(maxlags),
            "kernel": _weights(parameters["kernel"], maxlags),
            "use_correction": parameters["use_correction"],
        }
    model = OLS(
        pd.Series(excess[seen], index=index, name=name),
        pd.DataFrame(columns, index=index, columns=pd.Index(terms)),
    )
    return model.fit(
        cov_type=parameters["cov_type"],
        cov_kwds=options or None,
        use_t=parameters["use_t"],
    )


def _weights(kernel: str, bandwidth: float) -> Callable[[int], FloatArray]:
    """Return the weights of a kernel in the form that statsmodels asks for."""

    def weights(last_lag: int) -> FloatArray:
        return lag_weights(kernel, np.arange(last_lag + 1), np.array(bandwidth))

    return weights
