"""The studio photographs what geometry and its own words say, and its meshes are what it photographs."""

import colorsys
import inspect
import math

import pytest
import torch

from prodgen import data
from prodgen.data import products, studio

SIZE = 64
WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


def photo(label="mug", **asked) -> torch.Tensor:
    """One photo, float (3, H, W) in [0, 1]."""
    return studio.render(label, **asked)[0] / 255


def silhouette(label="mug", **asked) -> torch.Tensor:
    """Where the product is, bool (n, H, W): a matte black one is darker than any shadow."""
    return studio.render(label, **asked | {"colour": BLACK, "material": "matte"}).amax(1) < 100


def centres(side: int, elevation: float) -> torch.Tensor:
    """Unit vectors (side, side, 3) from the camera, which looks at the centre from DISTANCE away."""
    e = math.radians(elevation)
    forward = torch.tensor([0, -math.sin(e), -math.cos(e)])
    right, up = torch.tensor([1.0, 0, 0]), torch.tensor([0, math.cos(e), -math.sin(e)])
    at = (torch.arange(side) + 0.5) / side * 2 - 1
    offsets = at[None, :, None] * right - at[:, None, None] * up
    return torch.nn.functional.normalize(forward + studio.VIEW * offsets, dim=-1)


@pytest.fixture
def sphere(monkeypatch):
    """A ball with a radius of 0.6 round the point that the camera looks at, sold as a vase."""
    radius = 0.6

    def distance(x, y, z, a, b, c, square):
        return (x * x + (y - products.CENTRE) ** 2 + z * z).sqrt() - radius

    monkeypatch.setitem(products.PRODUCTS, "vase", distance)
    return radius


@pytest.mark.parametrize("elevation", [5.0, 40.0])
def test_a_sphere_s_silhouette_is_the_analytic_one(sphere, elevation):
    # A ray that leaves the axis by more than asin(radius / distance) passes the sphere.
    rays = centres(4 * SIZE, elevation)
    away = (rays @ centres(1, elevation)[0, 0]).clamp(max=1).acos()
    covered = (away < math.asin(sphere / studio.DISTANCE)).float().view(SIZE, 4, SIZE, 4).mean((1, 3))
    seen = silhouette("vase", elevation=elevation)[0]
    assert seen[covered == 1].all() and not seen[covered == 0].any()
    assert covered.sum() == pytest.approx(
        math.pi * (SIZE / 2 * math.tan(math.asin(sphere / 4.2)) / studio.VIEW) ** 2, rel=0.01
    )


def test_a_sphere_s_shading_is_the_analytic_one(sphere, monkeypatch):
    monkeypatch.setattr(studio, "SPECKS", ((0, 0, 0),))  # polished clay
    elevation, albedo = 20.0, 0.5**studio.GAMMA
    got = photo("vase", colour=(0.5, 0.5, 0.5), elevation=elevation)
    e = math.radians(elevation)
    eye = studio.DISTANCE * torch.tensor([0, math.sin(e), math.cos(e)])
    rays = centres(SIZE, elevation)
    along = rays @ eye
    inside = along**2 - studio.DISTANCE**2 + sphere**2
    normal = (eye + (-along - inside.clamp(min=0).sqrt())[..., None] * rays) / sphere
    lamps = 0.75 * (normal @ torch.tensor(studio.KEY)).clamp(min=0)
    lamps = lamps + 0.12 * (normal @ torch.tensor(studio.FILL)).clamp(min=0)
    expected = (albedo * (0.4 + 0.2 * normal[..., 1] + lamps)) ** (1 / studio.GAMMA)
    expected = expected * (1 - 0.3 * torch.sigmoid(torch.tensor((0 - 1.6) * 4))) ** (1 / studio.GAMMA)
    well_inside = inside > 0.05
    assert well_inside.sum() > 500
    assert (got[:, well_inside] - expected[well_inside]).abs().max() < 0.01


@pytest.mark.parametrize("material", studio.CONDITION["material"].values)
def test_hues_are_recovered_from_pixels(material):
    for name, rgb in studio.COLOURS.items():
        pixels = photo("bottle", colour=name, material=material)[:, silhouette("bottle")[0]]
        most_colourful = (pixels.amax(0) - pixels.amin(0)).topk(100).indices
        hue, asked = (
            colorsys.rgb_to_hsv(*map(float, c))[0] for c in (pixels[:, most_colourful].mean(1), rgb)
        )
        assert abs((hue - asked + 0.5) % 1 - 0.5) < 12 / 360, name


