"""The GAN's two steps in plain PyTorch."""

import torch
from torch import Tensor, nn

from prodgen.losses import ADVERSARIAL, r1_penalty
from prodgen.presets import GANRecipe
from prodgen.training.augment import augment
from prodgen.training.optimiser import adam


class GANTrainer:
    """Two players, two optimisers, two short methods.

    Nothing here knows of devices, precision, files or budgets: that is the loop's (`training.train`).
    augmented: the discriminator sees everything through random changes, as it should where photos are few.
    """

    networks = ("generator", "discriminator")
    optimisers = ("generator_optimiser", "discriminator_optimiser")
    kind, result = "gan", "generator"

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        recipe: GANRecipe | None = None,
        augmented: bool = False,
    ):
        self.recipe, self.augmented = recipe or GANRecipe(), augmented
        self.generator, self.discriminator = generator, discriminator
        self.generator_optimiser = adam(generator, self.recipe)
        self.discriminator_optimiser = adam(discriminator, self.recipe)
        self.loss = ADVERSARIAL[self.recipe.loss]
        self.steps = 0

    def discriminator_step(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Teach D to tell `real` from `fake`, both (N, C, H, W); the penalty comes every r1_every-th time."""
        lazy = self.recipe.r1_every
        penalised = self.steps % lazy == 0
        real_logits = self.discriminator(real.requires_grad_(penalised), labels)
        fake_logits = self.discriminator(fake.detach(), labels)
        loss = self.loss.discriminator(real_logits, fake_logits)
        log = {"d_loss": loss.mean(), "d_real": real_logits.mean(), "d_fake": fake_logits.mean()}
        if penalised:
            penalty = r1_penalty(real_logits, real)
            loss = loss + self.recipe.r1_gamma / 2 * lazy * penalty
            log["r1"] = penalty.mean()
        self.discriminator_optimiser.zero_grad()
        loss.mean().backward()
        self.discriminator_optimiser.step()
        return log

    def generator_step(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Teach G, through D, to have `fake` taken for real. `fake` must carry G's graph."""
        self.discriminator.requires_grad_(False)  # D judges here, it does not learn
        with torch.no_grad():
            real_logits = self.discriminator(real, labels)
        fake_logits = self.discriminator(fake, labels)
        loss = self.loss.generator(real_logits, fake_logits).mean()
        self.generator_optimiser.zero_grad()
        loss.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        return {"g_loss": loss}

    def step(self, real: Tensor, labels: Tensor | None, rng: torch.Generator) -> dict[str, Tensor]:
        """One step of each player on a batch: real (N, C, H, W) in [-1, 1], labels int64 (N,) or None.

        The generated images take the real ones' labels, and one forward pass of G serves both players.
        Returns scalar tensors to be logged.
        """
        z = torch.randn(len(real), self.recipe.latent_dim, generator=rng, device=real.device)
        fake = self.generator(z, labels)
        if self.augmented:
            real, fake = augment(real, rng), augment(fake, rng)
        log = self.discriminator_step(real, fake, labels)
        log |= self.generator_step(real, fake, labels)
        self.steps += 1
        return {name: value.detach() for name, value in log.items()}
