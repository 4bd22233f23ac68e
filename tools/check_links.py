"""Check that every link within a built site, and every picture, leads somewhere.

    python tools/check_links.py docs/_build/html [FILE.md ...]

Sphinx warns of references that it cannot resolve, but not of plain links to pages, of links in
raw HTML and pictures, and of anchors in those. This reads the pages as a browser gets them.
Markdown files named after the site must link to files that exist beside them. Links to other
hosts are not followed. Needs no package beyond Python's own.
"""

import argparse
import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Pages of the search and what a theme brings are made of templates, which Sphinx fills.
LEFT_OUT = {"_static", "_downloads", "_sources"}


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what links, and what can be linked to."""
        for name, value in attrs:
            if name in {"href", "src", "xlink:href"} and value:
                self.links.add(value)
            elif name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")


@cache
def read(path: Path) -> Page:
    """Read a page once."""
    return Page(path.read_text(encoding="utf-8"))


def fault(link: str, page: Path, root: Path) -> str:
    """Say what is wrong with a link of a page, or nothing."""
    target = urlsplit(link)
    if target.scheme or target.netloc:
        return ""
    start = root if target.path.startswith("/") else page.parent
    path = start / unquote(target.path).lstrip("/") if target.path else page
    if path.is_dir():
        path = path / "index.html"
    if not path.exists():
        return "no such file"
    if target.fragment and path.suffix == ".html":
        anchor = unquote(target.fragment)
        if anchor not in read(path).anchors:
            return f"no such place on {path.resolve().relative_to(root)}"
    return ""


def faults_of_site(root: Path) -> list[str]:
    """Return a line for each link of a site that leads nowhere."""
    root = root.resolve()
    pages = [
        p for p in sorted(root.rglob("*.html")) if p.relative_to(root).parts[0] not in LEFT_OUT
    ]
    if not pages:
        sys.exit(f"{root} holds no pages; build the site first.")
    found = []
    for page in pages:
        for link in sorted(read(page).links):
            wrong = fault(link, page, root)
            if wrong:
                found.append(f"{page.relative_to(root)}: {link}: {wrong}")
    print(f"{len(pages)} pages read")
    return found


def faults_of_markdown(file: Path) -> list[str]:
    """Return a line for each link of a Markdown file to a file that is not there."""
    links = re.findall(r"\]\(([^)\s]+)\)", file.read_text(encoding="utf-8"))
    return [
        f"{file}: {link}: no such file"
        for link in links
        if not urlsplit(link).scheme and not (file.parent / unquote(urlsplit(link).path)).exists()
    ]


def main() -> None:
    """Run the check; a broken link fails it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="folder of the built pages")
    parser.add_argument("markdown", type=Path, nargs="*", help="Markdown files of the repository")
    arguments = parser.parse_args()
    found = faults_of_site(arguments.site)
    for file in arguments.markdown:
        found += faults_of_markdown(file)
    if found:
        sys.exit("\n".join(["Links that lead nowhere:", *found]))
    print("every link leads somewhere")


if __name__ == "__main__":
    main()
