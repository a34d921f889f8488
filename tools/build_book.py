"""Build the HTML book from executed copies of its notebooks.

    python tools/build_book.py --preset quick                     # the checkout's package, into _build/
    python tools/build_book.py --preset smoke --wheel DIR --out _build/test

1. Every notebook runs under papermill in an empty folder of its own: what it finds is what Colab would find.
   An executed copy is kept in `OUT/executed/PRESET/` and used again as long as the notebook, the package, the
   preset and the installed versions stay as they were.
2. A mirror of the book in `OUT/stage/`, with the executed copies in place of the notebooks, is built by
   Jupyter Book; warnings are errors.
3. The result takes the place of `OUT/html/` in one rename. Its download buttons give the notebooks as they
   are stored, without outputs; `_static/THIRD-PARTY-NOTICES.txt` has the licence of what others wrote of it.
   Beside it, `OUT/edition/` has the executed notebooks for Colab and GitHub (tools/edition.py).

A second build into the same OUT waits for the first.

`--wheel DIR` proves the wheel in place of the checkout: `pip install --no-deps --target DIR WHEEL` makes DIR.
"""

import argparse
import base64
import hashlib
import importlib.metadata
import io
import json
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import assets
import diagrams
import edition
import equations
import lab_networks
import nbformat
import papermill
import reading
import sections
import yaml
from lock import alone
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from papermill.inspection import inspect_notebook
from PIL import Image, ImageOps
from setup_cell import repository

