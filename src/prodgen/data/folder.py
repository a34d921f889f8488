"""A folder of one's own images: found, decoded once, and memory-mapped from the cache ever after.

Classes: the first level of subfolders; a folder with images outside any subfolder has none.
Splits: DIR/train, and as "test" the first of DIR/test, DIR/validation, DIR/val (what lies beside these is
then left out); else every tenth image in the order of a hash of its path is "test".  "all" is everything.
"""

import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil, prod
from pathlib import Path
from stat import S_ISREG

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError

from prodgen.data.cache import cache_dir, map_bytes, write_cache
from prodgen.data.dataset import DataError, ImageDataset

IMAGE_SIZES = (28, 32, 64)
CROPS = ("letterbox", "centre")
SPLITS = ("train", "test", "all")
HELD_OUT = ("test", "validation", "val")
ARCHIVES = frozenset(".zip .tar .gz .tgz .bz2 .xz .7z .rar".split())
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .gif .tif .tiff .avif .jp2 .ppm .pgm .heic .heif".split()
)
# A file that Pillow would hand to another program, such as PostScript, is not opened whatever its name.
Image.init()
FORMATS = [name for name in "JPEG PNG WEBP BMP GIF TIFF AVIF JPEG2000 PPM HEIF".split() if name in Image.OPEN]
TURNS = {  # EXIF orientation -> what turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DECODER = 1  # to be raised whenever decode() comes to give other pixels: it makes older caches unused
GAP = 3  # an image is brought to this many times its final size quickly, from there by the best filter
CHUNK = 1024  # decoded images held in memory at a time


def load(root: Path, split: str, image_size: int | None, channels: int, crop: str) -> ImageDataset:
    """The images below `root`, uint8 (N, channels, image_size, image_size), sorted by path in each split.

    Files that cannot be read are left out and named on stderr.  Raises DataError where no image is left,
    where `root` is a file, or where an argument will not do.
    """
    _check(root, split, image_size, channels, crop)
    root = root.absolute()
    stamps, unreadable, others = _scan(root)
    train, test, rest, depth = _arrange(sorted(stamps))
    files = train + test + rest  # each split is a slice of the cached array
    key = json.dumps([str(root), sorted(stamps.items()), image_size, channels, crop, DECODER])
    cache = cache_dir() / "folders" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    if (cached := _read_cache(cache)) is None:
        _fill_cache(cache, root, files, image_size, channels, crop)
        cached = _read_cache(cache)
    images, broken = cached
    named = [f"{file} ({why})" for file, why in sorted((unreadable | broken).items())]
    if named:
        _say(f"{len(named):,} files of {root} cannot be read and are left out: {_some(named)}")
    train, test, files = ([file for file in part if file not in broken] for part in (train, test, files))
    if not files:
        found = _some(named + sorted(others)) or "nothing"
        raise DataError(f"{root} has no image that can be read, such as a .jpg or .png (found: {found}).")
    ends = {"train": (0, len(train)), "test": (len(train), len(train) + len(test)), "all": (0, len(files))}
    part = slice(*ends[split])
    if not files[part]:
        raise DataError(f'{root} has too few images ({len(files)}) for a split "{split}"; use split "all".')
    labels, class_names = _classes(files, depth, root)
    return ImageDataset(
        name=root.name,
        split=split,
        images=torch.from_numpy(images[part]),
        labels=None if labels is None else labels[part],
        class_names=class_names,
        licence="not stated",
        source=str(root),
    )


def _check(root: Path, split: str, image_size: int | None, channels: int, crop: str) -> None:
    if os.path.isfile(root):
        what = "an archive: unpack it and" if root.suffix.lower() in ARCHIVES else "a file:"
        raise DataError(f"{root} is {what} give the folder that holds the images.")
    if image_size not in IMAGE_SIZES:
        raise DataError(f"A folder of images needs an image size of 28, 32 or 64 pixels, not {image_size}.")
    if channels not in (1, 3):
        raise DataError(f"Images have 1 channel (grey) or 3 (colour), not {channels}.")
    if crop not in CROPS:
        raise DataError(f"There is no crop {crop!r}; there are: {', '.join(CROPS)}.")
    if split not in SPLITS:
        raise DataError(f"A folder of images has no split {split!r}; it has: {', '.join(SPLITS)}.")


def _scan(root: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str], list[str]]:
    """What lies below `root`, hidden things aside, each real folder once: {image file: size, time and mode},
    {unreadable file or folder: why}, [files of other kinds]."""
    stamps, unreadable, others = {}, {}, []

    def blocked(error: OSError) -> None:
        unreadable[Path(error.filename).relative_to(root).as_posix()] = error.strerror

    visited = {os.path.realpath(root)}
    for folder, subfolders, names in os.walk(root, onerror=blocked, followlinks=True):
        real = {name: os.path.realpath(os.path.join(folder, name)) for name in sorted(subfolders)}
        subfolders[:] = [name for name in real if not _hidden(name) and real[name] not in visited]
        visited.update(real[name] for name in subfolders)
        for path in (Path(folder, name) for name in names if not _hidden(name)):
            file = path.relative_to(root).as_posix()
            if path.suffix.lower() not in SUFFIXES:
                others.append(file)
                continue
            try:
                status = path.stat()
            except OSError as error:
                unreadable[file] = error.strerror
                continue
            if S_ISREG(status.st_mode):
                stamps[file] = status.st_size, status.st_mtime_ns, status.st_mode
            else:
                unreadable[file] = "not a file"
    return stamps, unreadable, others


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _arrange(files: Sequence[str]) -> tuple[list[str], list[str], list[str], int]:
    """The files of "train", of "test" and of neither, and how many leading folders of a path are no class."""
    top = {"": []}
    for file in files:
        top.setdefault(file.split("/")[0].lower() if "/" in file else "", []).append(file)
    depth = int("train" in top)
    train = top["train"] if depth else files
    test, *rest = [top[name] for name in HELD_OUT if depth and name in top] or [[]]
    if not test:
        ranked = sorted(train, key=lambda file: hashlib.sha256(os.fsencode(file)).digest())
        train, test = sorted(set(ranked) - set(ranked[9::10])), sorted(ranked[9::10])
    return train, test, [file for part in rest for file in part], depth


