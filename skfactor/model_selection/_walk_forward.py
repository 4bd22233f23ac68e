"""Refitting a factor model as time goes on, and what it says of dates it has not seen."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.parallel import Parallel, delayed

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import check_count
from skfactor.metrics import predictive_r2_score, total_r2_score
from skfactor.model_selection._panel_split import PanelSplit
from skfactor.model_selection._refit import (
    PanelData,
    Refit,
    check_horizon,
    check_takes_dates,
    refit,
    rotations,
    tangency_returns,
)
from skfactor.portfolios import quantile_long_short


class WalkForward:
    r"""Refit a factor model on a schedule, and stitch what it says of the dates that follow.

    For each split the model is cloned and fitted on the training dates. On the test dates it
    is asked for its fits, with the factor returns of the same date, and for its predictions,
    with premia forecast from factor returns before that date: the model is *updated* date by
    date, never refitted.

    Each refit has its own rotation of the factors, so its whole factor history and its premia
    are its own; only fits, predictions and portfolio returns are stitched. Betas and factors
    are rotated onto those of the refit before (orthogonal Procrustes on the betas of the test
    rows) for display.

    Parameters
    ----------
    estimator : estimator
        A factor model, a pipeline that ends in one, or a search over either.
    cv : PanelSplit, default=None
        The schedule; ``None`` is ``PanelSplit()``. Its ``gap`` and ``embargo`` together must
        be at least the ``horizon`` of the estimator, if that has one.
    n_quantiles : int, default=10
        Number of portfolios that assets are sorted into by their predictions.
    n_jobs : int, default=None
        Number of refits that run at once; ``None`` is 1 unless set by joblib's
        ``parallel_config``, and -1 uses all cores.
    verbose : int, default=0
        How much joblib prints of the progress.

    Attributes
    ----------
    schedule_ : DataFrame of shape (n_refits, 5)
        First and last date of training and of testing, and number of training rows. The index
        is the first test date of the refit.
    estimators_ : list of estimator
        The refitted estimators, as they were after ``fit``.
    returns_ : Series of shape (n_test_rows,)
        Realised returns of the test rows, in the order of the input.
    fits_ : Series of shape (n_test_rows,)
        Fits with the factor returns of the same date.
    fits_leave_one_out_ : Series of shape (n_test_rows,)
        The same, each without its own return; equal to ``fits_`` for models whose factor
        returns are not estimated from the returns they explain.
    predictions_ : Series of shape (n_test_rows,)
        Expected returns, made before the date.
    betas_ : DataFrame of shape (n_test_rows, n_factors)
        Betas of the test rows, each by the refit that served it, aligned.
    factor_returns_ : DataFrame of shape (n_refits * n_dates, n_factors)
        The factor history of each refit through its test dates, aligned. The index holds the
        refit and the date.
    risk_premia_ : DataFrame of shape (n_refits, n_factors)
        The premia in force at the end of each ``fit``, aligned.
    portfolio_returns_ : DataFrame of shape (n_test_dates, 2)
        ``"long_short"``: the assets with the highest predictions less those with the lowest,
        equally weighted. ``"tangency"``: the tangency portfolio of the refit's factors, its
        weights from factor returns before the date, scaled to an expected standard deviation
        of 1 % a period; ``NaN`` before a dozen factor returns are known.

    See Also
    --------
    PanelSplit : The splits.
    skfactor.metrics.sharpe_ratio : What the portfolio returns are worth.
    skfactor.portfolios.quantile_long_short : Turnover and costs of the first portfolio.
    skfactor.portfolios.tangency_portfolio : The second.

    Notes
    -----
    Everything that comes out for a date is made from training dates before it, of which none
    is closer than the gap; from the characteristics of the date, known before it; and, for
    fits and portfolio returns alone, from the returns of the date.

    Dates between training and test, and validation dates that are left out of training, serve
    to update the premia.

    Where a date stands in no test block nothing is returned for it. Rows without a return have
    fits and predictions all the same.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.factor_models import InstrumentedPCA
    >>> from skfactor.model_selection import PanelSplit, WalkForward
    >>> rng = np.random.default_rng(0)
    >>> dates = pd.period_range("2010-01", periods=36, freq="M")
    >>> index = pd.MultiIndex.from_product([dates, range(40)], names=["date", "asset"])
    >>> X = pd.DataFrame(rng.uniform(-1, 1, (len(index), 3)), index, columns=list("abc"))
    >>> market = pd.Series(rng.normal(0.02, 0.04, 36), dates).reindex(index, level=0)
    >>> y = X["a"] * market + 0.01 * rng.normal(size=len(index))
    >>> walk = WalkForward(InstrumentedPCA(n_factors=1), PanelSplit(3, test_size=6)).fit(X, y)
    >>> walk.schedule_["train_end"].astype(str).to_list()
    ['2011-06', '2011-12', '2012-06']
    >>> bool(walk.scores()["total_r2"] > 0.5)
    True
    """

    schedule_: pd.DataFrame
    estimators_: list[Any]
    returns_: pd.Series
    fits_: pd.Series
    fits_leave_one_out_: pd.Series
    predictions_: pd.Series
    betas_: pd.DataFrame
    factor_returns_: pd.DataFrame
    risk_premia_: pd.DataFrame
    portfolio_returns_: pd.DataFrame

    def __init__(
        self,
        estimator: Any,
        cv: PanelSplit | None = None,
        *,
        n_quantiles: int = 10,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.cv = cv
        self.n_quantiles = n_quantiles
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __repr__(self) -> str:
        return f"WalkForward({self.estimator!r}, {self.cv!r})"

    def fit(self, X: ArrayLike, y: ArrayLike, *, dates: Any = None, assets: Any = None) -> Self:
        """Walk through the dates of a panel.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics of each (date, asset) pair, known before the return is earned, as
            the estimator takes them.
        y : array-like of shape (n_rows,)
            Excess returns as decimals a period; ``NaN`` where missing.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        WalkForward
            The object itself. After an error it holds what it held before.

        Raises
        ------
        ValueError
            If no dates are found or there are too few, and for a gap that is shorter than the
            horizon of the estimator.
        TypeError
            If the estimator is no factor model.
        """
        check_count(self.n_quantiles, "n_quantiles", 2)
        cv = PanelSplit() if self.cv is None else self.cv
        check_horizon(self.estimator, cv.gap, cv.embargo)
        data = PanelData.of(X, y, dates, assets)
        check_takes_dates(self.estimator, data)
        calendar, windows = data.rows.dates, cv.windows(len(data.rows.dates))
        trains = [cv.training_dates(window) for window in windows]
        tests = [data.rows.between(*window.test) for window in windows]
        refits = Parallel(n_jobs=self.n_jobs, verbose=self.verbose)(
            delayed(refit)(
                self.estimator,
                data,
                data.rows.between(*train),
                np.concatenate([data.rows.between(train[1], window.test[0]), test]),
                len(test),
            )
            for train, window, test in zip(trains, windows, tests, strict=True)
        )
        starts = calendar[[window.test[0] for window in windows]].rename("refit")
        schedule = pd.DataFrame(
            {
                "train_start": calendar[[first for first, _ in trains]],
                "train_end": calendar[[last - 1 for _, last in trains]],
                "test_start": starts,
                "test_end": calendar[[window.test[1] - 1 for window in windows]],
                "n_train_rows": [len(data.rows.between(*train)) for train in trains],
            },
            index=starts,
        )
        # As many dates as are tested, from the end of training.
        common = [
            data.rows.between(max(first, last - (window.test[1] - window.test[0])), last)
            for (first, last), window in zip(trains[1:], windows[1:], strict=True)
        ]
        vars(self).update(
            self._stitch(data, refits, tests),
            **_by_refit(refits, rotations(refits, data, common), starts, data, tests),
            estimators_=[each.estimator for each in refits],
            schedule_=schedule,
        )
        return self

    def scores(self, *, baseline: Any = None) -> pd.Series:
        """Return the out-of-sample R² over all test rows.

        Parameters
        ----------
        baseline : float, array-like or Series by date, default=None
            What returns are compared with, as :func:`~skfactor.metrics.total_r2_score` takes
            it; ``None`` is zero.

        Returns
        -------
        Series
            ``"total_r2"`` of the plain fits, ``"total_r2_leave_one_out"``, which does not
            reward a factor for explaining the return it was estimated from, and
            ``"predictive_r2"``.
        """
        if not hasattr(self, "fits_"):
            raise AttributeError("`scores` must follow `fit`; got no fits. Call fit(X, y) first.")
        return pd.Series(
            {
                "total_r2": total_r2_score(self.returns_, self.fits_, baseline=baseline),
                "total_r2_leave_one_out": total_r2_score(
                    self.returns_, self.fits_leave_one_out_, baseline=baseline
                ),
                "predictive_r2": predictive_r2_score(
                    self.returns_, self.predictions_, baseline=baseline
                ),
            },
            name="score",
        )

    def _stitch(
        self, data: PanelData, refits: list[Refit], tests: list[IntArray]
    ) -> dict[str, Any]:
        """Return what does not depend on the rotation of a refit's factors."""
        rows = np.concatenate(tests)
        order = np.argsort(rows)
        results: dict[str, Any] = {
            name + "_": data.series(
                np.concatenate([getattr(each, name) for each in refits])[order], rows[order], name
            )
            for name in ("fits", "fits_leave_one_out", "predictions")
        }
        results["returns_"] = data.series(data.y.to_numpy()[rows[order]], rows[order], "returns")
        sorted_into = quantile_long_short(
            results["predictions_"], results["returns_"], n_quantiles=self.n_quantiles
        )
        tangency = [
            tangency_returns(each.factor_returns, data.dates_of(test).min())
            for each, test in zip(refits, tests, strict=True)
        ]
        results["portfolio_returns_"] = pd.DataFrame(
            {"long_short": sorted_into.returns, "tangency": pd.concat(tangency)}
        ).rename_axis("date")
        return results


def _by_refit(
    refits: list[Refit],
    turns: list[FloatArray],
    starts: pd.Index,
    data: PanelData,
    tests: list[IntArray],
) -> dict[str, Any]:
    """Return betas, factors and premia, those of each refit rotated onto the one before."""
    order = np.argsort(np.concatenate(tests))
    betas, histories, premia = [], {}, {}
    for each, turn, start, test in zip(refits, turns, starts, tests, strict=True):
        # A search may have chosen another number of factors for another refit.
        names = each.factor_returns.columns
        betas.append(pd.DataFrame(each.betas @ turn, data.index_of(test), names))
        # Of frames without columns pandas makes no product.
        turned = each.factor_returns.to_numpy() @ turn
        histories[start] = pd.DataFrame(turned, each.factor_returns.index, names)
        premia[start] = pd.Series(each.premia @ turn, names)
    return {
        "betas_": pd.concat(betas).iloc[order],
        "risk_premia_": pd.DataFrame(premia).T.set_axis(starts, axis=0),
        "factor_returns_": pd.concat(histories, names=["refit", "date"]),
    }
