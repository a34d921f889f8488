"""The command line: what it writes, and what it says to one who is mistaken."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prodgen import data, evaluation, models, recorded, training
from prodgen.cli import main
from prodgen.device import seeded

PROGRAM = Path(sys.executable).with_name("prodgen")


@pytest.fixture(scope="module", autouse=True)
def photos_at_hand():
    """Else the first command that needs them would say that it downloads them."""
    data.load("fashion-mnist", "test")


def run(*arguments, program=(PROGRAM,)):
    """A real process, as from a shell."""
    return subprocess.run(
        [*map(str, program), *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip


def refused(capsys, *arguments):
    """The one sentence with which a command is refused."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse's way
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2
    assert err.startswith("prodgen: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert "Traceback" not in out + err
    return err


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    """A run of a class-conditional GAN on Fashion-MNIST."""
    folder = tmp_path_factory.mktemp("runs") / "gan"
    done = run("train", "gan", "--data", "fashion-mnist", "--images", 256, "--seed", 1, "--out", folder)
    assert done.returncode == 0, done.stderr
    assert f"prodgen sample {folder}" in done.stdout
    return folder


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "vae"
    assert main(["train", "vae", "--data", "fashion-mnist", "--images", "256", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of someone's own photos: two products, any size, in colour."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for product in ("mug", "lamp"):
        (root / product).mkdir()
        for i in range(20):
            pixels = rng.integers(0, 256, size=(40 + i, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / product / f"{i}.png")
    return root


# What it does


def test_help_answers_without_loading_torch():
    done = run("--help", program=(sys.executable, "-X", "importtime", "-m", "prodgen"))
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("data", "train", "sample", "evaluate"))
    assert "prodgen.cli" in done.stderr and " torch" not in done.stderr and "numpy" not in done.stderr


def test_data_are_listed_with_licence_and_fetched(capsys):
    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(word in listed for word in ("fashion-mnist", "MIT", "60,000 train", "Ankle boot"))
    assert main(["data", "get", "fashion-mnist"]) == 0
    assert "fashion-mnist test: 10,000 images" in capsys.readouterr().out


def test_a_trained_gan_is_conditional_and_draws_the_same_bytes_for_the_same_seed(gan, tmp_path):
    names = data.describe("fashion-mnist").class_names
    assert models.load(gan / "model.safetensors").condition == data.Condition.of_classes(names)
    a, b, other = tmp_path / "a.npy", tmp_path / "b.npy", tmp_path / "c.npy"
    for out in (a, b):
        done = run("sample", gan, "--n", 12, "--seed", 5, "--out", out)
        assert done.returncode == 0, done.stderr
    assert main(["sample", str(gan), "--n", "12", "--seed", "6", "--out", str(other)]) == 0
    assert a.read_bytes() == b.read_bytes() != other.read_bytes()
    images = np.load(a)
    assert images.shape == (12, 1, 28, 28) and images.dtype == np.uint8
    expected = models.sample(models.load(gan / "model.safetensors"), 12, seed=5)
    assert np.abs(images.astype(int) - data.to_uint8(expected).numpy()).max() <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy", "c.npy"]


@pytest.mark.parametrize(
    "asked",
    [("--label", "Bag"), ("--label=bag",), ("--label", "8"), ("--with", "label=Bag"), ("--with=label=8",)],
)
def test_a_label_is_a_factor_and_its_value_a_name_or_a_number(gan, tmp_path, asked):
    assert main(["sample", str(gan), "--n", "3", *asked, "--out", str(tmp_path / "x.npy")]) == 0
    model = models.load(gan / "model.safetensors")
    expected = models.sample(model, 3, model.condition.encode(label=8))
    assert (np.load(tmp_path / "x.npy") == data.to_uint8(expected).numpy()).all()


@pytest.fixture
def lamp(tmp_path) -> Path:
    """A model with factors of three kinds."""
    factors = (
        data.Factor("kind", ("desk", "2", "caf\u00e9")),
        data.Factor("azimuth", period=360.0),
        data.Factor("colour", size=3, bounds=(0.0, 255.0)),
    )
    with seeded(0):
        model = models.Generator(28, 3, latent_dim=4, width=4, condition=data.Condition(factors))
        torch.nn.init.normal_(model.embedding.weight, std=10.0)  # as loud as after a long training
    models.save_as(tmp_path / "lamp.safetensors", model)
    return tmp_path / "lamp.safetensors"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["kind=desk"], {"kind": 0}),
        (["kind=2"], {"kind": 1}),  # a name before a number
        (["kind=cafe\u0301"], {"kind": 2}),  # decomposed, as some systems type it
        (["azimuth=-30"], {"azimuth": 330.0}),
        (["colour=255,0,0", "kind=0"], {"kind": 0, "colour": [255.0, 0.0, 0.0]}),
        ([], None),  # the named values in turn
    ],
)
def test_any_factor_can_be_asked_for_and_the_others_stay_open(lamp, tmp_path, typed, meant):
    asked = [f"--with={one}" for one in typed]
    assert main(["sample", str(lamp), "--n", "6", *asked, "--out", str(tmp_path / "x.npy")]) == 0
    model = models.load(lamp)
    condition = model.condition.in_turn(6) if meant is None else model.condition.encode(**meant)
    expected = data.to_uint8(models.sample(model, 6, condition)).numpy().astype(int)
    assert np.abs(np.load(tmp_path / "x.npy") - expected).max() <= 1
    other = data.to_uint8(models.sample(model, 6, model.condition.encode(6))).numpy()
    assert np.abs(other - expected).max() > 10, "what is asked for shows"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("--with size=3", "no factor 'size' to ask for; there is: kind, azimuth, colour"),
        ("--with kind=floor", "no kind 'floor'; there are: 0 desk, 1 2"),
        ("--label desk", "no factor 'label'"),
        ("--with azimuth=left", "azimuth takes 1 number(s), such as 180, not 'left'"),
        ("--with colour=1,2", "colour takes 3 number(s)"),
        ("--with colour=0,0,256", "colour goes from 0 to 255"),
        ("--with kind=desk --with kind=2", "kind is asked for twice"),
        ("--with kind", "'kind' is not NAME=VALUE, such as label=Bag"),
    ],
)
def test_what_cannot_be_asked_for_is_said(lamp, tmp_path, capsys, asked, message):
    assert message in refused(capsys, "sample", lamp, "--n", 2, *asked.split(), "--out", tmp_path / "x.npy")
    assert not (tmp_path / "x.npy").exists()


