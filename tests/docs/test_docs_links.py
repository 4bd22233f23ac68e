"""What the pages of docs/ point to exists. (Sphinx checks links between pages; this is quick.)"""

import re
from pathlib import Path

import pytest

import skfactor

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = {"api", "auto_examples", "_build"}
PAGES = sorted(
    page for page in DOCS.rglob("*.rst") if page.relative_to(DOCS).parts[0] not in GENERATED
)
SUBPACKAGES = [name for name in skfactor.__all__ if (ROOT / "skfactor" / name).is_dir()]


def relative(page):
    return str(page.relative_to(DOCS))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_documents_that_a_page_links_to_exist(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r":doc:`(?:[^`<]*<)?([^`<>]+)>?`", text)
    missing = [
        target
        for target in targets
        if not (page.parent / f"{target}.rst").exists() and target.split("/")[0] not in GENERATED
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_files_that_a_page_includes_exist(page):
    text = page.read_text(encoding="utf-8")
    included = re.findall(r"^\.\. (?:include|literalinclude|markdown-page):: (\S+)", text, re.M)
    assert [name for name in included if not (page.parent / name).exists()] == []


@pytest.mark.parametrize("name", SUBPACKAGES)
def test_every_subpackage_has_a_page_in_the_guide(name):
    assert (DOCS / "user_guide" / f"{name}.rst").exists()
    assert re.search(rf"^   {name}$", (DOCS / "user_guide" / "index.rst").read_text(), re.M)


@pytest.mark.parametrize("page", ["performance.rst", "performance_table.rst"])
def test_scripts_that_the_performance_page_names_exist(page):
    named = set(re.findall(r"bench_\w+\.py", (DOCS / page).read_text(encoding="utf-8")))
    assert named
    assert [name for name in sorted(named) if not (ROOT / "benchmarks" / name).exists()] == []


def test_every_display_stands_in_the_guide():
    text = (DOCS / "user_guide" / "plotting.rst").read_text(encoding="utf-8")
    assert [name for name in skfactor.plotting.__all__ if f"* - :class:`{name}`" not in text] == []
