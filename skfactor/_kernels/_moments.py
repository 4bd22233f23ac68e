"""Moments of characteristics and returns by date: all that a linear model needs of a panel."""

import itertools
from dataclasses import dataclass

import numpy as np

from skfactor._typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Moments:
    r"""Sums over the assets of each date whose return is observed.

    Parameters
    ----------
    counts : ndarray of shape (n_dates,)
        The number :math:`N_t` of observed returns.
    gram : ndarray of shape (n_dates, n_features, n_features)
        :math:`Z_t' Z_t`.
    cross : ndarray of shape (n_dates, n_features)
        :math:`Z_t' r_t`.
    squares : ndarray of shape (n_dates,)
        :math:`r_t' r_t`.
    """

    counts: FloatArray
    gram: FloatArray
    cross: FloatArray
    squares: FloatArray


def moments_by_date(X: FloatArray, y: FloatArray, starts: IntArray) -> Moments:
    """Sum products over the rows of each date, in float64 whatever the type of ``X``.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Characteristics, sorted by date.
    y : ndarray of shape (n_rows,)
        Returns; rows with ``NaN`` are left out.
    starts : ndarray of shape (n_dates + 1,)
        Where each date begins.

    Returns
    -------
    Moments
        One entry a date; a date without returns has zeros.
    """
    n_dates, n_features = len(starts) - 1, X.shape[1]
    gram = np.empty((n_dates, n_features, n_features))
    cross = np.empty((n_dates, n_features))
    counts, squares = np.empty(n_dates), np.empty(n_dates)
    observed = ~np.isnan(y)
    complete = bool(observed.all())
    for t, (start, stop) in enumerate(itertools.pairwise(starts)):
        Z, r = X[start:stop], y[start:stop]
        if not complete:
            known = observed[start:stop]
            if not known.all():
                Z, r = Z[known], r[known]
        Z = Z.astype(np.float64, copy=False)
        gram[t] = Z.T @ Z
        cross[t] = r @ Z
        counts[t], squares[t] = len(r), r @ r
    return Moments(counts, gram, cross, squares)
