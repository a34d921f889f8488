"""Labs in the pages: the chapters' arithmetic, used by mouse and by key, in light and dark, from a file."""

import json
import re
import shutil

import build_book
import nbformat
import numpy as np
import pytest
import torch
from axe_core_python.sync_playwright import Axe
from chapters import BOOK, run_core

from prodgen import data, notebook, recorded

# Lab -> a control of its own, and what its text says once that control has been moved by key.
LABS = {
    "activations": ("function g", "tanh at a = 2.00 passes on 0.964 and lets back 0.071."),
    "loss-surface": ("loss", "squared error at w = −6.0, b = 4.0: loss 0.71, steepness 0.039."),
    "optimisers": ("optimiser", "momentum, rate 0.063"),
    "choosing": ("wish", "With 500 photos, for shapes and tones, edges aside: "),
    "gan-smallest": (
        "order of moves",
        "The game runs away: in the long run the distance changes by a factor of 1.010",
    ),
    "gan-plane": ("photos", "Seed 0, round 0: 0 of 16 clouds found"),
    "vae-plane": ("numbers in the code", "At z = 0.0, 0.0 the decoder's mean is"),
}
POLICY = "default-src 'none'; script-src file:; style-src file:"
PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>A lab</title>
<link rel="stylesheet" href="_static/theme.css">
<link rel="stylesheet" href="_static/prodgen.css">
<script src="_static/prodgen.js"></script>
</head>
<body><main><h1>A lab</h1><div class="lab" data-lab="{lab}"></div></main></body>
</html>
"""
# Of the theme, what the labs use.
THEME = """
html { --pst-color-text-base: #222832; --pst-color-text-muted: #48566b; --pst-color-surface: #f3f4f5; }
html[data-theme="dark"] {
  --pst-color-text-base: #ced6dd; --pst-color-text-muted: #9ca4af; --pst-color-surface: #29313d;
  background: #14181e; color: #ced6dd;
}
* { box-sizing: border-box; }
"""
OPENED = ".lab[data-opened]"
# What a lab shows: its drawings, and what is said of them.
SHOWN = """() => [...document.querySelectorAll(".lab-stage")].map((stage) => stage.innerHTML).join()"""


def chapter(name, **more):
    """What a chapter's core defines, and what it hands over to labs: {lab: data}."""
    handed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebook, "hand_over", handed.__setitem__)
        space = run_core(name, {"preset": "smoke", "seed": 0, **more}, "experiment", "lab")
    return space, handed


@pytest.fixture(scope="module")
def losses():
    return chapter("02-3-losses", train=data.load("fashion-mnist"))


@pytest.fixture(scope="module")
def choosing():
    record = recorded.load_result("09-2-choosing")
    return chapter("09-2-choosing", values=record["values"], stamp=record["stamp"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, losses, choosing):
    """The pages' scripts, with the data that the chapters hand over."""
    place = tmp_path_factory.mktemp("book")
    shutil.copytree(BOOK / "_static", place / "_static", ignore=shutil.ignore_patterns("vendor"))
    (place / "_static" / "theme.css").write_text(THEME, "utf-8")
    build_book.write_lab_data(place, losses[1] | choosing[1])
    return place


@pytest.fixture
def open_lab(open_file, folder):
    """Opens a page with a lab; at the end nothing may have gone wrong, nor been asked for elsewhere."""

    def open_lab(lab, width=900, theme="light", motion="reduce"):
        path = folder / f"{lab}-{theme}.html"
        path.write_text(PAGE.format(lab=lab, theme=theme, policy=POLICY), "utf-8")
        page = open_file(path, width, folder, color_scheme=theme, reduced_motion=motion)
        page.wait_for_selector(OPENED)
        return page

    return open_lab


# ---------------------------------------------------------------- every lab


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_has_the_controls_that_are_described(lab, open_lab):
    page, described = open_lab(lab), recorded.labs()[lab]
    assert page.get_by_role("group", name=described["title"]).count() == 1
    for control in described["controls"].values():
        field = page.get_by_label(control["label"], exact=True)
        if "options" in control:
            shown = [f"{o:,}" if isinstance(o, int) else o for o in control["options"]]
            assert field.locator("option").all_inner_texts() == shown
        else:
            bounds = [float(field.get_attribute(name)) for name in ("min", "max", "step")]
            assert bounds == [control[name] for name in ("min", "max", "step")]
            assert float(field.input_value()) == control["default"]
            assert field.get_attribute("aria-valuetext")


@pytest.mark.parametrize("lab", LABS)
def test_a_key_changes_picture_and_words(lab, open_lab):
    label, words = LABS[lab]
    page = open_lab(lab)
    before = page.evaluate(SHOWN)
    page.get_by_label(label, exact=True).focus()
    page.keyboard.press("ArrowDown")
    page.locator("[aria-live=polite]", has_text=words).wait_for()
    assert page.evaluate(SHOWN) != before
    for drawing in page.locator("[role=img]").all():
        assert drawing.get_attribute("aria-label")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [900, 360])
