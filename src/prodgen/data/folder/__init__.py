"""A folder of one's own images: found, decoded once, and memory-mapped from the cache ever after.

`layout` says which image is of which class, and which are held out. Split "all" is "train", "test", and what
further held-out folders hold.
"""

import hashlib
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import UnidentifiedImageError

from prodgen.data.cache import cache_dir, forget_old, map_bytes, write_cache_folder
from prodgen.data.condition import LABEL, Condition
from prodgen.data.dataset import ImageDataset
from prodgen.data.folder.layout import arrange, counted, readable
from prodgen.data.folder.pixels import CROPS, DECODER, FORMATS, decode
from prodgen.data.folder.scan import Found, copies, scan
from prodgen.errors import DataError
from prodgen.presets import IMAGE_SIZES

SPLITS = ("train", "test", "all")
ARCHIVES = frozenset(".zip .tar .gz .tgz .bz2 .xz .7z .rar".split())
NOTES = frozenset(".txt .csv .tsv .json .md .html .xml .yaml .yml .py .log .ini .db".split())  # no images
READERS = {"HEIF": "pillow-heif", "AVIF": "Pillow 11.3 or newer"}
CHUNK = 1024  # decoded images held in memory at a time


def load(
    root: Path,
    split: str,
    image_size: int | None,
    channels: int,
    crop: str,
    report: Callable[[str], None] | None,
) -> ImageDataset:
    """The images below `root`, uint8 (N, channels, image_size, image_size), sorted by path in each split.

    report: is told in one line what the folder holds: counts, classes, what is left out and why. Without it
        only what is left out or odd is said, on stderr.
    Raises DataError where no image is left, where `root` is a file, or where an argument will not do.
    """
    _check(root, split, image_size, channels, crop)
    root = root.absolute()
    found = scan(root)
    how = (image_size, channels, crop)
    key = json.dumps([sorted(found.stamps.items()), how, DECODER, FORMATS, PIL.__version__])
    source = _digest(str(root))[:16]
    cache = cache_dir() / "folders" / f"{source}-{_digest(key)[:32]}"
    was_there, cached = cache.exists(), _read_cache(cache)
    if cached is None or any(_attempt(root / file, how)[0] is not None for file in cached[1]["passing"]):
        if was_there:  # and not: if there is one now, which another process may have just made
            shutil.rmtree(cache, ignore_errors=True)
        _fill_cache(cache, root, found, how)
        forget_old(cache.parent, source)
        if (cached := _read_cache(cache)) is None:
            raise DataError(
                f"The data cache {cache} cannot be read back; set PRODGEN_CACHE to another folder."
            )
    images, about = cached
    remarks = about["remarks"] + _left_out(found.unreadable | about["broken"], found.others)
    n, train, test, names = len(images), about["train"], about["test"], tuple(about["class_names"])
    if report:
        per_class = np.bincount(about["labels"], minlength=len(names)).tolist() if names else []
        classes = counted(dict(zip(names, per_class, strict=True)))
        first = f"{readable(root.name)}: {n:,} images, {test:,} of them held out"
        report("; ".join([first, f"classes: {classes}" if names else "no classes", *remarks]))
    else:
        for remark in remarks:
            _say(f"{readable(str(root))}: {remark}")
    part = {"train": slice(0, train), "test": slice(train, train + test), "all": slice(0, n)}[split]
    if not n or part.start == part.stop:
        raise DataError(f'{root} has too few images ({n}) for a split "{split}"; use split "all".')
    return ImageDataset(
        name=readable(root.name),
        split=split,
        images=torch.from_numpy(images[part]),
        licence="not stated",
        source=readable(str(root)),
        factors={LABEL: torch.tensor(about["labels"][part])} if names else {},
        condition=Condition.of_classes(names) if names else None,
        content=None if about["content"] == [image_size] * 2 else tuple(about["content"]),
    )


def _check(root: Path, split: str, image_size: int | None, channels: int, crop: str) -> None:
    if os.path.isfile(root):
        what = "an archive: unpack it and" if root.suffix.lower() in ARCHIVES else "a file:"
        raise DataError(f"{root} is {what} give the folder that holds the images.")
    if image_size not in IMAGE_SIZES:
        *most, last = IMAGE_SIZES
        sizes = f"{', '.join(map(str, most))} or {last}"
        raise DataError(f"A folder of images needs an image size of {sizes} pixels, not {image_size}.")
    if channels not in (1, 3):
        raise DataError(f"Images have 1 channel (grey) or 3 (colour), not {channels}.")
    if crop not in CROPS:
        raise DataError(f"There is no crop {crop!r}; there are: {', '.join(CROPS)}.")
    if split not in SPLITS:
        raise DataError(f"A folder of images has no split {split!r}; it has: {', '.join(SPLITS)}.")


def _attempt(path: Path, how: tuple[int, int, str]) -> tuple[np.ndarray | None, str, tuple[int, int], bool]:
    """What `decode` gives; or None, why not, no size, and whether another time may do better."""
    try:
        return *decode(path, *how), False
    except UnidentifiedImageError:
        wanted = {".heic": "HEIF", ".heif": "HEIF", ".avif": "AVIF"}.get(path.suffix.lower())
        if wanted in READERS.keys() - set(FORMATS):
            return None, f"install {READERS[wanted]}, or convert it to .jpg", (0, 0), False
        return None, "no image format that Pillow reads", (0, 0), False
    except MemoryError:
        return None, "not enough memory", (0, 0), True
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them stumble over
        passing = isinstance(error, OSError) and error.errno is not None  # the disk's fault, not the file's
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return None, why, (0, 0), passing


