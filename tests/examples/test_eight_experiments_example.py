"""The eight experiments: their functions on a tiny market, the script among the slow."""

from types import SimpleNamespace

import pandas as pd
import pytest
from _example_script import definitions_of, run_script
from sklearn.metrics import adjusted_rand_score

EXAMPLE = "plot_eight_experiments.py"


@pytest.fixture(scope="module")
def example():
    with definitions_of(EXAMPLE, {"CACHE", "CLUSTERERS", "SCORERS"}) as module:
        yield module
        module.CACHE.cleanup()


@pytest.fixture(scope="module")
def stocks(example):
    return example.synthetic_stocks(n_assets=130)


@pytest.fixture(scope="module")
def sets(example, stocks):
    return example.feature_sets(stocks.tables[2019])[0]


@pytest.fixture(scope="module")
def scores(example, sets):
    pipeline = example.deep_clustering(8, autoencoder=True, max_epochs=3, max_iter=50)
    choice = example.judge(pipeline, sets["original"], (3, 4), n_draws=2)
    return example.tidy_scores(choice, run="Exp 5", clusterer="K-means")


def test_the_four_feature_sets_describe_the_same_stocks(sets):
    assert [table.shape[1] for table in sets.values()] == [8, 32, 42, 10]
    assert len({tuple(table.index) for table in sets.values()}) == 1


def test_stocks_that_are_no_longer_listed_are_dropped_for_want_of_prices(example, stocks):
    _, report = example.feature_sets(stocks.tables[2019])
    assert report.missing_from("price") == list(report.dropped)
    assert len(report.dropped) > 0


def test_scores_are_laid_out_as_published(example, scores):
    table = example.as_published(scores, "K-means", "map")
    assert list(table.columns) == ["n=3 Silhou", "n=3 Davies", "n=4 Silhou", "n=4 Davies"]
    assert (table > 0).all(axis=None)


def test_the_davies_bouldin_index_loses_its_sign_and_the_silhouette_keeps_it(example):
    scores = ["features, silhouette", "features, davies_bouldin"]
    null = pd.DataFrame({"n_clusters": 3, "score": scores, "observed": -0.1, "null_mean": -0.2})
    table = pd.DataFrame({"n_clusters": [3], "stability": [0.5]})
    tidy = example.tidy_scores(SimpleNamespace(null=null, table=table))
    assert tidy["observed"].tolist() == [-0.1, 0.1]
    assert tidy["null_mean"].tolist() == [-0.2, 0.2]


def test_the_lift_is_what_the_score_gains_over_the_null(example, scores):
    silhouette = example.with_null(scores, "K-means", "features", "silhouette").loc["Exp 5"]
    assert silhouette["n=3 lift"] == pytest.approx(silhouette["n=3"] - silhouette["n=3 null"])
    davies = example.with_null(scores, "K-means", "features", "davies_bouldin").loc["Exp 5"]
    assert davies["n=3 lift"] == pytest.approx(davies["n=3 null"] - davies["n=3"])


def test_the_code_has_four_values_for_ten_columns_and_eight_for_more(example):
    sizes = {
        n: example.deep_clustering(n, autoencoder=True)
        .named_steps["map"]
        .named_steps["encode"]
        .n_components
        for n in (8, 10, 32)
    }
    assert sizes == {8: 4, 10: 4, 32: 8}


def test_without_the_autoencoder_the_map_is_made_from_the_features(example, sets):
    pipeline = example.deep_clustering(8, autoencoder=False, max_iter=50)
    assert pipeline.named_steps["map"].named_steps["encode"] == "passthrough"
    assert pipeline[:-1].fit_transform(sets["original"]).shape == (len(sets["original"]), 2)


def test_properties_are_ratios_without_infinities(example, sets):
    table = example.properties(sets["original + extension"])
    assert table.shape[1] == 4
    assert table.abs().max().max() < float("inf")


def test_tables_are_written_only_where_a_folder_is_named(example, tmp_path, capsys):
    table = pd.DataFrame({"n=3": [0.12345]}, index=pd.Index(["Exp 1"], name="run"))
    example.OUTPUT = None
    example.show(table, "scores")
    assert "0.123" in capsys.readouterr().out
    example.OUTPUT = tmp_path / "new"
    example.show(table, "scores")
    assert (tmp_path / "new" / "scores.csv").read_text() == "run,n=3\nExp 1,0.123\n"


def test_the_features_alone_find_the_clusters_of_the_synthetic_market(example, stocks, sets):
    X = sets["original + extension"]
    found = example.baseline("raw").set_params(cluster__n_clusters=4).fit_predict(X)
    assert adjusted_rand_score(stocks.groups.loc[X.index], found) > 0.9


@pytest.mark.slow
def test_the_script_runs_and_reports_clusters_where_there_are_some(tmp_path):
    said = run_script(EXAMPLE, tmp_path)
    assert "No clusters: for none of the 4 numbers tried" in said
    assert pd.read_csv(tmp_path / "kmeans_map.csv", index_col=0).shape == (8, 8)
    agreement = pd.read_csv(tmp_path / "agreement_with_groups.csv", index_col=0)
    assert agreement.max(axis=None) > 0.9
    assert len(list(tmp_path.glob("*.png"))) == 7
