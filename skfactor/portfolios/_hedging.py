"""How much of a portfolio's variance factors hedge, with what was known beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from skfactor._kernels._expanding import expand
from skfactor._kernels._returns import Returns
from skfactor._kernels._rolling import roll
from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_count
from skfactor.panel._calendar import align_to_dates, dates_of
from skfactor.portfolios._periods import check_window


@dataclass(frozen=True, eq=False, repr=False)
class HedgingEffectiveness:
    """What hedging with factors leaves of portfolios, date by date and in all.

    Parameters
    ----------
    summary : DataFrame of shape (n_portfolios, n_columns)
        For each portfolio ``n_dates``; ``variance``, unhedged; ``left``, the share of it left
        after hedging with the factors; and with a benchmark ``left_by_benchmark`` and
        ``gain``, what the factors leave less.
    hedged : DataFrame of shape (n_dates, n_portfolios)
        Returns hedged with the factors; ``NaN`` where the hedge was not known yet.
    hedged_by_benchmark : DataFrame of shape (n_dates, n_portfolios) or None, default=None
        Returns hedged with the benchmark alone.

    See Also
    --------
    hedging_effectiveness : Makes one.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.portfolios import hedging_effectiveness
    >>> factors = np.random.default_rng(0).normal(0.0, 0.04, (120, 2))
    >>> result = hedging_effectiveness(factors.sum(axis=1), factors, factors[:, :1])
    >>> result
    HedgingEffectiveness(1 portfolio, median variance left 0.00, by the benchmark 0.51)
    """

    summary: pd.DataFrame
    hedged: pd.DataFrame = field(repr=False)
    hedged_by_benchmark: pd.DataFrame | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        n = len(self.summary)
        text = f"{n} portfolio{'s' if n != 1 else ''}, median variance left "
        text += f"{self.summary['left'].median():.2f}"
        if "left_by_benchmark" in self.summary:
            text += f", by the benchmark {self.summary['left_by_benchmark'].median():.2f}"
        return f"{type(self).__name__}({text})"


def hedging_effectiveness(
    portfolios: ArrayLike,
    factors: ArrayLike,
    benchmark: ArrayLike = None,
    *,
    betas: Mapping[Any, ArrayLike] | None = None,
    window: int | None = None,
    min_obs: int = 36,
) -> HedgingEffectiveness:
    r"""Measure the variance of portfolios left after hedging with factors.

    Parameters
    ----------
    portfolios : array-like of shape (n_dates, n_portfolios)
        Excess returns of test portfolios in order of time, ``NaN`` where missing; pandas
        objects have dates in the index.
    factors : array-like of shape (n_dates, n_factors)
        Returns of traded factors on the same dates, such as the ``factor_returns`` of a model.
        Pandas frames are aligned by date and must cover the portfolios' dates.
    benchmark : array-like of shape (n_dates, n_benchmark), default=None
        Factors to compare with, in the same form. None for no comparison.
    betas : mapping of portfolio to array-like of shape (n_dates, n_factors), default=None
        Betas of a portfolio on ``factors`` known before each date, for instance its holdings
        times the conditional betas of a model. Portfolios that are not in it, and the
        benchmark, are hedged by regression.
    window : int or None, default=None
        Dates that a regression takes, whether or not the portfolio has a return on them; None
        takes all so far.
    min_obs : int, default=36
        Returns that a regression needs, within ``window``; more than there are coefficients in
        any case.

    Returns
    -------
    HedgingEffectiveness
        A summary, and the hedged returns.

    Raises
    ------
    ValueError
        For a parameter out of range, dates or lengths that do not agree, infinities, and
        portfolios that are not hedged on at least two dates.

    See Also
    --------
    minimum_variance_portfolio : Factors alone in the least variable proportions.

    Notes
    -----
    The hedge of date :math:`t` is known before it: :math:`e_t = r_t - \beta_{t-1}' f_t`, with
    betas of a regression with intercept on the dates before :math:`t`. The share left, one
    less the effectiveness of [1]_, is
    :math:`\mathrm{Var}(e) / \mathrm{Var}(r)`, over the dates on which factors and benchmark
    both have a hedge; it can be above one. Portfolios that make up a factor are hedged by it
    trivially: test on others.

    References
    ----------
    .. [1] L. H. Ederington, "The hedging performance of the new futures markets", Journal of
       Finance 34, 157–170, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.portfolios import hedging_effectiveness
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.0, 0.04, (240, 3))
    >>> portfolios = factors @ rng.normal(size=(3, 5)) + rng.normal(0, 0.02, (240, 5))
    >>> result = hedging_effectiveness(portfolios, factors, factors[:, :1])
    >>> bool((result.summary["gain"] > 0).all())
    True
    """
    check_count(min_obs, "min_obs", 2)
    check_window(window, min_obs)
    frame = _portfolio_frame(portfolios)
    values = _on_dates(factors, frame, "`factors`")
    known = {} if betas is None else dict(betas)
    unknown = [name for name in known if name not in frame.columns]
    if unknown:
        raise ValueError(
            f"`betas` must name portfolios; got {unknown[0]!r}, which is not one of them."
        )
    hedged = _hedged(frame, values, window, min_obs)
    for name, own in known.items():
        table = _on_dates(own, frame, f"`betas` of {name!r}", gaps=True)
        if table.shape[1] != values.shape[1]:
            raise ValueError(
                f"`betas` of {name!r} must have a column for each of the {values.shape[1]} "
                f"factors; got {table.shape[1]}."
            )
        hedged[name] = frame[name] - (table * values).sum(axis=1)
    other = None
    if benchmark is not None:
        other = _hedged(frame, _on_dates(benchmark, frame, "`benchmark`"), window, min_obs)
    return HedgingEffectiveness(_summary(frame, hedged, other), hedged, other)


def _portfolio_frame(portfolios: Any) -> pd.DataFrame:
    if isinstance(portfolios, pd.Series):
        portfolios = portfolios.to_frame(0 if portfolios.name is None else portfolios.name)
    if isinstance(portfolios, pd.DataFrame):
        frame = portfolios.astype(np.float64)
        frame = frame if dates_of(frame) is None else frame.sort_index()
    else:
        values = np.asarray(portfolios, dtype=np.float64)
        frame = pd.DataFrame(values[:, None] if values.ndim == 1 else values)
    if np.isinf(frame.to_numpy()).any():
        raise ValueError("`portfolios` must be finite or NaN; got infinity.")
    return frame


def _on_dates(data: Any, frame: pd.DataFrame, name: str, gaps: bool = False) -> FloatArray:
    """Return rows of data on the dates of the portfolios."""
    ours = dates_of(frame)
    if ours is not None and isinstance(data, (pd.Series, pd.DataFrame)) and not gaps:
        return align_to_dates(data, ours, name)[0]
    if ours is not None and isinstance(data, (pd.Series, pd.DataFrame)):
        data = data.reindex(frame.index)
    values = np.asarray(data, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if len(values) != len(frame):
        raise ValueError(
            f"{name} must have a row for each of the {len(frame)} dates of the portfolios; got "
            f"{len(values)}."
        )
    if not gaps and not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite on every date; got gaps or infinities.")
    return values


def _hedged(
    frame: pd.DataFrame, factors: FloatArray, window: int | None, least: int
) -> pd.DataFrame:
    """Subtract from each return the factors times the betas of a regression on earlier dates."""
    returns = frame.to_numpy()
    enough = factors.shape[1] + 2
    if window is not None and window < enough:
        raise ValueError(
            f"`window` must be at least {enough}, two more than there are factors; got {window}."
        )
    least = max(least, enough)
    known = Returns(returns)
    if window is None:
        paths = expand(known, factors, fit_intercept=True, min_obs=least, errors=False)
    else:
        paths = roll(known, factors, window=window, fit_intercept=True, min_obs=least, errors=False)
    betas = paths.params[:-1, 1:]
    # Factors that depend on one another have no betas of their own, and hedge together.
    for t, column in np.argwhere(np.isnan(betas).any(axis=1) & (paths.nobs[:-1] >= least)):
        before = slice(max(t + 1 - window, 0) if window else 0, t + 1)
        betas[t, :, column] = _smallest_betas(returns[before, column], factors[before])
    left = np.full(returns.shape, np.nan)
    left[1:] = returns[1:] - np.einsum("tk,tkn->tn", factors[1:], betas)
    return pd.DataFrame(left, frame.index, frame.columns)


def _smallest_betas(returns: FloatArray, factors: FloatArray) -> FloatArray:
    """Return the least of all betas that fit returns best."""
    seen = ~np.isnan(returns)
    centred = factors[seen] - factors[seen].mean(axis=0)
    # Columns of length one, so that the rank does not depend on their units.
    size = np.linalg.norm(centred, axis=0)
    size[size == 0] = 1.0
    betas: FloatArray = np.linalg.lstsq(centred / size, returns[seen], rcond=None)[0] / size
    return betas


def _summary(frame: pd.DataFrame, hedged: pd.DataFrame, other: pd.DataFrame | None) -> pd.DataFrame:
    both = hedged.notna() & (True if other is None else other.notna())
    counts = both.sum()
    if (counts < 2).any():
        raise ValueError(
            "Each portfolio must be hedged on at least 2 dates; "
            f"{counts.index[(counts < 2).to_numpy()][0]!r} is not. Lower `min_obs`."
        )
    variance = frame.where(both).var()
    table = {"n_dates": counts, "variance": variance, "left": hedged.where(both).var() / variance}
    if other is not None:
        table["left_by_benchmark"] = other.where(both).var() / variance
        table["gain"] = table["left_by_benchmark"] - table["left"]
    return pd.DataFrame(table)
