"""Fashion-MNIST: Zalando's product photos, 28x28 grey, 60,000 to train and 10,000 to test (Xiao et al. 2017).

The cache holds the four published files decompressed: a short header, then one byte a pixel or a label.
So one pinned SHA-256 a file serves twice: for what is fetched (upstream's and Debian's .gz differ in their
gzip headers, not in their contents) and for the cached file that is memory-mapped.
"""

import gzip
import hashlib
import os
import sys
import urllib.request
from pathlib import Path

import torch

from prodgen.data.cache import cache_dir, map_bytes, write_cache
from prodgen.data.condition import LABEL, Condition
from prodgen.data.dataset import ImageDataset
from prodgen.data.info import DataInfo
from prodgen.errors import DataError

NAME = "fashion-mnist"
INFO = DataInfo(
    name=NAME,
    title="Fashion-MNIST: Zalando's product photos",
    licence="MIT",
    source="https://github.com/zalandoresearch/fashion-mnist",
    image_size=28,
    channels=1,
    images={"train": 60_000, "test": 10_000},
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
)
PREFIX = {"train": "train", "test": "t10k"}  # of the published files of a split
SHA256 = {  # of the decompressed files
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
PACKAGE = "dataset-fashion-mnist"
PACKAGE_FILES = Path(f"/var/lib/dpkg/info/{PACKAGE}.list")  # what Debian has installed of it, one path a line
NETWORK_TIMEOUT = 10  # seconds without an answer after which a server counts as out of reach


def load(split: str) -> ImageDataset:
    """Split "train" (60,000) or "test" (10,000), memory-mapped from the cache, which is filled if need be.

    Raises DataError where the data can be had in no way; its message names every way.
    """
    if split not in PREFIX:
        raise DataError(f"{NAME} has no split {split!r}; it has: {', '.join(PREFIX)}.")
    folder = cache_dir() / NAME
    files = [folder / f"{PREFIX[split]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
    if not all(map(_is_sound, files)):
        _fill_cache(folder)
    images, labels = (torch.from_numpy(map_bytes(file)) for file in files)
    return ImageDataset(
        name=NAME,
        split=split,
        images=images[16:].view(-1, 1, 28, 28),  # 16 and 8 bytes: the headers
        licence=INFO.licence,
        source=INFO.source,
        factors={LABEL: labels[8:].to(torch.int64)},
        condition=Condition.of_classes(INFO.class_names),
    )


def _is_sound(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == SHA256[path.name]
    except OSError:
        return False


def _fill_cache(folder: Path) -> None:
    """Writes the four files from the first source that has them whole; a bad file there is replaced."""
    failures = []
    for title, source in SOURCES:
        try:
            archives = source()
            contents = {name: _checked(name, archives[name]) for name in SHA256}
        except Exception as error:  # whatever is wrong with one source, the next may do
            failures.append(f"  {title}: {' '.join(str(error).split()) or type(error).__name__}")
            continue
        for name, content in contents.items():
            with write_cache(folder / name) as file:
                file.write(content)
        return
    raise DataError(
        "Fashion-MNIST cannot be found. Do one of these: connect this machine to a network; or set "
        f"PRODGEN_DATA to a folder with the files {', '.join(f'{name}.gz' for name in SHA256)}; or, on "
        f"Debian or Ubuntu, apt-get install {PACKAGE}. What was tried:\n" + "\n".join(failures)
    )


def _checked(name: str, archive: bytes) -> bytes:
    content = gzip.decompress(archive)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise DataError(f"{name}.gz is not the published file (its SHA-256 is another)")
    return content


# Each source returns {name: bytes of NAME.gz}, or raises what keeps it from doing so.


def _from_prodgen_data() -> dict[str, bytes]:
    if not os.environ.get("PRODGEN_DATA"):
        raise DataError("not set")
    root = Path(os.environ["PRODGEN_DATA"]).expanduser()
    for folder in (root, root / NAME, root / "FashionMNIST" / "raw"):
        if all((folder / f"{name}.gz").exists() for name in SHA256):
            return {name: (folder / f"{name}.gz").read_bytes() for name in SHA256}
    raise DataError(f"the four files are not in {root}, nor in fashion-mnist/ or FashionMNIST/raw/ in it")


def _from_installed_package() -> dict[str, bytes]:
    if not PACKAGE_FILES.exists():
        raise DataError("not installed")
    paths = [Path(line) for line in PACKAGE_FILES.read_text().splitlines() if line.endswith("-ubyte.gz")]
    return {path.stem: path.read_bytes() for path in paths}


def _from_torchvision_mirrors() -> dict[str, bytes]:
    # torchvision's own downloader has no timeout and draws progress bars, so only its list is used.
    from torchvision.datasets import FashionMNIST  # here, because it takes seconds to import

    print(f"{NAME}: downloading 30 MB", file=sys.stderr, flush=True)
    failure = None
    for mirror in FashionMNIST.mirrors:
        try:
            return {name: _download(f"{mirror}{name}.gz") for name in SHA256}
        except OSError as error:
            failure = error
    raise DataError(f"no answer ({failure})")


def _download(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=NETWORK_TIMEOUT) as answer:
        return answer.read()


SOURCES = (
    ("$PRODGEN_DATA", _from_prodgen_data),
    (f"installed package {PACKAGE}", _from_installed_package),
    ("torchvision's mirrors", _from_torchvision_mirrors),
)
