"""prodgen report: one page about a run that opens in any browser, without a network and without scripts."""

import argparse
import base64
import io
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodgen import __version__
from prodgen.cli.common import DATA_HELP, CommandError, as_path, as_seed, load_model, written
from prodgen.cli.provenance import Provenance, save_png
from prodgen.cli.runs import read_commands

if TYPE_CHECKING:
    from torch import Tensor

    from prodgen.data import ImageDataset
    from prodgen.evaluation import Nearest
    from prodgen.models import VAE, Generator

DRAWN = 500  # pictures that are looked at, as many of each class
SHOWN = 4  # of each class; where there are no classes, three times as many
MOST_CLASSES = 12  # that are shown
CLOSEST = 8  # pairs: of all that are drawn, those nearest to their photos
HELD_OUT = 1_000  # photos at most that say how near is near
FEWEST = 10  # held-out photos that `evaluate` can measure against
CURVES = {  # of the history: keys, names, axis
    "gan": (
        (("d_loss", "g_loss"), ("discriminator", "generator"), "loss"),
        (("d_real", "d_fake"), ("of photos", "of drawn pictures"), "discriminator’s logit"),
    ),
    "vae": ((("loss",), ("loss",), "loss (nats an image)"), (("kl",), ("KL",), "KL (nats an image)")),
}


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "report", help="make a page about a run: pictures, copies, measures",
        description="Write RUN/report.html, one file that opens offline: what the run draws, each picture "
        "beside the nearest training photo, with measures and curves. It contains training photos.",
    )  # fmt: skip
    command.add_argument("folder", type=as_path, metavar="RUN", help="a run's folder")
    command.add_argument(
        "--data", metavar="NAME|DIR", help=f"{DATA_HELP} (default: where the run's photos were)"
    )
    command.add_argument("--seed", type=as_seed, default=0, metavar="S")
    command.set_defaults(command=run)


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    folder = options.folder
    if not folder.is_dir():
        raise CommandError(f"There is no run's folder {folder}.")
    kept = read_commands(folder)
    source = options.data or kept.get("data")
    if source is None:
        raise CommandError(f"{folder} does not say what it was trained on; add --data NAME|DIR.")
    model = load_model(str(folder))

    from prodgen import data, evaluation, models

    shape = {"image_size": None if source in data.names() else model.config["image_size"]}
    shape |= {"channels": model.config["channels"]}
    lines: list[str] = []
    train = data.load(source, "train", report=lines.append, **shape)
    print(*lines, sep="\n")
    try:
        test = data.load(source, "test", report=lambda line: None, **shape)
    except data.DataError:  # nothing is held out
        test = train.subset(slice(0, 0))
    groups, condition = _to_ask(model, train)
    print("drawing, and looking for the photo nearest to each picture", flush=True)
    n = sum(len(places) for places in groups.values())
    drawn = models.sample(model, n, condition, options.seed)
    network = evaluation.network_for(train).to(next(model.parameters()).device)
    held_out = test.evenly_spaced(HELD_OUT).batch(slice(None))
    nearest = evaluation.nearest_photos(drawn, train, held_out, network)
    print("measuring", flush=True)
    pairs = _Pairs(drawn, train, nearest, groups, Provenance(folder / "model.safetensors", options.seed))
    order = nearest.distances.argsort()[:CLOSEST].tolist()
    about = models.load_metadata(folder / "model.safetensors")
    page = {
        "run": folder.absolute().name, "kind": about["kind"].upper(), "data": train.name,
        "size": train.image_size, "channels": train.channels, "licence": train.licence,
        "changed": "photos" in about and about["photos"] != f"with SHA-256 {train.digest()[:16]}",
        "network": type(network).__name__, "drawn": n,
        "groups": [
            {"name": name, "pairs": [pairs[i] for i in places[: SHOWN if name else 3 * SHOWN]]}
            for name, places in list(groups.items())[:MOST_CLASSES]
        ],
        "left_out": max(0, len(groups) - MOST_CLASSES),
        "suspects": int(nearest.suspects.sum()), "limit": f"{nearest.limit:.2f}",
        "held_out": len(held_out), "rare": evaluation.RARE,
        "closest": [pairs[i] for i in order],
        "classes": _classes(train, test), "described": "; ".join(lines),
        "commands": [shlex.join(["prodgen", *command]) for command in kept.get("commands", [])],
        "this_command": shlex.join(["prodgen", *arguments]), "version": __version__,
        "settings": _settings(about, options.seed), "curves": _curves(folder, about["kind"]),
        "facts": {
            "photos to learn from": f"{len(train):,}", "held out": f"{len(test):,}",
            "images seen": f"{about['images_seen']:,}", "minutes trained": f"{about['seconds'] / 60:.1f}",
            "near-copies": f"{int(nearest.suspects.sum())} of {n}" if len(test) else "unknown",
        },
    }  # fmt: skip
    page |= _measures(model, train, test, options.seed)
    with written(folder / "report.html") as file:
        file.write(_rendered(page).encode())
    print(f"{folder / 'report.html'}: open it in a browser. It contains training photos.")
    return 0


