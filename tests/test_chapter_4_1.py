"""Chapter 4.1's own functions say what its text says of them: networks, counts, losses, the smallest GAN."""

import math

import numpy as np
import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure
from torch import nn

from prodgen import losses, models
from prodgen.data import Condition

NAME = "04-1-models"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, and nothing else of the notebook."""
    return run_core(NAME, {})


def test_the_two_layers_in_numpy_are_those_of_torch(chapter):
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4), nn.Tanh()).double()
    D = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 1)).double()
    z = torch.randn(6, 5, dtype=torch.float64)
    with torch.no_grad():
        x, logit = G(z), D(G(z))[:, 0]
    ours = chapter["generator"](z.numpy(), *(p.detach().numpy() for p in G.parameters()))
    np.testing.assert_allclose(ours, x)
    weights = [p.detach().numpy() for p in D.parameters()]
    np.testing.assert_allclose(chapter["logit"](ours, *weights), logit)
    np.testing.assert_allclose(chapter["discriminator"](ours, *weights), torch.sigmoid(logit))


def test_a_network_without_its_first_bias_lies_on_the_line(chapter):
    torch.manual_seed(0)
    x = torch.randn(20, 9)
    for bias in (False, True):
        network = nn.Sequential(nn.Linear(9, 8, bias=bias), nn.ReLU(), nn.Linear(8, 1))
        assert (chapter["leaves_the_line"](network, x, (0.3, 0.6, 2.0)) < 1e-5) != bias


@pytest.mark.parametrize("layer", [
    nn.Linear(3, 5), nn.Linear(3, 5, bias=False), nn.Conv2d(2, 3, (4, 3)), nn.Conv2d(2, 3, 4, bias=False),
    nn.ConvTranspose2d(2, 3, 4), nn.ConvTranspose2d(2, 3, 4, bias=False), nn.BatchNorm2d(6),
    nn.ReLU(),
], ids=str)  # fmt: skip
def test_a_layer_s_parameters_follow_from_its_shape(chapter, layer):
    assert chapter["parameters"](layer) == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize(("d", "w", "K", "F"), [(64, 32, 10, 128), (8, 4, 1, 16), (100, 12, 7, 33)])
def test_the_totals_are_those_of_the_package_s_networks(chapter, d, w, K, F):
    classes = Condition.of_classes([str(k) for k in range(K)])
    networks = (
        models.Generator(latent_dim=d, width=w, condition=classes),
        models.Discriminator(width=w, condition=classes, num_features=F),
    )
    counted = tuple(sum(p.numel() for p in network.parameters()) for network in networks)
    assert chapter["totals"](d, w, K, F) == counted
    assert tuple(sum(part.values()) for part in chapter["pieces"](d, w, K, F)) == counted


@pytest.mark.parametrize("settings", [{}, {"d": 8, "w": 8, "K": 1}, {"d": 256, "w": 128, "K": 100}])
def test_the_explorer_draws_and_writes_the_totals(chapter, settings):
    figure = chapter["explore"](**settings)
    assert isinstance(figure, Figure)
    totals = chapter["totals"](*({"d": 64, "w": 32, "K": 10} | settings).values())
    assert [text.get_text().strip() for text in figure.axes[0].texts] == [f"{total:,}" for total in totals]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_losses_are_the_package_s(chapter):
    real, fake = 40 * torch.randn(2, 500, generator=torch.Generator().manual_seed(1))
    assert torch.equal(
        chapter["discriminator_loss"](real, fake), losses.cross_entropy_discriminator(real, fake)
    )
    assert torch.equal(chapter["generator_loss"](fake), losses.non_saturating_generator(real, fake))
    assert torch.equal(chapter["minimax_loss"](fake), losses.minimax_generator(real, fake))


def test_the_slopes_are_autograd_s_and_of_opposite_sign(chapter):
    a = torch.linspace(-30, 30, 61, dtype=torch.float64, requires_grad=True)
    of_error, of_loss = chapter["slopes"](a)
    (error,) = torch.autograd.grad(losses.cross_entropy_discriminator(torch.zeros(()), a).sum(), a)
    (loss,) = torch.autograd.grad(losses.non_saturating_generator(a, a).sum(), a)
    torch.testing.assert_close(of_error, error)
    torch.testing.assert_close(of_loss, loss)
    assert (of_error * of_loss < 0).all()


def test_the_standard_error_is_that_of_a_mean(chapter):
    values = torch.tensor([1.0, 3.0, 5.0])
    assert chapter["standard_error"](values, 16) == pytest.approx(2 / 4)


def test_the_generator_s_step_moves_the_generator_alone(chapter):
    torch.manual_seed(0)
    G, D = models.Generator(width=8), models.Discriminator(width=8)
    before = [p.clone() for p in (*G.parameters(), *D.parameters())]
    z, optimiser = torch.randn(8, 64), torch.optim.SGD(G.parameters(), 0.1)
    with torch.no_grad():
        expected = losses.non_saturating_generator(torch.zeros(8), D(G(z))).mean().item()
    assert chapter["generator_step"](G, D, optimiser, z) == pytest.approx(expected, rel=1e-5)
    moved = [not torch.equal(a, b) for a, b in zip(before, (*G.parameters(), *D.parameters()), strict=True)]
    of_G = len(list(G.parameters()))
    assert any(moved[:of_G]) and not any(moved[of_G:])
    assert all(p.requires_grad for p in D.parameters())


def test_the_smallest_gan_s_losses_are_the_package_s(chapter):
    theta, psi = torch.tensor(0.7), torch.tensor(-1.3)
    of_D, of_G = chapter["dirac_losses"](theta, psi)
    fake = (psi * theta)[None]
    assert of_D == pytest.approx(losses.cross_entropy_discriminator(torch.zeros(1), fake).item())
    assert of_G == pytest.approx(losses.non_saturating_generator(fake, fake).item())


def test_a_step_near_the_equilibrium_is_its_matrix(chapter):
    for rate in (0.1, 1.0):
        grown = math.hypot(1, rate / 2)
        together, in_turn = (chapter["step_matrix"](rate, turn) for turn in (False, True))
        np.testing.assert_allclose(together @ together.T, grown**2 * np.eye(2))
        assert np.linalg.det(in_turn) == pytest.approx(1)
        for rule, matrix in (("together", together), ("in turn", in_turn)):
            path = chapter["walk"](rule, steps=1, rate=rate, start=(3e-6, 4e-6))
            np.testing.assert_allclose(path[1], matrix @ path[0], rtol=1e-6)


def test_together_with_the_minimax_loss_never_comes_nearer(chapter):
    path = chapter["walk"]("minimax, together", steps=200)
    assert (np.diff(np.linalg.norm(path, axis=1)) > 0).all()


def test_the_rules_end_as_the_text_says(chapter):
    left = {
        rule: chapter["left_over"](chapter["walk"](rule))
        for rule in ("minimax, together", "together", "in turn", "in turn, R1", "one sum")
    }
    assert left["one sum"] == 1 < left["minimax, together"]
    assert left["in turn, R1"] < 0.01 < left["in turn"] < left["together"]


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_in_turn_arrives_like_one_over_the_root_of_time_and_together_stays_on_its_ring(chapter, rate):
    for steps in (2_000, 50_000):
        found = chapter["far_walk"](steps, rate, True)
        assert found == pytest.approx(chapter["in_turn_radius"](steps, rate), rel=0.05)
    assert chapter["far_walk"](50_000, rate, False) == pytest.approx(math.sqrt(2 * rate), rel=0.05)
    for in_turn, rule in ((True, "in turn"), (False, "together")):
        end = chapter["walk"](rule, steps=30, rate=rate)[-1]
        assert chapter["far_walk"](30, rate, in_turn) == pytest.approx(math.hypot(*end))
