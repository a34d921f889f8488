"""The page of the benchmarks says what their results say, and what they compare with still runs."""

import json
from pathlib import Path

import pytest
import torch

from prodgen import data, models

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import table

    return table


def test_the_table_is_the_one_that_the_results_give(table):
    page = table.PAGE.read_text("utf-8")
    assert table.written_into(page) == page, "run: python benchmarks/table.py"


def test_a_goal_without_a_measurement_is_not_called_reached(table, monkeypatch, tmp_path):
    monkeypatch.setattr("results.FOLDER", tmp_path)
    rows = [
        line for line in table.written_into(table.PAGE.read_text("utf-8")).splitlines() if "| – |" in line
    ]
    assert len(rows) == len(table.GOALS)
    assert all(table.NOT_MEASURED in row for row in rows)


@pytest.mark.parametrize(("ours", "verdict"), [(4.0, "reached"), (5.0, "**not reached**")])
def test_the_verdict_is_that_of_the_mean_over_seeds(table, monkeypatch, tmp_path, ours, verdict):
    monkeypatch.setattr("results.FOLDER", tmp_path)
    for method, excess in (("dcgan", 130), ("wgan-gp", 130), ("prodgen", ours)):
        for seed, error in enumerate((-0.3, 0.0, 0.3)):
            row = {"method": method, "fid_fmnist_excess": excess + error}
            (tmp_path / f"gan-{method}-{seed}.json").write_text(json.dumps(row))
    figure, found = table.gan("prodgen", 30, 15)
    assert found == verdict and f"{ours:.2f} ({ours - 0.3:.2f} to {ours + 0.3:.2f}, 3 seeds)" in figure


@pytest.mark.parametrize("method", ["dcgan", "wgan-gp"])
def test_a_baseline_learns_and_is_sampled_as_a_model_of_the_package(monkeypatch, method):
    monkeypatch.syspath_prepend(str(FOLDER))
    import baselines

    photos = data.load("fashion-mnist").subset(slice(0, 128))
    generator, steps = baselines.BASELINES[method](photos, seed=0)
    before = models.sample(generator, 4)
    assert baselines.train(steps, images=5 * 64)[0] == 5 * 64
    after = models.sample(generator, 4)
    assert after.shape == (4, 1, 28, 28) and after.abs().max() <= 1
    assert not torch.equal(before, after)


def test_the_plain_loop_makes_steps_of_the_recipe_s_size(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import speed

    steps = speed.plain()
    assert [next(steps), next(steps)] == [128, 128]


def test_a_mixture_s_samples_are_the_decoder_s_of_its_codes(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import vae

    torch.manual_seed(0)
    network = models.VAE(width=4, latent_dim=2).eval()
    monkeypatch.setattr(vae, "COMPONENTS", 1)
    where = torch.tensor([3.0, -2.0])
    mixture = vae.Mixture(network, where + 0.01 * torch.randn(500, 2), seed=0)
    with torch.no_grad():
        expected = network(where.expand(4, -1))
    torch.testing.assert_close(models.sample(mixture, 4), expected, atol=0.02, rtol=0)


def test_photos_are_binarised_once_white_as_often_as_they_are_bright(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import vae

    photos = data.load("fashion-mnist", "test").subset(slice(0, 500))
    once, again = vae.binarised(photos), vae.binarised(photos)
    assert once.images.unique().tolist() == [0, 255] and torch.equal(once.images, again.images)
    assert abs(once.images.float().mean() - photos.images.float().mean()) < 1
    assert torch.equal(once.images[photos.images == 255], photos.images[photos.images == 255])
    target = models.VAE(width=4, latent_dim=2).target
    grains = [target(once.batch(slice(None)), torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    assert torch.equal(*grains), "no draw of the VAE's own comes on top"


def test_the_bound_with_its_gain_has_the_mean_and_the_error_of_the_sum(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import vae

    rng = torch.Generator().manual_seed(0)
    bound = torch.randn(400, generator=rng, dtype=torch.float64)
    gain = 0.5 * bound + torch.randn(400, generator=rng, dtype=torch.float64)
    found = vae.with_the_gain(bound, gain)  # on the same photos it is one mean of one sum
    assert found["mean"] == pytest.approx((bound + gain).mean().item())
    assert found["standard_error"] == pytest.approx(((bound + gain).var() / 400).sqrt().item())
    draws = []
    for seed in range(2_000):  # on a part of them: against what repeated samples scatter by
        rng = torch.Generator().manual_seed(seed)
        bound = torch.randn(200, generator=rng, dtype=torch.float64)
        gain = 0.5 * bound[:50] + torch.randn(50, generator=rng, dtype=torch.float64)
        draws.append(vae.with_the_gain(bound, gain))
    scatter = torch.tensor([found["mean"] for found in draws]).std().item()
    said = torch.tensor([found["standard_error"] for found in draws]).mean().item()
    assert said == pytest.approx(scatter, rel=0.06)
