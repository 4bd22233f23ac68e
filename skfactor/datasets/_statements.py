"""Yearly financial statements that keep the accounting identities (pure NumPy)."""

import numpy as np
from scipy.special import expit

from skfactor._typing import FloatArray

ORIGINAL = (
    "market_cap",
    "volatility",
    "eps",
    "per",
    "roe",
    "current_assets",
    "long_term_debt",
    "current_liabilities",
)

EXTENSION = (
    # The study names these.
    "accounts_payable",
    "cost_of_goods_sold",
    "sales",
    "operating_income",
    "nonoperating_income",
    "net_income",
    "net_cash_flow",
    "income_taxes",
    "interest_and_expense",
    "depreciation_and_amortization",
    "equity_in_net_loss",
    "inventory_decrease",
    "capital_expenditures",
    "short_term_investments_change",
    # The rest of the statements they come from.
    "pbr",
    "total_assets",
    "total_liabilities",
    "total_equity",
    "cash",
    "inventory",
    "receivables",
    "retained_earnings",
    "selling_and_administrative",
    "research_and_development",
)


class _Firms:
    """Draws of what is special about firms: mostly constant through a firm's life."""

    def __init__(self, rng: np.random.Generator, size: FloatArray, n_years: int) -> None:
        self.rng = rng
        self.size = size  # (n_assets, 1)
        self.shape = (len(size), n_years)

    def noise(self, scale: float, passing: float = 0.1) -> FloatArray:
        """Draw normal noise; a share ``passing`` of its variance is new every year."""
        lasting = self.rng.standard_normal((self.shape[0], 1))
        yearly = self.rng.standard_normal(self.shape)
        return scale * (np.sqrt(1 - passing) * lasting + np.sqrt(passing) * yearly)

    def shock(self, scale: float) -> FloatArray:
        """Draw the surprises of a year; they hit small firms harder."""
        return scale * np.exp(-0.25 * self.size) * self.rng.standard_t(8, size=self.shape)

    def reporting(self, share: float) -> FloatArray:
        """Draw 1 for firms that report an item, else 0; small firms more often do not."""
        odds = expit(np.log(share / (1 - share)) + 1.5 * self.size)
        return (self.rng.random((self.shape[0], 1)) < odds).astype(float)


def _shares(*logits: FloatArray) -> list[FloatArray]:
    """Split a total into positive parts (softmax)."""
    parts = np.exp(np.stack(np.broadcast_arrays(*logits)))
    return list(parts / parts.sum(axis=0))


