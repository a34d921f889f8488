"""Chapter 6.2's own functions: contrast, ads of any size, customers, the posterior, ways of choosing."""

import io
import itertools
import json
from pathlib import Path
from statistics import fmean

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from chapters import run_core
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from scipy.optimize import minimize

from prodgen import evaluation, models, plots
from prodgen.cli.provenance import PROGRAM, XMP
from prodgen.data import LABEL, studio

NAME = "06-2-advertising"
IMPORTS = {
    **{
        "io": io,
        "itertools": itertools,
        "json": json,
        "Path": Path,
        "fmean": fmean,
        "np": np,
        "torch": torch,
    },
    **{"Picture": Picture, "ImageDraw": ImageDraw, "ImageFont": ImageFont, "PngInfo": PngInfo},
    **{"evaluation": evaluation, "models": models, "plots": plots, "studio": studio},
    **{"PROGRAM": PROGRAM, "XMP": XMP, "plt": plt},
}


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define."""
    return run_core(NAME, dict(IMPORTS))


# ---------------------------------------------------------------- ads


@pytest.mark.parametrize(
    ("colour", "other", "known"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),  # the best known pair that fails, and its neighbour that passes
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.00),
        ("#0000ff", "#ffffff", 8.59),
    ],
)
def test_contrast_is_that_of_the_guidelines(chapter, colour, other, known):
    one, two = ([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)] for text in (colour, other))
    assert chapter["contrast"](one, two) == pytest.approx(known, abs=0.005)
    assert chapter["contrast"](two, one) == chapter["contrast"](one, two)


def test_black_or_white_can_be_read_on_every_colour_of_the_studio_and_on_any_other(chapter):
    others = np.random.default_rng(0).random((500, 3))
    for ground in [*studio.COLOURS.values(), *others]:
        assert chapter["contrast"](chapter["readable"](ground), ground) >= 21**0.5 - 1e-9


@pytest.mark.parametrize("size", [(300, 250), (728, 90), (160, 600), (1080, 1080), (970, 250), (320, 50)])
def test_the_boxes_of_an_ad_lie_inside_it_and_texts_do_not_overlap(chapter, size):
    boxes = chapter["layout"](*size)
    for left, top, right, bottom in boxes.values():
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    texts = [boxes[name] for name in chapter["TEXTS"]]
    assert all(upper[3] <= lower[1] for upper, lower in itertools.pairwise(texts))
    panel = boxes["panel"]
    assert all(panel[0] < b[0] and panel[1] < b[1] and b[2] < panel[2] and b[3] < panel[3] for b in texts)


@pytest.mark.parametrize("size", [(300, 250), (728, 90), (160, 600), (1080, 1080)])
@pytest.mark.parametrize("colour", ["yellow", "blue"])
def test_an_ad_s_panel_has_two_colours_and_its_text_stays_in_its_boxes(chapter, size, colour):
    ground = studio.COLOURS[colour]
    picture = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    ad = np.asarray(chapter["compose"](picture, ground, "For special days", size)).astype(int)
    assert ad.shape == (size[1], size[0], 3)
    boxes = chapter["layout"](*size)
    left, top, right, _ = boxes["panel"]
    level = (255 * np.array(ground)).round()
    written = np.abs(ad - level).max(-1) > 8
    allowed = np.zeros_like(written)
    allowed[: top if top else size[1], : right if top else left] = True  # the picture's own place
    for name in chapter["TEXTS"]:
        x0, y0, x1, y1 = boxes[name]
        assert written[y0:y1, x0:x1].any(), name
        allowed[y0:y1, x0:x1] = True
    assert not (written & ~allowed).any()
    ink = 255 * np.array(chapter["readable"](ground))
    x0, y0, x1, y1 = boxes["headline"]
    assert (ad[y0:y1, x0:x1] == ink).all(-1).any()


def test_a_text_without_room_is_refused(chapter):
    with pytest.raises(ValueError, match="no room"):
        chapter["fitted"]("For special days", (0, 0, 20, 10))


def test_an_ad_s_file_says_that_a_program_composed_it(chapter):
    picture = torch.zeros(3, 64, 64, dtype=torch.uint8)
    ad = chapter["compose"](picture, studio.COLOURS["teal"], "For every day", (300, 250))
    with Picture.open(io.BytesIO(chapter["as_png"](ad))) as opened:
        assert "not photographed" in opened.text["Description"]
        assert "compositeWithTrainedAlgorithmicMedia" in opened.text["XML:com.adobe.xmp"]
        assert opened.size == (300, 250)


class Painter(torch.nn.Module):
    """A generator that shows what it is asked for when z is positive, and nothing else when it is not."""

    latent_dim, condition = 1, studio.CONDITION

    def forward(self, z, condition):
        shown = torch.where(z > 0, condition, torch.zeros_like(condition))
        return shown[:, :, None, None]


class Reader(torch.nn.Module):
    condition = studio.CONDITION

    def forward(self, x):
        return x.flatten(1)


def test_the_product_is_the_one_in_which_most_is_read_right(chapter):
    looks = [("teal", "angular", "metallic"), ("blue", "angular", "glossy")]
    drawn, right = chapter["one_product"](Painter(), Reader(), "bag", looks, tries=20, seed=0)
    assert right.shape == (20, 2, 4) and right[0].all() and not right[-1].any()
    assert drawn.shape[0] == 2
    read = models.decode(studio.CONDITION, drawn.flatten(1))
    assert read["colour"].tolist() == [list(studio.COLOURS).index(c) for c in ("teal", "blue")]
    assert set(read[LABEL].tolist()) == {list(studio.PRODUCTS).index("bag")}


# ---------------------------------------------------------------- customers and opinions


def test_customers_differ_between_sections_as_the_world_says(chapter):
    alike, apart = (np.stack([chapter["customers"](s, t) for s in range(30)]) for t in ("alike", "different"))
    assert alike.shape == (30, len(chapter["SECTIONS"]), len(chapter["CREATIVES"]))
    assert np.allclose(alike, alike[:, :1])
    assert apart.std(1).mean() > 0.01
    same = chapter["customers"](0, "indifferent")
    assert np.allclose(same, 1 / (1 + np.exp(-chapter["BASE"])))
    assert np.array_equal(chapter["customers"](3, "different"), chapter["customers"](3, "different"))


def test_the_linear_posterior_is_the_closed_form_at_once_and_in_batches(chapter):
    rng = np.random.default_rng(0)
    phi, y = rng.normal(size=(2, 50, 4)), rng.normal(size=(2, 50))
    mean, precision = rng.normal(size=(2, 4)), np.stack([np.diag([1.0, 2, 3, 4])] * 2)

    def line(a):
        return a, np.ones_like(a)

    at_once = chapter["updated"](mean, precision, phi, y, line)
    for s in range(2):
        exact = precision[s] + phi[s].T @ phi[s]
        assert np.allclose(at_once[1][s], exact)
        told = precision[s] @ mean[s] + phi[s].T @ y[s]
        assert np.allclose(at_once[0][s], np.linalg.solve(exact, told))
    half = chapter["updated"](mean, precision, phi[:, :20], y[:, :20], line)
    in_two = chapter["updated"](*half, phi[:, 20:], y[:, 20:], line)
    assert np.allclose(in_two[0], at_once[0]) and np.allclose(in_two[1], at_once[1])


@pytest.mark.parametrize(("clicks", "before"), [(0.3, 0.0), (0.9, -6.0)])  # the latter: whole steps run away
def test_the_logistic_posterior_stands_on_the_mode_with_its_curvature(chapter, clicks, before):
    rng = np.random.default_rng(1)
    phi, mean, precision = rng.normal(size=(40, 3)), rng.normal(size=3), np.diag([1.0, 2.0, 3.0]) / 5
    phi[:, 0], mean[0] = 1, before
    y = (rng.random(40) < clicks).astype(float)

    def minus_log(w):
        a = phi @ w
        return np.logaddexp(0, a).sum() - y @ a + (w - mean) @ precision @ (w - mean) / 2

    found = minimize(minus_log, mean, tol=1e-12).x
    mode, curvature = chapter["updated"](mean[None], precision[None], phi[None], y[None])
    assert np.allclose(mode[0], found, atol=1e-4)
    p = 1 / (1 + np.exp(-phi @ mode[0]))
    assert np.allclose(curvature[0], precision + (phi.T * p * (1 - p)) @ phi, rtol=1e-2)


def test_thompson_draws_have_the_posterior_s_spread(chapter):
    d = chapter["features"]().shape[-1]
    root = np.random.default_rng(0).normal(size=(d, d)) / 10
    precision = np.eye(d) * 4 + root @ root.T
    table = np.zeros((1, 2, d))
    table[0, 0, 1] = 1.0  # the first creative is chosen where the drawn weight is positive
    rng = np.random.default_rng(2)
    learner = chapter["Learner"](table, 1, chapter["thompson"], 0.5, rng)
    learner.precision, learner.mean = precision[None], np.zeros((1, d))
    learner.mean[0, 1] = 0.1
    chosen = learner.choose(np.zeros((1, 20_000), int))
    spread = 0.5 * np.linalg.inv(precision)[1, 1] ** 0.5
    expected = 0.5 * (1 + torch.special.erf(torch.tensor(0.1 / spread / 2**0.5)).item())
    assert (chosen == 0).mean() == pytest.approx(expected, abs=0.015)


# ---------------------------------------------------------------- choosing


def test_regret_is_what_the_best_would_have_had_more(chapter):
    chances = np.array([[0.1, 0.3, 0.2], [0.5, 0.1, 0.4]])
    assert np.allclose(chapter["regret"](chances, np.array([1, 2])), [0, 0.1])


def worlds(chapter, tastes, seeds):
    return np.stack([chapter["customers"](seed, tastes) for seed in seeds])


@pytest.mark.parametrize("way", ["best for each, known", "best for all, known"])
def test_whoever_knows_loses_nothing_where_all_like_the_same(chapter, way):
    lost, _ = chapter["run"](way, None, "alike", range(3), 400)
    assert np.allclose(lost, 0)


def test_knowing_each_section_is_never_worse_than_one_for_all(chapter):
    each, one = (
        chapter["run"](f"best for {whom}, known", None, "different", range(3), 400)
        for whom in ("each", "all")
    )
    assert not each[0].any() and (each[1] >= one[1]).all() and one[0].any()
    assert np.allclose(each[1] - one[1], one[0])  # the same customers came


def test_no_way_is_better_than_another_where_nobody_cares(chapter):
    ways = {way: grid[0] for way, grid in chapter["WAYS"].items()} | dict.fromkeys(chapter["OTHERS"], 0.5)
    clicks = [chapter["run"](way, setting, "indifferent", (0,), 200)[1] for way, setting in ways.items()]
    assert len(clicks) == 11 and all(np.allclose(one, clicks[0]) for one in clicks)


def test_a_learner_learns_and_one_that_is_misled_learns_less(chapter):
    seeds, views = range(4), 6_000
    lost = {
        way: chapter["run"](way, 0.5, "far apart", seeds, views)[0][:, -20:].sum(1).mean()
        for way in ("any, by lot", "Thompson, misled", "Thompson, blind", "Thompson")
    }
    assert lost["Thompson"] < 0.7 * min(lost["Thompson, misled"], lost["Thompson, blind"])
    assert max(lost["Thompson, misled"], lost["Thompson, blind"]) < 0.9 * lost["any, by lot"]


def test_the_ab_test_shows_all_alike_and_then_keeps_the_winner(chapter):
    tested = chapter["Tested"](1, 200)
    seen = np.zeros((1, 100), int)
    for _ in range(2):
        chosen = tested.choose(seen)
        tested.learn(seen, chosen, (chosen == 7).astype(float))
    assert np.ptp(tested.views[0]) <= 1
    assert (tested.choose(seen) == 7).all()


def test_forgetting_finds_the_new_taste(chapter):
    seeds = range(3)
    before, after = worlds(chapter, "far apart", seeds), worlds(chapter, "far apart", range(50, 53))
    lost = {}
    for gamma in (1.0, 0.9):
        way = chapter["policy"]("Thompson", 0.5, before, np.random.default_rng(0), forget=gamma)
        lost[gamma] = chapter["campaign"](way, before, seeds, 12_000, later=after)[0][:, 60:].sum(1).mean()
    assert lost[0.9] < 0.95 * lost[1.0]


def test_the_pilots_choose_the_settings_and_one_seed_gives_a_row_for_each_way_and_world(chapter):
    rows = chapter["pilots"](seeds=(1,), views=100)
    assert len(rows) == 2 * sum(map(len, chapter["WAYS"].values()))
    assert all(chapter["best_setting"](rows, way) in grid for way, grid in chapter["WAYS"].items())
    assert chapter["best_setting"](rows, "Thompson, misled") == chapter["best_setting"](rows, "Thompson")
    assert chapter["best_setting"](rows, "any, by lot") is None
    judged = chapter["judged"](rows, seeds=(5, 6), few=1, views=1_000)
    ways = len(chapter["WAYS"]) + len(chapter["OTHERS"])
    many = 3 * 4 + 2 + 4  # cases that a claim asks for
    assert len(judged) == 2 * many + 3 * (ways - 4) - 2 and {row["seed"] for row in judged} == {5, 6}
    asked = [row for row in judged if row["customers"] == "different" and row["seed"] == 6]
    assert {"Thompson", "Thompson, blind", "Thompson, misled"} < {row["way"] for row in asked}
    assert not set(chapter["PILOTS"]) & set(chapter["JUDGES"])
