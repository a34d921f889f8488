"""Data sets: every one arrives as an ImageDataset.

load("fashion-mnist", "test").batch(slice(0, 64)) is a float32 tensor (64, 1, 28, 28) in [-1, 1].
"""

import os
from dataclasses import dataclass
from pathlib import Path

from prodgen.data import faces, fashion_mnist, folder
from prodgen.data.dataset import DataError, ImageDataset, to_float, to_uint8

__all__ = ["DataError", "DataInfo", "ImageDataset", "describe", "load", "names", "to_float", "to_uint8"]


@dataclass(frozen=True)
class DataInfo:
    """What is known of a data set before it is fetched.  images: how many in each split."""

    name: str
    title: str
    licence: str
    source: str
    image_size: int
    channels: int
    images: dict[str, int]
    class_names: tuple[str, ...]


INFO = {
    fashion_mnist.NAME: DataInfo(
        name=fashion_mnist.NAME,
        title="Fashion-MNIST: Zalando's product photos",
        licence=fashion_mnist.LICENCE,
        source=fashion_mnist.SOURCE,
        image_size=28,
        channels=1,
        images={"train": 60_000, "test": 10_000},
        class_names=fashion_mnist.CLASS_NAMES,
    ),
    faces.NAME: DataInfo(
        name=faces.NAME,
        title="A hundred faces, and as many patches that are none, from Labeled Faces in the Wild",
        licence=faces.LICENCE,
        source=faces.SOURCE,
        image_size=faces.SIZE,
        channels=1,
        images={split: len(range(200)[places]) for split, places in faces.SPLITS.items()},
        class_names=(),
    ),
}
_LOAD = {fashion_mnist.NAME: fashion_mnist.load, faces.NAME: faces.load}


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name."""
    return tuple(INFO)


def describe(name: str) -> DataInfo:
    """What is known of a data set.  Raises DataError where the name is none of names()."""
    if name not in INFO:
        raise DataError(f"There is no data set {name!r}; known: {', '.join(names())}.")
    return INFO[name]


def load(
    name_or_path: str | os.PathLike,
    split: str = "train",
    *,
    image_size: int | None = None,
    channels: int = 3,
    crop: str = "letterbox",
) -> ImageDataset:
    """A data set by name (one of names()), or the images of a folder.

    split: "train" or "test"; a folder has "all" too, the faces have "not-faces".
    image_size: 28, 32 or 64 for a folder; the named sets have 28 and need none.
    channels, crop: for a folder.  1 or 3; "letterbox" (the whole image on white) or "centre" (its middle).
    Raises DataError, whose message says what to do.
    """
    if name_or_path in INFO:
        info = INFO[name_or_path]
        if image_size not in (None, info.image_size):
            raise DataError(f"{info.name} comes at {info.image_size} pixels only, not {image_size}.")
        return _LOAD[info.name](split)
    path = os.path.expanduser(name_or_path)
    if not os.path.exists(path):
        raise DataError(f"{str(name_or_path)!r} is neither a data set ({', '.join(names())}) nor a folder.")
    return folder.load(Path(path), split, image_size, channels, crop)
