"""Training a conditional autoencoder: skfactor, a hand-written torch loop, ml4t-models.

The same network (characteristics - 32 units, batch norm, rectifier - 5 betas, factors linear in
managed portfolios), the same panel, rows a batch, epochs, learning rate and penalty, one thread,
ten members each, alternating rounds. The hand-written loop does the same arithmetic as skfactor:
whole dates to a batch, the normalisation taken from moments by date. Prints the CPU time of each
for an epoch of a member and the mean over members of the lowest loss on dates held out, as a
share of the mean squared return of the training dates. Then how the time grows with dates, assets
and members, and what two processes save in wall time.

Run ``python benchmarks/bench_conditional_autoencoder.py``. ``ml4t.models`` is measured if it can
be imported.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec

from _timing import alternate, one_thread

one_thread()

import numpy as np
import torch
from joblib.externals.loky import get_reusable_executor

from skfactor.factor_models import ConditionalAutoencoderFactorModel

N_ASSETS, N_FEATURES, N_FACTORS, HIDDEN = 500, 50, 5, 32
N_TRAIN, N_VALID, BATCH = 120, 40, 20
RATE, PENALTY = 0.003, 0.001


def make_panel(n_dates: int, n_assets: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns whose betas bend in three of the characteristics."""
    rng = np.random.default_rng(seed)
    Z = rng.uniform(-1, 1, (n_dates, n_assets, N_FEATURES))
    betas = np.stack([Z[..., 0], Z[..., 1] + Z[..., 1] ** 2, np.abs(Z[..., 2])], axis=-1)
    factors = rng.normal(0.01, 0.05, (n_dates, 3))
    r = np.einsum("tnk,tk->tn", betas, factors) + rng.normal(0, 0.1, (n_dates, n_assets))
    return Z, r


def skfactor(
    Z: np.ndarray, r: np.ndarray, n_valid: int, epochs: int, members: int, n_jobs: int = 1
) -> float:
    n_dates, n_assets, _ = Z.shape
    model = ConditionalAutoencoderFactorModel(
        N_FACTORS,
        hidden_layer_sizes=(HIDDEN,),
        factor_side="managed",
        l1=PENALTY,
        learning_rate=RATE,
        max_epochs=epochs,
        batch_size=BATCH,
        validation_fraction=n_valid / n_dates,
        patience=epochs,
        n_members=members,
        n_jobs=n_jobs,
        device="cpu",
        random_state=0,
    )
    X = Z.reshape(-1, N_FEATURES)
    model.fit(X, r.ravel(), dates=np.repeat(np.arange(n_dates), n_assets))
    watched = "valid_loss" if n_valid else "train_loss"
    return float(np.mean([history[watched].min() for history in model.history_]))


def hand_written(Z: np.ndarray, r: np.ndarray, n_valid: int, epochs: int, members: int) -> float:
    """The shortest loop one would write for this model, with the same shortcuts."""
    n_train = len(Z) - n_valid
    n_assets = Z.shape[1]
    scale = np.sqrt((r[:n_train] ** 2).mean())
    z = torch.from_numpy(Z.astype(np.float32))
    target = torch.from_numpy((r / scale).astype(np.float32))
    constant = torch.cat([torch.ones(*z.shape[:2], 1), z], dim=2).double()
    moments = constant.transpose(1, 2) @ constant
    slopes = torch.linalg.solve(moments, constant.transpose(1, 2) @ target.double()[..., None])
    x = slopes[..., 0].float()
    sums, gram = z.sum(1), z.transpose(1, 2) @ z
    losses = []
    for member in range(members):
        torch.manual_seed(member)
        W1, W2 = weights(N_FEATURES, HIDDEN, 2.0), weights(HIDDEN, N_FACTORS, 1.0)
        Wf = weights(N_FEATURES + 1, N_FACTORS, 0.01)
        gamma = torch.nn.Parameter(torch.ones(HIDDEN))
        delta = torch.nn.Parameter(torch.zeros(HIDDEN))
        bias = torch.nn.Parameter(torch.zeros(N_FACTORS))
        running_mean, running_var = torch.zeros(HIDDEN), torch.ones(HIDDEN)
        parameters = [W1, W2, Wf, gamma, delta, bias]
        optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)
        best = np.inf
        for _ in range(epochs):
            for dates in torch.randperm(n_train).split(BATCH):
                n_rows = len(dates) * n_assets
                m = sums[dates].sum(0) / n_rows
                C = gram[dates].sum(0) / n_rows - torch.outer(m, m)
                mean, variance = m @ W1, (W1 * (C @ W1)).sum(0)
                with torch.no_grad():
                    running_mean.lerp_(mean, 0.1)
                    running_var.lerp_(variance, 0.1)
                fits = fit(z[dates], x[dates], mean, variance, *parameters)
                loss = (fits - target[dates]).square().mean()
                loss = loss + PENALTY * sum(W.abs().sum() for W in (W1, W2, Wf))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            with torch.inference_mode():
                fits = fit(z[n_train:], x[n_train:], running_mean, running_var, *parameters)
                best = min(best, float((fits - target[n_train:]).square().mean()))
        losses.append(best)
    return float(np.mean(losses))


