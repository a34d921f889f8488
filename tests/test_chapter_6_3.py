"""Chapter 6.3: its files are what the specification asks for, its maps do what is said, its truth is one."""

import base64
import io
import math
import re
import struct

import numpy as np
import pytest
import torch
from chapters import BOOK, cells, run_core
from PIL import Image
from skimage.measure import marching_cubes

from prodgen import data, models, plots, recorded
from prodgen.data import studio

NAME = "06-3-vr-ar-try-on"


@pytest.fixture(scope="module")
def page() -> dict:
    """What the cells tagged `core` define, beside the imports of the page."""
    namespace = {"seed": 0, "preset": "smoke", "data": data, "studio": studio, "plots": plots}
    exec(next(cell.source for cell in cells(NAME) if cell.id == "imports"), namespace)
    return run_core(NAME, namespace)


@pytest.fixture(scope="module")
def chair() -> studio.Mesh:
    return studio.mesh("chair", "rounded", "teal", resolution=40)


@pytest.fixture(scope="module")
def shirt() -> torch.Tensor:
    """A T-shirt, drawn: bright on black, (1, 28, 28) in [-1, 1]."""
    picture = torch.full((1, 28, 28), -1.0)
    picture[:, 4:24, 9:19] = 0.2
    picture[:, 4:10, 4:24] = 0.5
    return picture


# ---------------------------------------------------------------- the file


def test_a_file_has_a_header_and_two_chunks_of_whole_words(page, chair):
    glb = page["as_glb"](chair, "a chair that costs 5 €", "matte")
    magic, version, length = struct.unpack_from("<4sII", glb)
    assert (magic, version, length) == (b"glTF", 2, len(glb))
    at, kinds = 12, []
    while at < len(glb):
        size, kind = struct.unpack_from("<I4s", glb, at)
        kinds.append(kind)
        assert size % 4 == 0
        at += 8 + size
    assert at == len(glb) and kinds == [b"JSON", b"BIN\0"]


VALIDATOR = BOOK / "_static" / "vendor" / "gltf-validator" / "gltf_validator.dart.js"


@pytest.mark.parametrize("kind", studio.PRODUCTS)
def test_the_khronos_group_s_validator_finds_nothing_in_any_kind_s_file(page, kind, chrome):
    mesh = studio.mesh(kind, "angular", "red", resolution=32)
    checker = chrome.new_page()
    checker.add_script_tag(content="var exports = {};")
    checker.add_script_tag(path=VALIDATOR)

    def issues(glb):
        call = "(bytes) => exports.validateBytes(Uint8Array.from(bytes), {})"
        found = checker.evaluate(call, list(glb))["issues"]
        return sum(found[key] for key in ("numErrors", "numWarnings", "numInfos", "numHints"))

    glb = page["as_glb"](mesh, kind, "metallic", page["METRES"][kind])
    assert issues(glb) == 0
    assert issues(glb[:-40]) > 0  # it does look
    checker.close()


