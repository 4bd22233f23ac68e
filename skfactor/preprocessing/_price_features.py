"""What a price history says of an asset: mean return and risk over several horizons."""

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import Interval, check_is_fitted, fit_method, listed, validate_table
from skfactor.preprocessing._frames import check_days_are_columns
from skfactor.preprocessing._statistics import nan_mean_std

NAMED_HORIZONS = {"daily": 1, "weekly": 5, "monthly": 21, "three_month": 63, "six_month": 126}


class PriceFeatures(TransformerMixin, BaseEstimator):
    r"""Mean return and standard deviation over daily to six-month horizons.

    Each row of ``X`` is an asset and each column a trading day, in order and without gaps in
    the calendar: transpose a frame of dates by tickers. Nothing but the given columns is
    used, so the last column is the day on which the features are known.

    Parameters
    ----------
    horizons : sequence of str or int, mapping of str to int, or None, default=None
        The lengths of the windows in trading days. The names known are ``"daily"`` (1),
        ``"weekly"`` (5), ``"monthly"`` (21), ``"three_month"`` (63) and ``"six_month"``
        (126); ``None`` means these five. A number is named after itself, ``"10day"``; a
        mapping, such as ``{"yearly": 252}``, gives names of its own.
    log_returns : bool, default=False
        Use log returns, ``log(1 + r)``, in place of simple returns ``r``.
    min_obs : int, default=2
        The fewest returns of a horizon from which its features are computed; with fewer
        they are ``NaN``. A standard deviation takes two at least.
    max_gap : int, default=4
        The most days by which the price at the end of a window may be out of date.

    Attributes
    ----------
    horizons_ : dict of str to int
        The days of each horizon, by name.
    n_features_in_ : int
        The number of days seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, where ``X`` had names that are all strings.

    See Also
    --------
    merge_tables : Join the features to fundamentals by ticker.
    LogStandardizer : Bring the columns to one scale.

    Notes
    -----
    The windows of a horizon of :math:`h` days do not overlap and are counted back from the
    last day :math:`T`, so that their ends are :math:`T, T - h, T - 2h, \ldots`, and

    .. math::

        r_k = \frac{p_{T - kh}}{p_{T - (k+1)h}} - 1,
        \qquad k = 0, 1, \ldots, \left\lfloor \frac{T - 1}{h} \right\rfloor - 1.

    The features are the mean of the :math:`r_k` and their sample standard deviation (with
    the number of returns less one). Returns are decimals for one horizon: neither per cent
    nor annualised.

    A price that is missing or not positive counts as missing. Where it is missing at the
    end of a window, the last price seen before stands in if it is at most ``max_gap`` days
    old and lies in that window; else the returns on both sides of that end are left out. So
    a daily return never spans a gap, no price ends two windows, and a delisted stock has no
    returns of 0 after its last day.

    Names of columns that are dates must rise: datetimes, periods, and text or whole numbers such
    as ``"2020-01-31"``, ``"31/01/2020"``, ``20200131`` and ``202001``, if all read so. Other names
    say nothing of the order.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.preprocessing import PriceFeatures
    >>> days = pd.bdate_range("2024-01-01", periods=11)
    >>> prices = pd.DataFrame({"UP": 100 * 1.01 ** np.arange(11), "FLAT": 50.0}, index=days)
    >>> features = PriceFeatures(horizons=["daily", "weekly"]).set_output(transform="pandas")
    >>> features.fit_transform(prices.T).round(3).abs()
          daily_mean  daily_std  weekly_mean  weekly_std
    UP          0.01        0.0        0.051         0.0
    FLAT        0.00        0.0        0.000         0.0
    """

    horizons_: dict[str, int]

    _parameter_constraints = {
        "horizons": [list, tuple, Mapping, None],
        "log_returns": ["boolean"],
        "min_obs": [Interval(Integral, 1, None, closed="left")],
        "max_gap": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        horizons: Iterable[str | int] | Mapping[str, int] | None = None,
        log_returns: bool = False,
        min_obs: int = 2,
        max_gap: int = 4,
    ) -> None:
        self.horizons = horizons
        self.log_returns = log_returns
        self.min_obs = min_obs
        self.max_gap = max_gap

    @fit_method
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Check the horizons and the number of days; nothing is learnt from the prices.

        Parameters
        ----------
        X : array-like of shape (n_assets, n_days)
            Prices, a row for each asset; ``NaN`` is a missing price.
        y : None
            Ignored.

        Returns
        -------
        PriceFeatures
            The fitted estimator.

        Raises
        ------
        ValueError
            For unknown horizons, for columns that hold text or infinities, for a frame whose
            rows are dates, and for columns that are dates and do not rise.
        """
        self.horizons_ = named_horizons(self.horizons)
        check_days_are_columns(X)
        validate_table(self, X, reset=True, allow_nan=True)
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the features of each asset.

        Parameters
        ----------
        X : array-like of shape (n_assets, n_days)
            Prices, a row for each asset; ``NaN`` is a missing price.

        Returns
        -------
        ndarray of shape (n_assets, 2 * n_horizons)
            Mean and standard deviation, horizon by horizon, ``NaN`` where there are fewer
            than ``min_obs`` returns.
        """
        check_is_fitted(self)
        check_days_are_columns(X)
        prices = validate_table(self, X, reset=False, allow_nan=True)
        prices = np.where(prices > 0, prices, prices.dtype.type(np.nan))
        features = np.empty((len(prices), 2 * len(self.horizons_)), dtype=prices.dtype)
        for i, days in enumerate(self.horizons_.values()):
            returns = window_returns(prices, days, min(self.max_gap, days - 1))
            if self.log_returns:
                returns = np.log1p(returns)
            mean, std = nan_mean_std(returns.T, ddof=1)
            few = (~np.isnan(returns)).sum(axis=1) < self.min_obs
            mean[few] = std[few] = np.nan
            features[:, 2 * i], features[:, 2 * i + 1] = mean, std
        return features

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return ``"daily_mean"``, ``"daily_std"``, ``"weekly_mean"``, and so on.

        Parameters
        ----------
        input_features : None
            Ignored: the names come from the horizons.

        Returns
        -------
        ndarray of str
            The names of the columns that ``transform`` returns.
        """
        check_is_fitted(self)
        names = [f"{name}_{kind}" for name in self.horizons_ for kind in ("mean", "std")]
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def named_horizons(horizons: Any) -> dict[str, int]:
    """Return the days of each horizon by name, in the order given."""
    if horizons is None:
        return dict(NAMED_HORIZONS)
    pairs = horizons.items() if isinstance(horizons, Mapping) else map(_named, horizons)
    named: dict[str, int] = {}
    for name, days in pairs:
        if not isinstance(days, (int, np.integer)) or days is True or days < 1:
            raise ValueError(
                f"Each of `horizons` must be a whole number of days, at least 1; got {days!r} "
                f"for {name!r}."
            )
        if name in named:
            raise ValueError(f"`horizons` must differ from one another; got {name!r} twice.")
        named[str(name)] = int(days)
    if not named:
        raise ValueError("`horizons` must name at least one horizon; got none.")
    return named


def _named(horizon: Any) -> tuple[str, Any]:
    if isinstance(horizon, str):
        if horizon not in NAMED_HORIZONS:
            raise ValueError(
                f"Each of `horizons` must be one of {listed(NAMED_HORIZONS)} or a "
                f"number of days; got {horizon!r}. Give other names by a mapping, such as "
                "{'yearly': 252}."
            )
        return horizon, NAMED_HORIZONS[horizon]
    known = {days: name for name, days in NAMED_HORIZONS.items()}
    return known.get(horizon, f"{horizon}day"), horizon


def window_returns(prices: FloatArray, days: int, max_gap: int) -> FloatArray:
    """Return simple returns over windows of ``days`` counted back from the last column.

    Parameters
    ----------
    prices : ndarray of shape (n_assets, n_days)
        Positive prices, ``NaN`` where missing.
    days : int
        The length of a window.
    max_gap : int
        By how many days a price may stand in for a later one that is missing.

    Returns
    -------
    ndarray of shape (n_assets, (n_days - 1) // days)
        Oldest window first; ``NaN`` where a price at either end is not known.
    """
    ends = np.arange((prices.shape[1] - 1) % days, prices.shape[1], days)
    at_end = prices[:, ends]
    for back in range(1, max_gap + 1):
        missing = np.isnan(at_end)
        if not missing.any():
            break
        # A day before the first column is not known, and must not wrap round to the last.
        earlier = np.where(ends >= back, prices[:, np.maximum(ends - back, 0)], np.nan)
        np.copyto(at_end, earlier, where=missing, casting="same_kind")
    returns: FloatArray = at_end[:, 1:] / at_end[:, :-1]
    returns -= 1
    return returns
