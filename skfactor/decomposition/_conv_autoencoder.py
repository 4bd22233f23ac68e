"""The fully convolutional autoencoder as a transformer."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

from skfactor._nn._conv import ConvAutoencoder
from skfactor._typing import RandomState
from skfactor._validation import Interval, check_layer_sizes
from skfactor.decomposition._base import NeuralReducer


class ConvAutoencoderReducer(NeuralReducer):
    r"""Fully convolutional autoencoder: a few values that stand for a series.

    A row is a series, such as the cumulative returns of one stock over a window, and its
    columns are consecutive times. Convolutions with a stride shorten it stage by stage to a
    single position with ``n_components`` channels, the code [1]_; the decoder, their mirror
    image, lengthens it again. Nothing is flattened and no layer is dense: one small filter
    serves all times, so that there are few weights to learn.

    Parameters
    ----------
    n_components : int, default=8
        Number of values in the code.
    channels : tuple of int, default=(8, 32, 128)
        Channels after each of the encoder's stages, from the input to the code; the decoder
        has the same in reverse. The last number serves all deeper stages; numbers beyond the
        depth, which follows from the length of the series, are not used.
    kernel_size : int, default=4
        Times that a convolution of the encoder sees, at least `stride`. Patches overlap if it
        is greater, which costs more and smooths the joints.
    stride : int, default=4
        Factor by which a stage shortens the series, at least 2.
    activation : str, default="gelu"
        Function after each hidden stage: ``"elu"``, ``"gelu"``, ``"identity"``,
        ``"leaky_relu"``, ``"logistic"``, ``"relu"``, ``"selu"`` or ``"tanh"``. The code and
        the output are linear.
    loss : {"mse", "mae", "huber"} or callable, default="mse"
        What training lowers: mean squared, mean absolute or Huber error (quadratic below 1,
        linear above, so that outliers pull less). Or what makes a loss when it is called
        without arguments, such as a subclass of ``torch.nn.Module`` whose ``forward`` takes
        the rows made again and the rows, and returns a mean.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        Rule that turns gradients into steps; ``"sgd"`` has Nesterov momentum of 0.9.
    learning_rate : float, default=0.003
        Size of the steps.
    schedule : {"constant", "cosine"}, default="constant"
        ``"cosine"`` lowers the learning rate epoch by epoch along half a cosine, to nearly 0
        after ``max_epochs``: best with few epochs and without early stopping.
    max_epochs : int, default=200
        Passes over the training rows, at most.
    batch_size : int, default=128
        Rows a step.
    dropout : float, default=0.0
        Share of hidden values silenced at random while training.
    noise : float, default=0.0
        Standard deviation of Gaussian noise added to the input while training, in the units
        of ``X`` (a denoising autoencoder).
    weight_decay : float, default=0.0
        L2 penalty of the weights (decoupled with ``optimizer="adamw"``).
    validation_fraction : float, default=0.1
        Share of rows held out, at random, to watch the loss on; 0 trains on all of them.
    patience : int or None, default=20
        Epochs without a lower loss on the held-out rows (on the training rows, if none are
        held out) before training stops and the best weights are put back. A loss lower by
        less than 0.01 % does not count. None runs ``max_epochs`` and keeps the last weights.
    device : str, default="auto"
        Where to train: ``"auto"`` (CUDA if there is one, else the CPU) or a torch device's
        name. A fitted reducer lives on the CPU in any case.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the held-out rows, the order of batches, dropout and noise.
        Torch's and NumPy's global generators are left alone.
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net, for those who want skorch; its ``module_`` has the parts
        ``encoder`` and ``decoder``.
    history_ : dict of ndarray of shape (n_epochs_,)
        Mean ``"train_loss"`` an epoch and, if rows were held out, ``"valid_loss"``.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        Epoch whose weights were kept, counted from 1: the last that `patience` counted as
        better, or the last of all without `patience`.
    n_parameters_ : int
        Trainable parameters of the network.
    n_features_in_ : int
        Columns seen in the fit: the length of a series.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all are strings.

    See Also
    --------
    AutoencoderReducer : Dense layers, for columns without an order.
    skfactor.preprocessing.CumulativeReturns : From prices to scaled paths.
    skfactor.preprocessing.rolling_windows : From one price table to many training rows.

    Notes
    -----
    **Depth.** A series of length :math:`L` has :math:`\lceil L / s \rceil` positions after a
    stage of stride :math:`s`, and stages follow until one position is left:
    :math:`\lceil \log_s L \rceil` of them, but at least one. A year of 256 days takes four
    stages by default, 256, 64, 16, 4, 1; one day more takes a fifth, with some four times the
    weights, so that a window is best a power of the stride.

    **Any length.** Where a stage's input is not a multiple of its stride, or a kernel reaches
    over an end, the first and last values are repeated outwards, and the decoder cuts off what
    it makes too much. The last stage has the stride and the kernel of what is left. So there
    is a code of any ``n_components`` for any number of columns.

    **Convolutions with a stride instead of pooling.** Each place of a patch has a weight of
    its own, so that the code knows *when* something happened; maximum pooling down to one
    position forgets it. With ``kernel_size == stride`` and enough channels the encoder can
    represent any linear map, principal components among them. The decoder upsamples by
    convolutions that make ``stride`` times the channels and lay them out one after another.

    **Loss.** With encoder :math:`e`, decoder :math:`d` and rows :math:`x_i` of :math:`L`
    columns, the fit lowers

    .. math:: \frac{1}{NL} \sum_{i=1}^{N} \lVert x_i - d(e(x_i)) \rVert^2

    and :meth:`score` returns minus this number. Training runs in single precision, encoding
    and decoding in double, so that a row's code does not depend on the rows beside it.

    References
    ----------
    .. [1] P. Leo, "Clustering S&P500 using Fully Convolutional Autoencoders", 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.decomposition import ConvAutoencoderReducer
    >>> steps = np.random.default_rng(0).normal(size=(200, 60))
    >>> paths = steps.cumsum(axis=1) / np.sqrt(60)
    >>> reducer = ConvAutoencoderReducer(n_components=2, max_epochs=20, random_state=0)
    >>> codes = reducer.fit_transform(paths)
    >>> codes.shape
    (200, 2)
    >>> reducer.inverse_transform(codes).shape
    (200, 60)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NeuralReducer._parameter_constraints,
        "channels": ["array-like", Integral],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 8,
        *,
        channels: tuple[int, ...] = (8, 32, 128),
        kernel_size: int = 4,
        stride: int = 4,
        activation: str = "gelu",
        loss: str | Callable[[], Any] = "mse",
        optimizer: str = "adam",
        learning_rate: float = 0.003,
        schedule: str = "constant",
        max_epochs: int = 200,
        batch_size: int = 128,
        dropout: float = 0.0,
        noise: float = 0.0,
        weight_decay: float = 0.0,
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        device: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.channels = channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.dropout = dropout
        self.noise = noise
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _network(self, n_features: int) -> tuple[type, dict[str, Any]]:
        channels = check_layer_sizes(self.channels, "channels")
        if not channels:
            raise ValueError("`channels` must hold at least one number; got none.")
        if self.kernel_size < self.stride:
            raise ValueError(
                f"`kernel_size` must be at least `stride`, {self.stride}, or some times are "
                f"never seen; got {self.kernel_size}. Raise it, or lower `stride`."
            )
        return ConvAutoencoder, {
            "n_features": n_features,
            "channels": channels,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "n_components": self.n_components,
            "activation": self.activation,
            "dropout": self.dropout,
            "noise": self.noise,
        }
