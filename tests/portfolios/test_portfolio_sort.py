"""Sorted portfolios against a slow loop, and what the recipe promises."""

import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose

from skfactor.portfolios import PortfolioSort


def _panel(n_dates=30, n_assets=40, seed=0, ties=False, unbalanced=True):
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2001-01-31", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product(
        [dates, [f"A{i:02d}" for i in range(n_assets)]], names=["date", "asset"]
    )
    n = len(index)
    X = pd.DataFrame(
        {
            "size": rng.lognormal(size=n),
            "value": rng.normal(size=n),
            "cap": rng.lognormal(size=n),
            "nyse": np.tile(rng.random(n_assets) < 0.6, n_dates),
        },
        index,
    )
    if ties:
        X["size"] = rng.integers(0, 4, n).astype(float)
        X["value"] = rng.integers(0, 3, n).astype(float)
    X["ret"] = 0.1 * rng.normal(size=n)
    if unbalanced:
        X.loc[rng.random(n) < 0.05, "size"] = np.nan
        X.loc[rng.random(n) < 0.05, "value"] = np.nan
        X.loc[rng.random(n) < 0.05, "ret"] = np.nan
        X.loc[rng.random(n) < 0.05, "cap"] = np.nan
        X = X[rng.random(n) < 0.9]
    return X.sample(frac=1.0, random_state=seed) if unbalanced else X


def _levels(values, reference, probabilities, ties, fewest):
    """Bucket a dict of asset to value, by exact arithmetic on the place of each quantile."""
    marked = sorted(v for a, v in values.items() if reference[a] and not np.isnan(v))
    if len(marked) < fewest:
        return {}
    points = []
    for p in probabilities:
        at = Fraction(p).limit_denominator(1000) * (len(marked) - 1)
        low = int(at)
        high = min(low + 1, len(marked) - 1)
        points.append(marked[low] + float(at - low) * (marked[high] - marked[low]))
    beyond = (lambda v, p: v >= p) if ties == "up" else (lambda v, p: v > p)
    return {a: sum(beyond(v, p) for p in points) for a, v in values.items() if not np.isnan(v)}


def _slow_sort(X, by, quantiles, dependent, reference, weights, rebalance, lag, ties):
    dates = sorted(X.index.get_level_values("date").unique())
    by_date = {d: X.xs(d, level="date") for d in dates}
    n_levels = [len(q) + 1 for q in quantiles]
    formed, source_of = -1, []
    for k, d in enumerate(dates):
        if rebalance == "every" or (rebalance == "july" and d.month == 7):
            formed = k
        source_of.append(formed - lag if formed >= lag else -1)
    portfolio_of_date = []
    for k in range(len(dates)):
        if source_of[k] < 0:
            portfolio_of_date.append({})
            continue
        frame = by_date[dates[source_of[k]]]
        marks = dict.fromkeys(frame.index, True) if reference is None else dict(frame[reference])
        codes = dict.fromkeys(frame.index, 0)
        size = 1
        for name, levels in zip(by, quantiles, strict=True):
            groups = sorted(set(codes.values())) if dependent else [None]
            found = {}
            for g in groups:
                inside = {a: v for a, v in frame[name].items() if g is None or codes.get(a) == g}
                found.update(_levels(inside, marks, levels, ties, len(levels) + 1))
            codes = {a: codes[a] * (len(levels) + 1) + found[a] for a in codes if a in found}
            size *= len(levels) + 1
        portfolio_of_date.append(codes)
    shape = (len(dates), int(np.prod(n_levels)))
    returns, counts = np.full(shape, np.nan), np.zeros(shape, int)
    turnover = np.full(shape, np.nan)
    weight_of = [[{} for _ in range(shape[1])] for _ in dates]
    for k, d in enumerate(dates):
        for p in range(shape[1]):
            held = {}
            for a, row in by_date[d].to_dict("index").items():
                w = 1.0 if weights is None else row[weights]
                if portfolio_of_date[k].get(a) == p and w > 0:
                    held[a] = (w, row["ret"])
            total = sum(w for w, _ in held.values())
            seen = [(w, r) for w, r in held.values() if not np.isnan(r)]
            counts[k, p] = len(held)
            if seen:
                returns[k, p] = sum(w * r for w, r in seen) / sum(w for w, _ in seen)
            if held:
                weight_of[k][p] = {a: w / total for a, (w, _) in held.items()}
            if k and held and weight_of[k - 1][p]:
                before = returns[k - 1, p] if not np.isnan(returns[k - 1, p]) else 0.0
                yesterday = by_date[dates[k - 1]]["ret"].fillna(before)
                drift = {
                    a: w * (1 + yesterday[a]) / (1 + before) for a, w in weight_of[k - 1][p].items()
                }
                names = set(drift) | set(weight_of[k][p])
                turnover[k, p] = 0.5 * sum(
                    abs(weight_of[k][p].get(a, 0) - drift.get(a, 0)) for a in names
                )
    return returns, counts, turnover


