"""One table of all that is known of each asset, and a word on who was left out."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from skfactor._libraries import is_polars
from skfactor._validation import join
from skfactor.preprocessing._frames import check_frame, column_or_index, take_rows


@dataclass(frozen=True)
class MergeReport:
    """Which assets a merge has kept and which it has dropped, and because of which table.

    Printing it says so in words.

    Parameters
    ----------
    sizes : dict of str to int
        The number of assets in each table, by the name of the table.
    kept : tuple
        The assets that are in every table, in the order of the first.
    dropped : dict
        For each asset that is not kept, the names of the tables that lack it.

    See Also
    --------
    merge_tables : Makes the report.

    Examples
    --------
    >>> from skfactor.preprocessing import MergeReport
    >>> MergeReport({"accounts": 2, "prices": 1}, ("AAA",), {"BBB": ("prices",)})
    Kept 1 of 2 assets.
      accounts has 2; nobody is dropped for want of it.
      prices has 1; dropped for want of it: 1 (BBB).
    """

    sizes: dict[str, int]
    kept: tuple[Any, ...]
    dropped: dict[Any, tuple[str, ...]]

    def missing_from(self, table: str) -> list[Any]:
        """Return the assets that are dropped because ``table`` lacks them.

        Parameters
        ----------
        table : str
            The name of a table.

        Returns
        -------
        list
            The assets, in the order in which they were met.
        """
        return [asset for asset, tables in self.dropped.items() if table in tables]

    def __repr__(self) -> str:
        lines = [f"Kept {len(self.kept)} of {len(self.kept) + len(self.dropped)} assets."]
        for table, size in self.sizes.items():
            lost = self.missing_from(table)
            who = (
                f"dropped for want of it: {len(lost)} ({join(lost)})."
                if lost
                else "nobody is dropped for want of it."
            )
            lines.append(f"  {table} has {size}; {who}")
        return "\n".join(lines)


def merge_tables(
    *tables: Any,
    on: str = "ticker",
    overlap: Literal["raise", "suffix"] = "raise",
    **named_tables: Any,
) -> tuple[Any, MergeReport]:
    """Join tables by asset, keep the assets that are in all of them, and report the others.

    Parameters
    ----------
    *tables : DataFrame
        Tables with one row an asset, pandas or polars. They go by ``"table 1"``,
        ``"table 2"`` in errors and in the report.
    on : str, default="ticker"
        The column that names the asset. A pandas frame may have it as its index instead.
    overlap : {"raise", "suffix"}, default="raise"
        What to do with a column that several tables have: refuse it, or append
        ``"_"`` and the name of its table.
    **named_tables : DataFrame
        Further tables under names of their own, as in ``prices=features``.

    Returns
    -------
    frame : DataFrame
        The columns of all tables, in the order of the arguments, for the assets that all
        tables have, in the order of the first table. A pandas frame indexed by ``on``; if
        the first table is polars, a polars frame with ``on`` as first column.
    report : MergeReport
        How many assets each table had, who was kept and who was dropped.

    Raises
    ------
    TypeError
        If a table is not a DataFrame.
    ValueError
        If no tables are given, if an asset appears twice in a table or is missing there, if
        a column is in several tables while ``overlap="raise"``, and if no asset is in all
        tables.

    See Also
    --------
    latest_values : One row a firm, from a history of accounts.
    PriceFeatures : Price features to merge with the accounts.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfactor.preprocessing import merge_tables
    >>> accounts = pd.DataFrame({"ticker": ["AAA", "BBB", "CCC"], "sales": [3.0, 1.0, 2.0]})
    >>> prices = pd.DataFrame({"daily_std": [0.02, 0.01]}, index=["CCC", "AAA"])
    >>> frame, report = merge_tables(accounts=accounts, prices=prices)
    >>> frame
            sales  daily_std
    ticker
    AAA       3.0       0.01
    CCC       2.0       0.02
    >>> report
    Kept 2 of 3 assets.
      accounts has 3; nobody is dropped for want of it.
      prices has 2; dropped for want of it: 1 (BBB).
    """
    if overlap not in ("raise", "suffix"):
        raise ValueError(f"`overlap` must be 'raise' or 'suffix'; got {overlap!r}.")
    named = {f"table {i}": table for i, table in enumerate(tables, start=1)} | named_tables
    if not named:
        raise ValueError("merge_tables must be given at least one table; got none.")
    assets: dict[str, pd.Index] = {}
    for name, table in named.items():
        check_frame(table, name)
        assets[name] = column_or_index(table, on, name)
        _refuse_repeated(assets[name], on, name)

    report = _report(assets)
    if not report.kept:
        examples = "; ".join(
            f"{name} has {join([repr(a) for a in index], 3) or 'no rows'}"
            for name, index in assets.items()
        )
        raise ValueError(
            f"At least one {on!r} must be in every table; got none: {examples}. Write the "
            "identifiers alike."
        )
    first = next(iter(assets.values()))
    kept = first[first.isin(report.kept)]
    new_names = _column_names(named, on, overlap)
    parts = [
        _columns(take_rows(table, assets[name].get_indexer(kept)), new_names[name])
        for name, table in named.items()
    ]
    return _side_by_side(parts, kept, on, polars=is_polars(next(iter(named.values())))), report


def _refuse_repeated(assets: pd.Index, on: str, name: str) -> None:
    repeated = list(dict.fromkeys(assets[assets.duplicated()]))
    if repeated:
        raise ValueError(
            f"Each {on!r} must appear once in {name}; got {len(repeated)} repeated: "
            f"{join([repr(asset) for asset in repeated])}. Make it one row each, for instance "
            "by latest_values."
        )


def _report(assets: dict[str, pd.Index]) -> MergeReport:
    lacking = {
        asset: tuple(name for name, index in assets.items() if asset not in index)
        for asset in dict.fromkeys(asset for index in assets.values() for asset in index)
    }
    return MergeReport(
        sizes={name: len(index) for name, index in assets.items()},
        kept=tuple(asset for asset, tables in lacking.items() if not tables),
        dropped={asset: tables for asset, tables in lacking.items() if tables},
    )


def _column_names(named: dict[str, Any], on: str, overlap: str) -> dict[str, dict[Any, Any]]:
    """Return, for each table, the names in the result by the names of its columns."""
    columns = {name: [c for c in table.columns if c != on] for name, table in named.items()}
    for name, table in named.items():
        twice = [c for c, count in Counter(table.columns).items() if count > 1]
        if twice:
            raise ValueError(
                f"Each column must appear once in {name}; got more than one "
                f"{join([repr(c) for c in twice])}. Drop or rename the others."
            )
    counts = Counter(column for names in columns.values() for column in names)
    shared = [column for column, count in counts.items() if count > 1]
    if shared and overlap == "raise":
        where = [
            f"{column!r} in {' and '.join(t for t, names in columns.items() if column in names)}"
            for column in shared
        ]
        raise ValueError(
            f"A column must be in one table only; got {join(where)}. "
            "Drop or rename one, or pass overlap='suffix'."
        )
    new_names = {
        name: {c: f"{c}_{name}" if c in shared else c for c in names}
        for name, names in columns.items()
    }
    counts = Counter(new for names in new_names.values() for new in names.values())
    clashes = [repr(new) for new, count in counts.items() if count > 1 or new == on]
    if clashes:
        raise ValueError(
            f"Columns must have different names when overlap='suffix' has been applied; got "
            f"{join(clashes)} more than once. Rename a column, or give the tables other names."
        )
    return new_names


def _columns(frame: Any, names: dict[Any, Any]) -> dict[Any, Any]:
    """Return the columns to keep under their new names, each an array or a Series."""
    if is_polars(frame):
        return {new: frame[old] for old, new in names.items()}
    return {new: frame[old].array for old, new in names.items()}


def _side_by_side(parts: list[dict[Any, Any]], kept: pd.Index, on: str, *, polars: bool) -> Any:
    merged = {name: values for part in parts for name, values in part.items()}
    if polars:
        import polars as pl

        plain = {
            name: values if isinstance(values, pl.Series) else np.asarray(values)
            for name, values in merged.items()
        }
        return pl.DataFrame({on: kept.to_list(), **plain})
    plain = {
        name: values.to_numpy() if is_polars(values) else values for name, values in merged.items()
    }
    return pd.DataFrame(plain, index=kept.rename(on))
