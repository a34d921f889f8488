"""Puts Fashion-MNIST into the cache; where no other source has it, by way of Debian's package.

The package is fetched with apt-get and unpacked without root, and nothing is installed.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from prodgen import data
from prodgen.data.fashion_mnist import NAME, NETWORK_TIMEOUT, PACKAGE


def main() -> int:
    """Load both splits, or say why not."""
    try:
        load()
    except data.DataError as missing:
        try:
            with tempfile.TemporaryDirectory(prefix="prodgen-") as folder:
                print(f"{NAME}: downloading 30 MB with apt-get", file=sys.stderr, flush=True)
                os.environ["PRODGEN_DATA"] = str(unpack_package(Path(folder)))
                load()
        except (OSError, subprocess.SubprocessError, data.DataError) as error:
            print(f"{missing}\n  apt-get download {PACKAGE}: {error}", file=sys.stderr)
            return 2
    return 0


def load() -> None:
    for split in data.describe(NAME).images:
        print(f"{NAME} {split}: {len(data.load(NAME, split)):,} images, ready")


def unpack_package(folder: Path) -> Path:
    """The folder with the four .gz files; with package lists of its own where the machine has none."""
    apt = ["apt-get", "-q", "-oAPT::Sandbox::User=root", f"-oAcquire::http::Timeout={NETWORK_TIMEOUT}"]
    try:
        run(*apt, "download", PACKAGE, cwd=folder)
    except subprocess.CalledProcessError:  # the machine has no package lists, or old ones
        for needed in ("lists/partial", "cache/archives/partial"):
            (folder / needed).mkdir(parents=True)
        apt += [f"-oDir::State::Lists={folder}/lists", f"-oDir::Cache={folder}/cache"]
        try:
            run(*apt, "update", cwd=folder)
        except subprocess.CalledProcessError:
            pass  # one dead repository of several, or a hook that wants root: the download will tell
        run(*apt, "download", PACKAGE, cwd=folder)
    (package,) = folder.glob("*.deb")
    run("dpkg-deb", "-x", str(package), f"{folder}/unpacked", cwd=folder)
    return next((folder / "unpacked").rglob("*-ubyte.gz")).parent


def run(*command: str, cwd: Path) -> None:
    """Runs a program in silence.  Raises CalledProcessError, or FileNotFoundError without such a program."""
    environment = {**os.environ, "LC_ALL": "C"}
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, cwd=cwd, env=environment, timeout=300, check=True, **silent)


if __name__ == "__main__":
    sys.exit(main())
