"""The deep characteristics factor model: what it finds in simulated panels, and what it costs.

``--what simulation`` draws panels in which three benchmark factors price less than 40 % of the
systematic variance and two factors, whose betas are not linear in characteristics, the rest;
fits the default model to the first 240 months and measures on the last 120 how much of the gain
that the true betas and factors have over the benchmark it reaches. ``--what null`` draws panels
without the two factors. ``--what speed`` times training against a hand-written torch loop of the
same network on the same ragged panel, and against the fixed-size formulation of Feng, He, Polson
and Xu, whose tensors hold every asset that ever lived on every date. One thread, alternating
rounds.

Run ``python benchmarks/bench_deep_characteristic.py --what simulation --draws 5``.
"""

import argparse
import itertools
import json

from _timing import alternate, median_ratios, one_thread

one_thread()

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import nn

from skfactor.factor_models import DeepCharacteristicFactorModel
from skfactor.metrics import total_r2_score

N_TRAIN = 240
BATCH, RATE, DROPOUT = 75, 0.01, 0.25


def draw_panel(seed, n_dates=360, n_assets=400, n_features=50, hidden=True, turnover=0.01):
    """Draw a ragged panel, its benchmark, the hidden factors and the true fits."""
    rng = np.random.default_rng(seed)
    persistence = rng.uniform(0.9, 1.0, n_features)
    scale = 1 / np.sqrt(1 - np.minimum(persistence, 0.99) ** 2)
    state = rng.normal(size=(n_assets, n_features)) * scale
    names = np.arange(n_assets)
    benchmark = np.column_stack(
        [
            rng.normal(0.006, 0.045, n_dates),
            rng.normal(0.002, 0.03, n_dates),
            rng.normal(0.003, 0.03, n_dates),
        ]
    )
    deep = rng.normal(0.005, 0.05, (n_dates, 2))
    parts = []
    for t in range(n_dates):
        state = persistence * state + rng.normal(size=state.shape)
        gone = rng.random(n_assets) < turnover
        names[gone] = np.arange(names.max() + 1, names.max() + 1 + gone.sum())
        state[gone] = rng.normal(size=(gone.sum(), n_features)) * scale
        alive = np.flatnonzero(rng.random(n_assets) < 0.975)
        c = 2 * rankdata(state[alive], axis=0) / (len(alive) + 1) - 1
        known = np.column_stack([0.9 + 0.3 * c[:, 0], 0.8 * c[:, 1], 0.8 * c[:, 2]])
        betas = np.column_stack(
            [
                1.7 * (1.5 * c[:, 3] ** 2 - 0.5) + 0.4 * c[:, 4],
                1.6 * c[:, 5] * c[:, 6] + 0.6 * np.sign(c[:, 7]),
            ]
        )
        priced = known @ benchmark[t]
        systematic = priced + betas @ deep[t] if hidden else priced
        noise = 0.1 * np.sqrt(3 / 5) * rng.standard_t(5, len(alive))
        parts.append((t, names[alive].copy(), c, systematic + noise, systematic, priced))
    dates = pd.period_range("1990-01", periods=n_dates, freq="M")
    index = pd.MultiIndex.from_arrays(
        [
            dates[np.concatenate([np.full(len(p[1]), p[0]) for p in parts])],
            np.concatenate([p[1] for p in parts]),
        ],
        names=["date", "asset"],
    )
    X = pd.DataFrame(
        np.concatenate([p[2] for p in parts]), index, [f"c{j}" for j in range(n_features)]
    )
    y, fits, priced = (pd.Series(np.concatenate([p[k] for p in parts]), index) for k in (3, 4, 5))
    frame = pd.DataFrame(benchmark, dates, ["market", "size", "value"])
    return X, y, frame, pd.DataFrame(deep, dates), fits, priced


