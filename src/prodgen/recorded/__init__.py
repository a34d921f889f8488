"""What full runs left behind: weights with their cards, and results with their stamps.

Both are package data, so a notebook on Colab has them as soon as the package is installed. A stamp says where
a record comes from: recipe, commit, seeds, device, time, and what the code behind it computed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import nn

from prodgen import models
from prodgen.errors import ModelError

FOLDER = Path(__file__).parent
WEIGHTS, RESULTS = FOLDER / "weights", FOLDER / "results"


def model_names() -> tuple[str, ...]:
    """The models that ship with the package."""
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.safetensors")))


def result_names() -> tuple[str, ...]:
    """The results that ship with the package."""
    return tuple(sorted(path.stem for path in RESULTS.glob("*.json")))


def load_model(name: str) -> nn.Module:
    """A shipped model in float32 and eval mode, on the CPU.

    Its file is checked against the SHA-256 in its card.

    Raises KeyError for an unknown name and lists the known ones, ModelError for a damaged file.
    """
    expected = card(name)["sha256"]
    path = WEIGHTS / f"{name}.safetensors"
    if file_hash(path) != expected:
        raise ModelError(f"{path} is not the file that its card describes; install the package anew.")
    return models.load(path)


def card(name: str) -> dict[str, Any]:
    """What a shipped model is: data and licence, recipe, seed, cost, metrics, limits, file hash, stamp."""
    return _read(WEIGHTS, name, model_names())


def load_result(name: str) -> dict[str, Any]:
    """A recorded result: {"stamp": where it comes from, "values": what was measured}.

    Raises KeyError for an unknown name and lists the known ones.
    """
    return _read(RESULTS, name, result_names())


def _read(folder: Path, name: str, known: tuple[str, ...]) -> dict[str, Any]:
    if name not in known:
        raise KeyError(f"nothing recorded under {name!r}; there is {', '.join(known)}")
    return json.loads((folder / f"{name}.json").read_text())


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
