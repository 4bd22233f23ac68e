"""Write the API reference from what each subpackage exports, so that a new name gets a page."""

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

# In the order of the data. A subpackage that exports nothing is left out.
SUBPACKAGES = (
    "datasets",
    "panel",
    "preprocessing",
    "decomposition",
    "manifold",
    "cluster",
    "metrics",
    "model_selection",
    "factor_models",
    "portfolios",
    "linear_model",
    "inference",
    "inspection",
    "plotting",
    "exceptions",
)

HEAD = """\
API reference
=============

Every public name, in the order in which data pass through the library. The names that one
types most also import from ``skfactor`` itself: {shortcuts}.

What estimators inherit from scikit-learn (``get_params``, ``set_params``, ``set_output``,
metadata routing) works as scikit-learn documents it and is not repeated here.

.. automodule:: skfactor
"""

SECTION = """
.. _api_{name}:

skfactor.{name}
{underline}

.. automodule:: skfactor.{name}

.. autosummary::
   :toctree: generated
   :nosignatures:

{entries}
"""


def api_index() -> str:
    """Return the reference's index page: one table a subpackage."""
    root = import_module("skfactor")
    shortcuts = [name for name in root.__all__ if not inspect.ismodule(getattr(root, name))]
    parts = [HEAD.format(shortcuts=", ".join(f"``{name}``" for name in shortcuts))]
    unlisted = {n for n in root.__all__ if inspect.ismodule(getattr(root, n))} - {*SUBPACKAGES}
    for name in (*SUBPACKAGES, *sorted(unlisted)):
        module = import_module(f"skfactor.{name}")
        if not getattr(module, "__all__", None):
            continue
        title = f"skfactor.{name}"
        parts.append(
            SECTION.format(
                name=name,
                underline="-" * len(title),
                entries="\n".join(f"   {entry}" for entry in module.__all__),
            )
        )
    return "".join(parts)


def write_index(app, config):
    """Write the page if it has changed (an untouched file is not read again)."""
    page = Path(app.srcdir, "api", "index.rst")
    text = api_index()
    page.parent.mkdir(exist_ok=True)
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def skip_inherited_from_others(app, what, name, obj, skip, options):
    """Leave out members that scikit-learn or Python brought along."""
    if what not in ("class", "exception"):
        return None
    obj = getattr(obj, "fget", None) or getattr(obj, "__func__", obj)
    module = getattr(obj, "__module__", None)
    return True if module is not None and not module.startswith("skfactor") else None


def attribute_docstring(package: str, name: str) -> list[str] | None:
    """Return what stands below an assignment in the module of `package` that holds it."""
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        found = ModuleAnalyzer.for_module(module.name).find_attr_docs().get(("", name))
        if found:
            return found
    return None


def tidy_docstring(app, what, name, obj, options, lines):
    """Prepare types for numpydoc, which reads ``(n_rows_,)`` as a link named ``n_rows``."""
    if what == "data":
        lines[:] = attribute_docstring(*name.rpartition(".")[::2]) or lines
    # A raw docstring keeps its line continuations.
    text = re.sub(r"\\\n *", "", "\n".join(lines))
    text = re.sub(
        r"^\w[\w, ]* : .*$|^.* of shape \(.*$",
        lambda match: re.sub(r"(?<![\w`])(\w+_)(?=[,)])", r"`\1`", match[0]),
        text,
        flags=re.MULTILINE,
    )
    lines[:] = text.split("\n")


def setup(app):
    app.connect("config-inited", write_index)
    app.connect("autodoc-process-docstring", tidy_docstring, priority=400)  # before numpydoc
    app.connect("autodoc-skip-member", skip_inherited_from_others)
    return {"parallel_read_safe": True}
