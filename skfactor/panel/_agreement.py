"""Objects that lie side by side, row by row, and whether their labels say so."""

from typing import Any

import numpy as np
import pandas as pd

from skfactor.panel._index import SHOWN, has_panel_index, show_asset, show_date


def refuse_other_rows(
    first: Any, second: Any, names: tuple[str, str], *, columns: bool = False
) -> None:
    """Raise if two pandas objects have indexes that differ, or columns where these count too.

    What has no index, or a ``RangeIndex``, is taken by position.
    """
    for axis in ("index", "columns") if columns else ("index",):
        ours: Any = getattr(first, axis, None)
        theirs: Any = getattr(second, axis, None)
        known = _is_labels(ours) and _is_labels(theirs)
        if not known or ours is theirs or ours.equals(theirs) or len(ours) != len(theirs):
            continue
        differ = np.flatnonzero(
            [a != b for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]
        )
        if not len(differ):
            continue
        shown = "; ".join(
            f"{_show(ours[i])} and {_show(theirs[i])} at place {i}" for i in differ[:SHOWN]
        )
        what, how = ("rows", "") if axis == "index" else ("columns", "columns=")
        raise ValueError(
            f"The {what} of `{names[0]}` and `{names[1]}` must be the same, in the same order; "
            f"got {len(differ)} that differ: {shown}. Align them, for instance by "
            f"{names[1]}.reindex({how}{names[0]}.{axis})."
        )


def refuse_weights_of_other_rows(weights: Any, name: str, **rows: Any) -> None:
    """Raise if weights have an index that differs from that of the rows they weigh.

    Of several objects that hold the rows, one with a (date, asset) index speaks for them, or
    else the first with any.
    """
    labelled = [key for key, data in rows.items() if _is_labels(getattr(data, "index", None))]
    if labelled:
        speaker = min(labelled, key=lambda key: not has_panel_index(rows[key]))
        refuse_other_rows(rows[speaker], weights, (speaker, name))


def _is_labels(index: Any) -> bool:
    return isinstance(index, pd.Index) and not isinstance(index, pd.RangeIndex)


def _show(label: Any) -> str:
    if isinstance(label, tuple):
        return f"({', '.join(show_date(part) for part in label)})"
    return show_asset(label) if isinstance(label, str) else show_date(label)
