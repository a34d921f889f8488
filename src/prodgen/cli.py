"""The command line: prodgen data | train | sample | evaluate.

Exit codes: 0 done, 2 a mistake that one sentence on standard error explains, 130 stopped by Ctrl-C. Torch is
imported only by the commands that need it, so that --help answers at once.
"""

import argparse
import io
import json
import math
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from prodgen import __version__
from prodgen.files import write_whole
from prodgen.presets import PRESETS

if TYPE_CHECKING:
    from torch import Tensor

    from prodgen.models import VAE, Generator

FOLDER_SIZE = 64  # pixels, for a folder of photos of any size
MOST_SAMPLES = 100_000
DATA_HELP = "a data set, or a folder of your own images"
MODEL_HELP = "a run's folder, or a shipped model"


class CommandError(Exception):
    """A mistake of the caller's, in one sentence."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"prodgen: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = build_parser().parse_args(arguments)
    try:
        return options.command(options, arguments)
    except KeyboardInterrupt:
        print("prodgen: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        sentence = _explain(error)
        if sentence is None:
            raise
        print(f"prodgen: {sentence.removesuffix('.')}.", file=sys.stderr)
        return 2


def _explain(error: Exception) -> str | None:
    """The sentence for an error that the caller can mend; None for a fault of ours, which shows its trace."""
    from prodgen.data import DataError
    from prodgen.evaluation import EvaluationError
    from prodgen.training import TrainingError

    if isinstance(error, CommandError | DataError | EvaluationError | TrainingError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return None


def build_parser() -> Parser:
    """Every command with its options."""
    parser = Parser(prog="prodgen", description="Generate product images: get data, train, sample, evaluate.")
    parser.add_argument("--version", action="version", version=f"prodgen {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    data = commands.add_parser("data", help="list data sets, or fetch one").add_subparsers(
        required=True, metavar="ACTION"
    )
    command = data.add_parser("list", help="what there is, with licence and source")
    command.set_defaults(command=_data_list)
    command = data.add_parser("get", help="fetch a data set into the cache")
    command.add_argument("name", metavar="NAME")
    command.set_defaults(command=_data_get)

    command = commands.add_parser("train", help="train a GAN or a VAE")
    command.add_argument("kind", choices=("gan", "vae"))
    command.add_argument("--data", required=True, metavar="NAME|DIR", help=DATA_HELP)
    command.add_argument(
        "--image-size", type=int, choices=(28, 32, 64), metavar="S",
        help=f"28, 32 or 64 pixels; a folder's images are scaled to it (default: {FOLDER_SIZE})",
    )  # fmt: skip
    command.add_argument(
        "--unconditional", action="store_true", help="a GAN without classes, though the data has them"
    )
    budget = command.add_mutually_exclusive_group()
    budget.add_argument(
        "--preset", choices=("auto", *PRESETS), default="auto", metavar="P",
        help=f"budget: auto, {', '.join(PRESETS)} (default: auto)",
    )  # fmt: skip
    budget.add_argument("--images", type=_count, metavar="N", help="budget: images shown to the model")
    budget.add_argument("--minutes", type=_minutes, metavar="M", help="budget: minutes spent")
    command.add_argument("--seed", type=_seed, default=0, metavar="S")
    command.add_argument("--out", required=True, type=Path, metavar="RUN", help="folder to keep the run in")
    command.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    command.set_defaults(command=_train)

    command = commands.add_parser("sample", help="draw images from a model")
    command.add_argument("model", metavar="RUN|NAME", help=MODEL_HELP)
    command.add_argument("--n", type=_count, required=True, metavar="N", help="how many images")
    command.add_argument("--label", metavar="L", help="a class, by name or number (default: all in turn)")
    command.add_argument("--seed", type=_seed, default=0, metavar="S")
    command.add_argument(
        "--out", required=True, type=Path, metavar="X.npy|X.png", help="uint8 (N, C, H, W), or one picture"
    )
    command.set_defaults(command=_sample)

    command = commands.add_parser("evaluate", help="measure a model against real images")
    command.add_argument("model", metavar="RUN|NAME", help=MODEL_HELP)
    command.add_argument("--data", required=True, metavar="NAME|DIR", help=DATA_HELP)
    command.add_argument(
        "--n", type=_count, default=10_000, metavar="N", help="samples (default: 10000, as in the book)"
    )
    command.add_argument("--seed", type=_seed, default=0, metavar="S")
    command.add_argument("--json", type=Path, metavar="F", help="write the numbers to a file, too")
    command.set_defaults(command=_evaluate)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images: give 1 or more")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes: give more than 0")
    return minutes


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number from 0 to {2**32 - 1}")
    return int(text)


def _data_list(options: argparse.Namespace, arguments: list[str]) -> int:
    from prodgen import data

    for name in data.names():
        info = data.describe(name)
        counts = ", ".join(f"{count:,} {split}" for split, count in info.images.items())
        print(f"{name}\n    {info.title}\n    {info.image_size} px, {info.channels} channel(s); {counts}")
        print(f"    classes: {', '.join(info.class_names) or 'none'}")
        print(f"    licence: {info.licence}; source: {info.source}")
    print("Or give a folder of images: each subfolder is a class.")
    return 0


def _data_get(options: argparse.Namespace, arguments: list[str]) -> int:
    from prodgen import data

    info = data.describe(options.name)
    for split in info.images:
        dataset = data.load(options.name, split)
        print(f"{options.name} {split}: {len(dataset):,} images, ready")
    return 0


def _train(options: argparse.Namespace, arguments: list[str]) -> int:
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
    dataset = data.load(options.data, "train", image_size=size)
    images, budget = options.images, f"{options.minutes} minutes"
    if options.minutes is None:
        try:
            images = images or presets.budget(options.kind, options.preset)
        except ValueError as error:  # an unknown name in $PRODGEN_PRESET
            raise CommandError(str(error)) from None
        budget = f"{images:,} images"
    trainer = training.new_trainer(
        options.kind, dataset, seed=options.seed, conditional=not options.unconditional
    )
    what = f"{len(dataset):,} images of {dataset.name}, {dataset.image_size} px"
    how = ", augmented" if getattr(trainer, "augmented", False) else ""
    say(f"{options.kind} on {what}{how}, for {budget}", flush=True)
    try:
        run = training.train(
            trainer, dataset, images=images, minutes=options.minutes, seed=options.seed, out=options.out,
            resume=options.resume,
        )  # fmt: skip
    except ValueError as error:
        if options.resume:  # a damaged checkpoint
            raise CommandError(str(error)) from None
        raise
    if run.interrupted:
        again = shlex.join(["prodgen", *arguments, *([] if options.resume else ["--resume"])])
        say(f"prodgen: stopped and saved at {run.images_seen:,} images; to go on: {again}", file=sys.stderr)
        return 130
    sample = shlex.join(["prodgen", "sample", str(options.out), "--n", "64", "--out", "samples.png"])
    say(f"saved in {options.out}; to see what it draws: {sample}")
    return 0


def _load(reference: str) -> tuple["Generator | VAE", Sequence[str]]:
    """The model of a run's folder, or a shipped one, with the names of its classes."""
    from prodgen import models, recorded

    shipped = recorded.model_names()
    folder = Path(reference)
    try:
        if folder.is_dir():
            file = folder / "model.safetensors"
            if not file.exists():
                raise CommandError(f"{folder} holds no trained model (no model.safetensors in it).")
            model, about = models.load(file), models.load_metadata(file)
        elif reference in shipped:
            model, about = recorded.load_model(reference), recorded.card(reference)
        else:
            raise CommandError(
                f"{reference!r} is neither the folder of a run nor a shipped model ({', '.join(shipped)})."
            )
    except ValueError as error:  # a damaged file
        raise CommandError(" ".join(str(error).split())) from None
    if not isinstance(model, models.Generator | models.VAE):
        raise CommandError(f"{reference!r} is a {type(model).__name__.lower()}; it draws no images.")
    return model, about["class_names"]


