"""Fits under scikit-learn's own callbacks, which it has from version 1.9 on."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.decomposition import AutoencoderReducer, ConvAutoencoderReducer
from skfactor.exceptions import FitInterrupted
from skfactor.factor_models import ConditionalAutoencoderFactorModel

ProgressBar = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9").ProgressBar

X = np.random.default_rng(0).normal(size=(60, 8))
DENSE = AutoencoderReducer(2, hidden_layer_sizes=(4,), max_epochs=6, random_state=0)
CONV = ConvAutoencoderReducer(2, channels=(2,), max_epochs=3, random_state=0)


class Recorder:
    """Counts tasks by name; can stop, interrupt or break the fit at an epoch."""

    max_propagation_depth = None

    def __init__(self, at=None, do=None):
        self.at, self.do = at, do
        self.open = self.torn_down = self.epochs = 0

    def setup(self, estimator, context):
        self.open += 1

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name != "epoch":
            return None
        self.epochs += 1
        return self.do() if self.epochs == self.at else None


def same(one, other):
    return all(
        np.array_equal(a.detach().numpy(), b.detach().numpy())
        for a, b in zip(one.net_.module_.parameters(), other.net_.module_.parameters(), strict=True)
    )


def interrupt():
    raise KeyboardInterrupt


def fail():
    raise RuntimeError("a callback failed")


def fresh(reducer, callback=None, **params):
    from sklearn.base import clone

    reducer = clone(reducer).set_params(**params)
    return reducer if callback is None else reducer.set_callbacks(callback)


@pytest.mark.parametrize("reducer", [DENSE, CONV], ids=["dense", "conv"])
def test_every_epoch_is_told_and_changes_nothing(reducer):
    recorder = Recorder()
    told = fresh(reducer, recorder).fit(X)
    assert recorder.epochs == told.n_epochs_ > 1
    assert (recorder.open, recorder.torn_down) == (1, 1)
    assert same(told, fresh(reducer).fit(X))


def test_epochs_of_early_stopping_are_all_told():
    recorder = Recorder()
    told = fresh(DENSE, recorder, max_epochs=500, patience=2, learning_rate=0.1).fit(X)
    assert recorder.epochs == told.n_epochs_ < 500


@pytest.mark.parametrize("patience", [None, 20])
def test_a_callback_may_stop_the_training_and_the_best_weights_are_kept(patience):
    stopped = fresh(DENSE, Recorder(at=3, do=lambda: True), patience=patience).fit(X)
    assert stopped.n_epochs_ == 3
    assert same(stopped, fresh(DENSE, patience=patience, max_epochs=3).fit(X))


def test_an_interrupt_stores_the_weights_and_lets_go_of_the_callbacks():
    recorder = Recorder(at=3, do=interrupt)
    reducer = fresh(DENSE, recorder)
    with pytest.raises(FitInterrupted):
        reducer.fit(X)
    assert reducer.n_epochs_ == 3
    assert recorder.torn_down == 1


def test_a_callback_that_fails_leaves_the_reducer_as_it_was():
    recorder = Recorder(at=9, do=fail)
    reducer = fresh(DENSE, recorder).fit(X)
    net = reducer.net_
    with pytest.raises(RuntimeError, match="a callback failed"):
        reducer.fit(X)
    assert reducer.net_ is net
    assert recorder.torn_down == 2
    reducer.fit(X)


def test_a_fitted_reducer_keeps_no_trace_of_the_fit():
    bare, told = fresh(DENSE).fit(X), fresh(DENSE, Recorder()).fit(X)
    assert set(vars(told)) - set(vars(bare)) == {"_skl_callbacks"}
    assert told.net_.callbacks_ == []
    told.set_callbacks()
    assert len(pickle.dumps(told)) < 1.1 * len(pickle.dumps(bare))


def test_a_bar_is_drawn_through_a_pipeline(capsys):
    flow = make_pipeline(StandardScaler(), fresh(DENSE))
    flow.set_callbacks(ProgressBar()).fit(X)
    assert "AutoencoderReducer - fit" in capsys.readouterr().out


def test_bars_reach_through_a_search_in_two_processes_and_change_nothing(capsys):
    def search():
        flow = make_pipeline(StandardScaler(), fresh(DENSE))
        grid = {"autoencoderreducer__n_components": [1, 2]}
        return GridSearchCV(flow, grid, cv=2, n_jobs=2)

    bare = search().fit(X)
    told = search().set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X)
    assert capsys.readouterr().out.count("AutoencoderReducer - fit") >= 5
    np.testing.assert_array_equal(
        told.cv_results_["mean_test_score"], bare.cv_results_["mean_test_score"]
    )
    assert same(told.best_estimator_[-1], bare.best_estimator_[-1])


def panel():
    index = pd.MultiIndex.from_product(
        [pd.period_range("2020-01", periods=12, freq="M"), range(15)], names=["date", "asset"]
    )
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(-1, 1, (180, 2)), index, columns=["size", "value"])
    return X, X["value"] * 0.1 + rng.normal(0, 0.05, 180)


def conditional(**params):
    return ConditionalAutoencoderFactorModel(
        1, hidden_layer_sizes=(4,), n_members=2, max_epochs=4, random_state=0, **params
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_members_of_an_ensemble_are_told_and_nothing_changes(n_jobs, capsys, monkeypatch):
    monkeypatch.setattr("skfactor._nn._members._group_size", lambda *_: 1)
    Z, y = panel()
    bare = conditional().fit(Z, y)
    told = conditional(n_jobs=n_jobs).set_callbacks(ProgressBar(max_propagation_depth=None))
    told.fit(Z, y)
    said = capsys.readouterr().out
    assert "ConditionalAutoencoderFactorModel - fit" in said
    assert "ConditionalAutoencoderFactorModel - net #1" in said
    np.testing.assert_array_equal(told.predict(Z), bare.predict(Z))
    pickle.dumps(told.set_callbacks())


def test_epochs_of_every_group_of_members_are_counted():
    recorder = Recorder()
    Z, y = panel()
    model = conditional(patience=None).set_callbacks(recorder).fit(Z, y)
    assert recorder.epochs in {4, 8}
    assert all(len(history["train_loss"]) == 4 for history in model.history_)
    assert recorder.torn_down == 1
