"""Where a fit runs and what its random numbers are."""

import contextlib
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits

from skfactor._typing import RandomState
from skfactor._validation import draw_seed

# Below this many floating-point operations a batch, a second thread costs more in waiting
# than it saves in work (measured on small nets: up to twenty times slower on busy cores).
_SINGLE_THREAD_FLOPS = 5e8


def resolve_device(device: str) -> torch.device:
    """Turn a device's name into a usable ``torch.device``; ``"auto"`` prefers CUDA."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved).cpu()  # "meta" has sizes but no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"`device` must name a device that torch can use here, or be 'auto'; got {device!r}."
        ) from error
    return resolved


@contextlib.contextmanager
def seeded_torch(random_state: RandomState, device: torch.device) -> Iterator[None]:
    """Seed torch from a scikit-learn ``random_state`` and give the global generators back."""
    seed = draw_seed(random_state)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def threads_for(flops_per_batch: float) -> Iterator[None]:
    """Hold torch to one thread while batches are too small to share."""
    if flops_per_batch < _SINGLE_THREAD_FLOPS:
        with threadpool_limits(limits=1):
            yield
    else:
        yield
