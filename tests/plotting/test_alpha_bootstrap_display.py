"""The display of luck against skill."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skfactor.inference import alpha_bootstrap
from skfactor.linear_model import FamaFrenchRegressor
from skfactor.plotting import AlphaBootstrapDisplay


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    factors = rng.normal(0.005, 0.04, (60, 2))
    returns = factors @ rng.normal(1, 0.3, (2, 25)) + rng.normal(0, 0.03, (60, 25))
    return FamaFrenchRegressor().fit(factors, returns)


def test_lines_are_the_columns_of_the_table(model):
    found = alpha_bootstrap(model, n_resamples=40, percentiles=(90, 10, 50), random_state=0)
    display = AlphaBootstrapDisplay.from_bootstrap(found)
    table = found.table.sort_index()
    for line, column in ((display.actual_, "actual"), (display.simulated_, "simulated")):
        assert_allclose(line.get_xdata(), [10, 50, 90])
        assert_allclose(line.get_ydata(), table[column])
    corners = display.band_.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(table["low"].min())
    assert corners[:, 1].max() == pytest.approx(table["high"].max())
    assert display.ax_.get_xlabel() == "percentile of 25 assets"


def test_a_fitted_model_is_bootstrapped_and_drawn_on_given_axes(model):
    figure, ax = plt.subplots()
    display = AlphaBootstrapDisplay.from_estimator(model, n_resamples=40, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    expected = alpha_bootstrap(model, n_resamples=40, random_state=0).table
    assert_allclose(display.simulated_.get_ydata(), expected["simulated"])
    again = AlphaBootstrapDisplay(display.bootstrap).plot()
    assert again.ax_ is not ax
