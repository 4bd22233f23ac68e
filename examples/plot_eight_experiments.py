"""
Eight experiments on the deep clustering of stocks
==================================================

Koo, Lee, Sin and Park ("Power of Autoencoder and t-SNE in Stock Deep Clustering and its
Application to Fama-French Factor Model") cluster stocks by their accounts and prices in eight
ways, with four sets of features, each with and without an autoencoder in front of a t-SNE map,
and compare the silhouettes and Davies-Bouldin indices that they measure *in the map*. The run they
prefer has a silhouette of 0.52, and they conclude that the autoencoder improves the clusters.

This example is their study in full: the eight experiments, K-means and spectral clustering, three
to six clusters. It asks three questions more. What do the same clusters score in the features that
went in, instead of in the picture? What would the same procedure score on data *without any
clusters*? And what becomes of the results in another year, with another network, another seed?

It runs on a synthetic market, whose clusters are known, in two to three minutes. Name a folder
with ``clustering_sp500.parquet`` and ``sp500_daily_adjclose_wide.parquet`` in the environment
variable ``SKFACTOR_DATA`` to run it on real firms. Tables and pictures are written to the folder
named by ``SKFACTOR_OUTPUT``, by default ``output``; set it empty to write nothing.
"""

# %%
# The parts
# ---------
# Each part of the study is a function of a few lines. First, where the data come from: tables of
# fundamentals, more fundamentals, and price features, one row a stock.

import os
import tempfile
import warnings
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, davies_bouldin_score, silhouette_score
from sklearn.pipeline import Pipeline, make_pipeline

from skfactor.cluster import (
    choose_n_clusters,
    cluster_correlations,
    cluster_profile,
    cluster_returns,
)
from skfactor.datasets import (
    make_stock_universe,
    read_clustering_cross_section,
    read_prices_wide,
)
from skfactor.decomposition import AutoencoderReducer
from skfactor.manifold import TSNEEmbedder
from skfactor.metrics import make_clustering_scorer
from skfactor.plotting import (
    ClusterBoxPlotDisplay,
    CorrelationDisplay,
    ElbowDisplay,
    EmbeddingDisplay,
    RiskReturnDisplay,
)
from skfactor.preprocessing import (
    LogStandardizer,
    PanelImputer,
    PriceFeatures,
    latest_values,
    merge_tables,
)


@dataclass
class Stocks:
    """Tables by year, monthly returns, and a grouping that the clusters may be held against."""

    tables: dict[int, dict[str, pd.DataFrame]]
    returns: pd.DataFrame
    groups: pd.Series


def synthetic_stocks(n_assets=150, cluster_separation=7.0, random_state=0):
    universe = make_stock_universe(
        n_assets, cluster_separation=cluster_separation, random_state=random_state
    )
    tables = {}
    for year in (2017, 2018, 2019):
        day = f"{year}-12-31"
        prices = universe.prices.loc[:day]
        listed = prices.columns[prices.iloc[-1].notna()]
        price_features = PriceFeatures().set_output(transform="pandas")
        tables[year] = {
            # The last known value of each column, as the study fills its gaps.
            "original": latest_values(universe.fundamentals, day),
            "extension": latest_values(universe.extension, day),
            "price": price_features.fit_transform(prices[listed].T).dropna(how="all"),
        }
    return Stocks(tables, universe.returns, universe.clusters.rename("true cluster"))


def real_stocks(folder):
    tables = {}
    horizons = {"d": "daily", "w": "weekly", "m": "monthly", "q": "three_month", "s": "six_month"}
    for year in (2012, 2013, 2014, 2015):
        firms = read_clustering_cross_section(folder / "clustering_sp500.parquet", year)
        tables[year] = {
            # In millions of dollars, as the synthetic market: the logarithm of one plus an amount
            # depends on the unit.
            "original": firms.original / 1e6,
            "extension": firms.extension / 1e6,
            # ret_d_mean is called daily_mean, as PriceFeatures calls it, and so on.
            "price": firms.price.dropna(how="all").rename(
                columns=lambda name: f"{horizons[name[4]]}_{name[6:]}"
            ),
        }
    prices = read_prices_wide(folder / "sp500_daily_adjclose_wide.parquet")
    # Five years of months up to the last fiscal year's end, as the price features have them.
    months = prices.ffill(limit=5).resample("ME").last().loc["2010-12":"2015-12"]
    returns = months.pct_change(fill_method=None).iloc[1:]
    return Stocks(tables, returns, firms.sectors)


