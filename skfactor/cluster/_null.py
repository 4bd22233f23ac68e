"""What a clustering score is worth: its value on like data without clusters."""

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.parallel import Parallel, delayed

from skfactor._typing import ArrayLike, FloatArray, RandomState
from skfactor._validation import HasMethods, Interval, StrOptions, validate_params
from skfactor.cluster._copula import MARGINS, Margins, NullModel, fit_null, like
from skfactor.cluster._runs import (
    Scorer,
    Setting,
    as_array,
    draw_seeds,
    name_scorers,
    run_quietly,
    run_settings,
)

NULLS = {
    "unimodal": (
        "one cloud: each column keeps its spread, skewness, tails and shared values but has\n"
        "one mode, the rank correlations and the joint tails stay, and there are no clusters"
    ),
    "empirical": (
        "the same margins, rank correlations and joint tails but no joint clusters; humps\n"
        "within a column stay"
    ),
}


@dataclass(frozen=True, eq=False)
class NullReference:
    """Scores of a clustering beside their values on null data; made by :func:`null_reference`.

    Parameters
    ----------
    observed : Series
        The score of the data, by name of the score; greater is better.
    null : DataFrame of shape (n_draws, n_scores)
        The same scores on each draw; NaN where a draw could not be scored.
    margins : str
        The kind of draws, as :func:`draw_null` defines it.

    Attributes
    ----------
    mean : Series
        Mean of the score over the draws.
    std : Series
        Its standard deviation over the draws.
    lift : Series
        ``observed - mean``.
    z : Series
        ``lift / std``.
    p_value : Series
        Share of scores at least as good as the observed one, itself included.
    table : DataFrame
        All of these, a row for each score.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.cluster import NullReference
    >>> observed = pd.Series({"silhouette": 0.40})
    >>> null = pd.DataFrame({"silhouette": [0.10, 0.20, 0.15]})
    >>> reference = NullReference(observed, null, "unimodal")
    >>> float(reference.lift["silhouette"]), float(reference.p_value["silhouette"])
    (0.25, 0.25)
    """

    observed: pd.Series = field(repr=False)
    null: pd.DataFrame = field(repr=False)
    margins: Margins

    @property
    def mean(self) -> pd.Series:
        """Mean of each score over the draws."""
        return self.null.mean()

    @property
    def std(self) -> pd.Series:
        """Standard deviation of each score over the draws."""
        return self.null.std(ddof=1)

    @property
    def lift(self) -> pd.Series:
        """By how much the observed score exceeds the mean of the draws."""
        return self.observed - self.mean

    @property
    def z(self) -> pd.Series:
        """The lift in standard deviations of the draws."""
        return self.lift / self.std.where(self.std > 0)

    @property
    def p_value(self) -> pd.Series:
        """Share of scores, over the draws and the data, that reach the observed one."""
        reached = (self.null >= self.observed).sum()
        return ((1 + reached) / (len(self.null) + 1)).where(self.observed.notna())

    @property
    def table(self) -> pd.DataFrame:
        """One row for each score."""
        columns = ("observed", "mean", "std", "lift", "z", "p_value")
        return pd.DataFrame({name: getattr(self, name) for name in columns}).rename(
            columns={"mean": "null_mean", "std": "null_std"}
        )

    def __repr__(self) -> str:
        lines = [f"Null: {NULLS[self.margins]} ({len(self.null)} draws)."]
        for name, row in self.table.iterrows():
            if np.isnan(row["observed"]):
                lines.append(f"{name}: the data could not be scored, so there is nothing to test.")
                continue
            verdict = "a lift of" if row["p_value"] <= 0.05 else "no significant lift:"
            lines.append(
                f"{name}: {row['observed']:.3f} against {row['null_mean']:.3f} under the null, "
                f"{verdict} {row['lift']:.3f} (z = {row['z']:.1f}, p = {row['p_value']:.3f})."
            )
            failed = int(self.null[name].isna().sum())
            if failed:
                lines.append(f"  {failed} draws had no score and count as below the data.")
        return "\n".join(lines)


