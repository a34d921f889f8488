"""Chapter 3.1.4's own functions do what its text says: the search, its rivals, the shop's own generator."""

import pytest
import torch
from chapters import equations_without_a_function, run_core

from prodgen import data, evaluation, models, training

NAME = "03-1-4-uses"
THREE = data.Condition.of_classes("abc")


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define, and nothing else of the notebook."""
    namespace: dict = {"names": data.describe("fashion-mnist").class_names}
    return run_core(NAME, namespace, "experiment")


def test_each_numbered_equation_has_a_function_that_names_it_and_is_named_in_the_text(chapter):
    assert equations_without_a_function(NAME, chapter) == []


# ---------------------------------------------------------------- repaired, enlarged, augmented


def test_the_search_finds_the_z_of_a_picture_that_the_generator_drew(chapter):
    torch.manual_seed(0)
    generator = models.Generator(width=8, latent_dim=4, condition=THREE).eval()
    asked = THREE.in_turn(3)
    own = models.sample(generator, 3, asked, seed=1)
    hole = chapter["around_the_hole"]
    found = chapter["fit_latent"](generator, hole, hole(own), asked, steps=200, lam=1e-6)
    before = chapter["error_in_hole"](torch.zeros_like(own), own)
    assert (chapter["error_in_hole"](found, own) < 0.2 * before).all()
    assert all(weights.requires_grad for weights in generator.parameters()), "the generator is left as it was"


def test_the_loss_of_a_search_is_misfit_plus_the_prior(chapter):
    torch.manual_seed(0)
    generator = models.Generator(width=8, latent_dim=4).eval()
    z = torch.randn(2, 4)
    own = generator(z)
    loss = chapter["repair_loss"](generator, lambda x: 2 * x, 2 * own + 0.5, z, None, lam=3.0)
    expected = 0.25 * 784 + 3 * z.square().sum(dim=1)
    torch.testing.assert_close(loss, expected)


@pytest.fixture(scope="module")
def shelf() -> data.ImageDataset:
    """Thirty noise images of three classes, in turn."""
    rng = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (30, 1, 28, 28), dtype=torch.uint8, generator=rng)
    known = {"factors": {"label": torch.arange(30) % 3}, "condition": THREE}
    return data.ImageDataset("noise", "train", images, "CC0", "here", **known)


def test_the_best_fitting_photo_is_of_the_class_and_ignores_the_hole(chapter, shelf):
    wanted, hole = torch.tensor([7, 11, 3, 29]), chapter["around_the_hole"]
    damaged = hole(shelf.batch(wanted))
    found = chapter["best_fitting"](shelf, hole, damaged, shelf.labels[wanted])
    assert torch.equal(found, shelf.batch(wanted))
    assert chapter["error_in_hole"](found, shelf.batch(wanted)).max() == 0
    all_ten = chapter["best_fitting"](shelf, hole, damaged, shelf.labels[wanted], 10)
    torch.testing.assert_close(all_ten, chapter["class_means"](shelf)[shelf.labels[wanted]])


def test_the_regression_finds_what_is_linear_in_what_is_left_class_by_class(chapter):
    rng = torch.Generator().manual_seed(4)
    labels, first = torch.arange(100) % 2, torch.rand(100, 1, 1, 1, generator=rng)
    slopes = torch.where(labels == 0, 0.5, -0.5).view(-1, 1, 1, 1)
    images = torch.where(chapter["KEPT"] == 0, 0.5 + slopes * (first - 0.5), 0.5)
    images[..., :1, :1] = first  # the hole follows one pixel, in one class upwards and in the other down
    known = {"factors": {"label": labels}, "condition": data.Condition.of_classes("ab")}
    photos = (255 * images).round().to(torch.uint8)
    lines = data.ImageDataset("lines", "train", photos, "CC0", "here", **known)
    some = torch.arange(10)
    seen = chapter["around_the_hole"](lines.batch(some))
    goal = lines, chapter["around_the_hole"], seen, labels[some]
    guessed = chapter["into_the_hole"](chapter["regression"](*goal, 1e-6), seen)
    assert chapter["error_in_hole"](guessed, lines.batch(some)).max() < 0.02
    held_down = chapter["into_the_hole"](chapter["regression"](*goal, 1e6), seen)
    average = chapter["into_the_hole"](chapter["class_means"](lines)[labels[some]], seen)
    torch.testing.assert_close(held_down, average, atol=1e-3, rtol=0)


def test_moved_copies_keep_their_pixels_and_their_number(chapter):
    images = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    moved = chapter["moved"](images, torch.Generator().manual_seed(1), by=2, mirror=True)
    assert moved.shape == images.shape and not torch.equal(moved, images)
    torch.testing.assert_close(moved.flatten(1).sort(dim=1).values, images.flatten(1).sort(dim=1).values)
    assert torch.equal(chapter["moved"](images, torch.Generator(), by=0, mirror=False), images)


def test_a_shop_s_own_generator_sees_its_own_photos_alone(chapter, shelf, monkeypatch):
    seen = []
    batch = data.ImageDataset.batch

    def watched(dataset, chosen):
        seen.append(dataset)
        return batch(dataset, chosen)

    monkeypatch.setattr(data.ImageDataset, "batch", watched)
    drawn = chapter["own_pictures"](shelf, seed=0, stops=(1, 3))
    assert list(drawn) == [1, 3] and drawn[1].shape == (1_000, 1, 28, 28)
    assert len(seen) == 3 and all(one is shelf for one in seen)
    assert not torch.equal(drawn[1], drawn[3])


def test_the_shop_s_own_game_is_the_one_that_chapter_3_1_plays(chapter, shelf):
    """Bit for bit: the record of its uses was made with the turns that chapter 3.1 writes out."""
    games = run_core("03-1-gan", {"names": shelf.class_names}, "experiment")
    generator, discriminator = games["new_players"](shelf.condition, 16, 5)
    average = training.EMA(generator, 10_000)
    for number, _ in games["play"](generator, discriminator, games["photos_of"](shelf), 5, seed=5):
        average.update(generator, 64 * (number + 1), 64)
    theirs = models.sample(average.model, 1_000, shelf.condition.in_turn(1_000), seed=5)
    (ours,) = chapter["own_pictures"](shelf, seed=5, stops=(5,)).values()
    assert torch.equal(ours, theirs)


def test_the_small_classifier_learns_which_half_is_white(chapter):
    images = torch.full((20, 1, 28, 28), -1.0)
    images[::2, :, :14] = 1
    labels = torch.arange(20) % 2
    network = chapter["small_classifier"](images, labels, steps=20)
    assert torch.equal(evaluation.predict(images, network), labels)
