"""Long tables, cubes and lags: the same panel in other shapes, and at an earlier date."""

import datetime
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skfactor.panel import DensePanel, from_dense, from_long, lag, to_dense


def table(n_dates=4, n_assets=5, seed=0):
    """Return a long table, rows in random order."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-01-31", periods=n_dates, freq="ME")
    frame = pd.DataFrame(
        {
            "month": dates.repeat(n_assets),
            "ticker": [f"s{i}" for i in range(n_assets)] * n_dates,
            "size": rng.normal(size=n_dates * n_assets),
            "rating": rng.integers(0, 9, n_dates * n_assets),
            "ret": rng.normal(size=n_dates * n_assets),
        }
    )
    frame.loc[3, "ret"] = np.nan
    return frame.sample(frac=0.8, random_state=seed).reset_index(drop=True)


def expected_panel(frame):
    indexed = frame.set_index(["month", "ticker"]).sort_index().rename_axis(["date", "asset"])
    return indexed[["size", "rating"]].astype(float), indexed["ret"]


NAMES = {"date": "month", "asset": "ticker", "target": "ret"}


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "index", "nullable"])
def test_a_table_of_any_library_becomes_a_sorted_panel(library):
    frame = table()
    convert = {
        "pandas": lambda f: f,
        "polars": pl.from_pandas,
        "arrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
        "index": lambda f: f.set_index(["ticker", "month"]),
        "nullable": lambda f: f.convert_dtypes(),
    }
    given = convert[library](frame)
    X, y = from_long(given, **NAMES)
    expected_X, expected_y = expected_panel(frame)
    pd.testing.assert_frame_equal(X, expected_X, check_index_type=False, check_column_type=False)
    pd.testing.assert_series_equal(y, expected_y, check_index_type=False)
    assert X.index is y.index
    assert y.isna().sum() == frame["ret"].isna().sum()
    pd.testing.assert_frame_equal(frame, table())


def test_columns_lie_in_one_block_of_the_smallest_type_that_holds_them():
    frame = table()
    assert (from_long(frame, **NAMES)[0].dtypes == np.float64).all()
    small = frame.astype({"size": np.float32, "rating": np.int8})
    X, _ = from_long(small, **NAMES)
    assert (X.dtypes == np.float32).all()
    assert X.to_numpy().flags.c_contiguous
    whole, none = from_long(frame[["month", "ticker", "rating"]], date="month", asset="ticker")
    assert none is None
    assert (whole.dtypes == np.float64).all()


def test_columns_that_are_not_numbers_are_kept_as_they_are():
    frame = table().assign(industry=lambda f: "i" + f["rating"].astype(str))
    for given in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        X, y = from_long(given, **NAMES)
        pairs = frame.set_index(["month", "ticker"])["industry"]
        assert list(X["industry"]) == list(pairs.loc[list(X.index)])
        assert X.index.equals(y.index)
        assert X["rating"].dtype == np.int64


@pytest.mark.parametrize(
    "dates",
    [
        [202401, 202402],
        ["2024-01-31", "2024-02-29"],
        [datetime.date(2024, 1, 31), datetime.date(2024, 2, 29)],
        pd.period_range("2024-01", periods=2, freq="M"),
    ],
)
def test_dates_of_every_kind_are_read(dates):
    X, _ = from_long(pd.DataFrame({"date": dates, "asset": 1, "x": [1.0, 2.0]}))
    assert X.index.names == ["date", "asset"]
    assert len(X.index.unique("date")) == 2


def test_arrow_dictionaries_and_missing_values_are_read():
    frame = pa.table(
        {
            "date": pa.array([datetime.date(2024, 1, 31)] * 3),
            "asset": pa.array(["b", "a", "c"]).dictionary_encode(),
            "x": pa.array([1, None, 3]),
        }
    )
    X, _ = from_long(frame)
    assert list(X.index.get_level_values("asset")) == ["a", "b", "c"]
    np.testing.assert_array_equal(X["x"], [np.nan, 1, 3])


def test_tables_that_make_no_panel_are_refused():
    frame = table()
    with pytest.raises(ValueError, match="`date` must name a column of the table; got 'date', and"):
        from_long(frame)
    with pytest.raises(ValueError, match="must be different columns; got ticker, ticker"):
        from_long(frame, date="ticker", asset="ticker")
    with pytest.raises(ValueError, match="pair must appear once; got 1 repeated"):
        from_long(pd.concat([frame, frame.iloc[:1]]), **NAMES)
    with pytest.raises(ValueError, match="must have its asset; got 1 missing in column 'ticker'"):
        from_long(frame.assign(ticker=frame["ticker"].where(frame.index > 0)), **NAMES)
    with pytest.raises(ValueError, match="`target` must hold numbers; got column 'ret'"):
        from_long(frame.assign(ret="high"), **NAMES)
    with pytest.raises(TypeError, match="pyarrow Table; got ndarray"):
        from_long(frame.to_numpy())
    with pytest.raises(ValueError, match="Each column must appear once; got size more than once"):
        from_long(frame[[*frame, "size"]], **NAMES)
    twice = frame.set_index("month").assign(month=1)
    with pytest.raises(ValueError, match="got 'month' in the index and in the columns"):
        from_long(twice, **NAMES)


def test_an_empty_table_is_an_empty_panel():
    X, y = from_long(table().iloc[:0], **NAMES)
    assert X.shape == (0, 2)
    assert len(y) == 0


def panel(seed=0):
    X, _ = from_long(table(seed=seed), **NAMES)
    return X.sample(frac=1, random_state=seed)


def test_a_cube_holds_each_row_in_its_place():
    X = panel()
    dense = to_dense(X)
    assert dense.values.shape == (4, 5, 2)
    for t, date in enumerate(dense.dates):
        for i, asset in enumerate(dense.assets):
            there = (date, asset) in X.index
            assert dense.mask[t, i] == there
            expected = X.loc[(date, asset)] if there else [np.nan, np.nan]
            np.testing.assert_array_equal(dense.values[t, i], expected)
    assert list(dense.columns) == ["size", "rating"]


def test_the_way_back_restores_the_panel_missing_values_included():
    X = panel().astype(np.float32)
    X.iloc[2] = np.nan
    back = from_dense(to_dense(X))
    pd.testing.assert_frame_equal(back, X.sort_index(), check_index_type=False)
    assert (back.dtypes == np.float32).all()
    y = X["size"]
    pd.testing.assert_series_equal(
        from_dense(*to_dense(y)), y.sort_index(), check_names=False, check_index_type=False
    )


def test_arrays_and_polars_become_the_same_cube():
    X = panel()
    dates, assets = (X.index.get_level_values(level) for level in ("date", "asset"))
    expected = to_dense(X)
    for data in (X.to_numpy(), pl.DataFrame({name: X[name].to_numpy() for name in X})):
        dense = to_dense(data, dates=dates, assets=assets)
        assert isinstance(dense, DensePanel)
        np.testing.assert_array_equal(dense.values, expected.values)
        np.testing.assert_array_equal(dense.mask, expected.mask)


def test_a_bare_cube_needs_dates_and_fitting_labels():
    cube = np.arange(12.0).reshape(2, 3, 2)
    X = from_dense(cube, dates=[202401, 202402], columns=["a", "b"])
    assert X.shape == (6, 2)
    cube[0, 1] = np.nan
    assert len(from_dense(cube, dates=[1, 2])) == 5
    assert len(from_dense(cube, np.ones((2, 3), bool), [1, 2])) == 6
    with pytest.raises(ValueError, match="`dates` must be given with a bare cube"):
        from_dense(cube)
    with pytest.raises(ValueError, match="`assets` must have one entry for each of the 3 places"):
        from_dense(cube, dates=[1, 2], assets=["a"])
    with pytest.raises(ValueError, match="`dates` must be different from one another; got 1 twice"):
        from_dense(cube, dates=[1, 1])
    with pytest.raises(ValueError, match=re.escape("booleans of shape (2, 3); got float64")):
        from_dense(cube, np.ones((2, 3)), [1, 2])
    with pytest.raises(ValueError, match=re.escape("got shape (2,)")):
        from_dense(np.ones(2), dates=[1, 2])


def test_cubes_are_refused_of_text_and_of_rows_without_asset():
    X = panel()
    with pytest.raises(ValueError, match="must hold numbers; got values of dtype"):
        to_dense(X.assign(sector="banks"))
    with pytest.raises(ValueError, match="must have its asset; got dates alone"):
        to_dense(X.to_numpy(), dates=X.index.get_level_values("date"))
    with pytest.raises(ValueError, match="Nothing says on which date"):
        to_dense(X.to_numpy())
    with pytest.raises(ValueError, match=re.escape("got shape (1, 1, 1)")):
        to_dense(np.ones((1, 1, 1)))


def lag_reference(X, periods, calendar=None):
    """Look each value up by its date and asset."""
    dates = X.index.get_level_values("date")
    calendar = list(dates.unique().sort_values() if calendar is None else calendar)
    out = X.astype(float).copy()
    for row, (date, asset) in enumerate(X.index):
        place = calendar.index(date) - periods
        there = place >= 0 and (calendar[place], asset) in X.index
        out.iloc[row] = X.loc[(calendar[place], asset)] if there else np.nan
    return out


@pytest.mark.parametrize("periods", [0, 1, 3])
def test_lag_equals_looking_up_each_value(periods):
    X, _ = from_long(table(9, 6), **NAMES)
    X = X.sample(frac=0.8, random_state=1)
    pd.testing.assert_frame_equal(lag(X, periods), lag_reference(X, periods))


def test_nothing_stale_comes_over_a_gap_of_years():
    index = pd.MultiIndex.from_tuples(
        [(2001, "A"), (2001, "B"), (2002, "B"), (2003, "B"), (2004, "A"), (2004, "B"), (2005, "A")],
        names=["year", "asset"],
    )
    X = pd.DataFrame({"x": np.arange(7.0)}, index)
    np.testing.assert_array_equal(lag(X)["x"], [np.nan, np.nan, 1, 2, np.nan, 3, 4])
    # A date that no asset has counts if the calendar says so.
    gap = X[X.index.get_level_values("year") != 2003]
    assert lag(gap)["x"].iloc[4] == 2.0
    assert np.isnan(lag(gap, calendar=range(2001, 2006))["x"].iloc[4])


def test_lag_does_not_look_ahead():
    X = panel()
    date = X.index.get_level_values("date")
    later = date > "2020-02-29"
    changed = X.copy()
    changed[later] = -99.0
    pd.testing.assert_frame_equal(lag(changed)[~later], lag(X)[~later])
    pd.testing.assert_frame_equal(lag(X[~later]), lag(X)[~later])
    first_later = date == "2020-03-31"
    pd.testing.assert_frame_equal(lag(changed)[first_later], lag(X)[first_later])
    with pytest.raises(ValueError, match="got -1. A negative lag would look ahead."):
        lag(X, -1)


def test_lag_keeps_kind_order_index_and_types():
    X = panel()
    frame = X.astype({"size": np.float32}).assign(
        industry="banks", rated=X["rating"] > 3, n=range(len(X))
    )
    out = lag(frame)
    assert out.index.equals(frame.index)
    assert out["size"].dtype == np.float32
    assert set(out["industry"].dropna()) == {"banks"}
    assert out["n"].dtype == np.float64
    pd.testing.assert_series_equal(lag(frame["size"]), out["size"])
    pd.testing.assert_frame_equal(lag(frame, 0), frame)
    pd.testing.assert_frame_equal(lag(frame.swaplevel()), out.swaplevel())


def test_lag_of_arrays_and_polars_equals_that_of_the_frame():
    X = panel()
    dates, assets = (X.index.get_level_values(level) for level in ("date", "asset"))
    expected = lag(X).to_numpy()
    np.testing.assert_array_equal(lag(X.to_numpy(), dates=dates, assets=assets), expected)
    whole = X["rating"].to_numpy().astype(int)
    np.testing.assert_array_equal(lag(whole, dates=dates, assets=assets), expected[:, 1])
    frame = pl.DataFrame({name: X[name].to_numpy() for name in X})
    out = lag(frame, dates=dates, assets=assets)
    assert isinstance(out, pl.DataFrame)
    np.testing.assert_array_equal(out.to_numpy(), expected)
    series = lag(frame["size"], dates=dates, assets=assets)
    assert series.null_count() == np.isnan(expected[:, 0]).sum()


def test_lag_refuses_what_it_cannot_count_on():
    X = panel()
    with pytest.raises(ValueError, match="must have its asset; got dates alone"):
        lag(X.to_numpy(), dates=X.index.get_level_values("date"))
    with pytest.raises(ValueError, match="`calendar` must have every date of X; got 1 that it"):
        lag(X, calendar=X.index.unique("date").sort_values()[:-1])
    with pytest.raises(ValueError, match="dates of the kind of X, datetimes; got whole numbers"):
        lag(X, calendar=[2020, 2021])
    with pytest.raises(ValueError, match="pair must appear once"):
        lag(pd.concat([X, X.iloc[:1]]))
    assert lag(X.iloc[:0]).shape == (0, 2)
