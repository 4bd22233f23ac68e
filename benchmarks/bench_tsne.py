"""Mapping rows by t-SNE: skfactor, its engine called directly, scikit-learn.

The same rows, perplexity 30, exact neighbours, one thread, alternating rounds. The engine gets
skfactor's settings; scikit-learn keeps its own 1,000 iterations. Beside the cost stand the
exact divergence of each map, by one function and from the same affinities, and the share of
each row's ten nearest rows that are among its ten nearest places.

Run ``python benchmarks/bench_tsne.py --sizes 2000 30000 --rounds 3``.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

from _timing import alternate, one_thread

one_thread()

import numpy as np
import openTSNE
from openTSNE.affinity import PerplexityBasedNN
from scipy.spatial.distance import cdist
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from skfactor.manifold import TSNEEmbedder

PERPLEXITY, EARLY, LATE = 30.0, 250, 750
N_GROUPS, N_NEIGHBORS, N_JUDGED = 10, 10, 2_000


def make_rows(n_rows: int, n_columns: int) -> np.ndarray:
    """Ten overlapping groups in a standardised table."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(N_GROUPS, n_columns))
    X = centers[rng.integers(N_GROUPS, size=n_rows)] + rng.normal(size=(n_rows, n_columns))
    return (X - X.mean(0)) / X.std(0)


def by_skfactor(X: np.ndarray) -> np.ndarray:
    embedder = TSNEEmbedder(perplexity=PERPLEXITY, max_iter=EARLY + LATE, random_state=0)
    return embedder.fit_transform(X)


def by_engine(X: np.ndarray) -> np.ndarray:
    engine = openTSNE.TSNE(
        perplexity=PERPLEXITY,
        early_exaggeration_iter=EARLY,
        n_iter=LATE,
        neighbors="exact",
        negative_gradient_method="auto",
        n_jobs=1,
        random_state=0,
    )
    return np.asarray(engine.fit(X))


def by_scikit_learn(X: np.ndarray) -> np.ndarray:
    return TSNE(perplexity=PERPLEXITY, n_jobs=1, random_state=0).fit_transform(X)


COMPETITORS = {"skfactor": by_skfactor, "openTSNE": by_engine, "scikit-learn": by_scikit_learn}


def exact_divergence(places: np.ndarray, affinities) -> float:
    """Kullback-Leibler divergence with every pair of places in the normalising constant."""
    normaliser = -float(len(places))
    for start in range(0, len(places), 500):
        normaliser += (1 / (1 + cdist(places[start : start + 500], places, "sqeuclidean"))).sum()
    pairs = affinities.tocoo()
    gap = ((places[pairs.row] - places[pairs.col]) ** 2).sum(axis=1)
    p = pairs.data
    seen = p > 0
    return float(
        (p * (np.log(np.where(seen, p, 1)) + np.log1p(gap) + np.log(normaliser)))[seen].sum()
    )


def neighbours_kept(X: np.ndarray, places: np.ndarray) -> float:
    """Share of the nearest rows that are also nearest places, over rows drawn at random."""
    chosen = np.random.default_rng(1).permutation(len(X))[:N_JUDGED]
    in_rows, in_map = (
        NearestNeighbors(n_neighbors=N_NEIGHBORS + 1)
        .fit(space)
        .kneighbors(space[chosen], return_distance=False)[:, 1:]
        for space in (X, places)
    )
    return float(
        np.mean([len(set(a) & set(b)) / N_NEIGHBORS for a, b in zip(in_rows, in_map, strict=True)])
    )


def measure(n_rows: int, n_columns: int, rounds: int) -> list[dict[str, float | str]]:
    """Race the competitors on one table and judge the last map of each."""
    X = make_rows(n_rows, n_columns)
    maps: dict[str, np.ndarray] = {}

    def runner(name: str) -> Callable[[], None]:
        return lambda: maps.update({name: COMPETITORS[name](X)})

    seconds = alternate({name: runner(name) for name in COMPETITORS}, rounds)
    affinities = PerplexityBasedNN(X, perplexity=PERPLEXITY, method="exact").P
    ours = statistics.median(seconds["skfactor"])
    return [
        {
            "rows": n_rows,
            "columns": n_columns,
            "method": name,
            "seconds": statistics.median(times),
            "skfactor / it": ours / statistics.median(times),
            "divergence": exact_divergence(maps[name].astype(np.float64), affinities),
            "neighbours kept": neighbours_kept(X, maps[name]),
        }
        for name, times in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000])
    parser.add_argument("--columns", type=int, nargs="+", default=[32, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the table to this file as well")
    arguments = parser.parse_args()

    results = [
        row
        for n_rows in arguments.sizes
        for n_columns in arguments.columns
        for row in measure(n_rows, n_columns, arguments.rounds)
    ]
    print(f"{'rows':>7} {'columns':>7} {'method':<13} {'CPU s':>8} {'skfactor / it':>14}", end="")
    print(f" {'divergence':>11} {'neighbours kept':>16}")
    for row in results:
        print(
            f"{row['rows']:>7} {row['columns']:>7} {row['method']:<13} {row['seconds']:>8.2f} "
            f"{row['skfactor / it']:>14.3f} {row['divergence']:>11.4f} "
            f"{row['neighbours kept']:>16.4f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
