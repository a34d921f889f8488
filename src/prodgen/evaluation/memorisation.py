"""Copies: which pictures lie nearer to a training photo than new photos do."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from prodgen import data, recorded
from prodgen.data import ImageDataset
from prodgen.errors import EvaluationError
from prodgen.evaluation.features import Inception
from prodgen.evaluation.images import nearest_neighbours

RARE = 0.01  # a suspect lies nearer to a training photo than all but this share of the held-out photos
THUMBNAIL = 16  # pixels a side


class Thumbnails(nn.Module):
    """Pixels at reduced size as a feature space, for where no network's weights are at hand.

    It finds the same photo again, not the same product elsewhere in it; a blurred picture is near to much.
    """

    def features(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> features (N, C * 16 * 16)."""
        return nn.functional.adaptive_avg_pool2d(x, THUMBNAIL).flatten(1)


class Nearest(NamedTuple):
    """The training photo nearest to each picture, and how near new photos come.

    distances: float32 (n,), Euclidean, in the feature space; indices: int64 (n,), places in the training set;
    held_out: float32 (m,), the distances of held-out photos to their nearest training photos.
    """

    distances: Tensor
    indices: Tensor
    held_out: Tensor

    @property
    def limit(self) -> float:
        """The distance that a share of 1 - RARE of the held-out photos exceeds; nan where there are none.

        Below a hundred held-out photos it is little more than the smallest of their distances.
        """
        return self.held_out.quantile(RARE).item() if len(self.held_out) else torch.nan

    @property
    def suspects(self) -> Tensor:
        """Which pictures are nearer than the limit: bool (n,), all False where there is none."""
        return self.distances < self.limit


def network_for(dataset: ImageDataset) -> nn.Module:
    """What such images are best compared by: our classifier for Fashion-MNIST, for others Inception.

    `Thumbnails` where Inception's weights can neither be found nor fetched.
    """
    if dataset.source == data.describe("fashion-mnist").source:
        return recorded.load_model("classifier-fashion-mnist")
    try:
        return Inception()
    except EvaluationError:
        return Thumbnails()


def nearest_photos(pictures: Tensor, train: ImageDataset, held_out: Tensor, network: nn.Module) -> Nearest:
    """The training photo nearest to each picture (n, C, H, W) in [-1, 1], by the network's features.

    held_out: photos (m, C, H, W) that the model never saw, m >= 0: they say how near is near. Where
    they show the same items as training photos, the limit that they give is too low to find copies.
    """
    # Together, so that the features of the training photos are computed once.
    queries = torch.cat([pictures, held_out.to(pictures)])
    distances, indices = nearest_neighbours(queries, train, classifier=network)
    n = len(pictures)
    return Nearest(distances[:n, 0], indices[:n, 0], distances[n:, 0])
