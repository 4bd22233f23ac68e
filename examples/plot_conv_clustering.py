"""
Clustering stocks by the shape of their prices
==============================================

Leo ("Clustering S&P500 using Fully Convolutional Autoencoders") takes the last 256 prices of
every stock of an index, compresses the scaled cumulative returns to two values with a fully
convolutional autoencoder, and clusters these codes with K-means. The net is fitted to the few
hundred paths that it then clusters.

Here the net learns from thousands of rolling windows of the past, and is judged on later ones that
it has not seen, beside principal components of the same size. Then the last 256 days are
clustered, and the clusters are read and doubted. The author's own protocol follows, and the
extensions that he names: larger codes, longer windows, other clusterers.

It runs on a synthetic market. Name a folder with ``sp500_daily_adjclose_wide.parquet`` (and, for
sectors, ``nyse_securities.parquet``) in the environment variable ``SKFACTOR_DATA`` to run it on
real prices, which takes about ten minutes. Tables and pictures are written to the folder named by
``SKFACTOR_OUTPUT``, by default ``output``; set it empty to write nothing.
"""

# %%
# Data
# ----
# Daily prices, a sector for each stock, and the day that splits training from testing.

import os
import textwrap
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.cluster import DBSCAN, KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skfactor.cluster import choose_n_clusters, cluster_stability
from skfactor.datasets import make_stock_universe, read_prices_wide
from skfactor.decomposition import ConvAutoencoderReducer
from skfactor.plotting import (
    ClusterPathsDisplay,
    ElbowDisplay,
    EmbeddingDisplay,
    ReconstructionDisplay,
    TrainingCurveDisplay,
)
from skfactor.preprocessing import CumulativeReturns, rolling_windows

DATA = os.environ.get("SKFACTOR_DATA")
OUTPUT = os.environ.get("SKFACTOR_OUTPUT", "output")
START = time.perf_counter()

if DATA:
    prices = read_prices_wide(Path(DATA) / "sp500_daily_adjclose_wide.parquet")
    members = pd.read_parquet(Path(DATA) / "nyse_securities.parquet")
    sectors = members.set_index("Ticker Symbol")["GICS Sector"]
    split, seeds, effort = "2014-01-01", (0, 1, 2), {"max_epochs": 4}
    chosen = ["AAPL", "XOM", "JPM", "AMZN"]
else:
    universe = make_stock_universe(n_assets=120, n_years=6, random_state=0)
    prices, sectors = universe.prices, universe.sectors
    split, seeds, effort = "2019-01-01", (0,), {"max_epochs": 6}
    chosen = ["S001", "S040", "S080", "S120"]

# %%
# Windows
# -------
# A row is a stock's path over 256 days, with mean 0 and standard deviation 1, so that only its
# shape counts. Training windows end before the split and test windows start from it, so that no day
# is in both. The test windows do not overlap.

WINDOW = 256
paths_of = CumulativeReturns().set_output(transform="pandas")
train = paths_of.fit_transform(rolling_windows(prices, WINDOW, 21, end_before=split))
test = paths_of.transform(rolling_windows(prices, WINDOW, WINDOW, start_from=split))
print(f"{len(train)} training windows, {len(test)} test windows")

# %%
# Windows of one date resemble one another: nine years hold few market histories, and a net that
# learns those by heart does badly in the next. A path turned upside down or run backwards is as
# plausible as the path itself. So the net sees each one four ways.


def turned(paths):
    """Stack the paths as they are, upside down, backwards, and both."""
    values = np.asarray(paths, dtype=np.float32)
    backwards = values[:, ::-1]
    return np.concatenate([values, -values, backwards, -backwards])


training_rows = turned(train)

# %%
# What a code of a few values keeps
# ---------------------------------
# The measure is the share of variation in the test windows that a reconstruction explains,
#
# .. math:: R^2 = 1 - \frac{\sum_i \lVert x_i - \hat x_i \rVert^2}{\sum_i \lVert x_i - \bar x
#    \rVert^2},
#
# with the mean :math:`\bar x` of the *training* windows for both methods. Principal components
# are given the better of the two training sets, with turned paths and without.

MEAN = train.mean().to_numpy()


def r2(reducer, paths):
    rows = np.asarray(paths)
    error = rows - reducer.inverse_transform(reducer.transform(rows))
    return 1 - np.square(error).sum() / np.square(rows - MEAN).sum()


