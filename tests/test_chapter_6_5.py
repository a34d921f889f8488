"""Chapter 6.5's style and novelty do what its equations say, and noise is not taken for novelty."""

import math

import pytest
import torch
from chapters import run_core

from prodgen import data, models


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define."""
    return run_core("06-5-art", {"preset": "smoke", "seed": 0})


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return data.load("fashion-mnist", "test").batch(slice(0, 64))


def test_a_gram_matrix_is_the_mean_of_the_places_products(chapter):
    maps = torch.randn(2, 3, 4, 5)
    wanted = torch.einsum("nchw,ndhw->ncd", maps, maps) / 20
    assert torch.allclose(chapter["gram"](maps), wanted, atol=1e-6)


def test_a_photo_in_its_own_style_costs_nothing(chapter, photos):
    few = photos[:3]
    assert chapter["style_loss"](few, few, few, 1.0).abs().max() < 1e-9


def test_restyling_paints_the_product_alone_and_comes_nearer(chapter, photos):
    few, swatch = photos[:2], photos[2:4]
    painted = chapter["restyle"](few, swatch, steps=10)
    ground = few <= -0.9
    assert torch.equal(painted[ground], few[ground]) and painted.abs().max() <= 1
    before, after = (chapter["style_loss"](x, few, swatch, 1.0) for x in (few, painted))
    assert (after < before).all()


def test_a_swap_to_the_own_condition_is_the_reconstruction(chapter):
    torch.manual_seed(0)
    condition = data.Condition.of_classes(("red", "blue"))
    vae = models.VAE(32, 3, latent_dim=4, width=4, likelihood="gaussian", condition=condition).eval()
    images, own = torch.rand(2, 3, 32, 32), torch.eye(2)
    with torch.no_grad():
        wanted = vae(vae.encode(images, own)[0], own)
    assert torch.equal(chapter["swap"](vae, images, own, own), wanted)
    assert not torch.equal(chapter["swap"](vae, images, own, own.flip(0)), wanted)


def test_the_creative_loss_is_least_and_doubt_greatest_where_all_classes_are_alike(chapter):
    k = 10
    logits = torch.zeros(1, k, requires_grad=True)
    loss = chapter["creative_loss"](logits)
    loss.sum().backward()
    assert logits.grad.abs().max() < 1e-6
    assert loss.item() == pytest.approx(math.log(k) - (k - 1) * math.log(1 - 1 / k), abs=1e-5)
    assert chapter["doubt"](logits).item() == pytest.approx(1)
    assert chapter["doubt"](100 * torch.eye(k)).max() < 1e-6


def test_each_spoilt_picture_is_made_of_the_photos(chapter, photos):
    kinds = chapter["spoilt"](photos, torch.Generator().manual_seed(0))
    assert all(x.shape == photos.shape and x.abs().max() <= 1 for x in kinds.values())
    shuffled = kinds["shuffled pixels"].flatten(1).sort(dim=1).values
    assert torch.equal(shuffled, photos.flatten(1).sort(dim=1).values)
    assert torch.allclose(kinds["two photos averaged"].mean(), photos.mean(), atol=1e-4)


def test_the_judge_tells_photos_from_noise(chapter, photos):
    train = data.load("fashion-mnist").subset(slice(0, 2_000))
    judge = chapter["trained"](train, chapter["sound_or_spoilt"], 2, 60, 0)
    kinds = chapter["spoilt"](photos, torch.Generator().manual_seed(1))
    sure = chapter["one_product"](judge, photos).median()
    for name in ("random pixels", "shuffled pixels", "photos with noise"):
        assert (chapter["one_product"](judge, kinds[name]) < sure).float().mean() > 0.9, name