def _rendered(page: dict[str, Any]) -> str:
    """The page; whatever names and classes hold is text in it, never markup."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(files("prodgen.cli").joinpath("report.html").read_text("utf-8")).render(
        page
    )


def _to_ask(model: "Generator | VAE", train: "ImageDataset") -> "tuple[dict[str, list[int]], Tensor | None]":
    """{class: places of its pictures among those to be drawn}, and what they are asked for (n, width).

    As many of each class, asked for what its photos have, these in turn. A model without classes has one
    group, named "", and one without a condition is asked for nothing.
    """
    import torch

    from prodgen.data import LABEL
    from prodgen.evaluation.likelihood import conditions

    known = conditions(model, train)
    if known is None or LABEL not in {factor.name for factor in model.condition.factors}:
        condition = None if known is None else known[torch.arange(DRAWN) % len(known)]
        return {"": list(range(DRAWN))}, condition
    each = max(SHOWN, DRAWN // train.num_classes)
    groups, rows = {}, []
    for label, name in enumerate(train.class_names):
        places = (train.labels == label).nonzero().squeeze(1)
        if len(places):
            groups[name] = list(range(len(rows) * each, (len(rows) + 1) * each))
            rows.append(known[places[torch.arange(each) % len(places)]])
    return groups, torch.cat(rows)


def _source(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _picture(image: "Tensor", train: "ImageDataset", sentence: str) -> str:
    """One image (C, H, W) in [-1, 1], without the padding that the photos got, as the source of an <img>."""
    from prodgen.data import without_padding
    from prodgen.plots import tile

    buffer = io.BytesIO()
    save_png(buffer, tile(without_padding(image, train.content)[None], 1, (0, 0)), sentence)
    return _source(buffer.getvalue(), "png")


@dataclass
class _Pairs:
    """What the page shows of the i-th drawn picture and of the photo nearest to it."""

    drawn: "Tensor"
    train: "ImageDataset"
    nearest: "Nearest"
    groups: dict[str, list[int]]
    origin: Provenance

    def __getitem__(self, i: int) -> dict[str, Any]:
        name = next(name for name, places in self.groups.items() if i in places)
        where = int(self.nearest.indices[i])
        shown = self.train.class_names[self.train.labels[where]] if self.train.num_classes else ""
        return {
            "drawn": _picture(self.drawn[i], self.train, self.origin.sentence(f"picture {i + 1}")),
            "drawn_alt": f"Drawn picture {i + 1}" + (f", asked for as {name}" if name else ""),
            "photo": _picture(self.train.batch([where])[0], self.train, ""),
            "photo_alt": f"Training photo {where + 1}" + (f", {shown}" if shown else ""),
            "distance": f"{self.nearest.distances[i]:.2f}",
            "suspect": bool(self.nearest.suspects[i]),
        }


def _measures(
    model: "Generator | VAE", train: "ImageDataset", test: "ImageDataset", seed: int
) -> dict[str, Any]:
    """What is measured, {name: (value, what photos score)}, against which photos, and what is not, why."""
    from prodgen import evaluation

    enough = len(test) >= FEWEST
    result: dict[str, Any] = {"not_measured": {"everything": f"{FEWEST} photos are needed."}}
    if enough:
        result = evaluation.evaluate(model, test, seed=seed, training=train)
    elif len(train) >= FEWEST:
        result = evaluation.evaluate(model, train, seed=seed)
    floor = result.get("floor", {})
    for name, value in result.items():
        for ending in ("_floor", "_real"):
            if name.endswith(ending):
                floor[name.removesuffix(ending)] = value
    reasons: dict[str, list[str]] = {}
    for name, reason in result.pop("not_measured", {}).items():
        reasons.setdefault(reason, []).append(name)
    return {
        "measured": {name: (_number(value), _number(floor.get(name))) for name, value in result.items()},
        "measured_n": result.get("n"),
        "enough": enough,
        "not_measured": reasons,
    }


def _number(value: Any) -> str:
    """A measure as the page shows it; "–" for what is none."""
    if isinstance(value, dict) and "mean" in value:  # and its spread
        return f"{_number(value['mean'])} ± {value.get('std', value.get('standard_error')):.2g}"
    return f"{value:.4g}".replace("-", "−") if isinstance(value, int | float) else "–"


def _curves(folder: Path, kind: str) -> list[dict[str, str]]:
    """The curves of training, each with its numbers in words."""
    from prodgen import plots

    file = folder / "history.json"
    history = json.loads(file.read_bytes()) if file.is_file() else []
    curves = []
    for keys, names, axis in CURVES[kind]:
        if not all(any(key in row for row in history) for key in keys):
            continue
        buffer = io.BytesIO()
        figure = plots.curves(history, keys, axis, names)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        said = []
        for key, name in zip(keys, names, strict=True):
            values = [row[key] for row in history if key in row]
            begun = f"from {values[0]:.3g} to " if len(values) > 1 else ""
            said.append(f"{name} {begun}{values[-1]:.3g}")
        alt = f"{axis[0].upper()}{axis[1:]} over {history[-1]['images']:,} images: {'; '.join(said)}."
        curves.append({"src": _source(buffer.getvalue(), "svg+xml"), "alt": alt})
    return curves


def _classes(train: "ImageDataset", test: "ImageDataset") -> list[dict[str, Any]]:
    """A row of the table of data for each class, or one for all."""
    if not train.num_classes:
        photo = _picture(train.batch([0])[0], train, "")
        row = {"name": "all", "photo": photo, "alt": "The first training photo"}
        return [row | {"train": f"{len(train):,}", "held_out": f"{len(test):,}"}]
    rows = []
    for label, name in enumerate(train.class_names):
        places = (train.labels == label).nonzero().squeeze(1)
        photo = _picture(train.batch(places[:1])[0], train, "") if len(places) else ""
        rows.append({"name": name, "photo": photo, "alt": f"The first training photo of {name}"})
        rows[-1] |= {"train": f"{len(places):,}", "held_out": f"{int((test.labels == label).sum()):,}"}
    return rows


def _settings(about: dict[str, Any], seed: int) -> Sequence[tuple[str, str]]:
    """What the model's file says of its training, and the seed of this page's pictures."""
    recipe = json.loads(about["recipe"])
    rows = {"seed": about["seed"], "release": about.get("version", "0.1.0"), "pictures’ seed": seed}
    return [(name, str(value)) for name, value in (rows | recipe).items()]
