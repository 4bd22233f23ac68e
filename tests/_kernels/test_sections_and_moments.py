"""Least squares and moments by date, against one date at a time."""

import itertools

import numpy as np
import pytest

from skfactor._kernels._moments import moments_by_date
from skfactor._kernels._sections import section_fits, section_least_squares

STARTS = np.array([0, 7, 7, 9, 20])


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    y = rng.normal(size=20)
    y[[3, 12]] = np.nan
    return rng.normal(size=(20, 3)), y


def sections():
    return [slice(a, b) for a, b in itertools.pairwise(STARTS)]


def test_factors_of_a_date_are_least_squares_on_its_observed_rows(rows):
    B, y = rows
    factors, _ = section_least_squares(B, y, STARTS)
    for t, rows_of_t in enumerate(sections()):
        seen = ~np.isnan(y[rows_of_t])
        expected = np.linalg.lstsq(B[rows_of_t][seen], y[rows_of_t][seen], rcond=None)[0]
        np.testing.assert_allclose(factors[t], expected, atol=1e-10)


def test_leverage_is_the_derivative_of_a_fit_by_its_own_return(rows):
    B, y = rows
    factors, leverage = section_least_squares(B, y, STARTS, ridge=0.1)
    for i in (0, 8, 15):
        moved = y.copy()
        moved[i] += 1e-3
        after, _ = section_least_squares(B, moved, STARTS, ridge=0.1)
        t = np.searchsorted(STARTS, i, side="right") - 1
        slope = B[i] @ (after[t] - factors[t]) / 1e-3
        np.testing.assert_allclose(leverage[i], slope, rtol=1e-8)
    assert leverage[3] == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fits_are_betas_times_the_factor_returns_of_the_date(dtype):
    rng = np.random.default_rng(0)
    starts = np.array([0, 3, 3, 7])
    betas, factors = rng.normal(size=(7, 2)).astype(dtype), rng.normal(size=(3, 2))
    fits = section_fits(betas, factors, starts)
    assert fits.dtype == np.float64
    for row, date in enumerate([0, 0, 0, 2, 2, 2, 2]):
        assert fits[row] == pytest.approx(float(betas[row].astype(float) @ factors[date]))


def test_ridge_is_relative_to_the_size_of_the_betas(rows):
    B, y = rows
    factors, leverage = section_least_squares(B, y, STARTS, ridge=0.5)
    scaled, same = section_least_squares(10 * B, y, STARTS, ridge=0.5)
    np.testing.assert_allclose(scaled, factors / 10, rtol=1e-12)
    np.testing.assert_allclose(same, leverage, rtol=1e-12)
    gram = B[9:][~np.isnan(y[9:])]
    gram = gram.T @ gram
    penalty = 0.5 * np.trace(gram) / 3 * np.eye(3)
    seen = 9 + np.flatnonzero(~np.isnan(y[9:]))
    np.testing.assert_allclose(factors[3], np.linalg.solve(gram + penalty, B[seen].T @ y[seen]))


def test_weights_are_repetitions(rows):
    B, y = rows
    weights = np.arange(20) % 3 + 1.0
    factors, _ = section_least_squares(B, y, STARTS, weights=weights)
    times = weights.astype(int)
    longer = np.concatenate([[0], np.cumsum([times[s].sum() for s in sections()])])
    repeated, _ = section_least_squares(np.repeat(B, times, axis=0), np.repeat(y, times), longer)
    np.testing.assert_allclose(factors, repeated, atol=1e-10)


def test_moments_are_sums_over_observed_rows_in_double_precision(rows):
    X, y = rows
    moments = moments_by_date(X.astype(np.float32), y, STARTS)
    assert moments.gram.dtype == np.float64
    for t, rows_of_t in enumerate(sections()):
        Z, r = X.astype(np.float32).astype(float)[rows_of_t], y[rows_of_t]
        Z, r = Z[~np.isnan(r)], r[~np.isnan(r)]
        np.testing.assert_allclose(
            moments.gram[t], sum(np.outer(z, z) for z in Z) + np.zeros((3, 3))
        )
        np.testing.assert_allclose(moments.cross[t], Z.T @ r)
        np.testing.assert_allclose(moments.squares[t], (r**2).sum())
        assert moments.counts[t] == len(r)
