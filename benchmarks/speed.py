"""How fast the GAN trains, against a straightforward loop, and where its time goes.  On an idle machine.

    python benchmarks/speed.py compare     # images a second: the package's loop and the plain one, in turns
    python benchmarks/speed.py quality     # the quick budget in both precisions, three seeds
    python benchmarks/speed.py profile     # shares of the package's time
    python benchmarks/speed.py processes   # images a second with one and with two processes

The plain loop has the same networks, losses and batch size, in float32: photos one by one from a DataLoader,
memory as PyTorch lays it out, Adam as it comes, a generator pass for each player, the penalty likewise every
fourth step, and the average of the weights.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import torch
from rates import ROUNDS, SECONDS, rate_of
from results import write
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.data import DataLoader, Dataset

from prodgen import data, evaluation, presets, training
from prodgen.device import device_name, fast_bfloat16
from prodgen.losses import ADVERSARIAL, r1_penalty


class Photos(Dataset):
    """Fashion-MNIST as torchvision's class does with ToTensor and Normalize: an image at a time."""

    def __init__(self, images: torch.Tensor, conditions: torch.Tensor):
        self.images, self.conditions = images, conditions

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A photo (1, 28, 28) in [-1, 1] and its condition (width,)."""
        return self.images[index].float().div(255).sub(0.5).div(0.5), self.conditions[index]


def plain() -> Iterator[int]:
    """A plain training loop; yields the images of each step."""
    dataset, recipe = data.load("fashion-mnist"), presets.GANRecipe()
    trainer = training.new_trainer("gan", dataset)
    generator, discriminator = (
        network.to(memory_format=torch.contiguous_format).train() for network in trainer.networks.values()
    )
    average = training.EMA(generator, recipe.ema_half_life)
    g_optimiser, d_optimiser = (
        torch.optim.Adam(network.parameters(), recipe.learning_rate, recipe.betas)
        for network in (generator, discriminator)
    )
    loss, seen, steps = ADVERSARIAL[recipe.loss], 0, 0
    photos = Photos(dataset.images, dataset.conditions())
    while True:
        for real, condition in DataLoader(photos, recipe.batch_size, shuffle=True, drop_last=True):
            penalised = steps % recipe.r1_every == 0
            fake = generator(torch.randn(len(real), recipe.latent_dim), condition).detach()
            real_logits = discriminator(real.requires_grad_(penalised), condition)
            d_loss = loss.discriminator(real_logits, discriminator(fake, condition))
            if penalised:
                d_loss = d_loss + recipe.r1_gamma / 2 * recipe.r1_every * r1_penalty(real_logits, real)
            d_optimiser.zero_grad()
            d_loss.mean().backward()
            d_optimiser.step()
            fake = generator(torch.randn(len(real), recipe.latent_dim), condition)
            g_loss = loss.generator(discriminator(real.detach(), condition), discriminator(fake, condition))
            g_optimiser.zero_grad()
            g_loss.mean().backward()
            g_optimiser.step()
            steps, seen = steps + 1, seen + len(real)
            average.update(generator, seen, len(real))
            yield len(real)


def rate_of_plain() -> float:
    """Images a second of the plain loop, after a warm-up."""
    steps, seen = plain(), 0
    for _ in range(50):
        next(steps)
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        seen += next(steps)
    return seen / spent


def compare() -> None:
    """Both loops in turns, so that a machine that slows down slows both."""
    rates: dict[str, list[float]] = {"package": [], "plain": []}
    measured: dict[str, Callable[[], float]] = {
        "package": lambda: rate_of("prodgen"),
        "plain": rate_of_plain,
    }
    for _ in range(ROUNDS):
        for name, measure in measured.items():
            rates[name].append(measure())
    ratios = [a / b for a, b in zip(rates["package"], rates["plain"], strict=True)]
    result = {
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "bfloat16": fast_bfloat16("cpu"),
        "rates": rates,
        "ratio": statistics.mean(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }
    write("speed", result)
    print(json.dumps(result, indent=1))


def quality() -> None:
    """The same training in bfloat16 and in float32, scored: as many images, so the speed plays no part."""
    train, test = data.load("fashion-mnist"), data.load("fashion-mnist", "test")
    rows = []
    for seed in range(3):
        for precision in ("bfloat16", "float32"):
            with patch("prodgen.device.fast_bfloat16", return_value=precision == "bfloat16"):
                trainer = training.new_trainer("gan", train, seed=seed)
                images = presets.budget("gan", "quick")
                run = training.train(trainer, train, images=images, seed=seed, progress=False)
            found = evaluation.evaluate(run.model, test)
            row = {"precision_of_numbers": precision, "run_seed": seed, "images_seen": images}
            rows.append(row | {key: found[key] for key in ("fid_fmnist_excess", "precision", "recall")})
            print(json.dumps(rows[-1]), flush=True)
    write("speed-quality", {"device": device_name(), "values": rows})


def shares() -> None:
    """Shares of a step's time: fetching the batch, each player's turn, the average."""
    dataset = data.load("fashion-mnist")
    trainer = training.new_trainer("gan", dataset)
    watched = [
        (data.ImageDataset, "batch"),
        (training.GANTrainer, "discriminator_step"),
        (training.GANTrainer, "generator_step"),
        (training.EMA, "update"),
    ]

    def named(function: Callable, name: str) -> Callable:
        def call(*arguments, **keywords):
            with record_function(name):
                return function(*arguments, **keywords)

        return call

    training.train(trainer, dataset, images=3_200, progress=False)
    for owner, name in watched:
        setattr(owner, name, named(getattr(owner, name), name))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        run = training.train(trainer, dataset, images=12_800, progress=False)
    events = {event.key: event for event in profiler.key_averages()}
    total = run.seconds * 1e6
    result = {name: events[name].cpu_time_total / total for _, name in watched}
    operators = sorted(
        (event for event in events.values() if event.key.startswith("aten::")),
        key=lambda event: -event.self_cpu_time_total,
    )
    result["operators"] = {event.key: event.self_cpu_time_total / total for event in operators[:8]}
    write("speed-profile", result | {"device": device_name()})
    print(json.dumps(result, indent=1))


def processes() -> None:
    """Images a second by the command line, with one process and with two, a thread each or two for one."""
    launch = [str(Path(sys.executable).with_name("accelerate")), "launch", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    rates = {}
    for of, threads in ((1, 1), (1, 2), (2, 1)):
        command = [*launch, "--multi_gpu", "--num_processes", str(of)] if of > 1 else [sys.executable]
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            train = ["-m", "prodgen", "train", "gan", "--data", "fashion-mnist", "--images", "30000"]
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "ACCELERATE_USE_CPU": "true"}
            subprocess.run(
                [*command, *train, "--out", str(run)], env=environment, check=True, capture_output=True
            )
            state = torch.load(run / "checkpoint.pt", weights_only=True)
        rates[f"{of} × {threads}"] = state["images_seen"] / state["seconds"]
        print(f"{of} process(es) of {threads} thread(s): {rates[f'{of} × {threads}']:,.0f} images/s")
    write("speed-processes", {"device": device_name(), "rates": rates})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    measure = {"compare": compare, "quality": quality, "profile": shares, "processes": processes}
    parser.add_argument("what", choices=measure)
    measure[parser.parse_args().what]()


if __name__ == "__main__":
    main()
