"""What the readers of clusters share: a table with names, and labels that belong to its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import check_table, join

NOISE = -1
"""The label that density-based clusterers give to rows that are in no cluster."""


@dataclass(frozen=True, eq=False)
class ClusterCodes:
    """Labels as positions in a sorted list of clusters, noise last.

    Attributes
    ----------
    codes : ndarray of shape (n_rows,)
        Position of each row's cluster in `index`.
    index : Index
        The labels that occur, sorted, with noise (-1) last.
    n_clusters : int
        Number of clusters, noise not counted.
    """

    codes: IntArray
    index: pd.Index
    n_clusters: int

    @property
    def in_cluster(self) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Which rows are in a cluster, that is, not noise."""
        return self.codes < self.n_clusters

    def one_hot(self) -> FloatArray:
        """Return the membership matrix of shape (n_rows, n_labels), noise included."""
        out = np.zeros((len(self.codes), len(self.index)))
        out[np.arange(len(self.codes)), self.codes] = 1.0
        return out


def as_frame(
    X: Any, *, what: str = "X", feature_names: Sequence[str] | None = None, prefix: str = "x"
) -> pd.DataFrame:
    """Return `X` as a frame of finite floats or NaN, with its own names and index if it has any.

    A polars date column becomes the index: polars has no other place for dates.
    """
    if is_polars(X):
        columns = {name: X[name].to_numpy() for name in X.columns}
        dates = [name for name, dtype in X.schema.items() if dtype.is_temporal()]
        frame = pd.DataFrame(columns)
        if dates:
            frame = frame.set_index(dates[0])
    elif isinstance(X, pd.DataFrame):
        frame = X
    else:
        array = np.asarray(X, dtype=object if isinstance(X, list | tuple) else None)
        if array.ndim != 2:
            raise ValueError(
                f"`{what}` must be two-dimensional; got {array.ndim} dimension(s). "
                "Reshape it to rows and columns."
            )
        frame = pd.DataFrame(array, columns=[f"{prefix}{j}" for j in range(array.shape[1])])
    if feature_names is not None:
        if len(feature_names) != frame.shape[1]:
            raise ValueError(
                f"`feature_names` must hold one name for each of the {frame.shape[1]} columns of "
                f"`{what}`; got {len(feature_names)}."
            )
        frame = frame.set_axis(list(feature_names), axis=1)
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise ValueError(
            f"`{what}` must have at least one row and one column; got shape {frame.shape}."
        )
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique()
        raise ValueError(
            f"`{what}` must name each column once; got {join(twice)} more than once. Rename them."
        )
    table = check_table(frame, what=what, copy=True)
    return pd.DataFrame(
        table.astype(np.float64, copy=False), index=frame.index, columns=frame.columns
    )


def _is_positional(index: pd.Index) -> bool:
    """Say whether `index` only counts rows, as pandas does where nobody named them."""
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def encode_labels(
    labels: ArrayLike | Mapping[Any, Any] | pd.Series,
    rows: pd.Index,
    *,
    what: str = "rows of X",
) -> ClusterCodes:
    """Match `labels` with `rows` (by name where both have names) and encode them."""
    values = _match(labels, rows, what)
    missing = pd.isna(values)
    if missing.any():
        raise ValueError(
            f"`labels` must name a cluster (or -1 for noise) for every one of the {what}; "
            f"{int(missing.sum())} are missing: {join(rows[missing])}. "
            "Drop those rows from both."
        )
    values = _plain(values)
    try:
        found = np.unique(values)
    except TypeError as error:
        raise ValueError(
            "`labels` must be all numbers or all text; got a mixture of types."
        ) from error
    # Noise is told by its number: among text labels, "-1" is a name like another. Clusterers have
    # other numbers below zero for rows that they cannot place (HDBSCAN: -2 and -3).
    numeric = found.dtype.kind in "iuf"
    if numeric and (found < 0).any():
        values = np.where(values < 0, values.dtype.type(NOISE), values)
        found = np.unique(values)
    clusters = found[found != NOISE] if numeric else found
    ordered = np.append(clusters, NOISE) if len(clusters) < len(found) else clusters
    codes = pd.Index(ordered).get_indexer(pd.Index(values))
    return ClusterCodes(
        codes.astype(np.intp), pd.Index(ordered, name="cluster"), n_clusters=len(clusters)
    )


def _match(labels: Any, rows: pd.Index, what: str) -> "np.ndarray[Any, Any]":
    if isinstance(labels, Mapping):
        labels = pd.Series(labels)
    if isinstance(labels, pd.Series):
        index = labels.index
        if index.equals(rows):
            return labels.to_numpy()
        if not (_is_positional(index) or _is_positional(rows)):
            return _match_by_name(labels, rows, what)
        if len(index) == len(rows) and set(index) == set(rows):
            raise ValueError(
                f"`labels` and the {what} hold the same numbers in another order, which may be "
                "names or positions. Give both the same index, or pass `labels.to_numpy()`."
            )
        labels = labels.to_numpy()
    elif is_polars(labels):
        labels = labels.to_numpy()
    values = np.asarray(labels)
    if values.ndim != 1:
        raise ValueError(
            f"`labels` must be one-dimensional; got shape {values.shape}. Pass one label a row."
        )
    if len(values) != len(rows):
        raise ValueError(
            f"`labels` must hold one label for each of the {len(rows)} {what}; got {len(values)}."
        )
    return values


def _match_by_name(labels: pd.Series, rows: pd.Index, what: str) -> "np.ndarray[Any, Any]":
    for name, index in (("labels", labels.index), (what, rows)):
        if not index.is_unique:
            raise ValueError(
                f"The names of `labels` and of the {what} must be unique to be matched; {name} "
                f"repeat {join(index[index.duplicated()].unique())}."
            )
    unlabelled, unknown = rows.difference(labels.index), labels.index.difference(rows)
    if len(unlabelled) or len(unknown):
        said = []
        if len(unlabelled):
            said.append(f"without a label: {join(unlabelled)}")
        if len(unknown):
            said.append(f"labelled but not among the {what}: {join(unknown)}")
        raise ValueError(
            f"`labels` and the {what} must carry the same names; {'; '.join(said)}. "
            "Select what they share, for example by `Index.intersection`."
        )
    return labels.reindex(rows).to_numpy()


def _plain(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Turn whole floats and booleans, which alignment and missing values make, into integers."""
    if values.dtype.kind == "b":
        return values.astype(np.intp)
    if values.dtype.kind == "f" and np.all(values == np.round(values)):
        return values.astype(np.intp)
    if values.dtype.kind == "O":
        return np.array(values.tolist())
    return values
