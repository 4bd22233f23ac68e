import warnings

import numpy as np
import pytest
import torch

from skfactor._nn._arrays import to_single, to_tensor
from skfactor._nn._by_date import FitOfFactors, FitOfLeastSquares, Layout
from skfactor._nn._conditional import ConditionalAutoencoder
from skfactor._nn._members import Training, train_members
from skfactor._nn._panel_batches import DateBatches, PanelArrays, PanelDates
from skfactor.factor_models._beta_network import BetaNetwork

CPU = torch.device("cpu")
EVEN, RAGGED = (4, 4, 4), (3, 1, 5, 2)


def make_arrays(counts, n_features=3, missing=False, seed=0, **more):
    rng = np.random.default_rng(seed)
    n_rows = sum(counts)
    X = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    y = (X[:, 0] ** 2 - 1 + 0.3 * rng.normal(size=n_rows)).astype(np.float32)
    observed = None
    if missing:
        observed = (rng.random(n_rows) > 0.3).astype(np.float32)
        y *= observed
    return PanelArrays(X, y, observed, np.concatenate([[0], np.cumsum(counts)]), **more)


def make_network(n_members=1, **changes):
    params = {
        "n_features": 3,
        "hidden_layer_sizes": (5, 4),
        "n_latent": 2,
        "n_given": 0,
        "n_inputs": None,
        "batch_norm": "before",
        "dropout": 0.0,
        "ridge": 1e-3,
        "seeds": range(n_members),
        **changes,
    }
    return ConditionalAutoencoder(**params)


def make_training(**changes):
    params = {
        "network": {
            "n_features": 3,
            "hidden_layer_sizes": (5,),
            "n_latent": 2,
            "n_given": 0,
            "n_inputs": None,
            "batch_norm": "before",
            "dropout": 0.0,
            "ridge": 1e-3,
        },
        "l1": 0.01,
        "learning_rate": 0.01,
        "max_epochs": 8,
        "batch_size": 3,
        "patience": 3,
        "n_train": 9,
        "n_valid": 3,
        "order_seed": 0,
        "verbose": 0,
        **changes,
    }
    return Training(**params)


