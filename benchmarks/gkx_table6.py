"""The simulation study of Gu, Kelly and Xiu (2021, Table 6), beside the published scores.

Each draw is a panel of :func:`skfactor.datasets.make_gkx_panel`: 60 dates to train on, 60 to
validate on, 60 to test on. Every method and every oracle sees the same draws, so differences
between them are paired. All scores are out of sample, on the last 60 dates:

- ``total``: total R² of betas times factor returns. Where factor returns are estimated from the
  returns they explain (PCA, IPCA, least squares), that gains about (1 - R²) K / N by itself.
- ``loo``: the same with each asset's fit made from the factor returns of the others.
- ``predictive``: R² of betas times the mean of the factor returns known before the date.

PCA and IPCA are fitted on the first 120 dates; ``IPCA (60)`` on the first 60. CA0 to CA3 are
conditional autoencoders without and with one, two and three hidden layers, whose factor side is
linear in the *simulated* portfolios x_t: with portfolios managed by the characteristics, a
nonlinear model (b) is out of reach of any of them. ``Least squares`` solves for the factor
returns instead and is shown no portfolios. All autoencoders train on the first 60 dates, stop on
the next 60, and take their penalty and learning rate (``Least squares`` its penalty and depth)
from the score there.

``Oracle`` has the true betas and the true factors, ``Oracle (LS)`` the true betas and factors
estimated by least squares. Both predict with the mean of their own past factors.

CA0 to CA3 are trained as the authors say of the networks of their companion article (2020, in its
appendix): ten networks, batches of 10,000 rows, 100 epochs, a patience of 5, and the learning rate
and the penalty chosen among those there. The article itself does not say how.

Seeds from 100 on have not been used to choose a default. ``--noise`` draws returns without any
signal: nothing should be found. Scores of draws that stand in ``--csv`` already are not computed
again.

Run ``python benchmarks/gkx_table6.py --draws 20 --factors 3 --csv draws.csv``.
"""

import argparse
import copy
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from _timing import one_thread

one_thread()

import joblib
import numpy as np
import pandas as pd

from skfactor.datasets import GKXPanel, make_gkx_panel
from skfactor.factor_models import (
    ConditionalAutoencoderFactorModel,
    InstrumentedPCA,
    PCAFactorModel,
)
from skfactor.metrics import total_r2_score

N_ASSETS = 200
BLOCK = 60
FIRST_FRESH_SEED = 100

# In percent, K = 1 to 6.
PUBLISHED = {
    ("a", "total"): {
        "PCA": (3.5, 4.7, 5.5, 6.3, 7.1, 7.8),
        "IPCA": (18.6, 32.2, 40.7, 41.0, 41.4, 41.7),
        "CA0": (15.6, 26.7, 33.7, 33.5, 33.4, 33.2),
        "CA1": (17.6, 30.3, 38.1, 37.7, 37.3, 37.1),
        "CA2": (17.7, 29.2, 36.8, 36.5, 36.3, 35.9),
        "CA3": (17.6, 25.6, 30.0, 29.5, 26.3, 23.4),
    },
    ("b", "total"): {
        "PCA": (3.4, 5.1, 6.0, 6.6, 7.3, 7.9),
        "IPCA": (11.0, 11.4, 11.9, 12.3, 12.7, 13.1),
        "CA0": (8.5, 8.2, 7.9, 7.6, 7.4, 7.2),
        "CA1": (15.0, 24.6, 31.8, 32.0, 31.9, 31.8),
        "CA2": (15.7, 23.5, 30.9, 31.8, 30.2, 28.2),
        "CA3": (15.9, 15.6, 14.6, 14.0, 11.2, 9.2),
    },
    ("a", "predictive"): {
        "PCA": (0.17, 0.10, 0.04, 0.01, -0.01, -0.03),
        "IPCA": (2.20, 2.93, 3.33, 3.32, 3.32, 3.32),
        "CA0": (2.04, 2.84, 3.17, 3.14, 3.12, 3.13),
        "CA1": (2.11, 2.93, 3.27, 3.29, 3.26, 3.26),
        "CA2": (2.10, 2.85, 3.22, 3.22, 3.23, 3.22),
        "CA3": (2.06, 2.57, 2.89, 2.86, 2.58, 2.39),
    },
    ("b", "predictive"): {
        "PCA": (0.15, 0.19, 0.15, 0.12, 0.10, 0.09),
        "IPCA": (0.84, 0.82, 0.81, 0.80, 0.79, 0.79),
        "CA0": (0.80, 0.76, 0.77, 0.76, 0.72, 0.70),
        "CA1": (1.83, 2.31, 2.70, 2.70, 2.71, 2.73),
        "CA2": (1.95, 2.24, 2.73, 2.80, 2.69, 2.53),
        "CA3": (1.77, 1.43, 1.32, 1.26, 1.06, 0.86),
    },
}
DEPTHS = {"CA0": (), "CA1": (32,), "CA2": (32, 16), "CA3": (32, 16, 8)}
ORACLES = ("Oracle", "Oracle (LS)")
METHODS = ("PCA", "IPCA", "IPCA (60)", *DEPTHS, "Least squares")
KEYS = ["model", "signal", "seed", "method", "n_factors", "networks"]
SCORES = ("total", "loo", "predictive")


