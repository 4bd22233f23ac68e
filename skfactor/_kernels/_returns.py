"""Returns of many assets, handed out a block of assets at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skfactor._typing import FloatArray, IntArray

BLOCK_BYTES = 384 * 1024
"""The size of a block: it and what is computed from it stay in a core's cache."""


@dataclass(frozen=True, eq=False)
class Returns:
    """Returns as the user's array holds them, read as excess returns on given dates.

    No copy of the whole is ever made: blocks are converted to float64, put in the order of the
    dates and freed of the risk-free return when they are asked for.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_assets)
        Floating-point returns, ``NaN`` where there is none.
    rows : ndarray of shape (n_dates,) or None
        The row of each date, -1 for a date without any return; None if rows are the dates.
    risk_free : ndarray of shape (n_dates,) or None
        What to subtract.
    """

    values: FloatArray
    rows: IntArray | None = None
    risk_free: FloatArray | None = None

    @property
    def n_dates(self) -> int:
        """The number of dates."""
        return len(self.values) if self.rows is None else len(self.rows)

    @property
    def n_assets(self) -> int:
        """The number of assets."""
        return self.values.shape[1]

    def take(self, assets: slice | IntArray) -> FloatArray:
        """Return the float64 excess returns of some assets, dates × assets."""
        block = self.values[:, assets]
        if self.rows is not None:
            block = block[self.rows]
        block = np.asarray(block, dtype=np.float64)
        if self.rows is not None and (self.rows < 0).any():
            block[self.rows < 0] = np.nan
        return block if self.risk_free is None else block - self.risk_free[:, None]

    def window(self, dates: slice, assets: slice) -> FloatArray:
        """Return the float64 excess returns of some assets on consecutive dates."""
        if self.rows is None:
            part = Returns(self.values[dates])
        else:
            part = Returns(self.values, self.rows[dates])
        block = part.take(assets)
        return block if self.risk_free is None else block - self.risk_free[dates, None]

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[slice]:
        """Yield slices of assets whose returns fill about ``block_bytes``."""
        width = max(16, block_bytes // (8 * max(self.n_dates, 1)))
        for start in range(0, self.n_assets, width):
            yield slice(start, min(start + width, self.n_assets))
