"""Draw the diagrams of the chapters, so that pages show them without a script, opened as a file too.

    python tools/diagrams.py        # draws what is missing or out of date; needs Chromium

A chapter holds a diagram as a fence of Mermaid, which GitHub draws. This tool draws each fence into
`book/_static/diagrams/CHAPTER-N.svg` and leaves the SHA-256 of the fence in it. The build puts the picture in
the place of the fence and refuses one that belongs to another text. Mermaid itself is no part of the book:
it is fetched, checked and thrown away.
"""

import hashlib
import itertools
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import assets
import nbformat
from nbformat import NotebookNode

from prodgen.files import write_whole

ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
FOLDER = "_static/diagrams"
SVG = "{http://www.w3.org/2000/svg}"
NUMBER = re.compile(r"-?\d+\.\d+(e-?\d+)?")
FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MERMAID = assets.Package(
    name="mermaid",
    version="11.17.2",
    sha512="57a2b70bc101744b0f1595d228c25eea9a50384371b87011afd1af1d7e21878e"
    "e501b84c443f6a7f8a042bb2e869143150b31af34feab798073bbdda0a578106",
    prefix="package/dist/",
    keep=r"mermaid\.min\.js",
)
# Letters of these families are equally wide, so that a word fits its box whichever of them a reader has.
SETTINGS = """{
  startOnLoad: false, theme: "neutral", htmlLabels: false, flowchart: {htmlLabels: false},
  fontFamily: "Verdana, 'DejaVu Sans', sans-serif",
}"""
DRAW = """async ([name, source]) => {
  const {svg} = await mermaid.render(name, source);
  return svg;
}"""


class DiagramError(RuntimeError):
    """A diagram cannot be shown; the message says what to do."""


def digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def sources(notebook: Path) -> list[str]:
    """The texts of a notebook's diagrams, in their order."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [source for cell in cells if cell.cell_type == "markdown" for source in FENCE.findall(cell.source)]


def diagrams(book: Path) -> Iterator[tuple[Path, str]]:
    """Where each diagram of the book lies, and its text."""
    for notebook in sorted(book.glob("*.ipynb")):
        for number, source in enumerate(sources(notebook), 1):
            yield book / FOLDER / f"{notebook.stem}-{number}.svg", source


def current(path: Path, source: str) -> bool:
    """Whether the picture was drawn from this text."""
    return path.exists() and f"<!-- {digest(source)} -->" in path.read_text("utf-8")


def description(source: str) -> str:
    """What a diagram shows, in its author's words: its alternative text."""
    return re.search(r"accDescr: *(.+)", source)[1].strip()


def finished(svg: str, source: str) -> bytes:
    """The picture as a file of its own: a size in pixels, white ground, and the digest of its text."""
    picture = ElementTree.fromstring(svg)
    for element in picture.iter():
        for name in list(element.attrib):
            if name == "data-points" or name.startswith("aria-"):  # Mermaid's notes; the page has the words
                del element.attrib[name]
        if path := element.get("d"):
            element.set("d", NUMBER.sub(lambda number: f"{float(number[0]):.1f}", path))
    for part in picture.findall(f"{SVG}title") + picture.findall(f"{SVG}desc"):
        picture.remove(part)
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    picture.attrib |= {"width": f"{width:.0f}", "height": f"{height:.0f}", "style": "background: #fff"}
    picture.attrib.pop("role", None)
    return ElementTree.tostring(picture) + f"\n<!-- {digest(source)} -->\n".encode()


def place(nb: NotebookNode, stem: str, folder: Path) -> None:
    """Put its picture in the place of each diagram of the chapter `stem`, in place.

    Raises DiagramError where a picture in `folder` is missing or belongs to another text.
    """
    number = itertools.count(1)

    def picture(match: re.Match[str]) -> str:
        path = folder / f"{stem}-{next(number)}.svg"
        if not current(path, match[1]):
            raise DiagramError(f"{path.name} is not what {stem} says, draw it: `python tools/diagrams.py`")
        return f"![{description(match[1])}]({FOLDER}/{path.name})"

    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = FENCE.sub(picture, cell.source)


def main() -> None:
    from browser import find, launch, serve  # the build, which needs this module, does without a browser
    from playwright.sync_api import sync_playwright

    wanted = list(diagrams(BOOK))
    folder = BOOK / FOLDER
    folder.mkdir(exist_ok=True)
    for stray in set(folder.glob("*.svg")) - {path for path, _ in wanted}:
        stray.unlink()
    due = [(path, source) for path, source in wanted if not current(path, source)]
    if not due:
        return
    if not (program := find()):
        raise DiagramError("no Chromium on PATH: `make chromium`, or install Google Chrome")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        scratch = Path(name)
        archive = assets.fetch(MERMAID, assets.npm(scratch), scratch / "archive")
        assets.unpack(MERMAID, archive, scratch / "served")
        (scratch / "served" / "page.html").write_text(
            '<!doctype html><meta charset="utf-8"><body><script src="mermaid.min.js"></script>'
        )
        with serve(scratch / "served") as address:
            page = launch(playwright, program).new_page()
            page.goto(f"{address}/page.html")
            page.evaluate(f"mermaid.initialize({SETTINGS})")
            for path, source in due:
                svg = page.evaluate(DRAW, [f"diagram-{path.stem}", source])
                with write_whole(path) as file:
                    file.write(finished(svg, source))
                print(path.relative_to(ROOT))


if __name__ == "__main__":
    try:
        main()
    except (DiagramError, assets.AssetError) as error:
        sys.exit(f"diagrams: {error}")
