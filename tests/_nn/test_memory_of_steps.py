"""A step of training takes the memory of the step before, also in a fresh process."""

import platform
import subprocess
import sys
import textwrap

import pytest

FRESH_PROCESS = textwrap.dedent("""
    import resource
    import sys

    import numpy as np
    import torch

    from skfactor._nn import _training
    from skfactor.decomposition import AutoencoderReducer

    torch.set_num_threads(1)
    if sys.argv[1] == "handed back":
        _training._keep_freed_memory = lambda: None
    X = np.random.default_rng(0).normal(size=(3000, 32))
    net = AutoencoderReducer(
        2, hidden_layer_sizes=(256, 64), batch_size=1000, max_epochs=20, random_state=0
    )
    net.fit(X)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    net.fit(X)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
""")


def faults(memory: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, memory], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's allocator")
def test_a_step_takes_the_memory_of_the_step_before():
    assert faults("kept") < 0.5 * faults("handed back")
