"""t-SNE: the map, the places of unseen rows, and what it says about bad input."""

import copy
import io
import logging
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor._validation import InvalidParameterError
from skfactor.exceptions import PerplexityWarning
from skfactor.manifold import TSNEEmbedder, _layout

METRICS = ["euclidean", "cosine", "correlation", "manhattan", "chebyshev"]


def blobs(n_rows=120, n_columns=5, seed=0, centers=3):
    return make_blobs(n_rows, n_columns, centers=centers, random_state=seed)


def quick(n_components=2, **settings):
    settings = {"perplexity": 10, "max_iter": 150, "random_state": 0} | settings
    return TSNEEmbedder(n_components, **settings)


# The trustworthiness of a fitted map.


def test_trustworthiness_of_every_row_is_scikit_learns():
    X, _ = blobs()
    embedder = quick().fit(X)
    expected = trustworthiness(X, embedder.embedding_, n_neighbors=7)
    assert embedder.trustworthiness(n_neighbors=7) == pytest.approx(expected)
    assert embedder.trustworthiness(X, n_neighbors=7) == pytest.approx(expected)


def test_trustworthiness_of_a_sample_estimates_that_of_all_rows():
    X, _ = blobs(200)
    embedder = quick().fit(X)
    whole = embedder.trustworthiness(sample_size=None)
    parts = [embedder.trustworthiness(sample_size=50, random_state=seed) for seed in range(40)]
    assert np.std(parts) > 0
    assert np.mean(parts) == pytest.approx(whole, abs=0.01)
    assert embedder.trustworthiness(sample_size=50, random_state=3) == parts[3]


def test_trustworthiness_judges_unseen_rows_at_their_places():
    X, _ = blobs(180)
    embedder = quick().fit(X[:120])
    expected = trustworthiness(X[120:], embedder.transform(X[120:]), n_neighbors=5)
    assert embedder.trustworthiness(X[120:]) == pytest.approx(expected)


def test_trustworthiness_names_what_is_out_of_range():
    embedder = quick(perplexity=3).fit(blobs(12)[0])
    with pytest.raises(ValueError, match=r"`n_neighbors` must be .* got 6 \(n_samples=12\)"):
        embedder.trustworthiness(n_neighbors=6)
    with pytest.raises(ValueError, match="`sample_size` must be at least 1 or None; got 0"):
        embedder.trustworthiness(sample_size=0)


# The map.


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("init", ["pca", "random", "spectral"])
def test_every_start_separates_clear_groups(n_components, init):
    X, y = blobs(90)
    places = quick(n_components, init=init, max_iter=400).fit_transform(X)
    assert places.shape == (90, n_components)
    labels = KMeans(3, n_init=5, random_state=0).fit_predict(places)
    assert adjusted_rand_score(y, labels) > 0.9


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_keeps_its_neighbours(metric):
    X, _ = blobs(120, centers=1)
    embedder = quick(metric=metric, max_iter=300).fit(X)
    neighbours = pairwise_distances(X, metric=metric)
    expected = trustworthiness(neighbours, embedder.embedding_, metric="precomputed")
    assert expected > 0.9
    assert embedder.trustworthiness() == pytest.approx(expected)


def test_cosine_takes_multiples_of_a_row_for_neighbours():
    X, _ = blobs(centers=1)
    embedder = quick(metric="cosine").fit(X)
    gap = np.linalg.norm(embedder.transform(3 * X) - embedder.embedding_, axis=1)
    assert np.median(gap) < 0.1 * np.ptp(embedder.embedding_)


def test_start_may_be_an_array_of_any_scale():
    X, _ = blobs()
    start = np.random.default_rng(0).normal(size=(120, 2))
    small, large = (quick(init=scale * start).fit(X) for scale in (2.0**-10, 2.0**10))
    np.testing.assert_allclose(small.embedding_, large.embedding_)
    assert np.isfinite(quick(init=start.tolist()).fit_transform(X)).all()


