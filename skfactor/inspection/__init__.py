"""What a fitted factor model relies on, where returns came from, and how good it is."""

import lazy_loader as _lazy_loader

__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
