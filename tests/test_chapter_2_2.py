"""Chapter 2.2's own functions: activations, slopes, what depth does to gradients, own starts, the race."""

import math

import numpy as np
import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure

NAME = "02-2-activations"
NAMES = ["linear", "sigmoid", "tanh", "ReLU", "leaky ReLU", "SiLU"]


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define."""
    namespace: dict = {}
    run_core(NAME, namespace)
    assert list(namespace["BY_HAND"]) == list(namespace["IN_TORCH"]) == NAMES
    return namespace


@pytest.mark.parametrize("name", NAMES)
def test_values_and_slopes_are_pytorch_s(chapter, name):
    value, slope = chapter["BY_HAND"][name]
    a = torch.cat([torch.linspace(-9, 9, 1000), torch.tensor([-900.0, 900.0])]).double().requires_grad_()
    theirs = chapter["IN_TORCH"][name](a)
    (their_slope,) = torch.autograd.grad(theirs.sum(), a)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        ours, our_slope = value(a.detach().numpy()), slope(a.detach().numpy())
    assert np.allclose(ours, theirs.detach().numpy(), atol=1e-12)
    assert np.allclose(our_slope, their_slope.numpy(), atol=1e-12)


def test_linear_layers_collapse_to_one(chapter):
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(m, n)), rng.normal(size=m)) for n, m in ((6, 5), (5, 4), (4, 3))]
    x = rng.normal(size=(7, 6))
    h = x
    for w, b in layers:
        h = h @ w.T + b
    weight, bias = chapter["collapse"](layers)
    assert np.allclose(h, x @ weight.T + bias)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("q", [0.3, 1.0, 3.0])
def test_the_factor_is_the_mean_square_of_the_slope(chapter, name, q):
    slopes = chapter["BY_HAND"][name][1](q * np.random.default_rng(0).normal(size=400_000))
    assert chapter["factor"](name, 2, q) == pytest.approx(4 * np.mean(slopes**2), rel=0.03)


def test_gradients_shrink_by_the_factor_where_its_assumptions_hold(chapter):
    photos = torch.randn(256, 784, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(256) % 10
    shares = []
    for seed in range(5):
        layers = chapter["stack"](chapter["DEPTH"], chapter["WIDTH"], 1.0, seed)
        sizes = chapter["gradient_sizes"](layers, torch.relu, photos, labels)
        assert len(sizes) == chapter["DEPTH"]
        shares.append(math.log10(sizes[0] / sizes[-1]))
    predicted = (chapter["DEPTH"] - 1) / 2 * math.log10(chapter["factor"]("ReLU", 1, 1))
    assert np.mean(shares) == pytest.approx(predicted, abs=0.5)


def easy(n):
    """Rows whose class stands in their first ten numbers."""
    rng = torch.Generator().manual_seed(n)
    labels = torch.randint(10, (n,), generator=rng)
    x = 0.1 * torch.randn(n, 784, generator=rng)
    x[range(n), labels] += 5
    return x, labels


def test_a_stack_for_tanh_is_rewritten_for_sigmoids_and_keeps_as_much_of_its_gradient(chapter):
    photos, labels = easy(100)
    plain = chapter["stack"](6, 64, 1.2, seed=1)
    with torch.no_grad():
        for layer in plain:
            layer.bias.normal_(generator=torch.Generator().manual_seed(0))
    logits = chapter["forward"](plain, photos, torch.tanh)[-1]
    left = chapter["share_left"](plain, "tanh", photos, labels)
    changed = chapter["as_sigmoids"](plain)
    torch.testing.assert_close(chapter["forward"](changed, photos, torch.sigmoid)[-1], logits)
    assert chapter["share_left"](changed, "sigmoid", photos, labels) == pytest.approx(left, rel=1e-3)


def test_the_relu_s_own_gain_is_the_known_one_and_the_sigmoid_s_that_of_the_tanh(chapter):
    photos, labels = easy(100)
    assert chapter["own_gain"]("ReLU", photos, labels) == 2**0.5
    assert chapter["own_gain"]("tanh", photos, labels) == chapter["own_gain"]("sigmoid", photos, labels)


def test_a_race_that_is_won_says_when_and_one_that_is_lost_costs_the_budget(chapter):
    runners, judges = easy(6400), easy(500)
    relu = chapter["started"]("ReLU", 1, 2**0.5, seed=0)
    needed, curve = chapter["race"](*relu, 0.1, *runners, *judges, seed=0, budget=6400)
    looks = range(chapter["EVERY"], 6400 + 1, chapter["EVERY"])
    assert len(curve) == len(looks) and needed == looks[[c >= chapter["GOAL"] for c in curve].index(True)]
    sigmoid = chapter["started"]("sigmoid, gain 1", 5, 1.0, seed=0)
    needed, curve = chapter["race"](*sigmoid, 1e-6, *runners, *judges, seed=0, budget=1280)
    assert needed == 1280 and max(curve) < chapter["GOAL"]


def test_the_pilots_choose_and_one_seed_gives_a_row_for_each_stack_and_each_runner(chapter):
    chapter = chapter | {"PILOTS": (0,)}
    parts = *easy(640), *easy(100)
    rows = chapter["pilots"](*parts, rates=(1e-6, 0.1), budget=640)
    assert chapter["best_pilot"](rows, "ReLU", 1) == (2**0.5, 0.1)
    rows = chapter["one_seed"](rows, *parts, seed=3, budget=640)
    depth = [row for row in rows if row["study"] == "depth"]
    own = [row for row in depth if row["start"] == "own"]
    assert len(depth) - len(own) == len(NAMES) * len(chapter["GAINS"])
    assert [row["activation"] for row in own] == ["sigmoid", "tanh", "ReLU", "SiLU"]
    assert len(rows) - len(depth) == (len(chapter["RUNNERS"]) + 1) * len(chapter["DEPTHS"])
    assert {row["seed"] for row in rows} == {3}


def test_the_dead_are_counted(chapter):
    photos, _ = easy(50)
    layers = chapter["stack"](2, 64, 1.0, seed=0)
    relu, leaky = chapter["IN_TORCH"]["ReLU"], chapter["IN_TORCH"]["leaky ReLU"]
    before = chapter["share_dead"](layers, photos, relu)
    with torch.no_grad():
        layers[1].bias.fill_(-1e3)  # every neuron of the second layer falls silent
    assert before < 0.1 and chapter["share_dead"](layers, photos, relu) == pytest.approx(0.5, abs=0.1)
    assert chapter["share_dead"](layers, photos, leaky) == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_explorer_draws_every_function(chapter, name):
    figure = chapter["explore"](name=name, a=-1.5)
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_title().startswith(f"{name}: passes on ")
    assert figure._repr_png_().startswith(b"\x89PNG")
