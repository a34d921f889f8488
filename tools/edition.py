"""The executed edition: the notebooks with their pictures and without MyST, for Colab and GitHub.

The stored notebooks hold no outputs, and GitHub and Colab print their citations, terms and labels raw. The
build writes a second copy of each, executed, into `OUT/edition/`: citations, terms and references are links
to the published book, equations keep their numbers and figures their captions, and folded code is folded in
Colab too, beneath a title that says what it does. The workflow `publish` keeps this folder as the branch
`notebooks`; the Colab buttons lead there. What is edited is on `main`.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import diagrams
import equations
import nbformat
import reading
import set_repository
from nbformat import NotebookNode
from pybtex.database import parse_file
from sphinx.util.inventory import InventoryFile

from prodgen.notebook import LAB_DATA

BRANCH = "notebooks"
ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
LINK = re.compile(r"(?<=\]\()(?:([\w./-]+)\.(?:md|ipynb))?(#[\w-]+)?(?=\))")
TITLED = re.compile(r"(.*?)\s*<([^>]+)>", re.DOTALL)
# A label before a heading, the label after a formula, the class of the paragraph below.
LABELS = re.compile(r"^\([\w-]+\)=\n|(?<=\$\$) \(eq-[\w-]+\)|^\{\.[\w-]+\}\n", re.MULTILINE)
COLAB = re.compile(r"(https://colab\.research\.google\.com/github/[\w.-]+/[\w.-]+/blob)/main/")
ALIVE = re.compile(r'<div class="(?:lab|live)"[^>]*></div>')
PICTURE = re.compile(rf"(?<=\]\(){diagrams.FOLDER}/(?=[\w-]+\.svg\))")


class EditionError(RuntimeError):
    """A notebook points to something that the book does not have; the message says where and to what."""


@dataclass(frozen=True)
class Published:
    """Where the published book has what a notebook points to."""

    address: str  # of the book, without a final slash
    places: dict[str, str]  # path and anchor of each label and of each term, in lower case
    equations: dict[str, tuple[str, str]]  # by label: number, and path of the page
    cited: dict[str, tuple[str, str]]  # by key: authors, year

    def link(self, text: str, path: str) -> str:
        return f"[{text}]({urljoin(self.address + '/', path)})"


def published(address: str, html: Path, notebooks: Iterable[Path], bibliography: Path) -> Published:
    """What the built pages in `html` say of the places of labels and terms, and the rest from its sources."""
    with (html / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: base + path)
    kinds = ("std:doc", "std:label", "std:term")
    places = {name.lower(): entry[2] for kind in kinds for name, entry in inventory.get(kind, {}).items()}
    numbers = {}
    for path in notebooks:
        text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        page = f"book/{path.stem}.html"
        numbers |= {label: (tag, page) for tag, label, _ in equations.EQUATION.findall(text)}
    entries = parse_file(str(bibliography)).entries
    cited = {key: (authors(entry.persons["author"]), entry.fields["year"]) for key, entry in entries.items()}
    return Published(address, places, numbers, cited)


def authors(persons: list) -> str:
    """One name, two names, or the first and "et al."."""
    names = [" ".join(person.prelast_names + person.last_names).strip("{}") for person in persons]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."


def resolved(text: str, page: str, book: Published) -> str:
    """Markdown of one page, "book/03-1-gan", without MyST. EditionError for what the book does not have."""

    def cite(keys: str, noun: bool) -> str:
        works = [book.cited[key.strip()] for key in keys.split(",")]
        texts = [f"{who} ({year})" if noun else f"{who}, {year}" for who, year in works]
        links = [book.link(text, "book/references.html") for text in texts]
        return ", ".join(links) if noun else f"({'; '.join(links)})"

    def role(match: re.Match) -> str:
        try:
            return plain(*match.groups())
        except KeyError:
            raise EditionError(f"{page}: outside the book {match[0]} has no form") from None

    def plain(name: str, content: str) -> str:
        if name == "cite:t" or name == "cite:p":
            return cite(content, noun=name == "cite:t")
        if name == "eq":
            number, where = book.equations[content]
            return f"({number})" if where == f"{page}.html" else book.link(f"({number})", where)
        words, target = TITLED.fullmatch(content).groups() if content.endswith(">") else (content, content)
        if name == "term":
            return book.link(words, book.places[" ".join(target.split()).lower()])
        if name == "numref":
            return book.link("the figure", book.places[target.lower()])
        raise KeyError(name)

    def local(match: re.Match) -> str:
        other, anchor = match[1], match[2] or ""
        if other:
            return urljoin(f"{book.address}/{page}", f"{other}.html{anchor}")
        path = book.places.get(anchor[1:].lower(), f"{page}.html{anchor}") if anchor else ""
        return f"{book.address}/{path}" if path else ""

    text = LABELS.sub("", ROLE.sub(role, text))
    text = PICTURE.sub(f"{book.address}/_images/", text)
    alive = book.link("its page of the book", f"{page}.html")
    text = ALIVE.sub(f"*This can be played without Python on {alive}.*", text)
    return LINK.sub(local, text)


def convert(nb: NotebookNode, page: str, book: Published) -> NotebookNode:
    """One executed notebook of the staged book as Colab and GitHub show it best, in place."""
    cells = [cell for cell in nb.cells if "remove-cell" not in cell.metadata.get("tags", [])]
    nb.cells = []
    nb.metadata.pop("prodgen_build", None)
    for cell in cells:
        nb.cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = resolved(cell.source, page, book)
            continue
        cell.outputs = [output for output in cell.outputs if LAB_DATA not in output.get("data", {})]
        for output in cell.outputs:
            output.get("data", {}).pop("image/svg+xml", None)  # the PNG beside it is shown everywhere
            if markdown := output.get("data", {}).get("text/markdown"):
                output.data["text/markdown"] = resolved(markdown, page, book)
        page_only = cell.metadata.pop("mystnb", {})
        if reading.FOLDED & set(cell.metadata.get("tags", [])):
            title = page_only["code_prompt_show"].removeprefix("Show ")
            cell.source = f"# @title {title[0].upper()}{title[1:]}\n{cell.source}"
            cell.metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
        if caption := page_only.get("figure", {}).get("caption"):
            text = f"> **Figure.** {resolved(caption, page, book)}"
            nb.cells.append(nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-caption"))
    return nb


def to_colab(page: str) -> str:
    """A page whose Colab buttons lead to the executed edition, not to the stored notebooks."""
    return COLAB.sub(rf"\1/{BRANCH}/", page)


def contents(notebooks: list[Path], repository: str, book: Published) -> str:
    """The README of the branch: what it is, and a line for each notebook."""
    colab = f"{set_repository.addresses(repository)[1]}/blob/{BRANCH}/book"
    lines = []
    for path in notebooks:
        first = nbformat.read(path, as_version=4).cells[0].source
        title = re.search(r"^# (.+)", first, re.MULTILINE)[1]
        lines.append(f"- [{title}](book/{path.name}) · [Colab]({colab}/{path.name})")
    about = (
        f"# The notebooks of the book, executed\n\nWritten by the build of {book.link('the book', '')}: read "
        f"them here, run them in Colab. What is edited lies on the branch [main]({repository}).\n\n"
    )
    return about + "\n".join(lines) + "\n"


def write(stage: Path, html: Path, place: Path, repository: str) -> None:
    """The edition of the staged notebooks, whose pages are in `html`, into the folder `place`, a new one."""
    notebooks = sorted((stage / "book").glob("*.ipynb"))
    address = set_repository.addresses(repository)[2]
    book = published(address, html, notebooks, stage / "book" / "references.bib")
    shutil.rmtree(place, ignore_errors=True)
    (place / "book").mkdir(parents=True)
    for path in notebooks:
        nb = convert(nbformat.read(path, as_version=4), f"book/{path.stem}", book)
        nbformat.write(nb, place / "book" / path.name)
    (place / "README.md").write_text(contents(notebooks, repository, book), "utf-8")
