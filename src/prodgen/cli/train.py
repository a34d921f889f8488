"""prodgen train: a GAN or a VAE on a data set or on a folder of photos."""

import argparse
import math
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prodgen.cli.common import DATA_HELP, CommandError, as_count, as_pair, as_path, as_seed
from prodgen.cli.follow import PREVIEW, Log, Preview, Progress, TensorBoard
from prodgen.cli.recipe import with_fields
from prodgen.cli.runs import keep_command
from prodgen.presets import IMAGE_SIZES, PRESETS

if TYPE_CHECKING:
    from prodgen.training import Trainer

FOLDER_SIZE = 64  # pixels, for a folder of photos of any size


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("train", help="train a GAN or a VAE")
    command.add_argument("kind", choices=("gan", "vae"))
    command.add_argument("--data", required=True, metavar="NAME|DIR", help=DATA_HELP)
    command.add_argument(
        "--image-size", type=int, choices=IMAGE_SIZES, metavar="S",
        help=f"{', '.join(map(str, IMAGE_SIZES))} pixels; a folder's images are scaled to it "
        f"(default: {FOLDER_SIZE})",
    )  # fmt: skip
    command.add_argument(
        "--unconditional", action="store_true", help="a model without classes, though the data has them"
    )
    budget = command.add_mutually_exclusive_group()
    budget.add_argument(
        "--preset", choices=("auto", *PRESETS), default="auto", metavar="P",
        help=f"budget: auto, {', '.join(PRESETS)} (default: auto)",
    )  # fmt: skip
    budget.add_argument("--images", type=as_count, metavar="N", help="budget: images shown to the model")
    budget.add_argument("--minutes", type=as_minutes, metavar="M", help="budget: minutes spent")
    command.add_argument("--seed", type=as_seed, default=0, metavar="S")
    command.add_argument(
        "--out", required=True, type=as_path, metavar="RUN", help="folder to keep the run in"
    )
    command.add_argument(
        "--resume", action="store_true", help="go on from the run's last checkpoint, with a larger budget too"
    )
    command.add_argument(
        "--from", dest="origin", type=as_path, metavar="RUN",
        help="begin with the weights of another run, where they fit",
    )  # fmt: skip
    command.add_argument(
        "--set", dest="changes", action="append", type=as_pair, default=[], metavar="FIELD=VALUE",
        help="change a field of the recipe, such as r1_gamma=2; once for each",
    )  # fmt: skip
    command.add_argument(
        "--tensorboard", action="store_true", help="write RUN/tensorboard too, where TensorBoard is installed"
    )
    command.set_defaults(command=run)


def as_minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes: give more than 0")
    return minutes


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    from prodgen import data, presets, training

    def say(text: str, **how: Any) -> None:
        if os.environ.get("RANK", "0") == "0":  # of the processes of `accelerate launch` one speaks
            print(text, **how)

    kept = (options.out / "checkpoint.pt").exists()
    if kept and not options.resume:
        raise CommandError(f"{options.out} holds a run already; add --resume, or choose another folder.")
    if options.resume and not kept:
        say(f"prodgen: {options.out} holds no checkpoint yet; starting anew", file=sys.stderr)
    size = options.image_size or (None if options.data in data.names() else FOLDER_SIZE)
    dataset = data.load(options.data, "train", image_size=size, report=say)
    images, budget = options.images, f"{options.minutes} minutes"
    if options.minutes is None:
        images = images or presets.budget(options.kind, options.preset)
        budget = f"{images:,} images"
    recipe = presets.recipe_of(options.kind, dataset.image_size, dataset.channels)
    trainer = training.new_trainer(
        options.kind, dataset, seed=options.seed, conditional=not options.unconditional,
        recipe=with_fields(recipe, options.changes),
    )  # fmt: skip
    if options.origin and not kept:  # what goes on has its own weights
        misfits = training.start_from(trainer, options.origin)
        say(f"begins with the weights of {options.origin}{_misfits(trainer, misfits)}")
    what = f"{len(dataset):,} images of {dataset.name}, {dataset.image_size} px"
    if trainer.model.condition:
        what += f", conditional on {', '.join(factor.name for factor in trainer.model.condition.factors)}"
    if isinstance(trainer, training.GANTrainer) and trainer.augmented:
        what += ", augmented"
    say(f"{options.kind} on {what}, for {budget}", flush=True)
    progress, log = Progress(images, options.minutes), Log(options.out, resumed=kept)
    callbacks: list[Callable[[training.Run], None]] = [progress, log, Preview(options.out, dataset.content)]
    if options.tensorboard:
        callbacks.append(TensorBoard(options.out))
    source = options.data if options.data in data.names() else os.path.abspath(as_path(options.data))
    callbacks.append(lambda _: keep_command(options.out, source, arguments))
    with progress:
        run = training.train(
            trainer, dataset, images=images, minutes=options.minutes, seed=options.seed, out=options.out,
            resume=options.resume, callbacks=callbacks, progress=False,
        )  # fmt: skip
    if run.interrupted:
        again = shlex.join(["prodgen", *arguments, *([] if options.resume else ["--resume"])])
        say(f"prodgen: stopped and saved at {run.images_seen:,} images; to go on: {again}", file=sys.stderr)
        return 130
    if not log.grown:  # each run that takes a step ends with one
        say(f"{options.out} has its {run.images_seen:,} images; nothing left to do: give a larger budget")
        return 0
    sample = shlex.join(["prodgen", "sample", str(options.out), "--n", "64", "--out", "samples.png"])
    say(f"saved in {options.out}, with {PREVIEW}; to see more of what it draws: {sample}")
    return 0


def _misfits(trainer: "Trainer", names: Sequence[str]) -> str:
    """Which weights of the other run did not fit: as many names as can be read."""
    if not names:
        return ""
    total = sum(len(network.state_dict()) for network in trainer.networks.values())
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"; {len(names)} of {total} tensors did not fit and begin anew: {shown}"
