"""Sharpe ratios and how far to trust them."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from skfactor._kernels._means import lags_or_rule, means_and_errors
from skfactor._kernels._resampling import block_length_of, stationary_bootstrap
from skfactor._typing import ArrayLike, FloatArray, RandomState
from skfactor._validation import check_count, draw_seed, listed
from skfactor.metrics._rows import returns_array

_METHODS = ("normal", "mertens", "hac", "bootstrap")
_LEAST = 3


@dataclass(frozen=True)
class SharpeRatio:
    """A Sharpe ratio with its interval; ``float`` of it is the ratio.

    Parameters
    ----------
    value : float
        The ratio, annualised.
    std_error : float
        Its standard error.
    low, high : float
        The ends of the interval.
    confidence : float
        The share of samples whose interval holds the true ratio.
    method : str
        How the interval was made.
    n_dates : int
        Returns behind it.
    periods_per_year : float
        Returns a year.

    Examples
    --------
    >>> from skfactor.metrics import sharpe_ratio
    >>> sharpe_ratio([0.02, -0.01, 0.03, 0.01, 0.0, 0.02])
    SharpeRatio: 2.746 a year, 95% interval [-0.815, 6.306] (mertens; 6 dates)
    """

    value: float
    std_error: float
    low: float
    high: float
    confidence: float
    method: str
    n_dates: int
    periods_per_year: float

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        unit = " a year" if self.periods_per_year != 1 else ""
        return (
            f"SharpeRatio: {self.value:.3f}{unit}, {100 * self.confidence:g}% interval "
            f"[{self.low:.3f}, {self.high:.3f}] ({self.method}; {self.n_dates} dates)"
        )


def sharpe_ratio(
    returns: ArrayLike,
    *,
    periods_per_year: float = 12,
    confidence: float = 0.95,
    method: str = "mertens",
    maxlags: int | None = None,
    block_length: float | None = None,
    n_resamples: int = 2000,
    random_state: RandomState = 0,
) -> SharpeRatio:
    r"""Mean over standard deviation of excess returns, annualised, with an interval.

    Parameters
    ----------
    returns : array-like of shape (n_dates,)
        Excess returns or returns of a long–short portfolio, in order of time; ``NaN`` is left
        out.
    periods_per_year : float, default=12
        Returns a year. The ratio is multiplied by its square root; 1 keeps it a period.
    confidence : float, default=0.95
        The coverage of the interval.
    method : {"normal", "mertens", "hac", "bootstrap"}, default="mertens"
        How far to trust the ratio:

        - ``"normal"``: independent normal returns [1]_;
        - ``"mertens"``: independent returns of any law, through skewness and kurtosis [2]_;
        - ``"hac"``: also dependent over time, the long-run variance of [1]_;
        - ``"bootstrap"``: whole blocks of dates are drawn again, and the ratio is studentised
          by the error of ``"mertens"`` [3]_. The interval need not be symmetric.
    maxlags : int or None, default=None
        Autocovariances of ``"hac"``, with Bartlett weights; None takes
        :math:`\lfloor 4 (n / 100)^{2/9} \rfloor`.
    block_length : float or None, default=None
        Mean length of the blocks of ``"bootstrap"``; None chooses it from the data [4]_.
    n_resamples : int, default=2000
        Resamples of ``"bootstrap"``.
    random_state : int, RandomState instance or None, default=0
        Seed of ``"bootstrap"``. Not None, so that the same returns have the same interval each
        time they are reported.

    Returns
    -------
    SharpeRatio
        The ratio, its standard error and interval.

    Raises
    ------
    ValueError
        For a parameter out of range, fewer than 3 returns, and returns that do not vary.

    Notes
    -----
    With :math:`\hat s = \hat\mu / \hat\sigma` a period, :math:`\hat\sigma` with n − 1 in its
    denominator, and skewness :math:`\gamma_3` and kurtosis :math:`\gamma_4`,

    .. math::

        \mathrm{se}^2 = \frac{1}{n - 1} \Big(1 + \frac{\gamma_4 - 1}{4} \hat s^2
        - \gamma_3 \hat s\Big),

    which for normal returns is :math:`(1 + \hat s^2 / 2) / (n - 1)`. It is the variance of the
    mean of :math:`\psi_t = z_t - \tfrac{\hat s}{2} (z_t^2 - 1)` with :math:`z_t` the
    standardised return, whose long-run variance is that of ``"hac"``. Multiplying by the square
    root of the periods a year supposes returns without autocorrelation.

    References
    ----------
    .. [1] A. W. Lo, "The statistics of Sharpe ratios", Financial Analysts Journal 58, 36–52,
       2002.
    .. [2] E. Mertens, "Comments on variance of the IID estimator in Lo (2002)", working paper,
       University of Basel, 2002.
    .. [3] O. Ledoit and M. Wolf, "Robust performance hypothesis testing with the Sharpe ratio",
       Journal of Empirical Finance 15, 850–859, 2008.
    .. [4] A. Patton, D. N. Politis and H. White, "Correction to 'Automatic block-length
       selection for the dependent bootstrap'", Econometric Reviews 28, 372–375, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.metrics import sharpe_ratio
    >>> returns = np.random.default_rng(0).normal(0.01, 0.04, 240)
    >>> sharpe = sharpe_ratio(returns)
    >>> round(float(sharpe), 2), sharpe.low < 0.87 < sharpe.high
    (0.78, True)
    """
    check_sharpe(periods_per_year, method)
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"`confidence` must be between 0 and 1; got {confidence!r}.")
    if maxlags is not None:
        check_count(maxlags, "maxlags", 0)
    check_count(n_resamples, "n_resamples", 1)
    if block_length is not None and not block_length >= 1:
        raise ValueError(f"`block_length` must be None or at least 1; got {block_length!r}.")
    series = returns_array(returns, "returns")
    if series.ndim == 2:
        if 1 not in series.shape:
            raise ValueError(
                f"`returns` must be one series; got shape {series.shape}. Pass one column after "
                "another."
            )
        series = series.ravel()
    series = series[~np.isnan(series)]
    if len(series) < _LEAST:
        raise ValueError(f"`returns` must have at least {_LEAST} values; got {len(series)}.")
    if series.std() <= 1e-14 * np.abs(series).max():
        raise ValueError("`returns` must vary; got one value throughout.")

    ratio, error = _ratio_and_error(series[None], method)
    value, std_error = float(ratio[0]), float(error[0])
    upper = float(special.ndtri(0.5 + confidence / 2.0))
    low, high = value - upper * std_error, value + upper * std_error
    if method == "hac":
        scores = _scores(series, value)
        lags = lags_or_rule(maxlags, len(series))
        std_error = float(means_and_errors(scores[:, None], lags)[1][0])
        low, high = value - upper * std_error, value + upper * std_error
    elif method == "bootstrap":
        length = block_length
        if length is None:
            length = float(block_length_of(_scores(series, value)[:, None])[0])
        rng = np.random.default_rng(draw_seed(random_state))
        drawn = series[stationary_bootstrap(rng, len(series), n_resamples, length)]
        varies = drawn.std(axis=1) > 1e-14 * np.abs(series).max()
        ratios, errors = _ratio_and_error(drawn[varies], "mertens")
        tails = [0.5 - confidence / 2.0, 0.5 + confidence / 2.0]
        lowest, highest = np.quantile((ratios - value) / errors, tails)
        low, high = value - highest * std_error, value - lowest * std_error
        std_error = float(ratios.std(ddof=1))
    scale = float(np.sqrt(periods_per_year))
    return SharpeRatio(
        value * scale,
        std_error * scale,
        float(low) * scale,
        float(high) * scale,
        float(confidence),
        method,
        len(series),
        float(periods_per_year),
    )


def check_sharpe(periods_per_year: float, method: str, method_name: str = "method") -> None:
    """Raise for what :func:`sharpe_ratio` refuses whatever the returns."""
    if not 0.0 < periods_per_year < np.inf:
        raise ValueError(f"`periods_per_year` must be between 0 and inf; got {periods_per_year!r}.")
    if method not in _METHODS:
        raise ValueError(f"`{method_name}` must be one of {listed(_METHODS)}; got {method!r}.")


def _ratio_and_error(series: FloatArray, method: str) -> tuple[FloatArray, FloatArray]:
    """Return the ratio of each row a period, and its error for independent returns."""
    n = series.shape[1]
    mean = series.mean(axis=1, keepdims=True)
    centred = series - mean
    variance = (centred**2).mean(axis=1)
    ratio = mean[:, 0] / np.sqrt(variance * n / (n - 1))
    skewness, kurtosis = np.zeros(()), np.full((), 3.0)
    if method != "normal":
        skewness = (centred**3).mean(axis=1) / variance**1.5
        kurtosis = (centred**4).mean(axis=1) / variance**2
    spread = 1.0 + (kurtosis - 1.0) / 4.0 * ratio**2 - skewness * ratio
    # It is the mean of a square up to the factor n / (n - 1) of the ratio.
    return ratio, np.sqrt(np.maximum(spread, 1e-300) / (n - 1))


def _scores(series: FloatArray, ratio: float) -> FloatArray:
    """Return the series whose mean carries the sampling error of the ratio."""
    standard = (series - series.mean()) / series.std()
    return standard - 0.5 * ratio * (standard**2 - 1.0)
