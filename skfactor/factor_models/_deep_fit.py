"""Training of a deep characteristics model: from a panel to the weights of its members."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import joblib
import numpy as np

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
from skfactor.factor_models._deep_start import lessons_of
from skfactor.panel._panel import Panel

# Huber's constant, 95 % as efficient as least squares on normal errors, and what makes the
# median absolute value a standard deviation.
_HUBER, _MAD = 1.345, 1.4826
# Rows that are enough to learn a function of characteristics from.
_LESSONS = 60_000
# Weights that were taught are refined in smaller steps than weights that were drawn.
_REFINEMENT = 0.1


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
    n_rows = int(panel.starts[training.n_train])
    rows = np.sort(rng.permutation(n_rows)[:_LESSONS])
    lessons, interrupted = lessons_of(arrays, panel, given, training, seeds, rows, **where)
    if not lessons:
        return DeepFit([], interrupted=True)
    losses = np.array([lesson.loss for lesson in lessons])
    order = np.argsort(losses, kind="stable")[: model.n_members]
    states = joblib.Parallel(n_jobs=model.n_jobs)(
        joblib.delayed(imitate)(network, arrays.X[rows], lesson.targets, lesson.seed, model.device)
        for lesson in (lessons[m] for m in order)
    )
    best = [lessons[m].seed for m in order]
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


def _judged(member: TrainedMember) -> float:
    """Return the loss of the weights that were kept, on held-out dates if there are any."""
    losses = member.history.get("valid_loss", member.history["train_loss"])
    return float(losses[member.best_epoch - 1])


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
