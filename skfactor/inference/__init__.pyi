from ._comparison import ModelComparison, compare_models
from ._grs import grs_test
from ._joint_alpha import joint_alpha_test
from ._multiple_testing import FalseDiscoveries, benjamini_hochberg
from ._result import HypothesisTest
from ._spanning import spanning_test

__all__ = [
    "FalseDiscoveries",
    "HypothesisTest",
    "ModelComparison",
    "benjamini_hochberg",
    "compare_models",
    "grs_test",
    "joint_alpha_test",
    "spanning_test",
]
