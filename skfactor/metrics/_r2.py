"""The two R² of factor models."""

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from skfactor._typing import ArrayLike
from skfactor.metrics._rows import baseline_of, paired, returns_array
from skfactor.panel._agreement import refuse_other_rows


def total_r2_score(
    y_true: ArrayLike,
    y_fit: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Share of the variation of returns that a model fits with the factors of the same date.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,) or (n_dates, n_assets)
        Returns; ``NaN`` where missing, which leaves the entry out.
    y_fit : array-like of the same shape
        Fitted returns :math:`\beta_{i,t-1}' f_t`, such as a model's ``reconstruct`` gives.
        Where both are pandas objects their indexes must be the same.
    baseline : float, array-like or Series by date, default=None
        What the fit is compared with. None is 0, as in [1]_. A number; a value for each
        return; or, where ``y_true`` carries dates, a pandas Series or a polars frame by date,
        such as the market's return.
    sample_weight : array-like of the same shape, default=None
        Weights of the entries, not below zero.

    Returns
    -------
    float
        At most 1. ``NaN`` with a warning if no return differs from the baseline.

    Raises
    ------
    ValueError
        For shapes or indexes that differ, infinities, no returns at all, and a missing fit of
        a return that is there.

    See Also
    --------
    predictive_r2_score : The same of returns that were expected before.
    total_r2_scorer : Scores a fitted model.

    Notes
    -----
    .. math::

        R^2_{\text{total}} = 1 - \frac{\sum_{i,t} (r_{i,t} - \hat r_{i,t})^2}
        {\sum_{i,t} (r_{i,t} - b_{i,t})^2}

    The baseline of 0 beats a historical mean for single stocks, so that the demeaned measure
    would flatter.

    Where :math:`f_t` is estimated from the same returns, as in instrumented PCA, K factors fit
    N returns of pure noise with an R² of about K / N. Pass fits that leave each return out
    (``reconstruct(..., leave_one_out=True)``) to compare numbers of factors.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 429–450, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.metrics import total_r2_score
    >>> total_r2_score([0.02, -0.01, np.nan, 0.03], [0.01, -0.01, 0.0, 0.03])
    0.928...
    >>> total_r2_score([0.02, -0.01], [0.01, 0.0], baseline=0.01)
    0.6
    """
    return _r2(y_true, y_fit, "y_fit", baseline, sample_weight)


def predictive_r2_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Share of the variation of returns that was expected before they were earned.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,) or (n_dates, n_assets)
        Returns; ``NaN`` where missing, which leaves the entry out.
    y_pred : array-like of the same shape
        Expected returns :math:`\beta_{i,t-1}' \lambda_{t-1}`, from what was known at t−1. Where
        both are pandas objects their indexes must be the same.
    baseline : float, array-like or Series by date, default=None
        What the prediction is compared with. None is 0, as in [1]_. A number; a value for each
        return, such as each asset's mean so far; or, where ``y_true`` carries dates, a pandas
        Series or a polars frame by date.
    sample_weight : array-like of the same shape, default=None
        Weights of the entries, not below zero.

    Returns
    -------
    float
        At most 1; of monthly stock returns half a percent is much. ``NaN`` with a warning if
        no return differs from the baseline.

    Raises
    ------
    ValueError
        For shapes or indexes that differ, infinities, no returns at all, and a missing
        prediction of a return that is there.

    See Also
    --------
    total_r2_score : The same of fits with the factors of the same date.
    information_coefficient : Whether the order of the assets was right.

    Notes
    -----
    .. math::

        R^2_{\text{pred}} = 1 - \frac{\sum_{i,t} (r_{i,t} - \beta_{i,t-1}' \lambda_{t-1})^2}
        {\sum_{i,t} (r_{i,t} - b_{i,t})^2}

    A model's ``predict`` on a block of dates keeps the premia that were last known when it was
    fitted. Predictions one step ahead, as :data:`~skfactor.metrics.predictive_r2_scorer` makes
    them, are ``copy.deepcopy(model).update(X, y).predict(X)``.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 429–450, 2021.

    Examples
    --------
    >>> from skfactor.metrics import predictive_r2_score
    >>> predictive_r2_score([0.05, -0.04, 0.03], [0.01, 0.0, 0.01])
    0.28
    """
    return _r2(y_true, y_pred, "y_pred", baseline, sample_weight)


def _r2(
    y_true: ArrayLike,
    y_fit: ArrayLike,
    fit_name: str,
    baseline: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> float:
    true, fit, observed = paired(y_true, y_fit, ("y_true", fit_name))
    base = np.broadcast_to(baseline_of(baseline, y_true, true), true.shape)
    true, fit, base = true[observed], fit[observed], base[observed]
    if np.isnan(base).any():
        raise ValueError(
            "`baseline` must have a value wherever `y_true` has one; got "
            f"{np.isnan(base).sum()} gaps. Fill them, or set those rows of `y_true` to NaN."
        )
    weight = np.ones(())
    if sample_weight is not None:
        weights = returns_array(sample_weight, "sample_weight")
        if weights.shape != observed.shape or not (weights >= 0).all():
            raise ValueError(
                "`sample_weight` must have a weight of at least 0 for each return, of shape "
                f"{observed.shape}; got shape {weights.shape} with minimum {np.min(weights):g}."
            )
        for data, name in ((y_true, "y_true"), (y_fit, fit_name)):
            refuse_other_rows(data, sample_weight, (name, "sample_weight"), columns=True)
        weight = weights[observed]
    missed = float(np.sum(weight * (true - fit) ** 2))
    total = float(np.sum(weight * (true - base) ** 2))
    if total == 0.0:
        warnings.warn(
            "R² is not defined: no return with a weight differs from the baseline.",
            UndefinedMetricWarning,
            stacklevel=3,
        )
        return float("nan")
    return 1.0 - missed / total
