from ._box_plot import ClusterBoxPlotDisplay
from ._correlation import CorrelationDisplay
from ._elbow import ElbowDisplay
from ._embedding import EmbeddingDisplay
from ._risk_return import RiskReturnDisplay
from ._silhouette import SilhouetteDisplay
from ._training_curve import TrainingCurveDisplay

__all__ = [
    "ClusterBoxPlotDisplay",
    "CorrelationDisplay",
    "ElbowDisplay",
    "EmbeddingDisplay",
    "RiskReturnDisplay",
    "SilhouetteDisplay",
    "TrainingCurveDisplay",
]
