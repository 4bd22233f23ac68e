"""Which row is which asset on which date: the one place where that is found out."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import IntArray
from skfactor.exceptions import MissingDatesWarning

DATE_NAMES = frozenset(
    {
        "date",
        "dates",
        "datetime",
        "day",
        "eom",
        "month",
        "months",
        "period",
        "quarter",
        "time",
        "timestamp",
        "week",
        "year",
        "yearmonth",
        "yyyymm",
        "yyyymmdd",
    }
)
SHOWN = 3
MISSING_DATES = (
    "Nothing says on which date the {n_rows} rows of X stand. Give X or y a (date, asset) "
    "index, or pass `dates=`. If a step of a Pipeline turned the DataFrame into an array, call "
    "`.set_output(transform='pandas')` on the Pipeline, or route `dates=` through it with "
    "`sklearn.set_config(enable_metadata_routing=True)`."
)


@dataclass(frozen=True, eq=False)
class PanelIndex:
    """The date and the asset of every row, as codes into sorted unique values.

    Parameters
    ----------
    n_rows : int
        The number of rows.
    date_codes : ndarray of shape (n_rows,) or None
        The position of each row's date in ``dates``; None for one undated cross-section.
    dates : pandas.Index of shape (n_dates,) or None
        The unique dates in rising order.
    asset_codes : ndarray of shape (n_rows,) or None
        The position of each row's asset in ``assets``; None where assets are not known.
    assets : pandas.Index of shape (n_assets,) or None
        The unique assets, sorted.
    """

    n_rows: int
    date_codes: IntArray | None = None
    dates: pd.Index | None = None
    asset_codes: IntArray | None = None
    assets: pd.Index | None = None


def resolve_panel(
    X: Any,
    y: Any = None,
    dates: Any = None,
    assets: Any = None,
    *,
    required: bool = False,
    quiet: bool = False,
) -> PanelIndex:
    """Find the date and the asset of each row of ``X``.

    Dates are taken from ``dates``, else from the index of ``X``, else from the index of
    ``y``. Assets are taken from ``assets``, else from the other level of the same index.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        As the user handed it in: validation drops the index.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
        The target, for its index.
    dates : array-like of shape (n_rows,), default=None
        Datetimes, periods, whole numbers such as 202401, or ISO text.
    assets : array-like of shape (n_rows,), default=None
        Identifiers of the assets.
    required : bool, default=False
        Raise, where otherwise a warning says that no dates were found.
    quiet : bool, default=False
        Do not warn either: what is asked of the rows is the same on every date.

    Returns
    -------
    PanelIndex
        Without dates if none were found.

    Raises
    ------
    ValueError
        For indexes of ``X`` and ``y`` that disagree, for missing dates or assets, for lengths
        that differ, for duplicate (date, asset) pairs, and for no dates if ``required``.

    Warns
    -----
    MissingDatesWarning
        If no dates were found, they are not ``required`` and it is not ``quiet``.
    """
    n_rows = len(X if hasattr(X, "__len__") else np.asarray(X))
    found = _agreeing_index(read_index(X, "X"), read_index(y, "y"))
    found_dates, found_assets = found or (None, None)
    row_dates = found_dates if dates is None else as_dates(dates)
    row_assets = found_assets if assets is None else as_assets(assets)
    for name, values in (("dates", row_dates), ("assets", row_assets)):
        if values is not None and len(values) != n_rows:
            raise ValueError(
                f"`{name}` must have one entry for each of the {n_rows} rows of X; "
                f"got {len(values)}."
            )

    asset_codes, unique_assets = None, None
    if row_assets is not None:
        asset_codes, unique_assets = factorize(row_assets)
    if row_dates is None:
        message = MISSING_DATES.format(n_rows=n_rows)
        if required:
            raise ValueError(message)
        if not quiet:
            warnings.warn(
                f"{message} All rows were taken as one cross-section.",
                MissingDatesWarning,
                stacklevel=stacklevel_of_user(),
            )
        return PanelIndex(n_rows, asset_codes=asset_codes, assets=unique_assets)

    date_codes, unique_dates = factorize(row_dates)
    if asset_codes is not None and unique_assets is not None:
        refuse_duplicates(date_codes, unique_dates, asset_codes, unique_assets)
    return PanelIndex(n_rows, date_codes, unique_dates, asset_codes, unique_assets)


def has_panel_index(data: Any) -> bool:
    """Return whether ``data`` is a pandas object with a two-level index."""
    index = getattr(data, "index", None)
    return isinstance(index, pd.MultiIndex) and index.nlevels == 2


def read_index(data: Any, name: str) -> tuple[pd.Index, pd.Index | None] | None:
    """Return the dates and assets in the index of a pandas object, if it holds dates.

    An index of one level counts if it consists of datetimes or periods; the assets are not
    known then.
    """
    index = getattr(data, "index", None)
    if not isinstance(index, pd.Index):
        return None
    if not isinstance(index, pd.MultiIndex):
        return (as_dates(index), None) if _is_calendar(index) else None
    level = date_level(index, name) if index.nlevels == 2 else None
    if level is None:
        return None
    source = f"the index of {name}"
    return (
        as_dates(index.get_level_values(level), source),
        as_assets(index.get_level_values(1 - level), source),
    )


def date_level(index: pd.MultiIndex, name: str = "X") -> int | None:
    """Return which of the two levels of an index is the date, None if neither.

    A level of datetimes or periods is the date. Failing that, a level whose name says so;
    failing that, whole numbers that all read as yyyymm or yyyymmdd.

    Raises
    ------
    ValueError
        If both levels could be dates.
    """
    tests = (_is_calendar, _is_named_date, _is_yyyymm)
    candidates = [0, 1]
    ambiguous = False
    for test in tests:
        matches = [position for position in candidates if test(index.levels[position])]
        if len(matches) == 1:
            return matches[0]
        ambiguous = ambiguous or len(matches) == 2
    if ambiguous:
        raise ValueError(
            f"One level of the index of {name} must be the date; got two that could be, "
            f"{index.names[0]!r} and {index.names[1]!r}. Name the one that is meant 'date' and "
            "the other 'asset'."
        )
    return None


def as_dates(values: Any, source: str = "`dates`") -> pd.Index:
    """Return dates as an index that sorts by time: datetimes, periods or whole numbers.

    Raises
    ------
    ValueError
        For missing dates, and for text that is not ISO.
    """
    index = _as_index(values, source)
    kind = pd.api.types.infer_dtype(index, skipna=True)
    _refuse_missing(index, source, "date")
    if isinstance(index, pd.PeriodIndex) or kind == "period":
        return pd.PeriodIndex(index)
    if kind in ("datetime64", "datetime", "date"):
        # One resolution, so that dates from files, pandas and polars compare and join.
        return pd.DatetimeIndex(index).as_unit("us")
    if kind == "string":
        try:
            return pd.DatetimeIndex(pd.to_datetime(index, format="ISO8601")).as_unit("us")
        except ValueError as error:
            raise ValueError(
                f"Dates given as text must be ISO, such as '2024-01-31'; got {index[0]!r} in "
                f"{source}. Convert them by pandas.to_datetime with their format."
            ) from error
    if kind == "integer":
        return pd.Index(index.to_numpy(dtype=np.int64))
    if kind == "floating" and (np.mod(index.to_numpy(dtype=float), 1) == 0).all():
        return pd.Index(index.to_numpy(dtype=float).astype(np.int64))
    raise ValueError(
        "Dates must be datetimes, periods, whole numbers such as 202401 or ISO text; "
        f"got {kind} values in {source}, first {index[0]}."
    )


def as_assets(values: Any, source: str = "`assets`") -> pd.Index:
    """Return identifiers of assets as an index, missing ones refused."""
    index = _as_index(values, source)
    _refuse_missing(index, source, "asset")
    return index


def factorize(values: pd.Index) -> tuple[IntArray, pd.Index]:
    """Return codes into the sorted unique values, and those values."""
    codes, unique = pd.factorize(values, sort=True)
    return codes.astype(np.intp, copy=False), pd.Index(unique)


def date_kind(dates: pd.Index) -> str:
    """Return what dates are, in words; dates of one kind can be compared."""
    if isinstance(dates, pd.PeriodIndex):
        return f"periods of frequency {dates.freqstr}"
    if isinstance(dates, pd.DatetimeIndex):
        return "datetimes" if dates.tz is None else "datetimes with a time zone"
    return "whole numbers"


def show_date(date: Any) -> str:
    """Return a date as errors write it, without a time of day that is midnight."""
    return str(date).removesuffix(" 00:00:00")


def show_asset(asset: Any) -> str:
    """Return an asset as errors write it: text in quotes, a number as it is."""
    return repr(asset) if isinstance(asset, str) else str(asset)


def refuse_duplicates(
    date_codes: IntArray,
    dates: pd.Index,
    asset_codes: IntArray,
    assets: pd.Index,
    name: str | None = None,
) -> None:
    """Raise if a (date, asset) pair appears more than once, and show the first few.

    ``name`` is what the error calls the data, where it is not X.
    """
    pair = date_codes.astype(np.int64) * len(assets) + asset_codes
    if (pair[1:] > pair[:-1]).all():
        return  # in order, and none twice
    order = np.argsort(pair, kind="stable")
    again = np.flatnonzero(np.diff(pair[order]) == 0)
    if not len(again):
        return
    shown = []
    for first, second in zip(order[again[:SHOWN]], order[again[:SHOWN] + 1], strict=True):
        date, asset = dates[date_codes[first]], assets[asset_codes[first]]
        shown.append(f"({show_date(date)}, {show_asset(asset)}) in rows {first} and {second}")
    data = "X" if name is None else name.strip("`")
    raise ValueError(
        f"Each (date, asset) pair{'' if name is None else f' of {name}'} must appear once; got "
        f"{len(again)} repeated: {_first(shown, len(again))}. Keep one of each, for instance by "
        f"{data}[~{data}.index.duplicated(keep='last')]."
    )


def _agreeing_index(
    of_X: tuple[pd.Index, pd.Index | None] | None, of_y: tuple[pd.Index, pd.Index | None] | None
) -> tuple[pd.Index, pd.Index | None] | None:
    """Return the index to use, after checking that those of ``X`` and ``y`` agree."""
    if of_X is None or of_y is None or of_X[1] is None or of_y[1] is None:
        return of_X or of_y
    if len(of_X[0]) != len(of_y[0]):
        raise ValueError(
            f"X and y must have the same rows; got {len(of_X[0])} in X and {len(of_y[0])} in y."
        )
    # Objects compare whatever their types, where typed arrays of two kinds may refuse to.
    pairs = [
        np.asarray(ours, dtype=object) != np.asarray(theirs, dtype=object)
        for ours, theirs in zip(of_X, of_y, strict=True)
        if ours is not None and theirs is not None and not ours.equals(theirs)
    ]
    if pairs:
        rows = np.flatnonzero(np.logical_or.reduce(pairs))
        shown = [
            f"row {i} is ({show_date(of_X[0][i])}, {show_asset(of_X[1][i])}) in X and "
            f"({show_date(of_y[0][i])}, {show_asset(of_y[1][i])}) in y"
            for i in rows[:SHOWN]
        ]
        if len(rows):
            raise ValueError(
                f"The indexes of X and y must agree; got {len(rows)} rows that differ: "
                f"{_first(shown, len(rows))}. Align them, for instance by y.reindex(X.index)."
            )
    return of_X


def _as_index(values: Any, source: str) -> pd.Index:
    """Return one-dimensional values of any library as a pandas index without categories."""
    if not isinstance(values, (pd.Index, pd.Series)):
        values = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
        if values.ndim != 1:
            raise ValueError(
                f"{source} must be one-dimensional, an entry for each row; "
                f"got shape {values.shape}."
            )
    index = pd.Index(values)
    if isinstance(index, pd.MultiIndex):
        raise ValueError(f"{source} must be one-dimensional; got an index of several levels.")
    if isinstance(index, pd.CategoricalIndex):
        index = index.astype(index.categories.dtype)
    return index


def _refuse_missing(index: pd.Index, source: str, what: str) -> None:
    missing = np.flatnonzero(index.isna())
    if len(missing):
        rows = [str(int(i)) for i in missing[:SHOWN]]
        raise ValueError(
            f"Each row must have its {what}; got {len(missing)} missing in {source}, "
            f"in rows {_first(rows, len(missing))}. Drop those rows."
        )


def _is_calendar(level: pd.Index) -> bool:
    if isinstance(level, pd.CategoricalIndex):
        level = level.categories
    if isinstance(level, (pd.DatetimeIndex, pd.PeriodIndex)):
        return True
    dates = ("date", "datetime", "datetime64", "period")
    return level.dtype == object and pd.api.types.infer_dtype(level, skipna=True) in dates


def _is_named_date(level: pd.Index) -> bool:
    return str(level.name).strip().lower() in DATE_NAMES


def _is_yyyymm(level: pd.Index) -> bool:
    if not pd.api.types.is_integer_dtype(level.dtype) or not len(level):
        return False
    values = level.to_numpy(dtype=np.int64)
    days = np.ones_like(values)
    if (values > 9_999_99).all():
        values, days = values // 100, values % 100
    years, months = values // 100, values % 100
    in_range = (years >= 1900) & (years <= 2100) & (months >= 1) & (months <= 12)
    return bool((in_range & (days >= 1) & (days <= 31)).all())


def _first(shown: Sequence[str], total: int) -> str:
    return ", ".join(shown) + (", ..." if total > len(shown) else "")


def stacklevel_of_user() -> int:
    """Return the level at which a warning points at the line outside skfactor and scikit-learn."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        ("skfactor.", "sklearn.", "joblib.")
    ):
        frame = frame.f_back
        level += 1
    return level
