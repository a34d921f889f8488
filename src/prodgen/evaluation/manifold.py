"""Fidelity and diversity apart: precision and recall, density and coverage."""

import torch
from torch import Tensor

CHUNK = 1000  # rows of the distance matrix held at a time


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # Differences, not the faster expansion into products: equal points are at distance 0 exactly.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _radii(points: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th nearest neighbour, itself not counted."""
    rows = [_distances(part, points).topk(k + 1, largest=False).values[:, k] for part in points.split(CHUNK)]
    return torch.cat(rows)


def precision_recall_density_coverage(real: Tensor, generated: Tensor, k: int = 5) -> dict[str, float]:
    """Four numbers from features (N, F) of real and (M, F) of generated images.

    Around each point stands a ball that reaches to its k-th nearest neighbour among its own kind.

    - precision: share of generated points in a real ball; recall: share of real points in a generated ball
      (Kynkäänniemi et al., 2019, eq. (1)-(2));
    - density: real balls around a generated point, over k (can exceed 1); coverage: share of real balls with
      a generated point in them (Naeem et al., 2020, section 3).

    Raises ValueError where either side has no more than k points.
    """
    if min(len(real), len(generated)) <= k:
        raise ValueError(f"k = {k} neighbours need more than {k} points on either side")
    real, generated = real.float(), generated.float()
    real_radii, generated_radii = _radii(real, k), _radii(generated, k)
    covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    recalled = torch.zeros_like(covered)
    precise = in_balls = 0
    for points, radii in zip(generated.split(CHUNK), generated_radii.split(CHUNK), strict=True):
        distances = _distances(points, real)
        in_real = distances <= real_radii
        precise += in_real.any(dim=1).sum().item()
        in_balls += in_real.sum().item()
        covered |= in_real.any(dim=0)
        recalled |= (distances <= radii[:, None]).any(dim=0)
    return {
        "precision": precise / len(generated),
        "recall": recalled.double().mean().item(),
        "density": in_balls / (k * len(generated)),
        "coverage": covered.double().mean().item(),
    }
