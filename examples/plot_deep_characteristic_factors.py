"""
Deep characteristics-sorted factors, from raw data
==================================================

The study "Deep learning for asset pricing using characteristics-sorted factor models" (Agarwal,
Zouiten and Tulsian), after Feng, He, Polson and Xu (Journal of Financial and Quantitative Analysis,
2023), looks for factors that price stocks beyond those of Fama and French, and for betas that are
not linear in characteristics. This example walks its whole road: daily prices and volumes and
filings to monthly characteristics, a universe of liquid stocks, scaling by month, the model beside
the benchmark, its figures, and what the study left as future work: portfolios and hedges.

It runs on a simulated market, where what prices stocks beyond the benchmark is known, in less than
a minute. Name a folder with real files in the environment variable ``SKFACTOR_DATA``, and in
``SKFACTOR_PANEL`` one of ``sp500_daily`` (the whole road, from daily prices and yearly accounts),
``us_monthly_price_chars`` and ``sp500_monthly_chars``, to run it on them. Tables and pictures are
written to the folder named by ``SKFACTOR_OUTPUT``, by default ``output``; set it empty to write
nothing.
"""

# %%
# The data road
# -------------
# A row is a stock on a date: characteristics known at the end of the month before, and the excess
# return of the month.

import os
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from skfolio.optimization import MeanRisk

from skfactor.datasets import make_stock_universe, read_factors
from skfactor.factor_models import DeepCharacteristicFactorModel, skfolio_prior
from skfactor.inspection import characteristic_importance
from skfactor.linear_model import FamaFrenchRegressor
from skfactor.metrics import sharpe_ratio
from skfactor.portfolios import (
    fundamental_characteristics,
    hedging_effectiveness,
    minimum_variance_portfolio,
    tangency_portfolio,
)
from skfactor.preprocessing import (
    CrossSectionalScaler,
    liquid_universe,
    monthly_returns,
    price_characteristics,
)


@dataclass
class Market:
    """A panel, the benchmark, other known factors to read the deep ones by, and test portfolios.

    ``n_train`` months come before the test.
    """

    X: pd.DataFrame
    y: pd.Series
    benchmark: pd.DataFrame
    known: pd.DataFrame
    tests: pd.DataFrame
    n_train: int
    effort: dict


def panel_of(prices, volumes, filings, risk_free, *, shares, filings_per_year, lag, n_assets):
    """Go from daily tables and filings to characteristics and the excess returns beside them.

    Firms without accounts are left out, as in the study.
    """
    technical = price_characteristics(prices, volumes, shares=shares)
    worth = np.exp(technical["size"]) if "size" in technical else None
    fundamental = fundamental_characteristics(
        filings,
        technical.index,
        market_cap=worth,
        lag=lag,
        filings_per_year=filings_per_year,
    )
    X = technical.join(fundamental.drop(columns="fiscal_end"))
    X = X.loc[:, X.notna().mean() > 0.3]
    X = X[fundamental["fiscal_end"].notna().to_numpy()]
    by = "dollar_volume" if "dollar_volume" in X else "size"
    # Characteristics are known beforehand, so they may choose the universe of their own date.
    X = X[liquid_universe(X, n_assets, by=by, lag=0).to_numpy()]
    returns = monthly_returns(prices).reindex(X.index)
    rate = risk_free.reindex(X.index.get_level_values("date")).to_numpy()
    y = (returns - rate).rename("excess")
    last = X.index.get_level_values("date") <= returns.dropna().index.get_level_values(0).max()
    return X[last], y[last]


def simulated():
    universe = make_stock_universe(n_assets=150, n_years=9, random_state=0)
    accounts = universe.fundamentals.join(universe.extension)
    # Shares outstanding follow from market value and price at each fiscal year's end, and are
    # known half a year later.
    worth = accounts["market_cap"].unstack("ticker")
    at = universe.prices.reindex(worth.index, method="ffill")
    known = (worth / at).set_axis(worth.index + pd.DateOffset(months=6))
    shares = known.reindex(universe.prices.index, method="ffill")
    filings = accounts.drop(columns="market_cap")
    X, y = panel_of(
        universe.prices,
        None,
        filings,
        universe.risk_free,
        shares=shares,
        filings_per_year=1,
        lag="6 months",
        n_assets=120,
    )
    factors = universe.factors
    groups = universe.clusters.astype(str) + "/" + universe.sectors.astype(str)
    excess = universe.returns.sub(universe.risk_free, axis=0)
    tests = excess.T.groupby(groups).mean().T
    tests = tests.loc[:, tests.notna().all()]
    return Market(
        X,
        y,
        factors[["Mkt-RF", "SMB", "HML"]],
        factors[["Mkt-RF", "SMB", "HML", "LIQ", "LEV", "OE"]],
        tests,
        n_train=60,
        effort={"n_members": 1, "n_restarts": 2},
    )


