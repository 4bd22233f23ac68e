"""Time-series regressions of any number of assets on observable factors, all at once."""

from collections.abc import Sequence
from functools import cached_property
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from scipy import special

from skfactor._kernels._covariance import Covariance
from skfactor._kernels._lags import KERNELS
from skfactor._kernels._regressions import regress
from skfactor._kernels._shared import FITTED
from skfactor._kernels._tails import two_sided_p
from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import Interval, StrOptions, check_is_fitted, fit_method
from skfactor.linear_model._base import FactorRegressor
from skfactor.linear_model._checks import least_observations, warn_unfitted
from skfactor.linear_model._inputs import Sample, find_asset, spread_columns
from skfactor.linear_model._statsmodels import fit_statsmodels
from skfactor.panel._index import show_asset

COVARIANCES = ("nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC")


class FamaFrenchRegressor(FactorRegressor):
    r"""Alphas and betas of many assets on observable factors, with their standard errors.

    One ordinary least-squares regression over time for each column of ``y``, on shared
    factors, in closed form and for all columns at once. Returns may be missing in any
    pattern: each asset is fitted from the dates on which it has a return.

    Parameters
    ----------
    factors : str, int, list of these, or None, default=None
        Which columns of ``X`` are factors. The names of models stand for columns: ``"capm"``
        (Mkt-RF), ``"ff3"`` (and SMB, HML), ``"carhart"`` (and MOM), ``"ff5"`` (ff3 and RMW,
        CMA), ``"ff6"`` (ff5 and MOM). A list adds further columns, as in ``["ff3", "LIQ"]``.
        Names are found whatever their case and punctuation, and by their usual synonyms (MOM,
        UMD, WML). Whole numbers are positions. ``None`` takes every column but the risk-free
        return.
    cov_type : {"nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC"}, default="nonrobust"
        The covariance of the coefficients: classical; robust to heteroskedasticity; robust to
        heteroskedasticity and autocorrelation (Newey and West).
    maxlags : int, "newey-west" or None, default=None
        Lags of ``"HAC"``. ``None`` takes the largest whole number up to
        ``4 (n / 100)**(2 / 9)``, with ``n`` the observations of each asset. ``"newey-west"``
        chooses for each asset from its residuals (Newey and West 1994, no prewhitening).
    fit_intercept : bool, default=True
        Whether to fit an alpha.
    risk_free : str, int, series or None, default=None
        The risk-free return to subtract from every return, once: the name or the position of
        a column of ``X`` (which then is no factor), or a series, looked up by date where it and
        ``X`` carry dates. ``None`` takes returns as they are, that is, as excess returns.
    kernel : {"bartlett", "parzen", "quadratic_spectral"}, default="bartlett"
        Weights of the lags of ``"HAC"``. The first two end after ``maxlags`` lags; the last
        one weighs every lag, with ``maxlags`` as its bandwidth, and costs accordingly.
    gaps : {"calendar", "closed"}, default="calendar"
        What a lag of ``"HAC"`` means where an asset misses dates between its first and its
        last return. ``"calendar"`` counts dates of ``X``: returns on both sides of a gap are
        as far apart as they are. ``"closed"`` counts the asset's own returns, as if the gap
        were not there; that is what statsmodels does with rows dropped. Without gaps both are
        the same.
    use_correction : bool, default=False
        Whether ``"HAC"`` is multiplied by ``n / (n - n_params)``. The default is that of
        statsmodels.
    use_t : bool or None, default=None
        Whether p-values and intervals come from Student's t with ``n - n_params`` degrees of
        freedom instead of the normal law. ``None`` does so for ``"nonrobust"`` alone, as
        statsmodels does.
    min_obs : int or None, default=None
        The fewest returns an asset is fitted from. ``None`` means one more than there are
        coefficients; if ``X`` has only as many dates as there are coefficients, all of them.

    Attributes
    ----------
    coef_ : ndarray of shape (n_assets, n_factors)
        Betas. Two-dimensional also for a one-dimensional ``y``.
    intercept_ : ndarray of shape (n_assets,)
        Alphas, a period, in the unit of the returns; zeros without intercept.
    bse_ : ndarray of shape (n_assets, 1 + n_factors)
        Standard errors, alpha first; without the column of alpha if ``fit_intercept=False``.
    tvalues_ : ndarray of shape (n_assets, 1 + n_factors)
        Coefficients divided by their standard errors, computed when first asked for.
    pvalues_ : ndarray of shape (n_assets, 1 + n_factors)
        Two-sided p-values of a coefficient of zero, computed when first asked for.
    rsquared_ : ndarray of shape (n_assets,)
        The share of the variance of excess returns that the factors explain; of the sum of
        squares, if there is neither an intercept nor a constant among the factors.
    rsquared_adj_ : ndarray of shape (n_assets,)
        The same, corrected for the number of factors.
    nobs_ : ndarray of int of shape (n_assets,)
        The number of returns of each asset.
    df_resid_ : ndarray of int of shape (n_assets,)
        ``nobs_`` less the number of coefficients.
    maxlags_ : ndarray of shape (n_assets,)
        Lags of ``"HAC"`` (a bandwidth for the quadratic spectral kernel); ``NaN`` otherwise.
    factor_names_ : ndarray of shape (n_factors,)
        The names of the factors; ``x0``, ``x1``, ... where ``X`` has no names.
    asset_names_ : ndarray of shape (n_assets,)
        The names of the columns of ``y``, or their positions.
    n_features_in_ : int
        The number of columns of ``X``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns of ``X``, where they are all strings.

    See Also
    --------
    sklearn.linear_model.LinearRegression : Coefficients alone, and no missing returns.

    Notes
    -----
    For each asset :math:`i`, over the dates on which it has a return,

    .. math::

        r_{i,t} - r_{f,t} = \alpha_i + \beta_i' f_t + \varepsilon_{i,t}.

    Factors are centred, and all assets share one orthonormal basis of them, so that a factor
    with a mean of 1e5 costs no digits.

    **Dates.** Where ``X`` and ``y`` both carry dates (datetimes, periods, numbers such as
    202401, ISO text), they are aligned by them. If neither has two dates in one month, dates
    are the same by month: the last day, the last business day and the period of a month are
    one date. The sample is where both reach: dates of ``y`` before the first or after the last
    date of ``X`` are left out, with a warning. Between its first and last date, ``X`` must have
    every date of ``y``; a date of ``X`` without a row in ``y`` is a date without returns.
    Without dates on both sides, row belongs to row, and rows are consecutive dates.

    **What cannot be estimated is NaN.** An asset with too few returns, or over whose dates the
    factors are not independent, has ``NaN`` throughout, and a warning names it. Returns that
    never vary have coefficients, and no standard errors and no R². A factor that is a combination
    of factors to its left over all dates, or a constant beside the intercept, is left out, with a
    warning that names it: its beta is 0, its standard error ``NaN``.

    Results agree with statsmodels, fitted asset by asset on rows without missing returns; for
    ``"HAC"`` this needs ``gaps="closed"`` where there are gaps. The weights of HAC at lag
    :math:`l` with :math:`L` lags are :math:`1 - l / (L + 1)` (Bartlett).

    Returns are read where they are, a block of assets at a time, and never copied as a whole.
    The fitted model refers to them for :meth:`to_statsmodels`, and leaves them behind when it
    is pickled.

    References
    ----------
    .. [1] E. F. Fama and K. R. French, "Common risk factors in the returns on stocks and bonds",
       Journal of Financial Economics 33, 3–56, 1993.
    .. [2] W. K. Newey and K. D. West, "Automatic lag selection in covariance matrix estimation",
       Review of Economic Studies 61, 1994.
    .. [3] G. S. Datta and Y. Du, "Nonparametric HAC estimation for time series data with missing
       observations", International Finance Discussion Papers 1060, 2012.
    .. [4] E. F. Fama and K. R. French, "A five-factor asset pricing model", Journal of Financial
       Economics 116, 1–22, 2015.
    .. [5] M. M. Carhart, "On persistence in mutual fund performance", Journal of Finance 52,
       57–82, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.linear_model import FamaFrenchRegressor
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2000-01", periods=240, freq="M")
    >>> factors = pd.DataFrame(
    ...     rng.normal(0.005, 0.04, (240, 3)), dates, ["Mkt-RF", "SMB", "HML"]
    ... )
    >>> returns = pd.DataFrame(
    ...     0.002 + factors.to_numpy() @ [[1.0, 0.8], [0.5, 0.0], [0.0, -0.4]]
    ...     + rng.normal(0, 0.03, (240, 2)),
    ...     dates, ["small", "growth"],
    ... )
    >>> returns.iloc[:100, 1] = np.nan
    >>> model = FamaFrenchRegressor("ff3", cov_type="HAC", maxlags=6).fit(factors, returns)
    >>> model.coef_.round(2)
    array([[ 0.99,  0.47, -0.02],
           [ 0.67, -0.06, -0.43]])
    >>> model.nobs_
    array([240, 140])
    >>> model.summary().loc["growth", ["coef", "t_value"]].round(2)
            coef  t_value
    term
    alpha   0.00     1.03
    Mkt-RF  0.67     9.99
    SMB    -0.06    -0.85
    HML    -0.43    -5.70
    """

    bse_: FloatArray
    rsquared_: FloatArray
    rsquared_adj_: FloatArray
    nobs_: IntArray
    df_resid_: IntArray
    maxlags_: FloatArray

    _parameter_constraints = {
        "factors": [None, str, Interval(Integral, None, None, closed="neither"), list, tuple],
        "cov_type": [StrOptions(set(COVARIANCES))],
        "maxlags": [None, Interval(Integral, 0, None, closed="left"), StrOptions({"newey-west"})],
        "fit_intercept": ["boolean"],
        "risk_free": [
            None,
            str,
            Interval(Integral, None, None, closed="neither"),
            "array-like",
        ],
        "kernel": [StrOptions(set(KERNELS))],
        "gaps": [StrOptions({"calendar", "closed"})],
        "use_correction": ["boolean"],
        "use_t": [None, "boolean"],
        "min_obs": [None, Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        factors: str | int | Sequence[str | int] | None = None,
        *,
        cov_type: Literal["nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC"] = "nonrobust",
        maxlags: int | Literal["newey-west"] | None = None,
        fit_intercept: bool = True,
        risk_free: str | int | ArrayLike | None = None,
        kernel: Literal["bartlett", "parzen", "quadratic_spectral"] = "bartlett",
        gaps: Literal["calendar", "closed"] = "calendar",
        use_correction: bool = False,
        use_t: bool | None = None,
        min_obs: int | None = None,
    ) -> None:
        self.factors = factors
        self.cov_type = cov_type
        self.maxlags = maxlags
        self.fit_intercept = fit_intercept
        self.risk_free = risk_free
        self.kernel = kernel
        self.gaps = gaps
        self.use_correction = use_correction
        self.use_t = use_t
        self.min_obs = min_obs

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit every asset.

        Parameters
        ----------
        X : array-like of shape (n_dates, n_features)
            Factors, a row a date, in the unit of the returns; no ``NaN`` in those that are
            used.
        y : array-like of shape (n_dates,) or (n_dates, n_assets)
            Returns a period, decimals, a column an asset; ``NaN`` where there is none. Aligned
            with ``X`` by date where both carry dates.

        Returns
        -------
        FamaFrenchRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            For factors that are missing by name or value, for fewer dates than coefficients,
            for indexes that cannot be aligned, and if no asset can be fitted.

        Warns
        -----
        UserWarning
            For assets that cannot be fitted, for factors in percent beside returns in decimals
            or the other way round, and for returns that look to be in excess of the risk-free
            return before it is subtracted.
        scipy.linalg.LinAlgWarning
            For factors that are left out because others or the intercept make them up.
        """
        sample = self._learn_sample(X, y)
        has_alpha = bool(self.fit_intercept)
        n_params = len(sample.kept) + has_alpha
        min_obs = least_observations(self.min_obs, n_params, len(sample.factors))
        found = regress(
            sample.returns,
            sample.factors[:, sample.kept],
            fit_intercept=has_alpha,
            covariance=Covariance(
                self.cov_type, self.maxlags, self.kernel, self.gaps, self.use_correction
            ),
            min_obs=min_obs,
        )
        if (found.status != FITTED).any():
            if (found.status != FITTED).all():
                raise ValueError(
                    f"An asset needs {min_obs} returns to be fitted, on dates over which the "
                    f"factors are independent; got {len(found.status)} assets with at most "
                    f"{found.nobs.max()} returns."
                )
            warn_unfitted(found.status, found.nobs, self.asset_names_, min_obs)

        params = spread_columns(found.params, sample, has_alpha, 0.0)
        self.coef_ = params[int(has_alpha) :].T
        self.intercept_ = params[0] if has_alpha else np.zeros(len(found.nobs))
        self.bse_ = spread_columns(found.bse, sample, has_alpha, np.nan).T
        self.nobs_ = found.nobs
        self.df_resid_ = found.nobs - n_params
        self.maxlags_ = found.bandwidth
        with np.errstate(divide="ignore", invalid="ignore"):
            unexplained = np.where(found.tss > 0, found.rss / found.tss, np.nan)
            df = np.where(self.df_resid_ > 0, self.df_resid_, np.nan)
            lost = (found.nobs - found.centered) / df
        self.rsquared_ = 1.0 - unexplained
        self.rsquared_adj_ = 1.0 - lost * unexplained
        # What the figures that are computed later need, whatever set_params does meanwhile.
        self._has_alpha = has_alpha
        self._uses_t = self.cov_type == "nonrobust" if self.use_t is None else self.use_t
        self._training = sample
        self._fitted_as = self.get_params(deep=False)
        for name in ("tvalues_", "pvalues_"):
            self.__dict__.pop(name, None)
        return self

    @cached_property
    def tvalues_(self) -> FloatArray:
        """Coefficients divided by their standard errors, alpha first."""
        check_is_fitted(self)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._params() / self.bse_

    @cached_property
    def pvalues_(self) -> FloatArray:
        """Two-sided p-values of a coefficient of zero, alpha first."""
        check_is_fitted(self)
        df = self.df_resid_[:, None].astype(np.float64) if self._uses_t else None
        return two_sided_p(self.tvalues_, df)

    def conf_int(self, alpha: float = 0.05) -> FloatArray:
        """Return confidence intervals of the coefficients.

        Parameters
        ----------
        alpha : float, default=0.05
            One minus the level: 0.05 gives intervals of 95 %.

        Returns
        -------
        ndarray of shape (n_assets, 1 + n_factors, 2)
            Lower and upper bounds, alpha first.

        Raises
        ------
        ValueError
            If ``alpha`` is not between 0 and 1.
        """
        check_is_fitted(self)
        if not 0 < alpha < 1:
            raise ValueError(f"`alpha` must be between 0 and 1; got {alpha!r}.")
        if self._uses_t:
            df = np.where(self.df_resid_ > 0, self.df_resid_, np.nan)
            width = special.stdtrit(df, 1 - alpha / 2)[:, None]
        else:
            width = special.ndtri(1 - alpha / 2)
        middle, reach = self._params(), width * self.bse_
        return np.stack([middle - reach, middle + reach], axis=2)

    def summary(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return one row for each asset and coefficient.

        Parameters
        ----------
        alpha : float, default=0.05
            One minus the level of the intervals.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``asset`` and ``term`` (``alpha`` first), with the columns ``coef``,
            ``std_error``, ``t_value``, ``p_value``, ``low``, ``high``, and
            ``rsquared``, ``rsquared_adj`` and ``nobs`` of the asset.
        """
        bounds = self.conf_int(alpha)
        terms = self._terms()
        assets = pd.Index(self.asset_names_, tupleize_cols=False)
        n_terms = len(terms)
        index = pd.MultiIndex.from_product([assets, pd.Index(terms)], names=["asset", "term"])
        return pd.DataFrame(
            {
                "coef": self._params().ravel(),
                "std_error": self.bse_.ravel(),
                "t_value": self.tvalues_.ravel(),
                "p_value": self.pvalues_.ravel(),
                "low": bounds[:, :, 0].ravel(),
                "high": bounds[:, :, 1].ravel(),
                "rsquared": np.repeat(self.rsquared_, n_terms),
                "rsquared_adj": np.repeat(self.rsquared_adj_, n_terms),
                "nobs": np.repeat(self.nobs_, n_terms),
            },
            index=index,
        )

    def to_statsmodels(self, asset: Any) -> Any:
        """Fit one asset with statsmodels, for its summaries and tests.

        The regression is run on the data of ``fit``, rows without a return dropped. Under
        ``cov_type="HAC"`` statsmodels closes the gaps of an asset that has any, whatever
        ``gaps`` says.

        Parameters
        ----------
        asset : str or int
            The name of an asset, or its position where assets have no such name.

        Returns
        -------
        statsmodels.regression.linear_model.RegressionResults
            The fitted regression.

        Raises
        ------
        ValueError
            For an unknown asset, one that could not be fitted, and a model that was pickled,
            which no longer has the data.
        """
        check_is_fitted(self)
        position = find_asset(asset, self.asset_names_)
        training: Sample | None = getattr(self, "_training", None)
        if training is None:
            raise ValueError(
                "A model that was pickled or copied has left its data behind; fit it again to "
                "hand an asset to statsmodels."
            )
        if np.isnan(self.intercept_[position]):
            raise ValueError(
                f"{show_asset(asset)} was not fitted: it has {self.nobs_[position]} returns."
            )
        return fit_statsmodels(
            training,
            position,
            str(self.asset_names_[position]),
            self._terms(training.kept),
            self._fitted_as,
            None if np.isnan(self.maxlags_[position]) else float(self.maxlags_[position]),
        )

    def _params(self) -> FloatArray:
        """Return alphas and betas side by side."""
        if not self._has_alpha:
            return self.coef_
        return np.column_stack([self.intercept_, self.coef_])

    def _terms(self, kept: IntArray | slice = slice(None)) -> list[str]:
        """Return the names of the coefficients, of all factors or of some."""
        return [*(["alpha"] if self._has_alpha else []), *map(str, self.factor_names_[kept])]
