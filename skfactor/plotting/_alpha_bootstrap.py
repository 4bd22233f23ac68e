"""Percentiles of t statistics, actual and by luck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skfactor.inference._alpha_bootstrap import AlphaBootstrap, alpha_bootstrap
from skfactor.plotting._style import GRID, INK, PALETTE, one_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


class AlphaBootstrapDisplay:
    """The t statistics of alphas by percentile, with the band in which luck leaves them.

    Make one with :meth:`from_bootstrap` or :meth:`from_estimator`. Where the line leaves the
    band upwards at the right, the best do better than luck explains; downwards at the left, the
    worst do worse.

    Parameters
    ----------
    bootstrap : AlphaBootstrap
        What :func:`skfactor.inference.alpha_bootstrap` returned.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure of the axes.
    actual_ : matplotlib Line2D
        The actual t statistics.
    simulated_ : matplotlib Line2D
        Their mean over draws under the null.
    band_ : matplotlib PolyCollection
        Where 90 % of the draws lie.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skfactor.inference import alpha_bootstrap
    >>> from skfactor.plotting import AlphaBootstrapDisplay
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.005, 0.04, (60, 1))
    >>> returns = factors + rng.normal(0, 0.03, (60, 30))
    >>> found = alpha_bootstrap(factors, returns, n_resamples=50, random_state=0)
    >>> display = AlphaBootstrapDisplay.from_bootstrap(found)
    >>> display.ax_.get_ylabel()
    't statistic of alpha'
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    figure_: Figure
    actual_: Line2D
    simulated_: Line2D
    band_: PolyCollection

    def __init__(self, bootstrap: AlphaBootstrap) -> None:
        self.bootstrap = bootstrap

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_resamples: int = 1000,
        random_state: Any = 0,
        ax: Axes | None = None,
    ) -> AlphaBootstrapDisplay:
        """Run the bootstrap of a fitted model and draw it.

        Parameters
        ----------
        estimator : FamaFrenchRegressor
            Fitted, with its data.
        n_resamples : int, default=1000
            The number of samples.
        random_state : int, RandomState instance or None, default=0
            The seed, as :func:`~skfactor.inference.alpha_bootstrap` takes it.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        AlphaBootstrapDisplay
            The display, drawn.
        """
        found = alpha_bootstrap(estimator, n_resamples=n_resamples, random_state=random_state)
        return cls.from_bootstrap(found, ax=ax)

    @classmethod
    def from_bootstrap(
        cls, bootstrap: AlphaBootstrap, *, ax: Axes | None = None
    ) -> AlphaBootstrapDisplay:
        """Draw a bootstrap that is there already.

        Parameters
        ----------
        bootstrap : AlphaBootstrap
            What :func:`skfactor.inference.alpha_bootstrap` returned.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        AlphaBootstrapDisplay
            The display, drawn.
        """
        return cls(bootstrap).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> AlphaBootstrapDisplay:
        """Draw percentiles, actual and simulated.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        AlphaBootstrapDisplay
            The display itself.
        """
        self.ax_, self.figure_ = one_axes(ax, type(self).__name__)
        table = self.bootstrap.table.sort_index()
        levels = table.index.to_numpy(dtype=np.float64)
        self.band_ = self.ax_.fill_between(
            levels,
            table["low"].to_numpy(),
            table["high"].to_numpy(),
            color=GRID,
            label="90 % of the draws under the null",
        )
        (self.simulated_,) = self.ax_.plot(
            levels, table["simulated"], "--", color=INK, linewidth=1.4, label="their mean"
        )
        (self.actual_,) = self.ax_.plot(
            levels, table["actual"], "o-", color=PALETTE[0], markersize=4, label="actual"
        )
        self.ax_.set_xlabel(f"percentile of {self.bootstrap.n_assets} assets")
        self.ax_.set_ylabel("t statistic of alpha")
        tidy(self.ax_)
        self.ax_.legend(frameon=False)
        return self
