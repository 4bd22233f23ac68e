"""How well each row sits in its cluster, in a stated space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import silhouette_samples

from skfactor._typing import ArrayLike, FloatArray
from skfactor.cluster._labels import ClusterCodes, as_frame, encode_labels
from skfactor.metrics._assignments import space_and_labels, takes_pairs
from skfactor.plotting._style import (
    ACCENT,
    cluster_names,
    one_axes,
    outside_legend,
    sizes_of,
    style_of,
    text_width,
    tidy,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

GAP = 0.02
"""Space between clusters, as a share of all rows."""


class SilhouetteDisplay:
    """Silhouette of every row, by cluster, with the mean over all rows.

    Make one with :meth:`from_estimator` or :meth:`from_labels`. The axis says in which space
    distances were measured: values from different spaces cannot be compared. The picture is
    that of [1]_; :func:`skfactor.metrics.make_clustering_scorer` states the equation.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Silhouette of each row, between -1 and 1; noise left out.
    clusters : ClusterCodes
        Encoded labels of those rows.
    space : str, default="input"
        The space in which distances were measured, in words.
    n_noise : int, default=0
        Number of rows of noise that were left out.
    names : mapping or Series, default=None
        Name of each label in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the silhouettes.
    figure_ : matplotlib Figure
        Figure of the axes.
    bands_ : list of matplotlib PolyCollection
        One filled band a cluster.
    mean_line_ : matplotlib Line2D
        The mean over all rows.
    legend_ : matplotlib Legend
        Names, sizes and means of the clusters.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of
       cluster analysis", Journal of Computational and Applied Mathematics 20, 53–65, 1987.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfactor.plotting import SilhouetteDisplay
    >>> X = [[0.0], [0.2], [5.0], [5.2]]
    >>> display = SilhouetteDisplay.from_labels(X, [0, 0, 1, 1])
    >>> round(float(display.values.mean()), 2)
    0.96
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    figure_: Figure
    bands_: list[FillBetweenPolyCollection]
    mean_line_: Line2D
    legend_: Legend

    def __init__(
        self,
        values: FloatArray,
        clusters: ClusterCodes,
        *,
        space: str = "input",
        n_noise: int = 0,
        names: Mapping[Any, str] | pd.Series | None = None,
    ) -> None:
        self.values = values
        self.clusters = clusters
        self.space = space
        self.n_noise = n_noise
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        space: str = "input",
        metric: str = "euclidean",
        names: Mapping[Any, str] | pd.Series | None = None,
        ax: Axes | None = None,
    ) -> SilhouetteDisplay:
        """Draw the clusters that a fitted clusterer or pipeline gives to `X`.

        Parameters
        ----------
        estimator : estimator
            A fitted clusterer, or a fitted pipeline that ends in one.
        X : {array, DataFrame} of shape (n_rows, n_features)
            Rows to label and measure.
        space : str, default="input"
            Where distances are measured: "input" (`X` as given), "embedding" (what the
            clusterer sees) or the name of a step (its output).
        metric : str, default="euclidean"
            A distance that :func:`sklearn.metrics.silhouette_samples` knows.
        names : mapping or Series, default=None
            Name of each label in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        SilhouetteDisplay
            The display, drawn.
        """
        if metric != "precomputed" and takes_pairs(estimator, space):
            raise ValueError(
                f"`space` must hold points; the clusterer takes a precomputed matrix, and that is "
                f"what {space!r} is. Name the space of the points, or pass metric='precomputed' "
                "if the matrix holds distances."
            )
        points, labels = space_and_labels(estimator, X, space)
        return cls.from_labels(points, labels, space=space, metric=metric, names=names, ax=ax)

    @classmethod
    def from_labels(
        cls,
        X: Any,
        labels: ArrayLike | pd.Series,
        *,
        space: str = "input",
        metric: str = "euclidean",
        names: Mapping[Any, str] | pd.Series | None = None,
        ax: Axes | None = None,
    ) -> SilhouetteDisplay:
        """Measure and draw the silhouettes of labelled points.

        Parameters
        ----------
        X : {array, DataFrame} of shape (n_rows, n_features)
            Points, without missing values, in the space to measure in.
        labels : array or Series of shape (n_rows,)
            The cluster of each row; below zero is noise and left out.
        space : str, default="input"
            What `X` is, in words, for the axis.
        metric : str, default="euclidean"
            A distance that :func:`sklearn.metrics.silhouette_samples` knows.
        names : mapping or Series, default=None
            Name of each label in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        SilhouetteDisplay
            The display, drawn.
        """
        frame = as_frame(X)
        coded = encode_labels(labels, frame.index)
        kept = coded.in_cluster
        if coded.n_clusters < 2 or coded.n_clusters >= kept.sum():
            raise ValueError(
                "`labels` must hold at least two clusters and fewer clusters than rows; got "
                f"{coded.n_clusters} clusters on {int(kept.sum())} rows that are not noise."
            )
        values = silhouette_samples(frame.to_numpy()[kept], coded.codes[kept], metric=metric)
        clusters = ClusterCodes(
            coded.codes[kept], coded.index[: coded.n_clusters], coded.n_clusters
        )
        n_noise = int((~kept).sum())
        return cls(values, clusters, space=space, n_noise=n_noise, names=names).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> SilhouetteDisplay:
        """Draw the silhouettes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        SilhouetteDisplay
            The display itself.
        """
        names = self._legend_names()
        figsize = (5.8 + text_width(names, fontsize=9), 4.8)
        self.ax_, self.figure_ = one_axes(ax, type(self).__name__, figsize=figsize)
        gap = max(1.0, GAP * len(self.values))
        self.bands_, middles, bottom = [], [], 0.0
        for i, name in enumerate(names):
            own = np.sort(self.values[self.clusters.codes == i])
            places = bottom + np.arange(len(own) + 1)
            self.bands_.append(
                self.ax_.fill_betweenx(
                    places,
                    0.0,
                    np.append(own, own[-1]),
                    step="post",
                    linewidth=0.0,
                    color=style_of(i, self.clusters.n_clusters).color,
                    label=name,
                )
            )
            middles.append(bottom + len(own) / 2)
            bottom += len(own) + gap
        mean = float(self.values.mean())
        self.mean_line_ = self.ax_.axvline(
            mean, color=ACCENT, linestyle="--", linewidth=1.4, label=f"mean of all: {mean:.2f}"
        )
        self.ax_.axvline(0.0, color="black", linewidth=0.8)
        self.ax_.set_yticks(middles, [str(label) for label in self.clusters.index])
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.set_ylabel("cluster")
        self.ax_.invert_yaxis()
        left_out = f"\n{self.n_noise} rows of noise left out" if self.n_noise else ""
        self.ax_.set_xlabel(f"silhouette (space: {self.space}){left_out}")
        tidy(self.ax_, grid="x")
        self.legend_ = outside_legend(self.ax_, own_figure=ax is None)
        return self

    def _legend_names(self) -> list[str]:
        out = []
        sizes = sizes_of(self.clusters)
        for i, name in enumerate(cluster_names(self.clusters, self.names)):
            mean = self.values[self.clusters.codes == i].mean()
            out.append(f"{name}: {mean:.2f} (n={sizes[i]})")
        return wrapped(out)
