"""What reducers keep of single paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor._validation import check_is_fitted, join
from skfactor.cluster._labels import as_frame
from skfactor.panel._index import show_date
from skfactor.plotting._factor_returns import plottable_dates
from skfactor.plotting._style import INK, PALETTE, finish_path_panels, grid_axes, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

COLORS = tuple(color for color in PALETTE if color != "#000000")
"""Colours of the reconstructions; black is the path itself."""

MOST_ROWS = 4
LONGEST_CODE = 2


class ReconstructionDisplay:
    r"""Paths of a few rows and what reducers make of them, one panel a row.

    Make one with :meth:`from_estimator`. A title says the row, its code where a reducer's is no
    longer than two values, and the :math:`R^2` of each reconstruction, in the order of the
    legend. All panels have one scale.

    Parameters
    ----------
    paths : DataFrame of shape (n_rows, n_days)
        The rows to draw; the columns are days, in order.
    reconstructions : mapping of str to ndarray of shape (n_rows, n_days)
        What each reducer makes of those rows.
    codes : ndarray of shape (n_rows, n_components) or None, default=None
        Codes to write into the titles.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The panels, one a row.
    ax_ : matplotlib Axes
        The first panel.
    figure_ : matplotlib Figure
        Figure of the panels.
    lines_ : list of dict of str to matplotlib Line2D
        The lines of each panel: ``"path"``, and the reconstructions by label.
    r2_ : DataFrame of shape (n_rows, n_reducers)
        What each reconstruction explains of each row; NaN for a row that is constant.
    legend_ : matplotlib Legend
        What the lines are.

    See Also
    --------
    ClusterPathsDisplay : The paths of whole clusters.
    skfactor.decomposition.ConvAutoencoderReducer : A reducer of paths.

    Notes
    -----
    For the values :math:`x_1, \ldots, x_w` of a row with mean :math:`\bar x`, and a
    reconstruction :math:`\hat x`,

    .. math:: R^2 = 1 - \frac{\sum_t (x_t - \hat x_t)^2}{\sum_t (x_t - \bar x)^2}.

    That compares with the flat line at the row's own mean. The score of a whole sample compares
    with the mean of each day, and is no average of these.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.decomposition import PCA
    >>> from skfactor.plotting import ReconstructionDisplay
    >>> paths = [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [1.0, 0.1, -1.0], [0.0, 0.1, 0.0]]
    >>> display = ReconstructionDisplay.from_estimator(PCA(1).fit(paths), paths, rows=[0, 1])
    >>> display.r2_.round(2)
       reconstruction
    0             1.0
    1             1.0
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    axes_: list[Axes]
    figure_: Figure
    lines_: list[dict[str, Line2D]]
    r2_: pd.DataFrame
    legend_: Legend

    def __init__(
        self,
        paths: pd.DataFrame,
        reconstructions: Mapping[str, FloatArray],
        *,
        codes: FloatArray | None = None,
    ) -> None:
        self.paths = paths
        self.reconstructions = reconstructions
        self.codes = codes

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: Any,
        rows: Sequence[Any] | None = None,
        *,
        ylabel: str = "path",
        n_columns: int = 4,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> ReconstructionDisplay:
        """Encode and decode some rows of `X` and draw them.

        Parameters
        ----------
        estimators : estimator or mapping of label to estimator
            A fitted reducer, or pipeline, with ``transform`` and ``inverse_transform``; or
            several, by what the legend is to call them.
        X : {array, DataFrame} of shape (n_samples, n_days)
            Paths as the reducers were fitted to; a frame whose columns are dates, also as text
            such as ``"2024-01-31"``, is drawn against them.
        rows : sequence, default=None
            Rows to draw: names in the index of `X`, or positions where the index does not hold
            whole numbers. By default the first four.
        ylabel : str, default="path"
            What the paths are, in words, for the axis.
        n_columns : int, default=4
            Panels a row.
        ax : matplotlib Axes or sequence of them, default=None
            One axes a row drawn; new ones by default.

        Returns
        -------
        ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If an estimator has no ``transform`` or no ``inverse_transform``.
        ValueError
            If `rows` are not rows of `X`, or a reducer gives back another number of columns.
        """
        reducers = _named(estimators)
        frame = as_frame(X)
        chosen = frame.iloc[_positions(rows, frame.index)]
        reconstructions, short = {}, None
        for label, reducer in reducers.items():
            # Reducers fitted without names warn of names, and those fitted with them of none.
            named = hasattr(X, "columns") and hasattr(reducer, "feature_names_in_")
            code = reducer.transform(chosen if named else chosen.to_numpy())
            back = np.asarray(reducer.inverse_transform(code), dtype=np.float64)
            if back.shape != chosen.shape:
                raise ValueError(
                    "`estimators` must give back as many rows and columns as X has; "
                    f"{type(reducer).__name__} made {back.shape} of {chosen.shape}. Pass the "
                    "reducer that was fitted to X."
                )
            reconstructions[label] = back
            values = np.asarray(code)
            if short is None and values.ndim == 2 and values.shape[1] <= LONGEST_CODE:
                short = values
        display = cls(chosen, reconstructions, codes=short)
        return display.plot(ax=ax, ylabel=ylabel, n_columns=n_columns)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        ylabel: str = "path",
        n_columns: int = 4,
    ) -> ReconstructionDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            One axes a row drawn; new ones by default.
        ylabel : str, default="path"
            What the paths are, in words, for the axis.
        n_columns : int, default=4
            Panels a row.

        Returns
        -------
        ReconstructionDisplay
            The display itself.
        """
        own_figure = ax is None
        values = self.paths.to_numpy()
        self.r2_ = pd.DataFrame(
            {label: row_r2(values, made) for label, made in self.reconstructions.items()},
            index=self.paths.index,
        )
        self.axes_, self.figure_ = grid_axes(
            ax, type(self).__name__, len(values), n_columns=n_columns, panel_size=(3.2, 3.0)
        )
        self.ax_ = self.axes_[0]
        places = plottable_dates(self.paths.columns)
        self.lines_ = []
        for i, panel in enumerate(self.axes_):
            self.lines_.append(self._panel(panel, i, places))
            panel.set_title(self._title(i), fontsize=10)
        finish_path_panels(
            self.axes_, places, ylabel=ylabel, n_columns=n_columns, own_figure=own_figure
        )
        handles = list(self.lines_[0].values())
        if own_figure:
            self.legend_ = self.figure_.legend(
                handles=handles,
                loc="outside lower center",
                ncols=make_room(self.figure_, list(self.lines_[0]), fontsize=8),
                frameon=False,
                fontsize=8,
            )
        else:
            self.legend_ = self.ax_.legend(handles=handles, fontsize=7, framealpha=0.85)
        return self

    def _panel(self, ax: Axes, position: int, places: pd.Index) -> dict[str, Line2D]:
        drawn = {"path": self.paths.to_numpy()} | dict(self.reconstructions)
        lines = {}
        for k, (label, values) in enumerate(drawn.items()):
            (lines[label],) = ax.plot(
                places,
                values[position],
                color=COLORS[(k - 1) % len(COLORS)] if k else INK,
                linewidth=1.5 if k else 1.0,
                marker="o" if len(places) == 1 else None,
                label=label,
            )
        return lines

    def _title(self, position: int) -> str:
        name = self.paths.index[position]
        said = ", ".join(map(show_date, name)) if isinstance(name, tuple) else show_date(name)
        if isinstance(self.paths.index, pd.RangeIndex) or pd.api.types.is_integer(name):
            said = f"row {said}"
        if self.codes is not None:
            code = zip(self.codes[position], decimals(self.codes), strict=True)
            said += f", code ({', '.join(f'{value:z.{places}f}' for value, places in code)})"
        shares = ["–" if np.isnan(r2) else f"{r2:z.2f}" for r2 in self.r2_.iloc[position]]
        return "\n".join(wrapped([said, f"R² {', '.join(shares)}"], width=32))


def make_room(figure: Figure, labels: Sequence[str], *, fontsize: float) -> int:
    """Widen and lengthen a figure for a legend below it, and return the columns that fit."""
    from matplotlib.textpath import TextPath

    width, height = figure.get_size_inches()
    letters = max(TextPath((0, 0), label, size=fontsize).get_extents().x1 for label in labels)
    # Beside each text come a line and gaps of about 5 letters' height.
    column = (letters + 5 * fontsize) / 72
    width = max(width, column)
    n_lines = -(-len(labels) // int(width // column))
    figure.set_size_inches(width, height + 1.5 * fontsize / 72 * (n_lines - 1))
    return -(-len(labels) // n_lines)


def decimals(codes: FloatArray) -> IntArray:
    """Return how many decimals of each column show two digits of its spread, one at least."""
    largest = np.abs(codes).max()
    spread = np.ptp(codes, axis=0)
    # What hardly varies, as all columns of one row, is written like the largest value.
    spread = np.where(spread > 1e-3 * largest, spread, largest)
    places = 1 - np.floor(np.log10(np.where(spread > 0, spread, 1.0)))
    return np.maximum(places, 1).astype(np.intp)


def row_r2(values: FloatArray, reconstructed: FloatArray) -> FloatArray:
    """Return the share of each row's variation about its own mean that is explained."""
    error = np.square(values - reconstructed).sum(axis=1)
    total = np.square(values - values.mean(axis=1, keepdims=True)).sum(axis=1)
    out = np.full(len(values), np.nan)
    varies = np.ptp(values, axis=1) > 0.0
    out[varies] = 1.0 - error[varies] / total[varies]
    return out


