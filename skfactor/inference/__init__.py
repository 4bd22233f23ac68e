"""Tests of factor models: are all alphas zero, and which of many are not."""

import lazy_loader as _lazy_loader

__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
