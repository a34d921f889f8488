"""Studio: our own product photographer. Synthetic products on white, in colour, from any side.

A picture is made by sphere tracing (Hart, 1996): along a ray one may always go as far as the product's signed
distance says. The product stands on a turntable; camera and lights stay where they are.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from prodgen.data.cache import cache_dir, map_bytes, write_cache
from prodgen.data.condition import LABEL, Condition, Factor
from prodgen.data.dataset import ImageDataset
from prodgen.data.info import DataInfo
from prodgen.data.products import CENTRE, PRODUCTS, REACH, SHAPE_SIZE, STYLES, TOP, product
from prodgen.device import best_device, random_stream
from prodgen.errors import DataError

COLOURS = {  # sRGB
    **{"red": (0.80, 0.12, 0.12), "orange": (0.93, 0.48, 0.10), "yellow": (0.92, 0.80, 0.14)},
    **{"green": (0.20, 0.60, 0.22), "teal": (0.10, 0.60, 0.60), "blue": (0.14, 0.30, 0.80)},
    **{"purple": (0.46, 0.20, 0.66), "pink": (0.92, 0.42, 0.64)},
}
CONDITION = Condition(
    (
        *(Factor(LABEL, tuple(PRODUCTS)), Factor("style", tuple(STYLES)), Factor("colour", tuple(COLOURS))),
        Factor("material", ("matte", "glossy", "metallic")),
        *(Factor("azimuth", period=360.0), Factor("elevation", bounds=(5.0, 45.0))),
    )
)
INFO = DataInfo(
    name="studio",
    title="Synthetic product photos, rendered on this machine: nine kinds of product from any side",
    licence="MIT",
    source="prodgen.data.studio",
    image_size=64,
    channels=3,
    images={"train": 10_000, "test": 1_000},
    class_names=tuple(PRODUCTS),
)
IMAGE_SIZES = (32, 64, 128)
DISTANCE, VIEW = 4.2, math.tan(math.radians(16))  # of the camera; half its picture's side, a unit away
KEY, FILL = (-0.50, 0.70, 0.51), (0.77, 0.26, 0.58)  # where the two lamps are, from the product
SOFTBOXES = ((-0.9, 0.25), (1.2, 0.14), (2.8, 0.1), (-2.8, 0.1))  # round the product: middle, half width
GAMMA = 2.2  # sRGB's, nearly
# Waves of what cannot be polished, in radians a unit: specks in matte clay, lines on brushed metal. With
# highlights alone a table's top tells no material; these are wide enough to be seen at 64 pixels.
SPECKS = ((46, 21, 11), (-18, 43, 26), (13, -27, 45), (37, -35, 16), (-30, -14, 43), (22, 40, -32))
LINES = (31, 47, 68, 83)


class Mesh(NamedTuple):
    """vertices float32 (V, 3), faces int64 (F, 3) counter-clockwise from outside, colours uint8 (V, 3)."""

    vertices: Tensor
    faces: Tensor
    colours: Tensor


def random_factors(n: int, seed: int) -> dict[str, Tensor]:
    """What `render` takes, drawn at random: the condition's factors (n,), and shape, float32 (n, 3)."""
    rng, (low, high) = random_stream(seed, INFO.name), CONDITION["elevation"].bounds
    named = (factor for factor in CONDITION.factors if factor.values)
    return {
        **{factor.name: torch.randint(len(factor.values), (n,), generator=rng) for factor in named},
        "azimuth": 360 * torch.rand(n, generator=rng),
        "elevation": low + (high - low) * torch.rand(n, generator=rng),
        "shape": torch.rand(n, SHAPE_SIZE, generator=rng),
    }


