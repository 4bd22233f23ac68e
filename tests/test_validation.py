"""What estimators and functions say of tables that they cannot read."""

import datetime as dt
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline

from skfactor._validation import check_count, join
from skfactor.cluster import (
    choose_n_clusters,
    cluster_profile,
    cluster_stability,
    draw_null,
    null_reference,
)
from skfactor.decomposition import AutoencoderReducer
from skfactor.exceptions import ImputationWarning
from skfactor.manifold import TSNEEmbedder
from skfactor.preprocessing import (
    CrossSectionalScaler,
    CumulativeReturns,
    LogStandardizer,
    PanelImputer,
    PriceFeatures,
)

N_ROWS = 24
SALES = np.random.default_rng(0).normal(size=N_ROWS)
DIGITS = [str(i) for i in range(N_ROWS)]
KMEANS = KMeans(2, n_init=1, random_state=0)

ESTIMATORS = [
    LogStandardizer(),
    PanelImputer(cross_section=True),
    CrossSectionalScaler(cross_section=True),
    PriceFeatures(),
    CumulativeReturns(),
    AutoencoderReducer(max_epochs=1),
    TSNEEmbedder(perplexity=3, max_iter=10),
]
estimators = pytest.mark.parametrize(
    "estimator", ESTIMATORS, ids=[type(estimator).__name__ for estimator in ESTIMATORS]
)
NULLS = {
    "null_reference": lambda X: null_reference(KMEANS, X, n_draws=2, random_state=0),
    "choose_n_clusters": lambda X: choose_n_clusters(KMEANS, X, [2, 3], random_state=0),
    "draw_null": lambda X: draw_null(X, random_state=0),
}
nulls = pytest.mark.parametrize("read", NULLS.values(), ids=NULLS)


def with_text(kind, text=DIGITS):
    """Two columns, the second of text, in one of the ways in which text is kept."""
    if kind.startswith("pandas"):
        column = {
            "pandas": pd.Series(text),
            "pandas objects": pd.Series(text, dtype=object),
            "pandas categories": pd.Series(pd.Categorical(text)),
            "pandas arrow": pd.Series(text, dtype=pd.ArrowDtype(pa.string())),
        }[kind]
        return pd.DataFrame({"sales": SALES, "code": column})
    if kind.startswith("arrow"):
        column = pa.array(text)
        column = column.dictionary_encode() if kind == "arrow categories" else column
        return pa.table({"sales": SALES, "code": column})
    dtype = {"polars": pl.String, "polars categories": pl.Categorical}[kind]
    return pl.DataFrame({"sales": SALES, "code": pl.Series(text, dtype=dtype)})


KINDS = [
    "pandas",
    "pandas objects",
    "pandas categories",
    "pandas arrow",
    "polars",
    "polars categories",
    "arrow",
    "arrow categories",
]


@estimators
@pytest.mark.parametrize(
    ("X", "shape"),
    [
        (pd.DataFrame(), "(0, 0)"),
        (pd.DataFrame({"a": SALES})[[]], "(24, 0)"),
        (pl.DataFrame(), "(0, 0)"),
        (pa.table({"a": SALES}).select([]), "(24, 0)"),
        (np.empty((24, 0)), "(24, 0)"),
    ],
    ids=["pandas", "pandas rows", "polars", "arrow rows", "array"],
)
def test_a_table_without_columns_is_refused_by_every_estimator(estimator, X, shape):
    message = (
        f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required by "
        f"{type(estimator).__name__}."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        estimator.fit(X)


@estimators
def test_a_table_without_rows_is_refused_by_every_estimator(estimator):
    with pytest.raises(ValueError, match=re.escape("0 sample(s) (shape=(0, 1))")):
        estimator.fit(pd.DataFrame({"2024-01": []}, dtype=float))


@nulls
def test_a_table_without_columns_or_rows_is_refused_by_every_null(read):
    with pytest.raises(ValueError, match=re.escape("0 feature(s) (shape=(24, 0))")):
        read(pd.DataFrame({"a": SALES})[[]])
    with pytest.raises(ValueError, match="minimum of|at least 4 rows; got 0"):
        read(pd.DataFrame())


@estimators
@pytest.mark.parametrize("kind", KINDS)
def test_text_of_digits_is_text_to_every_estimator(estimator, kind):
    with pytest.raises(ValueError, match="Every column of X must hold numbers; got column 'code'"):
        estimator.fit(with_text(kind))


@nulls
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [DIGITS, ["energy", "banks"] * 12], ids=["digits", "words"])
def test_text_is_refused_by_name_before_a_null_is_drawn(read, kind, text):
    with pytest.raises(ValueError, match="Every column of X must hold numbers; got column 'code'"):
        read(with_text(kind, text))


