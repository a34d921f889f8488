"""A hundred faces that scikit-image ships, and Labeled Faces in the Wild, whence they come.

These are press photographs of people who were not asked (Huang et al., 2007). Use them to learn from, publish
no likeness, and read what chapter 4.3 says of consent before using any set of faces.
"""

import hashlib

import numpy as np
import torch
from torch.nn.functional import interpolate

from prodgen.data.cache import cache_dir
from prodgen.data.dataset import ImageDataset
from prodgen.data.info import DataInfo
from prodgen.errors import DataError

# Places in scikit-image's array: first the faces, in random order, then patches of the photos' backgrounds.
SPLITS = {"train": slice(0, 70), "test": slice(70, 100), "not-faces": slice(100, 200)}
SHA256 = "4621670220ef7f4ca9261a20601e1aaa9d7d4275b6535ce42cd1abed1b185953"  # of its pixels as bytes

INFO = DataInfo(
    name="faces",
    title="A hundred faces, and as many patches that are none, from Labeled Faces in the Wild",
    licence="none stated: press photographs collected for research, of people who were not asked",
    source="https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.lfw_subset",
    image_size=28,
    channels=1,
    images={split: len(range(200)[places]) for split, places in SPLITS.items()},
)
LFW_SOURCE = "http://vis-www.cs.umass.edu/lfw/"
LFW_MIDDLE = slice(75, 175)  # of 250 pixels either way: about the part that the hundred show


def load(split: str) -> ImageDataset:
    """Split "train" (70 faces), "test" (30) or "not-faces" (100), without classes; nothing is fetched.

    25 pixels a side, interpolated to 28. A person may occur more than once, in both splits too.
    Raises DataError where scikit-image ships other pixels than those that the book was written with.
    """
    if split not in SPLITS:
        raise DataError(f"{INFO.name} has no split {split!r}; it has: {', '.join(SPLITS)}.")
    from skimage.data import lfw_subset  # here, because not everyone who loads photos needs it

    pixels = lfw_subset()
    if pixels.dtype != np.uint8:
        pixels = np.round(255 * pixels).astype(np.uint8)
    if hashlib.sha256(pixels.tobytes()).hexdigest() != SHA256:
        raise DataError(
            "scikit-image's lfw_subset is not the one that this package knows; install scikit-image 0.26."
        )
    small = torch.from_numpy(pixels[SPLITS[split]]).float()[:, None]
    images = interpolate(small, (INFO.image_size, INFO.image_size), mode="bilinear").round().to(torch.uint8)
    return ImageDataset(INFO.name, split, images, INFO.licence, INFO.source)


def load_lfw(download: bool = True) -> ImageDataset:
    """All 13,233 photos of Labeled Faces in the Wild, their middle at 28 pixels, grey: split "all".

    The hundred of `load` are among them. scikit-learn's loader fetches some 230 MB, once, into the cache.
    Raises DataError where it cannot, or may not, with what to do.
    """
    from sklearn.datasets import fetch_lfw_people

    folder = cache_dir()
    try:
        people = fetch_lfw_people(
            data_home=folder, slice_=(LFW_MIDDLE, LFW_MIDDLE), resize=INFO.image_size / 100, color=False,
            download_if_missing=download, n_retries=1,
        )  # fmt: skip
    except OSError as error:  # no network, no file, or no room
        raise DataError(
            f"Labeled Faces in the Wild cannot be had ({' '.join(str(error).split())}). Connect this machine "
            "to a network, or put lfw-funneled.tgz, pairs.txt, pairsDevTrain.txt and pairsDevTest.txt into "
            f"{folder / 'lfw_home'}."
        ) from None
    images = torch.from_numpy(np.round(255 * people.images).astype(np.uint8))[:, None]
    return ImageDataset("lfw", "all", images, INFO.licence, LFW_SOURCE)