@pytest.mark.parametrize("ties", ["up", "down"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"by": ["value"], "quantiles": [(0.2, 0.4, 0.6, 0.8)]},
        {"by": ["size", "value"], "quantiles": [(0.5,), (0.3, 0.7)], "reference": "nyse"},
        {"by": ["size", "value"], "quantiles": [(0.5,), (0.3, 0.7)], "dependent": True},
        {"by": ["value"], "quantiles": [(0.3, 0.7)], "rebalance": "july", "weights": "cap"},
        {"by": ["value"], "quantiles": [(0.3, 0.7)], "lag": 2, "weights": "cap"},
        {"by": ["size", "value"], "quantiles": [(0.5,), (0.5,)], "rebalance": "july", "lag": 1},
    ],
)
def test_sort_equals_a_slow_loop(options, tied, ties):
    X = _panel(n_dates=20, n_assets=30, ties=tied)
    full = {"dependent": False, "reference": None, "weights": None, "rebalance": "every", "lag": 0}
    full |= options
    returns, counts, turnover = _slow_sort(X, **full, ties=ties)
    found = PortfolioSort(
        full["by"],
        full["quantiles"],
        method="dependent" if full["dependent"] else "independent",
        breakpoints=full["reference"],
        weights=full["weights"],
        rebalance=full["rebalance"],
        lag=full["lag"],
        ties=ties,
    ).sort(X, "ret")
    assert (found.counts.to_numpy() == counts).all()
    assert_allclose(found.returns, returns, rtol=1e-12, atol=1e-15)
    assert_allclose(found.turnover, turnover, rtol=1e-10, atol=1e-12)
    assert counts.sum() > 150


def test_spreads_are_high_minus_low_over_the_levels_of_the_other():
    X = _panel()
    result = PortfolioSort(["size", "value"], [2, (0.3, 0.7)], long=["low", "high"]).sort(X, "ret")
    R = result.returns
    hml = (R["size1 value3"] + R["size2 value3"]) / 2 - (R["size1 value1"] + R["size2 value1"]) / 2
    small = R[["size1 value1", "size1 value2", "size1 value3"]].mean(axis=1)
    big = R[["size2 value1", "size2 value2", "size2 value3"]].mean(axis=1)
    assert_allclose(result.spreads["value"], hml, atol=1e-15)
    assert_allclose(result.spreads["size"], small - big, atol=1e-15)


def test_order_of_rows_and_of_levels_does_not_matter():
    X = _panel()
    recipe = PortfolioSort("value", 3, weights="cap")
    expected = recipe.sort(X, "ret").returns
    pd.testing.assert_frame_equal(recipe.sort(X.sort_index(), "ret").returns, expected)
    swapped = X.swaplevel().sort_index()
    assert_allclose(recipe.sort(swapped, "ret").returns, expected, rtol=1e-12)


def test_polars_and_arrays_of_dates_give_the_same():
    X = _panel()
    recipe = PortfolioSort(["size", "value"], [2, 3], breakpoints="nyse", weights="cap")
    expected = recipe.sort(X, X["ret"])
    flat = X.reset_index()
    got = recipe.sort(
        pl.from_pandas(flat.drop(columns=["date", "asset"])),
        flat["ret"].to_numpy(),
        dates=flat["date"],
        assets=flat["asset"],
    )
    pd.testing.assert_frame_equal(got.returns, expected.returns)
    assert (got.assignments.to_numpy() == expected.assignments.to_numpy()).sum() > 500


