"""Pseudo-inverses whose rank does not depend on units, against NumPy's in benign ones."""

import numpy as np
import pytest

from skfactor._kernels._pseudo_inverses import inverse_roots, null_basis, pseudo_inverses
from skfactor._kernels._sections import section_least_squares

STARTS = np.array([0, 30, 60])


def test_moments_of_full_rank_and_of_collinear_columns_match_numpy():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(20, 4)) for _ in range(4)]
    tables[1][:, 3] = tables[1][:, 0] - 3 * tables[1][:, 1]
    tables[2][:, 1] = 0.0
    tables[2][:, 3] = 2 * tables[2][:, 2]
    tables[3] = tables[3][:2]  # fewer rows than columns
    gram = np.stack([Z.T @ Z for Z in tables])
    for found, matrix in zip(pseudo_inverses(gram), gram, strict=True):
        np.testing.assert_allclose(found, np.linalg.pinv(matrix, rcond=1e-10), atol=1e-9)
    np.testing.assert_array_equal(pseudo_inverses(np.zeros((1, 3, 3))), np.zeros((1, 3, 3)))


@pytest.mark.parametrize("units", [(1e9, 1, 1, 1), (1, 1e-9, 1, 1e9), (1e-9, 1, 1e5, 1e9)])
def test_units_of_independent_columns_cancel(units):
    Z = np.random.default_rng(0).normal(size=(20, 4))
    scaled = Z * units
    found = pseudo_inverses((scaled.T @ scaled)[None])[0]
    np.testing.assert_allclose(
        found * np.outer(units, units), np.linalg.inv(Z.T @ Z), rtol=1e-9, atol=1e-12
    )
    roots = inverse_roots((scaled.T @ scaled)[None])[0]
    np.testing.assert_allclose(
        (roots @ roots.T) * np.outer(units, units), np.linalg.inv(Z.T @ Z), rtol=1e-9, atol=1e-12
    )


def test_collinear_columns_share_a_slope_by_least_norm_in_their_own_units():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 30))
    Z = np.column_stack([1e4 * a, 1e-4 * b, 2e4 * a, c, -1e-4 * b])
    target = a + 2 * b + 3 * c
    found = pseudo_inverses((Z.T @ Z)[None])[0] @ (Z.T @ target)
    # On a times (1, 2), the least norm that sums to one is (1, 2) / 5.
    np.testing.assert_allclose(found, [0.2e-4, 1e4, 0.4e-4, 3.0, -1e4], rtol=1e-6)


def test_null_directions_of_separate_groups_are_not_mixed():
    rng = np.random.default_rng(0)
    exact = np.zeros((5, 2))
    exact[[0, 2], 0] = [0.5**0.5, -(0.5**0.5)]
    exact[[1, 4], 1] = [0.5**0.5, -(0.5**0.5)]
    turned = exact @ np.linalg.qr(rng.normal(size=(2, 2)))[0] + 1e-15 * rng.normal(size=(5, 2))
    basis = null_basis(turned[None], np.array([[1e9, 1e-9, 2e9, 1.0, 1e-9]]))[0]
    basis = basis[:, np.argsort(np.abs(basis[0]))]
    np.testing.assert_allclose(np.abs(basis[:, 0]), [0, 0.5**0.5, 0, 0, 0.5**0.5], atol=1e-14)
    np.testing.assert_allclose(np.abs(basis[:, 1]), [0.8**0.5, 0, 0.2**0.5, 0, 0], atol=1e-14)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_slopes_by_date_do_not_depend_on_the_unit_of_a_column(unit):
    rng = np.random.default_rng(0)
    B, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    factors, leverage = section_least_squares(B, y, STARTS)
    other, same = section_least_squares(B * [1, unit, 1], y, STARTS)
    np.testing.assert_allclose(other * [1, unit, 1], factors, rtol=1e-9)
    np.testing.assert_allclose(same, leverage, rtol=1e-9)


def test_a_ridge_keeps_its_formula_whatever_the_units():
    rng = np.random.default_rng(0)
    B, y = rng.normal(size=(60, 3)) * [1e6, 1, 1], rng.normal(size=60)
    factors, _ = section_least_squares(B, y, STARTS, ridge=1e-8)
    for t, rows in enumerate((slice(30), slice(30, 60))):
        gram = B[rows].T @ B[rows]
        gram += 1e-8 * np.trace(gram) / 3 * np.eye(3)
        np.testing.assert_allclose(factors[t], np.linalg.solve(gram, B[rows].T @ y[rows]))
