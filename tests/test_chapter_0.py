"""The primer's own functions: loss and step, maps, neighbours, offers, intervals are what its text says."""

import numpy as np
import pytest
import torch
from chapters import run_core

from prodgen import data, evaluation, recorded

NAME = "00-primer"


@pytest.fixture(scope="module")
def primer() -> dict:
    """What the cells tagged `core` define, over photos and networks as the text has them."""
    boots = data.load("fashion-mnist").of_class("Ankle boot").batch(slice(0, 100))
    namespace: dict = {
        "preset": "smoke",
        "seed": 0,
        "train": data.load("fashion-mnist"),
        "test": data.load("fashion-mnist", "test"),
        "classifier": recorded.load_model("classifier-fashion-mnist"),
        "boots": boots,
        "mean": boots.mean(dim=0, keepdim=True),
    }
    return run_core(NAME, namespace)


def test_a_step_goes_against_the_gradient_derived_by_hand_and_clears_the_old_one(primer):
    boots, mean = primer["boots"], primer["mean"]
    w = torch.full((1, 1, 28, 28), 0.3, requires_grad=True)
    w.grad = torch.full_like(w, 100.0)
    before = primer["step"](w, boots, rate=0.1)
    assert torch.allclose(w, 0.3 - 0.1 * 2 * (0.3 - mean), atol=1e-5)
    assert np.isclose(before, (0.3 - boots).square().flatten(1).sum(dim=1).mean().item(), rtol=1e-5)
    assert primer["loss"](w, boots).item() < before


def test_the_four_lines_descend_to_the_mean_photo_and_repeat_with_the_seed(primer):
    boots, ends = primer["boots"], []
    for _ in range(2):
        w = torch.zeros(1, 1, 28, 28, requires_grad=True)
        rng = torch.Generator().manual_seed(3)
        losses = primer["descend"](w, boots, torch.optim.SGD([w], lr=0.02), 150, rng)
        ends.append(w.detach())
    assert len(losses) == 150 and losses[-1] < losses[0] / 2
    assert torch.equal(*ends) and (ends[0] - primer["mean"]).abs().mean() < 0.05


def test_a_step_multiplies_the_distance_by_one_minus_twice_the_rate(primer):
    assert primer["ratio"](0.5) < 1e-4
    assert np.isclose(primer["ratio"](0.25), 0.5, atol=1e-4)
    assert primer["ratio"](1.2) > 1 > primer["ratio"](0.8)


def test_the_median_is_best_by_the_absolute_loss(primer):
    loss, boots, median = primer["absolute_loss"], primer["boots"], primer["median"]
    rng = torch.Generator().manual_seed(0)
    for size in (0.01, 0.1, 1.0):
        assert loss(median, boots) < loss(median + size * torch.randn(median.shape, generator=rng), boots)


def test_maps_on_the_way_are_those_behind_the_layers_asked_for(primer):
    body = primer["classifier"].body
    with torch.no_grad():
        found = primer["maps_on_the_way"](body, primer["boots"][:1], {5, 12, 16})
        assert torch.equal(found[12], body[:13](primer["boots"][:1])[0])
    assert [tuple(maps.shape) for maps in found.values()] == [(32, 28, 28), (64, 14, 14), (128, 7, 7)]


def test_a_moved_photo_s_neighbour_is_of_its_kind_in_features_and_not_in_pixels(primer):
    shop = primer["test"].subset(slice(0, 500))
    trousers = primer["train"].of_class("Trouser").batch(slice(0, 20))
    share = {}
    for see in ("pixels", "features"):
        unmoved = primer["nearest"](trousers, torch.cat([shop.batch(slice(0, 5)), trousers]), primer[see])
        assert torch.equal(unmoved, torch.arange(5, 25))  # every photo is nearest to itself
        found = primer["nearest"](trousers.roll(4, dims=3), shop.batch(slice(None)), primer[see])
        share[see] = (shop.labels[found] == 1).double().mean().item()
    assert share["features"] > 0.9 and share["pixels"] < 0.3


def test_the_offers_hold_what_they_are_called(primer):
    classifier, names = primer["classifier"], primer["test"].class_names
    kinds = {name: evaluation.predict(images, classifier) for name, images in primer["offers"].items()}
    sizes = {name: len(images) for name, images in primer["offers"].items()}
    assert set(sizes.values()) == {primer["n"]} == {len(primer["shoes"])}
    assert (kinds["sneakers"] == names.index("Sneaker")).double().mean() > 0.9
    shoe_numbers = torch.tensor([names.index(kind) for kind in primer["KINDS"]])
    assert torch.isin(kinds["other shoes"], shoe_numbers).double().mean() > 0.98
    assert len(kinds["everything"].unique()) == 10


def test_a_study_of_more_values_gives_a_shorter_interval(primer):
    widths = {}
    for n in (3, 5, 30):
        rng = np.random.default_rng(0)
        low, high = zip(*(primer["study"](rng, n) for _ in range(200)), strict=True)
        widths[n] = np.mean(np.subtract(high, low))
    assert widths[3] > widths[5] > widths[30]
    assert 0.93 < primer["holds"].mean() < 0.97
