"""A panel a few dates at a time: the fits of all its rows without all their betas in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from skfactor._typing import FloatArray, IntArray
from skfactor.panel._panel import Panel

# Rows that are looked at together, unless one date has more.
_MOST_ROWS = 2**17


@dataclass(frozen=True, eq=False)
class MemberPart:
    """What one member says of some dates of a panel.

    Parameters
    ----------
    member : int
        Which member.
    panel : Panel
        The dates, as a panel of their own.
    dates, rows : slice
        Their places in the panel that they are a part of.
    betas : ndarray of shape (n_rows, n_factors)
        Betas in the common rotation.
    factors : ndarray of shape (n_dates, n_factors)
        Factor returns, likewise.
    leverage : ndarray of shape (n_rows,) or None
        The derivative of each fit with respect to its own return.
    """

    member: int
    panel: Panel
    dates: slice
    rows: slice
    betas: FloatArray
    factors: FloatArray
    leverage: FloatArray | None


def date_blocks(starts: IntArray) -> Iterator[slice]:
    """Yield neighbouring dates that have few rows together, at least one at a time.

    Parameters
    ----------
    starts : ndarray of shape (n_dates + 1,)
        Where each date begins.

    Yields
    ------
    slice
        Dates.
    """
    first, n_dates = 0, len(starts) - 1
    while first < n_dates:
        last = int(starts.searchsorted(starts[first] + _MOST_ROWS, side="right")) - 1
        last = max(min(last, n_dates), first + 1)
        yield slice(first, last)
        first = last
