"""The losses against closed forms, identities and autograd by hand."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from prodgen import losses


@pytest.fixture
def logits():
    rng = torch.Generator().manual_seed(0)
    return 3 * torch.randn(50, generator=rng), 3 * torch.randn(50, generator=rng)


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_every_adversarial_loss_gives_one_value_a_sample(name, logits):
    pair = losses.ADVERSARIAL[name]
    assert pair.discriminator(*logits).shape == pair.generator(*logits).shape == (50,)


def test_cross_entropy_losses_are_the_logarithms_they_stand_for(logits):
    real, fake = (a.double() for a in logits)
    d_real, d_fake = real.sigmoid(), fake.sigmoid()
    torch.testing.assert_close(
        losses.cross_entropy_discriminator(real, fake), -torch.log(d_real) - torch.log(1 - d_fake)
    )
    torch.testing.assert_close(losses.minimax_generator(real, fake), torch.log(1 - d_fake))
    torch.testing.assert_close(losses.non_saturating_generator(real, fake), -torch.log(d_fake))


def test_cross_entropy_losses_stay_finite_where_sigmoid_and_log_do_not():
    a = torch.tensor([-200.0, 200.0])
    assert torch.log(1 - a.sigmoid())[1].isinf()
    for loss in (
        losses.cross_entropy_discriminator,
        losses.minimax_generator,
        losses.non_saturating_generator,
    ):
        assert loss(a, a).isfinite().all()
        assert loss(a, -a).isfinite().all()


def test_minimax_and_non_saturating_generators_differ_by_the_logit(logits):
    # log(1 - D) - (-log D) = log(D (1 - D)); the gradients' difference is what "saturates" means
    real, fake = logits
    fake.requires_grad_()
    (minimax,) = torch.autograd.grad(losses.minimax_generator(real, fake).sum(), fake)
    (non_saturating,) = torch.autograd.grad(losses.non_saturating_generator(real, fake).sum(), fake)
    d = fake.detach().sigmoid()
    torch.testing.assert_close(minimax, -d)  # vanishes where D is sure that the image is generated
    torch.testing.assert_close(non_saturating, d - 1)  # is -1 there


def test_relativistic_losses_mirror_each_other_and_ignore_a_shift(logits):
    real, fake = logits
    discriminator, generator = losses.ADVERSARIAL["relativistic"]
    torch.testing.assert_close(discriminator(real, fake), generator(fake, real))
    torch.testing.assert_close(discriminator(real, fake), discriminator(real + 5, fake + 5))
    torch.testing.assert_close(discriminator(real, fake), -torch.log(torch.sigmoid(real - fake)))
    torch.testing.assert_close(discriminator(real, real), torch.full((50,), math.log(2)))


def test_hinge_and_wasserstein_losses_on_values_worked_out_by_hand():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 2.0])
    torch.testing.assert_close(losses.hinge_discriminator(real, fake), torch.tensor([0.0, 1.5, 5.0]))
    torch.testing.assert_close(losses.wasserstein_discriminator(real, fake), torch.tensor([-5.0, -0.5, 3.0]))
    torch.testing.assert_close(losses.critic_generator(real, fake), -fake)


def test_the_optimal_discriminator_minimises_the_cross_entropy():
    # On four points with known probabilities, D* = p / (p + q) is where the loss's gradient is zero, and
    # the value there is log 4 - 2 JSD (Goodfellow et al., 2014, proposition 1 and theorem 1).
    p, q = torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), torch.tensor([0.4, 0.3, 0.2, 0.1]).double()
    a = torch.log(p / q).requires_grad_()  # sigmoid(a) = p / (p + q)

    def expected_loss(a):
        real = losses.cross_entropy_discriminator(a, torch.full_like(a, -torch.inf))
        fake = losses.cross_entropy_discriminator(torch.full_like(a, torch.inf), a)
        return (p * real + q * fake).sum()

    value = expected_loss(a)
    (gradient,) = torch.autograd.grad(value, a)
    torch.testing.assert_close(gradient, torch.zeros(4).double())
    m = (p + q) / 2
    jsd = 0.5 * (p * (p / m).log()).sum() + 0.5 * (q * (q / m).log()).sum()
    torch.testing.assert_close(value, math.log(4) - 2 * jsd)
    for seed in range(5):
        elsewhere = a.detach() + torch.randn(4, generator=torch.Generator().manual_seed(seed)).double()
        assert expected_loss(elsewhere) > value


class Quadratic(nn.Module):
    """D(x) = x' A x / 2 + b' x for flattened x, so that grad D = A x + b is known."""

    def __init__(self, size):
        super().__init__()
        rng = torch.Generator().manual_seed(1)
        a = torch.randn(size, size, generator=rng)
        self.a, self.b = (a + a.T) / 2, torch.randn(size, generator=rng)

    def forward(self, x):
        x = x.flatten(1)
        return 0.5 * ((x @ self.a) * x).sum(1) + x @ self.b

    def gradient(self, x):
        return x.flatten(1) @ self.a + self.b


@pytest.mark.parametrize("penalty", [losses.r1_penalty, losses.r2_penalty])
def test_r1_and_r2_equal_the_squared_gradient_norm_by_hand(penalty):
    discriminator, x = Quadratic(12), torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    x.requires_grad_()
    found = penalty(discriminator(x), x)
    torch.testing.assert_close(found, discriminator.gradient(x).square().sum(1))
    (by_autograd,) = torch.autograd.grad(found.sum(), x)  # the penalty itself is differentiable
    torch.testing.assert_close(by_autograd.flatten(1), 2 * discriminator.gradient(x) @ discriminator.a)


def test_wgan_gp_equals_the_formula_between_the_pairs():
    discriminator = Quadratic(12)
    rng = torch.Generator().manual_seed(3)
    real, fake = torch.randn(2, 6, 3, 2, 2, generator=rng)
    found = losses.wgan_gp_penalty(discriminator, real, fake, torch.Generator().manual_seed(4))
    weight = torch.rand(6, 1, 1, 1, generator=torch.Generator().manual_seed(4))
    assert weight.unique().numel() == 6  # each pair its own
    norm = discriminator.gradient(weight * real + (1 - weight) * fake).norm(dim=1)
    torch.testing.assert_close(found, (norm - 1).square())


def test_wgan_gp_of_a_critic_without_a_gradient_has_a_gradient_of_zero_and_not_of_nan():
    weight = torch.zeros(12, requires_grad=True)
    penalty = losses.wgan_gp_penalty(lambda x: x.flatten(1) @ weight, *torch.randn(2, 4, 3, 2, 2))
    torch.testing.assert_close(penalty, torch.ones(4))
    penalty.mean().backward()
    assert torch.equal(weight.grad, torch.zeros(12))


def test_gaussian_kl_equals_torch_distributions_and_monte_carlo():
    rng = torch.Generator().manual_seed(5)
    mean, log_var = torch.randn(2, 4, 3, generator=rng)
    q, prior = Normal(mean, (0.5 * log_var).exp()), Normal(torch.zeros(()), torch.ones(()))
    found = losses.gaussian_kl(mean, log_var)
    torch.testing.assert_close(found, kl_divergence(q, prior).sum(1))
    z = mean + (0.5 * log_var).exp() * torch.randn(100_000, 4, 3, generator=rng)
    draws = (q.log_prob(z) - prior.log_prob(z)).sum(2)
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - found).abs() < 5 * error).all()


def test_log_likelihoods_equal_torch_distributions():
    rng = torch.Generator().manual_seed(6)
    out, x = torch.randn(2, 5, 1, 4, 4, generator=rng)
    binary = (x > 0).float()
    torch.testing.assert_close(
        losses.bernoulli_log_likelihood(out, binary), Bernoulli(logits=out).log_prob(binary).flatten(1).sum(1)
    )
    for log_sigma in (torch.tensor(-0.7), torch.randn(4, 4, generator=rng)):
        torch.testing.assert_close(
            losses.gaussian_log_likelihood(x, out, log_sigma),
            Normal(out, log_sigma.exp()).log_prob(x).flatten(1).sum(1),
        )


def test_importance_weighted_bound_is_the_elbo_for_one_sample_and_never_below_it():
    log_weights = torch.randn(64, 200, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(losses.importance_weighted_bound(log_weights[:1]), log_weights[0])
    assert (losses.importance_weighted_bound(log_weights) >= log_weights.mean(0)).all()  # Jensen
    shifted = losses.importance_weighted_bound(log_weights - 1e4)  # no underflow
    torch.testing.assert_close(shifted, losses.importance_weighted_bound(log_weights) - 1e4)


def test_importance_weighted_bound_rises_to_the_exact_log_likelihood():
    # p(z) = N(0, 1), p(x|z) = N(z, 1) gives p(x) = N(0, 2); q(z|x) is deliberately wrong.
    x = torch.tensor([1.5])
    prior, q = Normal(0.0, 1.0), Normal(torch.tensor([0.2]), torch.tensor([1.0]))
    exact = Normal(0.0, math.sqrt(2)).log_prob(x)
    rng = torch.Generator().manual_seed(8)
    z = 0.2 + torch.randn(4096, 500, 1, generator=rng)
    log_weights = prior.log_prob(z) + Normal(z, 1.0).log_prob(x) - q.log_prob(z)
    means = [losses.importance_weighted_bound(log_weights[:k, :, 0]).mean() for k in (1, 8, 64, 4096)]
    assert means == sorted(means)
    assert means[0] < exact - 0.1
    torch.testing.assert_close(means[-1], exact[0], atol=5e-3, rtol=0)