def test_start_of_the_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"shape of the map.*= \(120, 2\); got \(120, 3\)"):
        quick(init=np.zeros((120, 3))).fit(blobs()[0])
    with pytest.raises(ValueError, match="The places of `init` must differ"):
        quick(init=np.zeros((120, 2))).fit(blobs()[0])


def test_one_column_maps_to_two_dimensions():
    X = np.linspace(0, 1, 60)[:, None]
    embedder = quick(max_iter=400).fit(X)
    assert embedder.embedding_.shape == (60, 2)
    assert embedder.trustworthiness() > 0.9


def test_equal_rows_share_a_place_near_both():
    X, _ = blobs()
    X = np.vstack([X, X[:30], X[:1]])
    embedder = quick().fit(X)
    places = embedder.embedding_
    np.testing.assert_array_equal(places[:30], places[120:150])
    np.testing.assert_array_equal(places[0], places[150])
    np.testing.assert_array_equal(embedder.transform(X), places)
    assert len(np.unique(places, axis=0)) == 120


def test_many_equal_rows_are_no_trouble():
    X = np.vstack([np.zeros((60, 4)), blobs(40, 4)[0], np.ones((30, 4))])
    embedder = quick().fit(X)
    assert np.isfinite(embedder.embedding_).all()
    assert np.isfinite(embedder.kl_divergence_)


# The places of rows.


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("metric", METRICS)
def test_seen_rows_get_their_own_place(n_components, metric):
    X, _ = blobs()
    places = quick(n_components, metric=metric).fit_transform(X)
    embedder = quick(n_components, metric=metric).fit(X)
    np.testing.assert_array_equal(embedder.transform(X), places)
    np.testing.assert_array_equal(embedder.embedding_, places)
    np.testing.assert_array_equal(embedder.transform(X[[7]]), places[[7]])


def test_seen_rows_are_known_after_single_precision_and_last_bits():
    X, _ = blobs()
    embedder = quick().fit(X)
    noise = 1e-7 * np.random.default_rng(0).normal(size=X.shape)
    np.testing.assert_array_equal(embedder.transform(X + noise), embedder.embedding_)
    narrow = embedder.transform(X.astype(np.float32))
    np.testing.assert_array_equal(narrow, embedder.embedding_.astype(np.float32))


@pytest.mark.parametrize("n_columns", [5, 40])
@pytest.mark.parametrize("metric", METRICS)
def test_place_of_an_unseen_row_depends_on_no_other_row(metric, n_columns):
    X, _ = blobs(160, n_columns)
    embedder = quick(metric=metric, max_iter=30).fit(X[:100])
    new = np.vstack([X[100:], X[:5]])
    together = embedder.transform(new)
    alone = np.vstack([embedder.transform(row[None]) for row in new[::5]])
    np.testing.assert_allclose(together[::5], alone, rtol=0, atol=1e-9)
    order = np.random.default_rng(0).permutation(len(new))
    np.testing.assert_allclose(embedder.transform(new[order]), together[order], rtol=0, atol=1e-9)


def test_unseen_rows_land_in_their_own_group():
    X, y = blobs(300)
    embedder = quick(max_iter=400).fit(X[:150])
    distance = pairwise_distances(embedder.transform(X[150:]), embedder.embedding_)
    assert np.mean(y[:150][distance.argmin(axis=1)] == y[150:]) == 1


def test_transform_moves_nothing():
    X, _ = blobs(200)
    embedder = quick().fit(X[:150])
    before = embedder.embedding_.copy()
    first = embedder.transform(X)
    np.testing.assert_array_equal(embedder.embedding_, before)
    np.testing.assert_array_equal(embedder.transform(X), first)


def test_changing_the_input_or_the_output_changes_no_fitted_map():
    X, _ = blobs()
    kept = X.copy()
    embedder = quick()
    places = embedder.fit_transform(X)
    X[:] = 0
    places[:] = 0
    assert np.ptp(embedder.embedding_) > 0
    np.testing.assert_array_equal(embedder.transform(kept), embedder.embedding_)


