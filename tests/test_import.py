"""Importing the library is cheap: what is heavy comes with the parts that use it."""

import subprocess
import sys

import pytest

HEAVY = ["torch", "skorch", "matplotlib", "statsmodels", "openTSNE", "sklearn", "pandas", "scipy"]


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_skfactor_loads_nothing_heavy():
    assert not _loaded_after("import skfactor") & set(HEAVY)


@pytest.mark.parametrize(
    "part", ["preprocessing", "metrics", "model_selection", "datasets", "portfolios"]
)
def test_light_parts_do_not_load_torch_or_matplotlib(part):
    statement = f"import skfactor.{part} as p; [getattr(p, name) for name in p.__all__]"
    assert not _loaded_after(statement) & {"torch", "matplotlib", "statsmodels"}


def test_displays_do_not_load_matplotlib_until_they_draw():
    statement = "import skfactor.plotting as p; [getattr(p, name) for name in p.__all__]"
    assert "matplotlib" not in _loaded_after(statement)
