"""Portfolio returns, counts and turnover from the holdings of each row (pure NumPy)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skfactor._typing import FloatArray, IntArray
from skfactor.portfolios._breakpoints import Codes, stable_order


@dataclass(frozen=True, eq=False)
class Holdings:
    """Which asset stood in which portfolio on which date, and with what weight.

    Who is held is known before the date: an asset is, whether or not its return is observed.
    A return that is missing counts as what the rest of the portfolio earned.

    Parameters
    ----------
    portfolio : ndarray of shape (n_rows,)
        The portfolio of each row, -1 for none.
    size : ndarray of shape (n_rows,)
        What weights are proportional to.
    returns : ndarray of shape (n_rows,)
        Returns; ``NaN`` where missing.
    date, asset : ndarray of shape (n_rows,)
        Codes of date and asset.
    shape : tuple of int
        Number of dates and of portfolios.
    n_assets : int
        Number of assets.
    """

    portfolio: Codes
    size: FloatArray
    returns: FloatArray
    date: IntArray
    asset: IntArray
    shape: tuple[int, int]
    n_assets: int

    @cached_property
    def held(self) -> IntArray | slice:
        """Rows that take part: in a portfolio, with a weight above zero."""
        # NaN is not above zero.
        takes_part = (self.portfolio >= 0) & (self.size > 0)
        return slice(None) if takes_part.all() else np.flatnonzero(takes_part)

    @cached_property
    def cell(self) -> IntArray:
        """Date and portfolio of the rows that take part, as one code."""
        return self.date[self.held] * self.shape[1] + self.portfolio[self.held]

    def sums(self, values: FloatArray | None) -> FloatArray:
        """Sum values of the rows that take part by date and portfolio."""
        flat: FloatArray = np.bincount(
            self.cell, values, minlength=self.shape[0] * self.shape[1]
        ).astype(np.float64, copy=False)
        return flat.reshape(self.shape)

    @cached_property
    def total(self) -> FloatArray:
        """Sum of sizes by date and portfolio."""
        return self.sums(self.size[self.held])

    @cached_property
    def portfolio_returns(self) -> FloatArray:
        """Weighted mean of the returns observed, ``NaN`` if none is; (n_dates, n_portfolios)."""
        size, returns = self.size[self.held], self.returns[self.held]
        missing = np.isnan(returns)
        observed = self.total
        if missing.any():
            size = np.where(missing, 0.0, size)
            returns = np.where(missing, 0.0, returns)
            observed = self.sums(size)
        with np.errstate(invalid="ignore"):
            return self.sums(size * returns) / observed  # 0 / 0 where nothing is observed

    def counts(self) -> IntArray:
        """Return the numbers of assets that take part; (n_dates, n_portfolios)."""
        return self.sums(None).astype(np.intp)

    def weights(self) -> FloatArray:
        """Return the weight of each row in its portfolio, 0 for rows that take no part."""
        weights = np.zeros(len(self.portfolio))
        weights[self.held] = self.size[self.held] / self.total.ravel()[self.cell]
        return weights

    def turnover(self) -> FloatArray:
        """Return the share of each portfolio that is traded at the start of each date.

        An asset without a return moves with its portfolio. ``NaN`` where the portfolio is
        empty, or was on the date before.
        """
        cell, date, asset = self.cell, self.date[self.held], self.asset[self.held]
        weight = self.weights()[self.held]
        returns = self.returns[self.held]
        gross = 1.0 + self.portfolio_returns.ravel()[cell]
        with np.errstate(divide="ignore", invalid="ignore"):
            drifted = weight * np.where(np.isnan(returns), 1.0, (1.0 + returns) / gross)

        # Rows of one asset one after another, by date.
        order = asset_order(date, asset, (self.shape[0], self.n_assets))
        now, before = order[1:], order[:-1]
        stays = (
            (asset[now] == asset[before])
            & (date[now] == date[before] + 1)
            & (cell[now] == cell[before] + self.shape[1])
        )
        inherited = np.zeros(len(cell))
        inherited[now[stays]] = drifted[before[stays]]

        traded = self.sums(np.abs(weight - inherited)) + 1.0 - self.sums(inherited)
        traded *= 0.5
        empty = self.total == 0
        traded[empty] = np.nan
        traded[1:][empty[:-1]] = np.nan
        traded[:1] = np.nan
        return traded


def asset_order(date: IntArray, asset: IntArray, shape: tuple[int, int]) -> IntArray:
    """Sort rows by asset, then date, in linear time where the codes are small."""
    by_date = stable_order(date, shape[0])
    return by_date[stable_order(asset[by_date], shape[1])]
