"""Labs with trained networks: their sums are Python's; they are used by mouse, key and ear, on any width."""

import base64
import itertools
import json
import re
from pathlib import Path

import build_book
import lab_networks
import numpy as np
import pytest
import torch
from axe_core_python.sync_playwright import Axe

from prodgen import data, models, recorded
from prodgen.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
LABS = {"which-is-real": None, "product-map": "vae-fashion-mnist"} | {
    "latent-walk": "gan-fashion-mnist",
    "type-a-product": "gan-studio",
}
BYTE = 2 / 255  # a step of a pixel in [-1, 1]
PAGE = """<!doctype html><html lang="en" data-theme="{scheme}"><head><meta charset="utf-8"><title>lab</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
html {{ --pst-color-border: #8888; --pst-color-text-muted: #5a6470; }}
html {{ --pst-color-surface: #f3f4f5; --pst-color-text-base: #222832; }}
html[data-theme="dark"] {{ --pst-color-text-muted: #a5adb8; }}
html[data-theme="dark"] {{ --pst-color-surface: #29313d; --pst-color-text-base: #ced6dd; }}
body {{ margin: 0 1rem; background: #fff; color: var(--pst-color-text-base); font: 1rem/1.6 sans-serif; }}
html[data-theme="dark"] body {{ background: #121417; }}
</style>
<link rel="stylesheet" href="_static/prodgen.css"><script src="_static/prodgen.js"></script></head>
<body><main class="bd-article"><h1>Lab</h1><div class="lab" data-lab="{lab}"></div></main></body></html>
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """What the build writes for these labs, and a bare page for each of them, light and dark."""
    book = tmp_path_factory.mktemp("labs")
    (book / "_static").mkdir()
    for path in (ROOT / "book" / "_static").glob("prodgen.*"):
        (book / "_static" / path.name).write_bytes(path.read_bytes())
    (book / "_static" / "labs").mkdir()
    for path in (ROOT / "book" / "_static" / "labs").glob("*.js"):
        (book / "_static" / "labs" / path.name).write_bytes(path.read_bytes())
    (book / "index.md").write_text("\n".join(f'<div class="lab" data-lab="{lab}"></div>' for lab in LABS))
    grammar = f"{lab_networks.GRAMMAR}.ipynb"
    (book / grammar).write_bytes((ROOT / "book" / grammar).read_bytes())
    build_book.write_live_models(book)
    build_book.write_lab_data(book, {})
    for lab, scheme in itertools.product(LABS, ("light", "dark")):
        (book / f"{lab}-{scheme}.html").write_text(PAGE.format(lab=lab, scheme=scheme), "utf-8")
    return book


@pytest.fixture
def open_lab(open_file, site):
    """Opens a lab's page as a file: nothing may go wrong in it, nothing be asked for but its own files."""

    def open_lab(lab, width=1200, scheme="light", awake=True, **context):
        page = open_file(site / f"{lab}-{scheme}.html", width, site, **context)
        if awake:
            page.get_by_role("button", name=re.compile(r"MB\)$")).focus()
            page.keyboard.press("Enter")
            page.wait_for_selector(f"[data-awake={lab}]", timeout=60_000)
        return page

    return open_lab


def said(page):
    """What the live region says in the end."""
    page.wait_for_timeout(350)
    return page.locator(".lab-said").inner_text()


def of_site(site, lab):
    text = (site / "_static" / "labs" / f"{lab}.data.js").read_text("utf-8")
    return json.loads(text[text.index("{") : text.rindex(";")])


def halves(text):
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f2").astype("f4"))


def grey(text):
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), np.uint8).copy()).view(-1, 1, 28, 28)


# ---------------------------------------------------------------- every lab


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("lab", LABS)
def test_a_lab_wakes_fits_and_is_read_by_machines(lab, width, scheme, open_lab):
    page = open_lab(lab, width, scheme)
    assert page.evaluate("document.activeElement.closest('.lab') !== null"), "the reader goes on there"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.wait_for_timeout(300)
    assert Axe().run(page, options={"resultTypes": ["violations"]})["violations"] == []
    assert said(page)


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_says_what_it_loads_and_loads_nothing_before(lab, open_lab, site):
    page = open_lab(lab, awake=False)
    words = page.get_by_role("button").inner_text()
    paths = [site / "_static" / "labs" / f"{lab}.data.js"]
    if LABS[lab]:
        paths.append(site / "_static" / "live" / f"{LABS[lab]}.js")
    size = sum(path.stat().st_size for path in paths) / 1e6
    assert float(re.search(r"\(([\d.]+) MB\)", words).group(1)) == pytest.approx(size, abs=0.051)
    assert not page.evaluate("[...document.scripts].some((s) => /live|data|networks/.test(s.src))")


