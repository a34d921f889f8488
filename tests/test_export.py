"""ONNX files: they draw what the model draws, say what they are, and are written whole or not at all."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from lively import lively

from prodgen import __version__, models, recorded
from prodgen.cli import main
from prodgen.cli.onnx import NOTICE, TOLERANCE, save_onnx
from prodgen.data import Condition, Factor
from prodgen.models import VAE, Generator

CLASSES = Condition.of_classes(("bag", "Größe 7", "衬衫"))
FACTORS = Condition((Factor("label", ("bag", "mug")), Factor("azimuth", period=360.0)))


def draw(path, z, condition=None):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    asked = {"z": z.numpy()} | ({} if condition is None else {"condition": condition.numpy()})
    assert [one.name for one in session.get_inputs()] == list(asked)
    assert [one.name for one in session.get_outputs()] == ["images"]
    return session.run(None, asked)[0]


@pytest.mark.parametrize("condition", [None, CLASSES], ids=["alone", "classes"])
@pytest.mark.parametrize("shape", [(28, 1), (64, 3)], ids=["28", "64"])
@pytest.mark.parametrize("kind", [Generator, VAE])
def test_a_file_draws_what_the_model_draws_in_batches_of_any_size(kind, shape, condition, tmp_path):
    size, channels = shape
    shape = {"image_size": size, "channels": channels, "condition": condition}
    if kind is VAE and channels == 3:
        shape["likelihood"] = "gaussian"
    model = lively(kind, **shape)
    assert save_onnx(tmp_path / "x.onnx", model) <= TOLERANCE
    for n in (1, 2, 7):
        z = torch.randn(n, 8, generator=torch.Generator().manual_seed(n))
        asked = condition.in_turn(n) if condition else None
        with torch.no_grad():
            expected = model(z, asked).numpy()
        images = draw(tmp_path / "x.onnx", z, asked)
        assert images.dtype == np.float32 and images.shape == (n, channels, size, size)
        assert np.abs(images - expected).max() <= 1e-4
        assert images.std() > 0.01, "something is drawn"


def test_a_file_says_what_it_is_and_how_to_ask_and_nothing_of_the_machine(tmp_path):
    save_onnx(tmp_path / "x.onnx", lively(Generator, condition=FACTORS), licence_of_data="CC0")
    file = onnx.load(tmp_path / "x.onnx")
    onnx.checker.check_model(file, full_check=True)
    said = {entry.key: entry.value for entry in file.metadata_props}
    assert said["notice"] == NOTICE and "generated" in NOTICE
    assert (said["prodgen"], said["licence_of_data"]) == (__version__, "CC0")
    assert Condition.from_json(json.loads(said["condition"])) == FACTORS
    widths = [value.type.tensor_type.shape.dim for value in file.graph.input]
    assert [(one[0].dim_param, one[1].dim_value) for one in widths] == [("N", 8), ("N", FACTORS.width)]
    content = (tmp_path / "x.onnx").read_bytes()
    assert b".py" not in content and b"File " not in content, "no stack traces"


def test_a_file_that_would_draw_otherwise_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("prodgen.cli.onnx.sample", lambda model, n, seed: torch.zeros(n, 1, 28, 28))
    (tmp_path / "x.onnx").write_text("the last one")
    with pytest.raises(models.ModelError, match=r"differ by .* not written"):
        save_onnx(tmp_path / "x.onnx", lively(Generator))
    assert (tmp_path / "x.onnx").read_text() == "the last one"
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]


def test_a_model_is_left_in_the_mode_it_was_in(tmp_path):
    model = lively(Generator).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_onnx(tmp_path / "x.onnx", model)
    assert model.training
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    out = tmp_path / "x.onnx"
    assert main(["export", "gan-fashion-mnist", "--onnx", str(out)]) == 2
    said = capsys.readouterr().err
    assert "onnxruntime" in said and "pip install 'prodgen[export]'" in said and said.count("\n") == 1
    assert not out.exists()


def test_a_shipped_model_is_exported_by_name_with_its_classes_and_the_licence_of_its_data(tmp_path, capsys):
    out = tmp_path / "gan.onnx"
    assert main(["export", "gan-fashion-mnist", "--onnx", str(out)]) == 0
    said = capsys.readouterr().out
    assert "z (N, 64), condition (N, 10) -> images (N, 1, 28, 28)" in said and "checked" in said
    about = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert (about["data"], about["licence_of_data"]) == ("fashion-mnist", "MIT")
    [label] = json.loads(about["condition"])
    assert (label["name"], label["values"][8]) == ("label", "Bag")
    model = recorded.load_model("gan-fashion-mnist")
    asked = model.condition.encode(label="Bag")
    z = torch.randn(1, 64, generator=torch.Generator().manual_seed(3))
    expected = models.sample(model, 1, asked, seed=3).numpy()
    assert np.abs(draw(out, z, asked) - expected).max() <= 1e-4


def test_a_files_name_that_will_not_do_is_refused_before_any_work(tmp_path, capsys):
    for out, why in (("x.pt", ".onnx"), ("no/x.onnx", "no folder"), (".", "is a folder")):
        assert main(["export", "gan-fashion-mnist", "--onnx", str(tmp_path / out)]) == 2
        assert why in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
