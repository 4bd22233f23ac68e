"""Bootstrap tests of what instrumented PCA has found."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from skfactor._kernels._moments import Moments, moments_by_date
from skfactor._typing import ArrayLike, FloatArray, RandomState
from skfactor._validation import Interval, check_is_fitted, draw_seed, join, validate_params
from skfactor.factor_models._instrumented_pca import InstrumentedPCA
from skfactor.factor_models._ipca_core import AlternatingLeastSquares, Loadings
from skfactor.factor_models._observed import observed_factors
from skfactor.inference._progress import Progress
from skfactor.inference._result import HypothesisTest
from skfactor.panel._panel import Panel

_FREEDOM = 5
_SAME = 1e-6
# What a statistic of a sample is needed to; the p-value counts which of them are larger.
_TOLERANCE = 1e-4
_PARAMETERS = {
    "model": [InstrumentedPCA],
    "n_resamples": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


@validate_params(_PARAMETERS, prefer_skip_nested_validation=True)
def ipca_alpha_test(
    model: InstrumentedPCA,
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_resamples: int = 1000,
    dates: Any = None,
    assets: Any = None,
    random_state: RandomState = 0,
    verbose: int = 0,
) -> HypothesisTest:
    r"""Test that characteristics earn no alphas beyond the factors.

    The bootstrap test of Kelly, Pruitt and Su (2019).

    Parameters
    ----------
    model : InstrumentedPCA
        A model fitted with ``intercept=True``.
    X : array-like of shape (n_rows, n_features)
        The characteristics that it was fitted on.
    y : array-like of shape (n_rows,)
        The excess returns that it was fitted on.
    n_resamples : int, default=1000
        The number of samples drawn, each of which the model is fitted to.
    dates : array-like of shape (n_rows,), default=None
        The date of each row, as in ``fit``.
    assets : array-like of shape (n_rows,), default=None
        The asset of each row, as in ``fit``.
    random_state : int, RandomState instance or None, default=0
        Seed of the samples. Not None, so that the same model and panel have the same p-value
        each time they are reported; another seed shows what it owes to the samples.
    verbose : int, default=0
        1 shows how many samples are done.

    Returns
    -------
    HypothesisTest
        The statistic :math:`\Gamma_\alpha' \Gamma_\alpha` and its p-value.

    Raises
    ------
    ValueError
        For a model without intercept, and for data that it was not fitted on.

    See Also
    --------
    ipca_characteristic_test : Tests that a characteristic moves no beta.

    Notes
    -----
    With :math:`x_t = Z_t' r_t` the returns of portfolios managed by characteristics,
    :math:`\hat d_t` their residuals in the fitted model, and :math:`W_t = Z_t' Z_t`, samples
    under the null are

    .. math::

        x_t^b = W_t \left( \hat\Gamma_\beta \hat f_t + \hat\Gamma_\delta g_t \right)
        + q_t^b \, W_t^{1/2} W_{s(t)}^{-1/2} \hat d_{s(t)},

    with dates :math:`s(t)` drawn with replacement and :math:`q_t^b` from Student's t law with
    five degrees of freedom, scaled to variance 1. The model is fitted to each sample, alphas
    included. The p-value is the share of samples whose statistic is at least the one found,
    both counted with one more: :math:`(1 + \#\{W^b \ge W\}) / (1 + n)`.

    The square roots bring the residuals of one date to the number of assets and to the
    characteristics of another. Where these do not change over time they cancel, and samples
    are those of [1]_; where they do, the residuals of a date with few assets would be out of
    place on one with many. They are symmetric, of characteristics scaled to a mean square of
    one. Residuals are taken as independent over time. The statistic adds up squared loadings:
    it supposes characteristics of one scale.

    References
    ----------
    .. [1] B. Kelly, S. Pruitt and Y. Su, "Characteristics are covariances: A unified model of
       risk and return", Journal of Financial Economics 134, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import InstrumentedPCA
    >>> from skfactor.inference import ipca_alpha_test
    >>> rng = np.random.default_rng(0)
    >>> dates = np.repeat(pd.period_range("2015-01", periods=60, freq="M"), 50)
    >>> X = rng.uniform(-1, 1, (3000, 4))
    >>> f = np.repeat(rng.normal(0.01, 0.05, 60), 50)
    >>> y = X[:, 0] * f + 0.02 * X[:, 1] + rng.normal(0, 0.05, 3000)
    >>> model = InstrumentedPCA(n_factors=1, intercept=True).fit(X, y, dates=dates)
    >>> test = ipca_alpha_test(model, X, y, dates=dates, n_resamples=99, random_state=0)
    >>> test.p_value
    0.01
    """
    check_is_fitted(model)
    if not model.intercept:
        raise ValueError(
            "The model must be fitted with `intercept=True`, for there to be alphas to test; got "
            "`intercept=False`."
        )
    sample = _sample_of(model, X, y, dates, assets)
    null = sample.loadings.copy()
    null[:, -1] = 0.0

    def statistic(found: Loadings) -> float:
        return float(found.observed[:, -1] @ found.observed[:, -1])

    draws, failed = _bootstrap(model, sample, null, statistic, n_resamples, random_state, verbose)
    found = float(model.alpha_ @ model.alpha_)
    return _result(
        "IPCA alphas (Kelly, Pruitt and Su)",
        "Characteristics earn no alphas: Gamma_alpha is zero.",
        found,
        draws,
        failed,
    )


@validate_params(
    {**_PARAMETERS, "characteristic": [str, Interval(Integral, 0, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def ipca_characteristic_test(
    model: InstrumentedPCA,
    X: ArrayLike,
    y: ArrayLike,
    characteristic: str | int,
    *,
    n_resamples: int = 1000,
    dates: Any = None,
    assets: Any = None,
    random_state: RandomState = 0,
    verbose: int = 0,
) -> HypothesisTest:
    r"""Test that a characteristic moves no beta.

    The bootstrap test of Kelly, Pruitt and Su (2019).

    Parameters
    ----------
    model : InstrumentedPCA
        A fitted model.
    X : array-like of shape (n_rows, n_features)
        The characteristics that it was fitted on.
    y : array-like of shape (n_rows,)
        The excess returns that it was fitted on.
    characteristic : str or int
        The column of ``X``, by name or position.
    n_resamples : int, default=1000
        The number of samples drawn, each of which the model is fitted to.
    dates : array-like of shape (n_rows,), default=None
        The date of each row, as in ``fit``.
    assets : array-like of shape (n_rows,), default=None
        The asset of each row, as in ``fit``.
    random_state : int, RandomState instance or None, default=0
        Seed of the samples. Not None, so that the same model and panel have the same p-value
        each time they are reported; another seed shows what it owes to the samples.
    verbose : int, default=0
        1 shows how many samples are done.

    Returns
    -------
    HypothesisTest
        The sum of the squared loadings of the characteristic on latent and observed factors,
        and its p-value.

    Raises
    ------
    ValueError
        For a characteristic that there is not, or that others make up, and for data that the
        model was not fitted on.

    See Also
    --------
    ipca_alpha_test : Tests that characteristics earn no alphas.

    Notes
    -----
    With :math:`\gamma_l` the row of :math:`(\Gamma_\beta, \Gamma_\delta)` that belongs to the
    characteristic, the statistic is :math:`W_l = \gamma_l' \gamma_l`. Samples are drawn as
    :func:`ipca_alpha_test` draws them, with that row set to zero; alphas, if the model has any,
    stay as they were estimated. After many such tests, see
    :func:`~skfactor.inference.benjamini_hochberg`.

    References
    ----------
    .. [1] B. Kelly, S. Pruitt and Y. Su, "Characteristics are covariances: A unified model of
       risk and return", Journal of Financial Economics 134, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import InstrumentedPCA
    >>> from skfactor.inference import ipca_characteristic_test
    >>> rng = np.random.default_rng(0)
    >>> dates = np.repeat(pd.period_range("2015-01", periods=60, freq="M"), 50)
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (3000, 3)), columns=["size", "value", "noise"])
    >>> f = np.repeat(rng.normal(0.01, 0.05, 60), 50)
    >>> y = (X["size"] + 0.5 * X["value"]) * f + rng.normal(0, 0.05, 3000)
    >>> model = InstrumentedPCA(n_factors=1).fit(X, y, dates=dates)
    >>> tests = {
    ...     name: ipca_characteristic_test(
    ...         model, X, y, name, dates=dates, n_resamples=49, random_state=0
    ...     )
    ...     for name in X
    ... }
    >>> {name: round(test.p_value, 2) for name, test in tests.items()}
    {'size': 0.01, 'value': 0.01, 'noise': 0.66}
    """
    check_is_fitted(model)
    row, label = _row_of(model, characteristic)
    sample = _sample_of(model, X, y, dates, assets)
    span = sample.problem.span
    if span is not None and np.linalg.norm(span[row]) < 1.0 - _SAME:
        raise ValueError(
            f"The loadings of a characteristic must be determined; got {label}, which is zero or "
            "made up of others together with them. Drop columns."
        )
    n_betas = model.gamma_.shape[1]
    null = sample.loadings.copy()
    null[row, :n_betas] = 0.0

    def statistic(found: Loadings) -> float:
        loadings = np.concatenate([found.latent[row], found.observed[row]])[:n_betas]
        return float(loadings @ loadings)

    draws, failed = _bootstrap(model, sample, null, statistic, n_resamples, random_state, verbose)
    return _result(
        "IPCA characteristic (Kelly, Pruitt and Su)",
        f"The characteristic {label} moves no beta: its row of Gamma is zero.",
        float(model.gamma_[row] @ model.gamma_[row]),
        draws,
        failed,
    )


@dataclass(frozen=True, eq=False)
class _Sample:
    """The data of a fitted model, as its estimation sees them."""

    problem: AlternatingLeastSquares
    moments: Moments
    loadings: FloatArray
    factors: FloatArray


def _sample_of(model: InstrumentedPCA, X: Any, y: Any, dates: Any, assets: Any) -> _Sample:
    """Return moments, and the loadings and factors of all kinds, alphas last."""
    panel = model._read(X, dates, assets, y)
    observed, _ = observed_factors(model.factors, panel)
    n_latent = model.gamma_.shape[1] - observed.shape[1]
    loadings = model.gamma_
    if model.intercept:
        loadings = np.column_stack([loadings, model.alpha_])
        observed = np.column_stack([observed, np.ones(panel.n_dates)])
    moments = moments_by_date(panel.X, panel.returns, panel.starts)
    problem = AlternatingLeastSquares(moments, observed, n_latent, model.ridge)
    latent = problem.factors_of(loadings)
    same_dates = model.dates_ is None if panel.dates is None else panel.dates.equals(model.dates_)
    if not same_dates or not _same_factors(model, panel, latent):
        raise ValueError(
            "X and y must be the data that the model was fitted on; got other "
            f"{'factor returns' if same_dates else 'dates'}."
        )
    return _Sample(problem, moments, loadings, np.hstack([latent, observed]))


def _same_factors(model: InstrumentedPCA, panel: Panel, latent: FloatArray) -> bool:
    """Tell whether latent factors are those of the fit, on the dates that have some."""
    known = model.factor_returns_
    if panel.dates is not None:
        estimated = panel.has_returns | (latent.shape[1] == 0)
        latent = latent[estimated]
        if not panel.dates[estimated].isin(known.index).all():
            return False
        known = known.loc[panel.dates[estimated]]
    theirs = known.to_numpy()[:, : latent.shape[1]]
    return bool(np.abs(latent - theirs).max(initial=0.0) <= _SAME * np.abs(theirs).max(initial=0.0))


def _bootstrap(
    model: InstrumentedPCA,
    sample: _Sample,
    null: FloatArray,
    statistic: Any,
    n_resamples: int,
    random_state: RandomState,
    verbose: int,
) -> tuple[FloatArray, int]:
    """Return the statistic in samples under the null, and how many fits did not converge."""
    moments = sample.moments

    def portfolios(loadings: FloatArray) -> FloatArray:
        slopes = sample.factors @ loadings.T
        fitted: FloatArray = np.matmul(moments.gram, slopes[:, :, None])[:, :, 0]
        return fitted

    sizes = sample.problem.sizes
    roots, inverse_roots = _square_roots(moments.gram / np.outer(sizes, sizes))
    residuals = (moments.cross - portfolios(sample.loadings)) / sizes
    seen = np.flatnonzero(moments.counts)
    residuals = np.matmul(inverse_roots[seen], residuals[seen, :, None])
    roots, expected = roots[seen], portfolios(null)
    tol = max(model.tol, _TOLERANCE)
    rng = np.random.default_rng(draw_seed(random_state))
    progress = Progress(n_resamples, "draws", verbose)
    values, failed = np.empty(n_resamples), 0
    for draw in range(n_resamples):
        size = rng.standard_t(_FREEDOM, len(seen)) / np.sqrt(_FREEDOM / (_FREEDOM - 2))
        shocks = size[:, None, None] * residuals[rng.integers(len(seen), size=len(seen))]
        cross = expected.copy()
        cross[seen] += np.matmul(roots, shocks)[:, :, 0] * sizes
        found = sample.problem.fit(cross, null, max_iter=model.max_iter, tol=tol)
        if found.interrupted:
            raise KeyboardInterrupt
        values[draw] = statistic(found)
        failed += not found.converged
        progress.update(draw + 1)
    return values, failed


def _square_roots(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return symmetric square roots of many matrices, and their pseudo-inverses."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > np.maximum(values[:, -1:], 0.0) * 1e-10
    root = np.sqrt(np.where(kept, values, 0.0))
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=kept)
    turned = vectors.transpose(0, 2, 1)
    return (vectors * root[:, None]) @ turned, (vectors * inverse[:, None]) @ turned


def _result(
    name: str, null: str, statistic: float, draws: FloatArray, failed: int
) -> HypothesisTest:
    n_resamples = len(draws)
    p_value = (1 + int((draws >= statistic).sum())) / (1 + n_resamples)
    notes: tuple[str, ...] = (
        f"W = {statistic:.3g}; 95 % of the draws under the null are below "
        f"{np.quantile(draws, 0.95):.3g}.",
    )
    if failed:
        notes += (f"{failed} of {n_resamples} draws stopped at `max_iter`.",)
    return HypothesisTest(
        name, null, statistic, p_value, "bootstrap", (float(n_resamples),), False, notes
    )


def _row_of(model: InstrumentedPCA, characteristic: str | int) -> tuple[int, str]:
    """Return the position of a characteristic, and what to call it."""
    names = getattr(model, "feature_names_in_", None)
    if isinstance(characteristic, str):
        if names is None or characteristic not in names:
            known = "X had no names" if names is None else join([repr(n) for n in names])
            raise ValueError(
                f"`characteristic` must be a column of X; got {characteristic!r} ({known})."
            )
        return int(np.flatnonzero(names == characteristic)[0]), repr(characteristic)
    if characteristic >= model.n_features_in_:
        raise ValueError(
            f"`characteristic` must be the position of a column of X, below "
            f"{model.n_features_in_}; got {characteristic}."
        )
    label = f"in column {characteristic}" if names is None else repr(str(names[characteristic]))
    return int(characteristic), label
