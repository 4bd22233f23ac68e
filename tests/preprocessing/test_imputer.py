"""PanelImputer: the asset's own past, then the cross-section, and never the future."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.exceptions import ImputationWarning, MissingDatesWarning
from skfactor.preprocessing import PanelImputer

STRATEGIES = ["median", "mean", "zero", None]


def random_panel(n_dates=8, n_assets=5, n_columns=3, missing=0.5, seed=0):
    """Return an unbalanced panel whose first date is complete, rows in random order."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-01-31", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product(
        [dates, [f"s{i}" for i in range(n_assets)]], names=["date", "asset"]
    )
    values = rng.normal(size=(len(index), n_columns))
    values[rng.random(values.shape) < missing] = np.nan
    values[:n_assets] = np.nan_to_num(values[:n_assets], nan=1.0)
    X = pd.DataFrame(values, index=index, columns=list("abcdefgh")[:n_columns])
    return X.sample(frac=0.85, random_state=seed)


def reference(X, *, strategy, limit=None, known=None):
    """Fill one cell after another; ``known`` is the earlier panel that fit has seen."""
    here = cells(X)
    before = {} if known is None else cells(known)
    calendar = sorted({date for date, _, _ in here | before})

    def carry(panel, sources):
        out = dict(panel)
        for date, asset, column in panel:
            past = [
                (calendar.index(d), value)
                for source in sources
                for (d, a, c), value in source.items()
                if (a, c) == (asset, column) and d < date and not np.isnan(value)
            ]
            if np.isnan(panel[date, asset, column]) and past:
                when, value = max(past)
                if limit is None or calendar.index(date) - when <= limit:
                    out[date, asset, column] = value
        return out

    def statistic(panel, date, column):
        values = [v for (d, _, c), v in panel.items() if (d, c) == (date, column)]
        values = [v for v in values if not np.isnan(v)]
        if strategy == "zero":
            return 0.0
        return {"median": np.median, "mean": np.mean}[strategy](values) if values else np.nan

    carried = carry(here, [here, before])
    sources = [carried, carry(before, [before])]
    result = X.copy()
    for (date, asset, column), value in carried.items():
        if np.isnan(value) and strategy is not None:
            value = statistic(carried, date, column)
            for earlier in reversed([d for d in calendar if d < date]):
                for source in sources:
                    if np.isnan(value):
                        value = statistic(source, earlier, column)
        result.loc[(date, asset), column] = value
    return result


