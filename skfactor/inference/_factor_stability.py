"""Whether factors are the same in one period as in another."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_array
from skfactor.inference._result import HypothesisTest
from skfactor.linear_model._fama_french import FamaFrenchRegressor
from skfactor.panel._index import show_date


@dataclass(frozen=True, eq=False, repr=False)
class FactorStability:
    """Factors period by period, made by :func:`factor_stability`.

    Parameters
    ----------
    table : DataFrame of shape (n_factors * n_periods, 9)
        Indexed by ``factor`` and ``period``: ``start``, ``end``, ``n_dates``; ``mean`` and its
        ``t_value``; ``volatility``, the standard deviation a date; ``alpha`` and its
        ``alpha_t_value``, and ``alpha_std_error``, beside the benchmark (without one, the mean).
    tests : dict of HypothesisTest
        For each factor: that its alpha is the same in all periods.

    See Also
    --------
    factor_stability : Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import factor_stability
    >>> returns = np.random.default_rng(0).normal(0.01, 0.03, (120, 1))
    >>> factor_stability(returns).table["n_dates"].to_list()
    [60, 60]
    """

    table: pd.DataFrame
    tests: dict[Any, HypothesisTest] = field(repr=False)

    def __repr__(self) -> str:
        """Return the table and the tests."""
        return "\n".join(
            [self.table.to_string(float_format="{:.4f}".format), *map(repr, self.tests.values())]
        )


def factor_stability(
    factors: ArrayLike, periods: int | Sequence[Any] = 2, *, benchmark: ArrayLike = None
) -> FactorStability:
    r"""Describe factors by period, and test whether their premium is the same in all.

    Parameters
    ----------
    factors : Series, DataFrame or array-like of shape (n_dates, n_factors)
        Factor returns, rows in the order of time, ``NaN`` where there is none.
    periods : int or sequence of dates, default=2
        Into how many periods of equally many dates to cut, or the dates on which the second
        and later ones begin; row numbers where there are no dates.
    benchmark : array-like of shape (n_dates, n_benchmark), default=None
        Factors that the premium is to be net of; aligned by date where both carry dates. Their
        betas may differ from period to period. ``None`` compares means.

    Returns
    -------
    FactorStability
        A table by factor and period, and a test for each factor.

    Raises
    ------
    ValueError
        For fewer than two periods, and a factor with too few returns in one.

    See Also
    --------
    skfactor.portfolios.ClusterPortfolios.vintages : Whether a factor depends on when its
        clusters were made.

    Notes
    -----
    With :math:`\hat\alpha_k` the intercept of period :math:`k`, :math:`s_k` its standard error,
    :math:`v_k` its degrees of freedom, :math:`w_k = s_k^{-2}`, :math:`W = \sum_k w_k` and
    :math:`\bar\alpha = \sum_k w_k \hat\alpha_k / W`, the statistic of [1]_ is

    .. math::

        F = \frac{\sum_k w_k (\hat\alpha_k - \bar\alpha)^2 / (K - 1)}
        {1 + \frac{2 (K - 2)}{K^2 - 1} h}, \qquad
        h = \sum_k \frac{(1 - w_k / W)^2}{v_k}, \qquad
        F \approx F\!\left(K - 1, \frac{K^2 - 1}{3 h}\right).

    Periods may differ in volatility. Returns are taken as independent over time. A test that
    does not reject in short periods says little: read it beside the standard errors.

    References
    ----------
    .. [1] B. L. Welch, "On the comparison of several mean values: an alternative approach",
       Biometrika 38, 1951.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.inference import factor_stability
    >>> rng = np.random.default_rng(0)
    >>> months = pd.date_range("2010-01-31", periods=120, freq="ME")
    >>> factor = pd.Series(rng.normal(0.005, 0.03, 120), months, name="LIQ")
    >>> found = factor_stability(factor, periods=["2015-01-01"])
    >>> found.tests["LIQ"].null
    'The mean of LIQ is the same in all 2 periods.'
    >>> found.tests["LIQ"].df[0]
    1.0
    """
    frame = _as_frame(factors)
    values, index, columns = frame.to_numpy(dtype=np.float64), frame.index, None
    if benchmark is not None:
        sample = FamaFrenchRegressor().fit(benchmark, frame)._training
        values, columns = sample.returns.take(slice(None)), sample.factors[:, sample.kept]
        index = pd.RangeIndex(len(values)) if sample.dates is None else sample.dates
    cuts = _cuts(periods, index)
    rows, tests = [], {}
    for name, series in zip(frame.columns, values.T, strict=True):
        alphas: list[float] = []
        errors: list[float] = []
        df: list[int] = []
        for start, stop in itertools.pairwise(cuts):
            part = slice(start, stop)
            alpha, error, rest = _intercept(
                series[part], None if columns is None else columns[part]
            )
            known = series[part][~np.isnan(series[part])]
            if rest < 2:
                raise ValueError(
                    "Each period must have at least 2 returns more than there are coefficients; "
                    f"got {len(known)} of {name!r} in the period from {_shown(index[start])}. "
                    "Choose fewer periods."
                )
            spread = float(known.std(ddof=1))
            rows.append(
                {
                    "factor": name,
                    "period": len(alphas) + 1,
                    "start": index[start],
                    "end": index[stop - 1],
                    "n_dates": len(known),
                    "mean": float(known.mean()),
                    "t_value": float(known.mean() / (spread / np.sqrt(len(known)))),
                    "volatility": spread,
                    "alpha": alpha,
                    "alpha_std_error": error,
                    "alpha_t_value": alpha / error,
                }
            )
            alphas.append(alpha)
            errors.append(error)
            df.append(rest)
        what = "mean" if columns is None else "alpha"
        tests[name] = welch_test(
            f"The {what} of {name} is the same in all {len(alphas)} periods.",
            np.array(alphas),
            np.array(errors),
            np.array(df, dtype=np.float64),
        )
    return FactorStability(pd.DataFrame(rows).set_index(["factor", "period"]), tests)


def welch_test(null: str, values: FloatArray, errors: FloatArray, df: FloatArray) -> HypothesisTest:
    """Test that independent estimates with errors of their own have one mean."""
    count = len(values)
    weights = errors**-2.0
    total = weights.sum()
    center = (weights * values).sum() / total
    lost = float((((1 - weights / total) ** 2) / df).sum())
    statistic = float((weights * (values - center) ** 2).sum() / (count - 1))
    statistic /= 1 + 2 * (count - 2) / (count**2 - 1) * lost
    degrees = (float(count - 1), (count**2 - 1) / (3 * lost))
    p_value = float(special.fdtrc(*degrees, statistic))
    return HypothesisTest("Equal premia (Welch)", null, statistic, p_value, "F", degrees)


def _as_frame(factors: Any) -> pd.DataFrame:
    """Return factors as a frame in the order of time."""
    if isinstance(factors, pd.Series):
        name = "the factor" if factors.name is None else factors.name
        return factors.to_frame(name).sort_index()
    if isinstance(factors, pd.DataFrame):
        return factors.sort_index()
    table = check_array(factors, ensure_2d=False, ensure_all_finite="allow-nan", dtype=np.float64)
    if table.ndim == 1:
        table = table[:, None]
    return pd.DataFrame(table, columns=[f"x{i}" for i in range(table.shape[1])])


def _cuts(periods: Any, index: pd.Index) -> list[int]:
    """Return where periods begin, and the end of the last one."""
    if isinstance(periods, (int, np.integer)):
        if not 2 <= periods <= len(index):
            raise ValueError(
                f"`periods` must be at least 2 and at most {len(index)}, the number of dates; got "
                f"{periods}."
            )
        return [round(part * len(index) / periods) for part in range(int(periods) + 1)]
    dates: Any = index
    if isinstance(index, pd.PeriodIndex):
        dates = index.to_timestamp(how="end")
    starts = list(periods)
    if isinstance(dates, pd.DatetimeIndex):
        starts = [pd.Timestamp(start) for start in starts]
    cuts = [0, *(int(dates.searchsorted(start)) for start in starts), len(index)]
    if len(cuts) < 3 or any(a >= b for a, b in itertools.pairwise(cuts)):
        raise ValueError(
            "`periods` must be rising dates on which the second and later periods begin, within "
            f"{_shown(index[0])} to {_shown(index[-1])}; got {periods!r}."
        )
    return cuts


def _shown(date: Any) -> str:
    return f"row {date}" if isinstance(date, (int, np.integer)) else show_date(date)


def _intercept(values: FloatArray, columns: FloatArray | None) -> tuple[float, float, int]:
    """Return the intercept of a series on some factors, its error and degrees of freedom."""
    seen = ~np.isnan(values)
    count = int(seen.sum())
    n_params = 1 if columns is None else 1 + columns.shape[1]
    if count < n_params + 2:
        return np.nan, np.nan, count - n_params
    if columns is None:
        known = values[seen]
        return float(known.mean()), float(stats.sem(known)), count - 1
    model = FamaFrenchRegressor().fit(columns[seen], values[seen])
    return float(model.intercept_[0]), float(model.bse_[0, 0]), count - n_params
