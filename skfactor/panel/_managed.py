"""Portfolios whose weights are characteristics."""

import itertools
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.linalg import LinAlgWarning
from sklearn.base import BaseEstimator

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import column_label, join
from skfactor.panel._index import show_date, stacklevel_of_user
from skfactor.panel._panel import Panel, validate_panel

_SHOWN_DATES = 3
# A column takes part in a collinearity if it has at least this share in a null direction.
_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class ManagedReturns:
    """Returns of managed portfolios, and where they are not unique.

    Parameters
    ----------
    values : ndarray of shape (n_dates, n_portfolios)
        ``NaN`` on a date without observed returns.
    deficient : ndarray of shape (n_dates,)
        Whether the characteristics of the date are linearly dependent.
    few : ndarray of shape (n_dates,)
        Whether that is for want of assets.
    involved : ndarray of shape (n_portfolios,)
        Whether a column is dependent on others on a date with enough assets.
    """

    values: FloatArray
    deficient: np.ndarray
    few: np.ndarray
    involved: np.ndarray


def managed_portfolios(
    X: ArrayLike,
    y: ArrayLike,
    *,
    dates: Any = None,
    kind: Literal["regression", "mean"] = "regression",
    constant: bool = False,
) -> pd.DataFrame:
    r"""Return the returns of portfolios managed by characteristics.

    .. math::

       x_t = (Z_t' Z_t)^{-1} Z_t' r_t \quad \text{(regression)}, \qquad
       x_t = Z_t' r_t / N_t \quad \text{(mean)},

    where :math:`Z_t` holds the characteristics of the :math:`N_t` assets of date :math:`t`,
    known before the return :math:`r_t` is earned.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Characteristics of each (date, asset) pair, without gaps, rows in any order.
    y : array-like of shape (n_rows,)
        Excess returns as decimals a period; ``NaN`` where the asset was known and its return
        is missing.
    dates : array-like of shape (n_rows,), default=None
        The date of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
    kind : {"regression", "mean"}, default="regression"
        ``"regression"``: slopes of a regression over the assets of each date, equation 16 of
        [1]_; each portfolio has exposure one to its characteristic and none to the others.
        ``"mean"``: mean of characteristic times return.
    constant : bool, default=False
        Whether to add a column of ones. With ``"mean"`` that is the equally weighted market.

    Returns
    -------
    DataFrame of shape (n_dates, n_features) or (n_dates, n_features + 1)
        Portfolio returns by date, the column ``"constant"`` first. ``NaN`` on a date without
        any observed return.

    Raises
    ------
    ValueError
        For gaps and infinities in ``X``, infinities in ``y``, duplicate (date, asset) pairs,
        and indexes of ``X`` and ``y`` that disagree.

    Warns
    -----
    LinAlgWarning
        If ``Z'Z`` is singular on some dates, with their number and the columns that are
        linearly dependent. The portfolios of these dates have minimum norm.

    Notes
    -----
    Weights are formed on all assets known before, whether or not their return is observed
    later: leaving out first those whose return will be missing would use the future. A weight
    on a missing return earns nothing.

    The cost is linear in the number of rows.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 429–450, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.panel import managed_portfolios
    >>> rng = np.random.default_rng(0)
    >>> index = pd.MultiIndex.from_product([[202401, 202402], range(50)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (100, 2)), index, columns=["size", "value"])
    >>> y = 0.03 * X["value"] + 0.01
    >>> managed_portfolios(X, y, constant=True).round(3).abs()
            constant  size  value
    date
    202401      0.01   0.0   0.03
    202402      0.01   0.0   0.03
    """
    if kind not in ("regression", "mean"):
        raise ValueError(f"`kind` must be 'regression' or 'mean'; got {kind!r}.")
    reader = _ManagedPortfolios()
    panel = validate_panel(reader, X, y, dates=dates, reset=True)
    columns = getattr(X, "columns", None)
    names = list(range(panel.X.shape[1])) if columns is None else list(columns)
    if constant and "constant" in names:
        raise ValueError(
            "No column of X may be called 'constant' where `constant=True`; got one. Rename it."
        )
    names = ["constant"] * constant + names
    result = managed_returns(panel, kind, constant)
    if result.deficient.any():
        _warn_of_deficient(result, panel, names)
    index = pd.RangeIndex(1) if panel.dates is None else panel.dates.rename("date")
    return pd.DataFrame(result.values, index=index, columns=names)


