"""The command line: prodgen data | train | sample | evaluate.

Exit codes: 0 done, 2 a mistake that one sentence on standard error explains, 130 stopped by Ctrl-C. While a
model trains, SIGTERM and SIGHUP do as Ctrl-C does: the run is saved, and the code is 130. Torch is imported
only by the commands that need it, so that --help answers at once.
"""

import argparse
import errno
import json
import math
import os
import re
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TextIO

from prodgen import __version__
from prodgen.errors import ProdgenError
from prodgen.files import write_whole
from prodgen.presets import IMAGE_SIZES, PRESETS

if TYPE_CHECKING:
    from torch import Tensor

    from prodgen.models import VAE, Generator

FOLDER_SIZE = 64  # pixels, for a folder of photos of any size
MOST_IN_PICTURE = 1_000  # a hundred rows of ten
DATA_HELP = "a data set, or a folder of your own images"
MODEL_HELP = "a run's folder, a model.safetensors, or a shipped model"


class CommandError(ProdgenError):
    """A mistake of the caller's, in one sentence."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"prodgen: {message} (see {self.prog} --help)\n")


class Lasting:
    """A text stream that outlives its reader, and writes as escapes what its encoding cannot hold."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        encoding = self._stream.encoding or "utf-8"
        self._lasting(self._stream.write, text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        self._lasting(self._stream.flush)

    def _lasting(self, method: Callable[..., Any], *arguments: str) -> None:
        try:
            method(*arguments)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # a closed pipe; a terminal that is gone
                raise
            # What the stream still holds goes nowhere as well: Python would stumble over it on leaving.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _lasting_streams() -> Iterator[None]:
    """Inside, standard output and error are Lasting, where there are any."""
    out, err = (stream and Lasting(stream) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            for stream in filter(None, (out, err)):
                stream.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    with _lasting_streams():
        options = build_parser().parse_args(arguments)
        try:
            return options.command(options, arguments)
        except KeyboardInterrupt:
            print("prodgen: interrupted", file=sys.stderr)
            return 130
        except ProdgenError as error:
            sentence = str(error)
        except OSError as error:
            if not error.strerror:  # not the system's: a fault of ours, which shows its trace
                raise
            sentence = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        print(f"prodgen: {' '.join(sentence.split()).removesuffix('.')}.", file=sys.stderr)
        return 2


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
    budget.add_argument("--images", type=_count, metavar="N", help="budget: images shown to the model")
    budget.add_argument("--minutes", type=_minutes, metavar="M", help="budget: minutes spent")
    command.add_argument("--seed", type=_seed, default=0, metavar="S")
    command.add_argument("--out", required=True, type=_path, metavar="RUN", help="folder to keep the run in")
    command.add_argument(
        "--resume", action="store_true", help="go on from the run's last checkpoint, with a larger budget too"
    )
    command.add_argument(
        "--from", dest="origin", type=_path, metavar="RUN",
        help="begin with the weights of another run, where they fit",
    )  # fmt: skip
    command.set_defaults(command=_train)

    command = commands.add_parser("sample", help="draw images from a model")
    command.add_argument("model", metavar="RUN|NAME", help=MODEL_HELP)
    command.add_argument("--n", type=_count, required=True, metavar="N", help="how many images")
    command.add_argument(
        "--with", dest="asked", action="append", type=_asked, default=[], metavar="NAME=VALUE",
        help="what to draw, such as label=Bag; once for each factor, others stay open (default: all named "
        "values in turn)",
    )  # fmt: skip
    command.add_argument(
        "--label", dest="asked", action="append", type=lambda text: _asked(f"label={text}"), metavar="L",
        help="a class, by name or number: the same as --with label=L",
    )  # fmt: skip
    command.add_argument("--seed", type=_seed, default=0, metavar="S")
    command.add_argument(
        "--out", required=True, type=_path, metavar="X.npy|X.png", help="uint8 (N, C, H, W), or one picture"
    )
    command.set_defaults(command=_sample)

    command = commands.add_parser(
        "evaluate", help="measure a model against real images",
        description="Measure a model against real images. On Fashion-MNIST everything needed ships with the "
        "package; on other images FID and its kin need Inception's weights (95 MB), fetched on first use.",
    )  # fmt: skip
    command.add_argument("model", metavar="RUN|NAME", help=MODEL_HELP)
    command.add_argument("--data", required=True, metavar="NAME|DIR", help=DATA_HELP)
    command.add_argument(
        "--split", default="test", metavar="S",
        help="part of the data; for few photos: all, those trained on too (default: test)",
    )  # fmt: skip
    command.add_argument(
        "--n", type=_count, default=10_000, metavar="N", help="samples (default: 10,000, as in the book)"
    )
    command.add_argument("--seed", type=_seed, default=0, metavar="S")
    command.add_argument("--json", type=_path, metavar="F", help="write the numbers to a file, too")
    command.set_defaults(command=_evaluate)
    return parser


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # after "=", the shell leaves "~" as it is


def _asked(text: str) -> tuple[str, str]:
    name, equals, value = unicodedata.normalize("NFC", text).partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as label=Bag")
    return name, value


def _count(text: str) -> int:
    number = text.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+", text) else text
    if not number.isdecimal() or int(number) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images: give 1 or more")
    return int(number)


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
    dataset = data.load(options.data, "train", image_size=size, report=say)
    images, budget = options.images, f"{options.minutes} minutes"
    if options.minutes is None:
        images = images or presets.budget(options.kind, options.preset)
        budget = f"{images:,} images"
    trainer = training.new_trainer(
        options.kind, dataset, seed=options.seed, conditional=not options.unconditional
    )
    if options.origin and not kept:  # what goes on has its own weights
        misfits = training.start_from(trainer, options.origin)
        said = f"; these did not fit and begin anew: {', '.join(misfits)}" if misfits else ""
        say(f"begins with the weights of {options.origin}{said}")
    what = f"{len(dataset):,} images of {dataset.name}, {dataset.image_size} px"
    if trainer.model.condition:
        what += f", conditional on {', '.join(factor.name for factor in trainer.model.condition.factors)}"
    if isinstance(trainer, training.GANTrainer) and trainer.augmented:
        what += ", augmented"
    say(f"{options.kind} on {what}, for {budget}", flush=True)
    reports: list[training.Run] = []
    run = training.train(
        trainer, dataset, images=images, minutes=options.minutes, seed=options.seed, out=options.out,
        resume=options.resume, callbacks=[reports.append],
    )  # fmt: skip
    if run.interrupted:
        again = shlex.join(["prodgen", *arguments, *([] if options.resume else ["--resume"])])
        say(f"prodgen: stopped and saved at {run.images_seen:,} images; to go on: {again}", file=sys.stderr)
        return 130
    if not reports:  # each run that takes a step ends with one
        say(f"{options.out} has its {run.images_seen:,} images; nothing left to do: give a larger budget")
        return 0
    sample = shlex.join(["prodgen", "sample", str(options.out), "--n", "64", "--out", "samples.png"])
    say(f"saved in {options.out}; to see what it draws: {sample}")
    return 0


def _load(reference: str) -> "Generator | VAE":
    """The model of a run's folder or of a file, or a shipped one, on the fastest device."""
    from prodgen import device, models, recorded

    path = _path(reference)
    file = path / "model.safetensors" if path.is_dir() else path
    if file.is_file():
        model = models.load(file)
    elif path.is_dir():
        raise CommandError(f"{path} holds no trained model (no {file.name} in it).")
    elif reference in recorded.model_names():
        model = recorded.load_model(reference)
    else:
        shipped = ", ".join(recorded.model_names())
        raise CommandError(
            f"{reference!r} is neither a run, nor a model's file, nor a shipped model ({shipped})."
        )
    if not isinstance(model, models.Generator | models.VAE):
        raise CommandError(f"{reference!r} is a {type(model).__name__.lower()}; it draws no images.")
    return model.to(device.best_device())


def _sample(options: argparse.Namespace, arguments: list[str]) -> int:
    _check_parent(options.out)
    kind = options.out.suffix.lower()
    if kind not in (".npy", ".png"):
        raise CommandError(f"{options.out} must end in .npy (an array) or .png (a picture).")
    if kind == ".png" and options.n > MOST_IN_PICTURE:
        raise CommandError(
            f"A picture of {options.n:,} images is too tall to look at: {MOST_IN_PICTURE:,} at most, or an "
            "array, --out X.npy."
        )
    model = _load(options.model)
    condition = _condition(model, options.asked)

    from prodgen import data, models

    shape = (options.n, model.config["channels"], *[model.config["image_size"]] * 2)
    _check_space(options.out, math.prod(shape))
    drawn = models.sample_batches(model, options.n, condition, options.seed)
    with _written(options.out) as file:
        write = _write_array if kind == ".npy" else _write_picture
        write(file, (data.to_uint8(batch).cpu() for batch in drawn), shape)
    print(f"{options.n:,} images in {options.out}")
    return 0


def _condition(model: "Generator | VAE", asked: Sequence[tuple[str, str]]) -> "Tensor | None":
    """What the pictures are asked for, (1, width); None where nothing is."""
    if not asked:
        return None
    if model.condition is None:
        raise CommandError(
            "This model has no factors, such as a class, to ask for; leave --label and --with out."
        )
    values: dict[str, Any] = {}
    for name, value in asked:
        if name in values:
            raise CommandError(f"{name} is asked for twice; give it one value.")
        values[name] = model.condition[name].parse(value)
    return model.condition.encode(**values)


def _write_array(file: BinaryIO, pixels: "Iterator[Tensor]", shape: tuple[int, ...]) -> None:
    """What np.save writes of all batches together, with one of them in memory at a time."""
    import numpy as np

    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for batch in pixels:
        file.write(batch.numpy().tobytes())


def _write_picture(file: BinaryIO, pixels: "Iterator[Tensor]", shape: tuple[int, ...]) -> None:
    import torch
    from PIL import Image

    from prodgen.plots import tile

    Image.fromarray(tile(torch.cat(list(pixels)), min(shape[0], 10))).save(file, "PNG")


def _evaluate(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.json:
        _check_parent(options.json)
    model = _load(options.model)

    from prodgen import data, evaluation

    size = None if options.data in data.names() else model.config["image_size"]
    dataset = data.load(
        options.data, options.split, image_size=size, channels=model.config["channels"], report=print
    )
    result = {"model": options.model} | evaluation.evaluate(model, dataset, n=options.n, seed=options.seed)
    if options.json:
        with _written(options.json) as file:
            file.write(json.dumps(result, indent=1).encode() + b"\n")
    missing: dict[str, list[str]] = {}
    for name, reason in result.pop("not_measured", {}).items():
        missing.setdefault(reason, []).append(name)
    for name, value in result.items():
        print(f"{name:26} {_readable(value)}")
    for reason, names in missing.items():
        print(f"not measured: {', '.join(names)}. {reason}")
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


def _check_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.absolute().parent).free
    if size > free:
        raise CommandError(
            f"{path} would take {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free; take a smaller --n."
        )


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    try:
        with write_whole(path) as file:
            yield file
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
