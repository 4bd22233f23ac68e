"""Factor returns added up through time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike
from skfactor._validation import check_is_fitted
from skfactor.metrics._assignments import unwrap
from skfactor.metrics._rows import returns_array
from skfactor.panel._date_labels import date_readings
from skfactor.plotting._style import INK, PALETTE, one_axes, outside_legend, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

_STYLES = ("-", "--", "-.", ":")


class FactorReturnsDisplay:
    """Cumulative factor returns, one line a factor.

    Make one with :meth:`from_estimator` or :meth:`from_returns`.

    Parameters
    ----------
    factor_returns : pandas.DataFrame of shape (n_dates, n_factors)
        Returns a period, dates rising.
    fitted_until : object or None, default=None
        The last date that the model was fitted on, marked by a line.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : dict of str to matplotlib Line2D
        The line of each factor.
    cumulative_ : pandas.DataFrame of shape (n_dates, n_factors)
        What is drawn.
    legend_ : matplotlib Legend
        Names of the factors.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skfactor.plotting import FactorReturnsDisplay
    >>> returns = np.random.default_rng(0).normal(0.005, 0.04, (60, 2))
    >>> display = FactorReturnsDisplay.from_returns(returns)
    >>> list(display.lines_)
    ['factor1', 'factor2']
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    figure_: Figure
    lines_: dict[str, Line2D]
    cumulative_: pd.DataFrame
    legend_: Legend

    def __init__(self, factor_returns: pd.DataFrame, *, fitted_until: Any = None) -> None:
        self.factor_returns = factor_returns
        self.fitted_until = fitted_until

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        compound: bool = False,
        target_volatility: float | None = None,
        ax: Axes | None = None,
    ) -> FactorReturnsDisplay:
        """Draw the factor returns that a fitted model knows, from ``fit`` and ``update``.

        Parameters
        ----------
        estimator : estimator
            A fitted factor model, or a pipeline that ends in one.
        compound : bool, default=False
            Compound returns; they are added up otherwise, which suits latent factors of any
            scale.
        target_volatility : float or None, default=None
            Standard deviation a period that each factor is scaled to, so that factors of
            different scale can be compared; None leaves them.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        FactorReturnsDisplay
            The display, drawn. A line marks the last date of ``fit`` if later ones are known.
        """
        check_is_fitted(estimator)
        model = unwrap(estimator)
        model = unwrap(model[-1]) if hasattr(model, "steps") else model
        returns = getattr(model, "factor_returns_", None)
        if not isinstance(returns, pd.DataFrame):
            raise TypeError(
                "`estimator` must be a factor model with `factor_returns_`; got "
                f"{type(model).__name__}. Pass returns to `from_returns`."
            )
        fitted = getattr(model, "dates_", None)
        until = None
        if isinstance(fitted, pd.Index) and len(fitted) and fitted[-1] < returns.index[-1]:
            until = fitted[-1]
        display = cls(returns, fitted_until=until)
        return display.plot(ax=ax, compound=compound, target_volatility=target_volatility)

    @classmethod
    def from_returns(
        cls,
        factor_returns: ArrayLike,
        *,
        compound: bool = False,
        target_volatility: float | None = None,
        ax: Axes | None = None,
    ) -> FactorReturnsDisplay:
        """Draw factor returns that are there already.

        Parameters
        ----------
        factor_returns : array-like of shape (n_dates, n_factors)
            Returns a period in order of time.
        compound : bool, default=False
            Compound returns; they are added up otherwise.
        target_volatility : float or None, default=None
            Standard deviation a period that each factor is scaled to; None leaves them.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        FactorReturnsDisplay
            The display, drawn.
        """
        if isinstance(factor_returns, pd.Series):
            name = "factor" if factor_returns.name is None else factor_returns.name
            factor_returns = factor_returns.to_frame(name)
        values = returns_array(factor_returns, "factor_returns")
        values = values[:, None] if values.ndim == 1 else values
        if not isinstance(factor_returns, pd.DataFrame):
            columns = getattr(factor_returns, "columns", None)
            if columns is None:
                columns = [f"factor{k + 1}" for k in range(values.shape[1])]
            factor_returns = pd.DataFrame(values, columns=list(columns))
        frame = pd.DataFrame(values, factor_returns.index, factor_returns.columns)
        return cls(frame.sort_index()).plot(
            ax=ax, compound=compound, target_volatility=target_volatility
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        compound: bool = False,
        target_volatility: float | None = None,
    ) -> FactorReturnsDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        compound : bool, default=False
            Compound returns; they are added up otherwise.
        target_volatility : float or None, default=None
            Standard deviation a period that each factor is scaled to; None leaves them.

        Returns
        -------
        FactorReturnsDisplay
            The display itself.
        """
        if target_volatility is not None and not target_volatility > 0:
            raise ValueError(
                f"`target_volatility` must be None or positive; got {target_volatility!r}."
            )
        own_figure = ax is None
        self.ax_, self.figure_ = one_axes(ax, type(self).__name__, figsize=(7.6, 4.2))
        returns = self.factor_returns
        if target_volatility is not None:
            spread = returns.std()
            returns = returns * (target_volatility / spread.where(spread > 0, np.nan))
        # A date without a return stands still.
        filled = returns.fillna(0.0)
        self.cumulative_ = (1.0 + filled).cumprod() - 1.0 if compound else filled.cumsum()
        dates = plottable_dates(returns.index)
        self.lines_ = {}
        for k, name in enumerate(returns.columns):
            (self.lines_[str(name)],) = self.ax_.plot(
                dates,
                self.cumulative_[name],
                _STYLES[k // len(PALETTE) % len(_STYLES)],
                color=PALETTE[k % len(PALETTE)],
                linewidth=1.6,
                label=str(name),
            )
        self.ax_.axhline(0.0, color=INK, linewidth=0.8)
        if self.fitted_until is not None:
            place: Any = dates[returns.index.get_loc(self.fitted_until)]
            self.ax_.axvline(place, color=INK, linestyle=":", linewidth=1.4, label="end of fit")
        said = "compounded" if compound else "sum"
        scaled = ""
        if target_volatility is not None:
            scaled = f", scaled to {target_volatility:.1%} a period"
        self.ax_.set_ylabel(f"cumulative return ({said}{scaled})")
        self.ax_.set_xlabel("date" if isinstance(dates, pd.DatetimeIndex) else "period")
        tidy(self.ax_)
        self.legend_ = outside_legend(self.ax_, own_figure=own_figure)
        return self


def plottable_dates(index: pd.Index) -> pd.Index:
    """Return dates that matplotlib can place: periods at their end, other labels by number.

    Months written as numbers are dates too: as numbers they have gaps between the years.
    """
    readings = date_readings(index)
    if len(readings) != 1:
        return pd.RangeIndex(1, len(index) + 1)
    dates = readings[0]
    if isinstance(dates, pd.PeriodIndex):
        return dates.to_timestamp(how="end").normalize()
    return dates
