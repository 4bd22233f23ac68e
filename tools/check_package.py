"""Build the wheel and the sdist, and use the wheel as a stranger would.

    python tools/check_package.py [--extras | --quick] [--folder FOLDER]

A fresh virtual environment gets the wheel and what it depends on, nothing of development. There
every public name is imported, a small market is clustered and regressed, and, where mypy is at
hand, a caller's code is checked against the types that ship. ``--extras`` also asks pip whether
it can resolve every extra. ``--quick`` installs nothing that the package depends on: what is in
wheel and sdist is compared, and the public names are imported from the wheel by the Python that
runs this. Either way CITATION.cff must name the version that is built, and what a package index
shows of the README must not link to files of the repository. Needs no package beyond Python's own
and a package index.
"""

import argparse
import email
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints-dev.txt"
BESIDE_THE_CODE = ["LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "conftest.py"]

NAMES = """
import inspect, sys, warnings
warnings.simplefilter("error")
import skfactor

names = 0
for part in skfactor.__all__:
    found = getattr(skfactor, part)
    for name in getattr(found, "__all__", []) if inspect.ismodule(found) else []:
        assert getattr(found, name) is not None
        names += 1
assert not {"matplotlib", "pytest"} & set(sys.modules)
"""

USE = """
import importlib.metadata, importlib.util
assert "site-packages" in skfactor.__file__, skfactor.__file__
assert skfactor.__version__ == importlib.metadata.version("skfactor")
for tool in ("matplotlib", "pytest", "sphinx", "polars"):
    assert importlib.util.find_spec(tool) is None, f"{tool} should not be here"

from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from skfactor import AutoencoderReducer, FamaFrenchRegressor, LogStandardizer
from skfactor.datasets import make_stock_universe
from skfactor.preprocessing import PanelImputer

universe = make_stock_universe(n_assets=60, n_years=3, random_state=0)
X = universe.cross_section()
flow = make_pipeline(
    PanelImputer(cross_section=True),
    LogStandardizer(),
    AutoencoderReducer(n_components=3, max_epochs=5, random_state=0),
    KMeans(n_clusters=4, n_init=2, random_state=0),
)
assert len(set(flow.fit_predict(X))) == 4
model = FamaFrenchRegressor("ff3", risk_free="RF").fit(universe.factors, universe.returns)
assert model.coef_.shape == (60, 3)
print(f"skfactor {skfactor.__version__}: {names} public names import, both flows run")
"""

RIGHT_CALL = """
from skfactor import AutoencoderReducer
from skfactor.cluster import cluster_profile

reducer: AutoencoderReducer = AutoencoderReducer(n_components=3, patience=None)
print(reducer, cluster_profile)
"""
WRONG_CALL = """
from skfactor import AutoencoderReducer

AutoencoderReducer(n_components="three")
"""


def run(*command: str | Path, **options: object) -> str:
    """Run a command and return what it prints; stop with all it said if it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(folder: Path) -> Path:
    """Make a virtual environment and return its Python."""
    venv.create(folder, with_pip=True)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def build(folder: Path) -> tuple[Path, Path]:
    """Build both, the wheel once more from the sdist alone; return sdist and wheel."""
    python = environment(folder / "builder")
    with (ROOT / "pyproject.toml").open("rb") as file:
        needed = tomllib.load(file)["build-system"]["requires"]
    run(python, "-m", "pip", "install", "-q", *needed)
    run(python, "-m", "hatchling", "build", "-d", folder / "dist", cwd=ROOT)
    (sdist,), (wheel,) = folder.glob("dist/*.tar.gz"), folder.glob("dist/*.whl")
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder / "again", sdist)
    (again,) = folder.glob("again/*.whl")
    assert contents(again) == contents(wheel), "the sdist builds another wheel"
    return sdist, wheel


def contents(archive: Path) -> set[str]:
    """Return the files of a wheel, or of an sdist without its leading folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            return {name for name in file.namelist() if not name.endswith("/")}
    with tarfile.open(archive) as file:
        return {m.name.partition("/")[2] for m in file.getmembers() if m.isfile()}


def check_contents(sdist: Path, wheel: Path) -> None:
    """Check that code and types are in both, and nothing that is not code in the wheel."""
    code = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "skfactor").rglob("*")
        if path.suffix in {".py", ".pyi"} or path.name == "py.typed"
    }
    assert "skfactor/py.typed" in code
    assert "skfactor/__init__.pyi" in code
    inside = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert inside == code, f"the wheel differs in {sorted(inside ^ code)}"
    missing = (code | set(BESIDE_THE_CODE)) - contents(sdist)
    assert not missing, f"the sdist lacks {sorted(missing)}"
    print(f"{wheel.name} and {sdist.name}: {len(code)} files of code and types in both")


def check_metadata(wheel: Path) -> None:
    """Check that the citation names this version, and that the README's links lead somewhere."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (n for n in file.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_string(file.read(name).decode())
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = re.findall(r"^version: (\S+)$", citation, re.M)
    assert cited == [metadata["Version"]], f"CITATION.cff: {cited}; wheel: {metadata['Version']}"
    readme = metadata.get_payload()
    assert readme.startswith("# skfactor"), "the wheel lacks the README"
    relative = re.findall(r"\]\((?![a-z]+:|#)([^)]+)\)", readme)
    assert not relative, f"the wheel's README links to files that are not beside it: {relative}"


def check_names(wheel: Path) -> None:
    """Import every public name from the wheel, with the packages of the Python at hand."""
    # Not from the wheel itself, a zip file: what is public is read from the stubs, as files.
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
        where = f"import sys; sys.path.insert(0, {folder!r})"
        seen = f"assert skfactor.__file__.startswith({folder!r}), skfactor.__file__"
        say = 'print(f"{names} public names import from the wheel")'
        print(run(sys.executable, "-c", "\n".join([where, NAMES, seen, say]), cwd=folder).strip())


def check_types(folder: Path, python: Path) -> None:
    """Check with mypy that a caller sees the types: good code passes, wrong code does not."""
    if find_spec("mypy") is None:
        print("mypy is not at hand: what callers see of the types is not checked")
        return
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "-c"]
    run(*mypy, RIGHT_CALL, cwd=folder)
    said = subprocess.run([*map(str, mypy), WRONG_CALL], capture_output=True, text=True, cwd=folder)
    assert 'expected "int"' in said.stdout, said.stdout
    print("a caller's mypy sees the types")


def check_extras(python: Path, wheel: Path) -> None:
    """Ask pip to resolve each extra, without installing anything."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    install = [python, "-m", "pip", "install", "-q", "--dry-run", "-c", CONSTRAINTS]
    for extra in [*extras, ",".join(extras)]:
        run(*install, f"skfactor[{extra}] @ {wheel.as_uri()}")
        print(f"skfactor[{extra}] resolves")


def main() -> None:
    """Run the checks."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument("--extras", action="store_true", help="resolve every extra as well")
    depth.add_argument("--quick", action="store_true", help="install nothing it depends on")
    parser.add_argument("--folder", type=Path, help="where to build (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        sdist, wheel = build(folder)
        check_contents(sdist, wheel)
        check_metadata(wheel)
        if arguments.quick:
            check_names(wheel)
            return
        python = environment(folder / "user")
        run(python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, wheel)
        print(run(python, "-I", "-c", NAMES + USE, cwd=folder).strip())
        check_types(folder, python)
        if arguments.extras:
            check_extras(python, wheel)


if __name__ == "__main__":
    main()
