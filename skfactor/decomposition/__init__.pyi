from ._autoencoder import AutoencoderReducer

__all__ = ["AutoencoderReducer"]
