"""The one type in which every data set arrives, and the two conversions between bytes and floats."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from prodgen.data.condition import LABEL, Condition
from prodgen.errors import DataError


def to_float(images: Tensor) -> Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1]; 0 becomes -1 and 255 becomes 1.  Any shape."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] -> uint8 in 0..255, rounded to the nearest and clamped.  Any shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def without_padding(images: Tensor, content: Sequence[int] | None) -> Tensor:
    """The middle of images, `content` = (height, width) large: (..., H, W) -> (..., height, width).

    All of them where `content` is None.
    """
    if content is None:
        return images
    height, width = content
    top, left = (images.shape[-2] - height) // 2, (images.shape[-1] - width) // 2
    return images[..., top : top + height, left : left + width]


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Images of one data set and split, with what belongs to them.

    images: uint8 (N, C, H, W), usually memory-mapped from the cache; read only by convention.
    factors: what is known of each image, as `Factor.encode` takes it: name -> (N,) or (N, size). Class labels
        are the factor "label", int64.
    condition: how factors become one vector, all or some of them; None where there are none.
    content: (height, width) in pixels of the middle of the square, if white padding is all round it in every
        image; None where there is no such padding.
    """

    name: str
    split: str
    images: Tensor
    licence: str
    source: str
    factors: dict[str, Tensor] = field(default_factory=dict)
    condition: Condition | None = None
    content: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape))
        return f"ImageDataset({self.name!r}, {self.split!r}, images {size}, {self.num_classes} classes)"

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.images.shape[-1]

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.images.shape[1]

    @property
    def labels(self) -> Tensor | None:
        """int64 (N,) with values in 0..num_classes-1, or None where the data has no classes."""
        return self.factors.get(LABEL)

    @property
    def class_names(self) -> tuple[str, ...]:
        """() where the data has no classes."""
        return self.condition[LABEL].values if LABEL in self.factors else ()

    @property
    def num_classes(self) -> int:
        """0 where the data has no classes."""
        return len(self.class_names)

    def conditions(self) -> Tensor | None:
        """Each image's vector, float32 (N, width), where the images live; None where nothing is known."""
        if self.condition is None:
            return None
        names = [factor.name for factor in self.condition.factors]
        asked = {name: self.factors[name] for name in names}
        return self.condition.encode(len(self), **asked).to(self.images.device)

    def only(self, *names: str) -> "ImageDataset":
        """The same images, of which no more is known than these factors: none at all for no name."""
        kept = tuple(self.condition[name] for name in names) if self.condition else ()
        factors = {factor.name: self.factors[factor.name] for factor in kept}
        return replace(self, factors=factors, condition=Condition(kept) if kept else None)

    def digest(self) -> str:
        """SHA-256 of pixels and factors, in hexadecimal: two data sets with the same one are the same."""
        found = hashlib.sha256(repr((self.images.shape, self.condition)).encode())
        for tensor in (self.images, *(self.factors[name] for name in sorted(self.factors))):
            for part in tensor.split(4096):
                found.update(part.cpu().contiguous().numpy())
        return found.hexdigest()

    def batch(self, indices: slice | Sequence[int] | Tensor) -> Tensor:
        """The chosen images as float32 (n, C, H, W) in [-1, 1], on the device where the images live."""
        return to_float(self.images[self._index(indices)])

    def subset(self, indices: slice | Sequence[int] | Tensor) -> "ImageDataset":
        """The chosen images and what is known of them; a slice shares memory, any other index copies."""
        index = self._index(indices)
        factors = {name: known[index] for name, known in self.factors.items()}
        return replace(self, images=self.images[index], factors=factors)

    def evenly_spaced(self, n: int | None) -> "ImageDataset":
        """n images spread over the data set in its order; all of them for None or n >= its length."""
        if n is None or n >= len(self):
            return self
        return self.subset(torch.arange(n) * len(self) // n)

    def of_class(self, which: str | int) -> "ImageDataset":
        """The images of one class, given by name or number.  Raises DataError where there is none such."""
        if self.labels is None:
            raise DataError(f"{self.name} has no classes.")
        if isinstance(which, str):
            if which not in self.class_names:
                raise DataError(f"{self.name} has no class {which!r}; it has: {', '.join(self.class_names)}.")
            which = self.class_names.index(which)
        if not 0 <= which < self.num_classes:
            raise DataError(f"{self.name} has no class {which}; its classes are 0 to {self.num_classes - 1}.")
        return self.subset((self.labels == which).nonzero().squeeze(1))

    def to(self, device: torch.device | str) -> "ImageDataset":
        """The same data set on another device (there it must fit in memory)."""
        factors = {name: known.to(device) for name, known in self.factors.items()}
        return replace(self, images=self.images.to(device), factors=factors)

    def near(self, device: torch.device) -> "ImageDataset":
        """The same data set where batches of it are had fastest: on a GPU, if half its memory does."""
        if device.type == "cuda" and self.images.numel() < torch.cuda.mem_get_info(device)[0] / 2:
            return self.to(device)
        return self

    def _index(self, indices):
        if isinstance(indices, slice):
            return indices
        if not isinstance(indices, Tensor):
            indices = torch.tensor(indices, dtype=torch.int64)
        return indices.to(self.images.device)


class Shuffled:
    """The order of the images: each once an epoch, shuffled anew each time.

    An epoch's order depends on (seed, epoch) alone, so a resumed run goes on exactly where it stopped.
    """

    def __init__(self, size: int, seed: int):
        self.size, self.seed, self.epoch, self.order = size, seed, -1, torch.empty(0, dtype=torch.int64)

    def take(self, start: int, count: int) -> Tensor:
        """Places `start` to `start + count` of the endless order: int64 (count,)."""
        parts = []
        while count:
            epoch, offset = divmod(start, self.size)
            if epoch != self.epoch:
                rng = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                self.epoch, self.order = epoch, torch.randperm(self.size, generator=rng)
            parts.append(self.order[offset : offset + count])
            start, count = start + len(parts[-1]), count - len(parts[-1])
        return torch.cat(parts)
