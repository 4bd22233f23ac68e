"""Fixtures of all tests of displays."""

import builtins

import matplotlib.pyplot as plt
import pytest
from _displays import watched

import skfactor.plotting


@pytest.fixture(autouse=True)
def no_figure_is_left_over(monkeypatch):
    """Fail if a display leaves a figure that is not its own, or a test any figure at all."""
    assert plt.get_fignums() == []
    left_over = []
    for name in skfactor.plotting.__all__:
        display = getattr(skfactor.plotting, name)
        monkeypatch.setattr(display, "plot", watched(display.plot, left_over))
    yield
    plt.close("all")
    assert left_over == []


@pytest.fixture
def without_matplotlib(monkeypatch):
    """Make matplotlib look as if it were not installed."""
    importing = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
