"""Epochs told to scikit-learn's callbacks, such as its progress bar."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from skfactor._nn._training import TrainingStopped


class EpochReport(Callback):
    """Report each epoch of one net as a task below that of its training.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.
    training : sklearn.callback.CallbackContext
        The task of training this net.
    whole_fit : bool
        Whether that task is the whole fit, which begins and ends elsewhere.
    """

    def __init__(self, estimator: Any, training: Any, whole_fit: bool) -> None:
        self.estimator = estimator
        self.training = training
        self.whole_fit = whole_fit
        self.epoch: Any = None

    def on_train_begin(self, net: NeuralNet, **_: Any) -> None:
        """Begin the training of one net of several."""
        if not self.whole_fit:
            self.training.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_begin(self, net: NeuralNet, **_: Any) -> None:
        """Begin an epoch."""
        self.epoch = self.training.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """End an epoch, and the training too where a callback asks for it."""
        if self._end_epoch():
            raise TrainingStopped

    def on_train_end(self, net: NeuralNet, **_: Any) -> None:
        """End what early stopping or the user cut short, and the training of one net."""
        self._end_epoch()
        if not self.whole_fit:
            self.training.call_on_fit_task_end(estimator=self.estimator)

    def _end_epoch(self) -> bool:
        epoch, self.epoch = self.epoch, None
        return epoch is not None and epoch.call_on_fit_task_end(estimator=self.estimator)


@contextmanager
def reported_fit(
    estimator: Any, max_epochs: int, n_nets: int = 1
) -> Iterator[list[list[tuple[str, Callback]]]]:
    """Tell scikit-learn's callbacks of a fit that trains one net or several.

    Parameters
    ----------
    estimator : estimator or None
        What is being fitted. It inherits ``CallbackSupportMixin``, and its fit is decorated
        with ``fit_method``, which lets go of the callbacks whatever happens. None tells nobody.
    max_epochs : int
        Epochs of a net, at most.
    n_nets : int, default=1
        How many nets the fit trains, in any order; nets trained side by side by one driver
        count as one.

    Yields
    ------
    list of list of (str, Callback)
        For each net, what the driver takes as ``more_callbacks``; nothing where scikit-learn
        is too old to have callbacks.
    """
    one = n_nets == 1
    fit = None
    if estimator is not None:
        fit = estimator._init_callback_context(max_subtasks=max_epochs if one else n_nets)
    if fit is None:
        yield [[] for _ in range(n_nets)]
        return
    fit.call_on_fit_task_begin(estimator=estimator)
    trainings = (
        [fit]
        if one
        else [fit.subcontext(task_name="net", max_subtasks=max_epochs) for _ in range(n_nets)]
    )
    yield [[("report", EpochReport(estimator, task, whole_fit=one))] for task in trainings]
    fit.call_on_fit_task_end(estimator=estimator)
