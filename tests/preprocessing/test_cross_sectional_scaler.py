"""CrossSectionalScaler: each column against the others of its date, and no other date."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import rankdata
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.exceptions import MissingDatesWarning
from skfactor.preprocessing import CrossSectionalScaler

METHODS = ["rank", "zscore", "minmax"]


def random_panel(n_dates=6, n_assets=20, missing=0.2, seed=0):
    """Return an unbalanced panel with ties and gaps, rows in random order."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-01-31", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product(
        [dates, [f"s{i}" for i in range(n_assets)]], names=["date", "asset"]
    )
    values = rng.lognormal(size=(len(index), 4))
    values[:, 1] = rng.integers(0, 4, len(index))
    values[:, 2] = np.repeat(rng.normal(size=n_dates), n_assets)
    values[rng.random(values.shape) < missing] = np.nan
    values[:n_assets, 3] = np.nan
    X = pd.DataFrame(values, index, ["size", "rating", "macro", "late"])
    return X.sample(frac=0.85, random_state=seed)


def reference_column(column, method, missing):
    """Scale one column of one date, value by value."""
    known = column[~np.isnan(column)]
    out = np.full(len(column), np.nan)
    for i, value in enumerate(column):
        if np.isnan(value):
            continue
        if known.min() == known.max():
            out[i] = 0.0
        elif method == "rank":
            rank = np.mean([k for k, v in enumerate(sorted(known), start=1) if v == value])
            out[i] = 2 * rank / (len(known) + 1) - 1
        elif method == "zscore":
            out[i] = (value - known.mean()) / known.std()
        else:
            out[i] = 2 * (value - known.min()) / (known.max() - known.min()) - 1
    if missing is not None:
        filler = 0.0 if missing == "zero" or not len(known) else np.nanmedian(out)
        out[np.isnan(out)] = filler
    return out


def reference(X, method, missing, groups=None):
    out = X.copy()
    date = X.index.get_level_values("date")
    groups = np.zeros(len(X)) if groups is None else np.asarray(groups)
    for d in date.unique():
        for g in pd.unique(groups):
            rows = np.flatnonzero((date == d) & (groups == g))
            for j in range(X.shape[1]):
                if len(rows):
                    out.iloc[rows, j] = reference_column(
                        X.iloc[rows, j].to_numpy(), method, missing
                    )
    return out


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("missing", ["zero", "median", None])
def test_equals_a_loop_over_dates_columns_and_values(method, missing):
    X = random_panel()
    got = CrossSectionalScaler(method, missing).fit_transform(X)
    pd.testing.assert_frame_equal(got, reference(X, method, missing))


