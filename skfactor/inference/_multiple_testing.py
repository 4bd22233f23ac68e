"""Which of many tests to believe."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_array


@dataclass(frozen=True, eq=False)
class FalseDiscoveries:
    """Which nulls are rejected when many are tested, and what that controls.

    Parameters
    ----------
    rejected : ndarray of bool of shape (n_tests,)
        Whether each null is rejected; False where the p-value is ``NaN``.
    adjusted : ndarray of shape (n_tests,)
        Adjusted p-values: the lowest false discovery rate at which each null is rejected.
    alpha : float
        The rate that is controlled.
    n_tests : int
        The number of p-values that are known.

    Attributes
    ----------
    null : str
        The null hypotheses in words.

    Examples
    --------
    >>> from skfactor.inference import benjamini_hochberg
    >>> benjamini_hochberg([0.001, 0.02, 0.4, 0.6])
    2 of 4 nulls rejected, with a false discovery rate of at most 0.05
    Null: each test has its own; under it the p-value is uniform.
    """

    rejected: np.ndarray
    adjusted: FloatArray
    alpha: float
    n_tests: int
    null: ClassVar[str] = "each test has its own; under it the p-value is uniform."

    def __repr__(self) -> str:
        """Return the outcome in two lines."""
        return (
            f"{int(np.count_nonzero(self.rejected))} of {self.n_tests} nulls rejected, with a "
            f"false discovery rate of at most {self.alpha:g}\nNull: {self.null}"
        )


def benjamini_hochberg(
    p_values: ArrayLike, alpha: float = 0.05, *, dependence: Literal["positive", "any"] = "positive"
) -> FalseDiscoveries:
    r"""Control the share of false ones among rejected nulls.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        For instance ``model.pvalues_[:, 0]``, those of alphas. ``NaN`` is a test that was not
        made; it does not count.
    alpha : float, default=0.05
        The false discovery rate to allow.
    dependence : {"positive", "any"}, default="positive"
        What is supposed of the tests: independent or positively dependent (Benjamini and
        Hochberg 1995), or nothing (Benjamini and Yekutieli 2001), at the cost of power.

    Returns
    -------
    FalseDiscoveries
        Which nulls are rejected, with adjusted p-values.

    Raises
    ------
    ValueError
        For p-values outside 0 to 1, and for ``alpha`` outside them.

    Notes
    -----
    Of :math:`m` p-values in rising order, those up to the last with
    :math:`p_{(k)} \le \alpha k / m` are rejected. Nothing about alphas that are luck is said
    beyond that: of those rejected, a share of up to ``alpha`` is expected to be false.

    References
    ----------
    .. [1] Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", Journal of the
       Royal Statistical Society B 57, 1995.

    Examples
    --------
    >>> from skfactor.inference import benjamini_hochberg
    >>> benjamini_hochberg([0.001, 0.02, 0.4, 0.6]).adjusted.round(3)
    array([0.004, 0.04 , 0.533, 0.6  ])
    """
    if dependence not in ("positive", "any"):
        raise ValueError(f"`dependence` must be 'positive' or 'any'; got {dependence!r}.")
    if not 0 < alpha < 1:
        raise ValueError(f"`alpha` must be between 0 and 1; got {alpha!r}.")
    if isinstance(p_values, pd.Series):
        p_values = p_values.to_numpy()
    values = check_array(
        p_values,
        ensure_2d=False,
        dtype=np.float64,
        ensure_all_finite="allow-nan",
        input_name="p_values",
    )
    if values.ndim != 1:
        raise ValueError(
            f"`p_values` must be one-dimensional; got shape {values.shape}. Choose one "
            "coefficient, such as pvalues_[:, 0]."
        )
    known = ~np.isnan(values)
    wrong = np.flatnonzero((values < 0) | (values > 1))
    if len(wrong):
        raise ValueError(
            f"`p_values` must be between 0 and 1; got {values[wrong[0]]:g} in place {wrong[0]}. "
            "Hand in p-values, not t statistics."
        )
    adjusted = np.full(len(values), np.nan)
    if known.any():
        method = "bh" if dependence == "positive" else "by"
        adjusted[known] = stats.false_discovery_control(values[known], method=method)
    with np.errstate(invalid="ignore"):
        rejected = adjusted <= alpha
    return FalseDiscoveries(rejected, adjusted, float(alpha), int(known.sum()))
