"""The one call that measures it all: what it reports, on which data, and what it refuses."""

import json

import pytest
import torch
from torch import nn

from prodgen import data, evaluation, models, recorded
from prodgen.data import LABEL, Condition, Factor, ImageDataset, to_uint8
from prodgen.evaluation import report
from prodgen.models import VAE, Generator

CLASSES = data.describe("fashion-mnist").class_names
FASHION = Condition.of_classes(CLASSES)


@pytest.fixture(scope="module")
def real():
    return data.load("fashion-mnist", "test").subset(slice(0, 300))


@pytest.fixture(autouse=True)
def fresh_caches():
    report._real_features.cache_clear()
    report._training_features.cache_clear()


class Pixels(nn.Module):
    """Inception in small: its features are the first few pixels."""

    def __init__(self):
        super().__init__()
        self.somewhere = nn.Parameter(torch.zeros(()))

    def features(self, x):
        return x.flatten(1)[:, :7].contiguous()


def generator(**config):
    torch.manual_seed(0)
    return Generator(width=4, latent_dim=8, **config).eval()


def test_training_photos_in_place_of_samples_score_the_floor(real, monkeypatch):
    photos = data.load("fashion-mnist", "train").evenly_spaced(300)
    monkeypatch.setattr(report, "sample_batches", lambda *asked: iter([photos.batch(slice(None))]))
    result = evaluation.evaluate(generator(), real, n=300)
    assert result["fid_fmnist"] == pytest.approx(result["fid_fmnist_floor"])
    assert result["fid_fmnist_excess"] == pytest.approx(0, abs=1e-6)
    blank = evaluation.extract(torch.zeros(300, 1, 28, 28), recorded.load_model(report.CLASSIFIER))
    grey, _ = evaluation.kernel_distance(report._real_features(real, torch.device("cpu")), blank)
    assert abs(result["kid_fmnist"]["mean"]) < grey / 20
    assert min(result[name] for name in ("precision", "recall", "density", "coverage")) > 0.6
    assert result["sharpness"] == pytest.approx(result["sharpness_real"], rel=0.2)


def test_a_conditional_generator_is_measured_on_our_classifier(real):
    model = generator(condition=FASHION)
    result = evaluation.evaluate(model, real, n=300, seed=3)
    assert json.loads(json.dumps(result)) == result, "JSON holds it all"
    assert (result["data"], result["split"], result["n"], result["n_real"], result["seed"]) == (
        "fashion-mnist", "test", 300, 300, 3,
    )  # fmt: skip
    assert result["classifier_sha256"] == recorded.card(report.CLASSIFIER)["sha256"]
    classifier = recorded.load_model(report.CLASSIFIER)
    samples = models.sample(model, 300, real.conditions(), seed=3)
    features, real_features = evaluation.extract(samples, classifier), evaluation.extract(real, classifier)
    assert result["fid_fmnist"] == pytest.approx(
        evaluation.frechet_distance(real_features, features), rel=1e-4
    )
    assert result["fid_fmnist_excess"] == result["fid_fmnist"] - result["fid_fmnist_floor"] > 10
    predicted = evaluation.predict(samples, classifier)
    histogram = evaluation.class_histogram(predicted, 10).tolist()
    assert result["class_histogram"] == dict(zip(CLASSES, histogram, strict=True))
    assert sum(histogram) == 300
    assert result["label_agreement"] == evaluation.label_agreement(predicted, real.labels)
    assert result["label_agreement_real"] > 0.85
    assert result["precision"] < 0.5, "noise is no product"
    assert not any("inception" in key or key in ("elbo", "not_measured") for key in result)


def test_the_shipped_model_draws_what_it_is_asked_for_in_more_and_in_fewer_samples_than_photos(real):
    model = recorded.load_model("gan-fashion-mnist")
    for n in (100, 450):
        result = evaluation.evaluate(model, real.subset(slice(0, 200)), n=n)
        assert result["n"] == n and result["label_agreement"] > 0.9, "samples and labels go together"


def test_a_vae_has_its_bounds_and_no_label_agreement(real):
    torch.manual_seed(0)
    vae = VAE(latent_dim=4, width=4)
    result = evaluation.evaluate(vae, real, n=40)
    assert result["elbo"] == evaluation.elbo(vae, real, n=40)._asdict()
    bound = result["importance_weighted_bound"]
    assert bound["n"] == result["elbo"]["n"] == 40 and bound["mean"] > result["elbo"]["mean"]
    assert "label_agreement" not in result
    assert json.loads(json.dumps(result)) == result


