"""The clothing photos come whole from a known archive, and every way to get them is named."""

import hashlib
from io import BytesIO
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from prodgen import data
from prodgen.data import clothing

COUNTS = {"train": 3, "validation": 2, "test": 1}


def archive(splits) -> bytes:
    """A tiny archive of the published layout; each photo has one grey, by its place."""
    content = BytesIO()
    with ZipFile(content, "w") as opened:
        for split in splits:
            for i in range(COUNTS[split]):
                photo = BytesIO()
                Image.new("RGB", (40, 80), (50 * i, 50 * i, 50 * i)).save(photo, "JPEG")
                kind = clothing.INFO.class_names[i]
                opened.writestr(f"clothing-dataset-small-master/{split}/{kind}/{i}.jpg", photo.getvalue())
        opened.comment = clothing.COMMIT.encode()
    return content.getvalue()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """An archive without test part lies in $PRODGEN_DATA, and there is no network."""
    content = archive(["train", "validation"])
    (tmp_path / clothing.FILE).write_bytes(content)
    monkeypatch.setenv("PRODGEN_DATA", str(tmp_path))
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(clothing, "SHA256", hashlib.sha256(content).hexdigest())
    for split, count in COUNTS.items():
        monkeypatch.setitem(clothing.INFO.images, split, count)
    monkeypatch.setattr(clothing.urllib.request, "urlopen", unreachable)
    return tmp_path


def unreachable(address, timeout):
    raise OSError("no network")


def test_photos_arrive_whole_with_their_classes_and_their_source(tiny):
    train = data.load("clothing", "train")
    assert train.images.shape == (3, 3, 64, 64) and train.images.dtype == torch.uint8
    assert train.labels.tolist() == [0, 1, 2] and train.class_names == clothing.INFO.class_names
    assert (train.images[:, :, :, :8] == 255).all()  # a photo twice as high as wide, on white
    assert np.allclose(train.images[:, 0, 32, 32].float(), [0, 50, 100], atol=2)
    assert "smaller" in train.source and train.licence == "CC0"
    assert len(data.load("clothing", "validation")) == 2


def test_it_is_described_as_it_is_loaded(tiny):
    info, train = data.describe("clothing"), data.load("clothing")
    assert (info.name, info.licence) == (train.name, train.licence) and train.source.startswith(info.source)
    assert (info.image_size, info.channels) == (train.image_size, train.channels)
    assert info.images["train"] == len(train) and info.class_names == train.class_names


def test_what_is_in_the_cache_needs_no_archive(tiny, monkeypatch):
    first = data.load("clothing").images.clone()
    (tiny / clothing.FILE).unlink()
    monkeypatch.delenv("PRODGEN_DATA")
    assert torch.equal(data.load("clothing").images, first)


@pytest.mark.parametrize("harm", ["altered", "cut off", "missing", "not set"])
def test_without_a_sound_source_every_way_is_named(tiny, monkeypatch, harm):
    file = tiny / clothing.FILE
    content = file.read_bytes()
    if harm == "missing":
        file.unlink()
    elif harm == "not set":
        monkeypatch.delenv("PRODGEN_DATA")
    else:
        file.write_bytes(content[:-1] + b"?" if harm == "altered" else content[: len(content) // 2])
    with pytest.raises(data.DataError, match=r"network; or set PRODGEN_DATA(.|\n)*no network"):
        data.load("clothing")
    assert not (tiny / "cache" / "clothing").exists()


def test_the_part_that_the_smaller_archive_lacks_is_named(tiny):
    with pytest.raises(data.DataError, match=r"it has no split 'test'"):
        data.load("clothing", "test")
    with pytest.raises(data.DataError, match="no split 'all'; it has: train, validation, test"):
        data.load("clothing", "all")


def test_github_s_archive_has_the_test_part_and_another_one_is_refused(tiny, monkeypatch):
    content = archive(COUNTS)
    monkeypatch.delenv("PRODGEN_DATA")
    monkeypatch.setattr(clothing.urllib.request, "urlopen", lambda address, timeout: BytesIO(content))
    with pytest.raises(data.DataError, match="not the archive that this package knows"):
        data.load("clothing", "test")
    monkeypatch.setattr(clothing, "NAMES", clothing._names(ZipFile(BytesIO(content))))
    test = data.load("clothing", "test")
    assert len(test) == 1 and "GitHub" in test.source


def test_a_cache_that_was_cut_off_is_not_served(tiny):
    data.load("clothing")
    (file,) = (tiny / "cache" / "clothing").glob("archive-*/train-labels")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(data.DataError, match="damaged: remove it"):
        data.load("clothing")
