"""Portfolios and factors from cluster labels."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import join
from skfactor.panel._index import (
    as_assets,
    factorize,
    read_index,
    refuse_duplicates,
    show_asset,
    show_date,
)
from skfactor.portfolios._cluster_result import ClusterPortfolios
from skfactor.portfolios._label_matching import in_order, in_overlap, label_stability, unique_labels
from skfactor.portfolios._periods import previous, stamps
from skfactor.portfolios._returns import Holdings
from skfactor.portfolios._wide import of_date_before, wide_frame


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

    over the assets that have a return at :math:`t`: a missing return counts as what the rest of
    the cluster earned. An asset is held from its first return to its last, with and without one
    in between. The date before the first one is taken to be the longest step between two dates
    earlier. Matching looks at the past only, so later
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
    >>> universe = make_stock_universe(n_assets=60, n_years=3, random_state=0)
    >>> portfolios = cluster_portfolios(
    ...     universe.clusters, universe.returns, known_from="2015-12-31"
    ... )
    >>> portfolios.spread(0, 3, name="CLU").first_valid_index()
    Timestamp('2016-01-31 00:00:00')
    """
    wide = wide_frame(returns, "`returns`")
    if len(wide) == 0:
        raise ValueError("`returns` must have at least one date; got none.")
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
        table = in_order(table, _like_labels(order_by, table))
    elif match == "overlap":
        table = in_overlap(table)

    clusters = unique_labels(table)
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
        sizes = of_date_before(wide_frame(weights, "`weights`"), wide, before)
        if (sizes < 0).any():
            raise ValueError(f"`weights` must not be negative; got {np.nanmin(sizes):g}.")
    # A wide frame has a cell for an asset not yet listed, and for one that is gone.
    listed = (wide.ffill().notna() & wide.bfill().notna()).to_numpy()
    portfolio = np.where(np.isnan(current) | ~listed, -1, current).astype(np.intp)
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
        stability=label_stability(table),
        holdings=holdings,
        assets=wide.columns,
    )


def _label_table(labels: Any, known_from: Any, look_ahead: bool, before: pd.Index) -> pd.DataFrame:
    """Return labels as objects, one line for each date from which they are known."""
    if not isinstance(labels, pd.Series):
        raise TypeError(
            "`labels` must be a pandas Series indexed by asset or by (date, asset); "
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
        assets = as_assets(labels.index, "the index of `labels`")
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
    return _by_date(values, "`labels`")


def _by_date(values: pd.Series, name: str) -> pd.DataFrame:
    found = read_index(values, name)
    if found is None or found[1] is None:
        raise ValueError(
            f"{name} must be indexed by asset, or by date and asset; got the levels "
            f"{join([repr(level) for level in values.index.names])}, none of them dates."
        )
    days = stamps(found[0], f"The dates of {name}").rename("date")
    refuse_duplicates(*factorize(days), *factorize(found[1]), name)
    index = pd.MultiIndex.from_arrays([days, found[1].rename("asset")])
    table = pd.Series(values.to_numpy(), index, dtype=object).unstack()
    filled = table.to_numpy(dtype=object, copy=True)
    filled[table.isna().to_numpy()] = None  # pairs that are not there are NaN
    return pd.DataFrame(filled, table.index, table.columns, dtype=object)


def _like_labels(order_by: Any, table: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(order_by, pd.Series):
        raise TypeError(f"`order_by` must be a pandas Series; got {type(order_by).__name__}.")
    if isinstance(order_by.index, pd.MultiIndex):
        frame = _by_date(order_by, "`order_by`").reindex(index=table.index, columns=table.columns)
    else:
        line = order_by.reindex(table.columns).to_numpy()
        frame = pd.DataFrame([line] * len(table), table.index, table.columns)
    return frame.astype(float)