def pca_r2(n_components):
    return max(r2(PCA(n_components).fit(X), test) for X in (train.to_numpy(), training_rows))


def fit_net(n_components, random_state, rows):
    return ConvAutoencoderReducer(
        n_components,
        **effort,
        schedule="cosine",
        validation_fraction=0,
        patience=None,
        random_state=random_state,
    ).fit(rows)


nets, rows = {}, []
for n_components in (2, 4, 8):
    started = time.process_time()
    fits = [fit_net(n_components, seed, training_rows) for seed in seeds]
    seconds = (time.process_time() - started) / len(fits)
    scores = [r2(net, test) for net in fits]
    nets[n_components] = fits[0]
    rows.append(
        {
            "code": n_components,
            "PCA": pca_r2(n_components),
            "autoencoder": np.mean(scores),
            "spread": np.std(scores, ddof=1) if len(scores) > 1 else np.nan,
            "PCA, one more": pca_r2(n_components + 1),
            "parameters": fits[0].n_parameters_,
            "CPU seconds": seconds,
        }
    )
reconstruction = pd.DataFrame(rows).set_index("code")
reconstruction.round(4)

# %%
# A scaled path lies on a sphere, and a bent surface of two dimensions covers more of a sphere than
# a plane does: that is where a net can gain, most with few values. On real prices it does so with
# two and four values; here, from a few stocks and six passes, it is level with them.

TrainingCurveDisplay.from_estimator(nets[4])

# %%
# Some tickers, their codes and what the decoder makes of them
# -------------------------------------------------------------
# A path needs a price on every day. A stock with a gap in the last 256 days has no path and is in
# no cluster.


def left_out(prices, kept):
    """Say who has no path, and for want of how many days."""
    gaps = prices.isna().sum().drop(kept)
    if gaps.empty:
        return f"All {len(kept)} stocks have a price on each of the {len(prices)} days."
    names = ", ".join(f"{ticker} ({days})" for ticker, days in gaps.items())
    return (
        f"{len(kept)} of {prices.shape[1]} stocks have a price on each of the {len(prices)} days. "
        f"Left out, with the days they miss: {names}."
    )


last = rolling_windows(prices.iloc[-WINDOW:], WINDOW).droplevel("date")
print(left_out(prices.iloc[-WINDOW:], last.index))

# %%

paths = paths_of.transform(last)
shown = [ticker for ticker in chosen if ticker in paths.index] or None
YLABEL = "scaled cumulative return"
ReconstructionDisplay.from_estimator(
    {f"from {size} values": net for size, net in nets.items()}, paths, shown, ylabel=YLABEL
)

# %%
# How many clusters?
# ------------------
# The elbow of the inertia, which is there whether there are clusters or not, and beside it the
# silhouette with its lift over data without clusters, and stability.

codes = pd.DataFrame(nets[4].transform(paths.to_numpy()), index=paths.index)
choice = choose_n_clusters(
    KMeans(n_init=5, random_state=0), codes, range(2, 9), n_resamples=5, random_state=0
)
print(choice)
ElbowDisplay.from_choice(choice)

# %%
# The author reads four clusters off the elbow, and we follow him, whatever the verdict above: the
# clusters are then a partition of one cloud, as useful as their reading.

N_CLUSTERS = 4


def by_mean_gain(labels, prices):
    """Renumber clusters by their mean gain over the window, the least first."""
    gain = (prices.iloc[:, -1] / prices.iloc[:, 0]).groupby(labels).mean()
    return gain.rank().astype(int).sub(1)[labels].to_numpy()


clusterer = KMeans(N_CLUSTERS, n_init=10, random_state=0)
labels = pd.Series(by_mean_gain(clusterer.fit_predict(codes), last), index=last.index)
stability = cluster_stability(clusterer, codes, random_state=0)
print(stability)

# %%
# Members
# -------

ClusterPathsDisplay.from_labels(paths, labels, ylabel=YLABEL)

# %%
# The table of members: how much each cluster gained, its main sectors, and who is in it.


def member_table(labels, prices, sectors):
    gain = prices.iloc[:, -1] / prices.iloc[:, 0] - 1
    table = {}
    for number, names in labels.groupby(labels).groups.items():
        shares = sectors.reindex(names).value_counts(normalize=True)
        main = ", ".join(f"{name} {share:.0%}" for name, share in shares.head(3).items())
        table[number] = {
            "stocks": len(names),
            "median gain": round(gain[names].median(), 3),
            "sectors": main,
            "members": " ".join(map(str, names)),
        }
    return pd.DataFrame(table).T.rename_axis("cluster")


