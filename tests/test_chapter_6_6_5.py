"""Chapter 6.6.5's own functions: fields, moving, freezing, the ruler, and what a seed gives."""

import pytest
import torch
from chapters import run_core

from prodgen import data, models, recorded
from prodgen.data import medical

NAME = "06-6-5-cross-domain"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define."""
    return run_core(NAME, {"preset": "smoke", "seed": 0}, "experiment")


@pytest.fixture(scope="module")
def classifier() -> models.Classifier:
    """Untrained, so that nothing here depends on the shipped one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.Classifier().eval()


@pytest.fixture(scope="module")
def pair(chapter):
    """A GAN that has seen a few products, and ten letters to move to."""
    few = chapter["some"](chapter["letters"]("train"), 10, 0)
    products = data.load("fashion-mnist").only().subset(slice(0, 64))
    source = chapter["player"](products, 0, 2e-3)
    chapter["learn"](source, products, 64, 0)
    return source, few


def test_no_letter_is_in_two_parts_and_none_is_there_twice(chapter):
    parts = [chapter["letters"](part).images for part in chapter["PARTS"]]
    everything = torch.cat(parts).flatten(1)
    assert len(everything.unique(dim=0)) == len(everything)
    assert len(everything) == len(chapter["drawn_letters"]()[0])
    assert len(parts[0]) > 1_000 and len(parts[2]) > 500
    assert all(part.flatten(1).amax(dim=1).min() > 0 for part in parts), "an empty picture"


