"""Keep a record whose modules were rewritten without a change to what they compute.

    python tools/confirm.py gan-quick vae-fashion-mnist 03-3-comparison …
    python tools/confirm.py --unconditional 03-3-comparison     # a study that trains without labels

For each record: train its model briefly with the code that the record was made with (its stamp names the
commit) and with the code as it is now, from the same seed, in float32 and in bfloat16. If all weights
come out bitwise equal, the stamp takes over the modules' present hashes and says so under "confirmed";
if not, the record must be made again. For the study of a notebook both a GAN and a VAE are trained.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from record import study_depends_on, study_recipe

from prodgen import presets, recorded
from prodgen.files import write_whole

ROOT = Path(__file__).resolve().parent.parent
IMAGES = 12_830  # a hundred steps of 128 and a short one: all kinds of steps, a report, the schedule's cosine
RECIPES = {"gan": presets.GANRecipe, "vae": presets.VAERecipe}
# What those hundred steps run through from end to end.
EXERCISED = {
    *(f"training.{name}" for name in ("loop", "ema", "optimiser", "gan", "vae")),
    *("training", "models.gan", "models.vae", "losses", "data.dataset"),
    # Not reached: Fashion-MNIST has more photos than are augmented. The trial fails if one is.
    "training.augment",
}
TRAIN = f"""
import hashlib, json, sys
from prodgen import data, training
from prodgen.training import gan, loop
kind, conditional, dataset = sys.argv[1], sys.argv[2] == "True", data.load("fashion-mnist", "train")
gan.augment = None
hashes = []
for bfloat16 in (False, True):
    # The name has changed; what is asked has not: is this device to multiply in bfloat16?
    for name in {{"fast_bfloat16", "native_bfloat16"}} & set(vars(loop)):
        setattr(loop, name, lambda device_type: bfloat16)
    trainer = training.new_trainer(kind, dataset, seed=3, conditional=conditional)
    run = training.train(trainer, dataset, images={IMAGES}, seed=3, report_every=2_000, progress=False)
    digest = hashlib.sha256()
    for network in (run.model, *(getattr(trainer, name) for name in trainer.networks)):
        for tensor in network.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
    hashes.append(digest.hexdigest())
print(json.dumps(hashes))
"""


def weights(source: Path, kind: str, conditional: bool) -> list[str]:
    """Hashes of all weights after a short training with the package in `source`, in both precisions."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    out = subprocess.run(
        [sys.executable, "-c", TRAIN, kind, str(conditional)],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(out.stdout)


def confirm(path: Path, conditional: bool) -> None:
    """Confirm one record, or exit with what must be recorded anew."""
    kept = json.loads(path.read_text())
    stamp, kind = kept["stamp"], path.stem.partition("-")[0]
    kinds = [kind] if kind in RECIPES else list(RECIPES)
    notebook = ROOT / "book" / f"{path.stem}.ipynb"
    stale = recorded.stale(kept, RECIPES[kind]() if kind in RECIPES else study_recipe(notebook))
    if not stale:
        print(f"{path.stem}: nothing has changed")
        return
    if outside := sorted(set(stale) - EXERCISED):
        sys.exit(f"{path.stem}: {', '.join(outside)} cannot be confirmed by training; record it anew")
    with tempfile.TemporaryDirectory() as folder:
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", folder, stamp["commit"]], check=True)
        try:
            old, new = Path(folder) / "src", ROOT / "src"
            same = all(weights(old, kind, conditional) == weights(new, kind, conditional) for kind in kinds)
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True)
    if not same:
        sys.exit(f"{path.stem}: the weights differ after {IMAGES:,} images; record it anew")
    names = stamp["modules"] if kind in RECIPES else study_depends_on(notebook)[0]
    stamp["modules"] = {name: recorded.module_hash(name) for name in names}
    stamp["confirmed"] = {
        "changed": stale,
        "images": IMAGES,
        "labels": conditional,
        "weights": "bitwise equal, float32 and bfloat16",
    }
    with write_whole(path) as file:
        file.write((json.dumps(kept, indent=1) + "\n").encode())
    print(f"{path.stem}: {', '.join(stale)} rewritten, weights bitwise equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("records", nargs="+")
    parser.add_argument("--unconditional", action="store_true", help="train the GAN without labels")
    options = parser.parse_args()
    for name in options.records:
        folder = recorded.WEIGHTS if name in recorded.model_names() else recorded.RESULTS
        confirm(folder / f"{name}.json", not options.unconditional)


if __name__ == "__main__":
    main()
