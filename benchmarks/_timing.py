"""Alternating rounds of competitors in one process, reported as ratios of medians."""

import gc
import os
import statistics
import time
from collections.abc import Callable

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
