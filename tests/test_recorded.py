"""What ships with the package is whole, described, and still true of the code."""

import json
import shutil

import nbformat
import pytest
import record

from prodgen import data, evaluation, presets, recorded

BOOK = record.ROOT / "book"
BANDS = tuple(f"{kind}-{preset}" for kind in ("gan", "vae") for preset in ("full", "quick"))
STUDIES = tuple(name for name in recorded.result_names() if name not in BANDS)
RECIPES = {"classifier": presets.ClassifierRecipe, "gan": presets.GANRecipe, "vae": presets.VAERecipe}


@pytest.fixture(scope="module")
def fashion_test():
    return data.load("fashion-mnist", "test")


def kind_of(name):
    return name.partition("-")[0]


def test_the_classifier_a_gan_and_a_vae_ship_with_results_over_seeds():
    assert recorded.model_names() == ("classifier-fashion-mnist", "gan-fashion-mnist", "vae-fashion-mnist")
    assert set(BANDS) <= set(recorded.result_names())


def test_records_fit_into_the_package():
    files = [path for path in recorded.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20e6


@pytest.mark.parametrize("name", recorded.model_names())
def test_every_card_says_what_a_user_must_know(name):
    card = recorded.card(name)
    assert card["data"]["licence"] == "MIT"
    assert card["licence"] and card["limits"] and card["metrics"] and card["class_names"]
    assert card["images_seen"] > 0
    assert card["stamp"].keys() >= {"recipe", "modules", "commit", "seeds", "device", "torch", "seconds"}
    assert not recorded.load_model(name).training


# The classifier is frozen: it is a yardstick and not a claim about the present recipe.
@pytest.mark.parametrize("name", [n for n in recorded.model_names() if kind_of(n) != "classifier"])
def test_no_shipped_model_is_older_than_the_code_that_it_stands_for(name):
    assert recorded.stale(recorded.card(name), RECIPES[kind_of(name)]()) == []


@pytest.mark.parametrize("name", BANDS)
def test_no_result_is_older_than_the_code_that_it_stands_for(name):
    assert recorded.stale(recorded.load_result(name), RECIPES[kind_of(name)]()) == []


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
    with pytest.raises(ValueError, match="not the file that its card describes"):
        recorded.load_model("classifier-fashion-mnist")


def test_unknown_names_are_answered_with_the_known_ones(copied):
    with pytest.raises(KeyError, match="classifier-fashion-mnist"):
        recorded.load_model("gan-cifar")
    (copied / "results" / "there-is.json").write_text("{}")
    with pytest.raises(KeyError, match="there-is"):
        recorded.load_result("nothing")


def test_a_record_is_stale_when_its_recipe_or_one_of_its_modules_has_changed():
    recipe = presets.GANRecipe()
    behind = recorded.modules_behind("gan", scored=True)
    card = {"stamp": recorded.stamp(recipe, behind, [0], 1.0)}
    card = json.loads(json.dumps(card))  # as it comes from a file
    assert recorded.stale(card, recipe) == []
    assert recorded.stale(card, presets.GANRecipe(r1_gamma=9.0)) == ["recipe"]
    card["stamp"]["modules"]["losses"] = "another"
    assert recorded.stale(card, recipe) == ["losses"]
    assert any(module.startswith("evaluation.") for module in card["stamp"]["modules"])


def test_a_modules_hash_follows_its_code_and_not_its_comments(tmp_path, monkeypatch):
    def digest(source):
        (tmp_path / "m.py").write_text(source)
        spec = type("Spec", (), {"origin": str(tmp_path / "m.py")})
        monkeypatch.setattr("importlib.util.find_spec", lambda _: spec)
        return recorded.module_hash("m")

    plain = digest('def f(x):\n    return x + "# no comment"\n')
    documented = (
        '"""Doc."""\n\n\ndef f(x):  # why\n    """Doc,\n    two lines."""\n    return x + "# no comment"\n'
    )
    assert digest(documented) == plain
    assert digest('def f(x):\n    return x - "# no comment"\n') != plain


# ---------------------------------------------------------------- the studies of notebooks


def test_every_study_in_the_book_is_recorded_and_every_record_has_its_study():
    with_a_study = [path.stem for path in sorted(BOOK.glob("*.ipynb")) if record.study_code(path)]
    assert tuple(with_a_study) == STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_no_study_is_older_than_its_notebook_and_the_modules_behind_it(name):
    notebook = BOOK / f"{name}.ipynb"
    assert record.taken_from_outside(notebook) == set()
    result = recorded.load_result(name)
    changed = recorded.stale(result, record.study_recipe(notebook))
    assert changed == [], f"changed: {changed}; run `python tools/record.py chapter {name}`"
    assert list(result["stamp"]["modules"]) == record.study_depends_on(notebook)[0]


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


def test_a_study_is_stale_when_its_tagged_cell_changes_and_for_nothing_else_in_the_notebook(notebook):
    modules, _ = record.study_depends_on(notebook())
    result = {"stamp": recorded.stamp(record.study_recipe(notebook()), modules, range(5), 1.0)}
    result = json.loads(json.dumps(result))
    for study in (
        STUDY,
        STUDY.replace("# One run.", "# Another comment."),
        STUDY.replace(" = ", "  =  "),
        STUDY.replace("steps=3):", 'steps=3):\n    """What it does."""'),
    ):
        assert recorded.stale(result, record.study_recipe(notebook(study))) == []
    assert recorded.stale(result, record.study_recipe(notebook(other="a = 1"))) == []
    assert recorded.stale(result, record.study_recipe(notebook(STUDY.replace("=3", "=4")))) == ["recipe"]
    result["stamp"]["modules"]["losses"] = "another"
    assert recorded.stale(result, record.study_recipe(notebook())) == ["losses"]


def test_a_study_depends_on_what_it_uses_and_on_what_that_imports(notebook):
    modules, recipes = record.study_depends_on(notebook())
    assert modules == ["losses", "models.gan", "training.augment", "training.gan", "training.optimiser"]
    assert list(recipes) == ["GANRecipe"]
    uses_data = STUDY + "\nphotos = data.load('fashion-mnist').batch(slice(0, 2))\nplots.row(photos)"
    assert "data.dataset" in record.study_depends_on(notebook(uses_data))[0]
    assert not any(m.startswith("plots") for m in record.study_depends_on(notebook(uses_data))[0])
    scored = STUDY + "\nfrom prodgen.evaluation import frechet_distance as f\nf(1, 2)"
    assert "evaluation.distances" in record.study_depends_on(notebook(scored))[0]
    assert "evaluation.report" not in record.study_depends_on(notebook(scored))[0]
    assert record.study_depends_on(notebook("x = 1")) == ([], {})


def test_what_a_study_takes_from_other_cells_is_named(notebook):
    assert record.taken_from_outside(notebook()) == set()
    assert record.taken_from_outside(notebook(STUDY.replace("steps=3", "steps=a"))) == {"a"}
    inside = STUDY.replace("return [", "b = [x for x in range(seed)]\n    return a + [")
    assert record.taken_from_outside(notebook(inside)) == {"a"}


def test_a_chapter_s_study_is_run_as_far_as_needed_and_stored(notebook, copied, monkeypatch):
    study = 'def one(seed):\n    return [{"seed": seed, "loss": losses.elbo(3, seed)}]'
    path = notebook(study, other="import json\nfrom pathlib import Path")
    content = nbformat.read(path, as_version=4)
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content.cells.insert(0, nbformat.v4.new_code_cell('preset = "auto"', metadata={"tags": ["parameters"]}))
    content.cells[-1].source = (
        'assert preset == "study"\nrows = [row for s in range(5) for row in one(s)]\n'
        'Path("study.json").write_text(json.dumps(rows))'
    )
    content.cells.append(nbformat.v4.new_code_cell("this_may_need_the_record"))
    (copied / "book").mkdir()
    nbformat.write(content, copied / "book" / "01-study.ipynb")
    monkeypatch.setattr(record, "ROOT", copied)
    monkeypatch.setattr(record, "kernel_environment", lambda wheel, threads: dict(record.os.environ))
    record.record_chapter("01-study")
    result = recorded.load_result("01-study")
    assert [row["loss"] for row in result["values"]] == [3, 2, 1, 0, -1]
    assert result["stamp"]["seeds"] == [0, 1, 2, 3, 4]
    assert recorded.stale(result, record.study_recipe(copied / "book" / "01-study.ipynb")) == []
