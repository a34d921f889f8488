"""Chapter 6.6.4's own functions: the renderer behind its truth, cutting out, looking, shading, fitting."""

import math
from dataclasses import replace

import pytest
import torch
from chapters import run_core

from prodgen import models
from prodgen.data import studio

NAME = "06-6-4-ar-shopping"
CHAIR = {"label": "chair", "style": "rounded", "colour": "red"}
SHAPE = torch.tensor([0.4, 0.5, 0.6])
SQUARE = dict(lens=studio.VIEW, size=(64, 64))


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, beside the names that the others import."""
    namespace: dict = {"preset": "smoke", "seed": 0}
    exec(IMPORTS, namespace)
    return run_core(NAME, namespace)


IMPORTS = """
import math
from dataclasses import dataclass, replace

import torch
from skimage.metrics import structural_similarity
from torch.nn.functional import avg_pool2d, grid_sample, normalize

from prodgen.data import studio
from prodgen.data.products import CENTRE, REACH, product
"""


def in_studio(chapter, azimuth=0.0, elevation=20.0):
    eye = chapter["direction"](0, elevation) * studio.DISTANCE + torch.tensor([0, chapter["CENTRE"], 0])
    return chapter["Scene"](tuple(eye.tolist()), (0, chapter["CENTRE"], 0), turn=-azimuth)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0.0, 10.0), (140.0, 40.0)])
def test_with_the_studio_s_camera_and_light_the_truth_is_the_studio_s_photo(chapter, azimuth, elevation):
    ours, covered = chapter["truth"](in_studio(chapter, azimuth, elevation), CHAIR, SHAPE, **SQUARE)
    theirs = studio.render(**CHAIR, shape=SHAPE, azimuth=azimuth, elevation=elevation)[0] / 255
    inside = covered == 1
    assert inside.sum() > 200
    assert (ours - theirs)[:, inside].abs().max() < 2 / 255


def test_rays_meet_the_nearest_plane_of_the_room(chapter):
    scene = in_studio(chapter)
    points, normals, which = chapter["surfaces"](scene, chapter["rays"](scene, size=(8, 8)))
    assert points[which == 0, 1].abs().max() < 1e-5
    assert (points[which == 1, 2] - chapter["BACK"]).abs().max() < 1e-4
    assert (points[:, 1] > -1e-5).all() and (points[:, 2] > chapter["BACK"] - 1e-4).all()
    assert torch.equal(normals[which == 0].unique(dim=0), torch.tensor([[0.0, 1, 0]]))


def test_the_lamp_is_hidden_behind_the_product_and_nowhere_else(chapter):
    def ball(points):  # of radius 0.5, round the product's middle
        return (points - torch.tensor([0, chapter["CENTRE"], 0])).norm(dim=1) - 0.5

    above = torch.tensor([0.0, 1, 0])
    floor = torch.tensor([[0.0, 0, 0], [0.4, 0, 0], [0.9, 0, 0], [5.0, 0, 0]])
    seen = chapter["lamp_seen"](ball, floor, above)
    assert seen[:2].max() < 0.05 and seen[2] > 0.8 and seen[3] == 1


def test_a_side_is_where_the_studio_would_have_to_stand(chapter):
    scene = in_studio(chapter, azimuth=250.0, elevation=35.0)
    assert chapter["side"](scene, chapter["of_customer"](scene)) == pytest.approx((250.0, 35.0), abs=1e-3)
    right = replace(chapter["Scene"]((3.0, chapter["CENTRE"], 0.0), (0, 0, 0)), turn=90.0)
    assert chapter["side"](right, chapter["of_customer"](right)) == pytest.approx((0.0, 0.0), abs=1e-3)


def test_a_mixture_of_colour_and_grey_is_taken_apart(chapter):
    colour = torch.tensor(studio.COLOURS["orange"])
    alpha, light, grey = torch.rand(3, 5, 5, generator=torch.Generator().manual_seed(0))
    mixed = alpha * light * colour[:, None, None] + (1 - alpha) * grey
    _, front, ground = chapter["matte"](mixed, colour)
    torch.testing.assert_close(front, alpha * light * colour[:, None, None], atol=1e-4, rtol=0)
    torch.testing.assert_close(ground, (1 - alpha) * grey, atol=1e-4, rtol=0)
    equal = alpha * grey * colour[:, None, None] + (1 - alpha) * grey  # as light as its ground is
    torch.testing.assert_close(chapter["matte"](equal, colour)[0], alpha, atol=1e-4, rtol=0)


def test_white_and_grey_are_no_product_and_pure_colour_is_nothing_else(chapter):
    colour = torch.tensor(studio.COLOURS["blue"])
    plain = torch.stack([torch.ones(3), torch.full((3,), 0.3), colour, 0.2 * colour], dim=1)[:, None]
    alpha, _, ground = chapter["matte"](plain, colour)
    torch.testing.assert_close(alpha[0], torch.tensor([0.0, 0, 1, 1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(ground[0], torch.tensor([1.0, 0.3, 0, 0]), atol=1e-4, rtol=0)


def test_placing_a_render_at_the_studio_s_distance_gives_nearly_the_truth(chapter):
    scene = replace(in_studio(chapter, 20.0, 25.0), target=(0.2, 0.8, 0.0))
    colour = torch.tensor(studio.COLOURS["red"])
    here, lamp = (chapter["side"](scene, chapter[way](scene)) for way in ("of_customer", "of_lamp"))
    pictures = [studio.render(**CHAIR, shape=SHAPE, azimuth=a, elevation=e)[0] / 255 for a, e in (here, lamp)]
    true, _ = chapter["truth"](scene, CHAIR, SHAPE)
    errors = {
        step: chapter["score"](chapter["placed"](scene, *pictures, colour, (step,)), true)
        for step in ("none", "cut", "contact", "shadow")
    }
    assert errors["none"]["error"] < 1e-3
    for step in ("cut", "contact", "shadow"):
        assert errors[step]["error"] > 1.5 * errors["none"]["error"], step
        assert errors[step]["lost"] > errors["none"]["lost"], step


def test_where_a_picture_shows_nothing_the_room_stays(chapter):
    scene, _, _ = chapter["case_of"](51)
    white, colour = torch.ones(3, 64, 64), torch.tensor(studio.COLOURS["teal"])
    ways = chapter["rays"](scene)
    empty = chapter["as_image"](chapter["room_at"](scene, *chapter["surfaces"](scene, ways)))
    torch.testing.assert_close(chapter["placed"](scene, white, white, colour), empty, atol=1e-5, rtol=0)


def test_a_truth_scores_nothing_and_another_picture_something(chapter):
    image = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(0))
    assert chapter["score"](image, image) == {"error": 0.0, "lost": 0.0}
    moved = chapter["score"](image.roll(1, dims=2), image)
    assert moved["error"] > 0.01 and moved["lost"] > 0.1


def test_a_fit_comes_nearer_to_its_photo_and_keeps_to_the_known_lengths(chapter):
    torch.manual_seed(0)
    generator = models.Generator(
        image_size=64, channels=3, width=8, latent_dim=16, condition=studio.CONDITION
    ).eval()
    wanted = torch.randn(1, 16, generator=torch.Generator().manual_seed(5)) * 0.5
    photo = chapter["drawn"](generator, wanted, CHAIR, *chapter["CATALOGUE"])

    def miss(z):
        return (chapter["drawn"](generator, z, CHAIR, *chapter["CATALOGUE"]) - photo).square().mean().item()

    drawn, fitted = (chapter["fit"](generator, photo, CHAIR, 0, draws=8, steps=steps) for steps in (0, 30))
    assert miss(fitted) < miss(drawn)
    assert fitted.norm() <= math.sqrt(16) * 1.001
    assert fitted.requires_grad is False


def test_customers_stand_inside_the_room_and_ask_for_sides_that_there_are(chapter):
    low, high = studio.CONDITION["elevation"].bounds
    for seed in range(300):
        scene, _, shape = chapter["case_of"](seed)
        assert scene.eye[0] > chapter["LEFT"] and scene.eye[2] > chapter["BACK"]
        for way in (chapter["of_customer"](scene), chapter["of_lamp"](scene)):
            azimuth, elevation = chapter["side"](scene, way)
            assert 0 <= azimuth < 360 and low <= elevation <= high
        assert ((shape >= 0) & (shape <= 1)).all()


def test_scenes_of_two_seeds_differ_and_that_of_one_does_not(chapter):
    first, again, second = (chapter["case_of"](seed) for seed in (7, 7, 8))
    assert first[0] == again[0] and first[1] == again[1] and torch.equal(first[2], again[2])
    assert first[0] != second[0]
