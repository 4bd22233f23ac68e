"""What a model leaves of the mean returns of assets or portfolios, and whether it is chance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skfactor._kernels._means import lags_or_rule, mean_squared_t, means_and_errors
from skfactor._kernels._resampling import block_length_of, count_draws, stationary_bootstrap
from skfactor._kernels._tails import two_sided_p
from skfactor._typing import ArrayLike, FloatArray, RandomState
from skfactor._validation import check_count, draw_seed
from skfactor.inference._result import HypothesisTest
from skfactor.metrics._rows import paired, returns_array
from skfactor.panel._index import factorize, has_panel_index, resolve_panel

_LARGE = 3.0


@dataclass(frozen=True, eq=False)
class PricingErrors:
    """Mean residuals of assets, each by itself and all together.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an asset: ``mean`` of the residuals a period, ``std_error``, ``t_value``,
        ``p_value`` (two-sided, Student's law) and ``n_dates``. ``NaN`` but for the count
        where an asset has fewer than ``min_obs`` residuals or they do not vary.
    joint : HypothesisTest
        The test that all of them are zero, with its null in words.
    maxlags : int
        Autocovariances in the standard errors.

    Attributes
    ----------
    n_large : int
        Assets with a t statistic above 3 in absolute value.
    root_mean_square : float
        Over assets, a period.
    mean_absolute : float
        Over assets, a period.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import pricing_error
    >>> residuals = np.random.default_rng(0).normal(0.0, 0.05, (120, 25))
    >>> errors = pricing_error(residuals)
    >>> errors.n_large
    0
    >>> errors.joint.null
    'The mean residuals of all 25 assets are zero.'
    """

    table: pd.DataFrame
    joint: HypothesisTest
    maxlags: int

    @property
    def n_large(self) -> int:
        """Assets with a t statistic above 3 in absolute value."""
        return int((self.table["t_value"].abs() > _LARGE).sum())

    @property
    def root_mean_square(self) -> float:
        """Root of the mean squared pricing error over assets, a period."""
        return float(np.sqrt((self.table["mean"] ** 2).mean()))

    @property
    def mean_absolute(self) -> float:
        """Mean absolute pricing error over assets, a period."""
        return float(self.table["mean"].abs().mean())

    def __repr__(self) -> str:
        n = int(self.table["t_value"].notna().sum())
        return (
            f"PricingErrors of {n} assets: root mean square {self.root_mean_square:.5f} a period, "
            f"|t| > {_LARGE:g} for {self.n_large}\n{self.joint}"
        )


def pricing_error(
    y_true: ArrayLike,
    y_fit: ArrayLike | None = None,
    *,
    dates: ArrayLike | None = None,
    assets: ArrayLike | None = None,
    maxlags: int | None = 0,
    min_obs: int = 12,
    block_length: float | None = None,
    n_resamples: int = 999,
    random_state: RandomState = 0,
) -> PricingErrors:
    r"""Test the mean residuals of a factor model, asset by asset and jointly.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,) or (n_dates, n_assets)
        Returns, or residuals where there is no ``y_fit``; ``NaN`` where missing. A long panel
        with its dates and assets, or a wide table of assets or of managed portfolios, its rows
        in order of time.
    y_fit : array-like of the same shape, default=None
        Fits of dates that the model was not fitted on, which is what makes mean residuals
        informative: in sample a model with an intercept has none.
    dates, assets : array-like of shape (n_rows,), default=None
        Of a long panel without a (date, asset) index.
    maxlags : int or None, default=0
        Autocovariances that the standard errors take in, with Bartlett weights; None takes
        :math:`\lfloor 4 (n / 100)^{2/9} \rfloor`.
    min_obs : int, default=12
        The fewest residuals of an asset that is judged; at least 3.
    block_length : float or None, default=None
        Mean length of the blocks of dates in the joint test; 1 draws dates one by one, which
        suits residuals that are independent over time. None takes the median over assets of
        what suits each [1]_, and the cube root of the number of dates at least.
    n_resamples : int, default=999
        Resamples of the joint test; its p-value is a multiple of 1 / (n_resamples + 1).
    random_state : int, RandomState instance or None, default=0
        Seed of the joint test. Not None, so that the same residuals have the same p-value each
        time they are reported; another seed shows what it owes to the resamples.

    Returns
    -------
    PricingErrors
        Means, standard errors and t statistics by asset, and the joint test.

    Raises
    ------
    ValueError
        For a parameter out of range, shapes or indexes that differ, a long panel without
        dates or assets, and fewer than one asset with ``min_obs`` residuals that vary.

    See Also
    --------
    grs_test : Exact, for traded factors and fewer assets than dates.
    joint_alpha_test : For alphas of a regression on given factors.

    Notes
    -----
    The pricing error of an asset is the mean of :math:`r_{i,t} - \beta_{i,t-1}' f_t`. The joint
    statistic is the mean over assets of squared t statistics without lags. Its law under the
    null is that of resamples of whole dates of the residuals less their means, in blocks of
    random length (the stationary bootstrap), so that it takes any number of assets, correlated
    in any way, with returns missing in any pattern. An asset with fewer than two different
    residuals in a resample is left out of that resample's mean. In simulations under the null,
    with 60 to 240 dates and 20 to 100 assets, it rejects 3 % to 5 % at 5 % for residuals that
    are independent over time, and 9 % to 11 % where their autocorrelation is 0.3.

    Fits whose factor returns are estimated from the same returns lean towards them, which makes
    pricing errors look smaller than they are; pass leave-one-out fits to take the asset's own
    share out.

    References
    ----------
    .. [1] A. Patton, D. N. Politis and H. White, "Correction to 'Automatic block-length
       selection for the dependent bootstrap'", Econometric Reviews 28, 372–375, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import pricing_error
    >>> rng = np.random.default_rng(0)
    >>> residuals = rng.normal(0.0, 0.02, (120, 40))
    >>> residuals[:, 0] += 0.01
    >>> errors = pricing_error(residuals)
    >>> errors.n_large, errors.joint.p_value < 0.05
    (1, True)
    """
    check_count(min_obs, "min_obs", 3)
    check_count(n_resamples, "n_resamples", 1)
    if maxlags is not None:
        check_count(maxlags, "maxlags", 0)
    if block_length is not None and not block_length >= 1:
        raise ValueError(f"`block_length` must be None or at least 1; got {block_length!r}.")
    if y_fit is None:
        residuals = returns_array(y_true, "y_true")
    else:
        true, fit, _ = paired(y_true, y_fit)
        residuals = true - fit
    wide, names = _wide(residuals, y_true, y_fit, dates, assets)
    lags = lags_or_rule(maxlags, len(wide))
    means, errors, counts = means_and_errors(wide, lags)
    seen = ~np.isnan(wide)
    highest = np.max(wide, axis=0, initial=-np.inf, where=seen)
    judged = (counts >= min_obs) & (highest > np.min(wide, axis=0, initial=np.inf, where=seen))
    if not judged.any():
        raise ValueError(
            f"At least one asset must have {min_obs} residuals (`min_obs`) that vary; got "
            f"{counts.max(initial=0)} at most."
        )
    table = pd.DataFrame({"mean": means, "std_error": errors}, index=names)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["t_value"] = means / errors
    table["p_value"] = two_sided_p(table["t_value"].to_numpy(), np.maximum(counts - 1.0, 1.0))
    table[~judged] = np.nan
    table["n_dates"] = counts
    joint = _joint_test(wide[:, judged], block_length, n_resamples, random_state)
    return PricingErrors(table, joint, lags)


def _joint_test(
    residuals: FloatArray,
    block_length: float | None,
    n_resamples: int,
    random_state: RandomState,
) -> HypothesisTest:
    """Return the bootstrap test that all means are zero."""
    n_dates, n_assets = residuals.shape
    length = block_length
    if length is None:
        filled = np.where(np.isnan(residuals), np.nanmean(residuals, axis=0), residuals)
        # Blocks that are too long cost little; too short ones miss autocorrelation.
        length = max(float(np.median(block_length_of(filled))), n_dates ** (1.0 / 3.0))
    rng = np.random.default_rng(draw_seed(random_state))
    drawn = stationary_bootstrap(rng, n_dates, n_resamples, length)
    statistic, resampled = mean_squared_t(residuals, count_draws(drawn))
    p_value = (1.0 + np.count_nonzero(resampled >= statistic)) / (n_resamples + 1.0)
    null = f"The mean residuals of all {n_assets} assets are zero."
    if n_assets == 1:
        null = "The mean residual of the asset is zero."
    return HypothesisTest(
        "Pricing errors",
        null,
        statistic,
        float(p_value),
        "bootstrap",
        (),
        False,
        (
            f"{n_resamples} resamples of {n_dates} dates in blocks of {length:.3g} on average; "
            "the statistic is the mean squared t.",
        ),
    )


def _wide(
    residuals: FloatArray, y_true: Any, y_fit: Any, dates: Any, assets: Any
) -> tuple[FloatArray, pd.Index]:
    """Return residuals with dates in rows and assets in columns, and what the assets are called."""
    if residuals.ndim == 2 and not has_panel_index(y_true):
        if dates is not None or assets is not None:
            raise ValueError(
                "`dates` and `assets` are for a long panel; got a table of shape "
                f"{residuals.shape}. Leave them out."
            )
        columns = getattr(y_true, "columns", None)
        names = pd.RangeIndex(residuals.shape[1]) if columns is None else pd.Index(columns)
        return residuals[_rising(y_true)], names.rename("asset")
    panel = resolve_panel(y_true, y_fit, dates, assets, required=True)
    if panel.asset_codes is None or panel.assets is None or panel.date_codes is None:
        raise ValueError(
            "Each row must have its asset; got dates alone. Give y_true a (date, asset) index, "
            "or pass `assets=`."
        )
    n_dates = int(panel.date_codes.max()) + 1
    wide = np.full((n_dates, len(panel.assets)), np.nan)
    wide[panel.date_codes, panel.asset_codes] = residuals.ravel()
    return wide, panel.assets.rename("asset")


def _rising(table: Any) -> Any:
    """Return the order of the rows of a table by date, where it carries dates."""
    index = getattr(table, "index", None)
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        return np.argsort(factorize(index)[0], kind="stable")
    return slice(None)
