"""A network that reads from a picture what it shows: the judge of a generator that is asked for factors."""

import math

import torch
from torch import Tensor, nn

from prodgen.data import Condition, Factor


class Probe(nn.Module):
    """A small convolutional network from images to the vector that `Condition.encode` gives.

    In a named factor's place stand logits; elsewhere the numbers themselves, learnt by squared error. So
    where a picture cannot tell, as the turn of a round bottle, an angle's cosine and sine are near zero.
    """

    def __init__(self, condition: Condition, image_size: int = 64, channels: int = 3, width: int = 48):
        super().__init__()
        self.config = dict(condition=condition, image_size=image_size, channels=channels, width=width)
        self.condition = condition

        def block(i: int, o: int, **options) -> list[nn.Module]:
            return [nn.Conv2d(i, o, bias=False, **options), nn.BatchNorm2d(o), nn.ReLU()]

        self.body = nn.Sequential(
            *block(channels, width, kernel_size=5, stride=2, padding=2),
            *block(width, width, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
            *block(width, 2 * width, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
            *block(2 * width, 2 * width, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (image_size // 16) ** 2, 256),
            nn.ReLU(),
        )
        self.head = nn.Linear(256, condition.width)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> (N, condition.width)."""
        return self.head(self.body(x)).float()


def decode(condition: Condition, vector: Tensor) -> dict[str, Tensor]:
    """What `Condition.encode` encoded, or what a probe's answer (n, width) comes nearest to, by factor.

    Named values: the likeliest number, int64 (n,). An angle in [0, period) and a single number: float32
    (n,); several numbers: (n, size).
    """
    return {
        factor.name: _value(factor, vector[:, condition.places[factor.name]]) for factor in condition.factors
    }


def _value(factor: Factor, vector: Tensor) -> Tensor:
    if factor.values:
        return vector.argmax(1)
    if factor.period:
        angle = torch.atan2(vector[:, 1], vector[:, 0]) * (factor.period / (2 * math.pi))
        return angle.remainder(factor.period)
    numbers = vector[:, : factor.size]
    if factor.bounds:
        low, high = factor.bounds
        numbers = low + (high - low) * (numbers + 1) / 2
    return numbers.squeeze(1) if factor.size == 1 else numbers
