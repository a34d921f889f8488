"""Each metric against a closed form, another library, or points whose value is known by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg, ndimage, stats
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from prodgen import evaluation
from prodgen.data import ImageDataset
from prodgen.models import Classifier


def gaussian(n, mean, covariance, seed):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.multivariate_normal(mean, covariance, n)).float()


def dataset(images):
    return ImageDataset("tiny", "test", images, licence="none", source="a test")


def random_covariance(size, seed):
    a = np.random.default_rng(seed).normal(size=(size, size))
    return a @ a.T / size + 0.1 * np.eye(size)


# Fréchet distance


def test_frechet_distance_is_the_closed_form_of_the_two_fitted_gaussians():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(400, 8)), 0.5 * rng.normal(size=(300, 8)) @ random_covariance(8, 1) + 2
    s, t = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * linalg.sqrtm(s @ t).real)
    measured = evaluation.frechet_distance(torch.from_numpy(a), torch.from_numpy(b))
    assert measured == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_finds_the_distance_of_known_gaussians():
    mean_a, mean_b = np.zeros(4), np.array([1, 0, 2, 0])
    s, t = random_covariance(4, 2), random_covariance(4, 3)
    expected = 5 + np.trace(s + t - 2 * linalg.sqrtm(s @ t).real)
    a, b = gaussian(100_000, mean_a, s, 0), gaussian(100_000, mean_b, t, 1)
    assert evaluation.frechet_distance(a, b) == pytest.approx(expected, rel=0.01)


def test_frechet_distance_survives_a_large_common_shift_and_fewer_samples_than_features():
    a, b = torch.randn(500, 16, generator=torch.Generator().manual_seed(0)).split([250, 250])
    # Dyadic values far from zero are exact in float32, so the shift itself loses nothing.
    a, b = (a * 64).round() / 64, (b * 64).round() / 64
    near, far = evaluation.frechet_distance(a, b), evaluation.frechet_distance(a + 4096, b + 4096)
    assert far == pytest.approx(near, rel=1e-9)
    few = evaluation.frechet_distance(a[:10], b[:10])
    assert math.isfinite(few) and few > near  # the bias of small samples
    with pytest.raises(ValueError, match="two samples"):
        evaluation.frechet_distance(a[:1], b)


def test_frechet_distance_keeps_double_precision():
    a = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
    assert abs(evaluation.frechet_distance(a, a)) < 1e-9
    assert evaluation.frechet_distance(a, a + 1e-3) == pytest.approx(8e-6, rel=1e-3)


def features(n, m, size=24):
    """Two sets as a network gives them: not negative, correlated, of different means."""
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(size, size)) / math.sqrt(size)
    real, generated = rng.normal(size=(n, size)) @ mixing, rng.normal(0.2, 1.1, size=(m, size)) @ mixing
    return torch.from_numpy(real).relu(), torch.from_numpy(generated).relu()


@pytest.mark.parametrize(("n", "m"), [(400, 300), (20, 15)])  # enough samples, and fewer than features
def test_frechet_distance_is_torch_fidelitys(n, m):
    real, generated = features(n, m)
    statistics = [fid_features_to_statistics(x) for x in (real, generated)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert evaluation.frechet_distance(real, generated) == pytest.approx(theirs, rel=1e-6)
    assert evaluation.frechet_distance(real.float(), generated.float()) == pytest.approx(theirs, rel=1e-4)


# Kernel distance


def test_kernel_distance_is_torch_fidelitys():
    real, generated = features(300, 300)
    # Subsets of the whole, for the two libraries draw theirs in different ways ...
    theirs = kid_features_to_metric(real, generated, kid_subsets=1, kid_subset_size=300, verbose=False)
    mean, _ = evaluation.kernel_distance(real, generated, subsets=1)
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    # ... and subsets that are drawn, whose means and deviations agree as far as chance lets them.
    theirs = kid_features_to_metric(real, generated, kid_subsets=400, kid_subset_size=50, verbose=False)
    mean, std = evaluation.kernel_distance(real, generated, subsets=400, subset_size=50)
    expected, deviation = theirs["kernel_inception_distance_mean"], theirs["kernel_inception_distance_std"]
    assert mean == pytest.approx(expected, abs=4 * deviation / 20)
    assert std == pytest.approx(deviation, rel=0.2)


def test_kernel_distance_takes_the_smaller_set_whole_and_refuses_a_single_sample():
    real, generated = features(40, 12)
    mean, std = evaluation.kernel_distance(real, generated, subsets=5)
    assert math.isfinite(mean) and std > 0, "twelve of forty are drawn anew each time"
    with pytest.raises(ValueError, match="two samples"):
        evaluation.kernel_distance(real, generated[:1])


def naive_mmd(a, b):
    """The unbiased estimator, term by term."""

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    n, m = len(a), len(b)
    within_a = (kernel(a, a).sum() - np.trace(kernel(a, a))) / (n * (n - 1))
    within_b = (kernel(b, b).sum() - np.trace(kernel(b, b))) / (m * (m - 1))
    return within_a + within_b - 2 * kernel(a, b).mean()


def test_kernel_distance_is_the_unbiased_mmd():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 6)), rng.normal(0.3, 1.2, size=(200, 6))
    # Subsets as large as the sets: every subset is the whole set, and nothing varies.
    mean, std = evaluation.kernel_distance(torch.from_numpy(a), torch.from_numpy(b), subsets=3)
    assert mean == pytest.approx(naive_mmd(a, b), rel=1e-9)
    assert std == pytest.approx(0, abs=1e-12)


def test_kernel_distance_is_about_zero_for_one_distribution_and_repeats_with_its_seed():
    a, b = torch.randn(6000, 16, generator=torch.Generator().manual_seed(0)).split(3000)
    mean, std = evaluation.kernel_distance(a, b, subsets=50, seed=1)
    assert abs(mean) < 3 * std / math.sqrt(6)  # 3,000 samples hold six independent subsets of 500
    before = torch.random.get_rng_state()
    assert (mean, std) == evaluation.kernel_distance(a, b, subsets=50, seed=1)
    assert torch.equal(before, torch.random.get_rng_state()), "the global generator is left as it was"
    assert evaluation.kernel_distance(a, b + 0.5, subsets=50, seed=1)[0] > 10 * std


# Precision, recall, density, coverage


def naive_shares(real, generated, k):
    def radii(points):
        return NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)[0][:, k]

    distances = np.linalg.norm(generated[:, None] - real[None], axis=2)
    in_real, in_generated = distances <= radii(real), distances <= radii(generated)[:, None]
    return {
        "precision": in_real.any(1).mean(),
        "recall": in_generated.any(0).mean(),
        "density": in_real.sum() / (k * len(generated)),
        "coverage": in_real.any(0).mean(),
    }


def test_shares_agree_with_a_naive_implementation_on_scikit_learn(monkeypatch):
    monkeypatch.setattr(evaluation.manifold, "CHUNK", 70)  # several chunks, the last one short
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(300, 3)), rng.normal(0.8, 1, size=(250, 3))
    measured = evaluation.precision_recall_density_coverage(
        torch.from_numpy(real), torch.from_numpy(generated)
    )
    assert measured == pytest.approx(naive_shares(real, generated, 5))
    assert len({round(value, 3) for value in measured.values()} - {0, 1}) == 4, "all four are told apart"


def test_shares_of_points_on_a_line():
    # With k = 1 a real ball reaches to the neighbouring point, at 1, and a generated one to 0.5.
    real = torch.arange(10.0)[:, None]
    generated = torch.tensor([[0.25], [0.75], [100.0], [100.5]])
    measured = evaluation.precision_recall_density_coverage(real, generated, k=1)
    # 0.25 and 0.75 lie in the balls round 0 and 1 (0.25 is 1.75 from 2); 100 lies in none.
    # The balls round 0.25 and 0.75 hold 0 and 1.
    assert measured == {"precision": 2 / 4, "recall": 2 / 10, "density": 4 / 4, "coverage": 2 / 10}


def test_a_point_on_the_edge_of_a_ball_is_inside():
    real, generated = torch.arange(10.0)[:, None], torch.arange(10.0)[:, None] + 1
    assert evaluation.precision_recall_density_coverage(real, generated, k=1)["precision"] == 1


def test_shares_of_copies_and_of_a_collapsed_model():
    real = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    copies = evaluation.precision_recall_density_coverage(real, real.clone())
    assert copies["precision"] == copies["recall"] == copies["coverage"] == 1
    collapsed = evaluation.precision_recall_density_coverage(real, real[:1].expand(50, 4))
    assert collapsed["precision"] == 1 and collapsed["recall"] == 0.01
    assert collapsed["coverage"] < 0.2
    with pytest.raises(ValueError, match="more than 5 points"):
        evaluation.precision_recall_density_coverage(real[:5], real)


# Images


def test_sharpness_is_the_variance_of_scipys_laplacian():
    images = torch.rand(5, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    grey = (images.mean(1).numpy() + 1) / 2
    expected = [ndimage.laplace(image)[1:-1, 1:-1].var() for image in grey]
    torch.testing.assert_close(
        evaluation.sharpness(images), torch.tensor(np.array(expected)), rtol=1e-5, atol=0, check_dtype=False
    )


def test_blur_lowers_sharpness_and_a_flat_image_has_none():
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blurred = torch.from_numpy(ndimage.gaussian_filter(images.numpy(), (0, 0, 1, 1)))
    assert (evaluation.sharpness(blurred) < 0.1 * evaluation.sharpness(images)).all()
    assert evaluation.sharpness(torch.full((2, 1, 8, 8), 0.3)).abs().max() < 1e-12


def test_histogram_and_agreement_count():
    labels = torch.tensor([2, 0, 2, 1])
    assert evaluation.class_histogram(labels, 4).tolist() == [1, 1, 2, 0]
    assert evaluation.label_agreement(labels, torch.tensor([2, 0, 1, 1])) == 0.75


@pytest.mark.parametrize("chunk", [7, 1000])
def test_nearest_neighbours_in_pixels_agree_with_scikit_learn(chunk):
    rng = torch.Generator().manual_seed(0)
    data = dataset(torch.randint(0, 256, (50, 1, 6, 6), dtype=torch.uint8, generator=rng))
    queries = torch.cat([data.batch([17]), torch.rand(3, 1, 6, 6, generator=rng) * 2 - 1])
    distances, indices = evaluation.nearest_neighbours(queries, data, k=4, chunk=chunk)
    points = data.batch(slice(None)).flatten(1).double().numpy()
    search = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(points)
    expected, where = search.kneighbors(queries.flatten(1).double().numpy())
    assert indices.tolist() == where.tolist()
    np.testing.assert_allclose(distances.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert indices[0, 0] == 17 and distances[0, 0] == 0, "a copy is found out"


def test_nearest_neighbours_in_feature_space_and_more_than_there_are():
    rng = torch.Generator().manual_seed(0)
    data = dataset(torch.randint(0, 256, (20, 1, 28, 28), dtype=torch.uint8, generator=rng))
    classifier = Classifier(width=4).train()
    distances, indices = evaluation.nearest_neighbours(
        data.batch([3, 4]), data, k=99, classifier=classifier, chunk=8
    )
    features = evaluation.extract(data, classifier).double().numpy()
    search = NearestNeighbors(n_neighbors=20, algorithm="brute").fit(features)
    expected, where = search.kneighbors(features[3:5])
    np.testing.assert_allclose(distances.numpy(), expected, rtol=1e-3, atol=1e-5)
    assert indices.shape == (2, 20) and indices[:, 0].tolist() == where[:, 0].tolist() == [3, 4]


# Features


def test_features_do_not_depend_on_batches_or_mode_and_leave_the_mode_alone():
    rng = torch.Generator().manual_seed(0)
    data = dataset(torch.randint(0, 256, (30, 1, 28, 28), dtype=torch.uint8, generator=rng))
    images = data.batch(slice(None))
    classifier = Classifier(width=4)
    classifier(images)  # moves batch norm's statistics away from their start
    features = evaluation.extract(data, classifier, batch_size=7)
    assert classifier.training, "the classifier's mode is restored"
    classifier.eval()
    with torch.no_grad():
        expected, logits = classifier.features(images), classifier(images)
    torch.testing.assert_close(features, expected)
    assert features.shape == (30, 128) and features.dtype == torch.float32 and not features.requires_grad
    assert torch.equal(evaluation.predict(images, classifier, batch_size=7), logits.argmax(1))


def test_inception_fid_is_the_frechet_distance_of_inception_features(monkeypatch):
    features = {-1: torch.randn(40, 5), 1: torch.randn(50, 5) + 1}
    monkeypatch.setattr(
        evaluation.distances, "inception_features", lambda images: features[images.flatten()[0].item()]
    )
    measured = evaluation.inception_fid(-torch.ones(40, 1, 4, 4), torch.ones(50, 1, 4, 4))
    assert measured == evaluation.frechet_distance(features[-1], features[1])


# Statistics


def test_t_interval_is_scipys():
    values = [3.1, 2.7, 3.6, 3.0, 2.9]
    result = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert evaluation.t_interval(values, 0.9) == pytest.approx((result.low, result.high))
    with pytest.raises(ValueError, match="two seeds"):
        evaluation.t_interval([1.0])


def test_the_interval_for_one_more_run_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    runs = rng.normal(5, 2, size=(2000, 6))
    inside = 0
    for *seeds, live in runs.tolist():
        low, high = evaluation.t_interval(seeds, one_more=True)
        inside += low <= live <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_estimate_is_mean_and_standard_error():
    values = torch.tensor([1.0, 2.0, 4.0])
    estimate = evaluation.Estimate.of(values)
    assert estimate == pytest.approx((7 / 3, stats.sem(values.numpy()), 3))
    assert math.isnan(evaluation.Estimate.of(values[:1]).standard_error)
