"""The executed edition: what Colab and GitHub cannot read is resolved, and nothing else is changed."""

import zlib
from pathlib import Path

import edition
import nbformat
import pytest
from edition import Published, convert, published, resolved

BOOK = Published(
    "https://someone.github.io/book",
    {"sec-3-1-4": "book/03-1-4-uses.html#sec-3-1-4", "feature": "book/glossary.html#term-feature"},
    {"eq-3-1-best": ("3.1–2", "book/03-1-gan.html"), "eq-5-2-kl": ("5.2–6", "book/05-2-implementation.html")},
    {"mao2017": ("Mao et al.", "2017"), "mescheder2018": ("Mescheder et al.", "2018")},
)
AT = "https://someone.github.io/book/book"
CASES = {
    "a work as a noun": ("{cite:t}`mao2017` say", f"[Mao et al. (2017)]({AT}/references.html) say"),
    "works in brackets": (
        "so {cite:p}`mao2017, mescheder2018`.",
        f"so ([Mao et al., 2017]({AT}/references.html); [Mescheder et al., 2018]({AT}/references.html)).",
    ),
    "a term": ("a {term}`feature`", f"a [feature]({AT}/glossary.html#term-feature)"),
    "a term in other words": (
        "its {term}`features\n<feature>`",
        f"its [features]({AT}/glossary.html#term-feature)",
    ),
    "this page's equation": ("eq. {eq}`eq-3-1-best`", "eq. (3.1–2)"),
    "another page's equation": ("{eq}`eq-5-2-kl`", f"[(5.2–6)]({AT}/05-2-implementation.html)"),
    "the label of an equation": ("$$\na\n\\tag{3.1–2}\n$$ (eq-3-1-best)\n", "$$\na\n\\tag{3.1–2}\n$$\n"),
    "the label of a heading": ("(sec-3-1)=\n# 3.1 GAN", "# 3.1 GAN"),
    "a class": ("{.widget-note}\n*Controls*", "*Controls*"),
    "a label's place": ("[uses](#sec-3-1-4)", f"[uses]({AT}/03-1-4-uses.html#sec-3-1-4)"),
    "a heading of this page": ("[end](#summary)", f"[end]({AT}/03-1-gan.html#summary)"),
    "another chapter": ("[3.2](03-2-vae.ipynb)", f"[3.2]({AT}/03-2-vae.html)"),
    "a place in another page": ("[e](errata.md#x)", f"[e]({AT}/errata.html#x)"),
    "a page elsewhere": ("[x](https://a.org/b.md#c)", "[x](https://a.org/b.md#c)"),
    "a diagram": ("![A](_static/diagrams/a-1.svg)", "![A](https://someone.github.io/book/_images/a-1.svg)"),
    "a lab": (
        'See <div class="lab" data-lab="plane"></div>',
        f"See *This can be played without Python on [its page of the book]({AT}/03-1-gan.html).*",
    ),
    "brackets that are no link": ("f(x) = [a](b) and `{x}`", "f(x) = [a](b) and `{x}`"),
}


@pytest.mark.parametrize("before,after", CASES.values(), ids=CASES)
def test_what_only_the_book_reads_is_resolved(before: str, after: str) -> None:
    assert resolved(before, "book/03-1-gan", BOOK) == after


@pytest.mark.parametrize("text", ["{term}`no such`", "{eq}`eq-9-none`", "{cite:t}`nobody1`", "{kbd}`x`"])
def test_what_the_book_does_not_have_is_an_error(text: str) -> None:
    with pytest.raises(edition.EditionError, match=r"book/03-1-gan.*has no form"):
        resolved(text, "book/03-1-gan", BOOK)


def test_folded_code_is_folded_in_colab_beneath_a_title_and_captions_stand_below_their_figures() -> None:
    new = nbformat.v4
    folded = {"tags": ["hide-input"], "mystnb": {"code_prompt_show": "Show the code of the figure"}}
    said = new.new_output(
        "display_data", {"text/markdown": "see {eq}`eq-3-1-best`", "image/svg+xml": "<svg></svg>"}
    )
    handed = new.new_output("display_data", {edition.LAB_DATA: {}, "text/plain": ""})
    nb = new.new_notebook(
        cells=[
            new.new_code_cell("preset = 'quick'", metadata={"tags": ["remove-cell"]}),
            new.new_code_cell("draw()", metadata=folded, outputs=[said, handed]),
            new.new_code_cell(
                "x = 1", id="x", metadata={"mystnb": {"figure": {"caption": "A {term}`feature`."}}}
            ),
        ],
        metadata={"prodgen_build": {"key": "k"}},
    )
    figure, plain, caption = convert(nb, "book/03-1-gan", BOOK).cells
    assert (
        figure.source == "# @title The code of the figure\ndraw()" and figure.metadata["cellView"] == "form"
    )
    assert [output.data for output in figure.outputs] == [{"text/markdown": "see (3.1–2)"}]
    assert plain.source == "x = 1" and "mystnb" not in plain.metadata and "prodgen_build" not in nb.metadata
    assert caption.source == f"> **Figure.** A [feature]({AT}/glossary.html#term-feature)."
    nbformat.validate(nb)


def test_places_are_the_built_book_s_and_names_those_of_the_bibliography(tmp_path: Path) -> None:
    lines = (
        "feature std:term -1 book/glossary.html#term-feature -\n"
        "sec-2 std:label -1 book/02-core-concepts.html#$ Concepts\n"
    )
    head = "# Sphinx inventory version 2\n# Project: b\n# Version: 1\n# The rest is compressed using zlib.\n"
    (tmp_path / "objects.inv").write_bytes(head.encode() + zlib.compress(lines.encode()))
    (tmp_path / "all.bib").write_text(
        "@article{a1, author={van Hulle, A. and {OpenAI}}, year={2020}}"
        "@article{b2, author={One, A. and Two, B. and Three, C.}, year={2021}}"
    )
    cell = nbformat.v4.new_markdown_cell("$$\nx\n\\tag{3.1–1}\n$$ (eq-3-1-x)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "03-1-gan.ipynb")
    book = published("https://b", tmp_path, [tmp_path / "03-1-gan.ipynb"], tmp_path / "all.bib")
    assert book.places == {
        "feature": "book/glossary.html#term-feature",
        "sec-2": "book/02-core-concepts.html#sec-2",
    }
    assert book.equations == {"eq-3-1-x": ("3.1–1", "book/03-1-gan.html")}
    assert book.cited == {"a1": ("van Hulle and OpenAI", "2020"), "b2": ("One et al.", "2021")}


def test_colab_buttons_lead_to_the_edition_and_other_links_stay() -> None:
    colab = "https://colab.research.google.com/github/someone/book/blob"
    other = "https://github.com/someone/book/blob/main/README.md"
    page = f"{colab}/main/book/03-1-gan.ipynb {other}"
    assert edition.to_colab(page) == f"{colab}/notebooks/book/03-1-gan.ipynb {other}"