@pytest.mark.parametrize("lab", LABS)
def test_a_lab_fits_and_axe_finds_nothing(lab, width, theme, open_lab):
    page = open_lab(lab, width, theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert Axe().run(page, options={"resultTypes": ["violations"]})["violations"] == []


@pytest.mark.parametrize("lab", LABS)
def test_what_moves_starts_paused_where_less_motion_is_asked_for(lab, open_lab):
    page = open_lab(lab)
    before = page.evaluate(SHOWN)
    page.wait_for_timeout(300)
    assert page.evaluate(SHOWN) == before
    assert page.get_by_role("button", name="Pause").count() == 0


# ---------------------------------------------------------------- the chapters' arithmetic, and PyTorch's


def compute(page, code, argument=None):
    return np.array(page.evaluate(code, argument))


def test_activations_and_slopes_are_pytorch_s(open_lab):
    functions = run_core("02-2-activations", {}, "experiment")["IN_TORCH"]
    assert list(functions) == recorded.labs()["activations"]["controls"]["name"]["options"]
    places = [-800, -30, -3, -1, -0.1, 0, 0.1, 1, 3, 30, 800]
    page = open_lab("activations")
    code = """([name, places]) => prodgenLabs.activations[name].map((f) => places.map(f))"""
    for name, function in functions.items():
        a = torch.tensor(places, dtype=torch.float64, requires_grad=True)
        value = function(a)
        (slope,) = torch.autograd.grad(value.sum(), a)
        ours = compute(page, code, [name, places])
        assert np.allclose(ours, [value.detach().numpy(), slope.numpy()], rtol=0, atol=1e-12), name


@pytest.mark.parametrize("kind", ["cross-entropy", "squared error"])
def test_the_loss_and_the_way_down_are_the_chapter_s(kind, losses, open_lab):
    space, _ = losses
    photos = space["brightness"], space["is_boot"]
    page = open_lab("loss-surface")
    for w, b in ((-6, 4), (0, 0), (8, -8), (3.5, 0.5)):
        code = """([name, ...asked]) => {
            const { brightness, is_boot } = prodgenLabs.data["loss-surface"];
            return prodgenLabs.losses[name](...asked, brightness, is_boot);
        }"""
        height = compute(page, code, ["height", kind, w, b])
        assert np.allclose(height, space["line_loss"](kind, w, b, *photos), rtol=1e-12)
        way = compute(page, code, ["gradient", kind, w, b])
        assert np.allclose(way, space["line_gradient"](kind, w, b, *photos), rtol=1e-9)


@pytest.mark.parametrize(
    ("rule", "theirs", "settings"),
    [
        ("SGD", torch.optim.SGD, {}),
        ("momentum", torch.optim.SGD, {"momentum": 0.8}),
        ("Adam", torch.optim.Adam, {}),
    ],
)
def test_an_optimiser_takes_pytorch_s_way_on_the_chapter_s_landscapes(rule, theirs, settings, open_lab):
    space = run_core("02-4-optimisers", {})
    page = open_lab("optimisers")
    for landscape, (height, slope, begin, lowest) in space["LANDSCAPES"].items():
        for rate in (0.003, 0.05):
            w = torch.tensor(begin, dtype=torch.float64, requires_grad=True)
            optimiser, way = theirs([w], lr=rate, **settings), [list(begin)]
            for _ in range(50):
                w.grad = torch.tensor(slope(*w.detach().numpy()))
                optimiser.step()
                way.append(w.tolist())
            code = "(asked) => prodgenLabs.optimisers.race(...asked)"
            ours = compute(page, code, [landscape, rule, rate, 50, 0.8])
            # Adam adds its tiny number after another rounding.
            assert np.allclose(ours, way, rtol=0, atol=1e-6)
            chapter_s = space["race"](landscape, rule, rate, 50, 0.8)
            assert np.allclose(ours, chapter_s, rtol=1e-9, atol=1e-9)
        code = """([name, w]) => {
            const { height, begin, lowest } = prodgenLabs.optimisers.landscapes[name];
            return [height(...w), ...begin, ...lowest];
        }"""
        assert np.allclose(compute(page, code, [landscape, [0.3, 0.8]]), [height(0.3, 0.8), *begin, *lowest])
    ours = compute(page, "() => prodgenLabs.optimisers.race('valley', 'SGD', 1, 50, 0)")
    assert len(ours) == len(space["race"]("valley", "SGD", 1.0, 50)) < 51


def test_the_guide_gives_the_chapter_s_advice_for_every_wish_and_size(choosing, open_lab):
    space, _ = choosing
    controls = recorded.labs()["choosing"]["controls"]
    assert controls["size"]["options"] == list(space["SIZES"])
    assert controls["wish"]["options"] == list(space["WISHES"])
    page = open_lab("choosing")
    for size in space["SIZES"]:
        for wish in space["WISHES"]:
            page.get_by_label("photos to learn from").select_option(f"{size:,}")
            page.get_by_label("wish", exact=True).select_option(wish)
            assert page.locator(".lab-answer").inner_text() == space["advice"](size, wish)
            dots = page.locator(".lab-frame circle").count()
            assert dots == sum(map(len, space["runs_behind"](size, wish).values()))


# ---------------------------------------------------------------- what only some can


def test_a_point_is_moved_by_mouse(open_lab):
    page = open_lab("loss-surface")
    place = page.locator(".lab-frame > svg").bounding_box()
    page.mouse.move(place["x"] + 0.3 * place["width"], place["y"] + 0.3 * place["height"])
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] - 5, place["y"] + 5)
    page.mouse.up()
    page.mouse.move(place["x"] + 100, place["y"] + 200)  # no longer held
    page.locator("[aria-live]", has_text="cross-entropy at w = 8.0, b = 8.0").wait_for()
    assert page.get_by_label("weight w").input_value() == "8"