@pytest.mark.parametrize(
    ("n", "size"), [(1, (28, 28)), (4, (4 * 29 - 1, 28)), (23, (10 * 29 - 1, 3 * 29 - 1))]
)
def test_a_picture_shows_all_samples(gan, tmp_path, n, size):
    assert main(["sample", str(gan), "--n", str(n), "--out", str(tmp_path / "x.png")]) == 0
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == size and picture.mode == "L"


def test_a_shipped_model_draws_through_python_m(tmp_path):
    out = tmp_path / "x.npy"
    program = (sys.executable, "-m", "prodgen")
    done = run("sample", "gan-fashion-mnist", "--n", 20, "--label", "Trouser", "--out", out, program=program)
    assert done.returncode == 0, done.stderr
    classifier = recorded.load_model("classifier-fashion-mnist")
    trouser = data.describe("fashion-mnist").class_names.index("Trouser")
    seen = evaluation.predict(data.to_float(torch.from_numpy(np.load(out))), classifier)
    assert (seen == trouser).float().mean() >= 0.8


def test_a_folder_of_photos_trains_a_gan_with_its_subfolders_as_classes(photos, tmp_path):
    folder, out = tmp_path / "run", tmp_path / "x.npy"
    options = ["--data", str(photos), "--image-size", "32", "--images", "128", "--out", str(folder)]
    assert main(["train", "gan", *options]) == 0
    assert main(["sample", str(folder), "--n", "5", "--label", "mug", "--out", str(out)]) == 0
    assert np.load(out).shape == (5, 3, 32, 32)


