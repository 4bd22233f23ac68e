"""Alphas and betas through time: regressions over a moving or a growing window."""

from collections.abc import Sequence
from functools import cached_property
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd

from skfactor._kernels._expanding import expand
from skfactor._kernels._rolling import roll
from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import Interval, check_is_fitted, fit_method
from skfactor.linear_model._base import FactorRegressor
from skfactor.linear_model._inputs import Sample, spread_columns


class RollingFamaFrenchRegressor(FactorRegressor):
    r"""Alphas and betas of many assets as of each date, from the dates before it.

    For every date and every column of ``y``, one ordinary least-squares regression on the last
    ``window`` dates, or on all dates so far. No estimate carries anything over from returns
    that have left its window, so that an absurd price in the past does no harm to it.

    Parameters
    ----------
    factors : str, int, list of these, or None, default=None
        Which columns of ``X`` are factors: names of models such as ``"ff3"``, names of
        columns, positions, as in :class:`FamaFrenchRegressor`. ``None`` takes every column but
        the risk-free return.
    window : int, default=60
        The number of dates in a window. With ``expanding=True``, the number of returns from
        which there are estimates unless ``min_obs`` says otherwise.
    expanding : bool, default=False
        Whether the window starts at the first date throughout and grows.
    min_obs : int or None, default=None
        The fewest returns that an asset must have in a window; with fewer its estimates are
        ``NaN``. ``None`` means ``window``: no return may be missing from a window. Windows that
        begin before the first date count with the dates that there are.
    lag : int, default=0
        How many dates estimates are moved forward. With 0 the row of a date holds what its own
        return contributed to; with 1 the window ends one date earlier, so that the row is known
        before the return of its date is.
    standard_errors : bool, default=True
        Whether to compute standard errors, t statistics and R² too; without them the fit takes
        less than half the time.
    fit_intercept : bool, default=True
        Whether to fit an alpha.
    risk_free : str, int, series or None, default=None
        The risk-free return to subtract from every return, as in
        :class:`FamaFrenchRegressor`.

    Attributes
    ----------
    params_ : DataFrame of shape (n_dates, n_assets * (1 + n_factors))
        Alphas and betas as of each date. The columns have the levels ``asset`` and ``factor``,
        where ``alpha`` is the intercept: ``params_["IBM"]`` are the coefficients of one asset,
        ``params_.xs("SMB", axis=1, level="factor")`` the betas of all assets on one factor.
    bse_ : DataFrame of shape (n_dates, n_assets * (1 + n_factors))
        Standard errors, not robust; only with ``standard_errors=True``, as the next two.
    tvalues_ : DataFrame of shape (n_dates, n_assets * (1 + n_factors))
        Coefficients divided by their standard errors, computed when first asked for.
    rsquared_ : DataFrame of shape (n_dates, n_assets)
        The share of the variance that the factors explain in each window; of the sum of squares
        with ``fit_intercept=False``.
    nobs_ : DataFrame of shape (n_dates, n_assets)
        The number of returns in each window.
    coef_ : ndarray of shape (n_assets, n_factors)
        Betas from the last window, which :meth:`predict` uses.
    intercept_ : ndarray of shape (n_assets,)
        Alphas from the last window; zeros without intercept.
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
    FamaFrenchRegressor : One window, with robust covariances and tests.

    Notes
    -----
    For asset :math:`i` and date :math:`t`, over the dates :math:`s = t - w + 1, \dots, t` on
    which the asset has a return,

    .. math::

        r_{i,s} - r_{f,s} = \alpha_{i,t} + \beta_{i,t}' f_s + \varepsilon_{i,s}.

    A window counts dates of ``X``, not returns of the asset: what lies further back than
    ``window`` dates is never used, however few returns there are. Dates are aligned as in
    :class:`FamaFrenchRegressor`. Where factors are not independent over the returns of a window,
    and where returns do not vary, estimates or their errors are ``NaN``.

    Results agree with ``RollingOLS`` of statsmodels where that is accurate. The models that
    ``factors`` names are those of [1]_, [2]_ and, with momentum, [3]_.

    References
    ----------
    .. [1] E. F. Fama and K. R. French, "Common risk factors in the returns on stocks and
       bonds", Journal of Financial Economics 33, 3–56, 1993.
    .. [2] E. F. Fama and K. R. French, "A five-factor asset pricing model", Journal of
       Financial Economics 116, 1–22, 2015.
    .. [3] M. M. Carhart, "On persistence in mutual fund performance", Journal of Finance 52,
       57–82, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.linear_model import RollingFamaFrenchRegressor
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2000-01", periods=120, freq="M")
    >>> market = pd.DataFrame({"Mkt-RF": rng.normal(0.005, 0.04, 120)}, dates)
    >>> rising = np.linspace(0.5, 1.5, 120)
    >>> returns = pd.DataFrame({"A": rising * market["Mkt-RF"]}, dates)
    >>> model = RollingFamaFrenchRegressor("capm", window=24).fit(market, returns)
    >>> model.params_["A"].loc[["2001-06", "2004-12", "2009-12"]].round(1)
    factor   alpha  Mkt-RF
    2001-06    NaN     NaN
    2004-12   -0.0     0.9
    2009-12    0.0     1.4
    """

    params_: pd.DataFrame
    bse_: pd.DataFrame
    rsquared_: pd.DataFrame
    nobs_: pd.DataFrame

    _parameter_constraints = {
        "factors": [None, str, Interval(Integral, None, None, closed="neither"), list, tuple],
        "window": [Interval(Integral, 2, None, closed="left")],
        "expanding": ["boolean"],
        "min_obs": [None, Interval(Integral, 1, None, closed="left")],
        "lag": [Interval(Integral, 0, None, closed="left")],
        "standard_errors": ["boolean"],
        "fit_intercept": ["boolean"],
        "risk_free": [
            None,
            str,
            Interval(Integral, None, None, closed="neither"),
            "array-like",
        ],
    }

    def __init__(
        self,
        factors: str | int | Sequence[str | int] | None = None,
        *,
        window: int = 60,
        expanding: bool = False,
        min_obs: int | None = None,
        lag: int = 0,
        standard_errors: bool = True,
        fit_intercept: bool = True,
        risk_free: str | int | ArrayLike | None = None,
    ) -> None:
        self.factors = factors
        self.window = window
        self.expanding = expanding
        self.min_obs = min_obs
        self.lag = lag
        self.standard_errors = standard_errors
        self.fit_intercept = fit_intercept
        self.risk_free = risk_free

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit every asset as of every date.

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
        RollingFamaFrenchRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            For a window that is too short for the factors, for factors that are missing by name
            or value, for indexes that cannot be aligned, and for no returns at all.
        """
        sample = self._learn_sample(X, y)
        has_alpha = bool(self.fit_intercept)
        min_obs = self._least_observations(len(sample.kept) + has_alpha)
        factors = sample.factors[:, sample.kept]
        if self.expanding:
            paths = expand(
                sample.returns,
                factors,
                fit_intercept=has_alpha,
                min_obs=min_obs,
                errors=bool(self.standard_errors),
            )
        else:
            paths = roll(
                sample.returns,
                factors,
                window=self.window,
                fit_intercept=has_alpha,
                min_obs=min_obs,
                errors=bool(self.standard_errors),
            )
        if not paths.nobs.any():
            raise ValueError("y must hold at least one return that is not NaN; got none.")
        latest = spread_columns(paths.params[-1], sample, has_alpha, 0.0)
        self.coef_ = latest[int(has_alpha) :].T.copy()
        self.intercept_ = latest[0].copy() if has_alpha else np.zeros(latest.shape[1])
        self.__dict__.pop("tvalues_", None)
        dates = sample.dates if sample.dates is not None else pd.RangeIndex(len(factors))
        assets = pd.Index(self.asset_names_, tupleize_cols=False, name="asset")
        terms = [*(["alpha"] if has_alpha else []), *map(str, self.factor_names_)]
        columns = _by_asset_and_factor(assets, terms)

        self.params_ = self._frame(paths.params, sample, 0.0, dates, columns)
        self.nobs_ = pd.DataFrame(_moved(paths.nobs, self.lag), dates, assets, copy=False)
        if paths.bse is not None and paths.rsquared is not None:
            self.bse_ = self._frame(paths.bse, sample, np.nan, dates, columns)
            self.rsquared_ = pd.DataFrame(
                _moved(paths.rsquared, self.lag), dates, assets, copy=False
            )
        else:
            for name in ("bse_", "rsquared_"):
                self.__dict__.pop(name, None)
        return self

    @cached_property
    def tvalues_(self) -> pd.DataFrame:
        """Coefficients divided by their standard errors."""
        check_is_fitted(self)
        if not hasattr(self, "bse_"):
            raise AttributeError("t statistics need standard errors: `standard_errors=True`.")
        with np.errstate(divide="ignore", invalid="ignore"):
            values = self.params_.to_numpy() / self.bse_.to_numpy()
        return pd.DataFrame(values, self.params_.index, self.params_.columns, copy=False)

    def _least_observations(self, n_params: int) -> int:
        """Return the fewest returns of a window, checked against the number of coefficients."""
        if self.window <= n_params:
            raise ValueError(
                f"`window` must be more than the number of coefficients, {n_params}; got "
                f"{self.window}."
            )
        if self.min_obs is None:
            return int(self.window)
        if self.min_obs <= n_params:
            raise ValueError(
                f"`min_obs` must be more than the number of coefficients, {n_params}; got "
                f"{self.min_obs}."
            )
        if self.min_obs > self.window and not self.expanding:
            raise ValueError(
                f"`min_obs` must be at most the window, {self.window} dates; got {self.min_obs}."
            )
        return int(self.min_obs)

    def _frame(
        self,
        values: FloatArray,
        sample: Sample,
        left_out: float,
        dates: pd.Index,
        columns: pd.MultiIndex,
    ) -> pd.DataFrame:
        """Return values of shape (n_dates, n_params, n_assets) as a frame, without a copy."""
        if len(sample.kept) < sample.factors.shape[1]:
            full = spread_columns(
                values.transpose(1, 0, 2), sample, bool(self.fit_intercept), left_out
            )
            values = np.ascontiguousarray(full.transpose(1, 0, 2))
        table = _moved(values.reshape(len(values), -1), self.lag)
        return pd.DataFrame(table, dates, columns, copy=False)


def _by_asset_and_factor(assets: pd.Index, terms: Sequence[str]) -> pd.MultiIndex:
    """Return columns in the order in which the estimates lie in memory: factor by factor."""
    by_factor: Any = pd.MultiIndex.from_product([pd.Index(terms), assets])
    return by_factor.swaplevel().set_names(["asset", "factor"])


def _moved(values: np.ndarray, shift: int) -> np.ndarray:
    """Return rows moved forward, in place; what comes first is missing, or no returns."""
    if shift:
        kept = max(len(values) - shift, 0)
        values[len(values) - kept :] = values[:kept].copy()
        values[: len(values) - kept] = np.nan if values.dtype.kind == "f" else 0
    return values
