"""What filings say of a firm, filing by filing, from its own history."""

from collections.abc import Callable

import numpy as np

from skfactor._typing import FloatArray, IntArray

# Filings count as consecutive, or as a year apart, within this many days.
_TOLERANCE = 45
_YEAR = 365.25
_APART = 1_000_000
# Changes of earnings that a surprise is measured by: two years of quarters, or five years.
_SURPRISES, _FEWEST = 5, 3


class FirmHistory:
    """Filings sorted by firm and fiscal end, and ways to look back in them.

    Parameters
    ----------
    firm : ndarray of shape (n_filings,)
        Codes of firms, sorted.
    day : ndarray of shape (n_filings,)
        Fiscal ends as days, rising within a firm.
    items : dict of str to ndarray of shape (n_filings,)
        Amounts.
    per_year : int
        Filings a year.
    """

    def __init__(
        self, firm: IntArray, day: IntArray, items: dict[str, FloatArray], per_year: int
    ) -> None:
        self.items, self.per_year = items, per_year
        # Days on one line, with centuries between firms.
        self.key = (day - day.min(initial=0)) + firm.astype(np.int64) * _APART

    def __contains__(self, name: str) -> bool:
        return name in self.items

    def before(self, values: FloatArray, filings: int) -> FloatArray:
        """Return the value of the time of so many filings earlier, missing if there is none."""
        wanted = self.key - round(_YEAR * filings / self.per_year)
        at = np.searchsorted(self.key, wanted - _TOLERANCE)
        # The first within reach, or the next one where that is nearer.
        after = np.minimum(at + 1, len(self.key) - 1)
        at = np.where(np.abs(self.key[after] - wanted) < np.abs(self.key[at] - wanted), after, at)
        fits = np.abs(self.key[at] - wanted) <= _TOLERANCE
        out: FloatArray = np.where(fits, values[at], np.nan)
        return out

    def year_ago(self, values: FloatArray) -> FloatArray:
        """Return the value a year earlier."""
        return self.before(values, self.per_year)

    def year(self, name: str) -> FloatArray:
        """Return the sum of an item over the last year."""
        values = self.items[name]
        return np.sum([values, *(self.before(values, k) for k in range(1, self.per_year))], axis=0)

    def mean(self, name: str) -> FloatArray:
        """Return the mean of an item now and a year ago, or what there is of it."""
        now = self.items[name]
        past = self.year_ago(now)
        out: FloatArray = np.where(np.isnan(past), now, (now + past) / 2)
        return out

    def growth(self, values: FloatArray) -> FloatArray:
        """Return the change over a year as a share of what it was, which must be positive."""
        past = self.year_ago(values)
        return ratio(values - past, past)

    def surprise(self, name: str) -> FloatArray:
        """Return the change over a year, over the standard deviation of such changes."""
        change = self.items[name] - self.year_ago(self.items[name])
        length = max(2 * self.per_year, _SURPRISES)
        stacked = np.stack([change, *(self.before(change, k) for k in range(1, length))])
        seen = ~np.isnan(stacked)
        count = seen.sum(axis=0)
        total = np.where(seen, stacked, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total.sum(axis=0) / count
            squares = np.where(seen, (stacked - mean) ** 2, 0.0).sum(axis=0)
            spread = np.sqrt(squares / (count - 1))
        enough = count >= max(self.per_year, _FEWEST)
        return ratio(change, np.where(enough, spread, np.nan))


def ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Divide, missing where the divisor is not positive."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


Needs = tuple[str, ...]
Formula = Callable[[FirmHistory], FloatArray]


def _flow(name: str, over: str) -> tuple[Needs, Formula]:
    return (name, over), lambda h: ratio(h.year(name), h.mean(over))


def _level(name: str, over: str) -> tuple[Needs, Formula]:
    return (name, over), lambda h: ratio(h.items[name], h.items[over])


def _flows(name: str, over: str) -> tuple[Needs, Formula]:
    return (name, over), lambda h: ratio(h.year(name), h.year(over))


def _growth(name: str) -> tuple[Needs, Formula]:
    return (name,), lambda h: h.growth(h.items[name])


def _yearly_growth(name: str) -> tuple[Needs, Formula]:
    return (name,), lambda h: h.growth(h.year(name))


def _change_over_assets(name: str) -> tuple[Needs, Formula]:
    return (name, "total_assets"), lambda h: ratio(
        h.items[name] - h.year_ago(h.items[name]), h.mean("total_assets")
    )


# Name of the characteristic: the items it needs, and how it comes from a firm's history.
RATIOS: dict[str, tuple[Needs, Formula]] = {
    "earnings_surprise": (("eps",), lambda h: h.surprise("eps")),
    "revenue_surprise": (("sales",), lambda h: h.surprise("sales")),
    "return_on_equity": _flow("net_income", "total_equity"),
    "return_on_assets": _flow("net_income", "total_assets"),
    "operating_profitability": _flow("operating_income", "total_equity"),
    "gross_profitability": (
        ("sales", "cost_of_goods_sold", "total_assets"),
        lambda h: ratio(h.year("sales") - h.year("cost_of_goods_sold"), h.mean("total_assets")),
    ),
    "profit_margin": _flows("net_income", "sales"),
    "operating_margin": _flows("operating_income", "sales"),
    "asset_turnover": _flow("sales", "total_assets"),
    "cash_flow_to_assets": _flow("operating_cash_flow", "total_assets"),
    "accruals": (
        ("net_income", "operating_cash_flow", "total_assets"),
        lambda h: ratio(
            h.year("net_income") - h.year("operating_cash_flow"), h.mean("total_assets")
        ),
    ),
    "leverage": _level("total_liabilities", "total_assets"),
    "debt_to_equity": _level("long_term_debt", "total_equity"),
    "current_ratio": _level("current_assets", "current_liabilities"),
    "quick_ratio": (
        ("current_assets", "inventory", "current_liabilities"),
        lambda h: ratio(
            h.items["current_assets"] - h.items["inventory"], h.items["current_liabilities"]
        ),
    ),
    "cash_to_assets": _level("cash", "total_assets"),
    "tangibility": _level("property_plant_equipment", "total_assets"),
    "book_value_per_share": _level("total_equity", "shares"),
    "asset_growth": _growth("total_assets"),
    "equity_growth": _growth("total_equity"),
    "share_issuance": _growth("shares"),
    "sales_growth": _yearly_growth("sales"),
    "earnings_change": (
        ("net_income", "total_assets"),
        lambda h: ratio(
            h.year("net_income") - h.year_ago(h.year("net_income")), h.mean("total_assets")
        ),
    ),
    "inventory_change": _change_over_assets("inventory"),
    "receivables_change": _change_over_assets("receivables"),
    "investment": _flow("capital_expenditures", "total_assets"),
    "research_to_sales": _flows("research_and_development", "sales"),
    "research_to_assets": _flow("research_and_development", "total_assets"),
    "payout": (
        ("dividends", "net_income"),
        lambda h: ratio(h.year("dividends"), h.year("net_income")),
    ),
}

# Name of the characteristic: the item over market value, and whether it is that of a year.
VALUATIONS: dict[str, tuple[str, bool]] = {
    "book_to_market": ("total_equity", False),
    "earnings_to_price": ("net_income", True),
    "sales_to_price": ("sales", True),
    "cash_flow_to_price": ("operating_cash_flow", True),
    "dividend_yield": ("dividends", True),
    "debt_to_market": ("long_term_debt", False),
}
ITEMS = sorted(
    {item for needs, _ in RATIOS.values() for item in needs}
    | {item for item, _ in VALUATIONS.values()}
)