def test_what_could_not_be_loaded_can_be_asked_for_again(open_lab):
    page = open_lab("latent-walk", awake=False)
    page.evaluate("() => { window.mended = prodgenLabs.load; prodgenLabs.load = () => Promise.reject(); }")
    page.get_by_role("button").click()
    again = page.get_by_role("button", name="It could not be loaded. Try again")
    again.wait_for()
    page.evaluate("() => { prodgenLabs.load = mended; }")
    again.click()
    page.wait_for_selector("[data-awake]")


def test_without_the_photos_the_labs_that_show_some_are_left_out(monkeypatch, tmp_path):
    def none(*_):
        raise DataError("no photos")

    monkeypatch.setattr(data, "load", none)
    (tmp_path / "_static" / "labs").mkdir(parents=True)
    labs, without = recorded.labs(), ("which-is-real", "product-map")
    lab_networks.write(labs, without, tmp_path)
    assert not list(tmp_path.rglob("*.js"))
    assert all("megabytes" not in labs[name] and labs[name]["missing"] for name in without)


# ---------------------------------------------------------------- which are photos?


def test_a_round_is_played_by_key_and_scored(open_lab, site):
    page = open_lab("which-is-real")
    truth = of_site(site, "which-is-real")
    tiles = page.locator(".lab-tile")
    assert tiles.count() == 12
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    pressed = [tiles.nth(i).get_attribute("aria-pressed") for i in range(12)]
    assert pressed == ["true"] + 11 * ["false"]
    assert tiles.nth(0).get_attribute("aria-label") == "Picture 1 is a photo"
    page.get_by_role("button", name="Show what they are").click()
    labels = [tiles.nth(i).get_attribute("aria-label") for i in range(12)]
    form = re.compile(r"Picture \d+, ([^:]+): (\w+)\. You said (\w+), the judge (\w+)\.")
    told = [form.fullmatch(label).groups() for label in labels]
    assert {kind for kind, *_ in told} <= set(truth["kinds"])
    mine = sum(is_ == you for _, is_, you, _ in told)
    judge = sum(is_ == says for _, is_, _, says in told)
    assert said(page) == f"You are right about {mine} of 12, the judge about {judge}."
    tiles.nth(3).click(force=True)  # too late
    assert tiles.nth(3).get_attribute("aria-pressed") == "false"
    page.get_by_role("button", name="New round").click()
    assert "Mark those that are photos" in said(page)
    page.get_by_role("button", name="Show what they are").click()
    assert "After 2 rounds" in said(page)


def test_the_judge_judges_the_pictures_on_the_page_and_was_measured_on_others(site):
    found = of_site(site, "which-is-real")
    n = found["photos"]
    pictures = grey(found["pictures"])
    assert found["kinds"][:n] == found["kinds"][n:]  # the kind gives nothing away
    judge = np.array(found["judge"]) > 0.5
    right = (judge == (np.arange(2 * n) < n)).mean()
    assert right > 0.9 and abs(right - found["right"]) < 0.06
    test = data.load("fashion-mnist", "test").images[1_000:]
    assert all((test == picture).flatten(1).all(dim=1).any() for picture in pictures[:n])


def test_texture_does_not_know_where_anything_is():
    photos = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    photos[:, :, 8:20, 8:20] = torch.randint(0, 256, (3, 1, 12, 12), dtype=torch.uint8)
    found = lab_networks.texture(photos)
    assert torch.allclose(found.exp().sum(dim=1), torch.tensor(6.0), atol=0.02)  # six sets of shares
    assert torch.equal(found, lab_networks.texture(photos.roll((3, -5), dims=(2, 3))))


# ---------------------------------------------------------------- the map