member_list = member_table(labels, last, sectors)
for number, row in member_list.iterrows():
    print(f"cluster {number}: {row['stocks']} stocks, median gain {row['median gain']:.0%}")
    print(f"    {row['sectors']}")
    print(textwrap.fill(row["members"], 88, initial_indent="    ", subsequent_indent="    "))

# %%
# Agreement with sectors, corrected for chance (adjusted Rand index) and as shared information.


def sector_agreement(labels, sectors):
    known = sectors.reindex(labels.index).dropna()
    pair = known, labels[known.index]
    return adjusted_rand_score(*pair), normalized_mutual_info_score(*pair)


print("ARI {:.3f}, NMI {:.3f} with sectors".format(*sector_agreement(labels, sectors)))

# %%
# The plane of the code of two values, coloured by those clusters and by sector.

plane = pd.DataFrame(
    nets[2].transform(paths.to_numpy()), index=paths.index, columns=["code 1", "code 2"]
)
figure, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
EmbeddingDisplay.from_embedding(plane, labels, ax=axes[0])
EmbeddingDisplay.from_embedding(
    plane, sectors.reindex(plane.index).fillna("unknown"), annotate=chosen[1:2], ax=axes[1]
)

# %%
# The author's own protocol
# -------------------------
# Fitted to the paths of the last 256 days alone, all of them, and clustered on the same, with codes
# of two and four values. The few hundred rows are seen hundreds of times: on real prices the net
# draws them better than principal components of the same rows do, and the test windows worse.

own_nets, own_labels, rows = {}, {}, []
for n_components in (2, 4):
    own = ConvAutoencoderReducer(
        n_components,
        max_epochs=200 if DATA else 60,
        validation_fraction=0,
        patience=None,
        random_state=0,
    ).fit(paths.to_numpy())
    own_pca = PCA(n_components).fit(paths.to_numpy())
    own_codes = own.transform(paths.to_numpy())
    found = by_mean_gain(KMeans(N_CLUSTERS, n_init=10, random_state=0).fit_predict(own_codes), last)
    own_nets[n_components] = own
    own_labels[n_components] = pd.Series(found, index=last.index)
    shared = adjusted_rand_score(labels, found)
    ari, nmi = sector_agreement(own_labels[n_components], sectors)
    rows.append(
        {
            "code": n_components,
            "R2 on its own rows": r2(own, paths),
            "PCA on its own rows": r2(own_pca, paths),
            "R2 on test windows": r2(own, test),
            "PCA on test windows": r2(own_pca, test),
            "ARI with the clusters above": shared,
            "ARI with sectors": ari,
            "NMI with sectors": nmi,
        }
    )
own_protocol = pd.DataFrame(rows).set_index("code")
own_protocol.round(3)

# %%

ReconstructionDisplay.from_estimator(
    {f"from {size} values": net for size, net in own_nets.items()}, paths, shown, ylabel=YLABEL
)

# %%

ClusterPathsDisplay.from_labels(paths, own_labels[2], ylabel=YLABEL)

# %%
# Of his cluster 3 ("big tech and pharmaceutical companies") the author prints all members, as of
# October 2020. On a file of other dates an overlap can only say whether the same firms moved
# together before. For each of our clusters: how many of its stocks are on his list, and how many
# would be if members were drawn at random.

HIS_CLUSTER_3 = """
AAPL ADBE ADSK AMZN CTXS EBAY FAST BIIB LRCX MSFT NVDA QCOM REGN NLOK TSCO VRTX MNST NFLX NDAQ APD
BBY CLX CAG DHR DVA LLY FCX KR LB LOW SPGI MCO NEM ROK TER TMO TIF UNH VAR FMC PKI CRM FB BLK ABBV
CMG EA HUM KSU LDOS URI ALB ANSS BIO CDNS EQIX JKHY MTD QRVO RMD ROL SWKS SNPS CNC DPZ MSCI FTNT
FBHS INCY KHC PYPL ATVI CCI CHTR SBAC NOW TMUS DXCM OTIS CARR
"""


def overlap(labels, listed):
    on_list = pd.Series(labels.index.isin(listed), index=labels.index)
    table = on_list.groupby(labels).agg(stocks="size", on_his_list="sum")
    table["expected at random"] = table["stocks"] * on_list.mean()
    return table.rename_axis("cluster")


