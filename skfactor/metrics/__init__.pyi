from ._clustering import (
    coverage_scorer,
    davies_bouldin_scorer,
    make_clustering_scorer,
    silhouette_scorer,
)

__all__ = [
    "coverage_scorer",
    "davies_bouldin_scorer",
    "make_clustering_scorer",
    "silhouette_scorer",
]