def test_the_page_decodes_as_pytorch_does(open_lab, site):
    vae = recorded.load_model("vae-fashion-mnist")
    found = of_site(site, "product-map")
    page = open_lab("product-map")
    codes = halves(found["codes"]).view(-1, vae.latent_dim)
    new = torch.randn(20, vae.latent_dim, generator=torch.Generator().manual_seed(0))
    some = torch.cat([codes[::10], new])
    draw = """(codes) => {
      const model = prodgenLive.models["vae-fashion-mnist"];
      return codes.map((z) => Array.from(prodgenLive.draw(model, z)));
    }"""
    drawn = page.evaluate(draw, some.tolist())
    with torch.no_grad():
        expected = vae(some).flatten(1)
    assert (torch.tensor(drawn) - expected).abs().max() < BYTE


def test_the_codes_are_the_encoders_and_the_plane_holds_most_of_two(site):
    found = of_site(site, "product-map")
    vae = recorded.load_model("vae-fashion-mnist")
    test = data.load("fashion-mnist", "test")
    pictures = data.to_float(grey(found["pictures"]))
    with torch.no_grad():
        codes, every = vae.encode(pictures)[0], vae.encode(test.batch(slice(0, found["placed"])))[0]
    torch.testing.assert_close(codes, halves(found["codes"]).view(-1, 32), rtol=1e-2, atol=2e-3)
    directions = halves(found["directions"]).view(2, 32)
    torch.testing.assert_close(directions @ directions.T, torch.eye(2), rtol=0, atol=2e-3)
    held = ((every - every.mean(dim=0)) @ directions.T).var(dim=0).sum() / every.var(dim=0).sum()
    assert held.item() == pytest.approx(found["share"], abs=2e-3)


