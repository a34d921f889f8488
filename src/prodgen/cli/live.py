"""A generator or a decoder as a web page that draws by itself: no server, no library, nothing to load."""

import base64
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from prodgen import __version__
from prodgen.errors import ModelError
from prodgen.models.gan import Generator
from prodgen.models.vae import VAE


def live_model(model: Generator | VAE) -> dict[str, Any]:
    """What `live.js` needs to draw with the model, ready for JSON.

    latent_dim, size (pixels a side), channels; factors, as `Condition.to_json` gives them; layers, each with
    its kind and sizes; and weights: all of them as float16, little-endian, in base64, in the order of the
    layers, of each layer weights and then biases. Batch norm is folded into the layer before it, and the
    condition's embedding into the first one: this takes z and the condition's vector one behind the other.

    Raises ModelError where a number does not fit into float16.
    """
    layers, numbers = _generator(model) if isinstance(model, Generator) else _decoder(model)
    flat = torch.cat([part.detach().float().cpu().flatten() for part in numbers])
    if not flat.abs().max() <= torch.finfo(torch.half).max:  # not a number, either
        raise ModelError("This model has weights too large for a page: has its training diverged?")
    return {
        "latent_dim": model.latent_dim,
        "size": model.config["image_size"],
        "channels": model.config["channels"],
        "factors": model.condition.to_json() if model.condition else [],
        "layers": layers,
        "weights": base64.b64encode(flat.half().numpy().astype("<f2").tobytes()).decode(),
    }


def save_page(
    file: BinaryIO, model: Generator | VAE, name: str, origin: str, content: Sequence[int] | None = None
) -> None:
    """Write the model and all that draws with it as one HTML page.

    name: what the page calls the model; origin: where its pictures come from, in words; content: height and
    width of a picture's middle that has no padding, which is what the page shows.
    """
    import jinja2

    here = files("prodgen.cli")
    page = jinja2.Template(here.joinpath("live.html").read_text("utf-8"), autoescape=True)
    text = page.render(
        name=name,
        origin=origin,
        version=__version__,
        script=here.joinpath("live.js").read_text("utf-8"),
        # In a script no text may look like its end.
        model=json.dumps(live_model(model) | {"content": content}).replace("<", "\\u003c"),
    )
    file.write(text.encode())


class _Layers:
    """Layers in the page's order, with their numbers beside them."""

    def __init__(self) -> None:
        self.layers: list[dict[str, Any]] = []
        self.numbers: list[Tensor] = []

    def add(self, kind: str, weight: Tensor | None = None, bias: Tensor | None = None, **sizes: Any) -> None:
        """weight: (..., from, to) as the page multiplies it; bias (to,) or (outputs,)."""
        self.layers.append({"kind": kind, **sizes})
        if weight is not None:
            self.numbers += [weight, bias]

    def dense(self, weight: Tensor, bias: Tensor, side: int, activation: str) -> None:
        """weight: (from, to); what it gives is a map of side by side places."""
        sizes = {"from": weight.shape[0], "to": weight.shape[1], "side": side, "activation": activation}
        self.add("linear", weight, bias, **sizes)

    def convolution(self, layer: Any, norm: nn.Module | None, activation: str, scale: float = 1) -> None:
        """A convolution, or a transposed one, with the batch norm that follows it."""
        up = isinstance(layer, nn.ConvTranspose2d)
        weight = layer.weight.permute(2, 3, 0, 1) if up else layer.weight.permute(2, 3, 1, 0)
        bias = weight.new_zeros(weight.shape[-1]) if layer.bias is None else layer.bias
        factor, shift = _folded(norm) if norm else (scale, 0.0)
        sizes = {"from": weight.shape[2], "to": weight.shape[3], "activation": activation}
        self.add("up" if up else "conv", weight * factor, bias * factor + shift, **sizes)


def _folded(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Batch norm outside training: what it multiplies each channel by, and what it adds."""
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return factor, norm.bias - norm.running_mean * factor


def _stem(model: Generator | VAE, linear: nn.Linear) -> Tensor:
    """Weights of the first layer on z and on the condition's vector: (latent_dim + condition.width, to)."""
    of_z, told = linear.weight[:, : model.latent_dim], linear.weight[:, model.latent_dim :]
    return (torch.cat([of_z, told @ model.embedding.weight], dim=1) if model.condition else of_z).T


def _generator(model: Generator) -> tuple[list[dict[str, Any]], list[Tensor]]:
    layers, side = _Layers(), model.resolution
    norm, _, block, *rest = model.body
    factor, shift = (part.repeat(side**2) for part in _folded(norm))
    layers.dense(_stem(model, model.stem) * factor, shift, side, "relu")
    first, first_norm, _, second, second_norm = block.correction
    layers.add("keep")
    layers.convolution(first, first_norm, "relu")
    layers.convolution(second, second_norm, "")
    layers.add("add")
    while isinstance(rest[0], nn.ConvTranspose2d):
        up, norm, _, *rest = rest
        layers.convolution(up, norm, "relu")
    layers.convolution(rest[0], None, "")
    layers.add("shuffle")
    layers.add("tanh")
    return layers.layers, layers.numbers


def _decoder(model: VAE) -> tuple[list[dict[str, Any]], list[Tensor]]:
    layers = _Layers()
    first, _, second, _ = model.decoder_stem
    layers.dense(_stem(model, first), first.bias, 1, "silu")
    layers.dense(second.weight.T, second.bias, model.resolution, "silu")
    *ups, last = model.decoder_maps[::2]  # between them stand activations
    for up in ups:
        layers.convolution(up, None, "silu")
    kind, scale = ("tanh", 0.5) if model.likelihood == "bernoulli" else ("clamp", 1.0)
    layers.convolution(last, None, "", scale)  # 2 sigmoid(x) - 1 = tanh(x / 2)
    layers.add(kind)
    return layers.layers, layers.numbers
