"""Factor returns that are estimated from the returns they explain."""

import numpy as np

from skfactor._typing import FloatArray
from skfactor.panel._panel import Panel

_LEAST_FREEDOM = 1e-10


def dates_with_returns(panel: Panel) -> np.ndarray:
    """Return which dates have a return, without which a factor's would be a mere zero."""
    missing = np.isnan(panel.returns)
    if not missing.any():
        complete: np.ndarray = np.diff(panel.starts) > 0
        return complete
    seen = np.concatenate([[0], np.cumsum(~missing)])
    dates: np.ndarray = np.diff(seen[panel.starts]) > 0
    return dates


def without_own_return(fit: FloatArray, returns: FloatArray, leverage: FloatArray) -> FloatArray:
    """Return the fit of each row by factor returns estimated without its own return.

    Parameters
    ----------
    fit, returns, leverage : ndarray of shape (n_rows,)
        The plain fit, the return (``NaN`` where missing) and the derivative of one by the
        other.

    Returns
    -------
    ndarray of shape (n_rows,)
        ``(fit - leverage * returns) / (1 - leverage)``; 0 where nothing is left to fit from.
    """
    free = 1.0 - leverage
    own = np.where(np.isnan(returns), 0.0, returns)
    enough = free > _LEAST_FREEDOM
    result: FloatArray = np.divide(fit - leverage * own, free, out=np.zeros_like(fit), where=enough)
    return result