@dataclass(frozen=True)
class Protocol:
    """How autoencoders are trained, and among what they choose on the validation block."""

    penalties: tuple[float, ...]
    learning_rates: tuple[float, ...]
    n_members: int
    training: dict[str, int] = field(default_factory=dict)


# Penalties in the units of that article, where the loss is a mean of squared returns: the ends of
# the range it gives, and the middle.
COMPANION = Protocol(
    penalties=(1e-5, 1e-4, 1e-3),
    learning_rates=(0.001, 0.01),
    n_members=10,
    training={"batch_size": 10_000 // N_ASSETS, "max_epochs": 100, "patience": 5},
)
# Penalties in the units of the library, where the loss is a share of the mean squared return.
OURS = Protocol(penalties=(0.01, 0.03), learning_rates=(0.01,), n_members=5)
DEPTHS_OF_OURS = ((32,), (32, 16))


@dataclass(frozen=True, eq=False)
class Draw:
    """One panel, cut into the blocks of the study."""

    panel: GKXPanel

    def rows(self, first: int, last: int) -> tuple[pd.DataFrame, pd.Series]:
        """Return characteristics and returns of some dates."""
        block = slice(first * N_ASSETS, last * N_ASSETS)
        return self.panel.X.iloc[block], self.panel.y.iloc[block]

    @property
    def train(self) -> tuple[pd.DataFrame, pd.Series]:
        """The dates to train on."""
        return self.rows(0, BLOCK)

    @property
    def known(self) -> tuple[pd.DataFrame, pd.Series]:
        """The dates to train and to validate on."""
        return self.rows(0, 2 * BLOCK)

    @property
    def validation(self) -> tuple[pd.DataFrame, pd.Series]:
        """The dates to validate on."""
        return self.rows(BLOCK, 2 * BLOCK)

    @property
    def test(self) -> tuple[pd.DataFrame, pd.Series]:
        """The dates to test on."""
        return self.rows(2 * BLOCK, 3 * BLOCK)


def scores(draw: Draw, fitted: object) -> dict[str, float]:
    """Score a fitted model on the test block, in percent."""
    X, y = draw.test
    expected = copy.deepcopy(fitted).update(X, y).predict(X)
    return {
        "total": 100 * total_r2_score(y, fitted.reconstruct(X, y)),
        "loo": 100 * total_r2_score(y, fitted.reconstruct(X, y, leave_one_out=True)),
        "predictive": 100 * total_r2_score(y, expected),
    }


def oracle_scores(panel: GKXPanel) -> dict[str, dict[str, float]]:
    """Score the true betas, with true and with estimated factors."""
    n_dates = len(panel.factors)
    betas = panel.betas.to_numpy().reshape(n_dates, -1, panel.betas.shape[1])
    y = panel.y.to_numpy().reshape(n_dates, -1)
    if not betas.any():
        return {name: {"total": 0.0, "loo": 0.0, "predictive": 0.0} for name in ORACLES}
    projections = np.linalg.pinv(betas)
    leverage = np.einsum("tnk,tkn->tn", betas, projections)
    found = {}
    for name, factors in zip(
        ORACLES, (panel.factors.to_numpy(), np.einsum("tkn,tn->tk", projections, y)), strict=True
    ):
        fit = np.einsum("tnk,tk->tn", betas, factors)
        loo = fit if name == "Oracle" else (fit - leverage * y) / (1 - leverage)
        past = np.cumsum(factors, axis=0)[:-1] / np.arange(1, n_dates)[:, None]
        expected = np.einsum("tnk,tk->tn", betas[1:], past)
        fits = {"total": fit, "loo": loo, "predictive": expected}
        found[name] = {
            score: 100 * total_r2_score(y[-BLOCK:].ravel(), values[-BLOCK:].ravel())
            for score, values in fits.items()
        }
    return found


def autoencoders(
    method: str, draw: Draw, K: int, seed: int, protocol: Protocol
) -> Iterator[tuple[str, object]]:
    """Yield the networks among which a method chooses, stopped by the validation block."""
    ours = method == "Least squares"
    depths = DEPTHS_OF_OURS if ours else (DEPTHS[method],)
    unit = 1.0 if ours else float(np.mean(draw.train[1] ** 2))
    options = {} if ours else {"portfolios": draw.panel.portfolios}
    for depth, penalty, rate in itertools.product(
        depths, protocol.penalties, protocol.learning_rates
    ):
        yield (
            f"{depth} {penalty:g} {rate:g}",
            ConditionalAutoencoderFactorModel(
                K,
                hidden_layer_sizes=depth,
                factor_side="least_squares" if ours else "external",
                l1=penalty / unit,
                learning_rate=rate,
                validation_fraction=0.5,
                n_members=protocol.n_members,
                random_state=seed,
                **protocol.training,
                **options,
            ),
        )


def candidates(
    method: str, draw: Draw, K: int, seed: int, members: int
) -> Iterator[tuple[str, object]]:
    """Yield the models among which a method chooses on the validation block."""
    if method == "PCA":
        yield "", PCAFactorModel(n_factors=K)
    elif method.startswith("IPCA"):
        yield "", InstrumentedPCA(n_factors=K)
    elif method == "Least squares":
        yield from autoencoders(method, draw, K, seed, OURS)
    else:
        yield from autoencoders(method, draw, K, seed, replace(COMPANION, n_members=members))


def run(
    model: str, signal: bool, seed: int, K: int, methods: tuple[str, ...], members: int
) -> list[dict[str, object]]:
    """Fit and score some methods, and the oracles, on one draw."""
    warnings.simplefilter("ignore")
    draw = Draw(make_gkx_panel(model, n_assets=N_ASSETS, signal=signal, random_state=seed))
    identity = {
        "model": model,
        "signal": signal,
        "seed": seed,
        "n_factors": K,
        "networks": members,
    }
    rows = [
        {**identity, "method": name, **found} for name, found in oracle_scores(draw.panel).items()
    ]
    for method in methods:
        X, y = draw.train if method == "IPCA (60)" else draw.known
        fitted = {
            name: candidate.fit(X, y)
            for name, candidate in candidates(method, draw, K, seed, members)
        }
        chosen = next(iter(fitted))
        if len(fitted) > 1:
            chosen = max(fitted, key=lambda name: fitted[name].score(*draw.validation))
        found = scores(draw, fitted[chosen])
        rows.append({**identity, "method": method, **found, "choice": chosen})
    return rows


def complete(table: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Keep the draws on which all methods are scored, so that means are of the same draws."""
    table = table[table["method"].isin([*methods, *ORACLES])]
    draw = ["model", "n_factors", "seed"]
    counts = table.groupby(draw)["method"].transform("nunique")
    return table[counts == len(methods) + len(ORACLES)]


def laid_out(table: pd.DataFrame, model: str, score: str) -> pd.DataFrame:
    """Lay out mean scores as the article does, the published ones above ours."""
    ours = table[table["model"] == model].groupby(["method", "n_factors"])[score].mean().unstack()
    rows = {}
    for method in (*METHODS, *ORACLES):
        published = PUBLISHED.get((model, score), {}).get(method)
        if published is not None and method in ours.index:
            rows[method, "article"] = dict(enumerate(published, start=1))
        if method in ours.index:
            rows[method, "skfactor"] = ours.loc[method]
    laid = pd.DataFrame(rows).T
    return laid.reindex(columns=sorted(ours.columns)).rename_axis(index=["method", "source"])


def against_oracle(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean scores, and paired differences from the oracles with standard errors."""
    rows = []
    identity = ["model", "n_factors", "method"]
    wide = table.set_index([*identity, "seed"]).sort_index()
    for (model, K, method), found in wide.groupby(identity):
        seeds = found.index.get_level_values("seed")
        row: dict[str, object] = {"model": model, "K": K, "method": method, "draws": len(seeds)}
        for score, oracle in (
            ("total", "Oracle"),
            ("loo", "Oracle (LS)"),
            ("predictive", "Oracle"),
        ):
            truth = wide.loc[(model, K, oracle), score].loc[seeds].to_numpy()
            gap = found[score].to_numpy() - truth
            row[score] = found[score].mean()
            row[f"{score} - oracle"] = gap.mean()
            row[f"{score} s.e."] = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else np.nan
            if score == "predictive":
                row["predictive / oracle"] = found[score].mean() / truth.mean()
        rows.append(row)
    order = {name: place for place, name in enumerate((*METHODS, *ORACLES))}
    return pd.DataFrame(rows).sort_values(
        ["model", "K", "method"], key=lambda c: c.map(order) if c.name == "method" else c
    )


def as_rst(table: pd.DataFrame, title: str, digits: int) -> str:
    """Write a table as reStructuredText."""
    text = table.reset_index().round(digits).astype(object)
    lines = [f".. csv-table:: {title}", "   :header-rows: 1", ""]
    lines.append("   " + ",".join(f'"{name}"' for name in text.columns))
    for row in text.itertuples(index=False):
        lines.append("   " + ",".join("" if pd.isna(cell) else f'"{cell}"' for cell in row))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=FIRST_FRESH_SEED)
    parser.add_argument("--models", nargs="+", default=["a", "b"], choices=["a", "b"])
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument(
        "--members",
        type=int,
        default=COMPANION.n_members,
        help="networks of CA0 to CA3",
    )
    parser.add_argument("--noise", action="store_true", help="returns without any signal")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--csv", type=Path, default=Path("gkx_table6.csv"))
    parser.add_argument("--tables", type=Path, help="folder for the tables as csv")
    args = parser.parse_args()

    done = pd.read_csv(args.csv) if args.csv.is_file() else pd.DataFrame(columns=KEYS)
    finished = set(done[KEYS].itertuples(index=False, name=None))
    jobs = []
    seeds = range(args.first_seed, args.first_seed + args.draws)
    # Seed by seed, so that a run cut short has all methods on the draws it has.
    for seed, model, K in itertools.product(seeds, args.models, args.factors):
        found = (model, not args.noise, seed)
        left = tuple(m for m in args.methods if (*found, m, K, args.members) not in finished)
        if left:
            jobs.append(joblib.delayed(run)(model, not args.noise, seed, K, left, args.members))
    results = joblib.Parallel(n_jobs=args.jobs, return_as="generator_unordered")(jobs)
    for count, rows in enumerate(results, start=1):
        done = pd.concat([done, pd.DataFrame(rows)] if len(done) else [pd.DataFrame(rows)])
        done = done.drop_duplicates(KEYS).sort_values(KEYS)
        done.to_csv(args.csv, index=False, float_format="%.4f")
        print(f"{count} of {len(jobs)}", flush=True)

    table = complete(
        done[
            (done["signal"] == (not args.noise))
            & done["seed"].isin(seeds)
            & done["model"].isin(args.models)
            & done["n_factors"].isin(args.factors)
            & (done["networks"] == args.members)
        ],
        args.methods,
    )
    if args.noise:
        table = table[~table["method"].isin(ORACLES)]
        summary = table.groupby(["n_factors", "method"])[list(SCORES)].agg(["mean", "max"])
        summary.columns = [" ".join(names) for names in summary.columns]
        summary.insert(0, "draws", table.groupby(["n_factors", "method"]).size())
        outputs = {"noise": (summary, "R² in percent of returns without any signal", 2)}
    else:
        outputs = {
            f"{score}_{model}": (
                laid_out(table, model, score),
                f"Model ({model}), {score} R² in percent, out of sample",
                1 if score != "predictive" else 2,
            )
            for model in args.models
            for score in SCORES
        }
        for K, found in table.groupby("n_factors"):
            paired = against_oracle(found).set_index(["model", "method"])
            title = f"K = {K}: mean scores and paired differences from the oracles"
            outputs[f"paired_{K}"] = paired.drop(columns="K"), title, 2
    for name, (frame, title, digits) in outputs.items():
        print(as_rst(frame, title, digits))
        if args.tables:
            args.tables.mkdir(parents=True, exist_ok=True)
            frame.to_csv(args.tables / f"{name}.csv", float_format=f"%.{digits}f")


if __name__ == "__main__":
    main()
