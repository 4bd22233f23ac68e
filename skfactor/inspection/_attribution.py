"""Which factor earned a return."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike
from skfactor.inspection._sides import index_of, panel_of
from skfactor.metrics._model_output import model_rows
from skfactor.metrics._rows import returns_array
from skfactor.panel._agreement import refuse_weights_of_other_rows


def attribute_returns(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    dates: Any = None,
    assets: Any = None,
) -> pd.DataFrame:
    r"""Split returns into what each factor contributed and the rest.

    Parameters
    ----------
    model : estimator
        A fitted factor model, or a pipeline that ends in one.
    X : array-like of shape (n_rows, n_features)
        Rows as the model or the pipeline takes them.
    y : array-like of shape (n_rows,)
        Excess returns, ``NaN`` where missing.
    weights : array-like of shape (n_rows,), default=None
        Weights of a portfolio in each row, known before the return is earned; its return is
        then split date by date. Weights are taken as they are, and a weight on a missing return
        earns nothing. None splits the return of every row.
    dates, assets : array-like of shape (n_rows,), default=None
        Of each row, where neither ``X`` nor ``y`` has a (date, asset) index.

    Returns
    -------
    DataFrame
        A column a factor, :math:`\beta_{i,k,t-1} f_{k,t}`, and ``residual``, summing to the
        return; before them ``alpha``, if the model has any. One row for each row of ``X``, or
        for each date of a portfolio. The residual of a missing return is ``NaN``.

    Raises
    ------
    TypeError
        If ``model`` is not a factor model.
    ValueError
        For weights that are missing, and rows that the model refuses.

    See Also
    --------
    characteristic_importance : Which characteristics the betas rely on.

    Notes
    -----
    Contributions of the members of an ensemble are computed in their common rotation and
    averaged, so that they sum to the averaged fit. Latent factors are known up to a rotation:
    the sum of their contributions does not depend on it, the split does.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import InstrumentedPCA
    >>> from skfactor.inspection import attribute_returns
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2020-01", periods=24, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(100)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (2400, 3)), index, columns=["size", "value", "age"])
    >>> y = X["value"] * np.repeat(rng.normal(0.0, 0.05, 24), 100) + rng.normal(0.0, 0.02, 2400)
    >>> model = InstrumentedPCA(n_factors=1).fit(X, y)
    >>> parts = attribute_returns(model, X, y)
    >>> parts.columns.to_list(), bool(np.allclose(parts.sum(axis=1), y))
    (['factor1', 'residual'], True)
    """
    rows = model_rows(model, X, y, dates, assets)
    panel = panel_of(rows)
    parts = np.zeros((panel.n_rows, len(rows.model.factor_names_)))
    for found in rows.model._all_parts(panel):
        earned = found.betas * found.factors[found.panel.date_codes]
        parts[found.rows] += earned / rows.model._n_members
    names = list(rows.model.factor_names_)
    alphas = rows.model._alphas(panel)
    if alphas is not None and alphas.any():
        names, parts = ["alpha", *names], np.column_stack([alphas, parts])
    parts = panel.restore(parts)
    columns = [*names, "residual"]
    split = np.column_stack([parts, rows.y - parts.sum(axis=1)])
    if weights is None:
        return pd.DataFrame(split, index_of(rows), columns)
    held = returns_array(weights, "weights").ravel()
    if len(held) != len(rows.y) or np.isnan(held).any():
        raise ValueError(
            f"`weights` must have one weight for each of the {len(rows.y)} rows, none missing; "
            f"got {len(held)} with {np.isnan(held).sum()} missing. Give 0 to rows that are not "
            "held."
        )
    refuse_weights_of_other_rows(weights, "weights", X=X, y=y)
    seen = ~np.isnan(rows.y)
    held_parts = np.where(seen[:, None], held[:, None] * split, 0.0)
    by_date = np.stack(
        [np.bincount(rows.date_codes, column, minlength=panel.n_dates) for column in held_parts.T],
        axis=1,
    )
    index = pd.RangeIndex(1) if rows.dates is None else rows.dates.rename("date")
    return pd.DataFrame(by_date, index, columns)
