"""What one sees of a run while it trains: callbacks, each called with the run at every report."""

import json
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prodgen.cli.common import CommandError
from prodgen.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor

    from prodgen.models import VAE, Generator
    from prodgen.training import Run

LOG, PREVIEW, TENSORBOARD = "log.jsonl", "preview.png", "tensorboard"
ROWS, MOST_COLUMNS = 8, 16  # of the preview


class Progress:
    """One line that each report writes over, on a terminal; elsewhere a line a report.  Use in a `with`."""

    def __init__(self, images: int | None, minutes: float | None):
        self.images, self.minutes, self.begun = images, minutes, False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self.begun:  # what follows, a message on standard error perhaps, gets a line of its own
            print(flush=True)

    def __call__(self, run: "Run") -> None:
        from prodgen.training.watch import progress_line

        line = progress_line(run, self.images, self.minutes)
        self.begun = sys.stdout.isatty()
        if self.begun:
            width = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be written over
            print("\r" + line[:width].ljust(width), end="", flush=True)
        else:
            print(line, flush=True)


class Log:
    """RUN/log.jsonl: a line a report, with images seen, seconds spent, and what was logged last.

    The file is written whole each time. Lines from beyond the checkpoint that a run goes on from are dropped.
    """

    def __init__(self, folder: Path, resumed: bool):
        self.path, self.grown = folder / LOG, False
        kept = self.path.read_text("utf-8").splitlines() if resumed and self.path.is_file() else []
        self.rows = [json.loads(line) for line in kept]

    def __call__(self, run: "Run") -> None:
        last = run.history[-1] if run.history else {}
        row = {"images": run.images_seen, "seconds": round(run.seconds, 3)} | last
        self.rows = [earlier for earlier in self.rows if earlier["images"] < run.images_seen] + [row]
        with write_whole(self.path) as file:
            file.write("".join(json.dumps(row) + "\n" for row in self.rows).encode())
        self.grown = True


class Preview:
    """RUN/preview.png: what the model draws, from the same z at each report, with a column a class."""

    def __init__(self, folder: Path, content: Sequence[int] | None):
        self.path, self.content, self.name = folder / PREVIEW, content, folder.absolute().name

    def __call__(self, run: "Run") -> None:
        from prodgen import data, models
        from prodgen.cli.provenance import GENERATED, save_png
        from prodgen.data.folder.layout import readable
        from prodgen.plots import tile

        condition, columns = columns_of(run.model)
        drawn = data.without_padding(models.sample(run.model, ROWS * columns, condition), self.content)
        told = f"{GENERATED}, run {readable(self.name)}, after {run.images_seen:,} images."
        with write_whole(self.path) as file:
            save_png(file, tile(drawn, columns), told)


def columns_of(model: "Generator | VAE") -> tuple["Tensor | None", int]:
    """The condition (ROWS * columns, width) of a picture with a column for each class, and how many.

    A class is a value of the first factor that has names; beyond MOST_COLUMNS of them, the first ones.
    """
    named = [factor for factor in model.condition.factors if factor.values] if model.condition else []
    if not named:
        return None, ROWS
    classes = len(named[0].values)
    columns = min(classes, MOST_COLUMNS)
    rows = model.condition.in_turn(ROWS * classes).view(ROWS, classes, -1)
    return rows[:, :columns].flatten(0, 1), columns


class TensorBoard:
    """RUN/tensorboard: what was logged, over the images seen.

    Raises CommandError where TensorBoard is not installed.
    """

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise CommandError(
                "TensorBoard is not installed; get it with 'pip install tensorboard', or leave --tensorboard "
                "out: log.jsonl holds the same numbers."
            ) from None
        self.open, self.writer = partial(SummaryWriter, folder / TENSORBOARD), None

    def __call__(self, run: "Run") -> None:
        # What an earlier sitting wrote beyond the checkpoint that this one goes on from is not shown.
        self.writer = self.writer or self.open(purge_step=run.images_seen)
        for name, value in (run.history[-1] if run.history else {}).items():
            if name != "images":
                self.writer.add_scalar(name, value, run.images_seen)
        self.writer.flush()
