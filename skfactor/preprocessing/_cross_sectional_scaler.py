"""Scaling each characteristic within its date."""

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from skfactor._libraries import is_polars
from skfactor._typing import ArrayLike, FloatArray, IntArray
from skfactor._validation import (
    StrOptions,
    check_is_fitted,
    fit_method,
    join,
    validate_data,
    validate_table,
)
from skfactor.panel._coded import resolve_coded
from skfactor.panel._index import PanelIndex, has_panel_index
from skfactor.preprocessing._sections import Distribution, Sections, scale_sections


class CrossSectionalScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Scale every column over the assets of each date: ranks, z-scores or minimum to maximum.

    Levels of characteristics drift and their outliers come and go. What an asset has *relative
    to the others of its date* is comparable through time, and is known on that date: nothing
    of another date is used.

    Parameters
    ----------
    method : {"rank", "zscore", "minmax"}, default="rank"
        ``"rank"``: ranks, spread evenly between −1 and 1. ``"zscore"``: mean 0 and standard
        deviation 1. ``"minmax"``: linear, the least value becoming −1 and the greatest 1.
    missing : {"zero", "median"} or None, default="zero"
        What a missing value becomes after scaling: 0, the middle of each scale; the median of
        the scaled column on that date (within the group, if there are groups), 0 where it has
        no value; ``None`` leaves it missing.
    group_by : str, default=None
        Column of a DataFrame ``X`` that holds groups such as industries, text or numbers.
        Assets are compared within their group, and the column is left out of what comes back.
        The argument ``groups`` of the methods serves the same end.
    cross_section : bool, default=False
        ``True`` states that ``X`` is a single cross-section, for instance one row a firm: no
        dates are looked for, and no warning says that they are missing.

    Attributes
    ----------
    dates_ : pandas.Index of shape (n_dates,) or None
        The dates of ``fit`` in rising order; None if there are none.
    groups_ : pandas.Index of shape (n_groups,) or None
        The groups of ``fit``; None if there are none.
    n_features_in_ : int
        The number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, where ``X`` had names that are all strings.

    See Also
    --------
    PanelImputer : Fill missing values from an asset's own past, before scaling.
    LogStandardizer : Scale over all rows, whatever their date.

    Notes
    -----
    With :math:`n` known values on the date, and equal values sharing the mean of their ranks
    :math:`k = 1, \ldots, n`, the three scales are

    .. math::

       \frac{2 k}{n + 1} - 1, \qquad
       \frac{x - \bar x}{\sqrt{\tfrac1n \sum (x - \bar x)^2}}, \qquad
       \frac{2 x - \max x - \min x}{\max x - \min x}.

    The first is that of [1]_. A column that is constant on a date, and the column of a single
    asset, become 0.

    The dates of the rows are the argument ``dates``, else the date level of a two-level index
    of ``X``, else (in ``fit`` and ``fit_transform``) that of ``y``. The order of the rows does
    not matter. ``fit`` learns nothing that dated rows are scaled by, so a date may be new to
    ``transform``; hand over whole dates, since the assets of a date are ranked among the rows
    at hand. A scaler fitted with dates refuses rows without.

    **Without dates** all rows are one cross-section, with a
    :class:`~skfactor.exceptions.MissingDatesWarning`, and ``transform`` uses the distribution
    learnt in ``fit``: a new row's rank is interpolated between those of the rows of ``fit``,
    and neither ranks nor ``"minmax"`` leave their range. What comes out for a row then does
    not depend on the rows beside it.

    A row whose group is missing belongs to a group of such rows. Arguments ``dates`` and
    ``groups`` are routed by default once
    ``sklearn.set_config(enable_metadata_routing=True)`` is set. A pandas DataFrame with a
    two-level index comes back as one, unless ``set_output`` says otherwise; float32 stays
    float32.

    References
    ----------
    .. [1] S. Gu, B. Kelly and D. Xiu, "Autoencoder asset pricing models", Journal of
       Econometrics 222, 429–450, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.preprocessing import CrossSectionalScaler
    >>> index = pd.MultiIndex.from_product(
    ...     [pd.to_datetime(["2024-01-31", "2024-02-29"]), ["A", "B", "C"]],
    ...     names=["date", "asset"],
    ... )
    >>> X = pd.DataFrame({"size": [1.0, 2.0, 9.0, 30.0, np.nan, 10.0]}, index=index)
    >>> CrossSectionalScaler().fit_transform(X)["size"].round(2).to_list()
    [-0.5, 0.0, 0.5, 0.33, 0.0, -0.33]
    """

    # Requested by default, so that users need not call set_fit_request.
    __metadata_request__fit = {"dates": True, "groups": True}
    __metadata_request__transform = {"dates": True, "groups": True}

    dates_: pd.Index | None
    groups_: pd.Index | None
    _distributions: list[Distribution] | None

    _parameter_constraints = {
        "method": [StrOptions({"rank", "zscore", "minmax"})],
        "missing": [StrOptions({"zero", "median"}), None],
        "group_by": [str, None],
        "cross_section": ["boolean"],
    }

    def __init__(
        self,
        method: Literal["rank", "zscore", "minmax"] = "rank",
        missing: Literal["zero", "median"] | None = "zero",
        group_by: str | None = None,
        cross_section: bool = False,
    ) -> None:
        self.method = method
        self.missing = missing
        self.group_by = group_by
        self.cross_section = cross_section

    @fit_method
    def fit(self, X: ArrayLike, y: Any = None, *, dates: Any = None, groups: Any = None) -> Self:
        """Check the rows and, without dates, learn their distribution.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The panel; ``NaN`` is a missing value.
        y : array-like of shape (n_rows,), default=None
            Used for its index alone, where ``X`` carries none.
        dates : array-like of shape (n_rows,), default=None
            The date of each row: datetimes, periods, whole numbers such as 202401, ISO text.
        groups : array-like of shape (n_rows,), default=None
            The group of each row, such as its industry.

        Returns
        -------
        CrossSectionalScaler
            The fitted estimator.

        Raises
        ------
        ValueError
            For columns that hold text or infinities, duplicate (date, asset) pairs, and
            indexes of ``X`` and ``y`` that disagree.
        """
        self._learn(X, y, dates, groups)
        return self

    @fit_method
    def fit_transform(
        self, X: ArrayLike, y: Any = None, *, dates: Any = None, groups: Any = None
    ) -> Any:
        """Fit, and scale the same rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The panel; ``NaN`` is a missing value.
        y : array-like of shape (n_rows,), default=None
            Used for its index alone, where ``X`` carries none.
        dates : array-like of shape (n_rows,), default=None
            The date of each row: datetimes, periods, whole numbers such as 202401, ISO text.
        groups : array-like of shape (n_rows,), default=None
            The group of each row, such as its industry.

        Returns
        -------
        ndarray or DataFrame of shape (n_rows, n_features)
            The scaled panel, in the order of ``X``; a DataFrame if ``X`` is one with a
            two-level index. One column fewer if ``group_by`` is set.
        """
        table, panel, labels = self._learn(X, y, dates, groups)
        return self._scale(X, table, panel, labels)

    def transform(self, X: ArrayLike, *, dates: Any = None, groups: Any = None) -> Any:
        """Scale rows: within their dates, or by the distribution of an undated ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The panel; ``NaN`` is a missing value.
        dates : array-like of shape (n_rows,), default=None
            The date of each row.
        groups : array-like of shape (n_rows,), default=None
            The group of each row, where ``fit`` had groups.

        Returns
        -------
        ndarray or DataFrame of shape (n_rows, n_features)
            The scaled panel, in the order of ``X``; a DataFrame if ``X`` is one with a
            two-level index. One column fewer if ``group_by`` is set.
        """
        check_is_fitted(self)
        table, labels = self._table(X, groups, reset=False)
        if (labels is None) != (self.groups_ is None):
            fitted, now = ("no groups", "groups") if labels is not None else ("groups", "none")
            raise ValueError(
                f"`groups` must be given in fit and in transform, or in neither; got {fitted} in "
                f"fit and {now} in transform."
            )
        if self.dates_ is not None:
            panel = resolve_coded(X, None, dates, required=True)
        elif dates is not None:
            raise ValueError(
                "`dates` must be None in transform after a fit without dates; got "
                f"{len(dates)} dates. Fit with `dates=` as well."
            )
        else:
            panel = PanelIndex(len(table))
        return self._scale(X, table, panel, labels)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the columns that come back.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of ``X``, where ``fit`` saw none.

        Returns
        -------
        ndarray of str
            The names of the columns of ``X``, without that of ``group_by``.
        """
        names = super().get_feature_names_out(input_features)
        return names if self.group_by is None else names[names != self.group_by]

    def _learn(
        self, X: Any, y: Any, dates: Any, groups: Any
    ) -> tuple[FloatArray, PanelIndex, pd.Index | None]:
        table, labels = self._table(X, groups, reset=True)
        if self.cross_section and dates is not None:
            raise ValueError(
                "`dates` must be None where `cross_section=True`; got dates. "
                "Set cross_section=False to use them."
            )
        undated = PanelIndex(len(table))
        panel = undated if self.cross_section else resolve_coded(X, y, dates)
        self.dates_ = panel.dates
        self.groups_ = None if labels is None else labels.unique()
        self._distributions = None
        if panel.dates is None:
            codes = self._group_codes(labels, len(table))
            self._distributions = [
                Distribution.of(table[rows], self.method)
                for rows in Sections.of_codes(codes).rows()
            ]
        return table, panel, labels

    def _table(self, X: Any, groups: Any, *, reset: bool) -> tuple[FloatArray, pd.Index | None]:
        """Return the columns to scale and the group of each row."""
        if self.group_by is None:
            table = validate_table(self, X, reset=reset, allow_nan=True)
            return table, _labels(groups, len(table))
        if groups is not None:
            raise ValueError(
                f"`groups` must be None where `group_by` is set; got groups beside group_by="
                f"{self.group_by!r}. Give one of them."
            )
        is_frame = isinstance(X, pd.DataFrame) or (is_polars(X) and hasattr(X, "row"))
        if not is_frame or self.group_by not in X.columns:
            kind = (
                f"the columns {join([repr(column) for column in X.columns])}"
                if hasattr(X, "columns")
                else f"{type(X).__name__} without column names"
            )
            raise ValueError(
                f"`group_by` must name a column of a DataFrame X; got {self.group_by!r} and "
                f"{kind}. Use `groups=` for arrays."
            )
        validate_data(self, X, reset=reset, skip_check_array=True)
        rest = (
            X.drop(columns=self.group_by) if isinstance(X, pd.DataFrame) else X.drop(self.group_by)
        )
        table = validate_table(_Rest(), rest, reset=True, allow_nan=True)
        column = X[self.group_by]
        return table, _labels(column.to_numpy() if is_polars(X) else column, len(table))

    def _scale(self, X: Any, table: FloatArray, panel: PanelIndex, labels: pd.Index | None) -> Any:
        if self._distributions is None:
            assert panel.date_codes is not None
            codes = panel.date_codes
            if labels is not None:
                group, unique = pd.factorize(labels, use_na_sentinel=False)
                pairs = codes.astype(np.int64) * len(unique) + group
                codes = pd.factorize(pairs, sort=True)[0]
            sections = Sections.of_codes(codes)
            scaled = scale_sections(table, sections, self.method, self.missing)
        else:
            scaled = np.empty_like(table)
            codes = self._group_codes(labels, len(table))
            for k, distribution in enumerate(self._distributions):
                rows = codes == k if labels is not None else slice(None)
                scaled[rows] = distribution.apply(table[rows], self.missing)
        if has_panel_index(X):
            columns = X.columns if self.group_by is None else X.columns.drop(self.group_by)
            return pd.DataFrame(scaled, index=X.index, columns=columns, copy=False)
        return scaled

    def _group_codes(self, labels: pd.Index | None, n_rows: int) -> IntArray:
        """Return the place of each row's group among those of ``fit``."""
        if labels is None or self.groups_ is None:
            return np.zeros(n_rows, dtype=np.intp)
        codes = self.groups_.get_indexer(labels)
        unseen = labels[codes < 0].unique()
        if len(unseen):
            raise ValueError(
                f"Without dates, groups must be among those of fit; got {len(unseen)} new: "
                f"{join([repr(label) for label in unseen])}. Fit on rows of every group."
            )
        return codes.astype(np.intp, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class _Rest(BaseEstimator):
    """Takes the names of the columns that are scaled, when one more holds the groups."""


def _labels(groups: Any, n_rows: int) -> pd.Index | None:
    """Return the group of each row as an index."""
    if groups is None:
        return None
    if not isinstance(groups, (pd.Series, pd.Index)):
        groups = groups.to_numpy() if hasattr(groups, "to_numpy") else np.asarray(groups)
        if groups.ndim != 1:
            raise ValueError(
                f"`groups` must be one-dimensional, an entry for each row; got shape "
                f"{groups.shape}."
            )
    labels = pd.Index(groups)
    if isinstance(labels, pd.CategoricalIndex):
        labels = labels.astype(labels.categories.dtype)
    if len(labels) != n_rows:
        raise ValueError(
            f"`groups` must have one entry for each of the {n_rows} rows of X; got {len(labels)}."
        )
    return labels
