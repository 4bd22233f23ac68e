"""What sets clusters apart: tables by cluster, effect sizes, and names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from skfactor._typing import ArrayLike
from skfactor._validation import join
from skfactor.cluster._labels import NOISE, ClusterCodes, as_frame, encode_labels
from skfactor.cluster._names import (
    Phrases,
    check_phrases,
    telling_features,
    words_for_clusters,
)
from skfactor.cluster._ranks import positions_of, rank_effect_sizes

LARGE_EFFECT = 0.14
"""The usual mark from which a share of variance explained is called large."""


@dataclass(frozen=True, eq=False, repr=False)
class ClusterProfile:
    """What each cluster looks like, feature by feature.

    Made by :func:`cluster_profile`. Every table has one row a cluster, sorted by label; noise
    (label -1), where there is any, is the last row and is called "noise".

    Parameters
    ----------
    sizes : Series of shape (n_clusters,)
        Number of rows in each cluster.
    shares : Series of shape (n_clusters,)
        The same as a share of all rows, between 0 and 1.
    means, medians, iqr : DataFrame of shape (n_clusters, n_features)
        Mean, median and interquartile range by cluster, in the units of the feature; missing
        values left out.
    positions : DataFrame of shape (n_clusters, n_features)
        Where the cluster's median stands among all rows: the share of values below it, ties
        counted half. 0.5 is the middle of the sample.
    separation : DataFrame of shape (n_features, 4 or 5)
        By feature, the most separating first: ``effect_size`` between 0 and 1, the labels of
        the clusters with the ``lowest`` and ``highest`` median, ``n`` values used, and
        ``p_value`` if asked for.
    names : Series of shape (n_clusters,)
        A name for each label, such as "small-cap, low leverage".

    See Also
    --------
    cluster_profile : Makes a profile.
    name_clusters : Names alone, with more choice.

    Examples
    --------
    >>> from skfactor.cluster import cluster_profile
    >>> profile = cluster_profile([[1.0], [2.0], [8.0], [9.0]], [0, 0, 1, 1], feature_names=["PER"])
    >>> profile.summary()
               name  size  share  PER
    cluster
    0       low PER     2    0.5  1.5
    1      high PER     2    0.5  8.5
    """

    sizes: pd.Series
    shares: pd.Series
    means: pd.DataFrame
    medians: pd.DataFrame
    iqr: pd.DataFrame
    positions: pd.DataFrame
    separation: pd.DataFrame
    names: pd.Series

    def separating_features(self, min_effect: float = LARGE_EFFECT) -> list[Any]:
        """Return the features that separate the clusters, the most separating first.

        Parameters
        ----------
        min_effect : float, default=0.14
            Smallest effect size that counts. About 0.01 is called small, 0.06 medium and 0.14
            large.

        Returns
        -------
        list
            Names of features.
        """
        effects = self.separation["effect_size"]
        return list(effects.index[effects >= min_effect])

    def summary(self, n_features: int = 5) -> pd.DataFrame:
        """Return names, sizes and the medians of the features that separate most.

        Parameters
        ----------
        n_features : int, default=5
            How many features to show.

        Returns
        -------
        DataFrame of shape (n_clusters, 3 + n_features)
            One row a cluster.
        """
        top = list(self.separation.index[:n_features])
        head = pd.DataFrame({"name": self.names, "size": self.sizes, "share": self.shares})
        return pd.concat([head, self.medians[top]], axis=1)

    def _captions(self) -> tuple[str, str]:
        n_noise = int(self.sizes.get(NOISE, 0)) if self.sizes.index.dtype.kind != "O" else 0
        n_clusters = len(self.sizes) - (n_noise > 0)
        counts = (
            f"{n_clusters} clusters, {int(self.sizes.sum())} rows, {self.means.shape[1]} features"
        )
        if n_noise:
            counts += f", {n_noise} rows of noise"
        note = "effect size: share of the variance of ranks that lies between clusters"
        if "p_value" in self.separation:
            note += "; p-values are descriptive: the clusters may come from the same data"
        return counts, note

    def __repr__(self) -> str:
        counts, note = self._captions()
        table = self.summary()
        table["share"] = table["share"].map("{:.1%}".format)
        return (
            f"ClusterProfile: {counts}\n\nMedians of the features that separate most\n"
            f"{table.to_string(float_format=_readable)}\n\n"
            f"What separates the clusters ({note})\n"
            f"{self.separation.head(10).to_string(float_format='{:.3g}'.format)}"
        )

    def _repr_html_(self) -> str:
        counts, note = self._captions()
        table = self.summary()
        table["share"] = table["share"].map("{:.1%}".format)
        separation = self.separation.head(10)
        return (
            f"<p><strong>ClusterProfile</strong>: {counts}</p>"
            "<p>Medians of the features that separate most</p>"
            f"{table.to_html(float_format=_readable)}"
            f"<p>What separates the clusters ({note})</p>"
            f"{separation.to_html(float_format='{:.3g}'.format)}"
        )


def _readable(value: float) -> str:
    """Return four significant digits, or an amount in full where those would hide its size."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def cluster_profile(
    X: Any,
    labels: ArrayLike | Mapping[Any, Any] | pd.Series,
    *,
    feature_names: Sequence[str] | None = None,
    phrases: Phrases | None = None,
    p_values: bool = False,
) -> ClusterProfile:
    r"""Describe clusters by the features of their rows.

    Use the features as a person reads them (raw or logged fundamentals), not the embedding:
    ranks decide what separates, so outliers and monotone transforms do not matter.

    Parameters
    ----------
    X : {array, DataFrame} of shape (n_rows, n_features)
        Features, one row an asset; pandas or polars. NaN is left out, feature by feature.
    labels : array, Series or mapping of shape (n_rows,)
        The cluster of each row; below zero is noise. A Series or mapping is matched with the
        index of `X` by name where both have names, and in order where one of them only counts
        rows.
    feature_names : sequence of str, default=None
        Names of the columns; by default those of the frame, or x0, x1, ...
    phrases : mapping, default=None
        Words for names of clusters, see :func:`name_clusters`.
    p_values : bool, default=False
        Add p-values of the Kruskal-Wallis test to the table. They are descriptive: clusters
        that were made from the same features differ on them by construction, even where the
        data have no clusters.

    Returns
    -------
    ClusterProfile
        The tables, the features ordered by effect size, and a name for each cluster.

    Raises
    ------
    ValueError
        If `X` holds text or infinity, if `labels` and the rows of `X` do not carry the same
        names, or if a label is missing.

    See Also
    --------
    name_clusters : Choose the words and the features of the names.
    cluster_correlations : Whether the clusters move together.
    cluster_returns : Return and risk of each cluster.

    Notes
    -----
    The effect size of a feature is :math:`\eta^2` on ranks. With :math:`R_i` the rank (ties
    shared) among the :math:`n` rows where the feature is present and that are in a cluster,

    .. math::
        \varepsilon^2 = \frac{\sum_c n_c (\bar R_c - \bar R)^2}{\sum_i (R_i - \bar R)^2}
                      = \frac{H}{n - 1},

    where :math:`H` is the Kruskal-Wallis statistic corrected for ties. It is 1 when the
    clusters do not overlap and hold one rank each, about :math:`(k - 1) / (n - 1)` for
    :math:`k` clusters drawn at random, 0 for a constant feature, and NaN with fewer than two
    clusters. Noise takes no part in it.

    References
    ----------
    W. H. Kruskal and W. A. Wallis (1952), "Use of ranks in one-criterion variance analysis",
    Journal of the American Statistical Association 47.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.cluster import cluster_profile
    >>> X = pd.DataFrame(
    ...     {"market_cap": [1, 2, 3, 90, 80, 70], "ROE": [0.2, 0.1, 0.3, 0.1, 0.3, 0.2]},
    ...     index=list("ABCDEF"),
    ... )
    >>> profile = cluster_profile(X, [0, 0, 0, 1, 1, 1])
    >>> profile.names.tolist()
    ['small-cap', 'large-cap']
    >>> profile.separating_features()
    ['market_cap']
    """
    frame = as_frame(X, feature_names=feature_names)
    coded = encode_labels(labels, frame.index)
    groups = frame.groupby(coded.codes)
    sizes = pd.Series(np.bincount(coded.codes), index=coded.index, name="size")
    medians = _by_cluster(groups.median(), coded)
    quartiles = [_by_cluster(groups.quantile(q), coded) for q in (0.25, 0.75)]
    values = frame.to_numpy()
    positions = pd.DataFrame(
        positions_of(values, medians.to_numpy()), index=coded.index, columns=frame.columns
    )
    separation = _separation(frame, coded, medians, p_values)
    return ClusterProfile(
        sizes=sizes,
        shares=(sizes / len(frame)).rename("share"),
        means=_by_cluster(groups.mean(), coded),
        medians=medians,
        iqr=quartiles[1] - quartiles[0],
        positions=positions,
        separation=separation,
        names=_names(positions, separation["effect_size"], None, phrases, 2, 0.06),
    )


