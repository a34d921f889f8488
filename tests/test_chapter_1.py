"""Chapter 1's own functions: the four baselines, the visitors a test needs, the search for copies."""

import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure

from prodgen import data, evaluation, recorded

NAME = "01-introduction"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, over the photos that the text loads."""
    namespace: dict = {"train": data.load("fashion-mnist"), "test": data.load("fashion-mnist", "test")}
    return run_core(NAME, namespace)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def photos(n=200, side=28):
    """Images whose pixels hang together: a few random patterns, mixed."""
    mixed = torch.randn(n, 5, generator=rng(1)) @ torch.randn(5, side * side, generator=rng(2))
    return 0.2 * mixed + 0.01 * torch.randn(n, side * side, generator=rng(3)) + 0.1


def test_visitors_needed_is_the_textbook_s_number_and_grows_as_the_lift_shrinks(chapter):
    # (1.95996 + 0.84162)^2 (0.5 * 0.5 + 0.6 * 0.4) / 0.1^2
    assert chapter["visitors_needed"](0.5, 0.2) == 385
    assert chapter["visitors_needed"](0.02, 0.05) > 3.5 * chapter["visitors_needed"](0.02, 0.1)


def test_the_mean_photo_has_the_smallest_squared_error(chapter):
    x = photos()
    best = (x - chapter["mean_photo"](x)).square().sum()
    assert best < (x - chapter["mean_photo"](x) - 0.01).square().sum()


def test_pixel_draws_have_the_means_and_deviations_asked_for_and_no_correlation(chapter):
    x = photos()
    drawn = chapter["draw_pixels"](x.mean(0), x.std(0), 20_000, rng())
    torch.testing.assert_close(drawn.mean(0), x.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(drawn.std(0), x.std(0), atol=0.02, rtol=0.03)
    assert torch.corrcoef(drawn[:, :20].T).fill_diagonal_(0).abs().max() < 0.04


def test_principal_directions_are_those_of_the_covariance_largest_first(chapter):
    x = photos()
    directions = chapter["principal"](x, 8)
    lengths = directions.norm(dim=0)
    assert (lengths[:-1] >= lengths[1:]).all()
    singular = torch.linalg.svdvals(x - x.mean(0))[:8] / (len(x) - 1) ** 0.5
    torch.testing.assert_close(lengths, singular, rtol=1e-3, atol=1e-4)
    all_of_them = chapter["principal"](x, 784)
    torch.testing.assert_close(all_of_them @ all_of_them.T, torch.cov(x.T), atol=1e-3, rtol=0)


def test_fewer_photos_than_pixels_give_a_flat_but_finite_model(chapter):
    known = chapter["learn"](photos(n=3), None)
    drawn = chapter["draw"]("PCA-Gaussian", known, 10, rng())
    assert drawn.isfinite().all() and (known["directions"].norm(dim=0) > 1e-3).sum() == 2


def test_a_neighbour_is_a_photo_of_the_library_moved_by_at_most_reach(chapter):
    library = photos(n=6)
    drawn = chapter["draw_neighbour"](library, 60, rng(), reach=1, noise=0.0)
    moved = torch.stack([chapter["shift"](library, u, v) for u in (-1, 0, 1) for v in (-1, 0, 1)])
    assert torch.cdist(drawn.double(), moved.flatten(0, 1).double()).amin(dim=1).max() < 1e-5
    still = chapter["draw_neighbour"](library, 60, rng(), reach=0, noise=0.0)
    assert torch.cdist(still.double(), library.double()).amin(dim=1).max() < 1e-5


def test_every_baseline_draws_images_with_the_classes_in_turn(chapter):
    known = [chapter["learn"](photos() + 0.01 * k, photos()) for k in range(10)]
    for name in chapter["BASELINES"]:
        drawn = chapter["draw_all"](name, known, 25, rng())
        assert drawn.shape == (25, 1, 28, 28) and drawn.abs().max() <= 1
    means = chapter["draw_all"]("mean photo", known, 20, rng())
    torch.testing.assert_close(means[:10], means[10:])
    torch.testing.assert_close(means[3].flatten(), known[3]["mean"].clamp(-1, 1))


def test_the_score_of_photos_is_what_the_package_s_report_says(chapter):
    classifier = recorded.load_model("classifier-fashion-mnist")
    test = chapter["test"].subset(slice(0, 300))
    features = evaluation.extract(test, classifier)
    drawn = chapter["train"].batch(slice(0, 300))
    score = chapter["score"](drawn, features, classifier)
    theirs = evaluation.frechet_distance(features, evaluation.extract(drawn, classifier))
    assert score["fid_fmnist"] == pytest.approx(theirs)
    assert score["sharpness"] == pytest.approx(evaluation.sharpness(drawn).mean().item())
    assert score.keys() >= {"precision", "recall", "density", "coverage", "label_agreement"}


def test_copies_are_found_moved_or_not_and_other_photos_are_not(chapter):
    train, test = chapter["train"], chapter["test"]
    library = train.batch(slice(0, 400)).flatten(1)
    others = test.batch(slice(0, 100)).flatten(1)
    moved = chapter["shift"](library[:50], 1, -1)
    assert chapter["nearest_distance"](moved, library, 1).max() < 0.1
    assert chapter["nearest_distance"](moved, library, 0).min() > 0.5
    assert chapter["share_of_copies"](moved, others, library, 1) == 1
    assert chapter["share_of_copies"](others, others, library, 1) <= 0.02


@pytest.mark.parametrize("d", [0, 1, 64])
def test_the_explorer_draws_every_number_of_directions(chapter, d):
    figure = chapter["explore"](label="Bag", d=d, seed=1)
    assert isinstance(figure, Figure)
    assert {text.get_text() for text in figure.axes[0].texts} == {"rebuilt", f"d = {d}"}
