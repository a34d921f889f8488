"""The folder that keeps a run: written whole or not at all, read without running code."""

import dataclasses
import errno
import fcntl
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prodgen import __version__, models
from prodgen.data import ImageDataset
from prodgen.errors import TrainingError
from prodgen.files import write_whole
from prodgen.training.trainer import Trainer

FORMAT = 2  # of the checkpoint; 1 was release 0.1.0's
CHECKPOINT, MODEL, HISTORY = "checkpoint.pt", "model.safetensors", "history.json"


def write(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dicts of them.  Raises TrainingError where it cannot."""
    buffer = io.BytesIO()  # PyTorch would hide what keeps a file from being written
    torch.save(state, buffer)
    _write(path, buffer.getvalue())


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote, tensors and plain values only: no code that a file brings along is run.

    Raises TrainingError where the file is damaged, holds anything else, or comes from another release.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        # A sound archive, whose contents are refused: no damage.
        if isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(path):
            raise TrainingError(
                f"{path} holds more than tensors and numbers, so it is no checkpoint of this package and is "
                "not loaded: such a file could run any program. Remove it and train anew."
            ) from None
        first_line = str(error).partition("\n")[0]
        raise TrainingError(
            f"checkpoint {path} is damaged ({first_line}); remove it and train anew."
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise TrainingError(
            f"checkpoint {path} was not written by this release, which cannot resume it. The model beside it "
            "can still be sampled; train anew into another folder."
        )
    return state


def _write(path: Path, content: bytes) -> None:
    try:
        with write_whole(path) as file:
            file.write(content)
    except OSError as error:
        kept = "; the last checkpoint is kept" if (path.parent / CHECKPOINT).exists() else ""
        what = "no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or error
        raise TrainingError(
            f"{path.name} cannot be written to {path.parent} ({what}){kept}: make room, then resume."
        ) from None


def settings_of(trainer: Trainer, dataset: ImageDataset, seed: int, processes: int) -> dict[str, Any]:
    """What a run has in common with its checkpoint, and its model's file says, in words that can be shown."""
    configs = {}
    for name, network in trainer.networks.items():
        configs[name] = {k: v for k, v in getattr(network, "config", {}).items() if k != "condition"}
    factors = dataset.condition.factors if dataset.condition else ()
    content = {"content": list(dataset.content)} if dataset.content else {}
    return {
        "kind": trainer.kind,
        "recipe": json.dumps(dataclasses.asdict(trainer.recipe)),
        "networks": json.dumps(configs),
        "data": f"{dataset.name}/{dataset.split}, {len(dataset)} images",
        "factors": "; ".join(f"{f.name} ({', '.join(f.values) or f.width})" for f in factors) or "none",
        "photos": f"with SHA-256 {dataset.digest()[:16]}",
        "seed": seed,
        "processes": processes,
        **content,
    }


def _difference(key: str, was: Any, now: Any) -> str:
    """What a setting was and is, in words; of a recipe only the fields that differ."""
    if key != "recipe":
        return f"{key} was {was}, is {now}"
    old, new = json.loads(was), json.loads(now)
    fields = [field for field in old | new if old.get(field) != new.get(field)]
    return "recipe: " + ", ".join(f"{field} was {old.get(field)}, is {new.get(field)}" for field in fields)


class RunFolder:
    """A run's folder, to be used in a `with`; where it `writes`, locked until the block ends.

    Raises TrainingError where another process is writing to it, or where it holds a run that is not resumed.
    """

    def __init__(self, path: str | Path, resume: bool, writes: bool):
        self.path = Path(path).expanduser()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = None
        if writes:
            self._lock = (self.path / ".lock").open("w")
            try:
                # The system frees it at the latest when the process ends, even by kill -9.
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.__exit__()
                raise TrainingError(
                    f"another run is writing to {self.path}: wait for it, or choose another folder."
                ) from None
        if self.has_checkpoint() and not resume:
            self.__exit__()
            raise TrainingError(f"{self.path} holds a run already: resume it, or choose another folder.")

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock:
            self._lock.close()

    def has_checkpoint(self) -> bool:
        """Whether there is anything to resume."""
        return (self.path / CHECKPOINT).exists()

    def read(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The checkpoint's state.  Raises TrainingError where it is another run's, with the difference."""
        state = read(self.path / CHECKPOINT)
        was = state["settings"]
        if differing := [key for key in settings if was.get(key) != settings[key]]:
            difference = "; ".join(_difference(key, was.get(key), settings[key]) for key in differing)
            raise TrainingError(
                f"the run in {self.path} was started otherwise: {difference}. Resume it with what it was "
                "started with, or choose another folder."
            )
        return state

    def write(self, state: dict[str, Any], model: nn.Module, about: dict[str, Any]) -> None:
        """Keep the state, the averaged model with what is to be known `about` it, and the state's history."""
        write(self.path / CHECKPOINT, state | {"format": FORMAT})
        try:
            models.save_as(self.path / MODEL, model, version=__version__, **about)
        except OSError as error:
            raise TrainingError(f"{MODEL} cannot be written to {self.path} ({error.strerror}).") from None
        _write(self.path / HISTORY, json.dumps(state["history"]).encode())


def start_from(trainer: Trainer, folder: str | Path) -> list[str]:
    """Give a new trainer the weights of another run wherever name and shape agree; what did not, by name.

    For transfer: another data set, other classes. Optimisers and schedule start anew.
    Raises TrainingError where the folder holds no run, or one of another kind.
    """
    path = Path(folder).expanduser() / CHECKPOINT
    if not path.exists():
        raise TrainingError(f"{Path(folder)} holds no run to start from (no {CHECKPOINT} in it).")
    state = read(path)
    if state["settings"]["kind"] != trainer.kind:
        raise TrainingError(f"{Path(folder)} holds a {state['settings']['kind']}, not a {trainer.kind}.")
    left_out = []
    for name, network in trainer.networks.items():
        own, other = network.state_dict(), state["trainer"]["networks"][name]
        fitting: dict[str, Tensor] = {
            key: value for key, value in other.items() if key in own and value.shape == own[key].shape
        }
        network.load_state_dict(own | fitting)
        left_out += [f"{name}.{key}" for key in own if key not in fitting]
    return left_out