def simulate(seed, hidden, n_jobs):
    """Fit the default model to one draw, and compare it with the truth on later dates."""
    X, y, benchmark, deep, fits, priced = draw_panel(seed, hidden=hidden)
    at = X.index.get_level_values("date")
    late = at >= at.unique()[N_TRAIN]
    model = DeepCharacteristicFactorModel(benchmark=benchmark, n_jobs=n_jobs, random_state=seed)
    model.fit(X[~late], y[~late])
    score = model.score(X[late], y[late])
    base = model.benchmark_model_.score(X[late], y[late])
    result = {
        "seed": seed,
        "benchmark_share": float((priced**2).sum() / (fits**2).sum()),
        "r2": score,
        "benchmark_r2": base,
        "oracle_r2": total_r2_score(y[late], fits[late]),
        "restart_losses": [round(loss, 6) for loss in model.restart_losses_.tolist()],
    }
    if not hidden:
        return result | {"gain": score - base}
    found = model.factor_returns(X[late], y[late]).iloc[:, :2]
    design = np.column_stack([np.ones(len(found)), found])
    truth = deep.loc[found.index].to_numpy()
    residual = truth - design @ np.linalg.lstsq(design, truth, rcond=None)[0]
    explained = 1 - (residual**2).sum(axis=0) / ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    ranked = model.importance_.sort_values(ascending=False)
    return result | {
        "share_of_gain": (score - base) / (result["oracle_r2"] - base),
        "correlations": np.sqrt(explained).round(3).tolist(),
        "most_important": ranked.index[:6].tolist(),
    }


class HandWritten(nn.Module):
    """The network as one would write it, for a panel whose rows are sorted by date."""

    def __init__(self, n_features):
        super().__init__()

        def net(sizes, rate):
            layers = []
            for a, b in itertools.pairwise(sizes[:-1]):
                layers += [nn.Linear(a, b), nn.Tanh()] + ([nn.Dropout(rate)] if rate else [])
            return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))

        self.sorting = net([n_features, 32, 16, 8, 2], DROPOUT)
        self.deep = net([n_features, 8, 4, 2], 0.0)
        self.given = net([n_features, 8, 4, 3], 0.0)

    def penalty(self):
        """Sum the penalties of all layers but the last."""
        nets = [[m for m in n if isinstance(m, nn.Linear)] for n in (self.deep, self.given)]
        hidden = list(self.sorting)[:-1]
        lasso = sum(m.weight.abs().sum() for m in hidden if isinstance(m, nn.Linear))
        return 1e-6 * lasso + 1e-7 * sum(m.weight.square().sum() for n in nets for m in n[:-1])


