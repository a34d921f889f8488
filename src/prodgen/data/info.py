"""What is known of a data set before it is fetched."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataInfo:
    """The facts of a named data set.  image_size: pixels a side.  images: how many in each split."""

    name: str
    title: str
    licence: str
    source: str
    image_size: int
    channels: int
    images: dict[str, int]
    class_names: tuple[str, ...] = ()
