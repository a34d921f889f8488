"""What lies below a folder: the images, what cannot be read, what is something else, and which are copies."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .webp .bmp .gif .tif .tiff .avif .jp2 .ppm .pgm .heic .heif".split()
)
SHADOWS = frozenset(  # beside those that begin with a dot: what systems keep of their own among photos
    "__macosx @eadir @recycle @tmp @__thumb #recycle #snapshot $recycle.bin lost+found".split()
)


@dataclass
class Found:
    """What lies below a folder, by path below it.

    stamps: {image file: its size, and what else changes when it does}; unreadable: {file or folder: why};
    others: files of other kinds.
    """

    stamps: dict[str, tuple[int, ...]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def scan(root: Path) -> Found:
    """What lies below `root`, hidden things aside, each real folder once."""
    found = Found()

    def blocked(error: OSError) -> None:
        found.unreadable[Path(error.filename).relative_to(root).as_posix()] = error.strerror

    visited = {os.path.realpath(root)}
    for folder, subfolders, names in os.walk(root, onerror=blocked, followlinks=True):
        real = {name: os.path.realpath(os.path.join(folder, name)) for name in sorted(subfolders)}
        subfolders[:] = [name for name in real if not _hidden(name) and real[name] not in visited]
        visited.update(real[name] for name in subfolders)
        for path in (Path(folder, name) for name in names if not _hidden(name)):
            file = path.relative_to(root).as_posix()
            if path.suffix.lower() not in SUFFIXES:
                found.others.append(file)
                continue
            try:
                status = path.stat()
            except OSError as error:
                found.unreadable[file] = error.strerror
                continue
            if S_ISREG(status.st_mode):
                # The time of the last change cannot be set back, as that of the last write can.
                found.stamps[file] = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
            else:
                found.unreadable[file] = "not a file"
    return found


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in SHADOWS


def copies(root: Path, files: Sequence[str], found: Found) -> dict[str, str]:
    """{file: the first with the same bytes}, of those that are not the only one; equal sizes are read."""
    size = {file: found.stamps[file][0] for file in files}
    common, alike = Counter(size.values()), {}
    for file in files:
        if common[size[file]] > 1:
            with suppress(OSError), (root / file).open("rb") as opened:
                alike.setdefault(hashlib.file_digest(opened, "sha256").digest(), []).append(file)
    return {file: group[0] for group in alike.values() if len(group) > 1 for file in group}
