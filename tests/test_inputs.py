"""What people's own folders look like: each kind of input that tools like this one have got wrong."""

import os
import struct
import time
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from prodgen import data
from prodgen.data import cache, folder
from prodgen.data.condition import LABEL

RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)
BRICK = (200, 60, 40)  # in sRGB
BRICK_LINEAR = np.array([((c / 255 + 0.055) / 1.055) ** 2.4 for c in BRICK])


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def load(root: Path, split: str = "all") -> tuple[data.ImageDataset, str]:
    """The images, and the line that tells of the folder."""
    told = []
    dataset = data.load(root, split, image_size=32, report=told.append)
    (line,) = told
    assert "\n" not in line
    return dataset, line


# ---- wrong pixels


def quadrants(orientation: int) -> Image.Image:
    """What is stored so that whoever heeds the tag sees red, green, blue and black from the upper left."""
    upright = Image.new("RGB", (64, 64), RED)
    for colour, corner in ((GREEN, (32, 0)), (BLUE, (0, 32)), (BLACK, (32, 32))):
        upright.paste(colour, (*corner, corner[0] + 32, corner[1] + 32))
    undo = (
        None,
        None,
        "FLIP_LEFT_RIGHT",
        "ROTATE_180",
        "FLIP_TOP_BOTTOM",
        "TRANSPOSE",
        "ROTATE_90",
        "TRANSVERSE",
    )
    name = (*undo, "ROTATE_270")[orientation]
    return upright.transpose(Image.Transpose[name]) if name else upright


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_upright_once(photos, orientation, compression):
    quadrants(orientation).save(photos / "x.tif", tiffinfo={274: orientation}, compression=compression)
    image = load(photos)[0].images[0]
    seen = [image[:, y, x].tolist() for y, x in ((8, 8), (8, 24), (24, 8), (24, 24))]
    assert np.abs(np.subtract(seen, [RED, GREEN, BLUE, BLACK])).max() <= 4


def fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(65536 * number) for number in numbers))


def profile(space: bytes, pcs: bytes, **tags: bytes) -> bytes:
    """An ICC profile of version 2 with these tags."""
    places, body = b"", b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        places += struct.pack(">4sII", name.encode(), 132 + 12 * len(tags) + len(body), len(content))
        body += content
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x", 132 + len(places) + len(body), 0x02400000, b"mntr", space, pcs, b"acsp"
    )
    return head + fixed(0.9642, 1, 0.8249) + bytes(48) + struct.pack(">I", len(tags)) + places + body


def curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(256 * gamma))


SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]])
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
P3 = np.array([[0.51512, 0.29198, 0.1571], [0.2412, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])


def rgb_profile(primaries: np.ndarray) -> bytes:
    columns = {f"{c}XYZ": b"XYZ " + bytes(4) + fixed(*primaries[:, i]) for i, c in enumerate("rgb")}
    return profile(b"RGB ", b"XYZ ", **columns, **{f"{c}TRC": curve(2.2) for c in "rgb"})


def brick_in(primaries: np.ndarray) -> tuple[int, ...]:
    linear = np.linalg.solve(primaries, SRGB @ BRICK_LINEAR)
    return tuple(np.round(255 * linear ** (1 / 2.2)).astype(int).tolist())


def cmyk_profile() -> bytes:
    """Ink of any colour but black is the colour of brick: CIE L*a*b*, on a grid of two values an ink."""
    x, y, z = np.cbrt(SRGB @ BRICK_LINEAR / (0.9642, 1, 0.8249))
    lab = bytes([round(2.55 * (116 * y - 16)), round(128 + 500 * (x - y)), round(128 + 200 * (y - z))])
    identity = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = (
        b"mft1"
        + bytes(4)
        + bytes([4, 3, 2, 0])
        + identity
        + bytes(range(256)) * 4
        + (lab + bytes([0, 128, 128])) * 8
    )
    return profile(b"CMYK", b"Lab ", A2B0=table + bytes(range(256)) * 3)


def of_colour(colour, mode="RGB", alpha=None) -> Image.Image:
    image = Image.new(mode, (32, 32), colour)
    if alpha is not None:
        image.putalpha(alpha)
    return image


def png16(kind: int, pixel: tuple[int, ...], clear: tuple[int, ...]) -> bytes:
    """A PNG of 16 bits a channel, all one pixel, which is declared transparent. kind: 0 grey, 2 RGB."""
    row = b"\0" + struct.pack(f">{len(pixel)}H", *pixel) * 32
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, kind, 0, 0, 0)),
        (b"tRNS", struct.pack(f">{len(clear)}H", *clear)),
        (b"IDAT", zlib.compress(row * 32)),
        (b"IEND", b""),
    ]
    framed = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def deep(value: int) -> Image.Image:
    return Image.fromarray(np.full((32, 32), value, np.uint16))


