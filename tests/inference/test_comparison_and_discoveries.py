"""Model comparison, and the control of false discoveries."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import LinAlgWarning

from skfactor.inference import benjamini_hochberg, compare_models, grs_test, joint_alpha_test
from skfactor.linear_model import FamaFrenchRegressor


def market(seed=0, n_dates=240, n_assets=8, premium=0.0):
    rng = np.random.default_rng(seed)
    factors = rng.normal([0.006, 0.0, 0.0, premium], 0.03, (n_dates, 4))
    frame = pd.DataFrame(factors, columns=["Mkt-RF", "SMB", "HML", "LIQ"])
    returns = factors @ rng.normal(1, 0.5, (4, n_assets)) + rng.normal(0, 0.03, (n_dates, n_assets))
    return frame, returns


MODELS = {"capm": "capm", "ff3": "ff3", "liq": ["ff3", "LIQ"]}


def test_comparison_agrees_with_each_model_fitted_alone():
    factors, returns = market()
    table = compare_models(factors, returns, MODELS).models
    for name, choice in MODELS.items():
        model = FamaFrenchRegressor(choice).fit(factors, returns)
        row = table.loc[name]
        grs, joint = grs_test(model), joint_alpha_test(model)
        assert row["n_factors"] == model.coef_.shape[1]
        assert row["mean_abs_alpha"] == pytest.approx(np.abs(model.intercept_).mean())
        assert row["mean_abs_t_value"] == pytest.approx(np.abs(model.tvalues_[:, 0]).mean())
        assert row["mean_rsquared_adj"] == pytest.approx(model.rsquared_adj_.mean())
        assert (row["grs"], row["grs_p_value"]) == pytest.approx((grs.statistic, grs.p_value))
        assert row["joint_alpha"] == pytest.approx(joint.statistic)
        assert row["joint_alpha_p_value"] == pytest.approx(joint.p_value)
        used = factors[model.factor_names_].to_numpy()
        mean, omega = used.mean(axis=0), np.atleast_2d(np.cov(used.T, ddof=0))
        sharpe2 = mean @ np.linalg.inv(omega) @ mean
        k = used.shape[1]
        assert row["sharpe2"] == pytest.approx(sharpe2)
        assert row["sharpe2_unbiased"] == pytest.approx((238 - k) / 240 * sharpe2 - k / 240)


def test_gain_in_sharpe_ratio_is_what_the_grs_test_of_the_new_factors_says():
    factors, returns = market(premium=0.01)
    nested = compare_models(factors, returns, MODELS).nested
    assert nested[["smaller", "larger"]].to_numpy().tolist() == [
        ["capm", "ff3"],
        ["capm", "liq"],
        ["ff3", "liq"],
    ]
    test = grs_test(factors[["Mkt-RF", "SMB", "HML"]], factors["LIQ"])
    last = nested.iloc[-1]
    assert last["p_value"] == pytest.approx(test.p_value)
    assert last["p_value"] < 0.01
    # Gibbons, Ross and Shanken: the quadratic form of alphas is the gain in squared Sharpe
    # ratio.
    table = compare_models(factors, returns, MODELS).models
    gain = last["sharpe2_gain"] / (1 + table.loc["ff3", "sharpe2"])
    assert last["statistic"] == pytest.approx((240 - 3 - 1) * gain)


def test_unbiased_squared_sharpe_ratio_is_unbiased():
    found, plain = [], []
    truth = (0.2 / 1.0) ** 2
    for seed in range(400):
        rng = np.random.default_rng(seed)
        factors = rng.normal([0.2, 0.0, 0.0], 1.0, (40, 3)) * 0.05
        returns = rng.normal(0, 0.05, (40, 1))
        row = compare_models(factors, returns, {"all": None}).models.iloc[0]
        found.append(row["sharpe2_unbiased"])
        plain.append(row["sharpe2"])
    error = np.std(found) / 20
    assert abs(np.mean(found) - truth) < 3 * error
    assert abs(np.mean(plain) - truth) > 5 * error


def test_comparison_leaves_grs_out_where_assets_are_too_many():
    factors, returns = market(n_dates=30, n_assets=40)
    row = compare_models(factors, returns, ["capm"]).models.loc["capm"]
    assert np.isnan(row["grs"])
    assert 0 < row["joint_alpha_p_value"] < 1


def test_comparison_of_models_that_are_not_nested_has_no_pairs():
    factors, returns = market()
    found = compare_models(factors, returns, {"a": ["Mkt-RF", "SMB"], "b": ["Mkt-RF", "HML"]})
    assert found.nested.empty
    assert "same best Sharpe ratio" in repr(found)


def test_comparison_refuses_no_models_and_unknown_factors():
    factors, returns = market()
    with pytest.raises(ValueError, match="must name at least one model"):
        compare_models(factors, returns, {})
    with pytest.raises(ValueError, match="missing: RMW"):
        compare_models(factors, returns, ["ff5"])


def test_a_factor_that_repeats_another_makes_no_larger_model():
    factors, returns = market()
    factors["copy"] = factors["SMB"]
    with pytest.warns(LinAlgWarning, match="'copy'"):
        found = compare_models(factors, returns, {"ff3": "ff3", "more": ["ff3", "copy"]})
    assert found.nested.empty


def slow_step_up(p_values, alpha):
    order = np.argsort(p_values)
    m = len(p_values)
    last = -1
    for k, place in enumerate(order, start=1):
        if p_values[place] <= alpha * k / m:
            last = k
    rejected = np.zeros(m, dtype=bool)
    rejected[order[: max(last, 0)]] = True
    return rejected


@pytest.mark.parametrize("seed", range(5))
def test_discoveries_agree_with_the_step_up_rule(seed):
    rng = np.random.default_rng(seed)
    p_values = np.r_[rng.random(50), rng.random(20) * 0.01]
    found = benjamini_hochberg(p_values, 0.1)
    np.testing.assert_array_equal(found.rejected, slow_step_up(p_values, 0.1))
    assert found.rejected.sum() >= 5


def test_false_discovery_rate_is_kept_and_beats_testing_one_by_one():
    rng = np.random.default_rng(0)
    shares, naive = [], []
    for _ in range(2000):
        p_values = rng.random(50)
        p_values[:5] *= 1e-4
        rejected = benjamini_hochberg(p_values, 0.1).rejected
        shares.append(rejected[5:].sum() / max(rejected.sum(), 1))
        naive.append((p_values[5:] < 0.1).sum() / (p_values < 0.1).sum())
    assert np.mean(shares) == pytest.approx(0.1 * 45 / 50, abs=0.01)
    assert np.mean(naive) > 0.3


def test_discoveries_do_not_count_tests_that_were_not_made():
    found = benjamini_hochberg(pd.Series([0.01, np.nan, 0.04, np.nan]))
    assert found.n_tests == 2
    np.testing.assert_allclose(found.adjusted, [0.02, np.nan, 0.04, np.nan])
    assert found.rejected.tolist() == [True, False, True, False]
    nothing = benjamini_hochberg([np.nan, np.nan])
    assert not nothing.rejected.any()
    assert repr(nothing).startswith("0 of 0 nulls rejected")


def test_any_dependence_costs_the_harmonic_sum():
    p_values = [0.001, 0.2, 0.5]
    plain = benjamini_hochberg(p_values).adjusted
    careful = benjamini_hochberg(p_values, dependence="any").adjusted
    np.testing.assert_allclose(careful, np.minimum(plain * (1 + 1 / 2 + 1 / 3), 1))


def test_discoveries_refuse_what_are_not_p_values():
    with pytest.raises(ValueError, match="between 0 and 1; got 2.5 in place 1"):
        benjamini_hochberg([0.1, 2.5])
    with pytest.raises(ValueError, match="one-dimensional; got shape"):
        benjamini_hochberg([[0.1, 0.2]])
    with pytest.raises(ValueError, match="`alpha` must be between 0 and 1; got 5"):
        benjamini_hochberg([0.1], alpha=5)
    with pytest.raises(ValueError, match="'positive' or 'any'; got 'none'"):
        benjamini_hochberg([0.1], dependence="none")
