"""A scorecard as text."""

from typing import TYPE_CHECKING

from skfactor.panel._index import show_date

if TYPE_CHECKING:
    from skfactor.inspection._scorecard import Scorecard

_WIDTH = 24
_SHARPE_NAMES = {
    "long_short": "long–short",
    "long_short_net": "long–short, net",
    "tangency": "factor tangency",
}


def scorecard_text(card: "Scorecard") -> str:
    """Return a page that can be read."""
    parts = [_head(card), _r2(card), _information(card), _pricing(card), _sharpe(card)]
    if card.missing:
        parts.append(
            "Not computed\n" + "\n".join(f"  {name}: {why}" for name, why in card.missing.items())
        )
    return "\n\n".join(part for part in parts if part)


def _head(card: "Scorecard") -> str:
    c = card.coverage
    dates = f"{show_date(c['first_date'])} to {show_date(c['last_date'])}"
    lines = [
        f"Scorecard of {card.model}",
        f"{c['n_dates']} dates, {dates}; {c['n_returns']:,} returns in {c['n_rows']:,} rows "
        f"({c['n_returns'] / c['n_rows']:.1%}), {c['min_assets']} to {c['max_assets']} a date "
        f"(median {c['median_assets']:g})",
    ]
    if c["n_fitted_dates"]:
        lines.append(f"IN SAMPLE: the model was fitted on {c['n_fitted_dates']} of these dates.")
    return "\n".join(lines)


def _r2(card: "Scorecard") -> str:
    head = ("total", "left out", "predictive")
    lines = [_row("R² (%)", head)]
    for name, values in card.r2.iterrows():
        cells = ["–" if value != value else f"{100 * value:.2f}" for value in values]
        lines.append(_row(f"  {name}", cells))
    lines.append("  left out: an asset's own return; of portfolios, every second asset")
    return "\n".join(lines)


def _information(card: "Scorecard") -> str:
    ic = card.information_coefficient
    if ic is None:
        return ""
    return "\n".join(
        [
            _row("Rank correlation", ("mean", "t", "mean / sd")),
            _row(
                "  of predictions",
                (f"{ic.mean:.4f}", f"{ic.t_value:.2f}", f"{ic.icir:.3f}"),
            ),
        ]
    )


def _pricing(card: "Scorecard") -> str:
    if not card.pricing:
        return ""
    lines = [_row("Pricing errors", ("RMS (%)", "|t| > 3", "joint p"))]
    for name, errors in card.pricing.items():
        judged = int(errors.table["t_value"].notna().sum())
        cells = (
            f"{100 * errors.root_mean_square:.3f}",
            f"{errors.n_large} of {judged}",
            f"{errors.joint.p_value:.3f}",
        )
        lines.append(_row(f"  {name}", cells))
    return "\n".join(lines)


def _sharpe(card: "Scorecard") -> str:
    if not card.sharpe:
        return ""
    first = next(iter(card.sharpe.values()))
    turnover = {}
    if card.long_short is not None:
        turnover["long_short"] = card.long_short.turnover.mean()
        turnover["long_short_net"] = turnover["long_short"]
    if card.tangency is not None:
        traded = card.tangency.turnover
        turnover["tangency"] = traded.mean() if card.tangency.weights.shape[1] else float("nan")
    head = ("a year", f"{100 * first.confidence:g}% interval", "turnover")
    lines = [_row("Sharpe ratio", head)]
    for name, ratio in card.sharpe.items():
        said = _SHARPE_NAMES[name]
        cells = (
            f"{ratio.value:.2f}",
            f"[{ratio.low:.2f}, {ratio.high:.2f}]",
            "–" if turnover[name] != turnover[name] else f"{turnover[name]:.2f}",
        )
        lines.append(_row(f"  {said}", cells))
    if "long_short_net" in card.sharpe:
        lines.append(f"  net of {1e4 * card.cost:g} basis points for what is bought or sold")
    return "\n".join(lines)


def _row(name: str, cells: "tuple[str, ...] | list[str]") -> str:
    return f"{name:<{_WIDTH}}" + "".join(f"{cell:>16}" for cell in cells)
