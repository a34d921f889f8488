"""The GAN's two steps in plain PyTorch."""

import torch
from torch import Tensor, nn

from prodgen.errors import TrainingError
from prodgen.losses import ADVERSARIAL, r1_penalty
from prodgen.presets import GANRecipe
from prodgen.training.augment import augment
from prodgen.training.trainer import Trainer


class GANTrainer(Trainer):
    """Two players, two optimisers, two short methods.

    augmented: the discriminator sees everything through random changes, as it should where photos are few.
    """

    kind, outcome = "gan", "generator"

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        recipe: GANRecipe | None = None,
        augmented: bool = False,
    ):
        super().__init__(recipe or GANRecipe(), generator=generator, discriminator=discriminator)
        self.generator, self.discriminator = generator, discriminator
        if self.recipe.loss not in ADVERSARIAL:
            raise TrainingError(
                f"There is no loss {self.recipe.loss!r}; there are: {', '.join(ADVERSARIAL)}."
            )
        self.loss = ADVERSARIAL[self.recipe.loss]
        self.augmented = augmented

    def discriminator_step(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """Teach D to tell `real` from `fake`, both (N, C, H, W); the penalty comes every r1_every-th time."""
        lazy = self.recipe.r1_every
        penalised = self.steps % lazy == 0
        real_logits = self.discriminator(real.requires_grad_(penalised), condition)
        fake_logits = self.discriminator(fake.detach(), condition)
        loss = self.loss.discriminator(real_logits, fake_logits)
        log = {"d_loss": loss.mean(), "d_real": real_logits.mean()}
        log["d_fake"] = fake_logits.mean()
        if penalised:
            penalty = r1_penalty(real_logits, real)
            loss = loss + self.recipe.r1_gamma / 2 * lazy * penalty
            log["r1"] = penalty.mean()
        self.optimisers["discriminator"].zero_grad()
        loss.mean().backward()
        self.optimisers["discriminator"].step()
        return log

    def generator_step(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """Teach G, through D, to have `fake` taken for real. `fake` must carry G's graph."""
        self.discriminator.requires_grad_(False)  # D judges, it does not learn
        with torch.no_grad():
            real_logits = self.discriminator(real, condition)
        fake_logits = self.discriminator(fake, condition)
        loss = self.loss.generator(real_logits, fake_logits).mean()
        self.optimisers["generator"].zero_grad()
        loss.backward()
        self.optimisers["generator"].step()
        self.discriminator.requires_grad_(True)
        return {"g_loss": loss}

    def step(self, real: Tensor, condition: Tensor | None, rng: torch.Generator) -> dict[str, Tensor]:
        """One step of each player on a batch: real (N, C, H, W) in [-1, 1], condition (N, width) or None.

        The generated images are asked for what the real ones are, left open where both players find it open,
        and one forward pass of G serves both. Returns scalar tensors to be logged.
        """
        condition = self.asked(condition, rng)
        z = torch.randn(len(real), self.recipe.latent_dim, generator=rng, device=real.device)
        fake = self.generator(z, condition)
        if self.augmented:
            real, fake = augment(real, rng), augment(fake, rng)
        log = self.discriminator_step(real, fake, condition)
        log |= self.generator_step(real, fake, condition)
        self.steps += 1
        return {name: value.detach() for name, value in log.items()}
