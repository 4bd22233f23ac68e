"""Date and asset of each row of a panel, as codes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor._validation import join
from skfactor.panel._index import (
    as_assets,
    as_dates,
    date_level,
    factorize,
    has_panel_index,
    refuse_duplicates,
    resolve_panel,
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Codes of date and asset into sorted unique values."""

    date: IntArray
    dates: pd.Index
    asset: IntArray
    assets: pd.Index
    index: pd.MultiIndex


def panel_rows(X: Any, y: Any, dates: Any, assets: Any) -> Rows:
    """Find date and asset of each row; both are needed.

    Raises
    ------
    ValueError
        If dates or assets are not found, or a (date, asset) pair appears twice.
    """
    if dates is None and assets is None and has_panel_index(X):
        other = getattr(y, "index", None)
        if not isinstance(other, pd.Index) or X.index.is_(other):
            rows = _coded(X.index)
            if rows is not None:
                return rows
    panel = resolve_panel(X, y, dates, assets, required=True)
    if panel.date_codes is None or panel.dates is None:  # resolve_panel has raised
        raise AssertionError("dates were required")
    if panel.asset_codes is None or panel.assets is None:
        raise ValueError(
            "Each row of X must have its asset; got dates alone. Give X a (date, asset) index, "
            "or pass `assets=`."
        )
    if has_panel_index(X) and dates is None and assets is None:
        index = X.index
    else:
        levels: Any = [panel.dates, panel.assets]
        codes: Any = [panel.date_codes, panel.asset_codes]
        index = pd.MultiIndex(levels, codes, names=["date", "asset"])
    return Rows(panel.date_codes, panel.dates, panel.asset_codes, panel.assets, index)


def _coded(index: pd.MultiIndex) -> Rows | None:
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
    return Rows(date, dates, asset, assets, index)


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


def number_column(frame: Any, name: str, use: str, source: str = "X") -> FloatArray:
    """Return a column of a pandas or polars frame as floats, missing values as ``NaN``.

    Raises
    ------
    ValueError
        If there is no such column, or it holds text or infinities.
    """
    if name not in frame.columns:
        columns = join([repr(column) for column in frame.columns])
        raise ValueError(f"`{use}` must name columns of {source}, {columns}; got {name!r}.")
    return numbers(frame[name], f"column {name!r} of {source}")


def numbers(values: Any, what: str) -> FloatArray:
    """Return one-dimensional values as floats, missing ones as ``NaN``."""
    try:
        if isinstance(values, pd.Series):
            array = values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must hold numbers; got {_kind(values)}.") from error
    if array.ndim == 2 and array.size == len(array):
        array = array.ravel()
    if array.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional; got shape {array.shape}.")
    if np.isinf(array).any():
        raise ValueError(
            f"{what} must be finite or NaN; got infinity, first in row "
            f"{int(np.isinf(array).argmax())}. Replace infinities, for instance by NaN."
        )
    return array


def _kind(values: Any) -> str:
    return f"dtype {values.dtype}" if hasattr(values, "dtype") else type(values).__name__
