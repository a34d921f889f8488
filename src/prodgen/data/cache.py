"""The cache folder, and how its files are written and mapped."""

import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from prodgen.data.dataset import DataError
from prodgen.files import write_whole


def cache_dir() -> Path:
    """$PRODGEN_CACHE, else $XDG_CACHE_HOME/prodgen, else ~/.cache/prodgen.  Need not exist yet."""
    if chosen := os.environ.get("PRODGEN_CACHE"):
        return Path(chosen).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(xdg if os.path.isabs(xdg) else os.path.expanduser("~/.cache")) / "prodgen"
    if not folder.is_absolute():
        raise DataError("There is no home folder for the data cache; set PRODGEN_CACHE to a folder.")
    return folder


def map_bytes(path: Path) -> np.ndarray:
    """The bytes of a file, uint8 (length,), read from disk as they are used; writes stay in this process.

    Raises OSError, or ValueError for an empty file.
    """
    with path.open("rb") as file:
        if sys.platform == "linux":
            # np.memmap's mode "c" reserves memory for the whole file, which must then be smaller than memory.
            flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000)  # Python has the name from 3.13
            mapped = mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        else:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return np.frombuffer(mapped, np.uint8)


@contextmanager
def write_cache(path: Path) -> Iterator[BinaryIO]:
    """As `files.write_whole`, in a folder that is made if need be.

    Raises DataError where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as file:
            yield file
    except OSError as error:
        raise DataError(
            f"Cannot write to the data cache {path.parent} ({error.strerror or error}); make room, "
            "or set PRODGEN_CACHE to a folder that you may write to."
        ) from error
