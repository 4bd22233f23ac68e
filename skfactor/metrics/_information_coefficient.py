"""How well predictions order assets, date by date."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._kernels._means import lags_or_rule, means_and_errors
from skfactor._kernels._tails import two_sided_p
from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import check_count
from skfactor.metrics._rows import paired
from skfactor.panel._index import PanelIndex, resolve_panel

_METHODS = ("spearman", "pearson")


@dataclass(frozen=True, eq=False)
class InformationCoefficient:
    """Correlations of predictions with returns, one a date, and their mean.

    ``float`` of it is the mean.

    Parameters
    ----------
    by_date : pandas.Series of shape (n_dates,)
        The correlation on each date; ``NaN`` where fewer than ``min_assets`` have both, or
        where one of the two does not vary.
    mean : float
        Their mean.
    std : float
        Their standard deviation.
    t_value : float
        The mean by its standard error.
    p_value : float
        Of the mean being zero, two-sided, from Student's law.
    n_dates : int
        Dates with a correlation.
    method : str
        ``"spearman"`` or ``"pearson"``.
    maxlags : int
        Autocovariances in the standard error.

    Attributes
    ----------
    icir : float
        The mean by the standard deviation, a period: not annualised.
    positive_share : float
        Share of the dates with a correlation above zero.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.metrics import information_coefficient
    >>> rng = np.random.default_rng(0)
    >>> y_pred = rng.normal(size=2000)
    >>> y_true = 0.2 * y_pred + rng.normal(size=2000)
    >>> ic = information_coefficient(y_true, y_pred, dates=np.repeat(np.arange(20) + 2000, 100))
    >>> round(float(ic), 1), ic.n_dates, ic.t_value > 3
    (0.2, 20, True)
    """

    by_date: pd.Series
    mean: float
    std: float
    t_value: float
    p_value: float
    n_dates: int
    method: str
    maxlags: int

    @property
    def icir(self) -> float:
        """The mean by the standard deviation, a period."""
        return self.mean / self.std if self.std > 0 else float("nan")

    @property
    def positive_share(self) -> float:
        """Share of the dates with a correlation above zero."""
        known = self.by_date.dropna()
        return float((known > 0).mean()) if len(known) else float("nan")

    def __float__(self) -> float:
        return self.mean

    def __repr__(self) -> str:
        kind = "rank " if self.method == "spearman" else ""
        lags = f", {self.maxlags} lags" if self.maxlags else ""
        return (
            f"InformationCoefficient: mean {kind}IC {self.mean:.4f} (t = {self.t_value:.2f}{lags}; "
            f"{self.n_dates} dates), ICIR {self.icir:.3f}, positive on {self.positive_share:.0%}"
        )


def information_coefficient(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    dates: ArrayLike | None = None,
    method: str = "spearman",
    min_assets: int = 3,
    maxlags: int | None = 0,
) -> InformationCoefficient:
    r"""Correlate predictions with returns across the assets of each date.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Returns; rows with ``NaN`` are left out.
    y_pred : array-like of shape (n_rows,)
        Predictions made before; only their order matters for ``"spearman"``.
    dates : array-like of shape (n_rows,), default=None
        Date of each row, where neither of the two has a (date, asset) index.
    method : {"spearman", "pearson"}, default="spearman"
        Correlation of ranks, ties at their mean rank, or of values.
    min_assets : int, default=3
        The fewest assets of a date whose correlation counts.
    maxlags : int or None, default=0
        Autocovariances that the standard error of the mean takes in, with Bartlett weights:
        returns over h dates overlap and want h − 1 at least. None takes
        :math:`\lfloor 4 (n / 100)^{2/9} \rfloor`.

    Returns
    -------
    InformationCoefficient
        The series by date, its mean, t statistic and information ratio.

    Raises
    ------
    ValueError
        For a parameter out of range, shapes or indexes that differ, and no date with enough
        assets.

    See Also
    --------
    predictive_r2_score : Whether their size was right as well.

    Notes
    -----
    On date :math:`t`, over the assets :math:`i` that have both,

    .. math::

        \mathrm{IC}_t = \operatorname{corr}_i(\hat r_{i,t},\, r_{i,t}),

    of ranks or of values. The statistic of their mean over :math:`n` dates divides it by
    :math:`(\hat S / n)^{1/2}`, with the long-run variance of [1]_ at ``maxlags`` lags.

    References
    ----------
    .. [1] W. K. Newey and K. D. West, "A simple, positive semi-definite, heteroskedasticity and
       autocorrelation consistent covariance matrix", Econometrica 55, 703–708, 1987.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.metrics import information_coefficient
    >>> index = pd.MultiIndex.from_product([[202401, 202402], list("abcd")], names=["date", "id"])
    >>> y_true = pd.Series([0.01, 0.02, 0.03, 0.04, 0.04, 0.03, 0.02, 0.01], index)
    >>> y_pred = pd.Series([1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 1.0, 2.0], index)
    >>> information_coefficient(y_true, y_pred).by_date.to_list()
    [1.0, 0.8]
    """
    if method not in _METHODS:
        raise ValueError(f"`method` must be 'spearman' or 'pearson'; got {method!r}.")
    check_count(min_assets, "min_assets", 2)
    if maxlags is not None:
        check_count(maxlags, "maxlags", 0)
    true, pred, observed = paired(y_true, y_pred, ("y_true", "y_pred"))
    if true.ndim != 1:
        raise ValueError(
            f"`y_true` must have one row for each (date, asset) pair; got shape {true.shape}. "
            "Stack it, for instance by y_true.stack()."
        )
    panel = resolve_panel(y_true, y_pred, dates)
    codes, labels = _codes(panel)
    values = correlations_by_date(
        true[observed], pred[observed], codes[observed], len(labels), method, min_assets
    )
    by_date = pd.Series(values, labels, name="ic")
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError(
            f"At least one date must have {min_assets} assets (`min_assets`) with returns and "
            "predictions that vary; got none."
        )
    lags = lags_or_rule(maxlags, len(known))
    mean, error, _ = means_and_errors(values[:, None], lags)
    with np.errstate(divide="ignore", invalid="ignore"):
        t_value = mean / error
    std = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    p_value = two_sided_p(t_value, np.array(float(max(len(known) - 1, 1))))
    return InformationCoefficient(
        by_date, float(mean[0]), std, float(t_value[0]), float(p_value[0]), len(known), method, lags
    )


def _codes(panel: PanelIndex) -> tuple[IntArray, Any]:
    """Return the date of each row as a position, and the dates."""
    if panel.date_codes is None or panel.dates is None:
        return np.zeros(panel.n_rows, dtype=np.intp), pd.RangeIndex(1)
    return panel.date_codes, panel.dates.rename("date")


def correlations_by_date(
    x: FloatArray, y: FloatArray, codes: IntArray, n_dates: int, method: str, min_count: int
) -> FloatArray:
    """Return the correlation of ``x`` and ``y`` within each date, ``NaN`` where undefined."""
    if method == "spearman":
        x, y = ranks_by_date(x, codes), ranks_by_date(y, codes)
    counts = np.bincount(codes, minlength=n_dates)

    def sums(values: FloatArray) -> FloatArray:
        return np.bincount(codes, values, minlength=n_dates).astype(np.float64, copy=False)

    with np.errstate(divide="ignore", invalid="ignore"):
        dx, dy = x - (sums(x) / counts)[codes], y - (sums(y) / counts)[codes]
        sxx, syy, sxy = sums(dx * dx), sums(dy * dy), sums(dx * dy)
        # What is left of a constant after its mean is taken away is rounding.
        flat = (sxx <= 1e-28 * sums(x * x)) | (syy <= 1e-28 * sums(y * y))
        correlation: FloatArray = np.clip(sxy / np.sqrt(sxx * syy), -1.0, 1.0)
    correlation[flat | (counts < min_count)] = np.nan
    return correlation


def ranks_by_date(values: FloatArray, codes: IntArray) -> FloatArray:
    """Return ranks from 1 within each date, equal values at their mean rank."""
    order = np.lexsort((values, codes))
    ordered, groups = values[order], codes[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(groups) != 0) | (np.diff(ordered) != 0)
    first = np.flatnonzero(new)
    size = np.diff(np.append(first, len(order)))
    middle = np.repeat(first + (size - 1) / 2.0, size)
    new_date = np.ones(len(order), dtype=bool)
    new_date[1:] = np.diff(groups) != 0
    begin = np.flatnonzero(new_date)
    offset = np.repeat(begin, np.diff(np.append(begin, len(order))))
    ranks = np.empty(len(order))
    ranks[order] = middle - offset + 1.0
    return ranks
