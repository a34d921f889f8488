"""Fashion-MNIST: Zalando's product photos, 28x28 grey, 60,000 to train and 10,000 to test (Xiao et al. 2017).

The cache holds the four published files decompressed: a short header, then one byte a pixel or a label.  So one
pinned SHA-256 a file serves twice: for what is fetched (upstream's and Debian's .gz differ in their gzip
headers, not in their contents) and for the cached file that is memory-mapped.
"""

import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from prodgen.data.cache import cache_dir, write_whole
from prodgen.data.dataset import DataError, ImageDataset

NAME = "fashion-mnist"
LICENCE = "MIT"
SOURCE = "https://github.com/zalandoresearch/fashion-mnist"
CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
IMAGES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
LABELS = {"train": "train-labels-idx1-ubyte", "test": "t10k-labels-idx1-ubyte"}
SHA256 = {  # of the decompressed files
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
PACKAGE = "dataset-fashion-mnist"
NETWORK_TIMEOUT = 10  # seconds without an answer after which a mirror counts as out of reach


def load(split: str) -> ImageDataset:
    """Split "train" (60,000) or "test" (10,000), memory-mapped from the cache, filled first if need be.

    Raises DataError where the data can be had in no way; its message names every way.
    """
    if split not in IMAGES:
        raise DataError(f"{NAME} has no split {split!r}; it has: {', '.join(IMAGES)}.")
    folder = cache_dir() / NAME
    wanted = [folder / IMAGES[split], folder / LABELS[split]]
    if not all(map(_is_sound, wanted)):
        _fill_cache(folder)
    images, labels = (np.memmap(path, dtype=np.uint8, mode="c") for path in wanted)
    return ImageDataset(
        name=NAME,
        split=split,
        images=torch.from_numpy(images[16:]).view(-1, 1, 28, 28),  # 16 and 8: the headers
        labels=torch.from_numpy(labels[8:]).to(torch.int64),
        class_names=CLASS_NAMES,
        licence=LICENCE,
        source=SOURCE,
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
            contents = {name: _checked(name, archive) for name, archive in source()}
            if missing := SHA256.keys() - contents.keys():
                raise DataError(f"has no {min(missing)}.gz")
        except Exception as error:  # whatever is wrong with one source, the next may do
            failures.append(f"  {title}: {' '.join(str(error).split()) or type(error).__name__}")
            continue
        for name, content in contents.items():
            with write_whole(folder / name) as file:
                file.write(content)
        return
    raise DataError(
        "Fashion-MNIST cannot be found. Do one of these: connect this machine to a network; or set PRODGEN_DATA "
        f"to a folder with the files {', '.join(f'{name}.gz' for name in SHA256)}; or, on Debian or Ubuntu, "
        f"install the package {PACKAGE}. What was tried:\n" + "\n".join(failures)
    )


def _checked(name: str, archive: bytes) -> bytes:
    content = gzip.decompress(archive)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise DataError(f"{name}.gz is not the published file (wrong SHA-256)")
    return content


# Each source yields (name, bytes of NAME.gz), or raises what keeps it from doing so.


def _from_prodgen_data() -> Iterator[tuple[str, bytes]]:
    chosen = os.environ.get("PRODGEN_DATA")
    if not chosen:
        raise DataError("not set")
    root = Path(chosen).expanduser()
    for folder in (root, root / NAME, root / "FashionMNIST" / "raw"):
        if any((folder / f"{name}.gz").exists() for name in SHA256):
            return _from_folder(folder)
    raise DataError(f"{root} holds no {min(SHA256)}.gz, nor do fashion-mnist/ and FashionMNIST/raw/ in it")


def _from_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    return ((name, (folder / f"{name}.gz").read_bytes()) for name in SHA256)


def _from_installed_package() -> Iterator[tuple[str, bytes]]:
    listing = _run("dpkg", "-L", PACKAGE).splitlines()
    archives = [Path(line) for line in listing if line.endswith("-ubyte.gz")]
    return ((path.stem, path.read_bytes()) for path in archives)


def _from_torchvision_mirrors() -> Iterator[tuple[str, bytes]]:
    from torchvision.datasets import FashionMNIST  # slow to import, and needed only here

    _say("downloading 30 MB")
    for name in SHA256:
        yield name, _download([f"{mirror}{name}.gz" for mirror in FashionMNIST.mirrors])


def _download(addresses: list[str]) -> bytes:
    for i, address in enumerate(addresses):
        try:
            with urllib.request.urlopen(address, timeout=NETWORK_TIMEOUT) as answer:
                return answer.read()
        except OSError:
            if i == len(addresses) - 1:
                raise
    raise DataError("torchvision lists no mirror")


def _from_debian() -> Iterator[tuple[str, bytes]]:
    """Debian's package, fetched and unpacked without root; with package lists of its own where need be."""
    with tempfile.TemporaryDirectory(prefix="prodgen-") as name:
        folder = Path(name)
        options = ["-q", "-o", "APT::Sandbox::User=root", "-o", f"Acquire::http::Timeout={NETWORK_TIMEOUT}"]
        _say("asking the package manager for 30 MB")
        try:
            _run("apt-get", *options, "download", PACKAGE, cwd=folder)
        except DataError:
            (folder / "lists" / "partial").mkdir(parents=True)
            (folder / "cache" / "archives" / "partial").mkdir(parents=True)
            options += ["-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
            options += ["-o", "Acquire::Languages=none"]
            _say("fetching the package lists first")
            try:
                _run("apt-get", *options, "update", cwd=folder)
            except DataError:
                pass  # one dead repository of several, or a hook that wants root: the download will tell
            _run("apt-get", *options, "download", PACKAGE, cwd=folder)
        package = next(folder.glob("*.deb"))
        _run("dpkg-deb", "-x", str(package), str(folder / "unpacked"))
        yield from ((path.stem, path.read_bytes()) for path in (folder / "unpacked").rglob("*-ubyte.gz"))


def _run(*command: str, cwd: Path | None = None) -> str:
    """Standard output of a program; DataError with its last words where it fails."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise DataError(done.stderr.strip()[-300:] or f"{command[0]}: exit status {done.returncode}")
    return done.stdout


def _say(what: str) -> None:
    print(f"fashion-mnist: {what}", file=sys.stderr, flush=True)


SOURCES: tuple[tuple[str, Callable[[], Iterator[tuple[str, bytes]]]], ...] = (
    ("$PRODGEN_DATA", _from_prodgen_data),
    (f"installed package {PACKAGE}", _from_installed_package),
    ("torchvision's mirrors", _from_torchvision_mirrors),
    (f"apt-get download {PACKAGE}", _from_debian),
)
