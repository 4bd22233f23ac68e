import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from skfactor.preprocessing import CumulativeReturns, PriceFeatures

KINDS = ["prices", "returns"]
DAYS = pd.bdate_range("2024-01-25", periods=12)


@pytest.fixture(scope="module")
def returns():
    return np.random.default_rng(0).normal(0.001, 0.02, (7, 12))


@pytest.fixture(scope="module")
def prices(returns):
    return np.arange(5.0, 12.0)[:, None] * np.cumprod(1 + returns, axis=1)


def loop_path(row, kind, window, log, scale_row):
    """One row in plain Python."""
    row = list(row)[-window:]
    path, grown = [], 1.0
    for value in row:
        if kind == "returns":
            grown *= 1 + value
        else:
            grown = value / row[0]
        path.append(math.log(grown) if log else grown - 1)
    if scale_row:
        mean = sum(path) / len(path)
        deviation = math.sqrt(sum((c - mean) ** 2 for c in path) / len(path))
        path = [(c - mean) / deviation for c in path]
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("window", [5, 12])
@pytest.mark.parametrize("scaling", ["row", None])
def test_paths_agree_with_a_plain_loop(prices, returns, kind, log, window, scaling):
    X = prices if kind == "prices" else returns
    paths = CumulativeReturns(kind, window=window, log_returns=log, scaling=scaling).fit_transform(
        X
    )
    expected = [loop_path(row, kind, window, log, scaling == "row") for row in X]
    np.testing.assert_allclose(paths, expected, rtol=1e-10, atol=1e-12)


def test_prices_and_their_returns_have_the_same_path(prices, returns):
    X = np.column_stack([np.arange(5.0, 12.0), prices])
    from_prices = CumulativeReturns(scaling=None).fit_transform(X)
    from_returns = CumulativeReturns("returns", scaling=None).fit_transform(returns)
    np.testing.assert_allclose(from_prices[:, 1:], from_returns, atol=1e-14)


def test_the_currency_of_a_price_does_not_matter(prices):
    scaler = CumulativeReturns()
    np.testing.assert_allclose(scaler.fit_transform(1000 * prices), scaler.fit_transform(prices))


