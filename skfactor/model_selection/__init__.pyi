from ._full_sample import FullSample
from ._panel_split import PanelSplit
from ._walk_forward import WalkForward

__all__ = ["FullSample", "PanelSplit", "WalkForward"]