def simulate_statements(
    rng: np.random.Generator,
    positions: FloatArray,
    prices: FloatArray,
    volatility: FloatArray,
) -> dict[str, FloatArray]:
    """Draw the statements of ``n_years`` fiscal years.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    positions : ndarray of shape (n_assets, 5)
        Size, value, liquidity, leverage and efficiency, standardised.
    prices : ndarray of shape (n_assets, n_years + 1)
        Prices at the ends of the years; the first column is the year before the first, which
        items that are changes need.
    volatility : ndarray of shape (n_assets, n_years)
        Annualised volatilities of the years.

    Returns
    -------
    dict of str to ndarray of shape (n_assets, n_years)
        The columns of ``ORIGINAL`` and ``EXTENSION``; money in millions of dollars, EPS in
        dollars.
    """
    firms = _Firms(rng, positions[:, :1], prices.shape[1])
    size, value, liquidity, leverage, efficiency = positions.T[:, :, None]

    # Market values move with prices and book values follow most of the way, so that a firm's
    # place among the others stays near what its positions say.
    growth = 0.75 * np.log(prices / prices[:, :1])
    total_assets = np.exp(np.log(20000.0) + 2.3 * size + growth + firms.noise(0.10))
    total_liabilities = total_assets * expit(0.1 + 0.9 * leverage + firms.noise(0.12))
    total_equity = total_assets - total_liabilities
    pbr_0 = np.exp(0.7 - 0.6 * value + 0.12 * rng.standard_normal(size.shape))
    market_cap = pbr_0 * total_equity[:, :1] * prices / prices[:, :1]

    current, long_term, _ = _shares(
        0.1 - 0.5 * liquidity + firms.noise(0.12),
        0.0 + 0.8 * leverage + firms.noise(0.12),
        -0.6 + firms.noise(0.2),
    )
    current_liabilities = current * total_liabilities
    long_term_debt = long_term * total_liabilities * firms.reporting(0.98)
    payables = current_liabilities * expit(-0.5 - 0.5 * liquidity + firms.noise(0.15))

    current_assets = total_assets * expit(-0.4 + 0.75 * liquidity + firms.noise(0.15))
    cash, investments, receivables, inventory, _ = (
        part * current_assets
        for part in _shares(
            0.2 + 0.3 * liquidity + firms.noise(0.25, passing=0.6),
            -1.0 + firms.noise(0.3, passing=0.6),
            0.2 + firms.noise(0.25),
            -0.1 - 0.2 * efficiency + firms.noise(0.25, passing=0.6),
            -1.0 + firms.noise(0.3),
        )
    )
    investments = investments * firms.reporting(0.7)
    inventory = inventory * firms.reporting(0.95)

    sales = total_assets * np.exp(-0.3 + 0.25 * liquidity + 0.1 * efficiency + firms.noise(0.18))
    planned = sales * expit(-0.4 + 0.7 * efficiency + firms.noise(0.12))
    overhead, research, depreciation, _ = (
        part * planned
        for part in _shares(
            0.3 + firms.noise(0.15),
            -1.2 + firms.noise(0.3),
            -0.7 + firms.noise(0.15),
            0.15 + 0.2 * efficiency + firms.noise(0.15),
        )
    )
    research = research * firms.reporting(0.8)
    # Bad years come as a surprise in costs: this is where losses come from.
    cost_of_goods_sold = np.maximum(sales - planned * (1 + firms.shock(0.10)), 0.02 * sales)
    operating_income = sales - cost_of_goods_sold - overhead - research - depreciation
    nonoperating_income = planned * firms.shock(0.03)
    interest = 0.035 * (long_term_debt + 0.3 * current_liabilities) * np.exp(firms.noise(0.15))
    equity_in_net_loss = planned * firms.shock(0.015) * firms.reporting(0.4)
    before_tax = operating_income + nonoperating_income - interest
    income_taxes = np.where(before_tax > 0, 0.24, 0.10) * before_tax
    net_income = before_tax - income_taxes - equity_in_net_loss
    shares = market_cap[:, :1] / prices[:, :1]

    columns = {
        "market_cap": market_cap,
        "eps": net_income / shares,
        "per": np.where(net_income > 0, market_cap / net_income, np.nan),
        "roe": net_income / total_equity,
        "current_assets": current_assets,
        "long_term_debt": long_term_debt,
        "current_liabilities": current_liabilities,
        "accounts_payable": payables,
        "cost_of_goods_sold": cost_of_goods_sold,
        "sales": sales,
        "operating_income": operating_income,
        "nonoperating_income": nonoperating_income,
        "net_income": net_income,
        "income_taxes": income_taxes,
        "interest_and_expense": interest,
        "depreciation_and_amortization": depreciation,
        "equity_in_net_loss": equity_in_net_loss,
        "capital_expenditures": depreciation * np.exp(0.1 + firms.noise(0.2)),
        "pbr": market_cap / total_equity,
        "total_assets": total_assets,
        "total_liabilities": total_liabilities,
        "total_equity": total_equity,
        "cash": cash,
        "inventory": inventory,
        "receivables": receivables,
        "retained_earnings": total_equity * (0.55 + firms.noise(0.18)),
        "selling_and_administrative": overhead,
        "research_and_development": research,
    }
    columns = {name: array[:, 1:] for name, array in columns.items()}
    columns["volatility"] = volatility
    columns["net_cash_flow"] = np.diff(cash, axis=1)
    columns["inventory_decrease"] = -np.diff(inventory, axis=1)
    columns["short_term_investments_change"] = np.diff(investments, axis=1)
    return columns
