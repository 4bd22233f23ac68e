"""
Latent factor models out of sample
==================================

Gu, Kelly and Xiu ("Autoencoder asset pricing models", Journal of Econometrics, 2021) compare
observed factors, principal components, instrumented principal components and conditional
autoencoders with one to six factors, all of it out of sample: what share of realised returns do
betas times factor returns explain (total R²), what share do betas times *expected* factor returns
(predictive R²), and what would one have earned on either (Sharpe ratios)?

This example is their comparison from the raw panel to the four tables and the pictures. Three
things stand beside theirs: the total R² without the share that a factor gets for explaining the
very return it is estimated from, scores on the rows that *every* model can serve, and what trading
would have cost.

It runs on a simulated panel, whose true betas are nonlinear, in less than a minute. Name a folder
with the file in the environment variable ``SKFACTOR_DATA``, and in ``SKFACTOR_PANEL`` one of
``us_monthly_price_chars``, ``sp500_monthly_chars`` and ``ff_portfolio_panel_monthly``, to run it
on a real panel. Tables and pictures are written to the folder named by ``SKFACTOR_OUTPUT``, by
default ``output``; set it empty to write nothing.
"""

# %%
# The panel
# ---------
# A row is an asset on a date: characteristics known before, and the excess return of the date.

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfactor.datasets import make_gkx_panel, read_factors
from skfactor.factor_models import (
    ConditionalAutoencoderFactorModel,
    InstrumentedPCA,
    PCAFactorModel,
)
from skfactor.inspection import scorecard
from skfactor.linear_model import FamaFrenchRegressor
from skfactor.metrics import predictive_r2_score, sharpe_ratio, total_r2_score
from skfactor.model_selection import PanelSplit, WalkForward
from skfactor.panel import lag, managed_portfolios
from skfactor.plotting import (
    BetaPathDisplay,
    FactorReturnsDisplay,
    ImportanceDisplay,
    TrainingCurveDisplay,
)
from skfactor.portfolios import quantile_long_short, tangency_portfolio
from skfactor.preprocessing import CrossSectionalScaler


@dataclass
class Market:
    """A panel, observed factors by date, the size of each asset if known, and the schedule.

    ``Z`` is what the models see of ``X``.
    """

    X: pd.DataFrame
    y: pd.Series
    factors: pd.DataFrame
    size: pd.Series | None
    schedule: PanelSplit
    effort: dict = field(default_factory=dict)
    n_factors: tuple = (1, 2, 3, 4, 5, 6)
    Z: pd.DataFrame | None = None

    @property
    def validation_fraction(self):
        """The share of the first training window that is set aside to stop training."""
        held_out = self.schedule.validation_size
        return held_out / (held_out + self.schedule.min_train_size)

    @property
    def least_returns(self):
        """The fewest returns from which betas of an asset's own are estimated."""
        return (self.schedule.validation_size + self.schedule.min_train_size) // 2


def simulated():
    panel = make_gkx_panel("b", n_assets=100, n_dates=96, n_features=10, random_state=0)
    # What an analyst might have for "observed factors": noisy versions of two of three.
    observed = panel.portfolios[["x1", "x2"]].rename(columns={"x1": "observed1", "x2": "observed2"})
    schedule = PanelSplit(None, test_size=12, min_train_size=36, validation_size=36)
    return Market(panel.X, panel.y, observed, None, schedule, {"n_members": 2}, (1, 3))


def us_stocks(folder):
    """1,500 US stocks a month, 22 characteristics from prices and volume, no size."""
    rows = indexed(pd.read_parquet(folder / "us_monthly_price_chars.parquet"))
    X = rows.drop(columns=["ret", "ret_exc"])
    schedule = PanelSplit(None, test_size=12, min_train_size=48, validation_size=12)
    return Market(X, rows["ret_exc"], observed_factors(folder), None, schedule, {"n_members": 3})


def sp500(folder):
    """About 400 members of the S&P 500 a month, 58 characteristics, 12 % of them missing."""
    rows = indexed(pd.read_parquet(folder / "sp500_monthly_chars.parquet"))
    X = rows.drop(columns=["ret", "ret_exc", "GICS Sector", "GICS Sub Industry", "period"])
    schedule = PanelSplit(None, test_size=6, min_train_size=18, validation_size=6)
    size = np.exp(rows["mvel1"].astype(float))
    return Market(X, rows["ret_exc"], observed_factors(folder), size, schedule, {"n_members": 3})