def _read_cache(cache: Path) -> tuple[np.ndarray, dict[str, Any]] | None:
    """The memory-mapped images, those of "train" first, and what is known of them (`_fill_cache`).

    None where the cache is not whole.
    """
    try:
        about = json.loads((cache / "about.json").read_bytes())
        header = np.lib.format.open_memmap(cache / "images.npy", "r")
        images = map_bytes(cache / "images.npy")[header.offset :].reshape(header.shape)
    except (OSError, ValueError):
        return None
    with suppress(OSError):  # a cache of somebody else's
        os.utime(cache)
    return images, about


def _fill_cache(cache: Path, root: Path, found: Found, how: tuple[int, int, str]) -> None:
    """Decodes the images and writes them in the order of the layout.

    images.npy, and about.json: how many are of "train" and of "test", labels, what they have in common of
    padding, remarks, what is broken why.
    """
    with write_cache_folder(cache) as folder:
        rows, sizes, odd, broken, passing = _decode_all(folder / "decoded", root, sorted(found.stamps), how)
        if not rows:
            bad = sorted((found.unreadable | broken).items())
            named = [f"{readable(file)} ({why})" for file, why in bad] + sorted(map(readable, found.others))
            what = _some(named) or "nothing"
            raise DataError(f"{root} has no image that can be read, such as a .jpg or .png (found: {what}).")
        layout = arrange(list(rows), copies(root, list(rows), found))
        order = layout.train + layout.test + layout.rest
        image_size, channels, _ = how
        decoded = np.memmap(folder / "decoded", np.uint8, "r").reshape(-1, channels, image_size, image_size)
        with (folder / "images.npy").open("wb") as out:  # written, not mapped: a full disk is then an error
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(order), *decoded.shape[1:])}
            np.lib.format.write_array_header_1_0(out, header)
            for start in range(0, len(order), CHUNK):
                out.write(decoded[[rows[file] for file in order[start : start + CHUNK]]].tobytes())
            out.flush()
            os.fsync(out.fileno())
        del decoded
        (folder / "decoded").unlink()
        names = sorted({layout.classes[file] for file in order}) if layout.classes else []
        number = {name: i for i, name in enumerate(names)}
        about = {
            "train": len(layout.train),
            "test": len(layout.test),
            "labels": [number[layout.classes[file]] for file in order] if names else [],
            "class_names": names,
            "content": [max(sides) for sides in zip(*(sizes[file] for file in order), strict=True)],
            "remarks": layout.remarks + ([f"{len(odd):,} very dark: {_some(odd)}"] if odd else []),
            "broken": broken,
            "passing": passing,
        }
        (folder / "about.json").write_text(json.dumps(about))


def _decode_all(
    out_file: Path, root: Path, files: Sequence[str], how: tuple[int, int, str]
) -> tuple[dict[str, int], dict[str, tuple[int, int]], list[str], dict[str, str], list[str]]:
    """Writes the pixels of what can be decoded to a file, one image after the other.

    Returns {file: its place there}, {file: height and width without padding}, [odd ones], {broken file: why},
    [those of them to be tried again].
    """
    rows, sizes, odd, broken, passing = {}, {}, [], {}, []
    terminal, shown = sys.stderr.isatty(), time.monotonic()
    with (
        out_file.open("wb") as out,
        # Threads, not processes: Pillow lets others run while it decodes, and a notebook can start them.
        ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool,
        warnings.catch_warnings(action="ignore"),  # about metadata round a sound picture
    ):
        for done, file in enumerate(files):
            if done % CHUNK == 0:
                chunk = [root / file for file in files[done : done + CHUNK]]
                results = pool.map(_attempt, chunk, [how] * len(chunk))
            pixels, remark, size, again = next(results)
            if pixels is None:
                broken[file] = remark
                passing += [file] * again
            else:
                rows[file], sizes[file] = len(rows), size
                out.write(pixels.tobytes())
                odd += [f"{readable(file)} ({remark})"] if remark else []
            last = done + 1 == len(files)
            if last or time.monotonic() - shown > (0.2 if terminal else 10):
                shown = time.monotonic()
                progress = f"decoding {root} once: {done + 1:,} of {len(files):,} images"
                _say(progress, end="\r" if terminal and not last else "\n")
    return rows, sizes, odd, broken, passing


def _left_out(unreadable: dict[str, str], others: Sequence[str]) -> list[str]:
    """What is left out and why, with what to do."""
    remarks = []
    if unreadable:
        reasons = {}
        for file, why in sorted(unreadable.items()):
            reasons.setdefault(why, []).append(readable(file))
        most = sorted(reasons.items(), key=lambda reason: -len(reason[1]))
        named = _some([f"{_some(files)} ({why})" for why, files in most])
        remarks.append(f"{len(unreadable):,} files cannot be read and are left out: {named}")
    if named := [readable(file) for file in sorted(others) if Path(file).suffix.lower() not in NOTES]:
        advice = "rename images among them by their kind, such as .jpg, or convert them"
        remarks.append(f"{len(named):,} files of other kinds are left out ({advice}): {_some(named)}")
    return remarks


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _say(what: str, end: str = "\n") -> None:
    print(f"prodgen: {what}", end=end, file=sys.stderr, flush=True)
