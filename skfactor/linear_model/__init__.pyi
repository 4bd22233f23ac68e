from ._fama_french import FamaFrenchRegressor
from ._fama_macbeth import FamaMacBeth
from ._rolling import RollingFamaFrenchRegressor

__all__ = ["FamaFrenchRegressor", "FamaMacBeth", "RollingFamaFrenchRegressor"]
