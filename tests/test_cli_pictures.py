"""Pictures as files: which there are, that their padding is off, and that each says where it comes from."""

import hashlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from prodgen import __version__, data, models
from prodgen.cli import main
from prodgen.cli.sample import class_folders
from prodgen.cli.walk import FRAMES
from prodgen.data import Condition, Factor
from prodgen.device import seeded

AI_TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MODEL = "wares.safetensors"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)


def keep(*names: str, condition: Condition | None = None, content: list[int] | None = None):
    """A model of these classes in the file MODEL, untrained, but seeing what it is asked for."""
    condition = condition or (Condition.of_classes(names) if names else None)
    with seeded(0):
        model = models.Generator(28, 3, latent_dim=8, width=4, condition=condition)
        torch.nn.init.normal_(model.body[-3].weight, std=1.0)  # as strong contrasts as after training
        if condition:
            torch.nn.init.normal_(model.embedding.weight, std=2.0)
    models.save_as(MODEL, model, **({"content": content} if content else {}))
    return model.eval()


def sample(out: str, *more: str, n: int = 6, code: int = 0) -> None:
    assert main(["sample", MODEL, "--n", str(n), "--seed", "3", "--out", out, *more]) == code


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def drawn(model: models.Generator, n: int = 6) -> np.ndarray:
    """What the pictures hold: (n, H, W, 3)."""
    return data.to_uint8(models.sample(model, n, seed=3)).permute(0, 2, 3, 1).numpy().astype(int)


