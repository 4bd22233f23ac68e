from ._cross_sectional_scaler import CrossSectionalScaler
from ._cumulative_returns import CumulativeReturns
from ._imputer import PanelImputer
from ._latest import latest_values
from ._log_standardizer import LogStandardizer
from ._merge import MergeReport, merge_tables
from ._monthly_returns import monthly_returns
from ._price_characteristics import price_characteristics
from ._price_features import PriceFeatures
from ._universe import liquid_universe
from ._windows import rolling_windows

__all__ = [
    "merge_tables",
    "MergeReport",
    "latest_values",
    "PriceFeatures",
    "monthly_returns",
    "price_characteristics",
    "rolling_windows",
    "CumulativeReturns",
    "liquid_universe",
    "PanelImputer",
    "LogStandardizer",
    "CrossSectionalScaler",
]
