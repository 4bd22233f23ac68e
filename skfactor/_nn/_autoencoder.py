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


class Autoencoder(nn.Module):
    """An encoder and a decoder; while training, the encoder may see a noisy copy of a row."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, noise: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.noise = noise

    def forward(self, X: Tensor) -> Tensor:
        """Reconstruct ``X``, from a noisy copy of it while training if ``noise`` is set."""
        if self.training and self.noise:
            X = X + self.noise * torch.randn_like(X)
        return self.decoder(self.encoder(X))


class DenseAutoencoder(Autoencoder):
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
        down = (n_features, *hidden_layer_sizes, n_components)
        super().__init__(
            dense_layers(down, activation, dropout),
            dense_layers(down[::-1], activation, dropout),
            noise,
        )
