"""Chapter 6.6.3's own functions: gaps, conditions that are sums, who is right, recolouring, a new kind."""

import pytest
import torch
from chapters import run_core

from prodgen import models
from prodgen.data import studio

NAME = "06-6-3-zero-shot"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define."""
    return run_core(NAME, {"preset": "smoke", "seed": 0}, "experiment")


@pytest.fixture(scope="module")
def photos(chapter):
    return chapter["photographs"](chapter["PAIRS"], 0)


def hangs_together(seen: torch.Tensor) -> bool:
    """Whether kinds and colours are one piece when each seen pair joins its two, by walking there."""
    reached, kinds = {0}, set()
    while True:
        colours = {v for k in reached for v in seen[k].nonzero().flatten().tolist()}
        kinds = {k for v in colours for k in seen[:, v].nonzero().flatten().tolist()} | reached
        if kinds == reached:
            return len(reached) == seen.shape[0] and len(colours) == seen.shape[1]
        reached = kinds


def test_gaps_are_determined_exactly_where_what_is_seen_hangs_together(chapter):
    rng, answers = torch.Generator().manual_seed(0), set()
    for _ in range(60):
        seen = torch.rand(9, 8, generator=rng) < 0.32
        answers.add(hangs_together(seen))
        assert chapter["determined"](seen) == hangs_together(seen)
    assert answers == {True, False}


@pytest.mark.parametrize("count", [1, 4, 16])
def test_gaps_are_as_many_as_asked_and_others_for_another_seed(chapter, count):
    held_out = chapter["gaps"](count, 3)
    assert held_out.sum() == count and torch.equal(held_out, chapter["gaps"](count, 3))
    assert hangs_together(~held_out) and not torch.equal(held_out, chapter["gaps"](count, 4))


def test_a_table_of_sums_is_filled_exactly_and_one_of_products_is_not(chapter):
    rng = torch.Generator().manual_seed(0)
    a, b = torch.rand(9, 1, 5, generator=rng), torch.rand(1, 8, 5, generator=rng)
    seen = ~chapter["gaps"](16, 0)
    for table, exact in ((a + b, True), (a * b, False)):
        known = torch.where(seen[..., None], table, 99.0)
        assert torch.allclose(chapter["completed"](known, seen), table, atol=1e-4) == exact


def test_photos_are_of_their_pairs_and_none_is_left_of_those_held_out(chapter, photos):
    pairs = chapter["PAIRS"]
    assert photos.images.shape == (72, 3, 32, 32)
    assert torch.equal(chapter["pairs_of"](photos), pairs)
    held_out = chapter["gaps"](16, 1)
    left = chapter["pairs_of"](chapter["without"](photos, held_out))
    assert torch.equal(left, pairs[~held_out[pairs[:, 0], pairs[:, 1]]])


def test_mean_pictures_are_means_and_nan_where_there_is_none(chapter, photos):
    means = chapter["mean_pictures"](photos)
    assert torch.equal(means.flatten(0, 1), photos.batch(slice(None)))  # one of each
    held_out = chapter["gaps"](4, 0)
    fewer = chapter["mean_pictures"](chapter["without"](photos, held_out))
    assert torch.equal(fewer.isnan().all(dim=-1).all(dim=-1).all(dim=-1), held_out)


def test_an_order_is_one_sum_of_two_columns(chapter):
    generator = models.Generator(32, 3, condition=chapter["ORDER"])
    vectors = generator.embedding(chapter["orders"](chapter["PAIRS"]))
    assert torch.allclose(vectors[8 * 3 + 5], chapter["embedded"](generator, 3, 5))
    d = models.Discriminator(32, 3, condition=chapter["ORDER"])
    assert torch.allclose(d.embedding(chapter["orders"](chapter["PAIRS"]))[-1], chapter["embedded"](d, 8, 7))


def test_a_column_s_gradient_is_that_of_autograd(chapter):
    torch.manual_seed(0)
    linear, conditions = torch.nn.Linear(17, 6, bias=False), chapter["orders"](chapter["PAIRS"][::5])
    loss = linear(conditions).sin().sum()
    loss.backward()
    deltas = linear(conditions).cos().detach()
    assert torch.allclose(chapter["column_gradient"](conditions, deltas), linear.weight.grad, atol=1e-5)


def test_a_number_stands_for_its_pair_and_no_training_moves_that_of_a_gap(chapter, photos):
    held_out = chapter["gaps"](16, 0)
    by_number = chapter["numbered"](photos)
    with_gaps = chapter["numbered"](chapter["without"](photos, held_out))
    assert by_number.conditions().argmax(dim=1).tolist() == list(range(72))
    assert by_number.condition.factors[0].values[9] == "orange bottle"
    generator = models.Generator(32, 3, condition=by_number.condition)
    assert torch.equal(chapter["asked"](generator, chapter["PAIRS"]), torch.eye(72))
    moved = chapter["moved_columns"](with_gaps, 0, images=256)
    assert moved.any() and not moved[held_out.flatten()].any()


def test_both_must_be_right(chapter, monkeypatch):
    read = {"label": torch.tensor([0, 0, 1, 1]), "colour": torch.tensor([2, 3, 2, 3])}
    monkeypatch.setattr(chapter["evaluation"], "read_factors", lambda images, probe: read)
    found = chapter["shares"](torch.zeros(4, 3, 32, 32), torch.tensor([[0, 2], [0, 2], [0, 2], [1, 0]]))
    assert found == {"kind": 0.75, "colour": 0.5, "right": 0.25}


def test_the_probe_reads_renders_of_every_pair(chapter, photos):
    assert chapter["shares"](photos.batch(slice(None)), chapter["PAIRS"])["right"] > 0.95


def test_repainting_gives_the_render_in_the_other_colour(chapter):
    same = {"label": [0, 2, 8], "shape": 0.4, "image_size": 32}
    red, teal = (studio.render(**same, colour=colour).float() / 127.5 - 1 for colour in ("red", "teal"))
    old, new = torch.zeros(3).long(), torch.full((3,), 4)
    apart = (red - teal).abs().mean()
    assert (chapter["repaint"](red, old, new) - teal).abs().mean() < 0.2 * apart
    assert (chapter["turn_tint"](red, old, new) - teal).abs().mean() < 0.9 * apart
    for way in chapter["WAYS"].values():
        assert (way(red, old, old) - red).abs().mean() < 0.1 * apart


def test_the_rivals_take_photos_of_the_kind_in_another_colour(chapter, photos):
    pairs, rng = chapter["PAIRS"][::7], torch.Generator().manual_seed(0)
    taken = chapter["pairs_of"](photos)[chapter["of_the_kind"](photos, pairs, rng)]
    assert torch.equal(taken[:, 0], pairs[:, 0]) and (taken[:, 1] != pairs[:, 1]).all()


def test_the_catalogue_frames_what_was_held_out(chapter, photos):
    held_out = chapter["gaps"](4, 0)
    frames = chapter["catalogue"](photos.images, held_out).axes[0].patches
    corners = {(round(f.get_y() / 34), round(f.get_x() / 34)) for f in frames}
    assert corners == set(map(tuple, held_out.nonzero().tolist()))


def test_a_new_kind_is_one_fresh_column(chapter):
    model = models.Generator(32, 3, condition=chapter["ORDER"])
    other = chapter["with_new_kind"](model, 8, 0)
    differ = (other.embedding.weight != model.embedding.weight).all(dim=0)
    assert differ.nonzero().flatten().tolist() == [8]
    assert torch.equal(other.stem.weight, model.stem.weight)