def feature_sets(tables):
    """Keep the stocks that all tables have, and return the study's four sets of columns."""
    merged, report = merge_tables(**tables)
    original, extension, price = (list(table.columns) for table in tables.values())
    sets = {
        "original": original,
        "original + extension": original + extension,
        "original + extension + price": original + extension + price,
        "price": price,
    }
    return {name: merged[columns] for name, columns in sets.items()}, report


# %%
# Then the procedure: impute and standardise, encode if asked to, map, cluster. The features are
# compressed to a code of 4 values if there are ten columns or fewer, of 8 otherwise. The steps from
# features to map make a pipeline of their own, so that ``memory=`` can keep its results on disk: a
# map serves both clusterers and every number of clusters. (A pipeline remembers all steps but the
# last, hence the "passthrough".)

CACHE = tempfile.TemporaryDirectory()

CLUSTERERS = {
    "K-means": KMeans(n_init=5, random_state=0),
    "spectral": SpectralClustering(
        affinity="nearest_neighbors", n_neighbors=15, n_init=5, random_state=0
    ),
}


def standardiser():
    return make_pipeline(PanelImputer(cross_section=True), LogStandardizer())


def deep_clustering(
    n_features, autoencoder, clusterer="K-means", n_components=2, max_epochs=200, max_iter=750
):
    encode = AutoencoderReducer(
        n_components=4 if n_features <= 10 else 8, max_epochs=max_epochs, random_state=0
    )
    to_map = [
        ("encode", encode if autoencoder else "passthrough"),
        ("embed", TSNEEmbedder(n_components, max_iter=max_iter, random_state=0)),
        ("keep", "passthrough"),
    ]
    return Pipeline(
        [
            ("standardise", standardiser()),
            ("map", Pipeline(to_map, memory=CACHE.name)),
            ("cluster", CLUSTERERS[clusterer]),
        ]
    )


def baseline(kind, clusterer="K-means"):
    """Cluster the standardised features as they are, or their first two components."""
    steps = [("standardise", standardiser()), ("cluster", CLUSTERERS[clusterer])]
    if kind == "PCA":
        steps.insert(1, ("map", PCA(2)))
    return Pipeline(steps)


# %%
# Last, the scores. ``space="embedding"`` is what the study measures: distances in the map, where
# the clusterer works. ``space="standardise"`` names the step whose output is the standardised
# features. :func:`~skfactor.cluster.choose_n_clusters` scores each number of clusters on the data
# and on draws that have the same columns (skewness, tails, zeros, rank correlations) but no
# clusters; ``null`` has both, and the *lift*, by how much the data do better. The scorers negate
# the Davies-Bouldin index, so that more is better; the tables below show it as the study does, and
# its lift is how much *lower* it is than in data without clusters.

SCORERS = {
    "features, silhouette": make_clustering_scorer("silhouette", space="standardise"),
    "features, davies_bouldin": make_clustering_scorer("davies_bouldin", space="standardise"),
    "map, silhouette": make_clustering_scorer("silhouette", space="embedding"),
    "map, davies_bouldin": make_clustering_scorer("davies_bouldin", space="embedding"),
}


def judge(pipeline, X, n_clusters, n_draws, n_resamples=2):
    return choose_n_clusters(
        pipeline,
        X,
        n_clusters,
        scoring=SCORERS,
        n_draws=n_draws,
        n_resamples=n_resamples,
        alpha=max(0.05, 1 / (n_draws + 1)),
        random_state=0,
    )


def tidy_scores(choice, **identity):
    """One row a number of clusters, space and score, with the run's identity before it."""
    table = choice.null.copy()
    table[["space", "score"]] = table["score"].str.split(", ", expand=True).to_numpy()
    # Scorers negate what should fall.
    negated = table["score"] == "davies_bouldin"
    for name in ("observed", "null_mean"):
        table[name] = table[name].where(~negated, -table[name])
    table["stability"] = table["n_clusters"].map(choice.table.set_index("n_clusters")["stability"])
    return table.assign(**identity)


