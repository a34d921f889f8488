"""The book build: what is executed again and what is not, how failures are named, what reaches the page."""

import base64
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import build_book
import nbformat
import pytest
import reading
import yaml
from build_book import BuildError, cache_key, configuration, execute, fingerprint
from jupyter_book.config import get_final_config
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

import prodgen

ROOT = Path(__file__).resolve().parents[1]
PARAMETERS = new_code_cell('preset = "auto"', id="parameters", metadata={"tags": ["parameters"]})
ALT = {"mystnb": {"image": {"alt": "A grey square"}}}
# A picture of one pixel.
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
PIXEL = """import io
from PIL import Image as Pixels
file = io.BytesIO()
Pixels.new("L", (8, 8), 99).save(file, "png")"""


def write(path: Path, *code: str, metadata: dict | None = None, parameters: bool = True) -> Path:
    """A notebook of a title, the parameters cell and a cell for each of `code`: code-0, code-1, …"""
    title = new_markdown_cell("# A chapter", id="title")
    cells = [new_code_cell(c, id=f"code-{i}", metadata=metadata or {}) for i, c in enumerate(code)]
    head = [title, PARAMETERS] if parameters else [title]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=head + cells, metadata={"kernelspec": kernel}), path)
    return path


def run(folder: Path, *notebooks: Path) -> Path:
    """Execute `notebooks` at the smoke preset and return the folder with the executed copies."""
    executed = folder / "executed"
    execute(list(notebooks), executed, "smoke", None)
    return executed


def outputs(path: Path) -> dict[str, list[dict]]:
    """{id of a cell: its outputs} of an executed copy."""
    return {cell["id"]: cell.get("outputs", []) for cell in json.loads(path.read_text("utf-8"))["cells"]}


# ---------------------------------------------------------------- what is executed again


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "prodgen"
    (folder / "recorded").mkdir(parents=True)
    (folder / "__init__.py").write_text("one = 1")
    (folder / "recorded" / "gan.safetensors").write_bytes(b"weights")
    return folder


def test_same_state_same_fingerprint(package: Path) -> None:
    before = fingerprint(package, "smoke", ["3.13"])
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "init.pyc").write_bytes(b"compiled")
    assert fingerprint(package, "smoke", ["3.13"]) == before


@pytest.mark.parametrize(
    "changed", ["code", "recorded file", "new file", "renamed file", "preset", "versions"]
)
def test_fingerprint_follows(changed: str, package: Path) -> None:
    before = fingerprint(package, "smoke", ["torch==2"])
    preset, environment = "smoke", ["torch==2"]
    match changed:
        case "code":
            (package / "__init__.py").write_text("one = 2")
        case "recorded file":
            (package / "recorded" / "gan.safetensors").write_bytes(b"other w")
        case "new file":
            (package / "empty.py").touch()
        case "renamed file":
            (package / "__init__.py").rename(package / "init.py")
        case "preset":
            preset = "quick"
        case "versions":
            environment = ["torch==3"]
    assert fingerprint(package, preset, environment) != before


