"""Make cluster labels of different dates mean the same."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from skfactor._typing import IntArray
from skfactor.panel._index import show_date


def in_order(table: pd.DataFrame, by: pd.DataFrame) -> pd.DataFrame:
    """Call the clusters of each date by the rank of their mean."""
    lines = []
    for place, date in enumerate(table.index):
        line = table.iloc[place]
        means = by.iloc[place].groupby(line).mean()
        if means.isna().any():
            raise ValueError(
                f"`order_by` must have a value in each cluster; got none in "
                f"{means.index[means.isna()][0]!r} on {show_date(date)}."
            )
        rank = {label: number for number, label in enumerate(means.sort_values().index)}
        lines.append([rank.get(label) for label in line])
    return pd.DataFrame(lines, table.index, table.columns, dtype=object).where(table.notna(), None)


def in_overlap(table: pd.DataFrame) -> pd.DataFrame:
    """Give the clusters of each date the labels of the date before that overlap most."""
    values = table.to_numpy(dtype=object, copy=True)
    has = table.notna().to_numpy()
    last: dict[Any, Any] = {}  # the label last seen of each asset's place
    used: list[Any] = []
    for line, present in zip(values, has, strict=True):
        now = _sorted(set(line[present]))
        if not now:
            continue
        rename = _match(line, now, last, used) if used else {label: label for label in now}
        line[present] = [rename[label] for label in line[present]]
        last = dict(zip(np.flatnonzero(present), line[present], strict=True))
        used += [label for label in rename.values() if label not in used]
    return pd.DataFrame(values, table.index, table.columns, dtype=object)


def _match(line: Any, now: list[Any], last: dict[Any, Any], used: list[Any]) -> dict[Any, Any]:
    """Map labels of today to those of the date before; new ones get unused names."""
    old = _sorted(set(last.values()))
    place_now = {label: i for i, label in enumerate(now)}
    place_old = {label: j for j, label in enumerate(old)}
    overlap: IntArray = np.zeros((len(now), len(old)), dtype=np.intp)
    for place, label in last.items():
        if line[place] is not None:
            overlap[place_now[line[place]], place_old[label]] += 1
    rename = {
        now[i]: old[j]
        for i, j in zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
        if overlap[i, j]
    }
    taken = set(used) | set(rename.values())
    for label in now:
        if label not in rename:
            number = 0
            fresh = label
            while fresh in taken:
                fresh, number = number, number + 1
            rename[label] = fresh
            taken.add(fresh)
    return rename


def unique_labels(table: pd.DataFrame) -> list[Any]:
    """Return the labels in a table, sorted."""
    return _sorted({label for label in table.to_numpy().ravel() if label is not None})


def _sorted(labels: set[Any]) -> list[Any]:
    """Sort labels, of mixed kinds too."""
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=lambda label: (type(label).__name__, str(label)))


def label_stability(table: pd.DataFrame) -> pd.Series:
    """Return the share of assets that keep the label of the date before."""
    values, has = table.to_numpy(), table.notna().to_numpy()
    both = has[1:] & has[:-1]
    same = (values[1:] == values[:-1]) & both
    with np.errstate(invalid="ignore"):
        share = same.sum(axis=1) / both.sum(axis=1)
    return pd.Series(np.r_[np.nan, share], table.index, name="stability")
