"""A small model for what writes models to other formats, which a fresh one would not put to the test."""

import torch

from prodgen.device import seeded


def lively(kind, **shape):
    """A small model whose weights, and averages of activations, are not those of a fresh one."""
    with seeded(0):
        model = kind(width=4, latent_dim=8, **shape)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand_like(tensor) if "var" in name else torch.randn_like(tensor)
                tensor.add_(0.1 * noise)
    return model.eval()
