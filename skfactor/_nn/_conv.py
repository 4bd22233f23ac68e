"""The fully convolutional autoencoder's network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from skfactor._nn._autoencoder import ACTIVATIONS, Autoencoder


class ConvAutoencoder(Autoencoder):
    """Strided convolutions from ``n_features`` positions to one, and their mirror image.

    Inside, tensors have the axes (rows, positions, channels). A row of ``n_features`` values
    enters as that many positions with one channel; the code is one position with
    ``n_components`` channels. No layer is dense.
    """

    def __init__(
        self,
        n_features: int,
        channels: Sequence[int],
        kernel_size: int,
        stride: int,
        n_components: int,
        activation: str,
        dropout: float,
        noise: float,
    ) -> None:
        lengths = stage_lengths(n_features, stride)
        hidden = [channels[min(i, len(channels) - 1)] for i in range(len(lengths) - 2)]
        widths = [1, *hidden, n_components]
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for i, length in enumerate(lengths[:-1]):
            # The last stage may have fewer positions left than a kernel or a step.
            kernel, step = min(kernel_size, length), min(stride, length)
            if i:
                down += nonlinearity(activation, dropout)
                up = nonlinearity(activation, dropout) + up
            down.append(PatchConv1d(widths[i], widths[i + 1], kernel, step))
            up.insert(0, Upsample(widths[i + 1], widths[i], kernel, step, length))
        super().__init__(
            nn.Sequential(nn.Unflatten(1, (n_features, 1)), *down, Drop(axis=1)),
            nn.Sequential(nn.Unflatten(1, (1, n_components)), *up, Drop(axis=2)),
            noise,
        )


def stage_lengths(length: int, stride: int) -> list[int]:
    """Return the positions before and after each stage: each time a ``stride``-th, rounded up."""
    lengths = [length]
    while lengths[-1] > 1 or len(lengths) == 1:
        lengths.append(-(-lengths[-1] // stride))
    return lengths


def nonlinearity(activation: str, dropout: float) -> list[nn.Module]:
    """Return what stands between two convolutions."""
    layers: list[nn.Module] = []
    if activation != "identity":
        layers.append(ACTIVATIONS[activation]())
    if dropout:
        layers.append(nn.Dropout(dropout))
    return layers


class PatchConv1d(nn.Conv1d):
    """A convolution over (rows, positions, channels) whose edges are repeated outwards.

    Position ``i`` of the output sees the ``kernel_size`` positions centred on the block
    ``i * stride, ..., (i + 1) * stride - 1`` of the input, and there is one for each block,
    the last of which may be incomplete.

    With channels last a patch is contiguous in memory and the layer is one matrix product. On
    a CPU, and for series of a few hundred values, that takes a half to a third of the time of
    torch's own convolution.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int) -> None:
        super().__init__(n_in, n_out, kernel_size, stride)

    def forward(self, X: Tensor) -> Tensor:
        """Convolve."""
        (kernel,), (stride,) = self.kernel_size, self.stride
        n_rows, length, n_channels = X.shape
        n_out = -(-length // stride)
        n_parts = -(-kernel // stride)  # blocks that a patch touches
        left = (kernel - stride) // 2
        X = repeat_edges(X, left, (n_out + n_parts - 1) * stride - left - length)
        blocks = X.reshape(n_rows, n_out + n_parts - 1, stride * n_channels)
        if n_parts > 1:
            patches = torch.cat([blocks[:, i : i + n_out] for i in range(n_parts)], dim=2)
            blocks = patches[:, :, : kernel * n_channels]
        return functional.linear(blocks, self.weight.transpose(1, 2).flatten(1), self.bias)


class Upsample(nn.Module):
    """Make ``length`` positions of a ``stride``-th as many: convolve, then split channels.

    A convolution makes ``stride`` positions' worth of channels at each coarse position, which
    are laid out one after another: a transposed convolution without its overlapping sums.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int, length: int) -> None:
        super().__init__()
        self.convolution = PatchConv1d(n_in, n_out * stride, -(-kernel_size // stride), 1)
        self.n_out = n_out
        self.length = length

    def forward(self, X: Tensor) -> Tensor:
        """Upsample, and cut off what an incomplete last block does not need."""
        fine = self.convolution(X)
        return fine.reshape(len(X), -1, self.n_out)[:, : self.length]


class Drop(nn.Module):
    """Drop an axis of length one."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, X: Tensor) -> Tensor:
        """Drop the axis."""
        return X.squeeze(self.axis)


def repeat_edges(X: Tensor, left: int, right: int) -> Tensor:
    """Lengthen the axis of positions by copies of its first and its last entry."""
    if not left and not right:
        return X
    first, last = X[:, :1].expand(-1, left, -1), X[:, -1:].expand(-1, right, -1)
    return torch.cat([first, X, last], dim=1)
