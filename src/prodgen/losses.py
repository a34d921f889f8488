"""Losses as pure functions: one value a sample out, summed over pixels and latent dimensions.

The trainer averages over the batch. Nothing here keeps state, draws a random number that it is not handed, or
applies a sigmoid before a logarithm: a discriminator gives logits a, D(x) = sigmoid(a), and

    log D(x) = -softplus(-a),        log(1 - D(x)) = -softplus(a).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, relu, softplus


class AdversarialLoss(NamedTuple):
    """The two players' losses, each `f(real_logits (N,), fake_logits (N,)) -> (N,)`, to be minimised."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


def cross_entropy_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))).  (N,), (N,) -> (N,).  Goodfellow et al. (2014), eq. (1)."""
    return softplus(-real_logits) + softplus(fake_logits)


def minimax_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """log(1 - D(G(z))), whose gradient vanishes where D is sure.  Goodfellow et al. (2014), eq. (1)."""
    return -softplus(fake_logits)


def non_saturating_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log D(G(z)).  (N,), (N,) -> (N,).  Goodfellow et al. (2014), section 3."""
    return softplus(-fake_logits)


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """max(0, 1 - a_real) + max(0, 1 + a_fake).  (N,), (N,) -> (N,).  Lim and Ye (2017)."""
    return relu(1 - real_logits) + relu(1 + fake_logits)


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """a_fake - a_real: minus the critic's estimate of the Wasserstein distance.  Arjovsky et al. (2017)."""
    return fake_logits - real_logits


def critic_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-a_fake, the generator's side of both the hinge and the Wasserstein loss.  (N,), (N,) -> (N,)."""
    return -fake_logits


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log sigmoid(a_real - a_fake): is the real one *more* real than the fake one it is paired with?

    (N,), (N,) -> (N,).  RpGAN, Jolicoeur-Martineau (2019); Huang et al. (2024), eq. (2).
    """
    return softplus(fake_logits - real_logits)


def relativistic_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log sigmoid(a_fake - a_real), the mirror image.  (N,), (N,) -> (N,).  RpGAN."""
    return softplus(real_logits - fake_logits)


ADVERSARIAL = {
    "minimax": AdversarialLoss(cross_entropy_discriminator, minimax_generator),
    "non-saturating": AdversarialLoss(cross_entropy_discriminator, non_saturating_generator),
    "hinge": AdversarialLoss(hinge_discriminator, critic_generator),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, critic_generator),
    "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator),
}


def _gradient(logits: Tensor, images: Tensor) -> Tensor:
    # The sum of the logits has, for each image, the gradient of that image's own logit, as long as the
    # discriminator treats the images one by one (so: no batch norm in it).
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().flatten(1)  # squared in float32 even under autocast


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """||grad_x D(x)||^2 at real images: (N,), (N, C, H, W) -> (N,).  Mescheder et al. (2018), eq. (9).

    `real` must have had `requires_grad` when `real_logits` were computed from it. The factor gamma / 2 is the
    trainer's.
    """
    return _gradient(real_logits, real).square().sum(dim=1)


def r2_penalty(fake_logits: Tensor, fake: Tensor) -> Tensor:
    """||grad_x D(x)||^2 at generated images: (N,), (N, C, H, W) -> (N,).  Mescheder et al. (2018)."""
    return _gradient(fake_logits, fake).square().sum(dim=1)


def wgan_gp_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator | None = None
) -> Tensor:
    """(||grad D|| - 1)^2 between pairs of real and generated images.  Gulrajani et al. (2017), eq. (3).

    real, fake: (N, C, H, W) -> (N,). Each pair has its own mixing weight in [0, 1], drawn from `rng`.
    """
    weight = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device)
    between = (weight * real + (1 - weight) * fake).detach().requires_grad_()
    # vector_norm and no root of a sum: where the gradient is zero, the root's own derivative is infinite.
    return (torch.linalg.vector_norm(_gradient(discriminator(between), between), dim=1) - 1).square()


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)) in nats: (N, d), (N, d) -> (N,).

    Kingma and Welling (2014), appendix B.
    """
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(dim=1)


def bernoulli_log_likelihood(logits: Tensor, targets: Tensor) -> Tensor:
    """log p(x|z) in nats of binary pixels: logits and targets in {0, 1}, (N, ...) -> (N,)."""
    return -binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).sum(dim=1)


def gaussian_log_likelihood(x: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    """log N(x; mean, sigma^2) in nats, summed over all but the first dimension: (N, ...) -> (N,).

    `log_sigma` broadcasts against x: one number for all pixels, or one each.
    """
    z = (x - mean) * torch.exp(-log_sigma)
    return (-0.5 * z.square() - log_sigma - 0.5 * math.log(2 * math.pi)).flatten(1).sum(dim=1)


def elbo(log_likelihood: Tensor, kl: Tensor) -> Tensor:
    """The evidence lower bound E[log p(x|z)] - KL in nats: (N,), (N,) -> (N,).  Kingma and Welling (2014)."""
    return log_likelihood - kl


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """log (1/k) sum_i w_i for log w_i = log p(x|z_i) + log p(z_i) - log q(z_i|x): (k, N) -> (N,).

    In nats; at least the ELBO, and log p(x) in the limit of many samples. Burda et al. (2016), eq. (8).
    """
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))
