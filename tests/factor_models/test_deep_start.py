"""What sorting networks are taught by a network of least squares."""

from types import SimpleNamespace

import numpy as np
import pytest

from skfactor._nn._conditional import ConditionalAutoencoder
from skfactor.factor_models._deep_fit import _TEACHER, _lessons
from skfactor.factor_models._sorting import long_short_weights
from skfactor.panel._panel import Panel

N_DATES, N_ASSETS, N_TRAIN = 60, 80, 48
# Linear betas: constant, z0, z1, z2.
TRUE_LATENT = np.array([0.0, 0.0, 1.0, 0.0])
TRUE_KNOWN = np.array([[1.0, 0.0], [0.0, 0.5], [0.0, 0.0], [0.0, 0.0]])


def make_panel(seed=0, hidden=1.0):
    """Betas of 1 and of 0.5 z0 on the benchmark; of z1 on a hidden factor."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (N_DATES * N_ASSETS, 3))
    given = rng.normal(0, 0.05, (N_DATES, 2))
    secret = hidden * rng.normal(0, 0.05, N_DATES)
    at = np.repeat(np.arange(N_DATES), N_ASSETS)
    y = given[at, 0] + 0.5 * X[:, 0] * given[at, 1] + X[:, 1] * secret[at]
    y += rng.normal(0, 0.02, len(y))
    return Panel(X=X, y=y, starts=np.arange(N_DATES + 1) * N_ASSETS), given, secret


def teacher(latent, known):
    """A network of least squares whose betas are linear, with the given coefficients."""
    coefficients = np.column_stack([latent, known])
    n_latent = coefficients.shape[1] - 2
    network = {"n_features": 3, "n_latent": n_latent, "n_given": 2, "n_inputs": None, **_TEACHER}
    module = ConditionalAutoencoder(**network, seeds=[0])
    state = {name: value.numpy().copy() for name, value in module.state_dict().items()}
    # Of a pair of units one is on at a time, so that together they pass a characteristic on.
    weight = np.zeros((3, 32), dtype=np.float32)
    output = np.zeros((32, n_latent + 2), dtype=np.float32)
    for j in range(3):
        for unit, sign in ((2 * j, 1.0), (2 * j + 1, -1.0)):
            weight[j, unit] = sign
            output[unit] = sign * coefficients[1 + j]
    state["hidden.0.linear.weight"][0] = weight
    state["output.weight"][0] = output
    state["output.bias"][0] = coefficients[0]
    return state


def lessons(state, panel, given):
    training = SimpleNamespace(n_train=N_TRAIN, n_valid=N_DATES - N_TRAIN)
    network = {"n_deep": 1, "weighting": "softmax"}
    return _lessons(state, np.ones(state["output.bias"].size), network, training, panel, given)


def test_betas_are_with_respect_to_the_portfolios_so_sorted():
    panel, given, secret = make_panel()
    taught = lessons(teacher(TRUE_LATENT, TRUE_KNOWN), panel, given)
    z = panel.X[: N_TRAIN * N_ASSETS]
    assert abs(np.corrcoef(taught[:, 0], z[:, 1])[0, 1]) == pytest.approx(1.0, abs=1e-4)
    weights = long_short_weights(taught[:, :1], panel.starts[: N_TRAIN + 1], "softmax")
    earned = (weights[:, 0] * panel.y[: len(z)]).reshape(N_TRAIN, N_ASSETS).sum(axis=1)
    at = np.repeat(np.arange(N_TRAIN), N_ASSETS)
    fits = taught[:, 1] * earned[at] + (taught[:, 2:] * given[at]).sum(axis=1)
    truth = given[at, 0] + 0.5 * z[:, 0] * given[at, 1] + z[:, 1] * secret[at]
    errors, noise = panel.y[: len(z)] - fits, panel.y[: len(z)] - truth
    assert errors.var() < 1.1 * noise.var()


@pytest.mark.parametrize("share", [-0.7, 2.0])
def test_how_much_of_the_benchmark_a_latent_factor_holds_does_not_matter(share):
    # Least squares fit the same returns: the factor takes less of what the betas take more.
    panel, given, _ = make_panel()
    expected = lessons(teacher(TRUE_LATENT, TRUE_KNOWN), panel, given)
    mixed = TRUE_KNOWN + share * np.outer(TRUE_LATENT, [1.0, -0.4])
    found = lessons(teacher(TRUE_LATENT, mixed), panel, given)
    np.testing.assert_allclose(found, expected, atol=0.01 * expected.std(axis=0).max())


@pytest.mark.parametrize("share", [0.0, 2.0])
def test_a_factor_that_is_noise_is_not_trusted(share):
    panel, given, _ = make_panel(hidden=0.0)
    mixed = TRUE_KNOWN + share * np.outer(TRUE_LATENT, [1.0, -0.4])
    taught = lessons(teacher(TRUE_LATENT, mixed), panel, given)
    assert np.abs(taught[:, 1]).max() < 0.15
    z = panel.X[: N_TRAIN * N_ASSETS]
    np.testing.assert_allclose(taught[:, 2], 1.0, atol=0.1)
    np.testing.assert_allclose(taught[:, 3], 0.5 * z[:, 0], atol=0.1)


def test_of_more_factors_than_are_asked_for_the_best_is_taught():
    panel, given, _ = make_panel()
    expected = lessons(teacher(TRUE_LATENT, TRUE_KNOWN), panel, given)
    nothing = np.array([0.0, 0.0, 0.0, 1.0])
    for both in ([nothing, TRUE_LATENT], [TRUE_LATENT + nothing, TRUE_LATENT - nothing]):
        found = lessons(teacher(np.column_stack(both), TRUE_KNOWN), panel, given)
        assert found.shape == expected.shape
        assert abs(np.corrcoef(found[:, 0], expected[:, 0])[0, 1]) > 0.99
        np.testing.assert_allclose(found[:, 1:], expected[:, 1:], atol=0.15)


def test_a_network_without_a_factor_teaches_the_benchmark_alone():
    panel, given, _ = make_panel()
    taught = lessons(teacher(0 * TRUE_LATENT, TRUE_KNOWN), panel, given)
    assert not taught[:, :2].any()
    np.testing.assert_allclose(taught[:, 2], 1.0, atol=1e-4)


def test_missing_returns_are_left_out():
    panel, given, _ = make_panel()
    y = panel.y.copy()
    y[::11] = np.nan
    gappy = Panel(X=panel.X, y=y, starts=panel.starts)
    taught = lessons(teacher(TRUE_LATENT, TRUE_KNOWN), gappy, given)
    full = lessons(teacher(TRUE_LATENT, TRUE_KNOWN), panel, given)
    assert np.isfinite(taught).all()
    assert np.abs(taught - full).max() < 0.2 * np.abs(full).max()
