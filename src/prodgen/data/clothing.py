"""Clothing: colour photos of garments in ten classes, sent in by volunteers (Grigorev, 2020), CC0.

Two archives hold them. GitHub's has 3,068 photos to train, 341 to validate and 372 to test. Another of the
same layout may lie in $PRODGEN_DATA: the same photos made smaller, without the test part. `source` of what
is loaded says which it was. GitHub's archive is known by its names only, and was never loaded here.
"""

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch

from prodgen.data.cache import cache_dir, map_bytes, write_cache_folder
from prodgen.data.condition import LABEL, Condition
from prodgen.data.dataset import ImageDataset
from prodgen.data.folder.pixels import DECODER, decode
from prodgen.data.info import DataInfo
from prodgen.errors import DataError

FILE = "clothing-dataset-small.zip"
SHA256 = "95bd52c3f5e645fc5a288734efc77e7f86a89d4955b65e261dec0ad763c83bcc"  # of the smaller archive
COMMIT = "36364be1969242c019705255cd87aed00c73a939"  # of GitHub's, whose bytes depend on who packs them
# SHA-256 of the sorted paths of the two splits that both archives have.
NAMES = "51117a900ac13b6770f3b25f970b73d694853a797464c3579d3becefbf51b351"
INFO = DataInfo(
    name="clothing",
    title="Clothing: colour photos of garments, sent in by volunteers",
    licence="CC0",
    source="https://github.com/alexeygrigorev/clothing-dataset-small",
    image_size=64,
    channels=3,
    images={"train": 3_068, "validation": 341, "test": 372},
    class_names=(
        *("dress", "hat", "longsleeve", "outwear", "pants"),
        *("shirt", "shoes", "shorts", "skirt", "t-shirt"),
    ),
)
NETWORK_TIMEOUT = 10  # seconds without an answer after which a server counts as out of reach


def load(split: str) -> ImageDataset:
    """Split "train", "validation" or, from GitHub's archive alone, "test"; whole photos on white, at 64 px.

    Decoded once, then memory-mapped from the cache.  Raises DataError, which names every way to get the data.
    """
    if split not in INFO.images:
        raise DataError(f"{INFO.name} has no split {split!r}; it has: {', '.join(INFO.images)}.")
    failures = []
    for which, (title, fetch) in SOURCES.items():
        cache = cache_dir() / INFO.name / f"{which}-{DECODER}"
        try:
            if not cache.exists():
                _fill_cache(cache, fetch())
            images = map_bytes(cache / f"{split}-images").reshape(-1, INFO.channels, *[INFO.image_size] * 2)
            labels = map_bytes(cache / f"{split}-labels")
            if len(images) != len(labels) or len(labels) != INFO.images[split]:
                raise DataError(f"the cache {cache} is damaged: remove it")
        except Exception as error:  # whatever is wrong with one source, the next may do
            why = f"it has no split {split!r}" if isinstance(error, FileNotFoundError) else str(error)
            failures.append(f"  {title}: {why or type(error).__name__}")
            continue
        factors = {LABEL: torch.from_numpy(labels).to(torch.int64)}
        condition, source = Condition.of_classes(INFO.class_names), f"{INFO.source} ({title})"
        return ImageDataset(
            INFO.name, split, torch.from_numpy(images), INFO.licence, source, factors, condition
        )
    raise DataError(
        f"The split {split!r} of {INFO.name} cannot be found. Do one of these: connect this machine to a "
        f"network; or set PRODGEN_DATA to a folder with the archive {FILE}. What was tried:\n"
        + "\n".join(failures)
    )


def _fill_cache(cache: Path, archive: ZipFile) -> None:
    with archive, write_cache_folder(cache) as folder:
        for split, images, labels in _decoded(archive):
            (folder / f"{split}-images").write_bytes(images.tobytes())
            (folder / f"{split}-labels").write_bytes(bytes(labels))


def _decoded(archive: ZipFile) -> Iterator[tuple[str, np.ndarray, list[int]]]:
    """Each split of an archive: its name, pixels uint8 (N, 3, 64, 64) in the order of the paths, labels."""
    files = {tuple(name.split("/")[1:]): name for name in archive.namelist() if name.endswith(".jpg")}
    for split in INFO.images:
        if parts := sorted(path for path in files if path[0] == split):
            opened = (BytesIO(archive.read(files[path])) for path in parts)
            pixels = [decode(file, INFO.image_size, INFO.channels, "letterbox")[0] for file in opened]
            yield split, np.stack(pixels), [INFO.class_names.index(path[1]) for path in parts]


def _names(archive: ZipFile) -> str:
    paths = sorted(name.partition("/")[2] for name in archive.namelist() if name.endswith(".jpg"))
    return hashlib.sha256("\n".join(p for p in paths if not p.startswith("test/")).encode()).hexdigest()


# Each source returns the archive, or raises what keeps it from doing so.


def _from_prodgen_data() -> ZipFile:
    if not os.environ.get("PRODGEN_DATA"):
        raise DataError("not set")
    path = Path(os.environ["PRODGEN_DATA"]).expanduser() / FILE
    if not path.is_file():
        raise DataError(f"there is no {path}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{path} is not the archive that this package knows, or is cut off")
    return ZipFile(BytesIO(content))


def _from_github() -> ZipFile:
    with urllib.request.urlopen(f"{INFO.source}/archive/{COMMIT}.zip", timeout=NETWORK_TIMEOUT) as answer:
        content = answer.read()
    try:
        archive = ZipFile(BytesIO(content))
    except BadZipFile as error:
        raise DataError("what came is no whole archive") from error
    if archive.comment.decode(errors="replace") != COMMIT or _names(archive) != NAMES:
        raise DataError("what came is not the archive that this package knows")
    return archive


SOURCES = {
    "archive": (f"$PRODGEN_DATA's {FILE}, pictures made smaller", _from_prodgen_data),
    "github": (f"GitHub's archive, commit {COMMIT[:7]}", _from_github),
}
