"""One data set, several settings of the clusterer: the steps before it are fitted once."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skfactor._typing import FloatArray, IntArray, RandomState
from skfactor._validation import draw_seed
from skfactor.cluster._rows import count_rows
from skfactor.exceptions import ClusteringScoreWarning
from skfactor.metrics import davies_bouldin_scorer, silhouette_scorer
from skfactor.metrics._assignments import is_pairwise, labels_of, pipeline_of, position
from skfactor.metrics._clustering import ClusteringScorer

Scorer: TypeAlias = Callable[..., float]
Setting: TypeAlias = Mapping[str, Any]
PARAMETERS = ("n_clusters", "n_components", "clusterer__n_clusters", "clusterer__n_components")
"""What clusterers, mixtures and wrappers of either call the number of clusters."""


@dataclass(frozen=True, eq=False)
class Run:
    """One clustering: the label of each row, its scores, and the spread within clusters."""

    labels: IntArray
    scores: dict[str, float]
    spread: float
    total_spread: float


def run_settings(
    estimator: Any, X: Any, settings: Sequence[Setting], scorers: Mapping[str, Scorer]
) -> list[Run]:
    """Fit `estimator` on `X` once a setting of its last step, and score each fit."""
    steps, (name, last) = split_steps(estimator)
    fitted, spaces = fit_steps(steps, X)
    embedding = spaces["embedding"]
    runs = []
    for setting in settings:
        clusterer = clone(last).set_params(**setting).fit(embedding)
        labels = fitted_labels(clusterer, embedding)
        whole = Pipeline([*fitted, (name, clusterer)]) if fitted else clusterer
        scores = {
            key: score_run(scorer, whole, clusterer, X, spaces, labels)
            for key, scorer in scorers.items()
        }
        runs.append(Run(labels, scores, *spreads(embedding, labels)))
    return runs


def run_quietly(
    estimator: Any, X: Any, settings: Sequence[Setting], scorers: Mapping[str, Scorer]
) -> list[Run]:
    """Do the same on drawn data, where it is no news that there is nothing to score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClusteringScoreWarning)
        return run_settings(estimator, X, settings, scorers)


def split_steps(estimator: Any) -> tuple[list[tuple[str, Any]], tuple[str, Any]]:
    """Return the steps before the clusterer, and the clusterer with its name."""
    if isinstance(estimator, Pipeline):
        *steps, last = estimator.steps
    else:
        steps, last = [], (type(estimator).__name__.lower(), estimator)
    if last[1] is None or not hasattr(last[1], "fit"):
        raise TypeError(
            "`estimator` must be a clusterer or a pipeline that ends in one; "
            f"got {type(estimator).__name__} with {last[1]!r} at its end."
        )
    if not any(works(step) for _, step in steps) and is_pairwise(last[1]):
        raise ValueError(
            "`estimator` must cluster points; got one that takes a precomputed matrix, of which "
            "rows can be neither drawn nor left out. Put the step that computes the matrix in "
            "front of it, in a pipeline."
        )
    return list(steps), last


def works(step: Any) -> bool:
    """Whether a step of a pipeline does anything."""
    return step is not None and step != "passthrough"


def fit_steps(
    steps: Sequence[tuple[str, Any]], X: Any
) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    """Fit clones of the steps one after another, and keep what each of them gives."""
    fitted, spaces, output = [], {"input": X}, X
    for name, step in steps:
        if not works(step):
            # It stays, as its name is that of a space.
            fitted.append((name, "passthrough"))
            spaces[name] = output
            continue
        transformer = clone(step)
        if hasattr(transformer, "fit_transform"):
            output = transformer.fit_transform(output)
        else:
            output = transformer.fit(output).transform(output)
        fitted.append((name, transformer))
        spaces[name] = output
    spaces["embedding"] = output
    return fitted, spaces


def fitted_labels(clusterer: Any, X: Any) -> IntArray:
    """Return the labels of the rows that a clusterer was just fitted on."""
    if not hasattr(clusterer, "predict") and hasattr(clusterer, "labels_"):
        return np.asarray(clusterer.labels_)
    return labels_of(clusterer, X)


def score_run(
    scorer: Scorer,
    whole: Any,
    clusterer: Any,
    X: Any,
    spaces: Mapping[str, Any],
    labels: IntArray,
) -> float:
    """Score a fit; our own scorers need neither a second pass nor a second fit for it."""
    if isinstance(scorer, ClusteringScorer):
        chain = pipeline_of(whole)
        plain = chain is whole or chain is None
        if plain and not is_pairwise(clusterer):
            position(chain, scorer.space)  # raises if there is no such space
            return scorer.score_labels(spaces[scorer.space], labels)
    return float(scorer(whole, X))


def spreads(X: Any, labels: IntArray) -> tuple[float, float]:
    """Return the sums of squared distances to cluster means and to the mean, noise left out."""
    rows = labels >= 0
    try:
        points = np.asarray(X, dtype=float)[rows]
    except (TypeError, ValueError):  # sparse storage or text: there is no such sum
        return np.nan, np.nan
    if not len(points):
        return np.nan, np.nan
    _, groups = np.unique(labels[rows], return_inverse=True)
    sums = np.zeros((groups.max() + 1, points.shape[1]))
    np.add.at(sums, groups, points)
    means = sums / np.bincount(groups)[:, None]
    return float(np.sum((points - means[groups]) ** 2)), float(
        np.sum((points - points.mean(axis=0)) ** 2)
    )


def name_scorers(scoring: Any) -> dict[str, Scorer]:
    """Return scorers by name: both of ours by default, one callable, or a dict of several."""
    if scoring is None:
        return {"silhouette": silhouette_scorer, "davies_bouldin": davies_bouldin_scorer}
    if isinstance(scoring, Mapping) and scoring and all(map(callable, scoring.values())):
        return {str(name): scorer for name, scorer in scoring.items()}
    if isinstance(scoring, ClusteringScorer):
        return {scoring.name: scoring}
    if callable(scoring):
        return {getattr(scoring, "__name__", "score"): scoring}
    raise ValueError(
        "`scoring` must be None, a scorer (estimator, X, y=None) or a dict of such scorers by "
        f"name; got {scoring!r}."
    )


def draw_seeds(random_state: RandomState, n_draws: int) -> list[int]:
    """Return a seed for each draw."""
    rng = np.random.default_rng(draw_seed(random_state))
    return [int(seed) for seed in rng.integers(2**31 - 1, size=n_draws)]


def check_rows(X: Any, at_least: int) -> int:
    """Return the number of rows of `X`, or say that there are too few."""
    n_rows = count_rows(X)
    if n_rows < at_least:
        raise ValueError(f"`X` must have at least {at_least} rows; got {n_rows}.")
    return n_rows


def as_array(runs: Sequence[Run], names: Sequence[str]) -> FloatArray:
    """Return the scores of some runs, of shape (n_runs, n_scores)."""
    return np.array([[run.scores[name] for name in names] for run in runs], dtype=float)
