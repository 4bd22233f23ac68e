"""Values of panels as floats: one value a row, or a wide frame of dates by assets."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray
from skfactor._validation import join
from skfactor.panel._index import as_assets, show_asset, show_date


def wide_values(
    frame: pd.DataFrame, dates: pd.DatetimeIndex, name: str, what: str = "date"
) -> pd.DataFrame:
    """Return a wide frame as float64, sorted by date.

    Parameters
    ----------
    frame : DataFrame of shape (n_dates, n_assets)
        Numbers, an asset a column.
    dates : DatetimeIndex of shape (n_dates,)
        The date of each row.
    name : str
        What errors call the frame.
    what : str, default="date"
        What errors call a date.

    Returns
    -------
    DataFrame of shape (n_dates, n_assets)
        A copy, with ``dates`` as its index.

    Raises
    ------
    ValueError
        For dates or assets that appear twice, text and infinities.
    """
    assets = as_assets(frame.columns, f"the columns of {name}")
    for kind, labels, show in ((what, dates, show_date), ("asset", assets, show_asset)):
        if labels.has_duplicates:
            first = labels[labels.duplicated()][0]
            raise ValueError(
                f"Each {kind} of {name} must appear once; got {show(first)} more than once. Drop "
                "what repeats."
            )
    values = frame_values(frame, name)
    if np.isinf(values).any():
        line, place = np.argwhere(np.isinf(values))[0]
        raise ValueError(
            f"{name} must be finite or NaN; got infinity for {show_asset(assets[place])} on "
            f"{show_date(dates[line])}. Replace infinities, for instance by NaN."
        )
    return pd.DataFrame(values, dates.rename("date"), assets.rename("asset")).sort_index()


def frame_values(frame: pd.DataFrame, name: str) -> FloatArray:
    """Return the values of a frame as float64, missing ones as ``NaN``, or refuse text."""
    try:
        values: FloatArray = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        kinds = join(sorted(set(map(str, frame.dtypes))))
        raise ValueError(
            f"{name} must hold numbers; got columns of the dtypes {kinds}. Convert them, for "
            "instance by pandas.to_numeric."
        ) from error
    return values


def numbers(values: Any, what: str) -> FloatArray:
    """Return one-dimensional values as floats, missing ones as ``NaN``.

    Raises
    ------
    ValueError
        For text, infinities and more than one dimension.
    """
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
