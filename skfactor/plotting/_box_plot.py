"""Features by cluster, as small box plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import join, listed
from skfactor.cluster._labels import ClusterCodes, as_frame, encode_labels
from skfactor.cluster._names import readable
from skfactor.cluster._ranks import rank_effect_sizes
from skfactor.plotting._style import (
    INK,
    cluster_names,
    grid_axes,
    short_names,
    style_of,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALES = ("linear", "symlog", "log")
LONGEST_ON_ONE_LINE = 18


class ClusterBoxPlotDisplay:
    """Box plots of features by cluster, one small panel a feature.

    Make one with :meth:`from_labels`. Boxes span the quartiles, whiskers reach the last value
    within 1.5 interquartile ranges.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Features to draw, in order.
    clusters : ClusterCodes
        Encoded labels.
    effect_sizes : Series or None, default=None
        Effect size of each feature, shown in the panels' titles.
    names : mapping or Series, default=None
        Name of each label, for the legend.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The panels, one a feature.
    ax_ : matplotlib Axes
        The first panel.
    figure_ : matplotlib Figure
        Figure of the panels.
    boxes_ : list of dict
        What matplotlib's `boxplot` returned, by panel.
    legend_ : matplotlib Legend or None
        Names of the clusters, if there are any.

    See Also
    --------
    skfactor.cluster.cluster_profile : The tables behind the boxes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from skfactor.plotting import ClusterBoxPlotDisplay
    >>> X = pd.DataFrame({"PER": [8.0, 9.0, 30.0, 28.0], "ROE": [0.1, 0.3, 0.2, 0.4]})
    >>> display = ClusterBoxPlotDisplay.from_labels(X, [0, 0, 1, 1])
    >>> [ax.get_title() for ax in display.axes_]
    ['PER (ε² = 0.80)', 'ROE (ε² = 0.20)']
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    axes_: list[Axes]
    figure_: Figure
    boxes_: list[dict[str, Any]]
    legend_: Any

    def __init__(
        self,
        X: pd.DataFrame,
        clusters: ClusterCodes,
        *,
        effect_sizes: pd.Series | None = None,
        names: Mapping[Any, str] | pd.Series | None = None,
    ) -> None:
        self.X = X
        self.clusters = clusters
        self.effect_sizes = effect_sizes
        self.names = names

    @classmethod
    def from_labels(
        cls,
        X: Any,
        labels: ArrayLike | Mapping[Any, Any] | pd.Series,
        *,
        features: Sequence[Any] | None = None,
        max_features: int = 12,
        feature_names: Sequence[str] | None = None,
        names: Mapping[Any, str] | pd.Series | None = None,
        scale: str = "linear",
        trim: float = 0.0,
        show_outliers: bool = False,
        n_columns: int = 4,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> ClusterBoxPlotDisplay:
        """Draw the features that separate the clusters most, or those listed.

        Parameters
        ----------
        X : {array, DataFrame} of shape (n_rows, n_features)
            Features; NaN is left out.
        labels : array, Series or mapping of shape (n_rows,)
            The cluster of each row; below zero is noise and drawn last, in grey.
        features : sequence, default=None
            Features to draw, in order; by default those with the largest effect sizes.
        max_features : int, default=12
            How many to draw when `features` is None.
        feature_names : sequence of str, default=None
            Names of the columns of `X`.
        names : mapping or Series, default=None
            Name of each label, for the legend.
        scale : {"linear", "symlog", "log"}, default="linear"
            Scale of the values. "symlog" is linear near zero and shows large values of both
            signs, as raw fundamentals have them; features that span less than two decades keep
            a linear scale.
        trim : float, default=0.0
            Share of each feature's values left out at either end, for outliers that squeeze
            the boxes.
        show_outliers : bool, default=False
            Draw values beyond the whiskers as points.
        n_columns : int, default=4
            Panels a row.
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default.

        Returns
        -------
        ClusterBoxPlotDisplay
            The display, drawn.
        """
        if features is None and max_features < 1:
            raise ValueError(f"`max_features` must be at least 1; got {max_features!r}.")
        frame = as_frame(X, feature_names=feature_names)
        coded = encode_labels(labels, frame.index)
        kept = coded.in_cluster
        effect, _, _ = rank_effect_sizes(
            frame.to_numpy()[kept], coded.one_hot()[kept, : coded.n_clusters]
        )
        effects = pd.Series(effect, index=frame.columns, name="effect_size")
        if features is None:
            order = effects.sort_values(ascending=False, kind="stable").index
            chosen = list(order[:max_features])
        else:
            absent = [name for name in features if name not in frame.columns]
            if absent:
                raise ValueError(
                    f"`features` must be columns of X; got {join(absent)}. "
                    f"X has {join(frame.columns)}."
                )
            chosen = list(features)
        display = cls(frame[chosen], coded, effect_sizes=effects[chosen], names=names)
        return display.plot(
            ax=ax, scale=scale, trim=trim, show_outliers=show_outliers, n_columns=n_columns
        )

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        scale: str = "linear",
        trim: float = 0.0,
        show_outliers: bool = False,
        n_columns: int = 4,
    ) -> ClusterBoxPlotDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default.
        scale : {"linear", "symlog", "log"}, default="linear"
            Scale of the values.
        trim : float, default=0.0
            Share of each feature's values left out at either end.
        show_outliers : bool, default=False
            Draw values beyond the whiskers as points.
        n_columns : int, default=4
            Panels a row.

        Returns
        -------
        ClusterBoxPlotDisplay
            The display itself.
        """
        if scale not in SCALES:
            raise ValueError(f"`scale` must be one of {listed(SCALES)}; got {scale!r}.")
        if not 0.0 <= trim < 0.5:
            raise ValueError(f"`trim` must be at least 0 and less than 0.5; got {trim!r}.")
        groups = [self._groups(name, scale, trim) for name in self.X.columns]
        called = None if self.names is None else cluster_names(self.clusters, self.names)
        own_figure = ax is None
        self.axes_, self.figure_ = grid_axes(
            ax,
            type(self).__name__,
            self.X.shape[1],
            n_columns=n_columns,
            panel_size=(2.6 + 0.12 * max(len(self.clusters.index) - 6, 0), 2.3),
        )
        self.ax_ = self.axes_[0]
        self.boxes_ = [
            self._panel(panel, name, own, scale, show_outliers)
            for panel, name, own in zip(self.axes_, self.X.columns, groups, strict=True)
        ]
        note = f"{trim:.1%} of the values left out at either end" if trim else ""
        self.legend_ = None if called is None else self._legend(called, own_figure, note)
        if own_figure and note and self.legend_ is None:
            self.figure_.supxlabel(note, fontsize=8, color=INK)
        return self

    def _groups(self, name: Any, scale: str, trim: float) -> list[FloatArray]:
        """Return the values of a feature in each cluster, if the scale can show them."""
        values = _trimmed(self.X[name].to_numpy(), trim)
        groups = [group[~np.isnan(group)] for group in _by_cluster(values, self.clusters)]
        if scale == "log" and any((group <= 0).any() for group in groups):
            raise ValueError(
                f"`scale` must not be 'log' for {name!r}, which has values of zero or below. "
                "Use scale='symlog'."
            )
        return groups

    def _panel(
        self, ax: Axes, name: Any, groups: list[FloatArray], scale: str, show_outliers: bool
    ) -> dict[str, Any]:
        values = self.X[name].to_numpy()
        if scale == "log":
            ax.set_yscale("log")
        elif scale == "symlog" and _spans_decades(values):
            ax.set_yscale("symlog", linthresh=_linear_range(values))
        boxes = ax.boxplot(
            groups,
            positions=range(len(groups)),
            widths=0.65,
            patch_artist=True,
            showfliers=show_outliers,
            medianprops={"color": "black", "linewidth": 1.4},
            flierprops={"marker": ".", "markersize": 2, "markeredgecolor": INK, "alpha": 0.4},
        )
        if ax.get_yscale() == "symlog":
            ticks = _decades(*ax.get_ylim(), _linear_range(values))
            ax.set_yticks(list(ticks), list(ticks.values()))
            ax.set_yticks([], minor=True)
        for i, box in enumerate(boxes["boxes"]):
            box.set_facecolor(style_of(i, self.clusters.n_clusters).color)
            box.set_alpha(0.75)
        ax.set_xticks(range(len(groups)), short_names(self.clusters), fontsize=8)
        ax.tick_params(axis="y", labelsize=8)
        tidy(ax, grid="y")
        title = readable(name)
        if self.effect_sizes is not None:
            # A long name has its own line, or it would run into the next panel.
            between = "\n" if len(title) > LONGEST_ON_ONE_LINE else " "
            title += f"{between}(ε² = {self.effect_sizes[name]:.2f})"
        ax.set_title(title, fontsize=9)
        return boxes

    def _legend(self, called: list[str], own_figure: bool, note: str) -> Any:
        from matplotlib.patches import Patch

        handles = [
            Patch(
                facecolor=style_of(i, self.clusters.n_clusters).color,
                alpha=0.75,
                label=f"{short}: {name}" if short != name else name,
            )
            for i, (short, name) in enumerate(zip(short_names(self.clusters), called, strict=True))
        ]
        if own_figure:
            # The note is the legend's title: below the panels there is room for one of them.
            return self.figure_.legend(
                handles=handles,
                loc="outside lower center",
                ncols=2,
                frameon=False,
                fontsize=8,
                title=note or None,
                title_fontproperties={"size": 8},
            )
        return self.axes_[-1].legend(handles=handles, fontsize=7)


def _by_cluster(values: FloatArray, clusters: ClusterCodes) -> list[FloatArray]:
    return [values[clusters.codes == i] for i in range(len(clusters.index))]


def _trimmed(values: FloatArray, trim: float) -> FloatArray:
    """Set the outer values at either end to NaN."""
    if trim == 0.0 or np.isnan(values).all():
        return values
    low, high = np.nanquantile(values, [trim, 1.0 - trim])
    return np.where((values < low) | (values > high), np.nan, values)


def _spans_decades(values: FloatArray) -> bool:
    size = np.abs(values[~np.isnan(values) & (values != 0.0)])
    return len(size) > 0 and bool(size.max() >= 100.0 * np.quantile(size, 0.1))


def _decades(low: float, high: float, linear: float) -> dict[float, str]:
    """Return zero and a few decades, far enough apart to be read, none in the linear part."""
    top = int(np.floor(np.log10(max(abs(low), abs(high)))))
    bottom = int(np.ceil(np.log10(linear)))
    two_sided = low < -linear and high > linear
    step = max(1, -(-(top - bottom + 1) // (2 if two_sided else 4)))
    ticks = {0.0: "0"}
    for exponent in range(top, min(bottom, top) - 1, -step):
        for sign, said in ((1.0, ""), (-1.0, "-")):
            if low <= sign * 10.0**exponent <= high:
                ticks[sign * 10.0**exponent] = f"${said}10^{{{exponent}}}$"
    return {value: ticks[value] for value in sorted(ticks) if low <= value <= high}


def _linear_range(values: FloatArray) -> float:
    """Return where the symmetric log scale starts: below most values that are not zero."""
    return float(np.quantile(np.abs(values[~np.isnan(values) & (values != 0.0)]), 0.1))
