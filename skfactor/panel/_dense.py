"""Between a long panel and a cube of dates, assets and characteristics."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray
from skfactor.panel._coded import resolve_coded
from skfactor.panel._index import PanelIndex, as_assets, as_dates


class DensePanel(NamedTuple):
    """A panel as a cube; it unpacks as a tuple.

    Parameters
    ----------
    values : ndarray of shape (n_dates, n_assets, n_features) or (n_dates, n_assets)
        ``NaN`` where the panel has no row.
    mask : ndarray of shape (n_dates, n_assets)
        Whether the panel has a row, whatever is missing in it.
    dates : pandas.Index of shape (n_dates,)
        The dates in rising order.
    assets : pandas.Index of shape (n_assets,)
        The assets, sorted.
    columns : pandas.Index of shape (n_features,) or None
        Names of the columns; None for a single series.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.panel import to_dense
    >>> index = pd.MultiIndex.from_tuples(
    ...     [(202401, "A"), (202401, "B"), (202402, "B")], names=["date", "asset"]
    ... )
    >>> values, mask, *_ = to_dense(pd.Series([1.0, 2.0, 3.0], index))
    >>> values
    array([[ 1.,  2.],
           [nan,  3.]])
    """

    values: FloatArray
    mask: np.ndarray
    dates: pd.Index
    assets: pd.Index
    columns: pd.Index | None


def to_dense(X: ArrayLike, *, dates: Any = None, assets: Any = None) -> DensePanel:
    """Turn a long panel into a cube of dates, assets and columns, with a mask.

    Parameters
    ----------
    X : DataFrame or array of shape (n_rows, n_features), or Series of shape (n_rows,)
        A panel of numbers, rows in any order.
    dates : array-like of shape (n_rows,), default=None
        The date of each row, where ``X`` has no (date, asset) index.
    assets : array-like of shape (n_rows,), default=None
        The asset of each row, likewise.

    Returns
    -------
    DensePanel
        Values, mask, dates, assets and names of columns. Memory is needed for every date and
        asset, whether the panel has the row or not.

    Raises
    ------
    ValueError
        If dates or assets are not found, or a (date, asset) pair appears twice.

    See Also
    --------
    from_dense : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.panel import to_dense
    >>> dense = to_dense(
    ...     np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]),
    ...     dates=[202401, 202401, 202402],
    ...     assets=["A", "B", "B"],
    ... )
    >>> dense.values.shape
    (2, 2, 2)
    >>> dense.mask
    array([[ True,  True],
           [False,  True]])
    """
    values = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
    if values.ndim not in (1, 2):
        raise ValueError(f"X must have one dimension or two; got shape {values.shape}.")
    if values.dtype not in (np.float32, np.float64):
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Every column of X must hold numbers; got values of dtype {values.dtype}."
            ) from error
    panel = resolve_coded(X, None, dates, assets, required=True)
    date, asset = require_assets(panel)
    assert panel.dates is not None
    assert panel.assets is not None
    shape = (len(panel.dates), len(panel.assets))
    cube = np.full((*shape, *values.shape[1:]), np.nan, dtype=values.dtype)
    mask = np.zeros(shape, dtype=bool)
    cube[date, asset] = values
    mask[date, asset] = True
    columns = None
    if values.ndim == 2:
        columns = pd.Index(getattr(X, "columns", range(values.shape[1])))
    return DensePanel(cube, mask, panel.dates, panel.assets, columns)


def from_dense(
    values: ArrayLike,
    mask: ArrayLike = None,
    dates: Any = None,
    assets: Any = None,
    columns: Any = None,
) -> pd.DataFrame | pd.Series:
    """Turn a cube of dates, assets and columns into a long panel.

    Parameters
    ----------
    values : array-like of shape (n_dates, n_assets, n_features) or (n_dates, n_assets)
        The cube, or a :class:`DensePanel`, which brings the other arguments along.
    mask : array-like of shape (n_dates, n_assets), default=None
        Which pairs become rows; ``None`` takes those with any value that is not missing.
    dates : array-like of shape (n_dates,), default=None
        The dates; must be given with a bare cube.
    assets : array-like of shape (n_assets,), default=None
        The assets; ``None`` numbers them.
    columns : array-like of shape (n_features,), default=None
        Names of the columns; ``None`` numbers them.

    Returns
    -------
    DataFrame of shape (n_rows, n_features) or Series of shape (n_rows,)
        With a (date, asset) index, sorted if ``dates`` and ``assets`` are. A Series for two
        dimensions.

    See Also
    --------
    to_dense : The way there.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.panel import from_dense
    >>> from_dense(np.array([[0.01, np.nan], [0.02, 0.03]]), dates=[202401, 202402])
    date    asset
    202401  0        0.01
    202402  0        0.02
            1        0.03
    dtype: float64
    """
    if isinstance(values, DensePanel):
        values, mask, dates, assets, columns = values
    cube = np.asarray(values)
    if cube.ndim not in (2, 3):
        raise ValueError(
            "`values` must have dates, assets and, with several, columns as its dimensions; got "
            f"shape {cube.shape}."
        )
    if dates is None:
        raise ValueError("`dates` must be given with a bare cube; got None.")
    labels = [
        as_dates(dates),
        as_assets(range(cube.shape[1]) if assets is None else assets),
        pd.RangeIndex(cube.shape[-1]) if columns is None or cube.ndim == 2 else pd.Index(columns),
    ]
    for axis, name in enumerate(("dates", "assets", "columns")[: cube.ndim]):
        if len(labels[axis]) != cube.shape[axis]:
            raise ValueError(
                f"`{name}` must have one entry for each of the {cube.shape[axis]} places of "
                f"dimension {axis} of `values`; got {len(labels[axis])}."
            )
        if labels[axis].has_duplicates:
            again = labels[axis][labels[axis].duplicated()][0]
            raise ValueError(f"`{name}` must be different from one another; got {again} twice.")
    if mask is None:
        present = ~np.isnan(cube)
        mask = present if cube.ndim == 2 else present.any(axis=2)
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != cube.shape[:2]:
        raise ValueError(
            f"`mask` must be booleans of shape {cube.shape[:2]}; got {mask.dtype} of shape "
            f"{mask.shape}."
        )
    levels: Any = labels[:2]
    codes: Any = np.nonzero(mask)
    index = pd.MultiIndex(levels, codes, names=["date", "asset"])
    if cube.ndim == 2:
        return pd.Series(cube[mask], index=index)
    return pd.DataFrame(cube[mask], index=index, columns=labels[2], copy=False)


def require_assets(panel: PanelIndex) -> tuple[Any, Any]:
    """Return codes of date and asset of each row, or say that assets are missing."""
    if panel.asset_codes is None:
        raise ValueError(
            "Each row of X must have its asset; got dates alone. Give X a (date, asset) index, "
            "or pass `assets=`."
        )
    return panel.date_codes, panel.asset_codes
