"""Portfolios sorted on characteristics."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import listed
from skfactor.panel._values import numbers
from skfactor.portfolios._breakpoints import Codes, labels, lay_out, sort_lines
from skfactor.portfolios._calendar import CALENDARS, sources
from skfactor.portfolios._result import SortedPortfolios
from skfactor.portfolios._returns import Holdings
from skfactor.portfolios._rows import Rows, number_column, panel_rows
from skfactor.preprocessing._frames import check_frame

_MOST_PORTFOLIOS = 10_000


@dataclass(frozen=True)
class PortfolioSort:
    r"""Sort assets into portfolios by their characteristics, date by date.

    A recipe, not an estimator: a sort learns nothing from one date that it uses on another,
    and it turns rows that are (date, asset) pairs into rows that are dates.

    Parameters
    ----------
    by : str or sequence of str
        Columns to sort on, the outer one first.
    quantiles : int, sequence of float, or list of these, default=5
        Number of portfolios with equally spaced breakpoints, or the breakpoints as
        probabilities, such as ``(0.3, 0.7)``. With several columns in ``by``, a list with an
        entry for each: ``[2, (0.3, 0.7)]`` is the 2×3 sort of [1]_.
    method : {"independent", "dependent"}, default="independent"
        With several columns, ``"independent"`` takes the breakpoints of each from all
        assets; ``"dependent"`` takes those of a column within each portfolio of the columns
        before it.
    breakpoints : str, default=None
        Column of booleans (or 0 and 1) that marks the assets from which breakpoints are
        taken, such as those listed on the NYSE. ``None`` takes all.
    weights : str, default=None
        Column that portfolio weights are proportional to, such as the market capitalisation
        at the end of t−1. Read in each row, so that between two formations holdings drift
        with it. ``None`` weights equally, anew on each date.
    rebalance : str, default="every"
        When portfolios are formed anew: ``"every"`` date, the first date of each month
        (``"monthly"``), or the first date of a month by its English name in lower case, once
        a year. It is the month that earns the first return: ``"july"`` forms at the end of
        June, as in [1]_. In between, an asset keeps its portfolio for as long as it has rows.
    lag : int, default=0
        Form from the rows of this many dates earlier. With 0 the characteristics are those in
        the row whose return is earned, which by the contract of a panel are known at t−1.
    ties : {"up", "down"}, default="up"
        Where an asset goes that is equal to a breakpoint.
    min_assets : int, default=None
        The fewest assets from which breakpoints are taken; a date with fewer forms no
        portfolios (in a dependent sort: a portfolio with fewer is not split and drops out).
        ``None`` takes the number of portfolios that the breakpoints make.
    long : {"high", "low"} or list of these, default="high"
        The long end of each spread. SMB is long the small ones: ``"low"``.

    See Also
    --------
    SortedPortfolios : What ``sort`` returns.
    fundamental_factors : LIQ, LEV and OE from accounts and returns.

    Notes
    -----
    Portfolio :math:`p` of date :math:`t` holds the assets :math:`P_{p,t}` that stood between
    its breakpoints at the last formation and have a weight above zero. It earns the weighted
    mean of the returns observed:

    .. math:: R_{p,t} = \sum_{i \in P_{p,t}} w_{i,t-1} r_{i,t} \Big/ \sum_{i \in P_{p,t}} w_{i,t-1},

    both sums over the assets whose return of :math:`t` is there. Portfolios are formed at
    :math:`t-1`, when nobody knows which returns will be missing: breakpoints, weights, counts
    and turnover are those of all assets held, and a missing return counts as what the rest of
    its portfolio earned.

    Breakpoints are linearly interpolated quantiles of the assets that have the characteristic.
    Where an asset has no value in a column of ``by`` when portfolios are formed, it belongs to
    none until the next formation. A company that dies earns what its last row says: put the
    delisting return there, or the portfolios are too good. With ties everywhere (all assets
    equal) all go to one end and the other portfolios are empty: their returns are ``NaN``, their
    counts 0. A portfolio of one asset is a portfolio; ``counts`` tells.

    References
    ----------
    .. [1] E. F. Fama and K. R. French, "Common risk factors in the returns on stocks and
       bonds", Journal of Financial Economics 33, 3–56, 1993.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.portfolios import PortfolioSort
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.date_range("2020-01-31", periods=24, freq="ME")
    >>> index = pd.MultiIndex.from_product([dates, range(100)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.lognormal(size=(2400, 2)), index, columns=["size", "value"])
    >>> y = pd.Series(0.01 * rng.normal(size=2400) + 0.01 * np.log(X["value"]), index)
    >>> recipe = PortfolioSort(["size", "value"], [2, (0.3, 0.7)], weights="size")
    >>> portfolios = recipe.sort(X, y)
    >>> portfolios.returns.columns.to_list()[:3]
    ['size1 value1', 'size1 value2', 'size1 value3']
    >>> float(portfolios.spreads["value"].mean().round(3))
    0.024
    """

    by: str | Sequence[str]
    quantiles: int | Sequence[Any] = 5
    method: Literal["independent", "dependent"] = "independent"
    breakpoints: str | None = None
    weights: str | None = None
    rebalance: str = "every"
    lag: int = 0
    ties: Literal["up", "down"] = "up"
    min_assets: int | None = None
    long: str | Sequence[str] = "high"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("method", ("independent", "dependent")),
            ("ties", ("up", "down")),
            ("rebalance", CALENDARS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"`{name}` must be one of {listed(allowed)}; got {getattr(self, name)!r}."
                )
        for name, least in (("lag", 0), ("min_assets", 1)):
            value = getattr(self, name)
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            if not (name == "min_assets" and value is None) and not (whole and value >= least):
                raise ValueError(f"`{name}` must be an int of at least {least}; got {value!r}.")
        names = self._names()
        if not names or len(set(names)) < len(names):
            raise ValueError(f"`by` must name one or more different columns; got {self.by!r}.")
        n_portfolios = np.prod([len(levels) + 1 for levels in self._probabilities()])
        if n_portfolios > _MOST_PORTFOLIOS:
            raise ValueError(
                f"`quantiles` must make at most {_MOST_PORTFOLIOS} portfolios; got {n_portfolios}."
            )
        self._signs()

    def sort(
        self, X: ArrayLike, y: ArrayLike, *, dates: ArrayLike = None, assets: ArrayLike = None
    ) -> SortedPortfolios:
        """Form the portfolios and compute their returns.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns)
            A panel, pandas or polars, rows in any order: characteristics known at t−1.
        y : array-like of shape (n_rows,) or str
            Return of t in each row, ``NaN`` where missing; or the column of ``X`` that holds
            it.
        dates : array-like of shape (n_rows,), default=None
            Date of each row, where ``X`` has no (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            Asset of each row, where ``X`` has no (date, asset) index.

        Returns
        -------
        SortedPortfolios
            Portfolio returns, spreads, counts, turnover, assignments and weights.

        Raises
        ------
        TypeError
            If ``X`` is not a DataFrame.
        ValueError
            If date or asset are missing or a pair appears twice; for columns that are not
            there, hold text or infinities; and for weights below zero.
        """
        check_frame(X, "X")
        rows = panel_rows(X, None if isinstance(y, str) else y, dates, assets)
        returns = number_column(X, y, "y") if isinstance(y, str) else numbers(y, "y")
        if len(returns) != len(rows.date):
            raise ValueError(
                f"y must have one return for each of the {len(rows.date)} rows of X; "
                f"got {len(returns)}."
            )
        holdings = Holdings(
            portfolio=self._portfolios(X, rows),
            size=self._sizes(X, rows),
            returns=returns,
            date=rows.date,
            asset=rows.asset,
            shape=(len(rows.dates), int(np.prod(self._shape()))),
            n_assets=len(rows.assets),
        )
        columns = pd.Index(labels(self._names(), self._shape()), name="portfolio")
        dated = rows.dates.rename("date")
        values = holdings.portfolio_returns
        return SortedPortfolios(
            returns=pd.DataFrame(values, dated, columns),
            spreads=pd.DataFrame(self._spreads(values), dated, list(self._names())),
            counts=pd.DataFrame(holdings.counts(), dated, columns),
            holdings=holdings,
            index=rows.index,
        )

    def _portfolios(self, X: Any, rows: Rows) -> Codes:
        """Return the portfolio of each row, -1 for none."""
        source = sources(rows.dates, self.rebalance, self.lag)
        if (source == np.arange(len(source))).all():
            return self._form(X, rows.date, len(rows.dates), None)
        used = np.unique(source[source >= 0])
        line = np.full(len(rows.dates), -1, dtype=np.intp)
        line[used] = np.arange(len(used))
        forming = np.flatnonzero(line[rows.date] >= 0)
        lines = line[rows.date[forming]]
        # An asset keeps what it got when portfolios were last formed. The last line is for
        # dates before the first formation.
        table = np.full((len(used) + 1, len(rows.assets)), -1, dtype=np.int16)
        table[lines, rows.asset[forming]] = self._form(X, lines, len(used), forming)
        of_date = np.where(source >= 0, line[source], len(used))
        return table[of_date[rows.date], rows.asset]

    def _form(self, X: Any, lines: IntArray, n_lines: int, forming: IntArray | None) -> Codes:
        """Return the portfolio of each row that portfolios are formed from; None for all."""
        layout = lay_out(lines, n_lines)
        rows = slice(None) if forming is None else forming
        values = [
            layout.spread(number_column(X, name, "by")[rows], np.nan) for name in self._names()
        ]
        reference = None
        if self.breakpoints is not None:
            marks = number_column(X, self.breakpoints, "breakpoints")
            if not np.isin(marks, (0.0, 1.0)).all():
                raise ValueError(
                    f"`breakpoints` must name a column of booleans, none missing; got other "
                    f"values in {self.breakpoints!r}."
                )
            reference = layout.spread(marks[rows] == 1.0, False)
        return layout.gather(
            sort_lines(
                values,
                reference,
                self._probabilities(),
                dependent=self.method == "dependent",
                ties_up=self.ties == "up",
                min_count=[self.min_assets or n for n in self._shape()],
            )
        )

    def _sizes(self, X: Any, rows: Rows) -> FloatArray:
        if self.weights is None:
            return np.ones(len(rows.date))
        sizes = number_column(X, self.weights, "weights")
        if (sizes < 0).any():
            raise ValueError(
                f"`weights` must not be negative; got {sizes.min():g} in column {self.weights!r}. "
                "Give a missing value to rows that should take no part."
            )
        return sizes

    def _spreads(self, values: FloatArray) -> FloatArray:
        """Return long minus short end of each variable, averaged over the levels of the others."""
        cube = values.reshape(len(values), *self._shape())
        spreads = np.empty((len(values), len(self._names())))
        for k, sign in enumerate(self._signs()):
            ends = np.moveaxis(cube, k + 1, 1).reshape(len(values), cube.shape[k + 1], -1)
            spreads[:, k] = sign * (ends[:, -1].mean(axis=1) - ends[:, 0].mean(axis=1))
        return spreads

    def _names(self) -> tuple[str, ...]:
        return (self.by,) if isinstance(self.by, str) else tuple(self.by)

    def _shape(self) -> list[int]:
        return [len(levels) + 1 for levels in self._probabilities()]

    def _probabilities(self) -> list[FloatArray]:
        names = self._names()
        given: Any = self.quantiles
        entries = [given]
        if len(names) > 1:
            entries = [given] * len(names) if isinstance(given, Integral) else list(given)
        elif isinstance(given, list) and len(given) == 1 and not isinstance(given[0], float):
            entries = given
        if len(entries) != len(names):
            raise ValueError(
                f"`quantiles` must have an entry for each of the {len(names)} columns of `by`; "
                f"got {self.quantiles!r}."
            )
        return [_probabilities(entry) for entry in entries]

    def _signs(self) -> list[float]:
        names = self._names()
        ends = [self.long] * len(names) if isinstance(self.long, str) else list(self.long)
        if len(ends) != len(names) or any(end not in ("high", "low") for end in ends):
            raise ValueError(
                f"`long` must be 'high' or 'low', or a list with one of them for each of the "
                f"{len(names)} columns of `by`; got {self.long!r}."
            )
        return [1.0 if end == "high" else -1.0 for end in ends]


def _probabilities(entry: Any) -> FloatArray:
    """Return breakpoints as probabilities, from their number or from themselves."""
    if isinstance(entry, (int, np.integer)) and entry >= 2:
        return np.arange(1, int(entry)) / int(entry)
    if not isinstance(entry, (str, Real)):
        levels = np.asarray(entry, dtype=np.float64)
        inside = levels.ndim == 1 and len(levels) and (levels > 0).all() and (levels < 1).all()
        if inside and (np.diff(levels) > 0).all():
            return levels
    raise ValueError(
        "`quantiles` must be a number of portfolios, at least 2, or rising probabilities "
        f"between 0 and 1, for each column of `by`; got {entry!r}."
    )
