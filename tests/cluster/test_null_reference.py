"""Null data and the scores on them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import kendalltau, multivariate_t, spearmanr, t
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfactor.cluster import InductiveClusterer, draw_null, null_reference
from skfactor.cluster._copula import (
    closest_unimodal,
    fit_null,
    pair_log_density,
    rank_correlation,
    some_pairs,
    unimodal_margin,
)
from skfactor.datasets import make_stock_universe
from skfactor.decomposition import AutoencoderReducer
from skfactor.exceptions import ClusteringScoreWarning
from skfactor.metrics import davies_bouldin_scorer, make_clustering_scorer, silhouette_scorer
from skfactor.preprocessing import LogStandardizer, PanelImputer

GROUPS, _ = make_blobs(n_samples=100, n_features=4, centers=4, center_box=(-7, 7), random_state=5)
KMEANS = KMeans(4, n_init=1, random_state=0)
SILHOUETTE = {"silhouette": silhouette_scorer}


def cloud(seed, n_rows=80, kind="normal"):
    """One elliptical cloud without clusters."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, 3)) @ rng.normal(size=(3, 3))
    if kind == "heavy":
        rows /= np.sqrt(rng.chisquare(3, size=(n_rows, 1)) / 3)
    if kind == "skewed":
        rows = np.exp(rows / 2)
    return rows


def lower_hull(x, y):
    """Greatest convex minorant of the points (x, y) at every x, by trying every chord."""
    hull = y.copy()
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            for m in range(i, j + 1):
                chord = y[i] + (y[j] - y[i]) * (x[m] - x[i]) / (x[j] - x[i])
                hull[m] = min(hull[m], chord)
    return hull


def test_the_closest_curve_is_a_convex_then_a_concave_hull():
    rng = np.random.default_rng(0)
    widths = rng.uniform(0.5, 2.0, size=12)
    heights = np.cumsum(rng.uniform(0.1, 1.0, size=12))
    x = np.concatenate([[0.0], np.cumsum(widths)])
    y = np.concatenate([[0.0], heights])
    best, smallest = None, np.inf
    for mode in range(13):
        left = lower_hull(x[: mode + 1], y[: mode + 1])
        right = -lower_hull(x[mode:], -y[mode:])
        curve = np.concatenate([left, right[1:]])
        gap = np.abs(curve - y).max()
        if gap < smallest - 1e-12:
            best, smallest = curve, gap
    np.testing.assert_allclose(np.cumsum(closest_unimodal(heights, widths)), best[1:])


def test_a_column_with_two_humps_loses_one_of_them_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    humps = np.sort(np.concatenate([rng.normal(-5, 1, 200), rng.normal(5, 1, 200)]))
    margin = unimodal_margin(humps)
    counts = np.histogram(margin.quantiles, bins=np.linspace(-7, 7, 8))[0]
    mode = counts.argmax()
    assert (np.diff(counts[: mode + 1]) >= -1).all()
    assert (np.diff(counts[mode:]) <= 1).all()
    assert margin.quantiles[0] == pytest.approx(humps[0], abs=0.2)
    assert margin.quantiles[-1] == pytest.approx(humps[-1], abs=0.2)


def test_a_column_with_one_hump_hardly_changes():
    values = np.sort(np.random.default_rng(0).standard_t(3, size=1000))
    quantiles = unimodal_margin(values).quantiles
    middle = slice(25, -25)
    np.testing.assert_allclose(quantiles[middle], values[middle], atol=0.2)
    assert np.std(quantiles) == pytest.approx(np.std(values), rel=0.05)


def test_a_column_of_ratings_keeps_its_support_and_gets_one_mode():
    ratings = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [40, 5, 5, 5, 45])
    margin = unimodal_margin(ratings)
    values, counts = np.unique(margin.quantiles, return_counts=True)
    np.testing.assert_array_equal(values, [1.0, 2.0, 3.0, 4.0, 5.0])
    # The closest rising frequencies are 1/6, 1/6, 1/6, 1/4, 1/4.
    np.testing.assert_allclose(counts, [100 / 6, 100 / 6, 100 / 6, 25, 25], atol=1)
    assert set(margin.draw(np.random.default_rng(0))) == set(values)
    indicator = np.repeat([0.0, 1.0], [30, 70])
    np.testing.assert_array_equal(unimodal_margin(indicator).quantiles, indicator)