def as_published(scores, clusterer, space):
    """Lay scores out as the study's Tables 2 and 5."""
    chosen = scores.query("clusterer == @clusterer and space == @space")
    table = chosen.pivot(index="run", columns=["n_clusters", "score"], values="observed")
    short = {"silhouette": "Silhou", "davies_bouldin": "Davies"}
    table = table[[(k, score) for k in sorted(chosen["n_clusters"].unique()) for score in short]]
    table.columns = [f"n={k} {short[score]}" for k, score in table.columns]
    return table


def with_null(scores, clusterer, space, score):
    """Lay one score out with its mean on data without clusters and its lift."""
    chosen = scores.query("clusterer == @clusterer and space == @space and score == @score")
    table = chosen.pivot(
        index="run", columns="n_clusters", values=["observed", "null_mean", "lift"]
    )
    columns = {"observed": "", "null_mean": " null", "lift": " lift"}
    table = table[[(c, k) for k in sorted(chosen["n_clusters"].unique()) for c in columns]]
    table.columns = [f"n={k}{columns[c]}" for c, k in table.columns]
    return table


# %%
# Amounts in dollars all grow with the firm. To tell size from the three properties that the study
# reads from its clusters (liquidity, leverage, operational efficiency), take ratios.


def properties(merged):
    table = pd.DataFrame(
        {
            "size (total assets)": merged["total_assets"],
            "liquidity (current assets to current liabilities)": merged["current_assets"]
            / merged["current_liabilities"],
            "leverage (liabilities to assets)": merged["total_liabilities"]
            / merged["total_assets"],
            "efficiency (cost of goods to sales)": merged["cost_of_goods_sold"] / merged["sales"],
        }
    )
    return table.replace([np.inf, -np.inf], np.nan)


def profile_table(profile, n_features=5):
    """Names, sizes, and where each cluster's medians stand among all stocks, between 0 and 1."""
    head = pd.DataFrame({"name": profile.names, "size": profile.sizes})
    return head.join(profile.positions[profile.separation.index[:n_features]])


def show(table, name, digits=3):
    """Print a table, and write it if a folder for output is named."""
    print(table.round(digits).to_string(na_rep=""))
    if OUTPUT:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        table.to_csv(OUTPUT / f"{name}.csv", float_format=f"%.{digits}f")


def keep(figure, name):
    """Write a picture if a folder for output is named."""
    if OUTPUT:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        figure.savefig(OUTPUT / f"{name}.png", dpi=75, bbox_inches="tight")


# %%
# The data
# --------
# Four tables of features for the same stocks. Stocks that are not in all tables are dropped, and
# the report says which and why.

OUTPUT = os.environ.get("SKFACTOR_OUTPUT", "output")
OUTPUT = Path(OUTPUT) if OUTPUT else None
DATA = os.environ.get("SKFACTOR_DATA")
# Draws without clusters, epochs and iterations: fewer for the synthetic market, so that this page
# builds in two minutes.
N_DRAWS = 19 if DATA else 9
EFFORT = {"max_epochs": 100, "max_iter": 750} if DATA else {"max_epochs": 75, "max_iter": 500}
N_CLUSTERS = (3, 4, 5, 6)

# In a map with islands the graph of neighbours has islands too, which is as it should be.
warnings.filterwarnings("ignore", message="Graph is not fully connected")

stocks = real_stocks(Path(DATA)) if DATA else synthetic_stocks()
latest = max(stocks.tables)
sets, report = feature_sets(stocks.tables[latest])
everything = sets["original + extension + price"]
groups = stocks.groups.loc[everything.index]
print(f"{latest}. {report}")
print({name: X.shape for name, X in sets.items()})

# %%
# The eight experiments
# ---------------------
# Experiments 1 to 4 map the standardised features, 5 to 8 the autoencoder's code. Beside them
# stand two baselines, K-means on the standardised features ("raw") and on their first two
# principal components: what the authors did in their earlier work.

EXPERIMENTS = {
    f"Exp {i}": (name, autoencoder)
    for i, (autoencoder, name) in enumerate([(a, s) for a in (False, True) for s in sets], start=1)
}


