"""Networks that sort assets into factors: deep characteristics, portfolio weights, betas.

Every tensor of weights has a leading axis of members, as in the conditional autoencoder.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from skfactor._nn._by_date import Layout
from skfactor._nn._conditional import StackedLinear, fit_of_factors
from skfactor._nn._members import SectionNet
from skfactor._nn._panel_batches import Sections

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}

# The constants of the published softmax ranks: a leg fades out around 0.8 standard deviations.
_STEEPNESS, _SLOPE = 50.0, 5.0
# The largest exponent of a date is not below 0, so a weight of e^-40 beside it is none. To cut
# there avoids numbers too small to be normal, with which a CPU is slow.
_NOTHING = 40.0
_FLAT = math.log(1 + _NOTHING / _STEEPNESS)
_LEAST_VARIANCE = 1e-12


class DeepCharacteristics(nn.Module):
    """Fits of returns, one row a member: betas times sorted factors and given factors.

    Parameters
    ----------
    n_features : int
        The number of characteristics.
    hidden_layer_sizes, beta_layer_sizes : sequence of int
        Units of the hidden layers of the sorting network and of each beta network.
    n_deep, n_given : int
        The number of sorted and of observed factors; betas on the latter come last.
    activation : str
        A key of ``ACTIVATIONS``.
    weighting : str
        ``"softmax"``, ``"rank"`` or ``"zscore"``.
    dropout : float
        The share of hidden units of the sorting network left out of a step.
    seeds : sequence of int
        One a member, for its first weights.
    states : sequence of (dict of str to ndarray or None), default=()
        Weights that members start from instead.
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        beta_layer_sizes: Sequence[int],
        n_deep: int,
        n_given: int,
        activation: str,
        weighting: str,
        dropout: float,
        seeds: Sequence[int],
        states: Sequence[dict[str, np.ndarray] | None] = (),
    ) -> None:
        super().__init__()
        self.n_members = len(seeds)
        self.weighting = weighting
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

        def perceptron(hidden: Sequence[int], n_out: int, rate: float) -> Perceptron | None:
            sizes = [n_features, *hidden, n_out]
            return Perceptron(sizes, activation, rate, generators) if n_out else None

        self.sorting = perceptron(hidden_layer_sizes, n_deep, dropout)
        self.deep_betas = perceptron(beta_layer_sizes, n_deep, 0.0)
        self.given_betas = perceptron(beta_layer_sizes, n_given, 0.0)
        with torch.no_grad():
            for member, state in enumerate(states):
                for name, values in (state or {}).items():
                    self.get_parameter(name)[member] = torch.from_numpy(values[0])

    def forward(self, sections: Sections) -> Tensor:
        """Return fits of shape (n_members, n_rows).

        In evaluation a row is fitted by the factors as they are without its own return.
        """
        betas, layout = self.betas(sections.Z), sections.layout
        factors = []
        own = None
        if self.sorting is not None:
            deep = self.sorting(sections.Z[None])
            up, down = legs(deep, layout, self.weighting)
            earned = sections.returns[:, None]
            factors.append(
                mean_by_date(up, earned, layout) - mean_by_date(down, earned, layout),
            )
            if not self.training:
                weights = shares(up, layout) - shares(down, layout)
                own = (betas[..., : weights.shape[-1]] * weights).sum(dim=-1) * sections.returns
        if sections.given is not None:
            factors.append(sections.given.expand(self.n_members, -1, -1))
        fits: Tensor = fit_of_factors(betas, torch.cat(factors, dim=-1), layout)
        return fits if own is None else fits - own

    def betas(self, Z: Tensor) -> Tensor:
        """Return betas of shape (n_members, n_rows, n_deep + n_given)."""
        parts = [net(Z[None]) for net in (self.deep_betas, self.given_betas) if net is not None]
        return torch.cat(parts, dim=-1)


class Perceptron(nn.Module):
    """Linear layers with an activation between them: (1, rows, n_in) to (members, rows, n_out)."""

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str,
        dropout: float,
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        gain = 2.0 if activation == "relu" else 1.0
        self.layers = nn.ModuleList(
            StackedLinear(n_in, n_out, gain, generators)
            for n_in, n_out in itertools.pairwise(sizes)
        )
        self.activation = ACTIVATIONS[activation]
        self.dropout = dropout

    def forward(self, values: Tensor) -> Tensor:
        """Run the layers; the last one is linear."""
        for layer in self.layers[:-1]:
            values = self.activation(layer(values))
            if self.dropout and self.training:
                values = dropout_of(values, self.dropout)
        out: Tensor = self.layers[-1](values)
        return out


