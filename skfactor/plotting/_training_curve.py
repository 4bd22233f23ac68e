"""Losses by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_is_fitted
from skfactor.plotting._style import ACCENT, PALETTE, one_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

CURVES = {
    "train_loss": ("training", "-", PALETTE[0]),
    "valid_loss": ("validation", "--", PALETTE[1]),
}


class TrainingCurveDisplay:
    """Training and validation loss by epoch, with the best epoch marked.

    Make one with :meth:`from_estimator` or :meth:`from_history`. Each member of an ensemble has
    thin lines of its own; the mark then is the median of their best epochs.

    Parameters
    ----------
    history : mapping of str to ndarray of shape (n_epochs,), or list of these
        ``"train_loss"`` and, where there was validation, ``"valid_loss"``; one for each
        member of an ensemble.
    kept_epochs : list of int, default=None
        Epoch whose weights were kept, of each member, counted from 1; 0 for the weights of the
        start. None marks the epochs of least loss.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : dict of str to matplotlib Line2D
        The curve of each loss drawn, of the first member.
    member_lines_ : list of dict of str to matplotlib Line2D
        The same of every member.
    best_epoch_ : int
        Epoch, counted from 1, whose weights the estimator kept; where only the history is known,
        that of the least validation loss, or of the least training loss where there was no
        validation. The median over members.
    best_epochs_ : list of int
        The same of every member.
    best_line_ : matplotlib Line2D
        The mark at that epoch.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfactor.plotting import TrainingCurveDisplay
    >>> history = {"train_loss": [1.0, 0.5, 0.3], "valid_loss": [1.1, 0.7, 0.8]}
    >>> display = TrainingCurveDisplay.from_history(history)
    >>> display.best_epoch_
    2
    >>> plt.close(display.figure_)
    """

    ax_: Axes
    figure_: Figure
    lines_: dict[str, Line2D]
    member_lines_: list[dict[str, Line2D]]
    best_epoch_: int
    best_epochs_: list[int]
    best_line_: Line2D

    def __init__(
        self,
        history: Mapping[str, FloatArray] | Sequence[Mapping[str, FloatArray]],
        *,
        kept_epochs: Sequence[int] | None = None,
    ) -> None:
        self.history = history
        self.kept_epochs = kept_epochs

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, scale: str = "linear", ax: Axes | None = None
    ) -> TrainingCurveDisplay:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with a ``history_``; or a fitted pipeline with one such step.
        scale : {"linear", "log"}, default="linear"
            Scale of the loss.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        TrainingCurveDisplay
            The display, drawn.
        """
        check_is_fitted(estimator)
        steps = (
            [step for _, step in estimator.steps]
            if isinstance(estimator, Pipeline)
            else [estimator]
        )
        trained = [step for step in steps if hasattr(step, "history_")]
        if len(trained) != 1:
            raise ValueError(
                f"`estimator` must have a `history_`, or be a pipeline with one step that has; "
                f"{len(trained)} found in {type(estimator).__name__}. Pass the step that was "
                "trained, for example AutoencoderReducer."
            )
        history = trained[0].history_
        histories = [history] if isinstance(history, Mapping) else list(history)
        if hasattr(trained[0], "best_epoch_"):
            kept = [int(trained[0].best_epoch_)]
        else:
            members = getattr(trained[0], "members_", [])
            kept = [int(member.best_epoch) for member in members if hasattr(member, "best_epoch")]
        checked = [_checked(losses) for losses in histories]
        return cls(
            checked[0] if isinstance(history, Mapping) else checked,
            kept_epochs=kept if len(kept) == len(histories) else None,
        ).plot(ax=ax, scale=scale)

    @classmethod
    def from_history(
        cls,
        history: Mapping[str, ArrayLike] | Sequence[Mapping[str, ArrayLike]],
        *,
        scale: str = "linear",
        ax: Axes | None = None,
    ) -> TrainingCurveDisplay:
        """Draw losses that are there already.

        Parameters
        ----------
        history : mapping of str to array of shape (n_epochs,), or list of these
            ``"train_loss"`` and, if there was validation, ``"valid_loss"``; one for each
            member of an ensemble.
        scale : {"linear", "log"}, default="linear"
            Scale of the loss.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.

        Returns
        -------
        TrainingCurveDisplay
            The display, drawn.
        """
        if isinstance(history, Mapping):
            return cls(_checked(history)).plot(ax=ax, scale=scale)
        if not len(history):
            raise ValueError("`history` must hold the losses of a member at least; got none.")
        return cls([_checked(member) for member in history]).plot(ax=ax, scale=scale)

    def plot(self, ax: Axes | None = None, *, scale: str = "linear") -> TrainingCurveDisplay:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        scale : {"linear", "log"}, default="linear"
            Scale of the loss.

        Returns
        -------
        TrainingCurveDisplay
            The display itself.
        """
        if scale not in ("linear", "log"):
            raise ValueError(f"`scale` must be 'linear' or 'log'; got {scale!r}.")
        self.ax_, self.figure_ = one_axes(ax, type(self).__name__)
        from matplotlib.ticker import MaxNLocator

        members = [self.history] if isinstance(self.history, Mapping) else list(self.history)
        alone = len(members) == 1
        self.member_lines_ = [
            self._curves(member, alone=alone, named=m == 0) for m, member in enumerate(members)
        ]
        self.lines_ = self.member_lines_[0]
        judge = "valid_loss" if all("valid_loss" in member for member in members) else "train_loss"
        if self.kept_epochs is None:
            self.best_epochs_ = [int(np.nanargmin(member[judge])) + 1 for member in members]
        else:
            self.best_epochs_ = list(self.kept_epochs)
        self.best_epoch_ = int(np.median(self.best_epochs_))
        # Epoch 0 is the start, of which there is no loss.
        losses = [
            m[judge][best - 1] if best else np.nan
            for m, best in zip(members, self.best_epochs_, strict=True)
        ]
        said = "best epoch" if self.kept_epochs is None else "epoch kept"
        said = said if alone else f"median {said} of {len(members)}"
        known = np.isfinite(losses)
        reached = f" ({CURVES[judge][0]} {np.mean(losses, where=known):.4g})" if any(known) else ""
        self.best_line_ = self.ax_.axvline(
            self.best_epoch_,
            color=ACCENT,
            linestyle=":",
            linewidth=1.4,
            label=f"{said}: {self.best_epoch_}{reached}",
        )
        if not alone:
            self.ax_.plot(
                self.best_epochs_,
                losses,
                "o",
                color=ACCENT,
                markersize=3.5,
            )
        self.ax_.set_yscale(scale)
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.ax_.set_xlabel("epoch")
        self.ax_.set_ylabel("loss" if scale == "linear" else "loss (log scale)")
        tidy(self.ax_)
        self.ax_.legend(frameon=False)
        return self

    def _curves(
        self, member: Mapping[str, FloatArray], *, alone: bool, named: bool
    ) -> dict[str, Line2D]:
        """Draw the losses of one member."""
        lines = {}
        for name, values in member.items():
            said, line, color = CURVES[name]
            (lines[name],) = self.ax_.plot(
                np.arange(1, len(values) + 1),
                values,
                line,
                color=color,
                linewidth=1.8 if alone else 1.0,
                alpha=1.0 if alone else 0.6,
                marker="o" if len(values) == 1 else None,
                label=said if named else None,
            )
        return lines


def _checked(history: Mapping[str, ArrayLike]) -> dict[str, FloatArray]:
    """Return the losses that there are, as arrays of one length."""
    losses = {name: np.asarray(history[name], dtype=float) for name in CURVES if name in history}
    if "train_loss" not in losses:
        raise ValueError(
            f"`history` must hold 'train_loss'; got {sorted(history)}. Pass an estimator's "
            "`history_`."
        )
    for name, values in losses.items():
        if values.ndim != 1 or not len(values) or len(values) != len(losses["train_loss"]):
            raise ValueError(
                "`history` must hold one value an epoch, equally many for each loss; "
                f"{name!r} has shape {values.shape}."
            )
    if np.isnan(losses["train_loss"]).all():
        raise ValueError("`history` must hold a training loss; 'train_loss' is NaN throughout.")
    # No validation is recorded by some as NaN throughout.
    return {name: v for name, v in losses.items() if not np.isnan(v).all()}
