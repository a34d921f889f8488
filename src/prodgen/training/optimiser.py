"""One optimiser for all: Adam, fused, with the recipe's settings."""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer


def adam(network: nn.Module, recipe: Any) -> AdamW:
    """Adam (Kingma and Ba, 2015) on all parameters, with decoupled weight decay if the recipe has one."""
    return AdamW(
        network.parameters(),
        lr=recipe.learning_rate,
        betas=recipe.betas,
        weight_decay=getattr(recipe, "weight_decay", 0.0),
        fused=True,
    )


def learning_rate(recipe: Any, progress: float) -> float:
    """The rate when `progress` in [0, 1] of the budget is spent: constant at first, then half a cosine."""
    if progress <= recipe.constant_share:
        return recipe.learning_rate
    phase = min(1.0, (progress - recipe.constant_share) / (1 - recipe.constant_share))
    cosine = 0.5 * (1 + math.cos(math.pi * phase))
    return recipe.learning_rate * (recipe.final_rate + (1 - recipe.final_rate) * cosine)


def set_learning_rate(optimisers: Iterable[Optimizer], rate: float) -> None:
    """Let each optimiser's next step go at this rate."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate
