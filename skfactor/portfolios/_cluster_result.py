"""What cluster labels give."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from skfactor._kernels._cross_sections import regress_by_date
from skfactor._typing import ArrayLike
from skfactor._validation import join
from skfactor.portfolios._periods import previous
from skfactor.portfolios._returns import Holdings
from skfactor.portfolios._text import returns_text
from skfactor.portfolios._wide import of_date_before, wide_frame


@dataclass(frozen=True, eq=False, repr=False)
class ClusterPortfolios:
    """Returns of cluster portfolios, made by :func:`cluster_portfolios`.

    Parameters
    ----------
    returns : DataFrame of shape (n_dates, n_clusters)
        Portfolio returns, ``NaN`` where a cluster is empty or has no return, and before labels
        are known.
    counts : DataFrame of shape (n_dates, n_clusters)
        Number of assets held: those between their first and their last return.
    labels : DataFrame of shape (n_label_dates, n_assets)
        Labels by the date from which they are known, matched across dates; missing for
        assets without.
    stability : Series of shape (n_label_dates,)
        Share of the assets that have a label on the date and on the label date before, and
        keep it. ``NaN`` on the first date.
    holdings : Holdings
        Which asset stood in which cluster on which date, and with what weight.
    assets : Index of shape (n_assets,)
        The assets that have returns.

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
    holdings: Holdings = field(repr=False)
    assets: pd.Index = field(repr=False)

    def __repr__(self) -> str:
        n_dates, n_clusters = self.returns.shape
        head = f"{type(self).__name__}: {n_clusters} clusters, {n_dates} dates"
        if len(self.labels) > 1:
            head += f", {self.stability.mean():.0%} of the assets keep their label"
        return returns_text(head, self.returns, self.counts)

    def spread(
        self, long: Any, short: Any, name: str | None = None, *, neutral_to: ArrayLike = None
    ) -> pd.Series:
        r"""Return the return of one cluster minus that of another, a factor.

        Parameters
        ----------
        long : label
            The cluster held.
        short : label
            The cluster sold.
        name : str, default=None
            Name of the factor; ``None`` makes one from the labels.
        neutral_to : DataFrame of shape (n_dates, n_assets) or list of these, default=None
            Characteristics by date, such as log market capitalisation, to which the factor
            shall have no exposure; the last value dated at t−1 or before counts for the return
            of t. ``None`` takes the difference as it is.

        Returns
        -------
        Series of shape (n_dates,)
            The difference, ``NaN`` where one of the two is empty, or cannot be told from the
            characteristics.

        Raises
        ------
        ValueError
            If there is no such cluster.

        Notes
        -----
        A neutral spread is the slope :math:`b_t` of the regression over the assets of the two
        clusters that have a return, by weighted least squares,

        .. math:: r_{i,t} = a_t + b_t \, 1\{i \in \text{long}\} + c_t' x_{i,t-1} + e_{i,t},

        the return of a portfolio that is long 1 in one cluster and short 1 in the other with no
        exposure to :math:`x`. Without :math:`x` it is the difference of the two returns. Where
        no asset of one cluster is as large as any of the other, it rests on the line drawn
        between them.
        """
        title = f"{long} - {short}" if name is None else name
        self._check(long, short)
        if neutral_to is None:
            return (self.returns[long] - self.returns[short]).rename(title)
        frames = list(neutral_to) if isinstance(neutral_to, (list, tuple)) else [neutral_to]
        like = pd.DataFrame(index=self.returns.index, columns=self.assets, dtype=np.float64)
        before = previous(like.index)
        columns = [
            of_date_before(wide_frame(frame, "`neutral_to`"), like, before).ravel()
            for frame in frames
        ]
        held = self.holdings
        ends = self.returns.columns.get_indexer(pd.Index([long, short]))
        rows = np.isin(held.portfolio, ends) & (held.size > 0) & ~np.isnan(held.returns)
        for column in columns:
            rows &= ~np.isnan(column)
        weight = np.sqrt(held.size[rows])
        table = np.column_stack(
            [weight, weight * (held.portfolio[rows] == ends[0])]
            + [weight * column[rows] for column in columns]
        )
        found = regress_by_date(
            table,
            weight * held.returns[rows],
            held.date[rows],
            len(self.returns),
            fit_intercept=False,
            min_obs=table.shape[1] + 1,
        )
        return pd.Series(found.slopes[:, 1], self.returns.index, name=title)

    def vintages(self, long: Any, short: Any) -> pd.DataFrame:
        """Return the spread that the labels of each date make if they are kept from then on.

        How alike its columns are says whether the factor is the same whenever the clusters are
        made: ``portfolios.vintages(0, 3).corr(min_periods=12)``.

        Parameters
        ----------
        long : label
            The cluster held.
        short : label
            The cluster sold.

        Returns
        -------
        DataFrame of shape (n_dates, n_label_dates)
            A column for each date from which labels are known, ``NaN`` until then and where
            one of the two clusters is empty.

        Raises
        ------
        ValueError
            If there is no such cluster.
        """
        self._check(long, short)
        shape = self.holdings.shape[0], len(self.assets)
        returns = self.holdings.returns.reshape(shape)
        size = self.holdings.size.reshape(shape)
        takes_part = (size > 0) & ~np.isnan(returns)
        weight = np.where(takes_part, size, 0.0)
        earned = np.where(takes_part, size * returns, 0.0)
        before = previous(self.returns.index)
        columns = {}
        for since in self.labels.index:
            line = self.labels.loc[since].reindex(self.assets)
            ends = []
            for label in (long, short):
                inside = line.eq(label).fillna(False).to_numpy(dtype=np.float64)
                with np.errstate(invalid="ignore"):
                    ends.append((earned @ inside) / (weight @ inside))
            known = np.asarray(before >= since)
            columns[since] = np.where(known, ends[0] - ends[1], np.nan)
        return pd.DataFrame(columns, self.returns.index).rename_axis(columns="known_from")

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """Adjusted Rand index of the clusterings of any two dates, on the assets of both.

        1 for the same clusters, 0 for chance, whatever they are called; ``NaN`` for dates
        without a common asset.
        """
        dates = self.labels.index
        values = self.labels.to_numpy(dtype=object)
        has = self.labels.notna().to_numpy()
        codes = pd.factorize(values.ravel())[0].reshape(values.shape)
        found = np.full((len(dates), len(dates)), np.nan)
        for i, j in combinations_with_replacement(range(len(dates)), 2):
            both = has[i] & has[j]
            if both.any():
                found[i, j] = found[j, i] = adjusted_rand_score(codes[i, both], codes[j, both])
        return pd.DataFrame(found, dates, dates.rename("and"))

    def _check(self, *labels: Any) -> None:
        for label in labels:
            if label not in self.returns.columns:
                raise ValueError(
                    "The ends of a spread must be clusters, "
                    f"{join([repr(c) for c in self.returns.columns])}; got {label!r}."
                )
