"""The oldest versions that pyproject.toml allows, as constraints for pip: `python tools/oldest.py > FILE`.

What a user installs, the dependencies and the extras `notebook` and `export`, comes at its lower bound; what
only builds the book and runs its tests comes as constraints.txt pins it. `make test-oldest` runs the tests on
these.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def constraints(root: Path = ROOT) -> list[str]:
    """One "name==version" for each requirement in pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    installed = project["dependencies"] + extras["notebook"] + extras["export"]
    lower = [line.replace(">=", "==") for line in installed]
    tools = {re.match(r"[\w.-]+", line)[0] for line in extras["book"] + extras["test"]}
    pinned = (root / "constraints.txt").read_text("utf-8").splitlines()
    return lower + [line for line in pinned if line.split("==")[0] in tools]


if __name__ == "__main__":
    print(*constraints(), sep="\n")
