"""Chapter 2.5's loop is the package's; two of nine orders train; the check-up finds the other seven."""

import copy
import itertools

import numpy as np
import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure
from torch import nn
from torch.nn.functional import cross_entropy

from prodgen import training
from prodgen.data import Condition, ImageDataset, Shuffled

NAME = "02-5-training-loop"
RNG = torch.Generator().manual_seed(0)
PHOTOS = torch.randint(0, 256, (300, 1, 28, 28), generator=RNG, dtype=torch.uint8)
LABELS = torch.arange(300) % 10


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, over noise in the place of photos."""
    namespace: dict = {"pixels": PHOTOS.flatten(1).float() / 127.5 - 1, "kinds": LABELS}
    return run_core(NAME, namespace)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))


def test_the_package_s_loop_makes_the_same_weights(chapter):
    known = {"factors": {"label": LABELS}, "condition": Condition.of_classes("abcdefghij")}
    photos = ImageDataset("noise", "train", PHOTOS, "CC0", "made here", **known)
    theirs, ours = network(), network()
    trainer = chapter["Sorter"](theirs, chapter["Recipe"]())
    training.train(trainer, photos, images=64 * 9, seed=3, progress=False)
    order = Shuffled(300, 3)
    batches = (order.take(64 * k, 64) for k in range(9))
    optimiser = torch.optim.SGD(ours.parameters(), lr=0.1)
    losses = chapter["training_loop"](
        ours, cross_entropy, optimiser, photos.batch(slice(None)), LABELS, batches
    )
    assert len(losses) == trainer.steps == 9
    for p, q in zip(trainer.network.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(p.cpu(), q, rtol=0, atol=1e-4)


def test_the_loop_by_hand_is_torch_s(chapter):
    x = chapter["pixels"].double()
    batches = [rows.numpy() for rows in chapter["random_batches"](300, 12, seed=1, size=20)]
    ours, w = chapter["loop_by_hand"](x.numpy(), LABELS.numpy(), batches, rate=0.05)
    layer = nn.Linear(784, 10).double()
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.05)
    again = map(torch.tensor, batches)
    theirs = chapter["training_loop"](layer, cross_entropy, optimiser, x, LABELS, again)
    assert np.allclose(ours, theirs) and np.allclose(w.T, layer.weight.detach())


def test_the_check_up_finds_all_but_the_two_right_orders(chapter):
    right = {("zero_grad", "backward", "step"), ("backward", "step", "zero_grad")}
    assert len(chapter["ORDERS"]) == len(set(chapter["ORDERS"])) == 9
    assert set(itertools.permutations(chapter["CALLS"])) < set(chapter["ORDERS"])
    for calls in chapter["ORDERS"]:
        patient = network()
        optimiser = torch.optim.SGD(patient.parameters(), lr=0.1)
        x, y = PHOTOS[:32].float() / 255, LABELS[:32]
        answers = chapter["checkup"](calls, patient, cross_entropy, optimiser, x, y)
        assert chapter["healthy"](answers) == (calls in right), (calls, answers)
        assert answers["error"] == (calls == ("step", "zero_grad", "backward"))


def test_the_check_up_finds_an_optimiser_of_another_network(chapter):
    patient, another = network(), copy.deepcopy(network())
    optimiser = torch.optim.SGD(another.parameters(), lr=0.1)
    x, y = PHOTOS[:32].float() / 255, LABELS[:32]
    answers = chapter["checkup"](chapter["CALLS"], patient, cross_entropy, optimiser, x, y)
    assert not answers["weights moved"] and not chapter["healthy"](answers)


def test_a_forgotten_zero_grad_is_momentum_one(chapter):
    gradients = np.random.default_rng(0).normal(size=(20, 4))
    w, v = np.zeros(4), 0.0
    t = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([t], lr=0.1, momentum=1.0)
    for g in gradients:
        w, v = chapter["summed_step"](w, g, v, 0.1)
        t.grad = torch.tensor(g)
        optimiser.step()
    assert np.allclose(w, t.detach())


def test_the_explorer_draws_every_order(chapter):
    for name in chapter["NAMES"]:
        figure = chapter["explore"](calls=name, exponent=-3.0, rounds=5)
        assert isinstance(figure, Figure)
        assert name in {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert figure._repr_png_().startswith(b"\x89PNG")
