"""Factor returns that are estimated from the returns they explain."""

import numpy as np

from skfactor._typing import FloatArray

_LEAST_FREEDOM = 1e-10


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
