"""Factors rebuilt from published portfolios move with the published factors."""

import pandas as pd

from skfactor.portfolios import PortfolioSort


def test_smb_and_hml_come_back_from_the_25_portfolios(real_data):
    table = pd.read_parquet(real_data / "ff_portfolio_panel_monthly.parquet")
    table = table[(table["set"] == "ME_BM") & (table["date"] >= "1963-07-01")]
    panel = table.assign(cap=table["n_firms"] * table["avg_me"], portfolio=table["portfolio"])
    panel = panel.astype({"portfolio": str}).set_index(["date", "portfolio"])
    recipe = PortfolioSort(
        ["avg_me", "be_me_june"], [2, (0.3, 0.7)], weights="cap", long=["low", "high"]
    )
    spreads = recipe.sort(panel, "ret_vw").spreads
    published = pd.read_parquet(real_data / "ff3_factors_monthly_1926.parquet")
    both = spreads.join(published, how="inner")
    assert len(both) > 700
    assert both["avg_me"].corr(both["SMB"]) > 0.9
    assert both["be_me_june"].corr(both["HML"]) > 0.9
    assert abs(both["be_me_june"].mean() - both["HML"].mean()) < 0.15
