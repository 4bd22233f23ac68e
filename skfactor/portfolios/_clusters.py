"""Portfolios and factors from cluster labels."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import join
from skfactor.panel._index import as_assets, read_index, show_asset, show_date
from skfactor.portfolios._periods import previous, stamps
from skfactor.portfolios._returns import Holdings
from skfactor.portfolios._wide import of_date_before, wide_frame


@dataclass(frozen=True, eq=False, repr=False)
class ClusterPortfolios:
    """Returns of cluster portfolios, made by :func:`cluster_portfolios`.

    Parameters
    ----------
    returns : DataFrame of shape (n_dates, n_clusters)
        Portfolio returns, ``NaN`` where a cluster is empty and before labels are known.
    counts : DataFrame of shape (n_dates, n_clusters)
        Number of assets behind each return.
    labels : DataFrame of shape (n_label_dates, n_assets)
        Labels by the date from which they are known, matched across dates; missing for
        assets without.
    stability : Series of shape (n_label_dates,)
        Share of the assets that have a label on the date and on the label date before, and
        keep it. ``NaN`` on the first date.

    See Also
    --------
    cluster_portfolios : Makes them.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.portfolios import cluster_portfolios
    >>> dates = pd.to_datetime(["2024-01-31", "2024-02-29", "2024-03-31"])
    >>> returns = pd.DataFrame({"A": [0.1, 0.2, 0.3], "B": [0.0, 0.0, 0.1]}, index=dates)
    >>> labels = pd.Series({"A": "large", "B": "small"})
    >>> portfolios = cluster_portfolios(labels, returns, known_from="2024-01-31")
    >>> portfolios.spread("large", "small").to_list()
    [nan, 0.2, 0.2]
    """

    returns: pd.DataFrame
    counts: pd.DataFrame
    labels: pd.DataFrame
    stability: pd.Series

    def __repr__(self) -> str:
        n_dates, n_clusters = self.returns.shape
        return f"{type(self).__name__}({n_clusters} clusters, {n_dates} dates)"

    def spread(self, long: Any, short: Any, name: str | None = None) -> pd.Series:
        """Return the return of one cluster minus that of another, a factor.

        Parameters
        ----------
        long : label
            The cluster held.
        short : label
            The cluster sold.
        name : str, default=None
            Name of the factor; ``None`` makes one from the labels.

        Returns
        -------
        Series of shape (n_dates,)
            The difference, ``NaN`` where one of the two is empty.

        Raises
        ------
        ValueError
            If there is no such cluster.
        """
        for label in (long, short):
            if label not in self.returns.columns:
                raise ValueError(
                    "The ends of a spread must be clusters, "
                    f"{join([repr(c) for c in self.returns.columns])}; got {label!r}."
                )
        title = f"{long} - {short}" if name is None else name
        return (self.returns[long] - self.returns[short]).rename(title)


def cluster_portfolios(
    labels: ArrayLike,
    returns: ArrayLike,
    *,
    known_from: Any = None,
    look_ahead: bool = False,
    weights: ArrayLike = None,
    match: Literal["overlap", "order"] | None = "overlap",
    order_by: ArrayLike = None,
) -> ClusterPortfolios:
    r"""Compute the returns of cluster portfolios from labels known beforehand.

    Labels dated s form portfolios for the dates t whose return began to be earned at s or
    later, that is, whose date before is not earlier than s, until the next labels.

    Parameters
    ----------
    labels : Series
        Cluster of each asset: with a (date, asset) index, labels by date, each date a whole
        new clustering; with assets as index, one fixed clustering. Missing labels and
        negative numbers (noise) are no cluster.
    returns : DataFrame of shape (n_dates, n_assets)
        Returns in decimals, ``NaN`` where missing; or a Series with a (date, asset) index.
    known_from : date-like, default=None
        For fixed labels: the last date of the data that they were learnt from.
    look_ahead : bool, default=False
        For fixed labels: use them on all dates, also those that they were learnt from. The
        result describes the sample; its returns could not have been earned.
    weights : DataFrame of shape (n_dates, n_assets), default=None
        What portfolio weights are proportional to, such as market capitalisation at the end of
        each date; the last value dated at t−1 or before weights the return of t. ``None``
        weights equally.
    match : {"overlap", "order"} or None, default="overlap"
        How labels by date are made to mean the same on all dates. ``"overlap"`` gives the
        clusters of a date the labels of the date before such that most assets keep theirs
        [1]_; a cluster without a counterpart gets the first number not used so far.
        ``"order"`` numbers them by the mean of ``order_by``, 0 the lowest. ``None`` takes
        labels as they are.
    order_by : Series, default=None
        For ``match="order"``: a characteristic, indexed like ``labels``.

    Returns
    -------
    ClusterPortfolios
        Returns, counts, matched labels, and the share of assets that keep theirs.

    Raises
    ------
    TypeError
        If ``labels`` is not a Series, or ``returns`` is not a pandas object.
    ValueError
        If fixed labels come without ``known_from`` or ``look_ahead``, or labels by date with
        one; and where no return begins after labels are known.

    See Also
    --------
    PortfolioSort : Portfolios from characteristics.

    Notes
    -----
    With :math:`C_{k,s}` the assets of cluster :math:`k` at the last label date :math:`s \le t-1`,

    .. math:: R_{k,t} = \sum_{i \in C_{k,s}} w_{i,t-1} r_{i,t} \Big/ \sum_{i \in C_{k,s}} w_{i,t-1},

    over the assets that have a return at :math:`t`. The date before the first one is taken to
    be the longest step between two dates earlier. Matching looks at the past only, so later
    labels never change earlier portfolios. Overlap follows clusters that drift; ordering keeps
    a meaning, such as small to large, where clusters break up and merge.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research
       Logistics Quarterly 2, 83–97, 1955.

    Examples
    --------
    >>> from skfactor.datasets import make_stock_universe
    >>> from skfactor.portfolios import cluster_portfolios
    >>> universe = make_stock_universe(n_stocks=60, n_years=3, random_state=0)
    >>> portfolios = cluster_portfolios(
    ...     universe.clusters, universe.returns, known_from="2015-12-31"
    ... )
    >>> portfolios.spread(0, 3, name="CLU").first_valid_index()
    Timestamp('2016-01-31 00:00:00')
    """
    wide = wide_frame(returns, "returns")
    if len(wide) == 0:
        raise ValueError("returns must have at least one date; got none.")
    if match not in ("overlap", "order", None):
        raise ValueError(f"`match` must be 'overlap', 'order' or None; got {match!r}.")
    if (match == "order") != (order_by is not None):
        raise ValueError(
            f"`order_by` goes with match='order' and is needed for it; got match={match!r} and "
            f"order_by={'None' if order_by is None else 'a characteristic'}."
        )
    before = previous(wide.index)
    table = _label_table(labels, known_from, look_ahead, before)
    if match == "order":
        table = _ordered(table, _like_labels(order_by, table))
    elif match == "overlap":
        table = _overlapping(table)

    clusters = _clusters(table)
    codes = pd.DataFrame(
        pd.Categorical(table.to_numpy().ravel(), categories=clusters).codes.reshape(table.shape),
        index=table.index,
        columns=table.columns,
    )
    current = of_date_before(codes, wide, before)
    if look_ahead:
        current = np.broadcast_to(codes.reindex(columns=wide.columns).to_numpy(), wide.shape)
    sizes: FloatArray = np.ones(wide.shape)
    if weights is not None:
        sizes = of_date_before(wide_frame(weights, "weights"), wide, before)
        if (sizes < 0).any():
            raise ValueError(f"weights must not be negative; got {np.nanmin(sizes):g}.")
    portfolio = np.where(np.isnan(current), -1, current).astype(np.intp)
    if not (portfolio >= 0).any():
        raise ValueError(
            "Some return must begin after labels are known, of an asset that has a label; got "
            f"labels known from {show_date(table.index[0])}, first of "
            f"{show_asset(table.columns[0])}, and returns from {show_date(wide.index[0])} to "
            f"{show_date(wide.index[-1])}, first of {show_asset(wide.columns[0])}."
        )
    date, asset = np.indices(wide.shape)
    holdings = Holdings(
        portfolio=portfolio.ravel(),
        size=sizes.ravel(),
        returns=wide.to_numpy().ravel(),
        date=date.ravel(),
        asset=asset.ravel(),
        shape=(len(wide), len(clusters)),
        n_assets=wide.shape[1],
    )
    columns = pd.Index(clusters, name="cluster")
    return ClusterPortfolios(
        returns=pd.DataFrame(holdings.portfolio_returns, wide.index, columns),
        counts=pd.DataFrame(holdings.counts(), wide.index, columns),
        labels=table,
        stability=_stability(table),
    )


def _label_table(labels: Any, known_from: Any, look_ahead: bool, before: pd.Index) -> pd.DataFrame:
    """Return labels as objects, one line for each date from which they are known."""
    if not isinstance(labels, pd.Series):
        raise TypeError(
            "labels must be a pandas Series indexed by asset or by (date, asset); "
            f"got {type(labels).__name__}."
        )
    kept = [
        None if missing or (isinstance(label, (int, float, np.number)) and label < 0) else label
        for label, missing in zip(labels, labels.isna(), strict=True)
    ]
    values = pd.Series(kept, labels.index, dtype=object)
    if not isinstance(labels.index, pd.MultiIndex):
        if (known_from is None) == (not look_ahead):
            raise ValueError(
                "Fixed labels must say when they were known: give `known_from`, the last date of "
                "the data they were learnt from, or state look_ahead=True to describe the sample; "
                f"got known_from={known_from!r} and look_ahead={look_ahead!r}."
            )
        assets = as_assets(labels.index, "the index of labels")
        if assets.has_duplicates:
            raise ValueError(
                "Each asset must have one label; got more for "
                f"{show_asset(assets[assets.duplicated()][0])}."
            )
        since = before.min() if look_ahead else pd.Timestamp(known_from)
        line = pd.DatetimeIndex([since], name="date")
        return pd.DataFrame([kept], line, assets.rename("asset"), dtype=object)
    if known_from is not None or look_ahead:
        raise ValueError(
            "Labels by date say themselves when they are known; leave `known_from` and "
            "`look_ahead` out, or give fixed labels."
        )
    return _by_date(values, "labels")


def _by_date(values: pd.Series, name: str) -> pd.DataFrame:
    found = read_index(values, name)
    if found is None or found[1] is None:
        raise ValueError(f"{name} must be indexed by asset, or by date and asset.")
    days = stamps(found[0], f"The dates of {name}").rename("date")
    index = pd.MultiIndex.from_arrays([days, found[1].rename("asset")])
    if index.has_duplicates:
        date, asset = index[index.duplicated()][0]
        raise ValueError(
            f"Each (date, asset) pair of {name} must appear once; got ({show_date(date)}, "
            f"{show_asset(asset)}) again."
        )
    return pd.Series(values.to_numpy(), index, dtype=object).unstack()


def _like_labels(order_by: Any, table: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(order_by, pd.Series):
        raise TypeError(f"order_by must be a pandas Series; got {type(order_by).__name__}.")
    if isinstance(order_by.index, pd.MultiIndex):
        frame = _by_date(order_by, "order_by").reindex(index=table.index, columns=table.columns)
    else:
        line = order_by.reindex(table.columns).to_numpy()
        frame = pd.DataFrame([line] * len(table), table.index, table.columns)
    return frame.astype(float)


def _ordered(table: pd.DataFrame, by: pd.DataFrame) -> pd.DataFrame:
    """Call the clusters of each date by the rank of their mean."""
    lines = []
    for place, date in enumerate(table.index):
        line = table.iloc[place]
        means = by.iloc[place].groupby(line).mean()
        if means.isna().any():
            raise ValueError(
                f"`order_by` must have a value in each cluster; got none in "
                f"{means.index[means.isna()][0]!r} on {show_date(date)}."
            )
        rank = {label: number for number, label in enumerate(means.sort_values().index)}
        lines.append([rank.get(label) for label in line])
    return pd.DataFrame(lines, table.index, table.columns, dtype=object).where(table.notna(), None)


def _overlapping(table: pd.DataFrame) -> pd.DataFrame:
    """Give the clusters of each date the labels of the date before that overlap most."""
    values = table.to_numpy(dtype=object, copy=True)
    has = table.notna().to_numpy()
    last: dict[Any, Any] = {}  # the label last seen of each asset's place
    used: list[Any] = []
    for line, present in zip(values, has, strict=True):
        now = _sorted(set(line[present]))
        if not now:
            continue
        rename = _match(line, now, last, used) if used else {label: label for label in now}
        line[present] = [rename[label] for label in line[present]]
        last = dict(zip(np.flatnonzero(present), line[present], strict=True))
        used += [label for label in rename.values() if label not in used]
    return pd.DataFrame(values, table.index, table.columns, dtype=object)


def _match(line: Any, now: list[Any], last: dict[Any, Any], used: list[Any]) -> dict[Any, Any]:
    """Map labels of today to those of the date before; new ones get unused names."""
    old = _sorted(set(last.values()))
    place_now = {label: i for i, label in enumerate(now)}
    place_old = {label: j for j, label in enumerate(old)}
    overlap: IntArray = np.zeros((len(now), len(old)), dtype=np.intp)
    for place, label in last.items():
        if line[place] is not None:
            overlap[place_now[line[place]], place_old[label]] += 1
    rename = {
        now[i]: old[j]
        for i, j in zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
        if overlap[i, j]
    }
    taken = set(used) | set(rename.values())
    for label in now:
        if label not in rename:
            number = 0
            fresh = label
            while fresh in taken:
                fresh, number = number, number + 1
            rename[label] = fresh
            taken.add(fresh)
    return rename


def _clusters(table: pd.DataFrame) -> list[Any]:
    return _sorted({label for label in table.to_numpy().ravel() if label is not None})


def _sorted(labels: set[Any]) -> list[Any]:
    """Sort labels, of mixed kinds too."""
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=lambda label: (type(label).__name__, str(label)))


def _stability(table: pd.DataFrame) -> pd.Series:
    values, has = table.to_numpy(), table.notna().to_numpy()
    both = has[1:] & has[:-1]
    same = (values[1:] == values[:-1]) & both
    with np.errstate(invalid="ignore"):
        share = same.sum(axis=1) / both.sum(axis=1)
    return pd.Series(np.r_[np.nan, share], table.index, name="stability")
