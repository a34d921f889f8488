"""What full runs left behind: weights with their cards, results with their stamps, and the claims they judge.

All are package data, so a notebook on Colab has them as soon as the package is installed. A stamp says where
a record comes from: recipe, commit, seeds, device, time, and what the code behind it computed.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import nn

from prodgen import models
from prodgen.errors import ModelError
from prodgen.files import write_whole

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


def kept(log: Path, key: Sequence[Any], run: Callable[[], list[dict]]) -> list[dict]:
    """The rows of one run of a study: found in its log, or played now and written there.

    log: a file with a line of JSON for each run that has ended; key: names the run, what JSON can hold. The
    file is written whole each time, so a study that is cut off loses no more than the run it was at.
    """
    lines = log.read_text("utf-8").splitlines() if log.exists() else []
    found = [one["rows"] for one in map(json.loads, lines) if one["run"] == list(key)]
    if found:
        return found[0]
    rows = run()
    with write_whole(log) as file:
        file.write("\n".join([*lines, json.dumps({"run": list(key), "rows": rows}), ""]).encode())
    return rows


def by_seed(
    rows: Iterable[Mapping[str, Any]],
    key: str,
    wanted: Mapping[str, Any],
    tuned: Mapping[str, str] | None = None,
) -> dict[int, Any]:
    """{seed: row[key]} of a result's rows that have the wanted fields.

    tuned = {"setting": "rate", "by": "held_out"} takes the rows at one rate only: that with the least mean
    of "held_out", where a run without a number, null in JSON, counts as infinitely bad.
    Raises ValueError where a seed has two such rows, or no row is found.
    """
    found = [row for row in rows if wanted.items() <= row.items()]
    if tuned:
        scores: dict[Any, list[float]] = {}
        for row in found:
            score = row[tuned["by"]]
            scores.setdefault(row[tuned["setting"]], []).append(math.inf if score is None else score)
        best = min(scores, key=lambda setting: fmean(scores[setting]), default=None)
        found = [row for row in found if row[tuned["setting"]] == best]
    values = {row["seed"]: row[key] for row in found}
    if not found or len(values) != len(found):
        raise ValueError(
            f"{len(found)} rows of {len(values)} seeds have {dict(wanted)}; one a seed is needed"
        )
    return values


def claims(chapter: str | None = None) -> tuple[dict[str, Any], ...]:
    """What the article claims and the book judges, in the book's order; of one chapter, if it is named.

    The head of `claims.toml` explains the fields; `evaluation.judge` gives the verdict.
    """
    every = tomllib.loads((FOLDER / "claims.toml").read_text(encoding="utf-8"))["claim"]
    return tuple(claim for claim in every if chapter in (None, claim["chapter"]))


def labs() -> dict[str, dict[str, Any]]:
    """By name, what each lab is called, and its controls: {"title", "help", "controls": {name: control}}.

    The explorer of a chapter and the lab in its page both read it. A control has a "label", a "default", and
    either "options" or "min", "max" and "step"; where it has "log", its value is ten to what these say.
    "needs" names scripts that the page loads before the lab's own.
    """
    return json.loads((FOLDER / "labs.json").read_text(encoding="utf-8"))


def _read(folder: Path, name: str, known: tuple[str, ...]) -> dict[str, Any]:
    if name not in known:
        raise KeyError(f"nothing recorded under {name!r}; there is {', '.join(known)}")
    return json.loads((folder / f"{name}.json").read_text())


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
