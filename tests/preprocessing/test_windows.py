import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.preprocessing import CumulativeReturns, rolling_windows


@pytest.fixture
def prices():
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2020-01-01", periods=30, name="day")
    values = 50 * np.cumprod(1 + rng.normal(0, 0.01, (30, 4)), axis=0)
    table = pd.DataFrame(values, index=days, columns=["AAA", "BBB", "CCC", "DDD"])
    table.loc[table.index[:12], "CCC"] = np.nan  # listed late
    table.loc[table.index[17:19], "DDD"] = np.nan  # a gap
    return table


def loop_windows(prices, window, step, max_gap=0):
    """Every window in plain Python, as a dict from (date, ticker) to values."""
    found = {}
    end = len(prices) - 1
    while end - window + 1 >= 0:
        for ticker in prices.columns:
            row, gap = [], 0
            for value in prices[ticker].iloc[end - window + 1 : end + 1]:
                gap = gap + 1 if np.isnan(value) else 0
                if gap > max_gap or (gap and not row):
                    break
                row.append(row[-1] if gap else value)
            if len(row) == window:
                found[prices.index[end], ticker] = row
        end -= step
    return found


@pytest.mark.parametrize(("window", "step"), [(5, 1), (5, 3), (5, 5), (7, 20), (30, 1), (1, 1)])
@pytest.mark.parametrize("max_gap", [0, 1, 2])
def test_windows_agree_with_a_plain_loop(prices, window, step, max_gap):
    cut = rolling_windows(prices, window, step, max_gap=max_gap)
    expected = loop_windows(prices, window, step, max_gap)
    assert set(cut.index) == set(expected)
    for key, row in expected.items():
        np.testing.assert_array_equal(cut.loc[key], row)


def test_rows_are_sorted_by_date_and_named_by_date_and_ticker(prices):
    cut = rolling_windows(prices, 5, 5)
    assert cut.index.names == ["date", "ticker"]
    assert cut.index.get_level_values("date").is_monotonic_increasing
    assert cut.index[-1] == (prices.index[-1], "DDD")
    assert list(cut.columns) == ["t-4", "t-3", "t-2", "t-1", "t-0"]


def test_the_last_window_ends_on_the_last_date(prices):
    np.testing.assert_array_equal(
        rolling_windows(prices, 6, 7).loc[prices.index[-1]], prices.iloc[-6:].T
    )


def test_train_and_test_windows_share_no_date(prices):
    split = prices.index[15]
    train = rolling_windows(prices, 5, 1, end_before=split)
    test = rolling_windows(prices, 5, 1, start_from=str(split.date()))
    assert train.index.get_level_values("date").max() == prices.index[14]
    # The first test window ends four days after its first day, which is the split.
    assert test.index.get_level_values("date").min() == prices.index[19]
    assert test.iloc[0]["t-4"] == prices.loc[split, "AAA"]


def test_nothing_outside_the_bounds_matters(prices):
    changed = prices.copy()
    changed.iloc[20:] *= 3.0
    changed.iloc[:3] = np.nan
    bounds = {"start_from": prices.index[3], "end_before": prices.index[20], "max_gap": 2}
    pd.testing.assert_frame_equal(
        rolling_windows(changed, 5, 2, **bounds), rolling_windows(prices, 5, 2, **bounds)
    )


def test_bounds_between_dates_work(prices):
    saturday = pd.Timestamp("2020-01-18")
    train = rolling_windows(prices, 5, 1, end_before=saturday)
    assert train.index.get_level_values("date").max() == pd.Timestamp("2020-01-17")


def test_polars_and_pandas_with_a_column_of_dates_give_the_same(prices):
    expected = rolling_windows(prices, 5, 4)
    column = prices.rename_axis("day").reset_index()
    pd.testing.assert_frame_equal(rolling_windows(column, 5, 4, date="day"), expected)
    table = pl.from_pandas(column)
    pd.testing.assert_frame_equal(rolling_windows(table, 5, 4, date="day"), expected)


