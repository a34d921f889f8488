"""Chapter 6.1: orders are encoded, the measures know their controls, and paint is exchanged exactly."""

import math
from pathlib import Path

import pytest
import torch
from chapters import run_core
from fingerprints import study_module

from prodgen import data, evaluation, recorded
from prodgen.data import studio

NAME = "06-1-ecommerce"
BOOK = Path(__file__).parents[1] / "book"


@pytest.fixture(scope="module")
def page() -> dict:
    """What the study's cells define, and the solutions."""
    namespace = vars(study_module(BOOK / f"{NAME}.ipynb"))
    namespace |= {"front": {"azimuth": 30.0, "elevation": 20.0}, "noise": lambda seed: torch.zeros(64)}
    return namespace


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return recorded.load_result(NAME)["values"]


def test_a_variant_holds_the_noise_and_every_factor_but_one(page):
    seen = []

    class Echo:
        condition = studio.CONDITION

        def __call__(self, z, asked):
            seen.append((z, asked))
            return z

    z = torch.randn(64)
    page["variants"](Echo(), z, "colour", torch.arange(8), label="bag", azimuth=30.0)
    ((noise, asked),) = seen
    assert torch.equal(noise, z.expand(8, -1))
    moved = (asked != asked[0]).any(dim=0).nonzero().flatten().tolist()
    place = studio.CONDITION.places["colour"]
    assert moved == list(range(place.start, place.stop))


def test_the_renderer_delivers_what_is_ordered_and_what_was_not_told_is_right_by_chance(page):
    deliveries, asked = page["to_order"](60, 0)
    found = {who: page["scores"](images, asked) for who, images in deliveries.items()}
    assert found["renderer"]["all named"] > 0.9
    assert found["nearest photo"]["all named"] > 0.9
    assert found["colour left open"]["colour"] < 0.4
    assert found["colour left open"]["label"] > 0.6


def test_the_nearest_photo_of_a_wish_that_the_archive_has_is_that_photo(page):
    some = {name: values[:8] for name, values in page["ARCHIVE"].items()}
    assert torch.equal(page["nearest_photos"](some), data.to_float(studio.render(**some)))


def test_the_second_nearest_photo_is_another_one(page):
    some = {name: values[:4] for name, values in page["ARCHIVE"].items()}
    second = page["nearest_photos"](some, torch.ones(4, dtype=torch.int64))
    assert (second != page["nearest_photos"](some)).flatten(1).any(dim=1).all()


def test_a_product_that_is_always_the_same_does_not_separate_and_one_that_is_kept_does(page):
    rng = torch.Generator().manual_seed(0)
    error = 0.05 * torch.randn(200, 8, 3, generator=rng)
    drift, separation = page["drift_and_separation"](0.5 + error)
    assert separation == pytest.approx(1 / math.sqrt(8), rel=0.1)
    kept = page["drift_and_separation"](torch.rand(200, 1, 3, generator=rng) + error)
    assert kept[0] == pytest.approx(drift) and kept[1] > 10 * separation


def test_whoever_does_not_turn_does_not_show_the_azimuth_asked_for(page):
    read = {"azimuth": page["MOVES"]["azimuth"].repeat(2), "colour": torch.full((16,), 3)}
    assert page["shown"](read, "azimuth", 2) == 1
    assert page["shown"]({"azimuth": torch.full((16,), 30.0)}, "azimuth", 2) == 1 / 8  # 45 degrees, by chance
    assert page["shown"](read, "colour", 2) == 1 / 8


@pytest.mark.parametrize("seed", [100, 103])
def test_a_photo_session_has_each_kind_in_every_colour_but_one(page, seed):
    photos = page["photo_session"](seed, n=400)
    pairs = set(zip(photos.labels.tolist(), photos.factors["colour"].tolist(), strict=True))
    gone = set(page["missing"](seed).items())
    every = {(kind, colour) for kind in page["SOLD"] for colour in range(8)}
    assert pairs == every - gone and len(gone) == 4
    assert photos.image_size == 32


def test_paint_is_exchanged_exactly_where_a_surface_is_white_light_and_paint(page):
    paints = page["PAINTS"]
    rng = torch.Generator().manual_seed(0)
    s, paint = 0.3 * torch.rand(2, 1, 1, 4, 4, generator=rng)

    def photo(colour):
        light = s + paint * paints[colour].view(1, 3, 1, 1)
        return 2 * light ** (1 / studio.GAMMA) - 1

    painted = page["recolour"](photo(0), torch.tensor([0]), torch.tensor([4]))
    assert torch.allclose(painted, photo(4), atol=1e-3)
    ground = torch.ones(1, 3, 2, 2)
    assert torch.allclose(page["recolour"](ground, torch.tensor([2]), torch.tensor([5])), ground, atol=1e-3)


def test_pictures_written_in_letters_come_back_in_their_places(page):
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 200, 0]], dtype=torch.uint8)
    images = colours[:, :, None, None].expand(-1, -1, 32, 32).contiguous()
    back = page["from_text"](page["as_text"](images, 2), 2)
    assert back.shape == images.shape
    assert (back.float().mean(dim=(2, 3)) - colours).abs().max() < 12  # WebP keeps colours nearly


def test_the_record_has_a_row_a_seed_of_all_that_the_page_shows(page, rows):
    seeds = set(page["SEEDS"])
    for who in ("generator", "renderer", "colour left open", "nearest photo"):
        assert recorded.by_seed(rows, "all named", {"what": "order", "who": who}).keys() == seeds
    for who in page["KEEPERS"]:
        for move in page["MOVES"]:
            wanted = {"what": "identity", "who": who, "move": move}
            assert recorded.by_seed(rows, "relative", wanted).keys() == seeds
    for who in ("photographed", "missing", "colour left open", "recoloured photo"):
        assert recorded.by_seed(rows, "right", {"what": "never", "who": who}).keys() == seeds
    (sheet,) = (row["sheet"] for row in rows if row["what"] == "sheet")
    assert page["from_text"](sheet, 8).shape == (32, 3, 32, 32)


def test_the_solutions_count_stock_and_mix_colours(page):
    page = run_core(NAME, page | {"asked": studio.random_factors(30, 1)}, "solution")
    few = {name: values[:50] for name, values in page["ARCHIVE"].items()}
    assert page["in_stock"](few, few) == 1
    other = few | {"azimuth": (few["azimuth"] + 180) % 360}
    assert page["in_stock"](other, few) < 0.2
    half = page["mixed"](page["generator"], torch.zeros(64), "red", "blue", label="chair")
    assert half.shape == (1, 3, 64, 64) and half.abs().max() <= 1
    assert set(evaluation.read_factors(half, page["probe"])) >= {"colour", "shape"}
