"""Chapter 3.1's own functions do what its text says: the turns, the bilinear game, the counts."""

import math

import numpy as np
import pytest
import torch
from chapters import equations_without_a_function, run_core
from matplotlib.figure import Figure

from prodgen import data, losses, models, presets, training

NAME = "03-1-gan"
THREE = data.Condition.of_classes("abc")


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define, and nothing else of the notebook."""
    namespace: dict = {"names": data.describe("fashion-mnist").class_names}
    return run_core(NAME, namespace, "experiment")


# ---------------------------------------------------------------- equations


def test_each_numbered_equation_has_a_function_that_names_it_and_is_named_in_the_text(chapter):
    assert equations_without_a_function(NAME, chapter) == []


# ---------------------------------------------------------------- the principle


def test_the_best_discriminator_beats_any_other_and_its_value_is_the_closed_form(chapter):
    rng = torch.Generator().manual_seed(0)
    p, q = torch.rand(2, 6, generator=rng, dtype=torch.float64).softmax(dim=1)
    best = torch.logit(chapter["best_discriminator"](p, q))
    top = chapter["value"](best, p, q)
    assert top.item() == pytest.approx(chapter["best_value"](p, q).item())
    for _ in range(50):
        other = best + torch.randn(6, generator=rng, dtype=torch.float64)
        assert chapter["value"](other, p, q) < top
    assert chapter["best_value"](p, q) > chapter["best_value"](p, p)
    assert chapter["best_value"](p, p).item() == pytest.approx(-math.log(4))
    apart = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])  # nothing in common: D wins all there is
    assert chapter["best_value"](*apart).item() == pytest.approx(0, abs=1e-6)


def test_the_losses_are_the_package_s(chapter):
    real, fake = 30 * torch.randn(2, 64, generator=torch.Generator().manual_seed(1))
    ours, theirs = chapter["discriminator_loss"], losses.cross_entropy_discriminator
    assert torch.equal(ours(real, fake), theirs(real, fake))
    assert torch.equal(chapter["generator_loss"](fake), losses.non_saturating_generator(real, fake))


# ---------------------------------------------------------------- the two turns


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_the_game_moves_both_players_as_the_package_s_trainer_does(chapter, gamma):
    rng = torch.Generator().manual_seed(0)
    real, condition = torch.rand(16, 1, 28, 28, generator=rng) * 2 - 1, THREE.in_turn(16)
    recipe = presets.GANRecipe(
        loss="non-saturating", width=8, r1_gamma=gamma, learning_rate=2e-3, betas=(0.5, 0.9)
    )
    ours, theirs = (players(recipe) for _ in range(2))
    trainer = training.GANTrainer(*theirs, recipe)
    shared = torch.Generator().manual_seed(5)
    for trainer.steps in range(6):  # its two turns alone: its step leaves some classes open
        fake = trainer.generator(torch.randn(16, recipe.latent_dim, generator=shared), condition)
        trainer.discriminator_step(real.clone(), fake, condition)
        log = trainer.generator_step(real, fake, condition)
    game = chapter["play"](
        *ours, lambda rng: (real.clone(), condition), 6, latent_dim=recipe.latent_dim, seed=5,
        learning_rate=2e-3, betas=(0.5, 0.9), gamma=gamma,
    )  # fmt: skip
    (*_, (_, mine)) = game
    for one, other, fresh in zip(ours, theirs, players(recipe), strict=True):
        start = fresh.state_dict()
        for name, weights in one.state_dict().items():
            assert torch.equal(weights, other.state_dict()[name]), name
        assert any(not torch.equal(weights, start[name]) for name, weights in one.state_dict().items())
    assert mine["g_loss"] == log["g_loss"]


def players(recipe):
    torch.manual_seed(3)
    shape = {"width": recipe.width, "condition": THREE}
    two = models.Generator(latent_dim=recipe.latent_dim, **shape), models.Discriminator(**shape)
    return [player.to(memory_format=torch.channels_last) for player in two]


def test_what_reaches_the_generator_is_the_gradient_of_each_picture_s_own_loss(chapter):
    discriminator = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    fake = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    logits = discriminator(fake)
    (gradient,) = torch.autograd.grad(chapter["generator_loss"](logits).mean(), fake)
    slope = discriminator[1].weight.norm()
    expected = (1 - logits.sigmoid()) * slope  # the chain rule: |dL/da| times |da/dx|
    torch.testing.assert_close(chapter["reach"](gradient), expected.detach(), rtol=1e-4, atol=1e-6)


def test_ten_turns_are_ten_turns(chapter):
    count = {"G": 0, "D": 0}

    class Counted(torch.nn.Linear):
        def forward(self, x, condition=None):
            if self.training and self.weight.requires_grad and self.out_features == 1:
                count["D"] += 1
            if self.out_features == 2:
                count["G"] += 1
            out = super().forward(x)
            return out.squeeze(1) if self.out_features == 1 else out

    settings = {"latent_dim": 3, "gamma": 0.0, "replies": 10}
    game = chapter["play"](Counted(3, 2), Counted(2, 1), chapter["ring"], 4, **settings)
    assert [number for number, _ in game] == [0, 1, 2, 3]
    assert count == {"G": 40, "D": 8}  # D learns from photos and from pictures, once a round


# ---------------------------------------------------------------- the bilinear game


@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_the_game_at_once_is_a_spiral_and_in_turn_keeps_its_ellipse(chapter, alpha):
    u, v = 0.6, -1.1
    at_once = chapter["orbit"](80, alpha, at_once=True, start=(u, v))
    spiral = complex(u, v) * (1 + 1j * alpha) ** np.arange(81)
    np.testing.assert_allclose(at_once, np.stack([spiral.real, spiral.imag], axis=1), rtol=1e-9, atol=1e-9)
    u, v = chapter["orbit"](500, alpha, start=(u, v)).T
    kept = u**2 + v**2 + alpha * u * v
    np.testing.assert_allclose(kept, kept[0])


@pytest.mark.parametrize(
    ("setting", "closed_form"),
    [
        ({"alpha": 0.3, "at_once": True}, math.sqrt(1 + 0.3**2)),
        ({"alpha": 0.3}, 1.0),
        ({"alpha": 0.3, "gamma": 0.4}, math.sqrt(1 - 0.3 * 0.4)),
        ({"alpha": 0.3, "gamma": 0.4, "at_once": True}, math.sqrt(1 - 0.3 * 0.4 + 0.3**2)),
    ],
)
def test_the_growth_is_the_closed_form_and_what_the_orbit_does(chapter, setting, closed_form):
    assert chapter["growth"](**setting) == pytest.approx(closed_form)
    far = np.linalg.norm(chapter["orbit"](400, **setting), axis=1)
    assert (far[-1] / far[200]) ** (1 / 200) == pytest.approx(closed_form, abs=3e-3)


@pytest.mark.parametrize("order", ["in turn", "at once"])
@pytest.mark.parametrize(("alpha", "gamma"), [(0.02, 0.0), (0.2, 0.1), (2.2, 0.0), (2.2, 3.0)])
def test_the_explorer_draws_every_corner_and_says_what_happens(chapter, alpha, gamma, order):
    figure = chapter["explore"](alpha=alpha, gamma=gamma, order=order)
    assert isinstance(figure, Figure) and figure._repr_png_().startswith(b"\x89PNG")
    factor = chapter["growth"](alpha, gamma, order == "at once")
    words = "goes round" if abs(factor - 1) < 1e-9 else "runs away" if factor > 1 else "comes to rest"
    assert figure.axes[0].get_title().startswith(words)


# ---------------------------------------------------------------- counting


def test_clouds_are_counted_where_they_are_and_strays_are_not(chapter):
    found, centres = chapter["modes_found"], chapter["CENTRES"]
    assert centres.norm(dim=1).allclose(torch.tensor(2.0))
    assert found(centres) == (8, pytest.approx(1.0))
    assert found(centres[:3].repeat(10, 1)) == (3, pytest.approx(1.0))
    stray = centres * (1 + 4 * chapter["SPREAD"] / 2)  # four deviations outside
    assert found(stray) == (0, 0.0)
    rare = torch.cat([centres[:1].repeat(99, 1), centres[1:2]])  # 1 % is less than a tenth of an eighth
    assert found(rare) == (1, pytest.approx(1.0))


def test_a_collapse_has_learnt_where_clouds_are_and_draws_few_of_them_at_every_look(chapter):
    collapsed, centres = chapter["collapsed"], chapter["CENTRES"]
    three, four, nowhere = centres[:3].repeat(10, 1), centres[:4].repeat(10, 1), torch.zeros(40, 2)
    assert collapsed([three]) and collapsed([nowhere, three, nowhere])
    assert not collapsed([four]) and not collapsed([three, four, three])
    assert not collapsed([nowhere]), "it never learnt anything"
    half = torch.cat([three, torch.zeros(31, 2)])
    assert not collapsed([half]) and collapsed([half[:-1]])


def test_what_is_known_of_points_is_so(chapter):
    known = chapter["known_points"](seed=5)
    said = {name: chapter["collapsed"]([points]) for name, points in known.items()}
    assert said == {"untrained": False, "one photo": True, "photos": False}
    assert known["one photo"].unique(dim=0).shape == (1, 2)


def test_the_effective_number_counts_equal_shares(chapter):
    effective = chapter["effective_number"]
    for k in (1, 2, 5, 10):
        assert effective(torch.full((k,), 7)) == pytest.approx(k, rel=1e-5)
    assert 1 < effective(torch.tensor([99, 0, 1])) < 1.1


def test_a_shop_has_collapsed_if_it_had_an_assortment_and_draws_few_products_at_every_look(chapter):
    collapsed = chapter["shop_collapsed"]

    def look(piles, precision=0.9):
        return {"piles": piles, "precision": precision}

    photos = look(90)
    assert collapsed(look(60), [look(19), look(10, 0.5)], photos)
    assert not collapsed(look(60), [look(19), look(20)], photos), "a third is left at one look"
    assert not collapsed(look(60), [look(19), look(19, 0.4)], photos), "blots are no products"
    assert not collapsed(look(44), [look(1)], photos), "it had no assortment"
    assert not collapsed(look(60, 0.4), [look(1)], photos), "it had learnt no products"


def test_what_is_known_of_pictures_is_so(chapter):
    by = chapter["judges"](400)
    photos = chapter["look_at"](data.load("fashion-mnist", "test").batch(slice(400, 800)), **by)
    said = {}
    for name, pictures in chapter["known_pictures"](seed=5, n=400).items():
        first, later = (chapter["look_at"](some, **by) for some in pictures)
        said[name] = chapter["shop_collapsed"](first, [later], photos)
    expected = dict.fromkeys(said, False) | {"ten photos": True}
    assert said == expected and len(said) == 5


def test_a_game_that_goes_on_leaves_the_players_it_began_with(chapter):
    start, _ = chapter["learnt_products"](0, rounds=2, count=10)
    before = [value.clone() for player in start for value in player.state_dict().values()]
    settings = chapter["CALM"] | {"replies": 2}
    players, looks, logs = chapter["play_on"](start, 4, 1, looks=2, count=10, **settings)
    after = [value for player in start for value in player.state_dict().values()]
    assert all(map(torch.equal, before, after)) and len(looks) == 2 and len(logs) == 4
    moved = [value for player in players for value in player.state_dict().values()]
    assert not all(map(torch.equal, before, moved))
    torch.testing.assert_close(looks[-1], models.sample(players[0], 10))
