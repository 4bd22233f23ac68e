"""scikit-learn's own checks, in full, for every public estimator."""

import warnings

import pytest
from _discovery import public_estimators
from scipy.linalg import LinAlgWarning
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from skfactor.exceptions import MissingDatesWarning, PerplexityWarning

ESTIMATORS = public_estimators()


def test_estimators_are_found():
    assert {"AutoencoderReducer", "LogStandardizer", "TSNEEmbedder"} <= {
        name.rpartition(".")[2] for name in ESTIMATORS
    }


@parametrize_with_checks([estimator() for estimator in ESTIMATORS.values()])
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        # The checks hand over plain arrays (to a panel estimator, rows without dates) and
        # few rows (to t-SNE, fewer than its perplexity wants); both are told to users.
        warnings.simplefilter("ignore", MissingDatesWarning)
        warnings.simplefilter("ignore", PerplexityWarning)
        # One check repeats a column: a regression leaves it out and says so.
        warnings.simplefilter("ignore", LinAlgWarning)
        check(estimator)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_fitted_attributes_are_declared_on_the_class(name):
    estimator = ESTIMATORS[name]
    declared = {
        attribute
        for base in estimator.__mro__
        if base is not BaseEstimator
        for attribute in getattr(base, "__annotations__", {})
    }
    assert any(attribute.endswith("_") for attribute in declared) or not _learns(estimator)


def _learns(estimator: type[BaseEstimator]) -> bool:
    return bool(estimator().__sklearn_tags__().requires_fit)