def photos(n=24, split="test"):
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=rng)
    labels = (torch.arange(n) >= 3).long()  # three of one class, the rest of the other
    # Named like the data set that we have a classifier for, and not it all the same.
    return ImageDataset(
        "fashion-mnist", split, images, licence="own", source="a folder",
        factors={LABEL: labels}, condition=Condition.of_classes(("a", "b")),
    )  # fmt: skip


def test_other_data_without_inception_say_what_is_missing_and_measure_the_rest(monkeypatch):
    def missing():
        raise evaluation.EvaluationError("no weights here")

    monkeypatch.setattr(report, "Inception", missing)
    result = evaluation.evaluate(generator(image_size=32, channels=3), photos(), n=1000)
    names = ("fid_inception", "kid_inception", "precision", "recall", "density", "coverage")
    assert result["not_measured"] == dict.fromkeys(names, "no weights here")
    assert result["n"] == 24 and result["sharpness"] > 0 and result["sharpness_real"] > 0
    assert not any(key.startswith(("fid", "kid", "class")) for key in result)


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        ("frechet_distance", {"fid_fmnist", "fid_fmnist_floor", "fid_fmnist_excess"}),
        ("kernel_distance", {"kid_fmnist"}),
        ("precision_recall_density_coverage", {"precision", "recall", "density", "coverage"}),
        ("_training_features", {"fid_fmnist_floor", "fid_fmnist_excess"}),
        ("class_histogram", {"class_histogram"}),
        ("elbo", {"elbo"}),
        ("importance_weighted", {"importance_weighted_bound"}),
    ],
)
def test_a_broken_metric_does_not_lose_the_others(real, monkeypatch, broken, lost):
    def fails(*args, **kwargs):
        raise RuntimeError("out of memory")

    fails.cache_clear = lambda: None
    torch.manual_seed(0)
    vae = VAE(latent_dim=4, width=4)
    whole = evaluation.evaluate(vae, real, n=12)
    monkeypatch.setattr(report, broken, fails)
    result = evaluation.evaluate(vae, real, n=12)
    assert set(result["not_measured"]) == lost
    assert "RuntimeError: out of memory" in result["not_measured"].values()
    left = whole.keys() - lost - {"importance_samples"}
    assert {key: result[key] for key in left} == {key: whole[key] for key in left}
    assert json.loads(json.dumps(result)) == result


def test_a_network_that_fails_halfway_through_the_samples_leaves_the_rest(real, monkeypatch):
    original, seen = report.extract, []

    def fails_later(images, network):
        seen.append(len(images))
        if len(seen) == 3:  # the photos and a batch of samples went well
            raise RuntimeError("out of memory")
        return original(images, network)

    monkeypatch.setattr(report, "Inception", Pixels)
    monkeypatch.setattr(report, "extract", fails_later)
    result = evaluation.evaluate(generator(image_size=32, channels=3), photos(600))
    assert seen == [600, 500, 100]
    assert set(result["not_measured"]) >= {"fid_inception", "recall"} and result["sharpness"] > 0
    assert "fid_inception" not in result, "no distance from a part of the samples"


def test_other_data_are_measured_on_inceptions_features_and_asked_for_their_own_classes(monkeypatch):
    asked = []
    original = report.sample_batches

    def recording(model, n, condition, seed):
        asked.append(condition)
        return original(model, n, condition, seed)

    monkeypatch.setattr(report, "sample_batches", recording)
    monkeypatch.setattr(report, "Inception", Pixels)
    model = generator(image_size=32, channels=3, condition=photos().condition)
    result = evaluation.evaluate(model, photos())
    assert {"fid_inception", "kid_inception", "precision", "coverage"} <= result.keys()
    assert not any("fmnist" in key for key in result)
    assert torch.equal(asked[0].sum(dim=0), torch.tensor([3.0, 21.0]))


# Real and generated images are indexed alike


