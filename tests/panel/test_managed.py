"""Portfolios managed by characteristics."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.linalg import LinAlgWarning

from skfactor.exceptions import MissingDatesWarning
from skfactor.panel import managed_portfolios


def random_panel(n_dates=6, n_assets=30, n_columns=3, missing=0.1, seed=0):
    """Return an unbalanced panel with missing returns, rows in random order."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-01-31", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product([dates, range(n_assets)], names=["date", "asset"])
    names = [f"c{j}" for j in range(n_columns)]
    X = pd.DataFrame(rng.normal(size=(len(index), n_columns)), index, names)
    y = pd.Series(rng.normal(size=len(index)), index)
    y[rng.random(len(y)) < missing] = np.nan
    rows = rng.permutation(len(index))[: int(0.8 * len(index))]
    return X.iloc[rows], y.iloc[rows]


def reference(X, y, kind, constant):
    """Weigh the assets of each date, then let missing returns earn nothing."""
    out = {}
    for date, Z in X.groupby(level="date"):
        returns = y.loc[Z.index].to_numpy()
        Z = Z.to_numpy()
        if constant:
            Z = np.hstack([np.ones((len(Z), 1)), Z])
        weights = Z / len(Z) if kind == "mean" else Z @ np.linalg.pinv(Z.T @ Z, rcond=1e-10)
        seen = ~np.isnan(returns)
        out[date] = weights[seen].T @ returns[seen]
    return pd.DataFrame(out).T


@pytest.mark.parametrize("kind", ["regression", "mean"])
@pytest.mark.parametrize("constant", [False, True])
def test_equals_weights_formed_on_all_assets_date_by_date(kind, constant):
    X, y = random_panel()
    out = managed_portfolios(X, y, kind=kind, constant=constant)
    np.testing.assert_allclose(out, reference(X, y, kind, constant))
    assert list(out) == ["constant"] * constant + ["c0", "c1", "c2"]
    assert out.index.name == "date"
    assert out.index.is_monotonic_increasing


def test_with_every_return_they_are_the_slopes_of_a_regression():
    X, y = random_panel(missing=0)
    out = managed_portfolios(X, y, constant=True)
    for date, Z in X.groupby(level="date"):
        design = np.column_stack([np.ones(len(Z)), Z])
        slopes = np.linalg.lstsq(design, y.loc[Z.index], rcond=None)[0]
        np.testing.assert_allclose(out.loc[date], slopes)


def test_the_mean_with_a_constant_holds_the_equally_weighted_market():
    X, y = random_panel(missing=0)
    market = managed_portfolios(X, y, kind="mean", constant=True)["constant"]
    np.testing.assert_allclose(market, y.groupby(level="date").mean())


def test_weights_do_not_depend_on_which_return_will_be_missing():
    X, y = random_panel(missing=0)
    date = X.index.get_level_values("date")[0]
    row = X.index[0]
    for kind in ("regression", "mean"):
        whole = managed_portfolios(X, y, kind=kind)
        gone = managed_portfolios(X, y.mask(X.index == row), kind=kind)
        zero = managed_portfolios(X, y.mask(X.index == row, 0.0), kind=kind)
        pd.testing.assert_frame_equal(gone, zero)
        others = whole.index != date
        pd.testing.assert_frame_equal(gone[others], whole[others])


def test_no_date_moves_when_another_is_perturbed_and_row_order_does_not_matter():
    X, y = random_panel()
    expected = managed_portfolios(X, y)
    date = X.index.get_level_values("date")
    later = date > "2020-03-31"
    changed = X.copy(), y.mask(later, 9.0)
    changed[0][later] = 3.0 * X[later] + 1.0
    before = expected.index <= "2020-03-31"
    pd.testing.assert_frame_equal(managed_portfolios(*changed)[before], expected[before])
    np.testing.assert_allclose(
        managed_portfolios(X.sort_index(), y.sort_index()), expected, atol=1e-14
    )


