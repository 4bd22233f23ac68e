"""Characteristics from filings, joined as of the date they were known."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.portfolios import fundamental_characteristics, join_asof
from skfactor.portfolios._filing_ratios import ITEMS, RATIOS, VALUATIONS

DATES = pd.date_range("2019-01-31", "2021-12-31", freq="ME")


@pytest.fixture(scope="module")
def filings():
    rng = np.random.default_rng(0)
    ends = pd.date_range("2016-03-31", "2021-09-30", freq="QE")
    rows = []
    for firm in ("A", "B"):
        for end in ends:
            rows.append({"ticker": firm, "date": end, **dict.fromkeys(ITEMS, 0.0)})
    frame = pd.DataFrame(rows)
    frame[ITEMS] = rng.lognormal(3, 0.4, (len(frame), len(ITEMS)))
    frame["eps"] = rng.normal(1, 0.5, len(frame))
    return frame


@pytest.fixture(scope="module")
def worth(filings):
    index = pd.MultiIndex.from_product([DATES, ["A", "B"]], names=["date", "asset"])
    return pd.Series(np.random.default_rng(1).lognormal(6, 0.3, len(index)), index)


@pytest.fixture(scope="module")
def table(filings, worth):
    return fundamental_characteristics(filings, DATES, market_cap=worth, lag="4 months")


def _history(filings, firm, known):
    own = filings[
        (filings["ticker"] == firm) & (filings["date"] + pd.DateOffset(months=4) <= known)
    ]
    return own.sort_values("date").set_index("date")[ITEMS]


@pytest.mark.parametrize(("date", "firm"), [("2020-06-30", "A"), ("2021-11-30", "B")])
def test_ratios_are_those_of_the_last_filing_known(filings, worth, table, date, firm):
    date = pd.Timestamp(date)
    known = date - pd.offsets.MonthEnd(1)
    own = _history(filings, firm, known)
    row = table.loc[(date, firm)]
    assert row["fiscal_end"] == own.index[-1]
    year, before = own.iloc[-4:].sum(), own.iloc[-8:-4].sum()
    now, past = own.iloc[-1], own.iloc[-5]
    mean = (now + past) / 2
    change = (own["eps"] - own["eps"].shift(4)).iloc[-8:]
    value = worth.loc[(date, firm)]
    expected = {
        "earnings_surprise": change.iloc[-1] / change.std(),
        "return_on_equity": year["net_income"] / mean["total_equity"],
        "gross_profitability": (year["sales"] - year["cost_of_goods_sold"]) / mean["total_assets"],
        "accruals": (year["net_income"] - year["operating_cash_flow"]) / mean["total_assets"],
        "leverage": now["total_liabilities"] / now["total_assets"],
        "quick_ratio": (now["current_assets"] - now["inventory"]) / now["current_liabilities"],
        "asset_growth": now["total_assets"] / past["total_assets"] - 1,
        "sales_growth": year["sales"] / before["sales"] - 1,
        "earnings_change": (year["net_income"] - before["net_income"]) / mean["total_assets"],
        "inventory_change": (now["inventory"] - past["inventory"]) / mean["total_assets"],
        "research_to_sales": year["research_and_development"] / year["sales"],
        "payout": year["dividends"] / year["net_income"],
        "book_value_per_share": now["total_equity"] / now["shares"],
        "book_to_market": now["total_equity"] / value,
        "dividend_yield": year["dividends"] / value,
        "earnings_to_price": year["net_income"] / value,
    }
    for name, number in expected.items():
        assert row[name] == pytest.approx(number, rel=1e-9), name


def test_all_characteristics_come_out(table):
    assert list(table.columns) == [*RATIOS, *VALUATIONS, "fiscal_end"]
    assert len(table.columns) - 1 == 35
    assert table.loc["2021-01-31":].notna().all(axis=None)


def test_later_filings_change_nothing_before_they_are_known(filings, worth, table):
    changed = filings.copy()
    late = changed["date"] >= "2020-06-30"  # known at the end of October
    changed.loc[late, ITEMS] *= 5
    found = fundamental_characteristics(changed, DATES, market_cap=worth, lag="4 months")
    early = table.index.get_level_values("date") <= "2020-10-31"
    pd.testing.assert_frame_equal(found[early], table[early])
    after = table.index.get_level_values("date") == "2020-11-30"
    assert not np.allclose(found.loc[after, "book_to_market"], table.loc[after, "book_to_market"])


def test_firms_do_not_borrow_each_other_s_history(filings, table):
    alone = fundamental_characteristics(filings[filings["ticker"] == "B"], DATES, lag="4 months")
    both = table.xs("B", level="asset", drop_level=False)
    pd.testing.assert_frame_equal(alone.drop(columns="fiscal_end"), both[list(RATIOS)])


def test_after_a_gap_what_needs_a_year_is_missing(filings):
    gappy = filings[~((filings["ticker"] == "A") & (filings["date"] == "2019-12-31"))]
    row = fundamental_characteristics(gappy, DATES, lag="4 months").loc[("2020-10-31", "A")]
    assert np.isnan(row["return_on_equity"])
    assert np.isfinite(row["asset_growth"])
    assert np.isfinite(row["leverage"])


def test_old_filings_are_let_go(filings):
    short = filings[filings["date"] <= "2018-12-31"]
    found = fundamental_characteristics(short, DATES, lag="4 months", max_age="18 months")
    a = found.xs("A", level="asset")
    assert a.loc["2020-06-30":"2020-06-30", "leverage"].notna().all()
    assert a.loc["2020-09-30":, "leverage"].isna().all()


def test_publication_dates_decide_where_they_are_given(filings):
    told = filings.assign(filed=filings["date"] + pd.Timedelta(days=20))
    found = fundamental_characteristics(told, DATES, published="filed")
    same = fundamental_characteristics(filings, DATES, lag=20)
    pd.testing.assert_frame_equal(found, same)


def test_yearly_filings_are_taken(filings):
    yearly = filings[filings["date"].dt.month == 12]
    found = fundamental_characteristics(yearly, DATES, lag="6 months", filings_per_year=1)
    row = found.loc[("2021-08-31", "A")]
    own = yearly[yearly["ticker"] == "A"].set_index("date").loc["2020-12-31"]
    assert row["profit_margin"] == pytest.approx(own["net_income"] / own["sales"])


def test_divisors_that_are_not_positive_give_nothing(filings):
    broke = filings.assign(total_equity=-1.0)
    found = fundamental_characteristics(broke, DATES, lag="4 months")
    assert found["return_on_equity"].isna().all()
    assert found["leverage"].notna().any()


def test_only_what_the_items_allow_comes_out(filings):
    some = filings[["ticker", "date", "total_liabilities", "total_assets"]]
    found = fundamental_characteristics(some, DATES, lag="4 months")
    assert list(found.columns) == ["leverage", "asset_growth", "fiscal_end"]


def test_an_index_and_polars_say_the_same(filings, table):
    expected = table[[*RATIOS, "fiscal_end"]]
    indexed = filings.set_index(["date", "ticker"])
    found = fundamental_characteristics(indexed, DATES, lag="4 months")
    pd.testing.assert_frame_equal(found, expected)
    found = fundamental_characteristics(pl.from_pandas(filings), DATES, lag="4 months")
    pd.testing.assert_frame_equal(found, expected, check_index_type=False, check_dtype=False)


def test_rows_wanted_keep_their_order(filings, table):
    wanted = table.index[::-3]
    found = fundamental_characteristics(filings, wanted, lag="4 months")
    assert found.index.equals(wanted)


def test_the_join_is_that_of_join_asof(filings, table):
    joined = join_asof(filings[["ticker", "date", "cash", "total_assets"]], DATES, lag="4 months")
    np.testing.assert_allclose(table["cash_to_assets"], joined["cash"] / joined["total_assets"])


def test_bad_filings_are_refused(filings, worth):
    with pytest.raises(ValueError, match="Each firm must have one filing a fiscal period; got 1"):
        fundamental_characteristics(pd.concat([filings, filings.iloc[:1]]), DATES, lag=90)
    with pytest.raises(ValueError, match="`filings` must have items that characteristics are made"):
        fundamental_characteristics(filings[["ticker", "date"]], DATES, lag=90)
    with pytest.raises(ValueError, match="`lag` or `published` must say"):
        fundamental_characteristics(filings, DATES)
    with pytest.raises(TypeError, match="`filings` must be a pandas or polars DataFrame"):
        fundamental_characteristics(filings.to_numpy(), DATES, lag=90)
    with pytest.raises(TypeError, match="`market_cap` must be a pandas Series"):
        fundamental_characteristics(filings, DATES, lag=90, market_cap=worth.to_numpy())
