"""How much compute a run may spend, and the one recipe that every run uses.

A *preset* sets the budget; a *recipe* sets everything else. Chapters, command line, benchmarks and shipped
weights all read them from here, so a number is changed in one place.
"""

import os
from dataclasses import dataclass

from prodgen.errors import ProdgenError

# What the networks are built for: image size in pixels a side -> (smallest feature map, doublings from it).
STAGES = {28: (7, 2), 32: (8, 2), 64: (4, 4)}
IMAGE_SIZES = tuple(STAGES)
PRESETS = ("smoke", "quick", "full", "study")

# Images shown to the model, by kind of model and preset.
_BUDGETS = {
    "gan": {"smoke": 512, "quick": 120_000, "full": 360_000, "study": 3_000_000},
    "vae": {"smoke": 512, "quick": 120_000, "full": 360_000, "study": 3_000_000},
    "classifier": {"smoke": 512, "quick": 60_000, "full": 600_000, "study": 900_000},
}


def resolve(preset: str = "auto") -> str:
    """The preset to use: "smoke", "quick", "full" or "study".

    "auto" is `$PRODGEN_PRESET` if that is set, else "full" on a GPU and "quick" on a CPU. It never chooses
    "study", the many-seed run behind recorded results, by itself.

    Raises ProdgenError for an unknown name, wherever it came from, and lists the known ones.
    """
    origin = "preset"
    if preset == "auto":
        origin, preset = "$PRODGEN_PRESET", os.environ.get("PRODGEN_PRESET", "auto")
    if preset == "auto":
        import torch

        return "full" if torch.cuda.is_available() else "quick"
    if preset not in PRESETS:
        raise ProdgenError(f"{origin} is {preset!r}; choose one of: auto, {', '.join(PRESETS)}")
    return preset


def budget(kind: str, preset: str = "auto") -> int:
    """Images that a model of this kind ("gan", "vae" or "classifier") is shown under the preset."""
    return _BUDGETS[kind][resolve(preset)]


@dataclass(frozen=True)
class GANRecipe:
    """Everything that shapes a GAN's training except its budget.

    The loss is relativistic (Jolicoeur-Martineau, 2019) with the R1 penalty (Mescheder et al., 2018). Huang
    et al. (2024) prove that such a pair converges locally with R1 or R2; of their runs those with both did,
    and those with R1 alone failed.
    """

    loss: str = "relativistic"  # a key of losses.ADVERSARIAL
    latent_dim: int = 64
    width: int = 32  # channels of the largest feature map; each halving of the resolution doubles them
    batch_size: int = 128
    learning_rate: float = 4e-3
    betas: tuple[float, float] = (0.0, 0.99)
    r1_gamma: float = 0.1  # the penalty's weight is gamma / 2
    r1_every: int = 4  # computed every fourth step, with four times the weight
    constant_share: float = 0.5  # of the budget at the full learning rate, then a cosine
    final_rate: float = 0.05  # of the learning rate, at the end of the cosine
    ema_half_life: int = 10_000  # images
    open_share: float = 0.5  # of the images: each of their factors is left open with probability 1/2
    augmented_below: int = 10_000  # photos: the discriminator learns fewer than these by heart


def gan_recipe(image_size: int) -> GANRecipe:
    """The recipe for images of this size, in pixels a side: at 64 calmer steps and a stronger penalty.

    Twice as many layers stand one behind the other there. At a rate of 0.002 with gamma 0.5 such a pair of
    networks leaps from first shapes to noise and back (benchmarks/LOG.md, round 5). At 0.001 the generator
    still swings from step to step, and its average over steps does not: the rate stays, since a falling one
    stops the swing at one side (round 6).
    """
    if image_size == 64:
        return GANRecipe(batch_size=64, learning_rate=1e-3, r1_gamma=1.0, constant_share=1.0)
    return GANRecipe()


@dataclass(frozen=True)
class VAERecipe:
    """Everything that shapes a VAE's training except its budget."""

    likelihood: str = "bernoulli"  # or "gaussian", with one learned standard deviation
    latent_dim: int = 32
    width: int = 32
    batch_size: int = 128
    learning_rate: float = 4e-3
    betas: tuple[float, float] = (0.9, 0.999)
    constant_share: float = 0.5
    final_rate: float = 0.05
    ema_half_life: int = 10_000
    open_share: float = 0.5


def vae_recipe(channels: int, image_size: int = 28) -> VAERecipe:
    """The recipe for grey images (1), or for colour (3): its pixels are scored as they are.

    At 64 pixels a side the rate is that of the GAN: at 0.004 the encoder's variances run away within thirty
    steps on photos with a plain white ground, and the loss with them.
    """
    rate = 1e-3 if image_size == 64 else VAERecipe.learning_rate
    return VAERecipe(likelihood="gaussian" if channels == 3 else "bernoulli", learning_rate=rate)


def recipe_of(kind: str, image_size: int, channels: int) -> "GANRecipe | VAERecipe":
    """The recipe of a "gan" or a "vae" for such images."""
    return gan_recipe(image_size) if kind == "gan" else vae_recipe(channels, image_size)


@dataclass(frozen=True)
class ClassifierRecipe:
    """Everything that shapes the training of the classifier whose features the metrics use."""

    width: int = 32
    batch_size: int = 128
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-2
    max_shift: int = 2  # pixels, the augmentation beside a horizontal flip
    constant_share: float = 0.2
    final_rate: float = 0.01
    ema_half_life: int = 10_000
