"""The rows of a panel from the codes that its index holds already."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import IntArray
from skfactor.panel._index import (
    PanelIndex,
    as_assets,
    as_dates,
    date_level,
    factorize,
    has_panel_index,
    refuse_duplicates,
    resolve_panel,
)


def resolve_coded(
    X: Any, y: Any = None, dates: Any = None, assets: Any = None, *, required: bool = False
) -> PanelIndex:
    """Do what :func:`resolve_panel` does, and quickly where the index is that of both sides.

    A two-level index holds codes into its levels: sorting the levels costs nothing beside
    hashing every row.

    Parameters
    ----------
    X, y : as the user handed them in
        For their indexes.
    dates, assets : array-like of shape (n_rows,) or None
        As for :func:`resolve_panel`.
    required : bool, default=False
        Raise if there are no dates.

    Returns
    -------
    PanelIndex
        Date and asset of each row.

    Raises
    ------
    ValueError
        As :func:`resolve_panel` does.
    """
    if dates is None and assets is None and has_panel_index(X):
        other = getattr(y, "index", None)
        if not isinstance(other, pd.Index) or X.index.is_(other):
            found = _coded(X.index)
            if found is not None:
                return found
    return resolve_panel(X, y, dates, assets, required=required)


def _coded(index: pd.MultiIndex) -> PanelIndex | None:
    """Read the codes that a two-level index holds already, None if it takes more than that."""
    level = date_level(index, "X")
    if level is None or not len(index):
        return None
    codes = [np.asarray(index.codes[k], dtype=np.intp) for k in (level, 1 - level)]
    if any(c.min() < 0 for c in codes):
        return None
    levels = [index.levels[k] for k in (level, 1 - level)]
    n_dates, n_assets = map(len, levels)
    unique_pairs = False
    # Counting pairs needs no sort, but memory for every pair there could be.
    if n_dates * n_assets <= 8 * len(index):
        counts = np.bincount(codes[0] * n_assets + codes[1], minlength=n_dates * n_assets)
        unique_pairs = counts.max() == 1
        table = counts.reshape(n_dates, n_assets) > 0
        used = [np.flatnonzero(table.any(axis=1)), np.flatnonzero(table.any(axis=0))]
    else:
        used = [
            np.flatnonzero(np.bincount(c, minlength=len(values)))
            for c, values in zip(codes, levels, strict=True)
        ]
    (date, dates), (asset, assets) = (
        _recode(c, kind(values[kept]), kept, len(values))
        for c, values, kept, kind in zip(codes, levels, used, (as_dates, as_assets), strict=True)
    )
    if not unique_pairs or len(dates) < len(used[0]):
        refuse_duplicates(date, dates, asset, assets)
    return PanelIndex(len(index), date, dates, asset, assets)


def _recode(
    codes: IntArray, values: pd.Index, used: IntArray, n_values: int
) -> tuple[IntArray, pd.Index]:
    """Point codes into those values that are used, sorted."""
    places, unique = factorize(values)
    if len(used) == n_values and (places == np.arange(len(used))).all():
        return codes, unique
    recode = np.zeros(n_values, dtype=np.intp)
    recode[used] = places
    return recode[codes], unique