def test_rows_have_mean_zero_and_deviation_one(prices):
    paths = CumulativeReturns().fit_transform(prices)
    np.testing.assert_allclose(paths.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(paths.std(axis=1), 1)


def test_columns_are_scaled_by_what_fit_has_learnt(prices):
    scaler = CumulativeReturns(scaling="column").fit(prices[:5])
    plain = CumulativeReturns(scaling=None).fit_transform(prices)
    mean, deviation = plain[:5].mean(axis=0), plain[:5].std(axis=0)
    deviation[0] = 1.0  # every path starts from 0
    np.testing.assert_allclose(scaler.mean_, mean)
    np.testing.assert_allclose(scaler.scale_, deviation)
    np.testing.assert_allclose(scaler.transform(prices), (plain - mean) / deviation)


def test_a_row_does_not_depend_on_the_rows_of_the_fit_when_scaled_by_row(prices):
    scaler = CumulativeReturns().fit(prices[:2])
    np.testing.assert_array_equal(
        scaler.transform(prices), CumulativeReturns().fit_transform(prices)
    )


def test_nothing_before_the_window_matters(prices):
    changed = prices.copy()
    changed[:, :7] = np.nan
    scaler = CumulativeReturns(window=5)
    np.testing.assert_array_equal(scaler.fit_transform(changed), scaler.fit_transform(prices))
    assert scaler.window_ == 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("scaling", ["row", "column", None])
def test_inverse_gives_the_window_back(prices, returns, kind, log, scaling):
    X = prices if kind == "prices" else returns
    scaler = CumulativeReturns(kind, window=9, log_returns=log, scaling=scaling).fit(X)
    back = scaler.inverse_transform(scaler.transform(X), like=X)
    np.testing.assert_allclose(back, X[:, -9:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("scaling", ["column", None])
def test_inverse_without_the_rows_gives_prices_relative_to_the_first(prices, log, scaling):
    scaler = CumulativeReturns(log_returns=log, scaling=scaling).fit(prices)
    back = scaler.inverse_transform(scaler.transform(prices))
    np.testing.assert_allclose(back, prices / prices[:, :1])


def test_inverse_of_rows_of_forgotten_size_takes_the_typical_one(prices):
    scaler = CumulativeReturns().fit(prices)
    plain = CumulativeReturns(scaling=None).fit_transform(prices)
    paths = scaler.transform(prices)
    expected = 1 + paths * np.median(plain.std(axis=1)) + np.median(plain.mean(axis=1))
    np.testing.assert_allclose(scaler.inverse_transform(paths), expected)


@pytest.mark.parametrize("index", [list("ABCDEFG"), None], ids=["names", "numbers"])
@pytest.mark.parametrize("scaling", ["row", None])
def test_inverse_matches_rows_by_name(prices, index, scaling):
    frame = pd.DataFrame(prices, index=index)
    scaler = CumulativeReturns(scaling=scaling).set_output(transform="pandas")
    paths = scaler.fit_transform(frame).iloc[[4, 0, 5]]
    expected = prices[[4, 0, 5]]
    np.testing.assert_allclose(scaler.inverse_transform(paths, like=frame), expected)
    np.testing.assert_allclose(scaler.inverse_transform(paths, like=frame.iloc[::-1]), expected)
    one = scaler.inverse_transform(paths.iloc[[0, 0]], like=frame)
    np.testing.assert_allclose(one, prices[[4, 4]])


def test_inverse_matches_rows_of_a_panel_by_date_and_ticker(prices):
    index = pd.MultiIndex.from_product([DAYS[:2], list("ABC")], names=["date", "ticker"])
    frame = pd.DataFrame(prices[:6], index=index)
    scaler = CumulativeReturns().set_output(transform="pandas")
    paths = scaler.fit_transform(frame).iloc[[5, 1]]
    np.testing.assert_allclose(scaler.inverse_transform(paths, like=frame), prices[[5, 1]])
    with pytest.raises(ValueError, match="Each row of X must have the name of one row of `like`"):
        scaler.inverse_transform(paths, like=frame.droplevel("date"))


def test_inverse_goes_by_order_where_names_are_missing_or_the_same(prices):
    scaler = CumulativeReturns().fit(prices)
    named = pd.DataFrame(prices, index=list("AABCDEF"))
    paths = scaler.transform(prices)
    for X, like in (
        (paths, named),
        (pd.DataFrame(paths), named),
        (pd.DataFrame(paths, index=named.index), pd.DataFrame(prices)),
        (pd.DataFrame(paths, index=named.index), named),
        (pd.DataFrame(paths, index=named.index), prices),
    ):
        np.testing.assert_allclose(scaler.inverse_transform(X, like=like), prices)


def test_inverse_refuses_names_that_are_not_one_row(prices):
    frame = pd.DataFrame(prices, index=list("ABCDEFG"))
    scaler = CumulativeReturns().set_output(transform="pandas").fit(frame)
    paths = scaler.transform(frame)
    with pytest.raises(ValueError, match=r"one row of `like`; got 2 that .* times: 'A', 'B'"):
        scaler.inverse_transform(paths, like=frame.iloc[2:])
    twice = frame.set_axis(list("ABCDEFA"))
    with pytest.raises(ValueError, match=r"got 1 that are .*: 'A'\. Pass the rows that were"):
        scaler.inverse_transform(paths.iloc[:3], like=twice)


def test_the_way_back_does_not_heed_parameters_set_after_the_fit(prices):
    scaler = CumulativeReturns(window=5, scaling="column").fit(prices)
    paths = scaler.transform(prices)
    scaler.set_params(window=7, scaling="row", log_returns=True, kind="returns")
    np.testing.assert_array_equal(scaler.transform(prices), paths)
    np.testing.assert_allclose(scaler.inverse_transform(paths, like=prices), prices[:, -5:])
    scaler.fit(prices / 100)
    assert scaler.window_ == 7


def test_inverse_refuses_other_shapes(prices):
    scaler = CumulativeReturns(window=5).fit(prices)
    with pytest.raises(ValueError, match="X must have the 5 columns of the window; got 12"):
        scaler.inverse_transform(prices)
    with pytest.raises(ValueError, match="`like` must have a row for each row of X, 2; got 7"):
        scaler.inverse_transform(np.zeros((2, 5)), like=prices)


def test_constant_prices_have_the_path_zero():
    X = np.array([[3.0, 3.0, 3.0], [0.1, 0.1, 0.1], [1.0, 2.0, 3.0]])
    for scaling in ("row", None):
        paths = CumulativeReturns(scaling=scaling).fit_transform(X)
        np.testing.assert_array_equal(paths[:2], 0)
    assert (CumulativeReturns("returns").fit_transform(np.zeros((2, 4))) == 0).all()


def test_constant_rows_survive_the_way_back():
    X = np.full((2, 4), 7.0)
    scaler = CumulativeReturns().fit(X)
    np.testing.assert_array_equal(scaler.inverse_transform(scaler.transform(X), like=X), X)


def test_missing_prices_are_an_error_that_names_the_row(prices):
    frame = pd.DataFrame(prices.copy(), index=list("ABCDEFG"))
    frame.iloc[2, 4] = frame.iloc[5, 10] = frame.iloc[5, 11] = np.nan
    message = (
        r"Input X contains NaN: in the window of 12 days prices may be missing for at most "
        r"`max_gap` days in a row, 0, and a price not at the start; got longer gaps in row 'C' "
        r"\(1 missing\), row 'F' \(2 missing\)\. Drop those rows"
    )
    with pytest.raises(ValueError, match=message):
        CumulativeReturns().fit(frame)


def test_short_gaps_are_filled_by_the_last_price(prices):
    gappy = prices.copy()
    gappy[1, 4:6] = np.nan
    filled = prices.copy()
    filled[1, 4:6] = filled[1, 3]
    scaler = CumulativeReturns(max_gap=2)
    np.testing.assert_array_equal(scaler.fit_transform(gappy), scaler.fit_transform(filled))
    with pytest.raises(ValueError, match=r"row 1 \(2 missing\)"):
        CumulativeReturns(max_gap=1).fit(gappy)
    assert np.isnan(gappy[1, 4:6]).all()


def test_a_price_missing_at_the_start_of_the_window_is_never_made_up(prices):
    gappy = prices.copy()
    gappy[3, 7] = np.nan
    CumulativeReturns(max_gap=1).fit(gappy)
    with pytest.raises(ValueError, match=r"row 3 \(1 missing\)"):
        CumulativeReturns(window=5, max_gap=9).fit(gappy)


def test_a_missing_return_is_a_return_of_zero(returns):
    gappy, filled = returns.copy(), returns.copy()
    gappy[:, 0] = np.nan  # as a table of price changes begins
    filled[:, 0] = 0
    scaler = CumulativeReturns("returns", max_gap=1)
    np.testing.assert_array_equal(scaler.fit_transform(gappy), scaler.fit_transform(filled))


@pytest.mark.parametrize(("kind", "value", "lowest"), [("prices", 0.0, 0), ("returns", -1.0, -1)])
def test_logarithms_need_positive_prices(prices, returns, kind, value, lowest):
    values = prices if kind == "prices" else returns
    frame = pd.DataFrame(values.copy(), index=list("ABCDEFG"))
    frame.iloc[4, 3] = value
    message = f"Under `log_returns=True` {kind} must be above {lowest}; got other values in row 'E'"
    with pytest.raises(ValueError, match=message):
        CumulativeReturns(kind, log_returns=True).fit(frame)
    assert np.isfinite(CumulativeReturns(kind).fit_transform(frame)).all()
    assert np.isfinite(
        CumulativeReturns(kind, log_returns=True, window=8).fit_transform(frame)
    ).all()


def test_a_path_rises_with_the_price_from_below_zero_and_from_zero():
    spreads = np.array([[-2.0, -1.0, 1.0], [0.0, 0.5, 1.0]])
    scaler = CumulativeReturns(scaling=None).fit(spreads)
    np.testing.assert_allclose(scaler.transform(spreads), [[0, 0.5, 1.5], [0, 0.5, 1.0]])
    np.testing.assert_allclose(
        scaler.inverse_transform(scaler.transform(spreads), like=spreads), spreads
    )


def test_a_window_longer_than_the_history_is_refused(prices):
    message = r"`window` must be at most 12, .*columns of X; got 13 \(n_features=12\)\. Pass a lon"
    with pytest.raises(ValueError, match=message):
        CumulativeReturns(window=13).fit(prices)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[1.0, np.inf]]), "infinity"),
        (pd.DataFrame({"a": [1.0], "name": ["x"]}), "must hold numbers; got column 'name'"),
        (np.empty((0, 3)), "0 sample"),
        (pd.DataFrame([[1.0]], index=pd.to_datetime(["2020-01-01"])), "Pass X.T"),
        (np.full((2, 3), np.nan), r"row 0 \(3 missing\), row 1"),
    ],
)
def test_bad_tables_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        CumulativeReturns().fit(X)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_set_output_names_the_days_of_the_window(prices, kind):
    frame = pd.DataFrame(prices, columns=[f"day{i}" for i in range(12)])
    frame = frame if kind == "pandas" else pl.from_pandas(frame)
    out = CumulativeReturns(window=3).set_output(transform=kind).fit_transform(frame)
    assert list(out.columns) == ["day9", "day10", "day11"]
    assert isinstance(out, pd.DataFrame if kind == "pandas" else pl.DataFrame)


