"""Correlations and returns of clusters."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skfactor.cluster import _pairwise
from skfactor.cluster._correlation import cluster_correlations, cluster_returns


def _returns(n_dates=60, n_assets=14, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.array([0, 1, 2] * n_assets)[:n_assets]
    common = rng.normal(size=(n_dates, 3))[:, labels]
    values = 0.02 * (common + rng.normal(size=(n_dates, n_assets)))
    values[rng.random(values.shape) < missing] = np.nan
    dates = pd.date_range("2020-01-31", periods=n_dates, freq="ME")
    return pd.DataFrame(values, dates, [f"T{i}" for i in range(n_assets)]), labels


def _slow_table(returns, labels, min_obs):
    """Correlate every pair over its own dates, one pair at a time."""
    values = np.asarray(returns)
    order = [*sorted(set(labels) - {-1}), *([-1] if -1 in labels else [])]
    found = {(a, b): [] for a in order for b in order}
    for i in range(values.shape[1]):
        for j in range(values.shape[1]):
            both = ~np.isnan(values[:, i]) & ~np.isnan(values[:, j])
            x, y = values[both, i], values[both, j]
            if i == j or both.sum() < min_obs or np.ptp(x) == 0 or np.ptp(y) == 0:
                continue
            found[labels[i], labels[j]].append(np.corrcoef(x, y)[0, 1])
    means = [[np.mean(found[a, b]) if found[a, b] else np.nan for b in order] for a in order]
    halves = [[len(found[a, b]) // (2 if a == b else 1) for b in order] for a in order]
    return pd.DataFrame(means, order, order), pd.DataFrame(halves, order, order)


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.7])
def test_table_equals_the_loop_over_pairs(missing):
    returns, labels = _returns(missing=missing)
    found = cluster_correlations(returns, labels)
    means, n_pairs = _slow_table(returns, labels, min_obs=12)
    np.testing.assert_allclose(found.table, means, atol=1e-12)
    np.testing.assert_array_equal(found.n_pairs, n_pairs)


def test_blocks_of_any_size_give_one_table(monkeypatch):
    returns, labels = _returns(missing=0.2)
    whole = cluster_correlations(returns, labels).table
    for elements in (1, 3 * returns.shape[1], 10 * returns.shape[1]):
        monkeypatch.setattr(_pairwise, "BLOCK_ELEMENTS", elements)
        pd.testing.assert_frame_equal(cluster_correlations(returns, labels).table, whole)


def test_complete_returns_agree_with_the_path_for_missing_ones():
    returns, labels = _returns()
    member = np.eye(3)[labels]
    fast, fast_pairs = _pairwise.mean_correlations(returns.to_numpy(), member, 12)
    with_gap = np.vstack([returns.to_numpy(), np.full(returns.shape[1], np.nan)])
    slow, slow_pairs = _pairwise.mean_correlations(with_gap, member, 12)
    np.testing.assert_allclose(fast, slow, atol=1e-12)
    np.testing.assert_array_equal(fast_pairs, slow_pairs)


def test_table_is_symmetric_and_upper_shows_half_of_it():
    returns, labels = _returns(missing=0.1)
    found = cluster_correlations(returns, labels)
    np.testing.assert_allclose(found.table, found.table.T, atol=1e-14)
    upper = found.upper().to_numpy()
    assert np.isnan(upper[np.tril_indices(3, -1)]).all()
    assert not np.isnan(upper[np.triu_indices(3)]).any()


def test_within_and_between_are_means_over_all_pairs():
    returns, labels = _returns(n_assets=13)
    found = cluster_correlations(returns, labels)
    matrix = np.corrcoef(returns.T)
    same = labels[:, None] == labels
    pairs = np.triu(np.ones_like(same), k=1)
    assert found.within == pytest.approx(matrix[same & pairs].mean())
    assert found.between == pytest.approx(matrix[~same & pairs].mean())
    assert found.contrast == pytest.approx(found.within - found.between)
    assert found.contrast > 0.3


def test_a_singleton_has_no_correlation_with_itself():
    returns, _ = _returns(n_assets=3)
    found = cluster_correlations(returns, [0, 0, 1])
    assert np.isnan(found.table.at[1, 1])
    assert found.n_pairs.at[1, 1] == 0
    assert found.within == pytest.approx(returns.corr().iloc[0, 1])


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_constant_and_empty_returns_are_left_out(missing):
    returns, labels = _returns(missing=missing)
    returns["T3"] = 0.01
    if missing:
        returns["T4"] = np.nan
    found = cluster_correlations(returns, labels)
    means, n_pairs = _slow_table(returns, labels, 12)
    np.testing.assert_allclose(found.table, means, atol=1e-12)
    np.testing.assert_array_equal(found.n_pairs, n_pairs)


def test_noise_has_a_row_but_no_part_in_the_means():
    returns, labels = _returns()
    noisy = labels.copy()
    noisy[:3] = -1
    found = cluster_correlations(returns, noisy)
    alone = cluster_correlations(returns.iloc[:, 3:], labels[3:])
    assert list(found.table.index) == [0, 1, 2, -1]
    np.testing.assert_allclose(found.table.iloc[:3, :3], alone.table)
    assert found.within == pytest.approx(alone.within)
    assert found.between == pytest.approx(alone.between)


def test_correlations_do_not_depend_on_the_unit_or_level_of_returns():
    returns, labels = _returns(missing=0.1)
    a = cluster_correlations(returns, labels).table
    b = cluster_correlations(100.0 * returns + 1e4, labels).table
    np.testing.assert_allclose(a, b, atol=1e-7)


def test_labels_are_matched_with_columns_by_name():
    returns, labels = _returns()
    series = pd.Series(labels, returns.columns).sample(frac=1.0, random_state=1)
    expected = cluster_correlations(returns, labels).table
    pd.testing.assert_frame_equal(cluster_correlations(returns, series).table, expected)
    with pytest.raises(ValueError, match="columns of returns must carry the same names"):
        cluster_correlations(returns, series.iloc[1:])
    found = cluster_returns(returns, series).table
    pd.testing.assert_frame_equal(found, cluster_returns(returns, labels).table)


def test_polars_returns_with_a_date_column_are_read():
    returns, labels = _returns(missing=0.1)
    frame = pl.DataFrame(
        {"date": returns.index.to_numpy()} | {name: returns[name].to_numpy() for name in returns}
    )
    series = pd.Series(labels, returns.columns)
    pd.testing.assert_frame_equal(
        cluster_correlations(frame, series).table, cluster_correlations(returns, labels).table
    )
    portfolios = cluster_returns(frame, series).portfolios
    assert portfolios.index[0] == returns.index[0]


def test_bad_input_of_correlations_is_refused():
    returns, labels = _returns(n_dates=10)
    with pytest.raises(ValueError, match="must be at most 10, the number of dates in `returns`"):
        cluster_correlations(returns, labels)
    with pytest.raises(ValueError, match="'min_obs' parameter .* Got 1 instead"):
        cluster_correlations(returns, labels, min_obs=1)
    with pytest.raises(ValueError, match="Input returns contains infinity"):
        cluster_correlations(returns.replace(returns.iloc[0, 0], np.inf), labels)
    with pytest.raises(ValueError, match="column of returns must hold numbers; got column 'T0'"):
        cluster_correlations(returns.assign(T0="x"), labels)
    with pytest.raises(ValueError, match=r"at least one row and one column; got shape \(0, 14\)"):
        cluster_correlations(returns.iloc[:0], labels)


def _slow_drawdown(returns):
    wealth = peak = 1.0
    worst = 0.0
    for r in returns:
        if not np.isnan(r):
            wealth *= 1.0 + r
        peak = max(peak, wealth)
        worst = min(worst, wealth / peak - 1.0)
    return worst


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_returns_of_clusters_equal_those_computed_date_by_date(missing):
    returns, labels = _returns(missing=missing)
    returns.iloc[5, labels == 1] = np.nan
    found = cluster_returns(returns, labels, periods_per_year=12)
    for label in range(3):
        series = [
            np.mean([r for r in row[labels == label] if not np.isnan(r)] or [np.nan])
            if not np.isnan(row[labels == label]).all()
            else np.nan
            for row in returns.to_numpy()
        ]
        np.testing.assert_allclose(found.portfolios[label], series)
        known = np.array(series)[~np.isnan(series)]
        row = found.table.loc[label]
        assert row["mean_return"] == pytest.approx(12 * known.mean())
        assert row["volatility"] == pytest.approx(np.sqrt(12) * known.std(ddof=1))
        assert row["sharpe"] == pytest.approx(row["mean_return"] / row["volatility"])
        assert row["max_drawdown"] == pytest.approx(_slow_drawdown(series))
        assert row["n_assets"] == (labels == label).sum()
        assert row["n_periods"] == len(known)


def test_assets_have_their_own_mean_and_risk():
    returns, labels = _returns(missing=0.2)
    assets = cluster_returns(returns, labels, periods_per_year=12).assets
    np.testing.assert_allclose(assets["mean_return"], 12 * returns.mean())
    np.testing.assert_allclose(assets["volatility"], np.sqrt(12) * returns.std())
    np.testing.assert_array_equal(assets["cluster"], labels)
    assert list(assets.index) == list(returns.columns)


def test_returns_are_a_period_unless_told_otherwise():
    returns, labels = _returns()
    a_period = cluster_returns(returns, labels)
    a_year = cluster_returns(returns, labels, periods_per_year=12)
    np.testing.assert_allclose(12 * a_period.table["mean_return"], a_year.table["mean_return"])
    np.testing.assert_allclose(np.sqrt(12) * a_period.table["sharpe"], a_year.table["sharpe"])
    pd.testing.assert_frame_equal(a_period.portfolios, a_year.portfolios)
    assert (a_period.unit, a_year.unit) == ("a period", "a year")


def test_a_series_that_does_not_move_has_no_sharpe_ratio():
    found = cluster_returns(np.full((30, 2), 0.01), [0, 1])
    assert found.table["sharpe"].isna().all()
    assert (found.table["max_drawdown"] == 0.0).all()


def test_an_asset_without_returns_is_nan():
    returns, labels = _returns(n_assets=4)
    returns["T1"] = np.nan
    found = cluster_returns(returns, labels)
    assert found.table.loc[1].isna().sum() == 4
    assert np.isnan(found.assets.at["T1", "mean_return"])
    assert found.table.at[1, "n_periods"] == 0


def test_one_date_has_a_mean_and_no_risk():
    table = cluster_returns([[0.1, 0.3]], [0, 0]).table
    assert table.at[0, "mean_return"] == pytest.approx(0.2)
    assert np.isnan(table.at[0, "volatility"])


def test_percentages_are_refused():
    returns, labels = _returns(n_assets=3)
    returns.iloc[2, 1] = -3.5
    with pytest.raises(ValueError) as caught:
        cluster_returns(returns, labels)
    assert str(caught.value) == (
        "`returns` must be simple returns in decimals, at least -1; got 1 below (T1 at "
        "2020-03-31 00:00:00: -3.5). Divide percentages by 100."
    )
    with pytest.raises(ValueError, match="'periods_per_year' parameter"):
        cluster_returns(returns, labels, periods_per_year=0)


def test_results_read_well_and_input_is_left_unchanged():
    returns, labels = _returns()
    before = returns.copy()
    correlations = cluster_correlations(returns, labels)
    portfolios = cluster_returns(returns, labels, periods_per_year=12)
    assert "within" in repr(correlations)
    assert "contrast +" in repr(correlations)
    assert "decimals a year, 60 periods" in repr(portfolios)
    assert "<table" in correlations._repr_html_()
    assert "<table" in portfolios._repr_html_()
    pd.testing.assert_frame_equal(returns, before)
