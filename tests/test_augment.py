"""The random changes in front of a discriminator that has few photos to learn from."""

import pytest
import torch

from prodgen import training
from prodgen.data import ImageDataset
from prodgen.training.augment import _color, _cutout, _translation, augment


def seeded():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("shape", [(64, 1, 28, 28), (64, 3, 64, 64)])
def test_it_keeps_shape_and_type_and_repeats_by_its_seed(shape):
    images = torch.rand(shape, generator=seeded()) * 2 - 1
    changed = augment(images, seeded())
    assert changed.shape == images.shape and changed.dtype == images.dtype
    assert torch.equal(changed, augment(images, seeded()))
    assert not torch.equal(changed, images)


def test_each_image_has_changes_of_its_own():
    one = torch.rand(1, 3, 64, 64, generator=seeded())
    changed = augment(one.expand(50, -1, -1, -1), seeded())
    assert len(changed.flatten(1).unique(dim=0)) == 50


def test_a_shift_moves_by_an_eighth_of_the_side_at_most_in_both_directions():
    dot = torch.zeros(2_000, 1, 64, 64)
    dot[:, :, 30, 40] = 1
    places = _translation(dot, seeded())[:, 0].nonzero()
    assert len(places) == 2_000  # one dot an image, as bright as before
    assert places[:, 1].unique().tolist() == list(range(22, 39))
    assert places[:, 2].unique().tolist() == list(range(32, 49))


def test_a_product_on_white_stays_on_white_and_nothing_comes_round_from_the_other_side():
    photo = torch.ones(500, 1, 64, 64)
    photo[:, :, 20:40, :32] = -1  # it reaches the left border, and only that
    changed = _translation(photo, seeded())
    assert set(changed.unique().tolist()) == {-1, 1}
    assert changed[..., -1].min() == 1 and changed[:, :, 0].min() == 1
    assert (changed[..., 0].amin(dim=(1, 2)) == -1).all()  # repeated at the border it lay on


def test_the_hole_is_a_square_of_half_the_side_cut_by_the_border_only():
    hole = 1 - _cutout(torch.ones(500, 1, 64, 64), seeded())[:, 0]
    for one in hole:
        rows, columns = one.any(dim=1), one.any(dim=0)
        assert torch.equal(one.bool(), rows[:, None] & columns)
        for side in (rows, columns):
            assert side.sum() <= 32 and (side.sum() == 32 or side[0] or side[-1])
    assert hole.sum(dim=(1, 2)).max() == 32 * 32


def test_colours_change_in_brightness_saturation_and_contrast_only():
    grey = torch.full((200, 3, 8, 8), 0.2)
    shifts = (_color(grey, seeded()) - grey).flatten(1)
    assert shifts.std(dim=1).max() < 1e-6  # a flat grey stays flat and grey
    assert shifts.abs().max() <= 0.5 and shifts.std() > 0.2
    picture = torch.rand(200, 1, 8, 8, generator=seeded())
    spread = _color(picture, seeded()).std(dim=(1, 2, 3)) / picture.std(dim=(1, 2, 3))
    assert 0.5 <= spread.min() < 0.6 and 1.4 < spread.max() <= 1.5  # without colours: contrast alone


def test_gradients_reach_every_pixel_that_is_still_to_be_seen():
    images = torch.rand(20, 3, 28, 28, generator=seeded()).requires_grad_()
    augment(images, seeded()).square().sum().backward()
    assert images.grad.isfinite().all()
    assert (images.grad.flatten(1).abs().sum(dim=1) > 0).all()


def folder_of(count, size=28):
    images = torch.zeros(1, 1, size, size, dtype=torch.uint8).expand(count, -1, -1, -1)
    return ImageDataset("made", "train", images, "none", "made")


def test_a_small_data_set_is_augmented_and_a_large_one_is_not():
    assert training.new_trainer("gan", folder_of(9_999)).augmented
    assert not training.new_trainer("gan", folder_of(10_000)).augmented


def test_larger_pictures_are_trained_more_calmly():
    small, large = (training.new_trainer("gan", folder_of(64, size)) for size in (28, 64))
    rates = [trainer.optimisers["generator"].param_groups[0]["lr"] for trainer in (small, large)]
    assert rates[1] < rates[0] and large.recipe.r1_gamma > small.recipe.r1_gamma


def test_both_steps_see_photos_and_pictures_through_changes(monkeypatch):
    shown = []

    def noted(images, rng):
        shown.append(images)
        return images * 0 + 7

    monkeypatch.setattr("prodgen.training.gan.augment", noted)
    trainer = training.new_trainer("gan", folder_of(100))
    seen = []
    trainer.discriminator.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].detach().unique())
    )
    trainer.step(torch.zeros(8, 1, 28, 28), None, seeded())
    assert len(shown) == 2  # the photos and the pictures
    assert len(seen) == 4 and all(values.tolist() == [7] for values in seen)  # two of each step
