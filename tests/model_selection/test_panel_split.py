"""Walk-forward splits over whole dates."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    check_cv,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.model_selection import PanelSplit


def random_panel(n_dates=20, n_assets=6, seed=0):
    """Return an unbalanced panel, rows in random order."""
    rng = np.random.default_rng(seed)
    dates = pd.period_range("2001-01", periods=n_dates, freq="M")
    index = pd.MultiIndex.from_product([dates, list(range(n_assets))], names=["date", "asset"])
    X = pd.DataFrame(rng.normal(size=(len(index), 2)), index, columns=["a", "b"])
    X = X.sample(frac=0.8, random_state=seed)
    return X, (X["a"] + rng.normal(size=len(X))).rename("ret")


def reference(n_dates, n_splits, test_size, max_train, validation, gap, embargo):
    """Lay dates out one by one, from each test block back."""
    splits = []
    for k in range(n_splits):
        start = n_dates - (n_splits - k) * test_size
        back = list(range(start - 1, -1, -1))
        back = back[gap + embargo :]
        held = back[:validation]
        back = back[validation:]
        if validation:
            back = back[gap:]
        train = back if max_train is None else back[:max_train]
        splits.append((sorted(train), sorted(held), list(range(start, start + test_size))))
    return splits


def positions(X, rows):
    """Return the dates of rows as positions."""
    dates = X.index.get_level_values("date")
    return sorted(set(dates.unique().sort_values().get_indexer(dates[rows])))


@pytest.mark.parametrize("max_train", [None, 3])
@pytest.mark.parametrize(("validation", "gap", "embargo"), [(0, 0, 0), (3, 0, 0), (2, 1, 1)])
def test_splits_equal_dates_counted_one_by_one(max_train, validation, gap, embargo):
    X, _ = random_panel()
    cv = PanelSplit(
        3,
        test_size=2,
        max_train_size=max_train,
        validation_size=validation,
        gap=gap,
        embargo=embargo,
    )
    expected = reference(20, 3, 2, max_train, validation, gap, embargo)
    for rows, dates in zip(cv.split_validation(X), expected, strict=True):
        assert [positions(X, part) for part in rows] == list(dates)
    for (train, test), dates in zip(cv.split(X), expected, strict=True):
        last = (dates[1] or dates[0])[-1]
        assert positions(X, train) == list(range(dates[0][0], last + 1))
        assert positions(X, test) == dates[2]
    apart = clone_with(cv, validation="exclude")
    for (train, _), dates in zip(apart.split(X), expected, strict=True):
        assert positions(X, train) == dates[0]


def clone_with(cv, **changes):
    names = (
        "n_splits",
        "test_size",
        "min_train_size",
        "max_train_size",
        "validation_size",
        "gap",
        "embargo",
    )
    return PanelSplit(**{name: getattr(cv, name) for name in names} | changes)


def test_every_row_of_a_date_is_on_one_side_and_training_comes_first():
    X, _ = random_panel()
    for train, test in PanelSplit(4).split(X):
        assert max(positions(X, train)) < min(positions(X, test))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
        for rows in (train, test):
            inside = X.index.get_level_values("date").isin(X.index[rows].get_level_values("date"))
            assert inside.sum() == len(rows)


def test_test_blocks_divide_the_dates_when_their_size_is_not_given():
    X, _ = random_panel(21)
    sizes = [len(positions(X, test)) for _, test in PanelSplit(4).split(X)]
    assert sizes == [4, 4, 4, 4]
    splits = list(PanelSplit(4, min_train_size=6).split(X))
    assert [len(positions(X, test)) for _, test in splits] == [3, 3, 3, 3]
    assert len(positions(X, splits[0][0])) == 9


def test_without_a_number_of_splits_every_later_date_is_tested_once():
    X, _ = random_panel(20)
    cv = PanelSplit(None, test_size=3, min_train_size=5, validation_size=2, gap=1)
    tests = [positions(X, test) for _, test in cv.split(X)]
    assert [date for test in tests for date in test] == list(range(9, 20))
    assert len(tests[-1]) == 2
    assert cv.get_n_splits(X) == len(tests)


def test_later_dates_do_not_move_earlier_splits():
    X, _ = random_panel(20)
    early = X[X.index.get_level_values("date") < "2002-05"]
    cv = PanelSplit(None, test_size=4, min_train_size=4)
    for (train, test), (train_all, test_all) in zip(cv.split(early), cv.split(X), strict=False):
        assert early.index[train].equals(X.index[train_all])
        assert early.index[test].equals(X.index[test_all])


def test_order_of_rows_does_not_matter():
    X, _ = random_panel()
    ordered = X.sort_index()
    for ours, theirs in zip(PanelSplit(3).split(X), PanelSplit(3).split(ordered), strict=True):
        for rows, sorted_rows in zip(ours, theirs, strict=True):
            assert set(X.index[rows]) == set(ordered.index[sorted_rows])


def test_preset_of_the_literature_is_18_years_12_years_and_1_year():
    n_dates = 33 * 4 + 2
    windows = PanelSplit.gu_kelly_xiu(periods_per_year=4).windows(n_dates)
    assert windows[0].train == (0, 72)
    assert windows[0].validation == (72, 120)
    assert windows[0].test == (120, 124)
    assert windows[1].train == (0, 76)
    assert windows[1].validation == (76, 124)
    assert windows[-1].test == (132, 134)
    monthly = PanelSplit.gu_kelly_xiu()
    assert (monthly.min_train_size, monthly.validation_size, monthly.test_size) == (216, 144, 12)


def test_dates_are_found_in_arguments_then_indexes_then_groups():
    X, y = random_panel()
    dates = X.index.get_level_values("date")
    bare = X.to_numpy()
    expected = list(PanelSplit(3).split(X))
    polars_rows = pl.DataFrame({"a": bare[:, 0]})
    stamps = dates.to_timestamp()
    for found in (
        PanelSplit(3).split(bare, y),
        PanelSplit(3).split(bare, groups=dates),
        PanelSplit(3).split(bare, dates=stamps.to_numpy()),
        PanelSplit(3).split(polars_rows, dates=pl.Series(stamps.to_numpy())),
        PanelSplit(3).split(bare.tolist(), dates=dates),
        # An industry routed as groups does not displace the dates of the index.
        PanelSplit(3).split(X, groups=np.zeros(len(X))),
        PanelSplit(3).split(X.droplevel("asset")),
    ):
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_rows_without_dates_and_lengths_that_differ_are_refused():
    X, _ = random_panel()
    with pytest.raises(ValueError, match="a panel is split by dates. Give X or y"):
        next(PanelSplit().split(X.to_numpy()))
    with pytest.raises(ValueError, match="must have one date for each of the 96 rows of X; got 3"):
        next(PanelSplit().split(X, dates=[1, 2, 3]))


def test_too_few_dates_are_refused_with_the_number_needed():
    X, _ = random_panel(6)
    with pytest.raises(ValueError, match=r"needs at least 13 dates; got 6. Ask for fewer"):
        next(PanelSplit(4, test_size=3).split(X))
    with pytest.raises(ValueError, match="needs at least 9 dates; got 6"):
        next(PanelSplit(None, test_size=2, min_train_size=8).split(X))
    with pytest.raises(ValueError, match="needs at least 8 dates; got 6"):
        next(PanelSplit(7).split(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_splits": 0}, "`n_splits` must be an int of at least 1; got 0"),
        ({"test_size": 1.5}, "`test_size` must be an int of at least 1; got 1.5"),
        ({"gap": -1}, "`gap` must be an int of at least 0; got -1"),
        ({"n_splits": None}, "must be given where `n_splits` is None; got test_size=None"),
        ({"validation": "only"}, "must be 'include' or 'exclude'; got 'only'"),
        ({"min_train_size": 9, "max_train_size": 5}, "at most max_train_size=5; got 9"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        PanelSplit(**parameters)
    with pytest.raises(ValueError, match="`X` must be given to count splits"):
        PanelSplit(None, test_size=1, min_train_size=1).get_n_splits()


def test_it_is_a_splitter_to_scikit_learn():
    cv = PanelSplit(3, gap=1)
    assert check_cv(cv) is cv
    assert cv.get_n_splits() == 3
    assert repr(clone(cv, safe=False)).startswith("PanelSplit(")
    assert "gap=1" in repr(cv)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_searches_and_scores_of_scikit_learn_use_it(n_jobs):
    X, y = random_panel()
    model = make_pipeline(StandardScaler(), Ridge())
    search = GridSearchCV(
        model, {"ridge__alpha": [0.1, 10.0]}, cv=PanelSplit(3), n_jobs=n_jobs, error_score="raise"
    ).fit(X, y)
    assert search.n_splits_ == 3
    expected = [
        clone(model)
        .set_params(ridge__alpha=0.1)
        .fit(X.iloc[a], y.iloc[a])
        .score(X.iloc[b], y.iloc[b])
        for a, b in PanelSplit(3).split(X)
    ]
    got = [search.cv_results_[f"split{k}_test_score"][0] for k in range(3)]
    np.testing.assert_allclose(got, expected)
    scores = cross_validate(model, X, y, cv=PanelSplit(3), n_jobs=n_jobs)["test_score"]
    assert scores.shape == (3,)


def test_arrays_are_split_by_groups_or_by_routed_dates():
    X, y = random_panel()
    dates = X.index.get_level_values("date")
    expected = cross_val_score(Ridge(), X, y, cv=PanelSplit(3))
    bare = X.to_numpy(), y.to_numpy()
    np.testing.assert_allclose(
        cross_val_score(Ridge(), *bare, cv=PanelSplit(3), groups=dates), expected
    )
    search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=PanelSplit(3)).fit(*bare, groups=dates)
    assert search.best_score_ == pytest.approx(expected.mean())
    with config_context(enable_metadata_routing=True):
        routed = cross_val_score(Ridge(), *bare, cv=PanelSplit(3), params={"dates": dates})
        np.testing.assert_allclose(routed, expected)
        cv = PanelSplit(None, test_size=5, min_train_size=5)
        search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=cv).fit(*bare, dates=dates)
        assert search.n_splits_ == 3


def test_cross_val_predict_needs_a_partition():
    X, y = random_panel()
    with pytest.raises(ValueError, match="only works for partitions"):
        cross_val_predict(DummyRegressor(), X, y, cv=PanelSplit(3))
    cv = PanelSplit(3, gap=2, partition=True)
    assert cv.get_n_splits() == 4
    predicted = cross_val_predict(Ridge(), X, y, cv=cv, n_jobs=2)
    assert np.isfinite(predicted).all()
    splits = list(cv.split(X))
    np.testing.assert_array_equal(
        np.sort(np.concatenate([test for _, test in splits])), np.arange(len(X))
    )
    np.testing.assert_array_equal(splits[0][0], splits[1][0])
    train, test = splits[2]
    np.testing.assert_allclose(
        predicted[test], Ridge().fit(X.iloc[train], y.iloc[train]).predict(X.iloc[test])
    )
