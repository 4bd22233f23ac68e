"""Fits of a factor model whose betas and factor returns see different characteristics."""

import dataclasses

import numpy as np
import pandas as pd

from skfactor._kernels._sections import section_fits
from skfactor._typing import FloatArray, IntArray
from skfactor.factor_models._base import FactorModel
from skfactor.metrics._model_output import ModelRows
from skfactor.metrics._rows import returns_array
from skfactor.panel._panel import Panel

SIDES = ("both", "beta", "factor")


def panel_of(rows: ModelRows) -> Panel:
    """Return the rows as the model reads them, sorted by date."""
    if not isinstance(rows.model, FactorModel):
        raise TypeError(
            "`model` must be a factor model, or a pipeline that ends in one; got "
            f"{type(rows.model).__name__}. Pass a model of skfactor.factor_models."
        )
    where = {"dates": None, "assets": None, **rows.where}
    return rows.model._read(rows.X, where["dates"], where["assets"], rows.y)


def with_values(panel: Panel, X: FloatArray) -> Panel:
    """Return a panel with other characteristics in the same rows."""
    return dataclasses.replace(panel, X=X)


def sided_fits(model: FactorModel, of_betas: Panel, of_factors: Panel) -> FloatArray:
    """Average over members the betas of one panel times the factor returns of another.

    An alpha counts among the betas.

    Parameters
    ----------
    model : FactorModel
        Fitted.
    of_betas, of_factors : Panel
        The same rows, returns and dates, with the characteristics that betas and factor
        returns are to be computed from.

    Returns
    -------
    ndarray of shape (n_rows,)
        In the order of the panels.
    """
    total = np.zeros(of_betas.n_rows)
    for member in range(model._n_members):
        source = model._member_betas(of_factors, member)
        factors, _ = model._member_factors(of_factors, source, member)
        betas = source if of_betas is of_factors else model._member_betas(of_betas, member)
        total += section_fits(betas, factors, of_betas.starts)
    fits, alphas = total / model._n_members, model._alphas(of_betas)
    return fits if alphas is None else alphas + fits


def characteristic_names(rows: ModelRows) -> list[str]:
    """Return what the columns are called that the model reads."""
    columns = getattr(rows.X, "columns", None)
    if columns is not None and all(isinstance(column, str) for column in columns):
        return [str(column) for column in columns]
    named = getattr(rows.model, "feature_names_in_", None)
    if named is not None:
        return [str(name) for name in named]
    return [f"x{j}" for j in range(returns_array(rows.X, "X").shape[1])]


def characteristic_columns(model: FactorModel, panel: Panel) -> IntArray:
    """Return the positions of the columns that are characteristics, not weights of rows."""
    columns = np.arange(panel.X.shape[1])
    return np.setdiff1d(columns, model._other_columns())


def index_of(rows: ModelRows) -> pd.Index:
    """Return an index for results by row: that of the rows, or their places."""
    index = getattr(rows.X, "index", None)
    return index if isinstance(index, pd.Index) else pd.RangeIndex(len(rows.y))
