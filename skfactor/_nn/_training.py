"""The one training driver: every network of the library is trained by :func:`fit_net`."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, LRScheduler, PrintLog
from torch import Tensor, nn

from skfactor._nn._batches import Split
from skfactor._nn._device import seeded_torch, threads_for
from skfactor._typing import RandomState

LOSSES: dict[str, type[nn.Module]] = {"mse": nn.MSELoss, "mae": nn.L1Loss, "huber": nn.HuberLoss}
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
SCHEDULES = ("constant", "cosine")
# Plain gradient descent hardly moves an autoencoder; momentum is what "sgd" means in practice.
_OPTIMIZER_PARAMS = {"sgd": {"momentum": 0.9, "nesterov": True}}
_FUSED = {"adam", "adamw", "sgd"}
# The largest block that glibc keeps after it is freed, less what its bookkeeping takes.
_LARGEST_KEPT = 2**25 - 2**16


_NO_LOSS = (
    "`loss` must be a name or, called without arguments, make a torch.nn.Module; got {!r}. Pass a "
    "class such as torch.nn.SmoothL1Loss; a function goes into the `forward` of one."
)


class TrainingStopped(KeyboardInterrupt):
    """Early stopping, told apart from a user's interrupt (skorch uses one class for both)."""


class StopEarly(EarlyStopping):
    """skorch's early stopping, with the best weights put back when training ends."""

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Count an epoch without improvement, and stop after ``patience`` of them."""
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt as stop:
            raise TrainingStopped from stop


class TensorNet(NeuralNet):
    """A skorch net whose batches are tensors on the right device already.

    The steps of skorch's training loop that cost more than the arithmetic of a small net
    (conversion, closures, a synchronised loss each batch) are replaced; its callbacks,
    history and initialisation are kept.
    """

    interrupted_: bool = False
    kept_epoch_: int = 0

    def __init__(self, *args: Any, l1: Mapping[str, float] | None = None, **kwargs: Any) -> None:
        # The strength of an L1 penalty, by a pattern for the names of the parameters that bear it.
        self.l1 = l1
        self._penalised: list[tuple[nn.Parameter, float]] = []
        super().__init__(*args, **kwargs)

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return []

    def get_split_datasets(self, X: Split, y: None = None, **_: Any) -> tuple[Any, Any]:
        """Return the split as it was made, by rows or by dates, by the estimator."""
        return X.train, X.valid

    def infer(self, x: Any, **_: Any) -> Tensor:
        """Run the module."""
        return self.module_(x)

    def fit_loop(self, X: Any, y: None = None, epochs: int | None = None, **kwargs: Any) -> Any:
        """Train, remembering whether it was the user who stopped it."""
        try:
            return super().fit_loop(X, y, epochs, **kwargs)
        except TrainingStopped:
            raise
        except KeyboardInterrupt:
            self.interrupted_ = True
            raise

    def train_step(self, batch: tuple[Any, Tensor], **_: Any) -> Tensor:
        """Take one step down the gradient; return the loss, still on its device."""
        inputs, target = batch
        self.optimizer_.zero_grad(set_to_none=True)
        loss = self.get_loss(self.infer(inputs), target, X=inputs, training=True)
        loss.sum().backward()  # one entry for each net that is trained side by side
        self.add_penalty_gradient()
        self.optimizer_.step()
        return loss.detach()

    def add_penalty_gradient(self) -> None:
        """Add the gradient of the L1 penalty, a sign, which needs no pass through autograd."""
        for parameter, strength in self._penalised:
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach().sign(), alpha=strength)

    def validation_step(self, batch: tuple[Any, Tensor], **_: Any) -> Tensor:
        """Return the loss of a batch that is not learnt from."""
        inputs, target = batch
        with torch.inference_mode():
            return self.get_loss(self.infer(inputs), target, X=inputs, training=False)

    def get_loss(self, y_pred: Tensor, y_true: Tensor, *_: Any, **__: Any) -> Tensor:
        """Compare prediction and target, both tensors; one loss, or one for each net."""
        return self.criterion_(y_pred, y_true)

    def weight_of(self, batch: tuple[Any, Tensor]) -> float:
        """Return how much a batch counts in the mean loss of an epoch."""
        return len(batch[1])

    def run_single_epoch(
        self, iterator: Iterable | None, training: bool, prefix: str, step_fn: Any, **_: Any
    ) -> None:
        """Pass once over the batches and record the mean loss, weighted by batch size.

        Nets trained side by side are recorded one by one as well, in ``train_losses`` and
        ``valid_losses``.
        """
        if iterator is None:
            return
        self._set_training(training)
        self._penalised = [
            (parameter, strength)
            for pattern, strength in (self.l1 or {}).items()
            for name, parameter in self.module_.named_parameters()
            if strength and fnmatch(name, pattern)
        ]
        losses, sizes = [], []
        for batch in iterator:
            losses.append(step_fn(batch))
            sizes.append(self.weight_of(batch))
            del batch  # or it would stay beside the next one
        mean = np.average(torch.stack(losses).double().cpu().numpy(), axis=0, weights=sizes)
        self.history.record(f"{prefix}_loss", float(np.mean(mean)))
        if mean.ndim:
            self.history.record(f"{prefix}_losses", mean.tolist())


def fit_net(
    module: type[nn.Module],
    module_params: dict[str, Any],
    data: Split,
    *,
    iterator: type,
    loss: str | Callable[[], nn.Module],
    optimizer: str,
    learning_rate: float,
    weight_decay: float,
    max_epochs: int,
    batch_size: int,
    patience: int | None,
    device: torch.device,
    random_state: RandomState,
    verbose: int,
    schedule: str = "constant",
    l1: Mapping[str, float] | None = None,
    net_class: Callable[..., TensorNet] = TensorNet,
    more_callbacks: Sequence[tuple[str, Callback]] = (),
    flops_per_batch: float | None = None,
) -> TensorNet:
    """Build, seed and train a net; return it on the CPU, ready to be pickled.

    Parameters
    ----------
    module, module_params : type and dict
        The network's class and the arguments that build it.
    data : Split
        Training items, and those held out, or None.
    iterator : type
        Class of the batch iterator, called with ``(dataset, batch_size, shuffle)``.
    loss : str or callable
        A key of ``LOSSES``, or what makes a loss when it is called, such as its class.
    optimizer : str
        A key of ``OPTIMIZERS``.
    learning_rate, weight_decay : float
        Handed to the optimiser.
    max_epochs, batch_size : int
        Passes over the items, and items a step.
    patience : int or None
        Epochs without improvement before training stops and the best weights are put back,
        judged on the held-out items or, without any, on the training loss.
    device : torch.device
        Where to train.
    random_state : int, RandomState instance or None
        Seeds weights, order of batches, dropout and noise; torch's generator is given back.
    verbose : int
        Print a line an epoch if not zero.
    schedule : {"constant", "cosine"}, default="constant"
        ``"cosine"`` lowers the learning rate epoch by epoch, to nearly 0 after ``max_epochs``.
    l1 : mapping of str to float, default=None
        The strength of an L1 penalty, by a pattern such as ``"*.weight"`` for the names of the
        parameters that bear it.
    net_class : type or callable, default=TensorNet
        Makes the net, where loss or weight of a batch are its own.
    more_callbacks : sequence of (str, Callback), default=()
        skorch callbacks beside those for early stopping, schedule and printing.
    flops_per_batch : float, default=None
        Work of a step, by which threads are chosen; None to estimate it for a net whose items
        are rows.

    Returns
    -------
    TensorNet
        The trained net. ``interrupted_`` says that the user stopped it, ``kept_epoch_`` from
        which epoch its weights are, counted from 1.

    Raises
    ------
    ValueError
        If the loss stops being finite.
    """
    callbacks: list[tuple[str, Callback]] = []
    if patience is not None:
        monitor = "train_loss" if data.valid is None else "valid_loss"
        callbacks.append(
            (
                "stop_early",
                StopEarly(monitor=monitor, patience=patience, load_best=True, sink=_mute),
            )
        )
    if schedule == "cosine":
        anneal = LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=max_epochs)
        callbacks.append(("schedule", anneal))
    callbacks += more_callbacks  # they may stop the training: early stopping sees its epoch first
    if verbose:
        callbacks += [("timer", EpochTimer()), ("print_log", PrintLog())]
    optimizer_params: dict[str, Any] = dict(_OPTIMIZER_PARAMS.get(optimizer, {}))
    if optimizer in _FUSED and device.type in {"cpu", "cuda"}:
        optimizer_params["fused"] = True
    net = net_class(
        module,
        criterion=_criterion_of(loss),
        optimizer=OPTIMIZERS[optimizer],
        optimizer__weight_decay=weight_decay,
        **{f"optimizer__{name}": value for name, value in optimizer_params.items()},
        lr=learning_rate,
        max_epochs=max_epochs,
        batch_size=batch_size,
        train_split=None,
        iterator_train=iterator,
        iterator_train__shuffle=True,
        iterator_valid=iterator,
        callbacks=callbacks,
        device=str(device),
        verbose=int(verbose),
        l1=l1,
        **{f"module__{name}": value for name, value in module_params.items()},
    )
    with seeded_torch(random_state, device):
        net.initialize()
        # One product forward and two back for each weight and item.
        flops = 6 * n_parameters(net.module_) * min(batch_size, len(data))
        _keep_freed_memory()
        with threads_for(flops if flops_per_batch is None else flops_per_batch):
            net.partial_fit(data)
    if net.interrupted_ and _losses(data) - set(net.history[-1]):
        net.history.pop()  # an epoch cut short says nothing
    last = net.history[-1]["train_loss"] if net.history else 0.0
    if not np.isfinite(last):
        raise ValueError(
            f"The training loss must stay finite; it became {last} in epoch {len(net.history)}. "
            "Scale the columns (LogStandardizer) or lower `learning_rate`."
        )
    chosen = [c.best_epoch_ for _, c in net.callbacks_ if isinstance(c, StopEarly)]
    net.kept_epoch_ = int(chosen[0]) if chosen else len(net.history)
    return _at_rest(net)


def _keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the step after it.

    glibc hands large blocks back to the system until the process has freed a larger one, and
    every step then pays for fresh pages: measured, a third of the time of a training in a worker
    process. The block here is never touched, so it costs nothing.
    """
    np.empty(_LARGEST_KEPT, dtype=np.uint8)


