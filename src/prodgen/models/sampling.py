"""Drawing images from a model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from prodgen.errors import ModelError
from prodgen.models.gan import Generator
from prodgen.models.vae import VAE


@contextmanager
def eval_mode(*models: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside the block; the models' own mode again behind it."""
    modes = [model.training for model in models]
    try:
        for model in models:
            model.eval()
        with torch.no_grad():
            yield
    finally:
        for model, mode in zip(models, modes, strict=True):
            model.train(mode)


def great_circle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """From a (t = 0) to b (t = 1), both (..., latent_dim), on the great circle through them (White, 2016).

    The middle of a straight line lies nearer to the origin than any draw from the prior does. t: (..., 1),
    or whatever else broadcasts.
    """
    angle = torch.acos(torch.cosine_similarity(a, b, dim=-1)).unsqueeze(-1)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def sample_batches(
    model: Generator | VAE, n: int, condition: Tensor | None = None, seed: int = 0, batch_size: int = 500
) -> Iterator[Tensor]:
    """What `sample` gives, batch by batch on the model's device: for more images than fit in memory."""
    if condition is not None and model.condition is None:
        raise ModelError("This model has no factors, such as a class, to ask for.")
    if model.condition is not None:
        condition = model.condition.in_turn(n) if condition is None else condition
        if condition.shape[1:] != (model.condition.width,) or len(condition) not in (1, n):
            raise ModelError(
                f"A condition of shape {tuple(condition.shape)} does not fit: it must be ({n}, "
                f"{model.condition.width}), as model.condition.encode gives it."
            )
        condition = condition.expand(n, -1)
    device = next(model.parameters()).device
    z = torch.randn(n, model.latent_dim, generator=torch.Generator().manual_seed(seed))
    for start in range(0, n, batch_size):
        part = slice(start, start + batch_size)
        asked = None if condition is None else condition[part].to(device)
        with eval_mode(model):  # anew for each batch: the caller's code runs between them
            yield model(z[part].to(device), asked).float()


def sample(
    model: Generator | VAE, n: int, condition: Tensor | None = None, seed: int = 0, batch_size: int = 500
) -> Tensor:
    """n images drawn from the model: float32 (n, C, H, W) in [-1, 1] on the CPU.

    A generator's output, or a VAE's decoder mean, at z ~ N(0, I). The noise is drawn on the CPU, so that a
    seed means the same z on every device.

    condition: (n, width) or, for all alike, (1, width), from `model.condition.encode`; None for the named
    values in turn, such as the classes 0, 1, ..., 0, 1, ...  Raises ModelError where it does not fit.
    """
    size, channels = model.config["image_size"], model.config["channels"]
    images = torch.empty(n, channels, size, size)
    done = 0
    for batch in sample_batches(model, n, condition, seed, batch_size):
        images[done : done + len(batch)] = batch
        done += len(batch)
    return images
