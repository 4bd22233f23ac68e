"""Estimates of many assets on many dates."""

from dataclasses import dataclass

import numpy as np

from skfactor._kernels._shared import FLAT
from skfactor._typing import FloatArray


@dataclass(frozen=True, eq=False)
class Paths:
    """Coefficients as of each date; NaN where there are too few observations.

    Parameters
    ----------
    params : ndarray of shape (n_dates, n_params, n_assets)
        Coefficients from the dates up to and including each.
    nobs : ndarray of int32 of shape (n_dates, n_assets)
        Observations behind them.
    bse : ndarray of shape (n_dates, n_params, n_assets) or None
        Their standard errors.
    rsquared : ndarray of shape (n_dates, n_assets) or None
        Shares of variance explained.
    """

    params: FloatArray
    nobs: np.ndarray
    bse: FloatArray | None
    rsquared: FloatArray | None

    @classmethod
    def empty(cls, n_dates: int, n_params: int, n_assets: int, errors: bool) -> "Paths":
        """Return paths to be filled in; every entry must be."""
        shape = (n_dates, n_params, n_assets)
        return cls(
            np.empty(shape),
            np.empty((n_dates, n_assets), dtype=np.int32),
            np.empty(shape) if errors else None,
            np.empty((n_dates, n_assets)) if errors else None,
        )

    def blank(self, dates: slice) -> None:
        """Mark dates on which nothing can be estimated."""
        for values in (self.params, self.bse, self.rsquared):
            if values is not None:
                values[dates] = np.nan


def share_explained(rss: FloatArray, tss: FloatArray, squares: FloatArray) -> FloatArray:
    """Return R², NaN for returns that do not vary."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(tss > FLAT * squares, 1.0 - rss / tss, np.nan)