def test_an_edit_of_one_notebook_changes_its_key_alone(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.ipynb", "1"), write(tmp_path / "2.ipynb", "2")
    before = cache_key(one, "state"), cache_key(two, "state")
    write(one, "1 + 1")
    assert cache_key(one, "state") != before[0]
    assert cache_key(two, "state") == before[1]
    assert cache_key(two, "another state") != before[1]


def test_only_what_changed_runs_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = write(tmp_path / "one.ipynb", "print(1)"), write(tmp_path / "two.ipynb", "print(2)")
    executed = run(tmp_path, one, two)
    assert "cached" not in capsys.readouterr().out

    write(one, "print(3)")
    run(tmp_path, one, two)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("one.ipynb: ") and "cached" not in first
    assert second == "two.ipynb: cached"
    assert outputs(executed / "one.ipynb")["code-0"][0]["text"] == ["3\n"]

    (executed / "one.ipynb").write_text('{"metadata"')  # as a full disk leaves it
    run(tmp_path, one)
    assert "cached" not in capsys.readouterr().out
    assert [path.name for path in executed.iterdir()] == ["one.ipynb"], "the copy of a notebook that is gone"


# ---------------------------------------------------------------- what a chapter meets


def test_a_notebook_runs_in_an_empty_folder_with_the_preset_and_nothing_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    code = "from os import *; print(preset, listdir(), environ.get('PYTHONPATH'), environ['OMP_NUM_THREADS'])"
    executed = run(tmp_path, write(tmp_path / "one.ipynb", code))
    assert outputs(executed / "one.ipynb")["code-0"][0]["text"] == ["smoke [] None 1\n"]


def test_the_executed_copy_hides_what_papermill_added_and_forgets_when_it_ran(tmp_path: Path) -> None:
    nb = nbformat.read(run(tmp_path, write(tmp_path / "one.ipynb", "1")) / "one.ipynb", as_version=4)
    [injected] = [cell for cell in nb.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert "remove-cell" in injected.metadata.tags and injected.id == "injected-parameters"
    assert "papermill" not in nb.metadata
    assert not [cell for cell in nb.cells if {"papermill", "execution"} & set(cell.metadata)]
    nbformat.validate(nb)


def test_with_a_wheel_the_package_must_come_from_it(tmp_path: Path, package: Path) -> None:
    assert build_book.locate_package(tmp_path) == package
    assert build_book.locate_package(None) == Path(prodgen.__file__).parent
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildError, match="there is no prodgen in it"):
        build_book.locate_package(tmp_path / "empty")


# ---------------------------------------------------------------- failures


def test_a_failing_cell_is_named_with_its_reason_and_the_others_still_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write(tmp_path / "bad.ipynb", "x = 1", "# a comment\nx / 0", "print('never')")
    good = write(tmp_path / "good.ipynb", "print('fine')")
    with pytest.raises(BuildError) as failure:
        run(tmp_path, bad, good)
    message = str(failure.value)
    assert "bad.ipynb, cell 4 (id code-1): # a comment failed" in message
    assert "ZeroDivisionError: division by zero" in message
    assert "\x1b" not in message and "----> 2" in message
    assert not (tmp_path / "executed" / "bad.ipynb").exists(), "a failed run is no result"
    assert (tmp_path / "executed" / "good.ipynb").exists()
    assert "bad.ipynb: FAILED" in capsys.readouterr().out


def problems(folder: Path, *code: str, metadata: dict | None = None, parameters: bool = True) -> list[str]:
    """What is wrong with a run of a notebook of these cells."""
    notebook = write(folder / "one.ipynb", *code, metadata=metadata, parameters=parameters)
    return build_book.run_notebook(notebook, folder / "copy.ipynb", "smoke", "key")[1]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(3)", "DeadKernelError"),
        ("import time; time.sleep(60)", "CellTimeoutError"),
    ],
)
def test_a_dead_or_stuck_kernel_is_named_too(
    code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_book, "CELL_TIMEOUT", 5)
    [problem] = problems(tmp_path, "1", code)
    assert problem.startswith(f"one.ipynb, cell 4 (id code-1): {code} failed\n    {reason}")


def test_a_notebook_without_parameters_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "1", parameters=False)
    assert found == ["one.ipynb has no cell tagged `parameters` that sets `preset`"]


def test_a_warning_in_a_chapter_is_refused(tmp_path: Path) -> None:
    code = "import warnings; warnings.warn('mend me')"
    [problem] = problems(tmp_path, code)
    assert problem.startswith(f"one.ipynb, cell 3 (id code-0): {code}\n    wrote to stderr: ")
    assert not (tmp_path / "copy.ipynb").exists(), "it would be taken from the cache the next time"


def test_a_picture_without_alternative_text_is_refused(tmp_path: Path) -> None:
    code = f"from IPython.display import Image\n{PIXEL}\nImage(file.getvalue())"
    [problem] = problems(tmp_path, code)
    assert problem.startswith("one.ipynb, cell 3 (id code-0): ")
    assert problem.endswith("draws a picture without alternative text")
    assert problems(tmp_path, code, metadata=ALT) == []


