"""Where benchmarks keep what they measured: one JSON file each in benchmarks/results/."""

import json
from pathlib import Path
from typing import Any

from prodgen.files import write_whole

FOLDER = Path(__file__).resolve().parent / "results"


def write(name: str, content: dict[str, Any]) -> None:
    """Keep a result under a name, whole or not at all."""
    with write_whole(FOLDER / f"{name}.json") as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def read(name: str) -> dict[str, Any]:
    """A result that was written; FileNotFoundError if it was not."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def read_all(prefix: str) -> list[dict[str, Any]]:
    """All results whose names begin so, in order of their names."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob(f"{prefix}*.json"))]
