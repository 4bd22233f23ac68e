"""The few things asked of a table, whether it is a pandas or a polars frame."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import IntArray
from skfactor._validation import join
from skfactor.panel._date_labels import date_readings, rises, rows_are_dates
from skfactor.panel._index import as_dates, show_date


def check_frame(frame: Any, name: str) -> None:
    """Raise a ``TypeError`` unless ``frame`` is a pandas or polars DataFrame."""
    if not isinstance(frame, pd.DataFrame) and not (is_polars(frame) and hasattr(frame, "row")):
        raise TypeError(f"{name} must be a pandas or polars DataFrame; got {type(frame).__name__}.")


def check_days_are_columns(X: Any) -> None:
    """Raise if a frame's rows are dates, or if its columns are dates that do not rise.

    Names that are not dates say nothing of their order, and pass.
    """
    if rows_are_dates(getattr(X, "index", None)):
        raise ValueError(
            "Rows of X must be assets and columns days; got a frame whose index holds dates. "
            "Pass X.T."
        )
    readings = date_readings(getattr(X, "columns", []))
    if readings and not any(map(rises, readings)):
        check_rising(as_dates(readings[0], "the columns of X"), "the columns of X")


def check_rising(dates: pd.Index, source: str) -> None:
    """Raise unless each date is later than the one before it."""
    if rises(dates):
        return
    late = int(np.argmax(~(dates[1:] > dates[:-1]))) + 1
    raise ValueError(
        f"Dates of {source} must rise, each once; got {show_date(dates[late])} after "
        f"{show_date(dates[late - 1])}. Sort them and drop repeated dates."
    )


def column_or_index(frame: Any, key: str, name: str) -> pd.Index:
    """Return the column ``key`` as an index, else the index of a pandas frame.

    An index without a name counts as ``key``, unless it holds integers: these are more likely
    the numbers of rows, of which a filter has left some.

    Raises
    ------
    ValueError
        If the frame has neither, and for missing entries.
    """
    if key in frame.columns:
        values = pd.Index(frame[key].to_numpy() if is_polars(frame) else frame[key])
    else:
        values = getattr(frame, "index", pd.RangeIndex(0))
        numbered = values.name is None and pd.api.types.is_integer_dtype(values.dtype)
        if numbered or isinstance(values, pd.MultiIndex) or values.name not in (key, None):
            raise ValueError(
                f"{name} must have {key!r} as a column or as its index; got the columns "
                f"{join([repr(column) for column in frame.columns])}{_said_of(values, key)}"
            )
    missing = np.flatnonzero(values.isna())
    if len(missing):
        raise ValueError(
            f"Each row of {name} must have its {key!r}; got {len(missing)} missing, in rows "
            f"{join(missing)}. Drop those rows."
        )
    return values


def _said_of(index: pd.Index, key: str) -> str:
    """Say what an index is that does not pass for ``key``, and what to do."""
    rename = f"rename_axis({key!r})"
    if isinstance(index, pd.MultiIndex):
        return ". Say which column it is by `on=`, or reset the index."
    if index.name is not None:
        return f"; its index is called {index.name!r}: {rename} if that is it."
    if len(index) and not index.equals(pd.RangeIndex(len(index))):
        return f", and integers without a name as its index: {rename} if that is it."
    return ". Say which column it is by `on=`."


def take_rows(frame: Any, rows: IntArray) -> Any:
    """Return the rows at the given positions, in that order."""
    return frame[rows] if is_polars(frame) else frame.iloc[rows]


def take_or_missing(column: pd.Series, at: np.ndarray) -> Any:
    """Return the values of a column at some positions, missing for -1."""
    return pd.Series(column.array).reindex(at).array
