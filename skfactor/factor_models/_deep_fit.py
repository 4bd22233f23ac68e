"""Training of a deep characteristics model: from a panel to the weights of its members."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np

from skfactor._kernels._sections import section_least_squares
from skfactor._nn._arrays import to_single
from skfactor._nn._deep_characteristic import (
    DeepCharacteristics,
    DeepNet,
    Objective,
    penalised_weights,
)
from skfactor._nn._imitation import imitate, losses_of
from skfactor._nn._members import TrainedMember, Training, train_members
from skfactor._nn._panel_batches import PanelArrays
from skfactor._typing import FloatArray
from skfactor._validation import draw_seed
from skfactor.factor_models._align import canonical_rotation
from skfactor.factor_models._beta_network import BetaNetwork
from skfactor.factor_models._sorting import long_short_weights
from skfactor.panel._panel import Panel

# Huber's constant, 95 % as efficient as least squares on normal errors, and what makes the
# median absolute value a standard deviation.
_HUBER, _MAD = 1.345, 1.4826
# The network of least squares whose betas are imitated: that of the conditional autoencoder.
_RIDGE = 1e-3
_TEACHER = {"hidden_layer_sizes": (32,), "batch_norm": "before", "dropout": 0.0, "ridge": _RIDGE}
_TEACHER_L1, _TEACHER_BATCH, _TEACHER_RATE = 2e-3, 12, 0.01
_TEACHER_EPOCHS, _TEACHER_PATIENCE = 100, 15
# Factors more than are asked for. With just as many, two of three trainings of a simulated panel
# ended with one of its two factors lost; with one more, none. The best are kept.
_SPARE = 1
# Rows that are enough to learn a function of characteristics from.
_LESSONS = 60_000
# Weights that were taught are refined in smaller steps than weights that were drawn.
_REFINEMENT = 0.1
_LEAST_MOMENT = 1e-20


@dataclass(frozen=True, eq=False)
class DeepFit:
    """What training leaves.

    Parameters
    ----------
    members : list of TrainedMember
        Those kept, the best first; empty if the user interrupted too early.
    losses : ndarray of shape (n_members * n_restarts,)
        What restarts were compared by.
    interrupted : bool
        Whether the user stopped the training.
    """

    members: list[TrainedMember]
    losses: FloatArray = field(default_factory=lambda: np.empty(0))
    interrupted: bool = False


def fit_deep(model: Any, network: dict[str, Any], panel: Panel, given: FloatArray) -> DeepFit:
    """Train the members of a model.

    Parameters
    ----------
    model : DeepCharacteristicFactorModel
        For its parameters.
    network : dict
        Arguments of the module, but for the seeds.
    panel : Panel
        Characteristics and returns.
    given : ndarray of shape (n_dates, n_given)
        Benchmark factors.

    Returns
    -------
    DeepFit
        The members.
    """
    rng = np.random.default_rng(draw_seed(model.random_state))
    n_draws = model.n_members * model.n_restarts
    order_seed, *seeds = rng.integers(2**31 - 1, size=1 + n_draws).tolist()
    arrays = _arrays(panel, given, model)
    training = _training(model, network, panel, order_seed)
    where = {"device": model.device, "n_jobs": model.n_jobs}
    if model.start == "random":
        trained, interrupted = train_members(arrays, training, seeds, **where)
        losses = np.array([_judged(member) for member in trained])
        order = np.argsort(losses, kind="stable")[: model.n_members]
        return DeepFit([trained[m] for m in order], losses, interrupted)
    scale = _root_mean_square(panel.returns[: int(panel.starts[training.n_train])])
    given_scale = np.array([_root_mean_square(c[: training.n_train]) for c in given.T])
    teaching = _teaching(training)
    teachers, interrupted = train_members(
        _standardised(arrays, scale, given_scale), teaching, seeds, **where
    )
    if not teachers:
        return DeepFit([], interrupted=True)
    losses = np.array([_judged(teacher) for teacher in teachers]) * scale**2
    order = np.argsort(losses, kind="stable")[: model.n_members]
    n_latent = teaching.network["n_latent"]
    beta_scale = np.concatenate([np.ones(n_latent), scale / given_scale])
    lessons = [
        (_lessons(teachers[m].state, beta_scale, network, training, panel, given), seeds[m])
        for m in order
    ]
    n_rows = int(panel.starts[training.n_train])
    rows = np.sort(rng.permutation(n_rows)[:_LESSONS])
    states = joblib.Parallel(n_jobs=model.n_jobs)(
        joblib.delayed(imitate)(network, arrays.X[rows], targets[rows], seed, model.device)
        for targets, seed in lessons
    )
    best = [seeds[m] for m in order]
    refined: list[TrainedMember] = []
    if not interrupted:
        steps = replace(training, learning_rate=_REFINEMENT * training.learning_rate)
        refined, interrupted = train_members(arrays, steps, best, start=states, **where)
    members = _better(arrays, training, states, refined)
    return DeepFit(members, losses, interrupted)


def _arrays(panel: Panel, given: FloatArray, model: Any) -> PanelArrays:
    observed = ~np.isnan(panel.returns)
    return PanelArrays(
        X=to_single(panel.X, getattr(model, "feature_names_in_", None)),
        target=np.where(observed, panel.returns, 0.0).astype(np.float32),
        observed=None if observed.all() else observed.astype(np.float32),
        starts=panel.starts,
        given=given.astype(np.float32) if given.shape[1] else None,
        assets=panel.asset_codes if model.alpha_penalty == "asset" else None,
    )


def _training(model: Any, network: dict[str, Any], panel: Panel, order_seed: int) -> Training:
    n_dates = panel.n_dates
    n_valid = max(min(int(np.ceil(model.validation_fraction * n_dates)), n_dates - 1), 0)
    seen = panel.returns[: int(panel.starts[n_dates - n_valid])]
    seen = np.abs(seen[~np.isnan(seen)])
    spread = _MAD * float(np.median(seen)) if len(seen) else 0.0
    l1_names, l2_names = penalised_weights(network)
    objective = Objective(
        loss=model.loss,
        huber_delta=_HUBER * spread if spread > 0 else 1.0,
        alpha=model.alpha_penalty,
        lambda_alpha=model.lambda_alpha,
        l2=dict.fromkeys(l2_names, model.lambda_l2),
        n_assets=0 if panel.assets is None else len(panel.assets),
    )
    return Training(
        network=network,
        l1=dict.fromkeys(l1_names, model.lambda_l1),
        learning_rate=model.learning_rate,
        max_epochs=model.max_epochs,
        batch_size=model.batch_size,
        patience=model.patience,
        n_train=n_dates - n_valid,
        n_valid=n_valid,
        order_seed=order_seed,
        verbose=int(model.verbose),
        module=DeepCharacteristics,
        net_class=partial(DeepNet, objective=objective),
    )


def _teaching(training: Training) -> Training:
    """Return how the network of least squares is trained, on the same dates."""
    mine = training.network
    return Training(
        network={
            "n_features": mine["n_features"],
            "n_latent": mine["n_deep"] + _SPARE if mine["n_deep"] else 0,
            "n_given": mine["n_given"],
            "n_inputs": None,
            **_TEACHER,
        },
        l1=_TEACHER_L1,
        learning_rate=_TEACHER_RATE,
        max_epochs=min(training.max_epochs, _TEACHER_EPOCHS),
        batch_size=_TEACHER_BATCH,
        patience=_TEACHER_PATIENCE,
        n_train=training.n_train,
        n_valid=training.n_valid,
        order_seed=training.order_seed,
        verbose=training.verbose,
    )


def _standardised(arrays: PanelArrays, scale: float, given_scale: FloatArray) -> PanelArrays:
    given = arrays.given
    return replace(
        arrays,
        target=(arrays.target / scale).astype(np.float32),
        given=None if given is None else (given / given_scale).astype(np.float32),
    )


def _root_mean_square(values: FloatArray) -> float:
    mean = np.nanmean(values**2) if (~np.isnan(values)).any() else 0.0
    return float(np.sqrt(mean)) if mean > 0 else 1.0


def _judged(member: TrainedMember) -> float:
    """Return the loss of the weights that were kept, on held-out dates if there are any."""
    losses = member.history.get("valid_loss", member.history["train_loss"])
    return float(losses[member.best_epoch - 1])


def _lessons(
    state: dict[str, np.ndarray],
    beta_scale: FloatArray,
    network: dict[str, Any],
    training: Training,
    panel: Panel,
    given: FloatArray,
) -> FloatArray:
    """Return deep characteristics and betas for the training rows, from a network's betas.

    Assets sorted by a beta make a portfolio exposed to its factor. What the betas are with
    respect to these portfolios follows from the mean exposures; how far to trust them is
    measured on the dates held out.
    """
    K, n_given = network["n_deep"], given.shape[1]
    betas = BetaNetwork.from_state(state, beta_scale)(panel.X)
    cut = int(panel.starts[training.n_train])
    if not K:
        return betas[:cut]
    latent, known = np.hsplit(betas, [betas.shape[1] - n_given])
    left = panel.returns - np.einsum("nb,nb->n", known, given[panel.date_codes])
    moment = latent[:cut].T @ latent[:cut] / cut
    if np.trace(moment) <= _LEAST_MOMENT:  # the network found no factor
        return np.hstack([np.zeros((cut, 2 * K)), known[:cut]])
    train = panel.between(0, training.n_train)
    factors, _ = section_least_squares(latent[:cut], left[:cut], train.starts, _RIDGE)
    # Least squares leave open how much of the benchmark is in a latent factor: take it out.
    spanned = np.linalg.lstsq(given[: training.n_train], factors, rcond=None)[0]
    known = known + latent @ spanned.T
    left = panel.returns - np.einsum("nb,nb->n", known, given[panel.date_codes])
    rotation = canonical_rotation(moment, factors - given[: training.n_train] @ spanned)
    latent = latent @ rotation[:, :K]
    weights = long_short_weights(latent, panel.starts, network["weighting"])
    exposures = weights[:cut].T @ latent[:cut] / train.n_dates
    deep = latent @ np.linalg.pinv(exposures, rcond=1e-6)
    # Portfolios are exposed to the benchmark: with f for them, b for it, k for betas on it and B
    # for their exposures, r = k b + d (f - B b). Trust scales d in both places.
    exposed = weights[:cut].T @ known[:cut] / train.n_dates
    deep = deep * _trust(deep, weights, exposed, left, panel, given, training)
    return np.hstack([latent[:cut], deep[:cut], (known - deep @ exposed)[:cut]])


def _trust(
    deep: FloatArray,
    weights: FloatArray,
    exposed: FloatArray,
    left: FloatArray,
    panel: Panel,
    given: FloatArray,
    training: Training,
) -> FloatArray:
    """Return by how much of its betas each sorted factor explains returns that it has not seen.

    Parameters
    ----------
    deep, weights : ndarray of shape (n_rows, n_deep)
        Betas on the sorted factors, and what these hold.
    exposed : ndarray of shape (n_deep, n_given)
        Exposures of the sorted factors to the benchmark.
    left : ndarray of shape (n_rows,)
        Returns less what the benchmark explains of them.
    panel, given, training : Panel, ndarray, Training
        The panel, the benchmark and the dates that are held out.

    Returns
    -------
    ndarray of shape (n_deep,)
        Between 0 and 1.
    """
    first = training.n_train if training.n_valid else 0
    rows = slice(int(panel.starts[first]), None)
    judged = panel.between(first, panel.n_dates)
    earned = np.where(np.isnan(judged.returns), 0.0, judged.returns)[:, None] * weights[rows]
    factors = np.add.reduceat(earned, judged.starts[:-1], axis=0) - given[first:] @ exposed.T
    # Without the own return of the row, as anywhere where fits are judged.
    parts = deep[rows] * (factors[judged.date_codes] - earned)
    seen = ~np.isnan(left[rows])
    shares = np.linalg.lstsq(parts[seen], left[rows][seen], rcond=None)[0]
    return np.clip(shares, 0.0, 1.0)


def _better(
    arrays: PanelArrays,
    training: Training,
    states: Sequence[dict[str, np.ndarray]],
    refined: Sequence[TrainedMember],
) -> list[TrainedMember]:
    """Keep of each member the weights it was taught or those that were refined, the best first."""
    n_dates = len(arrays.starts) - 1
    judged = arrays.between(training.n_train if training.n_valid else 0, n_dates)
    before = losses_of(judged, training, states)
    size = sum(values.size for values in states[0].values())
    members = [TrainedMember(state, {"train_loss": np.empty(0)}, 0, size) for state in states]
    if refined and training.patience is None:
        return list(refined)
    after = losses_of(judged, training, [member.state for member in refined])
    for m, member in enumerate(refined):
        if after[m] < before[m]:
            members[m], before[m] = member, after[m]
        else:
            members[m] = replace(member, state=states[m], best_epoch=0)
    return [members[m] for m in np.argsort(before, kind="stable")]
