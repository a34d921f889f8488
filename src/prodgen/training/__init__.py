"""Training: each model's step in plain PyTorch, and one loop around all of them."""

from typing import Any

import torch

from prodgen.data import ImageDataset
from prodgen.models import VAE, Classifier, Discriminator, Generator
from prodgen.presets import ClassifierRecipe, VAERecipe, gan_recipe
from prodgen.training.classifier import ClassifierTrainer
from prodgen.training.ema import EMA
from prodgen.training.gan import GANTrainer
from prodgen.training.loop import Run, Shuffled, TrainingError, fast_bfloat16, train
from prodgen.training.vae import VAETrainer

__all__ = [
    "EMA",
    "ClassifierTrainer",
    "GANTrainer",
    "Run",
    "Shuffled",
    "TrainingError",
    "VAETrainer",
    "fast_bfloat16",
    "new_trainer",
    "train",
]


def new_trainer(
    kind: str, dataset: ImageDataset, *, seed: int = 0, conditional: bool = True, recipe: Any = None
) -> GANTrainer | VAETrainer | ClassifierTrainer:
    """Fresh networks that fit the data set, initialised from the seed, in their trainer.

    kind: "gan", "vae" or "classifier". A GAN is class-conditional where the data have classes, unless
    `conditional` is false; of a small data set its discriminator sees augmented images only. `recipe`: the
    kind's recipe from `presets`, the one for the image size if None.

    Raises ValueError for an image size that the networks are not built for.
    """
    shape = {"image_size": dataset.image_size, "channels": dataset.channels}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "gan":
            recipe = recipe or gan_recipe(dataset.image_size)
            shape |= {"width": recipe.width, "num_classes": dataset.num_classes if conditional else 0}
            generator = Generator(**shape, latent_dim=recipe.latent_dim)
            few = len(dataset) < recipe.augmented_below
            return GANTrainer(generator, Discriminator(**shape), recipe, augmented=few)
        if kind == "vae":
            recipe = recipe or VAERecipe()
            shape |= {"width": recipe.width, "likelihood": recipe.likelihood}
            return VAETrainer(VAE(**shape, latent_dim=recipe.latent_dim), recipe)
        if kind == "classifier":
            recipe = recipe or ClassifierRecipe()
            network = Classifier(**shape, width=recipe.width, num_classes=dataset.num_classes)
            return ClassifierTrainer(network, recipe)
    raise ValueError(f"kind is {kind!r}; choose 'gan', 'vae' or 'classifier'")
