"""Principal components: betas that an asset keeps."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from skfactor._kernels._sections import section_least_squares
from skfactor._typing import FloatArray, IntArray
from skfactor._validation import Interval
from skfactor.factor_models._base import FactorModel
from skfactor.factor_models._pca_core import components_with_gaps
from skfactor.panel._index import stacklevel_of_user
from skfactor.panel._panel import Panel

# Betas from fewer returns than this are hardly more than noise.
_MIN_RETURNS = 12


class PCAFactorModel(FactorModel):
    r"""Principal components of returns: betas that an asset keeps, on latent factors.

    Characteristics are not looked at and may be missing: of ``X`` it is the index that counts.
    Assets may come and go. With ``gamma`` above 0 factors are chosen for the mean returns that
    they explain as well as for the variation: the risk-premium PCA of Lettau and Pelger [1]_.

    Parameters
    ----------
    n_factors : int, default=1
        Number of latent factors, at most the number of dates and of assets.
    gamma : float, default=0.0
        How much mean returns count beside second moments. 0 is plain PCA of second moments,
        -1 PCA of the covariance; 10 to 20 are usual for risk-premium PCA.
    min_obs : int or None, default=None
        The fewest returns an asset needs for betas of its own; others have the mean betas.
        None means 12, or one more than ``n_factors`` if that is more, or the number of dates
        if that is less.
    premia : str or PremiaForecast, default="expanding"
        How factor premia are forecast from past factor returns: ``"expanding"``,
        ``"rolling"``, ``"ewma"``, ``"ar1"`` or a :class:`PremiaForecast`.
    max_iter : int, default=1000
        Steps, at most, where the panel has gaps.
    tol : float, default=1e-6
        The steps stop when the root mean square change of factor returns is below this share
        of their own root mean square.
    verbose : int, default=0
        1 prints the change of every step.

    Attributes
    ----------
    betas_ : DataFrame of shape (n_assets, n_factors)
        The betas of the assets with enough returns.
    mean_beta_ : ndarray of shape (n_factors,)
        Their mean, which every other asset has.
    n_iter_ : int
        Steps taken; 1 for a panel without gaps.
    factor_returns_ : DataFrame of shape (n_dates, n_factors)
        Known factor returns.
    risk_premia_ : Series of shape (n_factors,)
        The premia in force after the last known date.
    factor_names_ : list of str
        Names of the factors.
    dates_ : Index of shape (n_dates,) or None
        The dates of ``fit``.
    n_features_in_ : int
        The number of columns of ``X``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they are all strings.

    See Also
    --------
    InstrumentedPCA : Betas that move with characteristics.
    skfactor.linear_model.FamaFrenchRegressor : Betas on factors that are given.

    Notes
    -----
    In a panel without gaps the betas are the leading eigenvectors of
    :math:`R'R / T + \gamma \, \bar r \bar r'`, and factor returns are the regressions of the
    returns of each date on them: of all betas and factor returns these leave the least of

    .. math::

        \sum_i \left[ \sum_t (r_{i,t} - \beta_i' f_t)^2
        + \gamma \, n_i \Big( \frac{1}{n_i} \sum_t (r_{i,t} - \beta_i' f_t) \Big)^2 \right],

    where :math:`n_i` counts the returns of an asset. With gaps, where least squares may end in
    huge factor returns that serve the assets with the shortest histories alone, it is the
    likelihood of probabilistic principal components [2]_ that is maximised, by expectation and
    maximisation over the observed returns: factor returns and the variance of the errors are
    estimated with betas drawn from :math:`N(0, I)`, and

    .. math::

        \beta_i = (F_i' W_i F_i + \sigma^2 I)^{-1} F_i' W_i r_i,
        \qquad W_i = I + \frac{\gamma}{n_i} 1 1',

    are then their means given the :math:`n_i` returns of an asset, shrunk the more the fewer
    these are. Without gaps this is the solution above.

    **Identification.** Betas are orthogonal with a mean square of 1 over assets; factors come
    in falling order of their second moments, in which squared means count
    :math:`1 + \gamma` times; the means of factor returns are not negative.

    **Assets.** An asset is found again by its identifier. One that ``fit`` has not seen, or
    not often enough, has the mean betas; it does not take part in estimating factor returns
    unless no other asset is there. Rows without dates are one cross-section, from which no
    betas can be learnt: every beta on the first factor is 1 then, and its return is the mean
    return.

    References
    ----------
    .. [1] M. Lettau and M. Pelger, "Estimating latent asset-pricing factors", Journal of
       Econometrics 218, 2020.
    .. [2] M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis", Journal
       of the Royal Statistical Society B 61, 1999.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import PCAFactorModel
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2015-01", periods=60, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(100)], names=["date", "asset"])
    >>> betas = rng.normal(1.0, 0.5, 100)[index.codes[1]]
    >>> f = rng.normal(0.01, 0.05, 60)[index.codes[0]]
    >>> y = pd.Series(betas * f + rng.normal(0, 0.05, 6000), index)
    >>> model = PCAFactorModel(n_factors=1).fit(y.to_frame("any column"), y)
    >>> model.betas_.head(3).round(2)
           factor1
    asset
    0         0.86
    1         0.74
    2         1.07
    >>> round(model.score(y.to_frame("any column"), y), 2)
    0.56
    """

    betas_: pd.DataFrame
    mean_beta_: FloatArray
    n_iter_: int

    _parameter_constraints: dict[str, list[Any] | str] = {
        "n_factors": [Interval(Integral, 1, None, closed="left")],
        "gamma": [Interval(Real, -1, None, closed="left")],
        "min_obs": [None, Interval(Integral, 1, None, closed="left")],
        "premia": "no_validation",
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_factors: int = 1,
        *,
        gamma: float = 0.0,
        min_obs: int | None = None,
        premia: Any = "expanding",
        max_iter: int = 1000,
        tol: float = 1e-6,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.gamma = gamma
        self.min_obs = min_obs
        self.premia = premia
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Of rows without dates and assets nothing but the mean return is known.
        tags.regressor_tags.poor_score = True
        tags.input_tags.allow_nan = True
        return tags

    def _fit_panel(self, panel: Panel) -> bool:
        if panel.dates is None:
            self.betas_ = pd.DataFrame(np.empty((0, self.n_factors)), columns=self._names())
            self.mean_beta_ = np.eye(self.n_factors)[0]
            self.n_iter_ = 1
            return False
        if panel.assets is None or panel.asset_codes is None:
            raise ValueError(
                "PCAFactorModel must know which asset each row is, because betas are an asset's "
                "own; got dates alone. Give X or y a (date, asset) index, or pass `assets=`."
            )
        returns = np.full((panel.n_dates, len(panel.assets)), np.nan)
        returns[panel.date_codes, panel.asset_codes] = panel.returns
        kept = self._usable(returns)
        returns = returns[:, kept]
        found = components_with_gaps(
            returns[~np.isnan(returns).all(axis=1)],
            self.n_factors,
            self.gamma,
            max_iter=self.max_iter,
            tol=self.tol,
            report=_print_step if self.verbose else None,
        )
        if not (found.converged or found.interrupted):
            warnings.warn(
                f"Principal components with gaps stopped after `max_iter` = {self.max_iter} "
                f"steps, before a step was below `tol` = {self.tol:g}. Raise `max_iter` or "
                "`min_obs`, or ask for fewer factors.",
                ConvergenceWarning,
                stacklevel=stacklevel_of_user(),
            )
        assets = panel.assets[kept].rename("asset")
        self.betas_ = pd.DataFrame(found.betas, index=assets, columns=self._names())
        self.mean_beta_ = found.betas.mean(axis=0)
        self.n_iter_ = found.n_iter
        return found.interrupted

    def _usable(self, returns: FloatArray) -> np.ndarray:
        """Return which assets have enough returns, or raise if there are too few of them."""
        counts = (~np.isnan(returns)).sum(axis=0)
        n_dates = int((~np.isnan(returns)).any(axis=1).sum())
        least = self.min_obs
        if least is None:
            least = min(max(_MIN_RETURNS, self.n_factors + 1), n_dates)
        kept: np.ndarray = counts >= least
        returns = returns[:, kept]
        limits = {
            f"assets with at least {least} returns": int(kept.sum()),
            "dates on which these have returns": int((~np.isnan(returns)).any(axis=1).sum()),
        }
        what, limit = min(limits.items(), key=lambda item: item[1])
        if self.n_factors > limit:
            raise ValueError(
                f"`n_factors` must be at most {limit}, the number of {what}; got {self.n_factors}."
            )
        return kept

    def _own_rows(self, panel: Panel) -> IntArray:
        """Return the place of each row's asset in ``betas_``, -1 if it has none."""
        if panel.assets is None or panel.asset_codes is None:
            return np.full(panel.n_rows, -1)
        places: IntArray = self.betas_.index.get_indexer(panel.assets)[panel.asset_codes]
        return places

    def _member_betas(self, panel: Panel, member: int) -> FloatArray:
        known = np.vstack([self.betas_.to_numpy(), self.mean_beta_])
        betas: FloatArray = known[self._own_rows(panel)]
        return betas

    def _member_factors(
        self, panel: Panel, betas: FloatArray, member: int
    ) -> tuple[FloatArray, FloatArray | None]:
        own = (self._own_rows(panel) >= 0) & ~np.isnan(panel.returns)
        alone = np.bincount(panel.date_codes, own, panel.n_dates) == 0
        weights = (own | alone[panel.date_codes]).astype(np.float64)
        return section_least_squares(betas, panel.returns, panel.starts, weights=weights)


def _print_step(step: int, change: float) -> None:
    print(f"step {step:4d}: change {change:.2e}")
