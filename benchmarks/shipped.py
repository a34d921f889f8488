"""The shipped GAN, class by class, and the search for copies.

python benchmarks/shipped.py
"""

import json

from results import write

from prodgen import data, evaluation, models, recorded

EACH = 1_000  # pictures a class
RARE = 0.001  # a copy suspect lies nearer to a training photo than all but this share of the test photos


def main() -> None:
    name = "gan-fashion-mnist"
    generator, card = recorded.load_model(name), recorded.card(name)
    classifier = recorded.load_model("classifier-fashion-mnist")
    train, test = data.load("fashion-mnist"), data.load("fashion-mnist", "test")

    classes = {}
    for label, of_class in enumerate(test.class_names):
        pictures = models.sample(generator, EACH, generator.condition.encode(label=label), seed=label)
        seen = {"pictures": pictures, "photos": test.of_class(label)}
        classes[of_class] = {
            what: (evaluation.predict(images, classifier) == label).float().mean().item()
            for what, images in seen.items()
        }

    drawn = models.sample(generator, len(test), seed=99)
    of_drawn, _ = evaluation.nearest_neighbours(drawn, train)
    of_photos, _ = evaluation.nearest_neighbours(test.batch(slice(None)), train)
    limit = of_photos.quantile(RARE).item()
    result = {
        "sha256": card["sha256"],
        "images_seen": card["images_seen"],
        "fid_fmnist_excess": card["metrics"]["fid_fmnist_excess"],
        "precision": card["metrics"]["precision"],
        "recall": card["metrics"]["recall"],
        "classes": classes,
        "copies": {
            "drawn": len(drawn),
            "limit": limit,
            "suspects": int((of_drawn < limit).sum()),
            "suspects_among_photos": int((of_photos < limit).sum()),
            "nearest_drawn": of_drawn.min().item(),
            "nearest_photo": of_photos.min().item(),
            "median_drawn": of_drawn.median().item(),
            "median_photo": of_photos.median().item(),
        },
    }
    write("gan-shipped", result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
