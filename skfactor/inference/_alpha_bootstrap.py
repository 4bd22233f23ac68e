"""Luck against skill: the cross-section of t statistics of alphas when all alphas are zero."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real

import numpy as np
import pandas as pd

from skfactor._kernels._bootstrap import DRAWS, AlphaResampler
from skfactor._typing import ArrayLike, FloatArray, RandomState
from skfactor._validation import Interval, draw_seed, validate_params
from skfactor.inference._progress import Progress
from skfactor.inference._regression import fitted_model, sample_of
from skfactor.linear_model._fama_french import FamaFrenchRegressor
from skfactor.portfolios._breakpoints import quantiles_by_line

PERCENTILES = (1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 96, 97, 98, 99)

LEAST_MONTHS = 8
"""The fewest returns of Fama and French."""


@dataclass(frozen=True, eq=False, repr=False)
class AlphaBootstrap:
    """The t statistics of alphas beside those of chance, made by :func:`alpha_bootstrap`.

    Parameters
    ----------
    table : DataFrame of shape (n_percentiles, 5)
        One row for each percentile of the cross-section of t statistics: ``actual``;
        ``simulated``, the mean over draws; ``low`` and ``high``, between which 90 % of the
        draws lie; ``below``, the share of draws whose percentile is lower than the actual one.
    t_values : Series of shape (n_assets,)
        The actual t statistics; ``NaN`` for an asset with too few returns.
    draws : DataFrame of shape (n_resamples, n_percentiles)
        The percentiles of each draw.
    null : str
        The null hypothesis in words.
    n_assets : int
        The number of assets that were compared.
    n_dates : int
        The number of dates.
    notes : tuple of str, default=()
        What was supposed, and what was left out.

    See Also
    --------
    alpha_bootstrap : Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import alpha_bootstrap
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.005, 0.04, (120, 1))
    >>> returns = factors + rng.normal(0, 0.03, (120, 50))
    >>> found = alpha_bootstrap(factors, returns, n_resamples=200, random_state=0)
    >>> found.table.columns.to_list()
    ['actual', 'simulated', 'low', 'high', 'below']
    """

    table: pd.DataFrame
    t_values: pd.Series
    draws: pd.DataFrame = field(repr=False)
    null: str
    n_assets: int
    n_dates: int
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the null and the table."""
        lines = [
            f"t statistics of {self.n_assets} alphas over {self.n_dates} dates, and of "
            f"{len(self.draws)} draws under the null",
            f"Null: {self.null}",
            *(f"Note: {note}" for note in self.notes),
            self.table.round(3).to_string(),
        ]
        return "\n".join(lines)


