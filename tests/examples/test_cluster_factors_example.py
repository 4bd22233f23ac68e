"""The example of factors from clusters: its parts on a small market, the script among the slow."""

import numpy as np
import pandas as pd
import pytest
from _example_script import definitions_of, run_script

from skfactor.inference import compare_models, factor_stability, grs_test
from skfactor.portfolios import cluster_portfolios, fundamental_factors

EXAMPLE = "plot_cluster_factors.py"


@pytest.fixture(scope="module")
def example():
    with definitions_of(EXAMPLE, {"OURS", "LAG", "FF3, FF5"}) as module:
        yield module


@pytest.fixture(scope="module")
def market(example):
    return example.synthetic_market(n_assets=60, n_years=4)


@pytest.fixture(scope="module")
def clustered(example, market):
    return example.cluster_by_year(market, max_epochs=1)


def test_labels_are_made_every_june_from_accounts_that_were_known(market, clustered):
    labels, log_assets = clustered
    dates = labels.index.get_level_values("date").unique()
    assert dates.equals(market.label_dates)
    assert labels.index.equals(log_assets.index)
    first = log_assets.xs(dates[0], level="date")
    told = market.filings["total_assets"].xs(pd.Timestamp("2000-12-31"), level="date")
    both = first.index.intersection(told.dropna().index)
    np.testing.assert_allclose(first[both], np.log(told[both]))


def test_later_accounts_do_not_move_earlier_labels(example, market, clustered):
    changed = example.Market(**{**vars(market), "filings": market.filings.copy()})
    late = changed.filings.index.get_level_values("date") > "2001-12-31"
    changed.filings.loc[late] = changed.filings[late].to_numpy()[::-1]
    labels, other = clustered[0], example.cluster_by_year(changed, max_epochs=1)[0]
    until = pd.Timestamp("2002-06-30")
    early = labels.index.get_level_values("date") <= until
    pd.testing.assert_series_equal(labels[early], other[early])
    assert not labels[~early].equals(other[~early])


def test_characteristics_are_those_of_the_last_known_accounts(example, market):
    panel = example.characteristics(market)
    assert list(panel.columns) == ["LIQ", "LEV", "OE", "size", "profit"]
    assert panel.loc["2001-06-30"].isna().all(axis=None)
    july = panel.loc["2001-07-31"]
    told = market.filings.xs(pd.Timestamp("2000-12-31"), level="date")
    expected = (told["total_liabilities"] / told["total_assets"]).reindex(july.index)
    np.testing.assert_allclose(july["LEV"], expected)


def test_the_truth_stands_beside_what_was_made(example, market, clustered):
    labels, log_assets = clustered
    vars(example).update(log_assets=log_assets, small=0, large=3)
    portfolios = cluster_portfolios(labels, market.returns, match="order", order_by=log_assets)
    made = fundamental_factors(market.filings, market.returns, financial="financial")
    made = made.assign(CLU=portfolios.spread(0, 3)).dropna()
    table = example.beside_the_truth(market, made, labels)
    assert table.index.to_list() == ["LIQ", "LEV", "OE", "CLU"]
    assert table.loc["CLU", "correlation"] > 0.8
    assert (table["correlation"] > 0.3).all()


def test_the_verdict_says_what_the_tests_say(example):
    rng = np.random.default_rng(0)
    columns = [*example.FF5, "LIQ", "LEV", "OE"]
    factors = pd.DataFrame(rng.normal(0.002, 0.03, (240, 8)), columns=columns)
    factors["LIQ"] += 0.02
    names = ["LIQ", "NIL"]
    new = pd.DataFrame(
        {
            "alpha": [24.0, 0.1],
            "low": [18.0, -2.0],
            "high": [30.0, 2.0],
            "t": [8.0, 0.1],
            "p": [1e-9, 0.9],
            "R2": [0.1, 0.2],
        },
        pd.MultiIndex.from_product([["FF3"], names], names=["model", "factor"]),
    )
    models = {
        "FF3": example.FF3,
        "FF5": example.FF5,
        "FF3 + ours": [*example.FF3, *example.OURS],
        "FF3 + NIL": [*example.FF3, "RMW"],
    }
    vars(example)["made"] = factors
    said = example.verdict(
        new,
        {"FF3": grs_test(factors[example.FF3], factors[example.OURS])},
        compare_models(factors, rng.normal(0, 0.05, (240, 4)), models),
        factor_stability(factors[["LIQ"]]),
        0.5,
    )
    assert said[0].endswith("10% of its variance explained; new.")
    assert said[1].endswith("not shown to be new.")
    assert "together earn nothing beyond FF3 is rejected" in said[2]
    assert "p < 0.001, 240 months" in said[2]
    assert any(s.startswith("The further factors of FF3 + ours add to FF3") for s in said)
    assert said[-1].endswith("0.50.")


def test_the_real_files_make_a_market(example, real_data):
    market = example.real_market(real_data)
    assert market.returns.shape == (52, 494)
    assert market.returns.abs().max().max() < 2
    assert market.filings["financial"].dtype == bool
    assert market.filings.index.is_unique
    assert market.log_size.index.is_monotonic_increasing
    assert market.portfolios.shape[1] == 75


@pytest.mark.slow
def test_the_script_finds_what_is_planted_and_nothing_else(tmp_path):
    run_script(EXAMPLE, tmp_path)
    alphas = pd.read_csv(tmp_path / "alphas_of_factors.csv", index_col=[0, 1]).loc["FF3"]
    assert (alphas.loc[["LIQ", "LEV", "OE", "CLU"], "p"] < 0.05 / 6).all()
    assert alphas.loc["NIL", "p"] > 0.05
    assert np.sign(alphas.loc[["LIQ", "LEV", "OE"], "alpha"]).to_list() == [-1, 1, 1]
    nested = pd.read_csv(tmp_path / "nested.csv", index_col=1)["p_value"]
    assert nested["FF3 + ours"] < 0.001
    assert (nested[["FF5", "FF3 + NIL"]] > 0.05).all()
    planted = pd.read_csv(tmp_path / "planted.csv", index_col=0)
    assert planted.loc["CLU", "correlation"] > 0.95
    assert len(list(tmp_path.glob("*.png"))) == 3
