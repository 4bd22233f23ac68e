from ._alpha_bootstrap import AlphaBootstrap, alpha_bootstrap
from ._comparison import ModelComparison, compare_models
from ._factor_stability import FactorStability, factor_stability
from ._grs import grs_test
from ._ipca_tests import ipca_alpha_test, ipca_characteristic_test
from ._joint_alpha import joint_alpha_test
from ._linear_pricing import linear_pricing_test
from ._multiple_testing import FalseDiscoveries, benjamini_hochberg
from ._pricing_error import PricingErrors, pricing_error
from ._result import HypothesisTest
from ._spanning import spanning_test

__all__ = [
    "AlphaBootstrap",
    "FactorStability",
    "FalseDiscoveries",
    "HypothesisTest",
    "ModelComparison",
    "PricingErrors",
    "alpha_bootstrap",
    "benjamini_hochberg",
    "compare_models",
    "factor_stability",
    "grs_test",
    "ipca_alpha_test",
    "ipca_characteristic_test",
    "joint_alpha_test",
    "linear_pricing_test",
    "pricing_error",
    "spanning_test",
]
