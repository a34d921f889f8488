"""Chapter 2.3's losses are the library's and the package's, its study's pictures are what it says."""

import math

import numpy as np
import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure
from scipy.stats import norm
from torch.nn import functional

from prodgen import losses

NAME = "02-3-losses"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, over a few made-up photos' brightness."""
    rng = np.random.default_rng(0)
    namespace: dict = {"is_boot": np.repeat([0.0, 1.0], 20)}
    namespace["brightness"] = rng.normal(size=40) + 2 * namespace["is_boot"]
    return run_core(NAME, namespace)


def test_the_gaussian_belief_is_scipy_s_and_the_package_s(chapter):
    y, guess = np.random.default_rng(1).normal(size=(2, 30))
    ours = chapter["gaussian_log_p"](y, guess, 0.3)
    assert np.allclose(ours, norm.logpdf(y, guess, 0.3))
    package = losses.gaussian_log_likelihood(
        torch.tensor(y)[None], torch.tensor(guess)[None], torch.tensor(math.log(0.3))
    )
    assert package.item() == pytest.approx(ours.sum())
    assert chapter["negative_log_likelihood"](ours) == pytest.approx(-ours.mean())


def test_gradients_are_those_of_finite_differences(chapter):
    rng, eps = np.random.default_rng(2), 1e-6
    y, guess = rng.normal(size=(2, 7))
    for n in range(7):
        nudge = eps * np.eye(7)[n]
        rise = chapter["mse"](y, guess + nudge) - chapter["mse"](y, guess - nudge)
        assert chapter["mse_gradient"](y, guess)[n] == pytest.approx(rise / (2 * eps), abs=1e-6)
    a, kinds = 3 * rng.normal(size=9), rng.integers(0, 2, 9)
    rise = chapter["bce_with_logits"](a + eps, kinds) - chapter["bce_with_logits"](a - eps, kinds)
    assert np.allclose(chapter["bce_gradient"](a, kinds), rise / (2 * eps), atol=1e-6)
    squared = [(chapter["sigmoid"](a + e) - kinds) ** 2 for e in (eps, -eps)]
    assert np.allclose(
        chapter["squared_gradient"](a, kinds), (squared[0] - squared[1]) / (2 * eps), atol=1e-6
    )


@pytest.mark.parametrize("scale", [1, 1e3, 1e6])
def test_cross_entropies_survive_any_logit(chapter, scale):
    a, y = scale * np.random.default_rng(3).normal(size=(20, 5)), np.arange(20) % 5
    theirs = functional.cross_entropy(torch.tensor(a), torch.tensor(y), reduction="none")
    assert np.allclose(chapter["cross_entropy"](a, y), theirs)
    assert np.allclose(chapter["cross_entropy_gradient"](a, y).sum(axis=1), 0)
    binary = functional.binary_cross_entropy_with_logits(
        torch.tensor(a[:, 0]), torch.tensor(y % 2.0), reduction="none"
    )
    assert np.allclose(chapter["bce_with_logits"](a[:, 0], y % 2), binary)
    assert np.isfinite(chapter["sigmoid"](a)).all()


def test_the_landscape_s_slope_is_its_own(chapter):
    x, y, eps = chapter["brightness"], chapter["is_boot"], 1e-5
    for kind in ("cross-entropy", "squared error"):

        def height(w, b, kind=kind):
            return chapter["line_loss"](kind, w, b, x, y)

        by_w, by_b = chapter["line_gradient"](kind, 0.7, -0.4, x, y)
        assert by_w == pytest.approx(
            (height(0.7 + eps, -0.4) - height(0.7 - eps, -0.4)) / (2 * eps), rel=1e-5
        )
        assert by_b == pytest.approx(
            (height(0.7, -0.4 + eps) - height(0.7, -0.4 - eps)) / (2 * eps), rel=1e-5
        )
        grid = height(np.array([[0.7, 1.0]]), np.array([[-0.4, 2.0]]))
        assert grid.shape == (1, 2) and grid[0, 0] == pytest.approx(height(0.7, -0.4))


def test_known_cases_are_the_truth_spoilt_and_moved(chapter):
    truth = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = chapter["known_cases"](truth, seed=1)
    errors = [(found[name] - truth).abs().mean() for name in ("a little noise", "much noise")]
    assert 0 < 5 * errors[0] < errors[1] and all(x.abs().max() <= 1 for x in found.values())
    assert torch.equal(found["moved"][..., 2:], truth[..., :-2])


def test_the_mean_of_ten_starts_from_the_nearest_and_has_less_error(chapter):
    photos = torch.rand(300, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = chapter["proposals"](photos, photos[:20], seed=0, steps=1)
    assert torch.equal(found["nearest"], photos[:20])  # the photo itself has its own thumbnail
    rest = (10 * found["mean of ten"] - found["nearest"]) / 9
    assert rest.abs().max() < 1 and (rest - photos[:20]).abs().mean() > 0.1


def test_a_thumbnail_is_the_mean_of_blocks_and_outputs_become_photos(chapter):
    x = torch.arange(28.0 * 28).view(1, 1, 28, 28)
    assert chapter["thumbnail"](x)[0, 0] == x[0, 0, :7, :7].mean()
    out = torch.tensor([[-3.0, 0.0, 3.0]]).repeat(1, 784 // 3 + 1)[:, :784]
    for kind in ("squared", "absolute", "cross-entropy"):
        pictures = chapter["as_photos"](kind, out)
        assert pictures.shape == (1, 1, 28, 28) and pictures.abs().max() <= 1
        assert chapter["pixel_loss"](kind, out, out.clamp(-1, 1)).ndim == 0


@pytest.mark.parametrize("kind", ["cross-entropy", "squared error"])
def test_the_explorer_draws(chapter, kind):
    figure = chapter["explore"](kind=kind, w=2.0, b=-1.0)
    assert isinstance(figure, Figure) and kind in figure.axes[0].get_title()
    assert figure._repr_png_().startswith(b"\x89PNG")
