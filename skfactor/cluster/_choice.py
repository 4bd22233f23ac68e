"""How many clusters, and whether there are any."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral, Real
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from skfactor._typing import ArrayLike, FloatArray, IntArray, RandomState
from skfactor._validation import HasMethods, Interval, StrOptions, validate_params
from skfactor.cluster._copula import MARGINS, Margins, fit_null
from skfactor.cluster._null import NULLS, score_draws
from skfactor.cluster._runs import (
    PARAMETERS,
    Setting,
    as_array,
    check_rows,
    draw_seeds,
    name_scorers,
    run_settings,
    split_steps,
)
from skfactor.cluster._stability import (
    WIDTH,
    cluster_subsamples,
    mean_agreement,
    pairwise_agreement,
    subsample_size,
)


@dataclass(frozen=True, eq=False)
class ClusterChoice:
    """A number of clusters and the evidence for it; made by :func:`choose_n_clusters`.

    Parameters
    ----------
    n_clusters : int
        The number chosen; 1 if no number of clusters has a significant lift.
    elbow : int or None
        The number at the elbow of the inertia, for comparison; None if there is no such curve.
    table : DataFrame
        One row for each number tried, with the columns ``n_clusters``, ``inertia``, each score,
        then for the deciding score ``null_mean``, ``null_std``, ``lift``, ``p_value``, and
        ``stability``.
    score : str
        Name of the score that decided.
    alpha : float
        Level at which a lift counts as significant.
    margins : str
        The kind of null data, as :func:`draw_null` defines it.
    null : DataFrame
        Every score beside its null: one row for each score and number tried, with the columns
        ``score``, ``n_clusters``, ``observed``, ``null_mean``, ``null_std``, ``lift`` and
        ``p_value``, which takes all numbers tried into account.
    total_inertia : float or None, default=None
        The inertia of one cluster that holds all rows, with which the curve of the inertia, and
        so the search for its elbow, begins.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.cluster import KMeans
    >>> from skfactor.cluster import choose_n_clusters
    >>> cloud = np.random.default_rng(0).normal(size=(60, 2))
    >>> kmeans = KMeans(n_init=1, random_state=0)
    >>> choose_n_clusters(kmeans, cloud, [2, 3], n_resamples=3, random_state=0)
    No clusters: for none of the 2 numbers tried (2 to 3) does the silhouette score
    exceed what data without clusters give ...
    """

    n_clusters: int
    elbow: int | None
    table: pd.DataFrame = field(repr=False)
    score: str
    alpha: float
    margins: Margins
    null: pd.DataFrame = field(repr=False)
    total_inertia: float | None = None

    def __repr__(self) -> str:
        if self.n_clusters == 1:
            tried = self.table["n_clusters"]
            verdict = (
                f"No clusters: for none of the {len(tried)} numbers tried ({tried.min()} to "
                f"{tried.max()}) does the {self.score} score exceed what data without clusters "
                f"give (level {self.alpha:g}, all numbers taken together)."
            )
        else:
            row = self.table.set_index("n_clusters").loc[self.n_clusters]
            verdict = (
                f"{self.n_clusters} clusters: {self.score} {row[self.score]:.3f}, lift "
                f"{row['lift']:.3f} over data without clusters (p = {row['p_value']:.3f}), "
                f"stability {row['stability']:.3f}."
            )
        elbow = "" if self.elbow is None else f" The elbow of the inertia is at {self.elbow}."
        table = self.table.to_string(index=False, float_format=lambda v: f"{v:.3f}")
        said = fill(verdict + elbow, WIDTH, break_on_hyphens=False)
        return f"{said}\nNull: {NULLS[self.margins]}.\n{table}"


@validate_params(
    {
        "estimator": [HasMethods("fit")],
        "n_draws": [Interval(Integral, 2, None, closed="left")],
        "n_resamples": [Interval(Integral, 2, None, closed="left")],
        "subsample": [Interval(Real, 0, 1, closed="neither")],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "margins": [StrOptions(set(MARGINS))],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    },
    prefer_skip_nested_validation=True,
)
def choose_n_clusters(
    estimator: Any,
    X: ArrayLike,
    n_clusters: Iterable[int] = (2, 3, 4, 5, 6, 7, 8),
    *,
    scoring: Any = None,
    n_draws: int = 19,
    n_resamples: int = 10,
    subsample: float = 0.8,
    alpha: float = 0.05,
    margins: Margins = "unimodal",
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> ClusterChoice:
    r"""Choose a number of clusters by lift over a null and by stability, beside the elbow.

    Parameters
    ----------
    estimator : estimator
        A clusterer with a parameter ``n_clusters`` or ``n_components``, an
        :class:`InductiveClusterer` around one, or a pipeline that ends in either. The steps
        before it are fitted once for each data set, not once for each number of clusters.
    X : array-like of shape (n_samples, n_features)
        The rows: numbers, with missing values allowed if `estimator` allows them.
    n_clusters : iterable of int, default=(2, 3, 4, 5, 6, 7, 8)
        The numbers to try, each at least 2.
    scoring : callable or dict of callables, default=None
        Scorers ``(estimator, X, y=None)``, greater is better; the first one decides. ``None``
        stands for the silhouette, which decides, and the negated Davies-Bouldin index, both in
        the input space.
    n_draws : int, default=19
        Number of null data sets.
    n_resamples : int, default=10
        Number of subsamples for the stability.
    subsample : float, default=0.8
        Share of the rows in each subsample.
    alpha : float, default=0.05
        Level at which a lift counts as significant; ``1 / (n_draws + 1)`` at least.
    margins : {"unimodal", "empirical"}, default="unimodal"
        What becomes of each column's distribution in the null data; see :func:`draw_null`.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws and the subsamples. The estimator keeps its own.
    n_jobs : int, default=None
        Number of data sets worked on at once. ``None`` means one, unless a joblib context says
        otherwise; -1 means all processors.

    Returns
    -------
    ClusterChoice
        ``n_clusters``, ``elbow``, the ``table`` behind both, and ``null``, every score beside
        its null.

    Raises
    ------
    ValueError
        If `X` is not a table of numbers, the estimator's last step has no number of clusters to
        set, `n_clusters` holds numbers below 2 or above the rows of a subsample, or `n_draws`
        is too small for `alpha`.

    See Also
    --------
    null_reference : The null, for one setting.
    cluster_stability : The stability, for one setting.

    Notes
    -----
    **Rule.** Among the numbers with a significant lift take the one with the greatest
    ``lift * stability``, the smaller one in a tie. If there is none, the answer is 1: no
    clusters.

    **Significance.** Several numbers are tried, so the best of them looks good by chance. With
    :math:`z_{0k}` the score of the data for number :math:`k` and :math:`z_{bk}` that of draw
    :math:`b`, both standardised over the :math:`B + 1` data sets, the p-value is
    :math:`(1 + \#\{b : \max_j z_{bj} \ge z_{0k}\}) / (B + 1)` [1]_. Under the null, some number is
    called significant with a probability of `alpha`, not more.

    **Elbow.** The inertia is the sum of squared distances to the cluster means in the space that
    the clusterer sees, noise left out. The elbow is the number at which the curve, from one
    cluster to the greatest number tried, lies farthest below the chord between its ends. Every
    falling convex curve has one, clusters or not.

    References
    ----------
    .. [1] P. H. Westfall and S. S. Young (1993), Resampling-Based Multiple Testing, Wiley.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from skfactor.cluster import choose_n_clusters
    >>> X, _ = make_blobs(n_samples=60, centers=3, random_state=3)
    >>> kmeans = KMeans(n_init=1, random_state=0)
    >>> choice = choose_n_clusters(kmeans, X, range(2, 5), n_resamples=4, random_state=0)
    >>> choice.n_clusters
    3
    """
    tried = check_numbers(n_clusters)
    if (n_draws + 1) * alpha < 1 - 1e-9:
        needed = int(np.ceil(1 / alpha - 1e-9)) - 1
        raise ValueError(
            f"`n_draws` must be at least {needed} with alpha={alpha:g}, or nothing can be "
            f"significant; got {n_draws}."
        )
    scorers = name_scorers(scoring)
    names = list(scorers)
    parameter = number_parameter(estimator)
    settings: list[Setting] = [{parameter: k} for k in tried]
    n_rows = check_rows(X, 4)
    size = subsample_size(n_rows, subsample)
    if tried[-1] > size:
        raise ValueError(
            f"`n_clusters` must be at most {size}, the rows of a subsample ({subsample:g} of "
            f"{n_rows}, n_samples={n_rows}); got {tried[-1]}. Try fewer clusters, or raise "
            "`subsample`."
        )
    model = fit_null(X, margins)
    seeds = draw_seeds(random_state, n_draws + n_resamples)

    runs = run_settings(estimator, X, settings, scorers)
    drawn = score_draws(estimator, X, settings, scorers, model, seeds[:n_draws], n_jobs)
    samples = cluster_subsamples(estimator, X, settings, size, seeds[n_draws:], n_jobs)

    observed = as_array(runs, names)
    null = beside_null(tried, names, observed, drawn)
    table = pd.DataFrame({"n_clusters": tried, "inertia": [run.spread for run in runs]})
    table[names] = observed
    decisive = ["null_mean", "null_std", "lift", "p_value"]
    table[decisive] = null.loc[: len(tried) - 1, decisive]
    table["stability"] = [
        mean_agreement(pairwise_agreement([(rows, labels[i]) for rows, labels in samples]))
        for i in range(len(tried))
    ]
    total = runs[0].total_spread
    return ClusterChoice(
        n_clusters=choose(table, alpha),
        elbow=elbow_of(np.array([1, *tried]), np.array([total, *table["inertia"]])),
        table=table,
        score=names[0],
        alpha=alpha,
        margins=margins,
        null=null,
        total_inertia=total,
    )


def check_numbers(n_clusters: Iterable[int]) -> list[int]:
    """Return the numbers to try in rising order, or say what is wrong with them."""
    given = list(n_clusters)
    numbers = sorted({int(k) for k in given if isinstance(k, int | np.integer) and k >= 2})
    if not given or len(numbers) != len(given):
        raise ValueError(f"`n_clusters` must hold different integers of at least 2; got {given!r}.")
    return numbers


def number_parameter(estimator: Any) -> str:
    """Return the parameter of the last step that sets the number of clusters."""
    _, (name, last) = split_steps(estimator)
    known = last.get_params()
    for parameter in PARAMETERS:
        if parameter in known:
            return parameter
    inner = known.get("clusterer")
    if isinstance(inner, Pipeline):  # inside InductiveClusterer
        for parameter in PARAMETERS:
            path = f"clusterer__{inner.steps[-1][0]}__{parameter}"
            if path in known:
                return path
    if "clusterer" in known and inner is None:
        raise ValueError(
            "`estimator` must end in a clusterer with a parameter `n_clusters` or `n_components`; "
            f"got {type(last).__name__} as {name!r} with its default clusterer, whose number is "
            "fixed. Name one: InductiveClusterer(AgglomerativeClustering())."
        )
    raise ValueError(
        "`estimator` must end in a clusterer with a parameter `n_clusters` or `n_components`; got "
        f"{type(last).__name__} as {name!r}, which chooses the number itself. Use null_reference "
        "and cluster_stability on it as it is."
    )


def beside_null(
    tried: list[int], names: list[str], observed: FloatArray, drawn: FloatArray
) -> pd.DataFrame:
    """Set the scores (n_settings, n_scores) beside those of (n_draws, n_settings, n_scores)."""
    parts = []
    for j, name in enumerate(names):
        draws = pd.DataFrame(drawn[:, :, j])
        part = pd.DataFrame({"score": name, "n_clusters": tried, "observed": observed[:, j]})
        part["null_mean"] = draws.mean()
        part["null_std"] = draws.std(ddof=1)
        part["lift"] = part["observed"] - part["null_mean"]
        part["p_value"] = joint_p_values(observed[:, j], drawn[:, :, j])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def joint_p_values(observed: FloatArray, null: FloatArray) -> FloatArray:
    """Return p-values that hold for all columns of (n_draws, n_settings) taken together."""
    scores = np.vstack([observed, null])
    finite = pd.DataFrame(scores)
    spread = finite.std(ddof=1).to_numpy()
    z = (scores - finite.mean().to_numpy()) / np.where(spread > 0, spread, 1.0)
    # A data set without a score found nothing: below every other.
    z = np.where(np.isnan(z), -np.inf, z)
    best = z[1:].max(axis=1)
    p_values = (1 + (best[:, None] >= z[0]).sum(axis=0)) / (len(best) + 1)
    return np.where(np.isnan(observed), np.nan, p_values)


def choose(table: pd.DataFrame, alpha: float) -> int:
    """Apply the rule to the table; 1 stands for no clusters."""
    significant = table[(table["p_value"] <= alpha + 1e-12) & (table["lift"] > 0)]
    if significant.empty:
        return 1
    merit = significant["lift"] * significant["stability"].fillna(0.0)
    return int(significant["n_clusters"].to_numpy()[np.argmax(merit.to_numpy())])


def elbow_of(numbers: IntArray, inertia: FloatArray) -> int | None:
    """Return the number at which the curve lies farthest below the chord between its ends."""
    known = ~np.isnan(inertia)
    numbers, inertia = numbers[known], inertia[known]
    if len(numbers) < 3 or inertia[0] <= inertia[-1]:
        return None
    across = (numbers - numbers[0]) / (numbers[-1] - numbers[0])
    height = (inertia - inertia[-1]) / (inertia[0] - inertia[-1])
    below = 1.0 - across - height
    best = int(np.argmax(below))
    # A straight line has no elbow, whatever rounding says.
    return int(numbers[best]) if below[best] > 1e-9 else None
