from ._attribution import attribute_returns
from ._importance import characteristic_importance
from ._scorecard import Scorecard, scorecard

__all__ = [
    "scorecard",
    "Scorecard",
    "characteristic_importance",
    "attribute_returns",
]
