"""Heat map of mean correlations within and between clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike
from skfactor.cluster._correlation import ClusterCorrelations, cluster_correlations
from skfactor.cluster._labels import NOISE
from skfactor.plotting._style import INK, one_axes, text_width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text


class CorrelationDisplay:
    """Heat map of the mean correlation of returns within clusters and between them.

    Make one with :meth:`from_correlations` or :meth:`from_returns`.

    Parameters
    ----------
    correlations : ClusterCorrelations
        What :func:`skfactor.cluster.cluster_correlations` returned.
    names : mapping or Series, default=None
        Name of each label, for the rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the heat map.
    figure_ : matplotlib Figure
        Figure of the axes.
    image_ : matplotlib AxesImage
        The heat map.
    texts_ : list of matplotlib Text
        The numbers, row by row.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skfactor.plotting import CorrelationDisplay
    >>> returns = np.random.default_rng(0).normal(size=(24, 6))
    >>> display = CorrelationDisplay.from_returns(returns, [0, 0, 0, 1, 1, 1])
    >>> display.image_.get_array().shape
    (2, 2)
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    figure_: Figure
    image_: AxesImage
    texts_: list[Text]

    def __init__(
        self,
        correlations: ClusterCorrelations,
        *,
        names: Mapping[Any, str] | pd.Series | None = None,
    ) -> None:
        self.correlations = correlations
        self.names = names

    @classmethod
    def from_correlations(
        cls,
        correlations: ClusterCorrelations,
        *,
        names: Mapping[Any, str] | pd.Series | None = None,
        triangle: str = "full",
        ax: Axes | None = None,
        **imshow_kwargs: Any,
    ) -> CorrelationDisplay:
        """Draw correlations that are there already.

        Parameters
        ----------
        correlations : ClusterCorrelations
            What :func:`skfactor.cluster.cluster_correlations` returned.
        names : mapping or Series, default=None
            Name of each label, for the rows.
        triangle : {"full", "upper"}, default="full"
            Draw both halves of the symmetric table or the upper one.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default. Cells are square: where other axes share the
            figure, make it with ``layout="compressed"``, so that long names fit beside them.
        **imshow_kwargs : dict
            Passed to matplotlib's `imshow`, such as ``vmin``, ``vmax`` and ``cmap``.

        Returns
        -------
        CorrelationDisplay
            The display, drawn.
        """
        return cls(correlations, names=names).plot(ax=ax, triangle=triangle, **imshow_kwargs)

    @classmethod
    def from_returns(
        cls,
        returns: Any,
        labels: ArrayLike | Mapping[Any, Any] | pd.Series,
        *,
        min_obs: int = 12,
        names: Mapping[Any, str] | pd.Series | None = None,
        triangle: str = "full",
        ax: Axes | None = None,
        **imshow_kwargs: Any,
    ) -> CorrelationDisplay:
        """Compute and draw correlations of assets' returns.

        Parameters
        ----------
        returns : {array, DataFrame} of shape (n_dates, n_assets)
            Returns, one column an asset.
        labels : array, Series or mapping of shape (n_assets,)
            The cluster of each asset.
        min_obs : int, default=12
            Dates that two assets must share for their correlation to count.
        names : mapping or Series, default=None
            Name of each label, for the rows.
        triangle : {"full", "upper"}, default="full"
            Draw both halves of the symmetric table or the upper one.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default. Cells are square: where other axes share the
            figure, make it with ``layout="compressed"``, so that long names fit beside them.
        **imshow_kwargs : dict
            Passed to matplotlib's `imshow`.

        Returns
        -------
        CorrelationDisplay
            The display, drawn.
        """
        found = cluster_correlations(returns, labels, min_obs=min_obs)
        return cls.from_correlations(found, names=names, triangle=triangle, ax=ax, **imshow_kwargs)

    def plot(
        self, ax: Axes | None = None, *, triangle: str = "full", **imshow_kwargs: Any
    ) -> CorrelationDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default. Cells are square: where other axes share the
            figure, make it with ``layout="compressed"``, so that long names fit beside them.
        triangle : {"full", "upper"}, default="full"
            Draw both halves of the symmetric table or the upper one.
        **imshow_kwargs : dict
            Passed to matplotlib's `imshow`.

        Returns
        -------
        CorrelationDisplay
            The display itself.
        """
        if triangle not in ("full", "upper"):
            raise ValueError(f"`triangle` must be 'full' or 'upper'; got {triangle!r}.")
        table = self.correlations.table if triangle == "full" else self.correlations.upper()
        short, long = self._tick_names(table.index)
        side = 1.0 + 0.6 * len(table)
        figsize = (side + text_width(long, fontsize=9) + 1.5, side + 0.7)
        self.ax_, self.figure_ = one_axes(ax, type(self).__name__, figsize=figsize)
        values = table.to_numpy()
        self.image_ = self.ax_.imshow(values, **{**_range_and_colors(values), **imshow_kwargs})
        self.texts_ = self._write_numbers(values, triangle)
        places = range(len(table))
        self.ax_.set_xticks(places, short, fontsize=9)
        self.ax_.set_yticks(places, long, fontsize=9)
        self.ax_.tick_params(length=0)
        self.ax_.set_xlabel("cluster")
        self.ax_.set_ylabel("cluster" if self.names is None else "")
        self.ax_.spines[:].set_visible(False)
        found = self.correlations
        self.ax_.set_title(
            f"within {found.within:z.2f}, between {found.between:z.2f} ({found.contrast:+z.2f})",
            fontsize=10,
        )
        self.figure_.colorbar(self.image_, ax=self.ax_, label="mean correlation of returns")
        return self

    def _tick_names(self, index: pd.Index) -> tuple[list[str], list[str]]:
        short = ["noise" if _is_noise(label) else str(label) for label in index]
        given = {} if self.names is None else dict(self.names)
        long = [
            f"{said}: {given[label]}" if label in given and str(given[label]) != said else said
            for said, label in zip(short, index, strict=True)
        ]
        return short, wrapped(long)

    def _write_numbers(self, values: Any, triangle: str) -> list[Text]:
        texts = []
        for i, j in np.ndindex(values.shape):
            value = values[i, j]
            if np.isnan(value):
                if triangle == "upper" and j < i:
                    continue
                said, color = "–", INK
            else:
                said = f"{value:z.2f}"
                r, g, b, _ = self.image_.cmap(self.image_.norm(value))
                # Rec. 709 luminance decides whether dark or light ink can be read.
                color = "black" if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.45 else "white"
            weight = "bold" if i == j else "normal"
            texts.append(
                self.ax_.text(
                    j, i, said, ha="center", va="center", color=color, fontsize=9, weight=weight
                )
            )
        return texts


def _range_and_colors(values: Any) -> dict[str, Any]:
    """Choose colours: one-sided for correlations of one sign, else centred on zero."""
    known = values[~np.isnan(values)]
    if len(known) and known.min() < 0.0:
        bound = float(np.abs(known).max())
        return {"cmap": "PuOr_r", "vmin": -bound, "vmax": bound}
    return {"cmap": "Blues"}


def _is_noise(label: Any) -> bool:
    return not isinstance(label, str) and bool(label == NOISE)
