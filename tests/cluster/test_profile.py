"""Profiles and names of clusters."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from skfactor.cluster._labels import encode_labels
from skfactor.cluster._names import PHRASES
from skfactor.cluster._profile import ClusterProfile, cluster_profile, name_clusters
from skfactor.plotting._style import cluster_names


def _universe(n=240, seed=0):
    rng = np.random.default_rng(seed)
    size = rng.integers(0, 2, n)
    debt = rng.integers(0, 2, n)
    X = pd.DataFrame(
        {
            "market_cap": np.exp(3.0 * size + rng.normal(0, 0.4, n)),
            "long_term_debt": np.exp(2.0 * debt + rng.normal(0, 0.9, n)),
            "ROE": rng.normal(size=n),
        },
        index=[f"T{i:03d}" for i in range(n)],
    )
    return X, 2 * size + debt


def _slow_effect_size(x, labels):
    """Share of the variance of ranks between groups, spelt out."""
    kept = ~np.isnan(x) & (labels != -1)
    ranks, groups = stats.rankdata(x[kept]), labels[kept]
    grand = ranks.mean()
    between = total = 0.0
    for group in np.unique(groups):
        own = ranks[groups == group]
        between += len(own) * (own.mean() - grand) ** 2
    for rank in ranks:
        total += (rank - grand) ** 2
    return between / total if total else 0.0


def _slow_position(x, point):
    x = x[~np.isnan(x)]
    return sum(1.0 if v < point else 0.5 if v == point else 0.0 for v in x) / len(x)


def test_tables_equal_those_computed_cluster_by_cluster():
    X, labels = _universe()
    X = X.mask(np.random.default_rng(1).random(X.shape) < 0.1)
    profile = cluster_profile(X, labels)
    for label in range(4):
        own = X[labels == label]
        np.testing.assert_allclose(profile.means.loc[label], own.mean())
        np.testing.assert_allclose(profile.medians.loc[label], own.median())
        np.testing.assert_allclose(profile.iqr.loc[label], own.quantile(0.75) - own.quantile(0.25))
        assert profile.sizes[label] == len(own)
        for name in X:
            expected = _slow_position(X[name].to_numpy(), own[name].median())
            assert profile.positions.at[label, name] == pytest.approx(expected)
    assert profile.shares.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("ties", [False, True])
def test_effect_size_equals_the_plain_loop_and_scipy_s_statistic(ties):
    X, labels = _universe()
    X = X.mask(np.random.default_rng(2).random(X.shape) < 0.2)
    X = X.round(0) if ties else X
    table = cluster_profile(X, labels, p_values=True).separation
    for name in X:
        x = X[name].to_numpy()
        assert table.at[name, "effect_size"] == pytest.approx(_slow_effect_size(x, labels))
        groups = [x[(labels == g) & ~np.isnan(x)] for g in range(4)]
        statistic, p_value = stats.kruskal(*groups)
        n = sum(map(len, groups))
        assert table.at[name, "n"] == n
        assert table.at[name, "effect_size"] == pytest.approx(statistic / (n - 1))
        assert table.at[name, "p_value"] == pytest.approx(p_value, rel=1e-6)


def test_features_are_ranked_by_how_well_they_separate():
    X, labels = _universe()
    profile = cluster_profile(X, labels)
    assert list(profile.separation.index) == sorted(
        X, key=lambda name: -profile.separation.at[name, "effect_size"]
    )
    assert set(profile.separating_features()) == {"market_cap", "long_term_debt"}
    assert profile.separating_features(min_effect=0.0)[-1] == "ROE"


def test_one_wild_value_and_monotone_transforms_leave_effect_sizes_unchanged():
    X, labels = _universe()
    plain = cluster_profile(X, labels).separation["effect_size"]
    wild = X.copy()
    wild.iloc[wild["market_cap"].argmax(), 0] = 1e12
    changed = cluster_profile(wild, labels).separation["effect_size"]
    logged = cluster_profile(np.log(X[["market_cap"]]), labels).separation["effect_size"]
    pd.testing.assert_series_equal(plain, changed)
    assert logged["market_cap"] == pytest.approx(plain["market_cap"])


def test_names_say_what_the_clusters_are():
    X, labels = _universe()
    names = cluster_profile(X, labels).names
    assert names.to_dict() == {
        0: "small-cap, low leverage",
        1: "small-cap, high leverage",
        2: "large-cap, low leverage",
        3: "large-cap, high leverage",
    }


def test_features_that_repeat_another_give_way_in_names():
    X, labels = _universe()
    X.insert(1, "sales", X["market_cap"] * 7.0)
    names = cluster_profile(X, labels).names
    assert names[0] in {"small-cap, low leverage", "low sales, low leverage"}


def test_a_small_cluster_is_named_by_what_it_is_extreme_in():
    # Two large clusters differ in sales; the third is between them, and alone in its equity.
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [50, 50, 8])
    X = pd.DataFrame(
        {
            "sales": np.select([labels == 0, labels == 1], [0.0, 10.0], 5.5) + rng.normal(size=108),
            "equity": np.where(labels == 2, -9.0, 0.0) + rng.normal(size=108),
        }
    )
    assert name_clusters(X, labels, max_terms=1).tolist() == [
        "low sales",
        "high sales",
        "very low equity",
    ]
    named = name_clusters(X, labels, max_terms=1, features=["sales"])
    assert "equity" not in named[2]


def test_noise_is_called_noise_and_changes_no_effect_size():
    X, labels = _universe()
    noisy = labels.copy()
    noisy[:30] = -1
    profile = cluster_profile(X, noisy)
    alone = cluster_profile(X.iloc[30:], labels[30:])
    assert list(profile.sizes.index) == [0, 1, 2, 3, -1]
    assert profile.names[-1] == "noise"
    pd.testing.assert_series_equal(
        profile.separation["effect_size"], alone.separation["effect_size"]
    )
    assert not profile.separation[["lowest", "highest"]].isin([-1]).any(axis=None)
    assert "30 rows of noise" in repr(profile)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, float])
def test_every_number_below_zero_is_noise(dtype):
    X, labels = _universe()
    noisy = labels.astype(dtype)
    noisy[:10], noisy[10:20], noisy[20:30] = -1, -2, -3
    plain = np.where(noisy < 0, -1, labels)
    profile = cluster_profile(X, noisy)
    assert list(profile.sizes.index) == [0, 1, 2, 3, -1]
    pd.testing.assert_frame_equal(profile.separation, cluster_profile(X, plain).separation)
    shown = cluster_names(encode_labels(noisy, X.index), None)
    assert shown == ["cluster 0", "cluster 1", "cluster 2", "cluster 3", "noise"]


def test_names_are_unique_when_clusters_have_the_same_levels():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 40)
    X = pd.DataFrame({"beta": labels + rng.normal(0, 0.05, len(labels))})
    names = name_clusters(X, labels)
    assert names.is_unique
    assert names[0] == "very low beta"
    assert names[1] == "low beta (lower beta)"
    assert names[2] == "low beta (higher beta)"


def test_coinciding_names_take_a_further_feature():
    X, labels = _universe()
    names = name_clusters(X, labels, max_terms=1)
    assert names.is_unique
    assert names[0] == "small-cap, low leverage"


def test_three_clusters_of_one_name_are_numbered_in_order():
    labels = np.repeat([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 20)
    X = pd.DataFrame({"beta": labels + np.tile(np.linspace(0, 0.1, 20), 10)})
    names = name_clusters(X, labels)
    assert names[1] == "low beta (1 of 3 by beta)"
    assert names[3] == "low beta (3 of 3 by beta)"


def test_phrases_of_the_user_are_used_whatever_the_spelling_of_the_column():
    X, labels = _universe()
    renamed = X.rename(columns={"market_cap": "log Market-Cap", "long_term_debt": "debt"})
    names = name_clusters(
        renamed, labels, phrases={"market_cap": ("tiny", "huge"), "debt": ("a", "b", "c")}
    )
    assert names.to_dict() == {0: "tiny, a", 1: "tiny, c", 2: "huge, a", 3: "huge, c"}
    assert PHRASES["market_cap"][1] == "small-cap"


def test_chosen_features_name_the_clusters():
    X, labels = _universe()
    profile = cluster_profile(X, labels)
    names = name_clusters(profile, features=["long_term_debt", "market_cap"])
    assert names[1] == "high leverage, small-cap"
    with pytest.raises(ValueError, match="`features` must be columns of X; got beta"):
        name_clusters(profile, features=["beta"])


def test_nothing_separates_then_clusters_keep_their_numbers():
    X = pd.DataFrame({"a": np.ones(6)})
    profile = cluster_profile(X, [0, 0, 1, 1, 2, 2])
    assert profile.separation.at["a", "effect_size"] == 0.0
    assert profile.names.tolist() == ["cluster 0", "cluster 1", "cluster 2"]


def test_a_single_cluster_has_no_effect_sizes():
    profile = cluster_profile(np.arange(6.0).reshape(3, 2), [4, 4, 4])
    assert profile.separation["effect_size"].isna().all()
    assert profile.names.to_dict() == {4: "cluster 4"}


def test_all_rows_noise_gives_sizes_alone():
    profile = cluster_profile(np.arange(6.0).reshape(3, 2), [-1, -1, -1])
    assert profile.sizes.to_dict() == {-1: 3}
    assert profile.separation["effect_size"].isna().all()


def test_an_all_missing_column_is_nan_and_takes_no_part_in_names():
    X, labels = _universe()
    X["empty"] = np.nan
    profile = cluster_profile(X, labels)
    assert np.isnan(profile.separation.at["empty", "effect_size"])
    assert profile.medians["empty"].isna().all()
    assert "empty" not in profile.names.str.cat()
    named = name_clusters(profile, features=["empty", "market_cap"])
    assert named[0].startswith("small-cap")


def test_one_row_is_a_profile():
    profile = cluster_profile(pd.DataFrame({"a": [1.0]}), [0])
    assert profile.means.at[0, "a"] == 1.0


def test_labels_with_an_index_are_matched_by_name():
    X, labels = _universe()
    series = pd.Series(labels, index=X.index)
    shuffled = series.sample(frac=1.0, random_state=0)
    for given in (shuffled, shuffled.to_dict()):
        pd.testing.assert_frame_equal(
            cluster_profile(X, given).means, cluster_profile(X, labels).means
        )


def test_labels_that_only_count_rows_go_by_position():
    X, labels = _universe()
    pd.testing.assert_frame_equal(
        cluster_profile(X, pd.Series(labels)).means, cluster_profile(X, labels).means
    )


def test_labels_of_other_names_are_refused():
    X = pd.DataFrame({"a": [1.0, 2.0]}, index=["A", "B"])
    with pytest.raises(ValueError) as caught:
        cluster_profile(X, pd.Series([0, 1], index=["A", "C"]))
    assert str(caught.value) == (
        "`labels` and the rows of X must carry the same names; without a label: B; labelled but "
        "not among the rows of X: C. Select what they share, for example by "
        "`Index.intersection`."
    )


def test_names_that_may_be_positions_are_refused():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=[2, 0, 1])
    with pytest.raises(ValueError, match="which may be names or positions"):
        cluster_profile(X, pd.Series([0, 1, 1]))


def test_repeated_names_that_must_be_matched_are_refused():
    X = pd.DataFrame({"a": [1.0, 2.0]}, index=["A", "A"])
    with pytest.raises(ValueError, match="rows of X repeat A"):
        cluster_profile(X, pd.Series([0, 1], index=["A", "B"]))
    same = cluster_profile(X, pd.Series([0, 1], index=["A", "A"]))
    assert same.means["a"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 1], "must hold one label for each of the 2 rows of X; got 3"),
        ([[0, 1]], r"must be one-dimensional; got shape \(1, 2\)"),
        ([0.0, np.nan], "1 are missing: 1"),
        (np.array(["a", 1], dtype=object), None),
    ],
)
def test_bad_labels_are_refused(labels, message):
    X = np.array([[1.0], [2.0]])
    if message is None:  # text and numbers become text, as NumPy makes them
        assert cluster_profile(X, labels).sizes.index.tolist() == ["1", "a"]
        return
    with pytest.raises(ValueError, match=message):
        cluster_profile(X, labels)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            pd.DataFrame({"a": [1.0, 2.0], "s": ["x", "y"]}),
            "must hold numbers; got column 's' of dtype",
        ),
        (
            pd.DataFrame({"a": [1.0, np.inf], "b": 0}),
            r"infinities in column 'a' \(first in row 1\)",
        ),
        (pd.DataFrame({"a": []}), r"at least one row and one column; got shape \(0, 1\)"),
        (np.array([1.0, 2.0]), r"must be two-dimensional; got 1 dimension"),
        (pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]), "got a more than once"),
    ],
)
def test_bad_features_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        cluster_profile(X, [0, 1])


def test_bad_arguments_of_names_are_refused():
    X, labels = _universe(20)
    with pytest.raises(ValueError, match="`labels` must be given"):
        name_clusters(X)
    with pytest.raises(ValueError, match="`labels` must be None when a ClusterProfile"):
        name_clusters(cluster_profile(X, labels), labels)
    with pytest.raises(ValueError, match="`max_terms` must be at least 1; got 0"):
        name_clusters(X, labels, max_terms=0)
    with pytest.raises(ValueError, match=r"got \('one',\) for 'beta'"):
        name_clusters(X, labels, phrases={"beta": ("one",)})
    with pytest.raises(ValueError, match="one name for each of the 3 columns of `X`; got 1"):
        cluster_profile(X, labels, feature_names=["a"])


def test_polars_pandas_and_arrays_give_the_same_tables():
    X, labels = _universe()
    X = X.mask(np.random.default_rng(3).random(X.shape) < 0.1)
    expected = cluster_profile(X, labels).means
    polars = pl.DataFrame({name: X[name].to_list() for name in X}, strict=False)
    polars = polars.with_columns(pl.all().fill_nan(None))
    for given, names in ((polars, None), (X.to_numpy(), list(X)), (X.convert_dtypes(), None)):
        found = cluster_profile(given, pl.Series(labels), feature_names=names).means
        pd.testing.assert_frame_equal(found, expected)
    assert cluster_profile(X.to_numpy(), labels).means.columns.tolist() == ["x0", "x1", "x2"]


def test_text_and_categorical_labels_work():
    X, labels = _universe()
    text = pd.Series(labels, index=X.index).map({0: "b", 1: "a", 2: "-1", 3: "d"})
    for given in (text, text.astype("category"), text.to_numpy()):
        profile = cluster_profile(X, given)
        assert profile.sizes.index.tolist() == ["-1", "a", "b", "d"]
        assert "noise" not in profile.names.tolist()
        assert "4 clusters" in repr(profile)


def test_input_is_left_unchanged():
    X, labels = _universe()
    before, labels_before = X.copy(), labels.copy()
    cluster_profile(X, labels)
    pd.testing.assert_frame_equal(X, before)
    np.testing.assert_array_equal(labels, labels_before)


def test_the_profile_reads_well():
    X, labels = _universe()
    profile = cluster_profile(X, labels, p_values=True)
    assert isinstance(profile, ClusterProfile)
    text, html = repr(profile), profile._repr_html_()
    for said in (text, html):
        assert "4 clusters, 240 rows, 3 features" in said
        assert "small-cap, low leverage" in said
        assert "p-values are descriptive" in said
    assert "<table" in html
    assert list(profile.summary(n_features=1).columns) == [
        "name",
        "size",
        "share",
        profile.separation.index[0],
    ]
    with pytest.raises(AttributeError):
        profile.names = None


def test_amounts_are_printed_in_full():
    X = pd.DataFrame({"assets": [1e5, 2e5, 5.1234e7, 6e7], "ratio": [0.123456, 0.2, 3.0, 4.0]})
    text = repr(cluster_profile(X, [0, 0, 1, 1]))
    assert "150,000" in text
    assert "55,617,000" in text
    assert "e+0" not in text
