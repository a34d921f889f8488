"""Random changes that pass gradients on: what a discriminator with few photos is shown instead of them."""

import torch
from torch import Tensor

SHIFT = 1 / 8  # of the image's side, at most
HOLE = 1 / 2  # of the image's side


def augment(images: Tensor, rng: torch.Generator) -> Tensor:
    """Colours, place and one square hole changed at random, for each image: (N, C, H, W) -> the same shape.

    DiffAugment, Zhao et al. (2020), with the paper's three changes and their sizes. Applied to photos and
    generated images alike, whenever the discriminator looks, so that the changes tell it nothing.
    """
    return _cutout(_translation(_color(images, rng), rng), rng)


def _uniform(images: Tensor, rng: torch.Generator) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device)


def _color(images: Tensor, rng: torch.Generator) -> Tensor:
    images = images + _uniform(images, rng) - 0.5  # brightness
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * 2 * _uniform(images, rng)  # saturation: of a grey image there is none
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + _uniform(images, rng))  # contrast


def _places(images: Tensor, low: int, high: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each image, every row's and every column's number, moved by low to high: (N, H, 1), (N, 1, W)."""
    size = images.shape[-1]
    moves = torch.randint(low, high + 1, (2, len(images), 1), generator=rng, device=images.device)
    rows, columns = torch.arange(size, device=images.device) + moves
    return rows[:, :, None], columns[:, None, :]


def _translation(images: Tensor, rng: torch.Generator) -> Tensor:
    # The border is repeated, not filled with grey as in the paper: a product on white stays one on white.
    size = images.shape[-1]
    most = round(size * SHIFT)
    rows, columns = _places(images, -most, most, rng)
    which = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[which, rows.clamp(0, size - 1), columns.clamp(0, size - 1)]
    return moved.permute(0, 3, 1, 2)


def _cutout(images: Tensor, rng: torch.Generator) -> Tensor:
    size = images.shape[-1]
    half = round(size * HOLE / 2)
    rows, columns = _places(images, -size, 0, rng)  # the centre is anywhere, the border included
    hole = (rows >= -half) & (rows < half) & (columns >= -half) & (columns < half)
    return images * ~hole[:, None]
