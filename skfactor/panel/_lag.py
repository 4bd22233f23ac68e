"""What was known some dates ago."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import ArrayLike, IntArray
from skfactor._validation import check_count
from skfactor.panel._coded import resolve_coded
from skfactor.panel._dense import require_assets
from skfactor.panel._index import as_dates, date_kind, show_date


def lag(
    X: ArrayLike,
    periods: int = 1,
    *,
    dates: Any = None,
    assets: Any = None,
    calendar: Any = None,
) -> Any:
    """Give each row the values that the same asset had some dates earlier.

    Dates are counted on the calendar of the panel, not over the rows of the asset: if the
    asset had no row on the date asked for, the values are missing, however long its history.
    Nothing stale comes from before a gap.

    Parameters
    ----------
    X : DataFrame, Series, polars DataFrame or array of shape (n_rows, n_features)
        The panel, rows in any order, columns of any type.
    periods : int, default=1
        How many dates to go back; 0 changes nothing.
    dates : array-like of shape (n_rows,), default=None
        The date of each row, where ``X`` has no (date, asset) index.
    assets : array-like of shape (n_rows,), default=None
        The asset of each row, likewise.
    calendar : array-like of shape (n_calendar,), default=None
        All dates that count, for panels that lack some of them altogether. ``None`` takes the
        dates that occur in ``X``.

    Returns
    -------
    DataFrame, Series, polars DataFrame or ndarray
        Of the kind, the shape, the order and the index of ``X``, missing where nothing is
        known. Whole numbers become floats where that is needed to hold a missing value.

    Raises
    ------
    ValueError
        If dates or assets are not found, a (date, asset) pair appears twice, ``calendar``
        lacks a date of ``X``, or ``periods`` is negative: that would look ahead.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.panel import lag
    >>> index = pd.MultiIndex.from_tuples(
    ...     [(202401, "A"), (202401, "B"), (202402, "B"), (202403, "A"), (202403, "B")],
    ...     names=["date", "asset"],
    ... )
    >>> size = pd.Series([1.0, 5.0, 6.0, 2.0, 7.0], index=index, name="size")
    >>> lag(size).to_list()  # A was not there in February
    [nan, nan, 5.0, nan, 6.0]
    """
    check_count(periods, "periods", 0, "A negative lag would look ahead.")
    panel = resolve_coded(X, None, dates, assets, required=True)
    date, asset = require_assets(panel)
    assert panel.dates is not None
    assert panel.assets is not None
    if calendar is not None:
        date = _positions(panel.dates, calendar)[date]
    source = rows_before(date, asset, len(panel.assets), int(periods))
    return _take(X, source)


def rows_before(date: IntArray, asset: IntArray, n_assets: int, periods: int) -> IntArray:
    """Return the row of the same asset so many dates earlier, -1 where there is none.

    Parameters
    ----------
    date, asset : ndarray of shape (n_rows,)
        Positions of dates in a calendar, and codes of assets; no pair appears twice.
    n_assets : int
        The number of assets.
    periods : int
        How many dates to go back.

    Returns
    -------
    ndarray of shape (n_rows,)
        Positions of rows.
    """
    pair = date.astype(np.int64) * n_assets + asset
    order: IntArray | None = None
    if len(pair) and (np.diff(pair) < 0).any():
        order = np.argsort(pair, kind="stable")
    ordered = pair if order is None else pair[order]
    wanted = pair - periods * n_assets
    place = np.minimum(np.searchsorted(ordered, wanted), len(pair) - 1)
    found = ordered[place] == wanted
    return np.where(found, place if order is None else order[place], -1)


def _positions(dates: pd.Index, calendar: Any) -> IntArray:
    """Return where dates stand in a calendar that must have them all."""
    known = as_dates(calendar, "`calendar`").unique().sort_values()
    if date_kind(known) != date_kind(dates):
        raise ValueError(
            f"`calendar` must have dates of the kind of X, {date_kind(dates)}; got "
            f"{date_kind(known)}. Convert one of them."
        )
    positions = known.get_indexer(dates)
    absent = dates[positions < 0]
    if len(absent):
        raise ValueError(
            f"`calendar` must have every date of X; got {len(absent)} that it lacks, first "
            f"{show_date(absent[0])}."
        )
    return positions.astype(np.intp, copy=False)


def _take(X: Any, source: IntArray) -> Any:
    """Return the rows at ``source``, missing where it is -1, with the index of ``X``."""
    known = source >= 0
    if isinstance(X, pd.DataFrame) and set(X.dtypes) in ({np.dtype("f4")}, {np.dtype("f8")}):
        # One block of floats: one copy is enough.
        return pd.DataFrame(_take(X.to_numpy(), source), X.index, X.columns, copy=False)
    if isinstance(X, (pd.DataFrame, pd.Series)):
        taken = X.take(source).set_axis(X.index, axis=0)
        return taken if known.all() else taken.where(pd.Series(known, index=X.index), axis=0)
    if is_polars(X):
        import polars as pl

        rows = pl.Series(source).set(pl.Series(~known), None)
        return X.gather(rows) if isinstance(X, pl.Series) else X.select(pl.all().gather(rows))
    values = np.asarray(X)[source]
    if not known.all():
        if values.dtype.kind in "biu":
            values = values.astype(np.float64)
        values[~known] = np.nan
    return values
