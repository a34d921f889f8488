"""Colour photos at 64 pixels: KID and recall of the GAN over time, by a classifier's features.

    python benchmarks/photos.py DIR yardsticks                    # once: the classifier, and what KID means
    python benchmarks/photos.py DIR rate                          # images a second of the idle machine
    python benchmarks/photos.py DIR train --minutes 15 --seed 0   # one run, looked at on the way
    python benchmarks/photos.py DIR plot                          # results/photos.png, of all runs
    python benchmarks/photos.py DIR draw                          # what the longest run draws; its copies

DIR: a folder of photos in classes, such as clothing-dataset-small (3,409 photos, CC0). Inception's weights
are not to be had everywhere, so the features are those of a classifier trained on the photos themselves.
KID then has a scale of its own, and is read against two yardsticks: half of the photos against the other
half, and a Gaussian fitted to the photos in pixel space.
"""

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np
import torch
from rates import SECONDS, WARM_UP
from results import FOLDER, read, read_all, write
from sklearn.decomposition import PCA

from prodgen import data, evaluation, models, plots, recorded, training
from prodgen.device import device_name
from prodgen.files import write_whole

SIZE = 64
CLASSIFIER_IMAGES = 50_000
COMPONENTS = 512  # of the Gaussian; it keeps nearly all of the variance
LOOKS = 16
PAIRS = 3  # pictures a class that are shown, each above the photo nearest to it
CLASSIFIER = Path(__file__).resolve().parents[1] / "runs" / "photos" / "classifier.safetensors"


def kernel(real: torch.Tensor, other: torch.Tensor) -> float:
    """KID of two sets of features, over a hundred subsets of 500."""
    return evaluation.kernel_distance(real, other)[0]


