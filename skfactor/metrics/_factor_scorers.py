"""Scorers of factor models, for searches and cross-validation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metadata_routing import MetadataRequest

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import listed
from skfactor.metrics._information_coefficient import information_coefficient
from skfactor.metrics._model_output import ModelRows, check_gap, model_rows, uses_own_returns
from skfactor.metrics._r2 import predictive_r2_score, total_r2_score
from skfactor.metrics._rows import returns_array
from skfactor.panel._agreement import refuse_weights_of_other_rows

Metric = Callable[..., Any]

# Name -> function, and what of the model it compares returns with.
METRICS: dict[str, tuple[Metric, str]] = {
    "total_r2": (total_r2_score, "fit"),
    "predictive_r2": (predictive_r2_score, "prediction"),
    "information_coefficient": (information_coefficient, "prediction"),
}
_ON = ("assets", "managed")
_KINDS = ("regression", "mean")


class FactorScorer:
    """A callable ``(estimator, X, y) -> float``; made by :func:`make_factor_scorer`."""

    def __init__(
        self,
        metric: str | Metric,
        *,
        response: str,
        leave_one_out: bool | None,
        on: str,
        kind: str,
        constant: bool,
        baseline: ArrayLike | None,
        greater_is_better: bool,
    ) -> None:
        self.metric = metric
        self.response = response
        self.leave_one_out = leave_one_out
        self.on = on
        self.kind = kind
        self.constant = constant
        self.baseline = baseline
        self.greater_is_better = greater_is_better

    def __call__(
        self,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        dates: Any = None,
        assets: Any = None,
    ) -> float:
        """Score a fitted factor model, or a pipeline that ends in one, on the rows of `X`."""
        rows = model_rows(estimator, X, y, dates, assets)
        check_gap(rows)
        true, found = self._compared(rows)
        kwargs: dict[str, Any] = {}
        if self.baseline is not None:
            kwargs["baseline"] = self.baseline
        if sample_weight is not None:
            if self.on == "managed":
                raise ValueError(
                    "`sample_weight` weighs assets; the scorer has on='managed', whose rows are "
                    "portfolios. Leave it out."
                )
            refuse_weights_of_other_rows(sample_weight, "sample_weight", X=X, y=y)
            kwargs["sample_weight"] = returns_array(sample_weight, "sample_weight")
        function = METRICS[self.metric][0] if isinstance(self.metric, str) else self.metric
        value = float(function(true, found, **kwargs))
        return value if self.greater_is_better else -value

    @property
    def name(self) -> str:
        """The metric's name, for tables."""
        if isinstance(self.metric, str):
            return self.metric
        return getattr(self.metric, "__name__", type(self.metric).__name__)

    def _compared(self, rows: ModelRows) -> tuple[Any, Any]:
        """Return returns and what they are compared with, with dates where there are some."""
        left_out = self.leave_one_out
        if left_out is None:
            left_out = uses_own_returns(rows.model)
        if self.on == "assets":
            found = (
                rows.predictions()
                if self.response == "prediction"
                else rows.fits(leave_one_out=left_out)
            )
            return self._by_row(rows, rows.y), self._by_row(rows, found)
        if self.response == "prediction":
            predicted = rows.predictions()
            pair = tuple(
                rows.portfolios(values, self.kind, constant=self.constant)
                for values in (rows.y, predicted)
            )
        else:
            pair = rows.portfolio_fits(self.kind, left_out=left_out, constant=self.constant)
        return self._dated(rows, pair[0]), self._dated(rows, pair[1])

    @staticmethod
    def _by_row(rows: ModelRows, values: FloatArray) -> Any:
        """Return values with their dates, by which a baseline or a metric may look them up."""
        if rows.dates is None:
            return values
        # Assets need no names here: places tell rows apart.
        levels: Any = [rows.dates, np.arange(len(values))]
        codes: Any = [rows.date_codes, np.arange(len(values))]
        return pd.Series(values, pd.MultiIndex(levels, codes, names=["date", "row"]))

    @staticmethod
    def _dated(rows: ModelRows, values: FloatArray) -> Any:
        if rows.dates is None:
            return values
        repeats = len(values) // len(rows.dates)
        return pd.DataFrame(values, np.tile(rows.dates, repeats) if repeats > 1 else rows.dates)

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the metadata that the scorer takes where routing is enabled.

        Returns
        -------
        MetadataRequest
            Dates and assets, as every estimator of panels requests them.
        """
        request = MetadataRequest(owner=self)
        for name in ("dates", "assets"):
            request.score.add_request(param=name, alias=True)
        return request

    def __repr__(self) -> str:
        metric = repr(self.metric) if isinstance(self.metric, str) else self.name
        parts = [metric]
        if not isinstance(self.metric, str):
            parts.append(f"response={self.response!r}")
        if self.leave_one_out is not None:
            parts.append(f"leave_one_out={self.leave_one_out}")
        if self.on != "assets":
            parts += [f"on={self.on!r}", f"kind={self.kind!r}"]
        if self.constant:
            parts.append("constant=True")
        if self.baseline is not None:
            parts.append("baseline=...")
        if not self.greater_is_better:
            parts.append("greater_is_better=False")
        return f"make_factor_scorer({', '.join(parts)})"


def make_factor_scorer(
    metric: str | Metric,
    *,
    response: str | None = None,
    leave_one_out: bool | None = None,
    on: str = "assets",
    kind: str = "regression",
    constant: bool = False,
    baseline: ArrayLike | None = None,
    greater_is_better: bool = True,
) -> FactorScorer:
    r"""Make a scorer of factor models.

    The scorer is called as ``scorer(estimator, X, y)`` on a fitted factor model, a pipeline
    that ends in one, or a search over either. It goes wherever scikit-learn takes
    ``scoring=``, alone or in a dict of several, can be pickled, and is always to be maximised.
    Where metadata routing is enabled it takes ``dates=`` and ``assets=`` without being asked.

    Parameters
    ----------
    metric : {"total_r2", "predictive_r2", "information_coefficient"} or callable
        What is computed. A callable is called as ``metric(y_true, y_found)`` and returns a
        number, or something that ``float`` takes.
    response : {"fit", "prediction"}, default=None
        What returns are compared with: the ``reconstruct`` of a model, with factor returns of
        the same date, or its predictions one step ahead, each date from factor returns known
        before it (``copy.deepcopy(model).update(X, y).predict(X)``). The named metrics know;
        a callable must be told.
    leave_one_out : bool, default=None
        Whether a fit is made without the return that it explains. ``None`` does so where the
        model estimates factor returns from the returns themselves; False is the definition
        in papers, which rewards every further factor. Of managed portfolios half of the assets
        are left out, see Notes. Nothing is left out of predictions.
    on : {"assets", "managed"}, default="assets"
        Whether assets are scored or characteristic-managed portfolios of them.
    kind : {"regression", "mean"}, default="regression"
        Which managed portfolios: :math:`(Z_t' Z_t)^{-1} Z_t' r_t` or :math:`Z_t' r_t / N_t`.
    constant : bool, default=False
        Whether a constant is among the characteristics that manage portfolios: with ``"mean"``
        it is the equally weighted market.
    baseline : float, array-like or Series by date, default=None
        Handed on to an R², as :func:`total_r2_score` takes it. A value for each return suits
        only the rows that it was made for.
    greater_is_better : bool, default=True
        Whether greater values of a callable are better; if not, the scorer changes the sign.

    Returns
    -------
    callable
        A scorer ``(estimator, X, y, sample_weight=None, *, dates=None, assets=None) -> float``.

    Raises
    ------
    ValueError
        If a parameter is not one of the above.
    TypeError
        When the scorer is called, if the model has no ``reconstruct`` for fits.

    See Also
    --------
    total_r2_scorer : Total R² of assets.
    predictive_r2_scorer : Predictive R² of assets.
    skfactor.inspection.scorecard : All of them at once.

    Notes
    -----
    In a pipeline the steps before the model transform the rows, and dates that one of them
    lost are put back. Predictions of an estimator without ``update`` are those of its
    ``predict``: a regression forest can be scored beside factor models.

    A factor that is estimated from returns is a portfolio much like the managed ones, and
    leaving each asset out by itself does not take a portfolio's own return out of it: on pure
    noise K factors fit about K of the portfolios. So of managed portfolios every second asset is
    left out: portfolios of these are fitted by factor returns estimated from the others, and the
    other way round.

    The equations are those of :func:`total_r2_score`, :func:`predictive_r2_score` and
    :func:`information_coefficient`; managed portfolios are scored as in [1]_.

    References
    ----------
    .. [1] B. Kelly, S. Pruitt and Y. Su, "Characteristics are covariances: A unified model of
       risk and return", Journal of Financial Economics 134, 501–524, 2019.

    Examples
    --------
    >>> from skfactor.metrics import make_factor_scorer
    >>> make_factor_scorer("total_r2", on="managed", kind="mean")
    make_factor_scorer('total_r2', on='managed', kind='mean')
    """
    if not callable(metric) and metric not in METRICS:
        raise ValueError(
            f"`metric` must be one of {listed(METRICS)}, or a callable; got {metric!r}."
        )
    for name, value, allowed in (("on", on, _ON), ("kind", kind, _KINDS)):
        if value not in allowed:
            raise ValueError(f"`{name}` must be {allowed[0]!r} or {allowed[1]!r}; got {value!r}.")
    if isinstance(metric, str):
        known = METRICS[metric][1]
        if response not in (None, known):
            raise ValueError(
                f"`response` of {metric!r} is {known!r}; got {response!r}. Leave it out."
            )
        if not greater_is_better:
            raise ValueError(
                f"`greater_is_better` is for a callable: {metric!r} is known to be better when "
                "greater. Leave it out."
            )
        if metric == "information_coefficient" and (on != "assets" or baseline is not None):
            raise ValueError(
                "'information_coefficient' orders assets and has no baseline; got "
                f"on={on!r} and baseline={baseline!r}. Leave both out."
            )
        response = known
    if response not in ("fit", "prediction"):
        raise ValueError(
            "`response` must be 'fit' or 'prediction' for a callable `metric`; got "
            f"{response!r}. Say what the metric compares returns with."
        )
    return FactorScorer(
        metric,
        response=response,
        leave_one_out=leave_one_out,
        on=on,
        kind=kind,
        constant=constant,
        baseline=baseline,
        greater_is_better=greater_is_better,
    )


total_r2_scorer = make_factor_scorer("total_r2")
"""Total R² of assets, in the leave-one-out form where the model estimates factor returns from the
returns that they explain: ``make_factor_scorer("total_r2")``.

