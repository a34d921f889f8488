"""Checkpoints: written whole or not at all, read without running code."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from prodgen.models import write_whole


def write(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dicts of them."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(path, buffer.getvalue())


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote; ValueError if the file is damaged. Unpickles tensors and plain values only."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        first_line = str(error).partition("\n")[0]
        raise ValueError(
            f"checkpoint {path} is damaged ({first_line}); remove it and train anew"
        ) from None
