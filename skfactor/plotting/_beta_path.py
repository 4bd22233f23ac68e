"""Betas through time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike
from skfactor.metrics._model_output import model_rows
from skfactor.panel._index import factorize, read_index
from skfactor.plotting._factor_returns import plottable_dates
from skfactor.plotting._style import INK, PALETTE, few_dates, grid_axes, outside_legend, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

_MOST_FACTORS = 6


class BetaPathDisplay:
    """Betas by date, one panel a factor: how they spread over assets, and some assets.

    Make one with :meth:`from_estimator` or :meth:`from_betas`. The line in the middle is the
    median over the assets of a date; the shades reach the outer quantiles.

    Parameters
    ----------
    betas : pandas.DataFrame of shape (n_rows, n_factors)
        Betas, with date and asset in the index.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The panels, one a factor.
    ax_ : matplotlib Axes
        The first panel.
    figure_ : matplotlib Figure
        Figure of the panels.
    quantiles_ : dict of str to pandas.DataFrame
        The quantiles drawn, by factor: a row a date, a column a quantile.
    legend_ : matplotlib Legend
        What shades and lines are.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.plotting import BetaPathDisplay
    >>> dates = pd.date_range("2020-01-31", periods=12, freq="ME")
    >>> index = pd.MultiIndex.from_product([dates, list("ABCDE")], names=["date", "asset"])
    >>> rng = np.random.default_rng(0)
    >>> betas = pd.DataFrame(rng.normal(1.0, 0.3, (60, 2)), index, ["factor1", "factor2"])
    >>> display = BetaPathDisplay.from_betas(betas, assets=["A"])
    >>> [ax.get_title() for ax in display.axes_]
    ['factor1', 'factor2']
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    axes_: list[Axes]
    figure_: Figure
    quantiles_: dict[str, pd.DataFrame]
    legend_: Legend

    def __init__(self, betas: pd.DataFrame) -> None:
        self.betas = betas

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        assets: Sequence[Any] = (),
        factors: Sequence[str] | None = None,
        quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        n_columns: int = 3,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> BetaPathDisplay:
        """Compute betas and draw them.

        Parameters
        ----------
        estimator : estimator
            A fitted factor model, or a pipeline that ends in one.
        X : pandas.DataFrame of shape (n_rows, n_features)
            Characteristics, with a (date, asset) index.
        assets : sequence, default=()
            Assets to draw a line for.
        factors : sequence of str or None, default=None
            Factors to draw; None takes the first six.
        quantiles : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
            Quantiles over the assets of a date, rising.
        n_columns : int, default=3
            Panels a row.
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default.

        Returns
        -------
        BetaPathDisplay
            The display, drawn.
        """
        rows = model_rows(estimator, X, np.full(len(X), np.nan))
        betas = rows.model.transform(rows.X, **rows.where)
        if not isinstance(betas, pd.DataFrame):
            betas = pd.DataFrame(
                np.asarray(betas),
                index=getattr(X, "index", None),
                columns=rows.model.get_feature_names_out(),
            )
        return cls.from_betas(
            betas,
            assets=assets,
            factors=factors,
            quantiles=quantiles,
            n_columns=n_columns,
            ax=ax,
        )

    @classmethod
    def from_betas(
        cls,
        betas: pd.DataFrame,
        *,
        assets: Sequence[Any] = (),
        factors: Sequence[str] | None = None,
        quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        n_columns: int = 3,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> BetaPathDisplay:
        """Draw betas that are there already.

        Parameters
        ----------
        betas : pandas.DataFrame of shape (n_rows, n_factors)
            Betas with a (date, asset) index, as ``transform`` returns them.
        assets : sequence, default=()
            Assets to draw a line for.
        factors : sequence of str or None, default=None
            Factors to draw; None takes the first six.
        quantiles : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
            Quantiles over the assets of a date, rising.
        n_columns : int, default=3
            Panels a row.
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default.

        Returns
        -------
        BetaPathDisplay
            The display, drawn.
        """
        return cls(betas).plot(
            ax=ax, assets=assets, factors=factors, quantiles=quantiles, n_columns=n_columns
        )

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        assets: Sequence[Any] = (),
        factors: Sequence[str] | None = None,
        quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        n_columns: int = 3,
    ) -> BetaPathDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default.
        assets : sequence, default=()
            Assets to draw a line for.
        factors : sequence of str or None, default=None
            Factors to draw; None takes the first six.
        quantiles : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
            Quantiles over the assets of a date, rising.
        n_columns : int, default=3
            Panels a row.

        Returns
        -------
        BetaPathDisplay
            The display itself.
        """
        levels = np.asarray(quantiles, dtype=float)
        inside = levels.ndim == 1 and len(levels) and (levels >= 0).all() and (levels <= 1).all()
        if not inside or not (np.diff(levels) > 0).all():
            raise ValueError(f"`quantiles` must rise from 0 to 1 at most; got {quantiles!r}.")
        found = read_index(self.betas, "betas")
        if found is None or found[1] is None:
            raise ValueError(
                "`betas` must have a (date, asset) index. Pass X with that index, or give it to "
                "the betas."
            )
        names = list(self.betas.columns[:_MOST_FACTORS]) if factors is None else list(factors)
        absent = [name for name in names if name not in self.betas.columns]
        if absent or not names:
            raise ValueError(
                f"`factors` must name columns of the betas, {list(self.betas.columns)}; got "
                f"{names}."
            )
        codes, dates = factorize(found[0])
        held = {}
        for asset in assets:
            rows = np.flatnonzero(np.asarray(found[1] == asset))
            if not len(rows):
                raise ValueError(f"`assets` must be assets of the betas; got {asset!r}.")
            held[asset] = rows[np.argsort(codes[rows], kind="stable")]
        own_figure = ax is None
        self.axes_, self.figure_ = grid_axes(
            ax, type(self).__name__, len(names), n_columns=n_columns, panel_size=(3.6, 2.7)
        )
        self.ax_ = self.axes_[0]
        places = plottable_dates(dates)
        self.quantiles_ = {}
        for panel, name in zip(self.axes_, names, strict=True):
            values = self.betas[name].to_numpy(dtype=float)
            by_date = pd.Series(values).groupby(codes).quantile(levels).unstack()
            self.quantiles_[str(name)] = by_date.set_index(dates.rename("date"))
            _shades(panel, places, by_date.to_numpy(), levels)
            for k, (asset, rows) in enumerate(held.items()):
                panel.plot(
                    places[codes[rows]],
                    values[rows],
                    color=PALETTE[(k + 1) % len(PALETTE)],
                    linewidth=1.4,
                    marker="o" if len(rows) == 1 else None,
                    label=str(asset),
                )
            panel.axhline(0.0, color=INK, linewidth=0.8)
            panel.set_title(str(name), fontsize=10)
            panel.tick_params(labelsize=8)
            few_dates(panel, places)
            tidy(panel)
        self.axes_[0].set_ylabel("beta")
        for panel in self.axes_[-n_columns:]:
            panel.set_xlabel("date" if isinstance(places, pd.DatetimeIndex) else "period")
        if own_figure:
            self.legend_ = outside_legend(self.axes_[0], own_figure=True)
        else:
            self.legend_ = self.axes_[0].legend(frameon=False, fontsize=7, ncols=2)
        return self


def _shades(ax: Axes, places: pd.Index, values: Any, levels: Any) -> None:
    """Shade between quantiles from the outside in; a quantile without a partner is a line."""
    n = len(levels)
    for k in range(n // 2):
        ax.fill_between(
            places,
            values[:, k],
            values[:, n - 1 - k],
            color=PALETTE[0],
            alpha=0.15 + 0.15 * k,
            linewidth=0,
            label=f"{levels[k]:.0%} to {levels[n - 1 - k]:.0%}",
        )
    if n % 2:
        middle = n // 2
        said = "median" if levels[middle] == 0.5 else f"{levels[middle]:.0%}"
        ax.plot(places, values[:, middle], color=PALETTE[0], linewidth=1.8, label=said)