def hand_written(Z, r, given, starts, epochs):
    """A loop over dates inside a loop over batches."""
    torch.manual_seed(0)
    model = HandWritten(Z.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    n_dates = len(starts) - 1
    for _ in range(epochs):
        for batch in torch.randperm(n_dates).tensor_split(-(-n_dates // BATCH)):
            batch = batch.sort().values.tolist()
            rows = [slice(int(starts[t]), int(starts[t + 1])) for t in batch]
            z = torch.cat([Z[s] for s in rows])
            target = torch.cat([r[s] for s in rows])
            sizes = [s.stop - s.start for s in rows]
            deep = model.sorting(z)
            betas = torch.cat([model.deep(z), model.given(z)], dim=1)
            fits, alphas = [], 0.0
            pieces = zip(
                deep.split(sizes), betas.split(sizes), target.split(sizes), batch, strict=True
            )
            for y, b, returns, t in pieces:
                score = (y - y.mean(0)) / y.std(0, unbiased=False)
                # Bounded, so that no gradient overflows.
                up = torch.softmax(-50 * torch.exp((-5 * score).clamp(max=6)), dim=0)
                down = torch.softmax(-50 * torch.exp((5 * score).clamp(max=6)), dim=0)
                factors = torch.cat([(up - down).T @ returns, given[t]])
                fits.append(b @ factors)
                alphas = alphas + (returns - fits[-1]).mean().square()
            errors = torch.cat(fits) - target
            loss = errors.square().mean() + 1e-6 * alphas / len(batch) + model.penalty()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


def fixed_size(Z, r, given, alive, epochs):
    """Dense tensors of dates, assets and characteristics, with weights of zero for the absent."""
    torch.manual_seed(0)
    model = HandWritten(Z.shape[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    for _ in range(epochs):
        for batch in torch.randperm(len(Z)).tensor_split(-(-len(Z) // BATCH)):
            z, returns, here = Z[batch], r[batch], alive[batch]
            count = here.sum(1, keepdim=True)
            deep = model.sorting(z)
            center = (deep * here).sum(1, keepdim=True) / count
            centred = (deep - center) * here
            score = centred / (centred.square().sum(1, keepdim=True) / count).sqrt()
            absent = (1 - here) * -1e30
            up = torch.softmax(-50 * torch.exp((-5 * score).clamp(max=6)) + absent, dim=1)
            down = torch.softmax(-50 * torch.exp((5 * score).clamp(max=6)) + absent, dim=1)
            factors = ((up - down) * returns[..., None]).sum(1)
            both = torch.cat([factors, given[batch]], dim=1)
            betas = torch.cat([model.deep(z), model.given(z)], dim=2)
            errors = ((betas @ both[..., None])[..., 0] - returns) * here[..., 0]
            alphas = (errors.sum(1) / count[:, 0, 0]).square().mean()
            loss = errors.square().sum() / here.sum() + 1e-6 * alphas + model.penalty()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item()


def time_training(rounds, epochs):
    """Return CPU time of each formulation as a multiple of the hand-written loop's."""
    X, y, benchmark, *_ = draw_panel(0, n_assets=500, turnover=0.012)
    dates, assets = X.index.get_level_values(0), X.index.get_level_values(1)
    at, who = pd.factorize(dates)[0], pd.factorize(assets)[0]
    starts = np.concatenate([[0], np.bincount(at).cumsum()])
    Z, r, given = (torch.tensor(frame.to_numpy(np.float32)) for frame in (X, y, benchmark))
    shape = (at.max() + 1, who.max() + 1)
    dense = torch.zeros(*shape, X.shape[1])
    dense[at, who] = Z
    returns, alive = torch.zeros(shape), torch.zeros(*shape, 1)
    returns[at, who], alive[at, who] = r, 1.0
    model = DeepCharacteristicFactorModel(
        benchmark=benchmark,
        start="random",
        n_members=1,
        n_restarts=1,
        validation_fraction=0,
        patience=None,
        max_epochs=epochs,
        device="cpu",
        random_state=0,
    )

    def trained():
        # What fit does for the deep model; it also fits the benchmark alone.
        from skfactor.factor_models._deep_fit import fit_deep
        from skfactor.panel._panel import validate_panel

        panel = validate_panel(model, X, y, reset=True)
        fit = fit_deep(model, model._network(panel, 3), panel, benchmark.to_numpy())
        return float(fit.members[0].history["train_loss"][-1])

    losses = {}

    def recorded(name, run):
        def keep():
            losses[name] = run()

        return keep

    competitors = {
        "hand-written": recorded("hand-written", lambda: hand_written(Z, r, given, starts, epochs)),
        "skfactor, training": recorded("skfactor, training", trained),
        "skfactor, whole fit": lambda: model.fit(X, y),
        "fixed size": recorded(
            "fixed size", lambda: fixed_size(dense, returns, given, alive, epochs)
        ),
    }
    seconds = alternate(competitors, rounds)
    return {
        "rows": len(X),
        "assets ever": int(shape[1]),
        "ratios": median_ratios(seconds, "hand-written"),
        "last losses": losses,
        "seconds": {name: [round(s, 2) for s in times] for name, times in seconds.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", choices=["simulation", "null", "speed"], default="simulation")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--n-jobs", type=int, default=None)
    options = parser.parse_args()
    if options.what == "speed":
        print(json.dumps(time_training(options.rounds, options.epochs), indent=1))
        return
    hidden = options.what == "simulation"
    results = []
    for seed in range(options.first_seed, options.first_seed + options.draws):
        results.append(simulate(seed, hidden, options.n_jobs))
        print(json.dumps(results[-1]), flush=True)
    key = "share_of_gain" if hidden else "gain"
    print(key, "median", float(np.median([result[key] for result in results])))


if __name__ == "__main__":
    main()
