"""Words for clusters, from where their medians stand in the full distribution."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skfactor._typing import FloatArray
from skfactor.cluster._labels import NOISE

Phrases = Mapping[str, tuple[str, ...]]

LEVELS = ("very low", "low", "mid", "high", "very high")
CUTS = (0.1, 0.4, 0.6, 0.9)
"""Positions in the full distribution at which one level gives way to the next."""

PHRASES: dict[str, tuple[str, ...]] = {
    "market_cap": ("very small-cap", "small-cap", "mid-cap", "large-cap", "very large-cap"),
    "eps": ("low EPS", "high EPS"),
    "per": ("low PER", "high PER"),
    "pbr": ("low PBR", "high PBR"),
    "roe": ("low ROE", "high ROE"),
    "volatility": ("low volatility", "high volatility"),
    "current_assets": ("low current assets", "high current assets"),
    "accounts_payable": ("low payables", "high payables"),
    "long_term_debt": ("low leverage", "high leverage"),
    "leverage": ("low leverage", "high leverage"),
    "liquidity": ("low liquidity", "high liquidity"),
    "current_liabilities": ("low current liabilities", "high current liabilities"),
    "cost_of_goods_sold": ("low cost of goods", "high cost of goods"),
    "operating_income": ("low operating income", "high operating income"),
    "nonoperating_income": ("low non-operating income", "high non-operating income"),
    "net_cash_flow": ("low cash flow", "high cash flow"),
    "net_income": ("low earnings", "high earnings"),
    "sales": ("low sales", "high sales"),
    "income_taxes": ("low taxes", "high taxes"),
    "interest_and_expense": ("low interest expense", "high interest expense"),
    "depreciation_and_amortization": ("low depreciation", "high depreciation"),
    "equity_in_net_loss": ("low equity-method income", "high equity-method income"),
    "inventory_decrease": ("low inventory release", "high inventory release"),
    "capital_expenditures": ("low capex", "high capex"),
    "short_term_investments_change": ("low short-term investing", "high short-term investing"),
}
"""Built-in phrases for the usual fundamentals and price features, from low to high."""
for _horizon in ("daily", "weekly", "monthly", "three_month", "six_month"):
    PHRASES[f"{_horizon}_mean"] = ("low returns", "high returns")
    PHRASES[f"{_horizon}_std"] = ("low volatility", "high volatility")


def plain_name(feature: object) -> str:
    """Reduce a column's name to lower-case words joined by underscores, without a log prefix."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(feature))
    words = re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_")
    return re.sub(r"^(log|ln|log1p)_", "", words)


def readable(feature: object) -> str:
    """Return a column's name as a person would write it."""
    return str(feature).replace("_", " ").strip() or str(feature)


def check_phrases(phrases: Phrases | None) -> dict[str, tuple[str, ...]]:
    """Add the user's phrases to the built-in ones."""
    out = dict(PHRASES)
    words: Any
    for feature, words in (phrases or {}).items():
        if isinstance(words, str) or len(words) not in (2, 3, 5):
            raise ValueError(
                "`phrases` must give each feature 2 phrases (low, high), 3 (low, mid, high) or 5 "
                f"(very low, low, mid, high, very high); got {words!r} for {feature!r}."
            )
        out[plain_name(feature)] = tuple(words)
    return out


def level_of(position: float) -> int:
    """Return the level, from 0 (very low) to 4 (very high), of a position in [0, 1]."""
    if np.isnan(position):
        return 2
    return int(np.searchsorted(CUTS, position, side="right"))


def phrase(feature: object, level: int, phrases: Phrases) -> str | None:
    """Return the words for a feature at a level, or None where the middle has no word."""
    words = phrases.get(plain_name(feature))
    if words is None:
        return None if level == 2 else f"{LEVELS[level]} {readable(feature)}"
    if len(words) == 5:
        return words[level]
    if level == 2:
        return words[1] if len(words) == 3 else None
    said = words[0] if level < 2 else words[-1]
    return f"very {said}" if level in (0, 4) else said


