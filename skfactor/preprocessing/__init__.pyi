from ._imputer import PanelImputer
from ._latest import latest_values
from ._log_standardizer import LogStandardizer
from ._merge import MergeReport, merge_tables
from ._price_features import PriceFeatures

__all__ = [
    "merge_tables",
    "MergeReport",
    "latest_values",
    "PriceFeatures",
    "PanelImputer",
    "LogStandardizer",
]
