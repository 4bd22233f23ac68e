"""What the factor returns of a conditional autoencoder are made of."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skfactor._kernels._pseudo_inverses import pseudo_inverses
from skfactor._typing import FloatArray
from skfactor.factor_models._observed import observed_factors
from skfactor.panel._calendar import common_keys, dates_of, from_polars, some_dates
from skfactor.panel._index import as_assets, as_dates, date_level, show_asset
from skfactor.panel._managed import managed_returns
from skfactor.panel._panel import Panel


@dataclass(frozen=True, eq=False)
class FactorInputs:
    """Portfolios that factors are linear in.

    Parameters
    ----------
    values : ndarray of shape (n_dates, n_inputs)
        Their returns.
    names : list of str
        What they are.
    own : bool
        Whether they are the returns of the panel themselves.
    inverses : ndarray of shape (n_dates, n_inputs, n_inputs) or None
        For slopes on a constant and the characteristics, the inverse moments of these.
    """

    values: FloatArray
    names: list[str]
    own: bool = False
    inverses: FloatArray | None = None

    def on(self, places: slice) -> "FactorInputs":
        """Return those of some dates."""
        inverses = None if self.inverses is None else self.inverses[places]
        return replace(self, values=self.values[places], inverses=inverses)


def managed_inputs(panel: Panel) -> FactorInputs:
    """Return the slopes of each date's returns on a constant and the characteristics."""
    # They cost a pass over the panel, and every member asks for them.
    inputs: FactorInputs = panel.root.once("managed", lambda: _managed(panel.root))
    return inputs.on(panel.places)


def _managed(panel: Panel) -> FactorInputs:
    values = np.nan_to_num(managed_returns(panel, "regression", True).values)
    names = ["constant", *(f"x{j}" for j in range(panel.X.shape[1]))]
    moments = np.empty((panel.n_dates, len(names), len(names)))
    for t, rows in enumerate(panel.sections()):
        Z = _with_constant(panel.X[rows])
        moments[t] = Z.T @ Z
    return FactorInputs(values, names, inverses=pseudo_inverses(moments))


def return_inputs(panel: Panel, fitted: list[str] | None) -> FactorInputs:
    """Return the returns of a balanced panel, one column an asset.

    Raises
    ------
    ValueError
        If a date lacks an asset or a return, and for other assets than ``fitted``.
    """
    inputs: FactorInputs = panel.root.once("returns", lambda: _balanced(panel.root))
    if fitted is not None and inputs.names != fitted:
        unseen = sorted(set(inputs.names) ^ set(fitted))
        raise ValueError(
            "`factor_side='returns'` must have the assets of fit on every date; got "
            f"{len(inputs.names)} assets for {len(fitted)}, which differ in "
            f"{', '.join(unseen[:3])}."
        )
    return inputs.on(panel.places)


def _balanced(panel: Panel) -> FactorInputs:
    counts = np.diff(panel.starts)
    n_assets = int(counts[0])
    missing = int(np.isnan(panel.returns).sum())
    same = (counts == n_assets).all()
    if same and panel.asset_codes is not None:
        codes = panel.asset_codes.reshape(-1, n_assets)
        same = (codes == codes[0]).all()
    if not same or missing:
        what = f"{missing} missing returns" if same else "assets that come and go"
        raise ValueError(
            "`factor_side='returns'` must have every asset and its return on every date; got "
            f"{what}. Keep the assets that are always there, or take "
            "`factor_side='least_squares'`."
        )
    if panel.assets is None or panel.asset_codes is None:
        names = [str(i) for i in range(n_assets)]
    else:
        names = [show_asset(asset) for asset in panel.assets[panel.asset_codes[:n_assets]]]
    return FactorInputs(panel.returns.reshape(-1, n_assets), names, own=True)


def portfolio_inputs(panel: Panel, portfolios: Any, fitted: list[str] | None) -> FactorInputs:
    """Return the returns of given portfolios on the dates of a panel."""
    if portfolios is None:
        raise ValueError(
            "`factor_side='external'` must have portfolios; got `portfolios=None`. Give a frame "
            "of portfolio returns with dates in its index."
        )
    values, names = observed_factors(portfolios, panel, "portfolios")
    if fitted is not None and names != fitted:
        raise ValueError(
            f"`portfolios` must have the columns of fit, {fitted[:3]}, ...; got {names[:3]}, ..."
        )
    return FactorInputs(values, names)


