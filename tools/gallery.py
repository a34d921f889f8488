"""Draw the picture of the README and the index page, book/_static/gallery.png, from the shipped GAN.

One column a class, in the order of the data set: its first test photo, and below it what seed 0 draws.
Nothing is picked by hand.
"""

import io
from pathlib import Path

from PIL import Image

from prodgen import data, models, plots, recorded
from prodgen.files import write_whole

OUT = Path(__file__).resolve().parents[1] / "book" / "_static" / "gallery.png"
ROWS = 5


def main() -> None:
    test = data.load("fashion-mnist", "test")
    photos = [test.of_class(label).batch(slice(0, 1)) for label in range(test.num_classes)]
    drawn = models.sample(recorded.load_model("gan-fashion-mnist"), test.num_classes * ROWS, seed=0)
    labels = ["photo", *["drawn"] * ROWS]
    figure = plots.image_grid([*photos, drawn], test.num_classes, titles=test.class_names, labels=labels)
    picture = Image.open(io.BytesIO(figure._repr_png_())).convert("L")
    with write_whole(OUT) as file:
        picture.save(file, "PNG", optimize=True)


if __name__ == "__main__":
    main()
