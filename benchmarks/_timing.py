"""Alternating rounds of competitors in one process, reported as ratios of medians."""

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread() -> None:
    """Hold every library to one thread; call it before NumPy or torch is imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"


def alternate(competitors: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run each competitor once a round, in turn, and return its CPU seconds a round.

    CPU time of one thread is what the work costs; wall time on a shared machine is also what
    the neighbours cost.
    """
    seconds: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(rounds):
        for name, run in competitors.items():
            gc.collect()
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return seconds


def median_ratios(seconds: dict[str, list[float]], base: str) -> dict[str, float]:
    """Return each competitor's median time as a multiple of the base's."""
    reference = statistics.median(seconds[base])
    return {name: statistics.median(times) / reference for name, times in seconds.items()}


def race_trainings(
    functions: dict[str, Callable[[Any], float]], X: Any, args: argparse.Namespace, what: str
) -> None:
    """Train by each function on the same rows, in turn, and print its cost and what it reached.

    Costs are multiples of those of ``"hand-written loop"``; a function returns the mean squared
    reconstruction error of the training rows. ``args`` has the ``rounds``, and in ``json`` the
    file to write to as well, or None.
    """
    errors: dict[str, float] = {}

    def runner(name: str) -> Callable[[], None]:
        def run() -> None:
            errors[name] = functions[name](X)

        return run

    competitors = {name: runner(name) for name in functions}
    alternate(competitors, 1)  # warm every library up
    ratios = median_ratios(alternate(competitors, args.rounds), "hand-written loop")
    print(f"{what}, {args.rounds} rounds")
    for name, ratio in ratios.items():
        print(f"  {name:30s} {ratio:5.2f} x   reconstruction MSE {errors[name]:.4f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"ratios": ratios, "errors": errors}, file, indent=1)
