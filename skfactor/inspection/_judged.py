"""What a factor model said of rows, in the form that a scorecard judges."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray, IntArray
from skfactor.metrics._model_output import (
    ModelRows,
    check_gap,
    method,
    model_rows,
    uses_own_returns,
)
from skfactor.model_selection._refit import PanelData
from skfactor.panel._index import factorize, read_index, resolve_panel, show_date
from skfactor.portfolios._efficient import EfficientPortfolio, tangency_portfolio

KINDS = {"managed (regression)": "regression", "managed (mean)": "mean"}
_MANAGED = "managed portfolios"
_DATES_MISSING = (
    "Rows must have dates; got none. Give X or y a (date, asset) index, or pass `dates=`."
)


@dataclass(frozen=True, eq=False)
class Compared:
    """Returns of assets or portfolios, and what was said of them.

    Parameters
    ----------
    true, fit, predicted : ndarray
        Of one shape.
    left_out : tuple of ndarray or None
        Returns and fits without what they would explain of themselves; None if not known, or if
        the model needs every return.
    """

    true: FloatArray
    fit: FloatArray
    predicted: FloatArray
    left_out: tuple[FloatArray, FloatArray] | None


@dataclass(frozen=True, eq=False)
class Judged:
    """Everything that a scorecard is made from.

    Parameters
    ----------
    name : str
        What is judged.
    dates : pandas.Index
        The dates in rising order.
    date_codes : ndarray of shape (n_rows,)
        The date of each row.
    index : pandas.MultiIndex or None
        Date and asset of each row; None if assets are not known.
    compared : dict of str to Compared
        Of ``"assets"`` and of managed portfolios.
    tangency : callable
        Makes the portfolio, or raises a ``ValueError`` that says why there is none.
    n_fitted_dates : int
        How many of the dates the model was fitted on.
    missing : dict of str to str
        What could not be compared, and why.
    rows : dict of str to object
        What the user knows the rows by, for its index.
    """

    name: str
    dates: pd.Index
    date_codes: IntArray
    index: pd.MultiIndex | None
    compared: dict[str, Compared]
    tangency: Callable[[], EfficientPortfolio]
    n_fitted_dates: int
    missing: dict[str, str]
    rows: dict[str, Any]

    def indexed(self, values: FloatArray) -> pd.Series:
        """Return values of the rows with date and asset, or say that assets are not known."""
        if self.index is None:
            raise ValueError(
                "Rows do not say which asset they are. Give X a (date, asset) index, or pass "
                "`assets=`."
            )
        return pd.Series(values, self.index)


def judge_model(model: Any, X: Any, y: Any, dates: Any, assets: Any, managed: bool) -> Judged:
    """Ask a fitted model of rows."""
    rows = model_rows(model, X, y, dates, assets)
    check_gap(rows)
    for needed in ("reconstruct", "predict", "update"):
        method(rows.model, needed)
    if rows.dates is None:
        raise ValueError(_DATES_MISSING)
    plain, predicted = rows.fits(), rows.predictions()
    own = uses_own_returns(rows.model)
    without = rows.fits(leave_one_out=True) if own else plain
    compared = {"assets": Compared(rows.y, plain, predicted, (rows.y, without))}
    missing = {}
    if managed:
        try:
            compared |= _managed(rows, plain, predicted)
        except ValueError as error:
            missing[_MANAGED] = str(error)
    index = None
    if rows.asset_codes is not None:
        panel = resolve_panel(X, y, dates, assets)
        levels: Any = [panel.dates, panel.assets]
        codes: Any = [panel.date_codes, panel.asset_codes]
        index = pd.MultiIndex(levels, codes, names=["date", "asset"])
    tested, fitted = rows.dates, getattr(rows.model, "dates_", None)
    return Judged(
        type(rows.model).__name__,
        rows.dates,
        rows.date_codes,
        index,
        compared,
        lambda: _tangency(rows),
        0 if fitted is None else int(tested.isin(fitted).sum()),
        missing,
        {"X": X, "y": y},
    )


def judge_walk(walk: Any, X: Any, y: Any, dates: Any, assets: Any, managed: bool) -> Judged:
    """Read what a walk through time has stitched together."""
    returns = walk.returns_
    found = read_index(returns, "returns_")
    assert found is not None
    codes, tested = factorize(found[0])
    earned = returns.to_numpy(dtype=float)
    plain = walk.fits_.to_numpy(dtype=float)
    predicted = walk.predictions_.to_numpy(dtype=float)
    without = walk.fits_leave_one_out_.to_numpy(dtype=float)
    compared = {"assets": Compared(earned, plain, predicted, (earned, without))}
    missing = {}
    if managed:
        try:
            compared |= _managed_by_refits(walk, PanelData.of(X, y, dates, assets))
        except ValueError as error:
            missing[_MANAGED] = str(error)
    tangency = walk.portfolio_returns_["tangency"]
    index = None if returns.index.names[-1] == "row" else returns.index
    return Judged(
        repr(walk.estimator),
        tested,
        codes,
        index,
        compared,
        lambda: EfficientPortfolio(tangency, pd.DataFrame(index=tangency.index)),
        0,
        missing,
        {} if index is None else {"returns_": returns},
    )


def _managed(rows: ModelRows, plain: FloatArray, predicted: FloatArray) -> dict[str, Compared]:
    """Return the managed portfolios of both kinds."""
    compared = {}
    for name, kind in KINDS.items():
        true, fit, expected = (rows.portfolios(each, kind) for each in (rows.y, plain, predicted))
        left_out: tuple[FloatArray, FloatArray] | None = (true, fit)
        if uses_own_returns(rows.model):
            left_out = rows.portfolio_fits(kind, left_out=True) if rows.can_be_halved else None
        compared[name] = Compared(true, fit, expected, left_out)
    return compared


def _managed_by_refits(walk: Any, data: PanelData) -> dict[str, Compared]:
    """Return managed portfolios of what the model of each refit was shown, one below the other."""
    place = walk.returns_.index.get_indexer(data.index_of(np.arange(len(data.y))))
    n_found, n_tested = np.count_nonzero(place >= 0), len(walk.returns_)
    if n_found < n_tested:
        raise ValueError(
            "X must hold the rows that the walk was fitted on; got "
            f"{n_found} of the {n_tested} that it was tested on."
        )
    stitched = np.column_stack([walk.returns_, walk.fits_, walk.predictions_]).astype(float)
    schedule = walk.schedule_
    # Positions of dates: after the end of training, and of the first and past the last tested.
    calendar: Any = data.rows.dates
    after = calendar.searchsorted(schedule["train_end"], side="right")
    starts = calendar.searchsorted(schedule["test_start"])
    stops = calendar.searchsorted(schedule["test_end"], side="right")
    parts: list[dict[str, Compared]] = []
    columns = None
    for estimator, early, start, stop in zip(walk.estimators_, after, starts, stops, strict=True):
        test = data.rows.between(start, stop)
        # Steps that know the past are shown the dates since training too, as in the walk.
        X, y, where = data.cut(np.concatenate([data.rows.between(early, start), test]))
        rows = _last(model_rows(estimator, X, y, **where), len(test))
        own = list(rows.X.columns)
        if columns is not None and own != columns:
            raise ValueError(
                "Managed portfolios must be of the same characteristics in all refits; got "
                f"{columns} and, from {show_date(calendar[start])} on, {own}."
            )
        columns = own
        earned, plain, predicted = stitched[place[test]].T
        parts.append(_managed(replace(rows, y=earned), plain, predicted))
    return {name: _stacked([part[name] for part in parts]) for name in KINDS}


def _last(rows: ModelRows, n_last: int) -> ModelRows:
    """Return the last rows."""
    assert rows.dates is not None
    last = slice(len(rows.y) - n_last, None)
    used, codes = np.unique(rows.date_codes[last], return_inverse=True)
    return ModelRows(
        rows.model,
        rows.X.iloc[last],
        rows.y[last],
        {name: values[last] for name, values in rows.where.items()},
        rows.dates[used],
        codes,
        None if rows.asset_codes is None else rows.asset_codes[last],
    )


def _stacked(parts: list[Compared]) -> Compared:
    """Put dates below one another."""
    pairs = [part.left_out for part in parts if part.left_out is not None]
    left_out = None
    if len(pairs) == len(parts):
        left_out = np.vstack([true for true, _ in pairs]), np.vstack([fit for _, fit in pairs])
    return Compared(
        np.vstack([part.true for part in parts]),
        np.vstack([part.fit for part in parts]),
        np.vstack([part.predicted for part in parts]),
        left_out,
    )


def _tangency(rows: ModelRows) -> EfficientPortfolio:
    """Return the tangency portfolio of the factors on the dates of the rows."""
    updated = copy.deepcopy(rows.model).update(rows.X, rows.y, **rows.where)
    whole = tangency_portfolio(updated.factor_returns_)
    assert rows.dates is not None
    ours = whole.returns.index.isin(rows.dates)
    if not whole.weights[ours].notna().to_numpy().any():
        raise ValueError("No date has enough factor returns before it.")
    return EfficientPortfolio(whole.returns[ours], whole.weights[ours])
