"""An animation from picture to picture of a model, on great circles of its latent space."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prodgen.cli.common import written
from prodgen.cli.provenance import Provenance, save_png, xmp

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from prodgen.models import VAE, Generator

MOST_IN_WALK = 100  # pictures passed: an animation is held in memory while it is written
FRAMES = 24  # from one picture to the next
FRAME_TIME = 50  # milliseconds


def write_walk(
    out: Path,
    model: "Generator | VAE",
    condition: "Tensor | None",
    n: int,
    seed: int,
    content: Sequence[int] | None,
    origin: Provenance,
) -> Path:
    """Write the animation through n pictures, which loops, and its first frame as a PNG beside it.

    out: X.gif or X.webp. condition: (n, width), or None.  Returns the path of the still.
    """
    from PIL import Image

    still, sentence = out.with_suffix(".png"), origin.sentence(f"a walk through {n} pictures")
    frames = _frames(model, condition, n, seed, content)
    first = next(frames)
    if out.suffix.lower() == ".gif":
        kind, about = "GIF", {"comment": sentence.encode()}
    else:
        kind, about = "WEBP", {"xmp": xmp(sentence), "lossless": True}  # small pictures blur if lossy
    with written(out) as file:
        Image.fromarray(first).save(
            file, kind, save_all=True, append_images=(Image.fromarray(frame) for frame in frames),
            duration=FRAME_TIME, loop=0, **about,
        )  # fmt: skip
    with written(still) as file:
        vector = None if condition is None else condition[0]
        save_png(file, first, origin.sentence(f"picture 1 of {n}", vector))
    return still


def _frames(
    model: "Generator | VAE", condition: "Tensor | None", n: int, seed: int, content: Sequence[int] | None
) -> "Iterator[np.ndarray]":
    """FRAMES pictures a leg, each uint8 (H, W[, 3]); what is asked for goes over on a straight line."""
    import torch

    from prodgen import data, models
    from prodgen.plots import tile

    device = next(model.parameters()).device
    z = torch.randn(
        n, model.latent_dim, generator=torch.Generator().manual_seed(seed)
    )  # as `sample` draws it
    t = (torch.arange(FRAMES) / FRAMES)[:, None]
    for here in range(n):
        there = (here + 1) % n
        asked = None
        if condition is not None:
            asked = torch.lerp(condition[here], condition[there], t).to(device)
        with models.eval_mode(model):
            images = model(models.great_circle(z[here], z[there], t).to(device), asked)
        for image in data.without_padding(images, content):
            yield tile(image[None], 1)