def own_leverage(
    panel: Panel, betas: FloatArray, weights: FloatArray, inputs: FactorInputs
) -> FloatArray | None:
    """Return the derivative of each fit with respect to its own return.

    Parameters
    ----------
    panel : Panel
        Characteristics and returns.
    betas : ndarray of shape (n_rows, n_factors)
        Betas on the factors.
    weights : ndarray of shape (n_inputs, n_factors)
        Portfolios to factors.
    inputs : FactorInputs
        The portfolios.

    Returns
    -------
    ndarray of shape (n_rows,) or None
        None where the portfolios are not made of the returns explained.
    """
    if inputs.own:
        return np.einsum("nk,nk->n", betas, np.tile(weights, (panel.n_dates, 1)))
    if inputs.inverses is None:
        return None
    leverage = np.empty(panel.n_rows)
    for rows, moves in zip(panel.sections(), inputs.inverses @ weights, strict=True):
        leverage[rows] = np.einsum("nk,nk->n", _with_constant(panel.X[rows]) @ moves, betas[rows])
    leverage[np.isnan(panel.returns)] = 0.0
    return leverage


def realised_panel(returns: Any, panel: Panel) -> Panel:
    """Return the panel with realised returns in place of its own."""
    root = panel.root

    def realised() -> tuple[Any, Panel]:
        return returns, replace(root, y=realised_returns(returns, root))

    _, found = root.once(("realised", id(returns)), realised)
    return found if panel is root else found.between(panel.places.start, panel.places.stop)


def realised_returns(returns: Any, panel: Panel) -> FloatArray:
    """Return the realised return of each row of a panel, ``NaN`` where there is none.

    Parameters
    ----------
    returns : Series, or DataFrame of shape (n_dates, n_assets)
        A long series with a (date, asset) index, or a frame with dates in its index (polars: in
        its first column) and an asset in each column.
    panel : Panel
        Rows with dates and assets.

    Raises
    ------
    ValueError
        Without dates or assets in the panel, and for dates that are not covered.
    TypeError
        For anything but such a series or frame.
    """
    if panel.dates is None or panel.asset_codes is None or panel.assets is None:
        raise ValueError(
            "`returns` must meet rows with a date and an asset; got rows without. Give X or y a "
            "(date, asset) index, or pass `dates=` and `assets=`."
        )
    wide = _wide(returns)
    ours, theirs = common_keys(panel.dates, pd.Index(wide.index), "X", "`returns`")
    places = pd.Index(theirs).get_indexer(pd.Index(ours))
    absent = np.flatnonzero(places < 0)
    if len(absent):
        raise ValueError(
            f"`returns` must cover every date of X; got {len(absent)} of {panel.n_dates} dates "
            f"that it lacks: {some_dates(panel.dates, absent)}."
        )
    columns = pd.Index(wide.columns).get_indexer(panel.assets)
    values = wide.to_numpy(dtype=np.float64, na_value=np.nan)
    known = columns >= 0
    if not known.any():
        raise ValueError(
            "`returns` must have the assets of X; got none of them. Its first is "
            f"{show_asset(wide.columns[0])}, that of X {show_asset(panel.assets[0])}."
        )
    found: FloatArray = values[places[panel.date_codes], columns[panel.asset_codes]]
    found[~known[panel.asset_codes]] = np.nan
    if np.isinf(found).any():
        raise ValueError("`returns` must be finite or NaN; got infinities. Replace them by NaN.")
    return found


def dates_between(returns: Any, last: Any, first: Any) -> int:
    """Return on how many dates between two others there are realised returns."""
    calendar = pd.Index(_wide(returns).index)
    ours, theirs = common_keys(pd.Index([last, first]), calendar, "X", "`returns`")
    return int(((theirs > ours[0]) & (theirs < ours[1])).sum())


def _wide(returns: Any) -> pd.DataFrame:
    """Return realised returns with dates in the rows and assets in the columns."""
    if isinstance(returns, pd.Series) and isinstance(returns.index, pd.MultiIndex):
        level = date_level(returns.index, "`returns`") if returns.index.nlevels == 2 else None
        if level is not None:
            wide = returns.unstack(1 - level)
            wide.index = as_dates(wide.index, "the index of `returns`")
            wide.columns = as_assets(wide.columns, "the index of `returns`")
            return wide
    returns = from_polars(returns, "`returns`")
    if isinstance(returns, pd.DataFrame):
        dates = dates_of(returns)
        if dates is not None:
            return returns.set_axis(dates, axis=0)
    raise TypeError(
        "`returns` must be a pandas Series with a (date, asset) index or a DataFrame with dates "
        "in its index (polars: in its first column) and an asset in each column; got "
        f"{type(returns).__name__}."
    )


def _with_constant(X: FloatArray) -> FloatArray:
    """Return characteristics in float64, with a column of ones before them."""
    Z = np.ones((len(X), X.shape[1] + 1))
    Z[:, 1:] = X
    return Z
