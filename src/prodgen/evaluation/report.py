"""Everything that is measured of a model, in one call."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from prodgen import data, recorded
from prodgen.data import ImageDataset
from prodgen.evaluation.distances import frechet_distance, kernel_distance
from prodgen.evaluation.features import EvaluationError, batches, extract, inception_features
from prodgen.evaluation.images import class_histogram, label_agreement, sharpness
from prodgen.evaluation.likelihood import elbo, importance_weighted, spread
from prodgen.evaluation.manifold import precision_recall_density_coverage
from prodgen.models import VAE, Generator, sample

CLASSIFIER = "classifier-fashion-mnist"
MANIFOLD_IMAGES = 5_000  # of each kind
LIKELIHOOD_IMAGES = 500
IMPORTANCE_SAMPLES = 50
FEWEST = 10


def evaluate(
    model: Generator | VAE, dataset: ImageDataset, *, n: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """n samples of the model against a data set, as a dict that JSON can hold.

    Always: `data`, `split`, `n`, `n_real`, `seed`; mean `sharpness` and `sharpness_real`. For a VAE: `elbo`
    and `importance_weighted_bound`, in nats, each {mean, standard_error, n}, on the same images.

    On Fashion-MNIST, in the feature space of our classifier, whose file hash is `classifier_sha256`:
    `fid_fmnist`; `fid_fmnist_floor`, the same for n training images; `fid_fmnist_excess`, the difference;
    `kid_fmnist`; `precision`, `recall`, `density`, `coverage` (k = 5); `class_histogram`; for a model with
    classes `label_agreement` and, for real images, `label_agreement_real`. The convention is n = 10,000: with
    fewer, all distances rise, the floor with them.

    On other data, on Inception features: `fid_inception`, `kid_inception` and the four shares, with n no
    larger than the data set and classes as frequent as there; where the weights cannot be fetched,
    `not_measured` says so.

    Raises EvaluationError where model and data do not fit, or a sample is not finite.
    """
    if min(n, len(dataset)) < FEWEST:
        raise EvaluationError(f"An evaluation needs at least {FEWEST} samples and {FEWEST} real images.")
    for key, have in (("image_size", dataset.image_size), ("channels", dataset.channels)):
        if model.config[key] != have:
            raise EvaluationError(
                f"The model draws images with {key} = {model.config[key]}, but {dataset.name} has {have}."
            )
    classes = getattr(model, "num_classes", 0)
    if classes not in (0, dataset.num_classes):
        raise EvaluationError(
            f"The model draws {classes} classes, but {dataset.name} has {dataset.num_classes}."
        )
    fashion = dataset.source == data.describe("fashion-mnist").source  # a folder may have the same name
    n = n if fashion else min(n, len(dataset))
    # Asked for the classes of the real images, in their proportions.
    labels = spread(dataset, n).labels if classes and not fashion else None
    generated = sample(model, n, labels, seed)
    if not generated.isfinite().all():
        raise EvaluationError("The model draws images that are not finite: its training has diverged.")

    result = {"data": dataset.name, "split": dataset.split, "n": n, "n_real": len(dataset), "seed": seed}
    if fashion:
        result |= _on_our_classifier(model, generated, dataset)
    else:
        try:
            result |= _on_inception(generated, dataset)
        except EvaluationError as error:
            result["not_measured"] = f"fid_inception, kid_inception, precision to coverage: {error}"
    result["sharpness"] = sharpness(generated).mean().item()
    result["sharpness_real"] = torch.cat([sharpness(x) for x in batches(dataset, 1000)]).mean().item()
    if isinstance(model, VAE):
        few = min(n, LIKELIHOOD_IMAGES)
        bounds = {
            "elbo": elbo(model, dataset, n=few, seed=seed),
            "importance_weighted_bound": importance_weighted(
                model, dataset, k=IMPORTANCE_SAMPLES, n=few, seed=seed
            ),
        }
        result |= {name: bound._asdict() for name, bound in bounds.items()}
        result["importance_samples"] = IMPORTANCE_SAMPLES
    return result


def _on_our_classifier(model: Generator | VAE, generated: Tensor, dataset: ImageDataset) -> dict[str, Any]:
    classifier = recorded.load_model(CLASSIFIER)
    real, train = _real_features(dataset), _training_features(len(generated))
    features = extract(generated, classifier)
    with torch.no_grad():  # the classifier's last layer on the features that are there already
        predicted, predicted_real = (classifier.head(x).argmax(dim=1) for x in (features, real))

    fid, floor = frechet_distance(real, features), frechet_distance(real, train)
    result = {
        "classifier_sha256": recorded.card(CLASSIFIER)["sha256"],
        "fid_fmnist": fid,
        "fid_fmnist_floor": floor,
        "fid_fmnist_excess": fid - floor,
        "kid_fmnist": _kid(real, features),
        **_shares(real, features),
        "class_histogram": dict(
            zip(dataset.class_names, class_histogram(predicted, dataset.num_classes).tolist(), strict=True)
        ),
    }
    if classes := getattr(model, "num_classes", 0):
        result["label_agreement"] = label_agreement(predicted, torch.arange(len(generated)) % classes)
        result["label_agreement_real"] = label_agreement(predicted_real, dataset.labels)
    return result


# Two caches, because a chapter scores several models against the same images.
@lru_cache(maxsize=2)
def _real_features(dataset: ImageDataset) -> Tensor:
    return extract(dataset, recorded.load_model(CLASSIFIER))


@lru_cache(maxsize=2)
def _training_features(n: int) -> Tensor:
    return extract(spread(data.load("fashion-mnist", "train"), n), recorded.load_model(CLASSIFIER))


def _on_inception(generated: Tensor, dataset: ImageDataset) -> dict[str, Any]:
    real, features = inception_features(dataset), inception_features(generated)
    return {
        "fid_inception": frechet_distance(real, features),
        "kid_inception": _kid(real, features),
        **_shares(real, features),
    }


def _kid(real: Tensor, features: Tensor) -> dict[str, float]:
    mean, std = kernel_distance(real, features)
    return {"mean": mean, "std": std}


def _shares(real: Tensor, features: Tensor) -> dict[str, float]:
    few = min(len(real), len(features), MANIFOLD_IMAGES)
    real = real[torch.arange(few) * len(real) // few]
    return precision_recall_density_coverage(real, features[:few])
