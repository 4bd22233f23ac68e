"""What fits rely on, and which factor earned a return."""

import numpy as np
import pandas as pd
import pytest
from _simple_model import SimpleModel, make_panel
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.factor_models import CrossSectionalFactorModel, InstrumentedPCA
from skfactor.inspection import attribute_returns, characteristic_importance
from skfactor.metrics import total_r2_score


@pytest.fixture(scope="module")
def panel():
    X, y = make_panel(10, 40, 4)
    y.iloc[::13] = np.nan
    return X, y


@pytest.fixture(scope="module")
def model(panel):
    return SimpleModel(2, n_members=3, noise=0.3).fit(*panel)


def slow_fits(model, X_betas, X_factors, y):
    """Compute fits with two sets of characteristics by a loop over members and dates."""
    total = np.zeros(len(y))
    for gamma in model._gammas:
        for date in y.index.unique("date"):
            rows = np.flatnonzero(y.index.get_level_values("date") == date)
            seen = rows[y.iloc[rows].notna()]
            f = np.linalg.lstsq(X_factors.to_numpy()[seen] @ gamma, y.to_numpy()[seen], rcond=None)[
                0
            ]
            total[rows] += X_betas.to_numpy()[rows] @ gamma @ f / len(model._gammas)
    return total


class TestImportance:
    @pytest.mark.parametrize("side", ["both", "beta", "factor"])
    def test_zeroing_is_that_of_a_loop(self, model, panel, side):
        X, y = panel
        found = characteristic_importance(model, X, y, side=side)
        intact = total_r2_score(y, slow_fits(model, X, X, y))
        for name in X.columns:
            without = X.assign(**{name: 0.0})
            fits = slow_fits(
                model, X if side == "factor" else without, X if side == "beta" else without, y
            )
            left = total_r2_score(y, fits)
            assert found.loc[name, "r2_without"] == pytest.approx(left)
            assert found.loc[name, "r2_lost"] == pytest.approx(intact - left)
        assert found["r2_lost"].is_monotonic_decreasing
        positive = found["r2_lost"].clip(lower=0)
        np.testing.assert_allclose(found["share"], positive / positive.sum())

    def test_both_sides_are_the_models_own_fits(self, model, panel):
        X, y = panel
        found = characteristic_importance(model, X, y)
        plain = total_r2_score(y, model.reconstruct(X, y))
        np.testing.assert_allclose(found["r2_lost"] + found["r2_without"], plain)
        for name in X.columns:
            without = model.reconstruct(X.assign(**{name: 0.0}), y)
            assert found.loc[name, "r2_without"] == pytest.approx(total_r2_score(y, without))

    @pytest.mark.parametrize("side", ["both", "beta", "factor"])
    def test_gradients_are_those_of_a_loop(self, model, panel, side):
        X, y = panel
        found = characteristic_importance(model, X, y, method="gradient", side=side)
        for name in X.columns:
            moved = []
            for step in (1e-5, -1e-5):
                other = X.assign(**{name: X[name] + step})
                moved.append(
                    slow_fits(
                        model, X if side == "factor" else other, X if side == "beta" else other, y
                    )
                )
            expected = np.abs(moved[0] - moved[1]).mean() / 2e-5
            assert found.loc[name, "gradient"] == pytest.approx(expected, rel=1e-3)

    def test_the_alphas_of_any_model_are_in_its_fits(self, model, panel):
        class WithAlphas(SimpleModel):
            def _alphas(self, panel):
                return 0.1 * panel.X[:, 0]

        X, y = panel
        other = WithAlphas(2, n_members=3, noise=0.3).fit(X, y)
        alphas = 0.1 * X["c0"]
        fits = model.reconstruct(X, y) + alphas
        np.testing.assert_allclose(other.reconstruct(X, y), fits, atol=1e-12)
        found = characteristic_importance(other, X, y, side="factor")
        intact = total_r2_score(y, fits)
        np.testing.assert_allclose(found["r2_lost"] + found["r2_without"], intact)
        np.testing.assert_allclose(attribute_returns(other, X, y)["alpha"], alphas)

    def test_a_pipeline_and_row_order_change_nothing(self, model, panel):
        X, y = panel
        scaler = StandardScaler().set_output(transform="pandas")
        pipe = make_pipeline(scaler, SimpleModel(2, n_members=3, noise=0.3)).fit(X, y)
        scaled = SimpleModel(2, n_members=3, noise=0.3).fit(scaler.transform(X), y)
        expected = characteristic_importance(scaled, scaler.transform(X), y)
        pd.testing.assert_frame_equal(characteristic_importance(pipe, X, y), expected)
        order = np.random.default_rng(0).permutation(len(y))
        pd.testing.assert_frame_equal(
            characteristic_importance(model, X.iloc[order], y.iloc[order]),
            characteristic_importance(model, X, y),
        )

    def test_arrays_have_numbered_characteristics_and_the_data_stay(self, panel):
        X, y = panel
        dates = X.index.get_level_values("date")
        values = X.to_numpy().copy()
        model = SimpleModel(1).fit(values, y.to_numpy(), dates=dates)
        found = characteristic_importance(model, values, y.to_numpy(), dates=dates)
        assert found.index[0] == "x0"
        np.testing.assert_array_equal(values, X.to_numpy())

    def test_bad_input_is_refused(self, model, panel):
        with pytest.raises(ValueError, match="`method` must be one of 'zeroing', 'gradient'"):
            characteristic_importance(model, *panel, method="shap")
        with pytest.raises(ValueError, match="`side` must be one of 'both', 'beta', 'factor'"):
            characteristic_importance(model, *panel, side="alpha")
        plain = LinearRegression().fit(panel[0], panel[1].fillna(0))
        with pytest.raises(TypeError, match="must be a factor model.*got LinearRegression"):
            characteristic_importance(plain, *panel)