def zero_inflated(seed, share=0.3, unit=1.0, n_rows=250):
    """Five independent columns, each zero in some rows and exponential in the others."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [
            np.where(rng.random(n_rows) < share, 0.0, rng.exponential(size=n_rows) * unit)
            for _ in range(5)
        ]
    )


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.9])
@pytest.mark.parametrize("sign", ["positive", "both"])
def test_a_draw_keeps_the_share_of_zeros(share, sign):
    X = zero_inflated(0, share=share)
    if sign == "both":
        X *= np.random.default_rng(1).choice([-1.0, 3.0], size=X.shape)
    drawn = np.array([draw_null(X, random_state=seed) == 0 for seed in range(20)])
    np.testing.assert_allclose(drawn.mean(axis=(0, 1)), (X == 0).mean(axis=0), atol=0.03)


def test_the_values_beside_an_atom_get_one_mode_and_never_lie_within_the_jump():
    rng = np.random.default_rng(0)
    humps = np.concatenate([rng.normal(10, 1, 200), rng.normal(20, 1, 200)])
    margin = unimodal_margin(np.sort(np.concatenate([humps, np.zeros(100)])))
    np.testing.assert_array_equal(margin.atoms, [0.0])
    rest = margin.quantiles[margin.quantiles != 0]
    assert len(rest) == 400
    np.testing.assert_allclose(rest, unimodal_margin(np.sort(humps)).quantiles, atol=0.6)
    drawn = margin.draw(np.random.default_rng(1))
    assert ((drawn == 0) | (drawn > 2)).all()


def test_bounds_and_the_most_frequent_of_the_other_shared_values_are_kept():
    rng = np.random.default_rng(0)
    values = np.clip(rng.standard_t(3, size=500), -2.0, 2.0)
    values[:60], values[60:90] = 0.0, 1.5
    margin = unimodal_margin(np.sort(values))
    np.testing.assert_array_equal(margin.atoms, [-2.0, 0.0, 2.0])
    for atom in margin.atoms:
        assert (margin.quantiles == atom).sum() == (values == atom).sum()
    assert (margin.quantiles == 1.5).sum() <= 1


def test_a_continuous_column_and_a_pair_of_equal_values_have_no_atom():
    values = np.sort(np.random.default_rng(0).normal(size=100).round(6))
    values[50] = values[51]
    margin = unimodal_margin(values)
    assert not len(margin.atoms)
    # The plain law: one-mode steps between the values, the outermost 2 % as they are.
    support, counts = np.unique(values, return_counts=True)
    heights = (np.cumsum(counts) - counts / 2) / 100
    widths = np.diff(support) / (support[-1] - support[0])
    steps = closest_unimodal(heights[1:] - heights[0], widths)
    fitted = np.concatenate([heights[:1], heights[0] + np.cumsum(steps)])
    expected = np.interp((np.arange(100) + 0.5) / 100, fitted, support)
    expected[:2], expected[-2:] = values[:2], values[-2:]
    np.testing.assert_array_equal(margin.quantiles, np.maximum.accumulate(expected))
    draws = margin.draw(np.random.default_rng(3))
    levels = np.sort(np.random.default_rng(3).uniform(2, 98, size=96))
    inner = np.interp(levels, np.arange(100) + 0.5, margin.quantiles)
    np.testing.assert_array_equal(draws[2:-2], inner)


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_zeros_do_not_stretch_the_correlations(share):
    latent = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=3000)
    floor = np.quantile(latent, share, axis=0)
    observed = np.maximum(latent - floor, 0.0)
    assert rank_correlation(observed)[0, 1] == pytest.approx(0.5, abs=0.1)


def test_rank_correlations_are_those_of_kendalls_tau_b():
    X = zero_inflated(3, n_rows=81)[:, :2]
    X[:, 1] += X[:, 0]
    X[::7, 0] = np.nan
    tau = kendalltau(*X[~np.isnan(X[:, 0])].T).statistic
    # All pairs, as there are fewer than 100 distances between rows.
    assert rank_correlation(X)[0, 1] == pytest.approx(np.sin(np.pi / 2 * tau))


@pytest.mark.parametrize("unit", [1e3, 1e8])
def test_zeros_are_not_called_clusters(unit):
    pipeline = make_pipeline(LogStandardizer(), KMeans(4, n_init=2, random_state=0))
    scorer = make_clustering_scorer("silhouette", space="logstandardizer")
    references = [
        null_reference(pipeline, zero_inflated(seed, unit=unit), scoring=scorer, random_state=0)
        for seed in range(8)
    ]
    p_values = [reference.p_value.iloc[0] for reference in references]
    # Three or more of eight at 5 % have a probability of 0.6 %.
    assert sum(p <= 0.05 for p in p_values) <= 2
    assert 0.25 < np.mean(p_values) < 0.8
    assert abs(np.mean([reference.lift.iloc[0] for reference in references])) < 0.02


def test_zeros_that_the_same_rows_share_are_found():
    X = zero_inflated(0, share=0.0, unit=1e3) + 1.0
    X[:100, :3] = 0.0
    X[100:180, 2:] = 0.0
    pipeline = make_pipeline(LogStandardizer(), KMeans(3, n_init=2, random_state=0))
    scorer = make_clustering_scorer("silhouette", space="logstandardizer")
    reference = null_reference(pipeline, X, scoring=scorer, random_state=0)
    assert reference.p_value.iloc[0] == 0.05


def test_the_density_of_a_pair_is_that_of_the_t_copula():
    rng = np.random.default_rng(0)
    x, y = rng.standard_t(4, size=(2, 5))
    expected = [
        multivariate_t([0, 0], [[1, 0.4], [0.4, 1]], df=4).logpdf([a, b])
        - t(4).logpdf(a)
        - t(4).logpdf(b)
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(pair_log_density(x, y, np.array(0.4), 4.0), expected)
    # Many degrees of freedom come to the normal copula.
    np.testing.assert_allclose(
        pair_log_density(x, y, np.array(0.4), 1e7),
        pair_log_density(x, y, np.array(0.4), np.inf),
        atol=1e-4,
    )


def test_joint_tails_are_told_from_tails_of_single_columns():
    jointly = cloud(0, n_rows=400, kind="heavy")
    singly = np.random.default_rng(0).standard_t(3, size=(400, 3))
    assert fit_null(jointly, "unimodal").freedom <= 5
    assert fit_null(singly, "unimodal").freedom >= 15


def test_every_column_has_its_turn_among_the_pairs():
    for n_columns in (1, 2, 5, 40, 200):
        pairs = some_pairs(n_columns)
        assert len({tuple(p) for p in pairs}) == len(pairs)
        assert n_columns == 1 or set(pairs.ravel()) == set(range(n_columns))


@pytest.mark.parametrize("margins", ["unimodal", "empirical"])
def test_a_draw_keeps_rank_correlations_and_missing_cells(margins):
    X = cloud(1, n_rows=300, kind="skewed")
    holes = np.random.default_rng(0).random(X.shape) < 0.1
    X[holes] = np.nan
    drawn = draw_null(X, random_state=0, margins=margins)
    np.testing.assert_array_equal(np.isnan(drawn), holes)
    before = spearmanr(X, nan_policy="omit").statistic
    after = spearmanr(drawn, nan_policy="omit").statistic
    np.testing.assert_allclose(after, before, atol=0.1)


def test_empirical_margins_are_the_very_values_in_another_order():
    drawn = draw_null(GROUPS, random_state=0, margins="empirical")
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(GROUPS, axis=0))
    assert not np.array_equal(drawn, GROUPS)


def test_more_columns_than_rows_a_constant_and_an_empty_column_can_be_drawn():
    wide = np.random.default_rng(0).normal(size=(12, 30))
    wide[:, 3] = 7.0
    wide[:, 4] = np.nan
    drawn = draw_null(wide, random_state=0)
    assert drawn.shape == (12, 30)
    assert (drawn[:, 3] == 7.0).all()
    assert np.isnan(drawn[:, 4]).all()
    assert np.isfinite(np.delete(drawn, 4, axis=1)).all()


def test_a_draw_is_the_kind_of_table_that_was_given():
    index = [f"stock {i}" for i in range(len(GROUPS))]
    frame = pd.DataFrame(GROUPS, index=index, columns=list("abcd"))
    drawn = draw_null(frame, random_state=0)
    assert list(drawn.index) == index
    assert list(drawn.columns) == list("abcd")
    polars = draw_null(pl.DataFrame(GROUPS, schema=list("abcd")), random_state=0)
    assert isinstance(polars, pl.DataFrame)
    np.testing.assert_array_equal(polars.to_numpy(), drawn.to_numpy())
    assert draw_null(GROUPS.astype(np.float32), random_state=0).dtype == np.float32


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([[1.0, np.inf], [0.0, 1.0]]), "infinity"),
        (np.empty((0, 2)), "0 sample"),
        (GROUPS[:1], "minimum of 2 is required"),
        (pd.DataFrame({"a": ["x", "y"]}), "must hold numbers; got column 'a' of dtype"),
    ],
    ids=["infinite", "empty", "one row", "text"],
)
def test_bad_tables_are_errors(bad, message):
    with pytest.raises(ValueError, match=message):
        draw_null(bad)
    with pytest.raises(ValueError, match=message):
        null_reference(KMEANS, bad)


def test_an_unknown_kind_of_margin_is_an_error():
    with pytest.raises(ValueError, match="`margins` must be one of '.*', '[a-z]+'; got 'normal'"):
        draw_null(GROUPS, margins="normal")


def test_clear_groups_are_lifted_and_the_numbers_are_their_definitions():
    reference = null_reference(KMEANS, GROUPS, random_state=0)
    assert list(reference.observed.index) == ["silhouette", "davies_bouldin"]
    assert reference.null.shape == (19, 2)
    fitted = KMeans(4, n_init=1, random_state=0).fit(GROUPS)
    assert reference.observed["silhouette"] == silhouette_scorer(fitted, GROUPS)
    assert reference.observed["davies_bouldin"] == davies_bouldin_scorer(fitted, GROUPS)
    for name in reference.observed.index:
        draws = [float(v) for v in reference.null[name]]
        observed = reference.observed[name]
        mean = sum(draws) / 19
        sd = (sum((v - mean) ** 2 for v in draws) / 18) ** 0.5
        assert reference.mean[name] == pytest.approx(mean)
        assert reference.std[name] == pytest.approx(sd)
        assert reference.lift[name] == pytest.approx(observed - mean)
        assert reference.z[name] == pytest.approx((observed - mean) / sd)
        reached = sum(v >= observed for v in draws)
        assert reference.p_value[name] == (1 + reached) / 20
    assert (reference.p_value == 0.05).all()
    assert reference.z["silhouette"] > 4
    assert list(reference.table) == ["observed", "null_mean", "null_std", "lift", "z", "p_value"]


def test_groups_that_show_in_one_column_are_found_only_by_the_default_margins():
    rng = np.random.default_rng(0)
    one = np.concatenate([rng.normal(-6, 1, 60), rng.normal(6, 1, 60)])[:, None]
    kmeans = KMeans(2, n_init=1, random_state=0)
    assert null_reference(kmeans, one, scoring=SILHOUETTE).p_value["silhouette"] == 0.05
    kept = null_reference(kmeans, one, scoring=SILHOUETTE, margins="empirical")
    assert kept.lift["silhouette"] == pytest.approx(0.0, abs=1e-12)
    assert "humps\nwithin a column stay" in repr(kept)


@pytest.mark.parametrize("kind", ["normal", "heavy", "skewed"])
def test_clouds_are_called_clusters_no_more_often_than_the_level(kind):
    kmeans = KMeans(3, n_init=1, random_state=0)
    p_values = [
        null_reference(
            kmeans, cloud(seed, kind=kind), scoring=SILHOUETTE, random_state=seed
        ).p_value["silhouette"]
        for seed in range(10)
    ]
    # Three or more of ten at 5 % have a probability of 1 %.
    assert sum(p <= 0.05 for p in p_values) <= 2
    assert 0.25 < np.mean(p_values) < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "heavy", "skewed"])
@pytest.mark.parametrize("k", [2, 4])
def test_the_size_is_close_to_the_level_over_many_clouds(kind, k):
    kmeans = KMeans(k, n_init=1, random_state=0)
    p_values = [
        null_reference(
            kmeans, cloud(seed, n_rows=120, kind=kind), scoring=SILHOUETTE, random_state=seed
        ).p_value["silhouette"]
        for seed in range(150)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.10


@pytest.mark.slow
def test_a_market_from_one_cloud_has_no_lift():
    pipeline = make_pipeline(
        LogStandardizer(),
        PanelImputer(cross_section=True),
        AutoencoderReducer(4, max_epochs=40, random_state=0),
        KMeans(4, n_init=4, random_state=0),
    )
    scorer = make_clustering_scorer("silhouette", space="panelimputer")
    lifts, p_values = [], []
    for seed in range(200, 208):
        X = make_stock_universe(150, cluster_separation=0, random_state=seed).cross_section()
        reference = null_reference(pipeline, X, scoring=scorer, random_state=0)
        lifts.append(reference.lift.iloc[0])
        p_values.append(reference.p_value.iloc[0])
    # Three or more of eight at 5 % have a probability of 0.6 %.
    assert sum(p <= 0.05 for p in p_values) <= 2
    assert abs(np.mean(lifts)) < 0.03


def test_a_pipeline_over_a_frame_with_missing_values_is_compared_in_a_named_space():
    frame = pd.DataFrame(GROUPS.copy(), columns=["cap", "eps", "per", "roe"])
    frame.iloc[::9, 1] = np.nan
    select = FunctionTransformer(lambda Z: Z[["cap", "eps", "roe"]])
    pipeline = make_pipeline(select, SimpleImputer(), StandardScaler(), PCA(2), KMEANS)
    scorer = make_clustering_scorer("silhouette", space="standardscaler")
    reference = null_reference(pipeline, frame, scoring=scorer, random_state=0)
    assert reference.p_value["silhouette"] == 0.05
    fitted = pipeline.fit(frame)
    assert reference.observed["silhouette"] == pytest.approx(scorer(fitted, frame), abs=1e-9)


def test_the_output_of_a_step_that_does_nothing_is_a_space_like_another():
    pipeline = Pipeline([("scale", StandardScaler()), ("map", "passthrough"), ("cluster", KMEANS)])
    tables = [
        null_reference(
            pipeline,
            GROUPS,
            scoring={"silhouette": make_clustering_scorer("silhouette", space=space)},
            n_draws=2,
            random_state=0,
        ).table
        for space in ("map", "scale")
    ]
    pd.testing.assert_frame_equal(*tables)
    scorer = make_clustering_scorer("silhouette", space="map")
    assert tables[0]["observed"].iloc[0] == pytest.approx(scorer(pipeline.fit(GROUPS), GROUPS))


def test_scorers_of_other_makers_are_called_on_the_whole_fitted_pipeline():
    seen = []

    def n_steps(estimator, X, y=None):
        seen.append((type(estimator), X.shape))
        return float(len(estimator.steps) + X[0, 0])

    pipeline = make_pipeline(StandardScaler(), KMEANS)
    reference = null_reference(pipeline, GROUPS, scoring=n_steps, n_draws=2, random_state=0)
    assert list(reference.observed.index) == ["n_steps"]
    assert seen == [(Pipeline, GROUPS.shape)] * 3


def test_data_that_cannot_be_scored_have_no_p_value_and_say_so():
    with pytest.warns(ClusteringScoreWarning, match="every row is noise"):
        reference = null_reference(DBSCAN(eps=1e-9), GROUPS, scoring=SILHOUETTE, n_draws=3)
    assert np.isnan(reference.p_value["silhouette"])
    assert "nothing to test" in repr(reference)


def test_a_draw_in_which_nothing_is_found_counts_as_below_the_data():
    dbscan = DBSCAN(eps=1.8, min_samples=8)
    reference = null_reference(dbscan, GROUPS, scoring=SILHOUETTE, random_state=0)
    failed = int(reference.null["silhouette"].isna().sum())
    assert failed > 0
    reached = int((reference.null["silhouette"] >= reference.observed["silhouette"]).sum())
    assert reference.p_value["silhouette"] == (1 + reached) / 20
    assert f"{failed} draws had no score" in repr(reference)


def test_the_result_says_its_null_and_its_verdict_in_words():
    text = repr(null_reference(KMEANS, GROUPS, random_state=0))
    assert text.startswith(
        "Null: one cloud: each column keeps its spread, skewness, tails and shared"
    )
    assert "there are no clusters (19 draws)." in text
    assert "under the null, a lift of" in text
    text = repr(null_reference(KMEANS, cloud(2), random_state=0))
    assert "no significant lift:" in text


def test_the_seed_rules_in_one_process_and_in_two():
    before = np.random.get_state()[1].copy()
    first = null_reference(KMEANS, GROUPS, scoring=SILHOUETTE, n_draws=4, random_state=3)
    assert np.array_equal(before, np.random.get_state()[1])
    parallel = null_reference(
        KMEANS, GROUPS, scoring=SILHOUETTE, n_draws=4, random_state=3, n_jobs=2
    )
    other = null_reference(KMEANS, GROUPS, scoring=SILHOUETTE, n_draws=4, random_state=4)
    pd.testing.assert_frame_equal(first.null, parallel.null)
    assert not first.null.equals(other.null)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scoring": "silhouette"}, "`scoring` must be None, a scorer"),
        ({"scoring": {}}, "`scoring` must be None, a scorer"),
        ({"n_draws": 1}, "The 'n_draws' parameter of null_reference"),
        ({"margins": "normal"}, "The 'margins' parameter of null_reference"),
        ({"scoring": make_clustering_scorer("silhouette", space="map")}, "got 'map'"),
        (
            {"estimator": AgglomerativeClustering(metric="precomputed", linkage="single")},
            "takes a precomputed matrix",
        ),
        (
            {"estimator": InductiveClusterer(DBSCAN(metric="precomputed"))},
            "takes a precomputed matrix",
        ),
        (
            {"estimator": make_pipeline("passthrough", DBSCAN(metric="precomputed"))},
            "takes a precomputed matrix",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        null_reference(**{"estimator": KMEANS, "X": GROUPS, **arguments})
