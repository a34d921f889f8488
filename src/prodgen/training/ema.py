"""An exponential moving average of a network: the copy that is sampled, shown and shipped."""

import copy

import torch
from torch import nn


class EMA:
    """Keeps `model`, a copy of the network whose parameters *and buffers* trail the network's own.

    Batch norm's running statistics belong to the weights that they were measured with: averaged weights
    with the latest statistics do not fit together. The half-life is the shorter of `half_life` images and
    5 % of the images seen, so that a short run is not dragged back to its random start.
    """

    def __init__(self, network: nn.Module, half_life: int):
        self.model = copy.deepcopy(network).eval().requires_grad_(False)
        self.half_life = half_life

    @torch.no_grad()
    def update(self, network: nn.Module, images_seen: int, batch_size: int) -> None:
        """Move towards the network after a step on `batch_size` images, `images_seen` in all."""
        half_life = max(min(self.half_life, 0.05 * images_seen), 1e-8)
        weight = 1 - 0.5 ** (batch_size / half_life)
        ours, theirs = [], []
        for mine, other in zip(self.model.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.is_floating_point():
                ours.append(mine)
                theirs.append(other)
            else:
                mine.copy_(other)  # counters have no average
        torch._foreach_lerp_(ours, theirs, weight)
