from ._alpha_bootstrap import AlphaBootstrapDisplay
from ._beta_path import BetaPathDisplay
from ._box_plot import ClusterBoxPlotDisplay
from ._cluster_paths import ClusterPathsDisplay
from ._correlation import CorrelationDisplay
from ._elbow import ElbowDisplay
from ._embedding import EmbeddingDisplay
from ._factor_returns import FactorReturnsDisplay
from ._importance import ImportanceDisplay
from ._reconstruction import ReconstructionDisplay
from ._risk_return import RiskReturnDisplay
from ._silhouette import SilhouetteDisplay
from ._training_curve import TrainingCurveDisplay

__all__ = [
    "AlphaBootstrapDisplay",
    "BetaPathDisplay",
    "ClusterBoxPlotDisplay",
    "ClusterPathsDisplay",
    "CorrelationDisplay",
    "ElbowDisplay",
    "EmbeddingDisplay",
    "FactorReturnsDisplay",
    "ImportanceDisplay",
    "ReconstructionDisplay",
    "RiskReturnDisplay",
    "SilhouetteDisplay",
    "TrainingCurveDisplay",
]