def test_ranks_are_those_of_scipy_between_minus_one_and_one():
    values = np.random.default_rng(0).normal(size=(7, 1))
    out = CrossSectionalScaler().fit_transform(values, dates=np.ones(7, dtype=int))
    np.testing.assert_allclose(out[:, 0], 2 * rankdata(values[:, 0]) / 8 - 1)
    np.testing.assert_allclose(np.sort(out[:, 0]), [-0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_assets", [3, 7, 10, 49, 1001])
def test_a_constant_column_and_a_single_asset_become_zero(method, n_assets):
    dates = np.repeat([202401, 202402], [n_assets, 1])
    X = np.column_stack([np.full(n_assets + 1, 0.1), np.arange(n_assets + 1.0)])
    out = CrossSectionalScaler(method).fit_transform(X, dates=dates)
    np.testing.assert_array_equal(out[:, 0], 0)
    np.testing.assert_array_equal(out[-1], 0)
    assert out[0, 1] < 0 < out[-2, 1]


@pytest.mark.parametrize("method", METHODS)
def test_no_date_moves_when_another_is_perturbed(method):
    X = random_panel()
    date = X.index.get_level_values("date")
    later = date > "2020-03-31"
    changed = X.copy()
    changed[later] = np.random.default_rng(1).normal(100, 50, size=(later.sum(), X.shape[1]))
    scaler = CrossSectionalScaler(method, "median")
    before = scaler.fit_transform(X)[~later]
    pd.testing.assert_frame_equal(scaler.fit_transform(changed)[~later], before)
    pd.testing.assert_frame_equal(scaler.fit_transform(X[~later]), before)
    pd.testing.assert_frame_equal(scaler.fit(changed).transform(X[~later]), before)
    # Nor does what was fitted serve a date that is new.
    pd.testing.assert_frame_equal(
        scaler.fit(X[~later]).transform(changed[later]), scaler.fit_transform(changed[later])
    )


def test_order_of_rows_and_of_levels_does_not_matter():
    X = random_panel()
    expected = CrossSectionalScaler().fit_transform(X)
    ordered = X.sort_index()
    pd.testing.assert_frame_equal(
        CrossSectionalScaler().fit_transform(ordered), expected.loc[ordered.index]
    )
    swapped = CrossSectionalScaler().fit_transform(X.swaplevel())
    pd.testing.assert_frame_equal(swapped, expected.swaplevel())


@pytest.mark.parametrize("method", METHODS)
def test_groups_are_scaled_apart_by_an_argument_or_by_a_column(method):
    X = random_panel()
    industry = np.where(X["size"].rank() % 3 == 0, "banks", "others")
    expected = reference(X, method, "median", industry)
    scaler = CrossSectionalScaler(method, "median")
    pd.testing.assert_frame_equal(scaler.fit_transform(X, groups=industry), expected)
    pd.testing.assert_frame_equal(scaler.transform(X, groups=pd.Series(industry)), expected)
    named = CrossSectionalScaler(method, "median", group_by="industry")
    framed = X.assign(industry=industry)
    pd.testing.assert_frame_equal(named.fit_transform(framed), expected)
    pd.testing.assert_frame_equal(named.transform(framed), expected)
    assert list(named.get_feature_names_out()) == list(X)
    assert named.n_features_in_ == 5
    polars_frame = pl.from_pandas(framed.reset_index(drop=True))
    dates = X.index.get_level_values("date")
    out = named.set_output(transform="polars").fit_transform(polars_frame, dates=dates)
    assert out.columns == list(X)
    np.testing.assert_allclose(out.to_numpy(), expected.to_numpy(), atol=1e-12)


def test_rows_without_a_group_are_compared_with_one_another():
    dates = np.ones(4, dtype=int)
    X = np.array([[1.0], [2.0], [30.0], [40.0]])
    for groups in ([1.0, 1.0, np.nan, np.nan], ["a", "a", None, None]):
        out = CrossSectionalScaler("minmax").fit_transform(X, dates=dates, groups=groups)
        np.testing.assert_array_equal(out[:, 0], [-1, 1, -1, 1])


def test_groups_are_refused_where_they_do_not_fit():
    X = random_panel()
    with pytest.raises(ValueError, match="`groups` must have one entry for each of the"):
        CrossSectionalScaler().fit(X, groups=[1, 2])
    with pytest.raises(ValueError, match="one-dimensional, an entry for each row; got shape"):
        CrossSectionalScaler().fit(X, groups=X.to_numpy())
    with pytest.raises(ValueError, match="`groups` must be None where `group_by` is set"):
        CrossSectionalScaler(group_by="rating").fit(X, groups=X["rating"])
    with pytest.raises(ValueError, match="must name a column of a DataFrame X; got 'sic' and the"):
        CrossSectionalScaler(group_by="sic").fit(X)
    with pytest.raises(ValueError, match="got 'sic' and ndarray without column names"):
        CrossSectionalScaler(group_by="sic").fit(X.to_numpy())
    fitted = CrossSectionalScaler().fit(X, groups=np.zeros(len(X)))
    with pytest.raises(ValueError, match="in neither; got groups in fit and none in transform"):
        fitted.transform(X)
    with pytest.raises(ValueError, match="got no groups in fit and groups in transform"):
        CrossSectionalScaler().fit(X).transform(X, groups=np.zeros(len(X)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("missing", ["zero", "median", None])
def test_without_dates_rows_are_scaled_by_the_distribution_of_fit(method, missing):
    X = random_panel(n_dates=1).iloc[:, :2].to_numpy()
    scaler = CrossSectionalScaler(method, missing)
    with pytest.warns(MissingDatesWarning, match="Nothing says on which date"):
        out = scaler.fit_transform(X)
    dated = scaler.fit_transform(X, dates=np.ones(len(X), dtype=int))
    np.testing.assert_allclose(out, dated, atol=1e-15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross = CrossSectionalScaler(method, missing, cross_section=True).fit(X)
        np.testing.assert_array_equal(cross.transform(X), out)
        np.testing.assert_array_equal(cross.transform(X[5:7]), out[5:7])


def test_new_rows_take_ranks_between_those_of_fit_and_stay_in_their_range():
    X = np.array([[1.0], [2.0], [2.0], [4.0]])
    new = np.array([[3.0], [2.0], [-9.0], [99.0], [np.nan], [1.5]])
    scaler = CrossSectionalScaler(cross_section=True).fit(X)
    # The ranks of 1, 2, 2, 4 are 1, 2.5, 2.5, 4: scaled to -0.6, 0, 0, 0.6.
    np.testing.assert_allclose(scaler.transform(new)[:, 0], [0.3, 0, -0.6, 0.6, 0, -0.3])
    minmax = CrossSectionalScaler("minmax", cross_section=True).fit(X)
    np.testing.assert_allclose(minmax.transform(new)[:, 0], [1 / 3, -1 / 3, -1, 1, 0, -2 / 3])
    median = CrossSectionalScaler("minmax", "median", cross_section=True).fit(X)
    assert median.transform(new)[4, 0] == pytest.approx(-1 / 3)


@pytest.mark.parametrize("method", METHODS)
def test_a_column_unknown_in_an_undated_fit_becomes_zero(method):
    X = np.array([[1.0, np.nan], [2.0, np.nan]])
    scaler = CrossSectionalScaler(method, cross_section=True).fit(X)
    np.testing.assert_array_equal(scaler.transform([[1.0, 5.0], [2.0, np.nan]])[:, 1], 0)


def test_undated_groups_are_those_of_fit():
    X = np.array([[1.0], [2.0], [30.0], [40.0]])
    scaler = CrossSectionalScaler("minmax", cross_section=True).fit(X, groups=list("aabb"))
    out = scaler.transform([[35.0], [1.5]], groups=["b", "a"])
    np.testing.assert_array_equal(out[:, 0], [0, 0])
    with pytest.raises(ValueError, match="groups must be among those of fit; got 1 new: 'c'"):
        scaler.transform(X, groups=list("aabc"))


def test_dates_are_needed_in_fit_and_in_transform_or_in_neither():
    X = random_panel()
    with pytest.raises(ValueError, match="Nothing says on which date"):
        CrossSectionalScaler().fit(X).transform(X.reset_index(drop=True))
    with pytest.raises(ValueError, match="`dates` must be None in transform after a fit without"):
        CrossSectionalScaler(cross_section=True).fit(X).transform(X, dates=np.ones(len(X)))
    with pytest.raises(ValueError, match="`dates` must be None where `cross_section=True`"):
        CrossSectionalScaler(cross_section=True).fit(X, dates=np.ones(len(X)))


@pytest.mark.parametrize("library", ["numpy", "polars"])
def test_arrays_and_polars_with_dates_equal_the_indexed_frame(library):
    X = random_panel()
    dates = X.index.get_level_values("date")
    expected = CrossSectionalScaler().fit_transform(X).to_numpy()
    data = X.to_numpy()
    if library == "polars":
        data = pl.DataFrame({name: X[name].to_numpy() for name in X})
        dates = pl.Series(dates.to_numpy())
    scaler = CrossSectionalScaler()
    np.testing.assert_array_equal(scaler.fit_transform(data, dates=dates), expected)
    np.testing.assert_array_equal(
        scaler.fit(data, dates=dates).transform(data, dates=dates), expected
    )


def test_index_of_y_serves_fit_transform():
    X = random_panel()
    np.testing.assert_array_equal(
        CrossSectionalScaler().fit_transform(X.to_numpy(), X["size"]),
        CrossSectionalScaler().fit_transform(X).to_numpy(),
    )


def test_frame_with_an_index_comes_back_as_one_unless_set_output_rules():
    X = random_panel()
    out = CrossSectionalScaler().fit(X).transform(X)
    assert out.index.equals(X.index)
    assert list(out) == list(X)
    as_polars = CrossSectionalScaler().set_output(transform="polars").fit_transform(X)
    assert isinstance(as_polars, pl.DataFrame)
    np.testing.assert_array_equal(as_polars.to_numpy(), out.to_numpy())


def test_dates_survive_a_pipeline_and_are_routed_by_default():
    X = random_panel(missing=0)
    X["late"] = X["size"]
    framed = make_pipeline(StandardScaler(), CrossSectionalScaler())
    out = framed.set_output(transform="pandas").fit_transform(X)
    assert out.index.equals(X.index)
    assert len(framed[-1].dates_) == 6
    dates = X.index.get_level_values("date")
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(StandardScaler(), CrossSectionalScaler())
        got = routed.fit_transform(X.to_numpy(), dates=dates, groups=np.zeros(len(X)))
        np.testing.assert_array_equal(got, out.to_numpy())
        again = routed.transform(X.to_numpy(), dates=dates, groups=np.zeros(len(X)))
        np.testing.assert_array_equal(again, got)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_float32_stays_float32_and_input_is_left_as_it_was(method, order):
    X = np.array(random_panel().to_numpy(), dtype=np.float32, order=order)
    before = X.copy()
    dates = random_panel().index.get_level_values("date")
    out = CrossSectionalScaler(method, "median").fit_transform(X, dates=dates)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(X, before)
    exact = CrossSectionalScaler(method, "median").fit_transform(X.astype(float), dates=dates)
    np.testing.assert_allclose(out, exact, atol=1e-6)


def test_large_numbers_do_not_overflow():
    X = np.array([[1.7e308], [-1.7e308], [0.0]])
    out = CrossSectionalScaler("minmax").fit_transform(X, dates=[1, 1, 1])
    np.testing.assert_allclose(out[:, 0], [1, -1, 0])


def test_bad_input_is_refused_and_a_failed_fit_keeps_what_was_fitted():
    X = random_panel()
    scaler = CrossSectionalScaler().fit(X)
    expected = scaler.transform(X)
    bad = X.copy()
    bad.iloc[3, 1] = np.inf
    for call in (scaler.fit, scaler.fit_transform, scaler.transform):
        with pytest.raises(ValueError, match=re.escape("column 'rating' (first in row 3)")):
            call(bad)
    with pytest.raises(ValueError, match="must hold numbers; got column 'sector'"):
        scaler.fit(X.assign(sector="banks"))
    with pytest.raises(ValueError, match="order"):
        scaler.transform(X[list(X)[::-1]])
    with pytest.raises(ValueError, match="0 sample"):
        scaler.fit(X.iloc[:0])
    with pytest.raises(ValueError, match="The 'method' parameter"):
        CrossSectionalScaler("uniform").fit(X)
    with pytest.raises(ValueError, match="pair must appear once; got 1 repeated"):
        scaler.fit(pd.concat([X, X.iloc[:1]]))
    with pytest.raises(ValueError, match="The indexes of X and y must agree"):
        scaler.fit(X, X["size"].iloc[::-1])
    pd.testing.assert_frame_equal(scaler.transform(X), expected)


def test_clone_and_pickle():
    X = random_panel()
    scaler = CrossSectionalScaler("zscore", None).fit(X)
    assert clone(scaler).get_params() == scaler.get_params()
    again = pickle.loads(pickle.dumps(scaler))
    pd.testing.assert_frame_equal(again.transform(X), scaler.transform(X))
