"""The panel that models read: sorted rows, and frames looked up by date."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator

from skfactor._nn._arrays import to_single
from skfactor.panel._calendar import align_to_dates
from skfactor.panel._panel import validate_panel


class Reader(BaseEstimator):
    """Stands for an estimator that validates a panel."""


@pytest.fixture
def panel():
    dates = pd.date_range("2020-01-31", periods=3, freq="ME")
    index = pd.MultiIndex.from_product([dates, ["A", "B"]], names=["date", "asset"])[:5]
    X = pd.DataFrame({"size": np.arange(5.0), "value": 1.0}, index=index)
    return X, pd.Series(np.arange(5.0) / 10, index=index)


def read(X, y=None, **params):
    return validate_panel(Reader(), X, y, reset=True, **params)


def test_sorted_rows_are_not_copied(panel):
    X, y = panel
    values = X.to_numpy()
    result = read(values, y)
    assert np.shares_memory(result.X, values)
    assert result.order is None
    np.testing.assert_array_equal(result.starts, [0, 2, 4, 5])
    np.testing.assert_array_equal(result.date_codes, [0, 0, 1, 1, 2])


def test_any_order_of_rows_gives_the_same_panel_and_comes_back(panel):
    X, y = panel
    expected = read(X, y)
    mixed = [3, 0, 4, 2, 1]
    result = read(X.iloc[mixed], y.iloc[mixed])
    np.testing.assert_array_equal(result.X, expected.X)
    np.testing.assert_array_equal(result.y, expected.y)
    np.testing.assert_array_equal(result.restore(result.y), y.iloc[mixed])


def test_single_precision_stays(panel):
    X, y = panel
    result = read(X.to_numpy(dtype=np.float32), y)
    assert result.X.dtype == np.float32
    assert result.returns.dtype == np.float64


def test_a_missing_return_is_kept_and_no_return_at_all_is_refused(panel):
    X, y = panel
    y.iloc[1] = np.nan
    assert np.isnan(read(X, y).returns[1])
    with pytest.raises(ValueError, match="at least one return; got none but NaN"):
        read(X, y * np.nan)


def test_no_target_is_refused_with_what_to_give(panel):
    with pytest.raises(ValueError, match="Reader requires y .* excess return of each row"):
        read(panel[0], None)


def test_gaps_in_characteristics_are_refused_with_their_repair(panel):
    X, y = panel
    X.iloc[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"'value' \(1 missing\).*CrossSectionalScaler"):
        read(X, y)


def test_a_part_of_a_panel_holds_whole_dates(panel):
    part = read(*panel).between(1, 3)
    np.testing.assert_array_equal(part.starts, [0, 2, 3])
    np.testing.assert_array_equal(part.X[:, 0], [2, 3, 4])
    assert list(part.dates) == list(pd.date_range("2020-02-29", periods=2, freq="ME"))
    assert [rows.stop - rows.start for rows in part.sections()] == [2, 1]


@pytest.mark.parametrize("like", ["month end", "business month end", "period", "yyyymm", "polars"])
def test_frames_meet_a_panel_by_month_however_dates_are_written(panel, like):
    dates = read(*panel).dates
    ends = pd.date_range("2019-12-31", periods=5, freq="ME")
    frame = pd.DataFrame({"MKT": np.arange(5.0)}, index=ends)
    if like == "business month end":
        frame.index = pd.date_range("2019-12-31", periods=5, freq="BME")
    elif like == "period":
        frame.index = ends.to_period("M")
    elif like == "yyyymm":
        frame.index = [201912, 202001, 202002, 202003, 202004]
    elif like == "polars":
        frame = pl.DataFrame({"date": list(ends), "MKT": np.arange(5.0)})
    values, names = align_to_dates(frame, dates, "`factors`")
    assert names == ["MKT"]
    np.testing.assert_array_equal(values, [[1.0], [2.0], [3.0]])


def test_a_frame_that_lacks_dates_of_the_panel_is_refused_with_those_dates(panel):
    dates = read(*panel).dates
    frame = pd.DataFrame({"MKT": [1.0, 2.0]}, index=dates[:2])
    with pytest.raises(ValueError, match="cover every date of X; got 1 of 3 .*2020-03-31"):
        align_to_dates(frame, dates, "`factors`")
    gap = pd.DataFrame({"MKT": [1.0, np.nan, 2.0]}, index=dates)
    with pytest.raises(ValueError, match="must be finite on every date of X; got 1 .*2020-02-29"):
        align_to_dates(gap, dates, "`factors`")
    with pytest.raises(TypeError, match="dates in its index.*got ndarray"):
        align_to_dates(np.ones((3, 1)), dates, "`factors`")


LAYOUTS = ["one array", "F-ordered", "dict", "polars", "unsorted", "unsorted dict"]


def long_panel(layout, n_dates=20, n_assets=2000, n_features=60):
    """Return characteristics in single precision, laid out in memory in some way, and returns."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n_dates * n_assets, n_features)).astype(np.float32)
    months = pd.period_range("2000-01", periods=n_dates, freq="M")
    index = pd.MultiIndex.from_product([months, range(n_assets)], names=["date", "asset"])
    returns, order = rng.normal(size=len(values)), np.arange(len(values))
    if layout.startswith("unsorted"):
        order = rng.permutation(order)
    values, index, names = values[order], index[order], [f"c{j}" for j in range(n_features)]
    y = pd.Series(returns[order], index=index)
    if layout == "polars":
        return pl.DataFrame({name: values[:, j].copy() for j, name in enumerate(names)}), y
    if layout.endswith("dict"):
        columns = {name: values[:, j].copy() for j, name in enumerate(names)}
        return pd.DataFrame(columns, index=index, copy=False), y
    if layout == "F-ordered":
        values = np.asfortranarray(values)
    return pd.DataFrame(values, index=index, columns=names, copy=False), y


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_a_frame_changes_no_value(layout):
    expected = read(*long_panel("one array"))
    X, y = long_panel(layout)
    before = X.clone() if layout == "polars" else X.copy()
    result = read(X, y)
    np.testing.assert_array_equal(result.X, expected.X)
    np.testing.assert_array_equal(result.y, expected.y)
    assert X.equals(before)


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "one array"])
def test_networks_read_a_frame_of_any_layout_at_the_cost_of_one_copy(layout):
    X, y = long_panel(layout)
    size = 4 * X.shape[0] * X.shape[1]
    read(X, y)  # what is imported or remembered once does not count
    tracemalloc.start()
    to_single(read(X, y).X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The copy, a block of what is being moved, and the positions of dates and assets.
    assert peak < 1.4 * size


def test_columns_of_several_types_become_what_they_did_in_one_array():
    index = pd.MultiIndex.from_product([pd.period_range("2000-01", periods=2), ["A", "B"]])
    small = pd.DataFrame({"x": np.float32([1, 2, 3, 4]), "flag": [True, False, True, True]}, index)
    assert read(small, np.ones(4)).X.dtype == np.float32
    wide = small.assign(count=np.arange(4))
    result = read(wide, np.ones(4)).X
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, wide.to_numpy(dtype=np.float64))


def test_errors_about_columns_that_lie_apart_name_them():
    X, y = long_panel("dict")
    X["c3"] = X["c3"].where(np.arange(len(X)) != 7)
    with pytest.raises(ValueError, match=r"gaps in column 'c3' \(1 missing\)"):
        read(X, y)
    with pytest.raises(ValueError, match="Every column of X must hold numbers; got column 'name'"):
        read(X.fillna(0.0).assign(name="text"), y)
