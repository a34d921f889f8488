"""Networks, how to sample from them, and how to keep them in a file. No training logic lives here."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from prodgen.files import write_whole
from prodgen.models.classifier import Classifier
from prodgen.models.gan import Discriminator, Generator
from prodgen.models.vae import VAE

KINDS = {
    "generator": Generator,
    "discriminator": Discriminator,
    "vae": VAE,
    "classifier": Classifier,
}

__all__ = [
    "KINDS",
    "VAE",
    "Classifier",
    "Discriminator",
    "Generator",
    "load",
    "load_metadata",
    "sample",
    "save_as",
]


@torch.no_grad()
def sample(
    model: Generator | VAE,
    n: int,
    labels: int | Tensor | None = None,
    seed: int = 0,
    batch_size: int = 500,
) -> Tensor:
    """n images drawn from the model: float32 (n, C, H, W) in [-1, 1] on the CPU.

    A generator's output, or a VAE's decoder mean, at z ~ N(0, I). The noise is drawn on the CPU, so that a
    seed means the same z on every device. `labels` for a generator with classes: one class, an int64 tensor
    (n,), or None for the classes in turn, 0, 1, ..., 0, 1, ...

    Raises ValueError if labels are given to a model without classes, or name a class it does not have.
    """
    classes = getattr(model, "num_classes", 0)
    if labels is not None and not classes:
        raise ValueError("this model has no classes: leave the label out")
    if classes:
        labels = torch.arange(n) % classes if labels is None else torch.as_tensor(labels).expand(n)
        if n and (labels.min() < 0 or labels.max() >= classes):
            raise ValueError(f"labels run from 0 to {classes - 1}")
    device = next(model.parameters()).device
    z = torch.randn(n, model.latent_dim, generator=torch.Generator().manual_seed(seed))
    was_training = model.training
    model.eval()
    images = []
    for start in range(0, n, batch_size):
        batch = z[start : start + batch_size].to(device)
        if isinstance(model, VAE):
            images.append(model.decoder_mean(batch).float().cpu())
        else:
            y = labels[start : start + batch_size].to(device) if classes else None
            images.append(model(batch, y).float().cpu())
    model.train(was_training)
    size, channels = model.config["image_size"], model.config["channels"]
    return torch.cat(images).contiguous() if images else torch.empty(0, channels, size, size)


def save_as(path: str | Path, model: nn.Module, half: bool = False, **metadata) -> None:
    """Write a model to a safetensors file, whole or not at all.

    Weights in float32, or in float16 with `half`. The file carries what `load` needs to build the model, and
    `metadata` (anything JSON can hold) beside it. Integer buffers are kept as they are.
    """
    kind = next(name for name, cls in KINDS.items() if isinstance(model, cls))
    tensors = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in model.state_dict().items()
    }
    header = {"kind": kind, "config": json.dumps(model.config), "about": json.dumps(metadata)}
    with write_whole(path) as file:
        file.write(save(tensors, header))


def load(path: str | Path) -> nn.Module:
    """The model that `save_as` wrote, float32, in eval mode, on the CPU. No code in the file is run.

    Raises FileNotFoundError if there is no such file and ValueError if it is damaged or not one of ours.
    """
    path = Path(path)
    header = _header(path)
    model = KINDS[header["kind"]](**json.loads(header["config"]))
    with safe_open(path, "pt") as f:
        state = {name: f.get_tensor(name) for name in f.keys()}
    try:
        model.load_state_dict(state)  # copies into float32
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model that it describes: {error}") from None
    return model.eval()


def load_metadata(path: str | Path) -> dict:
    """What was handed to `save_as` as metadata. Raises as `load` does."""
    return json.loads(_header(Path(path))["about"])


def _header(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        with safe_open(path, "pt") as f:
            header = f.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or no safetensors file ({error}); fetch or train it anew"
        ) from None
    if header.get("kind") not in KINDS:
        raise ValueError(f"{path} holds no model of this package")
    return header
