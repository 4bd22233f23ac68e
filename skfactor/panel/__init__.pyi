from ._dense import DensePanel, from_dense, to_dense
from ._lag import lag
from ._long import from_long
from ._managed import managed_portfolios

__all__ = [
    "from_long",
    "lag",
    "to_dense",
    "from_dense",
    "DensePanel",
    "managed_portfolios",
]
