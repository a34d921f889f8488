"""Checkpoints: written whole or not at all, read without running code."""

import pickle
from pathlib import Path
from typing import Any

import torch

from prodgen.files import write_whole


def write(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dicts of them."""
    with write_whole(path) as file:
        torch.save(state, file)


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote; ValueError if the file is damaged. Unpickles tensors and plain values only."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        first_line = str(error).partition("\n")[0]
        raise ValueError(f"checkpoint {path} is damaged ({first_line}); remove it and train anew") from None
