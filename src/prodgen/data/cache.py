"""The cache folder, and files that appear in it whole or not at all."""

import mmap
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from prodgen.data.dataset import DataError


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
def write_whole(path: Path) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends well, and leaves nothing when it does not.

    Each writer has a file of its own in the same folder and renames it at the end, so processes that
    write at once do not disturb one another, nor those that have the old file mapped.
    Raises DataError where the folder cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise DataError(
            f"Cannot write to the data cache {path.parent} ({error.strerror or error}); make room, "
            "or set PRODGEN_CACHE to a folder that you may write to."
        ) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)