def test_the_map_is_walked(open_lab):
    page = open_lab("product-map")
    canvas = page.locator("canvas[aria-label^='The product decoded']")
    pixels = "(c) => Array.from(c.getContext('2d').getImageData(0, 0, 28, 28).data)"
    middle = canvas.evaluate(pixels)
    page.keyboard.press("ArrowRight")  # on the slider that has the focus
    assert "0.1 across, 0.0 up, on the plane" in said(page)
    assert canvas.evaluate(pixels) != middle
    place = page.locator(".lab-frame > svg").bounding_box()
    page.mouse.move(place["x"] + place["width"] * 0.8, place["y"] + place["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.7, place["y"] + place["height"] * 0.3, steps=3)
    page.mouse.up()
    assert page.get_by_role("slider", name="across").evaluate("(e) => Number(e.value)") > 0.5
    page.get_by_role("button", name="Add this place").click()
    page.get_by_role("slider", name="on the path").focus()
    page.keyboard.press("End")
    assert "A path needs two places" in said(page)
    page.get_by_label("kind of photo").select_option("Sneaker")
    page.get_by_role("button", name="Take a test photo").click()
    assert "Test photo: Sneaker" in said(page) and "beside the plane" in said(page)
    assert page.locator("canvas[aria-label='The test photo: Sneaker']").is_visible()
    page.get_by_role("slider", name="up", exact=True).focus()
    page.keyboard.press("ArrowUp")
    assert "Moved from the photo of Sneaker" in said(page)
    there = canvas.evaluate(pixels)
    page.get_by_role("button", name="Add this place").click()
    page.get_by_role("slider", name="on the path").focus()
    page.keyboard.press("Home")
    page.keyboard.press("End")
    assert canvas.evaluate(pixels) == there
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("slider", name="on the path").focus()
    page.keyboard.press("End")  # where the walk was stopped may be the first place, which is on the plane
    page.get_by_role("button", name="Back to the plane").click()
    assert "on the plane" in said(page)
    page.get_by_role("button", name="Clear the path").click()
    assert "The path is empty" in said(page)


# ---------------------------------------------------------------- the walk


def test_directions_are_principal_components_of_the_first_layers_answers():
    gan = recorded.load_model("gan-fashion-mnist")
    directions, shares = lab_networks.sefa(gan, 4)
    torch.testing.assert_close(directions @ directions.T, torch.eye(4), rtol=0, atol=1e-4)
    side = gan.resolution

    def answers(z):
        told = torch.zeros_like(z)
        maps = gan.stem(torch.cat([z, told], dim=1)).view(len(z), side, side, -1).permute(0, 3, 1, 2)
        return gan.body[0](maps).flatten(1)

    with torch.no_grad(), models.eval_mode(gan):
        unit = torch.eye(gan.latent_dim)
        layer = answers(unit) - answers(torch.zeros_like(unit))  # linear: (latent_dim, answers)
    covariance = layer.T @ layer  # of the answers to z ~ N(0, I)
    for direction, share in zip(directions, shares, strict=True):
        component = direction @ layer
        variance = share * covariance.trace()
        torch.testing.assert_close(covariance @ component, variance * component, rtol=1e-3, atol=1e-2)


def test_the_page_measures_as_python_does(open_lab):
    gan = recorded.load_model("gan-fashion-mnist")
    images = models.sample(gan, 20, seed=5)
    images = torch.cat([images, torch.full((1, 1, 28, 28), -1.0)])
    page = open_lab("latent-walk")
    found = page.evaluate(
        "(images) => images.map((image) => prodgenLabs.networks.measures(Float32Array.from(image), 28))",
        images.flatten(1).tolist(),
    )
    for name, values in lab_networks.measures(images).items():
        here = torch.tensor([one[name] for one in found]).float()
        torch.testing.assert_close(here, values, rtol=1e-4, atol=1e-5)


def test_the_walk_is_walked_and_directions_are_told_by_measure(open_lab):
    page = open_lab("latent-walk")
    assert page.locator("small").count() == 6
    dress = page.locator("small").all_inner_texts()
    page.keyboard.type("Bag")  # the choice of kind has the focus
    assert said(page).startswith("Bag, 0.50 of the way from A to B. Brightness")
    assert page.locator("small").all_inner_texts() != dress
    page.get_by_label("direction 1").focus()
    page.keyboard.press("ArrowRight")
    assert re.search(r"change brightness from [\d.]+ to [\d.]+", said(page))
    page.get_by_role("button", name="All directions to 0").click()
    assert "Brightness" in said(page)
    page.get_by_label("on the way").focus()
    page.keyboard.press("End")
    assert "1.00 of the way" in said(page)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()
    assert "of the way" in said(page)


def test_an_effect_is_what_moving_does():
    found = lab_networks.latent_walk(count=2, drawn=8)
    gan = recorded.load_model("gan-fashion-mnist")
    z = torch.randn(8, gan.latent_dim, generator=torch.Generator().manual_seed(0))
    direction = lab_networks.sefa(gan, 2)[0][1]
    asked = gan.condition.encode(8, label=3)
    with torch.no_grad():
        up, down, still = (
            lab_networks.measures(gan(z + step * direction, asked))["width"] for step in (2, -2, 0)
        )
    change = (up - down).mean().item()
    assert found["effects"][3][1]["width"] == pytest.approx([change, change / still.std().item()], abs=0.01)


# ---------------------------------------------------------------- words


class Script:
    """In the place of `random.Random`: what `phrase` chooses, as written down."""

    def __init__(self, other, names):
        self.other, self.names = other, iter(names)

    def randrange(self, *_):
        return self.other

    def choice(self, of):
        return of[next(self.names)]


def every_caption(chapter):
    """Each sentence the grammar can write, and the kind, colour and view it asks for, None where open."""
    for language, groups in chapter["FRAMES"].items():
        for frame in itertools.chain(*groups.values()):
            letters = [letter for letter in frame if letter in "KCVD"]
            spans = [range(6) if "K" in letters else [0], range(8), range(3) if "V" in letters else [0]]
            spans[1] = spans[1] if "C" in letters else [0]
            others = range(1, 8) if "D" in letters else [1]
            for *asked, other in itertools.product(*spans, others):
                for names in itertools.product((0, 1), repeat=len(letters)):
                    text = chapter["phrase"](asked, language, frame, Script(other, names))
                    pairs = zip(asked, "KCV", strict=True)
                    yield text, [value if letter in letters else None for value, letter in pairs]


def test_the_page_reads_every_caption_of_the_grammar(open_lab, site):
    chapter = lab_networks.grammar(ROOT / "book")
    captions = list(every_caption(chapter))
    assert len(captions) > 50_000
    code = """(lines) => JSON.stringify(lines.split("\\n").map((line) => {
      const { asked, twice, unknown } = prodgenLabs.networks.read(prodgenLabs.data["type-a-product"], line);
      const { label = null, colour = null, elevation = null, ...more } = asked;
      return [label, colour, elevation, ...twice, ...unknown, ...Object.keys(more)];
    }))"""
    # As one text each way: many small ones take the browser's driver long.
    found = json.loads(open_lab("type-a-product").evaluate(code, "\n".join(text for text, _ in captions)))
    factors = {factor.name: factor for factor in recorded.load_model("gan-studio").condition.factors}
    kinds = [factors["label"].values.index(kind) for kind in chapter["KINDS"]]
    views = [sum(band) / 2 for band in chapter["VIEWS"].values()]
    for (text, (kind, colour, view)), read in zip(captions, found, strict=True):
        expected = [None if kind is None else kinds[kind], colour, None if view is None else views[view]]
        assert read == expected, text


SENTENCES = [  # that the grammar did not write: text, asked, refused, asked for twice, not known
    ("a vermilion mug", {"label": 0}, {}, [], ["vermilion"]),
    ("A RED ｍｕｇ!", {"label": 0, "colour": 0}, {}, [], []),
    ("玫瑰香味的红杯子", {"label": 0, "colour": 0}, {}, [], ["玫瑰香味"]),
    ("a chair, not blue", {"label": 6}, {"colour": [5]}, [], []),
    ("不是红色的花瓶", {"label": 2}, {"colour": [0]}, [], []),
    ("a red blue mug", {"label": 0, "colour": 5}, {}, ["colour"], []),
    ("a glossy mug, from above", {"label": 0, "elevation": 41.5, "material": 1}, {}, [], []),
    ("high", {}, {}, [], ["high"]),
    ("", {}, {}, [], []),
]


def test_a_sentence_that_the_grammar_did_not_write(open_lab):
    read = "(texts) => texts.map((t) => prodgenLabs.networks.read(prodgenLabs.data['type-a-product'], t))"
    found = open_lab("type-a-product").evaluate(read, [text for text, *_ in SENTENCES])
    for (_, *expected), read in zip(SENTENCES, found, strict=True):
        assert [read[key] for key in ("asked", "refused", "twice", "unknown")] == expected


def test_pieces_are_the_chapters(open_lab):
    chapter = lab_networks.grammar(ROOT / "book")
    texts = [
        "An azure mug!",
        "蓝绿色的杯子，平视",
        "ＲＥＤ  mug,seen—from 3 sides_",
        "naïve é 杯 12",
        "a\n\t😀",
    ]
    page = open_lab("type-a-product")
    found = page.evaluate("(texts) => texts.map(prodgenLabs.networks.pieces)", texts)
    assert found == [chapter["pieces"](text) for text in texts]


def test_a_sentence_is_typed_and_drawn(open_lab):
    page = open_lab("type-a-product")
    page.wait_for_selector("[data-drawn]")
    canvases = page.locator(".lab-eight canvas")
    assert all("colour red, material glossy" in canvases.nth(i).get_attribute("aria-label") for i in range(8))
    page.keyboard.press("Control+A")
    page.keyboard.type("不是红色的椅子 xyz")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-drawn='不是红色的椅子 xyz']", timeout=60_000)
    words = said(page)
    assert "kind: chair" in words and "colour: any but red" in words
    assert "not known, and left out: xyz" in words
    labels = [canvases.nth(i).get_attribute("aria-label") for i in range(8)]
    assert all("kind chair" in label and "colour red" not in label for label in labels)
    page.get_by_role("button", name="a vermilion lamp").click()
    page.wait_for_selector("[data-drawn='a vermilion lamp']", timeout=60_000)
    left_out = canvases.nth(0).get_attribute("aria-label")
    page.get_by_label("a product in words").fill("a lamp")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_selector("[data-drawn='a lamp']", timeout=60_000)
    assert canvases.nth(0).get_attribute("aria-label") == left_out  # left out means left out
    page.get_by_role("button", name="Throw the dice again").click()
    page.wait_for_function(
        "(before) => document.querySelector('.lab-eight canvas').ariaLabel !== before", arg=left_out
    )
