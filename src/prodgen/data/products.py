"""What the studio has to sell: nine kinds of product as signed distance functions.

Such a function says how far a point is from the surface, negative inside. x goes to a product's right, y up
from the floor, z to its front; a unit is the same for all of them.
"""

import math
from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor

TOP, REACH, CENTRE = 1.75, 1.25, 0.7  # every product is below TOP, and within REACH of (0, CENTRE, 0)
SHAPE_SIZE = 3  # numbers in [0, 1] that shape a product


def _norm(u: Tensor, v: Tensor, sides: int = 0) -> Tensor:
    """Distance from a plane's origin; its circles are true ones, or polygons with an even number of sides."""
    if not sides:
        return (u * u + v * v).sqrt()
    turns = [math.tau * k / sides for k in range(sides // 2)]
    return reduce(torch.maximum, ((u * math.cos(t) + v * math.sin(t)).abs() for t in turns))


def _corner(u: Tensor, v: Tensor, edge: float) -> Tensor:
    """Where both are negative, with the corner between them rounded."""
    u, v = u + edge, v + edge
    return torch.maximum(u, v).clamp(max=0) + _norm(u.clamp(min=0), v.clamp(min=0)) - edge


def _rect(u: Tensor, v: Tensor, width, height, edge: float = 0.0) -> Tensor:
    """A rectangle with these half sides."""
    return _corner(u.abs() - width, v.abs() - height, edge)


def _solid(outline: Tensor, y: Tensor, low, high, edge: float = 0.02) -> Tensor:
    """A flat outline made solid from low to high."""
    return _corner(outline, (y - (low + high) / 2).abs() - (high - low) / 2, edge)


def _join(soft: float, *parts: Tensor) -> Tensor:
    """All parts; soft > 0 fills the corners between them."""
    whole = parts[0]
    for part in parts[1:]:
        gap = (soft - (whole - part).abs()).clamp(min=0)
        whole = torch.minimum(whole, part) - gap * gap / (4 * soft + 1e-9)
    return whole


def _hollow(whole: Tensor, hole: Tensor) -> Tensor:
    return torch.maximum(whole, -hole)


def _legs(x, y, z, width, depth, top, lean, square, thick=0.05) -> Tensor:
    """Four, standing out at the floor by `lean`."""
    out = lean * (1 - y / top)
    return 0.95 * _solid(_norm(x.abs() - width - out, z.abs() - depth - out, square) - thick, y, 0, top)


# Each takes points (x, y, z), shapes (a, b, c), and the number of sides of what is round, 0 for a circle. The
# distance may be too small but not too large: the factors below 1 make up for slopes that have stretched it.


def _mug(x, y, z, a, b, c, square):
    radius, top = 0.42 + 0.16 * a, 0.75 + 0.45 * b
    wall = _norm(x, z, square and 6) - radius
    cup = _hollow(_solid(wall, y, 0, top, 0.03), _solid(wall + 0.08, y, 0.1, 3))
    ring = _norm(_norm(x - radius, y - top / 2, square) - 0.2 - 0.1 * c, z, square) - 0.06
    return _join(0.01 if square else 0.08, cup, _hollow(ring, wall + 0.04))


def _bottle(x, y, z, a, b, c, square):
    radius, neck, t = 0.3 + 0.14 * a, 0.1 + 0.06 * b, ((y - 0.65 - 0.35 * c) / 0.38).clamp(0, 1)
    across, t = _norm(x, z, square), t if square else t * t * (3 - 2 * t)
    body = 0.65 * _solid(across - radius + (radius - neck) * t, y, 0, 1.5, 0.04)
    return _join(0, body, _solid(across - neck - 0.05, y, 1.42, 1.62))


def _vase(x, y, z, a, b, c, square):
    top = 1.2 + 0.35 * a
    u = ((y / top - 0.3 - 0.25 * c).abs() / 0.55).clamp(max=1)
    belly = (0.14 + 0.22 * b) * (1 - u if square else (1 - u * u) ** 2)
    wall = _norm(x, z, square and 6) - 0.2 - 0.1 * (y / top).clamp(0, 1) ** 6 - belly
    return 0.65 * _hollow(_solid(wall, y, 0, top, 0.03), _solid(wall + 0.07, y, 0.15, 3))


def _lamp(x, y, z, a, b, c, square):
    wide, narrow, t = 0.44 + 0.16 * a, 0.14 + 0.16 * b, ((y - 0.9) / 0.65).clamp(0, 1)
    across = _norm(x, z, square)
    shade = 0.85 * _solid((across - wide + (wide - narrow) * t).abs() - 0.025, y, 0.9, 1.55, 0.01)
    foot, stem = _solid(across - 0.22 - 0.14 * c, y, 0, 0.09), _solid(across - 0.045, y, 0, 1.3)
    return _join(0, shade, foot, stem, _norm(_norm(x, z), y - 1.25) - 0.11)


def _stool(x, y, z, a, b, c, square):
    radius, top, lean = 0.36 + 0.13 * a, 0.85 + 0.4 * b, 0.03 + 0.15 * c
    across, at = _norm(x, z, square), 0.62 * radius
    seat = _solid(across - radius, y, top - 0.1, top, 0.01 if square else 0.05)
    rest = _norm(across - (at + lean * 0.62) * (1 if square else 1.41), y - 0.38 * top, square) - 0.03
    return _join(0, seat, rest, _legs(x, y, z, at, at, top - 0.05, lean, square))


def _table(x, y, z, a, b, c, square):
    width, depth, top = 0.56 + 0.18 * a, 0.36 + 0.14 * b, 0.6 + 0.35 * c
    board = _solid(_rect(x, z, width, depth, 0.02 if square else 0.36), y, top - 0.09, top)
    at, lean = (0.07, 0.0) if square else (0.18, 0.1)
    return _join(0, board, _legs(x, y, z, width - at, depth - at, top - 0.04, lean, square, 0.065))


def _chair(x, y, z, a, b, c, square):
    width, seat, back = 0.36 + 0.1 * a, 0.5 + 0.2 * b, 0.52 + 0.26 * c
    corner, up = 0.01 if square else 0.18, y - seat
    board = _solid(_rect(x, z, width, 0.38, corner), y, seat - 0.09, seat)
    frame = _rect(x, up - back / 2, width, back / 2, corner)
    frame = _hollow(frame, _rect(x, up - back * 0.5, width - 0.11, back * 0.3, corner / 2))
    rest = 0.95 * _solid(frame, z + 0.34 + 0.2 * up, -0.045, 0.045)
    lean = 0.0 if square else 0.07
    return _join(0, board, rest, _legs(x, y, z, width - 0.06, 0.31, seat - 0.05, lean, square))


def _cabinet(x, y, z, a, b, c, square):
    width, height, depth = 0.42 + 0.24 * a, 0.8 + 0.4 * b, 0.3 + 0.16 * c
    edge, foot, drawer = 0.01 if square else 0.1, 0.12 if square else 0.2, height / 3
    body = _solid(_rect(x, z, width, depth, edge), y, foot, foot + height, edge)
    v = y - foot - (((y - foot) / drawer).floor().clamp(0, 2) + 0.5) * drawer  # from its middle
    panel = _solid(_rect(x, v, width - 0.07, drawer / 2 - 0.035, edge / 2), z, depth - 0.1, depth + 0.04)
    bar = _rect(x, v, width * 0.4, 0.03) if square else _norm(x, v) - 0.06
    knob = _solid(bar, z, depth, depth + 0.11, 0.01 if square else 0.05)
    return _join(0, body, panel, knob, _legs(x, y, z, width - 0.1, depth - 0.1, foot + 0.05, 0.0, square))


def _bag(x, y, z, a, b, c, square):
    width, height, arc, t = 0.45 + 0.2 * a, 0.65 + 0.3 * b, 1 + 0.8 * c, y.clamp(min=0)
    thin, corner = 0.27 - 0.12 * t / height, 0.02 if square else 0.14
    body = 0.95 * _solid(_rect(x, z, width - (0 if square else 0.14) * t, thin, corner), y, 0, height)
    handle = _norm(_norm(x, (y - height).clamp(min=0) / arc, square) - 0.27, z, square) - 0.045
    handle = 0.6 * torch.maximum(handle, height - 0.1 - y)
    pocket = _rect(x, y - height * 0.4, width * 0.66, height * 0.28, corner)
    clasp = _norm(_norm(x, y - height * 0.66, square), z - thin - 0.08, square) - 0.08
    return _join(0, body, handle, 0.9 * _solid(pocket, z - thin, -0.1, 0.09, 0.04), 0.9 * clasp)


PRODUCTS = {
    **{"mug": _mug, "bottle": _bottle, "vase": _vase, "lamp": _lamp},
    **{"stool": _stool, "table": _table, "chair": _chair, "cabinet": _cabinet, "bag": _bag},
}
WITH_FRONT = ("mug", "chair", "cabinet", "bag")  # nothing less than a full turn makes these look the same
STYLES = {"rounded": 0, "angular": 4}


def product(label: int, style: int) -> Callable[..., Tensor]:
    """The signed distance of (x, y, z, a, b, c), all (M,), by the numbers of kind and style."""
    return partial(list(PRODUCTS.values())[label], square=list(STYLES.values())[style])
