from ._french import read_french
from ._gkx import GKXPanel, make_gkx_panel
from ._readers import (
    SP500_STUDY_COLUMNS,
    ClusteringCrossSection,
    read_clustering_cross_section,
    read_factors,
    read_prices_wide,
)
from ._universe import StockUniverse, make_stock_universe

__all__ = [
    "ClusteringCrossSection",
    "GKXPanel",
    "SP500_STUDY_COLUMNS",
    "StockUniverse",
    "make_gkx_panel",
    "make_stock_universe",
    "read_clustering_cross_section",
    "read_factors",
    "read_french",
    "read_prices_wide",
]
