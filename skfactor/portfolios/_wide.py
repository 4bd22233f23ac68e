"""Returns and market values as wide frames: dates in rows, assets in columns."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray
from skfactor._validation import join
from skfactor.panel._index import as_dates, factorize, read_index, refuse_duplicates
from skfactor.panel._values import wide_values
from skfactor.portfolios._periods import stamps


def wide_frame(frame: Any, name: str) -> pd.DataFrame:
    """Return a copy as floats, sorted by date; long panels with one column are unstacked.

    Raises
    ------
    TypeError
        If it is not a pandas object.
    ValueError
        For an index without dates, repeated dates or assets, text and infinities.
    """
    if not isinstance(frame, (pd.DataFrame, pd.Series)):
        raise TypeError(
            f"{name} must be a pandas DataFrame with dates in rows and assets in columns, or a "
            f"Series with a (date, asset) index; got {type(frame).__name__}."
        )
    if isinstance(frame.index, pd.MultiIndex):
        frame = _unstack(frame, name)
    elif isinstance(frame, pd.Series):
        frame = frame.to_frame()
    dates = stamps(as_dates(frame.index, f"the index of {name}"), f"The dates of {name}")
    return wide_values(frame, dates, name)


def of_date_before(frame: pd.DataFrame, like: pd.DataFrame, before: pd.Index) -> FloatArray:
    """Return the values last known at ``before``, in the columns of ``like``."""
    at = np.full(len(before), -1)
    known = before.notna()
    at[known] = frame.index.searchsorted(before[known], side="right") - 1
    values = frame.reindex(columns=like.columns).to_numpy()
    if not len(values):
        return np.full((len(before), like.shape[1]), np.nan)
    return np.where((at >= 0)[:, None], values[at], np.nan)


def _unstack(frame: pd.DataFrame | pd.Series, name: str) -> pd.DataFrame:
    found = read_index(frame, name)
    if isinstance(frame, pd.DataFrame) and frame.shape[1] == 1:
        frame = frame.iloc[:, 0]
    if found is None or found[1] is None or isinstance(frame, pd.DataFrame):
        columns = frame.columns if isinstance(frame, pd.DataFrame) else [frame.name]
        raise ValueError(
            f"{name} as a long panel must be one column with a (date, asset) index; got the levels "
            f"{join([repr(level) for level in frame.index.names])} and the columns "
            f"{join([repr(column) for column in columns])}."
        )
    refuse_duplicates(*factorize(found[0]), *factorize(found[1]), name)
    index = pd.MultiIndex.from_arrays([found[0], found[1]], names=["date", "asset"])
    return pd.Series(frame.to_numpy(), index).unstack()
