"""The conditional autoencoder's network: betas from characteristics, factors from returns.

Every tensor of weights has a leading axis of members, so that one module trains a whole
ensemble at once (on a GPU) or one member alone (a member axis of length one) by the same code.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skfactor._nn._by_date import (
    FitOfFactors,
    FitOfLeastSquares,
    Layout,
    SolvedDates,
)
from skfactor._nn._panel_batches import Sections

# As in torch's own layers.
_EPSILON = 1e-5
_MOMENTUM = 0.1
# The variance of the first factors, as a share of that of the portfolios they are made of: fits
# that start near 0 are nearer to returns than fits by factors drawn at random.
_FIRST_FACTORS = 0.01
# A fit that is less free than this from its own return cannot be told from it in single
# precision: on a date with hardly more assets than factors nothing is left to fit a row from.
_LEAST_FREEDOM = 0.01


class ConditionalAutoencoder(nn.Module):
    """Fits of returns, one row a member: betas of characteristics times factors of a date.

    Parameters
    ----------
    n_features : int
        The number of characteristics.
    hidden_layer_sizes : sequence of int
        Units of the hidden layers of the beta network.
    n_latent, n_given : int
        The number of latent and of observed factors; betas on the latter come last.
    n_inputs : int or None
        What a linear factor side starts from; None for least squares.
    batch_norm : {"before", "after"} or None
        Where hidden units are normalised, seen from the activation.
    dropout : float
        The share of hidden units left out of a step.
    ridge : float
        The penalty of least squares, relative to the mean second moment of the betas.
    seeds : sequence of int
        One a member, for its first weights.
    states : sequence of (dict of str to ndarray or None), default=()
        Weights that members start from instead.
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        n_latent: int,
        n_given: int,
        n_inputs: int | None,
        batch_norm: str | None,
        dropout: float,
        ridge: float,
        seeds: Sequence[int],
        states: Sequence[dict[str, np.ndarray] | None] = (),
    ) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.ridge = ridge
        self.n_members = len(seeds)
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        sizes = [n_features, *hidden_layer_sizes]
        self.hidden = nn.ModuleList(
            HiddenLayer(n_in, n_out, batch_norm, dropout, generators)
            for n_in, n_out in itertools.pairwise(sizes)
        )
        self.output = StackedLinear(sizes[-1], n_latent + n_given, 1.0, generators)
        self.factors = (
            None
            if n_inputs is None
            else StackedLinear(n_inputs, n_latent, _FIRST_FACTORS, generators, False)
        )

        for member, state in enumerate(states):
            if state is not None:
                self._start_from(state, member)

    def _start_from(self, state: dict[str, np.ndarray], member: int) -> None:
        """Put known weights in the place of drawn ones."""
        mine = {name: tuple(values.shape[1:]) for name, values in self.state_dict().items()}
        theirs = {name: values.shape[1:] for name, values in state.items()}
        if mine != theirs:
            differ = sorted(name for name in mine | theirs if mine.get(name) != theirs.get(name))
            raise ValueError(
                "`warm_start=True` must meet the network of the last fit; got another one, with "
                f"other sizes in {', '.join(differ)}. Set `warm_start=False`, or keep the "
                "columns of X and the parameters that shape the network."
            )
        with torch.no_grad():
            for name, values in self.state_dict().items():
                values[member] = torch.from_numpy(state[name][0])

    def forward(self, sections: Sections) -> Tensor:
        """Return fits of shape (n_members, n_rows), leave-one-out where nothing is learnt."""
        return self.fit(sections, leave_one_out=not self.training)

    def fit(self, sections: Sections, leave_one_out: bool) -> Tensor:
        """Return fits of shape (n_members, n_rows)."""
        betas, layout = self.betas(sections), sections.layout
        known: Tensor | float = 0.0
        if sections.given is not None:
            known = fit_of_factors(betas[..., self.n_latent :], sections.given[None], layout)
            betas = betas[..., : self.n_latent]
        if self.factors is not None:
            assert sections.inputs is not None
            return known + fit_of_factors(betas, self.factors(sections.inputs[None]), layout)
        if not self.n_latent:
            assert isinstance(known, Tensor)
            return known
        left = sections.returns[None] - known
        observed = sections.returns_observed
        if not leave_one_out or sections.returns is not sections.target:
            return known + fit_of_least_squares(betas, left, observed, self.ridge, layout)
        solved = SolvedDates(betas, left, observed, self.ridge, layout)
        leverage = solved.leverage()
        free = 1 - leverage
        others = (solved.fits() - leverage * left) / free.clamp_min(_LEAST_FREEDOM)
        return known + torch.where(free > _LEAST_FREEDOM, others, torch.zeros_like(others))

    def betas(self, sections: Sections) -> Tensor:
        """Return betas of shape (n_members, n_rows, n_latent + n_given)."""
        values = sections.Z[None]
        moments = None
        if sections.mean is not None and sections.covariance is not None:
            moments = sections.mean, sections.covariance
        for layer in self.hidden:
            values = layer(values, moments)
            moments = None
        betas: Tensor = self.output(values)
        return betas