class Perfect(nn.Module):
    """Draws what the photos of the class that is asked for are drawn from; noise for an unknown class."""

    def __init__(self, condition, unknown=()):
        super().__init__()
        self.latent_dim, self.condition = 16, condition
        self.config = dict(image_size=4, channels=1)
        rng = torch.Generator().manual_seed(0)
        self.centres = nn.Parameter(torch.randn(condition.width, 16, generator=rng) / 3)
        self.width = nn.Parameter(torch.full((condition.width, 1), 0.05))
        with torch.no_grad():
            self.width[list(unknown)] = 5.0

    def forward(self, z, condition):
        return (condition @ self.centres + condition @ self.width * z).clamp(-1, 1).view(-1, 1, 4, 4)


@pytest.mark.parametrize("order", ["class by class", "classes in turn"])
@pytest.mark.parametrize(("unknown", "right"), [((), 0.9), ((1, 2, 3, 4, 6, 7, 8, 9), 0.2)])
def test_a_part_of_the_images_has_the_recall_and_coverage_of_all(monkeypatch, order, unknown, right):
    classes = torch.arange(2000) % 10
    labels = classes.sort().values if order == "class by class" else classes
    condition = Condition.of_classes(tuple("abcdefghij"))
    known = ImageDataset(
        "known", "test",
        to_uint8(models.sample(Perfect(condition), 2000, condition.encode(label=labels), seed=99)),
        licence="own", source="a test", factors={LABEL: labels}, condition=condition,
    )  # fmt: skip
    monkeypatch.setattr(report, "Inception", Pixels)
    model = Perfect(condition, unknown)
    for part, n in ((2000, 2000), (400, 2000), (400, 400)):  # of samples compared, and of samples drawn
        monkeypatch.setattr(report, "MANIFOLD_IMAGES", part)
        result = evaluation.evaluate(model, known, n=n)
        assert result["coverage"] == pytest.approx(right, abs=0.1)
        assert result["precision"] == pytest.approx(right, abs=0.1)
        if not unknown:  # noise far away has balls that hold everything
            assert result["recall"] == pytest.approx(right, abs=0.1)


# What does not fit


@pytest.mark.parametrize(
    ("model", "n", "message"),
    [
        (lambda: generator(image_size=32), 50, "image_size = 32, but fashion-mnist has 28"),
        (lambda: generator(channels=3), 50, "channels = 3, but fashion-mnist has 1"),
        (lambda: generator(condition=Condition.of_classes(("a", "b"))), 50, "a, b against T-shirt/top"),
        (
            lambda: generator(condition=Condition.of_classes(CLASSES[::-1])),
            50,
            "Ankle boot, Bag.* against T-shirt/top, Trouser",
        ),
        (lambda: generator(condition=Condition((Factor("hue", ("red",)),))), 50, "hue, which fashion-mnist"),
        (lambda: generator(), 9, "at least 10 samples, not 9"),
    ],
)
def test_what_does_not_fit_is_refused(real, model, n, message):
    with pytest.raises(evaluation.EvaluationError, match=message):
        evaluation.evaluate(model(), real, n=n)


def test_too_few_photos_are_told_with_what_to_do():
    model = generator(image_size=32, channels=3)
    with pytest.raises(
        evaluation.EvaluationError,
        match=r"^6 are held out; 10 are needed: about 100 photos, or --split all\.$",
    ):
        evaluation.evaluate(model, photos(6))
    with pytest.raises(evaluation.EvaluationError, match=r"has 6 images; 10 are needed"):
        evaluation.evaluate(model, photos(6, split="all"))


def test_a_diverged_model_is_refused(real):
    model = generator()
    with torch.no_grad():
        model.stem.weight.fill_(float("nan"))
    with pytest.raises(evaluation.EvaluationError, match="not finite"):
        evaluation.evaluate(model, real, n=20)


def test_samples_are_looked_at_a_batch_at_a_time(monkeypatch):
    """Not all of them at once as float32: 100,000 of 64 pixels would be 5 GB."""
    sizes = []

    class Watching(Pixels):
        def features(self, x):
            sizes.append(len(x))
            return super().features(x)

    def whole(*args):
        raise AssertionError("all samples in one tensor")

    monkeypatch.setattr(report, "Inception", Watching)
    monkeypatch.setattr(models.sampling, "sample", whole)
    result = evaluation.evaluate(generator(image_size=32, channels=3), photos(1300))
    assert "not_measured" not in result and sum(sizes) == 2600 and max(sizes) <= 500
