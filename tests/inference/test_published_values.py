"""Tests of published portfolios, beside what was printed about them."""

import numpy as np
import pytest

from skfactor.datasets import read_factors
from skfactor.inference import compare_models, grs_test
from skfactor.linear_model import FamaFrenchRegressor

# E. F. Fama and K. R. French, "A five-factor asset pricing model", Journal of Financial Economics
# 116, 2015, Table 5, Panel A: GRS statistic and mean absolute alpha in percent a month.
PRINTED = {"ff3": (3.62, 0.102), "ff5": (2.84, 0.094)}


@pytest.mark.parametrize("model", PRINTED)
def test_grs_of_the_25_portfolios_is_near_what_fama_and_french_print(real_data, model):
    factors = read_factors(real_data / "ff_factors_monthly.parquet").loc["1963-07":"2013-12"]
    table = read_factors(real_data / "ff_portfolios_monthly_vw.parquet")
    portfolios = table.filter(regex=r"^ME_BM\|").loc["1963-07":"2013-12"]
    assert portfolios.shape == (606, 25)
    fitted = FamaFrenchRegressor(model, risk_free="RF").fit(factors, portfolios)
    statistic, alpha = PRINTED[model]
    # The files are of later vintages than the article's.
    assert grs_test(fitted).statistic == pytest.approx(statistic, rel=0.1)
    assert 100 * np.abs(fitted.intercept_).mean() == pytest.approx(alpha, abs=0.005)
    assert grs_test(fitted).p_value < 1e-4


def test_hml_is_redundant_in_the_five_factor_model_as_fama_and_french_say(real_data):
    factors = read_factors(real_data / "ff_factors_monthly.parquet").loc["1963-07":"2013-12"]
    others = factors[["Mkt-RF", "SMB", "RMW", "CMA"]]
    assert grs_test(others, factors["HML"]).p_value > 0.5
    models = {"without HML": list(others), "ff5": "ff5", "ff3": "ff3"}
    nested = compare_models(factors, factors[["Mom"]], models).nested.set_index("smaller")
    assert nested.loc["without HML", "p_value"] > 0.5
    assert nested.loc["ff3", "p_value"] < 1e-6
