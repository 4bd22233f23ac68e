"""A scorecard holds the numbers that the functions behind it give one by one."""

import copy

import numpy as np
import pandas as pd
import pytest
from _simple_model import SimpleModel, make_panel, noise_panel
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfactor.inference import pricing_error
from skfactor.inspection import scorecard
from skfactor.metrics import (
    information_coefficient,
    make_factor_scorer,
    predictive_r2_scorer,
    sharpe_ratio,
    total_r2_scorer,
)
from skfactor.model_selection import PanelSplit, WalkForward
from skfactor.panel import managed_portfolios
from skfactor.portfolios import quantile_long_short, tangency_portfolio
from skfactor.preprocessing import CrossSectionalScaler

HALF = 24 * 50


@pytest.fixture(scope="module")
def panel():
    return make_panel(48, 50, missing=0.05)


@pytest.fixture(scope="module")
def model(panel):
    X, y = panel
    return SimpleModel(2, n_members=2, noise=0.2).fit(X[:HALF], y[:HALF])


@pytest.fixture(scope="module")
def later(panel):
    return panel[0][HALF:], panel[1][HALF:]


@pytest.fixture(scope="module")
def card(model, later):
    return scorecard(model, *later)


def test_r2_are_the_scorers(card, model, later):
    def score(metric, **kwargs):
        return make_factor_scorer(metric, **kwargs)(model, *later)

    assert card.r2.loc["assets", "total_left_out"] == pytest.approx(total_r2_scorer(model, *later))
    assert card.r2.loc["assets", "total"] == pytest.approx(score("total_r2", leave_one_out=False))
    predicted = predictive_r2_scorer(model, *later)
    assert card.r2.loc["assets", "predictive"] == pytest.approx(predicted)
    for kind in ("regression", "mean"):
        row = card.r2.loc[f"managed ({kind})"]
        where = {"on": "managed", "kind": kind}
        assert row["total"] == pytest.approx(score("total_r2", leave_one_out=False, **where))
        assert row["total_left_out"] == pytest.approx(score("total_r2", **where))
        assert row["predictive"] == pytest.approx(score("predictive_r2", **where))


def test_the_rest_is_made_from_predictions_one_step_ahead(card, model, later):
    X, y = later
    updated = copy.deepcopy(model).update(X, y)
    predicted = updated.predict(X)
    assert card.information_coefficient.mean == information_coefficient(y, predicted).mean
    long_short = quantile_long_short(predicted, y)
    pd.testing.assert_series_equal(card.long_short.returns, long_short.returns)
    assert card.sharpe["long_short"] == sharpe_ratio(long_short.returns)
    assert card.sharpe["long_short_net"] == sharpe_ratio(long_short.net_returns(0.001))
    tangency = tangency_portfolio(updated.factor_returns_).returns.loc[X.index.unique("date")]
    pd.testing.assert_series_equal(card.tangency.returns, tangency, check_freq=False)
    assert card.sharpe["tangency"] == sharpe_ratio(tangency)


def test_pricing_errors_are_of_plain_fits(card, model, later):
    X, y = later
    fits = model.reconstruct(X, y)
    expected = pricing_error(y, fits)
    pd.testing.assert_frame_equal(card.pricing["assets"].table, expected.table)
    assert card.pricing["assets"].joint == expected.joint
    gap = (y - fits).where(y.notna())
    means = managed_portfolios(X, gap, kind="mean").mean()
    np.testing.assert_allclose(card.pricing["managed (mean)"].table["mean"], means)


def test_coverage_and_the_page(card, model, panel, later):
    y = later[1]
    assert card.coverage["n_rows"] == len(y)
    assert card.coverage["n_returns"] == y.notna().sum()
    assert card.coverage["n_dates"] == 24
    assert card.coverage["n_fitted_dates"] == 0
    page = repr(card)
    assert f"{100 * card.r2.loc['assets', 'total']:.2f}" in page
    assert "Scorecard of SimpleModel" in page
    assert "24 dates, 2017-01-31 to 2018-12-31" in page
    assert "IN SAMPLE" not in page
    assert max(map(len, page.splitlines())) <= 100
    inside = scorecard(model, *panel)
    assert inside.coverage["n_fitted_dates"] == 24
    assert "IN SAMPLE: the model was fitted on 24 of these dates." in repr(inside)


