"""Carrying values forward within an asset, and filling from the cross-section of a date."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor.preprocessing._statistics import nan_mean, nan_quantiles


@dataclass(frozen=True, eq=False)
class LastValues:
    """The last known value of each asset and column, and when it was seen.

    Parameters
    ----------
    values : ndarray of shape (n_assets, n_features)
        ``NaN`` where no value has been seen.
    positions : ndarray of shape (n_assets, n_features)
        The position in the calendar of the date on which it was seen; -1 for never.
    """

    values: FloatArray
    positions: IntArray

    def aligned(
        self, assets: pd.Index, calendar: pd.Index, new_assets: pd.Index, new_calendar: pd.Index
    ) -> "LastValues":
        """Return the same for other assets, on a calendar that holds the old one."""
        rows = assets.get_indexer(new_assets)
        positions = self.positions[rows]
        # Positions of -1 look up an arbitrary date, and are put back at once.
        moved = calendar_positions(calendar, new_calendar)[positions]
        moved[(positions < 0) | (rows < 0)[:, None]] = -1
        return LastValues(self.values[rows], moved)


def calendar_positions(dates: pd.Index, calendar: pd.Index) -> IntArray:
    """Return where each of ``dates`` stands in a calendar that contains them all."""
    return calendar.get_indexer(dates).astype(np.intp, copy=False)


def carry_forward(
    X: FloatArray,
    dates: IntArray,
    assets: IntArray,
    n_assets: int,
    limit: int | None,
    known: LastValues | None = None,
) -> tuple[FloatArray, LastValues]:
    """Fill each missing value by the last one of the same asset and column.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Values, ``NaN`` where missing; rows in any order.
    dates : ndarray of shape (n_rows,)
        The position of each row's date in the calendar.
    assets : ndarray of shape (n_rows,)
        The code of each row's asset, below ``n_assets``.
    n_assets : int
        The number of assets; each has a row at least.
    limit : int or None
        The most dates of the calendar between a value and the row that it fills.
    known : LastValues or None, default=None
        Values from elsewhere. One serves the rows dated after it, where ``X`` has no later
        value of the asset.

    Returns
    -------
    filled : ndarray of shape (n_rows, n_features)
        A copy of ``X`` with fewer missing values.
    last : LastValues
        What is known of each asset after the last row.
    """
    order = np.lexsort((dates, assets))
    asset, date = assets[order], dates[order]
    starts = np.searchsorted(asset, np.arange(n_assets))
    ends = np.append(starts[1:], len(asset)) - 1
    numbers = np.arange(len(asset))

    filled = X.copy()
    last_values = np.full((n_assets, X.shape[1]), np.nan, dtype=X.dtype)
    last_positions = np.full((n_assets, X.shape[1]), -1, dtype=np.intp)
    # One column at a time: the index arrays of a whole panel would outweigh the panel.
    for j in range(X.shape[1]):
        column = X[:, j][order]
        missing = np.isnan(column)
        source = np.maximum.accumulate(np.where(missing, -1, numbers))
        known_j = None if known is None else (known.values[:, j], known.positions[:, j])

        last_values[:, j], last_positions[:, j] = _latest(
            ends, column, source, asset, date, starts, known_j
        )
        gaps = np.flatnonzero(missing)
        value, seen = _latest(gaps, column, source, asset, date, starts, known_j)
        usable = seen >= 0 if limit is None else (seen >= 0) & (date[gaps] - seen <= limit)
        filled[order[gaps[usable]], j] = value[usable]
    return filled, LastValues(last_values, last_positions)


def _latest(
    rows: IntArray,
    column: FloatArray,
    source: IntArray,
    asset: IntArray,
    date: IntArray,
    starts: IntArray,
    known: tuple[FloatArray, IntArray] | None,
) -> tuple[FloatArray, IntArray]:
    """Return the last value up to each of ``rows`` of a sorted column, and its date; -1: none."""
    origin, owner = source[rows], asset[rows]
    own = origin >= starts[owner]
    value = np.where(own, column[origin], np.nan)
    seen = np.where(own, date[origin], -1)
    if known is not None:
        known_value, known_seen = known[0][owner], known[1][owner]
        later = (known_seen > seen) & (known_seen < date[rows])
        value, seen = np.where(later, known_value, value), np.where(later, known_seen, seen)
    return value, seen


def cross_section(X: FloatArray, strategy: str | None) -> FloatArray:
    """Return the statistic of each column, ``NaN`` where the column has no value."""
    if strategy == "median":
        return nan_quantiles(X, [0.5])[0]
    if strategy == "mean":
        return nan_mean(X)
    return np.full(X.shape[1], 0.0 if strategy == "zero" else np.nan)


def cross_sections(
    X: FloatArray, dates: IntArray, n_dates: int, strategy: str | None
) -> FloatArray:
    """Return the statistic of each column on each date, ``NaN`` for a date without rows."""
    order = np.argsort(dates, kind="stable")
    bounds = np.searchsorted(dates[order], np.arange(n_dates + 1))
    statistics = np.full((n_dates, X.shape[1]), np.nan)
    for date in np.flatnonzero(np.diff(bounds)):
        rows = order[bounds[date] : bounds[date + 1]]
        statistics[date] = cross_section(X[rows], strategy)
    return statistics


def latest_statistics(own: FloatArray, fitted: FloatArray) -> FloatArray:
    """Return the statistic that serves each date: its own, else the latest earlier one.

    Parameters
    ----------
    own : ndarray of shape (n_dates, n_features)
        Statistics of the rows at hand, by rising date, ``NaN`` where there is none.
    fitted : ndarray of shape (n_dates, n_features)
        Statistics learnt before, on the same calendar. They serve later dates only.

    Returns
    -------
    ndarray of shape (n_dates, n_features)
        ``NaN`` where nothing was known up to the date.
    """
    either = np.where(np.isnan(own), fitted, own)
    rows = np.where(np.isnan(either), -1, np.arange(len(either))[:, None])
    latest = np.maximum.accumulate(rows, axis=0)
    # Shifted by one date: what was known before the date itself.
    before = np.vstack([np.full((1, own.shape[1]), -1), latest[:-1]])
    earlier = np.where(before >= 0, np.take_along_axis(either, before, axis=0), np.nan)
    return np.where(np.isnan(own), earlier, own)


def fill(X: FloatArray, statistics: FloatArray, dates: IntArray | None) -> FloatArray:
    """Fill what is missing in ``X``, in place, and return it.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Changed in place.
    statistics : ndarray of shape (n_dates, n_features)
        A row for each date, or one row where there are no dates.
    dates : ndarray of shape (n_rows,) or None
        The row of ``statistics`` that serves each row of ``X``.
    """
    rows, columns = np.nonzero(np.isnan(X))
    X[rows, columns] = statistics[0 if dates is None else dates[rows], columns]
    return X
