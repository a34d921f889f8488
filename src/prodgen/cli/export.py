"""prodgen export: a model as an ONNX file, for programs without PyTorch."""

import argparse
import json
from typing import Any

from prodgen.cli.common import MODEL_HELP, CommandError, as_path, check_parent, load_model
from prodgen.cli.runs import read_commands


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "export", help="write a model for programs without PyTorch",
        description="Write (z, condition) -> images as an ONNX file, checked against the model. "
        "It needs an extra: pip install 'prodgen[export]'.",
    )  # fmt: skip
    command.add_argument("model", metavar="RUN|NAME", help=MODEL_HELP)
    command.add_argument("--onnx", required=True, type=as_path, metavar="X.onnx", help="the file to write")
    command.set_defaults(command=run)


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    check_parent(options.onnx)
    if options.onnx.suffix.lower() != ".onnx":
        raise CommandError(f"{options.onnx} must end in .onnx.")
    model = load_model(options.model)

    from prodgen.cli.onnx import save_onnx

    difference = save_onnx(options.onnx, model, **_origin(options.model))
    inputs = f"z (N, {model.latent_dim})"
    if model.condition:
        inputs += f", condition (N, {model.condition.width})"
    size, channels = model.config["image_size"], model.config["channels"]
    print(f"{options.onnx}: {inputs} -> images (N, {channels}, {size}, {size}) in [-1, 1], float32")
    print(f"checked: no pixel differs from the model's by more than {difference:.1g}")
    return 0


def _origin(reference: str) -> dict[str, str]:
    """What is known of the photos that the model was trained on, and how their padding comes off."""
    from prodgen import data, models, recorded

    path = as_path(reference)
    if not path.exists():  # then it is a shipped one
        photos = recorded.card(reference)["data"]
        return {"data": photos["name"], "licence_of_data": photos["licence"]}
    about = models.load_metadata(path / "model.safetensors" if path.is_dir() else path)
    # What the middle of a picture is that has no padding: height and width in pixels.
    known = {"content": json.dumps(about["content"])} if about.get("content") else {}
    name = read_commands(path).get("data")
    if name in data.names():
        return known | {"data": name, "licence_of_data": data.describe(name).licence}
    return known | {"licence_of_data": "not stated"}
