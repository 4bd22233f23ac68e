"""Peak memory of fitting a large panel, on top of the panel itself.

Each case runs in a process of its own: the panel is made, the model is fitted, and the rise of the
peak resident size over what was resident before is printed as a multiple of the characteristics'
own size; torch counts where it is imported. Networks train for one epoch: more epochs need no more
memory.

The panel comes as an array or as a DataFrame: around such an array (``frame``), around one that
keeps each column in one piece, as frames from files and calculations do (``F-ordered``), or with
each column an array of its own (``dict``).

Run ``python benchmarks/bench_panel_memory.py``: 3 million rows of 94 characteristics in single
precision, 1.1 GB. ``--rows 400000`` for less.
"""

import argparse
import os
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from skfactor.factor_models import (
    ConditionalAutoencoderFactorModel,
    CrossSectionalFactorModel,
    DeepCharacteristicFactorModel,
    InstrumentedPCA,
    PCAFactorModel,
)

N_ASSETS = 5_000
STATUS = Path("/proc/self/status")
MODELS = {
    "CrossSectionalFactorModel": lambda: CrossSectionalFactorModel(),
    "PCAFactorModel": lambda: PCAFactorModel(5),
    "InstrumentedPCA": lambda: InstrumentedPCA(5, max_iter=20),
    "ConditionalAutoencoderFactorModel": lambda: ConditionalAutoencoderFactorModel(
        5, hidden_layer_sizes=(32,), n_members=1, max_epochs=1, random_state=0, device="cpu"
    ),
    "the same, managed portfolios": lambda: ConditionalAutoencoderFactorModel(
        5,
        hidden_layer_sizes=(32,),
        factor_side="managed",
        n_members=1,
        max_epochs=1,
        random_state=0,
        device="cpu",
    ),
    "DeepCharacteristicFactorModel": lambda: DeepCharacteristicFactorModel(
        2, n_members=1, max_epochs=1, random_state=0, device="cpu"
    ),
}
CONTAINERS = ("array", "frame", "F-ordered", "dict")


def resident() -> int:
    """Return the resident size of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(model: str, container: str, n_rows: int, n_features: int) -> None:
    """Fit one model and print the rise of the peak and the CPU time."""
    rng = np.random.default_rng(0)
    n_dates = n_rows // N_ASSETS
    values = np.empty((n_dates * N_ASSETS, n_features), dtype=np.float32)
    rng.random(out=values, dtype=np.float32)
    values *= 2.0
    values -= 1.0
    factor = np.repeat(rng.normal(0.01, 0.05, n_dates).astype(np.float32), N_ASSETS)
    y = values[:, 0] * factor + rng.normal(0, 0.1, len(values)).astype(np.float32)
    months = pd.period_range("1960-01", periods=n_dates, freq="M")
    index = pd.MultiIndex.from_product([months, range(N_ASSETS)], names=["date", "asset"])
    y = pd.Series(y, index, copy=False)
    names, size = [f"c{j}" for j in range(n_features)], values.nbytes
    X = values
    if container == "frame":
        X = pd.DataFrame(values, index, columns=names, copy=False)
    elif container == "F-ordered":
        X = pd.DataFrame(np.asfortranarray(values), index, columns=names, copy=False)
    elif container == "dict":
        columns = {name: values[:, j].copy() for j, name in enumerate(names)}
        X = pd.DataFrame(columns, index, copy=False)
        del columns
    del values  # what is left of it belongs to X
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts here
    before, start = resident(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge
        MODELS[model]().fit(X, y)
    peak = 1024 * int(re.search(r"VmHWM:\s+(\d+)", STATUS.read_text("ascii")).group(1))
    print(
        f"{model:35s} {container:9s} {(peak - before) / size:5.2f} x the panel, "
        f"{time.process_time() - start:6.1f} s of CPU",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--features", type=int, default=94)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--containers", nargs="+", choices=CONTAINERS, default=list(CONTAINERS))
    parser.add_argument("--here", action="store_true", help="the first case, in this process")
    args = parser.parse_args()
    if args.here:
        measure(args.models[0], args.containers[0], args.rows, args.features)
        return
    size = 4 * args.rows * args.features
    print(f"{args.rows:,} rows x {args.features} characteristics, {size / 1e9:.2f} GB")
    for model in args.models:
        for container in args.containers:
            case = ["--here", "--models", model, "--containers", container]
            sizes = ["--rows", str(args.rows), "--features", str(args.features)]
            subprocess.run([sys.executable, __file__, *case, *sizes], check=True)


if __name__ == "__main__":
    main()
