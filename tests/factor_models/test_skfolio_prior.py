"""The hand-over to skfolio."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from skfolio.optimization import MeanRisk
from sklearn.base import clone

from skfactor.factor_models import (
    ConditionalAutoencoderFactorModel,
    DeepCharacteristicFactorModel,
    InstrumentedPCA,
    skfolio_prior,
)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    dates = pd.date_range("2015-01-31", periods=60, freq="ME")
    index = pd.MultiIndex.from_product(
        [dates, [f"A{i:02d}" for i in range(12)]], names=["date", "asset"]
    )
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), 3)), index, ["a", "b", "c"])
    factors = np.repeat(rng.normal(0.01, 0.04, (60, 2)), 12, axis=0)
    y = pd.Series((X[["a", "b"]] * factors).sum(axis=1) + rng.normal(0, 0.05, len(X)), index)
    model = InstrumentedPCA(2).fit(X, y)
    return model, X.loc[[dates[-1]]], y.unstack()


def test_the_prior_says_what_the_model_says(fitted):
    model, today, returns = fitted
    some = returns.iloc[:, [7, 2, 5]]
    told = skfolio_prior(model, today).fit(some).return_distribution_
    expected = model.covariance(today).loc[some.columns, some.columns]
    np.testing.assert_allclose(told.covariance, expected)
    mean = model.predict(today).droplevel("date")[some.columns]
    np.testing.assert_allclose(told.mu, mean)
    parts = told.factor_model
    B, sigma = parts.loading_matrix, parts.factor_covariance
    np.testing.assert_allclose(B @ sigma @ B.T + np.diag(parts.idio_covariance), expected)
    np.testing.assert_allclose(B @ parts.factor_mu + parts.idio_mu, mean)


def test_an_optimiser_lowers_the_variance_of_the_model(fitted):
    model, today, returns = fitted
    prior = skfolio_prior(model, today)
    weights = MeanRisk(prior_estimator=prior, min_weights=0.0).fit(returns).weights_
    covariance = model.covariance(today).loc[returns.columns, returns.columns].to_numpy()
    even = np.full(len(weights), 1 / len(weights))
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ covariance @ weights < even @ covariance @ even


def test_clones_and_pickles_keep_the_fit(fitted):
    model, today, returns = fitted
    prior = skfolio_prior(model, today)
    expected = prior.fit(returns).return_distribution_.covariance
    for other in (clone(prior), pickle.loads(pickle.dumps(prior))):
        np.testing.assert_array_equal(other.fit(returns).return_distribution_.covariance, expected)


def test_assets_that_the_model_does_not_know_are_named(fitted):
    model, today, returns = fitted
    prior = skfolio_prior(model, today)
    with pytest.raises(ValueError, match="must have every asset of the returns; got 1 .* 'Z'"):
        prior.fit(returns.rename(columns={"A03": "Z"}))
    with pytest.raises(ValueError, match="Returns must have a column for each of the 12 assets"):
        prior.fit(returns.to_numpy()[:, :4])


def make_ensemble(returns, n_members):
    rng = np.random.default_rng(1)
    index = pd.MultiIndex.from_product([returns.index, returns.columns], names=["date", "asset"])
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), 3)), index, ["a", "b", "c"])
    y = returns.stack().reindex(index)
    benchmark = pd.DataFrame({"market": returns.mean(axis=1)}, returns.index)
    return DeepCharacteristicFactorModel(
        1,
        benchmark=benchmark,
        start="random",
        n_members=n_members,
        n_restarts=1,
        max_epochs=2,
        device="cpu",
        random_state=0,
    ).fit(X, y)


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_benchmark_that_all_members_share_is_handed_over_once(fitted, n_members):
    _, today, returns = fitted
    model = make_ensemble(returns, n_members)
    told = skfolio_prior(model, today).fit(returns).return_distribution_
    parts = told.factor_model
    deep = ["factor1"] if n_members == 1 else ["factor1 of member 0", "factor1 of member 1"]
    assert list(parts.factor_names) == [*deep, "market"]
    np.testing.assert_allclose(told.covariance, model.covariance(today))
    B, sigma = parts.loading_matrix, parts.factor_covariance
    assert np.linalg.cond(sigma) < 1e6
    np.testing.assert_allclose(B @ sigma @ B.T + np.diag(parts.idio_covariance), told.covariance)
    np.testing.assert_allclose(B @ parts.factor_mu + parts.idio_mu, told.mu)


def test_a_factor_that_never_moves_is_handed_over_once():
    rng = np.random.default_rng(0)
    months = pd.period_range("2020-01", periods=20, freq="M")
    index = pd.MultiIndex.from_product([months, list("ABCD")], names=["date", "asset"])
    X = pd.DataFrame(rng.uniform(-1, 1, (80, 2)), index, ["a", "b"])
    model = ConditionalAutoencoderFactorModel(
        1, n_members=2, max_epochs=1, device="cpu", random_state=0
    ).fit(X, pd.Series(0.0, index))
    parts = skfolio_prior(model, X.loc[["2021-08"]]).fit(np.zeros((20, 4))).return_distribution_
    assert np.isfinite(parts.covariance).all()
    assert list(parts.factor_model.factor_names) == ["factor1"]


def test_without_skfolio_the_error_says_what_to_install(fitted, monkeypatch):
    model, today, _ = fitted
    monkeypatch.setitem(sys.modules, "skfolio", None)
    monkeypatch.setitem(sys.modules, "skfolio.prior", None)
    monkeypatch.delitem(sys.modules, "skfactor.factor_models._skfolio_prior", raising=False)
    with pytest.raises(ImportError, match=r"must have skfolio 1.0 or later; got .* Run `pip inst"):
        skfolio_prior(model, today)