def run_of(name, clusterer="K-means", **options):
    """Return the pipeline and the features of a run by its name."""
    if name in EXPERIMENTS:
        features, autoencoder = EXPERIMENTS[name]
        X = sets[features]
        return deep_clustering(X.shape[1], autoencoder, clusterer, **EFFORT, **options), X
    kind, features = name.split(", ")
    return baseline(kind, clusterer), sets[features]


runs = [*EXPERIMENTS, *(f"{kind}, {name}" for kind in ("raw", "PCA") for name in sets)]
scores = pd.concat(
    [
        tidy_scores(
            judge(*run_of(run, clusterer), N_CLUSTERS, N_DRAWS),
            run=run,
            clusterer=clusterer,
        )
        for run in runs
        for clusterer in (CLUSTERERS if run in EXPERIMENTS else ["K-means"])
    ],
    ignore_index=True,
)
scores["run"] = pd.Categorical(scores["run"], runs, ordered=True)
# The raw baseline has no map: its clusterer works in the features.
scores = scores[~(scores["run"].str.startswith("raw") & (scores["space"] == "map"))]
is_experiment = scores["run"].isin(list(EXPERIMENTS))
if OUTPUT:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    scores.round(4).to_csv(OUTPUT / "scores.csv", index=False)

# %%
# As the study measures: in the map. K-means is its Table 2, spectral clustering its Table 5.

print("K-means, distances in the map")
show(as_published(scores[is_experiment], "K-means", "map"), "kmeans_map")
print("\nSpectral clustering, distances in the map")
show(as_published(scores[is_experiment], "spectral", "map"), "spectral_map")

# %%
# The study does not say how its spectral clustering measures affinity. The default of scikit-learn
# is ``exp(-distance ** 2)``, which is next to nothing between most points of a map that is tens of
# units wide: the graph falls apart. This is what that default gives.

rows = {}
for run in EXPERIMENTS:
    pipeline, X = run_of(run)
    places = pipeline[:-1].fit_transform(X)
    rows[run] = {}
    for k in N_CLUSTERS:
        found = SpectralClustering(k, random_state=0).fit_predict(places)
        rows[run][f"n={k} Silhou"] = silhouette_score(places, found)
        rows[run][f"n={k} Davies"] = davies_bouldin_score(places, found)
show(pd.DataFrame(rows).T.rename_axis("run"), "spectral_rbf_map")

# %%
# Beside the null
# ---------------
# The same silhouettes with what the procedure gives where there are no clusters. In the map, the
# reference itself is high: t-SNE draws islands from a cloud. Compare only lifts.

for clusterer in CLUSTERERS:
    for space in ("map", "features"):
        for score in ("silhouette", "davies_bouldin"):
            name = f"{clusterer.replace('-', '').lower()}_{space}_{score}"
            print(f"\n{clusterer}, {score} in the {space}, beside data without clusters")
            show(with_null(scores, clusterer, space, score), name)

# %%
# One picture of it, for K-means and six clusters: the bar spans the draws without clusters (mean
# and two standard deviations), the dot is the data. In the left panel dots are high and so are
# bars; what matters is the distance between them.


def plot_scores(scores, n_clusters=6):
    chosen = scores.query("clusterer == 'K-means' and score == 'silhouette'")
    chosen = chosen.query("n_clusters == @n_clusters").sort_values("run", ascending=False)
    names = {
        run: f"{run}: {features}{', autoencoder' if autoencoder else ''}"
        for run, (features, autoencoder) in EXPERIMENTS.items()
    }
    figure, panels = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    titles = {"map": "in the map", "features": "in the standardised features"}
    for panel, (space, title) in zip(panels, titles.items(), strict=True):
        table = chosen[chosen["space"] == space]
        places = table["run"].cat.codes
        panel.barh(
            places,
            4 * table["null_std"],
            left=table["null_mean"] - 2 * table["null_std"],
            color="#BBBBBB",
            height=0.6,
            label="data without clusters (mean ± 2 standard deviations)",
        )
        panel.plot(table["observed"], places, "o", color="#0072B2", label="the data")
        panel.set_yticks(range(len(runs)), [names.get(run, run) for run in runs])
        panel.set_ylim(len(runs) - 0.5, -0.5)
        panel.set_xlabel(f"silhouette {title}")
        panel.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    panels[1].set_yticklabels([])
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    figure.suptitle(f"K-means, {n_clusters} clusters", fontsize=11)
    return figure


