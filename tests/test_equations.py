"""Every numbered equation of a notebook has a function that computes it, and says which.

An equation has a label, `$$ … $$ (eq-5-2-kl)`, and a number, `\\tag{5.2–6}`, which tools/equations.py writes.
Its function is either defined in the notebook, in a later cell, with a docstring that names the number in
brackets; or it is the package's, and the text from the equation to the next one names it in backticks:
`losses.gaussian_kl`.
"""

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import equations as numbering
import nbformat
import pytest

import prodgen

NOTEBOOKS = sorted((Path(__file__).parents[1] / "book").glob("*.ipynb"))
MODULES = {path.stem for path in Path(prodgen.__file__).parent.iterdir() if not path.stem.startswith("_")}
NUMBER = re.compile(r"\\tag\{([^}]*)\}\s*\$\$ *\([\w-]+\)")
NAME = re.compile(r"`((?:prodgen\.)?(\w+)\.[A-Za-z_][\w.]*)(?:\([^`]*\))?`")
NAMED = re.compile(r"\beq\.? \((\d[\d.]*–\d+|eq-[\w-]+)\)", re.IGNORECASE)


class Equation(NamedTuple):
    number: str
    cell: int
    text: str  # what is said from here to the next numbered equation, or to the end of the cell


def equations(cells: list) -> list[Equation]:
    found = []
    for index, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            matches = list(NUMBER.finditer(cell.source))
            ends = [match.start() for match in matches[1:]] + [len(cell.source)]
            for match, end in zip(matches, ends, strict=False):  # no match, one end
                found.append(Equation(match[1], index, cell.source[match.end() : end]))
    return found


def documented(cells: list) -> Iterator[tuple[int, str, str]]:
    """Index of the cell, name and docstring of every function and class that a notebook defines."""
    for index, cell in enumerate(cells):
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    yield index, node.name, ast.get_docstring(node) or ""


@functools.cache
def in_package(name: str) -> object | None:
    """What a dotted name of the package stands for; None if there is no such thing."""
    first, *rest = name.removeprefix("prodgen.").split(".")
    found = importlib.import_module(f"prodgen.{first}")
    for attribute in rest:
        found = getattr(found, attribute, None)
    return found


def named(text: str) -> list[str]:
    """The dotted names in backticks that begin with a module of the package."""
    return [name for name, module in NAME.findall(text) if module in MODULES]


def without_function(cells: list) -> list[str]:
    """The numbered equations that no function answers."""
    docstrings, missing = list(documented(cells)), []
    for equation in equations(cells):
        own = any(i > equation.cell and f"({equation.number})" in doc for i, _, doc in docstrings)
        if not own and not any(callable(in_package(name)) for name in named(equation.text)):
            missing.append(equation.number)
    return missing


def read(path: Path) -> list:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT).cells


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_numbered_equation_has_its_function(path):
    missing = without_function(read(path))
    assert not missing, f"name these in the docstring of the function that computes them: {missing}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_an_equation_that_a_docstring_names_exists(path):
    cells = read(path)
    numbers = {equation.number for equation in equations(cells)}
    for _, name, doc in documented(cells):
        unknown = set(NAMED.findall(doc)) - numbers
        assert not unknown, f"{name} names an equation that is not in the chapter: {unknown}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_text_names_of_the_package_exists(path):
    for cell in read(path):
        if cell.cell_type == "markdown":
            for name in named(cell.source):
                assert in_package(name) is not None, f"there is no prodgen.{name}"


def test_an_equation_s_number_is_unique_in_the_book():
    numbers = [equation.number for path in NOTEBOOKS for equation in equations(read(path))]
    assert numbers and len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_numbers_are_those_that_the_tool_writes(path):
    nb = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    before = nbformat.writes(nb)
    numbering.number(nb)
    assert nbformat.writes(nb) == before, "run `python tools/equations.py`"


def test_numbers_follow_the_order_and_code_follows_the_numbers():
    text = cell("$$ b $$ (eq-3-1-b)\n\n$$ a \\tag{3.1–1} $$ (eq-3-1-a)", "markdown")
    code = cell('def f():\n    """Eq. (3.1–1), eq. (eq-3-1-b)."""')
    numbering.number(nb := nbformat.v4.new_notebook(cells=[text, code]))
    assert [equation.number for equation in equations(nb.cells)] == ["3.1–1", "3.1–2"]
    assert "Eq. (3.1–2), eq. (3.1–1)." in code.source


def cell(source: str, kind: str = "code") -> nbformat.NotebookNode:
    return getattr(nbformat.v4, f"new_{kind}_cell")(source)


@pytest.mark.parametrize(
    ("text", "code", "answered"),
    [
        ("$$ a \\tag{1–1} $$ (eq-1)", 'def f():\n    """It is a, eq. (1–1)."""', True),
        ("$$ a \\tag{1–1} $$ (eq-1)", 'class F:\n    def f(self):\n        """Eq. (1–1)."""', True),
        ("$$ a \\tag{1–1} $$ (eq-1)", 'def f():\n    """Eq. (1–10)."""', False),
        ("$$ a \\tag{1–1} $$ (eq-1)", "def f():\n    return 1  # eq. (1–1)", False),
        ("$$ a \\tag{1–1} $$ (eq-1) is `losses.elbo(x, y)`.", "", True),
        ("$$ a \\tag{1–1} $$ (eq-1) is `prodgen.losses.elbo`.", "", True),
        ("$$ a \\tag{1–1} $$ (eq-1) is `losses.no_such_loss`.", "", False),
        ("$$ a \\tag{1–1} $$ (eq-1) is `math.exp`.", "", False),
        ("`losses.elbo` is $$ a \\tag{1–1} $$ (eq-1)", "", False),
        ("$$ a $$ and no number", "", True),
    ],
)
def test_what_counts_as_an_answer(text, code, answered):
    assert (without_function([cell(text, "markdown"), cell(code)]) == []) == answered


def test_a_function_must_follow_its_equation_and_the_text_must_be_its_own():
    function = cell('def f():\n    """Eq. (1–1)."""')
    assert without_function([function, cell("$$ a \\tag{1–1} $$ (eq-1)", "markdown")]) == ["1–1"]
    two = cell("$$ a \\tag{1–1} $$ (eq-1) $$ b \\tag{1–2} $$ (eq-2) is `losses.elbo`.", "markdown")
    assert without_function([two]) == ["1–1"]
    assert inspect.isfunction(in_package("losses.elbo"))