def test_series_lay_models_side_by_side(card, later):
    other = scorecard(SimpleModel(1).fit(*later), *later)
    table = pd.concat([card.to_series(), other.to_series()], axis=1)
    assert table.shape == (16, 2)
    assert table.loc["total_r2"].to_list() == [card.r2.iloc[0, 0], other.r2.iloc[0, 0]]
    assert card.to_series().notna().all()
    t_value = card.information_coefficient.t_value
    assert card.to_series()["information_coefficient_t_value"] == t_value


def test_the_model_and_the_seed_are_left_alone(model, later):
    known = model.factor_returns_.copy()
    first = scorecard(model, *later, sharpe_method="bootstrap")
    pd.testing.assert_frame_equal(model.factor_returns_, known)
    again = scorecard(model, *later, sharpe_method="bootstrap")
    assert repr(first) == repr(again)


def test_row_order_does_not_matter(card, model, later):
    order = np.random.default_rng(0).permutation(len(later[1]))
    mixed = scorecard(model, *(part.iloc[order] for part in later))
    pd.testing.assert_series_equal(mixed.to_series(), card.to_series())


def test_what_cannot_be_computed_says_why(model, later):
    X, y = later
    few = scorecard(model, X[:100], y[:100])
    assert set(few.missing) >= {"pricing errors of assets"}
    assert "At least one asset must have 12 residuals" in repr(few)
    assert np.isnan(few.to_series()["pricing_rms"])
    dates = X.index.get_level_values("date")
    loose = SimpleModel(1).fit(X.to_numpy(), y.to_numpy(), dates=dates)
    card = scorecard(loose, X.to_numpy(), y.to_numpy(), dates=dates)
    assert "Rows do not say which asset they are" in card.missing["long–short portfolio"]
    assert card.information_coefficient is not None
    assert card.to_series()["n_dates"] == 24


def test_managed_portfolios_can_be_left_out(model, later):
    card = scorecard(model, *later, managed=False)
    assert card.r2.index.to_list() == ["assets"]
    assert list(card.pricing) == ["assets"]
    assert np.isnan(card.to_series()["managed_total_r2"])


def test_noise_has_nothing_to_show():
    cards = []
    for seed in range(3):
        X, y = noise_panel(60, 60, 4, seed=100 * seed)
        model = SimpleModel(2).fit(X[:1800], y[:1800])
        cards.append(scorecard(model, X[1800:], y[1800:]))
    r2 = sum(card.r2 for card in cards) / 3
    assert (r2["total_left_out"] < 0.005).all()
    assert (r2["predictive"] < 0.005).all()
    assert r2.loc["assets", "total"] > 0.02
    for card in cards:
        assert abs(card.information_coefficient.t_value) < 4
        assert card.sharpe["long_short"].low < 0.5


def test_a_walk_through_time_is_judged_by_what_it_stitched(panel):
    X, y = panel
    walk = WalkForward(SimpleModel(1), PanelSplit(3, test_size=8)).fit(X, y)
    card = scorecard(walk, X, y)
    scores = walk.scores()
    assert card.r2.loc["assets"].to_list() == scores.to_list()
    pd.testing.assert_series_equal(
        card.long_short.returns, walk.portfolio_returns_["long_short"], check_freq=False
    )
    assert card.sharpe["tangency"] == sharpe_ratio(walk.portfolio_returns_["tangency"])
    tested = walk.returns_.index
    true = managed_portfolios(X.loc[tested], walk.returns_)
    fit = managed_portfolios(X.loc[tested], walk.fits_.where(walk.returns_.notna()))
    expected = 1 - ((true - fit) ** 2).sum().sum() / (true**2).sum().sum()
    assert card.r2.loc["managed (regression)", "total"] == pytest.approx(expected)
    assert "–" in repr(card)


def skewed_panel():
    """Return a panel whose returns go with ranks of its characteristics, which are skewed."""
    ranks, y = make_panel(48, 40, noise=0.05, missing=0.05)
    return np.exp(3 * ranks), y, CrossSectionalScaler().fit_transform(ranks)


def on_ranks(model, **kwargs):
    return make_pipeline(CrossSectionalScaler(**kwargs), model)


def test_a_walk_is_judged_on_what_the_model_is_shown():
    X, y, ranks = skewed_panel()
    cv = PanelSplit(2, test_size=8, gap=3)
    card = scorecard(WalkForward(on_ranks(SimpleModel(1)), cv).fit(X, y), X, y)
    bare = scorecard(WalkForward(SimpleModel(1), cv).fit(ranks, y), ranks, y)
    pd.testing.assert_frame_equal(card.r2, bare.r2)
    pd.testing.assert_series_equal(card.to_series(), bare.to_series(), check_names=False)
    assert not card.missing


