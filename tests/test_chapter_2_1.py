"""Chapter 2.1's own functions: layers, gradients, convolutions and the race are what its text says."""

import itertools

import numpy as np
import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure
from torch import nn

from prodgen import data, recorded

NAME = "02-1-networks"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, over the photos and the classifier that the text loads."""
    namespace: dict = {
        "test": data.load("fashion-mnist", "test"),
        "classifier": recorded.load_model("classifier-fashion-mnist"),
    }
    return run_core(NAME, namespace)


def test_parameters_are_counted_as_pytorch_counts_them(chapter):
    for widths in ([10, 5, 3], [784, 70, 10], [7, 6, 5, 4, 3]):
        layers = [nn.Linear(n, m) for n, m in itertools.pairwise(widths)]
        assert chapter["count"](widths) == sum(p.numel() for layer in layers for p in layer.parameters())
    nets = [sum(p.numel() for p in chapter[make]().parameters()) for make in ("dense_net", "conv_net")]
    assert abs(nets[0] / nets[1] - 1) < 0.01


def test_forward_loss_and_gradients_are_autograd_s(chapter):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 10)), rng.integers(0, 3, 20)
    weights = [w + 0.1 for w in chapter["start"](rng)]
    tensors = [torch.from_numpy(w).requires_grad_() for w in weights]
    w1, b1, w2, b2 = tensors
    out = torch.relu(torch.from_numpy(x) @ w1.T + b1) @ w2.T + b2
    losses = nn.functional.cross_entropy(out, torch.from_numpy(y), reduction="none")
    ours = chapter["network"](x, weights)[1]
    assert np.allclose(ours, out.detach().numpy())
    assert np.allclose(chapter["loss"](ours, y), losses.detach().numpy())
    for mine, theirs in zip(
        chapter["backward"](x, y, weights), torch.autograd.grad(losses.mean(), tensors), strict=True
    ):
        assert np.allclose(mine, theirs.numpy(), atol=1e-12)


def test_softmax_stands_large_outputs(chapter):
    p = chapter["softmax"](np.array([[1000.0, 0.0, -1000.0]]))
    assert np.allclose(p, [[1, 0, 0]])


def test_learning_lowers_the_loss_and_equal_neurons_stay_equal(chapter):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 30)
    x = rng.normal(size=(90, 10)) + 2 * np.eye(10)[y]
    weights, losses = chapter["learn"](x, y, chapter["start"](rng), steps=100)
    assert losses[-1] < losses[0] / 2
    tidy = [np.full_like(w, 0.1) for w in chapter["start"](rng)]
    stuck, _ = chapter["learn"](x, y, tidy, steps=50)
    # The sums over equal numbers are rounded alike on some processors only.
    different = [len(np.unique(w[0].round(6), axis=0)) for w in (stuck, weights)]
    assert different == [1, 5]


@pytest.mark.parametrize("side", [3, 5])
def test_convolve_is_conv2d_and_its_matrix(chapter, side):
    rng = np.random.default_rng(2)
    image, kernel = rng.normal(size=(9, 9)), rng.normal(size=(side, side))
    ours = chapter["convolve"](image, kernel)
    theirs = nn.functional.conv2d(torch.from_numpy(image)[None, None], torch.from_numpy(kernel)[None, None])
    assert np.allclose(ours, theirs[0, 0].numpy())
    assert np.allclose(chapter["as_matrix"](kernel, 9) @ image.ravel(), ours.ravel())


def test_bands_are_means_of_rows(chapter):
    images = torch.arange(28.0).view(1, 1, 28, 1).expand(2, 1, 28, 28)
    bands = chapter["bands"](images)
    assert bands.shape == (2, 10) and bands[0, 0] == 1  # rows 0, 1 and 2
    assert (np.diff(bands[0]) > 0).all()


def test_a_race_spends_its_budget_of_images_or_of_seconds(chapter):
    photos = chapter["test"].subset(slice(0, 200))
    seen, _ = chapter["fit"](chapter["dense_net"](), photos, 0.003, 0, images=640)
    assert seen >= 640
    _, spent = chapter["fit"](chapter["dense_net"](), photos, 0.003, 0, seconds=0.05)
    assert 0.05 <= spent < 2


def test_accuracy_counts_and_moves(chapter):
    class Brightest(nn.Module):
        """Class k where column k is the brightest of the first ten."""

        def forward(self, x):
            return x.mean(dim=(1, 2))[:, :10]

    images = torch.zeros(10, 1, 28, 28, dtype=torch.uint8)
    images[range(10), :, :, range(10)] = 255
    known = {"factors": {"label": torch.arange(10)}, "condition": data.Condition.of_classes("0123456789")}
    dataset = data.ImageDataset("columns", "test", images, "CC0", "made here", **known)
    assert chapter["accuracy"](Brightest(), dataset) == 1
    assert chapter["accuracy"](Brightest(), dataset, shift=1) == 0


def test_the_explorer_draws_every_filter(chapter):
    for name in [*chapter["FILTERS"], *chapter["learnt_filters"](chapter["classifier"])]:
        figure = chapter["explore"](name=name, label="Bag", first=5)
        assert isinstance(figure, Figure)
        assert {text.get_text() for text in figure.axes[0].texts} == {"photo", "filtered"}
