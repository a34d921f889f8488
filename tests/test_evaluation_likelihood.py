"""The bounds against a model whose likelihood is known exactly, and against each other."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from prodgen import evaluation, losses
from prodgen.data import LABEL, Condition, Factor, ImageDataset
from prodgen.models import VAE

SIGMA = 0.3
SIZE = 3


class LinearGaussian(nn.Module):
    """x = W z + noise, z ~ N(0, I): the one latent-variable model whose p(x) and p(z|x) are in closed form.

    q(z|x) is the true posterior if `exact` (its covariance is diagonal, for W has orthogonal columns), else a
    worse one.
    """

    condition = None

    def __init__(self, exact):
        super().__init__()
        self.exact = exact
        columns, _ = torch.linalg.qr(torch.randn(SIZE**2, 2, generator=torch.Generator().manual_seed(0)))
        self.weight = nn.Parameter(columns * torch.tensor([1.0, 0.5]))

    def target(self, x, rng=None):
        return x

    def encoder_input(self, target):
        return target

    def encode(self, x, condition=None):
        variance = 1 / (1 + self.weight.square().sum(0) / SIGMA**2)
        mean = (x.flatten(1) @ self.weight) / SIGMA**2 * variance
        log_var = variance.log().expand_as(mean)
        return (mean, log_var) if self.exact else (0.5 * mean, log_var + 1)

    def log_likelihood(self, target, z, condition=None):
        return losses.gaussian_log_likelihood(target.flatten(1), z @ self.weight.T, torch.tensor(SIGMA).log())

    def marginal(self):
        weight = self.weight.detach()
        covariance = weight @ weight.T + SIGMA**2 * torch.eye(SIZE**2)
        return MultivariateNormal(torch.zeros(SIZE**2), covariance)


def random_images(n, size=SIZE, seed=1):
    images = torch.randint(
        0, 256, (n, 1, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    return ImageDataset("tiny", "test", images, licence="none", source="a test")


def exact_mean(model, data):
    return model.marginal().log_prob(data.batch(slice(None)).flatten(1)).mean().item()


@pytest.mark.parametrize("k", [1, 20])
def test_with_the_true_posterior_the_weighted_bound_is_the_likelihood_for_any_k(k):
    model, data = LinearGaussian(exact=True), random_images(30)
    estimate = evaluation.importance_weighted(model, data, k=k)
    assert estimate.mean == pytest.approx(exact_mean(model, data), rel=1e-5)
    # The spread over images is that of the exact values: no Monte Carlo noise is left.
    exact = model.marginal().log_prob(data.batch(slice(None)).flatten(1))
    assert estimate.standard_error == pytest.approx(exact.std().item() / math.sqrt(30), rel=1e-4)


def test_the_elbo_of_a_worse_posterior_is_the_likelihood_less_the_divergence():
    model, data = LinearGaussian(exact=False), random_images(4000)
    x = data.batch(slice(None))
    mean, log_var = model.encode(x)
    model.exact = True
    true_mean, true_log_var = model.encode(x)
    model.exact = False
    scale = torch.exp(0.5 * true_log_var)
    divergence = losses.gaussian_kl((mean - true_mean) / scale, log_var - true_log_var).mean().item()
    assert divergence > 0.5
    bound = evaluation.elbo(model, data)
    # The noise of the one draw an image: that of log p(x|z) alone, measured here over repetitions.
    repeated = torch.tensor([evaluation.elbo(model, data, seed=seed).mean for seed in range(10)])
    assert bound.mean == pytest.approx(exact_mean(model, data) - divergence, abs=4 * repeated.std().item())


def test_the_weighted_bound_climbs_from_the_elbo_to_the_likelihood():
    model, data = LinearGaussian(exact=False), random_images(500)
    bounds = [evaluation.elbo(model, data)] + [
        evaluation.importance_weighted(model, data, k) for k in (5, 50, 2000)
    ]
    means = [bound.mean for bound in bounds]
    exact = exact_mean(model, data)
    assert means == sorted(means), "each bound is tighter than the one before"
    assert means[0] < exact - 0.5
    assert means[-1] == pytest.approx(exact, abs=0.02)


def test_the_standard_error_is_the_spread_of_repeated_samples():
    model, everything = LinearGaussian(exact=True), random_images(20_000)
    means, errors = [], []
    for part in torch.arange(20_000).split(100):
        estimate = evaluation.importance_weighted(model, everything.subset(part), k=1, batch_size=100)
        means.append(estimate.mean)
        errors.append(estimate.standard_error)
    spread = torch.tensor(means).std().item()
    assert spread == pytest.approx(sum(errors) / len(errors), rel=0.15)


def small_vae(likelihood):
    torch.manual_seed(0)
    return VAE(latent_dim=3, width=4, likelihood=likelihood).train()


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_bounds_of_a_vae_are_ordered_seeded_and_independent_of_batches(likelihood):
    vae, data = small_vae(likelihood), random_images(40, 28)
    with torch.no_grad():
        vae.encoder_head[-1].weight.mul_(20)  # a posterior that is worth correcting
    bound = evaluation.elbo(vae, data, batch_size=40)
    weighted = evaluation.importance_weighted(vae, data, k=30)
    assert weighted.mean > bound.mean
    assert weighted == evaluation.importance_weighted(vae, data, k=30), "the same seed, the same numbers"
    assert weighted.mean != evaluation.importance_weighted(vae, data, k=30, seed=1).mean
    assert evaluation.elbo(vae, data, n=10).n == 10
    assert evaluation.importance_weighted(vae, data, k=2, n=99).n == 40
    assert vae.training and all(p.grad is None for p in vae.parameters())


def test_both_bounds_score_the_same_binary_pixels():
    vae, data = small_vae("bernoulli"), random_images(25, 28)
    seen = {"elbo": [], "weighted": []}
    original = vae.target

    def recording(name):
        def target(x, rng):
            seen[name].append(original(x, rng))
            return seen[name][-1]

        return target

    vae.target = recording("elbo")
    evaluation.elbo(vae, data, seed=3, batch_size=25)
    vae.target = recording("weighted")
    evaluation.importance_weighted(vae, data, k=2, seed=3, batch_size=4)
    assert torch.equal(torch.cat(seen["elbo"]), torch.cat(seen["weighted"]))
    assert set(torch.cat(seen["elbo"]).unique().tolist()) == {0.0, 1.0}


def test_a_bernoulli_bound_agrees_with_the_models_own_terms():
    vae, data = small_vae("bernoulli"), random_images(400, 28)
    with torch.no_grad():
        terms = vae.elbo_terms(data.batch(slice(None)), torch.Generator().manual_seed(9))
    own = losses.elbo(*terms)
    estimate = evaluation.elbo(vae, data)
    assert estimate.mean == pytest.approx(own.mean().item(), abs=4 * own.std().item() / 20)


# Conditions


class Told(LinearGaussian):
    """p(x|class): the linear model around a grey value that the class decides."""

    condition = Condition.of_classes(("dark", "light"))
    grey = torch.tensor([-0.5, 0.5])

    def encode(self, x, condition=None):
        return super().encode(x - (condition @ self.grey).view(-1, 1, 1, 1))

    def log_likelihood(self, target, z, condition=None):
        return super().log_likelihood(target - (condition @ self.grey).view(-1, 1, 1, 1), z)


def with_classes(data, labels, condition=Told.condition):
    return replace(data, factors={LABEL: labels}, condition=condition)


@pytest.mark.parametrize("k", [1, 20])
def test_a_conditional_model_is_told_each_images_own_class(k):
    model, labels = Told(exact=True), torch.arange(25) % 3 % 2
    data = with_classes(random_images(25), labels)
    x = data.batch(slice(None)).flatten(1) - Told.grey[labels][:, None]
    exact = model.marginal().log_prob(x).mean().item()
    assert evaluation.importance_weighted(model, data, k=k, batch_size=10).mean == pytest.approx(
        exact, rel=1e-5
    )
    swapped = evaluation.importance_weighted(model, with_classes(data, 1 - labels), k=k)
    assert swapped.mean != pytest.approx(exact, rel=1e-3), "another class, another likelihood"


def test_both_bounds_of_a_conditional_vae_use_its_condition():
    torch.manual_seed(0)
    vae = VAE(latent_dim=3, width=4, condition=Told.condition)
    data = random_images(30, 28)
    for bound in (evaluation.elbo, lambda *a: evaluation.importance_weighted(*a, k=4)):
        dark, light = (bound(vae, with_classes(data, torch.full((30,), k))).mean for k in (0, 1))
        assert dark != light and math.isfinite(dark + light)


def test_data_that_know_more_than_the_model_asks_will_do():
    hue = Factor("hue", ("red", "blue"))
    data = with_classes(random_images(20), torch.arange(20) % 2)
    more = replace(
        data,
        factors={"hue": torch.zeros(20, dtype=torch.int64)} | data.factors,
        condition=Condition((hue, *data.condition.factors)),
    )
    model = Told(exact=True)
    assert evaluation.importance_weighted(model, more, k=2) == evaluation.importance_weighted(
        model, data, k=2
    )


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, "asked for label, which tiny does not know"),
        (Condition.of_classes(("dark", "bright")), "dark, light against dark, bright"),
        (Condition.of_classes(("light", "dark")), "dark, light against light, dark"),
    ],
)
def test_data_of_other_classes_are_refused(condition, message):
    data = random_images(20)
    if condition:
        data = with_classes(data, torch.arange(20) % 2, condition)
    with pytest.raises(evaluation.EvaluationError, match=message):
        evaluation.elbo(Told(exact=True), data)
