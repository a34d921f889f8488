"""Draw the picture of the README and the index page, book/_static/gallery.png, from the shipped GAN.

One column a class, in the data set's order; nothing is picked by hand: the images are those of seed 0.
"""

import io
from pathlib import Path

from PIL import Image

from prodgen import models, plots, recorded
from prodgen.files import write_whole

OUT = Path(__file__).resolve().parents[1] / "book" / "_static" / "gallery.png"
CLASSES, ROWS, SCALE = 10, 6, 3


def main() -> None:
    images = models.sample(recorded.load_model("gan-fashion-mnist"), CLASSES * ROWS, seed=0)
    picture = Image.fromarray(plots.tile(images, CLASSES, gap=(2, 2)))
    picture = picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)
    png = io.BytesIO()
    picture.save(png, "PNG", optimize=True)
    with write_whole(OUT) as file:
        file.write(png.getvalue())


if __name__ == "__main__":
    main()
