"""A trained sorting network as plain arrays: holdings, betas and gradients without torch."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import rankdata

from skfactor._typing import FloatArray, IntArray

# Rows that pass through a network at a time: their hidden units stay in the cache.
_CHUNK = 8_192
# Rows of whole dates, at least, that are sorted into portfolios at a time.
_SORTED = 65_536
# The softmax ranks of Feng, He, Polson and Xu: a leg fades out 0.8 standard deviations from the
# mean. The largest exponent of a date is not below 0, so a weight of e^-40 beside it is none.
_STEEPNESS, _SLOPE, _NOTHING = 50.0, 5.0, 40.0
_LEAST_VARIANCE = 1e-12
# Deviations of assets that are alike, seen from their mean.
_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Linear layers with an activation between them, in double precision.

    Parameters
    ----------
    weights : tuple of ndarray of shape (n_in, n_out)
        Of each layer.
    biases : tuple of ndarray of shape (n_out,)
        Of each layer.
    activation : {"tanh", "relu"}
        What stands between them.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]
    activation: str

    @classmethod
    def from_state(
        cls, state: Mapping[str, np.ndarray], name: str, activation: str
    ) -> "Perceptron | None":
        """Take one network out of a member's weights; None if the member has none of the name."""
        n_layers = sum(key.startswith(f"{name}.") and key.endswith(".weight") for key in state)
        if not n_layers:
            return None
        layers = [f"{name}.layers.{layer}" for layer in range(n_layers)]
        return cls(
            tuple(state[f"{layer}.weight"][0].astype(np.float64) for layer in layers),
            tuple(state[f"{layer}.bias"][0, 0].astype(np.float64) for layer in layers),
            activation,
        )

    def __call__(self, X: FloatArray) -> FloatArray:
        """Return the outputs of rows, of shape (n_rows, n_out)."""
        out = np.empty((len(X), len(self.biases[-1])))
        for start in range(0, len(X), _CHUNK):
            hidden = self._hidden(X[start : start + _CHUNK])
            out[start : start + _CHUNK] = hidden[-1] @ self.weights[-1] + self.biases[-1]
        return out

    def gradients(self, X: FloatArray) -> FloatArray:
        """Return the derivatives of outputs by inputs, of shape (n_rows, n_out, n_in)."""
        hidden = self._hidden(X)
        back = np.broadcast_to(self.weights[-1].T, (len(X), *self.weights[-1].T.shape))
        for weight, values in zip(self.weights[-2::-1], hidden[:0:-1], strict=True):
            slope = 1.0 - values**2 if self.activation == "tanh" else (values > 0).astype(float)
            back = (back * slope[:, None, :]) @ weight.T
        return back

    def mean_gradients(self, X: FloatArray) -> FloatArray:
        """Return the mean over rows and outputs of absolute derivatives, of shape (n_in,)."""
        total = np.zeros(X.shape[1])
        step = max(_CHUNK // len(self.biases[-1]), 1)
        for start in range(0, len(X), step):
            total += np.abs(self.gradients(X[start : start + step])).sum(axis=(0, 1))
        return total / (len(X) * len(self.biases[-1]))

    def _hidden(self, X: FloatArray) -> list[FloatArray]:
        """Return the inputs of each layer."""
        values: list[FloatArray] = [X.astype(np.float64, copy=False)]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            linear = values[-1] @ weight + bias
            if self.activation == "tanh":
                values.append(np.tanh(linear, out=linear))
            else:
                values.append(np.maximum(linear, 0.0, out=linear))
        return values


@dataclass(frozen=True, eq=False)
class SortingMember:
    """One trained member.

    Parameters
    ----------
    sorting : Perceptron or None
        Characteristics to deep characteristics, by which assets are sorted; None without deep
        factors.
    deep_betas, given_betas : Perceptron or None
        Characteristics to betas on the deep and on the benchmark factors.
    weighting : str
        How deep characteristics turn into weights.
    best_epoch : int
        The epoch whose weights these are, counted from 1; 0 if training did not better those
        that it started from.
    state : dict of str to ndarray
        The weights as they were trained.
    """

    sorting: Perceptron | None
    deep_betas: Perceptron | None
    given_betas: Perceptron | None
    weighting: str
    best_epoch: int
    state: dict[str, np.ndarray] = field(repr=False)

    @classmethod
    def from_state(
        cls, state: dict[str, np.ndarray], activation: str, weighting: str, best_epoch: int
    ) -> "SortingMember":
        """Take the networks out of a member's weights."""
        sorting, deep, given = (
            Perceptron.from_state(state, name, activation)
            for name in ("sorting", "deep_betas", "given_betas")
        )
        return cls(sorting, deep, given, weighting, best_epoch, state)

    def betas(self, X: FloatArray) -> FloatArray:
        """Return betas, of shape (n_rows, n_factors), those on deep factors first."""
        networks = [net for net in (self.deep_betas, self.given_betas) if net is not None]
        return np.hstack([net(X) for net in networks])

    def weights(self, X: FloatArray, starts: IntArray) -> FloatArray:
        """Return the holdings of each deep factor, of shape (n_rows, n_deep)."""
        if self.sorting is None:
            return np.empty((len(X), 0))
        return long_short_weights(self.sorting(X), starts, self.weighting)


def long_short_weights(values: FloatArray, starts: IntArray, weighting: str) -> FloatArray:
    """Turn deep characteristics into weights, long where they are high.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_deep)
        Deep characteristics, rows sorted by date.
    starts : ndarray of shape (n_dates + 1,)
        Where each date begins.
    weighting : {"softmax", "rank", "zscore"}
        How.

    Returns
    -------
    ndarray of shape (n_rows, n_deep)
        On each date what is held long sums to one, and what is held short; zeros where assets
        are alike.
    """
    weights = np.empty(values.shape)
    first = 0
    while first < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[first] + _SORTED))
        last = min(max(last, first + 1), len(starts) - 1)
        rows = slice(int(starts[first]), int(starts[last]))
        within = starts[first : last + 1] - starts[first]
        weights[rows] = _weights_of_dates(values[rows], within, weighting)
        first = last
    return weights


