"""prodgen export: a model as an ONNX file, for programs without PyTorch, or as a web page that draws."""

import argparse
import json
from pathlib import Path
from typing import Any

from prodgen.cli import common
from prodgen.cli.runs import read_commands


def add_parser(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "export", help="write a model for programs without PyTorch, or as a web page",
        description="Write (z, condition) -> images as an ONNX file, checked against the model (it needs an "
        "extra: pip install 'prodgen[export]'), or as one HTML file that draws by itself, offline too.",
    )  # fmt: skip
    command.add_argument("model", metavar="RUN|NAME", help=common.MODEL_HELP)
    command.add_argument("--onnx", type=common.as_path, metavar="X.onnx", help="the ONNX file to write")
    command.add_argument("--page", type=common.as_path, metavar="X.html", help="the web page to write")
    command.set_defaults(command=run)


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    wanted = {".onnx": options.onnx, ".html": options.page}
    if not any(wanted.values()):
        raise common.CommandError("say what to write: --onnx X.onnx, --page X.html, or both.")
    for suffix, path in wanted.items():
        if path is not None:
            common.check_parent(path)
            if path.suffix.lower() != suffix:
                raise common.CommandError(f"{path} must end in {suffix}.")
    model, origin = common.load_model(options.model), _origin(options.model)
    if options.onnx:
        _write_onnx(options.onnx, model, origin)
    if options.page:
        _write_page(options.page, model, common.model_file(options.model), origin)
    return 0


def _write_onnx(path: Path, model: Any, origin: dict[str, str]) -> None:
    from prodgen.cli.onnx import save_onnx

    difference = save_onnx(path, model, **origin)
    inputs = f"z (N, {model.latent_dim})"
    if model.condition:
        inputs += f", condition (N, {model.condition.width})"
    size, channels = model.config["image_size"], model.config["channels"]
    print(f"{path}: {inputs} -> images (N, {channels}, {size}, {size}) in [-1, 1], float32")
    print(f"checked: no pixel differs from the model's by more than {difference:.1g}")


def _write_page(path: Path, model: Any, file: Path, origin: dict[str, str]) -> None:
    from prodgen.cli.live import save_page
    from prodgen.cli.provenance import Provenance

    told = Provenance(file, seed=0)
    photos = f"{origin.get('data', 'a folder')}, licence {origin['licence_of_data']}"
    content = json.loads(origin["content"]) if "content" in origin else None
    with common.written(path) as opened:
        save_page(opened, model, told.name, f"{told.start}. It learnt from {photos}.", content)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser, it needs no network.")


def _origin(reference: str) -> dict[str, str]:
    """What is known of the photos that the model was trained on, and how their padding comes off."""
    from prodgen import data, models, recorded

    path = common.as_path(reference)
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