def test_whole_numbers_are_dates(prices):
    numbered = prices.set_axis(np.arange(202001, 202031))
    cut = rolling_windows(numbered, 5, 5, start_from=202011, end_before=202021)
    assert cut.index.get_level_values("date").unique().to_list() == [202015, 202020]


def test_text_is_read_as_a_date_of_the_table(prices):
    expected = rolling_windows(prices, 5, 5, start_from="2020-01-06", end_before="2020-01-20")
    for days in (prices.index.to_period("D"), prices.index.tz_localize("America/New_York")):
        bounds = {"start_from": "2020-01-06", "end_before": "2020-01-20"}
        cut = rolling_windows(prices.set_axis(days), 5, 5, **bounds)
        np.testing.assert_array_equal(cut, expected)


def test_a_bound_must_have_the_time_zone_of_the_table(prices):
    for table, bound in (
        (prices, pd.Timestamp("2020-01-06", tz="UTC")),
        (prices.tz_localize("UTC"), pd.Timestamp("2020-01-06")),
    ):
        with pytest.raises(ValueError, match="must be dates like those of `prices`, such as"):
            rolling_windows(table, 5, start_from=bound)


def test_precision_is_kept_and_integers_become_floats(prices):
    assert (rolling_windows(prices.astype(np.float32), 5).dtypes == np.float32).all()
    whole = pd.DataFrame({"A": [1, 2, 3]}, index=prices.index[:3])
    assert (rolling_windows(whole, 2).dtypes == np.float64).all()


def test_the_rows_are_copies(prices):
    before = prices.copy()
    cut = rolling_windows(prices, 5, max_gap=2)
    cut.iloc[:] = 0.0
    pd.testing.assert_frame_equal(prices, before)


def test_the_windows_feed_cumulative_returns(prices):
    cut = rolling_windows(prices, 8, 3)
    paths = CumulativeReturns().set_output(transform="pandas").fit_transform(cut)
    assert paths.index.equals(cut.index)
    np.testing.assert_allclose(paths.mean(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t, {"window": 31}, "`window` must be at most 30, the number of dates to cut, "),
        (lambda t: t, {"end_before": "2020-01-06"}, "at most 3.*2020-01-01 to 2020-01-03; got 5"),
        (lambda t: t, {"start_from": "2021-01-01"}, "at most 0, the number of dates to cut; got 5"),
        (lambda t: t[::-1], {}, "Dates of `prices` must rise.*2020-02-10 after 2020-02-11"),
        (lambda t: t.iloc[[0, 1, 1, 2]], {}, "2020-01-02 after 2020-01-02.*repeated"),
        (lambda t: t.set_axis(list("ABBC"), axis=1), {}, "several of 'B'. Drop or rename"),
        (lambda t: t.assign(BBB="x"), {}, "must hold numbers, one column a ticker; got 'BBB'"),
        (lambda t: t.assign(BBB=t.index), {}, "must hold numbers, one column a ticker; got 'BBB'"),
        (lambda t: t.assign(BBB=np.inf), {}, "finite or NaN; got infinities in 'BBB'"),
        (lambda t: t.iloc[:, :0], {}, "one column a ticker; got no column"),
        (lambda t: t * np.nan, {}, "No window of 5 days is complete for any ticker"),
        (lambda t: t, {"start_from": 3}, "`start_from` and `end_before` must be dates like"),
        (lambda t: t, {"step": 0}, "step"),
        (
            lambda t: t.reset_index(drop=True),
            {},
            "must have dates as its index, or as the column 'date'; got neither",
        ),
    ],
)
def test_bad_tables_and_bounds_are_refused(prices, change, options, message):
    with pytest.raises(ValueError, match=message):
        rolling_windows(change(prices), **{"window": 5, "step": 1, **options})


def test_arrays_are_refused(prices):
    with pytest.raises(TypeError, match="`prices` must be a pandas or polars DataFrame"):
        rolling_windows(prices.to_numpy())
