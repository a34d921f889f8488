"""Generators that draw in a page: the pixels are PyTorch's, by mouse and by key, from one file, offline."""

import json
from pathlib import Path

import pytest
import torch
from axe_core_python.sync_playwright import Axe
from lively import lively

from prodgen import data, models, recorded
from prodgen.cli import main
from prodgen.cli.live import live_model
from prodgen.data import Condition, Factor, studio
from prodgen.data.products import PRODUCTS, STYLES
from prodgen.errors import ModelError
from prodgen.models import VAE, Generator

STUDIO = Path(__file__).resolve().parents[1] / "book" / "_static" / "labs" / "studio.js"
NASTY = "</script><b>Größe 7 & 衬衫"
FACTORS = Condition(
    (
        Factor("label", ("bag", NASTY)),
        Factor("azimuth", period=360.0),
        Factor("elevation", bounds=(5.0, 45.0)),
        Factor("text", size=3),
    )
)
DRAWN = "[data-drawn]"
BYTE = 2 / 255  # a step of a pixel in [-1, 1]
# What is on the canvases: a pixel's row of red values, and whether it is not all of one colour.
LIVELY = """() => [...document.querySelectorAll("canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(data).size > 5;
})"""
RED = """(i) => {
  const context = document.querySelectorAll("canvas")[i].getContext("2d");
  return Array.from(context.getImageData(0, 0, 28, 28).data).filter((_, at) => at % 4 === 0);
}"""
DRAW = """([z, asked]) =>
  z.map((one, i) => Array.from(prodgenLive.draw(prodgenLive.models.own, one, asked[i])))"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A page of the small generator that ships."""
    path = tmp_path_factory.mktemp("page") / "shop.html"
    assert main(["export", "gan-fashion-mnist", "--page", str(path)]) == 0
    return path


def drawn_by(page, model, z, condition):
    page.evaluate("(model) => { prodgenLive.models.own = model; }", live_model(model))
    images = page.evaluate(DRAW, [z.tolist(), condition.tolist()])
    size, channels = model.config["image_size"], model.config["channels"]
    return torch.tensor(images).view(-1, size, size, channels).permute(0, 3, 1, 2)


def largest_difference(page, model, n):
    z = torch.randn(n, model.latent_dim, generator=torch.Generator().manual_seed(1))
    condition = torch.zeros(n, 0)
    if model.condition:
        condition = model.condition.in_turn(n)
        condition += torch.randn(condition.shape, generator=torch.Generator().manual_seed(2)) / 10
    with models.eval_mode(model):
        expected = model(z, condition if model.condition else None).float()
    return (drawn_by(page, model, z, condition) - expected).abs().max().item(), expected.std().item()


@pytest.mark.parametrize("condition", [None, FACTORS], ids=["alone", "factors"])
@pytest.mark.parametrize("shape", [(28, 1), (32, 3), (64, 3)], ids=["28", "32", "64"])
@pytest.mark.parametrize("kind", [Generator, VAE])
def test_a_page_draws_what_the_model_draws(kind, shape, condition, shop, open_file):
    size, channels = shape
    more = {"likelihood": "gaussian"} if kind is VAE and channels == 3 else {}
    model = lively(kind, image_size=size, channels=channels, condition=condition, **more)
    difference, spread = largest_difference(open_file(shop), model, 6)
    assert difference < min(BYTE, 0.03 * spread)  # float16 has eleven bits


@pytest.mark.parametrize(
    ("name", "n"), [("gan-fashion-mnist", 100), ("vae-fashion-mnist", 100), ("gan-studio", 30)]
)
def test_what_ships_is_drawn_within_four_bytes_of_pytorch(name, n, shop, open_file):
    difference, _ = largest_difference(open_file(shop), recorded.load_model(name), n)
    assert difference < 4 * BYTE


@pytest.mark.parametrize(
    "asked",
    [{"label": 1}, {"azimuth": 100.0}, {"elevation": 12.0}, {}],
    ids=["name", "angle", "bounds", "open"],
)
def test_a_factor_is_encoded_as_in_python(asked, shop, open_file):
    values = [asked.get(factor.name) for factor in FACTORS.factors]
    vector = open_file(shop).evaluate(
        "([factors, values]) => factors.flatMap((factor, i) => prodgenLive.encode(factor, values[i]))",
        [FACTORS.to_json(), values],
    )
    torch.testing.assert_close(torch.tensor(vector).float(), FACTORS.encode(1, **asked)[0], rtol=0, atol=1e-6)


def test_a_walk_takes_the_great_circle(shop, open_file):
    a, b = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    walk = "([a, b, t]) => prodgenLive.greatCircle(a, b, t)"
    page = open_file(shop)
    for t in (0.0, 0.3, 1.0):
        expected = models.great_circle(a, b, torch.tensor([t]))
        torch.testing.assert_close(
            torch.tensor(page.evaluate(walk, [a.tolist(), b.tolist(), t])), expected, rtol=1e-4, atol=1e-5
        )
    assert page.evaluate(walk, [a.tolist(), a.tolist(), 0.5]) == a.tolist()  # no way has a length of nothing