ITEMS = {
    "Total Equity": "total_equity",
    "Total Assets": "total_assets",
    "Total Liabilities": "total_liabilities",
    "Total Revenue": "sales",
    "Cost of Revenue": "cost_of_goods_sold",
    "Net Income": "net_income",
    "Operating Income": "operating_income",
    "Net Cash Flow-Operating": "operating_cash_flow",
    "Total Current Assets": "current_assets",
    "Total Current Liabilities": "current_liabilities",
    "Long-Term Debt": "long_term_debt",
    "Cash and Cash Equivalents": "cash",
    "Inventory": "inventory",
    "Net Receivables": "receivables",
    "Fixed Assets": "property_plant_equipment",
    "Research and Development": "research_and_development",
    "Earnings Per Share": "eps",
    "Estimated Shares Outstanding": "shares",
}


def real_market(folder, name):
    """Read one of the real panels, French's factors and his industries."""
    folder = Path(folder)
    factors = read_factors(folder / "ff_factors_monthly.parquet").dropna()
    portfolios = read_factors(folder / "ff_portfolios_monthly_vw.parquet")
    industries = portfolios.loc[:, portfolios.columns.str.startswith("IND49")]
    industries = industries.rename(columns=lambda c: c.partition("|")[2].strip())
    industries = industries.sub(factors["RF"], axis=0).loc[factors.index]
    known = factors[["Mkt-RF", "SMB", "HML", "RMW", "CMA", "Mom"]]
    if name == "sp500_daily":
        daily = pd.read_parquet(folder / "sp500_daily_ohlcv_5yr.parquet")
        prices = daily.pivot(index="date", columns="Name", values="close").astype(float)
        volumes = daily.pivot(index="date", columns="Name", values="volume").astype(float)
        filings = pd.read_parquet(folder / "nyse_fundamentals.parquet")
        filings = filings.rename(
            columns={"Ticker Symbol": "ticker", "Period Ending": "date", **ITEMS}
        ).drop_duplicates(["ticker", "date"])
        by_year = filings.pivot_table(index="date", columns="ticker", values="shares")
        public = by_year.set_axis(by_year.index + pd.DateOffset(months=6))
        public = public.groupby(level=0).last().ffill()
        shares = public.reindex(prices.index, method="ffill").reindex(columns=prices.columns)
        X, y = panel_of(
            prices,
            volumes,
            filings,
            factors["RF"],
            shares=shares,
            filings_per_year=1,
            lag="6 months",
            n_assets=400,
        )
    else:
        table = pd.read_parquet(folder / f"{name}.parquet")
        table = table.rename(columns={"Ticker": "asset"}).astype({"asset": str})
        table = table.set_index(["date", "asset"])
        y = table["ret_exc"].astype(float).rename("excess")
        X = table.drop(columns=["ret", "ret_exc"]).select_dtypes("number").astype(float)
    dates = X.index.get_level_values("date")
    inside = dates.isin(factors.index)
    X, y = X[inside], y[inside]
    n_dates = len(X.index.get_level_values("date").unique())
    return Market(
        X, y, factors[["Mkt-RF", "SMB", "HML"]], known, industries, round(0.65 * n_dates), {}
    )


folder = os.environ.get("SKFACTOR_DATA")
name = os.environ.get("SKFACTOR_PANEL", "us_monthly_price_chars") if folder else "simulated"
market = real_market(folder, name) if folder else simulated()
output = os.environ.get("SKFACTOR_OUTPUT", "output")


def save(thing, stem):
    """Write a table or a picture."""
    if not output:
        return
    Path(output).mkdir(parents=True, exist_ok=True)
    if isinstance(thing, pd.DataFrame):
        thing.to_csv(Path(output) / f"{name}_{stem}.csv", float_format="%.6g")
    else:
        thing.savefig(Path(output) / f"{name}_{stem}.png", dpi=110)


