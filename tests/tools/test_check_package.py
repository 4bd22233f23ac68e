"""The package as a stranger gets it: built, installed and used in an environment of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "check_package.py"


@pytest.mark.slow
def test_wheel_and_sdist_build_install_and_run_without_development_tools():
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "public names import, both flows run" in done.stdout
