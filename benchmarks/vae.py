"""The VAE: five minutes of two CPU cores over seeds, and the shipped one by tight bounds.

    python benchmarks/vae.py train --seed 0      # five minutes; ELBO and bound with k = 100 on 1,000 images
    python benchmarks/vae.py bounds              # shipped: k = 100 on all, and what k = 5,000 adds on 1,000
    python benchmarks/vae.py mixture             # shipped: samples with z from N(0, I), and from a mixture

The bounds are in nats an image of Fashion-MNIST's test photos; those of the shipped VAE on photos binarised
once, as papers do it. All 10,000 with k = 5,000 would take hours, so what k = 5,000 gains over k = 100 on the
same 1,000 photos is added to the bound with k = 100 of all. The mixture is one of
full Gaussians, fitted to the codes of the training photos (Ghosh et al., 2020, do the same): where the prior
has room that no photo's code lies in, it draws nothing.
"""

import argparse
import json
import time
from dataclasses import replace

import torch
from rates import five_minutes_of
from results import write
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from prodgen import data, evaluation, recorded, training
from prodgen.data import ImageDataset
from prodgen.device import device_name
from prodgen.models import VAE

COMPONENTS = 100  # of the mixture over the codes


def train(seed: int) -> None:
    """Train for five minutes' worth of images, and keep the bounds on 1,000 test images."""
    dataset = data.load("fashion-mnist")
    trainer = training.new_trainer("vae", dataset, seed=seed, conditional=False)
    run = training.train(trainer, dataset, images=five_minutes_of("vae"), seed=seed, progress=False)
    test = data.load("fashion-mnist", "test").subset(slice(0, 1_000))
    bound = evaluation.importance_weighted(run.model, test, k=100)
    row = {"run_seed": seed, "images_seen": run.images_seen, "seconds": round(run.seconds, 1)}
    row |= {"elbo": evaluation.elbo(run.model, test)._asdict()}
    row |= {"bound_100": bound._asdict(), "threads": torch.get_num_threads()}
    row |= {"device": device_name()}
    write(f"vae-five-minutes-{seed}", row)
    print(json.dumps(row))


def binarised(dataset: ImageDataset, seed: int = 0) -> ImageDataset:
    """The same photos, each pixel black or white for good, white with its grey as the probability."""
    rng = torch.Generator().manual_seed(seed)
    grey = dataset.images.float() / 255
    return replace(dataset, images=255 * (torch.rand(grey.shape, generator=rng) < grey).to(torch.uint8))


def bound_of_each(vae: VAE, photos: ImageDataset, k: int) -> Tensor:
    """The bound with k draws for each photo alone, float64 (N,); of photo i with seed i."""
    each = (photos.subset(slice(i, i + 1)) for i in range(len(photos)))
    return torch.tensor(
        [evaluation.importance_weighted(vae, one, k=k, seed=i).mean for i, one in enumerate(each)],
        dtype=torch.float64,
    )


def with_the_gain(bound: Tensor, gain: Tensor) -> dict[str, float]:
    """The mean of `bound` over all N photos, of `gain` over the first n of them, their sum and its error.

    The n are among the N, so the two means vary together: Var = s_b²/N + s_g²/n + 2 cov/N.
    """
    both = torch.stack((bound[: len(gain)], gain)).cov()
    variance = bound.var() / len(bound) + gain.var() / len(gain) + 2 * both[0, 1] / len(bound)
    return {
        "mean": (bound.mean() + gain.mean()).item(),
        "standard_error": variance.sqrt().item(),
        "gain": gain.mean().item(),
        "gain_standard_error": (gain.var() / len(gain)).sqrt().item(),
    }


def bounds() -> None:
    """The shipped VAE by the protocol of papers: the test photos binarised once, k = 100, and k = 5,000."""
    vae, test = recorded.load_model("vae-fashion-mnist"), binarised(data.load("fashion-mnist", "test"))
    about = {"model": "vae-fashion-mnist", "sha256": recorded.card("vae-fashion-mnist")["sha256"]}
    found: dict[int, Tensor] = {}
    for k, n in ((100, len(test)), (5_000, 1_000)):
        began = time.perf_counter()
        found[k] = bound_of_each(vae, test.subset(slice(0, n)), k)
        row = about | {"k": k, **evaluation.Estimate.of(found[k])._asdict()}
        row |= {"seconds": round(time.perf_counter() - began, 1), "device": device_name()}
        write(f"vae-bound-{k}", row)  # at once: the second takes half an hour and more
        print(json.dumps(row), flush=True)
    gain = found[5_000] - found[100][: len(found[5_000])]
    row = about | {"n": len(found[100]), "n_gain": len(gain), **with_the_gain(found[100], gain)}
    write("vae-bound", row)
    print(json.dumps(row), flush=True)


class Mixture(nn.Module):
    """The decoder of a VAE, with z from a mixture of Gaussians in the place of the prior."""

    condition = None

    def __init__(self, vae: VAE, codes: Tensor, seed: int):
        super().__init__()
        self.vae, self.latent_dim, self.config = vae, vae.latent_dim, vae.config
        fitted = GaussianMixture(COMPONENTS, random_state=seed).fit(codes.numpy())
        self.shares = torch.from_numpy(fitted.weights_)
        self.means = torch.from_numpy(fitted.means_).float()
        self.factors = torch.linalg.cholesky(torch.from_numpy(fitted.covariances_)).float()
        self.rng = torch.Generator().manual_seed(seed)

    def forward(self, z: Tensor, condition: None = None) -> Tensor:
        """Standard noise (N, latent_dim), each moved into a component at random -> images (N, 1, 28, 28)."""
        which = torch.multinomial(self.shares, len(z), replacement=True, generator=self.rng)
        z = self.means[which] + torch.einsum("nij,nj->ni", self.factors[which], z)
        return self.vae(z)


def mixture() -> None:
    """How good samples of the shipped VAE are, from the prior and from a mixture, over seeds."""
    vae, test = recorded.load_model("vae-fashion-mnist"), data.load("fashion-mnist", "test")
    train, keys = data.load("fashion-mnist"), ("fid_fmnist_excess", "precision", "recall", "sharpness")
    rows = []
    for seed in range(3):
        rng = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            codes = [
                vae.reparameterise(*vae.encode(vae.encoder_input(vae.target(train.batch(part), rng))), rng)
                for part in torch.arange(len(train)).split(500)
            ]
        for name, model in (("prior", vae), ("mixture", Mixture(vae, torch.cat(codes), seed))):
            found = evaluation.evaluate(model, test, seed=seed)
            rows.append({"z": name, "sampling_seed": seed, **{key: found[key] for key in keys}})
            print(json.dumps(rows[-1]), flush=True)
    write("vae-mixture", {"components": COMPONENTS, "values": rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train").add_argument("--seed", type=int, default=0)
    commands.add_parser("bounds")
    commands.add_parser("mixture")
    arguments = parser.parse_args()
    if arguments.command == "train":
        train(arguments.seed)
    else:
        {"bounds": bounds, "mixture": mixture}[arguments.command]()


if __name__ == "__main__":
    main()
