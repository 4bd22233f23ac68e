"""Returns and what a model makes of them, checked and paired row by row."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import ArrayLike, FloatArray
from skfactor.panel._agreement import refuse_other_rows
from skfactor.panel._calendar import align_to_dates, common_keys, dates_of
from skfactor.panel._index import has_panel_index, read_index


def returns_array(values: ArrayLike, name: str) -> FloatArray:
    """Return numbers as float64 of one or two dimensions, ``NaN`` allowed.

    Raises
    ------
    ValueError
        For text, infinities and other shapes.
    """
    if hasattr(values, "to_numpy") and not isinstance(values, np.ndarray):
        values = values.to_numpy()
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must hold numbers; got {type(values).__name__}.") from error
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"`{name}` must be one-dimensional, or have dates in rows and assets in columns, and "
            f"not be empty; got shape {array.shape}."
        )
    if np.isinf(array).any():
        raise ValueError(
            f"`{name}` must be finite or NaN; got infinity, first in row "
            f"{int(np.argwhere(np.isinf(array))[0, 0])}. Replace infinities, for instance by NaN."
        )
    return array


def paired(
    y_true: ArrayLike, y_fit: ArrayLike, names: tuple[str, str] = ("y_true", "y_fit")
) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Return two arrays of one shape, and where the first has a value.

    Raises
    ------
    ValueError
        For shapes or indexes that differ, no value at all, and a gap in the second where the
        first has a value.
    """
    true, fit = returns_array(y_true, names[0]), returns_array(y_fit, names[1])
    if true.ndim != fit.ndim and true.size == fit.size and 1 in (true.shape + fit.shape):
        true, fit = true.ravel(), fit.ravel()
    if true.shape != fit.shape:
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have one shape; got {true.shape} and {fit.shape}."
        )
    refuse_other_rows(y_true, y_fit, names, columns=True)
    observed = ~np.isnan(true)
    if not observed.any():
        raise ValueError(f"`{names[0]}` must have at least one value; got none but NaN.")
    gaps = observed & np.isnan(fit)
    if gaps.any():
        raise ValueError(
            f"`{names[1]}` must have a value wherever `{names[0]}` has one; got {gaps.sum()} "
            f"gaps, first in row {int(np.argwhere(gaps)[0, 0])}. Fill them, or set those rows of "
            f"`{names[0]}` to NaN."
        )
    return true, fit, observed


def baseline_of(baseline: ArrayLike | None, y_true: Any, true: FloatArray) -> FloatArray:
    """Return what returns are compared with, in their shape or one that broadcasts to it."""
    if baseline is None:
        return np.zeros(())
    if np.isscalar(baseline):
        return returns_array([baseline], "baseline")[0]
    if not has_panel_index(baseline):
        by_date = _baseline_by_date(baseline, y_true)
        if by_date is not None:
            return by_date
    values = returns_array(baseline, "baseline")
    if values.shape != true.shape:
        raise ValueError(
            "`baseline` must be None, a number, one value for each return, or a Series by date "
            f"beside returns that carry dates; got shape {values.shape} for returns of shape "
            f"{true.shape}."
        )
    refuse_other_rows(y_true, baseline, ("y_true", "baseline"), columns=True)
    return values


def _baseline_by_date(baseline: Any, y_true: Any) -> FloatArray | None:
    """Return a date-indexed baseline on the dates of the returns, None if it is not one."""
    if not (is_polars(baseline) and hasattr(baseline, "columns") and len(baseline.columns) == 2):
        is_pandas = isinstance(baseline, (pd.Series, pd.DataFrame))
        if not is_pandas or dates_of(baseline) is None:
            return None
    found = read_index(y_true, "y_true")
    if found is None:
        return None
    row_dates = found[0]
    unique = row_dates.unique().sort_values()
    values, columns = align_to_dates(baseline, unique, "`baseline`")
    if len(columns) != 1:
        raise ValueError(f"`baseline` must have one column; got {len(columns)}.")
    keys, known = common_keys(row_dates, unique, "y_true", "baseline", unique=(False, True))
    by_row: FloatArray = values[pd.Index(known).get_indexer(pd.Index(keys)), 0]
    return by_row if getattr(y_true, "ndim", 1) == 1 else by_row[:, None]
