"""What every factor model does with a panel, whatever it makes of the characteristics."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.factor_models import CrossSectionalFactorModel, InstrumentedPCA
from skfactor.inspection import attribute_returns


def dates_of(data):
    return data.index.get_level_values("date")


def before(data, place):
    """Return the rows of the dates before a place."""
    return data[dates_of(data) < dates_of(data).unique()[place]]


def after(data, place):
    return data[dates_of(data) >= dates_of(data).unique()[place]]


def outputs(model, X, y):
    """Return everything that a fitted model says of a panel, as frames with its index."""
    return {
        "betas": model.transform(X),
        "expected": model.predict(X),
        "fits": model.reconstruct(X, y),
        "fits without own return": model.reconstruct(X, y, leave_one_out=True),
        "factors": model.factor_returns(X, y),
    }


def assert_same(found, expected, atol=1e-9):
    for name, frame in expected.items():
        np.testing.assert_allclose(
            found[name].reindex(frame.index), frame, rtol=1e-6, atol=atol, err_msg=name
        )


def test_models_are_found(factor_model_classes):
    names = {c.__name__ for c in factor_model_classes}
    assert {"PCAFactorModel", "InstrumentedPCA", "CrossSectionalFactorModel"} <= names


def test_dates_survive_a_pipeline_because_y_carries_them(model, long_panel):
    X, y = long_panel
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    dates = dates_of(X).unique()
    assert pipeline[-1].dates_.equals(dates)
    assert pipeline[-1].factor_returns_.index.equals(dates)
    assert pipeline[-1].factor_returns_.index.name == "date"


def test_outputs_carry_the_index_of_the_panel(model, long_panel):
    X, y = long_panel
    model.fit(X, y)
    betas = model.transform(X)
    assert betas.index.equals(X.index)
    assert list(betas.columns) == model.factor_names_ == list(model.factor_returns_.columns)
    assert list(betas.columns) == list(model.get_feature_names_out())
    for series in (model.predict(X), model.reconstruct(X, y)):
        assert series.index.equals(X.index)
    assert model.factor_returns(X, y).index.equals(dates_of(X).unique())
    assert list(model.risk_premia_.index) == model.factor_names_


def gappy(X, y):
    """Return a panel that begins amid a date, with missing returns."""
    X, y = X.iloc[3:], y.iloc[3:]
    return X, y.mask(np.arange(len(y)) % 11 == 0)


def test_a_panel_looked_at_in_parts_is_the_panel(model, long_panel, monkeypatch):
    X, y = gappy(*long_panel)
    monkeypatch.setattr("skfactor.factor_models._base._ALIGNMENT_ROWS", 90)
    whole = clone(model).fit(X, y)
    expected = {**outputs(whole, X, y), "attribution": attribute_returns(whole, X, y)}
    monkeypatch.setattr("skfactor.factor_models._parts._MOST_ROWS", 45)  # two dates at a time
    parts = clone(model).fit(X, y)
    found = {**outputs(parts, X, y), "attribution": attribute_returns(parts, X, y)}
    assert_same(found, expected, atol=1e-12)
    last = X.loc[[dates_of(X)[-1]]]
    np.testing.assert_allclose(parts.covariance(last), whole.covariance(last), rtol=1e-9)


def test_alphas_and_weights_stay_with_their_rows_in_parts(long_panel, monkeypatch):
    X, y = gappy(*long_panel)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    cases = [
        (InstrumentedPCA(2, intercept=True), {}),
        (CrossSectionalFactorModel(), {"sample_weight": weights}),
    ]
    for model, given in cases:
        monkeypatch.undo()
        whole = clone(model).fit(X, y, **given)
        expected = outputs(whole, X, y)
        monkeypatch.setattr("skfactor.factor_models._parts._MOST_ROWS", 45)
        parts = clone(model).fit(X, y, **given)
        assert_same(outputs(parts, X, y), expected, atol=1e-12)
        pd.testing.assert_frame_equal(parts.factor_returns_, whole.factor_returns_)


def test_errors_count_all_rows_whatever_the_parts(long_panel, monkeypatch):
    X, y = long_panel
    monkeypatch.setattr("skfactor.factor_models._parts._MOST_ROWS", 45)
    with pytest.raises(ValueError, match=rf"not be negative; got {(X['c0'] < 0).sum()} in"):
        CrossSectionalFactorModel(weights="c0").fit(X, y)


def test_observed_factors_meet_all_dates_at_once(long_panel, monkeypatch):
    X, y = long_panel
    months = dates_of(X).unique()
    market = pd.DataFrame({"market": np.linspace(-0.05, 0.05, len(months))}, months)
    days = dates_of(X).to_timestamp("D", how="end").normalize()
    X = X.set_index(
        pd.MultiIndex.from_arrays([days, X.index.get_level_values(1)], names=X.index.names)
    )
    y = y.set_axis(X.index)
    model = InstrumentedPCA(1, factors=market).fit(X, y)
    # A second day of a month makes it two dates, of which the month is neither.
    stray = X.loc[[days[-1]]].rename({days[-1]: days[-1] - pd.Timedelta(days=1)}, level="date")
    X = pd.concat([X, stray])
    y = pd.concat([y, pd.Series(0.0, stray.index)])
    for most in (2**17, 20):
        monkeypatch.setattr("skfactor.factor_models._parts._MOST_ROWS", most)
        with pytest.raises(ValueError, match="must have one frequency.*several dates in a month"):
            model.factor_returns(X, y)


def test_arrays_with_dates_and_assets_give_what_the_index_gives(model, long_panel):
    X, y = long_panel
    names = {"dates": dates_of(X), "assets": X.index.get_level_values("asset")}
    by_index = model.fit(X, y)
    by_name = clone(model).fit(X.to_numpy(), y.to_numpy(), **names)
    np.testing.assert_allclose(by_name.predict(X.to_numpy(), **names), by_index.predict(X))
    np.testing.assert_allclose(by_name.transform(X.to_numpy(), **names), by_index.transform(X))
    assert by_name.score(X.to_numpy(), y.to_numpy(), **names) == pytest.approx(by_index.score(X, y))


def test_polars_frames_with_dates_are_taken(model, long_panel):
    X, y = long_panel
    names = {"dates": dates_of(X).to_timestamp().to_list()}
    names["assets"] = X.index.get_level_values("asset").to_list()
    frame, target = pl.from_pandas(X.reset_index(drop=True)), pl.Series(y.to_numpy())
    from_polars = clone(model).fit(frame, target, **names)
    np.testing.assert_allclose(
        from_polars.transform(frame, **names), model.fit(X, y).transform(X), atol=1e-9
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_is_honoured(model, long_panel, library):
    X, y = long_panel
    betas = model.set_output(transform=library).fit(X, y).transform(X)
    assert type(betas).__module__.partition(".")[0] == library
    assert list(betas.columns) == model.factor_names_


def test_row_order_does_not_matter(model, long_panel):
    X, y = long_panel
    expected = outputs(clone(model).fit(X, y), X, y)
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = model.fit(X.iloc[order], y.iloc[order])
    assert_same(outputs(shuffled, X.iloc[order], y.iloc[order]), expected)


def test_level_order_does_not_matter(model, long_panel):
    X, y = long_panel
    expected = clone(model).fit(X, y).predict(X)
    swapped = model.fit(X.swaplevel(), y.swaplevel())
    np.testing.assert_allclose(swapped.predict(X.swaplevel()), expected)


def test_the_future_changes_nothing_before_it(model, long_panel):
    X, y = long_panel
    model.fit(before(X, 16), before(y, 16))
    X_test, y_test = after(X, 16), after(y, 16)
    changed_X, changed_y = X_test.copy(), y_test.copy()
    late = dates_of(X_test) > dates_of(X_test).unique()[3]
    changed_X[late] = np.random.default_rng(1).uniform(-1, 1, (late.sum(), X.shape[1]))
    changed_y[late] = 0.5
    expected = outputs(copy.deepcopy(model).update(X_test, y_test), X_test, y_test)
    found = outputs(copy.deepcopy(model).update(changed_X, changed_y), changed_X, changed_y)
    early = X_test.index[~late]
    for name, frame in expected.items():
        rows = dates_of(X_test).unique()[:4] if name == "factors" else early
        np.testing.assert_array_equal(found[name].loc[rows], frame.loc[rows], err_msg=name)


def test_expected_returns_of_a_date_do_not_know_its_returns(model, long_panel):
    X, y = long_panel
    model.fit(before(X, 16), before(y, 16))
    X_test, y_test = after(X, 16), after(y, 16)
    changed = y_test.copy()
    date = dates_of(X_test).unique()[3]
    changed[dates_of(y_test) == date] = 0.5
    expected = copy.deepcopy(model).update(X_test, y_test).predict(X_test)
    found = copy.deepcopy(model).update(X_test, changed).predict(X_test)
    pd.testing.assert_series_equal(found.loc[:date], expected.loc[:date])
    assert np.abs(found - expected).loc[dates_of(found) > date].max() > 1e-4


def test_premia_are_frozen_until_realised_returns_are_given(model, long_panel):
    X, y = long_panel
    model.fit(before(X, 16), before(y, 16))
    X_test, y_test = after(X, 16), after(y, 16)
    betas = model.transform(X_test)
    frozen = betas @ model.risk_premia_
    if hasattr(model, "alphas"):
        frozen = frozen + model.alphas(X_test)
    np.testing.assert_allclose(model.predict(X_test), frozen, atol=1e-12)
    old = model.risk_premia_.copy()
    model.update(X_test, y_test)
    assert model.factor_returns_.index.equals(dates_of(X).unique())
    assert not np.allclose(model.risk_premia_, old)


def test_returns_given_twice_count_once(model, long_panel):
    X, y = long_panel
    model.fit(before(X, 16), before(y, 16)).update(X, y)
    expected = model.factor_returns_.copy()
    model.update(X, 2 * y)
    pd.testing.assert_frame_equal(model.factor_returns_, expected)


def test_a_date_never_seen_has_expected_returns(model, long_panel):
    X, y = long_panel
    gap = dates_of(X).unique()[10]
    seen = dates_of(X) != gap
    model.fit(X[seen], y[seen])
    betas = model.transform(X[~seen])
    premia = model.factor_returns_.loc[: gap - 1].mean()
    expected = betas @ premia
    np.testing.assert_allclose(model.predict(X[~seen]), expected, atol=1e-12)


def test_an_asset_missing_for_years_is_no_problem(model, panel_factory):
    X, y = panel_factory(n_dates=72, n_assets=10)
    rows = (X.index.get_level_values("asset") == "A3") & (dates_of(X).year.isin([2021, 2022, 2023]))
    model.fit(X[~rows], y[~rows])
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.reconstruct(X, y)).all()
    assert len(model.factor_returns_) == 72


def test_a_date_with_fewer_assets_than_characteristics_is_no_problem(model, long_panel):
    X, y = long_panel
    date = dates_of(X).unique()[5]
    few = (dates_of(X) != date) | X.index.get_level_values("asset").isin(["A0", "A1"])
    model.fit(X[few], y[few])
    assert np.isfinite(model.factor_returns_.loc[date]).all()
    assert np.isfinite(model.reconstruct(X[few], y[few], leave_one_out=True)).all()


def test_a_characteristic_constant_on_a_date_is_no_problem(model, long_panel):
    X, y = long_panel
    X = X.copy()
    X.loc[dates_of(X) == dates_of(X).unique()[5], "c0"] = 0.3
    model.fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.factor_returns_.to_numpy()).all()


def test_a_row_without_a_return_has_a_fit(model, long_panel):
    X, y = long_panel
    model.fit(X, y)
    gappy = y.copy()
    gappy.iloc[[7, 100]] = np.nan
    assert np.isfinite(model.reconstruct(X, gappy)).all()
    assert np.isfinite(model.score(X, gappy))


def test_a_fit_takes_missing_returns(model, long_panel):
    X, y = long_panel
    gappy = y.copy()
    gappy.iloc[::17] = np.nan
    model.fit(X, gappy)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.score(X, gappy))


def test_a_date_without_any_return_says_nothing_of_premia(model, long_panel):
    X, y = long_panel
    first = X.index[0][0]
    gone = y.where(y.index.get_level_values("date") != first)
    factors = model.fit(X, gone).factor_returns_
    assert first not in factors.index
    np.testing.assert_allclose(model.risk_premia_, factors.mean())
    assert np.isnan(model.factor_returns(X, gone).loc[first]).all()


def test_rows_whose_returns_are_not_known_yet_have_fits_and_predictions(model, long_panel):
    X, y = long_panel
    last = X.index[-1][0]
    late = X.index.get_level_values("date") == last
    model.fit(X[~late], y[~late])
    unknown = y[late] * np.nan
    assert np.isfinite(model.reconstruct(X[late], unknown)).all()
    premia = model.risk_premia_.copy()
    model.update(X[late], unknown)
    pd.testing.assert_series_equal(model.risk_premia_, premia)
    assert np.isfinite(model.predict(X[late])).all()


def test_fits_are_betas_times_factor_returns(model, long_panel):
    X, y = long_panel
    model.fit(X, y)
    factors = model.factor_returns(X, y)
    expected = [
        model.transform(X).loc[key] @ factors.loc[key[0]] for key in X.index[::29]
    ]  # one row at a time
    np.testing.assert_allclose(model.reconstruct(X, y).iloc[::29], expected, atol=1e-10)


def test_leave_one_out_fits_are_those_of_regressions_without_the_row(model, long_panel):
    X, y = long_panel
    if "ridge" in model.get_params():  # its size is that of the betas of all rows
        model.set_params(ridge=1e-10)
    model.fit(X, y)
    if not model._uses_own_returns:
        return
    found = model.reconstruct(X, y, leave_one_out=True)
    for place in (0, 33, 111):
        one_less = y.copy()
        one_less.iloc[place] = np.nan
        expected = model.reconstruct(X, one_less).iloc[place]
        assert found.iloc[place] == pytest.approx(expected, abs=1e-7)


def test_the_score_is_the_total_r2_of_leave_one_out_fits(model, long_panel):
    X, y = long_panel
    model.fit(X, y)
    fits = model.reconstruct(X, y, leave_one_out=True)
    assert model.score(X, y) == pytest.approx(1 - ((y - fits) ** 2).sum() / (y**2).sum())


def test_float32_gives_what_float64_gives(model, long_panel):
    X, y = long_panel
    double = clone(model).fit(X, y).predict(X)
    single = model.fit(X.astype(np.float32), y).predict(X.astype(np.float32))
    np.testing.assert_allclose(single, double, atol=1e-5)


def test_the_covariance_is_that_of_the_fit(model, long_panel):
    X, y = long_panel
    model.fit(X, y)
    today = X.loc[[dates_of(X)[-1]]]
    covariance = model.covariance(today)
    assert list(covariance.index) == list(today.index.get_level_values("asset"))
    assert np.linalg.eigvalsh(covariance).min() > 0
    parts = model.risk_model(today)
    B, sigma = parts.loadings.to_numpy(), parts.factor_covariance.to_numpy()
    expected = B @ sigma @ B.T + np.diag(parts.specific_variance)
    np.testing.assert_allclose(covariance, expected)
    with pytest.raises(ValueError, match=r"Risk is that of the assets of one date; got rows of"):
        model.covariance(X)


def test_duplicate_pairs_are_refused(model, long_panel):
    X, y = long_panel
    with pytest.raises(ValueError, match=r"Each \(date, asset\) pair must appear once; got 1"):
        model.fit(pd.concat([X, X.iloc[:1]]), pd.concat([y, y.iloc[:1]]))


def test_indexes_that_disagree_are_refused(model, long_panel):
    X, y = long_panel
    with pytest.raises(ValueError, match=r"The indexes of X and y must agree; got 480 rows"):
        model.fit(X, y.iloc[::-1])


def test_returns_that_are_all_missing_are_refused(model, long_panel):
    X, y = long_panel
    with pytest.raises(ValueError, match="y must have at least one return; got none but NaN"):
        model.fit(X, y * np.nan)


def test_infinite_returns_are_refused(model, long_panel):
    X, y = long_panel
    y = y.copy()
    y.iloc[3] = np.inf
    with pytest.raises(ValueError, match=r"y contains infinity"):
        model.fit(X, y)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda X: X.assign(c1="text"), r"Every column of X must hold numbers; got column 'c1'"),
        (lambda X: X.assign(c1=np.inf), r"infinities in column 'c1' \(first in row 0\)"),
        (lambda X: X.assign(c1=np.nan), r"gaps in column 'c1' \(480 missing\)"),
        (lambda X: X.iloc[:0], r"Found array with 0 sample\(s\)"),
    ],
    ids=["text", "infinities", "gaps", "no rows"],
)
def test_bad_characteristics_are_refused(model, long_panel, bad, message):
    X, y = long_panel
    bad_X = bad(X)
    if model.__sklearn_tags__().input_tags.allow_nan and "gaps" in message:
        model.fit(bad_X, y)
        return
    with pytest.raises(ValueError, match=message):
        model.fit(bad_X, y.iloc[: len(bad_X)])


def test_a_column_that_is_always_zero_fits(model, long_panel):
    X, y = long_panel
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)
        model.fit(X.assign(c3=0.0), y)
    assert np.isfinite(model.predict(X.assign(c3=0.0))).all()


def test_columns_in_another_order_are_refused(model, long_panel):
    X, y = long_panel
    model.fit(X, y)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[X.columns[::-1]])


def test_dates_of_another_kind_are_refused(model, long_panel):
    X, y = long_panel
    model.fit(X, y)
    numbers = X.index.levels[0].strftime("%Y%m").astype(int)
    other = X.set_axis(X.index.set_levels(numbers, level="date"))
    message = "Dates must be of the kind given to fit, periods of frequency M; got whole numbers"
    with pytest.raises(ValueError, match=message):
        model.predict(other)


def test_a_failed_fit_keeps_what_was_fitted(model, long_panel):
    X, y = long_panel
    expected = model.fit(X, y).predict(X)
    state = dict(vars(model))
    with pytest.raises(ValueError, match="must appear once"):
        model.fit(pd.concat([X, X.iloc[:1]]), pd.concat([y, y.iloc[:1]]))
    assert vars(model) == state
    pd.testing.assert_series_equal(model.predict(X), expected)


def test_premia_that_do_not_exist_are_refused(model, long_panel):
    X, y = long_panel
    with pytest.raises(ValueError, match=r"`premia` must be one of 'expanding', .*got 'best'"):
        model.set_params(premia="best").fit(X, y)


def test_an_unfitted_model_says_so(model, long_panel):
    X, y = long_panel
    for call in (
        lambda: model.predict(X),
        lambda: model.transform(X),
        lambda: model.factor_returns(X, y),
        lambda: model.update(X, y),
        lambda: model.get_feature_names_out(),
    ):
        with pytest.raises(NotFittedError):
            call()


def test_clones_and_pickles_predict_alike(model, long_panel):
    X, y = long_panel
    expected = model.fit(X, y).predict(X)
    pd.testing.assert_series_equal(clone(model).fit(X, y).predict(X), expected)
    pd.testing.assert_series_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)


def test_global_random_state_is_left_alone(model, long_panel):
    X, y = long_panel
    np.random.seed(0)
    expected = np.random.get_state()[1].copy()
    model.fit(X, y).predict(X)
    np.testing.assert_array_equal(np.random.get_state()[1], expected)