def weights(n_in: int, n_out: int, gain: float) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(n_in, n_out) * (gain / n_in) ** 0.5)


def fit(z, x, mean, variance, W1, W2, Wf, gamma, delta, bias) -> torch.Tensor:
    """Betas times factors, the normalisation folded into the first product."""
    factor = gamma * torch.rsqrt(variance + 1e-5)
    hidden = torch.addmm(delta - mean * factor, z.reshape(-1, N_FEATURES), W1 * factor)
    betas = torch.addmm(bias, torch.relu(hidden), W2)
    return torch.bmm(betas.view(*z.shape[:2], N_FACTORS), (x @ Wf)[:, :, None])[..., 0]


def ml4t(Z: np.ndarray, r: np.ndarray, n_valid: int, epochs: int, members: int) -> float:
    """The peer's model of the same sizes; its penalty is on squared returns."""
    from ml4t.models import CAEConfig, CAEModel, CrossSectionBatch

    n_train = len(Z) - n_valid
    scale = (r[:n_train] ** 2).mean()
    config = CAEConfig(
        n_factors=N_FACTORS,
        hidden_units=(HIDDEN,),
        n_ensemble=members,
        n_epochs=epochs,
        checkpoint_interval=epochs,
        lr=RATE,
        lambda_l1=PENALTY * scale,
        batch_size=BATCH * Z.shape[1],
        device="cpu",
    )
    model = CAEModel(config)
    summary = model.fit(
        CrossSectionBatch(characteristics=Z[:n_train], returns=r[:n_train]),
        validation_batch=CrossSectionBatch(characteristics=Z[n_train:], returns=r[n_train:]),
        patience=epochs,
    )
    return float(summary.val_metrics["best_val_loss"]) / scale


def compare(epochs: int, members: int, rounds: int) -> None:
    Z, r = make_panel(N_TRAIN + N_VALID, N_ASSETS)
    functions: dict[str, Callable[..., float]] = {
        "hand-written loop": hand_written,
        "skfactor": skfactor,
    }
    if find_spec("ml4t"):
        functions["ml4t-models"] = ml4t
    else:
        print("ml4t-models is not installed: not measured.")
    losses: dict[str, float] = {}

    def runner(name: str) -> Callable[[], None]:
        def run() -> None:
            losses[name] = functions[name](Z, r, N_VALID, epochs, members)

        return run

    for name in functions:  # warm every library up
        functions[name](Z, r, N_VALID, 1, 1)
    seconds = alternate({name: runner(name) for name in functions}, rounds)
    base = np.median(seconds["skfactor"])
    print(
        f"{N_TRAIN} + {N_VALID} dates x {N_ASSETS} assets x {N_FEATURES} characteristics, "
        f"{members} members, {epochs} epochs, {rounds} rounds, one thread"
    )
    for name, times in seconds.items():
        cost = 1e3 * np.median(times) / epochs / members
        print(
            f"  {name:18s} {cost:6.1f} ms an epoch and member, {np.median(times) / base:5.2f} x, "
            f"loss on dates held out {losses[name]:.4f}"
        )


def scaling(epochs: int) -> None:
    skfactor(*make_panel(60, 250), 0, 1, 1)  # imports
    print(f"CPU seconds of {epochs} epochs")
    for n_dates, n_assets, members in (
        (60, 250, 1),
        (60, 500, 1),
        (120, 500, 1),
        (240, 500, 1),
        (120, 1000, 1),
        (120, 2000, 1),
        (120, 500, 2),
        (120, 500, 4),
    ):
        Z, r = make_panel(n_dates, n_assets)
        start = time.process_time()
        skfactor(Z, r, 0, epochs, members)
        spent = time.process_time() - start
        rows = n_dates * n_assets * members
        print(
            f"  {n_dates:4d} dates x {n_assets:4d} assets, {members} members: {spent:6.2f} s, "
            f"{1e6 * spent / epochs / rows:.3f} us a row, epoch and member"
        )


def processes(epochs: int, members: int, rounds: int) -> None:
    Z, r = make_panel(N_TRAIN, N_ASSETS)
    skfactor(Z, r, 0, 1, members, 2)  # starts the processes, which stay
    walls: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for n_jobs, times in walls.items():
            start = time.perf_counter()
            skfactor(Z, r, 0, epochs, members, n_jobs)
            times.append(time.perf_counter() - start)
    get_reusable_executor().shutdown()
    one, two = (float(np.median(times)) for times in walls.values())
    print(
        f"{members} members, {epochs} epochs, {os.cpu_count()} cores, {rounds} rounds: {one:.1f} s "
        f"in one process, {two:.1f} s in two ({one / two:.2f} x)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("compare", "scaling", "processes"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if args.only in (None, "compare"):
        compare(args.epochs, args.members, args.rounds)
    if args.only in (None, "scaling"):
        scaling(max(args.epochs // 3, 1))
    if args.only in (None, "processes"):
        processes(2 * args.epochs, 8, args.rounds)


if __name__ == "__main__":
    main()
