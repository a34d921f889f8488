"""What the labs with trained networks show, computed when the book is built, in plain types ready for JSON.

One function a lab. Bytes are base64: pictures uint8, one behind the other; codes and directions little-endian
float16, as `live.js` reads them.
"""

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from prodgen import data, models, plots, recorded
from prodgen.data import ImageDataset, studio
from prodgen.errors import DataError
from prodgen.models import Generator

GRAMMAR = "06-6-2-multimodal"
GRAMMAR_CELLS = ("imports", "asked", "grammar", "tokens")  # of that chapter: what its sentences are made of
STEP = 2.0  # how far along a direction its effect is measured, in standard deviations of z


def packed(values: Tensor) -> str:
    """uint8 as it is, anything else as float16 -> base64."""
    numbers = values.contiguous().numpy()
    return base64.b64encode(
        (numbers if values.dtype == torch.uint8 else numbers.astype("<f2")).tobytes()
    ).decode()


# ---------------------------------------------------------------- index: which are photos?


def texture(images: Tensor) -> Tensor:
    """Which grey values there are and how much neighbours differ: uint8 (N, 1, H, W) -> (N, n).

    Logarithms of shares, in classes, of values and of first and second differences across and down. Nothing
    says where in a picture anything is.
    """
    grey = images[:, 0].float()
    across, down = grey.diff(dim=2), grey.diff(dim=1)
    half = torch.tensor([0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 64.5])
    both = torch.cat([-half.flip(0), half])
    levels = torch.cat([half, 255 - half.flip(0)[1:6], torch.tensor([254.5])])
    shares = []
    for values, edges in [(grey, levels)] + [
        (d, both) for d in (across, down, across.diff(dim=2), down.diff(dim=1), across.diff(dim=1))
    ]:
        of = torch.bucketize(values.flatten(1), edges)
        shares += [(of == i).float().mean(dim=1) for i in range(len(edges) + 1)]
    return (torch.stack(shares, dim=1) + 1e-4).log()


