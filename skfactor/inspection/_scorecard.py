"""Everything that a factor model is judged by, on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, RandomState
from skfactor._validation import check_count, check_random_state
from skfactor.inference._pricing_error import PricingErrors, pricing_error
from skfactor.inspection._judged import Compared, Judged, judge_model, judge_walk
from skfactor.inspection._scorecard_text import scorecard_text
from skfactor.metrics._information_coefficient import (
    InformationCoefficient,
    information_coefficient,
)
from skfactor.metrics._r2 import predictive_r2_score, total_r2_score
from skfactor.metrics._sharpe import SharpeRatio, check_sharpe, sharpe_ratio
from skfactor.panel._agreement import refuse_weights_of_other_rows
from skfactor.portfolios._efficient import EfficientPortfolio
from skfactor.portfolios._long_short import QuantileLongShort, quantile_long_short, read_weights

T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False)
class Scorecard:
    """How good a factor model is, made by :func:`scorecard`; printed it is a page.

    Parameters
    ----------
    model : str
        What was judged.
    r2 : pandas.DataFrame
        R² in the columns ``total``, ``total_left_out`` and ``predictive``; one row for
        ``assets`` and one for each kind of managed portfolios.
    information_coefficient : InformationCoefficient or None
        Rank correlation of predictions with returns.
    pricing : dict of str to PricingErrors
        Mean residuals of assets and of each kind of managed portfolios.
    long_short : QuantileLongShort or None
        Long the assets with the highest predictions, short those with the lowest.
    tangency : EfficientPortfolio or None
        The factors in the proportions that were best so far.
    sharpe : dict of str to SharpeRatio
        Of ``long_short`` and ``tangency``, and of the first after costs (``long_short_net``).
    coverage : dict
        ``n_dates``, ``first_date``, ``last_date``, ``n_rows``, ``n_returns``, the least,
        median and largest number of returns of a date (``min_assets``, ``median_assets``,
        ``max_assets``), and ``n_fitted_dates``: how many of the dates the model was fitted on.
    cost : float
        Cost of trading for one.
    missing : dict of str to str
        What could not be computed, and why.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import InstrumentedPCA
    >>> from skfactor.inspection import scorecard
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2020-01", periods=48, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(60)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (2880, 3)), index, columns=["size", "value", "age"])
    >>> factor = np.repeat(rng.normal(0.02, 0.05, 48), 60)
    >>> y = X["value"] * factor + rng.normal(0.0, 0.02, 2880)
    >>> model = InstrumentedPCA(n_factors=1).fit(X[:1440], y[:1440])
    >>> card = scorecard(model, X[1440:], y[1440:])
    >>> bool(card.r2.loc["assets", "total"] > 0.5)
    True
    >>> card.to_series().index[:2].to_list()
    ['total_r2', 'total_r2_left_out']
    """

    model: str
    r2: pd.DataFrame
    information_coefficient: InformationCoefficient | None
    pricing: dict[str, PricingErrors]
    long_short: QuantileLongShort | None
    tangency: EfficientPortfolio | None
    sharpe: dict[str, SharpeRatio]
    coverage: dict[str, Any]
    cost: float
    missing: dict[str, str]

    def __repr__(self) -> str:
        return scorecard_text(self)

    def to_series(self) -> pd.Series:
        """Return the main numbers as one column, to lay several models side by side.

        Returns
        -------
        pandas.Series
            ``NaN`` where something could not be computed. R² of managed portfolios are those
            of ``(Z'Z)⁻¹Z'r``.
        """
        nan = float("nan")
        assets, managed = self.r2.loc["assets"], None
        if "managed (regression)" in self.r2.index:
            managed = self.r2.loc["managed (regression)"]
        ic = self.information_coefficient
        errors = self.pricing.get("managed (regression)")
        by_asset = self.pricing.get("assets")
        trades = None if self.long_short is None else self.long_short.turnover.mean()
        values = {
            "total_r2": assets["total"],
            "total_r2_left_out": assets["total_left_out"],
            "predictive_r2": assets["predictive"],
            "managed_total_r2": nan if managed is None else managed["total"],
            "managed_predictive_r2": nan if managed is None else managed["predictive"],
            "information_coefficient": nan if ic is None else ic.mean,
            "information_coefficient_t_value": nan if ic is None else ic.t_value,
            "pricing_rms": nan if by_asset is None else by_asset.root_mean_square,
            "pricing_p_value": nan if by_asset is None else by_asset.joint.p_value,
            "managed_pricing_p_value": nan if errors is None else errors.joint.p_value,
            **{
                f"{name}_sharpe": self.sharpe[name].value if name in self.sharpe else nan
                for name in ("long_short", "long_short_net", "tangency")
            },
            "long_short_turnover": nan if trades is None else trades,
            "n_dates": self.coverage["n_dates"],
            "n_returns": self.coverage["n_returns"],
        }
        return pd.Series(values, dtype=float, name=self.model)


def scorecard(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_quantiles: int = 10,
    cost: float = 0.001,
    managed: bool = True,
    periods_per_year: float = 12,
    sharpe_method: str = "mertens",
    dates: Any = None,
    assets: Any = None,
    random_state: RandomState = 0,
) -> Scorecard:
    r"""Judge a fitted factor model by everything at once; print the result.

    Parameters
    ----------
    model : estimator
        A fitted factor model, or a pipeline that ends in one; it is not changed. Or a fitted
        :class:`~skfactor.model_selection.WalkForward`, whose stitched test rows are judged.
    X : array-like of shape (n_rows, n_features)
        Rows with dates, of dates later than those of ``fit``: in sample most numbers flatter.
        The card says how many of the dates were fitted on. Of a walk, the rows it was fitted
        on, from which managed portfolios are made.
    y : array-like of shape (n_rows,)
        Excess returns, ``NaN`` where missing. A walk has its own, and reads only the index.
    weights : array-like of shape (n_rows,), default=None
        What weights in the long–short portfolio are proportional to, known at t−1, such as
        the market value; a value for each row that is judged, of the same index if it is a pandas
        object. None weighs equally, which leans towards small assets.
    n_quantiles : int, default=10
        Portfolios that assets are sorted into on their predictions.
    cost : float, default=0.001
        Cost of buying or selling for one, as a decimal, taken off the long–short returns.
    managed : bool, default=True
        Whether to judge managed portfolios as well, of both kinds: of the characteristics
        that the model itself is shown, after the steps of a pipeline before it.
    periods_per_year : float, default=12
        Dates a year, which Sharpe ratios are annualised by.
    sharpe_method : {"normal", "mertens", "hac", "bootstrap"}, default="mertens"
        How intervals of Sharpe ratios are made, as
        :func:`~skfactor.metrics.sharpe_ratio` takes it.
    dates, assets : array-like of shape (n_rows,), default=None
        Of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
    random_state : int, RandomState instance or None, default=0
        Seed of the bootstraps. Not None, so that the same model and rows give the same card,
        and cards beside each other differ by their models alone.

    Returns
    -------
    Scorecard
        The numbers and the objects behind them.

    Raises
    ------
    TypeError
        If ``model`` is not a factor model.
    ValueError
        For a parameter out of range, rows without dates, weights of other rows, and rows that
        the model refuses. What else cannot be computed does not raise: ``missing`` says why.

    See Also
    --------
    skfactor.metrics.make_factor_scorer : One of the numbers, for a search.
    characteristic_importance : What the model relies on.

    Notes
    -----
    Predictions are one step ahead: each date from factor returns before it. The tangency
    portfolio takes its moments from all factor returns known before a date, those of ``fit``
    included, and is judged on the dates of ``X``. Returns of latent factors are those of
    portfolios that anyone could hold who could trade all assets at no cost.

    ``total`` is the definition of papers. Where factor returns are estimated from the returns
    themselves, ``total_left_out`` estimates them without each asset's own return, and fits
    managed portfolios of one half of the assets by factor returns from the other half;
    elsewhere the two are equal. A model that needs every return, as the conditional autoencoder
    with ``factor_side="returns"`` does, has no such fits of portfolios: ``NaN``.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import InstrumentedPCA
    >>> from skfactor.inspection import scorecard
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2020-01", periods=48, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(60)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (2880, 3)), index, columns=["size", "value", "age"])
    >>> y = pd.Series(rng.normal(0.0, 0.02, 2880), index)
    >>> model = InstrumentedPCA(n_factors=1).fit(X[:1440], y[:1440])
    >>> noise = scorecard(model, X[1440:], y[1440:]).r2.loc["assets"]
    >>> bool(noise["total"] > 0.005), bool(noise["total_left_out"] < 0.005)
    (True, True)
    """
    if not cost >= 0:
        raise ValueError(f"`cost` must be at least 0; got {cost!r}.")
    # Below, an error means that the data do not suffice, and goes to `missing`.
    check_count(n_quantiles, "n_quantiles", 2)
    check_sharpe(periods_per_year, sharpe_method, "sharpe_method")
    check_random_state(random_state)
    if hasattr(model, "fits_leave_one_out_"):
        judged = judge_walk(model, X, y, dates, assets, managed)
    else:
        judged = judge_model(model, X, y, dates, assets, managed)
    held = None
    if weights is not None:
        held = read_weights(weights, len(judged.date_codes))
        refuse_weights_of_other_rows(weights, "weights", **judged.rows)
    missing = judged.missing

    def attempt(name: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except ValueError as error:
            missing[name] = str(error)
            return None

    pricing = {}
    for name in judged.compared:
        errors = attempt(f"pricing errors of {name}", partial(_pricing, judged, name, random_state))
        if errors is not None:
            pricing[name] = errors
    of_assets = judged.compared["assets"]
    ic = attempt(
        "information coefficient",
        lambda: information_coefficient(
            of_assets.true, of_assets.predicted, dates=judged.dates[judged.date_codes]
        ),
    )
    long_short = attempt(
        "long–short portfolio",
        lambda: quantile_long_short(
            judged.indexed(of_assets.predicted),
            judged.indexed(of_assets.true),
            n_quantiles=n_quantiles,
            weights=held,
        ),
    )
    tangency = attempt("tangency portfolio", judged.tangency)
    earned: dict[str, pd.Series] = {}
    if long_short is not None:
        earned["long_short"] = long_short.returns
        earned["long_short_net"] = long_short.net_returns(cost)
    if tangency is not None:
        earned["tangency"] = tangency.returns
    sharpe = {}
    for name, series in earned.items():
        ratio = attempt(
            f"Sharpe ratio of {name}",
            partial(
                sharpe_ratio,
                series,
                periods_per_year=periods_per_year,
                method=sharpe_method,
                random_state=random_state,
            ),
        )
        if ratio is not None:
            sharpe[name] = ratio
    return Scorecard(
        judged.name,
        pd.DataFrame({name: _r2(each) for name, each in judged.compared.items()}).T,
        ic,
        pricing,
        long_short,
        tangency,
        sharpe,
        _coverage(judged),
        float(cost),
        missing,
    )


def _r2(compared: Compared) -> dict[str, float]:
    left_out = compared.left_out
    return {
        "total": total_r2_score(compared.true, compared.fit),
        "total_left_out": float("nan") if left_out is None else total_r2_score(*left_out),
        "predictive": predictive_r2_score(compared.true, compared.predicted),
    }


def _pricing(judged: Judged, name: str, random_state: RandomState) -> PricingErrors:
    true, fit = judged.compared[name].true, judged.compared[name].fit
    if name == "assets":
        return pricing_error(judged.indexed(true), judged.indexed(fit), random_state=random_state)
    return pricing_error(true, fit, random_state=random_state)


def _coverage(judged: Judged) -> dict[str, Any]:
    seen = ~np.isnan(judged.compared["assets"].true)
    counts = np.bincount(judged.date_codes[seen], minlength=len(judged.dates))
    return {
        "n_dates": len(judged.dates),
        "first_date": judged.dates[0],
        "last_date": judged.dates[-1],
        "n_rows": len(seen),
        "n_returns": int(seen.sum()),
        "min_assets": int(counts.min()),
        "median_assets": float(np.median(counts)),
        "max_assets": int(counts.max()),
        "n_fitted_dates": judged.n_fitted_dates,
    }
