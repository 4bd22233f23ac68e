"""Factor models of several members that differ by their seed."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike
from skfactor.factor_models._base import FactorModel
from skfactor.panel._index import has_panel_index


class EnsembleFactorModel(FactorModel):
    """A factor model whose members differ by the seed they were trained from."""

    _rotates = True

    def beta_dispersion(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> Any:
        """Return the standard deviation of each beta over members: how much of it is seed luck.

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
        ndarray or DataFrame of shape (n_rows, n_factors)
            Standard deviations over aligned members; zeros with one member. A DataFrame with
            the index of ``X`` where that is a (date, asset) index.
        """
        panel = self._read(X, dates, assets)
        spread = panel.restore(np.std(list(self._all_betas(panel)), axis=0))
        if has_panel_index(X):
            return pd.DataFrame(spread, index=X.index, columns=self.factor_names_)
        return spread
