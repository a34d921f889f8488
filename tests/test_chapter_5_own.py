"""The page on one's own photos: its functions, its record, and that the study does what the command does."""

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from chapters import run_core
from fingerprints import study_module
from PIL import Image

from prodgen import cli, data, models, presets, recorded
from prodgen.data import studio

NAME = "05-own-photos"
BOOK = Path(__file__).parents[1] / "book"


@pytest.fixture(scope="module")
def page() -> dict:
    """What the cells tagged `core` define, beside the imports of the page."""
    namespace = dict(vars(study_module(BOOK / f"{NAME}.ipynb")))
    outside = {"recorded": recorded, "studio": studio, "io": io, "base64": base64, "np": np, "Picture": Image}
    namespace |= outside
    return run_core(NAME, namespace)


@pytest.fixture(scope="module")
def shop() -> tuple[data.ImageDataset, data.ImageDataset]:
    """Photos of nine kinds to learn from, and held-out ones, rendered."""
    factors = studio.random_factors(54, 0)
    factors["label"] = torch.arange(54) % 9
    photos = studio.dataset(factors, "train", studio.render(**factors)).only("label")
    return photos.subset(slice(0, 45)), photos.subset(slice(45, None))


def test_pictures_written_in_letters_come_back_in_their_places(page):
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9], [200, 200, 0], [0, 200, 200]])
    images = colours.to(torch.uint8)[:, :, None, None].expand(-1, -1, 64, 64).contiguous()
    back = page["from_text"](page["as_text"](images, 3), 3)
    assert back.shape == images.shape
    assert (back.float().mean(dim=(2, 3)) - colours).abs().max() < 12  # WebP keeps colours nearly


def test_a_sheet_has_a_column_a_kind(page):
    kinds, each = 3, 4
    value = torch.arange(kinds * each).float() / 6 - 1
    pictures = value[:, None, None, None].expand(-1, 3, 2, 2)
    shown = page["sheet"](pictures, each, rows=2)
    assert shown[:, 0, 0, 0].tolist() == data.to_uint8(value[[0, 4, 8, 1, 5, 9]]).tolist()


def test_photos_score_about_one_and_copies_have_no_distance(page, shop, monkeypatch):
    photos, held_out = shop
    places = torch.cat([(photos.labels == k).nonzero().squeeze(1).repeat(8) for k in range(9)])

    def copied(model, n, condition):
        assert n == len(places) and torch.equal(condition, photos.conditions()[places])
        return photos.batch(places)

    monkeypatch.setattr(models, "sample", copied)
    _, numbers, pairs = page["measured"](None, photos, held_out)
    assert numbers["sharpness"] == pytest.approx(1, abs=0.5)
    assert 0.6 < numbers["spread"] < 1  # among copies of five photos some pairs are the same photo
    assert numbers["distance"] == 0 and numbers["suspects"] == 1
    assert torch.equal(pairs[:9], pairs[9:])


def test_one_picture_again_and_again_has_no_variety(page, shop, monkeypatch):
    photos, held_out = shop
    monkeypatch.setattr(models, "sample", lambda model, n, condition: photos.batch([0]).expand(n, -1, -1, -1))
    assert page["measured"](None, photos, held_out)[1]["spread"] == pytest.approx(0, abs=1e-6)


def test_the_study_trains_what_the_command_trains(page, shop, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "cache"))
    page["from_studio"](tmp_path / "shop", 12)
    photos, held_out = (data.load(tmp_path / "shop", split, image_size=64) for split in ("train", "test"))
    kept = []
    monkeypatch.setitem(
        page["looked_at"].__globals__, "measured", lambda model, *_: kept.append(model) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        page["looked_at"](photos, held_out, 3, (128,))
    assert presets.gan_recipe(64).constant_share == 1  # so a station of a longer run is a shorter run
    command = ["train", "gan", "--data", str(tmp_path / "shop"), "--image-size", "64", "--images", "128"]
    assert cli.main([*command, "--seed", "3", "--out", str(tmp_path / "run")]) == 0
    theirs = models.load(tmp_path / "run" / "model.safetensors")
    for name, value in kept[0].state_dict().items():
        assert torch.equal(value.cpu(), theirs.state_dict()[name]), name


def test_only_the_first_photos_of_each_kind_are_taken(page, shop):
    few = page["few_of_each"](shop[0], 2)
    assert len(few) == 18 and torch.bincount(few.labels).tolist() == [2] * 9
    assert page["few_of_each"](shop[0], None) is shop[0]


def test_the_archive_fills_a_folder_of_five_kinds(page, tmp_path):
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for kind in (*page["KINDS"], "hat"):
            for part in ("train", "validation"):
                for i in range(4):
                    archive.writestr(f"set-master/{part}/{kind}/{i}.jpg", f"{part} {kind} {i}")
    page["from_archive"](tmp_path / "some.zip", tmp_path / "shop", 3)
    assert sorted(folder.name for folder in (tmp_path / "shop").iterdir()) == sorted(page["KINDS"])
    first = (tmp_path / "shop" / "dress" / "000.jpg").read_text()
    assert first == "train dress 0" and len(list((tmp_path / "shop").rglob("*.jpg"))) == 15


def test_without_the_archive_the_studio_stocks_the_folder_and_the_page_says_so(page, tmp_path, monkeypatch):
    monkeypatch.setenv("PRODGEN_DATA", str(tmp_path))
    said = page["stock"](tmp_path / "shop", 2)
    assert "studio" in said and len(list((tmp_path / "shop").glob("*/*.png"))) == 10


def test_the_blind_sheet_mixes_as_many_of_each_and_knows_which_are_drawn(page):
    new, drawn = torch.zeros(15, 3, 2, 2), torch.ones(10, 3, 2, 2)
    mixed, is_drawn = page["blind_sheet"](new, drawn, 10, seed=0)
    assert mixed.shape == (20, 3, 2, 2) and torch.equal(mixed[:, 0, 0, 0] == 1, is_drawn)
    assert is_drawn.sum() == 10 and 0 < is_drawn[:10].sum() < 10


def test_a_coin_is_rarely_taken_for_an_eye(page):
    rng = np.random.default_rng(0)
    said = [page["told_apart"](int(right), 20)[2] for right in rng.binomial(20, 0.5, 1000)]
    assert said.count("they are told apart") / 1000 < 0.04
    assert page["told_apart"](19, 20)[2] == "they are told apart"
    assert page["told_apart"](50, 100)[2] == "no difference was found"


def test_the_record_shows_what_the_page_says_of_it(page):
    rows = recorded.load_result(NAME)["values"]
    stations = [row for row in rows if row["run"] == "recipe" and row["seed"] == 0]
    assert [row["images"] for row in stations] == list(page["LOOKS"])
    assert {row["photos"] for row in stations} == {450}
    for row in (*stations, *(next(row for row in rows if row["run"] == name) for name in page["WRONG"])):
        assert page["from_text"](row["sheet"], 5).shape == (25, 3, 64, 64)
        assert page["from_text"](row["pairs"], 5).shape == (10, 3, 64, 64)
