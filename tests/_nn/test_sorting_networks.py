"""The sorting network in torch, against loops over dates, and against its NumPy twin."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from skfactor._nn._by_date import Layout
from skfactor._nn._deep_characteristic import (
    DeepCharacteristics,
    Objective,
    _Rank,
    dropout_of,
    legs,
    penalised_weights,
    shares,
    spread,
    sum_by_date,
)
from skfactor._nn._imitation import imitate
from skfactor._nn._panel_batches import PanelArrays, PanelDates
from skfactor.factor_models._sorting import SortingMember, long_short_weights

COUNTS = (5, 1, 9, 4)
STARTS = np.concatenate([[0], np.cumsum(COUNTS)])
NETWORK = {
    "n_features": 6,
    "hidden_layer_sizes": (7, 5),
    "beta_layer_sizes": (4,),
    "n_deep": 2,
    "n_given": 3,
    "activation": "tanh",
    "weighting": "softmax",
    "dropout": 0.0,
}


def _panel(seed=0, missing=True):
    rng = np.random.default_rng(seed)
    n = STARTS[-1]
    observed = (rng.random(n) > 0.3).astype(np.float32) if missing else None
    target = rng.normal(0, 0.1, n).astype(np.float32)
    return PanelArrays(
        X=rng.normal(size=(n, 6)).astype(np.float32),
        target=target if observed is None else target * observed,
        observed=observed,
        starts=STARTS,
        given=rng.normal(0, 0.05, (4, 3)).astype(np.float32),
        assets=rng.integers(0, 9, n),
    )


def _layout():
    return Layout(COUNTS, torch.device("cpu"))


def _reference_weights(values, weighting):
    """One date and one deep characteristic at a time, as the definition reads."""
    weights = np.zeros_like(values)
    for start, stop in itertools.pairwise(STARTS):
        for k in range(values.shape[1]):
            y = values[start:stop, k]
            if weighting == "softmax":
                z = (y - y.mean()) / y.std() if y.std() > 0 else 0 * y
                up, down = np.exp(-50 * np.exp(-5 * z)), np.exp(-50 * np.exp(5 * z))
            else:
                c = rankdata(y) - (len(y) + 1) / 2 if weighting == "rank" else y - y.mean()
                up, down = np.maximum(c, 0), np.maximum(-c, 0)
            for leg, sign in ((up, 1), (down, -1)):
                if leg.sum() > 0:
                    weights[start:stop, k] += sign * leg / leg.sum()
    return weights


@pytest.mark.parametrize("weighting", ["softmax", "rank", "zscore"])
def test_weights_are_those_of_a_loop_over_dates_in_torch_and_in_numpy(weighting):
    values = np.random.default_rng(1).normal(size=(STARTS[-1], 2))
    values[3] = values[2]  # a tie
    expected = _reference_weights(values, weighting)
    layout = _layout()
    up, down = legs(torch.from_numpy(values)[None], layout, weighting)
    in_torch = (shares(up, layout) - shares(down, layout))[0].numpy()
    np.testing.assert_allclose(in_torch, expected, atol=1e-12)
    np.testing.assert_allclose(long_short_weights(values, STARTS, weighting), expected, atol=1e-12)


@pytest.mark.parametrize("weighting", ["softmax", "rank", "zscore"])
def test_each_leg_sums_to_one_and_one_asset_is_not_held(weighting):
    values = np.random.default_rng(2).normal(size=(200, 1))
    weights = long_short_weights(values, np.array([0, 1, 200]), weighting)
    assert weights[0] == 0
    assert weights[1:].clip(min=0).sum() == pytest.approx(1.0)
    assert weights[1:].clip(max=0).sum() == pytest.approx(-1.0)


@pytest.mark.parametrize("weighting", ["softmax", "rank", "zscore"])
def test_equal_assets_are_not_held(weighting):
    weights = long_short_weights(np.full((6, 1), 3.3), np.array([0, 6]), weighting)
    np.testing.assert_allclose(weights, 0.0, atol=1e-12)


@pytest.mark.parametrize("weighting", ["softmax", "rank", "zscore"])
def test_swapping_the_sign_of_a_deep_characteristic_swaps_the_legs(weighting):
    values = np.random.default_rng(3).normal(size=(STARTS[-1], 2))
    weights = long_short_weights(values, STARTS, weighting)
    np.testing.assert_allclose(long_short_weights(-values, STARTS, weighting), -weights, atol=1e-12)


def test_softmax_ranks_survive_an_extreme_value_in_single_precision():
    values = torch.zeros(1, 1000, 1)
    values[0, 0] = 1e6
    values.requires_grad_()
    up, down = legs(values, Layout((1000,), torch.device("cpu")), "softmax")
    (up.sum() + down.sum()).backward()
    assert torch.isfinite(up).all()
    assert torch.isfinite(values.grad).all()


def test_sums_and_repeats_by_date_have_the_right_gradients():
    layout = _layout()
    rows = torch.randn(2, STARTS[-1], 3, dtype=torch.float64, requires_grad=True)
    dates = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: sum_by_date(v, layout), rows)
    assert torch.autograd.gradcheck(lambda v: spread(v, layout), dates)
    even = Layout((3, 3), torch.device("cpu"))
    six = torch.randn(1, 6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: sum_by_date(v, even), six)


@pytest.mark.parametrize("weighting", ["softmax", "zscore"])
def test_weights_have_the_right_gradients(weighting):
    layout = _layout()
    values = torch.randn(1, STARTS[-1], 2, dtype=torch.float64, requires_grad=True)
    keep = torch.ones(STARTS[-1], dtype=torch.bool)
    keep[5] = False  # the date with one asset is a kink

    def weights(v):
        up, down = legs(v, layout, weighting)
        return (shares(up, layout) - shares(down, layout))[:, keep]

    assert torch.autograd.gradcheck(weights, values, atol=1e-4)


def test_gradient_of_ranks_is_about_that_of_smooth_ranks():
    layout = Layout((20_000,), torch.device("cpu"))
    score = torch.randn(
        1, 20_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    moved = _Rank.apply(score + 0.02 * score**2, layout) - _Rank.apply(score, layout)
    score.requires_grad_()
    _Rank.apply(score, layout).sum().backward()
    predicted = (0.02 * score.detach() ** 2 * score.grad)[0, :, 0]
    # All move up beside each other: what is left is the move against the mean of neighbours.
    assert moved.abs().max() < 2 * predicted.max()
    assert (score.grad > 0).all()


def _loop_fits(module, arrays, leave_one_out):
    state = {name: value.double().numpy() for name, value in module.state_dict().items()}
    member = SortingMember.from_state(state, "tanh", "softmax", 1)
    betas = member.betas(arrays.X)
    values = member.sorting(arrays.X)
    weights = _reference_weights(values, "softmax")
    fits = np.empty(len(betas))
    for t, (start, stop) in enumerate(itertools.pairwise(STARTS)):
        for i in range(start, stop):
            returns = arrays.target[start:stop].astype(float)
            if leave_one_out:
                returns[i - start] = 0.0
            factors = np.concatenate([weights[start:stop].T @ returns, arrays.given[t]])
            fits[i] = betas[i] @ factors
    return fits


@pytest.mark.parametrize("training", [True, False])
def test_fits_are_those_of_a_loop_over_rows(training):
    arrays = _panel()
    module = DeepCharacteristics(**NETWORK, seeds=[4]).train(training)
    sections = PanelDates(arrays, torch.device("cpu")).take(range(4))
    fits = module(sections)[0].detach().numpy()
    np.testing.assert_allclose(fits, _loop_fits(module, arrays, not training), atol=2e-6)


def test_members_side_by_side_fit_as_they_do_alone():
    sections = PanelDates(_panel(), torch.device("cpu")).take(range(4))
    together = DeepCharacteristics(**NETWORK, seeds=[4, 5]).eval()
    for m, seed in enumerate((4, 5)):
        alone = DeepCharacteristics(**NETWORK, seeds=[seed]).eval()
        torch.testing.assert_close(together(sections)[m], alone(sections)[0])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_gradients_in_numpy_are_those_of_torch(activation):
    network = {**NETWORK, "activation": activation}
    module = DeepCharacteristics(**network, seeds=[1]).double()
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    member = SortingMember.from_state(state, activation, "softmax", 1)
    X = np.random.default_rng(0).normal(size=(11, 6))
    jacobian = torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda z: module.sorting(z[None, None])[0, 0], torch.from_numpy(row)
            )
            for row in X
        ]
    ).numpy()
    np.testing.assert_allclose(member.sorting.gradients(X), jacobian, atol=1e-12)
    np.testing.assert_allclose(
        member.sorting.mean_gradients(X), np.abs(jacobian).mean(axis=(0, 1)), atol=1e-12
    )


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("alpha", ["date", "asset"])
def test_loss_is_the_mean_over_observed_returns_and_the_square_of_mean_errors(loss, alpha):
    arrays = _panel()
    sections = PanelDates(arrays, torch.device("cpu")).take(range(4))
    fits = np.random.default_rng(5).normal(0, 0.1, (1, STARTS[-1])).astype(np.float32)
    aim = Objective(loss, 0.05, alpha, 0.7, {}, 9)
    seen = arrays.observed > 0
    e = (fits[0] - arrays.target).astype(float)
    size = np.abs(e)
    each = {
        "mse": e**2,
        "mae": size,
        "huber": np.where(size < 0.05, e**2 / 2, 0.05 * (size - 0.025)),
    }[loss]
    groups = arrays.assets if alpha == "asset" else np.repeat(np.arange(4), COUNTS)
    alphas = [e[seen & (groups == g)].mean() for g in np.unique(groups[seen])]
    expected = each[seen].mean() + 0.7 * np.mean(np.square(alphas))
    got = float(aim.of_fits(torch.from_numpy(fits), sections)[0])
    assert got == pytest.approx(expected, rel=1e-5)


def test_penalties_are_on_all_layers_but_the_last():
    l1, l2 = penalised_weights(NETWORK)
    assert l1 == ["sorting.layers.0.weight", "sorting.layers.1.weight"]
    assert l2 == ["deep_betas.layers.0.weight", "given_betas.layers.0.weight"]
    assert penalised_weights({**NETWORK, "n_deep": 0}) == ([], ["given_betas.layers.0.weight"])


def test_the_network_of_the_study_has_3227_parameters():
    network = {
        "n_features": 50,
        "hidden_layer_sizes": (32, 16, 8),
        "beta_layer_sizes": (8, 4),
        "n_deep": 2,
        "n_given": 3,
        "activation": "tanh",
        "weighting": "softmax",
        "dropout": 0.25,
    }
    module = DeepCharacteristics(**network, seeds=[0])
    assert sum(p.numel() for p in module.parameters()) == 3227


def test_dropout_silences_its_share_and_keeps_the_mean():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = dropout_of(torch.ones(400, 500), 0.25)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 4 / 3])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.005)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    by_column = (dropped == 0).float().mean(dim=0)
    assert float(by_column.min()) > 0.15
    assert float(by_column.max()) < 0.35


def test_a_pupil_learns_smooth_functions_in_the_units_it_is_told():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3000, 6)).astype(np.float32)
    targets = np.column_stack(
        [X[:, 0], X[:, 1], 5 + 0.1 * X[:, 0], -3 * X[:, 1], 1 + X[:, 2], X[:, 3], X[:, 4]]
    )
    state = imitate(NETWORK, X, targets, 0, "cpu")
    member = SortingMember.from_state(state, "tanh", "softmax", 0)
    errors = member.betas(X) - targets[:, 2:]
    assert (errors.std(axis=0) < 0.2 * targets[:, 2:].std(axis=0)).all()
    deep = member.sorting(X)
    assert np.corrcoef(deep[:, 0], X[:, 0])[0, 1] > 0.98
    np.testing.assert_allclose(deep.std(axis=0), 1.0, atol=0.1)
