"""A trained beta network as plain arrays: it needs no torch to be used or loaded."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from skfactor._typing import FloatArray

# Rows that pass through the network at a time: their hidden units stay in the cache.
_CHUNK = 8_192
# As in the normalisation that was trained.
_EPSILON = 1e-5


@dataclass(frozen=True, eq=False)
class BetaNetwork:
    """Linear layers with rectifiers between them, in double precision.

    In single precision a product's last digits depend on how many rows it holds, so that a
    row alone and the same row among others would differ.

    Parameters
    ----------
    weights : tuple of ndarray of shape (n_in, n_out)
        Of each layer.
    biases : tuple of ndarray of shape (n_out,)
        Of each layer.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return the betas of rows.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            Characteristics.

        Returns
        -------
        ndarray of shape (n_rows, n_factors)
            In float64.
        """
        betas = np.empty((len(X), len(self.biases[-1])))
        for start in range(0, len(X), _CHUNK):
            values = X[start : start + _CHUNK].astype(np.float64, copy=False)
            for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
                values = values @ weight
                values += bias
                np.maximum(values, 0.0, out=values)
            betas[start : start + _CHUNK] = values @ self.weights[-1] + self.biases[-1]
        return betas

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray], scale: FloatArray) -> "BetaNetwork":
        """Fold a member's normalisations, as they are after training, into its weights.

        Parameters
        ----------
        state : mapping of str to ndarray
            Weights by name, with a leading axis of one member.
        scale : ndarray of shape (n_factors,)
            What each beta is multiplied by.

        Returns
        -------
        BetaNetwork
            The same function of the characteristics, but for the scale.
        """
        values = {name: value[0].astype(np.float64) for name, value in state.items()}
        weights, biases = [], []
        # What a normalisation after the rectifier leaves to the next layer.
        gain, shift = None, None
        for layer in itertools.count():
            if f"hidden.{layer}.linear.weight" not in values:
                break
            prefix = f"hidden.{layer}"
            weight = values[f"{prefix}.linear.weight"]
            bias = values.get(f"{prefix}.linear.bias", np.zeros((1, weight.shape[1])))[0]
            if gain is not None:
                weight, bias = gain[:, None] * weight, bias + shift @ weight
            gain, shift = None, None
            if f"{prefix}.norm.scale" in values:
                deviation = np.sqrt(values[f"{prefix}.norm.running_var"][0] + _EPSILON)
                factor = values[f"{prefix}.norm.scale"][0] / deviation
                offset = values[f"{prefix}.norm.shift"][0]
                offset = offset - values[f"{prefix}.norm.running_mean"][0] * factor
                if f"{prefix}.linear.bias" in values:  # after the rectifier
                    gain, shift = factor, offset
                else:
                    weight, bias = weight * factor, offset
            weights.append(weight)
            biases.append(bias)
        weight, bias = values["output.weight"], values["output.bias"][0]
        if gain is not None:
            weight, bias = gain[:, None] * weight, bias + shift @ weight
        weights.append(weight * scale)
        biases.append(bias * scale)
        return cls(tuple(weights), tuple(biases))


@dataclass(frozen=True, eq=False)
class Member:
    """One trained network of an ensemble.

    Parameters
    ----------
    network : BetaNetwork
        Characteristics to betas.
    factor_weights : ndarray of shape (n_inputs, n_latent) or None
        Portfolios to factor returns; None where those come from least squares.
    best_epoch : int
        The epoch whose weights these are, counted from 1.
    state : dict of str to ndarray
        The weights as they were trained, to go on from.
    """

    network: BetaNetwork
    factor_weights: FloatArray | None
    best_epoch: int
    state: dict[str, np.ndarray] = field(repr=False)
