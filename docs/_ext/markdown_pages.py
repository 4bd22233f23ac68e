"""A directive that shows a Markdown file of the repository, so that it is written once.

It knows what CHANGELOG.md and CONTRIBUTING.md use: headings, paragraphs, lists, code in
backticks, fenced code and links.
"""

import re
from pathlib import Path

from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

UNDERLINES = "=-~^"


def to_rst(markdown: str) -> str:
    """Convert the Markdown described above to reStructuredText."""
    out: list[str] = []
    fenced = False
    for line in markdown.splitlines():
        fence = re.match(r"\s*```(\w*)", line)
        heading = re.match(r"(#+) (.+)", line)
        if fence:
            fenced = not fenced
            out += ["", f".. code-block:: {fence[1] or 'text'}", ""] if fenced else [""]
        elif fenced:
            out.append(f"   {line}")
        elif heading:
            title = inline(heading[2])
            out += ["", title, UNDERLINES[len(heading[1]) - 1] * len(title), ""]
        else:
            out.append(inline(line))
    return "\n".join(out)


def inline(text: str) -> str:
    """Convert code and links within a line."""
    text = re.sub(r"`([^`]+)`", r"``\1``", text)
    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"`\1 <\2>`__", text)


class MarkdownPage(SphinxDirective):
    """``.. markdown-page:: ../CHANGELOG.md``."""

    required_arguments = 1

    def run(self):
        """Put the converted lines in place of the directive."""
        path = Path(self.env.srcdir, self.arguments[0]).resolve()
        self.env.note_dependency(str(path))
        lines = to_rst(path.read_text(encoding="utf-8")).splitlines()
        self.state_machine.insert_input(StringList(lines, str(path)), str(path))
        return []


def setup(app):
    app.add_directive("markdown-page", MarkdownPage)
    return {"parallel_read_safe": True}
