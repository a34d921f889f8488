"""What the test files of the chapters share."""

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
