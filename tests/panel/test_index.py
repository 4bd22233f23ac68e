"""How dates and assets are found, and what is refused."""

import datetime
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.exceptions import MissingDatesWarning
from skfactor.panel._index import as_dates, date_kind, has_panel_index, resolve_panel

MONTHS = pd.date_range("2020-01-31", periods=3, freq="ME")


def panel_frame(dates=MONTHS, assets=("B", "A"), names=("date", "asset")):
    index = pd.MultiIndex.from_product([dates, list(assets)], names=names)
    return pd.DataFrame({"x": np.arange(float(len(index)))}, index=index)


def read(panel):
    """Spell a resolved panel out as a list of (date, asset)."""
    return [
        (panel.dates[d], panel.assets[a])
        for d, a in zip(panel.date_codes, panel.asset_codes, strict=True)
    ]


def test_index_of_X_gives_dates_and_assets_in_either_order_of_levels():
    X = panel_frame()
    expected = list(X.index)
    assert read(resolve_panel(X)) == expected
    assert read(resolve_panel(X.swaplevel())) == expected


def test_codes_point_into_sorted_unique_values_whatever_the_order_of_rows():
    X = panel_frame().sample(frac=1, random_state=0)
    panel = resolve_panel(X)
    assert list(panel.dates) == list(MONTHS)
    assert list(panel.assets) == ["A", "B"]
    assert read(panel) == list(X.index)


def test_unused_levels_of_a_filtered_frame_are_not_counted():
    X = panel_frame()
    panel = resolve_panel(X[X.index.get_level_values("date") > MONTHS[0]])
    assert list(panel.dates) == list(MONTHS[1:])


@pytest.mark.parametrize(
    ("dates", "names"),
    [
        (MONTHS, (None, None)),
        (MONTHS.tz_localize("UTC"), (None, None)),
        (pd.PeriodIndex(MONTHS, freq="M"), (None, None)),
        (pd.CategoricalIndex(MONTHS), (None, None)),
        ([datetime.date(2020, 1, 31), datetime.date(2020, 2, 29)], (None, None)),
        ([202001, 202002], (None, None)),
        ([20200131, 20200229], (None, None)),
        ([1, 2, 3], ("Month", "permno")),
        (["2020-01-31", "2020-02-29"], ("DATE", "ticker")),
    ],
)
def test_date_level_is_found_by_its_type_its_name_or_its_numbers(dates, names):
    X = panel_frame(dates, [10001, 10002], names)
    for frame in (X, X.swaplevel()):
        panel = resolve_panel(frame)
        assert len(panel.dates) == len(dates)
        assert list(panel.assets) == [10001, 10002]


def test_type_of_a_level_goes_before_its_name():
    X = panel_frame(MONTHS, [1, 2], ("formed", "month"))
    assert list(resolve_panel(X).dates) == list(MONTHS)


def test_two_levels_that_could_both_be_dates_are_refused():
    X = panel_frame(MONTHS, MONTHS, ("announced", "formed"))
    with pytest.raises(ValueError, match="two that could be, 'announced' and 'formed'"):
        resolve_panel(X)
    renamed = X.rename_axis(["announced", "date"])
    assert list(resolve_panel(renamed).dates) == list(MONTHS)


def test_index_of_y_is_used_where_X_is_an_array():
    X = panel_frame()
    assert read(resolve_panel(X.to_numpy(), X["x"])) == list(X.index)
    assert read(resolve_panel(X.to_numpy(), X["x"].swaplevel())) == list(X.index)


def test_arguments_go_before_the_index():
    X = panel_frame()
    panel = resolve_panel(X, dates=np.arange(6), assets=list("abcdef"))
    assert read(panel) == list(zip(range(6), "abcdef", strict=True))


def test_dates_alone_leave_the_assets_to_the_index_and_unknown_without_one():
    X = panel_frame()
    dates = np.arange(6)
    assert list(resolve_panel(X, dates=dates).assets) == ["A", "B"]
    assert resolve_panel(X.to_numpy(), dates=dates).assets is None


def test_index_of_dates_alone_gives_dates_and_no_assets():
    panel = resolve_panel(panel_frame().droplevel("asset"))
    assert list(panel.dates) == list(MONTHS)
    assert panel.asset_codes is None


@pytest.mark.parametrize(
    "dates",
    [
        MONTHS,
        pd.Series(MONTHS),
        MONTHS.to_numpy(),
        list(MONTHS),
        [date.date() for date in MONTHS],
        ["2020-01-31", "2020-02-29", "2020-03-31"],
        pl.Series(list(MONTHS)),
        pl.Series([date.date() for date in MONTHS]),
        pd.Categorical(MONTHS),
    ],
)
def test_dates_of_every_library_become_the_same_index(dates):
    index = as_dates(dates)
    assert list(index) == list(MONTHS)
    assert index.dtype == "datetime64[us]"


