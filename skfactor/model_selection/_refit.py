"""One refit of a walk forward: fit on some dates, speak of the dates that follow."""

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skfactor._typing import FloatArray, IntArray
from skfactor.factor_models._align import procrustes
from skfactor.metrics._model_output import method, model_rows
from skfactor.model_selection._panel_split import DatedRows, PanelSplit
from skfactor.panel._coded import resolve_coded
from skfactor.panel._index import has_panel_index
from skfactor.portfolios._efficient import frontier_weights

# As in tangency_portfolio, but for a history that may be shorter than that.
_FEWEST_DATES = 12
_VOLATILITY = 0.01


@dataclass(frozen=True, eq=False)
class PanelData:
    """A panel that can be cut by rows without losing its dates.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        With a (date, asset) index where assets are known.
    y : Series of shape (n_rows,)
        Returns, with the same index.
    where : dict
        ``dates`` of the rows, to be handed over, if the index does not hold them.
    rows : DatedRows
        The rows of each date.
    """

    X: pd.DataFrame
    y: pd.Series
    where: dict[str, Any]
    rows: DatedRows

    @classmethod
    def of(cls, X: Any, y: Any, dates: Any, assets: Any) -> Self:
        """Read a panel in any of its forms."""
        panel = resolve_coded(X, y, dates, assets, required=True)
        assert panel.dates is not None
        assert panel.date_codes is not None
        index, where = None, {}
        levels: Any = [panel.dates, panel.assets]
        if has_panel_index(X) and dates is None and assets is None:
            index = X.index
        elif panel.assets is not None:
            codes: Any = [panel.date_codes, panel.asset_codes]
            index = pd.MultiIndex(levels, codes, names=["date", "asset"])
        else:
            where = {"dates": panel.dates[panel.date_codes]}
        if isinstance(X, pd.DataFrame):
            table = X if index is None or X.index is index else X.set_axis(index, axis=0)
        else:
            values = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
            table = pd.DataFrame(values, index, getattr(X, "columns", None), copy=False)
        returns = np.asarray(y, dtype=np.float64).ravel()
        if len(returns) != panel.n_rows:
            raise ValueError(
                f"y must have one return for each of the {panel.n_rows} rows of X; "
                f"got {len(returns)}."
            )
        rows = DatedRows.of(table, None, None, panel.dates[panel.date_codes])
        return cls(table, pd.Series(returns, table.index, name="return"), where, rows)

    def dates_of(self, rows: IntArray) -> pd.Index:
        """Return the dates of rows."""
        return self.rows.dates[self.rows.codes[rows]]

    def index_of(self, rows: IntArray) -> pd.Index:
        """Return date and asset of rows; where assets are not known, the number of the row."""
        if not self.where:
            return self.X.index[rows]
        return pd.MultiIndex.from_arrays([self.dates_of(rows), rows], names=["date", "row"])

    def series(self, values: FloatArray, rows: IntArray, name: str) -> pd.Series:
        """Return values of rows with their index."""
        return pd.Series(values, self.index_of(rows), name=name)

    def cut(self, rows: IntArray) -> tuple[pd.DataFrame, pd.Series, dict[str, Any]]:
        """Return X, y and what else must be handed over, of the given rows."""
        where = {name: values[rows] for name, values in self.where.items()}
        return self.X.iloc[rows], self.y.iloc[rows], where


@dataclass(frozen=True, eq=False)
class Refit:
    """A refitted estimator, and what it says of its test rows.

    Parameters
    ----------
    estimator : estimator
        As it was after ``fit``.
    fits, fits_leave_one_out, predictions : ndarray of shape (n_test,)
        See :class:`WalkForward`.
    betas : ndarray of shape (n_test, n_factors)
        Betas in the rotation of this refit.
    factor_returns : DataFrame of shape (n_dates, n_factors)
        All factor returns known at the end of the test block, in that rotation.
    premia : ndarray of shape (n_factors,)
        The premia in force at the end of ``fit``.
    n_latent : int
        The number of leading factors whose rotation is open.
    """

    estimator: Any
    fits: FloatArray
    fits_leave_one_out: FloatArray
    predictions: FloatArray
    betas: FloatArray
    factor_returns: pd.DataFrame
    premia: FloatArray
    n_latent: int


