"""
Deep clustering of stocks, start to finish
==========================================

From raw fundamentals and prices to clusters with names: merge, fill, log and standardise,
compress with an autoencoder, map with t-SNE, cluster with K-means; then ask whether the
clusters are real, and read them.

The market is synthetic, so that the answer is known: four business models, each with its own
level of size, value, liquidity, leverage and efficiency.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import Pipeline

from skfactor import AutoencoderReducer, LogStandardizer, TSNEEmbedder, make_clustering_scorer
from skfactor.cluster import (
    choose_n_clusters,
    cluster_correlations,
    cluster_profile,
    cluster_returns,
)
from skfactor.datasets import make_stock_universe
from skfactor.plotting import (
    ClusterBoxPlotDisplay,
    CorrelationDisplay,
    ElbowDisplay,
    EmbeddingDisplay,
    RiskReturnDisplay,
    SilhouetteDisplay,
    TrainingCurveDisplay,
)
from skfactor.preprocessing import PanelImputer, PriceFeatures, merge_tables

# %%
# One row a firm
# --------------
# Three tables are joined by ticker: fundamentals, more fundamentals, and the mean and standard
# deviation of returns over five horizons. The report says who was dropped, and why.

universe = make_stock_universe(n_assets=300, random_state=0)
prices = PriceFeatures().set_output(transform="pandas").fit_transform(universe.prices.T)
features, report = merge_tables(
    fundamentals=universe.cross_section(features="original"),
    extension=universe.cross_section(features="extension"),
    prices=prices,
)
print(report)
features.iloc[:5, :8]

# %%
# The pipeline
# ------------
# Gaps that a firm's own past could not fill take the median of the cross-section. Logs tame
# the tails, the autoencoder keeps eight values of each stock, t-SNE draws them in a plane.

pipeline = Pipeline(
    [
        ("impute", PanelImputer(cross_section=True)),
        ("scale", LogStandardizer(winsorize=0.01)),
        ("encode", AutoencoderReducer(n_components=8, random_state=0)),
        ("embed", TSNEEmbedder(random_state=0)),
        ("cluster", KMeans(n_clusters=4, n_init=10, random_state=0)),
    ]
)
labels = pipeline.fit_predict(features)
truth = universe.clusters.loc[features.index]
print(f"Adjusted Rand index against the truth: {adjusted_rand_score(truth, labels):.3f}")

# %%
# How many clusters, and are there any?
# -------------------------------------
# A silhouette in the t-SNE plane is high even where there is nothing to find. So it is measured
# among the standardised features, and compared with the same pipeline on data that have the
# spread, skewness, tails, zeros and correlations of the columns but no clusters: the *lift*.
# *Stability* is the agreement of clusterings of subsamples.

choice = choose_n_clusters(
    pipeline,
    features,
    range(2, 8),
    scoring={
        "silhouette": make_clustering_scorer("silhouette", space="scale"),
        "davies_bouldin": make_clustering_scorer("davies_bouldin", space="scale"),
        "silhouette_in_map": make_clustering_scorer("silhouette", space="embedding"),
    },
    n_draws=19,
    n_resamples=5,
    random_state=0,
)
print(choice)
ElbowDisplay.from_choice(choice)

# %%
# Reading the clusters
# --------------------
# The profile ranks the features by how well they separate the clusters and puts each cluster
# into words.

profile = cluster_profile(features, labels)
print(profile)

# %%

EmbeddingDisplay.from_estimator(pipeline, features, names=profile.names)

# %%

scaled = pipeline["scale"].transform(pipeline["impute"].transform(features))
SilhouetteDisplay.from_labels(scaled, labels, space="standardised features", names=profile.names)

# %%
# Raw fundamentals span orders of magnitude, so the scale is logarithmic away from zero.

ClusterBoxPlotDisplay.from_labels(
    features,
    labels,
    features=profile.separating_features()[:6],
    names=profile.names,
    scale="symlog",
    n_columns=3,
)

# %%
# Do stocks of one cluster move together?
# ---------------------------------------
# The clusters were made from fundamentals and the returns are what they are: a higher
# correlation within clusters than between them is news. (The labels use the whole sample, so
# the returns by cluster describe the past; they are not a strategy.)

returns = universe.returns[features.index]
correlations = cluster_correlations(returns, labels)
print(correlations)
CorrelationDisplay.from_correlations(correlations)

# %%

by_cluster = cluster_returns(returns, labels, periods_per_year=12)
print(by_cluster)
RiskReturnDisplay.from_cluster_returns(by_cluster, names=profile.names)

# %%
# Did the autoencoder learn?
# --------------------------

TrainingCurveDisplay.from_estimator(pipeline["encode"])

# %%
# Run as a script, the pictures are written to a folder.

output = os.environ.get("SKFACTOR_OUTPUT", "output")
if output:
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    choice.table.to_csv(folder / "scores.csv", index=False)
    for number in plt.get_fignums():
        plt.figure(number).savefig(folder / f"deep_clustering_{number}.png", dpi=120)
    print(f"{len(plt.get_fignums())} pictures and scores.csv written to {folder.resolve()}")
