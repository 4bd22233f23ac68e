"""What a factor model said of rows, in the form that a scorecard judges."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
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
from skfactor.panel._index import factorize, has_panel_index, read_index, resolve_panel
from skfactor.panel._managed import managed_portfolios
from skfactor.portfolios._efficient import EfficientPortfolio, tangency_portfolio

KINDS = {"managed (regression)": "regression", "managed (mean)": "mean"}
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
    """

    name: str
    dates: pd.Index
    date_codes: IntArray
    index: pd.MultiIndex | None
    compared: dict[str, Compared]
    tangency: Callable[[], EfficientPortfolio]
    n_fitted_dates: int

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
    for name, kind in KINDS.items() if managed else ():
        true, fit = rows.portfolio_fits(kind)
        left_out: tuple[FloatArray, FloatArray] | None = (true, fit)
        if own:
            left_out = rows.portfolio_fits(kind, left_out=True) if rows.can_be_halved else None
        compared[name] = Compared(true, fit, rows.portfolios(predicted, kind), left_out)
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
    )


def judge_walk(walk: Any, X: Any, managed: bool) -> Judged:
    """Read what a walk through time has stitched together."""
    returns = walk.returns_
    found = read_index(returns, "returns_")
    assert found is not None
    codes, dates = factorize(found[0])
    y = returns.to_numpy(dtype=float)
    plain = walk.fits_.to_numpy(dtype=float)
    predicted = walk.predictions_.to_numpy(dtype=float)
    without = walk.fits_leave_one_out_.to_numpy(dtype=float)
    compared = {"assets": Compared(y, plain, predicted, (y, without))}
    if managed and has_panel_index(X):
        seen = ~np.isnan(y)
        Z = X.loc[returns.index]
        for name, kind in KINDS.items():
            true, fit, expected = (
                managed_portfolios(
                    Z,
                    np.where(seen, values, np.nan),
                    kind=kind,  # type: ignore[arg-type]
                ).to_numpy()
                for values in (y, plain, predicted)
            )
            compared[name] = Compared(true, fit, expected, None)
    earned = walk.portfolio_returns_["tangency"]
    return Judged(
        repr(walk.estimator),
        dates,
        codes,
        None if returns.index.names[-1] == "row" else returns.index,
        compared,
        lambda: EfficientPortfolio(earned, pd.DataFrame(index=earned.index)),
        0,
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
