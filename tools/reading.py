"""What readers expect of pages: a date, a version, how to cite, a preview, summaries that say what they hide.

`build_book.py` calls `dated`, `bibtex` and `summarise` when it stages the book, and `finish` on each page
that was built. As an extension of Sphinx (`setup`) this file says to search engines what a page is about.
"""

import ast
import html
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

import numpy as np
import yaml
from PIL import Image

FOLDED = {"hide-input", "hide-cell"}
DESCRIPTION = 200  # characters that a preview shows of a page
WIDEST = 100  # characters of a summary that a page can hold in two lines
IMAGE = re.compile(r'<img\b[^>]*?\bsrc="([^"]+)"[^>]*>')
# The theme's name for every summary, which hides from those who listen what it says.
WHITE = 0.85  # of a drawing is; measured, drawings have 0.86 and more, what shows photos 0.78 at most
DPI = 160  # of figures, as plots.STYLE has it
UNNAMED = '<summary aria-label="Toggle hidden content">'


# ---------------------------------------------------------------- date, version, citation


def last_commit(root: Path) -> int | None:
    """When `root` last changed, in seconds since 1970: $SOURCE_DATE_EPOCH, else its last commit's."""
    if (epoch := os.environ.get("SOURCE_DATE_EPOCH", "")).isdigit():
        return int(epoch)
    command = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # no git here
        return None
    # A copy that somebody unpacked inside a repository of their own has not that repository's date.
    return (
        int(run.stdout) if (root / ".git").exists() and run.returncode == 0 and run.stdout.strip() else None
    )


def dated(config: dict, version: str, date: int | None) -> dict:
    """The configuration with the version, and where it is known the date, in every page's footer."""
    html = {**config["html"], "extra_footer": f"{config['html']['extra_footer']} Version {version}."}
    options = dict(config["sphinx"]["config"])
    if date is not None:
        options["html_last_updated_fmt"] = "%d %B %Y"
    return {**config, "html": html, "sphinx": {**config["sphinx"], "config": options}}