@validate_params(
    {
        "n_resamples": [Interval(Integral, 1, None, closed="left")],
        "percentiles": [None, "array-like"],
        "alpha_std": [Interval(Real, 0, None, closed="left")],
        "min_obs": [None, Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def alpha_bootstrap(
    factors: ArrayLike,
    returns: ArrayLike | None = None,
    *,
    n_resamples: int = 10_000,
    percentiles: Sequence[float] | None = None,
    alpha_std: float = 0.0,
    min_obs: int | None = None,
    random_state: RandomState = 0,
    verbose: int = 0,
) -> AlphaBootstrap:
    r"""Compare the t statistics of many alphas with those of luck alone.

    Of many funds or stocks some have high t statistics by luck. The bootstrap of Fama and
    French (2010) says how many: dates are drawn with replacement, the same for all assets and
    factors, so that what assets have in common stays in common; every asset's own alpha is
    taken off before; and the percentiles of the t statistics in such samples are held against
    the actual ones.

    Parameters
    ----------
    factors : FamaFrenchRegressor or array-like of shape (n_dates, n_factors)
        A fitted model with its data, or factor returns.
    returns : array-like of shape (n_dates, n_assets), default=None
        Excess returns, ``NaN`` where there is none; aligned with the factors by date where both
        carry dates. None beside a fitted model.
    n_resamples : int, default=10000
        The number of samples.
    percentiles : sequence of float, default=None
        Which percentiles of the cross-section, between 0 and 100. ``None`` takes those of [1]_:
        1 to 5, 10 to 90 by tens, 95 to 99.
    alpha_std : float, default=0.0
        The standard deviation of true alphas under the null, a period. Above 0 the null is
        that true alphas are normal around zero with this standard deviation, times an asset's
        residual standard deviation over the mean one. It answers how much skill there is.
    min_obs : int or None, default=None
        The fewest returns that an asset must have, in the data and in each sample. ``None``
        means 8, or three more than there are coefficients if that is more.
    random_state : int, RandomState instance or None, default=0
        The seed. Not None, so that the same returns have the same table each time they are
        reported; another seed shows what it owes to the draws.
    verbose : int, default=0
        Above 0, a progress bar is drawn on the error stream.

    Returns
    -------
    AlphaBootstrap
        A table of percentiles, actual and simulated.

    Raises
    ------
    ValueError
        For percentiles outside 0 to 100, ``min_obs`` that is too small, and fewer than two
        assets with enough returns.

    See Also
    --------
    benjamini_hochberg : Which alphas to believe, from p-values.
    joint_alpha_test : Whether there are any.

    Notes
    -----
    With residuals :math:`e_{i,t} = r_{i,t} - \hat\alpha_i - \hat\beta_i' f_t` a draw
    :math:`b` of dates :math:`t_1, \dots, t_T` gives for every asset the t statistic of
    :math:`\alpha` in

    .. math::

        r_{i,t_s} - \hat\alpha_i = \alpha + \beta' f_{t_s} + \varepsilon_s,
        \qquad s = 1, \dots, T,

    under the classical covariance, from the dates on which it has a return. Percentiles are
    taken over the assets of a draw. ``below`` of a high percentile near 1 says that the best do
    better than luck explains, ``below`` of a low one near 0 that the worst do worse. It is one
    number for each percentile and not corrected for looking at many of them.

    Dates are drawn one by one: autocorrelation of returns is lost, as in [1]_, and so is any
    change of betas over time. A sample in which an asset has too few different dates for its
    coefficients does not count for it.

    A draw is a product of the counts of its dates with the data, no sample is copied, and the
    memory needed beside the residuals does not grow with the number of draws except for the
    percentiles that are kept.

    References
    ----------
    .. [1] E. F. Fama and K. R. French, "Luck versus skill in the cross-section of mutual fund
       returns", Journal of Finance 65, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import alpha_bootstrap
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.005, 0.04, (120, 3))
    >>> returns = factors @ rng.normal(1, 0.3, (3, 200)) + rng.normal(0, 0.03, (120, 200))
    >>> returns[:, :20] += 0.01
    >>> found = alpha_bootstrap(
    ...     factors, returns, n_resamples=200, percentiles=(10, 50, 95), random_state=0
    ... )
    >>> found.null
    'The true alphas of all 200 assets are zero: what differs between them is luck.'
    >>> found.table["below"].round(1).to_list()
    [0.6, 0.9, 1.0]
    """
    levels = np.asarray(PERCENTILES if percentiles is None else percentiles, dtype=np.float64)
    if levels.ndim != 1 or not len(levels) or not ((levels >= 0) & (levels <= 100)).all():
        raise ValueError(
            f"`percentiles` must be one or more numbers between 0 and 100; got {percentiles!r}."
        )
    model = fitted_model(factors, returns)
    names = pd.Index(model.asset_names_, tupleize_cols=False, name="asset")
    model, notes = _classical(model)
    used, excess = sample_of(model)
    n_params = used.shape[1] + 1
    least = max(LEAST_MONTHS, n_params + 3) if min_obs is None else int(min_obs)
    if least <= n_params:
        raise ValueError(
            f"`min_obs` must be more than the number of coefficients, {n_params}; got {least}."
        )
    t_values = np.where(model.nobs_ >= least, model.tvalues_[:, 0], np.nan)
    kept = np.flatnonzero(~np.isnan(t_values))
    if len(kept) < 2:
        raise ValueError(
            f"At least 2 assets must have {least} returns that vary; got {len(kept)} of "
            f"{len(t_values)}. Lower `min_obs`, or test one asset by its p-value."
        )
    if len(kept) < len(t_values):
        notes += (
            f"{len(t_values) - len(kept)} of {len(t_values)} assets are left out, with fewer than "
            f"{least} returns.",
        )
    residuals = used @ model.coef_[:, model._training.kept].T
    residuals += model.intercept_
    np.subtract(excess, residuals, out=residuals)
    if len(kept) < len(t_values):
        residuals = residuals[:, kept]
    spread: FloatArray = np.zeros(len(kept))
    if alpha_std:
        spread = alpha_std * _relative_risk(residuals, n_params)
    resampler = AlphaResampler(residuals, used, least)
    del excess, residuals
    draws = _percentiles_of_draws(
        resampler, spread, n_resamples, levels / 100.0, draw_seed(random_state), verbose
    )
    actual = _percentiles(t_values[kept][None], levels / 100.0)[0]
    index = pd.Index(levels, name="percentile")
    low, high = np.nanquantile(draws, [0.05, 0.95], axis=0)
    table = pd.DataFrame(
        {
            "actual": actual,
            "simulated": np.nanmean(draws, axis=0),
            "low": low,
            "high": high,
            "below": (draws < actual).mean(axis=0),
        },
        index=index,
    )
    null = f"The true alphas of all {len(kept)} assets are zero: what differs between them is luck."
    if alpha_std:
        null = (
            f"The true alphas of the {len(kept)} assets are normal around zero with a standard "
            f"deviation of {alpha_std:g} a period, more for assets of more risk."
        )
    return AlphaBootstrap(
        table,
        pd.Series(t_values, names, name="t_value"),
        pd.DataFrame(draws, columns=index),
        null,
        len(kept),
        len(used),
        notes,
    )


def _classical(model: FamaFrenchRegressor) -> tuple[FamaFrenchRegressor, tuple[str, ...]]:
    """Return a model with classical t statistics, and a note if it was another."""
    if model.cov_type == "nonrobust":
        return model, ()
    used, excess = sample_of(model)
    note = f"The model has cov_type={model.cov_type!r}; classical t statistics are taken instead."
    return FamaFrenchRegressor(min_obs=model.min_obs).fit(used, excess), (note,)


def _relative_risk(residuals: FloatArray, n_params: int) -> FloatArray:
    """Return the residual standard deviation of each asset over their mean."""
    nobs = np.count_nonzero(~np.isnan(residuals), axis=0)
    risk = np.sqrt(np.nansum(residuals**2, axis=0) / (nobs - n_params))
    return np.asarray(risk / risk.mean())


def _percentiles_of_draws(
    resampler: AlphaResampler,
    spread: FloatArray,
    n_resamples: int,
    levels: FloatArray,
    seed: int,
    verbose: int,
) -> FloatArray:
    """Return the percentiles of each draw; (n_resamples, n_percentiles)."""
    # Two streams: the dates of a draw do not depend on whether alphas are drawn too.
    of_dates, of_alphas = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)
    )
    n_dates = resampler.n_dates
    draws = np.empty((n_resamples, len(levels)))
    progress = Progress(n_resamples, "draws", verbose)
    for start in range(0, n_resamples, DRAWS):
        stop = min(start + DRAWS, n_resamples)
        dates = of_dates.integers(0, n_dates, (stop - start, n_dates))
        line = np.arange(stop - start)[:, None] * n_dates
        counts = np.bincount((dates + line).ravel(), minlength=(stop - start) * n_dates)
        alphas = None
        if spread.any():
            alphas = spread * of_alphas.standard_normal((stop - start, len(spread)))
        t = resampler.tvalues(counts.reshape(stop - start, n_dates).astype(np.float64), alphas)
        draws[start:stop] = _percentiles(t, levels)
        progress.update(stop)
    return draws


def _percentiles(values: FloatArray, levels: FloatArray) -> FloatArray:
    return quantiles_by_line(values, levels, 1)[0]