@pytest.mark.parametrize("counts", [EVEN, RAGGED])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("some_missing", [False, True])
def test_gradients_of_the_fits_are_the_finite_differences(counts, n_members, some_missing):
    torch.set_default_dtype(torch.float64)
    try:
        draw = torch.Generator().manual_seed(0)
        n_rows, layout = sum(counts), Layout(counts, CPU)
        betas = torch.randn(n_members, n_rows, 2, generator=draw).requires_grad_()
        returns = torch.randn(n_members, n_rows, generator=draw).requires_grad_()
        factors = torch.randn(n_members, len(counts), 2, generator=draw).requires_grad_()
        observed = None
        if some_missing:
            observed = (torch.rand(n_rows, generator=draw) > 0.3).double()
        assert torch.autograd.gradcheck(
            lambda b, r: FitOfLeastSquares.apply(b, r, observed, 0.1, layout), (betas, returns)
        )
        assert torch.autograd.gradcheck(
            lambda b, f: FitOfFactors.apply(b, f, layout), (betas, factors)
        )
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("counts", [EVEN, RAGGED])
@pytest.mark.parametrize("missing", [False, True])
def test_fits_by_least_squares_equal_a_loop_over_dates(counts, missing):
    arrays = make_arrays(counts, missing=missing)
    network = make_network(batch_norm=None)
    sections = PanelDates(arrays, CPU).take(range(len(counts)))
    with torch.no_grad():
        betas = network.betas(sections)[0].numpy().astype(np.float64)
        fits = network.fit(sections, leave_one_out=False)[0].numpy()
        without = network.fit(sections, leave_one_out=True)[0].numpy()
    seen = np.ones(len(fits)) if arrays.observed is None else arrays.observed

    def solve(B, r, strength):
        return np.linalg.solve(B.T @ B + strength * np.eye(2), B.T @ r)

    for start, stop in zip(arrays.starts[:-1], arrays.starts[1:], strict=True):
        here = np.arange(start, stop)
        known = here[seen[here] > 0]
        strength = 1e-3 * (betas[known] ** 2).sum() / 2 or 1.0
        f = solve(betas[known], arrays.target[known], strength)
        np.testing.assert_allclose(fits[here], betas[here] @ f, rtol=2e-3, atol=2e-4)
        inverse = np.linalg.inv(betas[known].T @ betas[known] + strength * np.eye(2))
        for i in here:
            others = known[known != i]
            f = solve(betas[others], arrays.target[others], strength)
            lonely = i in known and betas[i] @ inverse @ betas[i] > 0.99
            expected = 0.0 if lonely else betas[i] @ f
            np.testing.assert_allclose(without[i], expected, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("counts", [EVEN, RAGGED])
def test_fits_on_portfolios_and_observed_factors_equal_a_loop_over_dates(counts):
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(len(counts), 4)).astype(np.float32)
    given = rng.normal(size=(len(counts), 1)).astype(np.float32)
    arrays = make_arrays(counts, inputs=inputs, given=given)
    network = make_network(n_inputs=4, n_given=1, batch_norm=None)
    sections = PanelDates(arrays, CPU).take(range(len(counts)))
    with torch.no_grad():
        betas = network.betas(sections)[0].numpy()
        weights = network.factors.weight[0].numpy()
        fits = network.fit(sections, leave_one_out=False)[0].numpy()
    row = 0
    for t, count in enumerate(counts):
        factors = np.concatenate([inputs[t] @ weights, given[t]])
        for _ in range(count):
            assert fits[row] == pytest.approx(betas[row] @ factors, rel=1e-4, abs=1e-5)
            row += 1


def test_batches_are_whole_dates_of_nearly_equal_number():
    counts = (2, 5, 1, 3, 4, 6, 2)
    arrays = make_arrays(counts, missing=True)
    data = PanelDates(arrays, CPU)
    torch.manual_seed(0)
    batches = [sections for sections, _ in DateBatches(data, 3, shuffle=True)]
    assert sorted(len(batch.counts) for batch in batches) == [2, 2, 3]
    assert sorted(count for batch in batches for count in batch.counts) == sorted(counts)
    assert sum(batch.n_observed for batch in batches) == arrays.observed.sum()
    rows = {
        tuple(row): date for row, date in zip(arrays.X, np.repeat(range(7), counts), strict=True)
    }
    for batch in batches:
        dates = [rows[tuple(row)] for row in batch.Z.numpy()]
        assert dates == sorted(dates)
        assert np.bincount(dates, minlength=7).tolist() == [
            count if date in set(dates) else 0 for date, count in enumerate(counts)
        ]


def test_neighbouring_dates_are_not_copied():
    data = PanelDates(make_arrays(RAGGED), CPU)
    assert data.take([1, 2]).Z.data_ptr() == data.Z[3:].data_ptr()
    assert data.take([0, 2]).Z.tolist() == data.Z[[0, 1, 2, 4, 5, 6, 7, 8]].tolist()