class TestAlpha:
    @pytest.fixture(scope="class")
    @staticmethod
    def model(panel):
        X, y = panel
        return InstrumentedPCA(1, intercept=True).fit(X, y + 0.01 * X["c1"])

    def test_importance_takes_it_in(self, model, panel):
        X, y = panel
        y = y + 0.01 * X["c1"]
        found = characteristic_importance(model, X, y)
        plain = total_r2_score(y, model.reconstruct(X, y))
        np.testing.assert_allclose(found["r2_lost"] + found["r2_without"], plain)
        assert found.index[:2].to_list() == ["c0", "c1"]

    def test_attribution_shows_it(self, model, panel):
        X, y = panel
        parts = attribute_returns(model, X, y)
        assert parts.columns.to_list() == ["alpha", "factor1", "residual"]
        np.testing.assert_allclose(parts["alpha"], model.alphas(X))
        np.testing.assert_allclose(
            parts["alpha"] + parts["factor1"], model.reconstruct(X, y), atol=1e-12
        )


class TestAttribution:
    def test_parts_sum_to_the_return_and_to_the_fit(self, model, panel):
        X, y = panel
        parts = attribute_returns(model, X, y)
        assert parts.columns.to_list() == ["factor1", "factor2", "residual"]
        pd.testing.assert_series_equal(
            parts.sum(axis=1, skipna=False), y, check_names=False, atol=1e-12
        )
        np.testing.assert_allclose(parts.iloc[:, :2].sum(axis=1), model.reconstruct(X, y))
        assert parts["residual"].isna().sum() == y.isna().sum()

    def test_one_member_contributes_beta_times_factor(self, panel):
        X, y = panel
        model = SimpleModel(2).fit(X, y)
        betas = model.transform(X)
        factors = model.factor_returns(X, y).reindex(X.index, level="date")
        pd.testing.assert_frame_equal(
            attribute_returns(model, X, y)[["factor1", "factor2"]], betas * factors
        )

    def test_a_portfolio_is_split_by_date(self, model, panel):
        X, y = panel
        weights = pd.Series(np.random.default_rng(0).normal(size=len(y)), y.index)
        found = attribute_returns(model, X, y, weights=weights)
        rows = attribute_returns(model, X, y)
        expected = rows.mul(weights, axis=0).where(y.notna(), 0.0).groupby("date").sum()
        # The unit of dates depends on the version of pandas.
        pd.testing.assert_frame_equal(found, expected, check_freq=False, check_index_type=False)
        earned = (weights * y).groupby("date").sum()
        np.testing.assert_allclose(found.sum(axis=1), earned)

    def test_bad_weights_are_refused(self, model, panel):
        X, y = panel
        with pytest.raises(ValueError, match="`weights` must have one weight for each of the 400"):
            attribute_returns(model, X, y, weights=np.full(400, np.nan))
        weights = pd.Series(1.0, y.index[::-1])
        with pytest.raises(ValueError, match="The rows of `X` and `weights` must be the same"):
            attribute_returns(model, X, y, weights=weights)


@pytest.mark.parametrize("method", ["zeroing", "gradient"])
@pytest.mark.parametrize("weights", ["size", 1])
def test_a_column_of_weights_is_no_characteristic(panel, method, weights):
    X, y = panel
    size = np.random.default_rng(0).uniform(0.0, 1.0, len(X))
    size[0] = 0.0
    table = X.copy()
    table.insert(1, "size", size)
    model = CrossSectionalFactorModel(weights=weights).fit(table, y)
    found = characteristic_importance(model, table, y, method=method)
    assert sorted(found.index) == sorted(X.columns)
    assert found["share"].sum() == pytest.approx(1.0)
    if method == "zeroing":
        intact = total_r2_score(y, model.reconstruct(table, y))
        without = table.assign(**{X.columns[2]: 0.0})
        left = total_r2_score(y, model.reconstruct(without, y))
        assert found.loc[X.columns[2], "r2_without"] == pytest.approx(left)
        assert found.loc[X.columns[2], "r2_lost"] == pytest.approx(intact - left)
