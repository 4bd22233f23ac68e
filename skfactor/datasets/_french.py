"""Kenneth French's files as they come from his site."""

import io
import re
import zipfile
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import pandas as pd

from skfactor._validation import validate_params

MISSING = (-99.99, -999.0)

_ROW = re.compile(r"\s*(\d{4}|\d{6}|\d{8})\s*,")
_FREQUENCIES = {4: "annual", 6: "monthly", 8: "daily"}
_NO_RETURNS = re.compile(
    r"number of firms|firm size|market cap|be\s*/\s*me|average of|sum of", re.IGNORECASE
)


@dataclass(frozen=True)
class _Block:
    """One table of a file: what stands above it, its header, and its rows."""

    title: str
    header: str
    rows: tuple[str, ...]

    @property
    def frequency(self) -> str:
        return _FREQUENCIES[len(self.rows[0].split(",")[0].strip())]

    def __str__(self) -> str:
        return f"{self.title or 'no title'} ({self.frequency}, {len(self.rows)} rows)"


@validate_params(
    {"path": [str, PathLike], "table": [int, str], "percent": [None, "boolean"]},
    prefer_skip_nested_validation=True,
)
def read_french(
    path: str | PathLike[str], table: int | str = 0, *, percent: bool | None = None
) -> pd.DataFrame:
    """Read a table from one of Kenneth French's files.

    Parameters
    ----------
    path : str or path-like
        A zip file as it is downloaded, or the CSV file inside it.
    table : int or str, default=0
        Which of the file's tables: a number in their order, part of the title above one, or
        ``"daily"``, ``"monthly"`` or ``"annual"`` for the first of that frequency. The first
        table of a file holds factors, or value-weighted returns.
    percent : bool, default=None
        Whether to divide by 100. ``None`` does so unless the title speaks of numbers of firms,
        market capitalisations or averages of a characteristic.

    Returns
    -------
    DataFrame of shape (n_dates, n_columns)
        Returns a period in decimals, dates ascending in the index ``date``: the last day of
        the month or of the year, or the day. The codes for a missing value, -99.99 and -999,
        become ``NaN``.

    Raises
    ------
    FileNotFoundError
        If there is no file at ``path``.
    ValueError
        If the file holds no such table, and for an archive of several files.

    See Also
    --------
    read_factors : Factors from a parquet or a plain CSV file.

    Examples
    --------
    >>> from skfactor.datasets import read_french
    >>> read_french("F-F_Research_Data_Factors_CSV.zip").columns.to_list()  # doctest: +SKIP
    ['Mkt-RF', 'SMB', 'HML', 'RF']
    >>> read_french("25_Portfolios_5x5_CSV.zip", "Number of Firms")  # doctest: +SKIP
    """
    blocks = _blocks(_text(path))
    if not blocks:
        raise ValueError(
            f"{fspath(path)!r} must hold tables whose rows begin with a date such as 192607; it "
            "has none. For a CSV file with a header of its own use read_factors."
        )
    block = _choose(blocks, table, path)
    values = pd.read_csv(
        io.StringIO("\n".join([block.header, *block.rows])), index_col=0, skipinitialspace=True
    )
    try:
        frame = values.astype(np.float64)
    except ValueError as error:
        raise ValueError(f"The table {block} of {fspath(path)!r} must hold numbers.") from error
    frame = frame.mask(np.logical_or.reduce([np.isclose(frame, code) for code in MISSING]))
    if (_NO_RETURNS.search(block.title) is None) if percent is None else percent:
        frame = frame / 100
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    frame.index = as_days(pd.Index(values.index)).rename("date")
    twice = frame.index[frame.index.duplicated()]
    if len(twice):
        raise ValueError(
            f"{fspath(path)!r} must hold every date once; {twice[0]:%Y-%m-%d} comes twice."
        )
    return frame.sort_index()


def as_days(numbers: pd.Index) -> pd.DatetimeIndex:
    """Return yyyy, yyyymm or yyyymmdd as days, the last of a year or month."""
    text = numbers.astype(str).str.strip()
    size = len(text[0])
    days = pd.to_datetime(text, format={4: "%Y", 6: "%Y%m", 8: "%Y%m%d"}[size])
    if size < 8:
        days = days + (pd.offsets.YearEnd(0) if size == 4 else pd.offsets.MonthEnd(0))
    return pd.DatetimeIndex(days).as_unit("us")


def _text(path: str | PathLike[str]) -> str:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"`path` must name one of Kenneth French's files; there is none at {fspath(path)!r}."
        )
    if not zipfile.is_zipfile(file):
        return file.read_text(encoding="latin-1")
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise ValueError(
                f"{fspath(path)!r} must be an archive of one file; it holds {len(names)}. Unpack "
                "it, and name the file."
            )
        return archive.read(names[0]).decode("latin-1")


def _blocks(text: str) -> list[_Block]:
    """Cut a file into its tables; the title is the text right above a header."""
    found: list[_Block] = []
    above: list[str] = []
    rows: list[str] = []
    header = ""
    for line in [*text.splitlines(), ""]:
        if _ROW.match(line):
            if not rows and above:
                header = above.pop() if "," in above[-1] else ""
            rows.append(line.strip())
            continue
        if rows:
            if header:
                found.append(_Block(" ".join(above), header, tuple(rows)))
            rows, above, header = [], [], ""
        if line.strip():
            above.append(line.strip())
        else:
            above = []
    return found


def _choose(blocks: list[_Block], table: int | str, path: str | PathLike[str]) -> _Block:
    if isinstance(table, str):
        wanted = table.lower()
        if wanted in _FREQUENCIES.values():
            places = [i for i, block in enumerate(blocks) if block.frequency == wanted][:1]
        else:
            places = [i for i, block in enumerate(blocks) if wanted in block.title.lower()]
            exact = [i for i in places if blocks[i].title.lower() == wanted]
            places = exact or places
    else:
        places = [table] if -len(blocks) <= table < len(blocks) else []
    if len(places) != 1:
        listed = "; ".join(f"{i}: {block}" for i, block in enumerate(blocks))
        raise ValueError(
            f"`table` must choose one table of {fspath(path)!r}; got {table!r}, which "
            f"{'chooses none' if not places else f'fits {len(places)}'}. They are {listed}."
        )
    return blocks[places[0]]
