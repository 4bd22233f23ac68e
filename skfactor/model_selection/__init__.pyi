from ._full_sample import FullSample

__all__ = ["FullSample"]
