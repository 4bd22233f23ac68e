"""Which names are dates, and which are firms."""

import datetime

import numpy as np
import pandas as pd
import pytest

from skfactor.panel._date_labels import date_readings, rows_are_dates

DAYS = pd.bdate_range("2020-01-28", periods=6)
MONTHS = pd.period_range("2019-11", periods=6, freq="M")

WRITTEN = {
    "datetimes": DAYS,
    "datetimes as objects": DAYS.astype(object),
    "datetimes with a time zone": DAYS.tz_localize("UTC"),
    "periods": DAYS.to_period("D"),
    "periods as objects": DAYS.to_period("D").astype(object),
    "datetime.date": pd.Index(list(DAYS.date)),
    "categories": pd.CategoricalIndex(DAYS.strftime("%Y-%m-%d")),
    "ISO text": DAYS.strftime("%Y-%m-%d"),
    "ISO text with a time": DAYS.strftime("%Y-%m-%dT%H:%M:%S"),
    "pandas' own text": DAYS.astype(str) + " 00:00:00",
    "slashes": DAYS.strftime("%Y/%m/%d"),
    "dots, year first": DAYS.strftime("%Y.%m.%d"),
    "American": DAYS.strftime("%m/%d/%Y"),
    "German": DAYS.strftime("%d.%m.%Y"),
    "no zeros": pd.Index([f"{day.month}/{day.day}/{day.year}" for day in DAYS]),
    "eight digits as text": DAYS.strftime("%Y%m%d"),
    "eight digits": DAYS.strftime("%Y%m%d").astype(np.int64),
    "eight digits as floats": DAYS.strftime("%Y%m%d").astype(float),
    "months": MONTHS,
    "months as text": MONTHS.strftime("%Y-%m"),
    "months as six digits of text": MONTHS.strftime("%Y%m"),
    "months as six digits": MONTHS.strftime("%Y%m").astype(np.int64),
}


@pytest.mark.parametrize("labels", WRITTEN.values(), ids=WRITTEN)
def test_dates_are_read_in_the_forms_in_which_they_are_written(labels):
    (reading,) = date_readings(labels)
    if isinstance(reading, pd.PeriodIndex):
        reading = reading.to_timestamp()
    truth = DAYS if len(set(reading.day)) > 1 else MONTHS.to_timestamp()
    assert list(reading.tz_localize(None)) == list(truth)
    assert rows_are_dates(labels)
    assert date_readings(labels[::-1])


FIRMS = {
    "tickers": ["A", "MAY", "ON", "T"],
    "months among tickers": ["JAN", "FEB", "MAR"],
    "small numbers": [1, 2, 3],
    "small numbers as text": ["1", "2", "3"],
    "rows without names": pd.RangeIndex(4),
    "PERMNO": [10001, 10107, 14593],
    "PERMNO as text": ["10001", "10107", "14593"],
    "GVKEY": ["001690", "006066", "012141"],
    "GVKEY as numbers": [1690, 6066, 12141],
    "GVKEY in the range of months, one not": [200001, 200013, 200101],
    "GVKEY that do not rise": [200101, 190012, 210003],
    "GVKEY, one row": [200101],
    "GVKEY, two rows": ["200101", "200204"],
    "CIK": ["0000320193", "0000789019"],
    "CIK as numbers": [320193, 789019, 1018724],
    "CUSIP": ["03783310", "59491810"],
    "ISIN": ["US0378331005", "US5949181045"],
    "Tokyo": ["7203", "6758"],
    "Seoul": ["005930", "000660"],
    "Shanghai": [600519, 601318, 600036],
    "digits with separators": ["1234-56", "2020-13"],
    "no such day": ["2020-02-31", "2020-02-28"],
    "no such day in digits": [20200231, 20200228],
    "days back": ["t-2", "t-1", "t-0"],
    "one label that is no date": ["2020-01-01", "AAPL"],
    "a label missing": ["2020-01-01", None],
    "numbers that are not whole": [202001.5, 202002.5],
    "no bound": [np.inf, 202001.0],
    "years": [2018, 2019, 2020],
    "booleans": [False, True],
    "mixed": [datetime.date(2020, 1, 1), "A"],
    "none": [],
    "two levels": pd.MultiIndex.from_product([DAYS, ["A"]]),
}


@pytest.mark.parametrize("labels", FIRMS.values(), ids=FIRMS)
def test_firms_and_numbers_are_no_dates(labels):
    assert not rows_are_dates(pd.Index(labels))


def test_six_digits_of_columns_are_months_in_any_order():
    assert date_readings([202003, 202002])
    assert not date_readings([202013, 202002])


def test_day_and_month_are_read_both_ways_where_both_can_be():
    both = date_readings(["02/03/2020", "01/04/2020"])
    assert [list(reading.strftime("%m-%d")) for reading in both] == [
        ["02-03", "01-04"],
        ["03-02", "04-01"],
    ]
    assert len(date_readings(["01/01/2020", "02/02/2020"])) == 1
    assert not date_readings(["13/13/2020"])


def test_what_is_no_index_holds_no_dates():
    assert not rows_are_dates(None)
    assert not rows_are_dates([].index)
