"""Chapter 6.6.1's own functions: three recipes of a GAN, flow matching, enlarging, and their scores."""

import base64
import io
import math
from dataclasses import replace

import pytest
import torch
from chapters import cells, run_core
from PIL import Image
from torch import nn

from prodgen import data, losses, presets

NAME = "06-6-1-higher-quality"
GREY, COLOUR = (28, 1), (32, 3)


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define."""
    return run_core(NAME, {"preset": "smoke", "seed": 0}, "experiment")


@pytest.fixture(scope="module")
def photos() -> data.ImageDataset:
    return data.load("fashion-mnist").subset(slice(0, 600)).only()


@pytest.mark.parametrize("shape", [GREY, COLOUR])
@pytest.mark.parametrize("way", ["2014", "DCGAN", "today", "VAE", "flow"])
def test_every_recipe_trains_and_draws_pictures_of_the_right_shape(chapter, photos, way, shape):
    if shape == COLOUR:
        images = torch.nn.functional.pad(photos.images, (2, 2, 2, 2)).expand(-1, 3, -1, -1)
        photos = replace(photos, images=images.contiguous())
    network, seconds = chapter["trained"](way, photos, chapter["RATES"][way][0], 128, seed=1)
    drawn = chapter["pictures"](network, 6, seed=2, steps=2)
    assert drawn.shape == (6, shape[1], shape[0], shape[0]) and seconds > 0
    assert drawn.abs().max() <= 1 and drawn.std() > 0
    again, _ = chapter["trained"](way, photos, chapter["RATES"][way][0], 128, seed=1)
    assert torch.equal(drawn, chapter["pictures"](again, 6, seed=2, steps=2))


def test_maxout_takes_the_largest_of_its_linear_answers(chapter):
    layer, x = chapter["Maxout"](3, 2, pieces=4), torch.randn(5, 3)
    w, b = layer.linear.weight.view(2, 4, 3), layer.linear.bias.view(2, 4)
    by_hand = torch.stack([(w[k] @ x.T).T + b[k] for k in range(2)], dim=1).amax(dim=2)
    assert torch.allclose(layer(x), by_hand, atol=1e-6)


def test_the_dcgan_has_batch_norm_where_its_authors_put_it(chapter):
    d = chapter["dc_discriminator"](*COLOUR)
    convolutions = [i for i, layer in enumerate(d) if isinstance(layer, nn.Conv2d)]
    normed = [i for i, layer in enumerate(d) if isinstance(layer, nn.BatchNorm2d)]
    assert normed == [i + 1 for i in convolutions[1:-1]]
    assert d[0].weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_the_old_contest_moves_each_player_down_its_own_loss(chapter):
    trainer = chapter["new_trainer"]("DCGAN", _Shape(*GREY), 1e-3)
    real, rng = torch.randn(16, 1, 28, 28).clamp(-1, 1), torch.Generator().manual_seed(0)
    before = {name: [p.clone() for p in net.parameters()] for name, net in trainer.networks.items()}
    log = trainer.step(real, None, rng)
    assert log["d_loss"] == pytest.approx(2 * math.log(2), abs=0.4)  # it guesses at first
    assert log["g_loss"] > 0 and trainer.steps == 1
    for name, network in trainer.networks.items():
        pairs = zip(before[name], network.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs), name
    assert min(trainer.step(real, None, rng)["d_loss"].item() for _ in range(15)) < log["d_loss"]


class _Shape:
    """As much of a data set as `new_trainer` looks at."""

    def __init__(self, image_size: int, channels: int, n: int = 60_000):
        self.image_size, self.channels, self.n = image_size, channels, n

    def __len__(self) -> int:
        return self.n


def test_today_s_loss_is_the_relativistic_one_plus_both_penalties(chapter):
    trainer = chapter["new_trainer"]("today", _Shape(*GREY), 1e-3)
    trainer.recipe = replace(trainer.recipe, r1_gamma=2.0, r1_every=1, learning_rate=0.0)
    weights = torch.randn(784)

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(weights.clone())

        def forward(self, x, condition=None):
            return x.flatten(1) @ self.w

    trainer.discriminator = Linear()
    trainer.optimisers["discriminator"] = torch.optim.SGD(trainer.discriminator.parameters(), 1.0)
    real, fake = torch.randn(2, 4, 1, 28, 28) / 100
    a, b = real.flatten(1) @ weights, fake.flatten(1) @ weights
    w = weights.clone().requires_grad_()
    logits = real.flatten(1) @ w, fake.flatten(1) @ w
    whole = losses.relativistic_discriminator(*logits).mean() + 2.0 / 2 * 2 * w.square().sum()
    whole.backward()
    log = trainer.discriminator_step(real.clone(), fake.clone(), None)
    assert log["d_loss"].item() == pytest.approx(nn.functional.softplus(b - a).mean().item(), rel=1e-5)
    moved = weights - trainer.discriminator.w.detach()
    assert torch.allclose(moved, w.grad, rtol=1e-3, atol=1e-4)


def test_few_photos_are_augmented_and_only_today(chapter):
    assert chapter["new_trainer"]("today", _Shape(*COLOUR, 3_000), 1e-3).augmented
    assert not chapter["new_trainer"]("today", _Shape(*COLOUR), 1e-3).augmented


def test_the_way_is_a_straight_line_and_its_speed_is_constant(chapter):
    noise, photos = torch.randn(2, 3, 1, 4, 4)
    for t in (0.0, 0.25, 1.0):
        x, whither = chapter["on_the_way"](noise, photos, torch.full((3,), t))
        assert torch.allclose(x + (1 - t) * whither, photos, atol=1e-6)


def test_the_mean_velocity_carries_noise_to_the_distribution(chapter):
    s = 0.2

    def velocity(x, t):
        t = t[:, None, None, None]
        return x * (t * s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * s**2)

    noise = torch.linspace(-2, 2, 9).view(9, 1, 1, 1)
    off = [(chapter["walk"](velocity, noise, k) - s * noise).abs().max().item() for k in (20, 40)]
    assert off[1] < 0.03 and off[0] / off[1] == pytest.approx(2, rel=0.2)  # Euler: of first order


def test_the_velocity_is_told_the_time(chapter):
    torch.manual_seed(0)
    network, x = chapter["Velocity"](*GREY), torch.randn(2, 1, 28, 28)
    early, late = (network(x, torch.full((2,), t)) for t in (0.1, 0.9))
    assert early.shape == x.shape and not torch.allclose(early, late, atol=1e-4)


def test_the_gap_is_nothing_for_the_same_and_symmetric_about_it(chapter):
    real = torch.rand(8, 1, 28, 28)
    assert chapter["gap"](real, real) == 0
    assert chapter["gap"](real / 2, real) == pytest.approx(0.75)  # a variance: a quarter
    assert chapter["gap"](real * 1.25**0.5, real) == pytest.approx(0.25, rel=1e-4)


def test_the_filter_brings_sharpness_and_nothing_more(chapter):
    photos = data.load("fashion-mnist", "test").batch(slice(0, 40))
    soft = torch.nn.functional.avg_pool2d(photos, 3, 1, 1)
    repaired = chapter["filtered"](soft, photos)
    assert chapter["gap"](repaired, photos) < chapter["gap"](soft, photos) / 2
    noisy = (photos + 0.3 * torch.randn(photos.shape)).clamp(-1, 1)
    assert chapter["gap"](chapter["filtered"](noisy, photos), photos) < 0.2 < chapter["gap"](noisy, photos)


def test_an_untrained_enlarger_is_bicubic_and_a_trained_one_fits_better(chapter):
    photos = data.load("fashion-mnist").batch(slice(0, 64))
    small = torch.nn.functional.pad(photos, (2, 2, 2, 2), value=-1).expand(-1, 3, -1, -1)
    network = chapter["Enlarger"]()
    assert torch.allclose(chapter["enlarged"](network, small), chapter["larger"](small), atol=1e-6)
    trainer = chapter["EnlargerTrainer"](replace(presets.GANRecipe(), learning_rate=2e-3), enlarger=network)
    rng = torch.Generator().manual_seed(0)
    lost = [trainer.step(small, None, rng)["loss"].item() for _ in range(12)]
    assert lost[-1] < lost[0]


def test_psnr_of_a_known_error(chapter):
    real = torch.zeros(1, 3, 8, 8)
    assert chapter["psnr"](real + 0.02, real) == pytest.approx(40, abs=1e-3)


def test_recorded_pictures_come_back(chapter):
    images = torch.rand(8, 1, 28, 28) * 2 - 1
    shown = Image.open(io.BytesIO(base64.b64decode(chapter["as_text"](images))))
    assert shown.size == (8 * 28 + 7, 28)


def test_one_seed_gives_the_rows_that_the_claims_select(chapter, photos):
    few = photos.batch(slice(0, 32))
    part = chapter["Part"](photos, few[:16], few[:16], few[16:])
    tuning = chapter["tuned"]({"photos": part}, share=0.001)
    assert {(r["way"], r["rate"]) for r in tuning} == {
        (way, rate) for way in chapter["SPEED"]["photos"] for rate in chapter["RATES"][way]
    }
    best = min((r for r in tuning if r["way"] == "flow"), key=lambda r: r["distance"])["rate"]
    assert chapter["best_rate"](tuning, "photos", "flow") == best
    rows = chapter["one_seed"]({"photos": part}, tuning, 7, share=0.001)
    ways = [r["way"] for r in rows if r["what"] == "judged"]
    assert len(ways) == len(set(ways))
    assert set(ways) == {*chapter["WAYS"], "2014, filtered", "untrained", "held out"}
    assert [r["steps"] for r in rows if r["what"] == "steps"] == list(chapter["STEPS"])
    assert {r["seed"] for r in rows} == {7} and {"distance", "gap"} <= rows[0].keys()


def test_solutions_are_there_and_say_something():
    folded = [cell for cell in cells(NAME) if "hide-cell" in cell.metadata.get("tags", [])]
    assert len(folded) == 3 and all("assert" in cell.source for cell in folded)
