"""The clustering of price paths: the script's functions by hand, the script among the slow."""

import numpy as np
import pandas as pd
import pytest
from _example_script import definitions_of, run_script
from sklearn.decomposition import PCA

EXAMPLE = "plot_conv_clustering.py"


@pytest.fixture(scope="module")
def example():
    with definitions_of(EXAMPLE, {"WINDOW", "N_CLUSTERS", "HIS_CLUSTER_3"}) as module:
        yield module


@pytest.fixture
def paths():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(6, 20)).cumsum(axis=1), index=list("ABCDEF"))


def test_a_path_is_turned_four_ways(example):
    turned = example.turned([[1.0, 2.0]])
    assert turned.tolist() == [[1, 2], [-1, -2], [2, 1], [-2, -1]]


def test_r2_is_centred_on_the_training_mean(example, paths):
    example.MEAN = np.zeros(20)
    reducer = PCA(2).fit(paths)
    error = paths - reducer.inverse_transform(reducer.transform(paths))
    expected = 1 - (error**2).to_numpy().sum() / (paths**2).to_numpy().sum()
    assert example.r2(reducer, paths) == pytest.approx(expected)


def test_clusters_are_numbered_by_their_mean_gain(example):
    prices = pd.DataFrame({"first": 1.0, "last": [3.0, 1.0, 2.0, 1.0]}, index=list("ABCD"))
    assert example.by_mean_gain(np.array([0, 2, 1, 2]), prices).tolist() == [2, 0, 1, 0]


def test_members_are_listed_with_their_sectors(example):
    prices = pd.DataFrame({"first": 1.0, "last": [3.0, 1.0, 2.0]}, index=list("ABC"))
    labels = pd.Series([0, 0, 1], index=list("ABC"))
    table = example.member_table(labels, prices, pd.Series({"A": "Energy", "B": "Energy"}))
    assert table["members"].tolist() == ["A B", "C"]
    assert table["median gain"].tolist() == [1.0, 1.0]
    assert table["sectors"].tolist() == ["Energy 100%", ""]


def test_overlap_stands_beside_what_chance_gives(example):
    labels = pd.Series([0, 0, 1, 1], index=["AAPL", "XOM", "MSFT", "AMZN"])
    table = example.overlap(labels, example.HIS_CLUSTER_3.split())
    assert table["on_his_list"].tolist() == [1, 2]
    assert table["expected at random"].tolist() == [1.5, 1.5]


def test_principal_components_get_the_better_training_set(example, paths):
    example.MEAN = np.zeros(20)
    example.train, example.test = paths.iloc[:4], paths
    example.training_rows = example.turned(paths.iloc[:4])
    scores = [example.r2(PCA(2).fit(X), paths) for X in (paths[:4], example.training_rows)]
    assert example.pca_r2(2) == max(scores) > min(scores)


def test_who_has_a_gap_is_named(example):
    prices = pd.DataFrame({"A": [1.0, 2.0], "B": [np.nan, 2.0]})
    assert example.left_out(prices, ["A"]) == (
        "1 of 2 stocks have a price on each of the 2 days. "
        "Left out, with the days they miss: B (1)."
    )
    assert example.left_out(prices[["A"]], ["A"]) == (
        "All 1 stocks have a price on each of the 2 days."
    )


def test_dbscan_reaches_to_the_fifth_neighbour(example):
    codes = np.arange(9.0)[:, None] ** 2
    gaps = np.abs(codes - codes.T)
    assert example.dbscan(codes).eps == np.median(np.sort(gaps, axis=1)[:, 5])


@pytest.mark.slow
def test_the_script_runs_and_writes_its_tables(tmp_path):
    run_script(EXAMPLE, tmp_path)
    reconstruction = pd.read_csv(tmp_path / "conv_reconstruction.csv", index_col=0)
    assert reconstruction["autoencoder"].is_monotonic_increasing
    own = pd.read_csv(tmp_path / "conv_own_protocol.csv", index_col=0)
    assert own["R2 on its own rows"].is_monotonic_increasing
    assert (own["R2 on its own rows"] > own["PCA on its own rows"] - 0.03).all()
    assert len(list(tmp_path.glob("*.png"))) == 7
