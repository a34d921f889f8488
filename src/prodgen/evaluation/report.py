"""Everything that is measured of a model, in one call."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from prodgen import data, recorded
from prodgen.data import ImageDataset
from prodgen.device import random_stream
from prodgen.errors import EvaluationError, ProdgenError
from prodgen.evaluation.distances import frechet_distance, kernel_distance
from prodgen.evaluation.features import Inception, batches, extract
from prodgen.evaluation.images import class_histogram, label_agreement, sharpness
from prodgen.evaluation.likelihood import conditions, elbo, importance_weighted
from prodgen.evaluation.manifold import precision_recall_density_coverage
from prodgen.models import VAE, Classifier, Generator, sample_batches

CLASSIFIER = "classifier-fashion-mnist"
MANIFOLD_IMAGES = 5_000  # of each kind
LIKELIHOOD_IMAGES = 500
IMPORTANCE_SAMPLES = 50
FEWEST = 10
SHARES = ("precision", "recall", "density", "coverage")


def evaluate(
    model: Generator | VAE,
    dataset: ImageDataset,
    *,
    n: int = 10_000,
    seed: int = 0,
    training: ImageDataset | None = None,
) -> dict[str, Any]:
    """n samples of the model against a data set, as a dict that JSON can hold.

    A model with a condition is asked for what is known of the real images: of each, or of n drawn from them
    at random. Everything runs on the model's device, one batch of samples at a time.

    Always: `data`, `split`, `n`, `n_real`, `seed`; mean `sharpness` and `sharpness_real`. For a VAE: `elbo`
    and `importance_weighted_bound`, in nats, each {mean, standard_error, n}, on the same images.

    On Fashion-MNIST, in the feature space of our classifier, whose file hash is `classifier_sha256`:
    `fid_fmnist`; `fid_fmnist_floor`, the same for n training images; `fid_fmnist_excess`, the difference;
    `kid_fmnist`; `precision`, `recall`, `density`, `coverage` (k = 5); `class_histogram`; for a model with
    classes `label_agreement` and, for real images, `label_agreement_real`. The convention is n = 10,000: with
    fewer, all distances rise, the floor with them.

    On other data, on Inception features: `fid_inception`, `kid_inception` and the four shares, with n no
    larger than the data set.

    With the photos that the model was trained on as `training`: `floor`, the distances and shares that n of
    them score in place of samples.

    A measure that fails takes no other with it: `not_measured`, {name: reason}, says why some are missing.
    Raises EvaluationError where model and data do not fit, or a sample is not finite.
    """
    _check_fit(model, dataset, n)
    asked = conditions(model, dataset)
    fashion = dataset.source == data.describe("fashion-mnist").source  # a folder may have the same name
    n = n if fashion else min(n, len(dataset))
    places = _places(n, len(dataset))
    asked = None if asked is None else asked.cpu()[places]
    report = _Report(data=dataset.name, split=dataset.split, n=n, n_real=len(dataset), seed=seed)

    device = next(model.parameters()).device
    network = real = None
    space = "fmnist" if fashion else "inception"
    classes = ("class_histogram", *(("label_agreement", "label_agreement_real") if asked is not None else ()))
    of_fashion = ("fid_fmnist_floor", "fid_fmnist_excess", *classes) if fashion else ()
    of_features = (f"fid_{space}", f"kid_{space}", *SHARES, *of_fashion)
    # The photos come first: what the network cannot do with them, it need not try with samples.
    with report.measuring(*of_features):
        network = _classifier(device) if fashion else Inception().to(device)
        real = _real_features(dataset, device) if fashion else extract(dataset, network)
    features, sharp = [], []
    for batch in sample_batches(model, n, asked, seed):
        if not batch.isfinite().all():
            raise EvaluationError("The model draws images that are not finite: its training has diverged.")
        sharp.append(sharpness(batch).cpu())
        if real is not None:
            with report.measuring(*of_features):
                features.append(extract(batch, network))
    if len(features) == len(sharp):  # the network has seen them all
        drawn = torch.cat(features)
        _compare(report, space, real, drawn)
        if training is not None:
            report["floor"] = floor = _Report()
            with floor.measuring(*of_features):
                few = training.subset(_places(min(n, len(training)), len(training)))
                _compare(floor, space, real, extract(few, network))
        if fashion:
            _add_floor(report, real, n, device)
            with report.measuring(*classes):
                _add_classes(report, network, dataset, real, drawn, None if asked is None else places)
    report["sharpness"] = torch.cat(sharp).mean().item()
    with report.measuring("sharpness_real"):
        report["sharpness_real"] = torch.cat([sharpness(x) for x in batches(dataset, 1000)]).mean().item()
    if isinstance(model, VAE):
        _add_bounds(report, model, dataset, min(n, LIKELIHOOD_IMAGES), seed)
    return dict(report)


class _Report(dict[str, Any]):
    """What was measured and, under `not_measured`, why the rest was not."""

    @contextmanager
    def measuring(self, *names: str) -> Iterator[None]:
        """Where the block fails, whatever the reason, these are missing and the report goes on."""
        try:
            yield
        except Exception as error:
            reason = str(error) if isinstance(error, ProdgenError) else f"{type(error).__name__}: {error}"
            self.setdefault("not_measured", {}).update(dict.fromkeys(names, reason))

    def __missing__(self, name: str) -> None:
        raise EvaluationError(f"It takes {name}, which is missing.")


def _check_fit(model: Generator | VAE, dataset: ImageDataset, n: int) -> None:
    if n < FEWEST:
        raise EvaluationError(f"An evaluation needs at least {FEWEST} samples, not {n}.")
    if len(dataset) < FEWEST:
        raise EvaluationError(
            f"{len(dataset)} are held out; {FEWEST} are needed: about {10 * FEWEST} photos, or --split all."
            if dataset.split == "test"
            else f"{dataset.name} has {len(dataset)} images; {FEWEST} are needed."
        )
    for key, have in (("image_size", dataset.image_size), ("channels", dataset.channels)):
        if model.config[key] != have:
            raise EvaluationError(
                f"The model draws images with {key} = {model.config[key]}, but {dataset.name} has {have}."
            )


def _compare(report: _Report, space: str, real: Tensor, drawn: Tensor) -> None:
    """Distances and shares from features (N, F) of the photos and (n, F) of the samples."""
    with report.measuring(f"fid_{space}"):
        report[f"fid_{space}"] = frechet_distance(real, drawn)
    with report.measuring(f"kid_{space}"):
        mean, std = kernel_distance(real, drawn)
        report[f"kid_{space}"] = {"mean": mean, "std": std}
    with report.measuring(*SHARES):
        few = min(len(real), len(drawn), MANIFOLD_IMAGES)
        report.update(
            precision_recall_density_coverage(real[_places(few, len(real))], drawn[_places(few, len(drawn))])
        )


def _add_floor(report: _Report, real: Tensor, n: int, device: torch.device) -> None:
    """What n training images score in place of samples."""
    with report.measuring("fid_fmnist_floor"):
        report["fid_fmnist_floor"] = frechet_distance(real, _training_features(n, device))
    with report.measuring("fid_fmnist_excess"):
        report["fid_fmnist_excess"] = report["fid_fmnist"] - report["fid_fmnist_floor"]


def _add_classes(
    report: _Report,
    classifier: Classifier,
    dataset: ImageDataset,
    real: Tensor,
    drawn: Tensor,
    places: Tensor | None,
) -> None:
    """What the classifier sees in samples and photos.  places: of the photos whose classes were asked for."""
    report["classifier_sha256"] = recorded.card(CLASSIFIER)["sha256"]
    head = classifier.head  # the last layer, on the features that are there already
    with torch.no_grad():
        seen, seen_real = (head(x.to(head.weight.device)).argmax(dim=1).cpu() for x in (drawn, real))
    counts = class_histogram(seen, dataset.num_classes).tolist()
    report["class_histogram"] = dict(zip(dataset.class_names, counts, strict=True))
    if places is not None:
        labels = dataset.labels.cpu()
        report["label_agreement"] = label_agreement(seen, labels[places])
        report["label_agreement_real"] = label_agreement(seen_real, labels)


def _add_bounds(report: _Report, vae: VAE, dataset: ImageDataset, n: int, seed: int) -> None:
    with report.measuring("elbo"):
        report["elbo"] = elbo(vae, dataset, n=n, seed=seed)._asdict()
    with report.measuring("importance_weighted_bound"):
        bound = importance_weighted(vae, dataset, k=IMPORTANCE_SAMPLES, n=n, seed=seed)
        report["importance_weighted_bound"] = bound._asdict()
        report["importance_samples"] = IMPORTANCE_SAMPLES


def _places(count: int, size: int) -> Tensor:
    """`count` of the indices 0..size-1, int64 (count,): each as often as the others, or one more than them.

    The odd ones are drawn at random, for the images of a folder stand class by class, and those of other
    sets may have their classes in turn: neither the first few nor every k-th would be a fair part.
    """
    whole, rest = divmod(count, size)
    odd = torch.randperm(size, generator=random_stream(0, "places"))[:rest]
    return torch.cat([torch.arange(size).repeat(whole), odd])


# Caches, because a chapter scores several models against the same images.
@lru_cache(maxsize=1)
def _classifier(device: torch.device) -> Classifier:
    return recorded.load_model(CLASSIFIER).to(device)


@lru_cache(maxsize=2)
def _real_features(dataset: ImageDataset, device: torch.device) -> Tensor:
    return extract(dataset, _classifier(device))


@lru_cache(maxsize=2)
def _training_features(n: int, device: torch.device) -> Tensor:
    return extract(data.load("fashion-mnist", "train").evenly_spaced(n), _classifier(device))