class StackedLinear(nn.Module):
    """A linear layer for each member: (members or 1, rows, n_in) to (members, rows, n_out)."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        gain: float,
        generators: Sequence[torch.Generator],
        bias: bool = True,
    ) -> None:
        super().__init__()
        scale = (gain / n_in) ** 0.5
        draws = [torch.randn(n_in, n_out, generator=source) for source in generators]
        self.weight = nn.Parameter(torch.stack(draws) * scale)
        self.bias = nn.Parameter(torch.zeros(len(generators), 1, n_out)) if bias else None

    def forward(self, values: Tensor) -> Tensor:
        """Multiply."""
        return stacked_product(values, self.weight, self.bias)


class HiddenLayer(nn.Module):
    """Linear, rectified, normalised before or after the rectifier, then dropout."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        batch_norm: str | None,
        dropout: float,
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        # A bias before a normalisation would be taken out again.
        self.linear = StackedLinear(n_in, n_out, 2.0, generators, bias=batch_norm != "before")
        self.batch_norm = batch_norm
        self.norm = None if batch_norm is None else StackedNorm(len(generators), n_out)
        self.dropout = dropout

    def forward(self, values: Tensor, moments: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Run the layer; with the moments of ``values``, the first norm needs no pass over them."""
        if self.norm is not None and self.batch_norm == "before":
            if moments is not None and self.training:
                weight, bias = self.norm.fold(self.linear.weight, *moments, values.shape[1])
                values = torch.relu_(stacked_product(values, weight, bias))
            else:
                values = torch.relu_(self.norm(self.linear(values)))
        else:
            values = torch.relu_(self.linear(values))
            if self.norm is not None:
                values = self.norm(values)
        return functional.dropout(values, self.dropout, self.training) if self.dropout else values


class StackedNorm(nn.Module):
    """Batch normalisation for each member, over (members, rows, units)."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, n_members: int, n_units: int) -> None:
        super().__init__()
        shape = (n_members, 1, n_units)
        self.scale = nn.Parameter(torch.ones(shape))
        self.shift = nn.Parameter(torch.zeros(shape))
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))

    def forward(self, values: Tensor) -> Tensor:
        """Normalise by the batch while training, else by what was seen in training."""
        n_members, n_rows, n_units = values.shape
        # One row has no variance to normalise by.
        training = self.training and n_rows > 1
        # Members as columns beside each other: torch's own kernel, one pass.
        flat = values.transpose(0, 1).reshape(n_rows, n_members * n_units)
        flat = functional.batch_norm(
            flat,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.scale.view(-1),
            self.shift.view(-1),
            training,
            _MOMENTUM,
            _EPSILON,
        )
        return flat.view(n_rows, n_members, n_units).transpose(0, 1)

    def fold(
        self, weight: Tensor, mean: Tensor, covariance: Tensor, n_rows: int
    ) -> tuple[Tensor, Tensor]:
        """Return the weights and bias of a linear layer with this normalisation in it.

        The mean of ``Z w`` is ``m'w`` and its variance ``w'Cw``, whatever the number of rows.
        """
        center = mean @ weight
        center = center[:, None]
        variance = (weight * (covariance @ weight)).sum(dim=1, keepdim=True).clamp_min(0.0)
        with torch.no_grad():
            unbiased = n_rows / max(n_rows - 1, 1)
            self.running_mean.lerp_(center, _MOMENTUM)
            self.running_var.lerp_(variance * unbiased, _MOMENTUM)
        factor = self.scale * torch.rsqrt(variance + _EPSILON)
        return weight * factor, self.shift - center * factor


def stacked_product(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply (members or 1, rows, n_in) by (members, n_in, n_out) and add the bias."""
    if len(values) != len(weight):
        values = values.expand(len(weight), -1, -1)  # members share the rows
    return torch.bmm(values, weight) if bias is None else torch.baddbmm(bias, values, weight)


def fit_of_factors(betas: Tensor, factors: Tensor, layout: Layout) -> Tensor:
    """Return the fit of each row, its betas times the factors of its date."""
    fits: Tensor = FitOfFactors.apply(betas, factors, layout)  # type: ignore[no-untyped-call]
    return fits


def fit_of_least_squares(
    betas: Tensor, returns: Tensor, observed: Tensor | None, ridge: float, layout: Layout
) -> Tensor:
    """Return the fit of each row by factors estimated from the returns of its date."""
    fits: Tensor = FitOfLeastSquares.apply(  # type: ignore[no-untyped-call]
        betas, returns, observed, ridge, layout
    )
    return fits
