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


def print_line(run: Run, images: int | None, minutes: float | None) -> None:
    """One line of progress towards a budget of images or minutes."""
    if run.history:
        goal = f"of {images:,}" if images else f"in {run.seconds / 60:.1f} of {minutes:g} min"
        last = "  ".join(f"{k} {v:.3f}" for k, v in run.history[-1].items() if k != "images")
        print(
            f"{run.images_seen:,} {goal} images  {run.images_seen / run.seconds:,.0f}/s  {last}", flush=True
        )


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
