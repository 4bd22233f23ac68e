"""The look shared by all displays: colours, markers, names, and where axes come from."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import pandas as pd

from skfactor._typing import IntArray
from skfactor.cluster._labels import NOISE, ClusterCodes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

PALETTE = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#D55E00",  # vermilion
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#000000",  # black
    "#F0E442",  # yellow: last, it is faint on white
)
"""Okabe and Ito's colours, which people with any usual colour vision can tell apart."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
NOISE_COLOR = "#999999"
ACCENT = "#D55E00"
INK = "#333333"
GRID = "#DDDDDD"


class ClusterStyle(NamedTuple):
    """How one cluster is drawn."""

    color: str
    marker: str

    @property
    def edge(self) -> str:
        """The colour of a marker's edge: dark around yellow, which white would drown."""
        return "#666666" if self.color == "#F0E442" else "white"


def style_of(position: int, n_clusters: int) -> ClusterStyle:
    """Return the style of the cluster at `position`; noise, which comes last, is a grey cross.

    Colour and marker change together up to eight clusters. From the ninth on the markers are
    shifted against the colours, so that no two of 64 clusters look alike.
    """
    if position >= n_clusters:
        return ClusterStyle(NOISE_COLOR, "x")
    shift = position // len(PALETTE)
    return ClusterStyle(
        PALETTE[position % len(PALETTE)], MARKERS[(position + shift) % len(MARKERS)]
    )


def styles(coded: ClusterCodes) -> list[ClusterStyle]:
    """Return the style of every label, in order."""
    return [style_of(i, coded.n_clusters) for i in range(len(coded.index))]


def cluster_names(coded: ClusterCodes, names: Mapping[Any, str] | pd.Series | None) -> list[str]:
    """Return what each label is called in a legend."""
    if not (names is None or hasattr(names, "items")):
        raise ValueError(
            "`names` must be a mapping or Series of a name for each label; got "
            f"{type(names).__name__}. Write {{label: name, ...}}, or dict(enumerate(names))."
        )
    given = {} if names is None else dict(names)
    out = []
    for label in coded.index:
        is_noise = not isinstance(label, str) and label == NOISE
        usual = "noise" if is_noise else label if isinstance(label, str) else f"cluster {label}"
        out.append(str(given.get(label, usual)))
    return out


def short_names(coded: ClusterCodes) -> list[str]:
    """Return labels that fit under a narrow box."""
    named = cluster_names(coded, None)
    return [
        name if isinstance(label, str) or name == "noise" else str(label)
        for label, name in zip(coded.index, named, strict=True)
    ]


def sizes_of(coded: ClusterCodes) -> IntArray:
    """Return the number of rows of each label."""
    return np.bincount(coded.codes, minlength=len(coded.index))


