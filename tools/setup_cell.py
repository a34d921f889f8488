"""The set-up cell of every notebook: on Colab, where there is only the notebook, it installs the package.

`python tools/setup_cell.py` writes it into every notebook of the book: into the cell tagged `setup`, or as a
new second cell where a notebook has none yet. A test holds the notebooks equal to it.
"""

import tomllib
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
TAGS = ["setup", "hide-input"]

TEMPLATE = """\
# On Colab this installs the package from the book's repository; where prodgen is installed, nothing happens.
import importlib.util
import subprocess
import sys

REPOSITORY = "{url}"
if importlib.util.find_spec("prodgen") is None:
    if REPOSITORY.endswith("/OWNER/REPOSITORY"):
        raise RuntimeError(
            "The address of the book's public repository is not set, so prodgen cannot be installed from it. "
            "A maintainer sets it with `make repo URL=https://github.com/…`; until then, install the package "
            "from a checkout: `pip install 'PATH_OF_THE_CHECKOUT[notebook]'`."
        )
    package = f"prodgen[notebook] @ git+{{REPOSITORY}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    importlib.invalidate_caches()"""


def repository(root: Path = ROOT) -> str:
    """The public address, from its one place in pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]


def source(url: str) -> str:
    """Text of the set-up cell for a repository at `url`."""
    return TEMPLATE.format(url=url)


def write(notebook: Path, url: str) -> None:
    """Put the set-up cell into `notebook`, a path; the file is touched only if that changes it."""
    nb = nbformat.read(notebook, as_version=nbformat.NO_CONVERT)
    cell = next((c for c in nb.cells if "setup" in c.metadata.get("tags", [])), None)
    if cell is None:
        cell = nbformat.v4.new_code_cell(id="setup", metadata={"tags": TAGS})
        nb.cells.insert(1, cell)
    if cell.source != source(url):
        cell.source = source(url)
        nbformat.write(nb, notebook)


if __name__ == "__main__":
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        write(path, repository())
