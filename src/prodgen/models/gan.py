"""The generator and the discriminator: plain convolutional networks, mirror images of one another."""

import math

import torch
from torch import Tensor, nn

from prodgen.data import Condition
from prodgen.errors import ModelError
from prodgen.presets import IMAGE_SIZES, STAGES


def stages(image_size: int) -> tuple[int, int]:
    """Smallest resolution and number of doublings for an image size; ModelError for any other size."""
    if image_size not in STAGES:
        raise ModelError(f"image_size is {image_size}; the networks are built for {IMAGE_SIZES}.")
    return STAGES[image_size]


def embedding(condition: Condition, features: int, std: float) -> nn.Linear:
    """A linear map from a condition's vector: on a one-hot class it is that class's embedding.

    Its weights start at N(0, std^2 / number of factors): all factors together speak no louder than one.
    """
    linear = nn.Linear(condition.width, features, bias=False)
    nn.init.normal_(linear.weight, std=std / math.sqrt(len(condition.factors)))
    return linear


class Residual(nn.Module):
    """A map plus a correction to it from two 3 by 3 convolutions, at one resolution (He et al., 2016)."""

    def __init__(self, features: int):
        super().__init__()
        self.correction = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1, bias=False),
            nn.BatchNorm2d(features),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1, bias=False),
            nn.BatchNorm2d(features),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, features, H, W), none of it negative -> the same."""
        return torch.relu(maps + self.correction(maps))


class Generator(nn.Module):
    """Noise, and a condition if there is one, to images.

    A linear layer gives the smallest feature map, each place of it by weights of its own; a residual block
    lets neighbouring places agree. Each stage then doubles the resolution and halves the channels (a DCGAN
    stack, Radford et al., 2016, at a laptop's width); the last one draws four pixels at every place (Shi et
    al., 2016). The condition's embedding is concatenated to z; it starts at a tenth of z's size, for where it
    starts as large it drowns z, and pictures of one class vary little.
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        latent_dim: int = 64,
        width: int = 32,
        condition: Condition | None = None,
    ):
        super().__init__()
        self.config = dict(
            image_size=image_size,
            channels=channels,
            latent_dim=latent_dim,
            width=width,
            condition=condition,
        )
        self.latent_dim, self.condition = latent_dim, condition
        self.resolution, doublings = stages(image_size)
        features = width * 2 ** (doublings - 1)
        if condition:
            self.embedding = embedding(condition, latent_dim, std=0.1)
        numbers = 2 * latent_dim if condition else latent_dim
        cells = features * self.resolution**2
        self.stem = nn.Linear(numbers, cells, bias=False)
        layers = [nn.BatchNorm2d(features), nn.ReLU(), Residual(features)]
        twice = dict(kernel_size=4, stride=2, padding=1, bias=False)
        for _ in range(doublings - 1):
            layers.append(nn.ConvTranspose2d(features, features // 2, **twice))
            features //= 2
            layers += [nn.BatchNorm2d(features), nn.ReLU()]
        layers.append(nn.Conv2d(features, 4 * channels, 3, padding=1))
        self.body = nn.Sequential(*layers, nn.PixelShuffle(2), nn.Tanh())

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """z (N, latent_dim), and condition (N, width) if the model has one -> (N, C, H, W) in [-1, 1]."""
        if self.condition:
            z = torch.cat([z, self.embedding(condition)], dim=1)
        # Read as (N, H, W, C) and permuted: channels-last without a copy.
        maps = self.stem(z).view(len(z), self.resolution, self.resolution, -1)
        return self.body(maps.permute(0, 3, 1, 2))


class Discriminator(nn.Module):
    """Images, and a condition if there is one, to logits: how much more real than not.

    No normalisation: a penalty on the gradient of one image's logit needs a network that looks at one image
    at a time. The condition enters by projection (Miyato and Koyama, 2018).
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        width: int = 32,
        condition: Condition | None = None,
        num_features: int = 128,
    ):
        super().__init__()
        self.config = dict(
            image_size=image_size,
            channels=channels,
            width=width,
            condition=condition,
            num_features=num_features,
        )
        self.condition = condition
        resolution, halvings = stages(image_size)
        layers, features = [], channels
        for stage in range(halvings):
            layers += [
                nn.Conv2d(features, width * 2**stage, 4, stride=2, padding=1),
                nn.LeakyReLU(0.2),
            ]
            features = width * 2**stage
        self.body = nn.Sequential(*layers)
        flat = nn.Linear(features * resolution**2, num_features)
        self.features = nn.Sequential(flat, nn.LeakyReLU(0.2))
        self.head = nn.Linear(num_features, 1)
        if condition:
            self.embedding = embedding(condition, num_features, std=1.0)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """x (N, C, H, W) in [-1, 1], and condition (N, width) if the model has one -> logits (N,)."""
        maps = self.body(x)
        h = self.features(maps.permute(0, 2, 3, 1).flatten(1))  # no copy
        logits = self.head(h).squeeze(1)
        if self.condition:
            told = (h * self.embedding(condition)).sum(dim=1)
            logits = logits + told / math.sqrt(h.shape[1])
        return logits.float()
