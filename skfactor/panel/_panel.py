"""A long panel as the models read it: rows sorted by date, one slice a date."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils import get_tags

from skfactor._blocks import in_one_block, in_order, put_in_order
from skfactor._typing import FloatArray, IntArray
from skfactor._validation import (
    check_array,
    check_consistent_length,
    check_sample_weight,
    column_or_1d,
    validate_table,
)
from skfactor.panel._agreement import refuse_weights_of_other_rows
from skfactor.panel._index import resolve_panel


@dataclass(frozen=True, eq=False)
class Panel:
    """Rows of characteristics and returns, sorted by date and, where known, by asset.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Characteristics. The array handed in, not a copy, where its rows are sorted already.
    y : ndarray of shape (n_rows,) or None
        Returns, ``NaN`` where missing; None where there are none.
    starts : ndarray of shape (n_dates + 1,)
        Rows ``starts[t]`` to ``starts[t + 1]`` stand on date ``t``.
    dates : pandas.Index of shape (n_dates,) or None
        The dates in rising order; None for one undated cross-section.
    asset_codes : ndarray of shape (n_rows,) or None
        The position of each row's asset in ``assets``.
    assets : pandas.Index of shape (n_assets,) or None
        The unique assets, sorted; None where they are not known.
    weights : ndarray of shape (n_rows,) or None
        Weights of the rows.
    order : ndarray of shape (n_rows,) or None
        The row of the input that stands in each place; None if the input was sorted.
    whole : Panel or None
        The panel of which this is a part; None if it is not one.
    first : int
        The place of the first date in the whole.
    """

    X: FloatArray
    y: FloatArray | None
    starts: IntArray
    dates: pd.Index | None = None
    asset_codes: IntArray | None = None
    assets: pd.Index | None = None
    weights: FloatArray | None = None
    order: IntArray | None = None
    whole: "Panel | None" = None
    first: int = 0
    # What was made of this panel; a copy with other values begins with nothing.
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def root(self) -> "Panel":
        """The panel that this is a part of, or itself."""
        return self if self.whole is None else self.whole

    @property
    def places(self) -> slice:
        """The places of its dates in ``root``."""
        return slice(self.first, self.first + self.n_dates)

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.X)

    @property
    def n_dates(self) -> int:
        """The number of dates."""
        return len(self.starts) - 1

    @cached_property
    def date_codes(self) -> IntArray:
        """The date of each row, as a position."""
        return np.repeat(np.arange(self.n_dates), np.diff(self.starts))

    @property
    def returns(self) -> FloatArray:
        """The returns, where there must be some."""
        assert self.y is not None
        return self.y

    @cached_property
    def has_returns(self) -> np.ndarray:
        """Which dates have a return."""
        missing = np.isnan(self.returns)
        if not missing.any():
            return np.diff(self.starts) > 0
        # A running total, since sums between starts go wrong where a date is empty.
        seen = np.concatenate([[0], np.cumsum(~missing)])
        return np.diff(seen[self.starts]) > 0

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what is made of the panel, made once, however often it is asked for.

        Where the key holds the identity of something, what is made must keep that alive.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def sections(self) -> Iterator[slice]:
        """Yield the rows of each date."""
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            yield slice(int(start), int(stop))

    def restore(self, values: Any) -> Any:
        """Return values of the rows in the order of the input."""
        if self.order is None:
            return values
        restored = np.empty_like(values)
        restored[self.order] = values
        return restored

    def between(self, first: int, last: int) -> "Panel":
        """Return the dates from place ``first`` up to, not including, place ``last``."""
        rows = slice(int(self.starts[first]), int(self.starts[last]))

        def cut(values: Any) -> Any:
            return None if values is None else values[rows]

        return Panel(
            X=self.X[rows],
            y=cut(self.y),
            starts=self.starts[first : last + 1] - self.starts[first],
            dates=None if self.dates is None else self.dates[first:last],
            asset_codes=cut(self.asset_codes),
            assets=self.assets,
            weights=cut(self.weights),
            whole=self.root,
            first=self.first + first,
        )


def validate_panel(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    dates: Any = None,
    assets: Any = None,
    sample_weight: Any = None,
    reset: bool,
    returns: Literal["required", "optional", "none"] = "required",
    quiet: bool = False,
) -> Panel:
    """Validate characteristics and returns, and sort them by date.

    Parameters
    ----------
    estimator : estimator
        Receives or holds ``n_features_in_`` and ``feature_names_in_``.
    X : array-like of shape (n_rows, n_features)
        Characteristics known before the return is earned, without gaps unless the tags of
        the estimator allow them.
    y : array-like of shape (n_rows,), default=None
        Returns; ``NaN`` where the asset was known and its return is missing.
    dates, assets : array-like of shape (n_rows,), default=None
        As :func:`~skfactor.panel._index.resolve_panel` takes them.
    sample_weight : array-like of shape (n_rows,), default=None
        Weights of the rows.
    reset : bool
        True in ``fit``, False afterwards.
    returns : {"required", "optional", "none"}, default="required"
        Whether ``y`` is a target, of which at least one value must be known if it is required;
        with ``"none"`` it serves for its index alone.
    quiet : bool, default=False
        Do not warn of rows without dates.

    Returns
    -------
    Panel
        The rows sorted by date and asset.

    Raises
    ------
    ValueError
        For gaps that are not allowed and infinities in ``X``, infinities in ``y``, no returns
        at all, duplicate (date, asset) pairs, and indexes of ``X``, ``y`` and ``sample_weight``
        that disagree.
    """
    gathered, own = in_one_block(X)
    allow_nan = get_tags(estimator).input_tags.allow_nan
    table = validate_table(estimator, gathered, reset=reset, allow_nan=allow_nan)
    target = None
    if returns != "none":
        if y is None:
            raise ValueError(
                f"{type(estimator).__name__} requires y to be passed, but the target y is None. "
                "Give the excess return of each row of X."
            )
        target = validate_returns(y)
        check_consistent_length(table, target)
        if returns == "required" and np.isnan(target).all():
            raise ValueError("y must have at least one return; got none but NaN.")
    weights = None
    if sample_weight is not None:
        weights = check_sample_weight(sample_weight, table, ensure_non_negative=True)
        refuse_weights_of_other_rows(sample_weight, "sample_weight", X=X, y=y)
    index = resolve_panel(X, y, dates, assets, quiet=quiet)
    order, starts = _sorted_by_date(index.date_codes, index.asset_codes, len(table))

    def sort(values: Any) -> Any:
        return values if values is None or order is None else values[order]

    if order is not None and own is not None:
        put_in_order(own, order)
        table = own
    elif order is not None:
        table = in_order(table, order)
    return Panel(
        X=table,
        y=sort(target),
        starts=starts,
        dates=index.dates,
        asset_codes=sort(index.asset_codes),
        assets=index.assets,
        weights=sort(weights),
        order=order,
    )


def validate_returns(y: Any) -> FloatArray:
    """Return one series of returns as float64, ``NaN`` allowed and infinities refused."""
    values = check_array(
        y, ensure_2d=False, dtype=None, ensure_all_finite="allow-nan", input_name="y"
    )
    series: FloatArray = column_or_1d(values, warn=True).astype(np.float64)
    return series


def _sorted_by_date(
    dates: IntArray | None, assets: IntArray | None, n_rows: int
) -> tuple[IntArray | None, IntArray]:
    """Return the order that sorts rows by date and asset, and where each date begins."""
    if dates is None:
        return None, np.array([0, n_rows], dtype=np.intp)
    counts = np.bincount(dates)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    step = np.diff(dates)
    in_order = step >= 0 if assets is None else (step > 0) | ((step == 0) & (np.diff(assets) > 0))
    if in_order.all():
        return None, starts
    if assets is None:
        return np.argsort(dates, kind="stable"), starts
    return np.lexsort((assets, dates)), starts
