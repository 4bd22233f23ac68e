"""Fama-MacBeth, the bootstrap of alphas and portfolio sorts against what others offer.

One thread, alternating rounds, CPU time. linearmodels gets a frame with its own index, tidyfinance
a polars frame, each what it asks for, made beforehand; both sides' results are compared. No
other package has the bootstrap: its time stands beside that of a loop that resamples rows and
refits every draw with skfactor's own regression, on some draws, scaled.

tidyfinance is optional. It asks for many packages that a sort does not use::

    pip install --no-deps tidyfinance formulaic curl-cffi sqlalchemy python-dotenv \
        psycopg2-binary interface-meta wrapt cffi narwhals

Run ``python benchmarks/bench_inference.py --rounds 5``.
"""

import argparse
import datetime
import json
import tracemalloc
import warnings
from pathlib import Path

from _timing import alternate, median_ratios, one_thread

one_thread()

import numpy as np
import pandas as pd

from skfactor.inference import alpha_bootstrap
from skfactor.linear_model import FamaFrenchRegressor, FamaMacBeth
from skfactor.portfolios import PortfolioSort


def race(ours, theirs, rounds, scale=1.0):
    latest = {}
    seconds = alternate(
        {
            "skfactor": lambda: latest.update(ours=ours()),
            "peer": lambda: latest.update(theirs=theirs()),
        },
        rounds,
    )
    return latest, {
        "seconds": float(np.median(seconds["skfactor"])),
        "peer": float(np.median(seconds["peer"])) * scale,
        "ratio": median_ratios(seconds, "skfactor")["peer"] * scale,
    }


def fama_macbeth(rounds, n_assets=2000, n_dates=240, n_features=5):
    from linearmodels.panel import FamaMacBeth as Peer

    rng = np.random.default_rng(0)
    dates = pd.date_range("2000-01-31", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product([dates, range(n_assets)], names=["date", "asset"])
    X = pd.DataFrame(rng.normal(size=(len(index), n_features)), index).add_prefix("x")
    y = pd.Series(0.01 * X.sum(axis=1) + 0.1 * rng.standard_t(5, len(index)), index)
    by_asset = X.swaplevel().sort_index().assign(const=1.0)
    target = y.swaplevel().sort_index()
    latest, row = race(
        lambda: FamaMacBeth(maxlags=6).fit(X, y),
        lambda: Peer(target, by_asset).fit(cov_type="kernel", bandwidth=6),
        rounds,
    )
    mine, peer = latest["ours"].summary(), latest["theirs"]
    order = [*X.columns, "const"]
    difference = max(
        np.abs(
            mine["coef"].loc[[*X.columns, "intercept"]].to_numpy() / peer.params[order] - 1
        ).max(),
        np.abs(
            mine["std_error"].loc[[*X.columns, "intercept"]].to_numpy() / peer.std_errors[order] - 1
        ).max(),
    )
    return {"task": "FamaMacBeth, 2000 x 240 x 5, linearmodels", **row, "difference": difference}


def sort_2x3(rounds, n_assets=1000, n_dates=360):
    import polars as pl
    import tidyfinance as tf

    rng = np.random.default_rng(0)
    shape = (n_dates, n_assets)
    months = [datetime.date(1990 + i // 12, i % 12 + 1, 1) for i in range(n_dates)]
    index = pd.MultiIndex.from_product([pd.DatetimeIndex(months), range(n_assets)])
    listed = np.tile(rng.random(n_assets) < 0.4, n_dates)
    X = pd.DataFrame(
        {
            "size": rng.lognormal(size=shape).ravel(),
            "bm": rng.normal(size=shape).ravel(),
            "cap": rng.lognormal(size=shape).ravel(),
            "nyse": listed,
        },
        index.set_names(["date", "asset"]),
    )
    y = pd.Series(0.1 * rng.standard_normal(len(X)), X.index)
    table = pl.DataFrame(
        {
            "permno": np.tile(np.arange(n_assets), n_dates),
            "date": np.repeat(np.array(months, dtype="datetime64[D]"), n_assets),
            "ret_excess": y.to_numpy(),
            "size": X["size"].to_numpy(),
            "bm": X["bm"].to_numpy(),
            "mktcap_lag": X["cap"].to_numpy(),
            "exchange": np.where(listed, "NYSE", "NASDAQ"),
        }
    )
    recipe = PortfolioSort(["size", "bm"], [2, (0.3, 0.7)], breakpoints="nyse", weights="cap")
    options = {
        "breakpoint_options_main": tf.breakpoint_options(
            percentiles=[0.3, 0.7], breakpoints_exchanges="NYSE"
        ),
        "breakpoint_options_secondary": tf.breakpoint_options(
            percentiles=[0.5], breakpoints_exchanges="NYSE"
        ),
    }
    latest, row = race(
        lambda: recipe.sort(X, y),
        lambda: tf.compute_portfolio_returns(
            table, ["bm", "size"], "bivariate-independent", quiet=True, **options
        ),
        rounds,
    )
    theirs = latest["theirs"].sort(["date", "portfolio"])["ret_excess_vw"].to_numpy().reshape(-1, 3)
    hml = latest["ours"].spreads["bm"].to_numpy()
    difference = np.abs(theirs[:, 2] - theirs[:, 0] - hml).max()
    return {"task": "2x3 sort, 1000 x 360, tidyfinance", **row, "difference": float(difference)}


def bootstrap(rounds, n_resamples=10_000, n_assets=5000, n_dates=360, n_factors=5, few=20):
    rng = np.random.default_rng(0)
    factors = 0.005 + 0.04 * rng.normal(size=(n_dates, n_factors))
    returns = factors @ rng.normal(0.5, 0.5, (n_factors, n_assets))
    returns += 0.08 * rng.standard_t(5, returns.shape)
    rows = []
    for name, values in (
        ("complete", returns),
        ("40 % missing", np.where(rng.random(returns.shape) < 0.4, np.nan, returns)),
    ):
        model = FamaFrenchRegressor().fit(factors, values)
        free = values - model.intercept_
        samples = rng.integers(0, n_dates, (few, n_dates))

        def refit(free=free, samples=samples):
            for dates in samples:
                t = FamaFrenchRegressor().fit(factors[dates], free[dates]).tvalues_[:, 0]
                np.nanpercentile(t, [5, 50, 95])

        _, row = race(
            lambda model=model: alpha_bootstrap(model, n_resamples=n_resamples, random_state=0),
            refit,
            rounds,
            n_resamples / few,
        )
        tracemalloc.start()
        alpha_bootstrap(model, n_resamples=320, random_state=0)
        peak = tracemalloc.get_traced_memory()[1] / values.nbytes
        tracemalloc.stop()
        size = f"{n_assets} x {n_dates} x {n_factors}"
        task = f"bootstrap of alphas, {n_resamples} draws, {size}, {name}"
        rows.append({"task": task, **row, "memory": peak})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")

    rows = [fama_macbeth(args.rounds)]
    try:
        rows.append(sort_2x3(args.rounds))
    except ImportError as error:
        print(f"No sort against tidyfinance: {error}")
    rows += bootstrap(min(args.rounds, 3), args.draws)
    print(f"{'task':70}{'seconds':>9}{'peer':>9}{'ratio':>8}{'difference':>12}{'memory':>8}")
    for row in rows:
        print(
            f"{row['task']:70}{row['seconds']:9.4f}{row['peer']:9.3f}{row['ratio']:8.1f}"
            f"{row.get('difference', np.nan):12.1e}{row.get('memory', np.nan):8.2f}"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