def test_row_out_of_reach_is_named():
    X, _ = blobs()
    embedder = quick().fit(X)
    far = np.vstack([X[:2], np.full((1, 5), 1e200)])
    with pytest.raises(ValueError, match=r"1 row\(s\) .* the first at position\(s\) \[2\]"):
        embedder.transform(far)
    assert np.isfinite(embedder.transform(np.full((1, 5), 1e6))).all()


# Perplexity.


def test_perplexity_is_reduced_for_few_rows_with_a_warning_that_names_both():
    X, _ = blobs(31)
    message = (
        r"`perplexity` must be at most a third of the other rows; got 30 \(n_samples=31\), "
        r"using 10\."
    )
    embedder = TSNEEmbedder(max_iter=150, random_state=0)
    with pytest.warns(PerplexityWarning, match=message):
        embedder.fit(X)
    assert embedder.perplexity_ == 10
    expected = quick(perplexity=10).fit(X)
    np.testing.assert_array_equal(embedder.embedding_, expected.embedding_)


def test_perplexity_that_the_rows_allow_is_used_without_a_warning():
    assert quick(perplexity=10).fit(blobs(31)[0]).perplexity_ == 10


@pytest.mark.parametrize("n_components", [1, 2, 3])
@pytest.mark.parametrize("init", ["pca", "random", "spectral"])
def test_three_rows_are_enough(n_components, init):
    X = np.array([[0.0, 1.0], [1.0, 0.0], [5.0, 5.0]])
    with pytest.warns(PerplexityWarning, match="using 1"):
        places = quick(n_components, init=init).fit_transform(X)
    assert np.isfinite(places).all()


# Bad input.


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones((20, 3)), ValueError, "At least two rows of X must differ; got 20 rows"),
        (np.ones((1, 3)), ValueError, r"1 sample\(s\).*minimum of 3 is required"),
        (np.ones((2, 3)), ValueError, r"2 sample\(s\).*minimum of 3 is required"),
        (np.empty((0, 3)), ValueError, r"0 sample\(s\)"),
        (np.empty((9, 0)), ValueError, r"0 feature\(s\)"),
        (np.full((9, 2), np.nan), ValueError, "Input X contains NaN"),
        (np.full((9, 2), np.inf), ValueError, "Input X contains infinity"),
        (np.array([["a", "b"]] * 9), ValueError, "must hold numbers; got column 0 of dtype"),
        (np.arange(9.0), ValueError, "Expected 2D array"),
        (1e200 * blobs()[0], ValueError, r"widest column of X must range over .* Scale the"),
        (1e-200 * blobs()[0], ValueError, r"widest column of X must range over .* Scale the"),
    ],
)
def test_bad_input_is_named(X, error, message):
    with pytest.raises(error, match=message):
        quick(perplexity=2).fit(X)


def test_rows_equal_up_to_rounding_count_as_equal():
    X = np.full((20, 3), 0.1) + 1e-17
    X[::2] = np.nextafter(X[::2], 1)
    with pytest.raises(ValueError, match="got 20 rows that are all equal"):
        quick().fit(X)


def test_constant_column_does_not_matter():
    X, _ = blobs()
    wide = np.column_stack([X, np.full(120, 3.0)])
    np.testing.assert_allclose(
        quick(max_iter=20).fit_transform(wide), quick(max_iter=20).fit_transform(X), rtol=1e-3
    )


@pytest.mark.parametrize(
    ("metric", "row", "kind"),
    [("cosine", 0.0, "zero"), ("correlation", 0.1, "constant")],
)
def test_row_without_a_direction_is_named(metric, row, kind):
    X, _ = blobs()
    embedder = quick(metric=metric).fit(X)
    X[[4, 9]] = row
    message = rf"got 2 {kind} row\(s\), the first at position\(s\) \[4, 9\]"
    with pytest.raises(ValueError, match=message):
        quick(metric=metric).fit(X)
    with pytest.raises(ValueError, match=rf"got 1 {kind} row\(s\)"):
        embedder.transform(X[4:6])


