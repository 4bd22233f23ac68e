"""The contract of a panel: which row is which asset on which date, and what follows from it."""

import lazy_loader as _lazy_loader

__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
