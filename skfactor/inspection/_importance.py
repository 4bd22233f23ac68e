"""Which characteristics a factor model relies on."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import listed
from skfactor.factor_models._base import FactorModel
from skfactor.inspection._sides import (
    SIDES,
    characteristic_columns,
    characteristic_names,
    panel_of,
    sided_fits,
    with_values,
)
from skfactor.metrics import total_r2_score
from skfactor.metrics._model_output import model_rows
from skfactor.panel._panel import Panel

_METHODS = ("zeroing", "gradient")
# Of a standard deviation: small against the bend of a net, large against float32 rounding.
_STEP = 1e-3


def characteristic_importance(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    method: str = "zeroing",
    side: str = "both",
    dates: Any = None,
    assets: Any = None,
) -> pd.DataFrame:
    r"""Rank characteristics by what the fits of a factor model owe to them.

    Parameters
    ----------
    model : estimator
        A fitted factor model, or a pipeline that ends in one: its characteristics are then
        those behind the steps before it.
    X : array-like of shape (n_rows, n_features)
        Rows, best of dates that the model was not fitted on.
    y : array-like of shape (n_rows,)
        Excess returns, ``NaN`` where missing.
    method : {"zeroing", "gradient"}, default="zeroing"
        ``"zeroing"``: the total R² lost when a characteristic is 0 for all assets on all dates
        and everything else stays, as in [1]_. For characteristics ranked to [−1, 1] or
        standardised 0 is the typical asset. ``"gradient"``: the mean absolute change of the
        fits by a unit of the characteristic, for small changes; not what the changes are
        worth.
    side : {"both", "beta", "factor"}, default="both"
        Where the characteristic changes: in the betas, in the factor returns, or in both.
    dates, assets : array-like of shape (n_rows,), default=None
        Of each row, where neither ``X`` nor ``y`` has a (date, asset) index.

    Returns
    -------
    DataFrame
        One row a characteristic, the most important first. For ``"zeroing"`` the columns
        ``r2_lost`` and ``r2_without``, the R² left; for ``"gradient"`` the column
        ``gradient``. ``share`` scales what is above zero to sum to 1. A column that holds the
        weights of the rows is left out.

    Raises
    ------
    TypeError
        If ``model`` is not a factor model.
    ValueError
        For ``method`` or ``side`` out of range, and rows that the model refuses.

    See Also
    --------
    skfactor.plotting.ImportanceDisplay : Draws it.
    attribute_returns : Which factor earned a return.

    Notes
    -----
    A fit is :math:`\beta(z_{i,t-1})' f_t`, averaged over the members of an ensemble. Of a model
    that estimates :math:`f_t` by least squares of returns on betas, the factor side is that
    estimate: ``side="beta"`` holds the factor returns of the intact betas.

    The measure is the plain total R², in which a model that estimates factor returns from the
    returns themselves has about K / N for nothing. Every characteristic has it, so that it
    cancels in what is lost. Characteristics that go together stand in for one another: both
    can look unimportant. Zeroing a characteristic that only adds noise gains, and ``r2_lost``
    is below zero.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 429–450, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import InstrumentedPCA
    >>> from skfactor.inspection import characteristic_importance
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2020-01", periods=24, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(100)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (2400, 3)), index, columns=["size", "value", "age"])
    >>> factor = np.repeat(rng.normal(0.0, 0.05, 24), 100)
    >>> y = X["value"] * factor + rng.normal(0.0, 0.02, 2400)
    >>> model = InstrumentedPCA(n_factors=1).fit(X, y)
    >>> characteristic_importance(model, X, y).index[0]
    'value'
    """
    for name, value, allowed in (("method", method, _METHODS), ("side", side, SIDES)):
        if value not in allowed:
            raise ValueError(f"`{name}` must be one of {listed(allowed)}; got {value!r}.")
    rows = model_rows(model, X, y, dates, assets)
    panel = panel_of(rows)
    columns = characteristic_columns(rows.model, panel)
    names = pd.Index(characteristic_names(rows), name="characteristic")[columns]
    if method == "zeroing":
        return _zeroing(rows.model, panel, side, columns, names)
    values = pd.DataFrame({"gradient": _gradients(rows.model, panel, side, columns)}, index=names)
    return _ranked(values, "gradient")


def _zeroing(
    model: FactorModel, panel: Panel, side: str, columns: IntArray, names: pd.Index
) -> pd.DataFrame:
    intact = total_r2_score(panel.returns, sided_fits(model, panel, panel))
    without = np.empty(len(names))
    for place, j in enumerate(columns):
        X = panel.X.copy()
        X[:, j] = 0.0
        without[place] = total_r2_score(panel.returns, _changed(model, panel, X, side))
    table = pd.DataFrame({"r2_lost": intact - without, "r2_without": without}, index=names)
    return _ranked(table, "r2_lost")


def _changed(model: FactorModel, panel: Panel, X: FloatArray, side: str) -> FloatArray:
    """Return the fits with other characteristics on one side or on both."""
    other = with_values(panel, X)
    return sided_fits(
        model, panel if side == "factor" else other, panel if side == "beta" else other
    )


def _gradients(model: FactorModel, panel: Panel, side: str, columns: IntArray) -> FloatArray:
    """Return the mean absolute derivative of fits with respect to each characteristic."""
    X = panel.X.astype(np.float64)
    spread = X.std(axis=0)
    means = np.empty(len(columns))
    for place, j in enumerate(columns):
        step = _STEP * spread[j] if spread[j] > 0 else _STEP
        moved = []
        for sign in (1.0, -1.0):
            changed = X.copy()
            changed[:, j] += sign * step
            moved.append(_changed(model, panel, changed, side))
        means[place] = np.abs(moved[0] - moved[1]).mean() / (2.0 * step)
    return means


def _ranked(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Add shares, and sort by importance."""
    gained = table[column].clip(lower=0.0)
    total = gained.sum()
    table["share"] = gained / total if total > 0 else np.nan
    return table.sort_values(column, ascending=False, kind="stable")