def below(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


# ---- a folder


def test_a_folder_has_one_picture_a_sample_in_the_subfolder_of_its_class():
    model = keep("mug", "lamp")
    sample("out", n=12)
    odd = [f"mug/{i:02}.png" for i in range(1, 13, 2)]
    even = [f"lamp/{i:02}.png" for i in range(2, 13, 2)]
    assert below("out") == sorted(odd + even)
    for i, expected in enumerate(drawn(model, 12)):
        (path,) = Path("out").glob(f"*/{i + 1:02}.png")
        assert np.abs(pixels(path) - expected).max() <= 1
    sample("lamps", "--label", "lamp", n=3)
    assert below("lamps") == ["lamp/1.png", "lamp/2.png", "lamp/3.png"]


def test_what_has_no_class_lies_in_the_folder_itself():
    keep()
    sample("out", n=2)
    keep(condition=Condition((Factor("label", ("mug",)), Factor("turn", period=360.0))))
    sample("open", "--with", "turn=30", n=2)
    assert below("out") == below("open") == ["1.png", "2.png"]


def test_classes_become_folder_names_that_every_system_takes():
    names = ("T-shirt/top", "T-shirt\\top", "..", "con: a?", "\u5305", "x" * 300, "MUG", "mug", ".hidden")
    folders = class_folders(Condition.of_classes(names))
    assert list(folders) == list(names)
    assert list(folders.values()) == [
        "T-shirt-top", "T-shirt-top-2", "class", "con- a-", "\u5305", "x" * 60, "MUG", "mug-2", "hidden",
    ]  # fmt: skip
    keep(*names)
    sample("out", n=len(names))
    assert {path.parent.name for path in Path("out").rglob("*.png")} == set(folders.values())
    assert {path.name for path in Path().iterdir()} == {"out", MODEL}


def test_a_folder_appears_whole_or_not_at_all_and_never_on_another(capsys, monkeypatch):
    keep("mug")
    Path("out").mkdir()
    sample("out", code=2)
    assert "out exists already; give the name of a new folder" in capsys.readouterr().err

    def full(*_: object, **__: object):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        sample("new", code=2)
    assert capsys.readouterr().err == "prodgen: Cannot write new: No space left on device.\n"
    assert {path.name for path in Path().iterdir()} == {"out", MODEL} and not below("out")


# ---- padding


@pytest.mark.parametrize(("size", "content"), [((30, 40), (28, 21)), ((40, 30), (21, 28)), ((40, 40), None)])
def test_padding_that_all_photos_were_given_is_off_what_is_drawn_but_not_off_arrays(size, content):
    rng = np.random.default_rng(0)
    for name in ("lamp", "mug"):
        Path("photos", name).mkdir(parents=True)
        for i in range(4):
            noise = rng.integers(0, 100, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(noise).save(f"photos/{name}/{i}.png")
    options = ["--data", "photos", "--image-size", "28", "--images", "32", "--out", "run"]
    assert main(["train", "vae", *options]) == 0
    assert data.load("photos", image_size=28).content == content
    height, width = content or (28, 28)
    with Image.open("run/preview.png") as preview:
        assert preview.size == (2 * (width + 1) - 1, 8 * (height + 1) - 1)
    for out in ("x.npy", "x.png", "out"):
        assert main(["sample", "run", "--n", "2", "--out", out]) == 0
    square = np.load("x.npy")
    assert square.shape == (2, 3, 28, 28)
    expected = data.without_padding(torch.from_numpy(square), content).permute(0, 2, 3, 1).numpy()
    with Image.open("out/lamp/1.png") as picture:
        assert picture.size == (width, height) and (np.asarray(picture) == expected[0]).all()
    with Image.open("x.png") as picture:
        assert picture.size == (2 * width + 1, height)


def test_photos_of_several_shapes_keep_the_padding_that_some_do_not_have():
    Path("photos").mkdir()
    for i, size in enumerate([(20, 40), (26, 40), (24, 40), (20, 40)]):
        Image.new("RGB", size, "black").save(f"photos/{i}.png")
    dataset = data.load("photos", "all", image_size=32)
    assert dataset.content == (32, 21), "that of the widest"
    inside = data.without_padding(dataset.images, dataset.content)
    outside = dataset.images.float().mean(dim=(0, 1, 2)) == 255
    assert inside.shape[2:] == (32, 21) and outside.sum() == 32 - 21
    Image.new("RGB", (40, 20), "black").save("photos/wide.png")
    assert data.load("photos", "all", image_size=32).content is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_lies_in_the_middle_as_an_upright_one_does(orientation):
    """Where the padding is odd, turning it with the photo would put it one pixel aside."""
    stored = (21, 40) if orientation < 5 else (40, 21)
    Path("photos").mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", stored, "black").save("photos/x.png", exif=exif)
    dataset = data.load("photos", "all", image_size=32)
    assert dataset.content == (32, 17)
    assert data.without_padding(dataset.images, dataset.content).max() == 0, "none of the padding in it"


# ---- walks


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_a_walk_goes_through_the_samples_of_its_seed_in_a_loop(suffix):
    model = keep("mug", "lamp", content=[28, 21])
    sample(f"x.{suffix}", "--walk", n=3)
    expected = drawn(model, 3)[:, :, 3:24]
    with Image.open(f"x.{suffix}") as walk:
        assert walk.info["loop"] == 0 and walk.n_frames == 3 * FRAMES
        frames = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(walk)]
    for i in range(3):  # GIF has 256 colours a frame
        here, before = (np.abs(frames[i * FRAMES] - expected[k]).mean() for k in (i, i - 1))
        assert here < 0.5 * before, "it comes past each of them"
    steps = [np.abs(a - b).mean() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
    apart = min(np.abs(expected[i] - expected[i - 1]).mean() for i in range(3))
    assert max(steps) < apart, "in small steps, from the last picture to the first as well"
    assert np.abs(pixels("x.png") - expected[0]).max() <= 1


def test_on_a_great_circle_all_is_as_far_from_the_origin_as_draws_are():
    a, b = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0))
    a, b = (8 * torch.nn.functional.normalize(x, dim=1) for x in (a, b))
    assert torch.allclose(models.great_circle(a, b, torch.zeros(5, 1)), a, atol=1e-5)
    assert torch.allclose(models.great_circle(a, b, torch.ones(5, 1)), b, atol=1e-5)
    middle = models.great_circle(a, b, torch.full((5, 1), 0.5))
    assert torch.allclose(middle.norm(dim=1), torch.full((5,), 8.0), atol=1e-4)
    assert ((a + b) / 2).norm(dim=1).max() < 7


