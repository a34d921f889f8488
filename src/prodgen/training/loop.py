"""The one training loop: device, precision, budget, average, checkpoints and progress around any trainer."""

import contextlib
import dataclasses
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from prodgen import models
from prodgen.data import ImageDataset
from prodgen.files import write_whole
from prodgen.training import checkpoint, processes
from prodgen.training.ema import EMA
from prodgen.training.optimiser import learning_rate

REPORT_EVERY = 5_000  # images at least: a small folder's epoch is over in a moment
FLUSH_EVERY = 50  # steps between looks at the losses: reading one makes a GPU wait


class TrainingError(RuntimeError):
    """Training cannot start or go on; the message says why and what to do."""


@dataclass
class Run:
    """What a run has come to. Handed to callbacks on the way, returned at the end."""

    images_seen: int
    seconds: float  # spent training, over all sittings
    history: list[dict[str, float]]  # means over FLUSH_EVERY steps
    model: nn.Module  # the averaged network, in eval mode, on the training device
    interrupted: bool = False


class Shuffled:
    """The order of the images: each once an epoch, shuffled anew each time.

    An epoch's order depends on (seed, epoch) alone, so a resumed run goes on exactly where it stopped.
    """

    def __init__(self, size: int, seed: int):
        self.size, self.seed, self.epoch, self.order = size, seed, -1, torch.empty(0, dtype=torch.int64)

    def take(self, start: int, count: int) -> Tensor:
        """Places `start` to `start + count` of the endless order: int64 (count,)."""
        parts = []
        while count:
            epoch, offset = divmod(start, self.size)
            if epoch != self.epoch:
                rng = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                self.epoch, self.order = epoch, torch.randperm(self.size, generator=rng)
            parts.append(self.order[offset : offset + count])
            start, count = start + len(parts[-1]), count - len(parts[-1])
        return torch.cat(parts)


@cache
def fast_bfloat16(device_type: str) -> bool:
    """Whether the device multiplies faster in bfloat16 than in float32.

    A CPU does with AMX, and an AMD one with AVX512-BF16. An Intel one with AVX512-BF16 alone knows the format
    and is slower in it: the package's GAN trained at three quarters of its float32 speed. Emulated, it is
    slower still.
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "cpu":
        cpuinfo = Path("/proc/cpuinfo")
        known = cpuinfo.read_text() if cpuinfo.is_file() else ""
        return "amx_bf16" in known or ("AuthenticAMD" in known and "avx512_bf16" in known)
    return False


def train(
    trainer: Any,
    dataset: ImageDataset,
    *,
    images: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    callbacks: Sequence[Callable[[Run], None]] = (),
    report_every: int | None = None,
    progress: bool = True,
) -> Run:
    """Train on a budget of `images` shown or `minutes` spent; exactly one of the two.

    trainer: a GANTrainer, VAETrainer or ClassifierTrainer. Its networks are trained in place.
    out: a folder for `checkpoint.pt` (everything that a resumed run needs), `model.safetensors` (the averaged
        network) and `history.json`; None keeps nothing.
    resume: go on from the folder's checkpoint, if it has one. With an image budget on a CPU the result is
        bitwise that of a run never interrupted.
    callbacks: called with the Run every `report_every` images (if not said, an epoch, and at least 5,000) and
        at the end. Their time is not counted.

    Under `accelerate launch` each of n processes works on its own part, of the recipe's size, of a batch n
    times as large. The main process alone writes, prints and calls back.

    On Ctrl-C the run is saved and returned with `interrupted` set. Raises TrainingError for a budget,
    folder or checkpoint that does not fit, and for a loss or weight that is not finite: the message names
    the step, and the last checkpoint stays.
    """
    if (images is None) == (minutes is None):
        raise TrainingError("give a budget: either images or minutes")
    if (minutes if images is None else images) <= 0:
        raise TrainingError("the budget must be more than nothing")
    if len(dataset) == 0:
        raise TrainingError("the data set is empty")
    accelerator = Accelerator()
    device, recipe = accelerator.device, trainer.recipe
    number, of = accelerator.process_index, accelerator.num_processes
    if not accelerator.is_main_process:
        callbacks, progress = (), False
    identity = {
        "kind": trainer.kind,
        "recipe": json.dumps(dataclasses.asdict(recipe)),
        "models": json.dumps([getattr(trainer, name).config for name in trainer.networks]),
        "data": f"{dataset.name}/{dataset.split}/{len(dataset)}",
        "budget": f"{images} images" if images else f"{minutes} minutes",
        "seed": seed,
        "processes": of,
    }
    for name in trainer.networks:
        network = getattr(trainer, name).to(device, memory_format=torch.channels_last).train()
        if of > 1:
            processes.share(network)
    average = EMA(getattr(trainer, trainer.result), recipe.ema_half_life)
    order = Shuffled(len(dataset), seed)
    rng = torch.Generator(device).manual_seed(seed + number * 1_000_003)  # other noise in each process
    run = Run(0, 0.0, [], average.average)

    folder = Path(out) if out is not None else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        saved = folder / "checkpoint.pt"
        if saved.exists() and not resume:
            raise TrainingError(f"{folder} holds a run already: resume it, or choose another folder")
        if saved.exists():
            state = checkpoint.read(saved)
            _restore(state, identity, trainer, average, run, folder)
            rng.set_state(state["rng"][number].clone())  # PyTorch reads a row of a tensor amiss

    report_every = report_every or max(len(dataset), REPORT_EVERY)
    next_report = (run.images_seen // report_every + 1) * report_every
    images_on_device = dataset.to(device) if device.type == "cuda" else dataset
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16(device.type))
    pending: list[dict[str, Tensor]] = []
    started = time.perf_counter() - run.seconds

    def done() -> float:
        run.seconds = time.perf_counter() - started
        return min(1.0, run.images_seen / images if images else run.seconds / (60 * minutes))

    def agreed(spent: float, stop: bool) -> tuple[float, bool]:
        """The main process's clock, and whether anybody was told to stop: the same in all processes."""
        if of == 1:
            return spent, stop
        said = torch.tensor([0.0 if number else spent, float(stop)], device=device)
        spent, stops = accelerator.reduce(said, "sum").tolist()
        return spent, stops > 0

    def flush() -> None:
        if pending:
            means = _mean_finite(pending, trainer.steps, accelerator)
            run.history.append(means | {"images": run.images_seen})
            pending.clear()

    def save() -> None:
        if folder is None:
            return
        _check_weights(trainer)
        states = accelerator.gather(rng.get_state()[None].to(device)).cpu()
        if not accelerator.is_main_process:
            return
        state = _state(identity, trainer, average, run) | {"rng": states}
        checkpoint.write(folder / "checkpoint.pt", state)
        models.save_as(
            folder / "model.safetensors",
            average.average,
            **identity,
            class_names=dataset.class_names,
            images_seen=run.images_seen,
            seconds=round(run.seconds, 1),
        )
        with write_whole(folder / "history.json") as file:
            file.write(json.dumps(run.history).encode())

    optimisers = [getattr(trainer, name) for name in trainer.optimisers]
    averaged = processes.averaged_gradients(optimisers, accelerator) if of > 1 else contextlib.nullcontext()
    with _interrupts() as interrupted, averaged:
        while True:
            spent, stop = agreed(done(), interrupted())
            if spent >= 1 or stop:
                break
            if run.images_seen >= next_report:
                next_report += report_every
                flush()
                save()
                started += _report(run, callbacks, progress, images, minutes)
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(recipe, spent)
            count = recipe.batch_size
            if images:
                count = min(count, math.ceil((images - run.images_seen) / of))
            indices = order.take(run.images_seen, count * of)[number * count : (number + 1) * count]
            real = images_on_device.batch(indices).to(device, memory_format=torch.channels_last)
            labels = None if dataset.labels is None else dataset.labels[indices].to(device)
            with autocast:
                pending.append(trainer.step(real, labels, rng))
            run.images_seen += count * of
            average.update(getattr(trainer, trainer.result), run.images_seen, count * of)
            if len(pending) == FLUSH_EVERY:
                flush()
        run.interrupted = spent < 1
        flush()
        save()
        _report(run, callbacks, progress, images, minutes)
    return run


