"""What one can set of a training, and see of it while it goes on: the line, the log, the preview."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prodgen import data, models, presets, training
from prodgen.cli import follow, main
from prodgen.cli.follow import Log, columns_of
from prodgen.training.watch import Run, duration, progress_line

SIZE = 28


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A cache, and a working folder with photos of two classes."""
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("lamp", "mug"):
        Path("photos", name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(f"photos/{name}/{i}.png")


def train(*more: str, kind: str = "vae", images: int = 64, out: str = "run") -> int:
    options = ["--data", "photos", "--image-size", str(SIZE), "--images", str(images), "--out", out]
    return main(["train", kind, *options, *more])


def refused(capsys, *arguments, **options) -> str:
    capsys.readouterr()
    assert train(*arguments, **options) == 2
    return capsys.readouterr().err.splitlines()[-1]


def log() -> list[dict[str, float]]:
    return [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]


# ---- the line


def test_the_time_that_is_left_follows_from_the_speed_so_far():
    run = Run(images_seen=2_000, seconds=100.0, history=[{"loss": 0.5, "images": 2_000}], model=None)
    assert progress_line(run, 10_000, None) == "2,000 of 10,000 images  20/s  7 min left  loss 0.500"
    assert progress_line(run, None, 3.0) == "2,000 images in 1.7 of 3 min  20/s  80 s left  loss 0.500"
    assert progress_line(run, 2_000, None) == "2,000 of 2,000 images  20/s  loss 0.500"
    assert progress_line(Run(0, 0.0, [], None), 10_000, None) == "0 of 10,000 images"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5_399, "90 min"), (9_000, "2.5 h")]
)
def test_times_are_said_in_the_unit_that_one_would_use(seconds, said):
    assert duration(seconds) == said


def test_on_a_terminal_one_line_is_written_over_and_then_ended(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(follow.shutil, "get_terminal_size", lambda: os.terminal_size((40, 20)))
    run = Run(images_seen=50, seconds=1.0, history=[{"loss": 1.0, "images": 50}], model=None)
    with follow.Progress(100, None) as progress:
        progress(run)
        run.images_seen = 100
        progress(run)
    written = capsys.readouterr().out
    assert written.count("\n") == 1 and written.endswith("\n")
    first, second = written.removesuffix("\n").split("\r")[1:]
    assert len(first) == len(second) == 39
    assert first.startswith("50 of 100") and second.startswith("100 of 100")


# ---- the log and the preview


def test_each_report_is_one_line_of_the_log_and_a_resumed_run_goes_on_with_it():
    assert train() == 0
    first = log()
    assert [row["images"] for row in first] == [64] and first[0]["seconds"] > 0
    assert {"loss", "kl"} < first[0].keys()
    assert train("--resume", images=128) == 0
    assert [row["images"] for row in log()] == [64, 128] and log()[0] == first[0]
    assert log()[1]["seconds"] > first[0]["seconds"]
    assert train("--resume", images=128) == 0, "nothing left to do"
    assert len(log()) == 2


def test_lines_from_beyond_the_checkpoint_are_written_anew_and_a_fresh_run_begins_its_own():
    folder = Path("run")
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps({"images": n}) + "\n" for n in (10, 20, 30)))
    run = Run(images_seen=20, seconds=1.0, history=[], model=None)
    Log(folder, resumed=True)(run)
    assert log() == [{"images": 10}, {"images": 20, "seconds": 1.0}]
    Log(folder, resumed=False)(run)
    assert log() == [{"images": 20, "seconds": 1.0}]


@pytest.mark.parametrize("kind", ["gan", "vae"])
def test_the_preview_is_the_model_at_the_same_z_with_a_column_a_class(kind):
    assert train(kind=kind) == 0
    with Image.open("run/preview.png") as picture:
        seen = np.asarray(picture).astype(int)
        assert "run run, after 64 images" in picture.text["Description"]
        assert "trainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]
    assert seen.shape == (8 * (SIZE + 1) - 1, 2 * (SIZE + 1) - 1, 3)
    model = models.load("run/model.safetensors")
    for column in (0, 1):  # of all rows, and their z is that of seed 0
        condition = model.condition.encode(label=column).expand(16, -1)
        drawn = data.to_uint8(models.sample(model, 16, condition)).permute(0, 2, 3, 1).numpy()
        for row in range(8):
            part = seen[row * (SIZE + 1) :, column * (SIZE + 1) :][:SIZE, :SIZE]
            assert np.abs(part - drawn[2 * row + column]).max() <= 1


