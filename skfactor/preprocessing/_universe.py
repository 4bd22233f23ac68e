"""The assets that trade enough to be in a study."""

import itertools
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import check_count, join
from skfactor.panel._agreement import refuse_other_rows
from skfactor.panel._coded import resolve_coded
from skfactor.panel._dense import require_assets
from skfactor.panel._index import has_panel_index
from skfactor.panel._lag import rows_before
from skfactor.panel._values import numbers


def liquid_universe(
    X: ArrayLike,
    n_assets: int,
    *,
    by: str | ArrayLike,
    lag: int = 1,
    buffer: int = 0,
    dates: Any = None,
    assets: Any = None,
) -> pd.Series:
    """Mark the most liquid assets of each date by what was known before.

    Parameters
    ----------
    X : DataFrame or array of shape (n_rows, n_features)
        A panel, rows in any order.
    n_assets : int
        The number of assets to keep on each date; fewer where fewer have a known liquidity.
    by : str or array-like of shape (n_rows,)
        Liquidity, such as the value traded or the market capitalisation: a column of ``X``, or
        a value for each row, of the index of ``X`` if it is a pandas object. More is more
        liquid; ``NaN`` where missing.
    lag : int, default=1
        How many dates of the panel ago the liquidity was read. 1 suits a column that holds
        what was traded on the date itself; 0 one whose rows hold what was known before, as
        characteristics do.
    buffer : int, default=0
        An asset stays as long as its rank is at most ``n_assets + buffer``, and others take
        the places that are left. It keeps assets near the edge from moving in and out.
    dates : array-like of shape (n_rows,), default=None
        The date of each row, where ``X`` has no (date, asset) index.
    assets : array-like of shape (n_rows,), default=None
        The asset of each row, likewise.

    Returns
    -------
    Series of bool, of shape (n_rows,)
        ``True`` for the rows to keep, in the order and with the index of ``X``; with a (date,
        asset) index made of the arguments where ``X`` has none. A pandas ``X[mask]`` and a
        polars ``X.filter(mask.to_numpy())`` keep the rows.

    Raises
    ------
    ValueError
        If dates or assets are not found, a (date, asset) pair appears twice, or the liquidity
        is not a number or infinite.

    Notes
    -----
    The most liquid are counted among the assets that have a row on the date and had a known
    liquidity ``lag`` dates earlier, on the calendar of the dates in ``X``. On the first
    ``lag`` dates nothing is known and nobody is in. Of equally liquid assets the one whose
    identifier sorts first goes first.

    With a ``buffer``, membership runs through time: who is in on a date depends on earlier
    dates, never on later ones. An asset without a row on a date is out.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.preprocessing import liquid_universe
    >>> index = pd.MultiIndex.from_product([[202401, 202402], list("ABC")], names=["date", "asset"])
    >>> X = pd.DataFrame({"traded": [5.0, 9.0, 7.0, 8.0, 1.0, 2.0]}, index=index)
    >>> X[liquid_universe(X, 2, by="traded")]
                  traded
    date   asset
    202402 B         1.0
           C         2.0
    """
    for name, value, least in (("n_assets", n_assets, 1), ("lag", lag, 0), ("buffer", buffer, 0)):
        check_count(value, name, least)
    panel = resolve_coded(X, None, dates, assets, required=True)
    date, asset = require_assets(panel)
    assert panel.dates is not None
    assert panel.assets is not None
    liquidity = _liquidity(X, by, panel.n_rows)
    if lag:
        source = rows_before(date, asset, len(panel.assets), lag)
        liquidity = np.where(source >= 0, liquidity[source], np.nan)
    mask = _most_liquid(liquidity, date, asset, (n_assets, buffer, len(panel.assets)))
    if has_panel_index(X):
        index = X.index
    else:
        levels: Any = [panel.dates, panel.assets]
        index = pd.MultiIndex(levels, [date, asset], names=["date", "asset"])
    return pd.Series(mask, index=index, name="liquid")


def _most_liquid(
    liquidity: FloatArray, date: IntArray, asset: IntArray, sizes: tuple[int, int, int]
) -> np.ndarray:
    """Return which rows are in; ``sizes`` are places, buffer and number of assets."""
    n_places, buffer, n_assets = sizes
    known = np.flatnonzero(~np.isnan(liquidity))
    order = known[np.lexsort((asset[known], -liquidity[known], date[known]))]
    bounds = np.searchsorted(date[order], np.arange(date.max(initial=-1) + 2))
    mask = np.zeros(len(liquidity), dtype=bool)
    member = np.zeros(n_assets, dtype=bool)
    for start, stop in itertools.pairwise(bounds):
        rows = order[start:stop]
        if buffer:
            stays = rows[: n_places + buffer]
            stays = stays[member[asset[stays]]][:n_places]
            inside = np.isin(rows, stays)
            entering = rows[~inside][: n_places - len(stays)]
            rows = np.concatenate([stays, entering])
            member[:] = False
            member[asset[rows]] = True
        else:
            rows = rows[:n_places]
        mask[rows] = True
    return mask


def _liquidity(X: Any, by: Any, n_rows: int) -> FloatArray:
    """Return the liquidity of each row as floats."""
    what = "`by`"
    if isinstance(by, str):
        columns = getattr(X, "columns", None)
        if columns is None or by not in columns:
            have = "no names" if columns is None else join([repr(name) for name in columns])
            raise ValueError(
                f"`by` must name a column of X or hold a value for each row; got {by!r}, and the "
                f"columns of X: {have}."
            )
        what, by = f"column {by!r}", X[by]
    else:
        refuse_other_rows(X, by, ("X", "by"))
    values = numbers(by, what)
    if values.shape != (n_rows,):
        raise ValueError(
            f"`by` must have one value for each of the {n_rows} rows of X; got shape "
            f"{values.shape}."
        )
    return values
