"""The VAE's step in plain PyTorch."""

import torch
from torch import Tensor

from prodgen.losses import elbo
from prodgen.models import VAE
from prodgen.presets import VAERecipe
from prodgen.training.trainer import Trainer


class VAETrainer(Trainer):
    """One network, one optimiser, one step: climb the evidence lower bound."""

    kind, outcome = "vae", "vae"

    def __init__(self, vae: VAE, recipe: VAERecipe | None = None):
        super().__init__(recipe or VAERecipe(), vae=vae)
        self.vae = vae

    def step(self, real: Tensor, condition: Tensor | None, rng: torch.Generator) -> dict[str, Tensor]:
        """One step on a batch: real (N, C, H, W) in [-1, 1], condition (N, width) or None.

        Encoder and decoder find the same factors open. Returns scalar tensors to be logged, in nats an image.
        """
        condition = self.asked(condition, rng)
        log_likelihood, kl = self.vae.elbo_terms(real, rng, condition)
        loss = -elbo(log_likelihood, kl).mean()
        self.optimisers["vae"].zero_grad()
        loss.backward()
        self.optimisers["vae"].step()
        self.steps += 1
        return {"loss": loss.detach(), "kl": kl.mean().detach()}
