"""The cache folder: how its files and folders are written, mapped and cleared away."""

import errno
import mmap
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from prodgen.errors import DataError
from prodgen.files import write_folder_whole, write_whole

KEPT = 4  # folders of one source
UNUSED = 60 * 24 * 3600  # seconds after which a folder goes, whatever its source
DEAD = 3600  # seconds without a write after which a half-written file or folder has lost its writer


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
    """As `files.write_whole`, in a folder that is made if need be, and cleared of what dead writers left.

    Raises DataError where it cannot be written.
    """
    with _writable(path.parent), write_whole(path) as file:
        yield file


@contextmanager
def write_cache_folder(path: Path) -> Iterator[Path]:
    """A folder to write to that becomes `path` when the block ends well, and leaves nothing when it does not.

    Where another process has made `path` meanwhile, that one stays.  Raises DataError as `write_cache`.
    """
    with _writable(path.parent):
        try:
            with write_folder_whole(path) as folder:
                yield folder
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def forget_old(folder: Path, source: str) -> None:
    """Removes all but the newest KEPT of the entries that begin with `source`, and what was long unused.

    Whoever uses an entry sets its time (`os.utime`).
    """
    kept, entries = 0, [path for path in folder.iterdir() if not path.name.startswith(".")]
    for path in sorted(entries, key=_last_write, reverse=True):
        kept += (of_source := path.name.startswith(source))
        if (of_source and kept > KEPT) or time.time() - _last_write(path) > UNUSED:
            _remove(path)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob(".*"):
            if time.time() - max(map(_last_write, [path, *path.glob("*")])) > DEAD:
                _remove(path)
        yield
    except OSError as error:
        raise DataError(
            f"Cannot write to the data cache {folder} ({error.strerror or error}); make room, "
            "or set PRODGEN_CACHE to a folder that you may write to."
        ) from error


def _last_write(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process has just removed it
        return time.time()


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):  # not a folder, or gone
        path.unlink()
