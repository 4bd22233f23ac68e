from . import (
    cluster,
    datasets,
    decomposition,
    exceptions,
    factor_models,
    inference,
    inspection,
    linear_model,
    manifold,
    metrics,
    model_selection,
    panel,
    plotting,
    portfolios,
    preprocessing,
)
from .decomposition import AutoencoderReducer
from .factor_models import ConditionalAutoencoderFactorModel, DeepCharacteristicFactorModel
from .linear_model import FamaFrenchRegressor
from .manifold import TSNEEmbedder
from .metrics import (
    davies_bouldin_scorer,
    make_clustering_scorer,
    predictive_r2_scorer,
    silhouette_scorer,
    total_r2_scorer,
)
from .preprocessing import LogStandardizer

__version__: str

__all__ = [
    "AutoencoderReducer",
    "ConditionalAutoencoderFactorModel",
    "DeepCharacteristicFactorModel",
    "FamaFrenchRegressor",
    "LogStandardizer",
    "TSNEEmbedder",
    "cluster",
    "datasets",
    "davies_bouldin_scorer",
    "decomposition",
    "exceptions",
    "factor_models",
    "inference",
    "inspection",
    "linear_model",
    "make_clustering_scorer",
    "manifold",
    "metrics",
    "model_selection",
    "panel",
    "plotting",
    "portfolios",
    "predictive_r2_scorer",
    "preprocessing",
    "silhouette_scorer",
    "total_r2_scorer",
]