@pytest.mark.parametrize("kind", ["gan", "vae"])
def test_unconditional_means_without_classes(tmp_path, capsys, kind):
    folder = tmp_path / "run"
    train = ["train", kind, "--data", "fashion-mnist", "--images", "64", "--out", str(folder)]
    assert main([*train, "--unconditional"]) == 0
    assert models.load(folder / "model.safetensors").condition is None
    assert "conditional on" not in capsys.readouterr().out
    for asked in (["--label", "Bag"], ["--with", "label=Bag"]):
        said = refused(capsys, "sample", folder, "--n", 2, *asked, "--out", tmp_path / "x.npy")
        assert "no factors, such as a class" in said


def test_budgets_come_from_presets_images_or_minutes(tmp_path, monkeypatch, capsys):
    asked = []

    def train(trainer, dataset, *, images, minutes, **rest):
        asked.append((images, minutes))
        return training.Run(0, 0.0, [], trainer.model)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setenv("PRODGEN_PRESET", "smoke")
    start = ["train", "vae", "--data", "fashion-mnist", "--out", str(tmp_path / "run")]
    for more in ([], ["--preset", "quick"], ["--images", "77"], ["--minutes", "0.5"]):
        assert main([*start, *more]) == 0
    from prodgen.presets import budget

    smoke, quick = budget("vae", "smoke"), budget("vae", "quick")
    assert asked == [(smoke, None), (quick, None), (77, None), (None, 0.5)]
    monkeypatch.setenv("PRODGEN_PRESET", "medium")
    capsys.readouterr()
    said = refused(capsys, *start)
    assert "$PRODGEN_PRESET is 'medium'" in said and "quick" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_tells_how_to_go_on(tmp_path, monkeypatch, capsys, number):
    budget = ["--data", "fashion-mnist", "--images", "500", "--seed", "3"]
    assert main(["train", "gan", *budget, "--out", str(tmp_path / "whole")]) == 0
    step = training.GANTrainer.step

    def interrupted(self, *batch):
        if self.steps == 2:
            signal.raise_signal(number)
        return step(self, *batch)

    # Whoever runs the tests may be under nohup, where a hang-up is ignored.
    before = signal.signal(number, signal.default_int_handler)
    with monkeypatch.context() as patch:
        patch.setattr(training.GANTrainer, "step", interrupted)
        capsys.readouterr()
        assert main(["train", "gan", *budget, "--out", str(tmp_path / "cut")]) == 130
    signal.signal(number, before)
    said = capsys.readouterr().err
    assert "saved at 384 images" in said
    again = said.strip().split("to go on: ")[1]
    assert again.endswith("--resume")
    assert main(shlex.split(again)[1:]) == 0
    whole, cut = (
        models.load(tmp_path / name / "model.safetensors").state_dict() for name in ("whole", "cut")
    )
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole), "bit by bit, on a CPU"


