"""Two-sided p-values against the incomplete beta function."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special

from skfactor._kernels._tails import two_sided_p


@pytest.mark.parametrize("df", [1, 3, 30, 49.9, 50, 51, 100, 354, 2514, 100_000])
def test_p_values_of_t_agree_with_the_incomplete_beta_function(df):
    size = np.concatenate([[0.0], np.geomspace(1e-3, 40, 400)])
    # The argument of either form loses digits on one side of df = t^2.
    small = 1 - special.betainc(0.5, df / 2, size**2 / (df + size**2))
    large = special.betainc(df / 2, 0.5, df / (df + size**2))
    expected = np.where(size < 1, small, large)
    rtol = 1e-12 if 2 < df < 1e4 else 1e-9
    assert_allclose(two_sided_p(size, np.array(float(df))), expected, rtol=rtol)
    assert_allclose(two_sided_p(-size, np.array(float(df))), expected, rtol=rtol)


def test_normal_p_values_stay_positive_far_out():
    assert_allclose(two_sided_p(np.array([0.0, 1.96, -10.0]), None)[2], 1.5239706e-23, rtol=1e-7)


def test_nan_and_infinity_pass_through():
    for df in (None, np.array([[3.0], [300.0]])):
        p = two_sided_p(np.array([[np.nan, np.inf], [np.nan, -np.inf]]), df)
        assert np.isnan(p[:, 0]).all()
        assert (p[:, 1] == 0).all()


def test_degrees_of_freedom_broadcast():
    t = np.array([[0.5, 2.0], [0.5, 2.0]])
    expected = 2 * special.stdtr(np.array([[5.0], [500.0]]), -t)
    assert_allclose(two_sided_p(t, np.array([[5.0], [500.0]])), expected, rtol=1e-13)
    missing = two_sided_p(t, np.array([[np.nan], [5.0]]))
    assert np.isnan(missing[0]).all()