FIGURES = """import numpy as np
from prodgen import plots
figure = plots.BookFigure(figsize=(5, 3), dpi=160)
axis = figure.subplots()
axis.{}
figure"""


def test_a_drawing_is_kept_as_svg_too_the_same_from_run_to_run_and_photos_and_what_is_heavy_are_not(
    tmp_path: Path,
) -> None:
    drawn = {
        "line": "plot([1, 3, 2])",
        "photo": "imshow(np.random.default_rng(0).random((28, 28)))",
        "heavy": "plot(*np.random.default_rng(0).random((2, 5_000)), '.', markersize=0.1)",
    }
    notebooks = [
        write(tmp_path / f"{name}.ipynb", FIGURES.format(code), metadata=ALT) for name, code in drawn.items()
    ]
    kept = {}
    for place in (tmp_path / "first", tmp_path / "second"):
        executed = run(place, *notebooks)
        kept[place.name] = [outputs(executed / n.name)["code-0"][0]["data"] for n in notebooks]
    assert kept["first"] == kept["second"]
    line, *rest = kept["first"]
    assert {"image/png", "image/svg+xml"} <= line.keys()
    assert all("image/png" in data and "image/svg+xml" not in data for data in rest)


# ---------------------------------------------------------------- widgets


def test_a_widget_becomes_the_picture_it_shows(tmp_path: Path) -> None:
    code = f"""from ipywidgets import FloatSlider, Image, VBox
{PIXEL}
VBox([FloatSlider(), VBox([Image(value=file.getvalue(), format="png")])])"""
    assert problems(tmp_path, code, metadata=ALT) == []
    nb = nbformat.read(tmp_path / "copy.ipynb", as_version=4)
    nbformat.validate(nb)
    assert "widgets" not in nb.metadata
    [output] = outputs(tmp_path / "copy.ipynb")["code-0"]
    assert list(output["data"]) == ["image/png"]
    assert base64.b64decode(output["data"]["image/png"]).startswith(b"\x89PNG")
    assert nb.cells[-1].source == build_book.WIDGET_NOTE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("from ipywidgets import IntProgress\nIntProgress()", "shows a widget without a picture"),
        ("from ipywidgets import Output\nOutput()", "captures output in a widget (interact, Output)"),
    ],
)
def test_a_widget_that_leaves_nothing_to_see_is_refused(code: str, reason: str, tmp_path: Path) -> None:
    [problem] = problems(tmp_path, code, metadata=ALT)
    assert reason in problem


# ---------------------------------------------------------------- pages


def theme(config: dict, folder: Path) -> dict:
    """The theme options that Jupyter Book makes of the configuration."""
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    sphinx, _ = get_final_config(
        user_yaml=folder / "_config.yml", sourcedir=folder, cli_config={"latex_individualpages": False}
    )
    return sphinx["html_theme_options"]