keep(plot_scores(scores), "scores")

# %%
# What is known of the stocks besides
# -----------------------------------
# The adjusted Rand index (1 for the same partition, 0 for chance) of each run's clusters with the
# true clusters of the synthetic market, or with the sectors of real firms.


def labels_of(run, n_clusters, clusterer="K-means"):
    pipeline, X = run_of(run, clusterer)
    pipeline.set_params(cluster__n_clusters=n_clusters)
    return pd.Series(pipeline.fit_predict(X), index=X.index, name="cluster")


agreement = pd.DataFrame(
    {
        f"{clusterer} n={k}": {
            run: adjusted_rand_score(groups, labels_of(run, k, clusterer))
            for run in (runs if clusterer == "K-means" else EXPERIMENTS)
        }
        for clusterer in CLUSTERERS
        for k in N_CLUSTERS
    }
)
print(f"Adjusted Rand index with the {groups.name}")
show(agreement.loc[runs].rename_axis("run"), "agreement_with_groups")

# %%
# The best and the worst run
# --------------------------
# By the lift of the silhouette in the standardised features, among the eight experiments, both
# clusterers and all numbers of clusters. The map's silhouette might choose another run.

lifts = scores[is_experiment].query("score == 'silhouette'")
lifts = lifts.pivot(
    index=["run", "clusterer", "n_clusters"], columns="space", values=["observed", "lift"]
)
ranking = lifts.sort_values(("lift", "features"), ascending=False)
ranking = ranking[ranking.notna().all(axis=1)]
ranking.columns = [f"{value}, {space}" for value, space in ranking.columns]
show(pd.concat([ranking.head(5), ranking.tail(5)]), "ranking")

chosen_runs = {"best": ranking.index[0], "worst": ranking.index[-1]}
labels = {role: labels_of(run, k, c) for role, (run, c, k) in chosen_runs.items()}
titles = {role: f"{role}: {run}, {c}, {k} clusters" for role, (run, c, k) in chosen_runs.items()}
profiles = {role: cluster_profile(everything, labels[role]) for role in chosen_runs}
for role, profile in profiles.items():
    print(f"\n{titles[role]}")
    show(profile_table(profile), f"profile_{role}")
    show(profile.separation.head(8)[["effect_size", "lowest", "highest"]], f"separation_{role}")

# %%
# The two maps, in two and in three dimensions; colours and markers are those of the clusters found
# in two.

figure, panels = plt.subplots(1, 2, figsize=(14, 4.8), layout="constrained")
for panel, (role, (run, clusterer, _)) in zip(panels, chosen_runs.items(), strict=True):
    pipeline, X = run_of(run, clusterer)
    EmbeddingDisplay.from_embedding(
        pipeline[:-1].fit_transform(X), labels[role], names=profiles[role].names, ax=panel
    )
    panel.set_title(titles[role], fontsize=10)
keep(figure, "maps")

# %%

figure, panels = plt.subplots(
    1, 2, figsize=(11, 4.8), layout="constrained", subplot_kw={"projection": "3d"}
)
for panel, (role, (run, clusterer, _)) in zip(panels, chosen_runs.items(), strict=True):
    pipeline, X = run_of(run, clusterer, n_components=3)
    display = EmbeddingDisplay.from_embedding(
        pipeline[:-1].fit_transform(X), labels[role], ax=panel
    )
    display.legend_.remove()
    panel.set_title(titles[role], fontsize=10)
keep(figure, "maps_3d")

# %%
# Box plots of the features from which the study reads size, liquidity, leverage and efficiency:
# the two columns at the left are the best run's clusters, the two at the right the worst run's.

FEATURES = [
    "current_assets",
    "accounts_payable",
    "long_term_debt",
    "current_liabilities",
    "cost_of_goods_sold",
    "sales",
]
figure, grid = plt.subplots(3, 4, figsize=(13, 8.2), layout="constrained")
for half, role in zip((grid[:, :2], grid[:, 2:]), chosen_runs, strict=True):
    ClusterBoxPlotDisplay.from_labels(
        everything, labels[role], features=FEATURES, scale="symlog", ax=list(half.ravel())
    )
    half[0, 0].annotate(
        titles[role], (0, 1.22), xycoords="axes fraction", fontsize=11, fontweight="bold"
    )
