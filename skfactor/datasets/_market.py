"""Factor returns, betas, and prices that follow from them (pure NumPy)."""

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skfactor._typing import FloatArray, IntArray

FACTORS = ("Mkt-RF", "SMB", "HML", "LIQ", "LEV", "OE")

DAYS_A_YEAR = 252

ANNUAL_PREMIA = np.array([0.070, 0.030, 0.040, -0.040, 0.040, 0.050])
ANNUAL_VOLATILITIES = np.array([0.155, 0.080, 0.080, 0.070, 0.070, 0.070])
FACTOR_CORRELATION = np.array(
    [
        [1.00, 0.20, -0.05, -0.10, 0.25, -0.15],
        [0.20, 1.00, 0.05, -0.10, 0.05, -0.20],
        [-0.05, 0.05, 1.00, -0.05, 0.15, -0.05],
        [-0.10, -0.10, -0.05, 1.00, -0.20, 0.05],
        [0.25, 0.05, 0.15, -0.20, 1.00, -0.10],
        [-0.15, -0.20, -0.05, 0.05, -0.10, 1.00],
    ]
)

# Rows: factors; columns: size, value, liquidity, leverage, efficiency. Every factor is long
# the firms that its name points to, SMB the small ones.
BETA_INTERCEPT = np.array([1.0, 0.3, 0.1, 0.0, 0.0, 0.0])
BETA_LOADINGS = np.array(
    [
        [-0.05, 0.00, -0.05, 0.15, -0.05],
        [-0.60, 0.00, 0.00, 0.00, 0.00],
        [0.00, 0.55, 0.00, 0.00, 0.00],
        [0.00, 0.00, 0.60, 0.00, 0.00],
        [0.00, 0.00, 0.00, 0.60, 0.00],
        [0.00, 0.00, 0.00, 0.00, 0.60],
    ]
)

DAILY_TAIL = 5  # degrees of freedom of Student's t
WORST_MONTH = -0.90
MIN_DAYS = 20  # returns that a volatility needs


class Market(NamedTuple):
    """Simulated returns; S stocks, D days, M months, K factors."""

    factors_daily: FloatArray  # (D, K)
    risk_free_daily: FloatArray  # (D,)
    factors: FloatArray  # (M, K)
    risk_free: FloatArray  # (M,)
    betas: FloatArray  # (S, K)
    stocks_daily: FloatArray  # (D, S)


