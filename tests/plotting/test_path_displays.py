"""Pictures of paths: the members of clusters, and what reducers make of single rows."""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from _displays import legend_texts
from matplotlib.colors import to_hex
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.plotting import ClusterPathsDisplay, ReconstructionDisplay
from skfactor.plotting._style import INK, NOISE_COLOR, PALETTE
from skfactor.preprocessing import CumulativeReturns

N, DAYS = 12, 20
TICKERS = [f"T{i}" for i in range(N)]


@pytest.fixture(scope="module")
def paths():
    values = np.random.default_rng(0).normal(size=(N, DAYS)).cumsum(axis=1)
    return pd.DataFrame(values, TICKERS, [f"t-{DAYS - 1 - t}" for t in range(DAYS)])


@pytest.fixture(scope="module")
def labels():
    return np.repeat([0, 1, 2], N // 3)


@pytest.fixture(scope="module")
def reducers(paths):
    return {f"from {k} values": PCA(k).fit(paths) for k in (2, 4)}


def _segments(display, panel):
    """Return the members' paths of a panel as an array of rows by days."""
    return np.array([line[:, 1] for line in display.members_[panel].get_segments()])


MAKERS = {
    ClusterPathsDisplay: lambda paths: ClusterPathsDisplay.from_labels(
        paths, np.zeros(N, dtype=int)
    ),
    ReconstructionDisplay: lambda paths: ReconstructionDisplay.from_estimator(
        PCA(2).fit(paths), paths, ["T3"]
    ),
}


@pytest.mark.parametrize("display", MAKERS)
class TestBothDisplays:
    def test_the_axes_are_named_as_asked(self, display, paths):
        made = MAKERS[display](paths)
        assert made.axes_ == [made.ax_]
        assert made.ax_.get_xlabel() == "day"
        assert made.ax_.get_ylabel() == "path"
        assert made.plot(ylabel="scaled return").ax_.get_ylabel() == "scaled return"

    def test_days_that_are_dates_are_drawn_as_dates(self, display, paths):
        dates = pd.bdate_range("2020-11-02", periods=DAYS)
        made = MAKERS[display](paths.set_axis(dates, axis=1))
        assert made.ax_.get_xlabel() == "date"
        np.testing.assert_array_equal(
            made.ax_.lines[0].get_xdata(orig=False), mdates.date2num(dates)
        )
        made.figure_.canvas.draw()
        low, high = made.ax_.get_xlim()
        assert low < mdates.date2num(dates[0]) < mdates.date2num(dates[-1]) < high

    def test_days_written_as_text_are_drawn_as_dates(self, display, paths):
        dates = pd.bdate_range("2020-11-02", periods=DAYS)
        prices = pd.DataFrame(np.exp(paths.to_numpy()), TICKERS, dates.strftime("%Y-%m-%d"))
        made = MAKERS[display](
            CumulativeReturns().set_output(transform="pandas").fit_transform(prices)
        )
        assert made.ax_.get_xlabel() == "date"
        np.testing.assert_array_equal(
            made.ax_.lines[0].get_xdata(orig=False), mdates.date2num(dates)
        )


class TestClusterPaths:
    def test_every_member_is_drawn_and_the_mean(self, paths, labels):
        display = ClusterPathsDisplay.from_labels(paths, labels)
        assert [ax.get_title() for ax in display.axes_] == [f"cluster {i} (n=4)" for i in range(3)]
        for i in range(3):
            own = paths[labels == i]
            np.testing.assert_allclose(_segments(display, i), own)
            np.testing.assert_allclose(display.mean_lines_[i].get_ydata(), own.mean())
            assert to_hex(display.members_[i].get_color()[0]) == PALETTE[i].lower()
            assert display.mean_lines_[i].get_color() == INK
            days = display.members_[i].get_segments()[0][:, 0]
            np.testing.assert_array_equal(days, np.arange(1, DAYS + 1))
        assert legend_texts(display) == ["member", "mean of the members"]

    def test_members_fade_where_they_are_many_and_stay_visible(self):
        rows = np.random.default_rng(0).normal(size=(412, 5))
        display = ClusterPathsDisplay.from_labels(rows, np.repeat([0, 1, 2], [4, 8 * 3, 384]))
        assert [members.get_alpha() for members in display.members_] == [0.5, 0.25, 0.05]

    def test_panels_have_one_scale_that_holds_every_path(self, paths, labels):
        wide = paths.mul(np.where(labels == 2, 10.0, 1.0), axis=0)
        display = ClusterPathsDisplay.from_labels(wide, labels)
        limits = {ax.get_ylim() for ax in display.axes_}
        assert len(limits) == 1
        low, high = limits.pop()
        assert low < wide.to_numpy().min() < wide.to_numpy().max() < high

    def test_noise_comes_last_in_grey_and_names_replace_numbers(self, paths, labels):
        noisy = np.where(np.arange(N) < 3, -1, labels)
        display = ClusterPathsDisplay.from_labels(paths, noisy, names={1: "late rise"})
        assert [ax.get_title() for ax in display.axes_] == [
            "cluster 0 (n=1)",
            "late rise (n=4)",
            "cluster 2 (n=4)",
            "noise (n=3)",
        ]
        np.testing.assert_allclose(_segments(display, 3), paths[:3])
        assert to_hex(display.members_[3].get_color()[0]) == NOISE_COLOR

    def test_rows_of_panels_are_filled_in_order(self, paths, labels):
        display = ClusterPathsDisplay.from_labels(paths, labels, n_columns=2, ylabel="return")
        assert len(display.figure_.axes) == 3
        assert [ax.get_ylabel() for ax in display.axes_] == ["return", "", "return"]

    def test_labels_are_matched_by_name(self, paths, labels):
        shuffled = pd.Series(labels, TICKERS).sample(frac=1.0, random_state=0)
        for given in (shuffled, dict(shuffled)):
            display = ClusterPathsDisplay.from_labels(paths, given)
            np.testing.assert_array_equal(display.clusters.codes, labels)

    def test_arrays_and_polars_frames_are_drawn(self, paths, labels):
        frame = pl.DataFrame({name: paths[name].to_numpy() for name in paths.columns})
        for rows, of_rows in ((paths.to_numpy(), labels.tolist()), (frame, pl.Series(labels))):
            display = ClusterPathsDisplay.from_labels(rows, of_rows)
            np.testing.assert_allclose(_segments(display, 1), paths[4:8])

    def test_a_missing_day_is_a_gap_and_left_out_of_the_mean(self, paths, labels):
        holed = paths.copy()
        holed.iloc[0, 3] = np.nan
        holed.iloc[4:8, 5] = np.nan
        display = ClusterPathsDisplay.from_labels(holed, labels)
        display.figure_.canvas.draw()
        assert np.isnan(display.members_[0].get_paths()[0].vertices[3, 1])
        assert display.mean_lines_[0].get_ydata()[3] == pytest.approx(paths.iloc[1:4, 3].mean())
        assert np.isnan(display.mean_lines_[1].get_ydata()[5])
        assert np.isfinite(display.ax_.get_ylim()).all()

    def test_bad_input_is_refused(self, paths, labels):
        from_labels = ClusterPathsDisplay.from_labels
        with pytest.raises(ValueError) as caught:
            from_labels(paths, labels[1:])
        assert str(caught.value) == (
            "`labels` must hold one label for each of the 12 rows of `paths`; got 11."
        )
        with pytest.raises(ValueError, match="must carry the same names; without a label: T0"):
            from_labels(paths, pd.Series(labels[1:], TICKERS[1:]))
        with pytest.raises(ValueError, match="`paths` must be two-dimensional; got 1"):
            from_labels(paths.iloc[0].to_numpy(), labels)
        with pytest.raises(ValueError, match="Input paths contains infinity"):
            from_labels(paths.replace(paths.iloc[0, 0], np.inf), labels)
        with pytest.raises(
            ValueError, match="Every column of paths must hold numbers; got column 'name'"
        ):
            from_labels(paths.assign(name="a"), labels)
        with pytest.raises(ValueError, match="`paths` must have at least one row"):
            from_labels(paths[:0], [])
        with pytest.raises(ValueError, match="`ax` must hold at least 3 axes, one a panel; got 1"):
            from_labels(paths, labels, ax=plt.subplots()[1])


class TestReconstruction:
    @pytest.mark.parametrize("n_rows", [1, 4])
    @pytest.mark.parametrize("label", ["PCA", "a reducer with a long name", 60 * "n"])
    def test_the_legend_lies_within_the_figure(self, paths, label, n_rows):
        reducers = {f"{label} {k}": PCA(2).fit(paths) for k in range(5)}
        display = ReconstructionDisplay.from_estimator(reducers, paths, range(n_rows))
        display.figure_.canvas.draw()
        box, whole = display.legend_.get_window_extent(), display.figure_.bbox
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        assert display.ax_.get_window_extent().height > 0.4 * 3.0 * display.figure_.dpi

    @pytest.mark.parametrize(
        ("codes", "said"),
        [
            ([[0.099, -0.025]], "(0.099, -0.025)"),
            ([[12.34, -5.67]], "(12.3, -5.7)"),
            ([[100.123, 1.0], [100.456, 5.0]], "(100.12, 1.0)"),
            ([[0.0, 0.0]], "(0.0, 0.0)"),
            ([[1.0, 1e-17]], "(1.0, 0.0)"),
        ],
    )
    def test_codes_have_decimals_by_their_spread(self, paths, codes, said):
        rows = paths.iloc[: len(codes)]
        display = ReconstructionDisplay(rows, {"same": rows.to_numpy()}, codes=np.array(codes))
        assert said in display.plot().ax_.get_title()

    def test_lines_are_the_path_and_what_each_reducer_makes_of_it(self, paths, reducers):
        display = ReconstructionDisplay.from_estimator(reducers, paths, ["T5", "T1"])
        assert len(display.axes_) == 2
        chosen = paths.loc[["T5", "T1"]]
        for i, lines in enumerate(display.lines_):
            assert list(lines) == ["path", "from 2 values", "from 4 values"]
            np.testing.assert_array_equal(lines["path"].get_ydata(), chosen.iloc[i])
            for label, reducer in reducers.items():
                back = reducer.inverse_transform(reducer.transform(chosen))[i]
                np.testing.assert_allclose(lines[label].get_ydata(), back)
                expected = r2_score(chosen.iloc[i], back)
                assert display.r2_.loc[chosen.index[i], label] == pytest.approx(expected)
        colors = [line.get_color() for line in display.lines_[0].values()]
        assert colors == [INK, *PALETTE[:2]]
        assert legend_texts(display) == ["path", "from 2 values", "from 4 values"]

    def test_titles_hold_the_row_a_short_code_and_the_r2(self, paths, reducers):
        display = ReconstructionDisplay.from_estimator(reducers, paths, ["T5"])
        first, second = reducers["from 2 values"].transform(paths.loc[["T5"]])[0]
        shares = ", ".join(f"{r2:.2f}" for r2 in display.r2_.loc["T5"])
        assert display.ax_.get_title() == f"T5, code ({first:.1f}, {second:.1f})\nR² {shares}"
        long = ReconstructionDisplay.from_estimator(reducers["from 4 values"], paths, ["T5"])
        r2 = long.r2_.loc["T5", "reconstruction"]
        assert long.ax_.get_title() == f"T5\nR² {r2:.2f}"
        assert legend_texts(long) == ["path", "reconstruction"]

    def test_the_first_four_rows_are_drawn_where_none_are_named(self, paths, reducers):
        display = ReconstructionDisplay.from_estimator(reducers, paths)
        assert display.r2_.index.tolist() == TICKERS[:4]
        few = ReconstructionDisplay.from_estimator(reducers, paths[:2], ylabel="return")
        assert [ax.get_ylabel() for ax in few.axes_] == ["return", ""]
        assert few.axes_[0].get_ylim() == few.axes_[1].get_ylim()

    def test_rows_are_names_or_positions(self, paths):
        pca = PCA(3).fit(paths)

        def drawn(X, rows):
            return ReconstructionDisplay.from_estimator(pca, X, rows).paths.to_numpy().tolist()

        expected = paths.iloc[[7, 2]].to_numpy().tolist()
        assert drawn(paths, ["T7", "T2"]) == expected
        assert drawn(paths, [7, np.int64(2)]) == expected
        assert drawn(paths, "T7") == expected[:1]
        numbered = paths.set_axis(np.arange(N)[::-1])
        assert drawn(numbered, [N - 8, N - 3]) == expected
        panel = paths.set_axis(
            pd.MultiIndex.from_product([pd.to_datetime(["2020-12-31"]), TICKERS])
        )
        assert drawn(panel, [(pd.Timestamp("2020-12-31"), "T7"), 2]) == expected

    def test_titles_of_panel_rows_hold_date_and_asset(self, paths):
        index = pd.MultiIndex.from_product([pd.to_datetime(["2020-12-31"]), TICKERS])
        panel = paths.set_axis(index)
        display = ReconstructionDisplay.from_estimator(PCA(3).fit(panel), panel, [1])
        assert display.ax_.get_title().startswith("2020-12-31, T1\n")

    def test_arrays_and_polars_frames_are_drawn(self, paths):
        frame = pl.DataFrame({name: paths[name].to_numpy() for name in paths.columns})
        for X in (paths.to_numpy(), frame):
            display = ReconstructionDisplay.from_estimator(PCA(3).fit(X), X, [2])
            np.testing.assert_allclose(
                display.lines_[0]["path"].get_ydata(), paths.iloc[2].to_numpy()
            )
            assert display.ax_.get_title().startswith("row 2\nR² ")

    def test_reducers_fitted_with_names_and_without_read_one_frame(self, paths):
        both = {"frame": PCA(2).fit(paths), "array": PCA(2).fit(paths.to_numpy())}
        display = ReconstructionDisplay.from_estimator(both, paths)
        np.testing.assert_allclose(display.r2_["frame"], display.r2_["array"])

    def test_pipelines_and_frames_as_output_are_read(self, paths):
        chain = make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(paths)
        display = ReconstructionDisplay.from_estimator(chain, paths, ["T4"])
        back = chain.inverse_transform(chain.transform(paths.loc[["T4"]]))
        np.testing.assert_allclose(display.reconstructions["reconstruction"], back)
        assert "code (" in display.ax_.get_title()

    def test_a_constant_row_has_no_r2(self, paths, reducers):
        flat = paths.copy()
        flat.loc["T0"] = 0.1
        display = ReconstructionDisplay.from_estimator(reducers["from 4 values"], flat, ["T0"])
        assert display.r2_.isna().all(axis=None)
        assert display.ax_.get_title() == "T0\nR² –"

    def test_bad_rows_are_refused(self, paths, reducers):
        draw = ReconstructionDisplay.from_estimator
        with pytest.raises(ValueError) as caught:
            draw(reducers, paths, ["T1", "ZZZ", 12, [1]])
        assert str(caught.value) == (
            "`rows` must be names in the index of X or numbers from 0 to 11; got ZZZ, 12, [1]. "
            "X has T0, T1, T2, T3, T4 and 7 more."
        )
        # A number that is no name is not taken for a position where names are numbers.
        numbered = paths.set_axis(np.arange(100, 100 + N))
        with pytest.raises(ValueError, match=r"`rows` must be names in the index of X; got 0\. "):
            draw(reducers, numbered, [0])
        with pytest.raises(ValueError, match="`rows` must name at least one row of X; got none"):
            draw(reducers, paths, [])
        with pytest.raises(ValueError, match="must each name one row of X; 'T1' names several"):
            draw(reducers, pd.concat([paths, paths]), ["T1"])
        with pytest.raises(ValueError, match="100 names several. Drop all but one"):
            draw(reducers, pd.concat([numbered, numbered]), [100])

    def test_bad_estimators_are_refused(self, paths, reducers):
        draw = ReconstructionDisplay.from_estimator
        with pytest.raises(TypeError) as caught:
            draw({"a": reducers["from 2 values"], "b": KMeans(2, n_init=1).fit(paths)}, paths)
        assert str(caught.value) == (
            "`estimators` must have `transform` and `inverse_transform`; KMeans has no "
            "`inverse_transform`. Pass a fitted reducer such as PCA or ConvAutoencoderReducer."
        )
        with pytest.raises(TypeError, match="Pipeline has no `inverse_transform`"):
            draw(make_pipeline(StandardScaler(), KMeans(2, n_init=1)).fit(paths), paths)
        with pytest.raises(NotFittedError):
            draw(PCA(2), paths)
        with pytest.raises(ValueError, match="`estimators` must hold a fitted reducer at least"):
            draw({}, paths)
        with pytest.raises(ValueError, match="labels that differ from each other as text"):
            draw({"path": reducers["from 2 values"]}, paths)
        with pytest.raises(ValueError, match="labels that differ from each other as text"):
            draw({2: reducers["from 2 values"], "2": reducers["from 4 values"]}, paths)

    def test_a_reducer_that_gives_back_other_columns_is_refused(self, paths):
        class Shortens(PCA):
            def inverse_transform(self, X):
                return super().inverse_transform(X)[:, 1:]

        with pytest.raises(ValueError) as caught:
            ReconstructionDisplay.from_estimator(Shortens(2).fit(paths), paths)
        assert str(caught.value) == (
            "`estimators` must give back as many rows and columns as X has; Shortens made (4, 19) "
            "of (4, 20). Pass the reducer that was fitted to X."
        )
