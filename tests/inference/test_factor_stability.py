"""Premia by period: against textbook formulas, sizes, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfactor.inference import factor_stability
from skfactor.inference._factor_stability import welch_test
from skfactor.linear_model import FamaFrenchRegressor

MONTHS = pd.date_range("2000-01-31", periods=120, freq="ME")


def draw(seed=0, scale=0.03):
    return pd.Series(np.random.default_rng(seed).normal(0.005, scale, 120), MONTHS, name="LIQ")


def test_two_periods_are_welch_s_t_test():
    factor = draw()
    factor.iloc[70:] *= 3
    factor.iloc[[3, 80]] = np.nan
    found = factor_stability(factor)
    first, last = factor.iloc[:60].dropna(), factor.iloc[60:].dropna()
    expected = stats.ttest_ind(first, last, equal_var=False)
    test = found.tests["LIQ"]
    assert test.statistic == pytest.approx(expected.statistic**2)
    assert test.df == pytest.approx((1.0, expected.df))
    assert test.p_value == pytest.approx(expected.pvalue)
    assert test.null == "The mean of LIQ is the same in all 2 periods."
    assert not test.exact
    row = found.table.loc[("LIQ", 2)]
    assert row["n_dates"] == 59
    assert (row["start"], row["end"]) == (MONTHS[60], MONTHS[119])
    assert row["mean"] == pytest.approx(last.mean())
    assert row["t_value"] == pytest.approx(last.mean() / stats.sem(last))
    assert row["volatility"] == pytest.approx(last.std())
    assert row["alpha"] == row["mean"]


def slow_welch(groups):
    """The one-way analysis of Welch (1951), as his paper writes it."""
    n = np.array([len(g) for g in groups])
    mean = np.array([np.mean(g) for g in groups])
    w = n / np.array([np.var(g, ddof=1) for g in groups])
    k = len(groups)
    grand = (w * mean).sum() / w.sum()
    lam = ((1 - w / w.sum()) ** 2 / (n - 1)).sum()
    f = (w * (mean - grand) ** 2).sum() / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * lam)
    return f, (k**2 - 1) / (3 * lam)


def test_more_periods_are_welch_s_analysis_of_variance():
    factor = draw(1)
    found = factor_stability(factor, ["2002-06-01", "2007-01-01"]).tests["LIQ"]
    groups = [factor.loc[:"2002-05"], factor.loc["2002-06":"2006-12"], factor.loc["2007":]]
    statistic, df = slow_welch(groups)
    assert found.statistic == pytest.approx(statistic)
    assert found.df == pytest.approx((2.0, df))


def test_alphas_are_those_of_each_period_alone():
    rng = np.random.default_rng(2)
    market = pd.DataFrame({"Mkt-RF": rng.normal(0.006, 0.04, 120)}, MONTHS.to_period("M"))
    beta = np.repeat([0.2, 1.4], 60)
    factor = draw(3) + beta * market["Mkt-RF"].to_numpy()
    found = factor_stability(factor.rename("CLU"), benchmark=market)
    for number, rows in ((1, slice(0, 60)), (2, slice(60, 120))):
        alone = FamaFrenchRegressor().fit(market.iloc[rows], factor.iloc[rows])
        row = found.table.loc[("CLU", number)]
        assert row["alpha"] == pytest.approx(alone.intercept_[0])
        assert row["alpha_std_error"] == pytest.approx(alone.bse_[0, 0])
        assert row["alpha_t_value"] == pytest.approx(alone.tvalues_[0, 0])
    assert found.tests["CLU"].null == "The alpha of CLU is the same in all 2 periods."
    assert "Equal premia (Welch): F(1, " in repr(found)


def test_a_premium_that_dies_is_found():
    factor = draw(4, scale=0.01)
    factor.iloc[60:] -= 0.02
    assert factor_stability(factor).tests["LIQ"].p_value < 1e-6


def test_arrays_have_rows_for_dates():
    values = np.column_stack([draw(0), draw(1)])
    found = factor_stability(values, periods=[40])
    assert list(found.tests) == ["x0", "x1"]
    assert found.table["n_dates"].to_list() == [40, 80, 40, 80]
    one = factor_stability(values[:, 0], periods=[40], benchmark=values[:, 1:])
    assert one.tests["x0"].df[0] == 1
    pd.testing.assert_frame_equal(
        factor_stability(draw()[::-1]).table, factor_stability(draw()).table
    )
    unnamed = factor_stability(draw().rename(None).set_axis(MONTHS.to_period("M")), ["2005-01-01"])
    assert unnamed.tests["the factor"].null.startswith("The mean of the factor")


def test_bad_periods_are_refused():
    factor = draw()
    with pytest.raises(ValueError, match="at least 2 and at most 120, the number of dates; got 1"):
        factor_stability(factor, 1)
    with pytest.raises(ValueError, match="rising dates .* within 2000-01-31 to 2009-12-31"):
        factor_stability(factor, ["2005-01-01", "2003-01-01"])
    with pytest.raises(ValueError, match="rising dates"):
        factor_stability(factor, [])
    factor.iloc[:58] = np.nan
    message = "got 2 of 'LIQ' in the period from 2000-01-31. Choose fewer periods."
    with pytest.raises(ValueError, match=message):
        factor_stability(factor)


@pytest.mark.slow
@pytest.mark.parametrize("df", [None, 5])
@pytest.mark.parametrize("n_periods", [2, 4])
def test_equal_premia_are_rejected_as_often_as_the_test_says(df, n_periods):
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 2.0, 0.5, 1.5])[:n_periods]
    rejected = 0
    for _ in range(4000):
        shape = (30, n_periods)
        draws = rng.standard_normal(shape) if df is None else rng.standard_t(df, shape)
        draws *= scale
        test = welch_test(
            "", draws.mean(axis=0), stats.sem(draws, axis=0), np.full(n_periods, 29.0)
        )
        rejected += test.p_value < 0.05
    print(f"df={df}, {n_periods} periods: {rejected / 4000:.4f}")
    assert 0.035 <= rejected / 4000 <= 0.065
