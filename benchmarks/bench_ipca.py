"""Instrumented PCA: skfactor against the PyPI package ``ipca``.

Both get NumPy arrays, fit with their defaults on one thread in alternating rounds, and are
warm: the peer has compiled its loops. CPU time. Beside the ratios stand how far the loadings
are apart after the best rotation, with both run to a tight tolerance, and the total R² of both.

Run ``python benchmarks/bench_ipca.py --assets 1000 --dates 360 --features 36 --factors 5``.
"""

import argparse
import contextlib
import io
import json
import statistics
import warnings
from pathlib import Path

from _timing import alternate, median_ratios, one_thread

one_thread()

import numpy as np
from ipca import InstrumentedPCA as Peer

from skfactor.factor_models import InstrumentedPCA

TIGHT = 1e-9


def make_panel(
    n_assets: int, n_dates: int, n_features: int, n_factors: int, share: float = 0.2
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Persistent, correlated, rank-transformed characteristics; assets that come and go."""
    rng = np.random.default_rng(0)
    correlation = np.linalg.cholesky(0.3 + 0.7 * np.eye(n_features))
    latent = rng.standard_normal((n_assets, n_features))
    cube = np.empty((n_dates, n_assets, n_features))
    for t in range(n_dates):
        shocks = rng.standard_normal((n_assets, n_features)) @ correlation.T
        latent = 0.95 * latent + np.sqrt(1 - 0.95**2) * shocks
        cube[t] = latent.argsort(axis=0).argsort(axis=0) / (n_assets - 1) - 0.5
    cube[:, :, -1] = 1.0
    gamma = np.linalg.qr(rng.standard_normal((n_features, n_factors)))[0]
    factors = 0.3 + rng.standard_normal((n_dates, n_factors))
    factors *= 0.05 * np.linspace(1.5, 0.6, n_factors)
    signal = np.einsum("tnl,lk,tk->tn", cube, gamma, factors)
    noise = rng.standard_normal(signal.shape) * signal.std() * np.sqrt(1 / share - 1)
    first = rng.integers(0, n_dates // 2, n_assets)
    last = np.minimum(n_dates, first + rng.integers(n_dates // 3, n_dates, n_assets))
    date = np.arange(n_dates)[:, None]
    kept = (date >= first) & (date < last)
    dates, assets = np.nonzero(kept)
    return cube[kept], (signal + noise)[kept], dates, assets


def total_r2(
    X: np.ndarray, y: np.ndarray, dates: np.ndarray, gamma: np.ndarray, factors: np.ndarray
) -> float:
    fit = np.einsum("nk,nk->n", X @ gamma, factors[dates])
    return float(1 - ((y - fit) ** 2).sum() / (y**2).sum())


def quietly(model: Peer, X: np.ndarray, y: np.ndarray, indices: np.ndarray) -> Peer:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return model.fit(X, y, indices.copy(), quiet=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=int, default=1000)
    parser.add_argument("--dates", type=int, default=360)
    parser.add_argument("--features", type=int, default=36)
    parser.add_argument("--factors", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    K = args.factors
    X, y, dates, assets = make_panel(args.assets, args.dates, args.features, K)
    indices = np.column_stack([assets, dates])

    small = make_panel(30, 12, 4, 2)
    quietly(Peer(n_factors=2), small[0], small[1], np.column_stack([small[3], small[2]]))
    seconds = alternate(
        {
            "skfactor": lambda: InstrumentedPCA(K).fit(X, y, dates=dates, assets=assets),
            "ipca": lambda: quietly(Peer(n_factors=K), X, y, indices),
        },
        args.rounds,
    )
    ratio = median_ratios(seconds, "skfactor")["ipca"]

    ours = InstrumentedPCA(K, tol=TIGHT).fit(X, y, dates=dates, assets=assets)
    theirs = quietly(Peer(n_factors=K, iter_tol=TIGHT), X, y, indices)
    U, _, Vt = np.linalg.svd(theirs.Gamma.T @ ours.gamma_)
    report = {
        "rows": len(y),
        "skfactor, ms": 1e3 * statistics.median(seconds["skfactor"]),
        "ipca, ms": 1e3 * statistics.median(seconds["ipca"]),
        "ratio": ratio,
        "largest difference of Gamma, rotated": float(
            np.abs(theirs.Gamma @ (U @ Vt) - ours.gamma_).max()
        ),
        "largest difference of Gamma as it is": float(np.abs(theirs.Gamma - ours.gamma_).max()),
        "total R2, skfactor": total_r2(X, y, dates, ours.gamma_, ours.factor_returns_.to_numpy()),
        "total R2, ipca": total_r2(X, y, dates, theirs.Gamma, theirs.Factors.T),
    }
    print(
        f"{args.assets} assets, {args.dates} dates, {args.features} characteristics, "
        f"{K} factors, one thread"
    )
    for name, value in report.items():
        print(f"{name:40}{value:.12g}" if "R2" in name else f"{name:40}{value:.4g}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1), "utf-8")


if __name__ == "__main__":
    main()
