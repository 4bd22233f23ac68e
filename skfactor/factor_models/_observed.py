"""Factor returns that are given, on the dates of a panel."""

from typing import Any

import numpy as np

from skfactor._typing import FloatArray
from skfactor.panel._calendar import align_to_dates
from skfactor.panel._panel import Panel


def observed_factors(
    factors: Any, panel: Panel, name: str = "factors"
) -> tuple[FloatArray, list[str]]:
    """Return pre-specified factor returns on the dates of a panel, and their names.

    They are aligned with all dates of a panel at once: whether a month says which date is meant
    depends on the others.

    Parameters
    ----------
    factors : pandas or polars frame, or None
        Factor returns with dates; None for none.
    panel : Panel
        The panel.
    name : str, default="factors"
        What errors call the frame.

    Returns
    -------
    values : ndarray of shape (n_dates, n_observed)
        Factor returns.
    names : list of str
        The names of the columns.

    Raises
    ------
    ValueError
        For rows without dates, and for dates that the frame does not cover.
    """
    if factors is None:
        return np.empty((panel.n_dates, 0)), []
    if panel.dates is None:
        raise ValueError(
            f"`{name}` must meet rows with dates; got rows without. Give X or y a (date, asset) "
            "index, or pass `dates=`."
        )
    dates = panel.root.dates
    assert dates is not None

    def aligned() -> tuple[Any, FloatArray, list[str]]:
        return factors, *align_to_dates(factors, dates, f"`{name}`")

    _, values, names = panel.root.once((name, id(factors)), aligned)
    return values[panel.places], list(names)
