"""The PDF of the book: what becomes of its pages, and when there is none."""

import re
from pathlib import Path

import make_pdf
import pytest

PAGE = """<!doctype html><html lang="en" data-theme="light"><head><title>A book</title></head><body>
<nav class="bd-links"><ul>
<li><a class="reference internal" href="one.html">One</a>
<ul><li><a class="reference internal" href="two.html">Two</a></li></ul></li>
</ul></nav><main><article class="bd-article">{}</article></main></body></html>"""
PAGES = {
    "index": '<h1 id="part">A book</h1><a href="two.html#part">a section</a>',
    "one": '<h1 id="part">One 一</h1><h2>Details</h2><a href="../_sources/one.ipynb">a file</a>',
    "two": '<h1>Two</h1><h2 id="part">A part<a class="headerlink">#</a></h2><a href="#part">here</a>'
    '<a href="https://example.com/">elsewhere</a><div class="lab">a lab</div>',
}


@pytest.fixture
def html(tmp_path: Path) -> Path:
    """A built book of three pages."""
    (tmp_path / "html" / "book").mkdir(parents=True)
    (tmp_path / "html" / "_static").mkdir()
    (tmp_path / "html" / "_static" / "favicon.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    for name, article in PAGES.items():
        (tmp_path / "html" / "book" / f"{name}.html").write_text(PAGE.format(article), "utf-8")
    return tmp_path / "html"


def titles(pdf: bytes) -> list[str]:
    """The titles of a PDF's outline, in the order of the file."""
    found = re.findall(rb"/Title (\((?:[^\\)]|\\.)*\)|<[0-9A-Fa-f]*>)", pdf)
    raw = [bytes.fromhex(t[1:-1].decode()) if t.startswith(b"<") else t[1:-1] for t in found]
    return [t.decode("utf-16" if t.startswith(b"\xfe\xff") else "latin-1") for t in raw]


def test_all_pages_are_one_file_with_an_outline_and_links_that_stay_in_it(
    html: Path, tmp_path: Path, chromium: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "book.pdf"
    make_pdf.main(html, out)
    pdf = out.read_bytes()
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    assert {"A book", "One 一", "Details", "Two", "A part"} <= set(titles(pdf))
    # What leads out of the file is the foreign address alone.
    assert set(re.findall(rb"/URI \(([^)]*)\)", pdf)) == {b"https://example.com/"}
    assert len(re.findall(rb"/Subtype /Link", pdf)) == 3
    assert capsys.readouterr().out.startswith(f"{out}: 3 pages of the book, ")
    assert [path.name for path in out.parent.iterdir()] == ["book.pdf"]


def test_without_a_book_or_a_browser_one_sentence_says_what_to_do(
    html: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "book.pdf"
    with pytest.raises(make_pdf.PdfError, match=r"There is no built book in .*: run `make book` first"):
        make_pdf.main(tmp_path, out)
    monkeypatch.setattr(make_pdf, "find", lambda: None)
    with pytest.raises(make_pdf.PdfError, match="There is no Chromium on PATH: install"):
        make_pdf.main(html, out)
    assert not out.exists()


def test_what_goes_wrong_leaves_the_old_file_as_it_was(
    html: Path, tmp_path: Path, chromium: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "book.pdf"
    out.write_text("old")
    (html / "book" / "two.html").unlink()
    with pytest.raises(make_pdf.PdfError, match=r"two\.html"):
        make_pdf.main(html, out)
    assert out.read_text() == "old" and not list(tmp_path.glob("*.unfinished"))
