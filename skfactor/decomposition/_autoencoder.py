"""The dense autoencoder as a transformer."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

from skfactor._nn._autoencoder import DenseAutoencoder
from skfactor._typing import RandomState
from skfactor._validation import check_layer_sizes
from skfactor.decomposition._base import NeuralReducer


class AutoencoderReducer(NeuralReducer):
    r"""Dense autoencoder: a few values that stand for many columns.

    An encoder squeezes each row through layers that grow narrower down to
    ``n_components`` values, the code; a decoder, its mirror image, makes the row again.
    Both are trained to lose as little as they can on the way. A linear network
    (``activation="identity"``) spans the same subspace as PCA; a nonlinear one bends.

    Parameters
    ----------
    n_components : int, default=8
        Number of values in the code.
    hidden_layer_sizes : tuple of int, default=(32, 16)
        Units of the encoder's hidden layers, from the input to the code; the decoder has
        the same in reverse. ``()`` connects input and code directly.
    activation : str, default="elu"
        Function after each hidden layer: ``"elu"``, ``"gelu"``, ``"identity"``,
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
    batch_size : int, default=32
        Rows a step.
    dropout : float, default=0.0
        Share of hidden units silenced at random while training.
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
        Columns seen in the fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all are strings.

    See Also
    --------
    skfactor.preprocessing.LogStandardizer : Scales that an autoencoder can learn from.
    skfactor.manifold.TSNEEmbedder : A map of the codes.

    Notes
    -----
    With encoder :math:`e`, decoder :math:`d` and rows :math:`x_i` of :math:`P` columns, the
    fit lowers

    .. math:: \frac{1}{NP} \sum_{i=1}^{N} \lVert x_i - d(e(x_i)) \rVert^2

    and :meth:`score` returns minus this number. Training runs in single precision, encoding
    and decoding in double, so that a row's code does not depend on the rows beside it.

    References
    ----------
    .. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with
       neural networks", Science 313, 504-507, 2006.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skfactor.decomposition import AutoencoderReducer
    >>> X = StandardScaler().fit_transform(make_blobs(200, 10, random_state=0)[0])
    >>> reducer = AutoencoderReducer(n_components=2, max_epochs=50, random_state=0)
    >>> codes = reducer.fit_transform(X)
    >>> codes.shape
    (200, 2)
    >>> reducer.inverse_transform(codes).shape
    (200, 10)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NeuralReducer._parameter_constraints,
        "hidden_layer_sizes": ["array-like", Integral],
    }

    def __init__(
        self,
        n_components: int = 8,
        *,
        hidden_layer_sizes: tuple[int, ...] = (32, 16),
        activation: str = "elu",
        loss: str | Callable[[], Any] = "mse",
        optimizer: str = "adam",
        learning_rate: float = 0.003,
        schedule: str = "constant",
        max_epochs: int = 200,
        batch_size: int = 32,
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
        self.hidden_layer_sizes = hidden_layer_sizes
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
        return DenseAutoencoder, {
            "n_features": n_features,
            "hidden_layer_sizes": check_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            "n_components": self.n_components,
            "activation": self.activation,
            "dropout": self.dropout,
            "noise": self.noise,
        }