@pytest.mark.parametrize("own", [True, False])
def test_a_walk_of_one_refit_is_the_model_on_later_rows(own):
    X, y, _ = skewed_panel()
    pipeline = on_ranks(SimpleModel(1, own=own))
    walk = WalkForward(pipeline, PanelSplit(1, test_size=16)).fit(X, y)
    first = 32 * 40
    fitted = pipeline.fit(X[:first], y[:first])
    expected = scorecard(fitted, X[first:], y[first:])
    card = scorecard(walk, X, y)
    pd.testing.assert_frame_equal(card.r2, expected.r2)
    assert card.r2.notna().all(axis=None)
    for name, errors in expected.pricing.items():
        pd.testing.assert_frame_equal(card.pricing[name].table, errors.table)


def test_a_walk_is_judged_with_gaps_and_text_in_its_rows():
    X, y, _ = skewed_panel()
    X.iloc[::17, 1] = np.nan
    grouped = X.assign(industry=np.tile(list("uv"), len(X) // 2))
    for data, pipeline in (
        (X, on_ranks(SimpleModel(1))),
        (grouped, on_ranks(SimpleModel(1), group_by="industry")),
    ):
        card = scorecard(WalkForward(pipeline, PanelSplit(2, test_size=8)).fit(data, y), data, y)
        assert not card.missing
        assert card.r2["total"].between(0.1, 1).all()


def test_a_step_that_knows_the_past_sees_what_it_saw_in_the_walk():
    X, y, _ = skewed_panel()
    walk = WalkForward(
        make_pipeline(FunctionTransformer(known_before), SimpleModel(1)),
        PanelSplit(2, test_size=8, gap=3),
    ).fit(X, y)
    card = scorecard(walk, X, y)
    shown = X.groupby(level="asset").shift()
    tested = walk.returns_.index
    true = managed_portfolios(shown.loc[tested], walk.returns_, kind="mean")
    fits = walk.fits_.where(walk.returns_.notna())
    fit = managed_portfolios(shown.loc[tested], fits, kind="mean")
    expected = 1 - ((true - fit) ** 2).sum().sum() / (true**2).sum().sum()
    assert card.r2.loc["managed (mean)", "total"] == pytest.approx(expected)


def known_before(X):
    """Return the characteristics of the date before."""
    return X.groupby(level="asset").shift().fillna(0.0)


def test_a_walk_on_arrays_has_managed_portfolios_too():
    X, y, ranks = skewed_panel()
    cv = PanelSplit(2, test_size=8)
    expected = scorecard(WalkForward(SimpleModel(1), cv).fit(ranks, y), ranks, y)
    where = {"dates": X.index.get_level_values(0), "assets": X.index.get_level_values(1)}
    arrays = ranks.to_numpy(), y.to_numpy()
    card = scorecard(WalkForward(SimpleModel(1), cv).fit(*arrays, **where), *arrays, **where)
    pd.testing.assert_frame_equal(card.r2, expected.r2)
    dates = {"dates": where["dates"]}
    loose = scorecard(WalkForward(SimpleModel(1), cv).fit(*arrays, **dates), *arrays, **dates)
    pd.testing.assert_frame_equal(loose.r2, expected.r2)


def test_managed_portfolios_that_cannot_be_made_say_why():
    X, y, ranks = skewed_panel()
    walk = WalkForward(SimpleModel(1), PanelSplit(2, test_size=8)).fit(ranks, y)
    card = scorecard(walk, ranks[:-40], y[:-40])
    assert card.r2.index.to_list() == ["assets"]
    assert card.missing["managed portfolios"] == (
        "X must hold the rows that the walk was fitted on; got 600 of the 640 that it was tested "
        "on."
    )
    chosen = make_pipeline(
        SelectKBest(follows_the_last_date, k=1).set_output(transform="pandas"), SimpleModel(1)
    )
    late = np.repeat(np.arange(48) >= 36, 40)
    switched, filled = pd.DataFrame({"c0": 2.0 - late, "c1": 1.0 + late}, X.index), y.fillna(0.0)
    walk = WalkForward(chosen, PanelSplit(2, test_size=8)).fit(switched, filled)
    why = scorecard(walk, switched, filled).missing["managed portfolios"]
    assert why == (
        "Managed portfolios must be of the same characteristics in all refits; got ['c0'] and, "
        "from 2018-05-31 on, ['c1']."
    )


def test_a_model_that_takes_gaps_is_judged_without_managed_portfolios(model, later):
    X, y = later
    X = X.copy()
    X.iloc[3, 1] = np.nan
    card = scorecard(TakesGaps(2, n_members=2, noise=0.2).fit(X.fillna(0.0), y), X, y)
    assert card.r2.index.to_list() == ["assets"]
    assert "every value" in card.missing["managed portfolios"]


class TakesGaps(SimpleModel):
    def reconstruct(self, X, y, **kwargs):
        return super().reconstruct(X.fillna(0.0), y, **kwargs)

    def update(self, X, y, **kwargs):
        return super().update(X.fillna(0.0), y, **kwargs)

    def predict(self, X, **kwargs):
        return super().predict(X.fillna(0.0), **kwargs)


def follows_the_last_date(X, y):
    """Score columns by their last value."""
    return np.asarray(X)[-1]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"cost": -1}, "`cost` must be at least 0; got -1"),
        ({"n_quantiles": 1}, "`n_quantiles` must be an int of at least 2; got 1"),
        ({"n_quantiles": 5.0}, "`n_quantiles` must be an int of at least 2; got 5.0"),
        ({"sharpe_method": "mertons"}, "`sharpe_method` must be one of 'normal', 'mertens'"),
        ({"periods_per_year": -1}, "`periods_per_year` must be between 0 and inf; got -1"),
        ({"periods_per_year": np.nan}, "`periods_per_year` must be between 0 and inf; got nan"),
        ({"weights": np.ones(3)}, "`weights` must have one value for each of the 1200 rows; got 3"),
        ({"weights": -np.ones(HALF)}, "`weights` must not be negative; got -1"),
        ({"weights": np.full(HALF, np.inf)}, "`weights` must be finite or NaN; got infinity"),
        ({"random_state": "seed"}, "'seed' cannot be used to seed"),
    ],
)
def test_a_mistaken_argument_is_refused(model, later, kwargs, message):
    with pytest.raises(ValueError, match=message):
        scorecard(model, *later, **kwargs)


