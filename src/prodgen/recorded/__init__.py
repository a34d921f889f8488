"""What full runs left behind: weights with their cards, and results with their stamps.

Both are package data, so a notebook on Colab has them as soon as the package is installed. A stamp says which
recipe and which modules produced a record; `stale` tells when one of them has changed since.
"""

import ast
import dataclasses
import hashlib
import importlib.util
import io
import json
import os
import platform
import subprocess
import tokenize
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prodgen import models

FOLDER = Path(__file__).parent
WEIGHTS, RESULTS = FOLDER / "weights", FOLDER / "results"

# The modules whose code decides what a training run, or a score, comes out as.
TRAINING = ("losses", "data.dataset", "training.loop", "training.ema", "training.optimiser")
MODULES = {
    "classifier": (*TRAINING, "models.classifier", "training.classifier"),
    "gan": (*TRAINING, "models.gan", "training.gan"),
    "vae": (*TRAINING, "models.gan", "models.vae", "training.vae"),
}


def model_names() -> tuple[str, ...]:
    """The models that ship with the package."""
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.safetensors")))


def result_names() -> tuple[str, ...]:
    """The results that ship with the package."""
    return tuple(sorted(path.stem for path in RESULTS.glob("*.json")))


def load_model(name: str) -> nn.Module:
    """A shipped model in float32 and eval mode, on the CPU.

    Its file is checked against the SHA-256 in its card.

    Raises KeyError for an unknown name and lists the known ones, ValueError for a damaged file.
    """
    expected = card(name)["sha256"]
    path = WEIGHTS / f"{name}.safetensors"
    if file_hash(path) != expected:
        raise ValueError(f"{path} is not the file that its card describes; install the package anew")
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


def modules_behind(kind: str, scored: bool) -> tuple[str, ...]:
    """The modules behind a trained model: "classifier", "gan" or "vae".  `scored`: evaluation's too."""
    return MODULES[kind] + (_evaluation_modules() if scored else ())


def stamp(recipe: Any, modules: Iterable[str], seeds: Sequence[int], seconds: float) -> dict[str, Any]:
    """Where a record comes from: recipe, hashes of the modules behind it, commit, seeds, device, seconds.

    recipe: a dataclass from `presets`, or a dict that JSON can hold. modules: without the leading "prodgen.".
    """
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=FOLDER, capture_output=True, text=True
    )
    return {
        "recipe": _as_dict(recipe),
        "modules": {module: module_hash(module) for module in modules},
        "commit": commit.stdout.strip(),
        "date": date.today().isoformat(),
        "seeds": list(seeds),
        "device": device_name(),
        "torch": torch.__version__,
        "seconds": round(seconds, 1),
    }


def stale(record: dict[str, Any], recipe: Any) -> list[str]:
    """What has changed since a card or result was stamped: modules by name, "recipe", or nothing."""
    was = record["stamp"]
    changed = [module for module, digest in was["modules"].items() if module_hash(module) != digest]
    # Through JSON, so that tuples compare as the lists that were stored.
    if was["recipe"] != json.loads(json.dumps(_as_dict(recipe))):
        changed.append("recipe")
    return changed


def _as_dict(recipe: Any) -> dict[str, Any]:
    return dataclasses.asdict(recipe) if dataclasses.is_dataclass(recipe) else recipe


def module_hash(module: str) -> str:
    """A hash of what a module of this package does, as `source_hash` takes it."""
    return source_hash(Path(importlib.util.find_spec(f"prodgen.{module}").origin).read_text())


def source_hash(source: str) -> str:
    """A hash of what a piece of Python does: its source without docstrings, comments and white space.

    Taken from the text and not from a syntax tree, whose printed form differs between Python versions.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            docstring = node.body[0]
            lines[docstring.lineno - 1 : docstring.end_lineno] = [""] * (
                docstring.end_lineno - docstring.lineno + 1
            )
    return hashlib.sha256("".join("".join(lines).split()).encode()).hexdigest()[:16]


def _evaluation_modules() -> tuple[str, ...]:
    folder = FOLDER.parent / "evaluation"
    return tuple(f"evaluation.{path.stem}" for path in sorted(folder.glob("*.py")) if path.stem != "__init__")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def device_name() -> str:
    """The device that a run would use here, in words, with its number of threads if it is a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [
            line.split(":", 1)[1]
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        name = names[0].strip() if names else name
    return f"{name}, {torch.get_num_threads()} of {os.cpu_count()} cores"
