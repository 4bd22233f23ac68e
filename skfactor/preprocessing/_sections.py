"""Scaling the rows of one cross-section: ranks, z-scores, minimum to maximum."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from skfactor._typing import FloatArray, IntArray
from skfactor.preprocessing._statistics import nan_mean_std, nan_quantiles

Method = Literal["rank", "zscore", "minmax"]
Missing = Literal["zero", "median"] | None


@dataclass(frozen=True, eq=False)
class Sections:
    """Rows that are scaled together, as slices of an order.

    Parameters
    ----------
    starts : ndarray of shape (n_sections + 1,)
        Section ``s`` holds the places ``starts[s]`` to ``starts[s + 1]``.
    order : ndarray of shape (n_rows,) or None
        The row that stands in each place; None if rows stand in place already.
    """

    starts: IntArray
    order: IntArray | None

    @classmethod
    def of_codes(cls, codes: IntArray) -> "Sections":
        """Gather rows of equal codes, which count from 0."""
        starts = np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.intp)
        in_order = bool((codes[1:] >= codes[:-1]).all())
        return cls(starts, None if in_order else np.argsort(codes, kind="stable"))

    def rows(self) -> Iterator[slice | IntArray]:
        """Yield the rows of each section; none is empty."""
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            if stop > start:
                place = slice(int(start), int(stop))
                yield place if self.order is None else self.order[place]


def scale_sections(
    X: FloatArray, sections: Sections, method: Method, missing: Missing
) -> FloatArray:
    """Scale each section of the rows by itself.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Values, ``NaN`` where missing.
    sections : Sections
        Which rows belong together.
    method : {"rank", "zscore", "minmax"}
        As :func:`scale_columns` takes it.
    missing : {"zero", "median"} or None
        What a missing value becomes.

    Returns
    -------
    ndarray of shape (n_rows, n_features)
        Of the type of ``X``. Beside it, memory is needed for one section.
    """
    scaled = np.empty_like(X)
    for rows in sections.rows():
        # Columns as contiguous lines: they are sorted and summed one by one.
        lines = np.ascontiguousarray(X[rows].T)
        scaled[rows] = fill_missing(scale_columns(lines, method), missing).T
    return scaled


def scale_columns(lines: FloatArray, method: Method) -> FloatArray:
    """Scale columns, each given as a line, by what the line itself holds.

    Parameters
    ----------
    lines : ndarray of shape (n_features, n_rows)
        Values, ``NaN`` where missing.
    method : {"rank", "zscore", "minmax"}
        ``"rank"`` and ``"minmax"`` go from -1 to 1.

    Returns
    -------
    ndarray of shape (n_features, n_rows)
        ``NaN`` where missing, 0 where the line holds a single value.
    """
    if method == "rank":
        return centred_ranks(lines)
    return standardise(lines, *center_and_scale(lines, method))


def centred_ranks(lines: FloatArray) -> FloatArray:
    """Return ``2 * rank / (n + 1) - 1`` along each line, equal values sharing their mean rank."""
    gaps = np.isnan(lines)
    n_rows = lines.shape[1]
    n_gaps = gaps.sum(axis=1)
    known = n_rows - n_gaps
    # Infinity stands for a gap while sorting: NaN would take the slow path of the sort.
    values = np.where(gaps, np.inf, lines).astype(lines.dtype, copy=False)
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    ranks = np.tile(np.arange(1.0, n_rows + 1), (len(lines), 1))
    n_equal = (ordered[:, 1:] == ordered[:, :-1]).sum(axis=1)
    tied = np.flatnonzero(n_equal > np.maximum(n_gaps - 1, 0))
    if len(tied):
        ranks[tied] = mean_ranks(ordered[tied])
    # Twice a rank is a whole number: the middle one becomes exactly 0.
    ranks *= 2.0
    ranks -= (known + 1)[:, None]
    ranks /= (known + 1)[:, None]
    result = np.empty_like(lines)
    np.put_along_axis(result, order, ranks.astype(lines.dtype, copy=False), axis=1)
    result[gaps] = np.nan
    return result


def mean_ranks(ordered: FloatArray) -> FloatArray:
    """Return ranks along sorted lines, from 1; equal values share the mean of theirs."""
    places = np.arange(ordered.shape[1])
    new = np.ones(ordered.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(new, places, 0), axis=1)
    ends = np.ones_like(new)
    ends[:, :-1] = new[:, 1:]
    last = np.where(ends, places, len(places))[:, ::-1]
    last = np.minimum.accumulate(last, axis=1)[:, ::-1]
    return (first + last) / 2.0 + 1.0


def center_and_scale(lines: FloatArray, method: Method) -> tuple[FloatArray, FloatArray]:
    """Return what to subtract from each line and what to divide by, in float64.

    A constant line has scale 0; one without values has ``NaN``.
    """
    if method == "zscore":
        return nan_mean_std(lines.T)
    low = np.fmin.reduce(lines, axis=1, initial=np.nan).astype(np.float64)
    high = np.fmax.reduce(lines, axis=1, initial=np.nan).astype(np.float64)
    # Halved first: the difference of two large numbers may be too large.
    return low / 2 + high / 2, high / 2 - low / 2


def standardise(lines: FloatArray, center: FloatArray, scale: FloatArray) -> FloatArray:
    """Return ``(lines - center) / scale`` in the type of ``lines``; 0 where the scale is 0."""
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale != 0)
    centred = lines - center[:, None]
    centred *= inverse[:, None]
    result: FloatArray = centred.astype(lines.dtype, copy=False)
    return result


def fill_missing(scaled: FloatArray, missing: Missing) -> FloatArray:
    """Replace missing values of each scaled line, in place, and return the lines."""
    if missing is None:
        return scaled
    gaps = np.isnan(scaled)
    if gaps.any():
        filler = np.zeros(len(scaled))
        if missing == "median":
            lines = np.flatnonzero(gaps.any(axis=1))
            filler[lines] = medians(scaled[lines])
        np.copyto(scaled, filler[:, None], where=gaps, casting="same_kind")
    return scaled


def medians(scaled: FloatArray) -> FloatArray:
    """Return the median of each line, 0 where it has no value."""
    return np.nan_to_num(nan_quantiles(scaled.T, [0.5])[0], nan=0.0)


@dataclass(frozen=True, eq=False)
class Distribution:
    """A cross-section that later rows are scaled by, column by column.

    Parameters
    ----------
    method : {"rank", "zscore", "minmax"}
        How rows are scaled.
    knots : list of (ndarray, ndarray)
        For ranks: the different values of each column in rising order, and their centred
        ranks. Empty otherwise.
    center, scale : ndarray of shape (n_features,)
        For the other methods.
    median : ndarray of shape (n_features,)
        Median of the scaled column, 0 where it has no value.
    """

    method: Method
    knots: list[tuple[FloatArray, FloatArray]]
    center: FloatArray
    scale: FloatArray
    median: FloatArray

    @classmethod
    def of(cls, X: FloatArray, method: Method) -> "Distribution":
        """Learn the distribution of each column."""
        lines = np.ascontiguousarray(X.T)
        knots = []
        center: FloatArray = np.empty(0)
        scale: FloatArray = np.empty(0)
        scaled = scale_columns(lines, method)
        if method == "rank":
            for line, ranks in zip(lines, scaled, strict=True):
                values, first = np.unique(line, return_index=True)
                known = ~np.isnan(values)
                knots.append((values[known], ranks[first[known]].astype(np.float64)))
        else:
            center, scale = center_and_scale(lines, method)
        return cls(method, knots, center, scale, medians(scaled))

    def apply(self, X: FloatArray, missing: Missing) -> FloatArray:
        """Scale rows by this distribution.

        A value between two known ones has a rank between theirs, in proportion; outside their
        range that of the nearest, for ``"minmax"`` as well. Columns without known values
        become 0.
        """
        if self.method == "rank":
            scaled = np.full_like(X, np.nan)
            for j, (values, ranks) in enumerate(self.knots):
                known = ~np.isnan(X[:, j])
                scaled[known, j] = np.interp(X[known, j], values, ranks) if len(values) else 0.0
        else:
            lines = X.T
            scaled = standardise(lines, np.nan_to_num(self.center), np.nan_to_num(self.scale)).T
            if self.method == "minmax":
                np.clip(scaled, -1.0, 1.0, out=scaled)
        if missing is not None:
            filler: FloatArray = self.median if missing == "median" else np.zeros(X.shape[1])
            rows, columns = np.nonzero(np.isnan(scaled))
            scaled[rows, columns] = filler[columns]
        return scaled