def test_four_dimensions_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match=r"`n_components` must be 1, 2 or 3; got 4\..*PCA"):
        quick(4).fit(blobs()[0])


@pytest.mark.parametrize(
    "settings",
    [
        {"n_components": 0},
        {"perplexity": 0.5},
        {"learning_rate": "fast"},
        {"learning_rate": 0},
        {"max_iter": 0},
        {"init": "umap"},
        {"metric": "hamming"},
        {"n_jobs": 0},
        {"random_state": "seed"},
    ],
)
def test_parameters_are_checked(settings):
    with pytest.raises(InvalidParameterError, match=next(iter(settings))):
        TSNEEmbedder(**settings).fit(blobs()[0])


def test_columns_in_another_order_are_refused():
    X = pd.DataFrame(blobs()[0], columns=list("abcde"))
    embedder = quick().fit(X)
    with pytest.raises(ValueError, match="feature names should match"):
        embedder.transform(X[list("edcba")])


def test_places_that_are_not_finite_are_an_error(monkeypatch):
    lost = np.full((120, 2), np.nan)
    monkeypatch.setattr(_layout, "optimise_layout", lambda *_, **__: (lost, np.nan))
    with pytest.raises(ValueError, match="must end in finite places"):
        quick().fit(blobs()[0])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_or_interrupted_fit_keeps_what_was_fitted(error, monkeypatch):
    X, _ = blobs()
    embedder = quick().fit(X)
    before = dict(vars(embedder))

    def stop(*_, **__):
        raise error

    monkeypatch.setattr(_layout, "optimise_layout", stop)
    with pytest.raises(error):
        embedder.fit(X[:, :3])
    assert vars(embedder) == before
    np.testing.assert_array_equal(embedder.transform(X), embedder.embedding_)


# Seeds, threads, messages.


def test_seed_decides_the_map():
    X, _ = blobs()
    first, second, other = (
        quick(init="random", random_state=seed).fit(X).embedding_ for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)


def test_generators_are_taken_as_seeds():
    X, _ = blobs()
    for make in (np.random.default_rng, np.random.RandomState):
        first, second = (quick(random_state=make(3)).fit(X).embedding_ for _ in range(2))
        np.testing.assert_array_equal(first, second)
    assert isinstance(clone(quick(random_state=np.random.default_rng(3))), TSNEEmbedder)
    scores = {
        quick(max_iter=3)
        .fit(X)
        .trustworthiness(sample_size=20, random_state=np.random.default_rng(3))
        for _ in range(2)
    }
    assert len(scores) == 1


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("init", ["pca", "random", "spectral"])
def test_global_random_state_is_untouched(seed, init):
    X, _ = blobs()
    before = pickle.dumps(np.random.get_state())
    embedder = quick(random_state=seed, init=init, max_iter=30).fit(X[:100])
    embedder.transform(X)
    embedder.trustworthiness(sample_size=20, random_state=seed)
    assert pickle.dumps(np.random.get_state()) == before


def test_number_of_threads_does_not_change_the_map():
    X, _ = blobs(120)
    one, two = (quick(n_jobs=n_jobs, max_iter=30).fit(X[:100]) for n_jobs in (None, 2))
    np.testing.assert_array_equal(one.embedding_, two.embedding_)
    np.testing.assert_array_equal(one.transform(X), two.transform(X))


def test_all_processors_may_be_asked_for():
    X, _ = blobs(60)
    expected = quick(max_iter=3).fit_transform(X)
    np.testing.assert_array_equal(quick(max_iter=3, n_jobs=-1).fit_transform(X), expected)


