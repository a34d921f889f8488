"""The GAN at five minutes of two CPU cores, against two frozen baselines.  One run of one method, scored.

python benchmarks/gan.py METHOD --seed 0
python benchmarks/gan.py prodgen-piles --seed 0   # no labels, 200 piles of photos that look alike
python benchmarks/gan.py prodgen --seed 0 --change "betas=(0.0,0.9)"   # for LOG.md
"""

import argparse
import ast
import json
import re

import torch
from baselines import BASELINES
from baselines import train as train_baseline
from clusters import piled, unasked
from rates import OURS, five_minutes_of
from results import write

from prodgen import data, evaluation, presets, training
from prodgen.device import device_name

PILES = "prodgen-piles"  # it costs what the class-conditional GAN costs


def changed(changes: list[str]) -> presets.GANRecipe:
    """The package's recipe with some fields changed, each `field=value` with a Python value."""
    fields = dict(change.split("=", 1) for change in changes)
    return presets.GANRecipe(**{name: ast.literal_eval(value) for name, value in fields.items()})


def main() -> None:
    """Train for the method's budget, score against the test images, and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("method", choices=(*OURS, PILES, *BASELINES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--change", nargs="*", default=[], metavar="FIELD=VALUE")
    options = parser.parse_args()
    method, seed, dataset = options.method, options.seed, data.load("fashion-mnist")
    images = five_minutes_of("prodgen" if method == PILES else method)
    if method in (*OURS, PILES):
        recipe = changed(options.change)
        dataset = piled(dataset, seed) if method == PILES else dataset
        trainer = training.new_trainer(
            "gan", dataset, seed=seed, conditional=OURS.get(method, True), recipe=recipe
        )
        run = training.train(trainer, dataset, images=images, seed=seed, progress=False)
        generator = unasked(run.model, dataset) if method == PILES else run.model.cpu()
        seen, seconds = run.images_seen, run.seconds
    else:
        generator, steps = BASELINES[method](dataset, seed)
        seen, seconds = train_baseline(steps, images=images)
    metrics = evaluation.evaluate(generator, data.load("fashion-mnist", "test"))
    name = " ".join([method, *options.change])
    row = {"method": name, "run_seed": seed, "images_seen": seen, "seconds": round(seconds, 1)}
    about = {"threads": torch.get_num_threads(), "device": device_name()}
    write(re.sub(r"[^\w.]+", "-", f"gan-{name}-{seed}"), row | metrics | about)
    print(json.dumps(row | {key: metrics[key] for key in ("fid_fmnist_excess", "precision", "recall")}))


if __name__ == "__main__":
    main()