def refit(estimator: Any, data: PanelData, train: IntArray, later: IntArray, n_test: int) -> Refit:
    """Fit a clone on the training rows, and ask it about the test rows.

    Parameters
    ----------
    estimator : estimator
        A factor model, a pipeline that ends in one, or a search over either.
    data : PanelData
        The panel.
    train : ndarray of shape (n_train,)
        The training rows.
    later : ndarray of shape (n_later,)
        The rows of all dates between the end of training and the end of the test block, those
        of the test block last.
    n_test : int
        How many of these are test rows.
    """
    X, y, where = data.cut(train)
    fitted = clone(estimator).fit(X, y, **where)
    X, y, where = data.cut(later)
    through = model_rows(fitted, X, y, **where)
    for name in ("transform", "reconstruct", "update", "predict"):
        method(through.model, name)
    test = slice(len(later) - n_test, None)
    # One step ahead: premia of a date are forecast from factor returns dated before it.
    current = copy.deepcopy(through.model).update(through.X, through.y, **through.where)
    betas = np.asarray(through.model.transform(through.X, **through.where), dtype=float)
    n_latent: Any = getattr(through.model, "_n_latent", betas.shape[1])
    return Refit(
        estimator=fitted,
        fits=through.fits()[test],
        fits_leave_one_out=through.fits(leave_one_out=True)[test],
        predictions=np.asarray(current.predict(through.X, **through.where), dtype=float)[test],
        betas=betas[test],
        factor_returns=current.factor_returns_,
        premia=np.asarray(through.model.risk_premia_, dtype=float),
        n_latent=n_latent,
    )


def rotations(refits: list[Refit], data: PanelData, common: list[IntArray]) -> list[FloatArray]:
    """Return the orthogonal matrix that brings each refit to the rotation of the one before.

    Betas of both are compared on rows that the later one was trained on, so that no test date
    turns another. Factors that are given, not latent, stay as they are; a refit with other
    factors than the one before is not turned.

    Parameters
    ----------
    refits : list of Refit
        In the order of time.
    data : PanelData
        The panel.
    common : list of ndarray
        The rows on which each refit but the first is compared with the one before it.
    """
    found: list[FloatArray] = [np.eye(refits[0].betas.shape[1])]
    for before, now, rows in zip(refits[:-1], refits[1:], common, strict=True):
        rotation = np.eye(now.betas.shape[1])
        if before.factor_returns.columns.equals(now.factor_returns.columns):
            K = now.n_latent
            old = _betas(before.estimator, data, rows) @ found[-1]
            new = _betas(now.estimator, data, rows)
            rotation[:K, :K] = procrustes(new[:, :K], old[:, :K])
        found.append(rotation)
    return found


def _betas(estimator: Any, data: PanelData, rows: IntArray) -> FloatArray:
    X, y, where = data.cut(rows)
    through = model_rows(estimator, X, y, **where)
    return np.asarray(through.model.transform(through.X, **through.where), dtype=float)


def tangency_returns(history: pd.DataFrame, first: Any) -> pd.Series:
    """Return the tangency portfolio of factors from date ``first`` on.

    Its weights of each date come from all factor returns before it. Without factors there is
    none to hold.
    """
    values = history.to_numpy()
    if not values.shape[1]:
        return pd.Series(np.nan, history.index).loc[history.index >= first]
    least = max(_FEWEST_DATES, 2 * values.shape[1])
    weights = frontier_weights(values, True, None, least, _VOLATILITY, 0.0)
    earned = pd.Series(np.einsum("tk,tk->t", weights, values), history.index)
    return earned.loc[history.index >= first]


def check_horizon(estimator: Any, gap: int, embargo: int) -> None:
    """Raise if targets of the training dates reach into the test dates."""
    horizon = getattr(_last_model(estimator), "horizon", None) or 0
    for where, split in [("", (gap, embargo)), *_inner_gaps(estimator)]:
        if sum(split) < horizon:
            raise ValueError(
                f"`gap` must be at least the estimator's horizon of {horizon} dates, or returns "
                f"of test dates are in the targets of training; got gap={split[0]} and "
                f"embargo={split[1]}{where}. Use PanelSplit(..., gap={horizon})."
            )


def _last_model(estimator: Any) -> Any:
    """Return the model at the end of pipelines and searches."""
    if isinstance(estimator, Pipeline):
        return _last_model(estimator.steps[-1][1])
    if not hasattr(estimator, "horizon") and hasattr(estimator, "estimator"):
        return _last_model(estimator.estimator)
    return estimator


def _inner_gaps(estimator: Any) -> list[tuple[str, tuple[int, int]]]:
    """Return the gaps of the panel splits of searches, with where they are."""
    if isinstance(estimator, Pipeline):
        return _inner_gaps(estimator.steps[-1][1])
    if hasattr(estimator, "horizon") or not hasattr(estimator, "estimator"):
        return []
    cv = getattr(estimator, "cv", None)
    own = []
    if isinstance(cv, PanelSplit):
        own = [(f" in the cv of {type(estimator).__name__}", (cv.gap, cv.embargo))]
    return [*own, *_inner_gaps(estimator.estimator)]


def check_takes_dates(estimator: Any, data: PanelData) -> None:
    """Raise if rows are to go through a pipeline that cannot tell their dates."""
    if data.where and not hasattr(estimator, "factor_returns"):
        raise ValueError(
            "Each row of X must have its asset where the estimator is a pipeline or a search; "
            "got dates alone. Pass `assets=` as well."
        )