def test_a_race_runs_pauses_and_goes_on_step_by_step(open_lab):
    page = open_lab("optimisers", motion="no-preference")
    page.get_by_role("button", name="Pause").wait_for()
    page.locator("[role=img][aria-label*='after 1']").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").wait_for()
    steps = "document.querySelectorAll('.lab-frame circle').length - 1"
    before = page.evaluate(steps)
    page.get_by_role("button", name="One step").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(steps) == before + 1
    page.locator("[aria-live]", has_text=f"after {before + 1} steps").wait_for()
    page.get_by_label("steps", exact=True).fill("10")  # a change shows the whole way
    assert page.evaluate(steps) == 10
    page.get_by_label("learning rate").fill("0")
    page.locator("[aria-live]", has_text="It has flown off.").wait_for()


def test_colours_follow_the_reader_s_choice(open_lab):
    page = open_lab("activations")
    stroke = "getComputedStyle(document.querySelector('.lab-frame svg path[stroke]')).stroke"
    light = page.evaluate(stroke)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate(stroke) != light


def test_the_explorer_s_widgets_are_the_lab_s_controls():
    for lab, described in recorded.labs().items():
        for name, widget in notebook.lab_controls(lab).items():
            control = described["controls"][name]
            assert widget.description == control["label"]
            expected = 10 ** control["default"] if control.get("log") else control["default"]
            assert widget.value == pytest.approx(expected) if "min" in control else widget.value == expected


