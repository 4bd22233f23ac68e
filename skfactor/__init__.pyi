from . import (
    cluster,
    datasets,
    decomposition,
    exceptions,
    manifold,
    metrics,
    model_selection,
    plotting,
    preprocessing,
)
from .decomposition import AutoencoderReducer
from .manifold import TSNEEmbedder
from .metrics import davies_bouldin_scorer, make_clustering_scorer, silhouette_scorer
from .preprocessing import LogStandardizer

__version__: str

__all__ = [
    "AutoencoderReducer",
    "LogStandardizer",
    "TSNEEmbedder",
    "cluster",
    "datasets",
    "davies_bouldin_scorer",
    "decomposition",
    "exceptions",
    "make_clustering_scorer",
    "manifold",
    "metrics",
    "model_selection",
    "plotting",
    "preprocessing",
    "silhouette_scorer",
]