def name_clusters(
    X: Any,
    labels: ArrayLike | Mapping[Any, Any] | pd.Series | None = None,
    *,
    features: Sequence[Any] | None = None,
    phrases: Phrases | None = None,
    max_terms: int = 2,
    min_effect: float = 0.06,
    feature_names: Sequence[str] | None = None,
) -> pd.Series:
    """Name clusters by their levels on the features that separate them most.

    A cluster's level on a feature is where its median stands among all rows: very low (the
    lowest tenth), low (to 0.4), middle (to 0.6, mostly left unsaid), high (to 0.9), very high.
    So "small-cap" means small *in this sample*.

    Parameters
    ----------
    X : ClusterProfile, or {array, DataFrame} of shape (n_rows, n_features)
        A profile, or the features themselves (then `labels` is needed).
    labels : array, Series or mapping of shape (n_rows,), default=None
        The cluster of each row, as in :func:`cluster_profile`.
    features : sequence, default=None
        The features to name by, the most important first. By default those with the largest
        effect sizes, passing over features that order the clusters as one before them does; a
        cluster that is very low or very high on none of the first `max_terms` of these, but on
        another, is named by that one first.
    phrases : mapping of str to tuple of str, default=None
        Words for a feature: (low, high), (low, middle, high) or all five levels, added to the
        built-in ones for the usual fundamentals. Case, spaces and a leading "log" of a
        feature's name do not matter. Other features get "low <name>", "high <name>".
    max_terms : int, default=2
        Number of features in a name. Where names coincide, further ones are added.
    min_effect : float, default=0.06
        Smallest effect size that a feature needs to be used when `features` is None.
    feature_names : sequence of str, default=None
        Names of the columns of `X`.

    Returns
    -------
    Series of shape (n_clusters,)
        A name for each label, no two alike. Noise (-1) is called "noise"; where nothing
        separates the clusters they are called "cluster 0", "cluster 1", ...

    Raises
    ------
    ValueError
        If `features` names a column that is not there, or a phrase has the wrong length.

    See Also
    --------
    cluster_profile : The tables behind the names.

    Notes
    -----
    The built-in words for long-term debt speak of leverage. On raw amounts such a feature
    follows size: give a ratio (debt to assets) where you have one.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.cluster import name_clusters
    >>> X = pd.DataFrame({"size": [1, 2, 3, 4], "beta": [2, 1, 2, 1]})
    >>> names = name_clusters(X, [0, 0, 1, 1], phrases={"size": ("tiny", "huge")})
    >>> names.to_dict()
    {0: 'tiny', 1: 'huge'}
    """
    if isinstance(X, ClusterProfile):
        if labels is not None:
            raise ValueError(
                "`labels` must be None when a ClusterProfile is given; it has its own."
            )
        profile = X
    elif labels is None:
        raise ValueError("`labels` must be given, unless X is a ClusterProfile; got None.")
    else:
        profile = cluster_profile(X, labels, feature_names=feature_names)
    if max_terms < 1:
        raise ValueError(f"`max_terms` must be at least 1; got {max_terms}.")
    effects = profile.separation["effect_size"]
    return _names(profile.positions, effects, features, phrases, max_terms, min_effect)