def test_buttons_appear_with_the_address_of_the_repository(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    config["repository"]["url"] = build_book.PLACEHOLDER
    before = theme(configuration(config), tmp_path)
    assert not before.get("use_repository_button") and not before.get("use_issues_button")
    assert not before.get("launch_buttons", {}).get("colab_url")

    config["repository"]["url"] = "https://github.com/someone/book"
    after = theme(configuration(config), tmp_path)
    assert after["use_repository_button"] and after["use_issues_button"]
    assert after["launch_buttons"]["colab_url"] == "https://colab.research.google.com"
    assert (after["repository_url"], after["repository_branch"]) == (
        "https://github.com/someone/book",
        "main",
    )
    assert after["path_to_docs"] == "", "the pages' names begin with book/ already"


def test_the_new_pages_take_the_place_of_the_old_at_once(tmp_path: Path) -> None:
    for name in ("new", "html"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    build_book.replace_folder(tmp_path / "new", tmp_path / "html")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["html", "html/new"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a book with the real configuration and one page, beside a vendored script."""
    root = tmp_path_factory.mktemp("site")
    (root / "book" / "_static" / "vendor").mkdir(parents=True)
    (root / "book" / "_static" / "vendor" / "NOTICES.txt").write_text("Copyright of a script")
    for name in (
        "favicon.svg",
        "print.css",
        "prodgen.css",
        "prodgen.js",
        "reading.css",
        "reading.js",
        "search.js",
    ):
        shutil.copy(ROOT / "book" / "_static" / name, root / "book" / "_static")
    shutil.copytree(ROOT / "book" / "_templates", root / "book" / "_templates")
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    shutil.copy(ROOT / "_config.yml", root)
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    (root / "book" / "index.md").write_text("# A title\n")
    build_book.stage_book(root / "stage", root / "executed", root)
    return build_book.build_html(root / "stage", root)


def test_the_licence_of_whatever_others_wrote_lies_beside_it(site: Path) -> None:
    text = (site / "_static" / "THIRD-PARTY-NOTICES.txt").read_text("utf-8")
    notices = text.split(build_book.assets.RULE)
    assert notices.pop() == "Copyright of a script"
    assert len(notices) == len(build_book.SERVED)
    for name, notice in zip(build_book.SERVED, notices, strict=True):
        assert notice.startswith(f"{name} {importlib.metadata.version(name)}\n\n")
        assert "copyright" in notice.lower(), name


def test_a_build_without_the_scripts_of_the_pages_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"run `python tools/assets\.py` first"):
        build_book.notices(tmp_path)


def test_every_served_file_is_ours_or_of_somebody_whose_licence_is_told(site: Path) -> None:
    theirs = {
        file.name.removesuffix("_t").removesuffix(".jinja")
        for name in build_book.SERVED
        for file in importlib.metadata.files(name)
    }
    ours = {"favicon.svg", "prodgen.css", "prodgen.js", "NOTICES.txt", "THIRD-PARTY-NOTICES.txt"}
    ours |= {"reading.css", "reading.js"}
    ours |= {"live.js", "descriptions.js"}  # for pages that hold a network or a lab
    ours |= {"print.css", "search.js", "sections.js"}
    ours |= {"pygments.css"}  # which the build writes from a style of Pygments
    files = [path.name for path in (site / "_static").rglob("*") if path.is_file()]
    served = {re.sub(r"\.[0-9a-f]{64}(?=\.)", "", name) for name in files}  # mystnb.<hash>.css
    assert served - theirs - ours == set()


# ---------------------------------------------------------------- two at once

BUILD = """
import sys, time
from pathlib import Path
import build_book
folder = Path(sys.argv[1])
log = folder / "log"
def execute(*_):
    log.open("a").write("begins\\n")
    deadline = time.monotonic() + 60
    while not (folder / "go on").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
build_book.execute = execute
build_book.stage_book = lambda *_: None
build_book.build_html = lambda *_: log.open("a").write("ends\\n")
build_book.replace_folder = build_book.edition.write = lambda *_: None
build_book.main("smoke", None, folder / "out")
"""


def test_a_second_build_says_that_it_waits_and_waits(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", BUILD, str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    first = start()
    while not (tmp_path / "log").exists() and first.poll() is None:
        time.sleep(0.05)
    second = start()
    said = second.stdout.readline()
    assert said == f"Waiting for another run in {tmp_path / 'out'} (process {first.pid}) to end.\n"
    (tmp_path / "go on").touch()
    for build in (first, second):
        build.communicate(timeout=120)
        assert build.returncode == 0
    assert (tmp_path / "log").read_text().split() == ["begins", "ends", "begins", "ends"]


def test_chinese_text_says_that_it_is_chinese_and_nothing_else_is_touched() -> None:
    page = '<title>书</title><a title="书">A book 一本书（好）, read</a><svg><text>书</text></svg>书'
    assert build_book.mark_chinese(page) == (
        '<title>书</title><a title="书">A book <span lang="zh">一本书（好）</span>, read</a>'
        '<svg><text>书</text></svg><span lang="zh">书</span>'
    )


def test_the_search_knows_sections_and_terms_by_title_anchor_and_prose() -> None:
    page = """<nav><h2>No part of it</h2></nav><article><section id="a-page">
<h1>A page <span lang="zh">一页</span><a class="headerlink" href="#a-page">#</a></h1>
<p>Its <em>first</em> words, of <span class="math">\\(x\\)</span>.</p>
<pre>import code</pre><section id="part"><span id="sec-1"></span><h2>Part</h2><p>One<br>two.</p></section>
<section id="terms"><h2>Terms</h2><dl><dt id="term-x">loss</dt>
<dt id="term-0"><span lang="zh">损失</span></dt>
<dd><p>What training lowers.</p></dd></dl></section></section></article><footer>No part either</footer>"""
    assert build_book.sections.Sections(page).found == [
        ["A page 一页", "", "Its first words, of …."],
        ["Part", "part", "One two."],
        ["Terms", "terms", ""],
        ["loss 损失", "term-x", "What training lowers."],
    ]


# ---------------------------------------------------------------- what readers expect of a page


def folded(code: str, tag: str = "hide-input", text: str = "", **rest: object) -> str:
    """The summary that the build gives a folded cell after some text."""
    cell = new_code_cell(code, metadata={"tags": [tag]}, **rest)
    reading.summarise(new_notebook(cells=[new_markdown_cell(text), cell]))
    prompts = cell.metadata["mystnb"]
    assert prompts["code_prompt_hide"] == prompts["code_prompt_show"].replace("Show", "Hide", 1)
    return prompts["code_prompt_show"]


def test_a_summary_says_what_its_code_does() -> None:
    assert folded("import math\nfrom pathlib import Path") == "Show the imports"
    assert folded("# The best rate, by\n# bisection. It ends early.\nx = 1") == (
        "Show the code: The best rate, by bisection"
    )
    documented = 'def loss(x):\n    """Loss of `x`, eq. (2.1–3): the mean.  x: (N,)."""\n    return x'
    assert folded(documented) == "Show the code: Loss of x, eq. (2.1–3)"
    assert folded("def f(x):\n    return x\n\n\ndef g(x):\n    return x") == "Show the code of f and g"
    assert folded("a, b = 1, 2\nc = d = 3") == "Show how a, b and more are computed"
    assert folded("f(2)") == "Show the call of f" and folded("assert f(2) == 2") == "Show the check"
    solution = "<details><summary>Solution</summary>Two.</details>"
    assert folded("x = 2", "hide-cell", solution) == "Show the solution in code"
    outputs = [nbformat.v4.new_output("stream", text="| a | b |\n|---|---|\n| 1 | 2 |\n")]
    assert folded("print(table)", outputs=outputs) == "Show the code of the table"
    outputs[0].text = "3 of 4"
    assert folded("print(3)", outputs=outputs) == "Show how the numbers below are computed"


def test_an_author_s_summary_stays_and_open_code_gets_none() -> None:
    own = new_code_cell("1", metadata={"tags": ["hide-input"], "mystnb": {"code_prompt_show": "Show it"}})
    nb = new_notebook(cells=[own, new_code_cell("2")])
    reading.summarise(nb)
    assert nb.cells[0].metadata.mystnb == {"code_prompt_show": "Show it", "code_prompt_hide": "Hide it"}
    assert "mystnb" not in nb.cells[1].metadata


def test_the_date_is_the_last_commit_s_or_the_environment_s_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert reading.last_commit(tmp_path) is None
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        moment = os.environ | {"GIT_COMMITTER_DATE": "1700000000 +0000"}
        subprocess.run(["git", "-C", str(tmp_path), *who, *command], check=True, env=moment)
    assert reading.last_commit(tmp_path) == 1_700_000_000
    (tmp_path / "unpacked").mkdir()
    assert reading.last_commit(tmp_path / "unpacked") is None, "the date of somebody else's repository"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    assert reading.last_commit(tmp_path) == 5
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    monkeypatch.setenv("PATH", "")
    assert reading.last_commit(tmp_path) is None


def test_without_a_date_the_footer_has_the_version_alone() -> None:
    source = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    for date in (None, 1_700_000_000):
        made = reading.dated(source, "1.2.3", date)
        assert made["html"]["extra_footer"].endswith(" Version 1.2.3.")
        assert ("html_last_updated_fmt" in made["sphinx"]["config"]) is (date is not None)
    assert "Version" not in source["html"]["extra_footer"]


def test_both_entries_to_cite_have_what_citation_cff_has() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8").replace("license: MIT", "license: ISC")
    text = re.sub("repository-code: .*", "repository-code: https://example.org/book", text)
    book, article = reading.bibtex(text, build_book.PLACEHOLDER, 2031).split("\n\n")
    assert book.startswith("@software{") and article.startswith("@misc{")
    for field in ("{https://example.org/book}", "{2031}", "{ISC}", f"{{{prodgen.__version__}}}"):
        assert field in book
    assert yaml.safe_load(text)["references"][0]["title"] in article and "year" not in article
    unset = reading.bibtex(text, "https://example.org/book", None)
    assert "example.org" not in unset and "year" not in unset


def test_a_preview_has_whole_words_and_no_formula() -> None:
    assert reading.description(["Let $x$ be\n\\(y\\).", "How  far\ndoes it go?"]) == "How far does it go?"
    long = reading.description(["word " * 100])
    assert len(long) <= reading.DESCRIPTION and long.endswith("word …")
    assert reading.description([]) == ""


def test_drawings_are_marked_and_have_the_size_of_their_png(tmp_path: Path) -> None:
    place = tmp_path / "_images"
    place.mkdir()
    Image.new("RGB", (4, 4), "white").save(place / "lines.png")
    Image.new("RGB", (4, 4), "gray").save(place / "photo.png")
    head = '<?xml version="1.0"?>\n<!-- by matplotlib -->\n<svg width="360pt" height="180.9pt" viewBox="">'
    (place / "figure.svg").write_text(head)
    (tmp_path / "lines.png").write_bytes((place / "lines.png").read_bytes())  # no figure of a notebook
    found = reading.finish(
        '<img src="_images/lines.png"><img src="_images/photo.png"><img src="_images/figure.svg">'
        f'<img src="data:image/png;base64,{1_000 * "A"}" width="1"><img src="lines.png">',
        tmp_path,
    )
    lines, photo, figure, *others = found.split("<img")[1:]
    assert "data-drawing" in lines and "data-drawing" in figure
    assert "data-drawing" not in photo + "".join(others)
    assert 'width="800" height="402"' in figure


def test_pictures_have_their_size_and_come_when_near_but_for_the_first(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(base64.b64decode(DOT))
    page = '<img alt="" src="a%20b.png" /><img alt="" src="a%20b.png" style="width: 3px;" /><img src="c.svg">'
    assert reading.finish(page, tmp_path) == (
        '<img width="1" height="1" alt="" src="a%20b.png" />'
        '<img loading="lazy" decoding="async" width="1" height="1" alt="" src="a%20b.png" '
        'style="width: 3px;" />'
        '<img loading="lazy" decoding="async" src="c.svg">'
    )


def test_a_card_s_picture_is_the_first_of_the_chapter_that_it_leads_to_on_a_sheet_of_one_size(
    tmp_path: Path,
) -> None:
    def png(colour: str) -> str:
        Image.new("RGB", (30, 30), colour).save(buffer := io.BytesIO(), "PNG")
        return base64.b64encode(buffer.getvalue()).decode()

    new = nbformat.v4
    outputs = [new.new_output("display_data", {"image/png": png(c)}) for c in ("red", "blue")]
    cells = [new.new_code_cell("1"), *(new.new_code_cell("draw()", outputs=[o]) for o in outputs)]
    nbformat.write(new.new_notebook(cells=cells), tmp_path / "03-1-gan.ipynb")
    (tmp_path / "_static").mkdir()
    (tmp_path / "index.md").write_text(":::{grid-item-card} A\n:img-top: _static/cards/03-1-gan.png\n:::\n")
    build_book.write_cards(tmp_path)
    [card] = (tmp_path / "_static" / "cards").iterdir()
    with Image.open(card) as picture:
        assert card.name == "03-1-gan.png" and picture.size == build_book.CARD_SIZE
        middle, edge = (picture.convert("RGB").getpixel(place) for place in ((240, 120), (2, 120)))
    assert middle == (255, 0, 0) and edge == (255, 255, 255)