@nulls
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_infinity_is_refused_by_name_before_a_null_is_drawn(read, library):
    sizes = SALES.copy()
    sizes[3] = np.inf
    with pytest.raises(ValueError, match=r"infinities in column 'size' \(first in row 3\)"):
        read(library({"sales": SALES, "size": sizes}))


def test_the_first_text_is_shown_so_that_a_stray_entry_is_found():
    column = pd.Series([1.5, np.nan, "n.a.", 2.0], dtype=object)
    message = "got column 'eps' of dtype object (first in row 2: 'n.a.'). Convert, encode or drop"
    with pytest.raises(ValueError, match=re.escape(message)):
        LogStandardizer().fit(pd.DataFrame({"eps": column}))


@pytest.mark.parametrize("entry", ["n.a.", "7", b"7", np.str_("7")])
def test_text_in_an_array_or_a_list_is_refused_by_position(entry):
    rows = np.column_stack([SALES, SALES]).astype(object)
    rows[5, 1] = entry
    for X in (rows, rows.tolist()):
        with pytest.raises(ValueError, match=r"got column 1 of dtype object \(first in row 5: "):
            LogStandardizer().fit(X)
    with pytest.raises(ValueError, match=r"got column 0 of dtype <U1 \(first in row 0: '1'\)"):
        LogStandardizer().fit(np.array([["1"], ["2"]]))


def test_dates_in_an_array_are_refused_by_position():
    days = np.array([["2024-01-31"], ["2024-02-29"]], dtype="datetime64[D]")
    with pytest.raises(ValueError, match=r"got column 0 of dtype datetime64\[D\]"):
        LogStandardizer().fit(days)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(range(N_ROWS), dtype=object),
        pd.Series(pd.Categorical(range(N_ROWS))),
        pd.Series(range(N_ROWS), dtype="Int64"),
        pd.Series([i % 2 == 0 for i in range(N_ROWS)]),
    ],
    ids=["objects", "categories", "nullable", "booleans"],
)
def test_numbers_stay_numbers_however_they_are_kept(column):
    expected = LogStandardizer().fit_transform(column.to_numpy(dtype=float)[:, None])
    frame = pd.DataFrame({"a": column})
    np.testing.assert_array_equal(LogStandardizer().fit_transform(frame), expected)
    array = column.to_numpy(dtype=object)[:, None]
    np.testing.assert_array_equal(LogStandardizer().fit_transform(array), expected)


def test_a_text_column_without_an_entry_is_a_column_without_a_value():
    frame = pl.DataFrame({"sales": SALES, "memo": pl.Series([None] * N_ROWS, dtype=pl.String)})
    assert np.isnan(LogStandardizer().fit_transform(frame)[:, 1]).all()


def test_ragged_rows_and_other_objects_are_left_to_scikit_learn():
    with pytest.raises(ValueError, match="inhomogeneous"):
        LogStandardizer().fit([[1.0, 2.0], [3.0]])
    with pytest.raises(TypeError, match="not 'dict'"):
        LogStandardizer().fit(np.array([[{"a": 1}], [2.0]], dtype=object))
    with pytest.raises(ValueError, match="got column 'day' of dtype object"):
        LogStandardizer().fit(pd.DataFrame({"day": [dt.date(2024, 1, 31)]}))


