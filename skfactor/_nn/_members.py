"""Training of the members of an ensemble: one after another, across cores, or side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from skfactor._nn._batches import Split
from skfactor._nn._conditional import ConditionalAutoencoder
from skfactor._nn._device import resolve_device
from skfactor._nn._panel_batches import DateBatches, PanelArrays, PanelDates, Sections
from skfactor._nn._progress import reported_fit
from skfactor._nn._training import TensorNet, TrainingStopped, fit_net, n_parameters

# Members trained side by side on a CPU, at most, and the hidden units of a batch up to which they
# are: a few small products cost little more than one, as long as what a step holds fits into a
# cache; what more than four would gain is less than what a second process gains.
_SIDE_BY_SIDE, _MOST_HIDDEN = 4, 4_000_000
# A loss that falls by less than this share is no improvement.
_LEAST_GAIN = 1e-4


@dataclass(frozen=True)
class Training:
    """How members are trained.

    Parameters
    ----------
    network : dict
        Arguments of the module, but for the seeds.
    l1 : float or mapping of str to float
        Strength of the L1 penalty on all weights, or by a pattern for their names.
    learning_rate : float
        Of Adam.
    max_epochs, batch_size : int
        Passes over the dates, and the most dates in a batch.
    patience : int or None
        Epochs without improvement before a member stops.
    n_train, n_valid : int
        The number of dates, the first ones, to learn from, and of those, the last ones, that
        are held out.
    order_seed : int
        Seeds the order of batches and dropout, alike for all members, so that members
        trained side by side take the steps they would take alone.
    verbose : int
        Print a line an epoch if not zero.
    module : type, default=ConditionalAutoencoder
        The network, whose tensors of weights have a leading axis of members.
    net_class : type or callable
        The net, which knows the loss.
    """

    network: dict[str, Any]
    l1: float | Mapping[str, float]
    learning_rate: float
    max_epochs: int
    batch_size: int
    patience: int | None
    n_train: int
    n_valid: int
    order_seed: int
    verbose: int
    module: type[nn.Module] = ConditionalAutoencoder
    net_class: Callable[..., TensorNet] = field(default_factory=lambda: SectionNet)


@dataclass(frozen=True, eq=False)
class TrainedMember:
    """What is left of a member's training: arrays only.

    Parameters
    ----------
    state : dict of str to ndarray
        Weights by name.
    history : dict of str to ndarray of shape (n_epochs,)
        Losses of each epoch.
    best_epoch : int
        The epoch whose weights these are, counted from 1.
    n_parameters : int
        The number of trained weights.
    path : dict of str to ndarray of shape (n_epochs, ...)
        Weights by name after each epoch, of those that the net keeps.
    """

    state: dict[str, np.ndarray]
    history: dict[str, np.ndarray]
    best_epoch: int
    n_parameters: int
    path: dict[str, np.ndarray] = field(default_factory=dict)


class SectionNet(TensorNet):
    """A net whose loss is the mean square over the observed returns, one for each member."""

    def get_loss(self, y_pred: Tensor, y_true: Tensor, X: Sections, **_: Any) -> Tensor:
        """Return the mean squared error of each member."""
        errors = y_pred - y_true
        if X.observed is not None:
            errors = errors * X.observed
        return errors.square().sum(dim=1) / max(X.n_observed, 1.0)

    def weight_of(self, batch: tuple[Any, Tensor]) -> float:
        """Count the observed returns, never nothing."""
        return max(float(batch[0].n_observed), 1e-12)


class BestMembers(Callback):
    """Early stopping member by member: each gets back the weights of its own best epoch.

    A member that has run out of patience is not looked at again, whatever its weights do
    while others go on.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience

    def on_train_begin(self, net: NeuralNet, **_: Any) -> None:
        """Start counting."""
        n_members = net.module_.n_members
        self.best_ = np.full(n_members, np.inf)
        self.reference_ = np.full(n_members, np.inf)
        self.waited_ = np.zeros(n_members, dtype=int)
        self.best_epoch_ = np.zeros(n_members, dtype=int)
        self.last_epoch_ = np.zeros(n_members, dtype=int)
        self.state_: dict[str, Tensor] | None = None

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Keep the weights of members that improved; stop when all have waited long enough."""
        row = net.history[-1]
        losses = np.asarray(row.get("valid_losses", row["train_losses"]))
        patience = np.inf if self.patience is None else self.patience
        running = self.waited_ < patience
        self.last_epoch_[running] = len(net.history)
        better = running & (losses < self.best_)
        if self.patience is None:
            better = running
        if better.any():
            self._keep(net.module_, np.flatnonzero(better))
            self.best_[better] = losses[better]
            self.best_epoch_[better] = len(net.history)
        # Patience is renewed by an improvement that matters, weights are kept at any.
        gained = running & (losses < self.reference_ * (1 - _LEAST_GAIN))
        self.reference_[gained] = losses[gained]
        self.waited_[gained] = 0
        self.waited_[running & ~gained] += 1
        if (self.waited_ >= patience).all():
            raise TrainingStopped

    def on_train_end(self, net: NeuralNet, **_: Any) -> None:
        """Put the best weights back."""
        if self.state_ is not None:
            net.module_.load_state_dict(self.state_)

    def _keep(self, module: torch.nn.Module, members: np.ndarray) -> None:
        state = module.state_dict()
        if self.state_ is None or len(members) == len(self.best_):
            self.state_ = {name: value.clone() for name, value in state.items()}
            return
        where = torch.as_tensor(members, device=next(iter(state.values())).device)
        for name, value in state.items():
            self.state_[name][where] = value[where]


# Seeds of members trained side by side, the weights they start from, and who is told of epochs.
Job = tuple[list[int], list[dict[str, np.ndarray] | None], list[tuple[str, Callback]]]


def train_members(
    arrays: PanelArrays,
    training: Training,
    seeds: Sequence[int],
    *,
    device: str,
    n_jobs: int | None = None,
    start: Sequence[dict[str, np.ndarray] | None] = (),
    together: bool | None = None,
    estimator: Any = None,
) -> tuple[list[TrainedMember], bool]:
    """Train one network for each seed.

    Parameters
    ----------
    arrays : PanelArrays
        The panel.
    training : Training
        How.
    seeds : sequence of int
        One a member.
    device : str
        Where to train.
    n_jobs : int, default=None
        Processes among which members are shared out, on a CPU.
    start : sequence of (dict or None), default=()
        Weights that members start from, instead of drawing them.
    together : bool, default=None
        Whether all members are trained side by side, in one network, or each by itself. None
        for what is faster: all of them on a GPU; on a CPU groups, the smaller the larger a
        batch is.
    estimator : estimator, default=None
        Whose callbacks are told of every epoch, where this is all that its fit trains.

    Returns
    -------
    members : list of TrainedMember
        Fewer than seeds if the user interrupted.
    interrupted : bool
        Whether that happened.
    """
    resolved = resolve_device(device)
    states = list(start) or [None] * len(seeds)
    if together is None:
        size = len(seeds) if resolved.type != "cpu" else _group_size(arrays, training)
    else:
        size = len(seeds) if together else 1
    n_groups = -(-len(seeds) // size)
    # Groups have nothing to do with ``n_jobs``, so that results do not depend on it; an even
    # number of them keeps two or four processes equally busy.
    n_groups = min(n_groups + n_groups % 2 if n_groups > 1 else 1, len(seeds))
    parts = np.array_split(np.arange(len(seeds)), n_groups)
    with reported_fit(estimator, training.max_epochs, len(parts)) as reports:
        jobs = [
            ([seeds[m] for m in part], [states[m] for m in part], report)
            for part, report in zip(parts, reports, strict=True)
        ]
        return _train_all(arrays, training, jobs, resolved, n_jobs)


def _train_all(
    arrays: PanelArrays,
    training: Training,
    jobs: list[Job],
    device: torch.device,
    n_jobs: int | None,
) -> tuple[list[TrainedMember], bool]:
    """Train groups of members one after another, or shared out among processes."""
    if device.type == "cpu" and joblib.effective_n_jobs(n_jobs) > 1 and len(jobs) > 1:
        # Mapped copy-on-write: processes share the panel.
        with joblib.Parallel(n_jobs=n_jobs, backend="loky", mmap_mode="c") as parallel:
            done = parallel(
                joblib.delayed(_train)(arrays, training, *job, str(device)) for job in jobs
            )
        return [member for part, _ in done for member in part], any(stop for _, stop in done)
    data = _prepare(arrays, training, str(device))
    members: list[TrainedMember] = []
    for job in jobs:
        trained, interrupted = _train(arrays, training, *job, str(device), data)
        members += trained
        if interrupted:
            return members, True
    return members, False


def _prepare(arrays: PanelArrays, training: Training, device: str) -> Split:
    """Put the panel on the device, the last dates held out."""
    n_dates = len(arrays.starts) - 1
    place = torch.device(device)
    fold = _fold_pays(arrays, training)
    train = PanelDates(arrays.between(0, training.n_train), place, fold)
    if not training.n_valid:
        return Split(train)
    return Split(train, PanelDates(arrays.between(n_dates - training.n_valid, n_dates), place))


def _group_size(arrays: PanelArrays, training: Training) -> int:
    """Return how many members are trained side by side on a CPU."""
    n_dates = len(arrays.starts) - 1
    rows = len(arrays.X) / max(n_dates, 1) * min(training.batch_size, n_dates)
    widest = max([1, *training.network["hidden_layer_sizes"]])
    return min(max(int(_MOST_HIDDEN / (rows * widest)), 1), _SIDE_BY_SIDE)


def _fold_pays(arrays: PanelArrays, training: Training) -> bool:
    """Return whether the first batch norm is taken from moments by date.

    They cost a product of the panel with itself, once, and their memory must stay small beside
    the panel's.
    """
    first_norm = training.network.get("batch_norm") == "before"
    n_rows, n_features = arrays.X.shape
    moments = n_features * (len(arrays.starts) - 1)
    hidden = bool(training.network["hidden_layer_sizes"])
    return bool(first_norm and hidden and moments <= 0.5 * n_rows)


def _train(
    arrays: PanelArrays,
    training: Training,
    seeds: list[int],
    states: list[dict[str, np.ndarray] | None],
    report: list[tuple[str, Callback]],
    device: str,
    data: Split | None = None,
) -> tuple[list[TrainedMember], bool]:
    """Train the members of some seeds side by side."""
    if data is None:
        data = _prepare(arrays, training, device)
    best = BestMembers(training.patience)
    net = fit_net(
        training.module,
        {**training.network, "seeds": seeds, "states": states},
        data,
        iterator=DateBatches,
        loss="mse",
        optimizer="adam",
        learning_rate=training.learning_rate,
        weight_decay=0.0,
        max_epochs=training.max_epochs,
        batch_size=training.batch_size,
        patience=None,
        device=torch.device(device),
        random_state=training.order_seed,
        verbose=training.verbose,
        l1=training.l1 if isinstance(training.l1, Mapping) else {"*.weight": training.l1},
        net_class=training.net_class,
        more_callbacks=[("best", best), *report],
        # One thread: another number of them rounds otherwise, and training turns that into other
        # weights, so that results would depend on the machine and on ``n_jobs``.
        flops_per_batch=0.0,
    )
    if not net.history:
        return [], True
    return [_member(net, best, m) for m in range(len(seeds))], net.interrupted_


def _member(net: TensorNet, best: BestMembers, member: int) -> TrainedMember:
    """Cut one member out of a net."""
    state = {
        name: value[member : member + 1].cpu().numpy().copy()
        for name, value in net.module_.state_dict().items()
    }
    last = int(best.last_epoch_[member])
    history = {
        f"{kind}_loss": np.array([row[f"{kind}_losses"][member] for row in net.history[:last]])
        for kind in ("train", "valid")
        if f"{kind}_losses" in net.history[0]
    }
    kept = getattr(net, "path_", {})
    path = {name: np.stack([v[member] for v in values[:last]]) for name, values in kept.items()}
    n_trained = n_parameters(net.module_) // net.module_.n_members
    return TrainedMember(state, history, int(best.best_epoch_[member]), n_trained, path)
