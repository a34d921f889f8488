"""The VAE: five minutes of two CPU cores over seeds, and the shipped one by tight bounds.

    python benchmarks/vae.py rate                # images a second; on an idle machine
    python benchmarks/vae.py train --seed 0      # five minutes at that rate; ELBO and bound with k = 100
    python benchmarks/vae.py bounds              # shipped: k = 5000 on the first 1,000, k = 100 on all 10,000

All on dynamically binarised Fashion-MNIST test images, in nats an image.
"""

import argparse
import json
import time

import torch
from gan import MINUTES, SECONDS
from results import read, write

from prodgen import data, evaluation, recorded, training


def measure_rate() -> None:
    """Images a second after a warm-up."""
    dataset = data.load("fashion-mnist")
    trainer = training.new_trainer("vae", dataset)
    training.train(trainer, dataset, minutes=5 / 60, progress=False)
    run = training.train(trainer, dataset, minutes=SECONDS / 60, progress=False)
    rate = run.images_seen / run.seconds
    write("vae-rate", {"device": recorded.device_name(), "seconds": SECONDS, "rate": rate})
    print(f"{rate:,.0f} images/s")


def train(seed: int) -> None:
    """Train for five minutes' worth of images, and keep the bounds on 1,000 test images."""
    dataset = data.load("fashion-mnist")
    images = round(read("vae-rate")["rate"] * MINUTES * 60)
    trainer = training.new_trainer("vae", dataset, seed=seed)
    run = training.train(trainer, dataset, images=images, seed=seed, progress=False)
    test = data.load("fashion-mnist", "test").subset(slice(0, 1_000))
    bound = evaluation.importance_weighted(run.model, test, k=100)
    row = {"run_seed": seed, "images_seen": run.images_seen, "seconds": round(run.seconds, 1)}
    row |= {"elbo": evaluation.elbo(run.model, test)._asdict()}
    row |= {"bound_100": bound._asdict(), "threads": torch.get_num_threads()}
    write(f"vae-five-minutes-{seed}", row)
    print(json.dumps(row))


def bounds() -> None:
    """The shipped VAE by the bounds that papers report."""
    vae, test = recorded.load_model("vae-fashion-mnist"), data.load("fashion-mnist", "test")
    row = {"model": "vae-fashion-mnist", "sha256": recorded.card("vae-fashion-mnist")["sha256"]}
    for k, n, batch_size in ((100, len(test), 20), (5_000, 1_000, 1)):
        began = time.perf_counter()
        some = test.subset(slice(0, n))
        estimate = evaluation.importance_weighted(vae, some, k=k, batch_size=batch_size)
        row[f"bound_{k}"] = estimate._asdict()
        row[f"seconds_{k}"] = round(time.perf_counter() - began, 1)
        print(k, row[f"bound_{k}"], flush=True)
    write("vae-shipped", row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("rate")
    commands.add_parser("train").add_argument("--seed", type=int, default=0)
    commands.add_parser("bounds")
    arguments = parser.parse_args()
    if arguments.command == "rate":
        measure_rate()
    elif arguments.command == "train":
        train(arguments.seed)
    else:
        bounds()


if __name__ == "__main__":
    main()