def _named(estimators: Any) -> dict[str, Any]:
    """Return fitted reducers by label, or say what is wrong with them."""
    if not isinstance(estimators, Mapping):
        estimators = {"reconstruction": estimators}
    reducers = {str(label): estimator for label, estimator in estimators.items()}
    if not reducers:
        raise ValueError("`estimators` must hold a fitted reducer at least; got none.")
    if "path" in reducers or len(reducers) < len(estimators):
        raise ValueError(
            "`estimators` must have labels that differ from each other as text, and from 'path', "
            f"which is the row itself; got {list(estimators)}."
        )
    for estimator in reducers.values():
        absent = [name for name in ("transform", "inverse_transform") if not _has(estimator, name)]
        if absent:
            raise TypeError(
                "`estimators` must have `transform` and `inverse_transform`; "
                f"{type(estimator).__name__} has no `{absent[0]}`. Pass a fitted reducer such as "
                "PCA or ConvAutoencoderReducer."
            )
        check_is_fitted(estimator)
    return reducers


def _has(estimator: Any, method: str) -> bool:
    return callable(getattr(estimator, method, None))


def _positions(rows: Sequence[Any] | None, index: pd.Index) -> IntArray:
    """Return where `rows` stand in `index`: by name, or by number where names are no numbers."""
    if rows is None:
        return np.arange(min(MOST_ROWS, len(index)), dtype=np.intp)
    asked = [rows] if isinstance(rows, str) else list(rows)
    if not asked:
        raise ValueError("`rows` must name at least one row of X; got none.")
    counts = not pd.api.types.is_integer_dtype(index.dtype)
    found = [_position(row, index, counts) for row in asked]
    unknown = [row for row, place in zip(asked, found, strict=True) if place is None]
    if unknown:
        numbers = f" or numbers from 0 to {len(index) - 1}" if counts else ""
        raise ValueError(
            f"`rows` must be names in the index of X{numbers}; got {join(unknown)}. "
            f"X has {join(index)}."
        )
    return np.array(found, dtype=np.intp)


def _position(row: Any, index: pd.Index, counts: bool) -> int | None:
    try:
        place = index.get_loc(row)
    except (KeyError, TypeError, ValueError, pd.errors.InvalidIndexError):
        place = None
    if isinstance(place, int):
        return place
    if place is not None:
        raise ValueError(
            f"`rows` must each name one row of X; {row!r} names several. Pass positions."
            if counts
            else f"`rows` must each name one row of X; {row!r} names several. Drop all but one."
        )
    if counts and pd.api.types.is_integer(row) and 0 <= row < len(index):
        return int(row)
    return None