def test_arrow_tables_go_through_the_nulls_and_the_stability():
    names = ["sales", "size", "beta"]
    X = np.random.default_rng(1).normal(size=(40, 3))
    table = pa.table(dict(zip(names, X.T, strict=True)))
    drawn = draw_null(table, random_state=0)
    assert isinstance(drawn, pa.Table)
    assert drawn.column_names == names
    np.testing.assert_array_equal(np.asarray(drawn), draw_null(X, random_state=0))
    for read in (NULLS["null_reference"], NULLS["choose_n_clusters"]):
        pd.testing.assert_frame_equal(read(table).table, read(X).table)
    stability = [cluster_stability(KMEANS, t, n_resamples=3, random_state=0) for t in (table, X)]
    np.testing.assert_array_equal(stability[0].values, stability[1].values)


def test_a_profile_refuses_digits_and_dates_as_estimators_do():
    labels = np.arange(N_ROWS) % 2
    for kind in ("pandas", "polars categories"):
        with pytest.raises(ValueError, match="must hold numbers; got column 'code' of dtype"):
            cluster_profile(with_text(kind), labels)
    dated = pd.DataFrame({"sales": SALES, "day": pd.date_range("2024-01-31", periods=N_ROWS)})
    with pytest.raises(ValueError, match="must hold numbers; got column 'day' of dtype"):
        cluster_profile(dated, labels)
    rows = [[value, "x"] for value in SALES]
    with pytest.raises(ValueError, match="must hold numbers; got column 'x1' of dtype"):
        cluster_profile(rows, labels)


@pytest.mark.parametrize(
    ("output", "label", "hint"),
    [
        (
            "default",
            "column 2",
            ' Columns count from 0; a pipeline keeps names with `set_output(transform="pandas")`.',
        ),
        ("pandas", "column 'goodwill'", ""),
    ],
)
def test_a_column_without_a_value_is_followed_through_the_pipeline(output, label, hint):
    X = pd.DataFrame({"sales": SALES, "size": SALES**2, "goodwill": np.nan})
    model = make_pipeline(
        LogStandardizer(), PanelImputer(cross_section=True), TSNEEmbedder(perplexity=3)
    ).set_output(transform=output)
    warned = (
        f"24 values stay missing in {label}: no value of the column is known in fit. Drop the "
        f"column, or those rows.{hint}"
    )
    refused = (
        f"got gaps in {label} (24 missing). Every value of {label} is missing, and PanelImputer "
        f"learns nothing from such a column: drop it before the first step.{hint}"
    )
    with (
        pytest.warns(ImputationWarning, match=f"^{re.escape(warned)}$"),
        pytest.raises(ValueError, match=f"{re.escape(refused)}$"),
    ):
        model.fit(X)


def test_gaps_beside_a_column_without_a_value_are_still_to_be_filled():
    X = pd.DataFrame({"sales": SALES, "goodwill": np.nan})
    X.loc[0, "sales"] = np.nan
    message = "drop it before the first step. Fill the others first (PanelImputer"
    with pytest.raises(ValueError, match=re.escape(message)):
        TSNEEmbedder().fit(X)


def test_a_single_row_with_a_gap_is_not_taken_for_a_column_without_values():
    X = np.column_stack([SALES, SALES**2])
    embedder = TSNEEmbedder(perplexity=3, max_iter=10, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"got gaps in column 1 \(1 missing\). Fill them first"):
        embedder.transform([[1.0, np.nan]])


def test_a_list_in_words_shows_the_first_few_and_counts_the_rest():
    assert join([]) == ""
    assert join(["a", 2, None]) == "a, 2, None"
    assert join(np.arange(7)) == "0, 1, 2, 3, 4 and 2 more"
    assert join((letter for letter in "abcde"), 3) == "a, b, c and 2 more"


@pytest.mark.parametrize("value", [True, 1.0, "2", None, 1])
def test_a_count_is_a_whole_number_that_is_large_enough(value):
    with pytest.raises(ValueError) as caught:
        check_count(value, "n", 2, "One is too few.")
    assert str(caught.value) == f"`n` must be an int of at least 2; got {value!r}. One is too few."
    check_count(np.int32(2), "n", 2)
