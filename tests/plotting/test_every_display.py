"""What holds for every display: it draws where it is told, and leaves pyplot alone."""

import pickle
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from _displays import watched
from sklearn.decomposition import PCA

import skfactor.plotting
from skfactor.inference import alpha_bootstrap
from skfactor.linear_model import FamaFrenchRegressor
from skfactor.plotting import (
    AlphaBootstrapDisplay,
    BetaPathDisplay,
    ClusterBoxPlotDisplay,
    ClusterPathsDisplay,
    CorrelationDisplay,
    ElbowDisplay,
    EmbeddingDisplay,
    FactorReturnsDisplay,
    ImportanceDisplay,
    ReconstructionDisplay,
    RiskReturnDisplay,
    SilhouetteDisplay,
    TrainingCurveDisplay,
)

DISPLAYS = skfactor.plotting.__all__
N = 30
LABELS = np.repeat([0, 1, 2], N // 3)
NAMES = [f"T{i}" for i in range(N)]
FEATURES = pd.DataFrame(
    np.random.default_rng(0).normal(size=(N, 4)) + 4.0 * np.eye(3, 4)[LABELS], NAMES, list("abcd")
)
RETURNS = pd.DataFrame(0.01 + 0.03 * np.random.default_rng(1).normal(size=(24, N)), columns=NAMES)
BETAS = pd.DataFrame(
    {"factor1": np.random.default_rng(2).normal(size=5 * N)},
    pd.MultiIndex.from_product(
        [pd.date_range("2020-01-31", periods=5, freq="ME"), NAMES], names=["date", "asset"]
    ),
)


def _bootstrap():
    rng = np.random.default_rng(3)
    model = FamaFrenchRegressor().fit(rng.normal(size=(40, 2)), rng.normal(size=(40, 12)))
    return alpha_bootstrap(model, n_resamples=20, random_state=0)


# One way to make each display, on one axes that is given or new.
MAKERS = {
    "AlphaBootstrapDisplay": lambda ax: AlphaBootstrapDisplay.from_bootstrap(_bootstrap(), ax=ax),
    "BetaPathDisplay": lambda ax: BetaPathDisplay.from_betas(BETAS, ax=ax),
    "ClusterBoxPlotDisplay": lambda ax: ClusterBoxPlotDisplay.from_labels(
        FEATURES, LABELS, features=["b"], ax=ax
    ),
    "ClusterPathsDisplay": lambda ax: ClusterPathsDisplay.from_labels(
        FEATURES, np.zeros(N, dtype=int), ax=ax
    ),
    "CorrelationDisplay": lambda ax: CorrelationDisplay.from_returns(RETURNS, LABELS, ax=ax),
    "ElbowDisplay": lambda ax: ElbowDisplay.from_table(
        {"n_clusters": [2, 3, 4, 5], "inertia": [9.0, 4.0, 3.5, 3.1]}, ax=ax
    ),
    "EmbeddingDisplay": lambda ax: EmbeddingDisplay.from_embedding(
        FEATURES.iloc[:, :2], LABELS, ax=ax
    ),
    "FactorReturnsDisplay": lambda ax: FactorReturnsDisplay.from_returns(
        BETAS["factor1"].unstack().iloc[:, :2], ax=ax
    ),
    "ImportanceDisplay": lambda ax: ImportanceDisplay.from_importance(
        pd.DataFrame({"r2_lost": [0.2, 0.1], "share": [2 / 3, 1 / 3]}, ["size", "value"]), ax=ax
    ),
    "ReconstructionDisplay": lambda ax: ReconstructionDisplay.from_estimator(
        PCA(2).fit(FEATURES), FEATURES, ["T3"], ax=ax
    ),
    "RiskReturnDisplay": lambda ax: RiskReturnDisplay.from_returns(RETURNS, LABELS, ax=ax),
    "SilhouetteDisplay": lambda ax: SilhouetteDisplay.from_labels(FEATURES, LABELS, ax=ax),
    "TrainingCurveDisplay": lambda ax: TrainingCurveDisplay.from_history(
        {"train_loss": [1.0, 0.5, 0.3], "valid_loss": [1.1, 0.7, 0.8]}, ax=ax
    ),
}


def test_every_display_is_tested():
    assert sorted(MAKERS) == sorted(DISPLAYS)


@pytest.mark.parametrize("name", DISPLAYS)
class TestEveryDisplay:
    def test_makes_one_figure_with_named_axes(self, name):
        made = MAKERS[name](None)
        assert type(made).__name__ == name
        assert plt.get_fignums() == [made.figure_.number]
        assert made.ax_.figure is made.figure_
        for axis in (made.ax_.xaxis, made.ax_.yaxis):
            said = [axis.get_label_text(), made.ax_.get_title()]
            said += [tick.get_text() for tick in axis.get_ticklabels()]
            assert re.search("[a-z]", " ".join(said))
        made.figure_.canvas.draw()

    def test_draws_on_the_axes_it_is_given(self, name):
        figure, (left, right) = plt.subplots(1, 2)
        plt.sca(left)
        made = MAKERS[name](right)
        assert made.ax_ is right
        assert made.figure_ is figure
        assert plt.get_fignums() == [figure.number]
        assert plt.gca() is left
        assert not left.has_data()
        assert right.has_data()
        figure.canvas.draw()

    def test_draws_on_a_figure_that_pyplot_does_not_know(self, name):
        figure = matplotlib.figure.Figure()
        made = MAKERS[name](figure.add_subplot())
        assert made.figure_ is figure
        assert plt.get_fignums() == []

    def test_changes_no_settings_and_no_random_state(self, name):
        settings = dict(matplotlib.rcParams)
        state = np.random.get_state()
        MAKERS[name](None)
        assert dict(matplotlib.rcParams) == settings
        assert pickle.dumps(np.random.get_state()) == pickle.dumps(state)

    def test_can_be_drawn_again(self, name):
        made = MAKERS[name](None)
        first = made.ax_
        assert made.plot() is made
        assert made.ax_ is not first

    def test_says_how_to_get_matplotlib(self, name, without_matplotlib):
        with pytest.raises(ImportError) as caught:
            MAKERS[name](None)
        assert str(caught.value) == (
            f"{name} needs matplotlib, which is not installed. Run `pip install skfactor[plot]`."
        )


class _Careless:
    """Opens a figure too many, and then may fail."""

    def plot(self, *, fails=False):
        plt.figure()
        if fails:
            raise ValueError
        self.figure_ = plt.figure()
        return self


def test_a_figure_left_over_is_found():
    left_over = []
    plot = watched(_Careless.plot, left_over)
    plot(_Careless())
    assert left_over == ["_Careless left 1 figures open"]
    with pytest.raises(ValueError):
        plot(_Careless(), fails=True)
    assert len(left_over) == 2
