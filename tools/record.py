"""Make the records that ship with the package: weights with their cards, and results over seeds.

    python tools/record.py classifier      # the metrics' feature space; frozen, every number depends on it
    python tools/record.py gan | vae       # the shipped models: one long run ("study")
    python tools/record.py gan-quick | gan-full | vae-quick | vae-full   # the band over seeds of a live run

A recording that was cut off goes on where it stopped: each run keeps its checkpoints in runs/.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

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
    card = {
        "name": name,
        "data": {"name": DATA, "split": "train", "licence": info.licence, "source": info.source},
        "class_names": list(info.class_names),
        "images_seen": run.images_seen,
        "metrics": metrics,
        "limits": LIMITS[kind],
        "licence": "MIT",
        "sha256": recorded.file_hash(path),
        "stamp": recorded.stamp(kind, trainer.recipe, [seed], run.seconds, scored=kind != "classifier"),
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
    result = {"stamp": recorded.stamp(kind, trainer.recipe, seeds, seconds, scored=True), "values": rows}
    write_json(recorded.RESULTS / f"{kind}-{preset}.json", result)


def write_json(path: Path, content: dict) -> None:
    with write_whole(path) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def main() -> None:
    what = ["classifier", "gan", "vae", *(f"{kind}-{preset}" for kind in ("gan", "vae") for preset in SEEDS)]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=what)
    kind, _, preset = parser.parse_args().what.partition("-")
    changed = subprocess.run(
        ["git", "status", "--porcelain", "src/prodgen", ":!src/prodgen/recorded"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    if changed:
        sys.exit(f"commit the package first, so that the stamp can name the code that ran:\n{changed}")
    torch.manual_seed(0)
    if preset:
        record_band(kind, preset)
    else:
        record_model(kind)


if __name__ == "__main__":
    main()
