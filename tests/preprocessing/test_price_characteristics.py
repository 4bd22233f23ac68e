"""Characteristics from prices and volumes, and daily returns to monthly ones."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.preprocessing import monthly_returns, price_characteristics


@pytest.fixture(scope="module")
def market():
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2018-01-01", "2021-09-30")
    steps = rng.normal(0.0004, 0.015, (len(days), 4))
    names = ["A", "B", "C", "D"]
    prices = pd.DataFrame(20 * np.exp(steps.cumsum(axis=0)), days, names)
    prices.loc[:"2019-06-14", "C"] = np.nan  # listed late
    prices.loc["2021-03-11":, "D"] = np.nan  # delisted
    prices.iloc[200:203, 1] = np.nan
    volumes = pd.DataFrame(rng.lognormal(10, 1, prices.shape).round(), days, names)
    volumes.iloc[::9, 0] = 0.0
    shares = pd.DataFrame(1e6 * np.arange(1, 5) * np.ones(prices.shape), days, names)
    return prices, volumes, shares


@pytest.fixture(scope="module")
def table(market):
    prices, volumes, shares = market
    return price_characteristics(prices, volumes, shares=shares)


def _month(frame, end):
    return frame[frame.index.to_period("M") == pd.Period(end, "M")]


def _reference(prices, volumes, shares, end, name):
    """Characteristics known at a month end, one stock and one loop at a time."""
    price = prices[name]
    closes = price.groupby(price.index.to_period("M")).last()
    m = pd.Period(end, "M")
    p = lambda back: closes.get(m - back, np.nan)  # noqa: E731
    daily = prices / prices.shift(1) - 1
    own = _month(daily[name], end).dropna()
    out = {
        "reversal_1m": p(0) / p(1) - 1,
        "momentum_6m": p(1) / p(6) - 1,
        "momentum_12m": p(1) / p(12) - 1,
        "momentum_change": p(1) / p(6) - p(7) / p(12),
        "reversal_36m": p(12) / p(36) - 1,
        "seasonality": p(11) / p(12) - 1,
        "volatility": own.std(),
        "max_return": own.max(),
    }
    recent = daily.index.to_period("M")
    year = daily[(recent > m - 12) & (recent <= m)]
    out["high_12m"] = p(0) / prices[name][year.index].max()
    both = pd.DataFrame({"y": year[name], "x": year.mean(axis=1)}).dropna()
    slope, level = np.polyfit(both["x"], both["y"], 1)
    left = both["y"] - slope * both["x"] - level
    out |= {
        "beta": slope,
        "beta_squared": slope**2,
        "idiosyncratic_volatility": np.sqrt((left**2).sum() / (len(left) - 2)),
    }
    quarter = daily.loc[(recent > m - 3) & (recent <= m), name].dropna()
    deviation = quarter - quarter.mean()
    out["skewness"] = (deviation**3).mean() / (deviation**2).mean() ** 1.5
    value = _month(price * volumes[name], end)
    out |= {
        "dollar_volume": np.log(value.mean()),
        "dollar_volume_volatility": np.log1p(value).std(),
        "illiquidity": (_month(daily[name], end).abs() / (value[value > 0] / 1e6)).mean(),
        "zero_trading": (_month(volumes[name], end) == 0).mean(),
        "turnover": (_month(volumes[name], end) / _month(shares[name], end)).mean(),
        "size": np.log(p(0) * _month(shares[name], end).iloc[-1]),
    }
    return out


@pytest.mark.parametrize(("end", "name"), [("2021-02", "A"), ("2021-08", "B"), ("2021-02", "D")])
def test_each_characteristic_is_what_its_definition_says(market, table, end, name):
    date = pd.Period(end, "M").to_timestamp() + pd.offsets.MonthEnd(2)
    row = table.loc[(date, name)]
    expected = _reference(*market, end, name)
    assert set(expected) == set(table.columns)
    for characteristic, value in expected.items():
        assert row[characteristic] == pytest.approx(value, rel=1e-9, abs=1e-12), characteristic


def test_a_row_stands_beside_the_return_that_follows(market, table):
    returns = monthly_returns(market[0])
    date, before = pd.Timestamp("2020-05-31"), pd.Timestamp("2020-04-30")
    assert table.loc[(date, "A"), "reversal_1m"] == pytest.approx(returns.loc[(before, "A")])
    assert table.index.get_level_values("date").max() == pd.Timestamp("2021-10-31")
    assert returns.index.get_level_values("date").max() == pd.Timestamp("2021-09-30")


def test_the_future_changes_nothing_before_it(market, table):
    changed = []
    for frame in market:
        later = frame.copy()
        later.loc["2020-07-01":] *= 3.7
        later.loc["2020-07-15", "A"] = np.nan
        changed.append(later)
    found = price_characteristics(changed[0], changed[1], shares=changed[2])
    early = table.index.get_level_values("date") <= "2020-07-31"
    pd.testing.assert_frame_equal(found.loc[table.index[early]], table[early])
    months = monthly_returns(changed[0])
    known = monthly_returns(market[0])
    early = known.index.get_level_values("date") <= "2020-06-30"
    pd.testing.assert_series_equal(months.loc[known.index[early]], known[early])


def test_stocks_have_rows_while_they_are_listed(table):
    dates = {name: rows.index.get_level_values("date") for name, rows in table.groupby("asset")}
    assert dates["C"].min() == pd.Timestamp("2019-07-31")
    # Its last price is in March, days before the end, so nothing is known for April.
    assert dates["D"].max() == pd.Timestamp("2021-03-31")
    assert table.loc[dates["C"].min()].loc["C", "momentum_12m":"seasonality"].isna().all()


def test_a_price_that_is_a_few_days_old_closes_a_month(market):
    prices = market[0].copy()
    prices.loc["2020-06-26":"2020-06-30", "A"] = np.nan
    june = pd.Timestamp("2020-06-30")
    assert (june, "A") in monthly_returns(prices).index
    assert (june, "A") not in monthly_returns(prices, max_gap=2).index


def test_order_of_days_and_assets_does_not_matter(market, table):
    prices, volumes, shares = (frame.iloc[::-1, ::-1] for frame in market)
    found = price_characteristics(prices, volumes.iloc[:, ::-1], shares=shares)
    pd.testing.assert_frame_equal(found.loc[table.index], table)


def test_polars_tables_are_taken(market, table):
    frames = [pl.from_pandas(frame.reset_index(names="day")) for frame in market]
    found = price_characteristics(frames[0], frames[1], shares=frames[2])
    pd.testing.assert_frame_equal(found, table, check_index_type=False)
    pd.testing.assert_series_equal(monthly_returns(frames[0]), monthly_returns(market[0]))


def test_a_market_index_is_regressed_on(market):
    prices = market[0]
    index = prices["A"].pct_change().fillna(0.0)
    table = price_characteristics(prices, market=index)
    last = table.loc["2021-09-30"]
    assert last.loc["A", "beta"] == pytest.approx(1.0)
    assert last.loc["A", "idiosyncratic_volatility"] == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="`market` must cover every date"):
        price_characteristics(prices, market=index.iloc[5:])


def test_daily_returns_compound_to_what_prices_say(market):
    prices = market[0][["A"]]
    by_price = monthly_returns(prices)
    by_return = monthly_returns(prices.pct_change().iloc[1:], kind="returns")
    np.testing.assert_allclose(by_return.iloc[1:], by_price)


def test_few_daily_returns_make_no_month(market):
    returns = market[0][["A"]].pct_change().iloc[1:]
    returns.loc["2020-02-05":"2020-02-29"] = np.nan
    found = monthly_returns(returns, kind="returns")
    assert pd.Timestamp("2020-02-29") not in found.index.get_level_values("date")
    assert pd.Timestamp("2020-03-31") in found.index.get_level_values("date")


def test_months_without_days_are_gaps(market):
    prices = market[0][["A"]]
    gap = prices[~prices.index.to_period("M").isin([pd.Period("2020-05", "M")])]
    dates = monthly_returns(gap).index.get_level_values("date")
    assert pd.Timestamp("2020-05-31") not in dates
    assert pd.Timestamp("2020-06-30") not in dates
    assert pd.Timestamp("2020-07-31") in dates


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (lambda p: p.to_numpy(), TypeError, "`prices` must be a pandas or polars DataFrame"),
        (lambda p: p.reset_index(drop=True), ValueError, "must hold days"),
        (lambda p: p.assign(A="x"), ValueError, "`prices` must hold numbers; got .*Convert"),
        (lambda p: p.assign(A=np.inf), ValueError, "got infinity for 'A' on 2018-01-01"),
        (
            lambda p: pd.concat([p, p.iloc[:1]]),
            ValueError,
            "Each day of `prices` must appear once; got .* more than once. Drop",
        ),
        (lambda p: p.iloc[:0], ValueError, "must have at least one day"),
    ],
)
def test_bad_prices_are_refused(market, bad, error, message):
    with pytest.raises(error, match=message):
        price_characteristics(bad(market[0]))


def test_bad_volumes_and_parameters_are_refused(market):
    prices, volumes, _ = market
    with pytest.raises(ValueError, match="`volumes` must not be negative"):
        price_characteristics(prices, -volumes)
    with pytest.raises(ValueError, match="`min_obs` must be an int of at least 2"):
        price_characteristics(prices, min_obs=1)
    with pytest.raises(ValueError, match="`kind` must be one of"):
        monthly_returns(prices, kind="logs")
    with pytest.raises(ValueError, match="Daily returns must be at least -1"):
        monthly_returns(-prices, kind="returns")
