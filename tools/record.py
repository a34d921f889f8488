"""Make the records that ship with the package: weights with their cards, and results over seeds.

    python tools/record.py classifier      # the metrics' feature space; frozen, every number depends on it
    python tools/record.py gan | vae       # the shipped models: one long run ("study")
    python tools/record.py gan-studio | probe-studio   # a generator asked for factors, and who judges it
    python tools/record.py gan-clothing    # a generator of clothes in colour; needs PRODGEN_DATA or a network
    python tools/record.py gan-quick | gan-full | vae-quick | vae-full   # the band over seeds of a live run
    python tools/record.py chapter 02-1-networks   # the study of a notebook, over its seeds

A recording that was cut off goes on where it stopped: each run keeps its checkpoints in runs/. A notebook's
study has a folder there, too. Those of 9.2 to 9.4 write a line of JSON as each run ends, and go on from
there; the others start again. Every record is stamped with its fingerprint (tools/fingerprints.py).
"""

import argparse
import ast
import builtins
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import symtable
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import papermill
import torch
from build_book import kernel_environment
from fingerprints import CLOTHING, DATA, ROOT, Series, code_cells, fingerprint, study_code, trainer_of
from probe import READ, probe_trainer
from torch import Tensor

from prodgen import data, evaluation, models, presets, recorded, training
from prodgen.data import DataInfo, ImageDataset, studio
from prodgen.data.products import WITH_FRONT
from prodgen.device import device_name
from prodgen.files import write_whole

PUBLISHED = 50_000  # photos that published VAEs were trained on, so that bounds compare; the rest validate
SEEDS = {"quick": range(5), "full": range(3)}
SHIPPED = {"gan": {"width": 48}}  # in the recipe of the models that ship: they may cost more than a live run
STUDIO = {"gan-studio": 600_000, "probe-studio": 240_000}  # images shown
CLOTHING_IMAGES, CLOTHING_JUDGE_IMAGES = 480_000, 50_000  # shown to the generator, and to its judge
ASKED, ASKED_SEED = 2_000, 2  # pictures that the probe judges; the studio's photos have the seeds 0 and 1
LIMITS = {
    "classifier": "A yardstick for this book's metrics on Fashion-MNIST. Frozen: numbers from two "
    "classifiers do not compare. Not a product for sorting photos.",
    "gan": "Draws 28 by 28 grey pictures of ten kinds of Zalando's products of 2017 and nothing else.",
    "vae": "Draws 28 by 28 grey pictures of ten kinds of Zalando's products of 2017 and nothing else; its "
    "samples are decoder means, softer than photos.",
    "gan-studio": "Draws nine kinds of product that the book's own studio renders, at 64 by 64 pixels: "
    "synthetic products learnt from synthetic photos, none of them for sale. The viewpoint that it is asked "
    "for it often misses.",
    "gan-clothing": "Draws ten kinds of garment at 64 by 64 pixels, as volunteers photograph them: on beds, "
    "floors and hangers, seldom whole in every detail. It has seen three thousand photos, and none of its "
    "garments exists.",
    "probe-studio": "Reads the factors of the studio's renders, and of pictures that look like them. Of an "
    "ordinary photo it says something too, and that means nothing.",
}


def train(kind: str, preset: str, seed: int):
    """One run to the end of its budget: the trainer, the Run, and the folder that keeps it."""
    ships = preset == "study"
    dataset = data.load(DATA, "train")
    if kind == "vae" and ships:
        dataset = dataset.subset(slice(0, PUBLISHED))
    trainer = trainer_of(kind, dataset, seed, **SHIPPED.get(kind, {}) if ships else {})
    folder = ROOT / "runs" / f"{kind}-{preset}-{seed}"
    budget = presets.budget(kind, preset)
    run = training.train(trainer, dataset, images=budget, seed=seed, out=folder, resume=True)
    if run.interrupted:
        sys.exit(f"stopped; the same command goes on at {run.images_seen:,} images")
    return trainer, run, folder


def stamp(
    recipe: Any, source: dict[str, Series | dict[str, str]], seeds: Sequence[int], seconds: float
) -> dict[str, Any]:
    """Where a record comes from: recipe, source, commit, seeds, device, seconds.

    recipe: a dataclass from `presets`, or a dict that JSON can hold. source: {"fingerprint": …} of the
    package's code, or {"script": …} of another framework's, as `fingerprints.of_script` gives it.
    """
    head = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, capture_output=True, text=True)
    return {
        "recipe": dataclasses.asdict(recipe) if dataclasses.is_dataclass(recipe) else recipe,
        **source,
        "commit": commit.stdout.strip(),
        "date": date.today().isoformat(),
        "seeds": list(seeds),
        "device": device_name(),
        "torch": torch.__version__,
        "seconds": round(seconds, 1),
    }


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
    photos = PUBLISHED if kind == "vae" else info.images["train"]
    metrics = accuracy(model) if kind == "classifier" else evaluation.evaluate(model, data.load(DATA, "test"))
    write_card(name, kind, info, photos, run, trainer.recipe, seed, metrics)


