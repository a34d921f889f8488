"""Does a picture show what it was asked for? What a probe reads, and how far that is from what was asked."""

from collections.abc import Mapping

from torch import Tensor

from prodgen.data import Condition, ImageDataset
from prodgen.evaluation.features import outputs
from prodgen.models import Probe, decode


def read_factors(images: Tensor | ImageDataset, probe: Probe, batch_size: int = 250) -> dict[str, Tensor]:
    """What the probe reads in images (N, C, H, W) in [-1, 1], by factor, as `models.decode` gives it."""
    return decode(probe.condition, outputs(probe, probe, images, batch_size))


def factor_errors(
    read: Mapping[str, Tensor], asked: Mapping[str, Tensor], condition: Condition
) -> dict[str, Tensor]:
    """How far off each of N pictures is, by factor that is both read and asked for, float32 (N,).

    A named factor: 1 where another value is read than was asked for, else 0. An angle: how far to turn, 0 to
    half a period. Numbers: the absolute difference, the mean of several.
    """
    errors = {}
    for name in read.keys() & asked.keys():
        factor, off = condition[name], read[name] - asked[name]
        if factor.values:
            off = off != 0
        elif factor.period:
            off = (off + factor.period / 2).remainder(factor.period) - factor.period / 2
        errors[name] = off.float().abs().flatten(1).mean(1) if off.ndim > 1 else off.float().abs()
    return errors