def test_the_photographer_in_the_page_takes_the_photos_of_the_studio(shop, open_file):
    """Of each kind in both styles and all materials, from all sides; an edge may fall on the other side."""
    page = open_file(shop)
    page.add_script_tag(path=STUDIO)
    n, kinds = 54, list(PRODUCTS)
    asked = studio.random_factors(n, seed=7)
    at = torch.arange(n)
    asked |= {"label": at % 9, "style": at // 9 % 2, "material": at // 18}
    photos, numbers = studio.render(**asked), {name: values.tolist() for name, values in asked.items()}
    for i, photo in enumerate(photos):
        one = {name: values[i] for name, values in numbers.items()}
        order = one | {"label": kinds[one["label"]], "square": list(STYLES.values())[one["style"]]}
        order["colour"] = list(studio.COLOURS.values())[one["colour"]]
        image = page.evaluate("(order) => Array.from(prodgenStudio.render(order))", order)
        pixels = data.to_float(photo).permute(1, 2, 0).flatten()
        apart = (torch.tensor(image) - pixels).abs() / BYTE
        assert apart.mean() < 0.3 and (apart > 3).float().mean() < 2e-3, order


def test_the_photographer_beside_a_generator_knows_its_orders(shop, open_file):
    page = open_file(shop)
    page.add_script_tag(path=STUDIO)
    ask = "(order) => { const x = prodgenLive.beside.studio.picture(order); return x && Array.from(x); }"
    for colour, material in ((0, 0), (5, 1), (7, 2)):
        order = {"label": 0, "style": 1, "colour": colour, "material": material}
        order |= {"azimuth": 100.0, "elevation": 12.0}
        expected = data.to_float(studio.render(**order)[0]).permute(1, 2, 0).flatten()
        assert (torch.tensor(page.evaluate(ask, order)) - expected).abs().mean() < 0.3 * BYTE
        assert page.evaluate(ask, order | {"colour": None}) is None


def test_weights_that_have_diverged_are_refused():
    model = lively(Generator)
    model.stem.weight.data[0, 0] = float("nan")
    with pytest.raises(ModelError, match="diverged"):
        live_model(model)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [900, 360])
def test_a_page_is_used_by_mouse_and_by_key(width, scheme, shop, open_file):
    page = open_file(shop, width, color_scheme=scheme)
    page.wait_for_selector(DRAWN)
    assert page.evaluate(LIVELY) == [True] * 9
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = page.evaluate(RED, 0)
    page.get_by_role("button", name="Draw new ones").click()
    page.wait_for_selector("[data-drawn='2']")
    assert page.evaluate(RED, 0) != first
    first, large = page.evaluate(RED, 0), page.evaluate(RED, 8)
    assert large == first  # the walk begins there
    page.get_by_label("kind", exact=True).focus()
    page.keyboard.type("Trouser")
    page.get_by_text("The same noise, asked for something else: kind Trouser.").wait_for()
    assert page.evaluate(RED, 0) != first
    page.get_by_label("Walk from").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("Walk from").get_attribute("aria-valuetext") == "between pictures 1 and 2"
    page.keyboard.press("End")
    assert page.get_by_label("Walk from").get_attribute("aria-valuetext") == "picture 8"
    assert page.evaluate(RED, 8) == page.evaluate(RED, 7)
    assert "kind Trouser" in page.locator("canvas.live-large").get_attribute("aria-label")
    assert Axe().run(page, options={"resultTypes": ["violations"]})["violations"] == []


def test_kinds_that_are_asked_for_are_drawn(shop, open_file):
    """The classifier finds in the page's own pixels what the page was asked for."""
    classifier = recorded.load_model("classifier-fashion-mnist").eval()
    page = open_file(shop)
    page.wait_for_selector(DRAWN)
    found = []
    for number in (1, 8, 9):  # trouser, bag, ankle boot
        page.get_by_label("kind", exact=True).select_option(str(number))
        page.wait_for_selector(f"[data-drawn='{2 + len(found)}']")
        pixels = torch.tensor([page.evaluate(RED, i) for i in range(8)]).view(8, 1, 28, 28)
        with torch.no_grad():
            found.append((classifier(pixels / 127.5 - 1).argmax(dim=1) == number).float().mean().item())
    assert min(found) >= 0.75


def test_a_run_of_ones_own_becomes_a_page_without_its_padding_and_with_odd_names(tmp_path, open_file, capsys):
    model = lively(Generator, image_size=32, channels=3, condition=FACTORS)
    models.save_as(tmp_path / "mine.safetensors", model, content=[32, 20])
    path = tmp_path / "mine <b>.html"
    assert main(["export", str(tmp_path / "mine.safetensors"), "--page", str(path)]) == 0
    assert "needs no network" in capsys.readouterr().out
    page = open_file(path)
    page.wait_for_selector(DRAWN)
    assert page.evaluate(
        "[...document.querySelectorAll('canvas')].every((c) => c.width === 20 && c.height === 32)"
    )
    assert page.get_by_label("kind", exact=True).locator("option").all_inner_texts() == ["any", "bag", NASTY]
    page.get_by_label("azimuth", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-drawn='2']")
    assert "azimuth 50" in page.locator("[aria-live]").inner_text()
    assert "Generated, not photographed" in page.inner_text("footer")
    assert page.locator("b").count() == 0


def test_without_scripts_a_page_says_what_is_missing(shop, open_file):
    page = open_file(shop, java_script_enabled=False)
    assert "scripts" in page.inner_text("main")


def test_what_cannot_be_written_is_said(tmp_path, capsys):
    for arguments, said in (
        ([], "say what to write: --onnx X.onnx, --page X.html, or both"),
        (["--page", str(tmp_path / "x.onnx")], "must end in .html"),
        (["--page", str(tmp_path / "no" / "x.html")], "There is no folder"),
    ):
        assert main(["export", "gan-fashion-mnist", *arguments]) == 2
        assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_numbers_are_in_the_file_once():
    model = live_model(lively(Generator))
    assert json.loads(json.dumps(model)) == model
    assert {layer["kind"] for layer in model["layers"]} == {
        *("linear", "keep", "conv", "add", "up", "shuffle", "tanh")
    }
