"""Training of a conditional autoencoder: from a panel to the arrays a fitted model keeps."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skfactor._nn._arrays import to_single
from skfactor._nn._members import Training, train_members
from skfactor._nn._panel_batches import PanelArrays
from skfactor._typing import FloatArray
from skfactor._validation import draw_seed
from skfactor.factor_models._beta_network import BetaNetwork, Member
from skfactor.factor_models._factor_sides import FactorInputs
from skfactor.panel._panel import Panel


@dataclass(frozen=True, eq=False)
class FittedMembers:
    """What training leaves.

    Parameters
    ----------
    members : list of Member
        Empty if the user interrupted before the first epoch ended.
    history : list of dict of str to ndarray of shape (n_epochs,)
        Losses of each member.
    n_parameters : int
        Trained weights of one member.
    interrupted : bool
        Whether the user stopped the training.
    """

    members: list[Member]
    history: list[dict[str, FloatArray]]
    n_parameters: int
    interrupted: bool


def fit_members(
    model: Any,
    hidden: tuple[int, ...],
    panel: Panel,
    source: Panel,
    inputs: FactorInputs | None,
    observed: FloatArray,
) -> FittedMembers:
    """Train the members of a model.

    Parameters
    ----------
    model : ConditionalAutoencoderFactorModel
        For its parameters.
    hidden : tuple of int
        Units of the hidden layers.
    panel : Panel
        Characteristics, and the returns that are explained.
    source : Panel
        The same rows with the returns that make the factors.
    inputs : FactorInputs or None
        Portfolios that factors are linear in; None for least squares.
    observed : ndarray of shape (n_dates, n_observed)
        Observed factors.

    Returns
    -------
    FittedMembers
        In the units of the panel.
    """
    n_valid = _held_out(panel.n_dates, model.validation_fraction, model.horizon)
    n_train = panel.n_dates - n_valid - (model.horizon if n_valid else 0)
    # Units of the training dates, so that no parameter depends on those of the data.
    scale = _root_mean_square(panel.returns[: int(panel.starts[n_train])])
    observed_scale = np.array([_root_mean_square(column[:n_train]) for column in observed.T])
    # Slopes of collinear characteristics are many times as volatile as the market beside them,
    # and would drown it if all portfolios had one unit.
    input_scale = np.empty(0)
    if inputs is not None:
        input_scale = np.array([_root_mean_square(column[:n_train]) for column in inputs.values.T])

    target, seen = _standardised(panel.returns, scale)
    realised, realised_seen = None, None
    if source is not panel:
        realised, realised_seen = _standardised(source.returns, scale)
    arrays = PanelArrays(
        X=to_single(panel.X, getattr(model, "feature_names_in_", None)),
        target=target,
        observed=seen,
        starts=panel.starts,
        returns=realised,
        returns_observed=realised_seen,
        inputs=None if inputs is None else (inputs.values / input_scale).astype(np.float32),
        given=(observed / observed_scale).astype(np.float32) if observed.shape[1] else None,
    )
    rng = np.random.default_rng(draw_seed(model.random_state))
    order_seed, *seeds = rng.integers(2**31 - 1, size=1 + model.n_members).tolist()
    training = Training(
        network={
            "n_features": panel.X.shape[1],
            "hidden_layer_sizes": hidden,
            "n_latent": model.n_factors,
            "n_given": observed.shape[1],
            "n_inputs": None if inputs is None else inputs.values.shape[1],
            "batch_norm": model.batch_norm,
            "dropout": model.dropout,
            "ridge": model.ridge,
        },
        l1=model.l1,
        learning_rate=model.learning_rate,
        max_epochs=model.max_epochs,
        batch_size=model.batch_size,
        patience=model.patience,
        n_train=n_train,
        n_valid=n_valid,
        order_seed=order_seed,
        verbose=int(model.verbose),
    )
    trained, interrupted = train_members(
        arrays,
        training,
        seeds,
        device=model.device,
        n_jobs=model.n_jobs,
        start=_first_weights(model),
        estimator=model,
    )
    # The network fits standardised returns with standardised portfolios and factors.
    beta_scale = np.concatenate([np.ones(model.n_factors), scale / observed_scale])
    members = []
    for member in trained:
        weights = member.state.get("factors.weight")
        members.append(
            Member(
                network=BetaNetwork.from_state(member.state, beta_scale),
                factor_weights=None
                if weights is None
                else weights[0].astype(np.float64) * (scale / input_scale)[:, None],
                best_epoch=member.best_epoch,
                state=member.state,
            )
        )
    history = [member.history for member in trained]
    return FittedMembers(members, history, trained[0].n_parameters if trained else 0, interrupted)


def _held_out(n_dates: int, fraction: float, horizon: int) -> int:
    """Return how many dates are held out, while one is left to learn from."""
    return max(min(int(np.ceil(fraction * n_dates)), n_dates - 1 - horizon), 0)


def _first_weights(model: Any) -> list[dict[str, np.ndarray] | None]:
    """Return the weights that members start from, none where they are drawn."""
    if not model.warm_start or not hasattr(model, "members_"):
        return []
    known = [member.state for member in model.members_][: model.n_members]
    return [*known, *[None] * (model.n_members - len(known))]


def _root_mean_square(values: FloatArray) -> float:
    """Return the scale of values, missing ones left out; 1 if they are all 0."""
    seen = values[~np.isnan(values)]
    root = float(np.sqrt(np.mean(seen**2))) if seen.size else 0.0
    return root if root > 0 else 1.0


def _standardised(returns: FloatArray, scale: float) -> tuple[FloatArray, FloatArray | None]:
    """Return returns divided by their scale, 0 where missing, and where they are observed."""
    missing = np.isnan(returns)
    values = (np.where(missing, 0.0, returns) / scale).astype(np.float32)
    return values, (~missing).astype(np.float32) if missing.any() else None
