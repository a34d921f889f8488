"""The sections of the built pages, for the search: title, anchor and prose of each, as a classic script.

A script, because a page that was opened as a file may load one and may not fetch anything. Chinese stays as
it stands, so that a part of a word is found.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# Of a page's article, what is no prose: code and what it printed, formulas, drawings, marks for the mouse.
SKIPPED_TAGS = {"script", "style", "svg", "pre", "button", "template"}
SKIPPED_CLASSES = {"headerlink", "math", "live", "lab", "collapsed", "expanded"}


class Sections(HTMLParser):
    """Of one page: `found` is [[title, anchor, prose], …], the page itself first, with no anchor.

    A section begins at a heading, and at each term of a glossary.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[list[str]] = []
        self._path: list[tuple[str, bool]] = []  # open elements, and whether their text counts
        self._ids: list[str] = []  # the anchors of the open <section>s
        self._title = False  # inside a heading or a term
        self.feed(html)
        self.found = [[tidy(title), anchor, tidy(prose)] for title, anchor, prose in self.found]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        counts = self._path[-1][1] if self._path else False
        skipped = tag in SKIPPED_TAGS or SKIPPED_CLASSES & set((attributes.get("class") or "").split())
        if counts and skipped and self.found:
            self._write(" … " if "math" in (attributes.get("class") or "") else " ")
        if tag in VOID:
            self._write(" " if tag == "br" else "")
            return
        self._path.append((tag, (counts or tag == "article") and not skipped))
        if tag == "section":
            self._ids.append(attributes.get("id") or "")
        elif counts and re.fullmatch("h[1-6]", tag):
            self._begin(self._ids[-1] if self.found and self._ids else "")
        elif counts and tag == "dt" and (attributes.get("id") or "").startswith("term-"):
            self._begin(attributes["id"], of_glossary=True)

    def handle_endtag(self, tag: str) -> None:
        while self._path and any(open_tag == tag for open_tag, _ in self._path):
            closed, _ = self._path.pop()
            if closed == "section":
                self._ids.pop()
            if self._title and re.fullmatch("h[1-6]|dt", closed):
                self._title = False
            if closed == tag:
                break
        if tag not in ("a", "b", "code", "em", "i", "span", "strong", "sub", "sup"):
            self._write(" ")

    def handle_data(self, data: str) -> None:
        if self._path and self._path[-1][1]:
            self._write(data)

    def _begin(self, anchor: str, of_glossary: bool = False) -> None:
        again = of_glossary and self.found[-1][1].startswith("term-") and not self.found[-1][2].strip()
        if again:  # the same term in another language
            self.found[-1][0] += " "
        else:
            self.found.append(["", anchor, ""])
        self._title = True

    def _write(self, text: str) -> None:
        if self.found:
            self.found[-1][0 if self._title else 2] += text


def tidy(text: str) -> str:
    """One blank between words; none before a stop, and one ellipsis for several formulas in a row."""
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r" ([,.;:)])", r"\1", re.sub(r"…( …)+", "…", text))


def write(html: Path) -> None:
    """Write `_static/sections.js`: [address, [[title, anchor, prose], …]] of each page of the book."""
    pages = [
        [path.relative_to(html).as_posix(), Sections(path.read_text("utf-8")).found]
        for path in sorted((html / "book").glob("*.html"))
    ]
    script = f"const bookSections = {json.dumps(pages, ensure_ascii=False, separators=(',', ':'))};\n"
    (html / "_static" / "sections.js").write_text(script, "utf-8")
