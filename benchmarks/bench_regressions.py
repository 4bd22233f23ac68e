"""Regressions of many assets: skfactor against a loop of statsmodels.

The loop gets NumPy columns, its best case, on some of the assets, and its time is scaled to all
of them: it is linear in their number. One thread, alternating rounds, CPU time. Every competitor
computes coefficients, standard errors, t statistics, p-values and R² (rolling: as the row says).
Beside the ratios stand the largest relative difference from statsmodels and the peak memory of
skfactor above the input and its results, as a share of the returns.

Run ``python benchmarks/bench_regressions.py --assets 5000 --dates 360 --rounds 5``.
"""

import argparse
import json
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

from _timing import alternate, median_ratios, one_thread

one_thread()

import numpy as np
import statsmodels.api as sm
from statsmodels.regression.rolling import RollingOLS

from skfactor.linear_model import (
    FamaFrenchRegressor,
    RollingFamaFrenchRegressor,
)

WINDOW = 60
LAGS = 6


def make_data(n_assets: int, n_dates: int, n_factors: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlated factors, and returns with heavy tails and some autocorrelation."""
    rng = np.random.default_rng(0)
    factors = 0.005 + 0.04 * rng.normal(size=(n_dates, n_factors))
    factors[:, 1:] += 0.3 * factors[:, :1]
    noise = rng.standard_t(5, size=(n_dates, n_assets))
    noise[1:] += 0.1 * noise[:-1]
    betas = rng.normal(0, 0.5, size=(n_factors, n_assets))
    betas[0] += 1
    return factors, factors @ betas + noise * rng.uniform(0.04, 0.15, n_assets)


def punch_holes(returns: np.ndarray, share: float) -> np.ndarray:
    holes = np.random.default_rng(1).random(returns.shape) < share
    return np.where(holes, np.nan, returns)


def fitted(factors: np.ndarray, returns: np.ndarray, **options: object) -> FamaFrenchRegressor:
    model = FamaFrenchRegressor(**options).fit(factors, returns)
    _ = model.pvalues_
    return model


def by_loop(factors: np.ndarray, returns: np.ndarray, **options: object) -> list[np.ndarray]:
    """Fit statsmodels asset by asset, rows with missing returns dropped."""
    X = np.column_stack([np.ones(len(factors)), factors])
    out = []
    for series in returns.T:
        seen = ~np.isnan(series)
        y, Z = (series, X) if seen.all() else (series[seen], X[seen])
        results = sm.OLS(y, Z).fit(**options)
        out.append(
            np.concatenate(
                [
                    results.params,
                    results.bse,
                    results.tvalues,
                    results.pvalues,
                    [results.rsquared],
                ]
            )
        )
    return out


def rolling_loop(factors: np.ndarray, returns: np.ndarray, errors: bool) -> list[np.ndarray]:
    X = np.column_stack([np.ones(len(factors)), factors])
    out = []
    for series in returns.T:
        results = RollingOLS(series, X, window=WINDOW).fit(params_only=not errors)
        figures = [results.params]
        if errors:
            figures += [results.bse, results.rsquared[:, None]]
        out.append(np.hstack(figures))
    return out


def rolled(factors: np.ndarray, returns: np.ndarray, errors: bool) -> RollingFamaFrenchRegressor:
    return RollingFamaFrenchRegressor(window=WINDOW, standard_errors=errors).fit(factors, returns)


def figures_of(model: FamaFrenchRegressor | RollingFamaFrenchRegressor, first: int) -> np.ndarray:
    """Return what the loop returns for the first assets."""
    if isinstance(model, FamaFrenchRegressor):
        parts = [model.intercept_[:, None], model.coef_, model.bse_, model.tvalues_]
        parts += [model.pvalues_, model.rsquared_[:, None]]
        return np.hstack(parts)[:first]
    n_dates, n_assets = model.nobs_.shape
    frames = [model.params_] + ([model.bse_] if hasattr(model, "bse_") else [])
    cubes = [frame.to_numpy().reshape(n_dates, -1, n_assets) for frame in frames]
    if hasattr(model, "rsquared_"):
        cubes.append(model.rsquared_.to_numpy()[:, None])
    return np.concatenate(cubes, axis=1).transpose(2, 0, 1)[:first]


def memory_share(run: Callable[[], object], returns: np.ndarray) -> float:
    """Return the peak above input and results as a share of the returns."""
    run()
    tracemalloc.start()
    model = run()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del model
    return (peak - held) / returns.nbytes


def compare(
    name: str,
    ours: Callable[[], object],
    loop: Callable[[], list[np.ndarray]],
    scale: float,
    returns: np.ndarray,
    rounds: int,
) -> dict[str, float | str]:
    """Race skfactor and the loop, and compare their figures."""
    latest: dict[str, object] = {}

    def keep(key: str, run: Callable[[], object]) -> Callable[[], None]:
        return lambda: latest.update({key: run()})

    seconds = alternate({"skfactor": keep("ours", ours), "loop": keep("loop", loop)}, rounds)
    theirs = np.array(latest["loop"])
    mine = figures_of(latest["ours"], len(theirs))
    # Relative to the size that a figure has over the assets: a beta near zero has no digits.
    size = np.nanmedian(np.abs(theirs), axis=tuple(range(theirs.ndim - 1)))
    difference = np.nanmax(np.abs(mine - theirs) / np.maximum(np.abs(theirs), size))
    latest.clear()
    return {
        "task": name,
        "seconds": float(np.median(seconds["skfactor"])),
        "loop, scaled": float(np.median(seconds["loop"])) * scale,
        "ratio": median_ratios(seconds, "skfactor")["loop"] * scale,
        "difference": float(difference),
        "memory": memory_share(ours, returns),
    }


def absurd_print(factors: np.ndarray, returns: np.ndarray) -> dict[str, float]:
    """Return errors of windows after a return of 1e8 has left, as shares of the largest beta."""
    spoiled = returns[:, :50].copy()
    truth = figures_of(rolled(factors, spoiled, False), 50)
    spoiled[10] = 1e8
    after = slice(10 + WINDOW, None)
    found = {
        "skfactor": figures_of(rolled(factors, spoiled, False), 50),
        "RollingOLS": np.array(rolling_loop(factors, spoiled, False)),
    }
    size = np.abs(truth[:, after]).max()
    return {name: float(np.abs((b - truth)[:, after]).max() / size) for name, b in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=int, default=5000)
    parser.add_argument("--dates", type=int, default=360)
    parser.add_argument("--factors", type=int, default=5)
    parser.add_argument("--looped", type=int, default=250, help="assets in the loop")
    parser.add_argument("--rolled", type=int, default=20, help="assets in the rolling loop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")

    factors, returns = make_data(args.assets, args.dates, args.factors)
    holes = punch_holes(returns, 0.4)
    hac = {"cov_type": "HAC", "cov_kwds": {"maxlags": LAGS}}
    few, fewer = args.looped, args.rolled
    rows = []
    for name, table, ours, theirs in (
        ("nonrobust", returns, {}, {}),
        (f"HAC({LAGS})", returns, {"cov_type": "HAC", "maxlags": LAGS}, hac),
        ("nonrobust, 40 % missing", holes, {}, {}),
        ("HC3, 40 % missing", holes, {"cov_type": "HC3"}, {"cov_type": "HC3"}),
        (
            f"HAC({LAGS}), 40 % missing, closed gaps",
            holes,
            {"cov_type": "HAC", "maxlags": LAGS, "gaps": "closed"},
            hac,
        ),
    ):
        rows.append(
            compare(
                name,
                lambda table=table, ours=ours: fitted(factors, table, **ours),
                lambda table=table, theirs=theirs: by_loop(factors, table[:, :few], **theirs),
                args.assets / few,
                table,
                args.rounds,
            )
        )
    for name, errors in (("rolling betas", False), ("rolling betas, errors, R2", True)):
        rows.append(
            compare(
                f"{name}, {WINDOW} dates",
                lambda errors=errors: rolled(factors, returns, errors),
                lambda errors=errors: rolling_loop(factors, returns[:, :fewer], errors),
                args.assets / fewer,
                returns,
                args.rounds,
            )
        )

    print(f"{args.assets} assets, {args.dates} dates, {args.factors} factors, one thread")
    print(f"{'task':40}{'ms':>9}{'loop ms':>11}{'ratio':>8}{'difference':>12}{'memory':>8}")
    for row in rows:
        print(
            f"{row['task']:40}{1e3 * row['seconds']:9.1f}{1e3 * row['loop, scaled']:11.0f}"
            f"{row['ratio']:8.0f}{row['difference']:12.1e}{row['memory']:8.2f}"
        )
    absurd = absurd_print(factors, returns)
    print("error after a return of 1e8 has left the window:", absurd)
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "absurd": absurd}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
