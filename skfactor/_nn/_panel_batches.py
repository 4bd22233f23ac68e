"""Batches of whole dates, cut from a panel: assets stand one after another, never padded."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skfactor._nn._arrays import to_tensor
from skfactor._nn._by_date import Layout
from skfactor._typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class PanelArrays:
    """A panel as arrays in single precision, ready to be cut by date.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Characteristics, sorted by date.
    target : ndarray of shape (n_rows,)
        What is explained; 0 where missing.
    observed : ndarray of shape (n_rows,) or None
        1 where the target is observed, else 0; None if it is everywhere.
    starts : ndarray of shape (n_dates + 1,)
        Where each date begins.
    returns : ndarray of shape (n_rows,) or None
        The returns that make the factors where those are not the target; 0 where missing.
    returns_observed : ndarray of shape (n_rows,) or None
        As ``observed``, for ``returns``.
    inputs : ndarray of shape (n_dates, n_inputs) or None
        What a linear factor side starts from.
    given : ndarray of shape (n_dates, n_given) or None
        Observed factors.
    assets : ndarray of shape (n_rows,) or None
        The place of each row's asset among all of them.
    """

    X: FloatArray
    target: FloatArray
    observed: FloatArray | None
    starts: IntArray
    returns: FloatArray | None = None
    returns_observed: FloatArray | None = None
    inputs: FloatArray | None = None
    given: FloatArray | None = None
    assets: IntArray | None = None

    def between(self, first: int, last: int) -> "PanelArrays":
        """Return the dates from place ``first`` up to, not including, place ``last``."""
        rows = slice(int(self.starts[first]), int(self.starts[last]))

        def cut(values: Any, where: slice) -> Any:
            return None if values is None else values[where]

        return PanelArrays(
            X=self.X[rows],
            target=self.target[rows],
            observed=cut(self.observed, rows),
            starts=self.starts[first : last + 1] - self.starts[first],
            returns=cut(self.returns, rows),
            returns_observed=cut(self.returns_observed, rows),
            inputs=cut(self.inputs, slice(first, last)),
            given=cut(self.given, slice(first, last)),
            assets=cut(self.assets, rows),
        )


@dataclass(frozen=True, eq=False)
class Sections:
    """The cross-sections of a few dates, one after another.

    Parameters
    ----------
    Z : Tensor of shape (n_rows, n_features)
        Characteristics.
    target, observed, returns, returns_observed, inputs, given : Tensor or None
        As in :class:`PanelArrays`; here ``returns`` is the target where that makes the factors.
    counts : tuple of int
        The number of assets on each date.
    n_observed : float
        The number of observed targets.
    mean : Tensor of shape (n_features,) or None
        The mean of each characteristic over the rows.
    covariance : Tensor of shape (n_features, n_features) or None
        Their covariances, divisor ``n_rows``.
    assets : Tensor of shape (n_rows,) or None
        The place of each row's asset among all of them.
    """

    Z: Tensor
    target: Tensor
    observed: Tensor | None
    returns: Tensor
    returns_observed: Tensor | None
    inputs: Tensor | None
    given: Tensor | None
    counts: tuple[int, ...]
    n_observed: float
    mean: Tensor | None = None
    covariance: Tensor | None = None
    assets: Tensor | None = None

    @cached_property
    def layout(self) -> Layout:
        """Which rows belong to which date."""
        return Layout(self.counts, self.Z.device)


class PanelDates:
    """The dates of a panel as tensors; an item is a date.

    With ``moments`` the sums and products of the characteristics by date are kept, from which
    the mean and covariance of any batch follow without passing over its rows.
    """

    def __init__(self, arrays: PanelArrays, device: torch.device, moments: bool = False) -> None:
        def place(values: Any) -> Tensor | None:
            return None if values is None else to_tensor(values).to(device)

        self.Z = to_tensor(arrays.X).to(device)
        self.target = to_tensor(arrays.target).to(device)
        self.observed = place(arrays.observed)
        own = arrays.returns is None
        self.returns = self.target if arrays.returns is None else to_tensor(arrays.returns)
        self.returns = self.returns.to(device)
        self.returns_observed = self.observed if own else place(arrays.returns_observed)
        self.inputs, self.given = place(arrays.inputs), place(arrays.given)
        self.assets = place(arrays.assets)
        self.starts = [int(start) for start in arrays.starts]
        seen = np.diff(arrays.starts)
        if arrays.observed is not None:
            # A running total, since sums between starts go wrong where a date is empty.
            total = np.concatenate([[0.0], np.cumsum(arrays.observed, dtype=np.float64)])
            seen = np.diff(total[arrays.starts])
        self.n_observed = seen.astype(np.float64)
        self.moments = self._take_moments() if moments else None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def _take_moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean of all rows, and sums and products by date around it."""
        # A column far from 0 would otherwise lose its variance to rounding.
        center = self.Z.mean(dim=0)
        n_dates, n_features = len(self), len(center)
        sums = self.Z.new_empty(n_dates, n_features)
        grams = self.Z.new_empty(n_dates, n_features, n_features)
        # One buffer for all dates: what stays between blocks that come and go would keep the
        # allocator from using their room again, and the panel would be in memory once more.
        longest = max((b - a for a, b in itertools.pairwise(self.starts)), default=0)
        buffer = self.Z.new_empty(longest, n_features)
        for t, (start, stop) in enumerate(itertools.pairwise(self.starts)):
            centred = torch.sub(self.Z[start:stop], center, out=buffer[: stop - start])
            torch.sum(centred, dim=0, out=sums[t])
            torch.mm(centred.T, centred, out=grams[t])
        return center, sums, grams

    def take(self, dates: Sequence[int]) -> Sections:
        """Return the cross-sections of some dates, in that order."""
        first, last = dates[0], dates[-1]
        if len(dates) == last - first + 1 and list(dates) == list(range(first, last + 1)):
            return self._cut(dates, slice(self.starts[first], self.starts[last + 1]))
        return self._cut(dates, None)

    def _cut(self, dates: Sequence[int], rows: slice | None) -> Sections:
        bounds = [(self.starts[t], self.starts[t + 1]) for t in dates]

        def join(values: Tensor) -> Tensor:
            if rows is not None:
                return values[rows]  # a view: neighbouring dates stand together already
            return torch.cat([values[start:stop] for start, stop in bounds])

        def join_if(values: Tensor | None) -> Tensor | None:
            return None if values is None else join(values)

        own = self.returns is self.target
        target, observed = join(self.target), join_if(self.observed)
        where = torch.as_tensor(dates, device=self.Z.device)
        n_rows = sum(stop - start for start, stop in bounds)
        mean, covariance = None, None
        if self.moments is not None:
            center, sums, grams = self.moments
            shift = sums[where].sum(dim=0) / n_rows
            covariance = grams[where].sum(dim=0) / n_rows - torch.outer(shift, shift)
            mean = center + shift
        return Sections(
            Z=join(self.Z),
            target=target,
            observed=observed,
            returns=target if own else join(self.returns),
            returns_observed=observed if own else join_if(self.returns_observed),
            inputs=None if self.inputs is None else self.inputs[where],
            given=None if self.given is None else self.given[where],
            counts=tuple(stop - start for start, stop in bounds),
            n_observed=float(self.n_observed[list(dates)].sum()),
            mean=mean,
            covariance=covariance,
            assets=join_if(self.assets),
        )


class DateBatches:
    """Iterate over :class:`PanelDates` in batches of dates, shuffled anew on each pass if asked.

    Batches are as even as can be: a last batch of one date would take a step of its own.
    """

    def __init__(self, dataset: PanelDates, batch_size: int, shuffle: bool = False) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[Sections, Tensor]]:
        n_dates = len(self.dataset)
        n_batches = -(-n_dates // self.batch_size)
        # Drawn on the CPU, so that a seed gives the same order on every device.
        order = torch.randperm(n_dates).numpy() if self.shuffle else np.arange(n_dates)
        for part in np.array_split(order, n_batches):
            yield self._batch(part)

    def _batch(self, dates: np.ndarray) -> tuple[Sections, Tensor]:
        # In rising order, a batch that holds all dates needs no copy.
        sections = self.dataset.take(np.sort(dates).tolist())
        return sections, sections.target
