"""Factor models by name, and columns by the names that factors usually have."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skfactor._typing import IntArray

MODELS = {
    "capm": ("Mkt-RF",),
    "ff3": ("Mkt-RF", "SMB", "HML"),
    "carhart": ("Mkt-RF", "SMB", "HML", "MOM"),
    "ff5": ("Mkt-RF", "SMB", "HML", "RMW", "CMA"),
    "ff6": ("Mkt-RF", "SMB", "HML", "RMW", "CMA", "MOM"),
}
"""The factors of each named model."""

ALIASES = {
    "Mkt-RF": ("mktrf", "rmrf", "mktminusrf", "marketrf", "mktexcess", "exmkt", "mkt", "market"),
    "SMB": ("smb",),
    "HML": ("hml",),
    "RMW": ("rmw",),
    "CMA": ("cma",),
    "MOM": ("mom", "umd", "wml", "momentum"),
    "RF": ("rf", "riskfree", "rfree", "riskfreerate"),
}
"""Spellings of each name, without case and punctuation."""

_SHOWN = 12


def plain(name: Any) -> str:
    """Return a name without case, spaces and punctuation."""
    return "".join(letter for letter in str(name).lower() if letter.isalnum())


def is_factor_return(name: Any) -> bool:
    """Return whether a column is called as the factors of a named model are."""
    spelled = plain(name)
    return any(spelled in spellings for key, spellings in ALIASES.items() if key != "RF")


def is_risk_free(name: Any) -> bool:
    """Return whether a column is called as the risk-free return usually is."""
    return plain(name) in ALIASES["RF"]


def select_factors(factors: Any, names: Sequence[str] | None, n_columns: int) -> IntArray | None:
    """Return the positions of the columns that ``factors`` asks for.

    Parameters
    ----------
    factors : str, int, sequence of these, or None
        Names of models, names of columns, positions.
    names : sequence of str or None
        The names of the columns, None if they have none.
    n_columns : int
        The number of columns.

    Returns
    -------
    ndarray of int or None
        Positions in the order asked for, without repetition; None for "all".

    Raises
    ------
    ValueError
        For names that are missing or ambiguous, all at once.
    """
    if factors is None:
        return None
    wanted = [factors] if isinstance(factors, (str, int, np.integer)) else list(factors)
    if not wanted:
        raise ValueError("`factors` must name at least one factor; got none.")
    if names is None and any(isinstance(item, str) for item in wanted):
        raise ValueError(
            f"`factors` can name columns only where X has names; got factors={factors!r} and an "
            "array. Pass a DataFrame, or give positions such as factors=[0, 1, 2]."
        )
    positions: list[int] = []
    missing: list[str] = []
    for item in wanted:
        if isinstance(item, str) and item.lower() in MODELS and item not in (names or ()):
            model = item.lower()
            found = {name: find_column(name, names or ()) for name in MODELS[model]}
            missing += [f"{name} ({item})" for name, place in found.items() if place is None]
            positions += [place for place in found.values() if place is not None]
        elif isinstance(item, str):
            place = find_column(item, names or ())
            if place is None:
                missing.append(item)
            else:
                positions.append(place)
        else:
            position = int(item)
            if not -n_columns <= position < n_columns:
                raise ValueError(
                    f"`factors` must hold positions below {n_columns}, the number of columns of "
                    f"X; got {position}."
                )
            positions.append(position % n_columns)
    if missing:
        shown = ", ".join(map(str, (names or ())[:_SHOWN]))
        more = ", ..." if len(names or ()) > _SHOWN else ""
        raise ValueError(
            f"X must have a column for each factor of factors={factors!r}; missing: "
            f"{', '.join(missing)}. X has: {shown}{more}."
        )
    return np.array(list(dict.fromkeys(positions)), dtype=np.intp)


def find_column(name: str, names: Sequence[str]) -> int | None:
    """Return the position of the column that is meant by ``name``, None if there is none.

    The exact name counts first, then the same letters, then the usual synonyms.

    Raises
    ------
    ValueError
        If several columns could be meant.
    """
    exact = [i for i, column in enumerate(names) if column == name]
    if len(exact) == 1:
        return exact[0]
    spelled = [plain(column) for column in names]
    letters = plain(name)
    synonyms = next((known for known in ALIASES.values() if letters in known), (letters,))
    for accepted in ((letters,), synonyms):
        matches = [i for i, column in enumerate(spelled) if column in accepted]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise ValueError(
                f"One column of X must be meant by {name!r}; got "
                f"{', '.join(repr(names[i]) for i in matches)}. Give the exact names in a list."
            )
    return None
