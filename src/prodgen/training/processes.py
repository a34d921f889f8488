"""One training in several processes: each works on its part of every batch, and all make the same step.

`accelerate launch` starts them. DistributedDataParallel is not used: it works neither with a gradient taken
inside a loss, as for a gradient penalty, nor with two forward passes before a backward one.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.distributed.nn.functional as collective
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose mean and variance are those of the whole batch, over all processes.

    PyTorch's own SyncBatchNorm runs on GPUs only. Every process must hold an equal part of the batch.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not self.training:
            return super().forward(x)
        processes = torch.distributed.get_world_size()
        maps = x.float()
        mean = collective.all_reduce(maps.mean(dim=(0, 2, 3))) / processes  # its gradient is shared as well
        centred = maps - mean[:, None, None]
        variance = collective.all_reduce(centred.square().mean(dim=(0, 2, 3))) / processes
        with torch.no_grad():
            count = processes * maps.numel() / maps.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def broadcast_parameters(network: nn.Module) -> None:
    """Make a network fit for its part of the training: the main process's weights, and shared batch norms."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(broadcast(tensor))
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d  # in place: the optimiser holds these very parameters


def agreed(accelerator: Accelerator, value: float, flag: bool) -> tuple[float, bool]:
    """The main process's value, and whether the flag is up anywhere: the same in all processes."""
    if accelerator.num_processes == 1:
        return value, flag
    said = torch.tensor(
        [value if accelerator.is_main_process else 0.0, float(flag)], device=accelerator.device
    )
    value, flags = accelerator.reduce(said, "sum").tolist()
    return value, flags > 0


@contextlib.contextmanager
def averaged_gradients(
    optimisers: Iterable[torch.optim.Optimizer], accelerator: Accelerator
) -> Iterator[None]:
    """While active, each optimiser steps along the mean of the processes' gradients."""

    def average(optimiser: torch.optim.Optimizer, *_: Any) -> None:
        gradients = [
            p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None
        ]
        mean = accelerator.reduce(torch.cat([g.flatten() for g in gradients]), "mean")
        parts = mean.split([g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    hooks = [optimiser.register_step_pre_hook(average) for optimiser in optimisers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
