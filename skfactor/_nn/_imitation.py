"""First weights of sorting networks: taught by values that are known, row by row."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skfactor._nn._arrays import to_tensor
from skfactor._nn._batches import Split
from skfactor._nn._deep_characteristic import DeepCharacteristics
from skfactor._nn._device import resolve_device
from skfactor._nn._members import Training
from skfactor._nn._panel_batches import DateBatches, PanelArrays, PanelDates
from skfactor._nn._training import fit_net
from skfactor._typing import FloatArray

_EPOCHS = 15
_LEARNING_RATE = 0.01
# Steps of an epoch that a small panel gets at least, if its batches are not too small then.
_STEPS, _SMALLEST, _LARGEST = 20, 32, 1024


class Lessons:
    """Rows of inputs and what is to be said of them."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.inputs)


class LessonBatches:
    """Iterate over :class:`Lessons`, shuffled anew on each pass if asked."""

    def __init__(self, dataset: Lessons, batch_size: int, shuffle: bool = False) -> None:
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        inputs, targets = self.dataset.inputs, self.dataset.targets
        order = torch.randperm(len(inputs)) if self.shuffle else torch.arange(len(inputs))
        for rows in order.to(inputs.device).split(self.batch_size):
            yield inputs[rows], targets[rows][None]


class Pupil(nn.Module):
    """A member of a sorting network that says all it knows of a row: (rows, columns)."""

    def __init__(self, network: Mapping[str, Any], seed: int) -> None:
        super().__init__()
        self.net = DeepCharacteristics(**{**network, "dropout": 0.0}, seeds=[seed])

    def forward(self, Z: Tensor) -> Tensor:
        """Return deep characteristics, then betas."""
        betas = self.net.betas(Z)
        if self.net.sorting is None:
            return betas
        return torch.cat([self.net.sorting(Z[None]), betas], dim=-1)


def imitate(
    network: Mapping[str, Any],
    X: np.ndarray,
    targets: np.ndarray,
    seed: int,
    device: str,
) -> dict[str, np.ndarray]:
    """Train a member to give known deep characteristics and betas.

    Parameters
    ----------
    network : mapping
        Arguments of :class:`DeepCharacteristics`, but for the seeds.
    X : ndarray of shape (n_rows, n_features)
        Characteristics in single precision.
    targets : ndarray of shape (n_rows, 2 n_deep + n_given)
        Deep characteristics, betas on deep and betas on given factors.
    seed : int
        Of first weights and batches.
    device : str
        Where to train.

    Returns
    -------
    dict of str to ndarray
        Weights by name. Deep characteristics have mean 0 and standard deviation 1.
    """
    place = resolve_device(device)
    center, spread = targets.mean(axis=0), targets.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = ((targets - center) / spread).astype(np.float32)
    net = fit_net(
        Pupil,
        {"network": network, "seed": seed},
        Split(Lessons(to_tensor(X).to(place), to_tensor(scaled).to(place))),
        iterator=LessonBatches,
        loss="mse",
        optimizer="adam",
        learning_rate=_LEARNING_RATE,
        weight_decay=0.0,
        max_epochs=_EPOCHS,
        batch_size=int(np.clip(len(X) // _STEPS, _SMALLEST, _LARGEST)),
        patience=None,
        device=place,
        random_state=seed,
        verbose=0,
        schedule="cosine",
        flops_per_batch=0.0,
    )
    state = {name: v.numpy().copy() for name, v in net.module_.net.state_dict().items()}
    first = network["n_deep"]
    for name, n_out in (("deep_betas", network["n_deep"]), ("given_betas", network["n_given"])):
        if n_out:
            columns = slice(first, first + n_out)
            layer = f"{name}.layers.{len(network['beta_layer_sizes'])}"
            _rescale(state, layer, center[columns], spread[columns])
            first += n_out
    return state


def losses_of(
    arrays: PanelArrays, training: Training, states: Sequence[dict[str, np.ndarray]]
) -> FloatArray:
    """Return the loss of weights, without dropout and with rows fitted by the others.

    Parameters
    ----------
    arrays : PanelArrays
        The dates to judge them on.
    training : Training
        For the network, the loss and the size of batches.
    states : sequence of dict of str to ndarray
        Weights by name, of each member.

    Returns
    -------
    ndarray of shape (n_members,)
        The mean over observed returns.
    """
    dates = PanelDates(arrays, torch.device("cpu"))
    objective = training.net_class.keywords["objective"]  # type: ignore[attr-defined]
    losses = np.zeros(len(states))
    for m, state in enumerate(states):
        module = DeepCharacteristics(**training.network, seeds=[0], states=[state]).eval()
        batches, sizes = [], []
        with torch.inference_mode():
            for sections, _ in DateBatches(dates, training.batch_size):
                batches.append(float(objective.of_fits(module(sections), sections)[0]))
                sizes.append(max(sections.n_observed, 1e-12))
        losses[m] = np.average(batches, weights=sizes)
    return losses


def _rescale(
    state: dict[str, np.ndarray], layer: str, center: np.ndarray, spread: np.ndarray
) -> None:
    """Make a last layer speak in the units of its targets."""
    state[f"{layer}.weight"] *= spread.astype(np.float32)
    bias = state[f"{layer}.bias"]
    bias *= spread.astype(np.float32)
    bias += center.astype(np.float32)
