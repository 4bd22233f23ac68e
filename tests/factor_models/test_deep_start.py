"""What sorting networks are taught before they train."""

from types import SimpleNamespace

import numpy as np
import pytest

from skfactor.factor_models._deep_start import lesson_from
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


def betas_of(panel, latent, known):
    """Linear betas, with the given coefficients."""
    return np.column_stack([np.ones(panel.n_rows), panel.X]) @ np.column_stack([latent, known])


def teach(panel, given, latent, known, n_deep=1, n_valid=N_DATES - N_TRAIN):
    network = {"n_deep": n_deep, "weighting": "softmax"}
    training = SimpleNamespace(n_train=N_DATES - n_valid, n_valid=n_valid, network=network)
    return lesson_from(betas_of(panel, latent, known), training, panel, given)


def targets_of(panel, given, latent, known):
    return teach(panel, given, latent, known)[0]


def test_betas_are_with_respect_to_the_portfolios_so_sorted():
    panel, given, secret = make_panel()
    taught = targets_of(panel, given, TRUE_LATENT, TRUE_KNOWN)
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
    expected = targets_of(panel, given, TRUE_LATENT, TRUE_KNOWN)
    mixed = TRUE_KNOWN + share * np.outer(TRUE_LATENT, [1.0, -0.4])
    found = targets_of(panel, given, TRUE_LATENT, mixed)
    np.testing.assert_allclose(found, expected, atol=0.01 * expected.std(axis=0).max())


@pytest.mark.parametrize("share", [0.0, 2.0])
def test_a_factor_that_is_noise_is_not_trusted(share):
    panel, given, _ = make_panel(hidden=0.0)
    mixed = TRUE_KNOWN + share * np.outer(TRUE_LATENT, [1.0, -0.4])
    taught = targets_of(panel, given, TRUE_LATENT, mixed)
    assert np.abs(taught[:, 1]).max() < 0.15
    z = panel.X[: N_TRAIN * N_ASSETS]
    np.testing.assert_allclose(taught[:, 2], 1.0, atol=0.1)
    np.testing.assert_allclose(taught[:, 3], 0.5 * z[:, 0], atol=0.1)


def test_of_more_factors_than_are_asked_for_the_best_is_taught():
    panel, given, _ = make_panel()
    expected = targets_of(panel, given, TRUE_LATENT, TRUE_KNOWN)
    nothing = np.array([0.0, 0.0, 0.0, 1.0])
    for both in ([nothing, TRUE_LATENT], [TRUE_LATENT + nothing, TRUE_LATENT - nothing]):
        found = targets_of(panel, given, np.column_stack(both), TRUE_KNOWN)
        assert found.shape == expected.shape
        assert abs(np.corrcoef(found[:, 0], expected[:, 0])[0, 1]) > 0.99
        np.testing.assert_allclose(found[:, 1:], expected[:, 1:], atol=0.15)


@pytest.mark.parametrize("n_valid", [12, 0])
def test_the_loss_is_that_of_fits_without_the_own_return(n_valid):
    panel, given, _ = make_panel()
    targets, loss = teach(panel, given, TRUE_LATENT, TRUE_KNOWN, n_valid=n_valid)
    whole, _ = teach(panel, given, TRUE_LATENT, TRUE_KNOWN, n_valid=0)
    weights = long_short_weights(whole[:, :1], panel.starts, "softmax")[:, 0]
    # Betas are linear, so that those of the dates held out follow from the others.
    rows = slice(0 if n_valid == 0 else N_TRAIN * N_ASSETS, None)
    design = np.column_stack([np.ones(panel.n_rows), panel.X])
    betas = design @ np.linalg.lstsq(design[: len(targets)], targets[:, 1:], rcond=None)[0]
    at = np.repeat(np.arange(N_DATES), N_ASSETS)
    sign = np.sign(np.corrcoef(targets[:, 0], whole[: len(targets), 0])[0, 1])
    earned = sign * weights * panel.y
    others = earned.reshape(N_DATES, N_ASSETS).sum(axis=1)[at] - earned
    fits = betas[:, 0] * others + (betas[:, 1:] * given[at]).sum(axis=1)
    assert loss == pytest.approx(((panel.y - fits)[rows] ** 2).mean(), rel=1e-6)


def test_betas_that_explain_less_are_known_by_their_loss():
    panel, given, _ = make_panel()
    right = teach(panel, given, TRUE_LATENT, TRUE_KNOWN)[1]
    blurred = teach(panel, given, TRUE_LATENT + np.array([0, 0, 0, 0.7]), TRUE_KNOWN)[1]
    wrong = teach(panel, given, np.array([0.0, 1.0, 0.0, 0.0]), TRUE_KNOWN)[1]
    nothing = teach(panel, given, 0 * TRUE_LATENT, TRUE_KNOWN)[1]
    alone = teach(panel, given, np.empty((4, 0)), TRUE_KNOWN, n_deep=0)[1]
    assert right < 0.9 * blurred < 0.9 * wrong
    assert wrong == pytest.approx(nothing, rel=0.01)
    assert nothing == alone


def test_a_network_without_a_factor_teaches_the_benchmark_alone():
    panel, given, _ = make_panel()
    taught = targets_of(panel, given, 0 * TRUE_LATENT, TRUE_KNOWN)
    assert not taught[:, :2].any()
    np.testing.assert_allclose(taught[:, 2], 1.0, atol=1e-4)


def test_missing_returns_are_left_out():
    panel, given, _ = make_panel()
    y = panel.y.copy()
    y[::11] = np.nan
    gappy = Panel(X=panel.X, y=y, starts=panel.starts)
    taught = targets_of(gappy, given, TRUE_LATENT, TRUE_KNOWN)
    full = targets_of(panel, given, TRUE_LATENT, TRUE_KNOWN)
    assert np.isfinite(taught).all()
    assert np.abs(taught - full).max() < 0.2 * np.abs(full).max()
