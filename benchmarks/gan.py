"""The GAN at five minutes of two CPU cores, against two frozen baselines.

    python benchmarks/gan.py rates                     # images a second of every method; on an idle machine
    python benchmarks/gan.py train METHOD --seed 0     # one run of five minutes at that rate, scored
    python benchmarks/gan.py train prodgen --seed 0 --change "betas=(0.0,0.99)"   # for LOG.md

A run's budget is the number of images that its method gets through in five minutes of the idle machine
(`rates`): so it can be repeated bit by bit, and may share the machine with another without being cheated.
"""

import argparse
import ast
import json
import re

import torch
from baselines import BASELINES
from baselines import train as train_baseline
from results import read, write

from prodgen import data, evaluation, presets, recorded, training

MINUTES = 5
OURS = {"prodgen": True, "prodgen-unconditional": False}  # class-conditional?
METHODS = (*OURS, *BASELINES)
SECONDS, ROUNDS = 15, 3  # that a rate is measured over


def rate_of(method: str) -> float:
    """Images a second of a method after a warm-up."""
    dataset = data.load("fashion-mnist", "train")
    if method in OURS:
        trainer = training.new_trainer("gan", dataset, conditional=OURS[method])
        training.train(trainer, dataset, minutes=3 / 60, progress=False)
        run = training.train(trainer, dataset, minutes=SECONDS / 60, progress=False)
        return run.images_seen / run.seconds
    _, steps = BASELINES[method](dataset, seed=0)
    train_baseline(steps, seconds=3)
    seen, seconds = train_baseline(steps, seconds=SECONDS)
    return seen / seconds


def measure_rates() -> None:
    """The fastest of three measurements of each method, in turns: what the machine does when left alone."""
    measured: dict[str, list[float]] = {method: [] for method in METHODS}
    for _ in range(ROUNDS):
        for method, rates in measured.items():
            rates.append(rate_of(method))
    rates = {method: max(values) for method, values in measured.items()}
    write("gan-rates", {"device": recorded.device_name(), "measured": measured, "rates": rates})
    for method, rate in rates.items():
        print(f"{method:22}{rate:8,.0f} images/s")


def changed(changes: list[str]) -> presets.GANRecipe:
    """The package's recipe with some fields changed, each `field=value` with a Python value."""
    fields = dict(change.split("=", 1) for change in changes)
    return presets.GANRecipe(**{name: ast.literal_eval(value) for name, value in fields.items()})


def train(method: str, seed: int, changes: list[str]) -> None:
    """Train for the method's budget, score against the test images, and keep the row."""
    dataset = data.load("fashion-mnist", "train")
    images = round(read("gan-rates")["rates"][method] * MINUTES * 60)
    if method in OURS:
        recipe = changed(changes)
        trainer = training.new_trainer("gan", dataset, seed=seed, conditional=OURS[method], recipe=recipe)
        run = training.train(trainer, dataset, images=images, seed=seed, progress=False)
        generator, seen, seconds = run.model.cpu(), run.images_seen, run.seconds
    else:
        generator, steps = BASELINES[method](dataset, seed)
        seen, seconds = train_baseline(steps, images=images)
    metrics = evaluation.evaluate(generator, data.load("fashion-mnist", "test"))
    name = " ".join([method, *changes])
    row = {"method": name, "run_seed": seed, "images_seen": seen, "seconds": round(seconds, 1)}
    write(re.sub(r"[^\w.]+", "-", f"gan-{name}-{seed}"), row | metrics | {"threads": torch.get_num_threads()})
    print(json.dumps(row | {key: metrics[key] for key in ("fid_fmnist_excess", "precision", "recall")}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("rates")
    one = commands.add_parser("train")
    one.add_argument("method", choices=METHODS)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--change", nargs="*", default=[], metavar="FIELD=VALUE")
    arguments = parser.parse_args()
    if arguments.command == "rates":
        measure_rates()
    else:
        train(arguments.method, arguments.seed, arguments.change)


if __name__ == "__main__":
    main()