def dropout_of(values: Tensor, rate: float) -> Tensor:
    """Silence units at random and scale up the others.

    One random byte decides on a unit, where torch's own dropout draws a double: on a CPU that
    is most of the cost of a small network. The rate is rounded to 1/256.
    """
    cut = round(256 * rate)
    if values.device.type != "cpu" or not 0 < cut < 256:
        return functional.dropout(values, rate, True)
    words = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: values.numel()].view(values.shape) >= cut
    dropped: Tensor = _Dropout.apply(values, kept, 256 / (256 - cut))  # type: ignore[no-untyped-call]
    return dropped


class _Dropout(Function):
    """Values that are kept times a factor, else 0; for the gradient a byte a value is held."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kept: Tensor, factor: float) -> Tensor:
        """Multiply."""
        ctx.save_for_backward(kept)
        ctx.factor = factor
        return kept.to(values.dtype).mul_(factor).mul_(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Multiply by the same."""
        (kept,) = ctx.saved_tensors
        return kept.to(gradient.dtype).mul_(ctx.factor).mul_(gradient), None, None


class SumByDate(Function):
    """Sums over the rows of each date: (members, rows, columns) to (members, dates, columns)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, layout: Layout) -> Tensor:
        """Sum."""
        ctx.layout = layout
        return _sum(values, layout)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Repeat."""
        return _spread(gradient, ctx.layout), None


class Spread(Function):
    """Values of a date, once for each of its rows; the transpose of the sum."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, layout: Layout) -> Tensor:
        """Repeat."""
        ctx.layout = layout
        return _spread(values, layout)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Sum."""
        return _sum(gradient, ctx.layout), None


def sum_by_date(values: Tensor, layout: Layout) -> Tensor:
    """Sum (members, rows, columns) over the rows of each date."""
    sums: Tensor = SumByDate.apply(values, layout)  # type: ignore[no-untyped-call]
    return sums


def spread(values: Tensor, layout: Layout) -> Tensor:
    """Repeat (members, dates, columns) for each row of the date."""
    rows: Tensor = Spread.apply(values, layout)  # type: ignore[no-untyped-call]
    return rows


def _sum(values: Tensor, layout: Layout) -> Tensor:
    counts = layout.counts
    if counts.count(counts[0]) == len(counts):
        return values.unflatten(1, (len(counts), counts[0])).sum(dim=2)
    if values.device.type == "cpu":  # fifty times faster than indexed addition
        return torch.stack([part.sum(dim=1) for part in values.split(counts, dim=1)], dim=1)
    places = _spread(torch.arange(len(counts), device=values.device)[None, :, None], layout)
    sums = values.new_zeros(len(values), len(counts), values.shape[2])
    return sums.index_add_(1, places[0, :, 0], values)


def _spread(values: Tensor, layout: Layout) -> Tensor:
    counts = torch.tensor(layout.counts, device=values.device)
    return values.repeat_interleave(counts, dim=1, output_size=sum(layout.counts))


def legs(deep: Tensor, layout: Layout, weighting: str) -> tuple[Tensor, Tensor]:
    """Return what is held long and short of each row, before a leg is scaled to one.

    Both are 0 or more; swapping the sign of ``deep`` swaps them.
    """
    counts = deep.new_tensor(layout.counts)[:, None]
    centred = deep - spread(sum_by_date(deep, layout) / counts, layout)
    if weighting == "zscore":
        return centred.relu(), (-centred).relu()
    variance = sum_by_date(centred.square(), layout) / counts
    score = centred * spread((variance + _LEAST_VARIANCE).rsqrt(), layout)
    if weighting == "rank":
        ranks: Tensor = _Rank.apply(score, layout)  # type: ignore[no-untyped-call]
        return ranks.relu(), (-ranks).relu()
    steep = score * _SLOPE
    # The constant cancels within a leg and keeps its sum near the middle of the exponents.
    up = _STEEPNESS * (1 - (-steep).clamp(max=_FLAT).exp())
    down = _STEEPNESS * (1 - steep.clamp(max=_FLAT).exp())
    nothing = math.exp(-_NOTHING)
    return (up.exp() - nothing).relu(), (down.exp() - nothing).relu()