# Ranks within each month, from -1 to 1; what is missing is put in the middle, at zero.
Z = CrossSectionalScaler("rank", missing="zero").fit(market.X).transform(market.X)
months = Z.index.get_level_values("date").unique().sort_values()
at = Z.index.get_level_values("date")
early = at < months[market.n_train]
print(f"{len(Z)} rows, {Z.shape[1]} characteristics, {len(months)} months")

# %%
# The model beside its benchmark
# ------------------------------
# The defaults are the study's, but for the start: a network of least squares finds the betas
# first, because from random weights training often ends before a factor is found.

model = DeepCharacteristicFactorModel(
    benchmark=market.benchmark, random_state=0, **market.effort
).fit(Z[early], market.y[early])


def r2_of(fitted, rows):
    """Return the total R² of a model and of the same model without deep factors."""
    pair = (fitted, fitted.benchmark_model_)
    return [each.score(Z[rows], market.y[rows]) for each in pair]


fits = pd.DataFrame(
    [r2_of(model, early), r2_of(model, ~early)],
    index=["train", "test"],
    columns=["model", "benchmark"],
)
fits["gain"] = fits["model"] - fits["benchmark"]
save(fits, "total_r2")
fits.round(4)

# %%
# The study's own training
# ------------------------
# From random weights, one network: early stopping off and on, and three losses side by side. Each
# is judged by its total R² on the test months.

study = {"start": "random", "n_members": 1, "n_restarts": 1, "random_state": 0}
runs = {"early stopping off": {"patience": None, "max_epochs": 60}, "early stopping on": {}}
runs |= {loss: {"loss": loss, "patience": 10} for loss in ("mse", "mae", "huber")}
trained = {
    title: DeepCharacteristicFactorModel(benchmark=market.benchmark, **study, **settings).fit(
        Z[early], market.y[early]
    )
    for title, settings in runs.items()
}
comparison = pd.DataFrame(
    {title: r2_of(fitted, ~early) for title, fitted in trained.items()},
    index=["model", "benchmark"],
).T
comparison["gain"] = comparison["model"] - comparison["benchmark"]
comparison["epochs"] = [len(fitted.history_[0]["train_loss"]) for fitted in trained.values()]
save(comparison, "study_training")
comparison.round(4)

# %%

figure, axes = plt.subplots(1, len(runs), figsize=(15, 3.2), constrained_layout=True)
for ax, (title, fitted) in zip(axes, trained.items(), strict=True):
    history = fitted.history_[0]
    epochs = np.arange(1, len(history["train_loss"]) + 1)
    ax.plot(epochs, history["train_loss"], label="train")
    ax.plot(epochs, history["valid_loss"], label="held out")
    ax.axvline(fitted.members_[0].best_epoch, color="grey", lw=0.8, ls=":")
    ax.set(title=title, xlabel="epoch")
axes[0].set_ylabel("loss")
axes[0].legend(frameon=False)
save(figure, "losses")

# %%
# Factor returns
# --------------
# What a unit invested in each factor would have become; the test begins at the line.

factors = model.factor_returns(Z, market.y)
figure, ax = plt.subplots(figsize=(8, 4), constrained_layout=True)
for column in factors:
    style = {"lw": 2} if column.startswith("factor") else {"lw": 1, "alpha": 0.7}
    label = column.replace("factor", "deep factor ")
    ax.plot(factors.index, (1 + factors[column]).cumprod(), label=label, **style)
ax.axvline(months[market.n_train], color="grey", lw=0.8, ls=":")
ax.axhline(1.0, color="black", lw=0.5)
ax.set(ylabel="value of 1 invested", title="Deep and benchmark factors")
ax.legend(frameon=False, ncols=2)
save(figure, "cumulative_returns")

# %%
# What they are
# -------------
# Each deep factor regressed on known factors, and its correlation with the test portfolios once
# the market is taken out.

deep = factors.iloc[:, : model.n_factors]
known = market.known.reindex(deep.index)
reading = FamaFrenchRegressor().fit(known, deep)
table = pd.DataFrame(reading.coef_, deep.columns, known.columns)
table.insert(0, "R²", reading.rsquared_)
table.insert(0, "alpha, % a year", 1200 * reading.intercept_)
table.insert(1, "t of alpha", reading.tvalues_[:, 0])
save(table, "known_factors")
table.round(2)

