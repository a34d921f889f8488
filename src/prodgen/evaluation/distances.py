"""Distances between two sets of features: Fréchet and kernel, as pure functions in double precision."""

import torch
from torch import Tensor

from prodgen.data import ImageDataset
from prodgen.evaluation.features import inception_features


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """Squared Fréchet distance of the Gaussians fitted to two sets of features, (N, F) and (M, F).

    |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)); Heusel et al. (2017), eq. (6). It falls with the number of
    samples, so compare only values from the same N and M; below F samples it says little.
    Raises ValueError for fewer than two samples on either side.
    """
    if min(len(real), len(generated)) < 2:
        raise ValueError("a Fréchet distance needs two samples on either side at least")
    real, generated = real.double(), generated.double()
    means = (real.mean(dim=0) - generated.mean(dim=0)).square().sum()
    covariance, other = torch.cov(real.T), torch.cov(generated.T)
    # S S' has the eigenvalues of S^(1/2) S' S^(1/2), which is symmetric: they are real and not negative, but
    # for rounding.
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    common = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    return (means + covariance.trace() + other.trace() - 2 * common).item()


def kernel_distance(
    real: Tensor, generated: Tensor, subsets: int = 100, subset_size: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of features (N, F) and (M, F): mean and deviation over subsets.

    E k(x, x') + E k(y, y') - 2 E k(x, y) with k(x, y) = (x.y / F + 1)^3; Binkowski et al. (2018).
    Pairs of a sample with itself are left out, so it is unbiased: about 0 (a little below, too) for two
    samples of one distribution, whatever their number. Random subsets of `subset_size`, or of the smaller
    set where that has fewer, are drawn by `seed`.
    Raises ValueError for fewer than two samples on either side.
    """
    size = min(subset_size, len(real), len(generated))
    if size < 2:
        raise ValueError("a kernel distance needs two samples on either side at least")
    real, generated = real.double(), generated.double()
    rng = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(subsets):
        x, y = (
            points[torch.randperm(len(points), generator=rng)[:size].to(points.device)]
            for points in (real, generated)
        )
        values.append(
            _mean_of_pairs(_kernel(x, x)) + _mean_of_pairs(_kernel(y, y)) - 2 * _kernel(x, y).mean()
        )
    drawn = torch.stack(values)
    return drawn.mean().item(), drawn.std(correction=0).item()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """The mean of a matrix (n, n) without its diagonal."""
    n = len(kernel)
    return (kernel.sum() - kernel.trace()) / (n * (n - 1))


def inception_fid(real: Tensor | ImageDataset, generated: Tensor | ImageDataset) -> float:
    """The published FID: Fréchet distance on Inception features of images (N, C, H, W) in [-1, 1].

    Another scale than `fid_fmnist` altogether, never to be set beside it.
    Raises EvaluationError where the weights cannot be fetched.
    """
    return frechet_distance(inception_features(real), inception_features(generated))
