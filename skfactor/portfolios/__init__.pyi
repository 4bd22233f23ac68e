from ._asof import join_asof
from ._clusters import ClusterPortfolios, cluster_portfolios
from ._definitions import leverage, liquidity, operational_efficiency
from ._fundamental import fundamental_factors
from ._result import SortedPortfolios
from ._sort import PortfolioSort

__all__ = [
    "join_asof",
    "liquidity",
    "leverage",
    "operational_efficiency",
    "PortfolioSort",
    "SortedPortfolios",
    "fundamental_factors",
    "cluster_portfolios",
    "ClusterPortfolios",
]
