"""Make the records that ship with the package: weights with their cards, and results over seeds.

    python tools/record.py classifier      # the metrics' feature space; frozen, every number depends on it
    python tools/record.py gan | vae       # the shipped models: one long run ("study")
    python tools/record.py gan-quick | gan-full | vae-quick | vae-full   # the band over seeds of a live run
    python tools/record.py chapter 02-1-networks   # the study of a notebook, over its seeds

A recording that was cut off goes on where it stopped: each run keeps its checkpoints in runs/. A notebook's
study starts again from its beginning.
"""

import argparse
import ast
import builtins
import dataclasses
import importlib
import inspect
import json
import os
import subprocess
import symtable
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import papermill
import torch
from build_book import kernel_environment

from prodgen import data, evaluation, models, presets, recorded, training
from prodgen.files import write_whole

ROOT = Path(__file__).resolve().parent.parent
DATA = "fashion-mnist"
SEEDS = {"quick": range(5), "full": range(3)}
LIMITS = {
    "classifier": "A yardstick for this book's metrics on Fashion-MNIST. Frozen: numbers from two "
    "classifiers do not compare. Not a product for sorting photos.",
    "gan": "Draws 28 by 28 grey pictures of ten kinds of Zalando's products of 2017 and nothing else.",
    "vae": "Draws 28 by 28 grey pictures of ten kinds of Zalando's products of 2017 and nothing else; its "
    "samples are decoder means, softer than photos.",
}


def train(kind: str, preset: str, seed: int):
    """One run to the end of its budget: the trainer, the Run, and the folder that keeps it."""
    dataset = data.load(DATA, "train")
    trainer = training.new_trainer(kind, dataset, seed=seed)
    folder = ROOT / "runs" / f"{kind}-{preset}-{seed}"
    budget = presets.budget(kind, preset)
    run = training.train(trainer, dataset, images=budget, seed=seed, out=folder, resume=True)
    if run.interrupted:
        sys.exit(f"stopped; the same command goes on at {run.images_seen:,} images")
    return trainer, run, folder


def accuracy(classifier) -> dict:
    """Share of the test images put into the right class, over all and by class."""
    test = data.load(DATA, "test")
    right = evaluation.predict(test, classifier) == test.labels
    by_class = {
        name: round(right[test.labels == k].float().mean().item(), 4)
        for k, name in enumerate(test.class_names)
    }
    return {"accuracy": round(right.float().mean().item(), 4), "accuracy_by_class": by_class}


def record_model(kind: str) -> None:
    """Train a model to be shipped, score the very file that ships, write weights and card."""
    seed = 0
    trainer, run, folder = train(kind, "study", seed)
    name = f"{kind}-{DATA}"
    path = recorded.WEIGHTS / f"{name}.safetensors"
    about = models.load_metadata(folder / "model.safetensors")
    # The classifier measures: it keeps every bit. The others are looked at: half precision will do.
    models.save_as(path, models.load(folder / "model.safetensors"), half=kind != "classifier", **about)
    model, info = models.load(path), data.describe(DATA)
    metrics = accuracy(model) if kind == "classifier" else evaluation.evaluate(model, data.load(DATA, "test"))
    modules = recorded.modules_behind(kind, scored=kind != "classifier")
    card = {
        "name": name,
        "data": {"name": DATA, "split": "train", "licence": info.licence, "source": info.source},
        "class_names": list(info.class_names),
        "images_seen": run.images_seen,
        "metrics": metrics,
        "limits": LIMITS[kind],
        "licence": "MIT",
        "sha256": recorded.file_hash(path),
        "stamp": recorded.stamp(trainer.recipe, modules, [seed], run.seconds),
    }
    write_json(recorded.WEIGHTS / f"{name}.json", card)


def record_band(kind: str, preset: str) -> None:
    """The same run from several seeds, each scored: what a reader's own run should come out as."""
    rows, seconds, test = [], 0.0, data.load(DATA, "test")
    for seed in SEEDS[preset]:
        trainer, run, _ = train(kind, preset, seed)
        metrics = evaluation.evaluate(run.model.cpu(), test)
        cost = {"seconds": round(run.seconds, 1), "images_seen": run.images_seen}
        # The metrics' own seed drew the samples; here "seed" is the run's.
        rows.append({"sampling_seed": metrics.pop("seed"), "seed": seed, **cost, **metrics})
        seconds += run.seconds
        print(json.dumps(rows[-1]))
    seeds = [row["seed"] for row in rows]
    modules = recorded.modules_behind(kind, scored=True)
    result = {"stamp": recorded.stamp(trainer.recipe, modules, seeds, seconds), "values": rows}
    write_json(recorded.RESULTS / f"{kind}-{preset}.json", result)


# ---------------------------------------------------------------- the study of a notebook

# Given from outside to every notebook's cells.
GIVEN = {"preset", "seed", *dir(builtins)}
# They decide no result: files, figures, and records, whose models carry the hash of their weights.
NEUTRAL = {"files", "plots", "recorded"}


def code_cells(notebook: Path, tag: str | None = None) -> list:
    cells = nbformat.read(notebook, as_version=4).cells
    return [c for c in cells if c.cell_type == "code" and (tag is None or tag in c.metadata.get("tags", []))]


