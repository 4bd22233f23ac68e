"""Breakpoints by date and the portfolio that each asset falls into (pure NumPy).

Rows of a panel are laid out by date: a matrix has one line a date and one place for each
asset that the date has, ``NaN`` where it has fewer than the largest date.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from skfactor._typing import FloatArray, IntArray

BoolArray: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[np.signedinteger[Any]]

_SNAP = 1e-9  # 0.7 * (n - 1) should be a whole number where it is one on paper


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each row stands in the matrix of its date; ``flat`` is None for row by row."""

    flat: IntArray | None
    shape: tuple[int, int]

    def spread(self, values: npt.NDArray, fill: float) -> npt.NDArray:
        """Lay values of rows out by date."""
        if self.flat is None:
            return values.reshape(self.shape)
        matrix = np.full(self.shape[0] * self.shape[1], fill, dtype=values.dtype)
        matrix[self.flat] = values
        return matrix.reshape(self.shape)

    def gather(self, matrix: npt.NDArray) -> npt.NDArray:
        """Return the value of each row from a matrix."""
        return matrix.ravel() if self.flat is None else matrix.ravel()[self.flat]


def lay_out(line: IntArray, n_lines: int) -> Layout:
    """Give the rows of each date consecutive places."""
    counts = np.bincount(line, minlength=n_lines)
    shape = (n_lines, int(counts.max(initial=0)))
    rising = bool((line[1:] >= line[:-1]).all())
    if rising and len(line) == shape[0] * shape[1]:
        return Layout(None, shape)
    start = np.cumsum(counts) - counts
    shift = np.arange(n_lines) * shape[1] - start
    if rising:
        return Layout(np.arange(len(line)) + shift[line], shape)
    order = stable_order(line, n_lines)
    flat = np.empty(len(line), dtype=np.intp)
    flat[order] = np.arange(len(line)) + shift[line[order]]
    return Layout(flat, shape)


def stable_order(codes: IntArray, n_codes: int) -> IntArray:
    """Sort codes stably; NumPy does so in linear time for 16 bits."""
    small = codes.astype(np.uint16) if n_codes <= np.iinfo(np.uint16).max else codes
    return np.argsort(small, kind="stable")


def quantiles_by_line(
    values: FloatArray, probabilities: FloatArray, min_count: int
) -> tuple[FloatArray, IntArray]:
    """Return the linearly interpolated quantiles of each line, and its number of values.

    ``NaN`` is left out. Lines with fewer than ``min_count`` values have ``NaN`` quantiles.

    Parameters
    ----------
    values : ndarray of shape (n_lines, n_places)
        The values.
    probabilities : ndarray of shape (n_quantiles,)
        Strictly between 0 and 1.
    min_count : int
        The fewest values that a line needs, at least 1.

    Returns
    -------
    quantiles : ndarray of shape (n_lines, n_quantiles)
        The breakpoints.
    counts : ndarray of shape (n_lines,)
        The number of values.
    """
    counts = values.shape[1] - np.isnan(values).sum(axis=1)
    if not values.shape[1]:
        return np.full((len(values), len(probabilities)), np.nan), counts
    rising = np.sort(values, axis=1)  # NaN goes last
    last = np.maximum(counts - 1, 0)[:, None]
    at = probabilities * last
    whole = np.rint(at)
    at = np.where(np.abs(at - whole) < _SNAP * np.maximum(whole, 1), whole, at)
    below = np.floor(at).astype(np.intp)
    share = at - below
    low = np.take_along_axis(rising, below, axis=1)
    high = np.take_along_axis(rising, np.minimum(below + 1, last), axis=1)
    step = high - low
    # From the nearer end, so that the result is monotone in the share and exact at both ends.
    points = np.where(share < 0.5, low + step * share, high - step * (1 - share))
    points[counts < min_count] = np.nan
    return points, counts


def bucket(
    values: FloatArray,
    reference: BoolArray | None,
    probabilities: FloatArray,
    *,
    ties_up: bool,
    min_count: int,
) -> Codes:
    """Return the bucket of each value within its line, -1 for none.

    Breakpoints come from the values marked in ``reference``, from all if it is None. A value
    equal to a breakpoint goes up if ``ties_up``, else down.
    """
    marked = values if reference is None else np.where(reference, values, np.nan)
    points, counts = quantiles_by_line(marked, probabilities, min_count)
    codes: Codes = np.zeros(values.shape, dtype=np.int16)
    for point in points.T[:, :, None]:
        codes += values >= point if ties_up else values > point
    codes[np.isnan(values) | (counts < min_count)[:, None]] = -1
    return codes


def sort_lines(
    values: Sequence[FloatArray],
    reference: BoolArray | None,
    probabilities: Sequence[FloatArray],
    *,
    dependent: bool,
    ties_up: bool,
    min_count: Sequence[int],
) -> Codes:
    """Return the portfolio of each place, -1 for none; the last variable runs fastest.

    An asset needs all variables. One that lacks some still counts for the breakpoints of the
    others in an independent sort; in a dependent one it counts for those before.
    """
    codes: Codes = np.zeros(values[0].shape, dtype=np.int16)
    n_codes = 1
    for column, levels, fewest in zip(values, probabilities, min_count, strict=True):
        n_levels = len(levels) + 1
        groups = range(n_codes) if dependent else range(1)
        found = np.full(codes.shape, -1, dtype=np.int16)
        for group in groups:
            inside = codes == group if dependent else None
            part = column if inside is None else np.where(inside, column, np.nan)
            got = bucket(part, reference, levels, ties_up=ties_up, min_count=fewest)
            found = got if inside is None else np.where(inside, got, found)
        codes = np.where((codes < 0) | (found < 0), -1, codes * n_levels + found).astype(np.int16)
        n_codes *= n_levels
    return codes


def labels(names: Sequence[str], n_levels: Sequence[int]) -> list[str]:
    """Name portfolios by variable and level, level 1 the lowest: ``"size1 value3"``."""
    levels = [[f"{name}{k + 1}" for k in range(n)] for name, n in zip(names, n_levels, strict=True)]
    return [" ".join(parts) for parts in itertools.product(*levels)]
