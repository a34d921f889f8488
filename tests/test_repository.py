"""The files round the package agree with each other: requirements, pins, addresses, commands, licences."""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import set_repository
import setup_cell
import yaml
from oldest import constraints
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import prodgen

ROOT = setup_cell.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What Colab preinstalls, as of August 2026.
COLAB = {"python": "3.13", "torch": "2.11.0", "accelerate": "1.14.0", "ipywidgets": "7.7.1"}
# Layers of the package, lowest first: a module imports only from those before it.
LAYERS = (
    *("errors", "device", "files", "presets", "data", "losses", "models", "recorded", "training"),
    *("evaluation", "plots", "notebook", "cli", "__main__"),
)
# What a reader takes first, and how many lines that are not blank it and the package may have: an evening's
# reading. What renders the studio's products comes later, as do the clothing and the medical patches, which
# add nothing to how a data set is made; the command line stands on it all.
READ_FIRST = (
    *(f"data/{name}.py" for name in ("__init__", "info", "dataset", "condition", "cache")),
    *("data/fashion_mnist.py", "data/faces.py", "data/folder", "losses.py", "models"),
    *(f"training/{name}.py" for name in ("trainer", "gan", "vae", "classifier", "ema", "optimiser")),
)
READ_FIRST_LINES, PACKAGE_LINES, COMMAND_LINES = 2_000, 4_600, 1_300


def requirements(*lists: list[str]) -> dict[str, Requirement]:
    """{name: requirement} of these lines of pyproject.toml, without the package's own extras."""
    found = [Requirement(line) for lines in lists for line in lines]
    return {canonicalize_name(r.name): r for r in found if r.name != "prodgen"}


def read_yaml(path: Path):
    return yaml.safe_load(path.read_text("utf-8"))


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


# ---------------------------------------------------------------- requirements


def test_requirements_have_lower_bounds_only():
    for name, requirement in requirements(PROJECT["dependencies"], *EXTRAS.values()).items():
        operators = [specifier.operator for specifier in requirement.specifier]
        expected = [">=", "<"] if name == "jupyter-book" else [">="]  # version 2 is another program
        assert sorted(operators, reverse=True) == expected, str(requirement)


def test_requirements_admit_what_colab_preinstalls():
    bounds = {
        **requirements(PROJECT["dependencies"], EXTRAS["notebook"]),
        "python": Requirement("python" + PROJECT["requires-python"]),
    }
    for name, version in COLAB.items():
        assert version in bounds[name].specifier, name


def test_constraints_pin_each_requirement_exactly_and_within_its_bounds():
    pinned: dict[str, list[Requirement]] = {}
    for pin in pins():
        assert [s.operator for s in pin.specifier] == ["=="], str(pin)
        pinned.setdefault(canonicalize_name(pin.name), []).append(pin)
    for name, requirement in requirements(PROJECT["dependencies"], *EXTRAS.values()).items():
        assert name in pinned, f"{name} is not pinned"
        for pin in pinned[name]:
            [specifier] = pin.specifier
            assert specifier.version in requirement.specifier, f"{pin} is outside {requirement}"


@pytest.mark.parametrize(
    "machine", [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")], ids="-".join
)
def test_no_distribution_is_pinned_twice_on_one_machine(machine):
    environment = {"sys_platform": machine[0], "platform_machine": machine[1]}
    names = [
        canonicalize_name(pin.name) for pin in pins() if not pin.marker or pin.marker.evaluate(environment)
    ]
    assert sorted(set(names)) == sorted(names)


def test_every_pin_installs_on_the_oldest_python_and_on_colabs():
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"  # Debian 12 has 3.11.2
    for name in {pin.name for pin in pins()}:
        accepted = SpecifierSet(importlib.metadata.metadata(name).get("Requires-Python", ""))
        assert oldest in accepted and f"{COLAB['python']}.0" in accepted, f"{name} needs Python {accepted}"


def test_everyone_who_builds_or_runs_the_book_gets_what_its_chapters_import():
    assert "prodgen[notebook]" in EXTRAS["book"] and "prodgen[export]" in EXTRAS["test"]
    everything = "-c {} -e {}.[book,test]{}"
    assert everything.format("$(CONSTRAINTS)", "'", "'") in (ROOT / "Makefile").read_text("utf-8")
    environment = read_yaml(ROOT / "environment.yml")
    python, pip, by_pip = environment["dependencies"]
    assert (python, pip) == ("python" + PROJECT["requires-python"], "pip")
    assert " ".join(by_pip["pip"]) == everything.format("constraints.txt", "", "")
    assert "prodgen[notebook] @ git+" in setup_cell.source("")
    assert '"/checkout[notebook]"' in (ROOT / ".github" / "workflows" / "colab.yml").read_text("utf-8")


def test_the_oldest_set_has_every_requirement_once_and_at_its_lower_bound_if_users_install_it():
    oldest = {canonicalize_name((r := Requirement(line)).name): r for line in constraints()}
    declared = requirements(PROJECT["dependencies"], *EXTRAS.values())
    assert len(constraints()) == len(oldest) and set(oldest) == set(declared)
    for name in requirements(PROJECT["dependencies"], EXTRAS["notebook"], EXTRAS["export"]):
        [bound], [version] = declared[name].specifier, oldest[name].specifier
        assert (bound.operator, version.operator) == (">=", "==") and bound.version == version.version


def imports(source: str, at_once: bool = False) -> set[str]:
    """Top-level modules that a piece of Python imports, without our own and the standard library's.

    at_once: only those that it imports itself when it is imported, not those in its functions.
    """
    modules = set()
    tree = ast.parse(source)
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.split(".")[0])
    own = {
        path.stem for folder in ("benchmarks", "tests", "tools") for path in (ROOT / folder).glob("*.py")
    } | {"prodgen"}
    return modules - own - set(sys.stdlib_module_names)


