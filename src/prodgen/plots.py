"""Every figure style of the book, in one place.

Each drawing function returns a matplotlib Figure and touches no global state: no pyplot, no open figures,
nothing shown. A notebook draws the figure that a cell ends with. Figures are 5 inches wide, so that a point
of type is a pixel on a phone 360 pixels wide. Colours are those of Okabe and Ito (2008), which colour-blind
readers tell apart; lines differ in dash as well.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import ParamSpec

import matplotlib
import numpy as np
import torch
from matplotlib import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from prodgen.data import to_uint8
from prodgen.evaluation import t_interval
from prodgen.models import VAE, Generator, eval_mode, great_circle

WIDTH = 5.0  # inches
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
STYLE = {
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 160,
    "savefig.dpi": 160,
    "axes.prop_cycle": cycler(color=[BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK])
    + cycler(linestyle=["-", "--", "-.", ":", "-", "--", "-."]),
}


class BookFigure(Figure):
    """A Figure that a notebook can draw without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight", dpi=STYLE["savefig.dpi"])
        return buffer.getvalue()


P = ParamSpec("P")


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()  # ticks read the style only when they are first drawn
        return figure

    return wrapper


def tile(images: Tensor, columns: int, gap: tuple[int, int] = (1, 1)) -> np.ndarray:
    """Images side by side on white: (N, C, H, W), float in [-1, 1] or uint8 -> uint8 (rows, width[, 3]).

    gap: pixels between neighbours, vertically and horizontally.
    """
    pixels = (images if images.dtype == torch.uint8 else to_uint8(images)).detach().cpu().numpy()
    n, channels, height, width = pixels.shape
    down, right = height + gap[0], width + gap[1]
    canvas = np.full((math.ceil(n / columns) * down, columns * right, channels), 255, np.uint8)
    for i, image in enumerate(pixels):
        y, x = i // columns * down, i % columns * right
        canvas[y : y + height, x : x + width] = image.transpose(1, 2, 0)
    canvas = canvas[: -gap[0] or None, : -gap[1] or None]
    return canvas[..., 0] if channels == 1 else canvas


