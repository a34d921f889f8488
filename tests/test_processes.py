"""Two processes train as one does with the doubled batch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import torch
from PIL import Image

from prodgen import models, presets, training
from prodgen.data import Condition, ImageDataset

RECIPE = presets.GANRecipe(width=8, learning_rate=0.5, batch_size=8, r1_every=2)
IMAGES = 72  # four joint batches of 16 and one of 8


class JointNoise(training.GANTrainer):
    """Plain gradient descent, on noise drawn for the joint batch, of which each process takes its part."""

    def __init__(self, generator, discriminator, recipe):
        super().__init__(generator, discriminator, recipe)
        self.optimisers = {name: torch.optim.SGD(net.parameters()) for name, net in self.networks.items()}
        self.joint = torch.Generator().manual_seed(1)

    def step(self, real, condition, rng):
        world_size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        z = torch.randn(len(real) * world_size, self.recipe.latent_dim, generator=self.joint)
        fake = self.generator(z[rank * len(real) : (rank + 1) * len(real)], condition)
        log = self.discriminator_step(real, fake, condition) | self.generator_step(real, fake, condition)
        self.steps += 1
        return {name: value.detach() for name, value in log.items()}


def photos():
    rng = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (64, 1, 28, 28), generator=rng, dtype=torch.uint8)
    known = {"label": torch.arange(64) % 3}, Condition.of_classes("abc")
    return ImageDataset("noise", "train", images, "none", "noise", *known)


def run(recipe):
    """Train from fixed weights, and return those of both networks and of the average, and the history."""
    shape = {"width": 8, "condition": Condition.of_classes("abc")}
    torch.manual_seed(int(os.environ.get("RANK", 0)))  # the second process must take over the first one's
    trainer = JointNoise(models.Generator(**shape), models.Discriminator(**shape), recipe)
    before = [p.detach().clone() for p in trainer.generator.parameters()]
    # In bfloat16 half a batch is rounded otherwise than a whole one.
    with patch("prodgen.device.fast_bfloat16", return_value=False):
        result = training.train(trainer, photos(), images=IMAGES, seed=5, progress=False)
    kept = {
        f"{name}.{key}": tensor
        for name, network in (
            ("generator", trainer.generator),
            ("discriminator", trainer.discriminator),
            ("average", result.model),
        )
        for key, tensor in network.state_dict().items()
    }
    moved = max(
        (p - b).abs().max().item() for p, b in zip(trainer.generator.parameters(), before, strict=True)
    )
    return kept, result, moved


def launched(*command, env=None):
    """Run a command in two processes on the CPU; its output."""
    launcher = [Path(sys.executable).with_name("accelerate"), "launch", "--multi_gpu", "--num_processes", "2"]
    defaults = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", **(env or {})}
    done = subprocess.run(
        [*launcher, *defaults, "--main_process_port", "0", *command],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_make_the_steps_of_one_with_the_doubled_batch(tmp_path):
    launched(__file__, str(tmp_path))
    weights, result, moved = run(presets.GANRecipe(**{**vars(RECIPE), "batch_size": 16}))
    assert result.images_seen == IMAGES and moved > 0.02
    for number in range(2):
        theirs = torch.load(tmp_path / f"{number}.pt", weights_only=True)
        assert theirs["images_seen"] == IMAGES
        assert set(theirs["weights"]) == set(weights)
        for name, tensor in weights.items():
            torch.testing.assert_close(theirs["weights"][name], tensor, rtol=1e-4, atol=1e-5, msg=name)
        for point, other in zip(theirs["history"], result.history, strict=True):
            torch.testing.assert_close(point, other, rtol=1e-4, atol=1e-5)


def test_the_command_trains_in_two_processes_resumes_and_speaks_once(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(photos().images):
        Image.fromarray(image[0].numpy()).save(folder / f"{number}.png")

    def command(*more):
        train = ("-m", "prodgen", "train", "vae", "--data", str(folder), "--image-size", "32")
        return launched(*train, "--out", str(tmp_path / "run"), *more)

    said = command("--images", "256")
    assert said.count("saved in") == 1 and said.count("vae on") == 1
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history[-1]["images"] == 256
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert len(state["noise"]) == 2 and not torch.equal(*state["noise"])
    assert "saved in" in command("--images", "512", "--resume")


if __name__ == "__main__":
    kept, result, _ = run(RECIPE)
    row = {"weights": kept, "images_seen": result.images_seen, "history": result.history}
    torch.save(row, Path(sys.argv[1]) / f"{os.environ['RANK']}.pt")
