"""The dense autoencoder's network."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "tanh": nn.Tanh,
}


def dense_layers(sizes: Sequence[int], activation: str, dropout: float) -> nn.Sequential:
    """Stack linear layers with an activation (and dropout) after each but the last."""
    layers: list[nn.Module] = []
    for position, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layers.append(nn.Linear(n_in, n_out))
        if position < len(sizes) - 2:
            if activation != "identity":
                layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class DenseAutoencoder(nn.Module):
    """Encoder ``n_features → hidden → n_components`` and its mirror image as decoder."""

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        n_components: int,
        activation: str,
        dropout: float,
        noise: float,
    ) -> None:
        super().__init__()
        down = (n_features, *hidden_layer_sizes, n_components)
        self.encoder = dense_layers(down, activation, dropout)
        self.decoder = dense_layers(down[::-1], activation, dropout)
        self.noise = noise

    def forward(self, X: Tensor) -> Tensor:
        """Reconstruct ``X``, from a noisy copy of it while training if ``noise`` is set."""
        if self.training and self.noise:
            X = X + self.noise * torch.randn_like(X)
        return self.decoder(self.encoder(X))
