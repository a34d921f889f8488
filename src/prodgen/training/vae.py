"""The VAE's step in plain PyTorch."""

import torch
from torch import Tensor

from prodgen.losses import elbo
from prodgen.models import VAE
from prodgen.presets import VAERecipe
from prodgen.training.optimiser import adam


class VAETrainer:
    """One network, one optimiser, one step: climb the evidence lower bound."""

    networks = ("vae",)
    optimisers = ("optimiser",)
    kind, result = "vae", "vae"

    def __init__(self, vae: VAE, recipe: VAERecipe | None = None):
        self.recipe = recipe or VAERecipe()
        self.vae = vae
        self.optimiser = adam(vae, self.recipe)
        self.steps = 0

    def step(self, real: Tensor, labels: Tensor | None, rng: torch.Generator) -> dict[str, Tensor]:
        """One step on a batch: real (N, C, H, W) in [-1, 1]; labels are not used.

        Returns scalar tensors to be logged, in nats an image.
        """
        log_likelihood, kl = self.vae.elbo_terms(real, rng)
        loss = -elbo(log_likelihood, kl).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.steps += 1
        return {"loss": loss.detach(), "kl": kl.mean().detach()}
