"""Which device and precision are fast here, what they are called, and where randomness comes from."""

import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch


def best_device() -> torch.device:
    """The GPU if PyTorch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def fast_bfloat16(device_type: str) -> bool:
    """Whether the device multiplies faster in bfloat16 than in float32.

    A CPU does with AMX, and an AMD one with AVX512-BF16. An Intel one with AVX512-BF16 alone knows the format
    and is slower in it: the package's GAN trained at three quarters of its float32 speed. Emulated, it is
    slower still.
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "cpu":
        known = _cpuinfo()
        return "amx_bf16" in known or ("AuthenticAMD" in known and "avx512_bf16" in known)
    return False


def autocast(device_type: str) -> torch.autocast:
    """Mixed precision where it is fast.

    Weights are cast anew at each use: autocast would keep the first cast until the block ends, and a block
    that holds an optimiser's step would go on with the weights from before it.
    """
    return torch.autocast(
        device_type, torch.bfloat16, enabled=fast_bfloat16(device_type), cache_enabled=False
    )


def device_name() -> str:
    """The device that a run would use here, in words, with its number of threads if it is a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    names = [line.split(":", 1)[1] for line in _cpuinfo().splitlines() if line.startswith("model name")]
    name = names[0].strip() if names else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def random_stream(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Random numbers for one purpose: one seed serves many, and no two of them see the same numbers."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, PyTorch's global numbers on the CPU follow from the seed; behind it, they go on as before.

    `torch.manual_seed` would reseed every GPU too, and nobody would set those back.
    """
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


def _cpuinfo() -> str:
    file = Path("/proc/cpuinfo")
    return file.read_text() if file.is_file() else ""
