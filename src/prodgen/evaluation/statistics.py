"""A number with its uncertainty, and intervals over seeds."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.special import stdtrit
from torch import Tensor


class Estimate(NamedTuple):
    """The mean of n independent values and its standard error (nan for n = 1)."""

    mean: float
    standard_error: float
    n: int

    @classmethod
    def of(cls, values: Tensor) -> "Estimate":
        """The estimate from single values (n,)."""
        values = values.double()
        error = values.std() / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return cls(values.mean().item(), float(error), len(values))


def t_interval(values: Sequence[float], level: float = 0.95, one_more: bool = False) -> tuple[float, float]:
    """Two-sided t-interval from the values of several seeds.

    For their mean; with `one_more`, the wider one for the value of one further run (a prediction interval),
    which answers "is my run normal?". Both take the values for normally distributed.
    Raises ValueError for fewer than two values.
    """
    n = len(values)
    if n < 2:
        raise ValueError("an interval needs the values of two seeds at least")
    x = torch.tensor(values, dtype=torch.float64)
    spread = x.std().item() * math.sqrt(1 / n + one_more)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * spread
    return x.mean().item() - half, x.mean().item() + half