ADOBE_RGB, DISPLAY_P3 = rgb_profile(ADOBE), rgb_profile(P3)
ADOBE_BRICK, P3_BRICK = brick_in(ADOBE), brick_in(P3)
CONTAINERS = [".jpg", ".png", ".webp", ".tif", *([".avif"] if features.check("avif") else [])]
WRONG_PIXELS = {
    **{
        f"Adobe RGB in {suffix}": (of_colour(ADOBE_BRICK), f"x{suffix}", {"icc_profile": ADOBE_RGB}, BRICK)
        for suffix in CONTAINERS
    },
    "Display P3": (of_colour(P3_BRICK), "x.jpg", {"icc_profile": DISPLAY_P3}, BRICK),
    "a profile round a palette": (
        of_colour(ADOBE_BRICK).quantize(2), "x.png", {"icc_profile": ADOBE_RGB}, BRICK,
    ),
    "a profile and transparency": (
        of_colour(ADOBE_BRICK, alpha=128), "x.png", {"icc_profile": ADOBE_RGB},
        tuple((255 + c) // 2 for c in BRICK),
    ),
    "a CMYK profile": (of_colour((255, 0, 0, 0), "CMYK"), "x.tif", {"icc_profile": cmyk_profile()}, BRICK),
    "a CMYK profile in JPEG": (
        of_colour((255, 0, 0, 0), "CMYK"), "x.jpg", {"icc_profile": cmyk_profile()}, BRICK,
    ),
    "a linear grey profile": (
        of_colour(128, "L"), "x.png", {"icc_profile": profile(b"GRAY", b"XYZ ", kTRC=curve(1))}, (188,) * 3,
    ),
    "a cut-off profile": (of_colour(BRICK), "x.jpg", {"icc_profile": ADOBE_RGB[:200]}, BRICK),
    "a profile that is none": (of_colour(BRICK), "x.png", {"icc_profile": b"nonsense"}, BRICK),
    "a profile of other pixels": (of_colour(BRICK), "x.png", {"icc_profile": cmyk_profile()}, BRICK),
    "16-bit grey, black is transparent": (png16(0, (0,), (0,)), "x.png", {}, (255,) * 3),
    "16-bit grey, another is transparent": (png16(0, (25700,), (0,)), "x.png", {}, (100,) * 3),
    "16-bit RGB, the colour is transparent": (
        png16(2, (60000, 1000, 30000), (60000, 1000, 30000)), "x.png", {}, (255,) * 3,
    ),
    "16 bits, white is zero": (deep(60000), "x.tif", {"tiffinfo": {262: 0}}, (22,) * 3),
    "12 bits by the greatest value": (deep(2048), "x.tif", {"tiffinfo": {281: 4095}}, (128,) * 3),
    "12 bits by its own greatest value": (deep(2048), "x.tif", {"tiffinfo": {281: 3999}}, (128,) * 3),
    "12 bits, white is zero": (deep(2048), "x.tif", {"tiffinfo": {281: 4095, 262: 0}}, (127,) * 3),
    "16 bits by the greatest value": (deep(51400), "x.tif", {"tiffinfo": {281: 65535}}, (200,) * 3),
    "a greatest value that is exceeded": (deep(51400), "x.tif", {"tiffinfo": {281: 255}}, (200,) * 3),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PIXELS)
def test_pixels_come_out_in_srgb_on_white(photos, name, recwarn):
    picture, file, options, colour = WRONG_PIXELS[name]
    if isinstance(picture, bytes):
        (photos / file).write_bytes(picture)
    else:
        lossy = {"quality": 100} if file.endswith((".jpg", ".avif")) else {}
        picture.save(photos / file, **options, **lossy, **({"lossless": True} if ".webp" in file else {}))
    dataset, line = load(photos)
    assert dataset.images[0, :, 16, 16].tolist() == pytest.approx(colour, abs=4)
    assert "dark" not in line and not recwarn


def test_twelve_bits_of_its_own_kind_are_stretched(photos):
    """A TIFF of 12 bits a pixel, which Pillow reads and does not write."""
    row = bytes([0x80, 0x08, 0x00]) * 16  # 2048 twice
    tags = [
        (256, 32),
        (257, 32),
        (258, 12),
        (259, 1),
        (262, 1),
        (273, 124),
        (277, 1),
        (278, 32),
        (279, 48 * 32),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries
    (photos / "x.tif").write_bytes(head.ljust(124, b"\0") + row * 32)
    assert load(photos)[0].images[0, :, 16, 16].tolist() == [128] * 3


def test_few_bits_in_a_file_that_does_not_say_so_are_told(photos, capsys):
    deep(2048).save(photos / "x.png")
    dataset, line = load(photos)
    assert dataset.images[0, 0, 16, 16] == 8
    assert (
        "1 very dark: x.png (no pixel above 2,048 of 65,535: if it has fewer bits than 16, stretch it)"
        in line
    )
    data.load(photos, "all", image_size=32)
    assert "x.png" in capsys.readouterr().err  # from the cache, without anyone who asked


# ---- wrong photos

SOME = 12  # photos of a class: enough for one of them to be held out


def tree(root: Path, **counts: int) -> Path:
    """Folders with so many different photos each."""
    number = len(list(root.rglob("*.png")))
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            number += 1
            Image.new("RGB", (8, 8), (number % 256, number // 256, 77)).save(root / name / f"{number:04}.png")
    return root


# folders with their photos -> classes, photos in train and in test, and what must be told
LAYOUTS = {
    "a class called train": ({"bus": SOME, "car": SOME, "train": SOME}, "bus car train", 33, 3, []),
    "classes train and others, one with subfolders": (
        {"bus": SOME, "train/ice": SOME, "train": 1}, "bus train", 23, 2, [],
    ),
    "a train folder that holds subfolders": ({"train/bag": SOME, "train/hat": SOME}, "bag hat", 22, 2, []),
    "Training and Test": ({"Training/bag": 3, "Training/hat": 3, "Test/bag": 2}, "bag hat", 6, 2, []),
    **{
        f"train and {name}": ({"train/bag": 3, "train/hat": 3, f"{name}/bag": 2}, "bag hat", 6, 2, [])
        for name in ("valid", "dev", "EVAL", "testing", "Validation", "val")
    },
    "train and test without classes": ({"train": 5, "test": 2}, "", 5, 2, ["no classes"]),
    "one wrapping folder": ({"clothing/train/hat": 3, "clothing/test/hat": 2}, "hat", 3, 2, []),
    "several wrapping folders": ({"a/b/c/bag": SOME, "a/b/c/hat": SOME}, "bag hat", 22, 2, []),
    "a wrapping folder in each part": (
        {"train/images/bag": 3, "train/images/hat": 3, "test/images/hat": 2}, "bag hat", 6, 2, [],
    ),
    "folders beside the split": (
        {"train/bag": 3, "test/bag": 2, "docs": 4, ".": 1}, "bag", 3, 2, ["beside train: docs 4, loose 1"],
    ),
    "shadow folders": (
        {"bag": SOME, "hat": SOME, "bag/@eaDir": 2, "@eaDir": 1, ".thumbnails": 3, "hat/#recycle": 1,
         "__MACOSX/bag": 2, "$RECYCLE.BIN": 1}, "bag hat", 22, 2, [],
    ),
    "a class in the test part only": (
        {"train/bag": 3, "test/bag": 2, "test/hat": 4}, "bag", 3, 2, ["no image to train on: hat 4"],
    ),
    "one photo a class": (dict.fromkeys("abcdefghijkl", 1), " ".join("abcdefghijkl"), 12, 0, ["0 of them"]),
    "one class of a single photo": ({"bag": 19, "hat": 1}, "bag hat", 19, 1, ["bag 19, hat 1"]),
    "small classes": (dict.fromkeys("abcdef", 5), "a b c d e f", 27, 3, []),
    "validation beside test": (
        {"train/bag": 3, "test/bag": 2, "validation/bag": 4}, "bag", 3, 2, ["nor for testing: validation 4"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_taken_as_a_person_would(photos, name):
    counts, classes, in_train, in_test, told = LAYOUTS[name]
    everything, line = load(tree(photos, **counts))
    assert everything.class_names == tuple(classes.split())
    train = data.load(photos, "train", image_size=32)
    test = data.load(photos, "test", image_size=32) if in_test else ()
    assert (len(train), len(test)) == (in_train, in_test)
    if classes:  # no class without a photo to train on
        assert set(train.labels.tolist()) == set(range(train.num_classes))
        bincount = everything.labels.bincount().tolist()
        assert all(f"{n} {c}" in line for n, c in zip(everything.class_names, bincount, strict=True))
    assert f"{in_test} of them held out" in line
    for words in told:
        assert words in line


def test_every_class_gives_its_tenth(photos):
    tree(photos, bag=100, hat=50, shoe=30)
    assert data.load(photos, "test", image_size=32).labels.bincount().tolist() == [10, 5, 3]


def colours(dataset: data.ImageDataset) -> set[tuple[int, ...]]:
    return {tuple(image[:, 16, 16].tolist()) for image in dataset.images}


def test_copies_are_counted_and_never_on_both_sides(photos):
    tree(photos, bag=60, hat=60)
    for i, file in enumerate(sorted(photos.rglob("*.png"))):
        other = photos / ("hat" if i % 3 else "bag") / f"copy-{i}.png"
        other.write_bytes(file.read_bytes())
    _, line = load(photos)
    train, test = (data.load(photos, split, image_size=32) for split in ("train", "test"))
    assert len(train) + len(test) == 240 and len(test) >= 5
    assert not colours(train) & colours(test)
    assert "120 exact copies of other images, such as " in line


def test_a_test_photo_that_is_in_train_too_is_left_out_and_told(photos):
    tree(photos, **{"train/bag": 4, "test/bag": 3})
    twin = next((photos / "train/bag").iterdir())
    (photos / "test/bag/again.png").write_bytes(twin.read_bytes())
    test, line = load(photos, "test")
    assert len(test) == 3 and not colours(test) & colours(data.load(photos, "train", image_size=32))
    assert "copies of training images: 1" in line


def test_a_photo_in_two_classes_does_not_take_away_a_classs_only_one(photos):
    tree(photos, bag=30)
    (photos / "hat").mkdir()
    for i, file in enumerate(sorted((photos / "bag").iterdir())[:2]):
        (photos / "hat" / f"{i}.png").write_bytes(file.read_bytes())
    assert data.load(photos, "train", image_size=32).labels.bincount().tolist()[1] == 2


@pytest.mark.parametrize("name", ["faces", "fashion-mnist"])
def test_a_folder_of_a_data_sets_name_is_refused_with_a_way_out(tmp_path, monkeypatch, name):
    tree(tmp_path / name, bag=2)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(data.DataError, match=f"write './{name}' for the folder"):
        data.load(name)
    assert len(data.load(f"./{name}", image_size=32)) == 2


def test_files_of_other_kinds_are_named_with_what_to_do(photos):
    tree(photos, bag=2)
    for name in ("x.tga", "y.jpg?w=200", "film.mp4"):
        (photos / "bag" / name).write_bytes(b"?")
    (photos / "bag" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    Image.new("RGB", (8, 8), RED).save(photos / "bag" / "depth.mpo", "JPEG")
    dataset, line = load(photos)
    assert len(dataset) == 3  # .mpo is read
    assert "3 files of other kinds are left out (rename images among them by their kind" in line
    assert "bag/x.tga" in line and "bag/y.jpg?w=200" in line
    assert "phone.heic" in line


def test_composed_and_decomposed_names_are_one_class(photos):
    composed = unicodedata.normalize("NFC", "Gürtel")
    tree(photos, **{unicodedata.normalize("NFD", composed): 2, composed: 3, "Hut": 2})
    dataset, _ = load(photos)
    assert dataset.class_names == (composed, "Hut") and dataset.labels.bincount().tolist() == [5, 2]
    assert dataset.condition[LABEL].parse(composed) == 0


def test_names_that_are_no_text_are_told_with_escapes(photos):
    name = os.fsdecode(b"\xff\xfe")
    tree(photos, **{name: 2, "hat": 2})
    (photos / name / os.fsdecode(b"\xe9.png")).touch()
    (photos / name / os.fsdecode(b"\xe9.tga")).touch()
    dataset, line = load(photos)
    assert r"\xff\xfe" in dataset.class_names
    assert r"\xff\xfe/\xe9.png" in line and r"\xff\xfe/\xe9.tga" in line
    line.encode("utf-8"), dataset.source.encode("utf-8")


# ---- caches that serve what is no longer true


def test_an_edit_that_keeps_date_and_size_is_seen(photos):
    paint = lambda colour: Image.new("RGB", (8, 8), colour).save(photos / "x.bmp")  # noqa: E731
    paint(RED)
    before = (photos / "x.bmp").stat()
    assert colours(load(photos)[0]) == {RED}
    time.sleep(0.02)  # the clock of files is coarse
    paint(BLUE)
    os.utime(photos / "x.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (photos / "x.bmp").stat().st_size == before.st_size
    assert colours(load(photos)[0]) == {BLUE}


@pytest.mark.parametrize("fault", [MemoryError(), OSError(5, "Input/output error")])
def test_a_file_that_failed_for_a_passing_reason_is_tried_again(photos, monkeypatch, fault):
    tree(photos, bag=3)
    decode, calls = folder.decode, []

    def failing(path, *how):
        calls.append(path.name)
        if path.name == "0002.png":
            raise fault
        return decode(path, *how)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "decode", failing)
        dataset, line = load(photos)
        assert len(dataset) == 2 and "bag/0002.png (" in line
        assert len(load(photos)[0]) == 2
        assert calls.count("0002.png") == 2 and len(calls) == 4  # the sound ones are not decoded again
    assert len(load(photos)[0]) == 3


def test_a_file_that_is_broken_for_good_is_not_tried_again(photos, monkeypatch):
    tree(photos, bag=2)
    (photos / "bag" / "x.png").write_bytes(b"no image")
    assert len(load(photos)[0]) == 2
    monkeypatch.setattr(folder, "decode", None)
    assert len(load(photos)[0]) == 2


def test_a_reader_that_is_installed_later_is_used(photos, monkeypatch):
    tree(photos, bag=2)
    Image.new("RGB", (8, 8), RED).save(photos / "bag" / "x.jp2")
    from prodgen.data.folder import pixels

    with monkeypatch.context() as patch:
        without = [name for name in pixels.FORMATS if name != "JPEG2000"]
        patch.setattr(pixels, "FORMATS", without)
        patch.setattr(folder, "FORMATS", without)
        assert len(load(photos)[0]) == 2
    assert len(load(photos)[0]) == 3


def entries() -> list[str]:
    return sorted(path.name for path in (cache.cache_dir() / "folders").iterdir())


def test_of_a_folders_caches_the_newest_few_are_kept(photos, tmp_path):
    tree(tmp_path / "other", bag=2)
    load(tmp_path / "other")
    (other,) = entries()
    for i in range(cache.KEPT + 3):
        tree(photos, bag=1)
        load(photos)
        newest = max((cache.cache_dir() / "folders").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (time.time() - 100 + i,) * 2)
    assert len(entries()) == cache.KEPT + 1 and other in entries()
    assert newest.name in entries()


def test_what_was_long_unused_and_what_dead_writers_left_is_removed(photos):
    place = cache.cache_dir() / "folders"
    for name, age in (
        (".half", cache.DEAD),
        (".at-work", 0),
        ("unused", cache.UNUSED),
        ("old.npy", cache.UNUSED),
    ):
        (place / name).mkdir(parents=True) if "." not in name[1:] else (place / name).touch()
        os.utime(place / name, (time.time() - age - 60,) * 2)
    (place / ".half-file").touch()
    os.utime(place / ".half-file", (time.time() - 2 * cache.DEAD,) * 2)
    load(tree(photos, bag=2))
    assert [name for name in entries() if "-" not in name or name.startswith(".")] == [".at-work"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(photos, monkeypatch):
    tree(photos, bag=2)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(data.DataError, match=r"No space left on device.*make room"):
        load(photos)
    assert entries() == []