def test_single_precision_comes_back_in_single_precision(prices):
    scaler = CumulativeReturns().fit(prices)
    paths = scaler.transform(prices.astype(np.float32))
    assert paths.dtype == scaler.inverse_transform(paths).dtype == np.float32
    np.testing.assert_allclose(paths, scaler.transform(prices), atol=1e-4)


def test_the_input_is_left_unchanged(prices):
    before = prices.copy()
    CumulativeReturns(max_gap=2).fit_transform(prices)
    np.testing.assert_array_equal(prices, before)


def test_columns_in_another_order_are_refused(prices):
    frame = pd.DataFrame(prices, columns=[f"day{i}" for i in range(12)])
    scaler = CumulativeReturns().fit(frame)
    with pytest.raises(ValueError, match="order"):
        scaler.transform(frame[frame.columns[::-1]])


@pytest.mark.parametrize("days", [pd.bdate_range, pd.period_range, "text"])
def test_columns_that_are_dates_must_rise(prices, days):
    if days == "text":
        names = pd.bdate_range("2024-01-01", periods=12).strftime("%Y-%m-%d")
    else:
        names = days("2024-01-01", periods=12, freq="D")
    frame = pd.DataFrame(prices, columns=names)
    scaler = CumulativeReturns().fit(frame)
    backwards = frame[frame.columns[::-1]]
    with pytest.raises(ValueError, match="the columns of X must rise, each once; got .* after"):
        CumulativeReturns().fit(backwards)
    with pytest.raises(ValueError, match="the columns of X must rise"):
        scaler.transform(backwards)
    with pytest.raises(ValueError, match="Sort them and drop repeated dates"):
        CumulativeReturns().fit(frame.iloc[:, [0, 1, 1]])