def test_slices_of_a_panel_use_the_dates_that_are_left():
    X = _panel(unbalanced=False)
    late = X[X.index.get_level_values("date") > "2002-01-31"]
    found = PortfolioSort("value", 3).sort(late, "ret").returns
    expected = PortfolioSort("value", 3).sort(X, "ret").returns.loc["2002-02-01":]
    assert_allclose(found, expected)
    assert (found.index == expected.index).all()


def test_weights_and_assignments_reproduce_the_returns():
    X = _panel()
    result = PortfolioSort("value", 4, weights="cap").sort(X, "ret")
    assert result.assignments.index.equals(X.index)
    cells = [X.index.get_level_values("date"), result.assignments.astype(object)]
    assert_allclose(result.weights.groupby(cells).sum(), 1.0)
    observed = result.weights.where(X["ret"].notna())
    earned = (observed * X["ret"]).groupby(cells).sum() / observed.groupby(cells).sum()
    assert_allclose(earned.unstack(), result.returns, rtol=1e-10)


def _missing_returns(*missing):
    """Return four assets over three dates, and the returns of date and asset that are missing."""
    dates = pd.date_range("2020-01-31", periods=3, freq="ME")
    index = pd.MultiIndex.from_product([dates, list("abcd")], names=["date", "asset"])
    r = pd.Series([0.01, 0.02, 0.03, 0.10, 0.01, 0.02, 0.03, 0.04, 0.0, 0.0, 0.0, 0.0], index)
    for date, asset in missing:
        r[dates[date], asset] = np.nan
    return pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0] * 3}, index), r


def test_portfolios_are_formed_whether_or_not_returns_follow():
    X, r = _missing_returns((1, "d"), (2, "a"), (2, "b"))
    found, full = (PortfolioSort("x", 2).sort(X, y) for y in (r, r.fillna(0.0)))
    pd.testing.assert_series_equal(found.weights, full.weights)
    pd.testing.assert_frame_equal(found.counts, full.counts)
    assert (found.counts == 2).all(axis=None)


def test_a_missing_return_is_that_of_the_rest_and_no_trade():
    X, r = _missing_returns((1, "d"))
    found = PortfolioSort("x", 2).sort(X, r)
    assert_allclose(found.returns["x2"], [0.065, 0.03, 0.0])
    # Of the first date: 0.5 * 1.1 / 1.065 drifts down to 0.5. On the second both earn alike.
    assert_allclose(found.turnover["x2"], [np.nan, 0.5 * 1.1 / 1.065 - 0.5, 0.0])


def test_a_portfolio_without_any_return_is_held_all_the_same():
    X, r = _missing_returns((1, "c"), (1, "d"))
    found = PortfolioSort("x", 2).sort(X, r)
    assert_allclose(found.returns["x2"], [0.065, np.nan, 0.0])
    assert_allclose(found.turnover["x2"], [np.nan, 0.5 * 1.1 / 1.065 - 0.5, 0.0])
    assert found.weights[found.weights.index[6:8]].to_list() == [0.5, 0.5]


@pytest.mark.parametrize("rebalance", ["every", "july"])
def test_the_future_does_not_move_the_past(rebalance):
    X = _panel()
    recipe = PortfolioSort(
        ["size", "value"], [2, 3], breakpoints="nyse", weights="cap", rebalance=rebalance, lag=1
    )
    later = X.index.get_level_values("date") > pd.Timestamp("2002-08-31")
    changed = X.copy()
    changed.loc[later, ["size", "value", "cap", "ret"]] *= -3.0
    changed.loc[later, "cap"] = 1.0
    before, after = recipe.sort(X, "ret"), recipe.sort(changed, "ret")
    cut = before.returns.index <= pd.Timestamp("2002-08-31")
    pd.testing.assert_frame_equal(after.returns[cut], before.returns[cut])
    pd.testing.assert_frame_equal(after.turnover[cut], before.turnover[cut])
    assert not after.returns[~cut].equals(before.returns[~cut])


def test_the_return_of_a_date_does_not_move_its_own_portfolios():
    X = _panel()
    other = X.assign(ret=X["ret"].sample(frac=1.0, random_state=1).to_numpy())
    first = PortfolioSort("value", 3).sort(X, "ret").assignments
    pd.testing.assert_series_equal(PortfolioSort("value", 3).sort(other, "ret").assignments, first)


