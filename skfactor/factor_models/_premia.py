"""Forecasts of factor premia from the factor returns known so far."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from skfactor._typing import FloatArray
from skfactor._validation import listed

Method = Literal["expanding", "rolling", "ewma", "ar1"]
METHODS: tuple[str, ...] = get_args(Method)

# A regression of a factor on its own past needs this many pairs to say more than the mean.
_MIN_PAIRS = 12


@dataclass(frozen=True)
class PremiaForecast:
    r"""How the premium of a factor is forecast from the factor's own past.

    Parameters
    ----------
    method : {"expanding", "rolling", "ewma", "ar1"}, default="expanding"
        ``"expanding"``: the mean of all past returns, the choice of Gu, Kelly and Xiu [1]_.
        ``"rolling"``: the mean of the last ``window``. ``"ewma"``: a mean whose weights halve
        every ``halflife`` dates. ``"ar1"``: a first-order autoregression fitted to all past
        returns, the mean while there are fewer than 13 of them.
    window : int, default=60
        Number of dates of ``"rolling"``.
    halflife : float, default=36.0
        Number of dates after which a return counts half in ``"ewma"``.

    Raises
    ------
    ValueError
        For a method that does not exist, and for ``window`` or ``halflife`` below their range.

    Notes
    -----
    The forecast that serves date :math:`t` is made from factor returns dated before
    :math:`t`:

    .. math::
        \lambda_{t-1} = \frac{1}{t-1} \sum_{s<t} f_s, \qquad
        \lambda_{t-1} = \frac{\sum_{s<t} 2^{-(t-1-s)/h} f_s}{\sum_{s<t} 2^{-(t-1-s)/h}}, \qquad
        \lambda_{t-1} = a_{t-1} + b_{t-1} f_{t-1},

    for ``"expanding"``, ``"ewma"`` and ``"ar1"``. It is zero while no factor return is known.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.factor_models import PremiaForecast
    >>> forecast = PremiaForecast("rolling", window=2)
    >>> forecast.path(np.array([[0.01], [0.03], [0.05]]))
    array([[0.  ],
           [0.01],
           [0.02],
           [0.04]])
    """

    method: Method = "expanding"
    window: int = 60
    halflife: float = 36.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"`method` must be one of {listed(METHODS)}; got {self.method!r}.")
        if not (self.window >= 1 and float(self.window).is_integer()):
            raise ValueError(
                f"`window` must be a whole number of dates, at least 1; got {self.window!r}."
            )
        if not self.halflife > 0:
            raise ValueError(f"`halflife` must be a positive number; got {self.halflife!r}.")

    def path(self, factors: Any) -> FloatArray:
        """Return the forecast after each number of factor returns, from none to all.

        Parameters
        ----------
        factors : array-like of shape (n_dates, n_factors)
            Factor returns in the order of time, without gaps.

        Returns
        -------
        ndarray of shape (n_dates + 1, n_factors)
            Row ``s`` uses the first ``s`` factor returns; row 0 is zero.
        """
        factors = np.asarray(factors, dtype=np.float64)
        path = np.zeros((len(factors) + 1, factors.shape[1]))
        if self.method == "ewma":
            decay = 0.5 ** (1.0 / self.halflife)
            total, weight = np.zeros(factors.shape[1]), 0.0
            for s, row in enumerate(factors, start=1):
                total, weight = decay * total + row, decay * weight + 1.0
                path[s] = total / weight
            return path
        sums = np.concatenate([path[:1], np.cumsum(factors, axis=0)])
        counts = np.arange(len(factors) + 1)
        window = self.window if self.method == "rolling" else len(factors) + 1
        before = np.maximum(counts - window, 0)
        path[1:] = (sums - sums[before])[1:] / (counts - before)[1:, None]
        if self.method == "ar1":
            pairs = counts[_MIN_PAIRS + 1 :] - 1
            path[_MIN_PAIRS + 1 :] = _autoregressions(factors)[pairs]
        return path


def _autoregressions(factors: FloatArray) -> FloatArray:
    """Return the one-step forecast of an AR(1) fitted to the first pairs, by their number."""
    # Deviations from the first row keep the sums of squares from cancelling.
    origin = factors[0]
    past, now = factors[:-1] - origin, factors[1:] - origin
    n = np.arange(1, len(factors))[:, None]
    s_x, s_y = past.cumsum(0), now.cumsum(0)
    s_xx, s_xy = (past * past).cumsum(0), (past * now).cumsum(0)
    spread = s_xx - s_x**2 / n
    slope = np.divide(s_xy - s_x * s_y / n, spread, out=np.zeros_like(spread), where=spread > 0)
    forecast = np.zeros_like(factors)
    forecast[1:] = origin + s_y / n + slope * (now - s_x / n)
    return forecast


def as_forecast(premia: Any) -> PremiaForecast:
    """Return the forecast that a constructor's ``premia`` means."""
    if isinstance(premia, PremiaForecast):
        return premia
    if premia in METHODS:
        return PremiaForecast(premia)
    raise ValueError(
        f"`premia` must be one of {listed(METHODS)} or a PremiaForecast; got {premia!r}."
    )