def test_what_a_chapter_hands_over_reaches_the_page_and_leaves_the_notebook(tmp_path):
    output = nbformat.v4.new_output("display_data", {build_book.LAB_DATA: {"x": [1]}, "text/plain": ""})
    said = nbformat.v4.new_output("stream", text="said")
    cell = nbformat.v4.new_code_cell("1", outputs=[output, said])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "chapter.ipynb")
    assert build_book.take_lab_data(tmp_path) == {"x": [1]}
    [cell] = nbformat.read(tmp_path / "chapter.ipynb", as_version=4).cells
    assert cell.outputs == [said]
    (tmp_path / "_static").mkdir()
    build_book.write_lab_data(tmp_path, {"x": ["é"]})
    script = (tmp_path / "_static" / "labs" / "descriptions.js").read_text("utf-8")
    descriptions, given, _ = script.split(";\n")
    assert json.loads(descriptions.partition(" = ")[2]) == recorded.labs()
    assert given == 'prodgenLabs.data = {"x": ["é"]}'


# ---------------------------------------------------------------- labs that train


# So many rounds are played, by what the curve says.
ROUNDS = """(n) => [...document.querySelectorAll("svg[aria-label]")].some(
  (svg) => Number(/after (\\d+) rounds/.exec(svg.getAttribute("aria-label"))?.[1]) >= n)"""


def press(page, *names):
    for name in names:
        page.get_by_role("button", name=name, exact=True).click()


def said(page, words):
    page.locator("[aria-live=polite]", has_text=words).wait_for()


def standing(page, lab, preset):
    """Whether the controls stand as a preset has them."""
    described = recorded.labs()[lab]
    found = {
        name: page.get_by_label(described["controls"][name]["label"], exact=True).input_value()
        for name in described["presets"][preset]
    }
    return found == {name: str(value) for name, value in described["presets"][preset].items()}


def test_a_gan_is_played_paused_begun_again_provoked_and_cured(open_lab):
    page = open_lab("gan-plane")
    press(page, "One step")
    said(page, "Seed 0, round 1: ")
    press(page, "Play")
    page.wait_for_function(ROUNDS, arg=50)
    press(page, "Pause")
    said(page, re.compile(r"Seed 0, round \d\d+: "))
    paused = page.evaluate(SHOWN)
    page.wait_for_timeout(300)
    assert page.evaluate(SHOWN) == paused
    press(page, "Start again", "One step")
    said(page, "Seed 0, round 1: ")
    press(page, "New seed")
    said(page, "Seed 1, round 0: ")
    press(page, "Provoke a collapse")
    assert standing(page, "gan-plane", "provoked")
    page.wait_for_function(ROUNDS, arg=50)
    press(page, "Cure it")
    assert standing(page, "gan-plane", "cured")
    page.wait_for_function(ROUNDS, arg=100)  # without beginning again
    press(page, "Pause")


def test_a_vae_is_played_walked_on_and_annealed(open_lab):
    page = open_lab("vae-plane")
    beta = page.get_by_label("weight β of the price", exact=True)
    press(page, "One step")
    said(page, "Seed 0, round 1, β 1.00.")
    codes = page.locator("canvas.lab-movable")
    codes.click(position={"x": 10, "y": 10})
    assert page.get_by_label("stand at z₁", exact=True).input_value() == "-3"
    said(page, "At z = −3.0 the decoder's mean is")
    press(page, "Provoke a collapse")
    assert standing(page, "vae-plane", "provoked")
    press(page, "Cure it by annealing")
    page.wait_for_function("(input) => 0.05 < input.value && input.value < 0.9", arg=beta.element_handle())
    beta.focus()
    page.keyboard.press("End")  # the reader's hand goes before the plan
    said(page, "β 4.00.")
    press(page, "Pause")


def test_the_smallest_gan_walks(open_lab):
    page = open_lab("gan-smallest")
    press(page, "From the start", "One step")
    said(page, "After 1 step u = 0.96 and v = 0.20.")
    press(page, "Play", "Pause")
    said(page, re.compile(r"After \d+ steps? u = "))
