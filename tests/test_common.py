"""scikit-learn's own checks, in full, for every public estimator."""

import warnings

from _discovery import public_estimators
from scipy.linalg import LinAlgWarning
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
