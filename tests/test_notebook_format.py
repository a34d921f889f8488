"""Every notebook is stored in the one form that Colab, GitHub, git and the build rely on."""

import ast
import json
import operator
import re
from pathlib import Path

import nbformat
import pytest
import setup_cell
from chapters import headings_of
from nbstripout import strip_output

import prodgen.models
import prodgen.training
from prodgen import notebook as helpers

BOOK = setup_cell.ROOT / "book"
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def title_number(name: str) -> str:
    """What the article numbers it: "5.2" for 05-2-implementation; "" for a page that is not in it."""
    rows = (BOOK / "headings.tsv").read_text("utf-8").splitlines()
    if name not in {row.split("\t")[3] for row in rows}:
        return ""
    return ".".join(str(int(n)) for n in re.match(r"\d+(?:-\d+)*", name).group().split("-"))


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_is_valid_and_in_format_4_5(notebook):
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    nbformat.validate(notebook)


def test_holds_no_outputs_and_nothing_that_changes_with_a_run(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [], cell.id
            assert cell.execution_count is None, cell.id
    stripped = strip_output(json_copy(notebook), keep_output=False, keep_count=False, keep_id=True)
    assert stripped == notebook


def json_copy(notebook):
    return nbformat.from_dict(json.loads(json.dumps(notebook)))


def test_is_written_as_jupyter_writes_it(path, notebook):
    assert path.read_text("utf-8") == nbformat.writes(notebook) + "\n"


def test_cell_ids_are_unique(notebook):
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


def test_kernel_is_python3_and_no_interpreter_is_named(notebook):
    assert notebook.metadata.kernelspec.name == "python3"
    assert "version" not in notebook.metadata.get("language_info", {})


def test_title_has_the_number_of_the_file_and_both_headings(path, notebook):
    first = notebook.cells[0]
    headings = [line for line in first.source.splitlines() if line.startswith("# ")]
    assert first.cell_type == "markdown" and len(headings) == 1
    number = title_number(path.stem)
    start = rf"# {re.escape(number)}\.? [A-Z]" if number else "# [A-Z]"
    assert re.match(start, headings[0]), headings[0]
    assert re.search(r"[\u4e00-\u9fff]", headings[0]), "the Chinese heading is missing"


def test_set_up_cell_is_the_common_one_and_second(notebook):
    assert [i for i, cell in enumerate(notebook.cells) if "setup" in tags(cell)] == [1]
    assert tags(notebook.cells[1]) == setup_cell.TAGS
    assert notebook.cells[1].source == setup_cell.source(setup_cell.repository())


def test_parameters_are_preset_and_seed_alone(notebook):
    assert [i for i, cell in enumerate(notebook.cells) if "parameters" in tags(cell)] == [2]
    body = ast.parse(notebook.cells[2].source).body
    assert [ast.unparse(node) for node in body] == ["preset = 'auto'", "seed = 0"]


FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
SHOWN = 0.45  # of the lines that a reader of the first five chapters sees, at most so many are code


def filled(text: str) -> int:
    """How many lines are not blank; a solution that waits to be opened does not count."""
    text = re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)
    return sum(bool(line.strip()) for line in text.splitlines())


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem < "06"], ids=lambda p: p.stem)
def test_more_than_half_of_what_a_reader_sees_is_words(path):
    cells = nbformat.read(path, as_version=nbformat.NO_CONVERT).cells
    code = sum(filled(c.source) for c in cells if c.cell_type == "code" and not FOLDED & {*tags(c)})
    words = sum(filled(c.source) for c in cells if c.cell_type == "markdown")
    assert code <= SHOWN * (code + words), f"{code} lines of code beside {words} of text: fold plumbing"


WIDE = 79  # characters of a code line, as PEP 8 has them


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem < "06"], ids=lambda p: p.stem)
def test_code_that_a_reader_sees_has_short_lines(path):
    cells = nbformat.read(path, as_version=nbformat.NO_CONVERT).cells
    shown = [c for c in cells if c.cell_type == "code" and not FOLDED & {*tags(c)}]
    long = [f"{c.id}: {line}" for c in shown for line in c.source.splitlines() if len(line) > WIDE]
    assert not long, "\n".join(["break these lines:", *long])


def test_a_listing_of_the_package_that_a_reader_sees_has_short_lines():
    book = [nbformat.read(path, as_version=nbformat.NO_CONVERT) for path in NOTEBOOKS]
    cells = [cell.source for nb in book for cell in nb.cells if cell.cell_type == "code"]
    asked = [re.findall(r"\bsource\(((?:(?:data|models|training)\.[\w., ]+)+)\)", text) for text in cells]
    pieces = [name.strip() for found in asked for names in found for name in names.split(",")]
    assert len(pieces) > 10
    for piece in pieces:
        listing = helpers.source(operator.attrgetter(piece)(prodgen))
        long = [line for line in listing.splitlines() if len(line) > WIDE]
        assert not long, f"{piece}: {long}"


def test_figures_have_a_caption_a_name_and_alternative_text(notebook):
    for cell in notebook.cells:
        mystnb = cell.metadata.get("mystnb", {})
        if "figure" in mystnb or "image" in mystnb:
            assert mystnb["image"]["alt"].strip(), cell.id
            assert mystnb["figure"]["caption"].strip(), cell.id
            assert mystnb["figure"]["name"].startswith("fig-"), cell.id


def test_figure_names_are_unique_in_the_book():
    books = [nbformat.read(path, as_version=nbformat.NO_CONVERT) for path in NOTEBOOKS]
    figures = [cell.metadata.get("mystnb", {}).get("figure", {}) for nb in books for cell in nb.cells]
    names = [figure["name"] for figure in figures if figure]
    assert len(set(names)) == len(names)


def test_a_long_chapter_has_a_path_of_five_minutes_through_its_own_headings(notebook):
    words = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    text = "\n\n".join(words)
    path = re.search(r"\*\*In five minutes\*\*, read (.+)\n", text)
    long = len(re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL).split()) > 3_000
    assert bool(path) == long
    if path:
        linked = re.findall(r"\]\(#([\w-]+)\)", path[1])
        assert len(linked) > 3 and set(linked) <= headings_of(text)