def test_a_failed_walk_leaves_nothing(capsys, monkeypatch):
    keep("mug")

    def full(source, target):
        raise OSError(28, "No space left on device", str(source))

    monkeypatch.setattr(os, "replace", full)
    sample("x.gif", "--walk", code=2)
    assert "Cannot write x.gif: No space left" in capsys.readouterr().err
    assert {path.name for path in Path().iterdir()} == {MODEL}


def test_many_pictures_take_no_more_memory_than_few():
    models.save_as(MODEL, models.Generator(64, 3, latent_dim=2, width=1))
    script = """
import resource
from prodgen.cli import main

def peak(n, out):
    assert main(["sample", "wares.safetensors", "--n", str(n), "--out", out]) == 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB, of all so far

print(-peak(600, "few") + peak(3000, "many"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    grown = float(done.stdout.splitlines()[-1])
    assert grown < 40, "2,400 more take 118 MB as floats"


# ---- where they come from


def said_in_xmp(packet: bytes | str) -> tuple[str, str]:
    """The sentence, and the kind of source, of an XMP packet."""
    root = ET.fromstring(packet if isinstance(packet, str) else packet.decode())
    attributes = [pair for node in root.iter() for pair in node.attrib.items()]
    (kind,) = [value for key, value in attributes if key.endswith("DigitalSourceType")]
    (sentence,) = [node.text for node in root.iter() if node.tag.endswith("}li")]
    return sentence, kind


def origin(which: str) -> str:
    digest = hashlib.sha256(Path(MODEL).read_bytes()).hexdigest()
    start = f"Generated, not photographed: prodgen {__version__}, model wares (SHA-256 {digest}), seed 3, "
    return start + which + "."


@pytest.mark.parametrize(
    ("out", "n", "file", "which"),
    [
        ("x.png", 6, "x.png", "6 pictures"),
        ("x.png", 1, "x.png", "picture 1 of 1, label=R&D <\u5305>"),
        ("out", 12, "out/R&D -\u5305-/03.png", "picture 3 of 12, label=R&D <\u5305>"),
        ("x.webp", 2, "x.png", "picture 1 of 2, label=R&D <\u5305>"),
    ],
)
def test_each_png_says_that_it_is_generated_by_what_and_from_which_seed(out, n, file, which):
    keep("R&D <\u5305>", "lamp")
    sample(out, *(["--walk"] if out == "x.webp" else []), n=n)
    with Image.open(file) as picture:
        assert picture.text["Description"] == origin(which)
        assert picture.text["Software"] == f"prodgen {__version__}"
        assert said_in_xmp(picture.text["XML:com.adobe.xmp"]) == (origin(which), AI_TERM)


def test_animations_say_it_too():
    keep("mug", "lamp")
    sample("x.gif", "--walk", n=2)
    sample("x.webp", "--walk", n=2)
    sentence = origin("a walk through 2 pictures")
    with Image.open("x.gif") as walk:
        assert walk.info["comment"].decode() == sentence
    with Image.open("x.webp") as walk:
        assert said_in_xmp(walk.info["xmp"]) == (sentence, AI_TERM)


def test_what_was_asked_for_is_said_by_name_or_as_it_was_typed():
    keep(condition=Condition((Factor("kind", ("desk", "floor")), Factor("turn", period=360.0))))
    sample("x.png", "--with", "kind=1", "--with", "turn=-30", n=2)
    with Image.open("x.png") as picture:
        assert picture.text["Description"] == origin("2 pictures, kind=floor, turn=-30")


def test_a_run_is_named_without_the_path_to_it():
    Path("secret/client/run").mkdir(parents=True)
    keep("mug")
    Path(MODEL).rename("secret/client/run/model.safetensors")
    assert main(["sample", "secret/client/run", "--n", "1", "--out", "x.png"]) == 0
    with Image.open("x.png") as picture:
        assert "model run (SHA-256 " in picture.text["Description"]
    assert b"secret" not in Path("x.png").read_bytes()
