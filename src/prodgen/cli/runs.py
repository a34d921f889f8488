"""What the command line keeps in a run's folder beside what training keeps: how the run came about."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prodgen.files import write_whole

COMMANDS = "commands.json"


def keep_command(folder: Path, data: str, arguments: Sequence[str]) -> None:
    """Note a command that trained the run in the folder, and its data: a name, or a folder's absolute path.

    A command that differs from the last one only in `--resume` goes on with it, and is not noted again.
    """
    kept = [
        a for a in arguments if len(a) < 3 or not "--resume".startswith(a)
    ]  # argparse takes --res as well
    commands = read_commands(folder).get("commands", [])
    if not commands or commands[-1] != kept:
        with write_whole(folder / COMMANDS) as file:
            file.write(json.dumps({"data": data, "commands": [*commands, kept]}, indent=1).encode())


def read_commands(folder: Path) -> dict[str, Any]:
    """{"data": name or path, "commands": [arguments, ...]}; {} for a run not made by this command line."""
    path = folder / COMMANDS
    return json.loads(path.read_bytes()) if path.is_file() else {}
