"""Distances between two sets of features: Fréchet and kernel (torchmetrics does the arithmetic)."""

import warnings

import torch
from torch import Tensor, nn

from prodgen.data import ImageDataset
from prodgen.evaluation.features import inception_features


def _as_is(features: Tensor) -> nn.Module:
    # torchmetrics wants a network in front of the distance; ours has run already.
    identity = nn.Identity()
    identity.num_features = features.shape[1]
    return identity


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """Squared Fréchet distance of the Gaussians fitted to two sets of features, (N, F) and (M, F).

    |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)), in double precision; Heusel et al. (2017), eq. (6). It falls
    with the number of samples, so compare only values from the same N and M; below F samples it says little.
    Raises ValueError for fewer than two samples on either side.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    if min(len(real), len(generated)) < 2:
        raise ValueError("a Fréchet distance needs two samples on either side at least")
    metric = FrechetInceptionDistance(_as_is(real))
    centre = real.double().mean(dim=0)  # the distance ignores a common shift; rounding does not
    metric.update(real.double() - centre, real=True)
    metric.update(generated.double() - centre, real=False)
    return metric.compute().item()


def kernel_distance(
    real: Tensor, generated: Tensor, subsets: int = 100, subset_size: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of features (N, F) and (M, F): mean and deviation over subsets.

    Unbiased, so about 0 (a little below, too) for two samples of one distribution, whatever their number.
    Kernel (x.y / F + 1)^3; Binkowski et al. (2018). Random subsets of `subset_size`, or of the
    smaller set where that has fewer.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(subset_size, len(real), len(generated))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)  # that it keeps all features in memory
        torch.manual_seed(seed)  # it draws its subsets from the global generator
        metric = KernelInceptionDistance(_as_is(real), subsets=subsets, subset_size=size)
        metric.update(real.double(), real=True)
        metric.update(generated.double(), real=False)
        mean, std = metric.compute()
    return mean.item(), std.item()


def inception_fid(real: Tensor | ImageDataset, generated: Tensor | ImageDataset) -> float:
    """The published FID: Fréchet distance on Inception features of images (N, C, H, W) in [-1, 1].

    Another scale than `fid_fmnist` altogether, never to be set beside it.
    Raises EvaluationError where the weights cannot be fetched.
    """
    return frechet_distance(inception_features(real), inception_features(generated))