class _ManagedPortfolios(BaseEstimator):
    """Takes the names of the columns, as validation wants an estimator to hold them."""


def managed_returns(panel: Panel, kind: str, constant: bool) -> ManagedReturns:
    """Return the returns of managed portfolios on each date.

    Parameters
    ----------
    panel : Panel
        Characteristics and returns.
    kind : {"regression", "mean"}
        As :func:`managed_portfolios` takes it.
    constant : bool
        Whether a column of ones stands before the characteristics.

    Returns
    -------
    ManagedReturns
        In float64, whatever the type of the characteristics.
    """
    n_portfolios = panel.X.shape[1] + constant
    values = np.empty((panel.n_dates, n_portfolios))
    deficient = np.zeros(panel.n_dates, dtype=bool)
    involved = np.zeros(n_portfolios, dtype=bool)
    counts = np.diff(panel.starts)
    tolerance = _rank_tolerance(panel.X.dtype, n_portfolios)
    earned = np.nan_to_num(panel.returns, nan=0.0)
    for t, (start, stop) in enumerate(itertools.pairwise(panel.starts)):
        Z = panel.X[start:stop].astype(np.float64, copy=False)
        if constant:
            Z = np.column_stack([np.ones(len(Z)), Z])
        if kind == "mean":
            values[t] = earned[start:stop] @ Z / max(len(Z), 1)
            continue
        values[t], dependent = _regress(Z, earned[start:stop], tolerance)
        deficient[t] = dependent.any()
        if counts[t] >= n_portfolios:
            involved |= dependent
    values[~panel.has_returns] = np.nan
    return ManagedReturns(values, deficient, deficient & (counts < n_portfolios), involved)


def _regress(Z: FloatArray, r: FloatArray, tolerance: float) -> tuple[FloatArray, np.ndarray]:
    """Return slopes, of minimum norm if not unique, and which columns depend on others."""
    length = np.sqrt(np.einsum("ij,ij->j", Z, Z))
    slopes, dependent = np.zeros(len(length)), length == 0
    used = np.flatnonzero(length > 0)
    if not len(used):
        return slopes, dependent
    if len(used) < len(length):
        Z, length = Z[:, used], length[used]
    # Columns of length one, so that the rank does not depend on their units.
    roots, vectors = np.linalg.eigh((Z.T @ Z) / np.outer(length, length))
    kept = roots > tolerance
    basis = vectors[:, kept] / length[:, None]
    solution = basis @ ((basis.T @ (r @ Z)) / roots[kept])
    # The residuals bring back the digits that the square of Z has lost.
    solution += basis @ ((basis.T @ ((r - Z @ solution) @ Z)) / roots[kept])
    if not kept.all():
        dependent[used] = np.linalg.norm(vectors[:, ~kept], axis=1) > _SHARE
        null, _ = np.linalg.qr(vectors[:, ~kept] / length[:, None])
        solution -= null @ (null.T @ solution)
    slopes[used] = solution
    return slopes, dependent


def _rank_tolerance(dtype: Any, n_columns: int) -> float:
    """Return the least eigenvalue of Z'Z, with columns of length one, that is not rounding."""
    rounding = max(10 * np.finfo(np.float64).eps, float(np.finfo(dtype).eps) ** 2)
    return n_columns * rounding


def _warn_of_deficient(result: ManagedReturns, panel: Panel, names: list[Any]) -> None:
    parts = []
    few = np.flatnonzero(result.few)
    if len(few):
        parts.append(
            f"{len(few)} have fewer assets than the {len(names)} columns{_dates(panel, few)}"
        )
    other = np.flatnonzero(result.deficient & ~result.few)
    if len(other):
        labels = [column_label(j, names) for j in np.flatnonzero(result.involved)]
        parts.append(
            f"{len(other)} have linearly dependent columns{_dates(panel, other)}, among "
            f"{join(labels)}"
        )
    warnings.warn(
        f"Z'Z is singular on {int(result.deficient.sum())} of {panel.n_dates} dates, where "
        f"portfolios have minimum norm: {'; '.join(parts)}. Drop columns, or those dates.",
        LinAlgWarning,
        stacklevel=stacklevel_of_user(),
    )


def _dates(panel: Panel, places: IntArray) -> str:
    if panel.dates is None:
        return ""
    shown = ", ".join(show_date(panel.dates[t]) for t in places[:_SHOWN_DATES])
    return f" ({shown}{', ...' if len(places) > _SHOWN_DATES else ''})"
