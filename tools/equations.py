"""One number for each equation, the same on the page, in docstrings, in Colab and on GitHub.

    python tools/equations.py

An equation is labelled by its author, `$$ … $$ (eq-3-1-best)`. Its number is the page's, then its place on
the page: (3.1–2). This tool writes it into the formula as `\\tag{3.1–2}`, which whatever shows a notebook
prints, and in the place of the label in code: `eq. (eq-3-1-best)` becomes `eq. (3.1–2)`. Where equations have
moved, the numbers in code move with them. On the pages Sphinx has numbers of its own; `setup` gives it these.
"""

import re
from pathlib import Path
from typing import Any

import nbformat

BOOK = Path(__file__).resolve().parents[1] / "book"
EQUATION = re.compile(r"(?:\s*\\tag\{([^}]*)\})?\s*\$\$ *\((eq-([\d-]+)-[\w-]+)\)")
IN_CODE = re.compile(r"\((eq-[\w-]+|\d[\d.]*–\d+)\)")
TAG = re.compile(r"\s*\\tag\{([^}]*)\}")


def number(nb: nbformat.NotebookNode) -> None:
    """Write the numbers of a notebook's equations into its formulas and its code, in place."""
    new: dict[str, str] = {}  # by the label, and by the number that was there before

    def tagged(match: re.Match) -> str:
        old, label, section = match.groups()
        new[label] = f"{section.replace('-', '.')}–{sum(key.startswith('eq-') for key in new) + 1}"
        if old:
            new[old] = new[label]
        return f"\n\\tag{{{new[label]}}}\n$$ ({label})"

    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = EQUATION.sub(tagged, cell.source)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.source = IN_CODE.sub(lambda match: f"({new.get(match[1], match[1])})", cell.source)


def setup(app: Any) -> dict[str, bool]:
    """As an extension of Sphinx: an equation's number on its page, and in every reference, is its tag."""

    def renumber(app: Any, doctree: Any) -> None:
        known = app.env.get_domain("math").equations
        for node in doctree.findall(lambda node: node.tagname == "math_block"):
            if (tag := TAG.search(node.astext())) and node.get("label"):
                node.children = [type(node[0])(TAG.sub("", node.astext()))]
                node["number"] = tag[1]
                known[node["label"]] = app.env.docname, tag[1]

    app.connect("doctree-read", renumber)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    for path in sorted(BOOK.glob("*.ipynb")):
        nb = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        number(nb)
        path.write_text(nbformat.writes(nb) + "\n", "utf-8")
