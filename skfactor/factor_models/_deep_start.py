"""What sorting networks are taught before they train: betas found by least squares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skfactor._kernels._sections import section_fits, section_least_squares
from skfactor._nn._members import Training, train_members
from skfactor._nn._panel_batches import PanelArrays
from skfactor._typing import FloatArray, IntArray
from skfactor.factor_models._align import canonical_rotation
from skfactor.factor_models._beta_network import BetaNetwork
from skfactor.factor_models._sorting import long_short_weights
from skfactor.panel._panel import Panel

# The network of least squares whose betas are imitated: that of the conditional autoencoder.
_RIDGE = 1e-3
_TEACHER = {"hidden_layer_sizes": (32,), "batch_norm": "before", "dropout": 0.0, "ridge": _RIDGE}
_TEACHER_L1, _TEACHER_BATCH, _TEACHER_RATE = 2e-3, 12, 0.01
_TEACHER_EPOCHS, _TEACHER_PATIENCE = 100, 15
# With just as many factors as are asked for, two of three networks on a simulated panel lost one
# of its two; with one more, of which the best are kept, none did. On few dates one more is harder
# to estimate. So every other network has one more, and dates held out decide.
_SPARE = 1
_LEAST_MOMENT = 1e-20


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one network of least squares teaches.

    Parameters
    ----------
    targets : ndarray of shape (n_taught_rows, 2 n_deep + n_given)
        Deep characteristics, betas on the factors sorted by them, betas on the benchmark.
    loss : float
        Mean squared error of the fits so made, on the dates held out (on all dates if there
        are none), each row without its own return.
    seed : int
        Of the network, and of those that are taught.
    """

    targets: FloatArray
    loss: float
    seed: int


def lessons_of(
    arrays: PanelArrays,
    panel: Panel,
    given: FloatArray,
    training: Training,
    seeds: Sequence[int],
    rows: IntArray,
    **where: Any,
) -> tuple[list[Lesson], bool]:
    """Train networks of least squares, and turn their betas into lessons.

    Parameters
    ----------
    arrays : PanelArrays
        The panel in single precision.
    panel : Panel
        The same panel.
    given : ndarray of shape (n_dates, n_given)
        Benchmark factors.
    training : Training
        Of the networks that will be taught.
    seeds : sequence of int
        One a lesson.
    rows : ndarray of shape (n_taught_rows,)
        The rows of the training dates that are taught.
    **where : dict
        Device and number of processes.

    Returns
    -------
    lessons : list of Lesson
        Fewer than seeds if the user interrupted.
    interrupted : bool
        Whether that happened.
    """
    n_train, n_deep = training.n_train, training.network["n_deep"]
    scale = _root_mean_square(panel.returns[: int(panel.starts[n_train])])
    given_scale = np.array([_root_mean_square(column[:n_train]) for column in given.T])
    standardised = _standardised(arrays, scale, given_scale)
    lessons: list[Lesson] = []
    plans = [(n_deep + _SPARE, seeds[::2]), (n_deep, seeds[1::2])] if n_deep else [(0, seeds)]
    for n_latent, drawn in plans:
        if not drawn:
            continue
        teaching = _teaching(training, n_latent)
        teachers, interrupted = train_members(standardised, teaching, drawn, **where)
        beta_scale = np.concatenate([np.ones(n_latent), scale / given_scale])
        for teacher, seed in zip(teachers, drawn, strict=False):
            betas = BetaNetwork.from_state(teacher.state, beta_scale)(panel.X)
            targets, loss = lesson_from(betas, training, panel, given, rows)
            lessons.append(Lesson(targets, loss, seed))
        if interrupted:
            return lessons, True
    return lessons, False