figure.supxlabel("cluster", fontsize=10)
figure.supylabel("millions of dollars (logarithmic away from zero)", fontsize=10)
keep(figure, "box_plots")

# %%
# Which properties separate the clusters? The effect size is the share of the variance of ranks
# that lies between clusters; 0.14 is called large. Six clusters of K-means each.

effects = pd.DataFrame(
    {
        run: cluster_profile(properties(everything), labels_of(run, 6)).separation["effect_size"]
        for run in runs
    }
).T[list(properties(everything))]
show(effects.rename_axis("run"), "properties")

# %%
# The study names its clusters from means of standardised features (its Tables 9 and 10). The same
# for its best run, experiment 6 with six clusters of K-means.

exp6 = labels_of("Exp 6", 6)
standardised = standardiser().set_output(transform="pandas").fit_transform(everything)
means = standardised[FEATURES].groupby(exp6).mean()
means.insert(0, "size", exp6.value_counts())
means.insert(0, "name", cluster_profile(everything[FEATURES], exp6).names)
show(means.sort_values("sales"), "means_exp6")

# %%
# Do the clusters move together, and what do they return?
# -------------------------------------------------------
# Mean correlations of monthly returns within clusters (bold) and between them, as the study's
# Table 11. Between-cluster correlations that are low show diversification only if those within are
# higher: the contrast is the number to look at.

returns = {role: stocks.returns[labels[role].index] for role in labels}
correlations = {role: cluster_correlations(returns[role], labels[role]) for role in labels}
means = [found.table.to_numpy() for found in correlations.values()]
shades = {"vmin": min(map(np.nanmin, means)), "vmax": max(map(np.nanmax, means))}
# Square cells need the compressed layout for the names beside them to fit.
figure, panels = plt.subplots(1, 2, figsize=(14, 5), layout="compressed")
for panel, (role, found) in zip(panels, correlations.items(), strict=True):
    print(f"\n{titles[role]}")
    show(found.upper(), f"correlations_{role}")
    CorrelationDisplay.from_correlations(
        found, names=profiles[role].names, triangle="upper", ax=panel, **shades
    )
    panel.set_title(f"{titles[role]}\n{panel.get_title()}", fontsize=10)
keep(figure, "correlations")

# %%

rows = {}
for run in runs:
    found = cluster_correlations(stocks.returns[everything.index], labels_of(run, 6))
    rows[run] = {"within": found.within, "between": found.between, "contrast": found.contrast}
show(pd.DataFrame(rows).T.rename_axis("run"), "correlations_by_run")

# %%
# Return and risk by cluster. The labels were found with these returns already known, so nobody
# could have earned them.

figure, panels = plt.subplots(1, 2, figsize=(14, 4.6), layout="constrained")
for panel, role in zip(panels, chosen_runs, strict=True):
    found = cluster_returns(returns[role], labels[role], periods_per_year=12)
    print(f"\n{titles[role]}")
    show(found.table, f"returns_{role}")
    RiskReturnDisplay.from_cluster_returns(found, names=profiles[role].names, trim=0.01, ax=panel)
    panel.set_title(f"{titles[role]}\n", fontsize=10, loc="left")
keep(figure, "return_risk")

# %%
# How many clusters?
# ------------------
# The study reads the number of clusters from the map's scores. Lift and stability may say
# something else, and may say "none".

best_run, best_clusterer, _ = chosen_runs["best"]
choice = judge(*run_of(best_run, best_clusterer), range(2, 9), N_DRAWS, n_resamples=6)
print(f"{best_run}, {best_clusterer}\n{choice}")
map_scores = choice.null.query("score == 'map, silhouette'").set_index("n_clusters")["observed"]
print(f"The map's silhouette alone would choose {map_scores.idxmax()}.")
show(choice.table.set_index("n_clusters"), "choice")
keep(ElbowDisplay.from_choice(choice).figure_, "choice")

# %%
# A market without clusters
# -------------------------
# The same procedure, experiment 6 with K-means, on a synthetic market whose stocks come from one
# cloud. The map's silhouette looks like a success; the lift says that there is nothing. So it said
# of ten such markets (random states 0 to 9, 19 draws each, the training steps used for real files);
# as a test at the 5 % level, it will name clusters in one of twenty.

