"""The faces are the published ones, and the whole of LFW is read where it lies, or missed in one sentence."""

from urllib.error import URLError

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from sklearn.datasets import _lfw

from prodgen import data
from prodgen.data import faces


def test_splits_share_nothing_and_come_in_the_package_s_form():
    splits = {split: data.load("faces", split) for split in data.describe("faces").images}
    assert {split: len(part) for split, part in splits.items()} == data.describe("faces").images
    for part in splits.values():
        assert part.images.shape[1:] == (1, 28, 28) and part.images.dtype == torch.uint8
        assert part.labels is None and part.num_classes == 0
    every = torch.cat([part.images.flatten(1) for part in splits.values()])
    assert len(every) == 200 and len(every[:100].unique(dim=0)) == 100  # no face twice


def test_enlarging_keeps_the_picture():
    original = torch.from_numpy(skimage.data.lfw_subset()[:70]).flatten(1).mean(dim=1)
    enlarged = (data.load("faces").batch(slice(None)).flatten(1).mean(dim=1) + 1) / 2
    torch.testing.assert_close(enlarged.double(), original, atol=5e-3, rtol=0)


def test_bytes_and_floats_in_scikit_image_are_the_same_faces(monkeypatch):
    before = data.load("faces").images
    pixels = np.round(255 * skimage.data.lfw_subset()).astype(np.uint8)
    monkeypatch.setattr(skimage.data, "lfw_subset", lambda: pixels)
    assert torch.equal(data.load("faces").images, before)


def test_altered_pixels_and_unknown_splits_are_refused(monkeypatch):
    with pytest.raises(data.DataError, match="no split 'all'; it has: train, test, not-faces"):
        data.load("faces", "all")
    with pytest.raises(data.DataError, match="28 pixels only"):
        data.load("faces", image_size=64)
    altered = skimage.data.lfw_subset()
    altered[3, 4, 5] = 1 - altered[3, 4, 5]
    monkeypatch.setattr(skimage.data, "lfw_subset", lambda: altered)
    with pytest.raises(data.DataError, match=r"install scikit-image 0\.26"):
        data.load("faces")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path))
    return tmp_path / "lfw_home"


def test_lfw_is_read_where_it_lies(home):
    rng = np.random.default_rng(0)
    for target in ("pairs.txt", "pairsDevTrain.txt", "pairsDevTest.txt"):
        home.mkdir(exist_ok=True)
        (home / target).touch()
    brightness = {"Ann_A": [40, 80], "Bob_B": [200]}
    for person, values in brightness.items():
        (home / "lfw_funneled" / person).mkdir(parents=True)
        for number, value in enumerate(values):
            pixels = rng.integers(0, 256, (250, 250, 3), np.uint8)
            pixels[75:175, 75:175] = value  # only the middle is used
            Image.fromarray(pixels).save(home / "lfw_funneled" / person / f"{person}_{number}.png")
    lfw = faces.load_lfw(download=False)
    assert (lfw.name, lfw.split, lfw.images.shape) == ("lfw", "all", (3, 1, 28, 28))
    middle = lfw.images[:, 0, 2:-2, 2:-2].flatten(1)
    assert sorted(middle.float().mean(dim=1).round().tolist()) == [40, 80, 200]


@pytest.mark.parametrize("download", [True, False])
def test_lfw_out_of_reach_is_one_sentence_with_every_way(home, monkeypatch, download):
    def no_network(*arguments, **settings):
        raise URLError("no route to host")

    monkeypatch.setattr(_lfw, "_fetch_remote", no_network)
    with pytest.raises(data.DataError, match="a network, or put lfw-funneled"):
        faces.load_lfw(download=download)