def distributions(modules: set[str]) -> set[str]:
    """The distributions that these modules come from."""
    known = importlib.metadata.packages_distributions()
    return {canonicalize_name(known[module][0]) for module in modules}


def imported(folder: str) -> set[str]:
    """Distributions that the Python files and the notebooks below `folder` import."""
    sources = [path.read_text("utf-8") for path in (ROOT / folder).rglob("*.py")]
    for path in (ROOT / folder).glob("*.ipynb"):
        cells = nbformat.read(path, as_version=nbformat.NO_CONVERT).cells
        sources += [cell.source for cell in cells if cell.cell_type == "code"]
    return distributions(set().union(*map(imports, sources)))


def test_package_and_chapters_import_exactly_what_is_declared():
    core, notebook = requirements(PROJECT["dependencies"]), requirements(EXTRAS["notebook"])
    export = set(requirements(EXTRAS["export"]))
    assert not set(core) & set(notebook) and not export & (set(core) | set(notebook))
    assert imported("src") - set(notebook) == set(core) | export
    assert (imported("src") | imported("book")) - set(core) - export == set(notebook)


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: path.stem)
def test_a_module_loads_without_what_only_chapters_need(path):
    lists = [PROJECT["dependencies"]] + ([EXTRAS["notebook"]] if path.stem == "notebook" else [])
    assert distributions(imports(path.read_text("utf-8"), at_once=True)) <= set(requirements(*lists))
    if path.stem != "notebook":
        assert "notebook" not in own_imports(path, path.relative_to(ROOT / "src").with_suffix("").parts)


def test_tools_and_tests_import_only_what_is_declared():
    declared = set(requirements(PROJECT["dependencies"], *EXTRAS.values()))
    assert imported("tools") | imported("tests") <= declared


def test_hooks_and_constraints_name_the_same_versions():
    pinned = {pin.name: next(iter(pin.specifier)).version for pin in pins()}
    revisions = {
        repo["repo"].split("/")[-1]: repo["rev"]
        for repo in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    }
    assert revisions == {"ruff-pre-commit": f"v{pinned['ruff']}", "nbstripout": pinned["nbstripout"]}


# ---------------------------------------------------------------- the package


