"""Daily prices or returns to monthly returns."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_count
from skfactor.preprocessing._months import Months, daily_table, long_rows

_KINDS = ("prices", "returns")


def monthly_returns(
    daily: ArrayLike,
    *,
    kind: Literal["prices", "returns"] = "prices",
    max_gap: int = 4,
    min_obs: int = 10,
) -> pd.Series:
    r"""Turn daily prices or returns into monthly returns, as a long panel.

    Parameters
    ----------
    daily : DataFrame of shape (n_days, n_assets)
        Prices adjusted for splits and dividends, or simple daily returns as decimals, with
        days in the index (polars: in the first column) and an asset a column. ``NaN`` where
        missing; prices that are not positive are missing.
    kind : {"prices", "returns"}, default="prices"
        Which of the two.
    max_gap : int, default=4
        With prices: the most days of the table by which the last price of a month may be
        older than the last day.
    min_obs : int, default=10
        With returns: the fewest in a month that make a monthly return.

    Returns
    -------
    Series of shape (n_rows,)
        Simple returns as decimals a month, dated at calendar month ends, with a (date, asset)
        index sorted by date. Months that have no return have no row. The first month with
        prices has none, and the last month has one from what there is of it.

    Raises
    ------
    TypeError
        If ``daily`` is not a DataFrame.
    ValueError
        For parameters out of range, an index without days, days or assets that appear twice,
        text, infinities, and returns of less than −1.

    See Also
    --------
    price_characteristics : What was known before such a return was earned.

    Notes
    -----
    With month-end prices :math:`p_m`, :math:`r_m = p_m / p_{m-1} - 1`; with the daily returns
    :math:`r_d` of the month, :math:`r_m = \prod_d (1 + r_d) - 1`, where a missing day counts as
    0. A stock that is delisted within a month has no return in it from prices, unless its last
    price is at most ``max_gap`` days old.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.preprocessing import monthly_returns
    >>> days = pd.bdate_range("2024-01-01", "2024-03-29")
    >>> prices = pd.DataFrame({"A": 100.0, "B": 50.0}, index=days)
    >>> prices.loc["2024-02-10":, "A"] = 110.0
    >>> monthly_returns(prices)
    date        asset
    2024-02-29  A        0.1
                B        0.0
    2024-03-31  A        0.0
                B        0.0
    Name: return, dtype: float64
    """
    if kind not in _KINDS:
        raise ValueError(f"`kind` must be one of 'prices', 'returns'; got {kind!r}.")
    check_count(max_gap, "max_gap", 0)
    check_count(min_obs, "min_obs", 1)
    table = daily_table(daily, "`daily`")
    values: Any = table.to_numpy()
    months = Months.of_days(pd.DatetimeIndex(table.index))
    if kind == "prices":
        earned = returns_of(months.last(positive(values), max_gap))
    else:
        if (values < -1).any():
            raise ValueError(
                f"Daily returns must be at least -1; got {np.nanmin(values):g}. Pass decimals, "
                'not per cent, or kind="prices".'
            )
        with np.errstate(divide="ignore"):
            earned = np.expm1(months.totals(np.log1p(values)))
        counts = months.totals((~np.isnan(values)).astype(float))
        earned[counts < min_obs] = np.nan
    rows = ~np.isnan(earned)
    return long_rows({"return": earned}, months.ends, table.columns, rows)["return"]


def positive(prices: FloatArray) -> FloatArray:
    """Return prices, those that are not positive missing."""
    return np.where(prices > 0, prices, np.nan)


def returns_of(prices: FloatArray, first: int = 0, last: int = 1) -> FloatArray:
    """Return the return from ``last`` rows ago to ``first`` rows ago, of each row."""
    out = np.full_like(prices, np.nan)
    if last < len(prices):
        out[last:] = prices[last - first : len(prices) - first] / prices[: len(prices) - last] - 1
    return out
