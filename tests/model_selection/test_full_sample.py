"""One split in which every row is on both sides."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, check_cv, cross_val_score, cross_validate

from skfactor.metrics import silhouette_scorer
from skfactor.model_selection import FullSample

X = np.random.default_rng(0).normal(size=(30, 3)) + 6 * np.eye(3)[np.arange(30) % 3]


@pytest.mark.parametrize(
    "rows",
    [X, X.tolist(), pd.DataFrame(X), pl.DataFrame(X), sparse.csr_array(X)],
    ids=["array", "list", "pandas", "polars", "sparse"],
)
def test_the_only_split_holds_every_row_twice(rows):
    splits = list(FullSample().split(rows, y=None, groups=np.zeros(30)))
    assert len(splits) == FullSample().get_n_splits(rows) == 1
    train, test = splits[0]
    np.testing.assert_array_equal(train, np.arange(30))
    np.testing.assert_array_equal(test, np.arange(30))
    assert not np.shares_memory(train, test)


def test_no_rows_are_an_error():
    with pytest.raises(ValueError, match="at least one row to split; got 0 rows"):
        next(FullSample().split(np.empty((0, 2))))


def test_it_is_a_splitter_to_scikit_learn():
    assert isinstance(check_cv(FullSample()), FullSample)
    score = cross_val_score(LinearRegression(), X, X[:, 0] + 1, cv=FullSample())
    assert score.shape == (1,)
    assert score[0] == pytest.approx(1.0)


def test_a_clusterer_without_predict_is_tuned_and_cross_validated():
    search = GridSearchCV(
        AgglomerativeClustering(),
        {"n_clusters": [2, 3, 4]},
        scoring=silhouette_scorer,
        cv=FullSample(),
        n_jobs=2,
        error_score="raise",
    )
    assert search.fit(X).best_params_ == {"n_clusters": 3}
    result = cross_validate(KMeans(3, n_init=2), X, scoring=silhouette_scorer, cv=FullSample())
    assert result["test_score"].shape == (1,)


def test_it_prints_pickles_and_is_cloned_with_a_search():
    assert repr(FullSample()) == "FullSample()"
    assert isinstance(pickle.loads(pickle.dumps(FullSample())), FullSample)
    search = GridSearchCV(KMeans(), {"n_clusters": [2]}, cv=FullSample())
    assert isinstance(clone(search).cv, FullSample)
