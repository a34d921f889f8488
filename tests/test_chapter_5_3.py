"""Chapter 5.3 tells what each fault does to a run; smoke is too short to show it, so it is shown here."""

import pytest
import torch
from chapters import run_core

from prodgen import data, models

NAME = "05-3-walkthrough"
STEPS = 120  # of the preset quick
SEED = 3  # none of those that the chapter shows


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, and nothing else of the notebook."""
    namespace: dict = {"seed": SEED, "preset": "quick"}
    return run_core(NAME, namespace)


@pytest.fixture(scope="module")
def late(chapter):
    """A function: the means of a variant's three measurements over the last third of its steps."""
    photos = data.load("fashion-mnist").subset(slice(0, 6_000))

    def run(**switches) -> list[float]:
        _, log = chapter["article_program"](photos, STEPS, **switches)
        return log[-STEPS // 3 :].mean(dim=0).tolist()

    return run


def test_the_article_s_networks_have_the_parameters_that_its_listing_implies(chapter):
    width, cells, pixels = 128, 7 * 7, 28 * 28
    convolution = width * width * 25 + width
    generator = (100 + 1) * width * cells + 2 * convolution + (width * cells + 1) * pixels
    discriminator = width * 25 + width + convolution + width * pixels + 1
    count = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    assert count(chapter["article_generator"]()) == generator
    assert count(chapter["article_discriminator"]()) == discriminator


def test_multiplications_of_a_transposed_convolution_are_those_of_its_mirror_image(chapter):
    down, up = torch.nn.Conv2d(3, 5, 4, 2, 1), torch.nn.ConvTranspose2d(5, 3, 4, 2, 1)
    (there,) = chapter["cost"](down, torch.zeros(1, 3, 8, 8))
    (back,) = chapter["cost"](up, torch.zeros(1, 5, 4, 4))
    assert there[3] == back[3] == 3 * 5 * 16 * 16
    assert back[1] == "3 × 8 × 8"


def test_mended_the_logit_stays_near_zero_and_pictures_in_range(late):
    logit, right, outside = late()
    assert -3 < logit < 1 and right > 0.6 and outside == 0


def test_with_the_target_generated_the_generator_helps_the_discriminator(late):
    logit, right, _ = late(target=torch.zeros(16, 1))
    assert logit < -4 and right > 0.99


def test_a_discriminator_that_is_not_frozen_calls_everything_real(late):
    logit, right, _ = late(frozen=False)
    assert logit > 1 and right == pytest.approx(0.5, abs=0.02)


def test_without_a_tanh_pictures_leave_the_range_of_the_photos(late):
    assert late(tanh=False)[2] > 0.4


def test_fitted_to_a_constant_the_generator_stops_below_zero_whatever_the_data(chapter):
    pictures = []
    for photos in (data.load("fashion-mnist").of_class(k).subset(slice(0, 500)) for k in (1, 8)):
        generator, _ = chapter["article_program"](photos, STEPS, constant=True, tanh=False)
        with torch.no_grad():
            pictures.append(generator(torch.randn(8, 100, generator=torch.Generator().manual_seed(0))))
    assert torch.equal(*pictures)
    assert (pictures[0] > 0).float().mean() < 0.1  # pressed down to 0,
    assert pictures[0].mean() > -0.5  # and no further: photos have a black ground at -1


def test_our_networks_are_the_smaller_ones_in_every_respect(chapter):
    total = lambda rows, column: sum(row[column] for row in rows)  # noqa: E731
    x, z = torch.zeros(1, 1, 28, 28), torch.zeros(1, 100)
    pairs = [
        (
            chapter["cost"](chapter["article_generator"](), z),
            chapter["cost"](models.Generator().eval(), z[:, :64]),
        ),
        (chapter["cost"](chapter["article_discriminator"](), x), chapter["cost"](models.Discriminator(), x)),
    ]
    for theirs, ours in pairs:
        for column in (2, 3):
            assert total(ours, column) < total(theirs, column)
