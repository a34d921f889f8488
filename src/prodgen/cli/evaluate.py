"""prodgen evaluate: a model measured against real images."""

import argparse
import json
from typing import Any

from prodgen.cli.common import (
    DATA_HELP,
    MODEL_HELP,
    as_count,
    as_path,
    as_seed,
    check_parent,
    load_model,
    written,
)


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "evaluate", help="measure a model against real images",
        description="Measure a model against real images. On Fashion-MNIST everything needed ships with the "
        "package; on other images FID and its kin need Inception's weights (95 MB), fetched on first use.",
    )  # fmt: skip
    command.add_argument("model", metavar="RUN|NAME", help=MODEL_HELP)
    command.add_argument("--data", required=True, metavar="NAME|DIR", help=DATA_HELP)
    command.add_argument(
        "--split", default="test", metavar="S",
        help="part of the data; for few photos: all, those trained on too (default: test)",
    )  # fmt: skip
    command.add_argument(
        "--n", type=as_count, default=10_000, metavar="N", help="samples (default: 10,000, as in the book)"
    )
    command.add_argument("--seed", type=as_seed, default=0, metavar="S")
    command.add_argument("--json", type=as_path, metavar="F", help="write the numbers to a file, too")
    command.set_defaults(command=run)


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.json:
        check_parent(options.json)
    model = load_model(options.model)

    from prodgen import data, evaluation

    size = None if options.data in data.names() else model.config["image_size"]
    dataset = data.load(
        options.data, options.split, image_size=size, channels=model.config["channels"], report=print
    )
    result = {"model": options.model} | evaluation.evaluate(model, dataset, n=options.n, seed=options.seed)
    if options.json:
        with written(options.json) as file:
            file.write(json.dumps(result, indent=1).encode() + b"\n")
    missing: dict[str, list[str]] = {}
    for name, reason in result.pop("not_measured", {}).items():
        missing.setdefault(reason, []).append(name)
    for name, value in result.items():
        print(f"{name:26} {_readable(value)}")
    if options.split == "all":
        print("among the real images are those that the model was trained on: who copies them looks good")
    for reason, names in missing.items():
        print(f"not measured: {', '.join(names)}. {reason}")
    return 0


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