def _student(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Draw Student's t scaled to variance 1."""
    draws = rng.standard_t(DAILY_TAIL, size=shape)
    draws *= np.sqrt((DAILY_TAIL - 2) / DAILY_TAIL)
    return draws


def compound(returns: FloatArray, starts: IntArray) -> FloatArray:
    """Compound the returns of each period; ``starts`` holds the first row of every period."""
    return np.multiply.reduceat(1.0 + returns, starts, axis=0) - 1.0


def draw_betas(rng: np.random.Generator, positions: FloatArray, noise: float = 0.1) -> FloatArray:
    """Betas that follow a firm's positions, with a little of its own."""
    betas = BETA_INTERCEPT + positions @ BETA_LOADINGS.T
    return betas + noise * rng.standard_normal(betas.shape)


def draw_idiosyncratic_volatility(rng: np.random.Generator, positions: FloatArray) -> FloatArray:
    """Annual volatilities; those of small and of inefficient firms are higher."""
    size, efficiency = positions[:, 0], positions[:, 4]
    log_volatility = np.log(0.22) - 0.22 * size - 0.10 * efficiency
    return np.exp(log_volatility + 0.08 * rng.standard_normal(len(positions)))


def simulate_market(
    rng: np.random.Generator,
    positions: FloatArray,
    month_of_day: IntArray,
    annual_volatility: FloatArray,
) -> Market:
    """Draw factors and stock returns in which the linear factor model holds every month.

    Daily simple returns are linear in the daily factors. Compounding bends that line a
    little, so the days of each month are rescaled by one common factor such that the month's
    return is exactly ``RF + betas @ factors + noise``, the noise being the compounded daily
    one.
    """
    n_days, n_factors = len(month_of_day), len(FACTORS)
    starts = np.flatnonzero(np.r_[True, np.diff(month_of_day) > 0])
    month = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, n_days]))
    days_in_month = np.bincount(month)

    daily_volatilities = ANNUAL_VOLATILITIES / np.sqrt(DAYS_A_YEAR)
    mixing = np.linalg.cholesky(FACTOR_CORRELATION) * daily_volatilities[:, None]
    factors_daily = _student(rng, (n_days, n_factors)) @ mixing.T
    factors_daily += ANNUAL_PREMIA / DAYS_A_YEAR
    log_rate = np.log(0.02) + np.cumsum(0.08 * rng.standard_normal(len(starts)))
    risk_free_daily = np.clip(np.exp(log_rate), 0.001, 0.08)[month] / DAYS_A_YEAR

    risk_free = compound(risk_free_daily, starts)
    factors = compound(factors_daily, starts)
    # The market factor is the market's return less the bill's, each compounded on its own.
    factors[:, 0] = compound(factors_daily[:, 0] + risk_free_daily, starts) - risk_free

    betas = draw_betas(rng, positions)
    stocks = _student(rng, (n_days, len(positions)))
    stocks *= annual_volatility / np.sqrt(DAYS_A_YEAR)
    stocks = np.maximum(stocks, -0.4, out=stocks)
    target = 1.0 + risk_free[:, None] + factors @ betas.T + compound(stocks, starts)
    target = np.maximum(target, 1.0 + WORST_MONTH, out=target)

    stocks += factors_daily @ betas.T
    stocks += 1.0 + risk_free_daily[:, None]
    stocks = np.maximum(stocks, 0.3, out=stocks)
    reached = np.multiply.reduceat(stocks, starts, axis=0)
    rescale = (target / reached) ** (1.0 / days_in_month)[:, None]
    stocks *= rescale[month]
    stocks -= 1.0
    return Market(factors_daily, risk_free_daily, factors, risk_free, betas, stocks)


def draw_lifetimes(
    rng: np.random.Generator,
    year_of_day: IntArray,
    n_assets: int,
    late_listing_rate: float,
    delisting_rate: float,
) -> tuple[IntArray, IntArray]:
    """Draw each stock's first and last day, with a fiscal year end between them."""
    n_days = len(year_of_day)
    late = rng.random(n_assets) < late_listing_rate
    first = np.where(late, rng.integers(1, max(2, n_days // 2), n_assets), 0)
    year_ends = np.flatnonzero(np.r_[np.diff(year_of_day) > 0, True])[1:]
    earliest_end = year_ends[np.searchsorted(year_ends, first)]
    dead = rng.random(n_assets) < delisting_rate
    lasting = earliest_end + np.floor(rng.random(n_assets) * (n_days - earliest_end))
    return first, np.where(dead, lasting, n_days - 1).astype(np.intp)


def yearly_volatility(
    returns: FloatArray, observed: npt.NDArray[np.bool_], year_ends: IntArray
) -> FloatArray:
    """Annualised standard deviation of the daily returns of every year; (n_assets, n_years)."""
    columns = []
    for start, stop in itertools.pairwise(year_ends):
        seen = observed[start:stop]
        count = seen.sum(axis=0)
        kept = np.where(seen, returns[start:stop], 0.0)
        mean = kept.sum(axis=0) / np.maximum(count, 1)
        squares = (np.where(seen, kept - mean, 0.0) ** 2).sum(axis=0)
        variance = squares / np.maximum(count - 1, 1)
        columns.append(np.where(count >= MIN_DAYS, np.sqrt(variance * DAYS_A_YEAR), np.nan))
    return np.column_stack(columns)