from prodgen import __version__, recorded
from prodgen.cli import live
from prodgen.errors import ProdgenError
from prodgen.notebook import LAB_DATA
from prodgen.presets import PRESETS, resolve

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = "https://github.com/OWNER/REPOSITORY"
CELL_TIMEOUT = 30 * 60  # seconds; a cell of the longest preset stays far below it
TRACEBACK_LINES = 12
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
# In Markdown, and in a notebook's JSON.
LIVE_MODEL = re.compile(r'class=\\?"live\\?" data-model=\\?"([\w-]+)\\?"')
LAB = re.compile(r'class=\\?"lab\\?" data-lab=\\?"([\w-]+)\\?"')
CARD = re.compile(r":img-top: _static/cards/([\w-]+)\.png")
CARD_SIZE = 480, 240  # pixels
CHINESE = re.compile("[\u4e00-\u9fff][\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]*")
NOT_TEXT = re.compile(r"(<(script|style|svg|title|textarea|option)\b.*?</\2>|<[^>]+>)", re.DOTALL)
# Its class lets the page hide it beneath a lab, whose controls need no kernel.
WIDGET_NOTE = """{.widget-note}
*The controls of this figure need a running kernel; here it stands at their first setting.*"""
# Whose style sheets, scripts and icons Sphinx copies to the pages, beside those that tools/assets.py fetched.
SERVED = (
    "myst-nb",
    "pydata-sphinx-theme",
    "pygments",
    "sphinx",
    "sphinx-book-theme",
    "sphinx-copybutton",
    "sphinx-design",
    "sphinx-togglebutton",
)
REDIRECT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=book/index.html">
<link rel="icon" href="_static/favicon.svg">
<title>Product Image Generation with Deep Learning</title>
</head>
<body><p><a href="book/index.html">Product Image Generation with Deep Learning</a></p></body>
</html>
"""

HEAVY = 200_000  # characters of a drawing; compressed to a tenth on the way
# The formats are set twice: pyplot sets them again when a chapter imports it.
PROFILE = """c = get_config()
c.InlineBackend.figure_formats = {"png", "svg"}
c.InteractiveShellApp.exec_lines = [
    "__import__('IPython.core.pylabtools').core.pylabtools.select_figure_formats("
    "get_ipython(), {'png', 'svg'})",
    "__import__('matplotlib').rcParams['svg.hashsalt'] = 'prodgen'",
]
"""


class BuildError(RuntimeError):
    """The book cannot be built; the message says where and why."""


# ---------------------------------------------------------------- what a notebook runs against


def kernel_environment(wheel: Path | None, threads: int | None) -> dict[str, str]:
    """The kernels' environment: nothing of the caller's own Python or Jupyter set-up reaches a chapter."""
    hidden = {"PYTHONPATH", "PYTHONSTARTUP", "PYTHONWARNINGS", "MPLBACKEND", "PRODGEN_PRESET"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env["JUPYTER_PREFER_ENV_PATH"] = "1"  # "python3" is this interpreter, whatever kernels the user has
    if wheel:
        env["PYTHONPATH"] = str(wheel)
    if threads:
        env["OMP_NUM_THREADS"] = str(threads)
    return env


def write_profile(folder: Path) -> dict[str, str]:
    """Let kernels draw each figure as SVG too, the same from run to run: their environment."""
    (folder / "profile_default").mkdir(parents=True, exist_ok=True)
    (folder / "profile_default" / "ipython_kernel_config.py").write_text(PROFILE, "utf-8")
    return {"IPYTHONDIR": str(folder), "SOURCE_DATE_EPOCH": "0"}


def locate_package(wheel: Path | None) -> Path:
    """The folder that `import prodgen` finds in a kernel; with `wheel`, it has to lie in there."""
    code = "import os, prodgen; print(os.path.dirname(os.path.abspath(prodgen.__file__)))"
    with tempfile.TemporaryDirectory() as empty:
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=empty,
            env=kernel_environment(wheel, None),
            capture_output=True,
            text=True,
        )
    if run.returncode:
        raise BuildError(f"`import prodgen` fails: {run.stderr.strip().splitlines()[-1]}")
    package = Path(run.stdout.strip())
    if wheel and not package.is_relative_to(wheel):
        raise BuildError(f"--wheel {wheel}: there is no prodgen in it, the one in {package} was imported")
    return package


def versions() -> list[str]:
    """Interpreter, machine and every installed distribution, as "name==version"."""
    installed = {f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions()}
    return [sys.version, platform.machine(), *sorted(installed)]


def fingerprint(package: Path, preset: str, environment: list[str]) -> str:
    """What all notebooks share: tool, preset, versions, the package with its recorded files and its place."""
    state = hashlib.sha256(json.dumps([str(package), preset, environment]).encode())
    state.update(Path(__file__).read_bytes())
    for path in sorted(p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        state.update(json.dumps([path.relative_to(package).as_posix(), path.stat().st_size]).encode())
        state.update(path.read_bytes())
    return state.hexdigest()


def cache_key(notebook: Path, common: str) -> str:
    """Key of the executed copy of `notebook`: it alone changes with an edit of the notebook."""
    return hashlib.sha256(common.encode() + notebook.read_bytes()).hexdigest()


# ---------------------------------------------------------------- execution


def describe(notebook: Path, cell: NotebookNode) -> str:
    """Name a cell so that it is found: its number in the stored notebook (from 1), its id, its first line."""
    ids = [c.get("id") for c in nbformat.read(notebook, as_version=4).cells]
    number = f"cell {ids.index(cell.id) + 1}" if cell.get("id") in ids else "the cell with the parameters"
    first = cell.source.strip().splitlines()[0] if cell.source.strip() else ""
    return f"{notebook.name}, {number} (id {cell.get('id')}): {first}"


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def failure(notebook: Path, partial: Path, error: Exception) -> str:
    """Name the cell at which execution stopped, and why: its traceback's last lines, or the kernel's end."""
    if isinstance(error, PapermillExecutionError):
        lines = without_colours("\n".join(error.traceback)).rstrip().splitlines()[-TRACEBACK_LINES:]
    else:
        lines = f"{type(error).__name__}: {error}".splitlines()[:1]
    cells = nbformat.read(partial, as_version=4).cells if partial.exists() else []
    begun = [c for c in cells if c.cell_type == "code" and c.metadata.papermill.status != "pending"]
    place = describe(notebook, begun[-1]) if begun else notebook.name
    return "\n    ".join([f"{place} failed", *lines])


def tidy(nb: NotebookNode) -> None:
    """Take out what differs between two runs of one notebook, and hide the cell that papermill injected.

    Of drawings the SVG stays beside the PNG, and the page shows it; of photos, and of what is heavy, it goes.
    """
    nb.metadata.pop("papermill", None)
    for cell in nb.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
            cell.metadata.tags.append("remove-cell")
        for output in cell.get("outputs", []):
            drawing = output.get("data", {}).get("image/svg+xml")
            if drawing and (len(drawing) > HEAVY or not is_drawing(output.data["image/png"])):
                del output.data["image/svg+xml"]


def is_drawing(png: str) -> bool:
    """Whether this PNG (base64) shows no photos."""
    return reading.is_drawing(Image.open(io.BytesIO(base64.b64decode(png))))


def picture_of(model_id: str, state: dict) -> str | None:
    """The PNG (base64) that the first Image widget in this widget's tree shows."""
    model = state.get(model_id, {})
    if model.get("model_name") == "ImageModel":
        return next((b["data"] for b in model.get("buffers", []) if b["path"] == ["value"]), None)
    children = (child.removeprefix("IPY_MODEL_") for child in model.get("state", {}).get("children", []))
    return next(filter(None, (picture_of(child, state) for child in children)), None)


