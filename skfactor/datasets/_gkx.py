"""The simulated panels on which conditional autoencoders were first compared."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, RandomState
from skfactor._validation import Interval, StrOptions, draw_seed, validate_params

GKXModel = Literal["a", "b"]

N_FACTORS = 3
PORTFOLIO_MEAN = 0.03
PORTFOLIO_SCALE = 0.1
FACTOR_NOISE = 0.01
NOISE_DEGREES_OF_FREEDOM = 5


@dataclass(frozen=True, eq=False, repr=False)
class GKXPanel:
    """A simulated panel of characteristics and returns, and the truth underneath it.

    Made by :func:`make_gkx_panel`. Rows are (date, asset) pairs sorted by date, then asset;
    returns are excess returns in decimals a month.

    Parameters
    ----------
    X : DataFrame of shape (n_dates * n_assets, n_features)
        Characteristics ``c1``, ``c2``, ... known at the end of the month before, as
        cross-sectional ranks strictly between -1 and 1. The index has the levels ``date`` and
        ``asset``.
    y : Series of shape (n_dates * n_assets,)
        Returns of the month, on the same index.
    betas : DataFrame of shape (n_dates * n_assets, 3)
        True betas on ``f1``, ``f2`` and ``f3``; zeros in a panel without signal.
    factors : DataFrame of shape (n_dates, 3)
        True factor returns: ``y = (betas * factors).sum(axis=1) + noise``.
    portfolios : DataFrame of shape (n_dates, n_portfolios)
        Returns of the simulated portfolios ``x1``, ``x2``, ...; each of the first three is a
        factor up to a small noise, the others are unrelated to the returns.
    premia : Series of shape (3,)
        True expected return of each factor.

    See Also
    --------
    make_gkx_panel : Draw such a panel.

    Examples
    --------
    >>> from skfactor.datasets import make_gkx_panel
    >>> panel = make_gkx_panel("b", n_assets=30, n_dates=24, random_state=0)
    >>> panel
    GKXPanel(30 assets, 24 dates, 50 characteristics, 50 portfolios)
    >>> panel.betas.columns.to_list()
    ['f1', 'f2', 'f3']
    """

    X: pd.DataFrame
    y: pd.Series
    betas: pd.DataFrame
    factors: pd.DataFrame
    portfolios: pd.DataFrame
    premia: pd.Series

    def __repr__(self) -> str:
        n_dates = len(self.factors)
        return (
            f"{type(self).__name__}({len(self.X) // n_dates} assets, {n_dates} dates, "
            f"{self.X.shape[1]} characteristics, {self.portfolios.shape[1]} portfolios)"
        )


@validate_params(
    {
        "model": [StrOptions({"a", "b"})],
        "n_assets": [Interval(Integral, 1, None, closed="left")],
        "n_dates": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, N_FACTORS, None, closed="left")],
        "n_portfolios": [Interval(Integral, N_FACTORS, None, closed="left")],
        "signal": ["boolean"],
        "noise_scale": [Interval(Real, 0, None, closed="left")],
        "burn_in": [Interval(Integral, 0, None, closed="left")],
        "start": [str],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_gkx_panel(
    model: GKXModel = "a",
    *,
    n_assets: int = 200,
    n_dates: int = 180,
    n_features: int = 50,
    n_portfolios: int = 50,
    signal: bool = True,
    noise_scale: float = 0.1,
    burn_in: int = 100,
    start: str = "2000-01",
    random_state: RandomState = None,
) -> GKXPanel:
    r"""Draw a panel whose betas are linear or nonlinear in three of many characteristics.

    The simulation of Gu, Kelly and Xiu [1]_, section 4.

    Parameters
    ----------
    model : {"a", "b"}, default="a"
        Betas that are linear (``"a"``) or nonlinear (``"b"``) in the characteristics.
    n_assets : int, default=200
        Number of assets, present on all dates.
    n_dates : int, default=180
        Number of months.
    n_features : int, default=50
        Number of characteristics, three of which matter.
    n_portfolios : int, default=50
        Number of simulated portfolios, three of which are factors up to a small noise.
    signal : bool, default=True
        With False the returns are their noise alone and the betas are zero; characteristics,
        factors, portfolios and noise are those of the panel with signal and the same seed.
    noise_scale : float, default=0.1
        Scale of the noise in the returns. Its standard deviation is :math:`\sqrt{5/3}` times
        that.
    burn_in : int, default=100
        Months for which the characteristics run, from zero, before those of the first date.
    start : str, default="2000-01"
        The first month. Dates are calendar month ends.
    random_state : int, RandomState instance or None, default=None
        Seed. Two draws with the same integer are equal, and differ between models in betas and
        returns only.

    Returns
    -------
    GKXPanel
        Characteristics, returns and portfolios, and the true betas and factors.

    See Also
    --------
    GKXPanel : What each table holds.
    make_stock_universe : A market with statements, prices, clusters and delistings.

    Notes
    -----
    .. math::
        r_{i,t} = \beta_{i,t-1}' f_t + \epsilon_{i,t}, \qquad f_t = W x_t + \eta_t, \qquad
        W = [I_3, 0],

    with :math:`x_t \sim N(0.03, 0.1^2 I)`, :math:`\eta_t \sim N(0, 0.01^2 I_3)` and
    :math:`\epsilon_{i,t}` Student's t with 5 degrees of freedom times ``noise_scale``. The
    characteristics are ranks across assets of autoregressions,

    .. math::
        c_{ij,t} = \frac{2}{n + 1} \mathrm{rank}(\bar c_{ij,t}) - 1, \qquad
        \bar c_{ij,t} = \rho_j \bar c_{ij,t-1} + e_{ij,t}, \qquad \rho_j \sim U[0.9, 1],
        \quad e_{ij,t} \sim N(0, 1),

    and the betas, in model (a) and in model (b),

    .. math::
        (1.2\, c_1, \; c_2, \; 0.8\, c_3)', \qquad
        (c_1^2, \; 2\, c_1 c_2, \; 0.6\, \mathrm{sgn}(c_3))'.

    There is no constant. The article states neither whether :math:`0.1^2` is a squared scale or
    the variance of :math:`\epsilon` nor how the autoregressions begin. As a scale it gives
    the article's total R²: for many assets the true betas and factors explain

    .. math::
        \frac{0.011\, \sum_k E \beta_k^2}{0.011\, \sum_k E \beta_k^2 + 0.01 \cdot 5/3},
        \qquad \sum_k E \beta_k^2 = \frac{3.08}{3} \;\text{(a)}, \quad
        \frac{1}{5} + \frac{4}{9} + 0.36 \;\text{(b)},

    that is 40.4 % in model (a) and 39.9 % in (b), and the true betas and expected factors 3.3 %
    in both (:math:`0.0009` in place of :math:`0.011` in the numerator). The article uses the
    first 60 dates to train, the next 60 to validate and the last 60 to test.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 2021.

    Examples
    --------
    >>> from skfactor.datasets import make_gkx_panel
    >>> panel = make_gkx_panel("a", random_state=0)
    >>> panel.X.shape
    (36000, 50)
    >>> fit = (panel.betas * panel.factors.reindex(panel.X.index, level="date")).sum(axis=1)
    >>> float(1 - ((panel.y - fit) ** 2).sum() / (panel.y**2).sum())
    0.39
    """
    rng = np.random.default_rng(draw_seed(random_state))
    characteristics = _rank_paths(rng, n_assets, n_dates, n_features, burn_in)
    portfolios = PORTFOLIO_MEAN + PORTFOLIO_SCALE * rng.standard_normal((n_dates, n_portfolios))
    factors = portfolios[:, :N_FACTORS] + FACTOR_NOISE * rng.standard_normal((n_dates, N_FACTORS))
    noise = noise_scale * rng.standard_t(NOISE_DEGREES_OF_FREEDOM, size=(n_dates, n_assets))
    betas = _betas(characteristics, model) * float(signal)
    returns = np.einsum("tnk,tk->tn", betas, factors) + noise

    dates = pd.date_range(start, periods=n_dates, freq=pd.offsets.MonthEnd(), name="date")
    assets = _names("A", n_assets, len(str(n_assets)))
    rows = pd.MultiIndex.from_product([dates, assets], names=["date", "asset"])
    factor_names = _names("f", N_FACTORS)
    return GKXPanel(
        X=pd.DataFrame(
            characteristics.reshape(-1, n_features), index=rows, columns=_names("c", n_features)
        ),
        y=pd.Series(returns.ravel(), index=rows, name="return"),
        betas=pd.DataFrame(betas.reshape(-1, N_FACTORS), index=rows, columns=factor_names),
        factors=pd.DataFrame(factors, index=dates, columns=factor_names),
        portfolios=pd.DataFrame(portfolios, index=dates, columns=_names("x", n_portfolios)),
        premia=pd.Series(PORTFOLIO_MEAN, index=factor_names, name="premium"),
    )


def _rank_paths(
    rng: np.random.Generator, n_assets: int, n_dates: int, n_features: int, burn_in: int
) -> FloatArray:
    """Return ranks in (-1, 1) of autoregressions, of shape (n_dates, n_assets, n_features)."""
    persistence = rng.uniform(0.9, 1.0, n_features)
    paths = np.empty((n_dates, n_assets, n_features))
    level = np.zeros((n_assets, n_features))
    for step in range(burn_in + n_dates):
        level = persistence * level + rng.standard_normal(level.shape)
        if step >= burn_in:
            paths[step - burn_in] = level
    ranks = paths.argsort(axis=1).argsort(axis=1) + 1
    result: FloatArray = 2.0 * ranks / (n_assets + 1) - 1.0
    return result


def _betas(characteristics: FloatArray, model: GKXModel) -> FloatArray:
    """Return the true betas of shape (n_dates, n_assets, 3)."""
    c1, c2, c3 = (characteristics[..., j] for j in range(N_FACTORS))
    columns = (
        (1.2 * c1, c2, 0.8 * c3) if model == "a" else (c1**2, 2.0 * c1 * c2, 0.6 * np.sign(c3))
    )
    return np.stack(columns, axis=-1)


def _names(letter: str, count: int, width: int = 0) -> pd.Index:
    return pd.Index([f"{letter}{number:0{width}d}" for number in range(1, count + 1)])
