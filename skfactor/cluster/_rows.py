"""Rows of whatever users hand in."""

from typing import Any

import numpy as np
from scipy import sparse

from skfactor._typing import IntArray


def take_rows(X: Any, rows: IntArray) -> Any:
    """Return some rows of an array, a sparse matrix, a frame, an arrow table, or a list."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "column_names"):
        return X.take(rows)
    if sparse.issparse(X):
        return X.tocsr()[rows]  # some formats cannot be indexed
    return X[rows] if hasattr(X, "shape") else np.asarray(X)[rows]


def count_rows(X: Any) -> int:
    """Return the number of rows of the same."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)