def render(
    label: Any, style: Any = "rounded", colour: Any = "red", material: Any = "matte", azimuth: Any = 30.0,
    elevation: Any = 20.0, shape: Any = 0.5, image_size: int = 64, device: torch.device | str = "cpu",
) -> Tensor:  # fmt: skip
    """Photos of exactly the products asked for: uint8 (n, 3, image_size, image_size), on the CPU.

    Each factor has one value for all, or n. label, style, colour, material: names or numbers, see CONDITION;
    a colour also as sRGB, floats in [0, 1], (3,) or (n, 3). azimuth: degrees that the camera has gone round,
    from the product's front towards its right. elevation: degrees above the floor, 5 to 45. shape: in [0, 1],
    (3,) or (n, 3). image_size: 32, 64 or 128. device: where to render.
    Raises DataError for what there is not.
    """
    if image_size not in IMAGE_SIZES:
        raise DataError(f"The studio renders at {', '.join(map(str, IMAGE_SIZES))} pixels, not {image_size}.")
    asked = [
        *(_known(LABEL, label), _known("style", style), _colour(colour), _unit("shape", shape)),
        *(_known("material", material), _known("azimuth", azimuth), _known("elevation", elevation)),
    ]
    n = max(map(len, asked))
    if lengths := {len(values) for values in asked} - {1, n}:
        raise DataError(f"{n} photos cannot have {', '.join(map(str, sorted(lengths)))} values of a factor.")
    label, style, *rest = (values.expand(n, *values.shape[1:]).to(device) for values in asked)
    images = torch.empty(n, 3, image_size, image_size, dtype=torch.uint8)
    rays = 2**18 if rest[0].device.type == "cpu" else 2**22  # at once: as the cache, or as the GPU, likes it
    for kind in torch.stack([label, style], 1).unique(dim=0):
        rows = ((label == kind[0]) & (style == kind[1])).nonzero().squeeze(1)
        for some in rows.split(max(1, rays // (2 * image_size) ** 2)):
            photos = _photograph(product(*kind.tolist()), *(values[some] for values in rest), image_size)
            images[some.cpu()] = (255 * photos).round().to(torch.uint8).cpu()
    return images


def mesh(label: Any, style: Any = "rounded", colour: Any = "red", shape: Any = 0.5, resolution=128) -> Mesh:
    """One product's closed surface, by marching cubes, `resolution` of them along each side.

    The factors are those of `render`, one value each. Axes and winding are those of glTF: y up, z to the
    front; the product stands at y = 0 and is less than 1.75 high.  Raises DataError for what there is not.
    """
    from skimage.measure import marching_cubes  # here, because not everyone who takes photos needs it

    at = torch.linspace(-REACH, REACH, resolution + 1)
    distance = product(int(_known(LABEL, label)), int(_known("style", style)))
    levels = distance(*torch.meshgrid(at, at + CENTRE, at, indexing="ij"), *_unit("shape", shape)[0])
    found, faces, *_ = marching_cubes(levels.numpy(), 0.0)
    vertices = torch.from_numpy(found.copy()) * (at[1] - at[0]) - REACH + at.new_tensor([0, CENTRE, 0])
    colours = (255 * _colour(colour)[0]).round().to(torch.uint8).expand(len(vertices), 3)
    return Mesh(vertices.float(), torch.from_numpy(faces.astype(np.int64)), colours)


def dataset(factors: dict[str, Tensor], split: str, images: Tensor) -> ImageDataset:
    """Rendered images, uint8 (n, 3, S, S), and their factors; the shape is known, but not to be asked for."""
    return ImageDataset(INFO.name, split, images, INFO.licence, INFO.source, factors, CONDITION)


def load(split: str = "train", image_size: int = 64) -> ImageDataset:
    """Split "train" (10,000) or "test" (1,000) of random products, memory-mapped from the cache.

    They are rendered if need be, once: about two minutes of two cores at 64 pixels. Some are rendered each
    time and compared, so that the cache never has what another version drew.  Raises DataError for another
    split or size.
    """
    if split not in INFO.images:
        raise DataError(f"{INFO.name} has no split {split!r}; it has: {', '.join(INFO.images)}.")
    factors = random_factors(INFO.images[split], list(INFO.images).index(split))
    path = cache_dir() / INFO.name / f"{split}-{image_size}"
    if not _is_current(path, factors, image_size):
        print(f"{INFO.name}: rendering {INFO.images[split]:,} photos, once", file=sys.stderr, flush=True)
        images = render(**factors, image_size=image_size, device=best_device())
        with write_cache(path) as file:
            file.write(images.numpy())
    return dataset(factors, split, _cached(path, image_size))


def _cached(path: Path, image_size: int) -> Tensor:
    return torch.from_numpy(map_bytes(path)).view(-1, 3, image_size, image_size)


def _is_current(path: Path, factors: dict[str, Tensor], image_size: int) -> bool:
    """Whether the file has the pictures that would be drawn today: the first of each kind tell."""
    kinds = (factors[LABEL] * len(STYLES) + factors["style"]).tolist()
    first = torch.tensor([kinds.index(kind) for kind in sorted(set(kinds))])
    drawn = render(**{name: values[first] for name, values in factors.items()}, image_size=image_size)
    try:
        cached = _cached(path, image_size)
    except (OSError, ValueError, RuntimeError):  # not there, empty, or cut off
        return False
    # Processors round differently, which moves a level here and there.
    return len(cached) == len(kinds) and bool((cached[first].float() - drawn).abs().mean() < 0.05)


def _known(name: str, asked: Any) -> Tensor:
    """The numbers of named values, int64, or degrees, float32: (n,).  Raises DataError as `Factor.encode`."""
    places = CONDITION[name].encode(asked)
    if not places.any(dim=1).all():
        raise DataError(f"A photo cannot leave its {name} open; say which.")
    if CONDITION[name].values:
        return places.argmax(1)
    return torch.as_tensor(asked, dtype=torch.float32).reshape(-1)


def _colour(asked: Any) -> Tensor:
    """Names, numbers or sRGB -> sRGB, float32 (n, 3)."""
    if np.asarray(asked).dtype.kind == "f":
        return _unit("colour", asked)
    return torch.tensor(list(COLOURS.values()))[_known("colour", asked)]


def _unit(name: str, asked: Any) -> Tensor:
    """float32 (n, 3); one number stands for three.  Raises DataError outside [0, 1]."""
    given = torch.as_tensor(asked, dtype=torch.float32)
    given = given if given.ndim else given.expand(3)
    if given.shape[-1] != 3 or not ((given >= 0) & (given <= 1)).all():
        raise DataError(f"A {name} is three numbers from 0 to 1.")
    return given.reshape(-1, 3)


def _rays(tilt: Tensor, side: int) -> Tensor:
    """Unit vectors from n cameras through the middles of side * side pixels: (3, n, side * side)."""
    at = ((torch.arange(side, device=tilt.device) + 0.5) / side * 2 - 1) * VIEW
    v, u = (grid.flatten() for grid in torch.meshgrid(-at, at, indexing="ij"))
    sin, cos = tilt.sin()[:, None], tilt.cos()[:, None]
    rays = torch.stack(torch.broadcast_tensors(u, v * cos - sin, -cos - v * sin))
    return rays / (rays * rays).sum(0).sqrt()


def _turned(vectors: Tensor, angle: Tensor) -> Tensor:
    """Vectors (3, ...) of the studio in the axes of a product that the camera has gone round by `angle`."""
    (x, y, z), sin, cos = vectors, angle.sin(), angle.cos()
    return torch.stack(torch.broadcast_tensors(x * cos + z * sin, y, z * cos - x * sin))


def _dot(vectors: Tensor, one: tuple[float, ...]) -> Tensor:
    return sum(part * number for part, number in zip(vectors, one, strict=True))


def _trace(distance: Callable, start: Tensor, rays: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the n * P rays hit, int64 (M,), and where (3, M).  start, shape (3, n, 1), rays (3, n, P)."""
    along = _dot(rays, (0, -CENTRE, 0)) + (rays * start).sum(0)
    half, down = along**2 - DISTANCE**2 + REACH**2, rays[1].clamp(max=-1e-6)
    near = torch.maximum(-along - half.clamp(min=0).sqrt(), ((TOP - start[1]) / down).clamp(max=DISTANCE))
    left = torch.minimum(-along + half.clamp(min=0).sqrt(), -start[1] / down) - near
    at = ((half > 0) & (left > 0)).flatten().nonzero().squeeze(1)
    state = torch.cat([start + near * rays, rays, shape.expand_as(rays), left[None]]).flatten(1)[:, at]
    found = []
    for _ in range(80):  # more than a few need, and enough for all
        gap = distance(*state[:3], *state[6:9])
        hit = (gap < 0.002).nonzero().squeeze(1)
        found.append((at[hit], state[:3, hit]))
        state[:3] += gap * state[3:6]
        state[9] -= gap
        moving = ((gap >= 0.002) & (state[9] > 0)).nonzero().squeeze(1)
        at, state = at[moving], state[:, moving]  # nothing else is evaluated any more
        if not len(at):
            break
    ats, points = zip(*found, strict=True)
    return torch.cat(ats), torch.cat(points, dim=1)


def _openness(distance: Callable, point: Tensor, way: Tensor, shape: Tensor, shares: dict) -> Tensor:
    """What is left of the light when the product stands near the way out; shares: how far out -> how much."""
    nearness = ((1 - distance(*(point + far * way), *shape) / far).clamp(0, 1) for far in shares)
    return 1 - sum(share * near for share, near in zip(shares.values(), nearness, strict=True))


def _shade(normal, view, point, albedo, light: Tensor, material: Tensor) -> Tensor:
    """The linear light that a surface sends to the camera: all (3, M), but light and material (M,).

    normal and view have the studio's axes, point the product's. light: how open the place lies, 0 to 1.
    """
    facing = (normal * view).sum(0).clamp(0, 1)
    x, y, z = 2 * facing * normal - view  # what a mirror would show
    round_product = torch.atan2(x, z)
    boxes = sum(torch.sigmoid((width - (round_product - at).abs()) * 30) for at, width in SOFTBOXES)
    boxes, fresnel = boxes * torch.sigmoid((0.8 - y.abs()) * 20), 0.04 + 0.96 * (1 - facing) ** 5
    lamps = 0.75 * _dot(normal, KEY).clamp(min=0) + 0.12 * _dot(normal, FILL).clamp(min=0)
    diffuse = albedo * light * (0.4 + 0.2 * normal[1] + lamps)
    specks = sum(torch.sin(_dot(point, wave) + phase) for phase, wave in enumerate(SPECKS))
    along = torch.where(normal[1].abs() > 0.7, point[[0, 2]].square().sum(0).sqrt(), point[1])
    lines = sum(torch.sin(wave * along + phase) for phase, wave in enumerate(LINES))
    matte = diffuse * (1 - 0.3 * torch.sigmoid((specks - 1.6) * 4))
    glossy = diffuse + light * fresnel * (0.3 + 0.5 * torch.sigmoid(6 * y) + 7 * boxes)
    tent = 0.06 + 0.8 * torch.sigmoid(9 * y) + 0.4 * torch.sigmoid(-8 * (y + 0.45))  # dark at the horizon
    metal = albedo * tent + (albedo + (1 - albedo) * (0.2 + 0.6 * fresnel)) * 1.2 * boxes
    metal = light * (metal + 0.5 * fresnel * tent) * (1 + 0.16 * lines)
    return torch.where(material == 0, matte, torch.where(material == 1, glossy, metal))


@torch.no_grad()
def _photograph(distance, colour, shape, material, azimuth, elevation, size: int) -> Tensor:
    """n products of one kind: float32 (n, 3, size, size) sRGB in [0, 1].

    distance as `products.product`; colour, shape (n, 3); material int64 (n,); angles in degrees (n,).
    """
    n, side, turn, tilt, shape = len(shape), 2 * size, azimuth.deg2rad(), elevation.deg2rad(), shape.T
    eye = torch.stack([0 * tilt, CENTRE + DISTANCE * tilt.sin(), DISTANCE * tilt.cos()])[..., None]
    rays = _rays(tilt, side)
    start, turned_rays = _turned(eye, turn[:, None]), _turned(rays, turn[:, None])
    seen, point = _trace(distance, start, turned_rays, shape[..., None])
    image = seen // side**2
    here = shape[:, image]
    ways = 0.008 * point.new_tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])[..., None]
    slope = sum(way * distance(*(point + way), *here) for way in ways) / (4 * 0.008**2)
    steep = slope.square().sum(0).sqrt().clamp(min=1e-9)
    normal = slope / steep
    light = _openness(distance, point, normal / steep, here, {0.05: 0.25, 0.14: 0.25, 0.32: 0.25})
    normal, albedo = _turned(normal, -turn[image]), colour.T[:, image] ** GAMMA
    shade = _shade(normal, -rays.flatten(1)[:, seen], point, albedo, light, material[image])
    # The floor's shadow is soft: once a pixel is enough.
    rays = _rays(tilt, size)
    floor = eye - rays * (eye[1] / rays[1].clamp(max=-1e-6))
    near = (floor[[0, 2]].square().sum(0) < 2.5).flatten().nonzero().squeeze(1)
    image = near // size**2
    point, way = _turned(floor.flatten(1)[:, near], turn[image]), point.new_tensor([[0.35], [0.9], [-0.25]])
    shares = {0.04: 0.24, 0.12: 0.2, 0.28: 0.16, 0.5: 0.12, 0.8: 0.08}
    white = torch.ones(n * size**2, device=turn.device)
    white[near] = _openness(distance, point, _turned(way, turn[image]), shape[:, image], shares)
    photos = white.view(n, size, 1, size, 1).expand(3, n, size, 2, size, 2).reshape(3, -1)
    photos[:, seen] = shade.clamp(0, 1)
    # Averaged as the eye sees them: averages of light would leave steps along dark edges.
    return avg_pool2d((photos ** (1 / GAMMA)).view(3, n, side, side), 2).transpose(0, 1)
