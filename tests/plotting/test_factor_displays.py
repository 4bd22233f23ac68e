"""Pictures of factor models show the numbers they were given."""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from _simple_model import SimpleModel, make_panel
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.inspection import characteristic_importance
from skfactor.plotting import (
    BetaPathDisplay,
    FactorReturnsDisplay,
    ImportanceDisplay,
    TrainingCurveDisplay,
)


@pytest.fixture(scope="module")
def panel():
    return make_panel(20, 15, 5)


@pytest.fixture(scope="module")
def model(panel):
    X, y = panel
    return SimpleModel(2).fit(X[:150], y[:150])


class TestFactorReturns:
    def test_draws_sums_or_compounds(self, model):
        returns = model.factor_returns_
        display = FactorReturnsDisplay.from_estimator(model)
        assert list(display.lines_) == ["factor1", "factor2"]
        line = display.lines_["factor2"]
        np.testing.assert_allclose(line.get_ydata(), returns["factor2"].cumsum())
        np.testing.assert_array_equal(
            mdates.date2num(line.get_xdata()), mdates.date2num(returns.index)
        )
        assert "end of fit" not in [text.get_text() for text in display.legend_.get_texts()]
        compound = FactorReturnsDisplay.from_returns(returns, compound=True)
        np.testing.assert_allclose(compound.cumulative_, (1 + returns).cumprod() - 1)

    def test_marks_the_end_of_fit_once_later_dates_are_known(self, panel):
        X, y = panel
        model = SimpleModel(1).fit(X[:150], y[:150]).update(X, y)
        display = FactorReturnsDisplay.from_estimator(make_pipeline(model))
        marks = [line for line in display.ax_.lines if line.get_label() == "end of fit"]
        assert mdates.num2date(mdates.date2num(marks[0].get_xdata()[0])).date() == (
            X.index[149][0].date()
        )

    def test_scales_to_a_volatility_and_stands_still_where_nothing_is(self):
        returns = np.random.default_rng(0).normal(0, [0.01, 0.2], (50, 2))
        returns[10, 0] = np.nan
        display = FactorReturnsDisplay.from_returns(returns, target_volatility=0.05)
        steps = display.cumulative_.diff()
        assert steps.iloc[10, 0] == 0.0
        assert display.factor_returns.std().to_list() != [0.05, 0.05]
        np.testing.assert_allclose(steps["factor2"].iloc[1:].std(), 0.05, rtol=0.05)
        assert "scaled to 5.0% a period" in display.ax_.get_ylabel()

    @pytest.mark.parametrize(
        ("index", "expected"),
        [
            (pd.period_range("2020-11", periods=3, freq="M"), "2020-11-30"),
            (pd.Index([202011, 202012, 202101]), "2020-11-01"),
            (pd.Index([20201130, 20201231, 20210131]), "2020-11-30"),
            (pd.Index([3, 7, 9]), 1),
        ],
    )
    def test_every_kind_of_date_has_a_place(self, index, expected):
        frame = pd.DataFrame({"a": [0.1, 0.2, 0.3]}, index)
        drawn = FactorReturnsDisplay.from_returns(frame).lines_["a"].get_xdata()
        first = pd.Timestamp(drawn[0]) if isinstance(expected, str) else drawn[0]
        assert first == (pd.Timestamp(expected) if isinstance(expected, str) else expected)

    def test_uses_the_axes_given(self, model):
        _, ax = plt.subplots()
        assert FactorReturnsDisplay.from_estimator(model, ax=ax).ax_ is ax
        series = model.factor_returns_["factor1"]
        assert list(FactorReturnsDisplay.from_returns(series, ax=ax).lines_) == ["factor1"]

    def test_refuses_what_it_cannot_draw(self, model):
        with pytest.raises(ValueError, match="`target_volatility` must be None or positive; got 0"):
            FactorReturnsDisplay.from_estimator(model, target_volatility=0)
        fitted = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
        with pytest.raises(TypeError, match="must be a factor model with `factor_returns_`"):
            FactorReturnsDisplay.from_estimator(fitted)


class TestImportance:
    def test_bars_are_the_numbers_sorted(self, model, panel):
        table = characteristic_importance(model, *panel)
        display = ImportanceDisplay.from_estimator(model, *panel)
        widths = [bar.get_width() for bar in display.bars_]
        np.testing.assert_allclose(widths, 100 * table["r2_lost"])
        names = [label.get_text() for label in display.ax_.get_yticklabels()]
        assert names == table.index.to_list()
        assert display.ax_.yaxis_inverted()

    def test_few_bars_say_so_and_columns_are_chosen(self, model, panel):
        table = characteristic_importance(model, *panel, method="gradient")
        display = ImportanceDisplay.from_importance(table, max_characteristics=2)
        assert display.ax_.get_title() == "the first 2 of 5"
        np.testing.assert_allclose(
            [bar.get_width() for bar in display.bars_], table["gradient"].iloc[:2]
        )
        shares = ImportanceDisplay.from_importance(table, column="share")
        assert shares.ax_.get_xlabel() == "share of importance"
        with pytest.raises(ValueError, match="`column` must be one of '.*'; got 'x'"):
            ImportanceDisplay.from_importance(table, column="x")
        with pytest.raises(ValueError, match="`max_characteristics` must be at least 1; got 0"):
            ImportanceDisplay.from_importance(table, max_characteristics=0)

    @pytest.mark.parametrize("name", ["importance", None])
    def test_one_number_a_characteristic_is_drawn_as_a_column_is(self, name):
        importance = pd.Series([0.1, 0.4], ["size", "value"], name=name)
        display = ImportanceDisplay.from_importance(importance)
        assert [bar.get_width() for bar in display.bars_] == [0.4, 0.1]
        assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["value", "size"]
        assert display.ax_.get_xlabel() == "importance"

    @pytest.mark.parametrize("importance", [[0.1, 0.4], np.ones((2, 1)), {"size": 0.1}])
    def test_importance_without_names_is_refused(self, importance):
        with pytest.raises(TypeError, match="`importance` must be a pandas DataFrame or Series"):
            ImportanceDisplay.from_importance(importance)


class TestBetaPath:
    def test_quantiles_and_assets(self, model, panel):
        X, _ = panel
        betas = model.transform(X)
        display = BetaPathDisplay.from_estimator(model, X, assets=["A003"])
        assert [ax.get_title() for ax in display.axes_] == ["factor1", "factor2"]
        expected = betas["factor1"].groupby("date").quantile([0.05, 0.25, 0.5, 0.75, 0.95])
        np.testing.assert_allclose(display.quantiles_["factor1"], expected.unstack())
        lines = {line.get_label(): line for line in display.axes_[1].lines}
        np.testing.assert_allclose(
            lines["A003"].get_ydata(), betas.xs("A003", level="asset")["factor2"]
        )
        np.testing.assert_allclose(
            lines["median"].get_ydata(), betas["factor2"].groupby("date").median()
        )

    def test_an_asset_that_comes_late_has_its_own_dates(self, model, panel):
        betas = model.transform(panel[0])
        late = betas[
            ~(
                (betas.index.get_level_values("asset") == "A003")
                & (betas.index.get_level_values("date") < "2016-01-01")
            )
        ]
        display = BetaPathDisplay.from_betas(late[::-1], assets=["A003"], factors=["factor2"])
        line = next(x for x in display.ax_.lines if x.get_label() == "A003")
        assert pd.Timestamp(line.get_xdata()[0]) == pd.Timestamp("2016-01-31")
        assert len(display.axes_) == 1

    def test_a_pipeline_that_loses_the_index_is_no_obstacle(self, panel):
        X, y = panel
        pipe = make_pipeline(StandardScaler(), SimpleModel(1)).fit(X, y)
        display = BetaPathDisplay.from_estimator(pipe, X)
        assert display.quantiles_["factor1"].shape == (20, 5)

    def test_refuses_what_it_cannot_draw(self, model, panel):
        betas = model.transform(panel[0])
        with pytest.raises(ValueError, match="`quantiles` must rise from 0 to 1"):
            BetaPathDisplay.from_betas(betas, quantiles=(0.9, 0.1))
        with pytest.raises(ValueError, match="`assets` must be assets of the betas; got 'Z'"):
            BetaPathDisplay.from_betas(betas, assets=["Z"])
        with pytest.raises(ValueError, match="`factors` must name columns of the betas"):
            BetaPathDisplay.from_betas(betas, factors=["x"])
        with pytest.raises(ValueError, match=r"must have a \(date, asset\) index"):
            BetaPathDisplay.from_betas(betas.reset_index(drop=True))
        _, axes = plt.subplots(1, 2)
        assert BetaPathDisplay.from_betas(betas, ax=axes).axes_ == list(axes)


class TestTrainingCurveOfMembers:
    HISTORIES = [
        {"train_loss": [3.0, 2.0, 1.0], "valid_loss": [3.0, 2.0, 2.5]},
        {"train_loss": [3.0, 2.0, 1.0, 0.5], "valid_loss": [3.0, 2.5, 2.4, 2.3]},
    ]

    def test_each_member_has_its_lines(self):
        display = TrainingCurveDisplay.from_history(self.HISTORIES)
        assert display.best_epochs_ == [2, 4]
        assert display.best_epoch_ == 3
        assert len(display.member_lines_) == 2
        drawn = display.member_lines_[1]["valid_loss"].get_ydata()
        np.testing.assert_array_equal(drawn, self.HISTORIES[1]["valid_loss"])
        labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert labels == ["training", "validation", "median best epoch of 2: 3 (validation 2.15)"]

    def test_one_member_is_drawn_as_one_history(self):
        alone = TrainingCurveDisplay.from_history(self.HISTORIES[:1])
        plain = TrainingCurveDisplay.from_history(self.HISTORIES[0])
        assert alone.best_epoch_ == plain.best_epoch_ == 2
        for name, line in plain.lines_.items():
            assert alone.lines_[name].get_linewidth() == line.get_linewidth()

    def test_a_bad_member_is_refused(self):
        with pytest.raises(ValueError, match="`history` must hold 'train_loss'"):
            TrainingCurveDisplay.from_history([self.HISTORIES[0], {"valid_loss": [1.0]}])
        with pytest.raises(ValueError, match="losses of a member at least; got none"):
            TrainingCurveDisplay.from_history([])
