"""Walking forward through the dates of a panel."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from skfactor._typing import IntArray
from skfactor._validation import check_count
from skfactor.panel._coded import resolve_coded
from skfactor.panel._index import as_dates, date_level, factorize, has_panel_index, read_index


@dataclass(frozen=True)
class Window:
    """One split as positions of dates; each pair is a start and a stop."""

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]


class PanelSplit(BaseCrossValidator):
    """Split a panel by whole dates, the training dates always before the test dates.

    A splitter that cuts rows puts assets of one date on both sides, and what happened on that
    date leaks. Here every row of a date is on one side.

    Parameters
    ----------
    n_splits : int or None, default=5
        Number of splits; the last test block then ends with the last date. ``None`` makes as
        many as there are: the first test block begins as soon as ``min_train_size`` allows,
        and the last may be shorter than ``test_size``. Earlier splits then do not change when
        dates are added.
    test_size : int, default=None
        Dates in a test block. ``None`` with ``n_splits`` divides the dates that
        ``min_train_size`` leaves; without that, it is the number of dates divided by
        ``n_splits + 1``.
    min_train_size : int, default=None
        The fewest training dates, without those of validation. Needed if ``n_splits`` is
        None.
    max_train_size : int, default=None
        The most training dates, without those of validation: a rolling window. ``None`` lets
        the window expand.
    validation_size : int, default=0
        Dates at the end of the training window that are set aside for validation, such as
        early stopping or the choice of a penalty. See ``validation``.
    validation : {"include", "exclude"}, default="include"
        Whether ``split`` hands the validation dates over as part of the training set, for
        estimators that set their last training dates aside themselves, or leaves them out.
        ``split_validation`` yields them apart either way.
    gap : int, default=0
        Dates left out between training and test (and between training and validation, where
        they are apart), for targets that look so many dates ahead: as many as the estimator's
        ``horizon``.
    embargo : int, default=0
        Dates left out before the test block besides ``gap``, against dependence through time
        that outlives the overlap of targets.
    partition : bool, default=False
        ``True`` puts one more split in front, whose test set is every date before the first
        test block and whose training set is that of the first split: in sample. The test sets
        then cover each row once, which ``cross_val_predict`` insists on; leave these rows out
        when judging, and do not search with it.

    See Also
    --------
    WalkForward : Refit on these splits and stitch what they predict.
    FullSample : The whole sample as its own test set.

    Notes
    -----
    The dates of the rows are the argument ``dates`` (routed by default once
    ``sklearn.set_config(enable_metadata_routing=True)`` is set), else the index of ``X``, else
    that of ``y``, which scikit-learn hands on untouched, else ``groups``: so
    ``search.fit(X, y, groups=dates)`` serves arrays. The order of the rows does not matter.

    In front of a test block that begins at date :math:`p` stand, going back,
    ``gap + embargo`` dates left out, ``validation_size`` dates of validation, ``gap`` dates
    left out if there are any of validation, and the training dates. With
    ``validation="include"`` nothing is left out between training and validation.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.model_selection import PanelSplit
    >>> index = pd.MultiIndex.from_product([range(2001, 2009), list("AB")], names=["year", "asset"])
    >>> X = pd.DataFrame({"size": range(16)}, index=index)
    >>> for train, test in PanelSplit(n_splits=3, test_size=2, gap=1).split(X):
    ...     print(sorted({index[i][0] for i in train}), sorted({index[i][0] for i in test}))
    [2001] [2003, 2004]
    [2001, 2002, 2003] [2005, 2006]
    [2001, 2002, 2003, 2004, 2005] [2007, 2008]
    """

    # Requested by default, so that users need not call set_split_request.
    __metadata_request__split = {"dates": True, "groups": True}

    def __init__(
        self,
        n_splits: int | None = 5,
        *,
        test_size: int | None = None,
        min_train_size: int | None = None,
        max_train_size: int | None = None,
        validation_size: int = 0,
        validation: Literal["include", "exclude"] = "include",
        gap: int = 0,
        embargo: int = 0,
        partition: bool = False,
    ) -> None:
        for name, value, least in (
            ("n_splits", n_splits, 1),
            ("test_size", test_size, 1),
            ("min_train_size", min_train_size, 1),
            ("max_train_size", max_train_size, 1),
        ):
            if value is not None:
                check_count(value, name, least)
        for name, count in (
            ("validation_size", validation_size),
            ("gap", gap),
            ("embargo", embargo),
        ):
            check_count(count, name, 0)
        if validation not in ("include", "exclude"):
            raise ValueError(f"`validation` must be 'include' or 'exclude'; got {validation!r}.")
        if n_splits is None and (test_size is None or min_train_size is None):
            raise ValueError(
                "`test_size` and `min_train_size` must be given where `n_splits` is None; got "
                f"test_size={test_size} and min_train_size={min_train_size}."
            )
        if min_train_size and max_train_size and min_train_size > max_train_size:
            raise ValueError(
                f"`min_train_size` must be at most max_train_size={max_train_size}; got "
                f"{min_train_size}."
            )
        self.n_splits = n_splits
        self.test_size = test_size
        self.min_train_size = min_train_size
        self.max_train_size = max_train_size
        self.validation_size = validation_size
        self.validation = validation
        self.gap = gap
        self.embargo = embargo
        self.partition = partition

    @classmethod
    def gu_kelly_xiu(cls, periods_per_year: int = 12) -> Self:
        """Return the scheme of Gu, Kelly and Xiu (2021).

        18 years of training that grow, 12 years of validation that roll, and a test block of
        one year, refitted once a year until the dates end.

        Parameters
        ----------
        periods_per_year : int, default=12
            Dates in a year: 12 for a monthly panel.

        Returns
        -------
        PanelSplit
            It needs more than 30 years of dates.
        """
        check_count(periods_per_year, "periods_per_year", 1)
        return cls(
            n_splits=None,
            test_size=periods_per_year,
            min_train_size=18 * periods_per_year,
            validation_size=12 * periods_per_year,
        )

    def split(
        self, X: Any, y: Any = None, groups: Any = None, *, dates: Any = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the rows of each training set and each test set.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The panel; only its index and its length matter.
        y : array-like of shape (n_rows,), default=None
            The target, for its index.
        groups : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``dates`` nor an index gives it.
        dates : array-like of shape (n_rows,), default=None
            The date of each row.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Positions of rows, rising.
        test : ndarray of shape (n_test,)
            Positions of rows, rising.

        Raises
        ------
        ValueError
            If no dates are found, or there are too few.
        """
        rows = DatedRows.of(X, y, groups, dates)
        windows = self.windows(len(rows.dates))
        if self.partition:
            first = windows[0]
            yield rows.between(*self.training_dates(first)), rows.between(0, first.test[0])
        for window in windows:
            yield rows.between(*self.training_dates(window)), rows.between(*window.test)

    def split_validation(
        self, X: Any, y: Any = None, groups: Any = None, *, dates: Any = None
    ) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """Yield the rows of each training, validation and test set.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The panel; only its index and its length matter.
        y : array-like of shape (n_rows,), default=None
            The target, for its index.
        groups : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``dates`` nor an index gives it.
        dates : array-like of shape (n_rows,), default=None
            The date of each row.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Positions of rows, rising, without those of validation.
        validation : ndarray of shape (n_validation,)
            Positions of rows, rising; empty if ``validation_size`` is 0.
        test : ndarray of shape (n_test,)
            Positions of rows, rising.
        """
        rows = DatedRows.of(X, y, groups, dates)
        for window in self.windows(len(rows.dates)):
            train, validation, test = (
                rows.between(*bounds) for bounds in (window.train, window.validation, window.test)
            )
            yield train, validation, test

    def get_n_splits(
        self, X: Any = None, y: Any = None, groups: Any = None, *, dates: Any = None
    ) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features), default=None
            The panel; needed if ``n_splits`` is None.
        y : array-like of shape (n_rows,), default=None
            The target, for its index.
        groups : array-like of shape (n_rows,), default=None
            As in ``split``.
        dates : array-like of shape (n_rows,), default=None
            As in ``split``.

        Returns
        -------
        int
            How many pairs ``split`` yields.
        """
        extra = int(self.partition)
        if self.n_splits is not None:
            return self.n_splits + extra
        if X is None:
            raise ValueError("`X` must be given to count splits where `n_splits` is None.")
        return len(self.windows(len(DatedRows.of(X, y, groups, dates).dates))) + extra

    def windows(self, n_dates: int) -> list[Window]:
        """Return each split as positions of dates.

        Parameters
        ----------
        n_dates : int
            The number of different dates.

        Returns
        -------
        list of Window
            With the pairs ``train``, ``validation`` and ``test``, each a start and a stop;
            ``train`` is without the validation dates.

        Raises
        ------
        ValueError
            If there are too few dates.
        """
        before = self._dates_before_test(self.min_train_size or 1)
        if self.n_splits is None:
            assert self.test_size is not None
            size = self.test_size
            starts = list(range(before, n_dates, size))
            needed = before + 1
        else:
            size = self.test_size or self._divided(n_dates)
            starts = [n_dates - size * k for k in range(self.n_splits, 0, -1)]
            needed = before + max(size, 1) * self.n_splits
        if n_dates < needed or size < 1:
            raise ValueError(
                f"{self!r} needs at least {needed} dates; got {n_dates}. Ask for fewer or "
                "smaller blocks."
            )
        return [self._window(start, min(start + size, n_dates)) for start in starts]

    def training_dates(self, window: Window) -> tuple[int, int]:
        """Return the training dates of a split, with or without those of validation.

        Parameters
        ----------
        window : Window
            One of :meth:`windows`.

        Returns
        -------
        tuple of int
            Start and stop, as positions of dates.
        """
        last = window.validation if self.validation == "include" else window.train
        return window.train[0], last[1]

    def _dates_before_test(self, train_size: int) -> int:
        validation = self.validation_size + self.gap if self.validation_size else 0
        return train_size + validation + self.gap + self.embargo

    def _divided(self, n_dates: int) -> int:
        """Return the size of a test block that follows from their number."""
        assert self.n_splits is not None
        if self.min_train_size is None:
            return n_dates // (self.n_splits + 1)
        return (n_dates - self._dates_before_test(self.min_train_size)) // self.n_splits

    def _window(self, start: int, stop: int) -> Window:
        end = start - self.gap - self.embargo
        train_end = end - (self.validation_size + self.gap if self.validation_size else 0)
        first = 0 if self.max_train_size is None else max(0, train_end - self.max_train_size)
        return Window((first, train_end), (end - self.validation_size, end), (start, stop))


@dataclass(frozen=True, eq=False)
class DatedRows:
    """Rows gathered by date.

    Parameters
    ----------
    dates : pandas.Index of shape (n_dates,)
        The dates in rising order.
    starts : ndarray of shape (n_dates + 1,)
        Places of date ``t`` are ``starts[t]`` to ``starts[t + 1]``.
    order : ndarray of shape (n_rows,)
        The row that stands in each place.
    codes : ndarray of shape (n_rows,)
        The date of each row, as a position.
    """

    dates: pd.Index
    starts: IntArray
    order: IntArray
    codes: IntArray

    @classmethod
    def of(cls, X: Any, y: Any, groups: Any, dates: Any) -> Self:
        """Find the date of each row."""
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        codes, unique, n_dated, source = _date_codes(X, y, groups, dates, n_rows)
        if n_dated != n_rows:
            raise ValueError(
                f"{source} must have one date for each of the {n_rows} rows of X; got {n_dated}."
            )
        starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(unique)))])
        return cls(unique, starts.astype(np.intp), np.argsort(codes, kind="stable"), codes)

    def between(self, first: int, last: int) -> IntArray:
        """Return the rows of the dates from ``first`` up to, not including, ``last``."""
        return np.sort(self.order[self.starts[first] : self.starts[last]])


def _date_codes(
    X: Any, y: Any, groups: Any, dates: Any, n_rows: int
) -> tuple[IntArray, pd.Index, int, str]:
    """Return the date of each row as a code, the dates, and where they were found."""
    if dates is not None:
        codes, unique = factorize(as_dates(dates))
        return codes, unique, len(codes), "`dates`"
    for data, name in ((X, "X"), (y, "y")):
        if has_panel_index(data) and date_level(data.index, name) is not None:
            panel = resolve_coded(data, required=True)
            assert panel.date_codes is not None
            assert panel.dates is not None
            return panel.date_codes, panel.dates, panel.n_rows, f"The index of {name}"
        read = read_index(data, name)
        if read is not None:
            codes, unique = factorize(read[0])
            return codes, unique, len(codes), f"The index of {name}"
    if groups is not None:
        codes, unique = factorize(as_dates(groups, "`groups`"))
        return codes, unique, len(codes), "`groups`"
    raise ValueError(
        f"Nothing says on which date the {n_rows} rows of X stand, and a panel is split by dates. "
        "Give X or y a (date, asset) index, or pass the dates as `dates=` or `groups=`."
    )
