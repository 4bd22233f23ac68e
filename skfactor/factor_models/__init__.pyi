from ._conditional_autoencoder import ConditionalAutoencoderFactorModel
from ._cross_sectional import CrossSectionalFactorModel
from ._deep_characteristic import DeepCharacteristicFactorModel
from ._instrumented_pca import InstrumentedPCA
from ._pca import PCAFactorModel
from ._premia import PremiaForecast
from ._risk import RiskModel
from ._skfolio import skfolio_prior

__all__ = [
    "CrossSectionalFactorModel",
    "PCAFactorModel",
    "InstrumentedPCA",
    "ConditionalAutoencoderFactorModel",
    "DeepCharacteristicFactorModel",
    "PremiaForecast",
    "RiskModel",
    "skfolio_prior",
]