def _mean_finite(
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
                raise TrainingError(
                    f"{name} is {value} at step {step}: training stopped. The last checkpoint is kept; "
                    "a smaller learning rate or a stronger penalty may help"
                )
    names = {name: None for row in rows for name in row}
    return {
        name: sum(values) / len(values)
        for name in names
        if (values := [row[name] for row in rows if name in row])
    }


def _check_weights(trainer: Any) -> None:
    for name in trainer.networks:
        if not all(bool(p.isfinite().all()) for p in getattr(trainer, name).parameters()):
            raise TrainingError(
                f"the {name} has weights that are not finite after step {trainer.steps}: training stopped. "
                "The last checkpoint is kept; a smaller learning rate may help"
            )


def _state(identity: dict, trainer: Any, average: EMA, run: Run) -> dict[str, Any]:
    return {
        "identity": identity,
        "networks": {name: getattr(trainer, name).state_dict() for name in trainer.networks},
        "optimisers": {name: getattr(trainer, name).state_dict() for name in trainer.optimisers},
        "average": average.average.state_dict(),
        "steps": trainer.steps,
        "images_seen": run.images_seen,
        "seconds": run.seconds,
        "history": run.history,
    }


def _restore(state: dict, identity: dict, trainer: Any, average: EMA, run: Run, folder: Path) -> None:
    differing = [key for key in identity if state["identity"].get(key) != identity[key]]
    if differing:
        was = ", ".join(f"{key} {state['identity'].get(key)}" for key in differing)
        raise TrainingError(
            f"the run in {folder} was started otherwise: {was}. Repeat its settings to resume it"
        )
    for name in trainer.networks:
        getattr(trainer, name).load_state_dict(state["networks"][name])
    for name in trainer.optimisers:
        getattr(trainer, name).load_state_dict(state["optimisers"][name])
    average.average.load_state_dict(state["average"])
    trainer.steps = state["steps"]
    run.images_seen, run.seconds, run.history = state["images_seen"], state["seconds"], state["history"]


def _report(
    run: Run,
    callbacks: Sequence[Callable[[Run], None]],
    progress: bool,
    images: int | None,
    minutes: float | None,
) -> float:
    """Print one line, call the callbacks, and return the seconds that took."""
    began = time.perf_counter()
    if progress and run.history:
        last = "  ".join(f"{k} {v:.3f}" for k, v in run.history[-1].items() if k != "images")
        goal = f" of {images:,}" if images else f" in {run.seconds / 60:.1f} of {minutes:g} min"
        rate = run.images_seen / run.seconds
        print(f"{run.images_seen:,}{goal} images  {rate:,.0f}/s  {last}", flush=True)
    for callback in callbacks:
        callback(run)
    return time.perf_counter() - began


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """While active, the first Ctrl-C is only noted, so that no step is cut in half; the next interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread may handle signals
        return
    noted = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        noted.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted.is_set
    finally:
        signal.signal(signal.SIGINT, before)