overlaps = pd.concat(
    {"code of 4, rolling": overlap(labels, HIS_CLUSTER_3.split())}
    | {
        f"code of {k}, his way": overlap(own, HIS_CLUSTER_3.split())
        for k, own in own_labels.items()
    },
    names=["clusters"],
)
if DATA:
    his = HIS_CLUSTER_3.split()
    print(
        f"Of his {len(his)} stocks {prices.columns.isin(his).sum()} are in the file, "
        f"{labels.index.isin(his).sum()} in the clusters."
    )
else:
    print("No ticker of the synthetic market is on his list.")
overlaps.round(1)

# %%
# Larger codes, longer windows, other clusterers
# ----------------------------------------------
# The author's list of future work in one table. Silhouettes are measured among the *paths*, so
# that codes of different sizes can be compared; DBSCAN's distance is the median distance to the
# fifth neighbour, and the stocks that it calls noise are left out of its scores.


def dbscan(codes):
    distance = NearestNeighbors(n_neighbors=5).fit(codes).kneighbors()[0][:, -1]
    return DBSCAN(eps=np.median(distance), min_samples=5)


def spectral(codes):
    return SpectralClustering(
        N_CLUSTERS, affinity="nearest_neighbors", n_neighbors=15, random_state=0
    )


def kmeans(codes):
    return KMeans(N_CLUSTERS, n_init=10, random_state=0)


long_window = 504
long_prices = rolling_windows(prices, long_window, 63, end_before=split)
long_last = rolling_windows(prices.iloc[-long_window:], long_window).droplevel("date")
long_paths = CumulativeReturns().set_output(transform="pandas").fit_transform(long_last)
long_net = fit_net(8, 0, turned(CumulativeReturns().fit_transform(long_prices)))
spaces = {
    (f"{WINDOW} days", "2 values"): (nets[2], paths),
    (f"{WINDOW} days", "4 values"): (nets[4], paths),
    (f"{WINDOW} days", "8 values"): (nets[8], paths),
    (f"{long_window} days", "8 values"): (long_net, long_paths),
    (f"{WINDOW} days", "8 components"): (PCA(8).fit(train.to_numpy()), paths),
    (f"{WINDOW} days", "paths"): (None, paths),
}
rows = []
for (window, size), (net, X) in spaces.items():
    values = X.to_numpy() if net is None else net.transform(X.to_numpy())
    values = StandardScaler(with_std=False).fit_transform(values)
    for name, make in {"K-means": kmeans, "DBSCAN": dbscan, "spectral": spectral}.items():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Graph is not fully connected")
            found = pd.Series(make(values).fit_predict(values), index=X.index)
            stable = cluster_stability(make(values), values, n_resamples=5, random_state=0).mean
        kept = found[found >= 0]
        several = kept.nunique() > 1
        ari, nmi = sector_agreement(kept, sectors) if several else (np.nan, np.nan)
        rows.append(
            {
                "window": window,
                "space": size,
                "clusterer": name,
                "clusters": kept.nunique(),
                "noise": (found < 0).mean(),
                "silhouette of paths": silhouette_score(X.loc[kept.index], kept)
                if several
                else np.nan,
                "stability": stable,
                "ARI with sectors": ari,
                "NMI with sectors": nmi,
            }
        )
extensions = pd.DataFrame(rows).set_index(["window", "space", "clusterer"])
extensions.round(3)

# %%
# Run as a script, tables and pictures are written to a folder.

if OUTPUT:
    folder = Path(OUTPUT)
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "reconstruction": reconstruction,
        "number_of_clusters": choice.table.set_index("n_clusters"),
        "members": member_list,
        "own_protocol": own_protocol,
        "overlap": overlaps,
        "extensions": extensions,
    }
    for name, table in tables.items():
        table.to_csv(folder / f"conv_{name}.csv")
        if name != "members":
            print(f"\n{name}\n{table.round(4).to_string()}")
    print(f"\n{member_list.drop(columns='members').to_string()}")
    for number in plt.get_fignums():
        plt.figure(number).savefig(folder / f"conv_clustering_{number}.png", dpi=110)
    print(f"\n{len(tables)} tables and {len(plt.get_fignums())} pictures are in {folder.resolve()}")
    print(f"{time.perf_counter() - START:.0f} seconds")
