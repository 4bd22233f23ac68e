"""Wide daily tables as arrays, cut into months."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor._validation import join
from skfactor.panel._index import as_assets, as_dates, show_asset, show_date
from skfactor.preprocessing._frames import is_polars


@dataclass(frozen=True, eq=False)
class Months:
    """Days of a table, gathered by month.

    Parameters
    ----------
    ends : DatetimeIndex of shape (n_months,)
        The last calendar day of each month from the first to the last, months without days
        among them.
    codes : ndarray of shape (n_days,)
        The month of each day, as a position in ``ends``.
    """

    ends: pd.DatetimeIndex
    codes: IntArray

    @classmethod
    def of_days(cls, days: pd.DatetimeIndex) -> "Months":
        """Gather sorted days."""
        numbers = 12 * days.year.to_numpy() + days.month.to_numpy() - 1
        n_months = int(numbers[-1] - numbers[0]) + 1
        first = pd.Timestamp(year=days[0].year, month=days[0].month, day=1)
        ends = pd.date_range(first, periods=n_months, freq="ME")
        return cls(ends, (numbers - numbers[0]).astype(np.intp))

    def __len__(self) -> int:
        return len(self.ends)

    def totals(self, values: FloatArray) -> FloatArray:
        """Sum days by month, missing values as 0, from (n_days, n) to (n_months, n)."""
        out = np.zeros((len(self), values.shape[1]))
        starts = np.flatnonzero(np.diff(self.codes, prepend=-1))
        out[self.codes[starts]] = np.add.reduceat(np.nan_to_num(values), starts, axis=0)
        return out

    def largest(self, values: FloatArray) -> FloatArray:
        """Return the largest value of each month, -inf where there is none."""
        out = np.full((len(self), values.shape[1]), -np.inf)
        starts = np.flatnonzero(np.diff(self.codes, prepend=-1))
        known = np.where(np.isnan(values), -np.inf, values)
        out[self.codes[starts]] = np.maximum.reduceat(known, starts, axis=0)
        return out

    def last(self, values: FloatArray, max_gap: int) -> FloatArray:
        """Return the last value of each month, if it is among its last days.

        ``max_gap`` days of the table may follow it in the month.
        """
        n_days = len(values)
        rows = np.where(np.isnan(values), -1, np.arange(n_days)[:, None])
        newest = np.maximum.accumulate(rows, axis=0)
        out = np.full((len(self), values.shape[1]), np.nan)
        closing = np.flatnonzero(np.diff(self.codes, append=len(self)))
        opening = np.concatenate([[0], closing[:-1] + 1])
        at = newest[closing]
        fresh = at >= np.maximum(closing - max_gap, opening)[:, None]
        found = values[at.clip(0), np.arange(values.shape[1])]
        out[self.codes[closing]] = np.where(fresh, found, np.nan)
        return out


def daily_table(frame: Any, name: str, like: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a wide table of days by assets as floats, sorted by day.

    Parameters
    ----------
    frame : pandas or polars DataFrame
        Days in the index (polars: in the first column), an asset a column.
    name : str
        What errors call it.
    like : DataFrame, default=None
        A table whose days and assets the result is to have, missing where it has none.

    Raises
    ------
    TypeError
        If it is not a frame.
    ValueError
        For an index without dates, days or assets that appear twice, text and infinities.
    """
    if is_polars(frame):
        first = frame.columns[0]
        days = as_dates(frame[first], f"the column {first!r} of {name}")
        frame = pd.DataFrame({c: frame[c].to_numpy() for c in frame.columns[1:]}, index=days)
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"{name} must be a pandas or polars DataFrame of days by assets; got "
            f"{type(frame).__name__}."
        )
    days = as_dates(frame.index, f"the index of {name}")
    if not isinstance(days, pd.DatetimeIndex):
        raise ValueError(
            f"The index of {name} must hold days; got {days[0]!r}. Convert it by "
            "pandas.to_datetime."
        )
    assets = as_assets(frame.columns, f"the columns of {name}")
    for what, labels, show in (("day", days, show_date), ("asset", assets, show_asset)):
        if labels.has_duplicates:
            again = labels[labels.duplicated()][0]
            raise ValueError(
                f"Each {what} of {name} must appear once; got {show(again)} more than once. Drop "
                "what repeats."
            )
    try:
        values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        kinds = join(sorted(set(map(str, frame.dtypes))))
        raise ValueError(
            f"{name} must hold numbers; got columns of the dtypes {kinds}. Convert them, for "
            "instance by pandas.to_numeric."
        ) from error
    if not len(values):
        raise ValueError(f"{name} must have at least one day; got none.")
    if np.isinf(values).any():
        line, place = np.argwhere(np.isinf(values))[0]
        raise ValueError(
            f"{name} must be finite or NaN; got infinity for {show_asset(assets[place])} on "
            f"{show_date(days[line])}. Replace infinities by NaN."
        )
    table = pd.DataFrame(values, days.rename("date"), assets.rename("asset")).sort_index()
    if like is None:
        return table
    return table.reindex(index=like.index, columns=like.columns)


def long_rows(
    values: dict[str, FloatArray], ends: pd.DatetimeIndex, assets: pd.Index, rows: np.ndarray
) -> pd.DataFrame:
    """Stack tables of months by assets into one long panel.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_months, n_assets)
        A column each.
    ends : DatetimeIndex of shape (n_months,)
        The dates.
    assets : Index of shape (n_assets,)
        The assets.
    rows : ndarray of bool, shape (n_months, n_assets)
        Which pairs have a row.
    """
    month, asset = np.nonzero(rows)
    index = pd.MultiIndex.from_arrays([ends[month], assets[asset]], names=["date", "asset"])
    return pd.DataFrame({name: table[rows] for name, table in values.items()}, index=index)