def test_importing_the_package_does_not_load_torch():
    code = "import sys, prodgen; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_module_imports_only_from_those_before_it():
    package = ROOT / "src" / "prodgen"
    found = {
        path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert found - {"__init__"} <= set(LAYERS)
    for path in package.rglob("*.py"):
        inside = path.relative_to(package).with_suffix("").parts
        if inside == ("__init__",):
            continue
        for name in own_imports(path, ("prodgen", *inside)):
            assert LAYERS.index(name) <= LAYERS.index(inside[0]), f"{path} imports prodgen.{name}"


def own_imports(path: Path, module: tuple[str, ...]) -> set[str]:
    """First-level modules of prodgen that the file imports; `module` is its own dotted name, in parts."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*module[: len(module) - node.level]] if node.level else []
            base += node.module.split(".") if node.module else []
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        names |= {t[1] for t in targets if t[0] == "prodgen" and len(t) > 1}
    return names - {"__version__"}


def lines(*places: str) -> int:
    """Lines that are not blank of the Python files at these places in the package, files or folders."""
    roots = [ROOT / "src" / "prodgen" / place for place in places]
    paths = {path for root in roots for path in ([root] if root.is_file() else root.rglob("*.py"))}
    return sum(bool(line.strip()) for path in paths for line in path.read_text("utf-8").splitlines())


def test_the_package_stays_small_enough_to_be_read():
    assert 0 < lines(*READ_FIRST) < READ_FIRST_LINES
    assert lines(*READ_FIRST) < lines("") - lines("cli") < PACKAGE_LINES
    assert lines("cli") < COMMAND_LINES


def test_one_version():
    assert read_yaml(ROOT / "CITATION.cff")["version"] == prodgen.__version__
    assert importlib.metadata.version("prodgen") == prodgen.__version__
    assert f"## {prodgen.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_licences_and_citation():
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License\n\nCopyright")
    text = (ROOT / "LICENSE-text").read_text("utf-8")
    assert "Attribution 4.0 International" in text
    for section in range(1, 9):
        assert f"\nSection {section} -- " in text
    [article] = read_yaml(ROOT / "CITATION.cff")["references"]
    assert article["title"] == "深度学习驱动的商品图像生成"


# ---------------------------------------------------------------- the public address


def test_the_address_is_the_same_everywhere():
    url = setup_cell.repository()
    assert set_repository.normalise(url) == url
    assert read_yaml(ROOT / "_config.yml")["repository"]["url"] == url
    assert read_yaml(ROOT / "CITATION.cff")["repository-code"] == url
    for path in (ROOT / "book").glob("*.ipynb"):
        setup = nbformat.read(path, as_version=nbformat.NO_CONVERT).cells[1]
        assert f'REPOSITORY = "{url}"' in setup.source, path.name
    readme = (ROOT / "README.md").read_text("utf-8")
    _, colab, published = set_repository.addresses(url)
    assert f"git+{url}" in readme
    assert re.findall(r"https://colab\.research\.google\.com/github/[^/]+/[^/]+", readme) == [colab]
    assert f"({published}/)" in readme


@pytest.fixture
def copy(tmp_path):
    for path in set_repository.files():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def everything(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in set_repository.files(root)}


def test_make_repo_changes_every_place_and_back(copy):
    before, old = everything(copy), setup_cell.repository(copy)
    new = "https://github.com/some-one/a.book"
    changed = set_repository.replace(f"{new}.git/"[:-1] + "/", copy)
    after = everything(copy)
    assert {p.name for p in changed} >= {"pyproject.toml", "README.md", "CITATION.cff", "_config.yml"}
    assert {p.name for p in changed} >= {p.name for p in (copy / "book").glob("*.ipynb")}
    assert setup_cell.repository(copy) == new
    for name, text in after.items():
        assert not any(address in text for address in set_repository.addresses(old)), name
    assert set_repository.addresses(new)[1] in after["README.md"]
    for path in (copy / "book").glob("*.ipynb"):
        assert nbformat.read(path, as_version=4).cells[1].source == setup_cell.source(new)
    assert set_repository.replace(new, copy) == []  # once more changes nothing
    set_repository.replace(old, copy)
    assert everything(copy) == before


def test_a_longer_name_that_starts_alike_is_left_alone(copy):
    old = setup_cell.repository(copy)
    page = copy / "book" / "page.md"
    page.write_text(f"{old}-other {old}.io {old}. [{old}]({old}/issues) {old}", "utf-8")
    set_repository.replace("https://github.com/a/b", copy)
    new = "https://github.com/a/b"
    assert page.read_text("utf-8") == f"{old}-other {old}.io {new}. [{new}]({new}/issues) {new}"


@pytest.mark.parametrize(
    "url", ["", "owner/name", "http://github.com/a/b", "https://github.com/a", "https://x.org/a/b"]
)
def test_what_is_no_address_is_refused_and_nothing_written(copy, url):
    before = everything(copy)
    with pytest.raises(ValueError, match="is not the address of a repository"):
        set_repository.replace(url, copy)
    assert everything(copy) == before


# ---------------------------------------------------------------- commands


def make(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")} | environment
    return subprocess.run(["make", *arguments], cwd=cwd, env=env, capture_output=True, text=True)


def make_targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_help_is_the_default_and_names_what_exists():
    named = set(re.findall(r"^make ([\w-]+)", make().stdout, re.MULTILINE))
    assert named == {"book", "test", "test-oldest", "serve", "pdf", "repo", "clean"}
    assert named <= make_targets()


def test_workflows_call_targets_that_exist():
    for path in WORKFLOWS:
        called = set(re.findall(r"\bmake ([\w-]+)", path.read_text("utf-8")))
        assert called <= make_targets(), path.name
    steps = {path.stem: json.dumps(read_yaml(path)) for path in WORKFLOWS}
    assert set(steps) == {"test", "publish", "colab"}
    assert '"run": "make test"' in steps["test"] and '"run": "make test-oldest"' in steps["test"]
    assert '"run": "make book"' in steps["publish"]
    assert (
        '"path": "_build/edition"' in steps["publish"] and "push --force origin notebooks" in steps["publish"]
    )
    assert "/checkout/book/*.ipynb" in steps["colab"]


def test_workflows_test_the_oldest_python_and_colabs():
    jobs = read_yaml(ROOT / ".github" / "workflows" / "test.yml")["jobs"]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert jobs["test"]["strategy"]["matrix"]["python-version"] == [oldest, COLAB["python"]]
    [python] = [step for step in jobs["oldest"]["steps"] if "setup-python" in step.get("uses", "")]
    assert python["with"] == {"python-version": oldest}


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(tmp_path):
    """A checkout with an environment complete as far as make can tell; its Python notes its arguments."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    write_program(tmp_path / ".venv" / "bin" / "python", 'echo "python $*" >> log')
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def test_pip_runs_again_only_when_what_it_installs_has_changed(bare):
    assert make("-q", ".venv/.installed", cwd=bare).returncode == 0
    for name in ("pyproject.toml", "constraints.txt"):
        os.utime(
            bare / ".venv" / ".installed", (2, 2)
        )  # file times are coarse: leave no doubt which is newer
        (bare / name).touch()
        assert make(".venv/.installed", cwd=bare).returncode == 0
        assert "pip install" in (bare / "log").read_text()
        assert make("-q", ".venv/.installed", cwd=bare).returncode == 0
        (bare / "log").unlink()


def test_an_older_python_is_refused_in_one_sentence(bare):
    old = bare / "python3.10"
    write_program(old, "exit 1")
    (bare / ".venv" / ".installed").unlink()
    run = make("test", f"PYTHON={old}", cwd=bare)
    assert run.returncode != 0
    assert run.stderr.startswith("prodgen needs Python 3.11 or newer.")


def test_a_failing_test_run_fails_make(bare):
    write_program(bare / ".venv" / "bin" / "python", "case $* in *run_tests*) exit 7;; esac")
    write_program(bare / "chromium", "exit 0")
    assert make("test", cwd=bare, PATH=f"{bare}:{os.environ['PATH']}").returncode != 0


@pytest.fixture
def without_browser(bare):
    """PATH of a machine without a browser, on which apt-get only notes its arguments."""
    tools = bare / "bin"
    tools.mkdir()
    for name in ("make", "sh", "grep"):
        (tools / name).symlink_to(shutil.which(name))
    write_program(tools / "apt-get", f'echo "apt-get $*" >> {bare}/log')
    return tools


def test_without_a_browser_an_ordinary_user_is_told_and_the_tests_go_on(bare, without_browser):
    write_program(without_browser / "id", "echo 1000")
    run = make("test", cwd=bare, PATH=str(without_browser))
    assert run.returncode == 0
    assert "No Chromium on PATH: the page tests will be skipped. Install" in run.stdout
    log = (bare / "log").read_text()
    assert "run_tests.py" in log and "apt-get" not in log


@pytest.mark.parametrize("status", [0, 100])
def test_without_a_browser_root_on_debian_gets_one_or_a_failure(bare, without_browser, status):
    write_program(without_browser / "id", "echo 0")
    with (without_browser / "apt-get").open("a") as script:
        script.write(f"exit {status}\n")
    run = make("test", cwd=bare, PATH=str(without_browser))
    log = (bare / "log").read_text()
    if "\nID=debian\n" not in Path("/etc/os-release").read_text():
        assert run.returncode == 0 and "apt-get" not in log
    elif status:
        assert run.returncode != 0 and "run_tests.py" not in log
    else:
        assert run.returncode == 0 and re.search("update.*\n.*install.* chromium\n.*run_tests.py", log)


def test_repo_without_an_address_says_how(bare):
    run = make("repo", cwd=bare)
    assert run.returncode != 0
    assert "make repo URL=https://github.com/OWNER/NAME" in run.stderr


@pytest.mark.parametrize("beside", [True, False], ids=["with-local-data", "without"])
def test_ci_makes_both_test_runs_with_the_local_data_and_hands_their_status_on(tmp_path, beside):
    checkout = tmp_path / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci")
    data = tmp_path / "shared" / "data"
    if beside:
        data.mkdir(parents=True)
    fake = tmp_path / "bin" / "make"
    fake.parent.mkdir()
    write_program(fake, 'echo "$* $PWD ${PRODGEN_DATA-none}"; exit 3')
    env = {k: v for k, v in os.environ.items() if k != "PRODGEN_DATA"} | {
        "PATH": f"{fake.parent}:{os.environ['PATH']}"
    }
    run = subprocess.run(["bash", checkout / ".ci" / "run"], cwd="/", env=env, capture_output=True, text=True)
    assert run.returncode == 3
    targets = ["--keep-going", "test", "test-oldest"]
    assert run.stdout.split() == [*targets, str(checkout), str(data) if beside else "none"]