def flatten_widgets(notebook: Path, nb: NotebookNode) -> list[str]:
    """Put its picture where a widget stands: without a kernel its controls move and nothing happens.

    The picture is what its Image widget shows at the first setting. Output widgets (`interact`) are refused:
    now and then nbclient waits for ever on them (its issue 312). Returns what is wrong, if anything.
    """
    state = nb.metadata.pop("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    if any(model.get("model_name") == "OutputModel" for model in state.values()):
        return [f"{notebook.name} captures output in a widget (interact, Output): draw into an Image widget"]
    found, cells = [], []
    for cell in nb.cells:
        cells.append(cell)
        for output in cell.get("outputs", []):
            if view := output.get("data", {}).get(WIDGET_VIEW):
                if png := picture_of(view["model_id"], state):
                    output.data = {"image/png": png}
                    cells.append(nbformat.v4.new_markdown_cell(WIDGET_NOTE, id=f"{cell.id}-note"))
                else:
                    found.append(f"{describe(notebook, cell)}\n    shows a widget without a picture")
    nb.cells = cells
    return found


def complaints(notebook: Path, nb: NotebookNode) -> list[str]:
    """What a reader must not meet: warnings on stderr, pictures without alternative text."""
    found = []
    for cell in nb.cells:
        outputs = cell.get("outputs", [])
        if stderr := "".join(o.text for o in outputs if o.get("name") == "stderr").strip():
            last = without_colours(stderr).splitlines()[-1]
            found.append(f"{describe(notebook, cell)}\n    wrote to stderr: {last}")
        mimes = {mime for o in outputs for mime in o.get("data", {})}
        pictures = any(mime.startswith("image/") for mime in mimes)
        if pictures and not cell.metadata.get("mystnb", {}).get("image", {}).get("alt"):
            found.append(f"{describe(notebook, cell)}\n    draws a picture without alternative text")
    return found


def run_notebook(notebook: Path, executed: Path, preset: str, key: str) -> tuple[float, list[str]]:
    """Run one notebook and keep its executed copy if nothing is wrong. Returns seconds and what is wrong."""
    if "preset" not in inspect_notebook(str(notebook)):
        return 0.0, [f"{notebook.name} has no cell tagged `parameters` that sets `preset`"]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="prodgen-") as folder:
        empty, partial = Path(folder) / "empty", Path(folder) / notebook.name
        empty.mkdir()
        try:
            nb = papermill.execute_notebook(
                notebook,
                partial,
                parameters={"preset": preset},
                kernel_name="python3",
                cwd=empty,
                progress_bar=False,
                execution_timeout=CELL_TIMEOUT,
            )
        except Exception as error:  # whatever ends a kernel is reported with the notebook and the cell
            return time.perf_counter() - start, [failure(notebook, partial, error)]
    seconds = time.perf_counter() - start
    tidy(nb)
    problems = flatten_widgets(notebook, nb) + complaints(notebook, nb)
    if not problems:
        nb.metadata["prodgen_build"] = {"key": key, "seconds": round(seconds, 1)}
        unfinished = executed.with_suffix(".unfinished")
        nbformat.write(nb, unfinished)
        unfinished.replace(executed)
    return seconds, problems


