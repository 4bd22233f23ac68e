"""Large tables moved a block of rows or columns at a time, so that none is in memory twice."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import FloatArray, IntArray

# A block of rows of a wide table stays in a cache while its columns are filled in.
_BLOCK_BYTES = 2**20
# Columns that are put in order together: their copy is what sorting takes.
_COLUMNS = 8


def row_blocks(table: np.ndarray) -> Iterator[slice]:
    """Yield the rows of a table in blocks of about a megabyte.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        Rows that are worked on a block at a time.

    Yields
    ------
    slice
        Neighbouring rows.
    """
    width = max(table[:1].nbytes, 1)
    step = max(_BLOCK_BYTES // width, 1)
    for start in range(0, len(table), step):
        yield slice(start, start + step)


def in_one_block(frame: Any) -> tuple[Any, FloatArray | None]:
    """Return a frame whose values are one array, filled column by column if they are many.

    pandas and polars gather columns that lie apart into an array with each column in one piece,
    which whoever reads rows has to copy once more.

    Parameters
    ----------
    frame : object
        A pandas frame of plain numbers, or a polars frame of floats; anything else, and what
        is one array already, comes back as it is.

    Returns
    -------
    frame : object
        Where columns were gathered, a pandas frame of the same index and columns around a
        row-major array.
    values : ndarray of shape (n_rows, n_columns) or None
        That array, which belongs to nobody else; None where ``frame`` is what was given.
    """
    if isinstance(frame, pd.DataFrame):
        columns = _pandas_columns(frame)
        index = frame.index
    elif is_polars(frame) and hasattr(frame, "to_series"):
        columns = _polars_columns(frame)
        index = None
    else:
        return frame, None
    if not columns:
        return frame, None
    dtype = np.result_type(*[column.dtype for column in columns])
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        dtype = np.dtype(np.float64)
    values = np.empty((len(frame), len(columns)), dtype=dtype)
    for rows in row_blocks(values):
        block = values[rows]
        for j, column in enumerate(columns):
            block[:, j] = column[rows]
    return pd.DataFrame(values, index=index, columns=frame.columns, copy=False), values


def in_order(table: FloatArray, order: IntArray) -> FloatArray:
    """Return the rows of a table in another order, row-major.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        Values.
    order : ndarray of shape (n_rows,)
        The row that comes to each place.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
        A copy.
    """
    moved = np.empty(table.shape, dtype=table.dtype)
    for rows in row_blocks(moved):
        moved[rows] = table[order[rows]]
    return moved


def put_in_order(table: FloatArray, order: IntArray) -> None:
    """Bring the rows of a table into another order in place, a few columns at a time.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        Values.
    order : ndarray of shape (n_rows,)
        The row that comes to each place.
    """
    for first in range(0, table.shape[1], _COLUMNS):
        few = table[:, first : first + _COLUMNS]
        few[:] = few[order]


def _pandas_columns(frame: pd.DataFrame) -> list[np.ndarray]:
    """Return the columns of a frame of plain numbers that is not one array, else nothing."""
    for dtype in frame.dtypes:
        if not isinstance(dtype, np.dtype) or dtype.kind not in "fiub" or dtype.itemsize > 8:
            return []
    if not len(frame.columns):
        return []
    # A row of a frame that is one array is a part of it.
    if np.may_share_memory(frame.iloc[:1].to_numpy(), frame.iloc[:, 0].to_numpy()):
        return []
    return [frame.iloc[:, j].to_numpy() for j in range(frame.shape[1])]


def _polars_columns(frame: Any) -> list[np.ndarray]:
    """Return the columns of a polars frame of floats that is not one array, else nothing."""
    if any(str(dtype) not in {"Float32", "Float64"} for dtype in frame.dtypes):
        return []
    try:
        frame.to_numpy(allow_copy=False)
    except RuntimeError:
        return [frame.to_series(j).to_numpy() for j in range(frame.width)]
    return []
