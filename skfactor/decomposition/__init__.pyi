from ._autoencoder import AutoencoderReducer
from ._conv_autoencoder import ConvAutoencoderReducer

__all__ = ["AutoencoderReducer", "ConvAutoencoderReducer"]
