"""Training: each model's step in plain PyTorch, and one loop around all of them."""

from typing import Any

from prodgen.data import LABEL, Condition, ImageDataset
from prodgen.device import seeded
from prodgen.errors import TrainingError
from prodgen.models import VAE, Classifier, Discriminator, Generator
from prodgen.presets import ClassifierRecipe, recipe_of
from prodgen.training.checkpoint import start_from
from prodgen.training.classifier import ClassifierTrainer
from prodgen.training.ema import EMA
from prodgen.training.gan import GANTrainer
from prodgen.training.loop import train
from prodgen.training.trainer import Trainer
from prodgen.training.vae import VAETrainer
from prodgen.training.watch import Run

__all__ = [
    "EMA",
    "ClassifierTrainer",
    "GANTrainer",
    "Run",
    "Trainer",
    "TrainingError",
    "VAETrainer",
    "new_trainer",
    "start_from",
    "train",
]


def new_trainer(
    kind: str, dataset: ImageDataset, *, seed: int = 0, conditional: bool = True, recipe: Any = None
) -> GANTrainer | VAETrainer | ClassifierTrainer:
    """Fresh networks that fit the data set, initialised from the seed, in their trainer.

    kind: "gan", "vae" or "classifier". A GAN and a VAE are conditional on all that is known of the data,
    unless `conditional` is false (on some of it: `dataset.only`). Of a small data set a GAN's discriminator
    sees augmented images only. `recipe`: the kind's from `presets`; the one for such
    images if None.

    Raises TrainingError for another kind and for a classifier of more or less than classes, ModelError for an
    image size that the networks are not built for.
    """
    shape = {"image_size": dataset.image_size, "channels": dataset.channels}
    condition = {"condition": dataset.condition if conditional else None}
    with seeded(seed):
        if kind == "gan":
            recipe = recipe or recipe_of(kind, dataset.image_size, dataset.channels)
            shape |= {"width": recipe.width, **condition}
            generator = Generator(**shape, latent_dim=recipe.latent_dim)
            few = len(dataset) < recipe.augmented_below
            return GANTrainer(generator, Discriminator(**shape), recipe, augmented=few)
        if kind == "vae":
            recipe = recipe or recipe_of(kind, dataset.image_size, dataset.channels)
            shape |= {"width": recipe.width, "likelihood": recipe.likelihood, **condition}
            return VAETrainer(VAE(**shape, latent_dim=recipe.latent_dim), recipe)
        if kind == "classifier":
            if dataset.condition != Condition.of_classes(dataset.class_names):
                raise TrainingError(f'a classifier wants classes and nothing else: dataset.only("{LABEL}").')
            recipe = recipe or ClassifierRecipe()
            network = Classifier(**shape, width=recipe.width, num_classes=dataset.num_classes)
            return ClassifierTrainer(network, recipe)
    raise TrainingError(f"kind is {kind!r}; choose 'gan', 'vae' or 'classifier'.")