def _classes(files: Sequence[str], depth: int, root: Path) -> tuple[torch.Tensor | None, tuple[str, ...]]:
    parts = [file.split("/")[depth:] for file in files]
    if loose := sum(len(part) == 1 for part in parts):
        if loose < len(files):
            _say(f"{loose:,} images of {root} are in no subfolder, so it counts as without classes")
        return None, ()
    names = sorted({part[0] for part in parts})
    number = {name: i for i, name in enumerate(names)}
    return torch.tensor([number[part[0]] for part in parts]), tuple(names)


def _read_cache(cache: Path) -> tuple[np.ndarray, dict[str, str]] | None:
    """The memory-mapped images and {file that is not among them: why}; None where the cache is not whole."""
    try:
        with cache.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, _ = np.lib.format.read_array_header_1_0(file)
            start, end = file.tell(), file.seek(prod(shape), os.SEEK_CUR)
            broken = json.load(file)
        return map_bytes(cache)[start:end].reshape(shape), broken
    except (OSError, ValueError):
        return None


def _fill_cache(cache: Path, root: Path, files: list[str], image_size: int, channels: int, crop: str) -> None:
    """Decodes `files` in their order into a .npy file, behind whose array stands, as JSON, what was not to be
    decoded and why.  One file, so that processes at work on the same folder cannot mix their results."""
    broken = {}

    def attempt(file: str) -> np.ndarray | str:
        try:
            return decode(root / file, image_size, channels, crop)
        except UnidentifiedImageError:
            return "no image format that Pillow reads"
        except Exception as error:  # Pillow's readers raise whatever a broken file makes them stumble over
            return getattr(error, "strerror", None) or str(error) or type(error).__name__

    def write_header(rows: int) -> None:  # NumPy pads it to one length, whatever the number of rows
        shape = (rows, channels, image_size, image_size)
        np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})

    terminal = sys.stderr.isatty()
    shown = time.monotonic()
    with (
        write_cache(cache) as out,
        # Threads, not processes: Pillow lets others run while it decodes, and a notebook can start them.
        ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool,
        warnings.catch_warnings(action="ignore"),  # about metadata round a sound picture
    ):
        write_header(len(files))
        for done, file in enumerate(files):
            if done % CHUNK == 0:
                results = pool.map(attempt, files[done : done + CHUNK])
            pixels = next(results)
            if isinstance(pixels, str):
                broken[file] = pixels
            else:
                out.write(pixels.tobytes())
            last = done + 1 == len(files)
            if last or time.monotonic() - shown > (0.2 if terminal else 10):
                shown = time.monotonic()
                progress = f"decoding {root} once: {done + 1:,} of {len(files):,} images"
                _say(progress, end="\r" if terminal and not last else "\n")
        out.write(json.dumps(broken).encode())
        out.seek(0)
        write_header(len(files) - len(broken))


def decode(path: Path, image_size: int, channels: int, crop: str) -> np.ndarray:
    """One image file -> uint8 (channels, image_size, image_size): upright, transparency on white.

    crop "letterbox" shows the whole image with white bars, "centre" fills the square with its middle.
    Raises what Pillow raises on a bad file, and ValueError for pixels whose white is unknown.
    """
    mode = "L" if channels == 1 else "RGB"
    longest = max if crop == "letterbox" else min
    with Image.open(path, formats=FORMATS) as image:
        scale = GAP * image_size / longest(image.size)  # JPEG can be decoded at 1/2, 1/4 or 1/8 of its size
        image.draft(mode, tuple(ceil(scale * side) for side in image.size))
        turn = TURNS.get(_orientation(image))
        flat = _flat(image, mode)
    width, height = flat.size
    if crop == "letterbox":
        scale = image_size / max(width, height)
        size = max(1, round(scale * width)), max(1, round(scale * height))
        inner = flat.resize(size, Image.Resampling.LANCZOS, reducing_gap=GAP)
        square = Image.new(mode, (image_size, image_size), "white")
        square.paste(inner, ((image_size - size[0]) // 2, (image_size - size[1]) // 2))
    else:
        left, top = max(0, width - height) / 2, max(0, height - width) / 2
        box = (left, top, width - left, height - top)
        square = flat.resize((image_size, image_size), Image.Resampling.LANCZOS, box, reducing_gap=GAP)
    pixels = np.atleast_3d(np.asarray(square if turn is None else square.transpose(turn)))
    return pixels.transpose(2, 0, 1)


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata round a sound picture
        return None


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """Any Pillow mode -> "L" or "RGB"."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known white")
    if image.mode.startswith("I"):  # 16 bits: 65535 is white
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("32-bit pixels have no known white")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert(mode)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _say(what: str, end: str = "\n") -> None:
    print(f"prodgen: {what}", end=end, file=sys.stderr, flush=True)
