"""Paths of the members of each cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike
from skfactor.cluster._labels import ClusterCodes, as_frame, encode_labels
from skfactor.plotting._factor_returns import plottable_dates
from skfactor.plotting._style import (
    INK,
    cluster_names,
    finish_path_panels,
    grid_axes,
    sizes_of,
    style_of,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D


class ClusterPathsDisplay:
    """Paths of the members of each cluster and their mean, one panel a cluster.

    Make one with :meth:`from_labels`. Members are thin and fade where they are many; the mean is
    thick. All panels have one scale, and each cluster has the colour that it has in the other
    displays.

    Parameters
    ----------
    paths : DataFrame of shape (n_rows, n_days)
        One path a row; the columns are days, in order.
    clusters : ClusterCodes
        Encoded labels.
    names : mapping or Series, default=None
        Name of each label, for the panels' titles.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The panels, one a cluster, noise last.
    ax_ : matplotlib Axes
        The first panel.
    figure_ : matplotlib Figure
        Figure of the panels.
    members_ : list of matplotlib LineCollection
        The members' paths, by panel.
    mean_lines_ : list of matplotlib Line2D
        Their mean, by panel.
    legend_ : matplotlib Legend
        What thin and thick lines are.

    See Also
    --------
    skfactor.preprocessing.CumulativeReturns : Makes paths that can be compared.
    ReconstructionDisplay : Single paths, and what reducers make of them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfactor.plotting import ClusterPathsDisplay
    >>> paths = [[-1.0, 0.0, 1.0], [-1.1, 0.1, 1.0], [1.0, 0.0, -1.0]]
    >>> display = ClusterPathsDisplay.from_labels(paths, [0, 0, 1], names={1: "falling"})
    >>> [ax.get_title() for ax in display.axes_]
    ['cluster 0 (n=2)', 'falling (n=1)']
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    axes_: list[Axes]
    figure_: Figure
    members_: list[LineCollection]
    mean_lines_: list[Line2D]
    legend_: Legend

    def __init__(
        self,
        paths: pd.DataFrame,
        clusters: ClusterCodes,
        *,
        names: Mapping[Any, str] | pd.Series | None = None,
    ) -> None:
        self.paths = paths
        self.clusters = clusters
        self.names = names

    @classmethod
    def from_labels(
        cls,
        paths: Any,
        labels: ArrayLike | Mapping[Any, Any] | pd.Series,
        *,
        names: Mapping[Any, str] | pd.Series | None = None,
        ylabel: str = "path",
        n_columns: int = 4,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> ClusterPathsDisplay:
        """Draw the paths of labelled rows.

        Parameters
        ----------
        paths : {array, DataFrame} of shape (n_rows, n_days)
            One path a row, such as :class:`skfactor.preprocessing.CumulativeReturns` makes; a
            frame whose columns are dates, also as text such as ``"2024-01-31"``, is drawn
            against them. NaN leaves a gap.
        labels : array, Series or mapping of shape (n_rows,)
            The cluster of each row; below zero is noise and drawn last, in grey. A Series or
            mapping is matched with the index of `paths` by name where both have names.
        names : mapping or Series, default=None
            Name of each label, for the panels' titles.
        ylabel : str, default="path"
            What the paths are, in words, for the axis.
        n_columns : int, default=4
            Panels a row.
        ax : matplotlib Axes or sequence of them, default=None
            One axes a cluster; new ones by default.

        Returns
        -------
        ClusterPathsDisplay
            The display, drawn.
        """
        frame = as_frame(paths, what="paths")
        coded = encode_labels(labels, frame.index, what="rows of `paths`")
        return cls(frame, coded, names=names).plot(ax=ax, ylabel=ylabel, n_columns=n_columns)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        ylabel: str = "path",
        n_columns: int = 4,
    ) -> ClusterPathsDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            One axes a cluster; new ones by default.
        ylabel : str, default="path"
            What the paths are, in words, for the axis.
        n_columns : int, default=4
            Panels a row.

        Returns
        -------
        ClusterPathsDisplay
            The display itself.
        """
        own_figure = ax is None
        self.axes_, self.figure_ = grid_axes(
            ax,
            type(self).__name__,
            len(self.clusters.index),
            n_columns=n_columns,
            panel_size=(3.2, 3.0),
        )
        self.ax_ = self.axes_[0]
        places = plottable_dates(self.paths.columns)
        titles = wrapped(
            [
                f"{name} (n={size})"
                for name, size in zip(
                    cluster_names(self.clusters, self.names), sizes_of(self.clusters), strict=True
                )
            ]
        )
        self.members_, self.mean_lines_ = [], []
        for i, (panel, title) in enumerate(zip(self.axes_, titles, strict=True)):
            self._panel(panel, i, places)
            panel.set_title(title, fontsize=10)
        finish_path_panels(
            self.axes_, places, ylabel=ylabel, n_columns=n_columns, own_figure=own_figure
        )
        self.legend_ = self._legend(own_figure)
        return self

    def _panel(self, ax: Axes, position: int, places: pd.Index) -> None:
        from matplotlib.collections import LineCollection

        rows = self.paths[self.clusters.codes == position]
        # The mean comes first, so that the axis knows whether its values are dates.
        (mean,) = ax.plot(
            places,
            rows.mean(axis=0).to_numpy(),
            color=INK,
            linewidth=2.5,
            marker="o" if rows.shape[1] == 1 else None,
            zorder=3,
        )
        values = rows.to_numpy()
        days = np.broadcast_to(mean.get_xdata(orig=False), values.shape)
        members = LineCollection(
            list(np.stack([days, values], axis=-1)),
            colors=style_of(position, self.clusters.n_clusters).color,
            linewidths=0.6,
            alpha=min(0.5, max(0.05, 6.0 / len(rows))),
            zorder=2,
        )
        ax.add_collection(members)
        ax.autoscale_view()
        self.members_.append(members)
        self.mean_lines_.append(mean)

    def _legend(self, own_figure: bool) -> Legend:
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=style_of(0, self.clusters.n_clusters).color, linewidth=0.8),
            self.mean_lines_[0],
        ]
        said = ["member", "mean of the members"]
        if own_figure:
            return self.figure_.legend(
                handles, said, loc="outside lower center", ncols=2, frameon=False, fontsize=8
            )
        return self.axes_[-1].legend(handles, said, fontsize=7, framealpha=0.85)
