"""What ships with the package is whole, described, and still true of the code."""

import json
import shutil

import pytest

from prodgen import data, evaluation, presets, recorded

RECIPES = {"classifier": presets.ClassifierRecipe, "gan": presets.GANRecipe, "vae": presets.VAERecipe}


@pytest.fixture(scope="module")
def fashion_test():
    return data.load("fashion-mnist", "test")


def kind_of(name):
    return name.partition("-")[0]


def test_the_classifier_a_gan_and_a_vae_ship_with_results_over_seeds():
    assert recorded.model_names() == ("classifier-fashion-mnist", "gan-fashion-mnist", "vae-fashion-mnist")
    assert recorded.result_names() == ("gan-full", "gan-quick", "vae-full", "vae-quick")


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


@pytest.mark.parametrize("name", recorded.result_names())
def test_no_result_is_older_than_the_code_that_it_stands_for(name):
    assert recorded.stale(recorded.load_result(name), RECIPES[kind_of(name)]()) == []


@pytest.mark.parametrize("name", recorded.result_names())
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
    record = {"stamp": recorded.stamp("gan", recipe, [0], 1.0, scored=True)}
    record = json.loads(json.dumps(record))  # as it comes from a file
    assert recorded.stale(record, recipe) == []
    assert recorded.stale(record, presets.GANRecipe(r1_gamma=9.0)) == ["recipe"]
    record["stamp"]["modules"]["losses"] = "another"
    assert recorded.stale(record, recipe) == ["losses"]
    assert any(module.startswith("evaluation.") for module in record["stamp"]["modules"])


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