def bibtex(citation: str, placeholder: str, year: int | None) -> str:
    """Two BibTeX entries, the book and the article it answers, from the text of CITATION.cff."""
    book = yaml.safe_load(citation)
    [article] = (one for one in book["references"] if one["type"] == "article")
    entries = []
    for kind, key, source in (("software", "prodgen", book), ("misc", "prodgen-article", article)):
        address = source.get("repository-code", source.get("url"))
        fields = {
            "title": "{" + source["title"] + "}",
            "author": " and ".join("{" + one["name"] + "}" for one in source["authors"]),
            "version": source.get("version"),
            "year": year if source is book else source.get("year"),
            "license": source.get("license"),
            "url": None if address == placeholder else address,
            "note": source.get("notes"),
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        entries.append("\n".join([f"@{kind}{{{key},", *lines, "}"]))
    return "\n\n".join(entries) + "\n"


# ---------------------------------------------------------------- summaries of folded code


def listed(names: list[str]) -> str:
    """a; a and b; a, b and c; of more than three the first two, and that there are more."""
    if len(names) > 3:
        return f"{names[0]}, {names[1]} and more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def first_sentence(text: str) -> str:
    """The first sentence of a docstring or a comment, as plain text; empty if too long for a summary."""
    sentence = re.split(r"(?<=[\w)|`])(?<!\beq)[.;:](?:\s|$)", text.strip().partition("\n\n")[0], maxsplit=1)[
        0
    ]
    sentence = " ".join(sentence.replace("`", "").split())
    return sentence if len(sentence) <= WIDEST else ""


def assigned(tree: ast.Module) -> list[str]:
    """The names that a cell's own lines assign, in order."""
    names = [
        name.id
        for line in tree.body
        if isinstance(line, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    ]
    return list(dict.fromkeys(name for name in names if name != "_"))


def shown_below(outputs: list[dict]) -> str:
    """What a cell's outputs are: a picture, a table, numbers, text; empty if there are none."""
    data = [output.get("data", {}) for output in outputs]
    if any(mime.startswith("image/") for one in data for mime in one):
        return "the code of the picture"
    texts = [one.get("text/markdown", one.get("text/html", one.get("text/plain", ""))) for one in data]
    text = "".join("".join(part) for part in [*texts, *(o.get("text", "") for o in outputs)])
    if re.search(r"^\|?\s*:?-+:?\s*\||<table", text, re.MULTILINE):
        return "the code of the table"
    if not text.strip():
        return ""
    return "how the numbers below are computed" if re.search(r"\d", text) else "the code of the text below"


def meaning(cell: dict, text: str) -> str:
    """What a folded cell does, as the object of "Show". `text` is the Markdown before it."""
    source, tags = cell["source"], cell["metadata"].get("tags", [])
    if "setup" in tags:
        return "the set-up for Colab"
    if "parameters" in tags:
        return "the settings: preset and seed"
    tree = ast.parse(source)
    if all(isinstance(line, ast.Import | ast.ImportFrom) for line in tree.body):
        return "the imports"
    if re.search(r"\blab_controls\(|\bFloatSlider\(|\bIntSlider\(|\bVBox\(", source):
        return "the code of the explorer"
    if cell["metadata"].get("mystnb", {}).get("figure"):
        return "the code of the figure"
    if "presets.resolve(" in source:
        return "how preset and data are set"
    first = source.lstrip().splitlines()[0]
    if first.startswith("# ") and not first.startswith(("# fmt:", "# noqa", "# type:")):
        comment = "\n".join(
            line.removeprefix("#") for line in source[: source.find("\n\n")].splitlines() if line[:1] == "#"
        )
        if said := first_sentence(comment):
            return f"the code: {said}"
    if "hide-cell" in tags and re.search(r"<summary>\s*Solution", text):
        return "the solution in code"
    functions = [line for line in tree.body if isinstance(line, ast.FunctionDef | ast.ClassDef)]
    if functions:
        if said := first_sentence(ast.get_docstring(functions[0]) or ""):
            return f"the code: {said}"
        return f"the code of {listed([line.name for line in functions])}"
    if re.search(r"\bclaims_table\(", source):
        return "the code of the verdicts"
    if below := shown_below(cell.get("outputs", [])):
        return below
    if names := assigned(tree):
        return f"how {listed(names)} {'is' if len(names) == 1 else 'are'} computed"
    if any(isinstance(line, ast.Assert) for line in tree.body):
        return "the check"
    if "study.json" in source:
        return "how the study is stored"
    if re.search(r"^\s*(say|print)\(", source, re.MULTILINE):
        return "the code of the text"
    called = [
        ast.unparse(line.value.func)
        for line in tree.body
        if isinstance(getattr(line, "value", None), ast.Call)
    ]
    return f"the call of {called[0]}" if called else "the code of this cell"


def summarise(nb: Any) -> None:
    """Give each folded cell a summary that says what it does; one that its author wrote stays."""
    text = ""
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            text = cell["source"]
        elif FOLDED & set(cell["metadata"].get("tags", [])):
            prompts = cell["metadata"].setdefault("mystnb", {})
            show = prompts.setdefault("code_prompt_show", f"Show {meaning(cell, text)}")
            prompts.setdefault("code_prompt_hide", re.sub("^Show", "Hide", show))


# ---------------------------------------------------------------- what others see of a page


def description(paragraphs: list[str]) -> str:
    """What a preview says of a page: its first question, else its first paragraph; whole words of it."""
    texts = [" ".join(text.split()) for text in paragraphs]
    texts = [text for text in texts if "\\" not in text and "$" not in text] or [""]
    text = texts[0]
    if len(text) > DESCRIPTION:
        text = text[: DESCRIPTION - 1].rsplit(" ", 1)[0].rstrip(",;:") + " …"
    return text


def setup(app: Any) -> dict[str, bool]:
    """As an extension of Sphinx: `<meta>` with title, description and first picture of each page."""

    def describe(app: Any, page: str, template: str, context: dict, doctree: Any) -> None:
        if doctree is None:
            return
        paragraphs = [
            node.astext()
            for node in doctree.findall(lambda node: node.tagname == "paragraph")
            if node.parent.tagname == "section" and node[0].tagname != "image"
        ]
        title = re.sub("<[^>]*>", "", context["title"])
        tags = {"og:type": "article", "og:title": html.unescape(title), "og:site_name": app.config.project}
        if about := description(paragraphs):
            tags |= {"description": about, "og:description": about}
        # The page is written by now, so these are the pictures' addresses as the page has them.
        pictures = [node["uri"] for node in doctree.findall(lambda node: node.tagname == "image")]
        anyway = context["pathto"]("_static/gallery.png", resource=True)  # previews show no SVG
        picture = next((uri for uri in pictures if not uri.endswith(".svg")), anyway)
        base = app.config.html_baseurl
        here = urljoin(base, app.builder.get_target_uri(page)) if base else ""
        tags["og:image"] = urljoin(here, picture)
        for name, value in tags.items():
            kind = "property" if name.startswith("og:") else "name"
            context["metatags"] += f'\n<meta {kind}="{name}" content="{html.escape(value)}">'

    app.connect("html-page-context", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def is_drawing(picture: Image.Image) -> bool:
    """Whether lines and text on white are all that a picture shows: no photo, no field of colours."""
    return bool((np.asarray(picture.convert("RGB")).min(axis=2) > 250).mean() > WHITE)


def size(picture: Path) -> tuple[int, int]:
    """Width and height in pixels; a drawing's as its root element says, points as a figure's PNG has them."""
    if picture.suffix == ".svg":
        root = re.search(r"<svg\b[^>]*>", picture.read_text("utf-8"))[0]
        sides = [re.search(rf'\s{side}="([\d.]+)(pt)?"', root) for side in ("width", "height")]
        return tuple(round(float(side[1]) * (DPI / 72 if side[2] else 1)) for side in sides)
    with Image.open(picture) as image:
        return image.size


def drawn(picture: Path) -> bool:
    """Whether a figure of a notebook is a drawing: vector graphics are, and what looks like one."""
    if picture.suffix == ".svg":
        return "matplotlib" in picture.read_text("utf-8")
    with Image.open(picture) as image:
        return is_drawing(image)


def finish(text: str, folder: Path) -> str:
    """A page with the size of each picture, so that nothing shifts; all beneath the first load when near.

    Drawings are marked: a dark page shows them light on dark.
    """

    seen = 0

    def sized(match: re.Match) -> str:
        nonlocal seen
        seen += 1
        tag, path = match[0], folder / unquote(match[1])
        extra = ' loading="lazy" decoding="async"' if seen > 1 else ""
        if (
            not re.search(r'\b(width|height)=|style="[^"]*height', tag)  # a style's width keeps the shape
            and path.is_file()
        ):
            extra += ' width="{}" height="{}"'.format(*size(path))
        if path.parent.name == "_images" and drawn(path):
            extra += " data-drawing"
        return f"<img{extra}{tag[4:]}"

    return IMAGE.sub(sized, text).replace(UNNAMED, "<summary>")
