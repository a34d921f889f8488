"""Chapter 9.1: the two shipped models differ in what the page says that they differ in."""

import pytest
import torch
from chapters import cells

from prodgen import evaluation, models, recorded

NAME = "09-1-gan-or-vae"


@pytest.fixture(scope="module")
def shipped() -> dict:
    return {kind: recorded.load_model(f"{kind}-fashion-mnist") for kind in ("gan", "vae")}


def test_only_the_vae_encodes_and_only_it_bounds_a_likelihood(shipped):
    gan, vae = shipped["gan"], shipped["vae"]
    assert not hasattr(gan, "encode") and not hasattr(gan, "elbo_terms")
    mean, log_var = vae.encode(models.sample(vae, 3))
    assert mean.shape == log_var.shape == (3, vae.latent_dim)
    metrics = {kind: recorded.card(f"{kind}-fashion-mnist")["metrics"] for kind in shipped}
    assert "elbo" in metrics["vae"] and "elbo" not in metrics["gan"]


def test_the_vae_draws_each_kind_among_three_hundred(shipped):
    classifier = recorded.load_model("classifier-fashion-mnist")
    kinds = evaluation.predict(models.sample(shipped["vae"], 300, seed=0), classifier)
    assert set(kinds.tolist()) == set(range(10))


def test_drawn_pixels_are_sharper_than_any_photo_and_their_means_are_soft(shipped):
    means = models.sample(shipped["vae"], 50, seed=1)
    drawn = 2 * torch.bernoulli((means + 1) / 2, generator=torch.Generator().manual_seed(0)) - 1
    of_photos = recorded.card("gan-fashion-mnist")["metrics"]["sharpness_real"]
    assert evaluation.sharpness(means).mean() < of_photos < evaluation.sharpness(drawn).mean()


def test_every_claim_the_page_repeats_is_owned_by_the_chapter_it_points_to():
    [cell] = [cell for cell in cells(NAME) if cell.id == "verdicts"]
    line = next(line for line in cell.source.splitlines() if line.startswith("wanted"))
    namespace: dict = {}
    exec(line, namespace)
    assert set(namespace["wanted"]) <= {claim["id"] for claim in recorded.claims("03-3-comparison")}