def portfolios(folder):
    """299 sorted portfolios and industries over twenty years, with 11 characteristics."""
    rows = pd.read_parquet(folder / "ff_portfolio_panel_monthly.parquet")
    rows["asset"] = rows["set"].astype(str) + " " + rows["portfolio"].astype(str)
    rows = rows.set_index(["date", "asset"]).sort_index()
    factors = observed_factors(folder)
    returns = rows["ret_vw"].astype(float).unstack() / 100
    market = factors["Mkt-RF"].reindex(returns.index)
    excess = returns.sub(factors["RF"].reindex(returns.index), axis=0)
    wealth = np.log1p(returns).cumsum()
    past = {
        "mom1m": returns,
        "mom12m": wealth.shift(1) - wealth.shift(12),
        "mom36m": wealth.shift(12) - wealth.shift(36),
        "retvol": returns.rolling(12).std(),
        "beta": excess.rolling(36).cov(market).div(market.rolling(36).var(), axis=0),
        "idiovol": (excess.sub(market, axis=0)).rolling(36).std(),
    }
    X = rows[["be_me", "op", "inv"]].astype(float)
    X["me"] = np.log(rows["avg_me"].astype(float).where(rows["avg_me"] > 0))
    X["firms"] = np.log(rows["n_firms"].astype(float).where(rows["n_firms"] > 0))
    for name, wide in past.items():
        X[name] = wide.stack().reindex(X.index)
    size = (rows["avg_me"] * rows["n_firms"]).astype(float)
    # All of it as it stood a month before.
    X, size = lag(X), lag(size)
    known = factors.dropna().index
    keep = X.index.get_level_values("date").isin(known[-240:]) & X["me"].notna()
    y = excess.stack().reindex(X.index)
    schedule = PanelSplit(None, test_size=24, min_train_size=96, validation_size=24)
    return Market(X[keep], y[keep], factors, size[keep], schedule, {"n_members": 3})


def indexed(rows):
    rows = rows.astype({"Ticker": str}).rename(columns={"Ticker": "asset"})
    return rows.set_index(["date", "asset"]).sort_index()


def observed_factors(folder):
    return read_factors(folder / "ff_factors_monthly.parquet")


PANELS = {
    "us_monthly_price_chars": us_stocks,
    "sp500_monthly_chars": sp500,
    "ff_portfolio_panel_monthly": portfolios,
}

# %%
# The models
# ----------
# Characteristics become ranks between -1 and 1 on each date, a missing one the middle; a constant
# stands beside them. Some say the same as another once they are ranks: beta squared ranks as beta
# does, and among large stocks hardly one goes untraded for a day. On a few dates they differ by a
# few stocks, and the portfolio that a regression then forms on the difference is as wild as it is
# empty: it would spoil every model that is built from such portfolios. They are left out, by what
# the first training window shows.
#
# ``CA1`` to ``CA3`` are the article's: one, two and three hidden layers, factor returns linear in
# the portfolios that the characteristics manage. ``LS`` has one hidden layer and factor returns
# from least squares on its betas.


def distinct(market):
    """Return the characteristics that vary and that do not rank as one before them."""
    dates = market.X.index.unique("date")
    X = market.X.loc[: dates[market.schedule.min_train_size - 1]]
    ranks = X.groupby(level="date").rank(pct=True).fillna(0.5)
    alike = np.tril(ranks.corr().abs(), -1).max(axis=1) > 0.98
    varies = (X.groupby(level="date").nunique() > 2).mean() > 0.5
    return market.X.loc[:, varies & ~alike]


def with_constant(X):
    return X.assign(constant=1.0)


def scaled(X):
    return make_pipeline(CrossSectionalScaler(), FunctionTransformer(with_constant)).fit_transform(
        X
    )


def models(market, n_factors):
    options = {
        "n_factors": n_factors,
        "validation_fraction": market.validation_fraction,
        "random_state": 0,
        **market.effort,
    }

    def autoencoder(hidden, side):
        return ConditionalAutoencoderFactorModel(
            hidden_layer_sizes=hidden, factor_side=side, **options
        )

    return {
        "PCA": PCAFactorModel(n_factors),
        "IPCA": InstrumentedPCA(n_factors),
        "CA1": autoencoder((32,), "managed"),
        "CA2": autoencoder((32, 16), "managed"),
        "CA3": autoencoder((32, 16, 8), "managed"),
        "LS": autoencoder((32,), "least_squares"),
    }