def test_weights_weigh_the_long_short_portfolio(card, model, later):
    size = np.random.default_rng(0).lognormal(size=HALF)
    weighted = scorecard(model, *later, weights=size)
    updated = copy.deepcopy(model).update(*later)
    expected = quantile_long_short(updated.predict(later[0]), later[1], weights=size)
    pd.testing.assert_series_equal(weighted.long_short.returns, expected.returns)
    assert weighted.long_short.returns.iloc[0] != card.long_short.returns.iloc[0]


def test_weights_of_rows_in_another_order_are_refused(model, later, panel):
    X, y = later
    size = pd.Series(np.random.default_rng(0).lognormal(size=HALF), y.index)
    with pytest.raises(ValueError, match="rows of `X` and `weights` must be the same"):
        scorecard(model, X, y, weights=size[::-1])
    plain = scorecard(model, X, y, weights=size.to_numpy())
    swapped = scorecard(
        model,
        X.swaplevel(),
        y.swaplevel(),
        weights=size.swaplevel(),
    )
    for found in (scorecard(model, X, y, weights=size), swapped):
        pd.testing.assert_series_equal(found.long_short.returns, plain.long_short.returns)
    walk = WalkForward(SimpleModel(1), PanelSplit(3, test_size=8)).fit(*panel)
    known = pd.Series(1.0, walk.returns_.index)
    assert scorecard(walk, *panel, weights=known).long_short is not None
    with pytest.raises(ValueError, match="rows of `returns_` and `weights` must be the same"):
        scorecard(walk, *panel, weights=known[::-1])


def test_bad_input_is_refused(model, later):
    X, y = later
    regression = LinearRegression().fit(X, y.fillna(0))
    with pytest.raises(TypeError, match="with `reconstruct`; got LinearRegression"):
        scorecard(regression, X, y)
    with (
        pytest.warns(UserWarning, match="Nothing says on which date"),
        pytest.raises(ValueError, match="Rows must have dates; got none"),
    ):
        scorecard(SimpleModel(1).fit(X.to_numpy(), y.to_numpy()), X.to_numpy(), y.to_numpy())