# %%

tests = market.tests.reindex(deep.index)
index = known.iloc[:, :1]
residual = FamaFrenchRegressor().fit(index, tests.join(deep))
left = tests.join(deep) - residual.predict(index)
correlation = left.corr().loc[tests.columns, deep.columns]


def told(values):
    """Write portfolios and their correlations into one line."""
    return ", ".join(f"{label} {value:.2f}" for label, value in values.items())


extremes = pd.DataFrame(
    {c: [told(correlation[c].nlargest(4)), told(correlation[c].nsmallest(4))] for c in deep},
    index=["with", "against"],
).T
save(correlation, "test_portfolios")
extremes

# %%
# Importance
# ----------
# The study's: mean absolute gradients of the deep characteristics, at the end, and through the
# epochs of the training without early stopping. Beside it, the R² lost on the test months when a
# characteristic is zero for all.

lost = characteristic_importance(model, Z[~early], market.y[~early])["r2_lost"]
importance = pd.DataFrame({"gradient": model.importance_, "r2_lost": lost.reindex(Z.columns)})
importance = importance.sort_values("gradient", ascending=False)
save(importance, "importance")
shown = importance.head(15).iloc[::-1]
figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), constrained_layout=True)
axes[0].barh(shown.index, shown["gradient"])
axes[0].set(title="Mean absolute gradient")
by_loss = importance["r2_lost"].nlargest(15).iloc[::-1]
axes[1].barh(by_loss.index, 100 * by_loss, color="tab:orange")
axes[1].set(title="Total R² lost on zeroing, points")
path = trained["early stopping off"].importance_history(Z[early])
top = path.iloc[-1].nlargest(6).index
axes[2].plot(path.index, path, color="lightgrey", lw=0.7)
for column in top:
    axes[2].plot(path.index, path[column], label=column)
axes[2].set(title="Gradient through epochs, random start", xlabel="epoch")
axes[2].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
save(figure, "importance")

# %%
# Portfolios
# ----------
# Factors in the proportions that had the highest Sharpe ratio, or the lowest variance, over the
# months before; weights use nothing later. The deep factors are chosen on the training months, so
# only the test months count.

sets = {"benchmark": factors.iloc[:, model.n_factors :], "with deep factors": factors}
rows = {}
for title, frame in sets.items():
    for kind, build in (
        ("tangency", tangency_portfolio),
        ("minimum variance", minimum_variance_portfolio),
    ):
        held = build(frame, min_obs=24).returns.loc[months[market.n_train] :]
        ratio = sharpe_ratio(held)
        rows[kind, title] = [float(ratio), ratio.low, ratio.high, held.std() * np.sqrt(12)]
portfolios = pd.DataFrame(rows, index=["Sharpe ratio", "from", "to", "volatility a year"]).T
save(portfolios, "portfolios")
portfolios.round(2)

# %%
# Hedging effectiveness: the variance of test portfolios left after hedging with the factors, by
# regressions on earlier months, against the benchmark alone.

span = tests.loc[factors.index[0] :]
hedges = hedging_effectiveness(span, factors, factors.iloc[:, model.n_factors :], min_obs=36)
save(hedges.summary, "hedging")
hedges.summary[["left", "left_by_benchmark", "gain"]].describe().round(3)

# %%
# Beyond factors: stocks of the last month, by an optimiser. skfolio takes the model as its prior,
# expected returns, betas and risk in their parts. This is the portfolio of least variance that
# holds at most 5 % of a stock, and how much of its variance comes from factors, by the model.

today = Z[at == months[-1]]
past = market.y.unstack().reindex(columns=today.index.get_level_values(1)).fillna(0.0)
optimiser = MeanRisk(prior_estimator=skfolio_prior(model, today), max_weights=0.05).fit(past)
parts = optimiser.prior_estimator_.return_distribution_.factor_model
exposure = optimiser.weights_ @ parts.loading_matrix
systematic = exposure @ parts.factor_covariance @ exposure
specific = optimiser.weights_**2 @ parts.idio_covariance
print(
    f"{(optimiser.weights_ > 1e-3).sum()} of {len(today)} stocks, volatility "
    f"{np.sqrt(12 * (systematic + specific)):.1%} a year, "
    f"{systematic / (systematic + specific):.0%} of the variance from factors"
)
plt.show()
