"""Medical patches are cut where the module says, no pixel is in two splits, and other files are refused."""

import shutil
from importlib.resources import files

import pytest
import torch

from prodgen import data
from prodgen.data import medical


@pytest.fixture(scope="module")
def splits() -> dict[str, data.ImageDataset]:
    return {split: data.load("medical", split) for split in medical.SPLITS}


def test_splits_have_what_is_said_of_them(splits):
    assert {split: len(part) for split, part in splits.items()} == data.describe("medical").images
    for part in splits.values():
        assert part.images.shape[1:] == (3, 32, 32) and part.images.dtype == torch.uint8
        assert part.class_names == ("retina", "tissue") and part.labels.unique().tolist() == [0, 1]
        assert part.conditions().shape == (len(part), 2)


def test_no_pixel_stands_in_two_splits(monkeypatch):
    def numbered(name):
        """In the place of a picture: its rows, counted."""
        rows = torch.arange(30, 330).view(1, -1, 1)
        return rows.expand(3, -1, 64).float()

    monkeypatch.setattr(medical, "picture", numbered)
    rows = [set(medical.load(split).images.unique().tolist()) for split in medical.SPLITS]
    assert sum(map(len, rows)) == len(set.union(*rows)) > 250


def test_patches_are_the_picture_s_own_pixels(splits):
    tissue, first = medical.picture("tissue"), splits["train"].of_class("tissue").images
    across = (tissue.shape[2] - 32) // 4 + 1
    assert torch.equal(first[0], tissue[:, :32, :32])
    assert torch.equal(first[across + 1], tissue[:, 4:36, 4:36])
    assert torch.equal(splits["test"].of_class("tissue").images[0], tissue[:, 171:203, :32])


def test_the_black_around_the_eye_is_left_out(splits):
    for part in splits.values():
        assert part.of_class("retina").images.float().mean(dim=1).min() > medical.DARK
    assert (medical.picture("retina").float().mean(dim=0) < medical.DARK).float().mean() > 0.1


def test_another_split_or_size_is_refused():
    with pytest.raises(data.DataError, match="no split 'all'; it has: train, validation, test"):
        data.load("medical", "all")
    with pytest.raises(data.DataError, match="32 pixels only"):
        data.load("medical", image_size=64)


@pytest.mark.parametrize("harm", ["altered", "cut off", "missing"])
def test_another_file_is_refused(tmp_path, monkeypatch, harm):
    for file, *_ in medical.PICTURES.values():
        shutil.copy(files("skimage.data") / file, tmp_path / file)
    monkeypatch.setattr(medical, "files", lambda package: tmp_path)
    assert len(medical.load("test"))
    content = (tmp_path / "ihc.png").read_bytes()
    if harm == "missing":
        (tmp_path / "ihc.png").unlink()
    else:
        harmed = content[:-1] + b"?" if harm == "altered" else content[: len(content) // 2]
        (tmp_path / "ihc.png").write_bytes(harmed)
    with pytest.raises(data.DataError, match=r"ihc\.png .*install scikit-image 0\.26"):
        medical.load("test")