def stored_key(executed: Path) -> str | None:
    """The key under which an executed copy was made; None if there is no readable copy."""
    try:
        return json.loads(executed.read_text(encoding="utf-8"))["metadata"]["prodgen_build"]["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def prepare_worker(environment: dict[str, str], log: Path) -> None:
    """Give this process what its kernels inherit: `environment`, and `log` for Jupyter's own messages."""
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())


def execute(notebooks: list[Path], folder: Path, preset: str, wheel: Path | None) -> None:
    """Bring the executed copies in `folder` up to date; one line a notebook. Raises BuildError at the end."""
    common = fingerprint(locate_package(wheel), preset, versions())
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in {n.name for n in notebooks}:
            path.unlink()  # the copy of a notebook that is gone, or an unfinished one
    keys = {n: cache_key(n, common) for n in notebooks}
    due = [n for n in notebooks if stored_key(folder / n.name) != keys[n]]
    # Training uses every core, so chapters that train run one after another; a smoke run is mostly start-up.
    workers = 2 if preset == "smoke" else 1
    environment = kernel_environment(wheel, threads=1 if workers > 1 else None)
    environment |= write_profile(folder.with_suffix(".ipython"))
    spawn = multiprocessing.get_context("spawn")
    log = folder.with_suffix(".log")
    log.unlink(missing_ok=True)
    problems = []
    with ProcessPoolExecutor(workers, spawn, prepare_worker, (environment, log)) as pool:
        runs = {n: pool.submit(run_notebook, n, folder / n.name, preset, keys[n]) for n in due}
        for notebook in notebooks:
            seconds, found = runs[notebook].result() if notebook in runs else (None, [])
            took = "cached" if seconds is None else f"{seconds:.1f} s"
            print(f"{notebook.name}: {'FAILED, ' if found else ''}{took}", flush=True)
            problems += found
    if problems:
        raise BuildError("\n".join([*problems, f"What the kernels said beside this is in {log}"]))


# ---------------------------------------------------------------- pages


def configuration(source: dict) -> dict:
    """The configuration; while the repository has no address, without the buttons that would lead nowhere."""
    if source["repository"]["url"] != PLACEHOLDER:
        return source
    html = {name: value for name, value in source["html"].items() if not name.startswith("use_repository")}
    html.pop("use_issues_button", None)
    rest = {name: value for name, value in source.items() if name not in ("launch_buttons", "repository")}
    return {**rest, "html": html}


