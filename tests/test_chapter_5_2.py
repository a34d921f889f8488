"""Chapter 5.2 writes out what the package does: the same numbers, step for step and bit for bit."""

import pytest
import torch
from chapters import run_core

from prodgen import losses, models, presets, training
from prodgen.data import Condition, ImageDataset

NAME = "05-2-implementation"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, and nothing else of the notebook."""
    return run_core(NAME, {})


def photos(n=70) -> ImageDataset:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 1, 28, 28), generator=rng, dtype=torch.uint8)
    known = {"factors": {"label": torch.arange(n) % 3}, "condition": Condition.of_classes("abc")}
    return ImageDataset("noise", "train", images, "CC0", "made here", **known)


def trainers(chapter, kind, conditional):
    """The chapter's trainer and the package's, around equal networks."""
    recipe = {"gan": presets.GANRecipe, "vae": presets.VAERecipe}[kind](width=8, batch_size=16)
    theirs, twin = (
        training.new_trainer(kind, photos(), conditional=conditional, recipe=recipe) for _ in range(2)
    )
    if kind == "gan":
        theirs.augmented = False  # the chapter leaves that to small data sets
        return chapter["GANTrainer"](twin.generator, twin.discriminator, recipe), theirs
    return chapter["VAETrainer"](twin.vae, recipe), theirs


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_functions_under_the_equations_are_those_of_the_package(chapter):
    real, fake = 30 * torch.randn(2, 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(
        chapter["discriminator_loss"](real, fake), losses.relativistic_discriminator(real, fake)
    )
    assert torch.equal(chapter["generator_loss"](real, fake), losses.relativistic_generator(real, fake))
    assert torch.equal(
        chapter["gaussian_kl"](real[:, None], fake[:, None] / 9),
        losses.gaussian_kl(real[:, None], fake[:, None] / 9),
    )
    target = (fake[:, None] > 0).float()
    ours = chapter["bernoulli_log_likelihood"](real[:, None], target)
    assert torch.equal(ours, losses.bernoulli_log_likelihood(real[:, None], target))
    assert torch.equal(chapter["elbo"](real, fake), losses.elbo(real, fake))

    x = torch.randn(4, 1, 28, 28, requires_grad=True)
    discriminator = models.Discriminator(width=8)
    logits = discriminator(x)
    theirs = losses.r1_penalty(discriminator(x), x)
    assert torch.equal(chapter["r1_penalty"](logits, x), theirs)


# 230 images: an epoch's end in the middle of a batch, a short last batch, both halves of the learning rate.
@pytest.mark.parametrize(("kind", "conditional"), [("gan", True), ("gan", False), ("vae", False)])
def test_the_chapter_s_loop_and_steps_end_where_the_package_s_do(chapter, kind, conditional):
    ours, theirs = trainers(chapter, kind, conditional)
    steps = list(chapter["fit"](ours, photos(), 230, seed=3))
    average, logs = steps[-1][1], [log for *_, log in steps]
    fresh, _ = trainers(chapter, kind, conditional)
    run = training.train(theirs, photos(), images=230, seed=3, report_every=1000, progress=False)

    assert equal(average, run.model)
    for name, network in ours.networks.items():
        assert equal(network, theirs.networks[name])
        assert not equal(network, fresh.networks[name]), "nothing was trained"
    (means,) = run.history
    for name in set(means) - {"images"}:
        values = [log[name].item() for log in logs if name in log]
        assert means[name] == pytest.approx(sum(values) / len(values))


def test_the_learning_rate_is_the_package_s(chapter):
    recipe = presets.GANRecipe()
    for spent in (0, 0.3, 0.5, 0.7, 0.99, 1):
        assert chapter["learning_rate"](recipe, spent) == training.optimiser.learning_rate(recipe, spent)