:func:`total_r2_score` states the equation and its source.

Examples
--------
>>> from skfactor.datasets import make_gkx_panel
>>> from skfactor.factor_models import InstrumentedPCA
>>> from skfactor.metrics import total_r2_scorer
>>> panel = make_gkx_panel("a", n_assets=50, n_dates=120, n_features=4, random_state=0)
>>> train = panel.X.index.get_level_values("date") < "2007-01-01"
>>> model = InstrumentedPCA(n_factors=3).fit(panel.X[train], panel.y[train])
>>> round(total_r2_scorer(model, panel.X[~train], panel.y[~train]), 3)
0.394
"""

predictive_r2_scorer = make_factor_scorer("predictive_r2")
"""Predictive R² of assets, one step ahead: ``make_factor_scorer("predictive_r2")``.

:func:`predictive_r2_score` states the equation and its source.

Examples
--------
>>> from skfactor.datasets import make_gkx_panel
>>> from skfactor.factor_models import InstrumentedPCA
>>> from skfactor.metrics import predictive_r2_scorer
>>> panel = make_gkx_panel("a", n_assets=50, n_dates=120, n_features=4, random_state=0)
>>> train = panel.X.index.get_level_values("date") < "2007-01-01"
>>> model = InstrumentedPCA(n_factors=3).fit(panel.X[train], panel.y[train])
>>> round(predictive_r2_scorer(model, panel.X[~train], panel.y[~train]), 3)
0.028
"""
