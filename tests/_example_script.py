"""An example's script: its definitions for quick tests, and a run of it as a user starts it."""

import ast
import contextlib
import os
import subprocess
import sys
import types
from collections.abc import Collection, Iterator
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


@contextlib.contextmanager
def definitions_of(name: str, constants: Collection[str]) -> Iterator[types.ModuleType]:
    """Everything that a script imports and defines, and some constants, without what it runs."""
    path = EXAMPLES / name
    tree = ast.parse(path.read_text(encoding="utf-8"))
    definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, definitions)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).strip("()") in constants)
    ]
    module = types.ModuleType(path.stem)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(tree, str(path), "exec"), vars(module))
    yield module
    del sys.modules[module.__name__]


def run_script(name: str, output: Path) -> str:
    """Run a script on its own data, with tables and pictures in a folder; return what it says."""
    environment = {**os.environ, "SKFACTOR_OUTPUT": str(output), "MPLBACKEND": "agg"}
    environment.pop("SKFACTOR_DATA", None)
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
