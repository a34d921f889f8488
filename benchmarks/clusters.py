"""A GAN without labels that makes classes of its own: piles of photos whose pixels are alike."""

import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor, nn

from prodgen.data import Condition, ImageDataset
from prodgen.models import Generator

CLUSTERS, COMPONENTS = 200, 50


def piled(photos: ImageDataset, seed: int = 0) -> ImageDataset:
    """The photos with the pile in the label's place: k-means on the principal components of their pixels.

    No label is used; some seconds for 60,000 photos of 28 x 28 pixels.
    """
    pixels = photos.images.flatten(1).float().numpy() / 255
    places = PCA(COMPONENTS, random_state=seed).fit_transform(pixels)
    piles = torch.from_numpy(KMeans(CLUSTERS, n_init=1, random_state=seed).fit_predict(places)).long()
    names = tuple(str(number) for number in range(CLUSTERS))
    return ImageDataset(
        photos.name, photos.split, photos.images, photos.licence, photos.source, {"label": piles},
        Condition.of_classes(names),
    )  # fmt: skip


class Unasked(nn.Module):
    """A generator of piles, as one that is asked for nothing: a last number of z draws the pile.

    shares: (CLUSTERS,), how often the photos have each pile
    """

    condition = None

    def __init__(self, generator: Generator, shares: Tensor):
        super().__init__()
        self.generator, self.config = generator, generator.config
        self.latent_dim = generator.latent_dim + 1
        self.register_buffer("bounds", shares.cumsum(0)[:-1])

    def forward(self, z: Tensor, condition: None = None) -> Tensor:
        """z (N, latent_dim + 1) -> (N, C, H, W) in [-1, 1]"""
        chance = torch.special.ndtr(z[:, -1].contiguous())  # uniform in [0, 1]
        pile = torch.bucketize(chance, self.bounds, right=True)
        return self.generator(z[:, :-1], nn.functional.one_hot(pile, CLUSTERS).float())


def unasked(generator: Generator, photos: ImageDataset) -> Unasked:
    """The trained generator with the shares of the piles it was trained on."""
    counts = torch.bincount(photos.labels, minlength=CLUSTERS)
    return Unasked(generator.cpu(), counts / len(photos))