@validate_params(
    {
        "estimator": [HasMethods("fit")],
        "n_draws": [Interval(Integral, 2, None, closed="left")],
        "margins": [StrOptions(set(MARGINS))],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    },
    prefer_skip_nested_validation=True,
)
def null_reference(
    estimator: Any,
    X: ArrayLike,
    *,
    scoring: Any = None,
    n_draws: int = 19,
    margins: Margins = "unimodal",
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> NullReference:
    r"""Compare clustering scores with those of the same pipeline on data without clusters.

    Every clusterer finds groups in noise, and every index gives them some score: a t-SNE map of
    one structureless cloud has a silhouette near 0.37. What counts is how much better the data
    do than like data in which there is nothing to find.

    Parameters
    ----------
    estimator : estimator
        A clusterer, or a pipeline that ends in one. All of it is cloned, and fitted to the data
        and to every draw.
    X : array-like of shape (n_samples, n_features)
        The rows: numbers, with missing values allowed if `estimator` allows them.
    scoring : callable or dict of callables, default=None
        Scorers ``(estimator, X, y=None)``, greater is better, such as those of
        :func:`skfactor.metrics.make_clustering_scorer`. ``None`` stands for the silhouette and
        the negated Davies-Bouldin index, both in the input space.
    n_draws : int, default=19
        Number of null data sets. The p-value cannot be less than ``1 / (n_draws + 1)``.
    margins : {"unimodal", "empirical"}, default="unimodal"
        What becomes of each column's distribution; see :func:`draw_null`.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. The estimator keeps its own.
    n_jobs : int, default=None
        Number of draws worked on at once. ``None`` means one, unless a joblib context says
        otherwise; -1 means all processors.

    Returns
    -------
    NullReference
        ``observed``, ``mean``, ``std``, ``lift``, ``z`` and ``p_value``, each a Series with an
        entry for each score, ``null`` with every draw, and ``table``.

    Raises
    ------
    ValueError
        If `X` is not a table of numbers, or `scoring` is not as above.

    See Also
    --------
    draw_null : One null data set.
    cluster_stability : Whether the clusters come back.
    choose_n_clusters : Lift and stability for several numbers of clusters.

    Notes
    -----
    With :math:`s` the score of the data and :math:`s_b` that of draw :math:`b` of :math:`B`,

    .. math:: p = \frac{1 + \#\{b : s_b \ge s\}}{B + 1}.

    The null is "one cloud with the margins (up to separate humps) and the rank correlations of
    the data". Values that many rows share, such as zeros, belong to the margins, see
    :func:`draw_null`. Rejecting it says that the rows lie less evenly than that; it does not say
    how many clusters there are, nor that these are the right ones. A draw that cannot be scored
    (a clusterer that finds nothing but noise) counts as below any score. If the data cannot be
    scored, a :class:`~skfactor.exceptions.ClusteringScoreWarning` says why, and there is no
    p-value.

    That a score means something beside its value on data without clusters is the idea of the
    gap statistic [1]_. Simpler nulls mislead: with normal margins, skewed or bounded columns
    pass for clusters; with a normal copula, so do rows that are extreme in many columns at
    once, as stocks are.

    References
    ----------
    .. [1] R. Tibshirani, G. Walther and T. Hastie (2001), "Estimating the number of clusters in
       a data set via the gap statistic", Journal of the Royal Statistical Society B 63,
       411-423.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.cluster import KMeans
    >>> from skfactor.cluster import null_reference
    >>> cloud = np.random.default_rng(0).normal(size=(90, 3))
    >>> reference = null_reference(KMeans(4, n_init=1, random_state=0), cloud, random_state=0)
    >>> bool((reference.p_value > 0.05).all())
    True
    >>> clusters = cloud + 4 * np.eye(3)[np.arange(90) % 3]
    >>> null_reference(KMeans(3, n_init=1, random_state=0), clusters, random_state=0)
    Null: one cloud: ...
    """
    scorers = name_scorers(scoring)
    model = fit_null(X, margins)
    observed = as_array(run_settings(estimator, X, [{}], scorers), list(scorers))
    draws = score_draws(
        estimator, X, [{}], scorers, model, draw_seeds(random_state, n_draws), n_jobs
    )
    return NullReference(
        observed=pd.Series(observed[0], index=list(scorers), name="observed"),
        null=pd.DataFrame(draws[:, 0], columns=list(scorers)),
        margins=margins,
    )


def score_draws(
    estimator: Any,
    X: Any,
    settings: list[Setting],
    scorers: dict[str, Scorer],
    model: NullModel,
    seeds: list[int],
    n_jobs: int | None,
) -> FloatArray:
    """Return the scores on null data, of shape (n_draws, n_settings, n_scores)."""
    run = delayed(_score_draw)
    results = Parallel(n_jobs=n_jobs)(
        run(estimator, X, settings, scorers, model, seed) for seed in seeds
    )
    return np.stack(list(results))


def _score_draw(
    estimator: Any,
    X: Any,
    settings: list[Setting],
    scorers: dict[str, Scorer],
    model: NullModel,
    seed: int,
) -> FloatArray:
    drawn = like(X, model.draw(seed))
    return as_array(run_quietly(estimator, drawn, settings, scorers), list(scorers))