def _show_grid(
    axes: Axes, images: Tensor, columns: int, titles: Sequence[str] = (), labels: Sequence[str] = ()
) -> None:
    height, width = images.shape[-2:]
    above_each = len(titles) > columns
    gap = (round(height * 0.4) if above_each else max(1, height // 14), max(1, width // 14))
    axes.imshow(tile(images, columns, gap), cmap="gray", vmin=0, vmax=255)
    axes.axis("off")
    room = axes.get_position().width * axes.figure.get_figwidth() * 72 / columns  # points a column
    slanted = not above_each and max((len(title) for title in titles), default=0) * 5 > room
    for i, title in enumerate(titles):
        x, y = i % columns * (width + gap[1]), i // columns * (height + gap[0]) - gap[1]
        axes.text(
            x + width * (0.2 if slanted else 0.5), y, title, fontsize=10, va="bottom",
            ha="left" if slanted else "center", rotation=40 if slanted else 0, rotation_mode="anchor",
        )  # fmt: skip
    for row, label in enumerate(labels):
        y = row * (height + gap[0]) + height / 2
        axes.text(-gap[1] * 2, y, label, fontsize=12, ha="right", va="center")


def _as_batch(images: Tensor | Sequence[Tensor]) -> Tensor:
    if isinstance(images, Tensor):
        return images
    return torch.cat([image.reshape(-1, *image.shape[-3:]).cpu() for image in images])


@_styled
def image_grid(
    images: Tensor | Sequence[Tensor],
    columns: int | None = None,
    titles: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> Figure:
    """Images in rows, left to right.

    images: (N, C, H, W), float in [-1, 1] or uint8, or a list of such and of (C, H, W).
    columns: up to 10 if not given, or up to 5 with a title for each image.
    titles: one an image, or one a column. labels: one a row, at its left.
    Raises ValueError where the number of titles or labels does not fit.
    """
    batch = _as_batch(images)
    n = len(batch)
    columns = columns or min(n, 5 if len(titles) == n else 10)
    rows = math.ceil(n / columns)
    if len(titles) not in (0, n, columns):
        raise ValueError(f"{len(titles)} titles for {n} images in {columns} columns")
    if len(labels) not in (0, rows):
        raise ValueError(f"{len(labels)} labels for {rows} rows")
    width = min(WIDTH, 1.1 * columns)
    figure = BookFigure(figsize=(width, width * rows / columns * (1.4 if len(titles) > columns else 1) + 0.3))
    axes = figure.subplots()
    figure.subplots_adjust(0, 0, 1, 1)
    _show_grid(axes, batch, columns, titles, labels)
    return figure


def row(images: Tensor | Sequence[Tensor], titles: Sequence[str] = ()) -> Figure:
    """Images in one row, as `image_grid` takes them, each under its title."""
    batch = _as_batch(images)
    return image_grid(batch, len(batch), titles)


@_styled
def real_beside_generated(real: Tensor, generated: Tensor, columns: int = 5) -> Figure:
    """Real photos at the left, generated ones at the right.  Each (N, C, H, W), float in [-1, 1] or uint8."""
    rows = math.ceil(max(len(real), len(generated)) / columns)
    figure = BookFigure(figsize=(WIDTH, WIDTH / 2 * rows / columns + 0.4), layout="constrained")
    for axes, images, title in zip(
        figure.subplots(1, 2), (real, generated), ("real", "generated"), strict=True
    ):
        _show_grid(axes, images, columns)
        axes.set_title(title)
        axes.set_anchor("N")
    return figure


def latent_walk(
    model: Generator | VAE,
    rows: int = 4,
    columns: int = 8,
    seed: int = 0,
    condition: Tensor | None = None,
    row_labels: Sequence[str] = (),
) -> Figure:
    """From one random latent to another in `columns` steps (`models.great_circle`), a pair of them each row.

    condition: (rows, width), for a model that has one; the named values, such as classes, in turn if None.
    row_labels: one a row, at its left.
    """
    ends = torch.randn(2, rows, 1, model.latent_dim, generator=torch.Generator().manual_seed(seed))
    z = great_circle(*ends, torch.linspace(0, 1, columns)[None, :, None]).flatten(0, 1)
    device = next(model.parameters()).device
    if model.condition is not None:
        condition = model.condition.in_turn(rows) if condition is None else condition
        condition = condition.repeat_interleave(columns, dim=0).to(device)
    with eval_mode(model):
        images = model(z.to(device), condition)
    return image_grid(images.cpu(), columns, labels=row_labels)


@_styled
def curves(
    history: Sequence[Mapping[str, float]], keys: Sequence[str], ylabel: str, names: Sequence[str] = ()
) -> Figure:
    """Logged values over the images seen.

    history: a run's, each entry with "images" and some of the keys. ylabel: what is drawn, with its unit.
    names: what the legend calls the keys.
    """
    figure = BookFigure(figsize=(WIDTH, 3.0), layout="constrained")
    axes = figure.subplots()
    for key, name in zip(keys, names or keys, strict=True):
        points = [(entry["images"] / 1000, entry[key]) for entry in history if key in entry]
        axes.plot(*zip(*points, strict=True), label=name, marker="o" if len(points) == 1 else None)
    axes.set(xlabel="images seen (thousands)", ylabel=ylabel)
    if len(keys) > 1:
        axes.legend()
    return figure


@_styled
def band(
    values: Mapping[str, Sequence[float]],
    xlabel: str,
    live: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> Figure:
    """One line a name: each seed's value, the t-interval of their mean, and where one more run would fall.

    values: name -> one value a seed. xlabel: the measure, with its unit.
    live: this run's value, by name, drawn as a diamond: inside the pale band it is a run like the others.
    """
    figure = BookFigure(figsize=(WIDTH, 1.5 + 0.55 * len(values)), layout="constrained")
    axes = figure.subplots()
    percent = f"{100 * level:g} %"
    for y, (name, seeds) in enumerate(values.items()):
        if len(seeds) > 1:
            more, mean = t_interval(seeds, level, one_more=True), t_interval(seeds, level)
            axes.hlines(y, *more, color=SKY, alpha=0.4, linewidth=16, label=f"one more run, {percent}")
            axes.hlines(y, *mean, color=BLUE, linewidth=5, label=f"mean, {percent}")
        heights = [y + (i % 3 - 1) * 0.12 for i in range(len(seeds))]  # equal values stay apart
        axes.plot(seeds, heights, "o", color=BLACK, markerfacecolor="white", markersize=5, label="one seed")
        if live and name in live:
            axes.plot(live[name], y, "D", color=VERMILLION, markersize=9, label="this run")
    axes.set_yticks(range(len(values)), list(values))
    axes.set(xlabel=xlabel, ylim=(len(values) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=2)
    return figure