def write_card(
    name: str,
    behind: str,
    info: DataInfo,
    photos: int,
    run: training.Run,
    recipe: Any,
    seed: int,
    metrics: dict,
) -> None:
    """What is known of a model that ships, beside its weights. behind: the mini-run of its fingerprint."""
    card = {
        "name": name,
        "data": {
            "name": info.name, "split": "train", "photos": photos, "licence": info.licence,
            "source": info.source,
        },
        "class_names": list(info.class_names),
        "images_seen": run.images_seen,
        "metrics": metrics,
        "limits": LIMITS[behind],
        "licence": "MIT",
        "sha256": recorded.file_hash(recorded.WEIGHTS / f"{name}.safetensors"),
        "stamp": stamp(recipe, {"fingerprint": fingerprint(behind)}, [seed], run.seconds),
    }  # fmt: skip
    write_json(recorded.WEIGHTS / f"{name}.json", card)


def factor_scores(asked: dict[str, Tensor], images: Tensor | ImageDataset, probe: models.Probe) -> dict:
    """What the probe reads, against what was asked for: shares that are right, and medians of the rest."""
    errors = evaluation.factor_errors(evaluation.read_factors(images, probe), asked, READ)
    named = [factor.name for factor in READ.factors if factor.values]
    wrong = torch.stack([errors[name] for name in named])
    shows = torch.isin(asked["label"], torch.tensor([list(studio.PRODUCTS).index(k) for k in WITH_FRONT]))
    return {
        "right": {name: round(1 - errors[name].mean().item(), 4) for name in named},
        "all_right": round(1 - wrong.amax(dim=0).mean().item(), 4),
        "azimuth_with_front": round(errors["azimuth"][shows].median().item(), 2),
        "elevation": round(errors["elevation"].median().item(), 2),
    }


def record_studio(name: str) -> None:
    """Train on the studio's photos, score the very file that ships, write weights and card."""
    seed, kind = 0, name.partition("-")[0]
    photos = studio.load("train")
    if kind == "probe":
        photos = replace(photos, condition=READ)
    trainer = probe_trainer(seed) if kind == "probe" else training.new_trainer(kind, photos, seed=seed)
    folder = ROOT / "runs" / name
    run = training.train(trainer, photos, images=STUDIO[name], seed=seed, out=folder, resume=True)
    if run.interrupted:
        sys.exit(f"stopped; the same command goes on at {run.images_seen:,} images")
    path, about = recorded.WEIGHTS / f"{name}.safetensors", models.load_metadata(folder / "model.safetensors")
    models.save_as(path, models.load(folder / "model.safetensors"), half=True, **about)
    model = models.load(path)
    if kind == "probe":
        test = studio.load("test")
        metrics = {"split": "test", "n": len(test)} | factor_scores(test.factors, test, model)
    else:
        asked, probe = studio.random_factors(ASKED, ASKED_SEED), recorded.load_model("probe-studio")
        rendered = data.to_float(studio.render(**asked))
        shape = asked.pop("shape")
        drawn = models.sample(model, ASKED, model.condition.encode(**asked), seed=ASKED_SEED)
        metrics = {
            "n": ASKED,
            "seed": ASKED_SEED,
            **factor_scores(asked, drawn, probe),
            "renders": factor_scores(asked | {"shape": shape}, rendered, probe),
            "probe_sha256": recorded.card("probe-studio")["sha256"],
        }
    write_card(name, name, studio.INFO, len(photos), run, trainer.recipe, seed, metrics)


