"""The step that trains the metrics' classifier."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from prodgen.models import Classifier
from prodgen.presets import ClassifierRecipe
from prodgen.training.optimiser import adam


class ClassifierTrainer:
    """Cross-entropy on images that are flipped and shifted at random."""

    networks = ("classifier",)
    optimisers = ("optimiser",)
    kind, result = "classifier", "classifier"

    def __init__(self, classifier: Classifier, recipe: ClassifierRecipe | None = None):
        self.recipe = recipe or ClassifierRecipe()
        self.classifier = classifier
        self.optimiser = adam(classifier, self.recipe)
        self.steps = 0

    def augment(self, real: Tensor, rng: torch.Generator) -> Tensor:
        """Each image flipped with probability 1/2 and shifted by up to `max_shift` pixels, edges repeated."""
        n, _, height, width = real.shape
        device, shift = real.device, self.recipe.max_shift
        flip = torch.rand(n, 1, 1, 1, generator=rng, device=device) < 0.5
        real = torch.where(flip, real.flip(3), real)
        offset = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=rng, device=device)
        rows = (torch.arange(height, device=device) + offset[0])[:, :, None]
        columns = (torch.arange(width, device=device) + offset[1])[:, None, :]
        padded = pad(real, [shift] * 4, mode="replicate").permute(0, 2, 3, 1)
        return padded[torch.arange(n, device=device)[:, None, None], rows, columns].permute(0, 3, 1, 2)

    def step(self, real: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """One step on a batch: real (N, C, H, W) in [-1, 1], labels int64 (N,).

        Returns scalar tensors to be logged.
        """
        logits = self.classifier(self.augment(real, rng))
        loss = cross_entropy(logits, labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.steps += 1
        return {"loss": loss.detach(), "accuracy": (logits.argmax(1) == labels).float().mean()}
