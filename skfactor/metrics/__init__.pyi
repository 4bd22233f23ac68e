from ._clustering import (
    coverage_scorer,
    davies_bouldin_scorer,
    make_clustering_scorer,
    silhouette_scorer,
)
from ._factor_scorers import make_factor_scorer, predictive_r2_scorer, total_r2_scorer
from ._information_coefficient import InformationCoefficient, information_coefficient
from ._r2 import predictive_r2_score, total_r2_score
from ._sharpe import SharpeRatio, sharpe_ratio

__all__ = [
    "coverage_scorer",
    "davies_bouldin_scorer",
    "make_clustering_scorer",
    "silhouette_scorer",
    "total_r2_score",
    "predictive_r2_score",
    "information_coefficient",
    "InformationCoefficient",
    "sharpe_ratio",
    "SharpeRatio",
    "total_r2_scorer",
    "predictive_r2_scorer",
    "make_factor_scorer",
]
