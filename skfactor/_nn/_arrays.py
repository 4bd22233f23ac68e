"""From NumPy to torch without a copy."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skfactor._blocks import row_blocks
from skfactor._validation import column_label, join


def to_tensor(values: np.ndarray) -> Tensor:
    """Return a tensor that shares memory with an array, which may be read-only.

    torch warns of arrays that cannot be written to, such as those joblib maps from disk;
    nothing here writes to data.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(values))


def to_single(values: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
    """Return values in single precision, in which networks train, refusing what it cannot hold.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        Finite values; returned as they are if they have single precision already and lie row
        by row.
    names : sequence of str, default=None
        Names of the columns, for the error.

    Raises
    ------
    ValueError
        For values beyond single precision, with the names of their columns.
    """
    if values.dtype == np.float32 and values.flags.c_contiguous:
        return values
    single = np.empty(values.shape, dtype=np.float32)
    finite = np.ones(values.shape[1], dtype=bool)
    for rows in row_blocks(single):
        with np.errstate(over="ignore"):
            single[rows] = values[rows]
        finite &= np.isfinite(single[rows]).all(axis=0)
    if finite.all():
        return single
    bad = np.flatnonzero(~finite)
    labels = [column_label(j, names) for j in bad]
    raise ValueError(
        f"X must fit into single precision (below 3.4e38); got larger values in {join(labels)}. "
        "Take logs or standardise first (LogStandardizer)."
    )