class Judge:
    """Photo or drawn, by logistic regression on `texture`: convex, so the same wherever it is fitted."""

    def __init__(self, photos: Tensor, drawn: Tensor):
        seen = torch.cat([texture(photos), texture(drawn)])
        self.mean, self.spread = seen.mean(dim=0), seen.std(dim=0) + 1e-3
        truth = torch.cat([torch.ones(len(photos)), torch.zeros(len(drawn))])
        self.weights = torch.zeros(seen.shape[1] + 1, requires_grad=True)
        fit = torch.optim.LBFGS([self.weights], max_iter=100)

        def loss() -> Tensor:
            fit.zero_grad()
            value = binary_cross_entropy_with_logits(self._logits(seen), truth)
            value = value + 1e-3 * self.weights[1:].square().sum()
            value.backward()
            return value

        fit.step(loss)

    def _logits(self, textures: Tensor) -> Tensor:
        return (textures - self.mean) / self.spread @ self.weights[1:] + self.weights[0]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (N, 1, H, W) -> probabilities that each is a photo, (N,)."""
        return torch.sigmoid(self._logits(texture(images)))


def drawn_like(generator: Generator, labels: Tensor, seed: int) -> Tensor:
    """Drawn products of the classes of these photos: uint8 (N, C, H, W)."""
    return data.to_uint8(
        models.sample(generator, len(labels), seed=seed, condition=generator.condition.encode(label=labels))
    )


def which_is_real(fit: int = 3_000, judged: int = 1_000, shown: int = 60) -> dict[str, Any] | None:
    """Photos and drawn products, as many of a class of each, and what a judge of texture says of them.

    fit, judged: photos the judge is fitted to, and those its score is measured on; as many drawn ones each.
    shown: photos on the page, which are neither. None where the photos cannot be had.
    """
    try:
        train, test = data.load("fashion-mnist"), data.load("fashion-mnist", "test")
    except DataError:
        return None
    generator = recorded.load_model("gan-fashion-mnist")
    judge = Judge(train.images[:fit], drawn_like(generator, train.labels[:fit], seed=1))
    photos, others = test.images[:judged], drawn_like(generator, test.labels[:judged], seed=2)
    right = torch.cat([judge(photos) > 0.5, judge(others) <= 0.5]).float().mean().item()
    places = evenly(test, shown, start=judged)
    labels = test.labels[places]
    pool = torch.cat([test.images[places], drawn_like(generator, labels, seed=3)])
    return {
        "size": pool.shape[-1],
        "pictures": packed(pool),
        "photos": shown,  # these come first
        "kinds": [test.class_names[k] for k in labels.tolist()] * 2,
        "judge": [round(p, 3) for p in judge(pool).tolist()],
        "judged": 2 * judged,
        "right": round(right, 3),
    }


def evenly(dataset: ImageDataset, n: int, start: int = 0) -> Tensor:
    """Places of the first n // classes photos of each class from `start` on."""
    kinds = len(dataset.class_names)
    each = [(dataset.labels[start:] == k).nonzero().squeeze(1)[: n // kinds] + start for k in range(kinds)]
    return torch.cat(each)


# ---------------------------------------------------------------- 3.2: the map of products


@torch.no_grad()
def product_map(placed: int = 2_000, shown: int = 200) -> dict[str, Any] | None:
    """Codes of test photos, the plane in which they differ most, and the photos; None without the photos.

    placed: photos whose mean codes decide the plane; shown: photos on the page.
    """
    try:
        test = data.load("fashion-mnist", "test")
    except DataError:
        return None
    vae = recorded.load_model("vae-fashion-mnist")
    codes, _ = vae.encode(test.batch(slice(0, placed)))
    centre = codes.mean(dim=0)
    _, spreads, directions = torch.linalg.svd(codes - centre, full_matrices=False)
    directions = (
        directions[:2] * directions[:2].sum(dim=1, keepdim=True).sign()
    )  # either sign would do: fix one
    places = evenly(test, shown)
    return {
        "size": test.images.shape[-1],
        "kinds": list(test.class_names),
        "labels": test.labels[places].tolist(),
        "pictures": packed(test.images[places]),
        "codes": packed(vae.encode(test.batch(places))[0]),
        "centre": packed(centre),
        "directions": packed(directions),
        "placed": placed,
        "share": round((spreads[:2].square().sum() / spreads.square().sum()).item(), 3),
        "inks": [plots.BLUE, plots.VERMILLION, plots.GREEN, plots.ORANGE, plots.PURPLE],
    }


# ---------------------------------------------------------------- 5.4: directions


def sefa(generator: Generator, count: int) -> tuple[Tensor, Tensor]:
    """Directions of z that the first layer answers most to (Shen and Zhou, 2021), and their shares.

    (count, latent_dim), (count,). The first layer A, with its batch norm, is linear, so the eigenvectors of
    A'A are also the principal components of its answers to z ~ N(0, I) (Härkönen et al., 2020). A share is
    that of the answers' variance.
    """
    norm = generator.body[0]
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).repeat(generator.resolution**2)
    response = generator.stem.weight[:, : generator.latent_dim] * scale[:, None]
    _, strengths, directions = torch.linalg.svd(response.detach(), full_matrices=False)
    directions = directions[:count] * directions[:count].sum(dim=1, keepdim=True).sign()
    return directions, (strengths.square() / strengths.square().sum())[:count]


def measures(images: Tensor) -> dict[str, Tensor]:
    """What can be measured of a grey product on black, (N, 1, H, W) in [-1, 1]: (N,) each.

    brightness: mean of the product's light, 0 to 1; area: share of pixels brighter than a tenth; height and
    width: of the box around them, in pixels; contrast: standard deviation of the light within the area.
    """
    light = (images[:, 0] + 1) / 2
    covered = light > 0.1
    count = covered.sum(dim=(1, 2)).clamp(min=1)
    brightness = (light * covered).sum(dim=(1, 2)) / count
    spread = ((light - brightness[:, None, None]).square() * covered).sum(dim=(1, 2)) / count

    def length(lines: Tensor) -> Tensor:
        """(N, L) bool -> from the first to the last."""
        last = lines.shape[1] - lines.flip(1).float().argmax(dim=1)
        return (last - lines.float().argmax(dim=1)) * lines.any(dim=1).float()

    return {
        "brightness": brightness,
        "contrast": spread.sqrt(),
        "area": covered.float().mean(dim=(1, 2)),
        "height": length(covered.any(dim=2)),
        "width": length(covered.any(dim=1)),
    }


def latent_walk(count: int = 6, drawn: int = 48) -> dict[str, Any]:
    """Directions of the shipped generator, and how much of each measure they change, by class.

    An effect is the mean change from STEP below to STEP above, z otherwise at random: as it is measured, and
    in units of the measure's own standard deviation over products of that class.
    """

    def effect(changes: Tensor, values: Tensor) -> list[float]:
        change = changes.mean().item()
        return [round(change, 3), round(change / values.std().item(), 2)]

    generator = recorded.load_model("gan-fashion-mnist")
    directions, shares = sefa(generator, count)
    z = torch.randn(drawn, generator.latent_dim, generator=torch.Generator().manual_seed(0))
    places = [z] + [z + sign * STEP * d for d in directions for sign in (1, -1)]
    effects = []
    with torch.no_grad():
        for k in range(len(generator.condition["label"].values)):
            asked = generator.condition.encode(drawn, label=k)
            still, *moved = [measures(generator(place, asked)) for place in places]
            effects.append(
                [
                    {
                        name: effect(up[name] - down[name], values)
                        for name, values in still.items()
                        if values.std() > 0
                    }
                    for up, down in zip(moved[::2], moved[1::2], strict=True)
                ]
            )
    return {
        "directions": packed(directions),
        "shares": [round(share, 3) for share in shares.tolist()],
        "step": STEP,
        "drawn": drawn,
        "effects": effects,  # class, direction, measure
    }


# ---------------------------------------------------------------- 6.6.2: words


def grammar(book: Path) -> dict[str, Any]:
    """What the chapter's cells on sentences define, run from the notebook in `book`."""
    cells = {cell.id: cell.source for cell in nbformat.read(book / f"{GRAMMAR}.ipynb", as_version=4).cells}
    chapter: dict[str, Any] = {}
    for name in GRAMMAR_CELLS:
        exec(compile(cells[name], f"{GRAMMAR}.ipynb, cell {name}", "exec"), chapter)
    return chapter


def type_a_product(book: Path, also: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """The words of the chapter's grammar, and what of the studio's factors each asks for.

    also: {factor: {value: its names in Chinese}} of what the studio draws and the grammar does not name; the
    English names are the studio's own.
    """
    chapter = grammar(book)
    words: list[dict[str, Any]] = []

    def add(names: list[str], factor: str, value: float) -> None:
        for name in names:
            word = {"pieces": chapter["pieces"](name), "factor": factor, "value": value}
            if word not in words:
                words.append(word)

    condition = studio.CONDITION
    for language in chapter["SAYINGS"]:
        for kind, names in zip(chapter["KINDS"], chapter["sayings"](language, "kind"), strict=True):
            add(names, "label", condition["label"].values.index(kind))
        for colour, names in zip(chapter["COLOURS"], chapter["sayings"](language, "colour"), strict=True):
            add(names, "colour", condition["colour"].values.index(colour))
        for band, names in zip(chapter["VIEWS"].values(), chapter["sayings"](language, "view"), strict=True):
            add(names, "elevation", sum(band) / 2)
    for factor, values in also.items():
        for value, names in values.items():
            add([value, *names], factor, condition[factor].values.index(value))
    return {"words": words, "frames": sorted(frame_pieces(chapter)), "not": denials(chapter)}


def frame_pieces(chapter: dict[str, Any]) -> set[str]:
    """What stands in the frames around kind, colour and view."""
    frames = (frame for groups in chapter["FRAMES"].values() for group in groups.values() for frame in group)
    return {piece for frame in frames for piece in chapter["pieces"](re.sub("[KCVD]", " ", frame))} | {"an"}


def denials(chapter: dict[str, Any]) -> list[str]:
    """Pieces that stand before what is not wanted (D in a frame), and in no frame without such a thing."""
    frames = [f for groups in chapter["FRAMES"].values() for group in groups.values() for f in group]
    plain = {p for f in frames if "D" not in f for p in chapter["pieces"](re.sub("[KCV]", " ", f))}
    before = {
        piece
        for frame in frames
        if "D" in frame
        for piece in chapter["pieces"](re.split("[KCV]", frame.split("D")[0])[-1])
    }
    return sorted(piece for piece in before - plain if piece.isalnum())


# ---------------------------------------------------------------- what the pages load


def write(labs: dict[str, Any], named: Iterable[str], book: Path) -> None:
    """Write what the labs that pages name load when they are woken, and note in `labs` how much it is.

    labs: the descriptions, which get "megabytes" where there is something to load. The models themselves lie
    in `_static/live/` already.
    """
    compute = {
        "which-is-real": which_is_real,
        "product-map": product_map,
        "latent-walk": latent_walk,
        "type-a-product": lambda: type_a_product(book, labs["type-a-product"]["also"]),
    }
    for name in compute.keys() & set(named):
        if (found := compute[name]()) is None:
            continue
        path = book / "_static" / "labs" / f"{name}.data.js"
        path.write_text(f'prodgenLabs.data["{name}"] = {json.dumps(found, ensure_ascii=False)};\n', "utf-8")
        paths = [path]
        if model := labs[name].get("model"):
            paths.append(book / "_static" / "live" / f"{model}.js")
        labs[name]["megabytes"] = round(sum(p.stat().st_size for p in paths) / 1e6, 1)