def test_the_same_is_the_same_and_a_full_turn_changes_nothing():
    asked = studio.random_factors(12, seed=3)
    once = studio.render(**asked)
    assert (
        torch.equal(once, studio.render(**asked))
        and once.dtype == torch.uint8
        and once.shape == (12, 3, 64, 64)
    )
    again = studio.random_factors(12, seed=3)
    assert all(torch.equal(values, again[name]) for name, values in asked.items())
    assert not torch.equal(asked["shape"], studio.random_factors(12, seed=4)["shape"])
    round_ = studio.render(**asked | {"azimuth": asked["azimuth"] + 360})
    assert (once.float() - round_.float()).abs().mean() < 0.01  # 360 degrees are not exact in radians


def test_names_numbers_and_a_photo_alone_ask_for_the_same():
    asked = studio.random_factors(6, seed=5)
    named = {
        k: [studio.CONDITION[k].values[i] for i in asked[k]] for k in ("label", "style", "colour", "material")
    }
    together = studio.render(**asked)
    assert torch.equal(together, studio.render(**asked | named))
    rgb = torch.tensor([studio.COLOURS[name] for name in named["colour"]])
    assert torch.equal(together, studio.render(**asked | {"colour": rgb}))
    alone = torch.cat([studio.render(**{k: v[i : i + 1] for k, v in asked.items()}) for i in range(6)])
    assert (together.float() - alone.float()).abs().mean() < 0.01


@pytest.mark.parametrize("label", products.PRODUCTS)
def test_colour_and_material_leave_the_silhouette_and_the_floor(label):
    outside = ~silhouette(label)[0]
    outside = torch.nn.functional.max_pool2d(-outside[None].float(), 3, 1, 1)[0] == -1  # not on the edge
    photos = studio.render(label, colour=["red", "blue", "green"], material=["matte", "glossy", "metallic"])
    assert torch.equal(photos[0][:, outside], photos[1][:, outside])
    assert torch.equal(photos[0][:, outside], photos[2][:, outside])
    assert all(not torch.equal(photos[0], other) for other in photos[1:])


@pytest.mark.parametrize("label", products.PRODUCTS)
def test_style_and_each_number_of_the_shape_change_what_is_seen(label):
    shapes = torch.full((4, 3), 0.5)
    shapes[range(1, 4), range(3)] = 1.0
    seen = silhouette(label, shape=shapes)
    assert ((seen[1:] ^ seen[0]).sum((1, 2)) > 10).all()
    assert (silhouette(label, style="angular")[0] ^ seen[0]).sum() > 10


def test_only_products_with_a_front_tell_a_turn():
    quarters = torch.tensor([0.0, 90.0, 180.0, 270.0])
    for label in products.PRODUCTS:
        photos = studio.render(label, azimuth=quarters).float()
        apart = torch.tensor([(photos[i] - photos[j]).abs().mean() for i in range(4) for j in range(i)])
        assert label not in products.WITH_FRONT or apart.min() > 1, label
    for round_ in ("bottle", "vase", "lamp"):  # nothing but the speckle turns
        seen = silhouette(round_, azimuth=quarters)
        assert (seen ^ seen[0]).sum() <= 8


def test_the_handle_is_on_the_right_and_comes_to_the_front():
    width = silhouette("mug", azimuth=[0, 180])
    left, right = (width.any(1)[i].nonzero().flatten()[[0, -1]].float() for i in (0, 1))
    middle = (SIZE - 1) / 2
    assert right[1] - middle < left[1] - middle and middle - left[0] < middle - right[0]


def test_nothing_is_cut_off_and_the_corners_stay_white():
    turns = torch.arange(0, 360, 45.0)
    for label in products.PRODUCTS:
        for elevation in (5.0, 45.0):
            photos = studio.render(
                label, "angular", BLACK, azimuth=turns, elevation=elevation, shape=1.0, image_size=32
            )
            border = torch.cat([photos[..., 0, :], photos[..., -1, :], photos[..., 0], photos[..., -1]], -1)
            assert border.min() > 150, label
            assert (photos[:, :, 0, [0, -1]] == 255).all()


def test_shadows_lie_where_the_product_touches_the_floor():
    picture = photo("cabinet", colour=WHITE)
    seen = silhouette("cabinet")[0]
    below = seen.any(1).nonzero().max() + 2
    assert picture[:, below, seen.any(0)].mean() < picture[:, below, :4].mean() - 0.05
    assert (picture.amax(0) == picture.amin(0)).all()  # white light and a white floor: grey alone


@pytest.mark.parametrize("style", products.STYLES)
@pytest.mark.parametrize("label", products.PRODUCTS)
def test_a_mesh_is_closed_and_as_large_as_its_product(label, style):
    vertices, faces, colours = studio.mesh(label, style, "blue", (0.2, 0.9, 0.5), resolution=64)
    assert vertices.dtype == torch.float32 and faces.dtype == torch.int64
    assert (colours == torch.tensor([36, 76, 204], dtype=torch.uint8)).all() and len(colours) == len(vertices)
    # Closed: every edge is passed once each way. Outward: the volume is positive.
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there, back = (torch.unique(e[:, 0] * len(vertices) + e[:, 1]) for e in (edges, edges.flip(1)))
    assert len(there) == len(edges) and torch.equal(there, back)
    corners = vertices[faces].double()
    assert (corners[:, 0] * corners[:, 1].cross(corners[:, 2], dim=1)).sum() > 0
    assert abs(vertices[:, 1].min()) < 0.02 and vertices[:, 1].max() < products.TOP
    assert ((vertices - torch.tensor([0, products.CENTRE, 0])).norm(dim=1) < products.REACH).all()


