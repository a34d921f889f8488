"""The book's text holds together: headings, links, citations, terms, symbols, listings, spelling."""

import csv
import importlib
import inspect
import json
import re
import unicodedata
from pathlib import Path

import pytest
from chapters import headings_of
from pybtex.database import parse_file

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book"
FILES = sorted(path for path in BOOK.iterdir() if path.suffix in (".md", ".ipynb"))
CJK = re.compile(r"[\u4e00-\u9fff]")

# The article's headings: a section, and how many parts it has. Its second 6.4 is 6.6 here.
PARTS = {
    "1": 3, "2": 5, "3": 3, "3.1": 4, "3.2": 4, "3.3": 3, "4": 3, "4.1": 3, "4.2": 2, "5": 4, "5.3": 3,
    "6": 6, "6.6": 5, "7": 3, "8": 4, "9": 5,
}  # fmt: skip


def text_of(path: Path) -> str:
    """What a page says: the whole of a Markdown file, the Markdown cells of a notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def prose_of(path: Path) -> str:
    """A page's text without code, formulas, roles and addresses; what a directive holds is text."""
    text = re.sub(
        r"^(```+)\{(?!code)[\w-]+\}.*?\n(.*?)^\1$",
        r"\2",
        text_of(path),
        flags=re.DOTALL | re.MULTILINE,
    )
    text = re.sub(r"^(```+).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", text, flags=re.DOTALL)
    text = re.sub(r"(\{[\w:-]+\})?`[^`]*`|\]\([^)]*\)|https?://\S+", "", text)
    return text


def without_accents(text: str) -> str:
    text = text.replace("ı", "i").replace("ł", "l")  # these two are letters, not accents
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


with (BOOK / "headings.tsv").open(encoding="utf-8", newline="") as tsv:
    HEADINGS = list(csv.DictReader(tsv, delimiter="\t"))
COVERED = [row for row in HEADINGS if row["page"]]
BIBLIOGRAPHY = parse_file(str(BOOK / "references.bib")).entries
ANCHORS = {anchor for path in FILES for anchor in re.findall(r"^\(([\w-]+)\)=$", text_of(path), re.MULTILINE)}
ANCHORS |= {label for path in FILES for label in re.findall(r"\$\$ *\(([\w-]+)\)", text_of(path))}
ANCHORS |= {
    cell["metadata"]["mystnb"]["figure"]["name"]
    for path in FILES
    if path.suffix == ".ipynb"
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    if "name" in cell["metadata"].get("mystnb", {}).get("figure", {})
}


def by_name(path: Path) -> str:
    return path.name


def test_every_heading_of_the_article_is_listed_once_with_its_anchor():
    expected = [str(section) for section in range(10)]
    expected += [f"{section}.{part}" for section, parts in PARTS.items() for part in range(1, parts + 1)]
    numbers = [row["number"] for row in HEADINGS]
    assert numbers == sorted(expected, key=lambda number: [int(n) for n in number.split(".")])
    for row in HEADINGS:
        assert row["anchor"] == "sec-" + row["number"].replace(".", "-")
        assert CJK.search(row["heading"]), f"{row['number']} lacks the article's heading"


@pytest.mark.parametrize("row", COVERED, ids=lambda row: row["number"])
def test_a_covered_heading_stands_on_its_page(row):
    (page,) = BOOK.glob(row["page"] + ".*")
    found = re.search(rf"^\({row['anchor']}\)=\n+#+ (.+)$", text_of(page), re.MULTILINE)
    assert found, f"{page.name} has no heading with the anchor ({row['anchor']})="
    title = found[1]
    assert row["number"] == "0" or title.startswith(row["number"] + " ")
    chinese = CJK.search(title)
    assert chinese, f"{title!r} lacks the article's heading"
    article_s = row["heading"][CJK.search(row["heading"]).start() :]
    assert article_s.startswith(title[chinese.start() :].strip())


def test_the_page_of_headings_lists_what_headings_tsv_lists():
    pages = {path.stem: path.name for path in FILES}
    table = ["| | Heading | Chapter |", "|---|---|---|"]
    for row in HEADINGS:
        number, page = row["number"], row["page"]
        link = f"[{number}](#{row['anchor']})" if page else number
        where = f"[{page}]({pages[page]})" if page else "not written yet"
        table.append(f"| {link} | {row['heading']} | {where} |")
    expected = "\n".join(table)
    assert expected in text_of(BOOK / "headings.md"), f"book/headings.md needs this table:\n\n{expected}"