def test_without_classes_the_preview_is_a_plain_grid_and_of_many_it_shows_the_first():
    assert columns_of(models.Generator(width=2)) == (None, 8)
    many = data.Condition.of_classes([str(i) for i in range(40)])
    condition, columns = columns_of(models.Generator(width=2, condition=many))
    assert columns == 16 and condition.shape == (8 * 16, 40)
    assert condition.argmax(dim=1).view(8, 16).tolist() == [list(range(16))] * 8
    two = data.Condition((data.Factor("kind", ("a", "b")), data.Factor("hue", ("red", "blue", "green"))))
    condition, columns = columns_of(models.Generator(width=2, condition=two))
    rows = condition.view(8, columns, two.width)
    assert (rows[:, :, :2].argmax(dim=2).T == rows.new_tensor([[0], [1]])).all()
    assert set(rows[:, 0, 2:].argmax(dim=1).tolist()) == {0, 1, 2}, "further factors vary down the column"


# ---- the recipe


def test_fields_of_the_recipe_are_set_by_name_and_kept_with_the_run(capsys):
    fields = ["--set", "r1_gamma=2", "--set", "betas=0.5,0.9", "--set", "width=4", "--set", "loss=hinge"]
    assert train(*fields, kind="gan") == 0
    about = models.load_metadata("run/model.safetensors")
    expected = presets.gan_recipe(SIZE).__dict__ | {
        "r1_gamma": 2.0, "betas": [0.5, 0.9], "width": 4, "loss": "hinge",
    }  # fmt: skip
    assert json.loads(about["recipe"]) == expected
    assert models.load("run/model.safetensors").config["width"] == 4
    assert train(*fields, "--resume", kind="gan", images=96) == 0
    fields[1] = "r1_gamma=3"
    said = refused(capsys, *fields, "--resume", kind="gan", images=128)
    assert "started otherwise: recipe: r1_gamma was 2.0, is 3.0." in said


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("gan", "gamma=2", "no field 'gamma'; it has: loss, latent_dim, width, batch_size"),
        ("vae", "r1_gamma=2", "no field 'r1_gamma'; it has: likelihood, latent_dim"),
        ("gan", "r1_gamma=strong", "r1_gamma takes a number of 0 or more, not 'strong'"),
        ("gan", "learning_rate=nan", "learning_rate takes a number of 0 or more, not 'nan'"),
        ("gan", "learning_rate=inf", "learning_rate takes a number"),
        ("gan", "betas=0.9", "betas takes 2 numbers with a comma between them from 0 to 0.9999, not '0.9'"),
        ("gan", "betas=0,1", "not '0,1'"),
        ("gan", "batch_size=0", "batch_size takes a whole number from 1 to 65536, not '0'"),
        ("gan", "r1_every=1.5", "r1_every takes a whole number"),
        ("vae", "open_share=2", "open_share takes a number from 0 to 1, not '2'"),
        ("gan", "loss=l2", "There is no loss 'l2'; there are: minimax"),
        ("vae", "likelihood=poisson", "choose 'bernoulli' or 'gaussian'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_before_anything_is_written(capsys, kind, change, message):
    assert message in refused(capsys, "--set", change, kind=kind)
    assert not Path("run").exists()


def test_a_field_set_twice_is_refused(capsys):
    assert "width is set twice" in refused(capsys, "--set", "width=2", "--set", "width=4")


# ---- TensorBoard


def test_without_tensorboard_it_is_said_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as where it is not installed
    said = refused(capsys, "--tensorboard")
    assert "pip install tensorboard" in said and "log.jsonl holds the same numbers" in said
    assert not Path("run").exists()


def test_tensorboard_is_told_what_the_log_says():
    reader = "tensorboard.backend.event_processing.event_accumulator"
    events = pytest.importorskip(reader, reason="TensorBoard is not installed; it is optional")
    assert train("--tensorboard") == 0 and train("--tensorboard", "--resume", images=128) == 0
    found = events.EventAccumulator("run/tensorboard").Reload()
    for name in ("loss", "kl"):
        said = [(event.step, pytest.approx(event.value)) for event in found.Scalars(name)]
        assert [(row["images"], row[name]) for row in log()] == said


def test_previews_and_logs_do_not_change_what_is_trained():
    assert train() == 0
    dataset = data.load("photos", image_size=SIZE)
    run = training.train(training.new_trainer("vae", dataset), dataset, images=64, progress=False)
    kept = models.load("run/model.safetensors").state_dict()
    assert all((value == kept[name]).all() for name, value in run.model.state_dict().items())
