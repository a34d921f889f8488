"""The page about a run: what it says is so, it is safe to open, and everybody can read it."""

import io
import json
import re
import shutil
from base64 import b64decode
from html.parser import HTMLParser
from itertools import pairwise

import browser
import numpy as np
import pytest
import torch
from axe_core_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

from prodgen import data, evaluation, models, recorded
from prodgen.cli import main, report
from prodgen.cli.runs import keep_command, read_commands
from prodgen.data import LABEL, Condition, ImageDataset
from prodgen.errors import EvaluationError
from prodgen.evaluation import memorisation

NASTY = "<script>alert(1)<!-- \"two\" 'quotes' & more"
CLASSES = (NASTY, "mug", "衬衫 قميص")


def make_photos(root, classes=CLASSES, each=40, seed=0):
    rng = np.random.default_rng(seed)
    for product in classes:
        (root / product).mkdir(parents=True)
        for i in range(each):
            pixels = rng.integers(0, 256, size=(6, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / product / f"{i} <b>.png")
    (root / classes[0] / "broken <img src=x>.jpg").write_text("no picture")
    return root


@pytest.fixture(scope="module", autouse=True)
def no_inception():
    """Its weights are not everywhere, and nothing here may fetch them."""

    def missing():
        raise EvaluationError("The Inception weights could not be fetched.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prodgen.evaluation.features.inception_weights", missing)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of photos and a GAN on it."""
    root = tmp_path_factory.mktemp("shop")
    photos, run = make_photos(root / 'my <b>"photos"'), root / "run <i>"
    command = ["train", "gan", "--data", str(photos), "--image-size", "28", "--images", "256"]
    assert main([*command, "--out", str(run)]) == 0
    return photos, run


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained[1], tmp_path / trained[1].name)


@pytest.fixture(scope="module")
def html(trained):
    assert main(["report", str(trained[1])]) == 0
    return (trained[1] / "report.html").read_text("utf-8")


class Page(HTMLParser):
    """The tags of a page with their attributes, its headings' levels, and what it says."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_says_what_the_run_is_and_warns_of_the_photos_in_it(html, trained):
    text = " ".join(Page(html).text.split())
    assert "This page contains training photos." in text
    assert 'GAN trained on my <b>"photos", at 28 by 28 pixels in colour.' in text
    for name, value in (("photos to learn from", 108), ("held out", 12), ("images seen", 256)):
        assert f"{name}{value}" in text.replace(f"{name} ", name)
    assert "broken <img src=x>.jpg" in text, "what was left out"
    assert "prodgen train gan --data" in text and "--images 256" in text and "prodgen report" in text
    assert "Fréchet distance (FID)" in text and "could not be fetched" in text, "not measured, and why"
    assert "pixel by pixel" in text and "With only 12 photos held out the limit is a guess" in text


def test_names_are_text_and_never_markup(html):
    page = Page(html)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "b", "i", "iframe", "object", "form", "input"})
    assert all(page.text.count(name) >= 2 for name in CLASSES), "a heading and a row of the table"
    assert any(NASTY in image["alt"] for image in page.of("img"))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_page_is_one_file_that_loads_nothing(html):
    page = Page(html)
    sources = [image["src"] for image in page.of("img")]
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert not page.of("link") and not page.of("a")
    assert "url(" not in html and "@import" not in html
    [policy] = [meta["content"] for meta in page.of("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'")


def test_pictures_have_alternative_texts_tables_scopes_and_headings_their_order(html):
    page = Page(html)
    assert page.of("html") == [{"lang": "en"}] and len(page.of("title")) == 1
    assert all(len(image["alt"]) > 10 for image in page.of("img"))
    assert all(cell["scope"] in ("row", "col") for cell in page.of("th"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_each_class_is_shown_beside_real_photos_without_their_padding(html, trained):
    page = Page(html)
    photos = data.load(trained[0], image_size=28, report=lambda line: None)
    known = {data.without_padding(x, (21, 28)).permute(1, 2, 0).numpy().tobytes() for x in photos.images}
    shown = {"Drawn": [], "Training": []}
    for image in page.of("img"):
        kind = image["alt"].split()[0]
        if kind in shown:
            with Image.open(io.BytesIO(b64decode(image["src"].partition(",")[2]))) as picture:
                assert picture.size == (28, 21)
                assert ("generated" in picture.text.get("Description", "").lower()) == (kind == "Drawn")
                shown[kind].append(picture.tobytes())
    assert len(shown["Drawn"]) == len(shown["Training"]) == 3 * report.SHOWN + report.CLOSEST
    assert set(shown["Training"]) <= known and set(shown["Drawn"]).isdisjoint(known)
    model = models.load(trained[1] / "model.safetensors")
    assert all(f"asked for as {name}" in html for name in ("mug", "衬衫 قميص"))
    assert model.condition.width == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_accessible_on_a_desk_and_on_a_phone_in_light_and_in_dark(html, trained, chromium, width, scheme):
    asked = []
    with sync_playwright() as playwright:
        program = browser.launch(playwright, chromium)
        page = program.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        address = (trained[1] / "report.html").as_uri()
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth)")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        found = Axe().run(page, options={"resultTypes": ["violations"]})["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
        program.close()
    assert not [one for one in asked if not one.startswith((address, "data:"))]


def test_a_vae_without_classes_has_its_bounds_and_its_curves(tmp_path):
    photos, run = make_photos(tmp_path / "photos", ["all"], 100), tmp_path / "run"
    command = ["train", "vae", "--data", str(photos), "--image-size", "28", "--images", "7000"]
    assert main([*command, "--unconditional", "--out", str(run)]) == 0
    assert main(["report", str(run)]) == 0
    page = Page((run / "report.html").read_text("utf-8"))
    text = " ".join(page.text.split())
    assert "ELBO" in text and "Importance-weighted bound" in text
    curves = [image["alt"] for image in page.of("img") if image["src"].startswith("data:image/svg+xml")]
    values = [row["kl"] for row in json.loads((run / "history.json").read_text()) if "kl" in row]
    assert len(curves) == 2 and len(values) > 1
    assert f"KL from {values[0]:.3g} to {values[-1]:.3g}" in curves[1]
    assert len([alt for alt in page.of("img") if alt["alt"].startswith("Drawn")]) == 3 * report.SHOWN + 8


def test_photos_that_have_changed_since_are_said_to_have(run, tmp_path):
    other = make_photos(tmp_path / "others", seed=1)
    assert main(["report", str(run), "--data", str(other)]) == 0
    assert "These are not the photos" in (run / "report.html").read_text("utf-8")


def test_the_same_photos_elsewhere_are_the_same(run, trained, tmp_path):
    moved = shutil.copytree(trained[0], tmp_path / "moved")
    assert main(["report", str(run), "--data", str(moved)]) == 0
    assert "These are not the photos" not in (run / "report.html").read_text("utf-8")


def test_what_cannot_be_reported_is_refused_in_a_sentence_and_the_last_page_stays(run, tmp_path, capsys):
    (run / "report.html").write_text("the last one")
    shirts = make_photos(tmp_path / "shirts", ["shirt", "skirt"], 4)
    (tmp_path / "empty").mkdir()
    for arguments, why in (
        ([tmp_path / "none"], "no run's folder"),
        ([tmp_path / "empty"], "--data"),
        ([run, "--data", tmp_path / "gone"], "neither a data set"),
        ([run, "--data", shirts], "differ"),
    ):
        assert main(["report", *map(str, arguments)]) == 2
        said = capsys.readouterr().err
        assert why in said and said.count("prodgen: ") <= 2 and "Traceback" not in said
    (run / "commands.json").unlink()
    assert main(["report", str(run)]) == 2
    assert "add --data" in capsys.readouterr().err
    assert (run / "report.html").read_text() == "the last one"


def test_the_commands_of_a_run_are_kept_and_a_resumed_one_is_not_another(tmp_path):
    first = ["train", "gan", "--images", "10"]
    for arguments in (
        first,
        [*first, "--resume"],
        [*first, "--res"],
        ["train", "--images", "20", "--resume"],
    ):
        keep_command(tmp_path, "/photos", arguments)
    assert read_commands(tmp_path) == {
        "data": "/photos", "commands": [first, ["train", "--images", "20", "--resume"][:-1]],
    }  # fmt: skip
    assert read_commands(tmp_path / "other") == {}


# Near-copies and the floor


def random_photos(n, seed, split="train"):
    rng = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=rng)
    labels = {LABEL: torch.arange(n) % 2}
    return ImageDataset("p", split, images, "own", "here", labels, Condition.of_classes(("a", "b")))


def test_copies_of_training_photos_are_suspects_and_new_photos_are_not():
    train, held_out = random_photos(300, 0), random_photos(200, 1).batch(slice(None))
    copies = train.batch([7, 5, 250])
    noisy = (copies + 0.05 * torch.randn(copies.shape, generator=torch.Generator().manual_seed(2))).clamp(
        -1, 1
    )
    new = random_photos(100, 3).batch(slice(None))
    found = evaluation.nearest_photos(torch.cat([noisy, new]), train, held_out, memorisation.Thumbnails())
    assert found.indices[:3].tolist() == [7, 5, 250]
    assert found.suspects[:3].all() and found.suspects[3:].sum() <= 5
    assert (found.held_out < found.limit).sum() == 2, "a hundredth"


def test_without_held_out_photos_there_is_no_limit_and_no_suspect():
    train = random_photos(20, 0)
    nobody = train.batch(slice(0, 0))
    found = evaluation.nearest_photos(train.batch([0, 1]), train, nobody, memorisation.Thumbnails())
    assert found.distances.tolist() == [0, 0] and not found.suspects.any()


def test_fashion_photos_are_compared_by_our_classifier_and_others_without_inception_by_pixels():
    fashion = data.load("fashion-mnist", "test")
    assert isinstance(evaluation.network_for(fashion), models.Classifier)
    assert isinstance(evaluation.network_for(random_photos(2, 0)), memorisation.Thumbnails)


def test_the_floor_is_what_training_photos_score_in_place_of_samples():
    test, train = (data.load("fashion-mnist", part).subset(slice(0, 60)) for part in ("test", "train"))
    model = recorded.load_model("vae-fashion-mnist")
    result = evaluation.evaluate(model, test, n=60, training=train)
    classifier = evaluation.network_for(test)
    photos, others = evaluation.extract(test, classifier), evaluation.extract(train, classifier)
    assert result["floor"]["fid_fmnist"] == pytest.approx(
        evaluation.frechet_distance(photos, others), rel=1e-3
    )
    shares = evaluation.precision_recall_density_coverage(photos, others)
    assert {name: result["floor"][name] for name in shares} == pytest.approx(shares)
    assert "floor" not in evaluation.evaluate(model, test, n=60)
