"""Imports point one way: a layer knows those below it and nothing above."""

import ast
from pathlib import Path

import pytest

import skfactor

ROOT = Path(skfactor.__file__).parent

LAYERS = [
    {"_typing", "_libraries", "exceptions"},
    {"_blocks"},
    {"_validation", "_base"},
    {"panel", "_kernels"},
    {"metrics", "preprocessing", "_nn"},
    {"decomposition", "manifold", "portfolios", "linear_model", "factor_models"},
    {"inference", "cluster", "model_selection", "datasets"},
    {"inspection"},
    {"plotting"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(ROOT.rglob("*.py"))
FILES = {str(path.relative_to(ROOT)): path for path in MODULES}


def _part(relative: str) -> str:
    return relative.removesuffix(".py").split("/")[0]


def _imported(tree: ast.AST) -> set[str]:
    """Return the parts of skfactor that a module imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skfactor"):
            names = (
                [node.module]
                if "." in node.module
                else [f"skfactor.{alias.name}" for alias in node.names]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("skfactor.")]
        else:
            continue
        found |= {name.split(".")[1] for name in names}
    return found


@pytest.mark.parametrize("file", [f for f in FILES if f != "__init__.py"])
def test_module_imports_only_from_layers_below(file):
    own = _part(file)
    for other in _imported(ast.parse(FILES[file].read_text("utf-8"))) - {own}:
        assert LEVEL[other] < LEVEL[own], f"{file} imports skfactor.{other}, which is not below it"


@pytest.mark.parametrize("file", FILES)
def test_only_the_network_layer_and_its_reducers_import_torch(file):
    tree = ast.parse(FILES[file].read_text("utf-8"))
    names = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    uses_torch = any(name.split(".")[0] in {"torch", "skorch"} for name in names)
    assert not uses_torch or _part(file) == "_nn"


@pytest.mark.parametrize("file", [f for f in FILES if f != "_libraries.py"])
def test_only_one_module_asks_which_library_a_table_is_of(file):
    tree = ast.parse(FILES[file].read_text("utf-8"))
    asked = [n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    assert "__module__" not in asked


def _validation_tools(tree: ast.AST) -> set[str]:
    """Return what a module takes from scikit-learn's validation by itself."""
    doors = ("sklearn.utils.validation", "sklearn.utils._param_validation")
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        else:
            continue
        found |= {n for n in names if n.startswith((*doors, "sklearn.utils.check_"))}
    return found


@pytest.mark.parametrize("file", [f for f in FILES if f != "_validation.py"])
def test_only_the_door_imports_the_validation_of_scikit_learn(file):
    assert not _validation_tools(ast.parse(FILES[file].read_text("utf-8")))


@pytest.mark.parametrize(
    "line",
    [
        "from sklearn.utils import check_array, get_tags",
        "from sklearn.utils import validation",
        "from sklearn.utils.validation import column_or_1d",
        "from sklearn.utils._param_validation import Interval",
        "import sklearn.utils.validation as v",
    ],
)
def test_each_way_past_the_door_is_seen(line):
    assert _validation_tools(ast.parse(line))
    assert not _validation_tools(ast.parse("from sklearn.utils import get_tags"))


def test_every_package_without_a_stub_holds_no_code():
    for init in ROOT.rglob("__init__.py"):
        body = [n for n in ast.parse(init.read_text("utf-8")).body if not isinstance(n, ast.Expr)]
        assert init.with_suffix(".pyi").exists() or not body, init
