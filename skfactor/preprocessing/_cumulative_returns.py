"""The shape of a price history: scaled cumulative returns over a window."""

from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import (
    Interval,
    StrOptions,
    check_array,
    check_is_fitted,
    fit_method,
    join,
    validate_table,
)
from skfactor.preprocessing._frames import check_days_are_columns


class CumulativeReturns(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Cumulative returns over the last columns of a history, scaled to compare shapes.

    Each row of ``X`` is a stock, or a stock at a date, and each column a trading day, in
    order: transpose a frame of dates by tickers, or cut it by :func:`rolling_windows`.

    Parameters
    ----------
    kind : {"prices", "returns"}, default="prices"
        What ``X`` holds: prices, or simple returns in decimals, one a day.
    window : int or None, default=None
        How many columns to use, the last ones. ``None`` uses all.
    log_returns : bool, default=False
        Cumulate log returns in place of simple ones.
    scaling : {"row", "column"} or None, default="row"
        ``"row"`` gives each path mean 0 and standard deviation 1, so that only its shape
        counts; ``"column"`` does so for each day, with what ``fit`` has learnt; ``None``
        leaves cumulative returns as they are, in decimals.
    max_gap : int, default=0
        The most consecutive missing days inside the window over which the last price is
        carried forward (a return of 0). Longer gaps, and a price missing at the start, are
        errors.

    Attributes
    ----------
    window_ : int
        The number of columns used and returned.
    mean_ : ndarray of shape (window_,)
        What :meth:`inverse_transform` adds: the mean of each column, or, scaling by row, the
        median over the rows of ``fit`` of their means; zeros without scaling.
    scale_ : ndarray of shape (window_,)
        What it multiplies by: the standard deviation of each column (1 where it is 0), or
        the median over rows of theirs; ones without scaling.
    n_features_in_ : int
        The number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, where ``X`` had names that are all strings.

    See Also
    --------
    rolling_windows : One price table to many training rows.
    PriceFeatures : A few statistics of a history in place of its path.
    skfactor.decomposition.ConvAutoencoderReducer : Encodes the paths.

    Notes
    -----
    From prices :math:`p_1, \ldots, p_w` of a window come

    .. math:: c_t = \frac{p_t}{p_1} - 1 \quad\text{or}\quad c_t = \log \frac{p_t}{p_1},

    so that :math:`c_1 = 0`, and from returns :math:`r_1, \ldots, r_w`

    .. math:: c_t = \prod_{s \le t} (1 + r_s) - 1 \quad\text{or}\quad
        c_t = \sum_{s \le t} \log(1 + r_s).

    A constant price has the path 0 and keeps it under any scaling by row. Logarithms need
    positive prices, or returns above -1. Without logarithms a negative first price, as a
    spread may have, divides by its absolute value, so that the path rises with the price, and
    a first price of 0 leaves differences; scaled by row, such paths are like all others.

    Names of columns that are dates must rise: datetimes, periods, and text or whole numbers such
    as ``"2020-01-31"``, ``"31/01/2020"``, ``20200131`` and ``202001``, if all read so. Other names
    say nothing of the order. Under ``set_output`` columns keep their names if all are text, as
    scikit-learn demands, and become ``x0``, ``x1``, ... otherwise. So make dates text,
    ``X.columns.strftime("%Y-%m-%d")``, for displays to draw the paths against them.

    Scaling by row forgets how far a path went: see :meth:`inverse_transform`. Scaled paths are
    what [1]_ clusters.

    References
    ----------
    .. [1] P. Leo, "Clustering S&P500 using Fully Convolutional Autoencoders", 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.preprocessing import CumulativeReturns
    >>> prices = np.array([[9.0, 10.0, 11.0, 12.1], [50.0, 40.0, 20.0, 30.0]])
    >>> CumulativeReturns(window=3, scaling=None).fit_transform(prices)
    array([[ 0.  ,  0.1 ,  0.21],
           [ 0.  , -0.5 , -0.25]])
    >>> scaler = CumulativeReturns()
    >>> paths = scaler.fit_transform(prices)
    >>> paths.std(axis=1)
    array([1., 1.])
    >>> np.allclose(scaler.inverse_transform(paths, like=prices), prices)
    True
    """

    window_: int
    mean_: FloatArray
    scale_: FloatArray

    _parameter_constraints = {
        "kind": [StrOptions({"prices", "returns"})],
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "log_returns": ["boolean"],
        "scaling": [StrOptions({"row", "column"}), None],
        "max_gap": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        kind: Literal["prices", "returns"] = "prices",
        *,
        window: int | None = None,
        log_returns: bool = False,
        scaling: Literal["row", "column"] | None = "row",
        max_gap: int = 0,
    ) -> None:
        self.kind = kind
        self.window = window
        self.log_returns = log_returns
        self.scaling = scaling
        self.max_gap = max_gap

    @fit_method
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the columns' scales, or the typical scale of a row for the way back.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_days)
            Prices or returns.
        y : None
            Ignored.

        Returns
        -------
        CumulativeReturns
            The fitted estimator.

        Raises
        ------
        ValueError
            If the window is longer than the history, for prices missing over more than
            ``max_gap`` days, for values without a logarithm, for paths too large for a number,
            for columns that hold text or infinities, for a frame whose rows are dates, and for
            columns that are dates and do not rise.
        """
        # The way back must undo what was done, whatever set_params says meanwhile.
        self._kind, self._log, self._scaling = self.kind, self.log_returns, self.scaling
        paths = self._paths(self._window(X, reset=True), X)
        width = paths.shape[1]
        if self._scaling == "column":
            mean, scale = path_scale(paths, axis=0)
        elif self._scaling == "row":
            means, scales = path_scale(paths, axis=1)
            mean, scale = np.full(width, np.median(means)), np.full(width, np.median(scales))
        else:
            mean, scale = np.zeros(width), np.ones(width)
        self.window_ = width
        self.mean_, self.scale_ = mean, scale
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the scaled cumulative returns of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_days)
            Prices or returns, with the columns of the fit.

        Returns
        -------
        ndarray of shape (n_rows, window_)
            The paths, in the dtype of ``X``.
        """
        check_is_fitted(self)
        values = self._window(X, reset=False)
        paths = self._paths(values, X)
        mean, scale = self.mean_, self.scale_
        if self._scaling == "row":
            mean, scale = (part[:, None] for part in path_scale(paths, axis=1))
        return ((paths - mean) / scale).astype(values.dtype, copy=False)

    def inverse_transform(self, X: ArrayLike, like: ArrayLike | None = None) -> FloatArray:
        """Return scaled paths to prices or returns.

        Parameters
        ----------
        X : array-like of shape (n_rows, window_)
            Scaled paths, as :meth:`transform` or a reducer's reconstruction gives them.
        like : array-like of shape (n_rows, n_days), default=None
            The rows that the paths were made of. Each path gets back its row's first price
            and, if scaled by row, its size. Where ``X`` and ``like`` are pandas frames with
            names, rows are matched by name, and ``like`` may hold more; otherwise they stand
            in the same order. Without it every row gets the typical size, ``mean_`` and
            ``scale_``, and prices are multiples of the first one: they start from 1, or, where
            the paths were scaled by row, near 1.

        Returns
        -------
        ndarray of shape (n_rows, window_)
            Prices or simple returns of the window, as ``kind`` says. After a return of -1, from
            which no path recovers, returns are 0.

        Raises
        ------
        ValueError
            If ``X`` has not ``window_`` columns, or not as many rows as ``like``, or names that
            are not those of one row of ``like`` each.
        """
        check_is_fitted(self)
        paths = check_array(X, dtype=[np.float64, np.float32])
        if paths.shape[1] != self.window_:
            raise ValueError(
                f"X must have the {self.window_} columns of the window; got {paths.shape[1]}. "
                "Pass what transform returned."
            )
        mean, scale = self.mean_, self.scale_
        start: FloatArray = np.ones((len(paths), 1))
        if like is not None:
            like = rows_like(X, like)
            values = self._window(like, reset=False)
            if len(values) != len(paths):
                raise ValueError(
                    f"`like` must have a row for each row of X, {len(paths)}; "
                    f"got {len(values)}. Pass the rows that were transformed."
                )
            start = values[:, :1]
            if self._scaling == "row":
                mean, scale = (
                    part[:, None] for part in path_scale(self._paths(values, like), axis=1)
                )
        undone = paths.astype(np.float64) * scale + mean
        growth = np.exp(undone) if self._log else 1.0 + undone
        if self._kind == "prices":
            out = start * growth if self._log else start + unit_of(start) * undone
        else:
            out = np.diff(growth, axis=1, prepend=1.0)
            before = growth[:, :-1]
            np.divide(out[:, 1:], before, out=out[:, 1:], where=before != 0)
        return out.astype(paths.dtype, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the window's columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of all columns; by default those seen in ``fit``.

        Returns
        -------
        ndarray of str
            The last ``window_`` of them.
        """
        check_is_fitted(self)
        return super().get_feature_names_out(input_features)[-self.window_ :]

    def _window(self, X: ArrayLike, *, reset: bool) -> FloatArray:
        """Return the values of the window, gaps filled."""
        check_days_are_columns(X)
        table = validate_table(self, X, reset=reset, allow_nan=True)
        window = self.window if reset else self.window_
        width = table.shape[1] if window is None else window
        if width > table.shape[1]:
            raise ValueError(
                f"`window` must be at most {table.shape[1]}, the number of columns of X; got "
                f"{width} (n_features={table.shape[1]}). Pass a longer history."
            )
        table = table[:, table.shape[1] - width :]
        if not np.isnan(table).any():
            return table
        last, age = last_known(table)
        too_old = (age > self.max_gap) | ((last < 0) & (self._kind == "prices"))
        if too_old.any():
            rows = np.flatnonzero(too_old.any(axis=1))
            where = [f"{_row(X, i)} ({int(np.isnan(table[i]).sum())} missing)" for i in rows]
            raise ValueError(
                f"Input X contains NaN: in the window of {width} days {self._kind} may be missing "
                f"for at most `max_gap` days in a row, {self.max_gap}, and a price not at the "
                f"start; got longer gaps in {join(where)}. Drop those rows, shorten `window` or "
                "raise `max_gap`."
            )
        if self._kind == "returns":
            return np.nan_to_num(table, nan=0.0)
        return np.take_along_axis(table, last, axis=1)

    def _paths(self, values: FloatArray, X: ArrayLike) -> FloatArray:
        """Cumulate in double precision; ``X`` names the rows in errors."""
        values = values.astype(np.float64)
        lowest = -1.0 if self._kind == "returns" else 0.0
        bad = values <= lowest
        if self._log and bad.any():
            rows = np.flatnonzero(bad.any(axis=1))
            where = [f"{_row(X, i)} ({values[i, bad[i].argmax()]:g})" for i in rows]
            raise ValueError(
                f"Under `log_returns=True` {self._kind} must be above {lowest:g}; got other values "
                f"in {join(where)}. Drop those rows, use `log_returns=False`, or make those values "
                "NaN and raise `max_gap`."
            )
        cumulate = price_paths if self._kind == "prices" else return_paths
        with np.errstate(over="ignore", invalid="ignore"):
            paths = cumulate(values, self._log)
        endless = np.flatnonzero(~np.isfinite(paths).all(axis=1))
        if len(endless):
            raise ValueError(
                f"Cumulative returns must be finite; got overflow in "
                f"{join([_row(X, i) for i in endless])}. Check their {self._kind}, or drop those "
                "rows."
            )
        return paths

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def price_paths(prices: FloatArray, log: bool) -> FloatArray:
    """Return what each row has gained since its first price, in logs or as a share of it."""
    first = prices[:, :1]
    return np.log(prices / first) if log else (prices - first) / unit_of(first)


