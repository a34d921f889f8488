"""What ships with the package is whole, described, and still true of the code."""

import json
import shutil

import fingerprints
import nbformat
import papermill
import pytest
import record

from prodgen import data, evaluation, presets, recorded
from prodgen.models import ModelError

BOOK = record.ROOT / "book"
BANDS = tuple(f"{kind}-{preset}" for kind in ("gan", "vae") for preset in ("full", "quick"))
STUDIES = tuple(name for name in recorded.result_names() if name not in BANDS)
STAMP = {"recipe", "commit", "date", "seeds", "device", "torch", "seconds"}


@pytest.fixture(scope="module")
def fashion_test():
    return data.load("fashion-mnist", "test")


def test_the_classifier_a_gan_and_a_vae_ship_with_results_over_seeds():
    grey = ("classifier-fashion-mnist", "gan-fashion-mnist", "vae-fashion-mnist")
    assert recorded.model_names() == tuple(sorted((*grey, *record.STUDIO, record.CLOTHING)))
    assert set(BANDS) <= set(recorded.result_names())


def test_records_fit_into_the_package():
    files = [path for path in recorded.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20e6


@pytest.mark.parametrize("name", recorded.model_names())
def test_every_card_says_what_a_user_must_know(name):
    card = recorded.card(name)
    assert card["data"]["licence"] == data.describe(card["data"]["name"]).licence
    assert card["licence"] and card["limits"] and card["metrics"] and card["class_names"]
    assert card["images_seen"] > 0
    assert card["stamp"].keys() >= STAMP
    assert not recorded.load_model(name).training


@pytest.mark.parametrize("name", BANDS)
def test_every_result_has_a_row_for_each_of_at_least_three_seeds_at_the_presets_budget(name):
    result = recorded.load_result(name)
    kind, _, preset = name.partition("-")
    rows = result["values"]
    assert [row["seed"] for row in rows] == result["stamp"]["seeds"]
    assert len(rows) >= 3
    assert {row["images_seen"] for row in rows} == {presets.budget(kind, preset)}
    assert {row["n"] for row in rows} == {10_000}
    yardstick = recorded.card("classifier-fashion-mnist")["sha256"]
    assert {row["classifier_sha256"] for row in rows} == {yardstick}


def test_the_shipped_gan_scores_what_its_card_says(fashion_test):
    # A tenth of the images, so a looser figure: agreement is a mean and has no bias with n.
    measured = evaluation.evaluate(recorded.load_model("gan-fashion-mnist"), fashion_test, n=1000)
    said = recorded.card("gan-fashion-mnist")["metrics"]
    assert measured["label_agreement"] == pytest.approx(said["label_agreement"], abs=0.03)
    assert measured["classifier_sha256"] == said["classifier_sha256"]


def test_the_shipped_classifier_scores_what_its_card_says(fashion_test):
    predicted = evaluation.predict(fashion_test, recorded.load_model("classifier-fashion-mnist"))
    accuracy = (predicted == fashion_test.labels).float().mean().item()
    assert accuracy == pytest.approx(
        recorded.card("classifier-fashion-mnist")["metrics"]["accuracy"], abs=1e-3
    )


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The records in a folder where a test may damage them."""
    shutil.copytree(recorded.WEIGHTS, tmp_path / "weights")
    shutil.copytree(recorded.RESULTS, tmp_path / "results")
    monkeypatch.setattr(recorded, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(recorded, "RESULTS", tmp_path / "results")
    return tmp_path


def test_altered_weights_are_refused(copied):
    path = copied / "weights" / "classifier-fashion-mnist.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not the file that its card describes"):
        recorded.load_model("classifier-fashion-mnist")


def test_unknown_names_are_answered_with_the_known_ones(copied):
    with pytest.raises(KeyError, match="classifier-fashion-mnist"):
        recorded.load_model("gan-cifar")
    (copied / "results" / "there-is.json").write_text("{}")
    with pytest.raises(KeyError, match="there-is"):
        recorded.load_result("nothing")


def test_a_stamp_says_where_a_record_comes_from():
    stamp = record.stamp(presets.GANRecipe(), {"fingerprint": {"loss": [0.5]}}, range(3), 1.26)
    stamp = json.loads(json.dumps(stamp))  # as it comes from a file
    assert stamp.keys() == STAMP | {"fingerprint"}
    assert stamp["recipe"]["loss"] == "relativistic"
    assert (stamp["seeds"], stamp["seconds"]) == ([0, 1, 2], 1.3)
    assert stamp["fingerprint"] == {"loss": [0.5]}


# ---------------------------------------------------------------- the studies of notebooks


def test_every_study_in_the_book_is_recorded_and_every_record_has_its_study():
    with_a_study = [path.stem for path in sorted(BOOK.glob("*.ipynb")) if record.study_code(path)]
    assert tuple(with_a_study) == STUDIES == tuple(fingerprints.STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_takes_nothing_from_cells_that_are_not_tagged(name):
    assert record.taken_from_outside(BOOK / f"{name}.ipynb") == set()


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_has_rows_for_each_of_at_least_five_seeds(name):
    result = recorded.load_result(name)
    seeds = {row["seed"] for row in result["values"]}
    assert seeds == set(result["stamp"]["seeds"]) and len(seeds) >= 5


STUDY = """\
# One run.
def one(seed, steps=3):
    model = models.Generator()
    loss = losses.non_saturating_generator
    return [{"seed": seed, "loss": loss, "trainer": training.GANTrainer, "model": model}]
"""


@pytest.fixture
def notebook(tmp_path):
    """A notebook with a study; called with the text of its tagged cell, it is written anew."""

    def write(study=STUDY, other="a = data.load('fashion-mnist')"):
        cells = [
            nbformat.v4.new_code_cell("from prodgen import data, losses, models, plots, training"),
            nbformat.v4.new_code_cell(other),
            nbformat.v4.new_code_cell(study, metadata={"tags": ["core", "experiment"]}),
            nbformat.v4.new_code_cell("rows = one(seed)"),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "study.ipynb")
        return tmp_path / "study.ipynb"

    return write


def test_what_a_study_takes_from_other_cells_is_named(notebook):
    assert record.taken_from_outside(notebook()) == set()
    assert record.taken_from_outside(notebook(STUDY.replace("steps=3", "steps=a"))) == {"a"}
    inside = STUDY.replace("return [", "b = [x for x in range(seed)]\n    return a + [")
    assert record.taken_from_outside(notebook(inside)) == {"a"}


def test_a_run_is_played_once_and_then_found_in_the_log(tmp_path):
    log, played = tmp_path / "runs.jsonl", []

    def run():
        played.append(len(played))
        return [{"seed": 3, "loss": 0.5 + played[-1]}]

    first = recorded.kept(log, ("judged", 3), run)
    assert first == recorded.kept(log, ["judged", 3], run) == [{"seed": 3, "loss": 0.5}]
    other = recorded.kept(log, ["judged", 4], run)
    assert other[0]["loss"] == 1.5 and played == [0, 1]
    assert len(log.read_text("utf-8").splitlines()) == 2


@pytest.fixture
def study_notebook(notebook, copied, monkeypatch):
    """A function that writes the notebook of a study, whose runs are given, to where `record` finds it."""
    monkeypatch.setattr(record, "ROOT", copied)
    monkeypatch.setattr(record, "kernel_environment", lambda wheel, threads: dict(record.os.environ))
    monkeypatch.setattr(record, "fingerprint", lambda of: {"of": [len(of)]})
    (copied / "book").mkdir()

    def write(study, runs):
        path = notebook(study, other="import json\nfrom pathlib import Path")
        content = nbformat.read(path, as_version=4)
        content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        preset = nbformat.v4.new_code_cell('preset = "auto"', metadata={"tags": ["parameters"]})
        content.cells.insert(0, preset)
        content.cells[-1].source = f'{runs}\nPath("study.json").write_text(json.dumps(rows))'
        content.cells.append(nbformat.v4.new_code_cell("this_may_need_the_record"))
        nbformat.write(content, copied / "book" / "01-study.ipynb")

    return write


def test_a_chapter_s_study_is_run_as_far_as_needed_and_stored(study_notebook, copied):
    study = 'def one(seed):\n    return [{"seed": seed, "loss": losses.elbo(3, seed)}]'
    study_notebook(study, 'assert preset == "study"\nrows = [row for s in range(5) for row in one(s)]')
    record.record_chapter("01-study")
    result = recorded.load_result("01-study")
    assert [row["loss"] for row in result["values"]] == [3, 2, 1, 0, -1]
    assert result["stamp"]["seeds"] == [0, 1, 2, 3, 4]
    assert result["stamp"]["recipe"] == {"notebook": "book/01-study.ipynb"}
    assert result["stamp"]["fingerprint"] == {"of": [len("01-study")]}
    assert not list((copied / "runs").iterdir())


def test_a_study_that_was_cut_off_finds_what_it_wrote_unless_its_code_is_another(study_notebook, copied):
    study = 'def one(seed):\n    return {"seed": seed, "loss": 0}'
    cut_off = (
        'log = Path("runs.jsonl")\nfound = log.exists()\nlog.write_text("{}")\nassert found\nrows = [one(0)]'
    )
    study_notebook(study, cut_off)
    with pytest.raises(papermill.PapermillExecutionError):
        record.record_chapter("01-study")
    study_notebook(study.replace("0}", "1}"), cut_off)  # a line of other code is none of its own
    with pytest.raises(papermill.PapermillExecutionError):
        record.record_chapter("01-study")
    record.record_chapter("01-study")
    assert recorded.load_result("01-study")["values"] == [{"seed": 0, "loss": 1}]