def test_ctrl_c_before_the_first_step_is_no_traceback(tmp_path, monkeypatch, capsys):
    def impatient(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "load", impatient)
    assert main(["train", "gan", "--data", "fashion-mnist", "--out", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err == "prodgen: interrupted\n"


def test_resuming_what_has_not_begun_begins_it(tmp_path, capsys):
    folder = tmp_path / "run"
    train = ["train", "vae", "--data", "fashion-mnist", "--images", "128", "--out", str(folder), "--resume"]
    assert main(train) == 0
    assert "starting anew" in capsys.readouterr().err
    saved = (folder / "model.safetensors").read_bytes()
    assert main(train) == 0, "a finished run has nothing left to do"
    assert "nothing left to do: give a larger budget" in capsys.readouterr().out
    assert (folder / "model.safetensors").read_bytes() == saved


def test_evaluate_prints_and_writes_the_numbers(vae, tmp_path, capsys):
    file = tmp_path / "numbers.json"
    options = ["--data", "fashion-mnist", "--n", "30", "--seed", "2", "--json", str(file)]
    assert main(["evaluate", str(vae), *options]) == 0
    printed, result = capsys.readouterr().out, json.loads(file.read_text())
    assert result["n"] == 30 and result["seed"] == 2 and result["model"] == str(vae)
    assert result["n_real"] == 10_000 and result["split"] == "test"
    for name in ("fid_fmnist", "fid_fmnist_floor", "kid_fmnist", "coverage", "elbo", "classifier_sha256"):
        assert name in result and name in printed
    assert f"{result['fid_fmnist']:.4g}" in printed and "not measured" not in printed


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required: COMMAND"),
        ("paint", "invalid choice: 'paint'"),
        ("data", "required: ACTION"),
        ("data get mnist", "no data set 'mnist'; known: fashion-mnist"),
        ("train gam --data fashion-mnist --out run", "'gan', 'vae'"),
        ("train gan --out run", "required: --data"),
        ("train gan --data fashion-mnist", "required: --out"),
        (
            "train gan --data nowhere --out run",
            "'nowhere' is neither a data set (fashion-mnist, clothing, faces, studio, medical) nor a folder",
        ),
        ("train gan --data . --out run", "no image"),
        ("train gan --data a-file --out run", "a-file is a file: give the folder"),
        ("train gan --data fashion-mnist --image-size 32 --out run", "28 pixels only"),
        ("train gan --data fashion-mnist --image-size 48 --out run", "invalid choice: 48"),
        ("train gan --data fashion-mnist --preset huge --out run", "smoke"),
        ("train gan --data fashion-mnist --images 0 --out run", "'0' is no number of images"),
        ("train gan --data fashion-mnist --images 1e3 --out run", "'1e3' is no number of images"),
        ("train gan --data fashion-mnist --minutes nan --out run", "'nan' is no number of minutes"),
        ("train gan --data fashion-mnist --minutes -1 --out run", "minutes"),
        ("train gan --data fashion-mnist --images 9 --minutes 1 --out run", "not allowed with"),
        ("train gan --data fashion-mnist --seed -1 --out run", "--seed"),
        ("train gan --data fashion-mnist --seed 4294967296 --out run", "is no seed"),
        ("train gan --data fashion-mnist --images 9 --out a-file", "a-file"),
        (
            "train gan --data fashion-mnist --images 9 --from nowhere --out run",
            "nowhere holds no run to start from",
        ),
        (
            "sample nobody --n 1 --out x.npy",
            "neither a run, nor a model's file, nor a shipped model (classifier-",
        ),
        ("sample a-file --n 1 --out x.npy", "a-file is damaged or no safetensors file"),
        ("sample . --n 1 --out x.npy", "no model.safetensors"),
        ("sample classifier-fashion-mnist --n 1 --out x.npy", "draws no images"),
        ("sample gan-fashion-mnist --n 0 --out x.npy", "'0' is no number of images"),
        ("sample gan-fashion-mnist --n 1,00 --out x.npy", "'1,00' is no number of images"),
        (
            "sample gan-fashion-mnist --n 1,001 --out x.png",
            "A picture of 1,001 images is too tall to look at",
        ),
        ("sample gan-fashion-mnist --n 999,999,999,999 --out x.npy", "would take 784,000.0 GB"),
        ("sample gan-fashion-mnist --n 1 --out x.jpg", ".npy (an array) or .png"),
        ("sample gan-fashion-mnist --n 1 --out nowhere/x.npy", "no folder"),
        ("sample gan-fashion-mnist --n 1 --out .", "exists already; give the name of a new folder"),
        ("sample gan-fashion-mnist --n 1 --out a-file", "a-file exists already"),
        ("sample gan-fashion-mnist --n 1 --out nowhere/x", "no folder"),
        ("sample gan-fashion-mnist --n 2 --out x.gif", "would be an animation; add --walk"),
        ("sample gan-fashion-mnist --n 2 --walk --out x.png", "must end in .gif or .webp"),
        ("sample gan-fashion-mnist --n 1 --walk --out x.gif", "through 2 to 100 images, not 1"),
        (
            "sample gan-fashion-mnist --n 1 --label Hat --out x.npy",
            "'Hat'; there are: 0 T-shirt/top, 1 Trouser",
        ),
        ("sample gan-fashion-mnist --n 1 --label 10 --out x.npy", "no label '10'"),
        ("evaluate gan-fashion-mnist --data nowhere", "'nowhere' is neither"),
        ("evaluate nobody --data fashion-mnist", "neither a run"),
        ("evaluate gan-fashion-mnist --data fashion-mnist --split all", "no split 'all'"),
        ("evaluate gan-fashion-mnist --data fashion-mnist --n 3", "at least 10 samples"),
        ("evaluate gan-fashion-mnist --data fashion-mnist --json nowhere/x.json", "no folder"),
    ],
)
def test_a_mistake_gets_one_sentence(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("a-file").write_text("no folder")
    assert message in refused(capsys, *arguments.split())
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"], "nothing is written"


def test_a_mistake_in_a_real_process_has_exit_code_2_and_no_traceback():
    done = run("sample", "nobody", "--n", 1, "--out", "x.npy")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("prodgen: 'nobody'") and done.stderr.count("\n") == 1


def test_a_run_is_not_overwritten_and_not_resumed_with_other_settings(gan, capsys):
    train = ["train", "gan", "--data", "fashion-mnist", "--seed", "1", "--out", gan]
    before = {path: path.read_bytes() for path in gan.iterdir()}
    assert "add --resume" in refused(capsys, *train, "--images", "256")
    assert "seed was 1, is 2" in refused(capsys, *train, "--images", "512", "--resume", "--seed", "2")
    assert {path: path.read_bytes() for path in gan.iterdir()} == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:1000], "checkpoint.pt is damaged"),
        (lambda b: b"", "checkpoint.pt is damaged"),
        (lambda b: b"not a model\n" * 99, "checkpoint.pt is damaged"),
    ],
)
def test_a_damaged_run_is_refused(gan, tmp_path, capsys, damage, message):
    for name in ("model.safetensors", "checkpoint.pt"):
        (tmp_path / name).write_bytes(damage((gan / name).read_bytes()))
    said = refused(capsys, "sample", tmp_path, "--n", 1, "--out", tmp_path / "x.npy")
    assert "model.safetensors is damaged" in said
    train = ["train", "gan", "--data", "fashion-mnist", "--images", "256", "--seed", "1"]
    said = refused(capsys, *train, "--out", tmp_path, "--resume")
    assert message in said
    assert not (tmp_path / "x.npy").exists()