def _one_date(values, **columns):
    index = pd.MultiIndex.from_product(
        [pd.to_datetime(["2020-01-31"]), range(len(values))], names=["date", "asset"]
    )
    return pd.DataFrame({"x": values, **columns}, index)


def test_an_asset_on_a_breakpoint_goes_up_or_down_as_told():
    X = _one_date([float(i) for i in range(11)])
    up = PortfolioSort("x", (0.3, 0.7)).sort(X, "x").counts.iloc[0].to_list()
    down = PortfolioSort("x", (0.3, 0.7), ties="down").sort(X, "x").counts.iloc[0].to_list()
    assert up == [3, 4, 4]
    assert down == [4, 4, 3]


def test_ties_everywhere_fill_one_end():
    X = _one_date([2.0] * 6)
    result = PortfolioSort("x", 3).sort(X, "x")
    assert result.counts.iloc[0].to_list() == [0, 0, 6]
    assert result.returns.isna().iloc[0].to_list() == [True, True, False]
    assert result.spreads.isna().all().all()
    assert PortfolioSort("x", 3, ties="down").sort(X, "x").counts.iloc[0, 0] == 6


def test_one_asset_a_portfolio_earns_that_asset_s_return():
    X = _one_date([3.0, 1.0, 2.0], r=[0.3, 0.1, 0.2])
    assert PortfolioSort("x", 3).sort(X, "r").returns.iloc[0].to_list() == [0.1, 0.2, 0.3]


def test_too_few_assets_form_no_portfolios():
    X = _one_date([3.0, 1.0, np.nan])
    assert PortfolioSort("x", 3).sort(X, "x").assignments.isna().all()
    assert PortfolioSort("x", 3, min_assets=2).sort(X, "x").counts.iloc[0].sum() == 2


def test_a_dead_company_earns_its_last_return_and_then_nothing():
    dates = pd.date_range("2020-01-31", periods=3, freq="ME")
    index = pd.MultiIndex.from_product([dates, ["a", "b", "c"]], names=["date", "asset"])
    X = pd.DataFrame({"x": [1.0, 2.0, 3.0] * 3, "r": [0.1, 0.2, -1.0] + [0.1, 0.2, 0.3] * 2}, index)
    X = X.drop(index=[(dates[1], "c"), (dates[2], "c")])
    found = PortfolioSort("x", (0.5,)).sort(X, "r")
    assert_allclose(found.returns["x2"], [(0.2 - 1.0) / 2, 0.2, 0.2])
    assert found.counts["x2"].to_list() == [2, 1, 1]
    assert_allclose(found.turnover["x2"], [np.nan, 0.0, 0.0])


def test_yearly_portfolios_keep_their_assets_until_the_next_formation():
    X = _panel(n_dates=24, unbalanced=False)
    result = PortfolioSort("value", 3, rebalance="july").sort(X, "ret")
    table = result.assignments.unstack()
    assert table.loc[:"2001-06-30"].isna().all().all()
    held = table.loc["2001-07-31":"2002-06-30"]
    assert (held.nunique() == 1).all()
    assert not (table.loc["2002-07-31"] == held.iloc[-1]).all()


def test_whole_number_and_period_dates_rebalance_by_month():
    X = _panel(n_dates=24, unbalanced=False)
    expected = PortfolioSort("value", 3, rebalance="july").sort(X, "ret").returns.to_numpy()
    dates = X.index.get_level_values("date")
    for other in (dates.year * 100 + dates.month, dates.to_period("M")):
        renamed = X.set_index(pd.MultiIndex.from_arrays([other, X.index.get_level_values(1)]))
        renamed.index.names = ["date", "asset"]
        found = PortfolioSort("value", 3, rebalance="july").sort(renamed, "ret")
        assert_allclose(found.returns.to_numpy(), expected)


def test_a_random_characteristic_has_no_premium_and_a_true_one_has():
    rng = np.random.default_rng(3)
    X = _panel(n_dates=120, n_assets=50, unbalanced=False)
    X["ret"] = 0.05 * rng.normal(size=len(X)) + 0.01 * X["value"]
    spreads = PortfolioSort(["size", "value"], [2, 3]).sort(X, "ret").spreads
    t = spreads.mean() / spreads.std() * np.sqrt(len(spreads))
    assert abs(t["size"]) < 2.5
    assert t["value"] > 10


