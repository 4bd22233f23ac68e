"""What is told about cross-sections that cannot be fitted as they are."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import LinAlgWarning

from skfactor._kernels._design import collinear_columns
from skfactor._typing import FloatArray, IntArray
from skfactor._validation import column_label, join
from skfactor.panel._index import show_date, stacklevel_of_user

_SHOWN = 3


def independent_within_dates(table: FloatArray, codes: IntArray, fit_intercept: bool) -> IntArray:
    """Return the columns that are no combination of others over all dates.

    With an intercept on each date, a column that varies over dates alone is one.
    """
    kept = np.arange(table.shape[1])
    if fit_intercept:
        sums = np.column_stack([np.bincount(codes, column) for column in table.T])
        count = np.bincount(codes)[:, None]
        within = table - (sums / np.maximum(count, 1))[codes]
        size = np.abs(table).max(axis=0)
        # A sum of n equal values is wrong by up to n roundings.
        rounding = np.finfo(np.float64).eps * max(64, int(count.max()))
        kept = kept[np.abs(within).max(axis=0) > rounding * size]
        table = within
    while len(kept) and (dependent := collinear_columns(table[:, kept], False)) is not None:
        kept = np.delete(kept, dependent[0])
    return kept.astype(np.intp)


def warn_dependent(kept: IntArray, names: Any, n_columns: int) -> None:
    """Warn of columns that are left out of every cross-section, or raise if all are."""
    if not len(kept):
        raise ValueError(
            "X must have a column that varies over the assets of a date; got none "
            f"(n_features={n_columns})."
        )
    left = [column_label(i, names) for i in range(n_columns) if i not in kept]
    warnings.warn(
        f"The columns must be linearly independent within dates; left out: {join(left)}, made up "
        "of others or of the intercept. Their slopes are 0 and their standard errors NaN. Drop "
        "them.",
        LinAlgWarning,
        stacklevel=stacklevel_of_user(),
    )


def warn_unfitted_dates(
    known: np.ndarray, nobs: IntArray, dates: pd.Index | None, min_obs: int
) -> None:
    """Warn of dates without slopes, with the first few and their numbers of assets."""
    places = np.flatnonzero(~known)
    shown = ", ".join(
        f"{show_date(dates[i]) if dates is not None else f'row {i}'} (n={nobs[i]})"
        for i in places[:_SHOWN]
    )
    more = ", ..." if len(places) > _SHOWN else ""
    warnings.warn(
        f"{len(places)} of {len(known)} dates are left out of the averages, with fewer than "
        f"{min_obs} assets or with columns that are not linearly independent: {shown}{more}.",
        UserWarning,
        stacklevel=stacklevel_of_user(),
    )
