"""What regressions on observable factors share: columns, prediction, score."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_is_fitted, check_sample_weight, validate_data
from skfactor.linear_model._alignment import align
from skfactor.linear_model._checks import (
    check_no_missing,
    independent_factors,
    warn_excess,
    warn_units,
)
from skfactor.linear_model._inputs import (
    Columns,
    Sample,
    asset_names,
    check_returns,
    choose_columns,
    make_sample,
    risk_free_of,
)
from skfactor.panel._agreement import refuse_weights_of_other_rows
from skfactor.panel._calendar import dates_of
from skfactor.panel._index import stacklevel_of_user


class FactorRegressionMixin(MultiOutputMixin, RegressorMixin):
    """Prediction and score from ``coef_``, ``intercept_`` and the columns in use."""

    risk_free: Any
    coef_: FloatArray
    intercept_: FloatArray
    asset_names_: Any
    factor_names_: Any
    n_features_in_: int
    _columns: Columns
    _one_series: bool

    def predict(self, X: ArrayLike) -> FloatArray:
        """Return the returns that the factors imply, in the form that ``y`` had in ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_dates, n_features)
            Factors, and the risk-free return if it is a column.

        Returns
        -------
        ndarray of shape (n_dates,) or (n_dates, n_assets)
            Alpha plus betas times factors, plus the risk-free return if ``risk_free`` was
            subtracted in ``fit``. ``NaN`` for an asset that could not be fitted. One-dimensional
            if ``y`` was.
        """
        check_is_fitted(self)
        factors, rate = self._read(X)
        fitted = factors @ self.coef_.T
        fitted += self.intercept_
        if rate is not None:
            fitted += rate[:, None]
        return fitted[:, 0] if self._one_series else fitted

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean over assets of the R² of their excess returns.

        Each asset counts by the dates on which it has a return. The mean is over assets that
        have coefficients and at least two returns. Without missing returns and without
        ``risk_free`` this is :func:`sklearn.metrics.r2_score`.

        Parameters
        ----------
        X : array-like of shape (n_dates, n_features)
            Factors, and the risk-free return if it is a column.
        y : array-like of shape (n_dates,) or (n_dates, n_assets)
            Returns of the assets seen in ``fit``, in that order; ``NaN`` where missing. Aligned
            with ``X`` as in ``fit``.
        sample_weight : array-like of shape (n_dates,), default=None
            The weight of each row of ``y``.

        Returns
        -------
        float
            At most 1; ``NaN`` if no asset can be judged.
        """
        check_is_fitted(self)
        returns, _ = check_returns(y)
        self._check_assets(y, returns.shape[1])
        factors, rate = self._read(X)
        alignment = align(X, y, len(factors), len(returns))
        if alignment.factor_rows is not None:
            factors = factors[alignment.factor_rows]
            rate = None if rate is None else rate[alignment.factor_rows]
        weight = check_sample_weight(sample_weight, returns)
        refuse_weights_of_other_rows(sample_weight, "sample_weight", y=y, X=X)
        if alignment.return_rows is not None:
            present = alignment.return_rows >= 0
            rows = alignment.return_rows[present]
            returns, weight, factors = returns[rows], weight[rows], factors[present]
            rate = None if rate is None else rate[present]
        return mean_r2(returns, factors, rate, self.coef_, self.intercept_, weight)

    def _read(self, X: Any) -> tuple[FloatArray, FloatArray | None]:
        """Return the factors in use and the risk-free return on the rows of ``X``."""
        table = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        factors = table[:, self._columns.factors]
        check_no_missing(factors, self._columns.names, dates_of(X))
        return factors, risk_free_of(X, table, self._columns, self.risk_free)

    def _check_assets(self, y: Any, n_assets: int) -> None:
        """Raise unless the columns of ``y`` are the assets of ``fit`` in the same order."""
        if n_assets != len(self.asset_names_):
            raise ValueError(
                f"y must have the {len(self.asset_names_)} assets seen in fit; got {n_assets}."
            )
        if hasattr(y, "columns"):
            names = asset_names(y, n_assets)
            wrong = [i for i in range(n_assets) if names[i] != self.asset_names_[i]]
            if wrong:
                raise ValueError(
                    "y must have the assets seen in fit in the same order; got "
                    f"{names[wrong[0]]!r} in column {wrong[0]} in place of "
                    f"{self.asset_names_[wrong[0]]!r} ({len(wrong)} columns differ). Select them "
                    "by y[model.asset_names_]."
                )


class FactorRegressor(FactorRegressionMixin, BaseEstimator):
    """The base of regressions on observable factors."""

    factors: Any
    fit_intercept: bool

    def _learn_sample(self, X: Any, y: Any) -> Sample:
        """Validate what ``fit`` was given, and store what it says about columns."""
        table = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        names = getattr(self, "feature_names_in_", None)
        columns, doubt = choose_columns(self.factors, self.risk_free, names, table.shape[1])
        values, one_series = check_returns(y)
        sample = make_sample(X, y, table, values, columns, self.risk_free)
        kept = independent_factors(
            sample.factors, columns.names, sample.dates, bool(self.fit_intercept)
        )
        if doubt is not None:
            warnings.warn(doubt, UserWarning, stacklevel=stacklevel_of_user())
        rate = sample.returns.risk_free
        doubtful = warn_units(sample.returns, sample.factors, columns.names, rate)
        if rate is not None and not doubtful:
            warn_excess(sample.returns, sample.factors, rate)
        self._columns = columns
        self._one_series = one_series
        self.factor_names_ = columns.names
        self.asset_names_ = asset_names(y, sample.returns.n_assets)
        return replace(sample, kept=kept)

    def __getstate__(self) -> dict[str, Any]:
        # The data stay with whoever holds them: a pickled model is its coefficients.
        state = dict(super().__getstate__())
        state.pop("_training", None)
        return state


def mean_r2(
    returns: FloatArray,
    factors: FloatArray,
    risk_free: FloatArray | None,
    coef: FloatArray,
    intercept: FloatArray,
    weight: FloatArray,
) -> float:
    """Return the mean R² over assets that can be judged, blocks of assets at a time."""
    total, count = 0.0, 0
    for start in range(0, returns.shape[1], 256):
        block = slice(start, start + 256)
        actual = np.asarray(returns[:, block], dtype=np.float64)
        if risk_free is not None:
            actual = actual - risk_free[:, None]
        residuals = actual - (factors @ coef[block].T + intercept[block])
        seen = ~np.isnan(residuals)
        judged = seen.sum(axis=0) >= 2
        if not judged.any():
            continue
        weights = np.where(seen, weight[:, None], 0.0)[:, judged]
        actual = np.where(seen, actual, 0.0)[:, judged]
        residuals = np.where(seen, residuals, 0.0)[:, judged]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (weights * actual).sum(axis=0) / weights.sum(axis=0)
            variation = (weights * (actual - mean) ** 2).sum(axis=0)
            error = (weights * residuals**2).sum(axis=0)
            # scikit-learn's convention where returns do not vary.
            r2 = np.where(variation > 0, 1.0 - error / variation, np.where(error > 0, 0.0, 1.0))
        total += float(r2.sum())
        count += len(r2)
    return total / count if count else float("nan")
