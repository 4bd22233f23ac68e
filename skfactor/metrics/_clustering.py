"""Scorers that judge a clustering without knowing the truth, in a space that is stated."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from skfactor._typing import ArrayLike, FloatArray, IntArray, RandomState
from skfactor._validation import check_array, draw_seed, listed
from skfactor.exceptions import ClusteringScoreWarning
from skfactor.metrics._assignments import (
    NotScorableError,
    labels_of,
    pipeline_of,
    space_and_labels,
    takes_pairs,
    unwrap,
)

Metric = Callable[[Any, Any], float]

# Name -> function, and whether a better clustering has the greater value.
METRICS: dict[str, tuple[Metric, bool]] = {
    "silhouette": (silhouette_score, True),
    "davies_bouldin": (davies_bouldin_score, False),
    "calinski_harabasz": (calinski_harabasz_score, True),
}


class ClusteringScorer:
    """A callable ``(estimator, X, y=None) -> float``; made by :func:`make_clustering_scorer`."""

    def __init__(
        self,
        metric: str | Metric,
        *,
        space: str,
        greater_is_better: bool,
        sample_size: int | None,
        random_state: RandomState,
    ) -> None:
        self.metric = metric
        self.space = space
        self.greater_is_better = greater_is_better
        self.sample_size = sample_size
        self.random_state = random_state

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Score the clusters that a fitted `estimator` gives to the rows of `X`."""
        try:
            Z, labels = space_and_labels(estimator, X, self.space)
            self._refuse_pairs(estimator)
            return self._measure(numeric_space(Z, self.space, estimator), labels)
        except NotScorableError as reason:
            return self._nan(reason)

    def score_labels(self, Z: ArrayLike, labels: ArrayLike) -> float:
        """Score `labels` of the points `Z`, which must already be in the scorer's space."""
        try:
            return self._measure(numeric_space(Z, self.space), np.asarray(labels))
        except NotScorableError as reason:
            return self._nan(reason)

    @property
    def name(self) -> str:
        """The metric's name, for tables."""
        if isinstance(self.metric, str):
            return self.metric
        return getattr(self.metric, "__name__", type(self.metric).__name__)

    def _measure(self, Z: Any, labels: IntArray) -> float:
        function = METRICS[self.metric][0] if isinstance(self.metric, str) else self.metric
        rows = scored_rows(labels, self.sample_size, self.random_state)
        value = float(function(Z[rows], labels[rows]))
        if not np.isfinite(value):
            raise NotScorableError(f"the metric itself gave {value} on {len(rows)} rows")
        return value if self.greater_is_better else -value

    def _refuse_pairs(self, estimator: Any) -> None:
        if isinstance(self.metric, str) and takes_pairs(estimator, self.space):
            raise NotScorableError(
                f"the clusterer takes a precomputed matrix and the space {self.space!r} is that "
                "matrix, whose rows are not points; name the space of the points, or give "
                "make_clustering_scorer a callable that reads the matrix"
            )

    def _nan(self, reason: Exception) -> float:
        warnings.warn(
            f"The {self.name} score is NaN: {reason}.", ClusteringScoreWarning, stacklevel=3
        )
        return float("nan")

    def __repr__(self) -> str:
        metric = repr(self.metric) if isinstance(self.metric, str) else self.name
        parts = [metric, f"space={self.space!r}"]
        if not isinstance(self.metric, str):
            parts.append(f"greater_is_better={self.greater_is_better}")
        if self.sample_size is not None:
            parts.append(f"sample_size={self.sample_size}")
            parts.append(f"random_state={self.random_state!r}")
        return f"make_clustering_scorer({', '.join(parts)})"


