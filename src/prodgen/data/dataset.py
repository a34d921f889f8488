"""The one type in which every data set arrives, and the two conversions between bytes and floats."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


class DataError(RuntimeError):
    """A data problem that its reader can mend: one sentence that says what is wrong and what to do."""


def to_float(images: Tensor) -> Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1]; 0 becomes -1 and 255 becomes 1.  Any shape."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] -> uint8 in 0..255, rounded to the nearest and clamped.  Any shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Images of one data set and split, with what belongs to them.

    images: uint8 (N, C, H, W), usually memory-mapped from the cache; read only by convention.
    labels: int64 (N,) with values in 0..num_classes-1, or None where the data has no classes.
    """

    name: str
    split: str
    images: Tensor
    labels: Tensor | None
    class_names: tuple[str, ...]
    licence: str
    source: str

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
    def num_classes(self) -> int:
        """0 where the data has no classes."""
        return len(self.class_names)

    def batch(self, indices: slice | Sequence[int] | Tensor) -> Tensor:
        """The chosen images as float32 (n, C, H, W) in [-1, 1], on the device where the images live."""
        return to_float(self.images[self._index(indices)])

    def subset(self, indices: slice | Sequence[int] | Tensor) -> "ImageDataset":
        """The chosen images and their labels; a slice shares memory, any other index copies."""
        index = self._index(indices)
        labels = None if self.labels is None else self.labels[index]
        return replace(self, images=self.images[index], labels=labels)

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
        """The same data set with images and labels on another device (there it must fit in memory)."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, images=self.images.to(device), labels=labels)

    def _index(self, indices):
        if isinstance(indices, slice):
            return indices
        if not isinstance(indices, Tensor):
            indices = torch.tensor(indices, dtype=torch.int64)
        return indices.to(self.images.device)
