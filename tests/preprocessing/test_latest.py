"""latest_values: one row a firm, as known on a date."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.preprocessing import latest_values


def random_history(n_firms=12, n_years=6, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        {
            "ticker": f"F{i:02d}",
            "date": pd.Timestamp(2015 + year, int(rng.integers(1, 13)), 15),
            "sales": rng.normal() if rng.random() < 0.7 else np.nan,
            "debt": rng.normal() if rng.random() < 0.4 else np.nan,
            "sector": rng.choice(["x", "y"]) if rng.random() < 0.8 else None,
        }
        for i in range(n_firms)
        for year in range(n_years)
        if rng.random() < 0.8
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=seed, ignore_index=True)


def reference(history, date, max_age=None):
    """Look up one firm and one column at a time."""
    known = history[history["date"] <= date]
    if max_age is not None:
        known = known[known["date"] >= date - max_age]
    out = {}
    for firm, rows in known.sort_values("date").groupby("ticker"):
        out[firm] = {
            column: (rows[column].dropna().iloc[-1] if rows[column].notna().any() else None)
            for column in ("sales", "debt", "sector")
        }
    return out


def as_dict(frame):
    return frame.astype(object).where(frame.notna(), None).to_dict("index")


@pytest.mark.parametrize("date", ["2015-12-31", "2018-06-30", "2030-01-01"])
@pytest.mark.parametrize("max_age", [None, 400])
def test_equals_a_look_up_firm_by_firm(date, max_age):
    history = random_history()
    if date == "2030-01-01" and max_age is not None:
        date = "2020-12-31"
    got = latest_values(history, date, max_age=max_age)
    age = None if max_age is None else pd.Timedelta(days=max_age)
    assert as_dict(got) == reference(history, pd.Timestamp(date), age)
    assert got.index.name == "ticker"
    assert got.index.is_monotonic_increasing


def test_the_last_date_of_the_history_is_the_default():
    history = random_history()
    pd.testing.assert_frame_equal(
        latest_values(history), latest_values(history, history["date"].max())
    )


def test_later_rows_do_not_matter():
    history = random_history()
    changed = history.copy()
    changed.loc[changed["date"] > "2018-06-30", ["sales", "debt"]] = 1e9
    pd.testing.assert_frame_equal(
        latest_values(changed, "2018-06-30"), latest_values(history, "2018-06-30")
    )


def test_two_level_index_in_either_order_serves_as_well():
    history = random_history()
    expected = latest_values(history, "2018-06-30")
    for levels in (["date", "ticker"], ["ticker", "date"]):
        got = latest_values(history.set_index(levels), "2018-06-30")
        pd.testing.assert_frame_equal(got, expected)


def test_polars_gives_the_same_as_pandas():
    history = random_history()
    frame = pl.DataFrame(
        {
            "ticker": history["ticker"].to_list(),
            "date": history["date"].to_list(),
            "sales": history["sales"].to_numpy(),
            "debt": history["debt"].to_list(),
            "sector": [s if isinstance(s, str) else None for s in history["sector"]],
        }
    )
    got = latest_values(frame, "2018-06-30")
    assert isinstance(got, pl.DataFrame)
    expected = as_dict(latest_values(history, "2018-06-30"))
    assert {row[0]: dict(zip(got.columns[1:], row[1:], strict=True)) for row in got.rows()} == (
        expected
    )


@pytest.mark.parametrize(
    "max_age", [365, "365D", "12 months", pd.Timedelta(days=365), pd.DateOffset(years=1)]
)
def test_age_is_given_in_days_or_as_an_offset(max_age):
    history = pd.DataFrame(
        {
            "ticker": ["A", "A", "B"],
            "date": pd.to_datetime(["2021-06-30", "2022-12-31", "2021-12-30"]),
            "x": [1.0, np.nan, 3.0],
        }
    )
    got = latest_values(history, "2022-12-31", max_age=max_age)
    assert list(got.index) == ["A"]
    assert got["x"].isna().all()


@pytest.mark.parametrize("max_age", [-1, "-3D", "a while", pd.NaT, [1]])
def test_an_age_that_is_no_span_of_time_is_refused(max_age):
    with pytest.raises(ValueError, match="`max_age` must be a span of time that is not negative"):
        latest_values(random_history(), "2018-06-30", max_age=max_age)


def test_the_column_of_dates_and_the_day_have_names_of_their_own():
    history = random_history()
    pd.testing.assert_frame_equal(
        latest_values(history.rename(columns={"date": "day"}), known_on="2018-06-30", date="day"),
        latest_values(history, "2018-06-30"),
    )


def test_periods_and_whole_numbers_are_dates_too():
    history = pd.DataFrame({"ticker": ["A", "A"], "year": [2020, 2021], "x": [1.0, 2.0]})
    assert latest_values(history, 2020, date="year").loc["A", "x"] == 1.0
    history["year"] = pd.PeriodIndex(["2020-01", "2021-01"], freq="M")
    assert latest_values(history, "2020-05", date="year").loc["A", "x"] == 1.0
    with pytest.raises(ValueError, match="`max_age` needs dates that are datetimes; got periods"):
        latest_values(history, date="year", max_age=30)


def test_types_of_columns_are_kept():
    history = random_history().assign(n=1, sector=lambda f: f["sector"].astype("category"))
    got = latest_values(history)
    assert got["n"].dtype == np.int64
    assert isinstance(got["sector"].dtype, pd.CategoricalDtype)


def test_a_repeated_firm_and_date_is_refused():
    history = random_history()
    with pytest.raises(ValueError, match=re.escape("Each (date, asset) pair must appear once")):
        latest_values(pd.concat([history, history.iloc[:1]]))


def test_nothing_known_on_the_date_is_refused():
    history = random_history()
    with pytest.raises(ValueError, match="must have a row dated up to 2001-01-01; got dates from"):
        latest_values(history, "2001-01-01")
    with pytest.raises(ValueError, match="up to 2040-01-01 and no older than 10"):
        latest_values(history, "2040-01-01", max_age=10)
    with pytest.raises(ValueError, match="at least one row; got none"):
        latest_values(history.iloc[:0])


def test_what_cannot_be_found_is_named():
    history = random_history()
    with pytest.raises(ValueError, match="must have its dates as the column 'day'"):
        latest_values(history, date="day")
    with pytest.raises(ValueError, match="must have 'firm' as a column or as its index"):
        latest_values(history, on="firm")
    with pytest.raises(ValueError, match="`known_on` must be of the same kind as the dates"):
        latest_values(history, 2018)
    with pytest.raises(TypeError, match="`history` must be a pandas or polars DataFrame; got list"):
        latest_values([])
