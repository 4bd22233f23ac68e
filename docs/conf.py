"""Sphinx configuration."""

import os
import sys
from pathlib import Path

# Small nets on shared cores run many times slower with several threads than with one; the
# gallery trains some.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("SKFACTOR_OUTPUT", "")  # examples write no files of their own here

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import skfactor  # noqa: E402

project = "skfactor"
author = "The skfactor developers"
copyright = "The skfactor developers, BSD-3-Clause"
version = release = skfactor.__version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # equations show without a network
    "api_tables",
    "markdown_pages",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "performance_table.rst"]
smartquotes = False  # a default is "adam", not “adam”
default_role = "literal"  # numpydoc writes parameters in single backticks
nitpicky = True

# -- Links to other projects ---------------------------------------------------------------
# Their inventories live on the network. Without it (the default) names of other projects stay
# plain text, so that the same sources build anywhere without a warning; a build for the web
# sets SKFACTOR_DOCS_ONLINE=1 and turns them into links.
OTHER_PROJECTS = {
    "matplotlib": "https://matplotlib.org/stable",
    "numpy": "https://numpy.org/doc/stable",
    "pandas": "https://pandas.pydata.org/docs",
    "python": "https://docs.python.org/3",
    "skorch": "https://skorch.readthedocs.io/en/stable",
    "sklearn": "https://scikit-learn.org/stable",
    "statsmodels": "https://www.statsmodels.org/stable",
    "torch": "https://docs.pytorch.org/docs/stable",
}
if os.environ.get("SKFACTOR_DOCS_ONLINE") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {name: (url, None) for name, url in OTHER_PROJECTS.items()}
else:
    nitpick_ignore_regex = [("py:.*", rf"({'|'.join(OTHER_PROJECTS)})(\..*)?")]
nitpick_ignore = [
    ("py:class", "UserWarning"),
    ("py:class", "KeyboardInterrupt"),
]

# -- Reference -----------------------------------------------------------------------------
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's Parameters say it, with shapes
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the class template lists them
numpydoc_xref_param_type = False
add_module_names = False
toc_object_entries_show_parents = "hide"

# -- Gallery -------------------------------------------------------------------------------
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"/_",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "auto_examples/backreferences",
    "doc_module": ("skfactor",),
    "reference_url": {"skfactor": None},
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "write_computation_times": False,  # its page loads scripts from the network
}

# -- Pages ---------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = f"skfactor {release}"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["skfactor.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skfactor"},
    "show_prev_next": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "index": [],
    "install": [],
    "quickstart": [],
    "quickstart_factors": [],
    "pitfalls": [],
    "coming_from": [],
    "extending": [],
    "scaling": [],
    "performance": [],
    "references": [],
    "changes": [],
    "results/*": [],
}
