"""The two baselines that the package's GAN is measured against, as their papers or tutorials give them.

Frozen: nothing here is tuned, and nothing uses the package's recipe, average, precision or memory layout.
Both are unconditional and plain float32.
"""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from prodgen.data import ImageDataset
from prodgen.losses import wgan_gp_penalty


class Sampler(nn.Module):
    """Lets `prodgen.evaluation.evaluate` draw from any network that maps z to images."""

    condition = None

    def __init__(self, network: nn.Module, latent_dim: int):
        super().__init__()
        self.network, self.latent_dim = network, latent_dim
        self.config = {"image_size": 28, "channels": 1}

    def forward(self, z: Tensor, condition: None = None) -> Tensor:
        """z (N, latent_dim) -> images (N, 1, 28, 28) in [-1, 1]."""
        return self.network(z)


def dcgan_networks() -> tuple[Sampler, nn.Module]:
    """DCGAN (Radford et al., 2016) for 28x28: batch norm in both networks, weights from N(0, 0.02)."""
    generator = nn.Sequential(
        nn.Linear(100, 128 * 7 * 7),
        nn.Unflatten(1, (128, 7, 7)),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, stride=2, padding=1),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(128 * 7 * 7, 1),
        nn.Flatten(0),
    )
    for module in [*generator.modules(), *discriminator.modules()]:
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return Sampler(generator, 100), discriminator


def dcgan(dataset: ImageDataset, seed: int) -> tuple[Sampler, Iterator[int]]:
    """The generator, and an endless iterator that trains it a step at a time and yields the images used."""
    torch.manual_seed(seed)
    generator, discriminator = dcgan_networks()
    generator_optimiser, discriminator_optimiser = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    )
    bce = binary_cross_entropy_with_logits

    def steps() -> Iterator[int]:
        ones, zeros = torch.ones(64), torch.zeros(64)
        for real in batches(dataset, 64):
            fake = generator(torch.randn(64, generator.latent_dim))
            loss = bce(discriminator(real), ones) + bce(discriminator(fake.detach()), zeros)
            discriminator_optimiser.zero_grad()
            loss.backward()
            discriminator_optimiser.step()
            loss = bce(discriminator(fake), ones)
            generator_optimiser.zero_grad()
            loss.backward()
            generator_optimiser.step()
            yield 64

    return generator, steps()


def wgan_gp(dataset: ImageDataset, seed: int) -> tuple[Sampler, Iterator[int]]:
    """The same for an MLP WGAN-GP (Gulrajani et al., 2017): five critic steps, lambda 10."""
    torch.manual_seed(seed)
    generator = Sampler(
        nn.Sequential(
            nn.Linear(100, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 784), nn.Tanh(),
            nn.Unflatten(1, (1, 28, 28)),
        ),
        100,
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.LeakyReLU(0.2), nn.Linear(512, 512), nn.LeakyReLU(0.2),
        nn.Linear(512, 1), nn.Flatten(0),
    )  # fmt: skip
    generator_optimiser, critic_optimiser = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.9)) for network in (generator, critic)
    )

    def steps() -> Iterator[int]:
        for step, real in enumerate(batches(dataset, 64), start=1):
            with torch.no_grad():
                fake = generator(torch.randn(64, generator.latent_dim))
            loss = critic(fake).mean() - critic(real).mean() + 10 * wgan_gp_penalty(critic, real, fake).mean()
            critic_optimiser.zero_grad()
            loss.backward()
            critic_optimiser.step()
            if step % 5 == 0:
                loss = -critic(generator(torch.randn(64, generator.latent_dim))).mean()
                generator_optimiser.zero_grad()
                loss.backward()
                generator_optimiser.step()
            yield 64

    return generator, steps()


def batches(dataset: ImageDataset, batch_size: int) -> Iterator[Tensor]:
    """Shuffled batches without end; a last one that is not full is left out."""
    while True:
        for indices in torch.randperm(len(dataset)).split(batch_size):
            if len(indices) == batch_size:
                yield dataset.batch(indices)


def train(steps: Iterator[int], images: float = math.inf, seconds: float = math.inf) -> tuple[int, float]:
    """Take steps until one of the budgets is spent: images seen, seconds taken."""
    seen, start = 0, time.perf_counter()
    while seen < images and time.perf_counter() - start < seconds:
        seen += next(steps)
    return seen, time.perf_counter() - start


BASELINES = {"dcgan": dcgan, "wgan-gp": wgan_gp}
