"""Chapter 3.2.4's functions do what its text says, and are those that the study of 3.2 ran."""

import re

import pytest
import torch
from chapters import cells, run_core

from prodgen import models

NAME = "03-2-4-uses"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define."""
    return run_core(NAME, {})


def rng(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small() -> models.VAE:
    return models.VAE(latent_dim=4, width=4).eval()


@pytest.fixture
def photos() -> torch.Tensor:
    return 2 * torch.rand(6, 1, 28, 28, generator=rng(9)) - 1


def test_the_uses_are_those_of_the_study_whose_record_the_page_reads():
    ours, theirs = ({cell.id: cell.source for cell in cells(name)} for name in (NAME, "03-2-vae"))
    for cell in ("edit", "denoise", "transfer"):  # the equations are numbered on their own page alone
        assert re.sub(r"(,| of) eq\. \(3\.2\.4–\d\)", "", ours[cell]) == theirs[cell]
    assert theirs["score"].startswith(ours["codes"])


# ---------------------------------------------------------------- edited, cleaned, restyled


def test_an_edit_of_length_nothing_is_a_rebuild(chapter, photos):
    network = small()
    rebuilt = chapter["picture"](network, chapter["code"](network, photos))
    w = chapter["direction"](network, photos[:3], photos[3:])
    assert torch.equal(chapter["edit"](network, photos, w, t=0.0), rebuilt)
    assert not torch.allclose(chapter["edit"](network, photos, w), rebuilt)
    centre = chapter["code"](network, photos[:1])[0]
    same = chapter["transfer"](network, photos, photos[:1].expand(6, -1, -1, -1), centre)
    torch.testing.assert_close(same, rebuilt)


def test_the_search_improves_on_the_encoder_s_answer(chapter, photos):
    torch.manual_seed(0)
    network, strength = small(), 0.3
    noisy = chapter["add_noise"](photos, strength, rng())

    def objective(z):
        misfit = ((noisy - chapter["picture"](network, z)) / 2).square().sum() / (2 * strength**2)
        return (misfit + z.square().sum() / 2).item()

    start = chapter["code"](network, noisy.clamp(-1, 1))
    assert objective(chapter["search_code"](network, noisy, strength)) < objective(start)


def test_tone_and_pattern_look_at_the_product_alone(chapter):
    x = torch.full((2, 1, 28, 28), -1.0)
    x[:, :, 8:20, 8:20] = 0.2  # grey 0.6 on black
    x[1, :, 8:20, 8:20:2] = 0.6  # stripes: 0.8 beside 0.6
    assert chapter["tone"](x).tolist() == pytest.approx([0.6, 0.7])
    across, down = 0.2 * 12 * 11, 0.0
    assert chapter["pattern"](x).tolist() == pytest.approx([0.0, (across + down) / (2 * 12 * 11)], abs=1e-6)


def test_noise_has_the_strength_asked_for_and_the_filters_keep_a_plain_image(chapter):
    plain = torch.full((4, 1, 28, 28), 0.3)
    noisy = chapter["add_noise"](plain, 0.2, rng())
    assert chapter["pixel_error"](noisy, plain) == pytest.approx(20, rel=0.05)
    for cleaned in (chapter["blurred"](plain, 1.0), chapter["median_of"](plain)):
        torch.testing.assert_close(cleaned, plain)