def study_code(notebook: Path) -> str:
    """The cells tagged `experiment`, in their order: a whole study.  "" where there is none."""
    return "\n\n".join(cell.source for cell in code_cells(notebook, "experiment"))


def taken_from_outside(notebook: Path) -> set[str]:
    """Names that the study takes from cells which are not tagged, imports aside.  Should be none."""

    def tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
        yield table
        for child in table.get_children():
            yield from tables(child)

    top = symtable.symtable(study_code(notebook), notebook.name, "exec")
    own = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    used = {
        symbol.get_name()
        for table in tables(top)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table is top or symbol.is_global())
    }
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for cell in code_cells(notebook)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return used - own - imported - GIVEN


def from_prodgen(source: str) -> dict[str, tuple[str, str]]:
    """What `from prodgen… import …` binds: name -> (module, attribute)."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "prodgen"
        for alias in node.names
    }


def study_depends_on(notebook: Path) -> tuple[list[str], dict[str, dict]]:
    """The modules of prodgen behind a study, and the default recipes from `presets` behind it.

    A name that the study uses counts for the module that defines it, and so do that module's own imports in
    turn. The loaders count for nothing but `data.dataset`: what they hand out is checked by its hash.
    """
    code = study_code(notebook)
    bound = from_prodgen("\n\n".join(cell.source for cell in code_cells(notebook)))
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    todo = [bound[name] for name in used & set(bound) if bound[name][0] != "prodgen"]
    todo += [
        (".".join(bound[node.value.id]), node.attr)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound
    ]
    modules, recipes = set(), {}
    while todo:
        name, attribute = todo.pop()
        found = getattr(importlib.import_module(name), attribute)
        if dataclasses.is_dataclass(found) and found.__module__ == "prodgen.presets":
            recipes[attribute] = dataclasses.asdict(found())
            continue
        place = found.__name__ if inspect.ismodule(found) else getattr(found, "__module__", name)
        top, _, module = place.partition(".")
        kind = module.partition(".")[0]
        if kind == "data":
            module = "data.dataset"
        if top != "prodgen" or kind in NEUTRAL or kind == "presets" or module in modules:
            continue
        modules.add(module)
        todo += from_prodgen(inspect.getsource(importlib.import_module(f"prodgen.{module}"))).values()
    return sorted(modules), dict(sorted(recipes.items()))


def study_recipe(notebook: Path) -> dict:
    """What a study's record stands for: a hash of its code, and the default recipes that it may use."""
    return {"code": recorded.source_hash(study_code(notebook)), **study_depends_on(notebook)[1]}


def record_chapter(name: str) -> None:
    """Run a notebook at `study` as far as the cell that writes study.json, and keep what it wrote."""
    notebook = ROOT / "book" / f"{name}.ipynb"
    if outside := taken_from_outside(notebook):
        sys.exit(f"tag the cells that define these `experiment` too: {', '.join(sorted(outside))}")
    os.environ |= (environment := kernel_environment(ROOT / "src", threads=None))
    for variable in set(os.environ) - set(environment):
        del os.environ[variable]
    with tempfile.TemporaryDirectory(prefix="prodgen-") as folder:
        first, empty = Path(folder) / "study.ipynb", Path(folder) / "empty"
        empty.mkdir()
        content = nbformat.read(notebook, as_version=4)
        writes = [i for i, cell in enumerate(content.cells) if "study.json" in cell.source]
        if not writes:
            sys.exit(f"no cell of {notebook.name} writes study.json")
        del content.cells[writes[-1] + 1 :]  # what comes after may need the record
        nbformat.write(content, first)
        start = time.perf_counter()
        papermill.execute_notebook(
            first, first, parameters={"preset": "study"}, kernel_name="python3", cwd=empty, progress_bar=False
        )
        seconds = time.perf_counter() - start
        rows = json.loads((empty / "study.json").read_text("utf-8"))
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    modules, _ = study_depends_on(notebook)
    result = {"stamp": recorded.stamp(study_recipe(notebook), modules, seeds, seconds), "values": rows}
    write_json(recorded.RESULTS / f"{name}.json", result)
    print(f"{name}: {len(rows)} rows from {len(seeds)} seeds in {seconds:.0f} s")


def write_json(path: Path, content: dict) -> None:
    with write_whole(path) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def main() -> None:
    bands = [f"{kind}-{preset}" for kind in ("gan", "vae") for preset in SEEDS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["classifier", "gan", "vae", *bands, "chapter"])
    parser.add_argument("notebook", nargs="?", help="for `chapter`: its name, such as 02-1-networks")
    arguments = parser.parse_args()
    if (arguments.what == "chapter") != (arguments.notebook is not None):
        parser.error("`chapter` needs the name of a notebook, and nothing else takes one")
    changed = subprocess.run(
        ["git", "status", "--porcelain", "src/prodgen", ":!src/prodgen/recorded"]
        + ([f"book/{arguments.notebook}.ipynb"] if arguments.notebook else []),
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    if changed:
        sys.exit(f"commit this first, so that the stamp can name the code that ran:\n{changed}")
    torch.manual_seed(0)
    kind, _, preset = arguments.what.partition("-")
    if kind == "chapter":
        record_chapter(arguments.notebook)
    elif preset:
        record_band(kind, preset)
    else:
        record_model(kind)


if __name__ == "__main__":
    main()
