"""Chapter 5.4's own functions say what its text says of them: distance, band, bound, walk, explorer."""

import math

import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure

from prodgen import data, evaluation, losses, models

NAME = "05-4-results"
NAMES = data.describe("fashion-mnist").class_names


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, over a small untrained generator."""
    torch.manual_seed(0)
    generator = models.Generator(width=8, latent_dim=16, condition=data.Condition.of_classes(NAMES)).eval()
    namespace: dict = {"names": NAMES, "gan": generator}
    return run_core(NAME, namespace)


def test_the_distance_of_shifted_and_of_scaled_features_is_the_closed_form(chapter):
    features = torch.randn(400, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    shift = torch.arange(5.0, dtype=torch.float64)
    assert chapter["frechet"](features, features + shift) == pytest.approx(shift.square().sum().item())
    centred = features - features.mean(0)
    trace = torch.cov(centred.T).trace().item()
    assert chapter["frechet"](centred, 3 * centred) == pytest.approx(4 * trace)  # (1 - 3)^2 tr S
    others = torch.rand(300, 5, generator=torch.Generator().manual_seed(2))
    theirs = evaluation.frechet_distance(features.float(), others)
    assert chapter["frechet"](features.float(), others) == pytest.approx(theirs, rel=1e-6)


def test_the_band_holds_one_more_run_in_19_of_20_cases(chapter):
    rng = torch.Generator().manual_seed(0)
    inside = 0
    for *recorded_runs, one_more in (7 + 2 * torch.randn(4000, 6, generator=rng)).tolist():
        low, high = chapter["band"](recorded_runs)
        inside += low <= one_more <= high
    assert inside / 4000 == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors


def test_a_run_outside_the_band_is_told_on_which_side(chapter):
    low, high = chapter["band"]([4.0, 5.0, 6.0])
    for score, words in (
        (5.0, "inside the band"),
        (high + 0.01, "outside, worse"),
        (low - 0.01, "outside, better"),
    ):
        assert chapter["placed"](score, [4.0, 5.0, 6.0]) == words


def test_the_bound_is_the_package_s(chapter):
    log_weights = 40 * torch.randn(16, 9, generator=torch.Generator().manual_seed(3))
    ours = chapter["importance_weighted_bound"](log_weights)
    assert torch.equal(ours, losses.importance_weighted_bound(log_weights))


def test_the_arc_keeps_the_length_and_divides_the_angle(chapter):
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    for t in (0.0, 0.25, 0.5, 1.0):
        expected = 3 * torch.tensor([math.cos(t * math.pi / 2), math.sin(t * math.pi / 2)])
        torch.testing.assert_close(chapter["arc"](a, b, t), expected)


def test_the_walk_starts_and_ends_where_the_lower_row_is_at_0_and_1(chapter):
    walk, generator = chapter["walk"], chapter["gan"]
    for label in (0, 7):
        for t, stop in ((0.0, 0), (1.0, -1)):
            for_one, for_all = walk(generator, label, t, 5)
            torch.testing.assert_close(for_one[stop], for_all[label], atol=1e-4, rtol=0)
    assert not torch.allclose(walk(generator, 0, 0.3, 5)[1], walk(generator, 0, 0.7, 5)[1])
    assert not torch.allclose(walk(generator, 0, 0.3, 5)[0], walk(generator, 1, 0.3, 5)[0])
    assert not torch.allclose(walk(generator, 0, 0.3, 5)[0], walk(generator, 0, 0.3, 6)[0])


@pytest.mark.parametrize("label", NAMES)
def test_the_explorer_draws_every_class(chapter, label):
    figure = chapter["explore"](label=label, t=0.25, seed=1)
    assert isinstance(figure, Figure)
    assert {text.get_text() for text in figure.axes[0].texts} == {label, "t = 0.25"}
    assert figure._repr_png_().startswith(b"\x89PNG")