def test_a_mesh_has_the_extent_that_the_shape_says():
    low, high = (studio.mesh("vase", shape=(a, 0.5, 0.5)).vertices[:, 1].max() for a in (0.0, 1.0))
    assert low == pytest.approx(1.2, abs=0.02) and high == pytest.approx(1.55, abs=0.02)


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path))
    monkeypatch.setitem(studio.INFO.images, "train", 6)
    return tmp_path / "studio" / "train-32"


def test_a_split_is_rendered_once_and_mapped_ever_after(small, capsys):
    first = studio.load("train", 32)
    assert "rendering 6 photos, once" in capsys.readouterr().err
    assert first.images.shape == (6, 3, 32, 32) and first.num_classes == len(products.PRODUCTS)
    kept = small.stat()
    second = studio.load("train", 32)
    assert capsys.readouterr().err == "" and second.digest() == first.digest()
    assert small.stat().st_mtime_ns == kept.st_mtime_ns
    assert torch.equal(first.images, studio.render(**first.factors, image_size=32))


def test_another_renderer_and_a_cut_off_file_are_not_served(small, monkeypatch, capsys):
    before = studio.load("train", 32).images.clone()
    monkeypatch.setattr(studio, "KEY", (0.5, 0.7, 0.51))
    assert not torch.equal(studio.load("train", 32).images, before)
    for content in (b"", small.read_bytes()[:-1], small.read_bytes()[: -3 * 32 * 32]):
        small.write_bytes(content)
        assert len(studio.load("train", 32)) == 6
    assert capsys.readouterr().err.count("once") == 5


def test_conditions_have_all_but_the_shape(small):
    dataset = studio.load("train", 32)
    conditions = dataset.conditions()
    assert conditions.shape == (6, studio.CONDITION.width) and conditions.any(1).all()
    places = studio.CONDITION.places
    assert torch.equal(conditions[:, places["colour"]].argmax(1), dataset.factors["colour"])
    turn = dataset.factors["azimuth"].deg2rad()
    torch.testing.assert_close(conditions[:, places["azimuth"]], torch.stack([turn.cos(), turn.sin()], 1))
    assert "shape" in dataset.subset([1, 2]).factors and set(dataset.only("colour").factors) == {"colour"}


def test_splits_share_no_product():
    train, test = (studio.random_factors(1000, seed)["shape"] for seed in (0, 1))
    assert len(torch.cat([train, test]).unique(dim=0)) == 2000


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"label": "teapot"}, "There is no label 'teapot'; there are: 0 mug"),
        ({"label": "mug", "style": "baroque"}, "There is no style 'baroque'"),
        ({"label": "mug", "colour": "beige"}, "There is no colour 'beige'"),
        ({"label": "mug", "colour": (0.1, 0.2, 1.3)}, "A colour is three numbers from 0 to 1"),
        ({"label": "mug", "colour": (0.1, 0.2)}, "A colour is three numbers from 0 to 1"),
        ({"label": "mug", "material": 3}, "material has the values 0 to 2"),
        ({"label": "mug", "elevation": 60.0}, "elevation goes from 5 to 45; 60 is outside"),
        ({"label": "mug", "azimuth": math.nan}, "cannot leave its azimuth open"),
        ({"label": -1}, "cannot leave its label open"),
        ({"label": "mug", "shape": 1.5}, "A shape is three numbers from 0 to 1"),
        ({"label": "mug", "image_size": 48}, "renders at 32, 64, 128 pixels, not 48"),
        ({"label": ["mug", "bag"], "azimuth": [1, 2, 3]}, "3 photos cannot have 2 values"),
    ],
)
def test_what_there_is_not_is_refused_in_one_sentence(asked, message):
    with pytest.raises(data.DataError, match=message):
        studio.render(**asked)


def test_unknown_splits_and_sizes_are_refused():
    with pytest.raises(data.DataError, match="no split 'all'; it has: train, test"):
        data.load("studio", "all")
    with pytest.raises(data.DataError, match="not 28"):
        studio.load("test", 28)


def test_docstrings_give_shapes_and_units():
    for function in (studio.render, studio.mesh, studio.random_factors, studio.load, studio.dataset):
        assert function.__doc__ and inspect.signature(function).return_annotation
    assert (
        "degrees" in studio.render.__doc__ and "uint8 (n, 3, image_size, image_size)" in studio.render.__doc__
    )
