"""A search over the number of clusters, with and without ``Pipeline(memory=...)``.

The pipeline standardises, maps by t-SNE and clusters by K-means; the search tries several
numbers of clusters on two folds. Without memory the map is made once for each number and fold;
with it, once for each fold. One thread, alternating rounds, a fresh cache in every round.

Run ``python benchmarks/bench_memory.py --rows 600 --rounds 3``.
"""

import argparse
import json
import tempfile
from pathlib import Path

from _timing import alternate, median_ratios, one_thread

one_thread()

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfactor.manifold import TSNEEmbedder
from skfactor.metrics import silhouette_scorer

NUMBERS = [2, 3, 4, 5, 6, 7, 8]


def search(X: np.ndarray, memory: str | None) -> np.ndarray:
    """Search over the numbers of clusters and return the score of each."""
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("map", TSNEEmbedder(random_state=0)),
            ("kmeans", KMeans(n_init=5, random_state=0)),
        ],
        memory=memory,
    )
    found = GridSearchCV(
        pipeline,
        {"kmeans__n_clusters": NUMBERS},
        scoring=silhouette_scorer,
        cv=KFold(2, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X)
    return found.cv_results_["mean_test_score"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args()

    X, _ = make_blobs(n_samples=options.rows, n_features=8, centers=5, random_state=0)
    scores: dict[str, np.ndarray] = {}

    def without() -> None:
        scores["without memory"] = search(X, None)

    def with_memory() -> None:
        with tempfile.TemporaryDirectory() as folder:
            scores["with memory"] = search(X, folder)

    seconds = alternate({"without memory": without, "with memory": with_memory}, options.rounds)
    ratio = median_ratios(seconds, base="with memory")["without memory"]
    equal = np.array_equal(scores["without memory"], scores["with memory"])
    print(f"{options.rows} rows, {len(NUMBERS)} numbers of clusters, 2 folds, CPU seconds a search")
    for name, times in seconds.items():
        print(f"  {name:<15}{np.median(times):8.2f}")
    print(f"  without / with {ratio:8.2f}     equal scores: {equal}")
    if options.output:
        figures = {"rows": options.rows, "seconds": seconds, "ratio": ratio, "equal": equal}
        options.output.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
