"""Two-sided p-values, many at a time."""

import numpy as np
from scipy import special

from skfactor._typing import FloatArray

# Odd polynomials of the series z = w + sum_k P_k(w) / b^k with b = 48 (df - 1/2)^2, from the
# highest power of w^2 down. The first two are those of Hill (1970), algorithm 395; the rest
# follow from the same differential equation.
_SERIES = (
    (1.0, 3.0),
    (-2 / 5, -33 / 10, -24.0, -171 / 2),
    (32 / 105, 394 / 105, 3267 / 70, 855 / 2, 5175 / 2, 17037 / 2),
    (
        -48 / 175,
        -2362 / 525,
        -13729 / 175,
        -313239 / 280,
        -61938 / 5,
        -2020491 / 20,
        -559494.0,
        -14119677 / 8,
    ),
)
_LEAST_DF = 50.0
_LARGEST_SHARE = 0.2


def two_sided_p(statistic: FloatArray, df: FloatArray | None) -> FloatArray:
    """Return the probability of a statistic at least as far from zero.

    Parameters
    ----------
    statistic : ndarray
        t statistics.
    df : ndarray or None
        Degrees of freedom, broadcast against ``statistic``; None for the normal law.

    Returns
    -------
    ndarray
        p-values of the shape of ``statistic``, right to about 1e-12 of themselves: they stay
        positive where one minus a distribution function is 0.
    """
    size = np.abs(statistic)
    if df is None:
        return 2.0 * special.ndtr(-size)
    df = np.broadcast_to(np.asarray(df, float), size.shape)
    # The incomplete beta function costs tens of times a normal tail. For many degrees of
    # freedom and moderate t a normalising series is as exact.
    a = df - 0.5
    with np.errstate(invalid="ignore", over="ignore"):
        w2 = a * np.log1p(size * size / df)
        by_series = (df >= _LEAST_DF) & (w2 <= _LARGEST_SHARE * a)
        b = 48.0 * a * a
        correction = np.zeros_like(w2)
        for polynomial in reversed(_SERIES):
            value = np.full_like(w2, polynomial[0])
            for coefficient in polynomial[1:]:
                value *= w2
                value += coefficient
            correction += value
            correction /= b
        z = np.sqrt(w2) * (1.0 + correction)
        out = 2.0 * special.ndtr(-z)
    exact = ~by_series
    out[exact] = 2.0 * special.stdtr(df[exact], -size[exact])
    return out
