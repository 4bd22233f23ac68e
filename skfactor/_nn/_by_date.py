"""Fits date by date over rows of many dates, with the gradients that go with them.

The gradients are written out by hand: automatic differentiation would keep a product of every
row with itself. Rows enter and leave one after another; where dates differ in length, betas
(a few numbers a row), never characteristics, are laid out as blocks of equal length inside.
"""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function


class Layout:
    """Which rows belong to which date.

    Parameters
    ----------
    counts : tuple of int
        The number of rows of each date; rows of a date stand together.
    device : torch.device
        Where the rows are.
    """

    def __init__(self, counts: tuple[int, ...], device: torch.device) -> None:
        self.counts = counts
        self.longest = max(counts)
        self.even = min(counts) == self.longest
        self.device = device

    def blocks(self, values: Tensor) -> Tensor:
        """Lay (members, rows, columns) out as (members, dates, longest, columns)."""
        if not self.even:
            values = values.index_select(1, self._rows)
        return values.unflatten(1, (len(self.counts), self.longest))

    def rows(self, blocks: Tensor) -> Tensor:
        """Take (members, rows, columns) back out of the blocks."""
        values = blocks.flatten(1, 2)
        return values if self.even else values.index_select(1, self._slots)

    @cached_property
    def filled(self) -> Tensor | None:
        """1 where a block holds a row, else 0: (1, dates, longest, 1); None for all."""
        if self.even:
            return None
        lengths = np.asarray(self.counts)[:, None]
        filled = torch.from_numpy(np.arange(self.longest) < lengths)
        return filled.to(self.device, torch.get_default_dtype())[None, :, :, None]

    @cached_property
    def _rows(self) -> Tensor:
        """The row in each place of the blocks; a date's last row where there is none."""
        lengths = np.asarray(self.counts)[:, None]
        within = np.minimum(np.arange(self.longest), np.maximum(lengths - 1, 0))
        rows = (np.cumsum(lengths) - lengths[:, 0])[:, None] + within
        return torch.from_numpy(rows.ravel()).to(self.device)

    @cached_property
    def _slots(self) -> Tensor:
        """The place of each row in the blocks."""
        lengths = np.asarray(self.counts)[:, None]
        slots = np.flatnonzero(np.arange(self.longest) < lengths)
        return torch.from_numpy(slots).to(self.device)


class FitOfFactors(Function):
    """The fit of each row, its betas times the factors of its date.

    (members, rows, K) and (members or 1, dates, K) to (members, rows).
    """

    @staticmethod
    def forward(ctx: Any, betas: Tensor, factors: Tensor, layout: Layout) -> Tensor:
        """Multiply."""
        blocks = layout.blocks(betas)
        ctx.save_for_backward(blocks, factors)
        ctx.layout = layout
        return layout.rows(blocks @ factors[..., None])[..., 0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return ``g f'`` of each row and ``b' g`` of each date."""
        blocks, factors = ctx.saved_tensors
        layout: Layout = ctx.layout
        pull = layout.blocks(gradient[..., None])
        for_betas = layout.rows(pull * factors[..., None, :])
        for_factors = None
        if ctx.needs_input_grad[1]:
            if layout.filled is not None:
                pull = pull * layout.filled
            for_factors = (blocks.transpose(-1, -2) @ pull)[..., 0]
        return for_betas, for_factors, None


class FitOfLeastSquares(Function):
    r"""The fit of each row by factors estimated from the returns of its date.

    With the weights :math:`w` (1 where a return is observed), on each date,

    .. math::
        A = B' W B + \rho \, \mathrm{tr}(B' W B) / K \cdot I, \qquad
        f = A^{-1} B' W r, \qquad \hat r = B f.

    For the gradient :math:`g` of the loss with respect to :math:`\hat r`, let
    :math:`s = A^{-1} B' g`. Then

    .. math::
        \partial B = (g - w \circ B s) f' + w \circ (r - \hat r) s'
        - 2 \rho / K \, (s' f) \, W B, \qquad \partial r = w \circ B s .
    """

    @staticmethod
    def forward(
        ctx: Any,
        betas: Tensor,
        returns: Tensor,
        observed: Tensor | None,
        ridge: float,
        layout: Layout,
    ) -> Tensor:
        """Solve and multiply."""
        solved = SolvedDates(betas, returns, observed, ridge, layout)
        fits = solved.blocks @ solved.factors
        # Tensors kept here are not outputs, and no second derivative is ever taken.
        ctx.solved, ctx.fits = solved, fits
        return layout.rows(fits)[..., 0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients stated above."""
        solved: SolvedDates = ctx.solved
        layout, blocks, weights = solved.layout, solved.blocks, solved.weights
        g = layout.blocks(gradient[..., None])
        if layout.filled is not None:
            g = g * layout.filled
        s = solved.inverse @ (blocks.transpose(-1, -2) @ g)
        own, errors = blocks @ s, solved.returns - ctx.fits
        if weights is not None:
            own, errors = own * weights, errors * weights
        f = solved.factors
        left = torch.cat([g - own, errors], dim=-1)
        right = torch.cat([f.transpose(-1, -2), s.transpose(-1, -2)], dim=-2)
        for_betas = left @ right
        if solved.ridge:
            strength = (-2 * solved.ridge / blocks.shape[-1]) * (s * f).sum(dim=-2, keepdim=True)
            for_betas += (blocks if weights is None else blocks * weights) * strength
        for_returns = layout.rows(own)[..., 0] if ctx.needs_input_grad[1] else None
        return layout.rows(for_betas), for_returns, None, None, None


class SolvedDates:
    """Least squares of the returns of each date on its betas.

    Parameters
    ----------
    betas : Tensor of shape (n_members, n_rows, n_factors)
        Betas.
    returns : Tensor of shape (n_members or 1, n_rows)
        Returns; anything finite where missing.
    observed : Tensor of shape (n_rows,) or None
        1 where a return is observed, else 0.
    ridge : float
        The penalty, relative to the mean second moment of the betas.
    layout : Layout
        Which rows belong to which date.
    """

    def __init__(
        self, betas: Tensor, returns: Tensor, observed: Tensor | None, ridge: float, layout: Layout
    ) -> None:
        self.layout, self.ridge = layout, ridge
        self.blocks = layout.blocks(betas)
        self.returns = layout.blocks(returns[..., None])
        self.weights = layout.filled
        if observed is not None:
            weights = layout.blocks(observed[None, :, None])
            self.weights = weights if self.weights is None else weights * self.weights
        weighted = self.blocks if self.weights is None else self.blocks * self.weights
        gram = weighted.transpose(-1, -2) @ self.blocks
        size = gram.shape[-1]
        trace = gram.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]
        # Without returns, or with betas of 0, factors are 0 whatever stands here.
        lift = torch.where(trace > 0, ridge * trace / size, torch.ones_like(trace))
        eye = torch.eye(size, dtype=gram.dtype, device=gram.device)
        self.inverse = torch.linalg.inv_ex(gram + lift * eye).inverse
        self.factors = self.inverse @ (weighted.transpose(-1, -2) @ self.returns)

    def leverage(self) -> Tensor:
        """Return the derivative of each fit with respect to its own return."""
        leverage = ((self.blocks @ self.inverse) * self.blocks).sum(dim=-1, keepdim=True)
        if self.weights is not None:
            leverage = leverage * self.weights
        return self.layout.rows(leverage)[..., 0]

    def fits(self) -> Tensor:
        """Return the fit of each row."""
        return self.layout.rows(self.blocks @ self.factors)[..., 0]
