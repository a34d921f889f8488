"""Data sets: every one arrives as an ImageDataset.

load("fashion-mnist", "test").batch(slice(0, 64)) is a float32 tensor (64, 1, 28, 28) in [-1, 1].
"""

import os
from collections.abc import Callable
from pathlib import Path

from prodgen.data import clothing, faces, fashion_mnist, folder, medical, studio
from prodgen.data.condition import LABEL, Condition, Factor
from prodgen.data.dataset import ImageDataset, Shuffled, to_float, to_uint8, without_padding
from prodgen.data.info import DataInfo
from prodgen.errors import DataError

__all__ = [
    "LABEL",
    "Condition",
    "DataError",
    "DataInfo",
    "Factor",
    "ImageDataset",
    "Shuffled",
    "describe",
    "load",
    "names",
    "to_float",
    "to_uint8",
    "without_padding",
]


_SETS = {module.INFO.name: module for module in (fashion_mnist, clothing, faces, studio, medical)}


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name."""
    return tuple(_SETS)


def describe(name: str) -> DataInfo:
    """What is known of a data set.  Raises DataError where the name is none of names()."""
    if name not in _SETS:
        raise DataError(f"There is no data set {name!r}; known: {', '.join(names())}.")
    return _SETS[name].INFO


def load(
    name_or_path: str | os.PathLike,
    split: str = "train",
    *,
    image_size: int | None = None,
    channels: int = 3,
    crop: str = "letterbox",
    report: Callable[[str], None] | None = None,
) -> ImageDataset:
    """A data set by name (one of names()), or the images of a folder.

    split: "train" or "test"; a folder has "all" too, the faces "not-faces", the clothing
        photos and the medical patches "validation".
    image_size: one of presets.IMAGE_SIZES for a folder; a named set has its own and needs none.
    channels, crop: for a folder.  1 or 3; "letterbox" (the whole image on white) or "centre" (its middle).
    report: is told in one line how many images there are and how many are held out, the classes, and what of
        a folder is left out and why. Without it a folder's left-out files are named on stderr.
    Raises DataError, whose message says what to do.
    """
    if name_or_path in _SETS:
        info = describe(name_or_path)
        if os.path.isdir(info.name):
            raise DataError(
                f"{info.name!r} is a data set, and there is a folder of that name here: write "
                f"'./{info.name}' for the folder; for the data set, rename the folder or work elsewhere."
            )
        if image_size not in (None, info.image_size):
            raise DataError(f"{info.name} comes at {info.image_size} pixels only, not {image_size}.")
        if report:
            counts = ", ".join(f"{count:,} {part}" for part, count in info.images.items())
            report(f"{info.name}: images: {counts}; classes: {', '.join(info.class_names) or 'none'}")
        return _SETS[info.name].load(split)
    path = os.path.expanduser(name_or_path)
    if not os.path.exists(path):
        raise DataError(f"{str(name_or_path)!r} is neither a data set ({', '.join(names())}) nor a folder.")
    return folder.load(Path(path), split, image_size, channels, crop, report)
