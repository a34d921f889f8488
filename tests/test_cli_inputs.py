"""The command line on what people really give it: runs, files and terminals that tools like it trip over."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prodgen import data, device, models, training
from prodgen.cli import main
from prodgen.cli.common import load_model
from prodgen.training.checkpoint import RunFolder

PROGRAM = (sys.executable, "-m", "prodgen")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A home, a cache and a working folder of one's own."""
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)


def photos(folder: str | Path, **counts: int) -> Path:
    """A folder of photos, so many a class."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (Path(folder) / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(Path(folder) / name / f"{i}.png")
    return Path(folder)


def train(*more: str, kind: str = "vae", images: int = 64, out: str = "run", folder: str = "photos") -> int:
    options = ["--data", folder, "--image-size", "28", "--images", str(images), "--out", out]
    return main(["train", kind, *options, *more])


def refused(capsys, command, *arguments, **options) -> str:
    """The one sentence with which a command is refused, whatever it said before on standard output."""
    capsys.readouterr()
    assert command(*arguments, **options) == 2
    said = capsys.readouterr().err.splitlines()
    said = [line for line in said if "decoding" not in line]
    assert len(said) == 1 and said[0].startswith("prodgen: ") and said[0].endswith("."), said
    return said[0]


def files(folder: str = "run") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


# ---- runs


def test_the_first_line_names_classes_what_is_left_out_and_how_many_are_held_out(capsys):
    photos("photos", bus=12, car=20)
    (Path("photos/car") / "cut.png").write_bytes(b"")
    assert train() == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("photos: 32 images, 3 of them held out; classes: bus 12, car 20")
    assert "car/cut.png" in first
    assert second == "vae on 29 images of photos, 28 px, conditional on label, for 64 images"


def renamed() -> None:
    Path("photos/bus").rename("photos/zeppelin")


def exchanged() -> None:
    bus, car = Path("photos/bus/0.png"), Path("photos/car/0.png")
    content = bus.read_bytes()
    bus.write_bytes(car.read_bytes())
    car.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "difference"),
    [(renamed, "was label (bus, car), is label (car, zeppelin)"), (exchanged, "photos was with SHA-256")],
)
def test_a_run_on_changed_data_is_not_resumed_and_not_rewritten(capsys, change, difference):
    photos("photos", bus=4, car=4)
    assert train() == 0
    before = files()
    change()
    assert difference in refused(capsys, train, "--resume")
    assert files() == before


def test_a_finished_run_is_left_alone_and_goes_on_with_a_larger_budget(capsys):
    photos("photos", bus=4, car=4)
    assert train() == 0
    before = files()
    assert train("--resume") == 0
    assert "nothing left to do: give a larger budget" in capsys.readouterr().out
    assert files() == before
    assert train("--resume", images=128) == 0
    assert json.loads(Path("run/history.json").read_text())[-1]["images"] == 128


def test_a_run_starts_from_another_ones_weights_and_says_which_did_not_fit(capsys):
    photos("photos", bus=4, car=4)
    photos("others", bus=4, car=4, tram=4)
    assert train(images=64) == 0
    capsys.readouterr()
    assert train("--from", "run", out="same", images=1) == 0
    assert "begins with the weights of run\n" in capsys.readouterr().out
    assert train("--from", "run", out="more", images=1, folder="others") == 0
    said = capsys.readouterr().out
    assert "weights of run; 1 of 20 tensors did not fit and begin anew: vae.embedding.weight\n" in said
    same, run = (models.load(f"{name}/model.safetensors").state_dict() for name in ("same", "run"))
    fresh = models.VAE(28, 3, condition=data.Condition.of_classes(["bus", "car"])).state_dict()
    weight = next(name for name in run if run[name].ndim == 4)
    assert (same[weight] - run[weight]).abs().mean() < 0.1 * (fresh[weight] - run[weight]).abs().mean()
    grey = training.new_trainer("vae", data.load("others", image_size=28, channels=1))
    misfits = training.start_from(grey, "run")
    assert {"vae.embedding.weight", "vae.encoder_maps.0.weight"} < set(misfits)
    assert not any("decoder_stem" in name for name in misfits), "other classes and channels, the same middle"
    assert "holds a vae, not a gan" in refused(capsys, train, "--from", "run", kind="gan", out="other")
    # With --resume added, the same line goes on from the run's own checkpoint.
    assert train("--from", "run", "--resume", out="same", images=2) == 0
    assert "begins with" not in capsys.readouterr().out


def test_a_full_disk_is_said_in_one_sentence(capsys, monkeypatch):
    photos("photos", bus=4)
    assert train() == 0
    before = files()

    def full(source, target):
        raise OSError(28, "No space left on device", str(source))

    data.load("photos", image_size=28)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        said = refused(capsys, train, "--resume", images=128)
    assert "no space left" in said and "the last checkpoint is kept" in said
    assert files() == before


def test_the_second_of_two_runs_into_one_folder_is_refused(capsys):
    photos("photos", bus=4)
    with RunFolder("run", resume=False, writes=True):
        assert "another run is writing to run" in refused(capsys, train)


class Malice:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def test_a_checkpoint_that_brings_a_program_along_is_refused_in_our_words(capsys):
    photos("photos", bus=4)
    assert train() == 0
    torch.save({"format": 2, "state": Malice()}, "run/checkpoint.pt", pickle_module=pickle)
    for said in (refused(capsys, train, "--resume"), refused(capsys, train, "--from", "run", out="other")):
        assert "could run any program" in said and "weights_only" not in said
    assert not Path("harm").exists()


# ---- what is printed, and to whom


def test_names_that_are_no_text_are_printed_as_escapes(capsys):
    photos("photos", bus=4)
    assert train(out=os.fsdecode(b"caf\xe9")) == 0
    assert "saved in caf\\udce9" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_that_a_terminal_cannot_show_are_printed_as_escapes(encoding):
    folder = os.fsdecode(b"caf\xe9")
    photos(folder, **{"包": 4, "naïve": 4})
    command = ["train", "vae", "--data", folder, "--image-size", "28", "--images", "16", "--out", "猫"]
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    done = subprocess.run([*PROGRAM, *command], capture_output=True, env=env, timeout=300)
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == 0 and "Traceback" not in err, err
    for name in ("naïve 4", "包 4", "saved in 猫"):
        assert name.encode(encoding, "backslashreplace").decode(encoding) in out
    command = ["sample", "猫", "--n", "1", "--label", "靴", "--out", "x.npy"]
    done = subprocess.run([*PROGRAM, *command], capture_output=True, env=env, timeout=300)
    err = done.stderr.decode(encoding)
    assert done.returncode == 2 and err.startswith("prodgen: There is no label") and "Traceback" not in err


def test_training_outlives_whoever_read_its_output():
    photos("photos", bus=4, car=4)
    command = ["train", "vae", "--data", "photos", "--image-size", "28", "--images", "6000", "--out", "run"]
    program = subprocess.Popen([*PROGRAM, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout.readline().startswith(b"photos: 8 images")
    program.stdout.close()
    err = program.stderr.read().decode()
    assert program.wait(timeout=300) == 0, err
    assert "BrokenPipe" not in err
    assert json.loads(Path("run/history.json").read_text())[-1]["images"] == 6_000


def test_a_closed_output_is_no_error():
    done = subprocess.run(f"{sys.executable} -m prodgen data list >&-", shell=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_tilde_is_the_home_folder_everywhere():
    photos(Path.home() / "photos", bus=12)
    assert train(folder="~/photos", out="~/run") == 0
    assert train("--from=~/run", folder="~/photos", out="~/next") == 0
    assert main(["sample", "~/run", "--n", "1", "--out=~/x.npy"]) == 0
    model = "~/run/model.safetensors"
    assert main(["evaluate", model, "--data=~/photos", "--split", "all", "--json=~/x.json"]) == 0
    written = {"photos", "run", "next", "x.npy", "x.json"}
    assert {path.name for path in Path.home().iterdir()} == written and not Path("~").exists()


# ---- samples


def test_suffixes_in_capitals_numbers_with_commas_and_a_models_own_file_are_accepted(capsys):
    models.save_as("small.safetensors", models.Generator(width=2, latent_dim=2))
    assert main(["sample", "small.safetensors", "--n", "10,000", "--out", "x.NPY"]) == 0
    assert "10,000 images" in capsys.readouterr().out
    assert np.load("x.NPY").shape == (10_000, 1, 28, 28)
    assert main(["sample", "small.safetensors", "--n", "2", "--out", "x.PNG"]) == 0
    assert Image.open("x.PNG").format == "PNG"


def test_an_array_is_what_numpy_would_save_of_all_samples_at_once():
    model = models.Generator(width=2, latent_dim=2).eval()
    models.save_as("small.safetensors", model)
    assert main(["sample", "small.safetensors", "--n", "1234", "--seed", "3", "--out", "x.npy"]) == 0
    np.save("expected.npy", data.to_uint8(models.sample(model, 1234, seed=3)).numpy())
    assert Path("x.npy").read_bytes() == Path("expected.npy").read_bytes()


def test_many_samples_take_no_more_memory_than_few():
    models.save_as("small.safetensors", models.Generator(64, 3, latent_dim=2, width=1))
    script = """
