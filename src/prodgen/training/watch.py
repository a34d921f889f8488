"""Looking after a run: what it has come to, and the end of one that has diverged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from prodgen.errors import TrainingError

ADVICE = "The last checkpoint is kept; a smaller learning rate or a stronger penalty may help."


@dataclass
class Run:
    """What a run has come to. Handed to callbacks on the way, returned at the end."""

    images_seen: int
    seconds: float  # spent training, over all sittings
    history: list[dict[str, float]]  # means over FLUSH_EVERY steps
    model: nn.Module  # the averaged network, in eval mode, on the training device
    interrupted: bool = False


def progress_line(run: Run, images: int | None, minutes: float | None) -> str:
    """How far a run is towards its budget, the time that it still needs, and what it logged last."""
    if images:
        line = f"{run.images_seen:,} of {images:,} images"
    else:
        line = f"{run.images_seen:,} images in {run.seconds / 60:.1f} of {minutes:g} min"
    if not run.images_seen:  # stopped before the first step
        return line
    line += f"  {run.images_seen / run.seconds:,.0f}/s"
    left = run.seconds * (images / run.images_seen - 1) if images else 60 * minutes - run.seconds
    if left > 0:
        line += f"  {duration(left)} left"
    last = run.history[-1] if run.history else {}
    return "  ".join([line, *(f"{name} {value:.3f}" for name, value in last.items() if name != "images")])


def duration(seconds: float) -> str:
    """A time as one would say it, such as "50 s", "12 min" or "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def mean_finite(
    pending: list[dict[str, Tensor]], last_step: int, accelerator: Accelerator
) -> dict[str, float]:
    """The mean of each logged value over the processes and the steps that logged it.

    Raises TrainingError, which names the step, where one is not finite: in all processes, if in one.
    """
    logged = torch.stack([value for row in pending for value in row.values()])
    values = iter(accelerator.reduce(logged, "mean").tolist())
    rows = [{name: next(values) for name in row} for row in pending]
    for step, row in enumerate(rows, start=last_step - len(rows) + 1):
        for name, value in row.items():
            if not math.isfinite(value):
                raise TrainingError(f"{name} is {value} at step {step}: training stopped. {ADVICE}")
    names = {name: None for row in rows for name in row}
    return {
        name: sum(values) / len(values)
        for name in names
        if (values := [row[name] for row in rows if name in row])
    }


def check_weights(networks: Mapping[str, nn.Module], step: int) -> None:
    """Raises TrainingError where a network has weights that are not finite."""
    for name, network in networks.items():
        if not all(bool(p.isfinite().all()) for p in network.parameters()):
            raise TrainingError(
                f"the {name} has weights that are not finite after step {step}: training stopped. {ADVICE}"
            )
