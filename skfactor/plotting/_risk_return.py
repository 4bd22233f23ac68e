"""Return against risk, for clusters and their stocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike
from skfactor._validation import join
from skfactor.cluster._correlation import ClusterReturns, cluster_returns
from skfactor.cluster._labels import encode_labels
from skfactor.plotting._style import (
    INK,
    NOISE_COLOR,
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


class RiskReturnDisplay:
    """Mean return against volatility: small points are stocks, large ones clusters.

    Make one with :meth:`from_returns` or :meth:`from_cluster_returns`. A cluster stands at its
    equal-weighted portfolio, left of most of its stocks: what they do not share cancels.

    Parameters
    ----------
    returns : ClusterReturns
        What :func:`skfactor.cluster.cluster_returns` returned.
    names : mapping or Series, default=None
        Name of each label in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure of the axes.
    assets_ : list of matplotlib PathCollection
        The stocks of each cluster; empty if they are not drawn.
    clusters_ : list of matplotlib PathCollection
        The point of each cluster.
    texts_ : list of matplotlib Text
        The names written beside stocks.
    legend_ : matplotlib Legend
        Names and sizes of the clusters.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skfactor.plotting import RiskReturnDisplay
    >>> returns = np.random.default_rng(0).normal(0.01, 0.05, size=(24, 4))
    >>> display = RiskReturnDisplay.from_returns(returns, [0, 0, 1, 1], periods_per_year=12)
    >>> display.ax_.get_xlabel()
    'volatility (% a year)'
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    figure_: Figure
    assets_: list[PathCollection]
    clusters_: list[PathCollection]
    texts_: list[Any]
    legend_: Legend

    def __init__(
        self,
        returns: ClusterReturns,
        *,
        names: Mapping[Any, str] | pd.Series | None = None,
    ) -> None:
        self.returns = returns
        self.names = names

    @classmethod
    def from_returns(
        cls,
        returns: Any,
        labels: ArrayLike | Mapping[Any, Any] | pd.Series,
        *,
        periods_per_year: float | None = None,
        names: Mapping[Any, str] | pd.Series | None = None,
        show_assets: bool = True,
        annotate: Sequence[str] = (),
        trim: float = 0.0,
        ax: Axes | None = None,
    ) -> RiskReturnDisplay:
        """Compute and draw return and risk from assets' returns.

        Parameters
        ----------
        returns : {array, DataFrame} of shape (n_dates, n_assets)
            Simple returns in decimals, one column an asset.
        labels : array, Series or mapping of shape (n_assets,)
            The cluster of each asset.
        periods_per_year : float, default=None
            12 for monthly, 252 for daily returns, to annualise; a period by default.
        names : mapping or Series, default=None
            Name of each label in the legend.
        show_assets : bool, default=True
            Draw the stocks too.
        annotate : sequence of str, default=()
            Stocks whose names are written beside their points.
        trim : float, default=0.0
            Share of the stocks that may fall outside the frame at either end of each axis; how
            many do is written above it.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        RiskReturnDisplay
            The display, drawn.
        """
        found = cluster_returns(returns, labels, periods_per_year=periods_per_year)
        return cls.from_cluster_returns(
            found, names=names, show_assets=show_assets, annotate=annotate, trim=trim, ax=ax
        )

    @classmethod
    def from_cluster_returns(
        cls,
        returns: ClusterReturns,
        *,
        names: Mapping[Any, str] | pd.Series | None = None,
        show_assets: bool = True,
        annotate: Sequence[str] = (),
        trim: float = 0.0,
        ax: Axes | None = None,
    ) -> RiskReturnDisplay:
        """Draw what was computed already.

        Parameters
        ----------
        returns : ClusterReturns
            What :func:`skfactor.cluster.cluster_returns` returned.
        names : mapping or Series, default=None
            Name of each label in the legend.
        show_assets : bool, default=True
            Draw the stocks too.
        annotate : sequence of str, default=()
            Stocks whose names are written beside their points.
        trim : float, default=0.0
            Share of the stocks that may fall outside the frame at either end of each axis; how
            many do is written above it.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        RiskReturnDisplay
            The display, drawn.
        """
        display = cls(returns, names=names)
        return display.plot(ax=ax, show_assets=show_assets, annotate=annotate, trim=trim)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        show_assets: bool = True,
        annotate: Sequence[str] = (),
        trim: float = 0.0,
    ) -> RiskReturnDisplay:
        """Draw return against risk.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        show_assets : bool, default=True
            Draw the stocks too.
        annotate : sequence of str, default=()
            Stocks whose names are written beside their points.
        trim : float, default=0.0
            Share of the stocks that may fall outside the frame at either end of each axis; how
            many do is written above it.

        Returns
        -------
        RiskReturnDisplay
            The display itself.
        """
        if not 0.0 <= trim < 0.5:
            raise ValueError(f"`trim` must be at least 0 and less than 0.5; got {trim!r}.")
        table, assets = self.returns.table, self.returns.assets
        unknown = [name for name in annotate if name not in assets.index]
        if unknown:
            raise ValueError(f"`annotate` must list assets of `returns`; got {join(unknown)}.")
        coded = encode_labels(assets["cluster"].to_numpy(), assets.index, what="assets")
        said = zip(cluster_names(coded, self.names), sizes_of(coded), strict=True)
        names = wrapped([f"{name} (n={size})" for name, size in said])
        figsize = (6.2 + text_width(names, fontsize=9), 5.0)
        self.ax_, self.figure_ = one_axes(ax, type(self).__name__, figsize=figsize)
        self.assets_, self.clusters_ = [], []
        for i, (label, style) in enumerate(zip(coded.index, styles(coded), strict=True)):
            own = assets.loc[coded.codes == i]
            if show_assets:
                self.assets_.append(
                    self.ax_.scatter(
                        100 * own["volatility"],
                        100 * own["mean_return"],
                        s=12,
                        color=style.color,
                        marker=style.marker,
                        alpha=0.35,
                        linewidths=0.8 if style.marker == "x" else 0.0,
                    )
                )
            edge: dict[str, Any] = {} if style.marker == "x" else {"edgecolors": "black"}
            self.clusters_.append(
                self.ax_.scatter(
                    100 * table.loc[[label], "volatility"],
                    100 * table.loc[[label], "mean_return"],
                    s=90,
                    color=style.color,
                    marker=style.marker,
                    linewidths=1.2,
                    zorder=3,
                    label=names[i],
                    **edge,
                )
            )
        self.texts_ = self._annotate(annotate)
        unit = self.returns.unit
        self.ax_.set_xlabel(f"volatility (% {unit})")
        self.ax_.set_ylabel(f"mean return (% {unit})")
        tidy(self.ax_)
        self.ax_.axhline(0.0, color=NOISE_COLOR, linewidth=1.0, zorder=0.5)
        self._frame(trim)
        self.legend_ = outside_legend(self.ax_, own_figure=ax is None, labelspacing=0.9)
        return self

    def _frame(self, trim: float) -> None:
        """Choose the limits of the axes, and say what they leave outside."""
        if trim > 0.0 and self.assets_:
            stocks = 100 * self.returns.assets[["volatility", "mean_return"]].dropna().to_numpy()
            clusters = 100 * self.returns.table[["volatility", "mean_return"]].dropna().to_numpy()
            low = np.minimum(np.quantile(stocks, trim, axis=0), clusters.min(axis=0))
            high = np.maximum(np.quantile(stocks, 1.0 - trim, axis=0), clusters.max(axis=0))
            margin = 0.05 * (high - low)
            self.ax_.set_xlim(right=high[0] + margin[0])
            self.ax_.set_ylim(low[1] - margin[1], high[1] + margin[1])
            top = np.array([high[0] + margin[0], high[1] + margin[1]])
            n_outside = int(((stocks > top) | (stocks < [0.0, low[1] - margin[1]])).any(1).sum())
            self.ax_.set_title(f"{n_outside} stocks outside the frame", fontsize=9, loc="right")
        self.ax_.set_xlim(left=0.0)

    def _annotate(self, tickers: Sequence[str]) -> list[Any]:
        assets = self.returns.assets
        return [
            self.ax_.annotate(
                str(name),
                tuple(
                    100 * np.array([assets.at[name, "volatility"], assets.at[name, "mean_return"]])
                ),
                xytext=(3, 3),
                textcoords="offset points",
                fontsize=7,
                color=INK,
            )
            for name in tickers
        ]
