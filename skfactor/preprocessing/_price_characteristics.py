"""Characteristics of stocks from daily prices and volumes, known before each month begins."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_count
from skfactor.panel._calendar import align_to_dates
from skfactor.preprocessing._monthly_returns import positive, returns_of
from skfactor.preprocessing._months import Months, daily_table, long_rows

_MILLION = 1e6


def price_characteristics(
    prices: ArrayLike,
    volumes: ArrayLike = None,
    *,
    market: ArrayLike = None,
    shares: ArrayLike = None,
    max_gap: int = 4,
    min_obs: int = 10,
) -> pd.DataFrame:
    r"""Compute monthly characteristics from daily prices and volumes, as a long panel.

    The row of a stock on date t holds what was known at the end of month t−1, so that it can
    stand beside the return of month t.

    Parameters
    ----------
    prices : DataFrame of shape (n_days, n_assets)
        Prices adjusted for splits and dividends, with days in the index (polars: in the first
        column) and an asset a column. ``NaN`` where missing; prices that are not positive are
        missing.
    volumes : DataFrame of shape (n_days, n_assets), default=None
        Shares traded, adjusted for splits, in the same form. None leaves out what needs them.
    market : Series or DataFrame of shape (n_days, 1), default=None
        Daily return of the market as decimals, with days in the index. None takes the mean
        return of all assets of the day.
    shares : DataFrame of shape (n_days, n_assets), default=None
        Shares outstanding, adjusted for splits, known on the day. None leaves out what needs
        them.
    max_gap : int, default=4
        The most days of the table by which the last price of a month may be older than the
        last day. A stock whose last price is older has no row in the month after.
    min_obs : int, default=10
        The fewest daily returns in a month; twelve times as many in a year. With fewer, what is
        computed from them is missing.

    Returns
    -------
    DataFrame of shape (n_rows, n_characteristics)
        With a (date, asset) index, dated at calendar month ends, sorted. The last date is the
        month after the last day of ``prices``, whose return is not known yet. ``NaN`` where
        history is too short.

    Raises
    ------
    TypeError
        If a table is not a DataFrame.
    ValueError
        For parameters out of range, an index without days, days or assets that appear twice,
        text, infinities, negative volumes, and a market that lacks a day.

    See Also
    --------
    monthly_returns : The returns that stand beside.
    skfactor.portfolios.fundamental_characteristics : The same from accounts.
    CrossSectionalScaler : Brings them to one scale by date.

    Notes
    -----
    With month-end prices :math:`p`, and :math:`m = t - 1` the last month known:

    ============================  ==========================================================
    ``reversal_1m``               :math:`p_m / p_{m-1} - 1`, short-term reversal
    ``momentum_6m``               :math:`p_{m-1} / p_{m-6} - 1`
    ``momentum_12m``              :math:`p_{m-1} / p_{m-12} - 1`
    ``momentum_change``           ``momentum_6m`` less its value six months before
    ``reversal_36m``              :math:`p_{m-12} / p_{m-36} - 1`, long-term reversal
    ``seasonality``               return of the month of the year that t is, a year before
    ``high_12m``                  :math:`p_m` over the highest daily price of 12 months
    ``volatility``                standard deviation of the daily returns of the month
    ``max_return``                highest daily return of the month
    ``skewness``                  skewness of the daily returns of three months
    ``beta``                      slope on the market, daily returns of 12 months
    ``beta_squared``              its square
    ``idiosyncratic_volatility``  standard deviation of what that regression leaves
    ``dollar_volume``             log of the mean daily value traded in the month
    ``dollar_volume_volatility``  standard deviation of the log of one plus that value
    ``illiquidity``               mean of absolute return over value traded in millions
                                  in the month
    ``zero_trading``              share of days of the month without trade
    ``turnover``                  mean of shares traded over shares outstanding, in the month
    ``size``                      log of price times shares outstanding at the end of the month
    ============================  ==========================================================

    Most are among those of [1]_, over the windows stated here; ``illiquidity`` is that of [2]_.
    Daily returns span one day of the table and no gap. Adjusted prices times unadjusted
    shares would not be the size of a company: adjust both, or neither.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Empirical asset pricing via machine learning", Review of
       Financial Studies 33, 2223–2273, 2020.
    .. [2] Y. Amihud, "Illiquidity and stock returns: cross-section and time-series effects",
       Journal of Financial Markets 5, 31–56, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.preprocessing import price_characteristics
    >>> days = pd.bdate_range("2022-01-01", "2023-12-31")
    >>> steps = np.random.default_rng(0).normal(0.0005, 0.01, (len(days), 3))
    >>> prices = pd.DataFrame(np.exp(steps.cumsum(axis=0)), days, ["A", "B", "C"])
    >>> X = price_characteristics(prices)
    >>> X.loc["2024-01-31", "momentum_12m"].round(2)
    asset
    A   -0.22
    B    0.55
    C    0.11
    Name: momentum_12m, dtype: float64
    """
    check_count(max_gap, "max_gap", 0)
    check_count(min_obs, "min_obs", 2)
    table = daily_table(prices, "`prices`")
    price = positive(table.to_numpy())
    months = Months.of_days(pd.DatetimeIndex(table.index))
    closing = months.last(price, max_gap)
    daily = returns_of(price)
    values = _from_months(closing)
    values["high_12m"] = closing / _rolling_max(months.largest(price), 12)
    values |= _from_days(daily, months, min_obs)
    index_return = _market(market, table, daily)
    values |= _from_market(daily, index_return, months, 12 * min_obs)
    if volumes is not None:
        traded = _not_negative(volumes, "`volumes`", table)
        values |= _from_volumes(price, traded, daily, months, min_obs)
        if shares is not None:
            outstanding = positive(daily_table(shares, "`shares`", table).to_numpy())
            values["turnover"] = _mean(traded / outstanding, months, min_obs)
    if shares is not None:
        count = daily_table(shares, "`shares`", table).to_numpy()
        values["size"] = np.log(closing * months.last(positive(count), max_gap))
    known = ~np.isnan(closing)
    dates = months.ends + pd.offsets.MonthEnd(1)
    return long_rows(values, pd.DatetimeIndex(dates), table.columns, known)


def _from_months(closing: FloatArray) -> dict[str, FloatArray]:
    """Return what month-end prices tell."""
    half = returns_of(closing, 1, 6)
    earlier = np.full_like(half, np.nan)
    earlier[6:] = half[:-6]
    return {
        "reversal_1m": returns_of(closing, 0, 1),
        "momentum_6m": half,
        "momentum_12m": returns_of(closing, 1, 12),
        "momentum_change": half - earlier,
        "reversal_36m": returns_of(closing, 12, 36),
        # The month that is t twelve months before: from its start to its end.
        "seasonality": returns_of(closing, 11, 12),
    }


def _from_days(daily: FloatArray, months: Months, least: int) -> dict[str, FloatArray]:
    """Return what the daily returns of a month, or of three, tell."""
    count = months.totals((~np.isnan(daily)).astype(float))
    largest = months.largest(daily)
    largest[count < least] = np.nan
    return {
        "volatility": _deviation(daily, months, least),
        "max_return": largest,
        "skewness": _skewness(daily, months, 3, 3 * least),
    }


def _from_market(
    daily: FloatArray, market: FloatArray, months: Months, least: int
) -> dict[str, FloatArray]:
    """Regress daily returns on the market over twelve months."""
    seen = ~np.isnan(daily) & ~np.isnan(market)[:, None]
    # Returns are small and centred near 0, so that plain sums lose nothing.
    y, x = np.where(seen, daily, 0.0), np.where(seen, market[:, None], 0.0)
    n, sx, sy, sxx, sxy, syy = (
        _rolling(months.totals(v), 12) for v in (seen * 1.0, x, y, x * x, x * y, y * y)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = sxx - sx**2 / n
        slope = (sxy - sx * sy / n) / spread
        left = (syy - sy**2 / n) - slope * (sxy - sx * sy / n)
        error = np.sqrt(np.maximum(left, 0.0) / (n - 2))
    few = (n < max(least, 3)) | ~(spread > 0)
    slope[few], error[few] = np.nan, np.nan
    return {"beta": slope, "beta_squared": slope**2, "idiosyncratic_volatility": error}


def _from_volumes(
    price: FloatArray, traded: FloatArray, daily: FloatArray, months: Months, least: int
) -> dict[str, FloatArray]:
    """Return what volumes tell of a month."""
    value = price * traded
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.log(_mean(value, months, least))
        impact = np.abs(daily) / (np.where(value > 0, value, np.nan) / _MILLION)
    mean[np.isinf(mean)] = np.nan
    return {
        "dollar_volume": mean,
        "dollar_volume_volatility": _deviation(np.log1p(value), months, least),
        "illiquidity": _mean(impact, months, least),
        "zero_trading": _mean(np.where(np.isnan(traded), np.nan, traded == 0), months, least),
    }


def _market(market: Any, table: pd.DataFrame, daily: FloatArray) -> FloatArray:
    """Return the daily return of the market."""
    if market is None:
        seen = ~np.isnan(daily)
        total = np.where(seen, daily, 0.0).sum(axis=1)
        count = seen.sum(axis=1)
        return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    values, columns = align_to_dates(market, table.index, "`market`")
    if len(columns) != 1:
        raise ValueError(f"`market` must be one series; got {len(columns)} columns.")
    return values[:, 0]


def _not_negative(volumes: Any, name: str, like: pd.DataFrame) -> FloatArray:
    values: FloatArray = daily_table(volumes, name, like).to_numpy()
    if (values < 0).any():
        raise ValueError(f"{name} must not be negative; got {np.nanmin(values):g}.")
    return values


def _mean(values: FloatArray, months: Months, least: int) -> FloatArray:
    count = months.totals((~np.isnan(values)).astype(float))
    enough = count >= least
    out: FloatArray = np.divide(
        months.totals(values), count, out=np.full(count.shape, np.nan), where=enough
    )
    return out


def _deviation(values: FloatArray, months: Months, least: int) -> FloatArray:
    mean = _mean(values, months, least)
    count = months.totals((~np.isnan(values)).astype(float))
    squares = months.totals((values - mean[months.codes]) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        out: FloatArray = np.sqrt(squares / (count - 1))
    out[np.isnan(mean)] = np.nan
    return out


def _skewness(values: FloatArray, months: Months, width: int, least: int) -> FloatArray:
    seen = ~np.isnan(values)
    known = np.where(seen, values, 0.0)
    n, s1, s2, s3 = (
        _rolling(months.totals(v), width) for v in (seen * 1.0, known, known**2, known**3)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = s1 / n
        variance = s2 / n - mean**2
        out: FloatArray = (s3 / n - 3 * mean * s2 / n + 2 * mean**3) / variance**1.5
    out[(n < least) | ~(variance > 0)] = np.nan
    return out


def _rolling(monthly: FloatArray, width: int) -> FloatArray:
    """Sum each month and those before it, ``width`` in all, fewer at the start."""
    out = monthly.copy()
    for back in range(1, min(width, len(monthly))):
        out[back:] += monthly[:-back]
    return out


def _rolling_max(monthly: FloatArray, width: int) -> FloatArray:
    out = monthly.copy()
    for back in range(1, min(width, len(monthly))):
        out[back:] = np.maximum(out[back:], monthly[:-back])
    out[: width - 1] = np.nan
    return out
