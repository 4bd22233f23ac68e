"""Portfolios of factors on the frontier, from moments known when they are formed."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skfactor._kernels._pseudo_inverses import pseudo_inverses
from skfactor._libraries import is_polars
from skfactor._typing import ArrayLike, FloatArray
from skfactor.panel._calendar import dates_of
from skfactor.panel._index import show_date
from skfactor.panel._values import frame_values
from skfactor.portfolios._periods import check_window

# A standard deviation below this share of the mean is rounding.
_FLAT = 64 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False, repr=False)
class EfficientPortfolio:
    """Weights on factors, date by date, and what they earned.

    Parameters
    ----------
    returns : pandas.Series of shape (n_dates,)
        Returns a period, ``NaN`` where there are no weights yet or a factor is missing.
    weights : pandas.DataFrame of shape (n_dates, n_factors)
        Weights at the start of each date, from what was known before it.

    Attributes
    ----------
    turnover : pandas.Series of shape (n_dates,)
        One-way turnover: half the sum of absolute changes of the weights on factors, ``NaN``
        on the first date with weights. Trading the assets inside a factor is not in it.

    See Also
    --------
    tangency_portfolio : Makes one.
    minimum_variance_portfolio : Makes one.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.portfolios import tangency_portfolio
    >>> factors = np.random.default_rng(0).normal(0.01, 0.04, (120, 3))
    >>> tangency_portfolio(factors, min_obs=24)
    EfficientPortfolio: 3 factors, 96 of 120 dates; ...
    """

    returns: pd.Series
    weights: pd.DataFrame = field(repr=False)

    def __repr__(self) -> str:
        n_dates, n_factors = self.weights.shape
        used = int(self.weights.notna().all(axis=1).sum())
        head = f"{type(self).__name__}: {n_factors} factors, {used} of {n_dates} dates"
        known = self.weights.dropna(how="any")
        if known.empty:
            return head
        latest = ", ".join(f"{name} {weight:.2f}" for name, weight in known.iloc[-1].items())
        return (
            f"{head}; mean {self.returns.mean():.4f}, sd {self.returns.std():.4f} a period\n"
            f"Latest weights: {latest}"
        )

    @cached_property
    def turnover(self) -> pd.Series:
        """Half the sum of absolute changes of the weights on factors."""
        changes = self.weights.diff().abs().sum(axis=1, skipna=False)
        return (0.5 * changes).rename("turnover")

    def net_returns(self, cost: float) -> pd.Series:
        """Return what is left after trading factors.

        Parameters
        ----------
        cost : float
            Cost of buying or selling for one, as a decimal: 0.001 is ten basis points. A weight
            that changes by one costs it once.

        Returns
        -------
        pandas.Series of shape (n_dates,)
            Returns less twice ``cost`` times turnover, for what is bought and what is sold; the
            first purchase is paid for too.
        """
        traded = 2.0 * self.turnover
        first = self.weights.notna().all(axis=1) & traded.isna()
        bought = self.weights.abs().sum(axis=1)
        net: pd.Series = self.returns - cost * traded.where(~first, bought)
        net.name = self.returns.name
        return net


def tangency_portfolio(
    factor_returns: ArrayLike,
    *,
    window: int | None = None,
    min_obs: int | None = None,
    target_volatility: float | None = 0.01,
    ridge: float = 0.0,
) -> EfficientPortfolio:
    r"""Hold the factors in the proportions that had the highest Sharpe ratio so far.

    Parameters
    ----------
    factor_returns : array-like of shape (n_dates, n_factors)
        Excess returns of traded factors in order of time; a frame with dates is sorted. A date
        with a missing factor is left out of the moments.
    window : int or None, default=None
        Dates that moments are taken from; None takes all so far.
    min_obs : int or None, default=None
        Dates that must be known before the first weights; None takes 12 or twice the number
        of factors, whichever is more, within ``window``.
    target_volatility : float or None, default=0.01
        Standard deviation a period, by the covariance known, that weights are scaled to; the
        1 % a month of [1]_. The Sharpe ratio hardly depends on it. None scales the absolute
        weights to sum to 1.
    ridge : float, default=0.0
        Added to the diagonal of the covariance, relative to its mean diagonal.

    Returns
    -------
    EfficientPortfolio
        Weights and returns by date.

    Raises
    ------
    ValueError
        For a parameter out of range, dates that appear twice, infinities, and fewer dates
        than ``min_obs``.

    See Also
    --------
    minimum_variance_portfolio : The same without the means.
    skfactor.metrics.sharpe_ratio : Of the returns, with an interval.

    Notes
    -----
    Weights held over :math:`t` are proportional to :math:`\hat\Sigma_{t-1}^{-1} \hat\mu_{t-1}`,
    with the mean and covariance of the factor returns up to :math:`t - 1`. Directions in which
    the factors have not varied get no weight.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 429–450, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.portfolios import tangency_portfolio
    >>> factors = np.random.default_rng(0).normal([0.02, 0.0], 0.04, (240, 2))
    >>> portfolio = tangency_portfolio(factors, min_obs=60)
    >>> bool(0.008 < portfolio.returns.std() < 0.012)
    True
    >>> bool((portfolio.weights[0] > portfolio.weights[1].abs()).loc[120:].all())
    True
    """
    return _hold(factor_returns, True, window, min_obs, target_volatility, ridge)


def minimum_variance_portfolio(
    factor_returns: ArrayLike,
    *,
    window: int | None = None,
    min_obs: int | None = None,
    target_volatility: float | None = None,
    ridge: float = 0.0,
) -> EfficientPortfolio:
    r"""Hold the factors in the proportions that had the lowest variance so far.

    Parameters
    ----------
    factor_returns : array-like of shape (n_dates, n_factors)
        Excess returns of traded factors in order of time; a frame with dates is sorted. A date
        with a missing factor is left out of the moments.
    window : int or None, default=None
        Dates that moments are taken from; None takes all so far.
    min_obs : int or None, default=None
        Dates that must be known before the first weights; None takes 12 or twice the number
        of factors, whichever is more, within ``window``.
    target_volatility : float or None, default=None
        Standard deviation a period, by the covariance known, that weights are scaled to. None
        scales them to sum to 1.
    ridge : float, default=0.0
        Added to the diagonal of the covariance, relative to its mean diagonal.

    Returns
    -------
    EfficientPortfolio
        Weights and returns by date.

    Raises
    ------
    ValueError
        For a parameter out of range, dates that appear twice, infinities, and fewer dates
        than ``min_obs``.

    See Also
    --------
    tangency_portfolio : The same with the means.

    Notes
    -----
    Weights held over :math:`t` are proportional to :math:`\hat\Sigma_{t-1}^{-1} 1`. The sign of
    a latent factor is a convention, and these weights depend on it: use them for factors that
    have a sign of their own. Of all portfolios whose weights sum to 1 this one has the lowest
    variance [1]_.

    References
    ----------
    .. [1] H. Markowitz, "Portfolio selection", Journal of Finance 7, 77–91, 1952.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.portfolios import minimum_variance_portfolio
    >>> factors = np.random.default_rng(0).normal(0.0, [0.04, 0.02], (240, 2))
    >>> portfolio = minimum_variance_portfolio(factors)
    >>> portfolio.weights.iloc[-1].round(1).to_list()
    [0.2, 0.8]
    """
    return _hold(factor_returns, False, window, min_obs, target_volatility, ridge)


def _hold(
    factor_returns: Any,
    tangency: bool,
    window: int | None,
    min_obs: int | None,
    target_volatility: float | None,
    ridge: float,
) -> EfficientPortfolio:
    frame = _factor_frame(factor_returns)
    values = frame.to_numpy()
    n_factors = values.shape[1]
    check_window(window, min_obs)
    if target_volatility is not None and not target_volatility > 0:
        raise ValueError(
            f"`target_volatility` must be None or positive; got {target_volatility!r}."
        )
    if not ridge >= 0:
        raise ValueError(f"`ridge` must be at least 0; got {ridge!r}.")
    least = min_obs
    if least is None:
        least = max(12, 2 * n_factors)
        least = least if window is None else min(least, window)
    known = int((~np.isnan(values).any(axis=1)).sum())
    if known < least:
        raise ValueError(
            f"`factor_returns` must have at least {least} complete dates (`min_obs`); got {known}."
        )
    weights = frontier_weights(values, tangency, window, least, target_volatility, ridge)
    held = pd.DataFrame(weights, frame.index, frame.columns)
    name = "tangency" if tangency else "minimum_variance"
    earned = np.einsum("tk,tk->t", weights, values)
    return EfficientPortfolio(pd.Series(earned, frame.index, name=name), held)


def frontier_weights(
    values: FloatArray,
    tangency: bool,
    window: int | None,
    min_obs: int,
    target_volatility: float | None,
    ridge: float,
) -> FloatArray:
    """Return the weights at the start of each date.

    Parameters
    ----------
    values : ndarray of shape (n_dates, n_factors)
        Factor returns; a row with ``NaN`` is left out of the moments.
    tangency : bool
        Whether means matter.
    window, min_obs, target_volatility, ridge
        As :func:`tangency_portfolio` takes them; ``window`` counts dates, complete or not.

    Returns
    -------
    ndarray of shape (n_dates, n_factors)
        ``NaN`` on dates before which fewer than ``min_obs`` were known.
    """
    n_dates, n_factors = values.shape
    weights = np.full((n_dates, n_factors), np.nan)
    if not n_factors:
        return weights
    complete = np.asarray(~np.isnan(values).any(axis=1))
    for date in range(min_obs, n_dates):
        # A pass over the past for each date: a recursion would save little for so few factors
        # and lose digits.
        past = slice(0 if window is None else max(date - window, 0), date)
        sample = values[past][complete[past]]
        if len(sample) < min_obs:
            continue
        mean = sample.mean(axis=0)
        centred = sample - mean
        centred[:, centred.std(axis=0) <= _FLAT * np.abs(mean)] = 0.0
        covariance = centred.T @ centred / (len(sample) - 1)
        raised = covariance + ridge * np.trace(covariance) / n_factors * np.eye(n_factors)
        target = mean if tangency else np.ones(n_factors)
        found = pseudo_inverses(raised[None])[0] @ target
        if target_volatility is not None:
            scale = np.sqrt(found @ covariance @ found) / target_volatility
        else:
            scale = np.abs(found).sum() if tangency else found.sum()
        if scale > 0:
            weights[date] = found / scale
    return weights


def _factor_frame(factor_returns: Any) -> pd.DataFrame:
    """Return factor returns as a frame of floats, sorted by date."""
    if is_polars(factor_returns):
        raise TypeError(
            "`factor_returns` must be a pandas frame or an array; got a polars frame. Convert it "
            "by .to_pandas().set_index('date')."
        )
    if isinstance(factor_returns, pd.Series):
        factor_returns = factor_returns.to_frame()
    if isinstance(factor_returns, pd.DataFrame):
        dates = dates_of(factor_returns)
        if dates is not None and dates.has_duplicates:
            again = dates[dates.duplicated()][0]
            raise ValueError(
                f"Each date of `factor_returns` must appear once; got {show_date(again)} more than "
                "once. Drop what repeats."
            )
        frame = factor_returns if dates is None else factor_returns.iloc[np.argsort(dates)]
        values = frame_values(frame, "`factor_returns`")
        frame = pd.DataFrame(values, frame.index, frame.columns)
    else:
        values = np.asarray(factor_returns, dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2:
            raise ValueError(
                "`factor_returns` must have dates in rows and factors in columns; got shape "
                f"{values.shape}."
            )
        frame = pd.DataFrame(values)
    if not frame.size:
        raise ValueError(f"`factor_returns` must not be empty; got shape {frame.shape}.")
    if np.isinf(frame.to_numpy()).any():
        raise ValueError("`factor_returns` must be finite or NaN; got infinity.")
    return frame
