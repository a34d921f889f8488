"""The one call that measures it all: what it reports, on which data, and what it refuses."""

import json

import pytest
import torch

from prodgen import data, evaluation, models, recorded
from prodgen.data import ImageDataset
from prodgen.evaluation import report
from prodgen.models import VAE, Generator

CLASSES = data.describe("fashion-mnist").class_names


@pytest.fixture(scope="module")
def real():
    return data.load("fashion-mnist", "test").subset(slice(0, 300))


@pytest.fixture(autouse=True)
def fresh_caches():
    report._real_features.cache_clear()
    report._training_features.cache_clear()


def generator(**config):
    torch.manual_seed(0)
    return Generator(width=4, latent_dim=8, **config).eval()


def test_training_photos_in_place_of_samples_score_the_floor(real, monkeypatch):
    photos = report.spread(data.load("fashion-mnist", "train"), 300)
    monkeypatch.setattr(report, "sample", lambda model, n, labels, seed: photos.batch(slice(None)))
    result = evaluation.evaluate(generator(), real, n=300)
    assert result["fid_fmnist"] == pytest.approx(result["fid_fmnist_floor"])
    assert result["fid_fmnist_excess"] == pytest.approx(0, abs=1e-6)
    blank = evaluation.extract(torch.zeros(300, 1, 28, 28), recorded.load_model(report.CLASSIFIER))
    grey, _ = evaluation.kernel_distance(report._real_features(real), blank)
    assert abs(result["kid_fmnist"]["mean"]) < grey / 20
    assert min(result[name] for name in ("precision", "recall", "density", "coverage")) > 0.6
    assert result["sharpness"] == pytest.approx(result["sharpness_real"], rel=0.2)


def test_a_conditional_generator_is_measured_on_our_classifier(real):
    model = generator(num_classes=10)
    result = evaluation.evaluate(model, real, n=120, seed=3)
    assert json.loads(json.dumps(result)) == result, "JSON holds it all"
    assert (result["data"], result["split"], result["n"], result["n_real"], result["seed"]) == (
        "fashion-mnist", "test", 120, 300, 3,
    )  # fmt: skip
    assert result["classifier_sha256"] == recorded.card(report.CLASSIFIER)["sha256"]
    classifier = recorded.load_model(report.CLASSIFIER)
    samples = models.sample(model, 120, seed=3)
    features, real_features = evaluation.extract(samples, classifier), evaluation.extract(real, classifier)
    assert result["fid_fmnist"] == pytest.approx(
        evaluation.frechet_distance(real_features, features), rel=1e-4
    )
    assert result["fid_fmnist_excess"] == result["fid_fmnist"] - result["fid_fmnist_floor"] > 10
    predicted = evaluation.predict(samples, classifier)
    histogram = evaluation.class_histogram(predicted, 10).tolist()
    assert result["class_histogram"] == dict(zip(CLASSES, histogram, strict=True))
    assert sum(histogram) == 120
    assert result["label_agreement"] == evaluation.label_agreement(predicted, torch.arange(120) % 10)
    assert result["label_agreement_real"] > 0.85
    assert result["precision"] < 0.5, "noise is no product"
    assert not any("inception" in key or key in ("elbo", "not_measured") for key in result)


def test_a_vae_has_its_bounds_and_no_label_agreement(real):
    torch.manual_seed(0)
    vae = VAE(latent_dim=4, width=4)
    result = evaluation.evaluate(vae, real, n=40)
    assert result["elbo"] == evaluation.elbo(vae, real, n=40)._asdict()
    bound = result["importance_weighted_bound"]
    assert bound["n"] == result["elbo"]["n"] == 40 and bound["mean"] > result["elbo"]["mean"]
    assert "label_agreement" not in result
    assert json.loads(json.dumps(result)) == result


def photos(n=24, classes=2):
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=rng)
    labels = (torch.arange(n) >= 3).long()  # three of one class, the rest of the other
    # Named like the data set that we have a classifier for, and not it all the same.
    return ImageDataset(
        "fashion-mnist", "test", images, labels, ("a", "b")[:classes], "own", source="a folder"
    )


def test_other_data_without_inception_say_what_is_missing_and_measure_the_rest(monkeypatch):
    def missing(images):
        raise evaluation.EvaluationError("no weights here")

    monkeypatch.setattr(report, "inception_features", missing)
    result = evaluation.evaluate(generator(image_size=32, channels=3), photos(), n=1000)
    assert "fid_inception" in result["not_measured"] and "no weights here" in result["not_measured"]
    assert result["n"] == 24 and result["sharpness"] > 0
    assert not any(key.startswith(("fid", "kid", "class")) for key in result)


def test_other_data_are_measured_on_inception_features_and_asked_for_their_own_classes(monkeypatch):
    asked = []
    original = report.sample

    def recording(model, n, labels, seed):
        asked.append(labels)
        return original(model, n, labels, seed)

    monkeypatch.setattr(report, "sample", recording)

    def features(images):
        pixels = images.batch(slice(None)) if isinstance(images, ImageDataset) else images
        return pixels.flatten(1)[:, :7]

    monkeypatch.setattr(report, "inception_features", features)
    result = evaluation.evaluate(generator(image_size=32, channels=3, num_classes=2), photos())
    assert {"fid_inception", "kid_inception", "precision", "coverage"} <= result.keys()
    assert not any("fmnist" in key for key in result)
    assert asked[0].bincount().tolist() == [3, 21]


@pytest.mark.parametrize(
    ("model", "n", "message"),
    [
        (lambda: generator(image_size=32), 50, "image_size = 32, but fashion-mnist has 28"),
        (lambda: generator(channels=3), 50, "channels = 3, but fashion-mnist has 1"),
        (lambda: generator(num_classes=4), 50, "4 classes, but fashion-mnist has 10"),
        (lambda: generator(), 9, "at least 10"),
    ],
)
def test_what_does_not_fit_is_refused(real, model, n, message):
    with pytest.raises(evaluation.EvaluationError, match=message):
        evaluation.evaluate(model(), real, n=n)


def test_a_diverged_model_is_refused(real):
    model = generator()
    with torch.no_grad():
        model.stem.weight.fill_(float("nan"))
    with pytest.raises(evaluation.EvaluationError, match="not finite"):
        evaluation.evaluate(model, real, n=20)
