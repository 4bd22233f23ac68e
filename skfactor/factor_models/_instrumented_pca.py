"""Instrumented PCA: betas are linear in characteristics."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.exceptions import ConvergenceWarning

from skfactor._kernels._moments import moments_by_date
from skfactor._kernels._sections import section_fits
from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import Interval, column_label, join
from skfactor.factor_models._base import FactorHistory, FactorModel
from skfactor.factor_models._ipca_core import (
    AlternatingLeastSquares,
    factors_of_betas,
    fits_by_date,
    row_products,
)
from skfactor.factor_models._observed import observed_factors
from skfactor.factor_models._rank import dependent_columns
from skfactor.factor_models._risk import SpecificVariance
from skfactor.panel._index import show_date, stacklevel_of_user
from skfactor.panel._panel import Panel

# R² that may be lost to rounding without a word.
_LEAST_LOST = 1e-6


class InstrumentedPCA(FactorModel):
    r"""Instrumented PCA: betas that are linear in characteristics, on latent factors.

    The model of Kelly, Pruitt and Su [1]_. Characteristics known beforehand serve as
    instruments for betas, so that betas move with them and an asset never seen before has
    some, too. Factors are estimated from the returns, beside factors that are given.

    Parameters
    ----------
    n_factors : int, default=1
        Number of latent factors. 0 with ``factors``: betas on those alone.
    intercept : bool, default=False
        Whether characteristics may also earn returns that no factor explains, alphas.
    factors : DataFrame of shape (n_dates, n_observed), default=None
        Observed factors that stand beside the latent ones, with dates in the index (polars: in
        the first column), covering every date of ``X`` in ``fit`` and afterwards.
    ridge : float, default=0.0
        Shrinks factor returns to zero: this share of the mean of its diagonal is added to the
        diagonal of the characteristics' product :math:`Z_t' Z_t` of every date. It supposes
        characteristics of one scale.
    premia : str or PremiaForecast, default="expanding"
        How factor premia are forecast from past factor returns: ``"expanding"``,
        ``"rolling"``, ``"ewma"``, ``"ar1"`` or a :class:`PremiaForecast`.
    max_iter : int, default=1000
        Steps of alternating least squares, at most.
    tol : float, default=1e-6
        The steps stop when the latent loadings, on columns with a mean square of 1, turn by an
        angle with a smaller sine, and loadings on observed factors and alphas change by a
        smaller share.
    verbose : int, default=0
        1 prints the change and the R² of every step.

    Attributes
    ----------
    gamma_ : ndarray of shape (n_features, n_factors_total)
        :math:`\Gamma`: what a unit of each characteristic adds to the betas on
        ``factor_names_``. Its latent columns are orthonormal.
    alpha_ : ndarray of shape (n_features,)
        :math:`\Gamma_\alpha`: what a unit of each characteristic adds to alpha; zeros without
        ``intercept``.
    n_iter_ : int
        Steps of alternating least squares.
    factor_returns_ : DataFrame of shape (n_dates, n_factors_total)
        Known factor returns.
    risk_premia_ : Series of shape (n_factors_total,)
        The premia in force after the last known date.
    factor_names_ : list of str
        Names of the factors, latent ones first.
    dates_ : Index of shape (n_dates,) or None
        The dates of ``fit``.
    n_features_in_ : int
        The number of characteristics.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they are all strings.

    See Also
    --------
    PCAFactorModel : Betas that an asset keeps.
    ConditionalAutoencoderFactorModel : Betas that a network makes of characteristics.
    skfactor.inference.ipca_alpha_test : Tests that characteristics earn no alphas.
    skfactor.inference.ipca_characteristic_test : Tests that a characteristic moves no beta.

    Notes
    -----
    With characteristics :math:`z_{i,t-1}`, latent factors :math:`f_t` and observed factors
    :math:`g_t`, the model

    .. math::

        r_{i,t} = z_{i,t-1}' \left( \Gamma_\alpha + \Gamma_\beta f_t + \Gamma_\delta g_t \right)
        + \varepsilon_{i,t}

    is fitted by least squares over all observed returns. Given the loadings, the factors of
    each date follow by a regression of the date; given the factors, the loadings follow by a
    regression over all dates. Both need no more of the panel than :math:`Z_t' Z_t` and
    :math:`Z_t' r_t`, so that after one pass over the rows a step costs the same for any number
    of assets. Steps are extrapolated (Anderson's acceleration) wherever that lowers the sum of
    squares.

    **Identification.** :math:`\Gamma_\beta' \Gamma_\beta = I`; the second moments of latent
    factors are diagonal and fall; their means are not negative. :math:`\Gamma_\alpha` and
    :math:`\Gamma_\delta` are orthogonal to :math:`\Gamma_\beta`: what they share with it is
    counted as factor returns. Betas and factor returns have no sign and rotation of their own
    beyond this convention.

    **Units.** Fits do not depend on the units of the columns, as long as ``ridge`` is 0; the
    convention does, and with it the loadings and which factor comes first. Columns of one scale,
    such as :class:`~skfactor.preprocessing.CrossSectionalScaler` gives, are easier to compare.

    **Columns that are zero or made up of others** leave some loadings undetermined: those of
    least norm are taken, and a warning names the columns. A column that is zero on some dates
    alone, such as a characteristic that is not recorded yet, is named where a factor has come to
    live on it, whose returns on those dates are poorly determined. A date with fewer assets than
    characteristics is no problem; on a date with fewer assets than factors the factor returns
    of least norm are taken, and on one without returns they are zero.

    Include a constant among the characteristics unless every asset is to have betas of zero
    at the average of its date.

    References
    ----------
    .. [1] B. Kelly, S. Pruitt and Y. Su, "Characteristics are covariances: A unified model of
       risk and return", Journal of Financial Economics 134, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import InstrumentedPCA
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2015-01", periods=60, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(100)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (6000, 3)), index, ["size", "value", "noise"])
    >>> X["constant"] = 1.0
    >>> f = rng.normal(0.01, 0.05, (60, 2))[index.codes[0]]
    >>> betas = np.column_stack([X["constant"] + X["size"], X["value"]])
    >>> y = pd.Series((betas * f).sum(axis=1) + rng.normal(0, 0.05, 6000), index)
    >>> model = InstrumentedPCA(n_factors=2).fit(X, y)
    >>> pd.DataFrame(model.gamma_, model.feature_names_in_, model.factor_names_).round(2)
              factor1  factor2
    size         0.71    -0.03
    value        0.03     1.00
    noise        0.02     0.00
    constant     0.70    -0.02
    >>> round(model.score(X, y), 2)
    0.62
    """

    gamma_: FloatArray
    alpha_: FloatArray
    n_iter_: int
    _observed_names: list[str]

    _parameter_constraints: dict[str, list[Any] | str] = {
        "n_factors": [Interval(Integral, 0, None, closed="left")],
        "intercept": ["boolean"],
        "factors": "no_validation",
        "ridge": [Interval(Real, 0, None, closed="left")],
        "premia": "no_validation",
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_factors: int = 1,
        *,
        intercept: bool = False,
        factors: Any = None,
        ridge: float = 0.0,
        premia: Any = "expanding",
        max_iter: int = 1000,
        tol: float = 1e-6,
        verbose: int = 0,
    ) -> None:
        self.n_factors = n_factors
        self.intercept = intercept
        self.factors = factors
        self.ridge = ridge
        self.premia = premia
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def _fit_panel(self, panel: Panel) -> bool:
        observed, names = observed_factors(self.factors, panel)
        n_observed = len(names)
        if self.intercept:
            observed = np.hstack([observed, np.ones((panel.n_dates, 1))])
        self._check_sizes(panel, observed.shape[1])
        moments = moments_by_date(panel.X, panel.returns, panel.starts)
        total = moments.gram.sum(axis=0)
        problem = AlternatingLeastSquares(moments, observed, self.n_factors, self.ridge)
        if problem.span is not None:
            self._warn_dependent(dependent_columns(total), problem.n_columns)
        found = problem.fit(
            max_iter=self.max_iter, tol=self.tol, report=_print_step if self.verbose else None
        )
        if not (found.converged or found.interrupted):
            warnings.warn(
                f"Alternating least squares stopped after `max_iter` = {self.max_iter} steps, "
                f"before a step was below `tol` = {self.tol:g}. Raise `max_iter`, ask for fewer "
                "factors, or set a `ridge`.",
                ConvergenceWarning,
                stacklevel=stacklevel_of_user(),
            )
        self._warn_weak(panel, *problem.weak_dates(found.latent))
        self._warn_lost(found.lost, problem.sizes)
        self.gamma_ = np.hstack([found.latent, found.observed[:, :n_observed]])
        self.alpha_ = found.observed[:, -1] if self.intercept else np.zeros(len(found.latent))
        self.n_iter_ = found.n_iter
        self._observed_names = names
        self.factor_names_ = self._names()
        known = np.hstack([found.factors, observed[:, :n_observed]])
        estimated = panel.has_returns | (self.n_factors == 0)
        dates = None if panel.dates is None else panel.dates[estimated]
        self._remember(FactorHistory(dates, known[None, estimated]))
        fit, leverage = fits_by_date(
            panel.X,
            np.hstack([found.latent, found.observed]),
            np.hstack([found.factors, observed]),
            problem.roots_of(found.latent),
            panel.starts,
        )
        self._specific = SpecificVariance.of_residuals(
            panel.returns - fit, 1.0 - leverage, panel.asset_codes, panel.assets
        )
        return found.interrupted

    def _member_betas(self, panel: Panel, member: int) -> FloatArray:
        return row_products(panel.X, self.gamma_)

    def _member_factors(
        self, panel: Panel, betas: FloatArray, member: int
    ) -> tuple[FloatArray, FloatArray | None]:
        known, _ = observed_factors(self.factors, panel)
        K = self.gamma_.shape[1] - known.shape[1]
        if not K:
            return known, None
        returns = panel.returns - self._alphas(panel)
        if known.shape[1]:
            returns -= section_fits(betas[:, K:], known, panel.starts)
        latent, leverage = factors_of_betas(
            betas[:, :K], returns, panel.X, panel.starts, self.ridge
        )
        return np.hstack([latent, known]), leverage

    def _names(self) -> list[str]:
        return super()._names() + self._observed_names

    def predict(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> Any:
        r"""Return the expected return of each row: alpha, and betas times the factors' premia.

        The premia that serve date :math:`t` are forecast from factor returns known before
        :math:`t`: those of ``fit`` and of ``update``. Rows dated later than all of them, and
        rows without a date, take the premia in force, ``risk_premia_``. Alpha is there with
        ``intercept`` alone.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where ``X`` has no (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        ndarray or Series of shape (n_rows,)
            Expected excess returns as decimals a period. A Series with the index of ``X``
            where that is a (date, asset) index.
        """
        expected = super().predict(X, dates=dates, assets=assets)
        if not self._has_alphas:
            return expected
        return expected + self.alphas(X, dates=dates, assets=assets)

    def alphas(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> Any:
        r"""Return the alpha of each row, :math:`z_{i,t-1}' \Gamma_\alpha`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        dates : array-like of shape (n_rows,), default=None
            The date of each row; alphas do not depend on it but through the row.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        ndarray or Series of shape (n_rows,)
            Returns as decimals a period that no factor explains; zeros without ``intercept``.
            A Series with the index of ``X`` where that is a (date, asset) index.
        """
        panel = self._read(X, dates, assets)
        return self._series(X, panel.restore(self._alphas(panel)))

    @property
    def _has_alphas(self) -> bool:
        return bool(self.alpha_.any())

    def _alphas(self, panel: Panel) -> FloatArray:
        if not self._has_alphas:
            return np.zeros(panel.n_rows)
        return row_products(panel.X, self.alpha_[:, None])[:, 0]

    def _learn_members(self, panel: Panel) -> None:
        """Do nothing: alternating least squares has found factor returns already."""

    def _check_sizes(self, panel: Panel, n_observed: int) -> None:
        n_features = panel.X.shape[1]
        if self.n_factors == 0 and not n_observed:
            raise ValueError(
                "`n_factors` must be at least 1 unless there are observed `factors` or an "
                "`intercept`; got 0."
            )
        limit, what = n_features, "the number of columns of X"
        if n_observed:
            # Other loadings are orthogonal to latent ones and need a direction of their own.
            limit, what = n_features - 1, "one fewer than columns of X beside other loadings"
        if self.n_factors > limit:
            raise ValueError(
                f"`n_factors` must be at most {limit}, {what}; got {self.n_factors} "
                f"(n_features={n_features})."
            )
        if panel.dates is not None and self.n_factors > panel.n_dates:
            raise ValueError(
                f"`n_factors` must be at most {panel.n_dates}, the number of dates; "
                f"got {self.n_factors}."
            )

    def _warn_dependent(self, columns: Any, rank: int) -> None:
        names = getattr(self, "feature_names_in_", None)
        needed = self.n_factors + bool(self.intercept or self.factors is not None)
        if rank < max(needed, 1):
            raise ValueError(
                f"X must have at least {max(needed, 1)} linearly independent columns for "
                f"`n_factors` = {self.n_factors}; got {rank} (n_features={self.n_features_in_})."
            )
        warnings.warn(
            f"The columns of X must be linearly independent; got "
            f"{join([column_label(j, names) for j in columns])}, zero or made up of the columns "
            "before. Of the loadings that fit alike, those of least norm are taken. Drop those "
            "columns, or set a `ridge`.",
            LinAlgWarning,
            stacklevel=stacklevel_of_user(),
        )

    def _warn_weak(self, panel: Panel, weak: IntArray, columns: IntArray) -> None:
        if not len(weak):
            return
        names = getattr(self, "feature_names_in_", None)
        where = ""
        if panel.dates is not None:
            first, last = show_date(panel.dates[weak[0]]), show_date(panel.dates[weak[-1]])
            where = f", from {first} to {last}" if len(weak) > 1 else f", {first}"
        warnings.warn(
            f"On {len(weak)} of {panel.n_dates} dates{where}, characteristics hardly tell the "
            "latent factors apart: factor returns of those dates are poorly determined and can "
            "be huge, and so can premia that average them. The columns at fault are "
            f"{join([column_label(j, names) for j in columns])}. Leave those columns or dates "
            "out, ask for fewer factors, or set a `ridge`, such as 1e-3.",
            LinAlgWarning,
            stacklevel=stacklevel_of_user(),
        )

    def _warn_lost(self, lost: float, sizes: FloatArray) -> None:
        if lost <= _LEAST_LOST:
            return
        names = getattr(self, "feature_names_in_", None)
        least, most = int(np.argmin(sizes)), int(np.argmax(sizes))
        warnings.warn(
            f"Rounding has cost {lost:.2g} of R²: orthonormal loadings cannot hold columns as "
            f"unlike in size as {column_label(least, names)}, of root mean square "
            f"{sizes[least]:.2g}, and {column_label(most, names)}, of {sizes[most]:.2g}. Bring "
            "the columns to one scale, such as by CrossSectionalScaler.",
            LinAlgWarning,
            stacklevel=stacklevel_of_user(),
        )


def _print_step(step: int, change: float, rsquared: float) -> None:
    print(f"step {step:4d}: change {change:.2e}, R² {rsquared:.6f}")
