"""Accounts stand only where they were known."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.portfolios import join_asof


def _filings(n_firms=6, n_years=5, seed=0):
    rng = np.random.default_rng(seed)
    ends = pd.to_datetime([f"{2015 + k}-12-31" for k in range(n_years)])
    index = pd.MultiIndex.from_product([ends, [f"F{i}" for i in range(n_firms)]])
    table = pd.DataFrame({"sales": rng.normal(size=len(index))}, index)
    table.index.names = ["date", "ticker"]
    days = pd.to_timedelta(rng.integers(30, 400, len(table)), unit="D")
    table["filed"] = table.index.get_level_values(0) + days
    table = table[rng.random(len(table)) < 0.8].reset_index()
    return table.sample(frac=1.0, random_state=seed)


DATES = pd.date_range("2016-01-31", periods=60, freq="ME")


def _slow(filings, dates, firms, known, periods, max_age):
    rows, records = {}, filings.to_dict("records")
    for k, day in enumerate(dates):
        at = dates[k - periods] if k >= periods else None
        if at is None and k == periods - 1:
            at = dates[0] - pd.Timedelta(days=31)
        for firm in firms:
            best = None
            for row in records:
                if row["ticker"] != firm or at is None or known(row) > at:
                    continue
                if best is None or row["date"] > best["date"]:
                    best = row
            if best is not None and max_age is not None and best["date"] < at - max_age:
                best = None
            rows[day, firm] = np.nan if best is None else best["sales"]
    return pd.Series(rows)


@pytest.mark.parametrize("periods", [0, 1, 2])
@pytest.mark.parametrize("max_age", [None, pd.DateOffset(months=14)])
@pytest.mark.parametrize("how", ["lag", "published", "both"])
def test_join_equals_a_slow_loop(periods, max_age, how):
    filings = _filings()
    months = pd.DateOffset(months=4)
    known = {
        "lag": lambda row: row["date"] + months,
        "published": lambda row: row["filed"],
        "both": lambda row: row["filed"] + months,
    }[how]
    arguments = {
        "lag": {"lag": "4 months"},
        "published": {"published": "filed"},
        "both": {"published": "filed", "lag": months},
    }[how]
    found = join_asof(filings, DATES, periods=periods, max_age=max_age, **arguments)
    firms = sorted(filings["ticker"].unique())
    expected = _slow(filings, DATES, firms, known, periods, max_age)
    np.testing.assert_array_equal(found["sales"].to_numpy(), expected.to_numpy())
    assert found.index.names == ["date", "asset"]
    assert expected.notna().sum() > 50


def test_rows_come_back_in_the_order_asked_for():
    filings = _filings()
    wanted = pd.MultiIndex.from_product([["F3", "F0", "unknown"], DATES[::-1]])
    wanted.names = ["firm", "month"]
    found = join_asof(filings, wanted, lag=90)
    assert found.index.equals(wanted)
    by_date = join_asof(filings, DATES, lag=90)["sales"]
    for firm in ("F3", "F0"):
        expected = by_date.xs(firm, level="asset").reindex(DATES[::-1])
        np.testing.assert_array_equal(found["sales"].loc[firm].to_numpy(), expected.to_numpy())
    assert found.loc["unknown"].isna().all().all()


def test_later_filings_change_nothing_before_they_are_known():
    filings = _filings()
    late = filings["filed"] > "2018-06-30"
    changed = filings.assign(sales=filings["sales"].mask(late, 99.0))
    before = join_asof(filings, DATES, published="filed")["sales"]
    after = join_asof(changed, DATES, published="filed")["sales"]
    cut = before.index.get_level_values("date") <= "2018-07-31"
    pd.testing.assert_series_equal(before[cut], after[cut])
    assert (after[~cut] == 99.0).any()


def test_an_amendment_replaces_its_year_but_not_a_later_one():
    filings = pd.DataFrame(
        {
            "ticker": "A",
            "date": pd.to_datetime(["2019-12-31", "2019-12-31", "2020-12-31", "2019-12-31"]),
            "filed": pd.to_datetime(["2020-03-01", "2020-05-01", "2021-03-01", "2021-05-01"]),
            "sales": [1.0, 1.5, 2.0, 1.7],
        }
    )
    dates = pd.to_datetime(["2020-03-31", "2020-05-31", "2021-03-31", "2021-05-31"])
    found = join_asof(filings, dates, published="filed", periods=0)
    assert found["sales"].to_list() == [1.0, 1.5, 2.0, 2.0]
    assert found["fiscal_end"].dt.year.to_list() == [2019, 2019, 2020, 2020]


def test_what_is_published_on_the_date_before_is_known_and_a_day_later_is_not():
    filings = pd.DataFrame({"ticker": ["A", "B"], "date": pd.to_datetime(["2019-12-31"] * 2)})
    filings["filed"] = pd.to_datetime(["2020-02-29", "2020-03-01"])
    filings["sales"] = [1.0, 2.0]
    dates = pd.to_datetime(["2020-02-29", "2020-03-31", "2020-04-30"])
    found = join_asof(filings, dates, published="filed")["sales"].unstack()
    assert found.notna().to_numpy().tolist() == [[False, False], [True, False], [True, True]]


def test_missing_values_of_a_filing_and_missing_publication_dates_stay_missing():
    filings = pd.DataFrame(
        {
            "ticker": "A",
            "date": pd.to_datetime(["2018-12-31", "2019-12-31", "2020-12-31"]),
            "filed": pd.to_datetime(["2019-03-01", "2020-03-01", None]),
            "sales": [1.0, np.nan, 3.0],
        }
    )
    found = join_asof(filings, ["2019-12-31", "2020-12-31", "2021-12-31"], published="filed")
    assert found["sales"].isna().to_list() == [True, False, True]
    assert found["sales"].iloc[1] == 1.0


def test_polars_and_indexed_filings_give_the_same():
    filings = _filings()
    expected = join_asof(filings, DATES, published="filed")
    indexed = join_asof(filings.set_index(["ticker", "date"]), DATES, published="filed")
    pd.testing.assert_frame_equal(indexed, expected)
    polars = join_asof(pl.from_pandas(filings), DATES, published="filed")
    pd.testing.assert_frame_equal(polars, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`lag` or `published` must say when filings become known; got neither."),
        ({"lag": -5}, "`lag` must be a span of time that is not negative"),
        ({"lag": "soon"}, "`lag` must be a span of time that is not negative"),
        ({"lag": 5, "periods": -1}, "`periods` must be an int of at least 0; got -1."),
        ({"published": "when"}, "`published` must name a column of `filings`; got 'when'"),
        ({"lag": 5, "date": "end"}, "`filings` must have its dates as the column 'end'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        join_asof(_filings(), DATES, **arguments)


def test_bad_filings_are_refused():
    filings = _filings()
    with pytest.raises(TypeError, match="`filings` must be a pandas or polars DataFrame"):
        join_asof(filings.to_numpy(), DATES, lag=5)
    with pytest.raises(ValueError, match="A firm must file a fiscal period once a date; got 1"):
        join_asof(pd.concat([filings, filings.iloc[:1]]), DATES, lag=5)
    early = filings.assign(filed=pd.Timestamp("2010-01-01"))
    with pytest.raises(ValueError, match="must be published after its fiscal period ends"):
        join_asof(early, DATES, published="filed")
    with pytest.raises(ValueError, match="Dates must be datetimes or periods"):
        join_asof(filings, [201601, 201602], lag=5)
