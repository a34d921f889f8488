"""What chapters share on the page: tables and sentences of numbers that code has computed."""

from collections.abc import Iterable, Sequence

from IPython.display import Markdown, display


def table(rows: Iterable[Iterable[object]], head: Sequence[str]) -> str:
    """A table in Markdown: one text a cell, from whatever the rows hold."""
    lines = head, ["---"] * len(head), *rows
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def say(text: str) -> None:
    """Show Markdown under the cell of a notebook: what a text says by numbers that code has computed."""
    display(Markdown(text))
