import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skfactor._validation import InvalidParameterError
from skfactor.datasets import GKXPanel, make_gkx_panel

TABLES = ("X", "y", "betas", "factors", "portfolios", "premia")
SMALL = {"n_assets": 20, "n_dates": 30, "n_features": 6, "n_portfolios": 8}


@pytest.fixture(scope="module", params=["a", "b"])
def panel(request):
    return make_gkx_panel(request.param, random_state=0)


@pytest.fixture(scope="module")
def draws():
    """Many draws of each model, of the length of the article's test block."""
    sizes = {"n_dates": 60, "n_features": 3, "n_portfolios": 3}
    return {
        model: [make_gkx_panel(model, **sizes, random_state=seed) for seed in range(40)]
        for model in ("a", "b")
    }


def r2(y, fit):
    return 1 - ((y - fit) ** 2).sum() / (y**2).sum()


def product(betas, factors):
    """Multiply the betas of each date by its factors."""
    blocks = np.split(betas.to_numpy(), len(factors))
    fits = [block @ row for block, row in zip(blocks, factors.to_numpy(), strict=True)]
    return pd.Series(np.concatenate(fits), index=betas.index)


def least_squares_fit(panel):
    fits = []
    for date in panel.factors.index:
        betas = panel.betas.loc[date].to_numpy()
        factors, *_ = np.linalg.lstsq(betas, panel.y.loc[date].to_numpy(), rcond=None)
        fits.append(betas @ factors)
    return pd.Series(np.concatenate(fits), index=panel.y.index)


def pooled_r2(pairs):
    """Return the R² of all draws together, and its standard error."""
    lost = np.array([((y - fit) ** 2).sum() for y, fit in pairs])
    total = np.array([(y**2).sum() for y, _ in pairs])
    score = 1 - lost.sum() / total.sum()
    influence = (total - lost) - score * total
    return score, np.sqrt((influence**2).sum()) / total.sum()


def test_tables_have_the_stated_shapes_and_names(panel):
    assert isinstance(panel, GKXPanel)
    assert panel.X.shape == (36_000, 50)
    assert panel.y.shape == (36_000,)
    assert panel.betas.shape == (36_000, 3)
    assert panel.factors.shape == (180, 3)
    assert panel.portfolios.shape == (180, 50)
    assert panel.X.index.names == ["date", "asset"]
    assert panel.X.index.is_monotonic_increasing
    assert panel.X.index.is_unique
    assert panel.X.index.equals(panel.y.index)
    assert panel.X.index.equals(panel.betas.index)
    assert list(panel.X.columns[:2]) == ["c1", "c2"]
    assert list(panel.portfolios.columns[:2]) == ["x1", "x2"]
    assert list(panel.betas) == list(panel.factors) == list(panel.premia.index)
    assert panel.factors.index.equals(panel.portfolios.index)
    assert (panel.factors.index == panel.factors.index + pd.offsets.MonthEnd(0)).all()
    assert repr(panel) == "GKXPanel(200 assets, 180 dates, 50 characteristics, 50 portfolios)"


def test_characteristics_are_the_ranks_of_each_date_between_minus_one_and_one(panel):
    expected = 2 * np.arange(1, 201) / 201 - 1
    cube = np.sort(panel.X.to_numpy().reshape(180, 200, 50), axis=1)
    assert_allclose(cube, np.broadcast_to(expected[:, None], cube.shape), atol=1e-15)
    assert np.abs(panel.X.to_numpy()).max() < 1


def test_ranks_follow_a_persistent_autoregression(panel):
    cube = panel.X.to_numpy().reshape(180, 200, 50)
    persistence = [
        np.corrcoef(cube[1:, :, j].ravel(), cube[:-1, :, j].ravel())[0, 1] for j in range(50)
    ]
    assert 0.85 < min(persistence) < 0.93
    assert 0.97 < max(persistence) < 1


def test_betas_are_the_stated_functions_of_three_characteristics():
    a = make_gkx_panel("a", **SMALL, random_state=1)
    b = make_gkx_panel("b", **SMALL, random_state=1)
    for row in (0, 7, 333):
        c1, c2, c3 = a.X.iloc[row, :3]
        assert_allclose(a.betas.iloc[row], [1.2 * c1, c2, 0.8 * c3])
        assert_allclose(b.betas.iloc[row], [c1**2, 2 * c1 * c2, 0.6 * np.sign(c3)])


def test_factors_are_the_first_portfolios_with_a_small_noise(panel):
    difference = panel.factors.to_numpy() - panel.portfolios.iloc[:, :3].to_numpy()
    assert_allclose(difference.std(), 0.01, rtol=0.1)
    assert abs(difference.mean()) < 0.002


def test_portfolios_have_the_stated_moments(panel):
    values = panel.portfolios.to_numpy()
    assert_allclose(values.mean(), 0.03, atol=4 * 0.1 / np.sqrt(values.size))
    assert_allclose(values.std(), 0.1, rtol=0.03)
    assert_allclose(panel.premia, 0.03)


