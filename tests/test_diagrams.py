"""Diagrams: each in the book has its picture, which stands on its own and belongs to today's text."""

import shutil
import xml.etree.ElementTree as ElementTree

import diagrams
import pytest
import reading
from nbformat.v4 import new_markdown_cell, new_notebook

WANTED = list(diagrams.diagrams(diagrams.BOOK))
FENCE = "One.\n\n```mermaid\nflowchart TD\n    accDescr: A goes to B.\n    A --> B\n```\n\nTwo.\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with the picture of FENCE, the second diagram of the chapter `ch`."""
    picture = diagrams.finished(SVG, diagrams.FENCE.search(FENCE)[1])
    (tmp_path / "ch-2.svg").write_bytes(picture)
    return tmp_path


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="100%" role="graphics-document" aria-labelledby="a" '
    'viewBox="9.5 0 40.25 20.75"><title id="a">T</title><desc>A goes to B.</desc>'
    '<path data-points="xyz" d="M1.23456,2e0L-3.999,0.04"/></svg>'
)


def test_every_diagram_of_the_book_has_the_picture_of_its_text_and_no_picture_is_left_over():
    assert [path.name for path, source in WANTED if not diagrams.current(path, source)] == []
    assert {path for path, _ in WANTED} == set((diagrams.BOOK / diagrams.FOLDER).glob("*.svg"))


@pytest.mark.parametrize("path", [path for path, _ in WANTED], ids=lambda path: path.stem)
def test_a_picture_needs_no_script_and_nothing_from_outside(path):
    text = path.read_text("utf-8")
    tags = {element.tag.removeprefix(diagrams.SVG) for element in ElementTree.fromstring(text).iter()}
    assert not tags & {"script", "foreignObject", "image", "use"}
    assert "http" not in text.replace("http://www.w3.org/", "") and "@import" not in text
    assert min(reading.size(path)) > 100


def test_a_picture_has_its_size_in_pixels_and_short_numbers():
    picture = ElementTree.fromstring(diagrams.finished(SVG, "text"))
    assert (picture.get("width"), picture.get("height"), picture.get("role")) == ("40", "21", None)
    [path] = picture
    assert path.attrib == {"d": "M1.2,2e0L-4.0,0.0"}


def placed(*sources, folder):
    nb = new_notebook(cells=[new_markdown_cell(source) for source in sources])
    diagrams.place(nb, "ch", folder)
    return [cell.source for cell in nb.cells]


def test_a_picture_takes_the_place_of_the_text_with_its_description(folder):
    shutil.copy(folder / "ch-2.svg", folder / "ch-1.svg")
    before, none, after = placed(FENCE, "no diagram", FENCE, folder=folder)
    assert before == "One.\n\n![A goes to B.](_static/diagrams/ch-1.svg)\n\nTwo.\n"
    assert none == "no diagram" and after == before.replace("ch-1", "ch-2")


def test_a_picture_of_another_text_or_none_is_refused_with_the_command_that_draws_it(folder):
    with pytest.raises(diagrams.DiagramError, match=r"ch-1\.svg .*tools/diagrams\.py"):
        placed(FENCE, folder=folder)
    shutil.copy(folder / "ch-2.svg", folder / "ch-1.svg")
    with pytest.raises(diagrams.DiagramError, match=r"ch-2\.svg"):
        placed(FENCE, FENCE.replace("A --> B", "B --> A"), folder=folder)
