from ._choice import ClusterChoice, choose_n_clusters
from ._copula import draw_null
from ._correlation import (
    ClusterCorrelations,
    ClusterReturns,
    cluster_correlations,
    cluster_returns,
)
from ._inductive import InductiveClusterer
from ._null import NullReference, null_reference
from ._profile import ClusterProfile, cluster_profile, name_clusters
from ._stability import ClusterStability, cluster_stability

__all__ = [
    "InductiveClusterer",
    "ClusterProfile",
    "cluster_profile",
    "name_clusters",
    "ClusterCorrelations",
    "cluster_correlations",
    "ClusterReturns",
    "cluster_returns",
    "ClusterStability",
    "cluster_stability",
    "NullReference",
    "draw_null",
    "null_reference",
    "ClusterChoice",
    "choose_n_clusters",
]