def _criterion_of(loss: str | Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Return what makes the loss, if it does."""
    if isinstance(loss, str):
        return LOSSES[loss]
    try:
        made = loss if isinstance(loss, nn.Module) else loss()
    except TypeError as error:
        raise ValueError(_NO_LOSS.format(loss)) from error
    if not isinstance(made, nn.Module):
        raise ValueError(_NO_LOSS.format(loss))
    return loss


def _at_rest(net: TensorNet) -> TensorNet:
    """Leave on the CPU what a fitted net needs, and drop what only training did."""
    net.module_.to("cpu")
    net.criterion_.to("cpu")
    net.optimizer_.state.clear()
    net.device = "cpu"
    net.callbacks, net.callbacks_ = None, []
    net._penalised = []
    return net


def _losses(data: Split) -> set[str]:
    """Name the losses that a whole epoch records."""
    return {"train_loss"} if data.valid is None else {"train_loss", "valid_loss"}


def _mute(*_: Any) -> None:
    """Swallow a message of a callback."""


def history_of(net: TensorNet) -> dict[str, np.ndarray]:
    """Return the losses a net recorded, one array a kind, one value an epoch."""
    kinds = [kind for kind in ("train_loss", "valid_loss") if kind in net.history[0]]
    return {kind: np.array([row[kind] for row in net.history]) for kind in kinds}


def n_parameters(module: nn.Module) -> int:
    """Count the trainable parameters of a network."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def run_module(module: nn.Module, X: np.ndarray, chunk: int = 65_536) -> np.ndarray:
    """Evaluate a row-wise network on an array, in float64 and in chunks, without gradients.

    In float32 a matrix product's last digits depend on how many rows it holds, so a row
    alone and the same row among others would differ by 1e-7.
    """
    exact = copy.deepcopy(module).double().eval()
    X = np.require(X, dtype=np.float64, requirements=["C", "W"])
    with torch.inference_mode():
        parts = [exact(torch.from_numpy(X[s : s + chunk])).numpy() for s in range(0, len(X), chunk)]
    return np.concatenate(parts)