def test_the_recipe_and_its_result_pickle():
    recipe = PortfolioSort(["size", "value"], [2, 3])
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    result = recipe.sort(_panel(), "ret")
    assert pickle.loads(pickle.dumps(result)).turnover.equals(result.turnover)
    lines = repr(result).splitlines()
    assert lines[0] == "SortedPortfolios: 6 portfolios and spreads, 30 dates"
    assert len(lines) == 2 + 6 + 2
    value = result.spreads["value"]
    t = value.mean() / value.std() * np.sqrt(value.count())
    assert lines[-1].split()[-4:] == [
        f"{value.mean():.4f}",
        f"{value.std():.4f}",
        f"{t:.2f}",
        "–",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantiles": 1}, "`quantiles` must be a number of portfolios, at least 2, or rising"),
        ({"quantiles": (0.7, 0.3)}, "rising probabilities between 0 and 1"),
        ({"by": ["a", "b"], "quantiles": (0.3,)}, "an entry for each of the 2 columns of `by`"),
        ({"by": ["a", "a"]}, "`by` must name one or more different columns; got"),
        ({"method": "joint"}, "`method` must be one of 'independent', 'dependent'; got 'joint'."),
        ({"rebalance": "July"}, "`rebalance` must be one of 'every', 'monthly', 'january'"),
        ({"ties": "left"}, "`ties` must be one of 'up', 'down'; got 'left'."),
        ({"lag": -1}, "`lag` must be an int of at least 0; got -1."),
        ({"min_assets": 0}, "`min_assets` must be an int of at least 1; got 0."),
        ({"long": "top"}, "`long` must be 'high' or 'low'"),
        ({"by": ["a", "b", "c"], "quantiles": 30}, "at most 10000 portfolios; got 27000."),
    ],
)
def test_bad_recipes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        PortfolioSort(**({"by": "a"} | arguments))


@pytest.mark.parametrize(
    ("change", "recipe", "message"),
    [
        ({}, {"by": "nothing"}, "`by` must name columns of X, 'size', 'value'"),
        ({"size": "text"}, {"by": "size"}, "column 'size' of X must hold numbers"),
        ({"size": np.inf}, {"by": "size"}, "column 'size' of X must be finite or NaN"),
        ({"cap": -1.0}, {"by": "size", "weights": "cap"}, "must not be negative; got -1 in column"),
        ({"nyse": np.nan}, {"by": "size", "breakpoints": "nyse"}, "a column of booleans"),
        ({"ret": np.inf}, {"by": "size"}, "column 'ret' of X must be finite or NaN"),
    ],
)
def test_bad_columns_are_refused_by_name(change, recipe, message):
    X = _panel(n_dates=3).assign(**change)
    with pytest.raises(ValueError, match=message):
        PortfolioSort(**recipe).sort(X, "ret")


def test_panels_without_dates_or_with_duplicates_are_refused():
    X = _panel(n_dates=3)
    with pytest.raises(ValueError, match="Nothing says on which date"):
        PortfolioSort("size").sort(X.reset_index(drop=True), "ret")
    with pytest.raises(ValueError, match=r"Each \(date, asset\) pair must appear once"):
        PortfolioSort("size").sort(pd.concat([X, X.iloc[:1]]), "ret")
    with pytest.raises(ValueError, match="Each row of X must have its asset"):
        PortfolioSort("size").sort(X.reset_index("asset", drop=True), "ret")
    with pytest.raises(TypeError, match="X must be a pandas or polars DataFrame; got ndarray"):
        PortfolioSort("size").sort(X.to_numpy(), "ret")
    with pytest.raises(ValueError, match="y must have one return for each of the"):
        PortfolioSort("size").sort(X, np.zeros(3))
    with pytest.raises(ValueError, match="`rebalance` must be a month that the dates contain"):
        PortfolioSort("size", rebalance="july").sort(X, "ret")


def test_returns_on_another_index_are_refused():
    X = _panel(n_dates=3)
    with pytest.raises(ValueError, match="The indexes of X and y must agree"):
        PortfolioSort("size").sort(X, X["ret"].sort_index())