def make_clustering_scorer(
    metric: str | Metric,
    *,
    space: str = "input",
    greater_is_better: bool | None = None,
    sample_size: int | None = None,
    random_state: RandomState = None,
) -> ClusteringScorer:
    r"""Make a scorer of clusterings that measures distance in a stated space.

    The scorer is called as ``scorer(estimator, X, y=None)`` on a fitted clusterer or pipeline;
    `y` is ignored. It goes wherever scikit-learn takes ``scoring=``, alone or in a dict of
    several, can be pickled, and is always to be maximised.

    Parameters
    ----------
    metric : {"silhouette", "davies_bouldin", "calinski_harabasz"} or callable
        What is computed. A callable is called as ``metric(Z, labels)`` with an array of shape
        (n_samples, n_dimensions) and the label of each row, and returns a number.
    space : str, default="input"
        Where distances are measured:

        - ``"input"``: the rows as they are handed to the estimator. In a pipeline these are the
          raw data, before any scaling: columns of large numbers rule the distance, and missing
          values make the score NaN. Prepare the data before the pipeline, or name a step.
        - the name of a step of the pipeline: the output of that step. Naming the step that
          standardises measures what the clusters are worth in the standardised features.
        - ``"embedding"``: what the clusterer itself sees. The silhouette of clusters in a t-SNE
          plane is high whether or not there are any clusters, and cannot be compared between
          two planes: use it to describe a picture, not to choose.
    greater_is_better : bool, default=None
        Whether greater values of a callable `metric` are better; if not, the scorer changes the
        sign. ``None`` stands for True. Of the named metrics the direction is known.
    sample_size : int, default=None
        Number of rows, drawn at random, that the metric is computed on. ``None`` takes all;
        the silhouette then costs time that grows with the square of the number of rows.
    random_state : int, RandomState instance or None, default=None
        Seed of that draw. With an integer every call on as many rows draws the same ones.

    Returns
    -------
    callable
        A scorer ``(estimator, X, y=None) -> float``.

    Raises
    ------
    ValueError
        If `metric`, `greater_is_better` or `sample_size` is not one of the above; when the
        scorer is called, if `space` is not a space of the estimator.

    See Also
    --------
    silhouette_scorer : The silhouette in the input space.
    davies_bouldin_scorer : The Davies-Bouldin index in the input space, negated.
    coverage_scorer : The share of the rows that are in some cluster.
    skfactor.model_selection.FullSample : One split, for clusterers without ``predict``.
    skfactor.cluster.null_reference : What the score is worth.

    Notes
    -----
    **Metrics.** With :math:`a_i` the mean distance of row :math:`i` to the others of its cluster,
    :math:`b_i` that to the rows of the nearest other cluster, :math:`n_k` rows with mean
    :math:`c_k` in cluster :math:`k = 1, \ldots, K`, :math:`\bar c` the mean of all :math:`n` and
    :math:`s_k` the mean distance to :math:`c_k` in cluster :math:`k`, the silhouette [1]_, the
    Davies-Bouldin index [2]_ and the index of Caliński and Harabasz [3]_ are

    .. math::

        \frac{1}{n} \sum_i \frac{b_i - a_i}{\max(a_i, b_i)}, \qquad
        \frac{1}{K} \sum_k \max_{l \ne k} \frac{s_k + s_l}{\lVert c_k - c_l \rVert}, \qquad
        \frac{\sum_k n_k \lVert c_k - \bar c \rVert^2 / (K - 1)}
        {\sum_k \sum_{i \in k} \lVert x_i - c_k \rVert^2 / (n - K)},

    the second with its sign changed, since lower is better.

    **Labels.** An estimator with ``predict`` labels the rows to score. One without (spectral,
    agglomerative, DBSCAN, HDBSCAN) has labels for the rows it was fitted on, and for no others:
    the scorer fits a clone of the clusterer, not of the steps before it, on the rows to score,
    and goes on only if the clone learns the same partition and the same everything else. So the
    clusterer is fitted twice; give it an integer ``random_state``.

    **Noise.** Rows with a negative label are left out. A clusterer that drops all difficult rows
    thereby scores well: look at :obj:`coverage_scorer` beside the score.

    **NaN.** Where there is nothing to measure (fewer than two clusters, every row its own
    cluster, missing or infinite values in the space, labels of other rows) the score is NaN, and
    a :class:`~skfactor.exceptions.ClusteringScoreWarning` says why. A search ranks NaN last.
    An error raised by the estimator itself is passed on, and is scikit-learn's ``error_score``.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of
       cluster analysis", Journal of Computational and Applied Mathematics 20, 53–65, 1987.
    .. [2] D. L. Davies and D. W. Bouldin, "A cluster separation measure", IEEE Transactions on
       Pattern Analysis and Machine Intelligence 1, 224–227, 1979.
    .. [3] T. Caliński and J. Harabasz, "A dendrite method for cluster analysis", Communications
       in Statistics 3, 1–27, 1974.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skfactor.metrics import make_clustering_scorer
    >>> X, _ = make_blobs(n_samples=90, centers=3, random_state=3)
    >>> scorer = make_clustering_scorer("silhouette", space="standardscaler")
    >>> scorer
    make_clustering_scorer('silhouette', space='standardscaler')
    >>> pipeline = make_pipeline(StandardScaler(), KMeans(n_init=3, random_state=0))
    >>> search = GridSearchCV(pipeline, {"kmeans__n_clusters": [2, 3, 4]}, scoring=scorer, cv=3)
    >>> search.fit(X).best_params_
    {'kmeans__n_clusters': 3}
    """
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(
                f"`metric` must be a callable or one of {listed(sorted(METRICS))}; got {metric!r}."
            )
        direction = METRICS[metric][1]
        if greater_is_better is not None and bool(greater_is_better) != direction:
            raise ValueError(
                f"`greater_is_better` must be {direction} or None with metric={metric!r}, whose "
                f"direction is known; got {greater_is_better!r}."
            )
    elif callable(metric):
        direction = greater_is_better is None or bool(greater_is_better)
    else:
        raise ValueError(
            f"`metric` must be a callable or one of {listed(sorted(METRICS))}; got {metric!r}."
        )
    if not isinstance(space, str):
        raise ValueError(
            f"`space` must be 'input', 'embedding' or the name of a step; got {space!r}."
        )
    if sample_size is not None and not (
        isinstance(sample_size, int | np.integer) and sample_size >= 3
    ):
        raise ValueError(f"`sample_size` must be None or an integer >= 3; got {sample_size!r}.")
    return ClusteringScorer(
        metric,
        space=space,
        greater_is_better=direction,
        sample_size=sample_size,
        random_state=random_state,
    )


