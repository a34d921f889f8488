"""The VAE: five minutes of two CPU cores over seeds, and the shipped one by tight bounds.

    python benchmarks/vae.py train --seed 0      # five minutes; ELBO and bound with k = 100 on 1,000 images
    python benchmarks/vae.py bounds              # shipped: k = 5000 on the first 1,000, k = 100 on all 10,000

All on dynamically binarised Fashion-MNIST test images, in nats an image.
"""

import argparse
import json
import time

import torch
from rates import five_minutes_of
from results import write

from prodgen import data, evaluation, recorded, training


def train(seed: int) -> None:
    """Train for five minutes' worth of images, and keep the bounds on 1,000 test images."""
    dataset = data.load("fashion-mnist")
    trainer = training.new_trainer("vae", dataset, seed=seed)
    run = training.train(trainer, dataset, images=five_minutes_of("vae"), seed=seed, progress=False)
    test = data.load("fashion-mnist", "test").subset(slice(0, 1_000))
    bound = evaluation.importance_weighted(run.model, test, k=100)
    row = {"run_seed": seed, "images_seen": run.images_seen, "seconds": round(run.seconds, 1)}
    row |= {"elbo": evaluation.elbo(run.model, test)._asdict()}
    row |= {"bound_100": bound._asdict(), "threads": torch.get_num_threads()}
    row |= {"device": recorded.device_name()}
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
    commands.add_parser("train").add_argument("--seed", type=int, default=0)
    commands.add_parser("bounds")
    arguments = parser.parse_args()
    if arguments.command == "train":
        train(arguments.seed)
    else:
        bounds()


if __name__ == "__main__":
    main()
