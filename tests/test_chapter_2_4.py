"""Chapter 2.4's optimisers are PyTorch's, its limit is the true one, its pilots choose the rates."""

import math

import numpy as np
import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure

NAME = "02-4-optimisers"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, and nothing else of the notebook."""
    return run_core(NAME, {})


@pytest.mark.parametrize(
    ("rule", "theirs", "settings"),
    [
        ("SGD", torch.optim.SGD, {}),
        ("momentum", torch.optim.SGD, {"momentum": 0.9}),
        ("Adam", torch.optim.Adam, {}),
    ],
)
def test_a_rule_takes_pytorch_s_steps(chapter, rule, theirs, settings):
    gradients = np.random.default_rng(0).normal(size=(40, 6)) * np.geomspace(1e-4, 1e4, 6)
    step, state = chapter["RULES"][rule]
    w, t = np.ones(6), torch.ones(6, dtype=torch.float64, requires_grad=True)
    optimiser = theirs([t], lr=0.01, **settings)
    for g in gradients:
        w, state = step(w, g, state, 0.01)
        t.grad = torch.tensor(g)
        optimiser.step()
    assert np.allclose(w, t.detach(), rtol=1e-9, atol=1e-9)


def test_the_gradient_is_autograd_s_and_a_batch_is_right_on_average(chapter):
    rng = np.random.default_rng(1)
    x, truth, w = rng.normal(size=(12, 7)), rng.integers(0, 3, 12), rng.normal(size=(7, 3))
    t = torch.tensor(w, requires_grad=True)
    torch.nn.functional.cross_entropy(torch.tensor(x) @ t, torch.tensor(truth)).backward()
    full = chapter["gradient"](w, x, truth)
    assert np.allclose(full, t.grad)
    parts = [chapter["gradient"](w, x[i : i + 4], truth[i : i + 4]) for i in (0, 4, 8)]
    assert np.allclose(np.mean(parts, axis=0), full)
    errors = [chapter["batch_error"](w, x, truth, size, 3000, rng) for size in (1, 16)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_the_largest_rate_is_two_over_the_largest_eigenvalue(chapter):
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(9, 4)), rng.normal(size=(4, 3))
    units = np.eye(12).reshape(12, 4, 3)
    hessian = np.stack([chapter["curvature_along"](w, x, v).ravel() for v in units])
    assert np.allclose(hessian, hessian.T)
    largest = np.linalg.eigvalsh(hessian)[-1]
    assert chapter["largest_rate"](w, x, rounds=300) == pytest.approx(2 / largest, rel=1e-4)


def test_the_rate_is_chosen_by_the_pilots_on_photos_held_back(chapter):
    rows = [
        {
            "part": part,
            "seed": seed,
            "task": "t",
            "optimiser": "o",
            "steps": 9,
            "rate": rate,
            "held_out": held,
        }
        for part, seed, other in (("pilot", 1, 0), ("pilot", 2, 0), ("judged", 3, 9))
        for rate, held in ((0.1, 2.0 - other), (0.2, 1.0), (0.3, None))
    ]
    assert chapter["chosen_rate"](rows, "t", "o", 9) == 0.2


@pytest.mark.parametrize("landscape", ["valley", "bend"])
def test_a_landscape_s_slope_is_its_own_and_its_lowest_point_is_flat(chapter, landscape):
    height, slope, _, goal = chapter["LANDSCAPES"][landscape]
    assert np.allclose(slope(*goal), 0) and height(*goal) == 0
    eps = 1e-6
    by_p = (height(0.3 + eps, 0.8) - height(0.3 - eps, 0.8)) / (2 * eps)
    by_q = (height(0.3, 0.8 + eps) - height(0.3, 0.8 - eps)) / (2 * eps)
    assert np.allclose(slope(0.3, 0.8), [by_p, by_q], atol=1e-5)


@pytest.mark.parametrize("rule", ["SGD", "momentum", "Adam"])
def test_the_explorer_draws_even_a_race_that_flies_off(chapter, rule):
    for landscape in chapter["LANDSCAPES"]:
        for rate in (0.01, 1.0):
            figure = chapter["explore"](landscape, rule, rate, 0.9, 30)
            assert isinstance(figure, Figure) and rule in figure.axes[0].get_title()
    assert figure._repr_png_().startswith(b"\x89PNG")
    way = chapter["race"]("valley", "SGD", 1.0, 50)
    assert len(way) < 51 and math.isfinite(way.sum())