def record_clothing() -> None:
    """Train on the clothing photos, judge the very file that ships, write weights and card.

    The judge is a classifier of these photos, which does not ship; the photos that it and the generator never
    saw say what its figures mean.
    """
    seed, (photos, held_out) = 0, (data.load("clothing", split) for split in ("train", "validation"))
    folder, path = ROOT / "runs" / CLOTHING, recorded.WEIGHTS / f"{CLOTHING}.safetensors"
    trainer = training.new_trainer("gan", photos, seed=seed)
    run = training.train(trainer, photos, images=CLOTHING_IMAGES, seed=seed, out=folder, resume=True)
    if run.interrupted:
        sys.exit(f"stopped; the same command goes on at {run.images_seen:,} images")
    about = models.load_metadata(folder / "model.safetensors")
    models.save_as(path, models.load(folder / "model.safetensors"), half=True, **about)
    learner = training.new_trainer("classifier", photos, seed=seed)
    judge = training.train(learner, photos, images=CLOTHING_JUDGE_IMAGES, seed=seed).model.cpu()
    drawn = models.sample(models.load(path), len(photos), photos.conditions(), seed=seed)
    features = [evaluation.extract(images, judge) for images in (photos, drawn, held_out)]
    shares = [evaluation.precision_recall_density_coverage(features[0], other) for other in features[1:]]
    nearest = evaluation.nearest_photos(drawn, photos, held_out.batch(slice(None)), judge)
    metrics = {
        "n": len(drawn),
        "seed": seed,
        "right": round((evaluation.predict(drawn, judge) == photos.labels).float().mean().item(), 4),
        "kid": round(evaluation.kernel_distance(features[0], features[1])[0], 3),
        **{name: round(shares[0][name], 4) for name in ("precision", "recall")},
        "suspects": round(nearest.suspects.float().mean().item(), 4),
        "held_out": {
            "n": len(held_out),
            "right": round((evaluation.predict(held_out, judge) == held_out.labels).float().mean().item(), 4),
            "kid": round(evaluation.kernel_distance(features[0], features[2])[0], 3),
            **{name: round(shares[1][name], 4) for name in ("precision", "recall")},
        },
    }
    write_card(CLOTHING, CLOTHING, data.describe("clothing"), len(photos), run, trainer.recipe, seed, metrics)


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
    source = {"fingerprint": fingerprint(kind)}
    result = {"stamp": stamp(trainer.recipe, source, seeds, seconds), "values": rows}
    write_json(recorded.RESULTS / f"{kind}-{preset}.json", result)


# ---------------------------------------------------------------- the study of a notebook

# Given from outside to every notebook's cells.
GIVEN = {"preset", "seed", *dir(builtins)}


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


def study_folder(notebook: Path) -> Path:
    """Where a study leaves what it has so far: another place where its code or the package's is another."""
    code = hashlib.sha256(study_code(notebook).encode())
    for path in sorted((ROOT / "src").rglob("*.py")):
        code.update(path.read_bytes())
    return ROOT / "runs" / f"{notebook.stem}-{code.hexdigest()[:12]}"


def record_chapter(name: str) -> None:
    """Run a notebook at `study` as far as the cell that writes study.json, and keep what it wrote."""
    notebook = ROOT / "book" / f"{name}.ipynb"
    if outside := taken_from_outside(notebook):
        sys.exit(f"tag the cells that define these `experiment` too: {', '.join(sorted(outside))}")
    os.environ |= (environment := kernel_environment(ROOT / "src", threads=None))
    for variable in set(os.environ) - set(environment):
        del os.environ[variable]
    content = nbformat.read(notebook, as_version=4)
    writes = [i for i, cell in enumerate(content.cells) if "study.json" in cell.source]
    if not writes:
        sys.exit(f"no cell of {notebook.name} writes study.json")
    folder = study_folder(notebook)
    folder.mkdir(parents=True, exist_ok=True)
    del content.cells[writes[-1] + 1 :]  # what comes after may need the record
    nbformat.write(content, folder / "study.ipynb")
    start = time.perf_counter()
    papermill.execute_notebook(
        folder / "study.ipynb", folder / "study.ipynb", parameters={"preset": "study"},
        kernel_name="python3", cwd=folder, progress_bar=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    rows = json.loads((folder / "study.json").read_text("utf-8"))
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    recipe, source = {"notebook": f"book/{notebook.name}"}, {"fingerprint": fingerprint(name)}
    result = {"stamp": stamp(recipe, source, seeds, seconds), "values": rows}
    write_json(recorded.RESULTS / f"{name}.json", result)
    shutil.rmtree(folder)
    print(f"{name}: {len(rows)} rows from {len(seeds)} seeds in {seconds:.0f} s")


def write_json(path: Path, content: dict) -> None:
    with write_whole(path) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def main() -> None:
    bands = [f"{kind}-{preset}" for kind in ("gan", "vae") for preset in SEEDS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    singles = ["classifier", "gan", "vae", *STUDIO, CLOTHING]
    parser.add_argument("what", choices=[*singles, *bands, "chapter"])
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
    elif arguments.what in STUDIO:
        record_studio(arguments.what)
    elif arguments.what == CLOTHING:
        record_clothing()
    elif preset:
        record_band(kind, preset)
    else:
        record_model(kind)


if __name__ == "__main__":
    main()
