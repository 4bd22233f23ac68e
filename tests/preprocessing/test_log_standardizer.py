"""LogStandardizer: against a plain loop, over bad columns, and back again."""

import math
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from skfactor.preprocessing import LogStandardizer


def heavy_tailed(n=200, p=4, missing=0.1, seed=0):
    rng = np.random.default_rng(seed)
    X = np.exp(rng.normal(10, 3, size=(n, p)))
    X[:, 1] *= rng.choice([-1, 1], size=n)
    X[rng.random((n, p)) < 0.05] = 0
    X[rng.random((n, p)) < missing] = np.nan
    return X


def reference(X, *, log, winsorize):
    """Standardise one value at a time."""
    out = np.full(X.shape, np.nan)
    for j in range(X.shape[1]):
        values = {i: float(x) for i, x in enumerate(X[:, j]) if not math.isnan(x)}
        if winsorize is not None:
            low, high = np.quantile(list(values.values()), winsorize)
            values = {i: min(max(x, low), high) for i, x in values.items()}
        s = 1.0
        if log == "scaled":
            s = np.quantile([abs(x) for x in values.values() if x != 0], 0.05)
        if log:
            values = {i: math.copysign(math.log(1 + abs(x) / s), x) for i, x in values.items()}
        mean = math.fsum(values.values()) / len(values)
        sd = math.sqrt(math.fsum((x - mean) ** 2 for x in values.values()) / len(values))
        for i, x in values.items():
            out[i, j] = (x - mean) / sd
    return out


@pytest.mark.parametrize("log", [True, False, "scaled"])
@pytest.mark.parametrize(
    ("winsorize", "pair"), [(None, None), (0.05, (0.05, 0.95)), ((0.0, 0.9), (0.0, 0.9))]
)
def test_equals_a_loop_over_single_values(log, winsorize, pair):
    X = heavy_tailed()
    got = LogStandardizer(log=log, winsorize=winsorize).fit_transform(X)
    np.testing.assert_allclose(got, reference(X, log=log, winsorize=pair), rtol=1e-9, atol=1e-9)


def test_output_has_mean_0_and_deviation_1_and_missing_values_stay_where_they_were():
    X = heavy_tailed()
    Z = LogStandardizer().fit_transform(X)
    np.testing.assert_allclose(np.nanmean(Z, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.nanstd(Z, axis=0), 1)
    np.testing.assert_array_equal(np.isnan(Z), np.isnan(X))


def test_scaled_logarithm_does_not_depend_on_the_unit_of_account_and_the_plain_one_does():
    X = heavy_tailed()
    scaled, plain = LogStandardizer(log="scaled"), LogStandardizer()
    np.testing.assert_allclose(scaled.fit_transform(X / 1e6), scaled.fit_transform(X), atol=1e-9)
    assert np.nanmax(np.abs(plain.fit_transform(X / 1e6) - plain.fit_transform(X))) > 0.5


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_scaled_logarithm_leaves_a_heavy_tailed_positive_column_roughly_symmetric(unit):
    X = np.exp(np.random.default_rng(0).normal(0, 2, size=(2000, 1))) * unit
    Z = LogStandardizer(log="scaled").fit_transform(X)
    assert abs((Z**3).mean()) < 0.5
    raw = LogStandardizer(log=False).fit_transform(X)
    assert (raw**3).mean() > 5


@pytest.mark.parametrize("log", [True, False, "scaled"])
def test_inverse_transform_undoes_transform(log):
    X = heavy_tailed()
    scaler = LogStandardizer(log=log).fit(X)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, 1e-9, 1e-9)


def test_inverse_transform_returns_clipped_values_as_their_bounds():
    X = heavy_tailed(missing=0)
    scaler = LogStandardizer(winsorize=0.1).fit(X)
    back = scaler.inverse_transform(scaler.transform(X))
    np.testing.assert_allclose(back, np.clip(X, scaler.lower_bounds_, scaler.upper_bounds_))
    assert (back.max(axis=0) < X.max(axis=0)).all()


def test_new_data_are_clipped_at_the_bounds_of_fit():
    X = heavy_tailed(missing=0)
    scaler = LogStandardizer(winsorize=0.05).fit(X)
    far = scaler.transform(X * 1e6)
    np.testing.assert_array_equal(far.max(axis=0), scaler.transform(X).max(axis=0))


def test_constant_column_becomes_0_with_scale_1():
    X = np.column_stack([np.full(7, 0.1), np.full(7, -3e11), np.zeros(7), [np.nan] + [5.0] * 6])
    for dtype in (np.float64, np.float32):
        for log in (True, "scaled", False):
            scaler = LogStandardizer(log=log)
            Z = scaler.fit_transform(X.astype(dtype))
            assert (Z[1:] == 0).all()
            assert np.isnan(Z[0, 3])
            np.testing.assert_array_equal(scaler.scale_, 1)


@pytest.mark.parametrize("log", [True, False, "scaled"])
@pytest.mark.parametrize("winsorize", [None, 0.1])
def test_all_missing_column_stays_missing_without_a_warning(log, winsorize):
    X = heavy_tailed()
    X[:, 2] = np.nan
    scaler = LogStandardizer(log=log, winsorize=winsorize).fit(X)
    Z = scaler.transform(np.nan_to_num(X, nan=1.0))
    assert np.isnan(Z[:, 2]).all()
    assert np.isfinite(Z[:, [0, 1, 3]]).all()
    assert np.isnan(scaler.mean_[2])


