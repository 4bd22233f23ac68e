"""Dates of factors and returns: what counts as the same date, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfactor.linear_model import FamaFrenchRegressor
from skfactor.linear_model._alignment import align
from skfactor.panel._calendar import dates_of

N = 60
MONTHS = pd.period_range("2010-01", periods=N, freq="M")


def make_data(seed=0):
    rng = np.random.default_rng(seed)
    factors = pd.DataFrame(rng.normal(0, 0.04, (N, 2)), MONTHS, ["a", "b"])
    returns = pd.DataFrame(
        factors.to_numpy() @ rng.normal(1, 0.3, (2, 3)) + rng.normal(0, 0.03, (N, 3)), MONTHS
    )
    return factors, returns


MONTHLY = {
    "period": MONTHS,
    "month end": MONTHS.to_timestamp(how="end").normalize(),
    "business month end": pd.date_range("2010-01-01", periods=N, freq="BME"),
    "month start": MONTHS.to_timestamp(),
    "yyyymm": MONTHS.year * 100 + MONTHS.month,
    "yyyymmdd": MONTHS.year * 10_000 + MONTHS.month * 100 + 28,
    "text": MONTHS.to_timestamp(how="end").strftime("%Y-%m-%d"),
    "with a time zone": MONTHS.to_timestamp(how="end").normalize().tz_localize("US/Eastern"),
    "dates": pd.Index([stamp.date() for stamp in MONTHS.to_timestamp(how="end")]),
}


@pytest.mark.parametrize("theirs", MONTHLY)
@pytest.mark.parametrize("ours", MONTHLY)
def test_dates_of_one_month_are_one_date(ours, theirs):
    factors, returns = make_data()
    expected = FamaFrenchRegressor().fit(factors.to_numpy(), returns.to_numpy())
    X = factors.set_axis(pd.Index(MONTHLY[ours]))
    y = returns.set_axis(pd.Index(MONTHLY[theirs])).sample(frac=1, random_state=0)
    model = FamaFrenchRegressor().fit(X, y)
    assert_allclose(model.coef_, expected.coef_, rtol=1e-10)


def test_dates_without_a_row_of_returns_are_gaps():
    factors, returns = make_data()
    options = {"cov_type": "HAC", "maxlags": 3}
    gapped = returns.copy()
    gapped.iloc[20:24] = np.nan
    expected = FamaFrenchRegressor(**options).fit(factors, gapped)
    model = FamaFrenchRegressor(**options).fit(factors, gapped.dropna())
    assert_allclose(model.bse_, expected.bse_, rtol=1e-10)
    closed = FamaFrenchRegressor(**options, gaps="closed").fit(factors, gapped.dropna())
    assert not np.allclose(closed.bse_, model.bse_)


def test_factors_may_reach_further_than_returns():
    factors, returns = make_data()
    expected = FamaFrenchRegressor(cov_type="HAC").fit(factors[10:50], returns[10:50])
    model = FamaFrenchRegressor(cov_type="HAC").fit(factors, returns[10:50])
    assert_allclose(model.bse_, expected.bse_, rtol=1e-10)
    alignment = align(factors, returns[10:50], N, 40)
    assert_array_equal(alignment.factor_rows, np.arange(10, 50))


def test_returns_outside_the_dates_of_the_factors_are_left_out_with_a_warning():
    factors, returns = make_data()
    expected = FamaFrenchRegressor().fit(factors[5:45], returns[5:45])
    message = (
        "20 of 60 dates of y are left out, 2010-01, 2010-02, 2010-03, ...: X goes from 2010-06"
    )
    with pytest.warns(UserWarning, match=message):
        model = FamaFrenchRegressor().fit(factors[5:45], returns)
    assert_allclose(model.coef_, expected.coef_, rtol=1e-12)
    with pytest.warns(UserWarning, match="20 of 60 dates of y are left out"):
        assert_allclose(model.score(factors[5:45], returns), model.rsquared_.mean())


def test_returns_between_the_dates_of_the_factors_are_refused():
    factors, returns = make_data()
    message = (
        "must be in X; got 2 of 60 that are not: 2010-08, 2010-09. X goes from 2010-01 to 2014"
    )
    with pytest.raises(ValueError, match=message):
        FamaFrenchRegressor().fit(factors.drop(factors.index[7:9]), returns)
    with pytest.raises(ValueError, match="got 30 of 30 that are not: 2012-07"):
        FamaFrenchRegressor().fit(factors[:30], returns[30:])


def test_rows_come_in_the_order_of_time():
    factors, returns = make_data()
    expected = FamaFrenchRegressor(cov_type="HAC").fit(factors, returns)
    order = np.random.default_rng(0).permutation(N)
    for y in (returns.iloc[order], returns.to_numpy()[order]):
        model = FamaFrenchRegressor(cov_type="HAC").fit(factors.iloc[order], y)
        assert_allclose(model.bse_, expected.bse_, rtol=1e-10)


def test_without_dates_on_both_sides_row_belongs_to_row():
    factors, returns = make_data()
    expected = FamaFrenchRegressor().fit(factors, returns)
    for X, y in (
        (factors.to_numpy(), returns),
        (factors, returns.to_numpy()),
        (factors.reset_index(drop=True), returns.set_axis(range(5, 5 + N))),
    ):
        assert_allclose(FamaFrenchRegressor().fit(X, y).coef_, expected.coef_, rtol=1e-12)
    with pytest.raises(ValueError, match="must have the same rows; got 60 in X and 59 in y"):
        FamaFrenchRegressor().fit(factors.to_numpy(), returns[1:])


def test_days_are_matched_by_day_and_instants_by_instant():
    days = pd.bdate_range("2020-01-01", periods=N)
    factors, returns = make_data()
    expected = FamaFrenchRegressor().fit(factors, returns)
    for ours, theirs in (
        (days, days + pd.Timedelta(hours=16)),
        (days, days.to_period("D")),
        (days, pd.Index(days.strftime("%Y%m%d").astype(int))),
        (days + pd.Timedelta(hours=9), days.tz_localize("UTC")),
    ):
        model = FamaFrenchRegressor().fit(factors.set_axis(ours), returns.set_axis(theirs))
        assert_allclose(model.coef_, expected.coef_, rtol=1e-12)
    hours = pd.date_range("2020-01-01", periods=N, freq="h")
    model = FamaFrenchRegressor().fit(factors.set_axis(hours), returns.set_axis(hours))
    assert_allclose(model.coef_, expected.coef_, rtol=1e-12)
    shifted = hours + pd.Timedelta(minutes=30)
    with pytest.raises(ValueError, match="got 59 of 60 that are not: 2020-01-01 00:30:00"):
        FamaFrenchRegressor().fit(factors.set_axis(hours), returns.set_axis(shifted))


def test_repeated_dates_and_two_frequencies_are_refused():
    factors, returns = make_data()
    twice = returns.set_axis(MONTHS[[0, 0, *range(2, N)]])
    with pytest.raises(ValueError, match="once in the index of y; got 1 repeated: 2010-01."):
        FamaFrenchRegressor().fit(factors, twice)
    with pytest.raises(ValueError, match="once in the index of X; got 1 repeated"):
        FamaFrenchRegressor().fit(factors.set_axis(twice.index), returns.to_numpy())
    days = pd.bdate_range("2010-01-01", periods=N)
    with pytest.raises(ValueError, match="one frequency; got periods of frequency M in X and dat"):
        FamaFrenchRegressor().fit(factors, returns.set_axis(days))


def test_labels_that_are_no_dates_are_left_alone():
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    assert dates_of(frame) is None
    assert dates_of(frame.set_axis(["AAPL", "MSFT"])) is None
    assert dates_of(frame.set_axis([7, 8])) is None
    assert dates_of(frame.set_axis([202013, 202014])) is None
    assert dates_of(frame.set_axis(["2020-99", "2020-98"])) is None
    assert dates_of(np.ones(3)) is None
    assert list(dates_of(frame.set_axis([202001, 202002]))) == [202001, 202002]