def gaussian(photos: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """As many pictures as photos (N, C, H, W), from a Gaussian fitted to their principal components."""
    pca = PCA(COMPONENTS, random_state=seed).fit(photos.flatten(1).numpy())
    scale = np.sqrt(pca.explained_variance_)
    weights = np.random.default_rng(seed).normal(size=(len(photos), COMPONENTS)) * scale
    return torch.from_numpy(pca.inverse_transform(weights)).float().view_as(photos).clamp(-1, 1)


def yardsticks(folder: str) -> None:
    """Train the classifier, and measure what the metrics say of photos and of the Gaussian."""
    train, test = (data.load(folder, split, image_size=SIZE) for split in ("train", "test"))
    trainer = training.new_trainer("classifier", train)
    run = training.train(trainer, train, images=CLASSIFIER_IMAGES)
    classifier = run.model.cpu()
    CLASSIFIER.parent.mkdir(parents=True, exist_ok=True)
    models.save_as(CLASSIFIER, classifier)
    right = evaluation.predict(test, classifier) == test.labels
    features, held_out = (evaluation.extract(split, classifier) for split in (train, test))
    shuffled = features[torch.randperm(len(features), generator=torch.Generator().manual_seed(0))]
    drawn = evaluation.extract(gaussian(train.batch(slice(None))), classifier)
    half = len(shuffled) // 2
    result = {
        "photos": len(train),
        "classifier_sha256": recorded.file_hash(CLASSIFIER),
        "accuracy": right.float().mean().item(),
        "kid_halves": kernel(shuffled[:half], shuffled[half:]),
        "kid_held_out": kernel(features, held_out),
        "kid_gaussian": kernel(features, drawn),
        "recall_gaussian": evaluation.precision_recall_density_coverage(features, drawn)["recall"],
        "device": device_name(),
    }
    write("photos-yardsticks", result)
    print(json.dumps(result, indent=1))


def rate(folder: str) -> None:
    """Images a second at this size, on the idle machine: what the minutes of a run are counted by."""
    photos = data.load(folder, image_size=SIZE)
    trainer = training.new_trainer("gan", photos)
    training.train(trainer, photos, minutes=WARM_UP / 60, progress=False)
    run = training.train(trainer, photos, minutes=SECONDS / 60, progress=False)
    result = {"rate": run.images_seen / run.seconds, "device": device_name()}
    write("photos-rate", result)
    print(json.dumps(result))


def train(folder: str, minutes: float, seed: int) -> None:
    """Train for so many minutes' worth of images and look at the average on the way."""
    photos = data.load(folder, image_size=SIZE)
    classifier = models.load(CLASSIFIER)
    features = evaluation.extract(photos, classifier)
    images = round(read("photos-rate")["rate"] * 60 * minutes)
    path = []

    def look(run: training.Run) -> None:
        drawn = models.sample(run.model, len(photos), photos.conditions(), seed=seed)
        of_drawn = evaluation.extract(drawn, classifier)
        row = {"minutes": minutes * run.images_seen / images, "images_seen": run.images_seen}
        row |= {"kid": kernel(features, of_drawn)}
        row |= evaluation.precision_recall_density_coverage(features, of_drawn)
        path.append(row)
        print(json.dumps(row), flush=True)

    run = training.train(
        training.new_trainer("gan", photos, seed=seed), photos, images=images, seed=seed, callbacks=[look],
        report_every=images // LOOKS + 1, progress=False,
    )  # fmt: skip
    name = f"photos-{minutes:g}-minutes-{seed}"
    models.save_as(CLASSIFIER.with_name(f"{name}.safetensors"), run.model, class_names=photos.class_names)
    result = {"minutes": minutes, "run_seed": seed, "images_seen": run.images_seen, "path": path}
    result |= {"seconds": round(run.seconds, 1), "threads": torch.get_num_threads()}
    write(name, result | {"device": device_name()})


def draw(folder: str) -> None:
    """Show what the longest run draws, a column a class, and count what lies too near to a training photo."""
    photos, test = (data.load(folder, split, image_size=SIZE) for split in ("train", "test"))
    classifier = models.load(CLASSIFIER)
    longest = max(read_all("photos-*minutes-"), key=lambda run: run["minutes"])
    name = f"photos-{longest['minutes']:g}-minutes-{longest['run_seed']}"
    generator = models.load(CLASSIFIER.with_name(f"{name}.safetensors"))

    def nearest(images: torch.Tensor) -> evaluation.Nearest:
        return evaluation.nearest_photos(images, photos, test.batch(slice(None)), classifier)

    found = nearest(models.sample(generator, len(photos), photos.conditions(), seed=1))
    result = {"run": name, "drawn": len(found.distances), "suspects": int(found.suspects.sum())}
    among_photos = int((found.held_out < found.limit).sum())
    result |= {"photos": len(found.held_out), "suspects_among_photos": among_photos}
    write("photos-copies", result)
    print(json.dumps(result, indent=1))

    firsts = [int((photos.labels == label).nonzero()[0]) for label in range(photos.num_classes)]
    rows, names = [photos.batch(firsts)], ["a photo"]
    for seed in range(PAIRS):
        drawn = models.sample(generator, photos.num_classes, seed=seed)
        rows += [drawn, photos.batch(nearest(drawn).indices)]
        names += ["drawn", "nearest photo"]
    figure = plots.image_grid(torch.cat(rows), photos.num_classes, photos.class_names, names)
    with write_whole(FOLDER / "photos-drawn.png") as file:
        file.write(figure._repr_png_())


def plot() -> None:
    """KID and recall of every run over its minutes, with what photos and the Gaussian come to."""
    measured = read("photos-yardsticks")
    with matplotlib.rc_context(plots.STYLE):
        figure = plots.BookFigure(figsize=(7, 3), layout="constrained")
        for axes, key in zip(figure.subplots(1, 2), ("kid", "recall"), strict=True):
            for run in read_all("photos-*minutes-"):
                points = [(row["minutes"], row[key]) for row in run["path"]]
                label = f"{run['minutes']:g} minutes, seed {run['run_seed']}"
                axes.plot(*zip(*points, strict=True), label=label)
            level = measured[f"{key}_gaussian"]
            axes.axhline(level, color=plots.BLACK, linestyle=":", label="pixel Gaussian")
            axes.set(xlabel="minutes of two cores", ylabel=key)
        kid, ticks = figure.axes[0], (0.5, 1, 2, 5, 10, 20, 50)
        kid.set(yscale="log", ylabel="KID")
        kid.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        kid.minorticks_off()
        kid.axhline(measured["kid_held_out"], color=plots.BLACK, linestyle="-", lw=1, label="held-out photos")
        figure.legend(*kid.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        with write_whole(FOLDER / "photos.png") as file:
            file.write(figure._repr_png_())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("what", choices=("yardsticks", "rate", "train", "plot", "draw"))
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.what == "train":
        train(options.folder, options.minutes, options.seed)
    elif options.what == "plot":
        plot()
    else:
        {"yardsticks": yardsticks, "rate": rate, "draw": draw}[options.what](options.folder)


if __name__ == "__main__":
    main()
