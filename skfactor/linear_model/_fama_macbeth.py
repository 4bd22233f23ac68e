"""Cross-sectional regressions, date by date, and the mean of their slopes."""

from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin

from skfactor._kernels._cross_sections import (
    CrossSections,
    long_run_covariance,
    regress_by_date,
)
from skfactor._kernels._lags import KERNELS, rule_of_thumb
from skfactor._kernels._tails import two_sided_p
from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import (
    Interval,
    StrOptions,
    check_is_fitted,
    fit_method,
    validate_data,
)
from skfactor.linear_model._cross_section_checks import (
    independent_within_dates,
    warn_dependent,
    warn_unfitted_dates,
)
from skfactor.linear_model._fama_french import FamaFrenchRegressor
from skfactor.panel._coded import resolve_coded
from skfactor.panel._index import has_panel_index


class FamaMacBeth(RegressorMixin, BaseEstimator):
    r"""Premia of characteristics or betas: the mean slope of cross-sectional regressions.

    On each date the returns of all assets are regressed on what is known of them; the slopes
    are averaged over dates, and their standard errors come from how they vary over dates
    (Fama and MacBeth 1973), with autocorrelation allowed for (Newey and West 1987). Dates may
    have different assets.

    Parameters
    ----------
    fit_intercept : bool, default=True
        Whether each cross-section has an intercept.
    maxlags : int or None, default=None
        Lags of the covariance of the mean slopes. 0 is the textbook formula, which takes
        slopes as independent over dates. ``None`` takes the largest whole number up to
        ``4 (n / 100)**(2 / 9)``, with ``n`` the number of dates.
    kernel : {"bartlett", "parzen", "quadratic_spectral"}, default="bartlett"
        Weights of the lags.
    use_correction : bool, default=True
        Whether variances are divided by ``n - 1`` instead of ``n``.
    use_t : bool, default=True
        Whether p-values come from Student's t with ``n - 1`` degrees of freedom instead of the
        normal law.
    shanken : bool, default=True
        Whether :meth:`fit_two_pass` corrects standard errors for estimated betas. Where
        regressors are given, to :meth:`fit`, nothing is corrected.
    min_obs : int or None, default=None
        The fewest assets a date is fitted from. ``None`` means one more than there are
        coefficients; if no date has as many, as many as there are coefficients.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Mean slopes: returns a period for one unit of each column.
    intercept_ : float
        The mean intercept; 0 without.
    bse_ : ndarray of shape (1 + n_features,)
        Standard errors, intercept first; without it if ``fit_intercept=False``.
    tvalues_ : ndarray of shape (1 + n_features,)
        Coefficients divided by their standard errors.
    pvalues_ : ndarray of shape (1 + n_features,)
        Two-sided p-values of a coefficient of zero.
    covariance_ : ndarray of shape (1 + n_features, 1 + n_features)
        The covariance of the mean slopes.
    slopes_ : ndarray of shape (n_dates, 1 + n_features)
        The coefficients of each date; ``NaN`` for a date that could not be fitted.
    rsquared_ : float
        The mean over dates of the R² of the cross-sections.
    rsquared_by_date_ : ndarray of shape (n_dates,)
        The R² of each date.
    nobs_ : ndarray of int of shape (n_dates,)
        The number of assets of each date.
    dates_ : pandas.Index of shape (n_dates,) or None
        The dates in rising order; None if all rows are one cross-section.
    maxlags_ : int
        The number of lags in use.
    shanken_ : float
        The squared Sharpe ratio of the factors by which estimated betas inflate the variance;
        0 where regressors are given or nothing is corrected.
    betas_ : ndarray of shape (n_assets, n_features) or None
        The betas of the first pass; ``NaN`` for an asset without. None after :meth:`fit`.
    n_features_in_ : int
        The number of columns of ``X``, or of factors.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they are all strings.

    See Also
    --------
    FamaFrenchRegressor : Regressions over time, an asset at a time.

    Notes
    -----
    For each date :math:`t`, over the assets :math:`i` of that date,

    .. math::

        r_{i,t} = \lambda_{0,t} + \lambda_t' x_{i,t-1} + \varepsilon_{i,t}, \qquad
        \hat\lambda = \frac{1}{n} \sum_t \hat\lambda_t, \qquad
        \widehat{\mathrm{Var}}(\hat\lambda) = \frac{1}{n (n - 1)} \sum_{|l| \le L} w_l
        \sum_t (\hat\lambda_t - \hat\lambda)(\hat\lambda_{t-l} - \hat\lambda)'.

    Each row of ``X`` is to hold what was known before the return of the row was earned.

    **Dates.** They are the argument ``dates``, else the date level of a two-level index of
    ``X``, else that of ``y``. Without any, all rows are one cross-section, with a
    :class:`~skfactor.exceptions.MissingDatesWarning`: there is a slope then, and no standard
    error. Consecutive dates of the panel are one lag apart. A date with too few assets, or on
    which columns are not independent, has no slopes, and a warning names it; it still counts
    as a date where lags are counted. A column that others make up on all dates, or that does
    not vary over assets beside the intercept, is left out with a warning that names it: its
    slope is 0, its standard error ``NaN``.

    **Estimated betas.** :meth:`fit_two_pass` regresses over time first, on factors, and takes
    the betas as the columns of every cross-section. They carry errors, so that the variance of
    the slopes is understated. With :math:`S` the covariance of the mean of
    :math:`\hat\lambda_t` less the factors of the date, which is what residual returns add, the
    corrected covariance (Shanken 1992) is

    .. math::

        \widehat{\mathrm{Var}}(\hat\lambda) + c\, S, \qquad
        c = \hat\lambda_f' \hat\Sigma_f^{-1} \hat\lambda_f .

    The formula supposes residuals that are independent of the factors and over time; with lags
    it is a convention. A factor that is a traded excess return has a premium that can be
    estimated by its mean alone; one that is not, such as inflation, needs this regression.

    References
    ----------
    .. [1] E. F. Fama and J. D. MacBeth, "Risk, return, and equilibrium: empirical tests",
       Journal of Political Economy 81, 1973.
    .. [2] J. Shanken, "On the estimation of beta-pricing models", Review of Financial Studies 5,
       1992.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.linear_model import FamaMacBeth
    >>> rng = np.random.default_rng(0)
    >>> index = pd.MultiIndex.from_product(
    ...     [pd.period_range("2010-01", periods=120, freq="M"), range(50)],
    ...     names=["date", "asset"],
    ... )
    >>> X = pd.DataFrame(rng.normal(size=(6000, 2)), index, ["value", "noise"])
    >>> y = 0.005 + 0.01 * X["value"] + rng.normal(0, 0.05, 6000)
    >>> model = FamaMacBeth(maxlags=0).fit(X, y)
    >>> model.coef_.round(3)
    array([0.009, 0.001])
    >>> model.summary().loc["value"].round(3)
    coef          0.009
    std_error     0.001
    t_value      13.315
    p_value       0.000
    Name: value, dtype: float64
    """

    # Requested by default, so that users need not call set_fit_request.
    __metadata_request__fit = {"dates": True, "assets": True}

    coef_: FloatArray
    intercept_: float
    bse_: FloatArray
    tvalues_: FloatArray
    pvalues_: FloatArray
    covariance_: FloatArray
    slopes_: FloatArray
    rsquared_: float
    rsquared_by_date_: FloatArray
    nobs_: IntArray
    dates_: pd.Index | None
    maxlags_: int
    shanken_: float
    betas_: FloatArray | None

    _parameter_constraints = {
        "fit_intercept": ["boolean"],
        "maxlags": [None, Interval(Integral, 0, None, closed="left")],
        "kernel": [StrOptions(set(KERNELS))],
        "use_correction": ["boolean"],
        "use_t": ["boolean"],
        "shanken": ["boolean"],
        "min_obs": [None, Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        maxlags: int | None = None,
        kernel: Literal["bartlett", "parzen", "quadratic_spectral"] = "bartlett",
        use_correction: bool = True,
        use_t: bool = True,
        shanken: bool = True,
        min_obs: int | None = None,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.maxlags = maxlags
        self.kernel = kernel
        self.use_correction = use_correction
        self.use_t = use_t
        self.shanken = shanken
        self.min_obs = min_obs

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike, *, dates: Any = None, assets: Any = None) -> Self:
        """Fit the cross-section of every date.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics or betas, a row an asset on a date, known before its return.
        y : array-like of shape (n_rows,)
            The return of each row, decimals.
        dates : array-like of shape (n_rows,), default=None
            The date of each row: datetimes, periods, whole numbers such as 202401, ISO text.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, to find rows that are there twice.

        Returns
        -------
        FamaMacBeth
            The fitted estimator.

        Raises
        ------
        ValueError
            For missing values, for indexes that disagree, and if no date can be fitted.

        Warns
        -----
        UserWarning
            For dates that cannot be fitted.
        scipy.linalg.LinAlgWarning
            For columns that are left out because others or the intercept make them up.
        skfactor.exceptions.MissingDatesWarning
            If nothing says on which dates the rows stand.
        """
        table, target = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2
        )
        panel = resolve_coded(X, y, dates, assets)
        codes = panel.date_codes
        if codes is None:
            codes = np.zeros(len(table), dtype=np.intp)
        self._learn(table, np.asarray(target, dtype=np.float64), codes, panel.dates)
        return self

    @fit_method
    def fit_two_pass(self, factors: ArrayLike, returns: ArrayLike) -> Self:
        """Estimate betas over time, then the premia of the factors across assets.

        Parameters
        ----------
        factors : array-like of shape (n_dates, n_factors)
            Factors, a row a date; traded or not.
        returns : array-like of shape (n_dates, n_assets)
            Excess returns, ``NaN`` where there is none; aligned with the factors by date where
            both carry dates.

        Returns
        -------
        FamaMacBeth
            The fitted estimator, whose ``predict`` takes betas.

        Raises
        ------
        ValueError
            For missing factors, factors that are not independent, and too few assets.
        """
        validate_data(self, factors, dtype=np.float64)
        first = FamaFrenchRegressor().fit(factors, returns)
        sample = first._training
        if len(sample.kept) < len(first.factor_names_):
            left = [n for i, n in enumerate(first.factor_names_) if i not in sample.kept]
            raise ValueError(
                "The factors must be linearly independent, or no premia are determined; got "
                f"{', '.join(map(repr, left))} made up of the others. Drop them."
            )
        values = sample.returns.take(slice(None))
        betas = first.coef_
        present = ~np.isnan(values) & ~np.isnan(first.intercept_)
        rows, columns = np.nonzero(present)
        self._learn(betas[columns], values[rows, columns], rows, sample.dates, sample.factors)
        self.betas_ = betas
        return self

    def _learn(
        self,
        table: FloatArray,
        target: FloatArray,
        codes: IntArray,
        dates: pd.Index | None,
        factors: FloatArray | None = None,
    ) -> None:
        """Fit all dates, and store what they say."""
        has_intercept = bool(self.fit_intercept)
        n_columns = table.shape[1]
        n_dates = int(codes.max()) + 1 if factors is None else len(factors)
        found, min_obs = self._regress(table, target, codes, n_dates)
        kept = np.arange(n_columns)
        if np.isnan(found.slopes).any(axis=1).all():
            kept = independent_within_dates(table, codes, has_intercept)
            if len(kept) < n_columns:
                warn_dependent(kept, getattr(self, "feature_names_in_", None), n_columns)
                found, min_obs = self._regress(table[:, kept], target, codes, n_dates)
        known = np.asarray(~np.isnan(found.slopes).any(axis=1))
        if not known.any():
            raise ValueError(
                f"A date needs {min_obs} assets (n_samples) to be fitted on n_features={len(kept)} "
                f"columns that are linearly independent; got {n_dates} dates with at most "
                f"{found.nobs.max()} assets, and none that can be fitted. Drop columns."
            )
        if not known.all():
            warn_unfitted_dates(known, found.nobs, dates, min_obs)
        count = int(known.sum())
        lags = self.maxlags
        if lags is None:
            lags = min(int(rule_of_thumb(np.array([count]))[0]), max(count - 1, 0))
        elif lags > count - 1 and count > 1:
            raise ValueError(
                f"`maxlags` must be below the number of dates that are fitted, {count}; got {lags}."
            )

        def covariance_of(series: FloatArray) -> FloatArray:
            return long_run_covariance(series, lags, self.kernel, correct=bool(self.use_correction))

        covariance = covariance_of(found.slopes)
        params = found.slopes[known].mean(axis=0)
        premia = params[int(has_intercept) :]
        inflation = 0.0
        if factors is not None and self.shanken and count > 1:
            centred = factors[known] - factors[known].mean(axis=0)
            spread = centred.T @ centred / (count - bool(self.use_correction))
            inflation = float(premia @ np.linalg.solve(spread, premia))
            residual = found.slopes.copy()
            residual[:, int(has_intercept) :] -= factors
            covariance = np.add(covariance, inflation * covariance_of(residual))
        places = np.r_[np.arange(int(has_intercept)), kept + has_intercept].astype(np.intp)
        n_all = n_columns + has_intercept
        self.covariance_ = np.full((n_all, n_all), np.nan)
        self.covariance_[np.ix_(places, places)] = covariance
        everything = np.zeros(n_all)
        everything[places] = params
        self.slopes_ = np.zeros((n_dates, n_all))
        self.slopes_[:, places] = found.slopes
        self.slopes_[~known] = np.nan
        self.coef_ = everything[int(has_intercept) :]
        self.intercept_ = float(params[0]) if has_intercept else 0.0
        self.bse_ = np.sqrt(np.diag(self.covariance_))
        with np.errstate(divide="ignore", invalid="ignore"):
            self.tvalues_ = everything / self.bse_
        df = np.array(float(count - 1)) if self.use_t and count > 1 else None
        self.pvalues_ = two_sided_p(self.tvalues_, df)
        self.rsquared_by_date_ = found.rsquared
        judged = found.rsquared[~np.isnan(found.rsquared)]
        self.rsquared_ = float(judged.mean()) if len(judged) else float("nan")
        self.nobs_ = found.nobs
        self.dates_ = dates
        self.maxlags_ = lags
        self.shanken_ = inflation
        self.betas_ = None
        self._has_intercept = has_intercept

    def _regress(
        self, table: FloatArray, target: FloatArray, codes: IntArray, n_dates: int
    ) -> tuple[CrossSections, int]:
        """Return the regressions of all dates, and the fewest rows they were fitted from."""
        has_intercept = bool(self.fit_intercept)
        n_params = table.shape[1] + has_intercept
        min_obs = self.min_obs
        if min_obs is None:
            min_obs = n_params + 1 if np.bincount(codes).max() > n_params else n_params
        elif min_obs < n_params:
            raise ValueError(
                f"`min_obs` must be at least the number of coefficients, {n_params}; got {min_obs}."
            )
        found = regress_by_date(
            table, target, codes, n_dates, fit_intercept=has_intercept, min_obs=min_obs
        )
        return found, min_obs

    def predict(self, X: ArrayLike) -> Any:
        """Return the expected returns that the premia imply.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics or betas.

        Returns
        -------
        ndarray or Series of shape (n_rows,)
            The mean intercept plus mean slopes times columns; a Series if ``X`` is a DataFrame
            with a two-level index.
        """
        check_is_fitted(self)
        table = validate_data(self, X, reset=False, dtype=np.float64)
        expected = table @ self.coef_ + self.intercept_
        return pd.Series(expected, X.index) if has_panel_index(X) else expected

    def summary(self) -> pd.DataFrame:
        """Return one row for each coefficient.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``term`` (``intercept`` first), with the columns ``coef``,
            ``std_error``, ``t_value`` and ``p_value``.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{i}" for i in range(self.n_features_in_)]
        with_intercept = self._has_intercept
        params = np.r_[self.intercept_, self.coef_] if with_intercept else self.coef_
        terms = [*(["intercept"] if with_intercept else []), *names]
        return pd.DataFrame(
            {
                "coef": params,
                "std_error": self.bse_,
                "t_value": self.tvalues_,
                "p_value": self.pvalues_,
            },
            index=pd.Index(terms, name="term"),
        )