def test_arrays_and_polars_with_dates_equal_the_indexed_frame():
    X, y = random_panel()
    dates = X.index.get_level_values("date")
    expected = managed_portfolios(X, y, constant=True)
    out = managed_portfolios(X.to_numpy(), y.to_numpy(), dates=dates, constant=True)
    np.testing.assert_allclose(out, expected, atol=1e-14)
    assert list(out) == ["constant", 0, 1, 2]
    frame = pl.DataFrame({name: X[name].to_numpy() for name in X})
    out = managed_portfolios(frame, y.to_numpy(), dates=dates, constant=True)
    pd.testing.assert_frame_equal(out, expected, check_exact=False)
    # The index of y serves where X has none.
    np.testing.assert_array_equal(managed_portfolios(X.to_numpy(), y), managed_portfolios(X, y))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dependent_columns_are_named_with_their_dates_and_have_minimum_norm(dtype):
    X, y = random_panel(n_columns=4)
    date = X.index.get_level_values("date")
    hit = date <= "2020-02-29"
    X.loc[hit, "c2"] = X.loc[hit, "c0"] - 2.0 * X.loc[hit, "c1"]
    X = X.astype(dtype)
    message = (
        "Z'Z is singular on 2 of 6 dates, where portfolios have minimum norm: 2 have linearly "
        "dependent columns (2020-01-31, 2020-02-29), among column 'c0', column 'c1', column "
        "'c2'. Drop columns, or those dates."
    )
    with pytest.warns(LinAlgWarning, match=re.escape(message)) as record:
        out = managed_portfolios(X, y)
    assert record[0].filename == __file__
    np.testing.assert_allclose(
        out, reference(X.astype(float), y, "regression", False), rtol=1e-5, atol=1e-7
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        managed_portfolios(X, y, kind="mean")
        managed_portfolios(X[~hit], y[~hit])


def test_columns_that_are_constant_or_zero_on_a_date_have_minimum_norm():
    X, y = random_panel()
    first = X.index.get_level_values("date") == "2020-01-31"
    X.loc[first, "c1"] = 0.0
    with pytest.warns(LinAlgWarning, match=r"1 have .* \(2020-01-31\), among column 'c1'\."):
        out = managed_portfolios(X, y)
    assert out.loc["2020-01-31", "c1"] == 0.0
    np.testing.assert_allclose(out, reference(X, y, "regression", False))
    X.loc[first, "c1"] = 2.0
    with pytest.warns(LinAlgWarning, match="among column 'constant', column 'c1'"):
        out = managed_portfolios(X, y, constant=True)
    np.testing.assert_allclose(out, reference(X, y, "regression", True))


def test_dates_with_fewer_assets_than_columns_have_minimum_norm():
    X, y = random_panel(missing=0)
    dates = X.index.get_level_values("date")
    few = np.flatnonzero(dates == "2020-05-31")[2:]
    rows = np.setdiff1d(np.arange(len(X)), few)
    X, y = X.iloc[rows], y.iloc[rows]
    message = "1 have fewer assets than the 3 columns (2020-05-31)"
    with pytest.warns(LinAlgWarning, match=re.escape(message)):
        out = managed_portfolios(X, y)
    np.testing.assert_allclose(out, reference(X, y, "regression", False))


def test_units_of_columns_do_not_decide_what_is_singular():
    X, y = random_panel()
    scale = np.array([1e-12, 1.0, 1e9])
    np.testing.assert_allclose(managed_portfolios(X * scale, y) * scale, managed_portfolios(X, y))


def test_nearly_dependent_columns_are_solved_to_the_digits_of_a_direct_solution():
    X, y = random_panel(missing=0)
    X["c2"] = X["c0"] + 1e-5 * X["c2"]
    out = managed_portfolios(X, y)
    for date, Z in X.groupby(level="date"):
        slopes = np.linalg.lstsq(Z, y.loc[Z.index], rcond=None)[0]
        np.testing.assert_allclose(out.loc[date], slopes, rtol=1e-8)


def test_a_date_without_any_return_is_missing():
    X, y = random_panel()
    dark = y.mask(X.index.get_level_values("date") == "2020-03-31")
    for kind in ("regression", "mean"):
        out = managed_portfolios(X, dark, kind=kind)
        assert list(out.index[out.isna().all(axis=1)]) == [pd.Timestamp("2020-03-31")]
        assert out.isna().any(axis=1).sum() == 1


def test_rows_without_dates_are_one_cross_section():
    X, y = random_panel(n_dates=1)
    with pytest.warns(MissingDatesWarning):
        out = managed_portfolios(X.to_numpy(), y.to_numpy())
    np.testing.assert_allclose(out, managed_portfolios(X, y))


def test_bad_input_is_refused():
    X, y = random_panel()
    with pytest.raises(ValueError, match="`kind` must be 'regression' or 'mean'; got 'sum'"):
        managed_portfolios(X, y, kind="sum")
    with pytest.raises(ValueError, match=r"column 'c1' \(1 missing\)"):
        managed_portfolios(X.mask((X.index == X.index[0])[:, None] & (X.columns == "c1")), y)
    with pytest.raises(ValueError, match="No column of X may be called 'constant'"):
        managed_portfolios(X.rename(columns={"c0": "constant"}), y, constant=True)
    with pytest.raises(ValueError, match="must hold numbers; got column 'sector'"):
        managed_portfolios(X.assign(sector="banks"), y)
    with pytest.raises(ValueError, match="The indexes of X and y must agree"):
        managed_portfolios(X, y.iloc[::-1])
    with pytest.raises(ValueError, match="infinity"):
        managed_portfolios(X, y.mask(y > 1, np.inf))
