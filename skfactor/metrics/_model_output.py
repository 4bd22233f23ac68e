"""What a fitted factor model says of the rows of a panel, known only by its public methods."""

import copy
import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor.metrics._assignments import unwrap
from skfactor.metrics._rows import returns_array
from skfactor.panel._index import has_panel_index, resolve_panel
from skfactor.panel._managed import managed_portfolios


@dataclass(frozen=True, eq=False)
class ModelRows:
    """A fitted model and rows as it reads them.

    Parameters
    ----------
    model : object
        The last step of a pipeline, or the estimator itself.
    X : array-like of shape (n_rows, n_features)
        The rows before that step.
    y : ndarray of shape (n_rows,)
        Returns, ``NaN`` where missing.
    where : dict
        ``dates`` and ``assets`` to hand over where ``X`` does not carry them.
    dates : pandas.Index or None
        The dates in rising order; None for one undated cross-section.
    date_codes : ndarray of shape (n_rows,)
        The date of each row as a position.
    asset_codes : ndarray of shape (n_rows,) or None
        The asset of each row as a position; None where assets are not known.
    """

    model: Any
    X: Any
    y: FloatArray
    where: dict[str, Any]
    dates: pd.Index | None
    date_codes: IntArray
    asset_codes: IntArray | None

    def fits(self, *, leave_one_out: bool = False) -> FloatArray:
        """Return fitted returns, with the factor returns of the same date."""
        return self._reconstruct(self.y, leave_one_out=leave_one_out)

    def _reconstruct(self, y: FloatArray, **kwargs: Any) -> FloatArray:
        method(self.model, "reconstruct")
        return np.asarray(self.model.reconstruct(self.X, y, **kwargs, **self.where), dtype=float)

    def predictions(self) -> FloatArray:
        """Return expected returns, of each date from what was known before it."""
        method(self.model, "predict")
        model = self.model
        # A regression that knows no factor returns has nothing to be updated.
        if hasattr(model, "update") and self.dates is not None:
            model = copy.deepcopy(model).update(self.X, self.y, **self.where)
        where = self.where if hasattr(model, "update") else {}
        return np.asarray(model.predict(self.X, **where), dtype=float)

    def portfolios(
        self,
        values: FloatArray,
        kind: str,
        *,
        constant: bool = False,
        members: np.ndarray | None = None,
    ) -> FloatArray:
        """Return managed portfolios of values of the rows that have a return.

        Parameters
        ----------
        values : ndarray of shape (n_rows,)
            Returns, fits or predictions.
        kind, constant
            As :func:`~skfactor.panel.managed_portfolios` takes them.
        members : ndarray of bool of shape (n_rows,), default=None
            The rows that portfolios are formed from; all if None.

        Returns
        -------
        ndarray of shape (n_dates, n_portfolios)
            ``NaN`` on a date without returns.
        """
        seen = ~np.isnan(self.y)
        if members is not None:
            seen &= members
        return managed_portfolios(
            self.X,
            np.where(seen, values, np.nan),
            dates=None if has_panel_index(self.X) else self.where.get("dates"),
            kind=kind,  # type: ignore[arg-type]
            constant=constant,
        ).to_numpy()

    def portfolio_fits(
        self, kind: str, *, left_out: bool = False, constant: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Return managed portfolios and their fits.

        A factor estimated from returns is a portfolio much like the managed ones, and leaving
        each asset out by itself does not take a portfolio's own return out of it. Instead
        every second asset of a date is set apart: portfolios of these are fitted by factor
        returns estimated from the others, and the other way round.

        Parameters
        ----------
        kind, constant
            As :func:`~skfactor.panel.managed_portfolios` takes them.
        left_out : bool, default=False
            Whether to do so; if not, both come from all assets.

        Returns
        -------
        true, fit : ndarray of shape (n_dates, n_portfolios) or (2 n_dates, n_portfolios)
            One half above the other, if portfolios are formed from halves; ``NaN`` on a date
            without returns.
        """
        if left_out and not self.can_be_halved:
            raise ValueError(
                "Managed portfolios are left out by halves of the assets, and this model needs "
                "the return of every one. Pass leave_one_out=False for the plain fit."
            )
        if not left_out:
            fits = self.fits()
            return (
                self.portfolios(self.y, kind, constant=constant),
                self.portfolios(fits, kind, constant=constant),
            )
        pairs = []
        for half in (self.halves, ~self.halves):
            fits = self._reconstruct(np.where(half, np.nan, self.y))
            pairs.append(
                [
                    self.portfolios(values, kind, constant=constant, members=half)
                    for values in (self.y, fits)
                ]
            )
        return np.vstack([pairs[0][0], pairs[1][0]]), np.vstack([pairs[0][1], pairs[1][1]])

    @property
    def can_be_halved(self) -> bool:
        """Whether the model makes factor returns of half of the assets."""
        return not getattr(self.model, "_needs_every_return", False)

    @cached_property
    def halves(self) -> np.ndarray:
        """Whether a row is in the first of two halves of its date: every second with a return."""
        keys = np.arange(len(self.y)) if self.asset_codes is None else self.asset_codes
        order = np.lexsort((keys, np.isnan(self.y), self.date_codes))
        starts = np.cumsum(np.bincount(self.date_codes)) - np.bincount(self.date_codes)
        first = np.empty(len(self.y), dtype=bool)
        first[order] = (np.arange(len(self.y)) - starts[self.date_codes[order]]) % 2 == 0
        return first


def model_rows(
    estimator: Any, X: ArrayLike, y: ArrayLike, dates: Any = None, assets: Any = None
) -> ModelRows:
    """Pass rows through the steps before a fitted model.

    Parameters
    ----------
    estimator : estimator
        A fitted factor model, a pipeline that ends in one, or a search over either.
    X : array-like of shape (n_rows, n_features)
        Rows as they are handed to ``estimator``.
    y : array-like of shape (n_rows,)
        Returns, ``NaN`` where missing.
    dates, assets : array-like of shape (n_rows,), default=None
        As a panel takes them.

    Returns
    -------
    ModelRows
        The model, and the rows with their dates: those that a step of the pipeline lost are
        put back.
    """
    panel = resolve_panel(X, y, dates, assets)
    returns = returns_array(y, "y")
    returns = returns.ravel() if returns.ndim == 2 and returns.shape[1] == 1 else returns
    if returns.ndim != 1:
        raise ValueError(
            f"`y` must have one return for each row of X; got shape {returns.shape}. Give a "
            "single column."
        )
    model = unwrap(estimator)
    Z = X
    given = {
        name: values
        for name, values in (("dates", dates), ("assets", assets))
        if values is not None
    }
    while isinstance(model, Pipeline):
        for _, step in model.steps[:-1]:
            if step is not None and step != "passthrough":
                Z = step.transform(Z, **_accepted(step, given))
        model = unwrap(model[-1])
    codes = panel.date_codes
    if codes is None:
        codes = np.zeros(panel.n_rows, dtype=np.intp)
    if given or has_panel_index(Z):
        where = given
    elif has_panel_index(X) or has_panel_index(y):
        index = X.index if has_panel_index(X) else y.index
        # Columns without names, as the step that lost the index left them.
        Z, where = pd.DataFrame(np.asarray(Z), index=index), {}
    elif panel.dates is not None:
        where = {"dates": panel.dates[codes]}
    else:
        where = {}
    return ModelRows(model, Z, returns, where, panel.dates, codes, panel.asset_codes)


def _accepted(step: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a step's ``transform`` takes of the dates and assets."""
    names = set(inspect.signature(step.transform).parameters)
    if get_config()["enable_metadata_routing"]:
        names |= get_routing_for_object(step).consumes("transform", given)
    return {name: values for name, values in given.items() if name in names}


def method(model: Any, name: str) -> None:
    """Raise if a model lacks a method."""
    if not hasattr(model, name):
        raise TypeError(
            f"A factor scorer needs a factor model with `{name}`; got "
            f"{type(model).__name__}, which has none. Pass a model of skfactor.factor_models, or "
            "a pipeline that ends in one."
        )


def uses_own_returns(model: Any) -> bool:
    """Whether a model estimates factor returns from the returns that they explain."""
    return bool(getattr(model, "_uses_own_returns", False))


def check_gap(rows: ModelRows) -> None:
    """Raise if targets that a model was fitted to reach into the dates of the rows."""
    check = getattr(rows.model, "_check_gap", None)
    if check is not None:
        check(rows.dates)
