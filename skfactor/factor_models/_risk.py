"""What a factor model says about risk: loadings, factor covariance, specific variance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray

# Fewer residuals than this say little of one asset's own variance.
_MIN_RESIDUALS = 12


@dataclass(frozen=True, eq=False, repr=False)
class RiskModel:
    r"""The covariance of returns, :math:`B \Sigma_f B' + D`, in its parts.

    Parameters
    ----------
    loadings : DataFrame of shape (n_assets, n_loadings)
        :math:`B`. An ensemble of ``M`` members has the loadings of all of them, divided by
        ``M``, so that these are the loadings of its mean fit.
    factor_covariance : DataFrame of shape (n_loadings, n_loadings)
        :math:`\Sigma_f`, of decimal returns a period.
    specific_variance : Series of shape (n_assets,)
        The diagonal of :math:`D`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.factor_models import RiskModel
    >>> risk = RiskModel(
    ...     loadings=pd.DataFrame({"MKT": [1.0, 0.5]}, index=["A", "B"]),
    ...     factor_covariance=pd.DataFrame({"MKT": [0.04]}, index=["MKT"]),
    ...     specific_variance=pd.Series([0.01, 0.02], index=["A", "B"]),
    ... )
    >>> risk
    RiskModel: 2 assets × 1 loadings, specific volatility 0.1 to 0.141
    >>> risk.covariance()
          A     B
    A  0.05  0.02
    B  0.02  0.03
    """

    loadings: pd.DataFrame
    factor_covariance: pd.DataFrame
    specific_variance: pd.Series

    def __repr__(self) -> str:
        n_assets, n_loadings = self.loadings.shape
        head = f"{type(self).__name__}: {n_assets} assets × {n_loadings} loadings"
        if not n_assets:
            return head
        least, most = np.sqrt(self.specific_variance.agg(["min", "max"]))
        return f"{head}, specific volatility {least:.3g} to {most:.3g}"

    def covariance(self) -> pd.DataFrame:
        """Return the covariance of the assets' returns.

        Returns
        -------
        DataFrame of shape (n_assets, n_assets)
            Symmetric and positive semi-definite.
        """
        B = self.loadings.to_numpy()
        total = B @ self.factor_covariance.to_numpy() @ B.T
        total = (total + total.T) / 2
        total[np.diag_indices_from(total)] += self.specific_variance.to_numpy()
        return pd.DataFrame(total, index=self.loadings.index, columns=self.loadings.index)


def risk_of_members(
    betas: Sequence[FloatArray],
    factors: FloatArray,
    specific_variance: pd.Series,
    factor_names: Sequence[str],
) -> RiskModel:
    """Return the risk of the mean fit of members.

    Parameters
    ----------
    betas : sequence of ndarray of shape (n_assets, n_factors)
        The betas of each member.
    factors : ndarray of shape (n_members, n_dates, n_factors)
        Their factor returns; their covariance is zero where there is one date alone.
    specific_variance : Series of shape (n_assets,)
        The variance of each asset's residuals, by asset.
    factor_names : sequence of str
        Names of the factors, the same in each member.
    """
    n_members, n_dates, _ = factors.shape
    names = specific_variance.index
    labels: Any = list(factor_names)
    if n_members > 1:
        labels = pd.MultiIndex.from_product(
            [range(n_members), factor_names], names=["member", "factor"]
        )
    stacked = factors.transpose(1, 0, 2).reshape(n_dates, -1)
    spread = np.zeros((stacked.shape[1],) * 2)
    if n_dates > 1:
        spread = np.atleast_2d(np.cov(stacked, rowvar=False))
    return RiskModel(
        pd.DataFrame(np.hstack(betas) / n_members, index=names, columns=labels),
        pd.DataFrame(spread, index=labels, columns=labels),
        specific_variance.rename("specific_variance"),
    )


@dataclass(frozen=True, eq=False)
class SpecificVariance:
    """Variance of the residuals of each asset seen in ``fit``, and of all of them together.

    Parameters
    ----------
    pooled : float
        The variance of all residuals.
    assets : pandas.Index or None
        The assets with enough residuals of their own.
    values : ndarray of shape (n_assets,)
        Their variances.
    """

    pooled: float
    assets: pd.Index | None
    values: FloatArray

    @classmethod
    def of_residuals(
        cls,
        residuals: FloatArray,
        freedom: FloatArray,
        asset_codes: IntArray | None,
        assets: pd.Index | None,
    ) -> "SpecificVariance":
        """Divide sums of squared residuals by their degrees of freedom.

        Parameters
        ----------
        residuals : ndarray of shape (n_rows,)
            ``NaN`` where there is none.
        freedom : ndarray of shape (n_rows,)
            One less the leverage of each row.
        asset_codes, assets : as in a panel
            None where assets are not known.
        """
        known = ~np.isnan(residuals)
        owners = np.zeros(len(residuals), dtype=np.intp) if asset_codes is None else asset_codes
        n = 1 if asset_codes is None or assets is None else len(assets)
        # One after another: each is as long as the panel, and weights are copied once more.
        count = np.bincount(owners, known, n)
        values = np.where(known, residuals, 0.0)
        total = np.bincount(owners, np.square(values, out=values), n)
        free = np.bincount(owners, np.where(known, freedom, 0.0), n)
        pooled = float(total.sum() / max(free.sum(), 1.0))
        if asset_codes is None or assets is None:
            return cls(pooled, None, np.empty(0))
        enough = (count >= _MIN_RESIDUALS) & (free > 1.0)
        return cls(pooled, assets[enough], total[enough] / free[enough])

    def of_assets(self, assets: pd.Index | None, n_rows: int) -> FloatArray:
        """Return the variance of each asset, the pooled one where it has none of its own."""
        result = np.full(n_rows, self.pooled)
        if self.assets is not None and assets is not None:
            places = self.assets.get_indexer(assets)
            result[places >= 0] = self.values[places[places >= 0]]
        return result
