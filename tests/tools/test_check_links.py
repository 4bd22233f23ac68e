"""Links of the built pages: what leads nowhere is found, and only that."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "check_links.py"
GOOD = """
<html><body>
<a href="guide/page.html#there">a page and a place on it</a> <a href="#here">this page</a>
<a href="guide/">a folder</a> <a href="https://example.org/none">elsewhere</a>
<a href="mailto:a@example.org">mail</a> <p id="here"></p>
<img src="picture%20one.png"><svg><a href="guide/page.html"></a></svg>
</body></html>
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "guide").mkdir()
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "guide" / "index.html").write_text('<a href="/index.html">up</a>')
    (tmp_path / "guide" / "page.html").write_text('<h1 id="there"></h1><a href="../">up</a>')
    (tmp_path / "picture one.png").touch()
    return tmp_path


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True
    )


def test_a_site_without_broken_links_passes(site):
    done = run(site)
    assert done.returncode == 0, done.stderr
    assert "3 pages read" in done.stdout


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ('<a href="nowhere.html">', "index.html: nowhere.html: no such file"),
        ('<a href="#nowhere">', "index.html: #nowhere: no such place on index.html"),
        (
            '<a href="guide/page.html#where">',
            "guide/page.html#where: no such place on guide/page.html",
        ),
        ('<img src="lost.png">', "index.html: lost.png: no such file"),
        ('<svg><a href="guide/none.html"></a></svg>', "guide/none.html: no such file"),
    ],
)
def test_a_link_that_leads_nowhere_is_named(site, broken, said):
    (site / "index.html").write_text(GOOD + broken)
    done = run(site)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2
    assert said in done.stderr


def test_links_of_markdown_files_are_followed_too(site):
    (site / "README.md").write_text("[a](guide/page.html) [b](https://example.org) [c](lost.md)")
    done = run(site, site / "README.md")
    assert done.returncode == 1
    assert "lost.md: no such file" in done.stderr
    assert done.stderr.count("no such file") == 1


def test_a_folder_without_pages_is_no_success(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 1
    assert "build the site first" in done.stderr