def coverage_scorer(estimator: Any, X: Any, y: Any = None) -> float:
    """Return the share of the rows that a fitted clusterer puts into some cluster.

    The other scorers leave noise out; this one says how much they left out. It is 1 for
    clusterers that know no noise. Labels are obtained, and refused, as
    :func:`make_clustering_scorer` states.

    Parameters
    ----------
    estimator : estimator
        A fitted clusterer, or a fitted pipeline that ends in one.
    X : array-like of shape (n_samples, n_features)
        The rows to label.
    y : object, default=None
        Ignored; there because a scorer is called with it.

    Returns
    -------
    float
        Between 0 and 1; NaN, with a warning, if the rows cannot be labelled.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.cluster import DBSCAN
    >>> from skfactor.metrics import coverage_scorer
    >>> X = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [9.0], [20.0]])
    >>> coverage_scorer(DBSCAN(eps=0.5, min_samples=2).fit(X), X)
    0.75
    """
    try:
        return float(np.mean(labels_of(estimator, X) >= 0))
    except NotScorableError as reason:
        warnings.warn(f"The coverage is NaN: {reason}.", ClusteringScoreWarning, stacklevel=2)
        return float("nan")


def scored_rows(labels: IntArray, sample_size: int | None, random_state: RandomState) -> IntArray:
    """Return the positions of the rows to score: no noise, and `sample_size` at most."""
    rows = np.flatnonzero(labels >= 0)
    if len(rows) == 0:
        raise NotScorableError("every row is noise")
    refuse_partition(labels[rows])
    if sample_size is not None and sample_size < len(rows):
        rng = np.random.default_rng(draw_seed(random_state))
        rows = np.sort(rng.choice(rows, sample_size, replace=False))
        refuse_partition(labels[rows], f" in the sample of {sample_size}")
    return rows


def refuse_partition(labels: IntArray, where: str = "") -> None:
    """Raise with a reason if the partition leaves nothing to compare."""
    n_clusters = len(np.unique(labels))
    if n_clusters == 1:
        raise NotScorableError(f"all {len(labels)} rows{where} fell into one cluster")
    if n_clusters == len(labels):
        raise NotScorableError(f"each of the {len(labels)} rows{where} is a cluster of its own")


def numeric_space(Z: Any, space: str, estimator: Any = None) -> FloatArray:
    """Return the points as an array of finite numbers, or raise with a reason."""
    try:
        points = check_array(Z, accept_sparse="csr", ensure_all_finite=False)
    except ValueError as error:
        raise NotScorableError(
            f"the space {space!r} is not a table of numbers ({str(error).rstrip('.')})"
        ) from error
    stored = points.data if sparse.issparse(points) else points
    if np.isfinite(stored).all():
        return points
    message = f"the space {space!r} holds {(~np.isfinite(stored)).sum()} missing or infinite values"
    if stored.ndim == 2:
        bad = np.flatnonzero(~np.isfinite(points).all(axis=0))
        names = [str(c) for c in Z.columns] if hasattr(Z, "columns") else range(points.shape[1])
        listed = ", ".join(repr(names[j]) for j in bad[:5]) + (", ..." if len(bad) > 5 else "")
        message += f" in {len(bad)} of {points.shape[1]} columns ({listed})"
    chain = pipeline_of(unwrap(estimator)) if estimator is not None else None
    if chain is not None and len(chain.steps) > 1:
        steps = ", ".join(repr(name) for name, _ in chain.steps[:-1])
        message += f"; measure after the step that fills them (`space` = one of {steps})"
    raise NotScorableError(message)


silhouette_scorer = make_clustering_scorer("silhouette")
"""Mean silhouette in the input space: ``make_clustering_scorer("silhouette")``.

:func:`make_clustering_scorer` states the equation and its source.

Examples
--------
>>> from sklearn.cluster import KMeans
>>> from skfactor.metrics import silhouette_scorer
>>> X = [[0.0], [0.2], [5.0], [5.2]]
>>> round(silhouette_scorer(KMeans(2, n_init=1, random_state=0).fit(X), X), 2)
0.96
"""

davies_bouldin_scorer = make_clustering_scorer("davies_bouldin")
"""Minus the Davies-Bouldin index in the input space, so that greater is better:
``make_clustering_scorer("davies_bouldin")``.

:func:`make_clustering_scorer` states the equation and its source.

Examples
--------
>>> from sklearn.cluster import KMeans
>>> from skfactor.metrics import davies_bouldin_scorer
>>> X = [[0.0], [0.2], [5.0], [5.2]]
>>> round(davies_bouldin_scorer(KMeans(2, n_init=1, random_state=0).fit(X), X), 2)
-0.04
"""
