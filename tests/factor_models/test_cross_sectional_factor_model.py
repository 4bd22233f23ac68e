"""Betas that are given: regressions of every date, weighed or not."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import LinAlgWarning

from skfactor.exceptions import MissingDatesWarning
from skfactor.factor_models import CrossSectionalFactorModel
from skfactor.linear_model import FamaMacBeth


@pytest.fixture
def betas(panel_factory):
    X, y = panel_factory()
    rng = np.random.default_rng(1)
    return X.assign(cap=rng.lognormal(size=len(X))), y


def slow_factor_returns(X, y, weights=None):
    """A loop over dates of weighted least squares."""
    rows = {}
    for date in X.index.get_level_values("date").unique():
        B, r = X.loc[date].to_numpy(), y.loc[date].to_numpy()
        w = np.ones(len(r)) if weights is None else weights.loc[date].to_numpy()
        rows[date] = np.linalg.solve(B.T @ np.diag(w) @ B, B.T @ (w * r))
    return pd.DataFrame(rows, index=X.columns).T


def test_factor_returns_equal_a_loop_over_dates(betas):
    X, y = betas
    model = CrossSectionalFactorModel().fit(X, y)
    np.testing.assert_allclose(model.factor_returns_, slow_factor_returns(X, y))
    assert model.factor_names_ == list(X.columns)
    np.testing.assert_array_equal(model.transform(X), X)


def test_weights_equal_a_loop_over_dates(betas):
    X, y = betas
    exposures = X.drop(columns="cap").assign(intercept=1.0)
    exposures = exposures[["intercept", *exposures.columns[:-1]]]
    expected = slow_factor_returns(exposures, y, X["cap"])
    by_column = CrossSectionalFactorModel(fit_intercept=True, weights="cap").fit(X, y)
    np.testing.assert_allclose(by_column.factor_returns_, expected)
    assert by_column.factor_names_ == ["intercept", "c0", "c1", "c2", "c3"]
    np.testing.assert_array_equal(by_column.transform(X), exposures)
    by_sample = CrossSectionalFactorModel(fit_intercept=True).fit(
        X.drop(columns="cap"), y, sample_weight=X["cap"]
    )
    np.testing.assert_allclose(by_sample.factor_returns_, expected)
    by_place = CrossSectionalFactorModel(fit_intercept=True, weights=4)
    index = {"dates": X.index.get_level_values(0), "assets": X.index.get_level_values(1)}
    by_place.fit(X.to_numpy(), y.to_numpy(), **index)
    np.testing.assert_allclose(by_place.factor_returns_, expected)
    assert by_place.factor_names_ == ["intercept", "x0", "x1", "x2", "x3"]


def test_a_column_of_weights_serves_later_dates(betas):
    X, y = betas
    late = X.index.get_level_values("date") > X.index[0][0] + 15
    model = CrossSectionalFactorModel(weights="cap").fit(X[~late], y[~late])
    model.update(X[late], y[late])
    expected = slow_factor_returns(X.drop(columns="cap"), y, X["cap"])
    np.testing.assert_allclose(model.factor_returns_, expected)


def test_slopes_are_those_of_fama_and_macbeth(betas):
    X, y = betas
    model = CrossSectionalFactorModel(fit_intercept=True).fit(X, y)
    other = FamaMacBeth(maxlags=0).fit(X, y)
    np.testing.assert_allclose(model.factor_returns_, other.slopes_, atol=1e-12)
    np.testing.assert_allclose(model.risk_premia_.iloc[1:], other.coef_, atol=1e-12)


def test_a_ridge_is_relative_to_the_betas(betas):
    X, y = betas
    model = CrossSectionalFactorModel(ridge=0.5).fit(X, y)
    date = model.dates_[3]
    B, r = X.loc[date].to_numpy(), y.loc[date].to_numpy()
    penalty = 0.5 * np.trace(B.T @ B) / 5 * np.eye(5)
    np.testing.assert_allclose(
        model.factor_returns_.loc[date], np.linalg.solve(B.T @ B + penalty, B.T @ r)
    )


def test_collinear_betas_are_named_and_take_least_norm(betas):
    X, y = betas
    sectors = pd.get_dummies(pd.Series(X.index.codes[1] % 3, X.index), prefix="s", dtype=float)
    message = re.escape("Betas must be linearly independent; got column 's_2', zero or made up")
    with pytest.warns(LinAlgWarning, match=message):
        model = CrossSectionalFactorModel(fit_intercept=True).fit(sectors, y)
    date = model.dates_[3]
    B = np.column_stack([np.ones(20), sectors.loc[date]])
    np.testing.assert_allclose(
        model.factor_returns_.loc[date], np.linalg.pinv(B) @ y.loc[date], atol=1e-12
    )


def test_weights_of_rows_in_another_order_are_refused(betas):
    X, y = betas
    X, cap = X.drop(columns="cap"), X["cap"]
    model = CrossSectionalFactorModel()
    message = "The rows of `X` and `sample_weight` must be the same, in the same order; got 4"
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, sample_weight=cap[::-1])
    with pytest.raises(ValueError, match="The rows of `y` and `sample_weight` must be the same"):
        model.fit(X.to_numpy(), y, sample_weight=cap[::-1])
    model.fit(X, y, sample_weight=cap)
    assert model.score(X, y, cap) == model.score(X, y, cap.to_list())
    with pytest.raises(ValueError, match=message):
        model.score(X, y, cap[::-1])


def test_weights_are_checked(betas):
    X, y = betas
    with pytest.raises(ValueError, match=r"`weights` must be a column of X; got 'size' \('c0', "):
        CrossSectionalFactorModel(weights="size").fit(X, y)
    with pytest.raises(ValueError, match=r"position of a column of X, from 0 to 4; got 5\."):
        CrossSectionalFactorModel(weights=5).fit(X, y)
    with pytest.raises(ValueError, match=r"Weights must be given once; got a column in"):
        CrossSectionalFactorModel(weights="cap").fit(X, y, sample_weight=X["cap"])
    with pytest.raises(ValueError, match=r"Weights must not be negative; got 480 in column 'cap'"):
        CrossSectionalFactorModel(weights="cap").fit(X.assign(cap=-1.0), y)
    with pytest.raises(ValueError, match=r"X must have a column of betas beside the weights"):
        CrossSectionalFactorModel(weights="cap").fit(X[["cap"]], y)
    with (
        pytest.warns(MissingDatesWarning),
        pytest.raises(ValueError, match=r"got 'cap' \(X has no names\)"),
    ):
        CrossSectionalFactorModel(weights="cap").fit(X.to_numpy(), y.to_numpy())


def test_an_intercept_alone_earns_the_mean_return(betas):
    X, y = betas
    model = CrossSectionalFactorModel(fit_intercept=True, weights="cap").fit(X[["cap"]], y)
    expected = (y * X["cap"]).groupby("date").sum() / X["cap"].groupby("date").sum()
    np.testing.assert_allclose(model.factor_returns_["intercept"], expected)


def test_a_missing_return_is_as_good_as_no_row(betas):
    X, y = betas
    y = y.copy()
    y.iloc[::7] = np.nan
    seen = y.notna()
    model = CrossSectionalFactorModel(weights="cap").fit(X, y)
    other = CrossSectionalFactorModel(weights="cap").fit(X[seen], y[seen])
    np.testing.assert_allclose(model.factor_returns_, other.factor_returns_)
    assert model.score(X, y) == pytest.approx(other.score(X[seen], y[seen]))
