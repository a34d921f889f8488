"""Networks, how to sample from them, and how to keep them in a file. No training logic lives here."""

from prodgen.errors import ModelError
from prodgen.models.classifier import Classifier
from prodgen.models.gan import Discriminator, Generator
from prodgen.models.io import KINDS, kind_of, load, load_metadata, save_as
from prodgen.models.probe import Probe, decode
from prodgen.models.sampling import eval_mode, great_circle, sample, sample_batches
from prodgen.models.vae import VAE

__all__ = [
    "KINDS",
    "VAE",
    "Classifier",
    "Discriminator",
    "Generator",
    "ModelError",
    "Probe",
    "decode",
    "eval_mode",
    "great_circle",
    "kind_of",
    "load",
    "load_metadata",
    "sample",
    "sample_batches",
    "save_as",
]
