"""Panels that the tests of all factor models share."""

import inspect

import numpy as np
import pandas as pd
import pytest

import skfactor.factor_models
from skfactor.factor_models._base import FactorModel

# Small networks; a model takes those that its constructor knows.
QUICK = {
    "device": "cpu",
    "hidden_layer_sizes": (4,),
    "max_epochs": 3,
    "n_members": 1,
    "random_state": 0,
}
FACTOR_MODELS = [
    thing
    for thing in (getattr(skfactor.factor_models, name) for name in skfactor.factor_models.__all__)
    if inspect.isclass(thing) and issubclass(thing, FactorModel)
]


def quick(model_class):
    """Return a model of a class, fast to fit."""
    model = model_class()
    known = model.get_params()
    return model.set_params(**{name: v for name, v in QUICK.items() if name in known})


def make_long_panel(n_dates=24, n_assets=20, n_features=4, seed=0, noise=0.02):
    """Monthly returns whose betas are linear in characteristics, two of them, known factors."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [pd.period_range("2020-01", periods=n_dates, freq="M"), [f"A{i}" for i in range(n_assets)]],
        names=["date", "asset"],
    )
    columns = [f"c{j}" for j in range(n_features)]
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), n_features)), index, columns)
    factors = 0.01 + 0.05 * rng.normal(size=(n_dates, 2))
    betas = np.column_stack([0.8 + X["c0"], X["c1"]])
    y = (betas * factors[index.codes[0]]).sum(axis=1) + noise * rng.normal(size=len(index))
    return X, pd.Series(y, index, name="excess")


@pytest.fixture
def long_panel():
    return make_long_panel()


@pytest.fixture
def panel_factory():
    return make_long_panel


@pytest.fixture(params=FACTOR_MODELS, ids=lambda c: c.__name__)
def model(request):
    """One quick model of every public class."""
    return quick(request.param)


@pytest.fixture(scope="session")
def factor_model_classes():
    return FACTOR_MODELS