def cells(X):
    """Spell a panel out as a dictionary from (date, asset, column) to values."""
    return {
        (date, asset, column): value for column in X for (date, asset), value in X[column].items()
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("limit", [None, 0, 2])
def test_equals_a_loop_over_cells(strategy, limit):
    X = random_panel()
    got = PanelImputer(strategy=strategy, limit=limit).fit_transform(X)
    pd.testing.assert_frame_equal(got, reference(X, strategy=strategy, limit=limit))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("limit", [None, 1])
def test_transform_of_later_rows_equals_a_loop_over_cells(strategy, limit):
    X = random_panel(missing=0.6)
    date = X.index.get_level_values("date")
    past, future = X[date < "2020-06-01"], X[date > "2020-06-01"].copy()
    future.loc[future.index.get_level_values("date") == "2020-07-31", "b"] = np.nan
    imputer = PanelImputer(strategy=strategy, limit=limit).fit(past)
    expected = reference(future, strategy=strategy, limit=limit, known=past)
    pd.testing.assert_frame_equal(imputer.transform(future), expected)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_fit_transform_equals_fit_then_transform(strategy):
    X = random_panel()
    imputer = PanelImputer(strategy=strategy, limit=3)
    pd.testing.assert_frame_equal(imputer.fit_transform(X), imputer.fit(X).transform(X))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_past_output_does_not_move_when_the_future_is_perturbed(strategy):
    X = random_panel()
    date = X.index.get_level_values("date")
    changed = X.copy()
    later = date > "2020-05-01"
    changed[later] = np.random.default_rng(1).normal(100, 50, size=(later.sum(), X.shape[1]))
    imputer = PanelImputer(strategy=strategy)
    before = imputer.fit_transform(X)[~later]
    pd.testing.assert_frame_equal(imputer.fit_transform(changed)[~later], before)
    pd.testing.assert_frame_equal(imputer.fit_transform(X[~later]), before)
    # Not even a fit on all dates lends the rows of the past anything of the future.
    pd.testing.assert_frame_equal(imputer.fit(changed).transform(X[~later]), before)


def test_order_of_rows_and_of_levels_does_not_matter():
    X = random_panel()
    expected = PanelImputer().fit_transform(X)
    shuffled = X.sample(frac=1, random_state=5)
    out = PanelImputer().fit_transform(shuffled)
    pd.testing.assert_frame_equal(out, expected.loc[shuffled.index])
    swapped = PanelImputer().fit_transform(X.swaplevel())
    pd.testing.assert_frame_equal(swapped, expected.swaplevel())


def test_carries_within_an_asset_never_across_and_never_backwards():
    index = pd.MultiIndex.from_product([[202001, 202002, 202003], ["A", "B"]])
    X = pd.DataFrame({"x": [np.nan, 5.0, 1.0, np.nan, np.nan, np.nan]}, index=index)
    out = PanelImputer(strategy=None).fit_transform(X)["x"]
    np.testing.assert_array_equal(out, [np.nan, 5.0, 1.0, 5.0, 1.0, 5.0])


def test_limit_counts_the_dates_of_the_panel():
    index = pd.MultiIndex.from_product([range(5), ["A"]], names=["date", "asset"])
    X = pd.DataFrame({"x": [1.0, np.nan, np.nan, np.nan, np.nan]}, index=index)
    for limit, known in ((0, 1), (1, 2), (3, 4), (None, 5)):
        out = PanelImputer(strategy=None, limit=limit).fit_transform(X)["x"]
        assert out.notna().sum() == known
    # A date that only another asset has counts as well.
    gap = X.iloc[[0, 2]]
    other = pd.DataFrame({"x": [7.0]}, index=pd.MultiIndex.from_tuples([(1, "B")]))
    both = pd.concat([gap, other]).rename_axis(["date", "asset"])
    assert np.isnan(PanelImputer(None, limit=1).fit_transform(both)["x"].iloc[1])
    assert PanelImputer(None, limit=1).fit_transform(gap)["x"].iloc[1] == 1.0


def test_last_fitted_values_are_carried_into_later_dates_only():
    X = random_panel(n_dates=3, missing=0)
    imputer = PanelImputer().fit(X)
    asset = imputer.assets_[0]
    own = X.xs(asset, level="asset").sort_index()
    rows = [("2019-12-31", asset), ("2020-04-30", asset), ("2020-04-30", "new")]
    index = pd.MultiIndex.from_tuples(
        [(pd.Timestamp(d), a) for d, a in rows], names=["date", "asset"]
    )
    later = pd.DataFrame(np.nan, index=index, columns=X.columns)
    with pytest.warns(ImputationWarning, match="3 values stay missing in column 'a', column 'b'"):
        out = imputer.transform(later)
    assert out.iloc[0].isna().all()
    np.testing.assert_array_equal(out.iloc[1], own.iloc[-1])
    np.testing.assert_array_equal(out.iloc[2], out.iloc[1])


def test_column_missing_on_a_date_takes_the_latest_earlier_statistic():
    dates, assets = np.repeat([1, 2, 3], 2), np.tile(["A", "B"], 3)
    X = np.array([[1.0], [3.0], [np.nan], [np.nan], [9.0], [np.nan]])
    out = PanelImputer(limit=0).fit_transform(X, dates=dates, assets=assets)
    np.testing.assert_array_equal(out.ravel(), [1, 3, 2, 2, 9, 9])


def test_values_unknown_so_far_stay_missing_with_a_warning_that_names_columns_and_date():
    dates = np.repeat([202001, 202002], 2)
    X = pd.DataFrame({"roe": [np.nan, np.nan, 1.0, 2.0], "eps": 1.0})
    message = (
        "2 values stay missing in column 'roe': no value of the column is known up to their "
        "dates (the latest is 202001)."
    )
    with pytest.warns(ImputationWarning, match=re.escape(message)) as record:
        out = PanelImputer().fit_transform(X, dates=dates)
    assert record[0].filename == __file__
    np.testing.assert_array_equal(np.isnan(out), X.isna())
    np.testing.assert_array_equal(PanelImputer("zero").fit_transform(X, dates=dates)[:2, 0], 0)
    assert np.isnan(PanelImputer(None).fit_transform(X, dates=dates)[:2, 0]).all()


def test_nothing_is_carried_where_assets_are_not_known():
    X = random_panel(missing=0.3)
    dates = X.index.get_level_values("date")
    np.testing.assert_array_equal(
        PanelImputer().fit_transform(X.to_numpy(), dates=dates),
        PanelImputer(limit=0).fit_transform(X).to_numpy(),
    )


@pytest.mark.parametrize("library", ["numpy", "polars"])
def test_arrays_and_polars_with_dates_and_assets_equal_the_indexed_frame(library):
    X = random_panel()
    dates, assets = (X.index.get_level_values(level) for level in ("date", "asset"))
    expected = PanelImputer().fit_transform(X).to_numpy()
    if library == "numpy":
        data, dates, assets = X.to_numpy(), dates.to_numpy(), assets.to_numpy()
    else:
        data = pl.DataFrame({c: X[c].to_numpy() for c in X})
        dates, assets = pl.Series(dates.to_numpy()), pl.Series(list(assets))
    imputer = PanelImputer()
    np.testing.assert_array_equal(imputer.fit_transform(data, dates=dates, assets=assets), expected)
    imputer.fit(data, dates=dates, assets=assets)
    np.testing.assert_array_equal(imputer.transform(data, dates=dates, assets=assets), expected)


def test_index_of_y_serves_fit_transform():
    X = random_panel()
    y = X["a"]
    out = PanelImputer().fit_transform(X.to_numpy(), y)
    np.testing.assert_array_equal(out, PanelImputer().fit_transform(X).to_numpy())


def test_frame_with_an_index_comes_back_as_one_unless_set_output_rules():
    X = random_panel()
    out = PanelImputer().fit(X).transform(X)
    assert out.index.equals(X.index)
    assert list(out.columns) == list("abc")
    as_pandas = PanelImputer().set_output(transform="pandas").fit_transform(X)
    pd.testing.assert_frame_equal(as_pandas, out)
    as_polars = PanelImputer().set_output(transform="polars").fit_transform(X)
    assert isinstance(as_polars, pl.DataFrame)
    np.testing.assert_array_equal(as_polars.to_numpy(), out.to_numpy())
    assert isinstance(PanelImputer(cross_section=True).fit_transform(X.droplevel(0)), np.ndarray)


def test_dates_survive_a_pipeline():
    X = random_panel(missing=0.2)
    y = X["a"].fillna(0)
    pipeline = make_pipeline(StandardScaler(), PanelImputer())
    pipeline.set_output(transform="pandas").fit(X, y)
    assert len(pipeline[-1].dates_) == 8
    assert len(pipeline[-1].assets_) == 5
    assert pipeline.transform(X).index.equals(X.index)


def test_dates_and_assets_are_routed_by_default():
    X = random_panel(missing=0.2)
    dates, assets = (X.index.get_level_values(level) for level in ("date", "asset"))
    data = X.to_numpy()
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), PanelImputer())
        out = pipeline.fit_transform(data, dates=dates, assets=assets)
        again = pipeline.transform(data, dates=dates, assets=assets)
    expected = PanelImputer().fit_transform(
        pd.DataFrame(StandardScaler().fit_transform(data), index=X.index)
    )
    np.testing.assert_allclose(out, expected)
    np.testing.assert_array_equal(again, out)