def test_a_file_holds_the_product_in_metres_and_says_that_it_is_generated(page, chair):
    said, numbers = page["parts_of"](page["as_glb"](chair, "chair", "metallic", 0.5))
    assert said["asset"]["version"] == "2.0" and said["asset"]["extras"] == {"generated": True}
    assert "not a photo" in said["asset"]["copyright"]
    views = [(view["byteOffset"], view["byteLength"]) for view in said["bufferViews"]]
    assert sum(size for _, size in views) == said["buffers"][0]["byteLength"] == len(numbers)
    vertices, normals, faces = (
        np.frombuffer(numbers, kind, count=size // 4, offset=at).reshape(-1, 3)
        for (at, size), kind in zip(views, ("<f4", "<f4", "<u4"), strict=True)
    )
    assert np.allclose(vertices, 0.5 * chair.vertices.numpy())
    assert np.allclose(vertices.min(0), said["accessors"][0]["min"])
    assert np.allclose(vertices.max(0), said["accessors"][0]["max"])
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert np.array_equal(faces, chair.faces.numpy())
    assert [a["count"] for a in said["accessors"]] == [len(vertices), len(vertices), faces.size]
    surface = said["materials"][0]["pbrMetallicRoughness"]
    assert surface["metallicFactor"] == 1
    shown = np.array(surface["baseColorFactor"][:3]) ** (1 / studio.GAMMA)
    assert np.allclose(shown, studio.COLOURS["teal"], atol=1 / 255)


def test_normals_point_away_from_a_ball_s_middle(page):
    along = torch.linspace(-1, 1, 21)
    grid = torch.stack(torch.meshgrid(along, along, along, indexing="ij"))
    vertices, faces, *_ = marching_cubes((grid.square().sum(0).sqrt() - 0.79).numpy(), 0.0)
    at = torch.from_numpy(vertices.copy()) / 10 - 1
    faces = torch.from_numpy(faces.astype(np.int64))
    outwards = (page["normals"](at, faces) * at / at.norm(dim=1, keepdim=True)).sum(1)
    assert outwards.min() > 0.9
    assert page["volume"](at, faces) == pytest.approx(4 / 3 * math.pi * 0.79**3, rel=0.02)


@pytest.mark.parametrize("style", ["rounded", "angular"])
@pytest.mark.parametrize("kind", list(studio.PRODUCTS))
def test_every_product_is_closed_and_of_a_size_that_a_shop_sells(page, kind, style):
    mesh = studio.mesh(kind, style, resolution=56)
    assert page["is_closed"](mesh.faces)
    assert page["volume"](mesh.vertices, mesh.faces) > 0
    assert torch.allclose(page["normals"](mesh.vertices, mesh.faces).norm(dim=1), torch.ones(1), atol=1e-5)
    tall = (mesh.vertices[:, 1].max() * page["METRES"][kind]).item()
    low, high = {"mug": (0.07, 0.13), "bottle": (0.25, 0.35), "vase": (0.2, 0.35), "bag": (0.25, 0.5)}.get(
        kind, (0.35, 1.7)
    )
    assert low < tall < high


def test_a_hole_or_a_face_turned_over_is_not_closed(page, chair):
    assert page["is_closed"](chair.faces)
    assert not page["is_closed"](chair.faces[1:])
    turned = chair.faces.clone()
    turned[0] = turned[0].flip(0)
    assert not page["is_closed"](turned)


def test_the_volume_does_not_depend_on_where_the_product_stands(page, chair):
    here = page["volume"](chair.vertices, chair.faces)
    there = page["volume"](chair.vertices + torch.tensor([3.0, -2, 5]), chair.faces)
    assert there == pytest.approx(here, rel=1e-4)


# ---------------------------------------------------------------- on the page


def test_the_viewer_fetches_nothing_and_is_told_in_words(page, chair):
    still = studio.render("chair", image_size=32)[0]
    html = page["viewer"](page["as_glb"](chair, "chair"), still, "A chair.", "chair")
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert html.count('alt="A chair."') == 2  # of the model, and of its still
    assert 'download="chair.glb"' in html and "camera-controls" in html
    assert not re.search(r"\sar[\s>]", html)  # only the page's script offers the room, over https


def test_the_turntable_stands_until_asked_and_for_good_where_motion_disturbs(page):
    frames = torch.rand(6, 3, 16, 16) * 2 - 1
    html = page["turntable"]({"a chair": frames})
    assert "infinite paused" in html and "input:checked ~ figure .reel" in html
    calm = html[html.index("prefers-reduced-motion: reduce") :]
    assert "animation: none" in calm and "display: none" in calm
    assert 'role="img" aria-label="a chair"' in html and "<script" not in html
    assert "http" not in html


def test_a_reel_has_its_frames_side_by_side(page):
    frames = torch.linspace(-1, 1, 4)[:, None, None, None].expand(4, 3, 16, 16)
    picture = Image.open(io.BytesIO(base64.b64decode(page["reel"](frames, "a chair").partition(",")[2])))
    assert picture.size == (64, 16)
    levels = np.asarray(picture.convert("L"))[8, 8::16].astype(int)
    assert np.abs(levels - [0, 85, 170, 255]).max() < 8


@pytest.mark.parametrize(
    ("name", "source"),
    [("chair, drawn", "/trainedAlgorithmicMedia"), ("chair, rendered", "/algorithmicMedia")],
)
def test_a_reel_s_file_says_that_a_program_made_it(page, name, source):
    written = page["reel"](torch.zeros(2, 3, 16, 16), name).partition(",")[2]
    said = Image.open(io.BytesIO(base64.b64decode(written))).info["xmp"].decode()
    assert f"not photographed: {name}, from 2 sides." in said and source in said


# ---------------------------------------------------------------- trying on


def test_a_spline_goes_through_its_marks_and_leaves_affine_maps_alone(page):
    rng = torch.Generator().manual_seed(1)
    marks, values, points = torch.rand(3, 15, 2, generator=rng)
    f = page["thin_plate"](marks, values)
    assert torch.allclose(f(marks), values, atol=1e-5)
    matrix = torch.randn(2, 2, generator=rng)
    flat = page["thin_plate"](marks, marks @ matrix)
    assert torch.allclose(flat(points), points @ matrix, atol=1e-4)
    assert flat(points).dtype == torch.float32


def test_marks_on_one_line_hold_no_spline(page):
    line = torch.arange(5.0)[:, None] * torch.tensor([[1.0, 2.0]])
    with pytest.raises(RuntimeError, match="singular"):
        page["thin_plate"](line, line)


def test_among_affine_maps_none_is_nearer_to_the_marks(page):
    rng = torch.Generator().manual_seed(2)
    marks, values = torch.rand(2, 12, 2, generator=rng)
    best = (page["affine"](marks, values)(marks) - values).square().sum()
    for other in (page["paste"](marks, values), lambda p: p):
        assert best < (other(marks) - values).square().sum()


def test_a_paste_takes_box_to_box(page):
    marks, values = torch.tensor([[0.0, 0], [1, 2]]), torch.tensor([[-1.0, 0], [1, 1]])
    assert torch.allclose(page["paste"](marks, values)(marks), values)


def test_the_truth_takes_joint_to_joint_and_side_to_side(page):
    body, flat = page["Body"](sway=0.1, arms=60), page["Body"](chest=0.33, waist=0.2, arms=30)
    for side in (-1, 1):
        here, there = (page["joints"](one, side) for one in (body, flat))
        assert torch.allclose(page["worn"](body, flat, here[2:]), there[2:], atol=0.01)  # the hands
        y = torch.tensor([-0.2])
        edge, goal = (page["middle"](b, y) + side * page["half_width"](b, y) for b in (body, flat))
        goal = goal - page["middle"](flat, y)
        found = page["worn"](body, flat, torch.stack([edge, y], dim=1))
        assert found[0, 0].item() == pytest.approx(goal.item(), abs=0.02)


def test_a_forearm_before_the_trunk_shows_the_sleeve(page):
    crossed, flat = page["Body"](arms=15, bend=-105), page["Body"](arms=15)
    elbow, hand = page["joints"](crossed, 1)[1:]
    middle = (elbow + hand)[None] / 2
    goal = page["joints"](flat, 1)[1:].mean(dim=0)
    assert torch.allclose(page["worn"](crossed, flat, middle)[0], goal, atol=0.02)


def test_a_mannequin_is_lit_from_the_left_and_has_the_parts_it_should(page):
    light, there = page["mannequin"](page["Body"]())
    half = page["SIZE"] // 2
    assert light[half, half - 8] > light[half, half + 8]
    assert there[10, half] and there[half, half] and not there[2, 2]
    assert 0.1 < there.float().mean() < 0.5 and (light[there] <= 1).all()


def test_a_garment_is_cut_from_its_ground_and_measured(page, shirt):
    bright, mask = page["cut_out"](shirt)
    assert mask[12 * 2, 6 * 2] == 0 and mask[6 * 2, 6 * 2] == 1 and mask[15 * 2, 14 * 2] == 1
    assert bright[6 * 2, 6 * 2] == pytest.approx(0.75, abs=0.02)
    garment, flat = page["laid_out"](shirt, 38.0)
    assert garment.shape == (2, page["SIZE"], page["SIZE"])
    wide, tall = (10 / 20, (page["TOP"] - page["HEM"]) / 2)  # of the trunk to the height
    assert flat.hip == pytest.approx(wide * tall, abs=0.03) and flat.arms == 38.0


def test_the_largest_piece_alone_is_the_garment(page, shirt):
    dusty = shirt.clone()
    dusty[:, 26, 1:3] = 1.0
    assert page["cut_out"](dusty)[1][50:, :8].sum() == 0


def test_without_cloth_the_mannequin_is_bare_and_cloth_hides_it(page, shirt):
    body = page["Body"]()
    light, there = page["mannequin"](body)
    bare = page["dressed"](body, torch.zeros(2, page["SIZE"], page["SIZE"]))
    assert torch.allclose(bare, torch.where(there, 0.8 * light, 1.0).expand(3, -1, -1))
    garment, flat = page["laid_out"](shirt, 38.0)
    on = page["dressed"](body, page["cloth_at"](garment, body, page["worn"](body, flat, page["pixels"]())))
    half = page["SIZE"] // 2
    assert on[2, half, half] > on[0, half, half]  # the cloth is blue
    assert torch.equal(on[:, 10, half], bare[:, 10, half])  # the head stays


def test_a_fold_is_seen_without_a_truth(page):
    body = page["Body"]()
    assert page["folded"](lambda p: 2 * p + 1, body) == 0
    assert page["folded"](lambda p: p * torch.tensor([1.0, -1.0]), body) == 1
    assert 0.2 < page["folded"](lambda p: torch.stack([p[:, 0].abs(), p[:, 1]], dim=1), body) < 0.8


class Shop:
    """Stands for the test photos: the same shirt in every class."""

    class_names = ("T-shirt/top", "Pullover")

    def __init__(self, photo: torch.Tensor) -> None:
        self.photo = photo

    def of_class(self, number: int) -> "Shop":
        return self

    def __len__(self) -> int:
        return 5

    def batch(self, places: torch.Tensor) -> torch.Tensor:
        return self.photo.expand(len(places), -1, -1, -1)


def test_a_seed_scores_all_ways_in_all_poses_and_again_the_same(page, shirt):
    rows = page["one_seed"](Shop(shirt), 3, n=1)
    ways = {*page["WAYS"], "unmoved", "truth, moved"}
    assert {(row["pose"], row["way"]) for row in rows} == {(p, w) for p in page["POSES"] for w in ways}
    assert rows == page["one_seed"](Shop(shirt), 3, n=1)
    error = {(row["pose"], row["way"]): row["error"] for row in rows}
    for pose in page["POSES"]:
        assert 0 < error[pose, "truth, moved"] < min(error[pose, way] for way in ("unmoved", *page["WAYS"]))
    assert error["arms raised", "spline"] < error["arms raised", "affine"]


def test_the_record_is_of_twenty_seeds_that_no_pilot_saw(page):
    rows = recorded.load_result(NAME)["values"]
    assert {row["seed"] for row in rows} == set(range(100, 120))
    assert len(rows) == 20 * 3 * 5
    assert {row["pose"] for row in rows} == set(page["POSES"])


# ---------------------------------------------------------------- the turn


def test_a_shape_is_found_among_others_and_one_product_does_not_drift(page):
    shapes, angles = page["shape_grid"](2), torch.tensor([0.0, 100.0, 215.0])
    seen = studio.render("bag", shape=shapes[3], azimuth=angles, elevation=page["ELEVATION"])
    found = page["read_shapes"](data.to_float(seen), shapes, angles, label="bag")
    assert torch.equal(found, shapes[3].expand(3, -1)) and page["drift"](found) == 0
    assert page["drift"](torch.tensor([[0.0, 0, 0], [0, 0, 1]])) == 0.5


def test_a_turn_keeps_z_and_what_is_asked_and_changes_the_angle_alone(page):
    asked_of = []

    class Still(torch.nn.Module):
        condition = studio.CONDITION

        def forward(self, z, condition):
            asked_of.append((z, condition))
            return z.new_zeros(len(z), 3, 8, 8)

    angles = torch.tensor([0.0, 90.0, 180.0])
    page["turned"](Still(), torch.ones(1, 4), angles, label="mug", style="rounded", colour="red")
    [(z, condition)] = asked_of
    assert torch.equal(z, torch.ones(3, 4))
    read = models.decode(studio.CONDITION, condition)
    assert torch.allclose(read["azimuth"], angles, atol=1e-3)
    place = studio.CONDITION.places["azimuth"]
    rest = torch.cat([condition[:, : place.start], condition[:, place.stop :]], dim=1)
    assert (rest == rest[0]).all()
