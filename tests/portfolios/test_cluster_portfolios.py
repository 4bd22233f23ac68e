"""Cluster portfolios: labels first, returns afterwards."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from skfactor.portfolios import cluster_portfolios

DATES = pd.date_range("2020-01-31", periods=12, freq="ME", name="date")
ASSETS = pd.Index([f"A{i:02d}" for i in range(12)], name="asset")


def _returns(seed=0):
    rng = np.random.default_rng(seed)
    values = 0.1 * rng.normal(size=(len(DATES), len(ASSETS)))
    values[rng.random(values.shape) < 0.1] = np.nan
    return pd.DataFrame(values, DATES, ASSETS)


def _labels(dates=("2020-02-29", "2020-06-30", "2020-09-15"), seed=1, n_clusters=3):
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([pd.to_datetime(dates), ASSETS], names=["date", "asset"])
    return pd.Series(rng.integers(-1, n_clusters, len(index)), index)


def _slow(labels, returns, caps):
    label_dates = sorted(labels.index.get_level_values("date").unique())
    out = pd.DataFrame(np.nan, returns.index, sorted(set(labels[labels >= 0])))
    for k, day in enumerate(returns.index):
        begun = returns.index[k - 1] if k else day - pd.Timedelta(days=31)
        known = [s for s in label_dates if s <= begun]
        if not known:
            continue
        now = labels.xs(known[-1], level="date")
        for c in out.columns:
            held = [a for a in now.index[now == c] if not np.isnan(returns.loc[day, a])]
            if caps is None:
                w = dict.fromkeys(held, 1.0)
            else:
                w = {a: caps.loc[begun, a] for a in held} if begun in caps.index else {}
            if held and w:
                out.loc[day, c] = sum(w[a] * returns.loc[day, a] for a in held) / sum(w.values())
    return out


@pytest.mark.parametrize("weighted", [False, True])
def test_portfolios_equal_a_slow_loop(weighted):
    returns, labels = _returns(), _labels()
    rng = np.random.default_rng(2)
    caps = pd.DataFrame(rng.lognormal(size=returns.shape), DATES, ASSETS) if weighted else None
    found = cluster_portfolios(labels, returns, weights=caps, match=None)
    assert_allclose(found.returns, _slow(labels, returns, caps), rtol=1e-12)
    assert found.returns.loc["2020-03-31":].notna().any(axis=1).all()
    assert found.counts.to_numpy().sum() > 50


def test_counts_are_of_assets_between_their_first_return_and_their_last():
    dates = pd.date_range("2020-01-31", periods=5, freq="ME")
    returns = pd.DataFrame(0.01, dates, list("abcd"))
    returns.loc[dates[1], "a"] = np.nan
    returns.loc[dates[:2], "b"] = np.nan
    returns.loc[dates[3:], "c"] = np.nan
    labels = pd.Series(0, list("abcd"))
    found = cluster_portfolios(labels, returns, look_ahead=True)
    assert found.counts[0].to_list() == [3, 3, 4, 3, 3]
    np.testing.assert_allclose(found.returns[0], 0.01)


def test_labels_earn_nothing_in_the_period_in_which_they_are_made():
    returns = _returns()
    found = cluster_portfolios(_labels(("2020-02-29",)), returns).returns
    assert found.loc[:"2020-02-29"].isna().all().all()
    assert found.loc["2020-03-31"].notna().any()
    inside = cluster_portfolios(_labels(("2020-02-15",)), returns).returns
    assert inside.loc[:"2020-02-29"].isna().all().all()


def test_labels_of_the_month_before_the_sample_serve_the_first_month():
    found = cluster_portfolios(_labels(("2019-12-31",)), _returns()).returns
    assert found.iloc[0].notna().any()


def test_later_labels_and_weights_do_not_move_earlier_portfolios():
    returns, labels = _returns(), _labels()
    caps = pd.DataFrame(1.0, DATES, ASSETS)
    changed = labels.copy()
    changed[changed.index.get_level_values("date") >= "2020-06-30"] = 1
    more = caps.copy()
    more.loc["2020-06-30":] = np.arange(1.0, 13.0)
    before = cluster_portfolios(labels, returns, weights=caps).returns
    after = cluster_portfolios(changed, returns, weights=more).returns
    assert_allclose(after.loc[:"2020-06-30"], before.loc[:"2020-06-30", after.columns])
    assert not before.loc["2020-07-31":].equals(after.loc["2020-07-31":])


def test_fixed_labels_must_say_when_they_were_known():
    returns = _returns()
    labels = pd.Series(np.arange(12) % 2, ASSETS)
    with pytest.raises(ValueError, match="Fixed labels must say when they were known"):
        cluster_portfolios(labels, returns)
    with pytest.raises(ValueError, match="Fixed labels must say when they were known"):
        cluster_portfolios(labels, returns, known_from="2020-01-31", look_ahead=True)
    late = cluster_portfolios(labels, returns, known_from="2020-06-30").returns
    whole = cluster_portfolios(labels, returns, look_ahead=True).returns
    assert late.loc[:"2020-06-30"].isna().all().all()
    pd.testing.assert_frame_equal(late.loc["2020-07-31":], whole.loc["2020-07-31":])
    assert whole.notna().all().all()
    assert_allclose(whole[1], returns.iloc[:, 1::2].mean(axis=1))


def test_labels_by_date_take_no_statement_of_look_ahead():
    with pytest.raises(ValueError, match="Labels by date say themselves when they are known"):
        cluster_portfolios(_labels(), _returns(), look_ahead=True)


def _three_dates(*labels):
    index = pd.MultiIndex.from_product(
        [pd.to_datetime(["2020-01-31", "2020-02-29", "2020-03-31"]), ASSETS],
        names=["date", "asset"],
    )
    return pd.Series(np.concatenate(labels), index)


def test_overlap_undoes_a_permutation_of_the_labels():
    first = np.arange(12) % 3
    second = np.array([2, 0, 1])[first]
    third = np.array([1, 2, 0])[first]
    second[0] = second[1]  # one asset moves
    found = cluster_portfolios(_three_dates(first, second, third), _returns())
    moved = first.copy()
    moved[0] = first[1]
    assert found.labels.to_numpy().tolist() == [first.tolist(), moved.tolist(), first.tolist()]
    assert_allclose(found.stability, [np.nan, 11 / 12, 11 / 12])


def test_a_new_cluster_gets_a_number_never_used():
    first = np.repeat([0, 1], 6)
    second = np.repeat([1, 0, 2], 4)
    third = np.repeat([0, 1], 6)
    table = cluster_portfolios(_three_dates(first, second, third), _returns()).labels
    assert table.iloc[1].to_list() == [0] * 4 + [2] * 4 + [1] * 4
    assert set(table.iloc[2]) <= {0, 1, 2}


def test_ordering_numbers_clusters_by_a_characteristic():
    first = np.repeat([7, 5, 6], 4)
    size = pd.Series(np.arange(12.0), ASSETS)
    labels = _three_dates(first, first[::-1], first)
    found = cluster_portfolios(labels, _returns(), match="order", order_by=size)
    assert (found.labels.to_numpy() == np.repeat([0, 1, 2], 4)).all()
    assert_allclose(found.stability[1:], 1.0)


def test_names_are_kept_and_make_a_factor():
    labels = pd.Series(["big", "small", None] * 4, ASSETS)
    found = cluster_portfolios(labels, _returns(), known_from=DATES[0])
    factor = found.spread("small", "big", name="SMB")
    assert factor.name == "SMB"
    assert_allclose(factor, found.returns["small"] - found.returns["big"])
    with pytest.raises(ValueError, match="must be clusters, 'big', 'small'; got 'value'"):
        found.spread("value", "big")
    head, _, big, _ = repr(found).splitlines()
    assert head == "ClusterPortfolios: 2 clusters, 12 dates"
    mean, sd = found.returns["big"].mean(), found.returns["big"].std()
    assert big.split()[:3] == ["big", f"{mean:.4f}", f"{sd:.4f}"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": [1, 2]}, TypeError, "`labels` must be a pandas Series"),
        ({"returns": np.zeros((2, 2))}, TypeError, "`returns` must be a pandas DataFrame"),
        ({"match": "best"}, ValueError, "`match` must be 'overlap', 'order' or None"),
        ({"match": "order"}, ValueError, "`order_by` goes with match='order'"),
        ({"weights": -_returns().abs()}, ValueError, "`weights` must not be negative"),
        ({"labels": _labels(("2031-01-31",))}, ValueError, "Some return must begin after labels"),
        ({"returns": _returns().replace({np.nan: np.inf})}, ValueError, "got infinity for 'A"),
        (
            {"labels": pd.concat([_labels()] * 2)},
            ValueError,
            r"in rows 0 and \d+, .*by labels\[~labels.index.duplicated\(keep='last'\)\]\.",
        ),
        (
            {"returns": pd.concat([_returns().stack()] * 2)},
            ValueError,
            r"pair of `returns` must appear once; got \d+ repeated: \(.*\) in rows 0 and",
        ),
        (
            {"returns": _returns().assign(A00="much")},
            ValueError,
            "`returns` must hold numbers; got columns of the dtypes float64, .* Convert them",
        ),
        (
            {"returns": pd.concat([_returns()] * 2)},
            ValueError,
            "Each date of `returns` must appear once; got .* more than once. Drop",
        ),
        (
            {"returns": _returns().stack().to_frame("a").assign(b=1.0)},
            ValueError,
            "`returns` as a long panel .* got the levels .* and the columns 'a', 'b'",
        ),
        (
            {"labels": pd.Series(1, pd.MultiIndex.from_product([["a"], ["b"]], names=["x", None]))},
            ValueError,
            "`labels` must be indexed by asset, or by date and asset; got the levels 'x', None",
        ),
        ({"labels": pd.concat([_labels()] * 2)}, ValueError, "pair of `labels` must appear once"),
    ],
)
def test_bad_input_is_refused(change, error, message):
    arguments = {"labels": _labels(), "returns": _returns()} | change
    with pytest.raises(error, match=message):
        cluster_portfolios(arguments.pop("labels"), arguments.pop("returns"), **arguments)
