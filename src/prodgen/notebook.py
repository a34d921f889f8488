"""What chapters share on the page: tables and sentences of computed numbers, claims, sources."""

import inspect
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from IPython.display import Markdown, display

from prodgen import evaluation, recorded


def table(rows: Iterable[Iterable[object]], head: Sequence[str]) -> str:
    """A table in Markdown: one text a cell, from whatever the rows hold."""
    lines = head, ["---"] * len(head), *rows
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def say(text: str) -> None:
    """Show Markdown under the cell of a notebook: what a text says by numbers that code has computed."""
    display(Markdown(text))


def claims_table(chapter: str) -> str:
    """The claims that a chapter owns: the article's term, our words, the verdict and why, the controls."""
    rows = []
    for claim in recorded.claims(chapter):
        verdict = evaluation.judge(claim)
        if "not_tested" in claim:
            why = f"{verdict.because} A test would need: {claim['not_tested']['needs']}"
        else:
            why = "; ".join([verdict.because] * bool(verdict.because) + _intervals(claim))
        controls = [f"{one['name']}: {' or '.join(one['must_be'])}" for one in claim["controls"]]
        said = f"{claim['term']} ({claim['section']})"
        rows.append([said, claim["claim"], f"**{verdict.word}**", why, "; ".join(controls)])
    head = ["the article's term", "the claim, in our words", "verdict", "why", "what the rule must say of"]
    return table(rows, head)


def _intervals(claim: Mapping[str, Any]) -> list[str]:
    """Each case's intervals, at 99 per cent, beside the margin."""
    return [
        f"{case}: {', '.join(f'{one.low:.2f} to {one.high:.2f}' for one in measures)} "
        f"(margin {', '.join(dict.fromkeys(f'{one.margin:g}' for one in measures))})"
        for case, measures in evaluation.evidence(claim).items()
    ]


def source(*pieces: object) -> str:
    """The source of functions or classes as they are installed, as a listing in Markdown."""
    code = "\n\n".join(textwrap.dedent(inspect.getsource(piece)).strip() for piece in pieces)
    return f"```python\n{code}\n```"
