"""The deep characteristics factor model: sorted factors beside a benchmark."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from skfactor._kernels._sections import section_fits
from skfactor._typing import ArrayLike, FloatArray, RandomState
from skfactor._validation import Interval, StrOptions, check_layer_sizes
from skfactor.factor_models._align import mutual_rotations
from skfactor.factor_models._ensemble import EnsembleFactorModel
from skfactor.factor_models._observed import observed_factors
from skfactor.factor_models._premia import PremiaForecast
from skfactor.factor_models._sorting import Perceptron, SortingMember
from skfactor.metrics._r2 import total_r2_score
from skfactor.panel._index import has_panel_index
from skfactor.panel._panel import Panel


class DeepCharacteristicFactorModel(EnsembleFactorModel):
    r"""Deep characteristics-sorted factors beside a benchmark, with nonlinear betas.

    A network turns the characteristics of each asset into a few deep characteristics. Assets
    sorted by one of them make a portfolio, long where it is high and short where it is low,
    whose return is a deep factor. Other networks turn the same characteristics into betas, on
    the deep factors and on benchmark factors such as those of Fama and French. All are trained
    together to fit the cross-section of returns, without an intercept. Deep factors are
    traded portfolios of the assets at hand: ``weights`` tells what they hold.

    Parameters
    ----------
    n_factors : int, default=2
        Number of deep factors. 0 with ``benchmark``: nonlinear betas on the benchmark alone.
    benchmark : DataFrame of shape (n_dates, n_benchmark), default=None
        Returns of benchmark factors, with dates in the index (polars: in the first column),
        covering every date of ``X`` in ``fit`` and afterwards. None for deep factors alone.
    hidden_layer_sizes : tuple of int, default=(32, 16, 8)
        Units of the hidden layers of the network that makes deep characteristics.
    beta_layer_sizes : tuple of int, default=(8, 4)
        Units of the hidden layers of each of the two networks that make betas.
    weighting : {"softmax", "rank", "zscore"}, default="softmax"
        How deep characteristics turn into weights on a date. ``"softmax"``: the softmax ranks
        of [1]_, nearly equal weights on about a fifth of the assets at either end. ``"rank"``:
        proportional to the distance of an asset's rank from the middle one. ``"zscore"``:
        proportional to the deviation from the mean.
    loss : {"mse", "mae", "huber"}, default="mse"
        Mean squared, mean absolute or Huber error. The last is quadratic below 1.345 standard
        deviations (by the median absolute return of the training dates) and linear above.
    alpha_penalty : {"date", "asset"}, default="date"
        What is penalised beside the loss: ``"date"`` the square of the mean error of each
        date, as in [2]_; ``"asset"`` the square of the mean error of each asset over the
        dates of a batch, its alpha, as in [1]_.
    lambda_alpha : float, default=1e-06
        Strength of this penalty.
    lambda_l1 : float, default=1e-06
        Strength of the penalty on absolute weights of the sorting network, all layers but
        the last.
    lambda_l2 : float, default=1e-07
        Strength of the penalty on squared weights of the beta networks, all layers but the
        last.
    activation : {"tanh", "relu"}, default="tanh"
        What stands between layers; the last layer of each network is linear.
    dropout : float, default=0.25
        Share of hidden units of the sorting network left out at random of each training step,
        and of nothing else.
    learning_rate : float, default=0.01
        Size of the steps (Adam). Weights that were found by least squares are refined by
        steps of a tenth of it.
    batch_size : int, default=75
        Dates a step, at most; all assets of a date are always together.
    max_epochs : int, default=200
        Passes over the training dates, at most, of each stage of training.
    validation_fraction : float, default=0.2
        Share of dates, the last ones, held out to watch the loss on; 0 trains on all dates.
    patience : int or None, default=3
        Epochs without a lower loss on the dates held out (on the training dates, if there are
        none) before a member stops and gets its best weights back. A loss lower by less than
        0.01 % does not renew the patience, though its weights are kept. None runs
        ``max_epochs`` and keeps the last weights.
    start : {"least_squares", "random"}, default="least_squares"
        Where training starts. ``"random"``: weights drawn at random, as in [1]_ and [2]_, from
        which training often misses a factor. ``"least_squares"``: a network whose factors are
        estimated by least squares finds the betas, and the networks of the model are first
        taught these (see Notes).
    n_members : int, default=3
        Number of networks whose fits are averaged.
    n_restarts : int, default=2
        Trainings, from different first weights, for each member: of all of them the
        ``n_members`` with the least loss on the dates held out are kept.
    premia : str or PremiaForecast, default="expanding"
        How factor premia are forecast from past factor returns: ``"expanding"``,
        ``"rolling"``, ``"ewma"``, ``"ar1"`` or a :class:`PremiaForecast`.
    n_jobs : int, default=None
        Processes that trainings are shared out to, on a CPU. Results do not depend on it.
    device : str, default="auto"
        Where to train: ``"auto"`` (CUDA if there is one, else the CPU) or a torch device's
        name. A fitted model is NumPy arrays in any case.
    random_state : int, RandomState instance or None, default=None
        Seeds first weights, order of batches and dropout; two fits with the same seed are
        equal.
    verbose : int, default=0
        1 prints the losses of every epoch.

    Attributes
    ----------
    members_ : list of SortingMember
        The trained networks, the best first: ``sorting``, ``deep_betas`` and ``given_betas``,
        each callable on rows, and ``best_epoch``.
    history_ : list of dict of str to ndarray of shape (n_epochs,)
        For each member the ``"train_loss"`` and, if dates were held out, the ``"valid_loss"``
        of each epoch, with the penalty of alphas and without those of weights. On the dates
        held out a row is fitted by factors without its own return.
    restart_losses_ : ndarray of shape (n_members * n_restarts,)
        What trainings were chosen by: the least loss on the dates held out or, with
        ``start="least_squares"``, the mean squared error there of what networks are taught.
    n_parameters_ : int
        Number of weights of one member.
    importance_ : Series of shape (n_features,)
        Mean absolute gradient of the deep characteristics by each characteristic, over the
        rows of ``fit``, deep characteristics and members.
    benchmark_model_ : DeepCharacteristicFactorModel or None
        The same model fitted without deep factors; None without a benchmark, and where this is
        itself such a model.
    benchmark_r2_ : float
        Its total R² on the panel of ``fit``; 0 where there is no ``benchmark_model_``.
        ``score(X, y) - benchmark_model_.score(X, y)`` is the gain on any panel.
    factor_returns_ : DataFrame of shape (n_dates, n_factors + n_benchmark)
        Known factor returns, deep ones averaged over aligned members.
    risk_premia_ : Series of shape (n_factors + n_benchmark,)
        The premia in force after the last known date.
    factor_names_ : list of str
        Names of the factors, deep ones first.
    dates_ : Index of shape (n_dates,) or None
        The dates of ``fit``.
    n_features_in_ : int
        Number of columns of ``X``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of ``X``, if they all are strings.

    See Also
    --------
    skfactor.inspection.characteristic_importance : R² lost when a characteristic is zeroed.
    skfactor.portfolios.hedging_effectiveness : Variance left after hedging with factors.
    skfactor.portfolios.tangency_portfolio : Portfolios of factors.

    Notes
    -----
    With characteristics :math:`z_{i,t-1}` known before the return :math:`r_{it}`,

    .. math::
        \hat r_{it} = \beta_d(z_{i,t-1})' f_{d,t} + \beta_b(z_{i,t-1})' f_{b,t}, \qquad
        f_{d,t} = W_{t-1} r_t,

    where row :math:`p` of :math:`W_{t-1}` depends on the deep characteristics
    :math:`Y_{ip} = H_p(z_{i,t-1})` of all assets known on the date, and on each side sums to
    one. An asset whose return is missing is sorted with the others, and what is held of it
    earns nothing. Training lowers

    .. math::
        \frac{1}{N} \sum_{i,t} \ell(r_{it} - \hat r_{it})
        + \lambda_\alpha \frac{1}{T} \sum_t \Big( \frac{1}{N_t} \sum_i
        (r_{it} - \hat r_{it}) \Big)^2
        + \lambda_1 \sum_{l<L} |A^{[l]}| + \lambda_2 \sum_{l<L} (B^{[l]})^2

    with the weights :math:`A` of the sorting network and :math:`B` of the beta networks.

    Importance is that of [2]_,

    .. math::
        \frac{1}{N P} \sum_{i,t} \sum_p
        \left| \frac{\partial Y_{itp}}{\partial z_{itj}} \right| .

    *Start.* From random weights the gradient of the sorting network is nearly zero until the
    betas know of a factor, and theirs until the sorting does, so that training often ends
    before it has begun. With ``start="least_squares"`` conditional autoencoders, whose factors
    need no weights, are trained first, every other one with one factor more than is asked for,
    since one with just as many may lose one. What the benchmark explains of their factors is
    taken out; the betas on the best factors, brought to uncorrelated ones, are what the sorting
    network is taught. The beta networks are taught the betas on the portfolios so sorted,
    scaled by what they explain of the dates held out. By their error there the ``n_members``
    best are kept, and the loss above decides whether its own steps improve on them.

    *Sign, scale and order.* A deep factor is long one and short one unit of money. It earns a
    positive mean over the dates of ``fit``, and the first explains most. With several members
    the deep factors of the others are rotated to those of the best by orthogonal Procrustes
    rotation of the factor returns, and averaged: portfolios too, whose sides sum to about one.
    Fits and predictions are averages over members, and no rotation changes them.

    Since a deep factor holds the assets that it explains, ``score`` fits each row by factors
    without the row's own return. On large cross-sections that is hardly different.

    References
    ----------
    .. [1] G. Feng, J. He, N. Polson and J. Xu, "Deep learning in characteristics-sorted factor
       models", Journal of Financial and Quantitative Analysis, 2023.
    .. [2] M. Agarwal, M. Zouiten and G. Tulsian, "Deep learning for asset pricing using
       characteristics-sorted factor models".

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import DeepCharacteristicFactorModel
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2020-01", periods=36, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(60)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (2160, 2)), index, columns=["size", "value"])
    >>> market, hidden = rng.normal(0.01, 0.04, (2, 36))
    >>> y = np.repeat(market, 60) + X["value"] * np.repeat(hidden, 60)
    >>> y += rng.normal(0, 0.02, 2160)
    >>> model = DeepCharacteristicFactorModel(
    ...     1, benchmark=pd.Series(market, dates, name="market"), n_members=1, random_state=0
    ... ).fit(X, y)
    >>> model.factor_names_
    ['factor1', 'market']
    >>> model.score(X, y) - model.benchmark_r2_ > 0.1
    True
    >>> model.importance_.idxmax()
    'value'
    """

    members_: list[SortingMember]
    history_: list[dict[str, FloatArray]]
    restart_losses_: FloatArray
    n_parameters_: int
    importance_: pd.Series
    benchmark_model_: "DeepCharacteristicFactorModel | None"
    benchmark_r2_: float
    _benchmark_names: list[str]
    _epochs: list[list[dict[str, np.ndarray]]]

    _parameter_constraints: dict[str, Any] = {
        "n_factors": [Interval(Integral, 0, None, closed="left")],
        "benchmark": "no_validation",  # checked against the dates of the panel
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "beta_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "weighting": [StrOptions({"softmax", "rank", "zscore"})],
        "loss": [StrOptions({"mse", "mae", "huber"})],
        "alpha_penalty": [StrOptions({"date", "asset"})],
        "lambda_alpha": [Interval(Real, 0, None, closed="left")],
        "lambda_l1": [Interval(Real, 0, None, closed="left")],
        "lambda_l2": [Interval(Real, 0, None, closed="left")],
        "activation": [StrOptions({"tanh", "relu"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "start": [StrOptions({"least_squares", "random"})],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "premia": "no_validation",
        "n_jobs": [Integral, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_factors: int = 2,
        *,
        benchmark: Any = None,
        hidden_layer_sizes: tuple[int, ...] = (32, 16, 8),
        beta_layer_sizes: tuple[int, ...] = (8, 4),
        weighting: str = "softmax",
        loss: str = "mse",
        alpha_penalty: str = "date",
        lambda_alpha: float = 1e-6,
        lambda_l1: float = 1e-6,
        lambda_l2: float = 1e-7,
        activation: str = "tanh",
        dropout: float = 0.25,
        learning_rate: float = 0.01,
        batch_size: int = 75,
        max_epochs: int = 200,
        validation_fraction: float = 0.2,
        patience: int | None = 3,
        start: str = "least_squares",
        n_members: int = 3,
        n_restarts: int = 2,
        premia: str | PremiaForecast = "expanding",
        n_jobs: int | None = None,
        device: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.benchmark = benchmark
        self.hidden_layer_sizes = hidden_layer_sizes
        self.beta_layer_sizes = beta_layer_sizes
        self.weighting = weighting
        self.loss = loss
        self.alpha_penalty = alpha_penalty
        self.lambda_alpha = lambda_alpha
        self.lambda_l1 = lambda_l1
        self.lambda_l2 = lambda_l2
        self.activation = activation
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.start = start
        self.n_members = n_members
        self.n_restarts = n_restarts
        self.premia = premia
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _n_members(self) -> int:
        return len(self.members_)

    def _names(self) -> list[str]:
        return [*super()._names(), *self._benchmark_names]

    def _fit_panel(self, panel: Panel) -> bool:
        # torch takes seconds to import, and a fitted model does without it.
        from skfactor.factor_models._deep_fit import fit_deep

        given, names = observed_factors(self.benchmark, panel, "benchmark")
        network = self._network(panel, given.shape[1])
        fitted = fit_deep(self, network, panel, given)
        if not fitted.members:
            raise KeyboardInterrupt  # stopped before there was anything to keep
        self._benchmark_names = names
        self.members_ = [
            SortingMember.from_state(m.state, self.activation, self.weighting, m.best_epoch)
            for m in fitted.members
        ]
        self.history_ = [member.history for member in fitted.members]
        self.restart_losses_ = fitted.losses
        self.n_parameters_ = fitted.members[0].n_parameters
        self._epochs = [_by_epoch(member.path) for member in fitted.members]
        self.importance_ = self._importance(panel.X, [m.sorting for m in self.members_])
        self.benchmark_model_, self.benchmark_r2_ = None, 0.0
        if self.n_factors and names and not fitted.interrupted:
            self._fit_benchmark(panel)
        return fitted.interrupted

    def _network(self, panel: Panel, n_given: int) -> dict[str, Any]:
        """Return the arguments of the network."""
        if not self.n_factors and not n_given:
            raise ValueError(
                "`n_factors` must be at least 1 without a benchmark; got 0. Pass `benchmark=`."
            )
        if self.alpha_penalty == "asset" and panel.assets is None:
            raise ValueError(
                '`alpha_penalty="asset"` must know the asset of each row; got rows without. Give '
                "X or y a (date, asset) index, or pass `assets=`."
            )
        return {
            "n_features": panel.X.shape[1],
            "hidden_layer_sizes": check_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            "beta_layer_sizes": check_layer_sizes(self.beta_layer_sizes, "beta_layer_sizes"),
            "n_deep": self.n_factors,
            "n_given": n_given,
            "activation": self.activation,
            "weighting": self.weighting,
            "dropout": self.dropout,
        }

    def _fit_benchmark(self, panel: Panel) -> None:
        """Fit the same model without deep factors."""
        model = clone(self).set_params(n_factors=0)
        model.n_features_in_ = self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            model.feature_names_in_ = self.feature_names_in_
        model._fit_panel(panel)
        model._bases = None
        model.factor_names_ = model._names()
        model.dates_ = panel.dates
        model._learn_members(panel)
        self.benchmark_model_ = model
        fits = model._fits(panel, leave_one_out=True)
        self.benchmark_r2_ = total_r2_score(panel.returns, fits)

    def weights(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> pd.DataFrame:
        """Return what each deep factor holds.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics of all assets of each date, as in ``fit``.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where ``X`` has no (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        DataFrame of shape (n_rows, n_factors)
            Holdings as shares of one unit of money, averaged over aligned members, with the
            index of ``X`` where that is a (date, asset) index. The sum over a date of holdings
            times returns is the deep factor's return.
        """
        panel = self._read(X, dates, assets)
        total = np.zeros((panel.n_rows, self.n_factors))
        for m, member in enumerate(self.members_):
            held = member.weights(panel.X, panel.starts)
            if self._bases is not None:
                basis = self._bases[m, : self.n_factors, : self.n_factors]
                held = np.linalg.solve(basis, held.T).T
            total += held / self._n_members
        index = X.index if has_panel_index(X) else None
        names = self.factor_names_[: self.n_factors]
        return pd.DataFrame(panel.restore(total), index=index, columns=names)

    def importance_history(
        self, X: ArrayLike, *, dates: Any = None, assets: Any = None
    ) -> pd.DataFrame:
        """Return the importance of each characteristic after each epoch of training.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows on which gradients are averaged.
        dates : array-like of shape (n_rows,), default=None
            Not used: gradients are those of rows.
        assets : array-like of shape (n_rows,), default=None
            Not used.

        Returns
        -------
        DataFrame of shape (n_epochs, n_features)
            Mean absolute gradients of the deep characteristics, as ``importance_``, over the
            members that were still trained in that epoch.
        """
        panel = self._read(X, dates, assets)
        rows = []
        for epoch in range(max((len(path) for path in self._epochs), default=0)):
            running = [path[epoch] for path in self._epochs if epoch < len(path)]
            networks = [Perceptron.from_state(s, "sorting", self.activation) for s in running]
            rows.append(self._importance(panel.X, networks))
        epochs = pd.RangeIndex(1, len(rows) + 1, name="epoch")
        return pd.DataFrame(
            np.reshape(rows, (len(rows), panel.X.shape[1])), epochs, self.importance_.index
        )

    def _member_betas(self, panel: Panel, member: int) -> FloatArray:
        return self.members_[member].betas(panel.X)

    def _member_factors(
        self, panel: Panel, betas: FloatArray, member: int
    ) -> tuple[FloatArray, FloatArray | None]:
        given, names = observed_factors(self.benchmark, panel, "benchmark")
        if names != self._benchmark_names:
            raise ValueError(
                f"`benchmark` must have the columns of fit, {self._benchmark_names}; got {names}."
            )
        if not self.n_factors:
            return given, None
        weights = self.members_[member].weights(panel.X, panel.starts)
        seen = ~np.isnan(panel.returns)
        earned = weights * np.where(seen, panel.returns, 0.0)[:, None]
        deep = np.add.reduceat(earned, panel.starts[:-1], axis=0)
        leverage = (betas[:, : self.n_factors] * weights).sum(axis=1) * seen
        return np.hstack([deep, given]), leverage

    def _fits(self, panel: Panel, leave_one_out: bool) -> FloatArray:
        """Average the members' fits, each without its own return if asked.

        A portfolio without one of its assets holds the others as before, so that nothing is
        divided by what is left of the leverage.
        """
        seen = np.where(np.isnan(panel.returns), 0.0, panel.returns)
        total = np.zeros(panel.n_rows)
        for part in self._all_parts(panel):
            total[part.rows] += section_fits(part.betas, part.factors, part.panel.starts)
            if leave_one_out and part.leverage is not None:
                total[part.rows] -= part.leverage * seen[part.rows]
        total /= self._n_members
        return total

    def _common_bases(self, betas: FloatArray, factors: FloatArray) -> FloatArray:
        """Turn members to the best one; fix order and signs of the deep factors."""
        K, n_members = self._n_latent, len(betas)
        bases = np.tile(np.eye(betas.shape[2]), (n_members, 1, 1))
        rotations = mutual_rotations(factors[:, :, :K])
        mean = np.matmul(factors[:, :, :K], rotations).mean(axis=0)
        loads = np.matmul(betas[:, :, :K], rotations).mean(axis=0)
        explained = (loads**2).mean(axis=0) * (mean**2).mean(axis=0)
        order = np.argsort(-explained, kind="stable")
        signs = np.where(mean.mean(axis=0) < 0, -1.0, 1.0)
        bases[:, :K, :K] = (rotations * signs)[:, :, order]
        return bases

    def _importance(self, X: FloatArray, networks: list[Any]) -> pd.Series:
        """Average the mean absolute gradients of deep characteristics over members."""
        names = getattr(self, "feature_names_in_", range(X.shape[1]))
        found = [net.mean_gradients(X) for net in networks if net is not None]
        values = np.mean(found, axis=0) if found else np.zeros(X.shape[1])
        return pd.Series(values, index=pd.Index(names, name="characteristic"), name="importance")


def _by_epoch(path: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Return the weights after each epoch, as a member has them."""
    n_epochs = max((len(values) for values in path.values()), default=0)
    return [{k: v[e][None] for k, v in path.items()} for e in range(n_epochs)]
