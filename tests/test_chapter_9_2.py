"""Chapter 9.2's own functions: augmentation, flow matching, copies, tuning, controls, computed advice."""

import math

import pytest
import torch
from chapters import cells, run_core
from torch import nn

from prodgen import evaluation, recorded, training

NAME = "09-2-choosing"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define, at the preset `smoke`."""
    return run_core(NAME, {"preset": "smoke", "seed": 0}, "experiment")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_change_mirrors_and_moves_by_a_pixel_at_most(chapter):
    image = torch.arange(28 * 28.0).view(1, 1, 28, 28)
    padded = nn.functional.pad(image, [1] * 4, mode="replicate")
    moved = [padded[:, :, i : i + 28, j : j + 28] for i in range(3) for j in range(3)]
    possible = {tuple(x.flatten().tolist()) for x in moved}
    padded = padded.flip(3)
    mirrored = [padded[:, :, i : i + 28, j : j + 28] for i in range(3) for j in range(3)]
    possible |= {tuple(x.flatten().tolist()) for x in mirrored}
    found = {tuple(x.flatten().tolist()) for x in chapter["changed"](image.expand(400, -1, -1, -1), rng())}
    assert len(possible) == 18 and found == possible


def test_the_vae_alone_is_shown_changed_photos(chapter, monkeypatch):
    shown = []
    monkeypatch.setattr(training.VAETrainer, "step", lambda self, real, *_: shown.append(real) or {})
    few, *_ = chapter["lesson"](20, 0)
    real = few.batch(slice(None))
    for own in (True, False):
        chapter["new_trainer"]("VAE", few, 1e-3, own, 0).step(real, None, rng())
    assert not shown[0].equal(real) and shown[1].equal(real)


@pytest.mark.parametrize("own", [True, False])
def test_the_gan_s_and_the_flow_s_augmentation_is_on_where_asked(chapter, own):
    few, *_ = chapter["lesson"](20, 0)
    for model in ("GAN", "flow"):
        assert chapter["new_trainer"](model, few, 1e-3, own, 0).augmented == own


def test_one_photo_s_velocity_has_no_loss_and_leads_to_it(chapter):
    photo = torch.rand(1, 1, 28, 28, generator=rng(1)) * 2 - 1
    noise, t = torch.randn(5, 1, 28, 28, generator=rng()), torch.rand(5, generator=rng()) * 0.9

    def towards(x, t):
        return (photo - x) / (1 - t)[:, None, None, None]

    loss = chapter["flow_loss"]
    assert loss(towards, photo.expand_as(noise), noise, t).max() < 1e-3
    still = loss(lambda x, t: torch.zeros_like(x), photo.expand_as(noise), noise, t)
    assert still.tolist() == pytest.approx((photo - noise).square().flatten(1).sum(1).tolist(), rel=1e-5)
    assert torch.allclose(chapter["carried"](towards, noise), photo.expand_as(noise), atol=1e-4)


def test_a_midpoint_step_is_exact_to_second_order(chapter):
    errors = []
    for steps in (4, 8):  # dx/dt = x, so that x(1) = e
        found = chapter["carried"](lambda x, t: x, torch.ones(1, 1, 2, 2), steps)
        errors.append(math.e - found.mean().item())
    assert 3 < errors[0] / errors[1] < 5


def test_the_velocity_network_knows_place_and_time(chapter):
    network = chapter["Velocity"](8)
    x = torch.randn(2, 1, 28, 28, generator=rng())
    early, late = network(x, torch.zeros(2)), network(x, torch.ones(2))
    assert early.shape == x.shape and not torch.allclose(early, late)


def test_copies_are_all_of_copies_none_of_the_far_and_one_in_a_hundred_of_new_ones(chapter):
    few, others = torch.randn(50, 8, generator=rng()), torch.randn(2_000, 8, generator=rng(1))
    new = torch.randn(4_000, 8, generator=rng(2))
    assert chapter["copies"](few, few, others) == 1
    assert chapter["copies"](new + 50, few, others) == 0
    assert chapter["copies"](new, few, others) == pytest.approx(0.01, abs=0.006)
    mixed = torch.cat([few[:10], new[:90] + 50])
    assert chapter["copies"](mixed, few, others) == 0.1


def test_thumbnails_forgive_what_changes_within_a_block_and_sharpness_does_not(chapter):
    few, *_ = chapter["lesson"](50, 0)
    images = few.batch(slice(None))
    blocks = nn.functional.avg_pool2d(images, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.allclose(chapter["thumbnails"](images), chapter["thumbnails"](blocks), atol=1e-5)
    assert evaluation.sharpness(blocks).mean() < 0.5 * evaluation.sharpness(images).mean()


def test_a_seed_draws_its_photos_from_those_not_held_out(chapter):
    few, features, order = chapter["lesson"](100, 3)
    assert len(few) == 100 and len(features) == 100 and order.max() < chapter["ALL"]
    again, *_ = chapter["lesson"](100, 3)
    other, *_ = chapter["lesson"](100, 4)
    assert few.digest() == again.digest() != other.digest()


def test_a_gaussian_with_few_directions_has_their_mean_and_no_more_directions(chapter):
    images = 0.2 * torch.randn(60, 1, 8, 8, generator=rng())
    drawn = chapter["gaussian"](images, 4_000, 0, directions=2).flatten(1)
    assert torch.linalg.matrix_rank(drawn - drawn.mean(dim=0), rtol=1e-3) == 2
    assert torch.allclose(drawn.mean(dim=0), images.flatten(1).mean(dim=0), atol=0.03)
    flat = images.flatten(1) - images.flatten(1).mean(dim=0)
    variance = torch.linalg.svdvals(flat)[:2].square().sum() / len(flat)
    assert drawn.var(dim=0).sum().item() == pytest.approx(variance.item(), rel=0.1)


def test_the_setting_is_the_best_of_the_nearest_size(chapter):
    rows = [
        {"model": "GAN", "size": size, "rate": rate, "own": own, "features": f, "pixels": 1.0}
        for size, rate, own, f in [
            (100, 1, True, 9.0),
            (100, 2, False, 3.0),
            (500, 1, True, 2.0),
            (500, 2, True, 5.0),
        ]
    ]
    rows.append(rows[0] | {"model": "VAE", "features": 0.1})
    assert chapter["setting"](rows, "GAN", 100) == (2, False)
    assert chapter["setting"](rows, "GAN", 55_000) == (1, True)


def test_a_run_that_diverges_is_scored_as_it_began(chapter, monkeypatch):
    def diverge(*_):
        raise training.TrainingError("nan")

    monkeypatch.setitem(chapter, "learn", diverge)
    row = chapter["trial"]("VAE", 20, 0, 1e-3, True, chapter["new_photos"](chapter["N"]))
    assert row["features"] > 500 and row["model"] == "VAE"


def test_one_seed_gives_the_rows_that_the_rule_selects(chapter):
    tuned = [
        {"model": m, "size": 20, "rate": 1e-3, "own": True, "features": 1, "pixels": 1}
        for m in chapter["MODELS"]
    ]
    rows = chapter["one_seed"](0, tuned, [(m, 20) for m in chapter["MODELS"]], seconds=0.05)
    judged = [r["model"] for r in rows if r["part"] == "judged"]
    assert judged == list(chapter["MODELS"])
    known = {r["model"] for r in rows if r["part"] == "known"}
    assert known == {"Gaussian", "wide Gaussian", "moved", "photos", "other photos"}
    for key in ("features", "pixels", "copies", "coverage"):
        assert all(math.isfinite(r[key]) for r in rows)


def test_the_rule_s_null_lacks_power_and_its_other_controls_come_out_right(chapter):
    (cell,) = [c for c in cells(NAME) if c.id == "verdict-numbers"]
    space = dict(chapter)
    exec(cell.source.partition("\n\n\nrule = ")[0], space)
    rule = {"id": "small-data", "record": NAME, "tests": list(space["tests"]())}

    def word(rule, control=None):
        return evaluation.verdict(evaluation.evidence(rule, control)).word

    places = ("Gaussian", "moved", "other photos")
    words = [word(rule, {"to": {"part": "known", "model": model}}) for model in places]
    assert words == ["not supported", "not supported", "supported"]
    null = {"other_seeds": True, "of": {"part": "judged", "model": "VAE"}}
    assert word(rule, null) == "inconclusive"
    (claim,) = [c for c in recorded.claims(NAME) if c["id"] == "small-data"]
    assert "not_tested" in claim


def test_advice_names_a_winner_only_where_every_rival_is_surely_beaten(chapter):
    space = dict(chapter)
    rows = [
        {
            "model": m,
            "size": 500,
            "part": "judged",
            "seed": s,
            "features": f + 0.1 * s,
            "pixels": p,
            "coverage": c,
        }
        for s, (m, f, p, c) in (
            (s, row)
            for s in range(12)
            for row in [("GAN", 1, 1 + s % 2, 0.5), ("VAE", 5, 1 + (s + 1) % 2, 0.9), ("flow", 9, 3, 0.1)]
        )
    ]
    for row in rows:
        row["coverage"] += 0.01 * row["seed"]
    space["values"] = rows
    wanted = {"record", "advice"}
    for cell in cells(NAME):
        if cell.id in wanted:
            code = cell.source.partition("\n\n\nrows = []")[0]
            exec(compile(code, cell.id, "exec"), space)
    winner = space["winner"]
    assert winner(500, "features") == "GAN"
    assert winner(500, "coverage") == "VAE"  # where more is better
    assert winner(500, "pixels") is None
    assert space["unbeaten"](500, "pixels") == ["GAN", "VAE"]
    assert space["advice"](500, "shapes and tones, edges aside").endswith("no clear winner; GAN or VAE.")
    assert space["advice"](500, "pictures closest to photos").endswith("take the GAN.")
