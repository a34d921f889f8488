"""What several commands share: the types of their options, models by reference, files written whole."""

import argparse
import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from prodgen.errors import ProdgenError
from prodgen.files import write_whole

if TYPE_CHECKING:
    from prodgen.models import VAE, Generator

DATA_HELP = "a data set, or a folder of your own images"
MODEL_HELP = "a run's folder, a model.safetensors, or a shipped model"


class CommandError(ProdgenError):
    """A mistake of the caller's, in one sentence."""


def as_path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # after "=", the shell leaves "~" as it is


def as_pair(text: str) -> tuple[str, str]:
    name, equals, value = unicodedata.normalize("NFC", text).partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as label=Bag or r1_gamma=2")
    return name, value


def as_count(text: str) -> int:
    number = text.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+", text) else text
    if not number.isdecimal() or int(number) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images: give 1 or more")
    return int(number)


def as_seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number from 0 to {2**32 - 1}")
    return int(text)


def model_file(reference: str) -> Path:
    """The file of a run's model, of a model given by its file, or of a shipped one."""
    from prodgen import recorded

    path = as_path(reference)
    file = path / "model.safetensors" if path.is_dir() else path
    if file.is_file():
        return file
    if path.is_dir():
        raise CommandError(f"{path} holds no trained model (no {file.name} in it).")
    if reference in recorded.model_names():
        return recorded.WEIGHTS / f"{reference}.safetensors"
    shipped = ", ".join(recorded.model_names())
    raise CommandError(
        f"{reference!r} is neither a run, nor a model's file, nor a shipped model ({shipped})."
    )


def load_model(reference: str) -> "Generator | VAE":
    """The model of a run's folder or of a file, or a shipped one, on the fastest device."""
    from prodgen import device, models, recorded

    file = model_file(reference)
    model = recorded.load_model(file.stem) if file.parent == recorded.WEIGHTS else models.load(file)
    if not isinstance(model, models.Generator | models.VAE):
        raise CommandError(f"{reference!r} is a {type(model).__name__.lower()}; it draws no images.")
    return model.to(device.best_device())


def check_parent(path: Path) -> None:
    """Refuse before the work is done, not after."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder; give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise CommandError(f"There is no folder {path.absolute().parent} to write {path.name} to.")


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    try:
        with write_whole(path) as file:
            yield file
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None
