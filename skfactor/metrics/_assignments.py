"""Which cluster a fitted estimator gives to rows, and what those rows look like on the way."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skfactor._typing import IntArray
from skfactor._validation import listed

RESERVED_SPACES = ("input", "embedding")


class NotScorableError(ValueError):
    """A clustering that has no honest score; the message is the reason."""


def space_and_labels(estimator: Any, X: Any, space: str) -> tuple[Any, IntArray]:
    """Return the rows of `X` in `space`, and their clusters, passing each step only once."""
    estimator = unwrap(estimator)
    chain = pipeline_of(estimator)
    stop = position(chain, space)
    Z = through(chain, 0, stop, X)
    if chain is not estimator:
        return Z, labels_of(estimator, X)
    last = len(chain.steps) - 1
    return Z, labels_of(chain[-1], through(chain, stop, last, Z))


def labels_of(estimator: Any, X: Any) -> IntArray:
    """Return the cluster of each row of `X`, noise below zero."""
    estimator = unwrap(estimator)
    if hasattr(estimator, "predict"):
        return np.asarray(estimator.predict(X))
    if isinstance(estimator, Pipeline):
        last = len(estimator.steps) - 1
        return labels_of(estimator[-1], through(estimator, 0, last, X))
    return labels_of_fitted_rows(estimator, X)


def labels_of_fitted_rows(clusterer: Any, X: Any) -> IntArray:
    """Return the labels of a clusterer without `predict`, if `X` are the rows it was fitted on.

    An estimator does not keep the rows it was fitted on, and two folds of one size are all it
    takes to pair labels with the wrong rows unnoticed. So a clone is fitted on `X`: on the same
    rows it learns the same things. The labels returned are those of the clone.
    """
    name = type(clusterer).__name__
    fitted = getattr(clusterer, "labels_", None)
    if fitted is None:
        raise TypeError(
            f"A clustering scorer needs an estimator with `predict` or `labels_`; got {name}, "
            "which has neither. End the pipeline in a clusterer."
        )
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    repair = (
        "score the rows that were fitted (cv=FullSample()), or wrap it as "
        f"InductiveClusterer({name}(...)), which can label new rows"
    )
    if len(fitted) != n_rows:
        raise NotScorableError(
            f"{name} has no `predict` and was fitted on {len(fitted)} rows, not on the "
            f"{n_rows} rows to score; {repair}"
        )
    again = clone(clusterer).fit(X)
    difference = first_difference(clusterer, again)
    if difference is not None:
        raise NotScorableError(
            f"{name} has no `predict`, and fitted again on the {n_rows} rows to score it gives "
            f"another `{difference}`, so they are not the rows it was fitted on, or the "
            f"clusterer is random; {repair}, and give it an integer `random_state` if it takes one"
        )
    return np.asarray(again.labels_)


def first_difference(fitted: Any, again: Any) -> str | None:
    """Name a fitted attribute by which two fits of one clusterer differ."""
    old, new = np.asarray(fitted.labels_), np.asarray(again.labels_)
    same_noise = np.array_equal(old < 0, new < 0)
    if not same_noise or adjusted_rand_score(old, new) < 1.0:
        return "labels_"
    # Well separated groups in a regular order give equal partitions of different rows. What
    # else was learnt (a tree of merges, an affinity, core samples) tells those apart.
    for name, value in vars(fitted).items():
        public = name.endswith("_") and not name.startswith("_") and name != "labels_"
        if public and is_numeric_array(value) and not same_values(value, getattr(again, name)):
            return name
    return None


def is_numeric_array(value: Any) -> bool:
    """Whether a fitted attribute is an array of numbers, dense or sparse."""
    return sparse.issparse(value) or (isinstance(value, np.ndarray) and value.dtype.kind in "iufb")


def same_values(a: Any, b: Any) -> bool:
    """Whether two arrays are equal up to rounding, integers exactly."""
    if a.shape != b.shape:
        return False
    if sparse.issparse(a):
        gap = abs(a - b)
        return bool(gap.max() <= 1e-6 * max(abs(a).max(), 1e-300)) if min(a.shape) else True
    if a.dtype.kind in "iub":
        return np.array_equal(a, b)
    size = np.max(np.abs(a), initial=0.0, where=np.isfinite(a))
    return np.allclose(a, b, rtol=1e-5, atol=1e-8 * size, equal_nan=True)


def unwrap(estimator: Any) -> Any:
    """Return the estimator that a fitted search has chosen, or the estimator itself."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    return estimator


def pipeline_of(estimator: Any) -> Pipeline | None:
    """Return the pipeline whose steps name the spaces, also from within InductiveClusterer."""
    if isinstance(estimator, Pipeline):
        return estimator
    inner = getattr(estimator, "clusterer_", None)
    return inner if isinstance(inner, Pipeline) else None


def position(chain: Pipeline | None, space: str) -> int:
    """Return how many steps lead from the input to `space`."""
    names = [] if chain is None else [name for name, _ in chain.steps[:-1]]
    stops = {name: stop for stop, name in enumerate(names, start=1)}
    clash = {"input": 0, "embedding": len(names)}
    if space in clash:
        if stops.get(space, clash[space]) != clash[space]:
            raise ValueError(
                f"`space` {space!r} is a fixed word of the scorers and also the name of a step "
                "with another output; rename the step."
            )
        return clash[space]
    if space not in stops:
        known = listed((*RESERVED_SPACES, *names))
        raise ValueError(
            f"`space` must be one of {known} for this estimator (the names after the first two "
            f"are the steps before its clusterer); got {space!r}."
        )
    return stops[space]


def through(chain: Pipeline | None, start: int, stop: int, X: Any) -> Any:
    """Pass `X` through the fitted steps from `start` up to `stop`."""
    return X if chain is None or start >= stop else chain[start:stop].transform(X)


def takes_pairs(estimator: Any, space: str) -> bool:
    """Whether the rows in `space` are distances or affinities that the clusterer takes."""
    estimator = unwrap(estimator)
    chain = pipeline_of(estimator)
    if chain is None:
        return is_pairwise(estimator)
    return position(chain, space) == len(chain.steps) - 1 and is_pairwise(chain[-1])


def is_pairwise(clusterer: Any) -> bool:
    """Whether a clusterer takes a matrix of pairs; not every one of scikit-learn's tags says so."""
    inner = getattr(clusterer, "clusterer", None)
    if hasattr(inner, "fit"):  # InductiveClusterer, which passes the matrix on
        return is_pairwise(inner)
    settings = (getattr(clusterer, name, None) for name in ("metric", "affinity"))
    named = any(str(value).startswith("precomputed") for value in settings)
    return named or bool(get_tags(clusterer).input_tags.pairwise)