def _weights_of_dates(values: FloatArray, starts: IntArray, weighting: str) -> FloatArray:
    """Return the weights of a few dates."""
    counts = np.diff(starts)

    def total(rows: FloatArray) -> FloatArray:
        return np.add.reduceat(rows, starts[:-1], axis=0)

    def each(dates: FloatArray) -> FloatArray:
        return np.repeat(dates, counts, axis=0)

    centred = values - each(total(values) / counts[:, None])
    centred[np.abs(centred) <= _ROUNDING * np.abs(values)] = 0.0
    if weighting == "rank":
        for start, stop in itertools.pairwise(starts):
            ranks = rankdata(values[start:stop], axis=0)
            centred[start:stop] = ranks - (stop - start + 1) / 2
    if weighting != "softmax":
        up, down = np.maximum(centred, 0.0), np.maximum(-centred, 0.0)
    else:
        variance = total(centred**2) / counts[:, None]
        steep = _SLOPE * centred / each(np.sqrt(variance + _LEAST_VARIANCE))
        up, down = _softmax_leg(steep), _softmax_leg(-steep)
    return _share(up, each(total(up))) - _share(down, each(total(down)))


def _softmax_leg(steep: FloatArray) -> FloatArray:
    flat = np.log(1 + _NOTHING / _STEEPNESS)
    exponent = _STEEPNESS * (1 - np.exp(np.minimum(-steep, flat)))
    leg: FloatArray = np.maximum(np.exp(exponent) - np.exp(-_NOTHING), 0.0)
    return leg


def _share(leg: FloatArray, held: FloatArray) -> FloatArray:
    return np.divide(leg, held, out=np.zeros_like(leg), where=held > 0)
