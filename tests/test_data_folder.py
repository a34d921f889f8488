"""Any folder of images becomes a data set: every mode and size, whatever else lies in it, decoded once."""

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from prodgen import data
from prodgen.data import cache, folder
from prodgen.data.folder import pixels
from prodgen.errors import DataError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def save(path: Path, colour=RED, size=(40, 40), mode="RGB", **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)
    return path


def load_one(path: Path, image_size=32, **options) -> np.ndarray:
    """The only image of its folder as (H, W, C)."""
    dataset = data.load(path.parent, "all", image_size=image_size, **options)
    assert len(dataset) == 1
    return dataset.images[0].permute(1, 2, 0).numpy()


def colours(dataset) -> list[tuple[int, ...]]:
    """The colour in the middle of each image."""
    return [tuple(image[:, 16, 16].tolist()) for image in dataset.images]


# ---- pixels


def picture(mode: str) -> Image.Image:
    """30x30 in this mode: orange, or what the mode has for it; the right half transparent if it can be."""
    orange = Image.new("RGB", (30, 30), (255, 128, 0))
    if mode.startswith("I"):
        return Image.fromarray(np.full((30, 30), 257 * 100, np.uint16 if mode == "I;16" else np.int32))
    if mode == "P with transparency":
        orange.paste(BLUE, (15, 0, 30, 30))
    if mode.startswith("P"):
        indexed = orange.quantize(4)
        if mode == "P with transparency":
            indexed.info["transparency"] = indexed.getpixel((20, 20))
        return indexed
    if mode.endswith("A"):
        orange.putalpha(255)
        orange.paste((0, 0, 0, 0), (15, 0, 30, 30))
    return orange.convert(mode)


GREY = round(0.299 * 255 + 0.587 * 128)  # of orange, after ITU-R 601


@pytest.mark.parametrize(
    ("mode", "suffix", "left", "right"),
    [
        ("RGB", ".png", (255, 128, 0), None),
        ("RGB", ".jpg", (255, 128, 0), None),
        ("RGB", ".webp", (255, 128, 0), None),
        ("RGB", ".BMP", (255, 128, 0), None),
        ("RGB", ".JPeG", (255, 128, 0), None),
        ("RGBA", ".png", (255, 128, 0), WHITE),
        ("RGBA", ".webp", (255, 128, 0), WHITE),
        ("RGBA", ".tif", (255, 128, 0), WHITE),
        ("P", ".png", (255, 128, 0), None),
        ("P", ".gif", (255, 128, 0), None),
        ("P with transparency", ".png", (255, 128, 0), WHITE),
        ("P with transparency", ".gif", (255, 128, 0), WHITE),
        ("L", ".png", (GREY,) * 3, None),
        ("L", ".jpg", (GREY,) * 3, None),
        ("LA", ".png", (GREY,) * 3, WHITE),
        ("CMYK", ".jpg", (255, 128, 0), None),
        ("CMYK", ".tiff", (255, 128, 0), None),
        ("YCbCr", ".tif", (255, 128, 0), None),
        ("I;16", ".png", (100,) * 3, None),
        ("I;16", ".tif", (100,) * 3, None),
        ("I", ".tif", (100,) * 3, None),
    ],
)
def test_every_mode_gives_its_colours_with_white_behind(photos, mode, suffix, left, right):
    options = {"quality": 95} if suffix in (".jpg", ".webp") else {}
    if mode == "YCbCr":  # without compression Pillow 11 can write one and not read it
        options = {"compression": "tiff_lzw"}
    picture(mode).save(photos / f"x{suffix}", **options)
    pixels = load_one(photos / "x", crop="centre").astype(int)
    # The inside of each half: an edge rings after resampling, and WebP and JPEG are lossy.
    assert abs(pixels[4:28, 3:10] - left).max() <= 6
    assert abs(pixels[4:28, 22:29] - (right or left)).max() <= 6

    grey = load_one(photos / "x", crop="centre", channels=1).astype(int)
    assert grey.shape == (32, 32, 1)
    assert abs(grey[4:28, 3:10] - Image.new("RGB", (1, 1), left).convert("L").getpixel((0, 0))).max() <= 6


def test_one_bit_images_are_black_and_white(photos):
    drawing = Image.new("1", (32, 32), 1)
    drawing.paste(0, (0, 0, 16, 32))
    drawing.save(photos / "x.png")
    assert load_one(photos / "x")[16, [4, 28]].tolist() == [[0] * 3, [255] * 3]


def test_sixteen_bits_are_scaled_from_black_to_white(photos):
    ramp = np.repeat(np.linspace(0, 65535, 32).astype(np.uint16)[None], 32, axis=0)
    Image.fromarray(ramp).save(photos / "x.png")
    pixels = load_one(photos / "x", channels=1)[0, :, 0].astype(int)
    assert abs(pixels - np.linspace(0, 255, 32)).max() <= 1


def test_pixels_without_a_known_white_are_left_out_and_named(photos, capsys):
    save(photos / "sound.png")
    Image.new("F", (8, 8), 0.5).save(photos / "float.tif")
    Image.fromarray(np.full((8, 8), 1_000_000, np.int32)).save(photos / "long.tif")
    assert len(data.load(photos, "all", image_size=32)) == 1
    assert "float.tif (floating-point" in (said := capsys.readouterr().err) and "long.tif (32-bit" in said


def test_an_animation_gives_its_first_frame(photos):
    frames = [Image.new("RGB", (40, 40), colour) for colour in (GREEN, RED)]
    frames[0].save(photos / "x.gif", save_all=True, append_images=frames[1:])
    assert load_one(photos / "x")[16, 16].tolist() == list(GREEN)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("crop", ["letterbox", "centre"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_an_image_upright(photos, orientation, crop, suffix):
    stored = Image.new("RGB", (96, 48), WHITE)
    stored.paste(RED, (24, 0, 48, 24))
    stored.paste(BLUE, (48, 24, 72, 48))
    stored.paste(GREEN, (48, 0, 60, 12))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(photos / f"x{suffix}", exif=exif, **({"quality": 95} if suffix == ".jpg" else {}))

    with Image.open(photos / f"x{suffix}") as image:
        upright = ImageOps.exif_transpose(image)
    if crop == "letterbox":
        expected = ImageOps.pad(upright, (32, 32), Image.Resampling.LANCZOS, color=WHITE)
    else:
        expected = ImageOps.fit(upright, (32, 32), Image.Resampling.LANCZOS)
    difference = abs(load_one(photos / "x", crop=crop).astype(int) - np.asarray(expected, int))
    assert difference.mean() < 3


def test_broken_metadata_round_a_sound_picture_does_no_harm(photos, recwarn, capsys):
    save(photos / "x.jpg", BLUE, exif=b"Exif\0\0nonsense")
    save(photos / "y.jpg", BLUE, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01")  # cut off
    save(photos / "z.png", BLUE, exif=b"nonsense")
    assert len(data.load(photos, "all", image_size=32)) == 3
    assert not recwarn and "cannot be read" not in capsys.readouterr().err


def test_a_panorama_of_20_megapixels_is_shown_whole_or_by_its_middle(photos):
    panorama = Image.new("RGB", (10_000, 2000), GREEN)
    panorama.paste(RED, (0, 0, 3000, 2000))
    panorama.paste(BLUE, (7000, 0, 10_000, 2000))
    panorama.save(photos / "x.jpg")
    whole = load_one(photos / "x", image_size=64).astype(int)
    assert (whole[:25] == 255).all() and (whole[39:] == 255).all()  # 64 / 5 = 13 rows of picture
    for column, colour in ((8, RED), (32, GREEN), (56, BLUE)):
        assert abs(whole[28:36, column] - colour).max() <= 6
    middle = load_one(photos / "x", image_size=64, crop="centre").astype(int)
    assert abs(middle - GREEN).max() <= 6


def test_a_strip_of_one_pixel_stays_visible(photos):
    save(photos / "x.png", BLUE, (5000, 1))
    assert (load_one(photos / "x") == BLUE).all(axis=2).sum() == 32


def test_an_image_of_one_pixel_fills_the_square(photos):
    save(photos / "x.png", BLUE, (1, 1))
    assert (load_one(photos / "x") == BLUE).all()
    assert (load_one(photos / "x", crop="centre", image_size=28) == BLUE).all()


def test_a_large_image_is_averaged_not_sampled(photos):
    """A fine chequerboard must come out grey; picking single pixels would show stripes."""
    board = (np.indices((1011, 1011)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(photos / "x.png")
    pixels = load_one(photos / "x", image_size=64).astype(int)
    assert abs(pixels[2:-2, 2:-2] - 127.5).max() <= 8


# ---- files that are not what they seem


def test_unreadable_files_are_left_out_and_named(photos, capsys):
    save(photos / "sound.jpg", GREEN, (400, 300))
    whole = (photos / "sound.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.png").touch()
    (photos / "page.jpg").write_text("<html>404</html>")
    (photos / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    dataset = data.load(photos, "all", image_size=32)
    assert colours(dataset)[0] == pytest.approx(GREEN, abs=6) and len(dataset) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "cannot be read" in line]
    assert "4 files" in line and "empty.png, page.jpg" in line and "cut.jpg (" in line
    if "HEIF" not in pixels.FORMATS:
        assert "phone.heic (install pillow-heif, or convert it to .jpg)" in line

    assert len(data.load(photos, "all", image_size=32)) == 1
    assert "4 files" in capsys.readouterr().err  # from the cache, too


def test_postscript_is_not_run_under_an_images_name(photos):
    Image.new("RGB", (8, 8)).save(photos / "x.eps")
    (photos / "x.eps").rename(photos / "x.jpg")
    with pytest.raises(DataError, match=r"x\.jpg \(no image format"):
        data.load(photos, image_size=32)


def test_hidden_things_and_notes_are_passed_over_in_silence(photos, capsys):
    save(photos / "shoes" / "a.PNG")
    for name in (".hidden.png", "shoes/._a.PNG", ".git/x.png", "__MACOSX/shoes/a.png"):
        (photos / name).parent.mkdir(exist_ok=True, parents=True)
        (photos / name).write_bytes(b"")
    (photos / "prices.csv").touch()
    dataset = data.load(photos, "all", image_size=32)
    assert len(dataset) == 1 and dataset.class_names == ("shoes",)
    assert "left out" not in capsys.readouterr().err


def test_names_in_any_script_or_none_are_read(photos):
    names = ["鞋/红色 鞋.png", "Schürze/é.png"]
    for name in names:
        save(photos / name)
    no_text = os.fsencode(photos) + b"/\xff\xfe"
    os.mkdir(no_text)
    shutil.copy(photos / names[0], no_text + b"/\xff.png")
    dataset = data.load(photos, "all", image_size=32)
    assert len(dataset) == 3 and dataset.class_names == ("Schürze", r"\xff\xfe", "鞋")
    assert len(data.load(photos, "all", image_size=32)) == 3


def test_links_are_followed_once_and_loops_end(photos, tmp_path, capsys):
    save(tmp_path / "elsewhere" / "a.png", GREEN)
    save(photos / "bags" / "b.png", BLUE)
    (photos / "shoes").symlink_to(tmp_path / "elsewhere")
    (photos / "bags" / "up").symlink_to(photos)
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    (photos / "bags" / "c.png").symlink_to(photos / "nowhere")
    (photos / "bags" / "d.png").symlink_to("d.png")
    os.mkfifo(photos / "bags" / "pipe.png")
    dataset = data.load(photos, "all", image_size=32)
    assert colours(dataset) == [BLUE, GREEN] and dataset.class_names == ("bags", "shoes")
    assert "3 files" in capsys.readouterr().err


@pytest.fixture
def as_ordinary_user():
    """Root may read everything, so the permission tests run as somebody else."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_what_may_not_be_read_is_named_and_taken_up_once_it_may(as_ordinary_user, monkeypatch, capsys):
    with tempfile.TemporaryDirectory() as place:  # tmp_path is closed to other users
        monkeypatch.setenv("PRODGEN_CACHE", f"{place}/cache")
        root = Path(place, "photos")
        save(root / "a.png", RED), save(root / "b.png", GREEN), save(root / "locked" / "c.png", BLUE)
        (root / "b.png").chmod(0)
        (root / "locked").chmod(0)
        assert colours(data.load(root, "all", image_size=32)) == [RED]
        said = capsys.readouterr().err
        assert "b.png, locked (Permission denied)" in said
        (root / "b.png").chmod(0o600)
        (root / "locked").chmod(0o700)
        assert colours(data.load(root, "all", image_size=32)) == [RED, GREEN, BLUE]

        root.chmod(0)
        with pytest.raises(DataError, match="Permission denied"):
            data.load(root, image_size=32)
        with pytest.raises(DataError, match="neither a data set"):
            data.load(root / "locked", image_size=32)
        root.chmod(0o700)


# ---- what is no folder of images


def test_a_folder_without_an_image_says_what_was_found(photos):
    with pytest.raises(DataError, match=r"no image that can be read.*found: nothing"):
        data.load(photos, image_size=32)
    (photos / "notes.txt").touch()
    with pytest.raises(DataError, match=r"found: notes\.txt"):
        data.load(photos, image_size=32)
    (photos / "bad.jpg").touch()
    with pytest.raises(DataError, match=r"found: bad\.jpg \(.*\), notes\.txt"):
        data.load(photos, image_size=32)


def test_a_file_in_place_of_a_folder_gets_advice(photos):
    with pytest.raises(DataError, match=r"x\.png is a file: give the folder"):
        data.load(save(photos / "x.png"), image_size=32)
    with zipfile.ZipFile(photos / "photos.zip", "w") as archive:
        archive.write(photos / "x.png")
    with pytest.raises(DataError, match=r"photos\.zip is an archive: unpack it"):
        data.load(str(photos / "photos.zip"), image_size=32)


@pytest.mark.parametrize("name", ["fashion-minst", "", "~nobody-such/photos", "a\0b", "x" * 5000])
def test_what_is_neither_name_nor_folder_gets_the_known_names(name):
    with pytest.raises(DataError, match=re.escape(f"({', '.join(data.names())})")):
        data.load(name, image_size=32)


def test_unsuitable_arguments_are_named(photos):
    save(photos / "x.png")
    for size in (None, 0, 48, "64"):
        with pytest.raises(DataError, match="28, 32 or 64"):
            data.load(photos, image_size=size)
    with pytest.raises(DataError, match="not 4"):
        data.load(photos, image_size=32, channels=4)
    with pytest.raises(DataError, match="letterbox, centre"):
        data.load(photos, image_size=32, crop="stretch")
    with pytest.raises(DataError, match="train, test, all"):
        data.load(photos, "validation", image_size=32)


# ---- classes and splits


def test_classes_are_the_first_subfolders(photos):
    for name in ("shoes/boots/a.png", "bags/b.png", "shoes/c.png"):
        save(photos / name)
    dataset = data.load(photos, "all", image_size=28)
    assert dataset.class_names == ("bags", "shoes") and sorted(dataset.labels.tolist()) == [0, 1, 1]
    assert dataset.labels.dtype == torch.int64
    assert (dataset.name, dataset.source) == ("photos", str(photos))


def test_a_flat_folder_has_no_classes(photos, capsys):
    save(photos / "a.png"), save(photos / "b.png")
    dataset = data.load(photos, "all", image_size=28)
    assert dataset.labels is None and dataset.class_names == ()
    assert "subfolder" not in capsys.readouterr().err


def test_a_folder_with_images_beside_its_subfolders_has_no_classes_and_says_so(photos, capsys):
    save(photos / "shoes" / "a.png"), save(photos / "b.png")
    dataset = data.load(photos, "all", image_size=28)
    assert len(dataset) == 2 and dataset.labels is None and dataset.class_names == ()
    assert "1 image(s)" in (said := capsys.readouterr().err) and "without classes" in said


def test_a_class_whose_files_are_all_unreadable_is_no_class(photos):
    save(photos / "bags" / "a.png")
    (photos / "shoes").mkdir()
    (photos / "shoes" / "b.png").touch()
    assert data.load(photos, "all", image_size=28).class_names == ("bags",)


def shade(i: int) -> tuple[int, int, int]:
    return (i, 255 - i, i // 2)


def test_without_split_folders_every_tenth_image_of_each_class_is_held_out(photos):
    for i in range(57):
        save(photos / "ab"[i % 2] / f"{i:02}.png", shade(i))
    train, test, everything = (data.load(photos, split, image_size=32) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(everything)) == (52, 5, 57)
    assert (
        sorted(colours(train) + colours(test)) == sorted(colours(everything)) == sorted(map(shade, range(57)))
    )
    for dataset in (train, test, everything):  # images and labels belong together
        assert dataset.labels.tolist() == [colour[0] % 2 for colour in colours(dataset)]
    order = [(colour[0] % 2, colour[0]) for colour in colours(train)]
    assert order == sorted(order)  # sorted by path
    hashed = [
        sorted(range(k, 57, 2), key=lambda i: hashlib.sha256(f"{'ab'[k]}/{i:02}.png".encode()).digest())
        for k in (0, 1)
    ]
    assert sorted((hashed[0] + hashed[1])[9::10]) == sorted(colour[0] for colour in colours(test))


def test_the_held_out_images_stay_the_same_wherever_the_folder_lies(photos, tmp_path):
    for i in range(30):
        save(photos / f"{i:02}.png", shade(i))
    before = colours(data.load(photos, "test", image_size=32))
    photos.rename(tmp_path / "moved")
    assert colours(data.load(tmp_path / "moved", "test", image_size=32)) == before


@pytest.mark.parametrize("held_out", ["test", "validation", "val", "Test"])
def test_split_folders_are_used_where_they_are(photos, held_out):
    train_folder = "Train" if held_out == "Test" else "train"
    (
        save(photos / train_folder / "bags" / "a.png", RED),
        save(photos / train_folder / "shoes" / "b.png", GREEN),
    )
    (
        save(photos / held_out / "shoes" / "c.png", BLUE),
        save(photos / "logo.png"),
        save(photos / "docs" / "d.png"),
    )
    train, test, everything = (data.load(photos, split, image_size=32) for split in ("train", "test", "all"))
    assert colours(train) == [RED, GREEN] and train.labels.tolist() == [0, 1]
    assert colours(test) == [BLUE] and test.labels.tolist() == [1]
    assert colours(everything) == [RED, GREEN, BLUE] and everything.class_names == ("bags", "shoes")


def test_a_validation_folder_beside_a_test_folder_is_in_neither_split(photos):
    for name, colour in (("train/a.png", RED), ("test/b.png", GREEN), ("validation/c.png", BLUE)):
        save(photos / name, colour)
    splits = [colours(data.load(photos, split, image_size=32)) for split in ("train", "test", "all")]
    assert splits == [[RED], [GREEN], [RED, GREEN, BLUE]]


def test_a_train_folder_alone_gives_its_tenth(photos):
    for i in range(10):
        save(photos / "train" / "bags" / f"{i}.png", shade(i))
    train, test = (data.load(photos, split, image_size=32) for split in ("train", "test"))
    assert (len(train), len(test)) == (9, 1) and train.class_names == ("bags",)


def test_too_few_images_for_a_test_split_are_an_error_not_an_empty_set(photos):
    save(photos / "a.png")
    assert len(data.load(photos, "train", image_size=32)) == 1
    with pytest.raises(DataError, match=r'too few images.*"test"; use split "all"'):
        data.load(photos, "test", image_size=32)


# ---- the cache


@pytest.fixture
def decoded(monkeypatch) -> list[Path]:
    """The files that were decoded, as they are."""
    paths, decode = [], folder.decode

    def note(path, *arguments):
        paths.append(path)
        return decode(path, *arguments)

    monkeypatch.setattr(folder, "decode", note)
    return paths


def test_a_folder_is_decoded_once_for_all_its_splits(photos, decoded):
    for i in range(20):
        save(photos / f"{i}.png", shade(i))
    first = data.load(photos, "train", image_size=32)
    assert len(decoded) == 20
    again = data.load(photos, "train", image_size=32)
    data.load(photos, "test", image_size=32), data.load(photos, "all", image_size=32)
    assert len(decoded) == 20 and torch.equal(first.images, again.images)


def test_any_change_is_seen(photos, decoded):
    save(photos / "a.png", RED)

    def loads_anew(**options) -> bool:
        decoded.clear()
        data.load(photos, "all", **{"image_size": 32, **options})
        return bool(decoded)

    assert loads_anew() and not loads_anew()
    assert loads_anew(image_size=64) and loads_anew(channels=1) and loads_anew(crop="centre")
    assert not loads_anew()
    os.utime(photos / "a.png", ns=(0, 0))
    assert loads_anew()
    (photos / "a.png").chmod(0o400)
    assert loads_anew()
    save(photos / "b.png", GREEN)
    assert loads_anew()
    (photos / "a.png").unlink()
    assert loads_anew()
    assert colours(data.load(photos, "all", image_size=32)) == [GREEN]


@pytest.mark.parametrize("name", ["images.npy", "about.json"])
@pytest.mark.parametrize("keep", [0, 50, -1])
def test_a_cut_off_cache_is_made_anew(photos, decoded, keep, name):
    save(photos / "a.png", RED)
    data.load(photos, image_size=32)
    (file,) = (cache.cache_dir() / "folders").glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:keep])
    decoded.clear()
    assert colours(data.load(photos, image_size=32)) == [RED] and decoded


def test_an_interrupted_decoding_leaves_nothing_in_the_cache(photos, monkeypatch):
    for i in range(5):
        save(photos / f"{i}.png")
    decode = folder.decode

    def interrupted(path, *arguments):
        if path.name == "3.png":
            raise KeyboardInterrupt
        return decode(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.load(photos, image_size=32)
    assert not list((cache.cache_dir() / "folders").iterdir())
    assert len(data.load(photos, image_size=32)) == 5


def test_images_stay_on_disk_and_few_are_held_while_decoding(photos, monkeypatch):
    """What lets a folder larger than memory be used."""
    for i in range(40):
        save(photos / f"{i:02}.png", shade(i))
    monkeypatch.setattr(folder, "CHUNK", 4)
    alive, most, decode = [0], [0], folder.decode

    class Counted(np.ndarray):
        def __del__(self):
            alive[0] -= 1

    def counted(*arguments):
        pixels, *rest = decode(*arguments)
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        return np.array(pixels).view(Counted), *rest

    monkeypatch.setattr(folder, "decode", counted)
    dataset = data.load(photos, "all", image_size=32)
    assert sorted(colours(dataset)) == sorted(map(shade, range(40)))
    assert 0 < most[0] <= 4 + 1
    if os.path.exists("/proc/self/maps"):
        assert str(cache.cache_dir()) in Path("/proc/self/maps").read_text()


def test_progress_ends_with_one_line_off_a_terminal(photos, capsys):
    for i in range(30):
        save(photos / f"{i}.png", shade(i))
    data.load(photos, image_size=32)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("30 of 30 images") and "\r" not in line
    data.load(photos, image_size=32)
    assert capsys.readouterr().err == ""


def test_progress_rewrites_one_line_on_a_terminal(photos, capsys, monkeypatch):
    for i in range(30):
        save(photos / f"{i}.png", shade(i))
    clock = iter(range(1000))
    monkeypatch.setattr(folder.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    data.load(photos, image_size=32)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith("30 of 30 images\n") and said.count("\r") == 29


# ---- real photos


def test_real_photos_are_loaded_by_class_and_split(tmp_path):
    archive = Path(os.environ.get("PRODGEN_DATA", "")) / "clothing-dataset-small.zip"
    if not archive.is_file():
        pytest.skip(f"no {archive.name} in $PRODGEN_DATA")
    with zipfile.ZipFile(archive) as photos:
        photos.extractall(tmp_path)
    (root,) = tmp_path.glob("clothing*")
    train, test = (data.load(root, split, image_size=64) for split in ("train", "test"))
    assert train.images.shape == (3068, 3, 64, 64) and test.images.shape == (341, 3, 64, 64)
    assert train.class_names == test.class_names
    assert train.class_names == tuple(sorted(path.name for path in (root / "train").iterdir()))
    per_class = [len(list((root / "train" / name).iterdir())) for name in train.class_names]
    assert train.labels.bincount().tolist() == per_class
    # Photos are mostly upright, so letterboxed ones have white at both sides and the picture between.
    assert train.batch(slice(None))[..., :4].mean() > 0.5 > train.batch(slice(None))[..., 30:34].mean()
