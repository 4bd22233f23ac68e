"""Whether clusters come back when some of the rows are left out."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from numbers import Integral, Real
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.parallel import Parallel, delayed

from skfactor._typing import ArrayLike, FloatArray, IntArray, RandomState
from skfactor._validation import HasMethods, Interval, validate_params
from skfactor.cluster._rows import take_rows
from skfactor.cluster._runs import (
    PARAMETERS,
    Setting,
    check_rows,
    draw_seeds,
    run_quietly,
    split_steps,
)
from skfactor.exceptions import ClusteringScoreWarning

Draw = tuple[IntArray, list[IntArray]]
WIDTH = 88
"""Characters in a line of what results say."""


@dataclass(frozen=True, eq=False)
class ClusterStability:
    """How well a clustering survives the loss of some rows; made by :func:`cluster_stability`.

    Parameters
    ----------
    values : ndarray of shape (n_pairs,)
        Adjusted Rand index of each pair of subsamples, on the rows that both have; NaN where
        both labellings put all of these rows in one group.
    jaccard : Series
        For each cluster of the full sample, by label: the mean over subsamples of its Jaccard
        similarity to the most similar cluster found there.
    n_resamples : int
        Number of subsamples.
    subsample : float
        Share of the rows in each.

    Attributes
    ----------
    mean : float
        Mean of the `values` that are there; NaN if there are none.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.cluster import ClusterStability
    >>> ClusterStability(np.array([0.9, 1.0, 0.95]), pd.Series({0: 0.93, 1: 0.97}), 3, 0.8)
    Stability 0.950: mean adjusted Rand index of 3 pairs of 3 subsamples ...
    """

    values: FloatArray = field(repr=False)
    jaccard: pd.Series = field(repr=False)
    n_resamples: int
    subsample: float

    @property
    def mean(self) -> float:
        """Mean adjusted Rand index over the pairs of subsamples."""
        return mean_agreement(self.values)

    def __repr__(self) -> str:
        known = self.values[~np.isnan(self.values)]
        if not len(known):
            return (
                f"Stability NaN: in none of {len(self.values)} pairs of {self.n_resamples} "
                f"subsamples of {self.subsample:.0%} of the rows\nis there more than one group "
                "to compare."
            )
        low, high = np.quantile(known, [0.1, 0.9])
        # A line may not end between a label and its value.
        clusters = ", ".join(f"{label}:\xa0{value:.2f}" for label, value in self.jaccard.items())
        said = (
            f"Stability {self.mean:.3f}: mean adjusted Rand index of {len(known)} pairs of "
            f"{self.n_resamples} subsamples of {self.subsample:.0%} of the rows (1 = the same "
            f"clusters every time, 0 = as chance would have it; 80 % of the pairs between "
            f"{low:.3f} and {high:.3f}).",
            f"Mean Jaccard similarity by cluster: {clusters or 'none'}.",
        )
        lines = "\n".join(fill(part, WIDTH, break_on_hyphens=False) for part in said)
        return lines.replace("\xa0", " ")


@validate_params(
    {
        "estimator": [HasMethods("fit")],
        "n_resamples": [Interval(Integral, 2, None, closed="left")],
        "subsample": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    },
    prefer_skip_nested_validation=True,
)
def cluster_stability(
    estimator: Any,
    X: ArrayLike,
    *,
    n_resamples: int = 20,
    subsample: float = 0.8,
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> ClusterStability:
    r"""Cluster random subsamples, and measure how much they agree.

    Parameters
    ----------
    estimator : estimator
        A clusterer, or a pipeline that ends in one. Every step is cloned and fitted anew on
        each subsample, so that the map's instability counts as well as the clusterer's.
    X : array-like of shape (n_samples, n_features)
        The rows.
    n_resamples : int, default=20
        Number of subsamples. All ``n_resamples * (n_resamples - 1) / 2`` pairs are compared.
    subsample : float, default=0.8
        Share of the rows in each subsample, drawn without replacement.
    random_state : int, RandomState instance or None, default=None
        Seed of the subsamples. The estimator keeps its own.
    n_jobs : int, default=None
        Number of subsamples clustered at once. ``None`` means one, unless a joblib context says
        otherwise; -1 means all processors.

    Returns
    -------
    ClusterStability
        ``mean``, ``values`` and, by cluster of the full sample, ``jaccard``.

    Raises
    ------
    ValueError
        If two subsamples need not have two rows in common, or `estimator` asks for more clusters
        than a subsample has rows.

    See Also
    --------
    null_reference : A score beside its values where there are no clusters.
    choose_n_clusters : Both, for several numbers of clusters.

    Notes
    -----
    The index of a pair of subsamples compares their labels on the rows that both hold; it does
    not depend on how clusters are numbered, and is 0 in expectation for unrelated labels [1]_.
    The similarity by cluster is that of [2]_, with subsamples: with :math:`C` a cluster of the
    full sample and :math:`D` one of subsample :math:`b`, :math:`S_b`,

    .. math:: \frac{1}{B} \sum_b \max_D \frac{|C \cap S_b \cap D|}{|(C \cap S_b) \cup D|}.

    By the experience reported there, a cluster below 0.6 should not be trusted, and one above
    0.85 is very stable. Noise counts as one more group in the index, and as no cluster in the
    similarity. Stability is necessary, not sufficient: one cloud cut through its middle along its
    long axis is cut alike every time.

    References
    ----------
    .. [1] L. Hubert and P. Arabie (1985), "Comparing partitions", Journal of Classification 2,
       193-218.
    .. [2] C. Hennig (2007), "Cluster-wise assessment of cluster stability", Computational
       Statistics & Data Analysis 52, 258-271.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skfactor.cluster import cluster_stability
    >>> X, _ = make_blobs(n_samples=60, centers=3, random_state=3)
    >>> stability = cluster_stability(KMeans(3, n_init=2, random_state=0), X, random_state=0)
    >>> stability.mean > 0.9
    True
    """
    n_rows = check_rows(X, 4)
    size = subsample_size(n_rows, subsample)
    _, (_, last) = split_steps(estimator)
    asked = last.get_params() if hasattr(last, "get_params") else {}
    for name in PARAMETERS:
        if isinstance(asked.get(name), Integral) and asked[name] > size:
            raise ValueError(
                f"`estimator` must ask for at most {size} clusters, the rows of a subsample "
                f"({subsample:g} of {n_rows}, n_samples={n_rows}); got {name}={asked[name]}. Use "
                "fewer clusters, or raise `subsample`."
            )
    whole = run_quietly(estimator, X, [{}], {})[0].labels
    draws = cluster_subsamples(
        estimator, X, [{}], size, draw_seeds(random_state, n_resamples), n_jobs
    )
    single = [(rows, labels[0]) for rows, labels in draws]
    values = pairwise_agreement(single)
    if np.isnan(values).all():
        warnings.warn(
            "The stability is NaN: every subsample has all its rows in one group (one cluster, "
            "or noise alone). Change the clusterer's settings.",
            ClusteringScoreWarning,
            stacklevel=2,
        )
    return ClusterStability(
        values=values,
        jaccard=jaccard_by_cluster(whole, single),
        n_resamples=n_resamples,
        subsample=subsample,
    )


def subsample_size(n_rows: int, subsample: float) -> int:
    """Return the number of rows in a subsample, if two of them always share two rows."""
    size = round(subsample * n_rows)
    if 2 * size - n_rows < 2 or size >= n_rows:
        raise ValueError(
            "`subsample` must leave out at least one row, and any two subsamples must have two "
            f"rows in common; got {subsample} of {n_rows} rows, which is {size} (n_samples="
            f"{n_rows}). Take a value such as 0.8."
        )
    return size


def cluster_subsamples(
    estimator: Any,
    X: Any,
    settings: Sequence[Setting],
    size: int,
    seeds: Sequence[int],
    n_jobs: int | None,
) -> list[Draw]:
    """Return, for each seed, the rows drawn and their labels under each setting."""
    run = delayed(_cluster_subsample)
    return list(Parallel(n_jobs=n_jobs)(run(estimator, X, settings, size, seed) for seed in seeds))


def _cluster_subsample(
    estimator: Any, X: Any, settings: Sequence[Setting], size: int, seed: int
) -> Draw:
    n_rows = check_rows(X, size)
    rows = np.sort(np.random.default_rng(seed).choice(n_rows, size, replace=False))
    runs = run_quietly(estimator, take_rows(X, rows), settings, {})
    return rows, [run.labels for run in runs]


def pairwise_agreement(draws: Sequence[tuple[IntArray, IntArray]]) -> FloatArray:
    """Return the adjusted Rand index of each pair of draws on the rows they share."""
    values = []
    for (rows_a, labels_a), (rows_b, labels_b) in combinations(draws, 2):
        _, in_a, in_b = np.intersect1d(rows_a, rows_b, assume_unique=True, return_indices=True)
        one, other = labels_a[in_a], labels_b[in_b]
        # Two labellings of one group each agree in any data: the index would be 1.
        divided = np.ptp(one) > 0 or np.ptp(other) > 0
        values.append(adjusted_rand_score(one, other) if divided else np.nan)
    return np.array(values)


def mean_agreement(values: FloatArray) -> float:
    """Return the mean of the agreements that there are, NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def jaccard_by_cluster(whole: IntArray, draws: Sequence[tuple[IntArray, IntArray]]) -> pd.Series:
    """Return, for each cluster of the full sample, its mean similarity to its best match."""
    clusters = np.unique(whole[whole >= 0])
    similarity = np.full((len(draws), len(clusters)), np.nan)
    for b, (rows, labels) in enumerate(draws):
        old = whole[rows][:, None] == clusters
        new = labels[:, None] == np.unique(labels[labels >= 0])
        both = old.T.astype(float) @ new
        either = old.sum(axis=0)[:, None] + new.sum(axis=0) - both
        # A cluster that no drawn row belongs to says nothing about this draw.
        drawn = old.any(axis=0)
        similarity[b, drawn] = (both / np.maximum(either, 1))[drawn].max(axis=1, initial=0.0)
    table = pd.DataFrame(similarity, columns=pd.Index(clusters, name="cluster"))
    return table.mean().rename("jaccard")
