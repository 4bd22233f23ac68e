"""What a sort gives."""

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from skfactor.portfolios._returns import Holdings
from skfactor.portfolios._text import returns_text


@dataclass(frozen=True, eq=False, repr=False)
class SortedPortfolios:
    """Portfolios by date, made by :meth:`PortfolioSort.sort`.

    Frames are pandas, indexed by the dates of the panel, in the units of the returns handed
    in.

    Parameters
    ----------
    returns : DataFrame of shape (n_dates, n_portfolios)
        Portfolio returns, ``NaN`` where a portfolio is empty or none of its assets has a
        return. Columns are named by variable and level, level 1 the lowest: ``"size1"``,
        ``"size1 value3"``.
    spreads : DataFrame of shape (n_dates, n_variables)
        One long–short return for each sorting variable: its long end minus its short end,
        each an equal-weighted mean over the levels of the other variables. ``NaN`` where one
        of these portfolios has no return.
    counts : DataFrame of shape (n_dates, n_portfolios)
        Number of assets held, with and without a return.
    holdings : Holdings
        The rows behind the portfolios, from which the properties are computed.
    index : MultiIndex
        Date and asset of those rows.

    See Also
    --------
    PortfolioSort : Makes them.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfactor.portfolios import PortfolioSort
    >>> dates = pd.to_datetime(["2024-01-31", "2024-02-29"])
    >>> index = pd.MultiIndex.from_product([dates, list("ABCD")], names=["date", "asset"])
    >>> X = pd.DataFrame({"value": [1.0, 2.0, 3.0, 4.0, 1.0, 3.0, 2.0, 4.0]}, index)
    >>> y = pd.Series([0.0, 0.02, 0.03, 0.05, 0.01, 0.01, 0.02, 0.02], index)
    >>> portfolios = PortfolioSort("value", 2).sort(X, y)
    >>> portfolios
    SortedPortfolios: 2 portfolios and spreads, 2 dates
                    mean      sd     t assets
    value1        0.0125  0.0035  5.00    2.0
    value2        0.0275  0.0177  2.20    2.0
    value spread  0.0150  0.0212  1.00      –
    >>> portfolios.turnover["value2"].round(3).to_list()
    [nan, 0.5]
    """

    returns: pd.DataFrame
    spreads: pd.DataFrame
    counts: pd.DataFrame
    holdings: Holdings = field(repr=False)
    index: pd.MultiIndex = field(repr=False)

    def __repr__(self) -> str:
        n_dates, n_portfolios = self.returns.shape
        head = f"{type(self).__name__}: {n_portfolios} portfolios and spreads, {n_dates} dates"
        spreads = self.spreads.add_suffix(" spread")
        return returns_text(head, pd.concat([self.returns, spreads], axis=1), self.counts)

    @cached_property
    def turnover(self) -> pd.DataFrame:
        """Share of each portfolio traded at the start of a date, one way, 0 to 1.

        Half the sum of absolute differences between the weights and those of the date before
        after its returns; a missing return counts as that of the portfolio. ``NaN`` on the
        first date, for empty portfolios and for those empty before.
        """
        return pd.DataFrame(self.holdings.turnover(), self.returns.index, self.returns.columns)

    @cached_property
    def assignments(self) -> pd.Series:
        """Portfolio of each row, in the order of the rows handed in; missing for none.

        A row without a weight may be assigned, but is not held.
        """
        portfolio = pd.Categorical.from_codes(self.holdings.portfolio, self.returns.columns)
        return pd.Series(portfolio, self.index, name="portfolio")

    @cached_property
    def weights(self) -> pd.Series:
        """Weight of each row in its portfolio at the start of the date, 0 for a row not held.

        An asset whose return is missing has one: who will have a return is not known before.
        """
        return pd.Series(self.holdings.weights(), self.index, name="weight")