class _Rank(Function):
    """Ranks within a date, centred and in (-1, 1), with a gradient as if of normal values."""

    @staticmethod
    def forward(ctx: Any, score: Tensor, layout: Layout) -> Tensor:
        """Rank; ties share the mean of their ranks."""
        ctx.save_for_backward(score)
        ranks, start = np.empty(tuple(score.shape)), 0
        values = score.detach().cpu().numpy()
        for count in layout.counts:
            rows = slice(start, start + count)
            ranks[:, rows] = (2 * rankdata(values[:, rows], axis=1) - (count + 1)) / count
            start += count
        return torch.from_numpy(ranks).to(score)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Follow twice the normal density."""
        (score,) = ctx.saved_tensors
        density = (-0.5 * score.square()).exp() * (2 / math.sqrt(2 * math.pi))
        return gradient * density, None


def mean_by_date(leg: Tensor, earned: Tensor, layout: Layout) -> Tensor:
    """Return the return of a leg that sums to one; 0 where nothing is held."""
    both = sum_by_date(torch.cat([leg * earned, leg], dim=-1), layout)
    total, held = both.chunk(2, dim=-1)
    result: Tensor = total / held.clamp_min(_tiny(held))
    return result


def shares(leg: Tensor, layout: Layout) -> Tensor:
    """Scale a leg to a sum of one on each date."""
    held = sum_by_date(leg, layout)
    result: Tensor = leg * spread(held.clamp_min(_tiny(held)).reciprocal(), layout)
    return result


def _tiny(values: Tensor) -> float:
    return torch.finfo(values.dtype).tiny ** 0.5


@dataclass(frozen=True)
class Objective:
    """What training lowers beside the L1 penalty.

    Parameters
    ----------
    loss : {"mse", "mae", "huber"}
        How errors count.
    huber_delta : float
        Errors beyond it count linearly, with ``loss="huber"``.
    alpha : {"date", "asset"}
        Whether squared mean errors of dates or of assets are penalised.
    lambda_alpha : float
        How much.
    l2 : mapping of str to float
        Strengths of the L2 penalty by the name of the weights.
    n_assets : int
        The number of assets, for ``alpha="asset"``.
    """

    loss: str
    huber_delta: float
    alpha: str
    lambda_alpha: float
    l2: Mapping[str, float]
    n_assets: int

    def of_fits(self, fits: Tensor, sections: Sections) -> Tensor:
        """Return the mean loss over observed returns, and the penalty of alphas, of each member."""
        errors = fits - sections.target
        if sections.observed is not None:
            errors = errors * sections.observed
        if self.loss == "mse":
            losses = errors.square()
        elif self.loss == "mae":
            losses = errors.abs()
        else:
            none = torch.zeros_like(errors)
            losses = functional.huber_loss(errors, none, "none", self.huber_delta)
        total = losses.sum(dim=1) / max(sections.n_observed, 1.0)
        if self.lambda_alpha:
            total = total + self.lambda_alpha * self._squared_alphas(errors, sections)
        return total

    def _squared_alphas(self, errors: Tensor, sections: Sections) -> Tensor:
        """Return the mean over dates, or assets, of the square of their mean error."""
        observed = sections.observed
        ones = torch.ones_like(sections.target) if observed is None else observed
        if self.alpha == "date":
            sums = sum_by_date(errors[..., None], sections.layout)[..., 0]
            counts = _sum(ones[None, :, None], sections.layout)[0, :, 0]
        else:
            assert sections.assets is not None
            sums = errors.new_zeros(len(errors), self.n_assets)
            sums = sums.index_add(1, sections.assets, errors)
            counts = ones.new_zeros(self.n_assets).index_add(0, sections.assets, ones)
        seen = (counts > 0).sum().clamp_min(1)
        return (sums / counts.clamp_min(1.0)).square().sum(dim=1) / seen


class DeepNet(SectionNet):
    """A net that is judged by an :class:`Objective` and keeps the weights that sort."""

    def __init__(self, *args: Any, objective: Objective, **kwargs: Any) -> None:
        self.objective = objective
        self.path_: dict[str, list[np.ndarray]] = {}
        super().__init__(*args, **kwargs)

    def get_loss(self, y_pred: Tensor, y_true: Tensor, X: Sections, **_: Any) -> Tensor:
        """Return the loss of each member with the penalty of its alphas."""
        return self.objective.of_fits(y_pred, X)

    def add_penalty_gradient(self) -> None:
        """Add the gradients of the L1 and the L2 penalty."""
        super().add_penalty_gradient()
        for name, strength in self.objective.l2.items():
            parameter = self.module_.get_parameter(name)
            if parameter.grad is not None and strength:
                parameter.grad.add_(parameter.detach(), alpha=2 * strength)

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        """Keep the weights of the sorting network, by which importance is read later."""
        super().on_epoch_end(*args, **kwargs)
        for name, values in self.module_.state_dict().items():
            if name.startswith("sorting."):
                self.path_.setdefault(name, []).append(values.cpu().numpy().copy())


def penalised_weights(network: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Name the weights that bear the L1 and the L2 penalty: all layers but the last of each net."""

    def names(net: str, hidden: Sequence[int]) -> list[str]:
        return [f"{net}.layers.{layer}.weight" for layer in range(len(hidden))]

    sorting = names("sorting", network["hidden_layer_sizes"]) if network["n_deep"] else []
    betas = network["beta_layer_sizes"]
    return sorting, [
        name
        for net, n_out in (("deep_betas", "n_deep"), ("given_betas", "n_given"))
        for name in names(net, betas)
        if network[n_out]
    ]
