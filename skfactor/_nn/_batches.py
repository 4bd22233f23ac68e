"""Batches cut from tensors. A stock loader fetches row by row, which costs most of a fit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skfactor._typing import FloatArray


class Rows:
    """Rows of one matrix, whose target is the matrix itself."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return self.values.shape[0]


class RowBatches:
    """Iterate over :class:`Rows` in batches, shuffled anew on each pass if asked."""

    def __init__(self, dataset: Rows, batch_size: int, shuffle: bool = False) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        values = self.dataset.values
        if self.shuffle:
            # Drawn on the CPU, so that a seed gives the same order on every device.
            values = values[torch.randperm(len(values)).to(values.device)]
        for batch in values.split(self.batch_size):
            yield batch, batch


@dataclass(frozen=True)
class Split:
    """What a net is trained on and, if anything is held out, judged by."""

    train: Any
    valid: Any | None = None

    def __len__(self) -> int:
        return len(self.train)


def split_rows(
    rows: FloatArray, fraction: float, rng: np.random.Generator, device: torch.device
) -> Split:
    """Hold out a random share of the rows: at least one, while two are left to learn from."""
    tensor = torch.from_numpy(rows)
    n_valid = min(int(np.ceil(fraction * len(rows))), len(rows) - 2)
    if n_valid < 1:
        return Split(Rows(tensor.to(device)))
    order = torch.from_numpy(rng.permutation(len(rows)))
    train, valid = tensor[order[n_valid:]], tensor[order[:n_valid]]
    return Split(Rows(train.to(device)), Rows(valid.to(device)))
