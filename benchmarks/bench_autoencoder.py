"""Training a dense autoencoder: skfactor, a hand-written torch loop, plain skorch, ClustPy.

The same network (32-24-16-8 and back), the same 2,000 rows, batch 128, Adam, 100 epochs, one
thread, alternating rounds. Prints the cost of each as a multiple of the hand-written loop's,
with the reconstruction error each reached on the training rows.

Run ``python benchmarks/bench_autoencoder.py --rounds 5``. ClustPy is measured if it is
installed.
"""

import argparse
import importlib.util
import sys
from unittest.mock import MagicMock

from _timing import one_thread, race_trainings

one_thread()

import numpy as np
import torch
from skorch import NeuralNet
from torch import nn

from skfactor._nn._autoencoder import DenseAutoencoder
from skfactor.decomposition import AutoencoderReducer

N_ROWS, N_FEATURES, HIDDEN, N_COMPONENTS = 2_000, 32, (24, 16), 8
EPOCHS, BATCH, RATE = 100, 128, 0.003
NETWORK = {
    "n_features": N_FEATURES,
    "hidden_layer_sizes": HIDDEN,
    "n_components": N_COMPONENTS,
    "activation": "relu",
    "dropout": 0.0,
    "noise": 0.0,
}


def make_rows() -> np.ndarray:
    """Ten factors behind 32 standardised columns, bent a little, with noise."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(N_ROWS, 10))
    X = np.tanh(hidden @ rng.normal(size=(10, N_FEATURES))) + 0.3 * rng.normal(
        size=(N_ROWS, N_FEATURES)
    )
    return ((X - X.mean(0)) / X.std(0)).astype(np.float32)


def hand_written(X: np.ndarray) -> float:
    """The shortest loop one would write, with the fused optimiser."""
    torch.manual_seed(0)
    module = DenseAutoencoder(**NETWORK)
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


def skfactor(X: np.ndarray) -> float:
    reducer = AutoencoderReducer(
        N_COMPONENTS,
        hidden_layer_sizes=HIDDEN,
        activation="relu",
        learning_rate=RATE,
        max_epochs=EPOCHS,
        batch_size=BATCH,
        validation_fraction=0,
        patience=None,
        device="cpu",
        random_state=0,
    )
    return error_of(reducer.fit(X).net_.module_, X)


def plain_skorch(X: np.ndarray) -> float:
    """What a reader of skorch's introduction would write: stock loader, default callbacks."""
    torch.manual_seed(0)
    net = NeuralNet(
        DenseAutoencoder,
        criterion=nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=RATE,
        max_epochs=EPOCHS,
        batch_size=BATCH,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
        **{f"module__{name}": value for name, value in NETWORK.items()},
    )
    return error_of(net.fit(X, X).module_, X)


def import_clustpy() -> type:
    """Return ClustPy's dense autoencoder; its image code, unused here, may lack torchvision."""
    if "torchvision" not in sys.modules and importlib.util.find_spec("torchvision") is None:
        parts = ("", ".transforms", ".models", ".models._api", ".models.resnet")
        for part in parts:
            sys.modules[f"torchvision{part}"] = MagicMock()
    from clustpy.deep.neural_networks import FeedforwardAutoencoder

    return FeedforwardAutoencoder


def clustpy(X: np.ndarray) -> float:
    """ClustPy's autoencoder of the same sizes."""
    torch.manual_seed(0)
    net = import_clustpy()([N_FEATURES, *HIDDEN, N_COMPONENTS], activation_fn=nn.ReLU)
    trained = net.fit(
        data=X,
        n_epochs=EPOCHS,
        batch_size=BATCH,
        optimizer_params={"lr": RATE},
        optimizer_class=torch.optim.Adam,
    )
    return error_of(_Reconstruction(trained), X)


class _Reconstruction(nn.Module):
    """ClustPy's forward, which returns the reconstruction among other things."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.net.decode(self.net.encode(rows))


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
    functions = {"hand-written loop": hand_written, "skfactor": skfactor, "skorch": plain_skorch}
    try:
        import_clustpy()
    except ImportError:
        print("ClustPy is not installed: not measured.")
    else:
        functions["ClustPy"] = clustpy
    race_trainings(functions, X, args, f"{N_ROWS} x {N_FEATURES}, {EPOCHS} epochs, batch {BATCH}")


if __name__ == "__main__":
    main()
