"""Patches of one retina and of one tissue section, two pictures that scikit-image ships.

One eye and one colon: they show how a method works, and nothing about patients. Whether the section is of
healthy tissue, its documentation does not say; "normal" means here that nobody has pasted anything into it.
"""

import hashlib
from importlib.resources import files
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from prodgen.data.condition import LABEL, Condition
from prodgen.data.dataset import ImageDataset
from prodgen.data.info import DataInfo
from prodgen.errors import DataError

SIZE = 32  # pixels a side
# Each picture's file in scikit-image with its SHA-256, and how many pixels lie between neighbouring patches.
PICTURES = {
    "retina": ("retina.jpg", "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6", 8),
    "tissue": ("ihc.png", "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef", 4),
}
# The rows, as parts from the top, that a split's patches lie in as a whole: no two splits share a pixel.
SPLITS = {"train": (0, 1 / 2), "validation": (1 / 2, 2 / 3), "test": (2 / 3, 1)}
DARK = 25  # of 255: a retina's photo is black around the eye

INFO = DataInfo(
    name="medical",
    title="Patches of a retina, and of a section of a colon stained for the protein FHL2",
    licence="retina: CC0, by Mikael Häggström (2014); tissue: no known copyright restrictions",
    source="https://scikit-image.org/docs/stable/api/skimage.data.html",
    image_size=SIZE,
    channels=3,
    images={"train": 3960, "validation": 1062, "test": 2128},
    class_names=tuple(PICTURES),
)


def picture(name: str) -> Tensor:
    """A whole picture, "retina" or "tissue", at half its size: uint8 (3, H, W).

    Raises DataError where scikit-image ships another file than the one that the book was written with.
    """
    file, sha256, _ = PICTURES[name]
    try:
        content = (files("skimage.data") / file).read_bytes()
    except FileNotFoundError:
        content = b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"scikit-image's {file} is not the one that this package knows; install scikit-image 0.26."
        )
    with Image.open(BytesIO(content)) as opened:
        return torch.from_numpy(np.array(opened.convert("RGB").reduce(2))).permute(2, 0, 1)


def load(split: str) -> ImageDataset:
    """Split "train" (the upper half), "validation" (a sixth below it) or "test" (the lowest third).

    Patches of 32 pixels, RGB, classes "retina" and "tissue". Within a split they overlap, so there is far
    less to learn from than their number says. Nothing is fetched.  Raises DataError as `picture` does.
    """
    if split not in SPLITS:
        raise DataError(f"{INFO.name} has no split {split!r}; it has: {', '.join(SPLITS)}.")
    patches, labels = [], []
    for label, (name, (_, _, step)) in enumerate(PICTURES.items()):
        pixels = picture(name)
        first, end = (round(part * pixels.shape[1]) for part in SPLITS[split])
        cut = pixels[:, first:end].unfold(1, SIZE, step).unfold(2, SIZE, step)
        cut = cut.permute(1, 2, 0, 3, 4).flatten(0, 1)
        bright = cut.float().mean(dim=1).flatten(1).amin(dim=1) > DARK
        patches.append(cut[bright])
        labels.append(torch.full((int(bright.sum()),), label))
    images, factors = torch.cat(patches), {LABEL: torch.cat(labels)}
    condition = Condition.of_classes(INFO.class_names)
    return ImageDataset(INFO.name, split, images, INFO.licence, INFO.source, factors, condition)