def _names(
    positions: pd.DataFrame,
    effects: pd.Series,
    features: Sequence[Any] | None,
    phrases: Phrases | None,
    max_terms: int,
    min_effect: float,
) -> pd.Series:
    words = check_phrases(phrases)
    if features is None:
        clusters = positions.drop(index=NOISE, errors="ignore")
        chosen = telling_features(clusters, effects, min_effect)
    else:
        absent = [name for name in features if name not in positions.columns]
        if absent:
            raise ValueError(
                f"`features` must be columns of X; got {join(absent)}. "
                f"X has {join(positions.columns)}."
            )
        chosen = list(features)
    return words_for_clusters(positions, chosen, words, max_terms, extremes=features is None)


def _by_cluster(table: pd.DataFrame, coded: ClusterCodes) -> pd.DataFrame:
    return table.set_axis(coded.index, axis=0)


def _separation(
    frame: pd.DataFrame, coded: ClusterCodes, medians: pd.DataFrame, p_values: bool
) -> pd.DataFrame:
    kept = coded.in_cluster
    member = coded.one_hot()[kept, : coded.n_clusters]
    effect, n_values, n_groups = rank_effect_sizes(frame.to_numpy()[kept], member)
    table = medians.iloc[: coded.n_clusters]
    known = table.columns[table.notna().any(axis=0)]
    out = pd.DataFrame(
        {
            "effect_size": pd.Series(effect, index=frame.columns),
            "lowest": table[known].idxmin().reindex(frame.columns),
            "highest": table[known].idxmax().reindex(frame.columns),
            "n": pd.Series(n_values.astype(np.intp), index=frame.columns),
        }
    )
    if p_values:
        with np.errstate(invalid="ignore"):
            out["p_value"] = stats.chi2.sf(effect * (n_values - 1), n_groups - 1)
    return out.sort_values("effect_size", ascending=False, kind="stable").rename_axis("feature")