WRITTEN = [
    DAYS,
    pd.Index(list(DAYS.date)),
    DAYS.strftime("%Y-%m-%d"),
    DAYS.strftime("%Y/%m/%d"),
    DAYS.strftime("%d/%m/%Y"),
    DAYS.strftime("%m/%d/%Y"),
    DAYS.strftime("%Y%m%d"),
    DAYS.strftime("%Y%m%d").astype(np.int64),
    pd.period_range("2020-01", periods=12, freq="M").strftime("%Y%m").astype(np.int64),
]


@pytest.mark.parametrize("days", WRITTEN, ids=lambda days: repr(days[0]))
@pytest.mark.parametrize("transformer", [CumulativeReturns(), PriceFeatures()], ids=str)
def test_days_count_as_days_however_they_are_written(prices, transformer, days):
    frame = pd.DataFrame(prices, columns=days)
    expected = transformer.fit_transform(prices)
    np.testing.assert_allclose(transformer.fit_transform(frame), expected)
    with pytest.raises(ValueError, match="the columns of X must rise, each once; got .* after"):
        transformer.fit(frame.iloc[:, ::-1])
    with pytest.raises(ValueError, match=r"index holds dates\. Pass X\.T"):
        transformer.fit(frame.T)


def test_days_that_rise_in_one_of_two_readings_pass(prices):
    # The first days of January and February, the day first.
    names = [f"{day:02d}/{month:02d}/2020" for month in (1, 2) for day in range(1, 7)]
    CumulativeReturns().fit(pd.DataFrame(prices, columns=names))
    with pytest.raises(ValueError, match="the columns of X must rise"):
        CumulativeReturns().fit(pd.DataFrame(prices, columns=names[::-1]))


@pytest.mark.parametrize(
    "firms",
    [
        ["A", "MAY", "F", "T", "ON", "IT", "NOW"],
        ["001690", "006066", "012141", "012142", "200101", "200102", "200103"],
        [14593, 10107, 10001, 20190, 20200, 90319, 84788],
        [200111, 200101, 200102, 200103, 200104, 200105, 200106],
    ],
    ids=["tickers", "GVKEY", "PERMNO", "GVKEY like months"],
)
def test_firms_are_rows_whatever_their_names(prices, firms):
    frame = pd.DataFrame(prices, index=firms)
    np.testing.assert_allclose(
        CumulativeReturns().fit_transform(frame), CumulativeReturns().fit_transform(prices)
    )
    one = CumulativeReturns().fit(frame).transform(frame.iloc[[-1]])
    assert one.shape == (1, 12)


def test_nothing_comes_back_after_a_total_loss():
    returns = np.array([[0.1, -1.0, 0.0, 0.3]])
    scaler = CumulativeReturns("returns", scaling=None).fit(returns)
    undone = scaler.inverse_transform(scaler.transform(returns))
    np.testing.assert_allclose(undone, [[0.1, -1.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("kind", "X"),
    [("prices", np.array([[1e-320, 1.0]])), ("returns", np.full((1, 400), 10.0))],
)
def test_paths_beyond_all_numbers_are_refused(kind, X):
    with pytest.raises(ValueError, match="must be finite; got overflow in row 0"):
        CumulativeReturns(kind).fit(X)


def test_clone_pickle_and_a_failed_fit(prices):
    scaler = CumulativeReturns(window=4).fit(prices)
    assert not hasattr(clone(scaler), "window_")
    expected = scaler.transform(prices)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scaler)).transform(prices), expected)
    with pytest.raises(ValueError, match="NaN"):
        scaler.fit(np.full((3, 6), np.nan))
    np.testing.assert_array_equal(scaler.transform(prices), expected)
