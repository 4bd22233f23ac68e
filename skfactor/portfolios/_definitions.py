"""Characteristics behind the factors LIQ, LEV and OE, from accounts."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import listed
from skfactor.panel._values import numbers
from skfactor.portfolios._filing_ratios import ratio
from skfactor.portfolios._rows import number_column
from skfactor.preprocessing._frames import check_frame


def liquidity(fundamentals: ArrayLike, *, financial: ArrayLike = None) -> Any:
    r"""Compute liquidity, the current ratio.

    Parameters
    ----------
    fundamentals : DataFrame of shape (n_rows, n_columns)
        Accounts, pandas or polars, with ``current_assets`` and ``current_liabilities`` in
        the same unit of money.
    financial : array-like of bool of shape (n_rows,), default=None
        Rows of financial firms: their result is missing. Banks and insurers do not divide
        their balance sheets into current and other items.

    Returns
    -------
    Series of shape (n_rows,)
        The ratio, missing where an item is, and where current liabilities are not positive.

    Raises
    ------
    TypeError
        If ``fundamentals`` is not a DataFrame.
    ValueError
        If a column is not there, or holds text or infinities.

    See Also
    --------
    fundamental_factors : The factor LIQ, long the liquid firms.

    Notes
    -----
    .. math:: \text{liquidity} = \frac{\text{current assets}}{\text{current liabilities}}

    LIQ, which [1]_ proposes, is long high values: the firms that can pay what falls due. Liquid
    firms are the safer ones, so that its premium may well be negative. Known when the balance
    sheet is published; six months after the fiscal year's end is the customary lag where the
    date is not known.

    References
    ----------
    .. [1] B. Koo, K. Lee, S. Sin, B. Park, "Power of Autoencoder and t-SNE in Stock Deep
       Clustering and its Application to Fama-French Factor Model".

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.portfolios import liquidity
    >>> liquidity(pd.DataFrame({"current_assets": [3.0], "current_liabilities": [2.0]}))
    0    1.5
    Name: liquidity, dtype: float64
    """
    assets, liabilities = _items(fundamentals, "current_assets", "current_liabilities")
    return _series(ratio(assets, liabilities), fundamentals, financial, "liquidity")


def leverage(fundamentals: ArrayLike, *, financial: ArrayLike = None) -> Any:
    r"""Compute book leverage, the share of assets financed by debt of all kinds.

    Parameters
    ----------
    fundamentals : DataFrame of shape (n_rows, n_columns)
        Accounts, pandas or polars, with ``total_liabilities`` and ``total_assets`` in the
        same unit of money.
    financial : array-like of bool of shape (n_rows,), default=None
        Rows of financial firms: their result is missing. Liabilities are a bank's raw
        material, and high leverage does not mean distress there [1]_.

    Returns
    -------
    Series of shape (n_rows,)
        The ratio, missing where an item is, and where total assets are not positive. Above
        1 where equity is negative.

    Raises
    ------
    TypeError
        If ``fundamentals`` is not a DataFrame.
    ValueError
        If a column is not there, or holds text or infinities.

    See Also
    --------
    fundamental_factors : The factor LEV, long the levered firms.

    Notes
    -----
    .. math:: \text{leverage} = \frac{\text{total liabilities}}{\text{total assets}}

    LEV is long high values: levered firms bear the greater risk. Known when the balance sheet
    is published; six months after the fiscal year's end is the customary lag where the date is
    not known.

    References
    ----------
    .. [1] E. F. Fama and K. R. French, "The cross-section of expected stock returns", Journal
       of Finance 47, 427–465, 1992.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.portfolios import leverage
    >>> leverage(pd.DataFrame({"total_liabilities": [3.0], "total_assets": [4.0]}))
    0    0.75
    Name: leverage, dtype: float64
    """
    liabilities, assets = _items(fundamentals, "total_liabilities", "total_assets")
    return _series(ratio(liabilities, assets), fundamentals, financial, "leverage")


def operational_efficiency(fundamentals: ArrayLike, *, financial: ArrayLike = None) -> Any:
    r"""Compute operational efficiency, the share of sales that production does not cost.

    Parameters
    ----------
    fundamentals : DataFrame of shape (n_rows, n_columns)
        Accounts, pandas or polars, with ``sales`` and ``cost_of_goods_sold`` of the same
        fiscal period in the same unit of money.
    financial : array-like of bool of shape (n_rows,), default=None
        Rows of financial firms: their result is missing. They sell no goods, and what data
        vendors enter as cost of goods sold differs between them.

    Returns
    -------
    Series of shape (n_rows,)
        The ratio, missing where an item is, and where sales are not positive.

    Raises
    ------
    TypeError
        If ``fundamentals`` is not a DataFrame.
    ValueError
        If a column is not there, or holds text or infinities.

    See Also
    --------
    fundamental_factors : The factor OE, long the efficient firms.

    Notes
    -----
    .. math::

       \text{operational efficiency}
       = \frac{\text{sales} - \text{cost of goods sold}}{\text{sales}}

    OE, which [1]_ proposes, is long high values: the firms with low costs for what they sell.
    Known when the income statement is published; six months after the fiscal year's end is the
    customary lag where the date is not known.

    References
    ----------
    .. [1] B. Koo, K. Lee, S. Sin, B. Park, "Power of Autoencoder and t-SNE in Stock Deep
       Clustering and its Application to Fama-French Factor Model".

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.portfolios import operational_efficiency
    >>> operational_efficiency(pd.DataFrame({"sales": [4.0], "cost_of_goods_sold": [3.0]}))
    0    0.25
    Name: operational_efficiency, dtype: float64
    """
    sales, costs = _items(fundamentals, "sales", "cost_of_goods_sold")
    return _series(ratio(sales - costs, sales), fundamentals, financial, "operational_efficiency")


def _items(fundamentals: Any, *names: str) -> list[FloatArray]:
    check_frame(fundamentals, "`fundamentals`")
    missing = [name for name in names if name not in fundamentals.columns]
    if missing:
        raise ValueError(
            f"`fundamentals` must have the columns {listed(names)}; got none named "
            f"{listed(missing)}. Rename your own to these."
        )
    return [number_column(fundamentals, name, "fundamentals", "`fundamentals`") for name in names]


def _series(values: FloatArray, fundamentals: Any, financial: Any, name: str) -> Any:
    if financial is not None:
        marks = numbers(financial, "`financial`")
        if len(marks) != len(values) or not np.isin(marks, (0.0, 1.0)).all():
            raise ValueError(
                f"`financial` must be booleans, one for each of the {len(values)} rows; "
                f"got {len(marks)} values."
            )
        values[marks == 1.0] = np.nan
    if is_polars(fundamentals):
        import polars as pl

        return pl.Series(name, values, nan_to_null=True)
    return pd.Series(values, fundamentals.index, name=name)
