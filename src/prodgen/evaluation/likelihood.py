"""Bounds on a VAE's log-likelihood of real images, in nats an image."""

from collections.abc import Iterator

import torch
from torch import Tensor

from prodgen import losses
from prodgen.data import Factor, ImageDataset
from prodgen.errors import EvaluationError
from prodgen.evaluation.statistics import Estimate
from prodgen.models import VAE, Generator, eval_mode


def conditions(model: Generator | VAE, dataset: ImageDataset) -> Tensor | None:
    """What a model is told of each image, float32 (N, width); None for a model that is told nothing.

    The data may know more than the model asks. Raises EvaluationError where they know less, or mean other
    things by it, such as other classes.
    """
    if model.condition is None:
        return None
    known = {factor.name: factor for factor in dataset.condition.factors} if dataset.condition else {}
    for factor in model.condition.factors:
        if factor.name not in known:
            raise EvaluationError(
                f"The model is asked for {factor.name}, which {dataset.name} does not know; "
                "evaluate it on data like those that it was trained on."
            )
        if known[factor.name] != factor:
            raise EvaluationError(
                f"The model's {factor.name} and that of {dataset.name} differ: {_meaning(factor)} against "
                f"{_meaning(known[factor.name])}; evaluate it on data like those that it was trained on."
            )
    return dataset.only(*(factor.name for factor in model.condition.factors)).conditions()


def _meaning(factor: Factor) -> str:
    if factor.values:
        return ", ".join(factor.values)
    reach = f"to {factor.period:g} and round again" if factor.period else f"within {factor.bounds}"
    return f"{factor.size} number(s) {reach}"


def elbo(
    vae: VAE, dataset: ImageDataset, n: int | None = None, seed: int = 0, batch_size: int = 500
) -> Estimate:
    """E[log p(x|z)] - KL(q(z|x) || p(z)), one draw of z an image; Kingma and Welling (2014), eq. (3).

    Over n images of the data set, evenly spaced (all for None). A VAE with a condition is told each image's:
    a bound on log p(x|condition). Bernoulli pixels are binarised once, by `seed`: the same pixels as in
    `importance_weighted`. The standard error is over images. Probabilities of binary pixels (Bernoulli) and
    densities (Gaussian) are different things: compare bounds of one likelihood only.
    """
    noise = torch.Generator().manual_seed(seed + 1)
    values = []
    with eval_mode(vae):
        for target, asked, mean, log_var in _posteriors(vae, dataset.evenly_spaced(n), seed, batch_size):
            epsilon = torch.randn(mean.shape, generator=noise).to(mean)
            z = mean + torch.exp(0.5 * log_var) * epsilon
            log_likelihood = vae.log_likelihood(target, z, asked)
            values.append(losses.elbo(log_likelihood, losses.gaussian_kl(mean, log_var)).cpu())
    return Estimate.of(torch.cat(values))


def importance_weighted(
    vae: VAE, dataset: ImageDataset, k: int = 50, n: int | None = None, seed: int = 0, batch_size: int = 10
) -> Estimate:
    """The bound from k draws an image, at least the ELBO on average; Burda et al. (2016), eq. (8).

    Over the same images, pixels and conditions as `elbo`. The standard error is over images; the bound itself
    still lies below log p(x), the less the larger k. The decoder sees k * batch_size images at a time.
    """
    noise = torch.Generator().manual_seed(seed + 1)
    values = []
    with eval_mode(vae):
        for target, asked, mean, log_var in _posteriors(vae, dataset.evenly_spaced(n), seed, batch_size):
            epsilon = torch.randn(k, *mean.shape, generator=noise).to(mean)
            z = mean + torch.exp(0.5 * log_var) * epsilon
            # log p(z) - log q(z|x): the constants of the two Gaussians cancel.
            log_ratio = 0.5 * (epsilon.square() + log_var - z.square()).sum(dim=2)
            repeated = target.expand(k, *target.shape).flatten(0, 1)
            if asked is not None:
                asked = asked.repeat(k, 1)
            log_likelihood = vae.log_likelihood(repeated, z.flatten(0, 1), asked).view(k, -1)
            values.append(losses.importance_weighted_bound(log_likelihood + log_ratio).cpu())
    return Estimate.of(torch.cat(values))


def _posteriors(
    vae: VAE, dataset: ImageDataset, seed: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor | None, Tensor, Tensor]]:
    """What is scored (n, C, H, W), what is told of it, and mean and log-variance (n, latent_dim) of q(z|x).

    Batch by batch. Random numbers are drawn on the CPU, so that a seed means the same on every device.
    """
    device = next(vae.parameters()).device
    rng = torch.Generator().manual_seed(seed)
    told = conditions(vae, dataset)
    for start in range(0, len(dataset), batch_size):
        part = slice(start, start + batch_size)
        target = vae.target(dataset.batch(part).cpu(), rng).to(device)
        asked = None if told is None else told[part].to(device)
        yield target, asked, *vae.encode(vae.encoder_input(target), asked)
