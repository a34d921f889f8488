"""Models in files: written whole or not at all, read without running code."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save
from torch import Tensor, nn

from prodgen.data import Condition
from prodgen.errors import ModelError
from prodgen.files import write_whole
from prodgen.models.classifier import Classifier
from prodgen.models.gan import Discriminator, Generator
from prodgen.models.probe import Probe
from prodgen.models.vae import VAE

KINDS = {kind.__name__.lower(): kind for kind in (Generator, Discriminator, VAE, Classifier, Probe)}


def kind_of(model: nn.Module) -> str:
    """The model's key in KINDS.  Raises ModelError for a network that is not the package's."""
    for kind, network in KINDS.items():
        if isinstance(model, network):
            return kind
    raise ModelError(
        f"A {type(model).__name__} cannot be kept in a file: only {', '.join(KINDS)} can. "
        "Train it without `out`."
    )


def save_as(path: str | Path, model: nn.Module, half: bool = False, **metadata: Any) -> None:
    """Write a model to a safetensors file, whole or not at all.

    Weights in float32, or in float16 with `half`. The file carries what `load` needs to build the model, and
    `metadata` (anything JSON can hold) beside it. Integer buffers are kept as they are.
    Raises ModelError for a network that is not the package's.
    """
    kind = kind_of(model)
    tensors = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in model.state_dict().items()
    }
    config = {k: v.to_json() if isinstance(v, Condition) else v for k, v in model.config.items()}
    header = {"kind": kind, "config": json.dumps(config), "about": json.dumps(metadata)}
    with write_whole(path) as file:
        file.write(save(tensors, header))


def load(path: str | Path) -> nn.Module:
    """The model that `save_as` wrote, float32, in eval mode, on the CPU. No code in the file is run.

    Raises FileNotFoundError if there is no such file and ModelError if it is damaged or not one of ours.
    """
    header, state = _read(Path(path))
    config = json.loads(header["config"])
    if classes := config.pop("num_classes", 0) if header["kind"] != "classifier" else 0:
        _from_class_numbers(config, state, json.loads(header["about"]).get("class_names"), classes)
    if config.get("condition"):
        config["condition"] = Condition.from_json(config["condition"])
    model = KINDS[header["kind"]](**config)
    try:
        model.load_state_dict(state)  # copies into float32
    except RuntimeError as error:
        problem = " ".join(str(error).split())
        raise ModelError(f"{path} does not fit the model that it describes: {problem}") from None
    return model.eval()


def _from_class_numbers(
    config: dict[str, Any], state: dict[str, Tensor], names: list[str] | None, classes: int
) -> None:
    """Files of release 0.1.0 had one embedding a class: on one-hot vectors its transpose does the same."""
    names = names if names is not None and len(names) == classes else [str(k) for k in range(classes)]
    config["condition"] = Condition.of_classes(names).to_json()
    state["embedding.weight"] = state["embedding.weight"].T


def load_metadata(path: str | Path) -> dict[str, Any]:
    """What was handed to `save_as` as metadata. Raises as `load` does."""
    return json.loads(_read(Path(path))[0]["about"])


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors, from the file's bytes: the library opens no path that is not UTF-8."""
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    content = path.read_bytes()
    try:
        state = load_bytes(content)
    except SafetensorError as error:
        raise ModelError(
            f"{path} is damaged or no safetensors file ({error}); fetch or train it anew."
        ) from None
    length = int.from_bytes(content[:8], "little")  # the format: this, then so many bytes of JSON
    header = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    if header.get("kind") not in KINDS:
        raise ModelError(f"{path} holds no model of this package.")
    return header, state
