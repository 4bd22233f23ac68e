"""From a long table of any library to characteristics and returns with a panel's index."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars, library_of
from skfactor._typing import IntArray
from skfactor._validation import join
from skfactor.panel._index import as_assets, as_dates, factorize, refuse_duplicates


def from_long(
    frame: Any,
    *,
    date: str = "date",
    asset: str = "asset",
    target: str | None = None,
) -> tuple[pd.DataFrame, pd.Series | None]:
    """Turn a long table into characteristics and returns indexed by (date, asset).

    Parameters
    ----------
    frame : pandas or polars DataFrame, or pyarrow Table
        One row a date and asset, in any order.
    date : str, default="date"
        Column of dates (or index level of a pandas frame): datetimes, periods, whole numbers
        such as 202401, ISO text.
    asset : str, default="asset"
        Column of identifiers (or index level of a pandas frame).
    target : str, default=None
        Column of returns.

    Returns
    -------
    X : DataFrame of shape (n_rows, n_columns)
        The other columns, rows sorted by date and asset. Where all are numbers they share one
        type, float32 if each fits into it and float64 otherwise, and lie in one block of
        memory.
    y : Series of shape (n_rows,) or None
        The target as float64, with the same index; None if ``target`` is None.

    Raises
    ------
    TypeError
        If ``frame`` is none of these tables.
    ValueError
        For columns that are not there, missing dates or assets, and (date, asset) pairs that
        appear twice.

    See Also
    --------
    to_dense : Three dimensions instead of rows.

    Notes
    -----
    Nothing is shifted in time. By the convention of this library, a row holds what was known
    *before* the return of its date began to be earned; if characteristics and return are of
    one date in the table, put :func:`lag` behind.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.panel import from_long
    >>> table = pd.DataFrame(
    ...     {
    ...         "month": ["2024-02-29", "2024-01-31", "2024-02-29"],
    ...         "ticker": ["B", "A", "A"],
    ...         "size": [2.0, 1.0, 1.5],
    ...         "ret": [0.02, 0.01, -0.01],
    ...     }
    ... )
    >>> X, y = from_long(table, date="month", asset="ticker", target="ret")
    >>> X
                      size
    date       asset
    2024-01-31 A       1.0
    2024-02-29 A       1.5
               B       2.0
    >>> y.to_list()
    [0.01, -0.01, 0.02]
    """
    table = _Table(frame)
    roles = {"date": date, "asset": asset, "target": target}
    for role, column in roles.items():
        if column is not None and column not in table.names:
            raise ValueError(
                f"`{role}` must name a column of the table; got {column!r}, and the columns "
                f"{join([repr(name) for name in table.names])}."
            )
    chosen = [column for column in roles.values() if column is not None]
    if len(set(chosen)) < len(chosen):
        raise ValueError(
            f"`date`, `asset` and `target` must be different columns; got {join(chosen)}."
        )

    dates = as_dates(table.values(date), f"column {date!r}")
    assets = as_assets(pd.Index(table.values(asset)), f"column {asset!r}")
    if isinstance(assets, pd.CategoricalIndex):
        assets = assets.astype(assets.categories.dtype)
    date_codes, unique_dates = factorize(dates)
    asset_codes, unique_assets = factorize(assets)
    refuse_duplicates(date_codes, unique_dates, asset_codes, unique_assets)
    order = np.lexsort((asset_codes, date_codes))
    levels: Any = [unique_dates, unique_assets]
    codes: Any = [date_codes[order], asset_codes[order]]
    index = pd.MultiIndex(levels, codes, names=["date", "asset"], verify_integrity=False)
    X = _characteristics(table, [name for name in table.names if name not in chosen], order, index)
    if target is None:
        return X, None
    try:
        returns = _as_floats(table.values(target))[order]
    except (TypeError, ValueError) as error:
        raise ValueError(f"`target` must hold numbers; got column {target!r}.") from error
    return X, pd.Series(returns, index=index, name=target)


class _Table:
    """The columns of a pandas, polars or arrow table, as arrays."""

    def __init__(self, frame: Any) -> None:
        if isinstance(frame, pd.DataFrame):
            levels = [name for name in frame.index.names if name is not None]
            clash = [name for name in levels if name in frame.columns]
            if clash:
                raise ValueError(
                    f"A name must stand for one column; got {join([repr(c) for c in clash])} in "
                    "the index and in the columns. Drop one of them."
                )
            frame = frame.reset_index(level=levels)
            self.names = list(frame.columns)
        elif is_polars(frame) and hasattr(frame, "row"):
            self.names = list(frame.columns)
        elif library_of(frame) == "pyarrow" and hasattr(frame, "column_names"):
            self.names = list(frame.column_names)
        else:
            raise TypeError(
                "The table must be a pandas or polars DataFrame or a pyarrow Table; got "
                f"{type(frame).__name__}."
            )
        if len(set(self.names)) < len(self.names):
            again = sorted({str(name) for name in self.names if self.names.count(name) > 1})
            raise ValueError(f"Each column must appear once; got {join(again)} more than once.")
        self._frame = frame

    def values(self, name: Any) -> Any:
        """Return a column as a pandas Series or as an array."""
        column = self._frame[name]
        if isinstance(column, pd.Series):
            return column
        if hasattr(column, "combine_chunks"):
            column = column.combine_chunks()
            if hasattr(column, "dictionary_decode"):
                column = column.dictionary_decode()
            return column.to_numpy(zero_copy_only=False)
        return column.to_numpy()


def _characteristics(
    table: _Table, names: list[Any], order: IntArray, index: pd.MultiIndex
) -> pd.DataFrame:
    columns = [table.values(name) for name in names]
    numeric = [_numeric_type(column) for column in columns]
    if columns and all(kind is not None for kind in numeric):
        # One block, a row beside the next: a date of it is then read in one go.
        block = np.empty((len(order), len(names)), dtype=np.result_type(*numeric, np.float32))
        for j, column in enumerate(columns):
            block[:, j] = _as_floats(column, block.dtype)[order]
        return pd.DataFrame(block, index=index, columns=names, copy=False)
    data = {
        name: column.take(order).set_axis(index) if isinstance(column, pd.Series) else column[order]
        for name, column in zip(names, columns, strict=True)
    }
    return pd.DataFrame(data, index=index, columns=names)


def _numeric_type(column: Any) -> Any:
    """Return the NumPy type of a column of numbers, None for another."""
    kind = column.dtype
    if isinstance(column, pd.Series) and not isinstance(kind, np.dtype):
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
            return None
        kind = getattr(kind, "numpy_dtype", np.dtype(np.float64))
    return kind if kind.kind in "biuf" else None


def _as_floats(column: Any, dtype: Any = np.float64) -> np.ndarray:
    """Return a column of numbers as floats, missing values as ``NaN``."""
    if isinstance(column, pd.Series):
        return column.to_numpy(dtype=dtype, na_value=np.nan)
    return np.asarray(column, dtype=dtype)