def test_noise_is_a_student_with_scale_a_tenth(panel):
    noise = (panel.y - product(panel.betas, panel.factors)).to_numpy()
    assert_allclose(noise.std(), 0.1 * np.sqrt(5 / 3), rtol=0.03)
    assert stats.kstest(noise / 0.1, stats.t(5).cdf).pvalue > 0.001
    by_date = noise.reshape(180, 200)
    pairs = np.corrcoef(by_date)[np.triu_indices(180, 1)]
    assert_allclose(pairs.mean(), 0, atol=0.005)


@pytest.mark.parametrize(("model", "total"), [("a", 0.404), ("b", 0.399)])
def test_true_betas_and_factors_explain_what_the_closed_form_says(draws, model, total):
    beta_squares = {"a": 3.08 / 3, "b": 1 / 5 + 4 / 9 + 0.36}[model]
    assert_allclose(beta_squares * 0.011 / (beta_squares * 0.011 + 0.01 * 5 / 3), total, atol=5e-4)
    score, error = pooled_r2([(d.y, product(d.betas, d.factors)) for d in draws[model]])
    assert error < 0.01
    assert abs(score - total) < 3 * error


@pytest.mark.parametrize("model", ["a", "b"])
def test_true_betas_and_premia_predict_three_percent(draws, model):
    score, error = pooled_r2([(d.y, d.betas @ d.premia) for d in draws[model]])
    assert error < 0.005
    assert abs(score - 0.033) < 3 * error


def test_least_squares_factors_on_the_true_betas_recover_the_factors(panel):
    fit = least_squares_fit(panel)
    truth = product(panel.betas, panel.factors)
    # Three estimated factors a date explain three two-hundredths of the noise besides.
    assert_allclose(r2(panel.y, fit) - r2(panel.y, truth), 0.6 * 3 / 200, atol=0.002)


def test_without_signal_the_returns_are_the_noise_of_the_same_draw():
    full = make_gkx_panel("b", **SMALL, random_state=4)
    bare = make_gkx_panel("b", **SMALL, signal=False, random_state=4)
    noise = full.y - product(full.betas, full.factors)
    assert_allclose(bare.y, noise, atol=1e-15)
    assert (bare.betas == 0).all(axis=None)
    pd.testing.assert_frame_equal(bare.X, full.X)
    pd.testing.assert_frame_equal(bare.factors, full.factors)
    pd.testing.assert_frame_equal(bare.portfolios, full.portfolios)


def test_without_noise_betas_and_factors_explain_everything():
    panel = make_gkx_panel("b", **SMALL, noise_scale=0, random_state=4)
    assert_allclose(panel.y, product(panel.betas, panel.factors), atol=1e-15)


def test_models_share_all_but_betas_and_returns():
    a = make_gkx_panel("a", **SMALL, random_state=5)
    b = make_gkx_panel("b", **SMALL, random_state=5)
    for name in ("X", "factors", "portfolios"):
        pd.testing.assert_frame_equal(getattr(a, name), getattr(b, name))
    assert not np.allclose(a.y, b.y)


def test_equal_seeds_give_equal_panels_and_others_do_not():
    first = make_gkx_panel(**SMALL, random_state=3)
    again = make_gkx_panel(**SMALL, random_state=3)
    other = make_gkx_panel(**SMALL, random_state=4)
    for name in TABLES:
        assert getattr(first, name).equals(getattr(again, name))
    for name in ("X", "y", "factors", "portfolios"):
        assert not getattr(first, name).equals(getattr(other, name))


def test_the_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    make_gkx_panel(**SMALL, random_state=0)
    assert_array_equal(np.random.get_state()[1], before)


def test_the_start_and_the_burn_in_can_be_chosen():
    panel = make_gkx_panel(**SMALL, start="1957-03", random_state=0)
    assert panel.factors.index[0] == pd.Timestamp("1957-03-31")
    other = make_gkx_panel(**SMALL, burn_in=0, random_state=0)
    assert not other.X.equals(panel.X)
    assert other.X.shape == panel.X.shape


def test_the_smallest_panel_has_one_asset_and_one_date():
    panel = make_gkx_panel(n_assets=1, n_dates=1, n_features=3, n_portfolios=3, random_state=0)
    assert panel.X.to_numpy().tolist() == [[0.0, 0.0, 0.0]]
    assert np.isfinite(panel.y).all()


def test_a_panel_can_be_pickled():
    panel = make_gkx_panel(**SMALL, random_state=0)
    copy = pickle.loads(pickle.dumps(panel))
    for name in TABLES:
        assert getattr(copy, name).equals(getattr(panel, name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "c"}, "The 'model' parameter"),
        ({"n_features": 2}, "The 'n_features' parameter"),
        ({"n_portfolios": 2}, "The 'n_portfolios' parameter"),
        ({"n_assets": 0}, "The 'n_assets' parameter"),
        ({"n_dates": 0}, "The 'n_dates' parameter"),
        ({"noise_scale": -1.0}, "The 'noise_scale' parameter"),
        ({"burn_in": -1}, "The 'burn_in' parameter"),
        ({"signal": "yes"}, "The 'signal' parameter"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        make_gkx_panel(**options)
