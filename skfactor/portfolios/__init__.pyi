from ._asof import join_asof
from ._cluster_result import ClusterPortfolios
from ._clusters import cluster_portfolios
from ._definitions import leverage, liquidity, operational_efficiency
from ._efficient import EfficientPortfolio, minimum_variance_portfolio, tangency_portfolio
from ._fundamental import fundamental_factors
from ._fundamental_characteristics import fundamental_characteristics
from ._hedging import HedgingEffectiveness, hedging_effectiveness
from ._long_short import QuantileLongShort, quantile_long_short
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
    "fundamental_characteristics",
    "cluster_portfolios",
    "ClusterPortfolios",
    "quantile_long_short",
    "QuantileLongShort",
    "tangency_portfolio",
    "minimum_variance_portfolio",
    "EfficientPortfolio",
    "hedging_effectiveness",
    "HedgingEffectiveness",
]
