"""The judge of the studio's generators, and how it learns: kept apart, because no chapter trains it."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from prodgen.data import Condition, Factor, ImageDataset, studio
from prodgen.device import seeded
from prodgen.models import Probe
from prodgen.training import Trainer

READ = Condition((*studio.CONDITION.factors, Factor("shape", size=3, bounds=(0.0, 1.0))))


@dataclass(frozen=True)
class ProbeRecipe:
    """Everything that shapes the probe's training except its budget."""

    width: int = 48
    batch_size: int = 64
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-2
    grain: float = 0.03  # standard deviation of noise on the pixels, so that a pixel's exact value is no cue
    angle_weight: float = 4.0  # of an angle's error: it is what is learnt last
    constant_share: float = 0.3
    final_rate: float = 0.01
    ema_half_life: int = 10_000


class ProbeTrainer(Trainer):
    """Cross-entropy for what has names, squared error for the rest."""

    kind, outcome = "probe", "probe"

    def __init__(self, probe: Probe, recipe: ProbeRecipe):
        super().__init__(recipe, probe=probe)
        self.probe = probe

    def step(self, real: Tensor, condition: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """One step on a batch: real (N, C, H, W) in [-1, 1], condition (N, width)."""
        noise = torch.randn(real.shape, generator=rng, device=real.device)
        read = self.probe((real + self.recipe.grain * noise).contiguous(memory_format=torch.channels_last))
        log = {}
        for factor in self.probe.condition.factors:
            place = self.probe.condition.places[factor.name]
            loss = (cross_entropy if factor.values else mse_loss)(read[:, place], condition[:, place])
            log[factor.name] = (self.recipe.angle_weight if factor.period else 1) * loss
        self.optimisers["probe"].zero_grad()
        sum(log.values()).backward()
        self.optimisers["probe"].step()
        self.steps += 1
        return {name: value.detach() for name, value in log.items()}


def photos(split: str) -> ImageDataset:
    """The studio's photos, of which the shape is to be read as well."""
    return dataclasses.replace(studio.load(split), condition=READ)


def probe_trainer(seed: int) -> ProbeTrainer:
    """A fresh probe in its trainer."""
    recipe = ProbeRecipe()
    with seeded(seed):
        return ProbeTrainer(Probe(READ, width=recipe.width), recipe)