def lesson_from(
    betas: FloatArray,
    training: Training,
    panel: Panel,
    given: FloatArray,
    rows: IntArray | None = None,
) -> tuple[FloatArray, float]:
    """Turn the betas of a network of least squares into targets.

    Assets sorted by a beta make a portfolio exposed to its factor. What the betas are with
    respect to these portfolios follows from the mean exposures; how far to trust them is
    measured on the dates held out.

    Parameters
    ----------
    betas : ndarray of shape (n_rows, n_latent + n_given)
        Betas on factors estimated by least squares, and on the benchmark.
    training : Training
        Which dates are held out, how many factors are kept and how they are weighted.
    panel : Panel
        Characteristics and returns.
    given : ndarray of shape (n_dates, n_given)
        Benchmark factors.
    rows : ndarray of shape (n_taught_rows,), default=None
        The rows that are taught; None for all of the training dates.

    Returns
    -------
    targets : ndarray of shape (n_taught_rows, 2 n_deep + n_given)
        As in a lesson.
    loss : float
        Likewise.
    """
    K, n_train = training.network["n_deep"], training.n_train
    cut = int(panel.starts[n_train])
    taught = slice(cut) if rows is None else rows
    latent, known = np.hsplit(betas, [betas.shape[1] - given.shape[1]])
    moment = latent[:cut].T @ latent[:cut] / cut
    if not K or np.trace(moment) <= _LEAST_MOMENT:  # no factor is asked for, or none was found
        left = _left(panel, known, given)
        nothing = np.zeros((cut, 2 * K))
        return np.hstack([nothing, known[:cut]])[taught], _loss(left[_judged(training, panel)])
    train = panel.between(0, n_train)
    left = _left(panel, known, given)
    factors, _ = section_least_squares(latent[:cut], left[:cut], train.starts, _RIDGE)
    # Least squares leave open how much of the benchmark is in a latent factor: take it out.
    spanned = np.linalg.lstsq(given[:n_train], factors, rcond=None)[0]
    known = known + latent @ spanned.T
    left = _left(panel, known, given)
    rotation = canonical_rotation(moment, factors - given[:n_train] @ spanned)
    latent = latent @ rotation[:, :K]
    weights = long_short_weights(latent, panel.starts, training.network["weighting"])
    exposures = weights[:cut].T @ latent[:cut] / n_train
    deep = latent @ np.linalg.pinv(exposures, rcond=1e-6)
    # Portfolios are exposed to the benchmark: with f for them, b for it, k for betas on it and B
    # for their exposures, r = k b + d (f - B b). Trust scales d in both places.
    exposed = weights[:cut].T @ known[:cut] / n_train
    shares, loss = _trust(deep, weights, exposed, left, panel, given, training)
    deep *= shares
    return np.hstack([latent[taught], deep[taught], (known - deep @ exposed)[taught]]), loss


def _trust(
    deep: FloatArray,
    weights: FloatArray,
    exposed: FloatArray,
    left: FloatArray,
    panel: Panel,
    given: FloatArray,
    training: Training,
) -> tuple[FloatArray, float]:
    """Return by how much of its betas each sorted factor explains returns that it has not seen.

    Parameters
    ----------
    deep, weights : ndarray of shape (n_rows, n_deep)
        Betas on the sorted factors, and what these hold.
    exposed : ndarray of shape (n_deep, n_given)
        Exposures of the sorted factors to the benchmark.
    left : ndarray of shape (n_rows,)
        Returns less what the benchmark explains of them.
    panel, given, training : Panel, ndarray, Training
        The panel, the benchmark and the dates that are held out.

    Returns
    -------
    shares : ndarray of shape (n_deep,)
        Between 0 and 1.
    loss : float
        The mean squared error that is left.
    """
    rows = _judged(training, panel)
    first = training.n_train if training.n_valid else 0
    judged = panel.between(first, panel.n_dates)
    earned = np.where(np.isnan(judged.returns), 0.0, judged.returns)[:, None] * weights[rows]
    factors = np.add.reduceat(earned, judged.starts[:-1], axis=0) - given[first:] @ exposed.T
    # Without the own return of the row, as anywhere where fits are judged.
    parts = deep[rows] * (factors[judged.date_codes] - earned)
    seen = ~np.isnan(left[rows])
    shares = np.linalg.lstsq(parts[seen], left[rows][seen], rcond=None)[0].clip(0.0, 1.0)
    return shares, _loss(left[rows] - parts @ shares)


def _judged(training: Training, panel: Panel) -> slice:
    """Return the rows of the dates held out; all rows, if there are none."""
    return slice(int(panel.starts[training.n_train]) if training.n_valid else 0, None)


def _left(panel: Panel, known: FloatArray, given: FloatArray) -> FloatArray:
    """Return what betas on the benchmark leave of returns."""
    left: FloatArray = panel.returns - section_fits(known, given, panel.starts)
    return left


def _loss(errors: FloatArray) -> float:
    seen = errors[~np.isnan(errors)]
    return float(seen @ seen) / max(len(seen), 1)


def _teaching(training: Training, n_latent: int) -> Training:
    """Return how a network of least squares is trained, on the same dates."""
    mine = training.network
    return Training(
        network={
            "n_features": mine["n_features"],
            "n_latent": n_latent,
            "n_given": mine["n_given"],
            "n_inputs": None,
            **_TEACHER,
        },
        l1=_TEACHER_L1,
        learning_rate=_TEACHER_RATE,
        max_epochs=min(training.max_epochs, _TEACHER_EPOCHS),
        batch_size=_TEACHER_BATCH,
        patience=_TEACHER_PATIENCE,
        n_train=training.n_train,
        n_valid=training.n_valid,
        order_seed=training.order_seed,
        verbose=training.verbose,
    )


def _standardised(arrays: PanelArrays, scale: float, given_scale: FloatArray) -> PanelArrays:
    given = arrays.given
    return replace(
        arrays,
        target=(arrays.target / scale).astype(np.float32),
        given=None if given is None else (given / given_scale).astype(np.float32),
    )


def _root_mean_square(values: FloatArray) -> float:
    mean = np.nanmean(values**2) if (~np.isnan(values)).any() else 0.0
    return float(np.sqrt(mean)) if mean > 0 else 1.0
