"""A map of assets, coloured by cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import is_clusterer

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import join
from skfactor.cluster._labels import ClusterCodes, as_frame, encode_labels
from skfactor.metrics._assignments import pipeline_of, space_and_labels, unwrap
from skfactor.plotting._style import (
    INK,
    cluster_names,
    one_axes,
    outside_legend,
    sizes_of,
    styles,
    text_width,
    tidy,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend


class EmbeddingDisplay:
    """Scatter plot of an embedding in one, two or three dimensions, coloured by cluster.

    Make one with :meth:`from_estimator` or :meth:`from_embedding`. Distances and gaps in a
    t-SNE map are no evidence of clusters: it draws islands from structureless data too.

    Parameters
    ----------
    embedding : DataFrame of shape (n_rows, n_components)
        Coordinates, one to three columns; the index names the rows, the columns the axes.
    clusters : ClusterCodes or None, default=None
        Encoded labels, or None for points of one kind.
    names : mapping or Series, default=None
        Name of each label in the legend, such as ``cluster_profile(X, labels).names``.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : list of matplotlib PathCollection
        The points of each cluster, in the order of the labels.
    texts_ : list of matplotlib Text
        The names written beside points.
    legend_ : matplotlib Legend or None
        The legend.

    See Also
    --------
    SilhouetteDisplay : How far apart the clusters lie, in a stated space.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfactor.plotting import EmbeddingDisplay
    >>> display = EmbeddingDisplay.from_embedding(
    ...     [[0.0, 1.0], [0.1, 1.1], [5.0, 4.0]], [0, 0, 1], assets=["A", "B", "C"], annotate=["C"]
    ... )
    >>> [text.get_text() for text in display.texts_]
    ['C']
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    figure_: Figure
    points_: list[PathCollection]
    texts_: list[Any]
    legend_: Legend | None

    def __init__(
        self,
        embedding: pd.DataFrame,
        clusters: ClusterCodes | None = None,
        *,
        names: Mapping[Any, str] | pd.Series | None = None,
    ) -> None:
        self.embedding = embedding
        self.clusters = clusters
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        labels: ArrayLike | pd.Series | None = None,
        names: Mapping[Any, str] | pd.Series | None = None,
        assets: Sequence[str] | None = None,
        annotate: bool | Sequence[str] = False,
        ax: Axes | None = None,
        **scatter_kwargs: Any,
    ) -> EmbeddingDisplay:
        """Draw the rows of `X` as a fitted estimator maps them.

        Parameters
        ----------
        estimator : estimator
            A fitted transformer to one, two or three components, or a fitted pipeline of such a
            transformer and a clusterer, which then gives the labels.
        X : {array, DataFrame} of shape (n_rows, n_features)
            Rows to draw.
        labels : array or Series of shape (n_rows,), default=None
            Labels to colour by in place of the estimator's own.
        names : mapping or Series, default=None
            Name of each label in the legend.
        assets : sequence of str, default=None
            Names of the rows; by default the index of a pandas `X`.
        annotate : bool or sequence of str, default=False
            Write the names of all assets (True) or of those listed beside their points.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default. 3-D ones for three components.
        **scatter_kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        EmbeddingDisplay
            The display, drawn.
        """
        embedding: Any
        if is_clusterer(estimator):
            embedding, found = space_and_labels(estimator, X, "embedding")
            labels = found if labels is None else labels
        else:
            embedding = estimator.transform(X)
        if assets is None and isinstance(X, pd.DataFrame):
            assets = [str(name) for name in X.index]
        if not hasattr(embedding, "columns"):
            array = np.asarray(embedding)
            index = X.index if isinstance(X, pd.DataFrame) else None
            name = _mapper_name(estimator)
            columns = [f"{name} {j}" for j in range(1, array.shape[1] + 1)]
            embedding = pd.DataFrame(array, index, columns)
        return cls.from_embedding(
            embedding,
            labels,
            names=names,
            assets=assets,
            annotate=annotate,
            ax=ax,
            **scatter_kwargs,
        )

    @classmethod
    def from_embedding(
        cls,
        embedding: Any,
        labels: ArrayLike | pd.Series | None = None,
        *,
        names: Mapping[Any, str] | pd.Series | None = None,
        assets: Sequence[str] | None = None,
        annotate: bool | Sequence[str] = False,
        ax: Axes | None = None,
        **scatter_kwargs: Any,
    ) -> EmbeddingDisplay:
        """Draw coordinates that are there already.

        Parameters
        ----------
        embedding : {array, DataFrame} of shape (n_rows, n_components)
            One to three coordinates a row; a frame's columns name the axes.
        labels : array or Series of shape (n_rows,), default=None
            The cluster of each row; below zero is noise. A Series is matched with a frame's index.
        names : mapping or Series, default=None
            Name of each label in the legend.
        assets : sequence of str, default=None
            Names of the rows; by default the index of a pandas frame.
        annotate : bool or sequence of str, default=False
            Write the names of all assets (True) or of those listed beside their points.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default. 3-D ones for three components.
        **scatter_kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        EmbeddingDisplay
            The display, drawn.
        """
        array = np.asarray(embedding) if not hasattr(embedding, "columns") else embedding
        if getattr(array, "ndim", 2) == 1:
            array = array[:, None]
        frame = as_frame(array, what="embedding")
        if not hasattr(embedding, "columns"):
            frame.columns = [f"component {j}" for j in range(1, frame.shape[1] + 1)]
        if frame.shape[1] > 3:
            raise ValueError(
                f"`embedding` must have 1, 2 or 3 columns to be drawn; got {frame.shape[1]}. "
                "Reduce it first, for example by TSNEEmbedder."
            )
        clusters = None if labels is None else encode_labels(labels, frame.index)
        if assets is not None:
            if len(assets) != len(frame):
                raise ValueError(
                    f"`assets` must name each of the {len(frame)} rows; got {len(assets)}."
                )
            frame.index = pd.Index([str(name) for name in assets])
        display = cls(frame, clusters, names=names)
        return display.plot(ax=ax, annotate=annotate, **scatter_kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        annotate: bool | Sequence[str] = False,
        **scatter_kwargs: Any,
    ) -> EmbeddingDisplay:
        """Draw the embedding.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default. 3-D ones for three components.
        annotate : bool or sequence of str, default=False
            Write all row names (True) or those listed beside their points.
        **scatter_kwargs : dict
            Passed to matplotlib's `scatter`.

        Returns
        -------
        EmbeddingDisplay
            The display itself.
        """
        n_components = self.embedding.shape[1]
        names = [] if self.clusters is None else self._legend_names()
        annotated = self._annotated(annotate)
        self.ax_, self.figure_ = one_axes(
            ax,
            type(self).__name__,
            figsize=(6.0 + text_width(names, fontsize=9) + 0.4 * bool(names), 5.2),
            projection="3d" if n_components == 3 else None,
        )
        places = self._places()
        look: dict[str, Any] = {
            "s": 22 if len(places) < 1500 else 9,
            "alpha": 0.8,
            "linewidths": 0.3,
        }
        look |= scatter_kwargs
        self.points_ = self._scatter(places, look)
        self.texts_ = self._annotate(places, annotated)
        self._name_axes(n_components)
        self.legend_ = None
        if self.clusters is not None and n_components > 1:
            self.legend_ = outside_legend(self.ax_, own_figure=ax is None)
        return self

    def _places(self) -> FloatArray:
        """Return coordinates to draw; one component is spread over rows by cluster."""
        values = self.embedding.to_numpy()
        if values.shape[1] > 1:
            return values
        order = np.argsort(np.argsort(values[:, 0]))
        # Multiples of the golden ratio fill a strip evenly, and the same way every time.
        jitter = 0.5 * ((order * 0.6180339887498949) % 1.0) - 0.25
        row = np.zeros(len(values)) if self.clusters is None else self.clusters.codes
        return np.column_stack([values[:, 0], row + jitter])

    def _legend_names(self) -> list[str]:
        if self.clusters is None:
            return []
        named = zip(cluster_names(self.clusters, self.names), sizes_of(self.clusters), strict=True)
        return wrapped([f"{name} (n={size})" for name, size in named])

    def _scatter(self, places: FloatArray, look: dict[str, Any]) -> list[PathCollection]:
        if self.clusters is None:
            return [self.ax_.scatter(*places.T, **{"color": "#0072B2", **look})]
        drawn = []
        names = self._legend_names()
        for i, style in enumerate(styles(self.clusters)):
            rows = places[self.clusters.codes == i]
            own: dict[str, Any] = {"color": style.color, "marker": style.marker}
            own["label"] = names[i]
            if style.marker == "x":
                own["linewidths"] = 1.0
            else:
                own["edgecolors"] = style.edge
            drawn.append(self.ax_.scatter(*rows.T, **{**look, **own}))
        return drawn

    def _annotated(self, annotate: bool | Sequence[str]) -> IntArray:
        """Return the rows whose names are written."""
        index = self.embedding.index
        if isinstance(annotate, bool):
            return np.arange(len(index) if annotate else 0)
        if isinstance(annotate, str):
            raise ValueError(
                f"`annotate` must be True, False or a list of names; got {annotate!r}. Write "
                f"[{annotate!r}]."
            )
        unknown = [name for name in annotate if name not in index]
        if unknown:
            raise ValueError(
                f"`annotate` must list names of rows; got {join(unknown)}. "
                "Pass `assets=` or a frame with an index."
            )
        return np.flatnonzero(index.isin(list(annotate)))

    def _annotate(self, places: FloatArray, rows: IntArray) -> list[Any]:
        index = self.embedding.index
        texts = []
        for i in map(int, rows):
            look: dict[str, Any] = {"fontsize": 7, "color": INK}
            if places.shape[1] == 3:
                x, y, z = places[i]
                texts.append(self.ax_.text(x, y, z, f" {index[i]}", **look))  # type: ignore[arg-type]
            else:
                texts.append(
                    self.ax_.annotate(
                        str(index[i]),
                        (places[i, 0], places[i, 1]),
                        xytext=(3, 3),
                        textcoords="offset points",
                        **look,
                    )
                )
        return texts

    def _name_axes(self, n_components: int) -> None:
        names = [str(name) for name in self.embedding.columns]
        self.ax_.set_xlabel(names[0])
        if n_components == 3:
            self.ax_.set_ylabel(names[1])
            self.ax_.set_zlabel(names[2])  # type: ignore[attr-defined]
            self.ax_.locator_params(nbins=5)
            # matplotlib leaves no room for the third axis's name at its usual size.
            self.ax_.set_box_aspect(None, zoom=0.88)  # type: ignore[call-arg]
            return
        tidy(self.ax_, grid="x" if n_components == 1 else "both")
        if n_components == 2:
            self.ax_.set_ylabel(names[1])
        elif self.clusters is None:
            self.ax_.set_yticks([])
        else:
            names = self._legend_names()
            self.ax_.set_yticks(range(len(names)), names, fontsize=9)


def _mapper_name(estimator: Any) -> str:
    """Return the name of the class that made the coordinates, for the axes."""
    found = unwrap(estimator)
    chain = pipeline_of(found)
    if chain is not None:
        last = -2 if is_clusterer(chain) and len(chain) > 1 else -1
        found = chain[last]
    return "component" if is_clusterer(found) else type(found).__name__