def test_a_model_of_another_shape_is_not_evaluated(photos, tmp_path, capsys):
    folder = tmp_path / "run"
    options = ["--data", str(photos), "--image-size", "32", "--images", "16", "--out", str(folder)]
    assert main(["train", "vae", *options]) == 0
    capsys.readouterr()
    said = refused(capsys, "evaluate", folder, "--data", "fashion-mnist")
    assert "image_size = 32, but fashion-mnist has 28" in said


def test_a_failed_write_leaves_the_old_file_and_no_part_of_the_new(gan, tmp_path, monkeypatch, capsys):
    out = tmp_path / "x.npy"
    out.write_bytes(b"old")

    def full(source, target):
        raise OSError(28, "No space left on device", str(source))

    monkeypatch.setattr(os, "replace", full)
    said = refused(capsys, "sample", gan, "--n", 2, "--out", out)
    assert said == f"prodgen: Cannot write {out}: No space left on device.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"] and out.read_bytes() == b"old"


def test_a_fault_of_ours_keeps_its_traceback(gan, tmp_path, monkeypatch):
    def faulty(*args, **kwargs):
        raise RuntimeError("a fault")

    monkeypatch.setattr(models, "sample_batches", faulty)
    with pytest.raises(RuntimeError, match="a fault"):
        main(["sample", str(gan), "--n", "1", "--out", str(tmp_path / "x.npy")])