def test_without_dates_the_statistics_of_fit_fill_every_row():
    X = np.array([[1.0, np.nan], [np.nan, 4.0], [5.0, 8.0]])
    with pytest.warns(MissingDatesWarning, match="Nothing says on which date the 3 rows"):
        imputer = PanelImputer().fit(X)
    np.testing.assert_array_equal(imputer.statistics_, [[3.0, 6.0]])
    assert imputer.dates_ is None
    new = np.array([[np.nan, np.nan], [7.0, np.nan]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(imputer.transform(new), [[3.0, 6.0], [7.0, 6.0]])
    with pytest.raises(ValueError, match="`dates` must be None in transform after a fit without"):
        imputer.transform(new, dates=[1, 2])


def test_a_stated_cross_section_does_not_warn_and_refuses_dates():
    firms = pd.DataFrame({"cap": [1.0, np.nan, 3.0]}, index=["A", "B", "C"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = PanelImputer("mean", cross_section=True).fit_transform(firms)
    np.testing.assert_array_equal(out.ravel(), [1, 2, 3])
    with pytest.raises(ValueError, match="`dates` must be None where `cross_section=True`"):
        PanelImputer(cross_section=True).fit(firms, dates=[1, 1, 1])


def test_all_missing_column_of_a_cross_section_stays_missing_with_a_warning():
    X = np.array([[1.0, np.nan], [2.0, np.nan]])
    with pytest.warns(ImputationWarning, match="2 values stay missing in column 1: no value"):
        out = PanelImputer(cross_section=True).fit_transform(X)
    np.testing.assert_array_equal(out, X)


def test_rows_without_dates_are_refused_after_a_fit_with_dates():
    X = random_panel()
    imputer = PanelImputer().fit(X)
    with pytest.raises(ValueError, match="Nothing says on which date"):
        imputer.transform(X.reset_index(drop=True))
    with pytest.raises(ValueError, match="got datetimes in fit and whole numbers in transform"):
        imputer.transform(X, dates=np.arange(len(X)))


def test_duplicate_pairs_and_indexes_that_disagree_are_refused():
    X = random_panel()
    with pytest.raises(ValueError, match="pair must appear once; got 1 repeated"):
        PanelImputer().fit(pd.concat([X, X.iloc[:1]]))
    with pytest.raises(ValueError, match="The indexes of X and y must agree"):
        PanelImputer().fit_transform(X, X["a"].iloc[::-1])


def test_bad_input_is_refused_and_a_failed_fit_keeps_what_was_fitted():
    X = random_panel()
    imputer = PanelImputer().fit(X)
    expected = imputer.transform(X)
    bad = X.copy()
    bad.iloc[3, 1] = np.inf
    for call in (imputer.fit, imputer.fit_transform, imputer.transform):
        with pytest.raises(ValueError, match=re.escape("column 'b' (first in row 3)")):
            call(bad)
    with pytest.raises(ValueError, match="must hold numbers; got column 'sector'"):
        imputer.fit(X.assign(sector="banks"))
    with pytest.raises(ValueError, match="order"):
        imputer.transform(X[list("cba")])
    with pytest.raises(ValueError, match="0 sample"):
        imputer.fit(X.iloc[:0])
    with pytest.raises(ValueError, match="The 'strategy' parameter"):
        PanelImputer(strategy="mode").fit_transform(X)
    pd.testing.assert_frame_equal(imputer.transform(X), expected)


def test_one_row_and_a_full_panel_come_back_unchanged():
    X = random_panel(missing=0)
    pd.testing.assert_frame_equal(PanelImputer().fit_transform(X), X)
    pd.testing.assert_frame_equal(PanelImputer().fit_transform(X.iloc[:1]), X.iloc[:1])


def test_float32_stays_float32_and_input_is_left_as_it_was():
    X = random_panel().astype(np.float32)
    before = X.copy()
    out = PanelImputer("mean").fit_transform(X)
    assert (out.dtypes == np.float32).all()
    PanelImputer().fit(X).transform(X)
    pd.testing.assert_frame_equal(X, before)


def test_clone_and_pickle():
    X = random_panel()
    imputer = PanelImputer("mean", limit=2).fit(X)
    assert clone(imputer).get_params() == imputer.get_params()
    again = pickle.loads(pickle.dumps(imputer))
    pd.testing.assert_frame_equal(again.transform(X), imputer.transform(X))
