from . import (
    cluster,
    datasets,
    decomposition,
    exceptions,
    inference,
    linear_model,
    manifold,
    metrics,
    model_selection,
    plotting,
    portfolios,
    preprocessing,
)
from .decomposition import AutoencoderReducer
from .linear_model import FamaFrenchRegressor
from .manifold import TSNEEmbedder
from .metrics import davies_bouldin_scorer, make_clustering_scorer, silhouette_scorer
from .preprocessing import LogStandardizer

__version__: str

__all__ = [
    "AutoencoderReducer",
    "FamaFrenchRegressor",
    "LogStandardizer",
    "TSNEEmbedder",
    "cluster",
    "datasets",
    "davies_bouldin_scorer",
    "decomposition",
    "exceptions",
    "inference",
    "linear_model",
    "make_clustering_scorer",
    "manifold",
    "metrics",
    "model_selection",
    "plotting",
    "portfolios",
    "preprocessing",
    "silhouette_scorer",
]
