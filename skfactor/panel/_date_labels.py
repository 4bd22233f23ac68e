"""Names of rows or columns that are dates, in whatever form they are written."""

import re
from typing import Any

import numpy as np
import pandas as pd

FEWEST_MONTHS = 3
YEAR_FIRST = r"(?:19|20)\d\d([-/.])\d{1,2}(?:\1\d{1,2}(?:[T ]\d.*)?)?"
YEAR_LAST = r"\d{1,2}([-/.])\d{1,2}\1(?:19|20)\d\d"
LAYOUTS = {6: "%Y%m", 8: "%Y%m%d"}


def date_readings(labels: Any) -> list[pd.Index]:
    """Return the ways in which labels read as dates, none unless every label does.

    Dates are datetimes, periods, text with the year first or last, and 6 or 8 digits (yyyymm,
    yyyymmdd) from 1900 to 2099. With the year last there may be two readings, as 02/03/2020
    is a day of March here and of February there.
    """
    index = pd.Index(labels)
    if isinstance(index, pd.CategoricalIndex):
        index = index.astype(index.categories.dtype)
    if isinstance(index, pd.MultiIndex) or not len(index):
        return []
    kind = pd.api.types.infer_dtype(index, skipna=True)
    if kind == "period":
        return [pd.PeriodIndex(index)]
    if kind in ("datetime64", "datetime", "date"):
        return [pd.DatetimeIndex(index)]
    if index.hasnans:
        return []
    if kind == "string":
        return _text_readings(index.astype(str))
    if kind in ("integer", "floating"):
        numbers = index.to_numpy(dtype=float)
        in_range = (numbers >= 190001) & (numbers <= 20991231)
        if (in_range & (numbers == np.floor(numbers))).all():
            return _digit_readings(pd.Index([str(int(label)) for label in numbers]))
    return []


def rows_are_dates(index: Any) -> bool:
    """Return whether an index holds dates rather than firms.

    Numbers of firms may have 6 digits too. They count as months only if they rise and are
    three at least.
    """
    readings = date_readings(index) if isinstance(index, pd.Index) else []
    if readings and re.fullmatch(r"\d{6}(\.0)?", str(index[0])):
        return len(index) >= FEWEST_MONTHS and rises(readings[0])
    return bool(readings)


def rises(dates: pd.Index) -> bool:
    """Return whether each date is later than the one before it."""
    return bool(dates.is_monotonic_increasing and dates.is_unique)


def _text_readings(text: pd.Index) -> list[pd.Index]:
    if text.str.fullmatch(r"\d{6}|\d{8}").all():
        return _digit_readings(text)
    if text.str.fullmatch(YEAR_FIRST).all():
        try:
            return [pd.DatetimeIndex(pd.to_datetime(text, format="ISO8601"))]
        except ValueError:
            return []
    if text.str.fullmatch(YEAR_LAST).all():
        mark = next(sign for sign in text[0] if not sign.isdigit())
        month_first, day_first = (
            _parsed(text, mark.join(order)) for order in (("%m", "%d", "%Y"), ("%d", "%m", "%Y"))
        )
        if month_first is not None and day_first is not None and month_first.equals(day_first):
            return [month_first]
        return [reading for reading in (month_first, day_first) if reading is not None]
    return []


def _digit_readings(text: pd.Index) -> list[pd.Index]:
    layout = LAYOUTS.get(len(text[0]))
    if layout is None or not (text.str.len() == len(text[0])).all():
        return []
    reading = _parsed(text, layout)
    if reading is None or reading.year.min() < 1900 or reading.year.max() > 2099:
        return []
    return [reading]


def _parsed(text: pd.Index, layout: str) -> pd.DatetimeIndex | None:
    dates = pd.DatetimeIndex(pd.to_datetime(text, format=layout, errors="coerce"))
    return None if dates.hasnans else dates
