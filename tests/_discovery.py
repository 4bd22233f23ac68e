"""Find everything that is public, so that a new name is tested by existing."""

import importlib
import inspect
from typing import Any

from sklearn.base import BaseEstimator

import skfactor


def public_modules() -> list[str]:
    """Return the dotted names of the public subpackages."""
    return sorted(
        f"skfactor.{name}" for name in skfactor.__all__ if inspect.ismodule(getattr(skfactor, name))
    )


def public_objects() -> dict[str, Any]:
    """Map the dotted name of each public class, function and value to itself."""
    found = {}
    for module in public_modules():
        namespace = importlib.import_module(module)
        for name in namespace.__all__:
            found[f"{module}.{name}"] = getattr(namespace, name)
    return found


def public_estimators() -> dict[str, type[BaseEstimator]]:
    """Map the dotted name of each public estimator class to the class."""
    return {
        name: thing
        for name, thing in public_objects().items()
        if inspect.isclass(thing)
        and issubclass(thing, BaseEstimator)
        and not inspect.isabstract(thing)
    }
