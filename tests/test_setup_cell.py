"""The Colab set-up cell: silent where prodgen is installed, one clear error or one installation elsewhere."""

import importlib.util
import subprocess
import sys

import nbformat
import pytest
import setup_cell

PLACEHOLDER = "https://github.com/OWNER/REPOSITORY"
ADDRESS = "https://github.com/someone/a-book"


def test_does_nothing_where_prodgen_is_installed(tmp_path):
    command = [sys.executable, "-c", setup_cell.source(PLACEHOLDER)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_says_that_the_address_is_not_set(tmp_path):
    # -S leaves out every installed package, -I what the environment would add.
    command = [sys.executable, "-I", "-S", "-c", setup_cell.source(PLACEHOLDER)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: The address of the book's public repository is not set")
    assert "make repo URL=" in last and "pip install" in last


def test_installs_from_the_repository_where_the_address_is_set(monkeypatch):
    calls = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append((command, check)))
    exec(setup_cell.source(ADDRESS), {})
    package = f"prodgen[notebook] @ git+{ADDRESS}"
    assert calls == [([sys.executable, "-m", "pip", "install", "--quiet", package], True)]


def test_a_failed_installation_stops_the_notebook(monkeypatch):
    def fail(command, check):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        exec(setup_cell.source(ADDRESS), {})


@pytest.fixture
def notebook(tmp_path):
    title = nbformat.v4.new_markdown_cell("# 1 Title", id="title")
    rest = nbformat.v4.new_code_cell("preset = 'auto'", id="parameters")
    nbformat.write(nbformat.v4.new_notebook(cells=[title, rest]), tmp_path / "nb.ipynb")
    return tmp_path / "nb.ipynb"


def test_is_written_as_second_cell_and_then_kept_up_to_date(notebook):
    for url in (PLACEHOLDER, ADDRESS):
        setup_cell.write(notebook, url)
        cells = nbformat.read(notebook, as_version=4).cells
        assert [cell.id for cell in cells] == ["title", "setup", "parameters"]
        assert cells[1].source == setup_cell.source(url)


def test_an_up_to_date_notebook_is_not_touched(notebook):
    setup_cell.write(notebook, ADDRESS)
    notebook.chmod(0o444)
    before = notebook.stat().st_mtime_ns
    setup_cell.write(notebook, ADDRESS)
    assert notebook.stat().st_mtime_ns == before
