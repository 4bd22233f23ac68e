"""The conditional autoencoder: betas a network of characteristics, factors from returns."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd

from skfactor._kernels._sections import section_fits, section_least_squares
from skfactor._typing import FloatArray, RandomState
from skfactor._validation import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_layer_sizes,
    listed,
)
from skfactor.factor_models._beta_network import Member
from skfactor.factor_models._ensemble import EnsembleFactorModel
from skfactor.factor_models._factor_sides import (
    FactorInputs,
    dates_between,
    managed_inputs,
    own_leverage,
    portfolio_inputs,
    realised_panel,
    return_inputs,
)
from skfactor.factor_models._observed import observed_factors
from skfactor.panel._index import show_date
from skfactor.panel._panel import Panel

_PAPER = {"factor_side": "managed", "n_members": 10}
_PRESETS: dict[str, dict[str, Any]] = {
    "CA0": {"hidden_layer_sizes": (), **_PAPER},
    "CA1": {"hidden_layer_sizes": (32,), **_PAPER},
    "CA2": {"hidden_layer_sizes": (32, 16), **_PAPER},
    "CA3": {"hidden_layer_sizes": (32, 16, 8), **_PAPER},
    "eight_units": {
        "hidden_layer_sizes": (8,),
        "batch_norm": "after",
        "factor_side": "returns",
        "l1": 0.0,
        "learning_rate": 0.001,
        "n_members": 1,
    },
}


class ConditionalAutoencoderFactorModel(CallbackSupportMixin, EnsembleFactorModel):
    r"""Conditional autoencoder: betas are a network of characteristics.

    A return is fitted by betas, which a neural network shared by all assets and dates makes
    of the characteristics known beforehand, times the factor returns of its date, which are
    made of the returns of that date alone. An ensemble of networks is trained from different
    first weights, and their fits are averaged.

    Parameters
    ----------
    n_factors : int, default=3
        Number of latent factors. 0 with ``factors``: betas on those alone.
    hidden_layer_sizes : tuple of int, default=(32,)
        Units of the hidden layers of the beta network, with rectifiers between layers. ``()``
        is a linear network; ``(32,)``, ``(32, 16)`` and ``(32, 16, 8)`` are CA1 to CA3 of [1]_.
    factor_side : {"least_squares", "managed", "returns", "external"}, default="least_squares"
        What factor returns are made of. ``"least_squares"``: the regression of the returns of
        a date on the betas of that date, inside the network that is trained. Otherwise
        factors are linear, with weights that are learnt, in: ``"managed"``, the slopes of the
        returns of a date on a constant and the characteristics, as in [1]_; ``"returns"``,
        the returns themselves, of a panel with every asset on every date; ``"external"``,
        ``portfolios``.
    portfolios : DataFrame of shape (n_dates, n_portfolios), default=None
        For ``factor_side="external"``: returns of portfolios, with dates in the index (polars:
        in the first column), covering every date of ``X`` in ``fit`` and afterwards.
    factors : DataFrame of shape (n_dates, n_observed), default=None
        Observed factors that stand beside the latent ones, in the same form.
    horizon : int, default=0
        0 if ``y`` is the return of the date of its row, which factor returns are made of too.
        ``h`` if ``y`` is a return that ends ``h`` periods later: factor returns are then made
        of ``returns``, and the last ``h`` dates before those held out are left out of the
        training, because their targets overlap.
    returns : Series or DataFrame, default=None
        With ``horizon > 0``: the realised returns of each period, as a Series with a (date,
        asset) index or a DataFrame with dates in its index (polars: in the first column) and a
        column for each asset.
    batch_norm : {"before", "after"} or None, default="before"
        Where hidden units are normalised over a batch, seen from the rectifier.
    dropout : float, default=0.0
        Share of hidden units left out at random of each step.
    l1 : float, default=0.01
        Strength of the penalty on the absolute values of all weights, in a loss measured as a
        share of the mean squared return: to compare with a penalty on squared returns, divide
        that by the mean squared return.
    ridge : float, default=0.001
        Penalty of the regression on betas, as a share of the betas' mean second moment.
    learning_rate : float, default=0.01
        Size of the steps (Adam).
    max_epochs : int, default=200
        Passes over the training dates, at most.
    batch_size : int, default=12
        Dates a step, at most; all assets of a date are always together.
    validation_fraction : float, default=0.3
        Share of dates, the last ones, held out to watch the loss on; 0 trains on all dates.
    patience : int or None, default=15
        Epochs without a lower loss on the dates held out (on the training dates, if there are
        none) before a member stops and gets its best weights back. A loss lower by less than
        0.01 % does not renew the patience, though its weights are kept. None runs
        ``max_epochs`` and keeps the last weights.
    n_members : int, default=5
        Number of networks trained from different first weights.
    premia : str or PremiaForecast, default="expanding"
        How factor premia are forecast from past factor returns: ``"expanding"``,
        ``"rolling"``, ``"ewma"``, ``"ar1"`` or a :class:`PremiaForecast`.
    warm_start : bool, default=False
        Whether a second ``fit`` starts from the weights of the first.
    n_jobs : int, default=None
        Processes that members are shared out to, on a CPU. Results do not depend on it. On a
        GPU members are trained side by side, as one network.
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
    members_ : list of Member
        The trained networks: ``network`` (characteristics to betas), ``factor_weights``
        (portfolios to factors, None for least squares) and ``best_epoch``. Each has a
        rotation of its own.
    history_ : list of dict of str to ndarray of shape (n_epochs,)
        For each member the ``"train_loss"`` and, if dates were held out, the ``"valid_loss"``
        of each epoch, as shares of the mean squared return of the training dates. Losses on
        dates held out are leave-one-out where factors come from least squares.
    n_parameters_ : int
        Number of weights that were learnt, of one member.
    factor_returns_ : DataFrame of shape (n_dates, n_factors_total)
        Known factor returns, averaged over aligned members.
    risk_premia_ : Series of shape (n_factors_total,)
        The premia in force after the last known date.
    factor_names_ : list of str
        Names of the factors, latent ones first.
    dates_ : Index of shape (n_dates,) or None
        The dates of ``fit``.
    n_features_in_ : int
        Number of columns of ``X``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of ``X``, if they all are strings.

    See Also
    --------
    skfactor.panel.managed_portfolios : What ``factor_side="managed"`` starts from.

    Notes
    -----
    With characteristics :math:`z_{i,t-1}` known before the return :math:`r_{it}`,

    .. math::
        \hat r_{it} = \beta(z_{i,t-1})' f_t,

    and with ``factor_side="least_squares"``, for the betas :math:`B_t` of the assets of a
    date,

    .. math::
        f_t = \left(B_t' B_t + \rho \, \frac{\mathrm{tr}(B_t' B_t)}{K} I\right)^{-1} B_t' r_t .

    The network is trained through this solution, as in instrumented PCA, of which it is the
    nonlinear form; the factors of [1]_ are restricted to combinations of portfolios that are
    linear in characteristics, which cannot span betas that are not.

    Since :math:`f_t` is estimated from the returns that it explains, a plain fit gains on
    noise. ``score`` and the loss on held-out dates use fits without the row's own return.

    A row whose return is missing takes part in normalisation and in managed portfolios, where
    it earns nothing, and in no loss.

    With ``horizon > 0`` a train-test split must leave a gap of at least ``horizon`` dates, or
    ``score`` and the scorers of factor models raise; a date without realised returns says
    nothing of the premia.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 429-450, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import ConditionalAutoencoderFactorModel
    >>> rng = np.random.default_rng(0)
    >>> index = pd.MultiIndex.from_product(
    ...     [pd.period_range("2020-01", periods=24, freq="M"), range(50)],
    ...     names=["date", "asset"],
    ... )
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (1200, 2)), index, columns=["size", "value"])
    >>> factor = np.repeat(rng.normal(0.02, 0.05, 24), 50)
    >>> y = X["value"] ** 2 * factor + rng.normal(0, 0.01, 1200)
    >>> model = ConditionalAutoencoderFactorModel(
    ...     1, hidden_layer_sizes=(8,), n_members=2, max_epochs=60, random_state=0
    ... )
    >>> model.fit(X, y).score(X, y) > 0.6
    True
    >>> model.predict(X).index.equals(X.index)
    True
    """

    members_: list[Member]
    history_: list[dict[str, FloatArray]]
    n_parameters_: int
    _observed_names: list[str]
    _input_names: list[str] | None

    _parameter_constraints: dict[str, Any] = {
        "n_factors": [Interval(Integral, 0, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "factor_side": [StrOptions({"least_squares", "managed", "returns", "external"})],
        "portfolios": "no_validation",
        "factors": "no_validation",
        "horizon": [Interval(Integral, 0, None, closed="left")],
        "returns": "no_validation",
        "batch_norm": [StrOptions({"before", "after"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "ridge": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "premia": "no_validation",
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_factors: int = 3,
        *,
        hidden_layer_sizes: tuple[int, ...] = (32,),
        factor_side: str = "least_squares",
        portfolios: Any = None,
        factors: Any = None,
        horizon: int = 0,
        returns: Any = None,
        batch_norm: str | None = "before",
        dropout: float = 0.0,
        l1: float = 0.01,
        ridge: float = 0.001,
        learning_rate: float = 0.01,
        max_epochs: int = 200,
        batch_size: int = 12,
        validation_fraction: float = 0.3,
        patience: int | None = 15,
        n_members: int = 5,
        premia: Any = "expanding",
        warm_start: bool = False,
        n_jobs: int | None = None,
        device: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.hidden_layer_sizes = hidden_layer_sizes
        self.factor_side = factor_side
        self.portfolios = portfolios
        self.factors = factors
        self.horizon = horizon
        self.returns = returns
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.l1 = l1
        self.ridge = ridge
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.n_members = n_members
        self.premia = premia
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def preset(cls, name: str, **params: Any) -> Self:
        """Return a model with the architecture of a publication.

        Parameters
        ----------
        name : {"CA0", "CA1", "CA2", "CA3", "eight_units"}
            ``"CA0"`` to ``"CA3"``: managed portfolios, ten members and the hidden layers of Gu,
            Kelly and Xiu, from none to (32, 16, 8). ``"eight_units"``: the network taught as an
            introduction, eight units normalised after the rectifier, factors linear in the
            returns of a balanced panel, no penalty, one member.
        **params : dict
            Parameters that are set beside those, or instead of them.

        Returns
        -------
        ConditionalAutoencoderFactorModel
            Not fitted.

        Raises
        ------
        ValueError
            For a name that does not exist.
        """
        if name not in _PRESETS:
            raise ValueError(f"`name` must be one of {listed(_PRESETS)}; got {name!r}.")
        return cls(**{**_PRESETS[name], **params})

    @property
    def _needs_every_return(self) -> bool:
        return self.factor_side == "returns"

    @property
    def _n_members(self) -> int:
        return len(self.members_)

    def _names(self) -> list[str]:
        return [*super()._names(), *self._observed_names]

    def _fit_panel(self, panel: Panel) -> bool:
        # torch takes seconds to import, and a fitted model does without it.
        from skfactor.factor_models._conditional_fit import fit_members

        hidden = check_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        observed, names = observed_factors(self.factors, panel)
        self._check_sizes(hidden, panel, names)
        source = self._factor_panel(panel)
        inputs = self._inputs(source, None)
        fitted = fit_members(self, hidden, panel, source, inputs, observed)
        if not fitted.members:
            raise KeyboardInterrupt  # stopped before there was anything to keep
        self.members_ = fitted.members
        self.history_ = fitted.history
        self.n_parameters_ = fitted.n_parameters
        self._observed_names = names
        self._input_names = None if inputs is None else inputs.names
        return fitted.interrupted

    def _member_betas(self, panel: Panel, member: int) -> FloatArray:
        return self.members_[member].network(panel.X)

    def _member_factors(
        self, panel: Panel, betas: FloatArray, member: int
    ) -> tuple[FloatArray, FloatArray | None]:
        observed, names = observed_factors(self.factors, panel)
        if names != self._observed_names:
            raise ValueError(
                f"`factors` must have the columns of fit, {self._observed_names}; got {names}."
            )
        source = self._factor_panel(panel)
        latent = betas[:, : self.n_factors]
        weights = self.members_[member].factor_weights
        values: FloatArray
        leverage: FloatArray | None = None
        if not self.n_factors:
            values = np.empty((panel.n_dates, 0))
        elif weights is None:
            left = source.returns
            if names:
                left = left - section_fits(betas[:, self.n_factors :], observed, panel.starts)
            values, leverage = section_least_squares(latent, left, panel.starts, self.ridge)
        else:
            inputs = self._inputs(source, self._input_names)
            assert inputs is not None
            values = inputs.values @ weights
            leverage = own_leverage(source, latent, weights, inputs)
        factors = np.hstack([values, observed])
        return factors, leverage if source is panel else None

    def _factor_panel(self, panel: Panel) -> Panel:
        """Return the panel whose returns make the factors."""
        if not self.horizon:
            if self.returns is not None:
                raise ValueError(
                    "`returns` must be None where horizon=0, since y holds the returns that make "
                    "the factors; got returns. Leave them out, or set the horizon of y."
                )
            return panel
        if self.returns is None:
            raise ValueError(
                "`returns` must hold realised returns where the target lies ahead; got None "
                f"with horizon={self.horizon}. Give a Series with a (date, asset) index."
            )
        return realised_panel(self.returns, panel)

    def _estimated_dates(self, panel: Panel, own: bool) -> np.ndarray:
        source = self._factor_panel(panel)
        if source is panel or self.factor_side == "external":
            return super()._estimated_dates(panel, own)
        return source.has_returns

    def _check_gap(self, dates: pd.Index | None) -> None:
        if not self.horizon or self.dates_ is None or dates is None:
            return
        later = dates[dates > self.dates_[-1]]
        if not len(later):
            return
        gap = dates_between(self.returns, self.dates_[-1], later[0])
        if gap < self.horizon:
            raise ValueError(
                f"Dates to score must begin more than the horizon of {self.horizon} after the "
                f"last of fit, or their returns are in the targets of training; got {gap} "
                f"between {show_date(self.dates_[-1])} and {show_date(later[0])}. Use "
                f"PanelSplit(..., gap={self.horizon})."
            )

    def _inputs(self, panel: Panel, fitted: list[str] | None) -> FactorInputs | None:
        """Return the portfolios that factors are linear in, None for least squares."""
        if self.factor_side == "managed":
            return managed_inputs(panel)
        if self.factor_side == "returns":
            return return_inputs(panel, fitted)
        if self.factor_side == "external":
            return portfolio_inputs(panel, self.portfolios, fitted)
        return None

    def _check_sizes(self, hidden: tuple[int, ...], panel: Panel, observed: list[str]) -> None:
        n_features = panel.X.shape[1]
        if self.n_factors == 0 and not observed:
            raise ValueError("`n_factors` must be at least 1 where `factors` is None; got 0.")
        if hidden and self.n_factors > hidden[-1]:
            raise ValueError(
                f"`n_factors` must be at most {hidden[-1]}, the units of the last hidden layer; "
                f"got {self.n_factors}. Take fewer factors or a wider layer."
            )
        if not hidden and self.n_factors > n_features:
            raise ValueError(
                f"`n_factors` must be at most {n_features}, the number of columns of X, where "
                f"betas are linear; got {self.n_factors} (n_features={n_features})."
            )
        clash = sorted(set(observed) & {f"factor{k + 1}" for k in range(self.n_factors)})
        if clash:
            raise ValueError(
                f"No column of `factors` may be called as latent factors are; got {clash}."
            )
