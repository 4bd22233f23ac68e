"""Displays of clusters, embeddings and training draw what they were given."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from _displays import legend_texts
from matplotlib.colors import to_hex, to_rgba
from sklearn.base import BaseEstimator
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances, silhouette_samples
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.cluster._choice import ClusterChoice, choose_n_clusters, elbow_of
from skfactor.cluster._correlation import cluster_correlations, cluster_returns
from skfactor.plotting import (
    ClusterBoxPlotDisplay,
    CorrelationDisplay,
    ElbowDisplay,
    EmbeddingDisplay,
    RiskReturnDisplay,
    SilhouetteDisplay,
    TrainingCurveDisplay,
)
from skfactor.plotting._style import NOISE_COLOR, PALETTE, style_of, wrapped

N = 60


@pytest.fixture(scope="module")
def labels():
    return np.repeat([0, 1, 2], N // 3)


@pytest.fixture(scope="module")
def features(labels):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N, 4)) + 4.0 * np.eye(3, 4)[labels]
    return pd.DataFrame(
        values, [f"T{i}" for i in range(N)], ["market_cap", "PER", "long_term_debt", "ROE"]
    )


@pytest.fixture(scope="module")
def returns(labels):
    rng = np.random.default_rng(1)
    common = rng.normal(size=(48, 3))[:, labels]
    values = 0.01 + 0.03 * (common + rng.normal(size=(48, N)))
    return pd.DataFrame(values, columns=[f"T{i}" for i in range(N)])


TABLE = pd.DataFrame(
    {
        "n_clusters": [2, 3, 4, 5],
        "inertia": [100.0, 40.0, 35.0, 31.0],
        "silhouette": [0.3, 0.5, 0.4, 0.35],
        "null_mean": [0.2, 0.22, 0.21, 0.2],
        "lift": [0.1, 0.28, 0.19, 0.15],
        "stability": [0.7, 0.95, 0.8, 0.6],
    }
)
HISTORY = {"train_loss": np.array([1.0, 0.5, 0.3]), "valid_loss": np.array([1.1, 0.7, 0.8])}


class TestStyle:
    def test_sixty_four_clusters_look_different(self):
        assert len({style_of(i, 64) for i in range(64)}) == 64

    def test_the_first_eight_differ_in_colour_and_in_marker(self):
        first = [style_of(i, 8) for i in range(8)]
        assert len({s.color for s in first}) == len({s.marker for s in first}) == 8

    def test_noise_is_grey(self):
        assert style_of(3, 3).color == NOISE_COLOR
        assert NOISE_COLOR not in PALETTE

    def test_long_names_are_wrapped(self):
        assert wrapped(["short", "a b " * 10], 12)[0] == "short"
        assert all(len(line) <= 12 for line in wrapped(["a b " * 10], 12)[0].split("\n"))


class TestEmbedding:
    @pytest.mark.parametrize("n_components", [2, 3])
    def test_points_are_the_coordinates_of_each_cluster(self, features, labels, n_components):
        places = features.iloc[:, :n_components]
        display = EmbeddingDisplay.from_embedding(places, labels)
        for label, points in enumerate(display.points_):
            if n_components == 2:
                drawn = points.get_offsets().data
            else:
                drawn = np.column_stack([np.asarray(axis) for axis in points._offsets3d])
            np.testing.assert_allclose(drawn, places[labels == label])
            assert to_hex(points.get_facecolor()[0]) == PALETTE[label].lower()
        assert display.ax_.get_xlabel() == "market_cap"
        assert display.ax_.get_ylabel() == "PER"
        assert legend_texts(display) == [f"cluster {i} (n=20)" for i in range(3)]

    def test_one_component_is_a_strip_for_each_cluster(self, features, labels):
        display = EmbeddingDisplay.from_embedding(features["PER"].to_numpy(), labels)
        for label, points in enumerate(display.points_):
            x, y = points.get_offsets().data.T
            np.testing.assert_allclose(x, features["PER"][labels == label])
            assert (np.abs(y - label) <= 0.25).all()
        assert display.ax_.get_yticklabels()[0].get_text() == "cluster 0 (n=20)"
        assert display.ax_.get_xlabel() == "component 1"

    def test_without_labels_all_points_are_of_one_kind(self, features):
        display = EmbeddingDisplay.from_embedding(features.iloc[:, :2])
        assert len(display.points_) == 1
        assert display.legend_ is None
        assert len(EmbeddingDisplay.from_embedding(features[["PER"]]).ax_.get_yticks()) == 0

    def test_noise_is_drawn_last_in_grey(self, features, labels):
        noisy = np.where(np.arange(N) < 5, -1, labels)
        display = EmbeddingDisplay.from_embedding(
            features.iloc[:, :2], noisy, names={0: "small-cap"}
        )
        assert to_hex(display.points_[-1].get_facecolor()[0]) == NOISE_COLOR
        assert legend_texts(display) == [
            "small-cap (n=15)",
            "cluster 1 (n=20)",
            "cluster 2 (n=20)",
            "noise (n=5)",
        ]

    @pytest.mark.parametrize("n_components", [1, 2, 3])
    def test_tickers_are_written_beside_their_points(self, features, labels, n_components):
        places = features.iloc[:, :n_components]
        some = EmbeddingDisplay.from_embedding(places, labels, annotate=["T3", "T7"])
        assert [text.get_text().strip() for text in some.texts_] == ["T3", "T7"]
        if n_components == 2:
            assert some.texts_[0].xy == pytest.approx(tuple(places.loc["T3"]))
        every = EmbeddingDisplay.from_embedding(
            places.to_numpy(), assets=list(places.index), annotate=True
        )
        assert len(every.texts_) == N

    def test_a_transformer_and_a_pipeline_are_drawn(self, features, labels):
        pca = PCA(2).fit(features)
        display = EmbeddingDisplay.from_estimator(pca, features, labels=labels, annotate=["T1"])
        np.testing.assert_allclose(display.embedding, pca.transform(features))
        assert display.ax_.get_xlabel() == "PCA 1"
        chain = make_pipeline(StandardScaler(), PCA(2), KMeans(3, n_init=1, random_state=0))
        chain.fit(features)
        display = EmbeddingDisplay.from_estimator(chain, features)
        np.testing.assert_allclose(display.embedding, chain[:-1].transform(features))
        assert display.ax_.get_ylabel() == "PCA 2"
        np.testing.assert_array_equal(
            display.clusters.index.to_numpy()[display.clusters.codes], chain.predict(features)
        )
        shuffled = pd.Series(labels, features.index).sample(frac=1.0, random_state=0)
        display = EmbeddingDisplay.from_estimator(chain, features, labels=shuffled)
        np.testing.assert_array_equal(display.clusters.codes, labels)

    def test_polars_frames_are_drawn(self, features, labels):
        frame = pl.DataFrame({name: features[name].to_numpy() for name in features.columns[:2]})
        display = EmbeddingDisplay.from_embedding(frame, pl.Series(labels))
        assert display.ax_.get_xlabel() == "market_cap"

    def test_keywords_reach_matplotlib(self, features, labels):
        display = EmbeddingDisplay.from_embedding(features.iloc[:, :2], labels, s=99, alpha=0.5)
        assert display.points_[0].get_sizes()[0] == 99
        assert display.points_[0].get_alpha() == 0.5

    def test_bad_input_is_refused(self, features, labels):
        with pytest.raises(ValueError, match="must have 1, 2 or 3 columns to be drawn; got 4"):
            EmbeddingDisplay.from_embedding(features)
        with pytest.raises(ValueError, match="`annotate` must list names of rows; got ZZZ"):
            EmbeddingDisplay.from_embedding(features.iloc[:, :2], annotate=["ZZZ"])
        with pytest.raises(ValueError, match="`assets` must name each of the 60 rows; got 1"):
            EmbeddingDisplay.from_embedding(features.iloc[:, :2], assets=["A"])
        with pytest.raises(ValueError, match="`ax` must be a 3-D axes for three components"):
            EmbeddingDisplay.from_embedding(features.iloc[:, :3], ax=plt.subplots()[1])
        with pytest.raises(ValueError, match="must hold one label for each of the 60"):
            EmbeddingDisplay.from_embedding(features.iloc[:, :2], labels[1:])
        with pytest.raises(NotFittedError):
            EmbeddingDisplay.from_estimator(StandardScaler(), features)

    def test_one_name_to_annotate_is_still_a_list(self, features, labels):
        message = r"`annotate` must be True, False or a list of names; got 'T1'. Write \['T1'\]"
        with pytest.raises(ValueError, match=message):
            EmbeddingDisplay.from_embedding(features.iloc[:, :2], labels, annotate="T1")


class TestBoxPlot:
    def test_boxes_show_the_quartiles_of_each_cluster(self, features, labels):
        display = ClusterBoxPlotDisplay.from_labels(features, labels, features=["ROE", "PER"])
        assert len(display.axes_) == 2
        for name, boxes in zip(["ROE", "PER"], display.boxes_, strict=True):
            for label in range(3):
                own = features[name][labels == label]
                assert boxes["medians"][label].get_ydata()[0] == pytest.approx(own.median())
                ys = boxes["boxes"][label].get_path().vertices[:, 1]
                assert ys.min() == pytest.approx(own.quantile(0.25))
                assert ys.max() == pytest.approx(own.quantile(0.75))
                assert to_hex(boxes["boxes"][label].get_facecolor()) == PALETTE[label].lower()
        assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["0", "1", "2"]

    def test_the_most_separating_features_come_first(self, features, labels):
        display = ClusterBoxPlotDisplay.from_labels(features, labels, max_features=3)
        assert len(display.axes_) == 3
        effects = display.effect_sizes.to_numpy()
        assert (np.diff(effects) <= 0).all()
        assert "ROE" not in display.X.columns
        assert display.ax_.get_title() == (
            f"{display.X.columns[0].replace('_', ' ')} (ε² = {effects[0]:.2f})"
        )

    def test_trimming_leaves_out_the_extremes(self, features, labels):
        wild = features.copy()
        wild.iloc[0, 0] = 1e9
        plain = ClusterBoxPlotDisplay.from_labels(
            wild, labels, features=["market_cap"], show_outliers=True
        )
        trimmed = ClusterBoxPlotDisplay.from_labels(
            wild, labels, features=["market_cap"], show_outliers=True, trim=0.02
        )
        assert plain.ax_.get_ylim()[1] > 1e8
        assert trimmed.ax_.get_ylim()[1] < 100
        assert trimmed.figure_.get_supxlabel() == "2.0% of the values left out at either end"

    def test_outliers_are_hidden_unless_asked_for(self, features, labels):
        wild = features.copy()
        wild.iloc[0, 0] = 1e9
        display = ClusterBoxPlotDisplay.from_labels(wild, labels, features=["market_cap"])
        assert display.ax_.get_ylim()[1] < 100
        assert display.boxes_[0]["fliers"] == []

    def test_symlog_serves_wide_features_of_both_signs_alone(self, labels):
        rng = np.random.default_rng(0)
        X = pd.DataFrame(
            {"wide": rng.normal(size=N) * np.exp(rng.normal(0, 5, N)), "narrow": rng.random(N) + 1}
        )
        display = ClusterBoxPlotDisplay.from_labels(
            X, labels, features=["wide", "narrow"], scale="symlog"
        )
        assert [ax.get_yscale() for ax in display.axes_] == ["symlog", "linear"]
        assert "0" in [text.get_text() for text in display.ax_.get_yticklabels()]
        log = ClusterBoxPlotDisplay.from_labels(np.exp(X[["narrow"]]), labels, scale="log")
        assert log.ax_.get_yscale() == "log"

    def test_names_are_given_once_below(self, features, labels):
        names = {0: "small-cap", 1: "mid-cap", 2: "large-cap"}
        display = ClusterBoxPlotDisplay.from_labels(features, labels, names=names, max_features=2)
        assert legend_texts(display) == ["0: small-cap", "1: mid-cap", "2: large-cap"]
        display.figure_.canvas.draw()
        inside = ClusterBoxPlotDisplay.from_labels(
            features, labels, names=names, features=["PER"], ax=plt.subplots()[1]
        )
        assert legend_texts(inside)[0] == "0: small-cap"

    def test_the_note_on_trimming_does_not_lie_on_the_names(self, features, labels):
        names = {0: "small-cap", 1: "mid-cap", 2: "large-cap"}
        note = "1.0% of the values left out at either end"
        display = ClusterBoxPlotDisplay.from_labels(features, labels, names=names, trim=0.01)
        assert display.legend_.get_title().get_text() == note
        assert display.figure_.get_supxlabel() == ""
        plain = ClusterBoxPlotDisplay.from_labels(features, labels, trim=0.01)
        assert plain.figure_.get_supxlabel() == note

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"max_features": 0}, "`max_features` must be at least 1; got 0"),
            ({"n_columns": 0}, "`n_columns` must be at least 1; got 0"),
            ({"features": []}, "ClusterBoxPlotDisplay must have something to draw; got no panel"),
            ({"names": ["a", "b", "c"]}, "`names` must be a mapping or Series .*; got list"),
        ],
    )
    def test_bad_arguments_are_named(self, features, labels, arguments, message):
        with pytest.raises(ValueError, match=message):
            ClusterBoxPlotDisplay.from_labels(features, labels, **arguments)

    def test_missing_values_empty_clusters_and_noise_are_drawn(self, features, labels):
        X = features.mask(np.random.default_rng(0).random(features.shape) < 0.2)
        X.loc[labels == 1, "PER"] = np.nan
        X["empty"] = np.nan
        noisy = np.where(np.arange(N) < 5, -1, labels)
        display = ClusterBoxPlotDisplay.from_labels(
            X, noisy, features=["PER", "empty"], trim=0.01, scale="symlog"
        )
        assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["0", "1", "2", "noise"]
        display.figure_.canvas.draw()

    def test_bad_input_is_refused(self, features, labels):
        draw = ClusterBoxPlotDisplay.from_labels
        with pytest.raises(ValueError, match=r"`scale` must be one of 'linear', .* got 'sqrt'"):
            draw(features, labels, scale="sqrt")
        with pytest.raises(ValueError, match="Use scale='symlog'"):
            draw(features, labels, scale="log")
        with pytest.raises(ValueError, match="`trim` must be at least 0 and less than 0.5"):
            draw(features, labels, trim=0.5)
        with pytest.raises(ValueError, match="`features` must be columns of X; got beta"):
            draw(features, labels, features=["beta"])
        with pytest.raises(ValueError, match="`ax` must hold at least 4 axes, one a panel; got 1"):
            draw(features, labels, ax=plt.subplots()[1])


class TestSilhouette:
    def test_bands_are_the_silhouettes_sorted_within_clusters(self, features, labels):
        display = SilhouetteDisplay.from_labels(features, labels, space="features")
        values = silhouette_samples(features, labels)
        for label, band in enumerate(display.bands_):
            drawn = band.get_paths()[0].vertices
            own = values[labels == label]
            assert drawn[:, 0].max() == pytest.approx(max(own.max(), 0.0))
            assert np.ptp(drawn[:, 1]) == pytest.approx(len(own))
            assert f"{own.mean():.2f} (n=20)" in legend_texts(display)[label]
        assert display.mean_line_.get_xdata()[0] == pytest.approx(values.mean())
        assert display.ax_.get_xlabel() == "silhouette (space: features)"

    def test_the_space_of_a_pipeline_is_measured_and_named(self, features):
        chain = make_pipeline(StandardScaler(), PCA(2), KMeans(3, n_init=1, random_state=0))
        chain.fit(features)
        found = chain.predict(features)
        for space, points in {
            "input": features,
            "standardscaler": chain[:1].transform(features),
            "embedding": chain[:-1].transform(features),
        }.items():
            display = SilhouetteDisplay.from_estimator(chain, features, space=space)
            np.testing.assert_allclose(display.values, silhouette_samples(points, found))
            assert display.ax_.get_xlabel() == f"silhouette (space: {space})"
        with pytest.raises(ValueError, match="`space` must be one of"):
            SilhouetteDisplay.from_estimator(chain, features, space="tsne")

    def test_a_precomputed_matrix_is_measured_as_one_or_not_at_all(self, features):
        distances = pairwise_distances(features)
        model = AgglomerativeClustering(3, metric="precomputed", linkage="average").fit(distances)
        with pytest.raises(ValueError, match="`space` must hold points; the clusterer takes a pre"):
            SilhouetteDisplay.from_estimator(model, distances)
        display = SilhouetteDisplay.from_estimator(model, distances, metric="precomputed")
        expected = silhouette_samples(distances, model.labels_, metric="precomputed")
        np.testing.assert_allclose(display.values, expected)

    def test_noise_is_left_out_and_said(self, features, labels):
        noisy = np.where(np.arange(N) < 5, -1, labels)
        display = SilhouetteDisplay.from_labels(features, noisy)
        np.testing.assert_allclose(
            display.values, silhouette_samples(features.iloc[5:], labels[5:])
        )
        assert "5 rows of noise left out" in display.ax_.get_xlabel()

    def test_clusterers_without_predict_are_drawn_on_their_own_rows_only(self, features):
        model = AgglomerativeClustering(3).fit(features)
        display = SilhouetteDisplay.from_estimator(model, features)
        np.testing.assert_allclose(display.values, silhouette_samples(features, model.labels_))
        with pytest.raises(ValueError, match="has no `predict`"):
            SilhouetteDisplay.from_estimator(model, features.iloc[:-1])

    def test_one_cluster_is_refused(self, features):
        with pytest.raises(ValueError, match="at least two clusters .* got 1 clusters on 60 rows"):
            SilhouetteDisplay.from_labels(features, np.zeros(N))
        all_noise = DBSCAN(eps=1e-9).fit(features)
        with pytest.raises(ValueError, match="got 0 clusters on 0 rows"):
            SilhouetteDisplay.from_labels(features, all_noise.labels_)


class TestElbow:
    def test_curves_are_the_columns(self):
        display = ElbowDisplay.from_table(TABLE.sample(frac=1.0, random_state=0))
        assert list(display.lines_) == [
            "inertia",
            "silhouette",
            "null_mean",
            "lift",
            "stability",
        ]
        assert len(display.axes_) == 4
        for name, line in display.lines_.items():
            np.testing.assert_array_equal(line.get_xdata(), TABLE["n_clusters"])
            np.testing.assert_array_equal(line.get_ydata(), TABLE[name])
        assert display.knee_ == 3
        legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert legend == ["inertia", "knee at 3"]

    @pytest.mark.parametrize("chosen", [2, 4])
    def test_the_line_at_the_number_chosen_ends_below_the_legend(self, chosen):
        (panel,) = ElbowDisplay(TABLE, chosen=chosen).plot(panels=["silhouette"]).axes_
        panel.figure.canvas.draw()
        (line,) = [line for line in panel.lines if line.get_label() == f"chosen: {chosen}"]
        top = panel.transAxes.transform((0, line.get_ydata()[1]))[1]
        assert 0 < top <= panel.get_legend().get_window_extent().y0

    def test_one_axes_takes_the_first_criterion(self):
        ax = plt.subplots()[1]
        assert list(ElbowDisplay.from_table(TABLE, ax=ax).lines_) == ["inertia"]
        chosen = ElbowDisplay.from_table(TABLE, ax=plt.subplots()[1], panels=["lift"])
        assert list(chosen.lines_) == ["lift"]
        assert chosen.knee_ is None

    def test_tables_of_other_kinds_are_read(self):
        for table in (
            TABLE.to_dict("list"),
            TABLE.set_index("n_clusters"),
            pl.DataFrame(TABLE.to_dict("list")),
        ):
            assert ElbowDisplay.from_table(table, panels=["inertia"]).knee_ == 3

    def test_a_clusterer_is_fitted_for_each_number(self, features):
        numbers = (2, 3, 4)
        chain = make_pipeline(StandardScaler(), KMeans(n_init=1, random_state=0))
        display = ElbowDisplay.from_estimator(chain, features, n_clusters=numbers)
        Z = StandardScaler().fit_transform(features)
        fits = [KMeans(k, n_init=1, random_state=0).fit(Z) for k in (1, *numbers)]
        np.testing.assert_allclose(display.table["inertia"], [fit.inertia_ for fit in fits])
        assert not hasattr(chain[-1], "labels_")
        with pytest.raises(ValueError, match="`inertia_` once fitted; got AgglomerativeClustering"):
            ElbowDisplay.from_estimator(AgglomerativeClustering(), features)
        with pytest.raises(ValueError, match="`n_clusters` and `inertia_`; got GaussianMixture"):
            ElbowDisplay.from_estimator(GaussianMixture(), features)

    def test_a_choice_is_drawn_with_its_own_marks(self):
        table = TABLE.rename(columns={"silhouette": "davies_bouldin"})
        choice = ClusterChoice(
            3, 4, table, score="davies_bouldin", alpha=0.05, margins="unimodal", null=table
        )
        display = ElbowDisplay.from_choice(choice)
        assert display.knee_ == 4
        assert display.axes_[1].get_ylabel() == "davies bouldin"
        legend = [text.get_text() for text in display.axes_[1].get_legend().get_texts()]
        assert legend == ["data", "chosen: 3", "no clusters (reference)"]

    @pytest.mark.parametrize("numbers", [(2, 3), (2, 3, 4, 5, 6), (4, 8)])
    def test_the_knee_drawn_is_the_elbow_of_the_choice(self, features, numbers):
        kmeans = KMeans(n_init=3, random_state=0)
        choice = choose_n_clusters(kmeans, features, numbers, n_resamples=2, random_state=0)
        display = ElbowDisplay.from_choice(choice)
        assert display.knee_ == choice.elbow
        line = display.lines_["inertia"]
        assert list(line.get_xdata()) == [1, *numbers]
        assert display.ax_.get_xlim()[0] < 1
        # The mark stands on the curve, and its own chord rule finds it there.
        assert elbow_of(line.get_xdata(), line.get_ydata()) == choice.elbow
        assert list(display.lines_["silhouette"].get_xdata()) == [*numbers]
        spread = ((features - features.mean()) ** 2).to_numpy().sum()
        assert line.get_ydata()[0] == pytest.approx(spread)
        fitted = ElbowDisplay.from_estimator(kmeans, features, n_clusters=numbers)
        assert fitted.knee_ == choice.elbow

    def test_a_choice_without_an_elbow_gets_no_mark(self):
        table = TABLE.assign(inertia=[40.0, 30.0, 20.0, 10.0])
        choice = ClusterChoice(
            3, None, table, "silhouette", 0.05, "unimodal", null=table, total_inertia=50.0
        )
        display = ElbowDisplay.from_choice(choice, panels=["inertia"])
        assert display.knee_ is None
        assert len(display.ax_.lines) == 1

    @pytest.mark.parametrize(
        ("inertia", "knee"),
        [
            ([10.0, 4.0, 3.5, 3.0], 3),
            ([10.0, 8.0, 6.0, 4.0], None),
            ([10.0, 9.5, 8.0, 4.0], None),
            ([10.0, np.nan, 4.0, 3.5], 4),
            ([1.0, 1.0, 1.0, 1.0], None),
        ],
    )
    def test_the_knee_lies_furthest_below_the_chord(self, inertia, knee):
        assert elbow_of(np.array([2, 3, 4, 5]), np.array(inertia)) == knee

    def test_two_numbers_have_no_knee(self):
        assert elbow_of(np.array([2, 3]), np.array([2.0, 1.0])) is None

    def test_bad_tables_are_refused(self):
        with pytest.raises(ValueError, match=r"must have a column 'n_clusters'; got \['k'\]"):
            ElbowDisplay.from_table({"k": [1]})
        with pytest.raises(ValueError, match="`panels` must be among the criteria"):
            ElbowDisplay.from_table({"n_clusters": [2, 3]})
        with pytest.raises(ValueError, match=r"got \['gap'\]"):
            ElbowDisplay.from_table(TABLE, panels=["gap"])


class TestCorrelation:
    def test_the_numbers_are_the_table(self, returns, labels):
        found = cluster_correlations(returns, labels)
        display = CorrelationDisplay.from_correlations(found)
        np.testing.assert_allclose(display.image_.get_array(), found.table)
        written = [text.get_text() for text in display.texts_]
        assert written == [f"{v:z.2f}" for v in found.table.to_numpy().ravel()]
        assert display.ax_.get_title() == (
            f"within {found.within:z.2f}, between {found.between:z.2f} ({found.contrast:+z.2f})"
        )
        assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["0", "1", "2"]

    def test_no_number_is_written_as_minus_zero(self, returns, labels):
        found = replace(cluster_correlations(returns, labels), within=0.2, between=0.2004)
        found.table.iloc[0, 1] = -0.004
        display = CorrelationDisplay.from_correlations(found)
        assert display.ax_.get_title().endswith("(+0.00)")
        assert display.texts_[1].get_text() == "0.00"

    def test_the_upper_triangle_leaves_the_rest_empty(self, returns, labels):
        display = CorrelationDisplay.from_returns(returns, labels, triangle="upper")
        assert len(display.texts_) == 6
        with pytest.raises(ValueError, match="`triangle` must be 'full' or 'upper'; got 'lower'"):
            display.plot(triangle="lower")

    def test_singletons_names_and_noise_are_written(self, returns, labels):
        odd = labels.copy()
        odd[:2], odd[2] = -1, 3
        display = CorrelationDisplay.from_returns(returns, odd, names={0: "small-cap"})
        assert [t.get_text() for t in display.ax_.get_yticklabels()] == [
            "0: small-cap",
            "1",
            "2",
            "3",
            "noise",
        ]
        assert display.texts_[3 * 5 + 3].get_text() == "–"

    def test_colours_are_centred_on_zero_when_signs_differ(self, returns, labels):
        opposed = returns.copy()
        opposed.loc[:, labels == 1] = -returns.loc[:, labels == 0].to_numpy()
        low, high = CorrelationDisplay.from_returns(opposed, labels).image_.get_clim()
        assert low == -high < 0
        fixed = CorrelationDisplay.from_returns(opposed, labels, vmin=-1.0, vmax=1.0)
        assert fixed.image_.get_clim() == (-1.0, 1.0)

    def test_numbers_can_be_read_on_their_background(self, returns, labels):
        display = CorrelationDisplay.from_returns(returns, labels)
        for value, text in zip(display.image_.get_array().ravel(), display.texts_, strict=True):
            r, g, b, _ = display.image_.cmap(display.image_.norm(value))
            background = 0.2126 * r + 0.7152 * g + 0.0722 * b
            assert abs(background - to_rgba(text.get_color())[0]) > 0.4


class TestRiskReturn:
    @pytest.mark.parametrize("periods_per_year", [None, 12])
    def test_points_are_the_tables_in_percent(self, returns, labels, periods_per_year):
        found = cluster_returns(returns, labels, periods_per_year=periods_per_year)
        display = RiskReturnDisplay.from_cluster_returns(found)
        for label in range(3):
            own = found.assets[found.assets["cluster"] == label]
            np.testing.assert_allclose(
                display.assets_[label].get_offsets(), 100 * own[["volatility", "mean_return"]]
            )
            np.testing.assert_allclose(
                display.clusters_[label].get_offsets()[0],
                100 * found.table.loc[label, ["volatility", "mean_return"]],
            )
        unit = "a period" if periods_per_year is None else "a year"
        assert display.ax_.get_xlabel() == f"volatility (% {unit})"
        assert display.ax_.get_ylabel() == f"mean return (% {unit})"
        assert legend_texts(display) == [f"cluster {i} (n=20)" for i in range(3)]

    def test_stocks_can_be_left_out_and_named(self, returns, labels):
        assert RiskReturnDisplay.from_returns(returns, labels, show_assets=False).assets_ == []
        display = RiskReturnDisplay.from_returns(returns, labels, annotate=["T4"])
        assert [text.get_text() for text in display.texts_] == ["T4"]
        assert display.texts_[0].xy[0] == pytest.approx(100 * returns["T4"].std())
        with pytest.raises(ValueError, match="`annotate` must list assets of `returns`; got ZZZ"):
            RiskReturnDisplay.from_returns(returns, labels, annotate=["ZZZ"])

    def test_trimming_frames_the_bulk_and_counts_the_rest(self, returns, labels):
        wild = returns.copy()
        wild["T0"] = np.tile([3.0, -0.9], 24)
        display = RiskReturnDisplay.from_returns(wild, labels, trim=0.02)
        volatility = display.returns.assets["volatility"] * 100
        mean = display.returns.assets["mean_return"] * 100
        right = display.ax_.get_xlim()[1]
        low, high = display.ax_.get_ylim()
        outside = (volatility > right) | (mean < low) | (mean > high)
        assert outside["T0"]
        assert display.ax_.get_title(loc="right") == f"{outside.sum()} stocks outside the frame"
        with pytest.raises(ValueError, match="`trim` must be at least 0"):
            display.plot(trim=-1)

    def test_labels_are_matched_by_name_and_noise_is_a_cross(self, returns, labels):
        series = pd.Series(np.where(np.arange(N) < 5, -1, labels), returns.columns)
        display = RiskReturnDisplay.from_returns(returns, series.sample(frac=1, random_state=0))
        assert legend_texts(display)[-1] == "noise (n=5)"


class Trained(BaseEstimator):
    """Stands for any estimator with a history."""

    def __init__(self, history):
        self.history = history

    def fit(self, X, y=None):
        self.history_ = self.history
        return self

    def transform(self, X):
        return X


class TestTrainingCurve:
    def test_curves_are_the_losses_and_the_best_epoch_is_marked(self):
        display = TrainingCurveDisplay.from_estimator(Trained(HISTORY).fit(None))
        for name, line in display.lines_.items():
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
            np.testing.assert_array_equal(line.get_ydata(), HISTORY[name])
        assert display.best_epoch_ == 2
        assert display.best_line_.get_xdata()[0] == 2
        legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert legend == ["training", "validation", "best epoch: 2 (validation 0.7)"]

    def test_the_epoch_whose_weights_an_estimator_kept_is_marked_where_it_says_so(self):
        trained = Trained(HISTORY).fit(None)
        trained.best_epoch_ = 1
        display = TrainingCurveDisplay.from_estimator(trained)
        assert display.best_epoch_ == display.best_line_.get_xdata()[0] == 1
        kept = display.ax_.get_legend().get_texts()[-1].get_text()
        assert kept == f"epoch kept: 1 (validation {HISTORY['valid_loss'][0]})"
        # The weights of the start have no loss in the history.
        display = TrainingCurveDisplay([HISTORY, HISTORY], kept_epochs=[0, 0]).plot()
        assert display.best_epochs_ == [0, 0]
        kept = display.ax_.get_legend().get_texts()[-1].get_text()
        assert kept == "median epoch kept of 2: 0"

    @pytest.mark.parametrize(
        "history",
        [
            {"train_loss": [3.0, 1.0, 2.0]},
            {"train_loss": [3.0, 1.0, 2.0], "valid_loss": [np.nan] * 3},
        ],
    )
    def test_without_validation_the_training_loss_decides(self, history):
        display = TrainingCurveDisplay.from_history(history)
        assert list(display.lines_) == ["train_loss"]
        assert display.best_epoch_ == 2

    def test_a_pipeline_shows_the_step_that_was_trained(self, features):
        chain = make_pipeline(StandardScaler(), Trained(HISTORY)).fit(features)
        assert TrainingCurveDisplay.from_estimator(chain, scale="log").best_epoch_ == 2
        with pytest.raises(ValueError, match="0 found in Pipeline"):
            TrainingCurveDisplay.from_estimator(make_pipeline(StandardScaler()).fit(features))

    def test_one_epoch_is_visible(self):
        display = TrainingCurveDisplay.from_history({"train_loss": [1.0]})
        assert display.lines_["train_loss"].get_marker() == "o"

    def test_bad_histories_are_refused(self):
        with pytest.raises(ValueError, match="must hold 'train_loss'; got"):
            TrainingCurveDisplay.from_history({"loss": [1.0]})
        with pytest.raises(ValueError, match="'valid_loss' has shape"):
            TrainingCurveDisplay.from_history({"train_loss": [1.0, 2.0], "valid_loss": [1.0]})
        with pytest.raises(ValueError, match="is NaN throughout"):
            TrainingCurveDisplay.from_history({"train_loss": [np.nan]})
        with pytest.raises(ValueError, match="`scale` must be 'linear' or 'log'; got 'sqrt'"):
            TrainingCurveDisplay.from_history(HISTORY, scale="sqrt")
        with pytest.raises(NotFittedError):
            TrainingCurveDisplay.from_estimator(PCA())
