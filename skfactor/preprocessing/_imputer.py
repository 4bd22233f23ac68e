"""Filling a panel from what was known: the asset's own past, then the cross-section."""

import warnings
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import (
    Interval,
    StrOptions,
    check_is_fitted,
    column_label,
    fit_method,
    how_to_see_names,
    join,
    validate_table,
)
from skfactor.exceptions import ImputationWarning
from skfactor.panel._index import (
    PanelIndex,
    date_kind,
    has_panel_index,
    resolve_panel,
    show_date,
    stacklevel_of_user,
)
from skfactor.preprocessing._carry import (
    LastValues,
    calendar_positions,
    carry_forward,
    cross_section,
    cross_sections,
    fill,
    latest_statistics,
)


class PanelImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill missing values without looking ahead: last value, then cross-section.

    A missing value becomes the last known value of the same asset and column, never one of
    another asset and never a later one. What is still missing becomes a statistic of the
    column over the assets of the same date.

    Parameters
    ----------
    strategy : {"median", "mean", "zero"} or None, default="median"
        The statistic of the cross-section. ``None`` leaves missing what cannot be carried
        forward.
    limit : int or None, default=None
        The most dates a value may be carried, counted in the dates of the panel; 0 carries
        nothing and ``None`` sets no limit.
    cross_section : bool, default=False
        ``True`` states that ``X`` is a single cross-section, for instance one row a firm: no
        dates are looked for, nothing is carried, and no warning says that dates are missing.

    Attributes
    ----------
    statistics_ : ndarray of shape (n_dates, n_features)
        The statistic that serves each date of ``fit``: its own cross-section's, after
        carrying, else that of the latest earlier date; ``NaN`` where nothing was known. One
        row if there are no dates.
    dates_ : pandas.Index of shape (n_dates,) or None
        The dates of ``fit`` in rising order; None if there are none.
    assets_ : pandas.Index of shape (n_assets,) or None
        The assets of ``fit``; None if they are not known.
    last_values_ : ndarray of shape (n_assets, n_features) or None
        The last value of each asset in ``fit``, which later rows may inherit; None if assets
        or dates are not known.
    n_features_in_ : int
        The number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, where ``X`` had names that are all strings.

    See Also
    --------
    latest_values : One row a firm, from a history of accounts.
    sklearn.impute.SimpleImputer : Statistics over all rows, whatever their date.

    Notes
    -----
    The dates of the rows are the argument ``dates``, else the date level of a two-level
    index of ``X`` (in either order of levels), else that of ``y``. The assets are the
    argument ``assets``, else the other level. The order of the rows does not matter, and a
    (date, asset) pair may appear once.

    - Without assets nothing is carried: a row whose asset is not known has no past.
    - A column without a value on a date takes its statistic from the latest earlier date
      that has one. If there is none the value stays missing, with an
      :class:`~skfactor.exceptions.ImputationWarning`: a later date is never asked.
    - Values and statistics learnt in ``fit`` serve only the rows of ``transform`` that are
      dated after them. So ``fit_transform(X)`` equals ``fit(X).transform(X)``, and what comes
      out for a date does not move when later data do.
    - Without dates, all rows are one cross-section, with a
      :class:`~skfactor.exceptions.MissingDatesWarning`, and ``transform`` fills from the
      statistics of ``fit`` alone. An imputer fitted with dates refuses rows without.

    ``transform`` does not see ``y``: where only ``y`` carries an index, and a step before
    this one has dropped that of ``X``, route ``dates`` and ``assets``. They are requested by
    default once ``sklearn.set_config(enable_metadata_routing=True)`` is set.

    A pandas DataFrame with a two-level index comes back as one, unless ``set_output`` says
    otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.preprocessing import PanelImputer
    >>> index = pd.MultiIndex.from_product(
    ...     [pd.to_datetime(["2024-01-31", "2024-02-29"]), ["A", "B", "C"]],
    ...     names=["date", "asset"],
    ... )
    >>> X = pd.DataFrame({"earnings": [1.0, np.nan, 5.0, np.nan, 4.0, 6.0]}, index=index)
    >>> PanelImputer().fit_transform(X)
                      earnings
    date       asset
    2024-01-31 A           1.0
               B           3.0
               C           5.0
    2024-02-29 A           1.0
               B           4.0
               C           6.0
    """

    # Requested by default, so that users need not call set_fit_request.
    __metadata_request__fit = {"dates": True, "assets": True}
    __metadata_request__transform = {"dates": True, "assets": True}

    statistics_: FloatArray
    dates_: pd.Index | None
    assets_: pd.Index | None
    last_values_: FloatArray | None
    _last: LastValues | None

    _parameter_constraints = {
        "strategy": [StrOptions({"median", "mean", "zero"}), None],
        "limit": [Interval(Integral, 0, None, closed="left"), None],
        "cross_section": ["boolean"],
    }

    def __init__(
        self,
        strategy: Literal["median", "mean", "zero"] | None = "median",
        limit: int | None = None,
        cross_section: bool = False,
    ) -> None:
        self.strategy = strategy
        self.limit = limit
        self.cross_section = cross_section

    @fit_method
    def fit(self, X: ArrayLike, y: Any = None, *, dates: Any = None, assets: Any = None) -> Self:
        """Learn the last value of each asset and the statistics of each date.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The panel; ``NaN`` is a missing value.
        y : array-like of shape (n_rows,), default=None
            Used for its index alone, where ``X`` carries none.
        dates : array-like of shape (n_rows,), default=None
            The date of each row: datetimes, periods, whole numbers such as 202401, ISO text.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row.

        Returns
        -------
        PanelImputer
            The fitted estimator.

        Raises
        ------
        ValueError
            For columns that hold text or infinities, duplicate (date, asset) pairs, and
            indexes of ``X`` and ``y`` that disagree.
        """
        table = validate_table(self, X, reset=True, allow_nan=True)
        self._learn(table, self._resolve(X, y, dates, assets, len(table)))
        return self

    @fit_method
    def fit_transform(
        self, X: ArrayLike, y: Any = None, *, dates: Any = None, assets: Any = None
    ) -> Any:
        """Fit, and fill the same rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The panel; ``NaN`` is a missing value.
        y : array-like of shape (n_rows,), default=None
            Used for its index alone, where ``X`` carries none.
        dates : array-like of shape (n_rows,), default=None
            The date of each row: datetimes, periods, whole numbers such as 202401, ISO text.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row.

        Returns
        -------
        ndarray or DataFrame of shape (n_rows, n_features)
            The filled panel, in the order of ``X``; a DataFrame if ``X`` is one with a
            two-level index.
        """
        table = validate_table(self, X, reset=True, allow_nan=True)
        panel = self._resolve(X, y, dates, assets, len(table))
        filled = self._learn(table, panel)
        return self._finish(X, fill(filled, self.statistics_, panel.date_codes), panel)

    def transform(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> Any:
        """Fill the missing values of ``X`` from its own past and from that of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The panel; ``NaN`` is a missing value.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, of the same kind as in ``fit``.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row.

        Returns
        -------
        ndarray or DataFrame of shape (n_rows, n_features)
            The filled panel, in the order of ``X``; a DataFrame if ``X`` is one with a
            two-level index.
        """
        check_is_fitted(self)
        table = validate_table(self, X, reset=False, allow_nan=True)
        if self.dates_ is None:
            if dates is not None:
                raise ValueError(
                    "`dates` must be None in transform after a fit without dates; got "
                    f"{len(dates)} dates. Fit with `dates=` as well."
                )
            undated = PanelIndex(len(table))
            return self._finish(X, fill(table.copy(), self.statistics_, None), undated)
        panel = resolve_panel(X, None, dates, assets, required=True)
        return self._finish(X, self._fill_dated(table, panel), panel)

    def _resolve(self, X: Any, y: Any, dates: Any, assets: Any, n_rows: int) -> PanelIndex:
        if not self.cross_section:
            return resolve_panel(X, y, dates, assets)
        if dates is not None:
            raise ValueError(
                "`dates` must be None where `cross_section=True`; got dates. "
                "Set cross_section=False to use them."
            )
        return PanelIndex(n_rows)

    def _learn(self, table: FloatArray, panel: PanelIndex) -> FloatArray:
        """Store what later rows may use, and return the table after carrying."""
        self.dates_, self.assets_ = panel.dates, panel.assets
        self.last_values_ = self._last = None
        if panel.dates is None or panel.date_codes is None:
            self.statistics_ = cross_section(table, self.strategy)[None, :]
            return table.copy()
        if panel.asset_codes is None or panel.assets is None:
            filled = table.copy()
        else:
            filled, last = carry_forward(
                table, panel.date_codes, panel.asset_codes, len(panel.assets), self.limit
            )
            self.last_values_, self._last = last.values, last
        own = cross_sections(filled, panel.date_codes, len(panel.dates), self.strategy)
        self.statistics_ = latest_statistics(own, np.full_like(own, np.nan))
        return filled

    def _fill_dated(self, table: FloatArray, panel: PanelIndex) -> FloatArray:
        """Carry and fill, with what ``fit`` knew put on one calendar with the new rows."""
        fitted, new = self.dates_, panel.dates
        assert fitted is not None
        assert new is not None
        assert panel.date_codes is not None
        if date_kind(fitted) != date_kind(new):
            raise ValueError(
                f"Dates must be of one kind; got {date_kind(fitted)} in fit and "
                f"{date_kind(new)} in transform. Convert one of them."
            )
        calendar = fitted.union(new)
        dates = calendar_positions(new, calendar)[panel.date_codes]
        if panel.asset_codes is None or panel.assets is None:
            filled = table.copy()
        else:
            known = None
            if self._last is not None and self.assets_ is not None:
                known = self._last.aligned(self.assets_, fitted, panel.assets, calendar)
            filled, _ = carry_forward(
                table, dates, panel.asset_codes, len(panel.assets), self.limit, known
            )
        own = cross_sections(filled, dates, len(calendar), self.strategy)
        learnt = np.full_like(own, np.nan)
        learnt[calendar_positions(fitted, calendar)] = self.statistics_
        return fill(filled, latest_statistics(own, learnt), dates)

    def _finish(self, X: Any, filled: FloatArray, panel: PanelIndex) -> Any:
        """Warn of what stayed missing, and give a frame back its index."""
        if self.strategy is not None:
            self._warn_of_missing(filled, panel, getattr(X, "columns", None))
        if has_panel_index(X):
            return pd.DataFrame(filled, index=X.index, columns=X.columns)
        return filled

    def _warn_of_missing(self, filled: FloatArray, panel: PanelIndex, columns: Any) -> None:
        missing = np.isnan(filled)
        if not missing.any():
            return
        names = getattr(self, "feature_names_in_", None)
        labels = [column_label(j, names) for j in np.flatnonzero(missing.any(axis=0))]
        when = "in fit"
        if panel.dates is not None and panel.date_codes is not None:
            last = panel.dates[panel.date_codes[missing.any(axis=1)].max()]
            when = f"up to their dates (the latest is {show_date(last)})"
        warnings.warn(
            f"{int(missing.sum())} values stay missing in {join(labels)}: no value of the column "
            f"is known {when}. Drop the column, or those rows. {how_to_see_names(columns)}".strip(),
            ImputationWarning,
            stacklevel=stacklevel_of_user(),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
