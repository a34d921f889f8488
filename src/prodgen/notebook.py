"""What chapters share on the page: tables and sentences of computed numbers, claims, sources."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ipywidgets
from IPython.display import Markdown, display

from prodgen import evaluation, recorded

WIDE = 79  # columns of code that a reader sees
LAB_DATA = "application/vnd.prodgen.lab+json"  # an output that the book's build takes out of a notebook


def table(rows: Iterable[Iterable[object]], head: Sequence[str]) -> str:
    """A table in Markdown: one text a cell, from whatever the rows hold."""
    lines = head, ["---"] * len(head), *rows
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def say(text: str) -> None:
    """Show Markdown under the cell of a notebook: what a text says by numbers that code has computed."""
    display(Markdown(text))


def lab_controls(lab: str) -> dict[str, ipywidgets.Widget]:
    """The controls of a lab as widgets, by name: the page's lab reads the same description."""
    made: dict[str, ipywidgets.Widget] = {}
    for name, about in recorded.labs()[lab]["controls"].items():
        common = {"description": about["label"], "style": {"description_width": "initial"}}
        if options := about.get("options"):
            named = [(f"{option:,}" if isinstance(option, int) else option, option) for option in options]
            made[name] = ipywidgets.Dropdown(options=named, value=about["default"], **common)
            continue
        bounds = {key: about[key] for key in ("min", "max", "step")}
        if about.get("log"):
            made[name] = ipywidgets.FloatLogSlider(**bounds, value=10 ** about["default"], **common)
        else:
            kind = ipywidgets.IntSlider if isinstance(about["step"], int) else ipywidgets.FloatSlider
            made[name] = kind(**bounds, value=about["default"], **common)
    return made


def hand_over(lab: str, data: object) -> None:
    """Give the lab in the page what it draws, as JSON. A notebook shows nothing of it."""
    display({LAB_DATA: {lab: data}, "text/plain": ""}, raw=True)


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
        f"{case}: {', '.join(f'{_short(one.low)} to {_short(one.high)}' for one in measures)} "
        f"(margin {', '.join(dict.fromkeys(f'{one.margin:g}' for one in measures))})"
        for case, measures in evaluation.evidence(claim).items()
    ]


def _short(value: float) -> str:
    """Two decimals, three of a small number, and a large one as a power of ten."""
    if abs(value) < 0.1:
        return f"{value:.3f}"
    return f"{value:.2f}" if abs(value) < 1e4 else f"{value:.0e}"


def source(*pieces: object) -> str:
    """The source of functions or classes as they are installed, as a listing in Markdown.

    Signatures and docstrings are broken anew: a file has longer lines than a page has room for.
    """
    return "```python\n" + "\n\n".join(_narrow(inspect.getsource(piece)) for piece in pieces) + "\n```"


def _narrow(code: str) -> str:
    """The same code without its indentation, its signatures and docstrings no wider than a reader sees."""
    code = textwrap.dedent(code).strip()
    lines = code.splitlines()
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    for node in sorted(nodes, key=lambda node: node.lineno, reverse=True):  # lines above keep their numbers
        place = node.body[0]
        if text := ast.get_docstring(node):
            edge = " " * place.col_offset
            broken = textwrap.TextWrapper(WIDE, initial_indent=edge, subsequent_indent=edge)
            paragraphs = f'"""{text}'.split("\n\n")
            ending = f'\n{edge}"""' if len(paragraphs) > 1 else '"""'
            text = "\n\n".join(broken.fill(paragraph) for paragraph in paragraphs) + ending
            lines[place.lineno - 1 : place.end_lineno] = [text]
        signature, edge = lines[node.lineno - 1], " " * node.col_offset
        if len(signature) > WIDE:
            name, arguments, gives = re.fullmatch(r"(.*?\()(.*)(\).*)", signature).groups()
            lines[node.lineno - 1] = f"{name}\n{edge}    {arguments}\n{edge}{gives}"
    return "\n".join(lines)