def test_the_sidebar_has_each_page_s_english_heading():
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    titles = re.findall(r"- file: book/(\S+)\n *title: \"(.+)\"", toc)
    assert [page for page, _ in titles] == re.findall(r"- file: book/(\S+)", toc)
    for page, title in titles:
        heading = re.search(r"^# (.+)$", text_of(next(BOOK.glob(page + ".*"))), re.MULTILINE)[1]
        assert heading.startswith(title + " ") and not CJK.search(title), (heading, title)


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_links_inside_the_book_lead_somewhere(path):
    text = text_of(path)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        if target.startswith("#"):
            assert target[1:] in ANCHORS | headings_of(text), f"nothing in the book is called {target}"
        else:
            assert (BOOK / target).is_file(), f"no file book/{target}"
    for role, target in re.findall(r"\{(ref|eq|numref)\}`(?:[^`<]*<)?([^`>]+)>?`", text):
        assert target in ANCHORS, f"{{{role}}}`{target}` has no target"


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_pictures_are_there_and_described(path):
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", text_of(path)):
        assert len(alt.split()) >= 5, f"{target}: say what the picture shows"
        assert (BOOK / target).is_file(), f"no file book/{target}"


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_citations_and_terms_are_known(path):
    text = text_of(path)
    for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text):
        for key in keys.split(","):
            assert key.strip() in BIBLIOGRAPHY, f"references.bib has no {key.strip()}"
    terms = {name.lower() for names, _ in glossary() for name in names}
    for term in re.findall(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`", text):
        assert term.lower() in terms, f"the glossary has no {term!r}"


def test_references_are_complete_and_in_order():
    assert list(BIBLIOGRAPHY) == sorted(BIBLIOGRAPHY)
    for key, entry in BIBLIOGRAPHY.items():
        missing = {"title", "year", "url"} - set(entry.fields)
        assert not missing, f"{key} lacks {missing}"
        surname = without_accents(" ".join(entry.persons["author"][0].last_names)).lower()
        assert key.startswith(surname.strip("{}").split("-")[0]) and entry.fields["year"] in key


def authors_of(entry) -> set[tuple[str, str]]:
    """Each author's surname, with the entry's year."""
    names = (without_accents(" ".join(person.last_names)).lower() for person in entry.persons["author"])
    return {(name, entry.fields["year"]) for name in names}


def cited_by_the_package() -> dict[tuple[str, str], str]:
    """Surnames and years in the package's docstrings and comments, with the file that has them."""
    cited = {}
    for path in sorted((ROOT / "src" / "prodgen").rglob("*.py")):
        source = without_accents(re.sub(r"\s+", " ", path.read_text(encoding="utf-8")))
        for names, year in re.findall(
            r"([A-Z][\w-]+(?: et al\.| and [A-Z][\w-]+)?),? \(?((?:19|20)\d\d)\b", source
        ):
            for name in filter(None, re.split(r" et al\.| and ", names)):
                cited[name.lower(), year] = path.name
    return cited


def test_what_the_package_cites_stands_in_the_references():
    known = set().union(*map(authors_of, BIBLIOGRAPHY.values()))
    for (name, year), file in cited_by_the_package().items():
        assert (name, year) in known, f"{file} cites {name} {year}"


def test_each_reference_is_cited_by_the_text_or_by_the_package():
    text = {
        key.strip()
        for path in FILES
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text_of(path))
        for key in keys.split(",")
    }
    package = cited_by_the_package().keys()
    idle = [key for key, entry in BIBLIOGRAPHY.items() if key not in text and not authors_of(entry) & package]
    assert not idle, f"nobody cites {idle}"


def glossary() -> list[tuple[list[str], str]]:
    """The glossary's entries: names, and what they mean."""
    bodies = re.findall(r"```\{glossary\}\n(.*?)\n```", text_of(BOOK / "glossary.md"), re.DOTALL)
    entries = []
    for block in "\n\n".join(bodies).split("\n\n"):
        lines = block.split("\n")
        names = [line for line in lines if not line.startswith("  ")]
        entries.append((names, " ".join(line.strip() for line in lines[len(names) :])))
    return entries


def test_glossary_has_each_term_once_in_both_languages():
    entries = glossary()
    assert len(entries) >= 50
    names = [name.lower() for entry, _ in entries for name in entry]
    assert len(names) == len(set(names)), "a term is defined twice"
    first = [without_accents(entry[0]).lower() for entry, _ in entries]
    assert first == sorted(first)
    for entry, meaning in entries:
        assert not CJK.search(entry[0]) and any(CJK.search(name) for name in entry), entry
        assert meaning.endswith(".") and len(meaning.split()) >= 5, entry


def symbols() -> list[str]:
    """The names in the column "In the code" of the notation's tables."""
    rows = [line.split(" | ") for line in text_of(BOOK / "notation.md").splitlines() if line.startswith("| ")]
    return sorted({name for row in rows for name in re.findall(r"`([^`]+)`", row[2])})


@pytest.mark.parametrize("name", symbols())
def test_a_symbol_s_name_in_the_code_exists(name):
    module, *attributes = name.split("(")[0].split(".")
    found = importlib.import_module(f"prodgen.{module}")
    for attribute in attributes:
        found = getattr(found, attribute)
    if "(" in name:
        assert name.split("(")[1].rstrip(")") in inspect.signature(found).parameters


def listings() -> list:
    pages = [path for path in FILES if path.suffix == ".md"]
    blocks = [
        (page.stem, block)
        for page in pages
        for block in re.findall(r"^```python\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
    ]
    return [pytest.param(block, id=f"{page}-{n}") for n, (page, block) in enumerate(blocks, 1)]


@pytest.mark.parametrize("listing", listings())
def test_a_page_s_listing_runs(listing):
    assert "assert" in listing, "a listing on a page proves something"
    exec(compile(listing, "listing", "exec"), {})


def test_errata_are_numbered_and_proved():
    text = text_of(BOOK / "errata.md")
    rows = re.findall(r"^\| \[(\d+)\]\(#erratum-(\d+)\) \|", text, re.MULTILINE)
    assert rows == [(str(n), str(n)) for n in range(1, len(rows) + 1)]
    entries = re.split(r"^\(erratum-(\d+)\)=\n### (\d+) · ", text, flags=re.MULTILINE)[1:]
    anchors, numbers, bodies = entries[::3], entries[1::3], entries[2::3]
    assert list(anchors) == list(numbers) and sorted(map(int, numbers)) == list(range(1, len(rows) + 1))
    for number, body in zip(numbers, bodies, strict=True):
        assert "**The article" in body, f"erratum {number} does not say what the article says"
        assert "**Right.**" in body or "**Right**" in body or "**Open.**" in body, f"erratum {number}"


AMERICAN = re.compile(
    r"\b(gray|colors?|colored|behaviors?|centers?|centered|favor\w*|honor\w*|labeled|labeling|modeled|modeling"
    r"|analyz\w+|catalogs?|licenses?|artifacts?|\w+iz(e|es|ed|er|ers|ing|ation|ations))\b",
    re.IGNORECASE,
)
NOT_AMERICAN = re.compile(r"(re)?siz(e|es|ed|ing)|prizes?|seizes?", re.IGNORECASE)
FILLER = re.compile(
    r"\b(simply|obviously|trivially|of course|needless to say|cutting-edge|revolutionary|seamless(ly)?)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_prose_is_british_and_without_filler(path):
    prose = re.sub(r"\"[^\"]{0,120}\"|\*[^*\n]+\*", "", prose_of(path))  # titles keep their own spelling
    american = [m[0] for m in AMERICAN.finditer(prose) if not NOT_AMERICAN.fullmatch(m[0])]
    assert not american, f"British spelling, please: {american}"
    filler = [m[0] for m in FILLER.finditer(prose)]
    assert not filler, f"explain or leave out: {filler}"


@pytest.mark.parametrize("path", FILES, ids=by_name)
def test_results_are_not_typed(path):
    typed = re.findall(
        r"\b(?:fid_fmnist|FID|KID|ELBO|precision|recall|density|coverage|accuracy)\b"
        r"(?: is| was| of| =|:)* *[≈~−-]?\d+\.\d+",
        prose_of(path),
    )
    assert not typed, f"let code write results, from records or from the run: {typed}"