def test_one_row_becomes_0():
    assert (LogStandardizer(log="scaled").fit_transform([[3.0, -1.0]]) == 0).all()


def test_mean_and_deviation_can_be_left_alone():
    X = heavy_tailed()
    scaler = LogStandardizer(with_mean=False, with_std=False)
    np.testing.assert_allclose(scaler.fit_transform(X), np.sign(X) * np.log1p(np.abs(X)))
    assert (scaler.mean_ == 0).all()
    assert (scaler.scale_ == 1).all()


def test_float32_stays_float32_and_agrees_with_float64():
    X = heavy_tailed()
    for params in ({}, {"log": "scaled", "winsorize": 0.01}, {"log": False}):
        scaler = LogStandardizer(**params)
        single = scaler.fit_transform(X.astype(np.float32))
        assert single.dtype == np.float32
        assert scaler.inverse_transform(single).dtype == np.float32
        np.testing.assert_allclose(single, scaler.fit_transform(X), atol=1e-5)


def test_input_is_left_as_it_was():
    X = heavy_tailed()
    before = X.copy()
    scaler = LogStandardizer(log="scaled", winsorize=0.01)
    Z = scaler.fit_transform(X)
    np.testing.assert_array_equal(X, before)
    scaled = Z.copy()
    scaler.inverse_transform(Z)
    np.testing.assert_array_equal(Z, scaled)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_go_in_and_come_out_with_their_names(container):
    X = heavy_tailed()
    names = ["cap", "eps", "per", "roe"]
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[container](
        dict(zip(names, X.T, strict=True))
    )
    scaler = LogStandardizer().set_output(transform=container)
    out = scaler.fit_transform(frame)
    assert list(out.columns) == names == list(scaler.get_feature_names_out())
    np.testing.assert_allclose(out.to_numpy(), LogStandardizer().fit_transform(X))


def test_other_order_of_columns_is_refused_at_transform():
    X = pd.DataFrame(heavy_tailed(), columns=list("abcd"))
    scaler = LogStandardizer().fit(X)
    with pytest.raises(ValueError, match="order"):
        scaler.transform(X[list("badc")])


@pytest.mark.parametrize("library", [pd, pl])
def test_infinities_and_text_are_refused_by_the_name_of_the_column(library):
    frame = library.DataFrame({"sales": [1.0, 2.0, 3.0], "roe": [1.0, np.inf, -np.inf]})
    with pytest.raises(ValueError, match=re.escape("in column 'roe' (first in row 1)")):
        LogStandardizer().fit(frame)
    frame = library.DataFrame({"sales": [1.0, 2.0], "sector": ["energy", "banks"]})
    with pytest.raises(ValueError, match="must hold numbers; got column 'sector' of dtype"):
        LogStandardizer().fit(frame)
    frame = library.DataFrame(
        {"sales": [1.0, 2.0], "when": pd.to_datetime(["2020-01-31", "2020-02-29"])}
    )
    with pytest.raises(ValueError, match="got column 'when' of dtype"):
        LogStandardizer().fit(frame)


def test_infinities_of_an_array_are_refused_by_position():
    X = np.ones((3, 8))
    X[2, 1:] = -np.inf
    with pytest.raises(ValueError, match=re.escape("column 1 (first in row 2), column 2")):
        LogStandardizer().fit(X)
    with pytest.raises(ValueError, match="and 2 more"):
        LogStandardizer().fit(X)


@pytest.mark.parametrize("winsorize", [(0.9, 0.1), (0.1,), (0.1, 1.5), ("a", "b"), [0.2, 0.2]])
def test_bad_pair_of_quantiles_is_refused(winsorize):
    with pytest.raises(ValueError, match=re.escape(f"lower < upper <= 1; got {winsorize!r}.")):
        LogStandardizer(winsorize=winsorize).fit(heavy_tailed())


@pytest.mark.parametrize("parameter", [{"winsorize": 0.5}, {"log": "natural"}, {"with_mean": "y"}])
def test_bad_parameters_are_refused(parameter):
    with pytest.raises(ValueError, match=f"The '{next(iter(parameter))}' parameter"):
        LogStandardizer(**parameter).fit(heavy_tailed())


def test_empty_frame_and_wrong_width_are_refused():
    with pytest.raises(ValueError, match="0 sample"):
        LogStandardizer().fit(pd.DataFrame({"a": []}))
    scaler = LogStandardizer().fit(heavy_tailed())
    with pytest.raises(ValueError, match="the 4 columns seen in fit; got 2"):
        scaler.inverse_transform(np.ones((3, 2)))


def test_failed_fit_keeps_what_was_fitted():
    X = heavy_tailed()
    scaler = LogStandardizer(winsorize=0.01).fit(X)
    expected = scaler.transform(X)
    with pytest.raises(ValueError, match="infinity"):
        scaler.fit(np.full((3, 2), np.inf))
    np.testing.assert_array_equal(scaler.transform(X), expected)


def test_clone_pickle_and_global_random_state():
    X = heavy_tailed()
    state = np.random.get_state()[1].copy()
    scaler = LogStandardizer(log="scaled", winsorize=(0.01, 0.99)).fit(X)
    assert clone(scaler).get_params() == scaler.get_params()
    again = pickle.loads(pickle.dumps(scaler))
    np.testing.assert_array_equal(again.transform(X), scaler.transform(X))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
