"""Choosing the number of clusters: inertia, and what is better evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import silhouette_score
from sklearn.pipeline import Pipeline

from skfactor._libraries import is_polars
from skfactor.cluster._choice import ClusterChoice, elbow_of
from skfactor.plotting._style import ACCENT, NOISE_COLOR, PALETTE, grid_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "inertia": "inertia\n(sum of squared distances)",
    "lift": "lift over no clusters",
    "stability": "stability\n(ARI of subsamples)",
}
"""Names of the axes that need more than the name of the column."""


class ElbowDisplay:
    """Inertia by number of clusters with its knee, and further criteria beside it.

    Make one with :meth:`from_choice`, :meth:`from_estimator` or :meth:`from_table`. Inertia
    falls with every cluster added, clusters or none, so its knee is weak evidence; a score's
    lift over a reference without clusters, and stability, are better.

    Parameters
    ----------
    table : DataFrame
        One row a number of clusters, sorted: ``n_clusters`` and at least one of ``inertia``,
        a score (with ``null_mean``, its mean on data without clusters), ``lift``,
        ``stability``. One cluster has an inertia, from which the knee is counted where it is
        there, and nothing else.
    score : str, default="silhouette"
        The column that holds the score.
    elbow : int or None, default=None
        Number of clusters to mark on the inertia; by default the knee of the curve.
    chosen : int or None, default=None
        Number of clusters to mark on every other panel.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The panels.
    ax_ : matplotlib Axes
        The first panel.
    figure_ : matplotlib Figure
        Figure of the panels.
    lines_ : dict of str to matplotlib Line2D
        The curve of each column drawn.
    knee_ : int or None
        Number of clusters marked on the inertia; None where it has no knee.

    See Also
    --------
    skfactor.cluster.choose_n_clusters : Makes the evidence.
    SilhouetteDisplay : The silhouettes behind one number.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfactor.plotting import ElbowDisplay
    >>> table = {"n_clusters": [2, 3, 4, 5], "inertia": [100.0, 40.0, 35.0, 31.0]}
    >>> display = ElbowDisplay.from_table(table)
    >>> display.knee_
    3
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    axes_: list[Axes]
    figure_: Figure
    lines_: dict[str, Any]
    knee_: int | None

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        score: str = "silhouette",
        elbow: int | None = None,
        chosen: int | None = None,
    ) -> None:
        self.table = table
        self.score = score
        self.elbow = elbow
        self.chosen = chosen

    @classmethod
    def from_choice(
        cls,
        choice: ClusterChoice,
        *,
        panels: Sequence[str] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> ElbowDisplay:
        """Draw the evidence behind a choice of the number of clusters.

        Parameters
        ----------
        choice : ClusterChoice
            What :func:`skfactor.cluster.choose_n_clusters` returned.
        panels : sequence of str, default=None
            Columns to draw; all by default.
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default.

        Returns
        -------
        ElbowDisplay
            The display, drawn.
        """
        table = choice.table.dropna(axis=1, how="all")
        if "inertia" in table and choice.total_inertia is not None:
            # The elbow was sought on the curve that begins with one cluster.
            one = pd.DataFrame({"n_clusters": [1], "inertia": [choice.total_inertia]})
            table = pd.concat([one, table], ignore_index=True)
        # 1 stands for "no clusters", which is no number that was tried.
        chosen = choice.n_clusters if choice.n_clusters > 1 else None
        display = cls(table, score=choice.score, elbow=choice.elbow, chosen=chosen)
        return display.plot(ax=ax, panels=panels)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_clusters: Iterable[int] = (2, 3, 4, 5, 6, 7, 8, 9, 10),
        panels: Sequence[str] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> ElbowDisplay:
        """Fit clones with several numbers of clusters and draw inertia and silhouette.

        Parameters
        ----------
        estimator : estimator
            A clusterer with ``n_clusters`` and ``inertia_`` such as KMeans, or a pipeline that
            ends in one. The steps before it are cloned and fitted once.
        X : {array, DataFrame} of shape (n_rows, n_features)
            Rows to fit.
        n_clusters : iterable of int, default=(2, 3, 4, 5, 6, 7, 8, 9, 10)
            Numbers of clusters to try. The inertia of one cluster is always drawn, so that the
            knee is that of :func:`skfactor.cluster.choose_n_clusters`.
        panels : sequence of str, default=None
            Columns to draw; all by default.
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default.

        Returns
        -------
        ElbowDisplay
            The display, drawn. Silhouettes are measured where the clusterer sees the rows.
        """
        clusterer = estimator
        if isinstance(estimator, Pipeline):
            clusterer = estimator[-1]
            if len(estimator) > 1:
                X = clone(estimator[:-1]).fit_transform(X)
        if "n_clusters" not in clusterer.get_params():
            raise ValueError(
                "`estimator` must be, or end in, a clusterer with `n_clusters` and `inertia_`; got "
                f"{type(clusterer).__name__}. Use KMeans or MiniBatchKMeans, or draw what "
                "choose_n_clusters returns by `from_choice`."
            )
        rows = []
        for k in sorted({1, *n_clusters}):
            fitted = clone(clusterer).set_params(n_clusters=k).fit(X)
            if not hasattr(fitted, "inertia_"):
                raise ValueError(
                    f"`estimator` must have `inertia_` once fitted; got {type(fitted).__name__}. "
                    "Use KMeans or MiniBatchKMeans, or pass a table to `from_table`."
                )
            found = len(np.unique(fitted.labels_))
            silhouette = silhouette_score(X, fitted.labels_) if found > 1 else np.nan
            rows.append({"n_clusters": k, "inertia": fitted.inertia_, "silhouette": silhouette})
        return cls.from_table(pd.DataFrame(rows), panels=panels, ax=ax)

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        score: str = "silhouette",
        panels: Sequence[str] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> ElbowDisplay:
        """Draw a table of criteria by number of clusters.

        Parameters
        ----------
        table : DataFrame or mapping
            One row a number of clusters, with the columns that :class:`ElbowDisplay` lists;
            others are left aside. ``n_clusters`` may be the index.
        score : str, default="silhouette"
            The column that holds the score, to which ``null_mean`` belongs.
        panels : sequence of str, default=None
            Columns to draw; all there are by default.
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default.

        Returns
        -------
        ElbowDisplay
            The display, drawn.
        """
        if is_polars(table):
            table = {name: table[name].to_numpy() for name in table.columns}
        frame = pd.DataFrame(table)
        if frame.index.name == "n_clusters" and "n_clusters" not in frame.columns:
            frame = frame.reset_index()
        if "n_clusters" not in frame.columns:
            raise ValueError(f"`table` must have a column 'n_clusters'; got {list(frame.columns)}.")
        display = cls(frame.sort_values("n_clusters", ignore_index=True), score=score)
        return display.plot(ax=ax, panels=panels)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        panels: Sequence[str] | None = None,
    ) -> ElbowDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            One axes a panel; new ones by default. With a single one and no `panels`, the
            first criterion alone is drawn.
        panels : sequence of str, default=None
            Columns to draw; all there are by default.

        Returns
        -------
        ElbowDisplay
            The display itself.
        """
        known = ("inertia", self.score, "lift", "stability")
        there = [name for name in known if name in self.table.columns]
        if panels is None:
            panels = there
            if ax is not None:
                panels = there[: np.size(np.asarray(ax, dtype=object))]
        absent = [name for name in panels if name not in there]
        if absent or not panels:
            raise ValueError(
                f"`panels` must be among the criteria in the table, {there}; got {list(panels)}. "
                f"Known criteria are {list(known)}."
            )
        self.axes_, self.figure_ = grid_axes(
            ax, type(self).__name__, len(panels), n_columns=2, panel_size=(4.8, 3.4)
        )
        self.ax_ = self.axes_[0]
        self.lines_ = {}
        self.knee_ = None
        for panel, name in zip(self.axes_, panels, strict=True):
            self._panel(panel, name)
        return self

    def _panel(self, ax: Axes, name: str) -> None:
        table = self.table if name == "inertia" else self.table[self.table["n_clusters"] > 1]
        k = table["n_clusters"].to_numpy()
        values = table[name].to_numpy(dtype=float)
        chosen = None
        (self.lines_[name],) = ax.plot(
            k, values, marker="o", color=PALETTE[0], label="data" if name == self.score else name
        )
        if name == "inertia":
            self.knee_ = elbow_of(k, values) if self.elbow is None else self.elbow
            if self.knee_ is not None:
                ax.axvline(
                    self.knee_,
                    color=ACCENT,
                    linestyle="--",
                    linewidth=1.4,
                    label=f"knee at {self.knee_}",
                )
                ax.legend(frameon=False)
            ax.set_ylim(bottom=0.0)
        elif self.chosen is not None:
            chosen = ax.axvline(
                self.chosen,
                color=ACCENT,
                linestyle=":",
                linewidth=1.4,
                label=f"chosen: {self.chosen}",
            )
        if name == self.score and "null_mean" in self.table.columns:
            null = table["null_mean"].to_numpy(dtype=float)
            (self.lines_["null_mean"],) = ax.plot(
                k, null, marker="s", linestyle=":", color="#666666", label="no clusters (reference)"
            )
        if name == self.score and len(ax.lines) > 1:
            low, high = ax.get_ylim()
            room = 0.18 * len(ax.lines)
            ax.set_ylim(low, high + room * (high - low))
            if chosen is not None:
                chosen.set_ydata([0.0, 1.0 / (1.0 + room)])  # not through the legend
            ax.legend(frameon=False, loc="upper left")
        if name == "lift":
            ax.axhline(0.0, color=NOISE_COLOR, linewidth=1.0)
        if name == "stability":
            ax.set_ylim(min(0.0, float(np.nanmin(values)) - 0.05), 1.02)
        ax.set_xticks(k if len(k) <= 15 else k[:: -(-len(k) // 15)])
        ax.set_xlabel("number of clusters")
        ax.set_ylabel(AXES.get(name, name.replace("_", " ")))
        tidy(ax)
