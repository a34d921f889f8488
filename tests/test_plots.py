"""Figures: exact pixels, readable type, no state left behind."""

import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.text import Text
from PIL import Image

from prodgen import plots
from prodgen.data import Condition
from prodgen.evaluation import t_interval
from prodgen.models import VAE, Generator

HISTORY = [{"images": 3200 * (i + 1), "d_loss": 1 / (i + 1), "g_loss": 2.0} for i in range(10)]


def images(n, channels=1, size=28):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def generator(classes):
    torch.manual_seed(0)
    return Generator(latent_dim=6, width=4, condition=Condition.of_classes(classes))


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def words(figure):
    return [text.get_text() for text in texts(figure)]


FIGURES = {
    "grid": lambda: plots.image_grid(images(23), labels=["one", "two", "three"]),
    "grid with titles": lambda: plots.image_grid(images(7), titles=list("abcdefg")),
    "grid with long heads": lambda: plots.image_grid(images(20), titles=["Ankle boot"] * 10),
    "one colour image": lambda: plots.image_grid(images(1, 3)),
    "row": lambda: plots.row([images(1), images(2)[1], images(2)], titles=list("abcd")),
    "pair": lambda: plots.real_beside_generated(images(25), (images(10) * 127 + 127).byte()),
    "walk": lambda: plots.latent_walk(generator("xyz"), rows=2, columns=4, row_labels=["a", "b"]),
    "curves": lambda: plots.curves(HISTORY, ["d_loss", "g_loss"], "loss (nats)"),
    "band": lambda: plots.band({"GAN": [3.0, 3.5, 4.0], "VAE": [9.0]}, "distance", {"VAE": 8.0}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_in_readable_type_and_fits_a_phone(name):
    figure = FIGURES[name]()
    png = figure._repr_png_()
    with Image.open(io.BytesIO(png)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels[0, 0].tolist() == [255, 255, 255] and pixels.std() > 1, "drawn, on white"
    # Shown 360 pixels wide, a picture of this many inches has this many pixels a point.
    scale = 360 / (pixels.shape[1] / 160 * 72)
    assert all(text.get_fontsize() * min(scale, 1) >= 7.5 for text in texts(figure))
    box = figure.get_tightbbox()
    assert box.width < 6.2, "labels beside a grid do not push it off the page"


@pytest.mark.parametrize("name", ["curves", "band"])
def test_axes_are_labelled(name):
    axes = FIGURES[name]().axes[0]
    assert axes.get_xlabel() and (axes.get_ylabel() or axes.get_yticklabels())


def test_no_state_is_left_behind():
    before = dict(matplotlib.rcParams)
    for draw in FIGURES.values():
        draw()
    assert dict(matplotlib.rcParams) == before
    # Asked of a fresh interpreter, for pytest's own may have loaded pyplot.
    code = """
import sys, torch
from prodgen import plots
plots.image_grid(torch.zeros(2, 1, 28, 28))._repr_png_()
sys.exit("matplotlib.pyplot" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_notebook_shows_the_figure_as_a_picture():
    shown, _ = DisplayFormatter().format(FIGURES["curves"]())
    assert shown["image/png"].startswith(b"\x89PNG")


def test_tile_puts_every_pixel_in_its_place():
    batch = torch.arange(5)[:, None, None, None].expand(5, 1, 2, 3).to(torch.uint8)
    canvas = plots.tile(batch, columns=3, gap=(1, 2))
    assert canvas.shape == (5, 13) and canvas.dtype == np.uint8
    assert canvas[0].tolist() == [0, 0, 0, 255, 255, 1, 1, 1, 255, 255, 2, 2, 2]
    assert canvas[3].tolist() == [3, 3, 3, 255, 255, 4, 4, 4] + [255] * 5
    assert (canvas[2] == 255).all()
    floats = torch.tensor([-1.0, 0.0, 1.0])[:, None, None, None].expand(3, 3, 1, 1)
    assert plots.tile(floats, 3, gap=(0, 0))[0, :, 0].tolist() == [0, 128, 255]
    assert plots.tile(floats, 3, gap=(0, 0)).shape == (1, 3, 3)


def test_titles_and_labels_stand_by_their_images():
    figure = plots.image_grid(images(6), 3, titles=list("abcdef"), labels=["up", "down"])
    at = {text.get_text(): text.get_position() for text in texts(figure)}
    assert at["a"][0] < at["b"][0] < at["c"][0] and at["a"][1] == at["b"][1] < at["d"][1]
    assert at["a"][0] == at["d"][0]
    assert at["up"][1] < at["down"][1] and at["up"][0] < 0
    with pytest.raises(ValueError, match="2 titles for 6 images in 3 columns"):
        plots.image_grid(images(6), 3, titles=["a", "b"])
    with pytest.raises(ValueError, match="3 labels for 2 rows"):
        plots.image_grid(images(6), 3, labels=["a", "b", "c"])


def shown(figure):
    return figure.axes[0].images[0].get_array()


def test_a_walk_goes_from_draw_to_draw_along_the_sphere():
    model, seen = generator("abcd"), []
    model.register_forward_hook(lambda module, inputs, output: seen.append((inputs, module.training)))
    asked = model.condition.encode(label=[3, 1, 2])
    plots.latent_walk(model, rows=3, columns=5, seed=2, condition=asked)
    (z, condition), training = seen[0]
    assert not training and model.training
    assert condition.argmax(dim=1).tolist() == [3] * 5 + [1] * 5 + [2] * 5
    z = z.view(3, 5, 6)
    a, b = torch.randn(2, 3, 1, 6, generator=torch.Generator().manual_seed(2)).squeeze(2)
    torch.testing.assert_close(z[:, 0], a)
    torch.testing.assert_close(z[:, -1], b)
    between = torch.minimum(a.norm(dim=1), b.norm(dim=1))
    assert (z[:, 2].norm(dim=1) > 0.7 * between).all(), "not through the origin"
    steps = (z / z.norm(dim=2, keepdim=True)).unfold(1, 2, 1)
    assert (steps[..., 0] * steps[..., 1]).sum(2).max() < 1, "every step moves"


def test_a_walk_shows_decoder_means_of_a_vae():
    torch.manual_seed(0)
    vae = VAE(latent_dim=3, width=4)
    a = torch.randn(2, 1, 1, 3, generator=torch.Generator().manual_seed(0))[0, :, 0]
    with torch.no_grad():
        first = plots.tile(vae(a), 1)
    assert (shown(plots.latent_walk(vae, rows=1, columns=3))[:, :28] == first).all()


def test_curves_draw_what_was_logged_over_images_seen():
    history = [*HISTORY, {"images": 40_000, "g_loss": 5.0}]  # an entry without d_loss
    figure = plots.curves(history, ["d_loss", "g_loss"], "loss (nats)", ["D", "G"])
    d, g = figure.axes[0].lines
    assert d.get_xdata().tolist() == [entry["images"] / 1000 for entry in HISTORY]
    assert d.get_ydata().tolist() == [entry["d_loss"] for entry in HISTORY]
    assert (g.get_xdata()[-1], g.get_ydata()[-1]) == (40, 5.0)
    assert {"D", "G", "loss (nats)", "images seen (thousands)"} <= set(words(figure))
    assert d.get_color() != g.get_color() and d.get_linestyle() != g.get_linestyle()


def test_a_band_shows_every_seed_both_intervals_and_this_run():
    values = {"GAN": [3.0, 3.5, 4.0, 3.6], "VAE": [9.0, 9.5, 9.1]}
    figure = plots.band(values, "fid_fmnist", {"VAE": 8.0})
    axes = figure.axes[0]
    gan, vae, live = axes.lines
    assert [list(line.get_xdata()) for line in (gan, vae, live)] == [values["GAN"], values["VAE"], [8.0]]
    spans = [tuple(lines.get_segments()[0][:, 0]) for lines in axes.collections]
    expected = [t_interval(seeds, one_more=more) for seeds in values.values() for more in (True, False)]
    np.testing.assert_allclose(spans, expected)
    assert {"GAN", "VAE", "one seed", "mean, 95 %", "one more run, 95 %", "this run"} <= set(words(figure))
    assert "this run" not in words(plots.band(values, "fid_fmnist"))
