"""Training a convolutional autoencoder: skfactor, a hand-written torch loop, plain skorch.

The same network (256-64-16-4-1 positions, 8-32-128-4 channels, and back), the same 2,000 paths,
batch 128, Adam, one thread, alternating rounds. Beside them the same network made of torch's
own convolutions, from the same first weights, as the loop and as plain skorch; and the loop over
a convolutional autoencoder as it is usually drawn (kernel 3, a pooling of 2 after each stage, 8
channels throughout) and over the dense reducer's default network. Prints the cost of each as a
multiple of the hand-written loop's, with the reconstruction error reached on the training rows.

Run ``python benchmarks/bench_conv_autoencoder.py --rounds 5``.
"""

import argparse
import itertools
from collections.abc import Callable

from _timing import one_thread, race_trainings

one_thread()

import numpy as np
import torch
from skorch import NeuralNet
from torch import nn

from skfactor._nn._autoencoder import DenseAutoencoder
from skfactor._nn._conv import ConvAutoencoder
from skfactor.decomposition import ConvAutoencoderReducer

N_ROWS, N_FEATURES, N_COMPONENTS = 2_000, 256, 4
CHANNELS, KERNEL, STRIDE = (8, 32, 128), 4, 4
EPOCHS, BATCH, RATE = 6, 128, 0.003
NETWORK = {
    "n_features": N_FEATURES,
    "channels": CHANNELS,
    "kernel_size": KERNEL,
    "stride": STRIDE,
    "n_components": N_COMPONENTS,
    "activation": "gelu",
    "dropout": 0.0,
    "noise": 0.0,
}
DENSE = {
    "n_features": N_FEATURES,
    "hidden_layer_sizes": (32, 16),
    "n_components": N_COMPONENTS,
    "activation": "elu",
    "dropout": 0.0,
    "noise": 0.0,
}


def make_rows() -> np.ndarray:
    """Random walks, each with mean 0 and deviation 1."""
    steps = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES))
    X = steps.cumsum(axis=1)
    X -= X.mean(axis=1, keepdims=True)
    return (X / X.std(axis=1, keepdims=True)).astype(np.float32)


def loop(make: Callable[[], nn.Module]) -> Callable[[np.ndarray], float]:
    """Return the shortest training loop one would write, with the fused optimiser."""

    def run(X: np.ndarray) -> float:
        torch.manual_seed(0)
        module = make()
        optimizer = torch.optim.Adam(module.parameters(), lr=RATE, fused=True)
        criterion = nn.MSELoss()
        rows = torch.from_numpy(X)
        for _ in range(EPOCHS):
            for batch in rows[torch.randperm(len(rows))].split(BATCH):
                optimizer.zero_grad()
                loss = criterion(module(batch), batch)
                loss.backward()
                optimizer.step()
        return error_of(module, X)

    return run


def torch_convolutions() -> nn.Module:
    """Build the same network of torch's convolutions, from the same first weights."""
    ours = [m for m in ConvAutoencoder(**NETWORK).modules() if isinstance(m, nn.Conv1d)]
    widths = [1, *CHANNELS, N_COMPONENTS]
    down: list[nn.Module] = [nn.Unflatten(1, (1, N_FEATURES))]
    up: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        down += [nn.Conv1d(n_in, n_out, KERNEL, STRIDE)] + [nn.GELU()] * (i < len(CHANNELS))
        up = [nn.ConvTranspose1d(n_out, n_in, KERNEL, STRIDE)] + [nn.GELU()] * (i > 0) + up
    theirs = [m for m in (*down, *up) if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)]
    with torch.no_grad():
        for own, other in zip(ours, theirs, strict=True):
            weight, bias = own.weight, own.bias
            if isinstance(other, nn.ConvTranspose1d):  # ours keeps positions among its channels
                n_in, n_out, _ = other.weight.shape
                weight = weight.reshape(STRIDE, n_out, n_in).permute(2, 1, 0)
                bias = bias.reshape(STRIDE, n_out).mean(dim=0)
            other.weight.copy_(weight)
            other.bias.copy_(bias)
    return nn.Sequential(*down, *up, nn.Flatten())


def pooled_by_two() -> nn.Module:
    """Take the maximum over pairs after a kernel of 3, eight times; go back by repeating."""
    down: list[nn.Module] = [nn.Unflatten(1, (1, N_FEATURES))]
    up: list[nn.Module] = []
    for i in range(8):
        n_in, n_out = (1 if i == 0 else 8), (N_COMPONENTS if i == 7 else 8)
        down += [nn.Conv1d(n_in, n_out, 3, padding=1), nn.MaxPool1d(2)]
        up = [nn.Upsample(scale_factor=2), nn.Conv1d(n_out, n_in, 3, padding=1), *up]
        if i < 7:
            down.insert(-1, nn.ReLU())
        if i > 0:
            up.insert(2, nn.ReLU())
    return nn.Sequential(*down, *up, nn.Flatten())


def skfactor(X: np.ndarray) -> float:
    reducer = ConvAutoencoderReducer(
        N_COMPONENTS,
        channels=CHANNELS,
        kernel_size=KERNEL,
        stride=STRIDE,
        learning_rate=RATE,
        max_epochs=EPOCHS,
        batch_size=BATCH,
        validation_fraction=0,
        patience=None,
        device="cpu",
        random_state=0,
    )
    return error_of(reducer.fit(X).net_.module_, X)


def plain_skorch(make: Callable[[], nn.Module]) -> Callable[[np.ndarray], float]:
    """Return what skorch's introduction leads to: stock loader, default callbacks."""

    def run(X: np.ndarray) -> float:
        torch.manual_seed(0)
        net = NeuralNet(
            make(),
            criterion=nn.MSELoss,
            optimizer=torch.optim.Adam,
            lr=RATE,
            max_epochs=EPOCHS,
            batch_size=BATCH,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
        )
        return error_of(net.fit(X, X).module_, X)

    return run


def error_of(module: nn.Module, X: np.ndarray) -> float:
    """Mean squared reconstruction error on the training rows."""
    module.eval()
    with torch.inference_mode():
        rows = torch.from_numpy(X)
        return float(nn.functional.mse_loss(module(rows), rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the ratios to this file")
    args = parser.parse_args()

    X = make_rows()
    functions = {
        "hand-written loop": loop(lambda: ConvAutoencoder(**NETWORK)),
        "skfactor": skfactor,
        "skorch": plain_skorch(lambda: ConvAutoencoder(**NETWORK)),
        "loop, torch's convolutions": loop(torch_convolutions),
        "skorch, torch's convolutions": plain_skorch(torch_convolutions),
        "loop, pooled by two": loop(pooled_by_two),
        "loop, dense 32-16": loop(lambda: DenseAutoencoder(**DENSE)),
    }
    race_trainings(functions, X, args, f"{N_ROWS} x {N_FEATURES}, {EPOCHS} epochs, batch {BATCH}")


if __name__ == "__main__":
    main()