def pyplot(display: str) -> Any:
    """Import pyplot, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{display} needs matplotlib, which is not installed. Run `pip install skfactor[plot]`."
        ) from error
    return plt


def one_axes(
    ax: Axes | None,
    display: str,
    *,
    figsize: tuple[float, float] = (6.4, 4.8),
    projection: str | None = None,
) -> tuple[Axes, Figure]:
    """Return the axes to draw on and their figure: those given, or new ones."""
    plt = pyplot(display)
    if ax is None:
        figure, ax = plt.subplots(
            figsize=figsize, layout="constrained", subplot_kw={"projection": projection}
        )
        return ax, figure
    if projection == "3d" and ax.name != "3d":
        raise ValueError(
            f"`ax` must be a 3-D axes for three components; got one named {ax.name!r}. Make it by "
            '`figure.add_subplot(projection="3d")`, or leave `ax` out.'
        )
    return ax, cast("Figure", ax.figure)


def grid_axes(
    ax: Axes | Sequence[Axes] | None,
    display: str,
    n_panels: int,
    *,
    n_columns: int,
    panel_size: tuple[float, float],
) -> tuple[list[Axes], Figure]:
    """Return one axes a panel and their figure: those given, or a new grid."""
    plt = pyplot(display)
    if n_columns < 1:
        raise ValueError(f"`n_columns` must be at least 1; got {n_columns!r}.")
    if n_panels < 1:
        raise ValueError(f"{display} must have something to draw; got no panel.")
    if ax is None:
        n_columns = min(n_columns, n_panels)
        n_rows = -(-n_panels // n_columns)
        figure, grid = plt.subplots(
            n_rows,
            n_columns,
            figsize=(panel_size[0] * n_columns, panel_size[1] * n_rows),
            squeeze=False,
            layout="constrained",
        )
        panels = list(grid.ravel())
        for spare in panels[n_panels:]:
            spare.remove()
        return panels[:n_panels], figure
    panels = list(np.atleast_1d(np.asarray(ax, dtype=object)).ravel())
    if len(panels) < n_panels:
        raise ValueError(
            f"`ax` must hold at least {n_panels} axes, one a panel; got {len(panels)}. Make more "
            "with `plt.subplots`, or leave `ax` out."
        )
    return panels[:n_panels], one_axes(panels[0], display)[1]


def tidy(ax: Axes, *, grid: str | None = "both") -> None:
    """Quieten an axes: no box, a light grid behind the data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if grid is not None:
        ax.grid(visible=True, axis=grid, color=GRID, linewidth=0.6)  # type: ignore[arg-type]
        ax.set_axisbelow(True)


def few_dates(ax: Axes, places: pd.Index) -> None:
    """Keep dates on a small panel from running into each other."""
    if isinstance(places, pd.DatetimeIndex):
        import matplotlib.dates as mdates

        # matplotlib's dates carry no types.
        dated: Any = mdates
        locator = dated.AutoDateLocator(minticks=2, maxticks=5)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dated.ConciseDateFormatter(locator))


def finish_path_panels(
    panels: Sequence[Axes], places: pd.Index, *, ylabel: str, n_columns: int, own_figure: bool
) -> None:
    """Name the axes of panels that show paths over the same days, and give them one scale."""
    limits = np.array([panel.get_ylim() for panel in panels])
    for i, panel in enumerate(panels):
        panel.set_ylim(limits[:, 0].min(), limits[:, 1].max())
        panel.set_xlabel("date" if isinstance(places, pd.DatetimeIndex) else "day", fontsize=9)
        panel.tick_params(labelsize=8)
        few_dates(panel, places)
        tidy(panel)
        if own_figure and i % n_columns:
            panel.tick_params(labelleft=False)
        elif own_figure or i == 0:
            panel.set_ylabel(ylabel, fontsize=9)


def wrapped(names: Sequence[str], width: int = 30) -> list[str]:
    """Break long names into lines, so that a legend leaves room for the data."""
    return ["\n".join(textwrap.wrap(name, width)) or name for name in names]


def text_width(names: Sequence[str], *, fontsize: float = 10.0) -> float:
    """Estimate the width of the longest line in inches."""
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    # A letter of the default font is about 0.56 of its height wide; 72 points are an inch.
    return longest * 0.56 * fontsize / 72.0


def outside_legend(ax: Axes, *, own_figure: bool, **kwargs: Any) -> Legend:
    """Put the legend right of the axes, where it hides no data, if there is room to be made."""
    figure = cast("Figure", ax.figure)
    if own_figure:
        handles, labels = ax.get_legend_handles_labels()
        return figure.legend(
            handles,
            labels,
            loc="outside right upper",
            frameon=False,
            fontsize=9,
            alignment="left",
            **kwargs,
        )
    if figure.get_layout_engine() is None:
        # Nothing would make room: a legend outside would lie on the next axes.
        return ax.legend(loc="upper right", fontsize=8, framealpha=0.85, **kwargs)
    gap = 1.14 if ax.name == "3d" else 1.02
    return ax.legend(
        loc="upper left",
        bbox_to_anchor=(gap, 1.0),
        borderaxespad=0.0,
        frameon=False,
        fontsize=9,
        **kwargs,
    )
