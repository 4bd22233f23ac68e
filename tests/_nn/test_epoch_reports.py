"""What a fit reports, told by a stand-in for scikit-learn's task contexts, so on any version."""

import numpy as np
import pytest
import torch
from skorch import NeuralNet

from skfactor._nn._progress import reported_fit
from skfactor._nn._training import TrainingStopped


class Task:
    """A task that writes its story down, and asks to stop after so many subtasks."""

    def __init__(self, name, story, most=None, stop_after=None):
        self.name, self.story, self.most, self.stop_after = name, story, most, stop_after
        self.subtasks = []

    def subcontext(self, task_name="", max_subtasks=0):
        assert len(self.subtasks) < self.most
        task = Task(f"{self.name}/{task_name}", self.story, max_subtasks, self.stop_after)
        self.subtasks.append(task)
        task.parent = self
        return task

    def call_on_fit_task_begin(self, *, estimator):
        self.story.append(f"begin {self.name}")

    def call_on_fit_task_end(self, *, estimator):
        self.story.append(f"end {self.name}")
        parent = getattr(self, "parent", None)
        return parent is not None and len(parent.subtasks) == self.stop_after


class Estimator:
    def __init__(self, stop_after=None):
        self.story = []
        self.stop_after = stop_after

    def _init_callback_context(self, max_subtasks):
        return Task("fit", self.story, max_subtasks, self.stop_after)


class Old:
    """An estimator of a scikit-learn without callbacks."""

    def _init_callback_context(self, **_):
        return None


def train(callbacks, epochs=2):
    """Train a net of one weight."""
    net = NeuralNet(
        torch.nn.Linear,
        module__in_features=1,
        module__out_features=1,
        criterion=torch.nn.MSELoss,
        callbacks=callbacks,
        callbacks__print_log=None,
        train_split=None,
        max_epochs=epochs,
    )
    X = np.ones((4, 1), dtype=np.float32)
    return net.fit(X, X)


def test_each_epoch_of_one_net_is_a_task_of_the_fit():
    estimator = Estimator()
    with reported_fit(estimator, 2) as (callbacks,):
        train(callbacks)
    assert estimator.story == [
        "begin fit",
        "begin fit/epoch",
        "end fit/epoch",
        "begin fit/epoch",
        "end fit/epoch",
        "end fit",
    ]


def test_each_of_several_nets_has_a_task_with_its_epochs():
    estimator = Estimator()
    with reported_fit(estimator, 1, n_nets=2) as reports:
        for callbacks in reversed(reports):
            train(callbacks, epochs=1)
    one = ["begin fit/net", "begin fit/net/epoch", "end fit/net/epoch", "end fit/net"]
    assert estimator.story == ["begin fit", *one, *one, "end fit"]


def test_a_callback_that_says_so_stops_the_training():
    estimator = Estimator(stop_after=2)
    with reported_fit(estimator, 5) as (callbacks,):
        net = train(callbacks, epochs=5)
    assert len(net.history) == 2
    assert estimator.story.count("end fit/epoch") == 2
    assert estimator.story[-1] == "end fit"


@pytest.mark.parametrize("error", [KeyboardInterrupt, TrainingStopped])
def test_an_epoch_that_is_cut_short_ends_once(error):
    class Cut(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))
            self.passes = 0

        def forward(self, x):
            self.passes += 1
            if self.passes > 1:
                raise error
            return x * self.weight

    estimator = Estimator()
    with reported_fit(estimator, 5) as (callbacks,):
        net = NeuralNet(
            Cut,
            criterion=torch.nn.MSELoss,
            callbacks=callbacks,
            callbacks__print_log=None,
            train_split=None,
        )
        X = np.ones((4, 1), dtype=np.float32)
        net.fit(X, X)
    assert estimator.story.count("begin fit/epoch") == 2
    assert estimator.story.count("end fit/epoch") == 2


def test_a_fit_that_fails_does_not_end():
    estimator = Estimator()
    with pytest.raises(ValueError, match="no"), reported_fit(estimator, 5):
        raise ValueError("no")
    assert estimator.story == ["begin fit"]


def test_without_callbacks_in_scikit_learn_nothing_is_reported():
    with reported_fit(Old(), 5, n_nets=3) as reports:
        assert reports == [[], [], []]
