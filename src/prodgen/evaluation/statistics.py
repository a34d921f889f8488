"""A number with its uncertainty, and intervals over seeds."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.special import betaincinv, stdtrit
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


def share_interval(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval for the chance of a hit, from `hits` hits in n independent runs.

    It leaves out the chances that an exact binomial test refuses on either side, and so covers the true one
    in at least `level` of all studies, however small n is; Clopper and Pearson (1934).
    Raises ValueError unless 0 <= hits <= n and n > 0.
    """
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"{hits} hits in {n} runs cannot be")
    tail = (1 - level) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    return low, float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0


def odds_ratio_interval(
    hits: tuple[int, int], n: tuple[int, int], level: float = 0.95
) -> tuple[float, float]:
    """Exact two-sided interval for the odds of a hit in a first group of runs over those in a second.

    The odds of a chance p are p / (1 - p). It holds 1 unless Fisher's exact test, one-sided at half of
    1 - level, tells the two groups apart; its ends are 0 and inf where a group has no hit, or hits alone.
    Raises ValueError unless 0 <= hits <= n and n > 0 in both groups.
    """
    from scipy.stats.contingency import odds_ratio  # half a second to import, and seldom needed

    if any(not 0 <= h <= m or m < 1 for h, m in zip(hits, n, strict=True)):
        raise ValueError(f"{hits[0]} hits in {n[0]} runs and {hits[1]} in {n[1]} cannot be")
    table = [[h, m - h] for h, m in zip(hits, n, strict=True)]
    low, high = odds_ratio(table, kind="conditional").confidence_interval(level)
    return float(low), float(high)


def seeds_needed(pilot: Sequence[float], half_width: float, level: float = 0.95) -> int:
    """How many seeds bring half a t-interval's width down to `half_width`, if they scatter like the pilot's.

    Take the pilot from seeds that the study will not use. Its own deviation is rough: from five values the
    true one may well be half as large again, and the number then more than double.
    Raises ValueError for fewer than two values, and for a half-width that is not positive.
    """
    if len(pilot) < 2 or not half_width > 0:
        raise ValueError("the number of seeds needs a pilot of two at least, and a half-width above zero")
    spread = torch.tensor(pilot, dtype=torch.float64).std().item()
    n = 2
    while float(stdtrit(n - 1, 0.5 + level / 2)) * spread / math.sqrt(n) > half_width:
        n += 1
    return n
