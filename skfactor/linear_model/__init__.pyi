from ._fama_french import FamaFrenchRegressor
from ._rolling import RollingFamaFrenchRegressor

__all__ = ["FamaFrenchRegressor", "RollingFamaFrenchRegressor"]
