"""Which characteristics a factor model relies on, as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from skfactor._typing import ArrayLike
from skfactor._validation import listed
from skfactor.inspection import characteristic_importance
from skfactor.plotting._style import INK, NOISE_COLOR, PALETTE, one_axes, text_width, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure

_SAID = {
    "r2_lost": "total R² lost without it (percentage points)",
    "gradient": "mean absolute change of fits by a unit",
    "share": "share of importance",
}


class ImportanceDisplay:
    """Importance of characteristics, the most important on top.

    Make one with :meth:`from_estimator` or :meth:`from_importance`.

    Parameters
    ----------
    importance : pandas.DataFrame or Series
        As :func:`~skfactor.inspection.characteristic_importance` returns it, or one number a
        characteristic, such as ``importance_`` of
        :class:`~skfactor.factor_models.DeepCharacteristicFactorModel`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure of the axes.
    bars_ : matplotlib BarContainer
        The bars, from top to bottom.

    See Also
    --------
    skfactor.inspection.characteristic_importance : The numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from skfactor.plotting import ImportanceDisplay
    >>> importance = pd.DataFrame({"r2_lost": [0.04, 0.01]}, index=["size", "value"])
    >>> display = ImportanceDisplay.from_importance(importance)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['size', 'value']
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    figure_: Figure
    bars_: BarContainer

    def __init__(self, importance: pd.DataFrame | pd.Series) -> None:
        self.importance = importance

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        method: str = "zeroing",
        side: str = "both",
        dates: Any = None,
        assets: Any = None,
        max_characteristics: int = 20,
        ax: Axes | None = None,
    ) -> ImportanceDisplay:
        """Compute importance and draw it.

        Parameters
        ----------
        estimator : estimator
            A fitted factor model, or a pipeline that ends in one.
        X : array-like of shape (n_rows, n_features)
            Rows, best of dates that the model was not fitted on.
        y : array-like of shape (n_rows,)
            Excess returns, ``NaN`` where missing.
        method : {"zeroing", "gradient"}, default="zeroing"
            The measure.
        side : {"both", "beta", "factor"}, default="both"
            Where the characteristic changes.
        dates, assets : array-like of shape (n_rows,), default=None
            Of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
        max_characteristics : int, default=20
            The most bars.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        ImportanceDisplay
            The display, drawn.
        """
        importance = characteristic_importance(
            estimator, X, y, method=method, side=side, dates=dates, assets=assets
        )
        return cls(importance).plot(ax=ax, max_characteristics=max_characteristics)

    @classmethod
    def from_importance(
        cls,
        importance: pd.DataFrame | pd.Series,
        *,
        column: str | None = None,
        max_characteristics: int = 20,
        ax: Axes | None = None,
    ) -> ImportanceDisplay:
        """Draw importance that is there already.

        Parameters
        ----------
        importance : pandas.DataFrame or Series
            One row a characteristic.
        column : str or None, default=None
            The column to draw; None takes ``r2_lost``, ``gradient`` or the first.
        max_characteristics : int, default=20
            The most bars.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        ImportanceDisplay
            The display, drawn.
        """
        return cls(importance).plot(ax=ax, column=column, max_characteristics=max_characteristics)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        column: str | None = None,
        max_characteristics: int = 20,
    ) -> ImportanceDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        column : str or None, default=None
            The column to draw; None takes ``r2_lost``, ``gradient`` or the first.
        max_characteristics : int, default=20
            The most bars.

        Returns
        -------
        ImportanceDisplay
            The display itself.

        Raises
        ------
        TypeError
            If importance is neither a DataFrame nor a Series.
        ValueError
            For a ``column`` that is not there, and ``max_characteristics`` below 1.
        """
        table = self.importance
        if isinstance(table, pd.Series):
            table = table.to_frame("importance" if table.name is None else table.name)
        if not isinstance(table, pd.DataFrame):
            raise TypeError(
                "`importance` must be a pandas DataFrame or Series with a row a characteristic; "
                f"got {type(table).__name__}."
            )
        if max_characteristics < 1:
            raise ValueError(
                f"`max_characteristics` must be at least 1; got {max_characteristics!r}."
            )
        columns = list(table.columns)
        if column is None:
            column = next((c for c in ("r2_lost", "gradient") if c in columns), columns[0])
        elif column not in columns:
            raise ValueError(f"`column` must be one of {listed(columns)}; got {column!r}.")
        values = table[column].sort_values(ascending=False, kind="stable")
        shown = values.iloc[:max_characteristics]
        if column == "r2_lost":
            shown = 100.0 * shown
        labels = [str(name) for name in shown.index]
        width = 4.4 + min(text_width(labels, fontsize=9), 3.0)
        self.ax_, self.figure_ = one_axes(
            ax, type(self).__name__, figsize=(width, 1.1 + 0.26 * len(shown))
        )
        places = range(len(shown))
        self.bars_ = self.ax_.barh(
            places,
            shown.to_numpy(),
            height=0.7,
            color=[PALETTE[0] if value >= 0 else NOISE_COLOR for value in shown],
        )
        self.ax_.set_yticks(list(places), labels, fontsize=9)
        self.ax_.invert_yaxis()
        self.ax_.axvline(0.0, color=INK, linewidth=0.8)
        self.ax_.set_xlabel(_SAID.get(column, column))
        if len(values) > len(shown):
            self.ax_.set_title(f"the first {len(shown)} of {len(values)}", fontsize=9)
        tidy(self.ax_, grid="x")
        return self
