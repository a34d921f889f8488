"""Chapter 9.4's own functions: the attack, the private step, what epsilon allows, the cipher, the rival."""

import math

import pytest
import torch
from chapters import run_core
from opacus import GradSampleModule
from opacus.accountants import RDPAccountant
from torch import nn

from prodgen import data

NAME = "09-4-privacy"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define."""
    return run_core(NAME, {"preset": "smoke", "seed": 0}, "experiment")


@pytest.fixture
def few(chapter):
    """Five made-up photos of five classes."""
    x = torch.rand(5, 784, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return chapter["Shown"](x, chapter["in_turn"](5))


@pytest.fixture
def vae(chapter):
    torch.manual_seed(0)
    return chapter["DenseVAE"]()


def stream(seed):
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------- the attack


def test_the_area_counts_pairs_and_half_of_the_ties(chapter):
    inside, outside = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 2.0])
    assert chapter["area"](inside, outside) == pytest.approx((1 + 0 + 1 + 0.5 + 1 + 1) / 6)
    assert chapter["area"](outside, inside) == pytest.approx(1 - 4.5 / 6)


def test_what_is_found_stands_above_all_but_the_allowed_alarms(chapter):
    outside = torch.arange(100.0)
    assert chapter["found"](torch.tensor([98.0, 98.5, 99.5, 0.0]), outside, 0.01) == 0.5
    assert chapter["found"](outside, outside, 0.05) == 0.05


def test_a_model_that_shows_its_photos_is_seen_through_and_another_is_not(chapter):
    members, others = (torch.rand(200, 784, generator=stream(s)) for s in (0, 1))
    shown = [chapter["Shown"](x, chapter["in_turn"](200)) for x in (members, others)]
    album = chapter["album"](shown[0], 200, 0)
    scores = [chapter["closeness"](photos, album) for photos in shown]
    expected = 1 - (1 - 1 / 200) ** 200  # the share that 200 draws show
    assert chapter["found"](*scores) == pytest.approx(expected, abs=0.08)
    third = chapter["Shown"](torch.rand(200, 784, generator=stream(2)), shown[0].told)
    null = [chapter["closeness"](photos, third) for photos in shown]
    assert abs(chapter["area"](*null) - 0.5) < 0.1


def test_what_is_expected_of_a_photo_is_taken_off_its_score(chapter, few):
    score = lambda photos: photos.x.sum(dim=1)  # noqa: E731
    result = chapter["unexpected"](score, score, few, few.at(slice(0, 3)))
    assert result["area"] == 0.5


# ---------------------------------------------------------------- the private step


def test_each_photo_s_length_is_that_of_opacus(chapter, vae, few):
    epsilon, noted = chapter["noise"](5, chapter["LATENT"], 3), []
    loss = -vae.bound(*few, epsilon, noted)
    inputs, sums = zip(*noted, strict=True)
    ours = chapter["squared_norms"](inputs, torch.autograd.grad(loss.sum(), sums))

    class Bound(nn.Module):
        def __init__(self):
            super().__init__()
            self.vae = vae

        def forward(self, x, told, noise):
            return -self.vae.bound(x, told, noise)

    wrapped = GradSampleModule(Bound(), loss_reduction="sum")
    wrapped(*few, epsilon).sum().backward()
    theirs = sum(p.grad_sample.flatten(1).square().sum(1) for p in wrapped.parameters())
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_one_dense_layer_has_the_length_of_an_outer_product(chapter):
    a, delta = torch.randn(3, 4, generator=stream(0)), torch.randn(3, 2, generator=stream(1))
    whole = torch.cat([(delta[:, :, None] * a[:, None]).flatten(1), delta], dim=1)
    torch.testing.assert_close(chapter["squared_norms"]([a], [delta]), whole.square().sum(1))


def test_without_brakes_the_step_is_plain_training(chapter, vae, few):
    ours = chapter["gradients"](vae, few, math.inf, 0.0, 10, stream(4))
    epsilon = torch.randn(5, chapter["LATENT"], generator=stream(4))
    loss = -vae.bound(*few, epsilon).sum() / 10
    for one, other in zip(ours, torch.autograd.grad(loss, list(vae.parameters())), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_no_photo_moves_the_sum_by_more_than_the_clip(chapter, vae, few):
    clip = 0.7

    def clipped(photos):
        return torch.cat([g.flatten() for g in chapter["gradients"](vae, photos, clip, 0.0, 1, stream(5))])

    for place in range(5):
        assert clipped(few.at([place])).norm().item() == pytest.approx(clip, rel=1e-4)
    assert clipped(few).norm() <= 5 * clip + 1e-4


def test_the_noise_is_sigma_times_the_clip_over_the_batch(chapter, vae, few):
    quiet, loud = (chapter["gradients"](vae, few, 0.5, sigma, 20, stream(6)) for sigma in (0.0, 3.0))
    felt = torch.cat([(a - b).flatten() for a, b in zip(loud, quiet, strict=True)])
    assert felt.std().item() == pytest.approx(3.0 * 0.5 / 20, rel=0.02)
    assert abs(felt.mean().item()) < 1e-3


def test_training_repeats_itself_and_its_noise_is_felt(chapter):
    x = torch.rand(60, 784, generator=stream(0)) * 2 - 1
    photos = chapter["Shown"](x, chapter["in_turn"](60))
    one, again = (chapter["learn"](photos, 1, 4, 20) for _ in range(2))
    private = chapter["learn"](photos, 1, 4, 20, 1.0, 5.0)
    assert chapter["same"](one, again) and not chapter["same"](one, private)
    assert chapter["drawn"](one, 12, 0).x.shape == (12, 784)
    assert chapter["drawn"](one, 12, 0).x.abs().max() <= 1


# ---------------------------------------------------------------- epsilon


def test_what_epsilon_allows(chapter):
    assert chapter["most_found"](0.0, 0.2, 0.0) == pytest.approx(0.2)  # guessing
    assert chapter["most_found"](1.0, 0.01, 0.0) == pytest.approx(0.01 * math.e)
    assert chapter["most_found"](3.0, 1.0, 0.0) == pytest.approx(1.0)
    crossing = 1 / (1 + math.exp(2))
    assert chapter["most_found"](2.0, crossing, 0.0) == pytest.approx(1 - crossing)


def test_one_release_costs_what_the_formula_says(chapter):
    # Of a Gaussian shifted by one, the most that any test gains over e^eps times its alarms, by a fine sum.
    sigma, epsilon = 1.3, 0.8
    grid = torch.linspace(-15, 15, 200_001, dtype=torch.float64)
    with_it, without = (torch.distributions.Normal(m, sigma).log_prob(grid).exp() for m in (1.0, 0.0))
    gained = (with_it - math.exp(epsilon) * without).clamp(min=0).sum().item() * (grid[1] - grid[0]).item()
    assert chapter["delta_of"](epsilon, sigma) == pytest.approx(gained, rel=1e-3)


def test_the_accountant_keeps_epsilon_and_wants_more_noise_for_less(chapter):
    strict, loose = (chapter["sigma_for"](epsilon, 1.0, 1) for epsilon in (1, 3))
    assert strict > loose
    assert chapter["delta_of"](1, strict) <= chapter["DELTA"]
    assert chapter["delta_of"](1, 0.95 * strict) > chapter["DELTA"]
    accountant = RDPAccountant()  # another way to count gives an upper bound near it
    accountant.history = [(strict, 1.0, 1)]
    assert 1 <= accountant.get_epsilon(chapter["DELTA"]) < 1.2


# ---------------------------------------------------------------- the cipher


def test_the_pad_gives_back_what_it_took_and_the_file_is_no_photo(chapter, tmp_path):
    assert chapter["pad"](b"\x00\xff\x0f", b"\xf0\x0f\x0f") == b"\xf0\xf0\x00"
    x = data.to_float(torch.arange(256).repeat(98).view(32, 784).to(torch.uint8))
    photos = chapter["Shown"](x, chapter["in_turn"](32))
    unlocked, lay_there = chapter["through_a_locked_file"](photos, tmp_path)
    assert torch.equal(unlocked.x, photos.x)
    raw = data.to_uint8(x).numpy().tobytes()
    agree = sum(a == b for a, b in zip(raw, lay_there, strict=True)) / len(raw)
    assert len(lay_there) == len(raw) and agree < 0.01  # by chance one in 256


# ---------------------------------------------------------------- the rival


def test_the_rival_s_sums_move_by_one_at_most(chapter):
    x = torch.rand(40, 784, generator=stream(0)) * 2 - 1
    x[0] = 1.0  # white: longer than what is let through
    photos = chapter["Shown"](x, chapter["in_turn"](40))
    _, all_of_them = chapter["sums_of"](photos)
    for place in (0, 7):
        rest = photos.at([i for i in range(40) if i != place])
        pairs = zip(all_of_them, chapter["sums_of"](rest)[1], strict=True)
        assert math.sqrt(sum((a - b).square().sum().item() for a, b in pairs)) <= 1 + 1e-3


def test_the_rival_s_moments_are_the_photos_own_without_noise(chapter):
    x = torch.rand(400, 784, generator=stream(0)) * 0.4 - 1  # dark: nothing is shortened
    photos = chapter["Shown"](x, chapter["in_turn"](400))
    w, sums = chapter["sums_of"](photos)
    found = chapter["moments"](sums, w, 0.0, 0)
    light, kind = (x + 1) / 2, photos.told.argmax(1)
    means = torch.stack([light[kind == k].mean(0) for k in range(10)])
    torch.testing.assert_close(found.means, means, rtol=1e-3, atol=1e-4)
    centred = light - means[kind]
    torch.testing.assert_close(found.covariance, centred.T @ centred / 400, rtol=1e-3, atol=1e-4)
    pictures = chapter["gaussian_pictures"](found, 1_000, 0, kept=0)
    torch.testing.assert_close(pictures.x[:10], means * 2 - 1, rtol=1e-3, atol=1e-3)


def test_a_classifier_learns_what_it_is_shown(chapter):
    told = chapter["in_turn"](400)
    places = torch.arange(784) % 10  # each class is white at a tenth of the pixels
    x = told[:, places] * 2 - 1
    shown = chapter["Shown"](x, told)
    wrong = chapter["Shown"](x, told.roll(1, dims=1))
    assert chapter["right"](chapter["teach"](shown, 0), shown) > 0.5
    assert chapter["right"](chapter["teach"](wrong, 0), shown) < 0.1


# ---------------------------------------------------------------- the study


def test_whose_photos_are_whose(chapter):
    places = chapter["places_of"](3, 1_000, 100, 500)
    parts = [set(places[name].tolist()) for name in ("inside", "outside", "never", "elsewhere", "own")]
    assert all(len(part) == 100 for part in parts) and len(set.union(*parts)) == 500
    large, left = (set(places[name].tolist()) for name in ("large", "left"))
    assert parts[0] < large and not large & set.union(*parts[1:])
    assert not left & (large | parts[1])
    assert not torch.equal(places["inside"], chapter["places_of"](4, 1_000, 100, 500)["inside"])


def test_one_seed_gives_the_rows_that_the_claims_select(chapter):
    train = data.load("fashion-mnist").subset(slice(0, 1_200))
    tests = chapter["shown"](data.load("fashion-mnist", "test").subset(slice(0, 200)))
    few = {"size": 100, "big_size": 600, "steps": 3, "images": 128, "big": (2, 200), "n": 100}
    chapter = run_core(NAME, {"preset": "smoke", "seed": 0}, "experiment")  # whose budgets are its own
    chapter |= {"BATCH": 20, "BUDGETS": (10,), "sigma_for": lambda epsilon, share, steps: 1.0}
    rows = chapter["one_seed"](train, chapter["shown"](train), tests, 0, **few)
    leaks = {(r["model"], r["by"], r["on"]) for r in rows if r["study"] == "leak"}
    assert len(leaks) == 4 * 4 == sum(r["study"] == "leak" for r in rows)
    assert {on for _, _, on in leaks} == {"members", "other photos", "never trained", "album"}
    ways = {r["way"]: r for r in rows if r["study"] == "encryption"}
    assert ways["encrypted"]["same"] and not ways["encrypted"]["less"] and not ways["another seed"]["same"]
    private = {r["way"]: r for r in rows if r["study"] == "dp"}
    assert private.keys() == {"private", "without", "snow", "photos"}
    assert private["without"]["spared"] == pytest.approx(0.25 - private["without"]["area"] / 2)
    assert {r["seed"] for r in rows} == {0}


def test_the_members_are_attacked_among_more_and_more_photos(chapter):
    train = data.load("fashion-mnist").subset(slice(0, 1_200))
    few = {"sizes": (100, 400), "size": 100, "big_size": 600, "looks": (1, 2), "most": 400}
    rows = chapter["by_size"](train, chapter["shown"](train), 0, **few)
    assert [(r["model"], r["photos"], r["looks"]) for r in rows] == [
        ("VAE", 100, 1), ("GAN", 100, 2), ("VAE", 400, 1), ("GAN", 400, 1)
    ]  # fmt: skip
    assert all(0 < r["area"] < 1 for r in rows)
