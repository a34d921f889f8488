"""Features: what the metrics see of an image. Computed once, then handed from metric to metric."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from prodgen.data import ImageDataset, to_uint8
from prodgen.device import best_device
from prodgen.errors import EvaluationError
from prodgen.models import eval_mode
from prodgen.recorded import file_hash

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
NETWORK_TIMEOUT = 20.0  # seconds without a byte


def batches(images: Tensor | ImageDataset, size: int) -> Iterator[Tensor]:
    """Consecutive batches, float32 (n, C, H, W) in [-1, 1], of a tensor in [-1, 1] or of a data set."""
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        yield images.batch(part) if isinstance(images, ImageDataset) else images[part]


def extract(images: Tensor | ImageDataset, network: nn.Module, batch_size: int = 250) -> Tensor:
    """A classifier's or Inception's features of images (N, C, H, W) in [-1, 1]: (N, F) float32 on the CPU."""
    return outputs(network, network.features, images, batch_size)


def predict(images: Tensor | ImageDataset, classifier: nn.Module, batch_size: int = 250) -> Tensor:
    """The class that the classifier finds likeliest for each image: int64 (N,) on the CPU."""
    return outputs(classifier, classifier, images, batch_size).argmax(dim=1)


def outputs(
    network: nn.Module, method: Callable[[Tensor], Tensor], images: Tensor | ImageDataset, batch_size: int
) -> Tensor:
    """What a method of the network gives for images (N, C, H, W) in [-1, 1]: float32, on the CPU."""
    device = next(network.parameters(), torch.empty(0)).device  # Thumbnails have no weights
    with eval_mode(network):
        # In channels-last layout a CPU convolves one and a half times as fast.
        parts = [
            method(x.to(device, memory_format=torch.channels_last)).float().cpu()
            for x in batches(images, batch_size)
        ]
    return torch.cat(parts)


class Inception(nn.Module):
    """Inception-v3 as the published FID and KID use it (Heusel et al., 2017), seen like our classifier.

    Raises EvaluationError where the weights (95 MB) can neither be found nor fetched, or are not the
    published ones.
    """

    def __init__(self):
        super().__init__()
        weights = str(inception_weights())
        self.network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], weights)

    def features(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], C = 1 or 3 -> features (N, 2048).

        They become three-channel bytes, which the network's own front end scales to 299 x 299, a few at a
        time: there, one takes 20 MB.
        """
        return torch.cat([self.network(part)[0] for part in to_uint8(x).expand(-1, 3, -1, -1).split(32)])


def inception_features(images: Tensor | ImageDataset) -> Tensor:
    """Inception's features of images (N, C, H, W) in [-1, 1], C = 1 or 3: (N, 2048) float32 on the CPU.

    Computed on the GPU if there is one; two CPU cores take about a second for 15 images.
    Raises EvaluationError as `Inception` does.
    """
    return extract(images, Inception().to(best_device()))


def inception_weights() -> Path:
    """Inception's weights in PyTorch Hub's cache, fetched if need be.  Raises EvaluationError."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / URL_INCEPTION_V3.rpartition("/")[2]
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _network_timeout(NETWORK_TIMEOUT):
                torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), INCEPTION_SHA256, progress=False)
        except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: a broken download
            raise EvaluationError(
                f"The Inception weights could not be fetched into {folder} ({error}); connect to a network, "
                "set TORCH_HOME to a folder that you may write to, "
                f"or put the file {URL_INCEPTION_V3} there by hand."
            ) from None
    if file_hash(path) != INCEPTION_SHA256:
        raise EvaluationError(f"{path} is damaged or half downloaded; delete it, and it is fetched anew.")
    return path


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    # PyTorch Hub's downloader takes none, and a proxy that never answers would hold it for ever.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