def unit_of(first: FloatArray) -> FloatArray:
    """Return what simple returns divide by: a path rises with the price even from below 0."""
    return np.where(first == 0, 1.0, np.abs(first))


def return_paths(returns: FloatArray, log: bool) -> FloatArray:
    """Return the compounded simple returns of each row."""
    return np.cumsum(np.log1p(returns), axis=1) if log else np.cumprod(1.0 + returns, axis=1) - 1.0


def path_scale(paths: FloatArray, axis: int) -> tuple[FloatArray, FloatArray]:
    """Return means and standard deviations along an axis; 1 for what does not vary."""
    mean, deviation = paths.mean(axis=axis), paths.std(axis=axis)
    rounding = 10 * np.finfo(paths.dtype).eps * np.abs(paths).max(axis=axis)
    return mean, np.where(deviation <= rounding, 1.0, deviation)


def last_known(table: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the column of each row's last known value so far, -1 for none, and its age."""
    columns = np.arange(table.shape[1])
    last = np.maximum.accumulate(np.where(np.isnan(table), -1, columns), axis=1)
    return last, columns - last


def rows_like(X: Any, like: Any) -> Any:
    """Return the rows of ``like`` in the order of those of ``X``, where both have names."""
    if not isinstance(X, pd.DataFrame) or not isinstance(like, pd.DataFrame):
        return like
    if X.index.equals(like.index) or _are_numbered(X.index):
        return like
    # As objects names of all kinds compare.
    wanted, there = (frame.index.to_flat_index().astype(object) for frame in (X, like))
    known = wanted.isin(there)
    if _are_numbered(like.index) and not known.all():
        return like
    bad = wanted[~known | wanted.isin(there[there.duplicated()])]
    if len(bad):
        raise ValueError(
            f"Each row of X must have the name of one row of `like`; got {len(bad)} that are not "
            f"in it or several times: {join([repr(name) for name in bad.unique()])}. Pass the "
            "rows that were transformed, or arrays in the same order."
        )
    return like.iloc[there.get_indexer_for(wanted)]


def _are_numbered(index: pd.Index) -> bool:
    """Return whether an index merely numbers the rows."""
    return index.equals(pd.RangeIndex(len(index)))


def _row(X: Any, position: Any) -> str:
    """Name a row for an error: by a pandas frame's index, else by its position."""
    return f"row {X.index[position]!r}" if isinstance(X, pd.DataFrame) else f"row {position}"