# %%
# Observed factors need no model of betas: a regression over time for each asset, on the same
# schedule. An asset with few months behind it has no betas, hence no fit. The regressions have no
# intercept: like the others, this model says that factors are all that is paid for.

ORDER = ("Mkt-RF", "SMB", "HML", "RMW", "CMA", "Mom")


@dataclass
class Walk:
    """What a model says of the dates it has not seen."""

    fits: pd.Series
    fits_leave_one_out: pd.Series
    predictions: pd.Series
    tangency: pd.Series
    tangency_weights: pd.DataFrame | None
    portfolio_fits: pd.DataFrame
    portfolio_predictions: pd.DataFrame


def by_regression(returns, factors, market, months):
    """Return fits and predictions of wide returns, each block from the dates before it."""
    fits, predictions = [], []
    expected = factors.expanding().mean().shift()
    for window in market.schedule.windows(len(months)):
        past = months[window.train[0] : window.validation[1]]
        coming = months[slice(*window.test)]
        model = FamaFrenchRegressor(fit_intercept=False, min_obs=market.least_returns)
        betas = model.fit(factors.loc[past], returns.loc[past]).coef_
        fits.append(factors.loc[coming] @ pd.DataFrame(betas.T, factors.columns, returns.columns))
        predictions.append(
            expected.loc[coming] @ pd.DataFrame(betas.T, factors.columns, returns.columns)
        )
    return pd.concat(fits), pd.concat(predictions)


def observed(market, n_factors, test_index):
    months = market.y.index.unique("date")
    names = [name for name in ORDER if name in market.factors] or list(market.factors)
    factors = market.factors[names[:n_factors]].reindex(months)
    fits, predictions = by_regression(market.y.unstack(), factors, market, months)
    rows = [wide.stack().reindex(test_index) for wide in (fits, predictions)]
    managed = managed_portfolios(market.Z, market.y)
    portfolio_fits, portfolio_predictions = by_regression(managed, factors, market, months)
    tangency = tangency_portfolio(factors).returns.reindex(fits.index)
    return Walk(rows[0], rows[0], rows[1], tangency, None, portfolio_fits, portfolio_predictions)


# %%
# The others walk forward through :class:`~skfactor.model_selection.WalkForward`. The tangency
# portfolio of the factors is a portfolio of assets as well: each factor is the portfolio that
# regresses returns on betas. Its weights tell what following it would mean to trade.


def walked(walk, market):
    fits, predictions = walk.fits_, walk.predictions_
    Z = market.Z.loc[fits.index]
    return Walk(
        fits,
        walk.fits_leave_one_out_,
        predictions,
        *tangency_of(walk),
        managed_portfolios(Z, fits),
        managed_portfolios(Z, predictions),
    )


def tangency_of(walk):
    """Return what the tangency portfolio earned, and its weights by date and asset."""
    earned, weights = [], []
    for refit, dates in walk.schedule_.iterrows():
        portfolio = tangency_portfolio(walk.factor_returns_.loc[refit])
        held = portfolio.weights.loc[dates["test_start"] : dates["test_end"]]
        earned.append(portfolio.returns.loc[held.index])
        for date, row in held.iterrows():
            betas = walk.betas_.loc[date]
            mimic = np.linalg.pinv(betas.to_numpy()).T @ row.to_numpy()
            weights.append(pd.Series(mimic, betas.index, name=date))
    return pd.concat(earned), pd.DataFrame(weights).fillna(0.0)


# %%
# The tables
# ----------
# Tables 1 and 2 of the article: total and predictive R² on assets (``r``) and on the portfolios
# that the characteristics manage (``x``). Table 3: long the tenth of assets with the highest
# predictions, short the tenth with the lowest. Table 4: the tangency portfolio of the factors.

COST = 0.001  # of buying or selling for one: ten basis points