def telling_features(positions: pd.DataFrame, effects: pd.Series, min_effect: float) -> list[str]:
    """Order features by how well they separate clusters and how little they repeat one another.

    Each next feature has the largest product of its effect size and ``1 - r**2``, with ``r``
    its strongest correlation, across clusters, with a feature that was taken before.
    """
    usable = effects.index[(effects >= min_effect) & positions.notna().all(axis=0)[effects.index]]
    left = list(usable)
    if not left:
        return []
    table = positions[left].to_numpy()
    deviation = table - table.mean(axis=0)
    norm = np.sqrt((deviation**2).sum(axis=0))
    unit = np.divide(deviation, norm, out=np.zeros_like(deviation), where=norm > 0)
    repeated = (unit.T @ unit) ** 2
    strength = effects[left].to_numpy()
    order = [int(np.argmax(strength))]
    while len(order) < len(left):
        gain = strength * (1.0 - repeated[:, order].max(axis=1))
        # Two clusters make every pair of features perfectly correlated: then size decides.
        gain = gain + 1e-9 * strength
        gain[order] = -np.inf
        order.append(int(np.argmax(gain)))
    return [left[j] for j in order]


def words_for_clusters(
    positions: pd.DataFrame,
    features: Sequence[str],
    phrases: Phrases,
    max_terms: int,
    extremes: bool = False,
) -> pd.Series:
    """Name every cluster by its levels on `features`, each name unlike the others.

    The first `max_terms` features name all clusters. With `extremes`, a cluster that is extreme
    on none of them is also named by the feature on which it is, if there is one.
    """
    clusters = [label for label in positions.index if not _is_noise(label)]
    table = positions.loc[clusters, list(features)].to_numpy()
    terms = {
        label: [phrase(f, level_of(p), phrases) for f, p in zip(features, row, strict=True)]
        for label, row in zip(clusters, table, strict=True)
    }
    used = {label: list(range(min(max_terms, len(features)))) for label in clusters}
    if extremes:
        for label, row in zip(clusters, table, strict=True):
            used[label] = _with_extreme(used[label], terms[label], row)
    names = _spell(terms, used) if features else {label: f"cluster {label}" for label in clusters}
    # Names that coincide are told apart by the first further feature on which they differ.
    for j in range(max_terms, len(features)):
        for group in _coinciding(names):
            if len({terms[label][j] for label in group}) > 1:
                for label in group:
                    used[label].append(j)
        names = _spell(terms, used)
    for group in _coinciding(names):
        names.update(_rank_names(names, group, positions, features))
    if any(_is_noise(label) for label in positions.index):
        names[NOISE] = "noise"
    return pd.Series(
        [names[label] for label in positions.index],
        index=positions.index,
        name="name",
        dtype=object,
    )


def _with_extreme(used: list[int], terms: Sequence[str | None], positions: FloatArray) -> list[int]:
    """Let the feature on which a cluster is most extreme replace the last that names it."""
    extreme = np.flatnonzero((positions < CUTS[0]) | (positions >= CUTS[-1]))
    if not len(extreme) or np.isin(used, extreme).any():
        return used
    own = int(extreme[np.argmax(np.abs(positions[extreme] - 0.5))])
    said = [j for j in used if terms[j] is not None]
    return [own, *said[: len(used) - 1]]


def _is_noise(label: object) -> bool:
    return not isinstance(label, str) and label == NOISE


def _spell(
    terms: Mapping[object, list[str | None]], used: Mapping[object, list[int]]
) -> dict[object, str]:
    out = {}
    for label, words in terms.items():
        said = [words[j] for j in used[label]]
        out[label] = ", ".join(dict.fromkeys(w for w in said if w)) or "average"
    return out


def _coinciding(names: Mapping[object, str]) -> list[list[object]]:
    groups: dict[str, list[object]] = {}
    for label, name in names.items():
        groups.setdefault(name, []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def _rank_names(
    names: Mapping[object, str],
    group: list[object],
    positions: pd.DataFrame,
    features: Sequence[str],
) -> dict[object, str]:
    """Tell clusters of one name apart by their order on the most telling feature."""
    feature = features[0]
    standing = positions[feature]
    ordered = list(standing[standing.index.isin(group)].sort_values(kind="stable").index)
    if len(ordered) == 2:
        words = [f"lower {readable(feature)}", f"higher {readable(feature)}"]
    else:
        words = [
            f"{i} of {len(ordered)} by {readable(feature)}" for i in range(1, len(ordered) + 1)
        ]
    return {label: f"{names[label]} ({w})" for label, w in zip(ordered, words, strict=True)}