cloud, _ = feature_sets(synthetic_stocks(cluster_separation=0.0, random_state=3).tables[2019])
X = cloud["original + extension"]
nothing = deep_clustering(X.shape[1], autoencoder=True, **EFFORT)
verdict = judge(nothing, X, N_CLUSTERS, N_DRAWS)
print(verdict)
show(
    with_null(
        tidy_scores(verdict, run="no clusters", clusterer="K-means"), "K-means", "map", "silhouette"
    ),
    "structureless_map",
)
show(
    with_null(
        tidy_scores(verdict, run="no clusters", clusterer="K-means"),
        "K-means",
        "features",
        "silhouette",
    ),
    "structureless_features",
)

# %%
# What the study leaves open
# --------------------------
# It names its limits: outliers, the depth, code size and optimiser of the autoencoder, and other
# periods. Experiment 6 with six clusters of K-means, one thing changed at a time. The last column
# is the agreement with the unchanged run; "another seed" says how far chance alone moves it.

ENCODE, SCALE = "map__encode__", "standardise__logstandardizer__"
VARIANTS = {
    "unchanged": {},
    "another seed": {f"{ENCODE}random_state": 1, "map__embed__random_state": 1},
    "winsorised at 1 %": {f"{SCALE}winsorize": 0.01},
    "winsorised at 5 %": {f"{SCALE}winsorize": 0.05},
    'log="scaled"': {f"{SCALE}log": "scaled"},
    "one hidden layer (16)": {f"{ENCODE}hidden_layer_sizes": (16,)},
    "three hidden layers (64, 32, 16)": {f"{ENCODE}hidden_layer_sizes": (64, 32, 16)},
    "code of 2": {f"{ENCODE}n_components": 2},
    "code of 4": {f"{ENCODE}n_components": 4},
    "code of 16": {f"{ENCODE}n_components": 16},
    "AdamW, weight decay 0.01": {f"{ENCODE}optimizer": "adamw", f"{ENCODE}weight_decay": 0.01},
    "RMSprop": {f"{ENCODE}optimizer": "rmsprop"},
    "SGD": {f"{ENCODE}optimizer": "sgd", f"{ENCODE}learning_rate": 0.03},
    "perplexity 10": {"map__embed__perplexity": 10},
}
rows, reference = {}, None
for name, changes in VARIANTS.items():
    pipeline, X = run_of("Exp 6")
    pipeline.set_params(cluster__n_clusters=6, **changes).fit(X)
    found = pipeline.predict(X)
    reference = found if reference is None else reference
    encoder = pipeline.named_steps["map"].named_steps["encode"]
    rows[name] = {
        "reconstruction MSE": -encoder.score(pipeline[:1].transform(X)),
        **{score: abs(scorer(pipeline, X)) for score, scorer in SCORERS.items()},
        "ARI with unchanged": adjusted_rand_score(reference, found),
    }
show(pd.DataFrame(rows).T.rename_axis("changed"), "variants")

# %%
# Other periods: the same procedure on earlier fiscal years. The index compares the clusters of two
# years on the stocks that both have. The clusters of the standardised features, without any map,
# are the yardstick.


def labels_by_year(year):
    year_sets, _ = feature_sets(stocks.tables[year])
    X = year_sets["original + extension"]
    deep = deep_clustering(X.shape[1], autoencoder=True, **EFFORT)
    pipelines = {"Exp 6": deep, "raw": baseline("raw")}
    return pd.DataFrame(
        {
            name: pipeline.set_params(cluster__n_clusters=6).fit_predict(X)
            for name, pipeline in pipelines.items()
        },
        index=X.index,
    )


by_year = {year: labels_by_year(year) for year in stocks.tables}
rows = {}
for first, second in combinations(by_year, 2):
    both = by_year[first].join(by_year[second].add_suffix(" later"), how="inner")
    rows[f"{first} and {second}"] = {
        "stocks": len(both),
        **{run: adjusted_rand_score(both[run], both[f"{run} later"]) for run in ("Exp 6", "raw")},
    }
years = pd.DataFrame(rows).T.rename_axis("years").astype({"stocks": int})
show(years, "years")
CACHE.cleanup()
