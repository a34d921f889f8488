"""What the test files of the chapters share."""

import re
from pathlib import Path
from typing import Any

import nbformat

BOOK = Path(__file__).parents[1] / "book"


def cells(name: str) -> list[nbformat.NotebookNode]:
    """The cells of a chapter's notebook."""
    return nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells


def run_core(name: str, namespace: dict[str, Any], *more_tags: str, skip: str = "") -> dict[str, Any]:
    """Run the cells tagged `core`, or with one of `more_tags`, in a namespace, and nothing else; return it.

    skip: the id of a cell to leave out.
    """
    for cell in cells(name):
        if {"core", *more_tags} & set(cell.metadata.get("tags", [])) and cell.id != skip:
            exec(compile(cell.source, f"{name}.ipynb, cell {cell.id}", "exec"), namespace)
    return namespace


def equations_without_a_function(name: str, namespace: dict[str, Any]) -> list[str]:
    """A chapter's equations that no function's docstring names, or whose function its text does not name."""
    text = "\n".join(cell.source for cell in cells(name) if cell.cell_type == "markdown")
    functions = {name: thing.__doc__ or "" for name, thing in namespace.items() if hasattr(thing, "__code__")}
    numbers = re.findall(r"\\tag\{(.+?)\}", text)
    assert numbers, f"{name} has no numbered equation"
    return [
        number
        for number in numbers
        if not any(f"({number})" in says and f"`{name}`" in text for name, says in functions.items())
    ]


def headings_of(text: str) -> set[str]:
    """The anchors that MyST gives to a page's headings."""
    headings = re.findall(r"^#{1,4} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
