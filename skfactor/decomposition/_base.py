"""What the reducers share: they train a net on rows, then encode and decode with it."""

from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags

from skfactor._nn._arrays import to_single
from skfactor._nn._autoencoder import ACTIVATIONS
from skfactor._nn._batches import RowBatches, split_rows
from skfactor._nn._device import resolve_device
from skfactor._nn._progress import reported_fit
from skfactor._nn._training import (
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    TensorNet,
    fit_net,
    history_of,
    n_parameters,
    run_module,
)
from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_array,
    check_is_fitted,
    check_sample_weight,
    draw_seed,
    fit_method,
    validate_table,
)
from skfactor.exceptions import FitInterrupted
from skfactor.panel._agreement import refuse_weights_of_other_rows

_FLOATS = [np.float64, np.float32]


class NeuralReducer(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC
):
    """Train an autoencoder on the rows of a matrix; a subclass says which network.

    The network must have two parts, ``encoder`` and ``decoder``. Think twice before adding
    anything to this class: what belongs to one network belongs to its subclass.
    """

    net_: TensorNet
    history_: dict[str, FloatArray]
    n_epochs_: int
    best_epoch_: int
    n_parameters_: int
    n_features_in_: int
    _n_features_out: int

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "loss": [StrOptions(set(LOSSES)), callable],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def _network(self, n_features: int) -> tuple[type, dict[str, Any]]:
        """Return the network's class and the arguments that build it."""

    @fit_method
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Train the autoencoder on the rows of ``X``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to learn from, on comparable scales and without missing values.
        y : None
            Ignored; here for scikit-learn's interface.

        Returns
        -------
        self : object
            The fitted reducer.

        Raises
        ------
        ValueError
            If ``X`` has missing or infinite values, fewer than two rows, values beyond
            single precision, or if the loss stops being finite.
        FitInterrupted
            If the user stops the training after at least one epoch (a
            :class:`KeyboardInterrupt`); the weights reached so far (with ``patience``, the
            best) are stored first, so the reducer is usable.
        """
        X = validate_table(self, X, reset=True, ensure_min_samples=2)
        seeds = np.random.default_rng(draw_seed(self.random_state))
        device = resolve_device(self.device)
        module, module_params = self._network(X.shape[1])
        with reported_fit(self, self.max_epochs) as reports:
            net = fit_net(
                module,
                module_params,
                split_rows(
                    to_single(X, getattr(self, "feature_names_in_", None)),
                    self.validation_fraction,
                    seeds,
                    device,
                ),
                iterator=RowBatches,
                loss=self.loss,
                optimizer=self.optimizer,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                max_epochs=self.max_epochs,
                batch_size=self.batch_size,
                patience=self.patience,
                device=device,
                random_state=draw_seed(int(seeds.integers(2**31 - 1))),
                verbose=self.verbose,
                schedule=self.schedule,
                more_callbacks=reports[0],
            )
        if not net.history:
            raise KeyboardInterrupt  # stopped before there was anything to keep
        history = history_of(net)
        self.net_ = net
        self.history_ = history
        self.n_epochs_ = len(history["train_loss"])
        self.best_epoch_ = net.kept_epoch_
        self.n_parameters_ = n_parameters(net.module_)
        self._n_features_out = self.n_components
        if net.interrupted_:
            raise FitInterrupted
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Encode rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of the fit.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            The code of each row, in the dtype of ``X``.
        """
        check_is_fitted(self)
        X = validate_table(self, X, reset=False)
        return run_module(self.net_.module_.encoder, X).astype(X.dtype, copy=False)

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as :meth:`transform` returns them.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            The rows that the decoder makes of them, in the dtype of ``X``.

        Raises
        ------
        ValueError
            If the number of columns is not ``n_components``.
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=_FLOATS)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"Codes must have {self._n_features_out} columns (`n_components`); "
                f"got {codes.shape[1]}."
            )
        return run_module(self.net_.module_.decoder, codes).astype(codes.dtype, copy=False)

    def score(self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return minus the mean squared error of the reconstruction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of the fit.
        y : None
            Ignored; here for scikit-learn's interface.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        score : float
            Minus the mean over rows and columns of the squared error, so that higher is
            better, as model selection expects.
        """
        check_is_fitted(self)
        refuse_weights_of_other_rows(sample_weight, "sample_weight", X=X)
        X = validate_table(self, X, reset=False)
        error = np.square(X - run_module(self.net_.module_, X)).mean(axis=1)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, X)
        return -float(np.average(error, weights=weight))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
