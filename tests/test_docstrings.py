"""What the documentation says is what the code does."""

import ast
import doctest
import importlib
import inspect
import itertools
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from _discovery import public_estimators, public_objects
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

from skfactor.exceptions import MissingDatesWarning, PerplexityWarning

# Left to taste, with the reason for each.
IGNORED = {
    "ES01",  # an extended summary is not always needed
    "EX01",  # all that is public has examples (tested below); methods need none
    "GL01",  # the summary starts on the line of the quotes, as everywhere in this library
    "GL03",  # blank lines are the formatter's
    "SA01",  # "See Also" only where there is something to see
    "SA04",  # its entries need no description where the name says it
    "PR02",  # **parameters of scikit-learn's generated methods
    "RT03",  # "self : object" says enough
    "YD01",
}

OBJECTS = {
    name: thing
    for name, thing in public_objects().items()
    if inspect.isclass(thing) or inspect.isfunction(thing)
}


def _docstring_of_value(name: str) -> str:
    """Return what stands below the assignment of a public value, where Sphinx reads it."""
    package, _, value = name.rpartition(".")
    for module in Path(importlib.import_module(package).__file__).parent.glob("_*.py"):
        statements = ast.parse(module.read_text(encoding="utf-8")).body
        for statement, below in itertools.pairwise(statements):
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == value:
                return ast.literal_eval(below.value)
    raise LookupError(name)


VALUES = {name: _docstring_of_value(name) for name in public_objects() if name not in OBJECTS}
METHODS = {
    f"{name}.{method}": member
    for name, thing in OBJECTS.items()
    if inspect.isclass(thing)
    for method, member in vars(thing).items()
    if not method.startswith("_") and inspect.isfunction(member)
}


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_docstring_is_valid_numpydoc(name):
    errors = [f"{code}: {text}" for code, text in validate(name)["errors"] if code not in IGNORED]
    assert not errors


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_has_an_example(name):
    assert NumpyDocString(inspect.cleandoc(OBJECTS[name].__doc__))["Examples"]


@pytest.mark.parametrize("name", OBJECTS)
def test_references_are_numbered_and_hold_what_is_cited(name):
    doc = inspect.cleandoc(OBJECTS[name].__doc__)
    listed = re.findall(r"^\.\. \[(\d)\] ", doc, re.MULTILINE)
    assert listed == [str(i + 1) for i in range(len(listed))]
    assert set(re.findall(r"\[(\d)\]_", doc)) <= {*listed}


@pytest.mark.parametrize("name", VALUES)
def test_example_of_a_value_runs(name, capsys):
    # pytest collects no docstring that stands below an assignment.
    test = doctest.DocTestParser().get_doctest(VALUES[name], {}, name, None, None)
    assert test.examples
    failed, _ = doctest.DocTestRunner().run(test)
    assert not failed, capsys.readouterr().out


def _documented_defaults(doc: str) -> dict[str, str]:
    parameters = NumpyDocString(inspect.cleandoc(doc))["Parameters"]
    return {
        name.strip("* "): parameter.type
        for parameter in parameters
        for name in parameter.name.split(",")
    }


def wrong_defaults(thing: Callable[..., Any]) -> list[str]:
    """Say which parameters are documented with another default than they have."""
    documented = _documented_defaults(thing.__doc__ or "")
    try:
        signature = inspect.signature(thing)
    except ValueError:  # an exception class has no signature of its own
        return []
    wrong = []
    for parameter in signature.parameters.values():
        if parameter.name not in documented or parameter.kind is parameter.VAR_KEYWORD:
            continue
        kind = documented[parameter.name]
        if kind == "None":  # y, which is there for the interface alone
            continue
        text = kind.partition("default=")[2]
        if parameter.default is parameter.empty:
            if "default" in kind:
                wrong.append(f"{parameter.name} has no default")
        elif not text:
            wrong.append(f"{parameter.name}: {parameter.default!r} is not documented")
        elif ast.literal_eval(text) != parameter.default:
            wrong.append(f"{parameter.name}: {parameter.default!r} is documented as {text}")
    return wrong


@pytest.mark.parametrize("name", [*OBJECTS, *METHODS])
def test_documented_default_is_the_signature_s(name):
    assert not wrong_defaults({**OBJECTS, **METHODS}[name])


def _small_panel() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [pd.date_range("2020-01-31", periods=6, freq="ME"), [f"A{i}" for i in range(12)]],
        names=["date", "asset"],
    )
    X = pd.DataFrame(rng.normal(size=(len(index), 5)), index, [f"c{i}" for i in range(5)])
    return X, pd.Series(rng.normal(size=len(index)), index, name="ret")


def _factors_and_returns() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    dates = pd.period_range("2010-01", periods=80, freq="M")
    factors = pd.DataFrame(rng.normal(0, 0.04, (80, 2)), dates, ["Mkt-RF", "SMB"])
    return factors, pd.DataFrame(rng.normal(0, 0.1, (80, 3)), dates, ["a", "b", "c"])


@pytest.mark.parametrize("name", public_estimators())
def test_documented_attributes_are_the_fitted_ones(name):
    estimator = public_estimators()[name]()
    rows_are_dates = "FamaFrench" in name
    X, y = _factors_and_returns() if rows_are_dates else _small_panel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingDatesWarning)
        warnings.simplefilter("ignore", PerplexityWarning)
        estimator.fit(X, y)
    documented = {
        a.name for a in NumpyDocString(inspect.cleandoc(type(estimator).__doc__))["Attributes"]
    }
    fitted = {a for a in vars(estimator) if a.endswith("_") and not a.startswith("_")}
    assert documented - {a for a in documented if hasattr(estimator, a)} == set()
    assert fitted <= documented
    declared = {
        a for base in type(estimator).__mro__ for a in vars(base).get("__annotations__", {})
    }
    assert fitted <= declared | {"n_features_in_", "feature_names_in_"}


def test_the_default_check_finds_a_wrong_default():
    def wrong(x: float, alpha: float = 1.0, beta: int = 2, gamma: str = "c", **more: int) -> None:
        """Do nothing.

        Parameters
        ----------
        x : float, default=0.0
            A number.
        alpha : float, default=2.0
            A number.
        beta : int
            A number.
        gamma : {"c"}, default="c"
            A letter.
        **more : dict
            More.
        """

    assert wrong_defaults(wrong) == [
        "x has no default",
        "alpha: 1.0 is documented as 2.0",
        "beta: 2 is not documented",
    ]