def test_moments_of_a_batch_are_those_of_its_rows():
    arrays = make_arrays(RAGGED)
    arrays.X[:] += 100
    batch = PanelDates(arrays, CPU, moments=True).take([0, 2, 3])
    rows = batch.Z.numpy().astype(np.float64)
    np.testing.assert_allclose(batch.mean, rows.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(batch.covariance, np.cov(rows.T, bias=True), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_members", [1, 3])
def test_a_normalisation_taken_from_moments_is_the_normalisation(n_members):
    arrays = make_arrays((30, 20, 25))
    plain, folded = make_network(n_members), make_network(n_members)
    fits = plain(PanelDates(arrays, CPU).take([0, 1, 2]))
    same = folded(PanelDates(arrays, CPU, moments=True).take([0, 1, 2]))
    torch.testing.assert_close(fits, same, rtol=1e-3, atol=1e-4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, folded.state_dict()[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4)])
def test_a_trained_network_as_arrays_is_the_same_function(batch_norm, hidden):
    network = make_network(batch_norm=batch_norm, hidden_layer_sizes=hidden, dropout=0.2)
    sections = PanelDates(make_arrays((40, 30)), CPU).take([0, 1])
    for _ in range(3):
        network(sections)  # moves the running moments
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1
    network.eval()
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    scale = np.array([1.0, 3.0])
    betas = BetaNetwork.from_state(state, scale)(sections.Z.numpy())
    with torch.no_grad():
        expected = network.betas(sections)[0].numpy() * scale
    np.testing.assert_allclose(betas, expected, rtol=1e-4, atol=1e-5)
    assert betas.dtype == np.float64


@pytest.mark.parametrize("counts", [(20,) * 12, tuple(range(15, 27))])
def test_members_trained_side_by_side_are_those_trained_one_by_one(counts):
    arrays, training, seeds = make_arrays(counts), make_training(), [3, 1, 4]
    alone, _ = train_members(arrays, training, seeds, device="cpu", together=False)
    side_by_side, _ = train_members(arrays, training, seeds, device="cpu", together=True)
    for one, other in zip(alone, side_by_side, strict=True):
        assert one.best_epoch == other.best_epoch
        np.testing.assert_allclose(
            one.history["valid_loss"], other.history["valid_loss"], rtol=1e-3
        )
        for name, value in one.state.items():
            np.testing.assert_allclose(value, other.state[name], rtol=1e-2, atol=1e-3)


def test_each_member_keeps_the_weights_of_its_own_best_epoch():
    arrays = make_arrays((20,) * 12)
    training = make_training(max_epochs=40, patience=4, learning_rate=0.1)
    members, _ = train_members(arrays, training, range(4), device="cpu", together=True)
    lengths = {len(member.history["valid_loss"]) for member in members}
    assert len(lengths) > 1
    held_out = PanelDates(arrays.between(9, 12), CPU).take([0, 1, 2])
    for member in members:
        losses = member.history["valid_loss"]
        assert member.best_epoch == losses.argmin() + 1
        network = ConditionalAutoencoder(**training.network, seeds=[0], states=[member.state])
        with torch.no_grad():
            fits = network.eval()(held_out)[0]
        loss = float((fits - held_out.target).square().mean())
        assert loss == pytest.approx(losses.min(), rel=1e-4)


def test_the_penalty_takes_weights_towards_zero_and_leaves_other_parameters():
    arrays = make_arrays((20,) * 12)
    free, _ = train_members(arrays, make_training(l1=0.0, patience=None), [0], device="cpu")
    bound, _ = train_members(arrays, make_training(l1=10.0, patience=None), [0], device="cpu")

    def size(member):
        return sum(np.abs(v).sum() for name, v in member.state.items() if name.endswith("weight"))

    assert size(bound[0]) < 0.8 * size(free[0])
    assert np.abs(bound[0].state["hidden.0.norm.scale"] - 1).max() < 0.2


def test_a_read_only_array_becomes_a_tensor_without_a_warning_or_a_copy():
    values = np.arange(4.0)
    values.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = to_tensor(values)
    assert tensor.data_ptr() == values.ctypes.data


def test_single_precision_is_not_copied_and_its_limits_are_named():
    values = np.ones((3, 2), dtype=np.float32)
    assert to_single(values) is values
    with pytest.raises(ValueError, match=r"single precision.*column 'b'\. Take logs"):
        to_single(np.array([[1.0, 1e300]]), ["a", "b"])


def test_the_global_generators_are_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train_members(make_arrays((20,) * 12), make_training(), [0], device="cpu")
    assert torch.equal(torch.rand(3), expected)
