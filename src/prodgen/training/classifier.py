"""The step that trains the metrics' classifier."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from prodgen.models import Classifier
from prodgen.presets import ClassifierRecipe
from prodgen.training.trainer import Trainer


class ClassifierTrainer(Trainer):
    """Cross-entropy on images that are flipped and shifted at random."""

    kind, outcome = "classifier", "classifier"

    def __init__(self, classifier: Classifier, recipe: ClassifierRecipe | None = None):
        super().__init__(recipe or ClassifierRecipe(), classifier=classifier)
        self.classifier = classifier

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

    def step(self, real: Tensor, condition: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """One step on a batch: real (N, C, H, W) in [-1, 1], condition (N, num_classes), one-hot classes.

        Returns scalar tensors to be logged.
        """
        labels = condition.argmax(dim=1)
        logits = self.classifier(self.augment(real, rng))
        loss = cross_entropy(logits, labels)
        self.optimisers["classifier"].zero_grad()
        loss.backward()
        self.optimisers["classifier"].step()
        self.steps += 1
        return {"loss": loss.detach(), "accuracy": (logits.argmax(1) == labels).float().mean()}