import resource
from prodgen.cli import main

def peak(n):
    assert main(["sample", "small.safetensors", "--n", str(n), "--out", "x.npy"]) == 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB, of all so far

print(-peak(1000) + peak(8000))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    grown = float(done.stdout.splitlines()[-1])
    assert grown < 60, "7,000 more take 86 MB as bytes, and 344 MB as floats"


def test_models_go_where_the_fast_device_is(monkeypatch):
    monkeypatch.setattr(device, "best_device", lambda: torch.device("meta"))
    assert next(load_model("gan-fashion-mnist").parameters()).is_meta


# ---- evaluation


def evaluate(*more: str, model: str = "run", folder: str = "photos") -> int:
    return main(["evaluate", model, "--data", folder, *more])


def test_few_photos_are_counted_and_a_way_out_is_told(capsys):
    photos("photos", bus=30, car=30)
    assert train() == 0
    said = refused(capsys, evaluate)
    assert said == "prodgen: 6 are held out; 10 are needed: about 100 photos, or --split all."
    assert evaluate("--split", "all") == 0
    assert "60 images, 6 of them held out; classes: bus 30, car 30" in capsys.readouterr().out


def test_without_inceptions_weights_the_rest_is_measured_and_the_reason_said_once(capsys):
    photos("photos", bus=12)
    assert train() == 0
    weights = Path("torch/hub/checkpoints/weights-inception-2015-12-05-6726825d.pth")
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"half of it")
    capsys.readouterr()
    assert evaluate("--split", "all", "--json", "x.json") == 0
    said = capsys.readouterr().out
    assert said.count("half downloaded; delete it") == 1
    (missing,) = [line for line in said.splitlines() if line.startswith("not measured: ")]
    assert "fid_inception, kid_inception, precision" in missing
    assert all(f"\n{name} " in said for name in ("sharpness", "sharpness_real", "elbo"))
    result = json.loads(Path("x.json").read_text())
    assert result["elbo"]["n"] == 12 and "half downloaded" in result["not_measured"]["fid_inception"]


def test_a_model_of_other_classes_than_the_datas_is_said(capsys):
    photos("photos", bus=10, car=10)
    photos("others", bus=10, van=10)
    assert train() == 0
    said = refused(capsys, evaluate, "--split", "all", folder="others")
    assert "bus, car against bus, van" in said