def test_whole_floats_are_numbers_and_periods_stay_periods():
    assert as_dates(np.array([202001.0, 202002.0])).tolist() == [202001, 202002]
    periods = list(pd.PeriodIndex(MONTHS, freq="M"))
    assert date_kind(as_dates(periods)) == "periods of frequency M"
    assert date_kind(as_dates([1, 2])) == "whole numbers"
    assert date_kind(as_dates(MONTHS)) == "datetimes"


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (["31/01/2020"], "must be ISO, such as '2024-01-31'; got '31/01/2020' in `dates`"),
        ([0.5], "got floating values in `dates`, first 0.5"),
        ([True], "got boolean values in `dates`"),
        ([[1], [2]], "must be one-dimensional, an entry for each row; got shape (2, 1)"),
        ([pd.Timestamp("2020-01-31"), pd.NaT], "got 1 missing in `dates`, in rows 1"),
        ([1.0, np.nan], "got 1 missing in `dates`, in rows 1"),
    ],
)
def test_bad_dates_are_refused_with_what_was_found(dates, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        as_dates(dates)


def test_missing_assets_and_wrong_lengths_are_refused():
    with pytest.raises(ValueError, match="got 1 missing in `assets`, in rows 0"):
        resolve_panel(np.ones((2, 1)), dates=[1, 2], assets=[None, "A"])
    with pytest.raises(ValueError, match="`dates` must have one entry for each of the 3 rows"):
        resolve_panel(np.ones((3, 1)), dates=[1, 2])


def test_duplicate_pairs_are_shown():
    X = panel_frame()
    doubled = pd.concat([X, X.iloc[[1, 2, 3, 4]]])
    message = (
        "Each (date, asset) pair must appear once; got 4 repeated: (2020-01-31, 'A') in rows 1 "
        "and 6, (2020-02-29, 'A') in rows 3 and 8, (2020-02-29, 'B') in rows 2 and 7, ... . Keep"
    ).replace("... .", "....")
    with pytest.raises(ValueError, match=re.escape(message)):
        resolve_panel(doubled)


def test_duplicate_pairs_that_stand_together_are_shown():
    X = panel_frame().sort_index()
    with pytest.raises(ValueError, match="got 1 repeated: .* in rows 0 and 1"):
        resolve_panel(X.iloc[[0, 0, *range(1, len(X))]])


def test_indexes_that_disagree_are_shown():
    X = panel_frame()
    y = X["x"].iloc[::-1]
    message = (
        "The indexes of X and y must agree; got 6 rows that differ: row 0 is "
        "(2020-01-31, 'B') in X and (2020-03-31, 'A') in y"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        resolve_panel(X, y)
    with pytest.raises(ValueError, match="got 6 in X and 5 in y"):
        resolve_panel(X, X["x"].iloc[1:])


def test_indexes_that_agree_but_for_the_order_of_levels_pass():
    X = panel_frame()
    assert read(resolve_panel(X, X["x"].swaplevel())) == list(X.index)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((3, 1)),
        [[1.0], [2.0], [3.0]],
        pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=list("ABC")),
        pl.DataFrame({"x": [1.0, 2.0, 3.0]}),
        panel_frame(["energy"], list("ABC"), ("sector", "ticker")),
    ],
)
def test_no_dates_is_one_cross_section_with_a_warning_that_names_the_repairs(X):
    with pytest.warns(MissingDatesWarning) as record:
        panel = resolve_panel(X)
    assert panel.date_codes is None
    assert panel.dates is None
    message = str(record[0].message)
    for repair in ("`dates=`", "(date, asset) index", "set_output(transform='pandas')"):
        assert repair in message
    assert "3 rows" in message
    assert record[0].filename == __file__


def test_required_dates_are_an_error_in_place_of_a_warning():
    with pytest.raises(ValueError, match="Nothing says on which date the 3 rows"):
        resolve_panel(np.ones((3, 1)), required=True)


def test_a_panel_with_dates_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve_panel(panel_frame())


def test_only_two_level_pandas_objects_have_a_panel_index():
    X = panel_frame()
    assert has_panel_index(X)
    assert has_panel_index(X["x"])
    assert not has_panel_index(X.droplevel("date"))
    assert not has_panel_index(X.to_numpy())
    assert not has_panel_index(pl.DataFrame({"x": [1.0]}))
