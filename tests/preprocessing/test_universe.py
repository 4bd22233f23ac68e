"""The most liquid assets of each date, by what was known before."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.preprocessing import liquid_universe


def random_panel(n_dates=8, n_assets=12, seed=0):
    """Return an unbalanced panel with ties and gaps in liquidity, rows in random order."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-01-31", periods=n_dates, freq="ME")
    assets = [f"s{i:02d}" for i in range(n_assets)]
    index = pd.MultiIndex.from_product([dates, assets], names=["date", "asset"])
    traded = rng.integers(0, 9, len(index)).astype(float)
    traded[rng.random(len(index)) < 0.1] = np.nan
    X = pd.DataFrame({"size": rng.normal(size=len(index)), "traded": traded}, index)
    return X.sample(frac=0.85, random_state=seed)


def reference(X, n_assets, lag, buffer):
    """Go through the dates one by one, the assets from the most liquid down."""
    calendar = list(X.index.unique("date").sort_values())
    members, kept = set(), set()
    for place, date in enumerate(calendar):
        known = {}
        for d, asset in X.index:
            if d == date and place >= lag and (calendar[place - lag], asset) in X.index:
                value = X.loc[(calendar[place - lag], asset), "traded"]
                if not np.isnan(value):
                    known[asset] = value
        ranked = sorted(known, key=lambda asset: (-known[asset], asset))
        stays = [a for a in ranked[: n_assets + buffer] if a in members][:n_assets]
        stays = stays if buffer else []
        enters = [a for a in ranked if a not in stays][: n_assets - len(stays)]
        members = {*stays, *enters}
        kept |= {(date, asset) for asset in members}
    return [row in kept for row in X.index]


@pytest.mark.parametrize("lag", [0, 1, 2])
@pytest.mark.parametrize("buffer", [0, 2, 20])
def test_equals_a_loop_over_dates_and_assets(lag, buffer):
    X = random_panel()
    mask = liquid_universe(X, 4, by="traded", lag=lag, buffer=buffer)
    assert list(mask) == reference(X, 4, lag, buffer)
    assert mask.index.equals(X.index)
    assert mask.dtype == bool


def test_past_masks_do_not_move_when_the_future_is_perturbed():
    X = random_panel()
    date = X.index.get_level_values("date")
    changed = X.copy()
    changed.loc[date > "2020-04-30", "traded"] = np.arange((date > "2020-04-30").sum())
    for buffer in (0, 3):
        before = liquid_universe(X, 4, by="traded", buffer=buffer)
        after = liquid_universe(changed, 4, by="traded", buffer=buffer)
        # With a lag of one, what was traded in May first matters in June.
        known = date <= "2020-05-31"
        pd.testing.assert_series_equal(after[known], before[known])
        assert not after.equals(before)
        early = date <= "2020-04-30"
        pd.testing.assert_series_equal(
            liquid_universe(X[early], 4, by="traded", buffer=buffer), before[early]
        )


def test_order_of_rows_does_not_matter():
    X = random_panel()
    mask = liquid_universe(X, 4, by="traded", buffer=1)
    ordered = X.sort_index()
    again = liquid_universe(ordered, 4, by="traded", buffer=1)
    pd.testing.assert_series_equal(again, mask.loc[ordered.index])


def test_a_buffer_trades_less_and_keeps_as_many():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([range(2000, 2040), range(50)], names=["year", "asset"])
    traded = pd.Series(np.tile(np.arange(50.0), 40) + rng.normal(0, 4, 2000), index)
    X = traded.to_frame("traded")

    def entries(mask):
        wide = mask.unstack().to_numpy()[1:]
        assert (wide.sum(axis=1) == 10).all()
        return (wide[1:] & ~wide[:-1]).sum()

    plain = entries(liquid_universe(X, 10, by="traded"))
    buffered = entries(liquid_universe(X, 10, by="traded", buffer=5))
    assert buffered < plain / 2


def test_equally_liquid_assets_go_by_their_identifier():
    index = pd.MultiIndex.from_product([[1], ["b", "c", "a"]], names=["date", "asset"])
    X = pd.DataFrame({"traded": 1.0}, index)
    assert list(liquid_universe(X, 2, by="traded", lag=0)) == [True, False, True]


def test_values_for_each_row_arrays_and_polars_equal_the_column():
    X = random_panel()
    dates, assets = (X.index.get_level_values(level) for level in ("date", "asset"))
    expected = liquid_universe(X, 4, by="traded")
    pd.testing.assert_series_equal(liquid_universe(X, 4, by=X["traded"]), expected)
    pd.testing.assert_series_equal(liquid_universe(X, 4, by=X["traded"].to_numpy()), expected)
    with pytest.raises(ValueError, match="rows of `X` and `by` must be the same, in the same"):
        liquid_universe(X, 4, by=X["traded"][::-1])
    bare = liquid_universe(X.to_numpy(), 4, by=X["traded"], dates=dates, assets=assets)
    assert list(bare) == list(expected)
    assert list(bare.index) == list(X.index)
    frame = pl.DataFrame({"traded": X["traded"].to_numpy()})
    mask = liquid_universe(frame, 4, by="traded", dates=dates, assets=assets)
    assert frame.filter(mask.to_numpy()).height == expected.sum()
    swapped = liquid_universe(X.swaplevel(), 4, by="traded")
    assert list(swapped) == list(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_assets": 0}, "`n_assets` must be an int of at least 1; got 0"),
        ({"lag": -1}, "`lag` must be an int of at least 0; got -1"),
        ({"buffer": 1.5}, "`buffer` must be an int of at least 0; got 1.5"),
        ({"by": "volume"}, "got 'volume', and the columns of X: 'size', 'traded'"),
        ({"by": [1.0]}, r"one value for each of the 82 rows of X; got shape \(1,\)"),
        ({"by": ["many"] * 82}, "`by` must hold numbers; got list"),
        ({"by": [np.inf] * 82}, "`by` must be finite or NaN; got infinity, first in row 0"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    X = random_panel()
    with pytest.raises(ValueError, match=message):
        liquid_universe(X, **{"n_assets": 4, "by": "traded"} | changes)


def test_rows_without_date_or_asset_and_repeated_pairs_are_refused():
    X = random_panel()
    with pytest.raises(ValueError, match="Nothing says on which date"):
        liquid_universe(X.reset_index(drop=True), 4, by="traded")
    with pytest.raises(ValueError, match="must have its asset; got dates alone"):
        liquid_universe(
            X.reset_index(drop=True), 4, by="traded", dates=X.index.get_level_values("date")
        )
    with pytest.raises(ValueError, match="pair must appear once"):
        liquid_universe(pd.concat([X, X.iloc[:1]]), 4, by="traded")
    assert len(liquid_universe(X.iloc[:0], 4, by="traded")) == 0
