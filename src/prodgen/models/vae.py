"""The variational autoencoder: a convolutional encoder and decoder around a Gaussian latent space."""

import torch
from torch import Tensor, nn

from prodgen.data import Condition
from prodgen.errors import ModelError
from prodgen.losses import bernoulli_log_likelihood, gaussian_kl, gaussian_log_likelihood
from prodgen.models.gan import embedding, stages


class VAE(nn.Module):
    """Kingma and Welling (2014) with convolutions.

    likelihood "bernoulli": pixels are mapped to [0, 1] and binarised anew at each look (dynamic
    binarisation, as Burda et al., 2016, do), so the bounds are comparable with published ones. "gaussian":
    pixels are scored as they are, with one standard deviation for all, learned with the weights. With a
    condition c both halves are told it: q(z|x, c) and p(x|z, c) (Sohn et al., 2015).
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        latent_dim: int = 32,
        width: int = 32,
        likelihood: str = "bernoulli",
        condition: Condition | None = None,
    ):
        super().__init__()
        if likelihood not in ("bernoulli", "gaussian"):
            known = "'bernoulli' or 'gaussian'"
            raise ModelError(f"likelihood is {likelihood!r}; choose {known}.")
        self.config = dict(
            image_size=image_size,
            channels=channels,
            latent_dim=latent_dim,
            width=width,
            likelihood=likelihood,
            condition=condition,
        )
        self.latent_dim, self.condition = latent_dim, condition
        self.likelihood = likelihood
        self.resolution, doublings = stages(image_size)
        hidden, twice = 256, dict(kernel_size=4, stride=2, padding=1)

        layers, features = [], channels
        for stage in range(doublings):
            layers += [nn.Conv2d(features, width * 2**stage, **twice), nn.SiLU()]
            features = width * 2**stage
        self.encoder_maps = nn.Sequential(*layers)
        told = 0
        if condition:
            told = latent_dim
            self.embedding = embedding(condition, told, std=1.0)
        self.encoder_head = nn.Sequential(
            nn.Linear(features * self.resolution**2 + told, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * latent_dim),
        )

        self.decoder_stem = nn.Sequential(
            nn.Linear(latent_dim + told, hidden),
            nn.SiLU(),
            nn.Linear(hidden, features * self.resolution**2),
            nn.SiLU(),
        )
        layers = []
        for _ in range(doublings - 1):
            layers.append(nn.ConvTranspose2d(features, features // 2, **twice))
            layers.append(nn.SiLU())
            features //= 2
        layers += [nn.ConvTranspose2d(features, features, **twice), nn.SiLU()]
        layers += [nn.Conv2d(features, channels, 3, padding=1)]
        self.decoder_maps = nn.Sequential(*layers)
        if likelihood == "gaussian":
            self.log_sigma = nn.Parameter(torch.zeros(()))

    def _told(self, h: Tensor, condition: Tensor | None) -> Tensor:
        return torch.cat([h, self.embedding(condition)], dim=1) if self.condition else h

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """The mean of p(x|z) as images: z (N, latent_dim) -> (N, C, H, W) in [-1, 1].

        condition: (N, width) if the model has one; here and in all that follows.
        """
        out = self.decode(z, condition)
        return 2 * torch.sigmoid(out) - 1 if self.likelihood == "bernoulli" else out.clamp(-1, 1)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x: images (N, C, H, W) in [-1, 1] -> mean and log-variance of q(z|x), each (N, latent_dim)."""
        maps = self.encoder_maps(x).permute(0, 2, 3, 1).flatten(1)
        both = self.encoder_head(self._told(maps, condition)).float()
        mean, log_var = both.chunk(2, dim=1)
        return mean, log_var

    def reparameterise(self, mean: Tensor, log_var: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """z = mean + sigma * epsilon with epsilon ~ N(0, I), so gradients reach both: (N, latent_dim)."""
        noise = torch.randn(mean.shape, generator=rng, device=mean.device)
        return mean + torch.exp(0.5 * log_var) * noise

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """z (N, latent_dim) -> (N, C, H, W): logits of the pixels (Bernoulli) or their means (Gaussian)."""
        maps = self.decoder_stem(self._told(z, condition))
        maps = maps.view(len(z), self.resolution, self.resolution, -1)
        return self.decoder_maps(maps.permute(0, 3, 1, 2)).float()

    def target(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """What the likelihood scores: x, or for Bernoulli pixels a binary draw with mean (x + 1) / 2."""
        if self.likelihood == "gaussian":
            return x
        uniform = torch.rand(x.shape, generator=rng, device=x.device)
        return (uniform < (x + 1) / 2).float()

    def log_likelihood(self, target: Tensor, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """log p(target|z) in nats: (N, C, H, W), (N, latent_dim) -> (N,)."""
        out = self.decode(z, condition)
        if self.likelihood == "bernoulli":
            return bernoulli_log_likelihood(out, target)
        return gaussian_log_likelihood(target, out, self.log_sigma)

    def encoder_input(self, target: Tensor) -> Tensor:
        """The encoder sees what is scored, in [-1, 1]: binary pixels {0, 1} become {-1, 1}."""
        return 2 * target - 1 if self.likelihood == "bernoulli" else target

    def elbo_terms(
        self, x: Tensor, rng: torch.Generator | None = None, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A one-sample estimate of E[log p(x|z)] and the exact KL: images (N, C, H, W) -> (N,), (N,).

        In nats; their difference is the ELBO.
        """
        target = self.target(x, rng)
        mean, log_var = self.encode(self.encoder_input(target), condition)
        z = self.reparameterise(mean, log_var, rng)
        return self.log_likelihood(target, z, condition), gaussian_kl(mean, log_var)
