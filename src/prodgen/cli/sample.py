"""prodgen sample: images drawn from a model, into an array, a picture, a folder or an animation."""

import argparse
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from prodgen.cli.common import (
    MODEL_HELP,
    CommandError,
    as_count,
    as_pair,
    as_path,
    as_seed,
    check_parent,
    load_model,
    model_file,
    written,
)
from prodgen.cli.provenance import Provenance, save_png
from prodgen.cli.walk import MOST_IN_WALK, write_walk
from prodgen.files import write_folder_whole

if TYPE_CHECKING:
    from torch import Tensor

    from prodgen.data import Condition
    from prodgen.models import VAE, Generator

MOST_IN_PICTURE = 1_000  # a hundred rows of ten


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "sample", help="draw images from a model",
        description="Draw images from a model. White padding that all training photos were given is taken "
        "off again, except in an array, which stays square. All files but arrays say in their metadata that "
        "they are generated, by what, and from which seed.",
    )  # fmt: skip
    command.add_argument("model", metavar="RUN|NAME", help=MODEL_HELP)
    command.add_argument("--n", type=as_count, required=True, metavar="N", help="how many images")
    command.add_argument(
        "--with", dest="asked", action="append", type=as_pair, default=[], metavar="NAME=VALUE",
        help="what to draw, such as label=Bag; once for each factor, others stay open (default: all named "
        "values in turn)",
    )  # fmt: skip
    command.add_argument(
        "--label", dest="asked", action="append", type=lambda text: as_pair(f"label={text}"), metavar="L",
        help="a class, by name or number: the same as --with label=L",
    )  # fmt: skip
    command.add_argument("--seed", type=as_seed, default=0, metavar="S")
    command.add_argument(
        "--walk",
        action="store_true",
        help="an animation from image to image and back to the first, in a loop",
    )
    command.add_argument(
        "--out", required=True, type=as_path, metavar="X",
        help="X.npy: uint8 (N, C, H, W); X.png: one picture of all; X: a new folder, one PNG an image, a "
        "subfolder a class; with --walk: X.gif or X.webp, and a still beside it, X.png",
    )  # fmt: skip
    command.set_defaults(command=run)


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    """Draw the images and write them as the name of the output asks."""
    out, n, kind = options.out, options.n, options.out.suffix.lower()
    _check_out(out, kind, n, options.walk)
    file, model = model_file(options.model), load_model(options.model)

    from prodgen import data, models

    shape = (n, model.config["channels"], *[model.config["image_size"]] * 2)
    asked = _condition(model, options.asked)
    _check_space(out, math.prod(shape))
    condition = asked if asked is None else asked.expand(n, -1)
    if asked is None and model.condition:
        condition = model.condition.in_turn(n)
    content = models.load_metadata(file).get("content")
    origin = Provenance(file, options.seed, model.condition, options.asked)
    if options.walk:
        still = write_walk(out, model, condition, n, options.seed, content, origin)
        print(f"a walk through {n:,} images in {out}, the first of them in {still}")
        return 0
    drawn = models.sample_batches(model, n, condition, options.seed)
    pixels = (data.to_uint8(batch).cpu() for batch in drawn)
    if kind == ".npy":
        with written(out) as opened:
            _write_array(opened, pixels, shape)
        print(f"{n:,} images in {out}")
        return 0
    pixels = (data.without_padding(batch, content) for batch in pixels)
    if kind == ".png":
        several = condition is None or (n > 1 and asked is None)  # classes in turn, or none
        what = origin.sentence(
            "picture 1 of 1" if n == 1 else f"{n} pictures", None if several else condition[0]
        )
        with written(out) as opened:
            _write_picture(opened, pixels, n, what)
    else:
        with _new_folder(out) as folder:
            _write_folder(folder, pixels, n, condition, origin)
    print(f"{n:,} images in {out}")
    return 0


def _check_out(out: Path, kind: str, n: int, walk: bool) -> None:
    """Refuse before the work is done, not after."""
    animated = kind in (".gif", ".webp")
    if walk and not animated:
        raise CommandError(f"{out} must end in .gif or .webp, for an animation (--walk).")
    if animated and not walk:
        raise CommandError(f"{out} would be an animation; add --walk, or choose X.png, or a folder.")
    if kind not in (".npy", ".png", ".gif", ".webp", ""):
        raise CommandError(
            f"{out} must end in .npy (an array) or .png (a picture), or in nothing (a folder of pictures)."
        )
    if not kind and out.exists():
        raise CommandError(f"{out} exists already; give the name of a new folder, or of a file.")
    check_parent(out)
    if kind == ".png" and n > MOST_IN_PICTURE:
        raise CommandError(
            f"A picture of {n:,} images is too tall to look at: {MOST_IN_PICTURE:,} at most, or an "
            "array, --out X.npy, or a folder, --out X."
        )
    if walk and not 2 <= n <= MOST_IN_WALK:
        raise CommandError(f"A walk goes through 2 to {MOST_IN_WALK} images, not {n:,}.")


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


def _check_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.absolute().parent).free
    if size > free:
        raise CommandError(
            f"{path} would take {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free; take a smaller --n."
        )


def _write_picture(file: BinaryIO, pixels: "Iterator[Tensor]", n: int, sentence: str) -> None:
    import torch

    from prodgen.plots import tile

    save_png(file, tile(torch.cat(list(pixels)), min(n, 10)), sentence)


def _write_folder(
    folder: Path, pixels: "Iterator[Tensor]", n: int, condition: "Tensor | None", origin: Provenance
) -> None:
    """A PNG file a picture, numbered as they are drawn, in the subfolder of the class that was asked for."""
    from prodgen.plots import tile

    names, number = class_folders(origin.condition), 0
    for batch in pixels:
        for image in batch:
            vector = None if condition is None else condition[number]
            number += 1
            subfolder = folder / names.get(origin.label(vector), "")
            subfolder.mkdir(exist_ok=True)
            with (subfolder / f"{number:0{len(str(n))}}.png").open("xb") as file:
                save_png(file, tile(image[None], 1), origin.sentence(f"picture {number} of {n}", vector))


def class_folders(condition: "Condition | None") -> dict[str, str]:
    """{class: a folder's name for it that every system takes, another for each}."""
    from prodgen.data import LABEL

    names: dict[str, str] = {}
    classes = [f.values for f in condition.factors if f.name == LABEL] if condition else []
    for name in (name for values in classes for name in values):
        plain = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "-", name).strip(". ")[:60] or "class"
        taken, number, folder = {one.casefold() for one in names.values()}, 2, plain
        while folder.casefold() in taken:
            folder, number = f"{plain}-{number}", number + 1
        names[name] = folder
    return names


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    try:
        with write_folder_whole(path) as folder:
            yield folder
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
