"""Betas that are given: factor returns by regression on every date."""

import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from scipy.linalg import LinAlgWarning

from skfactor._kernels._moments import moments_by_date
from skfactor._kernels._sections import section_least_squares
from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import Interval, column_label, fit_method, join
from skfactor.factor_models._base import FactorModel
from skfactor.factor_models._premia import as_forecast
from skfactor.factor_models._rank import dependent_columns
from skfactor.panel._index import stacklevel_of_user
from skfactor.panel._panel import Panel, validate_panel


class CrossSectionalFactorModel(FactorModel):
    r"""Factor returns on betas that are given, by a regression on every date.

    The fundamental factor model of risk systems such as Barra's: the columns of ``X`` are the
    betas themselves (exposures: industries, countries, standardised characteristics), and the
    returns of their factors are the slopes of the returns of each date on them, by ordinary or
    weighted least squares.

    Parameters
    ----------
    fit_intercept : bool, default=False
        Whether every asset has a beta of 1 on a factor of its own, ``"intercept"``, the first.
    weights : str, int or None, default=None
        The column of ``X``, by name or position, that holds the weights of the rows: it is no
        beta then. The square root of the size of a company is usual. None weighs all alike,
        or as ``sample_weight`` says in ``fit``.
    ridge : float, default=0.0
        Penalty on squared factor returns, as a share of the betas' mean second moment.
    premia : str or PremiaForecast, default="expanding"
        How factor premia are forecast from past factor returns: ``"expanding"``,
        ``"rolling"``, ``"ewma"``, ``"ar1"`` or a :class:`PremiaForecast`.

    Attributes
    ----------
    factor_returns_ : DataFrame of shape (n_dates, n_factors)
        Known factor returns.
    risk_premia_ : Series of shape (n_factors,)
        The premia in force after the last known date.
    factor_names_ : list of str
        The names of the columns, ``"x0"``, ``"x1"``, ... where they have none; first
        ``"intercept"`` if there is one.
    dates_ : Index of shape (n_dates,) or None
        The dates of ``fit``.
    n_features_in_ : int
        The number of columns of ``X``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they are all strings.

    See Also
    --------
    skfactor.linear_model.FamaMacBeth : The same regressions, to test premia.
    skfactor.linear_model.FamaFrenchRegressor : The opposite: factors given, betas estimated.
    InstrumentedPCA : Both estimated.

    Notes
    -----
    With betas :math:`B_t`, known before the returns :math:`r_t` of the date are earned, and
    weights :math:`W_t` on the diagonal,

    .. math::

        f_t = (B_t' W_t B_t)^{+} B_t' W_t r_t

    over the assets whose return is observed. Where betas are collinear, such as an intercept
    beside a full set of industries, and on dates with fewer assets than factors, the slopes of
    least norm are taken; columns that are collinear over the whole panel are named in a
    warning. A date without returns has no factor returns.

    ``sample_weight`` serves the rows that it is given with, in ``fit`` and in ``score`` (there
    for the regressions and for the sums of squares). A column of weights serves every method.

    Factors made by such regressions, beside factors that are sorted portfolios, are the subject
    of [1]_.

    References
    ----------
    .. [1] E. F. Fama and K. R. French, "Comparing cross-section and time-series factor models",
       Review of Financial Studies 33, 1891–1926, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import CrossSectionalFactorModel
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2015-01", periods=60, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(100)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.normal(size=(6000, 2)), index, ["value", "momentum"])
    >>> f = rng.normal([0.005, 0.01], 0.03, (60, 2))[index.codes[0]]
    >>> y = (X * f).sum(axis=1) + rng.normal(0, 0.05, 6000)
    >>> model = CrossSectionalFactorModel(fit_intercept=True).fit(X, y)
    >>> model.risk_premia_.round(3)
    intercept    0.000
    value        0.008
    momentum     0.005
    Name: risk_premium, dtype: float64
    """

    _columns: IntArray
    _weights: int | None

    _parameter_constraints: dict[str, list[Any] | str] = {
        "fit_intercept": ["boolean"],
        "weights": [None, str, Integral],
        "ridge": [Interval(Real, 0, None, closed="left")],
        "premia": "no_validation",
    }

    def __init__(
        self,
        *,
        fit_intercept: bool = False,
        weights: str | int | None = None,
        ridge: float = 0.0,
        premia: Any = "expanding",
    ) -> None:
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.ridge = ridge
        self.premia = premia

    @fit_method
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        dates: Any = None,
        assets: Any = None,
    ) -> Self:
        """Estimate the factor returns of every date.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Betas of each (date, asset) pair, known before the return of the date is earned,
            without gaps.
        y : array-like of shape (n_rows,)
            Excess returns as decimals a period; ``NaN`` where the asset was known and its
            return is missing.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows in the regressions. Dates that are added later are not weighed
            by it: for that, name a column in ``weights``.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        object
            The fitted model.

        Raises
        ------
        ValueError
            For gaps and infinities in ``X``, infinities in ``y``, duplicate (date, asset)
            pairs, indexes of ``X`` and ``y`` that disagree, weights that are negative or given
            twice. What was fitted before is kept.

        Warns
        -----
        scipy.linalg.LinAlgWarning
            For columns that are zero or made up of others.
        """
        as_forecast(self.premia)
        panel = validate_panel(
            self, X, y, dates=dates, assets=assets, sample_weight=sample_weight, reset=True
        )
        if self.weights is not None and sample_weight is not None:
            raise ValueError(
                "Weights must be given once; got a column in `weights` and `sample_weight`. "
                "Leave one of them out."
            )
        self._fit_panel(panel)
        self._bases = None
        self.factor_names_ = self._names()
        self.dates_ = panel.dates
        self._learn_members(panel)
        return self

    def _fit_panel(self, panel: Panel) -> bool:
        self._weights = self._weights_column()
        columns = np.arange(panel.X.shape[1])
        self._columns = columns[columns != (-1 if self._weights is None else self._weights)]
        if not len(self._columns) and not self.fit_intercept:
            raise ValueError(
                "X must have a column of betas beside the weights, or `fit_intercept` be set; "
                f"got none (n_features={len(columns)})."
            )
        betas = self._member_betas(panel, 0)
        gram = moments_by_date(betas, panel.returns, panel.starts).gram.sum(axis=0)
        dependent = dependent_columns(gram)
        if len(dependent) and not self.ridge:
            names = self._names()
            warnings.warn(
                "Betas must be linearly independent; got "
                f"{join([column_label(j, names) for j in dependent])}, zero or made up of the "
                "columns before. Of the factor returns that fit alike, those of least norm are "
                "taken. Drop those columns, or set a `ridge`.",
                LinAlgWarning,
                stacklevel=stacklevel_of_user(),
            )
        return False

    def _other_columns(self) -> list[int]:
        return [] if self._weights is None else [self._weights]

    def _weights_column(self) -> int | None:
        if self.weights is None:
            return None
        names = getattr(self, "feature_names_in_", None)
        if isinstance(self.weights, str):
            if names is None or self.weights not in names:
                known = "X has no names" if names is None else join([repr(n) for n in names])
                raise ValueError(
                    f"`weights` must be a column of X; got {self.weights!r} ({known})."
                )
            return int(np.flatnonzero(names == self.weights)[0])
        if not 0 <= self.weights < self.n_features_in_:
            raise ValueError(
                f"`weights` must be the position of a column of X, from 0 to "
                f"{self.n_features_in_ - 1}; got {self.weights}."
            )
        return int(self.weights)

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        own = [f"x{j}" if names is None else str(names[j]) for j in self._columns]
        return ["intercept", *own] if self.fit_intercept else own

    def _member_betas(self, panel: Panel, member: int) -> FloatArray:
        betas = panel.X
        if len(self._columns) < betas.shape[1]:
            betas = betas[:, self._columns]
        if not self.fit_intercept:
            return betas
        return np.hstack([np.ones((panel.n_rows, 1), dtype=betas.dtype), betas])

    def _member_factors(
        self, panel: Panel, betas: FloatArray, member: int
    ) -> tuple[FloatArray, FloatArray | None]:
        weights = panel.weights
        if self._weights is not None:
            weights = panel.X[:, self._weights].astype(np.float64)
            if (weights < 0).any():
                label = column_label(self._weights, getattr(self, "feature_names_in_", None))
                count = int((panel.root.X[:, self._weights] < 0).sum())
                raise ValueError(f"Weights must not be negative; got {count} in {label}.")
        return section_least_squares(
            betas, panel.returns, panel.starts, ridge=self.ridge, weights=weights
        )
