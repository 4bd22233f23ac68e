"""Returns of portfolios as a table to read."""

import numpy as np
import pandas as pd

_MAX_ROWS = 30


def returns_text(head: str, returns: pd.DataFrame, counts: pd.DataFrame | None = None) -> str:
    """Return a head and a line for each column of ``returns``: mean, deviation, t, assets."""
    values = returns.to_numpy(dtype=np.float64, na_value=np.nan)
    found = pd.DataFrame(values).agg(["mean", "std", "count"]).T
    table = pd.DataFrame(
        {
            "mean": found["mean"].map("{:.4f}".format),
            "sd": found["std"].map("{:.4f}".format),
            "t": (found["mean"] / found["std"] * np.sqrt(found["count"])).map("{:.2f}".format),
        }
    ).set_axis([str(name) for name in returns.columns])
    if counts is not None:
        assets = counts.mean().map("{:.1f}".format).set_axis(counts.columns.map(str))
        table["assets"] = assets.reindex(table.index).fillna("–")
    return f"{head}\n{table.to_string(max_rows=_MAX_ROWS)}"
