"""Bounds on a VAE's log-likelihood of real images, in nats an image."""

from collections.abc import Iterator

import torch
from torch import Tensor

from prodgen import losses
from prodgen.data import ImageDataset
from prodgen.evaluation.features import evaluating
from prodgen.evaluation.statistics import Estimate
from prodgen.models import VAE


def spread(dataset: ImageDataset, n: int | None) -> ImageDataset:
    """n images evenly spaced over the data set; all of them for None or n >= its length."""
    if n is None or n >= len(dataset):
        return dataset
    return dataset.subset(torch.arange(n) * len(dataset) // n)


def elbo(
    vae: VAE, dataset: ImageDataset, n: int | None = None, seed: int = 0, batch_size: int = 500
) -> Estimate:
    """E[log p(x|z)] - KL(q(z|x) || p(z)), one draw of z an image; Kingma and Welling (2014), eq. (3).

    Over n images of the data set (all for None). Bernoulli pixels are binarised once, by `seed`: the same
    pixels as in `importance_weighted`. The standard error is over images. Probabilities of binary pixels
    (Bernoulli) and densities (Gaussian) are different things: compare bounds of one likelihood only.
    """
    noise = torch.Generator().manual_seed(seed + 1)
    values = []
    with evaluating(vae):
        for target, mean, log_var in _posteriors(vae, spread(dataset, n), seed, batch_size):
            epsilon = torch.randn(mean.shape, generator=noise).to(mean)
            log_likelihood = vae.log_likelihood(target, mean + torch.exp(0.5 * log_var) * epsilon)
            values.append(losses.elbo(log_likelihood, losses.gaussian_kl(mean, log_var)).cpu())
    return Estimate.of(torch.cat(values))


def importance_weighted(
    vae: VAE, dataset: ImageDataset, k: int = 50, n: int | None = None, seed: int = 0, batch_size: int = 10
) -> Estimate:
    """The bound from k draws an image, at least the ELBO on average; Burda et al. (2016), eq. (8).

    Over n images of the data set (all for None), binarised by `seed` as in `elbo`. The standard error is over
    images; the bound itself still lies below log p(x), the less the larger k. The decoder sees k * batch_size
    images at a time.
    """
    noise = torch.Generator().manual_seed(seed + 1)
    values = []
    with evaluating(vae):
        for target, mean, log_var in _posteriors(vae, spread(dataset, n), seed, batch_size):
            epsilon = torch.randn(k, *mean.shape, generator=noise).to(mean)
            z = mean + torch.exp(0.5 * log_var) * epsilon
            # log p(z) - log q(z|x): the constants of the two Gaussians cancel.
            log_ratio = 0.5 * (epsilon.square() + log_var - z.square()).sum(dim=2)
            repeated = target.expand(k, *target.shape).flatten(0, 1)
            log_likelihood = vae.log_likelihood(repeated, z.flatten(0, 1)).view(k, -1)
            values.append(losses.importance_weighted_bound(log_likelihood + log_ratio).cpu())
    return Estimate.of(torch.cat(values))


def _posteriors(
    vae: VAE, dataset: ImageDataset, seed: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """What is scored (n, C, H, W), and mean and log-variance (n, latent_dim) of q(z|x), batch by batch.

    Random numbers are drawn on the CPU, so that a seed means the same on every device.
    """
    device = next(vae.parameters()).device
    rng = torch.Generator().manual_seed(seed)
    for start in range(0, len(dataset), batch_size):
        target = vae.target(dataset.batch(slice(start, start + batch_size)).cpu(), rng).to(device)
        yield target, *vae.encode(vae.encoder_input(target))
