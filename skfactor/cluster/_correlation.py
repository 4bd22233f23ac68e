"""Do the clusters move together, and what do they return? Tables from assets' returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import Interval, join, validate_params
from skfactor.cluster._labels import ClusterCodes, as_frame, encode_labels
from skfactor.cluster._pairwise import mean_correlations


@dataclass(frozen=True, eq=False, repr=False)
class ClusterCorrelations:
    """Mean correlations of returns within clusters and between them.

    Made by :func:`cluster_correlations`.

    Parameters
    ----------
    table : DataFrame of shape (n_clusters, n_clusters)
        Symmetric. On the diagonal the mean correlation between two different assets of the
        cluster (NaN for a cluster of one asset); elsewhere between an asset of one cluster and
        one of the other. Noise (label -1), where there is any, is the last row and column.
    n_pairs : DataFrame of shape (n_clusters, n_clusters)
        Number of pairs of assets behind each mean.
    sizes : Series of shape (n_clusters,)
        Number of assets in each cluster.
    within : float
        Mean correlation over all pairs of assets that share a cluster; noise left out.
    between : float
        Mean correlation over all pairs of assets in different clusters; noise left out.

    See Also
    --------
    cluster_correlations : Makes one.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.cluster import cluster_correlations
    >>> rng = np.random.default_rng(0)
    >>> returns = np.repeat(rng.normal(size=(60, 2)), 3, axis=1) + rng.normal(size=(60, 6))
    >>> correlations = cluster_correlations(returns, [0, 0, 0, 1, 1, 1])
    >>> bool(correlations.contrast > 0.3)
    True
    """

    table: pd.DataFrame
    n_pairs: pd.DataFrame
    sizes: pd.Series
    within: float
    between: float

    @property
    def contrast(self) -> float:
        """Mean correlation within clusters less the mean between them."""
        return self.within - self.between

    def upper(self) -> pd.DataFrame:
        """Return the table with NaN below the diagonal, as it is usually printed.

        Returns
        -------
        DataFrame of shape (n_clusters, n_clusters)
            The upper triangle, diagonal included.
        """
        keep = np.triu(np.ones(self.table.shape, dtype=bool))
        return self.table.where(keep)

    def _caption(self) -> str:
        return (
            f"within {self.within:.3f}, between {self.between:.3f}, "
            f"contrast {self.contrast:+.3f}; {int(self.sizes.sum())} assets"
        )

    def __repr__(self) -> str:
        table = self.upper().to_string(float_format="{:.3f}".format, na_rep="")
        return f"ClusterCorrelations: {self._caption()}\n\n{table}"

    def _repr_html_(self) -> str:
        table = self.upper().to_html(float_format="{:.3f}".format, na_rep="")
        return f"<p><strong>ClusterCorrelations</strong>: {self._caption()}</p>{table}"


@dataclass(frozen=True, eq=False, repr=False)
class ClusterReturns:
    """Return and risk by cluster.

    Made by :func:`cluster_returns`.

    Parameters
    ----------
    table : DataFrame of shape (n_clusters, 6)
        By cluster portfolio: ``mean_return``, ``volatility``, ``sharpe``, ``max_drawdown`` (0 or
        negative), ``n_assets`` and ``n_periods``. Noise (label -1) is the last row.
    portfolios : DataFrame of shape (n_dates, n_clusters)
        Equal-weighted return of each cluster, a period, in decimals.
    assets : DataFrame of shape (n_assets, 4)
        By asset: ``cluster``, ``mean_return``, ``volatility`` and ``n_periods``.
    periods_per_year : float or None
        The factor by which `table` and `assets` are annualised; None if they are a period.

    See Also
    --------
    cluster_returns : Makes one.

    Examples
    --------
    >>> from skfactor.cluster import cluster_returns
    >>> returns = [[0.01, 0.03, -0.02], [0.00, 0.02, 0.01], [0.02, 0.01, 0.03]]
    >>> cluster_returns(returns, [0, 0, 1]).portfolios[0].round(3).tolist()
    [0.02, 0.01, 0.015]
    """

    table: pd.DataFrame
    portfolios: pd.DataFrame
    assets: pd.DataFrame
    periods_per_year: float | None

    @property
    def unit(self) -> str:
        """What the returns are measured by, in words."""
        return "a period" if self.periods_per_year is None else "a year"

    def _caption(self) -> str:
        return f"equal-weighted clusters, decimals {self.unit}, {len(self.portfolios)} periods"

    def __repr__(self) -> str:
        table = self.table.to_string(float_format="{:.4f}".format)
        return f"ClusterReturns: {self._caption()}\n\n{table}"

    def _repr_html_(self) -> str:
        table = self.table.to_html(float_format="{:.4f}".format)
        return f"<p><strong>ClusterReturns</strong>: {self._caption()}</p>{table}"


@validate_params(
    {"min_obs": [Interval(Integral, 2, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def cluster_correlations(
    returns: Any,
    labels: ArrayLike | Mapping[Any, Any] | pd.Series,
    *,
    min_obs: int = 12,
) -> ClusterCorrelations:
    r"""Average the correlations of assets' returns within clusters and between them.

    Clusters that mean something for portfolios move together: higher correlations on the
    diagonal than off it.

    Parameters
    ----------
    returns : {array, DataFrame} of shape (n_dates, n_assets)
        Returns, one column an asset, in any unit; pandas or polars (a date column is taken for
        the index). NaN where an asset has no return.
    labels : array, Series or mapping of shape (n_assets,)
        The cluster of each asset; -1 is noise. A Series or mapping is matched with the columns
        by name, whatever its order.
    min_obs : int, default=12
        Dates that two assets must share for their correlation to count; other pairs are left
        out of the means.

    Returns
    -------
    ClusterCorrelations
        The table, and the means within and between clusters over all pairs.

    Raises
    ------
    ValueError
        If labels and columns do not name the same assets, if `returns` holds text or infinity,
        or if there are fewer dates than `min_obs`.

    See Also
    --------
    cluster_returns : Return and risk of each cluster.
    cluster_profile : What the clusters are made of.

    Notes
    -----
    With :math:`\rho_{ij}` the correlation over the dates that assets i and j share, the entry
    for clusters :math:`a` and :math:`b` is

    .. math::
        \bar\rho_{ab} = \frac{1}{|P_{ab}|} \sum_{(i, j) \in P_{ab}} \rho_{ij},
        \qquad P_{ab} = \{(i, j) : i \in a,\ j \in b,\ i \neq j\}.

    An asset whose return never moves has no correlations. Without missing values the sum over
    pairs is the product of two sums of standardised returns, so that the cost grows with the
    number of assets, not of pairs.

    Labels found on the whole sample, these correlations included, describe that sample; they
    do not forecast.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.cluster import cluster_correlations
    >>> returns = pd.DataFrame(
    ...     {"A": [1.0, 2.0, 3.0, 0.0], "B": [2.0, 4.0, 6.0, 0.0], "C": [3.0, 2.0, 1.0, 4.0]}
    ... )
    >>> labels = pd.Series({"C": 1, "B": 0, "A": 0})
    >>> cluster_correlations(returns, labels, min_obs=4).table
    cluster    0    1
    cluster
    0        1.0 -1.0
    1       -1.0  NaN
    """
    frame = _wide_returns(returns)
    coded = encode_labels(labels, frame.columns, what="columns of returns")
    if len(frame) < min_obs:
        raise ValueError(
            f"`min_obs` must be at most {len(frame)}, the number of dates in `returns`; got "
            f"{min_obs}. Give more dates or lower it."
        )
    means, n_pairs = mean_correlations(frame.to_numpy(), coded.one_hot(), int(min_obs))
    k = coded.n_clusters
    upper = np.triu(np.ones((k, k), dtype=bool), k=1)
    return ClusterCorrelations(
        table=pd.DataFrame(means, coded.index, coded.index),
        n_pairs=pd.DataFrame(n_pairs.astype(np.intp), coded.index, coded.index),
        sizes=_sizes(coded),
        within=_weighted(np.diag(means)[:k], np.diag(n_pairs)[:k]),
        between=_weighted(means[:k, :k][upper], n_pairs[:k, :k][upper]),
    )


@validate_params(
    {"periods_per_year": [Interval(Real, 0, None, closed="neither"), None]},
    prefer_skip_nested_validation=True,
)
def cluster_returns(
    returns: Any,
    labels: ArrayLike | Mapping[Any, Any] | pd.Series,
    *,
    periods_per_year: float | None = None,
) -> ClusterReturns:
    r"""Measure return and risk of each cluster, held in equal weights.

    Parameters
    ----------
    returns : {array, DataFrame} of shape (n_dates, n_assets)
        Simple returns a period in decimals (0.01 is one percent), dates in order; pandas or
        polars (a date column is taken for the index). NaN where an asset has no return.
    labels : array, Series or mapping of shape (n_assets,)
        The cluster of each asset; -1 is noise. A Series or mapping is matched with the columns
        by name, whatever its order.
    periods_per_year : float, default=None
        12 for monthly and 252 for daily returns: means, volatilities and Sharpe ratios are then
        annualised. By default they are a period.

    Returns
    -------
    ClusterReturns
        A table by cluster, the clusters' returns by date, and a table by asset.

    Raises
    ------
    ValueError
        If labels and columns do not name the same assets, or a return is below -1.

    See Also
    --------
    cluster_correlations : Whether the clusters move together.

    Notes
    -----
    The return of cluster :math:`c` at :math:`t` is the mean over its assets that have a return
    at :math:`t`; weights are made equal again each period, without costs. With
    :math:`h` periods a year, mean and standard deviation :math:`m, s` of that series,

    .. math::
        \text{mean} = h\,m, \quad \text{volatility} = \sqrt{h}\,s, \quad
        \text{Sharpe} = \sqrt{h}\,m / s, \quad
        \text{drawdown} = \min_t \frac{W_t}{\max_{u \le t} W_u} - 1,

    with :math:`W_t` the compounded wealth, :math:`W_0 = 1`. The Sharpe ratio is that of the
    returns as given: give excess returns for one over the risk-free rate.

    **Look-ahead.** Labels that were found on the whole sample know its future, so these
    returns could not have been earned. They describe the clusters; they are no back-test.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.cluster import cluster_returns
    >>> returns = pd.DataFrame({"A": [0.10, -0.50, 0.20], "B": [0.00, 0.01, 0.02]})
    >>> found = cluster_returns(returns, {"A": "risky", "B": "calm"})
    >>> found.table["max_drawdown"].to_dict()
    {'calm': 0.0, 'risky': -0.5}
    """
    frame = _wide_returns(returns)
    coded = encode_labels(labels, frame.columns, what="columns of returns")
    values = frame.to_numpy()
    _refuse_below_total_loss(frame, values)
    portfolios = group_means(values, coded.one_hot())
    year = 1.0 if periods_per_year is None else float(periods_per_year)
    table = _moments(portfolios, coded.index, year)
    n_periods = table.pop("n_periods")
    # A series that does not move has, up to rounding, no risk to divide by.
    moves = table["volatility"] > 1e-12 * table["mean_return"].abs()
    deviation = table["volatility"].where(moves)
    table["sharpe"] = table["mean_return"] / deviation
    table["max_drawdown"] = max_drawdowns(portfolios)
    table["n_assets"] = _sizes(coded)
    table["n_periods"] = n_periods
    assets = _moments(values, frame.columns, year)
    assets.insert(0, "cluster", coded.index.to_numpy()[coded.codes])
    return ClusterReturns(
        table=table,
        portfolios=pd.DataFrame(portfolios, index=frame.index, columns=coded.index),
        assets=assets,
        periods_per_year=None if periods_per_year is None else year,
    )


def _wide_returns(returns: Any) -> pd.DataFrame:
    frame = as_frame(returns, what="returns", prefix="asset")
    if not isinstance(returns, pd.DataFrame) and not hasattr(returns, "columns"):
        # A bare array names nothing: its columns are only counted, so labels go by position.
        frame.columns = pd.RangeIndex(frame.shape[1])
    return frame


def _sizes(coded: ClusterCodes) -> pd.Series:
    counts = np.bincount(coded.codes, minlength=len(coded.index))
    return pd.Series(counts, index=coded.index, name="size")


def _weighted(values: FloatArray, weights: FloatArray) -> float:
    used = weights > 0
    return float(np.average(values[used], weights=weights[used])) if used.any() else float("nan")


def _refuse_below_total_loss(frame: pd.DataFrame, values: FloatArray) -> None:
    wrong = values < -1.0
    if wrong.any():
        dates, assets = np.nonzero(wrong)
        where = [
            f"{frame.columns[j]} at {frame.index[t]}: {values[t, j]:.4g}"
            for t, j in zip(dates[:20], assets[:20], strict=True)
        ]
        raise ValueError(
            f"`returns` must be simple returns in decimals, at least -1; got {int(wrong.sum())} "
            f"below ({join(where, 3)}). Divide percentages by 100."
        )


def group_means(values: FloatArray, member: FloatArray) -> FloatArray:
    """Return the mean over each group's present columns, row by row; NaN where there is none."""
    present = ~np.isnan(values)
    counts = present @ member
    sums = np.where(present, values, 0.0) @ member
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def max_drawdowns(returns: FloatArray) -> FloatArray:
    """Return the deepest fall of compounded wealth from an earlier peak, by column."""
    wealth = np.cumprod(1.0 + np.nan_to_num(returns), axis=0)
    peak = np.maximum.accumulate(np.maximum(wealth, 1.0), axis=0)
    falls = (wealth / peak - 1.0).min(axis=0)
    return np.where(np.isnan(returns).all(axis=0), np.nan, falls)


def _moments(values: FloatArray, index: pd.Index, year: float) -> pd.DataFrame:
    present = ~np.isnan(values)
    n = present.sum(axis=0)
    nan = np.full(values.shape[1], np.nan)
    mean = np.divide(np.where(present, values, 0.0).sum(axis=0), n, out=nan.copy(), where=n > 0)
    squares = np.where(present, values - mean, 0.0) ** 2
    variance = np.divide(squares.sum(axis=0), n - 1, out=nan.copy(), where=n > 1)
    return pd.DataFrame(
        {"mean_return": mean * year, "volatility": np.sqrt(variance * year), "n_periods": n},
        index=index,
    )
