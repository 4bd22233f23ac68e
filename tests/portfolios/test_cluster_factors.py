"""Factors from clusters: neutral to size, and the same whenever clusters are made or not."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import adjusted_rand_score

from skfactor.portfolios import cluster_portfolios

DATES = pd.date_range("2020-01-31", periods=48, freq="ME", name="date")
ASSETS = pd.Index([f"A{i:03d}" for i in range(120)], name="asset")


def market(size_effect=0.0, cluster_effect=0.0, seed=0, noise=0.05):
    """Two clusters of which the first is larger, and returns that pay for one or the other."""
    rng = np.random.default_rng(seed)
    labels = pd.Series(np.repeat([0, 1], 60), ASSETS)
    log_size = 5 + 1.5 * (labels == 0) + rng.normal(0, 1, 120)
    sizes = pd.DataFrame(np.tile(log_size, (48, 1)), DATES, ASSETS)
    sizes += 0.1 * rng.normal(size=sizes.shape)
    paid = size_effect * sizes.shift(1, fill_value=0.0).to_numpy()
    paid = paid + cluster_effect * (labels == 0).to_numpy()
    returns = pd.DataFrame(paid + noise * rng.normal(size=paid.shape), DATES, ASSETS)
    return labels, returns.mask(rng.random(paid.shape) < 0.05), sizes


def slow_neutral(labels, returns, frames, caps=None):
    """One weighted regression a date, with what was known the date before."""
    out = pd.Series(np.nan, returns.index)
    for before, day in zip(returns.index[:-1], returns.index[1:], strict=True):
        rows, target, weight = [], [], []
        for asset in returns.columns:
            x = [frame.loc[before, asset] for frame in frames]
            r = returns.loc[day, asset]
            if labels[asset] in (0, 1) and not np.isnan([r, *x]).any():
                rows.append([1.0, labels[asset] == 0, *x])
                target.append(r)
                weight.append(1.0 if caps is None else caps.loc[before, asset])
        w = np.sqrt(weight)
        fit = np.linalg.lstsq(np.array(rows, float) * w[:, None], np.array(target) * w, rcond=None)
        out[day] = fit[0][1]
    return out


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_frames", [1, 2])
def test_neutral_spread_is_a_regression_a_date(weighted, n_frames):
    labels, returns, sizes = market(0.01, 0.01)
    rng = np.random.default_rng(1)
    frames = [sizes, pd.DataFrame(rng.normal(size=sizes.shape), DATES, ASSETS)][:n_frames]
    frames[0] = frames[0].mask(rng.random(sizes.shape) < 0.1)
    caps = np.exp(sizes) if weighted else None
    labels.iloc[[0, 100]] = -1
    portfolios = cluster_portfolios(labels, returns, known_from="2020-01-31", weights=caps)
    found = portfolios.spread(0, 1, "CLU", neutral_to=frames if n_frames > 1 else frames[0])
    assert_allclose(found, slow_neutral(labels, returns, frames, caps), rtol=1e-8, atol=1e-14)
    assert found.name == "CLU"
    assert np.isnan(found.iloc[0])


def test_spread_neutral_to_nothing_that_matters_is_the_plain_spread():
    labels, returns, sizes = market()
    flat = pd.DataFrame(np.tile(np.resize([1.0, -1.0], 120), (48, 1)), DATES, ASSETS)
    portfolios = cluster_portfolios(
        labels, returns.fillna(0.0), known_from="2020-01-31", weights=np.exp(sizes) * 0 + 1
    )
    # As many of either sign in both clusters: nothing to take out.
    assert_allclose(
        portfolios.spread(0, 1, neutral_to=flat).iloc[1:],
        portfolios.spread(0, 1).iloc[1:],
        atol=1e-15,
    )


def test_a_premium_of_size_leaves_nothing_and_one_of_the_cluster_stays():
    labels, returns, sizes = market(size_effect=0.01)
    portfolios = cluster_portfolios(labels, returns, known_from="2020-01-31")
    plain, net = portfolios.spread(0, 1), portfolios.spread(0, 1, neutral_to=sizes)
    assert plain.mean() > 0.012
    assert abs(net.mean()) < 3 * net.std() / np.sqrt(47)
    labels, returns, sizes = market(cluster_effect=0.01)
    portfolios = cluster_portfolios(labels, returns, known_from="2020-01-31")
    net = portfolios.spread(0, 1, neutral_to=sizes)
    assert abs(net.mean() - 0.01) < 3 * net.std() / np.sqrt(47)
    assert net.mean() > 0.005


def test_later_sizes_do_not_move_an_earlier_spread():
    labels, returns, sizes = market(0.01)
    portfolios = cluster_portfolios(labels, returns, known_from="2020-01-31")
    changed = sizes.copy()
    changed.loc["2022-01-31":] = np.random.default_rng(0).normal(size=(24, 120))
    one, other = (portfolios.spread(0, 1, neutral_to=frame) for frame in (sizes, changed))
    assert_allclose(one.loc[:"2022-01-31"], other.loc[:"2022-01-31"])
    assert not np.allclose(one.loc["2022-02-28":], other.loc["2022-02-28":])


def test_a_cluster_that_its_size_gives_away_has_no_neutral_spread():
    labels, returns, sizes = market()
    portfolios = cluster_portfolios(labels, returns, known_from="2020-01-31")
    same = pd.DataFrame(np.tile((labels == 0).astype(float), (48, 1)), DATES, ASSETS)
    assert portfolios.spread(0, 1, neutral_to=same).isna().all()
    unknown = sizes.set_axis([f"B{i}" for i in range(120)], axis=1)
    assert portfolios.spread(0, 1, neutral_to=unknown).isna().all()


def by_date(first, second):
    return pd.concat({DATES[0]: first, DATES[24]: second}, names=["date", "asset"])


def test_vintages_are_the_spreads_of_labels_that_are_kept():
    rng = np.random.default_rng(3)
    _, returns, sizes = market(cluster_effect=0.01)
    first, second = (pd.Series(rng.integers(0, 3, 120), ASSETS) for _ in range(2))
    caps = np.exp(sizes)
    both = cluster_portfolios(by_date(first, second), returns, match=None, weights=caps)
    found = both.vintages(0, 1)
    assert found.columns.to_list() == [DATES[0], DATES[24]]
    for labels, since in ((first, DATES[0]), (second, DATES[24])):
        alone = cluster_portfolios(labels, returns, known_from=since, weights=caps)
        assert_allclose(found[since], alone.spread(0, 1), rtol=1e-10)
    assert found[DATES[24]].first_valid_index() == DATES[25]


def test_the_factor_of_the_same_clusters_is_the_same_and_of_others_is_not():
    rng = np.random.default_rng(3)
    labels, returns, _ = market()
    returns = returns + 0.05 * rng.normal(size=(48, 1)) * (labels == 0).to_numpy()
    drifted = labels.copy()
    drifted.iloc[rng.choice(120, 10, replace=False)] ^= 1
    same = cluster_portfolios(by_date(labels, drifted), returns)
    assert same.vintages(0, 1).corr(min_periods=12).iloc[0, 1] > 0.95
    assert same.stability.iloc[1] == pytest.approx(110 / 120)
    mixed = pd.Series(rng.permutation(labels), ASSETS)
    other = cluster_portfolios(by_date(labels, mixed), returns, match=None)
    assert abs(other.vintages(0, 1).corr(min_periods=12).iloc[0, 1]) < 0.6


def test_agreement_is_the_adjusted_rand_index_on_common_assets():
    rng = np.random.default_rng(4)
    first, second = (pd.Series(rng.integers(-1, 3, 120), ASSETS) for _ in range(2))
    found = cluster_portfolios(by_date(first, second), market()[1]).agreement
    both = (first >= 0) & (second >= 0)
    expected = adjusted_rand_score(first[both], second[both])
    assert_allclose(found, [[1.0, expected], [expected, 1.0]])
    text = first.map({-1: None, 0: "a", 1: "b", 2: "c"})
    renamed = cluster_portfolios(by_date(first, text), market()[1], match=None).agreement
    assert_allclose(renamed, 1.0)
    apart = by_date(first.iloc[:60], second.iloc[60:])
    assert np.isnan(cluster_portfolios(apart, market()[1]).agreement.iloc[0, 1])


def test_assets_that_come_and_go_between_label_dates_are_matched():
    labels, returns, _ = market()
    later = (1 - labels).iloc[30:].drop("A050")
    found = cluster_portfolios(by_date(labels.iloc[:90], later), returns)
    assert found.labels.iloc[1].dropna().to_dict() == labels[later.index].to_dict()
    assert found.labels.iloc[1][["A000", "A050"]].tolist() == [None, None]
    assert found.returns.columns.to_list() == [0, 1]
    assert found.stability.iloc[1] == 1.0
    size = pd.Series(np.arange(120.0), ASSETS)
    ordered = cluster_portfolios(
        by_date(labels, later), returns, match="order", order_by=-size
    ).labels.iloc[1]
    assert ordered["A100"] == 0
    assert ordered["A000"] is None


def test_unknown_clusters_are_refused():
    labels, returns, sizes = market()
    portfolios = cluster_portfolios(labels, returns, known_from="2020-01-31")
    with pytest.raises(ValueError, match="must be clusters, 0, 1; got 7"):
        portfolios.vintages(0, 7)
    with pytest.raises(ValueError, match="must be clusters, 0, 1; got 'x'"):
        portfolios.spread("x", 0, neutral_to=sizes)
    with pytest.raises(TypeError, match="`neutral_to` must be a pandas DataFrame"):
        portfolios.spread(0, 1, neutral_to=sizes.to_numpy())
