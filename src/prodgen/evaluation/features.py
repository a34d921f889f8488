"""Features: what the metrics see of an image. Computed once, then handed from metric to metric."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.error import URLError

import torch
from torch import Tensor, nn

from prodgen.data import ImageDataset, to_uint8


class EvaluationError(RuntimeError):
    """A measurement that cannot be made: one sentence that says why and what to do."""


@contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside the block; the models' own mode again behind it."""
    modes = [model.training for model in models]
    try:
        for model in models:
            model.eval()
        with torch.no_grad():
            yield
    finally:
        for model, mode in zip(models, modes, strict=True):
            model.train(mode)


def batches(images: Tensor | ImageDataset, size: int) -> Iterator[Tensor]:
    """Consecutive batches, float32 (n, C, H, W) in [-1, 1], of a tensor in [-1, 1] or of a data set."""
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        yield images.batch(part) if isinstance(images, ImageDataset) else images[part]


def extract(images: Tensor | ImageDataset, classifier: nn.Module, batch_size: int = 250) -> Tensor:
    """The classifier's features of images (N, C, H, W) in [-1, 1]: (N, F) float32 on the CPU."""
    return _run(classifier, classifier.features, images, batch_size)


def predict(images: Tensor | ImageDataset, classifier: nn.Module, batch_size: int = 250) -> Tensor:
    """The class that the classifier finds likeliest for each image: int64 (N,) on the CPU."""
    return _run(classifier, classifier, images, batch_size).argmax(dim=1)


def _run(
    network: nn.Module, method: Callable[[Tensor], Tensor], images: Tensor | ImageDataset, batch_size: int
) -> Tensor:
    device = next(network.parameters()).device
    with evaluating(network):
        # In channels-last layout a CPU convolves one and a half times as fast.
        parts = [
            method(x.to(device, memory_format=torch.channels_last)).float().cpu()
            for x in batches(images, batch_size)
        ]
    return torch.cat(parts)


def inception_features(images: Tensor | ImageDataset, batch_size: int = 32) -> Tensor:
    """Features (N, 2048) of Inception-v3, as the published FID and KID use them (Heusel et al., 2017).

    Images (N, C, H, W) in [-1, 1], C = 1 or 3, become three-channel uint8, which the network's own front end
    scales to 299 x 299: expect about a second for 15 images on two CPU cores.
    Raises EvaluationError where torchmetrics cannot fetch the weights (95 MB).
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    try:
        inception = FrechetInceptionDistance(feature=2048).inception
    except (URLError, ModuleNotFoundError) as error:
        raise EvaluationError(
            f"The Inception weights could not be fetched ({error}); connect to a network, or put the file "
            f"weights-inception-2015-12-05-6726825d.pth into {torch.hub.get_dir()}/checkpoints."
        ) from None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    inception.to(device)
    return _run(inception, lambda x: inception(to_uint8(x).expand(-1, 3, -1, -1)), images, batch_size)