def stage_book(stage: Path, executed: Path, root: Path = ROOT) -> None:
    """Mirror what Jupyter Book reads into `stage`, the executed copies in the place of the notebooks."""
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(root / "book", stage / "book", ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    shutil.copy(root / "_toc.yml", stage)
    (stage / "tools").mkdir()
    shutil.copy(equations.__file__, stage / "tools")  # numbers the equations, as an extension of Sphinx
    shutil.copy(reading.__file__, stage / "tools")  # describes the pages, as another
    config = configuration(yaml.safe_load((root / "_config.yml").read_text("utf-8")))
    changed = reading.last_commit(ROOT)
    config = reading.dated(config, __version__, changed)
    (stage / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
    for path in sorted(executed.glob("*.ipynb")):
        shutil.copy(path, stage / "book")
    year = time.gmtime(changed).tm_year if changed else None
    citation = reading.bibtex((ROOT / "CITATION.cff").read_text("utf-8"), PLACEHOLDER, year)
    (stage / "book" / "cite.bib").write_text(citation, "utf-8")
    for_pages(stage / "book")
    write_cards(stage / "book")
    write_live_models(stage / "book")
    write_lab_data(stage / "book", take_lab_data(stage / "book"))


def for_pages(book: Path) -> None:
    """Let every summary in the executed notebooks say what it unfolds, and every diagram be a picture."""
    for path in sorted(book.glob("*.ipynb")):
        nb = nbformat.read(path, as_version=4)
        reading.summarise(nb)
        diagrams.place(nb, path.stem, book / diagrams.FOLDER)
        nbformat.write(nb, path)


def write_cards(book: Path) -> None:
    """The pictures of the first page's cards: of each named chapter the first one, on a sheet of one size."""
    place = book / "_static" / "cards"
    place.mkdir(exist_ok=True)
    for name in CARD.findall((book / "index.md").read_text("utf-8")):
        cells = nbformat.read(book / f"{name}.ipynb", as_version=4).cells
        outputs = (output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
        first = next(data["image/png"] for data in outputs if "image/png" in data)
        picture = Image.open(io.BytesIO(base64.b64decode(first))).convert("RGB")
        sheet = ImageOps.pad(picture, CARD_SIZE, color="white")
        sheet.quantize(128).save(place / f"{name}.png", optimize=True)


def write_live_models(book: Path) -> None:
    """Put what draws in the pages into `_static/live/`: the script, and each model that a page names."""
    place = book / "_static" / "live"
    place.mkdir()
    shutil.copy(Path(live.__file__).with_suffix(".js"), place)
    labs = recorded.labs()
    of_labs = {labs[lab].get("model") for lab in named_in(book, LAB)} - {None}
    for name in sorted(named_in(book, LIVE_MODEL) | of_labs):
        model = json.dumps(live.live_model(recorded.load_model(name)))
        (place / f"{name}.js").write_text(f'prodgenLive.models["{name}"] = {model};\n', "utf-8")


def named_in(book: Path, pattern: re.Pattern[str]) -> set[str]:
    """What a pattern finds in the sources of all pages."""
    sources = [*book.glob("*.md"), *book.glob("*.ipynb")]
    return {name for source in sources for name in pattern.findall(source.read_text("utf-8"))}


def take_lab_data(book: Path) -> dict[str, object]:
    """Take out of the executed notebooks what they hand over to labs: {lab: data}."""
    data = {}
    for path in sorted(book.glob("*.ipynb")):
        nb = nbformat.read(path, as_version=4)
        handed = [o for cell in nb.cells for o in cell.get("outputs", []) if LAB_DATA in o.get("data", {})]
        if not handed:
            continue
        for output in handed:
            data |= output.data[LAB_DATA]
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if output not in handed]
        nbformat.write(nb, path)
    return data


def write_lab_data(book: Path, data: dict[str, object]) -> None:
    """Write what the labs in the pages read: the descriptions, and what chapters handed over."""
    place = book / "_static" / "labs"
    place.mkdir(exist_ok=True)
    labs = recorded.labs()
    lab_networks.write(labs, named_in(book, LAB), book)
    known = {"descriptions": labs, "data": data}
    lines = (
        f"prodgenLabs.{name} = {json.dumps(value, ensure_ascii=False)};\n" for name, value in known.items()
    )
    (place / "descriptions.js").write_text("".join(lines), "utf-8")


def notices(vendor: Path) -> str:
    """The licences of what others wrote of the pages: of SERVED, then those that `vendor` brings along."""
    texts = []
    for name in SERVED:
        distribution = importlib.metadata.distribution(name)
        licences = [f for f in distribution.files if re.match("licen[cs]e|copying", f.name, re.IGNORECASE)]
        texts.append(
            "\n\n".join([f"{name} {distribution.version}", *(f.read_text("utf-8") for f in licences)])
        )
    if not (vendor / assets.NOTICES).exists():
        raise BuildError("The scripts of the pages are not there: run `python tools/assets.py` first.")
    texts.append((vendor / assets.NOTICES).read_text("utf-8"))
    return assets.RULE.join(texts)


def mark_chinese(page: str) -> str:
    """The page with `lang="zh"` round what is Chinese in its text, so that it is read out as Chinese."""
    parts, at = [], 0
    for other in [*NOT_TEXT.finditer(page), None]:
        end = other.start() if other else len(page)
        parts.append(CHINESE.sub(r'<span lang="zh">\g<0></span>', page[at:end]))
        if other:
            parts.append(other[0])
            at = other.end()
    return "".join(parts)


def build_html(stage: Path, root: Path = ROOT) -> Path:
    """Run Jupyter Book over `stage`; returns the folder of the pages. Raises BuildError with the warnings."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", str(stage), "-W", "-n", "--keep-going"]
    changed = reading.last_commit(ROOT)
    environment = os.environ | (
        {"SOURCE_DATE_EPOCH": str(changed)} if changed else {}
    )  # the date in the footer
    run = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    if run.returncode:
        lines = without_colours(run.stdout).splitlines()
        told = [line for line in lines if re.search("WARNING|ERROR", line)] or lines[-TRACEBACK_LINES:]
        raise BuildError("\n".join(["Jupyter Book failed:", *told]))
    html = stage / "_build" / "html"
    static = html / "_static"
    (static / "THIRD-PARTY-NOTICES.txt").write_text(notices(static / "vendor"), "utf-8")
    (html / "index.html").write_text(REDIRECT, "utf-8")  # Jupyter Book's own has neither title nor language
    for path in html.rglob("*.html"):
        page = edition.to_colab(path.read_text("utf-8"))
        path.write_text(reading.finish(mark_chinese(page), path.parent), "utf-8")
    sections.write(html)
    for notebook in sorted((root / "book").glob("*.ipynb")):
        shutil.copy(notebook, html / "_sources" / "book" / notebook.name)  # downloads carry no outputs
    return html


def replace_folder(new: Path, place: Path) -> None:
    """Let `new` take the place of the folder `place`; nobody ever finds a half-written one there."""
    old = place.with_name(place.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def main(preset: str, wheel: Path | None, out: Path) -> None:
    """Execute, build, put in place: see the head of this file."""
    preset = resolve(preset)
    executed = out / "executed" / preset
    with alone(out / "build.lock"):
        execute(sorted((ROOT / "book").glob("*.ipynb")), executed, preset, wheel)
        start = time.perf_counter()
        stage_book(out / "stage", executed)
        html = build_html(out / "stage")
        edition.write(out / "stage", html, out / "edition.new", repository())
        replace_folder(html, out / "html")
        replace_folder(out / "edition.new", out / "edition")
    print(f"{out / 'html' / 'index.html'}: {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the HTML book from executed copies of its notebooks.")
    parser.add_argument("--preset", default="auto", choices=("auto", *PRESETS), help="effort; auto by device")
    parser.add_argument("--wheel", type=Path, help="folder with the wheel installed into it")
    parser.add_argument("--out", type=Path, default=ROOT / "_build", help="the pages go to OUT/html")
    arguments = parser.parse_args()
    try:
        main(arguments.preset, arguments.wheel and arguments.wheel.resolve(), arguments.out.resolve())
    except (BuildError, diagrams.DiagramError, edition.EditionError, ProdgenError) as error:
        sys.exit(f"The book was not built.\n{error}")