def score_table(market, walks, score, response, rows):
    """Lay R² in percent out as the article does."""
    y = market.y.reindex(rows)
    Z = market.Z.loc[rows]
    x = managed_portfolios(Z, y)
    table = {}
    for (model, K), walk in walks.items():
        table.setdefault((model, "r"), {})[K] = 100 * score(y, getattr(walk, response).loc[rows])
        if response != "fits_leave_one_out":
            found = getattr(walk, f"portfolio_{response}").loc[x.index, x.columns]
            table.setdefault((model, "x"), {})[K] = 100 * score(x.stack(), found.stack())
    return laid_out(table, ["model", "assets"])


def laid_out(table, names):
    laid = pd.DataFrame(table).T.rename_axis(index=names, columns="K")
    return laid.reindex(columns=sorted(laid.columns))


def sharpe(returns):
    found = sharpe_ratio(returns.dropna())
    return found.value, found.std_error


def long_short_table(market, walks, rows):
    """Sharpe ratios a year of the decile spread, gross and net, and its turnover a month."""
    table = {}
    weightings = {"equal": None} | ({} if market.size is None else {"size": market.size.loc[rows]})
    for (model, K), walk in walks.items():
        for weighting, weights in weightings.items():
            found = quantile_long_short(
                walk.predictions.loc[rows], market.y.loc[rows], weights=weights
            )
            figures = {
                "Sharpe": sharpe(found.returns)[0],
                "s.e.": sharpe(found.returns)[1],
                "net": sharpe(found.net_returns(COST))[0],
                "turnover": found.turnover.mean(),
            }
            for name, figure in figures.items():
                table.setdefault((model, weighting, name), {})[K] = figure
    return laid_out(table, ["model", "weights", ""])


def tangency_table(walks):
    table = {}
    for (model, K), walk in walks.items():
        value, error = sharpe(walk.tangency)
        figures = {"Sharpe": value, "s.e.": error}
        if walk.tangency_weights is not None:
            weights = walk.tangency_weights
            traded = weights.diff().abs().sum(axis=1)
            traded.iloc[0] = weights.iloc[0].abs().sum()
            net = walk.tangency - COST * traded
            # Half of what is traded is bought: a share of the money on both sides.
            share = traded.iloc[1:].mean() / weights.abs().sum(axis=1).mean()
            figures |= {"net": sharpe(net)[0], "turnover": share}
        for name, figure in figures.items():
            table.setdefault((model, name), {})[K] = figure
    return laid_out(table, ["model", ""])


def show(table, name, digits):
    """Print a table, and write it if a folder for output is named."""
    print(table.round(digits).to_string(na_rep=""), "\n")
    if OUTPUT:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        table.to_csv(OUTPUT / f"{PREFIX}{name}.csv", float_format=f"%.{digits}f")


def keep(figure, name):
    """Write a picture if a folder for output is named."""
    if OUTPUT:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        figure.savefig(OUTPUT / f"{PREFIX}{name}.png", dpi=75)


# %%
# The walk forward
# ----------------
# Every model with every number of factors. The schedule says what was trained on what.

OUTPUT = os.environ.get("SKFACTOR_OUTPUT", "output")
OUTPUT = Path(OUTPUT) if OUTPUT else None
DATA, PANEL = os.environ.get("SKFACTOR_DATA"), os.environ.get("SKFACTOR_PANEL", next(iter(PANELS)))
PREFIX = f"{PANEL}_" if DATA else ""

market = PANELS[PANEL](Path(DATA)) if DATA else simulated()
kept = distinct(market)
left_over = ", ".join(market.X.columns.difference(kept.columns)) or "none"
market.X, market.Z = kept, scaled(kept)
gaps = kept.isna().to_numpy().mean()
print(f"{kept.shape[1]} characteristics, {gaps:.1%} missing; left out: {left_over}")
print(market.y.groupby(level="date").count().describe().round(0).to_string())

walks, examined = {}, {}
EXAMINED = 3  # factors of the models that are looked at closely below
with warnings.catch_warnings():
    # Early dates of a short panel have fewer assets than some regressions need.
    warnings.simplefilter("ignore")
    for K in market.n_factors:
        for name, model in models(market, K).items():
            walk = WalkForward(model, market.schedule).fit(market.Z, market.y)
            walks[name, K] = walked(walk, market)
            if K == EXAMINED:
                examined[name] = walk
        walks["FF", K] = observed(market, K, walks[name, K].fits.index)
