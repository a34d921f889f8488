"""Chapter 3.2's own functions are the package's, or agree with closed forms; its explorer draws."""

import math

import numpy as np
import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure

from prodgen import data, evaluation, losses, models, training

NAME = "03-2-vae"
NAMES = data.describe("fashion-mnist").class_names


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, over a small untrained map."""
    namespace: dict = {"names": NAMES}
    run_core(NAME, namespace)
    torch.manual_seed(0)
    namespace["flat"] = namespace["DenseVAE"](2)
    namespace["places"], namespace["kinds"] = torch.randn(40, 2), torch.arange(40) % 10
    return namespace


def rng(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def photos() -> torch.Tensor:
    return 2 * torch.rand(6, 1, 28, 28, generator=rng(9)) - 1


@pytest.fixture
def vae() -> models.VAE:
    torch.manual_seed(1)
    return models.VAE(latent_dim=5, width=4)


# ---------------------------------------------------------------- the core is the package's


def test_the_terms_of_the_bound_are_the_package_s_bit_for_bit(chapter, vae, photos):
    ours, theirs = chapter["elbo_terms"](vae, photos, rng()), vae.elbo_terms(photos, rng())
    assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])
    assert torch.equal(chapter["elbo"](*ours), losses.elbo(*theirs))


def test_price_draw_and_reward_are_the_package_s(chapter, vae):
    mean, log_var = torch.randn(2, 8, 5, generator=rng())
    assert torch.equal(chapter["gaussian_kl"](mean, log_var), losses.gaussian_kl(mean, log_var))
    ours = chapter["reparameterise"](mean, log_var, rng(3))
    assert torch.equal(ours, vae.reparameterise(mean, log_var, rng(3)))
    logits, binary = torch.randn(8, 1, 28, 28), torch.randint(2, (8, 1, 28, 28)).float()
    ours = chapter["bernoulli_log_likelihood"](logits, binary)
    assert torch.equal(ours, losses.bernoulli_log_likelihood(logits, binary))


def test_a_step_has_the_gradient_of_the_package_s_step(chapter, vae, photos):
    trainer = training.VAETrainer(vae)
    logged = trainer.step(photos.clone(), None, rng(4))["loss"]
    theirs = [p.grad.clone() for p in vae.parameters()]
    torch.manual_seed(1)
    same = models.VAE(latent_dim=5, width=4)  # as `vae` was before its step, in the trainer's layout
    same.to(memory_format=torch.channels_last)
    loss = chapter["loss_of"](same, photos, "VAE", rng(4)).mean()
    loss.backward()
    assert torch.equal(loss.detach(), logged)
    for ours, other in zip(same.parameters(), theirs, strict=True):
        assert torch.equal(ours.grad, other)


def test_the_dense_networks_have_the_package_s_shapes(chapter, photos):
    network = chapter["DenseVAE"](7)
    mean, log_var = network.encode(photos)
    assert mean.shape == log_var.shape == (6, 7)
    assert network.decode(mean).shape == photos.shape
    assert chapter["picture"](network, mean).abs().max() <= 1


# ---------------------------------------------------------------- what the switches leave out


def test_the_autoencoder_draws_nothing_and_pays_nothing(chapter, photos):
    network = chapter["DenseVAE"](4)
    binary = chapter["binarise"](photos, rng(5))
    mean, log_var = network.encode(2 * binary - 1)
    expected = -losses.bernoulli_log_likelihood(network.decode(mean), binary)
    assert torch.equal(chapter["loss_of"](network, photos, "autoencoder", rng(5)), expected)
    drawn = chapter["loss_of"](network, photos, "drawn", rng(5))
    paid = chapter["loss_of"](network, photos, "VAE", rng(5))
    torch.testing.assert_close(paid - drawn, losses.gaussian_kl(mean, log_var), atol=1e-3, rtol=0)


def test_training_lowers_the_loss_and_a_seed_fixes_it(chapter):
    images = torch.randint(256, (64, 1, 28, 28), generator=rng(), dtype=torch.uint8)
    few = data.ImageDataset("noise", "train", images, "", "")
    one, two = (chapter["fit_kind"](few, "VAE", images=1_000, seed=2) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    torch.manual_seed(2)
    start = chapter["DenseVAE"](16)
    x = few.batch(slice(None))
    before, after = (chapter["loss_of"](n, x, "VAE", rng()).mean().item() for n in (start, one))
    assert after < before


def test_the_rate_is_constant_and_then_falls(chapter):
    rates = [chapter["learning_rate"](spent) for spent in (0, 0.25, 0.5, 0.75, 1)]
    assert rates[0] == rates[1] == rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(0.05 * rates[0])


def test_the_fitted_gaussian_has_the_codes_mean_and_covariance(chapter):
    codes = torch.randn(500, 3, generator=rng()) @ torch.tensor([[2.0, 0, 0], [1, 0.5, 0], [0, 0, 0]]) + 3
    drawn = chapter["fitted"](codes, 100_000, rng(1))
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), atol=0.03, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(codes.T), atol=0.08, rtol=0)


# ---------------------------------------------------------------- the bound


def test_the_grid_integrates_the_prior_to_one(chapter):
    class Deaf:
        def decode(self, z):
            return torch.zeros(len(z), 1, 28, 28)

    binary = torch.ones(1, 28, 28)
    joint, area = chapter["joint_on_grid"](Deaf(), binary, torch.zeros(2), torch.full((2,), 8.0))
    assert chapter["log_evidence"](joint, area) == pytest.approx(-784 * math.log(2), abs=1e-2)


# ---------------------------------------------------------------- collapse


def test_the_weighted_loss_is_the_vae_s_at_weight_one(chapter, photos):
    network = chapter["DenseVAE"](4)
    ours = chapter["weighted_loss"](network, photos, rng(6)).mean()
    vae_s = chapter["loss_of"](network, photos, "VAE", rng(6)).mean()
    torch.testing.assert_close(ours, vae_s, rtol=1e-5, atol=1e-3)
    free = chapter["weighted_loss"](network, photos, rng(6), beta=3.0, free=1e3).mean()
    drawn = chapter["loss_of"](network, photos, "drawn", rng(6)).mean()
    assert (free - drawn).item() == pytest.approx(3 * 4 * 1e3, rel=1e-4)


def test_active_units_are_those_that_differ(chapter):
    means = torch.stack([torch.linspace(-1, 1, 50), torch.full((50,), 2.0), 0.05 * torch.randn(50)], dim=1)
    assert chapter["active_units"](means) == 1


# ---------------------------------------------------------------- the record, and the explorer


def test_a_mean_is_told_with_half_of_its_interval(chapter):
    values = [1.0, 1.1, 0.9, 1.05, 0.95]
    low, high = evaluation.t_interval(values)
    assert chapter["mean_and_half"](values, 3) == f"1.000 ± {(high - low) / 2:.3f}"
    assert chapter["mean_and_half"](values) == "1.0 ± 0.1"


@pytest.mark.parametrize("place", [(0.0, 0.0), (-3.0, 3.0), (1.2, -0.4)])
def test_the_explorer_draws_every_place(chapter, place):
    figure = chapter["explore"](*place)
    assert isinstance(figure, Figure)
    _, right = figure.axes
    assert right.get_title() == f"at ({place[0]:.1f}, {place[1]:.1f})"
    here = np.asarray(place)
    nearest = ((chapter["places"].numpy() - here) ** 2).sum(axis=1).argmin()
    assert right.texts[0].get_text().endswith(NAMES[chapter["kinds"][nearest]])
    assert figure._repr_png_().startswith(b"\x89PNG")
