"""Date and asset of each row of a panel, as codes."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor._validation import join
from skfactor.panel._coded import resolve_coded
from skfactor.panel._index import has_panel_index
from skfactor.panel._values import numbers


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
    panel = resolve_coded(X, y, dates, assets, required=True)
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