walks = {(name, K): walks[name, K] for name in ("FF", *models(market, 1)) for K in market.n_factors}
examined["LS"].schedule_

# %%
# Observed factors have no betas for an asset without history. Everything below is scored on the
# rows that all models serve; this is the share of them that each could serve.

test_rows = examined["LS"].fits_.index
served = pd.DataFrame({name: walks[name, EXAMINED].fits.notna() for name, K in walks})
common = test_rows[(served.all(axis=1) & market.y.loc[test_rows].notna()).to_numpy()]
coverage = served.mean().rename("share of rows").to_frame()
coverage.loc["all models"] = len(common) / len(test_rows)
print(f"{len(common)} of {len(test_rows)} rows")
show(coverage, "coverage", 3)

# %%
# Total R²
# --------
# As the article defines it, in percent.

total = score_table(market, walks, total_r2_score, "fits", common)
show(total, "total_r2", 1)

# %%
# Where factor returns are estimated from the returns that they explain, every further factor gains,
# needed or not. Estimated without the return in question, they do not.

left_out = score_table(market, walks, total_r2_score, "fits_leave_one_out", common)
show(left_out, "total_r2_left_out", 1)

# %%
# Predictive R²
# -------------

predictive = score_table(market, walks, predictive_r2_score, "predictions", common)
show(predictive, "predictive_r2", 2)

# %%
# Sharpe ratios
# -------------
# A year, with standard errors; net of ten basis points for whatever is bought or sold. Turnover of
# the long-short portfolio is the share of each side replaced in a month, both sides added up (0 to
# 2); that of the tangency portfolio the amount bought and sold in a month, as a share of all
# positions, long and short (0 to 2 as well).

long_short = long_short_table(market, walks, common)
show(long_short, "long_short", 2)

# %%

tangency = tangency_table(walks)
show(tangency, "tangency", 2)

# %%
# At a glance
# -----------

# Colours that the colour-blind can tell apart.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#000000")
COLORS = dict(zip(("FF", *models(market, 1)), PALETTE, strict=True))
figure, panels = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
tables = {
    "Total R², each return left out (%)": left_out.xs("r", level="assets"),
    "Predictive R² (%)": predictive.xs("r", level="assets"),
    "Sharpe ratio of the decile spread, net": long_short.xs(("equal", "net"), level=(1, 2)),
}
for panel, (title, table) in zip(panels, tables.items(), strict=True):
    for name, row in table.iterrows():
        panel.plot(row.index, row, marker="o", label=name, color=COLORS[name])
    panel.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    panel.set(title=title, xlabel="factors", xticks=list(table.columns))
# One model far below zero would flatten the others.
for panel, table in zip(panels[:2], list(tables.values())[:2], strict=True):
    worst = np.nanquantile(table, 0.1) - 0.3 * np.ptp(np.nanquantile(table, [0.1, 1]))
    panel.set_ylim(bottom=max(panel.get_ylim()[0], worst))
panels[0].legend(frameon=False, fontsize=8)
keep(figure, "scores")

# %%
# One model, looked at closely
# ----------------------------
# Everything about one of the models on one page.

chosen = examined["LS"]
print(scorecard(chosen, market.Z, market.y, cost=COST))

# %%
# Its factors, as the last refit has them, through the dates that it was not fitted on.

last = chosen.schedule_.index[-1]
model = chosen.estimators_[-1]
history = FactorReturnsDisplay.from_returns(
    chosen.factor_returns_.loc[last], target_volatility=0.01
)
history.ax_.axvline(chosen.schedule_["train_end"].iloc[-1], color="0.5", linewidth=0.8)
keep(history.figure_, "factor_returns")

# %%
# What its fits on the last test block owe to each characteristic.

block = market.Z.index.get_level_values("date") >= last
importance = ImportanceDisplay.from_estimator(model, market.Z[block], market.y[block])
keep(importance.figure_, "importance")

# %%
# Betas through time: their spread over assets, and two of them. They are those of each refit,
# turned onto the refit before.

two = market.y.loc[test_rows].groupby(level=1).count().nlargest(2, keep="first").index
betas = BetaPathDisplay.from_betas(chosen.betas_, assets=list(two))
keep(betas.figure_, "betas")

# %%
# The losses of each network of the last refit.

keep(TrainingCurveDisplay.from_estimator(model).figure_, "training")