def _sample(options: argparse.Namespace, arguments: list[str]) -> int:
    _check_parent(options.out)
    if options.out.suffix not in (".npy", ".png"):
        raise CommandError(f"{options.out} must end in .npy (an array) or .png (a picture).")
    if options.n > MOST_SAMPLES:
        raise CommandError(f"--n {options.n} is more than {MOST_SAMPLES:,}, the most that one call draws.")
    model, class_names = _load(options.model)
    label = None if options.label is None else _class_number(options.label, model, class_names)

    from prodgen import data, models

    images = data.to_uint8(models.sample(model, options.n, label, options.seed))
    _write(options.out, _encode(images, options.out.suffix))
    print(f"{options.n:,} images in {options.out}")
    return 0


def _class_number(label: str, model: "Generator | VAE", names: Sequence[str]) -> int:
    classes = getattr(model, "num_classes", 0)
    if not classes:
        raise CommandError("This model has no classes; leave --label out.")
    if label in names:
        return list(names).index(label)
    if label.isdecimal() and int(label) < classes:
        return int(label)
    lower = [name.lower() for name in names]
    if label.lower() in lower:
        return lower.index(label.lower())
    known = ", ".join(f"{number} {name}" for number, name in enumerate(names))
    raise CommandError(f"There is no class {label!r}; there are: {known}.")


def _encode(images: "Tensor", suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".npy":
        import numpy as np

        np.save(buffer, images.numpy())
    else:
        from PIL import Image

        from prodgen.plots import tile

        columns = 10 if len(images) >= 10 else len(images)
        Image.fromarray(tile(images, columns)).save(buffer, "PNG")
    return buffer.getvalue()


def _evaluate(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.json:
        _check_parent(options.json)
    model, _ = _load(options.model)

    from prodgen import data, evaluation

    size = None if options.data in data.names() else model.config["image_size"]
    dataset = data.load(options.data, "test", image_size=size, channels=model.config["channels"])
    result = {"model": options.model} | evaluation.evaluate(model, dataset, n=options.n, seed=options.seed)
    if options.json:
        _write(options.json, json.dumps(result, indent=1).encode() + b"\n")
    for name, value in result.items():
        print(f"{name:26} {_readable(value)}")
    return 0


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _check_parent(path: Path) -> None:
    """Refuse before the work is done, not after."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder; give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise CommandError(f"There is no folder {path.absolute().parent} to write {path.name} to.")


def _write(path: Path, content: bytes) -> None:
    try:
        with write_whole(path) as file:
            file.write(content)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
