"""Measures of the images themselves: how sharp, which classes, copies of what."""

import torch
from torch import Tensor, nn

from prodgen.data import ImageDataset
from prodgen.evaluation.features import batches, extract

_LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def sharpness(images: Tensor) -> Tensor:
    """Variance of the Laplacian of each image: (N, C, H, W) in [-1, 1] -> (N,).

    On grey values in [0, 1] (channels averaged), pixels at the border left out; Pech-Pacheco et al. (2000). A
    blurred image has little of it, but noise has much: read it beside the value of real images, not as the
    more the better.
    """
    grey = (images.float().mean(dim=1, keepdim=True) + 1) / 2
    kernel = _LAPLACIAN.to(grey.device)[None, None]
    return nn.functional.conv2d(grey, kernel).flatten(1).var(dim=1, correction=0)


def class_histogram(labels: Tensor, num_classes: int) -> Tensor:
    """How often each class occurs: int64 (N,) -> (num_classes,)."""
    return torch.bincount(labels, minlength=num_classes)


def label_agreement(predicted: Tensor, asked: Tensor) -> float:
    """Share of images in which the classifier sees the class that was asked for: int64 (N,), (N,) -> [0, 1].

    The classifier errs on real images too: its agreement with their labels is the value to compare with.
    """
    return (predicted == asked).double().mean().item()


def nearest_neighbours(
    queries: Tensor,
    dataset: ImageDataset,
    k: int = 1,
    classifier: nn.Module | None = None,
    chunk: int = 5000,
) -> tuple[Tensor, Tensor]:
    """The k images of the data set nearest to each query (n, C, H, W) in [-1, 1], the nearest first.

    Returns Euclidean distances float32 (n, k) and indices int64 (n, k), both where the queries live. With a
    classifier in its feature space, which finds the same product in another place; else pixel by pixel, where
    a copy is at distance 0. The data set is read in chunks and may be larger than memory.
    """
    device = queries.device

    def represent(x: Tensor) -> Tensor:
        return (extract(x, classifier) if classifier else x.flatten(1)).to(device)

    points = represent(queries)
    distances = torch.empty(len(queries), 0, device=device)
    indices = torch.empty(len(queries), 0, dtype=torch.int64, device=device)
    for number, part in enumerate(batches(dataset, chunk)):
        new = torch.cdist(points, represent(part), compute_mode="donot_use_mm_for_euclid_dist")
        where = torch.arange(new.shape[1], device=device).expand_as(new) + number * chunk
        distances, keep = torch.cat([distances, new], dim=1).topk(
            min(k, distances.shape[1] + new.shape[1]), largest=False
        )
        indices = torch.cat([indices, where], dim=1).gather(1, keep)
    return distances, indices