def test_no_pixel_of_tissue_is_in_two_parts(chapter, monkeypatch):
    size = 256
    places = torch.arange(size * size).view(1, size, size).expand(3, -1, -1)
    seen = {}
    for digit in range(3):  # a pixel's number does not fit into a byte: digit by digit
        monkeypatch.setattr(medical, "picture", lambda _, digit=digit: places // 250**digit % 250)
        for part in chapter["PARTS"]:
            pixels = chapter["tissue"](part).images.long() * 250**digit
            seen[part] = seen.get(part, 0) + pixels
    numbers = {part: set(pixels.flatten().tolist()) for part, pixels in seen.items()}
    assert not numbers["train"] & numbers["test"] and not numbers["validation"] & numbers["test"]
    assert not numbers["train"] & numbers["validation"]
    blocks = (size // chapter["BLOCK"]) ** 2
    assert sum(map(len, numbers.values())) == blocks * chapter["BLOCK"] ** 2


def test_the_grey_of_a_patch_is_the_mean_of_the_colours(chapter):
    whole = medical.picture("tissue").float().mean(dim=0).round().to(torch.uint8)
    first = chapter["tissue"]("test").images[0, 0]
    assert torch.equal(first, whole[: chapter["SIZE"], : chapter["SIZE"]])


def test_more_images_hold_the_fewer(chapter):
    train = chapter["letters"]("train")
    few, more = (chapter["some"](train, n, 3).images for n in (5, 9))
    assert torch.equal(few, more[:5])
    assert not torch.equal(few, chapter["some"](train, 5, 4).images)


def test_a_moved_pair_begins_where_the_other_ended(chapter, pair):
    source, few = pair
    moved = chapter["begin_from"](chapter["player"](few, 1, 1e-3), source)
    for name, network in source.networks.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, moved.networks[name].state_dict()[key]), key
    assert moved.augmented and moved.steps == 0
    assert not any(optimiser.state for optimiser in moved.optimisers.values())
    before = chapter["weights"](source)
    chapter["learn"](moved, few, 32, 0)
    assert chapter["travelled"](before, chapter["weights"](source))["G: stem"] == 0, "the source moved too"


def test_a_frozen_layer_stays_and_all_others_move(chapter, pair):
    source, few = pair
    frozen = chapter["freeze"](chapter["begin_from"](chapter["player"](few, 1, 1e-3), source))
    before = chapter["weights"](frozen)
    chapter["learn"](frozen, few, 64, 0)
    far = chapter["travelled"](before, chapter["weights"](frozen))
    assert [layer for layer, way in far.items() if way == 0] == ["D: first"]


def test_the_way_of_a_layer_is_in_lengths_of_itself(chapter):
    before, after = {"a": torch.tensor([3.0, 4.0])}, {"a": torch.tensor([3.0, 5.0])}
    assert chapter["travelled"](before, after)["a"] == pytest.approx(1 / 5)


def test_every_weight_matrix_is_in_one_layer(chapter, pair):
    source, _ = pair
    counted = sum(len(vector) for vector in chapter["weights"](source).values())
    all_of_them = sum(p.numel() for network in source.networks.values() for p in network.parameters())
    left = sum(p.numel() for name, p in source.discriminator.named_parameters() if name.startswith("head"))
    norms = [p for name, p in source.generator.named_parameters() if name.startswith(("body.0.", "body.4."))]
    assert counted == all_of_them - left - sum(p.numel() for p in norms)


def test_a_copy_is_found_although_it_moved_by_a_pixel_and_a_new_image_is_none(chapter, classifier):
    images = chapter["letters"]("train").batch(slice(0, 300))
    few, held_out, new = images[:20], images[20:160], images[160:]
    ruler = chapter["Ruler"](few, held_out, classifier)
    for place in ((0, 1), (-1, 0), (1, 1)):
        assert ruler(few.roll(place, (2, 3)))["copies"] == 1
    assert ruler(few.roll(4, 3))["copies"] < 0.3
    assert ruler(new)["copies"] < 0.1
    expected = torch.stack([(classifier.features(x[None]) - ruler.few).norm(dim=1).min() for x in new[:5]])
    assert torch.allclose(ruler.nearest(classifier.features(new[:5])), expected, rtol=1e-3)


def test_the_distance_grows_with_blur_and_has_a_floor(chapter):
    classifier = recorded.load_model("classifier-fashion-mnist")
    images = chapter["letters"]("train").batch(slice(0, 400))
    ruler = chapter["Ruler"](images[:20], images[:200], classifier)
    same, half = ruler(images[:200]), ruler(images[200:])
    blurred = torch.nn.functional.avg_pool2d(images[200:], 5, 1, 2)
    assert all(same[space] == chapter["FLOOR"][space] for space in chapter["SPACES"])
    assert all(ruler(blurred)[space] > 2 * half[space] for space in chapter["SPACES"])


def test_recorded_pictures_come_back(chapter):
    images = torch.randint(256, (10, 1, 28, 28), dtype=torch.uint8)
    assert torch.equal(chapter["pictures_of"]({"pictures": chapter["sheet"](images)}), images)


def test_one_seed_gives_the_rows_that_the_claims_select(chapter, monkeypatch):
    ways = ("moved", "nothing", "snow", "frozen")
    monkeypatch.setitem(chapter, "WAYS", {("letters", 5): ways, ("tissue", 5): ways})
    monkeypatch.setitem(chapter, "BATCH", 8)
    rows = chapter["one_seed"](7, first=8, then=64, n=20)
    for field in chapter["FIELDS"]:
        of = [row for row in rows if row["field"] == field]
        ends = {(row["way"], row["shown"]) for row in of}
        ends_at = ("moved", "snow", "frozen", "shifted", "new", "half of new")
        assert {(way, 64) for way in ends_at} <= ends
        looks = sorted(row["shown"] for row in of if row["way"] == "nothing")
        assert looks == [16, 32, 64, 72]
        assert all({*chapter["SPACES"], "copies"} <= row.keys() for row in of)
        more = {round(row["copied"] - row["copies"], 6) for row in of if row["way"] == "new"}
        assert more == {chapter["MORE_COPIES"]}
        [shifted] = [row for row in of if row["way"] == "shifted"]
        assert shifted["copies"] == 1
    assert {row["seed"] for row in rows} == {7}
