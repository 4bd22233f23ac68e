"""merge_tables: an inner join, and a report of who was left out."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.preprocessing import MergeReport, merge_tables

ACCOUNTS = pd.DataFrame({"ticker": ["C", "A", "B", "D"], "cap": [3.0, 1.0, 2.0, 4.0]})
EXTENSION = pd.DataFrame({"sales": [10.0, 30.0, 20.0]}, index=["A", "C", "B"])
PRICES = pd.DataFrame({"vol": [0.3, 0.2, 0.5]}, index=pd.Index(["C", "B", "E"], name="ticker"))


def test_equals_an_inner_join_in_the_order_of_the_first_table():
    frame, report = merge_tables(accounts=ACCOUNTS, extension=EXTENSION, prices=PRICES)
    expected = ACCOUNTS.set_index("ticker").join([EXTENSION, PRICES], how="inner")
    pd.testing.assert_frame_equal(frame, expected.loc[["C", "B"]].rename_axis("ticker"))
    assert report.kept == ("C", "B")


def test_report_says_in_words_who_was_dropped_because_of_which_table():
    _, report = merge_tables(accounts=ACCOUNTS, extension=EXTENSION, prices=PRICES)
    assert repr(report).splitlines() == [
        "Kept 2 of 5 assets.",
        "  accounts has 4; dropped for want of it: 1 (E).",
        "  extension has 3; dropped for want of it: 2 (D, E).",
        "  prices has 3; dropped for want of it: 2 (A, D).",
    ]
    assert report.missing_from("prices") == ["A", "D"]
    assert report.dropped["E"] == ("accounts", "extension")
    assert report.sizes == {"accounts": 4, "extension": 3, "prices": 3}


def test_report_shows_the_first_few():
    dropped = {f"T{i}": ("prices",) for i in range(9)}
    text = repr(MergeReport({"prices": 0}, (), dropped))
    assert "dropped for want of it: 9 (T0, T1, T2, T3, T4 and 4 more)." in text


def test_polars_frames_give_the_same_as_pandas():
    tables = (ACCOUNTS, EXTENSION.reset_index(names="ticker"), PRICES.reset_index())
    expected, _ = merge_tables(*tables)
    frame, report = merge_tables(*(pl.DataFrame(t.to_dict("list")) for t in tables))
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == ["ticker", "cap", "sales", "vol"]
    assert frame.rows() == list(expected.itertuples(name=None))
    assert list(report.sizes) == ["table 1", "table 2", "table 3"]


def test_the_first_table_decides_where_both_libraries_are_mixed():
    prices = pl.DataFrame({"ticker": ["C", "B"], "vol": [0.3, 0.2]})
    frame, _ = merge_tables(ACCOUNTS, prices)
    assert frame.loc["B", "vol"] == 0.2
    frame, _ = merge_tables(prices, EXTENSION)
    assert frame.rows() == [("C", 0.3, 30.0), ("B", 0.2, 20.0)]


def test_types_of_columns_are_kept():
    sectors = pd.DataFrame(
        {"sector": pd.Categorical(["x", "y"]), "n": [1, 2], "ok": [True, False]}, index=["A", "B"]
    )
    frame, _ = merge_tables(ACCOUNTS, sectors)
    assert isinstance(frame["sector"].dtype, pd.CategoricalDtype)
    assert frame["n"].dtype == np.int64
    assert frame["ok"].dtype == bool


def test_another_column_may_name_the_asset():
    left = pd.DataFrame({"permno": [10001, 10002], "a": [1.0, 2.0]})
    right = pd.DataFrame({"permno": [10002, 10003], "b": [5.0, 6.0]})
    frame, report = merge_tables(left, right, on="permno")
    assert frame.to_dict("index") == {10002: {"a": 2.0, "b": 5.0}}
    assert "(10001)" in repr(report)


def test_duplicate_tickers_are_refused_by_name():
    doubled = pd.concat([ACCOUNTS, ACCOUNTS.iloc[[1, 2]]])
    message = "Each 'ticker' must appear once in accounts; got 2 repeated: 'A', 'B'."
    with pytest.raises(ValueError, match=re.escape(message)):
        merge_tables(accounts=doubled, prices=PRICES)


def test_overlapping_columns_are_refused_or_suffixed():
    again = pd.DataFrame({"cap": [9.0], "x": [0.0]}, index=["A"])
    message = "A column must be in one table only; got 'cap' in accounts and later."
    with pytest.raises(ValueError, match=re.escape(message)):
        merge_tables(accounts=ACCOUNTS, later=again)
    frame, _ = merge_tables(accounts=ACCOUNTS, later=again, overlap="suffix")
    assert frame.loc["A"].to_dict() == {"cap_accounts": 1.0, "cap_later": 9.0, "x": 0.0}
    with pytest.raises(ValueError, match="`overlap` must be 'raise' or 'suffix'; got 'drop'"):
        merge_tables(ACCOUNTS, again, overlap="drop")


def test_a_name_made_by_a_suffix_never_replaces_a_column():
    a = pd.DataFrame({"x": [1.0], "x_b": [10.0]}, index=["A"])
    b = pd.DataFrame({"x": [3.0]}, index=["A"])
    message = (
        "Columns must have different names when overlap='suffix' has been applied; got 'x_b' more "
        "than once. Rename a column, or give the tables other names."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        merge_tables(a=a, b=b, overlap="suffix")
    with pytest.raises(ValueError, match="got 'x_b' more than once"):
        merge_tables(a=a.drop(columns="x_b"), b=b.assign(y=0.0), on="x_b", overlap="suffix")


@pytest.mark.parametrize("overlap", ["raise", "suffix"])
def test_a_name_twice_in_one_table_is_an_error_of_that_table(overlap):
    twice = pd.DataFrame([[1.0, 2.0]], index=["A"], columns=["x", "x"])
    message = "Each column must appear once in a; got more than one 'x'. Drop or rename the others."
    with pytest.raises(ValueError, match=re.escape(message)):
        merge_tables(a=twice, overlap=overlap)


def test_row_numbers_are_no_tickers_even_after_a_filter():
    a = pd.DataFrame({"cap": [3.0, 1.0, 2.0, 2.0]})
    b = pd.DataFrame({"vol": [0.3, 0.1, 0.2, 0.3]})
    message = (
        "a must have 'ticker' as a column or as its index; got the columns 'cap', and integers "
        "without a name as its index: rename_axis('ticker') if that is it."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        merge_tables(a=a[a["cap"] > 1.5], b=b[b["vol"] < 0.25])
    # Integers that are tickers are called so.
    named = [table.rename_axis("ticker") for table in (a[a["cap"] > 1.5], b[b["vol"] < 0.25])]
    assert list(merge_tables(*named)[0].index) == [2]
    with pytest.raises(ValueError, match="got the columns 'cap'. Say which column it is by `on=`"):
        merge_tables(a=a)


def test_an_index_of_another_name_is_named():
    a = pd.DataFrame({"cap": [3.0]}, index=pd.Index(["A"], name="Ticker"))
    message = (
        "got the columns 'cap'; its index is called 'Ticker': rename_axis('ticker') if that is it."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        merge_tables(a=a)


def test_tickers_missing_or_nowhere_to_be_found_are_refused():
    with pytest.raises(ValueError, match="must have 'ticker' as a column or as its index"):
        merge_tables(ACCOUNTS.rename(columns={"ticker": "symbol"}))
    with pytest.raises(ValueError, match="got the columns 'cap'"):
        merge_tables(pl.DataFrame({"cap": [1.0]}))
    gappy = ACCOUNTS.assign(ticker=["C", None, "B", None])
    with pytest.raises(ValueError, match="got 2 missing, in rows 1, 3. Drop those rows"):
        merge_tables(gappy)


def test_no_ticker_in_common_shows_how_each_table_writes_them():
    other = pd.DataFrame({"x": [1.0]}, index=["A.N"])
    message = "got none: table 1 has 'C', 'A', 'B' and 1 more; table 2 has 'A.N'."
    with pytest.raises(ValueError, match=re.escape(message)):
        merge_tables(ACCOUNTS, other)


def test_what_is_not_a_table_is_refused():
    with pytest.raises(TypeError, match="table 1 must be a pandas or polars DataFrame; got dict"):
        merge_tables({"ticker": ["A"]})
    with pytest.raises(ValueError, match="at least one table; got none"):
        merge_tables()
