"""Long the assets that are expected to do best, short those expected to do worst."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_count
from skfactor.panel._agreement import refuse_weights_of_other_rows
from skfactor.panel._index import has_panel_index
from skfactor.panel._values import numbers
from skfactor.portfolios._result import SortedPortfolios
from skfactor.portfolios._rows import panel_rows
from skfactor.portfolios._sort import PortfolioSort
from skfactor.portfolios._text import returns_text


@dataclass(frozen=True, eq=False, repr=False)
class QuantileLongShort:
    """A long–short portfolio on expected returns, made by :func:`quantile_long_short`.

    Parameters
    ----------
    returns : pandas.Series of shape (n_dates,)
        Return of the highest quantile less that of the lowest, a period; ``NaN`` where one of
        them is empty or none of its assets has a return.
    portfolios : SortedPortfolios
        All quantiles: their returns, counts, turnover, assignments and weights.

    Attributes
    ----------
    turnover : pandas.Series of shape (n_dates,)
        One-way turnover of both legs together, 0 to 2; ``NaN`` on the first date.
    counts : pandas.DataFrame of shape (n_dates, 2)
        Assets held in the ``long`` and the ``short`` leg, with and without a return.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.portfolios import quantile_long_short
    >>> index = pd.MultiIndex.from_product([[202401, 202402], list("abcd")], names=["date", "id"])
    >>> y = pd.Series([0.01, 0.02, 0.03, 0.04, 0.01, 0.03, 0.02, 0.04], index)
    >>> expected = pd.Series([1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0], index)
    >>> long_short = quantile_long_short(expected, y, n_quantiles=2)
    >>> long_short
    QuantileLongShort: 2 quantiles, 2 dates, turnover 0.00
                        mean      sd      t assets
    expected_return1  0.0175  0.0035   7.00    2.0
    expected_return2  0.0325  0.0035  13.00    2.0
    long-short        0.0150  0.0071   3.00      –
    >>> long_short.returns.round(3).to_list()
    [0.02, 0.01]
    """

    returns: pd.Series
    portfolios: SortedPortfolios = field(repr=False)

    def __repr__(self) -> str:
        n_dates, n_quantiles = self.portfolios.returns.shape
        head = f"{type(self).__name__}: {n_quantiles} quantiles, {n_dates} dates, turnover "
        head += f"{self.turnover.mean():.2f}"
        both = self.portfolios.returns.assign(**{"long-short": self.returns})
        return returns_text(head, both, self.portfolios.counts)

    @cached_property
    def turnover(self) -> pd.Series:
        """One-way turnover of both legs together."""
        traded = self.portfolios.turnover
        return (traded.iloc[:, -1] + traded.iloc[:, 0]).rename("turnover")

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Assets in the long and the short leg."""
        counts = self.portfolios.counts.iloc[:, [-1, 0]]
        return counts.set_axis(["long", "short"], axis=1)

    def net_returns(self, cost: float) -> pd.Series:
        """Return what is left after trading.

        Parameters
        ----------
        cost : float
            Cost of buying or selling for one, as a decimal: 0.001 is ten basis points. What is
            sold and what is bought both pay it, so that a leg that is replaced altogether
            costs it twice.

        Returns
        -------
        pandas.Series of shape (n_dates,)
            Returns less costs. A date without turnover, such as the first, pays for buying
            both legs.
        """
        traded = 2.0 * self.turnover
        net: pd.Series = self.returns - cost * traded.fillna(2.0)
        net.name = self.returns.name
        return net


def quantile_long_short(
    expected_returns: ArrayLike,
    y: ArrayLike,
    *,
    n_quantiles: int = 10,
    weights: ArrayLike | None = None,
    dates: ArrayLike | None = None,
    assets: ArrayLike | None = None,
) -> QuantileLongShort:
    r"""Sort assets on expected returns, date by date; long the top, short the bottom.

    Parameters
    ----------
    expected_returns : array-like of shape (n_rows,)
        What a model expected at t−1 of the return of t, such as its ``predict``; ``NaN`` puts
        the asset in no portfolio. Only the order matters.
    y : array-like of shape (n_rows,)
        Returns of t, ``NaN`` where missing. Where both are pandas objects their indexes must
        be the same.
    n_quantiles : int, default=10
        Number of portfolios, with equally spaced breakpoints.
    weights : array-like of shape (n_rows,), default=None
        What weights in a portfolio are proportional to, known at t−1, such as the market
        value; not below zero. None weighs equally. A pandas object must have the index of
        the returns.
    dates, assets : array-like of shape (n_rows,), default=None
        Date and asset of each row, where neither of the two has a (date, asset) index.

    Returns
    -------
    QuantileLongShort
        Returns, turnover, counts, and the portfolios of all quantiles.

    Raises
    ------
    ValueError
        For a parameter out of range, indexes that disagree, missing dates or assets, and
        infinities.

    See Also
    --------
    PortfolioSort : Sorts on any characteristics.
    skfactor.metrics.information_coefficient : Judges the order of all assets.

    Notes
    -----
    Portfolios are formed of all assets with an expected return, whether or not their return
    follows: who will have one is not known at t−1. A missing return counts as what the rest of
    its portfolio earned, so that an asset is not traded for want of a return. Where a date has
    fewer assets than quantiles, or all have one expected return, there is no long–short return.
    [1]_ reports such portfolios of deciles.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 429–450, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.portfolios import quantile_long_short
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2020-01", periods=24, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(200)], names=["date", "asset"])
    >>> expected = pd.Series(rng.normal(size=4800), index)
    >>> y = 0.01 * expected + rng.normal(0.0, 0.05, 4800)
    >>> long_short = quantile_long_short(expected, y)
    >>> long_short.counts.iloc[0].to_list()
    [20, 20]
    >>> bool(long_short.net_returns(0.001).mean() < long_short.returns.mean())
    True
    """
    check_count(n_quantiles, "n_quantiles", 2)
    expected = numbers(expected_returns, "`expected_returns`")
    indexed = expected_returns if has_panel_index(expected_returns) else expected
    rows = panel_rows(indexed, y, dates, assets)
    _check_length(expected, len(rows.date), "expected_returns")
    _check_length(y, len(rows.date), "y")
    columns: dict[str, Any] = {"expected_return": expected}
    if weights is not None:
        columns["weight"] = read_weights(weights, len(rows.date))
        refuse_weights_of_other_rows(weights, "weights", expected_returns=expected_returns, y=y)
    X = pd.DataFrame(columns, rows.index)
    recipe = PortfolioSort(
        "expected_return", int(n_quantiles), weights="weight" if weights is not None else None
    )
    sorted_into = recipe.sort(X, numbers(y, "y"))
    returns = sorted_into.spreads["expected_return"].rename("long_short")
    return QuantileLongShort(returns, sorted_into)


def read_weights(weights: Any, n_rows: int) -> FloatArray:
    """Return weights as floats, ``NaN`` where missing, or say why they are none.

    Raises
    ------
    ValueError
        For another number of rows, text, infinities and weights below zero.
    """
    values = numbers(weights, "`weights`")
    _check_length(values, n_rows, "weights")
    if (values < 0).any():
        raise ValueError(
            f"`weights` must not be negative; got {np.nanmin(values):g}. Give a missing value to "
            "rows that should take no part."
        )
    return values


def _check_length(values: Any, n_rows: int, name: str) -> None:
    if len(values) != n_rows:
        raise ValueError(
            f"`{name}` must have one value for each of the {n_rows} rows; got {len(values)}."
        )
