"""The one training loop: device, precision, budget, average, checkpoints and progress around any trainer."""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from prodgen import models
from prodgen.data import ImageDataset, Shuffled
from prodgen.device import autocast, random_stream
from prodgen.errors import TrainingError
from prodgen.training.checkpoint import RunFolder, settings_of
from prodgen.training.ema import EMA
from prodgen.training.interrupts import noted_interrupts
from prodgen.training.optimiser import learning_rate, set_learning_rate
from prodgen.training.processes import agreed, averaged_gradients, broadcast_parameters
from prodgen.training.trainer import Trainer
from prodgen.training.watch import Run, check_weights, mean_finite, progress_line

REPORT_EVERY = 5_000  # images at least: a small folder's epoch is over in a moment
FLUSH_EVERY = 50  # steps between looks at the losses: reading one makes a GPU wait
SAVE_EVERY = 180.0  # seconds between checkpoints at most, give or take FLUSH_EVERY steps


def train(
    trainer: Trainer,
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

    trainer: its networks are trained in place.
    out: a folder for `checkpoint.pt` (everything that a resumed run needs), `model.safetensors` (the averaged
        network) and `history.json`, written at every report and every few minutes; None keeps nothing.
    resume: go on from the folder's checkpoint, if it has one, with the same budget or another. With the same
        number of images on a CPU the result is bitwise that of a run never interrupted. A run whose budget is
        spent is left as it is.
    callbacks: called with the Run every `report_every` images (if not said, an epoch, and at least 5,000) and
        at the end. Their time is not counted.

    Under `accelerate launch` each of n processes works on its own part, of the recipe's size, of a batch n
    times as large. The main process alone writes, prints and calls back.

    On Ctrl-C, SIGTERM or SIGHUP the run is saved and returned with `interrupted` set. Raises TrainingError
    for a budget, data set, folder or checkpoint that does not fit, where nothing can be written, and for a
    loss or weight that is not finite: the message names the step, and the last checkpoint stays.
    """
    if (images is None) == (minutes is None):
        raise TrainingError("give a budget: either images or minutes.")
    if (minutes if images is None else images) <= 0:
        raise TrainingError("the budget must be more than nothing.")
    if len(dataset) == 0:
        raise TrainingError("the data set is empty.")
    wanted = getattr(trainer.model, "condition", None)
    if wanted is not None and wanted != dataset.condition:
        raise TrainingError(f"the {trainer.kind} was made for other factors than {dataset.name} has.")
    if out is not None:
        models.kind_of(trainer.model)  # refused now, and not when there is something to lose
    if progress:
        callbacks = (lambda run: print(progress_line(run, images, minutes), flush=True), *callbacks)
    accelerator, kept = Accelerator(), contextlib.nullcontext()
    if out is not None:
        kept = RunFolder(out, resume, writes=accelerator.is_main_process)
    with kept as folder:
        loop = Loop(accelerator, trainer, dataset, images, minutes, seed, folder)
        return loop.go(callbacks, report_every or max(len(dataset), REPORT_EVERY))


class Loop:
    """The state of one call of `train`, and its parts, each readable by itself."""

    def __init__(
        self,
        accelerator: Accelerator,
        trainer: Trainer,
        dataset: ImageDataset,
        images: int | None,
        minutes: float | None,
        seed: int,
        folder: RunFolder | None,
    ):
        self.trainer, self.images, self.minutes, self.folder = trainer, images, minutes, folder
        self.accelerator, self.device = accelerator, accelerator.device
        self.rank, self.world_size = accelerator.process_index, accelerator.num_processes
        for network in trainer.networks.values():
            network.to(self.device).train()
            if self.world_size > 1:
                broadcast_parameters(network)
        torch.backends.cudnn.benchmark = self.device.type == "cuda"
        self.photos = dataset.near(self.device)
        self.conditions = self.photos.conditions()
        self.order = Shuffled(len(dataset), seed)
        self.rng = random_stream(seed, f"noise {self.rank}", self.device)  # other noise in each process
        self.ema = EMA(trainer.model, trainer.recipe.ema_half_life)
        self.run = Run(0, 0.0, [], self.ema.model)
        self.pending: list[dict[str, Tensor]] = []
        if folder:
            self.settings = settings_of(trainer, dataset, seed, self.world_size)
            if folder.has_checkpoint():
                self.restore(folder.read(self.settings))
        self.saved = time.perf_counter()
        self.started = self.saved - self.run.seconds

    def go(self, callbacks: Sequence[Callable[[Run], None]], report_every: int) -> Run:
        """Step until the budget is spent, or somebody says stop."""
        run, trainer = self.run, self.trainer
        next_report = (run.images_seen // report_every + 1) * report_every
        averaged = contextlib.nullcontext()
        if self.world_size > 1:
            averaged = averaged_gradients(trainer.optimisers.values(), self.accelerator)
        with noted_interrupts() as interrupted, averaged:
            done, stop = agreed(self.accelerator, self.spent(), interrupted())
            if done >= 1:
                return run  # nothing is left to do, so nothing is written over
            while done < 1 and not stop:
                if run.images_seen >= next_report:
                    next_report += report_every
                    self.report(callbacks)
                self.step(done)
                if flushed := len(self.pending) == FLUSH_EVERY:
                    self.flush()
                    age, _ = agreed(self.accelerator, time.perf_counter() - self.saved, False)
                    if age > SAVE_EVERY:
                        self.save()
                # Several processes agree only now and then: it takes time.
                if flushed or self.world_size == 1:
                    done, stop = agreed(self.accelerator, self.spent(), interrupted())
                elif self.images:
                    done = self.spent()
            run.interrupted = done < 1
            self.report(callbacks)
        return run

    def spent(self) -> float:
        """The share of the budget that is spent."""
        self.run.seconds = time.perf_counter() - self.started
        if self.images:
            return self.run.images_seen / self.images
        return self.run.seconds / (60 * self.minutes)

    def step(self, done: float) -> None:
        """One batch, at the learning rate of this share of the budget, and what follows from it."""
        run, trainer = self.run, self.trainer
        set_learning_rate(trainer.optimisers.values(), learning_rate(trainer.recipe, done))
        count = trainer.recipe.batch_size
        if self.images:
            count = min(count, math.ceil((self.images - run.images_seen) / self.world_size))
        mine = self.order.take(run.images_seen, count * self.world_size)[self.rank * count :][:count]
        mine = mine.to(self.photos.images.device, non_blocking=True)
        real = self.photos.batch(mine).to(self.device, memory_format=torch.channels_last, non_blocking=True)
        condition = None
        if self.conditions is not None:
            condition = self.conditions[mine].to(self.device, non_blocking=True)
        with autocast(self.device.type):
            self.pending.append(trainer.step(real, condition, self.rng))
        run.images_seen += count * self.world_size
        self.ema.update(trainer.model, run.images_seen, count * self.world_size)

    def flush(self) -> None:
        """Move what the last steps logged into the history."""
        if self.pending:
            means = mean_finite(self.pending, self.trainer.steps, self.accelerator)
            self.run.history.append(means | {"images": self.run.images_seen})
            self.pending.clear()

    def save(self) -> None:
        """Keep everything that a resumed run needs, and the averaged model."""
        self.saved = time.perf_counter()
        if self.folder is None:
            return
        check_weights(self.trainer.networks, self.trainer.steps)
        states = self.accelerator.gather(self.rng.get_state()[None].to(self.device)).cpu()
        if self.accelerator.is_main_process:
            seen = {"images_seen": self.run.images_seen, "seconds": self.run.seconds}
            state = {"settings": self.settings, **seen, "history": self.run.history}
            state |= {"trainer": self.trainer.state_dict(), "average": self.ema.model.state_dict()}
            state |= {"noise": states, "device": self.device.type}
            self.folder.write(state, self.ema.model, self.settings | seen)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `save` kept."""
        self.trainer.load_state_dict(state["trainer"])
        self.ema.model.load_state_dict(state["average"])
        self.run.images_seen, self.run.seconds = state["images_seen"], state["seconds"]
        self.run.history = state["history"]
        if state["device"] == self.device.type:
            self.rng.set_state(state["noise"][self.rank].clone())  # of a row it would read the whole tensor
            return
        # One kind of device cannot go on with the random numbers of another.
        self.rng.manual_seed(self.rng.initial_seed() + state["images_seen"])
        if self.rank == 0:
            moved = f"was on {state['device']} and goes on with other noise on {self.device.type}"
            print(f"prodgen: this run {moved}", file=sys.stderr)

    def report(self, callbacks: Sequence[Callable[[Run], None]]) -> None:
        """Flush, save, and tell whoever wants to know, at no cost to the budget."""
        self.flush()
        self.save()
        began = time.perf_counter()
        if self.accelerator.is_main_process:
            for callback in callbacks:
                callback(self.run)
        self.started += time.perf_counter() - began