def test_progress_is_printed_only_when_asked_for(capsys, caplog):
    X, _ = blobs()
    with caplog.at_level(logging.DEBUG):
        silent = quick(max_iter=300).fit(X)
        silent.transform(X + 1)
    assert capsys.readouterr() == ("", "")
    assert caplog.text == ""
    loud = quick(max_iter=300, verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"t-SNE iteration {done} of 300" for done in range(50, 301, 50)
    ]
    assert float(lines[-1].split()[-1]) == pytest.approx(loud.kl_divergence_, rel=0.02)
    np.testing.assert_array_equal(loud.embedding_, silent.embedding_)


@pytest.mark.parametrize(
    ("max_iter", "said"), [(7, [7]), (60, [50, 60]), (100, [50, 100]), (170, [50, 100, 150, 170])]
)
def test_progress_counts_all_iterations_and_ends_with_the_last(capsys, max_iter, said):
    X, _ = blobs()
    loud = quick(max_iter=max_iter, verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"t-SNE iteration {done} of {max_iter}" for done in said
    ]
    assert float(lines[-1].split()[-1]) == pytest.approx(loud.kl_divergence_, rel=0.05)
    np.testing.assert_array_equal(loud.embedding_, quick(max_iter=max_iter).fit(X).embedding_)


@pytest.mark.parametrize("max_iter", [1, 2, 7, 300])
def test_every_iteration_is_run(max_iter):
    assert quick(max_iter=max_iter).fit(blobs()[0]).n_iter_ == max_iter


# In scikit-learn's company.


def test_copies_place_rows_alike():
    X, _ = blobs(150)
    embedder = quick().fit(X[:100])
    expected = embedder.transform(X)
    file = io.BytesIO()
    joblib.dump(embedder, file)
    file.seek(0)
    for twin in (
        pickle.loads(pickle.dumps(embedder)),
        copy.deepcopy(embedder),
        joblib.load(file),
        clone(embedder).fit(X[:100]),
    ):
        np.testing.assert_array_equal(twin.transform(X), expected)


@pytest.mark.parametrize("kind", [list, np.asarray, pd.DataFrame, pl.DataFrame])
def test_lists_and_frames_give_the_map_of_the_array(kind):
    X, _ = blobs(60)
    expected = quick(max_iter=60).fit(X[:50]).transform(X)
    embedder = quick(max_iter=60).fit(kind(X[:50]))
    np.testing.assert_array_equal(embedder.transform(kind(X)), expected)


def test_integers_give_double_and_single_precision_stays_single():
    X, _ = blobs(60)
    assert quick().fit_transform((10 * X).astype(int)).dtype == np.float64
    embedder = quick().fit(X.astype(np.float32))
    assert embedder.embedding_.dtype == np.float32
    assert embedder.transform(X[:5].astype(np.float32) + 1).dtype == np.float32


def test_output_frames_are_named():
    X, _ = blobs(60)
    names = ["tsneembedder0", "tsneembedder1"]
    index = [f"T{i}" for i in range(60)]
    frame = pd.DataFrame(X, index=index, columns=list("abcde"))
    out = quick(max_iter=60).set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns) == names
    assert list(out.index) == index
    embedder = quick(max_iter=60).set_output(transform="polars").fit(frame)
    assert embedder.transform(frame).columns == names
    assert embedder.get_feature_names_out().tolist() == names


def test_pipeline_labels_rows_it_has_not_seen():
    X, y = blobs(200)
    pipeline = make_pipeline(StandardScaler(), quick(), KMeans(3, n_init=5, random_state=0))
    labels = pipeline.fit(X[:120]).predict(X)
    assert adjusted_rand_score(y, labels) > 0.95
    np.testing.assert_array_equal(labels[:120], pipeline[-1].labels_)


def test_grid_search_tunes_the_perplexity():
    X, _ = blobs(60)
    search = GridSearchCV(
        make_pipeline(quick(max_iter=60), KMeans(3, n_init=2, random_state=0)),
        {"tsneembedder__perplexity": [3, 8]},
        cv=2,
    ).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
